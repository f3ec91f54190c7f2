/* SPDX-License-Identifier: Apache-2.0
 * See reader.h. One lock guards the queues, the list of free chunks and the flags; a chunk in none of the lists belongs
 * to the thread that took it. */
#include "reader.h"

#include "alloc.h"
#include "gzip_in.h"
#include "medline.h"
#include "sentences.h"
#include "status.h"
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE 3 /* chunks that may wait in any case, of the file that is handed out: it must never stand still */
#define AHEAD 2 /* files a thread may be ahead of the one that is handed out: small ones are read in no time */

typedef struct job { /* a file */
    ade_chunk *first, *last;
    int        waiting;
} job;

typedef struct worker {
    struct ade_reader *reader;
    pthread_t          thread;
    bool               started;
    size_t             file;
    ade_chunk         *chunk; /* being filled */
    ade_sentences      sentences;
    ade_input         *input;
    bool               md5_checked;
    bool               begun; /* a chunk of the file has been handed over, or is being filled */
    uint64_t           records, bytes_xml;
    double             began, waited; /* since `seconds` was last brought up to date */
    ade_chunk         *spare;         /* for the report that there is no memory */
} worker;

struct ade_reader {
    ade_reader_options options;
    int                wake_fd; /* readable once the reader shall stop */
    pid_t              owner;   /* the process that has the threads */
    worker            *workers;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t  filled, room;
    job            *jobs;         /* (files) */
    size_t          next_to_read, next_to_hand_out;
    ade_chunk      *free_chunks;
    ade_chunk     **chunks; /* all there are */
    size_t          n_chunks, chunks_capacity;
    size_t          waiting_bytes; /* of all chunks in the queues */
    bool            stopping;
    double          seconds;
};

/* ---- Chunks, the threads' side ----------------------------------------------------------------------------------- */

static ade_status cancelled(void) { return ade__fail(ADE_CANCELLED, "the run was stopped"); }

static ade_status new_chunk(ade_reader *r, ade_chunk **out) {
    ade_chunk *chunk = ade__calloc(1, sizeof *chunk);
    if (!chunk) return ADE_OUT_OF_MEMORY;
    pthread_mutex_lock(&r->lock);
    int failed = ade__reserve(&r->chunks, &r->chunks_capacity, r->n_chunks + 1, sizeof(ade_chunk *));
    if (!failed) r->chunks[r->n_chunks++] = chunk;
    pthread_mutex_unlock(&r->lock);
    if (failed) {
        ade__free(chunk);
        return ADE_OUT_OF_MEMORY;
    }
    *out = chunk;
    return ADE_OK;
}

/* Whether a chunk of the file may be begun. Under the lock. */
static bool has_room(const ade_reader *r, size_t file) {
    const int waiting = r->jobs[file].waiting;
    return !waiting || r->waiting_bytes < r->options.budget || (file == r->next_to_hand_out && waiting < QUEUE);
}

/* Makes sure that w->chunk is there, once the file's queue has room for it. */
static ade_status need_chunk(worker *w) {
    ade_reader *r = w->reader;
    if (w->chunk) return ADE_OK;
    const double before = ade__seconds();
    pthread_mutex_lock(&r->lock);
    while (!has_room(r, w->file) && !r->stopping) pthread_cond_wait(&r->room, &r->lock);
    const bool stop = r->stopping;
    ade_chunk *chunk = stop ? NULL : r->free_chunks;
    if (chunk) r->free_chunks = chunk->next;
    pthread_mutex_unlock(&r->lock);
    w->waited += ade__seconds() - before;
    if (stop) return cancelled();
    if (!chunk) ADE_TRY(new_chunk(r, &chunk));
    chunk->next = NULL;
    chunk->file = w->file;
    chunk->first = !w->begun;
    w->begun = true;
    w->chunk = chunk;
    return ADE_OK;
}

/* Under the lock. */
static void count_seconds(worker *w) {
    const double now = ade__seconds();
    w->reader->seconds += now - w->began - w->waited;
    w->began = now;
    w->waited = 0;
}

