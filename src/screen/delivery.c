/* SPDX-License-Identifier: Apache-2.0
 * From finished windows to rows: walks chunks, records and sentences, counts what it passes, and notes for the store
 * what it came to. */
#include "screen_run.h"

#include "alloc.h"
#include "model.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MILLISECONDS 50 /* the progress callback is promised ten times a second */

bool ade__screen_cancelled(ade_screen *s) {
    if (!atomic_load(&s->cancelled) && s->progress && s->progress(s->progress_user, s->stats.bytes_read, s->bytes_total))
        atomic_store(&s->cancelled, 1);
    return atomic_load(&s->cancelled) != 0;
}

static const ade_input_file *input(const ade_screen *s, size_t file) { return &s->inputs.files[file]; }

/* ---- Files --------------------------------------------------------------------------------------------------------- */

ade_screen_file ade__screen_file_so_far(const ade_screen *s, size_t file) {
    const ade_screen_stats *now = &s->stats, *then = &s->at_file;
    return (ade_screen_file){.struct_size = sizeof s->shown,
                             .path = input(s, file)->path,
                             .name = input(s, file)->name,
                             .md5 = "",
                             .bytes = now->bytes_read - s->bytes_of_files,
                             .bytes_xml = now->bytes_xml - then->bytes_xml,
                             .citations = now->citations - then->citations,
                             .new_citations = now->new_citations - then->new_citations,
                             .revised = now->revised - then->revised,
                             .unchanged = now->unchanged - then->unchanged,
                             .superseded = now->superseded - then->superseded,
                             .deleted = now->deleted - then->deleted,
                             .sentences = now->sentences - then->sentences,
                             .screened = now->screened - then->screened,
                             .hits = now->hits - then->hits,
                             .rows = now->rows - then->rows,
                             .tokens = now->tokens - then->tokens,
                             .seconds = ade__seconds() - s->file_began,
                             .earlier = s->done ? s->done[file].earlier : 0};
}

/* The file ends here: from now on it is told of as it is now. */
static void show_file(ade_screen *s, size_t file) {
    s->row_from = ROW_OF_ENDED_FILE;
    s->shown = ade__screen_file_so_far(s, file);
}

static void show_done_file(ade_screen *s, size_t file) {
    const ade_state_file *done = &s->done[file];
    s->row_from = ROW_OF_ENDED_FILE;
    s->shown = (ade_screen_file){.struct_size = sizeof s->shown,
                                 .path = input(s, file)->path,
                                 .name = input(s, file)->name,
                                 .md5 = done->md5 ? done->md5 : "",
                                 .skipped = 1,
                                 .bytes = done->size,
                                 .bytes_xml = done->bytes_xml,
                                 .citations = done->citations,
                                 .new_citations = done->new_citations,
                                 .revised = done->revised,
                                 .unchanged = done->unchanged,
                                 .superseded = done->superseded,
                                 .deleted = done->deleted,
                                 .sentences = done->sentences,
                                 .screened = done->screened,
                                 .hits = done->hits,
                                 .rows = done->rows,
                                 .tokens = done->tokens,
                                 .earlier = done->earlier};
}

static bool give_file_row(ade_screen *s, size_t file, ade_screen_row *row) {
    if (!s->options.file_rows) return false;
    *row = (ade_screen_row){.struct_size = row->struct_size,
                            .part = ADE_PART_FILE,
                            .source = input(s, file)->name,
                            .calibrated = -1};
    return true;
}

/* Tells of the files before `file` that the store knows; true when that gave a row. */
static bool pass_done_files(ade_screen *s, size_t file, ade_screen_row *row) {
    while (s->file < file) {
        const size_t at = s->file++;
        if (!input(s, at)->done) continue;
        s->stats.files_skipped++;
        show_done_file(s, at);
        if (give_file_row(s, at, row)) return true;
    }
    return false;
}

static void begin_file(ade_screen *s) {
    s->at_file = s->stats;
    s->file_began = ade__seconds();
}

