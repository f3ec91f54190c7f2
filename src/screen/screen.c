/* SPDX-License-Identifier: Apache-2.0
 * The caller's side of a run: takes chunks from the reader, classifies each as a whole, and walks its items. */
#include "screen.h"

#include "abi_struct.h"
#include "alloc.h"
#include "inputs.h"
#include "log.h"
#include "model.h"
#include "reader.h"
#include "session.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MILLISECONDS 50 /* the progress callback is promised ten times a second */

struct ade_screen {
    ade_session    *session;
    int32_t         n_labels;
    double          threshold;
    bool            all, section_labels, keep_going;
    uint64_t        limit;
    ade_part_fn     parts;
    void           *parts_user;
    ade_progress_fn progress;
    void           *progress_user;
    ade_log         log;
    bool            cancelled; /* the callback asked for it */
    atomic_flag     busy;      /* catches two threads in one screen, and its own callbacks */
    pid_t           owner;     /* the process that has the threads */

    ade_inputs  inputs;
    uint64_t    bytes_total;
    ade_reader *reader; /* NULL before the first and after the last row */
    bool        started;
    ade_status  over; /* what every further call returns, with its text */
    char        over_text[2048];
    double      began, ended;

    ade_chunk  *chunk; /* being walked */
    size_t      item;  /* the next one */
    ade_text   *texts; /* (slots) */
    ade_result *results;
    float      *logits, *probabilities; /* (slots, n_labels) */
    size_t      texts_capacity, results_capacity, logits_capacity, probabilities_capacity;

    ade_screen_stats stats;
};

/* The session asks while it classifies; the run asks while it waits. Both report bytes of input. */
static int report_progress(void *user, uint64_t done, uint64_t total) {
    ade_screen *s = user;
    (void)done, (void)total;
    if (!s->cancelled && s->progress && s->progress(s->progress_user, s->stats.bytes_read, s->bytes_total))
        s->cancelled = true;
    return s->cancelled;
}

ade_status ade__screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out) {
    const ade_screen_options defaults = ADE_SCREEN_OPTIONS_INIT;
    ade_session_options      session = ADE_SESSION_OPTIONS_INIT;
    if (!options) options = &defaults;
    if (isnan(options->threshold))
        return ade__fail(ADE_INVALID_ARGUMENT, "the threshold of a screening run is not a number");
    if (options->session) ADE_TRY(ade__options_in(&session, sizeof session, options->session, "ade_session_options"));
    session.struct_size = (uint32_t)sizeof session;
    ade_screen *s = ade__calloc(1, sizeof *s);
    if (!s) return ADE_OUT_OF_MEMORY;
    atomic_flag_clear(&s->busy);
    s->owner = getpid();
    s->n_labels = model->config.n_labels;
    s->threshold = options->threshold < 0 ? 0.5 : (double)(float)options->threshold; /* a score, copied, reaches itself */
    s->all = options->all != 0;
    s->section_labels = !options->no_section_label;
    s->keep_going = options->keep_going != 0;
    s->limit = options->limit;
    s->parts = options->parts;
    s->parts_user = options->parts_user;
    s->progress = session.progress;
    s->progress_user = session.progress_user;
    s->log = (ade_log){session.log, session.log_user};
    session.progress = report_progress;
    session.progress_user = s;
    ade_status status = ade__session_open(model, &session, &s->session);
    if (status) {
        ade__free(s);
        return status;
    }
    *out = s;
    return ADE_OK;
}

ade_status ade__screen_add(ade_screen *s, const char *path) {
    if (s->started)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "%s comes too late: files are added before the first row is fetched, because they are read in "
                         "the order of the numbers in their names",
                         path);
    ADE_TRY(ade__inputs_add(&s->inputs, path));
    s->stats.files_total = s->inputs.n;
    return ADE_OK;
}

/* Ends the run with the status and text that were just set. */
static ade_status end_run(ade_screen *s, ade_status status) {
    ade__copy_error(s->over_text, sizeof s->over_text);
    s->over = status;
    s->chunk = NULL;
    ade__reader_stop(s->reader);
    s->reader = NULL;
    if (s->started) s->ended = ade__seconds();
    return status;
}

static ade_status cancel(ade_screen *s) {
    return end_run(s, ade__fail(ADE_CANCELLED, "the run was stopped by the progress callback"));
}

