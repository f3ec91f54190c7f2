/* SPDX-License-Identifier: Apache-2.0
 * A model's calibration: what --threshold, --calibrated and --prevalence ask of it, and what is shown of it. */
#ifndef CLI_CALIBRATION_H
#define CLI_CALIBRATION_H

#include "engine.h"

typedef struct threshold {
    double              score;     /* a hit's is at or above it, as a float */
    int                 looked_up; /* 1: by a target, and `point` says what to expect of it */
    ade_operating_point point;
} threshold;

/* Looks the threshold up in the model's calibration if the options say so, and says what came of it. Where calibrated
 * values are wanted, by --prevalence too, there must be a calibration. Returns an exit status; failures have been said.
 */
int threshold_find(threshold *out, const engine *used, settings *wanted);

/* Whether the calibration was made for other weights than the model has: 1; 0, also of an older file, which does not say
 * for which; -1 with a failure that has been said. */
int calibration_is_stale(ade_model *model, const ade_calibration_info *info);

/* Where the model's calibration is used: warns of one that was made for other weights. Returns an exit status. */
int calibration_check(const engine *used);

/* "threshold", "threshold_target", "calibrated" and "prevalence", for --stats and the manifest; `used` may be NULL. */
json_t *threshold_object(const threshold *used, const settings *wanted);

/* The point for a target, with all intervals. */
json_t *point_object(int target, double value, const ade_operating_point *point);

/* A point's recall, precision or share to review with its bounds: "0.951 (0.935 to 0.963)". */
const char *share_text(double share, double low, double high, char *buffer, size_t size);

/* "recall", "precision", "review", "score" */
const char *target_name(int target);

/* "platt, slope 1.2, offset -0.3" */
const char *calibration_text(const ade_calibration_info *info, char *buffer, size_t size);

/* All that is known of it. NULL when out of memory. */
json_t *calibration_object(const ade_calibration_info *info);

#endif
