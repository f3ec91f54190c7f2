/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a session, and the doors into it: one call's texts, a stream of windows, one text's tokens. What happens to
 * texts behind them is in stream.c. */
#include "session.h"

#include "abi_struct.h"
#include "alloc.h"
#include "device.h"
#include "door.h"
#include "isa.h"
#include "log.h"
#include "status.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_BUDGET 512 /* tokens; a device without room for such a batch is no help */

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* A baseline has but one way to run. */
static ade_status check_baseline_options(const ade_session_options *o) {
    static const char *const NAMES[] = {"auto", "f32", "bf16", "f16", "f64", "int8"};
    if (o->device == ADE_DEVICE_CUDA)
        return ade__fail(ADE_UNSUPPORTED, "the model is a baseline, which runs on the CPU alone; use device cpu or auto");
    if (o->precision != ADE_PRECISION_AUTO && o->precision != ADE_PRECISION_F64)
        return ade__fail(ADE_UNSUPPORTED,
                         "the model is a baseline, which computes in f64 and not in %s; leave the precision out",
                         NAMES[o->precision]);
    return ADE_OK;
}

static ade_status check_environment(void) {
    ade_isa     limit;
    const char *value = getenv("ADESIEVE_MAX_ISA");
    if (ade__isa_limit(&limit)) return ADE_OK;
    return ade__fail(ADE_INVALID_ARGUMENT,
                     "the environment variable ADESIEVE_MAX_ISA holds \"%.40s\"; it takes baseline, sse4.2, avx2, avx512, "
                     "avx512_vnni, avx512_bf16 or amx",
                     value ? value : "");
}

static ade_status check_options(const ade_model *model, ade_session_options *o) {
    ADE_TRY(check_environment());
    if (o->precision < ADE_PRECISION_AUTO || o->precision > ADE_PRECISION_INT8)
        return ade__fail(ADE_INVALID_ARGUMENT, "precision %d is none of ade_precision's values", (int)o->precision);
    if (o->threads < 0 || o->threads > 4096)
        return ade__fail(ADE_INVALID_ARGUMENT, "threads is %d; 0 (all processors) to 4096 are possible",
                         (int)o->threads);
    if (model->baseline) ADE_TRY(check_baseline_options(o));
    if (!model->baseline && o->precision == ADE_PRECISION_F64)
        return ade__fail(ADE_UNSUPPORTED, "precision f64 is a baseline's, and this model is a network; use f32");
    if (model->baseline && o->max_length >= 0) o->max_length = 0; /* it takes all of a text */
    if (o->max_length != 0 && (o->max_length < 3 || o->max_length > model->max_length))
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "max_length is %d; this model takes 3 to %d tokens a text, the two special ones included",
                         (int)o->max_length, (int)model->max_length);
    if (o->token_budget < 0 || o->token_budget > 1 << 20)
        return ade__fail(ADE_INVALID_ARGUMENT, "token_budget is %d; 0 (automatic) to %d are possible",
                         (int)o->token_budget, 1 << 20);
    if (o->invalid_utf8 != ADE_INVALID_UTF8_ERROR && o->invalid_utf8 != ADE_INVALID_UTF8_REPLACE)
        return ade__fail(ADE_INVALID_ARGUMENT, "invalid_utf8 is %d, none of ade_invalid_utf8's values",
                         (int)o->invalid_utf8);
    if (o->reserved != 0)
        return ade__fail(ADE_INVALID_ARGUMENT, "the reserved member of ade_session_options is %d and must be 0",
                         (int)o->reserved);
    if (o->max_length == 0) o->max_length = model->max_length;
    if (o->threads == 0) o->threads = ade__cpu_count();
    return ADE_OK;
}

static void free_workers(ade_session *s) {
    for (int i = 0; s->workers && i < s->n_workers; i++) {
        ade_worker *w = &s->workers[i];
        ade__tokenizer_scratch_free(w->scratch);
        ade__baseline_scratch_free(w->baseline);
        ade__free(w->values);
        ade__staging_free(w->staging);
        ade__workspace_free(w->workspace);
        ade__free(w->ids);
    }
    ade__free(s->workers);
    s->workers = NULL;
}

