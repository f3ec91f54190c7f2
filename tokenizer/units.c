/* SPDX-License-Identifier: Apache-2.0
 * The loop over the units of a window, where nearly all of the work is done.
 *
 * It takes some units at a time, in steps that each do one thing for all of them: make keys and ask for the memory that
 * they lead to; look them up; learn those that are new; write the ids. So a processor waits for memory once, not once a
 * word, and hardly any branch depends on the text. A stretch with complex characters is looked up like a word, as it
 * stands in the text, where no offsets are wanted: the cache then gives the ids of all its words. */
#include "text_encoder.h"

#include <string.h>

#define UNITS 64 /* at a time */

/* ---- Words for the cache ----------------------------------------------------------------------------------------- */

void ade__remember(ade__encoder *e, ade__key key, const int32_t *ids, size_t n) {
    ade_tokenizer_scratch *scratch = e->scratch;
    ade__word              word;
    ade__describe(e->tokenizer, key, ids, n, &word);
    if (!e->holding)
        ade__word_insert(scratch->cache.words, &word);
    else if (scratch->n_fresh < ADE_FRESH)
        scratch->fresh[scratch->n_fresh++] = word;
}

/* The key of a stretch as it stands in the text. No word has it: the last byte of a word that fills its key ends a
 * character, and this one begins one of four bytes, or none. */
#define STRETCH_BYTES (ADE_KEY_BYTES - 1)

static inline ade__key stretch_key(ade__key key, size_t size) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    key.high |= 0xf0u | size;
#else
    key.high |= (uint64_t)(0xf0u | size) << 56;
#endif
    return key;
}

static inline bool is_stretch_key(ade__key key) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (key.high & 0xff) >= 0xf0;
#else
    return key.high >> 56 >= 0xf0;
#endif
}

/* The set of units that no cache can hold: every look for SLOW_KEY there finds the first. */
#define SLOW_KEY {UINT64_MAX, UINT64_MAX}
static const ade__word SLOW_NARROW[2] = {{SLOW_KEY, {.narrow = {[7] = ADE_WORD_SLOW}}}};
static const ade__word SLOW_WIDE[2] = {{SLOW_KEY, {.wide = {[3] = ADE_WORD_SLOW}}}};

/* ---- Units ------------------------------------------------------------------------------------------------------- */

/* A unit that has to be put by hand: number i of the window. */
__attribute__((noinline)) static ade_status put_unit(ade__encoder *e, size_t base, size_t i, size_t n_units) {
    const ade__window   *window = &e->scratch->window;
    size_t               start = window->starts[i], size = window->ends[i] - start, before = e->n;
    const unsigned char *bytes = window->bytes + start;
    bool                 complex = false;
    for (size_t at = 0; window->any_complex && at < size && !complex; at += 64) {
        uint64_t bits = ade__window_complex(window, start + at);
        complex = (size - at < 64 ? bits << (64 - (size - at)) : bits) != 0;
    }
    if (!complex && size <= ADE_LONG_BYTES)
        ADE_TRY(ade__put_longer_word(e, bytes, size, base + start));
    else if (!complex)
        ADE_TRY(ade__put_plain_word(e, bytes, size, base + start));
    else
        ADE_TRY(ade__put_complex(e, base + start, bytes, size));
    if (complex && size <= STRETCH_BYTES && !e->want_offsets && e->n <= e->limit && /* it was read to its end */
        e->n - before <= ade__most_ids(e->tokenizer))
        ade__remember(e, stretch_key(ade__key_load(bytes, size), size), e->scratch->ids + before, e->n - before);
    return ade__room(e, window->ends[n_units - 1] - window->ends[i]);
}

/* A word with this key that the cache lacks; false when it has to be put by hand. */
static bool learn(const ade_tokenizer *tokenizer, ade__key key, size_t size, ade__word *out) {
    int32_t       ids[ADE_LONG_BYTES];
    unsigned char word[ADE_KEY_BYTES];
    if (is_stretch_key(key)) return false;
    memcpy(word, &key, sizeof word);
    size_t n = ade__cut_short_word(tokenizer, word, size, ids);
    if (!n || n > ade__most_ids(tokenizer)) return false;
    ade__describe(tokenizer, key, ids, n, out);
    return true;
}

