/* SPDX-License-Identifier: Apache-2.0
 * weights.c: every spelling of tensor names, every way to be incomplete, and the values of every type. */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "fp16.h"
#include "weights.h"

#include <math.h>

enum { H = 4, HEADS = 2, F = 3, LAYERS = 2, V = 7, P = 5, Y = 2, C = 3 };

static const ade_model_config CONFIG = {.vocab_size = V,
                                        .hidden_size = H,
                                        .n_layers = LAYERS,
                                        .n_heads = HEADS,
                                        .intermediate_size = F,
                                        .max_positions = P,
                                        .type_vocab_size = Y,
                                        .n_labels = C};
static const ade_log          LOG = {keep_log, NULL};

/* How the checkpoint to be written differs from a plain one. */
typedef struct variant {
    const char *module, *bert; /* NULL: "", "bert." */
    bool        old_names;     /* LayerNorm.gamma and beta */
    const char *dtype;         /* NULL: F32 */
    const char *omit;          /* this tensor (its plain name) is left out */
    const char *change;        /* this one has .. */
    const char *changed_dtype, *changed_shape;
    size_t      changed_size;
    const char *extra[8]; /* further tensors, each one F32 */
} variant;

static char   header[65536];
static size_t header_size, data_size;

static size_t size_of_dtype(const char *dtype) { return !strcmp(dtype, "F64") ? 8 : !strcmp(dtype, "F32") ? 4 : 2; }

