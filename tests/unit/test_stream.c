/* SPDX-License-Identifier: Apache-2.0
 * stream.c on a CPU: windows of texts, one after another. On an emulated GPU, where windows overlap: test_cuda_session. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"

#include "alloc.h"
#include "session.h"
#include "status.h"
#include "threads.h"
#include "windows.h"

#include <sched.h>

#define N 400

static ade_model  *model;
static char        words[N][80];
static ade_text    texts[N];
static ade_result  results[N];
static float       logits[N * 2], probabilities[N * 2]; /* as ade_classify gives them */

static ade_session *open_with(int32_t device, int32_t threads, int32_t budget, ade_progress_fn progress, void *user) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = NULL;
    options.device = device;
    options.precision = device == ADE_DEVICE_CPU ? ADE_PRECISION_F32 : ADE_PRECISION_AUTO;
    options.threads = threads;
    options.token_budget = budget;
    options.progress = progress;
    options.progress_user = user;
    CHECK_OK(ade_session_open(model, &options, &session));
    return session;
}

static ade_session *open_session(int32_t threads, int32_t budget) {
    return open_with(ADE_DEVICE_CPU, threads, budget, NULL, NULL);
}

static int open_model(void **state) {
    static const char *const WORDS[] = {"rash", "and", "fever", "after", "aspirin", "were", "seen", "twice"};
    char                     path[1024];
    uint32_t                 random = 7;
    (void)state;
    CHECK_OK(ade_model_open(check_path(path, sizeof path, check_data_dir(), "tiny_bert_cls"), NULL, &model));
    for (int i = 0; i < N; i++) {
        random = random * 1664525u + 1013904223u;
        for (uint32_t k = 0, m = (random >> 16) % 9; k < m; k++) {
            random = random * 1664525u + 1013904223u;
            strcat(words[i], WORDS[(random >> 20) % 8]);
            strcat(words[i], " ");
        }
        texts[i] = (ade_text){words[i], strlen(words[i])};
    }
    ade_session *session = open_session(2, 0);
    CHECK_OK(ade_classify(session, texts, N, results, logits, probabilities));
    ade_session_close(session);
    if (check_wrong()) texts[N / 2].size /= 2;
    return 0;
}

static int close_model(void **state) {
    (void)state;
    ade_model_close(model);
    return 0;
}

static void check_values(const windows *w, size_t n, const char *how) {
    for (size_t i = 0; i < n; i++)
        CHECK(!memcmp(w->logits + 2 * i, logits + 2 * i, 2 * sizeof(float)) &&
                  !memcmp(w->probabilities + 2 * i, probabilities + 2 * i, 2 * sizeof(float)) &&
                  !memcmp(&w->results[i], &results[i], sizeof *results),
              "text %zu, %s: other bits than in one call", i, how);
}

