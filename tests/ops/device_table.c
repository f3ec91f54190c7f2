/* SPDX-License-Identifier: Apache-2.0
 * Tests of test_ops_device.c that look at a backend's table rather than at one op: sizes of 0, refusals, memory, and
 * the way of a batch through the slots. */
#include "device_subject.h"

#include "fp16.h"
#include "reference.h"
#include "status.h"

#include <math.h>

/* ---- The table: sizes of 0, refusals, memory -------------------------------------------------------------------- */

void test_nothing_to_do(void **state) {
    (void)state;
    static const int32_t cu[] = {0};
    static const float   numbers[64] = {0};
    device_rows          in = device_input(numbers, 4, 64), d_cu = device_input(cu, 1, 4);
    device_rows          y = device_output(4, 64), z = device_output(4, 64);
    void                *x = in.data;
    matrix               w = matrix_new(8, 8, 1, 0), e = matrix_new(8, 8, 1, 1);
    CHECK_OK(device_ops->embed(device_exec, &(ade_embed_args){x, NULL, x, x, x, x, device_info.table_type, x, x, 1e-12f,
                                                              y.data, NULL, 0, 8}));
    CHECK_OK(device_ops->attention(device_exec, &(ade_attention_args){.q = x, .k = x, .v = x, .q_stride = 8, .d = 8,
                                                                      .kv_stride = 8, .cu_seqlens = d_cu.data, .a = 1,
                                                                      .out = y.data, .scale = 1}));
    CHECK_OK(device_ops->layernorm(device_exec,
                                   &(ade_layernorm_args){x, x, x, x, x, 1e-12f, y.data, NULL, z.data, 0, 8}));
    CHECK_OK(device_ops->activation(device_exec, &(ade_activation_args){x, x, y.data, ADE_FN_RELU, 0, 8, 0}));
    CHECK_OK(device_ops->activation(device_exec, &(ade_activation_args){x, x, y.data, ADE_FN_TANH, 0, 8, 1}));
    CHECK_OK(device_ops->pool(device_exec, &(ade_pool_args){x, NULL, d_cu.data, y.data, NULL, 0, 8}));
    CHECK_OK(device_ops->probs(device_exec, &(ade_probs_args){x, x, x, y.data, z.data, 0, 8, 2, 0}));
    CHECK_OK(device_ops->linear(device_exec, &(ade_linear_args){w.linear, x, y.data, 0}));
    CHECK_OK(device_ops->linear(device_exec, &(ade_linear_args){e.linear, x, y.data, 0}));
    CHECK_OK(device_ops->push(device_exec, 0, x, numbers, 0));
    CHECK_OK(device_ops->upload(device_backend, x, numbers, 0));
    CHECK_OK(device_ops->pull(device_exec, 0, NULL, x, 0));
    CHECK_OK(device_ops->wait(device_exec, 0));
    unsigned char *got[] = {device_fetch(&y, 0, "nothing"), device_fetch(&z, 0, "nothing")};
    for (size_t i = 0; i < 256; i++) CHECK(got[0][i] == 0xFF && got[1][i] == 0xFF, "an output of no rows was written");
    free(got[0]), free(got[1]);
    matrix_free(&w), matrix_free(&e);
    device_rows_free(&in), device_rows_free(&d_cu), device_rows_free(&y), device_rows_free(&z);
}

