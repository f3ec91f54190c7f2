/* SPDX-License-Identifier: Apache-2.0
 * Gathers the first token's row of each sequence. */
#include "cpu_common.h"

void ADE_CPU(pool)(const ade_pool_args *args, ade_dtype act) {
    size_t row = (size_t)args->h * sizeof(float);
    size_t act_row = (size_t)args->h * ade__dtype_size(act);
    for (int32_t s = 0; s < args->s; s++) {
        size_t from = (size_t)args->cu_seqlens[s];
        memcpy((char *)args->out + (size_t)s * row, (const char *)args->x + from * row, row);
        if (args->out_act)
            memcpy((char *)args->out_act + (size_t)s * act_row, (const char *)args->x_act + from * act_row, act_row);
        if (args->out_rows) args->out_rows[s] = args->x_rows[from];
    }
}
