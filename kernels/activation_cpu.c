/* SPDX-License-Identifier: Apache-2.0
 * y = act(x + bias), element by element. Memory-bound once x is out of the second-level cache: 4 bytes in, 2 or 4 out. */
#include "cpu_common.h"

/* erf(x) = x P(x^2) / Q(x^2) on [-4, 4], beyond which it is +-1 in fp32. The coefficients are a minimax fit by
 * fit_erf.py (largest error 6e-8; 4e-7 as evaluated here in fp32). */
ADE_INLINE ade_vec erf_vec(ade_vec x) {
    x = ade__min(ade__max(x, ade__splat(-4.0f)), ade__splat(4.0f));
    ade_vec t = x * x;
    ade_vec p = t * 1.9217214853855117e-08f + -1.990316953214797e-06f;
    p = p * t + 1.5553577900978086e-04f;
    p = p * t + 4.293010350520038e-03f;
    p = p * t + 5.243333242248545e-02f;
    p = p * t + 2.1394371503585483e-01f;
    p = p * t + 1.1283786772004845f;
    ade_vec q = t * 1.0980277525925331e-03f + 1.555100388083515e-02f;
    q = q * t + 1.2079921051068301e-01f;
    q = q * t + 5.229303370050711e-01f;
    q = q * t + 1.0f;
    return x * p / q;
}

/* tanh(x) = 1 - 2 / (exp(2x) + 1); near 0, where that cancels, the odd series x - x^3/3 + 2x^5/15 - 17x^7/315. */
ADE_INLINE ade_vec tanh_vec(ade_vec x) {
    ade_vec clamped = ade__min(ade__max(x, ade__splat(-10.0f)), ade__splat(10.0f)); /* tanh(10) is 1 in fp32 */
    ade_vec large = 1.0f - 2.0f / (ade__exp(clamped * 2.0f) + 1.0f);
    ade_vec t = x * x;
    ade_vec small = x + x * t * (-1.0f / 3 + t * (2.0f / 15 + t * (-17.0f / 315)));
    return ade__select((t < 0.0225f), small, large);
}

ADE_INLINE ade_vec apply(ade_vec x, ade_act_kind kind) {
    switch (kind) {
    case ADE_FN_GELU_ERF: return 0.5f * x * (1.0f + erf_vec(x * 0.70710678f));
    case ADE_FN_GELU_TANH: return 0.5f * x * (1.0f + tanh_vec(0.79788456f * (x + 0.044715f * x * x * x)));
    case ADE_FN_RELU: return ade__max(x, ade__splat(0));
    case ADE_FN_SILU: return x / (1.0f + ade__exp(-x));
    case ADE_FN_TANH: return tanh_vec(x);
    }
    return x;
}

/* n elements from element `at` on; bias is NULL or has one value for each of them. */
ADE_INLINE void run(const ade_activation_args *args, size_t at, size_t n, const float *bias, ade_act_kind kind,
                    ade_dtype act) {
    const float *x = (const float *)args->x + at;
    size_t       full = n / ADE_LANES * ADE_LANES;
    for (size_t i = 0; i < full; i += ADE_LANES) {
        ade_vec v = ade__load(x + i);
        if (bias) v += ade__load(bias + i);
        ade__store_act(args->y, at + i, apply(v, kind), ADE_LANES, act);
    }
    if (full < n) {
        int     rest = (int)(n - full);
        ade_vec v = ade__load_n(x + full, rest);
        if (bias) v += ade__load_n(bias + full, rest);
        ade__store_act(args->y, at + full, apply(v, kind), rest, act);
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
        else run_all(args, kind, ADE_F32);                        \
        break;
        CASE(ADE_FN_GELU_ERF)
        CASE(ADE_FN_GELU_TANH)
        CASE(ADE_FN_RELU)
        CASE(ADE_FN_SILU)
        CASE(ADE_FN_TANH)
#undef CASE
    }
}
