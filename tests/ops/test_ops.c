/* SPDX-License-Identifier: Apache-2.0
 * Every op of ops.h on every CPU kernel level and backend against reference.c: largest error within the tolerance that
 * ops.h states, normalized mean square error, nothing left unwritten (outputs start as NaN), nothing written beyond
 * (canaries), extremes, and the same bits in any company.
 *
 * "Unit scale" is read as uniform in [-1, 1]. To add an op: a reference_x, a subject_x, and a test_x here.
 * ADE_TEST_WRONG=1 falsifies one expectation; the suite must then fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"
#include "fp16.h"
#include "reference.h"
#include "subjects.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FOR_SUBJECTS(s) for (const subject *s = subjects; s < subjects + n_subjects; s++)

/* ---- Memory: inputs end where they end (for a sanitizer), outputs start as NaN between canaries ------------------- */

static void *exact(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes ? bytes : 1)) abort();
    return memory;
}

enum { CANARY = 256 };

typedef struct output {
    unsigned char *base;
    void          *data;
    size_t         bytes, pad; /* pad: bytes behind the data that may be written, too */
} output;

static output output_new(size_t bytes, size_t pad) {
    output o = {exact(CANARY + bytes + pad + CANARY), NULL, bytes, pad};
    o.data = o.base + CANARY;
    memset(o.base, 0xA5, CANARY + bytes + pad + CANARY);
    memset(o.data, 0xFF, bytes); /* NaN in each type */
    return o;
}

static void output_check(const output *o, const char *who, const char *what) {
    for (size_t i = 0; i < CANARY; i++) {
        CHECK(o->base[i] == 0xA5, "%s %s wrote %zu bytes before its output", who, what, CANARY - i);
        CHECK(o->base[CANARY + o->bytes + o->pad + i] == 0xA5, "%s %s wrote %zu bytes behind its output", who, what, i);
    }
}

static void output_free(output *o) { free(o->base); }

/* ---- Random numbers and comparisons ------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint32_t random_u32(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static float unit(void) { return (float)random_u32() * 0x1p-31f - 1.0f; }

static float *random_floats(size_t n, float scale, float shift) {
    float *x = exact(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = unit() * scale + shift;
    return x;
}

static uint16_t to_half(float value, ade_dtype type) {
    return type == ADE_BF16 ? ade__bf16_from_f32(value) : ade__f16_from_f32(value);
}

/* The same numbers in another type. */
static void *stored_as(const float *x, size_t n, ade_dtype type) {
    void *out = exact(n * reference_size(type));
    for (size_t i = 0; i < n; i++) {
        if (type == ADE_F32) ((float *)out)[i] = x[i];
        else ((uint16_t *)out)[i] = to_half(x[i], type);
    }
    return out;
}

/* The largest error seen per op and type, as a part of what is allowed; printed at the end. */
typedef struct record {
    const char *op;
    ade_dtype   type;
    double      worst, nmse;
    char        who[32];
    size_t      cases;
} record;
static record records[32];
static int    n_records;

static record *record_of(const char *op, ade_dtype type) {
    for (int i = 0; i < n_records; i++)
        if (strcmp(records[i].op, op) == 0 && records[i].type == type) return &records[i];
    record *r = &records[n_records++];
    if (n_records > (int)COUNT(records)) abort();
    r->op = op;
    r->type = type;
    return r;
}

/* tolerance: absolute, times scale[i] where scale is given. The mean square error is looked at where it is a mean. */
static void compare(const subject *s, const char *op, const void *got, ade_dtype type, const double *expected, size_t n,
                    double tolerance, const double *scale) {
    record *r = record_of(op, s->act);
    double  squares = 0, error_squares = 0;
    for (size_t i = 0; i < n; i++) {
        double value = reference_load(got, type, i), error = fabs(value - expected[i]);
        double allowed = tolerance * (scale ? scale[i] : 1);
        CHECK(isfinite(value), "%s %s: element %zu of %zu is %g, expected %.9g", s->name, op, i, n, value, expected[i]);
        CHECK(error <= allowed, "%s %s: element %zu of %zu is %.9g, expected %.9g: error %.3g, allowed %.3g", s->name,
              op, i, n, value, expected[i], error, allowed);
        if (error / allowed > r->worst) {
            r->worst = error / allowed;
            memcpy(r->who, s->name, sizeof r->who);
        }
        squares += expected[i] * expected[i];
        error_squares += error * error;
    }
    double nmse = squares > 0 ? error_squares / squares : error_squares, most = s->act == ADE_F32 ? 1e-12 : 3e-5;
    CHECK(nmse <= most || scale || n < 256, "%s %s: NMSE %.3g, allowed %.3g", s->name, op, nmse, most);
    if (nmse > r->nmse && !scale && n >= 256) r->nmse = nmse;
    r->cases++;
}

/* act = the type's rounding of res, bit for bit: both come from the same fp32 value. */
static void check_act_copy(const subject *s, const char *op, const float *res, const void *act, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t want = to_half(res[i], s->act), got = ((const uint16_t *)act)[i];
        CHECK(want == got, "%s %s: the rounded copy of element %zu (%.9g) is %04x, not %04x", s->name, op, i,
              (double)res[i], got, want);
    }
}

static void same_bits(const subject *s, const char *op, const void *a, const void *b, size_t bytes, const char *what) {
    if (memcmp(a, b, bytes) == 0) return;
    size_t at = 0;
    while (((const char *)a)[at] == ((const char *)b)[at]) at++;
    fail_msg("%s %s: other bits %s, first in byte %zu of %zu", s->name, op, what, at, bytes);
}

/* ---- embed -------------------------------------------------------------------------------------------------------- */

static const int32_t widths[] = {8, 15, 16, 17, 32, 37, 128, 129, 384, 768};

