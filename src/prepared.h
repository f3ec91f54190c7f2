/* SPDX-License-Identifier: Apache-2.0
 * A model's weights as one backend wants them: converted, laid out, on the device. Made once per model, device and
 * precision; shared by all sessions of that kind. */
#ifndef ADE_PREPARED_H
#define ADE_PREPARED_H

#include "model.h"
#include "ops.h"

#include <stdatomic.h>

typedef struct ade_prepared_layer {
    ade_linear *qkv;      /* (3H, H); NULL in the last layer */
    ade_linear *q, *kv;   /* (H, H), (2H, H): the last layer alone, where only first tokens ask */
    float      *k_w, *v_w, *v_b; /* (H, H), (H, H), (H): instead of kv where the backend has first_attention */
    ade_linear *attn_out; /* (H, H) */
    ade_linear *ffn_in;   /* (F, H) */
    ade_linear *ffn_out;  /* (H, F) */
    float      *attn_out_b, *ffn_in_b, *ffn_out_b; /* (H), (F), (H); NULL where the backend adds them in `linear` */
    float      *attn_ln_w, *attn_ln_b, *ffn_ln_w, *ffn_ln_b; /* (H) */
} ade_prepared_layer;

struct ade_prepared {
    struct ade_prepared *next;
    const ade_ops       *ops;
    ade_backend         *backend;
    ade_backend_info     info;
    int32_t              device, device_index; /* ade_device */
    int32_t              h, heads, f, layers, labels;
    float                eps;
    ade_act_kind         activation;
    ade_problem          problem;
    atomic_int           failed; /* the device failed; new sessions make their weights anew */
    void                *word, *position, *type; /* (V, H), (P, H), (Y, H) in info.table_type */
    float               *embed_ln_w, *embed_ln_b;
    ade_prepared_layer  *layer;
    ade_linear          *pooler; /* (H, H), exact */
    float               *classifier_w, *classifier_b; /* (C, H), (C) */
};

/* Finds or makes the model's weights for a device and a precision (ade_precision; AUTO is resolved by the backend).
 * They live as long as the model. */
ade_status ade__prepared_get(ade_model *model, int32_t device, int32_t device_index, int32_t precision,
                             struct ade_prepared **out);

#endif
