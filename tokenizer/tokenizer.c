/* SPDX-License-Identifier: Apache-2.0
 * Making a tokenizer: its vocabulary, its added tokens, and the tables that encode.c reads. */
#include "tokenizer.h"

#include "alloc.h"
#include "status.h"
#include "tokenizer_internal.h"

#include <stdatomic.h>
#include <string.h>

#define MAX_WORD_CHARS ((size_t)1 << 28) /* the ends of pieces are 32 bits wide */

static bool valid_utf8(const char *data, size_t size) {
    const unsigned char *bytes = (const unsigned char *)data;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        at += ade__utf8_decode(bytes + at, size - at, &c);
        if (c == ADE_INVALID_UTF8) return false;
    }
    return true;
}

static int32_t find_token(const ade_tokenizer *tokenizer, const char *text) {
    return text ? ade__trie_find(&tokenizer->vocab, (const unsigned char *)text, strlen(text)) : -1;
}

static ade_status build_vocab(ade_tokenizer *tokenizer, const ade_tokenizer_config *config, size_t *n_unique) {
    size_t           n = 0;
    ade__trie_entry *entries = ade__malloc(config->n_vocab * sizeof *entries);
    ade_status       status = ADE_OK;
    if (!entries) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < config->n_vocab; i++) {
        ade_text token = config->vocab[i];
        if (!token.data) continue; /* no token has this id */
        if (!valid_utf8(token.data, token.size)) {
            status = ade__fail(ADE_BAD_MODEL, "token %zu of the vocabulary is not valid UTF-8", i);
            goto done;
        }
        entries[n++] = (ade__trie_entry){(const unsigned char *)token.data, token.size, i, (int32_t)i};
    }
    status = ade__trie_build(entries, n, &tokenizer->vocab, n_unique);
done:
    ade__free(entries);
    return status;
}

static ade_status find_specials(ade_tokenizer *tokenizer, const ade_tokenizer_config *config) {
    struct {
        const char *what, *text;
        int32_t    *id;
    } needed[] = {{"cls_token", config->cls_token, &tokenizer->cls_id},
                  {"sep_token", config->sep_token, &tokenizer->sep_id},
                  {"pad_token", config->pad_token, &tokenizer->pad_id}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        *needed[i].id = find_token(tokenizer, needed[i].text);
        if (*needed[i].id < 0)
            return ade__fail(ADE_BAD_MODEL,
                             "the vocabulary lacks the token %s (%s); it is damaged or belongs to another model",
                             needed[i].text ? needed[i].text : "that is not even named", needed[i].what);
    }
    tokenizer->unk_id = find_token(tokenizer, config->unk_token);
    return ADE_OK;
}

/* The patterns of the two passes, while they are being collected. */
typedef struct patterns {
    ade__trie_entry *raw, *normalized;
    char           **copies; /* what the normalized ones point to */
    size_t           n_raw, n_normalized;
    ade__normalized  text;
} patterns;

/* Token `index` of `tokenizer->added`, which is complete but for its pattern. */
static ade_status collect_pattern(ade_tokenizer *tokenizer, patterns *p, const char *content, size_t size,
                                  size_t index, size_t n_tokens) {
    const unsigned char *bytes = (const unsigned char *)content;
    if (!tokenizer->added[index].normalized) {
        p->raw[p->n_raw++] = (ade__trie_entry){bytes, size, index, (int32_t)index};
        return ADE_OK;
    }
    ADE_TRY(ade__normalize(&tokenizer->normalizer, bytes, 0, size, &p->text));
    if (!p->text.size)
        return ade__fail(ADE_UNSUPPORTED,
                         "added token %zu has normalized = true, and nothing is left of its %zu bytes once normalized",
                         index, size);
    char *copy = ade__strndup((const char *)p->text.bytes, p->text.size);
    if (!copy) return ADE_OUT_OF_MEMORY;
    /* Where two become equal, the reference takes one by chance; here it is the first. */
    p->copies[p->n_normalized] = copy;
    p->normalized[p->n_normalized++] =
        (ade__trie_entry){(const unsigned char *)copy, p->text.size, n_tokens - index, (int32_t)index};
    return ADE_OK;
}

/* Special tokens of the model are added tokens, whether or not the files list them. */
#define N_IMPLICIT 5

