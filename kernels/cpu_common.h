/* SPDX-License-Identifier: Apache-2.0
 * What the CPU ops share: vectors of one register in the compiler's own notation, so that one source serves every
 * instruction set. Each kernel is compiled once per level (ADE_ISA: v1, v3, v4 as in x86-64-v1..4, and v4b, which is v4
 * with AVX-512 BF16); cpu_backend.c picks one table when the backend is opened.
 *
 * All arithmetic on a row is a fixed sequence of operations that depends on the row's own length alone: that is what
 * keeps a text's bits the same in any batch. */
#ifndef ADE_CPU_COMMON_H
#define ADE_CPU_COMMON_H

#include "ops.h"

#include "fp16.h"

#include <string.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#ifndef ADE_ISA
#define ADE_ISA v1
#endif
#define ADE_PASTE2(a, b) a##_##b
#define ADE_PASTE(a, b) ADE_PASTE2(a, b)
#define ADE_CPU(name) ADE_PASTE(ade__cpu_##name, ADE_ISA) /* this level's copy of a function */

/* One register's worth of floats. (A vector type wider than the registers would live in memory.) */
#if defined(__AVX512F__)
#define ADE_LANES 16
#elif defined(__AVX__)
#define ADE_LANES 8
#else
#define ADE_LANES 4
#endif

/* A helper with vectors in its signature must be inlined: its calling convention would differ between levels. */
#define ADE_INLINE static inline __attribute__((always_inline))
#pragma GCC diagnostic ignored "-Wpsabi"

typedef float    ade_vec __attribute__((vector_size(4 * ADE_LANES)));
typedef int32_t  ade_ivec __attribute__((vector_size(4 * ADE_LANES)));
typedef uint32_t ade_uvec __attribute__((vector_size(4 * ADE_LANES)));
typedef uint16_t ade_hvec __attribute__((vector_size(2 * ADE_LANES)));

struct ade_cpu_scratch { /* one worker's */
    float  *attention;   /* ade__cpu_attention_floats(max_len, head_size) floats, 64-byte aligned; any contents */
    int32_t max_len, head_size;
    float  *first;       /* ade__cpu_first_floats(max_len, hidden) floats, likewise */
};

#define ADE_CPU_KEYS 128 /* the keys that attention weighs at a time: their scores stay in the first-level cache */

/* What attention over texts of up to max_len tokens and heads of up to head_size needs; attention_cpu.c divides it. */
static inline size_t ade__cpu_attention_floats(int32_t max_len, int32_t head_size) {
    size_t len = ((size_t)max_len + 31) / 32 * 32, d = ((size_t)head_size + 31) / 32 * 32;
    return len * (d + 32) + 96 * d + 32 * ADE_CPU_KEYS;
}

#define ADE_CPU_FIRST_TEXTS 32 /* the most texts, and heads, that first_attention takes at a time */
#define ADE_CPU_FIRST_HEADS 12

/* What first_attention over texts of up to max_len tokens needs; first_attention_cpu.c divides it. */
static inline size_t ade__cpu_first_floats(int32_t max_len, int32_t hidden) {
    size_t len = ((size_t)max_len + 15) / 16 * 16, texts = ADE_CPU_FIRST_TEXTS;
    return ADE_CPU_FIRST_HEADS * (texts * (size_t)hidden + len);
}

/* The output of a product, in panels: fp32 with its bias, or int32 (x_rows not NULL), see ade_gemm_shape. */
typedef struct ade_cpu_panels {
    void            *y;           /* where panel first_panel begins */
    int32_t          first_panel;
    int32_t          first_row;   /* of the rows that are meant */
    size_t           stride;      /* elements between panels */
    int32_t          width, n;    /* columns of a panel, and of all */
    const ade_quant *x_rows;      /* a member for each row from first_row on */
    const float     *bias, *scales, *sums;
} ade_cpu_panels;

