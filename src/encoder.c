/* SPDX-License-Identifier: Apache-2.0 */
#include "encoder.h"

#include "alloc.h"
#include "head.h"
#include "status.h"

#include <math.h>

static size_t bytes_of(ade_dtype type) { return type == ADE_F32 ? sizeof(float) : sizeof(uint16_t); }

void ade__workspace_free(ade_workspace *w) {
    if (!w) return;
    const struct ade_prepared *p = w->p;
    if (w->x_act == w->x) w->x_act = NULL;
    if (w->f_act == w->f) w->f_act = NULL;
    if (w->first_act == w->first) w->first_act = NULL;
    if (w->first_exact == w->first) w->first_exact = NULL;
    if (w->exec) p->ops->exec_destroy(w->exec); /* first: it may still be at work on the buffers */
    void *const buffers[] = {w->x,     w->x_act,     w->qkv,     w->context,     w->y,      w->f,     w->f_act,
                             w->first, w->first_act, w->first_q, w->first_exact, w->pooled, w->scores};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) p->ops->release(p->backend, buffers[i]);
    ade__free(w);
}

static ade_status get(const struct ade_prepared *p, int32_t rows, size_t columns, size_t element, void *address) {
    void     **out = address; /* float ** and void ** alike */
    return p->ops->alloc(p->backend, (size_t)rows, columns * element, out);
}

/* The act copy of a buffer; the buffer itself where the types agree. */
static ade_status get_act(const struct ade_prepared *p, int32_t rows, size_t columns, void *res, void **out) {
    if (p->info.act == p->info.res) return *out = res, ADE_OK;
    return get(p, rows, columns, bytes_of(p->info.act), out);
}

static ade_status prepare_linears(ade_workspace *w) {
    const struct ade_prepared *p = w->p;
    for (int32_t i = 0; i < p->layers; i++) {
        const ade_prepared_layer *l = &p->layer[i];
        const ade_linear *const   keys[] = {l->qkv, l->kv}, *const rest[] = {l->q, l->attn_out, l->ffn_in, l->ffn_out};
        int32_t                   rows = i + 1 < p->layers ? w->max_tokens : w->max_seqs; /* the last: a row per text */
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (keys[k]) ADE_TRY(p->ops->exec_prepare(w->exec, keys[k], w->max_tokens));
        for (size_t k = 0; k < sizeof rest / sizeof *rest; k++)
            if (rest[k]) ADE_TRY(p->ops->exec_prepare(w->exec, rest[k], rows));
    }
    return p->ops->exec_prepare(w->exec, p->pooler, w->max_seqs);
}

ade_status ade__workspace_new(const struct ade_prepared *p, int32_t max_tokens, int32_t max_len, int32_t n_slots,
                              ade_workspace **out) {
    size_t         h = (size_t)p->h, f = (size_t)p->f, c = (size_t)p->labels, res = bytes_of(p->info.res);
    ade_status     status;
    ade_workspace *w = ade__calloc(1, sizeof *w);
    if (!w) return ADE_OUT_OF_MEMORY;
    w->p = p;
    w->max_tokens = max_tokens;
    w->max_seqs = max_tokens / 2; /* a text has two tokens at least */
    w->max_len = max_len;
    w->n_slots = n_slots;
    const ade_exec_options exec = {
        .max_tokens = max_tokens, .max_len = max_len, .head_size = p->h / p->heads, .slots = n_slots};
    ADE_TRY_GOTO(p->ops->exec_create(p->backend, &exec, &w->exec), failed);
    ADE_TRY_GOTO(get(p, max_tokens, h, res, &w->x), failed);
    ADE_TRY_GOTO(get_act(p, max_tokens, h, w->x, &w->x_act), failed);
    ADE_TRY_GOTO(get(p, max_tokens, 3 * h, res, &w->qkv), failed);
    ADE_TRY_GOTO(get(p, max_tokens, h, bytes_of(p->info.act), &w->context), failed);
    ADE_TRY_GOTO(get(p, max_tokens, h, res, &w->y), failed);
    ADE_TRY_GOTO(get(p, max_tokens, f, res, &w->f), failed);
    ADE_TRY_GOTO(get_act(p, max_tokens, f, w->f, &w->f_act), failed);
    ADE_TRY_GOTO(get(p, w->max_seqs, h, res, &w->first), failed);
    ADE_TRY_GOTO(get_act(p, w->max_seqs, h, w->first, &w->first_act), failed);
    ADE_TRY_GOTO(get(p, w->max_seqs, h, res, &w->first_q), failed);
    if (p->info.res == ADE_F32) w->first_exact = w->first;
    else ADE_TRY_GOTO(get(p, w->max_seqs, h, sizeof(float), &w->first_exact), failed);
    ADE_TRY_GOTO(get(p, w->max_seqs, h, sizeof(float), &w->pooled), failed);
    ADE_TRY_GOTO(get(p, w->max_seqs, 2 * c, sizeof(float), &w->scores), failed);
    ADE_TRY_GOTO(prepare_linears(w), failed);
    *out = w;
    return ADE_OK;
failed:
    ade__workspace_free(w);
    return status;
}

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

