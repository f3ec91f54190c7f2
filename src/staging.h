/* SPDX-License-Identifier: Apache-2.0
 * The way of batches to a device and back: a ring of slots, each with host memory that the device copies from and to by
 * itself, and with device memory for one batch's input. While the device works on one slot's batch, the host fills the
 * next; a batch is one copy up and one copy down. */
#ifndef ADE_STAGING_H
#define ADE_STAGING_H

#include "encoder.h"

typedef struct ade_staged_text { /* what stays on the host of a text in a batch */
    size_t  row;                 /* in the owner's results */
    int32_t tokens, unknown, truncated, replaced;
} ade_staged_text;

typedef struct ade_slot {
    void            *owner;                     /* whose texts these are; the caller's own affair */
    ade_staged_text *texts;                     /* (S) */
    int32_t         *ids, *positions, *cu_seqlens; /* (T), (T), (S + 1): to be filled, in host memory of the device */
    float           *logits, *probabilities;    /* (S, C): there after ade__slot_wait */
    ade_batch_view   view;                      /* where the input is on the device */
    int              in_flight;
    /* staging.c's own */
    int32_t  number;
    int32_t *host_input;
    void    *device_input;
    float   *host_output;
} ade_slot;

typedef struct ade_staging {
    ade_workspace *workspace;
    ade_slot      *slots;
    int32_t        n_slots, turn;
} ade_staging;

ade_status ade__staging_new(ade_workspace *workspace, ade_staging **out); /* as many slots as the workspace is for */
void       ade__staging_free(ade_staging *staging);                       /* NULL is fine; before its workspace */

/* The slot whose turn it is. When it is in flight, the caller waits for it and takes its results first. */
ade_slot *ade__staging_slot(ade_staging *staging);

/* Lays the slot out for a batch of t tokens in s texts; the caller then fills texts, ids, positions and cu_seqlens. */
void ade__slot_begin(ade_staging *staging, ade_slot *slot, int32_t t, int32_t s, int32_t min_len, int32_t max_len);

/* Sends the slot's batch on its way: copy up, encoder, copy down. On success the slot is in flight and the turn passes
 * to the next. */
ade_status ade__slot_submit(ade_staging *staging, ade_slot *slot, const atomic_int *cancel);

/* The same by a team that works on the leader's slot at the same time; see ade__encoder_run_shared. */
ade_status ade__slot_submit_shared(ade_staging *own, ade_staging *leader, ade_slot *slot, ade_team *team, int32_t member,
                                   const atomic_int *cancel);

/* Until the slot's results are there. It is no longer in flight then, even if this fails. */
ade_status ade__slot_wait(ade_staging *staging, ade_slot *slot);

#endif
