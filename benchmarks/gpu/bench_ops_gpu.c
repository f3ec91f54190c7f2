/* SPDX-License-Identifier: Apache-2.0
 * The speed of each op of kernels/ops.h on a GPU at the shapes of an encoder, of the whole encoder, and, to compare
 * them with, of the device's own copy and of a large matrix product. Writes one JSON object.
 *
 *     bench_ops_gpu --plugin FILE [--device N] [--models bert-base,default] [--lengths 30,50,128,512] [--mix FILE]
 *                   [--tokens N] [--seconds S] [--arena MIB]
 *
 * Time is the wall clock over at least S seconds (0.05) of queued ops, of several such runs the median. "cold" goes
 * round buffers of `arena` MiB together, more than any cache holds; "warm" stays on one set. --mix names a file with
 * the lengths of texts, one a line, for the encoder. Only what the op's contract makes a backend read and write counts
 * as bytes. */
#include "ops.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 5, MAX_LENGTHS = 16, MAX_LAYERS = 24, VOCAB = 28996, POSITIONS = 512, LABELS = 2 };

typedef struct shape {
    const char *name;
    int32_t     h, heads, f, layers;
} shape;

static const shape shapes[] = {
    {"bert-base", 768, 12, 3072, 12}, /* BioBERT and most of the published classifiers */
    {"default", 384, 12, 1536, 6},    /* models/adesieve-minilm */
    {"tiny", 32, 2, 64, 2},           /* for the emulator */
};

typedef struct batch { /* packed texts; on the host in one pinned block, as a session sends them */
    int32_t  t, s, min_len, max_len;
    int32_t *host; /* ids (T), positions (T), cu_seqlens (S + 1) */
    size_t   bytes;
} batch;

typedef struct bench {
    const ade_ops   *ops;
    ade_backend     *backend;
    ade_exec        *exec;
    ade_backend_info info;
    shape            m;
    int32_t          tokens;  /* a batch */
    double           seconds; /* of a run, at least */
    size_t           arena_bytes;
    char            *in, *other, *out; /* device, arena_bytes each */
    void            *word, *position, *type;
    float           *vector;  /* device, fp32: weights and biases */
    int32_t         *inputs;  /* device, one batch's */
    batch            batch;   /* what is in `inputs` */
    ade_linear      *linear;
    int32_t          rows, n, k; /* of the op that is measured */
    size_t           stride, other_stride, out_stride;
    int              sets;
    int              first; /* nothing was printed yet */
} bench;

typedef ade_status (*op_fn)(bench *b, int call);

/* ---- Errors, memory, time -------------------------------------------------------------------------------------- */

static char last_error[1024];

