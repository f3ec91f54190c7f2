/* SPDX-License-Identifier: Apache-2.0
 * calibrate.c, calibration_fit.c, calibration_file.c: equal to scikit-learn's (golden/calibration.json); what
 * thresholds promise; calibration.json read back, and refused when anything in it is wrong. */
#define _GNU_SOURCE
#include "check.h" /* first: make_files.h has a variable named as its arguments */

#include "make_files.h"

#include "alloc.h"
#include "calibrate.h"
#include "model.h"

#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static json_t                 *golden;
static char                   *label_names[] = {"no", "yes", "perhaps"};
static ade_model               model; /* a folder, labels, and nothing else */
static ade_calibration        *calibration;
static ade_calibration_options options;
static const ade_log           LOG = {keep_log, NULL};

static json_t *member(const json_t *of, const char *name) {
    json_t *value = json_object_get(of, name);
    CHECK(value, "no member '%s'", name);
    return value;
}

static double number(const json_t *of, const char *name) { return json_number_value(member(of, name)); }

static void set_model(int32_t n_labels, int32_t positive) {
    memset(&model, 0, sizeof model);
    model.folder = folder;
    model.name = "a model that is none";
    model.config.n_labels = n_labels;
    model.config.labels = label_names;
    model.config.positive_label = positive;
    model.config.problem = ADE_PROBLEM_SINGLE_LABEL;
    pthread_mutex_init(&model.lock, NULL);
    memset(model.hash, 'a', sizeof model.hash - 1); /* computed already: there are no files */
}

static int setup(void **state) {
    (void)state;
    new_folder();
    set_model(2, 1);
    options = (ade_calibration_options)ADE_CALIBRATION_OPTIONS_INIT;
    options.seed = 42;
    logged[0] = '\0';
    return 0;
}

static int teardown(void **state) {
    ade__calibration_free(calibration);
    calibration = NULL;
    return teardown_folder(state);
}

static ade_status read_file(bool renamed) {
    ade__calibration_free(calibration);
    calibration = NULL;
    return ade__calibration_read(folder, NULL, label_names, model.config.n_labels, model.config.positive_label, renamed,
                                 &LOG, &calibration);
}

/* ---- Data -------------------------------------------------------------------------------------------------------- */

typedef struct texts {
    float   *logits;
    int32_t *labels;
    size_t   n;
} texts;

static void free_texts(texts *t) {
    free(t->logits);
    free(t->labels);
}

static uint64_t random_state = 1;

