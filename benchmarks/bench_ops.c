/* SPDX-License-Identifier: Apache-2.0
 * The speed of each op of kernels/ops.h on one CPU thread, at the shapes of an encoder, and its share of a forward
 * pass.
 *
 *     bench_ops [HIDDEN HEADS INTERMEDIATE LAYERS [TOKENS LENGTH]]
 *
 * The default is the default model: 384 12 1536 6, with batches of 512 tokens in texts of 27. An op's time is the
 * fastest of several repetitions of a long enough run: other programs can only add to it. "Bare" products are whole
 * matrices by oneDNN and nothing else: what the fused ops could at best come to. */
#include "adesieve.h"
#include "ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shape {
    int32_t h, heads, f, layers, tokens, length;
} shape;

typedef struct bench {
    const ade_ops   *ops;
    ade_backend     *backend;
    ade_exec        *exec;
    ade_backend_info info;
    shape            s;
    int32_t          n_texts;
    int32_t         *ids, *positions, *cu; /* (T), (T), (S + 1) */
    ade_linear      *linear, *linear2;
    void            *x, *y, *z;            /* (T, max(3H, F)) of fp32, at most */
    ade_quant       *rows;                 /* (T) */
    float           *vector;               /* (max(3H, F)): weights and biases of LayerNorm */
    float           *matrix;               /* (H, H) */
    double           total, bare;          /* seconds of a forward pass so far; of its products alone */
    struct { const char *name; double seconds; } parts[16];
    int              n_parts;
} bench;

typedef ade_status (*op_fn)(bench *b, int32_t n, int32_t k);

static void must(ade_status status) {
    if (status == ADE_OK) return;
    fprintf(stderr, "bench_ops: %s\n", ade_last_error());
    exit(1);
}

static void *must_have(void *memory) {
    if (!memory) fprintf(stderr, "bench_ops: out of memory\n"), exit(1);
    return memory;
}

/* Of this thread's processor time, which others hardly move. */
static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds of one call. */
static double seconds_of(bench *b, op_fn op, int32_t n, int32_t k) {
    double best = INFINITY;
    int    calls = 1;
    must(op(b, n, k));
    for (;;) { /* calls that take 20 ms together */
        double start = processor_seconds();
        for (int i = 0; i < calls; i++) must(op(b, n, k));
        double seconds = processor_seconds() - start;
        if (seconds > 0.02) break;
        calls *= 2;
    }
    for (int repetition = 0; repetition < 9; repetition++) {
        double start = processor_seconds();
        for (int i = 0; i < calls; i++) must(op(b, n, k));
        double seconds = (processor_seconds() - start) / calls;
        if (seconds < best) best = seconds;
    }
    return best;
}

/* `times`: how often the op comes in a forward pass. */
static void report(bench *b, const char *part, const char *name, double seconds, double times, double flops,
                   double bytes) {
    printf("  %-34s %9.1f us  %8.1f GFLOP/s  %8.1f GB/s\n", name, seconds * 1e6, flops / seconds * 1e-9,
           bytes / seconds * 1e-9);
    b->total += seconds * times;
    int i = 0;
    while (i < b->n_parts && strcmp(b->parts[i].name, part) != 0) i++;
    if (i == b->n_parts) {
        b->parts[i].name = part;
        b->parts[b->n_parts++].seconds = 0;
    }
    b->parts[i].seconds += seconds * times;
}

static ade_status run_linear(bench *b, int32_t m, int32_t unused) {
    const size_t          width = (size_t)b->ops->linear_panel(b->linear);
    const ade_linear_args args = {.linear = b->linear, .x = b->x, .y = b->y, .m = m, .x_rows = b->rows,
                                  .y_panel_stride = ((size_t)b->s.tokens + ADE_ROW_PAD) * width};
    (void)unused;
    return b->ops->linear(b->exec, &args);
}

static ade_status run_multiply(bench *b, int32_t m, int32_t unused) {
    (void)unused;
    return b->ops->multiply(b->exec, b->linear, m);
}