static void hand_over(worker *w) {
    ade_reader *r = w->reader;
    ade_chunk  *chunk = w->chunk;
    job        *j = &r->jobs[w->file];
    chunk->bytes_read = w->input ? ade__input_bytes_read(w->input) : 0;
    chunk->bytes_xml = w->bytes_xml;
    chunk->memory = ade__chunk_memory(chunk);
    w->chunk = NULL;
    pthread_mutex_lock(&r->lock);
    if (j->last)
        j->last->next = chunk;
    else
        j->first = chunk;
    j->last = chunk;
    j->waiting++;
    r->waiting_bytes += chunk->memory;
    count_seconds(w);
    pthread_cond_signal(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

/* ---- A file -------------------------------------------------------------------------------------------------------- */

static ade_status on_record(void *user, const ade_record *record) {
    worker *w = user;
    ADE_TRY(need_chunk(w));
    if (record->deleted) {
        ADE_TRY(ade__chunk_add_deleted(w->chunk, record));
    } else {
        ADE_TRY(ade__chunk_add(w->chunk, record, &w->reader->options.rules, &w->sentences));
        w->records++;
    }
    if (ade__chunk_is_full(w->chunk)) hand_over(w);
    return ADE_OK;
}

static ade_status read_file(worker *w) {
    ade_reader           *r = w->reader;
    const ade_stop        stop = {ade__md5_woken, &r->wake_fd};
    const ade_input_file *file = &r->options.inputs->files[w->file];
    const char           *name = strcmp(file->path, "-") ? file->path : "standard input";
    if (r->options.check_md5 && file->sized) ADE_TRY(ade__md5_check(file->path, &stop, &w->md5_checked));
    ADE_TRY(ade__input_open(file->path, r->wake_fd, &w->input));
    ADE_TRY(ade__input_want_md5(w->input));
    return ade__medline_read(w->input, name, on_record, w, &w->bytes_xml);
}

/* Hands over the file's last chunk, with the failure if it ended with one. */
static void end_file(worker *w, ade_status status) {
    const bool of_the_file = status == ADE_IO || status == ADE_BAD_INPUT;
    char       text[sizeof w->chunk->fault_text] = "";
    if (of_the_file && w->records && w->reader->options.parts_stand)
        (void)ade__fail(status, "%s; the %llu records before that place were screened", ade_last_error(),
                        (unsigned long long)w->records);
    if (status) ade__copy_error(text, sizeof text);
    ade_status no_chunk = need_chunk(w);
    if (no_chunk == ADE_CANCELLED) return;
    if (no_chunk) { /* whatever the file's end was: the run ends with this */
        status = no_chunk;
        ade__copy_error(text, sizeof text);
        w->chunk = w->spare;
        w->chunk->file = w->file;
        w->chunk->first = !w->begun;
        w->spare = NULL;
    }
    w->chunk->last = true;
    w->chunk->fault = status;
    memcpy(w->chunk->fault_text, text, sizeof text);
    w->chunk->md5_checked = w->md5_checked;
    if (w->input) ade__input_md5(w->input, w->chunk->md5);
    hand_over(w);
}

static void run_file(worker *w) {
    ade_reader *r = w->reader;
    w->begun = w->md5_checked = false;
    w->records = w->bytes_xml = 0;
    ade_status status = read_file(w);
    if (status == ADE_CANCELLED) {
        if (w->chunk) ade__reader_give_back(r, w->chunk);
        w->chunk = NULL;
    } else {
        end_file(w, status);
    }
    ade__input_close(w->input);
    w->input = NULL;
}

/* ---- The threads --------------------------------------------------------------------------------------------------- */

/* The next file to read; n when there is none, or when the reader stops. */
static size_t take_file(worker *w) {
    ade_reader  *r = w->reader;
    const size_t n = r->options.inputs->n, ahead = (size_t)r->options.threads * AHEAD;
    size_t       file = n;
    const double before = ade__seconds();
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && r->next_to_read < n) {
        if (r->options.inputs->files[r->next_to_read].done) {
            r->next_to_read++;
        } else if (r->next_to_read < r->next_to_hand_out + ahead) {
            file = r->next_to_read++;
            break;
        } else {
            pthread_cond_wait(&r->room, &r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    w->waited += ade__seconds() - before;
    return file;
}

static void *run(void *argument) {
    worker *w = argument;
    w->began = ade__seconds();
    while (w->spare && (w->file = take_file(w)) != w->reader->options.inputs->n) run_file(w);
    return NULL;
}

static ade_status start_threads(ade_reader *r) {
    int code = 0;
    for (int i = 0; i < r->options.threads && !code; i++) {
        worker *w = &r->workers[i];
        w->reader = r;
        if (new_chunk(r, &w->spare)) return ADE_OUT_OF_MEMORY;
        code = ade__thread_start(&w->thread, run, w);
        w->started = code == 0;
    }
    return code ? ade__fail(ADE_IO, "a reading thread cannot be started: %s", strerror(code)) : ADE_OK;
}

ade_status ade__reader_start(const ade_reader_options *options, ade_reader **out) {
    ade_reader *r = ade__calloc(1, sizeof *r);
    if (!r) return ADE_OUT_OF_MEMORY;
    r->options = *options;
    r->owner = getpid();
    r->wake_fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->filled, NULL);
    pthread_cond_init(&r->room, NULL);
    ade_status status = ADE_OK;
    r->workers = ade__calloc((size_t)options->threads, sizeof *r->workers);
    r->jobs = ade__calloc(options->inputs->n, sizeof *r->jobs);
    if (!r->workers || !r->jobs)
        status = ADE_OUT_OF_MEMORY;
    else if ((r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        status = ade__fail(ADE_IO, "no descriptor can be had to wake the reading threads: %s", strerror(errno));
    if (!status) status = start_threads(r);
    if (status) {
        char text[512];
        ade__copy_error(text, sizeof text);
        ade__reader_free(r);
        return ade__adopt_error(status, text);
    }
    *out = r;
    return ADE_OK;
}

/* ---- The other side ------------------------------------------------------------------------------------------------ */

ade_chunk *ade__reader_next(ade_reader *r, bool wait, bool *end) {
    const size_t n = r->options.inputs->n;
    ade_chunk   *chunk = NULL;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        const size_t before = r->next_to_hand_out;
        while (r->next_to_hand_out < n && r->options.inputs->files[r->next_to_hand_out].done) r->next_to_hand_out++;
        /* A thread may be waiting to be less far ahead than a row of done files has put it. */
        if (r->next_to_hand_out != before) pthread_cond_broadcast(&r->room);
        *end = r->next_to_hand_out == n;
        if (r->stopping || *end) break;
        job *j = &r->jobs[r->next_to_hand_out];
        chunk = j->first;
        if (chunk) {
            j->first = chunk->next;
            if (!j->first) j->last = NULL;
            j->waiting--;
            r->waiting_bytes -= chunk->memory;
            if (chunk->last) r->next_to_hand_out++;
            pthread_cond_broadcast(&r->room);
            break;
        }
        if (!wait) break;
        pthread_cond_wait(&r->filled, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return chunk;
}

void ade__reader_give_back(ade_reader *r, ade_chunk *chunk) {
    ade__chunk_clear(chunk);
    pthread_mutex_lock(&r->lock);
    chunk->next = r->free_chunks;
    r->free_chunks = chunk;
    pthread_mutex_unlock(&r->lock);
}

double ade__reader_seconds(ade_reader *r) {
    pthread_mutex_lock(&r->lock);
    const double seconds = r->seconds;
    pthread_mutex_unlock(&r->lock);
    return seconds;
}

void ade__reader_stop(ade_reader *r) {
    const uint64_t one = 1;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->room);
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
    while (r->wake_fd >= 0 && write(r->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void ade__reader_free(ade_reader *r) {
    if (!r) return;
    if (r->owner != getpid()) { /* after fork() the threads are not there, and what they were changing is in any state */
        close(r->wake_fd);
        return;
    }
    ade__reader_stop(r);
    for (int i = 0; r->workers && i < r->options.threads; i++) {
        worker *w = &r->workers[i];
        if (w->started) pthread_join(w->thread, NULL);
        ade__input_close(w->input);
        ade__sentences_free(&w->sentences);
    }
    if (r->wake_fd >= 0) close(r->wake_fd);
    pthread_cond_destroy(&r->filled);
    pthread_cond_destroy(&r->room);
    pthread_mutex_destroy(&r->lock);
    for (size_t i = 0; i < r->n_chunks; i++) {
        ade__chunk_free(r->chunks[i]);
        ade__free(r->chunks[i]);
    }
    ade__free(r->chunks);
    ade__free(r->workers);
    ade__free(r->jobs);
    ade__free(r);
}