static void embed_case(int32_t h, int32_t t_n, ade_dtype table_type, int with_types) {
    enum { V = 50, P = 20, Y = 2 };
    size_t   t = (size_t)t_n, n = t * (size_t)h;
    float   *tables = random_floats((size_t)(V + P + Y) * (size_t)h, 1, 0);
    void    *word = stored_as(tables, (size_t)V * (size_t)h, table_type);
    void    *position = stored_as(tables + (size_t)V * (size_t)h, (size_t)P * (size_t)h, table_type);
    void    *type = stored_as(tables + (size_t)(V + P) * (size_t)h, (size_t)Y * (size_t)h, table_type);
    float   *ln_w = random_floats((size_t)h, 0.5f, 1), *ln_b = random_floats((size_t)h, 0.5f, 0);
    int32_t *ids = exact(t * 4), *types = exact(t * 4), *positions = exact(t * 4);
    double  *expected = exact(n * sizeof *expected);
    for (size_t i = 0; i < t; i++) {
        ids[i] = i == 0 ? V - 1 : i == 1 ? 0 : (int32_t)(random_u32() % V);
        positions[i] = i == 0 ? P - 1 : (int32_t)(random_u32() % P);
        types[i] = (int32_t)(i % Y);
    }
    ade_embed_args args = {ids, with_types ? types : NULL, positions, word, position, type, table_type, ln_w, ln_b,
                           1e-12f, NULL, NULL, t_n, h};
    reference_embed(&args, expected);
    FOR_SUBJECTS(s) {
        output x = output_new(n * 4, 0), x_act = output_new(n * 2, 0);
        args.x = x.data;
        args.x_act = s->act == s->res ? NULL : x_act.data;
        CHECK_OK(subject_embed(s, &args));
        compare(s, "embed", x.data, s->res, expected, n, 4e-6, NULL);
        if (args.x_act) check_act_copy(s, "embed", x.data, x_act.data, n);
        output_check(&x, s->name, "embed");
        output_check(&x_act, s->name, "embed");
        ade_embed_args one = args; /* the last token alone */
        output         alone = output_new((size_t)h * 4, 0), alone_act = output_new((size_t)h * 2, 0);
        one.ids += t - 1, one.positions += t - 1, one.t = 1;
        if (one.types) one.types += t - 1;
        one.x = alone.data;
        one.x_act = args.x_act ? alone_act.data : NULL;
        CHECK_OK(subject_embed(s, &one));
        same_bits(s, "embed", alone.data, (const float *)x.data + n - (size_t)h, (size_t)h * 4, "alone");
        output_free(&x), output_free(&x_act), output_free(&alone), output_free(&alone_act);
    }
    free(tables), free(word), free(position), free(type), free(ln_w), free(ln_b), free(ids), free(types);
    free(positions), free(expected);
}

static void test_embed(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++)
        for (int type = ADE_F32; type <= ADE_F16; type++) embed_case(widths[i], 1 + (int)i * 5, (ade_dtype)type, i % 2);
}

/* ---- linear ------------------------------------------------------------------------------------------------------- */

typedef struct matrix {
    ade_linear_desc desc;
    float          *weight, *bias;
    ade_linear     *linear;
} matrix;

static matrix matrix_new(const subject *s, int32_t n, int32_t k, int with_bias, int32_t exact_fp32) {
    matrix m = {.weight = random_floats((size_t)n * (size_t)k, 1, 0), .bias = random_floats((size_t)n, 1, 0)};
    m.desc = (ade_linear_desc){m.weight, with_bias ? m.bias : NULL, n, k, exact_fp32, 0};
    CHECK_OK(s->ops->linear_create(s->backend, &m.desc, &m.linear));
    CHECK_OK(s->ops->exec_prepare(s->exec, m.linear, 512));
    return m;
}

static void matrix_free(const subject *s, matrix *m) {
    s->ops->linear_destroy(m->linear);
    free(m->weight);
    free(m->bias);
}

/* Inputs with NaN in the rows behind, which may be multiplied but must not matter. */
static void *linear_input(int32_t rows, int32_t k, ade_dtype type) {
    size_t n = (size_t)rows * (size_t)k, pad = (size_t)ADE_ROW_PAD * (size_t)k, size = reference_size(type);
    float *x = random_floats(n, 1, 0);
    void  *stored = stored_as(x, n, type), *padded = exact((n + pad) * size);
    memset(padded, 0xFF, (n + pad) * size);
    memcpy(padded, stored, n * size);
    free(x);
    free(stored);
    return padded;
}

static void linear_case(const subject *s, int32_t m, int32_t n, int32_t k, int with_bias, int32_t exact_fp32) {
    ade_dtype type = exact_fp32 ? ADE_F32 : s->act;
    matrix    w = matrix_new(s, n, k, with_bias, exact_fp32);
    void     *x = linear_input(m, k, type);
    size_t    count = (size_t)m * (size_t)n;
    double   *expected = exact(count * sizeof *expected);
    output    y = output_new(count * 4, (size_t)ADE_ROW_PAD * (size_t)n * 4);
    double    tolerance = (type == ADE_F32 ? 3e-6 : 4e-3) * sqrt((double)k);
    subject   as_type = *s;
    reference_linear(&w.desc, x, type, m, expected);
    CHECK_OK(subject_linear(s, &w.desc, w.linear, x, y.data, m));
    as_type.act = type;
    compare(&as_type, exact_fp32 ? "linear, exact" : "linear", y.data, ADE_F32, expected, count, tolerance, NULL);
    output_check(&y, s->name, "linear");
    output_free(&y);
    free(expected);
    free(x);
    matrix_free(s, &w);
}

static void test_linear(void **state) {
    (void)state;
    static const int32_t rows[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 145, 300};
    static const int32_t sizes[][2] = {{8, 8}, {1, 8}, {37, 24}, {24, 37}, {32, 32}, {33, 31}, {384, 384}, {2, 128}};
    FOR_SUBJECTS(s) {
        if (!s->ops) continue;
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (size_t r = 0; r < COUNT(rows); r++) {
                if (sizes[i][1] > 128 && rows[r] > 65) continue;
                linear_case(s, rows[r], sizes[i][0], sizes[i][1], (r + i) % 4 != 3, r % 3 == 2);
            }
        linear_case(s, 17, 1152, 384, 1, 0);
        linear_case(s, 17, 1536, 384, 1, 0);
        linear_case(s, 17, 384, 1536, 1, 0);
        linear_case(s, 3, 2304, 768, 1, 0);
        linear_case(s, 3, 768, 3072, 1, 0);
    }
}

/* One matrix after another on one exec, then the first again: plans share scratch memory. */
static void test_linear_interleaved(void **state) {
    (void)state;
    FOR_SUBJECTS(s) {
        if (!s->ops) continue;
        matrix a = matrix_new(s, 64, 32, 1, 0), b = matrix_new(s, 768, 768, 1, 0), c = matrix_new(s, 64, 32, 1, 0);
        void  *x = linear_input(20, 768, s->act);
        output y1 = output_new(20 * 64 * 4, ADE_ROW_PAD * 64 * 4), y2 = output_new(20 * 64 * 4, ADE_ROW_PAD * 64 * 4);
        output z = output_new(20 * 768 * 4, ADE_ROW_PAD * 768 * 4);
        CHECK_OK(subject_linear(s, &a.desc, a.linear, x, y1.data, 20));
        CHECK_OK(subject_linear(s, &b.desc, b.linear, x, z.data, 20));
        CHECK_OK(subject_linear(s, &c.desc, c.linear, x, y2.data, 20));
        CHECK(memcmp(y1.data, y2.data, 20 * 64 * 4) != 0, "two matrices gave one result");
        CHECK_OK(subject_linear(s, &a.desc, a.linear, x, y2.data, 20));
        same_bits(s, "linear", y1.data, y2.data, 20 * 64 * 4, "the second time");
        output_free(&y1), output_free(&y2), output_free(&z);
        free(x);
        matrix_free(s, &a), matrix_free(s, &b), matrix_free(s, &c);
    }
}

