/* SPDX-License-Identifier: Apache-2.0
 * Attention of the last layer, where only the first token of each text asks: 2 A H multiply-adds a token instead of the
 * 2 H A D that keys and values of every token take, and 2 H A D once a text.
 *
 * For a group of texts and a block of heads at a time: u = q W_k, head by head; then, text by text, scores = u x^T,
 * softmax, c = p x (in u's place); then out = c W_v^T + b_v, head by head. So there are two small matrix products, each
 * used twice: `combine` adds up rows of its right side, `dots` multiplies rows of both. The inner loop is over the left
 * side's rows, so that weights are read once for all texts of a group, and a token once for all heads of a block.
 *
 * Every sum has an order that depends on its length alone: combine adds row after row; dots adds vector after vector,
 * then the lanes at distances of half a vector, a quarter, ..., 1. */
#include "cpu_common.h"

#include <math.h>

/* Taken at a time: rows of the left side; of the right side, vectors of columns in combine and rows in dots. The sums
 * of a block and what is multiplied fit the registers (32 with AVX-512, else 16). */
enum { ROWS = 4 };
#if ADE_LANES == 16
enum { VECTORS = 4, RIGHT = 4 };
#else
enum { VECTORS = 2, RIGHT = 2 };
#endif

typedef struct product {
    const float *left, *right;
    float       *out;
    size_t       left_stride, right_stride, out_stride;
    int          rows, k, n; /* (rows, k) by (k, n) in combine; by (n, k), transposed, in dots */
} product;

/* ---- out[r, :] = sum_k left[r, k] right[k, :] -------------------------------------------------------------------- */

