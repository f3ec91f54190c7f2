/* SPDX-License-Identifier: Apache-2.0
 * THE CONTRACT between the host side and a backend: what each op computes, on what, how exactly. Read by C, C++ and
 * CUDA compilers; every backend implements all of it (<op>_cpu.c, <op>_cuda.cu; linear in gemm_*), and
 * tests/ops/reference.c implements it once more in double.
 *
 * Dimensions   T tokens of a packed batch, S sequences, H hidden, A heads, D = H / A, F intermediate, C labels.
 * Packed       the tokens of all sequences one after another, no padding: sequence s is rows [cu[s], cu[s + 1]).
 * Memory       every pointer in an op's arguments is device memory: from `alloc`, or inside it at a multiple of 16
 *              bytes; attention's q, k and v and probs' outputs may begin at any element. On a CPU, device memory is
 *              the host's.
 * Layout       row-major, no gaps between rows unless a stride is an argument. Buffers from `alloc` start at 64 bytes
 *              and have room for ADE_ROW_PAD more rows than asked for, which `linear` may write; nothing else may be
 *              written outside an op's stated outputs.
 * Order        an exec runs its ops one after another. On a GPU they are only queued: `wait` says when a batch is done
 *              and what went wrong.
 * Types        "act" is the type in which matrix products take their inputs (f32, bf16 or int8 on a CPU, f16 on a GPU),
 *              "res" the type of the residual stream and of products' outputs (f32 on a CPU, f16 on a GPU). Sums are
 *              fp32; exact integers in int8.
 * int8         a row of act is unsigned bytes u and one ade_quant, kept in an array of its own (the "rows" of a buffer):
 *              value = scale (u - zero). Weights are signed bytes with a scale for each output.
 * Aliasing     an output may not overlap an input unless the op says so.
 * Invariance   a row's (or sequence's) output bits depend on that row (sequence) and the weights alone: not on T, S, its
 *              place in the batch, its neighbours or the threads.
 * Tolerance    largest |error| against the reference with inputs of unit scale, for act = f32 / bf16 / f16. f16 inputs
 *              are rounded before the reference sees them; an output that stays fp32 (`exact`, probs) has f32's.
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

#define ADE_BACKEND_ABI 3 /* grows with every change of this file */
#define ADE_ROW_PAD 128   /* a backend may compute this many rows beyond the last */

typedef enum ade_dtype { ADE_F32 = 0, ADE_BF16 = 1, ADE_F16 = 2, ADE_I8 = 3 } ade_dtype;

static inline size_t ade__dtype_size(ade_dtype type) { /* bytes of an element */
    return type == ADE_F32 ? 4 : type == ADE_I8 ? 1 : 2;
}

typedef struct ade_quant { /* how one row of int8 inputs is to be read */
    float   scale;
    int32_t zero; /* 0 to 255 */
} ade_quant;

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
typedef struct ade_team    ade_team;    /* threads that share a batch; src/base/team.h */

/* Y = X W^T + b. Made once per matrix. */
typedef struct ade_linear_desc {
    const float *weight;  /* (N, K) host, fp32; a value beyond the range of act is refused */
    const float *bias;    /* (N) host, fp32; NULL = none. Added to the fp32 sum before it is rounded; a GPU rounds it to
                             act first, unless exact */
    int32_t      n, k;
    int32_t      exact;    /* 1: inputs and weights stay fp32 whatever the precision (the head) */
    int32_t      per_text; /* 1: will see a row per text, not per token: fewer by far. May choose the way of computing */
    int32_t      group;    /* columns [i group, (i + 1) group) must stay in one panel (a head's); 0: any may be parted */
    int32_t      section;  /* a multiple of group at which panels begin anew (queries, keys, values); 0: nowhere */
} ade_linear_desc;

typedef struct ade_linear_args {
    const ade_linear *linear;
    const void       *x; /* (M, K) act; fp32 if exact */
    void             *y; /* (M, N) res; fp32 if exact. Tolerance 3e-6 / 4e-3 / 1e-3, each times sqrt(K) */
    int32_t           m;
    const ade_quant  *x_rows; /* (M) in int8, unless exact */
    /* Where ade_backend_info.panels, y's columns stand in panels, each dense with a row per row of X (and ADE_ROW_PAD
     * more), panel i y_panel_stride elements after panel i - 1; how wide, linear_panel says. Never if exact. */
    size_t            y_panel_stride;
} ade_linear_args;

