/* SPDX-License-Identifier: Apache-2.0
 * Logits, probabilities and token ids against the reference implementation's, which make_golden_model.py wrote.
 *
 * f32 must agree with double precision to rounding; bf16 must decide as f32 does on all but 1 in 1,000 sentences, int8 on all but 3. On a
 * GPU (golden_data.h), f16 logits must be near the reference's, and decisions equal but for ties.
 * ADE_TEST_WRONG=1 falsifies one expectation; the suite must then fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden_data.h"

#include <jansson.h>
#include <math.h>
#include <sha256.h>

#define LOGITS_DEFAULT 2e-5 /* |error| of f32 logits; the default model's logits are of size 5 */
#define LOGITS_SMALL 1e-6   /* tiny_bert_cls: logits of size 0.1 */
#define LOGITS_VARIANTS 5e-6 /* data/models: logits of size 1, weights chosen to amplify */
#define PROBABILITIES 5e-6
#define LOGITS_F16 5e-3      /* on a GPU, for every model */
#define PROBABILITIES_F16 2.5e-3 /* a quarter of the error of a difference of two logits */

static double logits_tolerance(double f32) { return golden_on_gpu() ? LOGITS_F16 : f32; }
static double probabilities_tolerance(void) { return golden_on_gpu() ? PROBABILITIES_F16 : PROBABILITIES; }

static json_t *load_golden(const char *name) {
    char         path[1024];
    json_error_t error;
    json_t      *json = json_load_file(check_path(path, sizeof path, ADE_GOLDEN_DIR, name), JSON_ALLOW_NUL, &error);
    CHECK(json, "%s: %s (line %d)", path, error.text, error.line);
    return json;
}

static double number(const json_t *array, size_t i) { return json_number_value(json_array_get(array, i)); }

static ade_text text_of(const json_t *entry) {
    const json_t *string = json_is_string(entry) ? entry : json_object_get(entry, "text");
    return (ade_text){json_string_value(string), json_string_length(string)};
}

static void check_ids(ade_session *session, ade_text text, const json_t *ids, const char *model, size_t row) {
    ade_tokens_info info;
    ade_token       tokens[512];
    CHECK_OK(ade_tokenize(session, text, tokens, 512, &info));
    CHECK(info.n_tokens == json_array_size(ids), "%s text %zu: %zu tokens instead of %zu", model, row, info.n_tokens,
          json_array_size(ids));
    for (size_t i = 0; i < info.n_tokens; i++) {
        int32_t want = (int32_t)json_integer_value(json_array_get(ids, i));
        CHECK(tokens[i].id == want, "%s text %zu: token %zu is %d, not %d", model, row, i, (int)tokens[i].id, (int)want);
    }
}

/* All texts in one call against a golden object with "items". */
static void check_items(const char *name, ade_model *model, const json_t *texts, const json_t *golden, double tolerance) {
    const json_t  *items = json_object_get(golden, "items");
    size_t         n = json_array_size(items);
    ade_model_info info = ADE_MODEL_INFO_INIT;
    CHECK_OK(ade_model_get_info(model, &info));
    size_t       c = (size_t)info.n_labels;
    ade_session *session = golden_session(model, ADE_PRECISION_F32, 2, 0);
    ade_text    *batch = test_malloc(n * sizeof *batch);
    ade_result  *results = test_malloc(n * sizeof *results);
    float       *logits = test_malloc(n * c * sizeof *logits), *p = test_malloc(n * c * sizeof *p);
    double       worst = 0, worst_p = 0;
    tolerance = logits_tolerance(tolerance);
    double tolerance_p = info.problem == ADE_PROBLEM_REGRESSION ? tolerance : probabilities_tolerance(); /* no sigmoid */
    assert_int_equal(n, json_array_size(texts));
    CHECK(json_integer_value(json_object_get(golden, "max_length")) == info.max_length, "%s: max_length is %d", name,
          (int)info.max_length);
    for (size_t i = 0; i < n; i++) batch[i] = text_of(json_array_get(texts, i));
    CHECK_OK(ade_classify(session, batch, n, results, logits, p));
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(items, i), *expected = json_object_get(item, "logits_f64");
        const json_t *expected_p = json_object_get(item, "probabilities");
        size_t        best = 0;
        assert_int_equal(c, json_array_size(expected));
        check_ids(session, batch[i], json_object_get(item, "ids"), name, i);
        assert_int_equal(results[i].tokens, json_array_size(json_object_get(item, "ids")));
        for (size_t k = 0; k < c; k++) {
            double want = number(expected, k) + (check_wrong() && i == n / 2 && k == 0 ? 1e-2 : 0);
            double error = fabs((double)logits[i * c + k] - want);
            double error_p = fabs((double)p[i * c + k] - number(expected_p, k));
            CHECK(error <= tolerance, "%s text %zu: logit %zu is %.9g, not %.9g: error %.2g, allowed %.2g", name, i, k,
                  (double)logits[i * c + k], want, error, tolerance);
            CHECK(error_p <= tolerance_p, "%s text %zu: probability %zu is %.9g, not %.9g", name, i, k,
                  (double)p[i * c + k], number(expected_p, k));
            if (error > worst) worst = error;
            if (error_p > worst_p) worst_p = error_p;
            if (number(expected, k) > number(expected, best)) best = k;
        }
        if (results[i].label != (int32_t)best)
            CHECK(golden_on_gpu() && number(expected, best) - number(expected, (size_t)results[i].label) < 2 * tolerance,
                  "%s text %zu: the label is %d, not %zu", name, i, (int)results[i].label, best);
        assert_true(results[i].score == p[i * c + (size_t)info.positive_label]);
    }
    printf("# %-20s %2zu texts, %zu labels: largest error of a logit %.1e, of a probability %.1e\n", name, n, c, worst,
           worst_p);
    test_free(batch), test_free(results), test_free(logits), test_free(p);
    ade_session_close(session);
}

