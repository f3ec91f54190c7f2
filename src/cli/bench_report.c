/* SPDX-License-Identifier: Apache-2.0
 * See bench_report.h. */
#include "bench_report.h"

#include "stage_times.h"

#include <stdio.h>
#include <string.h>

/* ---- Numbers that both have -------------------------------------------------------------------------------------- */

/* All threads' time inside the calls. */
static double thread_seconds(const ade_session_profile *p) { return p->seconds * (double)p->threads; }

/* What is neither tokenizing nor encoding: threads without work at a call's end, sorting, handing out results. */
static double idle(const ade_session_profile *p) {
    double rest = thread_seconds(p) - p->tokenizing - p->encoding;
    return rest > 0 ? rest : 0;
}

static double gigaflops(double operations, double seconds) { return per_second(operations, seconds) / 1e9; }

/* Operations of the batch whose products were timed alone. */
static double operations_alone(const bench_result *r) {
    return r->profile.tokens > 0 ? r->profile.operations / (double)r->profile.tokens * r->products_tokens : 0;
}

/* How much of the encoding's time the products alone would take, for as many tokens. */
static double share_of_limit(const bench_result *r) {
    double alone = r->products_seconds / r->products_tokens, all = r->profile.encoding / (double)r->profile.tokens;
    return all > 0 ? alone / all : 0;
}

static double mean_tokens(const bench_result *r) {
    return r->texts_done > 0 ? (double)r->tokens / (double)r->texts_done : 0;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void stage(bytes *out, const bench_result *r, const char *name, double seconds, const char *more) {
    put_named(out, name, "%10.3f %7.1f%s", seconds, 100 * seconds / thread_seconds(&r->profile), more);
}

static void put_stages(bytes *out, const bench_result *r) {
    const ade_session_profile *p = &r->profile;
    int                        baseline = r->engine.model_info.kind == ADE_MODEL_BASELINE;
    char                       speed[64];
    put_named(out, "stage", "   seconds share, %%");
    stage(out, r, baseline ? "scoring" : "tokenizing", p->tokenizing, "");
    if (!baseline && stages_are_known(&r->engine)) {
        stage(out, r, "encoding", p->encoding, "");
        snprintf(speed, sizeof speed, "  %.0f GFLOP/s a thread", gigaflops(p->operations, p->products));
        stage(out, r, "  products", p->products, speed);
        stage(out, r, "  attention", p->attention, "");
        stage(out, r, "  elementwise", p->elementwise, "");
        stage(out, r, "  waiting", p->waiting, "");
        stage(out, r, "  other", stage_other(p), "");
        stage(out, r, "idle", idle(p), "");
    }
    stage(out, r, "all threads", thread_seconds(p), "");
    if (!baseline && !stages_are_known(&r->engine))
        put_named(out, "", "The stages of encoding are not known: a GPU computes by itself.");
}

void bench_put_text(bytes *out, const bench_result *r, const settings *wanted) {
    const ade_session_info *session = &r->engine.session_info;
    char                    name[32];
    int                     baseline = r->engine.model_info.kind == ADE_MODEL_BASELINE;
    put_named(out, "adesieve", "%s", ade_version());
    put_named(out, "model", "%s", r->engine.model_info.name);
    put_named(out, "device", "%s: %s%s%s", device_text(session->device, session->device_index, name, sizeof name),
         session->device_name, *session->instruction_set ? ", " : "", session->instruction_set);
    put_named(out, "runs as", "%s, %d %s", precision_text(session->precision), (int)session->threads,
         session->threads == 1 ? "thread" : "threads");
    if (r->texts.made)
        put_named(out, "texts", "%zu, made by chance from the model's vocabulary", r->texts.count);
    else
        put_named(out, "texts", "%s%zu of %s%s", r->texts.cut ? "the first " : "", r->texts.count,
             strcmp(wanted->files[0], "-") == 0 ? "standard input" : wanted->files[0],
             wanted->n_files > 1 ? " and other inputs" : "");
    put_named(out, "", "%.1f %s a text on average", mean_tokens(r), baseline ? "terms" : "tokens");
    put_literal(out, "\n");
    put_named(out, "speed", "%.0f %s/s, %.0f texts/s", per_second((double)r->tokens, r->seconds),
         baseline ? "terms" : "tokens", per_second((double)r->texts_done, r->seconds));
    put_named(out, "", "%llu texts in %llu %s, %.1f s", (unsigned long long)r->texts_done, (unsigned long long)r->calls,
         r->calls == 1 ? "call" : "calls", r->seconds);
    put_named(out, "one text alone", "%.3f ms (half of %zu calls), %.3f ms (99 %% of them)", 1e3 * r->single_p50,
         r->single_calls, 1e3 * r->single_p99);
    put_literal(out, "\n");
    put_stages(out, r);
    if (!(r->products_seconds > 0)) return;
    put_literal(out, "\n");
    put_named(out, "share of limit", "%.1f %%: what the matrix products alone take, of the encoding's time",
         100 * share_of_limit(r));
    put_named(out, "", "%.3f ms for %d tokens in %d texts: %.0f GFLOP/s a thread", 1e3 * r->products_seconds,
         (int)r->products_tokens, (int)r->products_texts, gigaflops(operations_alone(r), r->products_seconds));
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *texts_object(const bench_result *r, const settings *wanted) {
    json_t *files = json_array();
    for (size_t i = 0; i < wanted->n_files; i++) json_array_append_new(files, json_from_text(wanted->files[i]));
    return json_pack("{s:s, s:o, s:I, s:b, s:f}", "source", r->texts.made ? "vocabulary" : "files", "files", files,
                     "count", (json_int_t)r->texts.count, "cut", r->texts.cut, "mean_tokens", mean_tokens(r));
}

json_t *bench_object(const bench_result *r, const settings *wanted) {
    json_t *object = engine_stats(&r->engine, "bench");
    if (!object) return NULL;
    json_object_set_new(object, "texts", texts_object(r, wanted));
    json_object_set_new(object, "speed",
                        json_pack("{s:f, s:I, s:I, s:I, s:f, s:f}", "seconds", r->seconds, "calls",
                                  (json_int_t)r->calls, "texts", (json_int_t)r->texts_done, "tokens",
                                  (json_int_t)r->tokens, "texts_per_second", per_second((double)r->texts_done, r->seconds), "tokens_per_second",
                                  per_second((double)r->tokens, r->seconds)));
    json_object_set_new(object, "latency",
                        json_pack("{s:I, s:f, s:f}", "calls", (json_int_t)r->single_calls, "p50_ms",
                                  1e3 * r->single_p50, "p99_ms", 1e3 * r->single_p99));
    json_object_set_new(object, "profile", profile_object(&r->profile, &r->engine));
    if (stages_are_known(&r->engine)) {
        json_t *profile = json_object_get(object, "profile");
        json_object_set_new(profile, "idle", json_real(idle(&r->profile)));
        json_object_set_new(profile, "products_gflops_per_thread",
                            json_real(gigaflops(r->profile.operations, r->profile.products)));
    }
    json_object_set_new(object, "limit",
                        r->products_seconds > 0
                            ? json_pack("{s:f, s:i, s:i, s:f, s:f}", "products_seconds", r->products_seconds, "tokens",
                                        (int)r->products_tokens, "texts", (int)r->products_texts, "gflops_per_thread",
                                        gigaflops(operations_alone(r), r->products_seconds), "share", share_of_limit(r))
                            : json_null());
    return object;
}
