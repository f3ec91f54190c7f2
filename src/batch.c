/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include "alloc.h"

#include <string.h>

/* Counting sort, stable: lengths are small numbers. */
static ade_status sort(ade_batch_plan *plan, const int32_t *lengths, size_t n, int32_t max_len) {
    size_t buckets = (size_t)max_len + 2;
    if (ade__reserve(&plan->order, &plan->order_capacity, n, sizeof *plan->order) ||
        ade__reserve(&plan->by_length, &plan->by_length_capacity, buckets, sizeof *plan->by_length))
        return ADE_OUT_OF_MEMORY;
    memset(plan->by_length, 0, buckets * sizeof *plan->by_length);
    for (size_t i = 0; i < n; i++) plan->by_length[max_len - lengths[i] + 1]++;
    for (size_t b = 1; b < buckets; b++) plan->by_length[b] += plan->by_length[b - 1];
    for (size_t i = 0; i < n; i++) plan->order[plan->by_length[max_len - lengths[i]]++] = (uint32_t)i;
    return ADE_OK;
}

ade_status ade__batch_plan(ade_batch_plan *plan, const int32_t *lengths, size_t n, int32_t max_len, int32_t budget,
                           int32_t max_count) {
    ade_status status = sort(plan, lengths, n, max_len);
    if (status != ADE_OK) return status;
    plan->n_batches = 0;
    for (size_t i = 0; i < n;) {
        ade_batch_range range = {.first = i, .max_len = lengths[plan->order[i]]};
        while (i < n && range.count < max_count) {
            int32_t length = lengths[plan->order[i]];
            if (range.count > 0 && range.tokens + length > budget) break;
            range.tokens += length;
            range.count++;
            i++;
        }
        if (ade__reserve(&plan->batches, &plan->batch_capacity, plan->n_batches + 1, sizeof *plan->batches))
            return ADE_OUT_OF_MEMORY;
        plan->batches[plan->n_batches++] = range;
    }
    return ADE_OK;
}

void ade__batch_plan_clear(ade_batch_plan *plan) {
    ade__free(plan->order);
    ade__free(plan->batches);
    ade__free(plan->by_length);
    memset(plan, 0, sizeof *plan);
}
