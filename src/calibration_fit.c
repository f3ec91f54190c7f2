/* SPDX-License-Identifier: Apache-2.0
 * Fits a calibration to labelled logits: the three methods, what they are worth on texts that they have not seen
 * (cross-validation), which one to keep, and the curve of what each score finds.
 *
 * All three minimise the log-loss of "is it the positive label". Temperature and Platt's line are found by Newton's
 * method; the line is that of an unpenalised logistic regression on the log-odds. Isotonic regression pools adjacent
 * violators; between its points are straight lines, and its values stay within 1/(n + 2) and (n + 1)/(n + 2), Laplace's
 * rule of succession for n texts all of one kind, because 0 and 1 would make one wrong text infinitely bad. */
#include "alloc.h"
#include "calibrate.h"
#include "folder.h"
#include "model.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_OF_A_KIND = 10, DEFAULT_FOLDS = 10, MOST_FOLDS = 100, ECE_BINS = 15 };

/* A curve of more points than this is thinned: see make_curve. */
enum { WHOLE_CURVE = 4000, CURVE_PARTS = 2000 };

/* Beyond these no text tells temperatures apart: the calibrated values are all 0.5, or 0 and 1. */
#define LEAST_BETA 1e-3
#define MOST_BETA 1e3

typedef struct labelled {
    const float *logits;      /* (n, n_labels) */
    const bool  *is_positive; /* (n) */
    double      *m;           /* (n): log-odds of the score */
    size_t      *order;       /* (n): texts by falling m */
    uint8_t     *fold;        /* (n) */
    size_t       n, n_positive;
    int32_t      n_labels, positive;
    bool         in_f64; /* the scores are a baseline's */
    int          folds;
} labelled;

enum { NO_FOLD = -1 }; /* all texts are for fitting */

static bool is_for_fitting(const labelled *d, size_t i, int fold) { return (int)d->fold[i] != fold; }

static double log_loss_of(double log_odds, bool is_positive) {
    const double x = is_positive ? -log_odds : log_odds;
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* ---- Temperature ------------------------------------------------------------------------------------------------- */

/* The log-loss at softmax(beta logits), and its first two derivatives by beta; the second one is exact for two labels,
 * and else good enough a guess for Newton's method within a bracket. */
static double temperature_loss(const labelled *d, int fold, double beta, double *first, double *second) {
    double loss = 0;
    *first = *second = 0;
    for (size_t i = 0; i < d->n; i++) {
        double slope;
        if (!is_for_fitting(d, i, fold)) continue;
        const double x = ade__log_odds(d->logits + i * (size_t)d->n_labels, d->n_labels, d->positive, beta, &slope);
        const double p = ade__sigmoid(x);
        loss += log_loss_of(x, d->is_positive[i]);
        *first += (p - (d->is_positive[i] ? 1.0 : 0.0)) * slope;
        *second += p * (1 - p) * slope * slope;
    }
    return loss;
}

static double fit_temperature(const labelled *d, int fold) {
    enum { GRID = 25 };
    double low = LEAST_BETA, high = MOST_BETA, first, second;
    if (d->n_labels > 2) { /* the loss may have several valleys: the best of a grid tells which */
        const double step = pow(MOST_BETA / LEAST_BETA, 1.0 / (GRID - 1));
        double       best = INFINITY, at = 1;
        for (int i = 0; i < GRID; i++) {
            const double beta = LEAST_BETA * pow(step, i), loss = temperature_loss(d, fold, beta, &first, &second);
            if (loss < best) {
                best = loss;
                at = beta;
            }
        }
        low = fmax(LEAST_BETA, at / step);
        high = fmin(MOST_BETA, at * step);
    }
    double beta = fmin(fmax(1, low), high);
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        (void)temperature_loss(d, fold, beta, &first, &second);
        if (first > 0)
            high = beta;
        else
            low = beta;
        double next = second > 0 ? beta - first / second : low;
        if (!(next > low && next < high)) next = high / low > 4 ? sqrt(low * high) : (low + high) / 2;
        if (fabs(next - beta) <= 1e-14 * beta) break;
        beta = next;
    }
    return 1 / beta;
}

