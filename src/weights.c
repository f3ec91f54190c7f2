/* SPDX-License-Identifier: Apache-2.0
 * Tensor names of BERT checkpoints and their spellings through the years; stored values to fp32. */
#include "weights.h"

#include "alloc.h"
#include "fp16.h"
#include "status.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_CAPACITY = 128 };

typedef struct mapper {
    const ade_tensor_set   *set;
    const ade_model_config *config;
    ade_weight_map         *map;
    bool                   *used;   /* one per tensor of the set */
    const char             *module; /* "module." when DistributedDataParallel saved the file, else "" */
    const char             *bert;   /* "bert.", or "" when the encoder was saved by itself */
} mapper;

/* The spellings that "LayerNorm.weight" and "LayerNorm.bias" had before 2019, as transformers renames them. */
static const char *old_spelling(const char *name, char old[NAME_CAPACITY]) {
    const char *norm = strstr(name, "LayerNorm."), *end = norm ? norm + strlen("LayerNorm.") : "";
    bool        weight = !strcmp(end, "weight");
    if (!weight && strcmp(end, "bias") != 0) return NULL;
    snprintf(old, NAME_CAPACITY, "%.*s%s", (int)(end - name), name, weight ? "gamma" : "beta");
    return old;
}

/* `base` is the name inside the encoder ("encoder.layer.0...") or, with in_encoder false, outside ("classifier..."). */
static const ade_tensor *find(const mapper *m, const char *base, bool in_encoder) {
    char name[NAME_CAPACITY], old[NAME_CAPACITY];
    snprintf(name, sizeof name, "%s%s%s", m->module, in_encoder ? m->bert : "", base);
    const ade_tensor *tensor = ade__tensors_find(m->set, name);
    if (!tensor && old_spelling(name, old)) tensor = ade__tensors_find(m->set, old);
    return tensor;
}