static double next_random(void) { /* [0, 1) */
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

/* Two labels; logits whose true log-odds are (m - shift) / heat. */
static texts make_texts(size_t n, double shift, double heat, double spread) {
    texts t = {malloc(2 * n * sizeof *t.logits), malloc(n * sizeof *t.labels), n};
    assert_true(t.logits && t.labels);
    for (size_t i = 0; i < n; i++) {
        const double m = spread * (next_random() + next_random() + next_random() - 1.5) * 4;
        t.logits[2 * i] = (float)(next_random() - m / 2);
        t.logits[2 * i + 1] = t.logits[2 * i] + (float)m;
        t.labels[i] = next_random() < 1 / (1 + exp(-(m - shift) / heat));
    }
    return t;
}

static void must_fit(const texts *t) {
    CHECK_OK(ade__calibration_fit(&model, t->logits, t->labels, t->n, &options, NULL));
    CHECK_OK(read_file(false));
    assert_non_null(calibration);
}

static texts golden_texts(const json_t *one) {
    const json_t *logits = member(one, "logits"), *labels = member(one, "labels");
    texts         t = {calloc(json_array_size(logits), sizeof *t.logits),
                       calloc(json_array_size(labels), sizeof *t.labels), json_array_size(labels)};
    assert_true(t.logits && t.labels);
    for (size_t i = 0; i < json_array_size(logits); i++)
        t.logits[i] = (float)json_number_value(json_array_get(logits, i));
    for (size_t i = 0; i < t.n; i++) t.labels[i] = (int32_t)json_integer_value(json_array_get(labels, i));
    set_model((int32_t)json_integer_value(member(one, "n_labels")),
              (int32_t)json_integer_value(member(one, "positive")));
    return t;
}

/* ---- Golden ------------------------------------------------------------------------------------------------------ */

static void close_to(double found, double expected, double within, const char *name, const char *what) {
    if (check_wrong()) expected += 0.01;
    CHECK(fabs(found - expected) <= within * fmax(1, fabs(expected)), "%s, %s: %.12g, not %.12g", name, what, found,
          expected);
}

static void check_method(const json_t *one, const texts *t, const char *name, int32_t method) {
    const json_t *expected = member(member(one, "methods"), ade__calibration_method_name(method));
    const json_t *after = member(expected, "after"), *before = member(one, "before");
    const json_t *values = member(expected, "calibrated");
    double        found[64];
    options.method = method;
    must_fit(t);
    const ade_calibration_info *info = &calibration->info;
    assert_int_equal(info->method, method);
    if (method == ADE_CALIBRATION_TEMPERATURE)
        close_to(info->temperature, number(expected, "temperature"), 1e-6, name, "temperature");
    if (method == ADE_CALIBRATION_PLATT) {
        close_to(info->slope, number(expected, "slope"), 1e-6, name, "slope");
        close_to(info->offset, number(expected, "offset"), 1e-6, name, "offset");
    }
    close_to(info->log_loss_before, number(before, "log_loss"), 1e-9, name, "log-loss before");
    close_to(info->ece_before, number(before, "ece"), 1e-9, name, "ECE before");
    close_to(calibration->brier_before, number(before, "brier"), 1e-9, name, "Brier before");
    close_to(info->log_loss_after, number(after, "log_loss"), 1e-6, name, "log-loss after");
    close_to(calibration->brier_after, number(after, "brier"), 1e-6, name, "Brier after");
    /* pooled shares such as 3/15 lie on the edges of bins, where the last bit decides */
    close_to(info->ece_after, number(after, "ece"), method == ADE_CALIBRATION_ISOTONIC ? 0.02 : 1e-6, name,
             "ECE after");
    CHECK_OK(ade__calibrate(calibration, t->logits, json_array_size(values), 0, found));
    for (size_t i = 0; i < json_array_size(values); i++)
        close_to(found[i], json_number_value(json_array_get(values, i)), 1e-6, name, "a calibrated value");
}

static void test_golden_methods(void **state) {
    (void)state;
    for (size_t i = 0; i < json_array_size(member(golden, "cases")); i++) {
        const json_t *one = json_array_get(member(golden, "cases"), i);
        const char   *name = json_string_value(member(one, "name"));
        texts         t = golden_texts(one);
        for (int32_t m = ADE_CALIBRATION_TEMPERATURE; m <= ADE_CALIBRATION_ISOTONIC; m++)
            check_method(one, &t, name, m);
        options.method = ADE_CALIBRATION_AUTO;
        must_fit(&t);
        assert_string_equal(ade__calibration_method_name(calibration->info.method),
                            json_string_value(member(one, "auto")));
        free_texts(&t);
    }
}

static void check_shares(const json_t *expected, const char *what, double share, double low, double high,
                         const char *name) {
    const json_t *list = member(expected, what);
    close_to(share, json_number_value(json_array_get(list, 0)), 1e-9, name, what);
    close_to(low, json_number_value(json_array_get(list, 1)), 1e-9, name, what);
    close_to(high, json_number_value(json_array_get(list, 2)), 1e-9, name, what);
}

static void test_golden_points(void **state) {
    (void)state;
    for (size_t i = 0; i < json_array_size(member(golden, "cases")); i++) {
        const json_t *one = json_array_get(member(golden, "cases"), i), *points = member(one, "points");
        const char   *name = json_string_value(member(one, "name"));
        texts         t = golden_texts(one);
        must_fit(&t);
        for (size_t k = 0; k < json_array_size(points); k++) {
            const json_t       *expected = json_array_get(points, k);
            const char         *target = json_string_value(member(expected, "target"));
            ade_operating_point p = ADE_OPERATING_POINT_INIT;
            ade_status          status =
                ade__operating_point(calibration,
                                     *target == 'p'    ? ADE_TARGET_PRECISION
                                     : target[2] == 'c' ? ADE_TARGET_RECALL
                                                        : ADE_TARGET_REVIEW,
                                     number(expected, "value"), number(expected, "prevalence"), &p);
            if (!json_object_get(expected, "threshold")) {
                assert_int_equal(status, ADE_UNSUPPORTED);
                continue;
            }
            CHECK_OK(status);
            close_to(p.threshold, number(expected, "threshold"), 1e-6, name, "threshold");
            check_shares(expected, "recall", p.recall, p.recall_low, p.recall_high, name);
            check_shares(expected, "precision", p.precision, p.precision_low, p.precision_high, name);
            check_shares(expected, "review", p.review, p.review_low, p.review_high, name);
        }
        free_texts(&t);
    }
}

/* ---- Thresholds -------------------------------------------------------------------------------------------------- */

/* What a threshold finds, counted anew: score >= threshold as floats. */
static void count(const texts *t, double threshold, double *recall, double *precision, double *review) {
    double tp = 0, fp = 0, positives = 0;
    for (size_t i = 0; i < t->n; i++) {
        const bool found = (double)ade__softmax_score(t->logits + 2 * i, 2, 1) >= (double)(float)threshold;
        positives += t->labels[i];
        tp += found && t->labels[i];
        fp += found && !t->labels[i];
    }
    *recall = tp / positives;
    *precision = tp + fp > 0 ? tp / (tp + fp) : 0;
    *review = (tp + fp) / (double)t->n;
}

static void check_interval(double low, double share, double high) {
    assert_true(0 <= low && low <= share && share <= high && high <= 1);
}

static void check_point(const texts *t, const ade_operating_point *p) {
    double recall, precision, review;
    assert_true(p->threshold == (double)(float)p->threshold);
    count(t, p->threshold, &recall, &precision, &review);
    assert_true(p->recall == recall);
    if (p->prevalence == calibration->info.prevalence) {
        assert_true(p->precision == precision);
        assert_true(p->review == review);
    }
    check_interval(p->recall_low, p->recall, p->recall_high);
    check_interval(p->precision_low, p->precision, p->precision_high);
    check_interval(p->review_low, p->review, p->review_high);
}

static void test_targets(void **state) {
    texts t = make_texts(2000, 1, 1, 1);
    (void)state;
    must_fit(&t);
    for (int step = 1; step <= 100; step++) {
        for (int32_t target = ADE_TARGET_RECALL; target <= ADE_TARGET_REVIEW; target++) {
            for (int given = 0; given < 2; given++) {
                const double        value = step / 100.0, prevalence = given ? 0.02 : 0;
                ade_operating_point p = ADE_OPERATING_POINT_INIT, same = ADE_OPERATING_POINT_INIT;
                ade_status          status = ade__operating_point(calibration, target, value, prevalence, &p);
                if (status == ADE_UNSUPPORTED && target != ADE_TARGET_RECALL) {
                    assert_error_has(target == ADE_TARGET_PRECISION ? "the best is" : "the least is");
                    continue;
                }
                CHECK_OK(status);
                check_point(&t, &p);
                assert_true(p.prevalence == (given ? 0.02 : calibration->info.prevalence));
                if (target == ADE_TARGET_RECALL) assert_true(p.recall >= value);
                if (target == ADE_TARGET_PRECISION) assert_true(p.precision >= value);
                if (target == ADE_TARGET_REVIEW) assert_true(p.review <= value);
                CHECK_OK(ade__operating_point(calibration, ADE_TARGET_SCORE, p.threshold, prevalence, &same));
                assert_memory_equal(&p, &same, sizeof p);
            }
        }
    }
    free_texts(&t);
}

/* The highest threshold with a recall: the next float up has less. The lowest for the others: the next score down. */
static void test_targets_are_tight(void **state) {
    texts               t = make_texts(500, 1, 1, 1);
    ade_operating_point p = ADE_OPERATING_POINT_INIT, next = ADE_OPERATING_POINT_INIT;
    (void)state;
    must_fit(&t);
    CHECK_OK(ade__operating_point(calibration, ADE_TARGET_RECALL, 0.9, 0, &p));
    CHECK_OK(ade__operating_point(calibration, ADE_TARGET_SCORE, (double)nextafterf((float)p.threshold, 2), 0, &next));
    assert_true(next.recall < 0.9);
    CHECK_OK(ade__operating_point(calibration, ADE_TARGET_REVIEW, 0.1, 0, &p));
    for (size_t i = 0; i + 1 < calibration->n_curve; i++)
        if ((double)calibration->curve[i].score == p.threshold)
            CHECK_OK(
                ade__operating_point(calibration, ADE_TARGET_SCORE, (double)calibration->curve[i + 1].score, 0, &next));
    assert_true(next.threshold < p.threshold && next.review > 0.1);
    free_texts(&t);
}

static void test_scores_as_thresholds(void **state) {
    texts               t = make_texts(300, 0, 1, 1);
    ade_operating_point p = ADE_OPERATING_POINT_INIT;
    (void)state;
    must_fit(&t);
    for (int i = 0; i <= 50; i++) { /* also ones that are no text's score, and those of doubles */
        CHECK_OK(ade__operating_point(calibration, ADE_TARGET_SCORE, i / 50.0, 0, &p));
        check_point(&t, &p);
    }
    CHECK_OK(ade__operating_point(calibration, ADE_TARGET_SCORE, 0, 0, &p));
    assert_true(p.recall == 1 && p.recall_high == 1 && p.review == 1);
    CHECK_OK(ade__operating_point(calibration, ADE_TARGET_SCORE, 7, 0, &p)); /* nothing is found */
    assert_true(p.recall == 0 && p.precision == 0 && p.precision_low == 0 && p.precision_high == 1 && p.review == 0);
    assert_true(p.recall_high > 0);
    free_texts(&t);
}

static void test_bad_targets(void **state) {
    static const struct {
        int32_t    target;
        double     value, prevalence;
        ade_status status;
        const char *words;
    } ROWS[] = {
        {ADE_TARGET_RECALL, 0, 0, ADE_INVALID_ARGUMENT, "a recall of 0 is not possible"},
        {ADE_TARGET_RECALL, 1.01, 0, ADE_INVALID_ARGUMENT, "a recall of 1.01"},
        {ADE_TARGET_PRECISION, NAN, 0, ADE_INVALID_ARGUMENT, "a precision of nan"},
        {ADE_TARGET_REVIEW, -1, 0, ADE_INVALID_ARGUMENT, "a share to review of -1"},
        {ADE_TARGET_SCORE, INFINITY, 0, ADE_INVALID_ARGUMENT, "threshold of inf"},
        {ADE_TARGET_SCORE, 1e300, 0, ADE_INVALID_ARGUMENT, "threshold of 1e+300"},
        {4, 0.5, 0, ADE_INVALID_ARGUMENT, "the target is 4"},
        {-1, 0.5, 0, ADE_INVALID_ARGUMENT, "the target is -1"},
        {ADE_TARGET_RECALL, 0.5, 1, ADE_INVALID_ARGUMENT, "prevalence of 1"},
        {ADE_TARGET_RECALL, 0.5, -0.1, ADE_INVALID_ARGUMENT, "prevalence of -0.1"},
        {ADE_TARGET_RECALL, 0.5, NAN, ADE_INVALID_ARGUMENT, "prevalence of nan"},
        {ADE_TARGET_PRECISION, 1, 1e-9, ADE_UNSUPPORTED,
         "no threshold reaches a precision of 1 at a prevalence of 1e-09"},
        {ADE_TARGET_REVIEW, 1e-4, 0, ADE_UNSUPPORTED, "no threshold finds as little as 0.0001"},
    };
    texts t = make_texts(300, 0, 3, 0.5);
    (void)state;
    t.logits[0] = 0; /* the highest score is a negative text's, so precision is never 1 */
    t.logits[1] = 60;
    t.labels[0] = 0;
    must_fit(&t);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        ade_operating_point p = ADE_OPERATING_POINT_INIT, untouched = p;
        CHECK_STATUS(ade__operating_point(calibration, ROWS[i].target, ROWS[i].value, ROWS[i].prevalence, &p),
                     ROWS[i].status);
        assert_error_has(ROWS[i].words);
        assert_memory_equal(&p, &untouched, sizeof p);
    }
    free_texts(&t);
}

