/* SPDX-License-Identifier: Apache-2.0
 * Intervals of measures by the bootstrap: what they would be on other samples of as many texts. */
#ifndef CLI_BOOTSTRAP_H
#define CLI_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

/* The bounds of the 95 % percentile interval of each of measures_of_counts' values.
 * To draw n texts with replacement and to count is to draw the counts from one multinomial distribution, so that
 * neither time nor memory depends on n. Samples in which a value is not defined do not count for it; a value that is
 * defined in none has NaN, and so has one that is the same in all, such as a recall of exactly 1: the bootstrap cannot
 * tell how far that is from certain. Numbers are drawn by xoshiro256** from `seed`: the same bounds on every machine
 * whose mathematical functions round alike. low, high   (measures_count(n_labels)). `stop` is asked every few
 * milliseconds whether to give up; NULL = never. */
enum { BOOTSTRAP_OK = 0, BOOTSTRAP_NO_MEMORY = -1, BOOTSTRAP_STOPPED = -2 };
int bootstrap_intervals(const uint64_t *confusion, int32_t n_labels, int32_t positive, size_t samples, uint64_t seed,
                        int (*stop)(void), double *low, double *high);

/* ---- Its parts, for tests ---- */

typedef struct chance {
    uint64_t words[4];
} chance;

void     chance_start(chance *state, uint64_t seed);
uint64_t chance_next(chance *state);
uint64_t chance_binomial(chance *state, uint64_t n, double p); /* how many of n, each with probability p */

#endif
