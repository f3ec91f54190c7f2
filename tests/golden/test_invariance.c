/* SPDX-License-Identifier: Apache-2.0
 * A text's logits and probabilities have the same bits alone, in any batch, in any order, with any number of threads
 * and any token budget, and from two sessions at once.
 *
 * The tiny model sees all rows of data/test.csv in every arrangement; the default model every 16th, or all with
 * ADE_TEST_ALL=1 (some minutes). On a GPU: golden_data.h. ADE_TEST_WRONG=1 changes a text; the suite must then fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden_data.h"

#include <pthread.h>

typedef struct scores {
    ade_result *results;
    float      *values; /* (n, 2, 2): logits, probabilities */
} scores;

static golden_rows rows;

static scores scores_new(size_t n) {
    scores s = {calloc(n, sizeof *s.results), calloc(n * 4, sizeof *s.values)};
    if (!s.results || !s.values) abort();
    return s;
}

static void scores_free(scores *s) { free(s->results), free(s->values); }

/* Classifies the texts order[begin..end) in one call and puts the values at the texts' own places. */
static void classify_some(ade_session *session, const size_t *order, size_t begin, size_t end, scores *out) {
    size_t      n = end - begin;
    ade_text   *texts = calloc(n, sizeof *texts);
    ade_result *results = malloc(n * sizeof *results);
    float      *logits = malloc(n * 2 * sizeof *logits), *p = malloc(n * 2 * sizeof *p);
    if (!texts || !results || !logits || !p) abort();
    for (size_t i = 0; i < n; i++) texts[i] = rows.texts[order[begin + i]];
    ade_status status = ade_classify(session, texts, n, results, logits, p);
    if (status != ADE_OK) {
        fprintf(stderr, "ade_classify: %s\n", ade_last_error());
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        size_t row = order[begin + i];
        out->results[row] = results[i];
        memcpy(out->values + row * 4, logits + i * 2, 2 * sizeof *logits);
        memcpy(out->values + row * 4 + 2, p + i * 2, 2 * sizeof *p);
    }
    free(texts), free(results), free(logits), free(p);
}

static void same(const scores *expected, const scores *got, const size_t *order, size_t n, const char *how) {
    for (size_t i = 0; i < n; i++) {
        size_t row = order[i];
        CHECK(memcmp(expected->values + row * 4, got->values + row * 4, 4 * sizeof(float)) == 0,
              "row %zu, %s: logits %.9g %.9g instead of %.9g %.9g", row, how, (double)got->values[row * 4],
              (double)got->values[row * 4 + 1], (double)expected->values[row * 4], (double)expected->values[row * 4 + 1]);
        CHECK(memcmp(&expected->results[row], &got->results[row], sizeof(ade_result)) == 0, "row %zu, %s: another result",
              row, how);
    }
}

typedef struct arrangement {
    const char *name;
    int32_t     threads, budget;
    size_t      at_once; /* texts a call; 0 = all */
    int         shuffled;
} arrangement;

static const arrangement arrangements[] = {
    {"alone", 1, 0, 1, 0},           {"in sevens", 2, 0, 7, 0},       {"shuffled", 2, 0, 0, 1},
    {"1 thread", 1, 0, 0, 0},        {"3 threads", 3, 0, 0, 0},       {"budget 64", 2, 64, 0, 0},
    {"budget 1000", 2, 1000, 0, 0},  {"budget 1000, shuffled, in 100s", 3, 1000, 100, 1}, {"budget 1", 1, 1, 333, 0},
};

static void shuffle(size_t *order, size_t n) {
    uint64_t state = 1;
    for (size_t i = n; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t k = (size_t)(state >> 33) % i, other = order[k];
        order[k] = order[i - 1];
        order[i - 1] = other;
    }
}