typedef struct named_token {
    const char *content;
    size_t      size;
} named_token;

/* Fills tokenizer->added. Of two tokens with equal content the later one's settings hold, but special stays. `names`
 * (n_added + N_IMPLICIT) gets the content of those that are to be searched; content NULL for the others. */
static ade_status collect_added(ade_tokenizer *tokenizer, const ade_tokenizer_config *config, size_t n_unique,
                                named_token *names) {
    size_t           n = 0;
    int64_t          next_id = (int64_t)n_unique;
    ade__trie        contents = {0};
    ade__trie_entry *entries = ade__malloc(config->n_added * sizeof *entries);
    ade_status       status = ADE_OUT_OF_MEMORY;
    if (!entries) return status;
    for (size_t i = 0; i < config->n_added; i++) {
        const ade_added_token *token = &config->added[i];
        if (!valid_utf8(token->content, token->content_size)) {
            status = ade__fail(ADE_BAD_MODEL, "added token %zu is not valid UTF-8", i);
            goto done;
        }
        if (token->content_size)
            entries[n++] = (ade__trie_entry){(const unsigned char *)token->content, token->content_size, i, (int32_t)i};
    }
    ADE_TRY_GOTO(ade__trie_build(entries, n, &contents, NULL), done);
    for (size_t i = 0; i < config->n_added; i++) {
        const ade_added_token *token = &config->added[i];
        const unsigned char   *bytes = (const unsigned char *)token->content;
        if (!token->content_size) continue;
        int32_t     last = ade__trie_find(&contents, bytes, token->content_size);
        ade__added *added = &tokenizer->added[last];
        if (!names[last].content) { /* its first appearance */
            added->id = ade__trie_find(&tokenizer->vocab, bytes, token->content_size);
            if (added->id < 0) added->id = (int32_t)next_id++;
            names[last] = (named_token){token->content, token->content_size};
        }
        added->special |= token->special;
        if ((size_t)last == i) {
            added->single_word = token->single_word;
            added->lstrip = token->lstrip;
            added->rstrip = token->rstrip;
            added->normalized = token->normalized;
        }
    }
    const char *implicit[N_IMPLICIT] = {config->unk_token, config->cls_token, config->sep_token, config->pad_token,
                                        config->mask_token};
    for (size_t i = 0; i < N_IMPLICIT; i++) {
        const char *content = implicit[i];
        int32_t     id = find_token(tokenizer, content);
        bool        known = id < 0 || ade__trie_find(&contents, (const unsigned char *)content, strlen(content)) >= 0;
        for (size_t j = 0; j < i && !known; j++) known = implicit[j] && strcmp(implicit[j], content) == 0;
        if (known) continue;
        tokenizer->added[config->n_added + i] = (ade__added){.id = id, .special = true};
        names[config->n_added + i] = (named_token){content, strlen(content)};
    }
    status = ADE_OK;
done:
    ade__trie_clear(&contents);
    ade__free(entries);
    return status;
}

static ade_status build_sets(ade_tokenizer *tokenizer, const named_token *names, size_t n) {
    patterns p = {0};
    p.raw = ade__calloc(n, sizeof *p.raw);
    p.normalized = ade__calloc(n, sizeof *p.normalized);
    p.copies = ade__calloc(n, sizeof *p.copies);
    ade_status status = p.raw && p.normalized && p.copies ? ADE_OK : ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n && !status; i++)
        if (names[i].content) status = collect_pattern(tokenizer, &p, names[i].content, names[i].size, i, n);
    if (!status) status = ade__added_set_build(p.raw, p.n_raw, tokenizer->added, &tokenizer->raw);
    if (!status) status = ade__added_set_build(p.normalized, p.n_normalized, tokenizer->added, &tokenizer->normalized);
    for (size_t i = 0; i < p.n_normalized; i++) ade__free(p.copies[i]);
    ade__normalized_clear(&p.text);
    ade__free(p.raw);
    ade__free(p.normalized);
    ade__free(p.copies);
    return status;
}

