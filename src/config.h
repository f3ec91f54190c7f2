/* SPDX-License-Identifier: Apache-2.0
 * The small files of a model folder (config.json: config.c; tokenizer files: tokenizer_files.c) as plain structs. Only
 * config.c knows model families, only tokenizer_files.c knows which tokenizer file wins. */
#ifndef ADE_CONFIG_H
#define ADE_CONFIG_H

#include "adesieve.h"
#include "folder.h"
#include "log.h"
#include "tokenizer.h"
#include "words.h"

#include <stdbool.h>

typedef enum ade_activation {
    ADE_ACT_GELU_ERF,
    ADE_ACT_GELU_TANH,
    ADE_ACT_RELU,
    ADE_ACT_SILU,
    ADE_ACT_TANH /* the pooler's; never a config's hidden_act */
} ade_activation;

enum { ADE_BASELINE_WORDS = 5 }; /* in a term, at most */

typedef enum ade_norm { ADE_NORM_NONE, ADE_NORM_L1, ADE_NORM_L2 } ade_norm;

/* What "vectorizer" of a baseline's config.json says, by the names of scikit-learn's TfidfVectorizer. */
typedef struct ade_vectorizer {
    bool        lowercase, use_idf, sublinear_tf, binary;
    ade_accents accents;                 /* strip_accents */
    ade_norm    norm;
    int32_t     least_words, most_words; /* ngram_range */
    char      **stop_words;              /* (n_stop_words); owned */
    size_t      n_stop_words;
} ade_vectorizer;

typedef struct ade_model_config {
    ade_model_kind kind;         /* of a baseline, what describes a network is 0, and vocab_size too until its
                                    vocabulary has been read */
    ade_vectorizer vectorizer;   /* of a baseline */
    char          *architecture; /* owned */
    int32_t        vocab_size, hidden_size, n_layers, n_heads, intermediate_size;
    int32_t        max_positions, type_vocab_size, pad_token_id;
    ade_activation activation;
    float          layer_norm_eps;
    ade_problem    problem;
    int32_t        n_labels;
    char         **labels; /* owned, n_labels of them */
    int32_t        positive_label;
    ade_used_files used; /* config.json; of a baseline also vocab.txt */
} ade_model_config;

/* Reads folder/config.json. `options` gives label overrides. Every problem is an error that names file, key, value and
 * cure. ADE_UNSUPPORTED for another architecture, relative positions, an unknown activation. */
ade_status ade__config_read(const char *folder, const ade_model_options *options, const ade_log *log,
                            ade_model_config *out);
void       ade__config_clear(ade_model_config *config); /* frees what it owns; the struct is zeroed */

typedef struct ade_tokenizer_files {
    ade_tokenizer *tokenizer;        /* owned */
    int32_t        model_max_length; /* of tokenizer_config.json; 0 = not given or absurd (1e30) */
    bool           lowercase, strip_accents;
    char          *source;        /* owned: "tokenizer.json" or "vocab.txt" */
    char          *casing_reason; /* owned: one sentence */
    ade_used_files used;          /* those that were read, for the model's hash */
} ade_tokenizer_files;

/* Reads tokenizer.json / vocab.txt / tokenizer_config.json / special_tokens_map.json / added_tokens.json of the folder
 * with the precedence of transformers 4.47 (see the table in tokenizer_files.c). */
ade_status ade__tokenizer_files_read(const char *folder, const ade_log *log, ade_tokenizer_files *out);
void       ade__tokenizer_files_clear(ade_tokenizer_files *files);

#endif
