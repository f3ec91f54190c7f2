/* SPDX-License-Identifier: Apache-2.0
 * adesieve screen: from MEDLINE/PubMed XML to one row a hit. The library reads, splits and classifies; here is the run:
 * what is opened in which order, row after row, and how it ends. */
#include "commands.h"

#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "cmd_screen.h"
#include "screen_guard.h"
#include "signals.h"
#include "texts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What the library says and asks meanwhile ---- */

static void say_held(screen_run *run) {
    if (run->held) say(SAY_ERROR, "%s", run->held);
    free(run->held);
    run->held = NULL;
}

/* While rows are fetched, the library warns of a file that failed and was left behind. That is an error of the run (it
 * ends with CLI_PARTIAL at best), so that --quiet does not hide it. It waits for the row that ends the file, which says
 * it with more. */
static void on_log(void *user, ade_log_level level, const char *message) {
    screen_run *run = user;
    if (!run->reading || level < ADE_LOG_WARNING) {
        say_library(NULL, level, message);
        return;
    }
    say_held(run);
    run->held = strdup(message);
    if (!run->held) say(SAY_ERROR, "%s", message);
}

static void on_part(void *user, const ade_screen_part *part) {
    screen_run *run = user;
    screen_output_part(&run->out, part); /* a failure stays in parts.status, which the loop looks at */
}

static void write_metrics(screen_run *run, int running, int status) {
    char           device[32];
    metrics_values values = {.stats = &run->stats,
                             .rows = run->out.n_rows,
                             .refused = run->inputs_refused,
                             .running = running,
                             .exit_status = status == CLI_CLOSED ? CLI_OK : status,
                             .success = !running && status == CLI_OK};
    if (run->screen && run->engine.model) {
        values.model = run->engine.model_info.name;
        values.device =
            device_text(run->engine.session_info.device, run->engine.session_info.device_index, device, sizeof device);
        values.precision = precision_text(run->engine.session_info.precision);
    }
    metrics_write(&run->metrics, &values);
}

static void update_metrics(screen_run *run) {
    if (!metrics_due(&run->metrics)) return;
    run->stats = (ade_screen_stats)ADE_SCREEN_STATS_INIT;
    (void)ade_screen_get_stats(run->screen, &run->stats); /* of no use to anybody: the counts stay 0 */
    write_metrics(run, 1, CLI_OK);
}

/* Also shows rows that wait in the buffer while the next hit is far away. `total` is without the inputs that were done
 * before. */
static int on_progress(void *user, uint64_t done, uint64_t total) {
    screen_run *run = user;
    progress_update_work(done / 1024, "KiB", (double)done, total == 0 ? -1 : total > done ? (double)(total - done) : 0);
    update_metrics(run);
    if (output_flush_if_old(&run->out.rows) != CLI_OK) return 1;
    return signals_interrupted() || run->out.parts.status != CLI_OK;
}

/* ---- Rows ---- */

/* With a store, rows that were written directly (to standard output, a pipe) are neither repeated nor taken back. */
static int is_stream(const screen_run *run) {
    return run->wanted->store && !run->wanted->dry_run && !run->wanted->output_dir && !run->out.rows.target;
}

static void note_stream(screen_run *run) {
    if (!is_stream(run) || run->noted_stream) return;
    run->noted_stream = 1;
    say(SAY_NOTE, "%s: rows of inputs done before are not repeated%s",
        run->out.rows.name ? run->out.rows.name : "standard output",
        run->out.resumed
            ? "; those of the input at which the last run ended come again, if it had written some. With -o "
              "FILE or --output-dir each row is there exactly once"
            : "");
}

