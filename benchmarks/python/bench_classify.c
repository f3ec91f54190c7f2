/* SPDX-License-Identifier: Apache-2.0
 * ade_classify over a list of texts by a C program, for comparison with the Python package: benchmarks/python/run.
 *
 *     bench_classify MODEL THREADS TEXTS PROBABILITIES
 *
 * TEXTS holds each text as its size in bytes, a line feed, and the bytes. For every line of standard input it
 * classifies all texts once, on the CPU, writes the probabilities (float) into the file PROBABILITIES, and prints the
 * wall and processor seconds of the call alone and the process's peak memory so far in KiB. */
#include "adesieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what) {
    fprintf(stderr, "bench_classify: error: %s\n", what);
    exit(1);
}

static void must(ade_status status) {
    if (status != ADE_OK) fail(ade_last_error());
}

static double seconds(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* In KiB, 0 if it cannot be had. getrusage would begin with the peak of the process that started this one. */
static long peak_memory(void) {
    char  line[256];
    long  peak = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "VmHWM:", 6)) peak = atol(line + 6);
    if (file) (void)fclose(file);
    return peak;
}

/* The texts of a file, each in memory of its own, as a program may hold them. */
static size_t read_texts(const char *path, ade_text **texts) {
    FILE  *file = fopen(path, "rb");
    size_t n = 0, room = 0, size;
    if (!file) fail("the file of texts cannot be opened");
    for (*texts = NULL; fscanf(file, "%zu", &size) == 1; n++) {
        if (n == room) *texts = realloc(*texts, (room = 2 * room + 1024) * sizeof **texts);
        char *data = malloc(size + 1);
        if (!*texts || !data) fail("out of memory");
        if (getc(file) != '\n' || fread(data, 1, size, file) != size) fail("the file of texts ends in the middle");
        (*texts)[n] = (ade_text){data, size};
    }
    (void)fclose(file);
    return n;
}

int main(int argc, char **argv) {
    if (argc != 5) fail("four arguments are needed: MODEL THREADS TEXTS PROBABILITIES");
    ade_text *texts;
    size_t    n = read_texts(argv[3], &texts);

    ade_model          *model = NULL;
    ade_session        *session = NULL;
    ade_model_info      info = ADE_MODEL_INFO_INIT;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    options.device = ADE_DEVICE_CPU;
    options.threads = atoi(argv[2]);
    must(ade_model_open(argv[1], NULL, &model));
    must(ade_session_open(model, &options, &session));
    must(ade_model_get_info(model, &info));
    size_t count = n * (size_t)info.n_labels;
    float *probabilities = malloc((count + 1) * sizeof *probabilities);
    if (!probabilities) fail("out of memory");

    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n') continue;
        double wall = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
        must(ade_classify(session, texts, n, NULL, NULL, probabilities));
        used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
        wall = seconds(CLOCK_MONOTONIC) - wall;
        FILE *file = fopen(argv[4], "wb");
        if (!file || fwrite(probabilities, sizeof *probabilities, count, file) != count || fclose(file))
            fail("the probabilities cannot be written");
        printf("%.9f %.9f %ld\n", wall, used, peak_memory());
        (void)fflush(stdout);
    }
    for (size_t i = 0; i < n; i++) free((void *)texts[i].data);
    free(texts);
    free(probabilities);
    ade_session_close(session);
    ade_model_close(model);
    return 0;
}
