/* SPDX-License-Identifier: Apache-2.0
 * Every op of ops.h on a backend with memory of its own and f16 types (CUDA, or CUDA's source on the emulator) against
 * reference.c: largest error within the tolerance that ops.h states, normalized mean square error, nothing left
 * unwritten (outputs start as NaN), nothing written beyond (canaries, row pads), nothing read beyond that would matter
 * (inputs end in NaN), extremes, and the same bits in any company. device_table.c has the
 * tests of the table itself.
 *
 *     test_ops_device [--plugin PATH] [--quick | --all] [[--filter] part of a test's name]
 *
 * Without a path (or ADESIEVE_CUDA_PLUGIN) the plugin is the one linked in: the emulated one. --all, for a real device,
 * runs many more cases. "Unit scale" is read as uniform in [-1, 1]. ADE_TEST_WRONG=1 falsifies one expectation; the
 * suite must then fail. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* setenv */
#endif
#include "device_subject.h"

#include "fp16.h"
#include "reference.h"

#include <math.h>

/* ---- embed ------------------------------------------------------------------------------------------------------ */

/* Among them some (41, 328, 776, 1512) whose product with their own rounded reciprocal is not 1 in fp32. */
static const int32_t widths[] = {1,   8,   15,  16,   17,   32,   37,   41,   128,  129,  256,  264, 328, 384,
                                 520, 768, 776, 1024, 1152, 1280, 1512, 1800, 2048, 2056, 3000, 3072};

static void embed_case(int32_t h, int32_t t_n, int with_types, float eps) {
    enum { V = 50, P = 20, Y = 2 };
    ade_dtype type = device_info.table_type;
    size_t    t = (size_t)t_n, n = t * (size_t)h, row = (size_t)h * reference_size(type), out_row = (size_t)h * 2;
    void     *word = random_array((size_t)V * (size_t)h, type, 1, 0);
    void     *position = random_array((size_t)P * (size_t)h, type, 1, 0);
    void     *kind = random_array((size_t)Y * (size_t)h, type, 1, 0);
    float    *ln_w = random_array((size_t)h, ADE_F32, 0.5f, 1), *ln_b = random_array((size_t)h, ADE_F32, 0.5f, 0);
    int32_t  *ids = host_new(t * 4), *types = host_new(t * 4), *positions = host_new(t * 4);
    double   *expected = host_new(n * sizeof *expected);
    for (size_t i = 0; i < t; i++) {
        ids[i] = i == 0 ? V - 1 : i == 1 ? 0 : (int32_t)(random_u32() % V);
        positions[i] = i == 0 ? P - 1 : (int32_t)(random_u32() % P);
        types[i] = (int32_t)(random_u32() % Y);
    }
    ade_embed_args args = {ids, with_types ? types : NULL, positions, word, position, kind, type, ln_w, ln_b, eps,
                           NULL, NULL, t_n, h};
    reference_embed(&args, expected);
    device_rows d_ids = device_input(ids, t, 4), d_types = device_input(types, t, 4);
    device_rows d_positions = device_input(positions, t, 4), d_word = device_input(word, V, row);
    device_rows d_position = device_input(position, P, row), d_kind = device_input(kind, Y, row);
    device_rows d_w = device_input(ln_w, (size_t)h, 4), d_b = device_input(ln_b, (size_t)h, 4);
    device_rows x = device_output(t, out_row), alone = device_output(1, out_row);
    args = (ade_embed_args){d_ids.data, with_types ? d_types.data : NULL, d_positions.data, d_word.data,
                            d_position.data, d_kind.data, type, d_w.data, d_b.data, eps, x.data, NULL, t_n, h};
    CHECK_OK(device_ops->embed(device_exec, &args));
    void *got = device_fetch(&x, 0, "embed");
    compare("embed", got, ADE_F16, expected, n, 4e-3, NULL);
    /* The last token alone: its ids come from the start of other buffers. */
    device_rows one_id = device_input(ids + t - 1, 1, 4), one_type = device_input(types + t - 1, 1, 4);
    device_rows one_position = device_input(positions + t - 1, 1, 4);
    args.ids = one_id.data, args.positions = one_position.data, args.x = alone.data, args.t = 1;
    if (with_types) args.types = one_type.data;
    CHECK_OK(device_ops->embed(device_exec, &args));
    void *got_alone = device_fetch(&alone, 0, "embed");
    same_bits("embed", got_alone, at(got, ADE_F16, n - (size_t)h), out_row, "alone");
    device_rows *rows[] = {&d_ids, &d_types, &d_positions, &d_word, &d_position, &d_kind, &d_w,
                           &d_b, &x, &alone, &one_id, &one_type, &one_position};
    for (size_t i = 0; i < COUNT(rows); i++) device_rows_free(rows[i]);
    free(word), free(position), free(kind), free(ln_w), free(ln_b), free(ids), free(types), free(positions);
    free(expected), free(got), free(got_alone);
}

static void test_embed(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++) {
        embed_case(widths[i], 1, 0, 1e-12f);
        embed_case(widths[i], 2 + (int)i * (device_all ? 23 : 3), 1, i % 2 ? 1e-12f : 1e-5f);
        if (device_all) embed_case(widths[i], 1500, i % 2, 1e-12f);
    }
}

/* ---- linear ----------------------------------------------------------------------------------------------------- */

