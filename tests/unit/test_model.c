/* SPDX-License-Identifier: Apache-2.0
 * model.c: whole folders, opened, held, hashed, and broken. */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "model.h"

#include <pthread.h>
#include <sys/types.h>

#include <sha2.h>

static int freed_lists;

/* Stands in for the sessions' part of the library, if that is not linked in. */
__attribute__((weak)) void ade__prepared_free_all(struct ade_prepared *list) {
    assert_null(list);
    freed_lists++;
}

static ade_model_options options;
static ade_model        *model;

static const char *const TINY[] = {"config.json",    "model.safetensors",     "special_tokens_map.json",
                                   "tokenizer.json", "tokenizer_config.json", "vocab.txt"};

static void copy_tiny(void) {
    new_folder();
    for (size_t i = 0; i < sizeof TINY / sizeof *TINY; i++) copy_file("tiny_bert_cls", TINY[i]);
}

static ade_status open_model(void) {
    model = NULL;
    logged[0] = '\0';
    options = (ade_model_options)ADE_MODEL_OPTIONS_INIT;
    options.log = keep_log;
    ade_status status = ade__model_open(folder, &options, &model);
    if (status != ADE_OK) assert_null(model);
    return status;
}

static void must_open(void) {
    if (open_model() != ADE_OK) fail_msg("%s", ade_last_error());
}

static void refuse(ade_status status, const char *words) {
    assert_int_equal(open_model(), status);
    assert_error_has(words);
    assert_error_has(folder);
}

static void test_tiny(void **state) {
    (void)state;
    copy_tiny();
    must_open();
    assert_string_equal(model->folder, folder);
    assert_string_equal(model->name, strrchr(folder, '/') + 1);
    assert_int_equal(model->config.hidden_size, 32);
    assert_int_equal(model->config.intermediate_size, 37);
    assert_int_equal(model->config.n_layers, 5);
    assert_int_equal(model->max_length, 512);
    assert_true(model->tokenizer.lowercase);
    assert_string_equal(model->tokenizer.source, "tokenizer.json");
    assert_string_equal(model->weights.weights_type, "F32");
    /* 5 layers of 4 x (32 x 32 + 32) + 4 x 32 + 37 x 32 + 37 + 32 x 37 + 32, and the rest */
    assert_int_equal(model->weights.n_parameters,
                     (1124 + 512 + 16 + 2) * 32 + 5 * (4224 + 128 + 1221 + 1216) + 1056 + 66);
    assert_string_equal(logged, "");
    float *values = malloc(sizeof(float) * 1124 * 32);
    for (size_t i = 0; i < ade__tensors_count(model->tensors); i++)
        if (ade__tensors_at(model->tensors, i)->dtype == ADE_ST_F32)
            assert_int_equal(ade__tensor_to_f32(ade__tensors_at(model->tensors, i), values), ADE_OK);
    free(values);

    ade_tokenizer_scratch *scratch;
    ade_encode_options     encode = {.max_length = 512};
    ade_encoding           encoding;
    static const int32_t   IDS[] = {2, 47, 18, 45, 793, 804, 801, 3};
    assert_int_equal(ade__tokenizer_scratch_new(model->tokenizer.tokenizer, &scratch), ADE_OK);
    assert_int_equal(
        ade__tokenizer_encode(model->tokenizer.tokenizer, scratch, (ade_text){"E. coli", 7}, &encode, &encoding),
        ADE_OK);
    assert_int_equal(encoding.n, 8);
    assert_memory_equal(encoding.ids, IDS, sizeof IDS);
    ade__tokenizer_scratch_free(scratch);
    int before = freed_lists;
    ade__model_retain(model);
    ade__model_release(model);
    assert_int_equal(freed_lists, before);
    ade__model_release(model);
    ade__model_release(NULL);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *suffix, *name;
    } ROWS[] = {{"/", NULL}, {"///", NULL}, {"/.", NULL}, {"/../", "tmp"}};
    copy_tiny();
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s%s", folder, ROWS[i].suffix, ROWS[i].name ? strrchr(folder, '/') + 1 : "");
        assert_int_equal(ade__model_open(path, NULL, &model), ADE_OK);
        assert_string_equal(model->name, strrchr(folder, '/') + 1);
        assert_string_equal(model->folder, path);
        ade__model_release(model);
    }
    for (int a = ADE_ACT_GELU_ERF; a <= ADE_ACT_TANH; a++) {
        static const char *const NAMES[] = {"gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};
        assert_string_equal(ade__activation_name((ade_activation)a), NAMES[a]);
    }
}

static void test_max_length(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int32_t     expected;
    } ROWS[] = {{"128", 128}, {"1000000000000000019884624838656", 512}, {"1e30", 512}, {"4096", 512}, {"3", 3},
                {"2", 0}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char edit[100];
        copy_tiny();
        snprintf(edit, sizeof edit, "\"model_max_length\": %s", ROWS[i].value);
        edit_file("tokenizer_config.json", "\"model_max_length\": 512", edit);
        if (!ROWS[i].expected) {
            refuse(ADE_BAD_MODEL, "model_max_length");
            continue;
        }
        must_open();
        assert_int_equal(model->max_length, ROWS[i].expected);
        ade__model_release(model);
    }
}

