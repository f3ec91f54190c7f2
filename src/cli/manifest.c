/* SPDX-License-Identifier: Apache-2.0
 * The manifest of a run: what was searched, with what, when and how, and what came of it. Nothing in it depends on the
 * host but the paths as they were given. */
#include "cmd_screen.h"

#include "exit_status.h"
#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(const screen_run *run) {
    say(SAY_ERROR, "%s: out of memory for the manifest.", run->manifest_path);
    return CLI_FAILED;
}

int manifest_open(screen_run *run) {
    const settings *wanted = run->wanted;
    char           *target, *partial;
    int             status;
    if (!wanted->manifest && !wanted->output_dir) return CLI_OK;
    run->manifest_path = wanted->manifest ? strdup(wanted->manifest) : screen_output_path(wanted, "manifest.json");
    run->manifest_inputs = json_array();
    run->manifest_refused = json_array();
    if (!run->manifest_path || !run->manifest_inputs || !run->manifest_refused) {
        say(SAY_ERROR, "out of memory for the manifest.");
        return CLI_FAILED;
    }
    /* A name that is found again: a run that was killed leaves no litter, and two runs on one folder meet here. */
    target = output_identity(run->manifest_path);
    partial = target ? output_partial_name(target, NULL) : NULL;
    free(target);
    status = partial ? output_open_partial(&run->manifest_file, run->manifest_path, partial, NULL, 0)
                     : output_open(&run->manifest_file, run->manifest_path, NULL, 0);
    if (status == CLI_OK) status = output_restart(&run->manifest_file, 0);
    free(partial);
    return status;
}

int manifest_add_file(screen_run *run, const ade_screen_file *file) {
    json_t *object;
    if (!run->manifest_path) return CLI_OK;
    object = file_object(file);
    return json_array_append_new(run->manifest_inputs, object) == 0 ? CLI_OK : no_memory(run);
}

int manifest_add_refused(screen_run *run, const char *path, const char *error) {
    if (!run->manifest_path) return CLI_OK;
    return json_array_append_new(run->manifest_refused, json_pack("{s:o, s:o}", "path", json_from_text(path), "error",
                                                                  json_from_text(error))) == 0
               ? CLI_OK
               : no_memory(run);
}

static json_t *time_object(time_t seconds) {
    struct tm utc;
    char      text[40];
    if (seconds == 0) return json_null(); /* not known */
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

/* What rows and scores depend on. */
static json_t *settings_object(const screen_run *run) {
    static const char *const formats[] = {[ROWS_JSONL] = "jsonl", [ROWS_TSV] = "tsv", [ROWS_CSV] = "csv"};
    static const char *const others[] = {"none", "english", "all"};
    const settings          *w = run->wanted;
    json_t                  *object =
        json_pack("{s:f, s:b, s:b, s:b, s:s, s:b, s:o, s:s, s:b, s:b, s:b, s:b}", "threshold", run->threshold.score, "all",
                  w->all, "document", w->document, "section_labels", !w->no_section_label, "other_abstracts",
                  others[w->other_abstracts], "split_special_tokens", w->split_special_tokens, "limit",
                  w->limit > 0 ? json_integer((json_int_t)w->limit) : json_null(), "format", formats[w->format], "text",
                  !w->no_text, "deleted", !w->no_deleted, "metadata", w->metadata, "check_md5", !w->no_md5);
    if (!object) return NULL;
    json_object_update_new(object, threshold_object(&run->threshold, w));
    json_object_set_new(object, "prefilter", prefilter_object(&run->prefilter));
    json_object_set_new(object, "max_length",
                        run->engine.model ? json_integer(run->engine.session_info.max_length) : json_null());
    return object;
}

/* null in a dry run. */
static json_t *model_object(const screen_run *run) {
    const engine *used = &run->engine;
    json_t       *labels;
    char          digest[65];
    if (!used->model) return json_null();
    if (ade_model_hash(used->model, digest) != ADE_OK) {
        engine_failed(ADE_IO, "the model's hash");
        return NULL;
    }
    labels = json_array();
    for (int32_t i = 0; i < used->model_info.n_labels; i++)
        json_array_append_new(labels, json_from_text(ade_model_label(used->model, i)));
    return json_pack("{s:o, s:s, s:o, s:o}", "name", json_from_text(used->model_info.name), "sha256", digest, "labels",
                     labels, "positive_label",
                     json_from_text(ade_model_label(used->model, used->model_info.positive_label)));
}

static json_t *device_object(const screen_run *run) {
    const ade_session_info *info = &run->engine.session_info;
    if (!run->engine.model) return json_null();
    return json_pack("{s:s, s:o, s:o, s:s}", "type", info->device == ADE_DEVICE_CUDA ? "cuda" : "cpu", "name",
                     json_from_text(info->device_name), "instruction_set", json_from_text(info->instruction_set),
                     "precision", precision_text(info->precision));
}

static json_t *outputs_array(const screen_run *run) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < run->out.n_files; i++) {
        const written_file *file = &run->out.files[i];
        json_array_append_new(list, json_pack("{s:o, s:I, s:o}", "path", json_from_text(file->path), "bytes",
                                              (json_int_t)file->bytes, "rows",
                                              file->rows < 0 ? json_null() : json_integer((json_int_t)file->rows)));
    }
    return list;
}

static const char *status_text(const screen_run *run, int status) {
    if (status == CLI_INTERRUPTED) return "interrupted";
    if (status == CLI_CLOSED) return "output closed";
    if (status != CLI_OK && status != CLI_PARTIAL) return "failed";
    if (run->stats.files_failed + run->inputs_refused > 0) return "some inputs failed";
    if (screen_lacks_outputs(run)) return "some outputs are missing";
    return run->stats.files_done + run->stats.files_skipped < run->stats.files_total ? "ended by --limit" : "complete";
}

int manifest_write(screen_run *run, int status) {
    json_t *object, *totals;
    int     result;
    if (!run->manifest_path) return CLI_OK;
    totals = count_object(&run->stats);
    if (totals) json_object_set_new(totals, "rows", json_integer((json_int_t)run->out.n_rows));
    object = json_pack(
        "{s:i, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "manifest", 1, "tool",
        "adesieve screen", "version", ade_version(), "status", status_text(run, status), "resumed", run->out.resumed,
        "run_began", time_object(run->out.resumed ? run->out.began : run->started), "started",
        time_object(run->started), "ended", time_object(time(NULL)), "settings", settings_object(run), "model",
        model_object(run), "device", device_object(run), "totals", totals, "outputs", outputs_array(run), "inputs",
        json_incref(run->manifest_inputs), "inputs_refused", json_incref(run->manifest_refused));
    result = engine_write_json(&run->manifest_file, object);
    if (result == CLI_OK) result = output_finish(&run->manifest_file, 1);
    return result;
}
