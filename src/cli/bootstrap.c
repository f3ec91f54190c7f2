/* SPDX-License-Identifier: Apache-2.0
 * Intervals of measures by the bootstrap. */
#include "bootstrap.h"

#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Chance: xoshiro256** (Blackman and Vigna), started by SplitMix64 ---- */

void chance_start(chance *state, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        state->words[i] = z ^ z >> 31;
    }
}

static uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t chance_next(chance *state) {
    uint64_t *s = state->words, result = rotated(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotated(s[3], 45);
    return result;
}

/* Above 0 and below 1. */
static double chance_share(chance *state) { return ((double)(chance_next(state) >> 11) + 0.5) * 0x1p-53; }

/* Few successes are expected: goes through the distribution from 0 on. */
static uint64_t binomial_small(chance *state, uint64_t n, double p) {
    double   odds = p / (1 - p), term = exp((double)n * log1p(-p)), share = chance_share(state);
    uint64_t k = 0;
    while (share > term && k < n) {
        share -= term;
        k++;
        term *= odds * ((double)(n - k + 1) / (double)k);
        if (term < 1e-300) break; /* beyond what a double can tell */
    }
    return k;
}

/* ln k! less Stirling's formula for it. */
static double stirling_rest(double k) {
    static const double table[] = {0.08106146679532726,  0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
                                   0.01664469118982119,  0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
                                   0.009255462182712733, 0.008330563433362871};
    double              square = (k + 1) * (k + 1);
    if (k < 10) return table[(int)k];
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

/* Many are expected: W. Hoermann, The generation of binomial random variates, J Stat Comput Simul 46 (1993) 101,
 * algorithm BTRS, p <= 1/2 and n p >= 10. Its time does not depend on n. */
static uint64_t binomial_large(chance *state, uint64_t n, double p) {
    const double count = (double)n, odds = p / (1 - p), spread = sqrt(count * p * (1 - p));
    const double b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p, c = count * p + 0.5;
    const double v_r = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread, m = floor((count + 1) * p);
    for (;;) {
        double u = chance_share(state) - 0.5, v = chance_share(state), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + c);
        if (k < 0 || k > count) continue;
        if (us >= 0.07 && v <= v_r) return (uint64_t)k;
        v = log(v * alpha / (a / (us * us) + b));
        if (v <= (m + 0.5) * log((m + 1) / (odds * (count - m + 1))) +
                     (count + 1) * log((count - m + 1) / (count - k + 1)) +
                     (k + 0.5) * log(odds * (count - k + 1) / (k + 1)) + stirling_rest(m) + stirling_rest(count - m) -
                     stirling_rest(k) - stirling_rest(count - k))
            return (uint64_t)k;
    }
}

uint64_t chance_binomial(chance *state, uint64_t n, double p) {
    if (n == 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - chance_binomial(state, n, 1 - p);
    return (double)n * p < 10 ? binomial_small(state, n, p) : binomial_large(state, n, p);
}

/* ---- The bootstrap ---- */

enum { CELLS_UNASKED = 1 << 16 }; /* drawn between two questions whether to stop */

/* One multinomial draw: each cell takes its share of what the cells before it have left. */
static void draw(chance *state, const uint64_t *counts, size_t cells, uint64_t n, uint64_t *out) {
    uint64_t left = n, weight = n;
    for (size_t i = 0; i < cells; i++) {
        out[i] = counts[i] == 0 ? 0 : chance_binomial(state, left, (double)counts[i] / (double)weight);
        left -= out[i];
        weight -= counts[i];
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between two of the values in order, as numpy.percentile does by default. */
static double percentile(const double *sorted, size_t count, double share) {
    double at = share * (double)(count - 1), whole = floor(at);
    size_t i = (size_t)whole;
    return i + 1 < count ? sorted[i] + (at - whole) * (sorted[i + 1] - sorted[i]) : sorted[count - 1];
}

int bootstrap_intervals(const uint64_t *confusion, int32_t n_labels, int32_t positive, size_t samples, uint64_t seed,
                        int (*stop)(void), double *low, double *high) {
    size_t    cells = (size_t)n_labels * (size_t)n_labels, measures = measures_count(n_labels), unasked = 0;
    uint64_t *counts = malloc(cells * sizeof *counts), n = 0;
    double   *one = malloc(measures * sizeof *one);
    double   *all = samples > 0 && measures > SIZE_MAX / sizeof *all / samples
                        ? NULL
                        : malloc((samples > 0 ? samples : 1) * measures * sizeof *all);
    chance    state;
    int       result = counts && one && all ? BOOTSTRAP_OK : BOOTSTRAP_NO_MEMORY;
    for (size_t i = 0; i < cells; i++) n += confusion[i];
    chance_start(&state, seed);
    for (size_t s = 0; s < samples && result == BOOTSTRAP_OK; s++) {
        draw(&state, confusion, cells, n, counts);
        measures_of_counts(counts, n_labels, positive, NAN, one);
        for (size_t i = 0; i < measures; i++) all[i * samples + s] = one[i];
        unasked += cells;
        if (unasked < CELLS_UNASKED) continue;
        unasked = 0;
        if (stop && stop()) result = BOOTSTRAP_STOPPED;
    }
    for (size_t i = 0; i < measures && result == BOOTSTRAP_OK; i++) {
        double *values = all + i * samples;
        size_t  defined = 0;
        if (stop && stop()) result = BOOTSTRAP_STOPPED; /* a million values to sort take a while, too */
        for (size_t s = 0; s < samples; s++)
            if (!isnan(values[s])) values[defined++] = values[s];
        if (defined > 0) qsort(values, defined, sizeof *values, by_size);
        low[i] = high[i] = NAN;
        if (defined == 0 || values[0] == values[defined - 1]) continue;
        low[i] = percentile(values, defined, 0.025);
        high[i] = percentile(values, defined, 0.975);
    }
    free(counts);
    free(one);
    free(all);
    return result;
}
