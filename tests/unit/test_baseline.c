/* SPDX-License-Identifier: Apache-2.0
 * baseline.c and the sessions that run one: what a folder may say, and what it is told if it says something else. The
 * numbers are compared with scikit-learn's by test_golden_baseline. */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "baseline.h"
#include "calibrate.h"

#include <math.h>

#define CHECK_STATUS(call, expected)                                                                       \
    do {                                                                                                   \
        ade_status check_status = (call);                                                                  \
        if (check_status != (expected))                                                                    \
            fail_msg("%s gave %s: %s", #call, ade_status_name(check_status), ade_last_error());            \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, ADE_OK)

#define CONFIG                                                                                                        \
    "{\"architectures\": [\"TfidfLogisticRegression\"], \"id2label\": {\"0\": \"not ADE\", \"1\": \"ADE\"},\n"         \
    "\"vectorizer\": {\"ngram_range\": [1, 2], \"stop_words\": [\"the\", \"the\"]}}"
#define N_TERMS 5

static const char *const VOCABULARY = "acute renal\nafter\nfailure\nrash\nrash after\n";
static const double      IDF[N_TERMS] = {3, 1.5, 2, 2, 4}, COEF[N_TERMS] = {1, -2, 0.5, 3, 2}, INTERCEPT = -0.25;

static void write_weights(const double *idf, const double *coef, size_t n, double intercept) {
    char          header[256];
    unsigned char bytes[8 + sizeof header + 2 * 64 * sizeof(double)];
    size_t        size = n * sizeof(double);
    int           length = snprintf(header, sizeof header,
                                    "{\"coef\":{\"dtype\":\"F64\",\"shape\":[1,%zu],\"data_offsets\":[0,%zu]},"
                                    "\"idf\":{\"dtype\":\"F64\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]},"
                                    "\"intercept\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}}",
                                    n, size, n, size, 2 * size, 2 * size, 2 * size + 8);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    unsigned char *at = bytes + 8;
    memcpy(at, header, (size_t)length);
    memcpy(at += length, coef, size);
    memcpy(at += size, idf, size);
    memcpy(at += size, &intercept, sizeof intercept);
    write_bytes("model.safetensors", bytes, (size_t)(at - bytes) + sizeof intercept);
}

static void new_baseline(void) {
    new_folder();
    write_text("config.json", CONFIG);
    write_text("vocab.txt", VOCABULARY);
    write_weights(IDF, COEF, N_TERMS, INTERCEPT);
}

static ade_model *open_model(void) {
    ade_model *model = NULL;
    CHECK_OK(ade_model_open(folder, NULL, &model));
    return model;
}

static void refuse(ade_status expected, const char *words) {
    ade_model *model = NULL;
    CHECK_STATUS(ade_model_open(folder, NULL, &model), expected);
    assert_null(model);
    assert_error_has(words);
}

static ade_session *open_session(ade_model *model, int32_t device, int32_t threads) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = NULL;
    options.device = device;
    options.threads = threads;
    options.max_length = 3; /* has no effect */
    CHECK_OK(ade_session_open(model, &options, &session));
    return session;
}

static void test_info(void **state) {
    ade_model_info   info = ADE_MODEL_INFO_INIT;
    ade_session_info run = ADE_SESSION_INFO_INIT;
    char             hash[65], other[65];
    (void)state;
    new_baseline();
    ade_model *model = open_model();
    CHECK_OK(ade_model_get_info(model, &info));
    assert_int_equal(info.kind, ADE_MODEL_BASELINE);
    assert_string_equal(info.architecture, "TfidfLogisticRegression");
    assert_int_equal(info.vocab_size, N_TERMS);
    assert_int_equal(info.n_parameters, 2 * N_TERMS + 1);
    assert_string_equal(info.weights_type, "F64");
    assert_string_equal(info.tokenizer_source, "vocab.txt");
    assert_string_equal(info.activation, "none");
    assert_non_null(strstr(info.casing_reason, "lower-cased"));
    assert_true(info.lowercase && !info.strip_accents && !info.max_length && !info.hidden_size);
    assert_string_equal(ade_model_token(model, 4), "rash after");
    assert_null(ade_model_token(model, N_TERMS));
    assert_null(ade_model_token(model, -1));
    CHECK_OK(ade_model_hash(model, hash));
    ade_session *session = open_session(model, ADE_DEVICE_AUTO, 1);
    CHECK_OK(ade_session_get_info(session, &run));
    assert_int_equal(run.device, ADE_DEVICE_CPU);
    assert_int_equal(run.precision, ADE_PRECISION_F64);
    assert_int_equal(run.max_length, 0);
    assert_true(run.device_name[0] && run.threads == 1);
    ade_session_close(session);
    ade_model_close(model);
    write_text("vocab.txt", "acute renal\nafter\nfailure\nrash\nrash before\n");
    model = open_model();
    CHECK_OK(ade_model_hash(model, other));
    assert_string_not_equal(hash, other);
    ade_model_close(model);
}

static void test_score(void **state) {
    const ade_text texts[] = {{"Rash after THE rash.", 20}, {"nothing of it", 13}, {NULL, 0}, {"x acute the renal", 17}};
    ade_result     results[4];
    float          logits[8], probabilities[8];
    (void)state;
    new_baseline();
    ade_model   *model = open_model();
    ade_session *session = open_session(model, ADE_DEVICE_CPU, 1);
    CHECK_OK(ade_classify(session, texts, 4, results, logits, probabilities));
    /* rash 2 x, after 1 x, "rash after" 1 x; "after rash" is no term, and the stop word is gone before pairs are made */
    double values[] = {1.5 * -2, 2 * 2 * 3, 4 * 2}, norm = sqrt(1.5 * 1.5 + 4 * 4 + 4 * 4);
    double decision = (values[0] + values[1] + values[2]) / norm - 0.25;
    assert_true(fabs((double)logits[1] - decision) < 1e-6 && logits[0] == 0.0f);
    assert_true(fabs((double)probabilities[1] - 1 / (1 + exp(-decision))) < 1e-7);
    assert_true(results[0].label == 1 && results[0].score == probabilities[1]);
    for (size_t i = 0; i < 4; i++) /* a calibration has logits alone */
        assert_true(probabilities[2 * i + 1] == ade__softmax_score_f64(logits + 2 * i, 2, 1));
    assert_int_equal(results[0].tokens, 4);
    assert_int_equal(results[0].unknown, 1);
    assert_true(logits[3] == -0.25f && results[1].label == 0 && results[1].tokens == 0); /* "nothing of it": 5 others */
    assert_int_equal(results[1].unknown, 5);
    assert_true(logits[5] == -0.25f && results[2].unknown == 0);
    assert_int_equal(results[3].tokens, 1); /* "acute renal" round the stop word */
    ade_session_close(session);
    ade_model_close(model);
}

static void test_terms(void **state) {
    static const char text[] = "Rash after \xce\xa3 the renal failure";
    ade_token         tokens[8] = {{7, 7, 7}};
    ade_tokens_info   info;
    (void)state;
    new_baseline();
    ade_model   *model = open_model();
    ade_session *session = open_session(model, ADE_DEVICE_NONE, 1);
    const ade_text it = {text, sizeof text - 1};
    CHECK_OK(ade_tokenize(session, it, NULL, 0, &info));
    assert_int_equal(info.n_tokens, 4);
    CHECK_STATUS(ade_tokenize(session, it, tokens, 3, &info), ADE_INVALID_ARGUMENT);
    assert_true(info.n_tokens == 4 && tokens[0].id == 7);
    CHECK_OK(ade_tokenize(session, it, tokens, 8, &info));
    const ade_token expected[] = {{3, 0, 4}, {4, 0, 10}, {1, 5, 10}, {2, 24, 31}};
    assert_memory_equal(tokens, expected, sizeof expected);
    assert_int_equal(info.unknown, 3);
    CHECK_STATUS(ade_classify(session, &it, 1, NULL, NULL, NULL), ADE_INVALID_ARGUMENT);
    ade_session_close(session);
    ade_model_close(model);
}

/* Words are read some hundred at a time: no pair is lost or found twice at a border, wherever it lies. */
static void test_long_text(void **state) {
    static const char *const PATTERNS[] = {"rash after of ", "Rash the  after of "}; /* the stop word is passed over */
    enum { N = 3000 };
    char *text = malloc(N * 32);
    (void)state;
    assert_non_null(text);
    new_baseline();
    for (int with_stop_word = 1; with_stop_word >= 0; with_stop_word--) {
        if (!with_stop_word) edit_file("config.json", ", \"stop_words\": [\"the\", \"the\"]", "");
        ade_model   *model = open_model();
        ade_session *session = open_session(model, ADE_DEVICE_CPU, 1);
        for (size_t lead = 0; lead < 20; lead++) {
            const char *pattern = PATTERNS[with_stop_word];
            ade_result  result;
            size_t      size = lead;
            memset(text, '.', lead);
            for (size_t i = 0; i < N; i++, size += strlen(pattern)) memcpy(text + size, pattern, strlen(pattern));
            CHECK_OK(ade_classify(session, &(ade_text){text, size}, 1, &result, NULL, NULL));
            assert_int_equal(result.tokens, 3 * N);
            assert_int_equal(result.unknown, 3 * N - 1); /* of, after of, of rash */
        }
        ade_session_close(session);
        ade_model_close(model);
    }
    free(text);
}

static int stop(void *user, uint64_t done, uint64_t total) {
    (void)user, (void)done, (void)total;
    return 1;
}

/* The same bits alone and in company, with one thread and several; errors name the lowest text; the wish to stop. */
static void test_many(void **state) {
    enum { N = 20000, SIZE = 64 };
    static char       texts[N][SIZE];
    static ade_text   all[N];
    static ade_result one[N], three[N];
    const char *const words[] = {"rash", "after", "acute", "renal", "failure", "other", "the"};
    (void)state;
    new_baseline();
    ade_model *model = open_model();
    for (size_t i = 0; i < N; i++) {
        size_t at = 0;
        for (size_t k = i; at + 10 < SIZE && k; k /= 7) at += (size_t)snprintf(texts[i] + at, SIZE - at, "%s ", words[k % 7]);
        all[i] = (ade_text){texts[i], at};
    }
    ade_session *alone = open_session(model, ADE_DEVICE_CPU, 1), *threads = open_session(model, ADE_DEVICE_CPU, 3);
    for (size_t i = 0; i < N; i += 997) CHECK_OK(ade_classify(alone, &all[i], 1, &one[i], NULL, NULL));
    CHECK_OK(ade_classify(threads, all, N, three, NULL, NULL));
    for (size_t i = 0; i < N; i += 997) assert_memory_equal(&one[i], &three[i], sizeof *one);
    CHECK_OK(ade_classify(alone, all, N, one, NULL, NULL));
    assert_memory_equal(one, three, sizeof one);

    texts[12345][0] = texts[15000][2] = '\xff';
    CHECK_STATUS(ade_classify(threads, all, N, three, NULL, NULL), ADE_BAD_INPUT);
    assert_error_has("text 12345: the text is not valid UTF-8 at byte 0");
    ade_session_close(threads);

    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    options.invalid_utf8 = ADE_INVALID_UTF8_REPLACE;
    CHECK_OK(ade_session_open(model, &options, &threads));
    CHECK_OK(ade_classify(threads, all, N, three, NULL, NULL));
    assert_true(three[12345].replaced == 1 && three[0].replaced == 0);
    ade_session_close(threads);

    options.progress = stop;
    options.invalid_utf8 = ADE_INVALID_UTF8_ERROR;
    CHECK_OK(ade_session_open(model, &options, &threads));
    static char big[1 << 22];
    memset(big, 'a', sizeof big);
    static ade_text many[2000];
    for (size_t i = 0; i < 2000; i++) many[i] = (ade_text){big, 1 << 20};
    CHECK_STATUS(ade_classify(threads, many, 2000, NULL, NULL, NULL), ADE_CANCELLED);
    ade_session_close(threads);
    ade_session_close(alone);
    ade_model_close(model);
}

static void test_options(void **state) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = NULL;
    char                path[1024];
    (void)state;
    new_baseline();
    ade_model *model = open_model();
    options.device = ADE_DEVICE_CUDA;
    CHECK_STATUS(ade_session_open(model, &options, &session), ADE_UNSUPPORTED);
    assert_error_has("device cpu");
    options.device = ADE_DEVICE_CPU;
    options.precision = ADE_PRECISION_BF16;
    CHECK_STATUS(ade_session_open(model, &options, &session), ADE_UNSUPPORTED);
    assert_error_has("not in bf16");
    options.precision = ADE_PRECISION_F64;
    options.max_length = -1;
    CHECK_STATUS(ade_session_open(model, &options, &session), ADE_INVALID_ARGUMENT);
    options.max_length = 0;
    ade_model_close(model);
    snprintf(path, sizeof path, "%s/tiny_bert_cls", data_folder());
    CHECK_OK(ade_model_open(path, NULL, &model));
    CHECK_STATUS(ade_session_open(model, &options, &session), ADE_UNSUPPORTED);
    assert_error_has("f64 is a baseline's");
    ade_model_close(model);
}