static ade_status keep_texts(ade_tokenizer *tokenizer, const ade_tokenizer_config *config, const named_token *names,
                             size_t n_names) {
    size_t size = config->n_vocab, bytes = 0, at = 0;
    for (size_t i = 0; i < n_names; i++)
        if (names[i].content && (size_t)tokenizer->added[i].id >= size) size = (size_t)tokenizer->added[i].id + 1;
    ade_text *texts = ade__calloc(size, sizeof *texts);
    tokenizer->token_starts = ade__malloc((size + 1) * sizeof *tokenizer->token_starts);
    tokenizer->entry_sizes = ade__calloc(config->n_vocab, sizeof *tokenizer->entry_sizes);
    if (!texts || !tokenizer->token_starts || !tokenizer->entry_sizes) {
        ade__free(texts);
        return ADE_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < config->n_vocab; i++) {
        texts[i] = config->vocab[i];
        if (texts[i].data) tokenizer->entry_sizes[i] = (uint32_t)texts[i].size; /* the trie has no room for more */
    }
    for (size_t i = 0; i < n_names; i++)
        if (names[i].content) texts[tokenizer->added[i].id] = (ade_text){names[i].content, names[i].size};
    for (size_t i = 0; i < size; i++) bytes += texts[i].size + 1;
    tokenizer->token_bytes = ade__malloc(bytes);
    tokenizer->token_starts[0] = 0;
    if (tokenizer->token_bytes)
        for (size_t i = 0; i < size; i++) {
            if (texts[i].size) memcpy(tokenizer->token_bytes + at, texts[i].data, texts[i].size);
            at += texts[i].size;
            tokenizer->token_bytes[at++] = '\0';
            tokenizer->token_starts[i + 1] = at;
        }
    tokenizer->size = (int32_t)size;
    ade__free(texts);
    return tokenizer->token_bytes ? ADE_OK : ADE_OUT_OF_MEMORY;
}

/* What each ASCII character is to the scan. */
static void classify_ascii(ade_tokenizer *tokenizer) {
    uint8_t bits[128] = {0};
    bool    other_first = false;
    for (unsigned c = 0; c < 128; c++) {
        unsigned flags = ade__class_of(c)->flags;
        if (tokenizer->raw.n && tokenizer->raw.first[c]) bits[c] |= ADE_SCAN_FIRST;
        if (c == 0 || (tokenizer->normalizer.clean_text && flags & ADE_CHAR_DELETED))
            bits[c] |= ADE_SCAN_STRETCH | ADE_SCAN_COMPLEX;
        else if (flags & ADE_CHAR_WHITESPACE)
            continue;
        else if (flags & ADE_CHAR_PUNCTUATION)
            bits[c] |= ADE_SCAN_PUNCTUATION;
        else
            bits[c] |= ADE_SCAN_STRETCH;
    }
    for (unsigned byte = 128; byte < 256; byte++) other_first |= tokenizer->raw.n && tokenizer->raw.first[byte];
    ade__scan_classes_set(&tokenizer->classes, bits, other_first, tokenizer->normalizer.lowercase);
}

/* Whether a token could be a word with a key. Not exact: a word that nobody can look up does no harm. */
static bool may_be_word(const ade_tokenizer *tokenizer, ade_text token) {
    const unsigned char *bytes = (const unsigned char *)token.data;
    size_t               chars = 0;
    if (!bytes || !token.size || token.size > ADE_KEY_BYTES || memchr(bytes, 0, token.size)) return false;
    for (size_t i = 0; i < token.size; i++) {
        chars += (bytes[i] & 0xc0) != 0x80;
        if (token.size > 1 && bytes[i] < 0x80 && !(tokenizer->classes.bits[bytes[i]] & ADE_SCAN_STRETCH)) return false;
    }
    return chars <= tokenizer->wordpiece.max_chars;
}

/* The words that a cache begins with, from the last token on: vocabularies put frequent ones first, and of a set's words
 * the last two stay. */
static ade_status learn_words(ade_tokenizer *tokenizer, const ade_tokenizer_config *config, bool duplicates) {
    tokenizer->words = ade__words_new();
    if (!tokenizer->words) return ADE_OUT_OF_MEMORY;
    for (size_t i = config->n_vocab; i-- > 0;) {
        ade_text      token = config->vocab[i];
        unsigned char padded[ADE_KEY_BYTES] = {0};
        int32_t       id = (int32_t)i;
        ade__word     word;
        if (!may_be_word(tokenizer, token)) continue;
        memcpy(padded, token.data, token.size);
        if (duplicates && ade__trie_find(&tokenizer->vocab, padded, token.size) != id) continue; /* another counts */
        ade__describe(tokenizer, ade__key_load(padded, token.size), &id, 1, &word);
        ade__word_insert(tokenizer->words, &word);
    }
    return ADE_OK;
}

