/* SPDX-License-Identifier: Apache-2.0
 * Strings to ids: a byte trie in a double array. The children of a node are the slots whose number is the node's base
 * XOR their byte, and a slot holds the byte that leads to it: a step is one load of four bytes, and as no two nodes
 * share a base, the byte alone says whether the child is the node's own.
 *
 * As only the low eight bits are XORed, all children of a node lie in one block of 256 slots. A node takes the first
 * place that fits in one of a few open blocks; a block in which too many nodes found none is closed. So building takes
 * time in proportion to the vocabulary, however it was made. */
#include "tokenizer_internal.h"

#include "alloc.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NODES (((size_t)1 << 23) / 4 * 3)
#define MAX_SLOTS ((size_t)1 << 23) /* a base has 23 bits */
#define BLOCK     256
#define MOST_OPEN 8
#define MOST_TRIES 24

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

/* Entries [first, end) begin with the `depth` bytes that lead to `slot`. */
typedef struct node {
    size_t   first, end, depth;
    uint32_t slot;
} node;

#define ROOT_SLOT UINT32_MAX

typedef struct open_block {
    uint32_t number;
    int      tries;
} open_block;

typedef struct builder {
    const ade__trie_entry *entries;
    ade__trie             *trie;
    node                  *stack;
    size_t                 n_stack, stack_capacity, n_slots, units_capacity, ids_capacity;
    uint64_t              *taken, *bases; /* a bit for each slot: it is somebody's child; it is somebody's base */
    size_t                 taken_capacity, bases_capacity;
    open_block             open[MOST_OPEN];
    int                    n_open;
} builder;

static bool bit(const uint64_t *bits, size_t i) { return bits[i / 64] >> i % 64 & 1; }
static void set_bit(uint64_t *bits, size_t i) { bits[i / 64] |= UINT64_C(1) << i % 64; }

static ade_status add_block(builder *b) {
    size_t n = b->n_slots + BLOCK;
    if (n > MAX_SLOTS)
        return ade__fail(ADE_UNSUPPORTED, "the strings of a vocabulary need more than the %zu slots that there can be",
                         MAX_SLOTS);
    if (ade__reserve(&b->trie->units, &b->units_capacity, n, sizeof *b->trie->units) ||
        ade__reserve(&b->trie->ids, &b->ids_capacity, n, sizeof *b->trie->ids) ||
        ade__reserve(&b->taken, &b->taken_capacity, n / 64, sizeof *b->taken) ||
        ade__reserve(&b->bases, &b->bases_capacity, n / 64, sizeof *b->bases))
        return ADE_OUT_OF_MEMORY;
    for (size_t i = b->n_slots; i < n; i++) {
        b->trie->units[i] = ADE_TRIE_NONE;
        b->trie->ids[i] = -1;
    }
    memset(b->taken + b->n_slots / 64, 0, BLOCK / 8);
    memset(b->bases + b->n_slots / 64, 0, BLOCK / 8);
    if (b->n_slots == 0) set_bit(b->bases, 0); /* that of a node without children */
    if (b->n_open == MOST_OPEN) {
        memmove(b->open, b->open + 1, (MOST_OPEN - 1) * sizeof *b->open);
        b->n_open--;
    }
    b->open[b->n_open++] = (open_block){(uint32_t)(b->n_slots / BLOCK), 0};
    b->n_slots = n;
    return ADE_OK;
}

/* A base in `block` for children with these bytes; 0: none. */
static uint32_t place_in(const builder *b, uint32_t block, const unsigned char *bytes, size_t n) {
    for (size_t word = 0; word < BLOCK / 64; word++)
        for (uint64_t free = ~b->taken[block * (BLOCK / 64) + word]; free; free &= free - 1) {
            uint32_t slot = block * BLOCK + (uint32_t)(64 * word) + (uint32_t)__builtin_ctzll(free);
            uint32_t base = slot ^ bytes[0];
            size_t   fits = 1;
            if (bit(b->bases, base)) continue;
            while (fits < n && !bit(b->taken, base ^ bytes[fits])) fits++;
            if (fits == n) return base;
        }
    return 0;
}

