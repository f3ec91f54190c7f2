/* SPDX-License-Identifier: Apache-2.0 */
#include "encoder.h"

#include "alloc.h"
#include "head.h"
#include "status.h"
#include "team.h"

#include <math.h>

void ade__workspace_free(ade_workspace *w) {
    if (!w) return;
    const struct ade_prepared *p = w->p;
    if (w->x_act == w->x) w->x_act = NULL;
    if (w->f_act == w->f) w->f_act = NULL;
    if (w->first_act == w->first) w->first_act = NULL;
    if (w->first_exact == w->first) w->first_exact = NULL;
    if (w->exec) p->ops->exec_destroy(w->exec); /* first: it may still be at work on the buffers */
    void *const buffers[] = {w->x,         w->x_act,   w->qkv,         w->context, w->y,      w->f,
                             w->f_act,     w->first,   w->first_act,   w->first_q, w->x_rows, w->context_rows,
                             w->first_rows, w->exact_context, w->first_exact, w->pooled,  w->scores};
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
    return get(p, rows, columns, ade__dtype_size(p->info.act), out);
}

static ade_status get_rows(const struct ade_prepared *p, int32_t rows, ade_quant **out) {
    return p->info.act == ADE_I8 ? get(p, rows, 1, sizeof(ade_quant), out) : ADE_OK;
}

