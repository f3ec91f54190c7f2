/* SPDX-License-Identifier: Apache-2.0
 * What the three attention kernels share: their arguments, where a head lies, loads that never leave a sequence.
 *
 * All of them compute, with `scale` > 0: shift = the maximum of scale log2(e) <q, k_j>, then
 * p_j = 2 ^ (scale log2(e) <q, k_j> - shift) with one fused multiply-add, so that a score of 1e4 loses nothing, then
 * out = sum_j p_j v_j / sum_j p_j. A masked score is -infinity, its p is 0; each tile of keys has at least one that is
 * not masked, so shift is finite. */
#ifndef ADE_ATTENTION_CUDA_CUH
#define ADE_ATTENTION_CUDA_CUH

#include "cuda_common.cuh"
#include "cuda_mma.cuh"

enum {
    ADE_ATTENTION_WARPS = 4, /* of a block, at most */
    ADE_ATTENTION_THREADS = ADE_WARP * ADE_ATTENTION_WARPS,
    ADE_ATTENTION_SHORT = 64, /* the longest text that counts as short */
    ADE_ATTENTION_STRIDE = INT32_MAX / ADE_ATTENTION_SHORT
};

typedef struct attention_view {
    const __half  *q;         /* (T or S, A, D); rows q_stride apart */
    const __half  *k, *v;     /* (T, A, D); rows kv_stride apart */
    __half        *out;       /* (T or S, A, D), dense */
    const int32_t *cu_seqlens;
    int32_t        q_stride, kv_stride;
    int32_t        heads, d;
    int32_t        first_only;
    float          scale_log2; /* scale log2(e) */
} attention_view;

/* One head of one sequence. */
typedef struct attention_head {
    const __half *q, *k, *v; /* the head's first element in the sequence's first row */
    __half       *out;
    int           begin, len, queries; /* the sequence's first row in k and v, its tokens, how many of them ask */
} attention_head;

static __device__ __forceinline__ attention_head attention_find(const attention_view &view, int s, int head, int d) {
    const int      begin = __ldg(view.cu_seqlens + s), end = __ldg(view.cu_seqlens + s + 1);
    const size_t   query = static_cast<size_t>(view.first_only ? s : begin), key = static_cast<size_t>(begin);
    const size_t   column = static_cast<size_t>(head) * d;
    attention_head h;
    h.begin = begin;
    h.len = end - begin;
    h.queries = view.first_only ? 1 : h.len;
    h.q = view.q + query * view.q_stride + column;
    h.k = view.k + key * view.kv_stride + column;
    h.v = view.v + key * view.kv_stride + column;
    h.out = view.out + query * (static_cast<size_t>(view.heads) * d) + column;
    return h;
}

/* Row `row` of rows that are `stride` elements apart. */
static __device__ __forceinline__ const __half *attention_row(const __half *rows, int row, int stride) {
    return rows + static_cast<size_t>(row) * stride;
}

/* 4 WORDS bytes from an address that is a multiple of that; zeros if not `valid` (then nothing is read). */
template <int WORDS>
static __device__ __forceinline__ void attention_load(uint32_t to[WORDS], const __half *from, bool valid) {
    static_assert(WORDS == 1 || WORDS == 2 || WORDS == 4, "one load");
#pragma unroll
    for (int i = 0; i < WORDS; i++) to[i] = 0;
    if (!valid) return;
    if (WORDS == 4) {
        const uint4 raw = __ldg(reinterpret_cast<const uint4 *>(from));
        to[0] = raw.x, to[1 % WORDS] = raw.y, to[2 % WORDS] = raw.z, to[3 % WORDS] = raw.w;
    } else if (WORDS == 2) {
        const uint2 raw = __ldg(reinterpret_cast<const uint2 *>(from));
        to[0] = raw.x, to[1 % WORDS] = raw.y;
    } else {
        to[0] = __ldg(reinterpret_cast<const unsigned int *>(from));
    }
}

static __device__ __forceinline__ float attention_minus_infinity() { return __uint_as_float(0xff800000u); }

/* Over the four lanes that share a row of a fragment. */
static __device__ __forceinline__ float attention_quad_max(float value) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

static __device__ __forceinline__ float attention_quad_sum(float value) {
    value += __shfl_xor_sync(0xffffffffu, value, 1);
    return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

#endif