/* New host memory with the product of `rows` rows of x; NaN follows, which may be multiplied but must not matter. */
static void *linear_run(const matrix *w, const void *x, int32_t rows) {
    ade_dtype   type = w->desc.exact ? ADE_F32 : ADE_F16;
    device_rows in = device_input(x, (size_t)rows, (size_t)w->desc.k * reference_size(type));
    device_rows out = device_output((size_t)rows, (size_t)w->desc.n * reference_size(type));
    CHECK_OK(device_ops->linear(device_exec, &(ade_linear_args){w->linear, in.data, out.data, rows}));
    void *y = device_fetch(&out, 1, "linear");
    device_rows_free(&in), device_rows_free(&out);
    return y;
}

static void linear_case(int32_t m, int32_t n, int32_t k, int with_bias, int32_t exact) {
    ade_dtype type = exact ? ADE_F32 : ADE_F16;
    matrix    w = matrix_new(n, k, with_bias, exact);
    void     *x = random_array((size_t)m * (size_t)k, type, 1, 0), *y = linear_run(&w, x, m);
    size_t    count = (size_t)m * (size_t)n;
    double   *expected = host_new(count * sizeof *expected);
    reference_linear(&w.desc, x, type, m, expected);
    compare(exact ? "linear, exact" : "linear", y, type, expected, count, (exact ? 3e-6 : 1e-3) * sqrt((double)k),
            NULL);
    free(expected), free(x), free(y);
    matrix_free(&w);
}

static void test_linear_small(void **state) {
    (void)state;
    static const int32_t rows[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 145, 300};
    static const int32_t sizes[][2] = {{8, 8},   {1, 8}, {37, 24}, {24, 37}, {37, 33},
                                       {33, 31}, {1, 1}, {2, 128}, {64, 64}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t r = 0; r < COUNT(rows); r++)
            if (device_all || (r + i) % 3 == 0)
                for (int32_t exact = 0; exact < 2; exact++)
                    linear_case(rows[r], sizes[i][0], sizes[i][1], (r + i) % 4 != 3, exact);
}

static void test_linear_models(void **state) {
    (void)state;
    static const int32_t sizes[][2] = {{384, 384}, {1152, 384}, {1536, 384}, {384, 1536}, /* the default model */
                                       {768, 768}, {2304, 768}, {3072, 768}, {768, 3072}}; /* BERT-base */
    static const int32_t rows[] = {3, 17, 130, 300};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t r = 0; r < (device_all ? COUNT(rows) : i == 0 ? 3u : 1u); r++)
            linear_case(rows[r], sizes[i][0], sizes[i][1], i % 2 == 1, 0);
    linear_case(5, 384, 384, 1, 1); /* poolers */
    linear_case(5, 768, 768, 1, 1);
}

/* One matrix after another on one exec, then the first again: plans share a workspace. */
static void test_linear_interleaved(void **state) {
    (void)state;
    matrix a = matrix_new(64, 32, 1, 0), b = matrix_new(384, 768, 1, 0), c = matrix_new(64, 32, 0, 0);
    void  *x = random_array(20 * 768, ADE_F16, 1, 0);
    void  *first = linear_run(&a, x, 20), *big = linear_run(&b, x, 20), *other = linear_run(&c, x, 20);
    void  *again = linear_run(&a, x, 20), *big_again = linear_run(&b, x, 20);
    CHECK(memcmp(first, other, 20 * 64 * 2) != 0, "two matrices gave one result");
    same_bits("linear", first, again, 20 * 64 * 2, "the second time");
    same_bits("linear", big, big_again, 20 * 384 * 2, "the second time");
    free(x), free(first), free(big), free(other), free(again), free(big_again);
    matrix_free(&a), matrix_free(&b), matrix_free(&c);
}

static void linear_invariance(int32_t n, int32_t k, int with_bias, int32_t exact, int32_t step) {
    ade_dtype type = exact ? ADE_F32 : ADE_F16;
    matrix    w = matrix_new(n, k, with_bias, exact);
    size_t    x_row = (size_t)k * reference_size(type), y_row = (size_t)n * reference_size(type);
    char     *x = random_array((size_t)MATRIX_MAX_ROWS * (size_t)k, type, 1, 0);
    char     *whole = linear_run(&w, x, MATRIX_MAX_ROWS);
    char      what[80];
    for (int32_t m = 1; m < MATRIX_MAX_ROWS; m += step) {
        void *part = linear_run(&w, x, m);
        snprintf(what, sizeof what, "in %d rows (n %d, k %d)", (int)m, (int)n, (int)k);
        same_bits("linear", whole, part, (size_t)m * y_row, what);
        free(part);
    }
    for (int32_t shift = 1; shift < MATRIX_MAX_ROWS; shift += 3 * step) { /* at other places */
        void *part = linear_run(&w, x + (size_t)shift * x_row, MATRIX_MAX_ROWS - shift);
        snprintf(what, sizeof what, "%d rows further up (n %d, k %d)", (int)shift, (int)n, (int)k);
        same_bits("linear", whole + (size_t)shift * y_row, part, (size_t)(MATRIX_MAX_ROWS - shift) * y_row, what);
        free(part);
    }
    char *mixed = host_new(MATRIX_MAX_ROWS * x_row), *other; /* other neighbours, some of them infinite */
    memcpy(mixed, x, MATRIX_MAX_ROWS * x_row);
    for (int32_t m = 0; m < MATRIX_MAX_ROWS; m++)
        for (size_t i = 0; m % 3 != 1 && i < (size_t)k; i++)
            put(mixed, type, (size_t)m * (size_t)k + i, m % 7 ? random_unit() * 100 : INFINITY);
    other = linear_run(&w, mixed, MATRIX_MAX_ROWS);
    for (int32_t m = 1; m < MATRIX_MAX_ROWS; m += 3)
        same_bits("linear", whole + (size_t)m * y_row, other + (size_t)m * y_row, y_row, "among other neighbours");
    free(x), free(whole), free(mixed), free(other);
    matrix_free(&w);
}

