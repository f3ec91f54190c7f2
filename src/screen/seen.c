/* SPDX-License-Identifier: Apache-2.0
 * A hash table with open addressing; a deleted PMID keeps its place, with version 0. */
#include "seen.h"

#include "alloc.h"

#define FIRST_CAPACITY 1024

struct ade_seen_entry {
    int64_t  pmid; /* 0 = free */
    uint64_t hash;
    int32_t  version; /* 0 = deleted */
};

static size_t slot_of(const ade_seen *seen, int64_t pmid) {
    const size_t mask = seen->capacity - 1;
    size_t       i = (size_t)(((uint64_t)pmid * 0x9e3779b97f4a7c15u) >> 20) & mask; /* Fibonacci hashing */
    while (seen->entries[i].pmid && seen->entries[i].pmid != pmid) i = (i + 1) & mask;
    return i;
}

static ade_status grow(ade_seen *seen) {
    ade_seen bigger = {NULL, seen->n, seen->capacity ? seen->capacity * 2 : FIRST_CAPACITY};
    bigger.entries = ade__calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < seen->capacity; i++)
        if (seen->entries[i].pmid) bigger.entries[slot_of(&bigger, seen->entries[i].pmid)] = seen->entries[i];
    ade__free(seen->entries);
    *seen = bigger;
    return ADE_OK;
}

ade_status ade__seen_note(ade_seen *seen, int64_t pmid, int32_t version, uint64_t hash, ade_novelty *novelty) {
    if (seen->n >= seen->capacity / 4 * 3) {
        ade_status status = grow(seen);
        if (status) return status;
    }
    struct ade_seen_entry *e = &seen->entries[slot_of(seen, pmid)];
    if (!e->pmid) seen->n++;
    if (e->version == 0)
        *novelty = ADE_NOVELTY_NEW;
    else if (version < e->version)
        *novelty = ADE_NOVELTY_SUPERSEDED;
    else
        *novelty = hash == e->hash ? ADE_NOVELTY_UNCHANGED : ADE_NOVELTY_REVISED;
    if (*novelty != ADE_NOVELTY_SUPERSEDED) *e = (struct ade_seen_entry){pmid, hash, version};
    return ADE_OK;
}

void ade__seen_delete(ade_seen *seen, int64_t pmid) {
    if (seen->capacity) seen->entries[slot_of(seen, pmid)].version = 0;
}

void ade__seen_free(ade_seen *seen) {
    ade__free(seen->entries);
    *seen = (ade_seen){0};
}

/* FNV-1a, 64 bits. The length goes first, so that moving a byte from one text to the next changes the hash. */
static uint64_t add(uint64_t hash, ade_text text) {
    const unsigned char *p = (const unsigned char *)text.data;
    for (int shift = 0; shift < 64; shift += 8) hash = (hash ^ ((uint64_t)text.size >> shift & 0xff)) * 0x100000001b3u;
    for (size_t i = 0; i < text.size; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

uint64_t ade__record_hash(const ade_record *record) {
    uint64_t hash = add(0xcbf29ce484222325u, record->title);
    for (size_t i = 0; i < record->n_sections; i++)
        hash = add(add(hash, record->sections[i].label), record->sections[i].text);
    return hash;
}
