/* SPDX-License-Identifier: Apache-2.0 */
#include "prepared.h"

#include "alloc.h"
#include "device.h"
#include "fp16.h"
#include "status.h"

#include <string.h>

static void free_linear(const struct ade_prepared *p, ade_linear *linear) {
    if (linear) p->ops->linear_destroy(linear);
}

static void free_one(struct ade_prepared *p) {
    const ade_ops *ops = p->ops;
    if (p->layer)
        for (int32_t i = 0; i < p->layers; i++) {
            ade_prepared_layer *l = &p->layer[i];
            free_linear(p, l->qkv);
            free_linear(p, l->q);
            free_linear(p, l->kv);
            free_linear(p, l->attn_out);
            free_linear(p, l->ffn_in);
            free_linear(p, l->ffn_out);
            float *const vectors[] = {l->attn_out_b, l->ffn_in_b, l->ffn_out_b, l->attn_ln_w, l->attn_ln_b,
                                      l->ffn_ln_w,   l->ffn_ln_b, l->k_w,       l->v_w,       l->v_b};
            for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++) ops->release(p->backend, vectors[k]);
        }
    ade__free(p->layer);
    free_linear(p, p->pooler);
    if (p->backend) {
        void *const tables[] = {p->word,       p->position,     p->type,        p->embed_ln_w,
                                p->embed_ln_b, p->classifier_w, p->classifier_b};
        for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) ops->release(p->backend, tables[i]);
        ops->close(p->backend);
    }
    ade__free(p);
}

void ade__prepared_free_all(struct ade_prepared *list) {
    while (list) {
        struct ade_prepared *next = list->next;
        free_one(list);
        list = next;
    }
}

static size_t values_of(const ade_tensor *tensor) {
    size_t n = 1;
    for (int32_t i = 0; i < tensor->rank; i++) n *= (size_t)tensor->shape[i];
    return n;
}

/* fp32 copy on the device. `host` has room for the largest tensor. */
static ade_status put(struct ade_prepared *p, const ade_tensor *tensor, float *host, float **out) {
    size_t n = values_of(tensor);
    void  *device = NULL;
    ADE_TRY(ade__tensor_to_f32(tensor, host));
    ADE_TRY(p->ops->alloc(p->backend, n, sizeof(float), &device));
    *out = device;
    return p->ops->upload(p->backend, device, host, n * sizeof(float));
}

/* An embedding table in the type that the backend wants. */
static ade_status put_table(struct ade_prepared *p, const ade_tensor *tensor, float *host, void **out) {
    size_t n = values_of(tensor);
    if (p->info.table_type != ADE_F16) {
        float     *table = NULL;
        ade_status status = put(p, tensor, host, &table);
        *out = table;
        return status;
    }
    ADE_TRY(ade__tensor_to_f32(tensor, host));
    for (size_t i = 0; i < n; i++) { /* in place: each half ends before the next float begins */
        float    value = host[i];
        uint16_t half = ade__f16_from_f32(value);
        memcpy((char *)host + i * sizeof half, &half, sizeof half);
        if ((half & 0x7c00u) == 0x7c00u)
            return ade__fail(ADE_UNSUPPORTED,
                             "%s: tensor \"%s\" holds the value %g at index %zu, beyond the range of f16, in which a GPU "
                             "computes; use device cpu",
                             tensor->file, tensor->name, (double)value, i);
    }
    ADE_TRY(p->ops->alloc(p->backend, n, sizeof(uint16_t), out));
    return p->ops->upload(p->backend, *out, host, n * sizeof(uint16_t));
}

typedef struct matrix_part { /* matrices stacked along their rows become one product */
    const ade_tensor *weight, *bias;
} matrix_part;

enum { BIAS_OUTSIDE = 0, BIAS_INSIDE = 1, EXACT = 2, PER_TEXT = 4, HEADS = 8 }; /* of one product; ade_linear_desc */

