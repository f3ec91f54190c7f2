/* SPDX-License-Identifier: Apache-2.0
 * Texts in: one a line, a CSV or TSV column, a JSONL field. Texts come in windows of bounded size, so that memory does
 * not grow with their number; a window may hold texts of several files. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "adesieve.h"
#include "rows.h"

typedef enum texts_format {
    TEXTS_LINES,
    TEXTS_CSV,
    TEXTS_TSV,
    TEXTS_JSONL,
    TEXTS_PROBABLY_LINES /* lines for want of a better guess: XML, ZIP, PDF and the like are an error */
} texts_format;

typedef struct texts_options {
    texts_format format;
    const char  *field;     /* column or field; not used for lines */
    const char  *label;     /* column or field of the label; NULL = labels are not read. Lines have none */
    int          replace;   /* 1: invalid UTF-8 is replaced and counted, else it is an error */
    size_t       max_bytes; /* of one line or record; 0 = 1 GiB */
} texts_options;

/* The texts of a window and where each came from. Zero it before its first use; free it at the end. */
typedef struct text_window {
    bytes     data;
    ade_text *texts;  /* valid after text_window_finish */
    ade_text *labels; /* the same, where labels are read: what stands there; of a JSON number 1.0 the 1 */
    bytes     label_data;
    struct text_place {
        size_t   offset;   /* of the text in data */
        size_t   label_offset; /* of the label in label_data */
        uint64_t line;     /* from 1, where its record begins */
        uint32_t input;    /* the caller's number for the file */
        uint32_t replaced; /* invalid UTF-8 parts replaced in it */
    } * places;
    size_t count, capacity;
} text_window;

void text_window_clear(text_window *window);
void text_window_finish(text_window *window); /* sets texts[].data and .size */
void text_window_free(text_window *window);

/* What a name says, without its .gz: lines for .txt and all that is not .csv, .tsv or .jsonl (.ndjson). */
texts_format texts_format_of_name(const char *path);

/* Whether the first `size` bytes of `path` end in `ending`, in upper or lower case; `ending` alone is no name. */
int name_ends_in(const char *path, size_t size, const char *ending);

typedef struct texts texts;

/* The sentences in error[] and hint[] begin behind the file's name: "line 5, byte 7: ...". hint[] may stay "". */
typedef struct texts_problem {
    char error[1024], hint[256];
} texts_problem;

/* NULL on failure. The options are copied, but their field name is not. */
texts *texts_open(const char *path, const texts_options *options, uint32_t input_number, texts_problem *problem);
void   texts_close(texts *in);

typedef enum texts_result {
    TEXTS_END,     /* the input is read to its end */
    TEXTS_FULL,    /* the window has reached its size */
    TEXTS_WAITING, /* the next text is not there yet: a good moment to use those that are */
    TEXTS_INTERRUPTED,
    TEXTS_ERROR /* see the problem; the texts read before it are in the window */
} texts_result;

/* Appends texts until the window holds max_texts texts, or max_bytes bytes of texts and labels. TEXTS_WAITING only if
 * it holds any. */
texts_result texts_fill(texts *in, text_window *window, size_t max_texts, size_t max_bytes, texts_problem *problem);

uint64_t texts_position(const texts *in); /* bytes read, as stored */

#endif