/* The session is as good as a new one. */
static void still_works(ade_session *session) {
    windows w = windows_new(texts, N, 64);
    CHECK_OK(windows_run(&w, session));
    check_values(&w, N, "afterwards");
    windows_free(&w);
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static void test_same_bits(void **state) {
    (void)state;
    static const struct {
        size_t  at_once;
        bool    uneven;
        int32_t threads, budget;
        size_t  pause_after;
    } CUTS[] = {{1, false, 1, 0, 0},   {7, false, 2, 0, 0},  {50, true, 3, 64, 0}, {50, true, 2, 0, 1},
                {399, false, 2, 0, 0}, {N, false, 1, 1, 0}, {N, false, 3, 0, 3}};
    for (size_t c = 0; c < sizeof CUTS / sizeof *CUTS; c++) {
        char         how[80];
        ade_session *session = open_session(CUTS[c].threads, CUTS[c].budget);
        snprintf(how, sizeof how, "in %s%zus, %d threads", CUTS[c].uneven ? "1 to " : "", CUTS[c].at_once,
                 (int)CUTS[c].threads);
        for (int again = 0; again < 2; again++) {
            windows w = windows_new(texts, N, CUTS[c].at_once);
            w.uneven = CUTS[c].uneven;
            w.pause_after = CUTS[c].pause_after;
            CHECK_OK(windows_run(&w, session));
            CHECK(windows_kept_rules(&w) && w.done == w.given && w.taken == N, "%s: %zu windows given, %zu done", how,
                  w.given, w.done);
            CHECK(w.most == 1 && w.asked == w.given + 1 && w.waited == w.asked,
                  "%s: a CPU has a window done before it asks for the next; %zu at once", how, w.most);
            check_values(&w, N, how);
            windows_free(&w);
        }
        ade_session_close(session);
    }
}

static double waited(ade_session *session, const ade_text *some, size_t n, uint64_t *batches) {
    ade_session_profile before = ADE_SESSION_PROFILE_INIT, after = ADE_SESSION_PROFILE_INIT;
    CHECK_OK(ade_session_get_profile(session, &before));
    CHECK_OK(ade_classify(session, some, n, NULL, NULL, NULL));
    CHECK_OK(ade_session_get_profile(session, &after));
    *batches = after.batches - before.batches;
    return after.waiting - before.waiting;
}

/* Workers share batches only where that helps: not when there is one for each of a team, although not for all workers,
 * and never more of them than processors. */
static void test_when_to_share(void **state) {
    (void)state;
    ade_session *session = open_session(16, 0);
    ade_text     some[24];
    cpu_set_t    before, one;
    uint64_t     batches;
    double       seconds;
    for (size_t i = 0; i < 24; i++) some[i] = (ade_text){"rash and fever after aspirin", 28}; /* two a batch */
    seconds = waited(session, some, 24, &batches);
    CHECK(batches >= 8 && batches < 16 && seconds == 0, "%d batches for 16 workers: %g s waited", (int)batches, seconds);
    seconds = waited(session, some, 1, &batches);
    CHECK(batches == 1 && (seconds > 0) == (ade__cpu_count() > 1), "one batch: %g s waited", seconds);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int i = 0, found = 0; i < CPU_SETSIZE && !found; i++)
        if ((found = CPU_ISSET(i, &before) != 0)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    seconds = waited(session, some, 1, &batches);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    CHECK(batches == 1 && seconds == 0, "one batch on one processor: %g s waited", seconds);
    ade_session_close(session);
}

/* Arrays that are not wanted are left alone. */
static ade_status one_without(void *user, bool wait, ade_window **window) {
    windows *w = user;
    CHECK_OK(windows_next(user, wait, window));
    if (!*window) return ADE_OK;
    if (w->given % 3 == 0) (*window)->results = NULL;
    if (w->given % 3 == 1) (*window)->logits = NULL;
    if (w->given % 3 == 2) (*window)->probabilities = NULL;
    return ADE_OK;
}

static void count(void *user, ade_window *window) {
    windows *w = user;
    assert_ptr_equal(window, &w->window[w->done]);
    w->done++;
}

static void test_unwanted(void **state) {
    (void)state;
    ade_session      *session = open_session(2, 0);
    windows           w = windows_new(texts, 99, 1);
    ade_window_source source = {one_without, count, &w};
    CHECK_OK(ade__session_stream(session, &source));
    for (size_t i = 0; i < 99; i++) {
        size_t out = (i + 1) % 3;
        assert_int_equal(w.results[i].tokens == 0, out == 0);
        assert_int_equal(isnan(w.logits[2 * i]) != 0, out == 1);
        assert_int_equal(isnan(w.probabilities[2 * i]) != 0, out == 2);
    }
    windows_free(&w);
    ade_session_close(session);
}

static void test_empty_stream(void **state) {
    (void)state;
    ade_session *session = open_session(2, 0);
    windows      w = windows_new(texts, 0, 5);
    CHECK_OK(windows_run(&w, session));
    assert_int_equal(w.asked, 1);
    assert_int_equal(w.waited, 1);
    assert_int_equal(w.given + w.done, 0);
    windows_free(&w);
    still_works(session);
    ade_session_close(session);
}

/* Texts beyond what is tokenized at a time: 8,192 of them, or 8 MiB; between others, and alone. */
static void test_large(void **state) {
    (void)state;
    enum { MANY = 9000 };
    size_t       size = (size_t)20 << 20;
    char        *huge = malloc(size);
    ade_text    *many = malloc(MANY * sizeof *many);
    ade_result  *expected_results = malloc(MANY * sizeof *expected_results);
    float       *expected = malloc(MANY * 2 * sizeof *expected);
    ade_session *session = open_session(2, 0);
    for (size_t i = 0; i < size; i++) huge[i] = i % 9 ? (char)('a' + i % 7) : ' ';
    for (size_t i = 0; i < MANY; i++) many[i] = texts[i % N];
    many[3] = many[8500] = (ade_text){huge, size};
    CHECK_OK(ade_classify(session, many, MANY, expected_results, expected, NULL));
    assert_int_equal(expected_results[3].truncated, 1);
    for (size_t at_once = 1; at_once <= MANY; at_once *= MANY) {
        windows w = windows_new(many, at_once == 1 ? 6 : MANY, at_once);
        CHECK_OK(windows_run(&w, session));
        CHECK(windows_kept_rules(&w) && w.done == w.given && w.taken == w.n, "%zu windows given, %zu done", w.given, w.done);
        assert_memory_equal(w.results, expected_results, w.n * sizeof *expected_results);
        assert_memory_equal(w.logits, expected, w.n * 2 * sizeof *expected);
        windows_free(&w);
    }
    many[8600] = (ade_text){"\xff", 1};
    windows w = windows_new(many, MANY, MANY);
    CHECK_STATUS(windows_run(&w, session), ADE_BAD_INPUT);
    CHECK(!strncmp(ade_last_error(), "text 8600: ", 11), "%s", ade_last_error());
    windows_free(&w);
    ade_session_close(session);
    free(huge), free(many), free(expected_results), free(expected);
}

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static void test_source_fails(void **state) {
    (void)state;
    static const ade_status WITH[] = {ADE_IO, ADE_CANCELLED, ADE_OUT_OF_MEMORY, ADE_DEVICE};
    ade_session            *session = open_session(2, 0);
    for (size_t k = 0; k < sizeof WITH / sizeof *WITH; k++)
        for (size_t at = 1; at <= 4; at++) {
            windows w = windows_new(texts, N, 30);
            w.fail_at = at;
            w.fail_with = WITH[k];
            CHECK_STATUS(windows_run(&w, session), WITH[k]);
            assert_string_equal(ade_last_error(), "the source of windows fails");
            CHECK(windows_kept_rules(&w) && w.done == at - 1, "%zu windows are done", w.done);
            check_values(&w, 30 * (at - 1), "before the source failed");
            windows_free(&w);
            still_works(session); /* the device has not failed, whatever the source says */
        }
    ade_session_close(session);
}

/* The lowest bad text of a window is named by its number there; windows before it are done. */
static void test_bad_texts(void **state) {
    (void)state;
    ade_session *session = open_session(3, 0);
    ade_text     bad[N];
    for (int i = 0; i < 30; i++) {
        windows w = windows_new(bad, N, 100);
        memcpy(bad, texts, sizeof bad);
        bad[207] = (ade_text){"\xff", 1};
        bad[208] = bad[250] = bad[299] = (ade_text){"a\x80", 2};
        CHECK_STATUS(windows_run(&w, session), ADE_BAD_INPUT);
        CHECK(!strncmp(ade_last_error(), "text 7: ", 8), "%s", ade_last_error());
        CHECK(windows_kept_rules(&w) && w.done == 2 && w.given == 3, "%zu of %zu windows are done", w.done, w.given);
        check_values(&w, 200, "before a bad text");
        windows_free(&w);
    }
    bad[130] = (ade_text){NULL, 9};
    windows w = windows_new(bad, N, 100);
    CHECK_STATUS(windows_run(&w, session), ADE_INVALID_ARGUMENT);
    CHECK(strstr(ade_last_error(), "text 30 has 9 bytes"), "%s", ade_last_error());
    assert_int_equal(w.done, 1);
    windows_free(&w);
    still_works(session);
    ade_session_close(session);
}

static ade_status reenter(void *user, bool wait, ade_window **window) {
    (void)wait;
    *window = NULL;
    return ade_classify(user, texts, 1, NULL, NULL, NULL);
}

static void test_wrong_use(void **state) {
    (void)state;
    ade_session      *session = open_session(1, 0), *none = open_with(ADE_DEVICE_NONE, 0, 0, NULL, NULL);
    ade_window_source source = {reenter, windows_done, session};
    windows           w = windows_new(texts, 1, 1);
    CHECK_STATUS(ade__session_stream(session, &source), ADE_BUSY);
    still_works(session);
    CHECK_STATUS(windows_run(&w, none), ADE_INVALID_ARGUMENT);
    assert_int_equal(w.asked, 0);
    windows_free(&w);
    ade_session_close(none);
    ade_session_close(session);
}

typedef struct asked {
    int      calls, stop_at;
    uint64_t done, total;
    bool     wrong;
} asked;

static int ask(void *user, uint64_t done, uint64_t total) {
    asked *a = user;
    a->wrong |= done < a->done || total < a->total || done > total;
    a->done = done;
    a->total = total;
    return ++a->calls >= a->stop_at;
}

/* Each window takes far less time than passes between two questions to the caller, and there is no end of them. */
static ade_status endless(void *user, bool wait, ade_window **window) {
    windows *w = user;
    (void)wait;
    if (ade__seconds() > *(double *)w->texts) return ade__fail(ADE_IO, "nobody asked whether to stop");
    w->window[0] = (ade_window){texts + w->given++ % N, 1, NULL, NULL, NULL};
    *window = w->window;
    return ADE_OK;
}

static void pass_over(void *user, ade_window *window) {
    windows *w = user;
    (void)window;
    w->done++;
}

static void test_cancel(void **state) {
    (void)state;
    asked             a = {.stop_at = 3};
    ade_session      *session = open_with(ADE_DEVICE_CPU, 2, 0, ask, &a);
    windows           w = windows_new(texts, N, 1);
    double            begin = ade__seconds(), end = begin + 60;
    ade_window_source source = {endless, pass_over, &w};
    w.texts = (const void *)&end;
    CHECK_STATUS(ade__session_stream(session, &source), ADE_CANCELLED);
    CHECK(a.calls == 3 && !a.wrong && a.total == w.given && w.done + 1 == w.given, "%d calls, %zu windows, %zu done",
          a.calls, w.given, w.done);
    printf("# asked after %.3f s each time, %zu windows\n", (ade__seconds() - begin) / 3, w.given);
    windows_free(&w);
    a = (asked){.stop_at = INT32_MAX};
    still_works(session);
    ade_session_close(session);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void test_out_of_memory(void **state) {
    (void)state;
    long n;
    for (n = 0;; n++) {
        ade_session *session = open_session(2, 64);
        windows      w = windows_new(texts, N, 150);
        ade__alloc_fail_at(n);
        ade_status status = windows_run(&w, session);
        ade__alloc_fail_at(-1);
        CHECK(windows_kept_rules(&w), "allocation %ld", n);
        check_values(&w, w.done * 150 < N ? w.done * 150 : N, "in spite of an allocation that failed");
        windows_free(&w);
        if (status != ADE_OK) {
            CHECK(status == ADE_OUT_OF_MEMORY && strstr(ade_last_error(), "out of memory"), "allocation %ld: %s: %s", n,
                  ade_status_name(status), ade_last_error());
            still_works(session);
        }
        ade_session_close(session);
        if (status == ADE_OK) break;
    }
    printf("# %ld failed allocations\n", n);
    CHECK(n > 5, "only %ld allocations could fail", n);
}

static void test_warm(void **state) {
    (void)state;
    ade_session *session = open_session(1, 0);
    for (int i = 0; i < 3; i++) {
        windows  w = windows_new(texts, N, 64);
        uint64_t before = ade__alloc_count();
        CHECK_OK(windows_run(&w, session));
        if (i > 0) assert_int_equal(ade__alloc_count() - before, 0);
        windows_free(&w);
    }
    ade_session_close(session);
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_when_to_share),
        cmocka_unit_test(test_unwanted),  cmocka_unit_test(test_empty_stream),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_bad_texts), cmocka_unit_test(test_source_fails),
        cmocka_unit_test(test_wrong_use),    cmocka_unit_test(test_cancel),    cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_warm),
    };
    return cmocka_run_group_tests_name("stream", TESTS, open_model, close_model);
}