static void test_linear_invariance(void **state) {
    (void)state;
    linear_invariance(8, 8, 1, 0, device_all ? 1 : 11);
    linear_invariance(37, 33, 1, 0, device_all ? 1 : 11);
    linear_invariance(37, 33, 0, 1, device_all ? 1 : 31);
    linear_invariance(384, 384, 0, 0, device_all ? 1 : 149);
    if (!device_all) return;
    linear_invariance(384, 384, 1, 1, 7);
    linear_invariance(1152, 384, 1, 0, 7);
    linear_invariance(1536, 384, 0, 0, 7);
    linear_invariance(384, 1536, 0, 0, 1);
    linear_invariance(768, 768, 0, 0, 7);
    linear_invariance(2304, 768, 1, 0, 11);
    linear_invariance(768, 3072, 0, 0, 7);
}

/* ---- attention -------------------------------------------------------------------------------------------------- */

typedef struct attention_host {
    ade_attention_args args; /* host pointers, for the reference */
    uint16_t          *qkv, *q_first;
    int32_t           *cu;
    size_t             k_at, v_at, stride, q_first_stride, out_rows, h;
} attention_host;

/* q, k, v side by side, each at a multiple of 16 bytes, in rows of `extra` more elements than they need. */
static attention_host attention_new(const int32_t *lengths, int32_t s, int32_t a, int32_t d, int first_only,
                                    int32_t extra, float scale_of_scores) {
    attention_host p = {.h = (size_t)(a * d)};
    size_t         wide = (p.h + 7) / 8 * 8;
    int32_t        longest = 0, shortest = lengths[0];
    p.k_at = wide, p.v_at = 2 * wide, p.stride = 3 * wide + (size_t)extra, p.q_first_stride = wide + (size_t)extra;
    p.cu = host_new((size_t)(s + 1) * sizeof *p.cu);
    for (int32_t i = 0; i < s; i++) {
        p.cu[i + 1] = p.cu[i] + lengths[i];
        longest = lengths[i] > longest ? lengths[i] : longest;
        shortest = lengths[i] < shortest ? lengths[i] : shortest;
    }
    int32_t t = p.cu[s];
    p.qkv = host_new((size_t)t * p.stride * 2);
    p.q_first = host_new((size_t)s * p.q_first_stride * 2);
    for (size_t i = 0; i < (size_t)t * p.stride; i++)
        put(p.qkv, ADE_F16, i, random_unit() * (i % p.stride < wide ? scale_of_scores : 1));
    for (size_t i = 0; i < (size_t)s * p.q_first_stride; i++)
        put(p.q_first, ADE_F16, i, random_unit() * scale_of_scores);
    p.args = (ade_attention_args){.q = first_only ? p.q_first : p.qkv,
                                  .k = p.qkv + p.k_at,
                                  .v = p.qkv + p.v_at,
                                  .q_stride = (int32_t)(first_only ? p.q_first_stride : p.stride),
                                  .kv_stride = (int32_t)p.stride,
                                  .cu_seqlens = p.cu,
                                  .t = t,
                                  .s = s,
                                  .a = a,
                                  .d = d,
                                  .min_len = shortest,
                                  .max_len = longest,
                                  .first_only = first_only,
                                  .scale = 1.0f / sqrtf((float)d)};
    p.out_rows = (size_t)(first_only ? s : t);
    return p;
}

static void attention_free(attention_host *p) { free(p->qkv), free(p->q_first), free(p->cu); }

/* New host memory with the result for sequences [from, from + count) as a batch of their own. */
static uint16_t *attention_run(const attention_host *p, int32_t from, int32_t count) {
    ade_attention_args args = p->args;
    size_t             begin = (size_t)p->cu[from], t = (size_t)p->cu[from + count] - begin;
    size_t             rows = args.first_only ? (size_t)count : t;
    int32_t           *cu = host_new((size_t)(count + 1) * sizeof *cu);
    args.min_len = args.max_len = p->cu[from + 1] - p->cu[from];
    for (int32_t i = 0; i < count; i++) {
        int32_t length = p->cu[from + i + 1] - p->cu[from + i];
        cu[i + 1] = cu[i] + length;
        args.min_len = length < args.min_len ? length : args.min_len;
        args.max_len = length > args.max_len ? length : args.max_len;
    }
    device_rows qkv = device_input(p->qkv + begin * p->stride, t, p->stride * 2);
    device_rows q = device_input(p->q_first + (size_t)from * p->q_first_stride, (size_t)count, p->q_first_stride * 2);
    device_rows d_cu = device_input(cu, (size_t)count + 1, 4), out = device_output(rows, p->h * 2);
    args.q = args.first_only ? q.data : qkv.data;
    args.k = (uint16_t *)qkv.data + p->k_at;
    args.v = (uint16_t *)qkv.data + p->v_at;
    args.cu_seqlens = d_cu.data, args.out = out.data, args.t = (int32_t)t, args.s = count;
    CHECK_OK(device_ops->attention(device_exec, &args));
    uint16_t *got = device_fetch(&out, 0, "attention");
    device_rows_free(&qkv), device_rows_free(&q), device_rows_free(&d_cu), device_rows_free(&out);
    free(cu);
    return got;
}

