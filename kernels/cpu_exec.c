/* SPDX-License-Identifier: Apache-2.0
 * The CPU's ops. An exec runs them alone, or as one of a team that shares a batch: then every op is cut into shares that
 * do not change a bit (panels of columns, heads, rows), and ends with a wait for the others.
 *
 * Blocks. What follows attention in a layer is done for ADE_GEMM_ROWS rows at a time: products go panel by panel into a
 * buffer that mostly stays in the second-level cache, and the kernels of epilogue_cpu.c take them from there. (Blocks of
 * 32 and 64 rows were measured, too: weights that come by twice as often cost more than the caches give.) */
#include "cpu_exec.h"

#include "alloc.h"
#include "status.h"
#include "team.h"
#include "threads.h"

#define SKEW 16          /* floats between a block's panels: rows of different ones stay out of each other's cache sets */
#define RUN_FLOATS 65536 /* of products that wait for their activation: 256 KiB */

struct ade_exec {
    ade_backend           *backend;
    ade_gemm_exec         *gemm;
    struct ade_cpu_scratch scratch;
    ade_team              *team; /* NULL: alone */
    ade_exec              *leader;
    int32_t                part, parts;
    int32_t                hidden;
    float                 *y;          /* products of a block, in panels; int32 in int8 */
    void                  *inner;      /* (ADE_GEMM_ROWS, F) act: what comes out of the activation */
    ade_quant             *inner_rows; /* (ADE_GEMM_ROWS) */
    float                 *row;        /* (max(H, F)) */
    ade_op_times           times;
};

/* ---- Making one -------------------------------------------------------------------------------------------------- */

/* Floats for a block of products with n columns: panels of any width, and the SKEW of each. */
static size_t block_floats(int32_t n) {
    return (size_t)ADE_GEMM_ROWS * (size_t)n + (size_t)n * SKEW; /* a panel has a column at least */
}

void ade__cpu_exec_destroy(ade_exec *exec) {
    if (!exec) return;
    ade__gemm_exec_free(exec->gemm);
    ade__aligned_free(exec->scratch.attention);
    ade__aligned_free(exec->scratch.first);
    ade__aligned_free(exec->y);
    ade__aligned_free(exec->inner);
    ade__aligned_free(exec->inner_rows);
    ade__aligned_free(exec->row);
    ade__free(exec);
}

static ade_status make_buffers(ade_exec *exec, const ade_exec_options *o) {
    exec->scratch.max_len = o->max_len;
    exec->scratch.head_size = o->head_size;
    exec->scratch.attention = ade__aligned_malloc(ade__cpu_attention_floats(o->max_len, o->head_size), sizeof(float));
    if (!exec->scratch.attention) return ADE_OUT_OF_MEMORY;
    if (!o->hidden) return ADE_OK; /* a user of single ops */
    int32_t most = o->hidden > o->intermediate ? o->hidden : o->intermediate;
    exec->hidden = o->hidden;
    exec->scratch.first = ade__aligned_malloc(ade__cpu_first_floats(o->max_len, o->hidden), sizeof(float));
    exec->y = ade__aligned_malloc(block_floats(most > 3 * o->hidden ? most : 3 * o->hidden), sizeof(float));
    exec->inner = ade__aligned_malloc((size_t)ADE_GEMM_ROWS * (size_t)most, sizeof(float)); /* multiply's input as well */
    exec->inner_rows = ade__aligned_malloc(ADE_GEMM_ROWS, sizeof *exec->inner_rows);
    exec->row = ade__aligned_malloc((size_t)most, sizeof *exec->row);
    if (!exec->scratch.first || !exec->y || !exec->inner || !exec->inner_rows || !exec->row) return ADE_OUT_OF_MEMORY;
    /* rows that only fill a block up are multiplied, too; garbage could be slow NaNs */
    memset(exec->inner, 0, (size_t)ADE_GEMM_ROWS * (size_t)most * sizeof(float));
    return ADE_OK;
}

