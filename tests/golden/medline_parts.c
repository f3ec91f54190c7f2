/* SPDX-License-Identifier: Apache-2.0
 * Prints what the XML reader makes of files, one JSON object a record, for compare_medline.py.
 * Usage: medline_parts [-c CHUNK] FILE... ; CHUNK is the number of bytes given to the parser at a time. */
#include "medline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_text(ade_text text) {
    if (!text.data) {
        printf("null");
        return;
    }
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static ade_status print_record(void *user, const ade_record *r) {
    (void)user;
    printf("{\"pmid\":%lld,\"version\":%d,\"deleted\":%s,\"has_article\":%s,\"has_abstract\":%s,\"title\":",
           (long long)r->pmid, r->version, r->deleted ? "true" : "false", r->has_article ? "true" : "false",
           r->has_abstract ? "true" : "false");
    print_text(r->title);
    printf(",\"sections\":[");
    for (size_t i = 0; i < r->n_sections; i++) {
        printf(i ? ",[" : "[");
        print_text(r->sections[i].label);
        putchar(',');
        print_text(r->sections[i].category);
        putchar(',');
        print_text(r->sections[i].text);
        putchar(']');
    }
    printf("]}\n");
    return ADE_OK;
}

static ade_status parse(const char *path, size_t chunk) {
    ade_input   *input = NULL;
    ade_medline *medline = NULL;
    ade_status   status = ade__input_open(path, -1, &input);
    if (!status) status = ade__medline_open(path, print_record, NULL, &medline);
    for (size_t got = 1; !status && got;) {
        void *buffer = ade__medline_buffer(medline, chunk);
        status = buffer ? ade__input_read(input, buffer, chunk, &got) : ADE_OUT_OF_MEMORY;
        if (!status) status = ade__medline_parse(medline, got, got == 0);
    }
    ade__medline_close(medline);
    ade__input_close(input);
    return status;
}

int main(int argc, char **argv) {
    size_t chunk = 65536;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-c") && i + 1 < argc) {
            chunk = (size_t)strtoul(argv[++i], NULL, 10);
            continue;
        }
        if (parse(argv[i], chunk ? chunk : 1)) {
            fprintf(stderr, "%s\n", ade_last_error());
            return 1;
        }
    }
    return 0;
}
