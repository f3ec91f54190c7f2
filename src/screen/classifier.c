/* SPDX-License-Identifier: Apache-2.0
 * See classifier.h. One lock guards the queue of windows, the free ones, and how the thread ended. */
#include "classifier.h"

#include "alloc.h"
#include "model.h"
#include "status.h"
#include "threads.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define KEPT_TEXTS 32768
#define WINDOWS 4 /* two in the session, one being made, one with the caller */

struct ade_classifier {
    ade_classifier_options options;
    pthread_t              thread;
    bool                   started;
    pid_t                  owner;
    ade_screened           windows[WINDOWS];

    /* The thread's own. */
    ade_baseline_scratch *scratch; /* these two: the prefilter's; (2, C) */
    float                *values;
    uint64_t              records; /* not counting deletions */
    bool     end;     /* nothing more is to be read */
    bool     limited; /* because of the limit */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t  finished, room;
    ade_screened   *first, *last; /* in order; the first ones are done */
    ade_screened   *free_windows;
    bool            stopping, over;
    ade_status      status;
    char            text[2048];
    double          began, ended, starved, blocked;
};

/* ---- Making windows, on the thread -------------------------------------------------------------------------------- */

static ade_screened *take_free(ade_classifier *c, bool wait) {
    const double before = ade__seconds();
    pthread_mutex_lock(&c->lock);
    while (wait && !c->free_windows && !c->stopping) pthread_cond_wait(&c->room, &c->lock);
    ade_screened *w = c->stopping ? NULL : c->free_windows;
    if (w) c->free_windows = w->next;
    c->blocked += ade__seconds() - before;
    pthread_mutex_unlock(&c->lock);
    return w;
}

/* Whether the prefilter lets the text pass. It takes a hundredth of what the smallest network takes, so that it needs no
 * threads. */
static ade_status ask_prefilter(const ade_classifier *c, ade_text text, bool *passes) {
    const ade_model    *model = c->options.prefilter;
    float              *probabilities = c->values + model->config.n_labels;
    ade_baseline_result terms;
    const ade_status    status = ade__baseline_score(model->baseline, c->scratch, text, ADE_INVALID_UTF8_REPLACE,
                                                     c->values, probabilities, &terms);
    if (status == ADE_BAD_MODEL) return ade__fail_prefix(status, model->folder);
    ADE_TRY(status);
    *passes = (double)probabilities[model->config.positive_label] >= c->options.prefilter_threshold;
    return ADE_OK;
}

static ade_status add_texts(ade_classifier *c, ade_screened *w, ade_chunk *chunk, ade_chunk_record *record) {
    const size_t end = (size_t)record->first_sentence + record->n_sentences;
    if (ade__reserve(&w->texts, &w->texts_capacity, w->n_texts + record->n_sentences, sizeof *w->texts))
        return ADE_OUT_OF_MEMORY;
    for (size_t i = record->first_sentence; i < end; i++) {
        ade_chunk_sentence *s = &chunk->sentences[i];
        bool                passes = true;
        if (!s->model.size) continue;
        if (c->options.prefilter) ADE_TRY(ask_prefilter(c, s->model, &passes));
        if (!passes) {
            record->n_prefiltered++;
            continue;
        }
        s->slot = (uint32_t)w->n_texts;
        w->texts[w->n_texts++] = s->model;
        record->shown.n_screened++;
    }
    return ADE_OK;
}

static ade_status decide(ade_classifier *c, ade_screened *w, ade_chunk *chunk, ade_chunk_record *record) {
    ade_novelty novelty;
    if (record->deleted) return ade__known_delete(c->options.known, record->shown.pmid, &record->applies);
    ADE_TRY(ade__known_note(c->options.known, record->shown.pmid, record->shown.version, record->hash, &novelty));
    record->novelty = (uint8_t)novelty;
    c->records++;
    return novelty == ADE_NOVELTY_NEW || novelty == ADE_NOVELTY_REVISED ? add_texts(c, w, chunk, record) : ADE_OK;
}

static bool limit_reached(const ade_classifier *c) { return c->options.limit && c->records >= c->options.limit; }

