/* SPDX-License-Identifier: Apache-2.0
 * What every command does with the library: open the model and the session that the options ask for, and report. */
#include "engine.h"

#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int engine_failed(ade_status status, const char *what) {
    const char *text = ade_last_error();
    if (status == ADE_CANCELLED && signals_interrupted()) return CLI_INTERRUPTED;
    if (!*text) text = ade_status_text(status);
    if (what)
        say(SAY_ERROR, "%s: %s", what, text);
    else
        say(SAY_ERROR, "%s", text);
    return CLI_FAILED;
}

static int open_failed(ade_status status, const char *what) {
    int result = engine_failed(status, what);
    return status == ADE_INVALID_ARGUMENT ? CLI_USAGE : result;
}

int engine_open_failed(ade_status status) { return open_failed(status, NULL); }

int engine_open_model(engine *out, const settings *wanted) {
    const char       *folder = wanted->model ? wanted->model : ade_default_model();
    ade_model_options options = ADE_MODEL_OPTIONS_INIT;
    double            start = seconds_now();
    ade_status        status;
    memset(out, 0, sizeof *out);
    if (!folder) {
        say(SAY_ERROR, "no model is given, and none is installed with adesieve.");
        say(SAY_HINT, "name a model folder with -m DIR, or in the environment variable ADESIEVE_MODEL");
        return CLI_FAILED;
    }
    options.labels = wanted->labels;
    options.positive_label = wanted->positive_label;
    options.calibration = wanted->calibration;
    options.log = say_library;
    status = ade_model_open(folder, &options, &out->model);
    if (status == ADE_OK) {
        out->model_info = (ade_model_info)ADE_MODEL_INFO_INIT;
        status = ade_model_get_info(out->model, &out->model_info);
    }
    if (status != ADE_OK) {
        int result = engine_open_failed(status);
        if (status == ADE_IO && !wanted->model)
            say(SAY_HINT, "this is the default model; name another with -m DIR, or in ADESIEVE_MODEL");
        else if (status == ADE_IO && !wanted->calibration)
            say(SAY_HINT, "-m takes a folder with config.json, model.safetensors and the tokenizer's files");
        return result;
    }
    if (out->model_info.kind == ADE_MODEL_BASELINE && (wanted->max_length > 0 || wanted->token_budget > 0))
        say(SAY_WARNING, "%s is a baseline, which takes texts of any length: %s%s%s no effect on it.", out->model_info.name,
            wanted->max_length > 0 ? "'--max-length'" : "",
            wanted->max_length > 0 && wanted->token_budget > 0 ? " and " : "",
            wanted->token_budget <= 0  ? " has"
            : wanted->max_length > 0   ? "'--token-budget' have"
                                       : "'--token-budget' has");
    out->seconds_open = seconds_now() - start;
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

void engine_session_options(const settings *wanted, ade_session_options *out) {
    *out = (ade_session_options)ADE_SESSION_OPTIONS_INIT;
    out->device = wanted->device;
    out->device_index = wanted->device_index;
    out->precision = wanted->precision;
    out->threads = wanted->threads;
    out->max_length = wanted->max_length;
    out->token_budget = wanted->token_budget;
    out->split_special_tokens = wanted->split_special_tokens;
    out->log = say_library;
}

int engine_open_session(engine *out, const ade_session_options *options, const char *what) {
    double     start = seconds_now();
    ade_status status;
    status = ade_session_open(out->model, options, &out->session);
    if (status == ADE_OK) {
        out->session_info = (ade_session_info)ADE_SESSION_INFO_INIT;
        status = ade_session_get_info(out->session, &out->session_info);
    }
    if (status != ADE_OK) return open_failed(status, what);
    out->seconds_open += seconds_now() - start;
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

void engine_close(engine *out) {
    ade_session_close(out->session);
    ade_model_close(out->model);
    memset(out, 0, sizeof *out);
}

int engine_check_files(settings *wanted, int from_stdin) {
    static const char *const hint = "give a FILE, or - to type into the terminal";
    int                      terminal = isatty(STDIN_FILENO);
    if (wanted->n_files == 0) {
        if (!from_stdin || terminal) {
            say(SAY_ERROR,
                terminal && from_stdin ? "no FILE is given, and standard input is a terminal." : "no FILE is given.");
            say(SAY_HINT, "%s", from_stdin ? hint : "give files or folders, or - for standard input");
            return CLI_USAGE;
        }
        wanted->files[wanted->n_files++] = "-";
    }
    for (size_t i = 0; i < wanted->n_files; i++) {
        if (strcmp(wanted->files[i], "-") != 0) continue;
        if (wanted->seen && strcmp(wanted->seen, "-") == 0) {
            say(SAY_ERROR, "standard input ('-') can be read only once.");
            return CLI_USAGE;
        }
        if (terminal) say(SAY_HINT, "reading from the terminal; Ctrl-D at the start of a line ends the input");
    }
    return CLI_OK;
}

int engine_open_outputs(const settings *wanted, output *rows, output *stats, output *parts) {
    output *all[3];
    size_t  count = 0;
    int     status = output_open(rows, wanted->output, wanted->files, wanted->n_files);
    all[count++] = rows;
    if (status == CLI_OK && wanted->stats) {
        status = output_open(stats, wanted->stats, wanted->files, wanted->n_files);
        all[count++] = stats;
    }
    if (status == CLI_OK && wanted->parts) {
        status = output_open(parts, wanted->parts, wanted->files, wanted->n_files);
        all[count++] = parts;
    }
    return status == CLI_OK ? engine_check_outputs(all, count) : status;
}

int engine_check_outputs(output *const *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (output_same(all[i], all[j])) {
                say(SAY_ERROR, "%s: two outputs cannot go to the same file.",
                    all[i]->name ? all[i]->name : "standard output");
                if (all[i]->fd == STDOUT_FILENO) all[i]->fd = -1; /* the other one closes it */
                return CLI_USAGE;
            }
    return CLI_OK;
}

/* ---- Statistics ---- */

double per_second(double count, double seconds) { return seconds > 1e-9 ? count / seconds : 0; }

json_t *json_from_text(const char *text) {
    bytes   valid = {0};
    json_t *value;
    if (!text) return json_null();
    put_valid_utf8(&valid, text, strlen(text));
    value = valid.failed ? NULL : json_stringn(valid.data ? valid.data : "", valid.size);
    bytes_free(&valid);
    return value;
}

const char *device_text(int device, int index, char *buffer, size_t size) {
    if (device == ADE_DEVICE_CUDA)
        snprintf(buffer, size, "cuda:%d", index);
    else
        snprintf(buffer, size, "%s", device == ADE_DEVICE_CPU ? "cpu" : device == ADE_DEVICE_NONE ? "none" : "auto");
    return buffer;
}

const char *precision_text(int precision) {
    switch (precision) {
    case ADE_PRECISION_F32: return "f32";
    case ADE_PRECISION_BF16: return "bf16";
    case ADE_PRECISION_F16: return "f16";
    case ADE_PRECISION_F64: return "f64";
    case ADE_PRECISION_INT8: return "int8";
    default: return "auto";
    }
}

json_t *engine_stats(const engine *used, const char *command) {
    const ade_model_info   *model = &used->model_info;
    const ade_session_info *session = &used->session_info;
    char                    digest[65], name[32];
    struct rusage           usage;
    if (!used->model) /* a dry run */
        return json_pack("{s:s, s:s, s:n, s:n}", "command", command, "version", ade_version(), "model", "run");
    if (ade_model_hash(used->model, digest) != ADE_OK) {
        engine_failed(ADE_IO, "the model's hash");
        return NULL;
    }
    getrusage(RUSAGE_SELF, &usage);
    return json_pack(
        "{s:s, s:s, s:{s:o, s:o, s:s}, s:{s:s, s:o, s:o, s:s, s:i, s:i, s:i}, s:I}", "command", command, "version",
        ade_version(), "model", "name", json_from_text(model->name), "folder", json_from_text(model->folder), "sha256",
        digest, "run", "device", device_text(session->device, session->device_index, name, sizeof name), "device_name",
        json_from_text(session->device_name), "instruction_set", json_from_text(session->instruction_set), "precision",
        precision_text(session->precision), "threads", (int)session->threads, "max_length", (int)session->max_length,
        "token_budget", (int)session->token_budget, "peak_memory_bytes", (json_int_t)usage.ru_maxrss * 1024);
}

int engine_write_json(output *out, json_t *object) {
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    int   status;
    json_decref(object);
    if (!text) {
        say(SAY_ERROR, "%s: cannot be made.", out->name ? out->name : "the JSON object");
        return CLI_FAILED;
    }
    put_literal(&out->rows, text);
    put_literal(&out->rows, "\n");
    free(text);
    status = output_row_end(out);
    return status;
}
