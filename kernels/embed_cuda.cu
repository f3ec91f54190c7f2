/* SPDX-License-Identifier: Apache-2.0
 * x[t] = LN(word[ids[t]] + type[types[t]] + position[positions[t]]), summed in that order in fp32; x and the tables
 * are f16.
 *
 * A warp has a token (cuda_rows.cuh). Moves 2 x 2 H bytes a token to and from memory: a row of the word table in, x
 * out; positions (512 x 2 H bytes) and types come from the second-level cache, 2 x 2 H more; the indices are 12 bytes.
 * Target: 90 % of the device's copy rate on 4 H bytes a token. */
#include "cuda_rows.cuh"

struct token_row {
    const __half *word, *type, *position; /* the token's rows of the tables */

    template <int VECTORS> __device__ __forceinline__ void load(float (&v)[VECTORS][8], int lane, bool last) const {
        const uint4 *words = reinterpret_cast<const uint4 *>(word);
        const uint4 *types = reinterpret_cast<const uint4 *>(type);
        const uint4 *positions = reinterpret_cast<const uint4 *>(position);
        uint4        a[VECTORS] = {}, b[VECTORS] = {}, c[VECTORS] = {};
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            const int at = i * ADE_WARP + lane;
            if (i == VECTORS - 1 && !last) break;
            a[i] = __ldg(words + at);
            b[i] = __ldg(types + at);
            c[i] = __ldg(positions + at);
        }
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            float other[8];
            ade__unpack8(a[i], v[i]);
            ade__unpack8(b[i], other);
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] += other[j];
            ade__unpack8(c[i], other);
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] += other[j];
        }
    }

    __device__ __forceinline__ float at(int i) const {
        return (__half2float(word[i]) + __half2float(type[i])) + __half2float(position[i]);
    }
};

template <int VECTORS>
static __global__ void __launch_bounds__(ADE_ROW_THREADS) embed_kernel(ade_embed_args args, float per_h) {
    const unsigned token = ade__row_of_warp();
    if (token >= static_cast<unsigned>(args.t)) return;
    const size_t    h = static_cast<size_t>(args.h);
    const token_row v = {
        static_cast<const __half *>(args.word) + static_cast<size_t>(__ldg(args.ids + token)) * h,
        static_cast<const __half *>(args.type) + (args.types ? static_cast<size_t>(__ldg(args.types + token)) * h : 0),
        static_cast<const __half *>(args.position) + static_cast<size_t>(__ldg(args.positions + token)) * h};
    ade__layernorm_row<VECTORS>(v, args.h, per_h, args.eps, args.ln_weight, args.ln_bias,
                                static_cast<__half *>(args.x) + token * h, nullptr);
}

struct launcher {
    template <int VECTORS> static ade_status launch(cudaStream_t stream, const ade_embed_args &args) {
        const auto kernel = embed_kernel<VECTORS>;
        ADE_LAUNCH(kernel, ade__row_blocks(args.t), ADE_ROW_THREADS, stream, args, 1.0f / static_cast<float>(args.h));
        ADE_CUDA_TRY(cudaGetLastError());
        return ADE_OK;
    }
};

ade_status ade__cuda_embed(cudaStream_t stream, const ade_embed_args *args) {
    if (args->t == 0 || args->h == 0) return ADE_OK;
    return ade__row_launch<launcher>(stream, *args);
}
