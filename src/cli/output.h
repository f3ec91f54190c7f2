/* SPDX-License-Identifier: Apache-2.0
 * Where rows go. A regular file is written under a temporary name in the same folder and gets its own name when it is
 * complete and on the disk; anything else (standard output, a pipe, a device) is written directly, whole rows at a
 * time. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "rows.h"

typedef struct output {
    bytes       rows;   /* append to this, then call output_row_end */
    const char *name;   /* as the user gave it; NULL = standard output */
    char       *target; /* the final name; NULL when written directly */
    char       *temporary;
    int         fd;
    int         close_fd;
    int         line_wise; /* a terminal: every row is shown at once */
    int         status;    /* CLI_OK, or why writing stopped; the reason has been said */
    double      last_flush;
} output;

#define OUTPUT_CLOSED_INIT                                                                                             \
    { {0}, 0, 0, 0, -1, 0, 0, 0, 0 }

/* Opens `path`; NULL or "-" is standard output. `inputs` are the files that are read and must not be written: a NULL
 * `inputs` has none. All failures of this module are said on standard error; it returns CLI_OK, CLI_FAILED,
 * CLI_INTERRUPTED or CLI_CLOSED. */
int output_open(output *out, const char *path, const char *const *inputs, size_t n_inputs);

/* Whether two opened outputs would write the same file. */
int output_same(const output *a, const output *b);

int output_row_end(output *out);      /* the buffer holds whole rows now: writes it when it is large */
int output_flush(output *out);        /* writes what is buffered */
int output_flush_if_old(output *out); /* the same when the last write was half a second ago */

/* Ends the output: complete != 0 writes, syncs, renames and closes; else a temporary file is removed, and what is
 * written directly keeps the rows so far. Can be called on an output that was never opened (OUTPUT_CLOSED_INIT). */
int output_finish(output *out, int complete);

#endif
