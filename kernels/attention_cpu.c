/* SPDX-License-Identifier: Apache-2.0
 * Attention over packed sequences of unequal length, one sequence and head at a time, ADE_CPU_KEYS keys at a time, so
 * that what is read again stays in the first two cache levels.
 *
 * A lane is a query while scores are made and weighed: the queries (two vectors of them at a time) are transposed, and
 * scores[j][queries] += k[j][c] q[c][queries] takes a key's numbers one by one from where they stand. So the softmax's
 * maximum and sum need no horizontal step, and there is no padding of keys to compute. Then a lane is a column of v:
 * out[i][columns] += p[j][i] v[j][columns], whose padding is none when the head size is a multiple of a vector.
 * Longer sequences than a block of keys carry maximum, sum and out along and shrink them when the maximum grows.
 *
 * compute ADE_BF16, where the processor multiplies pairs of bf16 (AVX512_BF16): the same steps on pairs (c, c + 1) in
 * the scores and (j, j + 1) in the values, each pair in the place of one float. The sums stay fp32.
 *
 * A sequence with one query (first_only) takes its keys in the lanes; same operations in the same order for each score,
 * weight and output, hence the same bits. */
#include "cpu_common.h"

#include <math.h>

#if defined(__AVX512BF16__)
#define HAVE_PAIRS 1
#else
#define HAVE_PAIRS 0
#endif

#define WIDE (2 * ADE_LANES) /* queries at a time */
#define LOG2_E 1.44269504f
#define ONES 0x3f803f80 /* a pair of bf16 */

/* Keys (scores) or queries (values) at a time: MOST x 2 sums, 2 operands and a broadcast fit 16 registers, and are
 * enough to keep two multipliers busy. */
#define MOST 6
#define SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6)

/* One head of one sequence. A "number" is a float, or a pair of bf16 in a float's place. */
typedef struct head {
    const float *q, *k, *v; /* its first element in the sequence's first row */
    size_t       q_stride, kv_stride;
    int          queries, len, d;
    float        scale;
    void        *out; /* its first element in the sequence's first row, of out_type */
    size_t       out_stride;
    ade_dtype    out_type;
    /* Scratch, and the operands as the products take them. */
    const float *keys, *values;             /* key j's numbers at keys + j keys_stride; step j of v alike */
    size_t       keys_stride, values_stride;
    int          key_numbers;               /* numbers of one key: d, or pairs */
    float       *pair_keys, *pair_values;   /* (len, d / 2), (len / 2, d), rounded up; pairs only */
    float       *value_tails;               /* (len, LANES): what is left of v's rows behind the last whole vector */
    float       *turned;                    /* (key_numbers, WIDE): transposed queries */
    float       *weights;                   /* (ADE_CPU_KEYS, WIDE): scores, then weights */
    float       *sums;                      /* (WIDE, d, rounded up): out so far, not yet divided by the total */
} head;

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

ADE_INLINE ade_vec mac(ade_vec sum, ade_vec a, ade_vec b, int pairs) {
#if HAVE_PAIRS
    if (pairs) return (ade_vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
    (void)pairs;
    return sum + a * b;
}

/* Floats p[0 .. n), 0 beyond; n may be less than 0 or more than a vector. */
ADE_INLINE ade_vec load_some(const float *p, int n) {
    if (n >= ADE_LANES) return ade__load(p);
    if (n <= 0) return ade__splat(0);
#if defined(__AVX512F__)
    return (ade_vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    return ade__load_n(p, n);
#endif
}

ADE_INLINE void store_whole(void *out, size_t index, ade_vec v, ade_dtype type) {
#if HAVE_PAIRS
    if (type == ADE_BF16) {
        __m256bh y = _mm512_cvtneps_pbh((__m512)v);
        memcpy((uint16_t *)out + index, &y, sizeof y);
        return;
    }
#endif
    if (type == ADE_BF16) ade__store_act(out, index, v, ADE_LANES, ADE_BF16);
    else ade__store((float *)out + index, v);
}

/* The first n lanes. */
ADE_INLINE void store_some(void *out, size_t index, ade_vec v, int n, ade_dtype type) {
    float lanes[ADE_LANES];
    store_whole(lanes, 0, v, type);
    memcpy(type == ADE_BF16 ? (void *)((uint16_t *)out + index) : (void *)((float *)out + index), lanes,
           (size_t)n * (type == ADE_BF16 ? sizeof(uint16_t) : sizeof(float)));
}

#if HAVE_PAIRS
/* The numbers of a row of n floats, from float 2 * LANES * i on. */
ADE_INLINE ade_vec pairs_of_row(const float *p, int n) {
    return (ade_vec)_mm512_cvtne2ps_pbh((__m512)load_some(p + ADE_LANES, n - ADE_LANES), (__m512)load_some(p, n));
}

/* Lane by lane the pair (a, b). */
ADE_INLINE ade_vec pairs_of_two(ade_vec a, ade_vec b) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (ade_vec)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a));
}
#endif

