/* SPDX-License-Identifier: Apache-2.0
 * Every op of ops.h once more, in double precision and as plainly as can be, written from ops.h alone. Arguments are
 * the ops' own; results go to arrays of double, and the arguments' outputs are not looked at. `res` and `act` are the
 * types in which the arguments' inputs are stored. */
#ifndef ADE_REFERENCE_H
#define ADE_REFERENCE_H

#include "ops.h"

double reference_load(const void *array, ade_dtype type, size_t index); /* one element */
size_t reference_size(ade_dtype type);                                  /* bytes of one element */

void reference_embed(const ade_embed_args *args, double *x);                                          /* (T, H) */
void reference_linear(const ade_linear_desc *desc, const void *x, ade_dtype type, int32_t m, double *y); /* (M, N) */
void reference_attention(const ade_attention_args *args, ade_dtype res, double *out); /* (T or S, A, D) */
void reference_layernorm(const ade_layernorm_args *args, ade_dtype res, double *out);   /* (M, H) */
void reference_activation(const ade_activation_args *args, ade_dtype res, double *y);   /* (M, N) */
void reference_pool(const ade_pool_args *args, ade_dtype res, double *out);             /* (S, H) */
void reference_probs(const ade_probs_args *args, double *logits, double *probabilities); /* (S, C) each */

double reference_act(double x, ade_act_kind kind);

#endif
