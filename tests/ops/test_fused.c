/* SPDX-License-Identifier: Apache-2.0
 * The CPU's fused ops and int8 products against code in double precision, alone and by teams: linear in panels,
 * linear_norm and feed_forward, for every precision that this processor has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"
#include "fp16.h"
#include "ops.h"
#include "team.h"

#include <math.h>
#include <pthread.h>

enum { MOST_ROWS = 300, MOST_TEAM = 5 };

typedef struct subject {
    const char      *name;
    ade_backend     *backend;
    ade_backend_info info;
    double           tolerance; /* of a value after LayerNorm */
} subject;

static const ade_ops *ops;
static subject        subjects[3];
static int            n_subjects;

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

static float *randoms(size_t n, float scale) {
    static uint32_t state = 1;
    float          *x = must(malloc((n ? n : 1) * sizeof *x));
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f * scale;
    }
    return x;
}

static int setup(void **state) {
    static const struct { int32_t precision; const char *name; double tolerance; } wanted[] = {
        {ADE_PRECISION_F32, "f32", 3e-5}, {ADE_PRECISION_BF16, "bf16", 5e-2}, {ADE_PRECISION_INT8, "int8", 0.2}};
    (void)state;
    ops = ade__cpu_ops();
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        subject                  *s = &subjects[n_subjects];
        const ade_backend_options options = {.precision = wanted[i].precision};
        if (ops->open(&options, &s->backend) != ADE_OK) {
            printf("# skipped: %s (%s)\n", wanted[i].name, ade_last_error());
            continue;
        }
        ops->describe(s->backend, &s->info);
        s->name = wanted[i].name;
        s->tolerance = wanted[i].tolerance;
        n_subjects++;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < n_subjects; i++) ops->close(subjects[i].backend);
    return 0;
}

/* ---- Rows of act -------------------------------------------------------------------------------------------------- */

typedef struct rows { /* m rows of k values: as they come, as act, and what act says */
    float     *exact, *meant;
    void      *act;
    ade_quant *quants;
} rows;

static size_t act_size(const subject *s) { return ade__dtype_size(s->info.act); }

static rows rows_new(const subject *s, int32_t m, int32_t k) {
    size_t n = (size_t)m * (size_t)k;
    rows   r = {.exact = randoms(n, 1)};
    r.meant = must(malloc(n * sizeof *r.meant));
    r.act = must(aligned_alloc(64, ((n + ADE_ROW_PAD * (size_t)k) * act_size(s) + 63) / 64 * 64));
    r.quants = must(calloc((size_t)m, sizeof *r.quants));
    memset(r.act, 0, (n + ADE_ROW_PAD * (size_t)k) * act_size(s));
    for (int32_t i = 0; i < m; i++) {
        const float *x = r.exact + (size_t)i * (size_t)k;
        float        low = 0, high = 0;
        for (int32_t j = 0; j < k; j++) low = fminf(low, x[j]), high = fmaxf(high, x[j]);
        float   scale = (high - low) / 255;
        int32_t zero = (int32_t)lrintf(-low / scale);
        r.quants[i] = (ade_quant){scale, zero};
        for (int32_t j = 0; j < k; j++) {
            size_t at = (size_t)i * (size_t)k + (size_t)j;
            if (s->info.act == ADE_F32) {
                r.meant[at] = ((float *)r.act)[at] = x[j];
            } else if (s->info.act == ADE_BF16) {
                uint16_t half = ade__bf16_from_f32(x[j]);
                ((uint16_t *)r.act)[at] = half;
                r.meant[at] = ade__f32_from_bf16(half);
            } else {
                int32_t byte = (int32_t)lrintf(x[j] / scale) + zero;
                if (byte > 255) byte = 255;
                ((uint8_t *)r.act)[at] = (uint8_t)byte;
                r.meant[at] = scale * (float)(byte - zero);
            }
        }
    }
    return r;
}

static void rows_free(rows *r) {
    free(r->exact);
    free(r->meant);
    free(r->act);
    free(r->quants);
}

/* ---- Matrices, and a layer of them -------------------------------------------------------------------------------- */

typedef struct matrix {
    ade_linear_desc desc;
    float          *weight, *bias;
    ade_linear     *linear;
} matrix;

