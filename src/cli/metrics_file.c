/* SPDX-License-Identifier: Apache-2.0
 * The counts of a run in the text format of Prometheus. */
#include "metrics_file.h"

#include "exit_status.h"
#include "messages.h"
#include "output.h"
#include "progress.h"
#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WRITE_SECONDS 5.0
#define LAST_SUCCESS "adesieve_last_success_timestamp_seconds"

static double wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec;
}

/* ---- The format ---- */

static void put_head(bytes *out, const char *name, const char *type, const char *help) {
    const char *const pieces[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) put_literal(out, pieces[i]);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void put_label(bytes *out, const char *name, const char *value, const char *before) {
    bytes valid = {0};
    put_literal(out, before);
    put_literal(out, name);
    put_literal(out, "=\"");
    put_valid_utf8(&valid, value, strlen(value));
    for (size_t i = 0; i < valid.size; i++) {
        char c = valid.data[i];
        if (c == '\\' || c == '"') put_literal(out, "\\");
        if (c == '\n')
            put_literal(out, "\\n");
        else
            put_raw(out, &c, 1);
    }
    if (valid.failed) out->failed = 1;
    bytes_free(&valid);
    put_literal(out, "\"");
}

static void put_sample(bytes *out, const char *name, const char *label, const char *label_value, double value) {
    char text[40];
    put_literal(out, name);
    if (label) {
        put_label(out, label, label_value, "{");
        put_literal(out, "}");
    }
    snprintf(text, sizeof text, " %.15g\n", value);
    put_literal(out, text);
}

static void put_one(bytes *out, const char *name, const char *type, const char *help, double value) {
    put_head(out, name, type, help);
    put_sample(out, name, NULL, NULL, value);
}

typedef struct labelled {
    const char *label;
    double      value;
} labelled;

static void put_many(bytes *out, const char *name, const char *label, const char *help, const labelled *values,
                     size_t count) {
    put_head(out, name, "counter", help);
    for (size_t i = 0; i < count; i++) put_sample(out, name, label, values[i].label, values[i].value);
}

static void put_metrics(bytes *out, const metrics_file *file, const metrics_values *values) {
    const ade_screen_stats *s = values->stats;
#define MANY(name, label, help, ...)                                                                                   \
    do {                                                                                                               \
        const labelled list[] = {__VA_ARGS__};                                                                         \
        put_many(out, name, label, help, list, sizeof list / sizeof list[0]);                                          \
    } while (0)
#define ONE(name, help, value) put_one(out, name, "counter", help, (double)(value))
#define GAUGE(name, help, value) put_one(out, name, "gauge", help, (double)(value))
    MANY("adesieve_citations_total", "kind", "Citations read, by what is new about them.",
         {"new", (double)s->new_citations}, {"revised", (double)s->revised}, {"unchanged", (double)s->unchanged},
         {"superseded", (double)s->superseded});
    ONE("adesieve_deleted_citations_total", "Citations that a file says are deleted.", s->deleted);
    MANY("adesieve_sentences_total", "kind", "Sentences met, screened or not.", {"screened", (double)s->screened},
         {"skipped", (double)s->skipped});
    ONE("adesieve_hits_total", "Sentences with a score at or above the threshold.", s->hits);
    ONE("adesieve_documents_total", "Screened citations with a hit.", s->documents);
    ONE("adesieve_rows_total", "Rows written.", values->rows);
    ONE("adesieve_tokens_total", "Tokens given to the model.", s->tokens);
    ONE("adesieve_truncated_texts_total", "Sentences longer than the model takes.", s->truncated_texts);
    MANY("adesieve_files_total", "status", "Input files that have ended.", {"done", (double)s->files_done},
         {"failed", (double)s->files_failed + (double)values->refused}, {"skipped", (double)s->files_skipped});
    ONE("adesieve_read_bytes_total", "Bytes of input read, as stored.", s->bytes_read);
    ONE("adesieve_xml_bytes_total", "Bytes of XML read, after decompression.", s->bytes_xml);
    MANY("adesieve_stage_seconds_total", "stage",
         "Seconds of work: of all reading threads together, of the device, and of its waiting for the reading.",
         {"read", s->seconds_read}, {"classify", s->seconds_classify}, {"starved", s->seconds_starved});
    GAUGE("adesieve_input_files", "Input files of the run.", s->files_total);
    GAUGE("adesieve_run_seconds", "Seconds since the run began to read, until its end.", s->seconds_total);
    GAUGE("adesieve_running", "1 while the run goes on.", values->running);
    if (!values->running)
        GAUGE("adesieve_exit_status", "How the run ended: 0 all done, 3 some inputs failed, 1 failed, 130 interrupted.",
              values->exit_status);
    GAUGE("adesieve_last_update_timestamp_seconds", "When this file was written.", wall_clock());
    if (file->last_success > 0) GAUGE(LAST_SUCCESS, "When a run last ended with all inputs done.", file->last_success);
    put_head(out, "adesieve_run_info", "gauge", "What the run computes with; always 1.");
    put_literal(out, "adesieve_run_info");
    put_label(out, "version", ade_version(), "{");
    if (values->model) put_label(out, "model", values->model, ",");
    if (values->device) put_label(out, "device", values->device, ",");
    if (values->precision) put_label(out, "precision", values->precision, ",");
    put_literal(out, "} 1\n");
#undef MANY
#undef ONE
#undef GAUGE
}

/* ---- The file ---- */

static const char *write_whole(const char *path, const bytes *text) {
    int         fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    const char *problem = NULL;
    size_t      done = 0;
    if (fd < 0) return strerror(errno);
    while (done < text->size && !problem) {
        ssize_t n = write(fd, text->data + done, text->size - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            problem = strerror(errno);
    }
    if (close(fd) != 0 && errno != EINTR && !problem) problem = strerror(errno);
    return problem;
}

/* NULL, or what went wrong. */
static const char *replace_file(metrics_file *file, const metrics_values *values) {
    bytes       text = {0};
    const char *problem;
    put_metrics(&text, file, values);
    problem = text.failed ? "out of memory" : write_whole(file->temporary, &text);
    if (!problem && rename(file->temporary, file->path) != 0) problem = strerror(errno);
    if (problem) unlink(file->temporary);
    bytes_free(&text);
    file->last_write = seconds_now();
    return problem;
}

/* What an earlier run has left; 0 without one. */
static double read_last_success(const char *path) {
    FILE  *in = fopen(path, "re");
    char   line[512];
    double value = 0;
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, LAST_SUCCESS " ", sizeof LAST_SUCCESS) == 0) value = strtod(line + sizeof LAST_SUCCESS, NULL);
    if (in) fclose(in);
    return value > 0 && value < 1e12 ? value : 0;
}