ade_status ade__tokenizer_new(const ade_tokenizer_config *config, ade_tokenizer **out) {
    static atomic_uint_fast64_t serials;
    size_t                      n_unique, n_names;
    uint32_t                    slot;
    if (config->n_vocab > INT32_MAX / 4 || config->n_added > INT32_MAX / 4)
        return ade__fail(ADE_UNSUPPORTED, "%zu tokens and %zu added tokens are more than a vocabulary may have",
                         config->n_vocab, config->n_added);
    n_names = config->n_added + N_IMPLICIT;
    ade_tokenizer *tokenizer = ade__aligned_malloc(1, sizeof *tokenizer);
    if (!tokenizer) return ADE_OUT_OF_MEMORY;
    memset(tokenizer, 0, sizeof *tokenizer);
    ade_status   status = ADE_OUT_OF_MEMORY;
    named_token *names = ade__calloc(n_names, sizeof *names);
    tokenizer->added = ade__calloc(n_names, sizeof *tokenizer->added);
    if (!names || !tokenizer->added) goto fail;
    tokenizer->serial = atomic_fetch_add(&serials, 1) + 1;
    tokenizer->normalizer = (ade__normalizer){config->clean_text, config->handle_chinese_chars, config->strip_accents,
                                              config->lowercase};
    ADE_TRY_GOTO(build_vocab(tokenizer, config, &n_unique), fail);
    ADE_TRY_GOTO(find_specials(tokenizer, config), fail);
    tokenizer->wordpiece.vocab = &tokenizer->vocab;
    tokenizer->prefix_size = strlen(config->continuing_prefix);
    tokenizer->wordpiece.continuing = ade__trie_walk(
        &tokenizer->vocab, (const unsigned char *)config->continuing_prefix, tokenizer->prefix_size, &slot);
    tokenizer->wordpiece.max_chars = config->max_input_chars_per_word;
    if (tokenizer->wordpiece.max_chars > MAX_WORD_CHARS) tokenizer->wordpiece.max_chars = MAX_WORD_CHARS;
    ADE_TRY_GOTO(collect_added(tokenizer, config, n_unique, names), fail);
    ADE_TRY_GOTO(build_sets(tokenizer, names, n_names), fail);
    ADE_TRY_GOTO(keep_texts(tokenizer, config, names, n_names), fail);
    classify_ascii(tokenizer);
    tokenizer->wide = config->n_vocab > UINT16_MAX;
    ADE_TRY_GOTO(learn_words(tokenizer, config, n_unique != config->n_vocab), fail);
    tokenizer->scan = ade__scan_choose(ade__isa_best(), NULL);
    ade__free(names);
    *out = tokenizer;
    return ADE_OK;
fail:
    ade__free(names);
    ade__tokenizer_free(tokenizer);
    return status;
}

void ade__tokenizer_free(ade_tokenizer *tokenizer) {
    if (!tokenizer) return;
    ade__trie_clear(&tokenizer->vocab);
    ade__aligned_free(tokenizer->words);
    ade__added_set_clear(&tokenizer->raw);
    ade__added_set_clear(&tokenizer->normalized);
    ade__free(tokenizer->added);
    ade__free(tokenizer->token_bytes);
    ade__free(tokenizer->token_starts);
    ade__free(tokenizer->entry_sizes);
    ade__aligned_free(tokenizer);
}

int32_t ade__tokenizer_size(const ade_tokenizer *tokenizer) { return tokenizer->size; }

const char *ade__tokenizer_token(const ade_tokenizer *tokenizer, int32_t id) {
    return id < 0 || id >= tokenizer->size ? NULL : tokenizer->token_bytes + tokenizer->token_starts[id];
}

int32_t ade__tokenizer_unk_id(const ade_tokenizer *tokenizer) { return tokenizer->unk_id; }

int32_t ade__tokenizer_pad_id(const ade_tokenizer *tokenizer) { return tokenizer->pad_id; }
