/* SPDX-License-Identifier: Apache-2.0
 * --threshold recall=R and its like, looked up in the model's calibration before the run. */
#include "calibration.h"

#include "exit_status.h"
#include "messages.h"

#include <stdio.h>
#include <string.h>

const char *target_name(int target) {
    switch (target) {
    case ADE_TARGET_RECALL: return "recall";
    case ADE_TARGET_PRECISION: return "precision";
    case ADE_TARGET_REVIEW: return "review";
    default: return "score";
    }
}

const char *share_text(double share, double low, double high, char *buffer, size_t size) {
    snprintf(buffer, size, "%.3f (%.3f to %.3f)", share, low, high);
    return buffer;
}

static void say_point(const threshold *found, const settings *wanted, const engine *used) {
    const ade_operating_point *p = &found->point;
    ade_calibration_info       info = ADE_CALIBRATION_INFO_INIT;
    char                       recall[64], precision[64], review[64];
    (void)ade_model_get_calibration(used->model, &info); /* it is there: the threshold comes from it */
    say(SAY_NOTE,
        "threshold  %.9g for %s=%g. On the %llu labelled texts of the calibration%s%s%s it gave, with 95 %% intervals, "
        "recall %s; where a share of %.4g is positive, precision %s, and it finds %s of all texts",
        found->score, target_name(wanted->threshold_target), wanted->threshold, (unsigned long long)info.n,
        info.data && *info.data ? " (" : "", info.data && *info.data ? info.data : "",
        info.data && *info.data ? ")" : "", share_text(p->recall, p->recall_low, p->recall_high, recall, sizeof recall),
        p->prevalence, share_text(p->precision, p->precision_low, p->precision_high, precision, sizeof precision),
        share_text(p->review, p->review_low, p->review_high, review, sizeof review));
}

int calibration_is_stale(ade_model *model, const ade_calibration_info *info) {
    char digest[65];
    if (!info->model) return 0;
    if (ade_model_hash(model, digest) == ADE_OK) return strcmp(digest, info->model) != 0;
    engine_failed(ADE_IO, "the model's hash");
    return -1;
}

int calibration_check(const engine *used) {
    ade_calibration_info info = ADE_CALIBRATION_INFO_INIT;
    int                  stale;
    if (ade_model_get_calibration(used->model, &info) != ADE_OK) return CLI_OK; /* whoever needs it says so */
    stale = calibration_is_stale(used->model, &info);
    if (stale > 0)
        say(SAY_WARNING,
            "%s: the calibration was made for other weights than the model has now, so its probabilities and thresholds "
            "need not hold; make it anew with adesieve calibrate.",
            used->model_info.folder);
    return stale < 0 ? CLI_FAILED : CLI_OK;
}

int threshold_find(threshold *out, const engine *used, settings *wanted) {
    ade_calibration_info info = ADE_CALIBRATION_INFO_INIT;
    ade_status           status;
    if (wanted->prevalence > 0) wanted->calibrated = 1;
    if (wanted->calibrated) {
        status = ade_model_get_calibration(used->model, &info);
        if (status != ADE_OK) return engine_failed(status, NULL);
    }
    if (wanted->calibrated || (wanted->threshold >= 0 && wanted->threshold_target != ADE_TARGET_SCORE)) {
        int checked = calibration_check(used);
        if (checked != CLI_OK) return checked;
    }
    out->score = wanted->threshold < 0 ? 0.5 : wanted->threshold;
    if (wanted->threshold < 0 || wanted->threshold_target == ADE_TARGET_SCORE) {
        if (out->score > 1 && used->model_info.problem != ADE_PROBLEM_REGRESSION) {
            say(SAY_ERROR, "'--threshold' needs a number from 0 to 1, as the scores of this model are, not %g.",
                out->score);
            return CLI_USAGE;
        }
        return CLI_OK;
    }
    out->point = (ade_operating_point)ADE_OPERATING_POINT_INIT;
    status = ade_model_operating_point(used->model, wanted->threshold_target, wanted->threshold, wanted->prevalence,
                                       &out->point);
    if (status != ADE_OK) return engine_failed(status, NULL);
    out->score = out->point.threshold;
    out->looked_up = 1;
    say_point(out, wanted, used);
    return CLI_OK;
}

static json_t *share_object(double share, double low, double high) {
    return json_pack("{s:f, s:f, s:f}", "value", share, "low", low, "high", high);
}

json_t *point_object(int target, double value, const ade_operating_point *p) {
    return json_pack("{s:s, s:f, s:f, s:f, s:o, s:o, s:o}", "target", target_name(target), "value", value, "threshold",
                     p->threshold, "prevalence", p->prevalence, "recall",
                     share_object(p->recall, p->recall_low, p->recall_high), "precision",
                     share_object(p->precision, p->precision_low, p->precision_high), "review",
                     share_object(p->review, p->review_low, p->review_high));
}

json_t *threshold_object(const threshold *used, const settings *wanted) {
    json_t *object = json_object();
    if (!object) return NULL;
    json_object_set_new(object, "threshold", used ? json_real(used->score) : json_null());
    json_object_set_new(object, "threshold_target", json_null());
    if (used && used->looked_up)
        json_object_set_new(object, "threshold_target",
                            point_object(wanted->threshold_target, wanted->threshold, &used->point));
    json_object_set_new(object, "calibrated", json_boolean(wanted->calibrated));
    json_object_set_new(object, "prevalence", wanted->prevalence > 0 ? json_real(wanted->prevalence) : json_null());
    return object;
}

/* ---- Itself ---- */

static const char *method_name(int method) {
    switch (method) {
    case ADE_CALIBRATION_TEMPERATURE: return "temperature";
    case ADE_CALIBRATION_PLATT: return "platt";
    case ADE_CALIBRATION_ISOTONIC: return "isotonic";
    default: return "unknown"; /* to this command, of a newer library */
    }
}

const char *calibration_text(const ade_calibration_info *info, char *buffer, size_t size) {
    if (info->method == ADE_CALIBRATION_TEMPERATURE)
        snprintf(buffer, size, "temperature, %.4g", info->temperature);
    else if (info->method == ADE_CALIBRATION_PLATT)
        snprintf(buffer, size, "platt, slope %.4g, offset %.4g", info->slope, info->offset);
    else
        snprintf(buffer, size, "%s", method_name(info->method));
    return buffer;
}

json_t *calibration_object(const ade_calibration_info *info) {
    json_t *object =
        json_pack("{s:s, s:I, s:I, s:f, s:{s:f, s:f}, s:{s:f, s:f}, s:o}", "method", method_name(info->method), "n",
                  (json_int_t)info->n, "n_positive", (json_int_t)info->n_positive, "prevalence", info->prevalence,
                  "log_loss", "before", info->log_loss_before, "after", info->log_loss_after, "ece", "before",
                  info->ece_before, "after", info->ece_after, "data", json_from_text(info->data));
    if (object && info->method == ADE_CALIBRATION_TEMPERATURE)
        json_object_set_new(object, "temperature", json_real(info->temperature));
    if (object && info->method == ADE_CALIBRATION_PLATT) {
        json_object_set_new(object, "slope", json_real(info->slope));
        json_object_set_new(object, "offset", json_real(info->offset));
    }
    if (object) json_object_set_new(object, "model_sha256", json_from_text(info->model));
    return object;
}