static ade_status take_chunk(ade_classifier *c, ade_screened *w, ade_chunk *chunk) {
    w->chunks[w->n_chunks++] = chunk;
    if (chunk->first) ADE_TRY(ade__known_begin_file(c->options.known, &c->options.inputs->files[chunk->file]));
    for (size_t i = 0; i < chunk->n_records; i++) {
        if (!chunk->records[i].deleted && limit_reached(c) && !c->options.whole_files) {
            chunk->n_records = i;
            chunk->cut = true;
            chunk->last = false;
            c->end = c->limited = true;
            return ADE_OK;
        }
        ADE_TRY(decide(c, w, chunk, &chunk->records[i]));
    }
    if (chunk->last && chunk->fault && c->options.drop_failed) ade__known_fail_file(c->options.known);
    if (chunk->last && limit_reached(c)) c->end = c->limited = true;
    return ADE_OK;
}

/* What has been read, as much as fits; with `wait` at least one chunk. */
static ade_status gather(ade_classifier *c, bool wait, ade_screened *w) {
    while (!c->end && w->n_chunks < ADE_SCREENED_CHUNKS && w->n_texts < c->options.window_texts) {
        const bool   patient = wait && !w->n_chunks;
        const double before = ade__seconds();
        bool         end;
        ade_chunk   *chunk = ade__reader_next(c->options.reader, patient, &end);
        if (patient) {
            pthread_mutex_lock(&c->lock);
            c->starved += ade__seconds() - before;
            pthread_mutex_unlock(&c->lock);
        }
        c->end = end && !chunk;
        if (!chunk && !end && patient) return ade__fail(ADE_CANCELLED, "the run was stopped");
        if (!chunk) break;
        ADE_TRY(take_chunk(c, w, chunk));
    }
    return ADE_OK;
}

static ade_status lay_out(const ade_classifier *c, ade_screened *w) {
    const size_t n = w->n_texts, values = n * c->options.n_labels;
    if (ade__reserve(&w->window.results, &w->results_capacity, n, sizeof *w->window.results) ||
        ade__reserve(&w->window.logits, &w->logits_capacity, values, sizeof *w->window.logits) ||
        ade__reserve(&w->window.probabilities, &w->probabilities_capacity, values, sizeof *w->window.probabilities))
        return ADE_OUT_OF_MEMORY;
    w->window.texts = w->texts;
    w->window.n = n;
    return ADE_OK;
}

/* One that hostile records swelled goes back to the system. */
static void shrink(ade_screened *w) {
    if (w->texts_capacity <= KEPT_TEXTS) return;
    ade__free(w->texts);
    ade__free(w->window.results);
    ade__free(w->window.logits);
    ade__free(w->window.probabilities);
    w->texts = NULL;
    w->window = (ade_window){0};
    w->texts_capacity = w->results_capacity = w->logits_capacity = w->probabilities_capacity = 0;
}

static void put_free(ade_classifier *c, ade_screened *w) {
    shrink(w);
    for (size_t i = 0; i < w->n_chunks; i++) ade__reader_give_back(c->options.reader, w->chunks[i]);
    w->n_chunks = w->n_texts = 0;
    w->done = false;
    pthread_mutex_lock(&c->lock);
    w->next = c->free_windows;
    c->free_windows = w;
    pthread_cond_signal(&c->room);
    pthread_mutex_unlock(&c->lock);
}

static void enqueue(ade_classifier *c, ade_screened *w, bool done) {
    pthread_mutex_lock(&c->lock);
    w->next = NULL;
    w->done = done;
    if (c->last)
        c->last->next = w;
    else
        c->first = w;
    c->last = w;
    if (done) pthread_cond_signal(&c->finished);
    pthread_mutex_unlock(&c->lock);
}

/* The session's source of windows. One without texts (all records unchanged) goes past the session. */
static ade_status next_window(void *user, bool wait, ade_window **out) {
    ade_classifier *c = user;
    *out = NULL;
    while (!c->end) {
        ade_screened *w = take_free(c, wait);
        if (!w) return wait ? ade__fail(ADE_CANCELLED, "the run was stopped") : ADE_OK;
        ade_status status = gather(c, wait, w);
        if (!status && w->n_texts && c->options.session) status = lay_out(c, w);
        if (status || !w->n_chunks) {
            put_free(c, w);
            if (status || !wait) return status;
            continue;
        }
        const bool for_session = w->n_texts && c->options.session;
        enqueue(c, w, !for_session);
        if (for_session) {
            *out = &w->window;
            return ADE_OK;
        }
    }
    return ADE_OK;
}

