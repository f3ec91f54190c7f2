/* SPDX-License-Identifier: Apache-2.0
 * What the files of the tokenizer share; seen by tokenizer/ and its tests only. */
#ifndef ADE_TOKENIZER_INTERNAL_H
#define ADE_TOKENIZER_INTERNAL_H

#include "characters.h"
#include "tokenizer.h"

/* ---- vocab.c: a byte trie ---------------------------------------------------------------------------------------- */

/* An edge of the trie. A node is the number of the slot that holds the edge leading to it. */
typedef struct ade__trie_slot {
    uint32_t key; /* parent node << 8 | byte; ADE_TRIE_FREE in an empty slot */
    int32_t  id;  /* value of the string that ends here; -1 when none does */
} ade__trie_slot;

#define ADE_TRIE_ROOT 0x00ffffffu /* above every slot number */
#define ADE_TRIE_NONE 0x01000000u
#define ADE_TRIE_FREE 0xffffffffu /* root and byte 0xff, which no UTF-8 text has */

typedef struct ade__trie {
    ade__trie_slot *slots; /* (mask + 1), open addressing, at most half full unless it is huge */
    uint32_t        mask;
    unsigned        shift; /* 32 - log2(mask + 1) */
} ade__trie;

typedef struct ade__trie_entry {
    const unsigned char *data;
    size_t               size, rank; /* of equal strings that of the highest rank stays */
    int32_t              id;
} ade__trie_entry;

/* Sorts `entries`; keeps nothing of them. *n_unique may be NULL. Empty strings are counted, not stored. */
ade_status ade__trie_build(ade__trie_entry *entries, size_t n, ade__trie *out, size_t *n_unique);
void       ade__trie_clear(ade__trie *trie);

/* The node that `byte` leads to, or ADE_TRIE_NONE. */
static inline uint32_t ade__trie_step(const ade__trie *trie, uint32_t node, unsigned char byte) {
    uint32_t key = node << 8 | byte, slot = key * 0x9e3779b1u >> trie->shift; /* 2^32 / golden ratio */
    for (;; slot = (slot + 1) & trie->mask) {
        uint32_t found = trie->slots[slot].key;
        if (found == key) return slot;
        if (found == ADE_TRIE_FREE) return ADE_TRIE_NONE;
    }
}

/* The node that a string leads to from the root, or ADE_TRIE_NONE. */
uint32_t ade__trie_walk(const ade__trie *trie, const unsigned char *data, size_t size);
/* The value of exactly this string, or -1. */
int32_t ade__trie_find(const ade__trie *trie, const unsigned char *data, size_t size);

/* ---- normalize.c ------------------------------------------------------------------------------------------------- */

typedef struct ade__normalizer {
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
} ade__normalizer;

typedef struct ade__mark {
    uint32_t c;
    uint8_t  combining;
    bool     added; /* stands for no character of its own in the text before NFD */
} ade__mark;

/* A normalized text and, for each of its bytes, which bytes of the original it stands for. */
typedef struct ade__normalized {
    unsigned char *bytes; /* readable for ADE_NORMALIZED_SLACK bytes more */
    uint32_t      *starts, *ends;
    size_t         size, bytes_capacity, starts_capacity, ends_capacity;
    /* NFD: marks that wait for the next starter, and the characters that they came from */
    ade__mark *marks, *sorted;
    uint32_t  *source_starts, *source_ends;
    size_t     n_marks, n_sources, marks_capacity, sorted_capacity, source_starts_capacity, source_ends_capacity;
    uint32_t   last_start, last_end; /* of the source used last */
} ade__normalized;

#define ADE_NORMALIZED_SLACK 16

/* Replaces out's text by bytes [from, to) of `text`, normalized. Invalid UTF-8 counts as U+FFFD. */
ade_status ade__normalize(const ade__normalizer *normalizer, const unsigned char *text, size_t from, size_t to,
                          ade__normalized *out);
void       ade__normalized_clear(ade__normalized *text);

/* ---- pretokenize.c ----------------------------------------------------------------------------------------------- */

/* The next word of bytes [*at, end) of a normalized (valid) text; false when there is none. */
bool ade__next_word(const unsigned char *bytes, size_t end, size_t *at, size_t *word_start, size_t *word_end);

/* ---- wordpiece.c ------------------------------------------------------------------------------------------------- */

typedef struct ade__wordpiece {
    const ade__trie *vocab;
    uint32_t         continuing; /* the node of "##" */
    size_t           max_chars;
} ade__wordpiece;

/* Cuts a word into at most `size` pieces: their ids and, counted from the word's start, their ends. 0: unknown. */
size_t ade__wordpiece_cut(const ade__wordpiece *wordpiece, const unsigned char *word, size_t size, int32_t *ids,
                          uint32_t *ends);

/* ---- added.c ----------------------------------------------------------------------------------------------------- */

typedef struct ade__added {
    int32_t id;
    bool    single_word, lstrip, rstrip, normalized, special;
} ade__added;

/* The added tokens that one of the two passes looks for. */
typedef struct ade__added_set {
    ade__trie         trie; /* its values are indices of `tokens` */
    const ade__added *tokens;
    size_t            n; /* patterns; 0: nothing to look for */
    bool              first[256];
    int               only_first; /* the byte with which all begin, or -1 */
} ade__added_set;

ade_status ade__added_set_build(ade__trie_entry *patterns, size_t n, const ade__added *tokens, ade__added_set *out);
void       ade__added_set_clear(ade__added_set *set);

/* Where a search stands: begin with zeros. Text before `done` has been handed out. */
typedef struct ade__added_scan {
    size_t at, done;
} ade__added_scan;

typedef struct ade__added_match {
    size_t  gap_start, gap_end; /* ordinary text before the token; may be empty */
    size_t  start, end;         /* the token with the white space that it swallows */
    int32_t id;
} ade__added_match;

/* The next added token of a text; false when only [scan->done, size) is left. */
bool ade__added_next(const ade__added_set *set, const unsigned char *text, size_t size, bool split_special,
                     ade__added_scan *scan, ade__added_match *match);

#endif