/* A GPU's code is loaded when it first runs, and takes memory then: one batch of the lengths that take different ways
 * makes it run here, where a smaller budget can still be tried, instead of in the first call. */
static ade_status run_once(ade_worker *w) {
    static const int32_t LENGTHS[] = {2, 40, 80};
    const atomic_int     no_cancel = 0;
    int32_t              most = w->workspace->max_len, count = 0, tokens = 0, at = 0;
    ade_slot            *slot = ade__staging_slot(w->staging);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++)
        if (LENGTHS[i] <= most && tokens + LENGTHS[i] <= w->workspace->max_tokens) tokens += LENGTHS[i], count++;
    ade__slot_begin(w->staging, slot, tokens, count, LENGTHS[0], LENGTHS[count - 1]);
    for (int32_t i = 0; i < count; i++) {
        slot->cu_seqlens[i] = at;
        for (int32_t p = 0; p < LENGTHS[i]; p++, at++) slot->ids[at] = 0, slot->positions[at] = p;
    }
    slot->cu_seqlens[count] = at;
    ADE_TRY(ade__slot_submit(w->staging, slot, &no_cancel));
    return ade__slot_wait(w->staging, slot);
}

static ade_status open_workers(ade_session *s) {
    int32_t tokens = s->info.token_budget > s->info.max_length ? s->info.token_budget : s->info.max_length;
    int     encoders = 0;
    s->workers = ade__calloc((size_t)s->n_workers, sizeof *s->workers);
    if (!s->workers) return ADE_OUT_OF_MEMORY;
    if (s->prepared) encoders = s->prepared->info.execs ? s->prepared->info.execs : s->n_workers;
    for (int i = 0; i < s->n_workers; i++) {
        ade_worker *w = &s->workers[i];
        if (s->model->baseline) {
            ADE_TRY(ade__baseline_scratch_new(s->model->baseline, &w->baseline));
            w->values = ade__calloc(2 * (size_t)s->model->config.n_labels, sizeof *w->values);
            if (!w->values) return ADE_OUT_OF_MEMORY;
            continue;
        }
        ADE_TRY(ade__tokenizer_scratch_new(s->model->tokenizer.tokenizer, &w->scratch));
        if (i >= encoders) continue;
        ADE_TRY(ade__workspace_new(s->prepared, tokens, s->info.max_length, s->prepared->info.slots, &w->workspace));
        ADE_TRY(ade__staging_new(w->workspace, &w->staging));
        if (s->info.device == ADE_DEVICE_CUDA) ADE_TRY(run_once(w));
    }
    return ADE_OK;
}

/* A budget that was chosen for the device, not by the caller, gives way where the device's memory is short. */
static ade_status open_workers_in_memory(ade_session *s) {
    const ade_log log = {s->options.log, s->options.log_user};
    int32_t       least = s->info.max_length > LEAST_BUDGET ? s->info.max_length : LEAST_BUDGET;
    ade_status    status = open_workers(s);
    while (status == ADE_OUT_OF_MEMORY && s->info.device == ADE_DEVICE_CUDA && s->options.token_budget == 0 &&
           s->info.token_budget > least) {
        int32_t half = s->info.token_budget / 2 > least ? s->info.token_budget / 2 : least;
        ade__log(&log, ADE_LOG_WARNING, "the device's memory is short for batches of %d tokens (%s); trying %d",
                 (int)s->info.token_budget, ade_last_error(), (int)half);
        free_workers(s);
        s->info.token_budget = half;
        ade__clear_error();
        status = open_workers(s);
    }
    return status;
}

static ade_status open_for_network(ade_session *s) {
    ade_backend_info *b;
    ADE_TRY(ade__prepared_get(s->model, s->info.device, s->options.device_index, s->options.precision, &s->prepared));
    b = &s->prepared->info;
    s->info.precision = b->precision;
    s->info.token_budget = s->options.token_budget ? s->options.token_budget : b->token_budget;
    s->info.device_name = b->device_name;
    s->info.instruction_set = b->instruction_set;
    return ADE_OK;
}