static void put(const char *name, const char *dtype, const char *shape, size_t size) {
    header_size += (size_t)snprintf(header + header_size, sizeof header - header_size,
                                    "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                    header_size > 1 ? "," : "", name, dtype, shape, data_size, data_size + size);
    data_size += size;
}

static void put_weight(const variant *v, bool in_encoder, const char *base, size_t rows, size_t columns) {
    char        name[200], shape[64];
    const char *dtype = v->dtype ? v->dtype : "F32";
    if (v->omit && !strcmp(v->omit, base)) return;
    snprintf(name, sizeof name, "%s%s%s", v->module ? v->module : "", in_encoder ? (v->bert ? v->bert : "bert.") : "",
             base);
    char *norm = strstr(name, "LayerNorm.");
    if (v->old_names && norm) strcpy(norm + 10, norm[10] == 'w' ? "gamma" : "beta");
    if (columns)
        snprintf(shape, sizeof shape, "%zu,%zu", rows, columns);
    else
        snprintf(shape, sizeof shape, "%zu", rows);
    size_t size = rows * (columns ? columns : 1) * size_of_dtype(dtype);
    if (v->change && !strcmp(v->change, base))
        put(name, v->changed_dtype ? v->changed_dtype : dtype, v->changed_shape ? v->changed_shape : shape,
            v->changed_size ? v->changed_size : size);
    else
        put(name, dtype, shape, size);
}

static void put_linear(const variant *v, bool in_encoder, const char *prefix, size_t out, size_t in) {
    char name[256];
    snprintf(name, sizeof name, "%.200s.weight", prefix);
    put_weight(v, in_encoder, name, out, in);
    snprintf(name, sizeof name, "%.200s.bias", prefix);
    put_weight(v, in_encoder, name, out, 0);
}

static ade_tensor_set *make(const variant *v) {
    static const struct {
        const char *name;
        size_t      out, in;
    } LAYER[] = {{"attention.self.query", H, H},
                 {"attention.self.key", H, H},
                 {"attention.self.value", H, H},
                 {"attention.output.dense", H, H},
                 {"attention.output.LayerNorm", H, 0},
                 {"intermediate.dense", F, H},
                 {"output.dense", H, F},
                 {"output.LayerNorm", H, 0}};
    char name[200];
    header[0] = '{';
    header_size = 1;
    data_size = 0;
    put_weight(v, true, "embeddings.word_embeddings.weight", V, H);
    put_weight(v, true, "embeddings.position_embeddings.weight", P, H);
    put_weight(v, true, "embeddings.token_type_embeddings.weight", Y, H);
    put_linear(v, true, "embeddings.LayerNorm", H, 0);
    for (int l = 0; l < LAYERS; l++)
        for (size_t i = 0; i < sizeof LAYER / sizeof *LAYER; i++) {
            snprintf(name, sizeof name, "encoder.layer.%d.%s", l, LAYER[i].name);
            put_linear(v, true, name, LAYER[i].out, LAYER[i].in);
        }
    put_linear(v, true, "pooler.dense", H, H);
    put_linear(v, false, "classifier", C, H);
    for (size_t i = 0; i < 8 && v->extra[i]; i++) put(v->extra[i], "F32", "1", 4);
    header[header_size++] = '}';
    new_folder();
    write_tensors("model.safetensors", -1, header, header_size, data_size);
    ade_tensor_set *set;
    assert_int_equal(ade__tensors_open(folder, &set), ADE_OK);
    return set;
}

static ade_weight_map map;

static ade_status map_weights(const variant *v, ade_tensor_set **set) {
    ade_weight_map untouched;
    *set = make(v);
    memset(&map, 0x5a, sizeof map);
    memset(&untouched, 0x5a, sizeof untouched);
    logged[0] = '\0';
    ade_status status = ade__weights_map(*set, &CONFIG, &LOG, &map);
    if (status != ADE_OK) assert_memory_equal(&map, &untouched, sizeof map);
    return status;
}

static const uint64_t PARAMETERS =
    (V + P + Y + 2) * H + LAYERS * (4 * (H * H + H) + 4 * H + F * H + F + H * F + H) + H * H + H + C * H + C;

static void check_spelling(const variant *v, const char *word, const char *norm, const char *query,
                           const char *classifier) {
    ade_tensor_set *set;
    if (map_weights(v, &set) != ADE_OK) fail_msg("%s", ade_last_error());
    assert_string_equal(map.word->name, word);
    assert_string_equal(map.layers[1].attn_ln_w->name, norm);
    assert_string_equal(map.layers[1].q_w->name, query);
    assert_string_equal(map.classifier_w->name, classifier);
    assert_int_equal(map.n_parameters, PARAMETERS);
    assert_string_equal(map.weights_type, v->dtype ? v->dtype : "F32");
    assert_string_equal(logged, "");
    ade__weights_clear(&map);
    ade__weights_clear(&map);
    ade__tensors_close(set);
}

static void test_spellings(void **state) {
    (void)state;
    check_spelling(&(variant){0}, "bert.embeddings.word_embeddings.weight",
                   "bert.encoder.layer.1.attention.output.LayerNorm.weight",
                   "bert.encoder.layer.1.attention.self.query.weight", "classifier.weight");
    check_spelling(&(variant){.old_names = true, .dtype = "F16"}, "bert.embeddings.word_embeddings.weight",
                   "bert.encoder.layer.1.attention.output.LayerNorm.gamma",
                   "bert.encoder.layer.1.attention.self.query.weight", "classifier.weight");
    check_spelling(&(variant){.bert = "", .dtype = "BF16"}, "embeddings.word_embeddings.weight",
                   "encoder.layer.1.attention.output.LayerNorm.weight", "encoder.layer.1.attention.self.query.weight",
                   "classifier.weight");
    check_spelling(&(variant){.module = "module."}, "module.bert.embeddings.word_embeddings.weight",
                   "module.bert.encoder.layer.1.attention.output.LayerNorm.weight",
                   "module.bert.encoder.layer.1.attention.self.query.weight", "module.classifier.weight");
    check_spelling(&(variant){.module = "module.", .bert = "", .old_names = true, .dtype = "F64"},
                   "module.embeddings.word_embeddings.weight",
                   "module.encoder.layer.1.attention.output.LayerNorm.gamma",
                   "module.encoder.layer.1.attention.self.query.weight", "module.classifier.weight");
}

/* Each pointer is the tensor of its name. */
static void test_every_weight(void **state) {
    (void)state;
    ade_tensor_set *set;
    assert_int_equal(map_weights(&(variant){0}, &set), ADE_OK);
    for (int l = 0; l < LAYERS; l++) {
        const ade_layer_tensors *t = &map.layers[l];
        const struct {
            const ade_tensor *tensor;
            const char       *name;
        } ROWS[] = {
            {t->q_w, "attention.self.query.weight"},
            {t->q_b, "attention.self.query.bias"},
            {t->k_w, "attention.self.key.weight"},
            {t->k_b, "attention.self.key.bias"},
            {t->v_w, "attention.self.value.weight"},
            {t->v_b, "attention.self.value.bias"},
            {t->attn_out_w, "attention.output.dense.weight"},
            {t->attn_out_b, "attention.output.dense.bias"},
            {t->attn_ln_w, "attention.output.LayerNorm.weight"},
            {t->attn_ln_b, "attention.output.LayerNorm.bias"},
            {t->ffn_in_w, "intermediate.dense.weight"},
            {t->ffn_in_b, "intermediate.dense.bias"},
            {t->ffn_out_w, "output.dense.weight"},
            {t->ffn_out_b, "output.dense.bias"},
            {t->ffn_ln_w, "output.LayerNorm.weight"},
            {t->ffn_ln_b, "output.LayerNorm.bias"},
        };
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
            char name[200];
            snprintf(name, sizeof name, "bert.encoder.layer.%d.%s", l, ROWS[i].name);
            assert_string_equal(ROWS[i].tensor->name, name);
        }
    }
    assert_string_equal(map.position->name, "bert.embeddings.position_embeddings.weight");
    assert_string_equal(map.type->name, "bert.embeddings.token_type_embeddings.weight");
    assert_string_equal(map.embed_ln_w->name, "bert.embeddings.LayerNorm.weight");
    assert_string_equal(map.embed_ln_b->name, "bert.embeddings.LayerNorm.bias");
    assert_string_equal(map.pooler_w->name, "bert.pooler.dense.weight");
    assert_string_equal(map.pooler_b->name, "bert.pooler.dense.bias");
    assert_string_equal(map.classifier_b->name, "classifier.bias");
    ade__weights_clear(&map);
    ade__tensors_close(set);
}

