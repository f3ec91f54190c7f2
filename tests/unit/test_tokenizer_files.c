/* SPDX-License-Identifier: Apache-2.0
 * tokenizer_files.c: which file decides what, as in transformers 4.47.1 (tokenizers 0.21.4). */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "config.h"

static ade_tokenizer_files files;
static const ade_log       LOG = {keep_log, NULL};

#define VOCAB "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nA\n\xc3\xa9\ne\n##b\n\xe4\xb8\xad\n<\nx\n>\n"

static const char TOKENIZER[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
    "{\"id\":0,\"content\":\"[PAD]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true},"
    "{\"id\":1,\"content\":\"[UNK]\",\"special\":true},{\"id\":2,\"content\":\"[CLS]\",\"special\":true},"
    "{\"id\":3,\"content\":\"[SEP]\",\"special\":true},{\"id\":4,\"content\":\"[MASK]\",\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}"
    "},"
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],"
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},"
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},\"decoder\":{\"type\":\"WordPiece\"},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,"
    "\"b\":6,\"A\":7,\"\xc3\xa9\":8,\"e\":9,\"##b\":10,\"\xe4\xb8\xad\":11,\"<\":12,\"x\":13,\">\":14}}}";

static ade_status read_files(void) {
    ade_tokenizer_files untouched;
    memset(&files, 0x5a, sizeof files);
    memset(&untouched, 0x5a, sizeof untouched);
    logged[0] = '\0';
    ade_status status = ade__tokenizer_files_read(folder, &LOG, &files);
    if (status != ADE_OK) assert_memory_equal(&files, &untouched, sizeof files);
    return status;
}

static void must_read(void) {
    if (read_files() != ADE_OK) fail_msg("%s", ade_last_error());
}

/* NULL: no such file. */
static void make(const char *tokenizer, const char *config, const char *vocab) {
    new_folder();
    write_text("config.json", "{\"model_type\":\"bert\"}");
    if (tokenizer) write_text("tokenizer.json", tokenizer);
    if (config) write_text("tokenizer_config.json", config);
    if (vocab) write_text("vocab.txt", vocab);
}

/* tokenizer.json with one edit. */
static void make_edited(const char *from, const char *to, const char *config) {
    char *text = replaced(TOKENIZER, from, to);
    make(text, config, NULL);
    free(text);
}

/* The ids of a text, specials included, as "2 5 3". */
static const char *ids(const char *text) {
    static char            list[256];
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = 512};
    ade_encoding           encoding;
    size_t                 at = 0;
    assert_int_equal(ade__tokenizer_scratch_new(files.tokenizer, &scratch), ADE_OK);
    ade_status status =
        ade__tokenizer_encode(files.tokenizer, scratch, (ade_text){text, strlen(text)}, &options, &encoding);
    list[0] = '\0';
    if (status != ADE_OK)
        snprintf(list, sizeof list, "%s", ade_status_name(status));
    else
        for (size_t i = 0; i < encoding.n; i++)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%d", i ? " " : "", (int)encoding.ids[i]);
    ade__tokenizer_scratch_free(scratch);
    return list;
}

static void refuse(ade_status status, const char *words) {
    ade_status got = read_files();
    if (got == ADE_OK) fail_msg("accepted, where \"%s\" was expected", words);
    if (got != status) fail_msg("%s", ade_last_error());
    assert_error_has(words);
}