static void linear_invariance(const subject *s, int32_t n, int32_t k, int32_t exact_fp32, int32_t step) {
    enum { ROWS = 300 };
    ade_dtype type = exact_fp32 ? ADE_F32 : s->act;
    matrix    w = matrix_new(s, n, k, 1, exact_fp32);
    char     *x = linear_input(ROWS, k, type), *moved = exact((size_t)(ROWS + ADE_ROW_PAD) * (size_t)k * 4);
    size_t    x_row = (size_t)k * reference_size(type), y_row = (size_t)n * 4;
    output    whole = output_new(ROWS * y_row, ADE_ROW_PAD * y_row), part = output_new(ROWS * y_row, ADE_ROW_PAD * y_row);
    char      what[64];
    CHECK_OK(subject_linear(s, &w.desc, w.linear, x, whole.data, ROWS));
    for (int32_t m = 1; m < ROWS; m += step) {
        CHECK_OK(subject_linear(s, &w.desc, w.linear, x, part.data, m));
        snprintf(what, sizeof what, "in %d rows (n %d, k %d)", m, n, k);
        same_bits(s, "linear", whole.data, part.data, (size_t)m * y_row, what);
    }
    for (int32_t shift = 1; shift < ROWS; shift += 13) { /* rows at other places, other neighbours */
        memcpy(moved, x + (size_t)shift * x_row, (size_t)(ROWS - shift + ADE_ROW_PAD) * x_row);
        CHECK_OK(subject_linear(s, &w.desc, w.linear, moved, part.data, ROWS - shift));
        snprintf(what, sizeof what, "%d rows further up (n %d, k %d)", shift, n, k);
        same_bits(s, "linear", (char *)whole.data + (size_t)shift * y_row, part.data, (size_t)(ROWS - shift) * y_row,
                  what);
    }
    output_free(&whole), output_free(&part);
    free(x), free(moved);
    matrix_free(s, &w);
}

static void test_linear_invariance(void **state) {
    (void)state;
    FOR_SUBJECTS(s) {
        if (!s->ops) continue;
        linear_invariance(s, 8, 8, 0, 1);
        linear_invariance(s, 37, 33, 0, 1);
        linear_invariance(s, 384, 384, 0, 1);
        linear_invariance(s, 384, 384, 1, 7);
        linear_invariance(s, 1152, 384, 0, 11);
        linear_invariance(s, 768, 384, 0, 17);
        linear_invariance(s, 1536, 384, 0, 19);
        linear_invariance(s, 384, 1536, 0, 11);
        linear_invariance(s, 768, 768, 0, 37);
    }
}

/* ---- attention ---------------------------------------------------------------------------------------------------- */

typedef struct attention_problem {
    ade_attention_args args;
    float             *qkv, *q_first;
    int32_t           *cu;
    size_t             out_n;
} attention_problem;

/* q, k, v side by side in rows of `extra` more floats than they need. */
static attention_problem attention_new(const int32_t *lengths, int32_t s, int32_t a, int32_t d, int first_only,
                                       int32_t extra, float scale_of_scores) {
    attention_problem p;
    int32_t           h = a * d, stride = 3 * h + extra;
    p.cu = exact((size_t)(s + 1) * sizeof *p.cu);
    p.cu[0] = 0;
    int32_t longest = 0, shortest = lengths[0];
    for (int32_t i = 0; i < s; i++) {
        p.cu[i + 1] = p.cu[i] + lengths[i];
        longest = lengths[i] > longest ? lengths[i] : longest;
        shortest = lengths[i] < shortest ? lengths[i] : shortest;
    }
    int32_t t = p.cu[s];
    p.qkv = random_floats((size_t)t * (size_t)stride, 1, 0);
    p.q_first = random_floats((size_t)s * (size_t)(h + extra), 1, 0);
    for (size_t i = 0; i < (size_t)t * (size_t)stride; i++)
        if (i % (size_t)stride < (size_t)h) p.qkv[i] *= scale_of_scores;
    p.args = (ade_attention_args){.q = first_only ? p.q_first : p.qkv,
                                  .k = p.qkv + h,
                                  .v = p.qkv + 2 * h,
                                  .q_stride = first_only ? h + extra : stride,
                                  .kv_stride = stride,
                                  .cu_seqlens = p.cu,
                                  .t = t,
                                  .s = s,
                                  .a = a,
                                  .d = d,
                                  .min_len = shortest,
                                  .max_len = longest,
                                  .first_only = first_only,
                                  .scale = 1.0f / sqrtf((float)d)};
    p.out_n = (size_t)(first_only ? s : t) * (size_t)h;
    return p;
}

static void attention_free(attention_problem *p) { free(p->qkv), free(p->q_first), free(p->cu); }

