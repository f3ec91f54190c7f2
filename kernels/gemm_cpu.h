/* SPDX-License-Identifier: Apache-2.0
 * Matrix products on the CPU by oneDNN; the only door to that library. A weight matrix is cut into panels of columns,
 * and one call multiplies up to ADE_GEMM_ROWS rows by one panel: the piece of work that threads share. */
#ifndef ADE_GEMM_CPU_H
#define ADE_GEMM_CPU_H

#include "ops.h"

#define ADE_GEMM_ROWS 128 /* the most rows of one call */

typedef struct ade_gemm_engine ade_gemm_engine; /* oneDNN's engine and the plans; shared, thread-safe */
typedef struct ade_gemm_exec   ade_gemm_exec;   /* one thread's stream, scratch memory and argument objects */

/* What the rest of the backend may know of a matrix. Y = X W^T + b. */
typedef struct ade_gemm_shape {
    int32_t   n, k;
    int32_t   width, panels; /* columns of a panel; the last may have fewer */
    ade_dtype type;          /* of X and W: f32, bf16, or int8, whose products are int32 without bias */
    const float   *bias;     /* (N) */
    const float   *scales;   /* (N) int8: W[n] = scales[n] * bytes */
    const float   *sums;     /* (N) int8: sum of W[n], as the bytes have it */
} ade_gemm_shape;

/* Does this processor multiply bf16 natively (AVX-512 BF16 or AMX), or bytes (AVX-512 VNNI or AMX), as far as oneDNN
 * may use it? */
int ade__gemm_has_bf16(void);
int ade__gemm_has_int8(void);
/* "AVX-512 BF16", "AMX", "AVX2", ...: what oneDNN may use. Static. */
const char *ade__gemm_isa(void);
/* Keeps oneDNN, in the whole process, to an ade_isa (isa.h). 1, or 0 when it is too late and it uses more. */
int ade__gemm_limit(int isa);
/* The x86-64 level of that: 4, 3 or 1. */
int ade__gemm_level(void);

ade_status ade__gemm_engine_new(ade_dtype act, ade_gemm_engine **out);
void       ade__gemm_engine_free(ade_gemm_engine *engine);

ade_status ade__gemm_linear_new(ade_gemm_engine *engine, const ade_linear_desc *desc, ade_linear **out);
void       ade__gemm_linear_free(ade_linear *linear);

const ade_gemm_shape *ade__gemm_shape(const ade_linear *linear);

static inline int32_t ade__gemm_columns(const ade_gemm_shape *shape, int32_t panel) {
    return panel + 1 < shape->panels ? shape->width : shape->n - panel * shape->width;
}

ade_status ade__gemm_exec_new(ade_gemm_engine *engine, ade_gemm_exec **out);
void       ade__gemm_exec_free(ade_gemm_exec *exec);
ade_status ade__gemm_exec_prepare(ade_gemm_exec *exec, const ade_linear *linear);

/* y (rows, columns of the panel), dense = x (rows, K), dense, times the panel, + bias (int8: int32 and without). Computes
 * up to ADE_ROW_PAD rows beyond `rows` <= ADE_GEMM_ROWS: of x they are read, of y written. */
ade_status ade__gemm_run(ade_gemm_exec *exec, const ade_linear *linear, int32_t panel, const void *x, int32_t rows,
                         void *y);

#endif
