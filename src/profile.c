/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "abi_struct.h"
#include "alloc.h"
#include "door.h"
#include "status.h"
#include "stream.h"

#include <math.h>

#define MEASURE_SECONDS 0.4

static const char INSTEAD[] = "ask when its call is done";

ade_status ade__session_get_profile(ade_session *s, ade_session_profile *out) {
    ade_session_profile sum = ADE_SESSION_PROFILE_INIT;
    ADE_TRY(ade__session_enter(s, INSTEAD));
    sum.threads = s->info.threads;
    sum.seconds = s->seconds;
    for (int i = 0; i < s->n_workers; i++) {
        const ade_worker *w = &s->workers[i];
        sum.texts += w->texts;
        sum.tokens += w->tokens;
        sum.batches += w->batches;
        sum.tokenizing += w->tokenizing;
        sum.encoding += w->encoding;
        sum.products += w->times.products;
        sum.attention += w->times.attention;
        sum.elementwise += w->times.elementwise;
        sum.waiting += w->times.waiting;
        sum.operations += w->operations;
    }
    return ade__session_leave(s, ade__options_out(out, &sum, sizeof sum, "ade_session_profile"));
}

/* ---- The products alone ------------------------------------------------------------------------------------------ */

typedef struct trial {
    ade_session *session;
    int32_t      tokens, texts;
    struct {
        double     seconds;
        ade_status status;
        char       error[ADE_ERROR_TEXT];
    } *by; /* a member per worker */
} trial;

static void measure(void *argument, int number) {
    trial      *t = argument;
    ade_worker *w = &t->session->workers[number];
    double      begin = ade__seconds(), best = INFINITY, now;
    t->by[number].status = ADE_OK;
    do {
        double start = ade__seconds();
        t->by[number].status = ade__encoder_products(w->workspace, t->tokens, t->texts);
        now = ade__seconds();
        if (now - start < best) best = now - start;
    } while (t->by[number].status == ADE_OK && now - begin < MEASURE_SECONDS);
    t->by[number].seconds = best;
    if (t->by[number].status != ADE_OK) ade__copy_error(t->by[number].error, ADE_ERROR_TEXT);
    ade_op_times ignored = {0};
    t->session->prepared->ops->exec_times(w->workspace->exec, &ignored);
}

static ade_status time_products(ade_session *s, int32_t tokens, int32_t texts, double *seconds) {
    ade_status status = ADE_OK;
    trial      t = {s, tokens, texts, NULL};
    double     slowest = 0;
    if (!s->prepared || !s->prepared->ops->multiply)
        return ade__fail(ADE_UNSUPPORTED, "products are timed apart on a CPU alone, and for a network; open the session with "
                                          "device cpu");
    if (texts < 1 || texts > tokens / 2 || tokens > s->workers[0].workspace->max_tokens)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "%d tokens in %d texts were asked for; this session's batches have 2 to %d tokens, and a text has two "
                         "at least",
                         (int)tokens, (int)texts, (int)s->workers[0].workspace->max_tokens);
    t.by = ade__calloc((size_t)s->n_workers, sizeof *t.by);
    if (!t.by) return ADE_OUT_OF_MEMORY;
    ade__pool_run(s->pool, measure, &t, NULL, NULL);
    for (int i = 0; i < s->n_workers && status == ADE_OK; i++) {
        if (t.by[i].status != ADE_OK) status = ade__adopt_error(t.by[i].status, t.by[i].error);
        if (t.by[i].seconds > slowest) slowest = t.by[i].seconds;
    }
    ade__free(t.by);
    if (status == ADE_OK) *seconds = slowest;
    return status;
}

ade_status ade__session_time_products(ade_session *s, int32_t tokens, int32_t texts, double *seconds) {
    ADE_TRY(ade__session_check_fork(s));
    ADE_TRY(ade__session_enter(s, INSTEAD));
    return ade__session_leave(s, time_products(s, tokens, texts, seconds));
}
