/* SPDX-License-Identifier: Apache-2.0
 * adesieve info: versions, devices, what a model is and what it will run as. */
#include "commands.h"

#include "calibration.h"
#include "engine.h"
#include "exit_status.h"
#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *problem_text(int problem) {
    switch (problem) {
    case ADE_PROBLEM_MULTI_LABEL: return "multi_label";
    case ADE_PROBLEM_REGRESSION: return "regression";
    default: return "single_label";
    }
}

/* The processor's own name, for when no model is there to open a session with. */
static void processor_name(char *name, size_t size) {
    char  line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown processor");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file) fclose(file);
}

static json_t *model_object(engine *used) {
    const ade_model_info *info = &used->model_info;
    json_t               *labels = json_array(), *object;
    ade_calibration_info  calibration = ADE_CALIBRATION_INFO_INIT;
    char                  digest[65];
    if (ade_model_hash(used->model, digest) != ADE_OK) {
        engine_failed(ADE_IO, "the model's hash");
        json_decref(labels);
        return NULL;
    }
    for (int32_t i = 0; i < info->n_labels; i++)
        json_array_append_new(labels, json_string(ade_model_label(used->model, i)));
    object = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:s, s:o}", "name", json_from_text(info->name), "folder",
                       json_from_text(info->folder), "architecture", json_from_text(info->architecture), "problem",
                       problem_text(info->problem), "labels", labels, "positive_label",
                       json_from_text(ade_model_label(used->model, info->positive_label)), "sha256", digest,
                       "weights_type", json_from_text(info->weights_type));
    if (!object) return NULL;
    json_object_update_new(object,
                           json_pack("{s:I, s:i, s:i, s:i, s:i, s:o, s:i, s:i, s:o, s:b, s:b, s:o, s:b}", "parameters",
                                     (json_int_t)info->n_parameters, "layers", (int)info->n_layers, "hidden_size",
                                     (int)info->hidden_size, "heads", (int)info->n_heads, "intermediate_size",
                                     (int)info->intermediate_size, "activation", json_from_text(info->activation),
                                     "vocabulary", (int)info->vocab_size, "max_length", (int)info->max_length,
                                     "tokenizer_source", json_from_text(info->tokenizer_source), "lowercase",
                                     (int)info->lowercase, "strip_accents", (int)info->strip_accents, "casing_reason",
                                     json_from_text(info->casing_reason), "calibrated", (int)info->calibrated));
    json_object_set_new(object, "calibration",
                        ade_model_get_calibration(used->model, &calibration) == ADE_OK
                            ? calibration_object(&calibration)
                            : json_null());
    return object;
}

static json_t *device_object(const engine *used) {
    const ade_session_info *info = &used->session_info;
    char                    name[32];
    return json_pack("{s:s, s:o, s:o, s:s, s:i, s:i, s:i, s:o}", "device",
                     device_text(info->device, info->device_index, name, sizeof name), "name",
                     json_from_text(info->device_name), "instruction_set", json_from_text(info->instruction_set),
                     "precision", precision_text(info->precision), "threads", (int)info->threads, "max_length",
                     (int)info->max_length, "token_budget", (int)info->token_budget, "reason",
                     json_from_text(info->device_reason));
}

static const char *text_or(const char *text, const char *other) { return text && *text ? text : other; }

static int put_calibration(bytes *out, const engine *used) {
    ade_calibration_info info = ADE_CALIBRATION_INFO_INIT;
    char                 method[100];
    int                  stale;
    if (ade_model_get_calibration(used->model, &info) != ADE_OK) {
        put_named(out, "  calibration", "%s", used->model_info.problem == ADE_PROBLEM_SINGLE_LABEL
                                             ? "none; adesieve calibrate makes one from labelled texts"
                                             : "none, nor can such a model have one");
        return CLI_OK;
    }
    stale = calibration_is_stale(used->model, &info);
    if (stale < 0) return CLI_FAILED;
    put_named(out, "  calibration", "%s", calibration_text(&info, method, sizeof method));
    put_named(out, "", "on %llu texts, %llu of them positive (prevalence %.4f)%s%s", (unsigned long long)info.n,
         (unsigned long long)info.n_positive, info.prevalence, info.data && *info.data ? ": " : "",
         text_or(info.data, ""));
    put_named(out, "", "log-loss %.4f -> %.4f, expected calibration error %.4f -> %.4f (cross-validated)",
         info.log_loss_before, info.log_loss_after, info.ece_before, info.ece_after);
    if (stale > 0)
        put_named(out, "", "made for other weights than the model has now: make it anew with adesieve calibrate");
    return CLI_OK;
}

