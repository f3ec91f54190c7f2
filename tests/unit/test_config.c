/* SPDX-License-Identifier: Apache-2.0
 * config.c: every rule for config.json. */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "config.h"

static ade_model_config  config;
static ade_model_options options;
static const ade_log     LOG = {keep_log, NULL};

static ade_status read_config(const char *text) {
    ade_model_config untouched;
    new_folder();
    write_text("config.json", text);
    memset(&config, 0x5a, sizeof config);
    memset(&untouched, 0x5a, sizeof untouched);
    logged[0] = '\0';
    ade_status status = ade__config_read(folder, &options, &LOG, &config);
    if (status != ADE_OK) assert_memory_equal(&config, &untouched, sizeof config);
    return status;
}

/* A config with these keys beside the architecture is taken. */
static void accept(const char *keys) {
    char text[2000];
    snprintf(text, sizeof text, "{\"architectures\":[\"BertForSequenceClassification\"]%s%s}", *keys ? "," : "", keys);
    if (read_config(text) != ADE_OK) fail_msg("%s refused: %s", keys, ade_last_error());
}

static void refuse(const char *keys, ade_status status, const char *words) {
    char text[2000];
    snprintf(text, sizeof text, "{\"architectures\":[\"BertForSequenceClassification\"],%s}", keys);
    if (read_config(text) != status) fail_msg("%s: %s", keys, ade_last_error());
    assert_error_has(words);
    assert_error_has("config.json");
}

static int setup(void **state) {
    (void)state;
    options = (ade_model_options)ADE_MODEL_OPTIONS_INIT;
    return 0;
}

static void test_defaults(void **state) {
    (void)state;
    accept("");
    assert_string_equal(config.architecture, "BertForSequenceClassification");
    assert_int_equal(config.vocab_size, 30522);
    assert_int_equal(config.hidden_size, 768);
    assert_int_equal(config.n_layers, 12);
    assert_int_equal(config.n_heads, 12);
    assert_int_equal(config.intermediate_size, 3072);
    assert_int_equal(config.max_positions, 512);
    assert_int_equal(config.type_vocab_size, 2);
    assert_int_equal(config.pad_token_id, 0);
    assert_int_equal(config.activation, ADE_ACT_GELU_ERF);
    assert_true(config.layer_norm_eps == 1e-12f);
    assert_int_equal(config.problem, ADE_PROBLEM_SINGLE_LABEL);
    assert_int_equal(config.n_labels, 2);
    assert_string_equal(config.labels[0], "LABEL_0");
    assert_string_equal(config.labels[1], "LABEL_1");
    assert_int_equal(config.positive_label, 1);
    assert_int_equal(config.used.n, 1);
    ade__config_clear(&config);
    assert_null(config.labels);
    ade__config_clear(&config); /* twice is fine */
}

static void test_values(void **state) {
    (void)state;
    accept(
        "\"model_type\":\"bert\",\"vocab_size\":28996,\"hidden_size\":384,\"num_hidden_layers\":6,"
        "\"num_attention_heads\":12,\"intermediate_size\":1536,\"max_position_embeddings\":256,\"type_vocab_size\":16,"
        "\"pad_token_id\":3,\"hidden_act\":\"relu\",\"layer_norm_eps\":1e-5,\"classifier_dropout\":null,"
        "\"torch_dtype\":\"float16\",\"position_embedding_type\":\"absolute\",\"is_decoder\":false,"
        "\"pruned_heads\":{},\"return_all_scores\":true");
    assert_int_equal(config.vocab_size, 28996);
    assert_int_equal(config.hidden_size, 384);
    assert_int_equal(config.n_layers, 6);
    assert_int_equal(config.n_heads, 12);
    assert_int_equal(config.intermediate_size, 1536);
    assert_int_equal(config.max_positions, 256);
    assert_int_equal(config.type_vocab_size, 16);
    assert_int_equal(config.pad_token_id, 3);
    assert_int_equal(config.activation, ADE_ACT_RELU);
    assert_true(config.layer_norm_eps == 1e-5f);
    ade__config_clear(&config);
    accept("\"pad_token_id\":null,\"layer_norm_eps\":0.5");
    ade__config_clear(&config);
}

