/* SPDX-License-Identifier: Apache-2.0
 * What adesieve evaluate has found, and the three ways of writing it down. */
#ifndef CLI_EVALUATE_REPORT_H
#define CLI_EVALUATE_REPORT_H

#include "engine.h"
#include "evaluation.h"

/* Which texts: all; with --seen also those that occur in that file, and of those that do not the first of each. */
enum { TEXTS_ALL, TEXTS_SEEN, TEXTS_UNSEEN, N_TEXT_SETS };

typedef struct evaluated_model {
    engine      engine;
    const char *shown;     /* its name, or its folder where two models have one name */
    int32_t    *to_first;  /* (C): the first model's label that its own is */
    double      threshold; /* of the score, a float as that is; negative: the likeliest label */
    uint64_t    truncated;
    evaluation  sets[N_TEXT_SETS];
} evaluated_model;

typedef struct evaluated_pair {
    size_t   first, second;
    uint64_t only_first[N_TEXT_SETS], only_second[N_TEXT_SETS]; /* texts that only this model labels rightly */
} evaluated_pair;

typedef struct evaluate_report {
    const settings  *wanted;
    evaluated_model *models; /* (n_models) */
    size_t           n_models, n_pairs;
    evaluated_pair  *pairs;  /* (n_pairs): each two models */
    int              n_sets; /* 1, or N_TEXT_SETS */
    int32_t          n_labels, positive;
    size_t           samples;
} evaluate_report;

const char *evaluate_label(const evaluate_report *report, int32_t index);

/* "3528 texts", "505 texts that occur in train.csv", .. */
void evaluate_put_heading(bytes *out, const evaluate_report *report, int set);

void evaluate_put_text(bytes *out, const evaluate_report *report);
void evaluate_put_markdown(bytes *out, const evaluate_report *report);
int  evaluate_put_json(bytes *out, const evaluate_report *report); /* exit status: a hash may fail */

/* Pieces that text and Markdown share. */
void evaluate_put_format(bytes *out, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
/* How labels were decided; how intervals were made: a sentence each, or nothing. */
void evaluate_put_decision(bytes *out, const evaluate_report *report);
void evaluate_put_method(bytes *out, const evaluate_report *report);
void evaluate_put_p(bytes *out, int width, uint64_t b, uint64_t c); /* of McNemar's test, up to 9 columns */
/* Why AUROC and average precision are not defined; NULL if they are. */
const char *evaluate_undefined(const evaluate_report *report, const evaluation *of, char *buffer, size_t size);

#endif
