/* SPDX-License-Identifier: Apache-2.0
 * Uses a calibration: calibrated probabilities, and operating points with their intervals. */
#include "calibrate.h"

#include "alloc.h"
#include "status.h"

#include <math.h>
#include <stdio.h>

const char *ade__calibration_method_name(int32_t method) {
    static const char *const names[] = {[ADE_CALIBRATION_AUTO] = "auto",
                                        [ADE_CALIBRATION_TEMPERATURE] = "temperature",
                                        [ADE_CALIBRATION_PLATT] = "platt",
                                        [ADE_CALIBRATION_ISOTONIC] = "isotonic"};
    return method >= 0 && method < (int32_t)(sizeof names / sizeof *names) ? names[method] : "unknown";
}

void ade__calibration_free(ade_calibration *c) {
    if (!c) return;
    ade__free((void *)(uintptr_t)c->info.data);
    ade__free((void *)(uintptr_t)c->info.model);
    ade__free(c->map.log_odds);
    ade__free(c->map.probabilities);
    ade__free(c->curve);
    ade__free(c);
}

void ade__calibration_info(const ade_calibration *c, ade_calibration_info *info) {
    const uint32_t size = info->struct_size;
    *info = c->info;
    info->struct_size = size;
}

/* ---- Calibrated probabilities ------------------------------------------------------------------------------------ */

double ade__sigmoid(double x) {
    if (x >= 0) return 1 / (1 + exp(-x));
    const double e = exp(x);
    return e / (1 + e);
}

static double logit(double p) { return log(p) - log1p(-p); }

float ade__softmax_score(const float *x, int32_t n, int32_t positive) {
    float most = x[0], sum = 0, mine = 0;
    for (int32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int32_t i = 0; i < n; i++) {
        const float e = expf(x[i] - most);
        sum += e;
        if (i == positive) mine = e;
    }
    return mine / sum;
}

