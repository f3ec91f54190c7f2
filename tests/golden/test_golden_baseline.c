/* SPDX-License-Identifier: Apache-2.0
 * Baselines against scikit-learn: baseline.json and the folders baseline/NAME, both of make_golden_baseline.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden_data.h"

#include <jansson.h>
#include <math.h>

static json_t *golden;

/* What rounding to float leaves: half a unit in the last place, and a little for sums. */
static int close_to(float found, double expected) {
    return fabs((double)found - expected) <= 1e-7 * fmax(1, fabs(expected));
}

static ade_text text_of(const json_t *string) {
    return (ade_text){json_string_value(string), json_string_length(string)};
}

static int setup(void **state) {
    json_error_t error;
    (void)state;
    golden = json_load_file(ADE_GOLDEN_DIR "/baseline.json", JSON_ALLOW_NUL, &error);
    if (!golden) fprintf(stderr, "baseline.json: %s\n", error.text);
    return golden ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

static size_t distinct(const ade_token *tokens, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && tokens[k].id != tokens[i].id) k++;
        count += k == i;
    }
    return count;
}

static void check_case(const json_t *one, const json_t *texts) {
    const char  *name = json_string_value(json_object_get(one, "name"));
    size_t       n = json_array_size(texts), c = (size_t)json_integer_value(json_object_get(one, "labels"));
    char         folder[1024];
    ade_model   *model;
    ade_text    *all = calloc(n, sizeof *all);
    ade_result  *results = calloc(n, sizeof *results);
    float       *logits = calloc(n * c, sizeof *logits), *probabilities = calloc(n * c, sizeof *probabilities);
    ade_token    tokens[1024];
    assert_true(all && results && logits && probabilities);
    for (size_t i = 0; i < n; i++) all[i] = text_of(json_array_get(texts, i));
    CHECK_OK(ade_model_open(check_path(folder, sizeof folder, ADE_GOLDEN_DIR "/baseline", name), NULL, &model));
    ade_session *session = golden_session(model, ADE_PRECISION_F64, 2, 0);
    CHECK_OK(ade_classify(session, all, n, results, logits, probabilities));
    for (size_t i = 0; i < n; i++) {
        const json_t   *decisions = json_array_get(json_object_get(one, "decisions"), i);
        const json_t   *expected = json_array_get(json_object_get(one, "probabilities"), i);
        const json_t   *terms = json_array_get(json_object_get(one, "distinct_terms"), i);
        ade_tokens_info info;
        for (size_t k = 0; k < c; k++) {
            size_t at = i * c + k;
            double decision = c == 2 && k == 0 ? 0 : json_number_value(json_array_get(decisions, c == 2 ? 0 : k));
            double probability = json_number_value(json_array_get(expected, k));
            CHECK(close_to(logits[at], decision), "%s, text %zu, label %zu: %.9g, not %.17g", name, i, k, (double)logits[at],
                  decision);
            CHECK(close_to(probabilities[at], probability), "%s, text %zu, label %zu: %.9g, not %.17g", name, i, k,
                  (double)probabilities[at], probability);
            assert_true(probabilities[i * c + (size_t)results[i].label] >= probabilities[at]);
        }
        CHECK_OK(ade_tokenize(session, all[i], tokens, sizeof tokens / sizeof *tokens, &info));
        CHECK((json_int_t)distinct(tokens, info.n_tokens) == json_integer_value(terms), "%s, text %zu: %zu terms, not %lld",
              name, i, distinct(tokens, info.n_tokens), (long long)json_integer_value(terms));
        assert_int_equal(results[i].tokens, info.n_tokens);
        assert_int_equal(results[i].unknown, info.unknown);
    }
    ade_session_close(session);
    ade_model_close(model);
    free(all);
    free(results);
    free(logits);
    free(probabilities);
}

static void test_small_models(void **state) {
    const json_t *small = json_object_get(golden, "small"), *one;
    size_t        i;
    (void)state;
    assert_true(json_array_size(json_object_get(small, "cases")) >= 10);
    json_array_foreach(json_object_get(small, "cases"), i, one) check_case(one, json_object_get(small, "texts"));
}

/* The published baseline: every decision on the test split, and exactly its 349 errors. */
static void test_card(void **state) {
    const json_t *card = json_object_get(golden, "card"), *decisions = json_object_get(card, "decisions");
    const json_t *errors = json_object_get(card, "errors");
    golden_rows   rows = golden_rows_read(ADE_TEST_DATA_DIR "/test.csv");
    ade_model    *model;
    size_t        n_errors = 0, missed = 0;
    (void)state;
    assert_int_equal(rows.n, 3528);
    CHECK_OK(ade_model_open(ADE_MODELS_DIR "/tfidf-logreg", NULL, &model));
    ade_session *session = golden_session(model, ADE_PRECISION_AUTO, 1, 0);
    ade_result  *results = calloc(rows.n, sizeof *results);
    float       *logits = calloc(rows.n, 2 * sizeof *logits);
    assert_true(results && logits);
    CHECK_OK(ade_classify(session, rows.texts, rows.n, results, logits, NULL));
    for (size_t i = 0; i < rows.n; i++) {
        double expected = json_number_value(json_array_get(decisions, i));
        CHECK(fabs((double)logits[2 * i + 1] - expected) < 1e-6, "row %zu: %.9g, not %.9g", i, (double)logits[2 * i + 1],
              expected);
        if (results[i].label == rows.labels[i]) continue;
        assert_int_equal(i, json_integer_value(json_array_get(errors, n_errors)));
        n_errors++;
        missed += rows.labels[i] == 1;
    }
    assert_int_equal(n_errors, check_wrong() ? 350 : 349);
    assert_int_equal(missed, 125);
    free(results);
    free(logits);
    ade_session_close(session);
    ade_model_close(model);
    golden_rows_free(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_models),
        cmocka_unit_test(test_card),
    };
    if (golden_on_gpu()) return 77; /* a baseline runs on the CPU */
    return cmocka_run_group_tests(tests, setup, teardown);
}
