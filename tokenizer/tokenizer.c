/* SPDX-License-Identifier: Apache-2.0
 * Joins the steps: added tokens, normalizing, words, pieces, truncation, [CLS] and [SEP].
 *
 * Words of ASCII letters and digits between ASCII white space or punctuation need no normalizing beyond lower case and
 * are cut straight from the text; only stretches that hold anything else are normalized into the scratch. That is
 * exact, because nothing in a stretch reaches across an ASCII separator: it is never deleted, joined or reordered. */
#include "tokenizer.h"

#include "alloc.h"
#include "status.h"
#include "tokenizer_internal.h"

#include <stdatomic.h>
#include <string.h>

/* What a byte of the text means to the fast path. */
enum { KIND_SPACE, KIND_PUNCTUATION, KIND_WORD, KIND_COMPLEX };

struct ade_tokenizer {
    uint64_t        serial; /* never 0, differs between all tokenizers of the process */
    ade__trie       vocab;
    ade__wordpiece  wordpiece;
    ade__normalizer normalizer;
    int32_t         unk_id, cls_id, sep_id, pad_id;
    uint8_t         kinds[256];
    int32_t         punctuation[128]; /* id of the ASCII character as a word; -1 unknown */
    ade__added     *added;
    ade__added_set  raw, normalized; /* first pass, second pass */
    char           *token_bytes;     /* all tokens, each with a final NUL */
    size_t         *token_starts;    /* (size) */
    int32_t         size;
};

/* ---- Words seen before ------------------------------------------------------------------------------------------- */

#define MAX_WORD_CHARS ((size_t)1 << 28) /* the ends of pieces are 32 bits wide */

#define CACHE_BITS   13 /* 512 KiB; the words of a few thousand abstracts */
#define CACHE_PIECES 8
#define CACHE_BYTES  15

typedef struct cached_word {
    uint64_t key[2]; /* the word's bytes, then zeros */
    int32_t  ids[CACHE_PIECES];
    uint8_t  ends[CACHE_PIECES];
    uint8_t  size, n; /* bytes, pieces; size 0: empty slot */
} cached_word;

struct ade_tokenizer_scratch {
    uint64_t        serial; /* of the tokenizer that the cache belongs to */
    int32_t        *ids;
    uint32_t       *starts, *ends;
    size_t          ids_capacity, starts_capacity, ends_capacity;
    uint32_t       *piece_ends; /* of one word */
    unsigned char  *word;       /* a long word in lower case */
    size_t          piece_ends_capacity, word_capacity;
    ade__normalized normalized;
    cached_word    *cache; /* (1 << CACHE_BITS), direct-mapped */
};

/* ---- Making a tokenizer ------------------------------------------------------------------------------------------ */

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
    tokenizer->token_starts = ade__malloc(size * sizeof *tokenizer->token_starts);
    if (!texts || !tokenizer->token_starts) {
        ade__free(texts);
        return ADE_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < config->n_vocab; i++) texts[i] = config->vocab[i];
    for (size_t i = 0; i < n_names; i++)
        if (names[i].content) texts[tokenizer->added[i].id] = (ade_text){names[i].content, names[i].size};
    for (size_t i = 0; i < size; i++) bytes += texts[i].size + 1;
    tokenizer->token_bytes = ade__malloc(bytes);
    if (tokenizer->token_bytes)
        for (size_t i = 0; i < size; i++) {
            tokenizer->token_starts[i] = at;
            if (texts[i].size) memcpy(tokenizer->token_bytes + at, texts[i].data, texts[i].size);
            at += texts[i].size;
            tokenizer->token_bytes[at++] = '\0';
        }
    tokenizer->size = (int32_t)size;
    ade__free(texts);
    return tokenizer->token_bytes ? ADE_OK : ADE_OUT_OF_MEMORY;
}

static void learn_ascii(ade_tokenizer *tokenizer) {
    memset(tokenizer->kinds, KIND_COMPLEX, sizeof tokenizer->kinds);
    for (unsigned c = 0; c < 128; c++) {
        unsigned      flags = ade__class_of(c)->flags;
        unsigned char byte = (unsigned char)c;
        uint32_t      end;
        tokenizer->punctuation[c] = -1;
        if (tokenizer->normalizer.clean_text && flags & ADE_CHAR_DELETED) continue;
        if (flags & ADE_CHAR_WHITESPACE) {
            tokenizer->kinds[c] = KIND_SPACE;
        } else if (flags & ADE_CHAR_PUNCTUATION) {
            tokenizer->kinds[c] = KIND_PUNCTUATION;
            (void)ade__wordpiece_cut(&tokenizer->wordpiece, &byte, 1, &tokenizer->punctuation[c], &end);
        } else {
            tokenizer->kinds[c] = KIND_WORD;
        }
    }
}