static int end_file(screen_run *run) {
    ade_screen_file file = ADE_SCREEN_FILE_INIT;
    ade_status      result = ade_screen_get_file(run->screen, &file);
    uint64_t        rows = run->out.file_rows, left = 0;
    double          now = seconds_now();
    int             status, manifest;
    if (result != ADE_OK) return engine_failed(result, NULL);
    if (run->held && file.error && strcmp(run->held, file.error) == 0) { /* said below, with the file's counts */
        free(run->held);
        run->held = NULL;
    }
    say_held(run);
    if (file.skipped) note_stream(run);
    /* From the end of the file before: so the times of all files add up, however many are read at once. */
    file.seconds = file.skipped ? 0 : now - run->last_file_end;
    run->last_file_end = now;
    status = screen_output_file(&run->out, run->screen, &file, &left);
    if (!file.skipped) file.rows = file.status == ADE_OK || file.status == ADE_END ? rows : left; /* what is written */
    manifest = manifest_add_file(run, &file);
    if (status == CLI_OK || file.status != ADE_OK) say_file(run, &file, left);
    if (status == CLI_OK) run->rows_confirmed = run->out.n_rows;
    return status == CLI_OK ? manifest : status;
}

static int take_row(screen_run *run, const ade_screen_row *row) {
    int         regression = run->engine.model_info.problem == ADE_PROBLEM_REGRESSION;
    const char *label = NULL;
    if (row->part != ADE_PART_DELETED) {
        if (!isfinite(row->result.score)) {
            say(SAY_ERROR,
                "%s, PMID %lld, sentence %d: the model's output is not a number; its weights are damaged, or the "
                "precision is too low.",
                row->source, (long long)row->pmid, (int)row->sentence);
            return CLI_FAILED;
        }
        if (!regression) label = ade_model_label(run->engine.model, row->result.label);
    }
    return screen_output_row(&run->out, row, label);
}

/* Writes row after row. CLI_OK when all is read. */
static int fetch_rows(screen_run *run) {
    for (;;) {
        ade_screen_row row = ADE_SCREEN_ROW_INIT;
        ade_status     result = ade_screen_next(run->screen, &row);
        int            status = CLI_OK, file_end = result == ADE_OK && row.part == ADE_PART_FILE;
        if (!file_end) say_held(run);
        if (signals_interrupted() && !file_end) return CLI_INTERRUPTED; /* a file that is done is done */
        if (run->out.parts.status != CLI_OK) return run->out.parts.status;
        if (run->out.rows.status != CLI_OK) return run->out.rows.status;
        if (result == ADE_END) return CLI_OK;
        if (result != ADE_OK) return engine_failed(result, NULL);
        status = file_end ? end_file(run) : take_row(run, &row);
        if (status != CLI_OK) return status;
        if (signals_interrupted()) return CLI_INTERRUPTED;
        update_metrics(run);
    }
}

/* ---- Before and after ---- */

static int usage(const char *format, const char *a, const char *b) {
    say(SAY_ERROR, format, a, b);
    return CLI_USAGE;
}

/* Options that contradict each other. */
static int check_options(const settings *w) {
    static const char *const excludes = "'%s' and '%s' exclude each other.", *const needs = "'%s' needs '%s'.";
    if (w->output && w->output_dir) return usage(excludes, "--output", "--output-dir");
    if (w->dry_run && w->output) return usage(excludes, "--dry-run", "--output");
    if (w->dry_run && w->output_dir) return usage(excludes, "--dry-run", "--output-dir");
    if (w->dry_run && w->parts) return usage(excludes, "--dry-run", "--parts");
    if (w->dry_run && w->metrics_file) return usage(excludes, "--dry-run", "--metrics-file");
    if (w->dry_run && w->abandon_output) return usage(excludes, "--dry-run", "--abandon-output");
    if (!w->store && w->no_store_text) return usage(needs, "--no-store-text", "--state");
    if (!w->prefilter && w->prefilter_recall > 0) return usage(needs, "--prefilter-recall", "--prefilter");
    if (!w->store && w->abandon_output) return usage(needs, "--abandon-output", "--state");
    return CLI_OK;
}

static int add_inputs(screen_run *run) {
    const settings *wanted = run->wanted;
    char            place[512];
    for (size_t i = 0; i < wanted->n_files; i++) {
        ade_status status = ade_screen_add(run->screen, wanted->files[i]);
        if (status == ADE_OK) continue;
        if (manifest_add_refused(run, wanted->files[i], ade_last_error()) != CLI_OK) return CLI_FAILED;
        engine_failed(status, screen_inputs_place(&run->inputs, i, place, sizeof place));
        run->inputs_refused++;
        if (wanted->fail_fast) return CLI_FAILED;
    }
    return run->inputs_refused == wanted->n_files ? CLI_FAILED : CLI_OK;
}

