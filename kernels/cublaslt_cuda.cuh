/* SPDX-License-Identifier: Apache-2.0
 * NVIDIA's cuBLASLt, found and opened at run time: it is several hundred megabytes, comes with the toolkit or with a
 * wheel, and a machine without it must still load the plugin and say what is missing. */
#ifndef ADE_CUBLASLT_CUDA_CUH
#define ADE_CUBLASLT_CUDA_CUH

#include "cuda_common.cuh"

#include <cublasLt.h>

/* Each function that is used: its member here, its name there. */
#define ADE_CUBLASLT_MAP(X)                                                                                            \
    X(get_version, cublasLtGetVersion)                                                                                 \
    X(status_name, cublasLtGetStatusName)                                                                              \
    X(create, cublasLtCreate)                                                                                          \
    X(destroy, cublasLtDestroy)                                                                                        \
    X(layout_create, cublasLtMatrixLayoutCreate)                                                                       \
    X(layout_destroy, cublasLtMatrixLayoutDestroy)                                                                     \
    X(desc_create, cublasLtMatmulDescCreate)                                                                           \
    X(desc_destroy, cublasLtMatmulDescDestroy)                                                                         \
    X(desc_set, cublasLtMatmulDescSetAttribute)                                                                        \
    X(preference_create, cublasLtMatmulPreferenceCreate)                                                               \
    X(preference_destroy, cublasLtMatmulPreferenceDestroy)                                                             \
    X(preference_set, cublasLtMatmulPreferenceSetAttribute)                                                            \
    X(heuristic, cublasLtMatmulAlgoGetHeuristic)                                                                       \
    X(algo_check, cublasLtMatmulAlgoCheck)                                                                             \
    X(algo_config, cublasLtMatmulAlgoConfigGetAttribute)                                                               \
    X(matmul, cublasLtMatmul)

typedef struct ade_cublaslt {
#define MEMBER(member, name) decltype(&name) member;
    ADE_CUBLASLT_MAP(MEMBER)
#undef MEMBER
    char version[24]; /* "13.1.0" */
} ade_cublaslt;

/* The library, opened by the first call that succeeds and kept for the life of the process. Looked for, in this order:
 *   1. the file that the variable ADESIEVE_CUBLASLT names; if it is set, nowhere else
 *   2. beside the plugin, and where wheels put it, relative to the plugin
 *   3. by its name alone, wherever the system's loader finds it
 *   4. in the folders of a toolkit: CUDA_HOME, CUDA_PATH, /usr/local/cuda
 * Never in the current folder. ADE_UNSUPPORTED lists every place tried. */
ade_status ade__cublaslt_open(const ade_cublaslt **out);

/* A failed call of it: ADE_OUT_OF_MEMORY or ADE_DEVICE, with call, place and cause. */
ade_status ade__cublaslt_fail(const ade_cublaslt *lt, cublasStatus_t status, const char *call, const char *file,
                              int line);

#endif
