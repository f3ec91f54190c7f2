/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts come in windows, which are cut into pieces. Of each piece the workers first tokenize the texts (a few at a time,
 * in any order), then it is sorted by length and cut into batches, and the workers encode batches until none is left. A
 * batch is one worker's from packing to scattering; nothing is shared between workers but two counters.
 *
 * On a CPU every worker encodes, and a window is done with its last piece. On a GPU one worker does, and it only queues
 * batches: the device still works on the last ones of a piece while all workers tokenize the next, of the same window or
 * of the one that follows. A slot that is to be filled again gives its results first, so windows are done in order.
 * Where no window follows at once, what is in flight is waited for: rows must not wait for texts yet to come.
 *
 * With a baseline there are no batches: the workers score texts as they take them. */
#include "stream.h"

#include "alloc.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PIECE_TEXTS 8192              /* enough to fill batches with texts of one length */
#define PIECE_BYTES ((size_t)8 << 20) /* of text; bounds the memory for ids, whatever comes */
#define TEXTS_AT_ONCE 32              /* that a worker takes at a time */
#define INLINE_TEXTS 16               /* so few are tokenized on the caller's thread: waking workers takes longer */
#define INLINE_BYTES ((size_t)64 << 10) /* if short: that thread cannot ask the progress callback meanwhile */
#define TEAM 8 /* the most workers that share a batch: more would wait for each other longer than they compute */
#define EVEN_ROUNDS 4 /* batches for each worker from which a small last one no longer matters */
#define ASK_SECONDS 0.05 /* with the 0.04 of a waiting ade__pool_run, the caller is asked ten times a second */

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static void note_failure(ade_session *s, ade_worker *w, ade_status status, size_t text) {
    w->status = status;
    w->failed_text = text;
    ade__copy_error(w->error, sizeof w->error);
    int none = 0;
    atomic_compare_exchange_strong(&s->cancel, &none, 2);
}

static void note_outcome(ade_session *s, ade_worker *w, ade_status status) {
    if (status != ADE_OK && status != ADE_CANCELLED && w->status == ADE_OK) note_failure(s, w, status, SIZE_MAX);
}

/* A device that failed stays so: what it holds is lost. Says it from now on, and keeps other sessions from its weights. */
static void remember_failure(ade_session *s, const char *error) {
    atomic_store(&s->prepared->failed, 1);
    snprintf(s->failure, sizeof s->failure, "%s", error);
}

/* The failure of the lowest text, or any that was no text's fault; then the caller's wish to stop. */
static ade_status outcome(ade_session *s) {
    const ade_worker *worst = NULL;
    for (int i = 0; i < s->n_workers; i++)
        if (s->workers[i].status != ADE_OK && (!worst || s->workers[i].failed_text < worst->failed_text))
            worst = &s->workers[i];
    if (worst) {
        if (worst->status == ADE_DEVICE) remember_failure(s, worst->error);
        if (worst->failed_text == SIZE_MAX || worst->status == ADE_OUT_OF_MEMORY)
            return ade__adopt_error(worst->status, worst->error);
        return ade__fail(worst->status, "text %zu: %s", worst->failed_text, worst->error);
    }
    if (atomic_load(&s->cancel)) return ade__fail(ADE_CANCELLED, "the caller's progress callback asked to stop");
    return ADE_OK;
}

/* ---- The caller's thread ----------------------------------------------------------------------------------------- */

static void ask_caller(void *argument) {
    ade_session *s = argument;
    s->asked = ade__seconds();
    if (s->options.progress &&
        s->options.progress(s->options.progress_user, atomic_load(&s->texts_done), s->total))
        atomic_store(&s->cancel, 1);
}

/* One step of all workers. Asks the caller first when many short steps have gone by without. */
static ade_status run_workers(ade_session *s, ade_pool_fn step) {
    if (ade__seconds() - s->asked >= ASK_SECONDS) ask_caller(s);
    ade__pool_run(s->pool, step, s, ask_caller, s);
    return outcome(s);
}

/* ---- Tokenizing -------------------------------------------------------------------------------------------------- */

