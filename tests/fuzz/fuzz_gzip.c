/* SPDX-License-Identifier: Apache-2.0
 * Any file: what is not packed comes as it is; gzip comes as the same bytes and the same end whatever the size of the
 * reader's buffer, and is unpacked in bounded memory. */
#include "fuzz.h"

#include "gzip_in.h"

#define ENOUGH ((size_t)4 << 20) /* unpacked bytes to look at */

static ade_status read_all(const char *path, size_t capacity, uint8_t *out, size_t *size) {
    ade_input *input = NULL;
    ade_status status = ade__input_open(path, -1, &input);
    size_t     got = 1;
    *size = 0;
    if (status != ADE_OK) {
        FAILED_WELL(status);
        return status;
    }
    while (status == ADE_OK && got && *size + capacity <= ENOUGH) {
        status = ade__input_read(input, out + *size, capacity, &got);
        if (status != ADE_OK) break;
        HOLDS(got <= capacity);
        *size += got;
    }
    if (status != ADE_OK) {
        FAILED_WELL(status);
        HOLDS(ade__input_read(input, out, 1, &got) == status);
    }
    ade__input_close(input);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *whole, *part;
    const char     *path = fuzz_write("input.gz", data, size);
    size_t          n, n_part;
    if (!whole) whole = malloc(ENOUGH), part = malloc(ENOUGH);
    if (!whole || !part) abort();
    ade_status status = read_all(path, 65536, whole, &n);
    if (size == 0 || !strchr("\x1fPB\xfd\x28", data[0])) { /* not the first byte of gzip, zip, bzip2, xz or zstd */
        HOLDS(status == ADE_OK && n == size);
        if (size) HOLDS(memcmp(whole, data, size) == 0);
    }
    if (n + 65536 > ENOUGH) return 0;
    for (size_t capacity = 1; capacity <= 4097; capacity = capacity * 8 + 1) {
        HOLDS(read_all(path, capacity, part, &n_part) == status);
        if (n_part != n) fprintf(stderr, "%zu bytes at once, %zu in pieces of %zu\n", n, n_part, capacity);
        HOLDS(n_part == n);
        if (n) HOLDS(memcmp(whole, part, n) == 0);
    }
    return 0;
}