static ade_status store(ade_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

static const ade_plugin_host host = {sizeof host, store};

static void die(const char *what) {
    fprintf(stderr, "bench_ops_gpu: %s\n", what);
    exit(1);
}

static void must(ade_status status) {
    if (status != ADE_OK) die(last_error);
}

static void *must_have(void *memory) {
    if (!memory) die("out of memory");
    return memory;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t random_state = 1;

static uint32_t random_bits(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Numbers of either sign from 1/16 to 1, as f16; zeros would be faster than real data. */
static void fill_f16(bench *b, void *device, size_t count) {
    enum { BLOCK = 1 << 20 };
    static uint16_t values[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        uint32_t bits = random_bits();
        values[i] = (uint16_t)((bits & 0x8000u) | ((11u + (bits >> 16 & 3u)) << 10) | (bits & 0x3ffu));
    }
    for (size_t i = 0; i < count; i += BLOCK) {
        size_t part = count - i < BLOCK ? count - i : BLOCK;
        must(b->ops->upload(b->backend, (char *)device + 2 * i, values, 2 * part));
    }
}

static void *device_f16(bench *b, size_t rows, size_t columns) {
    void *memory = NULL;
    must(b->ops->alloc(b->backend, rows, 2 * columns, &memory));
    fill_f16(b, memory, rows * columns);
    return memory;
}

static void *device_bytes(bench *b, size_t bytes) {
    void *memory = NULL;
    must(b->ops->alloc(b->backend, 1, bytes, &memory));
    return memory;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void finish(bench *b) {
    static int32_t *landing;
    if (!landing) {
        void *memory = NULL;
        must(b->ops->host_alloc(b->backend, 64, &memory));
        landing = memory;
    }
    must(b->ops->pull(b->exec, 0, landing, b->vector, 4));
    must(b->ops->wait(b->exec, 0));
}

static double run(bench *b, op_fn op, int calls) {
    double start = now();
    for (int i = 0; i < calls; i++) must(op(b, i));
    finish(b);
    return now() - start;
}

/* Seconds of one call. */
static double seconds_of(bench *b, op_fn op) {
    double runs[REPEATS], took;
    int    calls = b->sets > 4 ? b->sets : 4;
    run(b, op, calls); /* loads the code, meets every page */
    while ((took = run(b, op, calls)) < b->seconds && calls < INT_MAX / 16) {
        double factor = took > 0 ? 1.3 * b->seconds / took : 8;
        calls = (int)((double)calls * (factor < 2 ? 2 : factor > 16 ? 16 : factor));
    }
    for (int i = 0; i < REPEATS; i++) runs[i] = run(b, op, calls) / calls;
    qsort(runs, REPEATS, sizeof *runs, by_value);
    return runs[REPEATS / 2];
}

/* ---- Reports --------------------------------------------------------------------------------------------------- */

static void open_row(bench *b) {
    printf("%s\n  {", b->first ? "" : ",");
    b->first = 0;
}

/* Measures an op on rotating and on resident buffers. The strides are bytes of one set in each arena. */
static void measure(bench *b, const char *name, op_fn op, int32_t length, double flop, double bytes) {
    size_t largest = b->stride > b->other_stride ? b->stride : b->other_stride;
    if (b->out_stride > largest) largest = b->out_stride;
    if (largest > b->arena_bytes) die("an op needs more than the arena; use a larger --arena");
    b->sets = (int)(b->arena_bytes / largest);
    if (b->sets > 256) b->sets = 256;
    double cold = seconds_of(b, op);
    b->sets = 1;
    double warm = seconds_of(b, op);
    open_row(b);
    printf("\"model\": \"%s\", \"op\": \"%s\", \"rows\": %d, \"n\": %d, \"k\": %d, \"length\": %d, \"flop\": %.6g, "
           "\"bytes\": %.6g, \"cold_seconds\": %.4g, \"warm_seconds\": %.4g}",
           b->m.name, name, (int)b->rows, (int)b->n, (int)b->k, (int)length, flop, bytes, cold, warm);
    fflush(stdout);
}

static void strides(bench *b, size_t in, size_t other, size_t out) { /* columns of f16 */
    size_t rows = (size_t)b->rows + ADE_ROW_PAD;
    b->stride = rows * in * 2;
    b->other_stride = rows * other * 2;
    b->out_stride = rows * out * 2;
}

static void *place(const bench *b, char *arena, size_t stride, int call) {
    return arena + (size_t)(call % b->sets) * stride;
}

/* ---- Ops ------------------------------------------------------------------------------------------------------- */

static const int32_t *ids_of(const bench *b) { return b->inputs; }
static const int32_t *positions_of(const bench *b) { return b->inputs + b->batch.t; }
static const int32_t *cu_of(const bench *b) { return b->inputs + 2 * (size_t)b->batch.t; }

static ade_status op_linear(bench *b, int call) {
    const ade_linear_args args = {.linear = b->linear,
                                  .x = place(b, b->in, b->stride, call),
                                  .y = place(b, b->out, b->out_stride, call),
                                  .m = b->rows};
    return b->ops->linear(b->exec, &args);
}

static ade_status op_embed(bench *b, int call) {
    const ade_embed_args args = {.ids = ids_of(b),
                                 .positions = positions_of(b),
                                 .word = b->word,
                                 .position = b->position,
                                 .type = b->type,
                                 .table_type = ADE_F16,
                                 .ln_weight = b->vector,
                                 .ln_bias = b->vector,
                                 .eps = 1e-12f,
                                 .x = place(b, b->out, b->out_stride, call),
                                 .t = b->batch.t,
                                 .h = b->m.h};
    return b->ops->embed(b->exec, &args);
}

static ade_attention_args attention_of(const bench *b, const batch *texts) {
    const ade_attention_args args = {.cu_seqlens = cu_of(b),
                                     .t = texts->t,
                                     .s = texts->s,
                                     .a = b->m.heads,
                                     .d = b->m.h / b->m.heads,
                                     .min_len = texts->min_len,
                                     .max_len = texts->max_len,
                                     .scale = 1.0f / sqrtf((float)(b->m.h / b->m.heads))};
    return args;
}

static ade_status op_attention(bench *b, int call) {
    ade_attention_args args = attention_of(b, &b->batch);
    const uint16_t    *qkv = place(b, b->in, b->stride, call);
    args.q = qkv;
    args.k = qkv + b->m.h;
    args.v = qkv + 2 * (size_t)b->m.h;
    args.q_stride = args.kv_stride = 3 * b->m.h;
    args.out = place(b, b->out, b->out_stride, call);
    return b->ops->attention(b->exec, &args);
}

static ade_status op_attention_first(bench *b, int call) {
    ade_attention_args args = attention_of(b, &b->batch);
    const uint16_t    *kv = place(b, b->in, b->stride, call);
    args.first_only = 1;
    args.q = place(b, b->other, b->other_stride, call);
    args.q_stride = b->m.h;
    args.k = kv;
    args.v = kv + b->m.h;
    args.kv_stride = 2 * b->m.h;
    args.out = place(b, b->out, b->out_stride, call);
    return b->ops->attention(b->exec, &args);
}

static ade_status op_layernorm(bench *b, int call) {
    const ade_layernorm_args args = {.x = place(b, b->in, b->stride, call),
                                     .bias = b->vector,
                                     .residual = place(b, b->other, b->other_stride, call),
                                     .ln_weight = b->vector,
                                     .ln_bias = b->vector,
                                     .eps = 1e-12f,
                                     .out = place(b, b->out, b->out_stride, call),
                                     .m = b->rows,
                                     .h = b->m.h};
    return b->ops->layernorm(b->exec, &args);
}

static ade_status op_activation(bench *b, int call) {
    const ade_activation_args args = {.x = place(b, b->in, b->stride, call),
                                      .bias = b->vector,
                                      .y = place(b, b->out, b->out_stride, call),
                                      .kind = ADE_FN_GELU_ERF,
                                      .m = b->rows,
                                      .n = b->m.f};
    return b->ops->activation(b->exec, &args);
}

static ade_status op_pool(bench *b, int call) {
    const ade_pool_args args = {.x = place(b, b->in, b->stride, call),
                                .cu_seqlens = cu_of(b),
                                .out = place(b, b->out, b->out_stride, call),
                                .s = b->batch.s,
                                .h = b->m.h};
    return b->ops->pool(b->exec, &args);
}

static ade_linear *make_linear(bench *b, int32_t n, int32_t k, int with_bias, int exact, int32_t max_rows) {
    float      *weight = must_have(malloc((size_t)n * (size_t)k * sizeof *weight));
    float      *bias = must_have(calloc((size_t)n, sizeof *bias));
    ade_linear *linear = NULL;
    float       scale = 2.0f / sqrtf((float)k) / (float)(1 << 24);
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++) weight[i] = ((float)random_bits() - (float)(1 << 23)) * scale;
    const ade_linear_desc desc = {.weight = weight, .bias = with_bias ? bias : NULL, .n = n, .k = k, .exact = exact};
    must(b->ops->linear_create(b->backend, &desc, &linear));
    must(b->ops->exec_prepare(b->exec, linear, max_rows));
    free(weight);
    free(bias);
    return linear;
}

static void bench_linear(bench *b, const char *name, int32_t rows, int32_t n, int32_t k, int with_bias) {
    double m = rows;
    b->rows = rows, b->n = n, b->k = k;
    b->linear = make_linear(b, n, k, with_bias, 0, rows);
    strides(b, (size_t)k, 0, (size_t)n);
    measure(b, name, op_linear, 0, 2.0 * m * n * k, 2.0 * (m * k + (double)n * k + m * n));
    b->ops->linear_destroy(b->linear);
    b->rows = b->n = b->k = 0;
}

/* ---- Batches --------------------------------------------------------------------------------------------------- */

static batch make_batch(bench *b, const int32_t *lengths, int32_t s) {
    batch   made = {.s = s, .min_len = INT_MAX};
    int32_t at = 0;
    void   *memory = NULL;
    for (int32_t i = 0; i < s; i++) made.t += lengths[i];
    made.bytes = (2 * (size_t)made.t + (size_t)s + 1) * sizeof *made.host;
    must(b->ops->host_alloc(b->backend, made.bytes, &memory));
    made.host = memory;
    int32_t *ids = made.host, *positions = ids + made.t, *cu = positions + made.t;
    for (int32_t i = 0; i < s; i++) {
        cu[i] = at;
        if (lengths[i] < made.min_len) made.min_len = lengths[i];
        if (lengths[i] > made.max_len) made.max_len = lengths[i];
        for (int32_t p = 0; p < lengths[i]; p++, at++) {
            ids[at] = (int32_t)(random_bits() % VOCAB);
            positions[at] = p;
        }
    }
    cu[s] = at;
    return made;
}

static void use_batch(bench *b, int32_t length) {
    int32_t  s = b->tokens / length > 0 ? b->tokens / length : 1;
    int32_t *lengths = must_have(malloc((size_t)s * sizeof *lengths));
    for (int32_t i = 0; i < s; i++) lengths[i] = length;
    if (b->batch.host) b->ops->host_release(b->backend, b->batch.host);
    b->batch = make_batch(b, lengths, s);
    must(b->ops->upload(b->backend, b->inputs, b->batch.host, b->batch.bytes));
    b->rows = b->batch.t;
    free(lengths);
}

static void bench_of_length(bench *b, int32_t length, int with_embed) {
    const size_t h = (size_t)b->m.h;
    use_batch(b, length);
    const double t = b->batch.t, s = b->batch.s, hd = b->m.h;
    strides(b, 3 * h, 0, h);
    measure(b, "attention", op_attention, length, 4 * t * length * hd, 8 * t * hd);
    strides(b, 2 * h, h, h);
    measure(b, "attention, first tokens", op_attention_first, length, 4 * t * hd, 4 * t * hd + 4 * s * hd);
    if (!with_embed) return;
    strides(b, 0, 0, h);
    measure(b, "embed", op_embed, length, 0, t * (4 * hd + 8) + 2 * hd * length);
    strides(b, h, 0, h);
    measure(b, "pool", op_pool, length, 0, 4 * s * hd);
}

/* ---- The encoder ----------------------------------------------------------------------------------------------- */

/* As src/encoder.c runs it, without the session: what the device can do when the host is never late. */
typedef struct encoder {
    ade_linear *qkv[MAX_LAYERS], *attn_out[MAX_LAYERS], *ffn_in[MAX_LAYERS], *ffn_out[MAX_LAYERS];
    ade_linear *q, *kv, *pooler;
    void       *x, *qkv_out, *context, *y, *f, *first, *first_q;
    float      *first_exact, *pooled, *scores, *classifier;
    int32_t   **slots;  /* device memory for inputs */
    float     **landed; /* pinned: each slot's scores */
    int         n_slots;
    batch      *batches;
    int         n_batches;
    double      tokens; /* of all batches */
} encoder;

static ade_status run_linear(bench *b, const ade_linear *linear, const void *x, void *y, int32_t m) {
    const ade_linear_args args = {.linear = linear, .x = x, .y = y, .m = m};
    return b->ops->linear(b->exec, &args);
}

static void add_norm(bench *b, const encoder *e, void *stream, float *exact, int32_t m) {
    const ade_layernorm_args args = {.x = e->y,
                                     .bias = b->vector,
                                     .residual = stream,
                                     .ln_weight = b->vector,
                                     .ln_bias = b->vector,
                                     .eps = 1e-12f,
                                     .out = stream,
                                     .out_exact = exact,
                                     .m = m,
                                     .h = b->m.h};
    must(b->ops->layernorm(b->exec, &args));
}

static void rest_of_layer(bench *b, const encoder *e, int layer, void *stream, float *exact, int32_t m) {
    const ade_activation_args act = {
        .x = e->f, .bias = b->vector, .y = e->f, .kind = ADE_FN_GELU_ERF, .m = m, .n = b->m.f};
    must(run_linear(b, e->attn_out[layer], e->context, e->y, m));
    add_norm(b, e, stream, NULL, m);
    must(run_linear(b, e->ffn_in[layer], stream, e->f, m));
    must(b->ops->activation(b->exec, &act));
    must(run_linear(b, e->ffn_out[layer], e->f, e->y, m));
    add_norm(b, e, stream, exact, m);
}

static void run_batch(bench *b, const encoder *e, int index) {
    const batch   *texts = &e->batches[index % e->n_batches];
    const int      slot = index % e->n_slots;
    const size_t   h = (size_t)b->m.h;
    const int32_t *ids = e->slots[slot], *positions = ids + texts->t, *cu = positions + texts->t;
    must(b->ops->wait(b->exec, slot));
    must(b->ops->push(b->exec, slot, e->slots[slot], texts->host, texts->bytes));
    const ade_embed_args embed = {.ids = ids, .positions = positions, .word = b->word, .position = b->position,
                                  .type = b->type, .table_type = ADE_F16, .ln_weight = b->vector, .ln_bias = b->vector,
                                  .eps = 1e-12f, .x = e->x, .t = texts->t, .h = b->m.h};
    must(b->ops->embed(b->exec, &embed));
    ade_attention_args attention = attention_of(b, texts);
    attention.cu_seqlens = cu;
    attention.out = e->context;
    for (int layer = 0; layer + 1 < b->m.layers; layer++) {
        must(run_linear(b, e->qkv[layer], e->x, e->qkv_out, texts->t));
        attention.q = e->qkv_out;
        attention.k = (uint16_t *)e->qkv_out + h;
        attention.v = (uint16_t *)e->qkv_out + 2 * h;
        attention.q_stride = attention.kv_stride = 3 * b->m.h;
        must(b->ops->attention(b->exec, &attention));
        rest_of_layer(b, e, layer, e->x, NULL, texts->t);
    }
    const ade_pool_args pool = {.x = e->x, .cu_seqlens = cu, .out = e->first, .s = texts->s, .h = b->m.h};
    must(b->ops->pool(b->exec, &pool));
    must(run_linear(b, e->kv, e->x, e->qkv_out, texts->t));
    must(run_linear(b, e->q, e->first, e->first_q, texts->s));
    attention.first_only = 1;
    attention.q = e->first_q;
    attention.q_stride = b->m.h;
    attention.k = e->qkv_out;
    attention.v = (uint16_t *)e->qkv_out + h;
    attention.kv_stride = 2 * b->m.h;
    must(b->ops->attention(b->exec, &attention));
    rest_of_layer(b, e, b->m.layers - 1, e->first, e->first_exact, texts->s);
    must(run_linear(b, e->pooler, e->first_exact, e->pooled, texts->s));
    const ade_activation_args tanh = {
        .x = e->pooled, .y = e->pooled, .kind = ADE_FN_TANH, .m = texts->s, .n = b->m.h, .exact = 1};
    must(b->ops->activation(b->exec, &tanh));
    const ade_probs_args probs = {.x = e->pooled, .weight = e->classifier, .bias = b->vector, .logits = e->scores,
                                  .probabilities = e->scores + (size_t)texts->s * LABELS, .s = texts->s, .h = b->m.h,
                                  .c = LABELS, .problem = ADE_PROBLEM_SINGLE_LABEL};
    must(b->ops->probs(b->exec, &probs));
    must(b->ops->pull(b->exec, slot, e->landed[slot], e->scores, (size_t)texts->s * 2 * LABELS * sizeof(float)));
}

static void encoder_open(bench *b, encoder *e) {
    const int32_t h = b->m.h, f = b->m.f, rows = b->tokens;
    const size_t  t = (size_t)rows, wide = (size_t)h;
    memset(e, 0, sizeof *e);
    for (int i = 0; i < b->m.layers; i++) {
        if (i + 1 < b->m.layers) e->qkv[i] = make_linear(b, 3 * h, h, 1, 0, rows);
        e->attn_out[i] = make_linear(b, h, h, 0, 0, rows);
        e->ffn_in[i] = make_linear(b, f, h, 0, 0, rows);
        e->ffn_out[i] = make_linear(b, h, f, 0, 0, rows);
    }
    e->q = make_linear(b, h, h, 1, 0, rows);
    e->kv = make_linear(b, 2 * h, h, 1, 0, rows);
    e->pooler = make_linear(b, h, h, 1, 1, rows);
    e->x = device_f16(b, t, wide);
    e->qkv_out = device_f16(b, t, 3 * wide);
    e->context = device_f16(b, t, wide);
    e->y = device_f16(b, t, wide);
    e->f = device_f16(b, t, (size_t)f);
    e->first = device_f16(b, t, wide);
    e->first_q = device_f16(b, t, wide);
    e->first_exact = device_f16(b, t, 2 * wide);
    e->pooled = device_f16(b, t, 2 * wide);
    e->scores = device_f16(b, t, 4 * LABELS);
    e->classifier = b->vector;
    e->n_slots = b->info.slots;
    e->slots = must_have(calloc((size_t)e->n_slots, sizeof *e->slots));
    e->landed = must_have(calloc((size_t)e->n_slots, sizeof *e->landed));
    for (int i = 0; i < e->n_slots; i++) {
        void *memory = NULL;
        e->slots[i] = device_bytes(b, (3 * t + 1) * sizeof(int32_t));
        must(b->ops->host_alloc(b->backend, t * 2 * LABELS * sizeof(float), &memory));
        e->landed[i] = memory;
    }
}

static void encoder_close(bench *b, encoder *e) {
    void *const buffers[] = {e->x,       e->qkv_out,     e->context, e->y,     e->f, e->first,
                             e->first_q, e->first_exact, e->pooled,  e->scores};
    for (int i = 0; i < b->m.layers; i++) {
        ade_linear *const linears[] = {e->qkv[i], e->attn_out[i], e->ffn_in[i], e->ffn_out[i]};
        for (size_t k = 0; k < sizeof linears / sizeof *linears; k++) b->ops->linear_destroy(linears[k]);
    }
    b->ops->linear_destroy(e->q), b->ops->linear_destroy(e->kv), b->ops->linear_destroy(e->pooler);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) b->ops->release(b->backend, buffers[i]);
    for (int i = 0; i < e->n_slots; i++) {
        b->ops->release(b->backend, e->slots[i]);
        b->ops->host_release(b->backend, e->landed[i]);
    }
    free(e->slots);
    free(e->landed);
}

static double encoder_seconds(bench *b, encoder *e) { /* all batches once */
    double runs[REPEATS], took;
    int    passes = 1;
    for (int repeat = -1; repeat < REPEATS;) {
        double start = now();
        for (int i = 0; i < passes * e->n_batches; i++) run_batch(b, e, i);
        for (int slot = 0; slot < e->n_slots; slot++) must(b->ops->wait(b->exec, slot));
        took = now() - start;
        if (repeat < 0) { /* warms up, and finds out how many passes are long enough */
            if (took >= 4 * b->seconds) repeat = 0;
            else passes *= 2;
        } else {
            runs[repeat++] = took / passes;
        }
    }
    qsort(runs, REPEATS, sizeof *runs, by_value);
    return runs[REPEATS / 2];
}

/* The texts in batches, the longest first, as the library's planner packs them. */
static void encoder_batches(bench *b, encoder *e, const int32_t *lengths, int32_t n) {
    int32_t at = 0;
    e->batches = NULL;
    e->n_batches = 0;
    e->tokens = 0;
    while (at < n) {
        int32_t count = 0, tokens = 0;
        while (at + count < n && (count == 0 || tokens + lengths[at + count] <= b->tokens))
            tokens += lengths[at + count++];
        e->batches = must_have(realloc(e->batches, (size_t)(e->n_batches + 1) * sizeof *e->batches));
        e->batches[e->n_batches++] = make_batch(b, lengths + at, count);
        e->tokens += tokens;
        at += count;
    }
}

static int longer(const void *a, const void *b) { return *(const int32_t *)b - *(const int32_t *)a; }

static void bench_encoder(bench *b, encoder *e, const char *mix, int32_t *lengths, int32_t n) {
    qsort(lengths, (size_t)n, sizeof *lengths, longer);
    encoder_batches(b, e, lengths, n);
    double seconds = encoder_seconds(b, e);
    open_row(b);
    printf("\"model\": \"%s\", \"op\": \"encoder\", \"mix\": \"%s\", \"texts\": %d, \"tokens\": %.0f, \"batches\": %d, "
           "\"seconds\": %.4g}",
           b->m.name, mix, (int)n, e->tokens, e->n_batches, seconds);
    fflush(stdout);
    for (int i = 0; i < e->n_batches; i++) b->ops->host_release(b->backend, e->batches[i].host);
    free(e->batches);
}

/* ---- The device's own rates ------------------------------------------------------------------------------------ */

/* Bytes read and written per second by the driver's device-to-device copy; by memcpy where there is no driver (the
 * emulator). The driver's functions are reached by name, so that this program is built without CUDA. */
static double copy_rate(const bench *b, int index) {
    typedef int (*fn)(void);
    void       *cuda = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    size_t      bytes = b->arena_bytes;
    double      rates[REPEATS];
    const char *names[] = {"cuMemcpyDtoDAsync_v2", "cuStreamSynchronize", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent",
                           "cuDeviceGet", "cuInit"};
    void       *found[6] = {NULL};
    int         device = 0, n = 4, ok = cuda != NULL;
    void       *context = NULL;
    for (size_t i = 0; ok && i < 6; i++) ok = (found[i] = dlsym(cuda, names[i])) != NULL;
    int (*copy)(uint64_t, uint64_t, size_t, void *) = NULL;
    int (*wait)(void *) = NULL, (*retain)(void **, int) = NULL, (*use)(void *) = NULL, (*get)(int *, int) = NULL,
        (*init)(unsigned) = NULL;
    void *const to[] = {&copy, &wait, &retain, &use, &get, &init};
    _Static_assert(sizeof(fn) == sizeof(void *), "function pointers come from dlsym");
    for (size_t i = 0; i < 6; i++) memcpy(to[i], &found[i], sizeof found[i]);
    ok = ok && init(0) == 0 && get(&device, index) == 0 && retain(&context, device) == 0 && use(context) == 0;
    char *from = NULL, *into = NULL;
    if (ok) {
        n = 128;
    } else {
        fprintf(stderr, "bench_ops_gpu: there is no CUDA driver; the copy rate is memcpy's\n");
        from = must_have(calloc(1, bytes));
        into = must_have(calloc(1, bytes));
    }
    for (int repeat = -1; repeat < REPEATS; repeat++) {
        double start = now();
        for (int i = 0; i < n; i++) {
            if (!ok) memcpy(into, from, bytes);
            else if (copy((uint64_t)(uintptr_t)b->out, (uint64_t)(uintptr_t)b->in, bytes, NULL)) die("a copy failed");
        }
        if (ok && wait(NULL)) die("the copies failed");
        if (repeat >= 0) rates[repeat] = 2.0 * n * (double)bytes / (now() - start);
    }
    free(from);
    free(into);
    qsort(rates, REPEATS, sizeof *rates, by_value);
    return rates[REPEATS / 2];
}

static void open_exec(bench *b, int32_t rows) {
    const ade_exec_options options = {
        .max_tokens = rows, .max_len = POSITIONS, .head_size = b->m.h / b->m.heads, .slots = b->info.slots};
    must(b->ops->exec_create(b->backend, &options, &b->exec));
}

static void close_exec(bench *b) {
    b->ops->exec_destroy(b->exec);
    b->exec = NULL;
}

/* ---- A model's shapes ------------------------------------------------------------------------------------------ */

static void bench_model(bench *b, const int32_t *lengths, int n_lengths, int32_t *mix, int32_t n_mix) {
    const int32_t h = b->m.h, f = b->m.f, t = b->tokens, s = t / 50 > 1 ? t / 50 : 1;
    const size_t  wide = (size_t)h;
    encoder       e;
    char          name[16];
    b->word = device_f16(b, VOCAB, wide);
    b->position = device_f16(b, POSITIONS, wide);
    b->type = device_f16(b, 2, wide);

    bench_linear(b, "linear, qkv", t, 3 * h, h, 1);
    bench_linear(b, "linear, attention out", t, h, h, 0);
    bench_linear(b, "linear, ffn in", t, f, h, 0);
    bench_linear(b, "linear, ffn out", t, h, f, 0);
    bench_linear(b, "linear, kv of the last layer", t, 2 * h, h, 1);
    bench_linear(b, "linear, ffn in of the last layer", s, f, h, 0);
    bench_linear(b, "linear, ffn out of the last layer", s, h, f, 0);
    b->rows = t;
    strides(b, wide, wide, wide);
    measure(b, "layernorm", op_layernorm, 0, 0, 6.0 * t * h);
    strides(b, (size_t)f, 0, (size_t)f);
    measure(b, "activation", op_activation, 0, 0, 4.0 * t * f);
    for (int i = 0; i < n_lengths; i++) bench_of_length(b, lengths[i], lengths[i] == 50 || n_lengths == 1);

    encoder_open(b, &e);
    for (int i = 0; i < n_lengths; i++) {
        int32_t  n = t / lengths[i] > 0 ? t / lengths[i] : 1;
        int32_t *same = must_have(malloc((size_t)n * sizeof *same));
        for (int32_t k = 0; k < n; k++) same[k] = lengths[i];
        snprintf(name, sizeof name, "%d", (int)lengths[i]);
        bench_encoder(b, &e, name, same, n);
        free(same);
    }
    if (n_mix) bench_encoder(b, &e, "mix", mix, n_mix);
    encoder_close(b, &e);
    b->ops->release(b->backend, b->word);
    b->ops->release(b->backend, b->position);
    b->ops->release(b->backend, b->type);
}

/* ---- Arguments ------------------------------------------------------------------------------------------------- */

static int32_t *read_mix(const char *path, int32_t max_len, int32_t *n) {
    FILE    *file = fopen(path, "r");
    int32_t *lengths = NULL;
    int      value;
    *n = 0;
    if (!file) die("the file of --mix cannot be read");
    while (fscanf(file, "%d", &value) == 1) {
        if (value < 2 || value > max_len) die("a length of --mix is out of range");
        if (*n % 4096 == 0) lengths = must_have(realloc(lengths, (size_t)(*n + 4096) * sizeof *lengths));
        lengths[(*n)++] = value;
    }
    fclose(file);
    if (*n == 0) die("the file of --mix holds no lengths");
    return lengths;
}

static long number(const char *text, long low, long high) {
    char *end;
    long  value = strtol(text, &end, 10);
    if (*end || end == text || value < low || value > high) {
        fprintf(stderr, "bench_ops_gpu: \"%s\" is no number from %ld to %ld\n", text, low, high);
        exit(2);
    }
    return value;
}

static void connect_plugin(bench *b, const char *path, int32_t device) {
    const ade_backend_options options = {.device_index = device};
    void                     *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) die(dlerror());
    const ade_plugin_entry *entry = dlsym(library, "ade_plugin");
    if (!entry || entry->abi != ADE_BACKEND_ABI || entry->struct_size != sizeof *entry)
        die("the plugin is none of adesieve's, or of another version");
    b->ops = entry->connect(&host);
    if (!b->ops) die(last_error);
    must(b->ops->probe(device));
    must(b->ops->open(&options, &b->backend));
    b->ops->describe(b->backend, &b->info);
    if (b->info.act != ADE_F16 || b->info.res != ADE_F16 || b->info.table_type != ADE_F16)
        die("a backend in f16 is needed");
}

static void print_text(const char *key, const char *text) {
    printf("\"%s\": \"", key);
    for (; *text; text++)
        if (*text != '"' && *text != '\\' && (unsigned char)*text >= ' ') putchar(*text);
    printf("\", ");
}

int main(int argc, char **argv) {
    bench       b = {.seconds = 0.05, .arena_bytes = (size_t)512 << 20, .first = 1};
    const char *plugin = NULL, *models = "bert-base,default", *mix_file = NULL;
    char        list[256] = "30,50,128,512";
    int32_t     lengths[MAX_LENGTHS], n_mix = 0, device = 0, large = 8192;
    int         n_lengths = 0;
    for (int i = 1; i < argc; i += 2) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && !strcmp(option, "--plugin")) plugin = value;
        else if (value && !strcmp(option, "--device")) device = (int32_t)number(value, 0, 1024);
        else if (value && !strcmp(option, "--models")) models = value;
        else if (value && !strcmp(option, "--lengths")) snprintf(list, sizeof list, "%s", value);
        else if (value && !strcmp(option, "--mix")) mix_file = value;
        else if (value && !strcmp(option, "--tokens")) b.tokens = (int32_t)number(value, 2, 1 << 20);
        else if (value && !strcmp(option, "--seconds")) b.seconds = atof(value);
        else if (value && !strcmp(option, "--arena")) b.arena_bytes = (size_t)number(value, 1, 65536) << 20;
        else {
            fprintf(stderr, "usage: bench_ops_gpu --plugin FILE [--device N] [--models A,B] [--lengths 30,50]\n"
                            "                     [--mix FILE] [--tokens N] [--seconds S] [--arena MIB]\n");
            return 2;
        }
    }
    if (!plugin) die("--plugin FILE is needed");
    for (char *part = strtok(list, ","); part && n_lengths < MAX_LENGTHS; part = strtok(NULL, ","))
        lengths[n_lengths++] = (int32_t)number(part, 2, POSITIONS);
    int32_t *mix = mix_file ? read_mix(mix_file, POSITIONS, &n_mix) : NULL;

    connect_plugin(&b, plugin, device);
    if (b.tokens == 0) b.tokens = b.info.token_budget;
    for (int i = 0; i < n_lengths; i++)
        if (b.tokens < lengths[i]) die("a length is above --tokens");
    const int tiny = !strcmp(models, "tiny");
    if (tiny) large = 64;
    b.in = device_f16(&b, b.arena_bytes / 256, 128);
    b.other = device_f16(&b, b.arena_bytes / 256, 128);
    b.out = device_f16(&b, b.arena_bytes / 256, 128);
    b.inputs = device_bytes(&b, (3 * (size_t)b.tokens + POSITIONS) * sizeof *b.inputs);
    enum { VECTOR = 16384 };
    static float ones[VECTOR];
    for (int i = 0; i < VECTOR; i++) ones[i] = (float)(random_bits() % 1000) / 1000;
    b.vector = device_bytes(&b, sizeof ones);
    must(b.ops->upload(b.backend, b.vector, ones, sizeof ones));

    b.m = shapes[tiny ? 2 : 0];
    printf("{");
    print_text("device_name", b.info.device_name);
    print_text("instruction_set", b.info.instruction_set);
    printf("\"tokens\": %d, \"token_budget\": %d, \"arena_mib\": %zu, \"copy_bytes_per_second\": %.4g,\n\"rows\": [",
           (int)b.tokens, (int)b.info.token_budget, b.arena_bytes >> 20, copy_rate(&b, device));
    b.m.name = "none";
    open_exec(&b, large);
    bench_linear(&b, "linear, large", large, large, large, 0);
    close_exec(&b);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const char *at = strstr(models, shapes[i].name);
        if (!at) continue;
        b.m = shapes[i];
        open_exec(&b, b.tokens);
        bench_model(&b, lengths, n_lengths, mix, n_mix);
        close_exec(&b);
    }
    printf("\n]}\n");
    free(mix);
    if (b.batch.host) b.ops->host_release(b.backend, b.batch.host);
    void *const left[] = {b.in, b.other, b.out, b.inputs, b.vector};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) b.ops->release(b.backend, left[i]);
    b.ops->close(b.backend);
    return 0;
}
