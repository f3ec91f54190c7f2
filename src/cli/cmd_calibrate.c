/* SPDX-License-Identifier: Apache-2.0
 * adesieve calibrate: fits a model's calibration to labelled texts, and shows what it is and which thresholds it gives.
 * Of each text its logits and its label are kept, 4 bytes each, until all are read. */
#include "commands.h"

#include "calibration.h"
#include "exit_status.h"
#include "labelled.h"
#include "messages.h"
#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct calibrate_run {
    settings *wanted;
    engine    engine;
    text_run  texts;
    output    out;
    text_set *seen, *met; /* --seen: its texts; those that came and are not among them */
    float    *logits;     /* (capacity, C) */
    int32_t  *labels;     /* (capacity) */
    size_t    n, capacity;
    uint64_t  left_out_seen, left_out_repeated;
    char     *path; /* of the calibration */
    bytes     data; /* what the texts are */
} calibrate_run;

/* The thresholds that are shown. */
static const struct {
    int    target;
    double value;
} shown[] = {{ADE_TARGET_RECALL, 0.99},    {ADE_TARGET_RECALL, 0.95},    {ADE_TARGET_RECALL, 0.90},
             {ADE_TARGET_RECALL, 0.80},    {ADE_TARGET_PRECISION, 0.80}, {ADE_TARGET_PRECISION, 0.90},
             {ADE_TARGET_PRECISION, 0.95}, {ADE_TARGET_REVIEW, 0.01},    {ADE_TARGET_REVIEW, 0.05},
             {ADE_TARGET_REVIEW, 0.10}};
enum { N_SHOWN = sizeof shown / sizeof shown[0] };

static int out_of_memory(void) {
    say(SAY_ERROR, "out of memory.");
    return CLI_FAILED;
}

/* ---- Texts ---- */

static int reserve(calibrate_run *run, size_t count) {
    size_t   labels = (size_t)run->engine.model_info.n_labels, capacity = run->capacity + run->capacity / 2;
    float   *logits;
    int32_t *kept;
    if (count <= run->capacity) return CLI_OK;
    if (capacity < count) capacity = count;
    logits = realloc(run->logits, capacity * labels * sizeof *logits);
    if (logits) run->logits = logits;
    kept = logits ? realloc(run->labels, capacity * sizeof *kept) : NULL;
    if (!kept) {
        say(SAY_ERROR, "out of memory for the outputs of %zu texts; calibrate on fewer, some thousands are enough.",
            count);
        return CLI_FAILED;
    }
    run->labels = kept;
    run->capacity = capacity;
    return CLI_OK;
}

/* 1: the text is for calibration; 0: it is left out; -1: out of memory. */
static int is_wanted(calibrate_run *run, const ade_text *text) {
    int added;
    if (!run->seen) return 1;
    if (text_set_has(run->seen, text)) {
        run->left_out_seen++;
        return 0;
    }
    added = text_set_add(run->met, text);
    run->left_out_repeated += added == 0;
    return added;
}

static int handle(void *user, const labelled_window *given) {
    calibrate_run *run = user;
    size_t         labels = (size_t)run->engine.model_info.n_labels;
    int            status = reserve(run, run->n + given->window->count);
    if (status != CLI_OK) return status;
    for (size_t i = 0; i < given->window->count; i++) {
        int take = is_wanted(run, &given->window->texts[i]);
        if (take < 0) {
            say(SAY_ERROR, "out of memory for the digests of the different texts, which '--seen' needs.");
            return CLI_FAILED;
        }
        if (!take) continue;
        memcpy(run->logits + run->n * labels, given->scores[0].logits + i * labels, labels * sizeof *run->logits);
        run->labels[run->n++] = given->labels[i];
    }
    return CLI_OK;
}

static int read_texts(calibrate_run *run) {
    settings *wanted = run->wanted;
    int       status = CLI_OK;
    if (wanted->seen) {
        status = text_set_read(&run->seen, wanted, wanted->seen);
        if (status == CLI_OK && !(run->met = text_set_new())) status = out_of_memory();
    }
    if (status == CLI_OK) status = labelled_run(&run->texts, wanted, &run->engine, 1, handle, run);
    progress_hide();
    return status;
}

