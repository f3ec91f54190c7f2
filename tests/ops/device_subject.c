/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* sigaction */
#endif
#include "device_subject.h"

#include "fp16.h"
#include "reference.h"
#include "status.h"

#include <dlfcn.h>
#include <math.h>
#include <signal.h>

#ifndef ADE_PLUGIN_ONLY /* defined where no plugin is linked in */
extern const ade_plugin_entry ade_plugin;
#endif

const ade_plugin_entry *device_plugin;
const ade_ops          *device_ops;
ade_backend            *device_backend;
ade_exec               *device_exec;
ade_backend_info        device_info;
int                     device_all;

static struct sigaction crash; /* what was done about a crash before cmocka came */

static void  *staging; /* pinned */
static size_t staging_bytes;

enum { GUARD_ROWS = 16, CANARY = 0xA5, NAN_BYTE = 0xFF }; /* 16 rows of 2 or 4 n bytes keep the data at 16 bytes */

/* ---- The device ------------------------------------------------------------------------------------------------- */

static const ade_plugin_entry *find_plugin(const char *path) {
    if (path) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        void *symbol = library ? dlsym(library, "ade_plugin") : NULL;
        if (!symbol) fprintf(stderr, "%s\n", dlerror());
        return symbol;
    }
#ifndef ADE_PLUGIN_ONLY
    return &ade_plugin;
#else
    fprintf(stderr, "no plugin: give --plugin PATH or set ADESIEVE_CUDA_PLUGIN\n");
    return NULL;
#endif
}

int device_open(const char *path) {
    static const ade_plugin_host host = {sizeof host, ade__fail};
    const ade_backend_options    options = {0, ADE_PRECISION_AUTO};
    device_plugin = find_plugin(path);
    if (!device_plugin) return 1;
    if (device_plugin->abi != ADE_BACKEND_ABI || device_plugin->struct_size != sizeof *device_plugin) {
        fprintf(stderr, "the plugin has ABI %u and an entry of %u bytes; expected %d and %zu\n", device_plugin->abi,
                device_plugin->struct_size, ADE_BACKEND_ABI, sizeof *device_plugin);
        return 1;
    }
    device_ops = device_plugin->connect(&host);
    if (!device_ops || device_ops->abi != ADE_BACKEND_ABI || device_ops->struct_size != sizeof *device_ops) {
        fprintf(stderr, "the plugin connects with no table or with another one: %s\n", ade_last_error());
        return 1;
    }
    if (device_ops->probe(0) != ADE_OK) {
        printf("# skipped: %s\n", ade_last_error());
        return 77;
    }
    if (device_ops->open(&options, &device_backend) != ADE_OK) {
        fprintf(stderr, "backend %s does not open: %s\n", device_ops->name, ade_last_error());
        return 1;
    }
    device_ops->describe(device_backend, &device_info);
    void *first; /* with the first memory the emulator begins to explain crashes */
    if (device_ops->alloc(device_backend, 1, 1, &first) != ADE_OK) {
        fprintf(stderr, "no memory: %s\n", ade_last_error());
        return 1;
    }
    device_ops->release(device_backend, first);
    sigaction(SIGSEGV, NULL, &crash);
    printf("# backend %s: %s; %s\n", device_ops->name, device_info.device_name, device_info.instruction_set);
    return 0;
}