static void invariance(const char *folder, int32_t precision, size_t step) {
    ade_model *model = NULL;
    CHECK_OK(ade_model_open(folder, NULL, &model));
    ade_session *session = golden_session(model, precision, 2, 0);
    if (!session) {
        ade_model_close(model);
        printf("# precision %d: not on this processor\n", (int)precision);
        skip();
    }
    size_t  n = 0, *order = malloc(rows.n * sizeof *order), *shuffled = malloc(rows.n * sizeof *shuffled);
    scores  expected = scores_new(rows.n);
    for (size_t i = 0; i < rows.n; i += step) order[n++] = i;
    memcpy(shuffled, order, n * sizeof *order);
    shuffle(shuffled, n);
    classify_some(session, order, 0, n, &expected);
    ade_session_close(session);
    if (check_wrong()) rows.texts[order[n / 2]].size /= 4;
    for (size_t a = 0; a < sizeof arrangements / sizeof *arrangements; a++) {
        const arrangement *how = &arrangements[a];
        const size_t      *in = how->shuffled ? shuffled : order;
        scores             got = scores_new(rows.n);
        session = golden_session(model, precision, how->threads, how->budget);
        for (size_t at = 0; at < n;) {
            size_t end = how->at_once && at + how->at_once < n ? at + how->at_once : n;
            classify_some(session, in, at, end, &got);
            at = end;
        }
        same(&expected, &got, order, n, how->name);
        ade_session_close(session);
        scores_free(&got);
    }
    printf("# %zu rows, %zu arrangements: the same bits\n", n, sizeof arrangements / sizeof *arrangements);
    free(order), free(shuffled);
    scores_free(&expected);
    ade_model_close(model);
}

static const char *tiny_model(char *path, size_t capacity) {
    return check_path(path, capacity, check_data_dir(), "tiny_bert_cls");
}

/* On an emulated GPU a model whose heads have 32 elements: the kernel for the tiny model's 8 would take minutes. */
static const char *small_model(char *path, size_t capacity) {
    char models[1024];
    if (!golden_on_gpu() || golden_row_limit(SIZE_MAX) == SIZE_MAX) return tiny_model(path, capacity);
    return check_path(path, capacity, check_path(models, sizeof models, check_data_dir(), "models"), "head_dim_32");
}

static void test_tiny_f32(void **state) {
    char path[1024];
    (void)state;
    invariance(small_model(path, sizeof path), ADE_PRECISION_F32, 1);
}

static void test_tiny_bf16(void **state) {
    char path[1024];
    (void)state;
    invariance(tiny_model(path, sizeof path), ADE_PRECISION_BF16, 1);
}

static void test_tiny_int8(void **state) {
    char path[1024];
    (void)state;
    invariance(tiny_model(path, sizeof path), ADE_PRECISION_INT8, 1);
}

static size_t default_step(void) { return getenv("ADE_TEST_ALL") ? 1 : 16; }

static void test_default_f32(void **state) {
    (void)state;
    if (!golden_has_default_model()) skip();
    invariance(DEFAULT_MODEL, ADE_PRECISION_F32, default_step());
}

static void test_default_bf16(void **state) {
    (void)state;
    if (!golden_has_default_model()) skip();
    invariance(DEFAULT_MODEL, ADE_PRECISION_BF16, default_step());
}

static void test_default_int8(void **state) {
    (void)state;
    if (!golden_has_default_model()) skip();
    invariance(DEFAULT_MODEL, ADE_PRECISION_INT8, default_step());
}

static const size_t EDGES[] = {2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512};