/* 2^x for x <= 0, at most 2e-7 off (pairs: 1e-4, of which bf16 keeps nothing); 2^0 is 1. Far below, where fp32 has only
 * subnormal numbers, 0 or about 1e-38. NaN stays NaN. The coefficients are fit_exp2.py's. */
ADE_INLINE ade_vec power_of_2(ade_vec x, int pairs) {
#if defined(__AVX512F__)
    __m512    n = _mm512_roundscale_ps((__m512)x, 8); /* to the nearest integer */
    __mmask16 normal = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
    ade_vec   r = x - (ade_vec)n;
#else
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    x = ade__max(ade__splat(-126.0f), x);
    ade_vec shifted = x + magic;
    ade_vec r = x - (shifted - magic);
#endif
    ade_vec p;
    if (pairs) {
        p = r * 0.05500893294811249f + 0.2422109693288803f;
        p = p * r + 0.6932829022407532f;
    } else {
        p = r * 0.001326472731307149f + 0.009671512991189957f;
        p = p * r + 0.05550733581185341f;
        p = p * r + 0.24022242426872253f;
        p = p * r + 0.6931470036506653f;
    }
    p = p * r + 1.0f;
#if defined(__AVX512F__)
    return (ade_vec)_mm512_maskz_scalef_ps(normal, (__m512)p, n);
#else
    return (ade_vec)((ade_ivec)p + ((ade_ivec)shifted << 23)); /* the magic number's own bits are shifted out */
#endif
}

/* Of two vectors, in each 128 bits: the lower floats (pairs of floats) of both in turn, and the upper ones. */
#if ADE_LANES == 16
#define LOW1(a, b) ADE_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH1(a, b) ADE_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW2(a, b) ADE_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH2(a, b) ADE_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
/* Of two vectors, the even blocks of 128 bits of both, and the odd ones. */
#define EVEN(a, b) ADE_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD(a, b) ADE_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#elif ADE_LANES == 8
#define LOW1(a, b) ADE_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH1(a, b) ADE_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(a, b) ADE_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH2(a, b) ADE_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define EVEN(a, b) ADE_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define ODD(a, b) ADE_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#else
#define LOW1(a, b) ADE_SHUFFLE(a, b, 0, 4, 1, 5)
#define HIGH1(a, b) ADE_SHUFFLE(a, b, 2, 6, 3, 7)
#define LOW2(a, b) ADE_SHUFFLE(a, b, 0, 1, 4, 5)
#define HIGH2(a, b) ADE_SHUFFLE(a, b, 2, 3, 6, 7)
#endif

