/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <stdio.h>
#include <string.h>

#define ERROR_CAPACITY 2048

static _Thread_local char last_error[ERROR_CAPACITY];

const char *ade_status_name(ade_status status) {
    switch (status) {
#define NAME(name, value, text) \
    case ADE_##name: return "ADE_" #name;
        ADE_STATUS_MAP(NAME)
#undef NAME
    default: return "ADE_?";
    }
}

const char *ade_status_text(ade_status status) {
    switch (status) {
#define TEXT(name, value, text) \
    case ADE_##name: return text;
        ADE_STATUS_MAP(TEXT)
#undef TEXT
    default: return "unknown status";
    }
}

const char *ade_last_error(void) { return last_error; }

/* Control characters would let a hostile name drive the reader's terminal or break a log line in two. */
static void make_printable(char *text) {
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) *p = '?';
}

ade_status ade__fail(ade_status status, const char *format, ...) {
    char    text[ERROR_CAPACITY]; /* the arguments may point into last_error */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    memcpy(last_error, text, sizeof text);
    return status;
}

ade_status ade__fail_prefix(ade_status status, const char *prefix) {
    char rest[ERROR_CAPACITY];
    memcpy(rest, last_error, sizeof rest);
    return ade__fail(status, "%s: %s", prefix, rest);
}

void ade__clear_error(void) { last_error[0] = '\0'; }

void ade__copy_error(char *buffer, size_t capacity) {
    size_t size = strlen(last_error);
    if (size >= capacity) size = capacity - 1;
    memcpy(buffer, last_error, size);
    buffer[size] = '\0';
}

ade_status ade__adopt_error(ade_status status, const char *text) { return ade__fail(status, "%s", text); }
