/* SPDX-License-Identifier: Apache-2.0
 * safetensors.c: every rule of the format, broken once each by a file made for it. */
#define _GNU_SOURCE
#include "make_files.h"

#include "alloc.h"
#include "safetensors.h"

#include <fcntl.h>
#include <time.h>

#define FILE_NAME "model.safetensors"

static ade_tensor_set *set;

static ade_status open_set(void) {
    set = NULL;
    ade_status status = ade__tensors_open(folder, &set);
    if (status != ADE_OK) assert_null(set); /* outputs untouched */
    return status;
}

/* Opens a file with this header and so many data bytes, expecting success. */
static void accept(const char *header, size_t n_data) {
    new_folder();
    write_tensors(FILE_NAME, -1, header, strlen(header), n_data);
    if (open_set() != ADE_OK) fail_msg("refused: %s", ade_last_error());
}

static void refuse(const char *header, size_t n_data, const char *words) {
    new_folder();
    write_tensors(FILE_NAME, -1, header, strlen(header), n_data);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has(words);
    assert_error_has(FILE_NAME);
}

#define TENSOR(name, dtype, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void test_file_sizes(void **state) {
    (void)state;
    new_folder();
    write_bytes(FILE_NAME, "", 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("header too small");
    write_bytes(FILE_NAME, "\2\0\0\0\0\0\0", 7);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("header too small");
    write_tensors(FILE_NAME, 100000001, "{}", 2, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("header too large");
    write_tensors(FILE_NAME, (int64_t)1 << 40, "{}", 2, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("header too large");
    write_tensors(FILE_NAME, INT64_MAX, "{}", 2, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("header too large");
    write_tensors(FILE_NAME, 3, "{}", 2, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("invalid header length");
    write_tensors(FILE_NAME, 100000000, "{}", 2, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("invalid header length");
    write_tensors(FILE_NAME, 0, "", 0, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("invalid JSON");
    write_text(FILE_NAME, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("git lfs pull");
}

static void test_json(void **state) {
    (void)state;
    refuse("[]", 0, "invalid JSON");
    refuse("{", 0, "invalid JSON");
    refuse("{\"a\xff\":1}", 0, "invalid JSON");
    refuse("{} x", 0, "invalid JSON");
    new_folder();
    write_tensors(FILE_NAME, -1, "{}\0\0", 4, 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("invalid JSON");
    accept("{}      ", 0);
    assert_int_equal(ade__tensors_count(set), 0);
    assert_null(ade__tensors_find(set, "a"));
    ade__tensors_close(set);
    accept("  {}", 0);
    ade__tensors_close(set);
    accept("{}", 0);
    ade__tensors_close(set);
    refuse("{}", 1, "not fully covered");
    static char deep[10001];
    memset(deep, '[', 5000);
    memset(deep + 5000, ']', 5000);
    refuse(deep, 0, "levels deep");
}

static void test_cover(void **state) {
    (void)state;
    refuse("{" TENSOR("a", "U8", "2", "0", "2") "," TENSOR("b", "U8", "2", "3", "5") "}", 5, "invalid offset");
    refuse("{" TENSOR("a", "U8", "2", "0", "2") "," TENSOR("b", "U8", "2", "1", "3") "}", 3, "invalid offset");
    refuse("{" TENSOR("a", "U8", "2", "1", "3") "}", 3, "invalid offset");
    refuse("{" TENSOR("a", "U8", "2", "2", "0") "}", 2, "before its begin");
    refuse("{" TENSOR("a", "U8", "2", "0", "2") "}", 3, "not fully covered");
    refuse("{" TENSOR("a", "U8", "2", "0", "2") "}", 1, "not fully covered");
    refuse("{" TENSOR("a", "U8", "1152921504606846975", "0", "1152921504606846975") "}", 1, "not fully covered");
    refuse("{" TENSOR("a", "U8", "18446744073709551615", "0", "18446744073709551615") "}", 1, "invalid JSON");
}

static void test_shapes(void **state) {
    (void)state;
    refuse("{" TENSOR("a", "F32", "2", "0", "4") "}", 4, "holds 4 bytes");
    refuse("{" TENSOR("a", "F32", "4611686018427387904,8", "0", "4") "}", 4, "overflows");
    refuse("{" TENSOR("a", "F32", "4611686018427387904,8,0", "0", "0") "}", 0, "overflows");
    refuse("{" TENSOR("a", "F32", "-1", "0", "4") "}", 4, "whole number");
    refuse("{" TENSOR("a", "F32", "1.0", "0", "4") "}", 4, "whole number");
    refuse("{" TENSOR("a", "F32", "1", "-4", "0") "}", 4, "whole number");
    refuse("{" TENSOR("a", "F32", "1", "0.0", "4") "}", 4, "whole number");
    refuse("{" TENSOR("a", "F32", "1", "0", "4,8") "}", 4, "data_offsets");
    refuse("{" TENSOR("a", "F32", "1", "0", "\"4\"") "}", 4, "whole number");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape");
    refuse("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype (none)");
    refuse("{" TENSOR("a", "F33", "1", "0", "4") "}", 4, "unknown dtype F33");
    refuse("{" TENSOR("a", "f32", "1", "0", "4") "}", 4, "unknown dtype f32");
    refuse("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype");
    refuse("{\"a\":[]}", 0, "not described by an object");
    refuse("{" TENSOR("a", "U8", "1,1,1,1,1,1,1,1,1", "0", "1") "}", 1, "9 dimensions");
    refuse("{" TENSOR("a", "F4", "3", "0", "2") "}", 2, "whole byte");
    refuse("{" TENSOR("a", "F6_E2M3", "3", "0", "3") "}", 3, "whole byte");
    accept("{" TENSOR("a", "U8", "1,1,1,1,1,1,1,1", "0", "1") "}", 1);
    ade__tensors_close(set);
    accept("{" TENSOR("a", "F4", "4", "0", "2") "," TENSOR("b", "F6_E3M2", "4", "2", "5") "}", 5);
    ade__tensors_close(set);
    accept("{" TENSOR("scalar", "F32", "", "0", "4") "," TENSOR("none", "F32", "0,7", "4", "4") "}", 4);
    const ade_tensor *scalar = ade__tensors_find(set, "scalar"), *none = ade__tensors_find(set, "none");
    assert_int_equal(scalar->rank, 0);
    assert_int_equal(scalar->size, 4);
    assert_int_equal(none->rank, 2);
    assert_int_equal(none->size, 0);
    ade__tensors_close(set);
}

static void test_names(void **state) {
    (void)state;
    refuse("{" TENSOR("a", "U8", "1", "0", "1") "," TENSOR("a", "U8", "1", "1", "2") "}", 2, "invalid JSON");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
    refuse("{\"__metadata__\":\"a\"}", 0, "__metadata__");
    refuse("{\"a\\u0000b\":{}}", 0, "invalid JSON");
    accept("{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("", "U8", "1", "0", "1") "}", 1);
    assert_int_equal(ade__tensors_count(set), 1);
    assert_string_equal(ade__tensors_at(set, 0)->name, "");
    assert_null(ade__tensors_at(set, 1));
    ade__tensors_close(set);
    /* keys out of order, an unknown field, unaligned data: all legal */
    accept("{" TENSOR("z", "F32", "1", "1", "5") ",\"b\":{\"dtype\":\"U8\",\"extra\":[{}],\"shape\":[1],"
                                                 "\"data_offsets\":[0,1]}," TENSOR("m", "I64", "1", "5", "13") "}",
           13);
    assert_int_equal(ade__tensors_count(set), 3);
    assert_string_equal(ade__tensors_at(set, 0)->name, "b");
    assert_string_equal(ade__tensors_at(set, 1)->name, "m");
    assert_string_equal(ade__tensors_at(set, 2)->name, "z");
    const ade_tensor *z = ade__tensors_find(set, "z");
    assert_ptr_equal(z, ade__tensors_at(set, 2));
    assert_int_equal(z->dtype, ADE_ST_F32);
    assert_string_equal(z->dtype_name, "F32");
    assert_string_equal(z->file, FILE_NAME);
    assert_memory_equal(z->data, "\1\2\3\4", 4);
    assert_int_equal(ade__tensors_find(set, "m")->dtype, ADE_ST_I64);
    assert_int_equal(ade__tensors_find(set, "b")->dtype, ADE_ST_OTHER);
    assert_null(ade__tensors_find(set, "y"));
    ade__tensors_close(set);
}

static void test_limits(void **state) {
    (void)state;
    for (size_t n = 100000; n <= 100001; n++) {
        char  *header = malloc(n * 70 + 10);
        size_t at = 1;
        header[0] = '{';
        for (size_t i = 0; i < n; i++)
            at += (size_t)sprintf(header + at, "%s" TENSOR("t%zu", "F32", "0", "0", "0"), i ? "," : "", i);
        header[at++] = '}';
        new_folder();
        write_tensors(FILE_NAME, -1, header, at, 0);
        free(header);
        assert_int_equal(open_set(), n == 100000 ? ADE_OK : ADE_BAD_MODEL);
        if (n == 100000)
            ade__tensors_close(set);
        else
            assert_error_has("100001 tensors");
    }
    /* a few megabytes that would become gigabytes */
    size_t size = 8u << 20;
    char  *header = malloc(size);
    memset(header, '0', size);
    memcpy(header, "{\"a\":[", 6);
    for (size_t i = 6; i < size - 2; i++) header[i] = "[],"[i % 3];
    memcpy(header + size - 2, "]}", 2);
    new_folder();
    write_tensors(FILE_NAME, -1, header, size, 0);
    clock_t begin = clock();
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("lists and objects");
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 2);
    free(header);
}

static void test_kinds_of_file(void **state) {
    (void)state;
    set = NULL;
    assert_int_equal(ade__tensors_open("/nonexistent/folder", &set), ADE_IO);
    assert_error_has("/nonexistent/folder");
    new_folder();
    write_text("plain", "x");
    char path[128];
    snprintf(path, sizeof path, "%s/plain", folder);
    assert_int_equal(ade__tensors_open(path, &set), ADE_IO);
    assert_error_has("not a folder");

    new_folder();
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("holds no weights");
    static const char *const OTHERS[] = {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
                                         "flax_model.msgpack", "model.ckpt.index"};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        new_folder();
        write_text(OTHERS[i], "x");
        assert_int_equal(open_set(), ADE_UNSUPPORTED);
        assert_error_has(OTHERS[i]);
        assert_error_has(i < 2 ? "python -m adesieve.convert" : "safe_serialization=True");
    }
    new_folder();
    assert_int_equal(mkfifo(path_in(FILE_NAME), 0600), 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL); /* and does not wait for a writer */
    assert_error_has("not a regular file");
    new_folder();
    assert_int_equal(mkdir(path_in(FILE_NAME), 0700), 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("not a regular file");
    new_folder();
    assert_int_equal(symlink("/dev/zero", path_in(FILE_NAME)), 0);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("not a regular file");
    new_folder();
    assert_int_equal(symlink("nowhere", path_in(FILE_NAME)), 0);
    assert_int_equal(open_set(), ADE_IO);
    assert_error_has("symbolic link");
    new_folder(); /* as in a download cache */
    write_tensors("blob", -1, "{" TENSOR("a", "U8", "1", "0", "1") "}",
                  strlen("{" TENSOR("a", "U8", "1", "0", "1") "}"), 1);
    assert_int_equal(symlink("blob", path_in(FILE_NAME)), 0);
    assert_int_equal(open_set(), ADE_OK);
    ade__tensors_close(set);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path_in("blob"), 0), 0);
        assert_int_equal(open_set(), ADE_IO);
    }
    ade__tensors_close(NULL);
}

static void test_shortened(void **state) {
    (void)state;
    accept("{" TENSOR("a", "U8", "100", "0", "100") "}", 100);
    assert_int_equal(ade__tensors_check_files(set), ADE_OK);
    assert_int_equal(truncate(path_in(FILE_NAME), 100), 0);
    assert_int_equal(ade__tensors_check_files(set), ADE_BAD_MODEL);
    assert_error_has("shortened");
    ade__tensors_close(set);
    /* another file under the same name does not matter: the mapped one is kept */
    accept("{" TENSOR("a", "U8", "100", "0", "100") "}", 100);
    write_text("other", "x");
    char other[128];
    snprintf(other, sizeof other, "%s/other", folder);
    assert_int_equal(rename(other, path_in(FILE_NAME)), 0);
    assert_int_equal(ade__tensors_check_files(set), ADE_OK);
    assert_int_equal(((const unsigned char *)ade__tensors_find(set, "a")->data)[99], 99);
    ade__tensors_close(set);
}

/* ---- Shards ------------------------------------------------------------------------------------------------------ */

#define INDEX "model.safetensors.index.json"
#define ONE "{" TENSOR("a", "U8", "1", "0", "1") "}"
#define TWO "{" TENSOR("b", "U8", "2", "0", "2") "}"

static void shards(const char *index) {
    new_folder();
    write_tensors("s1.safetensors", -1, ONE, strlen(ONE), 1);
    write_tensors("s2.safetensors", -1, TWO, strlen(TWO), 2);
    write_text(INDEX, index);
}

static void refuse_index(const char *index, const char *words) {
    shards(index);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has(words);
}

static void test_shards(void **state) {
    (void)state;
    shards("{\"metadata\":{\"total_size\":3},\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}");
    assert_int_equal(open_set(), ADE_OK);
    assert_int_equal(ade__tensors_count(set), 2);
    assert_string_equal(ade__tensors_find(set, "a")->file, "s1.safetensors");
    assert_string_equal(ade__tensors_find(set, "b")->file, "s2.safetensors");
    assert_int_equal(ade__tensors_used(set)->n, 3);
    assert_int_equal(truncate(path_in("s2.safetensors"), 20), 0);
    assert_int_equal(ade__tensors_check_files(set), ADE_BAD_MODEL);
    assert_error_has("s2.safetensors");
    ade__tensors_close(set);

    refuse_index("{}", "weight_map");
    refuse_index("{\"weight_map\":{}}", "weight_map");
    refuse_index("{\"weight_map\":[]}", "weight_map");
    refuse_index("[]", "invalid JSON");
    refuse_index("{\"weight_map\":{\"a\":1}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\".\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"..\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"s1..safetensors\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"x\\\\s1.safetensors\"}}", "no plain name");
    refuse_index("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s3.safetensors\"}}", "not in the folder");
    refuse_index("{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}", "tensor \"c\"");
    refuse_index("{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s1.safetensors\"}}", "not in the file");
    shards("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}");
    write_tensors("s2.safetensors", -1, ONE, strlen(ONE), 1);
    assert_int_equal(open_set(), ADE_BAD_MODEL);
    assert_error_has("defined in two files");
    /* the one file goes before the index, as in transformers */
    shards("{}");
    write_tensors(FILE_NAME, -1, ONE, strlen(ONE), 1);
    assert_int_equal(open_set(), ADE_OK);
    assert_int_equal(ade__tensors_count(set), 1);
    ade__tensors_close(set);
}

/* ---- Hostile files in bulk --------------------------------------------------------------------------------------- */

static void test_truncated(void **state) {
    (void)state;
    size_t size;
    char   path[512];
    snprintf(path, sizeof path, "%s/tiny_bert_cls/" FILE_NAME, data_folder());
    char *data = read_path(path, &size);
    new_folder();
    write_bytes(FILE_NAME, data, size);
    assert_int_equal(open_set(), ADE_OK);
    ade__tensors_close(set);
    for (size_t cut = (size - 1) / 97 * 97;; cut -= 97) {
        assert_int_equal(truncate(path_in(FILE_NAME), (off_t)cut), 0);
        assert_int_equal(open_set(), ADE_BAD_MODEL);
        if (cut < 97) break;
    }
    free(data);
}

static uint64_t random_state;

static uint64_t random_number(void) { /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1du;
}

static void test_flipped(void **state) {
    (void)state;
    static const char HEADER[] =
        "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("bert.w", "F32", "2,3", "0", "24") "," TENSOR(
            "v", "F16", "5", "24", "34") "," TENSOR("s", "BF16", "", "34", "36") "," TENSOR("i", "I64", "1", "36",
                                                                                            "44") "}   ";
    unsigned char bytes[8 + sizeof HEADER - 1 + 44] = {(sizeof HEADER - 1) & 0xff, (sizeof HEADER - 1) >> 8};
    size_t        accepted = 0, refused = 0;
    uint64_t      sum = 0;
    memcpy(bytes + 8, HEADER, sizeof HEADER - 1);
    new_folder();
    int fd = open(path_in(FILE_NAME), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        unsigned char flipped[sizeof bytes];
        random_state = seed * 0x9e3779b97f4a7c15u;
        memcpy(flipped, bytes, sizeof bytes);
        for (uint64_t n = 1 + random_number() % 4; n > 0; n--) {
            uint64_t at = random_number() % (sizeof bytes - 44);
            if (random_number() & 1)
                flipped[at] ^= (unsigned char)(1u << random_number() % 8);
            else
                flipped[at] = (unsigned char)"0123456789-.,:[]{}\""[random_number() % 19];
        }
        assert_int_equal(pwrite(fd, flipped, sizeof flipped, 0), sizeof flipped);
        ade_status status = open_set();
        if (status != ADE_OK) {
            assert_int_equal(status, ADE_BAD_MODEL);
            refused++;
            continue;
        }
        accepted++;
        for (size_t t = 0; t < ade__tensors_count(set); t++) { /* every byte that is promised is there */
            const ade_tensor *tensor = ade__tensors_at(set, t);
            for (size_t i = 0; i < tensor->size; i++) sum += ((const unsigned char *)tensor->data)[i];
        }
        ade__tensors_close(set);
    }
    close(fd);
    assert_int_equal(sum, 0); /* the data is all zeros: nothing of the header was taken for data */
    assert_true(accepted > 100 && refused > 5000);
}

static void test_out_of_memory(void **state) {
    (void)state;
    long n = 0;
    shards("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}");
    for (;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = open_set();
        ade__alloc_fail_at(-1);
        if (status == ADE_OK) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
    ade__tensors_close(set);
    new_folder();
    write_text("flax_model.msgpack", "x");
    for (n = 0;; n++) {
        ade__alloc_fail_at(n);
        ade_status status = open_set();
        ade__alloc_fail_at(-1);
        if (status == ADE_UNSUPPORTED) break;
        assert_int_equal(status, ADE_OUT_OF_MEMORY);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest TESTS[] = {
        cmocka_unit_test_teardown(test_file_sizes, teardown_folder),
        cmocka_unit_test_teardown(test_json, teardown_folder),
        cmocka_unit_test_teardown(test_cover, teardown_folder),
        cmocka_unit_test_teardown(test_shapes, teardown_folder),
        cmocka_unit_test_teardown(test_names, teardown_folder),
        cmocka_unit_test_teardown(test_limits, teardown_folder),
        cmocka_unit_test_teardown(test_kinds_of_file, teardown_folder),
        cmocka_unit_test_teardown(test_shortened, teardown_folder),
        cmocka_unit_test_teardown(test_shards, teardown_folder),
        cmocka_unit_test_teardown(test_truncated, teardown_folder),
        cmocka_unit_test_teardown(test_flipped, teardown_folder),
        cmocka_unit_test_teardown(test_out_of_memory, teardown_folder),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
