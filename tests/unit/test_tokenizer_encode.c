/* SPDX-License-Identifier: Apache-2.0
 * ade_encode: the ids of ade_tokenize, text after text; its sizes and its errors. */
#include "test_tokenizer.h"

static ade_session *open_session(const char *folder, const char *name, const ade_session_options *options) {
    char         path[4096];
    ade_model   *model;
    ade_session *session;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ade_model_open(path, NULL, &model) || ade_session_open(model, options, &session))
        fail_msg("%s", ade_last_error());
    ade_model_close(model);
    return session;
}

static const char *const TEXTS[] = {"Rash after amoxicillin.", "", " \t ", "[SEP] 5\xc2\xb1" "2 mg, na\xc3\xafve",
                                    "Immunohistochemically proven azithromycin-induced ototoxicity in a 64-year-old.",
                                    "\xe4\xb8\xad\xe6\x96\x87 \xce\xb2-blocker"};
#define N_TEXTS (sizeof TEXTS / sizeof *TEXTS)

static void fill_texts(ade_text texts[N_TEXTS]) {
    for (size_t i = 0; i < N_TEXTS; i++) texts[i] = (ade_text){TEXTS[i], strlen(TEXTS[i])};
}

static void check_against_tokenize(ade_session *session) {
    ade_text texts[N_TEXTS];
    int32_t  ids[512];
    size_t   starts[N_TEXTS + 1], n, counted;
    fill_texts(texts);
    assert_int_equal(ade_encode(session, texts, N_TEXTS, NULL, 0, NULL, &counted), ADE_OK);
    assert_int_equal(ade_encode(session, texts, N_TEXTS, ids, 512, starts, &n), ADE_OK);
    assert_string_equal(ade_last_error(), "");
    assert_int_equal(n, counted);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[N_TEXTS], n);
    for (size_t i = 0; i < N_TEXTS; i++) {
        ade_token       tokens[512];
        ade_tokens_info info;
        assert_int_equal(ade_tokenize(session, texts[i], tokens, 512, &info), ADE_OK);
        assert_int_equal(starts[i + 1] - starts[i], info.n_tokens);
        for (size_t j = 0; j < info.n_tokens; j++) assert_int_equal(ids[starts[i] + j], tokens[j].id);
    }
    /* Just enough room, and one too few: then nothing lands behind it, and the number is told. */
    memset(ids, 0x5a, sizeof ids);
    assert_int_equal(ade_encode(session, texts, N_TEXTS, ids, n, starts, &n), ADE_OK);
    assert_int_equal(ids[n], 0x5a5a5a5a);
    memset(ids, 0x5a, sizeof ids);
    counted = 0;
    assert_int_equal(ade_encode(session, texts, N_TEXTS, ids, n - 1, starts, &counted), ADE_INVALID_ARGUMENT);
    assert_int_equal(counted, n);
    assert_int_equal(ids[n - 1], 0x5a5a5a5a);
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%zu ids and there is room for %zu", n, n - 1);
    assert_non_null(strstr(ade_last_error(), numbers));
    assert_int_equal(ade_encode(session, NULL, 0, NULL, 0, starts, &n), ADE_OK);
    assert_int_equal(n, 0);
    assert_int_equal(starts[0], 0);
}

static void ids_of_many_texts(void **state) {
    (void)state;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    options.device = ADE_DEVICE_NONE;
    ade_session *session = open_session(ADE_MODELS_DIR, "adesieve-minilm", &options);
    check_against_tokenize(session);
    ade_session_close(session);
    options.max_length = 6;
    session = open_session(ADE_MODELS_DIR, "adesieve-minilm", &options);
    check_against_tokenize(session);
    ade_text texts[N_TEXTS];
    size_t   starts[N_TEXTS + 1], n;
    fill_texts(texts);
    assert_int_equal(ade_encode(session, texts, N_TEXTS, NULL, 0, starts, &n), ADE_OK);
    assert_int_equal(starts[5] - starts[4], 6); /* truncated */
    ade_session_close(session);
}

static void terms_of_a_baseline(void **state) {
    (void)state;
    ade_session *session = open_session(ADE_MODELS_DIR, "tfidf-logreg", NULL);
    check_against_tokenize(session);
    ade_session_close(session);
}

static void errors_name_the_text(void **state) {
    (void)state;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    options.device = ADE_DEVICE_NONE;
    ade_session *session = open_session(ADE_MODELS_DIR, "adesieve-minilm", &options);
    ade_text     texts[3] = {{"fine", 4}, {"also fine", 9}, {"not \xff fine", 10}};
    size_t       n = 77;
    int32_t      ids[64];
    assert_int_equal(ade_encode(session, texts, 3, ids, 64, NULL, &n), ADE_BAD_INPUT);
    assert_non_null(strstr(ade_last_error(), "text 2: "));
    assert_non_null(strstr(ade_last_error(), "byte 4"));
    assert_int_equal(n, 77);
    texts[1].data = NULL;
    assert_int_equal(ade_encode(session, texts, 3, ids, 64, NULL, &n), ADE_INVALID_ARGUMENT);
    assert_non_null(strstr(ade_last_error(), "text 1 has 9 bytes"));
    assert_int_equal(ade_encode(NULL, texts, 3, ids, 64, NULL, &n), ADE_INVALID_ARGUMENT);
    assert_int_equal(ade_encode(session, NULL, 3, ids, 64, NULL, &n), ADE_INVALID_ARGUMENT);
    assert_int_equal(ade_encode(session, texts, 1, NULL, 64, NULL, &n), ADE_INVALID_ARGUMENT);
    assert_int_equal(ade_encode(session, texts, 1, ids, 64, NULL, NULL), ADE_INVALID_ARGUMENT);
    assert_int_equal(ade_encode(session, texts, 1, ids, 64, NULL, &n), ADE_OK); /* the session goes on */
    assert_int_equal(n, 3);
    ade_session_close(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_many_texts),
        cmocka_unit_test(terms_of_a_baseline),
        cmocka_unit_test(errors_name_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