/* ---- Platt ------------------------------------------------------------------------------------------------------- */

typedef struct line {
    double slope, offset;
} line;

static double line_loss(const labelled *d, int fold, double middle, double spread, line l) {
    double loss = 0;
    for (size_t i = 0; i < d->n; i++)
        if (is_for_fitting(d, i, fold))
            loss += log_loss_of(l.slope * (d->m[i] - middle) / spread + l.offset, d->is_positive[i]);
    return loss;
}

/* One step of Newton's method on m scaled to mean 0 and deviation 1. */
static line newton_step(const labelled *d, int fold, double middle, double spread, line l) {
    double ga = 0, gb = 0, haa = 1e-12, hab = 0, hbb = 1e-12;
    for (size_t i = 0; i < d->n; i++) {
        if (!is_for_fitting(d, i, fold)) continue;
        const double x = (d->m[i] - middle) / spread, p = ade__sigmoid(l.slope * x + l.offset);
        const double wrong = p - (d->is_positive[i] ? 1.0 : 0.0), weight = p * (1 - p);
        ga += wrong * x;
        gb += wrong;
        haa += weight * x * x;
        hab += weight * x;
        hbb += weight;
    }
    const double det = haa * hbb - hab * hab;
    return (line){-(hbb * ga - hab * gb) / det, -(haa * gb - hab * ga) / det};
}

/* Where a line parts the two kinds, the steeper the better, without end: it stops at a loss that nobody will notice. */
static line fit_line(const labelled *d, int fold) {
    double sum = 0, squares = 0, n = 0, positive = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (!is_for_fitting(d, i, fold)) continue;
        n++;
        sum += d->m[i];
        positive += d->is_positive[i] ? 1.0 : 0.0;
    }
    const double middle = sum / n;
    for (size_t i = 0; i < d->n; i++)
        if (is_for_fitting(d, i, fold)) squares += (d->m[i] - middle) * (d->m[i] - middle);
    const double spread = squares > 0 ? sqrt(squares / n) : 1;
    line         l = {0, log(positive) - log(n - positive)};
    double       loss = line_loss(d, fold, middle, spread, l);
    for (int i = 0; i < 200 && squares > 0 && loss > 1e-9 * n; i++) {
        const line step = newton_step(d, fold, middle, spread, l);
        line       next = l;
        double     part = 1, next_loss = INFINITY;
        for (int halving = 0; halving < 40 && !(next_loss <= loss); halving++, part /= 2) {
            next = (line){l.slope + part * step.slope, l.offset + part * step.offset};
            next_loss = line_loss(d, fold, middle, spread, next);
        }
        if (!(next_loss <= loss)) break;
        const bool done = fabs(next.slope - l.slope) <= 1e-13 * fabs(next.slope) + 1e-300 &&
                          fabs(next.offset - l.offset) <= 1e-13 * (fabs(next.offset) + 1);
        l = next;
        loss = next_loss;
        if (done) break;
    }
    return (line){l.slope / spread, l.offset - l.slope * middle / spread};
}

/* ---- Isotonic ---------------------------------------------------------------------------------------------------- */

typedef struct block { /* neighbours in m that share one value */
    double first, last;
    double n, positive;
} block;

static double value_of(const block *b) { return b->positive / b->n; }