static void attention_case(const int32_t *lengths, int32_t s_n, int32_t a, int32_t d, int first_only, int32_t extra) {
    attention_problem p = attention_new(lengths, s_n, a, d, first_only, extra, 1);
    double           *expected = exact(p.out_n * sizeof *expected);
    reference_attention(&p.args, ADE_F32, expected);
    FOR_SUBJECTS(s) {
        size_t element = reference_size(s->act), h = (size_t)a * (size_t)d;
        output out = output_new(p.out_n * element, 0);
        p.args.out = out.data;
        CHECK_OK(subject_attention(s, &p.args));
        compare(s, "attention", out.data, s->act, expected, p.out_n, s->act == ADE_F32 ? 4e-6 : 6e-3, NULL);
        output_check(&out, s->name, "attention");
        for (int32_t i = 0; i < s_n; i++) { /* each sequence alone */
            const int32_t      cu[2] = {0, lengths[i]};
            ade_attention_args one = p.args;
            size_t             first = (size_t)p.cu[i], first_q = first_only ? (size_t)i : first;
            size_t             n = (first_only ? 1 : (size_t)lengths[i]) * h;
            output             alone = output_new(n * element, 0);
            one.q = (const float *)p.args.q + first_q * (size_t)p.args.q_stride;
            one.k = (const float *)p.args.k + first * (size_t)p.args.kv_stride;
            one.v = (const float *)p.args.v + first * (size_t)p.args.kv_stride;
            one.cu_seqlens = cu, one.t = lengths[i], one.s = 1, one.out = alone.data;
            one.min_len = one.max_len = lengths[i];
            CHECK_OK(subject_attention(s, &one));
            same_bits(s, "attention", alone.data, (char *)out.data + first_q * h * element, n * element, "alone");
            output_free(&alone);
        }
        if (!first_only) { /* the first token's row, asked for by itself */
            ade_attention_args first = p.args;
            float             *q = exact((size_t)s_n * h * sizeof *q);
            output             only = output_new((size_t)s_n * h * element, 0);
            for (int32_t i = 0; i < s_n; i++)
                memcpy(q + (size_t)i * h, p.qkv + (size_t)p.cu[i] * (size_t)p.args.q_stride, h * sizeof *q);
            first.q = q, first.q_stride = (int32_t)h, first.first_only = 1, first.out = only.data;
            CHECK_OK(subject_attention(s, &first));
            for (int32_t i = 0; i < s_n; i++)
                same_bits(s, "attention", (char *)only.data + (size_t)i * h * element,
                          (char *)out.data + (size_t)p.cu[i] * h * element, h * element, "with first_only");
            free(q);
            output_free(&only);
        }
        output_free(&out);
    }
    free(expected);
    attention_free(&p);
}

static void test_attention(void **state) {
    (void)state;
    static const int32_t lengths[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129};
    static const int32_t heads[][2] = {{2, 8}, {12, 32}, {1, 64}, {3, 24}, {2, 16}, {1, 48}, {1, 37}, {1, 128}};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            if (heads[k][0] > 3 && lengths[i] > 65) continue;
            attention_case(&lengths[i], 1, heads[k][0], heads[k][1], 0, (int32_t)(i % 3) * 5);
            attention_case(&lengths[i], 1, heads[k][0], heads[k][1], 1, (int32_t)(i % 3) * 5);
        }
    for (int32_t length = 1; length <= 70; length++) attention_case(&length, 1, 1, length % 2 ? 32 : 40, 0, 0);
}

/* Panels of whole heads, the last one not full, give the bits of rows side by side. */
static void test_attention_panels(void **state) {
    (void)state;
    static const int32_t lengths[] = {33, 1, 20};
    static const int32_t shapes[][3] = {{12, 32, 64}, {5, 24, 48}, {2, 64, 64}}; /* heads, their size, panel */
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int first_only = 0; first_only < 2; first_only++) {
            attention_problem p = attention_new(lengths, COUNT(lengths), shapes[i][0], shapes[i][1], first_only, 0, 1);
            int32_t           h = shapes[i][0] * shapes[i][1], panel = shapes[i][2], q_rows = first_only ? p.args.s : p.args.t;
            size_t            panels = (size_t)((h + panel - 1) / panel), q_each = (size_t)(q_rows * panel) + 16;
            size_t            kv_each = (size_t)(p.args.t * panel) + 32;
            float            *q = random_floats(q_each * panels, 1, 0), *kv = random_floats(2 * kv_each * panels, 1, 0);
            for (int32_t c = 0; c < h; c++) {
                size_t at = (size_t)(c / panel), in = (size_t)(c % panel);
                for (int32_t r = 0; r < q_rows; r++)
                    q[at * q_each + (size_t)(r * panel) + in] = ((const float *)p.args.q)[r * p.args.q_stride + c];
                for (int32_t r = 0; r < p.args.t; r++)
                    for (size_t of_v = 0; of_v < 2; of_v++)
                        kv[(of_v * panels + at) * kv_each + (size_t)(r * panel) + in] =
                            ((const float *)(of_v ? p.args.v : p.args.k))[r * p.args.kv_stride + c];
            }
            FOR_SUBJECTS(s) {
                size_t             bytes = p.out_n * reference_size(s->act);
                output             plain = output_new(bytes, 0), in_panels = output_new(bytes, 0);
                ade_attention_args args = p.args;
                args.out = plain.data;
                CHECK_OK(subject_attention(s, &args));
                args.out = in_panels.data;
                args.q = q, args.k = kv, args.v = kv + panels * kv_each;
                args.q_stride = args.kv_stride = args.q_panel = args.kv_panel = panel;
                args.q_panel_stride = q_each, args.kv_panel_stride = kv_each;
                CHECK_OK(subject_attention(s, &args));
                same_bits(s, "attention", in_panels.data, plain.data, bytes, "in panels");
                output_free(&plain), output_free(&in_panels);
            }
            free(q), free(kv);
            attention_free(&p);
        }
}

/* Shares: together they write every row and head, each only once, and the bits of a single share. */
static void test_attention_parts(void **state) {
    (void)state;
    static const int32_t lengths[] = {3, 40, 1, 17, 200, 5};
    for (int32_t texts = 1; texts <= (int32_t)COUNT(lengths); texts += (int32_t)COUNT(lengths) - 1)
        for (int first_only = 0; first_only < 2; first_only++) {
            attention_problem p = attention_new(lengths + (texts == 1), texts, 12, 16, first_only, 0, 1);
            FOR_SUBJECTS(s) {
                if (!s->kernels) continue;
                size_t element = reference_size(s->act), bytes = p.out_n * element;
                output whole = output_new(bytes, 0);
                p.args.out = whole.data;
                CHECK_OK(subject_attention(s, &p.args));
                for (int32_t parts = 2; parts <= 17; parts += parts < 4 ? 1 : 13) {
                    output together = output_new(bytes, 0);
                    size_t written = 0;
                    for (int32_t part = 0; part < parts; part++) {
                        output own = output_new(bytes, 0);
                        p.args.out = own.data;
                        CHECK_OK(subject_attention_part(s, &p.args, part, parts));
                        for (size_t i = 0; i < p.out_n; i++) {
                            if (isnan(reference_load(own.data, s->act, i))) continue;
                            memcpy((char *)together.data + i * element, (char *)own.data + i * element, element);
                            written++;
                        }
                        output_check(&own, s->name, "attention");
                        output_free(&own);
                    }
                    CHECK(written == p.out_n, "%s attention: %d shares wrote %zu outputs, not %zu", s->name, parts, written,
                          p.out_n);
                    same_bits(s, "attention", together.data, whole.data, bytes, "in shares");
                    output_free(&together);
                }
                output_free(&whole);
            }
            attention_free(&p);
        }
}

