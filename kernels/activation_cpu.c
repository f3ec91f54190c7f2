/* SPDX-License-Identifier: Apache-2.0
 * y = act(x + bias), element by element. Memory-bound once x is out of the second-level cache: 4 bytes in, 2 or 4 out. */
#include "activation_vec.h"

/* n elements from element `at` on; bias is NULL or has one value for each of them. */
ADE_INLINE void run(const ade_activation_args *args, size_t at, size_t n, const float *bias, ade_act_kind kind,
                    ade_dtype act) {
    const float *x = (const float *)args->x + at;
    size_t       full = n / ADE_LANES * ADE_LANES;
    for (size_t i = 0; i < full; i += ADE_LANES) {
        ade_vec v = ade__load(x + i);
        if (bias) v += ade__load(bias + i);
        ade__store_act(args->y, at + i, ade__act(v, kind, act == ADE_F32), ADE_LANES, act);
    }
    if (full < n) {
        int     rest = (int)(n - full);
        ade_vec v = ade__load_n(x + full, rest);
        if (bias) v += ade__load_n(bias + full, rest);
        ade__store_act(args->y, at + full, ade__act(v, kind, act == ADE_F32), rest, act);
    }
}

ADE_INLINE void run_all(const ade_activation_args *args, ade_act_kind kind, ade_dtype act) {
    size_t n = (size_t)args->n;
    if (args->bias)
        for (size_t m = 0; m < (size_t)args->m; m++) run(args, m * n, n, args->bias, kind, act);
    else run(args, 0, (size_t)args->m * n, NULL, kind, act);
}

void ADE_CPU(activation)(const ade_activation_args *args, ade_dtype act) {
    if (args->exact) act = ADE_F32;
    switch (args->kind) { /* a constant kind and type let the compiler make one tight loop of each */
#define CASE(kind)                                            \
    case kind:                                                \
        if (act == ADE_BF16) run_all(args, kind, ADE_BF16);   \
        else run_all(args, kind, ADE_F32);                    \
        break;
        CASE(ADE_FN_GELU_ERF)
        CASE(ADE_FN_GELU_TANH)
        CASE(ADE_FN_RELU)
        CASE(ADE_FN_SILU)
        CASE(ADE_FN_TANH)
#undef CASE
    }
}
