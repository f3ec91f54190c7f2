/* SPDX-License-Identifier: Apache-2.0
 * What every command does with the library: open the model and the session that the options ask for, and report. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "adesieve.h"
#include "options.h"
#include "output.h"

#include <jansson.h>

typedef struct engine {
    ade_model       *model;
    ade_model_info   model_info;
    ade_session     *session; /* NULL in screen, whose session the library owns */
    ade_session_info session_info;
    double           seconds_open;
} engine;

/* These say what is wrong and return an exit status; engine_close is due in any case. `what` stands before the sentence;
 * NULL = nothing. */
int  engine_open_model(engine *out, const settings *wanted);
int  engine_open_session(engine *out, const ade_session_options *options, const char *what);
void engine_close(engine *out);

/* The options' share of the session's options. */
void engine_session_options(const settings *wanted, ade_session_options *out);

/* Says ade_last_error() with a hint, and returns the exit status for `status`. */
int engine_failed(ade_status status, const char *what);

/* The same when something is opened: an argument that the library refuses then is one of the command line's. */
int engine_open_failed(ade_status status);

/* Checks the inputs of a command: standard input is not read from a terminal unless that is said. CLI_OK or CLI_USAGE.
 * With `from_stdin` a missing FILE means standard input, and settings->files gets it. */
int engine_check_files(settings *wanted, int from_stdin);

/* Opens the outputs that the options name, before any work. Outputs not asked for stay closed. */
int engine_open_outputs(const settings *wanted, output *rows, output *stats, output *parts);

/* Refuses two outputs that would go to the same file; those that are not open are not compared. CLI_OK or CLI_USAGE. */
int engine_check_outputs(output *const *all, size_t count);

/* The part of --stats that all commands share: version, model, device, settings. NULL when out of memory. */
json_t *engine_stats(const engine *used, const char *command);
double  per_second(double count, double seconds);
/* Writes the object and takes it. */
int engine_write_json(output *out, json_t *object);
/* A JSON string of bytes that may not be UTF-8, such as a path. NULL gives null. */
json_t *json_from_text(const char *text);

const char *device_text(int device, int index, char *buffer, size_t size); /* "cpu", "cuda:1", "none" */
const char *precision_text(int precision);

#endif