static void write_shape(char *text, size_t capacity, int32_t rank, const int64_t *shape) {
    size_t at = (size_t)snprintf(text, capacity, "[");
    for (int32_t i = 0; i < rank && at < capacity; i++) {
        int n = snprintf(text + at, capacity - at, "%s%" PRId64, i ? ", " : "", shape[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    if (at < capacity) snprintf(text + at, capacity - at, "]");
}

static ade_status missing(const mapper *m, const char *base, bool in_encoder) {
    bool head = !in_encoder || !strncmp(base, "pooler", 6);
    return ade__fail(ADE_BAD_MODEL, "the weights have no tensor \"%s%s%s\"; %s", m->module, in_encoder ? m->bert : "",
                     base,
                     head ? "a checkpoint without its trained classifier would give random scores: fine-tune it for "
                            "sentence classification, or take the checkpoint that was saved afterwards"
                          : "the checkpoint is incomplete, or config.json belongs to another one: download the folder "
                            "again");
}

static ade_status take(mapper *m, const char *base, bool in_encoder, int64_t rows, int64_t columns,
                       const ade_tensor **out) {
    int32_t           rank = columns > 0 ? 2 : 1;
    int64_t           wanted[2] = {rows, columns};
    const ade_tensor *tensor = find(m, base, in_encoder);
    if (!tensor) return missing(m, base, in_encoder);
    if (tensor->rank != rank || tensor->shape[0] != rows || (rank == 2 && tensor->shape[1] != columns)) {
        char is[200], must[64];
        write_shape(is, sizeof is, tensor->rank, tensor->shape);
        write_shape(must, sizeof must, rank, wanted);
        return ade__fail(ADE_BAD_MODEL,
                         "%s: tensor \"%s\" has the shape %s, but config.json asks for %s; the two belong to "
                         "different models: download the folder again",
                         tensor->file, tensor->name, is, must);
    }
    if (tensor->dtype != ADE_ST_F32 && tensor->dtype != ADE_ST_F16 && tensor->dtype != ADE_ST_BF16 &&
        tensor->dtype != ADE_ST_F64)
        return ade__fail(ADE_UNSUPPORTED,
                         "%s: tensor \"%s\" is of type %s; adesieve reads F32, F16, BF16 and F64: save the "
                         "model in one of them (quantized checkpoints are not supported)",
                         tensor->file, tensor->name, tensor->dtype_name);
    size_t index = (size_t)(tensor - ade__tensors_at(m->set, 0));
    m->used[index] = true;
    m->map->n_parameters += (uint64_t)rows * (uint64_t)(rank == 2 ? columns : 1);
    if (!m->map->weights_type)
        m->map->weights_type = tensor->dtype_name;
    else if (strcmp(m->map->weights_type, tensor->dtype_name) != 0)
        m->map->weights_type = "mixed";
    *out = tensor;
    return ADE_OK;
}

static ade_status take_linear(mapper *m, const char *prefix, bool in_encoder, int64_t out, int64_t in,
                              const ade_tensor **weight, const ade_tensor **bias) {
    char name[NAME_CAPACITY];
    snprintf(name, sizeof name, "%s.weight", prefix);
    ADE_TRY(take(m, name, in_encoder, out, in, weight));
    snprintf(name, sizeof name, "%s.bias", prefix);
    return take(m, name, in_encoder, out, 0, bias);
}

static ade_status take_layer(mapper *m, int32_t index, ade_layer_tensors *l) {
    int64_t H = m->config->hidden_size, F = m->config->intermediate_size;
    const struct {
        const char        *name;
        int64_t            out, in; /* in = 0: LayerNorm, two vectors */
        const ade_tensor **weight, **bias;
    } PARTS[] = {
        {"attention.self.query", H, H, &l->q_w, &l->q_b},
        {"attention.self.key", H, H, &l->k_w, &l->k_b},
        {"attention.self.value", H, H, &l->v_w, &l->v_b},
        {"attention.output.dense", H, H, &l->attn_out_w, &l->attn_out_b},
        {"attention.output.LayerNorm", H, 0, &l->attn_ln_w, &l->attn_ln_b},
        {"intermediate.dense", F, H, &l->ffn_in_w, &l->ffn_in_b},
        {"output.dense", H, F, &l->ffn_out_w, &l->ffn_out_b},
        {"output.LayerNorm", H, 0, &l->ffn_ln_w, &l->ffn_ln_b},
    };
    char prefix[NAME_CAPACITY - 8];
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        snprintf(prefix, sizeof prefix, "encoder.layer.%d.%s", (int)index, PARTS[i].name);
        ADE_TRY(take_linear(m, prefix, true, PARTS[i].out, PARTS[i].in, PARTS[i].weight, PARTS[i].bias));
    }
    return ADE_OK;
}

static ade_status take_all(mapper *m) {
    const ade_model_config *c = m->config;
    ade_weight_map         *w = m->map;
    ADE_TRY(take(m, "embeddings.word_embeddings.weight", true, c->vocab_size, c->hidden_size, &w->word));
    ADE_TRY(take(m, "embeddings.position_embeddings.weight", true, c->max_positions, c->hidden_size, &w->position));
    ADE_TRY(take(m, "embeddings.token_type_embeddings.weight", true, c->type_vocab_size, c->hidden_size, &w->type));
    ADE_TRY(take_linear(m, "embeddings.LayerNorm", true, c->hidden_size, 0, &w->embed_ln_w, &w->embed_ln_b));
    for (int32_t i = 0; i < c->n_layers; i++) ADE_TRY(take_layer(m, i, &w->layers[i]));
    ADE_TRY(take_linear(m, "pooler.dense", true, c->hidden_size, c->hidden_size, &w->pooler_w, &w->pooler_b));
    return take_linear(m, "classifier", false, c->n_labels, c->hidden_size, &w->classifier_w, &w->classifier_b);
}

/* Both spellings of one tensor would leave it to chance which is meant. */
static ade_status check_twins(const mapper *m) {
    for (size_t i = 0; i < ade__tensors_count(m->set); i++) {
        const ade_tensor *tensor = ade__tensors_at(m->set, i), *twin;
        char              old[NAME_CAPACITY];
        if (!m->used[i] || strlen(tensor->name) >= NAME_CAPACITY - 8 || !old_spelling(tensor->name, old)) continue;
        twin = ade__tensors_find(m->set, old);
        if (twin && twin != tensor)
            return ade__fail(ADE_BAD_MODEL, "%s: holds both \"%s\" and its old spelling \"%s\"; remove one",
                             tensor->file, tensor->name, twin->name);
    }
    return ADE_OK;
}

static void report_unused(const mapper *m, const ade_log *log) {
    char   list[500] = "";
    size_t n = 0, at = 0;
    for (size_t i = 0; i < ade__tensors_count(m->set); i++) {
        const char *name = ade__tensors_at(m->set, i)->name;
        size_t      size = strlen(name);
        if (m->used[i] || (size >= 12 && !strcmp(name + size - 12, "position_ids"))) continue; /* 0, 1, 2, .. */
        if (n++ < 5 && at < sizeof list) {
            int written = snprintf(list + at, sizeof list - at, "%s%.80s", n > 1 ? ", " : "", name);
            at += written > 0 ? (size_t)written : 0;
        }
    }
    if (n > 0)
        ade__log(log, ADE_LOG_WARNING,
                 "%zu tensor%s of the checkpoint %s no part in classification and %s ignored: %s%s", n,
                 n == 1 ? "" : "s", n == 1 ? "has" : "have", n == 1 ? "is" : "are", list, n > 5 ? ", .." : "");
}

ade_status ade__weights_map(const ade_tensor_set *set, const ade_model_config *config, const ade_log *log,
                            ade_weight_map *out) {
    ade_weight_map map = {0};
    mapper         m = {.set = set, .config = config, .map = &map, .module = "", .bert = "bert."};
    ade_status     status = ADE_OK;
    m.used = ade__calloc(ade__tensors_count(set), sizeof *m.used);
    map.layers = ade__calloc((size_t)config->n_layers, sizeof *map.layers);
    if (!m.used || !map.layers) {
        status = ADE_OUT_OF_MEMORY;
        goto done;
    }
    /* One tensor, which every checkpoint has, tells how this one writes its names. */
    static const char *const MODULE[] = {"", "module.", "", "module."}, *const BERT[] = {"bert.", "bert.", "", ""};
    for (size_t i = 0; i < sizeof MODULE / sizeof *MODULE; i++) {
        mapper guess = m;
        guess.module = MODULE[i];
        guess.bert = BERT[i];
        if (!find(&guess, "embeddings.word_embeddings.weight", true)) continue;
        m = guess;
        break;
    }
    status = take_all(&m);
    if (status == ADE_OK) status = check_twins(&m);
    if (status == ADE_OK) report_unused(&m, log);
done:
    ade__free(m.used);
    if (status == ADE_OK)
        *out = map;
    else
        ade__weights_clear(&map);
    return status;
}

void ade__weights_clear(ade_weight_map *map) {
    ade__free(map->layers);
    memset(map, 0, sizeof *map);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Values are copied to an aligned block first: a tensor may begin at any byte. The loops always run over a whole block,
 * zeros behind the last value: a constant count is what lets compilers vectorise them at -O2. Each function returns
 * nonzero when some value is not finite; which one is searched for afterwards. */
enum { BLOCK = 1024 };

static uint32_t block_from_f32(const void *source, float *dst, size_t n) {
    uint32_t bits[BLOCK] = {0}, bad = 0;
    memcpy(bits, source, n * sizeof *bits);
    for (size_t i = 0; i < BLOCK; i++) bad |= (bits[i] & 0x7f800000u) == 0x7f800000u;
    memcpy(dst, bits, n * sizeof *bits);
    return bad;
}

static uint32_t block_from_f16(const void *source, float *dst, size_t n) {
    uint16_t halves[BLOCK] = {0};
    uint32_t bad = 0;
    float    values[BLOCK];
    memcpy(halves, source, n * sizeof *halves);
    for (size_t i = 0; i < BLOCK; i++) { /* ade__f32_from_f16 without its branch: infinities are refused anyway */
        uint32_t half = halves[i], sign = (half & 0x8000u) << 16;
        values[i] = ade__f32_from_bits(sign | (half & 0x7fffu) << 13) * 0x1p112f;
        bad |= (half & 0x7c00u) == 0x7c00u;
    }
    memcpy(dst, values, n * sizeof *values);
    return bad;
}

static uint32_t block_from_bf16(const void *source, float *dst, size_t n) {
    uint16_t halves[BLOCK] = {0};
    uint32_t bits[BLOCK], bad = 0;
    memcpy(halves, source, n * sizeof *halves);
    for (size_t i = 0; i < BLOCK; i++) {
        bits[i] = (uint32_t)halves[i] << 16;
        bad |= (bits[i] & 0x7f800000u) == 0x7f800000u;
    }
    memcpy(dst, bits, n * sizeof *bits);
    return bad;
}

static uint32_t block_from_f64(const void *source, float *dst, size_t n) {
    double   values[BLOCK];
    uint32_t bad = 0;
    memcpy(values, source, n * sizeof *values);
    for (size_t i = 0; i < n; i++) {                 /* rare: need not be fast */
        int fits = fabs(values[i]) < 0x1.ffffffp127; /* from here up a double rounds to infinity; false for NaN */
        bad |= !fits;
        dst[i] = fits ? (float)values[i] : 0;
    }
    return bad;
}

static ade_status refuse_value(const ade_tensor *tensor, size_t index, const char *source, size_t size) {
    double value = 0;
    if (size == sizeof(double)) {
        memcpy(&value, source, sizeof value);
    } else if (size == sizeof(float)) {
        float single;
        memcpy(&single, source, sizeof single);
        value = (double)single;
    } else {
        uint16_t half;
        memcpy(&half, source, sizeof half);
        value = (double)(tensor->dtype == ADE_ST_F16 ? ade__f32_from_f16(half) : ade__f32_from_bf16(half));
    }
    return ade__fail(ADE_BAD_MODEL,
                     "%s: tensor \"%s\" holds the value %s at index %zu, with which no score can be "
                     "computed; the file is damaged or training failed: take another checkpoint",
                     tensor->file, tensor->name,
                     isnan(value)   ? "NaN"
                     : isinf(value) ? "infinity"
                                    : "too large for fp32",
                     index);
}

ade_status ade__tensor_to_f32(const ade_tensor *tensor, float *dst) {
    uint32_t (*block)(const void *, float *, size_t) = NULL;
    size_t      size = 2;
    const char *source = tensor->data;
    switch (tensor->dtype) {
    case ADE_ST_F32: block = block_from_f32, size = 4; break;
    case ADE_ST_F16: block = block_from_f16; break;
    case ADE_ST_BF16: block = block_from_bf16; break;
    case ADE_ST_F64: block = block_from_f64, size = 8; break;
    case ADE_ST_I64:
    case ADE_ST_OTHER: break;
    }
    if (!block)
        return ade__fail(ADE_UNSUPPORTED,
                         "%s: tensor \"%s\" is of type %s, which holds no real numbers that adesieve reads",
                         tensor->file, tensor->name, tensor->dtype_name);
    for (size_t at = 0, count = tensor->size / size; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        if (!block(source + at * size, dst + at, n)) continue;
        for (size_t i = at; i < at + n; i++) {
            float ignored;
            if (block(source + i * size, &ignored, 1)) return refuse_value(tensor, i, source + i * size, size);
        }
    }
    return ADE_OK;
}