/* Transposes LANES rows of LANES numbers: 4 x 4 within each 128 bits, then the blocks of 128 bits. */
ADE_INLINE void transpose(ade_vec r[ADE_LANES]) {
    for (int i = 0; i < ADE_LANES; i += 4) {
        ade_vec a = LOW1(r[i], r[i + 1]), b = HIGH1(r[i], r[i + 1]);
        ade_vec c = LOW1(r[i + 2], r[i + 3]), d = HIGH1(r[i + 2], r[i + 3]);
        r[i] = LOW2(a, c);
        r[i + 1] = HIGH2(a, c);
        r[i + 2] = LOW2(b, d);
        r[i + 3] = HIGH2(b, d);
    }
#if ADE_LANES == 16
    for (int i = 0; i < 4; i++) {
        ade_vec a = EVEN(r[i], r[i + 4]), b = ODD(r[i], r[i + 4]);
        ade_vec c = EVEN(r[i + 8], r[i + 12]), d = ODD(r[i + 8], r[i + 12]);
        r[i] = EVEN(a, c);
        r[i + 4] = EVEN(b, d);
        r[i + 8] = ODD(a, c);
        r[i + 12] = ODD(b, d);
    }
#elif ADE_LANES == 8
    for (int i = 0; i < 4; i++) {
        ade_vec a = r[i], b = r[i + 4];
        r[i] = EVEN(a, b);
        r[i + 4] = ODD(a, b);
    }
#endif
}

/* Numbers c .. c + LANES of a row of d floats; 0 beyond. */
ADE_INLINE ade_vec row_numbers(const float *row, int c, int d, int pairs) {
#if HAVE_PAIRS
    if (pairs) return pairs_of_row(row + 2 * c, d - 2 * c);
#endif
    (void)pairs;
    return load_some(row + c, d - c);
}

/* turned[c][i] = number c of query i; those beyond n queries, and numbers up to a whole vector, are 0. */
ADE_INLINE void turn_queries(const head *h, const float *q, int n, int vectors, int pairs) {
    for (int v = 0; v < vectors; v++)
        for (int c = 0; c < h->key_numbers; c += ADE_LANES) {
            ade_vec tile[ADE_LANES];
            for (int i = 0; i < ADE_LANES; i++)
                tile[i] = ADE_LANES * v + i < n
                              ? row_numbers(q + (size_t)(ADE_LANES * v + i) * h->q_stride, c, h->d, pairs)
                              : ade__splat(0);
            transpose(tile);
            for (int i = 0; i < ADE_LANES; i++) ade__store(h->turned + (c + i) * WIDE + ADE_LANES * v, tile[i]);
        }
}

/* scores[j][queries] = <k_j, q> of a few keys; most = the largest so far of each query. */
ADE_INLINE void score_keys(const head *h, const float *k, float *scores, float *most, int keys, int vectors,
                           int pairs) {
    ade_vec      sums[MOST][2];
    const float *q = h->turned;
    size_t       stride = h->keys_stride;
    for (int j = 0; j < keys; j++)
        for (int v = 0; v < vectors; v++) sums[j][v] = ade__splat(0);
    for (int c = 0; c < h->key_numbers; c++, q += WIDE, k++) {
        ade_vec q0 = ade__load(q), q1 = vectors > 1 ? ade__load(q + ADE_LANES) : q0;
        for (int j = 0; j < keys; j++) {
            ade_vec x = ade__splat(k[(size_t)j * stride]);
            sums[j][0] = mac(sums[j][0], x, q0, pairs);
            if (vectors > 1) sums[j][1] = mac(sums[j][1], x, q1, pairs);
        }
    }
    for (int v = 0; v < vectors; v++) {
        ade_vec m = ade__load(most + ADE_LANES * v);
        for (int j = 0; j < keys; j++) {
            ade__store(scores + j * WIDE + ADE_LANES * v, sums[j][v]);
            m = ade__max(m, sums[j][v]);
        }
        ade__store(most + ADE_LANES * v, m);
    }
}

/* Keys j0 .. j0 + n in groups that differ by one at most. */
ADE_INLINE void score_block(const head *h, int j0, int n, float *most, int vectors, int pairs) {
    int groups = (n + MOST - 1) / MOST;
    for (int j = 0; groups > 0; groups--) {
        const float *k = h->keys + (size_t)(j0 + j) * h->keys_stride;
        float       *scores = h->weights + j * WIDE;
        int          keys = (n - j + groups - 1) / groups;
        switch (keys) {
#define X(size) \
    case size: score_keys(h, k, scores, most, size, vectors, pairs); break;
            SIZES(X)
#undef X
        }
        j += keys;
    }
}

