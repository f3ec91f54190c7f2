/* SPDX-License-Identifier: Apache-2.0
 * A word into pieces of the vocabulary: the longest match first, and all or nothing. */
#include "tokenizer_internal.h"

static bool too_many_chars(const unsigned char *word, size_t size, size_t most) {
    size_t chars = 0;
    if (size <= most) return false;
    for (size_t i = 0; i < size; i++) chars += (word[i] & 0xc0) != 0x80;
    return chars > most;
}

size_t ade__wordpiece_cut(const ade__wordpiece *wordpiece, const unsigned char *word, size_t size, int32_t *ids,
                          uint32_t *ends) {
    const ade__trie *vocab = wordpiece->vocab;
    size_t           n = 0;
    uint32_t         from = vocab->root;
    if (too_many_chars(word, size, wordpiece->max_chars)) return 0;
    for (size_t start = 0; start < size; from = wordpiece->continuing) {
        size_t   end = start;
        uint32_t node = from, slot = 0, last = 0;
        for (size_t at = start; at < size;) {
            node = ade__trie_step(vocab, node, word[at], &slot);
            if (node == ADE_TRIE_NONE) break;
            at++;
            if (node & ADE_TRIE_LEAF) {
                last = slot;
                end = at;
            }
        }
        if (end == start) return 0;
        ids[n] = vocab->ids[last];
        ends[n++] = (uint32_t)end;
        start = end;
    }
    return n;
}
