/* SPDX-License-Identifier: Apache-2.0
 * What the CPU ops share: 16-lane vectors in the compiler's own vector notation, so that one source serves every
 * instruction set. Each *_cpu.c but gemm_cpu.c is compiled once per level (ADE_ISA: v1, v3, v4 as in x86-64-v1..4);
 * cpu_backend.c picks one table when the backend is opened.
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

#define ADE_LANES 16

/* A helper with vectors in its signature must be inlined: its calling convention would differ between levels. */
#define ADE_INLINE static inline __attribute__((always_inline))
#pragma GCC diagnostic ignored "-Wpsabi"

typedef float    ade_v16 __attribute__((vector_size(64)));
typedef int32_t  ade_i16 __attribute__((vector_size(64)));
typedef uint32_t ade_u16 __attribute__((vector_size(64)));
typedef uint16_t ade_h16 __attribute__((vector_size(32)));

#define ADE_CPU_GROUP 8 /* the most queries that attention takes at a time */

struct ade_cpu_scratch { /* one worker's, 64-byte aligned */
    float *keys;         /* (D, padded max_len): one head's keys, transposed */
    float *scores;       /* (ADE_CPU_GROUP, padded max_len) */
    int32_t padded_len;
};

typedef struct ade_cpu_kernels {
    const char *name;
    void (*embed)(const ade_embed_args *args, ade_dtype act);
    void (*attention)(const ade_attention_args *args, ade_dtype act, const struct ade_cpu_scratch *scratch);
    void (*layernorm)(const ade_layernorm_args *args, ade_dtype act);
    void (*activation)(const ade_activation_args *args, ade_dtype act);
    void (*pool)(const ade_pool_args *args, ade_dtype act);
    void (*probs)(const ade_probs_args *args);
} ade_cpu_kernels;

extern const ade_cpu_kernels ade__cpu_kernels_v1, ade__cpu_kernels_v3, ade__cpu_kernels_v4;

void ADE_CPU(embed)(const ade_embed_args *args, ade_dtype act);
void ADE_CPU(attention)(const ade_attention_args *args, ade_dtype act, const struct ade_cpu_scratch *scratch);
void ADE_CPU(layernorm)(const ade_layernorm_args *args, ade_dtype act);
void ADE_CPU(activation)(const ade_activation_args *args, ade_dtype act);
void ADE_CPU(pool)(const ade_pool_args *args, ade_dtype act);
void ADE_CPU(probs)(const ade_probs_args *args);