/* No kernel runs; the backend only says what the processor is. */
static ade_status open_for_baseline(ade_session *s) {
    const ade_backend_options options = {.precision = ADE_PRECISION_F32};
    const ade_ops            *ops = NULL;
    ade_backend              *backend = NULL;
    ade_backend_info          info;
    ADE_TRY(ade__device_ops(ADE_DEVICE_CPU, &ops));
    ADE_TRY(ops->open(&options, &backend));
    ops->describe(backend, &info);
    snprintf(s->processor, sizeof s->processor, "%s", info.device_name);
    ops->close(backend);
    s->info.device_name = s->processor;
    s->info.instruction_set = "";
    s->info.precision = ADE_PRECISION_F64;
    return ADE_OK;
}

static ade_status open_device(ade_session *s) {
    ADE_TRY(s->model->baseline ? open_for_baseline(s) : open_for_network(s));
    s->info.threads = s->options.threads;
    s->n_workers = s->options.threads;
    return ade__pool_new(s->n_workers, &s->pool);
}

static ade_status open_on_device(ade_session *s) {
    if (s->info.device != ADE_DEVICE_NONE) ADE_TRY(open_device(s));
    return open_workers_in_memory(s);
}

static void close_device(ade_session *s) {
    ade__pool_free(s->pool);
    s->pool = NULL;
    free_workers(s);
}

ade_status ade__session_open(ade_model *model, const ade_session_options *options, ade_session **out) {
    const ade_session_options defaults = ADE_SESSION_OPTIONS_INIT;
    ade_status                status;
    ade_session              *s = ade__calloc(1, sizeof *s);
    if (!s) return ADE_OUT_OF_MEMORY;
    ade__model_retain(model);
    s->model = model;
    s->options = defaults;
    s->n_workers = 1;
    atomic_flag_clear(&s->busy);
    if (options)
        ADE_TRY_GOTO(ade__options_in(&s->options, sizeof s->options, options, "ade_session_options"), failed);
    ADE_TRY_GOTO(check_options(model, &s->options), failed);
    s->info.max_length = s->options.max_length;
    s->info.device_index = s->options.device_index;
    s->info.device_name = s->info.instruction_set = "none";
    s->encode = (ade_encode_options){.max_length = s->options.max_length,
                                     .invalid_utf8 = (ade_invalid_utf8)s->options.invalid_utf8,
                                     .split_special_tokens = s->options.split_special_tokens != 0};
    s->info.device_reason = s->reason;
    if (model->baseline && s->options.device == ADE_DEVICE_AUTO) {
        s->info.device = ADE_DEVICE_CPU;
        snprintf(s->reason, sizeof s->reason, "the CPU is used: the model is a baseline, which runs on no other device");
    } else {
        ADE_TRY_GOTO(ade__device_choose(s->options.device, s->options.device_index, s->options.precision,
                                        &s->info.device, s->reason),
                     failed);
    }
    if (s->info.device != ADE_DEVICE_CUDA) /* else every index would have weights of its own */
        s->info.device_index = s->options.device_index = 0;
    status = open_on_device(s);
    if (status != ADE_OK && s->info.device == ADE_DEVICE_CUDA && s->options.device == ADE_DEVICE_AUTO &&
        s->options.precision == ADE_PRECISION_AUTO) { /* nobody insisted on the GPU */
        snprintf(s->reason, sizeof s->reason, "the CPU is used: %.900s", ade_last_error());
        close_device(s);
        s->info.device = ADE_DEVICE_CPU;
        s->info.device_index = s->options.device_index = 0;
        ade__clear_error();
        status = open_on_device(s);
    }
    if (status != ADE_OK) goto failed;
    *out = s;
    return ADE_OK;
failed:
    ade__session_close(s);
    return status;
}

void ade__session_close(ade_session *s) {
    if (!s) return;
    close_device(s);
    ade__batch_plan_clear(&s->plan);
    ade__free(s->tokenized);
    ade__free(s->lengths);
    ade__free(s->results);
    ade__free(s->values);
    ade__free(s->terms);
    ade__model_release(s->model);
    ade__free(s);
}