static void test_attention_mixed(void **state) {
    (void)state;
    static const int32_t mixed[] = {17, 1, 128, 2, 31, 33, 16, 1, 1, 64, 65, 3}, short_ones[] = {2, 2, 2, 2, 3, 1, 2};
    static const int32_t heads[][2] = {{2, 8}, {2, 32}, {1, 64}, {1, 24}};
    for (size_t k = 0; k < COUNT(heads); k++)
        for (int first_only = 0; first_only < 2; first_only++) {
            attention_case(mixed, COUNT(mixed), heads[k][0], heads[k][1], first_only, 0);
            attention_case(short_ones, COUNT(short_ones), heads[k][0], heads[k][1], first_only, 3);
        }
}

static void test_attention_long(void **state) {
    (void)state;
    static const int32_t l511[] = {511}, l512[] = {512}, both[] = {5, 512, 40, 511, 1};
    attention_case(l511, 1, 1, 32, 0, 0);
    attention_case(l512, 1, 1, 64, 0, 0);
    attention_case(both, 5, 2, 32, 1, 0);
}

/* Scores of +-1e4, made of numbers that fp32 (or coarse ones, that bf16) holds exactly, so that the tolerance is the
 * usual one. */
static void test_attention_extreme(void **state) {
    (void)state;
    static const int32_t lengths[] = {40, 1, 17};
    for (int i_case = 0; i_case < 6; i_case++) {
        int               sign = i_case % 3 - 1, coarse = i_case >= 3; /* sign 0: mixed */
        attention_problem p = attention_new(lengths, 3, 1, 64, 0, 0, 1);
        double           *expected = exact(p.out_n * sizeof *expected);
        for (size_t i = 0; i < (size_t)p.args.t; i++) {
            float *q = p.qkv + i * 192, *k = q + 64;
            memset(q, 0, 64 * sizeof *q);
            memset(k, 0, 64 * sizeof *k);
            q[i % 64] = i % 5 == 4 ? -1.0f : 1.0f;
            for (size_t c = 0; c < 64; c++)
                k[c] = (coarse ? 81920.0f : 80000.0f) * (float)(sign ? sign : random_u32() % 2 ? 1 : -1) +
                       (float)(random_u32() % 16) * (coarse ? 512.0f : 1.0f);
        }
        reference_attention(&p.args, ADE_F32, expected);
        FOR_SUBJECTS(s) {
            if (s->act != ADE_F32 && !coarse) continue;
            output out = output_new(p.out_n * reference_size(s->act), 0);
            p.args.out = out.data;
            CHECK_OK(subject_attention(s, &p.args));
            compare(s, "attention, scores 1e4", out.data, s->act, expected, p.out_n, s->act == ADE_F32 ? 4e-6 : 6e-3,
                    NULL);
            output_free(&out);
        }
        free(expected);
        attention_free(&p);
    }
}

/* ---- layernorm ---------------------------------------------------------------------------------------------------- */

static void layernorm_case(int32_t h, int32_t m, float scale, float shift, float eps, int with_bias, const char *name) {
    size_t  n = (size_t)m * (size_t)h;
    float  *x = random_floats(n, scale, shift), *residual = random_floats(n, scale, 0);
    float  *ln_w = random_floats((size_t)h, 0.5f, 1), *ln_b = random_floats((size_t)h, 0.5f, 0);
    float  *bias = random_floats((size_t)h, scale, 0);
    double *expected = exact(n * sizeof *expected), *allowed = exact(n * sizeof *allowed);
    if (shift != 0) /* x alone, so that the sum is exact and only LN is looked at */
        for (size_t i = 0; i < n; i++) residual[i] = 0;
    ade_layernorm_args args = {x, with_bias ? bias : NULL, residual, ln_w, ln_b, eps, NULL, NULL, NULL, m, h};
    reference_layernorm(&args, ADE_F32, expected);
    /* Far from the mean 0 an fp32 mean is off by |mean| 2^-24 or so, and that is divided by the standard deviation. */
    double scaled = 1 + fabs((double)shift) / (0.57 * (double)scale);
    for (size_t i = 0; i < n; i++) allowed[i] = scaled;
    if (check_wrong()) expected[n / 2] += 1e-2;
    FOR_SUBJECTS(s) {
        output out = output_new(n * 4, 0), out_act = output_new(n * 2, 0), row = output_new((size_t)h * 4, 0);
        args.out = out.data;
        args.out_act = s->act == s->res ? NULL : out_act.data;
        CHECK_OK(subject_layernorm(s, &args));
        compare(s, name, out.data, s->res, expected, n, 4e-6, shift != 0 ? allowed : NULL);
        if (args.out_act) check_act_copy(s, name, out.data, out_act.data, n);
        output_check(&out, s->name, name);
        output_check(&out_act, s->name, name);
        for (int32_t i = 0; i < m; i += 1 + m / 5) {
            size_t             at = (size_t)i * (size_t)h;
            ade_layernorm_args one = args;
            one.x = x + at, one.residual = residual + at, one.out = row.data, one.m = 1;
            CHECK_OK(subject_layernorm(s, &one));
            same_bits(s, name, row.data, (float *)out.data + at, (size_t)h * 4, "alone");
        }
        for (int in_place = 0; in_place < 2; in_place++) { /* out may be x or residual */
            float             *copy = exact(n * 4);
            ade_layernorm_args same = args;
            memcpy(copy, in_place ? x : residual, n * 4);
            same.out = copy;
            if (in_place) same.x = copy;
            else same.residual = copy;
            CHECK_OK(subject_layernorm(s, &same));
            same_bits(s, name, copy, out.data, n * 4, in_place ? "written over x" : "written over residual");
            free(copy);
        }
        output_free(&out), output_free(&out_act), output_free(&row);
    }
    free(x), free(residual), free(ln_w), free(ln_b), free(bias), free(expected), free(allowed);
}

static void test_layernorm(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++) {
        layernorm_case(widths[i], 1, 1, 0, 1e-12f, 0, "layernorm");
        layernorm_case(widths[i], 19, 1, 0, 1e-5f, 1, "layernorm");
        layernorm_case(widths[i], 33, 1e-3f, 0, 1e-12f, 0, "layernorm");
        layernorm_case(widths[i], 3, 1e3f, 0, 1e-12f, 1, "layernorm");
        layernorm_case(widths[i], 7, 0.01f, 1e4f, 1e-12f, 0, "layernorm, mean 1e4");
        layernorm_case(widths[i], 7, 1.0f, -1e4f, 1e-12f, 0, "layernorm, mean 1e4");
    }
}

/* No variance: eps alone keeps the division defined. Where the sum is exact (powers of two) the result is the bias;
 * else rounding noise stands in for the variance, and the result must stay bounded: |y| <= sqrt(H) |w| + |b|. */
