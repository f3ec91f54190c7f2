/* SPDX-License-Identifier: Apache-2.0
 * The speed of each op of kernels/ops.h on one CPU thread, at the shapes of an encoder, and its share of a forward
 * pass.
 *
 *     bench_ops [HIDDEN HEADS INTERMEDIATE LAYERS [TOKENS LENGTH]]
 *
 * The default is the default model: 384 12 1536 6, with batches of 256 tokens in texts of 27. An op's time is the
 * fastest of several repetitions of a long enough run: other programs can only add to it. */
#include "adesieve.h"
#include "ops.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    ade_linear      *linear;
    void            *x, *y, *z;            /* (T, max(3H, F)) of fp32, at most */
    float           *vector;               /* (max(3H, F)): weights and biases of LayerNorm */
    double           total;                /* seconds of a forward pass so far */
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

/* Seconds of one call. */
static double seconds_of(bench *b, op_fn op, int32_t n, int32_t k) {
    double best = INFINITY;
    int    calls = 1;
    must(op(b, n, k));
    for (;;) { /* calls that take 20 ms together */
        double start = ade__seconds();
        for (int i = 0; i < calls; i++) must(op(b, n, k));
        double seconds = ade__seconds() - start;
        if (seconds > 0.02) break;
        calls *= 2;
    }
    for (int repetition = 0; repetition < 9; repetition++) {
        double start = ade__seconds();
        for (int i = 0; i < calls; i++) must(op(b, n, k));
        double seconds = (ade__seconds() - start) / calls;
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
    const ade_linear_args args = {.linear = b->linear, .x = b->x, .y = b->y, .m = m};
    (void)unused;
    return b->ops->linear(b->exec, &args);
}

static void bench_linear(bench *b, const char *what, int32_t n, int32_t k, int32_t m, int exact, double times) {
    char                  name[80];
    float                *weight = must_have(malloc((size_t)n * (size_t)k * sizeof *weight));
    const ade_linear_desc desc = {.weight = weight, .bias = NULL, .n = n, .k = k, .exact = exact};
    size_t                in = b->info.act == ADE_F32 || exact ? 4 : 2;
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++) weight[i] = (float)(i % 31) / 31 - 0.5f;
    must(b->ops->linear_create(b->backend, &desc, &b->linear));
    must(b->ops->exec_prepare(b->exec, b->linear, m));
    double seconds = seconds_of(b, run_linear, m, 0);
    snprintf(name, sizeof name, "linear %s (%d, %d) x (%d, %d)", what, (int)m, (int)k, (int)k, (int)n);
    report(b, "linear", name, seconds, times, 2.0 * m * n * k,
           (double)in * ((double)m * k + (double)n * k) + 4.0 * m * n);
    b->ops->linear_destroy(b->linear);
    free(weight);
}

static ade_status run_embed(bench *b, int32_t unused, int32_t unused_too) {
    (void)unused, (void)unused_too;
    const ade_embed_args args = {.ids = b->ids, .positions = b->positions, .word = b->y, .position = b->y, .type = b->y,
                                 .table_type = ADE_F32, .ln_weight = b->vector, .ln_bias = b->vector, .eps = 1e-12f,
                                 .x = b->x, .x_act = b->info.act == ADE_F32 ? NULL : b->z, .t = b->s.tokens, .h = b->s.h};
    return b->ops->embed(b->exec, &args);
}

static ade_status run_attention(bench *b, int32_t first_only, int32_t unused) {
    (void)unused;
    const ade_attention_args args = {.q = b->x, .k = (float *)b->x + b->s.h, .v = (float *)b->x + 2 * b->s.h,
                                     .q_stride = 3 * b->s.h, .kv_stride = 3 * b->s.h, .cu_seqlens = b->cu, .out = b->y,
                                     .t = b->s.tokens, .s = b->n_texts, .a = b->s.heads, .d = b->s.h / b->s.heads,
                                     .min_len = b->s.length, .max_len = b->s.length, .first_only = first_only,
                                     .scale = 1.0f / sqrtf((float)(b->s.h / b->s.heads))};
    return b->ops->attention(b->exec, &args);
}

static ade_status run_layernorm(bench *b, int32_t m, int32_t unused) {
    (void)unused;
    const ade_layernorm_args args = {.x = b->x, .residual = b->y, .ln_weight = b->vector, .ln_bias = b->vector,
                                     .eps = 1e-12f, .out = b->y, .out_act = b->info.act == ADE_F32 ? NULL : b->z, .m = m,
                                     .h = b->s.h};
    return b->ops->layernorm(b->exec, &args);
}

