/* SPDX-License-Identifier: Apache-2.0
 * Attention for any head size up to 256 and any length: out = softmax(scale q k^T) v within each sequence, in fp32
 * arithmetic, with no demand on alignment. For models with unusual heads; correct first, fast second.
 *
 * A warp takes 4 queries of one head of one sequence and goes through the keys 32 at a time, softmax with a running
 * maximum. For the scores lane l has key first + l and walks along D (16 bytes at a time where everything is aligned,
 * else element by element: the same sums in the same order); for the output lane l has elements 32 i + l, i < COLUMNS,
 * and walks along the keys. Queries beyond the last repeat it and are not stored; every query goes through the same
 * instructions whatever its place among the four.
 *
 * blockIdx.x = (sequence * heads + head) * blocks per head + block; a block is 4 warps, 16 queries.
 * Moves q, k, v and out once from and to memory, 8 A D bytes a token, and k and v once more per 4 queries from the
 * caches; 4 A D L FLOP a token on the ordinary fp32 units. Target: 10 % of the device's fp32 rate at D = L = 128. */
#ifndef ADE_ATTENTION_GENERIC_CUDA_CUH
#define ADE_ATTENTION_GENERIC_CUDA_CUH

#include "attention_cuda.cuh"

enum { ADE_GENERIC_QUERIES = 4 }; /* of a warp */

/* COLUMNS: at least D / 32. */
template <int COLUMNS>
static __global__ void __launch_bounds__(ADE_ATTENTION_THREADS, 4)
    attention_generic(const attention_view view, const unsigned int blocks_per_head, const int aligned) {
    enum { QUERIES = ADE_GENERIC_QUERIES };
    const int lane = static_cast<int>(threadIdx.x % ADE_WARP), warp = static_cast<int>(threadIdx.x / ADE_WARP);
    const int pair = static_cast<int>(blockIdx.x / blocks_per_head); /* of sequence and head */
    const int block = static_cast<int>(blockIdx.x % blocks_per_head);
    const int s = pair / view.heads, head = pair % view.heads, d = view.d;
    const int query = QUERIES * (ADE_ATTENTION_WARPS * block + warp);
    const attention_head h = attention_find(view, s, head, d);
    if (query >= h.queries) return;

    const __half *q[QUERIES];
    float         out[QUERIES][COLUMNS], sum[QUERIES], shift[QUERIES];
#pragma unroll
    for (int u = 0; u < QUERIES; u++) {
        q[u] = attention_row(h.q, min(query + u, h.queries - 1), view.q_stride);
        sum[u] = 0; /* this lane's part */
        shift[u] = attention_minus_infinity();
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) out[u][i] = 0;
    }

    for (int first = 0; first < h.len; first += ADE_WARP) {
        const int     left = min(h.len - first, static_cast<int>(ADE_WARP)); /* at least 1 */
        const __half *k = attention_row(h.k, first + min(lane, left - 1), view.kv_stride);
        float         p[QUERIES];
#pragma unroll
        for (int u = 0; u < QUERIES; u++) p[u] = 0;
        if (aligned) {
#pragma unroll 1
            for (int e = 0; e < d; e += 8) { /* unrolled further it would spill on sm_100 and sm_120 */
                float key[8];
                ade__unpack8(__ldg(reinterpret_cast<const uint4 *>(k + e)), key);
#pragma unroll
                for (int u = 0; u < QUERIES; u++) {
                    float asked[8];
                    ade__unpack8(__ldg(reinterpret_cast<const uint4 *>(q[u] + e)), asked);
#pragma unroll
                    for (int i = 0; i < 8; i++) p[u] = fmaf(asked[i], key[i], p[u]);
                }
            }
        } else {
#pragma unroll 2
            for (int e = 0; e < d; e++) {
                const float key = __half2float(k[e]);
#pragma unroll
                for (int u = 0; u < QUERIES; u++) p[u] = fmaf(__half2float(q[u][e]), key, p[u]);
            }
        }
#pragma unroll
        for (int u = 0; u < QUERIES; u++) {
            const float score = lane < left ? p[u] : attention_minus_infinity();
            const float risen = fmaxf(shift[u], ade__warp_max(score) * view.scale_log2);
            const float shrink = ade__exp2(shift[u] - risen); /* 0 for the first chunk */
            shift[u] = risen;
            p[u] = ade__exp2(fmaf(score, view.scale_log2, -risen));
            sum[u] = fmaf(sum[u], shrink, p[u]);
#pragma unroll
            for (int i = 0; i < COLUMNS; i++) out[u][i] *= shrink;
        }
        const __half *v = attention_row(h.v, first, view.kv_stride) + lane;
#pragma unroll 2
        for (int j = 0; j < left; j++, v += view.kv_stride) {
            float weight[QUERIES];
#pragma unroll
            for (int u = 0; u < QUERIES; u++) weight[u] = __shfl_sync(0xffffffffu, p[u], j);
#pragma unroll
            for (int i = 0; i < COLUMNS; i++) {
                const float value = ADE_WARP * i + lane < d ? __half2float(v[ADE_WARP * i]) : 0.0f;
#pragma unroll
                for (int u = 0; u < QUERIES; u++) out[u][i] = fmaf(weight[u], value, out[u][i]);
            }
        }
    }

#pragma unroll
    for (int u = 0; u < QUERIES; u++) {
        const float inverse = 1.0f / ade__warp_sum(sum[u]);
        if (query + u >= h.queries) continue;
        __half *to = h.out + static_cast<size_t>(query + u) * (static_cast<size_t>(view.heads) * d) + lane;
#pragma unroll
        for (int i = 0; i < COLUMNS; i++)
            if (ADE_WARP * i + lane < d) to[ADE_WARP * i] = __float2half_rn(out[u][i] * inverse);
    }
}

#endif