static void refuse(const variant *v, ade_status status, const char *words, const char *more) {
    ade_tensor_set *set;
    assert_int_equal(map_weights(v, &set), status);
    assert_error_has(words);
    assert_error_has(more);
    ade__tensors_close(set);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const ALL[] = {"embeddings.word_embeddings.weight",
                                      "embeddings.position_embeddings.weight",
                                      "embeddings.token_type_embeddings.weight",
                                      "embeddings.LayerNorm.bias",
                                      "encoder.layer.1.attention.self.key.bias",
                                      "encoder.layer.0.output.LayerNorm.weight",
                                      "pooler.dense.weight",
                                      "classifier.weight",
                                      "classifier.bias"};
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        refuse(&(variant){.omit = ALL[i]}, ADE_BAD_MODEL, ALL[i], i < 6 ? "download" : "fine-tune");
        refuse(&(variant){.change = ALL[i], .changed_shape = "1,2,3", .changed_size = 24}, ADE_BAD_MODEL, ALL[i],
               "[1, 2, 3]");
    }
    refuse(&(variant){.change = "classifier.weight", .changed_shape = "2,4", .changed_size = 32}, ADE_BAD_MODEL,
           "[2, 4]", "[3, 4]");
    refuse(&(variant){.change = "classifier.bias", .changed_shape = "2", .changed_size = 8}, ADE_BAD_MODEL, "[2]",
           "[3]");
    refuse(&(variant){.change = "pooler.dense.bias", .changed_shape = "4,1"}, ADE_BAD_MODEL, "[4, 1]", "[4]");
}