ade_status ade__tokenizer_new(const ade_tokenizer_config *config, ade_tokenizer **out) {
    static atomic_uint_fast64_t serials;
    size_t                      n_unique, n_names;
    if (config->n_vocab > INT32_MAX / 4 || config->n_added > INT32_MAX / 4)
        return ade__fail(ADE_UNSUPPORTED, "%zu tokens and %zu added tokens are more than a vocabulary may have",
                         config->n_vocab, config->n_added);
    n_names = config->n_added + N_IMPLICIT;
    ade_tokenizer *tokenizer = ade__calloc(1, sizeof *tokenizer);
    if (!tokenizer) return ADE_OUT_OF_MEMORY;
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
    tokenizer->wordpiece.continuing = ade__trie_walk(
        &tokenizer->vocab, (const unsigned char *)config->continuing_prefix, strlen(config->continuing_prefix));
    tokenizer->wordpiece.max_chars = config->max_input_chars_per_word;
    if (tokenizer->wordpiece.max_chars > MAX_WORD_CHARS) tokenizer->wordpiece.max_chars = MAX_WORD_CHARS;
    ADE_TRY_GOTO(collect_added(tokenizer, config, n_unique, names), fail);
    ADE_TRY_GOTO(build_sets(tokenizer, names, n_names), fail);
    ADE_TRY_GOTO(keep_texts(tokenizer, config, names, n_names), fail);
    learn_ascii(tokenizer);
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
    ade__added_set_clear(&tokenizer->raw);
    ade__added_set_clear(&tokenizer->normalized);
    ade__free(tokenizer->added);
    ade__free(tokenizer->token_bytes);
    ade__free(tokenizer->token_starts);
    ade__free(tokenizer);
}

int32_t ade__tokenizer_size(const ade_tokenizer *tokenizer) { return tokenizer->size; }

const char *ade__tokenizer_token(const ade_tokenizer *tokenizer, int32_t id) {
    return id < 0 || id >= tokenizer->size ? NULL : tokenizer->token_bytes + tokenizer->token_starts[id];
}

int32_t ade__tokenizer_unk_id(const ade_tokenizer *tokenizer) { return tokenizer->unk_id; }

int32_t ade__tokenizer_pad_id(const ade_tokenizer *tokenizer) { return tokenizer->pad_id; }

ade_status ade__tokenizer_scratch_new(const ade_tokenizer *tokenizer, ade_tokenizer_scratch **out) {
    ade_tokenizer_scratch *scratch = ade__calloc(1, sizeof *scratch);
    if (!scratch) return ADE_OUT_OF_MEMORY;
    scratch->serial = tokenizer->serial;
    scratch->cache = ade__aligned_malloc((size_t)1 << CACHE_BITS, sizeof *scratch->cache);
    if (!scratch->cache) {
        ade__free(scratch);
        return ADE_OUT_OF_MEMORY;
    }
    memset(scratch->cache, 0, sizeof *scratch->cache << CACHE_BITS);
    *out = scratch;
    return ADE_OK;
}

