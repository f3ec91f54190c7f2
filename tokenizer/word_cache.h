/* SPDX-License-Identifier: Apache-2.0
 * Words to ids in one look: a cache of bounded size that each thread has of its own. It begins with the words that are
 * tokens, as many as find room, and goes on with the words that it sees. */
#ifndef ADE_WORD_CACHE_H
#define ADE_WORD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

#define ADE_KEY_BYTES 16

/* A word of at most ADE_KEY_BYTES bytes, none of them NUL, then NULs. */
typedef struct ade__key {
    uint64_t low, high;
} ade__key;

extern const unsigned char ade__key_masks[2 * ADE_KEY_BYTES]; /* ones, then zeros */

/* 16 bytes may be read, the first `size` of them count. */
static inline ade__key ade__key_load(const unsigned char *bytes, size_t size) {
    ade__key             key, mask;
    const unsigned char *masks = ade__key_masks + ADE_KEY_BYTES - size;
    memcpy(&key.low, bytes, 8);
    memcpy(&key.high, bytes + 8, 8);
    memcpy(&mask.low, masks, 8);
    memcpy(&mask.high, masks + 8, 8);
    return (ade__key){key.low & mask.low, key.high & mask.high};
}

/* The upper bits are the good ones. Multipliers: 2^64 / golden ratio, and one of MurmurHash3's finalizer. */
static inline uint64_t ade__key_hash(ade__key key) {
    uint64_t mixed = key.low ^ key.high * UINT64_C(0xff51afd7ed558ccd);
    return (mixed ^ mixed >> 29) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- The cache --------------------------------------------------------------------------------------------------- */

/* 32 bytes, so that a set of two lies in one cache line. Ids are 16 bits wide where the vocabulary allows. */
typedef struct ade__word {
    ade__key key;
    union {
        uint16_t narrow[8]; /* ids, then in [7] as below */
        int32_t  wide[4];   /* ids, then in [3] */
    } ids;
} ade__word;

#define ADE_WORD_COUNT   0xffu  /* number of ids */
#define ADE_WORD_UNKNOWN 0x100u /* [UNK] is among them */
#define ADE_WORD_SLOW    0x200u /* none of this: it has to be put by hand */
#define ADE_NARROW_IDS   7
#define ADE_WIDE_IDS     3
#define ADE_WORD_SETS    14     /* log2; 1 MiB: the words of some thousand abstracts */

/* What does not fit: longer words, and words of more pieces. */
#define ADE_LONG_BYTES 32
#define ADE_LONG_IDS   22
#define ADE_LONG_WORDS 10 /* log2; 128 KiB */

typedef struct ade__long_word {
    uint64_t key[ADE_LONG_BYTES / 8]; /* the bytes, then NULs */
    int32_t  n, ids[ADE_LONG_IDS];
    int32_t  unused;
} ade__long_word;

typedef struct ade__word_cache {
    ade__word      *words;      /* (2 << ADE_WORD_SETS); of a set the first came last */
    ade__long_word *long_words; /* (1 << ADE_LONG_WORDS) */
} ade__word_cache;

/* What a cache begins with: (2 << ADE_WORD_SETS) words, to be freed by ade__aligned_free; NULL when out of memory. */
ade__word *ade__words_new(void);

int  ade__word_cache_new(const ade__word *first, ade__word_cache *out); /* 0 on success, -1 when out of memory */
void ade__word_cache_forget(ade__word_cache *cache, const ade__word *first); /* all but these */
void ade__word_cache_free(ade__word_cache *cache);

static inline ade__word *ade__word_set(ade__word *words, uint64_t hash) {
    return words + 2 * (size_t)(hash >> (64 - ADE_WORD_SETS));
}

/* 1 when any bit is set, else 0; said so that no compiler makes a branch of it. */
static inline uint64_t ade__any_bit(uint64_t bits) { return (bits | (0 - bits)) >> 63; }

/* NULL when it is not there. Which of the two it is takes no branch: it is as good as random. */
static inline const ade__word *ade__word_find(const ade__word *set, ade__key key) {
    uint64_t not_first = ade__any_bit((set[0].key.low ^ key.low) | (set[0].key.high ^ key.high));
    uint64_t not_second = ade__any_bit((set[1].key.low ^ key.low) | (set[1].key.high ^ key.high));
    if (__builtin_expect((not_first & not_second) != 0, 0)) return NULL;
    return set + not_first;
}

/* Puts a word in; of its set's two the older one is forgotten. */
static inline void ade__word_insert(ade__word *words, const ade__word *word) {
    ade__word *set = ade__word_set(words, ade__key_hash(word->key));
    if (ade__word_find(set, word->key)) return;
    set[1] = set[0];
    set[0] = *word;
}

/* Eight ids at once: what lies behind a word's last is overwritten later. */
static inline void ade__widen(const uint16_t narrow[8], int32_t out[8]) {
#ifdef __SSE2__
    __m128i eight = _mm_loadu_si128((const __m128i *)(const void *)narrow);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_unpacklo_epi16(eight, _mm_setzero_si128()));
    _mm_storeu_si128((__m128i *)(void *)(out + 4), _mm_unpackhi_epi16(eight, _mm_setzero_si128()));
#else
    for (size_t i = 0; i < 8; i++) out[i] = narrow[i];
#endif
}

static inline ade__long_word *ade__long_word_at(const ade__word_cache *cache, const uint64_t key[ADE_LONG_BYTES / 8]) {
    uint64_t a = ade__key_hash((ade__key){key[0], key[1]}), b = ade__key_hash((ade__key){key[2], key[3]});
    return cache->long_words + (((a ^ (b >> 17 | b << 47)) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - ADE_LONG_WORDS));
}

#endif