/* Buffers between ops that a backend with fused ops does not need. */
static ade_status get_unfused(ade_workspace *w) {
    const struct ade_prepared *p = w->p;
    size_t                     res = ade__dtype_size(p->info.res);
    if (p->ops->feed_forward) return ADE_OK;
    ADE_TRY(get(p, w->max_tokens, (size_t)p->h, res, &w->y));
    ADE_TRY(get(p, w->max_tokens, (size_t)p->f, res, &w->f));
    return get_act(p, w->max_tokens, (size_t)p->f, w->f, &w->f_act);
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
    size_t         h = (size_t)p->h, c = (size_t)p->labels, res = ade__dtype_size(p->info.res);
    ade_status     status;
    ade_workspace *w = ade__calloc(1, sizeof *w);
    if (!w) return ADE_OUT_OF_MEMORY;
    w->p = p;
    w->max_tokens = max_tokens;
    w->max_seqs = max_tokens / 2; /* a text has two tokens at least */
    w->max_len = max_len;
    w->n_slots = n_slots;
    const ade_exec_options exec = {.max_tokens = max_tokens,
                                   .max_len = max_len,
                                   .head_size = p->h / p->heads,
                                   .slots = n_slots,
                                   .hidden = p->h,
                                   .intermediate = p->f};
    ADE_TRY_GOTO(p->ops->exec_create(p->backend, &exec, &w->exec), failed);
    ADE_TRY_GOTO(get(p, max_tokens, h, res, &w->x), failed);
    ADE_TRY_GOTO(get_act(p, max_tokens, h, w->x, &w->x_act), failed);
    ADE_TRY_GOTO(get_rows(p, max_tokens, &w->x_rows), failed);
    ADE_TRY_GOTO(get(p, max_tokens, 3 * h, res, &w->qkv), failed);
    ADE_TRY_GOTO(get(p, max_tokens, h, ade__dtype_size(p->info.act), &w->context), failed);
    ADE_TRY_GOTO(get_rows(p, max_tokens, &w->context_rows), failed);
    if (p->info.act != p->info.res && p->ops->first_attention)
        ADE_TRY_GOTO(get(p, max_tokens, h, sizeof(float), &w->exact_context), failed);
    ADE_TRY_GOTO(get_unfused(w), failed);
    ADE_TRY_GOTO(get(p, w->max_seqs, h, res, &w->first), failed);
    ADE_TRY_GOTO(get_act(p, w->max_seqs, h, w->first, &w->first_act), failed);
    ADE_TRY_GOTO(get_rows(p, w->max_seqs, &w->first_rows), failed);
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

/* Where a pass runs: buffers, and the queue of the thread that runs it (its own, if a team shares the buffers). */
typedef struct pass {
    ade_workspace *w;
    ade_exec      *exec;
} pass;

/* Where a product's panels stand in a buffer that was made for `rows` rows. */
typedef struct panel_view {
    int32_t width; /* 0: all columns of a row are neighbours */
    size_t  stride;
} panel_view;

static panel_view panels_of(const struct ade_prepared *p, const ade_linear *matrix, int32_t rows) {
    panel_view view = {0, 0};
    if (!p->info.panels) return view;
    view.width = p->ops->linear_panel(matrix);
    view.stride = ((size_t)rows + ADE_ROW_PAD) * (size_t)view.width;
    return view;
}

static ade_status linear(const pass *r, const ade_linear *matrix, const void *x, const ade_quant *x_rows, void *y,
                         const panel_view *view, int32_t m) {
    const ade_linear_args args = {
        .linear = matrix, .x = x, .y = y, .m = m, .x_rows = x_rows, .y_panel_stride = view->stride};
    return r->w->p->ops->linear(r->exec, &args);
}

typedef struct residual_stream { /* m rows of it */
    ade_stream s;
    float     *exact; /* (M, H) fp32, to be written, too; NULL = not wanted, or res is fp32 */
} residual_stream;

/* stream = LN(y + bias + stream), and its other copies. */
static ade_status add_norm(const pass *r, const float *bias, const float *ln_w, const float *ln_b,
                           const residual_stream *stream, float *exact) {
    const ade_layernorm_args args = {.x = r->w->y,
                                     .bias = bias,
                                     .residual = stream->s.res,
                                     .ln_weight = ln_w,
                                     .ln_bias = ln_b,
                                     .eps = r->w->p->eps,
                                     .out = stream->s.res,
                                     .out_act = stream->s.act == stream->s.res ? NULL : stream->s.act,
                                     .out_exact = exact,
                                     .m = stream->s.m,
                                     .h = r->w->p->h};
    return r->w->p->ops->layernorm(r->exec, &args);
}

static ade_status fused_rest_of_layer(const pass *r, const ade_prepared_layer *l, const residual_stream *stream) {
    const struct ade_prepared  *p = r->w->p;
    const ade_linear_norm_args  attention_out = {.linear = l->attn_out,
                                                 .x = r->w->context,
                                                 .x_rows = r->w->context_rows,
                                                 .stream = stream->s,
                                                 .norm = {l->attn_ln_w, l->attn_ln_b, p->eps}};
    const ade_feed_forward_args feed_forward = {.in = l->ffn_in,
                                                .out = l->ffn_out,
                                                .kind = p->activation,
                                                .stream = stream->s,
                                                .norm = {l->ffn_ln_w, l->ffn_ln_b, p->eps}};
    ADE_TRY(p->ops->linear_norm(r->exec, &attention_out));
    return p->ops->feed_forward(r->exec, &feed_forward);
}

/* Everything of a layer after attention. */
static ade_status rest_of_layer(const pass *r, const ade_prepared_layer *l, const residual_stream *stream) {
    ade_workspace    *w = r->w;
    const panel_view  dense = {0, 0};
    const int32_t     m = stream->s.m;
    if (w->p->ops->feed_forward) return fused_rest_of_layer(r, l, stream);
    const ade_activation_args act = {
        .x = w->f, .bias = l->ffn_in_b, .y = w->f_act, .kind = w->p->activation, .m = m, .n = w->p->f};
    ADE_TRY(linear(r, l->attn_out, w->context, NULL, w->y, &dense, m));
    ADE_TRY(add_norm(r, l->attn_out_b, l->attn_ln_w, l->attn_ln_b, stream, NULL));
    ADE_TRY(linear(r, l->ffn_in, stream->s.act, NULL, w->f, &dense, m));
    ADE_TRY(w->p->ops->activation(r->exec, &act));
    ADE_TRY(linear(r, l->ffn_out, w->f_act, NULL, w->y, &dense, m));
    return add_norm(r, l->ffn_out_b, l->ffn_ln_w, l->ffn_ln_b, stream, stream->exact);
}

static ade_attention_args attention_of(const ade_workspace *w, const ade_batch_view *batch) {
    const struct ade_prepared *p = w->p;
    const ade_attention_args   args = {.cu_seqlens = batch->cu_seqlens,
                                       .out = w->context,
                                       .out_rows = w->context_rows,
                                       .exact = w->exact_context,
                                       .t = batch->t,
                                       .s = batch->s,
                                       .a = p->heads,
                                       .d = p->h / p->heads,
                                       .min_len = batch->min_len,
                                       .max_len = batch->max_len,
                                       .scale = 1.0f / sqrtf((float)(p->h / p->heads))};
    return args;
}

/* Column `column` of a buffer of products. */
static const void *column_of(const struct ade_prepared *p, const void *y, const panel_view *view, int32_t column) {
    size_t at = view->width ? (size_t)(column / view->width) * view->stride : (size_t)column;
    return (const char *)y + at * ade__dtype_size(p->info.res);
}

static ade_status whole_layer(const pass *r, const ade_prepared_layer *l, const ade_batch_view *batch) {
    ade_workspace             *w = r->w;
    const struct ade_prepared *p = w->p;
    ade_attention_args         args = attention_of(w, batch);
    const panel_view           view = panels_of(p, l->qkv, w->max_tokens);
    const residual_stream      stream = {.s = {.res = w->x, .act = w->x_act, .rows = w->x_rows, .m = batch->t, .h = p->h}};
    ADE_TRY(linear(r, l->qkv, w->x_act, w->x_rows, w->qkv, &view, batch->t));
    args.q = w->qkv;
    args.k = column_of(p, w->qkv, &view, p->h);
    args.v = column_of(p, w->qkv, &view, 2 * p->h);
    args.q_stride = args.kv_stride = view.width ? view.width : 3 * p->h;
    args.q_panel = args.kv_panel = view.width;
    args.q_panel_stride = args.kv_panel_stride = view.stride;
    ADE_TRY(p->ops->attention(r->exec, &args));
    return rest_of_layer(r, l, &stream);
}

static ade_status ask_first(const pass *r, const ade_prepared_layer *l, const ade_batch_view *batch) {
    ade_workspace             *w = r->w;
    const struct ade_prepared *p = w->p;
    const panel_view           view = panels_of(p, l->q, w->max_seqs), kv = {0, 0};
    ADE_TRY(linear(r, l->q, w->first_act, w->first_rows, w->first_q, &view, batch->s));
    if (p->ops->first_attention) {
        const int                      same = p->info.act == p->info.res;
        const ade_first_attention_args args = {.q = w->first_q,
                                               .q_stride = view.width,
                                               .q_panel = view.width,
                                               .q_panel_stride = view.stride,
                                               .x = w->x,
                                               .wk = l->k_w,
                                               .wv = l->v_w,
                                               .bv = l->v_b,
                                               .cu_seqlens = batch->cu_seqlens,
                                               .out = same ? w->context : w->exact_context,
                                               .out_act = same ? NULL : w->context,
                                               .out_rows = w->context_rows,
                                               .t = batch->t,
                                               .s = batch->s,
                                               .a = p->heads,
                                               .d = p->h / p->heads,
                                               .h = p->h,
                                               .max_len = batch->max_len,
                                               .scale = 1.0f / sqrtf((float)(p->h / p->heads))};
        return p->ops->first_attention(r->exec, &args);
    }
    ade_attention_args args = attention_of(w, batch);
    ADE_TRY(linear(r, l->kv, w->x_act, w->x_rows, w->qkv, &kv, batch->t));
    args.first_only = 1;
    args.q = w->first_q;
    args.q_stride = p->h;
    args.k = w->qkv;
    args.v = column_of(p, w->qkv, &kv, p->h);
    args.kv_stride = 2 * p->h;
    return p->ops->attention(r->exec, &args);
}

/* The classifier reads first tokens alone, so the last layer needs keys and values of every token (or, with
 * first_attention, not even those) and everything else of first tokens only. Exact, and it saves most of a layer. */
static ade_status last_layer(const pass *r, const ade_prepared_layer *l, const ade_batch_view *batch) {
    ade_workspace             *w = r->w;
    const struct ade_prepared *p = w->p;
    int                        same = w->x_act == w->x;
    const residual_stream      stream = {
             .s = {.res = w->first, .act = w->first_act, .rows = w->first_rows, .m = batch->s, .h = p->h},
             .exact = w->first_exact == w->first ? NULL : w->first_exact};
    const ade_pool_args pool = {.x = w->x,
                                .x_act = same ? NULL : w->x_act,
                                .cu_seqlens = batch->cu_seqlens,
                                .out = w->first,
                                .out_act = same ? NULL : w->first_act,
                                .x_rows = w->x_rows,
                                .out_rows = w->first_rows,
                                .s = batch->s,
                                .h = p->h};
    ADE_TRY(p->ops->pool(r->exec, &pool));
    ADE_TRY(ask_first(r, l, batch));
    return rest_of_layer(r, l, &stream);
}

/* Members of a team go on or stop together. */
static int stopped(const atomic_int *cancel, ade_team *team, int32_t member) {
    int now = atomic_load_explicit(cancel, memory_order_relaxed) != 0;
    return team ? ade__team_agree(team, member, now) : now;
}

static ade_status run(const pass *r, const ade_batch_view *batch, const atomic_int *cancel, ade_team *team,
                      int32_t member) {
    ade_workspace             *w = r->w;
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
                                        .x_rows = w->x_rows,
                                        .t = batch->t,
                                        .h = p->h};
    if (batch->t > w->max_tokens || batch->s > w->max_seqs || batch->max_len > w->max_len)
        return ade__fail(ADE_INTERNAL, "a batch of %d tokens in %d texts of up to %d exceeds its workspace (%d, %d, %d)",
                         (int)batch->t, (int)batch->s, (int)batch->max_len, (int)w->max_tokens, (int)w->max_seqs,
                         (int)w->max_len);
    ADE_TRY(p->ops->embed(r->exec, &embed));
    for (int32_t i = 0; i < p->layers; i++) {
        if (stopped(cancel, team, member)) return ADE_CANCELLED;
        if (i + 1 < p->layers) ADE_TRY(whole_layer(r, &p->layer[i], batch));
        else ADE_TRY(last_layer(r, &p->layer[i], batch));
    }
    return ade__head_run(w, r->exec, batch->s);
}