static void window_done(void *user, ade_window *window) {
    ade_classifier *c = user;
    pthread_mutex_lock(&c->lock);
    ((ade_screened *)window)->done = true;
    pthread_cond_signal(&c->finished);
    pthread_mutex_unlock(&c->lock);
}

static void *run(void *argument) {
    ade_classifier         *c = argument;
    const ade_window_source source = {next_window, window_done, c};
    ade_window             *none;
    ade_status              status = c->options.session ? ade__session_stream(c->options.session, &source)
                                                        : next_window(c, true, &none);
    if (status == ADE_OK) status = ade__fail(ADE_END, "all files have been read");
    pthread_mutex_lock(&c->lock);
    c->status = status;
    ade__copy_error(c->text, sizeof c->text);
    c->ended = ade__seconds();
    c->over = true;
    pthread_cond_signal(&c->finished);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ---- The caller's side --------------------------------------------------------------------------------------------- */

ade_status ade__classifier_start(const ade_classifier_options *options, ade_classifier **out) {
    ade_classifier *c = ade__calloc(1, sizeof *c);
    if (!c) return ADE_OUT_OF_MEMORY;
    c->options = *options;
    c->owner = getpid();
    c->began = ade__seconds();
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->room, NULL);
    ade__cond_init_steady(&c->finished);
    for (size_t i = 0; i < WINDOWS; i++) {
        c->windows[i].next = c->free_windows;
        c->free_windows = &c->windows[i];
    }
    if (options->prefilter) {
        ade_status status = ade__baseline_scratch_new(options->prefilter->baseline, &c->scratch);
        c->values = status ? NULL : ade__calloc(2 * (size_t)options->prefilter->config.n_labels, sizeof *c->values);
        if (!c->values) {
            ade__classifier_free(c);
            return ADE_OUT_OF_MEMORY;
        }
    }
    int code = ade__thread_start(&c->thread, run, c);
    if (code) {
        ade_status status = ade__fail(ADE_IO, "the classifying thread cannot be started: %s", strerror(code));
        ade__classifier_free(c);
        return status;
    }
    c->started = true;
    *out = c;
    return ADE_OK;
}

ade_screened *ade__classifier_next(ade_classifier *c, int milliseconds, bool *over) {
    const struct timespec until = ade__steady_time_in(milliseconds);
    ade_screened         *w = NULL;
    pthread_mutex_lock(&c->lock);
    while (!(c->first && c->first->done) && !c->over)
        if (pthread_cond_timedwait(&c->finished, &c->lock, &until)) break;
    if (c->first && c->first->done) {
        w = c->first;
        c->first = w->next;
        if (!c->first) c->last = NULL;
    }
    *over = !w && c->over;
    pthread_mutex_unlock(&c->lock);
    return w;
}

void ade__classifier_give_back(ade_classifier *c, ade_screened *window) { put_free(c, window); }

ade_status ade__classifier_status(const ade_classifier *c) { return ade__adopt_error(c->status, c->text); }

bool ade__classifier_limited(const ade_classifier *c) { return c->limited; }

void ade__classifier_seconds(ade_classifier *c, double *working, double *starved) {
    pthread_mutex_lock(&c->lock);
    *starved = c->starved;
    *working = (c->over ? c->ended : ade__seconds()) - c->began - c->starved - c->blocked;
    pthread_mutex_unlock(&c->lock);
}

void ade__classifier_free(ade_classifier *c) {
    if (!c) return;
    if (c->owner != getpid()) return; /* after fork() the thread is not there */
    if (c->started) {
        pthread_mutex_lock(&c->lock);
        c->stopping = true;
        pthread_cond_signal(&c->room);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    pthread_cond_destroy(&c->finished);
    pthread_cond_destroy(&c->room);
    pthread_mutex_destroy(&c->lock);
    for (size_t i = 0; i < WINDOWS; i++) {
        ade__free(c->windows[i].texts);
        ade__free(c->windows[i].window.results);
        ade__free(c->windows[i].window.logits);
        ade__free(c->windows[i].window.probabilities);
    }
    ade__baseline_scratch_free(c->scratch);
    ade__free(c->values);
    ade__free(c);
}