static void attention_check(attention_host *p, const char *name) {
    double   *expected = host_new(p->out_rows * p->h * sizeof *expected);
    uint16_t *got = attention_run(p, 0, p->args.s);
    reference_attention(&p->args, ADE_F16, expected);
    compare(name, got, ADE_F16, expected, p->out_rows * p->h, 2e-3, NULL);
    for (int32_t i = 0; i < p->args.s && p->args.s > 1; i++) { /* each sequence alone */
        size_t    first = (size_t)(p->args.first_only ? i : p->cu[i]);
        size_t    rows = p->args.first_only ? 1 : (size_t)(p->cu[i + 1] - p->cu[i]);
        uint16_t *alone = attention_run(p, i, 1);
        same_bits(name, alone, got + first * p->h, rows * p->h * 2, "alone");
        free(alone);
    }
    if (!p->args.first_only) { /* the first token's row, asked for by itself */
        attention_host first = *p;
        first.args.first_only = 1;
        first.q_first_stride = p->k_at + 8, first.args.q_stride = (int32_t)first.q_first_stride;
        first.q_first = host_new((size_t)p->args.s * first.q_first_stride * 2);
        for (int32_t i = 0; i < p->args.s; i++)
            memcpy(first.q_first + (size_t)i * first.q_first_stride, p->qkv + (size_t)p->cu[i] * p->stride, p->h * 2);
        uint16_t *only = attention_run(&first, 0, p->args.s);
        for (int32_t i = 0; i < p->args.s; i++)
            same_bits(name, only + (size_t)i * p->h, got + (size_t)p->cu[i] * p->h, p->h * 2, "with first_only");
        free(first.q_first), free(only);
    }
    free(expected), free(got);
}

static void attention_case(const int32_t *lengths, int32_t s, int32_t a, int32_t d, int first_only, int32_t extra,
                           float scale_of_scores) {
    attention_host p = attention_new(lengths, s, a, d, first_only, extra, scale_of_scores);
    attention_check(&p, "attention");
    attention_free(&p);
}

static void test_attention(void **state) {
    (void)state;
    static const int32_t lengths[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129};
    static const int32_t heads[][2] = {{2, 32}, {2, 64}, {2, 8},   {3, 24}, {2, 16},
                                       {1, 48}, {1, 37}, {1, 128}, {1, 256}};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            int32_t extra = (int32_t)(i % 3) * 8;
            attention_case(&lengths[i], 1, heads[k][0], heads[k][1], 0, extra, 1);
            attention_case(&lengths[i], 1, heads[k][0], heads[k][1], 1, extra, 1);
            if (device_all) attention_case(&lengths[i], 1, 12, heads[k][1], 0, extra, 4);
        }
}

/* Rows that start at no multiple of 16 bytes. */
static void test_attention_strides(void **state) {
    (void)state;
    static const int32_t lengths[] = {33, 5, 70};
    attention_case(lengths, 3, 2, 32, 0, 5, 1);
    attention_case(lengths, 3, 1, 64, 0, 5, 1);
    attention_case(lengths, 3, 1, 37, 0, 1, 1);
    attention_case(lengths, 3, 1, 8, 1, 3, 1);
}

static void test_attention_mixed(void **state) {
    (void)state;
    static const int32_t mixed[] = {17, 1, 128, 2, 31, 33, 16, 1, 1, 64, 65, 3}, short_ones[] = {2, 2, 2, 2, 3, 1, 2};
    static const int32_t long_ones[] = {127, 66, 129, 65};
    static const int32_t heads[][2] = {{2, 32}, {1, 64}, {2, 8}, {1, 24}};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (int first_only = 0; first_only < 2; first_only++) {
            attention_case(mixed, COUNT(mixed), heads[k][0], heads[k][1], first_only, 0, 1);
            attention_case(short_ones, COUNT(short_ones), heads[k][0], heads[k][1], first_only, 8, 1);
            if (k < 2 || device_all)
                attention_case(long_ones, COUNT(long_ones), heads[k][0], heads[k][1], first_only, 0, 1);
        }
    for (int i = 0; i < (device_all ? 40 : 1); i++) { /* many, of random lengths */
        int32_t lengths[40], n = device_all ? 40 : 9;
        for (int32_t s = 0; s < n; s++) lengths[s] = 1 + (int32_t)(random_u32() % (random_u32() % 4 ? 40 : 150));
        attention_case(lengths, n, device_all ? 12 : 1, i % 2 ? 32 : 64, i % 4 == 3, 0, 2);
    }
}

static void test_attention_long(void **state) {
    (void)state;
    static const int32_t l511[] = {511}, l512[] = {512}, both[] = {5, 512, 40, 511, 1}, l200[] = {200};
    attention_case(l511, 1, 1, 32, 0, 0, 1);
    attention_case(l512, 1, 1, 64, 0, 0, 1);
    attention_case(both, 5, 2, 32, 1, 0, 1);
    attention_case(both, 5, 1, 64, 1, 0, 1);
    attention_case(l200, 1, 1, 8, 0, 0, 1);
    attention_case(l512, 1, 1, 24, 1, 0, 1);
    if (!device_all) return;
    attention_case(both, 5, 12, 32, 0, 0, 1);
    attention_case(both, 5, 12, 64, 0, 0, 1);
    attention_case(l512, 1, 2, 128, 0, 0, 1);
}

/* Few keys count, and the largest comes late or early: what a running maximum must follow. */
static void test_attention_sharp(void **state) {
    (void)state;
    static const int32_t lengths[] = {31, 64, 100, 129, 260};
    static const int32_t heads[] = {32, 64, 24};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (int rising = -1; rising <= 1; rising++) {
            attention_host p = attention_new(lengths, COUNT(lengths), 1, heads[k], 0, 0, 12);
            for (size_t s = 0; s < COUNT(lengths) && rising; s++)
                for (int32_t t = p.cu[s]; t < p.cu[s + 1]; t++) {
                    float part = (float)(t - p.cu[s]) / (float)lengths[s];
                    put(p.qkv, ADE_F16, (size_t)t * p.stride, 12); /* q's first element times a ramp in k's */
                    put(p.qkv, ADE_F16, (size_t)t * p.stride + p.k_at, (float)rising * 20 * part);
                }
            attention_check(&p, "attention, sharp");
            attention_free(&p);
        }
}

