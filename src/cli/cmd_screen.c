/* SPDX-License-Identifier: Apache-2.0
 * adesieve screen: from MEDLINE/PubMed XML to one row a hit. The library reads, splits and classifies; here is what
 * rows look like, what is said at the end, and what is safe on disk. */
#include "commands.h"

#include "engine.h"
#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"
#include "texts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct screen_run {
    const settings  *wanted;
    engine           engine;
    ade_screen      *screen;
    ade_screen_stats stats;
    output           rows, parts;
    uint32_t         inputs_refused; /* could not be added */
    uint64_t         deletions;      /* rows of deleted records, written or left out */
    double           threshold;
    int              reading; /* 1 once rows are being fetched */
} screen_run;

/* While rows are fetched, the library warns of a file that failed and was left behind. That is an error of the run (it
 * ends with CLI_PARTIAL at best), so that --quiet does not hide it. */
static void on_log(void *user, ade_log_level level, const char *message) {
    const screen_run *run = user;
    if (run->reading && level >= ADE_LOG_WARNING)
        say(SAY_ERROR, "%s", message);
    else
        say_library(NULL, level, message);
}

static const char *part_name(int part) { return part == ADE_PART_TITLE ? "title" : "abstract"; }

static void put_optional(bytes *row, ade_text text) {
    if (text.data)
        put_json_string(row, text.data, text.size);
    else
        put_literal(row, "null");
}

static void put_json_row(screen_run *run, const ade_screen_row *from) {
    bytes *row = &run->rows.rows;
    put_literal(row, "{\"pmid\":");
    put_integer(row, from->pmid);
    if (from->part == ADE_PART_DELETED) {
        put_literal(row, ",\"deleted\":true,\"source\":");
        put_json_text(row, from->source);
        put_literal(row, "}\n");
        return;
    }
    put_literal(row, ",\"version\":");
    put_integer(row, from->version);
    put_literal(row, ",\"part\":");
    put_json_text(row, part_name(from->part));
    put_literal(row, ",\"section\":");
    put_optional(row, from->section);
    put_literal(row, ",\"sentence\":");
    put_integer(row, from->sentence);
    put_literal(row, ",\"start\":");
    put_unsigned(row, from->start_char);
    put_literal(row, ",\"end\":");
    put_unsigned(row, from->end_char);
    if (!run->wanted->no_text) {
        put_literal(row, ",\"text\":");
        put_json_string(row, from->text.data, from->text.size);
    }
    put_literal(row, ",\"label\":");
    put_json_text(row, run->engine.model_info.problem == ADE_PROBLEM_REGRESSION
                           ? NULL
                           : ade_model_label(run->engine.model, from->result.label));
    put_literal(row, ",\"score\":");
    put_float(row, from->result.score);
    put_literal(row, from->result.truncated ? ",\"truncated\":true" : ",\"truncated\":false");
    put_literal(row, ",\"source\":");
    put_json_text(row, from->source);
    put_literal(row, "}\n");
}

static void put_c_field(bytes *row, row_format format, const char *text) {
    if (text) put_field(row, format, text, strlen(text));
    put_separator(row, format);
}

/* pmid version part section sentence start end label score truncated deleted source text; a deleted record leaves the
 * columns empty that it has no value for. */
static void put_table_row(screen_run *run, const ade_screen_row *from, row_format format) {
    bytes *row = &run->rows.rows;
    int    deleted = from->part == ADE_PART_DELETED;
    put_integer(row, from->pmid);
    put_separator(row, format);
    if (deleted) {
        for (int i = 0; i < 9; i++) put_separator(row, format);
    } else {
        put_integer(row, from->version);
        put_separator(row, format);
        put_c_field(row, format, part_name(from->part));
        if (from->section.data) put_field(row, format, from->section.data, from->section.size);
        put_separator(row, format);
        put_integer(row, from->sentence);
        put_separator(row, format);
        put_unsigned(row, from->start_char);
        put_separator(row, format);
        put_unsigned(row, from->end_char);
        put_separator(row, format);
        put_c_field(row, format,
                    run->engine.model_info.problem == ADE_PROBLEM_REGRESSION
                        ? NULL
                        : ade_model_label(run->engine.model, from->result.label));
        put_float(row, from->result.score);
        put_separator(row, format);
        put_c_field(row, format, from->result.truncated ? "true" : "false");
    }
    put_c_field(row, format, deleted ? "true" : "false");
    if (from->source) put_field(row, format, from->source, strlen(from->source));
    if (!run->wanted->no_text) {
        put_separator(row, format);
        if (!deleted) put_field(row, format, from->text.data, from->text.size);
    }
    put_literal(row, "\n");
}