int metrics_open(metrics_file *file, const char *path, const metrics_values *values) {
    struct stat info;
    const char *problem, *slash;
    char       *target;
    size_t      size, folder;
    int         exists;
    memset(file, 0, sizeof *file);
    if (!path) return CLI_OK;
    exists = stat(path, &info) == 0;
    if (exists && !S_ISREG(info.st_mode)) {
        say(SAY_ERROR, "%s: the metrics go to a regular file, which is replaced as a whole; choose another name.",
            path);
        return CLI_FAILED;
    }
    target = output_identity(path); /* a link stays a link */
    slash = target ? strrchr(target, '/') : NULL;
    folder = slash ? (size_t)(slash - target) + 1 : 0;
    size = folder + 64;
    file->temporary = target ? malloc(size) : NULL; /* no .prom at its end, so that no collector reads it */
    if (!file->temporary) {
        say(SAY_ERROR, "%s: cannot be written: %s.", path, strerror(errno));
        free(target);
        return CLI_FAILED;
    }
    snprintf(file->temporary, size, "%.*s.adesieve-metrics-%ld.part", (int)folder, target, (long)getpid());
    file->path = target;
    file->last_success = exists ? read_last_success(path) : 0;
    problem = replace_file(file, values);
    if (!problem) return CLI_OK;
    say(SAY_ERROR, "%s: cannot be written: %s.", path, problem);
    metrics_close(file);
    return CLI_FAILED;
}

int metrics_due(const metrics_file *file) { return file->path && seconds_now() - file->last_write >= WRITE_SECONDS; }

void metrics_write(metrics_file *file, const metrics_values *values) {
    const char *problem;
    if (!file->path) return;
    if (values->success) file->last_success = wall_clock();
    problem = replace_file(file, values);
    if (problem && !file->warned)
        say(SAY_WARNING, "%s: the metrics cannot be written (%s); the run goes on without them.", file->path, problem);
    file->warned |= problem != NULL;
}

void metrics_close(metrics_file *file) {
    free(file->temporary);
    free(file->path);
    memset(file, 0, sizeof *file);
}
