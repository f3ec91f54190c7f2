/* SPDX-License-Identifier: Apache-2.0
 * The steps of the reference's BertNormalizer in one pass: clean_text, handle_chinese_chars, strip_accents (NFD, then
 * nonspacing marks are dropped), lowercase; with the range of original bytes for every byte that comes out.
 *
 * Ranges follow the reference even where that is odd: after NFD has put marks in order, they get the ranges of their
 * places, not of the characters they came from; a character that a decomposition adds shares the range before it. */
#include "tokenizer_internal.h"

#include "alloc.h"
#include "status.h"

#include <string.h>

typedef struct run {
    const ade__normalizer *normalizer;
    ade__normalized       *out;
} run;

void ade__normalized_clear(ade__normalized *text) {
    ade__free(text->bytes);
    ade__free(text->starts);
    ade__free(text->ends);
    ade__free(text->marks);
    ade__free(text->sorted);
    ade__free(text->source_starts);
    ade__free(text->source_ends);
    *text = (ade__normalized){0};
}

static ade_status put(ade__normalized *out, uint32_t c, uint32_t start, uint32_t end) {
    if (out->size + 4 > out->ends_capacity || out->size + 4 + ADE_NORMALIZED_SLACK > out->bytes_capacity) {
        size_t need = out->size + out->size / 2 + 256;
        if (ade__reserve(&out->bytes, &out->bytes_capacity, need + ADE_NORMALIZED_SLACK, 1) ||
            ade__reserve(&out->starts, &out->starts_capacity, need, sizeof *out->starts) ||
            ade__reserve(&out->ends, &out->ends_capacity, need, sizeof *out->ends))
            return ADE_OUT_OF_MEMORY;
    }
    size_t n = ade__utf8_encode(c, out->bytes + out->size);
    for (size_t i = 0; i < n; i++, out->size++) {
        out->starts[out->size] = start;
        out->ends[out->size] = end;
    }
    return ADE_OK;
}

static ade_status drop_and_lower(const run *r, uint32_t c, uint32_t start, uint32_t end) {
    unsigned flags = ade__class_of(c)->flags;
    if (r->normalizer->strip_accents && flags & ADE_CHAR_MARK) return ADE_OK;
    if (!r->normalizer->lowercase || !(flags & ADE_CHAR_UPPER)) return put(r->out, c, start, end);
    ADE_TRY(put(r->out, ade__lower(c), start, end));
    return c == 0x130 ? put(r->out, 0x307, start, end) : ADE_OK; /* the only one of two characters */
}

static void insertion_sort(ade__mark *marks, size_t n) {
    for (size_t i = 1; i < n; i++) {
        ade__mark mark = marks[i];
        size_t    at = i;
        for (; at && marks[at - 1].combining > mark.combining; at--) marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

/* By counting: a run of half a million marks is legal. */
static ade_status counting_sort(ade__normalized *out) {
    size_t n = out->n_marks, places[257] = {0};
    if (ade__reserve(&out->sorted, &out->sorted_capacity, n, sizeof *out->sorted)) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) places[out->marks[i].combining + 1]++;
    for (size_t i = 1; i < 257; i++) places[i] += places[i - 1];
    for (size_t i = 0; i < n; i++) out->sorted[places[out->marks[i].combining]++] = out->marks[i];
    memcpy(out->marks, out->sorted, n * sizeof *out->marks);
    return ADE_OK;
}

static ade_status flush_marks(const run *r) {
    ade__normalized *out = r->out;
    size_t           source = 0;
    if (!out->n_marks && !out->n_sources) return ADE_OK;
    if (out->n_marks < 24)
        insertion_sort(out->marks, out->n_marks);
    else
        ADE_TRY(counting_sort(out));
    for (size_t i = 0; i < out->n_marks; i++) {
        if (!out->marks[i].added) {
            out->last_start = out->source_starts[source];
            out->last_end = out->source_ends[source++];
        }
        ADE_TRY(drop_and_lower(r, out->marks[i].c, out->last_start, out->last_end));
    }
    out->n_marks = out->n_sources = 0;
    return ADE_OK;
}

/* One character of a decomposition. */
static ade_status order(const run *r, uint32_t c, bool added, uint32_t start, uint32_t end) {
    ade__normalized *out = r->out;
    uint8_t          combining = ade__class_of(c)->combining;
    if (!combining) {
        ADE_TRY(flush_marks(r));
        if (!added) {
            out->last_start = start;
            out->last_end = end;
        }
        return drop_and_lower(r, c, out->last_start, out->last_end);
    }
    if (ade__reserve(&out->marks, &out->marks_capacity, out->n_marks + 1, sizeof *out->marks)) return ADE_OUT_OF_MEMORY;
    out->marks[out->n_marks++] = (ade__mark){c, combining, added};
    if (added) return ADE_OK;
    if (ade__reserve(&out->source_starts, &out->source_starts_capacity, out->n_sources + 1, sizeof(uint32_t)) ||
        ade__reserve(&out->source_ends, &out->source_ends_capacity, out->n_sources + 1, sizeof(uint32_t)))
        return ADE_OUT_OF_MEMORY;
    out->source_starts[out->n_sources] = start;
    out->source_ends[out->n_sources++] = end;
    return ADE_OK;
}

static ade_status decompose(const run *r, uint32_t c, uint32_t start, uint32_t end) {
    uint32_t parts[4] = {c};
    size_t   n = 1;
    if (!r->normalizer->strip_accents) return drop_and_lower(r, c, start, end);
    if (ade__class_of(c)->flags & ADE_CHAR_DECOMPOSES) n = ade__decompose(c, parts);
    for (size_t i = 0; i < n; i++) ADE_TRY(order(r, parts[i], i > 0, start, end));
    return ADE_OK;
}

ade_status ade__normalize(const ade__normalizer *normalizer, const unsigned char *text, size_t from, size_t to,
                          ade__normalized *out) {
    run r = {normalizer, out};
    out->size = out->n_marks = out->n_sources = 0;
    out->last_start = out->last_end = (uint32_t)from;
    for (size_t at = from; at < to;) {
        uint32_t c, start = (uint32_t)at;
        at += ade__utf8_decode(text + at, to - at, &c);
        if (c == ADE_INVALID_UTF8) c = 0xfffd;
        unsigned flags = ade__class_of(c)->flags;
        if (normalizer->clean_text) {
            if (flags & ADE_CHAR_DELETED) continue;
            if (flags & ADE_CHAR_SPACE) c = ' ';
        }
        bool spaced = normalizer->handle_chinese_chars && flags & ADE_CHAR_CHINESE;
        if (spaced) ADE_TRY(decompose(&r, ' ', start, (uint32_t)at));
        ADE_TRY(decompose(&r, c, start, (uint32_t)at));
        if (spaced) ADE_TRY(decompose(&r, ' ', start, (uint32_t)at));
    }
    return flush_marks(&r);
}
