/* SPDX-License-Identifier: Apache-2.0
 * Whole sessions on the emulated GPU: the way of batches through the ring of slots, windows that overlap, what a warm
 * call may not do, faults at every call of the runtime, short memory, cancelling, two sessions at once.
 * Usage: test_cuda_session MODEL    a small one, with ADESIEVE_CUDA_PLUGIN and ADESIEVE_CUBLASLT set. */
#include "adesieve.h"

#include "cuda_runtime.h" /* emu_counters; the functions themselves are the plugin's, found by dlsym */

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "session.h"
#include "status.h"
}
#include "windows.h"

static int failures;

#define CHECK(condition, ...)                                               \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            failures++;                                                     \
        }                                                                   \
    } while (0)
#define MUST(call)                                                                              \
    do {                                                                                        \
        if ((call) != ADE_OK) {                                                                 \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, ade_last_error());    \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

static void (*reset_device)();
static void (*fail_call)(const char *function, long nth, int error);
static void (*get_counters)(emu_counters *counters);

static emu_counters counters() {
    emu_counters now;
    get_counters(&now);
    return now;
}

template <class F> static void find(void *library, const char *name, F **function) {
    void *address = dlsym(library, name);
    if (!address) {
        fprintf(stderr, "the emulated plugin has no %s\n", name);
        exit(1);
    }
    memcpy(function, &address, sizeof address);
}

/* ---- Texts and calls ---------------------------------------------------------------------------------------------- */

struct texts_of {
    std::vector<std::string> words;
    std::vector<ade_text>    texts;
};

static texts_of make_texts(size_t n, size_t longest) {
    static const char *const WORDS[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    texts_of                 out;
    uint32_t                 state = 7;
    for (size_t i = 0; i < n; i++) {
        std::string text;
        state = state * 1664525u + 1013904223u;
        for (size_t k = 0, m = (state >> 16) % longest; k < m; k++) {
            state = state * 1664525u + 1013904223u;
            text += WORDS[(state >> 20) % 10];
            text += ' ';
        }
        out.words.push_back(text);
    }
    for (const std::string &text : out.words) out.texts.push_back({text.data(), text.size()});
    return out;
}

static ade_session *open_session(ade_model *model, int32_t device, int32_t budget, int32_t threads = 2) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = nullptr;
    options.device = device;
    options.precision = device == ADE_DEVICE_CPU ? ADE_PRECISION_F32 : ADE_PRECISION_AUTO;
    options.token_budget = budget;
    options.threads = threads;
    MUST(ade_session_open(model, &options, &session));
    return session;
}

static std::vector<float> classify(ade_session *session, const texts_of &t) {
    std::vector<float> logits(t.texts.size() * 2);
    MUST(ade_classify(session, t.texts.data(), t.texts.size(), nullptr, logits.data(), nullptr));
    return logits;
}

static bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/* ---- Results ------------------------------------------------------------------------------------------------------ */

static void test_results(ade_model *model) {
    texts_of           t = make_texts(300, 40);
    ade_session       *cpu = open_session(model, ADE_DEVICE_CPU, 0), *gpu = open_session(model, ADE_DEVICE_CUDA, 0);
    std::vector<float> expected = classify(cpu, t), got = classify(gpu, t);
    ade_session_info   info = ADE_SESSION_INFO_INIT;
    double             worst = 0;
    for (size_t i = 0; i < expected.size(); i++) worst = std::fmax(worst, std::fabs((double)expected[i] - (double)got[i]));
    CHECK(worst <= 5e-3, "f16 logits differ from f32 by %g", worst);
    MUST(ade_session_get_info(gpu, &info));
    CHECK(info.device == ADE_DEVICE_CUDA && info.precision == ADE_PRECISION_F16 && info.token_budget == 5632,
          "device %d, precision %d, budget %d", info.device, info.precision, info.token_budget);
    printf("# 300 texts: logits within %.1e of f32; %s; %s\n", worst, info.device_name, info.instruction_set);
    for (int32_t budget : {1, 64, 300, 100000}) { /* with 64: some 100 batches through the ring of slots */
        ade_session *other = open_session(model, ADE_DEVICE_CUDA, budget);
        CHECK(same_bits(got, classify(other, t)), "other bits with a budget of %d", budget);
        CHECK(same_bits(got, classify(other, t)), "other bits the second time, budget %d", budget);
        ade_session_close(other);
    }
    CHECK(same_bits(got, classify(gpu, t)), "other bits the second time");
    ade_session_close(cpu);
    ade_session_close(gpu);
}

struct progress_seen {
    uint64_t last, calls;
    int      stop_after;
    bool     backwards;
};

static int on_progress(void *user, uint64_t done, uint64_t total) {
    progress_seen *seen = static_cast<progress_seen *>(user);
    seen->backwards |= done < seen->last || done > total;
    seen->last = done;
    return ++seen->calls > (uint64_t)seen->stop_after;
}

/* More texts than a window: batches of the first are in flight while the second is tokenized. */
static void test_windows(ade_model *model) {
    texts_of            t = make_texts(8500, 4), some = make_texts(8500, 4);
    progress_seen       seen = {0, 0, 1 << 30, false};
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = nullptr, *single = open_session(model, ADE_DEVICE_CUDA, 0, 1);
    options.device = ADE_DEVICE_CUDA;
    options.progress = on_progress;
    options.progress_user = &seen;
    MUST(ade_session_open(model, &options, &session));
    std::vector<float> together = classify(session, t);
    CHECK(!seen.backwards, "progress went backwards");
    some.words.resize(20), some.texts.resize(20);
    std::vector<float> few = classify(single, some);
    CHECK(memcmp(few.data(), together.data(), few.size() * sizeof(float)) == 0, "other bits in a large call");
    for (size_t i = 8490; i < 8500; i++) {
        float alone[2];
        MUST(ade_classify(single, &t.texts[i], 1, nullptr, alone, nullptr));
        CHECK(memcmp(alone, &together[2 * i], sizeof alone) == 0, "text %zu: other bits alone", i);
    }
    ade_session_close(single);
    ade_session_close(session);
}

/* ---- Windows, one after another ----------------------------------------------------------------------------------- */

enum { BUDGET = 64 }; /* tokens: a batch has 6 texts or more */

struct watched {
    windows      w;
    emu_counters before;
    long long    least_in_flight; /* batches, when a window is asked for without waiting: what the device has to do */
    bool         done_in_time;    /* none was in flight when one was waited for */
    size_t       then_at_once;    /* texts in all windows but the first; 0 = as many as in that */
    long long    first_done;      /* copies until the first window was done */
};

static ade_status watched_next(void *user, bool wait, ade_window **window) {
    watched     *w = static_cast<watched *>(user);
    emu_counters now = counters(); /* a batch is a copy up, a copy down, and later an event that is waited for */
    long long    in_flight = (now.copies - w->before.copies) / 2 - (now.event_syncs - w->before.event_syncs);
    if (!wait) w->least_in_flight = std::min(w->least_in_flight, in_flight);
    else w->done_in_time &= in_flight == 0;
    if (w->w.given == 1 && w->then_at_once) w->w.at_once = w->then_at_once;
    return windows_next(&w->w, wait, window);
}

static void watched_done(void *user, ade_window *window) {
    watched *w = static_cast<watched *>(user);
    windows_done(&w->w, window);
    if (w->w.done == 1) w->first_done = counters().copies;
}

static ade_status watched_run(watched *w, ade_session *session) {
    const ade_window_source source = {watched_next, watched_done, w};
    w->before = counters();
    return ade__session_stream(session, &source);
}

static watched watch(const texts_of &t, size_t at_once) {
    return {windows_new(t.texts.data(), t.texts.size(), at_once), {}, 1 << 30, true, 0, 0};
}

static bool same_values(const windows &w, size_t n, const std::vector<float> &expected) {
    return memcmp(w.logits, expected.data(), n * 2 * sizeof(float)) == 0;
}

static void test_stream(ade_model *model) {
    const texts_of     t = make_texts(150, 9);
    ade_session       *session = open_session(model, ADE_DEVICE_CUDA, BUDGET);
    std::vector<float> expected = classify(session, t);
    for (size_t at_once : {1, 5, 40, 60, 149, 150})
        for (size_t pause_after : {0, 1, 2}) {
            watched w = watch(t, at_once);
            w.w.uneven = at_once == 40;
            w.w.pause_after = pause_after;
            MUST(watched_run(&w, session));
            CHECK(windows_kept_rules(&w.w) && w.done_in_time, "in %zus, a pause after %zu", at_once, pause_after);
            CHECK(w.w.done == w.w.given && w.w.taken == 150 && same_values(w.w, 150, expected),
                  "in %zus, a pause after %zu: %zu of %zu windows done, or other bits", at_once, pause_after, w.w.done,
                  w.w.given);
            if (pause_after == 0) {
                CHECK(w.w.most == (w.w.given > 1 ? 2u : 1u), "in %zus: %zu under way at once", at_once, w.w.most);
                CHECK(w.w.waited == 2, "in %zus: waited for a window %zu times", at_once, w.w.waited);
                CHECK(w.least_in_flight > 0, "in %zus: the device had nothing to do", at_once);
            } else if (pause_after == 1) { /* each is flushed before the next comes */
                CHECK(w.w.most == 1 && w.w.pauses == w.w.given, "in %zus: %zu at once, %zu pauses for %zu windows", at_once,
                      w.w.most, w.w.pauses, w.w.given);
            } else {
                CHECK(w.w.pauses == w.w.given / 2, "in %zus: %zu pauses for %zu windows", at_once, w.w.pauses, w.w.given);
            }
            windows_free(&w.w);
        }
    watched none = watch(t, 1);
    none.w.n = 0;
    MUST(watched_run(&none, session));
    CHECK(none.w.asked == 1 && none.w.done == 0, "%zu questions", none.w.asked);
    windows_free(&none.w);
    ade_session_close(session);
}

/* A large window pushes the one before out of the ring of slots long before it is itself queued. */
static void test_stream_of_pieces(ade_model *model) {
    texts_of     t = make_texts(8300, 3); /* two pieces, of which the first fills more than all slots */
    ade_session *session = open_session(model, ADE_DEVICE_CUDA, 1500);
    t.words.push_back(std::string((size_t)9 << 20, 'a')); /* and one of its own */
    t.texts.push_back({t.words.back().data(), t.words.back().size()});
    for (size_t i = 0; i + 1 < t.words.size(); i++) t.texts[i].data = t.words[i].data(); /* they moved */
    std::vector<float> expected = classify(session, t);
    for (size_t at_once : {20, 8250}) {
        watched w = watch(t, at_once);
        w.then_at_once = t.texts.size() - at_once;
        MUST(watched_run(&w, session));
        CHECK(w.w.given == 2 && (at_once != 20 || w.first_done < counters().copies),
              "%zu windows; the first was done when all of the second was queued", w.w.given);
        CHECK(windows_kept_rules(&w.w) && w.w.done == w.w.given && same_values(w.w, t.texts.size(), expected),
              "in %zus: %zu of %zu windows done, or other bits", at_once, w.w.done, w.w.given);
        windows_free(&w.w);
    }
    ade_session_close(session);
}

/* What comes from the source or from a text leaves the device well; what was in flight is given up. */
static void test_stream_failures(ade_model *model) {
    const texts_of     t = make_texts(150, 9);
    ade_session       *session = open_session(model, ADE_DEVICE_CUDA, BUDGET);
    std::vector<float> expected = classify(session, t);
    for (size_t at = 1; at <= 8; at++)
        for (ade_status with : {ADE_IO, ADE_DEVICE}) {
            watched w = watch(t, 20);
            w.w.fail_at = at;
            w.w.fail_with = with;
            CHECK(watched_run(&w, session) == with && strstr(ade_last_error(), "source of windows fails"), "%s",
                  ade_last_error());
            CHECK(windows_kept_rules(&w.w) && w.w.given == at - 1 && w.w.done + 1 >= w.w.given &&
                      same_values(w.w, w.w.done * 20, expected),
                  "the source failed at %zu: %zu windows done", at, w.w.done);
            windows_free(&w.w); /* the device may not write there any more */
        }
    texts_of bad = make_texts(150, 9);
    bad.texts[66] = {"\xff", 1};
    bad.texts[131] = {nullptr, 5};
    watched w = watch(bad, 20);
    CHECK(watched_run(&w, session) == ADE_BAD_INPUT && strncmp(ade_last_error(), "text 6: ", 8) == 0, "%s",
          ade_last_error());
    CHECK(windows_kept_rules(&w.w) && w.w.given == 4 && w.w.done == 2, "%zu of %zu windows done", w.w.done, w.w.given);
    windows_free(&w.w);
    bad.texts[66] = t.texts[66];
    w = watch(bad, 20);
    CHECK(watched_run(&w, session) == ADE_INVALID_ARGUMENT && strncmp(ade_last_error(), "text 11 ", 8) == 0, "%s",
          ade_last_error());
    windows_free(&w.w);
    CHECK(same_bits(expected, classify(session, t)), "other bits after streams that failed");
    ade_session_close(session);
}

/* Asked to stop at every moment of a stream; the windows that are done have their results. */
static void test_stream_cancel(ade_model *model) {
    const texts_of      t = make_texts(600, 9);
    progress_seen       seen = {0, 0, 1 << 30, false};
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = nullptr;
    options.device = ADE_DEVICE_CUDA;
    options.token_budget = BUDGET;
    options.progress = on_progress;
    options.progress_user = &seen;
    MUST(ade_session_open(model, &options, &session));
    std::vector<float> expected = classify(session, t);
    for (int stop_after : {0, 1, 2, 4}) {
        watched w = watch(t, 30);
        seen = {0, 0, stop_after, false};
        ade_status status = watched_run(&w, session);
        CHECK(status == ADE_CANCELLED || seen.calls <= (uint64_t)stop_after, "%s after %llu calls",
              ade_status_name(status), (unsigned long long)seen.calls);
        CHECK(status != ADE_CANCELLED || w.w.done < 20, "all is done in spite of the caller's wish to stop");
        CHECK(!seen.backwards && windows_kept_rules(&w.w) && same_values(w.w, w.w.done * 30, expected),
              "%zu windows done, or other bits", w.w.done);
        printf("# stopped at question %llu: %zu of 20 windows done\n", (unsigned long long)seen.calls, w.w.done);
        windows_free(&w.w);
    }
    seen = {0, 0, 1 << 30, false};
    CHECK(same_bits(expected, classify(session, t)), "other bits after cancelled streams");
    ade_session_close(session);
}

/* The n-th call of the runtime fails: no window is done whose results have not come, and the session stays failed. */
static void test_stream_faults(ade_model *model) {
    enum { ILLEGAL_ADDRESS = 700 };
    const texts_of     t = make_texts(60, 9);
    ade_session       *good = open_session(model, ADE_DEVICE_CUDA, BUDGET);
    std::vector<float> expected = classify(good, t);
    long long          before = counters().calls;
    watched            whole = watch(t, 10);
    MUST(watched_run(&whole, good));
    windows_free(&whole.w);
    long long calls = counters().calls - before;
    ade_session_close(good);
    size_t most_done = 0;
    int    tried = 0;
    for (long long n = 1; n <= calls; n += calls / 15 + 1, tried++) {
        ade_session *session = open_session(model, ADE_DEVICE_CUDA, BUDGET);
        watched      w = watch(t, 10);
        reset_device();
        fail_call("*", (long)n, ILLEGAL_ADDRESS);
        ade_status status = watched_run(&w, session);
        CHECK(status == ADE_DEVICE && strstr(ade_last_error(), "llegal"), "call %lld of %lld: %s: %s", n, calls,
              ade_status_name(status), ade_last_error());
        CHECK(windows_kept_rules(&w.w) && w.w.done < 6 && same_values(w.w, w.w.done * 10, expected),
              "call %lld: %zu windows done, or other bits", n, w.w.done);
        most_done = std::max(most_done, w.w.done);
        size_t asked = w.w.asked;
        CHECK(watched_run(&w, session) == ADE_DEVICE && strstr(ade_last_error(), "failed before"), "after call %lld: %s", n,
              ade_last_error());
        CHECK(w.w.asked == asked, "after call %lld: a failed session asked for a window", n);
        windows_free(&w.w);
        reset_device();
        ade_session_close(session);
    }
    reset_device();
    CHECK(most_done > 2, "only %zu windows were ever done before a fault", most_done);
    printf("# %d of %lld calls of a stream failed in turn\n", tried, calls);
}

/* ---- What a warm call may not do ---------------------------------------------------------------------------------- */

static void test_steady_state(ade_model *model) {
    texts_of     t = make_texts(400, 30);
    ade_session *session = open_session(model, ADE_DEVICE_CUDA, 500);
    (void)classify(session, t);
    emu_counters before = counters();
    (void)classify(session, t);
    emu_counters after = counters();
    CHECK(after.mallocs == before.mallocs && after.host_mallocs == before.host_mallocs, "a warm call allocated");
    CHECK(after.frees == before.frees && after.host_frees == before.host_frees, "a warm call freed");
    CHECK(after.device_syncs == before.device_syncs && after.stream_syncs == before.stream_syncs,
          "a warm call synchronised more than an event");
    CHECK(after.pageable_async_copies == before.pageable_async_copies, "a copy from memory that is not pinned");
    long long batches = after.event_syncs - before.event_syncs;
    CHECK(batches >= 10, "%lld batches", batches);
    CHECK(after.copies - before.copies == 2 * batches, "%lld copies for %lld batches", after.copies - before.copies, batches);
    CHECK(after.queued == 0, "%lld pieces of work left in the queues", after.queued);
    ade_session_close(session);
}

/* ---- Faults ------------------------------------------------------------------------------------------------------- */

enum { ILLEGAL_ADDRESS = 700, NO_MEMORY = 2 };

/* The n-th call of the runtime fails, for every n: a status, a sentence, no crash; the session stays failed; others go
 * on once the device is well again. */
static void test_faults_while_classifying(ade_model *model) {
    texts_of           t = make_texts(40, 20);
    ade_session       *good = open_session(model, ADE_DEVICE_CUDA, 200);
    std::vector<float> expected = classify(good, t), logits(expected.size());
    emu_counters       before = counters();
    (void)classify(good, t);
    long long calls = counters().calls - before.calls;
    ade_session_close(good);
    int tried = 0;
    for (long long n = 1; n <= calls; n += n < 20 ? 1 : calls / 15 + 1, tried++) {
        ade_session *session = open_session(model, ADE_DEVICE_CUDA, 200);
        reset_device();
        fail_call("*", (long)n, ILLEGAL_ADDRESS);
        logits.assign(logits.size(), 7.0f);
        ade_status status = ade_classify(session, t.texts.data(), t.texts.size(), nullptr, logits.data(), nullptr);
        CHECK(status == ADE_DEVICE, "call %lld of %lld failed and the status is %s: %s", n, calls, ade_status_name(status),
              ade_last_error());
        CHECK(strstr(ade_last_error(), "llegal"), "call %lld: %s", n, ade_last_error());
        for (float value : logits) CHECK(value == 7.0f, "call %lld: outputs were touched", n);
        status = ade_classify(session, t.texts.data(), 1, nullptr, nullptr, nullptr);
        CHECK(status == ADE_DEVICE && strstr(ade_last_error(), "failed before"), "after call %lld: %s: %s", n,
              ade_status_name(status), ade_last_error());
        reset_device();
        ade_session_close(session);
    }
    reset_device();
    good = open_session(model, ADE_DEVICE_CUDA, 200);
    CHECK(same_bits(expected, classify(good, t)), "other bits after faults");
    ade_session_close(good);
    printf("# %d of %lld calls of a classification failed in turn\n", tried, calls);
}

static void test_faults_while_opening(const char *folder) {
    emu_counters before = counters();
    for (int error : {ILLEGAL_ADDRESS, NO_MEMORY}) {
        long n = 1;
        for (;; n += n < 30 ? 1 : 17) {
            ade_model          *model = nullptr;
            ade_session        *session = nullptr;
            ade_session_options options = ADE_SESSION_OPTIONS_INIT;
            options.device = ADE_DEVICE_CUDA;
            options.token_budget = 128;
            MUST(ade_model_open(folder, nullptr, &model));
            reset_device();
            fail_call("*", n, error);
            ade_status status = ade_session_open(model, &options, &session);
            long long  injected = counters().injected;
            CHECK(injected == 0 || status != ADE_OK || error == NO_MEMORY, "call %ld failed and nobody noticed", n);
            CHECK(status == ADE_OK || (!session && *ade_last_error()), "call %ld: %d", n, (int)status);
            CHECK(status == ADE_OK || status == ADE_DEVICE || status == ADE_OUT_OF_MEMORY || status == ADE_UNSUPPORTED,
                  "call %ld: %s", n, ade_status_name(status));
            reset_device();
            ade_session_close(session);
            ade_model_close(model);
            if (injected == 0) break;
        }
        printf("# opening with error %d at each of %ld calls\n", error, n - 1);
    }
    emu_counters after = counters();
    CHECK(after.live_allocations == before.live_allocations && after.live_host_allocations == before.live_host_allocations &&
              after.live_streams == before.live_streams && after.live_events == before.live_events,
          "left behind: %lld device and %lld host allocations, %lld streams, %lld events",
          after.live_allocations - before.live_allocations, after.live_host_allocations - before.live_host_allocations,
          after.live_streams - before.live_streams, after.live_events - before.live_events);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------- */

static void count_warnings(void *user, ade_log_level level, const char *message) {
    if (level == ADE_LOG_WARNING && strstr(message, "memory is short")) ++*static_cast<int *>(user);
}

static ade_status open_within(const char *folder, long long bytes, int32_t budget, ade_session_info *info, int *warnings) {
    ade_model          *model = nullptr;
    ade_session        *session = nullptr;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    texts_of            t = make_texts(100, 30);
    options.device = ADE_DEVICE_CUDA;
    options.token_budget = budget;
    options.log = count_warnings;
    options.log_user = warnings;
    *warnings = 0;
    setenv("EMU_MEMORY", std::to_string(bytes).c_str(), 1);
    reset_device();
    MUST(ade_model_open(folder, nullptr, &model));
    ade_status status = ade_session_open(model, &options, &session);
    if (status == ADE_OK) {
        *info = ADE_SESSION_INFO_INIT;
        MUST(ade_session_get_info(session, info));
        (void)classify(session, t);
    }
    ade_session_close(session);
    ade_model_close(model);
    return status;
}

static void test_short_memory(const char *folder) {
    ade_session_info info = ADE_SESSION_INFO_INIT;
    int              warnings = 0;
    long long        enough = 512ll << 20, least = 0;
    CHECK(open_within(folder, enough, 0, &info, &warnings) == ADE_OK, "%s", ade_last_error());
    CHECK(info.token_budget == 5632 && warnings == 0, "budget %d, %d warnings", info.token_budget, warnings);
    bool smaller = false;
    for (long long bytes = enough; bytes > 1 << 20; bytes = bytes * 7 / 8) {
        ade_status status = open_within(folder, bytes, 0, &info, &warnings);
        if (status != ADE_OK) {
            CHECK(status == ADE_OUT_OF_MEMORY && strstr(ade_last_error(), "MiB"), "%s: %s", ade_status_name(status),
                  ade_last_error());
            break;
        }
        least = bytes;
        if (info.token_budget < 5632) {
            smaller = true;
            CHECK(warnings > 0, "a smaller budget and no word of it");
            CHECK(open_within(folder, bytes, 5632, &info, &warnings) == ADE_OUT_OF_MEMORY && warnings == 0,
                  "a budget that the caller chose was changed");
        }
    }
    CHECK(smaller, "the budget never became smaller");
    CHECK(least > 0 && least < enough, "least %lld", least);
    printf("# the least memory of these sessions: %lld KiB\n", least >> 10);
    unsetenv("EMU_MEMORY");
    reset_device();
}

/* ---- Cancelling, two at once -------------------------------------------------------------------------------------- */

static void test_cancel(ade_model *model) {
    texts_of            t = make_texts(6000, 20);
    progress_seen       seen = {0, 0, 0, false};
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = nullptr;
    options.device = ADE_DEVICE_CUDA;
    options.token_budget = 300;
    options.progress = on_progress;
    options.progress_user = &seen;
    MUST(ade_session_open(model, &options, &session));
    ade_status status = ade_classify(session, t.texts.data(), t.texts.size(), nullptr, nullptr, nullptr);
    CHECK(status == ADE_CANCELLED || seen.calls == 0, "%s", ade_status_name(status));
    seen = {0, 0, 1 << 30, false};
    t.words.resize(50), t.texts.resize(50);
    std::vector<float> after = classify(session, t);
    ade_session       *fresh = open_session(model, ADE_DEVICE_CUDA, 0);
    CHECK(same_bits(after, classify(fresh, t)), "other bits after a cancelled call");
    ade_session_close(fresh);
    ade_session_close(session);
}

static void test_two_at_once(ade_model *model) {
    texts_of           t = make_texts(500, 30);
    std::vector<float> got[3];
    std::thread        threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = std::thread([&, i] {
            ade_session *session = open_session(model, ADE_DEVICE_CUDA, i == 2 ? 0 : 400);
            for (int k = 0; k < 3; k++) got[i] = classify(session, t);
            ade_session_close(session);
        });
    for (std::thread &thread : threads) thread.join();
    CHECK(same_bits(got[0], got[1]) && same_bits(got[0], got[2]), "sessions at once gave other bits");
}

static void test_wrong_requests(ade_model *model) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = nullptr;
    options.device = ADE_DEVICE_CUDA;
    for (int32_t precision : {ADE_PRECISION_F32, ADE_PRECISION_BF16}) {
        options.precision = precision;
        CHECK(ade_session_open(model, &options, &session) == ADE_UNSUPPORTED && strstr(ade_last_error(), "f16"), "%s",
              ade_last_error());
    }
    options.precision = ADE_PRECISION_AUTO;
    options.device_index = 5;
    CHECK(ade_session_open(model, &options, &session) == ADE_UNSUPPORTED && strstr(ade_last_error(), "5"), "%s",
          ade_last_error());
}

int main(int argc, char **argv) {
    const char *plugin = getenv("ADESIEVE_CUDA_PLUGIN");
    ade_model  *model = nullptr;
    if (argc < 2 || !plugin) {
        fprintf(stderr, "usage: ADESIEVE_CUDA_PLUGIN=.. ADESIEVE_CUBLASLT=.. %s MODEL\n", argv[0]);
        return 2;
    }
    void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    find(library, "emu_reset", &reset_device);
    find(library, "emu_fail", &fail_call);
    find(library, "emu_get_counters", &get_counters);
    MUST(ade_model_open(argv[1], nullptr, &model));
    test_results(model);
    test_windows(model);
    test_stream(model);
    test_stream_of_pieces(model);
    test_stream_failures(model);
    test_stream_cancel(model);
    test_stream_faults(model);
    test_steady_state(model);
    test_wrong_requests(model);
    test_cancel(model);
    test_two_at_once(model);
    test_faults_while_classifying(model);
    ade_model_close(model);
    test_faults_while_opening(argv[1]);
    test_short_memory(argv[1]);
    emu_counters end = counters();
    CHECK(end.live_allocations == 0 && end.live_host_allocations == 0 && end.live_streams == 0 && end.live_events == 0,
          "at the end there are %lld device and %lld host allocations, %lld streams, %lld events", end.live_allocations,
          end.live_host_allocations, end.live_streams, end.live_events);
    if (failures) fprintf(stderr, "%d checks failed\n", failures);
    else printf("all sessions on the emulated GPU are right\n");
    return failures != 0;
}