static void test_thinned_curve(void **state) {
    texts    t = make_texts(60000, 2, 1, 1);
    uint64_t tp = 0, fp = 0;
    (void)state;
    must_fit(&t);
    assert_true(calibration->n_curve > 2000 && calibration->n_curve <= 4001);
    for (int step = 5; step <= 100; step += 5) {
        ade_operating_point p = ADE_OPERATING_POINT_INIT;
        CHECK_OK(ade__operating_point(calibration, ADE_TARGET_RECALL, step / 100.0, 0, &p));
        check_point(&t, &p);
        assert_true(p.recall >= step / 100.0 && p.recall <= step / 100.0 + 1.0 / 2000 + 1e-3);
    }
    for (size_t i = 0; i + 1 < calibration->n_curve; i++) {
        const ade_curve_point *at = &calibration->curve[i];
        assert_true(i == 0 || (at->true_positives - tp) * 2000 >= calibration->info.n_positive ||
                    (at->false_positives - fp) * 2000 >= calibration->info.n - calibration->info.n_positive);
        tp = at->true_positives;
        fp = at->false_positives;
    }
    free_texts(&t);
}

/* ---- Calibrated values ------------------------------------------------------------------------------------------- */

static void test_calibrated_values(void **state) {
    texts t = make_texts(600, 1, 2, 1);
    (void)state;
    for (int32_t m = ADE_CALIBRATION_TEMPERATURE; m <= ADE_CALIBRATION_ISOTONIC; m++) {
        double before = 0, own, shifted, odds;
        options.method = m;
        must_fit(&t);
        for (int i = -200; i <= 200; i++) { /* never falls as the score rises */
            const float logits[2] = {0, (float)i};
            CHECK_OK(ade__calibrate(calibration, logits, 1, 0, &own));
            assert_true(own >= before && own <= 1);
            before = own;
            if (i < -8 || i > 8) continue;
            CHECK_OK(ade__calibrate(calibration, logits, 1, 0.02, &shifted)); /* Bayes' rule */
            odds =
                own / (1 - own) * (0.02 / 0.98) / (calibration->info.prevalence / (1 - calibration->info.prevalence));
            assert_true(fabs(shifted - odds / (1 + odds)) < 1e-12);
            CHECK_OK(ade__calibrate(calibration, logits, 1, calibration->info.prevalence, &shifted));
            assert_true(fabs(shifted - own) < 1e-15);
        }
    }
    free_texts(&t);
}

