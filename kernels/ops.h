/* SPDX-License-Identifier: Apache-2.0
 * THE CONTRACT between the host side and a backend: what each op computes, on what, how exactly. Read by C, C++ and
 * CUDA compilers; every backend implements all of it, and tests/ops/reference.c implements it once more in double.
 *
 * Dimensions   T tokens of a packed batch, S sequences, H hidden, A heads, D = H / A, F intermediate, C labels.
 * Packed       the tokens of all sequences one after another, no padding: sequence s is rows [cu[s], cu[s + 1]).
 * Layout       row-major, no gaps between rows unless a stride is an argument. Buffers from `alloc` start at 64 bytes
 *              and have room for ADE_ROW_PAD more rows than asked for, which an op may write; nothing else may be
 *              written outside an op's stated outputs.
 * Types        "act" is the type in which matrix products take their inputs (f32 or bf16 on a CPU, f16 on a GPU),
 *              "res" the type of the residual stream and of products' outputs (f32 on a CPU, f16 on a GPU). Sums are
 *              always fp32.
 * Aliasing     an output may not overlap an input unless the op says so.
 * Invariance   a row's (or sequence's) output bits depend on that row (sequence) and the weights alone: not on T, S, its
 *              place in the batch, its neighbours or the threads.
 * Tolerance    largest |error| against the reference with inputs of unit scale, for act = f32 / bf16; f16 is f32's
 *              times 2^13 for outputs stored as f16.
 * Failure      every op returns an ade_status; sizes of 0 are legal and do nothing.
 */
#ifndef ADE_OPS_H
#define ADE_OPS_H

#include "adesieve.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ADE_BACKEND_ABI 1 /* grows with every change of this file */
#define ADE_ROW_PAD 128   /* a backend may compute this many rows beyond the last */

typedef enum ade_dtype { ADE_F32 = 0, ADE_BF16 = 1, ADE_F16 = 2 } ade_dtype;

typedef enum ade_act_kind { /* x is the argument */
    ADE_FN_GELU_ERF = 0,    /* x / 2 (1 + erf(x / sqrt 2)); Hugging Face "gelu" */
    ADE_FN_GELU_TANH = 1,   /* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); Google's BERT code */
    ADE_FN_RELU = 2,        /* max(x, 0) */
    ADE_FN_SILU = 3,        /* x / (1 + exp(-x)) */
    ADE_FN_TANH = 4
} ade_act_kind;

typedef struct ade_backend ade_backend; /* a device, opened in one precision; shared by its execs */
typedef struct ade_exec    ade_exec;    /* one worker's queue on the device, with its scratch memory; one thread */
typedef struct ade_linear  ade_linear;  /* one weight matrix, laid out for the device; shared, immutable */

/* Y = X W^T + b. Made once per matrix. */
typedef struct ade_linear_desc {
    const float *weight;  /* (N, K) host, fp32 */
    const float *bias;    /* (N) host, fp32; NULL = 0 */
    int32_t      n, k;
    int32_t      exact;   /* 1: inputs and weights stay fp32 whatever the precision (the head) */
} ade_linear_desc;

typedef struct ade_linear_args {
    const ade_linear *linear;
    const void       *x; /* (M, K) act; fp32 if exact */
    void             *y; /* (M, N) res; fp32 if exact. Tolerance 3e-6 sqrt(K) / 4e-3 sqrt(K) */
    int32_t           m;
} ade_linear_args;

/* x[t] = LN(word[ids[t]] + type[types[t]] + position[positions[t]]), summed in that order.
 * LN(v) = (v - mean(v)) / sqrt(var(v) + eps) * ln_weight + ln_bias; variance by a second pass over v - mean. */
typedef struct ade_embed_args {
    const int32_t *ids, *types, *positions; /* (T); types NULL = all 0 */
    const void    *word, *position, *type;  /* (V, H), (P, H), (Y, H) of table_type */
    ade_dtype      table_type;
    const float   *ln_weight, *ln_bias; /* (H) */
    float          eps;
    void          *x;     /* (T, H) res. Tolerance 4e-6 / 4e-6 */
    void          *x_act; /* (T, H) the same rounded to act; NULL when act = res */
    int32_t        t, h;
} ade_embed_args;

/* out[i, a] = sum_j softmax_j(scale <q[i, a], k[j, a]>) v[j, a] over the tokens j of i's sequence.
 * first_only: only the first token of each sequence asks; then q and out have a row per sequence. */
typedef struct ade_attention_args {
    const void    *q;          /* (T, A, D) res, or (S, A, D) if first_only; row stride q_stride elements */
    const void    *k, *v;      /* (T, A, D) res; row stride kv_stride elements */
    int32_t        q_stride, kv_stride;
    const int32_t *cu_seqlens; /* (S + 1), cu[0] = 0, cu[S] = T, ascending; every sequence has at least one token */
    void          *out;        /* (T, A, D) or (S, A, D), act, dense. Tolerance 4e-6 / 4e-3 */
    int32_t        t, s, a, d, max_len, first_only;
    float          scale;      /* 1 / sqrt(D) */
} ade_attention_args;

