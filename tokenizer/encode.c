/* SPDX-License-Identifier: Apache-2.0
 * Joins the steps: added tokens, units of the text (scan.h), their words and pieces, truncation, [CLS] and [SEP]. */
#include "text_encoder.h"

#include <string.h>

/* ---- The scratch ------------------------------------------------------------------------------------------------- */

ade_status ade__tokenizer_scratch_new(const ade_tokenizer *tokenizer, ade_tokenizer_scratch **out) {
    ade_tokenizer_scratch *scratch = ade__aligned_malloc(1, sizeof *scratch);
    if (!scratch) return ADE_OUT_OF_MEMORY;
    memset(scratch, 0, sizeof *scratch);
    scratch->serial = tokenizer->serial;
    if (ade__word_cache_new(tokenizer->words, &scratch->cache)) {
        ade__aligned_free(scratch);
        return ADE_OUT_OF_MEMORY;
    }
    *out = scratch;
    return ADE_OK;
}

void ade__tokenizer_scratch_free(ade_tokenizer_scratch *scratch) {
    if (!scratch) return;
    ade__normalized_clear(&scratch->normalized);
    ade__word_cache_free(&scratch->cache);
    ade__free(scratch->ids);
    ade__free(scratch->starts);
    ade__free(scratch->ends);
    ade__free(scratch->piece_ends);
    ade__free(scratch->word);
    ade__aligned_free(scratch);
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

static bool in_stretch(const ade_tokenizer *tokenizer, unsigned char byte) {
    return byte >= 0x80 || tokenizer->classes.bits[byte] & ADE_SCAN_STRETCH;
}

/* Bytes [from, to): a stretch that fills a window and more. */
static ade_status put_endless(ade__encoder *e, size_t from, size_t to) {
    const ade_tokenizer   *tokenizer = e->tokenizer;
    ade_tokenizer_scratch *scratch = e->scratch;
    size_t                 size = to - from;
    bool                   complex = false;
    for (size_t at = from; at < to && !complex; at++)
        complex = e->text[at] >= 0x80 || tokenizer->classes.bits[e->text[at]] & ADE_SCAN_COMPLEX;
    if (complex) {
        ADE_TRY(ade__normalize(&tokenizer->normalizer, e->text, from, to, &scratch->normalized));
        return ade__put_normalized(e, 0, scratch->normalized.size);
    }
    if (size > tokenizer->wordpiece.max_chars) return ade__put_unknown(e, from, to);
    if (!tokenizer->normalizer.lowercase) return ade__put_plain_word(e, e->text + from, size, from);
    if (ade__reserve(&scratch->word, &scratch->word_capacity, size, 1)) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < size; i++) scratch->word[i] = (unsigned char)ade__lower(e->text[from + i]);
    return ade__put_plain_word(e, scratch->word, size, from);
}

/* A piece of the raw text when there are tokens to be found in the normalized text. */
static ade_status put_piece_with_added(ade__encoder *e, size_t from, size_t to) {
    ade__normalized *text = &e->scratch->normalized;
    ade__added_scan  scan = {0};
    ade__added_match match;
    ADE_TRY(ade__normalize(&e->tokenizer->normalizer, e->text, from, to, text));
    while (e->n <= e->limit &&
           ade__added_next(&e->tokenizer->normalized, text->bytes, text->size, e->split_special, &scan, &match)) {
        ADE_TRY(ade__put_normalized(e, match.gap_start, match.gap_end));
        if (match.start == match.end) continue;
        ADE_TRY(ade__room(e, 1));
        ade__put_id(e, match.id, text->starts[match.start], text->ends[match.end - 1]);
    }
    return ade__put_normalized(e, scan.done, text->size);
}

static ade_status put_piece(ade__encoder *e, size_t from, size_t to) {
    const ade_tokenizer *tokenizer = e->tokenizer;
    ade__window         *window = &e->scratch->window;
    if (tokenizer->normalized.n) return from < to && e->n <= e->limit ? put_piece_with_added(e, from, to) : ADE_OK;
    while (from < to && e->n <= e->limit) {
        size_t size = to - from < ADE_WINDOW ? to - from : ADE_WINDOW, next = from + size;
        tokenizer->scan(&tokenizer->classes, e->text + from, size, window);
        size_t n_units = window->n_units;
        if (next < to && window->open) { /* the last unit goes on behind the window */
            if (window->starts[--n_units] == 0) {
                while (next < to && in_stretch(tokenizer, e->text[next])) next++;
                ADE_TRY(put_endless(e, from, next));
                from = next;
                continue;
            }
            next = from + window->starts[n_units];
        }
        ADE_TRY(ade__put_units(e, from, n_units));
        from = next;
    }
    return ADE_OK;
}

