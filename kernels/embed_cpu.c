/* SPDX-License-Identifier: Apache-2.0
 * x = LN(word + type + position): gathers three rows a token, in the tables' stored type. Moves 3 rows in, 1 (and its
 * rounded copy) out; the row itself stays in the first-level cache between gather and LayerNorm. */
#include "cpu_common.h"

ADE_INLINE void add_row(float *row, const void *table, ade_dtype type, int32_t index, int h, int first) {
    size_t at = (size_t)index * (size_t)h;
    if (type == ADE_F32) {
        const float *from = (const float *)table + at;
        for (int i = 0; i < h; i++) row[i] = first ? from[i] : row[i] + from[i];
    } else if (type == ADE_BF16) {
        const uint16_t *from = (const uint16_t *)table + at;
        for (int i = 0; i < h; i++) row[i] = (first ? 0.0f : row[i]) + ade__f32_from_bf16(from[i]);
    } else {
        const uint16_t *from = (const uint16_t *)table + at;
        for (int i = 0; i < h; i++) row[i] = (first ? 0.0f : row[i]) + ade__f32_from_f16(from[i]);
    }
}

void ADE_CPU(embed)(const ade_embed_args *args, ade_dtype act) {
    float *x = args->x;
    for (int32_t t = 0; t < args->t; t++) {
        float *row = x + (size_t)t * (size_t)args->h;
        add_row(row, args->word, args->table_type, args->ids[t], args->h, 1);
        add_row(row, args->type, args->table_type, args->types ? args->types[t] : 0, args->h, 0);
        add_row(row, args->position, args->table_type, args->positions[t], args->h, 0);
        ade__layernorm_row(row, args->ln_weight, args->ln_bias, args->eps, args->h, row, args->x_act,
                           (size_t)t * (size_t)args->h, act);
    }
}