static ade_status keep_outcomes(ade_screen *s, const ade_chunk *chunk) {
    if (!s->state || s->options.dry_run) return ADE_OK;
    if (ade__reserve(&s->pending, &s->pending_capacity, s->n_pending + 1, sizeof *s->pending)) return ADE_OUT_OF_MEMORY;
    ade_pending_file *p = &s->pending[s->n_pending++];
    *p = (ade_pending_file){.outcomes = s->outcomes, .file = chunk->file, .counts = s->shown};
    memcpy(p->md5, chunk->md5, sizeof p->md5);
    s->outcomes = (ade_outcomes){0};
    return ADE_OK;
}

/* The file counts as not read. */
static void take_back(ade_screen *s) {
    const ade_screen_stats now = s->stats;
    s->stats = s->at_file;
    s->stats.files_failed = now.files_failed;
    s->stats.files_skipped = now.files_skipped;
    s->stats.bytes_read = now.bytes_read;
    s->stats.bytes_xml = now.bytes_xml;
}

/* The file has been read to its end, or failed. *given: a row was made of it. */
static ade_status end_file(ade_screen *s, const ade_chunk *chunk, ade_screen_row *row, bool *given) {
    const ade_status fault = chunk->fault;
    const bool       of_the_file = fault == ADE_IO || fault == ADE_BAD_INPUT;
    s->file = chunk->file + 1;
    if (fault && s->drop_failed) take_back(s);
    show_file(s, chunk->file);
    memcpy(s->shown_md5, chunk->md5, sizeof s->shown_md5);
    s->shown.md5 = s->shown_md5;
    s->shown.md5_checked = chunk->md5_checked;
    s->bytes_of_files = s->stats.bytes_read;
    if (fault) {
        memcpy(s->shown_error, chunk->fault_text, sizeof s->shown_error);
        s->shown.status = fault;
        s->shown.error = s->shown_error;
        ade__outcomes_free(&s->outcomes);
        if (of_the_file) s->stats.files_failed++;
        if (!of_the_file || !s->options.keep_going) return ade__adopt_error(fault, chunk->fault_text);
        ade__log(&s->log, ADE_LOG_WARNING, "%s", chunk->fault_text);
    } else {
        s->stats.files_done++;
        ADE_TRY(keep_outcomes(s, chunk));
    }
    *given = give_file_row(s, chunk->file, row);
    return ADE_OK;
}

/* The limit was reached within the file, which is neither done nor failed. */
static bool end_cut_file(ade_screen *s, const ade_chunk *chunk, ade_screen_row *row) {
    s->file = chunk->file + 1;
    show_file(s, chunk->file);
    (void)snprintf(s->shown_error, sizeof s->shown_error,
                   "the limit of %llu records was reached in %s, and the rest of it was not read",
                   (unsigned long long)s->options.limit, s->shown.path);
    s->shown.status = ADE_END;
    s->shown.error = s->shown_error;
    return give_file_row(s, chunk->file, row);
}

/* ---- Records ------------------------------------------------------------------------------------------------------- */

static const ade_chunk_part *part_of(const ade_chunk *chunk, const ade_chunk_record *record, size_t sentence) {
    const ade_chunk_part *part = &chunk->parts[record->first_part];
    while (record->first_sentence + sentence >= (size_t)part->first_sentence + part->n_sentences) part++;
    return part;
}

static ade_screen_part shown_part(const ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record,
                                  const ade_chunk_part *part) {
    return (ade_screen_part){.struct_size = sizeof(ade_screen_part),
                             .pmid = record->shown.pmid,
                             .version = record->shown.version,
                             .part = part->part,
                             .section_index = part->section_index,
                             .section = part->label,
                             .text = part->text,
                             .source = input(s, chunk->file)->name};
}

