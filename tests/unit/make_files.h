/* SPDX-License-Identifier: Apache-2.0
 * Model folders for tests: built in a temporary folder, byte by byte where it matters, and removed afterwards. */
#ifndef ADE_TEST_MAKE_FILES_H
#define ADE_TEST_MAKE_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adesieve.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED_FUNCTION __attribute__((unused))

static char folder[64]; /* the current temporary folder */

UNUSED_FUNCTION static const char *data_folder(void) {
    const char *given = getenv("ADE_TEST_DATA");
#ifdef ADE_TEST_DATA_DIR
    return given ? given : ADE_TEST_DATA_DIR;
#else
    return given ? given : "tests/data";
#endif
}

static const char *path_in(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void) {
    DIR           *open_folder = folder[0] ? opendir(folder) : NULL;
    struct dirent *entry;
    while (open_folder && (entry = readdir(open_folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(path_in(entry->d_name)) != 0)
            (void)rmdir(path_in(entry->d_name));
    if (open_folder) closedir(open_folder);
    if (folder[0]) (void)rmdir(folder);
    folder[0] = '\0';
}

/* A fresh, empty folder in place of the last one. */
UNUSED_FUNCTION static void new_folder(void) {
    remove_folder();
    strcpy(folder, "/tmp/ade_test_XXXXXX");
    assert_non_null(mkdtemp(folder));
}

UNUSED_FUNCTION static int teardown_folder(void **state) {
    (void)state;
    remove_folder();
    return 0;
}

UNUSED_FUNCTION static void write_bytes(const char *name, const void *data, size_t size) {
    FILE *file = fopen(path_in(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

UNUSED_FUNCTION static void write_text(const char *name, const char *text) { write_bytes(name, text, strlen(text)); }

UNUSED_FUNCTION static char *read_path(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    data[*size] = '\0';
    fclose(file);
    return data;
}

/* Copies tests/data/MODEL/NAME into the folder. */
UNUSED_FUNCTION static void copy_file(const char *model, const char *name) {
    char   path[512];
    size_t size;
    snprintf(path, sizeof path, "%s/%s/%s", data_folder(), model, name);
    char *data = read_path(path, &size);
    write_bytes(name, data, size);
    free(data);
}

/* `text` with its one occurrence of `from` replaced; the caller frees it. */
UNUSED_FUNCTION static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    assert_null(strstr(at + 1, from));
    size_t size = strlen(text) - strlen(from) + strlen(to) + 1;
    char  *result = malloc(size);
    assert_non_null(result);
    snprintf(result, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return result;
}

/* Replaces in a file of the folder; the text must occur once. */
UNUSED_FUNCTION static void edit_file(const char *name, const char *from, const char *to) {
    size_t size;
    char  *text = read_path(path_in(name), &size), *edited = replaced(text, from, to);
    write_text(name, edited);
    free(text);
    free(edited);
}

/* A safetensors file: header as given, then n_data bytes counting up. `n` < 0: the true header length. */
UNUSED_FUNCTION static void write_tensors(const char *name, int64_t n, const char *header, size_t header_size,
                                          size_t n_data) {
    unsigned char *bytes = malloc(8 + header_size + n_data);
    uint64_t       length = n < 0 ? header_size : (uint64_t)n;
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, header_size);
    for (size_t i = 0; i < n_data; i++) bytes[8 + header_size + i] = (unsigned char)i;
    write_bytes(name, bytes, 8 + header_size + n_data);
    free(bytes);
}

/* The last error is a sentence that holds `words`. */
#define assert_error_has(words)                                                                                        \
    do {                                                                                                               \
        if (!strstr(ade_last_error(), words)) fail_msg("the error lacks \"%s\": %s", words, ade_last_error());         \
    } while (0)

/* ---- Log --------------------------------------------------------------------------------------------------------- */

static char logged[16384];

UNUSED_FUNCTION static void keep_log(void *user, ade_log_level level, const char *message) {
    size_t at = strlen(logged);
    (void)user;
    snprintf(logged + at, sizeof logged - at, "%s: %s\n",
             level == ADE_LOG_WARNING ? "warning"
             : level == ADE_LOG_INFO  ? "info"
                                      : "debug",
             message);
}

#endif
