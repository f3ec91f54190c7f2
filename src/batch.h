/* SPDX-License-Identifier: Apache-2.0
 * Which texts go together: sorted by length and packed without padding into batches of at most a budget of tokens. */
#ifndef ADE_BATCH_H
#define ADE_BATCH_H

#include "adesieve.h"

#include <stddef.h>

typedef struct ade_batch_range { /* texts order[first .. first + count) */
    size_t  first;
    int32_t count, tokens, max_len;
} ade_batch_range;

typedef struct ade_batch_plan {
    uint32_t        *order; /* text numbers, longest first */
    ade_batch_range *batches;
    size_t           n_batches, order_capacity, batch_capacity;
    uint32_t        *by_length; /* scratch of the counting sort */
    size_t           by_length_capacity;
} ade_batch_plan;

/* Plans n texts of lengths[i] tokens (1 <= lengths[i] <= max_len). A text longer than the budget goes alone. Longest
 * first, so that the last batches to finish are small ones. A zeroed plan is a fine start; buffers are kept. */
ade_status ade__batch_plan(ade_batch_plan *plan, const int32_t *lengths, size_t n, int32_t max_len, int32_t budget,
                           int32_t max_count);
void       ade__batch_plan_clear(ade_batch_plan *plan);

#endif
