/* SPDX-License-Identifier: Apache-2.0
 * The CPU behind ops.h: chooses the instruction-set level once, owns memory and scratch, forwards every op. */
#include "cpu_common.h"
#include "gemm_cpu.h"

#include "alloc.h"
#include "status.h"

#include <stdio.h>

/* Tokens a batch. Measured from 64 to 1024 on an AMD EPYC (Zen 4): from 384 on the rate hardly grows, and smaller
 * batches spread better over threads. */
#define TOKEN_BUDGET 512

struct ade_backend {
    ade_dtype              act;
    const ade_cpu_kernels *kernels;
    ade_gemm_engine       *gemm;
    char                   name[64], instruction_set[64];
};

struct ade_exec {
    ade_backend           *backend;
    ade_gemm_exec         *gemm;
    struct ade_cpu_scratch scratch;
    int32_t                head_size;
};

/* Never above oneDNN's own choice, so that its variable ONEDNN_MAX_CPU_ISA holds back all that runs on a CPU. */
static const ade_cpu_kernels *choose(void) {
#if defined(ADE_CPU_LEVELS) && defined(__x86_64__)
    int most = ade__gemm_level();
    __builtin_cpu_init();
    if (most >= 4 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        return &ade__cpu_kernels_v4;
    if (most >= 3 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return &ade__cpu_kernels_v3;
#endif
    return &ade__cpu_kernels_v1;
}

static void processor_name(char *out, size_t capacity) {
    char  line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, capacity, "CPU");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || colon[1] == '\0') continue;
        colon[1 + strcspn(colon + 1, "\n")] = '\0';
        snprintf(out, capacity, "%s", colon + 2);
        break;
    }
    if (file) fclose(file);
}

static ade_status cpu_probe(int32_t device_index) {
    (void)device_index; /* there is one CPU, whatever its number of processors */
    return ADE_OK;
}

static ade_status cpu_open(const ade_backend_options *options, ade_backend **out) {
    int native = ade__gemm_has_bf16();
    if (options->precision == ADE_PRECISION_F16)
        return ade__fail(ADE_UNSUPPORTED, "precision f16 needs a GPU; on a CPU use f32%s", native ? " or bf16" : "");
    if (options->precision == ADE_PRECISION_BF16 && !native)
        return ade__fail(ADE_UNSUPPORTED,
                         "precision bf16 needs a processor with AVX-512 BF16 or AMX, and this one has %s; use f32",
                         ade__gemm_isa());
    ade_backend *backend = ade__calloc(1, sizeof *backend);
    if (!backend) return ADE_OUT_OF_MEMORY;
    backend->act = options->precision == ADE_PRECISION_F32 || !native ? ADE_F32 : ADE_BF16;
    backend->kernels = choose();
    processor_name(backend->name, sizeof backend->name);
    snprintf(backend->instruction_set, sizeof backend->instruction_set, "%s, %s", ade__gemm_isa(),
             backend->kernels->name);
    ade_status status = ade__gemm_engine_new(backend->act, &backend->gemm);
    if (status != ADE_OK) {
        ade__free(backend);
        return status;
    }
    *out = backend;
    return ADE_OK;
}

static void cpu_close(ade_backend *backend) {
    if (!backend) return;
    ade__gemm_engine_free(backend->gemm);
    ade__free(backend);
}

static void cpu_describe(const ade_backend *backend, ade_backend_info *info) {
    info->precision = backend->act == ADE_F32 ? ADE_PRECISION_F32 : ADE_PRECISION_BF16;
    info->act = backend->act;
    info->res = ADE_F32;
    info->table_type = ADE_F32;
    info->bias_in_linear = 1; /* oneDNN adds it to its own sums, which costs nothing */
    info->token_budget = TOKEN_BUDGET;
    info->execs = 0;
    info->slots = 1; /* ops run at once: a second batch could not be on its way meanwhile */
    info->device_name = backend->name;
    info->instruction_set = backend->instruction_set;
}

static ade_status cpu_alloc(ade_backend *backend, size_t rows, size_t row_bytes, void **out) {
    (void)backend;
    if (rows > SIZE_MAX - ADE_ROW_PAD) return ade__fail(ADE_OUT_OF_MEMORY, "out of memory: %zu rows", rows);
    void *memory = ade__aligned_malloc(rows + ADE_ROW_PAD, row_bytes);
    if (!memory) return ADE_OUT_OF_MEMORY;
    memset(memory, 0, (rows + ADE_ROW_PAD) * row_bytes); /* padding rows are multiplied, too; garbage could be slow NaNs */
    *out = memory;
    return ADE_OK;
}

static void cpu_release(ade_backend *backend, void *memory) {
    (void)backend;
    ade__aligned_free(memory);
}

static ade_status cpu_upload(ade_backend *backend, void *device, const void *host, size_t bytes) {
    (void)backend;
    if (bytes) memcpy(device, host, bytes);
    return ADE_OK;
}

static ade_status cpu_host_alloc(ade_backend *backend, size_t bytes, void **out) {
    (void)backend;
    void *memory = ade__aligned_malloc(bytes, 1);
    if (!memory) return ADE_OUT_OF_MEMORY;
    *out = memory;
    return ADE_OK;
}

