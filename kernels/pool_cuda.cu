/* SPDX-License-Identifier: Apache-2.0
 * out[s] = x[cu_seqlens[s]]: the row of each sequence's first token, f16, copied bit by bit.
 *
 * A warp has a sequence; 16 bytes an access where H is a multiple of 8, else an element. Moves 2 x 2 H bytes and an
 * index of 4 a sequence. At 30 tokens a text that is a thirtieth of a LayerNorm's bytes, once per batch: the launch
 * costs more than the copy. Target: 4 microseconds a batch of 200 texts. */
#include "cuda_common.cuh"

enum { WARPS = 4, THREADS = WARPS * ADE_WARP };

template <class T> static __global__ void __launch_bounds__(THREADS) pool_kernel(ade_pool_args args, int32_t row_size) {
    const unsigned s = blockIdx.x * WARPS + threadIdx.x / ADE_WARP;
    if (s >= static_cast<unsigned>(args.s)) return;
    const size_t size = static_cast<size_t>(row_size);
    const T     *from = static_cast<const T *>(args.x) + static_cast<size_t>(__ldg(args.cu_seqlens + s)) * size;
    T           *to = static_cast<T *>(args.out) + s * size;
#pragma unroll 4
    for (int i = threadIdx.x % ADE_WARP; i < row_size; i += ADE_WARP) to[i] = __ldg(from + i);
}

template <class T> static ade_status launch(cudaStream_t stream, ade_pool_args args, int32_t row_size) {
    const auto     kernel = pool_kernel<T>;
    const unsigned blocks = (static_cast<unsigned>(args.s) - 1) / WARPS + 1;
    ADE_LAUNCH(kernel, blocks, THREADS, stream, args, row_size);
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

ade_status ade__cuda_has_code(void) {
    const auto         kernel = pool_kernel<uint4>; /* any would do: all are compiled for the same architectures */
    cudaFuncAttributes attributes;
    const cudaError_t  error = cudaFuncGetAttributes(&attributes, kernel);
    if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction) {
        ADE_CUDA_TRY(error);
        return ADE_OK;
    }
    cudaGetLastError();
    return ade__cuda_report(ADE_UNSUPPORTED, "the GPU plugin was not built for this GPU; build adesieve with "
                                             "-DADESIEVE_CUDA_ARCHITECTURES=native, or use device cpu");
}

ade_status ade__cuda_pool(cudaStream_t stream, const ade_pool_args *args) {
    if (args->s == 0 || args->h == 0) return ADE_OK;
    if (args->h % 8 == 0) return launch<uint4>(stream, *args, args->h / 8);
    return launch<uint16_t>(stream, *args, args->h);
}
