/* SPDX-License-Identifier: Apache-2.0
 * The measures of adesieve evaluate: equal to scikit-learn's (golden/evaluate.json), in memory as by way of a file; the
 * bootstrap and what it draws from; the set of texts that --seen needs. */
/* clang-format off */
/* needs: src/cli/measures.c src/cli/bootstrap.c src/cli/score_curve.c src/cli/evaluation.c src/cli/evaluate_report.c src/cli/evaluate_text.c src/cli/rows.c src/cli/utf8_check.c src/cli/text_set.c src/cli/text_run.c src/cli/texts.c src/cli/input.c src/cli/signals.c src/cli/messages.c src/cli/progress.c src/cli/time_left.c */
/* clang-format on */
#include "bootstrap.h"
#include "evaluate_report.h"
#include "labelled.h"
#include "text_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static json_t *golden; /* golden/evaluate.json */

static json_t *member(const json_t *of, const char *name) {
    json_t *value = json_object_get(of, name);
    CHECK(value, "no member '%s'", name);
    return value;
}

static double real(const json_t *value) { return json_is_null(value) ? NAN : json_number_value(value); }

static void close_to(double found, double expected, const char *name, const char *what) {
    if (isnan(found) && isnan(expected)) return;
    CHECK(fabs(found - expected) <= 1e-12, "%s, %s: %.17g, not %.17g", name, what, found, expected);
}

/* The evaluation of a case, with a curve of so many scores in memory and without a bootstrap. */
static evaluation evaluate(const json_t *one, size_t capacity) {
    const json_t *labels = member(one, "labels"), *predicted = member(one, "predicted"),
                 *scores = member(one, "scores");
    evaluation of;
    assert_int_equal(evaluation_start(&of, (int32_t)json_integer_value(member(one, "n_labels")),
                                      (int32_t)json_integer_value(member(one, "positive")), capacity),
                     0);
    for (size_t i = 0; i < json_array_size(labels); i++) {
        double score = real(json_array_get(scores, i));
        assert_int_equal(evaluation_add(&of, (int32_t)json_integer_value(json_array_get(labels, i)),
                                        (int32_t)json_integer_value(json_array_get(predicted, i)), (float)score, score),
                         SCORE_CURVE_OK);
    }
    assert_int_equal(evaluation_finish(&of, 0, 42, NULL), SCORE_CURVE_OK);
    return of;
}

static void check_case(const json_t *one, const evaluation *of, const char *name) {
    static const struct {
        const char *name;
        size_t      index;
    } counted[] = {{"accuracy", MEASURE_ACCURACY},
                   {"false_positive_rate", MEASURE_FALSE_RATE},
                   {"weighted_precision", MEASURE_WEIGHTED + MEASURE_PRECISION},
                   {"weighted_recall", MEASURE_WEIGHTED + MEASURE_RECALL},
                   {"weighted_f1", MEASURE_WEIGHTED + MEASURE_F1},
                   {"macro_precision", MEASURE_MACRO + MEASURE_PRECISION},
                   {"macro_recall", MEASURE_MACRO + MEASURE_RECALL},
                   {"macro_f1", MEASURE_MACRO + MEASURE_F1}};
    const json_t *values = member(one, "values"), *confusion = member(one, "confusion");
    size_t        labels = (size_t)of->n_labels;
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        close_to(of->values[counted[i].index], real(member(values, counted[i].name)), name, counted[i].name);
    close_to(of->curves.auroc, real(member(values, "auroc")) + (check_wrong() ? 1e-9 : 0), name, "auroc");
    close_to(of->curves.auroc_low, real(member(values, "auroc_low")), name, "auroc_low");
    close_to(of->curves.auroc_high, real(member(values, "auroc_high")), name, "auroc_high");
    close_to(of->curves.average_precision, real(member(values, "average_precision")), name, "average_precision");
    close_to(of->of_scores.brier, real(member(values, "brier")), name, "brier");
    close_to(of->of_scores.log_loss, real(member(values, "log_loss")), name, "log_loss");
    close_to(of->of_scores.ece, real(member(values, "ece")), name, "ece");
    close_to(of->of_calibrated.log_loss, of->of_scores.log_loss, name, "the calibrated value's own sums");
    for (size_t k = 0; k < N_PREVALENCES; k++)
        close_to(of->values[MEASURE_EXPECTED + k], real(json_array_get(member(one, "expected_precision"), k)), name,
                 "expected precision");
    for (size_t i = 0; i < labels; i++) {
        for (size_t k = 0; k < MEASURES_OF_A_LABEL; k++)
            close_to(of->values[MEASURE_LABELS + i * MEASURES_OF_A_LABEL + k],
                     real(json_array_get(json_array_get(member(one, "of_labels"), i), k)), name, "of a label");
        for (size_t j = 0; j < labels; j++)
            assert_int_equal(of->confusion[i * labels + j],
                             json_integer_value(json_array_get(json_array_get(confusion, i), j)));
    }
}