/* out = LN(x + residual); `out` may be `residual` or `x`. */
typedef struct ade_layernorm_args {
    const void  *x;        /* (M, H) res */
    const void  *residual; /* (M, H) res */
    const float *ln_weight, *ln_bias; /* (H) */
    float        eps;
    void        *out;      /* (M, H) res. Tolerance 4e-6 / 4e-6 */
    void        *out_act;  /* (M, H) act; NULL when act = res */
    int32_t      m, h;
} ade_layernorm_args;

/* y = act(x); y may be x when the types agree. */
typedef struct ade_activation_args {
    const void  *x; /* (M, N) res */
    void        *y; /* (M, N) act; fp32 if exact. Tolerance 4e-7 / 4e-3, relative to max(1, |x|) */
    ade_act_kind kind;
    int32_t      m, n;
    int32_t      exact; /* 1: x and y are fp32 whatever the precision */
} ade_activation_args;

/* out[s] = x[cu_seqlens[s]]: the first token of each sequence; twice, for the residual and for act inputs. */
typedef struct ade_pool_args {
    const void    *x;     /* (T, H) res */
    const void    *x_act; /* (T, H) act; NULL when act = res */
    const int32_t *cu_seqlens;
    void          *out;     /* (S, H) res; exact copy */
    void          *out_act; /* (S, H) act; NULL when act = res */
    int32_t        s, h;
} ade_pool_args;

/* logits = x W^T + b, probabilities = softmax | sigmoid | identity of them (ade_problem). All fp32; the sum over H runs
 * in one fixed order. Softmax subtracts the maximum. */
typedef struct ade_probs_args {
    const float *x;             /* (S, H) */
    const float *weight, *bias; /* (C, H), (C) */
    float       *logits;        /* (S, C). Tolerance 2e-6 sqrt(H) */
    float       *probabilities; /* (S, C). Tolerance 1e-6 */
    int32_t      s, h, c;
    int32_t      problem;       /* ade_problem */
} ade_probs_args;

typedef struct ade_backend_options {
    int32_t device_index;
    int32_t precision; /* ade_precision; AUTO = the backend's best */
} ade_backend_options;

typedef struct ade_backend_info {
    int32_t     precision;       /* resolved */
    ade_dtype   act, res;
    int32_t     token_budget;    /* tokens per batch that suit the device */
    const char *device_name;     /* static or owned by the backend */
    const char *instruction_set;
} ade_backend_info;

/* A backend is this table. The first two members never move: the loader compares them before it reads anything else. */
typedef struct ade_ops {
    uint32_t    abi;         /* ADE_BACKEND_ABI */
    uint32_t    struct_size; /* sizeof(ade_ops) */
    const char *name;        /* "cpu", "cuda" */

    ade_status (*open)(const ade_backend_options *options, ade_backend **out);
    void (*close)(ade_backend *backend);
    void (*describe)(const ade_backend *backend, ade_backend_info *info);

    /* Device memory. alloc: uninitialised but for the row pad; upload copies from the host, download to it. */
    ade_status (*alloc)(ade_backend *backend, size_t rows, size_t row_bytes, void **out);
    void (*release)(ade_backend *backend, void *memory);
    ade_status (*upload)(ade_backend *backend, void *device, const void *host, size_t bytes);

    ade_status (*linear_create)(ade_backend *backend, const ade_linear_desc *desc, ade_linear **out);
    void (*linear_destroy)(ade_linear *linear);

    /* max_tokens, max_len: the largest batch and text that will come, head_size the model's D; so that nothing is
     * allocated later. */
    ade_status (*exec_create)(ade_backend *backend, int32_t max_tokens, int32_t max_len, int32_t head_size,
                              ade_exec **out);
    void (*exec_destroy)(ade_exec *exec);
    /* Makes `linear` ready to run on `exec` with up to max_rows rows without allocating. */
    ade_status (*exec_prepare)(ade_exec *exec, const ade_linear *linear, int32_t max_rows);

    ade_status (*embed)(ade_exec *exec, const ade_embed_args *args);
    ade_status (*linear)(ade_exec *exec, const ade_linear_args *args);
    ade_status (*attention)(ade_exec *exec, const ade_attention_args *args);
    ade_status (*layernorm)(ade_exec *exec, const ade_layernorm_args *args);
    ade_status (*activation)(ade_exec *exec, const ade_activation_args *args);
    ade_status (*pool)(ade_exec *exec, const ade_pool_args *args);
    ade_status (*probs)(ade_exec *exec, const ade_probs_args *args);
} ade_ops;

/* The backend that is always there. */
const ade_ops *ade__cpu_ops(void);

#ifdef __cplusplus
}
#endif
#endif