/* ---- Small models ------------------------------------------------------------------------------------------------- */

static void test_variants(void **state) {
    (void)state;
    json_t     *golden = load_golden("variants.json"), *entry;
    const char *name;
    CHECK(json_object_size(json_object_get(golden, "models")) >= 10, "variants.json has few models");
    json_object_foreach(json_object_get(golden, "models"), name, entry) {
        char           path[1024], folder[1024];
        ade_model     *model = NULL;
        ade_model_info info = ADE_MODEL_INFO_INIT;
        const json_t  *labels = json_object_get(entry, "labels");
        const char    *problem = json_string_value(json_object_get(entry, "problem_type"));
        const char    *activation = json_string_value(json_object_get(entry, "hidden_act"));
        CHECK_OK(ade_model_open(check_path(folder, sizeof folder, check_path(path, sizeof path, check_data_dir(), "models"),
                                           name), NULL, &model));
        CHECK_OK(ade_model_get_info(model, &info));
        assert_int_equal(info.n_labels, json_array_size(labels));
        for (int32_t i = 0; i < info.n_labels; i++)
            assert_string_equal(ade_model_label(model, i), json_string_value(json_array_get(labels, (size_t)i)));
        assert_int_equal(info.problem, problem && strstr(problem, "multi")        ? ADE_PROBLEM_MULTI_LABEL
                                       : problem && strstr(problem, "regression") ? ADE_PROBLEM_REGRESSION
                                                                                  : ADE_PROBLEM_SINGLE_LABEL);
        assert_string_equal(info.activation, strcmp(activation, "gelu") == 0       ? "gelu_erf"
                                             : strcmp(activation, "gelu_new") == 0 ? "gelu_tanh"
                                                                                   : activation);
        check_items(name, model, json_object_get(golden, "texts"), entry, LOGITS_VARIANTS);
        ade_model_close(model);
    }
    json_decref(golden);
}

static void tricky(const char *name, const char *folder, double tolerance) {
    json_t    *golden = load_golden("tricky.json");
    ade_model *model = NULL;
    CHECK_OK(ade_model_open(folder, NULL, &model));
    check_items(name, model, json_object_get(golden, "texts"), json_object_get(json_object_get(golden, "models"), name),
                tolerance);
    ade_model_close(model);
    json_decref(golden);
}

static void test_tricky_tiny(void **state) {
    (void)state;
    char path[1024];
    tricky("tiny_bert_cls", check_path(path, sizeof path, check_data_dir(), "tiny_bert_cls"), LOGITS_SMALL);
}

/* ---- The default model -------------------------------------------------------------------------------------------- */

/* Without the weights there is nothing to compare; golden values of other weights are an error. */
static void need_default_model(void) {
    if (!golden_has_default_model() || !golden_has(ADE_GOLDEN_DIR "/golden_model.json")) skip();
    json_t     *manifest = load_golden("golden_model.json");
    const char *want = json_string_value(json_object_get(json_object_get(manifest, "model_sha256"), "adesieve-minilm"));
    char        got[SHA256_DIGEST_STRING_LENGTH];
    CHECK(SHA256File(DEFAULT_MODEL "/model.safetensors", got), "the default model's weights cannot be read");
    CHECK(want && strcmp(want, got) == 0, "the golden values were made with other weights (%s) than the model's (%s); run "
          "make_golden_model.py", want ? want : "none", got);
    json_decref(manifest);
}

static void test_tricky_default(void **state) {
    (void)state;
    need_default_model();
    tricky("adesieve-minilm", DEFAULT_MODEL, LOGITS_DEFAULT);
}

typedef struct scored {
    golden_rows rows;
    ade_result *results;
    float      *logits, *probabilities;
} scored;

