/* SPDX-License-Identifier: Apache-2.0
 * Attention of texts of at most 64 tokens, D = 32 or 64: out = softmax(scale q k^T) v within each sequence.
 *
 * A warp computes 16 queries of one head of one sequence in its registers: no shared memory, no barrier, an exact
 * softmax over the whole row. Instance KEYS = 32 takes lengths 1..32, KEYS = 64 takes 33..64; each leaves the other's
 * alone. Needs q, k, v, out at multiples of 16 bytes and strides that are multiples of 8. Nothing outside the sequence
 * is read; tiles of 8 keys (scores) or 16 keys (values) in which the sequence has none are skipped. Offsets inside a
 * sequence are 32 bits wide: a stride is at most ADE_ATTENTION_STRIDE.
 *
 * Lane l = 4 g + c holds (PTX layouts: see cuda_mma.cuh; t, m, i, r, e are compile-time indices)
 *   q, k     16 bytes: elements 32 i + 8 c .. + 7 of query g + 8 r, of key 8 t + g. A dot product does not care in
 *            which order its terms come, so the four words feed slots (2c, 2c + 1), (2c + 8, 2c + 9) of product 2 i and
 *            the same slots of product 2 i + 1, for q and k alike.
 *   scores   [t][2 r + e] of query g + 8 r and key 8 t + 2 c + e.
 *   p        tiles 2 m and 2 m + 1 of the scores, rounded to f16, are the A fragment of keys 16 m .. 16 m + 15.
 *   v        keys 16 m + 2 c + {0, 1, 8, 9}, elements (D / 8) g .. + D / 8 - 1. Slot n of output tile t is element
 *            (D / 8) n + t, so tile t's B fragment is element t of this run from each of two neighbouring keys.
 *   out      [t][2 r + e] of query g + 8 r and element (D / 8) (2 c + e) + t: of each row D / 4 elements that lie side
 *            by side, stored 16 bytes at a time.
 *
 * Blocks: 4 warps = the tiles of 16 queries of as many heads as fit, so that after a head's first tile its k and v come
 * from the first cache; blockIdx.x = sequence * groups of heads + group.
 * Moves q, k, v and out once: 8 A D bytes a token; 4 A D L FLOP a token, so L / 2 FLOP a byte: bound by memory.
 * Target: 80 % of the device's copy rate at L = 30. */
#ifndef ADE_ATTENTION_SHORT_CUDA_CUH
#define ADE_ATTENTION_SHORT_CUDA_CUH

#include "attention_cuda.cuh"

