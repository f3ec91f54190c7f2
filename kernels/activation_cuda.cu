/* SPDX-License-Identifier: Apache-2.0
 * y = act(x + bias), element by element; y may be x. f16 in and out with fp32 between, or all fp32 (exact).
 *
 * A thread has 8 neighbouring columns of ROWS rows, a warp 256 columns of them, a block ROWS x WARPS rows: the bias
 * stays in registers, and the rows' loads are under way together. N that is no multiple of 8 goes to a kernel of its
 * own, a warp a row, element by element. Moves 2 x 2 N bytes a row; the bias, 4 N, once a block, from the second-level
 * cache. Target: 90 % of the device's copy rate.
 *
 * What that leaves for arithmetic: 132 SMs at 1.7 GHz issue 28.7e12 instructions of a thread a second; 4.3 TB/s
 * are 1.1e12 elements of 4 bytes, so 26 instructions each, 3.3 of them on the special function unit. As compiled for
 * sm_90, conversions, bias, addresses and accesses are 6 and gelu_erf 13 more, one of them special; erff would make it
 * 25 more, beyond what there is. */
#include "cuda_mma.cuh"

enum { WARPS = 4, THREADS = WARPS * ADE_WARP, ROWS = 4 };

/* Log2 of the normal distribution's tail, log2(Phi(-a)), a >= 0: coefficients by fit_gelu.py. */
static __device__ __forceinline__ float log2_tail(float a) {
    float p = -9.287350622e-7f;
    p = fmaf(p, a, 4.775150228e-5f);
    p = fmaf(p, a, -8.478355012e-4f);
    p = fmaf(p, a, 8.264075033e-3f);
    p = fmaf(p, a, -5.359102786e-2f);
    p = fmaf(p, a, -0.4587341249f);
    p = fmaf(p, a, -1.1511725187f);
    return fmaf(p, a, -1.0f);
}

/* For f16 results, which they miss by less than 0.005 of f16's last place before the rounding.
 * gelu_erf(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|): nothing cancels, and the relative error lasts on the long way to
 * 0 (absolute: below 5e-7). Beyond the fit log2_tail goes to minus infinity, and 2 to it to 0. gelu_tanh and silu have
 * the form x / (1 + 2^e), which for a large e is x / infinity = 0. */
template <ade_act_kind KIND> static __device__ __forceinline__ float apply(float x, __half) {
    if constexpr (KIND == ADE_FN_GELU_ERF) {
        const float a = fabsf(x);
        return fmaf(-a, ade__exp2(log2_tail(a)), fmaxf(x, 0.0f));
    } else if constexpr (KIND == ADE_FN_GELU_TANH) { /* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) */
        const float scale = -2.0f * 1.44269504f * 0.79788456f;
        return __fdividef(x, 1.0f + ade__exp2(x * fmaf(x * x, scale * 0.044715f, scale)));
    } else if constexpr (KIND == ADE_FN_RELU) {
        return fmaxf(x, 0.0f);
    } else if constexpr (KIND == ADE_FN_SILU) {
        return __fdividef(x, 1.0f + ade__exp2(x * -1.44269504f));
    } else {
        return tanhf(x);
    }
}

/* For fp32 results. */
template <ade_act_kind KIND> static __device__ __forceinline__ float apply(float x, float) {
    if constexpr (KIND == ADE_FN_GELU_ERF) {
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    } else if constexpr (KIND == ADE_FN_GELU_TANH) {
        return 0.5f * x * (1.0f + tanhf(0.79788456f * fmaf(0.044715f * x * x, x, x)));
    } else if constexpr (KIND == ADE_FN_RELU) {
        return fmaxf(x, 0.0f);
    } else if constexpr (KIND == ADE_FN_SILU) {
        return x / (1.0f + expf(-x));
    } else {
        return tanhf(x);
    }
}

static __device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
static __device__ __forceinline__ float to_float(float x) { return x; }
static __device__ __forceinline__ void  store(__half *y, float value) { *y = __float2half_rn(value); }
static __device__ __forceinline__ void  store(float *y, float value) { *y = value; }

/* 8 elements of T as they lie in memory. */
template <class T> struct eight;
template <> struct eight<__half> { uint4 all; };
template <> struct eight<float> { float4 low, high; };

static __device__ __forceinline__ void unpack(const eight<__half> &from, float to[8]) { ade__unpack8(from.all, to); }
static __device__ __forceinline__ void unpack(const eight<float> &from, float to[8]) {
    to[0] = from.low.x, to[1] = from.low.y, to[2] = from.low.z, to[3] = from.low.w;
    to[4] = from.high.x, to[5] = from.high.y, to[6] = from.high.z, to[7] = from.high.w;
}