/* One thing is changed in config.json. */
static void refuse_config(const char *from, const char *to, ade_status expected, const char *words) {
    new_baseline();
    edit_file("config.json", from, to);
    refuse(expected, words);
}

static void test_bad_config(void **state) {
#define RANGE "\"ngram_range\": [1, 2]"
    (void)state;
    refuse_config(RANGE, "\"ngram_range\": [2, 1]", ADE_UNSUPPORTED, "[2, 1]");
    refuse_config(RANGE, "\"ngram_range\": [1, 6]", ADE_UNSUPPORTED, "1 to 5 words");
    refuse_config(RANGE, "\"ngram_range\": 2", ADE_BAD_MODEL, "[1, 2]");
    refuse_config(RANGE, "\"analyzer\": \"char\"", ADE_UNSUPPORTED, "\"analyzer\" of \"vectorizer\" is \"char\"");
    refuse_config(RANGE, "\"token_pattern\": \"\\\\w+\"", ADE_UNSUPPORTED, "token_pattern");
    refuse_config(RANGE, "\"norm\": \"max\"", ADE_UNSUPPORTED, "\"max\"");
    refuse_config(RANGE, "\"strip_accents\": true", ADE_UNSUPPORTED, "strip_accents");
    refuse_config(RANGE, "\"lowercase\": 1", ADE_BAD_MODEL, "true nor false");
    refuse_config(RANGE, "\"hashing\": true", ADE_UNSUPPORTED, "\"hashing\"");
    refuse_config("[\"the\", \"the\"]", "\"english\"", ADE_UNSUPPORTED, "write the words themselves");
    refuse_config("[\"the\", \"the\"]", "[\"the\", 1]", ADE_BAD_MODEL, "number 1");
    refuse_config("\"vectorizer\"", "\"vectorize\"", ADE_BAD_MODEL, "\"vectorizer\" is missing");
    refuse_config("\"1\": \"ADE\"", "\"1\": \"ADE\", \"2\": \"more\"", ADE_BAD_MODEL, "\"coef\"");
    refuse_config(", \"1\": \"ADE\"", "", ADE_UNSUPPORTED, "two or more labels");
#undef RANGE
}