ade_status ade__cpu_exec_create(ade_backend *backend, const ade_exec_options *options, ade_exec **out) {
    ade_exec *exec = ade__calloc(1, sizeof *exec);
    if (!exec) return ADE_OUT_OF_MEMORY;
    exec->backend = backend;
    exec->leader = exec;
    exec->parts = 1;
    ade_status status = make_buffers(exec, options);
    if (status == ADE_OK) status = ade__gemm_exec_new(backend->gemm, &exec->gemm);
    if (status != ADE_OK) {
        ade__cpu_exec_destroy(exec);
        return status;
    }
    *out = exec;
    return ADE_OK;
}

ade_status ade__cpu_exec_prepare(ade_exec *exec, const ade_linear *linear, int32_t max_rows) {
    (void)max_rows;
    return ade__gemm_exec_prepare(exec->gemm, linear);
}

void ade__cpu_exec_join(ade_exec *exec, ade_exec *leader, ade_team *team, int32_t member) {
    exec->team = team;
    exec->leader = team ? leader : exec;
    exec->part = team ? member : 0;
    exec->parts = team ? team->size : 1;
}

void ade__cpu_exec_times(ade_exec *exec, ade_op_times *times) {
    times->products += exec->times.products;
    times->attention += exec->times.attention;
    times->elementwise += exec->times.elementwise;
    times->waiting += exec->times.waiting;
    exec->times = (ade_op_times){0};
}

/* ---- Sharing ----------------------------------------------------------------------------------------------------- */

/* The end of a step. ADE_CANCELLED: another member failed, which reports it. */
static ade_status together(ade_exec *exec) {
    if (exec->parts == 1) return ADE_OK;
    double start = ade__seconds();
    int    failed = ade__team_wait(exec->team);
    exec->times.waiting += ade__seconds() - start;
    return failed ? ADE_CANCELLED : ADE_OK;
}

static void share(const ade_exec *exec, int32_t n, int32_t *first, int32_t *end) {
    ade__share(n, exec->part, exec->parts, first, end);
}

/* Adds the time since *start to a counter, and starts anew. */
static void spent(double *start, double *counter) {
    double now = ade__seconds();
    *counter += now - *start;
    *start = now;
}

static const void *act_row(const ade_exec *exec, const void *x, int32_t row, int32_t width) {
    return (const char *)x + (size_t)row * (size_t)width * ade__dtype_size(exec->backend->act);
}

static void *act_row_out(const ade_exec *exec, void *x, int32_t row, int32_t width) {
    return (char *)x + (size_t)row * (size_t)width * ade__dtype_size(exec->backend->act);
}

static size_t block_stride(const ade_gemm_shape *shape) { return (size_t)ADE_GEMM_ROWS * (size_t)shape->width + SKEW; }

static int32_t rows_at(int32_t first, int32_t m, int32_t most) { return m - first < most ? m - first : most; }

/* Panels [first, end) of X W^T for up to ADE_GEMM_ROWS rows; panel `first` goes to y. */
static ade_status products(ade_exec *exec, const ade_linear *linear, const void *x, int32_t rows, int32_t first,
                           int32_t end, float *y, size_t stride) {
    double start = ade__seconds();
    for (int32_t j = first; j < end; j++, y += stride) ADE_TRY(ade__gemm_run(exec->gemm, linear, j, x, rows, y));
    spent(&start, &exec->times.products);
    return ADE_OK;
}

/* Panel `first` stands at y. */
static ade_cpu_panels panels_of(const ade_gemm_shape *shape, int32_t first, float *y, size_t stride,
                                const ade_quant *x_rows) {
    const ade_cpu_panels panels = {.y = y,
                                   .first_panel = first,
                                   .stride = stride,
                                   .width = shape->width,
                                   .n = shape->n,
                                   .x_rows = shape->type == ADE_I8 ? x_rows : NULL,
                                   .bias = shape->bias,
                                   .scales = shape->scales,
                                   .sums = shape->sums};
    return panels;
}

/* ---- Ops that only touch rows ------------------------------------------------------------------------------------ */

/* Ops run where they are called, so a copy is just that, and nothing is ever waited for. */
ade_status ade__cpu_copy(ade_exec *exec, int32_t slot, void *to, const void *from, size_t bytes) {
    (void)exec;
    (void)slot;
    if (bytes) memcpy(to, from, bytes);
    return ADE_OK;
}