ADE_INLINE ade_v16 ade__splat(float x) { return (ade_v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

ADE_INLINE ade_v16 ade__load(const float *p) {
    ade_v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

ADE_INLINE void ade__store(float *p, ade_v16 v) { memcpy(p, &v, sizeof v); }

/* The first n lanes (n < 16); the others are 0. */
ADE_INLINE ade_v16 ade__load_n(const float *p, int n) {
    float lanes[ADE_LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return ade__load(lanes);
}

ADE_INLINE void ade__store_n(float *p, ade_v16 v, int n) { memcpy(p, &v, (size_t)n * sizeof *p); }

ADE_INLINE ade_v16 ade__select(ade_i16 mask, ade_v16 a, ade_v16 b) {
    return (ade_v16)((mask & (ade_i16)a) | (~mask & (ade_i16)b));
}

/* a > b ? a : b, and a < b ? a : b, lane by lane, which is how x86 defines its instructions; compilers take the plain
 * form apart where 64 bytes are more than a register. */
#if defined(__AVX512F__)
ADE_INLINE ade_v16 ade__max(ade_v16 a, ade_v16 b) { return (ade_v16)_mm512_max_ps((__m512)a, (__m512)b); }
ADE_INLINE ade_v16 ade__min(ade_v16 a, ade_v16 b) { return (ade_v16)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__SSE__)
#if defined(__AVX__)
typedef __m256 ade_piece;
#define ADE_PIECE(name) _mm256_##name##_ps
#else
typedef __m128 ade_piece;
#define ADE_PIECE(name) _mm_##name##_ps
#endif
#define ADE_PIECES (sizeof(ade_v16) / sizeof(ade_piece))
typedef union ade_split {
    ade_v16  whole;
    ade_piece piece[ADE_PIECES];
} ade_split;

ADE_INLINE ade_v16 ade__max(ade_v16 a, ade_v16 b) {
    ade_split x = {a}, y = {b};
    for (size_t i = 0; i < ADE_PIECES; i++) x.piece[i] = ADE_PIECE(max)(x.piece[i], y.piece[i]);
    return x.whole;
}

ADE_INLINE ade_v16 ade__min(ade_v16 a, ade_v16 b) {
    ade_split x = {a}, y = {b};
    for (size_t i = 0; i < ADE_PIECES; i++) x.piece[i] = ADE_PIECE(min)(x.piece[i], y.piece[i]);
    return x.whole;
}
#else
ADE_INLINE ade_v16 ade__max(ade_v16 a, ade_v16 b) { return ade__select(a > b, a, b); }
ADE_INLINE ade_v16 ade__min(ade_v16 a, ade_v16 b) { return ade__select(a < b, a, b); }
#endif

/* Sum and largest of the lanes, in pairs at distance 8, 4, 2, 1: one order, whatever the level. Compilers take a shuffle
 * apart lane by lane where 64 bytes are more than a register. */
#if defined(__AVX512F__)
#define ADE_SWAP8(v) __builtin_shuffle(v, (ade_i16){8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7})
#define ADE_SWAP4(v) __builtin_shuffle(v, (ade_i16){4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11})
#define ADE_SWAP2(v) __builtin_shuffle(v, (ade_i16){2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13})
#define ADE_SWAP1(v) __builtin_shuffle(v, (ade_i16){1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14})

ADE_INLINE float ade__sum(ade_v16 v) {
    v += ADE_SWAP8(v);
    v += ADE_SWAP4(v);
    v += ADE_SWAP2(v);
    v += ADE_SWAP1(v);
    return v[0];
}

ADE_INLINE float ade__largest(ade_v16 v) {
    v = ade__max(v, ADE_SWAP8(v));
    v = ade__max(v, ADE_SWAP4(v));
    v = ade__max(v, ADE_SWAP2(v));
    v = ade__max(v, ADE_SWAP1(v));
    return v[0];
}
#else
ADE_INLINE float ade__sum(ade_v16 v) {
    float x[ADE_LANES];
    ade__store(x, v);
    for (int step = 8; step; step >>= 1)
        for (int i = 0; i < step; i++) x[i] += x[i + step];
    return x[0];
}

ADE_INLINE float ade__largest(ade_v16 v) {
    float x[ADE_LANES];
    ade__store(x, v);
    for (int step = 8; step; step >>= 1)
        for (int i = 0; i < step; i++) x[i] = x[i] > x[i + step] ? x[i] : x[i + step];
    return x[0];
}
#endif

/* exp(x), relative error below 2e-7; below -87.3 the result is about 1e-38, never a subnormal, above 88.3 it stays
 * finite. x = n ln 2 + r with |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact); exp(r) by its Taylor series. */
ADE_INLINE ade_v16 ade__exp(ade_v16 x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    x = ade__min(ade__max(x, ade__splat(-87.3f)), ade__splat(88.3f));
    ade_v16 shifted = x * 1.44269504f + magic;
    ade_v16 n = shifted - magic;
    ade_v16 r = x - n * 0.693145752f;
    r = r - n * 1.42860677e-6f;
    ade_v16 p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (ade_v16)((ade_i16)p + ((ade_i16)shifted << 23)); /* the magic number's own bits are shifted out */
}

/* Round to nearest even; the inputs are finite. */
ADE_INLINE ade_h16 ade__to_bf16(ade_v16 v) {
    ade_u16 bits = (ade_u16)v;
    bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return __builtin_convertvector(bits, ade_h16);
}

/* Writes n <= 16 lanes in the type act (f32 or bf16) at element `index` of `base`. */
ADE_INLINE void ade__store_act(void *base, size_t index, ade_v16 v, int n, ade_dtype act) {
    if (act == ADE_BF16) {
        ade_h16 h = ade__to_bf16(v);
        memcpy((uint16_t *)base + index, &h, (size_t)n * sizeof(uint16_t));
    } else {
        memcpy((float *)base + index, &v, (size_t)n * sizeof(float));
    }
}

/* LN of one row that stands in `row` (H floats, padded with room to 16): writes fp32 to out and, if out_act is not
 * NULL, the rounded copy. Two passes: the mean, then the mean of squares of what is left. */
ADE_INLINE void ade__layernorm_row(const float *row, const float *weight, const float *bias, float eps, int h,
                                   float *out, void *out_act, size_t act_index, ade_dtype act) {
    int     full = h / ADE_LANES * ADE_LANES, rest = h - full;
    ade_v16 sum = ade__splat(0);
    for (int i = 0; i < full; i += ADE_LANES) sum += ade__load(row + i);
    if (rest) sum += ade__load_n(row + full, rest);
    float   mean = ade__sum(sum) / (float)h;
    ade_v16 squares = ade__splat(0);
    for (int i = 0; i < full; i += ADE_LANES) {
        ade_v16 d = ade__load(row + i) - mean;
        squares += d * d;
    }
    for (int i = full; i < h; i++) {
        float d = row[i] - mean;
        squares[i - full] += d * d;
    }
    float inverse = 1.0f / __builtin_sqrtf(ade__sum(squares) / (float)h + eps);
    for (int i = 0; i < full; i += ADE_LANES) {
        ade_v16 y = (ade__load(row + i) - mean) * inverse * ade__load(weight + i) + ade__load(bias + i);
        ade__store(out + i, y);
        if (out_act) ade__store_act(out_act, act_index + (size_t)i, y, ADE_LANES, act);
    }
    if (rest) {
        ade_v16 y = (ade__load_n(row + full, rest) - mean) * inverse * ade__load_n(weight + full, rest) +
                    ade__load_n(bias + full, rest);
        ade__store_n(out + full, y, rest);
        if (out_act) ade__store_act(out_act, act_index + (size_t)full, y, rest, act);
    }
}

#endif
