/* SPDX-License-Identifier: Apache-2.0
 * A model folder, opened: configuration, tokenizer, mapped weights. Immutable but for its reference count and for what
 * is computed once on demand (under the lock). */
#ifndef ADE_MODEL_H
#define ADE_MODEL_H

#include "baseline.h"
#include "calibrate.h"
#include "config.h"
#include "safetensors.h"
#include "weights.h"

#include <pthread.h>
#include <stdatomic.h>

struct ade_prepared; /* the weights as a backend wants them; session.c */

/* Frees the whole list; NULL is fine. Defined with struct ade_prepared; model.c calls it when a model goes. */
void ade__prepared_free_all(struct ade_prepared *list);

struct ade_model {
    atomic_int           references; /* one for the caller, one per session */
    char                *folder, *name;
    ade_model_config     config;
    ade_tokenizer_files  tokenizer;
    ade_tensor_set      *tensors;
    ade_weight_map       weights;
    ade_baseline        *baseline;    /* NULL: an encoder; else tokenizer and weights are empty */
    ade_calibration     *calibration; /* NULL: the folder holds none */
    int32_t              max_length; /* min(max_positions, model_max_length) */
    pthread_mutex_t      lock;       /* guards what follows */
    struct ade_prepared *prepared;   /* list, one per backend and precision in use */
    char                 hash[65];   /* "" until asked for */
};

/* `out` receives a model with one reference. `options` has been checked by the caller (api.c); NULL = defaults. */
ade_status ade__model_open(const char *folder, const ade_model_options *options, ade_model **out);
void       ade__model_retain(ade_model *model);
void       ade__model_release(ade_model *model); /* NULL is fine */

/* SHA-256 in lower-case hexadecimal over all files that the model was made from (config.json, weights, tokenizer
 * files), sorted by name in byte order; each contributes its name, a NUL, its size in decimal, a NUL, its contents.
 * ADE_IO when a file cannot be read; ADE_BAD_MODEL when one was changed since the model was opened. */
ade_status  ade__model_hash(ade_model *model, char digest[65]);
const char *ade__activation_name(ade_activation activation); /* "gelu_erf", ... */

#endif