static void test_architectures(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } REFUSED[] = {
        {"{\"architectures\":[\"BertForTokenClassification\"]}", "BertForTokenClassification"},
        {"{\"architectures\":[\"DistilBertForSequenceClassification\"]}", "DistilBertForSequenceClassification"},
        {"{\"architectures\":[\"RobertaForSequenceClassification\"]}", "RobertaForSequenceClassification"},
        {"{\"architectures\":[\"ModernBertForSequenceClassification\"]}", "ModernBertForSequenceClassification"},
        {"{\"architectures\":[\"DebertaV2ForSequenceClassification\"]}", "DebertaV2ForSequenceClassification"},
        {"{\"architectures\":[\"AlbertForSequenceClassification\"]}", "AlbertForSequenceClassification"},
        {"{\"architectures\":[\"ElectraForSequenceClassification\"]}", "ElectraForSequenceClassification"},
        {"{\"architectures\":[\"BertForMaskedLM\"]}", "fine-tune"},
        {"{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\"}", "fine-tune"},
        {"{\"architectures\":[\"GPT2LMHeadModel\"]}", "GPT2LMHeadModel"},
        {"{\"model_type\":\"roberta\"}", "roberta"},
        {"{\"architectures\":[\"BertForSequenceClassification\"],\"model_type\":\"nomic_bert\"}", "nomic_bert"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        assert_int_equal(read_config(REFUSED[i].text), ADE_UNSUPPORTED);
        assert_error_has(REFUSED[i].words);
    }
    assert_int_equal(read_config("{}"), ADE_BAD_MODEL);
    assert_error_has("architectures");
    assert_int_equal(read_config("{\"architectures\":\"BertForSequenceClassification\"}"), ADE_BAD_MODEL);
    assert_int_equal(read_config("{\"architectures\":[7]}"), ADE_BAD_MODEL);
    assert_int_equal(read_config("{\"model_type\":7}"), ADE_BAD_MODEL);
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_OK);
    assert_string_equal(config.architecture, "BertForSequenceClassification");
    ade__config_clear(&config);
    assert_int_equal(read_config("{\"model_type\":\"bert\",\"architectures\":null}"), ADE_OK);
    ade__config_clear(&config);
    refuse("\"position_embedding_type\":\"relative_key\"", ADE_UNSUPPORTED, "relative_key");
    refuse("\"position_embedding_type\":\"relative_key_query\"", ADE_UNSUPPORTED, "relative_key_query");
    refuse("\"is_decoder\":true", ADE_UNSUPPORTED, "is_decoder");
    refuse("\"is_decoder\":1", ADE_BAD_MODEL, "is_decoder");
    refuse("\"add_cross_attention\":true", ADE_UNSUPPORTED, "add_cross_attention");
    refuse("\"pruned_heads\":{\"1\":[0]}", ADE_UNSUPPORTED, "pruned_heads");
}

static void test_activations(void **state) {
    (void)state;
    static const struct {
        const char    *name;
        ade_activation activation;
    } KNOWN[] = {{"gelu", ADE_ACT_GELU_ERF},
                 {"gelu_new", ADE_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", ADE_ACT_GELU_TANH},
                 {"relu", ADE_ACT_RELU},
                 {"silu", ADE_ACT_SILU}};
    char keys[100];
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        snprintf(keys, sizeof keys, "\"hidden_act\":\"%s\"", KNOWN[i].name);
        accept(keys);
        assert_int_equal(config.activation, KNOWN[i].activation);
        ade__config_clear(&config);
    }
    refuse("\"hidden_act\":\"quick_gelu\"", ADE_UNSUPPORTED, "quick_gelu");
    refuse("\"hidden_act\":\"tanh\"", ADE_UNSUPPORTED, "tanh");
    refuse("\"hidden_act\":1", ADE_BAD_MODEL, "hidden_act");
}