static void test_layernorm_constant_rows(void **state) {
    (void)state;
    static const float values[] = {0, 0.5f, -4, 0.1f, 1234.5f, 1e-20f, 1e10f};
    for (size_t k = 0; k < COUNT(widths); k++)
        for (size_t v = 0; v < COUNT(values); v++) {
            int32_t h = widths[k];
            size_t  n = (size_t)h;
            float  *x = exact(n * 4), *residual = exact(n * 4);
            float  *ln_w = random_floats(n, 0.5f, 1), *ln_b = random_floats(n, 0.5f, 0);
            for (size_t i = 0; i < n; i++) x[i] = values[v], residual[i] = 0;
            FOR_SUBJECTS(s) {
                output             out = output_new(n * 4, 0), out_act = output_new(n * 2, 0);
                ade_layernorm_args args = {x, NULL, residual, ln_w, ln_b, 1e-12f, out.data,
                                           s->act == s->res ? NULL : out_act.data, NULL, 1, h};
                CHECK_OK(subject_layernorm(s, &args));
                for (size_t i = 0; i < n; i++) {
                    float y = ((float *)out.data)[i];
                    if (v < 3)
                        CHECK(y == ln_b[i], "%s: LN of %d x %g is %g, not the bias %g", s->name, (int)h,
                              (double)values[v], (double)y, (double)ln_b[i]);
                    else
                        CHECK(fabsf(y) <= sqrtf((float)h) * 1.5f + 0.5f, "%s: LN of %d x %g is %g", s->name, (int)h,
                              (double)values[v], (double)y);
                }
                output_free(&out), output_free(&out_act);
            }
            free(x), free(residual), free(ln_w), free(ln_b);
        }
}

/* ---- activation --------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};

static void activation_run(const subject *s, const float *x, const float *bias, int32_t m, int32_t n, ade_act_kind kind,
                           int32_t exact_fp32, const double *expected, const double *scale) {
    ade_dtype           type = exact_fp32 ? ADE_F32 : s->act;
    size_t              count = (size_t)m * (size_t)n;
    output              y = output_new(count * reference_size(type), 0);
    ade_activation_args args = {x, bias, y.data, kind, m, n, exact_fp32};
    subject             as_type = *s;
    as_type.act = type;
    CHECK_OK(subject_activation(s, &args));
    compare(&as_type, kinds[kind], y.data, type, expected, count, type == ADE_F32 ? 4e-7 : 4e-3, scale);
    output_check(&y, s->name, kinds[kind]);
    if (type == s->res) { /* y may be x */
        float *copy = exact(count * 4);
        memcpy(copy, x, count * 4);
        args.x = args.y = copy;
        CHECK_OK(subject_activation(s, &args));
        same_bits(s, kinds[kind], copy, y.data, count * 4, "in place");
        free(copy);
    }
    /* The last row alone, where it starts at another place in the vectors. */
    output last = output_new((size_t)n * reference_size(type), 0);
    args = (ade_activation_args){x + count - (size_t)n, bias, last.data, kind, 1, n, exact_fp32};
    CHECK_OK(subject_activation(s, &args));
    same_bits(s, kinds[kind], last.data, (char *)y.data + (count - (size_t)n) * reference_size(type),
              (size_t)n * reference_size(type), "alone");
    output_free(&last);
    output_free(&y);
}

static void test_activation(void **state) {
    (void)state;
    static const int32_t shapes[][2] = {{1, 1}, {1, 15}, {3, 16}, {2, 17}, {5, 37}, {7, 1536}};
    for (int kind = 0; kind < 5; kind++)
        for (size_t k = 0; k < COUNT(shapes); k++) {
            int32_t             m = shapes[k][0], n = shapes[k][1];
            size_t              count = (size_t)m * (size_t)n;
            float              *x = random_floats(count, 1, 0), *bias = random_floats((size_t)n, 1, 0);
            double             *expected = exact(count * sizeof *expected);
            for (int with_bias = 0; with_bias < 2; with_bias++) {
                ade_activation_args args = {x, with_bias ? bias : NULL, NULL, (ade_act_kind)kind, m, n, 0};
                reference_activation(&args, ADE_F32, expected);
                FOR_SUBJECTS(s)
                    for (int32_t e = 0; e < 2; e++)
                        activation_run(s, x, args.bias, m, n, args.kind, e, expected, NULL);
            }
            free(x), free(bias), free(expected);
        }
}

/* [-30, 30] densely and some points far outside: the error relative to max(1, |x|), as the contract has it. */
static void test_activation_range(void **state) {
    (void)state;
    static const float far[] = {0, -0.0f, 1e-38f, -1e-38f, 1e-10f, -1e-10f, 1e-4f, 0.15f, -0.15f, 40, -40, 88, -88, 89,
                                -89, 100, -100, 1000, -1000, 1e4f, -1e4f, 1e6f, -1e6f};
    enum { GRID = 60001 };
    size_t  n = GRID + COUNT(far);
    float  *x = exact(n * sizeof *x);
    double *expected = exact(n * sizeof *expected), *scale = exact(n * sizeof *scale);
    for (size_t i = 0; i < GRID; i++) x[i] = (float)i * 1e-3f - 30.0f;
    memcpy(x + GRID, far, sizeof far);
    for (int kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < n; i++) {
            expected[i] = reference_act((double)x[i], (ade_act_kind)kind);
            scale[i] = fabsf(x[i]) > 1 ? fabs((double)x[i]) : 1;
        }
        FOR_SUBJECTS(s)
            for (int32_t e = 0; e < 2; e++)
                activation_run(s, x, NULL, 1, (int32_t)n, (ade_act_kind)kind, e, expected, scale);
    }
    free(x), free(expected), free(scale);
}

/* The two GELUs differ by up to 4.7e-4: each kernel must be near its own and not near the other. */
static void test_gelus_differ(void **state) {
    (void)state;
    float  at = 0;
    double most = 0;
    for (int i = 0; i < 6000; i++) {
        float  x = (float)i * 1e-3f - 3.0f;
        double d = fabs(reference_act((double)x, ADE_FN_GELU_ERF) - reference_act((double)x, ADE_FN_GELU_TANH));
        if (d > most) most = d, at = x;
    }
    CHECK(most > 4e-4, "the two reference GELUs differ by %g only", most);
    FOR_SUBJECTS(s)
        for (int kind = ADE_FN_GELU_ERF; kind <= ADE_FN_GELU_TANH; kind++) {
            float               y;
            ade_activation_args args = {&at, NULL, &y, (ade_act_kind)kind, 1, 1, 1};
            CHECK_OK(subject_activation(s, &args));
            double own = fabs((double)y - reference_act((double)at, (ade_act_kind)kind));
            double other = fabs((double)y - reference_act((double)at, (ade_act_kind)(1 - kind)));
            CHECK(own < 1e-6 && other > 3e-4, "%s %s(%g) is off by %g from its own definition, by %g from the other's",
                  s->name, kinds[kind], (double)at, own, other);
        }
}