/* What a pass of some queries over the keys carries from block to block, a lane per query. */
typedef struct progress {
    float before[WIDE], most[WIDE]; /* the largest score before this block, and with it */
    float totals[WIDE];             /* of the weights */
    float shrink[WIDE];             /* a factor for what was summed before; unset in the first block */
    float inverse[WIDE];            /* 1 / total, of the last block */
    int   first, last;              /* whether this is the first, the last block */
} progress;

/* The sum of this block's weights, of the vector of queries from i on. */
ADE_INLINE void take_in(progress *at, int i, ade_vec sum, float factor) {
    if (!at->first) {
        ade_vec shrink = power_of_2((ade__load(at->before + i) - ade__load(at->most + i)) * factor, 0);
        ade__store(at->shrink + i, shrink);
        sum += ade__load(at->totals + i) * shrink;
    }
    ade__store(at->totals + i, sum);
    if (at->last) ade__store(at->inverse + i, 1.0f / sum);
}

/* Scores to weights 2^((score - most) factor); totals = totals * shrink + their sum. Pairs: weights j and j + 1 become
 * one number, and it is those rounded weights that are summed. */
ADE_INLINE void weigh_block(const head *h, int n, progress *at, int vectors, int pairs) {
    float   factor = h->scale * LOG2_E;
    ade_vec m[2], sum[2];
    for (int v = 0; v < vectors; v++) {
        m[v] = ade__load(at->most + ADE_LANES * v);
        sum[v] = ade__splat(0);
    }
    if (pairs) {
#if HAVE_PAIRS
        const ade_vec ones = (ade_vec)(ONES - (ade_ivec){0});
        for (int j = 0; j < n; j += 2) {
            const float *from = h->weights + j * WIDE;
            float       *to = h->weights + j / 2 * WIDE;
            for (int v = 0; v < vectors; v++) {
                ade_vec a = power_of_2((ade__load(from + ADE_LANES * v) - m[v]) * factor, 1), b = ade__splat(0);
                if (j + 1 < n) b = power_of_2((ade__load(from + WIDE + ADE_LANES * v) - m[v]) * factor, 1);
                a = pairs_of_two(a, b);
                ade__store(to + ADE_LANES * v, a);
                sum[v] = mac(sum[v], a, ones, 1);
            }
        }
#endif
    } else {
        for (int j = 0; j < n; j++)
            for (int v = 0; v < vectors; v++) {
                float  *w = h->weights + j * WIDE + ADE_LANES * v;
                ade_vec p = power_of_2((ade__load(w) - m[v]) * factor, 0);
                ade__store(w, p);
                sum[v] += p;
            }
    }
    for (int v = 0; v < vectors; v++) take_in(at, ADE_LANES * v, sum[v], factor);
}

/* A rectangle of outputs: queries from i on, of those that are being worked at, and `lanes` columns from c on. */
typedef struct rectangle {
    const float *p, *v; /* weight j of query i at p[j p_stride], values at v[j v_stride]; `steps` of them */
    size_t       p_stride, v_stride;
    int          steps, i, row, c, lanes; /* row: query i's in the sequence */
} rectangle;