/* Scores of +-1e4, made of numbers and sums that fp32 holds exactly, so that the tolerance is the usual one. */
static void test_attention_extreme(void **state) {
    (void)state;
    static const int32_t lengths[] = {40, 1, 17, 90};
    static const int32_t heads[] = {64, 16};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (int sign = -1; sign <= 2; sign++) { /* 0: mixed; 2: the first 30 tokens of a text against the rest */
            size_t         d = (size_t)heads[k];
            attention_host p = attention_new(lengths, COUNT(lengths), 1, heads[k], 0, 0, 1);
            for (size_t t = 0, s = 0; t < (size_t)p.args.t; t++)
                for (size_t i = 0; i < d; i++) {
                    while (t >= (size_t)p.cu[s + 1]) s++;
                    int   early = t - (size_t)p.cu[s] < 30 ? 1 : -1;
                    float side = (float)(sign == 2 ? early : sign ? sign : random_u32() % 2 ? 1 : -1);
                    float q = i == t % (d / 2) ? (t % 5 == 4 ? -2.0f : 2.0f) : i == d - 1 ? 1 : 0;
                    float key = i < d / 2 ? 2e4f * (d == 64 ? 2 : 1) * side : (float)(random_u32() % 64) * 0.25f;
                    put(p.qkv, ADE_F16, t * p.stride + i, q);
                    put(p.qkv, ADE_F16, t * p.stride + p.k_at + i, key);
                }
            attention_check(&p, "attention, scores 1e4");
            attention_free(&p);
        }
}

/* ---- layernorm -------------------------------------------------------------------------------------------------- */

typedef struct layernorm_host {
    void  *x, *residual;
    float *bias, *ln_w, *ln_b;
} layernorm_host;

static layernorm_host layernorm_new(size_t n, size_t h, float scale, float shift) {
    return (layernorm_host){random_array(n, ADE_F16, scale, shift), random_array(n, ADE_F16, shift != 0 ? 0 : scale, 0),
                            random_array(h, ADE_F32, scale, 0), random_array(h, ADE_F32, 0.5f, 1),
                            random_array(h, ADE_F32, 0.5f, 0)};
}

static void layernorm_free(layernorm_host *p) {
    free(p->x), free(p->residual), free(p->bias), free(p->ln_w), free(p->ln_b);
}

/* place: 0: out is a buffer of its own, 1: it is x, 2: it is residual. New host memory with the rounded and, if exact
 * is not NULL, the exact result of m rows from row `from` on. */
static void *layernorm_run(const layernorm_host *p, size_t from, size_t m, size_t h, int with_bias, float eps,
                           int place, float **exact) {
    device_rows x = device_input(at(p->x, ADE_F16, from * h), m, h * 2);
    device_rows residual = device_input(at(p->residual, ADE_F16, from * h), m, h * 2);
    device_rows bias = device_input(p->bias, h, 4), w = device_input(p->ln_w, h, 4), b = device_input(p->ln_b, h, 4);
    device_rows out = device_output(m, h * 2), out_exact = device_output(m, h * 4);
    void       *where[] = {out.data, x.data, residual.data}, *got = host_new(m * h * 2);
    ade_layernorm_args args = {x.data, with_bias ? bias.data : NULL, residual.data, w.data, b.data, eps, where[place],
                               NULL, exact ? out_exact.data : NULL, (int32_t)m, (int32_t)h};
    CHECK_OK(device_ops->layernorm(device_exec, &args));
    device_read(got, where[place], m * h * 2);
    free(device_fetch(&out, 0, "layernorm"));
    if (exact) *exact = device_fetch(&out_exact, 0, "layernorm, exact");
    device_rows *rows[] = {&x, &residual, &bias, &w, &b, &out, &out_exact};
    for (size_t i = 0; i < COUNT(rows); i++) device_rows_free(rows[i]);
    return got;
}

static void layernorm_case(int32_t h_n, int32_t m_n, float scale, float shift, float eps, int with_bias) {
    size_t         h = (size_t)h_n, m = (size_t)m_n, n = m * h;
    layernorm_host p = layernorm_new(n, h, scale, shift);
    double        *expected = host_new(n * sizeof *expected), *allowed = host_new(n * sizeof *allowed);
    const char    *name = shift != 0 ? "layernorm, mean 1e4" : "layernorm";
    const char    *exact_name = shift != 0 ? "layernorm, exact, mean 1e4" : "layernorm, exact";
    reference_layernorm(&(ade_layernorm_args){p.x, with_bias ? p.bias : NULL, p.residual, p.ln_w, p.ln_b, eps, NULL,
                                              NULL, NULL, m_n, h_n},
                        ADE_F16, expected);
    /* Far from the mean 0 an fp32 mean is off by |mean| 2^-24 or so, and that is divided by the standard deviation. */
    for (size_t i = 0; i < n; i++) allowed[i] = 1 + fabs((double)shift) / (0.57 * (double)scale);
    if (check_wrong()) expected[n / 2] += 1e-2;
    float *exact, *row_exact;
    void  *got = layernorm_run(&p, 0, m, h, with_bias, eps, 0, &exact);
    compare(name, got, ADE_F16, expected, n, 4e-3, NULL);
    compare(exact_name, exact, ADE_F32, expected, n, 4e-6, shift != 0 ? allowed : NULL);
    for (size_t i = 0; i < n; i++) /* both outputs are one fp32 value */
        CHECK(ade__f16_from_f32(exact[i]) == ((uint16_t *)got)[i], "%s: element %zu is %04x, and %.9g exactly", name, i,
              ((uint16_t *)got)[i], (double)exact[i]);
    for (size_t i = 0; i < m; i += 1 + m / 3) {
        void *row = layernorm_run(&p, i, 1, h, with_bias, eps, 0, &row_exact);
        same_bits(name, row, at(got, ADE_F16, i * h), h * 2, "alone");
        same_bits(exact_name, row_exact, exact + i * h, h * 4, "alone");
        free(row), free(row_exact);
    }
    for (int place = 1; place < 3; place++) {
        void *same = layernorm_run(&p, 0, m, h, with_bias, eps, place, place == 1 ? &row_exact : NULL);
        same_bits(name, same, got, n * 2, place == 1 ? "written over x" : "written over residual");
        if (place == 1) same_bits(exact_name, row_exact, exact, n * 4, "written over x"), free(row_exact);
        free(same);
    }
    layernorm_free(&p), free(expected), free(allowed), free(got), free(exact);
}

