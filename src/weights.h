/* SPDX-License-Identifier: Apache-2.0
 * Which tensor of the checkpoint is which weight of the encoder. The only file that knows tensor names. */
#ifndef ADE_WEIGHTS_H
#define ADE_WEIGHTS_H

#include "config.h"
#include "safetensors.h"

/* H hidden, F intermediate, V vocabulary, P positions, Y types, C labels. Linear weights are (out, in) row-major. */
typedef struct ade_layer_tensors {
    const ade_tensor *q_w, *q_b, *k_w, *k_b, *v_w, *v_b; /* (H, H), (H) each */
    const ade_tensor *attn_out_w, *attn_out_b;           /* (H, H), (H) */
    const ade_tensor *attn_ln_w, *attn_ln_b;             /* (H) */
    const ade_tensor *ffn_in_w, *ffn_in_b;               /* (F, H), (F) */
    const ade_tensor *ffn_out_w, *ffn_out_b;             /* (H, F), (H) */
    const ade_tensor *ffn_ln_w, *ffn_ln_b;               /* (H) */
} ade_layer_tensors;

typedef struct ade_weight_map {
    const ade_tensor  *word, *position, *type;      /* (V, H), (P, H), (Y, H) */
    const ade_tensor  *embed_ln_w, *embed_ln_b;     /* (H) */
    ade_layer_tensors *layers;                      /* n_layers of them; owned */
    const ade_tensor  *pooler_w, *pooler_b;         /* (H, H), (H) */
    const ade_tensor  *classifier_w, *classifier_b; /* (C, H), (C) */
    uint64_t           n_parameters;
    const char        *weights_type; /* "F32", "F16", "BF16" or "mixed" */
} ade_weight_map;

/* Finds every weight; checks shapes and types. A missing tensor or a wrong shape is ADE_BAD_MODEL with the tensor's
 * name, both shapes and the cure; an unused tensor is a warning in the log (position_ids and pooler-like leftovers that
 * transformers ignores, too, but in one line). Accepts LayerNorm.gamma/beta, a missing "bert." and a "module." prefix.
 */
ade_status ade__weights_map(const ade_tensor_set *set, const ade_model_config *config, const ade_log *log,
                            ade_weight_map *out);
void       ade__weights_clear(ade_weight_map *map);

/* Copies a tensor's values to fp32 in row-major order, whatever its stored type and alignment: dst has one element per
 * value. ADE_BAD_MODEL when a value is NaN or infinite (the tensor and the index are named). */
ade_status ade__tensor_to_f32(const ade_tensor *tensor, float *dst);

#endif
