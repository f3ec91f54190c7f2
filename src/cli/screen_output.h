/* SPDX-License-Identifier: Apache-2.0
 * Where the rows and parts of screen go, and what of them is safe: one stream or a file for each input; with a store,
 * a run that was killed is gone on with so that the outputs are those of a run that was not. */
#ifndef CLI_SCREEN_OUTPUT_H
#define CLI_SCREEN_OUTPUT_H

#include "adesieve.h"
#include "options.h"
#include "output.h"
#include "screen_rows.h"

#include <stdint.h>
#include <time.h>

/* An output file that is complete. */
typedef struct written_file {
    char    *path;
    uint64_t bytes;
    int64_t  rows; /* -1: not counted, in this run at least */
} written_file;

typedef struct screen_output {
    const settings *wanted;
    ade_screen     *screen;
    row_shape       shape;
    output          rows, parts;
    int             none;                      /* a dry run: nothing is written */
    char           *store_path;                /* the store's, without links; NULL = no store */
    int             resumed;                   /* goes on with the outputs of an interrupted run */
    time_t          began;                     /* when that one began, or this one; 0 = not known */
    int64_t         rows_before;               /* that it had written; -1 = not known */
    int             noted;                     /* the store knows our outputs: they are kept if the run ends early */
    int             untouched;                 /* nothing was new, so that the file that was there has stayed */
    char           *source;                    /* the input whose own output is open; NULL = none */
    uint64_t        n_rows, n_deletions;       /* written and not taken back; deletions are rows, too */
    uint64_t        file_rows, file_deletions; /* of these, of the file at work */
    written_file   *files;
    size_t          n_files, capacity;
    uint64_t        outputs_missing; /* skipped inputs whose own output is not there */
    char           *kept;            /* of an input that failed: its own output of an earlier run; NULL = none */
} screen_output;

/* All functions say what is wrong and return an exit status (exit_status.h). screen_output_close is due in any case. */

/* The file `name` in the folder of --output-dir. NULL when out of memory. */
char *screen_output_path(const settings *wanted, const char *name);

/* Opens what can be opened, looks at the rest, makes the folder. `wanted` has all inputs, and is checked
 * (screen_guard.h). */
int screen_output_open(screen_output *out, const settings *wanted);

/* Before the first row: goes on with the outputs of an interrupted run that the store tells of, or begins them. */
int screen_output_begin(screen_output *out, ade_screen *screen);

int  screen_output_row(screen_output *out, const ade_screen_row *row, const char *label);
void screen_output_part(screen_output *out, const ade_screen_part *part); /* a failure stays in parts.status */

/* At the end of an input: its rows are made safe and told to the store, or taken back if it failed. *left is the number
 * of its rows that could not be taken back. */
int screen_output_file(screen_output *out, ade_screen *screen, const ade_screen_file *file, uint64_t *left);

/* At the end of all: completes the outputs. */
int screen_output_finish(screen_output *out, const ade_screen_stats *stats);

/* Abandons what is not complete; what the store knows of stays for the next run. */
void screen_output_close(screen_output *out);

#endif