static ade_status linear(ade_workspace *w, const ade_linear *matrix, const void *x, void *y, int32_t m) {
    const ade_linear_args args = {.linear = matrix, .x = x, .y = y, .m = m};
    return w->p->ops->linear(w->exec, &args);
}

typedef struct residual_stream { /* m rows of it */
    void   *res, *act; /* (M, H) each; act is res when the types agree */
    float  *exact;     /* (M, H) fp32, to be written, too; NULL = not wanted, or res is fp32 */
    int32_t m;
} residual_stream;

/* stream = LN(y + bias + stream), and its other copies. */
static ade_status add_norm(ade_workspace *w, const float *bias, const float *ln_w, const float *ln_b,
                           const residual_stream *stream, float *exact) {
    const ade_layernorm_args args = {.x = w->y,
                                     .bias = bias,
                                     .residual = stream->res,
                                     .ln_weight = ln_w,
                                     .ln_bias = ln_b,
                                     .eps = w->p->eps,
                                     .out = stream->res,
                                     .out_act = stream->act == stream->res ? NULL : stream->act,
                                     .out_exact = exact,
                                     .m = stream->m,
                                     .h = w->p->h};
    return w->p->ops->layernorm(w->exec, &args);
}

/* Everything of a layer after attention. */
static ade_status rest_of_layer(ade_workspace *w, const ade_prepared_layer *l, const residual_stream *stream) {
    int32_t                   m = stream->m;
    const ade_activation_args act = {
        .x = w->f, .bias = l->ffn_in_b, .y = w->f_act, .kind = w->p->activation, .m = m, .n = w->p->f};
    ADE_TRY(linear(w, l->attn_out, w->context, w->y, m));
    ADE_TRY(add_norm(w, l->attn_out_b, l->attn_ln_w, l->attn_ln_b, stream, NULL));
    ADE_TRY(linear(w, l->ffn_in, stream->act, w->f, m));
    ADE_TRY(w->p->ops->activation(w->exec, &act));
    ADE_TRY(linear(w, l->ffn_out, w->f_act, w->y, m));
    return add_norm(w, l->ffn_out_b, l->ffn_ln_w, l->ffn_ln_b, stream, stream->exact);
}

static ade_attention_args attention_of(const ade_workspace *w, const ade_batch_view *batch) {
    const struct ade_prepared *p = w->p;
    const ade_attention_args   args = {.cu_seqlens = batch->cu_seqlens,
                                       .out = w->context,
                                       .t = batch->t,
                                       .s = batch->s,
                                       .a = p->heads,
                                       .d = p->h / p->heads,
                                       .min_len = batch->min_len,
                                       .max_len = batch->max_len,
                                       .scale = 1.0f / sqrtf((float)(p->h / p->heads))};
    return args;
}