static int put_text(bytes *out, engine *used, const char *processor) {
    const ade_model_info   *model = &used->model_info;
    const ade_session_info *session = &used->session_info;
    const char             *standard = ade_default_model();
    char                    digest[65], name[32];
    put_named(out, "adesieve", "%s", ade_version());
    put_named(out, "default model", "%s", standard ? standard : "none: set ADESIEVE_MODEL, or install one with adesieve");
    if (!used->model) {
        put_named(out, "processor", "%s", processor);
        put_named(out, "device", "known once there is a model: adesieve info -m DIR");
        return CLI_OK;
    }
    if (ade_model_hash(used->model, digest) != ADE_OK) return engine_failed(ADE_IO, "the model's hash");
    if (model->kind == ADE_MODEL_BASELINE)
        put_named(out, "device", "%s: %s", device_text(session->device, session->device_index, name, sizeof name),
             text_or(session->device_name, "unnamed"));
    else
        put_named(out, "device", "%s: %s, %s", device_text(session->device, session->device_index, name, sizeof name),
             text_or(session->device_name, "unnamed"), text_or(session->instruction_set, "no special instructions"));
    put_named(out, "", "%s", text_or(session->device_reason, "chosen by the options."));
    if (model->kind == ADE_MODEL_BASELINE)
        put_named(out, "runs as", "%s, %d %s, texts of any length", precision_text(session->precision),
             (int)session->threads, session->threads == 1 ? "thread" : "threads");
    else
        put_named(out, "runs as", "%s, %d %s, at most %d tokens a text, batches of %d tokens",
             precision_text(session->precision), (int)session->threads, session->threads == 1 ? "thread" : "threads",
             (int)session->max_length, (int)session->token_budget);
    put_named(out, "model", "%s", model->name);
    put_named(out, "  folder", "%s", model->folder);
    put_named(out, "  sha256", "%s", digest);
    if (model->kind == ADE_MODEL_BASELINE)
        put_named(out, "  architecture", "%s", text_or(model->architecture, "not named"));
    else
        put_named(out, "  architecture", "%s: %d layers, hidden size %d, %d heads, intermediate size %d, %s",
             text_or(model->architecture, "not named"), (int)model->n_layers, (int)model->hidden_size,
             (int)model->n_heads, (int)model->intermediate_size, text_or(model->activation, "?"));
    put_named(out, "  parameters", "%llu, stored as %s", (unsigned long long)model->n_parameters,
         text_or(model->weights_type, "?"));
    put_named(out, "  problem", "%s", problem_text(model->problem));
    for (int32_t i = 0; i < model->n_labels; i++)
        put_named(out, i == 0 ? "  labels" : "", "%d = %s%s", (int)i, ade_model_label(used->model, i),
             i == model->positive_label ? " (positive: its probability is the score)" : "");
    if (put_calibration(out, used) != CLI_OK) return CLI_FAILED;
    put_named(out, "  tokenizer", "%s: %d entries, %s, accents %s", text_or(model->tokenizer_source, "?"),
         (int)model->vocab_size, model->lowercase ? "lower-cases texts" : "keeps case",
         model->strip_accents ? "stripped" : "kept");
    put_named(out, "", "%s", text_or(model->casing_reason, ""));
    return CLI_OK;
}

static int run_info(engine *used, const settings *wanted, output *out) {
    output              closed = OUTPUT_CLOSED_INIT, stats = OUTPUT_CLOSED_INIT;
    ade_session_options options;
    char                processor[256];
    int                 status = engine_open_outputs(wanted, out, &stats, &closed);
    if (status != CLI_OK) return status;
    processor_name(processor, sizeof processor);
    /* Without any model, versions and the processor are still worth showing. */
    if (wanted->model || ade_default_model()) {
        status = engine_open_model(used, wanted);
        if (status != CLI_OK) return status;
        engine_session_options(wanted, &options);
        status = engine_open_session(used, &options, NULL);
        if (status != CLI_OK) return status;
    }
    if (wanted->format == REPORT_JSON) {
        json_t *model = used->model ? model_object(used) : json_null();
        json_t *run = used->model ? device_object(used) : json_null();
        status = engine_write_json(out, json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", ade_version(),
                                                  "default_model", json_from_text(ade_default_model()), "processor",
                                                  json_from_text(processor), "model", model, "run", run));
    } else {
        status = put_text(&out->rows, used, processor);
    }
    return status == CLI_OK ? output_finish(out, 1) : status;
}

int cmd_info(settings *wanted) {
    output out = OUTPUT_CLOSED_INIT;
    engine used = {0};
    int    status = CLI_USAGE;
    if (wanted->n_files > 0) {
        say(SAY_ERROR, "'info' takes no FILE, but got '%s'.", wanted->files[0]);
        say(SAY_HINT, "a model folder is given with -m DIR");
        return status;
    }
    status = run_info(&used, wanted, &out);
    output_finish(&out, 0);
    engine_close(&used);
    return status;
}