ade_status ade__cpu_wait(ade_exec *exec, int32_t slot) {
    (void)exec;
    (void)slot;
    return ADE_OK;
}

ade_status ade__cpu_embed(ade_exec *exec, const ade_embed_args *args) {
    const ade_dtype act = exec->backend->act;
    double          start = ade__seconds();
    ade_embed_args  mine = *args;
    int32_t         first, end;
    share(exec, args->t, &first, &end);
    mine.t = end - first;
    mine.ids += first;
    mine.positions += first;
    if (mine.types) mine.types += first;
    mine.x = (float *)args->x + (size_t)first * (size_t)args->h;
    if (args->x_act) mine.x_act = act_row_out(exec, args->x_act, first, args->h);
    if (act == ADE_I8) {
        mine.x_act = NULL;
        exec->backend->kernels->embed(&mine, ADE_F32);
        exec->backend->kernels->rows_convert(mine.x, mine.t, mine.h, act_row_out(exec, args->x_act, first, args->h),
                                             args->x_rows + first, ADE_I8);
    } else {
        exec->backend->kernels->embed(&mine, act);
    }
    spent(&start, &exec->times.elementwise);
    return together(exec);
}

/* The ops of a few rows: member 0 does them while the others wait. */
#define ALONE(call)                                     \
    do {                                                \
        if (exec->part == 0) {                          \
            double start = ade__seconds();              \
            call;                                       \
            spent(&start, &exec->times.elementwise);    \
        }                                               \
        return together(exec);                          \
    } while (0)

ade_status ade__cpu_layernorm(ade_exec *exec, const ade_layernorm_args *args) {
    ALONE(exec->backend->kernels->layernorm(args, exec->backend->act));
}

ade_status ade__cpu_activation(ade_exec *exec, const ade_activation_args *args) {
    ALONE(exec->backend->kernels->activation(args, exec->backend->act));
}

ade_status ade__cpu_pool(ade_exec *exec, const ade_pool_args *args) {
    ALONE(exec->backend->kernels->pool(args, exec->backend->act));
}

ade_status ade__cpu_probs(ade_exec *exec, const ade_probs_args *args) { ALONE(exec->backend->kernels->probs(args)); }

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* (M, N) row-major; few rows, so member 0 does it. */
static ade_status exact_linear(ade_exec *exec, const ade_linear_args *args) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->linear);
    for (int32_t at = 0; exec->part == 0 && at < args->m; at += ADE_GEMM_ROWS)
        ADE_TRY(products(exec, args->linear, (const float *)args->x + (size_t)at * (size_t)shape->k,
                         rows_at(at, args->m, ADE_GEMM_ROWS), 0, 1, (float *)args->y + (size_t)at * (size_t)shape->n, 0));
    return together(exec);
}

ade_status ade__cpu_linear(ade_exec *exec, const ade_linear_args *args) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->linear);
    int32_t               first, end;
    if (shape->panels == 1 && shape->type == ADE_F32) return exact_linear(exec, args);
    share(exec, shape->panels, &first, &end);
    for (int32_t at = 0; at < args->m; at += ADE_GEMM_ROWS) {
        int32_t     rows = rows_at(at, args->m, ADE_GEMM_ROWS);
        const void *x = act_row(exec, args->x, at, shape->k);
        for (int32_t j = first; j < end; j++) {
            float *y = (float *)args->y + (size_t)j * args->y_panel_stride +
                       (size_t)at * (size_t)ade__gemm_columns(shape, j);
            ADE_TRY(products(exec, args->linear, x, rows, j, j + 1, y, args->y_panel_stride));
            if (shape->type != ADE_I8) continue;
            double               start = ade__seconds();
            const ade_cpu_panels panels = panels_of(shape, j, y, args->y_panel_stride, args->x_rows + at);
            exec->backend->kernels->dequantize(&panels, j, j + 1, rows);
            spent(&start, &exec->times.elementwise);
        }
    }
    return together(exec);
}