static void put_header(screen_run *run) {
    static const char *const columns[] = {"pmid",  "version", "part",      "section", "sentence", "start", "end",
                                          "label", "score",   "truncated", "deleted", "source",   "text"};
    size_t                   count = sizeof columns / sizeof columns[0] - (run->wanted->no_text ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_separator(&run->rows.rows, (row_format)run->wanted->format);
        put_literal(&run->rows.rows, columns[i]);
    }
    put_literal(&run->rows.rows, "\n");
}

static void on_part(void *user, const ade_screen_part *part) {
    screen_run *run = user;
    bytes      *row = &run->parts.rows;
    put_literal(row, "{\"pmid\":");
    put_integer(row, part->pmid);
    put_literal(row, ",\"version\":");
    put_integer(row, part->version);
    put_literal(row, ",\"part\":");
    put_json_text(row, part_name(part->part));
    put_literal(row, ",\"section\":");
    put_optional(row, part->section);
    put_literal(row, ",\"section_index\":");
    put_integer(row, part->section_index);
    put_literal(row, ",\"text\":");
    put_json_string(row, part->text.data, part->text.size);
    put_literal(row, ",\"source\":");
    put_json_text(row, part->source);
    put_literal(row, "}\n");
    output_row_end(&run->parts); /* a failure stays in parts.status, which the loop looks at */
}

/* Also shows rows that wait in the buffer while the next hit is far away. */
static int on_progress(void *user, uint64_t done, uint64_t total) {
    screen_run *run = user;
    progress_update(done / 1024, "KiB", total > 0 ? (double)done / (double)total : -1);
    if (output_flush_if_old(&run->rows) != CLI_OK) return 1;
    return signals_interrupted() || run->parts.status != CLI_OK;
}

/* Writes row after row. CLI_OK when all is read. */
static int write_rows(screen_run *run) {
    for (;;) {
        ade_screen_row row = ADE_SCREEN_ROW_INIT;
        ade_status     result = ade_screen_next(run->screen, &row);
        int            status;
        if (signals_interrupted()) return CLI_INTERRUPTED;
        if (run->parts.status != CLI_OK) return run->parts.status;
        if (run->rows.status != CLI_OK) return run->rows.status;
        if (result == ADE_END) return CLI_OK;
        if (result != ADE_OK) return engine_failed(result, NULL);
        if (row.part != ADE_PART_DELETED && !isfinite(row.result.score)) {
            say(SAY_ERROR,
                "%s, PMID %lld, sentence %d: the model's output is not a number; its weights are damaged, or the "
                "precision is too low.",
                row.source, (long long)row.pmid, (int)row.sentence);
            return CLI_FAILED;
        }
        if (row.part == ADE_PART_DELETED) {
            run->deletions++;
            if (run->wanted->no_deleted) continue;
        }
        if (run->wanted->format == ROWS_JSONL)
            put_json_row(run, &row);
        else
            put_table_row(run, &row, (row_format)run->wanted->format);
        status = output_row_end(&run->rows);
        if (status == CLI_OK) status = output_flush_if_old(&run->rows);
        if (status != CLI_OK) return status;
    }
}

