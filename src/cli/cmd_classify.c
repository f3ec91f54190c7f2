/* SPDX-License-Identifier: Apache-2.0
 * adesieve classify: one row a text, in input order. */
#include "commands.h"

#include "calibration.h"
#include "engine.h"
#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "stage_times.h"
#include "text_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct classify_run {
    const settings *wanted;
    engine          engine;
    output          rows;
    text_run        texts;
    ade_result     *results;                /* (capacity) */
    float          *logits, *probabilities; /* (capacity, C) */
    size_t          capacity;
    uint64_t        tokens, unknown, truncated;
    uint64_t       *per_label; /* (C) */
    double          seconds_classify, seconds_write;
    int             with_hit; /* --threshold */
    threshold       threshold;
    uint64_t        hits;
    double         *calibrated; /* (capacity), --calibrated */
} classify_run;

static int reserve(classify_run *run, size_t count) {
    size_t      labels = (size_t)run->engine.model_info.n_labels;
    ade_result *results;
    float      *values;
    double     *calibrated;
    if (count <= run->capacity) return CLI_OK;
    results = realloc(run->results, count * sizeof *results);
    if (results) run->results = results;
    values = results ? realloc(run->logits, count * labels * sizeof *values) : NULL;
    if (values) run->logits = values;
    values = values ? realloc(run->probabilities, count * labels * sizeof *values) : NULL;
    if (values) run->probabilities = values;
    calibrated = values ? realloc(run->calibrated, count * sizeof *calibrated) : NULL;
    if (!calibrated) {
        say(SAY_ERROR, "out of memory for the results of %zu texts.", count);
        return CLI_FAILED;
    }
    run->calibrated = calibrated;
    run->capacity = count;
    return CLI_OK;
}

static void put_values(bytes *row, const float *values, size_t count) {
    put_literal(row, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_literal(row, ",");
        put_float(row, values[i]);
    }
    put_literal(row, "]");
}

static int is_hit(const classify_run *run, size_t index) {
    return run->results[index].score >= (float)run->threshold.score; /* a score that was copied reaches itself */
}

static void put_header(classify_run *run) {
    static const char *const names[] = {"label", "score", "calibrated", "hit", "text"};
    const row_format         format = (row_format)run->wanted->format;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && format != ROWS_JSONL; i++) {
        if ((i == 2 && !run->wanted->calibrated) || (i == 3 && !run->with_hit)) continue;
        if (i > 0) put_separator(&run->rows.rows, format);
        put_literal(&run->rows.rows, names[i]);
        if (i == 4) put_literal(&run->rows.rows, "\n");
    }
}

static void put_row(classify_run *run, const ade_text *text, size_t index) {
    const ade_model_info *info = &run->engine.model_info;
    const ade_result     *result = &run->results[index];
    size_t                labels = (size_t)info->n_labels;
    const float          *logits = run->logits + index * labels, *scores = run->probabilities + index * labels;
    bytes                *row = &run->rows.rows;
    row_format            format = (row_format)run->wanted->format;
    const char           *label = NULL; /* a regression model has none */
    if (info->problem != ADE_PROBLEM_REGRESSION) label = ade_model_label(run->engine.model, result->label);
    if (format != ROWS_JSONL) {
        if (label) put_field(row, format, label, strlen(label));
        put_separator(row, format);
        put_float(row, result->score);
        put_separator(row, format);
        if (run->wanted->calibrated) {
            put_double(row, run->calibrated[index]);
            put_separator(row, format);
        }
        if (run->with_hit) {
            put_literal(row, is_hit(run, index) ? "true" : "false");
            put_separator(row, format);
        }
        put_field(row, format, text->data, text->size);
        put_literal(row, "\n");
        return;
    }
    put_literal(row, "{\"label\":");
    put_json_text(row, label);
    put_literal(row, ",\"score\":");
    put_float(row, result->score);
    if (run->wanted->calibrated) {
        put_literal(row, ",\"calibrated\":");
        put_double(row, run->calibrated[index]);
    }
    if (run->with_hit) put_literal(row, is_hit(run, index) ? ",\"hit\":true" : ",\"hit\":false");
    put_literal(row, ",\"scores\":{");
    for (size_t i = 0; i < labels; i++) {
        if (i > 0) put_literal(row, ",");
        put_json_text(row, ade_model_label(run->engine.model, (int32_t)i));
        put_literal(row, ":");
        put_float(row, scores[i]);
    }
    put_literal(row, "},\"logits\":");
    put_values(row, logits, labels);
    put_literal(row, ",\"tokens\":");
    put_integer(row, result->tokens);
    put_literal(row, ",\"unknown\":");
    put_integer(row, result->unknown);
    put_literal(row, result->truncated ? ",\"truncated\":true" : ",\"truncated\":false");
    if (run->wanted->with_text) {
        put_literal(row, ",\"text\":");
        put_json_string(row, text->data, text->size);
    }
    put_literal(row, "}\n");
}