ade_status ade__session_get_info(const ade_session *s, ade_session_info *info) {
    return ade__options_out(info, &s->info, sizeof s->info, "ade_session_info");
}

/* ---- Doors ------------------------------------------------------------------------------------------------------- */

static ade_status enter(ade_session *s) { return ade__session_enter(s, "open one per thread"); }

static ade_status enter_to_classify(ade_session *s) {
    if (s->info.device == ADE_DEVICE_NONE)
        return ade__fail(ADE_INVALID_ARGUMENT, "a session on ADE_DEVICE_NONE tokenizes only; open one on a device");
    ADE_TRY(ade__session_check_fork(s));
    ADE_TRY(enter(s));
    if (s->failure[0])
        return ade__session_leave(s, ade__fail(ADE_DEVICE, "this session's device failed before, so open another: %s", s->failure));
    return ADE_OK;
}

ade_status ade__session_stream(ade_session *s, const ade_window_source *source) {
    ADE_TRY(enter_to_classify(s));
    return ade__session_leave(s, ade__stream_run(s, source));
}

/* A source of one window: `user` is the address of a pointer to it, which is NULL once it has been given. */
static ade_status give_once(void *user, bool wait, ade_window **window) {
    ade_window **left = user;
    (void)wait;
    *window = *left;
    *left = NULL;
    return ADE_OK;
}

static void pass_over(void *user, ade_window *window) { (void)user, (void)window; }

/* Results gather in the session's own buffers and reach the caller's only when the whole call has succeeded. */
static ade_status classify(ade_session *s, const ade_text *texts, size_t n, ade_result *results, float *logits,
                           float *probabilities) {
    size_t c = (size_t)s->model->config.n_labels;
    if (n > SIZE_MAX / (2 * c * sizeof(float)))
        return ade__fail(ADE_INVALID_ARGUMENT, "%zu texts are more than one call can take", n);
    if (ade__reserve(&s->results, &s->results_capacity, n, sizeof *s->results) ||
        ade__reserve(&s->values, &s->values_capacity, n * 2 * c, sizeof *s->values))
        return ADE_OUT_OF_MEMORY;
    ade_window              all = {texts, n, s->results, s->values, s->values + n * c};
    ade_window             *left = n > 0 ? &all : NULL;
    const ade_window_source source = {give_once, pass_over, &left};
    ADE_TRY(ade__stream_run(s, &source));
    if (results && n) memcpy(results, all.results, n * sizeof *results);
    if (logits && n) memcpy(logits, all.logits, n * c * sizeof *logits);
    if (probabilities && n) memcpy(probabilities, all.probabilities, n * c * sizeof *probabilities);
    return ADE_OK;
}

ade_status ade__session_classify(ade_session *s, const ade_text *texts, size_t n, ade_result *results, float *logits,
                                 float *probabilities) {
    ADE_TRY(enter_to_classify(s));
    return ade__session_leave(s, classify(s, texts, n, results, logits, probabilities));
}

static ade_status too_many(size_t n, size_t capacity) {
    return ade__fail(ADE_INVALID_ARGUMENT, "the text has %zu tokens and there is room for %zu", n, capacity);
}

/* The terms go to a buffer of the session's first: what the caller has stays as it is if there are too many. */
static ade_status list_terms(ade_session *s, ade_text text, ade_token *tokens, size_t capacity, ade_tokens_info *info) {
    ade_baseline_result terms;
    size_t              n;
    ADE_TRY(ade__baseline_terms(s->model->baseline, s->workers[0].baseline, text, s->encode.invalid_utf8, s->terms,
                                s->terms_capacity, &n, &terms));
    if (tokens && n > s->terms_capacity && n <= capacity) {
        if (ade__reserve(&s->terms, &s->terms_capacity, n, sizeof *s->terms)) return ADE_OUT_OF_MEMORY;
        ADE_TRY(ade__baseline_terms(s->model->baseline, s->workers[0].baseline, text, s->encode.invalid_utf8, s->terms,
                                    s->terms_capacity, &n, &terms));
    }
    *info = (ade_tokens_info){.n_tokens = n, .unknown = terms.unknown, .replaced = terms.replaced};
    if (!tokens) return ADE_OK;
    if (n > capacity) return too_many(n, capacity);
    if (n) memcpy(tokens, s->terms, n * sizeof *tokens);
    return ADE_OK;
}