/* ---- The calibration ---- */

static void put_file_name(bytes *out, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bytes       valid = {0};
    if (strcmp(path, "-") == 0) name = "standard input";
    put_valid_utf8(&valid, name, strlen(name));
    for (size_t i = 0; i < valid.size; i++) put_raw(out, (unsigned char)valid.data[i] < 0x20 ? "?" : valid.data + i, 1);
    out->failed |= valid.failed;
    bytes_free(&valid);
}

/* "val.csv, without the texts of train.csv": names alone, for where they lie is nobody's business. */
static int describe_data(calibrate_run *run) {
    const settings *wanted = run->wanted;
    if (wanted->data) put_literal(&run->data, wanted->data);
    for (size_t i = 0; i < wanted->n_files && !wanted->data; i++) {
        if (i > 0) put_literal(&run->data, ", ");
        put_file_name(&run->data, wanted->files[i]);
    }
    if (!wanted->data && wanted->seen) {
        put_literal(&run->data, ", without the texts of ");
        put_file_name(&run->data, wanted->seen);
    }
    put_raw(&run->data, "", 1);
    return run->data.failed ? out_of_memory() : CLI_OK;
}

/* Whether they are one file. */
static int is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The calibration must not replace what it is made from. */
static int check_inputs(const calibrate_run *run) {
    const settings *wanted = run->wanted;
    for (size_t i = 0; i <= wanted->n_files; i++) {
        const char *input = i < wanted->n_files ? wanted->files[i] : wanted->seen;
        if (!input || strcmp(input, "-") == 0 || !is_same_file(input, run->path)) continue;
        say(SAY_ERROR, "%s: is read as input, so the calibration cannot be written to it.", run->path);
        return CLI_USAGE;
    }
    return CLI_OK;
}

/* Where the calibration goes, and whether it can: known before hours of work. */
static int find_path(calibrate_run *run) {
    const char *folder = run->engine.model_info.folder, *wish = run->wanted->output, *slash;
    size_t      size = strlen(wish ? wish : folder) + sizeof "/calibration.json";
    char       *parent;
    struct stat info;
    int         failed;
    run->path = malloc(size);
    if (!run->path) return out_of_memory();
    if (wish)
        snprintf(run->path, size, "%s", wish);
    else
        snprintf(run->path, size, "%s%scalibration.json", folder, folder[strlen(folder) - 1] == '/' ? "" : "/");
    if (stat(run->path, &info) == 0 && !S_ISREG(info.st_mode)) {
        say(SAY_ERROR, "%s: is not a regular file, so the calibration cannot be written to it.", run->path);
        return CLI_FAILED;
    }
    slash = strrchr(run->path, '/');
    parent = slash ? strndup(run->path, slash == run->path ? 1 : (size_t)(slash - run->path)) : strdup(".");
    if (!parent) return out_of_memory();
    failed = access(parent, W_OK | X_OK) != 0;
    if (failed) {
        say(SAY_ERROR, "%s: cannot be written to (%s), and the calibration belongs there.", parent, strerror(errno));
        if (!wish) say(SAY_HINT, "write it elsewhere with -o FILE, and use it with --calibration FILE");
    }
    free(parent);
    return failed ? CLI_FAILED : check_inputs(run);
}

static int fit(calibrate_run *run) {
    ade_calibration_options options = ADE_CALIBRATION_OPTIONS_INIT;
    const settings         *wanted = run->wanted;
    ade_status              status;
    options.method = wanted->method;
    options.folds = wanted->folds;
    options.seed = wanted->seed;
    options.data = run->data.data;
    status = ade_calibration_fit(run->engine.model, run->logits, run->labels, run->n, &options, wanted->output);
    return status == ADE_OK ? CLI_OK : engine_failed(status, NULL);
}

/* ---- What is shown ---- */

static void put_line(bytes *out, const char *name, const char *text) {
    put_literal(out, name);
    for (size_t i = strlen(name); i < 16; i++) put_literal(out, " ");
    put_literal(out, text);
    put_literal(out, "\n");
}

