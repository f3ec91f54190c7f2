/* SPDX-License-Identifier: Apache-2.0
 * Y = X W^T + b on a GPU by cuBLASLt; the only user of that library. */
#ifndef ADE_GEMM_CUDA_CUH
#define ADE_GEMM_CUDA_CUH

#include "cuda_common.cuh"

typedef struct ade_cuda_gemm      ade_cuda_gemm;      /* a device's handle and plans; shared, thread-safe */
typedef struct ade_cuda_gemm_exec ade_cuda_gemm_exec; /* one stream's workspace and layouts; one thread */

/* Memory on the thread's current device, `device`; in cuda_backend.cu. ADE_OUT_OF_MEMORY names need and rest. */
ade_status ade__cuda_malloc(int device, size_t bytes, void **out);

/* Whether cuBLASLt can be had; ADE_UNSUPPORTED lists where it was looked for. Does nothing to a device. */
ade_status ade__cuda_gemm_probe(void);

/* "13.1.0". */
const char *ade__cuda_gemm_version(const ade_cuda_gemm *gemm);

/* On the thread's current device, of compute capability `major`. Algorithms are chosen for `rows` rows, which is a
 * property of the device: two sessions with different batches must not get different bits. */
ade_status ade__cuda_gemm_new(int device, int major, int32_t rows, ade_cuda_gemm **out);
void       ade__cuda_gemm_free(ade_cuda_gemm *gemm);

ade_status ade__cuda_linear_new(ade_cuda_gemm *gemm, const ade_linear_desc *desc, ade_linear **out);
void       ade__cuda_linear_free(ade_linear *linear);

ade_status ade__cuda_gemm_exec_new(ade_cuda_gemm *gemm, ade_cuda_gemm_exec **out);
void       ade__cuda_gemm_exec_free(ade_cuda_gemm_exec *exec);
ade_status ade__cuda_gemm_prepare(ade_cuda_gemm_exec *exec, const ade_linear *linear, int32_t max_rows);

/* Queues the product. Reads and writes up to ADE_ROW_PAD rows beyond args->m. */
ade_status ade__cuda_gemm_run(ade_cuda_gemm_exec *exec, cudaStream_t stream, const ade_linear_args *args);

#endif