typedef struct ade_cpu_kernels {
    const char *name;
    void (*embed)(const ade_embed_args *args, ade_dtype act);
    void (*attention)(const ade_attention_args *args, ade_dtype compute, ade_dtype out,
                      const struct ade_cpu_scratch *scratch, int32_t part, int32_t parts);
    void (*layernorm)(const ade_layernorm_args *args, ade_dtype act);
    void (*activation)(const ade_activation_args *args, ade_dtype act);
    void (*pool)(const ade_pool_args *args, ade_dtype act);
    void (*probs)(const ade_probs_args *args);
    void (*first_attention)(const ade_first_attention_args *args, const struct ade_cpu_scratch *scratch, int32_t part,
                            int32_t parts);
    void (*dequantize)(const ade_cpu_panels *p, int32_t first, int32_t end, int32_t rows);
    void (*rows_activation)(const ade_cpu_panels *p, int32_t first, int32_t end, int32_t rows, ade_act_kind kind, void *out,
                            size_t out_stride, ade_dtype type, ade_quant *quants, float *row);
    void (*rows_norm)(const ade_cpu_panels *p, int32_t rows, const ade_norm_args *ln, float *res, void *act, ade_quant *quants,
                      ade_dtype type);
    void (*rows_convert)(const float *x, int32_t rows, int32_t n, void *out, ade_quant *quants, ade_dtype type);
} ade_cpu_kernels;

extern const ade_cpu_kernels ade__cpu_kernels_v1, ade__cpu_kernels_v3, ade__cpu_kernels_v4, ade__cpu_kernels_v4b;

void ADE_CPU(embed)(const ade_embed_args *args, ade_dtype act);
void ADE_CPU(attention)(const ade_attention_args *args, ade_dtype compute, ade_dtype out,
                        const struct ade_cpu_scratch *scratch, int32_t part, int32_t parts);
void ADE_CPU(first_attention)(const ade_first_attention_args *args, const struct ade_cpu_scratch *scratch,
                              int32_t part, int32_t parts);
void ADE_CPU(layernorm)(const ade_layernorm_args *args, ade_dtype act);
void ADE_CPU(activation)(const ade_activation_args *args, ade_dtype act);
void ADE_CPU(pool)(const ade_pool_args *args, ade_dtype act);
void ADE_CPU(probs)(const ade_probs_args *args);

/* int32 panels [first, end) to fp32, in place. */
void ADE_CPU(dequantize)(const ade_cpu_panels *p, int32_t first, int32_t end, int32_t rows);
/* out[r][n] = act(y[r][n]) for the columns of panels [first, end); int8: of all panels; `row` is then working memory for
 * n floats, and quants gets a member per row. */
void ADE_CPU(rows_activation)(const ade_cpu_panels *p, int32_t first, int32_t end, int32_t rows, ade_act_kind kind,
                              void *out, size_t out_stride, ade_dtype type, ade_quant *quants, float *row);
/* res (rows, n) = LN(y + res), and its copy in act. */
void ADE_CPU(rows_norm)(const ade_cpu_panels *p, int32_t rows, const ade_norm_args *ln, float *res, void *act,
                        ade_quant *quants, ade_dtype type);
/* (rows, n) fp32, dense, to another type. */
void ADE_CPU(rows_convert)(const float *x, int32_t rows, int32_t n, void *out, ade_quant *quants, ade_dtype type);

ADE_INLINE ade_vec ade__splat(float x) { return x - (ade_vec){0}; }

