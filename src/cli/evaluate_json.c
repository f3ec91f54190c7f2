/* SPDX-License-Identifier: Apache-2.0
 * adesieve evaluate -f json. One model: one object with its measures. Several: the objects are in "models". Numbers are
 * written so that they read back the same; what is not defined is null. */
#include "evaluate_report.h"

#include "exit_status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct writer {
    bytes *out;
    int    depth, filled; /* filled: the object or array that is open has something in it */
} writer;

static void begin_item(writer *to, const char *name) {
    put_literal(to->out, to->filled ? ",\n" : "\n");
    for (int i = 0; i < to->depth; i++) put_literal(to->out, "  ");
    if (name) {
        put_json_text(to->out, name);
        put_literal(to->out, ": ");
    }
    to->filled = 1;
}

static void open_item(writer *to, const char *name, const char *bracket) {
    if (to->depth > 0) begin_item(to, name);
    put_literal(to->out, bracket);
    to->depth++;
    to->filled = 0;
}

static void close_item(writer *to, const char *bracket) {
    to->depth--;
    put_literal(to->out, "\n");
    for (int i = 0; i < to->depth; i++) put_literal(to->out, "  ");
    put_literal(to->out, bracket);
    to->filled = 1;
}

static void text(writer *to, const char *name, const char *value) {
    begin_item(to, name);
    put_json_text(to->out, value);
}

static void whole(writer *to, const char *name, uint64_t value) {
    begin_item(to, name);
    put_unsigned(to->out, value);
}

static void put_number(bytes *out, double value) {
    if (isfinite(value))
        put_double(out, value);
    else
        put_literal(out, "null");
}

static void number(writer *to, const char *name, double value) {
    begin_item(to, name);
    put_number(to->out, value);
}

/* `name`_interval: [low, high]. */
static void interval(writer *to, const char *name, double low, double high) {
    char full[64];
    snprintf(full, sizeof full, "%s_interval", name);
    begin_item(to, full);
    if (isnan(low)) {
        put_literal(to->out, "null");
        return;
    }
    put_literal(to->out, "[");
    put_number(to->out, low);
    put_literal(to->out, ", ");
    put_number(to->out, high);
    put_literal(to->out, "]");
}

/* A value and its interval. */
static void measure(writer *to, const char *name, const evaluation *of, size_t index) {
    number(to, name, of->values[index]);
    interval(to, name, of->low ? of->low[index] : NAN, of->low ? of->high[index] : NAN);
}

static void three(writer *to, const char *before, const evaluation *of, size_t first) {
    static const char *const names[MEASURES_OF_A_LABEL] = {"precision", "recall", "f1"};
    for (size_t k = 0; k < MEASURES_OF_A_LABEL; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", before, names[k]);
        measure(to, name, of, first + k);
    }
}

static void put_confusion(writer *to, const evaluation *of) {
    size_t labels = (size_t)of->n_labels;
    open_item(to, "confusion", "[");
    for (size_t i = 0; i < labels; i++) {
        begin_item(to, NULL);
        put_literal(to->out, "[");
        for (size_t j = 0; j < labels; j++) {
            if (j > 0) put_literal(to->out, ", ");
            put_unsigned(to->out, of->confusion[i * labels + j]);
        }
        put_literal(to->out, "]");
    }
    close_item(to, "]");
}

static void put_measures(writer *to, const evaluate_report *report, const evaluation *of) {
    size_t labels = (size_t)report->n_labels;
    char   why[160];
    whole(to, "n", of->n);
    measure(to, "accuracy", of, MEASURE_ACCURACY);
    three(to, "weighted_", of, MEASURE_WEIGHTED);
    three(to, "macro_", of, MEASURE_MACRO);
    whole(to, "errors", of->errors);
    whole(to, "false_positives", of->false_positives);
    whole(to, "false_negatives", of->false_negatives);
    measure(to, "false_positive_rate", of, MEASURE_FALSE_RATE);
    open_item(to, "labels", "{");
    for (size_t i = 0; i < labels; i++) {
        uint64_t support = 0;
        for (size_t j = 0; j < labels; j++) support += of->confusion[i * labels + j];
        open_item(to, evaluate_label(report, (int32_t)i), "{");
        three(to, "", of, MEASURE_LABELS + i * MEASURES_OF_A_LABEL);
        whole(to, "support", support);
        close_item(to, "}");
    }
    close_item(to, "}");
    put_confusion(to, of);
    number(to, "auroc", of->curves.auroc);
    interval(to, "auroc", of->curves.auroc_low, of->curves.auroc_high);
    number(to, "average_precision", of->curves.average_precision);
    if (evaluate_undefined(report, of, why, sizeof why)) text(to, "auroc_reason", why);
    number(to, "brier", of->of_scores.brier);
    number(to, "log_loss", of->of_scores.log_loss);
    number(to, "ece", of->of_scores.ece);
    number(to, "calibrated_brier", of->of_calibrated.brier);
    number(to, "calibrated_log_loss", of->of_calibrated.log_loss);
    number(to, "calibrated_ece", of->of_calibrated.ece);
    open_item(to, "expected_precision", "[");
    for (size_t k = 0; k < N_PREVALENCES; k++) {
        open_item(to, NULL, "{");
        number(to, "prevalence", measure_prevalences[k]);
        measure(to, "precision", of, MEASURE_EXPECTED + k);
        close_item(to, "}");
    }
    close_item(to, "]");
}

