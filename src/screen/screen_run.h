/* SPDX-License-Identifier: Apache-2.0
 * A run's own struct, shared by screen.c (its life) and delivery.c (its rows). */
#ifndef ADE_SCREEN_RUN_H
#define ADE_SCREEN_RUN_H

#include "adesieve.h"
#include "classifier.h"
#include "inputs.h"
#include "known.h"
#include "log.h"
#include "outcomes.h"
#include "reader.h"
#include "state.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct ade_pending_file { /* read to its end, and not confirmed yet */
    ade_outcomes    outcomes;
    size_t          file; /* index into the inputs */
    char            md5[ADE_MD5_TEXT];
    ade_screen_file counts;
} ade_pending_file;

struct ade_screen {
    ade_model         *model;   /* held by the session */
    ade_session       *session; /* NULL in a dry run */
    int32_t            n_labels;
    bool               regression;
    ade_screen_options options; /* pointers in it are not kept, but for the parts callback and the prefilter, which is
                                   held unless it is NULL */
    double             threshold;
    ade_progress_fn    progress;
    void              *progress_user;
    ade_log            log;
    int                threads;
    bool               drop_failed;
    atomic_int         cancelled; /* the progress callback asked for it, or the run is being closed */
    atomic_flag        busy;      /* catches two threads in one screen, and its own callbacks */
    pid_t              owner;     /* the process that has the threads */

    ade_state      *state; /* NULL = no store */
    char           *note;  /* set by the caller; NULL = as it was */
    bool            finished; /* the store knows that the run is complete */
    ade_inputs      inputs;
    ade_state_file *done; /* (files), with a store: what it says of those that are done */
    uint64_t        bytes_total;
    ade_known      *known;
    ade_reader     *reader; /* these two: NULL before the first and after the last row */
    ade_classifier *classifier;
    bool            started;
    ade_status      over; /* what every further call returns, with its text */
    char            over_text[2048];
    double          began, ended;

    /* Where the delivery stands. */
    ade_screened    *window;
    size_t           chunk, record, part, sentence; /* chunk of the window, record of the chunk, the others of the record */
    bool             chunk_entered, record_entered;
    int32_t          best; /* of the record that was entered: the sentence with the highest score, -1 for none */
    size_t           file; /* the files before this one have been told of */
    float           *scores; /* of the record's sentences, scratch */
    size_t           scores_capacity;
    uint64_t         bytes_of_files; /* read, of the files that ended */
    ade_screen_stats stats, at_file; /* now; when the present file began */
    double           file_began;
    enum { NO_ROW, ROW_OF_OPEN_FILE, ROW_OF_ENDED_FILE } row_from; /* the last row */
    size_t           row_file; /* of an open one: which */
    ade_screen_file  shown;    /* the one that ended last */
    char             shown_md5[ADE_MD5_TEXT];
    char             shown_error[2048];

    ade_outcomes      outcomes; /* of the present file */
    ade_pending_file *pending;
    size_t            n_pending, pending_capacity;
};

/* The next row, from a run that has been started. ADE_END and other ends are those of the classifier; ADE_CANCELLED. */
ade_status ade__deliver(ade_screen *screen, ade_screen_row *row);

/* What is said of the present file, as of now. */
ade_screen_file ade__screen_file_so_far(const ade_screen *screen, size_t file);

/* Asks the caller whether to go on. */
bool ade__screen_cancelled(ade_screen *screen);

#endif
