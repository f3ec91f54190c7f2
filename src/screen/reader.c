/* SPDX-License-Identifier: Apache-2.0
 * See reader.h. One lock guards the two lists of chunks and the flag that ends the thread; a chunk in neither list
 * belongs to the side that took it. */
#include "reader.h"

#include "alloc.h"
#include "gzip_in.h"
#include "medline.h"
#include "sentences.h"
#include "status.h"
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CHUNKS 6 /* 4 waiting, one on each side */
#define CHUNK_TEXTS 2048
#define CHUNK_BYTES (512 * 1024)
#define CHUNK_ITEMS 16384            /* records that need no screening make items, too */
#define KEPT_BYTES (4 * CHUNK_BYTES) /* a chunk that one huge part swelled beyond this is given back to the system */

struct ade_reader {
    ade_reader_options options;
    int                wake_fd; /* readable once the reader shall stop */
    pthread_t          thread;
    bool               started;
    pid_t              owner; /* the process that has the thread */

    pthread_mutex_t lock; /* guards the next five */
    pthread_cond_t  filled_changed, free_changed;
    ade_chunk      *filled[CHUNKS]; /* a ring */
    size_t          first_filled, n_filled;
    ade_chunk      *free_chunks[CHUNKS];
    size_t          n_free;
    bool            stopping;

    ade_chunk chunks[CHUNKS];

    /* The thread's own. */
    ade_chunk    *chunk;        /* being filled */
    uint64_t      chunk_number; /* chunks come round again, so their addresses do not tell them apart */
    ade_seen      seen;
    ade_sentences sentences;
    ade_input    *input;
    size_t        file;
    uint64_t      records, bytes_before, bytes_xml;
    double        began, waited;
};

/* ---- Chunks, the thread's side ----------------------------------------------------------------------------------- */

static ade_chunk *take_free(ade_reader *r) {
    ade_chunk *chunk = NULL;
    double     before = ade__seconds();
    pthread_mutex_lock(&r->lock);
    while (!r->n_free && !r->stopping) pthread_cond_wait(&r->free_changed, &r->lock);
    if (!r->stopping) chunk = r->free_chunks[--r->n_free];
    pthread_mutex_unlock(&r->lock);
    r->waited += ade__seconds() - before;
    return chunk;
}

static void hand_over(ade_reader *r) {
    ade_chunk *chunk = r->chunk;
    chunk->bytes_read = r->bytes_before + (r->input ? ade__input_bytes_read(r->input) : 0);
    chunk->bytes_xml = r->bytes_xml;
    chunk->seconds_read = ade__seconds() - r->began - r->waited;
    pthread_mutex_lock(&r->lock);
    r->filled[(r->first_filled + r->n_filled++) % CHUNKS] = chunk;
    pthread_cond_signal(&r->filled_changed);
    pthread_mutex_unlock(&r->lock);
    r->chunk = NULL;
}

/* Makes sure that r->chunk is there and has room. ADE_CANCELLED when the run is being stopped. */
static ade_status need_chunk(ade_reader *r) {
    if (r->chunk &&
        (r->chunk->n_texts >= CHUNK_TEXTS || r->chunk->size >= CHUNK_BYTES || r->chunk->n_items >= CHUNK_ITEMS))
        hand_over(r);
    if (!r->chunk) {
        r->chunk = take_free(r);
        r->chunk_number++;
    }
    return r->chunk ? ADE_OK : ade__fail(ADE_CANCELLED, "the run was stopped");
}

static ade_status put(ade_chunk *chunk, const char *data, size_t size, size_t *at) {
    if (size > SIZE_MAX - chunk->size || ade__reserve(&chunk->text, &chunk->capacity, chunk->size + size, 1))
        return ADE_OUT_OF_MEMORY;
    if (size) memcpy(chunk->text + chunk->size, data, size);
    *at = chunk->size;
    chunk->size += size;
    return ADE_OK;
}

static ade_status add_item(ade_chunk *chunk, const ade_item *item) {
    if (ade__reserve(&chunk->items, &chunk->items_capacity, chunk->n_items + 1, sizeof *chunk->items))
        return ADE_OUT_OF_MEMORY;
    chunk->items[chunk->n_items++] = *item;
    return ADE_OK;
}

