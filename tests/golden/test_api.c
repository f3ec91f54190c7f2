/* SPDX-License-Identifier: Apache-2.0
 * The rules of adesieve.h that every call keeps: what is refused and how it is said, outputs untouched on failure, a
 * session usable after each, no allocation once warm, every allocation may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden_data.h"

#include "alloc.h"

#include <stdatomic.h>

/* ---- Every malloc of the process, oneDNN's included, is counted -------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTED 0 /* the sanitizer has its own */
static atomic_uint_fast64_t mallocs;
#else
#define COUNTED 1
#include <errno.h>
#include <malloc.h>
static atomic_uint_fast64_t mallocs;
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size) { return atomic_fetch_add(&mallocs, 1), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return atomic_fetch_add(&mallocs, 1), __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return atomic_fetch_add(&mallocs, 1), __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return atomic_fetch_add(&mallocs, 1), __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int   posix_memalign(void **out, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}
#endif

/* ---- A tiny model for all ----------------------------------------------------------------------------------------- */

static char       tiny[1024];
static ade_model *model;

static int open_model(void **state) {
    (void)state;
    check_path(tiny, sizeof tiny, check_data_dir(), "tiny_bert_cls");
    return ade_model_open(tiny, NULL, &model) == ADE_OK ? 0 : -1;
}

static int close_model(void **state) {
    (void)state;
    ade_model_close(model);
    return 0;
}

#define T(string) {(string), sizeof(string) - 1}
static const ade_text good[] = {T("Rash after amoxicillin."), T("No effect was seen."), T(""), T("a\0b")};

static void says(const char *part) {
    CHECK(strstr(ade_last_error(), part), "the error is \"%s\" and lacks \"%s\"", ade_last_error(), part);
}

static void still_works(ade_session *session) {
    float logits[8], again[8];
    CHECK_OK(ade_classify(session, good, 4, NULL, logits, NULL));
    assert_string_equal(ade_last_error(), "");
    CHECK_OK(ade_classify(session, good, 4, NULL, again, NULL));
    assert_memory_equal(logits, again, sizeof logits);
}

/* ---- What is refused ---------------------------------------------------------------------------------------------- */

static void test_null_arguments(void **state) {
    (void)state;
    ade_model          *m = (ade_model *)&m;
    ade_session        *s = NULL, *untouched = (ade_session *)&s;
    ade_screen         *screen = (ade_screen *)&screen;
    ade_model_info      model_info = ADE_MODEL_INFO_INIT;
    ade_session_info    session_info = ADE_SESSION_INFO_INIT;
    ade_screen_row      row = ADE_SCREEN_ROW_INIT;
    ade_screen_stats    stats = ADE_SCREEN_STATS_INIT;
    ade_tokens_info     tokens_info = {7, 7, 7, 7, 7};
    ade_token           token = {7, 7, 7};
    char                digest[65] = "unchanged";
    const ade_text      null_text = {NULL, 3}, texts[] = {T("a"), T("b"), {NULL, 5}};
    ade_result          results[3];
    s = golden_session(model, ADE_PRECISION_F32, 1, 0);
    memset(results, 0x5A, sizeof results);

#define REFUSED(call)                          \
    CHECK_STATUS(call, ADE_INVALID_ARGUMENT);  \
    CHECK(ade_last_error()[0], "%s: no text", #call)
    REFUSED(ade_model_open(NULL, NULL, &m));
    REFUSED(ade_model_open(tiny, NULL, NULL));
    assert_ptr_equal(m, (ade_model *)&m);
    REFUSED(ade_model_get_info(NULL, &model_info));
    REFUSED(ade_model_get_info(model, NULL));
    REFUSED(ade_model_hash(NULL, digest));
    REFUSED(ade_model_hash(model, NULL));
    assert_string_equal(digest, "unchanged");
    REFUSED(ade_session_open(NULL, NULL, &untouched));
    REFUSED(ade_session_open(model, NULL, NULL));
    assert_ptr_equal(untouched, (ade_session *)&s);
    REFUSED(ade_session_get_info(NULL, &session_info));
    REFUSED(ade_session_get_info(s, NULL));
    REFUSED(ade_classify(NULL, good, 4, results, NULL, NULL));
    REFUSED(ade_classify(s, NULL, 1, results, NULL, NULL));
    REFUSED(ade_classify(s, texts, 3, results, NULL, NULL));
    says("2"); /* which text */
    for (size_t i = 0; i < sizeof results; i++) assert_int_equal(((unsigned char *)results)[i], 0x5A);
    REFUSED(ade_tokenize(NULL, good[0], &token, 1, &tokens_info));
    REFUSED(ade_tokenize(s, good[0], NULL, 0, NULL));
    REFUSED(ade_tokenize(s, good[0], NULL, 4, &tokens_info));
    REFUSED(ade_tokenize(s, null_text, NULL, 0, &tokens_info));
    assert_int_equal(tokens_info.n_tokens, 7);
    REFUSED(ade_tokenize(s, good[0], &token, 1, &tokens_info)); /* too small: the number is told */
    assert_true(tokens_info.n_tokens > 1 && token.id == 7);
    REFUSED(ade_screen_open(NULL, NULL, &screen));
    REFUSED(ade_screen_open(model, NULL, NULL));
    assert_ptr_equal(screen, (ade_screen *)&screen);
    REFUSED(ade_screen_add(NULL, "x"));
    REFUSED(ade_screen_next(NULL, &row));
    REFUSED(ade_screen_confirm(NULL));
    REFUSED(ade_screen_get_stats(NULL, &stats));
    REFUSED(ade_screen_get_session_info(NULL, &session_info));
    ade_model_close(NULL);
    ade_session_close(NULL);
    ade_screen_close(NULL);
    assert_null(ade_screen_input(NULL, 0));
    assert_null(ade_model_label(NULL, 0));
    assert_null(ade_model_token(NULL, 0));
    assert_null(ade_model_label(model, -1));
    assert_null(ade_model_label(model, 2));
    assert_null(ade_model_token(model, -1));
    assert_null(ade_model_token(model, 1 << 30));
    CHECK_OK(ade_classify(s, NULL, 0, NULL, NULL, NULL));
    CHECK_OK(ade_classify(s, &(ade_text){NULL, 0}, 1, NULL, NULL, NULL));
    CHECK_OK(ade_tokenize(s, (ade_text){NULL, 0}, NULL, 0, &tokens_info));
    assert_int_equal(tokens_info.n_tokens, 2);
    still_works(s);
    ade_session_close(s);
#undef REFUSED
}

/* A struct of another size, as a program built against another release has it. */
static void test_struct_sizes(void **state) {
    (void)state;
    struct {
        ade_session_options known;
        unsigned char       tail[64];
    } newer = {ADE_SESSION_OPTIONS_INIT, {0}};
    struct {
        ade_model_options known;
        unsigned char     tail[8];
    } newer_model = {ADE_MODEL_OPTIONS_INIT, {0}};
    struct {
        ade_session_info known;
        unsigned char    tail[16];
    } newer_info = {ADE_SESSION_INFO_INIT, {0}};
    ade_session *s = NULL;
    ade_model   *m = NULL;
    newer.known.precision = ADE_PRECISION_F32;
    newer.known.threads = 1;

    newer.known.struct_size = 0;
    CHECK_STATUS(ade_session_open(model, &newer.known, &s), ADE_INVALID_ARGUMENT);
    says("INIT");
    newer.known.struct_size = 3;
    CHECK_STATUS(ade_session_open(model, &newer.known, &s), ADE_INVALID_ARGUMENT);
    newer.known.struct_size = 1u << 20;
    CHECK_STATUS(ade_session_open(model, &newer.known, &s), ADE_INVALID_ARGUMENT);
    assert_null(s);

    newer.known.struct_size = (uint32_t)sizeof newer;
    CHECK_OK(ade_session_open(model, &newer.known, &s)); /* a zero tail */
    newer_info.known.struct_size = (uint32_t)sizeof newer_info;
    memset(newer_info.tail, 0xFF, sizeof newer_info.tail);
    CHECK_OK(ade_session_get_info(s, &newer_info.known));
    assert_int_equal(newer_info.known.struct_size, sizeof newer_info);
    for (size_t i = 0; i < sizeof newer_info.tail; i++) assert_int_equal(newer_info.tail[i], 0);
    newer_info.known.struct_size = offsetof(ade_session_info, device_name); /* an older one */
    newer_info.known.device_name = newer_info.known.device_reason = "untouched";
    newer_info.known.threads = -1;
    CHECK_OK(ade_session_get_info(s, &newer_info.known));
    assert_int_equal(newer_info.known.threads, 1);
    assert_string_equal(newer_info.known.device_name, "untouched");
    newer_info.known.struct_size = 0;
    CHECK_STATUS(ade_session_get_info(s, &newer_info.known), ADE_INVALID_ARGUMENT);
    ade_session_close(s);

    for (size_t i = 0; i < sizeof newer.tail; i += 9) {
        ade_session *none = NULL;
        newer.tail[i] = 1;
        CHECK_STATUS(ade_session_open(model, &newer.known, &none), ADE_UNSUPPORTED);
        assert_null(none);
        newer.tail[i] = 0;
    }
    newer.known.struct_size = offsetof(ade_session_options, max_length); /* older: the rest is not looked at */
    newer.known.max_length = 1;
    newer.known.progress = NULL;
    CHECK_OK(ade_session_open(model, &newer.known, &s));
    ade_session_close(s);

    newer_model.known.struct_size = (uint32_t)sizeof newer_model;
    CHECK_OK(ade_model_open(tiny, &newer_model.known, &m));
    ade_model_close(m);
    newer_model.tail[0] = 1;
    m = NULL;
    CHECK_STATUS(ade_model_open(tiny, &newer_model.known, &m), ADE_UNSUPPORTED);
    newer_model.known.struct_size = 0;
    CHECK_STATUS(ade_model_open(tiny, &newer_model.known, &m), ADE_INVALID_ARGUMENT);
    assert_null(m);
}

static void test_option_ranges(void **state) {
    (void)state;
    static const struct {
        size_t  member;
        int32_t value;
        int     fine;
    } cases[] = {
#define M(member) offsetof(ade_session_options, member)
        {M(max_length), 2, 0},    {M(max_length), 1, 0},        {M(max_length), -1, 0},  {M(max_length), 513, 0},
        {M(max_length), 3, 1},    {M(max_length), 512, 1},      {M(max_length), 0, 1},   {M(threads), -1, 0},
        {M(threads), 100000, 0},  {M(token_budget), -1, 0},     {M(precision), -1, 0},   {M(precision), 6, 0},
        {M(invalid_utf8), 2, 0},  {M(invalid_utf8), -1, 0},     {M(device), -1, 0},      {M(device), 4, 0},
        {M(token_budget), INT32_MAX, 0}, {M(threads), INT32_MIN, 0}, {M(max_length), INT32_MAX, 0},
        {M(token_budget), 1, 1},
#undef M
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ade_session_options options = ADE_SESSION_OPTIONS_INIT;
        ade_session        *s = NULL;
        options.threads = 1;
        memcpy((char *)&options + cases[i].member, &cases[i].value, sizeof cases[i].value);
        ade_status status = ade_session_open(model, &options, &s);
        CHECK(status == (cases[i].fine ? ADE_OK : ADE_INVALID_ARGUMENT), "case %zu (%d): %s: %s", i,
              (int)cases[i].value, ade_status_name(status), ade_last_error());
        if (cases[i].fine) still_works(s);
        else assert_null(s);
        ade_session_close(s);
    }
    ade_session_options f16 = ADE_SESSION_OPTIONS_INIT;
    ade_session        *s = NULL;
    f16.precision = ADE_PRECISION_F16;
    f16.device = ADE_DEVICE_CPU;
    CHECK_STATUS(ade_session_open(model, &f16, &s), ADE_UNSUPPORTED);
    f16.precision = ADE_PRECISION_AUTO;
    f16.reserved = 1;
    assert_int_not_equal(ade_session_open(model, &f16, &s), ADE_OK);
    assert_null(s);
}

static void test_no_model(void **state) {
    (void)state;
    ade_model *m = NULL;
    CHECK_STATUS(ade_model_open("/nonexistent/folder", NULL, &m), ADE_IO);
    says("/nonexistent/folder");
    CHECK_STATUS(ade_model_open("", NULL, &m), ADE_IO);
    CHECK_STATUS(ade_model_open(ADE_GOLDEN_DIR, NULL, &m), ADE_BAD_MODEL);
    assert_null(m);
}

/* ---- Invalid UTF-8 ------------------------------------------------------------------------------------------------ */

static void test_invalid_utf8(void **state) {
    (void)state;
    static const char *const bad[] = {"\xff",         "ok \x80",     "\xc3",         "\xc0\xaf",        "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xe2\x82", "abc\xf0\x9f\x92", "\xf8\x88\x80\x80\x80"};
    enum { N = 700 };
    ade_text             texts[N];
    static unsigned char outputs[N * (sizeof(ade_result) + 4 * sizeof(float))];
    ade_result          *results = (ade_result *)outputs;
    float               *logits = (float *)(outputs + N * sizeof(ade_result)), *p = logits + 2 * N;
    for (int32_t threads = 1; threads <= 3; threads++) {
        ade_session *s = golden_session(model, ADE_PRECISION_F32, threads, 0);
        for (size_t k = 0; k < N; k += 37) {
            char number[32];
            for (size_t i = 0; i < N; i++) texts[i] = good[i % 4];
            const char *text = bad[k % (sizeof bad / sizeof *bad)];
            texts[k] = (ade_text){text, strlen(text)};
            if (k + 50 < N) texts[k + 50] = (ade_text){"\xff", 1}; /* a later one must not win */
            memset(outputs, 0xA5, sizeof outputs);
            CHECK_STATUS(ade_classify(s, texts, N, results, logits, p), ADE_BAD_INPUT);
            snprintf(number, sizeof number, "text %zu:", k);
            says(number);
            says("byte");
            for (size_t i = 0; i < sizeof outputs; i++) assert_int_equal(outputs[i], 0xA5);
        }
        still_works(s);
        ade_session_close(s);
    }
}

static void test_replaced_utf8(void **state) {
    (void)state;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *s = NULL;
    ade_text            texts[] = {T("Ra\xffsh \xe2\x82 after am\x80oxicillin."), T("Rash  after amoxicillin.")};
    ade_result          results[2];
    float               logits[4];
    options.invalid_utf8 = ADE_INVALID_UTF8_REPLACE;
    options.threads = 1;
    CHECK_OK(ade_session_open(model, &options, &s));
    CHECK_OK(ade_classify(s, texts, 2, results, logits, NULL));
    assert_int_equal(results[0].replaced, 3);
    assert_int_equal(results[1].replaced, 0);
    assert_memory_equal(logits, logits + 2, 2 * sizeof *logits);
    ade_session_close(s);
}

/* ---- Cancelling --------------------------------------------------------------------------------------------------- */

typedef struct canceller {
    ade_session *session;
    int          calls, at, reentered_badly;
    uint64_t     done, total;
} canceller;

static int asked(void *user, uint64_t done, uint64_t total) {
    canceller *c = user;
    ade_result result;
    if (c->session && ade_classify(c->session, good, 1, &result, NULL, NULL) != ADE_BUSY) c->reentered_badly = 1;
    if (done < c->done || done > total || !total) c->reentered_badly = 2;
    c->done = done;
    c->total = total;
    return ++c->calls >= c->at;
}

static void test_cancel(void **state) {
    (void)state;
    char                path[1024];
    canceller           c = {.at = 3};
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    golden_rows         rows = golden_rows_read(check_path(path, sizeof path, check_data_dir(), "test.csv"));
    size_t              n = rows.n * 8, bytes = n * (sizeof(ade_result) + 2 * sizeof(float));
    ade_text           *texts = malloc(n * sizeof *texts);
    unsigned char      *outputs = malloc(bytes);
    options.threads = 2;
    options.progress = asked;
    options.progress_user = &c;
    CHECK_OK(ade_session_open(model, &options, &c.session));
    for (size_t i = 0; i < n; i++) texts[i] = rows.texts[i % rows.n];
    memset(outputs, 0xA5, bytes);
    CHECK_STATUS(ade_classify(c.session, texts, n, (ade_result *)outputs, (float *)(outputs + n * sizeof(ade_result)), NULL),
                 ADE_CANCELLED);
    for (size_t i = 0; i < bytes; i++) assert_int_equal(outputs[i], 0xA5);
    CHECK(c.calls >= 3 && !c.reentered_badly && c.total == n, "%d calls, %d, total %llu", c.calls, c.reentered_badly,
          (unsigned long long)c.total);
    c.at = INT32_MAX;
    c.done = 0;
    still_works(c.session);
    ade_session_close(c.session);
    free(texts), free(outputs);
    golden_rows_free(&rows);
}

/* ---- A model closed before its session ---------------------------------------------------------------------------- */

static void test_closed_model(void **state) {
    (void)state;
    ade_model *m = NULL;
    CHECK_OK(ade_model_open(tiny, NULL, &m));
    ade_session *a = golden_session(m, ADE_PRECISION_F32, 1, 0), *b = golden_session(m, ADE_PRECISION_F32, 2, 0);
    ade_model_close(m);
    still_works(a);
    ade_session_close(a);
    still_works(b);
    ade_session_close(b);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------- */

/* oneDNN 2 and 3 allocate small argument tables in every dnnl_primitive_execute; what is promised, and checked, is that
 * adesieve allocates nothing. The number for the whole process is printed. */

static void warm(const char *folder, int32_t precision, int32_t threads) {
    char         path[1024];
    golden_rows  rows = golden_rows_read(check_path(path, sizeof path, check_data_dir(), "test.csv"));
    size_t       n = 300;
    ade_model   *m = NULL;
    ade_result  *results = malloc(n * sizeof *results);
    float       *logits = malloc(n * 2 * sizeof *logits);
    CHECK_OK(ade_model_open(folder, NULL, &m));
    ade_session *s = golden_session(m, precision, threads, 0);
    if (s) {
        /* Which worker tokenizes which texts is chance; a few calls bring each one's memory to its largest. */
        for (int i = 0; i < 4; i++) CHECK_OK(ade_classify(s, rows.texts, n, results, logits, NULL));
        for (size_t k = 0; k < 20; k++) CHECK_OK(ade_classify(s, rows.texts + k, 1, results, logits, NULL));
        uint64_t ours = ade__alloc_count(), all = atomic_load(&mallocs);
        CHECK_OK(ade_classify(s, rows.texts, n, results, logits, NULL));
        CHECK_OK(ade_classify(s, rows.texts, n / 2, results, NULL, NULL));
        CHECK_OK(ade_classify(s, rows.texts + 7, 1, NULL, logits, NULL));
        ours = ade__alloc_count() - ours;
        all = atomic_load(&mallocs) - all;
        printf("# warm, %s, %d thread(s): %llu allocations of adesieve, %llu of the whole process%s in 3 calls of %zu, "
               "%zu and 1 texts\n", precision == ADE_PRECISION_F32 ? "f32" : precision == ADE_PRECISION_BF16 ? "bf16" : "int8", (int)threads,
               (unsigned long long)ours, (unsigned long long)all, COUNTED ? "" : " (not counted)", n, n / 2);
        if (threads == 1) CHECK(ours == 0, "%llu allocations", (unsigned long long)ours);
        ade_session_close(s);
    }
    ade_model_close(m);
    free(results), free(logits);
    golden_rows_free(&rows);
}

static void test_warm_allocates_nothing(void **state) {
    (void)state;
    static const int32_t PRECISIONS[] = {ADE_PRECISION_F32, ADE_PRECISION_BF16, ADE_PRECISION_INT8};
    for (size_t p = 0; p < sizeof PRECISIONS / sizeof *PRECISIONS; p++)
        for (int32_t threads = 1; threads <= 2; threads++) warm(tiny, PRECISIONS[p], threads);
}

/* Each allocation fails in turn, and all after it: a status, a text, untouched outputs, nothing left behind (which a
 * leak checker sees), and afterwards everything works. */
static void test_every_allocation_fails(void **state) {
    (void)state;
    long             failures[3] = {0, 0, 0}, n;
    ade_model       *m = NULL;
    ade_session     *s = NULL;
    ade_result       results[4];
    float            expected[8], logits[8];
    const ade_status oom = ADE_OUT_OF_MEMORY;
    {
        ade_session *whole = golden_session(model, ADE_PRECISION_F32, 2, 0);
        CHECK_OK(ade_classify(whole, good, 4, results, expected, NULL));
        ade_session_close(whole);
    }
    for (n = 0;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = ade_model_open(tiny, NULL, &m);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        CHECK(status == oom, "ade_model_open with allocation %ld failing: %s: %s", n, ade_status_name(status),
              ade_last_error());
        CHECK(ade_last_error()[0] && !m, "allocation %ld: no text, or an output", n);
        if (n > 2000) n += n / 50; /* the vocabulary's many are alike */
        failures[0]++;
    }
    for (n = 0;; n++) {
        ade_session_options options = ADE_SESSION_OPTIONS_INIT;
        options.threads = 2;
        options.precision = ADE_PRECISION_F32;
        ade__alloc_fail_at(n);
        ade_status status = ade_session_open(m, &options, &s);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        CHECK(status == oom, "ade_session_open with allocation %ld failing: %s: %s", n, ade_status_name(status),
              ade_last_error());
        CHECK(ade_last_error()[0] && !s, "allocation %ld: no text, or an output", n);
        failures[1]++;
    }
    for (n = 0;; n++) {
        memset(results, 0xA5, sizeof results);
        memset(logits, 0xA5, sizeof logits);
        ade__alloc_fail_at(n);
        ade_status status = ade_classify(s, good, 4, results, logits, NULL);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        CHECK(status == oom, "ade_classify with allocation %ld failing: %s: %s", n, ade_status_name(status),
              ade_last_error());
        for (size_t i = 0; i < sizeof results; i++) assert_int_equal(((unsigned char *)results)[i], 0xA5);
        for (size_t i = 0; i < sizeof logits; i++) assert_int_equal(((unsigned char *)logits)[i], 0xA5);
        failures[2]++;
        if (n == 0) { /* a fresh session each time: what the last call got must not help this one */
            ade_session_close(s);
            s = golden_session(m, ADE_PRECISION_F32, 2, 0);
        }
    }
    assert_memory_equal(logits, expected, sizeof logits);
    still_works(s);
    ade_session_close(s);
    ade_model_close(m);
    printf("# failed allocations: %ld in ade_model_open, %ld in ade_session_open, %ld in ade_classify\n", failures[0],
           failures[1], failures[2]);
    CHECK(failures[0] > 20 && failures[1] > 20 && failures[2] > 3, "too few allocations were made to fail");
}

/* ---- Status and version ------------------------------------------------------------------------------------------- */

static void test_status_and_version(void **state) {
    (void)state;
#define NAMED(name, value, text)                                   \
    assert_int_equal(ADE_##name, value);                           \
    assert_string_equal(ade_status_name(ADE_##name), "ADE_" #name); \
    assert_string_equal(ade_status_text(ADE_##name), text);
    ADE_STATUS_MAP(NAMED)
    assert_string_equal(ade_status_name((ade_status)77), "ADE_?");
    assert_string_equal(ade_status_text((ade_status)77), "unknown status");
    assert_int_equal(ade_version_number(),
                     ADE_VERSION_MAJOR * 10000 + ADE_VERSION_MINOR * 100 + ADE_VERSION_PATCH);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", ADE_VERSION_MAJOR, ADE_VERSION_MINOR, ADE_VERSION_PATCH);
    assert_string_equal(ade_version(), version);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* as in test_x, or with a wild card */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_arguments),   cmocka_unit_test(test_struct_sizes),
        cmocka_unit_test(test_option_ranges),    cmocka_unit_test(test_no_model),
        cmocka_unit_test(test_invalid_utf8),     cmocka_unit_test(test_replaced_utf8),
        cmocka_unit_test(test_cancel),           cmocka_unit_test(test_closed_model),
        cmocka_unit_test(test_warm_allocates_nothing), cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_status_and_version),
    };
    return cmocka_run_group_tests_name("api", tests, open_model, close_model);
}