static void refuse_vocabulary(const char *text, ade_status expected, const char *words) {
    new_baseline();
    write_text("vocab.txt", text);
    refuse(expected, words);
}

static void test_bad_files(void **state) {
    const double none[N_TERMS] = {1, 2, NAN, 4, 5};
    (void)state;
    refuse_vocabulary("", ADE_BAD_MODEL, "0 terms");
    refuse_vocabulary("a\n\nb\n", ADE_BAD_MODEL, "line 2 is empty");
    refuse_vocabulary("acute renal\r\nafter\r\n", ADE_BAD_MODEL, "line ends had been converted");
    refuse_vocabulary("aa\nbb\ncc\naa\ndd\n", ADE_BAD_MODEL, "line 4 has a term that an earlier line has");
    refuse_vocabulary("aa\nb\xff\ncc\ndd\nee\n", ADE_BAD_MODEL, "line 2 is not valid UTF-8");
    refuse_vocabulary("aa\nbb\n", ADE_BAD_MODEL, "\"coef\" has the shape [1, 5], and the terms");
    refuse_vocabulary("aa\nbb\ncc\ndd\nee\nff\n", ADE_BAD_MODEL, "ask for [1, 6]");
    refuse_vocabulary("\xef\xbb\xbf" "aa\nbb\ncc\ndd\nee\n", ADE_BAD_MODEL, "line 1 begins with a byte order mark");
    new_baseline();
    assert_int_equal(unlink(path_in("vocab.txt")), 0);
    refuse(ADE_BAD_MODEL, "holds no vocab.txt");
    new_baseline();
    assert_int_equal(unlink(path_in("model.safetensors")), 0);
    refuse(ADE_BAD_MODEL, "model.safetensors");
    new_baseline();
    write_weights(none, COEF, N_TERMS, 0);
    refuse(ADE_BAD_MODEL, "\"idf\": value 2 is not a finite number");
    new_baseline();
    write_weights(IDF, COEF, N_TERMS, INFINITY);
    refuse(ADE_BAD_MODEL, "\"intercept\"");
    new_baseline();
    edit_file("config.json", "[1, 2]", "[1, 2], \"use_idf\": false"); /* then the idf is not looked at */
    write_weights(none, COEF, N_TERMS, 0);
    logged[0] = '\0';
    ade_model_options options = ADE_MODEL_OPTIONS_INIT;
    ade_model        *model = NULL;
    options.log = keep_log;
    CHECK_OK(ade_model_open(folder, &options, &model));
    assert_non_null(strstr(logged, "\"idf\" is not used"));
    ade_model_close(model);
}

