/* SPDX-License-Identifier: Apache-2.0
 * See words.h. ASCII goes through a table byte by byte; any other character takes the long way round, through what
 * words_table.h says that Python makes of it. */
#include "words.h"

#include "alloc.h"
#include "characters.h"
#include "status.h"
#include "words_table.h"

#include <string.h>

#define AT_ONCE 256                         /* words that a call reads, about */
#define SEGMENT ((size_t)2 << 10)           /* bytes of text for which room is made at once */
#define MOST_PARTS (2 * ADE_MOST_COMPAT)    /* code points of one character: two when lower-cased, 18 of each */
#define SLACK ((size_t)(MOST_PARTS + 1) * 4) /* bytes that one character may add, and a space */

/* What an ASCII character is in a word; 0: it is in none. */
static const unsigned char AS_IS[128] = {
    ['0'] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ['A'] = 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
            'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
    ['_'] = '_',
    ['a'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
            'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
};
static const unsigned char LOWERED[128] = {
    ['0'] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ['A'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
            'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    ['_'] = '_',
    ['a'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
            'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
};

static unsigned flags_of(uint32_t c) {
    size_t low = 0, high = sizeof RUNS / sizeof *RUNS; /* RUNS[low] starts at or before c, RUNS[high] behind it */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (RUNS[middle] >> 8 <= c)
            low = middle;
        else
            high = middle;
    }
    return RUNS[low] & 0xff;
}

static uint32_t decode(const ade_words *w, size_t at, size_t *length) {
    uint32_t c;
    *length = ade__utf8_decode(w->text + at, w->size - at, &c);
    return c == ADE_INVALID_UTF8 ? 0xfffd : c;
}

/* ---- One character ----------------------------------------------------------------------------------------------- */

/* Whether a capital sigma at text[at, end) ends a word, in Unicode's sense: a cased character before it, none behind it,
 * what is ignored left out. */
static bool is_final_sigma(const ade_words *w, size_t at, size_t end) {
    unsigned flags = 0;
    while (at > 0) {
        uint32_t c;
        at = ade__utf8_decode_back(w->text, at, &c);
        flags = flags_of(c == ADE_INVALID_UTF8 ? 0xfffd : c);
        if (!(flags & ADE_IGNORED)) break;
    }
    if (!(flags & ADE_CASED)) return false;
    while (end < w->size) {
        size_t length;
        flags = flags_of(decode(w, end, &length));
        end += length;
        if (!(flags & ADE_IGNORED)) return !(flags & ADE_CASED);
    }
    return true;
}

static size_t lower(const ade_words *w, uint32_t c, size_t at, size_t end, uint32_t out[2]) {
    out[0] = c;
    if (!w->options.lowercase || !(flags_of(c) & ADE_CASED)) return 1; /* the table of ade__lower is of a later Unicode */
    out[0] = c == 0x3a3 && is_final_sigma(w, at, end) ? 0x3c2 : ade__lower(c);
    out[1] = 0x307;
    return c == 0x130 ? 2 : 1;
}

static size_t decompose(uint32_t c, uint32_t out[ADE_MOST_COMPAT]) {
    size_t low = 0, high = sizeof NEW_DECOMPOSITIONS / sizeof *NEW_DECOMPOSITIONS;
    out[0] = c;
    if (!(flags_of(c) & ADE_COMPAT)) return 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (NEW_DECOMPOSITIONS[middle][0] == c) {
            out[0] = NEW_DECOMPOSITIONS[middle][1];
            return 1;
        }
        if (NEW_DECOMPOSITIONS[middle][0] < c)
            low = middle + 1;
        else
            high = middle;
    }
    return ade__decompose_compat(c, out);
}

/* What becomes of the character c at text[at, end). */
static size_t expand(const ade_words *w, uint32_t c, size_t at, size_t end, uint32_t out[MOST_PARTS]) {
    uint32_t lowered[2], parts[ADE_MOST_COMPAT];
    size_t   n_lowered = lower(w, c, at, end, lowered), n = 0;
    if (w->options.accents == ADE_ACCENTS_KEPT) {
        memcpy(out, lowered, sizeof lowered);
        return n_lowered;
    }
    for (size_t i = 0; i < n_lowered; i++) {
        size_t n_parts = decompose(lowered[i], parts);
        for (size_t k = 0; k < n_parts; k++)
            if (parts[k] < 0x80 || (w->options.accents == ADE_ACCENTS_UNICODE && !(flags_of(parts[k]) & ADE_COMBINING)))
                out[n++] = parts[k];
    }
    return n;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

/* The word in the making. */
typedef struct open_word {
    uint64_t hash;
    size_t   at;         /* its first byte of words->bytes */
    uint32_t start, end; /* in the text */
    unsigned letters;    /* 0: there is none; 2: two or more */
} open_word;

/* Room for the words that a segment can hold (two bytes and a separator each), and those of a character of many parts. */
static ade_status make_room(ade_words *w, size_t segment) {
    if (ade__reserve(&w->items, &w->items_capacity, w->n + segment / 3 + 2 + MOST_PARTS, sizeof *w->items) ||
        ade__reserve(&w->bytes, &w->bytes_capacity, w->n_bytes + segment + SLACK, 1))
        return ADE_OUT_OF_MEMORY;
    return ADE_OK;
}

static void begin_word(const ade_words *w, open_word *word, size_t start) {
    *word = (open_word){.hash = ade__word_hash_start(), .at = w->n_bytes, .start = (uint32_t)start};
}

static void end_word(ade_words *w, open_word *word) {
    if (word->letters >= 2) {
        w->items[w->n++] = (ade_word){word->hash, word->at, w->n_bytes - word->at, word->start, word->end};
        w->bytes[w->n_bytes++] = ' ';
    } else {
        w->n_bytes = word->at;
    }
    word->letters = 0;
}

static void add_letter(ade_words *w, open_word *word, uint32_t c, size_t at, size_t end) {
    unsigned char bytes[4];
    size_t        length = ade__utf8_encode(c, bytes);
    if (!word->letters) begin_word(w, word, at);
    for (size_t i = 0; i < length; i++) {
        w->bytes[w->n_bytes++] = bytes[i];
        word->hash = ade__word_hash_add(word->hash, bytes[i]);
    }
    if (word->letters < 2) word->letters++;
    word->end = (uint32_t)end;
}

/* A character that is not ASCII. */
static ade_status take_character(ade_words *w, open_word *word) {
    uint32_t parts[MOST_PARTS], c;
    size_t   at = w->next, end = at + ade__utf8_decode(w->text + at, w->size - at, &c);
    if (c == ADE_INVALID_UTF8) {
        if (w->options.invalid != ADE_INVALID_UTF8_REPLACE)
            return ade__fail(ADE_BAD_INPUT,
                             "the text is not valid UTF-8 at byte %zu (value 0x%02x); convert it to UTF-8, or have "
                             "invalid bytes replaced (invalid_utf8)",
                             at, w->text[at]);
        if (w->replaced < INT32_MAX) w->replaced++;
        c = 0xfffd;
    }
    size_t n = expand(w, c, at, end, parts);
    for (size_t i = 0; i < n; i++) {
        if (flags_of(parts[i]) & ADE_IN_WORD)
            add_letter(w, word, parts[i], at, end);
        else if (word->letters)
            end_word(w, word);
    }
    w->next = end;
    return ADE_OK;
}

/* ASCII up to `stop`: the part that has to be fast, so that what it changes is in variables of its own. */
static void take_ascii(ade_words *w, open_word *word, size_t stop) {
    const unsigned char *const table = w->options.lowercase ? LOWERED : AS_IS, *const text = w->text;
    unsigned char *const       bytes = w->bytes;
    size_t                     next = w->next, to = w->n_bytes;
    open_word                  now = *word;
    while (next < stop && text[next] < 0x80) {
        unsigned char c = table[text[next]];
        if (c) {
            if (!now.letters)
                now = (open_word){.hash = ade__word_hash_start(), .at = to, .start = (uint32_t)next};
            do {
                now.hash = ade__word_hash_add(now.hash, c);
                bytes[to++] = c;
                if (now.letters < 2) now.letters++;
                next++;
            } while (next < stop && text[next] < 0x80 && (c = table[text[next]]));
            now.end = (uint32_t)next;
            continue;
        }
        next++;
        if (now.letters >= 2) {
            w->items[w->n++] = (ade_word){now.hash, now.at, to - now.at, now.start, now.end};
            bytes[to++] = ' ';
        } else if (now.letters) {
            to = now.at;
        }
        now.letters = 0;
    }
    w->next = next;
    w->n_bytes = to;
    *word = now;
}

/* ---- The way through a text -------------------------------------------------------------------------------------- */

void ade__words_begin(ade_words *w, const ade_words_options *options, ade_text text) {
    w->options = *options;
    w->text = (const unsigned char *)text.data;
    w->size = text.size;
    w->n = w->next = w->n_bytes = 0;
    w->replaced = 0;
}

static void keep_last(ade_words *w, size_t keep) {
    size_t to = 0, first = w->n - (keep < w->n ? keep : w->n);
    for (size_t i = first; i < w->n; i++) {
        ade_word *word = &w->items[i - first];
        *word = w->items[i];
        memmove(w->bytes + to, w->bytes + word->at, word->size + 1);
        word->at = to;
        to += word->size + 1;
    }
    w->n -= first;
    w->n_bytes = to;
}

ade_status ade__words_read(ade_words *w, size_t keep, bool *more) {
    open_word word = {0};
    if (w->size > UINT32_MAX)
        return ade__fail(ADE_BAD_INPUT, "the text has %zu bytes; at most %zu are possible, split it", w->size,
                         (size_t)UINT32_MAX);
    keep_last(w, keep);
    const size_t enough = w->n + AT_ONCE;
    while (w->next < w->size && (word.letters || w->n < enough)) { /* a call never ends within a word */
        size_t rest = w->size - w->next, segment = rest < SEGMENT ? rest : SEGMENT;
        ADE_TRY(make_room(w, segment));
        take_ascii(w, &word, w->next + segment);
        if (w->next < w->size && w->text[w->next] >= 0x80) {
            ADE_TRY(make_room(w, 0));
            ADE_TRY(take_character(w, &word));
        }
    }
    if (word.letters) {
        ADE_TRY(make_room(w, 0));
        end_word(w, &word);
    }
    *more = w->next < w->size;
    return ADE_OK;
}

void ade__words_clear(ade_words *w) {
    ade__free(w->items);
    ade__free(w->bytes);
    *w = (ade_words){0};
}
