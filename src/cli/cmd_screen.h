/* SPDX-License-Identifier: Apache-2.0
 * A run of screen, as its parts see it. */
#ifndef CLI_CMD_SCREEN_H
#define CLI_CMD_SCREEN_H

#include "calibration.h"
#include "engine.h"
#include "metrics_file.h"
#include "prefilter.h"
#include "screen_inputs.h"
#include "screen_output.h"

#include <time.h>

typedef struct screen_run {
    settings        *wanted;
    engine           engine; /* without model in a dry run */
    ade_screen      *screen;
    screen_inputs    inputs;
    screen_output    out;
    output           stats_file, manifest_file;
    char            *manifest_path; /* NULL = none is wanted */
    json_t          *manifest_inputs, *manifest_refused;
    metrics_file     metrics;
    ade_screen_stats stats;
    uint32_t         inputs_refused; /* could not be added */
    uint64_t         rows_confirmed;
    threshold        threshold;
    prefilter        prefilter;
    double           last_file_end;
    time_t           started;
    int              noted_stream; /* said what --state means for an output that cannot be taken back */
    int              reading;      /* 1 once rows are being fetched */
    char            *held;         /* a warning of the library that waits for the row it belongs to */
} screen_run;

/* ---- screen_report.c: what is said ---- */

int     get_run_stats(screen_run *run); /* into run->stats; CLI_OK, or said */
void    say_file(const screen_run *run, const ade_screen_file *file, uint64_t rows_left); /* one line */
void    say_summary(const screen_run *run);
json_t *run_stats_object(const screen_run *run);
/* 1: --abandon-output has left inputs without the output that --output-dir would hold. */
int screen_lacks_outputs(const screen_run *run);
/* What a file gave, for --log-json and the manifest. NULL when out of memory. */
json_t *file_object(const ade_screen_file *file);
json_t *count_object(const ade_screen_stats *s);

/* ---- manifest.c: what was searched ---- */

int manifest_open(screen_run *run);
int manifest_add_file(screen_run *run, const ade_screen_file *file);
int manifest_add_refused(screen_run *run, const char *path, const char *error);
int manifest_write(screen_run *run, int status); /* an exit status, as the run ends with */

#endif