static ade_status fit_isotonic(const labelled *d, int fold, ade_calibration_map *map) {
    size_t n_blocks = 0, n = 0;
    block *blocks = ade__calloc(d->n, sizeof *blocks);
    if (!blocks) return ADE_OUT_OF_MEMORY;
    for (size_t k = d->n; k-- > 0;) { /* by rising m */
        const size_t i = d->order[k];
        if (!is_for_fitting(d, i, fold)) continue;
        n++;
        if (n_blocks == 0 || d->m[i] != blocks[n_blocks - 1].last) blocks[n_blocks++] = (block){d->m[i], d->m[i], 0, 0};
        blocks[n_blocks - 1].n++;
        blocks[n_blocks - 1].positive += d->is_positive[i] ? 1.0 : 0.0;
    }
    size_t top = 0;
    for (size_t i = 1; i < n_blocks; i++) {
        blocks[++top] = blocks[i];
        while (top > 0 && value_of(&blocks[top - 1]) >= value_of(&blocks[top])) {
            blocks[top - 1].last = blocks[top].last;
            blocks[top - 1].n += blocks[top].n;
            blocks[top - 1].positive += blocks[top].positive;
            top--;
        }
    }
    const double least = 1 / ((double)n + 2);
    map->log_odds = ade__calloc(2 * (top + 1), sizeof *map->log_odds);
    map->probabilities = ade__calloc(2 * (top + 1), sizeof *map->probabilities);
    map->n_points = 0;
    for (size_t i = 0; i <= top && map->log_odds && map->probabilities; i++) {
        const double value = fmin(fmax(value_of(&blocks[i]), least), 1 - least);
        for (int end = 0; end < (blocks[i].last > blocks[i].first ? 2 : 1); end++) {
            map->log_odds[map->n_points] = end ? blocks[i].last : blocks[i].first;
            map->probabilities[map->n_points++] = value;
        }
    }
    ade__free(blocks);
    return map->log_odds && map->probabilities ? ADE_OK : ADE_OUT_OF_MEMORY;
}

/* ---- A method, fitted and measured ------------------------------------------------------------------------------- */

static void clear_map(ade_calibration_map *map) {
    ade__free(map->log_odds);
    ade__free(map->probabilities);
    *map = (ade_calibration_map){0};
}

/* *usable = false: the line falls, which would turn the order of the scores round. */
static ade_status fit_map(const labelled *d, int32_t method, int fold, ade_calibration_map *map, bool *usable) {
    *map = (ade_calibration_map){.method = method};
    *usable = true;
    if (method == ADE_CALIBRATION_TEMPERATURE) {
        map->temperature = fit_temperature(d, fold);
    } else if (method == ADE_CALIBRATION_PLATT) {
        const line l = fit_line(d, fold);
        map->slope = l.slope;
        map->offset = l.offset;
        *usable = l.slope >= 0 && isfinite(l.slope) && isfinite(l.offset);
    } else {
        const ade_status status = fit_isotonic(d, fold, map);
        if (status != ADE_OK) clear_map(map);
        return status;
    }
    return ADE_OK;
}

/* out (n): the log-odds that each text gets from what was fitted without its fold. */
static ade_status cross_validate(const labelled *d, int32_t method, double *out, bool *usable) {
    *usable = true;
    for (int fold = 0; fold < d->folds && *usable; fold++) {
        ade_calibration_map map;
        ADE_TRY(fit_map(d, method, fold, &map, usable));
        for (size_t i = 0; i < d->n; i++)
            if (!is_for_fitting(d, i, fold))
                out[i] =
                    ade__calibration_map_apply(&map, d->logits + i * (size_t)d->n_labels, d->n_labels, d->positive);
        clear_map(&map);
    }
    return ADE_OK;
}

typedef struct measures {
    double log_loss, brier, ece;
} measures;

static measures measure(const labelled *d, const double *log_odds) {
    measures m = {0, 0, 0};
    double   said[ECE_BINS] = {0}, was[ECE_BINS] = {0};
    for (size_t i = 0; i < d->n; i++) {
        const double p = ade__sigmoid(log_odds[i]), y = d->is_positive[i] ? 1.0 : 0.0;
        int          bin = (int)(p * ECE_BINS);
        if (bin >= ECE_BINS) bin = ECE_BINS - 1;
        said[bin] += p;
        was[bin] += y;
        m.log_loss += log_loss_of(log_odds[i], d->is_positive[i]);
        m.brier += (p - y) * (p - y);
    }
    for (int bin = 0; bin < ECE_BINS; bin++) m.ece += fabs(said[bin] - was[bin]);
    return (measures){m.log_loss / (double)d->n, m.brier / (double)d->n, m.ece / (double)d->n};
}

/* Whether the log-loss of `better` is lower than that of `kept` by more than one standard error of the difference,
 * taken text by text. */
