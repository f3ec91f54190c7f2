/* SPDX-License-Identifier: Apache-2.0
 * One text being encoded: what encode.c (texts), units.c (the units of a window) and stretches.c (words and stretches
 * one by one) share. */
#ifndef ADE_TEXT_ENCODER_H
#define ADE_TEXT_ENCODER_H

#include "alloc.h"
#include "status.h"
#include "tokenizer_internal.h"

typedef struct ade__encoder {
    const ade_tokenizer   *tokenizer;
    ade_tokenizer_scratch *scratch;
    const unsigned char   *text;
    size_t                 size, n, limit; /* n ids so far, [CLS] among them; more than `limit` are too many */
    bool                   split_special, want_offsets;
    bool                   unknown_seen; /* there may be [UNK] among the ids */
    bool                   holding;      /* somebody has pointers into the cache of words */
} ade__encoder;

/* A word is written with all that the cache has room for. */
#define ADE_ROOM_BEHIND 8

/* Makes room for `more` ids, and a little behind. */
static inline ade_status ade__room(ade__encoder *e, size_t more) {
    ade_tokenizer_scratch *scratch = e->scratch;
    size_t                 need = e->n + more + ADE_ROOM_BEHIND;
    if (need > scratch->ids_capacity && ade__reserve(&scratch->ids, &scratch->ids_capacity, need, sizeof *scratch->ids))
        return ADE_OUT_OF_MEMORY;
    if (e->want_offsets && need > scratch->ends_capacity &&
        (ade__reserve(&scratch->starts, &scratch->starts_capacity, need, sizeof *scratch->starts) ||
         ade__reserve(&scratch->ends, &scratch->ends_capacity, need, sizeof *scratch->ends)))
        return ADE_OUT_OF_MEMORY;
    return ADE_OK;
}

/* The caller has made room. */
static inline void ade__put_id(ade__encoder *e, int32_t id, size_t start, size_t end) {
    e->scratch->ids[e->n] = id;
    if (e->want_offsets) {
        e->scratch->starts[e->n] = (uint32_t)start;
        e->scratch->ends[e->n] = (uint32_t)end;
    }
    e->n++;
    e->unknown_seen |= id == e->tokenizer->unk_id;
}

/* The ids of a word of at most ADE_LONG_BYTES bytes, [UNK] where it is unknown; 0 where there is no [UNK] either. */
static inline size_t ade__cut_short_word(const ade_tokenizer *tokenizer, const unsigned char *word, size_t size,
                                         int32_t ids[ADE_LONG_BYTES]) {
    uint32_t ends[ADE_LONG_BYTES];
    size_t   n = ade__wordpiece_cut(&tokenizer->wordpiece, word, size, ids, ends);
    if (n || tokenizer->unk_id < 0) return n;
    ids[0] = tokenizer->unk_id;
    return 1;
}

/* ---- stretches.c ------------------------------------------------------------------------------------------------- */

/* [UNK] for bytes [start, end) of the text; ADE_BAD_MODEL when there is none. Makes room. */
ade_status ade__put_unknown(ade__encoder *e, size_t start, size_t end);

/* A word of `size` bytes, normalized; it begins at byte `start` of the text. Remembers nothing, copies nothing. */
ade_status ade__put_plain_word(ade__encoder *e, const unsigned char *word, size_t size, size_t start);

/* The same for a word of at most ADE_LONG_BYTES, behind whose start so many may be read, without NULs. */
ade_status ade__put_longer_word(ade__encoder *e, const unsigned char *word, size_t size, size_t start);

/* The words of bytes [from, to) of the scratch's normalized text. */
ade_status ade__put_normalized(ade__encoder *e, size_t from, size_t to);

/* A stretch with complex characters: bytes [start, start + size) of the text. `bytes` is the window's copy of it. */
ade_status ade__put_complex(ade__encoder *e, size_t start, const unsigned char *bytes, size_t size);

/* ---- units.c ----------------------------------------------------------------------------------------------------- */

/* The first n_units units of the scratch's window, which begins at byte `base` of the text. */
ade_status ade__put_units(ade__encoder *e, size_t base, size_t n_units);

/* Puts a word or stretch with `n` ids into the cache; while somebody holds pointers into it, into the scratch's list of
 * fresh ones first, where there is room. */
void ade__remember(ade__encoder *e, ade__key key, const int32_t *ids, size_t n);

#endif