static ade_status place(builder *b, const unsigned char *bytes, size_t n, uint32_t *base) {
    for (int i = 0; i < b->n_open;) {
        *base = place_in(b, b->open[i].number, bytes, n);
        if (*base) return ADE_OK;
        if (++b->open[i].tries < MOST_TRIES) {
            i++;
            continue;
        }
        memmove(b->open + i, b->open + i + 1, (size_t)(b->n_open - i - 1) * sizeof *b->open);
        b->n_open--;
    }
    ADE_TRY(add_block(b));
    *base = place_in(b, b->open[b->n_open - 1].number, bytes, n); /* block 0 is never so empty: its base 0 is taken */
    return *base ? ADE_OK : ade__fail(ADE_INTERNAL, "a node of a trie found no place in an empty block");
}

static ade_status add_children(builder *b, const node *parent) {
    unsigned char bytes[BLOCK];
    size_t        starts[BLOCK + 1], n = 0, at = parent->first;
    uint32_t      base;
    while (at < parent->end && b->entries[at].size == parent->depth) { /* of equal strings the last one's id stays */
        if (parent->slot != ROOT_SLOT) b->trie->ids[parent->slot] = b->entries[at].id;
        at++;
    }
    if (parent->slot != ROOT_SLOT && at > parent->first) b->trie->units[parent->slot] |= ADE_TRIE_LEAF;
    for (; at < parent->end; at++) {
        unsigned char byte = b->entries[at].data[parent->depth];
        if (n && bytes[n - 1] == byte) continue;
        starts[n] = at;
        bytes[n++] = byte;
    }
    if (!n) return ADE_OK;
    starts[n] = parent->end;
    ADE_TRY(place(b, bytes, n, &base));
    set_bit(b->bases, base);
    if (parent->slot == ROOT_SLOT)
        b->trie->root = base << ADE_TRIE_BASE;
    else
        b->trie->units[parent->slot] |= base << ADE_TRIE_BASE;
    if (ade__reserve(&b->stack, &b->stack_capacity, b->n_stack + n, sizeof *b->stack)) return ADE_OUT_OF_MEMORY;
    for (size_t i = n; i-- > 0;) {
        uint32_t slot = base ^ bytes[i];
        b->trie->units[slot] = bytes[i];
        set_bit(b->taken, slot);
        b->stack[b->n_stack++] = (node){starts[i], starts[i + 1], parent->depth + 1, slot};
    }
    return ADE_OK;
}

ade_status ade__trie_build(ade__trie_entry *entries, size_t n, ade__trie *out, size_t *n_unique) {
    size_t     nodes = 0, unique = 0;
    builder    b = {.entries = entries, .trie = out};
    ade_status status;
    *out = (ade__trie){0};
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++) {
        size_t shared = i ? common_prefix(&entries[i - 1], &entries[i]) : 0;
        nodes += entries[i].size - shared;
        unique += i == 0 || entries[i].size != entries[i - 1].size || shared != entries[i].size;
    }
    if (nodes > MAX_NODES)
        return ade__fail(ADE_UNSUPPORTED, "a vocabulary of %zu different strings needs %zu nodes, and at most %zu fit",
                         unique, nodes, MAX_NODES);
    ADE_TRY_GOTO(add_block(&b), done);
    node next = {0, n, 0, ROOT_SLOT};
    for (;;) {
        ADE_TRY_GOTO(add_children(&b, &next), done);
        if (!b.n_stack) break;
        next = b.stack[--b.n_stack];
    }
    if (n_unique) *n_unique = unique;
done:
    ade__free(b.stack);
    ade__free(b.taken);
    ade__free(b.bases);
    if (status) ade__trie_clear(out);
    return status;
}

void ade__trie_clear(ade__trie *trie) {
    ade__free(trie->units);
    ade__free(trie->ids);
    *trie = (ade__trie){0};
}

uint32_t ade__trie_walk(const ade__trie *trie, const unsigned char *data, size_t size, uint32_t *slot) {
    uint32_t at = trie->root;
    for (size_t i = 0; i < size && at != ADE_TRIE_NONE; i++) at = ade__trie_step(trie, at, data[i], slot);
    return at;
}

int32_t ade__trie_find(const ade__trie *trie, const unsigned char *data, size_t size) {
    uint32_t slot = 0, at = size ? ade__trie_walk(trie, data, size, &slot) : ADE_TRIE_NONE;
    return at == ADE_TRIE_NONE || !(at & ADE_TRIE_LEAF) ? -1 : trie->ids[slot];
}