/* Rows: tokenizer.json's lowercase, tokenizer_config.json -> the effective value, and words of the reason. */
static void test_casing(void **state) {
    (void)state;
    static const struct {
        const char *there, *config;
        bool        lowercase;
        const char *reason;
    } ROWS[] = {
        {"true", "{\"do_lower_case\":false}", false, "\"do_lower_case\" is false in tokenizer_config.json"},
        {"false", "{\"do_lower_case\":true}", true, "goes before tokenizer.json"},
        {"false", "{\"do_lower_case\":false}", false, "\"do_lower_case\" is false"},
        {"false", "{}", true, "does not say \"do_lower_case\", and the default of BertTokenizer is true"},
        {"false", NULL, true, "there is no tokenizer_config.json"},
        {"true", NULL, true, "there is no tokenizer_config.json"},
        {NULL, "{\"do_lower_case\":false}", false, "\"do_lower_case\" is false in tokenizer_config.json"},
        {NULL, "{\"do_lower_case\":true}", true, "\"do_lower_case\" is true in tokenizer_config.json"},
        {NULL, "{}", true, "the default of BertTokenizer is true"},
        {NULL, NULL, true, "there is no tokenizer_config.json"},
        {"false", "{\"do_lower_case\":true,\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", false, "alone decides"},
        {"true", "{\"do_lower_case\":false,\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", true, "alone decides"},
        {"false", "{\"tokenizer_class\":\"TokenizersBackend\"}", false, "TokenizersBackend"},
        {"false", "{\"do_lower_case\":true,\"tokenizer_class\":\"BertTokenizerFast\"}", true, "do_lower_case"},
        {"false", "{\"tokenizer_class\":\"DistilBertTokenizer\"}", true, "default of DistilBertTokenizer"},
        {"false", "{\"tokenizer_class\":null}", true, "default of BertTokenizer"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (ROWS[i].there) {
            char edit[64];
            snprintf(edit, sizeof edit, "\"lowercase\":%s", ROWS[i].there);
            make_edited("\"lowercase\":true", edit, ROWS[i].config);
        } else {
            make(NULL, ROWS[i].config, VOCAB);
        }
        must_read();
        assert_int_equal(files.lowercase, ROWS[i].lowercase);
        assert_int_equal(files.strip_accents, ROWS[i].lowercase); /* null: as the casing */
        assert_string_equal(ids("A"), ROWS[i].lowercase ? "2 5 3" : "2 7 3");
        assert_string_equal(ids("\xc3\xa9"), ROWS[i].lowercase ? "2 9 3" : "2 8 3");
        assert_string_equal(files.source, ROWS[i].there ? "tokenizer.json" : "vocab.txt");
        if (!strstr(files.casing_reason, ROWS[i].reason)) fail_msg("row %zu: %s", i, files.casing_reason);
        if (ROWS[i].lowercase)
            assert_non_null(strstr(logged, "have capitals"));
        else
            assert_string_equal(logged, "");
        ade__tokenizer_files_clear(&files);
    }
}

static void test_class_of_config_json(void **state) {
    (void)state;
    make_edited("\"lowercase\":true", "\"lowercase\":false", "{\"do_lower_case\":true}");
    write_text("config.json", "{\"model_type\":\"bert\",\"tokenizer_class\":\"PreTrainedTokenizerFast\"}");
    must_read();
    assert_false(files.lowercase);
    ade__tokenizer_files_clear(&files);
    write_text("tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\"}"); /* goes before config.json */
    must_read();
    assert_true(files.lowercase);
    ade__tokenizer_files_clear(&files);
    static const char *const OTHERS[] = {"RobertaTokenizer", "BertJapaneseTokenizer", "AlbertTokenizerFast", "Fast",
                                         ""};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        char config[100];
        snprintf(config, sizeof config, "{\"tokenizer_class\":\"%s\"}", OTHERS[i]);
        write_text("tokenizer_config.json", config);
        refuse(ADE_UNSUPPORTED, OTHERS[i]);
        assert_error_has("tokenizer_config.json");
    }
    write_text("tokenizer_config.json", "{\"tokenizer_class\":7}");
    refuse(ADE_BAD_MODEL, "tokenizer_class");
    make(NULL, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", VOCAB);
    refuse(ADE_BAD_MODEL, "needs tokenizer.json");
}

static void test_other_switches(void **state) {
    (void)state;
    static const char *const GENERIC = "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}";
    /* strip_accents: of tokenizer_config.json, or its default null, never of tokenizer.json */
    make_edited("\"strip_accents\":null", "\"strip_accents\":false", "{}");
    must_read();
    assert_true(files.strip_accents);
    ade__tokenizer_files_clear(&files);
    make_edited("\"strip_accents\":null", "\"strip_accents\":false", GENERIC);
    must_read();
    assert_false(files.strip_accents);
    assert_true(files.lowercase);
    assert_string_equal(ids("\xc3\x89"), "2 8 3");
    ade__tokenizer_files_clear(&files);
    make(TOKENIZER, "{\"strip_accents\":false}", NULL);
    must_read();
    assert_false(files.strip_accents);
    assert_string_equal(ids("A\xc3\x89"), "2 1 3");
    ade__tokenizer_files_clear(&files);
    make(NULL, "{\"do_lower_case\":false,\"strip_accents\":true}", VOCAB);
    must_read();
    assert_true(files.strip_accents);
    assert_string_equal(ids("\xc3\xa9 A"), "2 9 7 3");
    ade__tokenizer_files_clear(&files);
    /* tokenize_chinese_chars */
    make_edited("\"handle_chinese_chars\":true", "\"handle_chinese_chars\":false", NULL);
    must_read();
    assert_string_equal(ids("a\xe4\xb8\xad"), "2 5 11 3");
    ade__tokenizer_files_clear(&files);
    make_edited("\"handle_chinese_chars\":true", "\"handle_chinese_chars\":false", GENERIC);
    must_read();
    assert_string_equal(ids("a\xe4\xb8\xad"), "2 1 3");
    ade__tokenizer_files_clear(&files);
    make(TOKENIZER, "{\"tokenize_chinese_chars\":false}", NULL);
    must_read();
    assert_string_equal(ids("a\xe4\xb8\xad"), "2 1 3");
    ade__tokenizer_files_clear(&files);
    /* clean_text and max_input_chars_per_word: of tokenizer.json */
    make_edited("\"clean_text\":true", "\"clean_text\":false", NULL);
    must_read();
    assert_string_equal(ids("a\x7f"), "2 1 3");
    ade__tokenizer_files_clear(&files);
    make(NULL, NULL, VOCAB);
    must_read();
    assert_string_equal(ids("a\x7f"), "2 5 3");
    ade__tokenizer_files_clear(&files);
    make_edited("\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":2", NULL);
    must_read();
    assert_string_equal(ids("ab abb"), "2 5 10 1 3");
    ade__tokenizer_files_clear(&files);
    static const char *const WRONG[] = {"{\"do_lower_case\":null}", "{\"do_lower_case\":\"true\"}",
                                        "{\"do_lower_case\":1}", "{\"strip_accents\":0}",
                                        "{\"tokenize_chinese_chars\":null}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        make(TOKENIZER, WRONG[i], NULL);
        refuse(ADE_BAD_MODEL, "neither true nor false");
    }
}

static void test_vocab_txt(void **state) {
    (void)state;
    static const char *const SAME[] = {
        VOCAB, "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\na\r\nb\r\nA\r\n\xc3\xa9\r\ne\r\n##b\r\n",
        "[PAD]\r[UNK]\r[CLS]\r[SEP]\r[MASK]\ra\rb\rA\r\xc3\xa9\re\r##b",
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nA\n\xc3\xa9\ne\n##b", /* no final line feed */
    };
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        make(NULL, "{\"do_lower_case\":false}", SAME[i]);
        must_read();
        assert_string_equal(ids("ab \xc3\xa9"), "2 5 10 8 3");
        ade__tokenizer_files_clear(&files);
    }
    /* blank line consumes an id, a later duplicate wins, trailing spaces and NBSP belong to the entry */
    make(NULL, NULL, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\na\nb \ne\xc2\xa0\na\n x\n");
    must_read();
    assert_string_equal(ids("a b e x"), "2 9 1 1 1 3");
    assert_int_equal(ade__tokenizer_size(files.tokenizer), 11);
    ade__tokenizer_files_clear(&files);
    /* U+2028, U+0085, VT and FF are no line ends for Python's readlines() in text mode */
    make(NULL, NULL, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nq\xe2\x80\xa8q\xc2\x85q\x0bq\x0cq\na\n");
    must_read();
    assert_string_equal(ids("a"), "2 6 3");
    ade__tokenizer_files_clear(&files);
    make(NULL, NULL, "\xef\xbb\xbf[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
    refuse(ADE_BAD_MODEL, "byte-order mark");
    assert_error_has("vocab.txt");
    make(NULL, NULL, "[PAD]\r\n[UNK]\n[CLS]\r[SEP]\na\xff\nb\n");
    refuse(ADE_BAD_MODEL, "line 5");
    make(NULL, NULL, "[PAD]\n[UNK]\n[CLS]\na\n");
    refuse(ADE_BAD_MODEL, "\"[SEP]\"");
    make(NULL, NULL, "");
    refuse(ADE_BAD_MODEL, "no entry");
    make(NULL, NULL, NULL);
    refuse(ADE_BAD_MODEL, "neither tokenizer.json nor vocab.txt");
    make(NULL, NULL, "[PAD]\n[CLS]\n[SEP]\na\n"); /* no [UNK]: an error only when an unknown word turns up */
    must_read();
    assert_non_null(strstr(logged, "[UNK]"));
    assert_string_equal(ids("a"), "1 3 2");
    assert_string_equal(ids("q"), "ADE_BAD_MODEL");
    ade__tokenizer_files_clear(&files);
    /* tokenizer.json goes before vocab.txt */
    make(TOKENIZER, NULL, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\na\n");
    must_read();
    assert_string_equal(ids("a"), "2 5 3");
    ade__tokenizer_files_clear(&files);
}

static void test_tokenizer_json(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        ade_status  status;
        const char *words;
    } ROWS[] = {
        {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":\"BPE\"", ADE_UNSUPPORTED, "BPE"},
        {"\"BertNormalizer\"", "\"NFC\"", ADE_UNSUPPORTED, "NFC"},
        {"{\"type\":\"BertPreTokenizer\"}", "{\"type\":\"Whitespace\"}", ADE_UNSUPPORTED, "Whitespace"},
        {"{\"type\":\"BertPreTokenizer\"}", "null", ADE_UNSUPPORTED, "pre_tokenizer"},
        {"\"TemplateProcessing\"", "\"RobertaProcessing\"", ADE_UNSUPPORTED, "RobertaProcessing"},
        {"\"post_processor\":{", "\"post_processor\":null,\"other\":{", ADE_UNSUPPORTED, "absent"},
        {"{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}]", "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}]",
         ADE_UNSUPPORTED, "post_processor"},
        {",{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}]", "]", ADE_UNSUPPORTED, "another template"},
        {"{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}", "{\"Sequence\":{\"id\":\"A\",\"type_id\":1}}", ADE_UNSUPPORTED,
         "another template"},
        {"{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}}", "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":1}}",
         ADE_UNSUPPORTED, "something else"},
        {"\"ids\":[2]", "\"ids\":[5]", ADE_BAD_MODEL, "another id"},
        {"\"ids\":[2]", "\"ids\":[99]", ADE_BAD_MODEL, "another id"},
        {"\"ids\":[2]", "\"ids\":[2,2]", ADE_UNSUPPORTED, "several ids"},
        {"\"e\":9", "\"e\":-9", ADE_BAD_MODEL, "whole number"},
        {"\"e\":9", "\"e\":9.5", ADE_BAD_MODEL, "whole number"},
        {"\"e\":9", "\"e\":4294967296", ADE_BAD_MODEL, "whole number"},
        {"\"e\":9", "\"e\":8", ADE_BAD_MODEL, "same id"},
        {"\"e\":9", "\"b\":9", ADE_BAD_MODEL, "invalid JSON"},
        {"\"unk_token\":\"[UNK]\"", "\"unk_token\":1", ADE_BAD_MODEL, "unk_token"},
        {"\"continuing_subword_prefix\":\"##\"", "\"continuing_subword_prefix\":1", ADE_BAD_MODEL,
         "continuing_subword"},
        {"\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":-1", ADE_BAD_MODEL, "max_input_chars"},
        {"\"clean_text\":true", "\"clean_text\":1", ADE_BAD_MODEL, "clean_text"},
        {"{\"id\":1,\"content\":\"[UNK]\"", "{\"id\":1,\"contents\":\"[UNK]\"", ADE_BAD_MODEL, "content"},
        {"{\"id\":1,\"content\":\"[UNK]\"", "{\"content\":\"[UNK]\"", ADE_BAD_MODEL, "no id"},
        {"\"vocab\":{", "\"vocab\":[],\"other\":{", ADE_BAD_MODEL, "vocab"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        make_edited(ROWS[i].from, ROWS[i].to, NULL);
        refuse(ROWS[i].status, ROWS[i].words);
        assert_error_has("tokenizer.json");
    }
    /* BertProcessing is the same form */
    static const char TEMPLATE[] = "{\"type\":\"TemplateProcessing\"";
    make_edited(TEMPLATE, "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]", NULL);
    must_read();
    assert_string_equal(ids("a"), "2 5 3");
    ade__tokenizer_files_clear(&files);
    make_edited(TEMPLATE, "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",4],\"cls\":[\"[CLS]\",2]", NULL);
    refuse(ADE_BAD_MODEL, "another id");
    /* truncation and padding are ignored and reported */
    make_edited("\"truncation\":null,\"padding\":null",
                "\"truncation\":{\"direction\":\"Right\",\"max_length\":4,\"strategy\":\"LongestFirst\",\"stride\":0},"
                "\"padding\":{\"strategy\":\"BatchLongest\"}",
                "{\"do_lower_case\":false}");
    must_read();
    assert_string_equal(ids("a b a b a"), "2 5 6 5 6 5 3");
    assert_non_null(strstr(logged, "truncation (max_length 4) is ignored"));
    assert_non_null(strstr(logged, "padding is ignored"));
    ade__tokenizer_files_clear(&files);
}

static void test_max_length(void **state) {
    (void)state;
    static const struct {
        const char *config;
        int32_t     expected;
    } ROWS[] = {
        {"{}", 0},
        {"{\"model_max_length\":128}", 128},
        {"{\"model_max_length\":512.0}", 512},
        {"{\"model_max_length\":100000}", 100000},
        {"{\"model_max_length\":1000000000000000019884624838656}", 0},
        {"{\"model_max_length\":1e30}", 0},
        {"{\"model_max_length\":null}", 0},
        {"{\"max_len\":64}", 64},
        {"{\"max_len\":64,\"model_max_length\":32}", 32},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        make(NULL, ROWS[i].config, VOCAB);
        must_read();
        assert_int_equal(files.model_max_length, ROWS[i].expected);
        ade__tokenizer_files_clear(&files);
    }
    make(NULL, "{\"model_max_length\":0}", VOCAB);
    refuse(ADE_BAD_MODEL, "model_max_length");
    make(NULL, "{\"model_max_length\":-5}", VOCAB);
    refuse(ADE_BAD_MODEL, "model_max_length");
    make(NULL, "{\"model_max_length\":\"512\"}", VOCAB);
    refuse(ADE_BAD_MODEL, "model_max_length");
}

static void test_added_tokens(void **state) {
    (void)state;
    static const char DECODER[] =
        "{\"added_tokens_decoder\":{\"15\":{\"content\":\"<x>\",\"special\":true}},\"do_lower_case\":false}";
    make(TOKENIZER, "{\"do_lower_case\":false}", NULL);
    must_read();
    assert_string_equal(ids("a<x>b[MASK]"), "2 5 12 13 14 6 4 3");
    ade__tokenizer_files_clear(&files);
    /* each of the files adds tokens, with and without tokenizer.json */
    for (int with = 0; with < 2; with++) {
        make(with ? TOKENIZER : NULL, DECODER, VOCAB);
        must_read();
        assert_string_equal(ids("a<x>b"), "2 5 15 6 3");
        assert_string_equal(logged, "");
        ade__tokenizer_files_clear(&files);
        make(with ? TOKENIZER : NULL, "{\"do_lower_case\":false}", VOCAB);
        write_text("added_tokens.json", "{\"<x>\":15}");
        must_read();
        assert_string_equal(ids("a<x>b"), "2 5 15 6 3");
        ade__tokenizer_files_clear(&files);
        /* added_tokens_decoder there: added_tokens.json and special_tokens_map.json are not asked */
        write_text("tokenizer_config.json", "{\"added_tokens_decoder\":{}}");
        write_text("special_tokens_map.json", "{\"unk_token\":7}");
        must_read();
        assert_string_equal(ids("a<x>b"), "2 5 12 13 14 6 3");
        ade__tokenizer_files_clear(&files);
        /* further special tokens: both files' lists, strings and objects */
        make(with ? TOKENIZER : NULL, "{\"additional_special_tokens\":[\"<a>\"]}", VOCAB);
        write_text("special_tokens_map.json",
                   "{\"additional_special_tokens\":[{\"content\":\"<b>\",\"lstrip\":true},\"<c>\",\"<a>\"]}");
        must_read();
        assert_string_equal(ids("a <c><b><a>"), "2 5 17 16 15 3");
        ade__tokenizer_files_clear(&files);
    }
    make_edited("{\"id\":4,\"content\":\"[MASK]\"", "{\"id\":15,\"content\":\"<D>\"},{\"id\":4,\"content\":\"[MASK]\"",
                NULL);
    must_read(); /* normalized = true by default for a token that is not special: the casing does not matter */
    assert_string_equal(ids("<d> <D>"), "2 15 15 3");
    ade__tokenizer_files_clear(&files);
    /* declared twice: a special token stays one that is looked for in the raw text */
    make(NULL, NULL, VOCAB);
    write_text("added_tokens.json", "{\"<D>\":15}");
    write_text("special_tokens_map.json",
               "{\"additional_special_tokens\":[{\"content\":\"<D>\",\"normalized\":true}]}");
    must_read();
    assert_string_equal(ids("<d> <D>"), "2 12 1 14 15 3");
    ade__tokenizer_files_clear(&files);
    /* a declared id that the vocabulary contradicts */
    make(NULL, "{\"added_tokens_decoder\":{\"99\":{\"content\":\"<x>\"},\"3\":{\"content\":\"a\"}}}", VOCAB);
    must_read();
    assert_string_equal(ids("<x>"), "2 15 3");
    assert_non_null(strstr(logged, "\"<x>\" declares the id 99"));
    assert_non_null(strstr(logged, "\"a\" declares the id 3"));
    ade__tokenizer_files_clear(&files);
    /* where the reference would give a new token the id of another entry */
    make(NULL, "{\"additional_special_tokens\":[\"<x>\"]}", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n");
    refuse(ADE_BAD_MODEL, "not clear");
    make_edited("\"e\":9", "\"e\":29", "{\"additional_special_tokens\":[\"<x>\"]}");
    refuse(ADE_BAD_MODEL, "not clear");
    make_edited("\"e\":9", "\"e\":29", "{\"do_lower_case\":false}"); /* a gap alone does no harm */
    must_read();
    assert_string_equal(ids("e"), "2 29 3");
    assert_int_equal(ade__tokenizer_size(files.tokenizer), 30);
    ade__tokenizer_files_clear(&files);
    static const char *const WRONG[] = {
        "{\"added_tokens_decoder\":[]}",
        "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}",
        "{\"added_tokens_decoder\":{\"-1\":{\"content\":\"a\"}}}",
        "{\"added_tokens_decoder\":{\"1\":\"a\"}}",
        "{\"added_tokens_decoder\":{\"1\":{\"content\":1}}}",
        "{\"added_tokens_decoder\":{\"1\":{\"content\":\"a\",\"lstrip\":1}}}",
        "{\"additional_special_tokens\":\"a\"}",
        "{\"additional_special_tokens\":[1]}",
        "{\"mask_token\":1}",
        "{\"mask_token\":{}}",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        make(NULL, WRONG[i], VOCAB);
        refuse(ADE_BAD_MODEL, "tokenizer_config.json");
    }
    make(NULL, NULL, VOCAB);
    write_text("added_tokens.json", "{\"<x>\":-1}");
    refuse(ADE_BAD_MODEL, "added_tokens.json");
    write_text("added_tokens.json", "[]");
    refuse(ADE_BAD_MODEL, "added_tokens.json");
}

static void test_renamed_specials(void **state) {
    (void)state;
    static const char RENAMED[] = "<pad>\n<unk>\n<s>\n</s>\n<mask>\na\n";
    make(NULL,
         "{\"unk_token\":\"<unk>\",\"cls_token\":{\"content\":\"<s>\"},\"sep_token\":\"</s>\",\"pad_token\":\"<pad>\"}",
         RENAMED);
    must_read();
    assert_string_equal(ids("a q"), "2 5 1 3");
    assert_int_equal(ade__tokenizer_unk_id(files.tokenizer), 1);
    ade__tokenizer_files_clear(&files);
    /* special_tokens_map.json goes before tokenizer_config.json */
    make(NULL, "{\"unk_token\":\"[UNK]\",\"mask_token\":\"a\"}", RENAMED);
    write_text("special_tokens_map.json",
               "{\"unk_token\":\"<unk>\",\"cls_token\":\"<s>\",\"mask_token\":\"<mask>\","
               "\"sep_token\":{\"content\":\"</s>\"},\"pad_token\":{\"content\":\"<pad>\"}}");
    must_read();
    assert_string_equal(ids("a<mask>q"), "2 5 4 1 3");
    ade__tokenizer_files_clear(&files);
    make(NULL, NULL, RENAMED);
    refuse(ADE_BAD_MODEL, "[CLS]");
    /* no mask token: "[MASK]" is ordinary text */
    make(NULL, "{\"mask_token\":null,\"do_lower_case\":false}", VOCAB);
    must_read();
    assert_string_equal(ids("[MASK]"), "2 1 1 1 3");
    ade__tokenizer_files_clear(&files);
    /* with tokenizer.json its template and its model's unk_token decide */
    make(TOKENIZER, "{\"cls_token\":\"a\",\"unk_token\":\"b\"}", NULL);
    must_read();
    assert_string_equal(ids("q"), "2 1 3");
    ade__tokenizer_files_clear(&files);
}

static void test_limits(void **state) {
    (void)state;
    char  *text = malloc(2 << 20);
    size_t at = (size_t)sprintf(text, "{\"additional_special_tokens\":[\"t\"");
    for (int i = 0; i < 10000; i++) at += (size_t)sprintf(text + at, ",\"t%d\"", i);
    sprintf(text + at, "]}");
    make(NULL, text, VOCAB);
    refuse(ADE_BAD_MODEL, "more than 10000");
    at = (size_t)sprintf(text, "{\"added_tokens_decoder\":{\"0\":{\"content\":\"t\"}");
    for (int i = 1; i <= 10000; i++) at += (size_t)sprintf(text + at, ",\"%d\":{\"content\":\"t%d\"}", i, i);
    sprintf(text + at, "}}");
    make(NULL, text, VOCAB);
    refuse(ADE_BAD_MODEL, "more than 10000");
    free(text);
    make(NULL, NULL, VOCAB);
    assert_int_equal(truncate(path_in("vocab.txt"), 65 << 20), 0);
    refuse(ADE_BAD_MODEL, "bytes");
}

static void test_out_of_memory(void **state) {
    (void)state;
    long n = 0;
    make(TOKENIZER, "{\"additional_special_tokens\":[\"<x>\"]}", VOCAB);
    for (;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = read_files();
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
    ade__tokenizer_files_clear(&files);
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test_teardown(test_casing, teardown_folder),
        cmocka_unit_test_teardown(test_class_of_config_json, teardown_folder),
        cmocka_unit_test_teardown(test_other_switches, teardown_folder),
        cmocka_unit_test_teardown(test_vocab_txt, teardown_folder),
        cmocka_unit_test_teardown(test_tokenizer_json, teardown_folder),
        cmocka_unit_test_teardown(test_max_length, teardown_folder),
        cmocka_unit_test_teardown(test_added_tokens, teardown_folder),
        cmocka_unit_test_teardown(test_renamed_specials, teardown_folder),
        cmocka_unit_test_teardown(test_limits, teardown_folder),
        cmocka_unit_test_teardown(test_out_of_memory, teardown_folder),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
