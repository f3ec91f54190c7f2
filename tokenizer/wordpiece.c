/* SPDX-License-Identifier: Apache-2.0
 * A word into pieces of the vocabulary: the longest match first, and all or nothing. */
#include "tokenizer_internal.h"

size_t ade__wordpiece_cut(const ade__wordpiece *wordpiece, const unsigned char *word, size_t size, int32_t *ids,
                          uint32_t *ends) {
    const ade__trie *vocab = wordpiece->vocab;
    if (size > wordpiece->max_chars) { /* only then can it have so many characters */
        size_t chars = 0;
        for (size_t i = 0; i < size; i++) chars += (word[i] & 0xc0) != 0x80;
        if (chars > wordpiece->max_chars) return 0;
    }
    size_t   n = 0;
    uint32_t node = ADE_TRIE_ROOT;
    for (size_t start = 0; start < size; node = wordpiece->continuing) {
        size_t  end = start;
        int32_t id = -1;
        for (size_t at = start; at < size && node != ADE_TRIE_NONE;) {
            node = ade__trie_step(vocab, node, word[at++]);
            if (node != ADE_TRIE_NONE && vocab->slots[node].id >= 0) {
                id = vocab->slots[node].id;
                end = at;
            }
        }
        if (id < 0) return 0;
        ids[n] = id;
        ends[n++] = (uint32_t)end;
        start = end;
    }
    return n;
}