static int all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

static int handle(void *user, const text_window *window) {
    classify_run *run = user;
    size_t        labels = (size_t)run->engine.model_info.n_labels;
    double        start = seconds_now();
    int           status = reserve(run, window->count);
    ade_status    result;
    char          place[512];
    if (status != CLI_OK) return status;
    result =
        ade_classify(run->engine.session, window->texts, window->count, run->results, run->logits, run->probabilities);
    if (result != ADE_OK) {
        status = engine_failed(result, NULL);
        if (status == CLI_FAILED) text_run_say_place(&run->texts, window, ade_last_error());
        return status;
    }
    run->seconds_classify += seconds_now() - start;
    start = seconds_now();
    for (size_t i = 0; i < window->count; i++) {
        const ade_result *one = &run->results[i];
        if (all_finite(run->logits + i * labels, labels) && all_finite(run->probabilities + i * labels, labels) &&
            isfinite(one->score))
            continue;
        say(SAY_ERROR, "%s: the model's output is not a number; its weights are damaged, or the precision is too low.",
            text_run_place(&run->texts, window, i, place, sizeof place));
        return CLI_FAILED;
    }
    if (run->wanted->calibrated)
        result = ade_calibrate(run->engine.model, run->logits, window->count, run->wanted->prevalence, run->calibrated);
    if (result != ADE_OK) return engine_failed(result, NULL);
    for (size_t i = 0; i < window->count && status == CLI_OK; i++) {
        const ade_result *one = &run->results[i];
        put_row(run, &window->texts[i], i);
        run->hits += run->with_hit && is_hit(run, i);
        run->tokens += (uint64_t)one->tokens;
        run->unknown += (uint64_t)one->unknown;
        run->truncated += one->truncated != 0;
        if (one->label >= 0 && (size_t)one->label < labels) run->per_label[one->label]++;
        status = output_row_end(&run->rows);
    }
    if (status == CLI_OK && !run->rows.target) status = output_flush(&run->rows);
    run->seconds_write += seconds_now() - start;
    return status;
}