float ade__softmax_score_f64(const float *x, int32_t n, int32_t label) {
    double most = (double)x[0], sum = 0;
    for (int32_t i = 1; i < n; i++) most = (double)x[i] > most ? (double)x[i] : most;
    for (int32_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return (float)(exp((double)x[label] - most) / sum);
}

double ade__log_odds(const float *logits, int32_t n, int32_t positive, double beta, double *slope) {
    double most = -INFINITY, sum = 0, weighted = 0; /* over the other labels */
    for (int32_t i = 0; i < n; i++)
        if (i != positive && (double)logits[i] > most) most = (double)logits[i];
    for (int32_t i = 0; i < n; i++) {
        if (i == positive) continue;
        const double weight = exp(beta * ((double)logits[i] - most));
        sum += weight;
        weighted += weight * (double)logits[i];
    }
    if (slope) *slope = (double)logits[positive] - weighted / sum;
    return beta * ((double)logits[positive] - most) - log(sum);
}

/* On the lines between the points; level before the first and behind the last. */
static double interpolate(const ade_calibration_map *map, double x) {
    size_t low = 0, high = map->n_points - 1;
    if (x <= map->log_odds[low]) return map->probabilities[low];
    if (x >= map->log_odds[high]) return map->probabilities[high];
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (map->log_odds[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    const double part = (x - map->log_odds[low]) / (map->log_odds[high] - map->log_odds[low]);
    return map->probabilities[low] + part * (map->probabilities[high] - map->probabilities[low]);
}

double ade__calibration_map_apply(const ade_calibration_map *map, const float *logits, int32_t n, int32_t positive) {
    switch ((ade_calibration_method)map->method) {
    case ADE_CALIBRATION_TEMPERATURE: return ade__log_odds(logits, n, positive, 1 / map->temperature, NULL);
    case ADE_CALIBRATION_PLATT: return map->slope * ade__log_odds(logits, n, positive, 1, NULL) + map->offset;
    default: return logit(interpolate(map, ade__log_odds(logits, n, positive, 1, NULL)));
    }
}

ade_status ade__prevalence_check(double prevalence) {
    if (prevalence == 0 || (prevalence > 0 && prevalence < 1)) return ADE_OK;
    return ade__fail(ADE_INVALID_ARGUMENT,
                     "a prevalence of %g is not possible: give a share above 0 and below 1, or 0 for the calibration's "
                     "own",
                     prevalence);
}

double ade__calibrate_one(const ade_calibration *c, const float *logits, double prevalence) {
    const double shift = prevalence > 0 ? logit(prevalence) - logit(c->info.prevalence) : 0;
    for (int32_t i = 0; i < c->n_labels; i++)
        if (!isfinite(logits[i])) return -1;
    return ade__sigmoid(ade__calibration_map_apply(&c->map, logits, c->n_labels, c->positive) + shift);
}

ade_status ade__calibrate(const ade_calibration *c, const float *logits, size_t n, double prevalence,
                          double *calibrated) {
    const size_t labels = (size_t)c->n_labels;
    ADE_TRY(ade__prevalence_check(prevalence));
    for (size_t i = 0; i < n * labels; i++)
        if (!isfinite(logits[i]))
            return ade__fail(ADE_INVALID_ARGUMENT,
                             "text %zu: logit %zu is not a finite number, so it has no probability", i / labels,
                             i % labels);
    for (size_t i = 0; i < n; i++) calibrated[i] = ade__calibrate_one(c, logits + i * labels, prevalence);
    return ADE_OK;
}

/* ---- Operating points -------------------------------------------------------------------------------------------- */

/* Wilson's score interval of a share, 95 %. */
static void wilson(uint64_t found, uint64_t all, double *low, double *high) {
    const double z = 1.959963984540054, n = (double)all, p = (double)found / n, z2 = z * z / n;
    const double middle = p + z2 / 2, half = z * sqrt(p * (1 - p) / n + z2 / (4 * n));
    *low = found == 0 ? 0 : (middle - half) / (1 + z2);
    *high = found == all ? 1 : (middle + half) / (1 + z2);
}

static double review_of(double prevalence, double recall, double alarms) {
    return prevalence * recall + (1 - prevalence) * alarms;
}

/* Nothing found has no precision; 0 is said of it. */
static double precision_of(double prevalence, double recall, double alarms) {
    const double found = review_of(prevalence, recall, alarms);
    return found > 0 ? prevalence * recall / found : 0;
}

typedef struct point_maker {
    const ade_calibration *calibration;
    double                 prevalence; /* 0: the calibration's own, where counts give exact shares */
} point_maker;

static uint64_t negatives(const ade_calibration *c) { return c->info.n - c->info.n_positive; }

static double precision_at(const point_maker *m, const ade_curve_point *at) {
    const ade_calibration *c = m->calibration;
    const double           tp = (double)at->true_positives, fp = (double)at->false_positives;
    if (m->prevalence > 0)
        return precision_of(m->prevalence, tp / (double)c->info.n_positive, fp / (double)negatives(c));
    return tp + fp > 0 ? tp / (tp + fp) : 0;
}

static double review_at(const point_maker *m, const ade_curve_point *at) {
    const ade_calibration *c = m->calibration;
    const double           tp = (double)at->true_positives, fp = (double)at->false_positives;
    if (m->prevalence > 0) return review_of(m->prevalence, tp / (double)c->info.n_positive, fp / (double)negatives(c));
    return (tp + fp) / (double)c->info.n;
}

static double recall_at(const point_maker *m, const ade_curve_point *at) {
    return (double)at->true_positives / (double)m->calibration->info.n_positive;
}

static void make_point(const point_maker *m, const ade_curve_point *at, ade_operating_point *out) {
    const ade_calibration *c = m->calibration;
    double                 alarms_low, alarms_high;
    const uint32_t         size = out->struct_size;
    *out = (ade_operating_point){.struct_size = size, .threshold = (double)at->score};
    const double prevalence = out->prevalence = m->prevalence > 0 ? m->prevalence : c->info.prevalence;
    out->recall = recall_at(m, at);
    out->precision = precision_at(m, at);
    out->review = review_at(m, at);
    wilson(at->true_positives, c->info.n_positive, &out->recall_low, &out->recall_high);
    wilson(at->false_positives, negatives(c), &alarms_low, &alarms_high);
    out->precision_low = precision_of(prevalence, out->recall_low, alarms_high);
    out->precision_high = precision_of(prevalence, out->recall_high, alarms_low);
    out->review_low = review_of(prevalence, out->recall_low, alarms_low);
    out->review_high = review_of(prevalence, out->recall_high, alarms_high);
    /* the last bits of the two ways to compute a share */
    out->precision_low = fmin(out->precision_low, out->precision);
    out->precision_high = fmax(out->precision_high, out->precision);
    out->review_low = fmin(out->review_low, out->review);
    out->review_high = fmax(out->review_high, out->review);
}

static ade_status find_score(const point_maker *m, double value, ade_curve_point *found) {
    const ade_calibration *c = m->calibration;
    const float            threshold = (float)value;
    if (!isfinite(threshold))
        return ade__fail(ADE_INVALID_ARGUMENT, "a threshold of %g is no number that a score can reach", value);
    *found = (ade_curve_point){.score = threshold};
    for (size_t i = 0; i < c->n_curve && c->curve[i].score >= threshold; i++) {
        found->true_positives = c->curve[i].true_positives;
        found->false_positives = c->curve[i].false_positives;
    }
    return ADE_OK;
}

static ade_status find_recall(const point_maker *m, double value, ade_curve_point *found) {
    const ade_calibration *c = m->calibration;
    size_t                 i = 0;
    while (recall_at(m, &c->curve[i]) < value) i++; /* the last one's is 1 */
    *found = c->curve[i];
    return ADE_OK;
}

static ade_status find_precision(const point_maker *m, double value, ade_curve_point *found) {
    const ade_calibration *c = m->calibration;
    size_t                 best = 0;
    for (size_t i = c->n_curve; i-- > 0;) {
        if (precision_at(m, &c->curve[i]) >= value) {
            *found = c->curve[i];
            return ADE_OK;
        }
        if (precision_at(m, &c->curve[i]) > precision_at(m, &c->curve[best])) best = i;
    }
    return ade__fail(ADE_UNSUPPORTED,
                     "no threshold reaches a precision of %g at a prevalence of %.4g; the best is %.4f, at the score "
                     "%.9g, where recall is %.4f",
                     value, m->prevalence > 0 ? m->prevalence : c->info.prevalence, precision_at(m, &c->curve[best]),
                     (double)c->curve[best].score, recall_at(m, &c->curve[best]));
}

static ade_status find_review(const point_maker *m, double value, ade_curve_point *found) {
    const ade_calibration *c = m->calibration;
    for (size_t i = c->n_curve; i-- > 0;)
        if (review_at(m, &c->curve[i]) <= value) {
            *found = c->curve[i];
            return ADE_OK;
        }
    return ade__fail(
        ADE_UNSUPPORTED,
        "no threshold finds as little as %g of all texts at a prevalence of %.4g; the least is %.4g, at the "
        "score %.9g, which is the highest in the calibration's texts",
        value, m->prevalence > 0 ? m->prevalence : c->info.prevalence, review_at(m, &c->curve[0]),
        (double)c->curve[0].score);
}

ade_status ade__operating_point(const ade_calibration *c, int32_t target, double value, double prevalence,
                                ade_operating_point *point) {
    const point_maker m = {c, prevalence};
    ade_curve_point   found = {0, 0, 0};
    ADE_TRY(ade__prevalence_check(prevalence));
    if (target < ADE_TARGET_SCORE || target > ADE_TARGET_REVIEW)
        return ade__fail(ADE_INVALID_ARGUMENT, "the target is %d, none of ade_target's values", (int)target);
    if (target != ADE_TARGET_SCORE && !(value > 0 && value <= 1))
        return ade__fail(ADE_INVALID_ARGUMENT, "a %s of %g is not possible: give a share above 0 and at most 1",
                         target == ADE_TARGET_RECALL      ? "recall"
                         : target == ADE_TARGET_PRECISION ? "precision"
                                                          : "share to review",
                         value);
    switch ((ade_target)target) {
    case ADE_TARGET_RECALL: ADE_TRY(find_recall(&m, value, &found)); break;
    case ADE_TARGET_PRECISION: ADE_TRY(find_precision(&m, value, &found)); break;
    case ADE_TARGET_REVIEW: ADE_TRY(find_review(&m, value, &found)); break;
    default: ADE_TRY(find_score(&m, value, &found)); break;
    }
    make_point(&m, &found, point);
    return ADE_OK;
}
