/* SPDX-License-Identifier: Apache-2.0
 * What a classifier is worth: the formulas. */
#include "measures.h"

#include <float.h>
#include <math.h>

const double measure_prevalences[N_PREVALENCES] = {0.01, 0.02, 0.05, 0.10};

size_t measures_count(int32_t n_labels) { return MEASURE_LABELS + (size_t)n_labels * MEASURES_OF_A_LABEL; }

double measure_precision_at(double prevalence, double recall, double false_rate) {
    double found = prevalence * recall, all = found + (1 - prevalence) * false_rate;
    return all == 0 ? 0 : found / all; /* NaN stays NaN */
}

static double ratio(uint64_t part, uint64_t whole, double undefined) {
    return whole > 0 ? (double)part / (double)whole : undefined;
}

static double defined(double value) { return isnan(value) ? 0 : value; }

void measures_of_counts(const uint64_t *confusion, int32_t n_labels, int32_t positive, double undefined,
                        double *values) {
    size_t   labels = (size_t)n_labels, present = 0;
    uint64_t n = 0, right = 0;
    double   weighted[MEASURES_OF_A_LABEL] = {0}, macro[MEASURES_OF_A_LABEL] = {0};
    for (size_t i = 0; i < labels; i++) {
        double  *own = values + MEASURE_LABELS + i * MEASURES_OF_A_LABEL;
        uint64_t support = 0, predicted = 0, correct = confusion[i * labels + i];
        for (size_t j = 0; j < labels; j++) {
            support += confusion[i * labels + j];
            predicted += confusion[j * labels + i];
        }
        own[MEASURE_PRECISION] = ratio(correct, predicted, undefined);
        own[MEASURE_RECALL] = ratio(correct, support, undefined);
        own[MEASURE_F1] = ratio(2 * correct, support + predicted, undefined);
        present += support + predicted > 0;
        for (int k = 0; k < MEASURES_OF_A_LABEL; k++) {
            weighted[k] += (double)support * defined(own[k]);
            macro[k] += defined(own[k]);
        }
        n += support;
        right += correct;
    }
    values[MEASURE_ACCURACY] = ratio(right, n, NAN);
    for (int k = 0; k < MEASURES_OF_A_LABEL; k++) {
        values[MEASURE_WEIGHTED + k] = n > 0 ? weighted[k] / (double)n : NAN;
        values[MEASURE_MACRO + k] = present > 0 ? macro[k] / (double)present : NAN;
    }
    {
        size_t   p = (size_t)positive;
        uint64_t support = 0, predicted = 0, correct = confusion[p * labels + p];
        double   recall;
        for (size_t j = 0; j < labels; j++) {
            support += confusion[p * labels + j];
            predicted += confusion[j * labels + p];
        }
        recall = ratio(correct, support, NAN);
        values[MEASURE_FALSE_RATE] = ratio(predicted - correct, n - support, NAN);
        for (int k = 0; k < N_PREVALENCES; k++)
            values[MEASURE_EXPECTED + k] =
                measure_precision_at(measure_prevalences[k], recall, values[MEASURE_FALSE_RATE]);
    }
}

/* ---- Probabilities ---- */

static void add(exact_sum *to, double value) { /* Neumaier */
    double sum = to->sum + value;
    to->lost += fabs(to->sum) >= fabs(value) ? (to->sum - sum) + value : (value - sum) + to->sum;
    to->sum = sum;
}

static double total(const exact_sum *of) { return of->sum + of->lost; }

void probability_add(probability_sums *sums, double probability, int positive) {
    double                  truth = positive ? probability : 1 - probability, off = probability - (positive ? 1 : 0);
    int                     number = (int)(probability * ECE_BINS);
    struct probability_bin *bin = &sums->bins[number < 0 ? 0 : number >= ECE_BINS ? ECE_BINS - 1 : number];
    if (truth < DBL_EPSILON) truth = DBL_EPSILON;
    if (truth > 1 - DBL_EPSILON) truth = 1 - DBL_EPSILON; /* as scikit-learn clips */
    sums->n++;
    add(&sums->squares, off * off);
    add(&sums->logs, -log(truth));
    bin->n++;
    bin->positives += positive != 0;
    add(&bin->probabilities, probability);
}

probability_measures probability_finish(const probability_sums *sums) {
    probability_measures out = {NAN, NAN, NAN};
    if (sums->n == 0) return out;
    out.brier = total(&sums->squares) / (double)sums->n;
    out.log_loss = total(&sums->logs) / (double)sums->n;
    out.ece = 0;
    for (int i = 0; i < ECE_BINS; i++)
        out.ece += fabs((double)sums->bins[i].positives - total(&sums->bins[i].probabilities)) / (double)sums->n;
    return out;
}

/* ---- Two models ---- */

double mcnemar_exact(uint64_t b, uint64_t c) {
    uint64_t less = b < c ? b : c, n = b + c;
    double   first, term = 1, sum = 1;
    if (b == c) return 1; /* also where both are 0 */
    /* Twice the lower tail of the binomial distribution with one half: its last term by logarithms, the terms below it
     * by what each is of the one before. */
    first = exp(lgamma((double)n + 1) - lgamma((double)less + 1) - lgamma((double)(n - less) + 1) -
                (double)n * 0.69314718055994530942);
    for (uint64_t k = less; k > 0 && term > sum * 1e-18; k--) {
        term *= (double)k / (double)(n - k + 1);
        sum += term;
    }
    sum *= 2 * first;
    return sum < 1 ? sum : 1;
}
