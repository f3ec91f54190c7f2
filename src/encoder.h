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
    int32_t   max_tokens, max_seqs, max_len, n_slots;
    void *x, *x_act;         /* (T, H) res, act: the residual stream; x_act is x when the types agree */
    void *qkv;               /* (T, 3H) res */
    void *context;           /* (T, H) act: attention's output */
    void *y;                 /* (T, H) res: a product's output; NULL with fused ops */
    void *f, *f_act;         /* (T, F) res, act; NULL with fused ops */
    void *first, *first_act; /* (S, H) res, act: the residual stream of first tokens, in the last layer */
    void *first_q;           /* (S, H) res */
    ade_quant *x_rows, *context_rows, *first_rows; /* (T), (T), (S) in int8; NULL */
    float     *exact_context;                      /* (T, H) where attention's output is rounded afterwards; NULL */
    float *first_exact;      /* (S, H) fp32: what the pooler reads; is first when res is fp32 */
    float *pooled;           /* (S, H) */
    float *scores;           /* a batch's logits (S, C), then its probabilities (S, C), without a gap: one copy down */
} ade_workspace;

/* For batches of at most max_tokens tokens and texts of at most max_len; n_slots batches may be on their way. */
ade_status ade__workspace_new(const struct ade_prepared *p, int32_t max_tokens, int32_t max_len, int32_t n_slots,
                              ade_workspace **out);
void       ade__workspace_free(ade_workspace *workspace); /* NULL is fine */

typedef struct ade_batch_view { /* one packed batch, on the device */
    const int32_t *ids, *positions; /* (T) */
    const int32_t *cu_seqlens;      /* (S + 1) */
    int32_t        t, s, min_len, max_len;
} ade_batch_view;

/* Leaves the batch's scores in the workspace, or queues that. Looks at *cancel between layers; ADE_CANCELLED when it is
 * set. */
ade_status ade__encoder_run(ade_workspace *workspace, const ade_batch_view *batch, const atomic_int *cancel);

/* The same by a team (src/base/team.h), on a backend with exec_join: each of its threads calls this at the same time with
 * its own number, its own workspace and the same `leader`, whose buffers and batch all work on. A member that fails gives
 * its status, and the others ADE_CANCELLED. */
ade_status ade__encoder_run_shared(ade_workspace *own, ade_workspace *leader, ade_team *team, int32_t member,
                                   const ade_batch_view *batch, const atomic_int *cancel);

/* Multiplications and additions in the products of a batch of t tokens in s texts. */
double ade__encoder_operations(const struct ade_prepared *p, int32_t t, int32_t s);

/* Those products alone, on a backend with `multiply`. */
ade_status ade__encoder_products(ade_workspace *workspace, int32_t t, int32_t s);

#endif