ADE_INLINE ade_vec ade__load(const float *p) {
    ade_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

ADE_INLINE void ade__store(float *p, ade_vec v) { memcpy(p, &v, sizeof v); }

/* The first n lanes (n < ADE_LANES); the others are 0. */
ADE_INLINE ade_vec ade__load_n(const float *p, int n) {
    float lanes[ADE_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return ade__load(lanes);
}

ADE_INLINE void ade__store_n(float *p, ade_vec v, int n) { memcpy(p, &v, (size_t)n * sizeof *p); }

ADE_INLINE ade_vec ade__select(ade_ivec mask, ade_vec a, ade_vec b) {
    return (ade_vec)((mask & (ade_ivec)a) | (~mask & (ade_ivec)b));
}

/* a > b ? a : b, and a < b ? a : b, lane by lane, which is how x86 defines its instructions. */
#if defined(__AVX512F__)
ADE_INLINE ade_vec ade__max(ade_vec a, ade_vec b) { return (ade_vec)_mm512_max_ps((__m512)a, (__m512)b); }
ADE_INLINE ade_vec ade__min(ade_vec a, ade_vec b) { return (ade_vec)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX__)
ADE_INLINE ade_vec ade__max(ade_vec a, ade_vec b) { return (ade_vec)_mm256_max_ps((__m256)a, (__m256)b); }
ADE_INLINE ade_vec ade__min(ade_vec a, ade_vec b) { return (ade_vec)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined(__SSE__)
ADE_INLINE ade_vec ade__max(ade_vec a, ade_vec b) { return (ade_vec)_mm_max_ps((__m128)a, (__m128)b); }
ADE_INLINE ade_vec ade__min(ade_vec a, ade_vec b) { return (ade_vec)_mm_min_ps((__m128)a, (__m128)b); }
#else
ADE_INLINE ade_vec ade__max(ade_vec a, ade_vec b) { return ade__select(a > b, a, b); }
ADE_INLINE ade_vec ade__min(ade_vec a, ade_vec b) { return ade__select(a < b, a, b); }
#endif

/* Lanes of two vectors by number: 0 is a's first, ADE_LANES is b's. */
#if defined(__clang__)
#define ADE_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ADE_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ade_ivec){__VA_ARGS__})
#endif

/* v with the lanes of each pair of neighbouring blocks of `distance` lanes exchanged. */
#if ADE_LANES == 16
#define ADE_SWAP8(v) ADE_SHUFFLE(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define ADE_SWAP4(v) ADE_SHUFFLE(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define ADE_SWAP2(v) ADE_SHUFFLE(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define ADE_SWAP1(v) ADE_SHUFFLE(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif ADE_LANES == 8
#define ADE_SWAP4(v) ADE_SHUFFLE(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define ADE_SWAP2(v) ADE_SHUFFLE(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define ADE_SWAP1(v) ADE_SHUFFLE(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define ADE_SWAP2(v) ADE_SHUFFLE(v, v, 2, 3, 0, 1)
#define ADE_SWAP1(v) ADE_SHUFFLE(v, v, 1, 0, 3, 2)
#endif

/* Sum and largest of the lanes, halving the distance from half a vector to 1. */
ADE_INLINE float ade__sum(ade_vec v) {
#if ADE_LANES >= 16
    v += ADE_SWAP8(v);
#endif
#if ADE_LANES >= 8
    v += ADE_SWAP4(v);
#endif
    v += ADE_SWAP2(v);
    v += ADE_SWAP1(v);
    return v[0];
}

ADE_INLINE float ade__largest(ade_vec v) {
#if ADE_LANES >= 16
    v = ade__max(v, ADE_SWAP8(v));
#endif
#if ADE_LANES >= 8
    v = ade__max(v, ADE_SWAP4(v));
#endif
    v = ade__max(v, ADE_SWAP2(v));
    v = ade__max(v, ADE_SWAP1(v));
    return v[0];
}

/* exp(x), relative error below 2e-7; below -87.3 the result is about 1e-38, never a subnormal, above 88.3 it stays
 * finite. x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact); exp(r) by its Taylor series. */
ADE_INLINE ade_vec ade__exp(ade_vec x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    x = ade__min(ade__max(x, ade__splat(-87.3f)), ade__splat(88.3f));
    ade_vec shifted = x * 1.44269504f + magic;
    ade_vec n = shifted - magic;
    ade_vec r = x - n * 0.693145752f;
    r = r - n * 1.42860677e-6f;
    ade_vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (ade_vec)((ade_ivec)p + ((ade_ivec)shifted << 23)); /* the magic number's own bits are shifted out */
}

/* Round to nearest even; the inputs are finite. */
ADE_INLINE ade_hvec ade__to_bf16(ade_vec v) {
#if defined(__AVX512BF16__) && ADE_LANES == 16
    ade_hvec  h;
    __m256bh packed = _mm512_cvtneps_pbh((__m512)v);
    memcpy(&h, &packed, sizeof h);
    return h;
#else
    ade_uvec bits = (ade_uvec)v;
    bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return __builtin_convertvector(bits, ade_hvec);
#endif
}

/* Writes n <= ADE_LANES lanes in the type act (f32 or bf16) at element `index` of `base`. */
ADE_INLINE void ade__store_act(void *base, size_t index, ade_vec v, int n, ade_dtype act) {
    if (act == ADE_BF16) {
        ade_hvec h = ade__to_bf16(v);
        memcpy((uint16_t *)base + index, &h, (size_t)n * sizeof(uint16_t));
    } else {
        memcpy((float *)base + index, &v, (size_t)n * sizeof(float));
    }
}

/* Sum of a row, and of the squares of what it has beyond `mean`, each by four sums side by side. */
#define ADE_ROW_SUM(value, value_of_rest)                                            \
    ade_vec s0 = ade__splat(0), s1 = s0, s2 = s0, s3 = s0;                           \
    int     i = 0;                                                                   \
    for (; i + 4 * ADE_LANES <= h; i += 4 * ADE_LANES) {                             \
        s0 += value(i);                                                              \
        s1 += value(i + ADE_LANES);                                                  \
        s2 += value(i + 2 * ADE_LANES);                                              \
        s3 += value(i + 3 * ADE_LANES);                                              \
    }                                                                                \
    for (; i + ADE_LANES <= h; i += ADE_LANES) s0 += value(i);                       \
    if (i < h) s1 += value_of_rest(i);                                               \
    return ade__sum((s0 + s1) + (s2 + s3))

ADE_INLINE float ade__row_sum(const float *row, int h) {
#define VALUE(at) ade__load(row + (at))
#define REST(at) ade__load_n(row + (at), h - (at))
    ADE_ROW_SUM(VALUE, REST);
#undef VALUE
#undef REST
}

ADE_INLINE ade_vec ade__square_beyond(ade_vec v, float mean) { return (v - mean) * (v - mean); }

/* (The lanes behind the end hold the mean, which adds nothing.) */
ADE_INLINE ade_vec ade__rest_or(const float *row, int n, float mean) {
    float lanes[ADE_LANES];
    for (int i = 0; i < ADE_LANES; i++) lanes[i] = mean;
    memcpy(lanes, row, (size_t)n * sizeof *row);
    return ade__load(lanes);
}

ADE_INLINE float ade__row_squares(const float *row, int h, float mean) {
#define VALUE(at) ade__square_beyond(ade__load(row + (at)), mean)
#define REST(at) ade__square_beyond(ade__rest_or(row + (at), h - (at), mean), mean)
    ADE_ROW_SUM(VALUE, REST);
#undef VALUE
#undef REST
}

/* LN of one row that stands in `row` (H floats): writes fp32 to out and, if out_act is not
 * NULL, the rounded copy. Two passes: the mean, then the mean of squares of what is left. */
ADE_INLINE void ade__layernorm_row(const float *row, const float *weight, const float *bias, float eps, int h,
                                   float *out, void *out_act, size_t act_index, ade_dtype act) {
    float mean = ade__row_sum(row, h) / (float)h;
    float inverse = 1.0f / __builtin_sqrtf(ade__row_squares(row, h, mean) / (float)h + eps);
    int   full = h / ADE_LANES * ADE_LANES, rest = h - full;
    for (int i = 0; i < full; i += ADE_LANES) {
        ade_vec y = (ade__load(row + i) - mean) * inverse * ade__load(weight + i) + ade__load(bias + i);
        ade__store(out + i, y);
        if (out_act) ade__store_act(out_act, act_index + (size_t)i, y, ADE_LANES, act);
    }
    if (rest) {
        ade_vec y = (ade__load_n(row + full, rest) - mean) * inverse * ade__load_n(weight + full, rest) +
                    ade__load_n(bias + full, rest);
        ade__store_n(out + full, y, rest);
        if (out_act) ade__store_act(out_act, act_index + (size_t)full, y, rest, act);
    }
}

#endif