static int open_screen(screen_run *run) {
    const settings     *wanted = run->wanted;
    ade_session_options session;
    ade_screen_options  options = ADE_SCREEN_OPTIONS_INIT;
    double              start = seconds_now();
    ade_status          status;
    engine_session_options(wanted, &session);
    session.progress = on_progress;
    session.progress_user = run;
    session.log = on_log;
    session.log_user = run;
    options.all = wanted->all;
    options.threshold = run->threshold.score;
    options.prevalence = wanted->prevalence;
    options.prefilter = run->prefilter.model;
    options.prefilter_threshold = run->prefilter.point.threshold;
    options.no_section_label = wanted->no_section_label;
    options.keep_going = !wanted->fail_fast;
    options.limit = wanted->limit;
    options.session = &session;
    options.other_abstracts = wanted->other_abstracts;
    options.documents = wanted->document;
    options.file_rows = 1;
    options.dry_run = wanted->dry_run;
    options.no_md5 = wanted->no_md5;
    options.no_store_text = wanted->no_store_text;
    options.store = wanted->store;
    options.drop_failed = wanted->output_dir != NULL; /* as its rows are */
    if (wanted->parts) {
        options.parts = on_part;
        options.parts_user = run;
    }
    status = ade_screen_open(run->engine.model, &options, &run->screen);
    if (status != ADE_OK) return engine_open_failed(status);
    if (run->engine.model) {
        run->engine.session_info = (ade_session_info)ADE_SESSION_INFO_INIT;
        status = ade_screen_get_session_info(run->screen, &run->engine.session_info);
        if (status != ADE_OK) return engine_failed(status, NULL);
    }
    run->engine.seconds_open += seconds_now() - start;
    return add_inputs(run);
}

/* All inputs are known now. The metrics are there first, so that they tell of whatever fails from here on, and of a
 * list of inputs that cannot be read. */
static int prepare(screen_run *run) {
    const settings      *wanted = run->wanted;
    const metrics_values values = {.stats = &run->stats, .running = 1};
    int                  listed = screen_inputs_read(&run->inputs, run->wanted), status;
    if (listed == CLI_OK) listed = engine_check_files(run->wanted, 0);
    if (listed != CLI_OK && listed != CLI_FAILED) return listed;
    status = screen_guard_check(wanted);
    if (status == CLI_OK) status = metrics_open(&run->metrics, wanted->metrics_file, &values);
    return listed == CLI_OK ? status : listed;
}

/* Opens all outputs that can be opened before the store is, so that a bad path fails in the first second. */
static int open_outputs(screen_run *run) {
    const settings *wanted = run->wanted;
    int             status = screen_output_open(&run->out, wanted);
    if (status == CLI_OK && wanted->stats) status = output_open(&run->stats_file, wanted->stats, NULL, 0);
    return status == CLI_OK ? manifest_open(run) : status;
}

static int begin(screen_run *run) {
    int status = open_outputs(run);
    if (status == CLI_OK && !run->wanted->dry_run) status = engine_open_model(&run->engine, run->wanted);
    if (status == CLI_OK && run->engine.model) status = threshold_find(&run->threshold, &run->engine, run->wanted);
    if (status == CLI_OK) status = prefilter_open(&run->prefilter, run->wanted, &run->engine);
    if (status == CLI_OK) status = open_screen(run);
    if (status == CLI_OK) status = screen_output_begin(&run->out, run->screen);
    if (status == CLI_OK && run->out.resumed) {
        say(SAY_NOTE, "goes on with a run that was interrupted; %s says what is done", run->wanted->store);
        note_stream(run);
    }
    return status;
}

