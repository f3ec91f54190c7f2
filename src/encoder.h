/* SPDX-License-Identifier: Apache-2.0
 * The forward pass over one packed batch; with head.c the only place that knows the order of ops. */
#ifndef ADE_ENCODER_H
#define ADE_ENCODER_H

#include "prepared.h"

#include <stdatomic.h>

/* One worker's buffers, for at most max_tokens tokens in max_seqs sequences. res and act as in ops.h. */
typedef struct ade_workspace {
    const struct ade_prepared *p;
    ade_exec *exec;
    int32_t   max_tokens, max_seqs, max_len;
    void *x, *x_act;         /* (T, H) res, act: the residual stream; x_act is x when the types agree */
    void *qkv;               /* (T, 3H) res */
    void *context;           /* (T, H) act: attention's output */
    void *y;                 /* (T, H) res: a product's output */
    void *f, *f_act;         /* (T, F) res, act */
    void *first, *first_act; /* (S, H) res, act: the residual stream of first tokens, in the last layer */
    void *first_q;           /* (S, H) res */
    float *pooled;           /* (S, H) */
    float *logits, *probabilities; /* (S, C) */
} ade_workspace;

ade_status ade__workspace_new(const struct ade_prepared *p, int32_t max_tokens, int32_t max_len, ade_workspace **out);
void       ade__workspace_free(ade_workspace *workspace); /* NULL is fine */

typedef struct ade_batch_view { /* host arrays of one packed batch */
    const int32_t *ids, *positions; /* (T) */
    const int32_t *cu_seqlens;      /* (S + 1) */
    int32_t        t, s, max_len;
} ade_batch_view;

/* Leaves logits and probabilities (S, C) of the batch in the workspace. Looks at *cancel between layers; ADE_CANCELLED
 * when it is set. */
ade_status ade__encoder_run(ade_workspace *workspace, const ade_batch_view *batch, const atomic_int *cancel);

#endif
