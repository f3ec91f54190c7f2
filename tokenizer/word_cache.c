/* SPDX-License-Identifier: Apache-2.0 */
#include "word_cache.h"

#include "alloc.h"

const unsigned char ade__key_masks[2 * ADE_KEY_BYTES] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                         255, 255, 255, 255, 255, 255, 255, 255};

_Static_assert(sizeof(ade__word) == 32, "two words make a cache line");
_Static_assert(sizeof(ade__long_word) == 128, "two cache lines");

ade__word *ade__words_new(void) {
    ade__word *words = ade__aligned_malloc((size_t)2 << ADE_WORD_SETS, sizeof *words);
    if (words) memset(words, 0, sizeof *words << (ADE_WORD_SETS + 1)); /* all zeros are no word's key */
    return words;
}

int ade__word_cache_new(const ade__word *first, ade__word_cache *out) {
    out->words = ade__aligned_malloc((size_t)2 << ADE_WORD_SETS, sizeof *out->words);
    out->long_words = ade__aligned_malloc((size_t)1 << ADE_LONG_WORDS, sizeof *out->long_words);
    if (out->words && out->long_words) {
        ade__word_cache_forget(out, first);
        return 0;
    }
    ade__word_cache_free(out);
    return -1;
}

void ade__word_cache_forget(ade__word_cache *cache, const ade__word *first) {
    memcpy(cache->words, first, sizeof *cache->words << (ADE_WORD_SETS + 1));
    memset(cache->long_words, 0, sizeof *cache->long_words << ADE_LONG_WORDS);
}

void ade__word_cache_free(ade__word_cache *cache) {
    ade__aligned_free(cache->words);
    ade__aligned_free(cache->long_words);
    *cache = (ade__word_cache){0};
}