/* x[t] = LN(word[ids[t]] + type[types[t]] + position[positions[t]]), summed in that order.
 * LN(v) = (v - mean(v)) / sqrt(var(v) + eps) * ln_weight + ln_bias; variance by a second pass over v - mean. */
typedef struct ade_embed_args {
    const int32_t *ids, *types, *positions; /* (T); types NULL = all 0 */
    const void    *word, *position, *type;  /* (V, H), (P, H), (Y, H) of table_type */
    ade_dtype      table_type;
    const float   *ln_weight, *ln_bias; /* (H) */
    float          eps;
    void          *x;     /* (T, H) res. Tolerance 4e-6 / 4e-6 / 4e-3 */
    void          *x_act; /* (T, H) the same rounded to act; NULL when act = res */
    int32_t        t, h;
    ade_quant     *x_rows; /* (T) in int8 */
} ade_embed_args;

/* out[i, a] = sum_j softmax_j(scale <q[i, a], k[j, a]>) v[j, a] over the tokens j of i's sequence.
 * first_only: only the first token of each sequence asks; then q and out have a row per sequence. */
typedef struct ade_attention_args {
    const void    *q;          /* (T, A, D) res, or (S, A, D) if first_only; row stride q_stride elements */
    const void    *k, *v;      /* (T, A, D) res; row stride kv_stride elements */
    int32_t        q_stride, kv_stride;
    /* Panels: columns [panel i, panel (i + 1)) of q, k and v stand panel_stride elements after those of the panel before
     * (whole heads; the row stride is then that within a panel). panel 0: all columns of a row are neighbours. */
    int32_t        q_panel, kv_panel;
    size_t         q_panel_stride, kv_panel_stride;
    const int32_t *cu_seqlens; /* (S + 1), cu[0] = 0, cu[S] = T, ascending; every sequence has at least one token */
    void          *out;        /* (T, A, D) or (S, A, D), act, dense. Tolerance 4e-6 / 6e-3 / 2e-3 */
    ade_quant     *out_rows;   /* (T) or (S) in int8 */
    float         *exact;      /* (T, A, D) or (S, A, D) in int8: working memory, has the result before it is rounded */
    int32_t        t, s, a, d, first_only;
    int32_t        min_len, max_len; /* the shortest and the longest sequence of this batch */
    float          scale;      /* 1 / sqrt(D) */
} ade_attention_args;

/* Attention of first tokens over x W_k^T + b_k and x W_v^T + b_v, without computing these keys and values:
 *   u[s, a] = sum_d q[s, a, d] W_k[a D + d, :],  p = softmax_j(scale <u[s, a], x[j]>) over the tokens j of sequence s,
 *   out[s, a D + d] = <W_v[a D + d, :], sum_j p[j] x[j]> + b_v[a D + d].
 * The keys' bias adds the same to every score of a query, so softmax does not see it. All fp32. */
typedef struct ade_first_attention_args {
    const float   *q;          /* (S, A, D), its bias added; row stride q_stride, columns in panels as in attention */
    int32_t        q_stride, q_panel;
    size_t         q_panel_stride;
    const float   *x;          /* (T, H), the layer's input */
    const float   *wk, *wv;    /* (A D, H), a row per output */
    const float   *bv;         /* (A D) */
    const int32_t *cu_seqlens; /* (S + 1), as in attention */
    float         *out;        /* (S, A D). Tolerance 4e-6, where keys and values are of unit scale, too */
    void          *out_act;    /* (S, A D) act; NULL when act = res */
    ade_quant     *out_rows;   /* (S) in int8 */
    int32_t        t, s, a, d, h, max_len;
    float          scale;      /* 1 / sqrt(D) */
} ade_first_attention_args;

/* out = LN((x + bias) + residual); `out` may be `residual` or `x`. */
typedef struct ade_layernorm_args {
    const void  *x;        /* (M, H) res */
    const float *bias;     /* (H); NULL = none */
    const void  *residual; /* (M, H) res */
    const float *ln_weight, *ln_bias; /* (H) */
    float        eps;
    void        *out;       /* (M, H) res. Tolerance 4e-6 / 4e-6 / 4e-3 */
    void        *out_act;   /* (M, H) act; NULL when act = res */
    float       *out_exact; /* (M, H) the same, not rounded, for `exact` products; NULL: not wanted, or res is fp32 */
    int32_t      m, h;
} ade_layernorm_args;