static ade_status put_linear(struct ade_prepared *p, const matrix_part *parts, int n_parts, int how, float *host,
                             float *host_bias, ade_linear **out) {
    ade_linear_desc desc = {.weight = host,
                            .bias = how & (BIAS_INSIDE | EXACT) ? host_bias : NULL,
                            .exact = (how & EXACT) != 0,
                            .per_text = (how & PER_TEXT) != 0,
                            .group = how & HEADS ? p->h / p->heads : 0,
                            .section = how & HEADS ? p->h : 0};
    desc.k = (int32_t)parts[0].weight->shape[1];
    for (int i = 0; i < n_parts; i++) {
        ADE_TRY(ade__tensor_to_f32(parts[i].weight, host + (size_t)desc.n * (size_t)desc.k));
        ADE_TRY(ade__tensor_to_f32(parts[i].bias, host_bias + desc.n));
        desc.n += (int32_t)parts[i].weight->shape[0];
    }
    return p->ops->linear_create(p->backend, &desc, out);
}

static ade_status put_layer(struct ade_prepared *p, const ade_layer_tensors *t, int last, float *host,
                            float *host_bias, ade_prepared_layer *out) {
    const matrix_part qkv[] = {{t->q_w, t->q_b}, {t->k_w, t->k_b}, {t->v_w, t->v_b}};
    const matrix_part attn_out = {t->attn_out_w, t->attn_out_b};
    const matrix_part ffn_in = {t->ffn_in_w, t->ffn_in_b}, ffn_out = {t->ffn_out_w, t->ffn_out_b};
    int               bias = p->info.bias_in_linear ? BIAS_INSIDE : BIAS_OUTSIDE, rest = bias | (last ? PER_TEXT : 0);
    if (last) {
        ADE_TRY(put_linear(p, qkv, 1, BIAS_INSIDE | PER_TEXT | HEADS, host, host_bias, &out->q));
        if (p->ops->first_attention) {
            ADE_TRY(put(p, t->k_w, host, &out->k_w));
            ADE_TRY(put(p, t->v_w, host, &out->v_w));
            ADE_TRY(put(p, t->v_b, host, &out->v_b));
        } else {
            ADE_TRY(put_linear(p, qkv + 1, 2, BIAS_INSIDE | HEADS, host, host_bias, &out->kv));
        }
    } else {
        ADE_TRY(put_linear(p, qkv, 3, BIAS_INSIDE | HEADS, host, host_bias, &out->qkv));
    }
    ADE_TRY(put_linear(p, &attn_out, 1, rest, host, host_bias, &out->attn_out));
    ADE_TRY(put_linear(p, &ffn_in, 1, rest, host, host_bias, &out->ffn_in));
    ADE_TRY(put_linear(p, &ffn_out, 1, rest, host, host_bias, &out->ffn_out));
    if (bias == BIAS_OUTSIDE) {
        ADE_TRY(put(p, t->attn_out_b, host, &out->attn_out_b));
        ADE_TRY(put(p, t->ffn_in_b, host, &out->ffn_in_b));
        ADE_TRY(put(p, t->ffn_out_b, host, &out->ffn_out_b));
    }
    ADE_TRY(put(p, t->attn_ln_w, host, &out->attn_ln_w));
    ADE_TRY(put(p, t->attn_ln_b, host, &out->attn_ln_b));
    ADE_TRY(put(p, t->ffn_ln_w, host, &out->ffn_ln_w));
    return put(p, t->ffn_ln_b, host, &out->ffn_ln_b);
}

