/* SPDX-License-Identifier: Apache-2.0
 * The activation functions on one vector. `precise` 1: within ops.h's tolerance for fp32. 0: for results that are
 * rounded to bf16 or int8 afterwards, 1e-4 at most, and cheaper. NaN stays NaN. Largest errors relative to max(1, |x|):
 *
 *                          gelu_erf  gelu_tanh     silu     tanh  relu
 *     precise, AVX-512       1.4e-7     1.1e-7   1.2e-7   1.6e-7     0
 *     precise, others        2.1e-7     1.1e-7   1.2e-7   1.6e-7     0
 *     rough, AVX-512         4.8e-5     5.8e-5   2.0e-5   5.1e-5     0
 *     rough, others          3.3e-5     2.5e-5   2.0e-5   5.1e-5     0
 */
#ifndef ADE_ACTIVATION_VEC_H
#define ADE_ACTIVATION_VEC_H

#include "cpu_common.h"

#include "activation_fits.h"

/* ade__exp, 1e-4 off: the same reduction, but 2^r by fit_exp2.py's polynomial of degree 3. */
ADE_INLINE ade_vec ade__exp_rough(ade_vec x) {
    const float magic = 12582912.0f;
    x = ade__min(ade__splat(88.3f), ade__max(ade__splat(-87.3f), x)) * 1.44269504f;
    ade_vec shifted = x + magic;
    ade_vec r = x - (shifted - magic);
    ade_vec p = r * 0.05500893294811249f + 0.2422109693288803f;
    p = p * r + 0.6932829022407532f;
    p = p * r + 1.0f;
    return (ade_vec)((ade_ivec)p + ((ade_ivec)shifted << 23));
}

/* tanh(x) = 1 - 2 / (exp(2x) + 1); near 0, where that cancels, the odd series x - x^3/3 + 2x^5/15 - 17x^7/315. */
ADE_INLINE ade_vec ade__tanh(ade_vec x, int precise) {
    ade_vec at = ade__min(ade__splat(10.0f), ade__max(ade__splat(-10.0f), x)); /* tanh(10) is 1 in fp32 */
    if (!precise) return 1.0f - 2.0f / (ade__exp_rough(at * 2.0f) + 1.0f);
    ade_vec large = 1.0f - 2.0f / (ade__exp(at * 2.0f) + 1.0f);
    ade_vec t = x * x;
    ade_vec small = x + x * t * (-1.0f / 3 + t * (2.0f / 15 + t * (-17.0f / 315)));
    return ade__select((t >= 0.0225f), large, small); /* NaN: small, which is NaN */
}

#if ADE_LANES == 16
/* max(x, 0) - |x| Phi(-|x|): each lane looks up the coefficients of its piece of Phi. */
ADE_INLINE ade_vec ade__gelu_pieces(ade_vec x, const float (*table)[16], int degree, float scale) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    ade_vec     a = (ade_vec)((ade_ivec)x & 0x7fffffff);
    a = ade__min(ade__splat(15.0f / scale), a);
    ade_vec shifted = a * scale + magic;
    ade_vec r = a * scale - (shifted - magic);
    ade_vec p = ade__splat(0);
    for (int i = degree; i >= 0; i--) {
        ade_vec c = (ade_vec)_mm512_permutexvar_ps((__m512i)shifted, (__m512)ade__load(table[i]));
        p = i == degree ? c : p * r + c;
    }
    return ade__max(ade__splat(0), x) - a * p;
}

ADE_INLINE ade_vec ade__gelu_erf_vec(ade_vec x, int precise) {
    if (precise) return ade__gelu_pieces(x, ade__gelu_erf, ADE_GELU_ERF_DEGREE, ADE_GELU_ERF_SCALE);
    return ade__gelu_pieces(x, ade__gelu_erf_rough, ADE_GELU_ERF_ROUGH_DEGREE, ADE_GELU_ERF_ROUGH_SCALE);
}

ADE_INLINE ade_vec ade__gelu_tanh_vec(ade_vec x, int precise) {
    if (precise) return ade__gelu_pieces(x, ade__gelu_tanh, ADE_GELU_TANH_DEGREE, ADE_GELU_TANH_SCALE);
    return ade__gelu_pieces(x, ade__gelu_tanh_rough, ADE_GELU_TANH_ROUGH_DEGREE, ADE_GELU_TANH_ROUGH_SCALE);
}
#else
/* x (1/2 + x P(x^2)); far to the left 0 times a number, never times infinity. */
ADE_INLINE ade_vec ade__gelu_odd(ade_vec x, const float c[8], float limit) {
    ade_vec t = ade__min(ade__splat(limit), x * x);
    ade_vec p = ade__splat(c[7]);
    for (int i = 6; i >= 0; i--) p = p * t + c[i];
    ade_vec u = ade__min(ade__splat(0.5f), ade__max(ade__splat(-0.5f), x * p));
    return ade__max(ade__splat(-1e30f), x) * (u + 0.5f);
}

/* erf(x) = x P(x^2) / Q(x^2) on [-4, 4], beyond which it is +-1 in fp32. The coefficients are a minimax fit by
 * fit_erf.py (largest error 6e-8; 4e-7 as evaluated here in fp32). */
ADE_INLINE ade_vec ade__erf(ade_vec x) {
    x = ade__min(ade__splat(4.0f), ade__max(ade__splat(-4.0f), x));
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

ADE_INLINE ade_vec ade__gelu_erf_vec(ade_vec x, int precise) {
    if (!precise) return ade__gelu_odd(x, ade__gelu_erf_rough, ADE_GELU_ERF_ROUGH_LIMIT);
    return 0.5f * x * (1.0f + ade__erf(x * 0.70710678f));
}

ADE_INLINE ade_vec ade__gelu_tanh_vec(ade_vec x, int precise) {
    if (!precise) return ade__gelu_odd(x, ade__gelu_tanh_rough, ADE_GELU_TANH_ROUGH_LIMIT);
    return 0.5f * x * (1.0f + ade__tanh(0.79788456f * (x + 0.044715f * x * x * x), 1));
}
#endif

ADE_INLINE ade_vec ade__act(ade_vec x, ade_act_kind kind, int precise) {
    switch (kind) {
    case ADE_FN_GELU_ERF: return ade__gelu_erf_vec(x, precise);
    case ADE_FN_GELU_TANH: return ade__gelu_tanh_vec(x, precise);
    case ADE_FN_RELU: return ade__max(ade__splat(0), x);
    case ADE_FN_SILU: return x / (1.0f + (precise ? ade__exp(-x) : ade__exp_rough(-x)));
    case ADE_FN_TANH: return ade__tanh(x, precise);
    }
    return x;
}

#endif
