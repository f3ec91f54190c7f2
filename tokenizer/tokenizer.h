/* SPDX-License-Identifier: Apache-2.0
 * Text to token ids, exactly as the Hugging Face fast BERT tokenizer (tokenizers 0.23.3) does it:
 * added tokens -> normalize -> pre-tokenize -> WordPiece -> truncate -> [CLS] .. [SEP]. */
#ifndef ADE_TOKENIZER_H
#define ADE_TOKENIZER_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ade_tokenizer         ade_tokenizer;         /* immutable once made; shared between threads */
typedef struct ade_tokenizer_scratch ade_tokenizer_scratch; /* one thread's working memory; grows, is kept */

/* A token that is found in the text before words are split (tokenizer.json "added_tokens" and its relatives). */
typedef struct ade_added_token {
    const char *content; /* UTF-8, content_size bytes */
    size_t      content_size;
    bool        single_word, lstrip, rstrip;
    bool        normalized; /* true: looked for in the normalized text; false: in the raw text */
    bool        special;
} ade_added_token;

/* Everything is copied by ade__tokenizer_new. */
typedef struct ade_tokenizer_config {
    const ade_text        *vocab; /* token of id i, n_vocab of them; duplicates: the later id wins; may be empty texts;
                                     data NULL: no token has this id */
    size_t                 n_vocab;
    /* Ids from the number of different tokens on go, in this order, to those that the vocabulary lacks. Of two with the
     * same content the later one's settings hold. The five tokens below are looked for as well when the vocabulary has
     * them, as special and not normalized, unless they are listed here. */
    const ade_added_token *added;
    size_t                 n_added;
    const char            *unk_token, *cls_token, *sep_token, *pad_token, *mask_token; /* mask_token may be NULL */
    const char            *continuing_prefix;                                          /* "##" */
    bool                   clean_text, handle_chinese_chars, strip_accents, lowercase;
    size_t                 max_input_chars_per_word; /* 100 */
} ade_tokenizer_config;

/* ADE_BAD_MODEL when [CLS], [SEP] or [PAD] is not in the vocabulary (text names the token; the caller adds the file),
 * or a token is not UTF-8; ADE_UNSUPPORTED for an added token of which normalizing leaves nothing. */
ade_status ade__tokenizer_new(const ade_tokenizer_config *config, ade_tokenizer **out);
void       ade__tokenizer_free(ade_tokenizer *tokenizer);

int32_t     ade__tokenizer_size(const ade_tokenizer *tokenizer);                 /* vocabulary + added tokens */
const char *ade__tokenizer_token(const ade_tokenizer *tokenizer, int32_t id);    /* NUL-terminated; NULL out of range */
int32_t     ade__tokenizer_unk_id(const ade_tokenizer *tokenizer);               /* -1 when the vocabulary lacks it */
int32_t     ade__tokenizer_pad_id(const ade_tokenizer *tokenizer);

ade_status ade__tokenizer_scratch_new(const ade_tokenizer *tokenizer, ade_tokenizer_scratch **out);
void       ade__tokenizer_scratch_free(ade_tokenizer_scratch *scratch);

typedef struct ade_encode_options {
    int32_t          max_length;           /* specials included; >= 3 */
    ade_invalid_utf8 invalid_utf8;
    bool             split_special_tokens; /* specials in the text are ordinary text */
    bool             want_offsets;
} ade_encode_options;

typedef struct ade_encoding {
    const int32_t  *ids;                /* (n); lives in the scratch until its next use */
    const uint32_t *starts, *ends;      /* (n) bytes of the original text; NULL unless want_offsets */
    size_t          n;
    int32_t         unknown;   /* ids that are [UNK], also where the text says so itself */
    int32_t         truncated; /* 1 when tokens were left out */
    int32_t         replaced;  /* maximal invalid parts in the whole text */
} ade_encoding;

/* Encodes one text. Nothing is allocated once the scratch has seen a text as large.
 * ADE_BAD_INPUT: invalid UTF-8 (the sentence names the byte offset) or a text of 4 GiB and more;
 * ADE_BAD_MODEL: an unknown word and no [UNK] in the vocabulary; ADE_OUT_OF_MEMORY. */
ade_status ade__tokenizer_encode(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, ade_text text,
                                 const ade_encode_options *options, ade_encoding *out);

#endif