static json_t *stats_object(classify_run *run, double seconds_total) {
    json_t *object = engine_stats(&run->engine, "classify");
    json_t *counts = object ? json_object() : NULL;
    if (!counts) {
        json_decref(object);
        return NULL;
    }
    if (run->engine.model_info.problem != ADE_PROBLEM_REGRESSION)
        for (int32_t i = 0; i < run->engine.model_info.n_labels; i++)
            json_object_set_new(counts, ade_model_label(run->engine.model, i),
                                json_integer((json_int_t)run->per_label[i]));
    json_object_update_new(
        object,
        json_pack("{s:i, s:i, s:I, s:o, s:I, s:I, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}, s:f, s:f}", "inputs",
                  (int)run->texts.inputs, "inputs_failed", (int)run->texts.inputs_failed, "texts",
                  (json_int_t)run->texts.texts, "labels", counts, "tokens", (json_int_t)run->tokens, "unknown_tokens",
                  (json_int_t)run->unknown, "truncated_texts", (json_int_t)run->truncated, "replaced_utf8",
                  (json_int_t)run->texts.replaced, "seconds", "open", run->engine.seconds_open, "read",
                  run->texts.seconds_read, "classify", run->seconds_classify, "write", run->seconds_write, "total",
                  seconds_total, "texts_per_second", per_second((double)run->texts.texts, run->seconds_classify),
                  "tokens_per_second", per_second((double)run->tokens, run->seconds_classify)));
    if (run->with_hit) json_object_set_new(object, "hits", json_integer((json_int_t)run->hits));
    json_object_update_new(object, threshold_object(run->with_hit ? &run->threshold : NULL, run->wanted));
    json_object_set_new(object, "profile", profile_of_run(&run->engine, NULL));
    return object;
}

static void say_counts(const classify_run *run) {
    if (run->truncated > 0)
        say(SAY_WARNING, "%llu of %llu texts were longer than %d tokens; their ends were cut off.",
            (unsigned long long)run->truncated, (unsigned long long)run->texts.texts,
            (int)run->engine.session_info.max_length);
    if (run->texts.replaced > 0)
        say(SAY_WARNING, "%llu invalid UTF-8 parts were replaced.", (unsigned long long)run->texts.replaced);
}

static int run_classify(classify_run *run, settings *wanted, output *stats) {
    ade_session_options options;
    double              start = seconds_now();
    output              none = OUTPUT_CLOSED_INIT;
    int                 status = engine_open_outputs(wanted, &run->rows, stats, &none), finished;
    if (status == CLI_OK) status = engine_open_model(&run->engine, wanted);
    run->with_hit = wanted->threshold >= 0;
    if (status == CLI_OK) status = threshold_find(&run->threshold, &run->engine, wanted);
    if (status != CLI_OK) return status;
    engine_session_options(wanted, &options);
    options.progress = text_run_progress;
    options.progress_user = &run->texts;
    status = engine_open_session(&run->engine, &options, NULL);
    if (status != CLI_OK) return status;
    run->per_label = calloc((size_t)run->engine.model_info.n_labels, sizeof *run->per_label);
    if (!run->per_label) {
        say(SAY_ERROR, "out of memory.");
        return CLI_FAILED;
    }
    put_header(run);
    status = text_run_all(&run->texts, wanted, NULL, handle, run);
    progress_hide();
    text_run_say_unwritten(&run->texts, &run->rows, status);
    if (status != CLI_OK && status != CLI_PARTIAL && status != CLI_CLOSED) return status;
    finished = output_finish(&run->rows, status != CLI_CLOSED);
    if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    if (finished == CLI_CLOSED) status = CLI_CLOSED; /* seen at the last write only */
    if (wanted->stats) {
        finished = engine_write_json(stats, stats_object(run, seconds_now() - start));
        if (finished == CLI_OK) finished = output_finish(stats, 1);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    say_counts(run);
    return status;
}

int cmd_classify(settings *wanted) {
    output        closed = OUTPUT_CLOSED_INIT, stats = OUTPUT_CLOSED_INIT;
    classify_run *run = calloc(1, sizeof *run);
    int           status = engine_check_files(wanted, 1);
    if (status == CLI_OK && !run) status = CLI_FAILED;
    if (status == CLI_OK) {
        run->wanted = wanted;
        run->rows = closed;
        progress_start(wanted->progress, wanted->quiet);
        status = run_classify(run, wanted, &stats);
        progress_hide();
        output_finish(&run->rows, 0); /* what was not finished above is not complete */
        output_finish(&stats, 0);
        engine_close(&run->engine);
        free(run->results);
        free(run->logits);
        free(run->probabilities);
        free(run->calibrated);
        free(run->per_label);
    }
    free(run);
    return status;
}