static void test_bad_values(void **state) {
    texts  t = make_texts(100, 0, 1, 1);
    double out[2] = {7, 7};
    (void)state;
    must_fit(&t);
    const float bad[][4] = {{0, 1, NAN, 0}, {0, 1, 0, INFINITY}, {0, 1, -INFINITY, 0}};
    for (size_t i = 0; i < 3; i++) {
        CHECK_STATUS(ade__calibrate(calibration, bad[i], 2, 0, out), ADE_INVALID_ARGUMENT);
        assert_error_has("text 1: logit");
        assert_true(out[0] == 7);
        assert_true(ade__calibrate_one(calibration, bad[i] + 2, 0) == -1);
    }
    CHECK_STATUS(ade__calibrate(calibration, t.logits, 1, 2, out), ADE_INVALID_ARGUMENT);
    assert_true(out[0] == 7);
    const float huge[] = {-3e38f, 3e38f, 3e38f, -3e38f};
    CHECK_OK(ade__calibrate(calibration, huge, 2, 0, out));
    assert_true(out[0] > 0.99 && out[1] < 0.01);
    CHECK_OK(ade__calibrate(calibration, huge, 0, 0, out));
    free_texts(&t);
}

/* ---- Fitting ----------------------------------------------------------------------------------------------------- */

