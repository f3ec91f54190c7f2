/* SPDX-License-Identifier: Apache-2.0
 * One model on one set of labelled texts. */
#include "evaluation.h"

#include "bootstrap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int evaluation_start(evaluation *out, int32_t n_labels, int32_t positive, size_t curve_capacity) {
    size_t cells = (size_t)n_labels * (size_t)n_labels, measures = measures_count(n_labels);
    memset(out, 0, sizeof *out);
    out->n_labels = n_labels;
    out->positive = positive;
    out->confusion = calloc(cells, sizeof *out->confusion);
    out->values = calloc(measures, sizeof *out->values);
    out->curve = score_curve_new(curve_capacity);
    return out->confusion && out->values && out->curve ? 0 : -1;
}

int evaluation_add(evaluation *to, int32_t label, int32_t predicted, float score, double calibrated) {
    int positive = label == to->positive;
    to->confusion[(size_t)label * (size_t)to->n_labels + (size_t)predicted]++;
    probability_add(&to->scores, (double)score, positive);
    if (calibrated >= 0) probability_add(&to->calibrated_scores, calibrated, positive);
    return score_curve_add(to->curve, score, positive);
}

int evaluation_finish(evaluation *of, size_t samples, uint64_t seed, int (*stop)(void)) {
    size_t labels = (size_t)of->n_labels, positive = (size_t)of->positive, measures = measures_count(of->n_labels);
    for (size_t i = 0; i < labels; i++)
        for (size_t j = 0; j < labels; j++) {
            uint64_t count = of->confusion[i * labels + j];
            of->n += count;
            if (i == positive) of->positives += count;
            if (i == j) continue;
            of->errors += count;
            if (j == positive) of->false_positives += count;
            if (i == positive) of->false_negatives += count;
        }
    measures_of_counts(of->confusion, of->n_labels, of->positive, 0, of->values);
    of->of_scores = probability_finish(&of->scores);
    of->of_calibrated = probability_finish(&of->calibrated_scores);
    if (samples > 0) {
        of->low = malloc(measures * sizeof *of->low);
        of->high = malloc(measures * sizeof *of->high);
        int result = of->low && of->high ? bootstrap_intervals(of->confusion, of->n_labels, of->positive, samples, seed,
                                                               stop, of->low, of->high)
                                         : BOOTSTRAP_NO_MEMORY;
        if (result == BOOTSTRAP_STOPPED) return EVALUATION_STOPPED;
        if (result != BOOTSTRAP_OK) {
            errno = ENOMEM;
            return SCORE_CURVE_FAILED;
        }
    }
    return score_curve_finish(of->curve, &of->curves);
}

void evaluation_free(evaluation *of) {
    free(of->confusion);
    free(of->values);
    free(of->low);
    free(of->high);
    score_curve_free(of->curve);
    memset(of, 0, sizeof *of);
}