static ade_status cpu_linear_create(ade_backend *backend, const ade_linear_desc *desc, ade_linear **out) {
    return ade__gemm_linear_new(backend->gemm, desc, out);
}

static void cpu_exec_destroy(ade_exec *exec) {
    if (!exec) return;
    ade__gemm_exec_free(exec->gemm);
    ade__aligned_free(exec->scratch.keys);
    ade__aligned_free(exec->scratch.scores);
    ade__aligned_free(exec->scratch.values);
    ade__free(exec);
}

static ade_status cpu_exec_create(ade_backend *backend, const ade_exec_options *options, ade_exec **out) {
    ade_exec *exec = ade__calloc(1, sizeof *exec);
    if (!exec) return ADE_OUT_OF_MEMORY;
    exec->backend = backend;
    exec->scratch.padded_len = (options->max_len + 31) / 32 * 32;
    size_t row = (size_t)exec->scratch.padded_len * sizeof(float);
    exec->head_size = options->head_size;
    exec->scratch.scores = ade__aligned_malloc(ADE_CPU_GROUP, row);
    exec->scratch.keys = ade__aligned_malloc((size_t)options->head_size, row);
    exec->scratch.values = ade__aligned_malloc(16, row);
    int        complete = exec->scratch.keys && exec->scratch.scores && exec->scratch.values;
    ade_status status = complete ? ade__gemm_exec_new(backend->gemm, &exec->gemm) : ADE_OUT_OF_MEMORY;
    if (status != ADE_OK) {
        cpu_exec_destroy(exec);
        return status;
    }
    *out = exec;
    return ADE_OK;
}

static ade_status cpu_exec_prepare(ade_exec *exec, const ade_linear *linear, int32_t max_rows) {
    (void)max_rows;
    return ade__gemm_exec_prepare(exec->gemm, linear);
}

/* Ops run where they are called, so a copy is just that, and nothing is ever waited for. */
static ade_status cpu_copy(ade_exec *exec, int32_t slot, void *to, const void *from, size_t bytes) {
    (void)exec;
    (void)slot;
    if (bytes) memcpy(to, from, bytes);
    return ADE_OK;
}

static ade_status cpu_wait(ade_exec *exec, int32_t slot) {
    (void)exec;
    (void)slot;
    return ADE_OK;
}

static ade_status cpu_embed(ade_exec *exec, const ade_embed_args *args) {
    exec->backend->kernels->embed(args, exec->backend->act);
    return ADE_OK;
}

static ade_status cpu_linear(ade_exec *exec, const ade_linear_args *args) { return ade__gemm_run(exec->gemm, args); }

static ade_status cpu_attention(ade_exec *exec, const ade_attention_args *args) {
    if (args->max_len > exec->scratch.padded_len || args->d > exec->head_size)
        return ade__fail(ADE_INTERNAL, "attention over %d tokens and heads of %d came to an exec made for %d and %d",
                         (int)args->max_len, (int)args->d, (int)exec->scratch.padded_len, (int)exec->head_size);
    exec->backend->kernels->attention(args, exec->backend->act, &exec->scratch);
    return ADE_OK;
}

static ade_status cpu_layernorm(ade_exec *exec, const ade_layernorm_args *args) {
    exec->backend->kernels->layernorm(args, exec->backend->act);
    return ADE_OK;
}

static ade_status cpu_activation(ade_exec *exec, const ade_activation_args *args) {
    exec->backend->kernels->activation(args, exec->backend->act);
    return ADE_OK;
}

static ade_status cpu_pool(ade_exec *exec, const ade_pool_args *args) {
    exec->backend->kernels->pool(args, exec->backend->act);
    return ADE_OK;
}

static ade_status cpu_probs(ade_exec *exec, const ade_probs_args *args) {
    exec->backend->kernels->probs(args);
    return ADE_OK;
}

const ade_ops *ade__cpu_ops(void) {
    static const ade_ops ops = {
        .abi = ADE_BACKEND_ABI,
        .struct_size = sizeof(ade_ops),
        .name = "cpu",
        .probe = cpu_probe,
        .open = cpu_open,
        .close = cpu_close,
        .describe = cpu_describe,
        .alloc = cpu_alloc,
        .release = cpu_release,
        .upload = cpu_upload,
        .host_alloc = cpu_host_alloc,
        .host_release = cpu_release,
        .linear_create = cpu_linear_create,
        .linear_destroy = ade__gemm_linear_free,
        .exec_create = cpu_exec_create,
        .exec_destroy = cpu_exec_destroy,
        .exec_prepare = cpu_exec_prepare,
        .push = cpu_copy,
        .pull = cpu_copy,
        .wait = cpu_wait,
        .embed = cpu_embed,
        .linear = cpu_linear,
        .attention = cpu_attention,
        .layernorm = cpu_layernorm,
        .activation = cpu_activation,
        .pool = cpu_pool,
        .probs = cpu_probs,
    };
    return &ops;
}