static int put_model(writer *to, const evaluate_report *report, evaluated_model *model) {
    static const char *const sets[N_TEXT_SETS] = {[TEXTS_SEEN] = "seen", [TEXTS_UNSEEN] = "unseen"};
    const ade_session_info  *session = &model->engine.session_info;
    char                     digest[65], device[32];
    ade_status               status = ade_model_hash(model->engine.model, digest);
    if (status != ADE_OK) return engine_failed(status, "the model's hash");
    open_item(to, "model", "{");
    text(to, "name", model->engine.model_info.name);
    text(to, "folder", model->engine.model_info.folder);
    text(to, "sha256", digest);
    text(to, "device", device_text(session->device, session->device_index, device, sizeof device));
    text(to, "precision", precision_text(session->precision));
    begin_item(to, "max_length");
    if (session->max_length > 0)
        put_integer(to->out, session->max_length);
    else
        put_literal(to->out, "null"); /* a baseline takes all of a text */
    close_item(to, "}");
    begin_item(to, "threshold");
    if (model->threshold < 0)
        put_literal(to->out, "null");
    else
        put_float(to->out, (float)model->threshold); /* which it is */
    whole(to, "truncated_texts", model->truncated);
    put_measures(to, report, &model->sets[TEXTS_ALL]);
    for (int set = 1; set < report->n_sets; set++) {
        open_item(to, sets[set], "{");
        put_measures(to, report, &model->sets[set]);
        close_item(to, "}");
    }
    return CLI_OK;
}

static void put_pairs(writer *to, const evaluate_report *report) {
    static const char *const sets[N_TEXT_SETS] = {"all", "seen", "unseen"};
    open_item(to, "mcnemar", "[");
    for (int set = 0; set < report->n_sets; set++)
        for (size_t i = 0; i < report->n_pairs; i++) {
            const evaluated_pair *pair = &report->pairs[i];
            open_item(to, NULL, "{");
            text(to, "first", report->models[pair->first].shown);
            text(to, "second", report->models[pair->second].shown);
            text(to, "texts", sets[set]);
            whole(to, "only_first", pair->only_first[set]);
            whole(to, "only_second", pair->only_second[set]);
            number(to, "p", mcnemar_exact(pair->only_first[set], pair->only_second[set]));
            close_item(to, "}");
        }
    close_item(to, "]");
}

int evaluate_put_json(bytes *out, const evaluate_report *report) {
    writer to = {out, 0, 0};
    int    status = CLI_OK;
    open_item(&to, NULL, "{");
    text(&to, "command", "evaluate");
    text(&to, "version", ade_version());
    open_item(&to, "inputs", "[");
    for (size_t i = 0; i < report->wanted->n_files; i++) text(&to, NULL, report->wanted->files[i]);
    close_item(&to, "]");
    text(&to, "seen_file", report->wanted->seen);
    text(&to, "positive_label", evaluate_label(report, report->positive));
    whole(&to, "bootstrap_samples", report->samples);
    whole(&to, "seed", report->wanted->seed);
    if (report->n_models == 1) {
        status = put_model(&to, report, &report->models[0]);
    } else {
        open_item(&to, "models", "[");
        for (size_t i = 0; i < report->n_models && status == CLI_OK; i++) {
            open_item(&to, NULL, "{");
            status = put_model(&to, report, &report->models[i]);
            close_item(&to, "}");
        }
        close_item(&to, "]");
        put_pairs(&to, report);
    }
    close_item(&to, "}");
    put_literal(out, "\n");
    return status;
}