void ade__tokenizer_scratch_free(ade_tokenizer_scratch *scratch) {
    if (!scratch) return;
    ade__normalized_clear(&scratch->normalized);
    ade__aligned_free(scratch->cache);
    ade__free(scratch->ids);
    ade__free(scratch->starts);
    ade__free(scratch->ends);
    ade__free(scratch->piece_ends);
    ade__free(scratch->word);
    ade__free(scratch);
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

typedef struct encoder {
    const ade_tokenizer   *tokenizer;
    ade_tokenizer_scratch *scratch;
    const unsigned char   *text;
    size_t                 size, n, limit; /* n ids so far, [CLS] among them; more than `limit` are too many */
    bool                   split_special, want_offsets;
} encoder;

static inline ade_status room(encoder *e, size_t more) {
    ade_tokenizer_scratch *scratch = e->scratch;
    if (e->n + more > scratch->ids_capacity &&
        ade__reserve(&scratch->ids, &scratch->ids_capacity, e->n + more, sizeof *scratch->ids))
        return ADE_OUT_OF_MEMORY;
    if (e->want_offsets && e->n + more > scratch->ends_capacity &&
        (ade__reserve(&scratch->starts, &scratch->starts_capacity, e->n + more, sizeof *scratch->starts) ||
         ade__reserve(&scratch->ends, &scratch->ends_capacity, e->n + more, sizeof *scratch->ends)))
        return ADE_OUT_OF_MEMORY;
    return ADE_OK;
}

/* The caller has made room. */
static inline void put_id(encoder *e, int32_t id, size_t start, size_t end) {
    e->scratch->ids[e->n] = id;
    if (e->want_offsets) {
        e->scratch->starts[e->n] = (uint32_t)start;
        e->scratch->ends[e->n] = (uint32_t)end;
    }
    e->n++;
}

static ade_status put_unknown(encoder *e, size_t start, size_t end) {
    if (e->tokenizer->unk_id < 0)
        return ade__fail(ADE_BAD_MODEL,
                         "the word at bytes %zu to %zu of a text is not in the vocabulary, which has no token for "
                         "unknown words either",
                         start, end);
    put_id(e, e->tokenizer->unk_id, start, end);
    return ADE_OK;
}

/* The word's bytes in two integers; `readable` bytes may be read, size <= CACHE_BYTES. */
static inline void load_key(const unsigned char *word, size_t size, size_t readable, uint64_t key[2]) {
    static const unsigned char masks[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                            255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t                   mask[2];
    if (readable >= 16) {
        memcpy(key, word, 16);
        memcpy(mask, masks + 16 - size, 16);
        key[0] &= mask[0];
        key[1] &= mask[1];
    } else {
        key[0] = key[1] = 0;
        memcpy(key, word, size);
    }
}

/* Eight ASCII bytes in lower case: the high bit of each byte of `above` says "at least A", of `beyond` "after Z". */
static inline uint64_t lower_ascii(uint64_t bytes) {
    uint64_t above = bytes + UINT64_C(0x3f3f3f3f3f3f3f3f), beyond = bytes + UINT64_C(0x2525252525252525);
    return bytes + ((above & ~beyond & UINT64_C(0x8080808080808080)) >> 2);
}

/* How pieces of a word map to the original: a fixed shift, or the ranges of a normalized text. */
typedef struct place {
    const ade__normalized *normalized; /* NULL: the word stands in the text as it is */
    size_t                 start, end;
} place;

static inline size_t original_start(const place *at, size_t offset) {
    return at->normalized ? at->normalized->starts[at->start + offset] : at->start + offset;
}

static inline size_t original_end(const place *at, size_t offset) {
    return at->normalized ? at->normalized->ends[at->start + offset - 1] : at->start + offset;
}

static ade_status put_long_word(encoder *e, const unsigned char *word, size_t size, const place *at) {
    ade_tokenizer_scratch *scratch = e->scratch;
    size_t                 n = size, start = 0;
    ADE_TRY(room(e, n));
    if (ade__reserve(&scratch->piece_ends, &scratch->piece_ends_capacity, n, sizeof *scratch->piece_ends))
        return ADE_OUT_OF_MEMORY;
    n = ade__wordpiece_cut(&e->tokenizer->wordpiece, word, size, scratch->ids + e->n, scratch->piece_ends);
    if (!n) return put_unknown(e, original_start(at, 0), original_end(at, size));
    for (size_t i = 0; i < n; i++) {
        size_t end = scratch->piece_ends[i];
        put_id(e, scratch->ids[e->n], original_start(at, start), original_end(at, end));
        start = end;
    }
    return ADE_OK;
}

static ade_status fill_cache(encoder *e, cached_word *slot, const uint64_t key[2], size_t size) {
    int32_t        ids[CACHE_BYTES];
    uint32_t       ends[CACHE_BYTES];
    unsigned char  word[16];
    memcpy(word, key, sizeof word);
    size_t n = ade__wordpiece_cut(&e->tokenizer->wordpiece, word, size, ids, ends);
    slot->size = 0;
    if (n > CACHE_PIECES || (!n && e->tokenizer->unk_id < 0)) return ADE_OK;
    if (!n) {
        n = 1;
        ids[0] = e->tokenizer->unk_id;
        ends[0] = (uint32_t)size;
    }
    slot->key[0] = key[0];
    slot->key[1] = key[1];
    slot->size = (uint8_t)size;
    slot->n = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        slot->ids[i] = ids[i];
        slot->ends[i] = (uint8_t)ends[i];
    }
    return ADE_OK;
}

/* A word of at most CACHE_BYTES bytes, normalized, in `key`. */
static inline ade_status put_short_word(encoder *e, const uint64_t key[2], size_t size, const place *at) {
    ade_tokenizer_scratch *scratch = e->scratch;
    uint64_t               mixed = key[0] ^ (key[1] + size) * UINT64_C(0xff51afd7ed558ccd);
    cached_word           *slot = &scratch->cache[mixed * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CACHE_BITS)];
    if (__builtin_expect(slot->key[0] != key[0] || slot->key[1] != key[1] || slot->size != size, 0)) {
        ADE_TRY(fill_cache(e, slot, key, size));
        if (!slot->size) {
            unsigned char word[16];
            memcpy(word, key, sizeof word);
            return put_long_word(e, word, size, at);
        }
    }
    ADE_TRY(room(e, CACHE_PIECES));
    memcpy(scratch->ids + e->n, slot->ids, sizeof slot->ids); /* those behind slot->n are overwritten later */
    if (e->want_offsets) {
        size_t start = 0;
        for (size_t i = 0; i < slot->n; i++) {
            scratch->starts[e->n + i] = (uint32_t)original_start(at, start);
            scratch->ends[e->n + i] = (uint32_t)original_end(at, slot->ends[i]);
            start = slot->ends[i];
        }
    }
    e->n += slot->n;
    return ADE_OK;
}

