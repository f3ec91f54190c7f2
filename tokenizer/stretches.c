/* SPDX-License-Identifier: Apache-2.0
 * Words and stretches one by one: those that the units' loop does not know.
 *
 * Stretches with complex characters are normalized into the scratch, unless all their characters stay as they are.
 * That is exact, because nothing in a stretch reaches across an ASCII separator: it is never deleted, joined or
 * reordered. */
#include "text_encoder.h"

#include <string.h>

/* ---- Words ------------------------------------------------------------------------------------------------------- */

ade_status ade__put_unknown(ade__encoder *e, size_t start, size_t end) {
    if (e->tokenizer->unk_id < 0)
        return ade__fail(ADE_BAD_MODEL,
                         "the word at bytes %zu to %zu of a text is not in the vocabulary, which has no token for "
                         "unknown words either",
                         start, end);
    ADE_TRY(ade__room(e, 1));
    ade__put_id(e, e->tokenizer->unk_id, start, end);
    return ADE_OK;
}

/* How pieces of a word map to the original: a fixed shift, or the ranges of a normalized text. */
typedef struct place {
    const ade__normalized *normalized; /* NULL: the word stands in the text as it is */
    size_t                 start;
} place;

static inline size_t original_start(const place *at, size_t offset) {
    return at->normalized ? at->normalized->starts[at->start + offset] : at->start + offset;
}

static inline size_t original_end(const place *at, size_t offset) {
    return at->normalized ? at->normalized->ends[at->start + offset - 1] : at->start + offset;
}

/* The pieces of a word of `size` bytes; where they end follows from their texts. */
static ade_status put_pieces(ade__encoder *e, const int32_t *ids, size_t n, size_t size, const place *at) {
    size_t start = 0;
    ADE_TRY(ade__room(e, n));
    for (size_t i = 0; i < n; i++) {
        size_t end = size;
        if (i + 1 < n) end = start + ade__piece_size(e->tokenizer, ids[i], i > 0);
        ade__put_id(e, ids[i], original_start(at, start), original_end(at, end));
        start = end;
    }
    return ADE_OK;
}

static ade_status put_long_word(ade__encoder *e, const unsigned char *word, size_t size, const place *at) {
    ade_tokenizer_scratch *scratch = e->scratch;
    size_t                 n = size, start = 0;
    ADE_TRY(ade__room(e, n));
    if (ade__reserve(&scratch->piece_ends, &scratch->piece_ends_capacity, n, sizeof *scratch->piece_ends))
        return ADE_OUT_OF_MEMORY;
    n = ade__wordpiece_cut(&e->tokenizer->wordpiece, word, size, scratch->ids + e->n, scratch->piece_ends);
    if (!n) return ade__put_unknown(e, original_start(at, 0), original_end(at, size));
    for (size_t i = 0; i < n; i++) {
        size_t end = scratch->piece_ends[i];
        ade__put_id(e, scratch->ids[e->n], original_start(at, start), original_end(at, end));
        start = end;
    }
    return ADE_OK;
}

/* A word of at most ADE_LONG_BYTES bytes, 32 of which may be read, none of them NUL. */
static ade_status put_longer_word(ade__encoder *e, const unsigned char *word, size_t size, const place *at) {
    const size_t    half = ADE_KEY_BYTES;
    ade__key        low = ade__key_load(word, size < half ? size : half);
    ade__key        high = ade__key_load(word + half, size > half ? size - half : 0);
    const uint64_t  key[ADE_LONG_BYTES / 8] = {low.low, low.high, high.low, high.high};
    ade__long_word *known = ade__long_word_at(&e->scratch->cache, key);
    if (memcmp(known->key, key, sizeof key) != 0) {
        int32_t ids[ADE_LONG_BYTES];
        size_t  n = ade__cut_short_word(e->tokenizer, word, size, ids);
        if (!n) return ade__put_unknown(e, original_start(at, 0), original_end(at, size));
        if (n > ADE_LONG_IDS) return put_pieces(e, ids, n, size, at);
        memcpy(known->key, key, sizeof key);
        memcpy(known->ids, ids, n * sizeof *ids);
        known->n = (int32_t)n;
    }
    return put_pieces(e, known->ids, (size_t)known->n, size, at);
}

ade_status ade__put_plain_word(ade__encoder *e, const unsigned char *word, size_t size, size_t start) {
    place at = {NULL, start};
    return put_long_word(e, word, size, &at);
}

ade_status ade__put_longer_word(ade__encoder *e, const unsigned char *word, size_t size, size_t start) {
    place at = {NULL, start};
    return put_longer_word(e, word, size, &at);
}