static void golden_cases(void **state) {
    const json_t *cases = member(golden, "cases");
    (void)state;
    assert_true(json_array_size(cases) >= 14);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        static const size_t capacities[] = {0, 2, 3, 7, 64};
        const json_t       *one = json_array_get(cases, i);
        const char         *name = json_string_value(member(one, "name"));
        for (size_t k = 0; k < sizeof capacities / sizeof capacities[0]; k++) {
            evaluation of = evaluate(one, capacities[k]);
            check_case(one, &of, name);
            if (strcmp(name, "scores that all differ") == 0)
                assert_int_equal(score_curve_spilled(of.curve) > 0, capacities[k] > 0);
            evaluation_free(&of);
        }
    }
}

/* Every line of the text, to its last digit. */
static void golden_text(void **state) {
    const json_t     *cases = member(golden, "cases");
    ade_model_options options = ADE_MODEL_OPTIONS_INIT;
    evaluated_model   model = {0};
    settings          wanted = {0};
    evaluate_report   report = {&wanted, &model, 1, 0, NULL, 1, 2, 1, 0};
    char              path[1024];
    (void)state;
    options.labels = "not ADE,ADE";
    CHECK_OK(ade_model_open(check_path(path, sizeof path, check_data_dir(), "tiny_bert_cls"), &options,
                            &model.engine.model));
    model.shown = "tiny";
    wanted.threshold = model.threshold = -1;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i), *lines = json_object_get(one, "lines");
        bytes         text = {0};
        if (!lines) continue;
        report.positive = (int32_t)json_integer_value(member(one, "positive"));
        model.sets[TEXTS_ALL] = evaluate(one, 0);
        /* These cases have no calibration. */
        model.sets[TEXTS_ALL].of_calibrated = (probability_measures){NAN, NAN, NAN};
        evaluate_put_text(&text, &report);
        put_raw(&text, "", 1);
        assert_false(text.failed);
        for (size_t k = 0; k < json_array_size(lines); k++) {
            char line[256];
            snprintf(line, sizeof line, "\n%s\n", json_string_value(json_array_get(lines, k)));
            CHECK(strstr(text.data, line), "%s: no line '%s' in\n%s", json_string_value(member(one, "name")), line,
                  text.data);
        }
        for (const char *line = text.data; *line;) {
            size_t size = strcspn(line, "\n");
            CHECK(size <= 80, "%.*s", (int)size, line);
            line += size + (line[size] != '\0');
        }
        bytes_free(&text);
        evaluation_free(&model.sets[TEXTS_ALL]);
    }
    ade_model_close(model.engine.model);
}

static void mcnemar(void **state) {
    const json_t *pairs = member(golden, "mcnemar");
    (void)state;
    assert_true(json_array_size(pairs) >= 10);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        uint64_t      b = (uint64_t)json_integer_value(json_array_get(pair, 0));
        uint64_t      c = (uint64_t)json_integer_value(json_array_get(pair, 1));
        double        expected = real(json_array_get(pair, 2)), found = mcnemar_exact(b, c);
        CHECK(fabs(found - expected) <= 1e-12 && fabs(found - expected) <= 1e-9 * expected,
              "%llu, %llu: %.17g, not %.17g", (unsigned long long)b, (unsigned long long)c, found, expected);
        assert_true(mcnemar_exact(c, b) == found);
    }
}

