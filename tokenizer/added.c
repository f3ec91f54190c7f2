/* SPDX-License-Identifier: Apache-2.0
 * Added tokens, found before words are split: of the matches that begin first the longest one, then on behind it. A
 * match that single_word or split_special_tokens refuses is passed over whole, as in the reference. */
#include "tokenizer_internal.h"

#include <string.h>

ade_status ade__added_set_build(ade__trie_entry *patterns, size_t n, const ade__added *tokens, ade__added_set *out) {
    *out = (ade__added_set){.tokens = tokens, .n = n, .only_first = -1};
    for (size_t i = 0; i < n; i++) out->first[patterns[i].data[0]] = true;
    size_t firsts = 0;
    for (int byte = 0; byte < 256; byte++)
        if (out->first[byte]) {
            out->only_first = byte;
            firsts++;
        }
    if (firsts != 1) out->only_first = -1;
    return n ? ade__trie_build(patterns, n, &out->trie, NULL) : ADE_OK;
}

void ade__added_set_clear(ade__added_set *set) { ade__trie_clear(&set->trie); }

static size_t next_first(const ade__added_set *set, const unsigned char *text, size_t at, size_t size) {
    if (set->only_first >= 0) {
        const unsigned char *found = at < size ? memchr(text + at, set->only_first, size - at) : NULL;
        return found ? (size_t)(found - text) : size;
    }
    while (at < size && !set->first[text[at]]) at++;
    return at;
}

static unsigned flags_of(uint32_t c) { return c == ADE_INVALID_UTF8 ? 0 : ade__class_of(c)->flags; }

static bool word_before(const unsigned char *text, size_t at) {
    uint32_t c;
    if (!at) return false;
    (void)ade__utf8_decode_back(text, at, &c);
    return flags_of(c) & ADE_CHAR_WORD;
}

static bool word_after(const unsigned char *text, size_t at, size_t size) {
    uint32_t c;
    if (at == size) return false;
    (void)ade__utf8_decode(text + at, size - at, &c);
    return flags_of(c) & ADE_CHAR_WORD;
}

static size_t skip_space_back(const unsigned char *text, size_t at) {
    while (at) {
        uint32_t c;
        size_t   start = ade__utf8_decode_back(text, at, &c);
        if (!(flags_of(c) & ADE_CHAR_WHITESPACE)) break;
        at = start;
    }
    return at;
}

static size_t skip_space(const unsigned char *text, size_t at, size_t size) {
    while (at < size) {
        uint32_t c;
        size_t   length = ade__utf8_decode(text + at, size - at, &c);
        if (!(flags_of(c) & ADE_CHAR_WHITESPACE)) break;
        at += length;
    }
    return at;
}

bool ade__added_next(const ade__added_set *set, const unsigned char *text, size_t size, bool split_special,
                     ade__added_scan *scan, ade__added_match *match) {
    while (set->n && (scan->at = next_first(set, text, scan->at, size)) < size) {
        size_t   start = scan->at, end = start;
        int32_t  index = -1;
        uint32_t node = set->trie.root, slot;
        for (size_t at = start; at < size;) {
            node = ade__trie_step(&set->trie, node, text[at++], &slot);
            if (node == ADE_TRIE_NONE) break;
            if (node & ADE_TRIE_LEAF) {
                index = set->trie.ids[slot];
                end = at;
            }
        }
        if (index < 0) {
            scan->at++;
            continue;
        }
        scan->at = end;
        const ade__added *token = &set->tokens[index];
        if (split_special && token->special) continue;
        if (token->single_word && (word_before(text, start) || word_after(text, end, size))) continue;
        if (token->lstrip) {
            size_t stripped = skip_space_back(text, start);
            start = stripped > scan->done ? stripped : scan->done;
            if (start > end) start = end;
        }
        if (token->rstrip) end = skip_space(text, end, size);
        /* A token of white space may begin inside what the one before it swallowed: both are handed out. */
        *match = (ade__added_match){scan->done, start > scan->done ? start : scan->done, start, end, token->id};
        scan->done = end;
        return true;
    }
    return false;
}
