/* SPDX-License-Identifier: Apache-2.0
 * One model on one set of labelled texts: what evaluate counts, text by text, and what it makes of that. */
#ifndef CLI_EVALUATION_H
#define CLI_EVALUATION_H

#include "measures.h"
#include "score_curve.h"

typedef struct evaluation {
    int32_t   n_labels, positive;
    uint64_t *confusion; /* (C, C): rows true, columns predicted */
    /* While texts come: */
    probability_sums scores, calibrated_scores;
    score_curve     *curve;
    /* After evaluation_finish: */
    uint64_t       n, positives, errors, false_positives, false_negatives; /* the last two: of the positive label */
    double        *values;     /* (measures_count(C)); see measures_of_counts */
    double        *low, *high; /* the same: 95 %; NULL without a bootstrap */
    curve_measures curves;
    probability_measures of_scores, of_calibrated; /* the second NaN where there is no calibration */
} evaluation;

/* curve_capacity as in score_curve_new. 0, or -1 when out of memory; evaluation_free is due in any case. */
int evaluation_start(evaluation *out, int32_t n_labels, int32_t positive, size_t curve_capacity);

/* label and predicted: below n_labels. score: the positive label's probability. calibrated: negative = there is none.
 * These two return SCORE_CURVE_OK or SCORE_CURVE_FAILED with errno; the second EVALUATION_STOPPED when `stop` (NULL =
 * never), which it asks again and again, wanted that. */
int evaluation_add(evaluation *to, int32_t label, int32_t predicted, float score, double calibrated);
enum { EVALUATION_STOPPED = -2 };
int evaluation_finish(evaluation *of, size_t samples, uint64_t seed, /* of the bootstrap; 0 samples = no intervals */
                      int (*stop)(void));

void evaluation_free(evaluation *of);

#endif
