/* SPDX-License-Identifier: Apache-2.0
 * What the files of the tokenizer share; seen by tokenizer/ and its tests only. */
#ifndef ADE_TOKENIZER_INTERNAL_H
#define ADE_TOKENIZER_INTERNAL_H

#include "characters.h"
#include "scan.h"
#include "tokenizer.h"
#include "word_cache.h"

/* ---- vocab.c: a byte trie ---------------------------------------------------------------------------------------- */

/* A node, as the walk to it ends: base << ADE_TRIE_BASE | ADE_TRIE_LEAF, when a string ends here, | the last byte. */
#define ADE_TRIE_BASE 9
#define ADE_TRIE_LEAF 0x100u
#define ADE_TRIE_NONE 0xffu /* no node: the byte is none of UTF-8, and there is nothing behind it */

typedef struct ade__trie {
    uint32_t *units; /* the node that each slot holds, or ADE_TRIE_NONE */
    int32_t  *ids;   /* value of the string that ends in a slot; -1 when none does */
    uint32_t  root;
} ade__trie;

typedef struct ade__trie_entry {
    const unsigned char *data; /* UTF-8 */
    size_t               size, rank; /* of equal strings that of the highest rank stays */
    int32_t              id;
} ade__trie_entry;

/* Sorts `entries`; keeps nothing of them. *n_unique may be NULL. Empty strings are counted, not stored. */
ade_status ade__trie_build(ade__trie_entry *entries, size_t n, ade__trie *out, size_t *n_unique);
void       ade__trie_clear(ade__trie *trie);

/* The node that `byte` leads to from `node`, and its slot; or ADE_TRIE_NONE. From ADE_TRIE_NONE nothing leads on. */
static inline uint32_t ade__trie_step(const ade__trie *trie, uint32_t node, unsigned char byte, uint32_t *slot) {
    uint32_t next = trie->units[*slot = node >> ADE_TRIE_BASE ^ byte];
    return (next & 0xff) == byte ? next : ADE_TRIE_NONE;
}

/* The node that a string leads to from the root, and its slot unless the string is empty; or ADE_TRIE_NONE. */
uint32_t ade__trie_walk(const ade__trie *trie, const unsigned char *data, size_t size, uint32_t *slot);
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

#define ADE_NORMALIZED_SLACK 32

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

/* ---- The tokenizer ----------------------------------------------------------------------------------------------- */

struct ade_tokenizer {
    uint64_t          serial; /* never 0, differs between all tokenizers of the process */
    ade__trie         vocab;
    ade__wordpiece    wordpiece;
    ade__word        *words; /* that are tokens: what a cache begins with */
    ade__normalizer   normalizer;
    ade__scan_classes classes;
    ade__scan_fn     *scan;
    bool              wide; /* ids do not fit 16 bits */
    int32_t           unk_id, cls_id, sep_id, pad_id;
    size_t            prefix_size; /* bytes of "##" */
    ade__added       *added;
    ade__added_set    raw, normalized; /* first pass, second pass */
    char             *token_bytes;     /* all tokens, each with a final NUL */
    size_t           *token_starts;    /* (size + 1) */
    uint32_t         *entry_sizes;     /* of the vocabulary's entries; an added token may have the id of one */
    int32_t           size;
};

/* Ids of a word that the cache can hold. */
static inline size_t ade__most_ids(const ade_tokenizer *tokenizer) {
    return tokenizer->wide ? ADE_WIDE_IDS : ADE_NARROW_IDS;
}

/* What the cache holds of a word or stretch with `n` ids. */
static inline void ade__describe(const ade_tokenizer *tokenizer, ade__key key, const int32_t *ids, size_t n,
                                 ade__word *out) {
    unsigned about = (unsigned)n;
    *out = (ade__word){.key = key};
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == tokenizer->unk_id) about |= ADE_WORD_UNKNOWN;
        if (tokenizer->wide)
            out->ids.wide[i] = ids[i];
        else
            out->ids.narrow[i] = (uint16_t)ids[i];
    }
    if (tokenizer->wide)
        out->ids.wide[3] = (int32_t)about;
    else
        out->ids.narrow[7] = (uint16_t)about;
}

/* Bytes of a word that a piece of it takes. */
static inline size_t ade__piece_size(const ade_tokenizer *tokenizer, int32_t id, bool continuing) {
    return tokenizer->entry_sizes[id] - (continuing ? tokenizer->prefix_size : 0);
}

#define ADE_FRESH 128 /* words that wait to be put into the cache */

struct ade_tokenizer_scratch {
    ade__window      window;
    ade__word        fresh[ADE_FRESH];
    size_t           n_fresh;
    ade__word_cache  cache;
    uint64_t         serial; /* of the tokenizer that the cache belongs to */
    int32_t         *ids;
    uint32_t        *starts, *ends;
    size_t           ids_capacity, starts_capacity, ends_capacity;
    uint32_t        *piece_ends; /* of one word */
    unsigned char   *word;       /* a long word in lower case */
    size_t           piece_ends_capacity, word_capacity;
    ade__normalized  normalized;
};

#endif
