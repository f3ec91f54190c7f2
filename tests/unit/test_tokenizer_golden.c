/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer against recorded results of the reference: every code point, whole corpora (by SHA-256), and the texts
 * of golden/tokenizer.jsonl, on each instruction set that the processor has; and the same from many threads at once.
 * ADE_SHARED_DATA names a folder with ade_v2/ade_classification_hf_order.csv; without it that corpus is skipped. */
#include "test_tokenizer.h"

#include <jansson.h>
#include <pthread.h>
#include <sha2.h>

#ifndef ADE_TEST_GOLDEN_DIR
#define ADE_TEST_GOLDEN_DIR ADE_TEST_DATA_DIR "/../golden"
#endif

static void assert_digest(SHA2_CTX *hash, const char *expected) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char    text[2 * SHA256_DIGEST_LENGTH + 1];
    SHA256Final(digest, hash);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void every_code_point(void **state) {
    (void)state;
    static const char *const expected[2][2] = {
        {"def2413caf23895622b9daa40a9e06dca836f8aea5a88aabd732fd19b70d4896",
         "24562f9d7976ff39e9c1e52cee2dcff64f6de2fc86446d94e5c72386234f0474"},
        {"0544723a7e870214efe4eb19941b690ced3e870ed268971a706084302e156532",
         "a51ab32702a36e5fffdec44831e95d03bcf93cc587dcb792d3a6ad9b15ee46f4"},
    };
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        ade__normalizer normalizer = {true, true, lowercase, lowercase};
        ade__normalized text = {0};
        SHA2_CTX        normalized, words;
        SHA256Init(&normalized);
        SHA256Init(&words);
        for (uint32_t c = 0; c < 0x110000; c++) {
            if (c >= 0xd800 && c < 0xe000) continue;
            unsigned char around[8] = "a";
            size_t        size = 1 + ade__utf8_encode(c, around + 1), at = 0, start, end;
            around[size++] = 'b';
            assert_int_equal(ade__normalize(&normalizer, around, 0, size, &text), ADE_OK);
            SHA256Update(&normalized, text.bytes, text.size);
            SHA256Update(&normalized, (const uint8_t *)"\n", 1);
            for (bool first = true; ade__next_word(text.bytes, text.size, &at, &start, &end); first = false) {
                if (!first) SHA256Update(&words, (const uint8_t *)" ", 1);
                SHA256Update(&words, text.bytes + start, end - start);
            }
            SHA256Update(&words, (const uint8_t *)"\n", 1);
        }
        assert_digest(&normalized, expected[lowercase][0]);
        assert_digest(&words, expected[lowercase][1]);
        ade__normalized_clear(&text);
    }
}

/* The fields of column `text` of a CSV file, unquoted in place; returns their number. */
static size_t read_csv(char *file, size_t size, ade_text **texts) {
    size_t n = 0, capacity = 1024, field = 0, row = 0, column = 0;
    char  *end = file + size;
    *texts = malloc(capacity * sizeof **texts);
    for (char *at = file; at < end;) {
        char *out = at, *start = at;
        bool  quoted = *at == '"';
        if (quoted) at++;
        for (; at < end; at++) {
            if (quoted && *at == '"') {
                if (at + 1 < end && at[1] == '"') {
                    *out++ = *at++;
                } else {
                    quoted = false;
                }
            } else if (!quoted && (*at == ',' || *at == '\n')) {
                break;
            } else if (quoted || *at != '\r') {
                *out++ = *at;
            }
        }
        if (row == 0 && (size_t)(out - start) == 4 && memcmp(start, "text", 4) == 0) column = field;
        if (row > 0 && field == column) {
            if (n == capacity) *texts = realloc(*texts, (capacity *= 2) * sizeof **texts);
            (*texts)[n++] = (ade_text){start, (size_t)(out - start)};
        }
        if (at < end && *at == ',') {
            field++;
        } else {
            field = 0;
            row++;
        }
        at++;
    }
    return n;
}

typedef struct corpus {
    char     *file;
    ade_text *texts;
    size_t    n;
} corpus;

static corpus open_corpus(const char *folder, const char *name) {
    corpus c;
    size_t size;
    c.file = read_file(folder, name, &size);
    c.n = read_csv(c.file, size, &c.texts);
    return c;
}

static void close_corpus(corpus *c) {
    free(c->texts);
    free(c->file);
}