static void tokenize_one(ade_session *s, ade_worker *w, size_t i) {
    ade_encoding encoding;
    ade_status   status = ade__tokenizer_encode(s->model->tokenizer.tokenizer, w->scratch,
                                                s->window->texts[s->first + i], &s->encode, &encoding);
    if (status == ADE_OK && ade__reserve(&w->ids, &w->ids_capacity, w->n_ids + encoding.n, sizeof *w->ids))
        status = ADE_OUT_OF_MEMORY;
    if (status != ADE_OK) {
        note_failure(s, w, status, s->first + i);
        return;
    }
    memcpy(w->ids + w->n_ids, encoding.ids, encoding.n * sizeof *w->ids);
    s->tokenized[i] = (ade_tokenized){w, w->n_ids, encoding.unknown, encoding.truncated, encoding.replaced};
    s->lengths[i] = (int32_t)encoding.n;
    w->n_ids += encoding.n;
}

/* Texts are taken in ascending order and nobody stops at another's failure before it has finished the texts that it
 * took, so the lowest failing text is always found: the error does not depend on the threads. */
static void take_texts(ade_session *s, ade_worker *w, void (*one)(ade_session *, ade_worker *, size_t)) {
    while (!atomic_load(&s->cancel)) {
        size_t first = atomic_fetch_add(&s->next_text, TEXTS_AT_ONCE);
        size_t end = first + TEXTS_AT_ONCE < s->n ? first + TEXTS_AT_ONCE : s->n;
        if (first >= s->n) return;
        for (size_t i = first; i < end && w->status == ADE_OK; i++) one(s, w, i);
    }
}

