/* SPDX-License-Identifier: Apache-2.0
 * AUROC and average precision of any number of scores, exactly and in bounded memory: equal scores are collapsed into
 * counts, and where too many differ, sorted runs of them wait in a temporary file and are merged. */
#ifndef CLI_SCORE_CURVE_H
#define CLI_SCORE_CURVE_H

#include <stddef.h>
#include <stdint.h>

typedef struct score_curve score_curve;

/* capacity   different scores in memory (24 bytes each); 0 = 65,536.
 * NULL when out of memory. */
score_curve *score_curve_new(size_t capacity);
void         score_curve_free(score_curve *curve); /* NULL is fine */

/* What the next two return, with errno for SCORE_CURVE_FAILED: the temporary file, in the folder that
 * score_curve_folder() names, cannot be made, written or read; or memory ran out. */
enum { SCORE_CURVE_OK = 0, SCORE_CURVE_FAILED = -1 };

int score_curve_add(score_curve *curve, float score, int positive); /* a number, not NaN */

typedef struct curve_measures {
    uint64_t positives, negatives;
    double   auroc; /* the probability that a positive text's score is above a negative one's, ties counting half */
    double   auroc_low, auroc_high; /* 95 %: DeLong's variance, on the scale of log-odds; NaN where the variance is 0,
                                       AUROC   is 0 or 1, or a class has fewer than two texts */
    double average_precision;       /* sum of (R_k - R_k-1) P_k over the different scores, the highest first */
} curve_measures;                   /* all NaN when a class is empty. Exact up to 2^32 texts */

int score_curve_finish(score_curve *curve, curve_measures *out); /* nothing can be added behind it */

const char *score_curve_folder(void);
uint64_t    score_curve_spilled(const score_curve *curve); /* runs written so far, for tests */

#endif