/* Completes the outputs, then the store, then what is said of both. */
static int finish(screen_run *run, int status) {
    const settings *wanted = run->wanted;
    int             finished;
    if (status == CLI_OK) {
        finished = screen_output_finish(&run->out, &run->stats);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
        if (finished == CLI_CLOSED) status = CLI_CLOSED; /* seen at the last write only */
    }
    if (status == CLI_OK && !wanted->dry_run) {
        ade_status result = ade_screen_confirm(run->screen);
        if (result != ADE_OK) return engine_failed(result, NULL);
        run->rows_confirmed = run->out.n_rows;
    }
    if (wanted->stats) {
        finished = engine_write_json(&run->stats_file, run_stats_object(run));
        if (finished == CLI_OK) finished = output_finish(&run->stats_file, 1);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    finished = manifest_write(run, status);
    if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    if (status == CLI_OK) say_summary(run);
    if (status == CLI_OK && (run->stats.files_failed + run->inputs_refused > 0 || screen_lacks_outputs(run)))
        status = CLI_PARTIAL;
    return status;
}

/* What an interrupted run leaves, and how to go on. */
static void note_interruption(screen_run *run) {
    settings          *wanted = run->wanted;
    unsigned long long done = run->stats.files_done;
    char              *text = wanted->interrupted;
    size_t             size = sizeof wanted->interrupted;
    if (wanted->dry_run) return;
    if (wanted->store)
        snprintf(text, size, "; %llu file%s done in this run; the same command goes on from there%s", done,
                 done == 1 ? " was" : "s were",
                 is_stream(run)
                     ? ": it does not repeat their rows, and writes those of the file at work again; with -o "
                       "FILE or --output-dir each row is there exactly once"
                     : "");
    else if (wanted->output_dir)
        snprintf(text, size, "; the output%s of %llu file%s complete; with --state the same command would go on",
                 done == 1 ? "" : "s", done, done == 1 ? " is" : "s are");
}

static int run_screen(screen_run *run) {
    int status = begin(run), counted;
    if (status != CLI_OK) return status;
    run->reading = 1;
    run->last_file_end = seconds_now();
    status = fetch_rows(run);
    progress_hide();
    say_held(run);
    counted = get_run_stats(run);
    if (status == CLI_OK && counted != CLI_OK) return counted;
    /* With every file failed there is nothing worth a name. */
    if (status == CLI_OK && run->stats.files_failed > 0 && run->stats.files_failed >= run->stats.files_total)
        status = CLI_FAILED;
    if (status == CLI_OK || status == CLI_CLOSED) return finish(run, status);
    if (status == CLI_INTERRUPTED) note_interruption(run);
    /* The outputs of the files before are complete: what they are is said beside them. */
    if (run->wanted->output_dir && run->manifest_file.fd >= 0) (void)manifest_write(run, status);
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

static void close_run(screen_run *run) {
    output_finish(&run->stats_file, 0); /* what was not finished is not complete */
    output_finish(&run->manifest_file, 0);
    screen_output_close(&run->out);
    ade_screen_close(run->screen);
    prefilter_close(&run->prefilter);
    engine_close(&run->engine);
    metrics_close(&run->metrics);
    json_decref(run->manifest_inputs);
    json_decref(run->manifest_refused);
    free(run->manifest_path);
    free(run->held);
    screen_inputs_free(&run->inputs);
}

int cmd_screen(settings *wanted) {
    const output closed = OUTPUT_CLOSED_INIT;
    screen_run  *run = calloc(1, sizeof *run);
    int          status = check_options(wanted);
    if (!run) status = CLI_FAILED;
    if (status == CLI_OK) {
        run->wanted = wanted;
        if (wanted->prevalence > 0) wanted->calibrated = 1;
        run->threshold.score = wanted->threshold < 0 || wanted->threshold_target != ADE_TARGET_SCORE ? 0.5
                                                                                                   : wanted->threshold;
        run->started = time(NULL);
        run->out.rows = run->out.parts = run->stats_file = run->manifest_file = closed;
        status = prepare(run);
        if (status == CLI_OK) {
            progress_start(wanted->progress, wanted->quiet);
            status = run_screen(run);
            progress_hide();
            if (status == CLI_FAILED || status == CLI_PARTIAL) say_if_texts(wanted);
        }
        write_metrics(run, 0, status);
        close_run(run);
    }
    free(run);
    return status;
}