/* Units [first, end) of the window, at most UNITS. Each has no more ids than bytes, if it is known. */
static inline __attribute__((always_inline)) ade_status put_some(ade__encoder *e, size_t base, size_t n_units,
                                                                 size_t first, size_t end, bool wide, bool offsets) {
    const ade_tokenizer   *tokenizer = e->tokenizer;
    ade_tokenizer_scratch *scratch = e->scratch;
    const ade__window     *window = &scratch->window;
    ade__word *const       cache = scratch->cache.words;
    const ade__word *const slow = wide ? SLOW_WIDE : SLOW_NARROW, slow_key = {.key = SLOW_KEY};
    ade__key               keys[UNITS];
    const ade__word       *words[UNITS]; /* first the set, then the word itself */
    uint8_t                new[UNITS];
    size_t                 n_units_here = end - first, n_new = 0;

    for (size_t i = 0; i < n_units_here; i++) {
        size_t start = window->starts[first + i], size = window->ends[first + i] - start;
        bool   possible = size <= ADE_KEY_BYTES;
        keys[i] = slow_key.key;
        words[i] = slow;
        if (__builtin_expect(!possible, 0)) continue;
        ade__key key = ade__key_load(window->bytes + start, size);
        if (window->any_complex && ade__window_complex(window, start) & ((UINT64_C(1) << size) - 1)) {
            if (offsets || size > STRETCH_BYTES) continue;
            key = stretch_key(key, size);
        }
        keys[i] = key;
        words[i] = ade__word_set(cache, ade__key_hash(key));
        __builtin_prefetch(words[i]);
    }

    for (size_t i = 0; i < n_units_here; i++) {
        const ade__word *set = words[i];
        uint64_t         not_first = ade__any_bit((set[0].key.low ^ keys[i].low) | (set[0].key.high ^ keys[i].high));
        uint64_t         not_second = ade__any_bit((set[1].key.low ^ keys[i].low) | (set[1].key.high ^ keys[i].high));
        words[i] = set + not_first;
        new[n_new] = (uint8_t)i;
        n_new += not_first & not_second;
    }

    scratch->n_fresh = n_new;
    for (size_t j = 0; j < n_new; j++) {
        size_t     i = new[j];
        ade__word *word = &scratch->fresh[j];
        words[i] = word;
        size_t size = window->ends[first + i] - (size_t)window->starts[first + i];
        if (!learn(tokenizer, keys[i], size, word)) *word = *slow;
    }

    size_t   n = e->n, limit = e->limit;
    int32_t *ids = scratch->ids;
    unsigned about_all = 0;
    ade_status status = ADE_OK;
    e->holding = true;
    for (size_t i = 0; i < n_units_here && n <= limit; i++) {
        const ade__word *word = words[i];
        unsigned         about = wide ? (unsigned)word->ids.wide[3] : word->ids.narrow[7];
        size_t           count = about & ADE_WORD_COUNT;
        if (__builtin_expect(about & ADE_WORD_SLOW, 0)) {
            e->n = n;
            status = put_unit(e, base, first + i, n_units);
            if (status) break;
            ids = scratch->ids;
            n = e->n;
            continue;
        }
        about_all |= about;
        if (wide)
            memcpy(ids + n, word->ids.wide, sizeof word->ids.wide);
        else
            ade__widen(word->ids.narrow, ids + n);
        if (offsets) {
            uint32_t *starts = scratch->starts + n, *ends = scratch->ends + n;
            size_t    at = base + window->starts[first + i];
            for (size_t j = 0; j + 1 < count; j++) {
                starts[j] = (uint32_t)at;
                at += ade__piece_size(tokenizer, ids[n + j], j > 0);
                ends[j] = (uint32_t)at;
            }
            starts[count - 1] = (uint32_t)at;
            ends[count - 1] = (uint32_t)(base + window->ends[first + i]);
        }
        n += count;
    }
    e->n = n;
    e->unknown_seen |= (about_all & ADE_WORD_UNKNOWN) != 0;
    e->holding = false;
    for (size_t j = 0; j < scratch->n_fresh; j++)
        if (scratch->fresh[j].key.low != UINT64_MAX) ade__word_insert(scratch->cache.words, &scratch->fresh[j]);
    return status;
}

static inline __attribute__((always_inline)) ade_status put_all(ade__encoder *e, size_t base, size_t n_units, bool wide,
                                                                bool offsets) {
    for (size_t first = 0; first < n_units && e->n <= e->limit; first += UNITS)
        ADE_TRY(put_some(e, base, n_units, first, n_units - first < UNITS ? n_units : first + UNITS, wide, offsets));
    return ADE_OK;
}

ade_status ade__put_units(ade__encoder *e, size_t base, size_t n_units) {
    if (!n_units) return ADE_OK;
    ADE_TRY(ade__room(e, e->scratch->window.ends[n_units - 1]));
    if (e->want_offsets)
        return e->tokenizer->wide ? put_all(e, base, n_units, true, true) : put_all(e, base, n_units, false, true);
    return e->tokenizer->wide ? put_all(e, base, n_units, true, false) : put_all(e, base, n_units, false, false);
}
