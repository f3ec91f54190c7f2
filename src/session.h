/* SPDX-License-Identifier: Apache-2.0
 * One request from texts to results: tokenize -> batch -> encode -> scatter, on a pool of worker threads. Semantics of
 * every function: adesieve.h. */
#ifndef ADE_SESSION_H
#define ADE_SESSION_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>

ade_status ade__session_open(ade_model *model, const ade_session_options *options, ade_session **out);
void       ade__session_close(ade_session *session);
ade_status ade__session_get_info(const ade_session *session, ade_session_info *info);
ade_status ade__session_classify(ade_session *session, const ade_text *texts, size_t n_texts, ade_result *results,
                                 float *logits, float *probabilities);
ade_status ade__session_tokenize(ade_session *session, ade_text text, ade_token *tokens, size_t capacity,
                                 ade_tokens_info *info);
ade_status ade__session_encode(ade_session *session, const ade_text *texts, size_t n_texts, int32_t *ids,
                               size_t capacity, size_t *row_starts, size_t *n_ids);


/* ---- Many windows, one after another, without letting the device run dry between them --------------------------- */

/* Texts and where their results go; the arrays may be NULL where they are not wanted. */
typedef struct ade_window {
    const ade_text *texts;
    size_t          n;             /* at least 1 */
    ade_result     *results;       /* (n) */
    float          *logits;        /* (n, C) */
    float          *probabilities; /* (n, C) */
} ade_window;

typedef struct ade_window_source {
    /* Gives the next window, or NULL. With `wait` it waits for one, and NULL means that there will be no more; without,
     * NULL means that there is none yet. Another status than ADE_OK ends the stream with it. */
    ade_status (*next)(void *user, bool wait, ade_window **window);
    /* The window's results are there. Called once for each window, in the order in which they were given. */
    void (*done)(void *user, ade_window *window);
    void *user;
} ade_window_source;

/* Classifies window after window until there are no more. A window's texts and arrays must stay until it is done, and a
 * next window may be asked for before the last is done (up to two are under way). Both callbacks come on the calling
 * thread. On failure some windows are never done; the source still owns them. The session's progress callback is asked
 * as in ade_classify, with counts over the whole stream. Scores have the same bits however the texts are cut into
 * windows. While the source waits, nobody asks the progress callback: it must itself notice a wish to stop, and return
 * ADE_CANCELLED. Statuses as ade_classify; a text's number in an error counts from the window's start. */
ade_status ade__session_stream(ade_session *session, const ade_window_source *source);

#endif
