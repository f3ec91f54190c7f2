/* SPDX-License-Identifier: Apache-2.0
 * The inside of a session: what session.c opens, and stream.c runs texts through. */
#ifndef ADE_STREAM_H
#define ADE_STREAM_H

#include "baseline.h"
#include "batch.h"
#include "device.h"
#include "session.h"
#include "staging.h"
#include "team.h"
#include "threads.h"

#include <stdatomic.h>

#define ADE_ERROR_TEXT 2048

typedef struct ade_worker {
    ade_tokenizer_scratch *scratch;   /* NULL with a baseline */
    ade_baseline_scratch  *baseline;  /* NULL with another model */
    ade_workspace         *workspace; /* NULL: this worker only tokenizes */
    ade_staging           *staging;
    ade_op_times           times;     /* of its encoder */
    double                 tokenizing, encoding; /* seconds */
    uint64_t               texts, tokens, batches; /* encoded */
    double                 operations;
    float                 *values; /* (2, C), with a baseline: a text's logits and probabilities */
    int32_t               *ids; /* of all texts that this worker tokenized in this piece */
    size_t                 n_ids, ids_capacity;
    ade_status             status; /* first failure in this call */
    size_t                 failed_text; /* in its window; SIZE_MAX when it was no text's fault */
    char                   error[ADE_ERROR_TEXT];
} ade_worker;

typedef struct ade_tokenized { /* one text of the piece */
    const ade_worker *by;
    size_t            at; /* its ids start at by->ids[at] */
    int32_t           unknown, truncated, replaced;
} ade_tokenized;

struct ade_session {
    ade_model           *model;
    ade_session_options  options;
    ade_session_info     info;
    struct ade_prepared *prepared; /* NULL for ADE_DEVICE_NONE, and with a baseline */
    ade_pool            *pool;     /* NULL for ADE_DEVICE_NONE */
    int                  n_workers;
    ade_worker          *workers;
    ade_encode_options   encode;
    atomic_flag          busy; /* catches two threads in one session */
    char                 reason[ADE_DEVICE_REASON]; /* why this device */
    char                 processor[64];             /* with a baseline: its name */
    char                 failure[ADE_ERROR_TEXT];   /* what broke the device for good; "" while it works */

    ade_result *results; /* (n) of an ade_classify */
    float      *values;  /* (2, n, C): logits, then probabilities */
    size_t      results_capacity, values_capacity;
    ade_token  *terms; /* of an ade_tokenize, with a baseline */
    size_t      terms_capacity;

    /* the call in progress */
    const ade_window_source *source;
    ade_window              *last;  /* before the present one: its batches are queued, and some still in flight */
    uint64_t                 total; /* texts that came so far */
    atomic_size_t            texts_done;
    atomic_int               cancel; /* 1: the caller's wish; 2: a worker failed */
    double                   seconds; /* in calls so far */
    double                   asked;  /* when the caller was last asked whether to stop */

    /* the piece in progress: texts [first, first + n) of a window */
    ade_window    *window;
    size_t         first, n;
    ade_tokenized *tokenized; /* (n) */
    int32_t       *lengths;   /* (n) */
    size_t         tokenized_capacity, lengths_capacity;
    ade_batch_plan plan;
    atomic_size_t  next_text, next_batch;
    ade_team       team; /* while workers share batches */
};

/* ade__session_stream for a session that the caller has to itself, on a device that has not failed. */
ade_status ade__stream_run(ade_session *session, const ade_window_source *source);

#endif