static bool is_clearly_better(const labelled *d, const double *better, const double *kept) {
    const double n = (double)d->n;
    double       sum = 0, squares = 0;
    for (size_t i = 0; i < d->n; i++)
        sum += log_loss_of(kept[i], d->is_positive[i]) - log_loss_of(better[i], d->is_positive[i]);
    for (size_t i = 0; i < d->n; i++) {
        const double gain = log_loss_of(kept[i], d->is_positive[i]) - log_loss_of(better[i], d->is_positive[i]);
        squares += (gain - sum / n) * (gain - sum / n);
    }
    return sum / n > sqrt(squares / (n - 1) / n);
}

/* Finds the method if none is given; *log_odds (n), allocated by the caller like *other, are the cross-validated ones
 * of what is kept. */
static ade_status choose(const labelled *d, int32_t wanted, int32_t *method, double **log_odds, double **other) {
    bool usable;
    *method = wanted == ADE_CALIBRATION_AUTO ? ADE_CALIBRATION_TEMPERATURE : wanted;
    ADE_TRY(cross_validate(d, *method, *log_odds, &usable));
    if (!usable)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "the scores of the positive texts are not higher than those of the others, "
                         "so no rising line fits them; check the labels and the positive label");
    if (wanted != ADE_CALIBRATION_AUTO) return ADE_OK;
    for (int32_t next = ADE_CALIBRATION_PLATT; next <= ADE_CALIBRATION_ISOTONIC; next++) {
        ADE_TRY(cross_validate(d, next, *other, &usable));
        if (!usable || !is_clearly_better(d, *other, *log_odds)) continue;
        double *was = *log_odds;
        *log_odds = *other;
        *other = was;
        *method = next;
    }
    return ADE_OK;
}

/* ---- The curve --------------------------------------------------------------------------------------------------- */

static int by_falling_score(const void *a, const void *b) {
    const float x = ((const ade_curve_point *)a)->score, y = ((const ade_curve_point *)b)->score;
    return (x < y) - (x > y);
}

/* Up to WHOLE_CURVE different scores are all kept. Of more, one is kept where, since the last one kept, the positive or
 * the negative texts have grown by a CURVE_PARTSth of their number, and the last one: what a kept score finds is exact,
 * and a wanted recall is missed upwards by less than 1/CURVE_PARTS. */
static ade_status make_curve(const labelled *d, ade_calibration *c) {
    const uint64_t positives = d->n_positive, negatives = d->n - d->n_positive;
    size_t         n = 0;
    c->curve = ade__calloc(d->n, sizeof *c->curve);
    if (!c->curve) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < d->n; i++) {
        const float *logits = d->logits + i * (size_t)d->n_labels;
        const float  score = d->in_f64 ? ade__softmax_score_f64(logits, d->n_labels, d->positive)
                                       : ade__softmax_score(logits, d->n_labels, d->positive);
        c->curve[i] = (ade_curve_point){score, d->is_positive[i], !d->is_positive[i]};
    }
    qsort(c->curve, d->n, sizeof *c->curve, by_falling_score);
    for (size_t i = 0; i < d->n; i++) {
        const ade_curve_point add = c->curve[i];
        if (i == 0 || add.score != c->curve[n - 1].score) {
            c->curve[n] = n > 0 ? c->curve[n - 1] : (ade_curve_point){0, 0, 0};
            c->curve[n++].score = add.score;
        }
        c->curve[n - 1].true_positives += add.true_positives;
        c->curve[n - 1].false_positives += add.false_positives;
    }
    c->n_curve = n;
    if (n <= WHOLE_CURVE) return ADE_OK;
    c->n_curve = 0;
    for (size_t i = 0; i < n; i++) {
        const ade_curve_point *kept = c->n_curve > 0 ? &c->curve[c->n_curve - 1] : NULL;
        const uint64_t         found = c->curve[i].true_positives - (kept ? kept->true_positives : 0);
        const uint64_t         alarms = c->curve[i].false_positives - (kept ? kept->false_positives : 0);
        if (!kept || found * CURVE_PARTS >= positives || alarms * CURVE_PARTS >= negatives || i == n - 1)
            c->curve[c->n_curve++] = c->curve[i];
    }
    return ADE_OK;
}