static void test_refused_data(void **state) {
    texts t = make_texts(100, 0, 1, 1);
    (void)state;
    for (size_t i = 0; i < 100; i++) t.labels[i] = i < 9;
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_INVALID_ARGUMENT);
    assert_error_has("there are 9 texts with the label \"yes\" and 91 with another one");
    for (size_t i = 0; i < 100; i++) t.labels[i] = i > 8;
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_INVALID_ARGUMENT);
    CHECK_STATUS(ade__calibration_fit(&model, NULL, NULL, 0, &options, NULL), ADE_INVALID_ARGUMENT);
    for (size_t i = 0; i < 100; i++) t.labels[i] = i % 2;
    for (int32_t wrong = -1; wrong <= 2; wrong += 3) {
        t.labels[3] = wrong;
        CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_INVALID_ARGUMENT);
        assert_error_has("text 3: the label");
    }
    t.labels[3] = 1;
    t.logits[7] = NAN;
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_INVALID_ARGUMENT);
    assert_error_has("text 3: logit 1 is not a finite number");
    t.logits[7] = 0;
    model.config.problem = ADE_PROBLEM_MULTI_LABEL;
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_UNSUPPORTED);
    assert_error_has("multi-label");
    model.config.problem = ADE_PROBLEM_REGRESSION;
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL), ADE_UNSUPPORTED);
    model.config.problem = ADE_PROBLEM_SINGLE_LABEL;
    static const struct {
        ade_calibration_options options;
        const char             *words;
    } ROWS[] = {{{.method = 4}, "the method is 4"},      {{.method = -1}, "the method is -1"},
                {{.folds = 1}, "1 folds"},               {{.folds = 101}, "101 folds"},
                {{.reserved = 1}, "reserved"},           {{.data = "two\nlines"}, "one line"},
                {{.data = "\xff"}, "not valid UTF-8"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &ROWS[i].options, NULL),
                     ADE_INVALID_ARGUMENT);
        assert_error_has(ROWS[i].words);
    }
    assert_int_equal(access(path_in(ADE_CALIBRATION_FILE), F_OK), -1); /* nothing was written */
    free_texts(&t);
}

/* Data at the edges of what can be fitted. */
static void test_odd_data(void **state) {
    texts t = make_texts(100, 0, 1, 1);
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < t.n; i++) {
            t.labels[i] = i < 40;
            t.logits[2 * i] = 0;
            t.logits[2 * i + 1] = kind == 0   ? (i < 40 ? 2 : -1)                        /* a line parts them */
                                  : kind == 1 ? (i < 40 ? -1.0f : 1.0f) - (float)i * 0.01f /* the wrong way round */
                                  : kind == 2 ? 0.25f                                    /* the same score for all */
                                              : (i < 40 ? 3e38f : -3e38f);
        }
        for (int32_t m = ADE_CALIBRATION_AUTO; m <= ADE_CALIBRATION_ISOTONIC; m++) {
            options.method = m;
            if (kind == 1 && m == ADE_CALIBRATION_PLATT) {
                CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL),
                             ADE_INVALID_ARGUMENT);
                assert_error_has("check the labels");
                continue;
            }
            must_fit(&t);
            double out[100];
            CHECK_OK(ade__calibrate(calibration, t.logits, t.n, 0, out));
            for (size_t i = 0; i < t.n; i++) assert_true(out[i] >= 0 && out[i] <= 1);
            assert_true(isfinite(calibration->info.log_loss_after));
            if (kind == 0 || kind == 3) assert_true(out[0] > 0.97 && out[99] < 0.03);
            if (kind == 2 && m == ADE_CALIBRATION_PLATT) assert_true(fabs(out[0] - 0.4) < 1e-9);
        }
    }
    free_texts(&t);
}