/* Bytes [start, end) of the text: a word of ASCII characters that only want lower case. */
static inline ade_status put_ascii_word(encoder *e, size_t start, size_t end) {
    size_t size = end - start;
    bool   lowercase = e->tokenizer->normalizer.lowercase;
    place  at = {NULL, start, end};
    if (size <= CACHE_BYTES) {
        uint64_t key[2];
        load_key(e->text + start, size, e->size - start, key);
        if (lowercase) {
            key[0] = lower_ascii(key[0]);
            key[1] = lower_ascii(key[1]);
        }
        return put_short_word(e, key, size, &at);
    }
    if (size > e->tokenizer->wordpiece.max_chars) {
        ADE_TRY(room(e, 1));
        return put_unknown(e, start, end);
    }
    if (!lowercase) return put_long_word(e, e->text + start, size, &at);
    ade_tokenizer_scratch *scratch = e->scratch;
    if (ade__reserve(&scratch->word, &scratch->word_capacity, size, 1)) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < size; i++) scratch->word[i] = (unsigned char)ade__lower(e->text[start + i]);
    return put_long_word(e, scratch->word, size, &at);
}

/* The words of bytes [from, to) of the scratch's normalized text. */
static ade_status put_normalized(encoder *e, size_t from, size_t to) {
    const ade__normalized *text = &e->scratch->normalized;
    size_t                 start, end;
    while (e->n <= e->limit && ade__next_word(text->bytes, to, &from, &start, &end)) {
        place at = {text, start, end};
        if (end - start <= CACHE_BYTES) {
            uint64_t key[2];
            load_key(text->bytes + start, end - start, text->size - start + ADE_NORMALIZED_SLACK, key);
            ADE_TRY(put_short_word(e, key, end - start, &at));
        } else {
            ADE_TRY(put_long_word(e, text->bytes + start, end - start, &at));
        }
    }
    return ADE_OK;
}

/* A piece of the raw text when there are tokens to be found in the normalized text. */
static ade_status put_piece_with_added(encoder *e, size_t from, size_t to) {
    ade__normalized *text = &e->scratch->normalized;
    ade__added_scan  scan = {0};
    ade__added_match match;
    ADE_TRY(ade__normalize(&e->tokenizer->normalizer, e->text, from, to, text));
    while (e->n <= e->limit &&
           ade__added_next(&e->tokenizer->normalized, text->bytes, text->size, e->split_special, &scan, &match)) {
        ADE_TRY(put_normalized(e, match.gap_start, match.gap_end));
        if (match.start == match.end) continue;
        ADE_TRY(room(e, 1));
        put_id(e, match.id, text->starts[match.start], text->ends[match.end - 1]);
    }
    return put_normalized(e, scan.done, text->size);
}

