/* SPDX-License-Identifier: Apache-2.0
 * The baseline kind of model folder: TF-IDF of words and runs of words, then logistic regression, exactly as
 * scikit-learn's TfidfVectorizer and LogisticRegression compute them. In double precision, on the calling thread. */
#ifndef ADE_BASELINE_H
#define ADE_BASELINE_H

#include "config.h"
#include "safetensors.h"

typedef struct ade_baseline         ade_baseline;         /* immutable; shared between threads */
typedef struct ade_baseline_scratch ade_baseline_scratch; /* one thread at a time */

/* What the terms of a text say. */
typedef struct ade_baseline_result {
    int32_t terms, unknown; /* occurrences of terms in the vocabulary; of others */
    int32_t replaced;       /* invalid UTF-8 parts */
} ade_baseline_result;

/* Opens what is beside config.json, which `config` holds: vocab.txt (a term a line) and model.safetensors (F64: idf (V),
 * coef (1 or C, V), intercept (1 or C)). `config` receives vocab_size and the file used; *tensors is the caller's, and
 * not needed any more for scoring. */
ade_status ade__baseline_open(const char *folder, const ade_log *log, ade_model_config *config,
                              ade_tensor_set **tensors, ade_baseline **out);
void       ade__baseline_free(ade_baseline *baseline); /* NULL is fine */

const char *ade__baseline_term(const ade_baseline *baseline, int32_t id); /* NULL for an id out of range */
uint64_t    ade__baseline_parameters(const ade_baseline *baseline);

ade_status ade__baseline_scratch_new(const ade_baseline *baseline, ade_baseline_scratch **out);
void       ade__baseline_scratch_free(ade_baseline_scratch *scratch); /* NULL is fine */

/* logits and probabilities: (C). With one row of coefficients the logits are 0 and scikit-learn's decision function. The
 * sums run over the terms in the order of their numbers, so that the same text always has the same bits. ADE_BAD_MODEL: a logit is no finite float.
 */
ade_status ade__baseline_score(const ade_baseline *baseline, ade_baseline_scratch *scratch, ade_text text,
                               ade_invalid_utf8 invalid, float *logits, float *probabilities,
                               ade_baseline_result *result);

/* The terms of the vocabulary in the text, by where they begin, then by length: as many as fit into `capacity`; *n is how
 * many there are. */
ade_status ade__baseline_terms(const ade_baseline *baseline, ade_baseline_scratch *scratch, ade_text text,
                               ade_invalid_utf8 invalid, ade_token *tokens, size_t capacity, size_t *n,
                               ade_baseline_result *result);

#endif