static ade_status put_text(ade__encoder *e) {
    ade__added_scan  scan = {0};
    ade__added_match match;
    while (e->n <= e->limit &&
           ade__added_next(&e->tokenizer->raw, e->text, e->size, e->split_special, &scan, &match)) {
        ADE_TRY(put_piece(e, match.gap_start, match.gap_end));
        if (match.start == match.end) continue;
        ADE_TRY(ade__room(e, 1));
        ade__put_id(e, match.id, match.start, match.end);
    }
    return put_piece(e, scan.done, e->size);
}

static ade_status check_utf8(const ade__encoder *e, ade_invalid_utf8 policy, int32_t *replaced) {
    for (size_t at = 0; (at += ade__ascii_prefix(e->text + at, e->size - at)) < e->size;) {
        while (at < e->size && e->text[at] >= 0x80) {
            uint32_t c;
            size_t   length = ade__utf8_decode(e->text + at, e->size - at, &c);
            if (c == ADE_INVALID_UTF8) {
                if (policy != ADE_INVALID_UTF8_REPLACE)
                    return ade__fail(ADE_BAD_INPUT,
                                     "the text is not valid UTF-8 at byte %zu (value 0x%02x); convert it to UTF-8, or "
                                     "have invalid bytes replaced (invalid_utf8)",
                                     at, e->text[at]);
                if (*replaced < INT32_MAX) ++*replaced;
            }
            at += length;
        }
    }
    return ADE_OK;
}

/* Checks the text and puts its ids. Most texts fit a window and hold no added token: one look does it all. */
static ade_status put_checked(ade__encoder *e, ade_invalid_utf8 policy, int32_t *replaced) {
    const ade_tokenizer *tokenizer = e->tokenizer;
    ade__window         *window = &e->scratch->window;
    if (e->size > ADE_WINDOW || tokenizer->normalized.n) {
        ADE_TRY(check_utf8(e, policy, replaced));
        return put_text(e);
    }
    tokenizer->scan(&tokenizer->classes, e->text, e->size, window);
    if (window->any_other) ADE_TRY(check_utf8(e, policy, replaced));
    return window->any_first ? put_text(e) : ade__put_units(e, 0, window->n_units);
}

ade_status ade__tokenizer_encode(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, ade_text text,
                                 const ade_encode_options *options, ade_encoding *out) {
    int32_t replaced = 0, unknown = 0;
    if (options->max_length < 3)
        return ade__fail(ADE_INVALID_ARGUMENT, "the maximum length is %d tokens and must be at least 3",
                         (int)options->max_length);
    if (text.size > UINT32_MAX)
        return ade__fail(ADE_BAD_INPUT, "the text has %zu bytes; at most %zu are possible, split it", text.size,
                         (size_t)UINT32_MAX);
    ade__encoder e = {.tokenizer = tokenizer,
                 .scratch = scratch,
                 .text = (const unsigned char *)text.data,
                 .size = text.size,
                 .limit = (size_t)options->max_length - 1,
                 .split_special = options->split_special_tokens,
                 .want_offsets = options->want_offsets};
    if (!e.text) e.text = (const unsigned char *)"";
    if (scratch->serial != tokenizer->serial) {
        ade__word_cache_forget(&scratch->cache, tokenizer->words);
        scratch->serial = tokenizer->serial;
    }
    ADE_TRY(ade__room(&e, 2));
    ade__put_id(&e, tokenizer->cls_id, 0, 0);
    e.unknown_seen = false; /* [CLS] is not counted, whatever it is */
    ADE_TRY(put_checked(&e, options->invalid_utf8, &replaced));
    bool truncated = e.n > e.limit;
    if (truncated) e.n = e.limit;
    ADE_TRY(ade__room(&e, 1));
    if (e.unknown_seen)
        for (size_t i = 1; i < e.n; i++) unknown += scratch->ids[i] == tokenizer->unk_id;
    ade__put_id(&e, tokenizer->sep_id, 0, 0);
    *out = (ade_encoding){.ids = scratch->ids,
                          .starts = e.want_offsets ? scratch->starts : NULL,
                          .ends = e.want_offsets ? scratch->ends : NULL,
                          .n = e.n,
                          .unknown = unknown,
                          .truncated = truncated,
                          .replaced = replaced};
    return ADE_OK;
}