static scored score_all(int32_t precision) {
    scored     s;
    char       path[1024];
    ade_model *model = NULL;
    s.rows = golden_rows_read(check_path(path, sizeof path, check_data_dir(), "test.csv"));
    assert_int_equal(s.rows.n, 3528);
    s.rows.n = golden_row_limit(s.rows.n);
    s.results = malloc(s.rows.n * sizeof *s.results);
    s.logits = malloc(s.rows.n * 2 * sizeof *s.logits);
    s.probabilities = malloc(s.rows.n * 2 * sizeof *s.probabilities);
    CHECK_OK(ade_model_open(DEFAULT_MODEL, NULL, &model));
    ade_session *session = golden_session(model, precision, 0, 0);
    if (!session) {
        ade_model_close(model);
        free(s.results), free(s.logits), free(s.probabilities);
        golden_rows_free(&s.rows);
        s.results = NULL;
        return s;
    }
    CHECK_OK(ade_classify(session, s.rows.texts, s.rows.n, s.results, s.logits, s.probabilities));
    ade_session_close(session);
    ade_model_close(model);
    return s;
}

static void scored_free(scored *s) {
    golden_rows_free(&s->rows);
    free(s->results), free(s->logits), free(s->probabilities);
}

static double f1(const scored *s) {
    size_t hit = 0, said = 0, is = 0;
    for (size_t i = 0; i < s->rows.n; i++) {
        hit += s->results[i].label == 1 && s->rows.labels[i] == 1;
        said += s->results[i].label == 1;
        is += s->rows.labels[i] == 1;
    }
    return 2.0 * (double)hit / (double)(said + is);
}

static scored f32_scores; /* of all rows, made once */

static void need_f32_scores(void) {
    need_default_model();
    if (!f32_scores.results) f32_scores = score_all(ADE_PRECISION_F32);
}

static FILE *open_golden(const char *name) {
    char  path[1024], line[256];
    FILE *file = fopen(check_path(path, sizeof path, ADE_GOLDEN_DIR, name), "r");
    CHECK(file, "%s cannot be read", path);
    CHECK(fgets(line, sizeof line, file), "%s is empty", path);
    return file;
}

static void test_default_rows(void **state) {
    (void)state;
    need_f32_scores();
    FILE  *file = open_golden("default_rows.csv");
    size_t row, n = 0;
    double f32[2], f64[2], p[2], worst = 0, worst_p = 0;
    while (fscanf(file, "%zu,%lf,%lf,%lf,%lf,%lf,%lf\n", &row, &f32[0], &f32[1], &f64[0], &f64[1], &p[0], &p[1]) == 7) {
        if (row >= f32_scores.rows.n) continue;
        for (int k = 0; k < 2; k++) {
            double error = fabs((double)f32_scores.logits[row * 2 + (size_t)k] - f64[k]);
            double error_p = fabs((double)f32_scores.probabilities[row * 2 + (size_t)k] - p[k]);
            CHECK(error <= logits_tolerance(LOGITS_DEFAULT), "row %zu: logit %d is off by %.2g", row, k, error);
            CHECK(error_p <= probabilities_tolerance(), "row %zu: probability %d is off by %.2g", row, k, error_p);
            if (error > worst) worst = error;
            if (error_p > worst_p) worst_p = error_p;
        }
        n++;
    }
    fclose(file);
    CHECK(n > 500 || f32_scores.rows.n < 3528, "default_rows.csv has %zu rows", n);
    printf("# default model, %s   %zu rows: largest error of a logit %.1e, of a probability %.1e\n",
           golden_on_gpu() ? "f16" : "f32", n, worst, worst_p);
}

static void test_default_all(void **state) {
    (void)state;
    need_f32_scores();
    FILE  *file = open_golden("default_all.csv");
    size_t row, n = 0, other = 0;
    int    predicted;
    double logits[2], worst = 0, tolerance = logits_tolerance(LOGITS_DEFAULT);
    while (fscanf(file, "%zu,%d,%lf,%lf\n", &row, &predicted, &logits[0], &logits[1]) == 4) {
        double error = 0;
        if (row >= f32_scores.rows.n) continue;
        for (int k = 0; k < 2; k++)
            error = fmax(error, fabs((double)f32_scores.logits[row * 2 + (size_t)k] - logits[k]));
        CHECK(error <= tolerance + 1e-6, "row %zu: a logit is off by %.2g", row, error);
        worst = fmax(worst, error);
        if (f32_scores.results[row].label != predicted) {
            CHECK(fabs(logits[0] - logits[1]) < 4 * tolerance, "row %zu is labelled %d", row,
                  (int)f32_scores.results[row].label);
            other++;
        }
        n++;
    }
    fclose(file);
    assert_int_equal(n, f32_scores.rows.n);
    printf("# default model, %s   all rows: largest difference from the reference's f32 %.1e (written with 6 decimals); "
           "%zu other labels; F1 %.4f\n", golden_on_gpu() ? "f16" : "f32", worst, other, f1(&f32_scores));
}