/* ---- All together ------------------------------------------------------------------------------------------------ */

static ade_status check(const ade_model *model, const float *logits, const int32_t *labels, size_t n,
                        const ade_calibration_options *o, size_t *n_positive) {
    const ade_model_config *config = &model->config;
    const size_t            n_labels = (size_t)config->n_labels;
    *n_positive = 0;
    if (config->problem != ADE_PROBLEM_SINGLE_LABEL || n_labels < 2)
        return ade__fail(ADE_UNSUPPORTED, "%s is a %s model; only one that chooses one of its labels can be calibrated",
                         model->name, config->problem == ADE_PROBLEM_REGRESSION ? "regression" : "multi-label");
    if (o->method < ADE_CALIBRATION_AUTO || o->method > ADE_CALIBRATION_ISOTONIC)
        return ade__fail(ADE_INVALID_ARGUMENT, "the method is %d, none of ade_calibration_method's values",
                         (int)o->method);
    if (o->folds != 0 && (o->folds < 2 || o->folds > MOST_FOLDS))
        return ade__fail(ADE_INVALID_ARGUMENT, "%d folds are not possible: give 2 to %d, or 0 for %d", (int)o->folds,
                         (int)MOST_FOLDS, (int)DEFAULT_FOLDS);
    if (o->reserved)
        return ade__fail(ADE_INVALID_ARGUMENT, "the reserved member of ade_calibration_options is %d and must be 0",
                         (int)o->reserved);
    for (const char *at = o->data ? o->data : ""; *at; at++)
        if ((unsigned char)*at < 0x20)
            return ade__fail(ADE_INVALID_ARGUMENT, "the note on the data must be one line, without control characters");
    if (o->data && ade__utf8_valid(o->data, strlen(o->data)) != strlen(o->data))
        return ade__fail(ADE_INVALID_ARGUMENT, "the note on the data is not valid UTF-8");
    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= config->n_labels)
            return ade__fail(ADE_INVALID_ARGUMENT, "text %zu: the label %d is out of range; the model's are 0 to %d", i,
                             (int)labels[i], (int)config->n_labels - 1);
        for (size_t k = 0; k < n_labels; k++)
            if (!isfinite(logits[i * n_labels + k]))
                return ade__fail(ADE_INVALID_ARGUMENT, "text %zu: logit %zu is not a finite number", i, k);
        *n_positive += labels[i] == config->positive_label;
    }
    if (*n_positive < LEAST_OF_A_KIND || n - *n_positive < LEAST_OF_A_KIND)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "there are %zu texts with the label \"%s\" and %zu with another one; a calibration needs at "
                         "least %d of both kinds, and is good from some hundreds on",
                         *n_positive, config->labels[config->positive_label], n - *n_positive, (int)LEAST_OF_A_KIND);
    return ADE_OK;
}

static uint64_t next_random(uint64_t *state) { /* SplitMix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Stratified: texts of each kind are shuffled and dealt out in turn. `order` is scratch. */
static void deal_folds(labelled *d, uint64_t seed) {
    size_t dealt = 0;
    for (int kind = 0; kind < 2; kind++) {
        size_t n = 0;
        for (size_t i = 0; i < d->n; i++)
            if (d->is_positive[i] == (kind == 0)) d->order[n++] = i;
        for (size_t i = n; i > 1; i--) {
            const size_t other = (size_t)(next_random(&seed) % i), was = d->order[i - 1];
            d->order[i - 1] = d->order[other];
            d->order[other] = was;
        }
        for (size_t i = 0; i < n; i++) d->fold[d->order[i]] = (uint8_t)(dealt++ % (size_t)d->folds);
    }
}

typedef struct placed {
    double m;
    size_t index;
} placed;

static int by_falling_m(const void *a, const void *b) {
    const double x = ((const placed *)a)->m, y = ((const placed *)b)->m;
    return (x < y) - (x > y);
}

static ade_status sort_texts(labelled *d) {
    placed *all = ade__calloc(d->n, sizeof *all);
    if (!all) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < d->n; i++) all[i] = (placed){d->m[i], i};
    qsort(all, d->n, sizeof *all, by_falling_m);
    for (size_t i = 0; i < d->n; i++) d->order[i] = all[i].index;
    ade__free(all);
    return ADE_OK;
}

