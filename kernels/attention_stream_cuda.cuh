/* SPDX-License-Identifier: Apache-2.0
 * Attention of texts of more than 64 tokens, any number of them, D = 32 or 64: out = softmax(scale q k^T) v within each
 * sequence, keys streamed through shared memory, softmax with a running maximum (the order of loops of
 * FlashAttention-2).
 *
 * A block of 4 warps takes 64 queries of one head of one sequence, a warp 16 of them; all four share tiles of 64 keys
 * and values, double-buffered by cp.async. Shorter sequences are left alone. Needs q, k, v, out at multiples of 16
 * bytes and strides that are multiples of 8. Nothing outside the sequence is read: rows beyond it are zeros in shared
 * memory; steps of 16 keys in which the sequence has none are skipped.
 *
 * Shared     stage = two arrays (keys, values) of 64 rows of D / 8 chunks of 16 bytes; both stages: 32 KiB (D = 64) or
 *            16 KiB. Chunk j of row i lies at place j ^ (i % 8) of its row (D = 64), j ^ (i / 2 % 4) (D = 32), so that
 *            chunk j of 8 consecutive rows covers all 32 banks, and so do the chunks that 8 threads copy.
 * Lane l = 4 g + c holds (PTX layouts: see cuda_mma.cuh; t, m, i, r, e are compile-time indices)
 *   q        words (16 i + 2 c, + 1), (16 i + 2 c + 8, + 9) of queries g and g + 8.
 *   k        by ldmatrix: keys 16 m + g and 16 m + 8 + g, elements 16 i + 2 c ..: the matrices of a load are keys
 *            (0..7, 8..15) of chunk 2 i, of chunk 2 i + 1.
 *   scores   [t][2 r + e] of query g + 8 r and key 8 t + 2 c + e.
 *   p        tiles 2 m and 2 m + 1 of the scores, rounded to f16, are the A fragment of keys 16 m .. 16 m + 15.
 *   v        by transposing ldmatrix: keys 16 m + 2 c .., element 8 t + g: the matrices are keys (0..7, 8..15) of chunk
 *            t, of chunk t + 1.
 *   out      [t][2 r + e] of query g + 8 r and element 8 t + 2 c + e; at the end the four lanes of a row exchange words
 *            so that lane c stores chunks c and c + 4 whole.
 *
 * blockIdx.x = (sequence * heads + head) * blocks per head + block.
 * Moves q, k, v and out once from and to memory, 8 A D bytes a token, and k and v once more per 64 queries from the
 * second cache; 4 A D L FLOP a token: bound by the tensor cores and by exp2 (one per 4 D FLOP). Target: a third of the
 * device's dense f16 rate at L = 512, D = 64. */
#ifndef ADE_ATTENTION_STREAM_CUDA_CUH
#define ADE_ATTENTION_STREAM_CUDA_CUH

#include "attention_cuda.cuh"

enum { ADE_STREAM_KEYS = 64, ADE_STREAM_QUERIES = 16 * ADE_ATTENTION_WARPS };

/* Where chunk `chunk` of row `row` lies in an array of rows of D elements. */
template <int D> static __device__ __forceinline__ int attention_place(int row, int chunk) {
    static_assert(D == 32 || D == 64, "a row is 64 or 128 bytes");
    return D == 64 ? row * 8 + (chunk ^ (row & 7)) : row * 4 + (chunk ^ (row >> 1 & 3));
}

/* Starts copying the next 64 keys and values, of which the sequence still has `left`. The block takes ROWS rows at a
 * time, a thread always the same chunk of a row; ROWS is a multiple of the swizzle's period, so that the place in
 * shared memory moves by a constant. `row` is the thread's first row; k and v are its chunk there, `to` that chunk's
 * place. */
template <int D>
static __device__ __forceinline__ void attention_fetch(uint4 *to, const __half *k, const __half *v, int stride, int row,
                                                       int left) {
    enum { CHUNKS = D / 8, ROWS = ADE_ATTENTION_THREADS / CHUNKS };
#pragma unroll
    for (int i = 0; i < ADE_STREAM_KEYS; i += ROWS) {
        ade__cp_async16(to + i * CHUNKS, k, i + row < left);
        ade__cp_async16(to + (ADE_STREAM_KEYS + i) * CHUNKS, v, i + row < left);
        k += ROWS * static_cast<ptrdiff_t>(stride);
        v += ROWS * static_cast<ptrdiff_t>(stride);
    }
}