static void test_sizes(void **state) {
    (void)state;
    static const char *const KEYS[] = {"vocab_size",          "hidden_size",       "num_hidden_layers",
                                       "num_attention_heads", "intermediate_size", "max_position_embeddings",
                                       "type_vocab_size",     "num_labels"};
    static const char *const BAD[] = {"0", "-1", "2147483648", "9223372036854775807", "1.5", "\"7\"", "true", "[1]"};
    char                     keys[100];
    for (size_t k = 0; k < sizeof KEYS / sizeof *KEYS; k++)
        for (size_t b = 0; b < sizeof BAD / sizeof *BAD; b++) {
            snprintf(keys, sizeof keys, "\"%s\":%s", KEYS[k], BAD[b]);
            refuse(keys, ADE_BAD_MODEL, KEYS[k]);
        }
    refuse("\"hidden_size\":null", ADE_BAD_MODEL, "hidden_size");
    refuse("\"hidden_size\":18446744073709551616", ADE_BAD_MODEL, "invalid JSON");
    refuse("\"hidden_size\":768,\"num_attention_heads\":7", ADE_BAD_MODEL, "multiple");
    refuse("\"pad_token_id\":-1", ADE_BAD_MODEL, "pad_token_id");
    refuse("\"vocab_size\":10,\"pad_token_id\":10", ADE_BAD_MODEL, "pad_token_id");
    refuse("\"layer_norm_eps\":0", ADE_BAD_MODEL, "layer_norm_eps");
    refuse("\"layer_norm_eps\":-1e-12", ADE_BAD_MODEL, "layer_norm_eps");
    refuse("\"layer_norm_eps\":1e-60", ADE_BAD_MODEL, "layer_norm_eps");
    refuse("\"layer_norm_eps\":\"1e-12\"", ADE_BAD_MODEL, "layer_norm_eps");
}

static void test_labels(void **state) {
    (void)state;
    accept("\"id2label\":{\"1\":\"ADE\",\"0\":\"not ADE\",\"2\":\"other\"},\"label2id\":{\"ADE\":1}");
    assert_int_equal(config.n_labels, 3);
    assert_string_equal(config.labels[0], "not ADE");
    assert_string_equal(config.labels[1], "ADE");
    assert_string_equal(config.labels[2], "other");
    assert_int_equal(config.positive_label, 1);
    assert_string_equal(logged, "");
    ade__config_clear(&config);
    accept("\"num_labels\":3");
    assert_int_equal(config.n_labels, 3);
    assert_string_equal(config.labels[2], "LABEL_2");
    assert_int_equal(config.positive_label, 2);
    ade__config_clear(&config);
    accept("\"num_labels\":5,\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"label2id\":{\"a\":1,\"b\":0}");
    assert_int_equal(config.n_labels, 2);
    assert_non_null(strstr(logged, "num_labels"));
    assert_non_null(strstr(logged, "label2id"));
    ade__config_clear(&config);
    accept("\"id2label\":null,\"label2id\":{\"a\":0,\"b\":1,\"c\":2}"); /* label2id alone has no effect */
    assert_int_equal(config.n_labels, 2);
    assert_string_equal(config.labels[0], "LABEL_0");
    ade__config_clear(&config);
    accept("\"id2label\":{\"0\":7,\"1\":8}");
    assert_string_equal(config.labels[1], "8");
    ade__config_clear(&config);
    refuse("\"id2label\":{}", ADE_BAD_MODEL, "0 labels");
    refuse("\"id2label\":[\"a\",\"b\"]", ADE_BAD_MODEL, "id2label");
    refuse("\"id2label\":{\"0\":\"a\",\"2\":\"c\"}", ADE_BAD_MODEL, "no name for label 1");
    refuse("\"id2label\":{\"0\":\"a\",\"1\":null}", ADE_BAD_MODEL, "no name for label 1");
}

static void test_label_options(void **state) {
    (void)state;
    options.labels = "not ADE, ADE";
    accept("");
    assert_string_equal(config.labels[0], "not ADE");
    assert_string_equal(config.labels[1], "ADE");
    assert_int_equal(config.positive_label, 1);
    ade__config_clear(&config);
    options.labels = "ADE,neg";
    accept("\"id2label\":{\"0\":\"x\",\"1\":\"y\"}");
    assert_int_equal(config.positive_label, 0);
    ade__config_clear(&config);
    options.labels = "a,b,c";
    accept("\"num_labels\":3");
    ade__config_clear(&config);
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
    assert_error_has("3 labels are given");
    options.labels = "a";
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
    options.labels = "";
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
    options.labels = "a, ";
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
    assert_error_has("label 1");
    options.labels = "a,\xc0\xaf";
    assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
    assert_error_has("UTF-8");

    options.labels = "a,b";
    options.positive_label = "a";
    accept("");
    assert_int_equal(config.positive_label, 0);
    ade__config_clear(&config);
    options.positive_label = "0";
    accept("");
    assert_int_equal(config.positive_label, 0);
    ade__config_clear(&config);
    options.labels = "1,0"; /* a name goes before a number */
    accept("");
    assert_int_equal(config.positive_label, 1);
    ade__config_clear(&config);
    options.labels = NULL;
    static const char *const WRONG[] = {"ADE", "2", "-1", "", "99999999999", "0x"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        options.positive_label = WRONG[i];
        assert_int_equal(read_config("{\"model_type\":\"bert\"}"), ADE_INVALID_ARGUMENT);
        assert_error_has("\"LABEL_0\", \"LABEL_1\"");
    }
    options.positive_label = "nothing"; /* with more labels than the message has room for */
    assert_int_equal(read_config("{\"model_type\":\"bert\",\"num_labels\":1000}"), ADE_INVALID_ARGUMENT);
    assert_error_has("..");
}