static void test_contradictions(void **state) {
    (void)state;
    copy_tiny(); /* a token id without a row of the embeddings */
    edit_file("tokenizer_config.json", "\"do_lower_case\": true", "\"additional_special_tokens\": [\"<x>\"]");
    refuse(ADE_BAD_MODEL, "1125 entries");
    assert_error_has("1124");
    copy_tiny();
    edit_file("config.json", "\"vocab_size\": 1124", "\"vocab_size\": 1130");
    refuse(ADE_BAD_MODEL, "[1124, 32]");
    assert_error_has("[1130, 32]");
    copy_tiny();
    edit_file("config.json", "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 6");
    refuse(ADE_BAD_MODEL, "encoder.layer.5.");
    copy_tiny();
    edit_file("config.json", "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 4");
    must_open();
    assert_non_null(strstr(logged, "16 tensors"));
    ade__model_release(model);
    copy_tiny();
    edit_file("config.json", "\"vocab_size\": 1124", "\"num_labels\": 3, \"vocab_size\": 1124");
    refuse(ADE_BAD_MODEL, "classifier.weight");
    copy_tiny();
    assert_int_equal(unlink(path_in("tokenizer.json")), 0);
    assert_int_equal(unlink(path_in("vocab.txt")), 0);
    refuse(ADE_BAD_MODEL, "vocab.txt");
    copy_tiny();
    assert_int_equal(unlink(path_in("model.safetensors")), 0);
    write_text("pytorch_model.bin", "x");
    refuse(ADE_UNSUPPORTED, "pytorch_model.bin");
    copy_tiny();
    assert_int_equal(unlink(path_in("config.json")), 0);
    refuse(ADE_BAD_MODEL, "config.json");
    remove_folder();
    assert_int_equal(ade__model_open("/nonexistent", NULL, &model), ADE_IO);
}

/* A vocabulary smaller than the embeddings is fine: rows are often padded to a multiple of 8. */
static void test_spare_rows(void **state) {
    (void)state;
    size_t size;
    copy_tiny();
    assert_int_equal(unlink(path_in("tokenizer.json")), 0);
    char *vocab = read_path(path_in("vocab.txt"), &size);
    vocab[size - 1] = '\0';
    strrchr(vocab, '\n')[1] = '\0';
    write_text("vocab.txt", vocab);
    free(vocab);
    must_open();
    assert_non_null(strstr(logged, "info: "));
    assert_non_null(strstr(logged, "1123 entries"));
    assert_string_equal(model->tokenizer.source, "vocab.txt");
    ade__model_release(model);
}

/* ---- Hash -------------------------------------------------------------------------------------------------------- */

static void expected_hash(const char *const *names, size_t n, char hex[65]) {
    SHA2_CTX sha;
    uint8_t  digest[SHA256_DIGEST_LENGTH];
    SHA256Init(&sha);
    for (size_t i = 0; i < n; i++) {
        size_t size;
        char   number[32], *data = read_path(path_in(names[i]), &size);
        snprintf(number, sizeof number, "%zu", size);
        SHA256Update(&sha, (const uint8_t *)names[i], strlen(names[i]) + 1);
        SHA256Update(&sha, (const uint8_t *)number, strlen(number) + 1);
        SHA256Update(&sha, (const uint8_t *)data, size);
        free(data);
    }
    SHA256Final(digest, &sha);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void *hash_in_thread(void *hex) {
    assert_int_equal(ade__model_hash(model, hex), ADE_OK);
    ade__model_retain(model);
    ade__model_release(model);
    return NULL;
}

static void test_hash(void **state) {
    (void)state;
    char                     expected[65], hex[65] = "untouched", threads_hex[4][65];
    pthread_t                threads[4];
    static const char *const WITHOUT_JSON[] = {"config.json", "model.safetensors", "special_tokens_map.json",
                                               "tokenizer_config.json", "vocab.txt"};
    copy_tiny(); /* vocab.txt is not used beside tokenizer.json */
    expected_hash(TINY, 5, expected);
    must_open();
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, hash_in_thread, threads_hex[i]), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 4; i++) assert_string_equal(threads_hex[i], expected);
    assert_int_equal(unlink(path_in("tokenizer.json")), 0); /* remembered */
    assert_int_equal(ade__model_hash(model, hex), ADE_OK);
    assert_string_equal(hex, expected);
    ade__model_release(model);

    must_open();
    expected_hash(WITHOUT_JSON, 5, expected);
    assert_int_equal(ade__model_hash(model, hex), ADE_OK);
    assert_string_equal(hex, expected);
    ade__model_release(model);

    copy_tiny();
    must_open();
    strcpy(hex, "untouched");
    edit_file("tokenizer_config.json", "\"model_max_length\": 512", "\"model_max_length\": 511");
    assert_int_equal(ade__model_hash(model, hex), ADE_BAD_MODEL);
    assert_error_has("changed since");
    assert_int_equal(unlink(path_in("config.json")), 0);
    assert_int_equal(ade__model_hash(model, hex), ADE_IO);
    assert_error_has("removed");
    assert_string_equal(hex, "untouched");
    ade__model_release(model);
}

