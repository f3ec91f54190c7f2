/* SPDX-License-Identifier: Apache-2.0
 * logits = x W^T + b, probabilities = softmax | sigmoid | identity of them; everything fp32.
 *
 * A warp has a sequence and goes through its labels, CLASSES at a time so that their loads overlap. Lane l sums
 * elements l, l + 32, .. (as vectors of 4 where H is a multiple of 4), the lanes' sums are added in ade__warp_sum's
 * order: an order that follows from H alone. Label c then belongs to lane c % 32, which alone writes and rereads it.
 * Moves 4 H + 8 C bytes a sequence, and the weights' 4 C H once per SM. With two labels and some hundred texts a batch
 * that is nothing but latency: one pass over x, five shuffles a label, five for softmax's sum. Target: 5 microseconds a
 * batch of 200 texts. */
#include "cuda_common.cuh"

enum { WARPS = 4, THREADS = WARPS * ADE_WARP, CLASSES = 4 };

static __device__ __forceinline__ float multiply_add(float a, float b, float sum) { return fmaf(a, b, sum); }

static __device__ __forceinline__ float multiply_add(float4 a, float4 b, float sum) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

/* T: float or float4; row_size: H in elements of T. */
template <class T>
static __global__ void __launch_bounds__(THREADS) probs_kernel(ade_probs_args args, int32_t row_size) {
    const unsigned s = blockIdx.x * WARPS + threadIdx.x / ADE_WARP;
    const int      lane = threadIdx.x % ADE_WARP;
    if (s >= static_cast<unsigned>(args.s)) return;
    const size_t size = static_cast<size_t>(row_size);
    const T     *x = reinterpret_cast<const T *>(args.x) + s * size;
    const T     *weight = reinterpret_cast<const T *>(args.weight);
    float       *logits = args.logits + s * static_cast<size_t>(args.c);
    float       *probabilities = args.probabilities + s * static_cast<size_t>(args.c);

    float most = -INFINITY;
    for (int first = 0; first < args.c; first += CLASSES) {
        const T *rows[CLASSES];
        float    sums[CLASSES] = {};
#pragma unroll
        for (int j = 0; j < CLASSES; j++) /* beyond the last label: the last one again, not written */
            rows[j] = weight + static_cast<size_t>(min(first + j, args.c - 1)) * size;
#pragma unroll 2
        for (int i = lane; i < row_size; i += ADE_WARP) {
            const T value = __ldg(x + i);
#pragma unroll
            for (int j = 0; j < CLASSES; j++) sums[j] = multiply_add(value, __ldg(rows[j] + i), sums[j]);
        }
#pragma unroll
        for (int j = 0; j < CLASSES; j++) {
            const int   c = first + j;
            const float sum = ade__warp_sum(sums[j]);
            if (c >= args.c) continue;
            const float logit = sum + __ldg(args.bias + c);
            most = fmaxf(most, logit);
            if (lane == c % ADE_WARP) logits[c] = logit;
        }
    }

    if (args.problem == ADE_PROBLEM_SINGLE_LABEL) {
        float sum = 0;
        for (int c = lane; c < args.c; c += ADE_WARP) {
            const float e = expf(logits[c] - most);
            probabilities[c] = e;
            sum += e;
        }
        sum = ade__warp_sum(sum);
        for (int c = lane; c < args.c; c += ADE_WARP) probabilities[c] /= sum;
    } else if (args.problem == ADE_PROBLEM_MULTI_LABEL) {
        for (int c = lane; c < args.c; c += ADE_WARP) probabilities[c] = 1.0f / (1.0f + expf(-logits[c]));
    } else {
        for (int c = lane; c < args.c; c += ADE_WARP) probabilities[c] = logits[c];
    }
}

template <class T> static ade_status launch(cudaStream_t stream, ade_probs_args args, int32_t row_size) {
    const auto     kernel = probs_kernel<T>;
    const unsigned blocks = (static_cast<unsigned>(args.s) - 1) / WARPS + 1;
    ADE_LAUNCH(kernel, blocks, THREADS, stream, args, row_size);
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

ade_status ade__cuda_probs(cudaStream_t stream, const ade_probs_args *args) {
    if (args->s == 0 || args->c == 0) return ADE_OK;
    if (args->h % 4 == 0) return launch<float4>(stream, *args, args->h / 4);
    return launch<float>(stream, *args, args->h);
}