ade_status ade__session_tokenize(ade_session *s, ade_text text, ade_token *tokens, size_t capacity,
                                 ade_tokens_info *info) {
    ade_encode_options options = s->encode;
    ade_encoding       encoding;
    options.want_offsets = tokens != NULL;
    ADE_TRY(enter(s));
    if (s->model->baseline) return ade__session_leave(s, list_terms(s, text, tokens, capacity, info));
    ade_status status =
        ade__tokenizer_encode(s->model->tokenizer.tokenizer, s->workers[0].scratch, text, &options, &encoding);
    if (status == ADE_OK) {
        *info = (ade_tokens_info){.n_tokens = encoding.n,
                                  .unknown = encoding.unknown,
                                  .truncated = encoding.truncated,
                                  .replaced = encoding.replaced};
        if (tokens && encoding.n > capacity)
            status = too_many(encoding.n, capacity);
        for (size_t i = 0; tokens && status == ADE_OK && i < encoding.n; i++)
            tokens[i] = (ade_token){encoding.ids[i], encoding.starts[i], encoding.ends[i]};
    }
    return ade__session_leave(s, status);
}

/* The ids of one text, of which the first `room` go to `ids`. */
static ade_status encode_text(ade_session *s, ade_text text, int32_t *ids, size_t room, size_t *n) {
    ade_encoding encoding;
    if (s->model->baseline) {
        ade_tokens_info info;
        ADE_TRY(list_terms(s, text, NULL, 0, &info));
        *n = info.n_tokens;
        if (*n > s->terms_capacity) { /* they were counted only */
            if (ade__reserve(&s->terms, &s->terms_capacity, *n, sizeof *s->terms)) return ADE_OUT_OF_MEMORY;
            ADE_TRY(list_terms(s, text, NULL, 0, &info));
        }
        for (size_t i = 0; i < *n && i < room; i++) ids[i] = s->terms[i].id;
        return ADE_OK;
    }
    ADE_TRY(ade__tokenizer_encode(s->model->tokenizer.tokenizer, s->workers[0].scratch, text, &s->encode, &encoding));
    *n = encoding.n;
    if (room) memcpy(ids, encoding.ids, (encoding.n < room ? encoding.n : room) * sizeof *ids);
    return ADE_OK;
}

static ade_status encode(ade_session *s, const ade_text *texts, size_t n_texts, int32_t *ids, size_t capacity,
                         size_t *row_starts, size_t *n_ids) {
    size_t total = 0;
    for (size_t i = 0; i < n_texts; i++) {
        size_t n, room = total < capacity ? capacity - total : 0;
        if (texts[i].size && !texts[i].data)
            return ade__fail(ADE_INVALID_ARGUMENT, "text %zu has %zu bytes but its data is NULL", i, texts[i].size);
        ade_status status = encode_text(s, texts[i], room ? ids + total : NULL, room, &n);
        if (status == ADE_OUT_OF_MEMORY) return status;
        if (status != ADE_OK) {
            char number[32];
            snprintf(number, sizeof number, "text %zu", i);
            return ade__fail_prefix(status, number);
        }
        if (row_starts) row_starts[i] = total;
        total += n;
    }
    if (row_starts) row_starts[n_texts] = total;
    *n_ids = total;
    if (ids && total > capacity)
        return ade__fail(ADE_INVALID_ARGUMENT, "the %zu texts have %zu ids and there is room for %zu", n_texts, total,
                         capacity);
    return ADE_OK;
}

ade_status ade__session_encode(ade_session *s, const ade_text *texts, size_t n_texts, int32_t *ids, size_t capacity,
                               size_t *row_starts, size_t *n_ids) {
    ADE_TRY(enter(s));
    return ade__session_leave(s, encode(s, texts, n_texts, ids, capacity, row_starts, n_ids));
}
