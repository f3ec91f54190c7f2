/* SPDX-License-Identifier: Apache-2.0
 * What a classifier is worth: the formulas, without any reading or writing. Values that scikit-learn has are equal to
 * its own with zero_division=0; a value that is not defined is NaN. */
#ifndef CLI_MEASURES_H
#define CLI_MEASURES_H

#include <stddef.h>
#include <stdint.h>

/* The measures that the confusion counts alone decide, in one array: these, and from MEASURE_LABELS on three for each
 * label (precision, recall, F1). Means are over the labels that occur, as true or as predicted ones. */
enum { MEASURE_PRECISION, MEASURE_RECALL, MEASURE_F1, MEASURES_OF_A_LABEL };
enum {
    MEASURE_ACCURACY,
    MEASURE_WEIGHTED,                                         /* by the number of true texts of each label: three */
    MEASURE_MACRO = MEASURE_WEIGHTED + MEASURES_OF_A_LABEL,   /* the same weight for each label: three */
    MEASURE_FALSE_RATE = MEASURE_MACRO + MEASURES_OF_A_LABEL, /* share of the other texts taken for positive ones */
    MEASURE_EXPECTED,                                         /* precision at each of measure_prevalences[] */
    MEASURE_LABELS = MEASURE_EXPECTED + 4
};
#define N_PREVALENCES (MEASURE_LABELS - MEASURE_EXPECTED)
extern const double measure_prevalences[];

size_t measures_count(int32_t n_labels);

/* confusion   (C, C): rows true, columns predicted.
 * values      (measures_count(C)).
 * undefined   what takes the place of a label's precision, recall or F1 that is 0/0: 0, or NaN. */
void measures_of_counts(const uint64_t *confusion, int32_t n_labels, int32_t positive, double undefined,
                        double *values);

/* Precision to expect among texts of which the share `prevalence` is positive (Bayes' rule); 0 when nothing is found.
 */
double measure_precision_at(double prevalence, double recall, double false_rate);

/* ---- Probabilities of the positive label, one text after another ---- */

enum { ECE_BINS = 15 };

/* Sums with a second part for what rounding lost, so that ten million texts are as good as ten. */
typedef struct exact_sum {
    double sum, lost;
} exact_sum;

typedef struct probability_sums {
    uint64_t  n;
    exact_sum squares, logs;
    struct probability_bin {
        uint64_t  n, positives;
        exact_sum probabilities;
    } bins[ECE_BINS];
} probability_sums;

typedef struct probability_measures {
    double brier;    /* mean of (p - y)^2, y = 1 for a positive text and 0 for another */
    double log_loss; /* mean of -ln of what was given to the truth (p or 1 - p), not below 2^-52; natural logarithm */
    double ece;      /* expected calibration error: p in 15 bins of equal width, [k/15, (k+1)/15), the last one closed;
                        mean over texts of |share of positive texts - mean p| of the bin */
} probability_measures;

void                 probability_add(probability_sums *sums, double probability, int positive);
probability_measures probability_finish(const probability_sums *sums);

/* ---- Two models ---- */

/* McNemar's test, exact and two-sided: how likely it is that `b` and `c` (texts that only the first, only the second
 * model labels rightly) differ this much when neither model is better. */
double mcnemar_exact(uint64_t b, uint64_t c);

#endif
