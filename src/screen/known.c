/* SPDX-License-Identifier: Apache-2.0
 * Tables of pages: the PMIDs of a file, and of MEDLINE, lie close together, so that pages of neighbours need no key for
 * each. Pages are found by a hash table with open addressing, seeded so that nobody can choose colliding PMIDs. */
#include "known.h"

#include "alloc.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define PAGE_BITS 5
#define PAGE (1u << PAGE_BITS)
#define BLOCK 256 /* pages allocated at a time; they never move */

#define ABSENT 0
#define DELETED (-1)

typedef struct page {
    uint64_t hash[PAGE];
    int32_t  version[PAGE]; /* or ABSENT or DELETED */
} page;

typedef struct place_entry {
    uint64_t key;  /* PMID >> PAGE_BITS */
    page    *page; /* NULL = free */
} place_entry;

typedef struct table {
    struct table *older; /* the table of the file before */
    place_entry  *places;
    size_t        n_places, capacity; /* capacity: a power of two, or 0 */
    page        **blocks;
    size_t        n_blocks, blocks_capacity, left; /* left: pages of the last block that are not used yet */
    uint64_t      seed;
} table;

struct ade_known {
    ade_state            *state;
    const ade_input_file *file;
    bool                  confirmed; /* files stay apart until they are */
    bool                  apart;
    pthread_mutex_t       lock;      /* guards the list of tables (not what is in them) */
    table                *newest;    /* the present file's; behind it those not yet confirmed, or the one of all before */
};

/* ---- A table ------------------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t x) { /* the finaliser of MurmurHash3 */
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

static table *table_new(void) {
    table *t = ade__calloc(1, sizeof *t);
    if (!t) return NULL;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    t->seed = mix((uint64_t)(uintptr_t)t ^ ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec);
    return t;
}

static void table_free(table *t) {
    if (!t) return;
    for (size_t i = 0; i < t->n_blocks; i++) ade__free(t->blocks[i]);
    ade__free(t->blocks);
    ade__free(t->places);
    ade__free(t);
}

static place_entry *place_of(place_entry *places, size_t capacity, uint64_t seed, uint64_t key) {
    size_t i = (size_t)mix(key ^ seed) & (capacity - 1);
    while (places[i].page && places[i].key != key) i = (i + 1) & (capacity - 1);
    return &places[i];
}

static ade_status grow(table *t) {
    const size_t capacity = t->capacity ? t->capacity * 2 : 64;
    place_entry *places = ade__calloc(capacity, sizeof *places);
    if (!places) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->places[i].page) *place_of(places, capacity, t->seed, t->places[i].key) = t->places[i];
    ade__free(t->places);
    t->places = places;
    t->capacity = capacity;
    return ADE_OK;
}

static page *find_page(const table *t, uint64_t key) {
    return t->capacity ? place_of(t->places, t->capacity, t->seed, key)->page : NULL;
}

static ade_status need_page(table *t, uint64_t key, page **out) {
    if ((*out = find_page(t, key)) != NULL) return ADE_OK;
    if (t->n_places >= t->capacity / 4 * 3 && grow(t)) return ADE_OUT_OF_MEMORY;
    if (!t->left) {
        if (ade__reserve(&t->blocks, &t->blocks_capacity, t->n_blocks + 1, sizeof *t->blocks)) return ADE_OUT_OF_MEMORY;
        page *block = ade__calloc(BLOCK, sizeof *block);
        if (!block) return ADE_OUT_OF_MEMORY;
        t->blocks[t->n_blocks++] = block;
        t->left = BLOCK;
    }
    place_entry *place = place_of(t->places, t->capacity, t->seed, key);
    *place = (place_entry){key, &t->blocks[t->n_blocks - 1][BLOCK - t->left--]};
    t->n_places++;
    *out = place->page;
    return ADE_OK;
}

static ade_status table_put(table *t, int64_t pmid, int32_t version, uint64_t hash) {
    page *p;
    if (need_page(t, (uint64_t)pmid >> PAGE_BITS, &p)) return ADE_OUT_OF_MEMORY;
    p->version[(uint64_t)pmid % PAGE] = version;
    p->hash[(uint64_t)pmid % PAGE] = hash;
    return ADE_OK;
}

static int32_t table_get(const table *t, int64_t pmid, uint64_t *hash) {
    const page *p = find_page(t, (uint64_t)pmid >> PAGE_BITS);
    if (!p) return ABSENT;
    *hash = p->hash[(uint64_t)pmid % PAGE];
    return p->version[(uint64_t)pmid % PAGE];
}