ade_status ade__cpu_multiply(ade_exec *exec, const ade_linear *linear, int32_t m) {
    const ade_gemm_shape *shape = ade__gemm_shape(linear);
    for (int32_t at = 0; at < m; at += ADE_GEMM_ROWS)
        ADE_TRY(products(exec, linear, exec->inner, rows_at(at, m, ADE_GEMM_ROWS), 0, shape->panels, exec->y,
                         block_stride(shape)));
    return ADE_OK;
}

/* The rows of a block that the team has multiplied into the leader's y. */
static ade_status norm_block(ade_exec *exec, const ade_cpu_panels *panels, const ade_stream *stream, const ade_norm_args *norm,
                             int32_t at, int32_t rows) {
    const ade_dtype act = exec->backend->act;
    double          start = ade__seconds();
    ade_cpu_panels  mine = *panels;
    int32_t         first, end;
    share(exec, rows, &first, &end);
    if (end > first) {
        if (mine.x_rows) mine.x_rows += first;
        mine.first_row = first;
        exec->backend->kernels->rows_norm(&mine, end - first, norm,
                                          (float *)stream->res + (size_t)(at + first) * (size_t)stream->h,
                                          act == ADE_F32 ? NULL : act_row_out(exec, stream->act, at + first, stream->h),
                                          act == ADE_I8 ? stream->rows + at + first : NULL, act);
    }
    spent(&start, &exec->times.elementwise);
    return together(exec);
}

ade_status ade__cpu_linear_norm(ade_exec *exec, const ade_linear_norm_args *args) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->linear);
    const size_t          stride = block_stride(shape);
    int32_t               first, end;
    share(exec, shape->panels, &first, &end);
    for (int32_t at = 0; at < args->stream.m; at += ADE_GEMM_ROWS) {
        int32_t              rows = rows_at(at, args->stream.m, ADE_GEMM_ROWS);
        const ade_quant     *x_rows = args->x_rows ? args->x_rows + at : NULL;
        const ade_cpu_panels panels = panels_of(shape, 0, exec->leader->y, stride, x_rows);
        ADE_TRY(products(exec, args->linear, act_row(exec, args->x, at, shape->k), rows, first, end,
                         exec->leader->y + (size_t)first * stride, stride));
        ADE_TRY(together(exec));
        ADE_TRY(norm_block(exec, &panels, &args->stream, &args->norm, at, rows));
    }
    return ADE_OK;
}

/* inner = act(stream W_in^T + b_in) for a block: each member its panels, a run of them at a time. */
static ade_status inner_by_panels(ade_exec *exec, const ade_feed_forward_args *args, int32_t at, int32_t rows) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->in);
    const size_t          stride = block_stride(shape);
    const void           *x = act_row(exec, args->stream.act, at, shape->k);
    int32_t               first, end, run = RUN_FLOATS / (ADE_GEMM_ROWS * shape->width);
    if (run < 1) run = 1;
    share(exec, shape->panels, &first, &end);
    for (; first < end; first += run) {
        int32_t last = first + run < end ? first + run : end;
        ADE_TRY(products(exec, args->in, x, rows, first, last, exec->y, stride));
        double               start = ade__seconds();
        const ade_cpu_panels panels = panels_of(shape, first, exec->y, stride, NULL);
        exec->backend->kernels->rows_activation(&panels, first, last, rows, args->kind, exec->leader->inner,
                                                (size_t)shape->n, exec->backend->act, NULL, NULL);
        spent(&start, &exec->times.elementwise);
    }
    return together(exec);
}

/* The same in int8, where a row's bytes need all of the row. */
static ade_status inner_by_rows(ade_exec *exec, const ade_feed_forward_args *args, int32_t at, int32_t rows) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->in);
    const size_t          stride = block_stride(shape);
    ade_cpu_panels        panels = panels_of(shape, 0, exec->leader->y, stride, args->stream.rows + at);
    int32_t               first, end;
    share(exec, shape->panels, &first, &end);
    ADE_TRY(products(exec, args->in, act_row(exec, args->stream.act, at, shape->k), rows, first, end,
                     exec->leader->y + (size_t)first * stride, stride));
    ADE_TRY(together(exec));
    double start = ade__seconds();
    share(exec, rows, &first, &end);
    if (end > first) {
        panels.x_rows += first;
        panels.first_row = first;
        exec->backend->kernels->rows_activation(
            &panels, 0, shape->panels, end - first, args->kind, act_row_out(exec, exec->leader->inner, first, shape->n),
            (size_t)shape->n, ADE_I8, exec->leader->inner_rows + first, exec->row);
    }
    spent(&start, &exec->times.elementwise);
    return together(exec);
}