/* out = out shrink + sum_j p[j] v_j for a few queries and one or two vectors of columns. */
ADE_INLINE void value_columns(const head *h, const progress *at, const rectangle *r, int queries, int vectors,
                              int pairs) {
    ade_vec      sums[MOST][2];
    const float *p = r->p, *v = r->v;
    size_t       d = round_up((size_t)h->d, ADE_LANES);
    float       *before = h->sums + (size_t)r->i * d + (size_t)r->c;
    for (int i = 0; i < queries; i++)
        for (int u = 0; u < vectors; u++) sums[i][u] = ade__splat(0);
    if (!at->first)
        for (int i = 0; i < queries; i++)
            for (int u = 0; u < vectors; u++)
                sums[i][u] = ade__load(before + (size_t)i * d + ADE_LANES * u) * at->shrink[r->i + i];
    for (int j = 0; j < r->steps; j++, v += r->v_stride, p += r->p_stride) {
        ade_vec v0 = ade__load(v), v1 = vectors > 1 ? ade__load(v + ADE_LANES) : v0;
        for (int i = 0; i < queries; i++) {
            ade_vec x = ade__splat(p[i]);
            sums[i][0] = mac(sums[i][0], x, v0, pairs);
            if (vectors > 1) sums[i][1] = mac(sums[i][1], x, v1, pairs);
        }
    }
    if (!at->last) {
        for (int i = 0; i < queries; i++)
            for (int u = 0; u < vectors; u++) ade__store(before + (size_t)i * d + ADE_LANES * u, sums[i][u]);
        return;
    }
    size_t to = (size_t)r->row * h->out_stride + (size_t)r->c;
    for (int i = 0; i < queries; i++, to += h->out_stride)
        for (int u = 0; u < vectors; u++) {
            ade_vec y = sums[i][u] * at->inverse[r->i + i];
            if (r->lanes < ADE_LANES) store_some(h->out, to, y, r->lanes, h->out_type);
            else store_whole(h->out, to + (size_t)(ADE_LANES * u), y, h->out_type);
        }
}

/* n queries, the first of which is the sequence's `row`, times the values of keys j0 .. j0 + keys. */
ADE_INLINE void value_block(const head *h, const progress *at, int row, int n, int j0, int keys, size_t p_stride,
                            int pairs) {
    int groups = (n + MOST - 1) / MOST;
    for (int i = 0; groups > 0; groups--) {
        int queries = (n - i + groups - 1) / groups, vectors;
        for (int c = 0; c < h->d; c += ADE_LANES * vectors) {
            int       left = h->d - c;
            rectangle r = {.p = h->weights + i, .p_stride = p_stride, .i = i, .row = row + i, .c = c, .lanes = left,
                           .v = h->values + (size_t)(pairs ? j0 / 2 : j0) * h->values_stride + (size_t)c,
                           .v_stride = h->values_stride, .steps = pairs ? (keys + 1) / 2 : keys};
            if (!pairs && left < ADE_LANES) r.v = h->value_tails + j0 * ADE_LANES, r.v_stride = ADE_LANES;
            vectors = left < WIDE ? 1 : 2;
            switch (queries) {
#define X(size)                                                     \
    case size:                                                      \
        if (vectors == 2) value_columns(h, at, &r, size, 2, pairs); \
        else value_columns(h, at, &r, size, 1, pairs);              \
        break;
                SIZES(X)
#undef X
            }
        }
        i += queries;
    }
}

/* Before keys j .. j + keys. */
static inline void begin(progress *at, int j, int keys, int len) {
    at->first = j == 0;
    at->last = j + keys == len;
    for (int i = 0; i < WIDE; i++) {
        if (at->first) at->most[i] = -INFINITY, at->totals[i] = 0;
        at->before[i] = at->most[i];
    }
}

/* Up to WIDE queries from `row` on. */
ADE_INLINE void some_queries(const head *h, int row, int n, int vectors, int pairs) {
    progress at;
    turn_queries(h, h->q + (size_t)row * h->q_stride, n, vectors, pairs);
    for (int j = 0; j < h->len; j += ADE_CPU_KEYS) {
        int keys = h->len - j < ADE_CPU_KEYS ? h->len - j : ADE_CPU_KEYS;
        begin(&at, j, keys, h->len);
        score_block(h, j, keys, at.most, vectors, pairs);
        weigh_block(h, keys, &at, vectors, pairs);
        value_block(h, &at, row, n, j, keys, WIDE, pairs);
    }
}

