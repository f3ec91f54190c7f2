/* SPDX-License-Identifier: Apache-2.0
 * Strings to ids: a byte trie whose edges live in one hash table, 8 bytes each, so that a step is one probe and
 * building takes time in proportion to the vocabulary. */
#include "tokenizer_internal.h"

#include "alloc.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SLOTS ((size_t)1 << 23) /* a slot number and a byte share 32 bits, and the root's number stays free */

static int compare(const void *a, const void *b) {
    const ade__trie_entry *x = a, *y = b;
    size_t                 common = x->size < y->size ? x->size : y->size;
    int                    order = common ? memcmp(x->data, y->data, common) : 0;
    if (order) return order;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static size_t common_prefix(const ade__trie_entry *a, const ade__trie_entry *b) {
    size_t n = 0;
    while (n < a->size && n < b->size && a->data[n] == b->data[n]) n++;
    return n;
}

static void insert(ade__trie *trie, const ade__trie_entry *entry) {
    uint32_t node = ADE_TRIE_ROOT;
    for (size_t i = 0; i < entry->size; i++) {
        uint32_t key = node << 8 | entry->data[i];
        node = key * 0x9e3779b1u >> trie->shift;
        while (trie->slots[node].key != key && trie->slots[node].key != ADE_TRIE_FREE) node = (node + 1) & trie->mask;
        trie->slots[node].key = key;
    }
    trie->slots[node].id = entry->id;
}

ade_status ade__trie_build(ade__trie_entry *entries, size_t n, ade__trie *out, size_t *n_unique) {
    size_t nodes = 0, unique = 0, slots = 256;
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++) {
        size_t shared = i ? common_prefix(&entries[i - 1], &entries[i]) : 0;
        nodes += entries[i].size - shared;
        unique += i == 0 || entries[i].size != entries[i - 1].size || shared != entries[i].size;
    }
    if (nodes > MAX_SLOTS / 4 * 3)
        return ade__fail(ADE_UNSUPPORTED, "a vocabulary of %zu different strings needs %zu nodes, and at most %zu fit",
                         unique, nodes, MAX_SLOTS / 4 * 3);
    while (slots < 2 * nodes && slots < MAX_SLOTS) slots *= 2;
    out->slots = ade__malloc(slots * sizeof *out->slots);
    if (!out->slots) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < slots; i++) out->slots[i] = (ade__trie_slot){ADE_TRIE_FREE, -1};
    out->mask = (uint32_t)(slots - 1);
    out->shift = (unsigned)__builtin_clz((unsigned)slots) + 1;
    for (size_t i = 0; i < n; i++)
        if (entries[i].size) insert(out, &entries[i]); /* of equal strings the last, of the highest rank, stays */
    if (n_unique) *n_unique = unique;
    return ADE_OK;
}

void ade__trie_clear(ade__trie *trie) {
    ade__free(trie->slots);
    *trie = (ade__trie){0};
}

uint32_t ade__trie_walk(const ade__trie *trie, const unsigned char *data, size_t size) {
    uint32_t node = ADE_TRIE_ROOT;
    for (size_t i = 0; i < size && node != ADE_TRIE_NONE; i++) node = ade__trie_step(trie, node, data[i]);
    return node;
}

int32_t ade__trie_find(const ade__trie *trie, const unsigned char *data, size_t size) {
    uint32_t node = size ? ade__trie_walk(trie, data, size) : ADE_TRIE_NONE;
    return node == ADE_TRIE_NONE ? -1 : trie->slots[node].id;
}
