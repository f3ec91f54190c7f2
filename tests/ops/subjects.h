/* SPDX-License-Identifier: Apache-2.0
 * What test_ops.c tests: each set of CPU kernels by itself in both types, and each backend that opens here. */
#ifndef ADE_SUBJECTS_H
#define ADE_SUBJECTS_H

#include "ops.h"

#define SUBJECT_MAX_LEN 512
#define SUBJECT_MAX_HEAD 128
#define SUBJECT_SLOTS 2
#define MAX_SUBJECTS 12

typedef struct subject {
    char           name[32];
    ade_dtype      act, res;
    const void    *kernels; /* an ade_cpu_kernels called directly, or NULL */
    const ade_ops *ops;     /* else a backend's table */
    ade_backend   *backend;
    ade_exec      *exec;
} subject;

extern subject subjects[MAX_SUBJECTS];
extern int     n_subjects;

void subjects_open(void); /* aborts the program when one that should open does not */
void subjects_close(void);

ade_status subject_embed(const subject *s, const ade_embed_args *args);
/* A backend's product with y dense, whatever it makes of its panels; the rows behind the last are not written. */
ade_status subject_linear(const subject *s, const ade_linear_desc *desc, const ade_linear *linear, const void *x, void *y,
                          int32_t m);
ade_status subject_attention(const subject *s, const ade_attention_args *args);
/* Share `part` of `parts`; only for a set of kernels. A backend does everything. */
ade_status subject_attention_part(const subject *s, const ade_attention_args *args, int32_t part, int32_t parts);
ade_status subject_layernorm(const subject *s, const ade_layernorm_args *args);
ade_status subject_activation(const subject *s, const ade_activation_args *args);
ade_status subject_pool(const subject *s, const ade_pool_args *args);
ade_status subject_probs(const subject *s, const ade_probs_args *args);

#endif