static void test_types(void **state) {
    (void)state;
    static const char *const TYPES[] = {"I64", "I32", "U8", "F8_E4M3", "BOOL"};
    static const size_t      SIZES[] = {32, 16, 4, 4, 4};
    ade_tensor_set          *set;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        refuse(&(variant){.change = "pooler.dense.bias", .changed_dtype = TYPES[i], .changed_size = SIZES[i]},
               ADE_UNSUPPORTED, "pooler.dense.bias", TYPES[i]);
    assert_int_equal(
        map_weights(&(variant){.change = "pooler.dense.bias", .changed_dtype = "F16", .changed_size = 8}, &set),
        ADE_OK);
    assert_string_equal(map.weights_type, "mixed");
    ade__weights_clear(&map);
    ade__tensors_close(set);
}

static void test_unused(void **state) {
    (void)state;
    ade_tensor_set *set;
    assert_int_equal(map_weights(&(variant){.extra = {"bert.embeddings.position_ids"}}, &set), ADE_OK);
    assert_string_equal(logged, "");
    ade__weights_clear(&map);
    ade__tensors_close(set);
    assert_int_equal(map_weights(&(variant){.extra = {"cls.a", "cls.b", "cls.c", "cls.d", "cls.e", "cls.f"}}, &set),
                     ADE_OK);
    assert_non_null(strstr(logged, "warning: 6 tensors"));
    assert_non_null(strstr(logged, "cls.a, cls.b, cls.c, cls.d, cls.e, .."));
    assert_null(strstr(logged, "cls.f"));
    ade__weights_clear(&map);
    ade__tensors_close(set);
    assert_int_equal(map_weights(&(variant){.extra = {"cls.a"}}, &set), ADE_OK);
    assert_non_null(strstr(logged, "1 tensor of the checkpoint has no part"));
    ade__weights_clear(&map);
    ade__tensors_close(set);
    refuse(&(variant){.extra = {"bert.embeddings.LayerNorm.gamma"}}, ADE_BAD_MODEL, "LayerNorm.gamma", "both");
    ade_tensor_set *empty;
    new_folder();
    write_tensors("model.safetensors", -1, "{}", 2, 0);
    assert_int_equal(ade__tensors_open(folder, &empty), ADE_OK);
    assert_int_equal(ade__weights_map(empty, &CONFIG, NULL, &map), ADE_BAD_MODEL);
    assert_error_has("word_embeddings");
    ade__tensors_close(empty);
}

static void test_out_of_memory(void **state) {
    (void)state;
    ade_tensor_set *set = make(&(variant){0});
    long            n = 0;
    for (;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = ade__weights_map(set, &CONFIG, NULL, &map);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
    }
    assert_int_equal(n, 2);
    ade__weights_clear(&map);
    ade__tensors_close(set);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static ade_tensor tensor_of(ade_dtype_st dtype, const void *data, size_t n, size_t size) {
    return (ade_tensor){.name = "t",
                        .dtype_name = "X",
                        .dtype = dtype,
                        .rank = 1,
                        .shape = {(int64_t)n},
                        .data = data,
                        .size = n * size,
                        .file = "f"};
}

/* All 65,536 values of a 16-bit type, at each of two alignments, against the exact reference in fp16.h. */
static void check_halves(ade_dtype_st dtype, float (*reference)(uint16_t)) {
    static unsigned char raw[2 * 65536 + 1];
    static float         out[65536];
    for (size_t shift = 0; shift < 2; shift++) {
        size_t n = 0;
        for (uint32_t i = 0; i < 65536; i++) {
            uint16_t half = (uint16_t)i;
            if (!isfinite(reference(half))) continue;
            memcpy(raw + shift + 2 * n++, &half, 2);
        }
        ade_tensor tensor = tensor_of(dtype, raw + shift, n, 2);
        assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_OK);
        for (size_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, raw + shift + 2 * i, 2);
            assert_int_equal(ade__bits_from_f32(out[i]), ade__bits_from_f32(reference(half)));
        }
    }
    for (uint32_t i = 0; i < 65536; i++) { /* every value that is not finite is refused */
        uint16_t   half = (uint16_t)i;
        ade_tensor tensor = tensor_of(dtype, &half, 1, 2);
        if (!isfinite(reference(half))) assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_BAD_MODEL);
    }
}