static void test_problems(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        ade_problem problem;
    } ROWS[] = {
        {"\"problem_type\":\"regression\"", ADE_PROBLEM_REGRESSION},
        {"\"problem_type\":\"regression\",\"num_labels\":1", ADE_PROBLEM_REGRESSION},
        {"\"problem_type\":\"multi_label_classification\"", ADE_PROBLEM_MULTI_LABEL},
        {"\"num_labels\":1", ADE_PROBLEM_MULTI_LABEL},
        {"\"problem_type\":\"single_label_classification\",\"num_labels\":1", ADE_PROBLEM_MULTI_LABEL},
        {"\"problem_type\":\"single_label_classification\"", ADE_PROBLEM_SINGLE_LABEL},
        {"\"problem_type\":null", ADE_PROBLEM_SINGLE_LABEL},
        {"\"function_to_apply\":\"sigmoid\"", ADE_PROBLEM_SINGLE_LABEL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        accept(ROWS[i].keys);
        assert_int_equal(config.problem, ROWS[i].problem);
        ade__config_clear(&config);
    }
    refuse("\"problem_type\":\"token\"", ADE_BAD_MODEL, "problem_type");
    refuse("\"problem_type\":\"multi\"", ADE_BAD_MODEL, "problem_type");
}

static void test_files(void **state) {
    (void)state;
    new_folder();
    assert_int_equal(ade__config_read(folder, NULL, NULL, &config), ADE_BAD_MODEL);
    assert_error_has("config.json");
    assert_int_equal(mkdir(path_in("config.json"), 0700), 0);
    assert_int_equal(ade__config_read(folder, NULL, NULL, &config), ADE_BAD_MODEL);
    assert_error_has("not a regular file");
    assert_int_equal(rmdir(path_in("config.json")), 0);
    assert_int_equal(mkfifo(path_in("config.json"), 0600), 0);
    assert_int_equal(ade__config_read(folder, NULL, NULL, &config), ADE_BAD_MODEL);
    assert_int_equal(ade__config_read("/nonexistent", NULL, NULL, &config), ADE_IO);
    static const char *const BAD[] = {"", "[]", "null", "{", "{\"a\":1,\"a\":2}", "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(read_config(BAD[i]), ADE_BAD_MODEL);
        assert_error_has("invalid JSON");
    }
    new_folder();
    write_text("config.json", "{}");
    assert_int_equal(truncate(path_in("config.json"), 17 << 20), 0);
    assert_int_equal(ade__config_read(folder, NULL, NULL, &config), ADE_BAD_MODEL);
    assert_error_has("bytes");
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t      valid;
    } ROWS[] = {
        {"", 0},
        {"abc", 3},
        {"\xc3\xa9", 2},
        {"\xe4\xb8\xad", 3},
        {"\xf0\x9f\xa5\xb1", 4},
        {"a\xc3", 1},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\x80", 0},
        {"ab\xff", 2},
        {"\xe4\xb8", 0},
        {"\xe4\xb8z", 0},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(ade__utf8_valid(ROWS[i].text, strlen(ROWS[i].text)), ROWS[i].valid);
}

static void test_out_of_memory(void **state) {
    (void)state;
    static const char TEXT[] = "{\"model_type\":\"bert\",\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"}}";
    long              n = 0;
    for (;; n++) {
        new_folder();
        write_text("config.json", TEXT);
        ade__alloc_fail_at(n);
        ade_status status = ade__config_read(folder, NULL, NULL, &config);
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_true(n < 1000);
    }
    assert_true(n > 5);
    ade__config_clear(&config);
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_architectures, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_activations, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_label_options, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_problems, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_utf8, setup, teardown_folder),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown_folder),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
