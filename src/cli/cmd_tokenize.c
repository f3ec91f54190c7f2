/* SPDX-License-Identifier: Apache-2.0
 * adesieve tokenize: what the model sees of each text. */
#include "commands.h"

#include "engine.h"
#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"
#include "text_run.h"
#include "utf8_check.h"

#include <stdlib.h>
#include <string.h>

typedef struct tokenize_run {
    const settings *wanted;
    engine          engine;
    output          rows;
    text_run        texts;
    ade_token      *tokens; /* (capacity) */
    size_t          capacity;
    uint64_t        n_tokens, unknown, truncated;
    double          seconds_work;
} tokenize_run;

/* Bytes of one text into code points. Offsets mostly grow, and steps back are short, so that it is counted about once. */
typedef struct code_points {
    const ade_text *text;
    size_t          byte, count;
} code_points;

static size_t code_point_at(code_points *cursor, size_t byte) {
    if (byte > cursor->text->size) byte = cursor->text->size;
    if (byte < cursor->byte)
        cursor->count -= utf8_count(cursor->text->data + byte, cursor->byte - byte);
    else
        cursor->count += utf8_count(cursor->text->data + cursor->byte, byte - cursor->byte);
    cursor->byte = byte;
    return cursor->count;
}

static void put_row(tokenize_run *run, const ade_text *text, size_t count, int truncated) {
    bytes      *row = &run->rows.rows;
    code_points cursor = {text, 0, 0};
    put_literal(row, "{\"ids\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_literal(row, ",");
        put_integer(row, run->tokens[i].id);
    }
    put_literal(row, "],\"tokens\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_literal(row, ",");
        put_json_text(row, ade_model_token(run->engine.model, run->tokens[i].id));
    }
    put_literal(row, "],\"offsets\":[");
    for (size_t i = 0; i < count; i++) {
        const ade_token *token = &run->tokens[i];
        put_literal(row, i > 0 ? ",[" : "[");
        if (token->start == 0 && token->end == 0) { /* a frame token: does not move the cursor */
            put_literal(row, "0,0");
        } else {
            put_unsigned(row, code_point_at(&cursor, token->start));
            put_literal(row, ",");
            put_unsigned(row, code_point_at(&cursor, token->end));
        }
        put_literal(row, "]");
    }
    put_literal(row, truncated ? "],\"truncated\":true" : "],\"truncated\":false");
    if (run->wanted->with_text) {
        put_literal(row, ",\"text\":");
        put_json_string(row, text->data, text->size);
    }
    put_literal(row, "}\n");
}

static int reserve_tokens(tokenize_run *run, size_t most) {
    free(run->tokens);
    run->capacity = most;
    run->tokens = calloc(run->capacity, sizeof *run->tokens);
    if (run->tokens) return CLI_OK;
    say(SAY_ERROR, "out of memory for %zu tokens.", run->capacity);
    return CLI_FAILED;
}

/* A baseline, which truncates nothing, may have more tokens than there is room for. */
static ade_status tokenize_text(tokenize_run *run, ade_text text, ade_tokens_info *info) {
    ade_status result;
    info->n_tokens = 0;
    result = ade_tokenize(run->engine.session, text, run->tokens, run->capacity, info);
    if (result != ADE_INVALID_ARGUMENT || info->n_tokens <= run->capacity) return result;
    if (reserve_tokens(run, info->n_tokens) != CLI_OK) return ADE_OUT_OF_MEMORY;
    return ade_tokenize(run->engine.session, text, run->tokens, run->capacity, info);
}

static int handle(void *user, const text_window *window) {
    tokenize_run *run = user;
    double        start = seconds_now();
    int           status = CLI_OK;
    for (size_t i = 0; i < window->count && status == CLI_OK; i++) {
        ade_tokens_info info;
        ade_status      result = tokenize_text(run, window->texts[i], &info);
        char            place[512];
        if (result != ADE_OK) return engine_failed(result, text_run_place(&run->texts, window, i, place, sizeof place));
        put_row(run, &window->texts[i], info.n_tokens, info.truncated);
        run->n_tokens += info.n_tokens;
        run->unknown += (uint64_t)info.unknown;
        run->truncated += info.truncated != 0;
        status = output_row_end(&run->rows);
        if (status == CLI_OK && i % 256 == 0 && text_run_progress(&run->texts, i, window->count))
            status = CLI_INTERRUPTED;
    }
    if (status == CLI_OK && !run->rows.target) status = output_flush(&run->rows);
    run->seconds_work += seconds_now() - start;
    return status;
}

static json_t *stats_object(tokenize_run *run, double seconds_total) {
    json_t *object = engine_stats(&run->engine, "tokenize");
    if (!object) return NULL;
    json_object_update_new(
        object, json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:{s:f, s:f, s:f, s:f}, s:f, s:f}", "inputs",
                          (int)run->texts.inputs, "inputs_failed", (int)run->texts.inputs_failed, "texts",
                          (json_int_t)run->texts.texts, "tokens", (json_int_t)run->n_tokens, "unknown_tokens",
                          (json_int_t)run->unknown, "truncated_texts", (json_int_t)run->truncated, "replaced_utf8",
                          (json_int_t)run->texts.replaced, "seconds", "open", run->engine.seconds_open, "read",
                          run->texts.seconds_read, "tokenize_and_write", run->seconds_work, "total", seconds_total,
                          "texts_per_second", per_second((double)run->texts.texts, run->seconds_work),
                          "tokens_per_second", per_second((double)run->n_tokens, run->seconds_work)));
    return object;
}

static int run_tokenize(tokenize_run *run, settings *wanted, output *stats) {
    ade_session_options options;
    double              start = seconds_now();
    output              none = OUTPUT_CLOSED_INIT;
    int                 status = engine_open_outputs(wanted, &run->rows, stats, &none), finished;
    if (status == CLI_OK) status = engine_open_model(&run->engine, wanted);
    if (status != CLI_OK) return status;
    engine_session_options(wanted, &options);
    options.device = ADE_DEVICE_NONE;
    status = engine_open_session(&run->engine, &options, NULL);
    if (status == CLI_OK) { /* no text has more tokens than the model's maximum: longer ones are truncated */
        int32_t most = run->engine.session_info.max_length;
        status = reserve_tokens(run, most > 3 ? (size_t)most : 3);
    }
    if (status != CLI_OK) return status;
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
    if (run->truncated > 0)
        say(SAY_WARNING, "%llu of %llu texts were longer than %d tokens; their ends were cut off.",
            (unsigned long long)run->truncated, (unsigned long long)run->texts.texts,
            (int)run->engine.session_info.max_length);
    if (run->texts.replaced > 0)
        say(SAY_WARNING, "%llu invalid UTF-8 parts were replaced.", (unsigned long long)run->texts.replaced);
    return status;
}

int cmd_tokenize(settings *wanted) {
    output        closed = OUTPUT_CLOSED_INIT, stats = OUTPUT_CLOSED_INIT;
    tokenize_run *run = calloc(1, sizeof *run);
    int           status = engine_check_files(wanted, 1);
    if (status == CLI_OK && !run) status = CLI_FAILED;
    if (status == CLI_OK) {
        run->wanted = wanted;
        run->rows = closed;
        progress_start(wanted->progress, wanted->quiet);
        status = run_tokenize(run, wanted, &stats);
        progress_hide();
        output_finish(&run->rows, 0); /* what was not finished above is not complete */
        output_finish(&stats, 0);
        engine_close(&run->engine);
        free(run->tokens);
    }
    free(run);
    return status;
}