static ade_screen_row sentence_row(const ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record,
                                   const ade_chunk_part *part, size_t sentence) {
    const ade_chunk_sentence *from = &chunk->sentences[record->first_sentence + sentence];
    ade_screen_row            row = {.struct_size = sizeof row,
                                     .part = part->part,
                                     .pmid = record->shown.pmid,
                                     .version = record->shown.version,
                                     .sentence = (int32_t)sentence,
                                     .section = part->label,
                                     .section_index = part->section_index,
                                     .text = {part->text.data + from->start, from->end - from->start},
                                     .start = from->start,
                                     .end = from->end,
                                     .start_char = from->start_char,
                                     .end_char = from->end_char,
                                     .source = input(s, chunk->file)->name,
                                     .record = &record->shown,
                                     .calibrated = -1};
    if (from->slot == ADE_NO_SLOT || !s->session) return row;
    const size_t values = from->slot * (size_t)s->n_labels;
    row.result = s->window->window.results[from->slot];
    row.hit = (double)row.result.score >= s->threshold;
    row.logits = s->window->window.logits + values;
    row.probabilities = s->window->window.probabilities + values;
    if (s->model->calibration)
        row.calibrated = ade__calibrate_one(s->model->calibration, row.logits, s->options.prevalence);
    return row;
}

static void count_record(ade_screen *s, const ade_chunk_record *record) {
    ade_screen_stats *stats = &s->stats;
    stats->citations++;
    stats->sentences += record->n_sentences;
    stats->screened += record->shown.n_screened;
    stats->skipped += record->n_sentences - record->shown.n_screened;
    stats->prefiltered += record->n_prefiltered;
    switch ((ade_novelty)record->novelty) {
    case ADE_NOVELTY_NEW: stats->new_citations++; break;
    case ADE_NOVELTY_REVISED: stats->revised++; break;
    case ADE_NOVELTY_UNCHANGED: stats->unchanged++; return;
    case ADE_NOVELTY_SUPERSEDED: stats->superseded++; return;
    }
    stats->without_abstract += record->without_abstract;
    stats->without_text += record->without_text;
    stats->retracted += record->shown.retracted != 0;
    stats->books += record->shown.book != 0;
}

/* Adds up the record's scores into what is shown of it. *best: the sentence with the highest score, -1 for none. */
static ade_status evaluate(ade_screen *s, const ade_chunk *chunk, ade_chunk_record *record, int32_t *best) {
    ade_screen_record *shown = &record->shown;
    double             none = 1; /* the probability that no sentence reports one, were they independent */
    *best = -1;
    if (ade__reserve(&s->scores, &s->scores_capacity, record->n_sentences, sizeof *s->scores)) return ADE_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < record->n_sentences; i++) {
        const uint32_t slot = chunk->sentences[record->first_sentence + i].slot;
        s->scores[i] = NAN;
        if (slot == ADE_NO_SLOT) continue;
        const ade_result *result = &s->window->window.results[slot];
        s->scores[i] = result->score;
        shown->n_hits += (double)result->score >= s->threshold;
        none *= 1 - (double)result->score;
        if (*best < 0 || (double)result->score > shown->score) {
            *best = (int32_t)i;
            shown->score = (double)result->score;
        }
        s->stats.tokens += (uint64_t)result->tokens;
        s->stats.unknown_tokens += (uint64_t)result->unknown;
        s->stats.truncated_texts += result->truncated != 0;
        s->stats.replaced += (uint64_t)result->replaced;
    }
    shown->noisy_or = s->regression || *best < 0 ? shown->score : 1 - none;
    s->stats.hits += shown->n_hits;
    s->stats.documents += shown->n_hits > 0;
    return ADE_OK;
}

static ade_status note_hits(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record) {
    const bool            texts = !s->options.no_store_text;
    const ade_chunk_part *part = &chunk->parts[record->first_part];
    for (uint32_t i = 0; i < record->n_sentences; i++) {
        while (record->first_sentence + i >= part->first_sentence + part->n_sentences) part++;
        ade_screen_row row = sentence_row(s, chunk, record, part, i);
        if (!row.hit || chunk->sentences[record->first_sentence + i].slot == ADE_NO_SLOT) continue;
        if (!texts) row.text = (ade_text){NULL, 0};
        ADE_TRY(ade__outcomes_hit(&s->outcomes, &row, s->regression ? "" : s->model->config.labels[row.result.label]));
    }
    for (uint32_t i = 0; texts && i < record->n_parts; i++) {
        const ade_screen_part shown = shown_part(s, chunk, record, &chunk->parts[record->first_part + i]);
        ADE_TRY(ade__outcomes_part(&s->outcomes, &shown));
    }
    return ADE_OK;
}