/* Adds the ids of all texts to a hash and returns their number. */
static size_t hash_ids(const ade_tokenizer *tokenizer, const corpus *c, int32_t max_length, SHA2_CTX *hash) {
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = max_length};
    size_t                 tokens = 0;
    if (ade__tokenizer_scratch_new(tokenizer, &scratch)) return 0;
    SHA256Init(hash);
    for (size_t i = 0; i < c->n; i++) {
        ade_encoding e;
        if (ade__tokenizer_encode(tokenizer, scratch, c->texts[i], &options, &e) || e.unknown) break;
        for (size_t j = 0; j < e.n; j++) {
            uint32_t id = (uint32_t)e.ids[j];
            uint8_t  bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)};
            SHA256Update(hash, bytes, 4);
        }
        tokens += e.n;
    }
    ade__tokenizer_scratch_free(scratch);
    return tokens;
}

typedef struct corpus_value {
    const char *vocab;
    bool        lowercase;
    int32_t     max_length;
    size_t      tokens;
    const char *digest;
} corpus_value;

static void check_corpus(const corpus *c, const corpus_value *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        SHA2_CTX       hash;
        ade_tokenizer *tokenizer = bert_tokenizer(values[i].vocab, values[i].lowercase, NULL, 0);
        assert_int_equal(hash_ids(tokenizer, c, values[i].max_length, &hash), values[i].tokens);
        assert_digest(&hash, values[i].digest);
        ade__tokenizer_free(tokenizer);
    }
}

static void test_split_of_the_ade_corpus(void **state) {
    (void)state;
    static const corpus_value values[] = {
        {"cased", true, 128, 119735, "8e836f2f9d6baf459030a9e452539509df7b38266d4877d8d0bb493ab318a172"},
        {"cased", false, 128, 120954, "80aebb6899bd354760cb7d8359d1d830823701253bf229fc76912fd2f1bf4042"},
    };
    corpus c = open_corpus(data_folder(), "test.csv");
    assert_int_equal(c.n, 3528);
    check_corpus(&c, values, 2);
    close_corpus(&c);
}

static void whole_ade_corpus(void **state) {
    (void)state;
    static const corpus_value values[] = {
        {"cased", true, INT32_MAX, 803518, "906a1bb1f52912bd071c6d3f3a9fae1223e7e9163fd400570117feb27a804a37"},
        {"cased", true, 128, 803249, "2d23aedb4d675bb56fda614c12c15a8ff42fb81ebfdd8291050611e94f35e1c9"},
        {"cased", false, INT32_MAX, 812511, "d5a79965026a14a43efd681ca1de02531f2f6e33e64b8d4baaaae1c57e0f872a"},
        {"cased", false, 128, 812239, "f4913863096dbb18031043ca8e1fe7c5b116af5a00463ab6cd8f90b10222852b"},
        {"uncased", true, INT32_MAX, 762975, "ed9c0dc4ccdc605d99ed407f7a6e84507205bd1e438c3734a28ebb6dfb02e299"},
        {"uncased", true, 128, 762768, "406983eb0a84f30a39406e59b25538e92b425bde94a745a07f94468891afa35a"},
    };
    const char *folder = getenv("ADE_SHARED_DATA");
    if (!folder) skip();
    corpus c = open_corpus(folder, "ade_v2/ade_classification_hf_order.csv");
    assert_int_equal(c.n, 23516);
    check_corpus(&c, values, 6);
    close_corpus(&c);
}

static ade_tokenizer *tokenizer_of_setting(json_t *setting, bool *split) {
    ade_added_token added[32];
    size_t          i, n = 0;
    json_t         *pair, *list = json_object_get(setting, "added");
    json_array_foreach(list, i, pair) {
        const char *flags = json_string_value(json_array_get(pair, 0));
        json_t     *content = json_array_get(pair, 1);
        assert_true(n < 32);
        added[n++] = (ade_added_token){.content = json_string_value(content),
                                       .content_size = json_string_length(content),
                                       .single_word = strchr(flags, 'w'),
                                       .lstrip = strchr(flags, 'l'),
                                       .rstrip = strchr(flags, 'r'),
                                       .normalized = strchr(flags, 'n'),
                                       .special = strchr(flags, 's')};
    }
    *split = json_is_true(json_object_get(setting, "split"));
    return bert_tokenizer(json_string_value(json_object_get(setting, "vocab")),
                          json_is_true(json_object_get(setting, "lower")), added, n);
}