/* ---- pool --------------------------------------------------------------------------------------------------------- */

static void test_pool(void **state) {
    (void)state;
    static const int32_t cu[] = {0, 1, 3, 20, 21, 40};
    enum { S = COUNT(cu) - 1, T = 40 };
    for (size_t k = 0; k < COUNT(widths); k++) {
        size_t  h = (size_t)widths[k];
        float  *x = random_floats(T * h, 1, 0);
        double *expected = exact(S * h * sizeof *expected);
        FOR_SUBJECTS(s) {
            void         *x_act = stored_as(x, T * h, s->act);
            output        out = output_new(S * h * 4, 0), out_act = output_new(S * h * reference_size(s->act), 0);
            int           two = s->act != s->res;
            ade_pool_args args = {x, two ? x_act : NULL, cu, out.data, two ? out_act.data : NULL, S, widths[k]};
            reference_pool(&args, ADE_F32, expected);
            CHECK_OK(subject_pool(s, &args));
            compare(s, "pool", out.data, s->res, expected, S * h, 1e-300, NULL);
            if (two) check_act_copy(s, "pool", out.data, out_act.data, S * h);
            output_check(&out, s->name, "pool");
            output_check(&out_act, s->name, "pool");
            output_free(&out), output_free(&out_act);
            free(x_act);
        }
        free(x), free(expected);
    }
}

/* ---- probs -------------------------------------------------------------------------------------------------------- */

static void probs_case(int32_t s_n, int32_t h, int32_t c, int32_t problem, float bias_scale) {
    size_t         n = (size_t)s_n * (size_t)c;
    float         *x = random_floats((size_t)s_n * (size_t)h, 1, 0), *weight = random_floats((size_t)c * (size_t)h, 1, 0);
    float         *bias = random_floats((size_t)c, bias_scale, 0);
    double        *logits = exact(n * sizeof *logits), *probabilities = exact(n * sizeof *probabilities);
    ade_probs_args args = {x, weight, bias, NULL, NULL, s_n, h, c, problem};
    reference_probs(&args, logits, probabilities);
    FOR_SUBJECTS(s) {
        output  l = output_new(n * 4, 0), p = output_new(n * 4, 0), l1 = output_new(n * 4, 0), p1 = output_new(n * 4, 0);
        subject fp32 = *s;
        double  tolerance = 2e-6 * sqrt((double)h), *from_own = exact(n * sizeof *from_own);
        fp32.act = ADE_F32;
        args.logits = l.data;
        args.probabilities = p.data;
        CHECK_OK(subject_probs(s, &args));
        compare(&fp32, "probs: logits", l.data, ADE_F32, logits, n, bias_scale > 1 ? 6e-8 * bias_scale * 2 : tolerance,
                NULL);
        for (int32_t i = 0; i < s_n; i++) { /* the probabilities of the logits that it found itself */
            const float         *own = (const float *)l.data + (size_t)i * (size_t)c;
            double              *e = from_own + (size_t)i * (size_t)c, dummy[64];
            const float          zero = 0;
            float               *w0 = exact((size_t)c * 4);
            for (int32_t k = 0; k < c; k++) w0[k] = 0;
            const ade_probs_args fixed = {&zero, w0, own, NULL, NULL, 1, 1, c, problem};
            reference_probs(&fixed, dummy, e);
            free(w0);
        }
        if (problem == ADE_PROBLEM_REGRESSION) same_bits(s, "probs", l.data, p.data, n * 4, "in a regression");
        else compare(&fp32, "probs: probabilities", p.data, ADE_F32, from_own, n, 1e-6, NULL);
        output_check(&l, s->name, "probs");
        output_check(&p, s->name, "probs");
        ade_probs_args one = args;
        one.x += (size_t)(s_n - 1) * (size_t)h, one.s = 1, one.logits = l1.data, one.probabilities = p1.data;
        CHECK_OK(subject_probs(s, &one));
        same_bits(s, "probs", l1.data, (float *)l.data + n - (size_t)c, (size_t)c * 4, "alone");
        same_bits(s, "probs", p1.data, (float *)p.data + n - (size_t)c, (size_t)c * 4, "alone");
        output_free(&l), output_free(&p), output_free(&l1), output_free(&p1);
        free(from_own);
    }
    free(x), free(weight), free(bias), free(logits), free(probabilities);
}

static void test_probs(void **state) {
    (void)state;
    static const int32_t classes[] = {1, 2, 3, 17, 60};
    for (size_t k = 0; k < COUNT(widths); k++)
        for (size_t c = 0; c < COUNT(classes); c++)
            for (int32_t problem = 0; problem < 3; problem++) {
                probs_case(5, widths[k], classes[c], problem, 1);
                probs_case(1, widths[k], classes[c], problem, 1e4f); /* neither softmax nor sigmoid overflows */
            }
}

/* ---- Sizes of 0, wrong requests ----------------------------------------------------------------------------------- */

static void test_nothing_to_do(void **state) {
    (void)state;
    static const int32_t cu[] = {0};
    float                input[16] = {0};
    int32_t              ids[1] = {0};
    FOR_SUBJECTS(s) {
        output y = output_new(256, 0), z = output_new(256, 0);
        void  *act = s->act == s->res ? NULL : z.data;
        CHECK_OK(subject_embed(s, &(ade_embed_args){ids, NULL, ids, input, input, input, ADE_F32, input, input, 1e-12f,
                                                    y.data, act, 0, 8}));
        CHECK_OK(subject_attention(s, &(ade_attention_args){.q = input, .k = input, .v = input, .q_stride = 8,
                                                            .kv_stride = 8, .cu_seqlens = cu, .out = y.data, .a = 1,
                                                            .d = 8, .scale = 1}));
        CHECK_OK(subject_layernorm(s, &(ade_layernorm_args){input, input, input, input, input, 1e-12f, y.data, act,
                                                            NULL, 0, 8}));
        CHECK_OK(subject_activation(s, &(ade_activation_args){input, input, y.data, ADE_FN_RELU, 0, 8, 0}));
        CHECK_OK(subject_pool(s, &(ade_pool_args){input, act ? input : NULL, cu, y.data, act, 0, 8}));
        CHECK_OK(subject_probs(s, &(ade_probs_args){input, input, input, y.data, z.data, 0, 8, 2, 0}));
        if (s->ops) {
            matrix w = matrix_new(s, 8, 8, 1, 0);
            CHECK_OK(subject_linear(s, &w.desc, w.linear, input, y.data, 0));
            matrix_free(s, &w);
        }
        for (size_t i = 0; i < 256; i++)
            CHECK(((unsigned char *)y.data)[i] == 0xFF && ((unsigned char *)z.data)[i] == 0xFF,
                  "%s wrote an output of no rows", s->name);
        output_free(&y), output_free(&z);
    }
}

