/* SPDX-License-Identifier: Apache-2.0
 * See prefilter.h. */
#include "prefilter.h"

#include "calibration.h"
#include "exit_status.h"
#include "messages.h"

#include <string.h>
#include <strings.h>

#define USUAL_RECALL 0.995

static void say_cost(const prefilter *p) {
    const ade_calibration_info *c = &p->calibration;
    const int                   told = c->data && *c->data;
    char                        kept[64];
    say(SAY_NOTE,
        "prefilter  %s lets sentences of a score of at least %.9g pass. On the %llu labelled texts of its calibration"
        "%s%s%s, %llu of them positive, these were %s of the positive ones (95 %% interval); the others are missed, "
        "whatever the model would say. Where a share of %.4g is positive, %.3f of all texts pass",
        p->info.name, p->point.threshold, (unsigned long long)c->n, told ? " (" : "", told ? c->data : "",
        told ? ")" : "", (unsigned long long)c->n_positive,
        share_text(p->point.recall, p->point.recall_low, p->point.recall_high, kept, sizeof kept), p->point.prevalence,
        p->point.review);
}

static int check_label(const prefilter *p, const engine *used) {
    const char *its = ade_model_label(p->model, p->info.positive_label), *ours;
    if (!used->model) return CLI_OK;
    ours = ade_model_label(used->model, used->model_info.positive_label);
    if (its && ours && strcasecmp(its, ours) == 0) return CLI_OK;
    say(SAY_ERROR,
        "'--prefilter' %s looks for \"%s\" and the model %s for \"%s\", so it would drop what the model is to find.",
        p->info.folder, its ? its : "", used->model_info.folder, ours ? ours : "");
    say(SAY_HINT, "give the model the same label with --positive-label, name its labels with --labels, or take another "
                  "prefilter");
    return CLI_FAILED;
}

static int check_calibration(const prefilter *p) {
    int stale = calibration_is_stale(p->model, &p->calibration);
    if (stale <= 0) return stale < 0 ? CLI_FAILED : CLI_OK;
    say(SAY_ERROR,
        "--prefilter: %s: its calibration was made for other weights than it has now, so nobody knows what it would "
        "drop; make it anew with adesieve calibrate -m %s FILE.",
        p->info.folder, p->info.folder);
    return CLI_FAILED;
}

static int find_point(prefilter *p, const settings *wanted, const engine *used) {
    ade_status status;
    int        checked;
    p->info = (ade_model_info)ADE_MODEL_INFO_INIT;
    p->point = (ade_operating_point)ADE_OPERATING_POINT_INIT;
    p->calibration = (ade_calibration_info)ADE_CALIBRATION_INFO_INIT;
    p->recall = wanted->prefilter_recall > 0 ? wanted->prefilter_recall : USUAL_RECALL;
    status = ade_model_get_info(p->model, &p->info);
    if (status != ADE_OK) return engine_open_failed(status);
    if (p->info.kind != ADE_MODEL_BASELINE) {
        say(SAY_ERROR, "'--prefilter' needs a baseline, and %s is no such model.", wanted->prefilter);
        say(SAY_HINT, "models/tfidf-logreg of adesieve is one; training/baseline.py makes others");
        return CLI_FAILED;
    }
    checked = check_label(p, used);
    if (checked != CLI_OK) return checked;
    status = ade_model_get_calibration(p->model, &p->calibration);
    if (status == ADE_OK)
        status = ade_model_operating_point(p->model, ADE_TARGET_RECALL, p->recall, wanted->prevalence, &p->point);
    return status == ADE_OK ? check_calibration(p) : engine_failed(status, "--prefilter");
}

int prefilter_open(prefilter *out, const settings *wanted, const engine *used) {
    ade_model_options options = ADE_MODEL_OPTIONS_INIT;
    int               status;
    memset(out, 0, sizeof *out);
    if (!wanted->prefilter) return CLI_OK;
    options.log = say_library;
    if (ade_model_open(wanted->prefilter, &options, &out->model) != ADE_OK) return engine_failed(ADE_IO, "--prefilter");
    status = find_point(out, wanted, used);
    if (status == CLI_OK && !wanted->dry_run) say_cost(out);
    if (wanted->dry_run) prefilter_close(out);
    return status;
}

void prefilter_close(prefilter *out) {
    ade_model_close(out->model);
    memset(out, 0, sizeof *out);
}

json_t *prefilter_object(const prefilter *used) {
    json_t *object;
    char    digest[65];
    if (!used->model) return json_null();
    if (ade_model_hash(used->model, digest) != ADE_OK) {
        engine_failed(ADE_IO, "the prefilter's hash");
        return NULL;
    }
    object = json_pack("{s:o, s:s, s:o}", "name", json_from_text(used->info.name), "sha256", digest, "calibration",
                       calibration_object(&used->calibration));
    if (object) json_object_update_new(object, point_object(ADE_TARGET_RECALL, used->recall, &used->point));
    return object;
}
