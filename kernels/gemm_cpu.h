/* SPDX-License-Identifier: Apache-2.0
 * Y = X W^T + b on the CPU by oneDNN; the only door to that library. */
#ifndef ADE_GEMM_CPU_H
#define ADE_GEMM_CPU_H

#include "ops.h"

typedef struct ade_gemm_engine ade_gemm_engine; /* oneDNN's engine and the plans; shared, thread-safe */
typedef struct ade_gemm_exec   ade_gemm_exec;   /* one thread's stream, scratch memory and argument objects */

/* Does this processor multiply bf16 natively (AVX-512 BF16 or AMX), as far as oneDNN may use it? */
int ade__gemm_has_bf16(void);
/* "AVX-512 BF16", "AMX", "AVX2", ...: what oneDNN may use. Static. */
const char *ade__gemm_isa(void);
/* The x86-64 level of that: 4, 3 or 1. */
int ade__gemm_level(void);

ade_status ade__gemm_engine_new(ade_dtype act, ade_gemm_engine **out);
void       ade__gemm_engine_free(ade_gemm_engine *engine);

ade_status ade__gemm_linear_new(ade_gemm_engine *engine, const ade_linear_desc *desc, ade_linear **out);
void       ade__gemm_linear_free(ade_linear *linear);

ade_status ade__gemm_exec_new(ade_gemm_engine *engine, ade_gemm_exec **out);
void       ade__gemm_exec_free(ade_gemm_exec *exec);
ade_status ade__gemm_exec_prepare(ade_gemm_exec *exec, const ade_linear *linear);

/* Reads and writes up to ADE_ROW_PAD rows beyond args->m. */
ade_status ade__gemm_run(ade_gemm_exec *exec, const ade_linear_args *args);

#endif