static ade_status note_record(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record, int32_t best) {
    ade_screen_record shown = record->shown;
    if (!s->state || s->options.dry_run || record->novelty == ADE_NOVELTY_SUPERSEDED) return ADE_OK;
    if (s->options.no_store_text) shown.title = (ade_text){NULL, 0};
    if (record->novelty == ADE_NOVELTY_UNCHANGED) return ade__outcomes_unchanged(&s->outcomes, &shown);
    const ade_state_outcome outcome = {
        .hash = record->hash, .record = &shown, .scores = s->scores, .best_sentence = best};
    ADE_TRY(ade__outcomes_record(&s->outcomes, &outcome));
    return shown.n_hits ? note_hits(s, chunk, record) : ADE_OK;
}

/* ---- Rows ---------------------------------------------------------------------------------------------------------- */

static void give(ade_screen *s, const ade_chunk *chunk, const ade_screen_row *from, ade_screen_row *row) {
    const uint32_t size = row->struct_size;
    *row = *from;
    row->struct_size = size;
    s->stats.rows += row->part != ADE_PART_RECORD;
    s->row_from = ROW_OF_OPEN_FILE;
    s->row_file = chunk->file;
}

static ade_status enter_deleted(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record,
                                ade_screen_row *row, bool *given) {
    s->record++;
    if (!record->applies) return ADE_OK; /* a later file has said something newer */
    s->stats.deleted++;
    if (s->options.dry_run) return ADE_OK;
    if (s->state) ADE_TRY(ade__outcomes_deleted(&s->outcomes, record->shown.pmid, record->shown.version));
    const ade_screen_row deleted = {.part = ADE_PART_DELETED,
                                    .pmid = record->shown.pmid,
                                    .version = record->shown.version,
                                    .source = input(s, chunk->file)->name,
                                    .calibrated = -1};
    give(s, chunk, &deleted, row);
    *given = true;
    return ADE_OK;
}

static bool is_screened(const ade_chunk_record *record) {
    return record->novelty == ADE_NOVELTY_NEW || record->novelty == ADE_NOVELTY_REVISED;
}

static void show_part(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record,
                      const ade_chunk_part *part) {
    if (!s->options.parts) return;
    const ade_screen_part shown = shown_part(s, chunk, record, part);
    s->options.parts(s->options.parts_user, &shown);
}

/* The one row of a record in a run of documents. */
static void give_document(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record, ade_screen_row *row,
                          bool *given) {
    const int32_t best = s->best;
    s->record_entered = false;
    s->record++;
    for (uint32_t i = 0; i < record->n_parts; i++) show_part(s, chunk, record, &chunk->parts[record->first_part + i]);
    if (!record->shown.n_hits && !s->options.all) return;
    ade_screen_row document = {.part = ADE_PART_TITLE,
                               .pmid = record->shown.pmid,
                               .version = record->shown.version,
                               .sentence = -1,
                               .source = input(s, chunk->file)->name,
                               .record = &record->shown,
                               .calibrated = -1};
    if (best >= 0) document = sentence_row(s, chunk, record, part_of(chunk, record, (size_t)best), (size_t)best);
    give(s, chunk, &document, row);
    *given = true;
}

/* The row that says that the record's rows follow, if it has any. */
static void give_mark(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record, ade_screen_row *row) {
    const ade_screen_row mark = {.part = ADE_PART_RECORD,
                                 .pmid = record->shown.pmid,
                                 .version = record->shown.version,
                                 .sentence = -1,
                                 .source = input(s, chunk->file)->name,
                                 .record = &record->shown,
                                 .calibrated = -1,
                                 .text_hash = record->hash};
    give(s, chunk, &mark, row);
}

/* Counts the record and what it came to. */
static ade_status enter_record(ade_screen *s, const ade_chunk *chunk, ade_chunk_record *record, ade_screen_row *row,
                               bool *given) {
    int32_t best = -1;
    if (record->deleted) return enter_deleted(s, chunk, record, row, given);
    count_record(s, record);
    if (is_screened(record) && s->session) ADE_TRY(evaluate(s, chunk, record, &best));
    ADE_TRY(note_record(s, chunk, record, best));
    if (!is_screened(record) || s->options.dry_run) {
        s->record++;
        return ADE_OK;
    }
    s->record_entered = true;
    s->best = best;
    s->part = s->sentence = 0;
    if (s->options.record_rows) give_mark(s, chunk, record, row);
    *given = s->options.record_rows != 0;
    return ADE_OK;
}