/* A text of each length from the shortest to the longest, and some beyond the maximum, alone and together. */
static void test_every_length(void **state) {
    (void)state;
    enum { N = 530 };
    char       path[1024], *words = malloc(N * 2 + 1);
    ade_text   texts[N];
    float      together[N * 2], alone[2];
    ade_result results[N], one;
    size_t     lengths[N], n = 0; /* words of each text; two special tokens come on top */
    ade_model *model = NULL;
    CHECK_OK(ade_model_open(tiny_model(path, sizeof path), NULL, &model));
    for (int i = 0; i < N; i++) memcpy(words + 2 * i, i % 3 ? "a " : "b ", 2);
    if (golden_row_limit(SIZE_MAX) == SIZE_MAX) /* every one, unless the device is slow */
        while (n < N) lengths[n] = n, n++;
    else
        for (size_t i = 0; i < sizeof EDGES / sizeof *EDGES; i++) lengths[n++] = EDGES[i] - 2;
    for (size_t i = 0; i < n; i++) texts[i] = (ade_text){words, 2 * lengths[i]};
    static const int32_t PRECISIONS[] = {ADE_PRECISION_F32, ADE_PRECISION_BF16, ADE_PRECISION_INT8};
    for (size_t p = 0; p < sizeof PRECISIONS / sizeof *PRECISIONS; p++) {
        ade_session *session = golden_session(model, PRECISIONS[p], 2, 0);
        if (!session) continue;
        CHECK_OK(ade_classify(session, texts, n, results, together, NULL));
        for (size_t i = 0; i < n; i++) {
            size_t tokens = lengths[i] + 2;
            CHECK_OK(ade_classify(session, &texts[i], 1, &one, alone, NULL));
            CHECK(memcmp(alone, together + 2 * i, sizeof alone) == 0, "%zu words: other bits alone", lengths[i]);
            assert_int_equal(one.tokens, tokens < 512 ? tokens : 512);
            assert_int_equal(one.truncated, tokens > 512);
            assert_memory_equal(&one, &results[i], sizeof one);
        }
        CHECK_OK(ade_classify(session, texts, 0, NULL, NULL, NULL));
        ade_session_close(session);
    }
    ade_model_close(model);
    free(words);
}

/* ---- Two sessions at once ----------------------------------------------------------------------------------------- */

typedef struct runner {
    ade_model *model;
    int32_t    precision;
    scores     got;
} runner;

static void *run(void *argument) {
    runner      *r = argument;
    ade_session *session = golden_session(r->model, r->precision, 2, 0);
    size_t      *order = malloc(rows.n * sizeof *order);
    if (!session || !order) abort();
    for (size_t i = 0; i < rows.n; i++) order[i] = i;
    for (size_t at = 0; at < rows.n; at += 500)
        classify_some(session, order, at, at + 500 < rows.n ? at + 500 : rows.n, &r->got);
    free(order);
    ade_session_close(session);
    return NULL;
}

/* Four threads open sessions of one model at the same time, in two precisions where there are two. */
static void test_sessions_at_once(void **state) {
    (void)state;
    char         path[1024];
    ade_model   *model = NULL;
    pthread_t    threads[4];
    runner       runners[4];
    size_t      *order = malloc(rows.n * sizeof *order);
    CHECK_OK(ade_model_open(small_model(path, sizeof path), NULL, &model));
    ade_session *probe = golden_session(model, ADE_PRECISION_BF16, 1, 0);
    int          bf16 = probe != NULL;
    ade_session_close(probe);
    for (size_t i = 0; i < rows.n; i++) order[i] = i;
    for (int i = 0; i < 4; i++) {
        runners[i] = (runner){model, i % 2 && bf16 ? ADE_PRECISION_BF16 : ADE_PRECISION_F32, scores_new(rows.n)};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    same(&runners[0].got, &runners[2].got, order, rows.n, "at once");
    same(&runners[1].got, &runners[3].got, order, rows.n, "at once");
    for (int i = 0; i < 4; i++) scores_free(&runners[i].got);
    free(order);
    ade_model_close(model);
}

static int read_rows(void **state) {
    char path[1024];
    (void)state;
    rows = golden_rows_read(check_path(path, sizeof path, check_data_dir(), "test.csv"));
    if (rows.n != 3528) return -1;
    rows.n = golden_row_limit(rows.n);
    return 0;
}

static int free_rows(void **state) {
    (void)state;
    golden_rows_free(&rows);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* as in test_x, or with a wild card */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_f32),     cmocka_unit_test(test_tiny_bf16),    cmocka_unit_test(test_default_f32),
        cmocka_unit_test(test_default_bf16), cmocka_unit_test(test_tiny_int8),    cmocka_unit_test(test_default_int8),
        cmocka_unit_test(test_every_length), cmocka_unit_test(test_sessions_at_once),
    };
    return cmocka_run_group_tests_name("invariance", tests, read_rows, free_rows);
}
