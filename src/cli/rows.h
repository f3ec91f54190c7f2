/* SPDX-License-Identifier: Apache-2.0
 * The pieces of a row: JSON, TSV and CSV fields appended to a growing buffer. Numbers are written in the shortest form
 * that reads back as the same float; what is written is always valid UTF-8. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef enum row_format { ROWS_JSONL, ROWS_TSV, ROWS_CSV } row_format;

typedef struct bytes {
    char  *data;
    size_t size, capacity;
    int    failed; /* 1 once memory ran out; all later appends do nothing */
} bytes;

void bytes_free(bytes *buffer);
/* Room for `more` bytes behind data[size]; NULL when out of memory. The caller advances size. */
char *bytes_room(bytes *buffer, size_t more);

void put_raw(bytes *buffer, const char *data, size_t size);
void put_literal(bytes *buffer, const char *text); /* a C string as it is */
/* A line of a report for people: the name, padded to a column, what the format gives (2,047 bytes of it), a line feed. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void put_named(bytes *buffer, const char *name, const char *format, ...);
void put_integer(bytes *buffer, int64_t value);
void put_unsigned(bytes *buffer, uint64_t value);
void put_float(bytes *buffer, float value);   /* must be finite */
void put_double(bytes *buffer, double value); /* the same for a double; what is not finite is written as 0.0 */

/* Bytes that are not UTF-8 become U+FFFD in all of these. */
void put_json_string(bytes *buffer, const char *text, size_t size); /* with its quotes */
void put_json_text(bytes *buffer, const char *text);                /* a C string; NULL gives null */

/* A field of a TSV or CSV row, without separator. TSV: tab, line feed, carriage return and backslash become \t, \n, \r
 * and \\. CSV (RFC 4180): quoted where it holds a comma, a quote or a line end. */
void put_field(bytes *buffer, row_format format, const char *text, size_t size);
void put_separator(bytes *buffer, row_format format);

/* Copies `text` with each maximal invalid part replaced by U+FFFD; returns how many were replaced. */
size_t put_valid_utf8(bytes *buffer, const char *text, size_t size);

#endif