static void put_summary(calibrate_run *run, const ade_calibration_info *info) {
    bytes      *out = &run->out.rows;
    char        text[512], method[100];
    const char *positive = ade_model_label(run->engine.model, run->engine.model_info.positive_label);
    put_line(out, "calibration", run->path);
    put_line(out, "  method", calibration_text(info, method, sizeof method));
    put_line(out, "  texts", run->data.data);
    snprintf(text, sizeof text, "%llu, %llu of them %.100s (prevalence %.4f)", (unsigned long long)info->n,
             (unsigned long long)info->n_positive, positive, info->prevalence);
    put_line(out, "", text);
    if (run->wanted->seen) {
        snprintf(text, sizeof text,
                 "%llu were left out because the model has seen them, %llu because they repeat others",
                 (unsigned long long)run->left_out_seen, (unsigned long long)run->left_out_repeated);
        put_line(out, "", text);
    }
    put_line(out, "", "before    after (cross-validated)");
    snprintf(text, sizeof text, "%-9.4f %.4f", info->log_loss_before, info->log_loss_after);
    put_line(out, "  log-loss", text);
    snprintf(text, sizeof text, "%-9.4f %.4f", info->ece_before, info->ece_after);
    put_line(out, "  ECE", text);
}

static void put_point(bytes *out, const ade_operating_point *p, const char *target) {
    char recall[64], precision[64], review[64], text[320];
    snprintf(text, sizeof text, "%-15s %-14.9g %-24s %-24s %s\n", target, p->threshold,
             share_text(p->recall, p->recall_low, p->recall_high, recall, sizeof recall),
             share_text(p->precision, p->precision_low, p->precision_high, precision, sizeof precision),
             share_text(p->review, p->review_low, p->review_high, review, sizeof review));
    put_literal(out, text);
}

static void put_note(calibrate_run *run, const ade_calibration_info *info) {
    double prevalence = run->wanted->prevalence > 0 ? run->wanted->prevalence : info->prevalence;
    char   text[512];
    snprintf(
        text, sizeof text,
        "\nIn brackets: 95 %% intervals. Recall holds for texts like these. Precision and review (the share of all\n"
        "texts that is found) hold where a share of %.4g is positive; --prevalence shows them for another one.\n",
        prevalence);
    put_literal(&run->out.rows, text);
}

static int put_text(calibrate_run *run, const ade_model *model, const ade_calibration_info *info) {
    bytes *out = &run->out.rows;
    put_summary(run, info);
    put_literal(out, "\n--threshold     score          recall                   precision                review\n");
    for (size_t i = 0; i < N_SHOWN; i++) {
        ade_operating_point point = ADE_OPERATING_POINT_INIT;
        char                target[40];
        ade_status          status =
            ade_model_operating_point(model, shown[i].target, shown[i].value, run->wanted->prevalence, &point);
        snprintf(target, sizeof target, "%s=%.2f", target_name(shown[i].target), shown[i].value);
        if (status == ADE_OK) {
            put_point(out, &point, target);
        } else if (status == ADE_UNSUPPORTED) {
            put_line(out, target, "no score reaches it");
        } else {
            return engine_failed(status, NULL);
        }
    }
    put_note(run, info);
    return output_row_end(&run->out);
}

static int put_json(calibrate_run *run, const ade_model *model, const ade_calibration_info *info) {
    json_t *object = calibration_object(info), *points = json_array();
    for (size_t i = 0; i < N_SHOWN && points; i++) {
        ade_operating_point point = ADE_OPERATING_POINT_INIT;
        ade_status          status =
            ade_model_operating_point(model, shown[i].target, shown[i].value, run->wanted->prevalence, &point);
        json_array_append_new(points,
                              status == ADE_OK
                                  ? point_object(shown[i].target, shown[i].value, &point)
                                  : json_pack("{s:s, s:f, s:n, s:o}", "target", target_name(shown[i].target), "value",
                                              shown[i].value, "threshold", "error", json_from_text(ade_last_error())));
    }
    if (!object || !points) {
        json_decref(object);
        json_decref(points);
        return out_of_memory();
    }
    json_object_set_new(object, "calibration", json_from_text(run->path));
    json_object_set_new(object, "model", json_from_text(run->engine.model_info.name));
    json_object_set_new(object, "left_out",
                        json_pack("{s:I, s:I}", "seen", (json_int_t)run->left_out_seen, "repeated",
                                  (json_int_t)run->left_out_repeated));
    json_object_set_new(object, "operating_points", points);
    return engine_write_json(&run->out, object);
}