void test_table(void **state) {
    (void)state;
    const ade_backend_info *i = &device_info;
    CHECK(device_plugin->version && *device_plugin->version && *device_ops->name, "no version or name");
    CHECK(i->precision == ADE_PRECISION_F16 && i->act == ADE_F16 && i->res == ADE_F16 && i->table_type == ADE_F16 &&
              i->bias_in_linear == 0 && i->execs == 1 && i->slots >= 2 && i->token_budget >= 128 &&
              i->token_budget % 128 == 0,
          "precision %d, act %d, res %d, tables %d, bias %d, %d execs, %d slots, %d tokens", (int)i->precision,
          (int)i->act, (int)i->res, (int)i->table_type, (int)i->bias_in_linear, (int)i->execs, (int)i->slots,
          (int)i->token_budget);
    static const int32_t refused[] = {ADE_PRECISION_F32, ADE_PRECISION_BF16};
    ade_backend         *backend = NULL;
    for (size_t k = 0; k < COUNT(refused); k++) {
        CHECK_REFUSED(device_ops->open(&(ade_backend_options){0, refused[k]}, &backend), ADE_UNSUPPORTED);
        CHECK(!backend, "a refused backend was made");
    }
    CHECK_REFUSED(device_ops->probe(99), ADE_UNSUPPORTED);
    CHECK_REFUSED(device_ops->probe(-1), ADE_UNSUPPORTED);
    CHECK_REFUSED(device_ops->open(&(ade_backend_options){99, ADE_PRECISION_F16}, &backend), ADE_UNSUPPORTED);
    CHECK_OK(device_ops->open(&(ade_backend_options){0, ADE_PRECISION_F16}, &backend)); /* a second one beside */
    device_ops->close(backend);
    device_ops->close(NULL);
    device_ops->exec_destroy(NULL);
    device_ops->linear_destroy(NULL);
}

void test_memory(void **state) {
    (void)state;
    void *memory = NULL;
    CHECK_STATUS(device_ops->alloc(device_backend, SIZE_MAX, 4, &memory), ADE_OUT_OF_MEMORY);
    CHECK_STATUS(device_ops->alloc(device_backend, SIZE_MAX / 8, 64, &memory), ADE_OUT_OF_MEMORY);
    CHECK_STATUS(device_ops->alloc(device_backend, (size_t)1 << 30, 1 << 16, &memory), ADE_OUT_OF_MEMORY);
    CHECK(!memory && strpbrk(ade_last_error(), "0123456789"), "no need and rest in \"%s\"", ade_last_error());
    CHECK_STATUS(device_ops->host_alloc(device_backend, SIZE_MAX - 8, &memory), ADE_OUT_OF_MEMORY);
    CHECK(!memory, "a refused request gave memory");
    device_ops->release(device_backend, NULL);
    device_ops->host_release(device_backend, NULL);
    for (size_t rows = 0; rows < 40; rows += 13) { /* the pad is zero, also where a buffer lay before */
        for (int again = 0; again < 2; again++) {
            unsigned char *host = host_new((rows + ADE_ROW_PAD) * 12);
            CHECK_OK(device_ops->alloc(device_backend, rows, 12, &memory));
            CHECK((uintptr_t)memory % 64 == 0, "device memory at %p", memory);
            device_read(host, (char *)memory + rows * 12, ADE_ROW_PAD * 12);
            for (size_t i = 0; i < ADE_ROW_PAD * 12; i++)
                CHECK(host[i] == 0, "byte %zu of a row pad is %d", i, host[i]);
            memset(host, 0xFF, (rows + ADE_ROW_PAD) * 12);
            CHECK_OK(device_ops->upload(device_backend, memory, host, (rows + ADE_ROW_PAD) * 12));
            device_ops->release(device_backend, memory);
            free(host);
        }
    }
    CHECK_OK(device_ops->host_alloc(device_backend, 100, &memory));
    CHECK((uintptr_t)memory % 64 == 0, "host memory at %p", memory);
    memset(memory, 1, 100);
    device_ops->host_release(device_backend, memory);
}