static void test_halves(void **state) {
    (void)state;
    check_halves(ADE_ST_F16, ade__f32_from_f16);
    check_halves(ADE_ST_BF16, ade__f32_from_bf16);
}

static void test_singles_and_doubles(void **state) {
    (void)state;
    static unsigned char raw[8 * 3000 + 8];
    static float         out[3000];
    for (size_t shift = 0; shift < 8; shift++)
        for (size_t n = 0; n < 3000; n = n < 3 ? n + 1 : n * 3 + 1) {
            for (size_t i = 0; i < n; i++) {
                float value = (float)i - 7.25f;
                memcpy(raw + shift + 4 * i, &value, 4);
            }
            ade_tensor tensor = tensor_of(ADE_ST_F32, raw + shift, n, 4);
            assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_OK);
            for (size_t i = 0; i < n; i++) assert_true(out[i] == (float)i - 7.25f);
            for (size_t i = 0; i < n; i++) {
                double value = (double)i / 3;
                memcpy(raw + shift + 8 * i, &value, 8);
            }
            tensor = tensor_of(ADE_ST_F64, raw + shift, n, 8);
            assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_OK);
            for (size_t i = 0; i < n; i++) assert_true(out[i] == (float)((double)i / 3));
        }
    static const struct {
        double      value;
        const char *words; /* NULL: fine */
    } ROWS[] = {{3.4028234663852886e38, NULL},
                {-3.4028234663852886e38, NULL},
                {0x1.fffffefffffffp127, NULL},
                {0x1.ffffffp127, "too large"},
                {-1e39, "too large"},
                {1e-300, NULL},
                {NAN, "NaN"},
                {INFINITY, "infinity"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        ade_tensor tensor = tensor_of(ADE_ST_F64, &ROWS[i].value, 1, 8);
        assert_int_equal(ade__tensor_to_f32(&tensor, out), ROWS[i].words ? ADE_BAD_MODEL : ADE_OK);
        if (ROWS[i].words)
            assert_error_has(ROWS[i].words);
        else
            assert_true(isfinite(out[0]));
    }
    static const float BAD[] = {NAN, INFINITY, -INFINITY};
    for (size_t b = 0; b < 3; b++)
        for (size_t at = 0; at < 2500; at += 499) {
            static float values[2500];
            char         words[32];
            memset(values, 0, sizeof values);
            values[at] = BAD[b];
            ade_tensor tensor = tensor_of(ADE_ST_F32, values, 2500, 4);
            assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_BAD_MODEL);
            snprintf(words, sizeof words, "index %zu,", at);
            assert_error_has(words);
            assert_error_has(b ? "infinity" : "NaN");
            assert_error_has("\"t\"");
        }
    ade_tensor tensor = tensor_of(ADE_ST_I64, raw, 1, 8);
    assert_int_equal(ade__tensor_to_f32(&tensor, out), ADE_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test_teardown(test_spellings, teardown_folder),
        cmocka_unit_test_teardown(test_every_weight, teardown_folder),
        cmocka_unit_test_teardown(test_refused, teardown_folder),
        cmocka_unit_test_teardown(test_types, teardown_folder),
        cmocka_unit_test_teardown(test_unused, teardown_folder),
        cmocka_unit_test_teardown(test_out_of_memory, teardown_folder),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_singles_and_doubles),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