static ade_status run_activation(bench *b, int32_t m, int32_t unused) {
    (void)unused;
    const ade_activation_args args = {.x = b->x, .y = b->info.act == ADE_F32 ? b->x : b->z, .kind = ADE_FN_GELU_ERF,
                                      .m = m, .n = b->s.f};
    return b->ops->activation(b->exec, &args);
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
    const ade_exec_options exec = {
        .max_tokens = s->tokens, .max_len = s->length, .head_size = s->h / s->heads, .slots = 1};
    must(b.ops->exec_create(b.backend, &exec, &b.exec));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.x));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.y));
    must(b.ops->alloc(b.backend, (size_t)s->tokens, width * sizeof(float), &b.z));
    b.vector = must_have(malloc(width * sizeof *b.vector));
    fill(b.x, count);
    fill(b.y, count);
    fill(b.vector, width);

    double t = s->tokens, h = s->h, f = s->f, act = b.info.act == ADE_F32 ? 4 : 2, copy = b.info.act == ADE_F32 ? 0 : 2;
    double full = s->layers - 1; /* layers on all tokens; the last one does most on first tokens only */
    double pairs = 0;
    for (int32_t i = 0; i < b.n_texts; i++) pairs += (double)(b.cu[i + 1] - b.cu[i]) * (b.cu[i + 1] - b.cu[i]);

    printf("%s, %s; %d tokens in %d texts of %d, one thread\n", b.info.precision == ADE_PRECISION_F32 ? "f32" : "bf16",
           b.info.instruction_set, (int)s->tokens, (int)b.n_texts, (int)s->length);
    report(&b, "embed", "embed", seconds_of(&b, run_embed, 0, 0), 1, 0, t * h * (16 + copy));
    fill(b.x, count); /* act inputs are read from here: any bits will do in f32, small numbers in bf16 */
    if (b.info.act != ADE_F32) memset(b.x, 0x3c, count * 2);
    bench_linear(&b, "qkv", 3 * s->h, s->h, s->tokens, 0, full);
    bench_linear(&b, "kv, last layer", 2 * s->h, s->h, s->tokens, 0, 1);
    bench_linear(&b, "out", s->h, s->h, s->tokens, 0, full);
    bench_linear(&b, "ffn in", s->f, s->h, s->tokens, 0, full);
    bench_linear(&b, "ffn out", s->h, s->f, s->tokens, 0, full);
    bench_linear(&b, "ffn in, last layer", s->f, s->h, b.n_texts, 0, 1);
    bench_linear(&b, "ffn out, last layer", s->h, s->f, b.n_texts, 0, 1);
    bench_linear(&b, "q or out, last layer", s->h, s->h, b.n_texts, 0, 2);
    fill(b.x, count);
    bench_linear(&b, "pooler", s->h, s->h, b.n_texts, 1, 1);
    fill(b.x, count);
    fill(b.y, count);
    report(&b, "attention", "attention", seconds_of(&b, run_attention, 0, 0), full, 4 * pairs * h, t * h * (12 + act));
    report(&b, "attention", "attention, first tokens only", seconds_of(&b, run_attention, 1, 0), 1, 4 * t * h,
           t * h * 8 + b.n_texts * h * (4 + act));
    report(&b, "layernorm", "layernorm", seconds_of(&b, run_layernorm, s->tokens, 0), 2 * full, 0, t * h * (12 + copy));
    fill(b.x, count);
    report(&b, "gelu", "gelu", seconds_of(&b, run_activation, s->tokens, 0), full, 0, t * f * (4 + act));

    printf("  a forward pass: %.0f us, %.0f tokens/s, %.0f texts/s;", b.total * 1e6, t / b.total, b.n_texts / b.total);
    for (int i = 0; i < b.n_parts; i++) printf(" %s %.1f %%", b.parts[i].name, 100 * b.parts[i].seconds / b.total);
    printf("\n");

    b.ops->release(b.backend, b.x);
    b.ops->release(b.backend, b.y);
    b.ops->release(b.backend, b.z);
    b.ops->exec_destroy(b.exec);
    b.ops->close(b.backend);
    free(b.vector);
    free(b.ids);
    free(b.positions);
    free(b.cu);
}

int main(int argc, char **argv) {
    shape          s = {384, 12, 1536, 6, 256, 27};
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
    return 0;
}