static void test_seeds_and_folds(void **state) {
    texts  t = make_texts(400, 1, 2, 1);
    double first;
    (void)state;
    options.method = ADE_CALIBRATION_PLATT;
    must_fit(&t);
    first = calibration->info.log_loss_after;
    const double slope = calibration->info.slope;
    must_fit(&t);
    assert_true(calibration->info.log_loss_after == first); /* the same again */
    options.seed = UINT64_MAX;
    must_fit(&t);
    assert_true(calibration->info.log_loss_after != first && calibration->info.slope == slope);
    options.folds = 100;
    must_fit(&t);
    assert_int_equal(calibration->folds, 100);
    free_texts(&t);
}

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static void test_read_back(void **state) {
    texts t = make_texts(50, 1, 2, 1);
    char  path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/%s", folder, "elsewhere.json");
    options.data = "quotes \" and \\, tab-free, \xc3\xa9";
    for (int32_t m = ADE_CALIBRATION_TEMPERATURE; m <= ADE_CALIBRATION_ISOTONIC; m++) {
        ade_calibration *other = NULL;
        options.method = m;
        must_fit(&t);
        assert_string_equal(calibration->info.data, options.data);
        assert_string_equal(calibration->info.model, model.hash);
        assert_int_equal(calibration->info.n, 50);
        /* every number is written so that it comes back: what is read and written again is the same file */
        CHECK_OK(ade__calibration_write(calibration, label_names, path));
        size_t size[2];
        char  *text[2] = {read_path(path_in(ADE_CALIBRATION_FILE), &size[0]), read_path(path, &size[1])};
        char  *seed = strstr(text[0], "\"seed\": \"42\"");
        assert_non_null(seed);
        seed[9] = '0'; /* not read, so not written again */
        seed[10] = '"';
        memmove(seed + 11, seed + 12, strlen(seed + 12) + 1);
        assert_string_equal(text[0], text[1]);
        free(text[0]);
        free(text[1]);
        CHECK_OK(ade__calibration_read("/nowhere", path, label_names, 2, 1, false, &LOG, &other));
        assert_int_equal(other->n_curve, calibration->n_curve);
        ade__calibration_free(other);
    }
    assert_string_equal(logged, "");
    for (int i = 0; i < 200; i++) { /* to the last bit */
        ade_calibration *other = NULL;
        calibration->map.method = ADE_CALIBRATION_PLATT;
        calibration->map.slope = next_random() * exp(40 * next_random());
        calibration->map.offset = -next_random();
        calibration->curve[0].score = 1 - (float)next_random() / 1000;
        CHECK_OK(ade__calibration_write(calibration, label_names, path));
        CHECK_OK(ade__calibration_read("/nowhere", path, label_names, 2, 1, false, &LOG, &other));
        assert_true(other->map.slope == calibration->map.slope && other->map.offset == calibration->map.offset);
        assert_true(other->curve[0].score == calibration->curve[0].score);
        ade__calibration_free(other);
    }
    ade_calibration *none = NULL;
    CHECK_STATUS(ade__calibration_read("/nowhere", "/nowhere/x.json", label_names, 2, 1, false, &LOG, &none), ADE_IO);
    assert_error_has("/nowhere/x.json: there is no such file");
    new_folder();
    CHECK_OK(read_file(false)); /* no calibration is fine */
    assert_null(calibration);
    free_texts(&t);
}

static void test_locale(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "ps_AF.UTF-8"};
    texts                    t = make_texts(50, 1, 2, 1);
    const char              *found = NULL;
    (void)state;
    for (size_t i = 0; i < 4 && !found; i++) found = setlocale(LC_NUMERIC, names[i]);
    must_fit(&t);
    size_t size;
    char  *there = read_path(path_in(ADE_CALIBRATION_FILE), &size);
    setlocale(LC_NUMERIC, "C");
    must_fit(&t);
    char *here = read_path(path_in(ADE_CALIBRATION_FILE), &size);
    assert_string_equal(here, there);
    free(here);
    free(there);
    free_texts(&t);
    if (!found) skip(); /* none of them is installed */
}

static void test_writing(void **state) {
    texts       t = make_texts(50, 1, 2, 1);
    char        path[128];
    struct stat before, after;
    (void)state;
    snprintf(path, sizeof path, "%s/no/such.json", folder);
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, path), ADE_IO);
    assert_error_has("no/such.json: cannot be made");
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, folder), ADE_IO);
    assert_error_has("is not a regular file");
    CHECK_STATUS(ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, "/dev/null"), ADE_IO);
    must_fit(&t);
    assert_int_equal(stat(path_in(ADE_CALIBRATION_FILE), &before), 0);
    struct rlimit room = {100, RLIM_INFINITY}, all; /* a disk that gets full: the older file stays */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    room.rlim_max = all.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
    ade_status status = ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    CHECK_STATUS(status, ADE_IO);
    assert_error_has("cannot be written");
    CHECK_OK(read_file(false));
    must_fit(&t);
    assert_int_equal(stat(path_in(ADE_CALIBRATION_FILE), &after), 0);
    assert_true(before.st_ino != after.st_ino); /* replaced as a whole */
    DIR           *list = opendir(folder);
    struct dirent *entry;
    assert_non_null(list);
    while ((entry = readdir(list))) /* and nothing beside it stays */
        assert_true(entry->d_name[0] == '.' || strcmp(entry->d_name, ADE_CALIBRATION_FILE) == 0);
    closedir(list);
    free_texts(&t);
}

/* A whole file, in which each row below makes one thing wrong. */
static const char GOOD[] =
    "{\"format\": \"adesieve calibration\", \"version\": 1, \"adesieve\": \"0.1.0\", \"labels\": [\"no\", \"yes\"],"
    "\"positive\": 1, \"method\": \"isotonic\", \"temperature\": 1.5, \"slope\": 2, \"offset\": -1,"
    "\"log_odds\": [-1, 0.5, 2], \"probabilities\": [0.1, 0.1, 0.75], \"data\": \"val.csv\", \"n\": 20,"
    "\"n_positive\": 5, \"prevalence\": 0.25, \"folds\": 10, \"seed\": \"42\","
    "\"log_loss\": {\"before\": 0.5, \"after\": 0.4}, \"brier\": {\"before\": 0.25, \"after\": 0.2},"
    "\"ece\": {\"before\": 0.1, \"after\": 0.05}, \"scores\": [0.875, 0.5, 0.25], \"true_positives\": [3, 4, 5],"
    "\"false_positives\": [0, 6, 15]}";