static void change_weights(const char *from, const char *to) {
    size_t size;
    char  *bytes = read_path(path_in("model.safetensors"), &size), *at = memmem(bytes, size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    write_bytes("model.safetensors", bytes, size);
    free(bytes);
}

/* What is wrong with a tensor is said of it, the type first; a tensor that is missing costs no memory. */
static void test_bad_tensors(void **state) {
    (void)state;
    new_baseline();
    change_weights("F64\",\"shape\":[1,5]", "F32\",\"shape\":[2,5]"); /* as long, and another shape too */
    refuse(ADE_UNSUPPORTED, "\"coef\" is stored as F32; a baseline's are F64");
    new_baseline();
    change_weights("\"shape\":[1],", "\"shape\":[ ],");
    refuse(ADE_BAD_MODEL, "\"intercept\" has the shape []");
    assert_error_has("ask for [1]");
    new_baseline();
    change_weights("\"coef\"", "\"Coef\"");
    refuse(ADE_BAD_MODEL, "no tensor \"coef\"");
}

/* A sum that no float holds is no score, to a session and to a prefilter, which asks for the same. */
static void test_not_finite(void **state) {
    const double        large[N_TERMS] = {1e300, 1e200, -1e300, 1e39, 1};
    const char *const   texts[] = {"rash", "acute renal", "acute renal failure", "after"};
    const ade_log       nobody = {NULL, NULL};
    ade_model_config    config = {0};
    ade_tensor_set     *tensors = NULL;
    ade_baseline       *baseline = NULL;
    ade_baseline_result terms;
    float               logits[2], probabilities[2];
    (void)state;
    new_baseline();
    write_weights(IDF, large, N_TERMS, 1e300);
    CHECK_OK(ade__config_read(folder, NULL, &nobody, &config));
    CHECK_OK(ade__baseline_open(folder, &nobody, &config, &tensors, &baseline));
    ade_baseline_scratch *scratch = NULL;
    CHECK_OK(ade__baseline_scratch_new(baseline, &scratch));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK_STATUS(ade__baseline_score(baseline, scratch, (ade_text){texts[i], strlen(texts[i])},
                                         ADE_INVALID_UTF8_REPLACE, logits, probabilities, &terms), ADE_BAD_MODEL);
        assert_error_has("score is not a finite number");
    }
    ade__baseline_scratch_free(scratch);
    ade__baseline_free(baseline);
    ade__tensors_close(tensors);
    ade__config_clear(&config);
    ade_model   *model = open_model();
    ade_session *session = open_session(model, ADE_DEVICE_CPU, 1);
    ade_result   result;
    CHECK_STATUS(ade_classify(session, &(ade_text){"rash", 4}, 1, &result, NULL, NULL), ADE_BAD_MODEL);
    ade_session_close(session);
    ade_model_close(model);
}

