/* SPDX-License-Identifier: Apache-2.0
 * The words of a text as scikit-learn's vectorizers find them: Python's re.findall(r"(?u)\b\w\w+\b", text.lower()), with
 * accents stripped in between where that is wanted. Nothing here depends on the locale or on the processor. */
#ifndef ADE_WORDS_H
#define ADE_WORDS_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ade_accents {
    ADE_ACCENTS_KEPT,
    ADE_ACCENTS_UNICODE, /* compatibility decomposition, without combining characters */
    ADE_ACCENTS_ASCII    /* the same, and without all that is not ASCII then */
} ade_accents;

typedef struct ade_words_options {
    bool             lowercase; /* str.lower(), before accents are stripped */
    ade_accents      accents;
    ade_invalid_utf8 invalid; /* REPLACE: each maximal invalid part is U+FFFD, which is no letter */
} ade_words_options;

typedef struct ade_word {
    uint64_t hash;
    size_t   at, size;   /* its bytes: ade_words.bytes[at, at + size); a space and the next word follow */
    uint32_t start, end; /* where it comes from: bytes [start, end) of the text */
} ade_word;

/* Reads a text's words, some hundred at a time, so that memory does not grow with the text. Zeroed = empty; may be begun
 * again and again, which keeps its memory. */
typedef struct ade_words {
    ade_word      *items; /* (n) */
    size_t         n;
    unsigned char *bytes;
    int32_t        replaced; /* invalid parts so far */

    /* its own */
    ade_words_options    options;
    const unsigned char *text;
    size_t               size, next; /* of the text; the next byte of it */
    size_t               n_bytes, items_capacity, bytes_capacity;
} ade_words;

void ade__words_begin(ade_words *words, const ade_words_options *options, ade_text text);

/* Reads on. The last `keep` of the items stay, at the front; the others go. *more is false once the text has ended.
 * ADE_BAD_INPUT (invalid UTF-8; a text above 4 GiB), ADE_OUT_OF_MEMORY. */
ade_status ade__words_read(ade_words *words, size_t keep, bool *more);
void       ade__words_clear(ade_words *words);

/* The hash of a word's bytes. */
static inline uint64_t ade__word_hash_start(void) { return UINT64_C(0xcbf29ce484222325); }
static inline uint64_t ade__word_hash_add(uint64_t hash, unsigned char byte) {
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

#endif
