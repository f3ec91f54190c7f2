/* SPDX-License-Identifier: Apache-2.0
 * adesieve bench: how fast a model is here, and where the time goes. */
#include "commands.h"

#include "bench_report.h"
#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"
#include "stage_times.h"

#include <math.h>
#include <stdlib.h>

#define DEFAULT_SECONDS 10.0
#define WARM_SECONDS 0.25  /* of one call that is long enough to tell how fast the next one will be */
#define CALLS_IN_A_RUN 4   /* with many texts each: long ones are packed better, but the run shall end in time */
#define SINGLE_SECONDS 1.0 /* for texts alone; FEWEST_SINGLE is more important */
enum { FEWEST_SINGLE = 100, MOST_SINGLE = 1000, WARM_SINGLE = 5, FIRST_BLOCK = 16 };

typedef struct bench_run {
    bench_result result;
    ade_result  *scores; /* (texts) */
    size_t       next;   /* the text that the next call begins with */
} bench_run;

static int ask(void *user, uint64_t done, uint64_t total) {
    (void)user, (void)done, (void)total;
    return signals_interrupted();
}

/* One call with up to `count` texts, from where the last one ended. *seconds: how long it took. */
static int classify(bench_run *run, size_t count, double *seconds) {
    bench_result *r = &run->result;
    double        start = seconds_now();
    ade_status    status;
    if (run->next == r->texts.count) run->next = 0;
    if (count > r->texts.count - run->next) count = r->texts.count - run->next;
    status = ade_classify(r->engine.session, r->texts.texts + run->next, count, run->scores, NULL, NULL);
    if (status != ADE_OK) return engine_failed(status, NULL);
    *seconds = seconds_now() - start;
    run->next += count;
    r->calls++;
    r->texts_done += count;
    r->seconds += *seconds;
    for (size_t i = 0; i < count; i++) r->tokens += (uint64_t)run->scores[i].tokens;
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

/* Longer and longer calls, until one tells how many texts to give at a time. */
static int warm_up(bench_run *run, double wanted, size_t *block) {
    size_t most = run->result.texts.count, count = FIRST_BLOCK < most ? FIRST_BLOCK : most;
    double seconds = 0, fit;
    int    status;
    for (;;) {
        run->next = 0;
        status = classify(run, count, &seconds);
        if (status != CLI_OK) return status;
        if (count == most || seconds >= WARM_SECONDS) break;
        count = 2 * count < most ? 2 * count : most;
    }
    fit = wanted / CALLS_IN_A_RUN / seconds * (double)count;
    *block = fit >= (double)most ? most : fit < FIRST_BLOCK ? FIRST_BLOCK : (size_t)fit;
    return CLI_OK;
}

static int get_profile(const bench_run *run, ade_session_profile *profile) {
    ade_status status;
    *profile = (ade_session_profile)ADE_SESSION_PROFILE_INIT;
    status = ade_session_get_profile(run->result.engine.session, profile);
    return status == ADE_OK ? CLI_OK : engine_failed(status, NULL);
}

static void subtract(ade_session_profile *from, const ade_session_profile *before) {
    from->texts -= before->texts;
    from->tokens -= before->tokens;
    from->batches -= before->batches;
    from->seconds -= before->seconds;
    from->tokenizing -= before->tokenizing;
    from->encoding -= before->encoding;
    from->products -= before->products;
    from->attention -= before->attention;
    from->elementwise -= before->elementwise;
    from->waiting -= before->waiting;
    from->operations -= before->operations;
}

static int measure_many(bench_run *run, double wanted) {
    bench_result       *r = &run->result;
    ade_session_profile before;
    size_t              block = 0;
    double              seconds;
    int                 status = warm_up(run, wanted, &block);
    if (status == CLI_OK) status = get_profile(run, &before);
    run->next = 0;
    r->calls = r->texts_done = r->tokens = 0;
    r->seconds = 0;
    while (status == CLI_OK && r->seconds < wanted) status = classify(run, block, &seconds);
    if (status == CLI_OK) status = get_profile(run, &r->profile);
    if (status == CLI_OK) subtract(&r->profile, &before);
    return status;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int measure_single(bench_run *run) {
    bench_result *r = &run->result;
    double        times[MOST_SINGLE], all = 0;
    size_t        n = 0;
    for (size_t i = 0; n < FEWEST_SINGLE || (n < MOST_SINGLE && all < SINGLE_SECONDS); i++) {
        const ade_text *text = &r->texts.texts[i * 7919 % r->texts.count]; /* a prime: from all over the texts */
        double          start = seconds_now(), seconds;
        ade_status      status = ade_classify(r->engine.session, text, 1, run->scores, NULL, NULL);
        seconds = seconds_now() - start;
        if (status != ADE_OK) return engine_failed(status, NULL);
        if (signals_interrupted()) return CLI_INTERRUPTED;
        if (i < WARM_SINGLE) continue;
        times[n++] = seconds;
        all += seconds;
    }
    qsort(times, n, sizeof *times, by_value);
    r->single_calls = n;
    r->single_p50 = times[(n - 1) / 2];
    r->single_p99 = times[(size_t)ceil(0.99 * (double)n) - 1];
    return CLI_OK;
}

/* A batch as the session packs them: full, of texts as long as these are on average. */
static int measure_products(bench_result *r) {
    double     mean = (double)r->profile.tokens / (double)r->profile.texts;
    ade_status status;
    r->products_tokens = r->engine.session_info.token_budget;
    r->products_texts = (int32_t)lround(r->products_tokens / mean);
    if (r->products_texts > r->products_tokens / 2) r->products_texts = r->products_tokens / 2;
    if (r->products_texts < 1) r->products_texts = 1;
    status = ade_session_time_products(r->engine.session, r->products_tokens, r->products_texts, &r->products_seconds);
    return status == ADE_OK ? CLI_OK : engine_failed(status, NULL);
}

static int open_all(bench_run *run, settings *wanted, output *out) {
    bench_result       *r = &run->result;
    ade_session_options options;
    output              none[2] = {OUTPUT_CLOSED_INIT, OUTPUT_CLOSED_INIT};
    int                 status = engine_open_outputs(wanted, out, &none[0], &none[1]), read = CLI_OK;
    if (status == CLI_OK) status = engine_open_model(&r->engine, wanted);
    if (status != CLI_OK) return status;
    if (wanted->n_files > 0)
        read = bench_texts_read(&r->texts, wanted);
    else
        read = bench_texts_make(&r->texts, &r->engine);
    if (read != CLI_OK && read != CLI_PARTIAL) return read;
    run->scores = calloc(r->texts.count, sizeof *run->scores);
    if (!run->scores) {
        say(SAY_ERROR, "out of memory for the results of %zu texts.", r->texts.count);
        return CLI_FAILED;
    }
    engine_session_options(wanted, &options);
    options.progress = ask;
    status = engine_open_session(&r->engine, &options, NULL);
    return status == CLI_OK ? read : status;
}

static int run_bench(bench_run *run, settings *wanted, output *out) {
    bench_result *r = &run->result;
    int           opened = open_all(run, wanted, out), status;
    if (opened != CLI_OK && opened != CLI_PARTIAL) return opened;
    status = measure_many(run, wanted->seconds > 0 ? wanted->seconds : DEFAULT_SECONDS);
    if (status == CLI_OK) status = measure_single(run);
    if (status == CLI_OK && stages_are_known(&r->engine)) status = measure_products(r);
    if (status != CLI_OK) return status;
    if (wanted->format == REPORT_JSON)
        status = engine_write_json(out, bench_object(r, wanted));
    else
        bench_put_text(&out->rows, r, wanted);
    if (status == CLI_OK) status = output_finish(out, 1);
    return status == CLI_OK ? opened : status;
}

int cmd_bench(settings *wanted) {
    output     out = OUTPUT_CLOSED_INIT;
    bench_run *run = calloc(1, sizeof *run);
    int        status = wanted->n_files > 0 ? engine_check_files(wanted, 1) : CLI_OK;
    if (!run) {
        say(SAY_ERROR, "out of memory.");
        return CLI_FAILED;
    }
    if (status == CLI_OK) status = run_bench(run, wanted, &out);
    output_finish(&out, 0);
    engine_close(&run->result.engine);
    bench_texts_free(&run->result.texts);
    free(run->scores);
    free(run);
    return status;
}
