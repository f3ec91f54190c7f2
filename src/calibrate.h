/* SPDX-License-Identifier: Apache-2.0
 * calibration.json of a model folder: logits -> calibrated probabilities, and what each threshold finds. Semantics:
 * adesieve.h. calibrate.c uses one, calibration_file.c reads and writes it, calibration_fit.c fits one. */
#ifndef ADE_CALIBRATE_H
#define ADE_CALIBRATE_H

#include "adesieve.h"
#include "log.h"

#include <stdbool.h>

#define ADE_CALIBRATION_FILE "calibration.json"

typedef struct ade_calibration ade_calibration; /* immutable */

/* Reads folder/calibration.json, or the file `path` where that is given; *out is NULL where the folder holds none.
 * Everything is checked (ADE_BAD_MODEL names file, key and cure): the number of labels must be the model's, numbers
 * finite, curves monotonic. `labels` has n_labels names, `positive` is the index of the positive one; a calibration of
 * another positive label is left out with a warning. `renamed`: the caller has given the labels, and other names in the
 * file are fine; else they are warned of, and the same names in another order are an error. */
ade_status ade__calibration_read(const char *folder, const char *path, char *const *labels, int32_t n_labels,
                                 int32_t positive, bool renamed, const ade_log *log, ade_calibration **out);
void       ade__calibration_free(ade_calibration *calibration); /* NULL is fine */

/* These take a calibration that is there; api.c has checked. */
void       ade__calibration_info(const ade_calibration *calibration, ade_calibration_info *info);
ade_status ade__calibrate(const ade_calibration *calibration, const float *logits, size_t n, double prevalence,
                          double *calibrated);
/* The same for one text and a prevalence that was checked; -1 where a logit is not a number. */
double     ade__calibrate_one(const ade_calibration *calibration, const float *logits, double prevalence);
ade_status ade__operating_point(const ade_calibration *calibration, int32_t target, double value, double prevalence,
                                ade_operating_point *point);

/* 0, or between 0 and 1 without these; INVALID_ARGUMENT. */
ade_status ade__prevalence_check(double prevalence);

/* calibration_fit.c */
struct ade_model;
ade_status ade__calibration_fit(const struct ade_model *model, const float *logits, const int32_t *labels, size_t n,
                                const ade_calibration_options *options, const char *path);

/* ---- What the three files share ---------------------------------------------------------------------------------- */

/* From logits to the log-odds of the calibrated probability. */
typedef struct ade_calibration_map {
    int32_t method; /* ade_calibration_method, not AUTO */
    double  temperature, slope, offset;
    double *log_odds, *probabilities; /* (n_points): of ISOTONIC; the first strictly rising, the second never falling */
    size_t  n_points;
} ade_calibration_map;

/* What a threshold finds: of the calibration's texts, those with a score at or above it. */
typedef struct ade_curve_point {
    float    score;
    uint64_t true_positives, false_positives;
} ade_curve_point;

struct ade_calibration {
    ade_calibration_info info; /* `data` and `model` are owned */
    ade_calibration_map  map;
    int32_t              n_labels, positive;
    double               brier_before, brier_after;
    int32_t              folds;
    uint64_t             seed;
    ade_curve_point     *curve; /* (n_curve): scores strictly falling; the last one has found all */
    size_t               n_curve;
};

/* The positive label's log-odds in softmax(beta logits). With `slope`, also their derivative by beta. */
double ade__log_odds(const float *logits, int32_t n_labels, int32_t positive, double beta, double *slope);

/* The log-odds that the map gives a text. */
double ade__calibration_map_apply(const ade_calibration_map *map, const float *logits, int32_t n_labels,
                                  int32_t positive);

/* The positive label's softmax probability, the same float as in ade_result.score: in the order and precision of
 * kernels/probs_cpu.c. */
float ade__softmax_score(const float *logits, int32_t n_labels, int32_t positive);

/* The same in double precision, which is how a baseline's scores are made. */
float ade__softmax_score_f64(const float *logits, int32_t n_labels, int32_t label);

double      ade__sigmoid(double x);
const char *ade__calibration_method_name(int32_t method); /* "platt" */

/* calibration_file.c: writes the file as a whole or not at all. */
ade_status ade__calibration_write(const ade_calibration *calibration, char *const *labels, const char *path);

#endif