ade_status ade__cpu_feed_forward(ade_exec *exec, const ade_feed_forward_args *args) {
    const ade_gemm_shape *shape = ade__gemm_shape(args->out);
    const size_t          stride = block_stride(shape);
    const int             bytes = exec->backend->act == ADE_I8;
    const ade_cpu_panels  panels = panels_of(shape, 0, exec->leader->y, stride, exec->leader->inner_rows);
    int32_t               first, end;
    share(exec, shape->panels, &first, &end);
    for (int32_t at = 0; at < args->stream.m; at += ADE_GEMM_ROWS) {
        int32_t rows = rows_at(at, args->stream.m, ADE_GEMM_ROWS);
        ADE_TRY(bytes ? inner_by_rows(exec, args, at, rows) : inner_by_panels(exec, args, at, rows));
        ADE_TRY(products(exec, args->out, exec->leader->inner, rows, first, end,
                         exec->leader->y + (size_t)first * stride, stride));
        ADE_TRY(together(exec));
        ADE_TRY(norm_block(exec, &panels, &args->stream, &args->norm, at, rows));
    }
    return ADE_OK;
}

/* ---- Attention --------------------------------------------------------------------------------------------------- */

static void convert_share(ade_exec *exec, const float *from, int32_t rows, int32_t n, void *out, ade_quant *quants) {
    int32_t first, end;
    share(exec, rows, &first, &end);
    exec->backend->kernels->rows_convert(from + (size_t)first * (size_t)n, end - first, n, act_row_out(exec, out, first, n),
                                         quants ? quants + first : NULL, exec->backend->act);
}

ade_status ade__cpu_attention(ade_exec *exec, const ade_attention_args *args) {
    const ade_cpu_kernels *kernels = exec->backend->kernels;
    const ade_dtype        act = exec->backend->act;
    double                 start = ade__seconds();
    if (args->max_len > exec->scratch.max_len || args->d > exec->scratch.head_size)
        return ade__fail(ADE_INTERNAL, "attention over %d tokens and heads of %d came to an exec made for %d and %d",
                         (int)args->max_len, (int)args->d, (int)exec->scratch.max_len, (int)exec->scratch.head_size);
    if (act != ADE_I8) {
        kernels->attention(args, act, act, &exec->scratch, exec->part, exec->parts);
        spent(&start, &exec->times.attention);
        return together(exec);
    }
    ade_attention_args exact = *args;
    exact.out = args->exact;
    kernels->attention(&exact, ADE_BF16, ADE_F32, &exec->scratch, exec->part, exec->parts);
    spent(&start, &exec->times.attention);
    ADE_TRY(together(exec));
    start = ade__seconds();
    convert_share(exec, args->exact, args->first_only ? args->s : args->t, args->a * args->d, args->out, args->out_rows);
    spent(&start, &exec->times.elementwise);
    return together(exec);
}

ade_status ade__cpu_first_attention(ade_exec *exec, const ade_first_attention_args *args) {
    double start = ade__seconds();
    if (args->max_len > exec->scratch.max_len || args->h > exec->hidden)
        return ade__fail(ADE_INTERNAL, "attention over %d tokens of %d values came to an exec made for %d and %d",
                         (int)args->max_len, (int)args->h, (int)exec->scratch.max_len, (int)exec->hidden);
    exec->backend->kernels->first_attention(args, &exec->scratch, exec->part, exec->parts);
    spent(&start, &exec->times.attention);
    ADE_TRY(together(exec));
    if (!args->out_act) return ADE_OK;
    start = ade__seconds();
    convert_share(exec, args->out, args->s, args->a * args->d, args->out_act, args->out_rows);
    spent(&start, &exec->times.elementwise);
    return together(exec);
}