/* At most `allowed` of 1,000 decisions may differ from f32's. */
static void decides_as_f32(int32_t precision, const char *name, size_t allowed) {
    need_f32_scores();
    scored some = score_all(precision);
    if (!some.results) {
        printf("# default model, %s: not on this processor\n", name);
        skip();
    }
    size_t same = 0, n = some.rows.n;
    double worst = 0, mean = 0, worst_p = 0;
    for (size_t i = 0; i < n; i++) {
        same += some.results[i].label == f32_scores.results[i].label;
        for (size_t k = 0; k < 2; k++) {
            double error = fabs((double)some.logits[i * 2 + k] - (double)f32_scores.logits[i * 2 + k]);
            worst = fmax(worst, error);
            mean += error / (double)(2 * n);
        }
        worst_p = fmax(worst_p, fabs((double)some.probabilities[i * 2] - (double)f32_scores.probabilities[i * 2]));
    }
    printf("# default model, %s  %zu of %zu decisions as in f32 (%.3f %%); logits differ by %.3g at most, %.2g on average; "
           "probabilities by %.3g; F1 %.4f (f32: %.4f)\n", name, same, n, 100 * (double)same / (double)n, worst, mean, worst_p,
           f1(&some), f1(&f32_scores));
    CHECK(same * 1000 >= n * (1000 - allowed), "only %zu of %zu decisions are f32's", same, n);
    scored_free(&some);
}

static void test_default_bf16(void **state) {
    (void)state;
    decides_as_f32(ADE_PRECISION_BF16, "bf16", 1);
}

static void test_default_int8(void **state) {
    (void)state;
    decides_as_f32(ADE_PRECISION_INT8, "int8", 3);
}

/* On a GPU: a text of each length at which a kernel changes its way, in one batch, against f32 on the CPU. */
static void test_default_lengths(void **state) {
    (void)state;
    static const char *const WORDS[] = {"the ", "patient ", "was ", "after ", "pain ", "with ", "drug "};
    static const size_t LENGTHS[] = {2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512};
    enum { N = sizeof LENGTHS / sizeof *LENGTHS };
    char                texts[N][512 * 8];
    ade_text            batch[N];
    ade_result          results[N];
    float               f16[N * 2], f32[N * 2];
    double              worst = 0;
    ade_model          *model = NULL;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *cpu = NULL;
    need_default_model();
    for (size_t i = 0; i < N; i++) {
        texts[i][0] = '\0';
        for (size_t k = 0; k + 2 < LENGTHS[i]; k++) strcat(texts[i], WORDS[(k * k + i) % 7]);
        batch[i] = (ade_text){texts[i], strlen(texts[i])};
    }
    CHECK_OK(ade_model_open(DEFAULT_MODEL, NULL, &model));
    options.device = ADE_DEVICE_CPU;
    options.precision = ADE_PRECISION_F32;
    CHECK_OK(ade_session_open(model, &options, &cpu));
    ade_session *gpu = golden_session(model, ADE_PRECISION_F32, 2, 0);
    CHECK_OK(ade_classify(cpu, batch, N, results, f32, NULL));
    CHECK_OK(ade_classify(gpu, batch, N, results, f16, NULL));
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(results[i].tokens, LENGTHS[i]);
        for (size_t k = 2 * i; k < 2 * i + 2; k++) {
            double error = fabs((double)f16[k] - (double)f32[k]);
            CHECK(error <= LOGITS_F16, "%zu tokens: a logit is off by %.2g", LENGTHS[i], error);
            worst = fmax(worst, error);
        }
    }
    printf("# default model, f16   lengths 2 .. 512: largest difference from f32 on the CPU %.1e\n", worst);
    ade_session_close(gpu);
    ade_session_close(cpu);
    ade_model_close(model);
}

static int free_scores(void **state) {
    (void)state;
    if (f32_scores.results) scored_free(&f32_scores);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* as in test_x, or with a wild card */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),       cmocka_unit_test(test_tricky_tiny), cmocka_unit_test(test_tricky_default),
        cmocka_unit_test(test_default_rows),   cmocka_unit_test(test_default_all), cmocka_unit_test(test_default_bf16), cmocka_unit_test(test_default_int8),
    };
    const struct CMUnitTest on_gpu[] = {cmocka_unit_test(test_default_lengths)};
    int                     failed = cmocka_run_group_tests_name("golden", tests, NULL, free_scores);
    if (golden_on_gpu()) failed += cmocka_run_group_tests_name("golden on a GPU", on_gpu, NULL, NULL);
    return failed;
}