static ade_act_kind act_kind(ade_activation activation) {
    switch (activation) {
    case ADE_ACT_GELU_TANH: return ADE_FN_GELU_TANH;
    case ADE_ACT_RELU: return ADE_FN_RELU;
    case ADE_ACT_SILU: return ADE_FN_SILU;
    case ADE_ACT_TANH: return ADE_FN_TANH;
    case ADE_ACT_GELU_ERF: break;
    }
    return ADE_FN_GELU_ERF;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static ade_status fill(struct ade_prepared *p, const ade_model *model) {
    const ade_model_config *c = &model->config;
    const ade_weight_map   *w = &model->weights;
    size_t      h = (size_t)c->hidden_size, f = (size_t)c->intermediate_size;
    size_t      most = larger(larger(3 * h * h, h * f), values_of(w->word));
    float      *host, *host_bias;
    ade_status  status = ADE_OUT_OF_MEMORY;
    most = larger(most, larger(values_of(w->position), larger(values_of(w->type), (size_t)c->n_labels * h)));
    host = ade__aligned_malloc(most, sizeof *host);
    host_bias = ade__aligned_malloc(larger(3 * h, f), sizeof *host_bias);
    p->layer = ade__calloc((size_t)c->n_layers, sizeof *p->layer);
    if (!host || !host_bias || !p->layer) goto done;
    p->layers = c->n_layers;
    ADE_TRY_GOTO(put_table(p, w->word, host, &p->word), done);
    ADE_TRY_GOTO(put_table(p, w->position, host, &p->position), done);
    ADE_TRY_GOTO(put_table(p, w->type, host, &p->type), done);
    ADE_TRY_GOTO(put(p, w->embed_ln_w, host, &p->embed_ln_w), done);
    ADE_TRY_GOTO(put(p, w->embed_ln_b, host, &p->embed_ln_b), done);
    for (int32_t i = 0; i < c->n_layers; i++)
        ADE_TRY_GOTO(put_layer(p, &w->layers[i], i == c->n_layers - 1, host, host_bias, &p->layer[i]), done);
    const matrix_part pooler = {w->pooler_w, w->pooler_b};
    ADE_TRY_GOTO(put_linear(p, &pooler, 1, EXACT | PER_TEXT, host, host_bias, &p->pooler), done);
    ADE_TRY_GOTO(put(p, w->classifier_w, host, &p->classifier_w), done);
    ADE_TRY_GOTO(put(p, w->classifier_b, host, &p->classifier_b), done);
done:
    ade__aligned_free(host);
    ade__aligned_free(host_bias);
    return status;
}

/* Takes the backend over, whatever happens. */
static ade_status make(ade_model *model, int32_t device, int32_t device_index, const ade_ops *ops, ade_backend *backend,
                       struct ade_prepared **out) {
    const ade_model_config *c = &model->config;
    ade_status              status = ADE_OUT_OF_MEMORY;
    struct ade_prepared    *p = ade__calloc(1, sizeof *p);
    if (!p) {
        ops->close(backend);
        return status;
    }
    p->ops = ops;
    p->backend = backend;
    ops->describe(backend, &p->info);
    p->device = device;
    p->device_index = device_index;
    p->h = c->hidden_size;
    p->heads = c->n_heads;
    p->f = c->intermediate_size;
    p->labels = c->n_labels;
    p->eps = c->layer_norm_eps;
    p->activation = act_kind(c->activation);
    p->problem = c->problem;
    status = ade__tensors_check_files(model->tensors);
    if (status == ADE_OK) status = fill(p, model);
    if (status == ADE_OK) *out = p;
    else free_one(p);
    return status;
}

ade_status ade__prepared_get(ade_model *model, int32_t device, int32_t device_index, int32_t precision,
                             struct ade_prepared **out) {
    ade_backend_options  options = {.device_index = device_index, .precision = precision};
    const ade_ops       *ops = NULL;
    ade_backend         *backend = NULL;
    ade_backend_info     info;
    struct ade_prepared *p;
    ade_status           status = ADE_OK;
    ADE_TRY(ade__device_ops(device, &ops));
    ADE_TRY(ops->open(&options, &backend));
    ops->describe(backend, &info);
    pthread_mutex_lock(&model->lock); /* a second session waits for the first one's weights instead of making its own */
    for (p = model->prepared; p; p = p->next)
        if (p->device == device && p->device_index == device_index && p->info.precision == info.precision &&
            !atomic_load(&p->failed))
            break;
    if (p) {
        ops->close(backend);
    } else {
        status = make(model, device, device_index, ops, backend, &p);
        if (status == ADE_OK) {
            p->next = model->prepared;
            model->prepared = p;
        }
    }
    pthread_mutex_unlock(&model->lock);
    if (status == ADE_OK) *out = p;
    return status;
}
