/* SPDX-License-Identifier: Apache-2.0
 * Runs over the texts of all inputs, window by window: what classify and tokenize share. */
#include "text_run.h"

#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The first window is small, so that the first rows come soon; later ones are large enough to sort by length well. */
enum { FIRST_TEXTS = 512, MOST_TEXTS = 16384, MOST_BYTES = 16 << 20 };

static const char *shown(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

const char *text_run_place(const text_run *run, const text_window *window, size_t index, char *buffer, size_t size) {
    const struct text_place *place = &window->places[index];
    snprintf(buffer, size, "%s, line %llu", shown(run->wanted->files[place->input]), (unsigned long long)place->line);
    return buffer;
}

void text_run_say_place(const text_run *run, const text_window *window, const char *error) {
    const char        *name = error ? strstr(error, "text ") : NULL;
    unsigned long long at = 0;
    char               place[512];
    if (!name || sscanf(name, "text %llu", &at) != 1 || at >= window->count) return;
    say(SAY_HINT, "text %llu is %s", at, text_run_place(run, window, (size_t)at, place, sizeof place));
}

int text_run_progress(void *user, uint64_t done, uint64_t total) {
    text_run *run = user;
    double    fraction = -1;
    if (run->total_bytes > 0 && total > 0)
        fraction = run->window_from + (run->window_to - run->window_from) * (double)done / (double)total;
    progress_update(run->texts + done, "texts", fraction);
    return signals_interrupted();
}

/* Bytes of all inputs as stored; 0 when one of them is not a regular file. */
static double total_bytes(const settings *wanted) {
    double total = 0;
    for (size_t i = 0; i < wanted->n_files; i++) {
        struct stat info;
        if (strcmp(wanted->files[i], "-") == 0) return 0;
        if (stat(wanted->files[i], &info) != 0) continue; /* said when it is opened */
        if (!S_ISREG(info.st_mode)) return 0;
        total += (double)info.st_size;
    }
    return total;
}

static int handle_window(text_run *run, text_window *window, uint64_t position, window_fn handle, void *user) {
    int status;
    if (window->count == 0) return CLI_OK;
    text_window_finish(window);
    if (run->total_bytes > 0) run->window_to = (run->bytes_before + (double)position) / run->total_bytes;
    status = handle(user, window);
    run->window_from = run->window_to;
    if (status != CLI_OK) return status;
    run->texts += window->count;
    for (size_t i = 0; i < window->count; i++) run->replaced += window->places[i].replaced;
    text_window_clear(window);
    progress_update(run->texts, "texts", run->total_bytes > 0 ? run->window_to : -1); /* short calls do not ask */
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

static void say_problem(const char *path, const texts_problem *problem, uint64_t texts_read) {
    char place[64] = "";
    if (texts_read == 1)
        snprintf(place, sizeof place, " Its first text was read.");
    else if (texts_read > 1)
        snprintf(place, sizeof place, " Its first %llu texts were read.", (unsigned long long)texts_read);
    if (strncmp(problem->error, "line ", 5) == 0)
        say(SAY_ERROR, "%s, %s%s", shown(path), problem->error, place);
    else
        say(SAY_ERROR, "%s: %s%s", shown(path), problem->error, place);
    if (problem->hint[0]) say(SAY_HINT, "%s", problem->hint);
}

int text_run_all(text_run *run, const settings *wanted, const char *label_field, window_fn handle, void *user) {
    text_window window = {0};
    size_t      max_texts = FIRST_TEXTS;
    int         status = CLI_OK;
    memset(run, 0, sizeof *run);
    run->wanted = wanted;
    run->inputs = (uint32_t)wanted->n_files;
    run->total_bytes = total_bytes(wanted);
    for (uint32_t i = 0; i < run->inputs && status == CLI_OK; i++) {
        const char   *path = wanted->files[i];
        texts_options options = {TEXTS_LINES, wanted->text_field, label_field, wanted->invalid_utf8, 0};
        texts_problem problem;
        texts_result  result = TEXTS_FULL;
        texts        *in;
        uint64_t      texts_before = run->texts + window.count;
        options.format = wanted->input_format >= 0 ? (texts_format)wanted->input_format : texts_format_of_name(path);
        if (wanted->input_format < 0 && options.format == TEXTS_LINES) options.format = TEXTS_PROBABLY_LINES;
        in = texts_open(path, &options, i, &problem);
        if (!in) result = TEXTS_ERROR;
        if (!in && signals_interrupted()) status = CLI_INTERRUPTED; /* a named pipe keeps open() waiting */
        while (status == CLI_OK && (result == TEXTS_FULL || result == TEXTS_WAITING)) {
            double start = seconds_now();
            result = texts_fill(in, &window, max_texts, MOST_BYTES, &problem);
            run->seconds_read += seconds_now() - start;
            if (result == TEXTS_INTERRUPTED) status = CLI_INTERRUPTED;
            if (result == TEXTS_FULL || result == TEXTS_WAITING) {
                if (result == TEXTS_FULL && max_texts < MOST_TEXTS) max_texts *= 2;
                status = handle_window(run, &window, texts_position(in), handle, user);
            }
        }
        if (in) run->bytes_before += (double)texts_position(in);
        texts_close(in);
        if (status == CLI_OK && result == TEXTS_ERROR) {
            say_problem(path, &problem, run->texts + window.count - texts_before);
            run->inputs_failed++;
            if (wanted->fail_fast) break;
        }
    }
    run->window_to = 1;
    if (status == CLI_OK) status = handle_window(run, &window, 0, handle, user);
    text_window_free(&window);
    if (status != CLI_OK || run->inputs_failed == 0) return status;
    return wanted->fail_fast || run->inputs_failed == run->inputs ? CLI_FAILED : CLI_PARTIAL;
}

void text_run_say_unwritten(const text_run *run, const output *rows, int status) {
    if (status == CLI_FAILED && run->texts > 0 && run->inputs_failed > 0 && rows->target)
        say(SAY_HINT, "no output was written to %s", rows->name);
}
