/* SPDX-License-Identifier: Apache-2.0 */
#include "subjects.h"

#include "cpu_common.h"
#include "gemm_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

subject subjects[MAX_SUBJECTS];
int     n_subjects;

static struct ade_cpu_scratch scratch = {.max_len = SUBJECT_MAX_LEN, .head_size = SUBJECT_MAX_HEAD};

static void add_kernels(const ade_cpu_kernels *kernels, const char *level) {
    for (int bf16 = 0; bf16 < 2; bf16++) {
        subject *s = &subjects[n_subjects++];
        snprintf(s->name, sizeof s->name, "kernels %s %s", level, bf16 ? "bf16" : "f32");
        s->act = bf16 ? ADE_BF16 : ADE_F32;
        s->res = ADE_F32;
        s->kernels = kernels;
    }
}

static void add_backend(const ade_ops *ops, int32_t precision, const char *precision_name) {
    const ade_backend_options options = {0, precision};
    const ade_exec_options    sizes = {2048, SUBJECT_MAX_LEN, SUBJECT_MAX_HEAD, SUBJECT_SLOTS};
    ade_backend_info          info;
    subject                  *s = &subjects[n_subjects++];
    if (ops->open(&options, &s->backend) != ADE_OK ||
        ops->exec_create(s->backend, &sizes, &s->exec) != ADE_OK) {
        fprintf(stderr, "backend %s %s does not open: %s\n", ops->name, precision_name, ade_last_error());
        exit(1);
    }
    ops->describe(s->backend, &info);
    if (info.precision != precision) {
        fprintf(stderr, "backend %s opened in precision %d, not %s\n", ops->name, (int)info.precision, precision_name);
        exit(1);
    }
    snprintf(s->name, sizeof s->name, "backend %s %s", ops->name, precision_name);
    s->act = info.act;
    s->res = info.res;
    s->ops = ops;
    printf("# %s: %s; %s\n", s->name, info.device_name, info.instruction_set);
}

void subjects_open(void) {
    scratch.attention = aligned_alloc(64, ade__cpu_attention_floats(SUBJECT_MAX_LEN, SUBJECT_MAX_HEAD) * sizeof(float));
    if (!scratch.attention) abort();
    add_kernels(&ade__cpu_kernels_v1, "v1");
#ifdef ADE_CPU_LEVELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        add_kernels(&ade__cpu_kernels_v3, "v3");
    else printf("# skipped: kernels v3 (no AVX2)\n");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        add_kernels(&ade__cpu_kernels_v4, "v4");
    else printf("# skipped: kernels v4 (no AVX-512)\n");
    if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        add_kernels(&ade__cpu_kernels_v4b, "v4b");
    else printf("# skipped: kernels v4b (no AVX-512 BF16)\n");
#endif
    add_backend(ade__cpu_ops(), ADE_PRECISION_F32, "f32");
    if (ade__gemm_has_bf16()) add_backend(ade__cpu_ops(), ADE_PRECISION_BF16, "bf16");
    else printf("# skipped: backend cpu bf16 (%s)\n", ade__gemm_isa());
}

void subjects_close(void) {
    for (int i = 0; i < n_subjects; i++) {
        if (subjects[i].exec) subjects[i].ops->exec_destroy(subjects[i].exec);
        if (subjects[i].backend) subjects[i].ops->close(subjects[i].backend);
    }
    n_subjects = 0;
    free(scratch.attention);
}

ade_status subject_probs(const subject *s, const ade_probs_args *args) {
    if (!s->kernels) return s->ops->probs(s->exec, args);
    ((const ade_cpu_kernels *)s->kernels)->probs(args);
    return ADE_OK;
}

#define CALL(op, ...)                                              \
    if (!s->kernels) return s->ops->op(s->exec, args);             \
    ((const ade_cpu_kernels *)s->kernels)->op(args, __VA_ARGS__);  \
    return ADE_OK

ade_status subject_embed(const subject *s, const ade_embed_args *args) { CALL(embed, s->act); }
ade_status subject_linear(const subject *s, const ade_linear_desc *desc, const ade_linear *linear, const void *x, void *y,
                          int32_t m) {
    const size_t n = (size_t)desc->n, width = (size_t)s->ops->linear_panel(linear), rows = (size_t)m + ADE_ROW_PAD;
    float       *panels = aligned_alloc(64, (rows * n * sizeof *panels + 63) / 64 * 64);
    if (!panels) abort();
    memset(panels, 0xff, rows * n * sizeof *panels);
    const ade_linear_args args = {.linear = linear, .x = x, .y = panels, .m = m, .y_panel_stride = rows * width};
    ade_status            status = s->ops->linear(s->exec, &args);
    for (size_t at = 0; at < n && status == ADE_OK; at += width) {
        size_t columns = n - at < width ? n - at : width;
        for (size_t r = 0; r < (size_t)m; r++)
            memcpy((float *)y + r * n + at, panels + rows * at + r * columns, columns * sizeof *panels);
    }
    free(panels);
    return status;
}

ade_status subject_attention_part(const subject *s, const ade_attention_args *args, int32_t part, int32_t parts) {
    CALL(attention, s->act, s->act, &scratch, part, parts);
}
ade_status subject_attention(const subject *s, const ade_attention_args *args) {
    return subject_attention_part(s, args, 0, 1);
}
ade_status subject_layernorm(const subject *s, const ade_layernorm_args *args) { CALL(layernorm, s->act); }
ade_status subject_activation(const subject *s, const ade_activation_args *args) { CALL(activation, s->act); }
ade_status subject_pool(const subject *s, const ade_pool_args *args) { CALL(pool, s->act); }
