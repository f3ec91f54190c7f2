/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts are taken in windows. In each window the workers first tokenize (a few texts at a time, in any order), then the
 * window is sorted by length and cut into batches, and the workers encode batches until none is left. A batch is one
 * worker's from packing to scattering; nothing is shared between workers but two counters. On a CPU every worker
 * encodes. On a GPU one does: it only queues batches, so that the device still works on the last ones of a window while
 * all workers tokenize the next. Results gather in the session's own buffers and reach the caller's only when the whole
 * call has succeeded. */
#include "session.h"

#include "alloc.h"
#include "batch.h"
#include "device.h"
#include "abi_struct.h"
#include "log.h"
#include "staging.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_TEXTS 8192              /* enough to fill batches with texts of one length */
#define WINDOW_BYTES ((size_t)8 << 20) /* of text; bounds the memory for ids, whatever comes */
#define TOKENIZE_AT_ONCE 32            /* texts a worker takes at a time */
#define INLINE_TEXTS 16                /* so few are tokenized on the caller's thread: waking workers takes longer */
#define INLINE_BYTES ((size_t)64 << 10) /* if short: that thread cannot ask the progress callback meanwhile */
#define LEAST_BUDGET 512 /* tokens; a device without room for such a batch is no help */
#define ERROR_TEXT 2048

typedef struct worker {
    ade_tokenizer_scratch *scratch;
    ade_workspace         *workspace; /* NULL: this worker only tokenizes */
    ade_staging           *staging;
    int32_t               *ids; /* of all texts that this worker tokenized in this window */
    size_t                 n_ids, ids_capacity;
    ade_status             status; /* first failure in this call */
    size_t                 failed_text; /* in the call; SIZE_MAX when it was no text's fault */
    char                   error[ERROR_TEXT];
} worker;

typedef struct tokenized { /* one text of the window */
    const worker *by;
    size_t        at; /* its ids start at by->ids[at] */
    int32_t       unknown, truncated, replaced;
} tokenized;

struct ade_session {
    ade_model           *model;
    ade_session_options  options;
    ade_session_info     info;
    struct ade_prepared *prepared; /* NULL for ADE_DEVICE_NONE */
    ade_pool            *pool;     /* likewise */
    int                  n_workers;
    worker              *workers;
    ade_encode_options   encode;
    ade_batch_plan       plan;
    atomic_flag          busy; /* catches two threads in one session */
    char                 reason[ADE_DEVICE_REASON]; /* why this device */
    char                *failure; /* what broke the device for good; NULL while it works */

    tokenized *texts;   /* (window) */
    int32_t   *lengths; /* (window) */
    size_t     texts_capacity, lengths_capacity;

    ade_result *results; /* (n) of the call */
    float      *values;  /* (n, 2, C): logits, then probabilities */
    size_t      results_capacity, values_capacity;

    /* the call in progress */
    const ade_text *window;
    size_t          window_n, window_first;
    uint64_t        total;
    atomic_size_t   next_text, next_batch;
    atomic_size_t   texts_done; /* of the call */
    atomic_int      cancel; /* 1: the caller's wish; 2: a worker failed */
};

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static ade_status check_options(const ade_model *model, ade_session_options *o) {
    if (o->precision < ADE_PRECISION_AUTO || o->precision > ADE_PRECISION_F16)
        return ade__fail(ADE_INVALID_ARGUMENT, "precision %d is none of ade_precision's values", (int)o->precision);
    if (o->threads < 0 || o->threads > 4096)
        return ade__fail(ADE_INVALID_ARGUMENT, "threads is %d; 0 (all processors) to 4096 are possible",
                         (int)o->threads);
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
        worker *w = &s->workers[i];
        ade__tokenizer_scratch_free(w->scratch);
        ade__staging_free(w->staging);
        ade__workspace_free(w->workspace);
        ade__free(w->ids);
    }
    ade__free(s->workers);
    s->workers = NULL;
}