static int add_inputs(screen_run *run) {
    for (size_t i = 0; i < run->wanted->n_files; i++) {
        ade_status status = ade_screen_add(run->screen, run->wanted->files[i]);
        if (status == ADE_OK) continue;
        engine_failed(status, NULL);
        run->inputs_refused++;
        if (run->wanted->fail_fast) return CLI_FAILED;
    }
    return run->inputs_refused == run->wanted->n_files ? CLI_FAILED : CLI_OK;
}

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t value, char *text) {
    char   digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value), at = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static void say_summary(const screen_run *run) {
    const ade_screen_stats *s = &run->stats;
    uint64_t                deletions = run->wanted->no_deleted ? 0 : run->deletions;
    uint32_t                failed = s->files_failed + run->inputs_refused;
    char                    n[8][32];
    say(SAY_NOTE, "citations  %s = %s new + %s revised + %s unchanged + %s superseded; %s deleted",
        grouped(s->citations, n[0]), grouped(s->new_citations, n[1]), grouped(s->revised, n[2]),
        grouped(s->unchanged, n[3]), grouped(s->superseded, n[4]), grouped(s->deleted, n[5]));
    say(SAY_NOTE, "           %s without abstract, %s without any text", grouped(s->without_abstract, n[0]),
        grouped(s->without_text, n[1]));
    say(SAY_NOTE, "sentences  %s = %s screened + %s skipped", grouped(s->sentences, n[0]), grouped(s->screened, n[1]),
        grouped(s->skipped, n[2]));
    say(SAY_NOTE, "hits       %s at a threshold of %g; %s row%s = %s %s%s + %s deletion%s", grouped(s->hits, n[0]),
        run->threshold, grouped(s->rows, n[1]), plural(s->rows), grouped(s->rows - deletions, n[2]),
        run->wanted->all ? "sentence" : "hit", plural(s->rows - deletions), grouped(deletions, n[3]),
        plural(deletions));
    say(SAY_NOTE, "tokens     %s, %s of them unknown; %s texts truncated", grouped(s->tokens, n[0]),
        grouped(s->unknown_tokens, n[1]), grouped(s->truncated_texts, n[2]));
    say(SAY_NOTE, "time       %.1f s (classifying %.1f s); %.0f sentences/s", s->seconds_total, s->seconds_classify,
        per_second((double)s->screened, s->seconds_total));
    if (failed > 0) say(SAY_NOTE, "failed     %u input%s, named above", failed, plural(failed));
}

/* The library counts the rows that it gave; with --no-deleted, fewer are written. */
static ade_status get_stats(screen_run *run) {
    ade_status result;
    run->stats = (ade_screen_stats)ADE_SCREEN_STATS_INIT;
    result = ade_screen_get_stats(run->screen, &run->stats);
    if (result == ADE_OK && run->wanted->no_deleted) {
        run->stats.rows -= run->deletions;
        if (run->stats.confirmed > 0) run->stats.confirmed -= run->deletions;
    }
    return result;
}

static json_t *stats_object(const screen_run *run) {
    const ade_screen_stats *s = &run->stats;
    json_t                 *object = engine_stats(&run->engine, "screen");
    if (!object) return NULL;
#define COUNT(name, member) json_object_set_new(object, name, json_integer((json_int_t)s->member))
    json_object_set_new(object, "threshold", json_real(run->threshold));
    COUNT("files", files_total);
    COUNT("files_done", files_done);
    COUNT("files_failed", files_failed);
    json_object_set_new(object, "inputs_refused", json_integer(run->inputs_refused));
    COUNT("bytes_read", bytes_read);
    COUNT("bytes_xml", bytes_xml);
    COUNT("citations", citations);
    COUNT("new", new_citations);
    COUNT("revised", revised);
    COUNT("unchanged", unchanged);
    COUNT("superseded", superseded);
    COUNT("deleted", deleted);
    COUNT("without_abstract", without_abstract);
    COUNT("without_text", without_text);
    COUNT("sentences", sentences);
    COUNT("screened", screened);
    COUNT("skipped", skipped);
    COUNT("hits", hits);
    COUNT("rows", rows);
    COUNT("rows_confirmed", confirmed);
    COUNT("tokens", tokens);
    COUNT("unknown_tokens", unknown_tokens);
    COUNT("truncated_texts", truncated_texts);
    COUNT("replaced_utf8", replaced);
#undef COUNT
    json_object_set_new(object, "seconds",
                        json_pack("{s:f, s:f, s:f, s:f}", "open", run->engine.seconds_open, "read", s->seconds_read,
                                  "classify", s->seconds_classify, "total", s->seconds_total));
    json_object_set_new(object, "citations_per_second", json_real(per_second((double)s->citations, s->seconds_total)));
    json_object_set_new(object, "texts_per_second", json_real(per_second((double)s->screened, s->seconds_total)));
    json_object_set_new(object, "tokens_per_second", json_real(per_second((double)s->tokens, s->seconds_total)));
    return object;
}