/* The last line need not end; terms that no text can give do no harm. */
static void test_odd_vocabulary(void **state) {
    const ade_text text = {"rash rash", 9};
    ade_result     result;
    (void)state;
    new_baseline();
    write_text("vocab.txt", "rash-\n a\nrash  rash\nx\nrash rash");
    ade_model   *model = open_model();
    ade_session *session = open_session(model, ADE_DEVICE_CPU, 1);
    CHECK_OK(ade_classify(session, &text, 1, &result, NULL, NULL));
    assert_true(result.tokens == 1 && result.unknown == 2);
    ade_session_close(session);
    ade_model_close(model);
}

/* Every allocation may fail; once warm there is none. */
static void test_memory(void **state) {
    const ade_text texts[] = {{"Rash after rash", 15}, {"acute renal failure", 19}};
    ade_result     results[2];
    ade_model     *model;
    ade_session   *session;
    ade_status     status = ADE_OUT_OF_MEMORY;
    (void)state;
    new_baseline();
    for (long n = 0; status != ADE_OK; n++) {
        assert_true(n < 2000);
        model = NULL, session = NULL;
        ade__alloc_fail_at(n);
        status = ade_model_open(folder, NULL, &model);
        if (status == ADE_OK) status = ade_session_open(model, NULL, &session);
        if (status == ADE_OK) status = ade_classify(session, texts, 2, results, NULL, NULL);
        ade__alloc_fail_at(-1);
        if (status != ADE_OK) CHECK_STATUS(status, ADE_OUT_OF_MEMORY);
        if (status == ADE_OK) break;
        ade_session_close(session);
        ade_model_close(model);
    }
    uint64_t before = ade__alloc_count();
    CHECK_OK(ade_classify(session, texts, 2, results, NULL, NULL));
    CHECK_OK(ade_classify(session, texts, 1, results, NULL, NULL));
    assert_int_equal(ade__alloc_count(), before);
    ade_session_close(session);
    ade_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),       cmocka_unit_test(test_score),     cmocka_unit_test(test_terms),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_options),   cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_bad_files),  cmocka_unit_test(test_odd_vocabulary),
        cmocka_unit_test(test_memory),     cmocka_unit_test(test_bad_tensors), cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, teardown_folder);
}