/* ---- In bulk ----------------------------------------------------------------------------------------------------- */

static void test_out_of_memory(void **state) {
    (void)state;
    long n = 0;
    char hex[65];
    copy_tiny();
    for (;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = open_model();
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_error_has("out of memory");
        assert_true(n < 10000);
    }
    assert_true(n > 100);
    for (n = 0;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = ade__model_hash(model, hex);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
    }
    assert_true(n > 3);
    ade__model_release(model);
}

static void test_truncated_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof TINY / sizeof *TINY; i++) {
        if (!strcmp(TINY[i], "vocab.txt")) continue; /* not used beside tokenizer.json */
        size_t size;
        char   path[512];
        snprintf(path, sizeof path, "%s/tiny_bert_cls/%s", data_folder(), TINY[i]);
        char *data = read_path(path, &size);
        copy_tiny();
        while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '}')) size--; /* what is left is never whole */
        size_t step = size > 100000 ? 20011 : 97;
        for (size_t cut = size / step * step;; cut -= step) {
            write_bytes(TINY[i], data, cut);
            assert_int_equal(open_model(), ADE_BAD_MODEL);
            if (cut < step) break;
        }
        free(data);
    }
}

/* Bytes of the small files changed at random: an error or a model, never a crash; a model can tokenize. */
static void test_flipped_files(void **state) {
    (void)state;
    static const char *const FILES[] = {"config.json", "special_tokens_map.json", "tokenizer.json",
                                        "tokenizer_config.json", "vocab.txt"};
    const char              *seeds = getenv("ADE_TEST_SEEDS");
    uint64_t                 n_seeds = seeds ? strtoull(seeds, NULL, 10) : 60, random = 88172645463325252u, opened = 0;
    for (size_t f = 0; f < sizeof FILES / sizeof *FILES; f++) {
        size_t size;
        char   path[512];
        snprintf(path, sizeof path, "%s/tiny_bert_cls/%s", data_folder(), FILES[f]);
        char *data = read_path(path, &size), *changed = malloc(size);
        copy_tiny();
        if (!strcmp(FILES[f], "vocab.txt")) assert_int_equal(unlink(path_in("tokenizer.json")), 0);
        for (uint64_t seed = 0; seed < n_seeds; seed++) {
            memcpy(changed, data, size);
            for (int i = 0; i < 3; i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                size_t at = (size_t)(random >> 20) % size;
                if (random & 1)
                    changed[at] = (char)(changed[at] ^ (1 << (random >> 4) % 8));
                else
                    changed[at] = "0123456789,:[]{}\"\\n"[(random >> 8) % 19];
            }
            write_bytes(FILES[f], changed, size);
            ade_status status = open_model();
            if (status != ADE_OK) {
                assert_true(status == ADE_BAD_MODEL || status == ADE_UNSUPPORTED);
                continue;
            }
            opened++;
            ade_tokenizer_scratch *scratch;
            ade_encode_options     encode = {.max_length = model->max_length};
            ade_encoding           encoding;
            assert_int_equal(ade__tokenizer_scratch_new(model->tokenizer.tokenizer, &scratch), ADE_OK);
            if (ade__tokenizer_encode(model->tokenizer.tokenizer, scratch, (ade_text){"Rash [MASK] coli.", 17}, &encode,
                                      &encoding) == ADE_OK)
                for (size_t i = 0; i < encoding.n; i++)
                    assert_true(encoding.ids[i] >= 0 && encoding.ids[i] < model->config.vocab_size);
            ade__tokenizer_scratch_free(scratch);
            ade__model_release(model);
        }
        free(data);
        free(changed);
    }
    assert_true(opened > 0);
}

/* All variants of checkpoints that the golden tests use. */
static void test_variants(void **state) {
    (void)state;
    char root[512], path[1100];
    snprintf(root, sizeof root, "%s/models", data_folder());
    DIR           *models = opendir(root);
    struct dirent *entry;
    size_t         n = 0;
    if (!models) skip();
    while ((entry = readdir(models))) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
        if (ade__model_open(path, NULL, &model) != ADE_OK) fail_msg("%s", ade_last_error());
        assert_string_equal(model->name, entry->d_name);
        n++;
        ade__model_release(model);
    }
    closedir(models);
    assert_true(n > 0);
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test_teardown(test_tiny, teardown_folder),
        cmocka_unit_test_teardown(test_names, teardown_folder),
        cmocka_unit_test_teardown(test_max_length, teardown_folder),
        cmocka_unit_test_teardown(test_contradictions, teardown_folder),
        cmocka_unit_test_teardown(test_spare_rows, teardown_folder),
        cmocka_unit_test_teardown(test_hash, teardown_folder),
        cmocka_unit_test_teardown(test_out_of_memory, teardown_folder),
        cmocka_unit_test_teardown(test_truncated_files, teardown_folder),
        cmocka_unit_test_teardown(test_flipped_files, teardown_folder),
        cmocka_unit_test_teardown(test_variants, teardown_folder),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
