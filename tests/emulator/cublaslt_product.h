/* SPDX-License-Identifier: Apache-2.0
 * The arithmetic of the cuBLASLt stand-in: D = act(alpha op(A) op(B) + beta C + bias), column-major.
 *
 * The sum over k of one element, fp32: K is cut into `slices` (1: not split); a slice into blocks of `block` values; a
 * block into `lanes` interleaved sums, each from 0 upwards in k. Lanes, blocks and slices are then added in their order
 * (slices in a rotated one with `rotates`). So the sum of an element depends on k, block, lanes, slices and, with
 * `rotates`, on its column, and on nothing else: neither on the size of D nor on the place in a tile.
 * Products of two f16 are exact in fp32, so f16 sums have the same bits with and without fused multiply-adds.
 *
 * Panels of 16 rows of op(A) and 6 columns of op(B) are unpacked to fp32, k by k; a panel of A meets the panels of as
 * many columns of B as suit a second-level cache. */
#ifndef EMU_CUBLASLT_PRODUCT_H
#define EMU_CUBLASLT_PRODUCT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

namespace {
struct product {
    const void *a, *b, *c, *bias; /* bias NULL = none; (m), of D's type */
    void       *d;
    size_t      m, n, k;
    size_t      lda, ldb, ldc, ldd;
    bool        is_a_transposed, is_b_transposed;
    bool        is_input_f16, is_output_f16;
    float       alpha, beta;
    bool        relu, gelu;
    size_t      block, lanes, slices;
    bool        rotates;
};
} // namespace

enum { PANEL_ROWS = 16, PANEL_COLUMNS = 6, COLUMNS_AT_A_TIME = 192, MOST_SLICES = 16 };

typedef float    floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t words __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(16), aligned(2), may_alias));

#define EMU_INLINE static inline __attribute__((always_inline))

/* ---- f16 --------------------------------------------------------------------------------------------------------- */

/* Eight at a time: the exponent is moved over by a multiplication, which is exact, subnormal numbers included. */
EMU_INLINE void widen8(const uint16_t *from, float *to) {
    halves raw;
    memcpy(&raw, from, sizeof raw);
    const words  bits = __builtin_convertvector(raw, words), rest = bits & 0x7fffu;
    const floats scaled = (floats)(rest << 13) * 0x1p112f; /* the cast keeps the bits */
    const words  special = (words)(rest > 0x7bffu) & 0x7f800000u;
    const words  value = (words)scaled | special | (bits & 0x8000u) << 16;
    memcpy(to, &value, sizeof value);
}

EMU_INLINE float widen(uint16_t half) {
    const uint32_t rest = half & 0x7fffu, shifted = rest << 13;
    float          scaled;
    uint32_t       value;
    memcpy(&scaled, &shifted, sizeof scaled);
    scaled *= 0x1p112f;
    memcpy(&value, &scaled, sizeof value);
    value |= (rest > 0x7bffu ? 0x7f800000u : 0u) | (half & 0x8000u) << 16;
    memcpy(&scaled, &value, sizeof scaled);
    return scaled;
}

/* To the nearest, ties to even. */
EMU_INLINE uint16_t narrow(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7fffu);
    if (bits >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u); /* from 65520 on */
    if (bits < 0x38800000u) {                                              /* below 2^-14 */
        float sum;
        memcpy(&sum, &bits, sizeof sum);
        sum += 0.5f; /* leaves what f16 keeps, rounded, in the lowest bits */
        memcpy(&bits, &sum, sizeof bits);
        return static_cast<uint16_t>(sign | (bits - 0x3f000000u));
    }
    return static_cast<uint16_t>(sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1u)) >> 13);
}

EMU_INLINE float element(const void *matrix, bool is_f16, size_t index) {
    return is_f16 ? widen(static_cast<const uint16_t *>(matrix)[index]) : static_cast<const float *>(matrix)[index];
}