void test_refusals(void **state) {
    (void)state;
    float           weight[64] = {1, 2, 3, 7e4f}, bias[8] = {0};
    ade_linear_desc desc = {weight, bias, 8, 8, 0, 0};
    ade_linear     *linear = NULL;
    /* 70,000 is beyond f16. */
    CHECK_REFUSED(device_ops->linear_create(device_backend, &desc, &linear), ADE_UNSUPPORTED);
    CHECK(!linear, "a refused matrix was made");
    desc.exact = 1;
    CHECK_OK(device_ops->linear_create(device_backend, &desc, &linear));
    device_ops->linear_destroy(linear);
    weight[3] = 65504, desc.exact = 0;
    CHECK_OK(device_ops->linear_create(device_backend, &desc, &linear));
    device_ops->linear_destroy(linear);

    const int32_t      cu[] = {0, DEVICE_MAX_LEN + 1};
    static uint16_t    row[3 * 264];
    ade_exec          *exec = NULL;
    device_rows        d_cu = device_input(cu, 2, 4), in = device_input(NULL, DEVICE_MAX_LEN + 1, sizeof row);
    device_rows        out = device_output(DEVICE_MAX_LEN + 1, 264 * 2);
    ade_attention_args args = {.q = in.data, .k = in.data, .v = in.data, .q_stride = 24, .kv_stride = 24, .d = 8,
                               .cu_seqlens = d_cu.data, .out = out.data, .t = cu[1], .s = 1, .a = 1, .scale = 1,
                               .min_len = cu[1], .max_len = cu[1]};
    CHECK_REFUSED(device_ops->attention(device_exec, &args), ADE_INTERNAL); /* longer than the exec was made for */
    args.t = args.min_len = args.max_len = 2;
    args.d = 264, args.q_stride = args.kv_stride = 3 * 264;
    CHECK_REFUSED(device_ops->attention(device_exec, &args), ADE_INTERNAL); /* wider than any instance */
    matrix w = matrix_new(8, 8, 1, 0);
    CHECK_REFUSED(device_ops->linear(device_exec, &(ade_linear_args){w.linear, in.data, out.data,
                                                                     MATRIX_MAX_ROWS + ADE_ROW_PAD}),
                  ADE_INTERNAL); /* more rows than were prepared for */
    matrix_free(&w);
    CHECK_REFUSED(device_ops->push(device_exec, DEVICE_SLOTS, in.data, weight, 64), ADE_INTERNAL);
    CHECK_REFUSED(device_ops->pull(device_exec, -1, weight, in.data, 64), ADE_INTERNAL);
    CHECK_REFUSED(device_ops->wait(device_exec, DEVICE_SLOTS), ADE_INTERNAL);
    CHECK_REFUSED(device_ops->exec_create(device_backend, &(ade_exec_options){64, 64, 8, 0}, &exec), ADE_INTERNAL);
    CHECK(!exec, "a refused exec was made");
    free(device_fetch(&out, 0, "a refused op"));
    device_rows_free(&d_cu), device_rows_free(&in), device_rows_free(&out);
}

/* ---- The way of a batch: push, ops, pull, wait ------------------------------------------------------------------ */

enum { ROUNDS = 4 };

typedef struct pipeline {
    matrix      w, v;
    size_t      rows, width;
    float      *bias;
    device_rows d_bias, middle, end; /* shared by the slots, as an encoder's scratch memory is */
} pipeline;

static pipeline pipeline_new(size_t rows, int32_t width) {
    pipeline p = {matrix_new(width, width, 1, 0), matrix_new(width, width, 0, 0), rows, (size_t)width,
                  random_array((size_t)width, ADE_F32, 1, 0), {0}, {0}, {0}};
    p.d_bias = device_input(p.bias, p.width, 4);
    p.middle = device_output(rows, p.width * 2), p.end = device_output(rows, p.width * 2);
    return p;
}

static void pipeline_free(pipeline *p) {
    matrix_free(&p->w), matrix_free(&p->v), free(p->bias);
    device_rows_free(&p->d_bias), device_rows_free(&p->middle), device_rows_free(&p->end);
}

