/* SPDX-License-Identifier: Apache-2.0
 * What fuzz targets share. A target is one LLVMFuzzerTestOneInput; fuzz_main.c, or clang's -fsanitize=fuzzer, feeds it.
 * A broken property aborts. */
#ifndef ADE_FUZZ_H
#define ADE_FUZZ_H

#include "adesieve.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: broken: %s (last error: %s)\n", __FILE__, __LINE__, #condition, ade_last_error()); \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A failure comes with a sentence. */
#define FAILED_WELL(status) HOLDS((status) != ADE_INTERNAL && (status) != ADE_DEVICE && ade_last_error()[0] != '\0')

/* A folder of this process, for targets that read files; gone at the end. */
static char fuzz_folder_name[64], fuzz_file_name[128];

static inline void fuzz_clean(void) {
    unlink(fuzz_file_name);
    rmdir(fuzz_folder_name);
}

static inline const char *fuzz_folder(void) {
    char *folder = fuzz_folder_name;
    if (!folder[0]) {
        snprintf(folder, sizeof fuzz_folder_name, "%s/ade-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(folder) || atexit(fuzz_clean)) abort();
    }
    return folder;
}

static inline const char *fuzz_write(const char *name, const uint8_t *data, size_t size) {
    char *path = fuzz_file_name;
    snprintf(path, sizeof fuzz_file_name, "%s/%s", fuzz_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd)) abort();
    return path;
}

/* Bytes of the valid sequence at data[0], or 0; *invalid is the length of the maximal invalid part there. */
static inline size_t fuzz_sequence(const uint8_t *data, size_t size, size_t *invalid) {
    uint8_t first = data[0], low = 0x80, high = 0xBF;
    size_t  need = first < 0x80 ? 1 : first >= 0xC2 && first <= 0xDF ? 2 : (first & 0xF0) == 0xE0 ? 3
                   : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
    *invalid = 1;
    if (need == 0) return 0;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    for (size_t i = 1; i < need; i++) {
        if (i >= size || data[i] < low || data[i] > high) {
            *invalid = i;
            return 0;
        }
        low = 0x80, high = 0xBF;
    }
    return need;
}

/* The text with each maximal invalid part made U+FFFD; the caller frees it. */
static inline char *fuzz_sanitize(const uint8_t *data, size_t size, size_t *out_size, size_t *replaced) {
    char  *out = malloc(3 * size + 1);
    size_t n = 0;
    *replaced = 0;
    if (!out) abort();
    for (size_t i = 0; i < size;) {
        size_t invalid, valid = fuzz_sequence(data + i, size - i, &invalid);
        if (valid) {
            memcpy(out + n, data + i, valid);
            n += valid;
            i += valid;
        } else {
            memcpy(out + n, "\xEF\xBF\xBD", 3);
            n += 3;
            i += invalid;
            ++*replaced;
        }
    }
    *out_size = n;
    return out;
}

#endif