/* ---- Panels ------------------------------------------------------------------------------------------------------ */

/* to[k][width] of `count` vectors along k, which lie `stride` elements apart; zeros beyond. */
EMU_INLINE void unpack_along(const void *matrix, bool is_f16, size_t first, size_t stride, size_t count, size_t width,
                             size_t k, float *to) {
    for (size_t v = 0; v < width; v++) {
        if (v >= count) {
            for (size_t i = 0; i < k; i++) to[i * width + v] = 0.0f;
            continue;
        }
        const size_t at = first + v * stride;
        size_t       i = 0;
        if (is_f16)
            for (; i + 8 <= k; i += 8) {
                float eight[8];
                widen8(static_cast<const uint16_t *>(matrix) + at + i, eight);
                for (size_t j = 0; j < 8; j++) to[(i + j) * width + v] = eight[j];
            }
        for (; i < k; i++) to[i * width + v] = element(matrix, is_f16, at + i);
    }
}

/* The same of vectors that lie side by side, `stride` elements from one k to the next. */
EMU_INLINE void unpack_across(const void *matrix, bool is_f16, size_t first, size_t stride, size_t count, size_t width,
                              size_t k, float *to) {
    for (size_t i = 0; i < k; i++)
        for (size_t v = 0; v < width; v++)
            to[i * width + v] = v < count ? element(matrix, is_f16, first + i * stride + v) : 0.0f;
}

/* Adds the products of the panels over k = from, from + step .. below to. WIDE: registers of 8 floats, for 16 rows of 6
 * columns at a time; else 8 rows, which suits registers of 4. */
template <bool WIDE>
EMU_INLINE void add_lane(const float *a, const float *b, size_t from, size_t to, size_t step, float *sums) {
    for (size_t row = 0; row < PANEL_ROWS; row += WIDE ? 16 : 8) {
        floats low[PANEL_COLUMNS] = {}, high[PANEL_COLUMNS] = {};
        for (size_t k = from; k < to; k += step) {
            const float *values = a + k * PANEL_ROWS + row;
            const floats a0 = *reinterpret_cast<const floats *>(values);
            const floats a1 = *reinterpret_cast<const floats *>(values + (WIDE ? 8 : 0));
#pragma GCC unroll 6
            for (size_t j = 0; j < PANEL_COLUMNS; j++) {
                const float value = b[k * PANEL_COLUMNS + j];
                low[j] = a0 * value + low[j];
                if (WIDE) high[j] = a1 * value + high[j];
            }
        }
#pragma GCC unroll 6
        for (size_t j = 0; j < PANEL_COLUMNS; j++) {
            float *to_sums = sums + j * PANEL_ROWS + row;
            *reinterpret_cast<floats *>(to_sums) += low[j];
            if (WIDE) *reinterpret_cast<floats *>(to_sums + 8) += high[j];
        }
    }
}

enum { TILE = PANEL_ROWS * PANEL_COLUMNS };

template <bool WIDE>
EMU_INLINE void sum_tile(const product &p, const float *a, const float *b, size_t first_column, float *out) {
    float        slices[MOST_SLICES][TILE] = {};
    const size_t slice_k = (p.k + p.slices - 1) / p.slices;
    for (size_t s = 0; s < p.slices; s++) {
        const size_t end = std::min(p.k, (s + 1) * slice_k);
        for (size_t from = s * slice_k; from < end; from += p.block) {
            float        block[TILE] = {};
            const size_t to = std::min(end, from + p.block);
            for (size_t lane = 0; lane < p.lanes; lane++) add_lane<WIDE>(a, b, from + lane, to, p.lanes, block);
            for (size_t i = 0; i < TILE; i++) slices[s][i] += block[i];
        }
    }
    for (size_t j = 0; j < PANEL_COLUMNS; j++) {
        const size_t shift = p.rotates ? (first_column + j) % p.slices : 0;
        for (size_t i = 0; i < PANEL_ROWS; i++) {
            float sum = slices[shift][j * PANEL_ROWS + i];
            for (size_t s = 1; s < p.slices; s++) sum += slices[(s + shift) % p.slices][j * PANEL_ROWS + i];
            out[j * PANEL_ROWS + i] = sum;
        }
    }
}