/* Blocks of a multiprocessor that its registers are shared out for: as many as need no spilling. */
template <int D, int KEYS>
static __global__ void __launch_bounds__(ADE_ATTENTION_THREADS, KEYS == 64 ? (D == 64 ? 4 : 5) : (D == 64 ? 6 : 8))
    attention_short(const attention_view view, const unsigned int groups) {
    enum {
        LOADS = D / 32, /* of a row of q or k, 16 bytes each; a load feeds two products */
        WORDS = D / 16, /* of a lane's part of a row of v */
        OUT_TILES = D / 8,
        KEY_TILES = KEYS / 8,
        VALUE_STEPS = KEYS / 16,
        SURE = KEYS - 32 /* keys that every sequence of this instance has */
    };
    const int g = static_cast<int>(threadIdx.x / 4), c = static_cast<int>(threadIdx.x % 4);
    const int s = static_cast<int>(blockIdx.x / groups), group = static_cast<int>(blockIdx.x % groups);
    const int head = group * static_cast<int>(blockDim.z) + static_cast<int>(threadIdx.z);
    const int query = 16 * static_cast<int>(threadIdx.y) + g; /* and query + 8 */
    if (head >= view.heads) return;
    const attention_head h = attention_find(view, s, head, D);
    if (h.len <= SURE || h.len > KEYS || query - g >= h.queries) return;

    uint32_t q[2][LOADS][4];
#pragma unroll
    for (int r = 0; r < 2; r++)
#pragma unroll
        for (int i = 0; i < LOADS; i++)
            attention_load<4>(q[r][i], h.q + ((query + 8 * r) * view.q_stride + 32 * i + 8 * c),
                              query + 8 * r < h.queries);

    float scores[KEY_TILES][4];
#pragma unroll
    for (int first = 0; first < KEY_TILES; first += 4) { /* 32 keys: all on their way before the first product */
        uint32_t k[4][LOADS][4];
#pragma unroll
        for (int t = 0; t < 4; t++)
#pragma unroll
            for (int i = 0; i < LOADS; i++) {
                const int key = 8 * (first + t) + g;
                attention_load<4>(k[t][i], h.k + (key * view.kv_stride + 32 * i + 8 * c),
                                  8 * (first + t) < SURE || key < h.len);
            }
#pragma unroll
        for (int t = 0; t < 4; t++) {
            float *tile = scores[first + t];
            tile[0] = tile[1] = tile[2] = tile[3] = 0;
            if (8 * (first + t) < SURE || 8 * (first + t) < h.len)
#pragma unroll
                for (int i = 0; i < LOADS; i++)
#pragma unroll
                    for (int part = 0; part < 2; part++) {
                        const uint32_t a[4] = {q[0][i][2 * part], q[1][i][2 * part], q[0][i][2 * part + 1],
                                               q[1][i][2 * part + 1]};
                        const uint32_t b[2] = {k[t][i][2 * part], k[t][i][2 * part + 1]};
                        ade__mma_m16n8k16(tile, a, b);
                    }
        }
    }

    uint32_t v[VALUE_STEPS][4][WORDS]; /* on the way during the softmax */
#pragma unroll
    for (int m = 0; m < VALUE_STEPS; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = 16 * m + 2 * c + i % 2 + 8 * (i / 2);
            attention_load<WORDS>(v[m][i], h.v + (key * view.kv_stride + 2 * WORDS * g),
                                  16 * m < SURE || key < h.len);
        }

    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float most = attention_minus_infinity(), sum = 0;
#pragma unroll
        for (int t = 0; t < KEY_TILES; t++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &score = scores[t][2 * r + e];
                if (8 * t >= SURE && 8 * t + 2 * c + e >= h.len) score = attention_minus_infinity();
                most = fmaxf(most, score);
            }
        const float shift = attention_quad_max(most) * view.scale_log2;
#pragma unroll
        for (int t = 0; t < KEY_TILES; t++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &score = scores[t][2 * r + e];
                score = ade__exp2(fmaf(score, view.scale_log2, -shift));
                sum += score;
            }
        inverse[r] = 1.0f / attention_quad_sum(sum);
    }

    float out[OUT_TILES][4];
#pragma unroll
    for (int t = 0; t < OUT_TILES; t++) out[t][0] = out[t][1] = out[t][2] = out[t][3] = 0;
#pragma unroll
    for (int m = 0; m < VALUE_STEPS; m++)
        if (16 * m < SURE || 16 * m < h.len) {
            const float   *even = scores[2 * m], *odd = scores[2 * m + 1];
            const uint32_t a[4] = {ade__pack2(even[0], even[1]), ade__pack2(even[2], even[3]),
                                   ade__pack2(odd[0], odd[1]), ade__pack2(odd[2], odd[3])};
#pragma unroll
            for (int t = 0; t < OUT_TILES; t++) {
                const unsigned int halves = t % 2 ? 0x7632 : 0x5410; /* both high halves, or both low ones */
                const uint32_t     b[2] = {__byte_perm(v[m][0][t / 2], v[m][1][t / 2], halves),
                                           __byte_perm(v[m][2][t / 2], v[m][3][t / 2], halves)};
                ade__mma_m16n8k16(out[t], a, b);
            }
        }

#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (query + 8 * r >= h.queries) continue;
        uint4 *to = reinterpret_cast<uint4 *>(h.out + ((query + 8 * r) * (view.heads * D) + D / 4 * c));
#pragma unroll
        for (int i = 0; i < D / 32; i++) { /* elements 8 i .. 8 i + 7 of the lane's D / 4 */
            float values[8];
#pragma unroll
            for (int j = 0; j < 8; j++)
                values[j] = out[(8 * i + j) % OUT_TILES][2 * r + (8 * i + j) / OUT_TILES] * inverse[r];
            __stcg(to + i, ade__pack8(values)); /* left to itself, the compiler splits it in four where D = 32 */
        }
    }
}

#endif
