/* SPDX-License-Identifier: Apache-2.0
 * Runs over the texts of all inputs, window by window: what classify and tokenize share. */
#ifndef CLI_TEXT_RUN_H
#define CLI_TEXT_RUN_H

#include "options.h"
#include "output.h"
#include "texts.h"

typedef struct text_run {
    const settings *wanted;
    uint64_t        texts, replaced; /* so far, without the window at work */
    uint32_t        inputs, inputs_failed;
    double          seconds_read;
    /* for progress: all windows lie between these shares of the input */
    double window_from, window_to;
    double total_bytes;  /* 0 = not known */
    double bytes_before; /* of the inputs that are done */
} text_run;

/* Handles the texts of one window; returns CLI_OK or what ends the run. */
typedef int (*window_fn)(void *user, const text_window *window);

/* Reads all inputs and calls `handle` for each window; `label_field` names the column of labels (NULL: not read). Inputs that fail are named, and the run goes on unless
 * fail_fast. Returns CLI_OK, CLI_PARTIAL, CLI_FAILED (all inputs failed, or the first with fail_fast), CLI_INTERRUPTED,
 * or what `handle` returned. */
int text_run_all(text_run *run, const settings *wanted, const char *label_field, window_fn handle, void *user);

/* Says that `rows`, when it is a regular file, was not made, if texts were read before the inputs' failure. */
void text_run_say_unwritten(const text_run *run, const output *rows, int status);

/* An ade_progress_fn whose user is the text_run. */
int text_run_progress(void *user, uint64_t done, uint64_t total);

/* Where text number `index` of the window came from: "FILE, line N". */
const char *text_run_place(const text_run *run, const text_window *window, size_t index, char *buffer, size_t size);

/* Says where the text came from that `error` names, a sentence of the library about the texts of this window: it counts
 * them, "text 2: ..", from 0. Says nothing where it names none. */
void text_run_say_place(const text_run *run, const text_window *window, const char *error);

#endif
