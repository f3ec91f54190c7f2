/* SPDX-License-Identifier: Apache-2.0
 * out = LN(x + bias + residual), row by row: 2 rows in, 1 (and its rounded copy) out. */
#include "cpu_common.h"

void ADE_CPU(layernorm)(const ade_layernorm_args *args, ade_dtype act) {
    const float *x = args->x, *residual = args->residual;
    float       *out = args->out;
    size_t       h = (size_t)args->h;
    for (int32_t m = 0; m < args->m; m++, x += h, residual += h, out += h) {
        /* element by element, so that out may be either */
        if (args->bias)
            for (size_t i = 0; i < h; i++) out[i] = (x[i] + args->bias[i]) + residual[i];
        else
            for (size_t i = 0; i < h; i++) out[i] = x[i] + residual[i];
        ade__layernorm_row(out, args->ln_weight, args->ln_bias, args->eps, args->h, out, args->out_act, (size_t)m * h,
                           act);
    }
}