static __device__ __forceinline__ void pack(const float from[8], eight<__half> &to) { to.all = ade__pack8(from); }
static __device__ __forceinline__ void pack(const float from[8], eight<float> &to) {
    to.low = make_float4(from[0], from[1], from[2], from[3]);
    to.high = make_float4(from[4], from[5], from[6], from[7]);
}

/* Blocks are numbered along the columns first: neighbours share rows. */
template <class T, ade_act_kind KIND>
static __global__ void __launch_bounds__(THREADS) activation_kernel(ade_activation_args args) {
    const unsigned vectors = static_cast<unsigned>(args.n) / 8, tiles = (vectors + ADE_WARP - 1) / ADE_WARP;
    const unsigned column = blockIdx.x % tiles * ADE_WARP + threadIdx.x % ADE_WARP;
    const unsigned first = blockIdx.x / tiles * (ROWS * WARPS) + threadIdx.x / ADE_WARP; /* then every WARPS-th */
    const unsigned m = static_cast<unsigned>(args.m);
    if (column >= vectors) return;
    const eight<T> *x = static_cast<const eight<T> *>(args.x) + static_cast<size_t>(first) * vectors + column;
    eight<T>       *y = static_cast<eight<T> *>(args.y) + static_cast<size_t>(first) * vectors + column;
    const size_t    step = static_cast<size_t>(WARPS) * vectors;

    eight<T> in[ROWS] = {};
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        if (first + r * WARPS < m) in[r] = x[r * step];
    float bias[8] = {};
    if (args.bias) {
        const float4      *from = reinterpret_cast<const float4 *>(args.bias) + 2 * static_cast<size_t>(column);
        const eight<float> raw = {__ldg(from), __ldg(from + 1)};
        unpack(raw, bias);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (first + r * WARPS >= m) break;
        float    values[8];
        eight<T> out;
        unpack(in[r], values);
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = apply<KIND>(values[i] + bias[i], T());
        pack(values, out);
        y[r * step] = out;
    }
}

template <class T, ade_act_kind KIND>
static __global__ void __launch_bounds__(THREADS) activation_any_kernel(ade_activation_args args) {
    const unsigned row = blockIdx.x * WARPS + threadIdx.x / ADE_WARP;
    if (row >= static_cast<unsigned>(args.m)) return;
    const size_t begin = static_cast<size_t>(row) * static_cast<size_t>(args.n);
    const T     *x = static_cast<const T *>(args.x) + begin;
    T           *y = static_cast<T *>(args.y) + begin;
    for (int i = threadIdx.x % ADE_WARP; i < args.n; i += ADE_WARP)
        store(y + i, apply<KIND>(to_float(x[i]) + (args.bias ? __ldg(args.bias + i) : 0.0f), T()));
}

template <class T, ade_act_kind KIND> static ade_status launch(cudaStream_t stream, ade_activation_args args) {
    const unsigned m = static_cast<unsigned>(args.m), n = static_cast<unsigned>(args.n);
    if (n % 8 == 0) {
        const auto     kernel = activation_kernel<T, KIND>;
        const unsigned tiles = (n / 8 - 1) / ADE_WARP + 1, row_tiles = (m - 1) / (ROWS * WARPS) + 1;
        ADE_LAUNCH(kernel, tiles * row_tiles, THREADS, stream, args);
    } else {
        const auto     kernel = activation_any_kernel<T, KIND>;
        const unsigned blocks = (m - 1) / WARPS + 1;
        ADE_LAUNCH(kernel, blocks, THREADS, stream, args);
    }
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

template <class T> static ade_status launch_kind(cudaStream_t stream, const ade_activation_args *args) {
    switch (args->kind) {
    case ADE_FN_GELU_ERF: return launch<T, ADE_FN_GELU_ERF>(stream, *args);
    case ADE_FN_GELU_TANH: return launch<T, ADE_FN_GELU_TANH>(stream, *args);
    case ADE_FN_RELU: return launch<T, ADE_FN_RELU>(stream, *args);
    case ADE_FN_SILU: return launch<T, ADE_FN_SILU>(stream, *args);
    case ADE_FN_TANH: return launch<T, ADE_FN_TANH>(stream, *args);
    }
    return ade__cuda_report(ADE_INTERNAL, "activation kind %d is not one of ops.h", static_cast<int>(args->kind));
}

ade_status ade__cuda_activation(cudaStream_t stream, const ade_activation_args *args) {
    if (args->m == 0 || args->n == 0) return ADE_OK;
    return args->exact ? launch_kind<float>(stream, args) : launch_kind<__half>(stream, args);
}