/* tail: the number of columns when they do not fill a vector, else 0. */
ADE_INLINE void combine_block(const product *p, int row, int rows, int column, int vectors, int tail) {
    const float *left = p->left + (size_t)row * p->left_stride, *right = p->right + column;
    float       *out = p->out + (size_t)row * p->out_stride + (size_t)column;
    ade_vec      sums[ROWS][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sums[r][v] = ade__splat(0);
    for (int k = 0; k < p->k; k++) {
        ade_vec from[VECTORS];
        for (int v = 0; v < vectors; v++) from[v] = tail ? ade__load_n(right, tail) : ade__load(right + v * ADE_LANES);
        for (int r = 0; r < rows; r++) {
            float x = left[(size_t)r * p->left_stride + (size_t)k];
            for (int v = 0; v < vectors; v++) sums[r][v] += x * from[v];
        }
        right += p->right_stride;
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            float *to = out + (size_t)r * p->out_stride + (size_t)(v * ADE_LANES);
            if (tail) ade__store_n(to, sums[r][v], tail);
            else ade__store(to, sums[r][v]);
        }
}

ADE_INLINE void combine_columns(const product *p, int column, int vectors, int tail) {
    int row = 0;
    for (; row + ROWS <= p->rows; row += ROWS) combine_block(p, row, ROWS, column, vectors, tail);
    switch (p->rows - row) {
    case 3: combine_block(p, row, 3, column, vectors, tail); break;
    case 2: combine_block(p, row, 2, column, vectors, tail); break;
    case 1: combine_block(p, row, 1, column, vectors, tail); break;
    default: break;
    }
}

static void combine(const product *p) {
    int column = 0;
    for (; column + VECTORS * ADE_LANES <= p->n; column += VECTORS * ADE_LANES) combine_columns(p, column, VECTORS, 0);
    for (; column + ADE_LANES <= p->n; column += ADE_LANES) combine_columns(p, column, 1, 0);
    if (column < p->n) combine_columns(p, column, 1, p->n - column);
}

/* ---- out[r, i] = <left[r, :], right[i, :]> ----------------------------------------------------------------------- */

/* Sums of the lanes of ADE_LANES vectors: lane i of the result is the sum of r[i]'s. Each round lets two vectors share
 * one: in blocks of `distance` lanes by turns, KEEP takes both where they stand, CROSS what they are to be added to. */
#if ADE_LANES == 16
#define KEEP8 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31
#define CROSS8 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
#define KEEP4 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31
#define CROSS4 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27
#define KEEP2 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31
#define CROSS2 2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29
#define KEEP1 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31
#define CROSS1 1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30
#elif ADE_LANES == 8
#define KEEP4 0, 1, 2, 3, 12, 13, 14, 15
#define CROSS4 4, 5, 6, 7, 8, 9, 10, 11
#define KEEP2 0, 1, 10, 11, 4, 5, 14, 15
#define CROSS2 2, 3, 8, 9, 6, 7, 12, 13
#define KEEP1 0, 9, 2, 11, 4, 13, 6, 15
#define CROSS1 1, 8, 3, 10, 5, 12, 7, 14
#else
#define KEEP2 0, 1, 6, 7
#define CROSS2 2, 3, 4, 5
#define KEEP1 0, 5, 2, 7
#define CROSS1 1, 4, 3, 6
#endif
#define HALVE(distance)                                                      \
    for (int i = 0; i < (distance); i++)                                     \
        r[i] = ADE_SHUFFLE(r[i], r[i + (distance)], KEEP##distance) +        \
               ADE_SHUFFLE(r[i], r[i + (distance)], CROSS##distance)

ADE_INLINE ade_vec sums_of(ade_vec r[ADE_LANES]) {
#if ADE_LANES >= 16
    HALVE(8);
#endif
#if ADE_LANES >= 8
    HALVE(4);
#endif
    HALVE(2);
    HALVE(1);
    return r[0];
}

ADE_INLINE void dots_block(const product *p, int row, int rows, int first) {
    const float *left = p->left + (size_t)row * p->left_stride, *right[RIGHT];
    ade_vec      sums[ROWS * RIGHT];
    float        results[ROWS * RIGHT];
    int          n = p->n - first < RIGHT ? p->n - first : RIGHT, full = p->k / ADE_LANES * ADE_LANES;
    for (int i = 0; i < RIGHT; i++) /* missing ones repeat the last */
        right[i] = p->right + (size_t)(first + (i < n ? i : n - 1)) * p->right_stride;
    for (int i = 0; i < ROWS * RIGHT; i++) sums[i] = ade__splat(0);
#pragma GCC unroll 4
    for (int k = 0; k < full; k += ADE_LANES) {
        ade_vec with[RIGHT];
        for (int i = 0; i < RIGHT; i++) with[i] = ade__load(right[i] + k);
        for (int r = 0; r < rows; r++) {
            ade_vec x = ade__load(left + (size_t)r * p->left_stride + k);
            for (int i = 0; i < RIGHT; i++) sums[r * RIGHT + i] += x * with[i];
        }
    }
    if (full < p->k) { /* unrolled, too: an array with an index that is no constant would live in memory */
        ade_vec with[RIGHT];
#pragma GCC unroll 4
        for (int i = 0; i < RIGHT; i++) with[i] = ade__load_n(right[i] + full, p->k - full);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            ade_vec x = ade__load_n(left + (size_t)r * p->left_stride + full, p->k - full);
#pragma GCC unroll 4
            for (int i = 0; i < RIGHT; i++) sums[r * RIGHT + i] += x * with[i];
        }
    }
    for (int i = 0; i < ROWS * RIGHT; i += ADE_LANES) ade__store(results + i, sums_of(sums + i));
    float *out = p->out + (size_t)row * p->out_stride + (size_t)first;
    for (int r = 0; r < rows; r++)
        if (n == RIGHT) memcpy(out + (size_t)r * p->out_stride, results + r * RIGHT, RIGHT * sizeof *out);
        else
            for (int i = 0; i < n; i++) out[(size_t)r * p->out_stride + (size_t)i] = results[r * RIGHT + i];
}

static void dots(const product *p) {
    for (int first = 0; first < p->n; first += RIGHT) {
        int row = 0;
        for (; row + ROWS <= p->rows; row += ROWS) dots_block(p, row, ROWS, first);
        switch (p->rows - row) {
        case 3: dots_block(p, row, 3, first); break;
        case 2: dots_block(p, row, 2, first); break;
        case 1: dots_block(p, row, 1, first); break;
        default: break;
        }
    }
}

/* ---- The op ------------------------------------------------------------------------------------------------------ */

/* Softmax of scale * row, in place. row has room for whole vectors, whose rest ends as 0. */
static void softmax(float *row, int len, float scale) {
    ade_vec  most = ade__splat(-INFINITY), sum = ade__splat(0);
    ade_ivec lane;
    for (int i = 0; i < ADE_LANES; i++) lane[i] = i;
    for (int j = 0; j < len; j += ADE_LANES) {
        ade_vec scores = ade__select(lane < len - j, ade__load(row + j), ade__splat(-INFINITY));
        most = ade__max(most, scores);
    }
    float maximum = ade__largest(most);
    for (int j = 0; j < len; j += ADE_LANES) {
        ade_vec e = ade__exp((ade__load(row + j) - maximum) * scale);
        e = ade__select(lane < len - j, e, ade__splat(0));
        sum += e;
        ade__store(row + j, e);
    }
    float inverse = 1.0f / ade__sum(sum);
    for (int j = 0; j < len; j += ADE_LANES) ade__store(row + j, ade__load(row + j) * inverse);
}

/* Texts [s, s + texts), heads [a, a + heads). */
static void one_block(const ade_first_attention_args *args, const struct ade_cpu_scratch *scratch, int s, int texts,
                      int a, int heads) {
    size_t h = (size_t)args->h, d = (size_t)args->d, text_row = (size_t)heads * h;
    size_t score_row = ((size_t)args->max_len + 15) / 16 * 16;
    float *scores_of = scratch->first;                         /* (heads, score_row) */
    float *rows = scores_of + ADE_CPU_FIRST_HEADS * score_row; /* (texts, heads, H) */
    for (int i = 0; i < heads; i++) {
        size_t  column = (size_t)(a + i) * d, panel = args->q_panel ? (size_t)args->q_panel : SIZE_MAX;
        product p = {.left = args->q + column / panel * args->q_panel_stride + (size_t)s * (size_t)args->q_stride +
                             column % panel,
                     .left_stride = (size_t)args->q_stride,
                     .right = args->wk + column * h,
                     .right_stride = h,
                     .out = rows + (size_t)i * h,
                     .out_stride = text_row,
                     .rows = texts,
                     .k = args->d,
                     .n = args->h};
        combine(&p);
    }
    for (int i = 0; i < texts; i++) {
        int     first = args->cu_seqlens[s + i], len = args->cu_seqlens[s + i + 1] - first;
        float  *of_text = rows + (size_t)i * text_row;
        product scores = {.left = of_text,
                          .left_stride = h,
                          .right = args->x + (size_t)first * h,
                          .right_stride = h,
                          .out = scores_of,
                          .out_stride = score_row,
                          .rows = heads,
                          .k = args->h,
                          .n = len};
        product sums = {.left = scores_of,
                        .left_stride = score_row,
                        .right = scores.right,
                        .right_stride = h,
                        .out = of_text,
                        .out_stride = h,
                        .rows = heads,
                        .k = len,
                        .n = args->h};
        dots(&scores);
        for (int k = 0; k < heads; k++) softmax(scores_of + (size_t)k * score_row, len, args->scale);
        combine(&sums);
    }
    for (int i = 0; i < heads; i++) {
        size_t  column = (size_t)(a + i) * d, width = (size_t)args->a * d;
        product p = {.left = rows + (size_t)i * h,
                     .left_stride = text_row,
                     .right = args->wv + column * h,
                     .right_stride = h,
                     .out = args->out + (size_t)s * width + column,
                     .out_stride = width,
                     .rows = texts,
                     .k = args->h,
                     .n = args->d};
        dots(&p);
        for (int k = 0; k < texts; k++)
            for (int c = 0; c < args->d; c++) p.out[(size_t)k * width + (size_t)c] += args->bv[column + (size_t)c];
    }
}

/* A part is a range of pairs of a head and a group of texts, with the heads outside: then parts share few weights. */
void ADE_CPU(first_attention)(const ade_first_attention_args *args, const struct ade_cpu_scratch *scratch, int32_t part,
                              int32_t parts) {
    int64_t groups = (args->s + ADE_CPU_FIRST_TEXTS - 1) / ADE_CPU_FIRST_TEXTS, pairs = groups * args->a;
    int64_t begin = pairs * part / parts, end = pairs * (part + 1) / parts;
    for (int64_t g = 0; g < groups; g++) { /* of nearly equal sizes; pair number a groups + g */
        int s = (int)(args->s * g / groups), texts = (int)(args->s * (g + 1) / groups) - s;
        int a = (int)((begin - g + groups - 1) / groups), last = (int)((end - g + groups - 1) / groups);
        for (; a < last; a += ADE_CPU_FIRST_HEADS)
            one_block(args, scratch, s, texts, a, last - a < ADE_CPU_FIRST_HEADS ? last - a : ADE_CPU_FIRST_HEADS);
    }
}