static void test_bad_files(void **state) {
    static const struct {
        const char *from, *to, *words;
    } ROWS[] = {
        {"\"adesieve calibration\"", "\"another\"", "\"format\" is not"},
        {"\"format\": ", "\"Format\": ", "\"format\" is not"},
        {"\"version\": 1", "\"version\": 2", "version 2, this adesieve reads version 1"},
        {"\"version\": 1", "\"version\": 0", "\"version\" is 0"},
        {"\"version\": 1", "\"version\": \"1\"", "\"version\" is missing or no whole number"},
        {"[\"no\", \"yes\"]", "[\"no\"]", "names 1 labels, and the model has 2"},
        {"[\"no\", \"yes\"]", "[\"no\", \"yes\", \"x\"]", "names 3 labels"},
        {"[\"no\", \"yes\"]", "[\"yes\", \"no\"]", "label 0 is \"yes\" in it and \"no\" in the model"},
        {"[\"no\", \"yes\"]", "[\"no\", 7]", "item 1 of \"labels\" is no text"},
        {"[\"no\", \"yes\"]", "[]", "\"labels\" is empty"},
        {"[\"no\", \"yes\"]", "7", "\"labels\" is missing or no list"},
        {"\"positive\": 1", "\"positive\": 2", "\"positive\" is 2"},
        {"\"positive\": 1", "\"positive\": -1", "\"positive\" is -1"},
        {"\"positive\": 1", "\"positive\": 1.0", "\"positive\" is missing or no whole number"},
        {"\"isotonic\"", "\"beta\"", "\"method\" is \"beta\""},
        {"\"isotonic\"", "\"auto\"", "\"method\" is \"auto\""},
        {"\"isotonic\"", "null", "\"method\" is missing"},
        {"\"isotonic\", \"temperature\": 1.5", "\"temperature\", \"temperature\": 0", "\"temperature\" is 0"},
        {"\"isotonic\", \"temperature\": 1.5", "\"temperature\", \"temperature\": -2", "\"temperature\" is -2"},
        {"\"isotonic\", \"temperature\": 1.5", "\"temperature\"", "\"temperature\" is missing"},
        {"\"isotonic\", \"temperature\": 1.5, \"slope\": 2", "\"platt\", \"slope\": -2", "\"slope\" is -2"},
        {"\"isotonic\", \"temperature\": 1.5, \"slope\": 2", "\"platt\", \"slope\": \"2\"", "\"slope\" is missing"},
        {"\"isotonic\", \"temperature\": 1.5, \"slope\": 2, \"offset\": -1", "\"platt\", \"slope\": 2", "\"offset\""},
        {"[-1, 0.5, 2]", "[-1, 0.5]", "\"probabilities\" has 3 items; it must have 2"},
        {"[-1, 0.5, 2]", "[]", "\"log_odds\" is empty"},
        {"[-1, 0.5, 2]", "[-1, 0.5, 0.5]", "item 2 of \"log_odds\" does not rise"},
        {"[-1, 0.5, 2]", "[-1, \"x\", 2]", "item 1 of \"log_odds\" is no number"},
        {"[0.1, 0.1, 0.75]", "[0.1, 0.05, 0.75]", "item 1 of \"probabilities\" falls"},
        {"[0.1, 0.1, 0.75]", "[0, 0.1, 0.75]", "item 0 of \"probabilities\" is 0"},
        {"[0.1, 0.1, 0.75]", "[0.1, 0.1, 1]", "item 2 of \"probabilities\" is 1"},
        {"\"val.csv\"", "7", "\"data\" is missing or no text"},
        {"\"n\": 20", "\"model\": \"abc\", \"n\": 20", "\"model\" is no SHA-256"},
        {"\"n\": 20", "\"model\": null, \"n\": 20", "\"model\" is no SHA-256"},
        {"\"n\": 20", "\"n\": 1", "\"n\" is 1"},
        {"\"n\": 20", "\"n\": -20", "\"n\" is -20"},
        {"\"n\": 20", "\"n\": 9223372036854775807", "\"n\" is 9223372036854775807"},
        {"\"n\": 20", "\"n\": 99999999999999999999", "invalid JSON"},
        {"\"n\": 20", "\"n\": 21", "\"prevalence\" is 0.25"},
        {"\"n_positive\": 5", "\"n_positive\": 20", "\"n_positive\" is 20"},
        {"\"n_positive\": 5", "\"n_positive\": 0", "\"n_positive\" is 0"},
        {"\"n_positive\": 5, \"prevalence\": 0.25", "\"n_positive\": 4, \"prevalence\": 0.2",
         "of \"true_positives\" is 5"},
        {"\"prevalence\": 0.25", "\"prevalence\": 1.25", "\"prevalence\" is 1.25"},
        {"\"folds\": 10", "\"folds\": 1", "\"folds\" is 1"},
        {"\"log_loss\": {\"before\": 0.5, ", "\"log_loss\": {", "\"before\" is missing"},
        {"\"after\": 0.4}", "\"after\": -0.4}", "\"after\" is -0.4"},
        {"\"log_loss\": {\"before\": 0.5, \"after\": 0.4}", "\"log_loss\": 4", "\"log_loss\" is missing or no object"},
        {"\"brier\"", "\"Brier\"", "\"brier\" is missing"},
        {"\"after\": 0.05}", "\"after\": 1.05}", "\"after\" is 1.05"},
        {"[0.875, 0.5, 0.25]", "[0.875, 0.875, 0.25]", "item 1 of \"scores\" does not fall"},
        {"[0.875, 0.5, 0.25]", "[0.875, 0.874999999999, 0.25]", "item 1 of \"scores\" does not fall"},
        {"[0.875, 0.5, 0.25]", "[1.5, 0.5, 0.25]", "item 0 of \"scores\" is 1.5"},
        {"[0.875, 0.5, 0.25]", "[0.875, 0.5, -0.25]", "item 2 of \"scores\" is -0.25"},
        {"[0.875, 0.5, 0.25]", "[0.875, 0.5, null]", "item 2 of \"scores\" is no number"},
        {"[0.875, 0.5, 0.25]", "[0.875, 0.5]", "\"true_positives\" has 3 items; it must have 2"},
        {"[3, 4, 5]", "[3, 2, 5]", "item 1 of \"true_positives\" is 2"},
        {"[3, 4, 5]", "[3, 4, 6]", "item 2 of \"true_positives\" is 6"},
        {"[3, 4, 5]", "[3, 4, 4]", "the last score finds 4 positive"},
        {"[3, 4, 5]", "[3, 4.0, 5]", "item 1 of \"true_positives\" is no whole number"},
        {"[0, 6, 15]", "[0, 6, 14]", "and 14 negative"},
        {"[3, 4, 5],\"false_positives\": [0, 6, 15]", "[3, 3, 5],\"false_positives\": [6, 6, 15]",
         "item 1 of \"scores\" finds no more"},
        {"{\"format\"", "[\"format\"", "invalid JSON"},
        {"\"n\": 20", "\"n\": 20, \"n\": 20", "invalid JSON"},
        {"\"n\": 20", "\"n\": NaN", "invalid JSON"},
    };
    (void)state;
    write_text(ADE_CALIBRATION_FILE, GOOD);
    CHECK_OK(read_file(false));
    assert_int_equal(calibration->map.n_points, 3);
    assert_null(calibration->info.model); /* an older file */
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *bad = replaced(GOOD, ROWS[i].from, ROWS[i].to);
        write_text(ADE_CALIBRATION_FILE, bad);
        ade_status status = read_file(false);
        if (status != ADE_BAD_MODEL) fail_msg("%s: %s", ROWS[i].to, ade_last_error());
        assert_null(calibration);
        assert_error_has(ROWS[i].words);
        assert_error_has(path_in(ADE_CALIBRATION_FILE));
        free(bad);
    }
    for (size_t size = 0; size < strlen(GOOD); size++) {
        write_bytes(ADE_CALIBRATION_FILE, GOOD, size);
        assert_int_equal(read_file(false), ADE_BAD_MODEL);
    }
}