void device_close(void) {
    device_ops->host_release(device_backend, staging);
    device_ops->close(device_backend);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

void device_read(void *host, const void *device, size_t bytes) {
    if (!bytes) return;
    if (bytes > staging_bytes) {
        device_ops->host_release(device_backend, staging);
        staging = NULL;
        CHECK_OK(device_ops->host_alloc(device_backend, bytes, &staging));
        staging_bytes = bytes;
    }
    memset(staging, CANARY, bytes);
    CHECK_OK(device_ops->pull(device_exec, 0, staging, device, bytes));
    CHECK_OK(device_ops->wait(device_exec, 0));
    memcpy(host, staging, bytes);
}

static device_rows rows_new(const void *host, size_t rows, size_t row_bytes, int inside, int outside) {
    device_rows    r = {.rows = rows, .row_bytes = row_bytes};
    size_t         front = GUARD_ROWS * row_bytes, bytes = rows * row_bytes, pad = ADE_ROW_PAD * row_bytes;
    unsigned char *image = malloc(front + bytes + pad);
    if (!image) abort();
    sigaction(SIGSEGV, &crash, NULL); /* cmocka would jump out of the kernel that the emulator runs and go on */
    CHECK_OK(device_ops->alloc(device_backend, GUARD_ROWS + rows, row_bytes, &r.base));
    r.data = (char *)r.base + front;
    memset(image, outside, front + bytes + pad);
    if (host) memcpy(image + front, host, bytes);
    else memset(image + front, inside, bytes);
    CHECK_OK(device_ops->upload(device_backend, r.base, image, front + bytes + pad));
    free(image);
    return r;
}

device_rows device_input(const void *host, size_t rows, size_t row_bytes) {
    return rows_new(host, rows, row_bytes, 0, NAN_BYTE);
}

device_rows device_output(size_t rows, size_t row_bytes) { return rows_new(NULL, rows, row_bytes, NAN_BYTE, CANARY); }

/* The first of n bytes that is no canary, or n. */
static size_t first_written(const unsigned char *bytes, size_t n) {
    if (n == 0 || (bytes[0] == CANARY && memcmp(bytes, bytes + 1, n - 1) == 0)) return n;
    size_t first = 0;
    while (bytes[first] == CANARY) first++;
    return first;
}

void *device_fetch(const device_rows *rows, int pad_too, const char *what) {
    size_t         front = GUARD_ROWS * rows->row_bytes, bytes = rows->rows * rows->row_bytes;
    size_t         pad = ADE_ROW_PAD * rows->row_bytes;
    unsigned char *image = malloc(front + bytes + pad), *out = malloc(bytes ? bytes : 1);
    if (!image || !out) abort();
    device_read(image, rows->base, front + bytes + pad);
    size_t before = first_written(image, front), behind = first_written(image + front + bytes, pad);
    CHECK(before == front, "%s wrote %zu bytes before its output", what, front - before);
    CHECK(behind == pad || pad_too, "%s wrote %zu bytes behind its output", what, behind);
    memcpy(out, image + front, bytes);
    free(image);
    return out;
}

void device_rows_free(device_rows *rows) {
    device_ops->release(device_backend, rows->base);
    rows->base = rows->data = NULL;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

static uint64_t random_state;

void random_restart(void) { random_state = 88172645463325252u; }

uint32_t random_u32(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

float random_unit(void) { return (float)random_u32() * 0x1p-31f - 1.0f; }

void *host_new(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) abort();
    return memory;
}

void put(void *array, ade_dtype type, size_t i, float value) {
    if (type == ADE_F32) ((float *)array)[i] = value;
    else ((uint16_t *)array)[i] = ade__f16_from_f32(value);
}

const void *at(const void *array, ade_dtype type, size_t i) { return (const char *)array + i * reference_size(type); }

void *random_array(size_t n, ade_dtype type, float scale, float shift) {
    void *x = host_new(n * reference_size(type));
    for (size_t i = 0; i < n; i++) put(x, type, i, random_unit() * scale + shift);
    return x;
}

typedef struct record {
    const char *op;
    double      worst, nmse;
    size_t      cases;
} record;
static record records[40];
static int    n_records;

static record *record_of(const char *op) {
    for (int i = 0; i < n_records; i++)
        if (strcmp(records[i].op, op) == 0) return &records[i];
    if (n_records == (int)COUNT(records)) abort();
    records[n_records].op = op;
    return &records[n_records++];
}

void compare(const char *op, const void *got, ade_dtype type, const double *expected, size_t n, double tolerance,
             const double *scale) {
    record *r = record_of(op);
    double  squares = 0, error_squares = 0, most = type == ADE_F32 ? 1e-12 : 2e-7; /* rounding to f16: 5e-8 */
    for (size_t i = 0; i < n; i++) {
        double value = reference_load(got, type, i), error = fabs(value - expected[i]);
        double allowed = tolerance * (scale ? scale[i] : 1);
        CHECK(isfinite(value), "%s: element %zu of %zu is %g, expected %.9g", op, i, n, value, expected[i]);
        CHECK(error <= allowed, "%s: element %zu of %zu is %.9g, expected %.9g: error %.3g, allowed %.3g", op, i, n,
              value, expected[i], error, allowed);
        if (error / allowed > r->worst) r->worst = error / allowed;
        squares += expected[i] * expected[i];
        error_squares += error * error;
    }
    if (!scale && n >= 256) {
        double nmse = squares > 0 ? error_squares / squares : error_squares;
        CHECK(nmse <= most, "%s: NMSE %.3g, allowed %.3g", op, nmse, most);
        if (nmse > r->nmse) r->nmse = nmse;
    }
    r->cases++;
}

void same_bits(const char *op, const void *a, const void *b, size_t bytes, const char *what) {
    if (memcmp(a, b, bytes) == 0) return;
    size_t first = 0;
    while (((const char *)a)[first] == ((const char *)b)[first]) first++;
    fail_msg("%s: other bits %s, first in byte %zu of %zu", op, what, first, bytes);
}

void print_records(void) {
    for (int i = 0; i < n_records; i++)
        printf("# %-28s %5zu cases: largest error %5.1f %% of the tolerance, NMSE %.1e\n", records[i].op,
               records[i].cases, 100 * records[i].worst, records[i].nmse);
}

/* ---- Matrices --------------------------------------------------------------------------------------------------- */

matrix matrix_new(int32_t n, int32_t k, int with_bias, int32_t exact) {
    matrix m = {.bias = random_array((size_t)n, ADE_F32, 1, 0), .weight = host_new((size_t)n * (size_t)k * 4)};
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++) {
        float w = random_unit();
        m.weight[i] = exact ? w : ade__f32_from_f16(ade__f16_from_f32(w));
    }
    m.desc = (ade_linear_desc){m.weight, with_bias ? m.bias : NULL, n, k, exact, 0};
    CHECK_OK(device_ops->linear_create(device_backend, &m.desc, &m.linear));
    CHECK_OK(device_ops->exec_prepare(device_exec, m.linear, MATRIX_MAX_ROWS));
    return m;
}

void matrix_free(matrix *m) {
    device_ops->linear_destroy(m->linear);
    free(m->weight), free(m->bias);
}
