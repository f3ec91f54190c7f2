/* SPDX-License-Identifier: Apache-2.0
 * A source for ade__session_stream: cuts texts into windows, and notes whether the session keeps to the rules. Include
 * after session.h and status.h; C and C++. */
#ifndef ADE_WINDOWS_H
#define ADE_WINDOWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct windows {
    const ade_text *texts;
    size_t          n, at_once;  /* texts; at most so many in a window */
    bool            uneven;      /* windows of 1 to at_once texts */
    size_t          pause_after; /* so many windows there is none yet, until the session waits; 0 = never */
    size_t          fail_at;     /* instead of this window (from 1) the source fails; 0 = never */
    ade_status      fail_with;

    ade_result *results;       /* (n) */
    float      *logits;        /* (n, 2) */
    float      *probabilities; /* (n, 2) */
    ade_window *window;        /* (n) */
    size_t      taken;         /* texts */
    size_t      given, done;   /* windows */
    size_t      most;          /* windows under way at the same time */
    size_t      asked, waited, pauses;
    bool        waited_early;  /* waited for a window while another was under way */
    bool        wrong_done;    /* out of order, or without all results */
} windows;

static inline windows windows_new(const ade_text *texts, size_t n, size_t at_once) {
    windows w;
    memset(&w, 0, sizeof w);
    w.texts = texts;
    w.n = n;
    w.at_once = at_once;
    w.results = (ade_result *)calloc(n + 1, sizeof *w.results);
    w.logits = (float *)malloc((n + 1) * 2 * sizeof *w.logits);
    w.probabilities = (float *)malloc((n + 1) * 2 * sizeof *w.probabilities);
    w.window = (ade_window *)calloc(n + 1, sizeof *w.window);
    if (!w.results || !w.logits || !w.probabilities || !w.window) abort();
    for (size_t i = 0; i < n * 2; i++) w.logits[i] = w.probabilities[i] = NAN;
    return w;
}

static inline void windows_free(windows *w) {
    free(w->results);
    free(w->logits);
    free(w->probabilities);
    free(w->window);
}

static inline ade_status windows_next(void *user, bool wait, ade_window **window) {
    windows *w = (windows *)user;
    size_t   size = w->uneven ? 1 + w->given * 7919 % w->at_once : w->at_once;
    *window = NULL;
    w->asked++;
    w->waited += wait;
    if (wait && w->given > w->done) w->waited_early = true;
    if (w->fail_at && w->given + 1 == w->fail_at) return ade__fail(w->fail_with, "the source of windows fails");
    if (!wait && w->pause_after && w->given % w->pause_after == 0) {
        w->pauses++;
        return ADE_OK;
    }
    if (w->taken == w->n) return ADE_OK;
    if (size > w->n - w->taken) size = w->n - w->taken;
    *window = &w->window[w->given++];
    (*window)->texts = w->texts + w->taken;
    (*window)->n = size;
    (*window)->results = w->results + w->taken;
    (*window)->logits = w->logits + w->taken * 2;
    (*window)->probabilities = w->probabilities + w->taken * 2;
    w->taken += size;
    if (w->given - w->done > w->most) w->most = w->given - w->done;
    return ADE_OK;
}

static inline void windows_done(void *user, ade_window *window) {
    windows *w = (windows *)user;
    if (w->done >= w->given || window != &w->window[w->done]) w->wrong_done = true;
    for (size_t i = 0; i < window->n; i++)
        if (isnan(window->logits[2 * i]) || isnan(window->probabilities[2 * i + 1]) || window->results[i].tokens < 2)
            w->wrong_done = true;
    w->done++;
}

static inline ade_status windows_run(windows *w, ade_session *session) {
    ade_window_source source = {windows_next, windows_done, w};
    return ade__session_stream(session, &source);
}

/* What holds after any stream, whether it came to its end or not. */
static inline bool windows_kept_rules(const windows *w) {
    return !w->waited_early && !w->wrong_done && w->done <= w->given && w->most <= 2;
}

#endif