/* A word with this key that the cache lacks; room as for put_longer_word. */
static ade_status put_new_word(ade__encoder *e, ade__key key, const unsigned char *word, size_t size, const place *at) {
    int32_t ids[ADE_LONG_BYTES];
    size_t  n = ade__cut_short_word(e->tokenizer, word, size, ids);
    if (!n) return ade__put_unknown(e, original_start(at, 0), original_end(at, size));
    if (n > ade__most_ids(e->tokenizer)) return put_longer_word(e, word, size, at);
    ade__remember(e, key, ids, n);
    return put_pieces(e, ids, n, size, at);
}

/* A normalized word, behind whose start ADE_LONG_BYTES may be read. */
static ade_status put_word(ade__encoder *e, const unsigned char *word, size_t size, const place *at) {
    if (size > ADE_LONG_BYTES || memchr(word, 0, size)) return put_long_word(e, word, size, at);
    if (size > ADE_KEY_BYTES) return put_longer_word(e, word, size, at);
    ade__key         key = ade__key_load(word, size);
    const ade__word *known = ade__word_find(ade__word_set(e->scratch->cache.words, ade__key_hash(key)), key);
    int32_t          ids[8];
    if (!known) return put_new_word(e, key, word, size, at);
    if (e->tokenizer->wide) return put_pieces(e, known->ids.wide, known->ids.wide[3] & ADE_WORD_COUNT, size, at);
    ade__widen(known->ids.narrow, ids);
    return put_pieces(e, ids, (size_t)ids[7] & ADE_WORD_COUNT, size, at);
}

/* ---- Stretches with characters beyond ASCII ---------------------------------------------------------------------- */

/* The words of bytes [from, to) of the scratch's normalized text. */
ade_status ade__put_normalized(ade__encoder *e, size_t from, size_t to) {
    const ade__normalized *text = &e->scratch->normalized;
    size_t                 start, end;
    while (e->n <= e->limit && ade__next_word(text->bytes, to, &from, &start, &end)) {
        place at = {text, start};
        ADE_TRY(put_word(e, text->bytes + start, end - start, &at));
    }
    return ADE_OK;
}

/* The flags of characters that normalizing changes or moves, and of those that stand alone. */
static unsigned changing(const ade__normalizer *n) {
    return (n->clean_text ? ADE_CHAR_DELETED : 0u) | (n->strip_accents ? ADE_CHAR_DECOMPOSES | ADE_CHAR_MARK : 0u) |
           (n->lowercase ? ADE_CHAR_UPPER : 0u);
}

static unsigned alone(const ade__normalizer *n) {
    return ADE_CHAR_PUNCTUATION | (n->handle_chinese_chars ? ADE_CHAR_CHINESE : 0u);
}

static bool stays(const ade__normalizer *normalizer, const unsigned char *bytes, size_t size) {
    unsigned changes = changing(normalizer);
    for (size_t at = 0; at < size;) {
        uint32_t c;
        if (bytes[at] < 0x80 && bytes[at] >= ' ') { /* the scan has lowered it; none is deleted but U+007F */
            if (bytes[at++] == 0x7f && changes & ADE_CHAR_DELETED) return false;
            continue;
        }
        at += ade__utf8_decode(bytes + at, size - at, &c);
        if (c == ADE_INVALID_UTF8) return false;
        const ade__class *class = ade__class_of(c);
        if (class->flags & changes || (normalizer->strip_accents && class->combining)) return false;
    }
    return true;
}

/* A stretch of the window that normalizing leaves as it is but for white space, which only ends words. */
static ade_status put_as_it_stands(ade__encoder *e, size_t start, const unsigned char *bytes, size_t size) {
    unsigned single = alone(&e->tokenizer->normalizer);
    size_t   word = 0, at = 0;
    while (at < size && e->n <= e->limit) {
        uint32_t c;
        size_t   length = ade__utf8_decode(bytes + at, size - at, &c);
        unsigned flags = ade__class_of(c)->flags;
        bool     ends = flags & (single | ADE_CHAR_SPACE | ADE_CHAR_WHITESPACE);
        if (ends && word < at) {
            place here = {NULL, start + word};
            ADE_TRY(put_word(e, bytes + word, at - word, &here));
            if (e->n > e->limit) break;
        }
        if (flags & single) {
            place here = {NULL, start + at};
            ADE_TRY(put_word(e, bytes + at, length, &here));
        }
        at += length;
        if (ends) word = at;
    }
    if (word == size || e->n > e->limit) return ADE_OK;
    place here = {NULL, start + word};
    return put_word(e, bytes + word, size - word, &here);
}

/* A stretch with complex characters. */
ade_status ade__put_complex(ade__encoder *e, size_t start, const unsigned char *bytes, size_t size) {
    const ade_tokenizer *tokenizer = e->tokenizer;
    if (stays(&tokenizer->normalizer, bytes, size)) return put_as_it_stands(e, start, bytes, size);
    ADE_TRY(ade__normalize(&tokenizer->normalizer, e->text, start, start + size, &e->scratch->normalized));
    return ade__put_normalized(e, 0, e->scratch->normalized.size);
}