/* More runs than are merged at once, of scores that hardly ever are equal. */
static void many_runs(void **state) {
    enum { N = 60000 };
    score_curve   *small = score_curve_new(256), *large = score_curve_new(2 * N);
    curve_measures a, b;
    chance         from;
    (void)state;
    assert_non_null(small);
    assert_non_null(large);
    chance_start(&from, 7);
    for (int i = 0; i < N; i++) {
        float score = (float)(chance_next(&from) >> 40) * 0x1p-24f;
        int   positive = (float)(chance_next(&from) >> 40) * 0x1p-24f < score * score;
        assert_int_equal(score_curve_add(small, score, positive), SCORE_CURVE_OK);
        assert_int_equal(score_curve_add(large, score, positive), SCORE_CURVE_OK);
    }
    assert_int_equal(score_curve_finish(small, &a), SCORE_CURVE_OK);
    assert_int_equal(score_curve_finish(large, &b), SCORE_CURVE_OK);
    assert_true(score_curve_spilled(small) > 200);
    assert_int_equal(score_curve_spilled(large), 0);
    assert_true(a.auroc == b.auroc && a.positives == b.positives && a.negatives == b.negatives);
    close_to(a.average_precision, b.average_precision, "many runs", "average precision");
    close_to(a.auroc_low, b.auroc_low, "many runs", "interval");
    assert_true(a.auroc > 0.7 && a.auroc < 0.95);
    score_curve_free(small);
    score_curve_free(large);
    score_curve_free(NULL);
}

/* A folder that is not there is an error with errno, when a file is needed. */
static void no_temporary_file(void **state) {
    score_curve *curve = score_curve_new(2);
    int          status = SCORE_CURVE_OK;
    (void)state;
    setenv("TMPDIR", "/no/such/folder", 1);
    for (int i = 0; i < 10 && status == SCORE_CURVE_OK; i++) status = score_curve_add(curve, (float)i, i & 1);
    assert_int_equal(status, SCORE_CURVE_FAILED);
    assert_string_equal(score_curve_folder(), "/no/such/folder");
    unsetenv("TMPDIR");
    score_curve_free(curve);
}

/* ---- The bootstrap ---- */

static void chance_is_the_published_one(void **state) {
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240u};
    chance                from = {{1, 2, 3, 4}};
    (void)state;
    for (int i = 0; i < 4; i++) assert_true(chance_next(&from) == expected[i]);
    chance_start(&from, 0);
    assert_true(from.words[0] == 0xe220a8397b1dcdafu && from.words[1] == 0x6e789e6aa1b965f4u);
}

/* Chi-squared against the distribution itself, on both ways of drawing. */
static void binomial_draws(void **state) {
    static const struct {
        uint64_t n;
        double   p;
    } cases[] = {{5, 0.3},   {40, 0.2},     {40, 0.3},     {40, 0.7},
                 {100, 0.5}, {3528, 0.003}, {3528, 0.254}, {1000000, 0.00002}};
    enum { DRAWS = 100000, MOST = 4000 };
    static uint32_t seen[MOST];
    chance          from;
    (void)state;
    chance_start(&from, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double   n = (double)cases[i].n, p = cases[i].p, chi = 0, rest = DRAWS;
        int      freedom = 0;
        uint32_t left = DRAWS;
        memset(seen, 0, sizeof seen);
        for (int k = 0; k < DRAWS; k++) {
            uint64_t drawn = chance_binomial(&from, cases[i].n, p);
            assert_true(drawn <= cases[i].n && drawn < MOST);
            seen[drawn]++;
        }
        for (uint64_t k = 0; k <= cases[i].n && k < MOST; k++) {
            double x = (double)k;
            double expected =
                DRAWS * exp(lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1) + x * log(p) + (n - x) * log1p(-p));
            if (expected < 20) continue; /* together, below */
            chi += (seen[k] - expected) * (seen[k] - expected) / expected;
            rest -= expected;
            left -= seen[k];
            freedom++;
        }
        if (rest > 20) chi += (left - rest) * (left - rest) / rest;
        CHECK(chi < freedom + 5 * sqrt(2.0 * freedom), "n %g, p %g: chi-squared %.1f of %d", n, p, chi, freedom);
    }
    assert_int_equal(chance_binomial(&from, 17, 0), 0);
    assert_int_equal(chance_binomial(&from, 17, 1), 17);
    assert_int_equal(chance_binomial(&from, 0, 0.5), 0);
}