static matrix matrix_new(const subject *s, int32_t n, int32_t k, int32_t group) {
    matrix m = {.weight = randoms((size_t)n * (size_t)k, 1 / sqrtf((float)k)), .bias = randoms((size_t)n, 1)};
    m.desc = (ade_linear_desc){.weight = m.weight, .bias = m.bias, .n = n, .k = k, .group = group};
    CHECK_OK(ops->linear_create(s->backend, &m.desc, &m.linear));
    return m;
}

static void matrix_free(matrix *m) {
    ops->linear_destroy(m->linear);
    free(m->weight);
    free(m->bias);
}

static ade_exec *exec_new(const subject *s, int32_t h, int32_t f) {
    const ade_exec_options options = {.max_tokens = MOST_ROWS, .max_len = 8, .head_size = 8, .slots = 1, .hidden = h, .intermediate = f};
    ade_exec              *exec = NULL;
    CHECK_OK(ops->exec_create(s->backend, &options, &exec));
    return exec;
}

static double dot(const float *a, const float *b, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double gelu(double x) { return x * 0.5 * (1 + erf(x / sqrt(2.0))); }

typedef struct layer { /* what linear_norm and feed_forward work on */
    int32_t h, f;
    matrix  out, in;       /* in: (F, H); out: (H, F), or (H, H) for linear_norm */
    float  *ln_w, *ln_b;
} layer;

static layer layer_new(const subject *s, int32_t h, int32_t f, int feed_forward) {
    layer l = {.h = h, .f = f};
    if (feed_forward) l.in = matrix_new(s, f, h, 0);
    l.out = matrix_new(s, h, feed_forward ? f : h, 0);
    l.ln_w = randoms((size_t)h, 1);
    l.ln_b = randoms((size_t)h, 1);
    return l;
}

static void layer_free(layer *l) {
    if (l->in.linear) matrix_free(&l->in);
    matrix_free(&l->out);
    free(l->ln_w);
    free(l->ln_b);
}

static void prepare(const layer *l, ade_exec *exec) {
    if (l->in.linear) CHECK_OK(ops->exec_prepare(exec, l->in.linear, MOST_ROWS));
    CHECK_OK(ops->exec_prepare(exec, l->out.linear, MOST_ROWS));
}

/* Row r of the result. */
static void expect(const layer *l, const rows *x, const float *stream, int32_t r, double *out) {
    const float *row = x->meant + (size_t)r * (size_t)l->h;
    float       *inner = must(malloc((size_t)l->f * sizeof *inner));
    double       mean = 0, variance = 0;
    for (int32_t n = 0; l->in.linear && n < l->f; n++)
        inner[n] = (float)gelu(dot(row, l->in.weight + (size_t)n * (size_t)l->h, l->h) + l->in.bias[n]);
    for (int32_t n = 0; n < l->h; n++) {
        int32_t k = l->in.linear ? l->f : l->h;
        out[n] = dot(l->in.linear ? inner : row, l->out.weight + (size_t)n * (size_t)k, k) + l->out.bias[n] +
                 stream[(size_t)r * (size_t)l->h + (size_t)n];
        mean += out[n] / l->h;
    }
    for (int32_t n = 0; n < l->h; n++) variance += (out[n] - mean) * (out[n] - mean) / l->h;
    for (int32_t n = 0; n < l->h; n++) out[n] = (out[n] - mean) / sqrt(variance + 1e-12) * l->ln_w[n] + l->ln_b[n];
    free(inner);
}

typedef struct result { /* the stream after an op */
    float     *res;
    void      *act; /* res itself in f32 */
    ade_quant *quants;
} result;

static result result_new(const subject *s, int32_t m, int32_t h, const rows *x, const float *stream) {
    size_t n = (size_t)m * (size_t)h, pad = (size_t)ADE_ROW_PAD * (size_t)h;
    result r;
    r.res = must(aligned_alloc(64, ((n + pad) * 4 + 63) / 64 * 64));
    memset(r.res, 0, (n + pad) * 4);
    memcpy(r.res, stream, n * 4);
    r.act = r.res;
    if (s->info.act != ADE_F32) {
        r.act = must(aligned_alloc(64, ((n + pad) * act_size(s) + 63) / 64 * 64));
        memcpy(r.act, x->act, (n + pad) * act_size(s));
    }
    r.quants = must(malloc((size_t)m * sizeof *r.quants));
    memcpy(r.quants, x->quants, (size_t)m * sizeof *r.quants);
    return r;
}

static void result_free(result *r) {
    if (r->act != r->res) free(r->act);
    free(r->res);
    free(r->quants);
}

static ade_status run_op(const layer *l, ade_exec *exec, const rows *x, result *to, int32_t m) {
    const ade_stream    stream = {to->res, to->act, to->quants, m, l->h};
    const ade_norm_args norm = {l->ln_w, l->ln_b, 1e-12f};
    if (l->in.linear)
        return ops->feed_forward(exec, &(ade_feed_forward_args){l->in.linear, l->out.linear, ADE_FN_GELU_ERF, stream, norm});
    return ops->linear_norm(exec, &(ade_linear_norm_args){l->out.linear, x->act, x->quants, stream, norm});
}

/* The act copy says the same as res, as far as its type can. */
static void check_act(const subject *s, const result *r, int32_t m, int32_t h) {
    for (int32_t i = 0; i < m && s->info.act != ADE_F32; i++)
        for (int32_t j = 0; j < h; j++) {
            size_t at = (size_t)i * (size_t)h + (size_t)j;
            float  value = s->info.act == ADE_BF16 ? ade__f32_from_bf16(((uint16_t *)r->act)[at])
                                                   : r->quants[i].scale * (float)(((uint8_t *)r->act)[at] - r->quants[i].zero);
            float  allowed = s->info.act == ADE_BF16 ? fabsf(r->res[at]) / 256 + 1e-30f : r->quants[i].scale * 0.51f;
            CHECK(fabsf(value - r->res[at]) <= allowed, "%s: row %d column %d is %g, and %g in act", s->name, i, j,
                  (double)r->res[at], (double)value);
        }
}

static void op_case(const subject *s, int32_t m, int32_t h, int32_t f, int feed_forward) {
    layer     l = layer_new(s, h, f, feed_forward);
    rows      x = rows_new(s, m, h);
    float    *stream = s->info.act == ADE_F32 && feed_forward ? NULL : randoms((size_t)m * (size_t)h, 1);
    ade_exec *exec = exec_new(s, h, f);
    double   *expected = must(malloc((size_t)h * sizeof *expected));
    if (feed_forward) { /* the stream is the input */
        free(stream);
        stream = must(malloc((size_t)m * (size_t)h * sizeof *stream));
        memcpy(stream, x.exact, (size_t)m * (size_t)h * sizeof *stream);
    }
    result r = result_new(s, m, h, &x, stream);
    prepare(&l, exec);
    CHECK_OK(run_op(&l, exec, &x, &r, m));
    for (int32_t i = 0; i < m; i += m > 40 ? 11 : 1) {
        expect(&l, &x, stream, i, expected);
        for (int32_t n = 0; n < h; n++) {
            double got = r.res[(size_t)i * (size_t)h + (size_t)n] + (check_wrong() && i == 0 && n == 0 ? 1 : 0);
            CHECK(fabs(got - expected[n]) <= s->tolerance * (h < 16 ? 8 : 1), "%s, %d rows, h %d f %d: row %d column %d is %g, not %g",
                  s->name, m, h, feed_forward ? f : 0, i, n, got, expected[n]);
        }
    }
    check_act(s, &r, m, h);
    free(expected);
    result_free(&r);
    ops->exec_destroy(exec);
    free(stream);
    rows_free(&x);
    layer_free(&l);
}

static const int32_t SIZES[][2] = {{384, 1536}, {32, 64}, {72, 200}, {100, 33}, {768, 3072}, {64, 4000}};

static void test_ops_alone(void **state) {
    (void)state;
    for (int i = 0; i < n_subjects; i++)
        for (size_t k = 0; k < sizeof SIZES / sizeof *SIZES; k++)
            for (int feed_forward = 0; feed_forward < 2; feed_forward++) {
                static const int32_t MANY[] = {1, 15, 16, 17, 33, 128, 129, 300}, FEW[] = {1, 17};
                const int            large = SIZES[k][0] > 400 || SIZES[k][1] > 1600;
                for (size_t r = 0; r < (large ? 2 : 8); r++)
                    op_case(&subjects[i], large ? FEW[r] : MANY[r], SIZES[k][0], SIZES[k][1], feed_forward);
            }
}

/* ---- linear, in panels of whole heads ----------------------------------------------------------------------------- */

static void linear_case(const subject *s, int32_t m, int32_t n, int32_t k, int32_t group) {
    matrix    w = matrix_new(s, n, k, group);
    rows      x = rows_new(s, m, k);
    ade_exec *exec = exec_new(s, k, k);
    size_t    width = (size_t)ops->linear_panel(w.linear), stride = ((size_t)m + ADE_ROW_PAD) * width;
    float    *y = must(aligned_alloc(64, (((size_t)m + ADE_ROW_PAD) * (size_t)n * 4 + 63) / 64 * 64));
    CHECK(!group || width % (size_t)group == 0, "a panel of %zu columns cuts groups of %d", width, group);
    CHECK_OK(ops->exec_prepare(exec, w.linear, m));
    CHECK_OK(ops->linear(exec, &(ade_linear_args){w.linear, x.act, y, m, x.quants, stride}));
    for (int32_t i = 0; i < m; i++)
        for (int32_t j = 0; j < n; j++) {
            size_t panel = (size_t)j / width, columns = (size_t)n - panel * width < width ? (size_t)n - panel * width : width;
            double got = y[panel * stride + (size_t)i * columns + (size_t)j % width];
            double wanted = dot(x.meant + (size_t)i * (size_t)k, w.weight + (size_t)j * (size_t)k, k) + w.bias[j];
            CHECK(fabs(got - wanted) <= (s->info.act == ADE_F32 ? 1e-5 : 2e-2), "%s (%d, %d) x %d: [%d][%d] is %g, not %g", s->name, m,
                  n, k, i, j, got, wanted);
        }
    ops->exec_destroy(exec);
    free(y);
    rows_free(&x);
    matrix_free(&w);
}

static void test_linear(void **state) {
    (void)state;
    for (int i = 0; i < n_subjects; i++) {
        linear_case(&subjects[i], 1, 1152, 384, 32);
        linear_case(&subjects[i], 130, 192, 64, 64);
        linear_case(&subjects[i], 17, 3 * 72, 72, 24);
        linear_case(&subjects[i], 5, 3 * 160, 160, 80);
        linear_case(&subjects[i], 33, 100, 50, 0);
        linear_case(&subjects[i], 3, 7, 9, 0);
    }
}

/* ---- Teams -------------------------------------------------------------------------------------------------------- */

typedef struct member {
    const layer *l;
    ade_exec    *exec, *leader;
    ade_team    *team;
    int32_t      number, m;
    const rows  *x;
    result      *to;
    ade_status   status;
} member;

static void *run_member(void *argument) {
    member *me = argument;
    ops->exec_join(me->exec, me->leader, me->team, me->number);
    me->status = run_op(me->l, me->exec, me->x, me->to, me->m);
    ops->exec_join(me->exec, NULL, NULL, 0);
    return NULL;
}

/* Any number of threads, any number of rows: the same bits as one thread, and as a row alone. */
static void team_case(const subject *s, int32_t m, int32_t size, int feed_forward) {
    layer     l = layer_new(s, 96, 320, feed_forward);
    rows      x = rows_new(s, m, l.h);
    float    *stream = x.exact;
    result    alone = result_new(s, m, l.h, &x, stream), shared = result_new(s, m, l.h, &x, stream);
    ade_exec *exec[MOST_TEAM];
    pthread_t threads[MOST_TEAM];
    member    members[MOST_TEAM];
    ade_team  team;
    ade__team_init(&team, size);
    for (int32_t i = 0; i < size; i++) {
        exec[i] = exec_new(s, l.h, l.f);
        prepare(&l, exec[i]);
    }
    CHECK_OK(run_op(&l, exec[0], &x, &alone, m));
    for (int32_t i = 0; i < size; i++) {
        members[i] = (member){&l, exec[i], exec[0], &team, i, m, &x, &shared, ADE_OK};
        if (pthread_create(&threads[i], NULL, run_member, &members[i])) abort();
    }
    for (int32_t i = 0; i < size; i++) {
        pthread_join(threads[i], NULL);
        CHECK(members[i].status == ADE_OK, "%s: member %d of %d failed", s->name, i, size);
    }
    size_t n = (size_t)m * (size_t)l.h;
    CHECK(memcmp(alone.res, shared.res, n * 4) == 0, "%s, %d rows: a team of %d gives other bits", s->name, m, size);
    CHECK(memcmp(alone.act, shared.act, n * act_size(s)) == 0, "%s, %d rows: a team of %d gives other bits in act", s->name, m, size);
    for (int32_t r = 0; r < m; r += 7) { /* a row alone */
        rows   one = {.exact = x.exact + (size_t)r * (size_t)l.h, .quants = x.quants + r};
        size_t bytes = (size_t)l.h * act_size(s);
        one.act = must(aligned_alloc(64, (bytes * (1 + ADE_ROW_PAD) + 63) / 64 * 64));
        memset(one.act, 0, bytes * (1 + ADE_ROW_PAD));
        memcpy(one.act, (char *)x.act + (size_t)r * bytes, bytes);
        result single = result_new(s, 1, l.h, &one, one.exact);
        CHECK_OK(run_op(&l, exec[0], &one, &single, 1));
        CHECK(memcmp(single.res, alone.res + (size_t)r * (size_t)l.h, (size_t)l.h * 4) == 0, "%s: row %d of %d has other bits alone",
              s->name, r, m);
        result_free(&single);
        free(one.act);
    }
    for (int32_t i = 0; i < size; i++) ops->exec_destroy(exec[i]);
    result_free(&alone);
    result_free(&shared);
    rows_free(&x);
    layer_free(&l);
}

static void test_teams(void **state) {
    (void)state;
    for (int i = 0; i < n_subjects; i++)
        for (int feed_forward = 0; feed_forward < 2; feed_forward++) {
            team_case(&subjects[i], 1, 2, feed_forward);
            team_case(&subjects[i], 29, 3, feed_forward);
            team_case(&subjects[i], 131, 2, feed_forward);
            team_case(&subjects[i], 70, MOST_TEAM, feed_forward);
        }
}

/* ---- Values that are none ----------------------------------------------------------------------------------------- */

/* What is not finite must show in the result: bytes have no NaN. */
static void test_not_finite(void **state) {
    static const float BAD[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int i = 0; i < n_subjects; i++)
        for (size_t b = 0; b < 3; b++) {
            const subject *s = &subjects[i];
            layer          l = layer_new(s, 64, 128, 1);
            rows           x = rows_new(s, 3, l.h);
            ade_exec      *exec = exec_new(s, l.h, l.f);
            result         r = result_new(s, 3, l.h, &x, x.exact);
            prepare(&l, exec);
            r.res[l.h + 5] = BAD[b]; /* row 1 of the residual stream */
            CHECK_OK(run_op(&l, exec, &x, &r, 3));
            memset(r.res + l.h, 0, (size_t)l.h * 4);
            if (s->info.act == ADE_F32) r.res[l.h] = NAN; /* act is res */
            CHECK_OK(run_op(&l, exec, &x, &r, 3)); /* now from act alone */
            CHECK(isfinite(r.res[0]) && isfinite(r.res[2 * l.h]), "%s: a bad row spoils its neighbours", s->name);
            CHECK(!isfinite(r.res[l.h + 1]), "%s: %g became %g", s->name, (double)BAD[b], (double)r.res[l.h + 1]);
            ops->exec_destroy(exec);
            result_free(&r);
            rows_free(&x);
            layer_free(&l);
        }
}

static void test_weights_not_finite(void **state) {
    (void)state;
    for (int i = 0; i < n_subjects; i++) {
        float                 weight[4] = {1, 2, NAN, 4};
        ade_linear           *linear = NULL;
        const ade_linear_desc desc = {.weight = weight, .n = 2, .k = 2};
        if (subjects[i].info.act != ADE_I8) continue;
        CHECK_STATUS(ops->linear_create(subjects[i].backend, &desc, &linear), ADE_BAD_MODEL);
        CHECK(strstr(ade_last_error(), "row 1, column 0") != NULL, "the place is missing: %s", ade_last_error());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ops_alone), cmocka_unit_test(test_linear),
                                       cmocka_unit_test(test_teams), cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_weights_not_finite)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