static ade_status put_piece(encoder *e, size_t from, size_t to) {
    const unsigned char *text = e->text;
    const uint8_t       *kinds = e->tokenizer->kinds;
    size_t               at = from;
    if (e->tokenizer->normalized.n)
        return from < to && e->n <= e->limit ? put_piece_with_added(e, from, to) : ADE_OK;
    while (at < to && e->n <= e->limit) {
        size_t  start = at;
        uint8_t kind = kinds[text[at]];
        if (kind == KIND_SPACE) {
            at++;
            continue;
        }
        if (kind == KIND_PUNCTUATION) {
            int32_t id = e->tokenizer->punctuation[text[at++]];
            ADE_TRY(room(e, 1));
            if (id < 0)
                ADE_TRY(put_unknown(e, start, at));
            else
                put_id(e, id, start, at);
            continue;
        }
        while (at < to && kinds[text[at]] == KIND_WORD) at++;
        if (at == to || kinds[text[at]] != KIND_COMPLEX) {
            ADE_TRY(put_ascii_word(e, start, at));
            continue;
        }
        while (at < to && kinds[text[at]] >= KIND_WORD) at++;
        ADE_TRY(ade__normalize(&e->tokenizer->normalizer, text, start, at, &e->scratch->normalized));
        ADE_TRY(put_normalized(e, 0, e->scratch->normalized.size));
    }
    return ADE_OK;
}

static ade_status put_text(encoder *e) {
    ade__added_scan  scan = {0};
    ade__added_match match;
    while (e->n <= e->limit &&
           ade__added_next(&e->tokenizer->raw, e->text, e->size, e->split_special, &scan, &match)) {
        ADE_TRY(put_piece(e, match.gap_start, match.gap_end));
        if (match.start == match.end) continue;
        ADE_TRY(room(e, 1));
        put_id(e, match.id, match.start, match.end);
    }
    return put_piece(e, scan.done, e->size);
}

static ade_status check_utf8(const encoder *e, ade_invalid_utf8 policy, int32_t *replaced) {
    *replaced = 0;
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

ade_status ade__tokenizer_encode(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, ade_text text,
                                 const ade_encode_options *options, ade_encoding *out) {
    int32_t replaced, unknown = 0;
    if (options->max_length < 3)
        return ade__fail(ADE_INVALID_ARGUMENT, "the maximum length is %d tokens and must be at least 3",
                         (int)options->max_length);
    if (text.size > UINT32_MAX)
        return ade__fail(ADE_BAD_INPUT, "the text has %zu bytes; at most %zu are possible, split it", text.size,
                         (size_t)UINT32_MAX);
    encoder e = {.tokenizer = tokenizer,
                 .scratch = scratch,
                 .text = (const unsigned char *)text.data,
                 .size = text.size,
                 .limit = (size_t)options->max_length - 1,
                 .split_special = options->split_special_tokens,
                 .want_offsets = options->want_offsets};
    if (!e.text) e.text = (const unsigned char *)"";
    ADE_TRY(check_utf8(&e, options->invalid_utf8, &replaced));
    if (scratch->serial != tokenizer->serial) {
        memset(scratch->cache, 0, sizeof *scratch->cache << CACHE_BITS);
        scratch->serial = tokenizer->serial;
    }
    ADE_TRY(room(&e, 2));
    put_id(&e, tokenizer->cls_id, 0, 0);
    ADE_TRY(put_text(&e));
    bool truncated = e.n > e.limit;
    if (truncated) e.n = e.limit;
    ADE_TRY(room(&e, 1));
    put_id(&e, tokenizer->sep_id, 0, 0);
    for (size_t i = 1; i + 1 < e.n; i++) unknown += scratch->ids[i] == tokenizer->unk_id;
    *out = (ade_encoding){.ids = scratch->ids,
                          .starts = e.want_offsets ? scratch->starts : NULL,
                          .ends = e.want_offsets ? scratch->ends : NULL,
                          .n = e.n,
                          .unknown = unknown,
                          .truncated = truncated,
                          .replaced = replaced};
    return ADE_OK;
}