static void test_layernorm(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++) {
        layernorm_case(widths[i], 1, 1, 0, 1e-12f, 1);
        layernorm_case(widths[i], 9, 1, 0, 1e-5f, i % 2);
        if (i % 3 == 0 || device_all) layernorm_case(widths[i], 19, 1e-3f, 0, 1e-12f, 1);
        if (i % 3 == 1 || device_all) layernorm_case(widths[i], 3, 1e3f, 0, 1e-12f, 0);
        if (i % 3 == 2 || device_all) layernorm_case(widths[i], 7, 100, 1e4f, 1e-12f, 0);
        if (device_all) layernorm_case(widths[i], 700, 1, 0, 1e-12f, 1);
    }
}

/* No variance: eps alone keeps the division defined, and the result is the bias. Where rounding noise may stand in for
 * the variance the result must stay bounded: |y| <= sqrt(H) |w| + |b|. */
static void test_layernorm_constant_rows(void **state) {
    (void)state;
    static const float values[] = {0, 0.5f, -1, 1, 0.1f, 1234.5f, 1e-6f, 6e4f};
    for (size_t k = 0; k < COUNT(widths); k++) {
        size_t         h = (size_t)widths[k], m = COUNT(values);
        layernorm_host p = layernorm_new(m * h, h, 1, 0);
        memset(p.residual, 0, m * h * 2);
        for (size_t i = 0; i < m * h; i++) put(p.x, ADE_F16, i, values[i / h]);
        uint16_t *got = layernorm_run(&p, 0, m, h, 0, 1e-12f, 0, NULL);
        for (size_t i = 0; i < m * h; i++) {
            float y = ade__f32_from_f16(got[i]), b = p.ln_b[i % h], most = sqrtf((float)h) * 1.5f + 0.5f;
            if (i / h < 4)
                CHECK(fabsf(y - b) <= 4e-3f, "LN of %d x %g is %g, not the bias %g", (int)h, (double)values[i / h],
                      (double)y, (double)b);
            else CHECK(fabsf(y) <= most, "LN of %d x %g is %g", (int)h, (double)values[i / h], (double)y);
        }
        layernorm_free(&p), free(got);
    }
}