/* y = act(x + bias); y may be x when the types agree. */
typedef struct ade_activation_args {
    const void  *x;    /* (M, N) res; fp32 if exact */
    const float *bias; /* (N); NULL = none */
    void        *y;    /* (M, N) act; fp32 if exact. Tolerance 4e-7 / 4e-3 / 6e-4, relative to max(1, |x|) */
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
    const ade_quant *x_rows; /* (T) in int8 */
    ade_quant      *out_rows; /* (S) in int8 */
} ade_pool_args;

/* Fused ops: a backend has all three or none; encoder.c then uses them instead of others. */

typedef struct ade_stream { /* the residual stream: m rows of it */
    void         *res;      /* (M, H) res */
    void         *act;      /* (M, H) act; res itself when the types agree */
    ade_quant    *rows;     /* (M) in int8 */
    int32_t       m, h;
} ade_stream;

typedef struct ade_norm_args {
    const float *weight, *bias; /* (H) */
    float        eps;
} ade_norm_args;

/* stream = LN((x W^T + b) + stream), and its copy. Errors as linear's and layernorm's together. */
typedef struct ade_linear_norm_args {
    const ade_linear *linear; /* N = H; its bias inside */
    const void       *x;      /* (M, K) act */
    const ade_quant  *x_rows; /* (M) in int8 */
    ade_stream        stream;
    ade_norm_args          norm;
} ade_linear_norm_args;

/* stream = LN((act(stream W_in^T + b_in) W_out^T + b_out) + stream), and its copy. */
typedef struct ade_feed_forward_args {
    const ade_linear *in, *out; /* (F, H), (H, F) */
    ade_act_kind      kind;
    ade_stream        stream;
    ade_norm_args          norm;
} ade_feed_forward_args;


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

typedef struct ade_op_times { /* seconds of a thread */
    double products;    /* matrix products alone */
    double attention;
    double elementwise; /* embeddings, biases, activation, LayerNorm, conversions */
    double waiting;     /* for the other members of a team */
} ade_op_times;

typedef struct ade_backend_options {
    int32_t device_index;
    int32_t precision; /* ade_precision; AUTO = the backend's best */
} ade_backend_options;

typedef struct ade_backend_info {
    int32_t     precision;       /* resolved */
    ade_dtype   act, res;
    ade_dtype   table_type;      /* in which it wants the embedding tables */
    int32_t     bias_in_linear;  /* 1: `linear` adds every bias; 0: layernorm and activation add theirs */
    int32_t     panels;          /* 1: linear's output stands in panels */
    int32_t     token_budget;    /* tokens per batch that suit the device */
    int32_t     execs;           /* execs that keep the device busy; 0: one per thread of the host */
    int32_t     slots;           /* batches in flight per exec that suit the device */
    const char *device_name;     /* static or owned by the backend */
    const char *instruction_set;
} ade_backend_info;

typedef struct ade_exec_options {
    int32_t max_tokens, max_len; /* the largest batch and text that will come, so that nothing is allocated later */
    int32_t head_size;           /* the model's D */
    int32_t slots;               /* batches in flight, at least 1 */
    int32_t hidden, intermediate; /* H and F; 0: only single ops will run, none of the fused ones */
} ade_exec_options;

