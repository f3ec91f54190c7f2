/* SPDX-License-Identifier: Apache-2.0
 * The CPU behind ops.h: chooses the instruction-set level once, owns memory. What runs on it is in cpu_exec.c. */
#include "cpu_common.h"
#include "cpu_exec.h"
#include "gemm_cpu.h"

#include "alloc.h"
#include "isa.h"
#include "status.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Tokens a batch. Measured from 64 to 1024 on an AMD EPYC (Zen 4): from 384 on the rate hardly grows, and smaller
 * batches spread better over threads. */
#define TOKEN_BUDGET 512

/* Never above oneDNN's own choice, so that its variable ONEDNN_MAX_CPU_ISA holds back all that runs on a CPU. */
static const ade_cpu_kernels *choose(void) {
#if defined(ADE_CPU_LEVELS) && defined(__x86_64__)
    int     most = ade__gemm_level();
    ade_isa best = ade__isa_best();
    if (most >= 4 && best >= ADE_ISA_AVX512_BF16 && ade__gemm_has_bf16()) return &ade__cpu_kernels_v4b;
    if (most >= 4 && best >= ADE_ISA_AVX512) return &ade__cpu_kernels_v4;
    if (most >= 3 && best >= ADE_ISA_AVX2) return &ade__cpu_kernels_v3;
#endif
    return &ade__cpu_kernels_v1;
}

/* The variable is read once: oneDNN takes a limit only before its first product. */
static pthread_once_t limited = PTHREAD_ONCE_INIT;
static int            limit_is_kept;

static void limit_once(void) {
    ade_isa limit;
    (void)ade__isa_limit(&limit); /* a name that is none has been refused where the session was opened */
    limit_is_kept = limit == ADE_ISA_AMX || ade__gemm_limit(limit);
}

static ade_status check_limit(void) {
    pthread_once(&limited, limit_once);
    if (!limit_is_kept)
        return ade__fail(ADE_UNSUPPORTED, "oneDNN, which this program used before adesieve, no longer takes the limit "
                                          "that ADESIEVE_MAX_ISA sets; set ONEDNN_MAX_CPU_ISA as well");
    return ADE_OK;
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

static ade_status check_precision(int32_t precision) {
    const int         bf16 = ade__gemm_has_bf16();
    const char *const why = getenv("ADESIEVE_MAX_ISA") ? " (ADESIEVE_MAX_ISA is set)" : "";
    switch (precision) {
    case ADE_PRECISION_F16:
        return ade__fail(ADE_UNSUPPORTED, "precision f16 needs a GPU; on a CPU use f32%s", bf16 ? " or bf16" : "");
    case ADE_PRECISION_BF16:
        if (bf16) return ADE_OK;
        return ade__fail(ADE_UNSUPPORTED,
                         "precision bf16 needs a processor with AVX-512 BF16 or AMX, and this one has %s%s; use f32",
                         ade__gemm_isa(), why);
    case ADE_PRECISION_INT8:
        if (ade__gemm_has_int8()) return ADE_OK;
        return ade__fail(ADE_UNSUPPORTED,
                         "precision int8 needs a processor with AVX-512 VNNI or AMX, and this one has %s%s; use f32",
                         ade__gemm_isa(), why);
    default: return ADE_OK;
    }
}

static ade_dtype act_of(int32_t precision) {
    if (precision == ADE_PRECISION_INT8) return ADE_I8;
    return precision == ADE_PRECISION_F32 || !ade__gemm_has_bf16() ? ADE_F32 : ADE_BF16;
}

static ade_status cpu_open(const ade_backend_options *options, ade_backend **out) {
    ADE_TRY(check_limit());
    ADE_TRY(check_precision(options->precision));
    ade_backend *backend = ade__calloc(1, sizeof *backend);
    if (!backend) return ADE_OUT_OF_MEMORY;
    backend->act = act_of(options->precision);
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
    memset(info, 0, sizeof *info);
    info->precision = backend->act == ADE_I8     ? ADE_PRECISION_INT8
                      : backend->act == ADE_BF16 ? ADE_PRECISION_BF16
                                                 : ADE_PRECISION_F32;
    info->act = backend->act;
    info->res = ADE_F32;
    info->table_type = ADE_F32;
    info->bias_in_linear = 1;
    info->panels = 1;
    info->token_budget = TOKEN_BUDGET;
    info->slots = 1;
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

static int32_t cpu_linear_panel(const ade_linear *linear) { return ade__gemm_shape(linear)->width; }

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
        .linear_panel = cpu_linear_panel,
        .exec_create = ade__cpu_exec_create,
        .exec_destroy = ade__cpu_exec_destroy,
        .exec_prepare = ade__cpu_exec_prepare,
        .push = ade__cpu_copy,
        .pull = ade__cpu_copy,
        .wait = ade__cpu_wait,
        .embed = ade__cpu_embed,
        .linear = ade__cpu_linear,
        .attention = ade__cpu_attention,
        .layernorm = ade__cpu_layernorm,
        .activation = ade__cpu_activation,
        .pool = ade__cpu_pool,
        .probs = ade__cpu_probs,
        .linear_norm = ade__cpu_linear_norm,
        .feed_forward = ade__cpu_feed_forward,
        .first_attention = ade__cpu_first_attention,
        .exec_join = ade__cpu_exec_join,
        .multiply = ade__cpu_multiply,
        .exec_times = ade__cpu_exec_times,
    };
    return &ops;
}