static void bootstrap(void **state) {
    static const struct {
        const char *name;
        size_t      index;
    } measured[] = {{"accuracy", MEASURE_ACCURACY},
                    {"precision", MEASURE_LABELS + MEASURES_OF_A_LABEL + MEASURE_PRECISION},
                    {"recall", MEASURE_LABELS + MEASURES_OF_A_LABEL + MEASURE_RECALL},
                    {"f1", MEASURE_LABELS + MEASURES_OF_A_LABEL + MEASURE_F1},
                    {"false_positive_rate", MEASURE_FALSE_RATE},
                    {"macro_f1", MEASURE_MACRO + MEASURE_F1},
                    {"weighted_f1", MEASURE_WEIGHTED + MEASURE_F1},
                    {"expected_0", MEASURE_EXPECTED},
                    {"expected_3", MEASURE_EXPECTED + 3}};
    const json_t *cases = member(golden, "bootstrap");
    double low[MEASURE_LABELS + 6], high[MEASURE_LABELS + 6], again[MEASURE_LABELS + 6], other[MEASURE_LABELS + 6];
    (void)state;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        uint64_t      confusion[4];
        for (size_t k = 0; k < 4; k++)
            confusion[k] =
                (uint64_t)json_integer_value(json_array_get(json_array_get(member(one, "confusion"), k / 2), k % 2));
        assert_int_equal(bootstrap_intervals(confusion, 2, 1, 40000, 42, NULL, low, high), 0);
        for (size_t k = 0; k < sizeof measured / sizeof measured[0]; k++) {
            const json_t *bounds = member(member(one, "intervals"), measured[k].name);
            double        a = real(json_array_get(bounds, 0)), b = real(json_array_get(bounds, 1));
            /* Chance moves a bound by about a hundredth of the width; counts of few texts come in steps. */
            double slack = 0.03 * (b - a) + (i == 2 ? 0.02 : 0.0005);
            CHECK(fabs(low[measured[k].index] - a) < slack && fabs(high[measured[k].index] - b) < slack,
                  "%s, %s: %.5f to %.5f, not %.5f to %.5f", json_string_value(member(one, "name")), measured[k].name,
                  low[measured[k].index], high[measured[k].index], a, b);
        }
        assert_int_equal(bootstrap_intervals(confusion, 2, 1, 1000, 42, NULL, low, high), 0);
        assert_int_equal(bootstrap_intervals(confusion, 2, 1, 1000, 42, NULL, again, high), 0);
        assert_memory_equal(low, again, sizeof low);
        assert_int_equal(bootstrap_intervals(confusion, 2, 1, 1000, 43, NULL, other, high), 0);
        assert_memory_not_equal(low, other, sizeof low);
    }
}

/* A value that no sample defines has no bounds. */
static void bootstrap_of_one_class(void **state) {
    const uint64_t confusion[4] = {0, 0, 4, 6};
    double         low[MEASURE_LABELS + 6], high[MEASURE_LABELS + 6];
    (void)state;
    assert_int_equal(bootstrap_intervals(confusion, 2, 1, 500, 1, NULL, low, high), 0);
    assert_true(isnan(low[MEASURE_FALSE_RATE]) && isnan(low[MEASURE_EXPECTED]));
    assert_true(isnan(low[MEASURE_LABELS + MEASURE_RECALL])); /* of label 0, which is never true */
    assert_true(low[MEASURE_ACCURACY] < 0.6 && high[MEASURE_ACCURACY] > 0.6);
}