ade_status ade__encoder_run(ade_workspace *w, const ade_batch_view *batch, const atomic_int *cancel) {
    const pass r = {w, w->exec};
    return run(&r, batch, cancel, NULL, 0);
}

ade_status ade__encoder_run_shared(ade_workspace *own, ade_workspace *leader, ade_team *team, int32_t member,
                                   const ade_batch_view *batch, const atomic_int *cancel) {
    const struct ade_prepared *p = own->p;
    const pass                 r = {leader, own->exec};
    p->ops->exec_join(own->exec, leader->exec, team, member);
    ade_status status = run(&r, batch, cancel, team, member);
    if (status != ADE_OK && status != ADE_CANCELLED) ade__team_fail(team);
    p->ops->exec_join(own->exec, NULL, NULL, 0);
    return status;
}

/* ---- What it takes ----------------------------------------------------------------------------------------------- */

double ade__encoder_operations(const struct ade_prepared *p, int32_t t, int32_t s) {
    double h = p->h, f = p->f, layer = 2 * (4 * h * h + 2 * h * f), keys = p->ops->first_attention ? 0 : 2 * 2 * h * h;
    double first = layer - 2 * 2 * h * h + 2 * h * h; /* the last layer, but for keys and values, and the pooler */
    return (p->layers - 1) * layer * t + keys * t + first * s;
}

ade_status ade__encoder_products(ade_workspace *w, int32_t t, int32_t s) {
    const struct ade_prepared *p = w->p;
    for (int32_t i = 0; i < p->layers; i++) {
        const ade_prepared_layer *l = &p->layer[i];
        const ade_linear *const   all[] = {l->qkv, l->q, l->attn_out, l->ffn_in, l->ffn_out};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            if (all[k]) ADE_TRY(p->ops->multiply(w->exec, all[k], i + 1 < p->layers ? t : s));
    }
    return p->ops->multiply(w->exec, p->pooler, s);
}
