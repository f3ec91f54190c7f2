/* SPDX-License-Identifier: Apache-2.0
 * Attention over packed sequences of unequal length, one sequence and head at a time; everything but q, k, v and out
 * stays in the first two cache levels (keys transposed: 4 D L bytes, scores of a group of queries: 4 G L bytes).
 *
 * Per head: K is transposed once (in 16 x 16 tiles with AVX-512); then, for a group of queries at a time, scores = q K^T, a vector
 * of keys at a time, softmax with the maximum taken off, out = p V, a vector of values at a time. A group's missing queries
 * repeat its last one, so that every query goes through the same instructions. */
#include "cpu_common.h"

#include <math.h>

/* Queries at a time: GROUP x 2 accumulators and their operands fit the registers (32 with AVX-512, else 16). */
#if ADE_LANES == 16
#define GROUP 8
#else
#define GROUP 4
#endif
#define PAD 16 /* the number of keys is rounded up to a multiple of this: one or more vectors of any level */

#if ADE_LANES == 16
/* 16 x 16 transpose: four rounds that exchange halves of pairs of rows at distance 8, 4, 2, 1. */
ADE_INLINE void transpose16(ade_vec r[16]) {
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EXCHANGE(distance)                                        \
    for (int i = 0; i < 16; i++)                                  \
        if (!(i & (distance))) {                                  \
            ade_vec a = r[i], b = r[i + (distance)];              \
            r[i] = ADE_SHUFFLE(a, b, LOW##distance);              \
            r[i + (distance)] = ADE_SHUFFLE(a, b, HIGH##distance); \
        }
    EXCHANGE(8)
    EXCHANGE(4)
    EXCHANGE(2)
    EXCHANGE(1)
#undef EXCHANGE
}

#define TILED 1
#else
#define TILED 0
#endif

/* keys[d][j] = k[j][d]; columns from len to the next multiple of PAD become 0. */
ADE_INLINE void transpose_keys(const float *k, size_t stride, int len, int d, float *keys, size_t row) {
    int tiles_end = TILED ? d / 16 * 16 : 0;
    for (int j = 0; j < len; j += PAD) {
        int n = len - j < PAD ? len - j : PAD;
#if TILED
        for (int c = 0; c < tiles_end; c += 16) {
            ade_vec tile[16];
            for (int i = 0; i < 16; i++)
                tile[i] = i < n ? ade__load(k + (size_t)(j + i) * stride + (size_t)c) : ade__splat(0);
            transpose16(tile);
            for (int i = 0; i < 16; i++) ade__store(keys + (size_t)(c + i) * row + (size_t)j, tile[i]);
        }
#endif
        for (int c = tiles_end; c < d; c++)
            for (int i = 0; i < PAD; i++)
                keys[(size_t)c * row + (size_t)(j + i)] = i < n ? k[(size_t)(j + i) * stride + (size_t)c] : 0.0f;
    }
}

/* scores[g][j] = scale <q_g, k_j> for one or two vectors of keys. */
ADE_INLINE void score_block(const float *const q[GROUP], const float *keys, size_t row, int d, float scale,
                            float *scores, int vectors) {
    ade_vec sums[GROUP][2];
    for (int g = 0; g < GROUP; g++)
        for (int v = 0; v < vectors; v++) sums[g][v] = ade__splat(0);
    for (int c = 0; c < d; c++) {
        const float *key = keys + (size_t)c * row;
        ade_vec      k0 = ade__load(key), k1 = vectors > 1 ? ade__load(key + ADE_LANES) : k0;
        for (int g = 0; g < GROUP; g++) {
            float x = q[g][c];
            sums[g][0] += x * k0;
            if (vectors > 1) sums[g][1] += x * k1;
        }
    }
    for (int g = 0; g < GROUP; g++)
        for (int v = 0; v < vectors; v++) ade__store(scores + (size_t)g * row + ADE_LANES * v, sums[g][v] * scale);
}

/* Scores to exp(score - maximum); returns their sum. Lanes beyond len end as 0. */
ADE_INLINE float softmax_row(float *row, int len) {
    int     padded = (len + PAD - 1) / PAD * PAD;
    ade_vec most = ade__splat(-INFINITY), sum = ade__splat(0);
    for (int j = len; j < padded; j++) row[j] = -INFINITY;
    for (int j = 0; j < padded; j += ADE_LANES) most = ade__max(most, ade__load(row + j));
    float maximum = ade__largest(most);
    for (int j = 0; j < padded; j += ADE_LANES) ade__store(row + j, ade__exp(ade__load(row + j) - maximum));
    for (int j = len; j < padded; j++) row[j] = 0.0f;
    for (int j = 0; j < padded; j += ADE_LANES) sum += ade__load(row + j);
    return ade__sum(sum);
}

/* out_g = sum_j p_g[j] v_j for one or two vectors of a head's values. */
ADE_INLINE void value_block(const float *p, size_t row, const float *v, size_t stride, int len, ade_vec out[GROUP][2],
                            int vectors) {
    for (int g = 0; g < GROUP; g++) out[g][0] = out[g][1] = ade__splat(0);
    for (int j = 0; j < len; j++) {
        const float *value = v + (size_t)j * stride;
        ade_vec      v0 = ade__load(value), v1 = vectors > 1 ? ade__load(value + ADE_LANES) : v0;
        for (int g = 0; g < GROUP; g++) {
            float x = p[(size_t)g * row + (size_t)j];
            out[g][0] += x * v0;
            if (vectors > 1) out[g][1] += x * v1;
        }
    }
}

typedef struct head_view {
    const float *q, *k, *v; /* the head's first element of the sequence's first row */
    size_t       q_stride, kv_stride;
    int          queries, len, d;
    float        scale;
} head_view;

ADE_INLINE void one_head(const head_view *h, int d, const struct ade_cpu_scratch *scratch, void *out, size_t out_index,
                         size_t out_stride, ade_dtype act) {
    size_t row = (size_t)scratch->padded_len;
    int    padded = (h->len + PAD - 1) / PAD * PAD;
    transpose_keys(h->k, h->kv_stride, h->len, d, scratch->keys, row);
    if (d % ADE_LANES)
        for (int j = 0; j < h->len; j++)
            ade__store(scratch->values + (size_t)j * ADE_LANES,
                       ade__load_n(h->v + (size_t)j * h->kv_stride + (size_t)(d - d % ADE_LANES), d % ADE_LANES));
    for (int i = 0; i < h->queries; i += GROUP) {
        int          n = h->queries - i < GROUP ? h->queries - i : GROUP;
        const float *q[GROUP];
        float        inverse[GROUP];
        for (int g = 0; g < GROUP; g++) q[g] = h->q + (size_t)(i + (g < n ? g : n - 1)) * h->q_stride;
        int j = 0;
        for (; j + 2 * ADE_LANES <= padded; j += 2 * ADE_LANES)
            score_block(q, scratch->keys + j, row, d, h->scale, scratch->scores + j, 2);
        if (j < padded) score_block(q, scratch->keys + j, row, d, h->scale, scratch->scores + j, 1);
        for (int g = 0; g < GROUP; g++) inverse[g] = 1.0f / softmax_row(scratch->scores + (size_t)g * row, h->len);
        int c = 0;
        while (c + ADE_LANES <= d) {
            ade_vec sums[GROUP][2];
            int     vectors = c + 2 * ADE_LANES <= d ? 2 : 1;
            if (vectors == 2) value_block(scratch->scores, row, h->v + c, h->kv_stride, h->len, sums, 2);
            else value_block(scratch->scores, row, h->v + c, h->kv_stride, h->len, sums, 1);
            for (int g = 0; g < n; g++)
                for (int v = 0; v < vectors; v++)
                    ade__store_act(out, out_index + (size_t)(i + g) * out_stride + (size_t)(c + ADE_LANES * v),
                                   sums[g][v] * inverse[g], ADE_LANES, act);
            c += ADE_LANES * vectors;
        }
        if (c < d) {
            ade_vec sums[GROUP][2];
            value_block(scratch->scores, row, scratch->values, ADE_LANES, h->len, sums, 1);
            for (int g = 0; g < n; g++)
                ade__store_act(out, out_index + (size_t)(i + g) * out_stride + (size_t)c, sums[g][0] * inverse[g],
                               d - c, act);
        }
    }
}

ADE_INLINE void all_heads(const ade_attention_args *args, int d, ade_dtype act, const struct ade_cpu_scratch *scratch) {
    size_t width = (size_t)args->a * (size_t)args->d;
    for (int32_t s = 0; s < args->s; s++) {
        size_t first = (size_t)args->cu_seqlens[s];
        size_t first_query = args->first_only ? (size_t)s : first;
        int    len = args->cu_seqlens[s + 1] - args->cu_seqlens[s];
        for (int32_t a = 0; a < args->a; a++) {
            size_t    column = (size_t)a * (size_t)args->d;
            head_view h = {.q = (const float *)args->q + first_query * (size_t)args->q_stride + column,
                           .k = (const float *)args->k + first * (size_t)args->kv_stride + column,
                           .v = (const float *)args->v + first * (size_t)args->kv_stride + column,
                           .q_stride = (size_t)args->q_stride,
                           .kv_stride = (size_t)args->kv_stride,
                           .queries = args->first_only ? 1 : len,
                           .len = len,
                           .d = d,
                           .scale = args->scale};
            one_head(&h, d, scratch, args->out, first_query * width + column, width, act);
        }
    }
}

void ADE_CPU(attention)(const ade_attention_args *args, ade_dtype act, const struct ade_cpu_scratch *scratch) {
    if (act == ADE_BF16) { /* constants for the usual head sizes; 0 stands for "known at run time" */
        if (args->d == 64) all_heads(args, 64, ADE_BF16, scratch);
        else if (args->d == 32) all_heads(args, 32, ADE_BF16, scratch);
        else all_heads(args, args->d, ADE_BF16, scratch);
    } else {
        if (args->d == 64) all_heads(args, 64, ADE_F32, scratch);
        else if (args->d == 32) all_heads(args, 32, ADE_F32, scratch);
        else all_heads(args, args->d, ADE_F32, scratch);
    }
}
