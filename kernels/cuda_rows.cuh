/* SPDX-License-Identifier: Apache-2.0
 * LayerNorm of a row by a warp, for embed_cuda.cu and layernorm_cuda.cu.
 *
 * LN(v) = (v - mean(v)) / sqrt(var(v) + eps) * ln_weight + ln_bias in fp32; the variance is a second pass over
 * v - mean.
 *
 * A row stands in registers as vectors of 8 elements: vector i of lane l is elements 8 (32 i + l) and the 7 behind it,
 * so that a warp's access is 512 bytes in one piece. VECTORS, the vectors of a lane, is a template argument: as few as
 * hold the row, so that only a lane's last vector can lie beyond it; then it is zeros and takes no part. VECTORS = 0
 * takes rows of any length: it asks for the row element by element, three times, and is there for odd H, not for speed.
 *
 * A row's kind is a struct with
 *   load(v, lane, last)   v[i] = this lane's vector i, the last one only if `last`; all loads before the first use
 *   at(i)                 element i
 * The order of the sums follows from H alone. */
#ifndef ADE_CUDA_ROWS_CUH
#define ADE_CUDA_ROWS_CUH

#include "cuda_common.cuh"

enum {
    ADE_ROW_WARPS = 4, /* rows a block: small, so that the last blocks of a batch end at nearly the same time */
    ADE_ROW_THREADS = ADE_ROW_WARPS * ADE_WARP
};

/* The instance for rows of h elements: 0 to 8; more would not fit into registers. */
static inline int ade__row_vectors(int32_t h) {
    return h % 8 == 0 && h <= 8 * 8 * ADE_WARP ? (h - 1) / (8 * ADE_WARP) + 1 : 0;
}

/* LAUNCHER's instance for rows of args.h elements. */
template <class LAUNCHER, class ARGS> static ade_status ade__row_launch(cudaStream_t stream, const ARGS &args) {
    switch (ade__row_vectors(args.h)) {
    case 1: return LAUNCHER::template launch<1>(stream, args);
    case 2: return LAUNCHER::template launch<2>(stream, args);
    case 3: return LAUNCHER::template launch<3>(stream, args);
    case 4: return LAUNCHER::template launch<4>(stream, args);
    case 5: return LAUNCHER::template launch<5>(stream, args);
    case 6: return LAUNCHER::template launch<6>(stream, args);
    case 7: return LAUNCHER::template launch<7>(stream, args);
    case 8: return LAUNCHER::template launch<8>(stream, args);
    default: return LAUNCHER::template launch<0>(stream, args);
    }
}

static inline unsigned ade__row_blocks(int32_t rows) { return (static_cast<unsigned>(rows) - 1) / ADE_ROW_WARPS + 1; }

/* The row of this warp; beyond the last one in the last block. */
static __device__ __forceinline__ unsigned ade__row_of_warp() {
    return blockIdx.x * ADE_ROW_WARPS + threadIdx.x / ADE_WARP;
}

/* Vector `at` of an fp32 array that no kernel writes (weights). */
static __device__ __forceinline__ void ade__load_weights8(const float *array, int at, float values[8]) {
    const float4 *vectors = reinterpret_cast<const float4 *>(array) + 2 * at;
    const float4  low = __ldg(vectors), high = __ldg(vectors + 1);
    values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
    values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
}

/* A tree: a chain of 8 additions would keep the warp waiting longer than the shuffles do. */
static __device__ __forceinline__ float ade__sum8(const float v[8]) {
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/* sum / h for 1 / h: the product, corrected by what it leaves of the sum. That is the quotient where h divides it
 * exactly, so that the mean of equals is that number and a constant row gives ln_bias. A division would be a call with
 * its own registers, which cost one instance a spill. */
static __device__ __forceinline__ float ade__divide_exactly(float sum, float h, float per_h) {
    const float quotient = sum * per_h;
    return fmaf(fmaf(-quotient, h, sum), per_h, quotient);
}

/* Writes LN(row) to out, and unrounded to out_exact unless it is NULL. per_h: 1 / h, rounded. All lanes of the warp
 * come together. `out` may be what the row is loaded from: a lane writes an element after it has read it for the last
 * time, and no other's. */
template <int VECTORS, class ROW>
static __device__ __forceinline__ void ade__layernorm_row(const ROW &row, int h, float per_h, float eps,
                                                          const float *ln_weight, const float *ln_bias, __half *out,
                                                          float *out_exact) {
    const int lane = threadIdx.x % ADE_WARP;
    if constexpr (VECTORS > 0) {
        const bool last = (VECTORS - 1) * ADE_WARP + lane < h / 8;
        float      v[VECTORS][8] = {};
        row.template load<VECTORS>(v, lane, last);
        float sum = 0;
#pragma unroll
        for (int i = 0; i < VECTORS; i++) sum += ade__sum8(v[i]);
        const float mean = ade__divide_exactly(ade__warp_sum(sum), static_cast<float>(h), per_h);
        float       squares = 0;
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            float square[8];
#pragma unroll
            for (int j = 0; j < 8; j++) {
                v[i][j] -= mean;
                square[j] = v[i][j] * v[i][j];
            }
            if (i < VECTORS - 1 || last) squares += ade__sum8(square);
        }
        const float inverse = rsqrtf(fmaf(ade__warp_sum(squares), per_h, eps));
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            const int at = i * ADE_WARP + lane;
            if (i == VECTORS - 1 && !last) break;
            float weight[8], y[8];
            ade__load_weights8(ln_weight, at, weight);
            ade__load_weights8(ln_bias, at, y);
#pragma unroll
            for (int j = 0; j < 8; j++) y[j] = fmaf(v[i][j] * inverse, weight[j], y[j]);
            reinterpret_cast<uint4 *>(out)[at] = ade__pack8(y);
            if (out_exact) {
                float4 *exact = reinterpret_cast<float4 *>(out_exact) + 2 * at;
                exact[0] = make_float4(y[0], y[1], y[2], y[3]);
                exact[1] = make_float4(y[4], y[5], y[6], y[7]);
            }
        }
    } else {
        float sum = 0, squares = 0;
        for (int i = lane; i < h; i += ADE_WARP) sum += row.at(i);
        const float mean = ade__divide_exactly(ade__warp_sum(sum), static_cast<float>(h), per_h);
        for (int i = lane; i < h; i += ADE_WARP) {
            const float d = row.at(i) - mean;
            squares = fmaf(d, d, squares);
        }
        const float inverse = rsqrtf(fmaf(ade__warp_sum(squares), per_h, eps));
        for (int i = lane; i < h; i += ADE_WARP) {
            const float y = fmaf((row.at(i) - mean) * inverse, __ldg(ln_weight + i), __ldg(ln_bias + i));
            out[i] = __float2half_rn(y);
            if (out_exact) out_exact[i] = y;
        }
    }
}

#endif