static void test_labels(void **state) {
    char *bad;
    (void)state;
    write_text(ADE_CALIBRATION_FILE, GOOD);
    model.config.positive_label = 0;
    CHECK_OK(read_file(false)); /* another positive label was asked for: there is no calibration of it */
    assert_null(calibration);
    assert_non_null(strstr(logged, "warning: "));
    assert_non_null(strstr(logged, "it is left out"));
    model.config.positive_label = 1;
    logged[0] = '\0';
    bad = replaced(GOOD, "[\"no\", \"yes\"]", "[\"LABEL_0\", \"LABEL_1\"]");
    write_text(ADE_CALIBRATION_FILE, bad);
    free(bad);
    CHECK_OK(read_file(true));
    assert_non_null(calibration);
    assert_string_equal(logged, "");
    CHECK_OK(read_file(false));
    assert_non_null(calibration);
    assert_non_null(strstr(logged, "label 0 is \"LABEL_0\" in it and \"no\" in the model"));
}

static void test_out_of_memory(void **state) {
    texts t = make_texts(60, 1, 2, 1);
    long  n = 0;
    (void)state;
    for (;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = ade__calibration_fit(&model, t.logits, t.labels, t.n, &options, NULL);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_int_equal(access(path_in(ADE_CALIBRATION_FILE), F_OK), -1);
        assert_true(n < 1000);
    }
    assert_true(n > 20);
    for (n = 0;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = read_file(false);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_null(calibration);
        assert_true(n < 1000);
    }
    assert_true(n > 4);
    free_texts(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest TESTS[] = {
        TEST(test_golden_methods), TEST(test_golden_points),        TEST(test_targets),
        TEST(test_bad_targets),    TEST(test_targets_are_tight),    TEST(test_scores_as_thresholds),
        TEST(test_thinned_curve),  TEST(test_calibrated_values),    TEST(test_bad_values),
        TEST(test_refused_data),   TEST(test_odd_data),             TEST(test_seeds_and_folds),
        TEST(test_read_back),      TEST(test_locale),               TEST(test_writing),
        TEST(test_bad_files),      TEST(test_labels),               TEST(test_out_of_memory),
    };
    char         path[1024];
    json_error_t error;
    golden = json_load_file(check_path(path, sizeof path, data_folder(), "../golden/calibration.json"), 0, &error);
    if (!golden) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return 1;
    }
    int failed = cmocka_run_group_tests(TESTS, NULL, NULL);
    json_decref(golden);
    return failed;
}