static int open_screen(screen_run *run) {
    ade_session_options session;
    ade_screen_options  options = ADE_SCREEN_OPTIONS_INIT;
    double              start = seconds_now();
    ade_status          status;
    engine_session_options(run->wanted, &session);
    session.progress = on_progress;
    session.progress_user = run;
    session.log = on_log;
    session.log_user = run;
    options.all = run->wanted->all;
    options.threshold = run->threshold;
    options.no_section_label = run->wanted->no_section_label;
    options.keep_going = !run->wanted->fail_fast;
    options.limit = run->wanted->limit;
    options.session = &session;
    if (run->wanted->parts) {
        options.parts = on_part;
        options.parts_user = run;
    }
    status = ade_screen_open(run->engine.model, &options, &run->screen);
    if (status != ADE_OK) return engine_open_failed(status);
    run->engine.session_info = (ade_session_info)ADE_SESSION_INFO_INIT;
    status = ade_screen_get_session_info(run->screen, &run->engine.session_info);
    if (status != ADE_OK) return engine_failed(status, NULL);
    run->engine.seconds_open += seconds_now() - start;
    return add_inputs(run);
}

static int run_screen(screen_run *run, const settings *wanted, output *stats) {
    ade_status result;
    int        status = engine_open_outputs(wanted, &run->rows, stats, &run->parts), finished;
    if (status == CLI_OK) status = engine_open_model(&run->engine, wanted);
    if (status == CLI_OK && run->threshold > 1 && run->engine.model_info.problem != ADE_PROBLEM_REGRESSION) {
        say(SAY_ERROR, "'--threshold' needs a number from 0 to 1, as the scores of this model are, not %g.",
            run->threshold);
        status = CLI_USAGE;
    }
    if (status == CLI_OK) status = open_screen(run);
    if (status != CLI_OK) return status;
    if (wanted->format != ROWS_JSONL) put_header(run);
    run->reading = 1;
    status = write_rows(run);
    progress_hide();
    if (status != CLI_OK && status != CLI_CLOSED) return status;
    result = get_stats(run);
    if (result != ADE_OK) return engine_failed(result, NULL);
    /* With every file failed there is nothing worth a name. */
    if (run->stats.files_failed > 0 && run->stats.files_failed >= run->stats.files_total) return CLI_FAILED;
    if (wanted->parts) { /* first, so that rows never stand there without the texts that they count in */
        finished = output_finish(&run->parts, status == CLI_OK);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    finished = output_finish(&run->rows, status == CLI_OK);
    if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    if (finished == CLI_CLOSED) status = CLI_CLOSED; /* seen at the last write only */
    if (status == CLI_OK && finished == CLI_OK) {
        result = ade_screen_confirm(run->screen);
        if (result == ADE_OK) result = get_stats(run);
        if (result != ADE_OK) return engine_failed(result, NULL);
    }
    if (wanted->stats) {
        finished = engine_write_json(stats, stats_object(run));
        if (finished == CLI_OK) finished = output_finish(stats, 1);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    if (status == CLI_OK) say_summary(run);
    if (status == CLI_OK && run->stats.files_failed + run->inputs_refused > 0) status = CLI_PARTIAL;
    return status;
}

/* Behind the errors: some of the inputs are texts by their names. */
static void say_if_texts(const settings *wanted) {
    for (size_t i = 0; i < wanted->n_files; i++) {
        const char *name = wanted->files[i];
        if (texts_format_of_name(name) != TEXTS_LINES || name_ends_in(name, strlen(name), ".txt")) {
            say(SAY_HINT, "for CSV, TSV, JSONL or plain text use: adesieve classify");
            return;
        }
    }
}

int cmd_screen(settings *wanted) {
    output      closed = OUTPUT_CLOSED_INIT, stats = OUTPUT_CLOSED_INIT;
    screen_run *run = calloc(1, sizeof *run);
    int         status = engine_check_files(wanted, 0);
    if (status == CLI_OK && !run) status = CLI_FAILED;
    if (status == CLI_OK) {
        run->wanted = wanted;
        run->threshold = wanted->threshold < 0 ? 0.5 : wanted->threshold;
        run->rows = run->parts = closed;
        progress_start(wanted->progress, wanted->quiet);
        status = run_screen(run, wanted, &stats);
        progress_hide();
        if (status == CLI_FAILED || status == CLI_PARTIAL) say_if_texts(wanted);
        output_finish(&run->parts, 0); /* what was not finished above is not complete */
        output_finish(&run->rows, 0);
        output_finish(&stats, 0);
        ade_screen_close(run->screen);
        engine_close(&run->engine);
    }
    free(run);
    return status;
}
