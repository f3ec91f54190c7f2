/* SPDX-License-Identifier: Apache-2.0
 * What cpu_backend.c and cpu_exec.c share: the backend itself, and the ops that fill its table. */
#ifndef ADE_CPU_EXEC_H
#define ADE_CPU_EXEC_H

#include "cpu_common.h"
#include "gemm_cpu.h"

struct ade_backend {
    ade_dtype              act;
    const ade_cpu_kernels *kernels;
    ade_gemm_engine       *gemm;
    char                   name[64], instruction_set[64];
};

ade_status ade__cpu_exec_create(ade_backend *backend, const ade_exec_options *options, ade_exec **out);
void       ade__cpu_exec_destroy(ade_exec *exec);
ade_status ade__cpu_exec_prepare(ade_exec *exec, const ade_linear *linear, int32_t max_rows);
void       ade__cpu_exec_join(ade_exec *exec, ade_exec *leader, ade_team *team, int32_t member);
ade_status ade__cpu_multiply(ade_exec *exec, const ade_linear *linear, int32_t m);
void       ade__cpu_exec_times(ade_exec *exec, ade_op_times *times);
ade_status ade__cpu_copy(ade_exec *exec, int32_t slot, void *to, const void *from, size_t bytes);
ade_status ade__cpu_wait(ade_exec *exec, int32_t slot);
ade_status ade__cpu_embed(ade_exec *exec, const ade_embed_args *args);
ade_status ade__cpu_linear(ade_exec *exec, const ade_linear_args *args);
ade_status ade__cpu_attention(ade_exec *exec, const ade_attention_args *args);
ade_status ade__cpu_layernorm(ade_exec *exec, const ade_layernorm_args *args);
ade_status ade__cpu_activation(ade_exec *exec, const ade_activation_args *args);
ade_status ade__cpu_pool(ade_exec *exec, const ade_pool_args *args);
ade_status ade__cpu_probs(ade_exec *exec, const ade_probs_args *args);
ade_status ade__cpu_linear_norm(ade_exec *exec, const ade_linear_norm_args *args);
ade_status ade__cpu_feed_forward(ade_exec *exec, const ade_feed_forward_args *args);
ade_status ade__cpu_first_attention(ade_exec *exec, const ade_first_attention_args *args);

#endif