/* From the file as it is now, as every later run will read it. */
static int show(calibrate_run *run) {
    settings             again = *run->wanted;
    engine               used = {0};
    ade_calibration_info info = ADE_CALIBRATION_INFO_INIT;
    int                  status;
    again.calibration = run->path;
    again.max_length = again.token_budget = 0; /* what they do has been said */
    status = engine_open_model(&used, &again);
    if (status == CLI_OK) {
        ade_status result = ade_model_get_calibration(used.model, &info);
        if (result != ADE_OK) status = engine_failed(result, NULL);
    }
    if (status == CLI_OK)
        status =
            run->wanted->format == REPORT_JSON ? put_json(run, used.model, &info) : put_text(run, used.model, &info);
    engine_close(&used);
    return status;
}

/* ---- The run ---- */

static int check_options(settings *wanted) {
    if (wanted->output && strcmp(wanted->output, "-") == 0) {
        say(SAY_ERROR, "'--output' needs a file for the calibration; what is shown goes to standard output.");
        return CLI_USAGE;
    }
    wanted->calibration = ""; /* an older one is of no interest, and may be a bad one */
    return engine_check_files(wanted, 0);
}

static int check_kind(const engine *used) {
    const ade_model_info *info = &used->model_info;
    if (info->problem == ADE_PROBLEM_SINGLE_LABEL && info->n_labels >= 2) return CLI_OK;
    say(SAY_ERROR, "%s: only a model that gives each text one of several labels can be calibrated.", info->folder);
    return CLI_FAILED;
}

static void say_counts(const calibrate_run *run) {
    if (run->texts.replaced > 0)
        say(SAY_WARNING, "%llu invalid UTF-8 parts were replaced.", (unsigned long long)run->texts.replaced);
    if (!run->wanted->seen)
        say(SAY_HINT, "a calibration on texts that the model was trained on is too good to be true: name those with "
                      "--seen FILE, and they are left out");
}

static int run_calibrate(calibrate_run *run) {
    ade_session_options options;
    int                 status = check_options(run->wanted);
    if (status == CLI_OK) status = output_open(&run->out, NULL, NULL, 0);
    if (status == CLI_OK) status = engine_open_model(&run->engine, run->wanted);
    if (status == CLI_OK) status = check_kind(&run->engine);
    if (status == CLI_OK) status = find_path(run);
    if (status == CLI_OK) status = describe_data(run);
    if (status != CLI_OK) return status;
    engine_session_options(run->wanted, &options);
    options.progress = text_run_progress;
    options.progress_user = &run->texts;
    status = engine_open_session(&run->engine, &options, NULL);
    if (status == CLI_OK) status = read_texts(run);
    if (status == CLI_OK) status = fit(run);
    if (status == CLI_OK) status = show(run);
    if (status != CLI_OK) return status;
    status = output_finish(&run->out, 1);
    if (status == CLI_OK) say_counts(run);
    return status;
}

int cmd_calibrate(settings *wanted) {
    const output   closed = OUTPUT_CLOSED_INIT;
    calibrate_run *run = calloc(1, sizeof *run);
    int            status;
    if (!run) return out_of_memory();
    run->wanted = wanted;
    run->out = closed;
    progress_start(wanted->progress, wanted->quiet);
    status = run_calibrate(run);
    progress_hide();
    output_finish(&run->out, 0); /* what was not finished above is not complete */
    engine_close(&run->engine);
    text_set_free(run->seen);
    text_set_free(run->met);
    free(run->logits);
    free(run->labels);
    free(run->path);
    bytes_free(&run->data);
    free(run);
    return status;
}
