/* SPDX-License-Identifier: Apache-2.0
 * What every <op>_cuda.cu shares: launches, shared memory, checked calls, 16-byte accesses, warp reductions.
 *
 * The same sources are compiled by nvcc and, for tests without a GPU, by a C++ compiler with the headers of
 * tests/emulator/include. A kernel therefore takes shared memory by ADE_SHARED, is launched by ADE_LAUNCH, and reaches
 * what C++ cannot say (mma, ldmatrix, cp.async) by cuda_mma.cuh. */
#ifndef ADE_CUDA_COMMON_CUH
#define ADE_CUDA_COMMON_CUH

#include "ops.h"

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
/* A launch; a template instance goes into a variable first, for its commas. */
#define ADE_LAUNCH(kernel, grid, block, stream, ...) kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
/* Shared memory of a block: `name` points to `count` elements that start at a multiple of 16 bytes. Every thread of the
 * block comes by every ADE_SHARED of a kernel, in the same order. */
#define ADE_SHARED(type, name, count)                 \
    __shared__ __align__(16) type name##_in_block[count]; \
    type *const name = name##_in_block
#else
#define ADE_LAUNCH(kernel, grid, block, stream, ...) \
    emu_launch(#kernel, (grid), (block), (stream), kernel, __VA_ARGS__)
#define ADE_SHARED(type, name, count) type *const name = emu_shared<type>(#name, (count))
#endif

/* A failed call of CUDA: stores a sentence with call, place and cause, clears the sticky error, returns the status:
 * ADE_OUT_OF_MEMORY for an allocation that does not fit, else ADE_DEVICE. In cuda_backend.cu. */
ade_status ade__cuda_fail(cudaError_t error, const char *call, const char *file, int line);

#define ADE_CUDA_TRY(call)                                                                                   \
    do {                                                                                                     \
        cudaError_t ade__error = (call);                                                                     \
        if (ade__error != cudaSuccess) return ade__cuda_fail(ade__error, #call, __FILE__, __LINE__);         \
    } while (0)

/* What the core's ade__fail is for the plugin; set at the handshake. */
extern ade_status (*ade__cuda_report)(ade_status status, const char *format, ...);

/* Whether the plugin holds code that the current device can run; ADE_UNSUPPORTED if not. In pool_cuda.cu. */
ade_status ade__cuda_has_code(void);

/* Launchers, one per op: queue the op on `stream`. Arguments as in ops.h, with act = res = f16. */
ade_status ade__cuda_embed(cudaStream_t stream, const ade_embed_args *args);
ade_status ade__cuda_attention(cudaStream_t stream, const ade_attention_args *args);
ade_status ade__cuda_layernorm(cudaStream_t stream, const ade_layernorm_args *args);
ade_status ade__cuda_activation(cudaStream_t stream, const ade_activation_args *args);
ade_status ade__cuda_pool(cudaStream_t stream, const ade_pool_args *args);
ade_status ade__cuda_probs(cudaStream_t stream, const ade_probs_args *args);

/* ---- Device code --------------------------------------------------------------------------------------------------- */

enum { ADE_WARP = 32 };

static __device__ __forceinline__ uint32_t ade__bits(__half2 pair) {
    uint32_t bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
}

static __device__ __forceinline__ __half2 ade__pair(uint32_t bits) {
    __half2 pair;
    memcpy(&pair, &bits, sizeof pair);
    return pair;
}

/* Two fp32 values to f16, round to nearest even; `low` in the low half. */
static __device__ __forceinline__ uint32_t ade__pack2(float low, float high) {
    return ade__bits(__floats2half2_rn(low, high));
}

static __device__ __forceinline__ void ade__unpack8(uint4 raw, float values[8]) {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float2 two = __half22float2(ade__pair(words[i]));
        values[2 * i] = two.x;
        values[2 * i + 1] = two.y;
    }
}

static __device__ __forceinline__ uint4 ade__pack8(const float values[8]) {
    return make_uint4(ade__pack2(values[0], values[1]), ade__pack2(values[2], values[3]),
                      ade__pack2(values[4], values[5]), ade__pack2(values[6], values[7]));
}

/* Over the 32 lanes, in an order that is the same for every warp; all lanes get the result. All lanes must come. */
static __device__ __forceinline__ float ade__warp_sum(float value) {
#pragma unroll
    for (int distance = ADE_WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

static __device__ __forceinline__ float ade__warp_max(float value) {
#pragma unroll
    for (int distance = ADE_WARP / 2; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}

#endif
