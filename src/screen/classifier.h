/* SPDX-License-Identifier: Apache-2.0
 * The middle of a screening run: a thread that takes chunks in order, decides which records need screening, gathers
 * their sentences into windows, and has the session classify window after window. Finished windows wait in a bounded
 * queue for the caller's thread. */
#ifndef ADE_CLASSIFIER_H
#define ADE_CLASSIFIER_H

#include "adesieve.h"
#include "baseline.h"
#include "chunk.h"
#include "inputs.h"
#include "known.h"
#include "reader.h"
#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADE_SCREENED_CHUNKS 16

/* Chunks, and what the model says of their texts: sentence s has results[s.slot] and so on. */
typedef struct ade_screened {
    ade_window           window; /* first: the session gives this pointer back */
    struct ade_screened *next;
    bool                 done;
    ade_chunk           *chunks[ADE_SCREENED_CHUNKS];
    size_t               n_chunks;
    ade_text            *texts;
    size_t               n_texts;
    size_t               texts_capacity, results_capacity, logits_capacity, probabilities_capacity;
} ade_screened;

typedef struct ade_classifier_options {
    ade_session      *session; /* NULL: a dry run, nothing is classified */
    size_t            n_labels;
    ade_reader       *reader;
    ade_known        *known;
    const ade_inputs *inputs;
    const ade_model  *prefilter;    /* a baseline, which sees each sentence before the session does; NULL = none */
    double            prefilter_threshold; /* a sentence of a lower score goes no further */
    size_t            window_texts; /* a window takes no further chunk once it has as many */
    uint64_t          limit;        /* records; 0 = none */
    bool              whole_files;  /* the limit takes effect at the end of a file */
    bool              drop_failed;  /* a file that fails has said nothing */
} ade_classifier_options;

typedef struct ade_classifier ade_classifier;

/* Starts the thread. ADE_OUT_OF_MEMORY, ADE_IO (no thread to be had). */
ade_status ade__classifier_start(const ade_classifier_options *options, ade_classifier **out);

/* The next window, in order, which the caller gives back. NULL: `milliseconds` have passed, or *over is set: nothing
 * more will come, and ade__classifier_status says why. */
ade_screened *ade__classifier_next(ade_classifier *classifier, int milliseconds, bool *over);
void          ade__classifier_give_back(ade_classifier *classifier, ade_screened *window);

/* ADE_END when all is read; else the failure, with its text. */
ade_status ade__classifier_status(const ade_classifier *classifier);

/* Whether it ended because of the limit, with files or records left. To be asked when it is over. */
bool ade__classifier_limited(const ade_classifier *classifier);

/* Seconds that the session has worked, and that it had nothing to do because reading was not fast enough. */
void ade__classifier_seconds(ade_classifier *classifier, double *working, double *starved);

/* Joins the thread, which must have been told to stop (ade__reader_stop, and the session's progress callback), and
 * frees all. NULL is fine. */
void ade__classifier_free(ade_classifier *classifier);

#endif