static ade_linear *make_linear(bench *b, int32_t n, int32_t k, int32_t group, int exact) {
    ade_linear           *linear;
    float                *weight = must_have(malloc((size_t)n * (size_t)k * sizeof *weight));
    const ade_linear_desc desc = {.weight = weight, .bias = NULL, .n = n, .k = k, .exact = exact, .group = group};
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++) weight[i] = (float)(i % 31) / 31 - 0.5f;
    must(b->ops->linear_create(b->backend, &desc, &linear));
    must(b->ops->exec_prepare(b->exec, linear, b->s.tokens));
    free(weight);
    return linear;
}

/* The whole matrix as one panel. */
static void bench_bare(bench *b, const char *what, int32_t n, int32_t k, int32_t m, double times) {
    char   name[80];
    b->linear = make_linear(b, n, k, n, 0);
    double seconds = seconds_of(b, run_multiply, m, 0), flops = 2.0 * m * n * k;
    snprintf(name, sizeof name, "%s (%d, %d) x (%d, %d)", what, (int)m, (int)k, (int)k, (int)n);
    printf("  bare %-29s %9.1f us  %8.1f GFLOP/s\n", name, seconds * 1e6, flops / seconds * 1e-9);
    b->bare += seconds * times;
    b->ops->linear_destroy(b->linear);
}

static void bench_linear(bench *b, const char *what, int32_t n, int32_t k, int32_t m, int exact, double times) {
    char   name[80];
    size_t in = b->info.act == ADE_F32 || exact ? 4 : ade__dtype_size(b->info.act);
    b->linear = make_linear(b, n, k, exact ? 0 : b->s.h / b->s.heads, exact);
    double seconds = seconds_of(b, run_linear, m, 0);
    snprintf(name, sizeof name, "linear %s (%d, %d) x (%d, %d)", what, (int)m, (int)k, (int)k, (int)n);
    report(b, "linear", name, seconds, times, 2.0 * m * n * k,
           (double)in * ((double)m * k + (double)n * k) + 4.0 * m * n);
    b->ops->linear_destroy(b->linear);
}

static ade_stream stream_of(bench *b, int32_t m) {
    const ade_stream stream = {b->y, b->info.act == ADE_F32 ? b->y : b->z, b->rows, m, b->s.h};
    return stream;
}

static ade_status run_linear_norm(bench *b, int32_t m, int32_t unused) {
    const ade_linear_norm_args args = {b->linear, b->x, b->rows, stream_of(b, m), {b->vector, b->vector, 1e-12f}};
    (void)unused;
    return b->ops->linear_norm(b->exec, &args);
}

static ade_status run_feed_forward(bench *b, int32_t m, int32_t unused) {
    const ade_feed_forward_args args = {b->linear, b->linear2, ADE_FN_GELU_ERF, stream_of(b, m), {b->vector, b->vector, 1e-12f}};
    (void)unused;
    return b->ops->feed_forward(b->exec, &args);
}

static void bench_fused(bench *b, const char *what, int32_t m, double times) {
    char   name[80];
    double h = b->s.h, f = b->s.f;
    b->linear = make_linear(b, b->s.h, b->s.h, 0, 0);
    snprintf(name, sizeof name, "linear_norm%s (%d, %d)", what, (int)m, (int)b->s.h);
    report(b, "linear_norm", name, seconds_of(b, run_linear_norm, m, 0), times, 2 * m * h * h, m * h * 16);
    b->ops->linear_destroy(b->linear);
    b->linear = make_linear(b, b->s.f, b->s.h, 0, 0);
    b->linear2 = make_linear(b, b->s.h, b->s.f, 0, 0);
    snprintf(name, sizeof name, "feed_forward%s (%d, %d, %d)", what, (int)m, (int)b->s.h, (int)b->s.f);
    report(b, "feed_forward", name, seconds_of(b, run_feed_forward, m, 0), times, 4 * m * h * f, m * h * 16);
    b->ops->linear_destroy(b->linear);
    b->ops->linear_destroy(b->linear2);
}

static ade_status run_embed(bench *b, int32_t unused, int32_t unused_too) {
    (void)unused, (void)unused_too;
    const ade_embed_args args = {.ids = b->ids, .positions = b->positions, .word = b->y, .position = b->y, .type = b->y,
                                 .table_type = ADE_F32, .ln_weight = b->vector, .ln_bias = b->vector, .eps = 1e-12f,
                                 .x = b->x, .x_act = b->info.act == ADE_F32 ? NULL : b->z, .t = b->s.tokens, .h = b->s.h,
                                 .x_rows = b->rows};
    return b->ops->embed(b->exec, &args);
}

