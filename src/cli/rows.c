/* SPDX-License-Identifier: Apache-2.0
 * The pieces of a row: JSON, TSV and CSV fields appended to a growing buffer. */
#include "rows.h"

#include "utf8_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

void bytes_free(bytes *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

char *bytes_room(bytes *buffer, size_t more) {
    if (buffer->failed) return NULL;
    if (more > buffer->capacity - buffer->size) {
        size_t want = buffer->size + more, grown = buffer->capacity + buffer->capacity / 2;
        char  *data;
        if (want < more) {
            buffer->failed = 1;
            return NULL;
        }
        if (grown < want) grown = want;
        if (grown < 256) grown = 256;
        data = realloc(buffer->data, grown);
        if (!data) {
            buffer->failed = 1;
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = grown;
    }
    return buffer->data + buffer->size;
}

void put_raw(bytes *buffer, const char *data, size_t size) {
    char *room = size > 0 ? bytes_room(buffer, size) : NULL;
    if (!room) return;
    memcpy(room, data, size);
    buffer->size += size;
}

void put_literal(bytes *buffer, const char *text) { put_raw(buffer, text, strlen(text)); }

void put_named(bytes *buffer, const char *name, const char *format, ...) {
    char    text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_literal(buffer, name);
    for (size_t i = strlen(name); i < 16; i++) put_literal(buffer, " ");
    put_literal(buffer, text);
    put_literal(buffer, "\n");
}

void put_unsigned(bytes *buffer, uint64_t value) {
    char   digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_raw(buffer, digits + at, sizeof digits - at);
}

void put_integer(bytes *buffer, int64_t value) {
    if (value < 0) put_raw(buffer, "-", 1);
    put_unsigned(buffer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* 10^k is exact in a double up to k = 22. */
static const double power_of_ten[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Whether the decimal number n / 10^k, which is nearest to the double d, reads back as `value` for readers of floats
 * and for readers of doubles alike. n and 10^k being exact, d is correctly rounded; a d half-way between two floats is
 * refused, because the decimal number may lie on its other side. */
static int reads_back(double d, float value) {
    if ((float)d != value) return 0;
    return d != ((double)value + (double)nextafterf(value, INFINITY)) / 2 &&
           d != ((double)value + (double)nextafterf(value, -INFINITY)) / 2;
}

static void put_float_by_printf(bytes *buffer, float value) {
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value && (float)strtod(text, NULL) == value) break;
    }
    put_literal(buffer, text);
    if (!strpbrk(text, ".e")) put_literal(buffer, ".0");
}

void put_float(bytes *buffer, float value) {
    double   size = fabs((double)value);
    int      exponent, places;
    uint64_t n = 0, whole, fraction;
    char     digits[16];
    if (size == 0) {
        put_literal(buffer, signbit(value) ? "-0.0" : "0.0");
        return;
    }
    if (!(size >= 1e-5 && size < 1e7)) {
        put_float_by_printf(buffer, value);
        return;
    }
    for (exponent = 6; exponent > 0 && size < power_of_ten[exponent];) exponent--;
    if (size < 1)
        for (exponent = -1; size * power_of_ten[-exponent] < 1;) exponent--;
    places = -1;
    for (int count = 1; count <= 9 && places < 0; count++) { /* 9 digits tell any two floats apart */
        int k = count - 1 - exponent;
        if (k < 0) continue; /* whole numbers are written out */
        n = (uint64_t)llround(size * power_of_ten[k]);
        if (reads_back((double)n / power_of_ten[k], (float)size)) places = k;
    }
    if (places < 0) {
        put_float_by_printf(buffer, value);
        return;
    }
    if (signbit(value)) put_raw(buffer, "-", 1);
    whole = n / (uint64_t)power_of_ten[places];
    fraction = n % (uint64_t)power_of_ten[places];
    put_unsigned(buffer, whole);
    put_raw(buffer, ".", 1);
    if (places == 0) {
        put_raw(buffer, "0", 1);
        return;
    }
    for (int i = places; i-- > 0; fraction /= 10) digits[i] = (char)('0' + fraction % 10);
    while (places > 1 && digits[places - 1] == '0') places--;
    put_raw(buffer, digits, (size_t)places);
}

void put_double(bytes *buffer, double value) {
    char text[40];
    if (!isfinite(value)) value = 0;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    put_literal(buffer, text);
    if (!strpbrk(text, ".e")) put_literal(buffer, ".0");
}

/* The three formats differ only in what they escape. Writes what stands for `byte` and returns its length; 0 = the byte
 * stands for itself. */
typedef size_t (*escape_fn)(unsigned char byte, char out[8]);

static size_t put_escaped(bytes *buffer, const char *text, size_t size, escape_fn escape) {
    size_t replaced = 0;
    while (size > 0) {
        size_t valid = utf8_valid_prefix(text, size), from = 0;
        for (size_t i = 0; i < valid; i++) {
            char   out[8];
            size_t length = escape ? escape((unsigned char)text[i], out) : 0;
            if (length == 0) continue;
            put_raw(buffer, text + from, i - from);
            put_raw(buffer, out, length);
            from = i + 1;
        }
        put_raw(buffer, text + from, valid - from);
        text += valid;
        size -= valid;
        if (size > 0) {
            size_t part = utf8_invalid_part(text, size);
            put_raw(buffer, replacement, 3);
            replaced++;
            text += part;
            size -= part;
        }
    }
    return replaced;
}

static size_t escape_json(unsigned char byte, char out[8]) {
    static const char hex[] = "0123456789abcdef";
    char              letter;
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) return 0;
    switch (byte) {
    case '"':
    case '\\': letter = (char)byte; break;
    case '\b': letter = 'b'; break;
    case '\f': letter = 'f'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default:
        memcpy(out, "\\u00", 4);
        out[4] = hex[byte >> 4];
        out[5] = hex[byte & 15];
        return 6;
    }
    out[0] = '\\';
    out[1] = letter;
    return 2;
}

static size_t escape_tsv(unsigned char byte, char out[8]) {
    char letter;
    switch (byte) {
    case '\t': letter = 't'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\\': letter = '\\'; break;
    default: return 0;
    }
    out[0] = '\\';
    out[1] = letter;
    return 2;
}

static size_t escape_csv(unsigned char byte, char out[8]) {
    if (byte != '"') return 0;
    out[0] = out[1] = '"';
    return 2;
}

void put_json_string(bytes *buffer, const char *text, size_t size) {
    put_raw(buffer, "\"", 1);
    put_escaped(buffer, text, size, escape_json);
    put_raw(buffer, "\"", 1);
}

void put_json_text(bytes *buffer, const char *text) {
    if (text)
        put_json_string(buffer, text, strlen(text));
    else
        put_literal(buffer, "null");
}

void put_field(bytes *buffer, row_format format, const char *text, size_t size) {
    if (format == ROWS_CSV) {
        int quoted = 0;
        for (size_t i = 0; i < size && !quoted; i++)
            quoted = text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
        if (quoted) put_raw(buffer, "\"", 1);
        put_escaped(buffer, text, size, quoted ? escape_csv : NULL);
        if (quoted) put_raw(buffer, "\"", 1);
    } else {
        put_escaped(buffer, text, size, escape_tsv);
    }
}

void put_separator(bytes *buffer, row_format format) { put_raw(buffer, format == ROWS_CSV ? "," : "\t", 1); }

size_t put_valid_utf8(bytes *buffer, const char *text, size_t size) { return put_escaped(buffer, text, size, NULL); }