static void test_backend_table(void **state) {
    (void)state;
    const ade_ops            *ops = ade__cpu_ops();
    const ade_backend_options f16 = {0, ADE_PRECISION_F16};
    ade_backend              *backend = NULL;
    CHECK(ops->abi == ADE_BACKEND_ABI && ops->struct_size == sizeof *ops, "abi %u, size %u", ops->abi, ops->struct_size);
    CHECK_STATUS(ops->open(&f16, &backend), ADE_UNSUPPORTED);
    assert_null(backend);
    FOR_SUBJECTS(s) {
        void *memory = NULL;
        if (!s->ops) continue;
        CHECK_STATUS(ops->alloc(s->backend, SIZE_MAX, 4, &memory), ADE_OUT_OF_MEMORY);
        CHECK_STATUS(ops->alloc(s->backend, SIZE_MAX / 8, 64, &memory), ADE_OUT_OF_MEMORY);
        assert_null(memory);
        CHECK_OK(ops->alloc(s->backend, 3, 12, &memory));
        CHECK((uintptr_t)memory % 64 == 0, "memory at %p", memory);
        memset(memory, 1, (3 + ADE_ROW_PAD) * 12);
        ops->release(s->backend, memory);
        ops->release(s->backend, NULL);
        ade_backend_info info;
        ops->describe(s->backend, &info);
        CHECK(info.act == s->act && info.res == s->res && info.table_type <= ADE_F16 && info.bias_in_linear == 1 &&
                  info.token_budget > 0 && info.execs == 0 && info.slots >= 1,
              "%s describes itself as act %d, res %d, tables %d, bias %d, %d tokens, %d execs, %d slots", s->name,
              (int)info.act, (int)info.res, (int)info.table_type, (int)info.bias_in_linear, (int)info.token_budget,
              (int)info.execs, (int)info.slots);
        CHECK_STATUS(ops->host_alloc(s->backend, SIZE_MAX - 8, &memory), ADE_OUT_OF_MEMORY);
        ops->host_release(s->backend, NULL);
        const int32_t      cu[] = {0, SUBJECT_MAX_LEN + 1};
        ade_attention_args too_long = {.cu_seqlens = cu, .t = cu[1], .s = 1, .a = 1, .d = 8, .max_len = cu[1]};
        CHECK_STATUS(ops->attention(s->exec, &too_long), ADE_INTERNAL);
    }
}

/* The way of a batch through the slots: what is pushed is computed with, and what is pulled is there after the wait. */
static void test_backend_slots(void **state) {
    (void)state;
    CHECK_OK(ade__cpu_ops()->probe(0));
    FOR_SUBJECTS(s) {
        enum { N = 40 };
        if (!s->ops) continue;
        float *in[SUBJECT_SLOTS], *out[SUBJECT_SLOTS];
        void  *x[SUBJECT_SLOTS], *y;
        CHECK_OK(s->ops->alloc(s->backend, 1, N * sizeof(float), &y));
        for (int32_t slot = 0; slot < SUBJECT_SLOTS; slot++) {
            void *host;
            CHECK_OK(s->ops->wait(s->exec, slot)); /* never pulled: done */
            CHECK_OK(s->ops->host_alloc(s->backend, N * sizeof(float), &host));
            CHECK((uintptr_t)host % 64 == 0, "host memory at %p", host);
            in[slot] = host;
            CHECK_OK(s->ops->host_alloc(s->backend, N * sizeof(float), &host));
            out[slot] = host;
            CHECK_OK(s->ops->alloc(s->backend, 1, N * sizeof(float), &x[slot]));
        }
        for (int32_t batch = 0; batch < 5 + SUBJECT_SLOTS; batch++) {
            int32_t slot = batch % SUBJECT_SLOTS;
            CHECK_OK(s->ops->wait(s->exec, slot));
            for (int32_t i = 0; i < N && batch >= SUBJECT_SLOTS; i++)
                CHECK(out[slot][i] == (float)((batch - SUBJECT_SLOTS) * i), "%s: batch %d, element %d: %g", s->name,
                      (int)(batch - SUBJECT_SLOTS), (int)i, (double)out[slot][i]);
            for (int32_t i = 0; i < N; i++) in[slot][i] = (float)(batch * i);
            CHECK_OK(s->ops->push(s->exec, slot, x[slot], in[slot], N * sizeof(float)));
            CHECK_OK(s->ops->activation(s->exec, &(ade_activation_args){x[slot], NULL, y, ADE_FN_RELU, 1, N, 1}));
            CHECK_OK(s->ops->pull(s->exec, slot, out[slot], y, N * sizeof(float)));
        }
        for (int32_t slot = 0; slot < SUBJECT_SLOTS; slot++) {
            s->ops->host_release(s->backend, in[slot]);
            s->ops->host_release(s->backend, out[slot]);
            s->ops->release(s->backend, x[slot]);
        }
        s->ops->release(s->backend, y);
    }
}

static int open_all(void **state) {
    (void)state;
    subjects_open();
    return 0;
}

static int close_all(void **state) {
    (void)state;
    subjects_close();
    for (int i = 0; i < n_records; i++)
        printf("# %-24s %-4s %5zu cases: largest error %5.1f %% of the tolerance (%s), NMSE %.1e\n", records[i].op,
               records[i].type == ADE_F32 ? "f32" : "bf16", records[i].cases, 100 * records[i].worst, records[i].who,
               records[i].nmse);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* as in test_x, or with a wild card */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_interleaved),
        cmocka_unit_test(test_linear_invariance),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_mixed),
        cmocka_unit_test(test_attention_panels),
        cmocka_unit_test(test_attention_parts),
        cmocka_unit_test(test_attention_long),
        cmocka_unit_test(test_attention_extreme),
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_layernorm_constant_rows),
        cmocka_unit_test(test_activation),
        cmocka_unit_test(test_activation_range),
        cmocka_unit_test(test_gelus_differ),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_probs),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_backend_table),
        cmocka_unit_test(test_backend_slots),
    };
    return cmocka_run_group_tests_name("ops", tests, open_all, close_all);
}