/* Queues a batch: input up, a few ops, result down. */
static void pipeline_queue(const pipeline *p, ade_exec *exec, int32_t slot, void *device, const void *in, void *out) {
    int32_t rows = (int32_t)p->rows, width = (int32_t)p->width;
    size_t  bytes = p->rows * p->width * 2;
    CHECK_OK(device_ops->push(exec, slot, device, in, bytes));
    CHECK_OK(device_ops->linear(exec, &(ade_linear_args){p->w.linear, device, p->middle.data, rows}));
    CHECK_OK(device_ops->activation(exec, &(ade_activation_args){p->middle.data, p->d_bias.data, p->middle.data,
                                                                 ADE_FN_TANH, rows, width, 0}));
    CHECK_OK(device_ops->linear(exec, &(ade_linear_args){p->v.linear, p->middle.data, p->end.data, rows}));
    CHECK_OK(device_ops->layernorm(exec, &(ade_layernorm_args){p->end.data, NULL, device, p->d_bias.data,
                                                               p->d_bias.data, 1e-5f, p->end.data, NULL, NULL, rows,
                                                               width}));
    CHECK_OK(device_ops->pull(exec, slot, out, p->end.data, bytes));
}

/* Several batches in flight, each slot used again as soon as its batch has arrived: the same bits as one at a time. */
void test_slots(void **state) {
    (void)state;
    pipeline p = pipeline_new(device_all ? 256 : 24, device_all ? 768 : 40);
    size_t   bytes = p.rows * p.width * 2, batches = DEVICE_SLOTS * ROUNDS;
    char    *x = random_array(batches * p.rows * p.width, ADE_F16, 1, 0), *expected = host_new(batches * bytes);
    void    *in[DEVICE_SLOTS], *out[DEVICE_SLOTS], *device[DEVICE_SLOTS];
    for (int32_t slot = 0; slot < DEVICE_SLOTS; slot++) {
        CHECK_OK(device_ops->host_alloc(device_backend, bytes, &in[slot]));
        CHECK_OK(device_ops->host_alloc(device_backend, bytes, &out[slot]));
        CHECK_OK(device_ops->alloc(device_backend, p.rows, p.width * 2, &device[slot]));
        CHECK_OK(device_ops->wait(device_exec, slot)); /* never pulled: done */
    }
    for (size_t b = 0; b < batches; b++) { /* one at a time, each waited for */
        memcpy(in[0], x + b * bytes, bytes);
        memset(out[0], 0xFF, bytes);
        pipeline_queue(&p, device_exec, 0, device[0], in[0], out[0]);
        CHECK_OK(device_ops->wait(device_exec, 0));
        memcpy(expected + b * bytes, out[0], bytes);
        for (size_t k = 0; k < b; k++)
            CHECK(memcmp(expected + k * bytes, expected + b * bytes, bytes) != 0, "batches %zu and %zu are one", k, b);
    }
    for (size_t i = 0; i < p.rows * p.width; i++)
        CHECK(isfinite(reference_load(expected, ADE_F16, i)), "element %zu is no number", i);
    for (int repeat = 0; repeat < (device_all ? 50 : 2); repeat++)
        for (size_t b = 0; b < batches + DEVICE_SLOTS; b++) {
            int32_t slot = (int32_t)(b % DEVICE_SLOTS);
            char    what[64];
            CHECK_OK(device_ops->wait(device_exec, slot));
            if (b >= DEVICE_SLOTS) {
                snprintf(what, sizeof what, "in batch %zu with others in flight", b - DEVICE_SLOTS);
                same_bits("slots", out[slot], expected + (b - DEVICE_SLOTS) * bytes, bytes, what);
            }
            if (b >= batches) continue;
            memset(out[slot], 0xFF, bytes);
            memcpy(in[slot], x + b * bytes, bytes);
            pipeline_queue(&p, device_exec, slot, device[slot], in[slot], out[slot]);
        }
    for (int32_t slot = 0; slot < DEVICE_SLOTS; slot++) {
        device_ops->host_release(device_backend, in[slot]);
        device_ops->host_release(device_backend, out[slot]);
        device_ops->release(device_backend, device[slot]);
    }
    free(x), free(expected);
    pipeline_free(&p);
}

/* A push is seen by the ops after it; a pull takes what the ops before it left, not what later ones leave in the same
 * buffer; slots may be waited for out of order. */
