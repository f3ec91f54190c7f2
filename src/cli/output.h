/* SPDX-License-Identifier: Apache-2.0
 * Where rows go. A regular file is written under a temporary name in the same folder and gets its own name when it is
 * complete and on the disk; anything else (standard output, a pipe, a device) is written directly, whole rows at a
 * time.
 *
 * An output that a later run can go on with has a temporary name that this run finds again, and marks: what is written
 * up to a mark is safe, what comes behind it can be taken back. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "rows.h"

#include <stdint.h>

typedef struct output {
    bytes       rows;   /* append to this, then call output_row_end */
    const char *name;   /* as the user gave it; NULL = standard output */
    char       *target; /* the final name; NULL when written directly */
    char       *temporary;
    int         fd;
    int         close_fd;
    int         line_wise;  /* a terminal: every row is shown at once */
    int         status;     /* CLI_OK, or why writing stopped; the reason has been said */
    int         repeatable; /* it has a partial's name: the same command goes on with it, or writes it again */
    int         keep;       /* 1: the temporary file stays when the output is not completed */
    double      last_flush;
    uint64_t    written, marked; /* bytes of the file; of these up to the last mark */
} output;

#define OUTPUT_CLOSED_INIT                                                                                             \
    { {0}, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Opens `path`; NULL or "-" is standard output. `inputs` are the files that are read and must not be written: a NULL
 * `inputs` has none. All failures of this module are said on standard error; it returns CLI_OK, CLI_FAILED,
 * CLI_INTERRUPTED or CLI_CLOSED. */
int output_open(output *out, const char *path, const char *const *inputs, size_t n_inputs);

/* The same, but a regular file's temporary name is `partial`, in the same folder; what a file of this name holds stays
 * until output_restart. Only one process at a time has it. */
int output_open_partial(output *out, const char *path, const char *partial, const char *const *inputs, size_t n_inputs);

/* Such a name: hidden, as long as a file name may be, the same for the same target and `owner` (a path; NULL = none).
 */
char *output_partial_name(const char *target, const char *owner);

/* What output_open would write in the end: the path without links, also of a file that is not there; the name of a pipe
 * or device; or "-". NULL with errno. */
char *output_identity(const char *path);

/* Begins at byte `position` of the temporary file; what is behind it goes. */
int output_restart(output *out, uint64_t position);

int output_mark(output *out);      /* writes what is buffered; from here on it can be taken back */
int output_sync(output *out);      /* the same, and waits until it is on the disk */
int output_take_back(output *out); /* to the last mark; what was written directly stays */

/* A short check sum of the last 4 KiB before `position` in the file at `path`, to tell whether they are ours; -1 with
 * errno, also if there are fewer bytes. It finds a file that is another one or was cut; a change further up in it goes
 * unseen, as whole files of many gigabytes would be read again at each input's end. */
int output_tail(const char *path, uint64_t position, char sum[17]);

/* Whether two opened outputs would write the same file. */
int output_same(const output *a, const output *b);

int output_row_end(output *out);      /* the buffer holds whole rows now: writes it when it is large */
int output_flush(output *out);        /* writes what is buffered */
int output_flush_if_old(output *out); /* the same when the last write was half a second ago */

/* Ends the output: complete != 0 writes, syncs, renames and closes; else a temporary file is removed (unless `keep`),
 * and what is written directly keeps the rows so far. Can be called on an output that was never opened
 * (OUTPUT_CLOSED_INIT). */
int output_finish(output *out, int complete);

#endif