static void check_row(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, bool split, json_t *row,
                      size_t line) {
    ade_encode_options options = {.max_length = 512, .split_special_tokens = split, .want_offsets = true};
    ade_encoding       e;
    json_t            *text = json_array_get(row, 1), *ids = json_array_get(row, 2);
    json_t            *starts = json_array_get(row, 3), *ends = json_array_get(row, 4);
    assert_int_equal(
        encode(tokenizer, scratch, json_string_value(text), json_string_length(text), &options, &e), ADE_OK);
    bool equal = e.n == json_array_size(ids);
    for (size_t i = 0; i < e.n && equal; i++)
        equal = e.ids[i] == json_integer_value(json_array_get(ids, i)) &&
                e.starts[i] == json_integer_value(json_array_get(starts, i)) &&
                e.ends[i] == json_integer_value(json_array_get(ends, i));
    if (equal) { /* without offsets the units' loop takes other ways */
        options.want_offsets = false;
        assert_int_equal(
            encode(tokenizer, scratch, json_string_value(text), json_string_length(text), &options, &e), ADE_OK);
        equal = e.n == json_array_size(ids);
        for (size_t i = 0; i < e.n && equal; i++) equal = e.ids[i] == json_integer_value(json_array_get(ids, i));
        if (equal) return;
    }
    for (size_t i = 0; i < e.n && e.starts; i++) print_message("%d (%u,%u) ", e.ids[i], e.starts[i], e.ends[i]);
    fail_msg("line %zu of tokenizer.jsonl differs; setting %s", line, json_string_value(json_array_get(row, 0)));
}

/* What ADESIEVE_MAX_ISA may say. One that the processor lacks is the best one below it once more. */
static const char *const ARMS[] = {"avx512", "avx2", "sse4.2", "baseline"};
#define N_ARMS (sizeof ARMS / sizeof *ARMS)

static json_t *read_head(char **file, ade_text **lines, size_t *n_lines) {
    size_t size;
    *file = read_file(ADE_TEST_GOLDEN_DIR, "tokenizer.jsonl", &size);
    *n_lines = split_lines(*file, size, lines);
    json_t *head = json_loadb((*lines)[0].data, (*lines)[0].size, 0, NULL);
    assert_non_null(head);
    return head;
}

static void golden_file(void **state) {
    (void)state;
    size_t                 n_lines, checked = 0;
    ade_text              *lines;
    char                  *file, name[16] = "";
    json_t                *head = read_head(&file, &lines, &n_lines);
    ade_tokenizer         *tokenizers[N_ARMS] = {NULL};
    ade_tokenizer_scratch *scratch = NULL;
    bool                   split = false;
    for (int pass = 0; pass < 2; pass++) /* a cold word cache, and a warm one */
        for (size_t i = 1; i < n_lines; i++) {
            json_t *row = json_loadb(lines[i].data, lines[i].size, JSON_ALLOW_NUL, NULL);
            assert_non_null(row);
            const char *setting = json_string_value(json_array_get(row, 0));
            for (size_t arm = 0; arm < N_ARMS; arm++) {
                if (strcmp(setting, name) != 0) {
                    ade__tokenizer_free(tokenizers[arm]);
                    setenv("ADESIEVE_MAX_ISA", ARMS[arm], 1);
                    tokenizers[arm] =
                        tokenizer_of_setting(json_object_get(json_object_get(head, "settings"), setting), &split);
                    unsetenv("ADESIEVE_MAX_ISA");
                    ade__tokenizer_scratch_free(scratch);
                    scratch = NULL;
                }
            }
            if (!scratch) assert_int_equal(ade__tokenizer_scratch_new(tokenizers[0], &scratch), ADE_OK);
            snprintf(name, sizeof name, "%s", setting);
            for (size_t arm = 0; arm < N_ARMS; arm++, checked++) {
                /* The arms share what the cache knows: only the look at the text differs. */
                scratch->serial = tokenizers[arm]->serial;
                check_row(tokenizers[arm], scratch, split, row, i + 1);
            }
            json_decref(row);
        }
    assert_true(checked > 4 * 2000);
    ade__tokenizer_scratch_free(scratch);
    for (size_t arm = 0; arm < N_ARMS; arm++) ade__tokenizer_free(tokenizers[arm]);
    json_decref(head);
    free(lines);
    free(file);
}

static size_t put(char *out, const char *text, size_t size) {
    memcpy(out, text, size);
    return size;
}

/* Code points [first, first + 32), each alone, between letters, and behind a letter with an accent. */
static size_t code_point_text(uint32_t first, char *out) {
    size_t size = 0;
    for (uint32_t c = first; c < first + 32; c++) {
        unsigned char bytes[4];
        const char   *ch = (const char *)bytes;
        size_t        n = ade__utf8_encode(c, bytes);
        size += put(out + size, ch, n);
        size += put(out + size, " a", 2);
        size += put(out + size, ch, n);
        size += put(out + size, "b e\xcc\x81", 5);
        size += put(out + size, ch, n);
        out[size++] = ' ';
    }
    return size;
}

