/* SPDX-License-Identifier: Apache-2.0
 * x[t] = LN(word[ids[t]] + type[types[t]] + position[positions[t]]), summed in that order in fp32; x is f16. Tables of
 * f16 are read by vectors, tables of f32 and bf16 by the instance for any H.
 *
 * A warp has a token (cuda_rows.cuh). Moves 2 x 2 H bytes a token to and from memory: a row of the word table in, x
 * out; positions (512 x 2 H bytes) and types come from the second-level cache, 2 x 2 H more; the indices are 12 bytes.
 * Target: 90 % of the device's copy rate on 4 H bytes a token. */
#include "cuda_rows.cuh"

static __device__ __forceinline__ float table_at(const void *table, ade_dtype type, size_t index) {
    switch (type) {
    case ADE_F32: return __ldg(static_cast<const float *>(table) + index);
    case ADE_BF16: /* the upper half of an fp32 */
        return __uint_as_float(static_cast<uint32_t>(static_cast<const uint16_t *>(table)[index]) << 16);
    default: return __half2float(static_cast<const __half *>(table)[index]);
    }
}

struct token_row {
    const void *word, *type, *position;        /* tables */
    size_t      of_word, of_type, of_position; /* the first elements of the token's rows */
    ade_dtype   table_type;

    template <int VECTORS> __device__ __forceinline__ void load(float (&v)[VECTORS][8], int lane, bool last) const {
        const uint4 *words = reinterpret_cast<const uint4 *>(static_cast<const __half *>(word) + of_word);
        const uint4 *types = reinterpret_cast<const uint4 *>(static_cast<const __half *>(type) + of_type);
        const uint4 *positions = reinterpret_cast<const uint4 *>(static_cast<const __half *>(position) + of_position);
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
        const size_t at = static_cast<size_t>(i);
        return (table_at(word, table_type, of_word + at) + table_at(type, table_type, of_type + at)) +
               table_at(position, table_type, of_position + at);
    }
};

template <int VECTORS>
static __global__ void __launch_bounds__(ADE_ROW_THREADS) embed_kernel(ade_embed_args args, float per_h) {
    const unsigned token = ade__row_of_warp();
    if (token >= static_cast<unsigned>(args.t)) return;
    const size_t    h = static_cast<size_t>(args.h);
    const token_row v = {args.word,
                         args.type,
                         args.position,
                         static_cast<size_t>(__ldg(args.ids + token)) * h,
                         args.types ? static_cast<size_t>(__ldg(args.types + token)) * h : 0,
                         static_cast<size_t>(__ldg(args.positions + token)) * h,
                         args.table_type};
    ade__layernorm_row<VECTORS>(v, args.h, per_h, args.eps, args.ln_weight, args.ln_bias,
                                static_cast<__half *>(args.x) + token * h, nullptr);
}

template <int VECTORS> static ade_status launch(cudaStream_t stream, ade_embed_args args) {
    const auto kernel = embed_kernel<VECTORS>;
    ADE_LAUNCH(kernel, ade__row_blocks(args.t), ADE_ROW_THREADS, stream, args, 1.0f / static_cast<float>(args.h));
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

ade_status ade__cuda_embed(cudaStream_t stream, const ade_embed_args *args) {
    if (args->t == 0 || args->h == 0) return ADE_OK;
    switch (args->table_type == ADE_F16 ? ade__row_vectors(args->h) : 0) {
    case 1: return launch<1>(stream, *args);
    case 2: return launch<2>(stream, *args);
    case 3: return launch<3>(stream, *args);
    case 4: return launch<4>(stream, *args);
    case 5: return launch<5>(stream, *args);
    case 6: return launch<6>(stream, *args);
    case 7: return launch<7>(stream, *args);
    case 8: return launch<8>(stream, *args);
    default: return launch<0>(stream, *args);
    }
}
