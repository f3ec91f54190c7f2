/* SPDX-License-Identifier: Apache-2.0 */
#include "staging.h"

#include "alloc.h"
#include "status.h"
#include "team.h"

/* Arrays of a slot's input begin at multiples of 16 bytes, as ops.h asks. */
static size_t aligned(size_t n) { return (n + 3) / 4 * 4; }

static size_t input_capacity(const ade_workspace *w) {
    return 2 * aligned((size_t)w->max_tokens) + aligned((size_t)w->max_seqs + 1);
}

static size_t output_capacity(const ade_workspace *w) { return 2 * (size_t)w->max_seqs * (size_t)w->p->labels; }

static ade_status open_slot(ade_staging *staging, int32_t number) {
    const ade_workspace       *w = staging->workspace;
    const struct ade_prepared *p = w->p;
    ade_slot                  *slot = &staging->slots[number];
    void                      *memory = NULL;
    slot->number = number;
    slot->texts = ade__malloc((size_t)w->max_seqs * sizeof *slot->texts);
    if (!slot->texts) return ADE_OUT_OF_MEMORY;
    ADE_TRY(p->ops->host_alloc(p->backend, input_capacity(w) * sizeof(int32_t), &memory));
    slot->host_input = memory;
    ADE_TRY(p->ops->host_alloc(p->backend, output_capacity(w) * sizeof(float), &memory));
    slot->host_output = memory;
    return p->ops->alloc(p->backend, input_capacity(w), sizeof(int32_t), &slot->device_input);
}

ade_status ade__staging_new(ade_workspace *workspace, ade_staging **out) {
    ade_status   status = ADE_OUT_OF_MEMORY;
    ade_staging *staging = ade__calloc(1, sizeof *staging);
    if (!staging) return status;
    staging->workspace = workspace;
    staging->slots = ade__calloc((size_t)workspace->n_slots, sizeof *staging->slots);
    if (!staging->slots) goto failed;
    staging->n_slots = workspace->n_slots;
    for (int32_t i = 0; i < staging->n_slots; i++) ADE_TRY_GOTO(open_slot(staging, i), failed);
    *out = staging;
    return ADE_OK;
failed:
    ade__staging_free(staging);
    return status;
}

void ade__staging_free(ade_staging *staging) {
    if (!staging) return;
    const struct ade_prepared *p = staging->workspace->p;
    for (int32_t i = 0; i < staging->n_slots; i++) {
        ade_slot *slot = &staging->slots[i];
        if (slot->in_flight) (void)p->ops->wait(staging->workspace->exec, i); /* the device still writes to it */
        ade__free(slot->texts);
        p->ops->host_release(p->backend, slot->host_input);
        p->ops->host_release(p->backend, slot->host_output);
        p->ops->release(p->backend, slot->device_input);
    }
    ade__free(staging->slots);
    ade__free(staging);
}

ade_slot *ade__staging_slot(ade_staging *staging) { return &staging->slots[staging->turn]; }

void ade__slot_begin(ade_staging *staging, ade_slot *slot, int32_t t, int32_t s, int32_t min_len, int32_t max_len) {
    const size_t   positions = aligned((size_t)t), cu_seqlens = 2 * positions;
    const int32_t *device = slot->device_input;
    slot->ids = slot->host_input;
    slot->positions = slot->host_input + positions;
    slot->cu_seqlens = slot->host_input + cu_seqlens;
    slot->logits = slot->host_output;
    slot->probabilities = slot->host_output + (size_t)s * (size_t)staging->workspace->p->labels;
    slot->view = (ade_batch_view){.ids = device,
                                  .positions = device + positions,
                                  .cu_seqlens = device + cu_seqlens,
                                  .t = t,
                                  .s = s,
                                  .min_len = min_len,
                                  .max_len = max_len};
}

/* Copies a batch's input up, and its results down. */
static ade_status push(const ade_workspace *w, const ade_slot *slot) {
    size_t input = 2 * aligned((size_t)slot->view.t) + (size_t)slot->view.s + 1;
    return w->p->ops->push(w->exec, slot->number, slot->device_input, slot->host_input, input * sizeof(int32_t));
}

static ade_status pull(const ade_workspace *w, const ade_slot *slot) {
    size_t output = 2 * (size_t)slot->view.s * (size_t)w->p->labels;
    return w->p->ops->pull(w->exec, slot->number, slot->host_output, w->scores, output * sizeof(float));
}

ade_status ade__slot_submit(ade_staging *staging, ade_slot *slot, const atomic_int *cancel) {
    ade_workspace *w = staging->workspace;
    ADE_TRY(push(w, slot));
    slot->in_flight = 1; /* from here on the device may be reading the slot, even if an op fails */
    ade_status status = ade__encoder_run(w, &slot->view, cancel);
    if (status != ADE_OK) { /* close the batch all the same, so that a wait for it covers its copy up */
        char error[2048];
        ade__copy_error(error, sizeof error);
        (void)pull(w, slot);
        return ade__adopt_error(status, error);
    }
    ADE_TRY(pull(w, slot));
    staging->turn = (staging->turn + 1) % staging->n_slots;
    return ADE_OK;
}

/* Only a backend whose copies are done when they return has teams, so a wait of the team orders them, too. */
ade_status ade__slot_submit_shared(ade_staging *own, ade_staging *leader, ade_slot *slot, ade_team *team, int32_t member,
                                   const atomic_int *cancel) {
    ade_workspace *w = leader->workspace;
    if (member == 0) ADE_TRY(push(w, slot));
    if (ade__team_wait(team)) return ADE_CANCELLED;
    ADE_TRY(ade__encoder_run_shared(own->workspace, w, team, member, &slot->view, cancel));
    if (member != 0) return ADE_OK;
    slot->in_flight = 1;
    return pull(w, slot);
}

ade_status ade__slot_wait(ade_staging *staging, ade_slot *slot) {
    slot->in_flight = 0;
    return staging->workspace->p->ops->wait(staging->workspace->exec, slot->number);
}