static ade_status start(ade_screen *s) {
    s->started = true;
    s->began = ade__seconds();
    ade__inputs_sort(&s->inputs);
    s->bytes_total = ade__inputs_bytes(&s->inputs);
    const ade_reader_options options = {
        .inputs = &s->inputs, .section_labels = s->section_labels, .keep_going = s->keep_going, .limit = s->limit};
    return ade__reader_start(&options, &s->reader);
}

static ade_status classify(ade_screen *s) {
    const ade_chunk *chunk = s->chunk;
    const size_t     n = chunk->n_texts;
    if (!n) return ADE_OK;
    const size_t values = n * (size_t)s->n_labels;
    if (ade__reserve(&s->texts, &s->texts_capacity, n, sizeof *s->texts) ||
        ade__reserve(&s->results, &s->results_capacity, n, sizeof *s->results) ||
        ade__reserve(&s->logits, &s->logits_capacity, values, sizeof *s->logits) ||
        ade__reserve(&s->probabilities, &s->probabilities_capacity, values, sizeof *s->probabilities))
        return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < chunk->n_items; i++) {
        const ade_item *item = &chunk->items[i];
        if (item->kind == ADE_ITEM_SENTENCE && item->slot != ADE_NO_SLOT)
            s->texts[item->slot] = (ade_text){chunk->text + item->model_text, item->model_size};
    }
    double     before = ade__seconds();
    ade_status status = ade__session_classify(s->session, s->texts, n, s->results, s->logits, s->probabilities);
    s->stats.seconds_classify += ade__seconds() - before;
    return status;
}

/* Fetches and classifies the next chunk. */
static ade_status next_chunk(ade_screen *s) {
    if (report_progress(s, 0, 0)) return ADE_CANCELLED;
    while (!(s->chunk = ade__reader_next(s->reader, WAIT_MILLISECONDS)))
        if (report_progress(s, 0, 0)) return ADE_CANCELLED;
    s->item = 0;
    return classify(s);
}

/* The chunk's items are all walked; what it says of the whole run holds now. */
static ade_status finish_chunk(ade_screen *s) {
    ade_chunk *chunk = s->chunk;
    s->stats.bytes_read = chunk->bytes_read;
    s->stats.bytes_xml = chunk->bytes_xml;
    s->stats.seconds_read = chunk->seconds_read;
    ade_status status = chunk->fault;
    if (status) {
        const bool of_the_file = status == ADE_IO || status == ADE_BAD_INPUT;
        (void)ade__adopt_error(status, chunk->fault_text);
        if (of_the_file) s->stats.files_failed++;
        if (of_the_file && s->keep_going) {
            ade__log(&s->log, ADE_LOG_WARNING, "%s", chunk->fault_text);
            status = ADE_OK;
        }
    }
    s->chunk = NULL;
    ade__reader_give_back(s->reader, chunk);
    return status;
}

static ade_text section_of(const ade_screen *s, const ade_chunk_part *part) {
    return part->labelled ? (ade_text){s->chunk->text + part->label, part->label_size} : (ade_text){NULL, 0};
}

static void show_part(const ade_screen *s, const ade_chunk_part *part) {
    if (!s->parts) return;
    const ade_screen_part shown = {.struct_size = sizeof(ade_screen_part),
                                   .pmid = part->pmid,
                                   .version = part->version,
                                   .part = part->part,
                                   .section_index = part->section_index,
                                   .section = section_of(s, part),
                                   .text = {s->chunk->text + part->text, part->text_size},
                                   .source = s->inputs.files[part->file].name};
    s->parts(s->parts_user, &shown);
}

static void count_record(ade_screen_stats *stats, const ade_item *item) {
    stats->citations++;
    stats->sentences += item->skipped;
    stats->skipped += item->skipped;
    switch ((ade_novelty)item->novelty) {
    case ADE_NOVELTY_NEW: stats->new_citations++; break;
    case ADE_NOVELTY_REVISED: stats->revised++; break;
    case ADE_NOVELTY_UNCHANGED: stats->unchanged++; return;
    case ADE_NOVELTY_SUPERSEDED: stats->superseded++; return;
    }
    stats->without_abstract += item->without_abstract;
    stats->without_text += item->without_text;
}

/* Fills the row from where it comes from; the rest of it is zero. */
static void begin_row(ade_screen *s, const ade_chunk_part *part, ade_screen_row *row) {
    const uint32_t size = row->struct_size;
    *row = (ade_screen_row){.struct_size = size,
                            .part = part->part,
                            .pmid = part->pmid,
                            .version = part->version,
                            .section = section_of(s, part),
                            .source = s->inputs.files[part->file].name};
    s->stats.rows++;
}