static ade_status run_attention(bench *b, int32_t unused, int32_t unused_too) {
    (void)unused, (void)unused_too;
    const ade_attention_args args = {.q = b->x, .k = (float *)b->x + b->s.h, .v = (float *)b->x + 2 * b->s.h,
                                     .q_stride = 3 * b->s.h, .kv_stride = 3 * b->s.h, .cu_seqlens = b->cu, .out = b->y, .out_rows = b->rows, .exact = b->z,
                                     .t = b->s.tokens, .s = b->n_texts, .a = b->s.heads, .d = b->s.h / b->s.heads,
                                     .min_len = b->s.length, .max_len = b->s.length,
                                     .scale = 1.0f / sqrtf((float)(b->s.h / b->s.heads))};
    return b->ops->attention(b->exec, &args);
}

static ade_status run_first_attention(bench *b, int32_t unused, int32_t unused_too) {
    (void)unused, (void)unused_too;
    const ade_first_attention_args args = {.q = b->y, .q_stride = b->s.h, .x = b->x, .wk = b->matrix, .wv = b->matrix,
                                           .bv = b->vector, .cu_seqlens = b->cu, .out = b->z, .t = b->s.tokens, .s = b->n_texts,
                                           .a = b->s.heads, .d = b->s.h / b->s.heads, .h = b->s.h, .max_len = b->s.length,
                                           .scale = 1.0f / sqrtf((float)(b->s.h / b->s.heads))};
    return b->ops->first_attention(b->exec, &args);
}

static void fill(void *memory, size_t count) {
    for (size_t i = 0; i < count; i++) ((float *)memory)[i] = (float)((i * 7919) % 2001) / 1000 - 1;
}

/* A block of packed texts: the last one takes what is left. */
static void make_texts(bench *b) {
    const shape *s = &b->s;
    b->n_texts = (s->tokens + s->length - 1) / s->length;
    b->ids = must_have(malloc((size_t)s->tokens * sizeof *b->ids));
    b->positions = must_have(malloc((size_t)s->tokens * sizeof *b->positions));
    b->cu = must_have(malloc(((size_t)b->n_texts + 1) * sizeof *b->cu));
    for (int32_t i = 0; i < s->tokens; i++) {
        b->ids[i] = i;
        b->positions[i] = i % s->length;
    }
    for (int32_t i = 0; i < b->n_texts; i++) b->cu[i] = i * s->length;
    b->cu[b->n_texts] = s->tokens;
}

static const char *name_of(int32_t precision) {
    return precision == ADE_PRECISION_F32 ? "f32" : precision == ADE_PRECISION_BF16 ? "bf16" : "int8";
}

/* What products read: any numbers that are neither huge nor tiny. */
static void fill_act(bench *b) {
    size_t count = (size_t)b->s.tokens * (size_t)(b->s.f > 3 * b->s.h ? b->s.f : 3 * b->s.h);
    fill(b->x, count);
    if (b->info.act != ADE_F32) memset(b->x, 0x3c, count * 2);
    for (int32_t i = 0; i < b->s.tokens; i++) b->rows[i] = (ade_quant){0.01f, 128};
}