static ade_status add_part(ade_chunk *chunk, ade_chunk_part part, ade_text label, ade_text text, bool complete) {
    part.labelled = label.data != NULL;
    part.label_size = label.size;
    ADE_TRY(put(chunk, label.data, label.size, &part.label));
    part.complete = complete;
    if (complete) {
        part.text_size = text.size;
        ADE_TRY(put(chunk, text.data, text.size, &part.text));
    }
    if (ade__reserve(&chunk->parts, &chunk->parts_capacity, chunk->n_parts + 1, sizeof *chunk->parts))
        return ADE_OUT_OF_MEMORY;
    chunk->parts[chunk->n_parts++] = part;
    return ADE_OK;
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same_ignoring_case(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

static bool has_alnum(const char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
        /* Beyond ASCII everything but signs: U+0080..BF, x and /, U+2000..2BFF, 3000..303F, emoji, special forms. */
        const unsigned char next = i + 1 < size ? (unsigned char)p[i + 1] : 0;
        switch (c) {
        case 0xc2:
            if (next == 0xb5 || next == 0xaa || next == 0xba) return true;
            break;
        case 0xc3:
            if (next != 0x97 && next != 0xb7) return true;
            break;
        case 0xe2:
            if (next >= 0xb0) return true;
            break;
        case 0xe3:
            if (next != 0x80) return true;
            break;
        case 0xef:
            if (next != 0xb8 && next != 0xb9 && next != 0xbb && next != 0xbf) return true;
            break;
        case 0xf0:
            if (next != 0x9f) return true;
            break;
        default:
            if (c > 0xc3) return true;
        }
    }
    return false;
}

/* The label as the model gets it: without a colon of its own; size 0 when there is nothing to join. Not joined: labels
 * that say that there is none, and a label with which the text itself begins ("RESULTS - We", "Results: We"). */
static ade_text label_for_model(ade_text label, ade_text text) {
    static const char *const none[] = {"UNLABELLED", "UNLABELED", "UNASSIGNED"};
    while (label.size && strchr(": .", label.data[label.size - 1])) label.size--;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (label.size == strlen(none[i]) && same_ignoring_case(label.data, none[i], label.size)) label.size = 0;
    if (label.size && text.size > label.size && same_ignoring_case(label.data, text.data, label.size)) {
        size_t next = label.size;
        while (next < text.size && text.data[next] == ' ') next++;
        if (next < text.size &&
            (strchr(":.-", text.data[next]) || (text.size - next >= 3 && !memcmp(text.data + next, "\xe2\x80", 2) &&
                                                (text.data[next + 2] == '\x93' || text.data[next + 2] == '\x94'))))
            label.size = 0;
    }
    return label;
}

static uint32_t count_chars(const char *p, size_t size) {
    uint32_t n = 0;
    for (size_t i = 0; i < size; i++) n += ((unsigned char)p[i] & 0xc0) != 0x80;
    return n;
}

static ade_status split_part(ade_reader *r, ade_chunk_part part, ade_text label, ade_text text, int32_t *sentence) {
    if (!text.size) return ADE_OK;
    ADE_TRY(ade__sentences_split(text, &r->sentences));
    ADE_TRY(need_chunk(r));
    ADE_TRY(add_part(r->chunk, part, label, text, true));
    ADE_TRY(add_item(r->chunk, &(ade_item){.kind = ADE_ITEM_PART, .part = (uint32_t)(r->chunk->n_parts - 1)}));
    ade_text joined = r->options.section_labels && label.data ? label_for_model(label, text) : (ade_text){NULL, 0};
    uint32_t chars = 0, counted = 0; /* code points before byte `counted` */
    for (size_t i = 0; i < r->sentences.n; i++) {
        const ade_span span = r->sentences.spans[i];
        const uint64_t before = r->chunk_number;
        ADE_TRY(need_chunk(r));
        if (r->chunk_number != before) ADE_TRY(add_part(r->chunk, part, label, text, false));
        ade_chunk     *chunk = r->chunk;
        const uint32_t index = (uint32_t)(chunk->n_parts - 1);
        ade_item       item = {.kind = ADE_ITEM_SENTENCE,
                               .part = index,
                               .slot = ADE_NO_SLOT,
                               .sentence = (*sentence)++,
                               .start = span.start,
                               .end = span.end};
        const size_t   size = span.end - span.start;
        chars += count_chars(text.data + counted, span.start - counted);
        item.start_char = chars;
        chars += count_chars(text.data + span.start, size);
        item.end_char = chars;
        counted = span.end;
        if (chunk->parts[index].complete)
            item.text = chunk->parts[index].text + span.start;
        else
            ADE_TRY(put(chunk, text.data + span.start, size, &item.text));
        item.model_text = item.text;
        item.model_size = size;
        if (has_alnum(text.data + span.start, size)) {
            item.slot = chunk->n_texts++;
            if (joined.size) {
                size_t at;
                ADE_TRY(put(chunk, joined.data, joined.size, &item.model_text));
                ADE_TRY(put(chunk, ": ", 2, &at));
                ADE_TRY(put(chunk, text.data + span.start, size, &at));
                item.model_size = joined.size + 2 + size;
                joined.size = 0; /* the section's first sentence only */
            }
        }
        ADE_TRY(add_item(chunk, &item));
    }
    return ADE_OK;
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static ade_status count_sentences(ade_reader *r, const ade_record *record, uint64_t *n) {
    ADE_TRY(ade__sentences_split(record->title, &r->sentences));
    *n = r->sentences.n;
    for (size_t i = 0; i < record->n_sections; i++) {
        ADE_TRY(ade__sentences_split(record->sections[i].text, &r->sentences));
        *n += r->sentences.n;
    }
    return ADE_OK;
}

static ade_status on_deleted(ade_reader *r, const ade_record *record) {
    const ade_chunk_part part = {
        .pmid = record->pmid, .version = record->version, .part = ADE_PART_DELETED, .file = r->file};
    ade__seen_delete(&r->seen, record->pmid);
    ADE_TRY(need_chunk(r));
    ADE_TRY(add_part(r->chunk, part, (ade_text){NULL, 0}, (ade_text){NULL, 0}, true));
    return add_item(r->chunk, &(ade_item){.kind = ADE_ITEM_DELETED, .part = (uint32_t)(r->chunk->n_parts - 1)});
}

static ade_status on_record(void *user, const ade_record *record) {
    ade_reader *r = user;
    if (record->deleted) return on_deleted(r, record);
    if (r->options.limit && r->records == r->options.limit) return ADE_END;
    r->records++;

    ade_novelty novelty;
    ADE_TRY(ade__seen_note(&r->seen, record->pmid, record->version, ade__record_hash(record), &novelty));
    ade_item item = {.kind = ADE_ITEM_RECORD, .novelty = (uint8_t)novelty, .without_abstract = 1};
    for (size_t i = 0; i < record->n_sections; i++)
        if (record->sections[i].text.size) item.without_abstract = 0;
    item.without_text = item.without_abstract && !record->title.size;
    const bool screened = novelty == ADE_NOVELTY_NEW || novelty == ADE_NOVELTY_REVISED;
    if (!screened) ADE_TRY(count_sentences(r, record, &item.skipped));
    ADE_TRY(need_chunk(r));
    ADE_TRY(add_item(r->chunk, &item));
    if (!screened) return ADE_OK;

    ade_chunk_part part = {.pmid = record->pmid, .version = record->version, .part = ADE_PART_TITLE, .file = r->file};
    int32_t        sentence = 0;
    ADE_TRY(split_part(r, part, (ade_text){NULL, 0}, record->title, &sentence));
    part.part = ADE_PART_ABSTRACT;
    for (size_t i = 0; i < record->n_sections; i++) {
        part.section_index = (int32_t)i;
        ADE_TRY(split_part(r, part, record->sections[i].label, record->sections[i].text, &sentence));
    }
    return ADE_OK;
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

static ade_status read_file(ade_reader *r) {
    const ade_input_file *file = &r->options.inputs->files[r->file];
    ade_status            status = ade__input_open(file->path, r->wake_fd, &r->input);
    if (!status) {
        const char *name = strcmp(file->path, "-") ? file->path : "standard input";
        status = ade__medline_read(r->input, name, on_record, r, &r->bytes_xml);
    }
    return status;
}

static void close_file(ade_reader *r) {
    if (r->input) r->bytes_before += ade__input_bytes_read(r->input);
    ade__input_close(r->input);
    r->input = NULL;
}

/* Hands a fault over in the place where it happened. No memory is asked for: it may be what is missing. */
static void report(ade_reader *r, ade_status status) {
    char text[sizeof r->chunk->fault_text];
    ade__copy_error(text, sizeof text);
    if (!r->chunk) r->chunk = take_free(r);
    if (!r->chunk) return;
    r->chunk->fault = status;
    memcpy(r->chunk->fault_text, text, sizeof text);
    hand_over(r);
}

static void *run(void *argument) {
    ade_reader *r = argument;
    ade_status  status = ADE_OK;
    r->began = ade__seconds();
    for (r->file = 0; r->file < r->options.inputs->n; r->file++) {
        if (r->options.limit && r->records == r->options.limit) break;
        const uint64_t before = r->records;
        status = read_file(r);
        if (!status) status = need_chunk(r);
        if (!status) status = add_item(r->chunk, &(ade_item){.kind = ADE_ITEM_FILE});
        if (status == ADE_OK) {
            close_file(r);
            continue;
        }
        if (status == ADE_END) break; /* the limit */
        if (status == ADE_CANCELLED) return NULL;
        const bool of_the_file = status == ADE_IO || status == ADE_BAD_INPUT;
        if (of_the_file && r->records > before) /* their rows stand, and nothing else tells them from a whole file's */
            (void)ade__fail(status, "%s; the %llu records before that place were screened", ade_last_error(),
                            (unsigned long long)(r->records - before));
        report(r, status);
        close_file(r);
        if (!of_the_file || !r->options.keep_going) return NULL;
    }
    status = need_chunk(r);
    if (!status) status = add_item(r->chunk, &(ade_item){.kind = ADE_ITEM_END});
    if (status == ADE_CANCELLED) return NULL;
    if (status)
        report(r, status);
    else
        hand_over(r);
    return NULL;
}

/* ---- The caller's side ------------------------------------------------------------------------------------------- */

ade_status ade__reader_start(const ade_reader_options *options, ade_reader **out) {
    ade_reader *r = ade__calloc(1, sizeof *r);
    if (!r) return ADE_OUT_OF_MEMORY;
    r->options = *options;
    r->owner = getpid();
    for (size_t i = 0; i < CHUNKS; i++) r->free_chunks[r->n_free++] = &r->chunks[i];
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->free_changed, NULL);
    pthread_condattr_t steady; /* a change of the system's time must not stretch a wait */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&r->filled_changed, &steady);
    pthread_condattr_destroy(&steady);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0) {
        ade_status status =
            ade__fail(ADE_IO, "no descriptor can be had to wake the reading thread: %s", strerror(errno));
        ade__reader_stop(r);
        return status;
    }
    sigset_t all, old; /* the program's signal handlers run on its own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code) {
        ade_status status = ade__fail(ADE_IO, "the reading thread cannot be started: %s", strerror(code));
        ade__reader_stop(r);
        return status;
    }
    r->started = true;
    *out = r;
    return ADE_OK;
}

ade_chunk *ade__reader_next(ade_reader *r, int milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)milliseconds * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    ade_chunk *chunk = NULL;
    pthread_mutex_lock(&r->lock);
    while (!r->n_filled)
        if (pthread_cond_timedwait(&r->filled_changed, &r->lock, &until)) break;
    if (r->n_filled) {
        chunk = r->filled[r->first_filled];
        r->first_filled = (r->first_filled + 1) % CHUNKS;
        r->n_filled--;
    }
    pthread_mutex_unlock(&r->lock);
    return chunk;
}

void ade__reader_give_back(ade_reader *r, ade_chunk *chunk) {
    if (chunk->capacity > KEPT_BYTES) {
        ade__free(chunk->text);
        chunk->text = NULL;
        chunk->capacity = 0;
    }
    chunk->n_items = chunk->n_parts = chunk->size = 0;
    chunk->n_texts = 0;
    chunk->fault = ADE_OK;
    pthread_mutex_lock(&r->lock);
    r->free_chunks[r->n_free++] = chunk;
    pthread_cond_signal(&r->free_changed);
    pthread_mutex_unlock(&r->lock);
}

void ade__reader_stop(ade_reader *r) {
    if (!r) return;
    if (r->owner != getpid()) { /* after fork() the thread is not there, and what it was changing is in any state */
        close(r->wake_fd);
        return;
    }
    if (r->started) {
        pthread_mutex_lock(&r->lock);
        r->stopping = true;
        pthread_cond_signal(&r->free_changed);
        pthread_mutex_unlock(&r->lock);
        const uint64_t one = 1;
        while (write(r->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
        }
        pthread_join(r->thread, NULL);
    }
    if (r->wake_fd >= 0) close(r->wake_fd);
    pthread_cond_destroy(&r->filled_changed);
    pthread_cond_destroy(&r->free_changed);
    pthread_mutex_destroy(&r->lock);
    ade__input_close(r->input);
    ade__seen_free(&r->seen);
    ade__sentences_free(&r->sentences);
    for (size_t i = 0; i < CHUNKS; i++) {
        ade__free(r->chunks[i].items);
        ade__free(r->chunks[i].parts);
        ade__free(r->chunks[i].text);
    }
    ade__free(r);
}
