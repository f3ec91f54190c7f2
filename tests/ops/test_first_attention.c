/* SPDX-License-Identifier: Apache-2.0
 * The CPU's first_attention, which makes neither keys nor values, against attention over keys and values in double
 * precision, on every kernel level: largest error, nothing left unwritten (outputs start as NaN), nothing written
 * beyond (canaries), and the same bits in any company, in any layout of q and from any number of threads.
 *
 * Scale: x, q and biases are uniform in [-1, 1], weights so that keys and values are about as large.
 * ADE_TEST_WRONG=1 falsifies one expectation; the suite must then fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"
#include "cpu_common.h"
#include "isa.h"

#include <math.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof *(array)))
#define TOLERANCE 4e-6

static const ade_cpu_kernels *levels[4];
static int                    n_levels;
static double                 largest_error;

static void *exact(size_t bytes) { /* ends where it ends, for a sanitizer */
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes ? bytes : 1)) abort();
    return memory;
}

static uint64_t random_state = 88172645463325252u;

static uint32_t random_u32(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static float *random_floats(size_t n, float scale) {
    float *x = exact(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = ((float)random_u32() * 0x1p-31f - 1.0f) * scale;
    return x;
}

/* ---- Problems ---------------------------------------------------------------------------------------------------- */

typedef struct problem {
    ade_first_attention_args args;
    float                   *q, *x, *wk, *wv, *bk, *bv; /* q dense */
    int32_t                 *cu;
    size_t                   width; /* A D */
} problem;

static problem problem_new(const int32_t *lengths, int32_t s, int32_t a, int32_t d, int32_t h, float q_scale) {
    problem p = {.width = (size_t)a * (size_t)d};
    int32_t longest = 0;
    size_t  columns = (size_t)h;
    p.cu = exact((size_t)(s + 1) * sizeof *p.cu);
    p.cu[0] = 0;
    for (int32_t i = 0; i < s; i++) {
        p.cu[i + 1] = p.cu[i] + lengths[i];
        longest = lengths[i] > longest ? lengths[i] : longest;
    }
    p.q = random_floats((size_t)s * p.width, q_scale);
    p.x = random_floats((size_t)p.cu[s] * columns, 1);
    p.wk = random_floats(p.width * columns, sqrtf(3.0f / (float)h));
    p.wv = random_floats(p.width * columns, sqrtf(3.0f / (float)h));
    p.bk = random_floats(p.width, 1);
    p.bv = random_floats(p.width, 1);
    p.args = (ade_first_attention_args){.q = p.q,
                                        .q_stride = a * d,
                                        .x = p.x,
                                        .wk = p.wk,
                                        .wv = p.wv,
                                        .bv = p.bv,
                                        .cu_seqlens = p.cu,
                                        .t = p.cu[s],
                                        .s = s,
                                        .a = a,
                                        .d = d,
                                        .h = h,
                                        .max_len = longest,
                                        .scale = 1.0f / sqrtf((float)d)};
    return p;
}

static void problem_free(problem *p) {
    free(p->q), free(p->x), free(p->wk), free(p->wv), free(p->bk), free(p->bv), free(p->cu);
}

/* <row, x> + bias */
static double projected(const float *row, const float *x, int32_t h, float bias) {
    double sum = (double)bias;
    for (int32_t i = 0; i < h; i++) sum += (double)row[i] * (double)x[i];
    return sum;
}

/* With keys and values, and the keys' bias. */
static double *reference(const problem *p) {
    const ade_first_attention_args *args = &p->args;
    size_t  t = (size_t)args->t, h = (size_t)args->h, d = (size_t)args->d, width = p->width;
    double *k = exact(t * width * sizeof *k), *v = exact(t * width * sizeof *v), *weights = exact(t * sizeof *weights);
    double *out = exact((size_t)args->s * width * sizeof *out);
    for (size_t j = 0; j < t; j++)
        for (size_t c = 0; c < width; c++) {
            k[j * width + c] = projected(p->wk + c * h, p->x + j * h, args->h, p->bk[c]);
            v[j * width + c] = projected(p->wv + c * h, p->x + j * h, args->h, p->bv[c]);
        }
    for (size_t s = 0; s < (size_t)args->s; s++)
        for (size_t a = 0; a < width; a += d) {
            size_t begin = (size_t)p->cu[s], end = (size_t)p->cu[s + 1];
            double most = -INFINITY, sum = 0;
            for (size_t j = begin; j < end; j++) {
                double score = 0;
                for (size_t i = a; i < a + d; i++) score += (double)p->q[s * width + i] * k[j * width + i];
                weights[j] = score * (double)args->scale;
                most = fmax(most, weights[j]);
            }
            for (size_t j = begin; j < end; j++) sum += weights[j] = exp(weights[j] - most);
            for (size_t i = a; i < a + d; i++) {
                double value = 0;
                for (size_t j = begin; j < end; j++) value += weights[j] / sum * v[j * width + i];
                out[s * width + i] = value;
            }
        }
    free(k), free(v), free(weights);
    return out;
}

/* Every share of `parts` by itself, in memory full of NaN. (S, A D) */
static float *run(const ade_cpu_kernels *level, const ade_first_attention_args *problem_args, int32_t parts) {
    enum { CANARIES = 64 };
    ade_first_attention_args args = *problem_args;
    size_t                   n = (size_t)args.s * (size_t)args.a * (size_t)args.d;
    size_t                   floats = ade__cpu_first_floats(args.max_len, args.h);
    unsigned char           *base = exact(2 * CANARIES + n * sizeof(float));
    struct ade_cpu_scratch   scratch = {.first = exact(floats * sizeof(float))};
    memset(base, 0xA5, 2 * CANARIES + n * sizeof(float));
    memset(base + CANARIES, 0xFF, n * sizeof(float));
    args.out = (float *)(void *)(base + CANARIES);
    for (int32_t part = parts - 1; part >= 0; part--) {
        memset(scratch.first, 0xFF, floats * sizeof(float));
        level->first_attention(&args, &scratch, part, parts);
    }
    for (size_t i = 0; i < CANARIES; i++)
        CHECK(base[i] == 0xA5 && base[CANARIES + n * sizeof(float) + i] == 0xA5, "%s wrote beyond its output",
              level->name);
    float *out = exact(n * sizeof *out);
    memcpy(out, args.out, n * sizeof *out);
    free(scratch.first), free(base);
    return out;
}

static void same_bits(const char *level, const float *a, const float *b, size_t n, const char *what, int32_t which) {
    for (size_t i = 0; i < n; i++)
        CHECK(memcmp(a + i, b + i, sizeof *a) == 0, "%s: other bits %s %d: element %zu is %.9g, not %.9g", level, what,
              (int)which, i, (double)b[i], (double)a[i]);
}

static void check_parts(const ade_cpu_kernels *level, const problem *p, const float *whole) {
    static const int32_t parts[] = {2, 3, 5, 16};
    for (int32_t i = 0; i < COUNT(parts); i++) {
        float *out = run(level, &p->args, parts[i]);
        same_bits(level->name, whole, out, (size_t)p->args.s * p->width, "from a number of threads of", parts[i]);
        free(out);
    }
}

/* Each text alone, and every two neighbours with the second first. */
static void check_company(const ade_cpu_kernels *level, const problem *p, const float *whole) {
    size_t h = (size_t)p->args.h, w = p->width;
    for (int32_t s = 0; s < p->args.s; s++) {
        size_t                   at = (size_t)s;
        int32_t                  len = p->cu[s + 1] - p->cu[s];
        int32_t                  next = s + 1 < p->args.s ? p->cu[s + 2] - p->cu[s + 1] : 0;
        int32_t                  alone_cu[2] = {0, len}, pair_cu[3] = {0, next, next + len};
        ade_first_attention_args alone = p->args, pair = p->args;
        alone.q = p->q + at * w, alone.x = p->x + (size_t)p->cu[s] * h;
        alone.cu_seqlens = alone_cu, alone.t = alone.max_len = len, alone.s = 1;
        float *out = run(level, &alone, 1);
        same_bits(level->name, whole + at * w, out, w, "alone: text", s);
        free(out);
        if (!next) continue;
        float *q = exact(2 * w * sizeof *q), *x = exact((size_t)(len + next) * h * sizeof *x);
        memcpy(q, p->q + (at + 1) * w, w * sizeof *q);
        memcpy(q + w, p->q + at * w, w * sizeof *q);
        memcpy(x, p->x + (size_t)p->cu[s + 1] * h, (size_t)next * h * sizeof *x);
        memcpy(x + (size_t)next * h, p->x + (size_t)p->cu[s] * h, (size_t)len * h * sizeof *x);
        pair.q = q, pair.x = x, pair.cu_seqlens = pair_cu, pair.t = len + next, pair.s = 2;
        pair.max_len = len > next ? len : next;
        out = run(level, &pair, 1);
        same_bits(level->name, whole + (at + 1) * w, out, w, "beside another: text", s + 1);
        same_bits(level->name, whole + at * w, out + w, w, "beside another: text", s);
        free(out), free(q), free(x);
    }
}

/* q in panels of some heads, in rows and panels with gaps. */
static void check_panels(const ade_cpu_kernels *level, const problem *p, const float *whole) {
    for (int32_t heads = 1; heads <= p->args.a; heads += 1 + heads / 2) {
        size_t panel = (size_t)(heads * p->args.d), row = panel + 3, stride = (size_t)p->args.s * row + 5;
        size_t n = (p->width + panel - 1) / panel * stride;
        float *q = exact(n * sizeof *q);
        ade_first_attention_args args = p->args;
        memset(q, 0xFF, n * sizeof *q);
        for (size_t s = 0; s < (size_t)p->args.s; s++)
            for (size_t c = 0; c < p->width; c++)
                q[c / panel * stride + s * row + c % panel] = p->q[s * p->width + c];
        args.q = q, args.q_stride = (int32_t)row, args.q_panel = (int32_t)panel, args.q_panel_stride = stride;
        float *out = run(level, &args, 1);
        same_bits(level->name, whole, out, (size_t)p->args.s * p->width, "with panels of columns:", (int32_t)panel);
        free(out), free(q);
    }
}

static void one_case(const int32_t *lengths, int32_t s, int32_t a, int32_t d, int32_t h, float q_scale) {
    problem p = problem_new(lengths, s, a, d, h, q_scale);
    double *expected = reference(&p), tolerance = TOLERANCE * fmax(1, (double)q_scale);
    size_t  n = (size_t)s * p.width;
    if (check_wrong()) expected[n / 2] += 1e-2;
    for (int l = 0; l < n_levels; l++) {
        float *out = run(levels[l], &p.args, 1);
        for (size_t i = 0; i < n; i++) {
            double error = fabs((double)out[i] - expected[i]);
            CHECK(error <= tolerance,
                  "%s, A %d, D %d, H %d: element %zu of %zu is %.9g, expected %.9g: error %.3g, allowed %.3g",
                  levels[l]->name, (int)a, (int)d, (int)h, i, n, (double)out[i], expected[i], error, tolerance);
            if (q_scale <= 1) largest_error = fmax(largest_error, error);
        }
        check_parts(levels[l], &p, out);
        check_company(levels[l], &p, out);
        check_panels(levels[l], &p, out);
        free(out);
    }
    free(expected);
    problem_free(&p);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_lengths(void **state) {
    (void)state;
    static const int32_t shapes[][3] = {{5, 8, 40}, {9, 8, 72}, {3, 32, 96}, {2, 64, 128},
                                        {2, 40, 72}, {1, 24, 1}, {27, 4, 40}}; /* A, D, H */
    int32_t              lengths[42];
    for (int32_t i = 0; i < 40; i++) lengths[(i * 7) % 40] = i + 1; /* mixed */
    lengths[40] = 128, lengths[41] = 512;
    for (int32_t i = 0; i < COUNT(shapes); i++) one_case(lengths, 42, shapes[i][0], shapes[i][1], shapes[i][2], 1);
}

static void test_numbers_of_texts(void **state) {
    (void)state;
    static const int32_t numbers[] = {1, 2, 3, 4, 5, 7, 33, 70};
    for (int32_t i = 0; i < COUNT(numbers); i++) {
        int32_t lengths[70];
        for (int32_t s = 0; s < numbers[i]; s++) lengths[s] = 1 + (int32_t)(random_u32() % 9);
        one_case(lengths, numbers[i], 12, 16, 192, 1);
    }
}

static void test_shapes_of_models(void **state) {
    (void)state;
    static const int32_t small[] = {27, 9, 61}, base[] = {3, 16, 30};
    one_case(small, COUNT(small), 12, 32, 384, 1);
    one_case(base, COUNT(base), 12, 64, 768, 1);
    one_case(base, COUNT(base), 12, 26, 312, 1); /* rows that begin at no multiple of a vector */
}

/* Scores up to some hundreds, so that one token has nearly all the weight; an error grows with the scores. */
static void test_large_scores(void **state) {
    (void)state;
    static const int32_t lengths[] = {40, 1, 17};
    one_case(lengths, COUNT(lengths), 3, 32, 96, 100);
}

static void test_nothing_to_do(void **state) {
    (void)state;
    const int32_t            cu[] = {0};
    ade_first_attention_args args = {.cu_seqlens = cu, .a = 12, .d = 32, .h = 384};
    for (int l = 0; l < n_levels; l++) free(run(levels[l], &args, 2));
}

static int open_levels(void **state) {
    (void)state;
    levels[n_levels++] = &ade__cpu_kernels_v1;
#ifdef ADE_CPU_LEVELS
    if (ade__isa_best() >= ADE_ISA_AVX2) levels[n_levels++] = &ade__cpu_kernels_v3;
    if (ade__isa_best() >= ADE_ISA_AVX512) levels[n_levels++] = &ade__cpu_kernels_v4;
    if (ade__isa_best() >= ADE_ISA_AVX512_BF16) levels[n_levels++] = &ade__cpu_kernels_v4b;
#endif
    for (int l = 0; l < n_levels; l++) printf("# %s\n", levels[l]->name);
    return 0;
}

static int report(void **state) {
    (void)state;
    printf("# largest error %.2g of the %.2g allowed\n", largest_error, TOLERANCE);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),      cmocka_unit_test(test_numbers_of_texts),
        cmocka_unit_test(test_shapes_of_models), cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_nothing_to_do),
    };
    return cmocka_run_group_tests_name("first_attention", tests, open_levels, report);
}