void test_order(void **state) {
    (void)state;
    enum { N = 4096, STEPS = 3 };
    void *in[STEPS], *out[STEPS], *device[STEPS], *y;
    CHECK_OK(device_ops->alloc(device_backend, 1, N * 4, &y));
    for (int i = 0; i < STEPS; i++) {
        CHECK_OK(device_ops->host_alloc(device_backend, N * 4, &in[i]));
        CHECK_OK(device_ops->host_alloc(device_backend, N * 4, &out[i]));
        CHECK_OK(device_ops->alloc(device_backend, 1, N * 4, &device[i]));
        memset(in[i], 0xFF, N * 4);
        CHECK_OK(device_ops->upload(device_backend, device[i], in[i], N * 4)); /* what an early op would read */
        memset(out[i], 0xFF, N * 4);
        for (int k = 0; k < N; k++) ((float *)in[i])[k] = (float)(k * 8 + i);
    }
    for (int i = 0; i < STEPS; i++) {
        CHECK_OK(device_ops->push(device_exec, i, device[i], in[i], N * 4));
        CHECK_OK(device_ops->activation(device_exec, &(ade_activation_args){device[i], NULL, y, ADE_FN_RELU, 1, N, 1}));
        CHECK_OK(device_ops->pull(device_exec, i, out[i], y, N * 4));
    }
    for (int i = STEPS - 1; i >= 0; i--) {
        CHECK_OK(device_ops->wait(device_exec, i));
        for (int k = 0; k < N; k++)
            CHECK(((float *)out[i])[k] == (float)(k * 8 + i), "element %d of batch %d is %g", k, i,
                  (double)((float *)out[i])[k]);
    }
    for (int i = 0; i < STEPS; i++) {
        device_ops->host_release(device_backend, in[i]);
        device_ops->host_release(device_backend, out[i]);
        device_ops->release(device_backend, device[i]);
    }
    device_ops->release(device_backend, y);
}

/* exec_destroy waits for what is queued, and two execs of one backend share matrices without sharing anything else. */
void test_execs(void **state) {
    (void)state;
    ade_exec_options options = {DEVICE_MAX_TOKENS, DEVICE_MAX_LEN, DEVICE_MAX_HEAD, 1};
    pipeline         p = pipeline_new(32, 64), q = p; /* q: the same with scratch memory of its own */
    size_t           bytes = p.rows * p.width * 2;
    void            *in, *out[2], *device[2];
    ade_exec        *other;
    void            *x = random_array(p.rows * p.width, ADE_F16, 1, 0);
    q.middle = device_output(p.rows, p.width * 2), q.end = device_output(p.rows, p.width * 2);
    CHECK_OK(device_ops->exec_create(device_backend, &options, &other));
    CHECK_OK(device_ops->exec_prepare(other, p.w.linear, MATRIX_MAX_ROWS));
    CHECK_OK(device_ops->exec_prepare(other, p.v.linear, MATRIX_MAX_ROWS));
    CHECK_OK(device_ops->host_alloc(device_backend, bytes, &in));
    memcpy(in, x, bytes);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(device_ops->host_alloc(device_backend, bytes, &out[i]));
        CHECK_OK(device_ops->alloc(device_backend, p.rows, p.width * 2, &device[i]));
        memset(out[i], 0xFF, bytes);
    }
    pipeline_queue(&p, device_exec, 0, device[0], in, out[0]);
    pipeline_queue(&q, other, 0, device[1], in, out[1]);
    device_ops->exec_destroy(other);
    CHECK_OK(device_ops->wait(device_exec, 0));
    for (size_t i = 0; i < p.rows * p.width; i++)
        CHECK(isfinite(reference_load(out[0], ADE_F16, i)), "element %zu is no number", i);
    same_bits("execs", out[0], out[1], bytes, "on another exec, destroyed with its batch under way");
    device_ops->host_release(device_backend, in);
    for (int i = 0; i < 2; i++) {
        device_ops->host_release(device_backend, out[i]);
        device_ops->release(device_backend, device[i]);
    }
    device_rows_free(&q.middle), device_rows_free(&q.end);
    pipeline_free(&p);
    free(x);
}

