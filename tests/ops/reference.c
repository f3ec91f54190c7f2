/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include "fp16.h"

#include <math.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

size_t reference_size(ade_dtype type) { return type == ADE_F32 ? 4 : 2; }

double reference_load(const void *array, ade_dtype type, size_t index) {
    if (type == ADE_BF16) return (double)ade__f32_from_bf16(((const uint16_t *)array)[index]);
    if (type == ADE_F16) return (double)ade__f32_from_f16(((const uint16_t *)array)[index]);
    return (double)((const float *)array)[index];
}

/* In place. */
static void normalize(double *row, int32_t h, const float *weight, const float *bias, double eps) {
    double mean = 0, variance = 0;
    for (int32_t i = 0; i < h; i++) mean += row[i] / h;
    for (int32_t i = 0; i < h; i++) variance += (row[i] - mean) * (row[i] - mean) / h;
    for (int32_t i = 0; i < h; i++)
        row[i] = (row[i] - mean) / sqrt(variance + eps) * (double)weight[i] + (double)bias[i];
}

void reference_embed(const ade_embed_args *args, double *x) {
    size_t h = (size_t)args->h;
    for (size_t t = 0; t < (size_t)args->t; t++) {
        size_t word = (size_t)args->ids[t], position = (size_t)args->positions[t];
        size_t type = args->types ? (size_t)args->types[t] : 0;
        for (size_t i = 0; i < h; i++)
            x[t * h + i] = reference_load(args->word, args->table_type, word * h + i) +
                           reference_load(args->type, args->table_type, type * h + i) +
                           reference_load(args->position, args->table_type, position * h + i);
        normalize(x + t * h, args->h, args->ln_weight, args->ln_bias, (double)args->eps);
    }
}

void reference_linear(const ade_linear_desc *desc, const void *x, ade_dtype type, int32_t m, double *y) {
    size_t n = (size_t)desc->n, k = (size_t)desc->k;
    for (size_t r = 0; r < (size_t)m; r++)
        for (size_t c = 0; c < n; c++) {
            double sum = desc->bias ? (double)desc->bias[c] : 0;
            for (size_t i = 0; i < k; i++) sum += reference_load(x, type, r * k + i) * (double)desc->weight[c * k + i];
            y[r * n + c] = sum;
        }
}

void reference_attention(const ade_attention_args *args, ade_dtype res, double *out) {
    size_t  a_n = (size_t)args->a, d_n = (size_t)args->d, q_stride = (size_t)args->q_stride;
    size_t  kv_stride = (size_t)args->kv_stride;
    double *p = malloc((size_t)(args->t ? args->t : 1) * sizeof *p);
    if (!p) abort();
    for (size_t s = 0; s < (size_t)args->s; s++) {
        size_t begin = (size_t)args->cu_seqlens[s], end = (size_t)args->cu_seqlens[s + 1];
        size_t rows = args->first_only ? 1 : end - begin;
        for (size_t r = 0; r < rows; r++)
            for (size_t a = 0; a < a_n; a++) {
                size_t row = args->first_only ? s : begin + r;
                double most = -INFINITY, sum = 0;
                for (size_t j = begin; j < end; j++) {
                    double score = 0;
                    for (size_t d = 0; d < d_n; d++)
                        score += reference_load(args->q, res, row * q_stride + a * d_n + d) *
                                 reference_load(args->k, res, j * kv_stride + a * d_n + d);
                    p[j] = score * (double)args->scale;
                    if (p[j] > most) most = p[j];
                }
                for (size_t j = begin; j < end; j++) sum += p[j] = exp(p[j] - most);
                for (size_t d = 0; d < d_n; d++) {
                    double value = 0;
                    for (size_t j = begin; j < end; j++)
                        value += p[j] / sum * reference_load(args->v, res, j * kv_stride + a * d_n + d);
                    out[(row * a_n + a) * d_n + d] = value;
                }
            }
    }
    free(p);
}

void reference_layernorm(const ade_layernorm_args *args, ade_dtype res, double *out) {
    size_t h = (size_t)args->h;
    for (size_t m = 0; m < (size_t)args->m; m++) {
        for (size_t i = 0; i < h; i++)
            out[m * h + i] = reference_load(args->x, res, m * h + i) + (args->bias ? (double)args->bias[i] : 0) +
                             reference_load(args->residual, res, m * h + i);
        normalize(out + m * h, args->h, args->ln_weight, args->ln_bias, (double)args->eps);
    }
}

double reference_act(double x, ade_act_kind kind) {
    switch (kind) {
    case ADE_FN_GELU_ERF: return x / 2 * erfc(-x / sqrt(2)); /* 1 + erf(z) = erfc(-z), which does not cancel */
    case ADE_FN_GELU_TANH: { /* 1 + tanh(u) = 2 / (1 + exp(-2 u)), likewise */
        double u = sqrt(2 / pi) * (x + 0.044715 * x * x * x);
        return x / (1 + exp(-2 * u));
    }
    case ADE_FN_RELU: return x > 0 ? x : 0;
    case ADE_FN_SILU: return x / (1 + exp(-x));
    case ADE_FN_TANH: return tanh(x);
    }
    return NAN;
}

void reference_activation(const ade_activation_args *args, ade_dtype res, double *y) {
    size_t n = (size_t)args->n;
    for (size_t m = 0; m < (size_t)args->m; m++)
        for (size_t i = 0; i < n; i++)
            y[m * n + i] = reference_act(reference_load(args->x, args->exact ? ADE_F32 : res, m * n + i) +
                                             (args->bias ? (double)args->bias[i] : 0),
                                         args->kind);
}

void reference_pool(const ade_pool_args *args, ade_dtype res, double *out) {
    size_t h = (size_t)args->h;
    for (size_t s = 0; s < (size_t)args->s; s++)
        for (size_t i = 0; i < h; i++)
            out[s * h + i] = reference_load(args->x, res, (size_t)args->cu_seqlens[s] * h + i);
}

void reference_probs(const ade_probs_args *args, double *logits, double *probabilities) {
    size_t h = (size_t)args->h, c_n = (size_t)args->c;
    for (size_t s = 0; s < (size_t)args->s; s++) {
        double *l = logits + s * c_n, *p = probabilities + s * c_n, most = -INFINITY, sum = 0;
        for (size_t c = 0; c < c_n; c++) {
            l[c] = (double)args->bias[c];
            for (size_t i = 0; i < h; i++) l[c] += (double)args->x[s * h + i] * (double)args->weight[c * h + i];
            if (l[c] > most) most = l[c];
        }
        for (size_t c = 0; c < c_n; c++) sum += exp(l[c] - most);
        for (size_t c = 0; c < c_n; c++)
            p[c] = args->problem == ADE_PROBLEM_SINGLE_LABEL ? exp(l[c] - most) / sum
                   : args->problem == ADE_PROBLEM_MULTI_LABEL ? 1 / (1 + exp(-l[c]))
                                                              : l[c];
    }
}