/* The tanh form, as the real library's epilogue. */
static inline float gelu_tanh(float x) {
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

static inline void store_tile(const product &p, const float *tile, size_t row, size_t column, size_t rows,
                              size_t columns) {
    for (size_t j = 0; j < columns; j++)
        for (size_t i = 0; i < rows; i++) {
            float value = p.alpha * tile[j * PANEL_ROWS + i];
            if (p.beta != 0.0f) value += p.beta * element(p.c, p.is_output_f16, (column + j) * p.ldc + row + i);
            if (p.bias) value += element(p.bias, p.is_output_f16, row + i);
            if (p.relu) value = value > 0.0f ? value : 0.0f;
            if (p.gelu) value = gelu_tanh(value);
            const size_t at = (column + j) * p.ldd + row + i;
            if (p.is_output_f16)
                static_cast<uint16_t *>(p.d)[at] = narrow(value);
            else
                static_cast<float *>(p.d)[at] = value;
        }
}

template <bool WIDE> EMU_INLINE void multiply_body(const product &p) {
    std::vector<float> a(p.k * PANEL_ROWS), b(p.k * COLUMNS_AT_A_TIME);
    float              tile[TILE];
    for (size_t first = 0; first < p.n; first += COLUMNS_AT_A_TIME) {
        const size_t last = std::min(p.n, first + COLUMNS_AT_A_TIME);
        for (size_t j = first; j < last; j += PANEL_COLUMNS) {
            const size_t columns = std::min<size_t>(PANEL_COLUMNS, last - j);
            float       *to = b.data() + (j - first) * p.k;
            if (p.is_b_transposed)
                unpack_across(p.b, p.is_input_f16, j, p.ldb, columns, PANEL_COLUMNS, p.k, to);
            else
                unpack_along(p.b, p.is_input_f16, j * p.ldb, p.ldb, columns, PANEL_COLUMNS, p.k, to);
        }
        for (size_t i = 0; i < p.m; i += PANEL_ROWS) {
            const size_t rows = std::min<size_t>(PANEL_ROWS, p.m - i);
            if (p.is_a_transposed)
                unpack_along(p.a, p.is_input_f16, i * p.lda, p.lda, rows, PANEL_ROWS, p.k, a.data());
            else
                unpack_across(p.a, p.is_input_f16, i, p.lda, rows, PANEL_ROWS, p.k, a.data());
            for (size_t j = first; j < last; j += PANEL_COLUMNS) {
                sum_tile<WIDE>(p, a.data(), b.data() + (j - first) * p.k, j, tile);
                store_tile(p, tile, i, j, rows, std::min<size_t>(PANEL_COLUMNS, last - j));
            }
        }
    }
}

/* Fast in builds that are not, too. */
#if defined(__GNUC__) && !defined(__clang__)
#define EMU_FAST optimize("O3")
#else
#define EMU_FAST noinline
#endif

#if defined(__x86_64__)
__attribute__((target("avx2,fma"), EMU_FAST)) static void multiply_avx2(const product &p) { multiply_body<true>(p); }
#endif
__attribute__((EMU_FAST)) static void multiply_anywhere(const product &p) { multiply_body<false>(p); }

/* EMU_CUBLAS_ISA=any takes the form for every processor. */
static void multiply(const product &p) {
#if defined(__x86_64__)
    const char *isa = getenv("EMU_CUBLAS_ISA");
    if (!(isa && !strcmp(isa, "any")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        multiply_avx2(p);
        return;
    }
#endif
    multiply_anywhere(p);
}

#endif