/* A GPU's code is loaded when it first runs, and takes memory then: one batch of the lengths that take different ways
 * makes it run here, where a smaller budget can still be tried, instead of in the first call. */
static ade_status run_once(worker *w) {
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
        worker *w = &s->workers[i];
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

static ade_status open_device(ade_session *s) {
    ade_backend_info *b;
    ADE_TRY(ade__prepared_get(s->model, s->info.device, s->options.device_index, s->options.precision, &s->prepared));
    b = &s->prepared->info;
    s->info.precision = b->precision;
    s->info.token_budget = s->options.token_budget ? s->options.token_budget : b->token_budget;
    s->info.device_name = b->device_name;
    s->info.instruction_set = b->instruction_set;
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
    ADE_TRY_GOTO(ade__device_choose(s->options.device, s->options.device_index, s->options.precision, &s->info.device,
                                    s->reason),
                 failed);
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
    ade__free(s->texts);
    ade__free(s->lengths);
    ade__free(s->results);
    ade__free(s->values);
    ade__free(s->failure);
    ade__model_release(s->model);
    ade__free(s);
}

ade_status ade__session_get_info(const ade_session *s, ade_session_info *info) {
    return ade__options_out(info, &s->info, sizeof s->info, "ade_session_info");
}

/* ---- Tokenizing -------------------------------------------------------------------------------------------------- */

static void note_failure(ade_session *s, worker *w, ade_status status, size_t text) {
    w->status = status;
    w->failed_text = text;
    ade__copy_error(w->error, sizeof w->error);
    int none = 0;
    atomic_compare_exchange_strong(&s->cancel, &none, 2);
}

static void tokenize_one(ade_session *s, worker *w, size_t i) {
    ade_encoding encoding;
    ade_status   status =
        ade__tokenizer_encode(s->model->tokenizer.tokenizer, w->scratch, s->window[i], &s->encode, &encoding);
    if (status == ADE_OK && ade__reserve(&w->ids, &w->ids_capacity, w->n_ids + encoding.n, sizeof *w->ids))
        status = ADE_OUT_OF_MEMORY;
    if (status != ADE_OK) {
        note_failure(s, w, status, s->window_first + i);
        return;
    }
    memcpy(w->ids + w->n_ids, encoding.ids, encoding.n * sizeof *w->ids);
    s->texts[i] = (tokenized){w, w->n_ids, encoding.unknown, encoding.truncated, encoding.replaced};
    s->lengths[i] = (int32_t)encoding.n;
    w->n_ids += encoding.n;
}

/* Texts are taken in ascending order and nobody stops at another's failure before it has finished the texts that it
 * took, so the lowest failing text is always found: the error does not depend on the threads. */
static void tokenize_some(void *argument, int number) {
    ade_session *s = argument;
    worker      *w = &s->workers[number];
    while (!atomic_load(&s->cancel)) {
        size_t first = atomic_fetch_add(&s->next_text, TOKENIZE_AT_ONCE);
        size_t end = first + TOKENIZE_AT_ONCE < s->window_n ? first + TOKENIZE_AT_ONCE : s->window_n;
        if (first >= s->window_n) return;
        for (size_t i = first; i < end && w->status == ADE_OK; i++) tokenize_one(s, w, i);
    }
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

static void fill(const ade_session *s, const worker *w, const ade_batch_range *range, ade_slot *slot) {
    int32_t at = 0, last = s->lengths[s->plan.order[range->first + (size_t)range->count - 1]];
    ade__slot_begin(w->staging, slot, range->tokens, range->count, last, range->max_len); /* the longest comes first */
    for (int32_t k = 0; k < range->count; k++) {
        uint32_t         i = s->plan.order[range->first + (size_t)k];
        const tokenized *text = &s->texts[i];
        int32_t          length = s->lengths[i];
        slot->cu_seqlens[k] = at;
        memcpy(slot->ids + at, text->by->ids + text->at, (size_t)length * sizeof(int32_t));
        for (int32_t p = 0; p < length; p++) slot->positions[at + p] = p;
        slot->texts[k] = (ade_staged_text){s->window_first + i, length, text->unknown, text->truncated, text->replaced};
        at += length;
    }
    slot->cu_seqlens[range->count] = at;
}

static int32_t argmax(const float *x, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static ade_status check_finite(const ade_session *s, const float *logits, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        if (isfinite(logits[i])) continue;
        if (s->info.precision == ADE_PRECISION_F16)
            return ade__fail(ADE_UNSUPPORTED, "the model's values leave the range of f16, so its score is not a number; "
                                              "use device cpu");
        return ade__fail(ADE_BAD_MODEL, "the model's score is not a number; its weights are unusable: take another "
                                        "checkpoint");
    }
    return ADE_OK;
}

static void scatter(ade_session *s, worker *w, const ade_slot *slot) {
    const ade_model_config *config = &s->model->config;
    size_t                  c = (size_t)config->n_labels;
    for (int32_t k = 0; k < slot->view.s; k++) {
        const ade_staged_text *text = &slot->texts[k];
        const float           *logits = slot->logits + (size_t)k * c, *probabilities = slot->probabilities + (size_t)k * c;
        ade_status             status = check_finite(s, logits, config->n_labels);
        if (status != ADE_OK) {
            note_failure(s, w, status, text->row);
            return;
        }
        memcpy(s->values + text->row * 2 * c, logits, c * sizeof(float));
        memcpy(s->values + text->row * 2 * c + c, probabilities, c * sizeof(float));
        s->results[text->row] = (ade_result){.label = argmax(logits, config->n_labels),
                                             .score = probabilities[config->positive_label],
                                             .tokens = text->tokens,
                                             .unknown = text->unknown,
                                             .truncated = text->truncated,
                                             .replaced = text->replaced};
    }
    atomic_fetch_add(&s->texts_done, (size_t)slot->view.s);
}

/* Takes a slot's results, once they have come. */
static ade_status collect(ade_session *s, worker *w, ade_slot *slot) {
    if (!slot->in_flight) return ADE_OK;
    ADE_TRY(ade__slot_wait(w->staging, slot));
    scatter(s, w, slot);
    return w->status;
}

static ade_status encode_one(ade_session *s, worker *w, const ade_batch_range *range) {
    ade_slot *slot = ade__staging_slot(w->staging);
    ADE_TRY(collect(s, w, slot));
    fill(s, w, range, slot);
    ADE_TRY(ade__slot_submit(w->staging, slot, &s->cancel));
    return w->staging->n_slots == 1 ? collect(s, w, slot) : ADE_OK; /* nothing could overlap: do not sit on results */
}

static void note_outcome(ade_session *s, worker *w, ade_status status) {
    if (status != ADE_OK && status != ADE_CANCELLED && w->status == ADE_OK) note_failure(s, w, status, SIZE_MAX);
}

static void encode_some(void *argument, int number) {
    ade_session *s = argument;
    worker      *w = &s->workers[number];
    ade_status   status = ADE_OK;
    while (w->staging && status == ADE_OK && !atomic_load(&s->cancel)) {
        size_t b = atomic_fetch_add(&s->next_batch, 1);
        if (b >= s->plan.n_batches) return;
        status = encode_one(s, w, &s->plan.batches[b]);
    }
    note_outcome(s, w, status);
}

/* What is still in flight after the last window, oldest first. */
static void collect_rest(void *argument, int number) {
    ade_session *s = argument;
    worker      *w = &s->workers[number];
    ade_status   status = ADE_OK;
    for (int32_t i = 0; w->staging && i < w->staging->n_slots && status == ADE_OK && !atomic_load(&s->cancel); i++)
        status = collect(s, w, &w->staging->slots[(w->staging->turn + i) % w->staging->n_slots]);
    note_outcome(s, w, status);
}

/* After a failure or a cancelled call: the device is done with the slots, and nobody takes their results. */
static void abandon_rest(ade_session *s) {
    for (int i = 0; i < s->n_workers; i++) {
        ade_staging *staging = s->workers[i].staging;
        for (int32_t k = 0; staging && k < staging->n_slots; k++)
            if (staging->slots[k].in_flight) (void)ade__slot_wait(staging, &staging->slots[k]);
    }
}

/* ---- One call ---------------------------------------------------------------------------------------------------- */

static void ask_caller(void *argument) {
    ade_session *s = argument;
    if (s->options.progress &&
        s->options.progress(s->options.progress_user, atomic_load(&s->texts_done), s->total))
        atomic_store(&s->cancel, 1);
}

/* The failure of the lowest text, or any that was no text's fault; then the caller's wish to stop. */
static ade_status outcome(ade_session *s) {
    const worker *worst = NULL;
    for (int i = 0; i < s->n_workers; i++)
        if (s->workers[i].status != ADE_OK && (!worst || s->workers[i].failed_text < worst->failed_text))
            worst = &s->workers[i];
    if (worst) {
        if (worst->failed_text == SIZE_MAX || worst->status == ADE_OUT_OF_MEMORY)
            return ade__adopt_error(worst->status, worst->error);
        return ade__fail(worst->status, "text %zu: %s", worst->failed_text, worst->error);
    }
    if (atomic_load(&s->cancel)) return ade__fail(ADE_CANCELLED, "the caller's progress callback asked to stop");
    return ADE_OK;
}

static size_t window_size(const ade_text *texts, size_t n) {
    size_t bytes = 0, i = 0;
    while (i < n && i < WINDOW_TEXTS && (i == 0 || texts[i].size < WINDOW_BYTES - bytes)) {
        bytes += texts[i].size;
        i++;
        if (bytes >= WINDOW_BYTES) break;
    }
    return i;
}

static int is_quick(const ade_session *s) {
    size_t bytes = 0;
    if (s->window_n > INLINE_TEXTS) return 0;
    for (size_t i = 0; i < s->window_n; i++)
        if (__builtin_add_overflow(bytes, s->window[i].size, &bytes)) return 0;
    return bytes <= INLINE_BYTES;
}

static ade_status run_window(ade_session *s) {
    if (ade__reserve(&s->texts, &s->texts_capacity, s->window_n, sizeof *s->texts) ||
        ade__reserve(&s->lengths, &s->lengths_capacity, s->window_n, sizeof *s->lengths))
        return ADE_OUT_OF_MEMORY;
    for (int i = 0; i < s->n_workers; i++) s->workers[i].n_ids = 0;
    atomic_store(&s->next_text, 0);
    atomic_store(&s->next_batch, 0);
    if (is_quick(s)) tokenize_some(s, 0);
    else ade__pool_run(s->pool, tokenize_some, s, ask_caller, s);
    ADE_TRY(outcome(s));
    ADE_TRY(ade__batch_plan(&s->plan, s->lengths, s->window_n, s->info.max_length, s->info.token_budget,
                            s->workers[0].workspace->max_seqs));
    ade__pool_run(s->pool, encode_some, s, ask_caller, s);
    return outcome(s);
}

static ade_status classify(ade_session *s, const ade_text *texts, size_t n) {
    size_t c = (size_t)s->model->config.n_labels;
    if (n > SIZE_MAX / (2 * c * sizeof(float)))
        return ade__fail(ADE_INVALID_ARGUMENT, "%zu texts are more than one call can take", n);
    if (ade__reserve(&s->results, &s->results_capacity, n, sizeof *s->results) ||
        ade__reserve(&s->values, &s->values_capacity, n * 2 * c, sizeof *s->values))
        return ADE_OUT_OF_MEMORY;
    atomic_store(&s->cancel, 0);
    atomic_store(&s->texts_done, 0);
    for (int i = 0; i < s->n_workers; i++) s->workers[i].status = ADE_OK;
    s->total = n;
    for (size_t first = 0; first < n; first += s->window_n) {
        s->window = texts + first;
        s->window_first = first;
        s->window_n = window_size(s->window, n - first);
        ADE_TRY(run_window(s));
    }
    if (n > 0 && s->workers[0].staging->n_slots > 1) ade__pool_run(s->pool, collect_rest, s, ask_caller, s);
    return outcome(s);
}

/* A device that failed stays so: what it holds is lost. Says it from now on, and keeps other sessions from its weights. */
static void remember_failure(ade_session *s) {
    atomic_store(&s->prepared->failed, 1);
    s->failure = ade__malloc(ERROR_TEXT);
    if (s->failure) ade__copy_error(s->failure, ERROR_TEXT);
}

static ade_status enter(ade_session *s) {
    if (atomic_flag_test_and_set(&s->busy))
        return ade__fail(ADE_BUSY, "this session is in use by another thread or by its own callback; open one per thread");
    return ADE_OK;
}

ade_status ade__session_classify(ade_session *s, const ade_text *texts, size_t n, ade_result *results, float *logits,
                                 float *probabilities) {
    size_t c = (size_t)s->model->config.n_labels;
    if (!s->prepared)
        return ade__fail(ADE_INVALID_ARGUMENT, "a session on ADE_DEVICE_NONE tokenizes only; open one on a device");
    for (size_t i = 0; i < n; i++)
        if (!texts[i].data && texts[i].size)
            return ade__fail(ADE_INVALID_ARGUMENT, "text %zu has %zu bytes but its data is NULL", i, texts[i].size);
    if (ade__pool_forked(s->pool))
        return ade__fail(ADE_INVALID_ARGUMENT, "this session was opened before fork(), and its threads stayed in the "
                                               "parent process; open a session in this one");
    ADE_TRY(enter(s));
    ade_status status = s->failure ? ade__fail(ADE_DEVICE, "this session's device failed before, so open another: %s",
                                               s->failure)
                                   : classify(s, texts, n);
    if (status != ADE_OK && !s->failure) {
        char error[ERROR_TEXT];
        ade__copy_error(error, sizeof error);
        abandon_rest(s);
        ade__adopt_error(status, error);
        if (status == ADE_DEVICE) remember_failure(s);
    }
    if (status == ADE_OK) {
        if (results && n) memcpy(results, s->results, n * sizeof *results);
        for (size_t i = 0; logits && i < n; i++) memcpy(logits + i * c, s->values + i * 2 * c, c * sizeof *logits);
        for (size_t i = 0; probabilities && i < n; i++)
            memcpy(probabilities + i * c, s->values + i * 2 * c + c, c * sizeof *probabilities);
    }
    atomic_flag_clear(&s->busy);
    return status;
}

ade_status ade__session_tokenize(ade_session *s, ade_text text, ade_token *tokens, size_t capacity,
                                 ade_tokens_info *info) {
    ade_encode_options options = s->encode;
    ade_encoding       encoding;
    options.want_offsets = tokens != NULL;
    ADE_TRY(enter(s));
    ade_status status =
        ade__tokenizer_encode(s->model->tokenizer.tokenizer, s->workers[0].scratch, text, &options, &encoding);
    if (status == ADE_OK) {
        *info = (ade_tokens_info){.n_tokens = encoding.n,
                                  .unknown = encoding.unknown,
                                  .truncated = encoding.truncated,
                                  .replaced = encoding.replaced};
        if (tokens && encoding.n > capacity)
            status = ade__fail(ADE_INVALID_ARGUMENT, "the text has %zu tokens and there is room for %zu", encoding.n,
                               capacity);
        for (size_t i = 0; tokens && status == ADE_OK && i < encoding.n; i++)
            tokens[i] = (ade_token){encoding.ids[i], encoding.starts[i], encoding.ends[i]};
    }
    atomic_flag_clear(&s->busy);
    return status;
}