/* Fills what the file says, from data that is ready. */
static ade_status fit_all(const labelled *d, int32_t wanted, double **log_odds, double **other, ade_calibration *c) {
    bool           usable;
    const measures before = measure(d, d->m);
    ADE_TRY(choose(d, wanted, &c->info.method, log_odds, other));
    const measures after = measure(d, *log_odds);
    ADE_TRY(fit_map(d, c->info.method, NO_FOLD, &c->map, &usable));
    if (!usable)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "no rising line fits the scores; check the labels and the positive label");
    c->info.n = d->n;
    c->info.n_positive = d->n_positive;
    c->info.prevalence = (double)d->n_positive / (double)d->n;
    c->info.log_loss_before = before.log_loss;
    c->info.log_loss_after = after.log_loss;
    c->brier_before = before.brier;
    c->brier_after = after.brier;
    c->info.ece_before = before.ece;
    c->info.ece_after = after.ece;
    return make_curve(d, c);
}

static ade_status write_to(const ade_calibration *c, const ade_model *model, const char *path) {
    char *own = path ? NULL : ade__join_path(model->folder, ADE_CALIBRATION_FILE);
    if (!path && !own) return ADE_OUT_OF_MEMORY;
    const ade_status status = ade__calibration_write(c, model->config.labels, path ? path : own);
    ade__free(own);
    return status;
}

ade_status ade__calibration_fit(const ade_model *model, const float *logits, const int32_t *labels, size_t n,
                                const ade_calibration_options *options, const char *path) {
    const ade_model_config *config = &model->config;
    size_t                  n_positive;
    char                    hash[sizeof model->hash];
    ADE_TRY(check(model, logits, labels, n, options, &n_positive));
    ade_calibration *c = ade__calloc(1, sizeof *c);
    bool            *is_positive = ade__calloc(n, sizeof *is_positive);
    double          *log_odds = ade__calloc(n, sizeof *log_odds), *other = ade__calloc(n, sizeof *other);
    labelled         d = {.logits = logits,
                          .is_positive = is_positive,
                          .m = ade__calloc(n, sizeof *d.m),
                          .order = ade__calloc(n, sizeof *d.order),
                          .fold = ade__calloc(n, sizeof *d.fold),
                          .n = n,
                          .n_positive = n_positive,
                          .n_labels = config->n_labels,
                          .positive = config->positive_label,
                          .in_f64 = model->baseline != NULL,
                          .folds = options->folds ? options->folds : DEFAULT_FOLDS};
    ade_status       status = ADE_OUT_OF_MEMORY;
    if (!c || !is_positive || !log_odds || !other || !d.m || !d.order || !d.fold) goto done;
    c->info.data = ade__strdup(options->data ? options->data : "");
    if (!c->info.data) goto done;
    ADE_TRY_GOTO(ade__model_hash((ade_model *)(uintptr_t)model, hash), done); /* computed once, under the model's lock */
    c->info.model = ade__strdup(hash);
    status = ADE_OUT_OF_MEMORY;
    if (!c->info.model) goto done;
    c->n_labels = config->n_labels;
    c->positive = config->positive_label;
    c->folds = d.folds;
    c->seed = options->seed;
    for (size_t i = 0; i < n; i++) {
        is_positive[i] = labels[i] == config->positive_label;
        d.m[i] = ade__log_odds(logits + i * (size_t)d.n_labels, d.n_labels, d.positive, 1, NULL);
    }
    deal_folds(&d, options->seed);
    ADE_TRY_GOTO(sort_texts(&d), done);
    ADE_TRY_GOTO(fit_all(&d, options->method, &log_odds, &other, c), done);
    status = write_to(c, model, path);
done:
    ade__calibration_free(c);
    ade__free(is_positive);
    ade__free(log_odds);
    ade__free(other);
    ade__free(d.m);
    ade__free(d.order);
    ade__free(d.fold);
    return status;
}
