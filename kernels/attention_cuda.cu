/* SPDX-License-Identifier: Apache-2.0
 * out[i, a] = sum_j softmax_j(scale <q[i, a], k[j, a]>) v[j, a] over the tokens j of i's sequence; ops.h,
 * ade_attention_args, has the contract. Three kernels, each described at the top of its file:
 *
 *   attention_short_cuda.cuh     L <= 64, D = 32 or 64: everything in registers
 *   attention_stream_cuda.cuh    L > 64, D = 32 or 64: keys and values through shared memory
 *   attention_generic_cuda.cuh   any other D up to 256, and rows that do not start at multiples of 16 bytes
 *
 * Which one serves a sequence depends on its own length and the model's shape alone, so its bits do not depend on the
 * batch. A batch with sequences of both sorts gets both launches, and each kernel leaves the other's sequences alone; a
 * query is the same row of the same fragment in any batch, and the first query with first_only, too. */
#include "attention_generic_cuda.cuh"
#include "attention_short_cuda.cuh"
#include "attention_stream_cuda.cuh"

enum { MAX_HEAD = 256 };

/* All of an array's rows start at multiples of 16 bytes, no further apart than the fast kernels allow. */
static int aligned(const void *rows, int32_t stride) {
    return reinterpret_cast<uintptr_t>(rows) % 16 == 0 && stride % 8 == 0 && stride <= ADE_ATTENTION_STRIDE;
}

/* Blocks of a launch that gives each sequence `per_sequence` of them; 0 if that is more than a grid can have. */
static int grid_size(const ade_attention_args *args, int64_t per_sequence) {
    const int64_t blocks = args->s * per_sequence;
    return blocks <= INT32_MAX ? static_cast<int>(blocks) : 0;
}

static ade_status too_many(const ade_attention_args *args) {
    return ade__cuda_report(ADE_UNSUPPORTED,
                            "attention: %d texts of up to %d tokens with %d heads are more than one launch can take; "
                            "use smaller batches",
                            static_cast<int>(args->s), static_cast<int>(args->max_len), static_cast<int>(args->a));
}

template <int D, int KEYS>
static ade_status launch_short(cudaStream_t stream, const ade_attention_args *args, const attention_view &view) {
    const int  longest = args->max_len < KEYS ? args->max_len : KEYS;
    const int  tiles = args->first_only ? 1 : (longest + 15) / 16;
    const int  heads = ADE_ATTENTION_WARPS / tiles; /* of a block */
    const int  groups = (args->a + heads - 1) / heads;
    const int  grid = grid_size(args, groups);
    const auto attention = attention_short<D, KEYS>;
    if (!grid) return too_many(args);
    ADE_LAUNCH(attention, grid, dim3(ADE_WARP, tiles, heads), stream, view, static_cast<unsigned int>(groups));
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

template <int D>
static ade_status launch_stream(cudaStream_t stream, const ade_attention_args *args, const attention_view &view) {
    const int  queries = args->first_only ? 1 : args->max_len;
    const int  blocks = (queries + ADE_STREAM_QUERIES - 1) / ADE_STREAM_QUERIES;
    const int  grid = grid_size(args, static_cast<int64_t>(args->a) * blocks);
    const auto attention = attention_stream<D>;
    if (!grid) return too_many(args);
    ADE_LAUNCH(attention, grid, ADE_ATTENTION_THREADS, stream, view, static_cast<unsigned int>(blocks));
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

template <int COLUMNS>
static ade_status launch_generic(cudaStream_t stream, const ade_attention_args *args, const attention_view &view,
                                 int is_aligned) {
    const int  per_block = ADE_GENERIC_QUERIES * ADE_ATTENTION_WARPS;
    const int  queries = args->first_only ? 1 : args->max_len;
    const int  blocks = (queries + per_block - 1) / per_block;
    const int  grid = grid_size(args, static_cast<int64_t>(args->a) * blocks);
    const auto attention = attention_generic<COLUMNS>;
    if (!grid) return too_many(args);
    ADE_LAUNCH(attention, grid, ADE_ATTENTION_THREADS, stream, view, static_cast<unsigned int>(blocks), is_aligned);
    ADE_CUDA_TRY(cudaGetLastError());
    return ADE_OK;
}

/* Only kernels that a length between min_len and max_len can need. */
template <int D>
static ade_status launch_by_length(cudaStream_t stream, const ade_attention_args *args, const attention_view &view) {
    ade_status status = ADE_OK;
    if (args->min_len <= 32) status = launch_short<D, 32>(stream, args, view);
    if (!status && args->min_len <= 64 && args->max_len > 32) status = launch_short<D, 64>(stream, args, view);
    if (!status && args->max_len > ADE_ATTENTION_SHORT) status = launch_stream<D>(stream, args, view);
    return status;
}

ade_status ade__cuda_attention(cudaStream_t stream, const ade_attention_args *args) {
    if (args->t <= 0 || args->s <= 0 || args->a <= 0 || args->d <= 0) return ADE_OK;
    if (args->d > MAX_HEAD)
        return ade__cuda_report(ADE_UNSUPPORTED,
                                "attention: the model's head size is %d, and the CUDA backend computes heads of at "
                                "most %d; use the CPU",
                                static_cast<int>(args->d), MAX_HEAD);
    if (args->max_len < 1 || args->min_len > args->max_len)
        return ade__cuda_report(ADE_INTERNAL, "attention: a batch with texts of %d to %d tokens cannot be",
                                static_cast<int>(args->min_len), static_cast<int>(args->max_len));
    attention_view view;
    view.q = static_cast<const __half *>(args->q);
    view.k = static_cast<const __half *>(args->k);
    view.v = static_cast<const __half *>(args->v);
    view.out = static_cast<__half *>(args->out);
    view.cu_seqlens = args->cu_seqlens;
    view.q_stride = args->q_stride;
    view.kv_stride = args->kv_stride;
    view.heads = args->a;
    view.d = args->d;
    view.first_only = args->first_only;
    view.scale_log2 = static_cast<float>(static_cast<double>(args->scale) * 1.4426950408889634); /* log2(e) */
    const int is_aligned = args->d % 8 == 0 && aligned(args->q, args->q_stride) && aligned(args->k, args->kv_stride) &&
                           aligned(args->v, args->kv_stride) && aligned(args->out, args->a * args->d);
    if (is_aligned && args->d == 32) return launch_by_length<32>(stream, args, view);
    if (is_aligned && args->d == 64) return launch_by_length<64>(stream, args, view);
    if (args->d <= 32) return launch_generic<1>(stream, args, view, is_aligned);
    if (args->d <= 64) return launch_generic<2>(stream, args, view, is_aligned);
    if (args->d <= 128) return launch_generic<4>(stream, args, view, is_aligned);
    return launch_generic<8>(stream, args, view, is_aligned);
}