/* A 4 x 4 transpose over the four lanes of a quad: lane c receives word c of each lane, in the order of lanes. */
static __device__ __forceinline__ void attention_quad_transpose(uint32_t w[4], int c) {
#pragma unroll
    for (int distance = 1; distance <= 2; distance *= 2)
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (!(i & distance)) {
                const bool     upper = (c & distance) != 0;
                const uint32_t sent = upper ? w[i] : w[i + distance];
                const uint32_t received = __shfl_xor_sync(0xffffffffu, sent, distance);
                w[i] = upper ? received : w[i];
                w[i + distance] = upper ? w[i + distance] : received;
            }
}

template <int D>
static __global__ void __launch_bounds__(ADE_ATTENTION_THREADS)
    attention_stream(const attention_view view, const unsigned int blocks_per_head) {
    enum {
        CHUNKS = D / 8,
        STEPS = D / 16, /* products along D */
        KEY_TILES = ADE_STREAM_KEYS / 8,
        SIZE = ADE_STREAM_KEYS * CHUNKS, /* of one array of a stage */
        STAGE = 2 * SIZE
    };
    ADE_SHARED(uint4, shared, 2 * STAGE);
    const int lane = static_cast<int>(threadIdx.x % ADE_WARP), warp = static_cast<int>(threadIdx.x / ADE_WARP);
    const int g = lane / 4, c = lane % 4;
    const int pair = static_cast<int>(blockIdx.x / blocks_per_head); /* of sequence and head */
    const int block = static_cast<int>(blockIdx.x % blocks_per_head);
    const int s = pair / view.heads, head = pair % view.heads;
    const attention_head h = attention_find(view, s, head, D);
    if (h.len <= ADE_ATTENTION_SHORT || ADE_STREAM_QUERIES * block >= h.queries) return;
    const int  query = ADE_STREAM_QUERIES * block + 16 * warp + g; /* and query + 8 */
    const bool busy = query - g < h.queries; /* a warp without queries still copies */

    const int    row = static_cast<int>(threadIdx.x / CHUNKS), chunk = static_cast<int>(threadIdx.x % CHUNKS);
    const size_t  copied = static_cast<size_t>(row) * view.kv_stride + 8 * chunk;
    const __half *k_from = h.k + copied, *v_from = h.v + copied;
    uint4 *const  to = shared + attention_place<D>(row, chunk);
    attention_fetch<D>(to, k_from, v_from, view.kv_stride, row, h.len);
    ade__cp_async_commit();

    uint32_t q[STEPS][4];
#pragma unroll
    for (int i = 0; i < STEPS; i++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const __half *asked = attention_row(h.q, query + 8 * r, view.q_stride) + 16 * i + 2 * c;
            attention_load<1>(&q[i][r], asked, query + 8 * r < h.queries);
            attention_load<1>(&q[i][r + 2], asked + 8, query + 8 * r < h.queries);
        }

    float out[CHUNKS][4], sum[2] = {0, 0}, shift[2] = {attention_minus_infinity(), attention_minus_infinity()};
#pragma unroll
    for (int t = 0; t < CHUNKS; t++) out[t][0] = out[t][1] = out[t][2] = out[t][3] = 0;

    for (int first = 0; first < h.len; first += ADE_STREAM_KEYS) {
        const uint4 *keys = shared + (first / ADE_STREAM_KEYS % 2) * STAGE, *values = keys + SIZE;
        const int    left = h.len - first; /* at least 1, so that no row of scores is masked as a whole */
        /* One barrier serves both ways: this tile has arrived for everybody, and everybody is done with the tile before
         * it, whose stage the next tile takes. */
        ade__cp_async_wait<0>();
        __syncthreads();
        if (left > ADE_STREAM_KEYS) {
            k_from += ADE_STREAM_KEYS * static_cast<ptrdiff_t>(view.kv_stride);
            v_from += ADE_STREAM_KEYS * static_cast<ptrdiff_t>(view.kv_stride);
            attention_fetch<D>(to + (first / ADE_STREAM_KEYS + 1) % 2 * STAGE, k_from, v_from, view.kv_stride, row,
                               left - ADE_STREAM_KEYS);
        }
        ade__cp_async_commit();
        if (!busy) continue;

        float scores[KEY_TILES][4];
#pragma unroll
        for (int t = 0; t < KEY_TILES; t += 2) {
            float *even = scores[t], *odd = scores[t + 1];
            even[0] = even[1] = even[2] = even[3] = odd[0] = odd[1] = odd[2] = odd[3] = 0;
            if (8 * t < left)
#pragma unroll
                for (int i = 0; i < STEPS; i++) {
                    uint32_t k[4];
                    ade__ldmatrix_x4(k, keys + attention_place<D>(8 * t + lane % 16, 2 * i + lane / 16));
                    const uint32_t b[2][2] = {{k[0], k[2]}, {k[1], k[3]}};
                    ade__mma_m16n8k16(even, q[i], b[0]);
                    ade__mma_m16n8k16(odd, q[i], b[1]);
                }
        }
        if (left < ADE_STREAM_KEYS)
#pragma unroll
            for (int t = 0; t < KEY_TILES; t++)
#pragma unroll
                for (int e = 0; e < 2; e++)
                    if (8 * t + 2 * c + e >= left) scores[t][e] = scores[t][e + 2] = attention_minus_infinity();

        uint32_t p[KEY_TILES][2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float most = attention_minus_infinity(), tile_sum = 0;
#pragma unroll
            for (int t = 0; t < KEY_TILES; t++) most = fmaxf(most, fmaxf(scores[t][2 * r], scores[t][2 * r + 1]));
            const float risen = fmaxf(shift[r], attention_quad_max(most) * view.scale_log2);
            const float shrink = ade__exp2(shift[r] - risen); /* 0 for the first tile */
            shift[r] = risen;
#pragma unroll
            for (int t = 0; t < KEY_TILES; t++) {
                const float low = ade__exp2(fmaf(scores[t][2 * r], view.scale_log2, -risen));
                const float high = ade__exp2(fmaf(scores[t][2 * r + 1], view.scale_log2, -risen));
                tile_sum += low + high;
                p[t][r] = ade__pack2(low, high);
            }
            sum[r] = fmaf(sum[r], shrink, tile_sum); /* this lane's part */
#pragma unroll
            for (int t = 0; t < CHUNKS; t++) out[t][2 * r] *= shrink, out[t][2 * r + 1] *= shrink;
        }

#pragma unroll
        for (int m = 0; m < KEY_TILES / 2; m++)
            if (16 * m < left) {
                const uint32_t a[4] = {p[2 * m][0], p[2 * m][1], p[2 * m + 1][0], p[2 * m + 1][1]};
#pragma unroll
                for (int t = 0; t < CHUNKS; t += 2) {
                    uint32_t v[4];
                    ade__ldmatrix_x4_trans(v, values + attention_place<D>(16 * m + lane % 16, t + lane / 16));
                    ade__mma_m16n8k16(out[t], a, v);
                    ade__mma_m16n8k16(out[t + 1], a, v + 2);
                }
            }
    }
    if (!busy) return;

#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float inverse = 1.0f / attention_quad_sum(sum[r]);
        __half     *row_out = h.out + static_cast<size_t>(query + 8 * r) * (static_cast<size_t>(view.heads) * D);
#pragma unroll
        for (int t = 0; t < CHUNKS; t += 4) {
            uint32_t words[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                words[i] = ade__pack2(out[t + i][2 * r] * inverse, out[t + i][2 * r + 1] * inverse);
            attention_quad_transpose(words, c);
            if (query + 8 * r < h.queries)
                __stcg(reinterpret_cast<uint4 *>(row_out) + t + c, make_uint4(words[0], words[1], words[2], words[3]));
        }
    }
}

#endif