/* A backend is this table. The first two members never move: the loader compares them before it reads anything else. */
typedef struct ade_ops {
    uint32_t    abi;         /* ADE_BACKEND_ABI */
    uint32_t    struct_size; /* sizeof(ade_ops) */
    const char *name;        /* "cpu", "cuda" */

    /* Whether this device can be used; ADE_UNSUPPORTED or ADE_DEVICE, and a sentence why not. Takes no memory on it. */
    ade_status (*probe)(int32_t device_index);
    ade_status (*open)(const ade_backend_options *options, ade_backend **out);
    void (*close)(ade_backend *backend);
    void (*describe)(const ade_backend *backend, ade_backend_info *info);

    /* Device memory. alloc: uninitialised but for the row pad, which is zero; ADE_OUT_OF_MEMORY names need and rest.
     * upload: from any host memory, done when it returns; for weights. */
    ade_status (*alloc)(ade_backend *backend, size_t rows, size_t row_bytes, void **out);
    void (*release)(ade_backend *backend, void *memory);
    ade_status (*upload)(ade_backend *backend, void *device, const void *host, size_t bytes);

    /* Host memory that the device copies from and to by itself (pinned, on a GPU); starts at 64 bytes. */
    ade_status (*host_alloc)(ade_backend *backend, size_t bytes, void **out);
    void (*host_release)(ade_backend *backend, void *memory);

    ade_status (*linear_create)(ade_backend *backend, const ade_linear_desc *desc, ade_linear **out);
    void (*linear_destroy)(ade_linear *linear);

    ade_status (*exec_create)(ade_backend *backend, const ade_exec_options *options, ade_exec **out);
    void (*exec_destroy)(ade_exec *exec); /* waits for what is still queued */
    /* Makes `linear` ready to run on `exec` with up to max_rows rows without allocating. */
    ade_status (*exec_prepare)(ade_exec *exec, const ade_linear *linear, int32_t max_rows);

    /* The way of a batch, slot 0 .. slots - 1 by turns: push, ops, pull, and later wait.
     * push: starts copying a batch's input up; runs beside earlier batches' ops, and ops queued after it see it.
     * pull: starts copying down what the ops queued so far leave; at most one per batch.
     * wait: until the slot's pull has arrived. Only then may the host read it, write the slot's host memory, push to the
     *       slot's device memory. ADE_DEVICE when the device failed meanwhile; the exec then stays failed. A slot that
     *       was never pulled is done. */
    ade_status (*push)(ade_exec *exec, int32_t slot, void *device, const void *host, size_t bytes);
    ade_status (*pull)(ade_exec *exec, int32_t slot, void *host, const void *device, size_t bytes);
    ade_status (*wait)(ade_exec *exec, int32_t slot);

    ade_status (*embed)(ade_exec *exec, const ade_embed_args *args);
    ade_status (*linear)(ade_exec *exec, const ade_linear_args *args);
    ade_status (*attention)(ade_exec *exec, const ade_attention_args *args);
    ade_status (*layernorm)(ade_exec *exec, const ade_layernorm_args *args);
    ade_status (*activation)(ade_exec *exec, const ade_activation_args *args);
    ade_status (*pool)(ade_exec *exec, const ade_pool_args *args);
    ade_status (*probs)(ade_exec *exec, const ade_probs_args *args);

    /* ---- What a backend may lack: NULL. One with panels has linear_panel and the fused ops ---- */

    int32_t (*linear_panel)(const ade_linear *linear); /* columns of each of its panels; the last may have fewer */
    ade_status (*linear_norm)(ade_exec *exec, const ade_linear_norm_args *args);
    ade_status (*feed_forward)(ade_exec *exec, const ade_feed_forward_args *args);
    ade_status (*first_attention)(ade_exec *exec, const ade_first_attention_args *args);
    /* From now on `exec` does the member-th share of every op, as one of team->size threads that run the same ops on the
     * same arguments and wait for each other after each, member 0 with `leader` as its exec; team NULL: alone again. */
    void (*exec_join)(ade_exec *exec, ade_exec *leader, ade_team *team, int32_t member);
    /* The product of m rows alone, for measuring: of any values, and the result is lost. */
    ade_status (*multiply)(ade_exec *exec, const ade_linear *linear, int32_t m);
    /* Adds to `times` what the exec's ops have taken since the last call. */
    void (*exec_times)(ade_exec *exec, ade_op_times *times);
} ade_ops;

/* A backend in a library of its own exports one object of this type, named ade_plugin. The core compares the first two
 * members before it reads anything else; they never move. A plugin has no error text of its own: it reports by
 * host->fail, so that each thread has exactly one. */
typedef struct ade_plugin_host {
    uint32_t struct_size;
    ade_status (*fail)(ade_status status, const char *format, ...); /* stores the sentence, returns the status */
} ade_plugin_host;

typedef struct ade_plugin_entry {
    uint32_t    abi;         /* ADE_BACKEND_ABI */
    uint32_t    struct_size; /* sizeof(ade_plugin_entry) */
    const char *version;     /* of the adesieve that it was built with */
    /* The table, which lives as long as the process; `host` must, too. */
    const ade_ops *(*connect)(const ade_plugin_host *host);
} ade_plugin_entry;

/* The backend that is always there. */
const ade_ops *ade__cpu_ops(void);

#ifdef __cplusplus
}
#endif
#endif