static void tokenize_some(void *argument, int number) {
    ade_session *s = argument;
    ade_worker  *w = &s->workers[number];
    double       start = ade__seconds();
    take_texts(s, w, tokenize_one);
    w->tokenizing += ade__seconds() - start;
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

static void fill(const ade_session *s, const ade_worker *w, const ade_batch_range *range, ade_slot *slot) {
    int32_t at = 0, last = s->lengths[s->plan.order[range->first + (size_t)range->count - 1]];
    ade__slot_begin(w->staging, slot, range->tokens, range->count, last, range->max_len); /* the longest comes first */
    slot->owner = s->window;
    for (int32_t k = 0; k < range->count; k++) {
        uint32_t             i = s->plan.order[range->first + (size_t)k];
        const ade_tokenized *text = &s->tokenized[i];
        int32_t              length = s->lengths[i];
        slot->cu_seqlens[k] = at;
        memcpy(slot->ids + at, text->by->ids + text->at, (size_t)length * sizeof(int32_t));
        for (int32_t p = 0; p < length; p++) slot->positions[at + p] = p;
        slot->texts[k] = (ade_staged_text){s->first + i, length, text->unknown, text->truncated, text->replaced};
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

static void scatter(ade_session *s, ade_worker *w, const ade_slot *slot) {
    const ade_model_config *config = &s->model->config;
    const ade_window       *to = slot->owner;
    size_t                  c = (size_t)config->n_labels;
    for (int32_t k = 0; k < slot->view.s; k++) {
        const ade_staged_text *text = &slot->texts[k];
        const float           *logits = slot->logits + (size_t)k * c, *probabilities = slot->probabilities + (size_t)k * c;
        ade_status             status = check_finite(s, logits, config->n_labels);
        if (status != ADE_OK) {
            note_failure(s, w, status, text->row);
            return;
        }
        if (to->logits) memcpy(to->logits + text->row * c, logits, c * sizeof(float));
        if (to->probabilities) memcpy(to->probabilities + text->row * c, probabilities, c * sizeof(float));
        if (to->results)
            to->results[text->row] = (ade_result){.label = argmax(logits, config->n_labels),
                                                  .score = probabilities[config->positive_label],
                                                  .tokens = text->tokens,
                                                  .unknown = text->unknown,
                                                  .truncated = text->truncated,
                                                  .replaced = text->replaced};
    }
    atomic_fetch_add(&s->texts_done, (size_t)slot->view.s);
}

/* Takes a slot's results, once they have come. */
static ade_status collect(ade_session *s, ade_worker *w, ade_slot *slot) {
    if (!slot->in_flight) return ADE_OK;
    ADE_TRY(ade__slot_wait(w->staging, slot));
    scatter(s, w, slot);
    return w->status;
}

static void count_batch(const ade_session *s, ade_worker *w, const ade_batch_range *range) {
    w->batches++;
    w->texts += (uint64_t)range->count;
    w->tokens += (uint64_t)range->tokens;
    w->operations += ade__encoder_operations(s->prepared, range->tokens, range->count);
}

/* The end of a worker's step that began at `start`. */
static void count_step(const ade_session *s, ade_worker *w, double start) {
    w->encoding += ade__seconds() - start;
    if (w->workspace && s->prepared->ops->exec_times) s->prepared->ops->exec_times(w->workspace->exec, &w->times);
}

static ade_status encode_one(ade_session *s, ade_worker *w, const ade_batch_range *range) {
    ade_slot *slot = ade__staging_slot(w->staging);
    ADE_TRY(collect(s, w, slot));
    fill(s, w, range, slot);
    count_batch(s, w, range);
    ADE_TRY(ade__slot_submit(w->staging, slot, &s->cancel));
    return w->staging->n_slots == 1 ? collect(s, w, slot) : ADE_OK; /* nothing could overlap: do not sit on results */
}

static void encode_some(void *argument, int number) {
    ade_session *s = argument;
    ade_worker  *w = &s->workers[number];
    ade_status   status = ADE_OK;
    double       start = ade__seconds();
    while (w->staging && status == ADE_OK && !atomic_load(&s->cancel)) {
        size_t b = atomic_fetch_add(&s->next_batch, 1);
        if (b >= s->plan.n_batches) break;
        status = encode_one(s, w, &s->plan.batches[b]);
    }
    count_step(s, w, start);
    note_outcome(s, w, status);
}

/* Few batches for many workers, as when a text comes alone: the workers share each batch. Member 0 has what they work
 * on. */
static ade_status encode_one_shared(ade_session *s, ade_worker *w, int member, const ade_batch_range *range) {
    ade_worker *leader = &s->workers[0];
    ade_slot   *slot = ade__staging_slot(leader->staging);
    if (member == 0) {
        fill(s, w, range, slot);
        count_batch(s, w, range);
    }
    if (ade__team_wait(&s->team)) return ADE_CANCELLED;
    ADE_TRY(ade__slot_submit_shared(w->staging, leader->staging, slot, &s->team, member, &s->cancel));
    return member == 0 ? collect(s, w, slot) : ADE_OK;
}

static void encode_shared(void *argument, int number) {
    ade_session *s = argument;
    ade_worker  *w = &s->workers[number];
    ade_status   status = ADE_OK;
    double       start = ade__seconds();
    if (number >= s->team.size) return;
    for (size_t b = 0; b < s->plan.n_batches && status == ADE_OK; b++)
        status = encode_one_shared(s, w, number, &s->plan.batches[b]);
    if (status != ADE_OK) ade__team_fail(&s->team); /* nobody waits for a member that has left */
    count_step(s, w, start);
    note_outcome(s, w, status);
}

/* What is still in flight of the last window, oldest first. */
static void collect_last(void *argument, int number) {
    ade_session *s = argument;
    ade_worker  *w = &s->workers[number];
    ade_status   status = ADE_OK;
    for (int32_t i = 0; w->staging && i < w->staging->n_slots && status == ADE_OK && !atomic_load(&s->cancel); i++) {
        ade_slot *slot = &w->staging->slots[(w->staging->turn + i) % w->staging->n_slots];
        if (slot->owner == s->last) status = collect(s, w, slot);
    }
    note_outcome(s, w, status);
}

static bool in_flight(const ade_session *s, const ade_window *window) {
    for (int i = 0; i < s->n_workers; i++) {
        const ade_staging *staging = s->workers[i].staging;
        for (int32_t k = 0; staging && k < staging->n_slots; k++)
            if (staging->slots[k].in_flight && staging->slots[k].owner == window) return true;
    }
    return false;
}

/* After a failure or a cancelled call: the device is done with the slots, and nobody takes their results. */
static void abandon_rest(ade_session *s) {
    for (int i = 0; i < s->n_workers; i++) {
        ade_staging *staging = s->workers[i].staging;
        for (int32_t k = 0; staging && k < staging->n_slots; k++)
            if (staging->slots[k].in_flight) (void)ade__slot_wait(staging, &staging->slots[k]);
    }
}

/* ---- Scoring by a baseline --------------------------------------------------------------------------------------- */

static ade_status score_row(ade_session *s, ade_worker *w, size_t row) {
    const ade_model_config *config = &s->model->config;
    const ade_window       *to = s->window;
    size_t                  c = (size_t)config->n_labels;
    float                  *logits = w->values, *probabilities = w->values + c;
    ade_baseline_result     terms;
    ADE_TRY(ade__baseline_score(s->model->baseline, w->baseline, to->texts[row], s->encode.invalid_utf8, logits,
                                probabilities, &terms));
    if (to->logits) memcpy(to->logits + row * c, logits, c * sizeof(float));
    if (to->probabilities) memcpy(to->probabilities + row * c, probabilities, c * sizeof(float));
    if (to->results)
        to->results[row] = (ade_result){.label = argmax(logits, config->n_labels),
                                        .score = probabilities[config->positive_label],
                                        .tokens = terms.terms,
                                        .unknown = terms.unknown,
                                        .replaced = terms.replaced};
    return ADE_OK;
}

static void score_one(ade_session *s, ade_worker *w, size_t i) {
    ade_status status = score_row(s, w, s->first + i);
    if (status != ADE_OK) note_failure(s, w, status, s->first + i);
    atomic_fetch_add(&s->texts_done, 1);
}

static void score_some(void *argument, int number) {
    ade_session *s = argument;
    ade_worker  *w = &s->workers[number];
    double       start = ade__seconds();
    take_texts(s, w, score_one);
    w->tokenizing += ade__seconds() - start;
}

/* ---- Pieces ------------------------------------------------------------------------------------------------------ */

static size_t piece_size(const ade_text *texts, size_t n) {
    size_t bytes = 0, i = 0;
    while (i < n && i < PIECE_TEXTS && (i == 0 || texts[i].size < PIECE_BYTES - bytes)) {
        bytes += texts[i].size;
        i++;
        if (bytes >= PIECE_BYTES) break;
    }
    return i;
}

static bool is_quick(const ade_text *texts, size_t n) {
    size_t bytes = 0;
    if (n > INLINE_TEXTS) return false;
    for (size_t i = 0; i < n; i++)
        if (__builtin_add_overflow(bytes, texts[i].size, &bytes)) return false;
    return bytes <= INLINE_BYTES;
}

/* A step that takes text after text: tokenize_some or score_some. */
static ade_status run_over_texts(ade_session *s, ade_pool_fn step) {
    atomic_store(&s->next_text, 0);
    if (!is_quick(s->window->texts + s->first, s->n)) return run_workers(s, step);
    step(s, 0);
    return outcome(s);
}

static ade_status tokenize_piece(ade_session *s) {
    for (int i = 0; i < s->n_workers; i++) s->workers[i].n_ids = 0;
    return run_over_texts(s, tokenize_some);
}

static ade_status plan_batches(ade_session *s, int64_t budget) {
    return ade__batch_plan(&s->plan, s->lengths, s->n, s->info.max_length, (int32_t)budget,
                           s->workers[0].workspace->max_seqs);
}

static int64_t largest_batch(const ade_batch_plan *plan) {
    int64_t most = 0;
    for (size_t b = 0; b < plan->n_batches; b++)
        if (plan->batches[b].tokens > most) most = plan->batches[b].tokens;
    return most;
}

/* Where there are few batches, as many for each worker and as even ones as can be, so that nobody idles at the end; and
 * one batch, to be shared, where even the best division leaves one worker with far more than the others. */
static ade_status plan_evenly(ade_session *s) {
    const int64_t workers = s->n_workers, budget = s->info.token_budget;
    int64_t       total = 0, longest = 0;
    for (size_t i = 0; i < s->n; i++) {
        total += s->lengths[i];
        if (s->lengths[i] > longest) longest = s->lengths[i];
    }
    const int64_t rounds = (total + budget * workers - 1) / (budget * workers), batches = rounds * workers;
    if (s->prepared->info.execs || rounds > EVEN_ROUNDS) return plan_batches(s, budget);
    for (int64_t slack = 0; slack <= longest; slack += longest / 8 + 1) {
        const int64_t even = (total + batches - 1) / batches + slack;
        if (even >= budget) break;
        ADE_TRY(plan_batches(s, even));
        if (s->plan.n_batches > (size_t)batches) continue;
        if (rounds == 1 && total <= budget && 4 * largest_batch(&s->plan) * workers > 5 * total) break; /* too uneven */
        return ADE_OK;
    }
    return plan_batches(s, budget);
}

/* Those that share the plan's batches; 0 where each worker by itself is as fast or faster. Never more than processors:
 * members wait for each other dozens of times a text, and one that does not run holds up all. */
static int32_t team_size(const ade_session *s) {
    const int32_t most = s->n_workers < TEAM ? s->n_workers : TEAM;
    if (!s->prepared->ops->exec_join || s->plan.n_batches >= (size_t)most) return 0;
    const int32_t processors = ade__cpu_count(), size = most < processors ? most : processors;
    return s->plan.n_batches < (size_t)size ? size : 0;
}

static ade_status encode_piece(ade_session *s) {
    ADE_TRY(plan_evenly(s));
    const int32_t members = team_size(s);
    if (members > 0) {
        ade__team_init(&s->team, members);
        return run_workers(s, encode_shared);
    }
    atomic_store(&s->next_batch, 0);
    return run_workers(s, encode_some);
}

/* ---- Windows ----------------------------------------------------------------------------------------------------- */

/* Says that the last window is done, once all of its results are there. */
static void settle(ade_session *s) {
    ade_window *done = s->last;
    if (!done || in_flight(s, done)) return;
    s->last = NULL;
    s->source->done(s->source->user, done);
}

/* Takes a window as far as the device's queue. Its batches push those of the last one out. */
static ade_status run_window(ade_session *s, ade_window *window) {
    for (size_t i = 0; i < window->n; i++)
        if (!window->texts[i].data && window->texts[i].size)
            return ade__fail(ADE_INVALID_ARGUMENT, "text %zu has %zu bytes but its data is NULL", i,
                             window->texts[i].size);
    s->total += window->n;
    s->window = window;
    for (s->first = 0; s->first < window->n; s->first += s->n) {
        s->n = piece_size(window->texts + s->first, window->n - s->first);
        if (s->model->baseline) {
            ADE_TRY(run_over_texts(s, score_some));
            continue;
        }
        if (ade__reserve(&s->tokenized, &s->tokenized_capacity, s->n, sizeof *s->tokenized) ||
            ade__reserve(&s->lengths, &s->lengths_capacity, s->n, sizeof *s->lengths))
            return ADE_OUT_OF_MEMORY;
        ADE_TRY(tokenize_piece(s));
        ADE_TRY(encode_piece(s));
        settle(s);
    }
    return ADE_OK;
}

static ade_status run_windows(ade_session *s) {
    for (;;) {
        ade_window *window = NULL;
        ADE_TRY(s->source->next(s->source->user, !s->last, &window));
        if (!window && !s->last) return ADE_OK;
        if (window) ADE_TRY(run_window(s, window));
        if (s->last) { /* still: nothing came, or it was too little to push it out */
            ADE_TRY(run_workers(s, collect_last));
            settle(s);
        }
        s->last = window;
        settle(s); /* a CPU has nothing in flight */
    }
}

ade_status ade__stream_run(ade_session *s, const ade_window_source *source) {
    atomic_store(&s->cancel, 0);
    atomic_store(&s->texts_done, 0);
    for (int i = 0; i < s->n_workers; i++) s->workers[i].status = ADE_OK;
    s->source = source;
    s->last = NULL;
    s->total = 0;
    s->asked = ade__seconds();
    double     start = s->asked;
    ade_status status = run_windows(s);
    s->seconds += ade__seconds() - start;
    if (status != ADE_OK) {
        char error[ADE_ERROR_TEXT];
        ade__copy_error(error, sizeof error);
        abandon_rest(s);
        ade__adopt_error(status, error);
    }
    return status;
}