static ade_status table_merge(table *to, const table *from) {
    for (size_t i = 0; i < from->capacity; i++) {
        const page *p = from->places[i].page;
        if (!p) continue;
        for (unsigned k = 0; k < PAGE; k++)
            if (p->version[k] != ABSENT &&
                table_put(to, (int64_t)(from->places[i].key << PAGE_BITS | k), p->version[k], p->hash[k]))
                return ADE_OUT_OF_MEMORY;
    }
    return ADE_OK;
}

/* ---- What is known ------------------------------------------------------------------------------------------------ */

ade_status ade__known_new(ade_state *state, bool confirmed, bool apart, ade_known **out) {
    ade_known *k = ade__calloc(1, sizeof *k);
    if (!k) return ADE_OUT_OF_MEMORY;
    k->state = state;
    k->confirmed = confirmed;
    k->apart = apart;
    pthread_mutex_init(&k->lock, NULL);
    *out = k;
    return ADE_OK;
}

void ade__known_free(ade_known *k) {
    if (!k) return;
    while (k->newest) {
        table *t = k->newest;
        k->newest = t->older;
        table_free(t);
    }
    pthread_mutex_destroy(&k->lock);
    ade__free(k);
}

ade_status ade__known_begin_file(ade_known *k, const ade_input_file *file) {
    k->file = file;
    table *t = table_new();
    if (!t) return ADE_OUT_OF_MEMORY;
    if (!k->confirmed && k->newest && k->newest->older) { /* the file before is sure now: it goes to those before it */
        table *before = k->newest;
        if (table_merge(before->older, before)) {
            table_free(t);
            return ADE_OUT_OF_MEMORY;
        }
        k->newest = before->older;
        table_free(before);
    }
    pthread_mutex_lock(&k->lock);
    t->older = k->newest;
    k->newest = t;
    pthread_mutex_unlock(&k->lock);
    return ADE_OK;
}

void ade__known_fail_file(ade_known *k) {
    if (!k->newest) return;
    pthread_mutex_lock(&k->lock);
    table *t = k->newest;
    k->newest = t->older;
    pthread_mutex_unlock(&k->lock);
    table_free(t);
}

void ade__known_confirmed(ade_known *k) {
    if (!k->confirmed) return;
    pthread_mutex_lock(&k->lock);
    table **last = &k->newest, *t;
    while (*last && (*last)->older) last = &(*last)->older;
    t = *last;
    *last = NULL;
    pthread_mutex_unlock(&k->lock);
    table_free(t);
}

/* Looks into this run's tables, the newest first, then into the store: a file's table goes only after the store has all
 * of it. */
static ade_status find(ade_known *k, int64_t pmid, ade_state_record *found) {
    *found = (ade_state_record){0};
    pthread_mutex_lock(&k->lock);
    for (const table *t = k->newest; t && !found->known; t = t->older) {
        const int32_t version = table_get(t, pmid, &found->hash);
        if (version == ABSENT) continue;
        found->known = true;
        found->deleted = version == DELETED;
        found->version = version;
    }
    pthread_mutex_unlock(&k->lock);
    return found->known || !k->state ? ADE_OK : ade__state_find(k->state, pmid, found);
}

/* Whether what is known comes from a later file of NLM than the present one. */
static bool from_later_file(const ade_known *k, const ade_state_record *found) {
    if (!found->numbered || !k->file->of_nlm) return false;
    return found->year != k->file->year ? found->year > k->file->year : found->number > k->file->number;
}

ade_status ade__known_note(ade_known *k, int64_t pmid, int32_t version, uint64_t hash, ade_novelty *novelty) {
    ade_state_record found;
    ade_status       status = find(k, pmid, &found);
    if (status) return status;
    const bool later = from_later_file(k, &found);
    if (!found.known)
        *novelty = ADE_NOVELTY_NEW;
    else if (found.deleted)
        *novelty = later ? ADE_NOVELTY_SUPERSEDED : ADE_NOVELTY_NEW;
    else if (version < found.version || (version == found.version && later))
        *novelty = ADE_NOVELTY_SUPERSEDED;
    else
        *novelty = hash == found.hash && (version == found.version || !k->apart) ? ADE_NOVELTY_UNCHANGED
                                                                                 : ADE_NOVELTY_REVISED;
    return *novelty == ADE_NOVELTY_SUPERSEDED ? ADE_OK : table_put(k->newest, pmid, version, hash);
}

ade_status ade__known_delete(ade_known *k, int64_t pmid, bool *applies) {
    ade_state_record found;
    ade_status       status = find(k, pmid, &found);
    if (status) return status;
    *applies = !from_later_file(k, &found);
    return *applies ? table_put(k->newest, pmid, DELETED, 0) : ADE_OK;
}