/* ---- activation ------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};
static const char *const exact_kinds[] = {"gelu_erf, exact", "gelu_tanh, exact", "relu, exact", "silu, exact",
                                          "tanh, exact"};

static void *activation_run(const void *x, const float *bias, size_t m, size_t n, ade_act_kind kind, int32_t exact,
                            int in_place) {
    size_t              row = n * reference_size(exact ? ADE_F32 : ADE_F16);
    device_rows         in = device_input(x, m, row), out = device_output(m, row), b = device_input(bias, n, 4);
    void               *got = host_new(m * row), *y = in_place ? in.data : out.data;
    ade_activation_args args = {in.data, bias ? b.data : NULL, y, kind, (int32_t)m, (int32_t)n, exact};
    CHECK_OK(device_ops->activation(device_exec, &args));
    device_read(got, y, m * row);
    free(device_fetch(&out, 0, kinds[kind]));
    device_rows_free(&in), device_rows_free(&out), device_rows_free(&b);
    return got;
}

static void activation_check(const void *x, const float *bias, size_t m, size_t n, ade_act_kind kind, int32_t exact,
                             int relative) {
    ade_dtype           type = exact ? ADE_F32 : ADE_F16;
    size_t              count = m * n;
    double             *expected = host_new(count * sizeof *expected), *scale = host_new(count * sizeof *scale);
    ade_activation_args args = {x, bias, NULL, kind, (int32_t)m, (int32_t)n, exact};
    const char         *name = exact ? exact_kinds[kind] : kinds[kind];
    reference_activation(&args, ADE_F16, expected);
    for (size_t i = 0; i < count; i++) {
        double v = fabs(reference_load(x, type, i) + (bias ? (double)bias[i % n] : 0));
        scale[i] = v > 1 ? v : 1;
    }
    void *got = activation_run(x, bias, m, n, kind, exact, 0), *same = activation_run(x, bias, m, n, kind, exact, 1);
    compare(name, got, type, expected, count, exact ? 4e-7 : 6e-4, relative ? scale : NULL);
    same_bits(name, same, got, count * reference_size(type), "in place");
    if (m > 1) {
        void *row = activation_run(at(x, type, count - n), bias, 1, n, kind, exact, 0);
        same_bits(name, row, at(got, type, count - n), n * reference_size(type), "alone");
        free(row);
    }
    free(expected), free(scale), free(got), free(same);
}

static void test_activation(void **state) {
    (void)state;
    static const int32_t shapes[][2] = {{1, 1},   {1, 15},  {3, 16},   {2, 17},  {5, 37},
                                        {40, 24}, {7, 384}, {3, 1536}, {2, 3000}};
    for (int kind = 0; kind < 5; kind++)
        for (size_t k = 0; k < COUNT(shapes); k++)
            for (int32_t exact = 0; exact < 2; exact++) {
                size_t m = (size_t)shapes[k][0] * (device_all ? 11 : 1), n = (size_t)shapes[k][1];
                float *bias = random_array(n, ADE_F32, 1, 0);
                void  *x = random_array(m * n, exact ? ADE_F32 : ADE_F16, 1, 0);
                activation_check(x, bias, m, n, (ade_act_kind)kind, exact, 1);
                activation_check(x, NULL, m, n, (ade_act_kind)kind, exact, 0);
                free(x), free(bias);
            }
}

/* Every finite f16 number; in fp32 [-30, 30] densely and some points far outside: the error relative to max(1, |x|). */
static void test_activation_range(void **state) {
    (void)state;
    static const float far[] = {0, -0.0f, 1e-38f, -1e-38f, 1e-10f, -1e-10f, 1e-4f, 0.15f, -0.15f, 40, -40, 88, -88, 89,
                                -89, 100, -100, 1000, -1000, 1e4f, -1e4f, 1e6f, -1e6f};
    enum { GRID = 60001, HALVES = 2 * 0x7c00, N = 256, ROWS = (GRID + COUNT(far) + N - 1) / N };
    float    *x = host_new(ROWS * N * sizeof *x);
    uint16_t *halves = host_new(HALVES * sizeof *halves);
    for (size_t i = 0; i < GRID; i++) x[i] = (float)i * 1e-3f - 30.0f;
    memcpy(x + GRID, far, sizeof far);
    for (int i = 0; i < HALVES; i++) halves[i] = (uint16_t)(i / 2 + i % 2 * 0x8000);
    for (int kind = 0; kind < 5; kind++) {
        activation_check(halves, NULL, HALVES / N, N, (ade_act_kind)kind, 0, 1);
        activation_check(x, NULL, ROWS, N, (ade_act_kind)kind, 1, 1);
    }
    free(x), free(halves);
}

/* The two GELUs differ by up to 4.7e-4: each kernel must be near its own and not near the other. */
static void test_gelus_differ(void **state) {
    (void)state;
    float  widest = 0;
    double most = 0;
    for (int i = 0; i < 6000; i++) {
        float  x = (float)i * 1e-3f - 3.0f;
        double d = fabs(reference_act((double)x, ADE_FN_GELU_ERF) - reference_act((double)x, ADE_FN_GELU_TANH));
        if (d > most) most = d, widest = x;
    }
    CHECK(most > 4e-4, "the two reference GELUs differ by %g only", most);
    for (int32_t exact = 0; exact < 2; exact++)
        for (int kind = ADE_FN_GELU_ERF; kind <= ADE_FN_GELU_TANH; kind++) {
            ade_dtype type = exact ? ADE_F32 : ADE_F16;
            /* f16 is fine enough only near 0, on the negative side, where |gelu| < 2^-2. */
            float  x = -fabsf(widest);
            void  *stored = host_new(4), *y;
            put(stored, type, 0, x);
            y = activation_run(stored, NULL, 1, 1, (ade_act_kind)kind, exact, 0);
            double z = reference_load(stored, type, 0), value = reference_load(y, type, 0);
            double own = fabs(value - reference_act(z, (ade_act_kind)kind));
            double other = fabs(value - reference_act(z, (ade_act_kind)(1 - kind)));
            CHECK(own < (exact ? 1e-6 : 1e-4) && other > 3e-4,
                  "%s(%g) is off by %g from its own definition, by %g from the other's", kinds[kind], z, own, other);
            free(stored), free(y);
        }
}

/* ---- pool, probs ------------------------------------------------------------------------------------------------ */

static void test_pool(void **state) {
    (void)state;
    static const int32_t cu[] = {0, 1, 3, 20, 21, 40};
    enum { S = COUNT(cu) - 1, T = 40 };
    for (size_t k = 0; k < COUNT(widths); k++) {
        size_t        h = (size_t)widths[k];
        uint16_t     *x = random_array(T * h, ADE_F16, 1, 0);
        double       *expected = host_new(S * h * sizeof *expected);
        device_rows   in = device_input(x, T, h * 2), d_cu = device_input(cu, COUNT(cu), 4);
        device_rows   out = device_output(S, h * 2);
        ade_pool_args host = {x, NULL, cu, NULL, NULL, S, widths[k]};
        reference_pool(&host, ADE_F16, expected);
        CHECK_OK(device_ops->pool(device_exec,
                                  &(ade_pool_args){in.data, NULL, d_cu.data, out.data, NULL, S, widths[k]}));
        void *got = device_fetch(&out, 0, "pool");
        compare("pool", got, ADE_F16, expected, S * h, 1e-300, NULL);
        device_rows_free(&in), device_rows_free(&d_cu), device_rows_free(&out);
        free(x), free(expected), free(got);
    }
}

