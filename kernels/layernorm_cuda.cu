/* SPDX-License-Identifier: Apache-2.0
 * out = LN((x + bias) + residual), row by row; out may be x or residual. f16 in and out, fp32 between; out_exact gets
 * the same before it is rounded.
 *
 * A warp has a row (cuda_rows.cuh). Moves 3 x 2 H bytes a row (x and residual in, out out; 4 H more where out_exact is
 * wanted); bias, weight and ln_bias, 12 H bytes, come from the first-level cache. At H = 768 that is 4,608 bytes a row
 * and about 400 warp instructions: 100 cycles of an SM's four schedulers, where a memory of 3.35 TB/s shared by 132 SMs
 * at 1.7 GHz needs 310 cycles. Target: 90 % of the device's copy rate. */
#include "cuda_rows.cuh"

struct sum_row {
    const __half *x, *residual; /* (H) */
    const float  *bias;         /* (H) or NULL */

    /* Plain loads: the output may lie here, so the read-only path is not allowed. */
    template <int VECTORS> __device__ __forceinline__ void load(float (&v)[VECTORS][8], int lane, bool last) const {
        uint4 a[VECTORS] = {}, b[VECTORS] = {};
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            const int at = i * ADE_WARP + lane;
            if (i == VECTORS - 1 && !last) break;
            a[i] = reinterpret_cast<const uint4 *>(x)[at];
            b[i] = reinterpret_cast<const uint4 *>(residual)[at];
        }
        float other[8];
#pragma unroll
        for (int i = 0; i < VECTORS; i++) ade__unpack8(a[i], v[i]);
        if (bias) {
#pragma unroll
            for (int i = 0; i < VECTORS; i++) {
                if (i == VECTORS - 1 && !last) break;
                ade__load_weights8(bias, i * ADE_WARP + lane, other);
#pragma unroll
                for (int j = 0; j < 8; j++) v[i][j] += other[j];
            }
        }
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            ade__unpack8(b[i], other);
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] += other[j];
        }
    }

    __device__ __forceinline__ float at(int i) const {
        return (__half2float(x[i]) + (bias ? __ldg(bias + i) : 0.0f)) + __half2float(residual[i]);
    }
};

template <int VECTORS>
static __global__ void __launch_bounds__(ADE_ROW_THREADS) layernorm_kernel(ade_layernorm_args args, float per_h) {
    const unsigned row = ade__row_of_warp();
    if (row >= static_cast<unsigned>(args.m)) return;
    const size_t  begin = static_cast<size_t>(row) * static_cast<size_t>(args.h);
    const sum_row v = {static_cast<const __half *>(args.x) + begin, static_cast<const __half *>(args.residual) + begin,
                       args.bias};
    ade__layernorm_row<VECTORS>(v, args.h, per_h, args.eps, args.ln_weight, args.ln_bias,
                                static_cast<__half *>(args.out) + begin,
                                args.out_exact ? args.out_exact + begin : nullptr);
}

struct launcher {
    template <int VECTORS> static ade_status launch(cudaStream_t stream, const ade_layernorm_args &args) {
        const auto kernel = layernorm_kernel<VECTORS>;
        ADE_LAUNCH(kernel, ade__row_blocks(args.m), ADE_ROW_THREADS, stream, args, 1.0f / static_cast<float>(args.h));
        ADE_CUDA_TRY(cudaGetLastError());
        return ADE_OK;
    }
};

ade_status ade__cuda_layernorm(cudaStream_t stream, const ade_layernorm_args *args) {
    if (args->m == 0 || args->h == 0) return ADE_OK;
    return ade__row_launch<launcher>(stream, *args);
}