static void bench_precision(const shape *s, int32_t precision) {
    bench               b = {.ops = ade__cpu_ops(), .s = *s};
    ade_backend_options options = {.precision = precision};
    size_t              width = (size_t)(s->f > 3 * s->h ? s->f : 3 * s->h), count = (size_t)s->tokens * width;
    if (b.ops->open(&options, &b.backend) != ADE_OK) {
        printf("%s\n", ade_last_error());
        return;
    }
    b.ops->describe(b.backend, &b.info);
    make_texts(&b);
    const ade_exec_options exec = {.max_tokens = s->tokens, .max_len = s->length, .head_size = s->h / s->heads, .slots = 1,
                                   .hidden = s->h, .intermediate = s->f};
    must(b.ops->exec_create(b.backend, &exec, &b.exec));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.x));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.y));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.z));
    b.vector = must_have(malloc(width * sizeof *b.vector));
    b.matrix = must_have(malloc((size_t)s->h * (size_t)s->h * sizeof *b.matrix));
    b.rows = must_have(malloc((size_t)s->tokens * sizeof *b.rows));
    fill(b.vector, width);
    fill(b.matrix, (size_t)s->h * (size_t)s->h);
    fill(b.y, count);

    double t = s->tokens, h = s->h, act = (double)ade__dtype_size(b.info.act);
    double full = s->layers - 1; /* layers on all tokens; the last one does most on first tokens only */
    double pairs = 0;
    for (int32_t i = 0; i < b.n_texts; i++) pairs += (double)(b.cu[i + 1] - b.cu[i]) * (b.cu[i + 1] - b.cu[i]);

    printf("%s, %s; %d tokens in %d texts of %d, one thread\n", name_of(b.info.precision), b.info.instruction_set,
           (int)s->tokens, (int)b.n_texts, (int)s->length);
    fill_act(&b);
    bench_bare(&b, "qkv", 3 * s->h, s->h, s->tokens, full);
    bench_bare(&b, "out", s->h, s->h, s->tokens, full);
    bench_bare(&b, "ffn in", s->f, s->h, s->tokens, full);
    bench_bare(&b, "ffn out", s->h, s->f, s->tokens, full);
    bench_bare(&b, "q and out, last layer", s->h, s->h, b.n_texts, 2);
    bench_bare(&b, "ffn in, last layer", s->f, s->h, b.n_texts, 1);
    bench_bare(&b, "ffn out, last layer", s->h, s->f, b.n_texts, 1);
    report(&b, "embed", "embed", seconds_of(&b, run_embed, 0, 0), 1, 0, t * h * (16 + act));
    fill_act(&b);
    bench_linear(&b, "qkv", 3 * s->h, s->h, s->tokens, 0, full);
    bench_fused(&b, "", s->tokens, full);
    bench_linear(&b, "q, last layer", s->h, s->h, b.n_texts, 0, 1);
    bench_fused(&b, ", last layer", b.n_texts, 1);
    fill(b.x, count);
    bench_linear(&b, "pooler", s->h, s->h, b.n_texts, 1, 1);
    fill(b.x, count);
    fill(b.y, count);
    report(&b, "attention", "attention", seconds_of(&b, run_attention, 0, 0), full, 4 * pairs * h, t * h * (12 + act));
    report(&b, "attention", "first_attention", seconds_of(&b, run_first_attention, 0, 0), 1,
           4 * t * s->heads * h + 4 * b.n_texts * h * h, t * h * 4 + 8 * h * h);

    printf("  a forward pass: %.0f us, %.0f tokens/s, %.0f texts/s;", b.total * 1e6, t / b.total, b.n_texts / b.total);
    for (int i = 0; i < b.n_parts; i++) printf(" %s %.1f %%", b.parts[i].name, 100 * b.parts[i].seconds / b.total);
    printf("\n  bare products: %.0f us, %.1f %% of it\n", b.bare * 1e6, 100 * b.bare / b.total);

    b.ops->release(b.backend, b.x);
    b.ops->release(b.backend, b.y);
    b.ops->release(b.backend, b.z);
    b.ops->exec_destroy(b.exec);
    b.ops->close(b.backend);
    free(b.vector);
    free(b.matrix);
    free(b.rows);
    free(b.ids);
    free(b.positions);
    free(b.cu);
}

int main(int argc, char **argv) {
    shape          s = {384, 12, 1536, 6, 512, 27};
    int32_t *const members[] = {&s.h, &s.heads, &s.f, &s.layers, &s.tokens, &s.length};
    for (int i = 1; i < argc; i++) {
        char *end;
        long  value = i <= 6 ? strtol(argv[i], &end, 10) : 0;
        if (value < 1 || value > 100000 || *end) {
            fprintf(stderr, "usage: bench_ops [HIDDEN HEADS INTERMEDIATE LAYERS [TOKENS LENGTH]]\n");
            return 2;
        }
        *members[i - 1] = (int32_t)value;
    }
    if (s.h % s.heads || s.length > s.tokens) {
        fprintf(stderr, "bench_ops: HIDDEN must divide by HEADS, and LENGTH cannot exceed TOKENS\n");
        return 2;
    }
    bench_precision(&s, ADE_PRECISION_F32);
    bench_precision(&s, ADE_PRECISION_BF16);
    bench_precision(&s, ADE_PRECISION_INT8);
    return 0;
}