static void probs_run(const float *x, const float *weight, const float *bias, size_t s, size_t h, size_t c,
                      int32_t problem, float **logits, float **probabilities) {
    device_rows d_x = device_input(x, s, h * 4), w = device_input(weight, c, h * 4), b = device_input(bias, c, 4);
    device_rows l = device_output(s, c * 4), p = device_output(s, c * 4);
    CHECK_OK(device_ops->probs(device_exec, &(ade_probs_args){d_x.data, w.data, b.data, l.data, p.data, (int32_t)s,
                                                              (int32_t)h, (int32_t)c, problem}));
    *logits = device_fetch(&l, 0, "probs: logits");
    *probabilities = device_fetch(&p, 0, "probs: probabilities");
    device_rows *rows[] = {&d_x, &w, &b, &l, &p};
    for (size_t i = 0; i < COUNT(rows); i++) device_rows_free(rows[i]);
}

static void probs_case(size_t s, size_t h, size_t c, int32_t problem, float bias_scale) {
    size_t         n = s * c;
    float         *x = random_array(s * h, ADE_F32, 1, 0), *weight = random_array(c * h, ADE_F32, 1, 0);
    float         *bias = random_array(c, ADE_F32, bias_scale, 0), *none = host_new(c * sizeof *none), zero = 0;
    double        *expected = host_new(n * sizeof *expected), *unused = host_new(n * sizeof *unused);
    float         *logits, *probabilities, *l1, *p1;
    ade_probs_args args = {x, weight, bias, NULL, NULL, (int32_t)s, (int32_t)h, (int32_t)c, problem};
    reference_probs(&args, expected, unused);
    probs_run(x, weight, bias, s, h, c, problem, &logits, &probabilities);
    compare("probs: logits", logits, ADE_F32, expected, n,
            bias_scale > 1 ? 1.2e-7 * (double)bias_scale : 2e-6 * sqrt((double)h), NULL);
    for (size_t i = 0; i < s; i++) { /* the probabilities of the logits that it found itself */
        ade_probs_args own = {&zero, none, logits + i * c, NULL, NULL, 1, 1, (int32_t)c, problem};
        reference_probs(&own, unused, expected + i * c);
    }
    if (problem == ADE_PROBLEM_REGRESSION) same_bits("probs", logits, probabilities, n * 4, "in a regression");
    else compare("probs: probabilities", probabilities, ADE_F32, expected, n, 1e-6, NULL);
    probs_run(x + (s - 1) * h, weight, bias, 1, h, c, problem, &l1, &p1);
    same_bits("probs", l1, logits + n - c, c * 4, "alone");
    same_bits("probs", p1, probabilities + n - c, c * 4, "alone");
    free(x), free(weight), free(bias), free(none), free(expected), free(unused);
    free(logits), free(probabilities), free(l1), free(p1);
}

static void test_probs(void **state) {
    (void)state;
    static const size_t classes[] = {1, 2, 3, 17, 33, 60};
    for (size_t k = 0; k < COUNT(widths); k++)
        for (size_t c = 0; c < COUNT(classes); c++)
            for (int32_t problem = 0; problem < 3; problem++) {
                if (!device_all && (k + c + (size_t)problem) % 4 != 0) continue;
                probs_case(5, (size_t)widths[k], classes[c], problem, 1);
                probs_case(1, (size_t)widths[k], classes[c], problem, 1e4f); /* neither softmax nor sigmoid overflows */
            }
    probs_case(70, 384, 2, ADE_PROBLEM_SINGLE_LABEL, 1);
}

/* ---- The program ------------------------------------------------------------------------------------------------ */

/* Each test has an exec of its own, so that a failure in one leaves the next alone. */
static int open_exec(void **state) {
    static const ade_exec_options options = {DEVICE_MAX_TOKENS, DEVICE_MAX_LEN, DEVICE_MAX_HEAD, DEVICE_SLOTS};
    (void)state;
    random_restart();
    device_exec = NULL;
    CHECK_OK(device_ops->exec_create(device_backend, &options, &device_exec));
    return 0;
}

static int close_exec(void **state) {
    (void)state;
    device_ops->exec_destroy(device_exec);
    return 0;
}

int main(int argc, char **argv) {
    const char *path = getenv("ADESIEVE_CUDA_PLUGIN");
    char        pattern[96];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--plugin") == 0 && i + 1 < argc) path = argv[++i];
        else if (strcmp(argv[i], "--all") == 0) device_all = 1;
        else if (strcmp(argv[i], "--quick") == 0 || strcmp(argv[i], "--filter") == 0) continue;
        else {
            snprintf(pattern, sizeof pattern, "*%s*", argv[i]);
            cmocka_set_test_filter(pattern);
        }
    }
    /* The emulator would hide device memory from the host between calls, at two system calls per buffer and call. No
     * test here looks at it directly, and test_cuda_backend runs with it hidden. */
    setenv("EMU_PROTECT", "0", 0);
    int status = device_open(path && *path ? path : NULL);
    if (status) return status;
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_exec, close_exec)
    const struct CMUnitTest tests[] = {
        TEST(test_embed),
        TEST(test_linear_small),
        TEST(test_linear_models),
        TEST(test_linear_interleaved),
        TEST(test_linear_invariance),
        TEST(test_attention),
        TEST(test_attention_strides),
        TEST(test_attention_mixed),
        TEST(test_attention_long),
        TEST(test_attention_sharp),
        TEST(test_attention_extreme),
        TEST(test_layernorm),
        TEST(test_layernorm_constant_rows),
        TEST(test_activation),
        TEST(test_activation_range),
        TEST(test_gelus_differ),
        TEST(test_pool),
        TEST(test_probs),
        TEST(test_nothing_to_do),
        TEST(test_table),
        TEST(test_memory),
        TEST(test_refusals),
        TEST(test_slots),
        TEST(test_order),
        TEST(test_execs),
    };
    status = cmocka_run_group_tests_name("ops on a device", tests, NULL, NULL);
    device_close();
    print_records();
    return status;
}