/* weights[j] = <k_j, q> of n keys from j0 on, padded to whole vectors; most[0] = the largest so far. */
ADE_INLINE void score_one(const head *h, const float *q, int j0, int n, float *most, int pairs) {
    ade_vec all_most = ade__splat(most[0]);
    for (int j = 0; j < n; j += ADE_LANES) {
        ade_vec      sum = ade__splat(0);
        const float *k = h->keys + (size_t)(j0 + j) * h->keys_stride;
        int          keys = n - j < ADE_LANES ? n - j : ADE_LANES;
        for (int c = 0; c < h->key_numbers; c += ADE_LANES) {
            int     numbers = h->key_numbers - c < ADE_LANES ? h->key_numbers - c : ADE_LANES;
            ade_vec tile[ADE_LANES];
            for (int i = 0; i < ADE_LANES; i++) /* missing keys repeat the last one */
                tile[i] = load_some(k + (size_t)(i < keys ? i : keys - 1) * h->keys_stride + (size_t)c, numbers);
            transpose(tile);
            for (int i = 0; i < ADE_LANES; i++)
                if (i < numbers) sum = mac(sum, ade__splat(q[c + i]), tile[i], pairs);
        }
        ade__store(h->weights + j, sum);
        all_most = ade__max(all_most, sum);
    }
    most[0] = ade__largest(all_most);
}

/* As weigh_block, for one query's weights side by side. */
ADE_INLINE void weigh_one(const head *h, int n, progress *at, int pairs) {
    float  *w = h->weights, factor = h->scale * LOG2_E, sum = 0;
    for (int j = 0; j < n; j += ADE_LANES)
        ade__store(w + j, power_of_2((ade__load(w + j) - at->most[0]) * factor, pairs));
    if (pairs) {
#if HAVE_PAIRS
        ade_vec sums = ade__splat(0);
        for (int j = n; j < (int)round_up((size_t)n, WIDE); j++) w[j] = 0;
        for (int j = 0; j < n; j += WIDE) ade__store(w + j / 2, pairs_of_row(w + j, WIDE));
        for (int j = 0; 2 * j < n; j++) sums = mac(sums, ade__splat(w[j]), (ade_vec)(ONES - (ade_ivec){0}), 1);
        sum = sums[0];
#endif
    } else {
        for (int j = 0; j < n; j++) sum += w[j];
    }
    take_in(at, 0, ade__splat(sum), factor);
}

ADE_INLINE void one_query(const head *h, int pairs) {
    progress     at;
    const float *q = h->q;
    if (pairs) {
        for (int c = 0; c < h->key_numbers; c += ADE_LANES) ade__store(h->turned + c, row_numbers(q, c, h->d, 1));
        q = h->turned;
    }
    for (int j = 0; j < h->len; j += ADE_CPU_KEYS) {
        int keys = h->len - j < ADE_CPU_KEYS ? h->len - j : ADE_CPU_KEYS;
        begin(&at, j, keys, h->len);
        score_one(h, q, j, keys, at.most, pairs);
        weigh_one(h, keys, &at, pairs);
        value_block(h, &at, 0, 1, j, keys, 1, pairs);
    }
}

/* k and v as the products take them. */
ADE_INLINE void prepare(head *h, int pairs) {
    size_t d = (size_t)h->d, stride = h->kv_stride;
    h->keys = h->k;
    h->values = h->v;
    h->keys_stride = h->values_stride = stride;
    h->key_numbers = h->d;
    if (pairs) {
#if HAVE_PAIRS
        h->keys = h->pair_keys;
        h->keys_stride = round_up(d, WIDE) / 2;
        h->key_numbers = (h->d + 1) / 2;
        h->values = h->pair_values;
        h->values_stride = round_up(d, ADE_LANES);
        for (int j = 0; j < h->len; j++)
            for (int c = 0; c < h->key_numbers; c += ADE_LANES)
                ade__store(h->pair_keys + (size_t)j * h->keys_stride + c,
                           row_numbers(h->k + (size_t)j * stride, c, h->d, 1));
        for (int j = 0; j < h->len; j += 2)
            for (int c = 0; c < h->d; c += ADE_LANES) {
                const float *v = h->v + (size_t)j * stride + (size_t)c;
                ade_vec      a = load_some(v, h->d - c);
                ade_vec      b = j + 1 < h->len ? load_some(v + stride, h->d - c) : ade__splat(0);
                ade__store(h->pair_values + (size_t)(j / 2) * h->values_stride + (size_t)c, pairs_of_two(a, b));
            }
#endif
    } else if (d % ADE_LANES) {
        int rest = h->d % ADE_LANES;
        for (int j = 0; j < h->len; j++)
            ade__store(h->value_tails + j * ADE_LANES, load_some(h->v + (size_t)j * stride + (d - (size_t)rest), rest));
    }
}

