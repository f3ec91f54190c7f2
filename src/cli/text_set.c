/* SPDX-License-Identifier: Apache-2.0
 * A set of texts, kept as digests of 128 bits in an open hash table: 16 bytes a text and room, whatever its length.
 * Two of a thousand million texts have the same digest with a probability of 1e-21. */
#include "labelled.h"

#include "exit_status.h"
#include "messages.h"
#include "text_set.h"

#include <stdlib.h>
#include <string.h>

/* ---- SipHash-2-4 with a digest of 128 bits (Aumasson and Bernstein) ---- */

static uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

static uint64_t little_endian(const unsigned char *from, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void mix(uint64_t v[4], int rounds) {
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[0] = rotated(v[0], 32);
        v[2] += v[3];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[2] = rotated(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

text_digest text_set_digest(const void *data, size_t size) {
    /* The key of the authors' test vectors: bytes 0 to 15. */
    const uint64_t       key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    const unsigned char *at = data;
    uint64_t    v[4] = {0x736f6d6570736575u ^ key[0], 0x646f72616e646f6du ^ key[1] ^ 0xee, 0x6c7967656e657261u ^ key[0],
                        0x7465646279746573u ^ key[1]};
    text_digest digest;
    size_t      left = size;
    for (; left >= 8; left -= 8, at += 8) absorb(v, little_endian(at, 8));
    absorb(v, little_endian(at, left) | (uint64_t)size << 56);
    v[2] ^= 0xee;
    mix(v, 4);
    digest.words[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    mix(v, 4);
    digest.words[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
    return digest;
}

/* ---- The table ---- */

struct text_set {
    text_digest *slots; /* (capacity), a power of two; all bits 0 = free */
    size_t       count, capacity;
};

static int is_free(const text_digest *slot) { return slot->words[0] == 0 && slot->words[1] == 0; }

static text_digest digest_of(const ade_text *text) {
    text_digest digest = text_set_digest(text->data, text->size);
    if (is_free(&digest)) digest.words[0] = 1;
    return digest;
}

/* Where the digest is, or where it would go. */
static text_digest *find(text_digest *slots, size_t capacity, const text_digest *digest) {
    size_t at = (size_t)digest->words[0] & (capacity - 1);
    while (!is_free(&slots[at]) && memcmp(&slots[at], digest, sizeof *digest) != 0) at = (at + 1) & (capacity - 1);
    return &slots[at];
}

text_set *text_set_new(void) {
    enum { FIRST = 1024 };
    text_set *set = calloc(1, sizeof *set);
    if (set) set->slots = calloc(FIRST, sizeof *set->slots);
    if (!set || !set->slots) {
        free(set);
        return NULL;
    }
    set->capacity = FIRST;
    return set;
}

void text_set_free(text_set *set) {
    if (!set) return;
    free(set->slots);
    free(set);
}

int text_set_has(const text_set *set, const ade_text *text) {
    text_digest digest = digest_of(text);
    return !is_free(find(set->slots, set->capacity, &digest));
}

static int grow(text_set *set) {
    size_t       capacity = set->capacity * 2;
    text_digest *slots = capacity > SIZE_MAX / sizeof *slots ? NULL : calloc(capacity, sizeof *slots);
    if (!slots) return -1;
    for (size_t i = 0; i < set->capacity; i++)
        if (!is_free(&set->slots[i])) *find(slots, capacity, &set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return 0;
}

int text_set_add(text_set *set, const ade_text *text) {
    text_digest  digest = digest_of(text);
    text_digest *slot = find(set->slots, set->capacity, &digest);
    if (!is_free(slot)) return 0;
    if (set->count >= set->capacity - set->capacity / 4) { /* searches get long beyond three quarters */
        if (grow(set) != 0) return -1;
        slot = find(set->slots, set->capacity, &digest);
    }
    *slot = digest;
    set->count++;
    return 1;
}

/* ---- From a file ---- */

static int add_window(void *user, const text_window *window) {
    text_set *set = user;
    for (size_t i = 0; i < window->count; i++)
        if (text_set_add(set, &window->texts[i]) < 0) {
            say(SAY_ERROR, "out of memory for the digests of %zu texts.", set->count + 1);
            return CLI_FAILED;
        }
    return CLI_OK;
}

int text_set_read(text_set **out, const settings *wanted, const char *path) {
    settings  one = *wanted;
    text_set *set = text_set_new();
    text_run  run;
    size_t    size = strlen(path);
    int       status;
    if (!set) {
        say(SAY_ERROR, "%s: out of memory.", path);
        return CLI_FAILED;
    }
    one.files = &path;
    one.n_files = 1;
    if (name_ends_in(path, size, ".gz")) size -= 3;
    /* --input-format speaks of the labelled texts; of this file only if its name says nothing. */
    if (texts_format_of_name(path) != TEXTS_LINES || name_ends_in(path, size, ".txt")) one.input_format = -1;
    status = text_run_all(&run, &one, NULL, add_window, set);
    if (status == CLI_OK && set->count == 0) {
        say(SAY_ERROR, "%s: holds no texts.", strcmp(path, "-") == 0 ? "standard input" : path);
        status = CLI_FAILED;
    }
    if (status == CLI_OK)
        *out = set;
    else
        text_set_free(set);
    return status;
}
