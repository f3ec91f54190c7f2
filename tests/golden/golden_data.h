/* SPDX-License-Identifier: Apache-2.0
 * What the golden tests read: data/test.csv, and where the models are. */
#ifndef ADE_GOLDEN_DATA_H
#define ADE_GOLDEN_DATA_H

#include "adesieve.h"
#include "check.h"

#include <sys/stat.h>

static inline char *golden_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long end = ftell(file);
    rewind(file);
    char *data = malloc((size_t)end + 1);
    if (!data || fread(data, 1, (size_t)end, file) != (size_t)end) abort();
    data[end] = '\0';
    fclose(file);
    *size = (size_t)end;
    return data;
}

typedef struct golden_rows {
    char     *memory;
    ade_text *texts;
    int      *labels;
    size_t    n;
} golden_rows;

/* The columns text,label of a CSV file (RFC 4180: quotes doubled), after its header line. */
static inline golden_rows golden_rows_read(const char *path) {
    golden_rows rows = {NULL, NULL, NULL, 0};
    size_t      size = 0, at = 0;
    rows.memory = golden_read(path, &size);
    if (!rows.memory) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(1);
    }
    char *d = rows.memory;
    rows.texts = malloc(size * sizeof *rows.texts / 4 + 64);
    rows.labels = malloc(size * sizeof *rows.labels / 4 + 64);
    if (!rows.texts || !rows.labels) abort();
    while (at < size && d[at++] != '\n') {
    }
    while (at < size) {
        size_t begin = at, end = at; /* unquoted in place */
        if (d[at] == '"') {
            for (at++; !(d[at] == '"' && d[at + 1] != '"'); d[end++] = d[at++])
                if (d[at] == '"') at++;
            at++;
        } else {
            while (d[at] != ',') at++;
            end = at;
        }
        rows.texts[rows.n] = (ade_text){d + begin, end - begin};
        rows.labels[rows.n++] = d[at + 1] - '0';
        while (at < size && d[at++] != '\n') {
        }
    }
    return rows;
}

static inline void golden_rows_free(golden_rows *rows) { free(rows->memory), free(rows->texts), free(rows->labels); }

#define DEFAULT_MODEL ADE_MODELS_DIR "/adesieve-minilm"

static inline int golden_has(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

/* The default model may be absent: a source tree without its weights. */
static inline int golden_has_default_model(void) { return golden_has(DEFAULT_MODEL "/model.safetensors"); }

/* ADE_TEST_DEVICE=cuda: the same tests on a GPU, or on an emulated one; sessions are f16 there. ADE_TEST_ROWS=N: of
 * test.csv the first N rows, for a device that is slow because it is emulated. */
static inline int golden_on_gpu(void) {
    const char *device = getenv("ADE_TEST_DEVICE");
    return device && strcmp(device, "cuda") == 0;
}

static inline size_t golden_row_limit(size_t n) {
    const char *limit = getenv("ADE_TEST_ROWS");
    size_t      most = limit ? strtoul(limit, NULL, 10) : 0;
    return most > 0 && most < n ? most : n;
}

static inline ade_session *golden_session(ade_model *model, int32_t precision, int32_t threads, int32_t budget) {
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    ade_session        *session = NULL;
    options.device = ADE_DEVICE_CPU;
    options.precision = precision;
    if (golden_on_gpu()) {
        if (precision != ADE_PRECISION_F32) return NULL;
        options.device = ADE_DEVICE_CUDA;
        options.precision = ADE_PRECISION_F16;
    }
    options.threads = threads;
    options.token_budget = budget;
    ade_status status = ade_session_open(model, &options, &session);
    if (status == ADE_UNSUPPORTED && precision != ADE_PRECISION_F32) return NULL;
    if (status != ADE_OK) {
        fprintf(stderr, "a session does not open: %s\n", ade_last_error());
        exit(1);
    }
    return session;
}

#endif