/* The next sentence of the record that gives a row; shows the parts on the way. */
static ade_status walk_record(ade_screen *s, const ade_chunk *chunk, const ade_chunk_record *record,
                              ade_screen_row *row, bool *given) {
    while (s->part < record->n_parts) {
        const ade_chunk_part *part = &chunk->parts[record->first_part + s->part];
        const size_t          first = part->first_sentence - record->first_sentence;
        if (s->sentence == first) show_part(s, chunk, record, part);
        while (s->sentence < first + part->n_sentences) {
            const size_t i = s->sentence++;
            if (chunk->sentences[record->first_sentence + i].slot == ADE_NO_SLOT) continue;
            const ade_screen_row from = sentence_row(s, chunk, record, part, i);
            if (!from.hit && !s->options.all) continue;
            give(s, chunk, &from, row);
            *given = true;
            if (s->sentence == first + part->n_sentences) s->part++;
            return ADE_OK;
        }
        s->part++;
    }
    s->record_entered = false;
    s->record++;
    return ADE_OK;
}

/* ---- Chunks and windows -------------------------------------------------------------------------------------------- */

static ade_status enter_chunk(ade_screen *s, const ade_chunk *chunk, ade_screen_row *row, bool *given) {
    *given = pass_done_files(s, chunk->file, row);
    if (*given) return ADE_OK;
    if (chunk->first) begin_file(s);
    s->chunk_entered = true;
    s->record = 0;
    s->record_entered = false;
    return ADE_OK;
}

static ade_status leave_chunk(ade_screen *s, const ade_chunk *chunk, ade_screen_row *row, bool *given) {
    s->stats.bytes_read = s->bytes_of_files + chunk->bytes_read;
    s->stats.bytes_xml = s->at_file.bytes_xml + chunk->bytes_xml;
    s->chunk_entered = false;
    s->chunk++;
    if (chunk->cut) *given = end_cut_file(s, chunk, row);
    return chunk->last ? end_file(s, chunk, row, given) : ADE_OK;
}

static ade_status walk_window(ade_screen *s, ade_screen_row *row, bool *given) {
    if (s->chunk == s->window->n_chunks) {
        ade__classifier_give_back(s->classifier, s->window);
        s->window = NULL;
        return ADE_OK;
    }
    ade_chunk *chunk = s->window->chunks[s->chunk];
    if (!s->chunk_entered) return enter_chunk(s, chunk, row, given);
    if (s->record == chunk->n_records) return leave_chunk(s, chunk, row, given);
    ade_chunk_record *record = &chunk->records[s->record];
    if (!s->record_entered) return enter_record(s, chunk, record, row, given);
    if (!s->options.documents) return walk_record(s, chunk, record, row, given);
    give_document(s, chunk, record, row, given);
    return ADE_OK;
}

static ade_status next_window(ade_screen *s, ade_screen_row *row, bool *given) {
    bool over = false;
    while (!s->window && !over) {
        if (ade__screen_cancelled(s)) return ade__fail(ADE_CANCELLED, "the run was stopped by the progress callback");
        s->window = ade__classifier_next(s->classifier, WAIT_MILLISECONDS, &over);
    }
    s->chunk = 0;
    s->chunk_entered = false;
    if (s->window) return ADE_OK;
    ade_status status = ade__classifier_status(s->classifier);
    if (status != ADE_END || ade__classifier_limited(s->classifier)) return status;
    *given = pass_done_files(s, s->inputs.n, row);
    return *given ? ADE_OK : status;
}

ade_status ade__deliver(ade_screen *s, ade_screen_row *row) {
    bool given = false;
    while (!given) ADE_TRY(s->window ? walk_window(s, row, &given) : next_window(s, row, &given));
    return ADE_OK;
}