static void hash_numbers(SHA2_CTX *hash, const void *numbers, size_t n) { /* of a little-endian processor */
    SHA256Update(hash, numbers, n * sizeof(uint32_t));
}

/* The first arm against the reference; the others against the first, with a quarter of the texts each, which is enough:
 * to them every character beyond ASCII is the same. sweep_tokenizer.py takes all. */
static void every_code_point_encoded(void **state) {
    (void)state;
    size_t    n_lines;
    ade_text *lines;
    char     *file;
    json_t   *head = read_head(&file, &lines, &n_lines), *digests = json_object_get(head, "code_points");
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        ade_encode_options     options = {.max_length = 512, .want_offsets = true};
        ade_tokenizer         *tokenizers[N_ARMS];
        ade_tokenizer_scratch *scratches[N_ARMS];
        SHA2_CTX               hash;
        const char            *expected = json_string_value(json_object_get(digests, lowercase ? "u" : "c"));
        assert_non_null(expected);
        for (size_t arm = 0; arm < N_ARMS; arm++) {
            setenv("ADESIEVE_MAX_ISA", ARMS[arm], 1);
            tokenizers[arm] = bert_tokenizer("cased", lowercase, NULL, 0);
            unsetenv("ADESIEVE_MAX_ISA");
            assert_int_equal(ade__tokenizer_scratch_new(tokenizers[arm], &scratches[arm]), ADE_OK);
        }
        SHA256Init(&hash);
        for (uint32_t first = 0; first < 0x110000; first += 32) {
            char         text[1024];
            ade_encoding e, other;
            if (first >= 0xd800 && first < 0xe000) continue;
            ade_text whole = {text, code_point_text(first, text)};
            assert_int_equal(ade__tokenizer_encode(tokenizers[0], scratches[0], whole, &options, &e), ADE_OK);
            assert_false(e.truncated);
            uint32_t n = (uint32_t)e.n;
            hash_numbers(&hash, &n, 1);
            hash_numbers(&hash, e.ids, n);
            hash_numbers(&hash, e.starts, n);
            hash_numbers(&hash, e.ends, n);
            size_t arm = first / 32 % N_ARMS;
            if (arm) {
                options.want_offsets = first / 128 % 2;
                assert_int_equal(ade__tokenizer_encode(tokenizers[arm], scratches[arm], whole, &options, &other), ADE_OK);
                bool equal = other.n == e.n && memcmp(other.ids, e.ids, n * sizeof *e.ids) == 0;
                if (equal && options.want_offsets)
                    equal = memcmp(other.starts, e.starts, n * sizeof *e.starts) == 0 &&
                            memcmp(other.ends, e.ends, n * sizeof *e.ends) == 0;
                if (!equal) fail_msg("%s differs from %s about U+%04X or the 31 behind it", ARMS[arm], ARMS[0], first);
            }
            options.want_offsets = true;
        }
        assert_digest(&hash, expected);
        for (size_t arm = 0; arm < N_ARMS; arm++) {
            ade__tokenizer_scratch_free(scratches[arm]);
            ade__tokenizer_free(tokenizers[arm]);
        }
    }
    json_decref(head);
    free(lines);
    free(file);
}

typedef struct worker {
    pthread_t            thread;
    const ade_tokenizer *tokenizer;
    const corpus        *corpus;
    SHA2_CTX             hash;
    size_t               tokens;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    w->tokens = hash_ids(w->tokenizer, w->corpus, 128, &w->hash);
    return NULL;
}

static void eight_threads(void **state) {
    (void)state;
    worker         workers[8];
    corpus         c = open_corpus(data_folder(), "test.csv");
    ade_tokenizer *tokenizer = bert_tokenizer("cased", true, NULL, 0);
    for (size_t i = 0; i < 8; i++) {
        workers[i] = (worker){.tokenizer = tokenizer, .corpus = &c};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(workers[i].tokens, 119735);
        assert_digest(&workers[i].hash, "8e836f2f9d6baf459030a9e452539509df7b38266d4877d8d0bb493ab318a172");
    }
    ade__tokenizer_free(tokenizer);
    close_corpus(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(test_split_of_the_ade_corpus),
        cmocka_unit_test(whole_ade_corpus),
        cmocka_unit_test(golden_file),
        cmocka_unit_test(every_code_point_encoded),
        cmocka_unit_test(eight_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