ADE_INLINE void one_head(head *h, int pairs) {
    prepare(h, pairs);
    if (h->queries == 1) {
        one_query(h, pairs);
        return;
    }
    for (int i = 0; i < h->queries; i += WIDE) {
        int n = h->queries - i < WIDE ? h->queries - i : WIDE;
        if (n > ADE_LANES) some_queries(h, i, n, 2, pairs);
        else some_queries(h, i, n, 1, pairs);
    }
}

static void head_f32(head *h) { one_head(h, 0); }

static void head_pairs(head *h) { one_head(h, HAVE_PAIRS); }

/* Where column c stands in a row. */
static size_t column(int32_t panel, size_t panel_stride, size_t c) {
    return panel ? c / (size_t)panel * panel_stride + c % (size_t)panel : c;
}

/* A head's time, roughly, in steps of its products. */
static int64_t cost(const ade_attention_args *args, int32_t s) {
    int64_t len = args->cu_seqlens[s + 1] - args->cu_seqlens[s];
    return (args->first_only ? 1 : len) * (len + 8) + len + 8;
}

void ADE_CPU(attention)(const ade_attention_args *args, ade_dtype compute, ade_dtype out,
                        const struct ade_cpu_scratch *scratch, int32_t part, int32_t parts) {
    size_t  a_n = (size_t)args->a, d = (size_t)args->d, width = a_n * d, wide_d = round_up(d, 32);
    size_t  len = round_up((size_t)scratch->max_len, 32);
    int     pairs = HAVE_PAIRS && compute == ADE_BF16;
    float  *memory = scratch->attention;
    int64_t all = 0, before = 0;
    head    h = {.q_stride = (size_t)args->q_stride,
                 .kv_stride = (size_t)args->kv_stride,
                 .d = args->d,
                 .scale = args->scale,
                 .out_stride = width,
                 .out_type = out,
                 .weights = memory,
                 .turned = memory + ADE_CPU_KEYS * WIDE,
                 .sums = memory + ADE_CPU_KEYS * WIDE + wide_d * WIDE,
                 .pair_keys = memory + ADE_CPU_KEYS * WIDE + 2 * wide_d * WIDE};
    h.pair_values = h.pair_keys + len * wide_d / 2;
    h.value_tails = h.pair_keys;
    /* Heads of sequences in a row; a share is those that begin in its part of the whole time. */
    for (int32_t s = 0; s < args->s; s++) all += cost(args, s) * args->a;
    for (int32_t s = 0; s < args->s; s++) {
        int64_t each = cost(args, s), low = all * part / parts - before, high = all * (part + 1) / parts - before;
        int64_t from = low > 0 ? (low + each - 1) / each : 0, to = high > 0 ? (high + each - 1) / each : 0;
        size_t  first = (size_t)args->cu_seqlens[s], first_query = args->first_only ? (size_t)s : first;
        before += each * args->a;
        h.len = args->cu_seqlens[s + 1] - args->cu_seqlens[s];
        h.queries = args->first_only ? 1 : h.len;
        for (int64_t a = from; a < to && a < args->a; a++) {
            size_t c = (size_t)a * d, at = first_query * width + c;
            size_t of_q = column(args->q_panel, args->q_panel_stride, c);
            size_t of_kv = column(args->kv_panel, args->kv_panel_stride, c);
            h.q = (const float *)args->q + first_query * h.q_stride + of_q;
            h.k = (const float *)args->k + first * h.kv_stride + of_kv;
            h.v = (const float *)args->v + first * h.kv_stride + of_kv;
            h.out = out == ADE_BF16 ? (void *)((uint16_t *)args->out + at) : (void *)((float *)args->out + at);
            if (pairs) head_pairs(&h);
            else head_f32(&h);
        }
    }
}