static ade_status whole_layer(ade_workspace *w, const ade_prepared_layer *l, const ade_batch_view *batch) {
    int32_t               h = w->p->h;
    size_t                res = bytes_of(w->p->info.res);
    ade_attention_args    args = attention_of(w, batch);
    const residual_stream stream = {.res = w->x, .act = w->x_act, .m = batch->t};
    ADE_TRY(linear(w, l->qkv, w->x_act, w->qkv, batch->t));
    args.q = w->qkv;
    args.k = (const char *)w->qkv + (size_t)h * res;
    args.v = (const char *)w->qkv + 2 * (size_t)h * res;
    args.q_stride = args.kv_stride = 3 * h;
    ADE_TRY(w->p->ops->attention(w->exec, &args));
    return rest_of_layer(w, l, &stream);
}

/* The classifier reads first tokens alone, so the last layer needs keys and values of every token and everything else
 * of first tokens only. Exact, and it saves most of a layer. */
static ade_status last_layer(ade_workspace *w, const ade_prepared_layer *l, const ade_batch_view *batch) {
    const struct ade_prepared *p = w->p;
    size_t                     res = bytes_of(p->info.res);
    int                        same = w->x_act == w->x;
    ade_attention_args         args = attention_of(w, batch);
    const residual_stream      stream = {.res = w->first,
                                         .act = w->first_act,
                                         .exact = w->first_exact == w->first ? NULL : w->first_exact,
                                         .m = batch->s};
    const ade_pool_args        pool = {.x = w->x,
                                       .x_act = same ? NULL : w->x_act,
                                       .cu_seqlens = batch->cu_seqlens,
                                       .out = w->first,
                                       .out_act = same ? NULL : w->first_act,
                                       .s = batch->s,
                                       .h = p->h};
    ADE_TRY(p->ops->pool(w->exec, &pool));
    ADE_TRY(linear(w, l->kv, w->x_act, w->qkv, batch->t));
    ADE_TRY(linear(w, l->q, w->first_act, w->first_q, batch->s));
    args.first_only = 1;
    args.q = w->first_q;
    args.q_stride = p->h;
    args.k = w->qkv;
    args.v = (const char *)w->qkv + (size_t)p->h * res;
    args.kv_stride = 2 * p->h;
    ADE_TRY(p->ops->attention(w->exec, &args));
    return rest_of_layer(w, l, &stream);
}

ade_status ade__encoder_run(ade_workspace *w, const ade_batch_view *batch, const atomic_int *cancel) {
    const struct ade_prepared *p = w->p;
    const ade_embed_args       embed = {.ids = batch->ids,
                                        .positions = batch->positions,
                                        .word = p->word,
                                        .position = p->position,
                                        .type = p->type,
                                        .table_type = p->info.table_type,
                                        .ln_weight = p->embed_ln_w,
                                        .ln_bias = p->embed_ln_b,
                                        .eps = p->eps,
                                        .x = w->x,
                                        .x_act = w->x_act == w->x ? NULL : w->x_act,
                                        .t = batch->t,
                                        .h = p->h};
    if (batch->t > w->max_tokens || batch->s > w->max_seqs || batch->max_len > w->max_len)
        return ade__fail(ADE_INTERNAL, "a batch of %d tokens in %d texts of up to %d exceeds its workspace (%d, %d, %d)",
                         (int)batch->t, (int)batch->s, (int)batch->max_len, (int)w->max_tokens, (int)w->max_seqs,
                         (int)w->max_len);
    ADE_TRY(p->ops->embed(w->exec, &embed));
    for (int32_t i = 0; i < p->layers; i++) {
        if (atomic_load_explicit(cancel, memory_order_relaxed)) return ADE_CANCELLED;
        if (i + 1 < p->layers) ADE_TRY(whole_layer(w, &p->layer[i], batch));
        else ADE_TRY(last_layer(w, &p->layer[i], batch));
    }
    return ade__head_run(w, batch->s);
}