/* Counts a sentence; true when it gives a row. */
static bool take_sentence(ade_screen *s, const ade_item *item, ade_screen_row *row) {
    s->stats.sentences++;
    if (item->slot == ADE_NO_SLOT) {
        s->stats.skipped++;
        return false;
    }
    const ade_result *result = &s->results[item->slot];
    const bool        hit = (double)result->score >= s->threshold;
    s->stats.screened++;
    s->stats.hits += hit;
    s->stats.tokens += (uint64_t)result->tokens;
    s->stats.unknown_tokens += (uint64_t)result->unknown;
    s->stats.truncated_texts += result->truncated != 0;
    s->stats.replaced += (uint64_t)result->replaced;
    /* A value that is no number is no hit, but is shown: a broken model must not look like a file without hits. */
    if (!hit && !s->all && isfinite(result->score)) return false;
    begin_row(s, &s->chunk->parts[item->part], row);
    const size_t values = item->slot * (size_t)s->n_labels;
    row->sentence = item->sentence;
    row->text = (ade_text){s->chunk->text + item->text, item->end - item->start};
    row->start = item->start;
    row->end = item->end;
    row->start_char = item->start_char;
    row->end_char = item->end_char;
    row->result = *result;
    row->hit = hit;
    row->logits = s->logits + values;
    row->probabilities = s->probabilities + values;
    return true;
}

static ade_status next_row(ade_screen *s, ade_screen_row *row) {
    if (s->over) return ade__adopt_error(s->over, s->over_text);
    if (s->owner != getpid())
        return ade__fail(ADE_INVALID_ARGUMENT, "this screen was opened before fork(), and its threads stayed in the "
                                               "parent process; open a screen in this one");
    ade_status status = s->started ? ADE_OK : start(s);
    while (!status) {
        if (!s->chunk) {
            status = next_chunk(s);
            continue;
        }
        if (s->item == s->chunk->n_items) {
            status = finish_chunk(s);
            continue;
        }
        const ade_item *item = &s->chunk->items[s->item++];
        switch ((ade_item_kind)item->kind) {
        case ADE_ITEM_RECORD: count_record(&s->stats, item); break;
        case ADE_ITEM_PART: show_part(s, &s->chunk->parts[item->part]); break;
        case ADE_ITEM_SENTENCE:
            if (take_sentence(s, item, row)) return ADE_OK;
            break;
        case ADE_ITEM_DELETED:
            s->stats.deleted++;
            begin_row(s, &s->chunk->parts[item->part], row);
            return ADE_OK;
        case ADE_ITEM_FILE: s->stats.files_done++; break;
        case ADE_ITEM_END:
            (void)finish_chunk(s);          /* it has no fault */
            (void)report_progress(s, 0, 0); /* all bytes; too late to stop anything */
            return end_run(s, ade__fail(ADE_END, "all files have been read"));
        }
    }
    return status == ADE_CANCELLED ? cancel(s) : end_run(s, status);
}

ade_status ade__screen_next(ade_screen *s, ade_screen_row *row) {
    if (atomic_flag_test_and_set(&s->busy))
        return ade__fail(ADE_BUSY, "this screen is in use by another thread or by its own callback; fetch rows in one "
                                   "place");
    ade_status status = next_row(s, row);
    atomic_flag_clear(&s->busy);
    return status;
}

ade_status ade__screen_confirm(ade_screen *s) {
    s->stats.confirmed = s->stats.rows;
    return ADE_OK;
}

ade_status ade__screen_get_stats(const ade_screen *s, ade_screen_stats *stats) {
    const uint32_t size = stats->struct_size;
    *stats = s->stats;
    stats->struct_size = size;
    if (s->started) stats->seconds_total = (s->ended > 0 ? s->ended : ade__seconds()) - s->began;
    return ADE_OK;
}

ade_status ade__screen_get_session_info(const ade_screen *s, ade_session_info *info) {
    return ade__session_get_info(s->session, info);
}

void ade__screen_close(ade_screen *s) {
    if (!s) return;
    ade__reader_stop(s->reader);
    ade__session_close(s->session);
    ade__inputs_free(&s->inputs);
    ade__free(s->texts);
    ade__free(s->results);
    ade__free(s->logits);
    ade__free(s->probabilities);
    ade__free(s);
}