/* Who asks for an end gets it within the samples and within the sorting, and soon. */
static int questions, stop_at;
static int stop_then(void) { return ++questions == stop_at; }

static void bootstrap_that_is_stopped(void **state) {
    enum { SAMPLES = 40000, LABELS = 40 };
    static const uint64_t confusion[4] = {50, 7, 4, 39};
    static uint64_t       many[LABELS * LABELS];
    double     low[MEASURE_LABELS + 3 * LABELS], high[MEASURE_LABELS + 3 * LABELS], other[MEASURE_LABELS + 6];
    int        asked;
    evaluation of;
    (void)state;
    questions = stop_at = 0;
    assert_int_equal(bootstrap_intervals(confusion, 2, 1, SAMPLES, 42, stop_then, low, high), BOOTSTRAP_OK);
    asked = questions;
    assert_true(asked > (int)measures_count(2)); /* the sorting alone asks that often */
    assert_int_equal(bootstrap_intervals(confusion, 2, 1, SAMPLES, 42, NULL, other, high), BOOTSTRAP_OK);
    assert_memory_equal(low, other, sizeof other);
    for (stop_at = 1; stop_at <= asked; stop_at += asked - 1) {
        questions = 0;
        assert_int_equal(bootstrap_intervals(confusion, 2, 1, SAMPLES, 42, stop_then, low, high), BOOTSTRAP_STOPPED);
        assert_int_equal(questions, stop_at);
    }
    /* What counts is the cells that are drawn, not the samples. */
    for (size_t i = 0; i < LABELS * LABELS; i++) many[i] = i % 3;
    questions = 0;
    stop_at = 1;
    assert_int_equal(bootstrap_intervals(many, LABELS, 1, 100, 42, stop_then, low, high), BOOTSTRAP_STOPPED);
    assert_int_equal(evaluation_start(&of, 2, 1, 0), 0);
    assert_int_equal(evaluation_add(&of, 1, 1, 0.5f, -1), SCORE_CURVE_OK);
    questions = 0;
    assert_int_equal(evaluation_finish(&of, SAMPLES, 42, stop_then), EVALUATION_STOPPED);
    evaluation_free(&of);
}

/* ---- The set of texts ---- */

static void digests(void **state) {
    /* The first, second and ninth of the authors' vectors of 128 bits. */
    const unsigned char bytes_[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    text_digest         none = text_set_digest(bytes_, 0), one = text_set_digest(bytes_, 1);
    (void)state;
    assert_true(none.words[0] == 0xe6a825ba047f81a3u && none.words[1] == 0x930255c71472f66du);
    assert_true(one.words[0] == 0x44af996bd8c187dau && one.words[1] == 0x45fc229b11597634u);
}

static void sets(void **state) {
    enum { N = 20000 };
    text_set *set = text_set_new();
    char      text[32];
    ade_text  empty = {NULL, 0};
    (void)state;
    assert_non_null(set);
    assert_false(text_set_has(set, &empty));
    assert_int_equal(text_set_add(set, &empty), 1);
    assert_int_equal(text_set_add(set, &empty), 0);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            ade_text one = {text, (size_t)snprintf(text, sizeof text, "text number %d", i)};
            assert_int_equal(text_set_has(set, &one), round);
            assert_int_equal(text_set_add(set, &one), !round);
        }
    text_set_free(set);
    text_set_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases),
        cmocka_unit_test(golden_text),
        cmocka_unit_test(mcnemar),
        cmocka_unit_test(many_runs),
        cmocka_unit_test(no_temporary_file),
        cmocka_unit_test(chance_is_the_published_one),
        cmocka_unit_test(binomial_draws),
        cmocka_unit_test(bootstrap),
        cmocka_unit_test(bootstrap_of_one_class),
        cmocka_unit_test(bootstrap_that_is_stopped),
        cmocka_unit_test(digests),
        cmocka_unit_test(sets),
    };
    char         path[1024];
    json_error_t error;
    int          failed;
    golden = json_load_file(check_path(path, sizeof path, check_data_dir(), "../golden/evaluate.json"), 0, &error);
    if (!golden) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
