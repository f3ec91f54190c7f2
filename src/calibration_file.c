/* SPDX-License-Identifier: Apache-2.0
 * calibration.json: reading it with every check, and writing it.
 *
 *   format "adesieve calibration", version 1, adesieve (the version that wrote it)
 *   labels, positive (index of the positive one)
 *   method, and temperature | slope, offset | log_odds[], probabilities[]
 *   model (SHA-256 of the model that it was made for; older files have none)
 *   n, n_positive, prevalence, folds, seed, data
 *   log_loss, brier, ece: { before, after }; after is cross-validated
 *   scores[], true_positives[], false_positives[]: the curve, scores falling
 *
 * Numbers are written with the digits that give the same float (scores) or double (all others) back. */
#define _GNU_SOURCE
#include "alloc.h"
#include "calibrate.h"
#include "json.h"
#include "status.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT "adesieve calibration"
#define VERSION 1
#define LARGEST_FILE ((size_t)64 << 20)
#define LARGEST_COUNT ((uint64_t)1 << 53) /* whole numbers that a double holds */

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

typedef struct reader {
    const char *where; /* the file */
    json_t     *root;
} reader;

#define CURE "; make it anew with adesieve calibrate"
#define BAD(r, ...) ade__fail_prefix(ade__fail(ADE_BAD_MODEL, __VA_ARGS__), (r)->where)

static ade_status get_real(const reader *r, const json_t *object, const char *key, double low, double high,
                           double *out) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) return BAD(r, "\"%s\" is missing or no number" CURE, key);
    const double number = json_number_value(value);
    if (!(number >= low && number <= high))
        return BAD(r, "\"%s\" is %g; it must be from %g to %g" CURE, key, number, low, high);
    *out = number;
    return ADE_OK;
}

static ade_status get_count(const reader *r, const char *key, uint64_t low, uint64_t high, uint64_t *out) {
    const json_t *value = json_object_get(r->root, key);
    if (!json_is_integer(value)) return BAD(r, "\"%s\" is missing or no whole number" CURE, key);
    const json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number < low || (uint64_t)number > high)
        return BAD(r, "\"%s\" is %lld; it must be from %llu to %llu" CURE, key, (long long)number,
                   (unsigned long long)low, (unsigned long long)high);
    *out = (uint64_t)number;
    return ADE_OK;
}

/* A list of `count` items, or of any number above 0 where that is 0. */
static ade_status get_list(const reader *r, const char *key, size_t count, const json_t **out) {
    const json_t *list = json_object_get(r->root, key);
    if (!json_is_array(list)) return BAD(r, "\"%s\" is missing or no list" CURE, key);
    if (json_array_size(list) == 0) return BAD(r, "\"%s\" is empty" CURE, key);
    if (count > 0 && json_array_size(list) != count)
        return BAD(r, "\"%s\" has %zu items; it must have %zu, as the list before it" CURE, key, json_array_size(list),
                   count);
    *out = list;
    return ADE_OK;
}

static ade_status get_item(const reader *r, const json_t *list, const char *key, size_t index, double *out) {
    const json_t *item = json_array_get(list, index);
    if (!json_is_number(item) || !isfinite(json_number_value(item)))
        return BAD(r, "item %zu of \"%s\" is no number" CURE, index, key);
    *out = json_number_value(item);
    return ADE_OK;
}

static ade_status check_format(const reader *r) {
    const char *format = json_string_value(json_object_get(r->root, "format"));
    uint64_t    version = 0;
    if (!format || strcmp(format, FORMAT) != 0)
        return BAD(r, "\"format\" is not \"" FORMAT "\", so this is another program's file; remove it or make it anew "
                      "with adesieve calibrate");
    ADE_TRY(get_count(r, "version", 1, LARGEST_COUNT, &version));
    if (version > VERSION)
        return BAD(r,
                   "it is of version %llu, this adesieve reads version %d; use a newer one, or make it anew with "
                   "adesieve calibrate",
                   (unsigned long long)version, VERSION);
    return ADE_OK;
}

static ptrdiff_t place_of(const char *name, char *const *labels, int32_t n_labels) {
    for (int32_t i = 0; i < n_labels; i++)
        if (strcmp(name, labels[i]) == 0) return i;
    return -1;
}

/* The same names in another order are another model's. Other names may be the same labels, given anew when the
 * calibration was made. */
static ade_status check_names(const reader *r, const json_t *list, char *const *labels, int32_t n_labels,
                              const ade_log *log) {
    for (int32_t i = 0; i < n_labels; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        if (strcmp(name, labels[i]) == 0) continue;
        if (place_of(name, labels, n_labels) >= 0)
            return BAD(r, "label %d is \"%s\" in it and \"%s\" in the model; it belongs to another one" CURE, (int)i,
                       name, labels[i]);
        ade__log(log, ADE_LOG_WARNING,
                 "%s: label %d is \"%s\" in it and \"%s\" in the model; if it is this model's, give the model the same "
                 "labels as when it was made, or make it anew with adesieve calibrate",
                 r->where, (int)i, name, labels[i]);
        return ADE_OK;
    }
    return ADE_OK;
}

/* *applies: the calibration is of this positive label. */
static ade_status check_labels(const reader *r, char *const *labels, int32_t n_labels, int32_t positive, bool renamed,
                               const ade_log *log, bool *applies) {
    const json_t *list = NULL;
    uint64_t      found = 0;
    ADE_TRY(get_list(r, "labels", 0, &list));
    if (json_array_size(list) != (size_t)n_labels)
        return BAD(r, "\"labels\" names %zu labels, and the model has %d; it belongs to another model" CURE,
                   json_array_size(list), (int)n_labels);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i))) return BAD(r, "item %zu of \"labels\" is no text" CURE, i);
    if (!renamed) ADE_TRY(check_names(r, list, labels, n_labels, log));
    ADE_TRY(get_count(r, "positive", 0, (uint64_t)n_labels - 1, &found));
    *applies = found == (uint64_t)positive;
    if (*applies) return ADE_OK;
    ade__log(
        log, ADE_LOG_WARNING,
        "%s: the calibration is of label number %llu, and the positive label is number %d (\"%s\"); it is left out",
        r->where, (unsigned long long)found, (int)positive, labels[positive]);
    return ADE_OK;
}

static ade_status read_points(const reader *r, ade_calibration_map *map) {
    const json_t *x = NULL, *y = NULL;
    ADE_TRY(get_list(r, "log_odds", 0, &x));
    ADE_TRY(get_list(r, "probabilities", json_array_size(x), &y));
    const size_t n = json_array_size(x);
    map->log_odds = ade__calloc(n, sizeof *map->log_odds);
    map->probabilities = ade__calloc(n, sizeof *map->probabilities);
    if (!map->log_odds || !map->probabilities) return ADE_OUT_OF_MEMORY;
    map->n_points = n;
    for (size_t i = 0; i < n; i++) {
        ADE_TRY(get_item(r, x, "log_odds", i, &map->log_odds[i]));
        ADE_TRY(get_item(r, y, "probabilities", i, &map->probabilities[i]));
        if (!(map->probabilities[i] > 0 && map->probabilities[i] < 1))
            return BAD(r, "item %zu of \"probabilities\" is %g; it must lie between 0 and 1" CURE, i,
                       map->probabilities[i]);
        if (i > 0 && !(map->log_odds[i] > map->log_odds[i - 1]))
            return BAD(r, "item %zu of \"log_odds\" does not rise" CURE, i);
        if (i > 0 && map->probabilities[i] < map->probabilities[i - 1])
            return BAD(r, "item %zu of \"probabilities\" falls" CURE, i);
    }
    return ADE_OK;
}

static ade_status read_map(const reader *r, ade_calibration_map *map) {
    const char *method = json_string_value(json_object_get(r->root, "method"));
    for (map->method = ADE_CALIBRATION_ISOTONIC; map->method > 0; map->method--)
        if (method && strcmp(method, ade__calibration_method_name(map->method)) == 0) break;
    switch ((ade_calibration_method)map->method) {
    case ADE_CALIBRATION_TEMPERATURE: return get_real(r, r->root, "temperature", 1e-6, 1e6, &map->temperature);
    case ADE_CALIBRATION_PLATT:
        ADE_TRY(get_real(r, r->root, "slope", 0, 1e300, &map->slope));
        return get_real(r, r->root, "offset", -1e300, 1e300, &map->offset);
    case ADE_CALIBRATION_ISOTONIC: return read_points(r, map);
    default:
        return BAD(r, "\"method\" is %s%s%s; it must be temperature, platt or isotonic" CURE, method ? "\"" : "",
                   method ? method : "missing", method ? "\"" : "");
    }
}

static ade_status get_pair(const reader *r, const char *key, double high, double *before, double *after) {
    const json_t *pair = json_object_get(r->root, key);
    if (!json_is_object(pair)) return BAD(r, "\"%s\" is missing or no object with \"before\" and \"after\"" CURE, key);
    ade_status status = get_real(r, pair, "before", 0, high, before);
    if (status == ADE_OK) status = get_real(r, pair, "after", 0, high, after);
    return status;
}

/* 64 digits, as ade_model_hash writes them; NULL is fine. */
static ade_status check_digest(const reader *r, const json_t *model) {
    const char *text = json_string_value(model);
    if (!model || (text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64)) return ADE_OK;
    return BAD(r, "\"model\" is no SHA-256 in lower-case hexadecimal" CURE);
}

static ade_status read_facts(const reader *r, ade_calibration *c) {
    const json_t *data = json_object_get(r->root, "data"), *model = json_object_get(r->root, "model");
    uint64_t      folds = 0;
    double        said = 0;
    ADE_TRY(get_count(r, "n", 2, LARGEST_COUNT, &c->info.n));
    ADE_TRY(get_count(r, "n_positive", 1, c->info.n - 1, &c->info.n_positive));
    c->info.prevalence = (double)c->info.n_positive / (double)c->info.n;
    ADE_TRY(get_real(r, r->root, "prevalence", 0, 1, &said));
    if (fabs(said - c->info.prevalence) > 1e-9)
        return BAD(r, "\"prevalence\" is %g, and \"n_positive\" / \"n\" is %g" CURE, said, c->info.prevalence);
    ADE_TRY(get_pair(r, "log_loss", 1e300, &c->info.log_loss_before, &c->info.log_loss_after));
    ADE_TRY(get_pair(r, "brier", 1, &c->brier_before, &c->brier_after));
    ADE_TRY(get_pair(r, "ece", 1, &c->info.ece_before, &c->info.ece_after));
    ADE_TRY(get_count(r, "folds", 2, 100, &folds));
    c->folds = (int32_t)folds;
    if (!json_is_string(data)) return BAD(r, "\"data\" is missing or no text" CURE);
    ADE_TRY(check_digest(r, model));
    c->info.data = ade__strdup(json_string_value(data));
    if (model) c->info.model = ade__strdup(json_string_value(model));
    return c->info.data && (c->info.model || !model) ? ADE_OK : ADE_OUT_OF_MEMORY;
}

static ade_status read_counts(const reader *r, const json_t *list, const char *key, size_t index, uint64_t least,
                              uint64_t most, uint64_t *out) {
    const json_t *item = json_array_get(list, index);
    if (!json_is_integer(item)) return BAD(r, "item %zu of \"%s\" is no whole number" CURE, index, key);
    const json_int_t count = json_integer_value(item);
    if (count < 0 || (uint64_t)count < least || (uint64_t)count > most)
        return BAD(r, "item %zu of \"%s\" is %lld; it must be from %llu to %llu" CURE, index, key, (long long)count,
                   (unsigned long long)least, (unsigned long long)most);
    *out = (uint64_t)count;
    return ADE_OK;
}

static ade_status read_curve(const reader *r, ade_calibration *c) {
    const uint64_t negatives = c->info.n - c->info.n_positive;
    const json_t  *scores = NULL, *found = NULL, *alarms = NULL;
    ADE_TRY(get_list(r, "scores", 0, &scores));
    const size_t n = json_array_size(scores);
    ADE_TRY(get_list(r, "true_positives", n, &found));
    ADE_TRY(get_list(r, "false_positives", n, &alarms));
    c->curve = ade__calloc(n, sizeof *c->curve);
    if (!c->curve) return ADE_OUT_OF_MEMORY;
    c->n_curve = n;
    for (size_t i = 0; i < n; i++) {
        ade_curve_point *at = &c->curve[i];
        const uint64_t   tp = i > 0 ? at[-1].true_positives : 0, fp = i > 0 ? at[-1].false_positives : 0;
        double           score = 0;
        ADE_TRY(get_item(r, scores, "scores", i, &score));
        if (!(score >= 0 && score <= 1))
            return BAD(r, "item %zu of \"scores\" is %g; it must be from 0 to 1" CURE, i, score);
        at->score = (float)score;
        if (i > 0 && !(at->score < at[-1].score)) return BAD(r, "item %zu of \"scores\" does not fall" CURE, i);
        ADE_TRY(read_counts(r, found, "true_positives", i, tp, c->info.n_positive, &at->true_positives));
        ADE_TRY(read_counts(r, alarms, "false_positives", i, fp, negatives, &at->false_positives));
        if (at->true_positives + at->false_positives == tp + fp)
            return BAD(r, "item %zu of \"scores\" finds no more texts than the one before it" CURE, i);
    }
    if (c->curve[n - 1].true_positives != c->info.n_positive || c->curve[n - 1].false_positives != negatives)
        return BAD(r,
                   "the last score finds %llu positive and %llu negative texts, and \"n\" and \"n_positive\" say that "
                   "there are %llu and %llu" CURE,
                   (unsigned long long)c->curve[n - 1].true_positives,
                   (unsigned long long)c->curve[n - 1].false_positives, (unsigned long long)c->info.n_positive,
                   (unsigned long long)negatives);
    return ADE_OK;
}

static ade_status read_all(const reader *r, ade_calibration *c) {
    ADE_TRY(read_facts(r, c));
    ADE_TRY(read_map(r, &c->map));
    ADE_TRY(read_curve(r, c));
    c->info.method = c->map.method;
    c->info.temperature = c->map.temperature;
    c->info.slope = c->map.slope;
    c->info.offset = c->map.offset;
    return ADE_OK;
}

/* Takes a path apart, so that folder.c can open it with its care. */
static ade_status read_json(const char *folder, const char *path, char **where, json_t **root) {
    if (!path) {
        *where = ade__join_path(folder, ADE_CALIBRATION_FILE);
        return *where ? ade__json_read(folder, ADE_CALIBRATION_FILE, LARGEST_FILE, 0, NULL, root) : ADE_OUT_OF_MEMORY;
    }
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char       *parent = !slash ? ade__strdup(".") : ade__strndup(path, slash == path ? 1 : (size_t)(slash - path));
    *where = ade__strdup(path);
    ade_status status =
        parent && *where ? ade__json_read(parent, name, LARGEST_FILE, 0, NULL, root) : ADE_OUT_OF_MEMORY;
    ade__free(parent);
    if (status == ADE_OK && !*root)
        return ade__fail(ADE_IO, "%s: there is no such file; adesieve calibrate --output %s makes it", path, path);
    return status;
}

ade_status ade__calibration_read(const char *folder, const char *path, char *const *labels, int32_t n_labels,
                                 int32_t positive, bool renamed, const ade_log *log, ade_calibration **out) {
    json_t          *root = NULL;
    char            *where = NULL;
    ade_calibration *c = NULL;
    bool             applies = true;
    *out = NULL;
    ade_status status = read_json(folder, path, &where, &root);
    if (status == ADE_OK && root) {
        const reader r = {where, root};
        c = ade__calloc(1, sizeof *c);
        status = c ? check_format(&r) : ADE_OUT_OF_MEMORY;
        if (status == ADE_OK) status = check_labels(&r, labels, n_labels, positive, renamed, log, &applies);
        if (status == ADE_OK) status = read_all(&r, c);
        if (c) {
            c->n_labels = n_labels;
            c->positive = positive;
        }
    }
    if (status == ADE_OK && applies)
        *out = c;
    else
        ade__calibration_free(c);
    json_decref(root);
    ade__free(where);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

typedef struct writer {
    char  *data;
    size_t size, capacity;
    bool   failed; /* out of memory; all later text is dropped */
} writer;

static void put_bytes(writer *w, const char *text, size_t size) {
    if (w->failed || ade__reserve(&w->data, &w->capacity, w->size + size, 1)) {
        w->failed = true;
        return;
    }
    memcpy(w->data + w->size, text, size);
    w->size += size;
}

static void put(writer *w, const char *text) { put_bytes(w, text, strlen(text)); }

static void put_count(writer *w, uint64_t count) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    put(w, text);
}

/* With as few digits as give it back, whatever the program's locale; is_float: to a reader of floats. */
static void put_real(writer *w, double value, bool is_float) {
    char text[64];
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (is_float ? (float)strtod(text, NULL) == (float)value : strtod(text, NULL) == value) break;
    }
    bool point = false;
    for (const char *from = text; *from; from++) { /* a locale's decimal point may be another, of several bytes */
        if (strchr("0123456789+-e", *from))
            put_bytes(w, from, 1);
        else if (!point)
            put(w, ".");
        point = !strchr("0123456789+-e", *from);
    }
}

static void put_text(writer *w, const char *text) {
    static const char hex[] = "0123456789abcdef";
    put(w, "\"");
    for (const char *at = text; *at; at++) {
        const unsigned char byte = (unsigned char)*at;
        const char          control[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        if (byte == '"' || byte == '\\') put(w, "\\");
        if (byte < 0x20 || byte == 0x7f)
            put_bytes(w, control, sizeof control);
        else
            put_bytes(w, at, 1);
    }
    put(w, "\"");
}

static void put_key(writer *w, const char *key) {
    put(w, w->size > 2 ? ",\n  " : "  ");
    put_text(w, key);
    put(w, ": ");
}

static void put_key_text(writer *w, const char *key, const char *text) {
    put_key(w, key);
    put_text(w, text);
}

static void put_key_count(writer *w, const char *key, uint64_t count) {
    put_key(w, key);
    put_count(w, count);
}

static void put_key_real(writer *w, const char *key, double value) {
    put_key(w, key);
    put_real(w, value, false);
}

static void put_pair(writer *w, const char *key, double before, double after) {
    put_key(w, key);
    put(w, "{\"before\": ");
    put_real(w, before, false);
    put(w, ", \"after\": ");
    put_real(w, after, false);
    put(w, "}");
}

/* Between the items of a list, ten a line. */
static void put_comma(writer *w, size_t index) { put(w, index == 0 ? "" : index % 10 == 0 ? ",\n    " : ", "); }

static void put_reals(writer *w, const char *key, const double *values, size_t n) {
    put_key(w, key);
    put(w, "[");
    for (size_t i = 0; i < n; i++) {
        put_comma(w, i);
        put_real(w, values[i], false);
    }
    put(w, "]");
}

static void put_map(writer *w, const ade_calibration_map *map) {
    put_key_text(w, "method", ade__calibration_method_name(map->method));
    switch ((ade_calibration_method)map->method) {
    case ADE_CALIBRATION_TEMPERATURE: put_key_real(w, "temperature", map->temperature); break;
    case ADE_CALIBRATION_PLATT:
        put_key_real(w, "slope", map->slope);
        put_key_real(w, "offset", map->offset);
        break;
    default:
        put_reals(w, "log_odds", map->log_odds, map->n_points);
        put_reals(w, "probabilities", map->probabilities, map->n_points);
        break;
    }
}

static void put_counts(writer *w, const char *key, const ade_calibration *c, bool positive) {
    put_key(w, key);
    put(w, "[");
    for (size_t i = 0; i < c->n_curve; i++) {
        put_comma(w, i);
        put_count(w, positive ? c->curve[i].true_positives : c->curve[i].false_positives);
    }
    put(w, "]");
}

static void put_curve(writer *w, const ade_calibration *c) {
    put_key(w, "scores");
    put(w, "[");
    for (size_t i = 0; i < c->n_curve; i++) {
        put_comma(w, i);
        put_real(w, (double)c->curve[i].score, true);
    }
    put(w, "]");
    put_counts(w, "true_positives", c, true);
    put_counts(w, "false_positives", c, false);
}

static void put_all(writer *w, const ade_calibration *c, char *const *labels) {
    char seed[24];
    put(w, "{\n");
    put_key_text(w, "format", FORMAT);
    put_key_count(w, "version", VERSION);
    put_key_text(w, "adesieve", ADE_VERSION_TEXT);
    put_key(w, "labels");
    put(w, "[");
    for (int32_t i = 0; i < c->n_labels; i++) {
        put_comma(w, (size_t)i);
        put_text(w, labels[i]);
    }
    put(w, "]");
    put_key_count(w, "positive", (uint64_t)c->positive);
    put_map(w, &c->map);
    put_key_text(w, "model", c->info.model);
    put_key_text(w, "data", c->info.data);
    put_key_count(w, "n", c->info.n);
    put_key_count(w, "n_positive", c->info.n_positive);
    put_key_real(w, "prevalence", c->info.prevalence);
    put_key_count(w, "folds", (uint64_t)c->folds);
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
    put_key_text(w, "seed", seed); /* a text: readers of JSON need not know numbers of 64 bits */
    put_pair(w, "log_loss", c->info.log_loss_before, c->info.log_loss_after);
    put_pair(w, "brier", c->brier_before, c->brier_after);
    put_pair(w, "ece", c->info.ece_before, c->info.ece_after);
    put_curve(w, c);
    put(w, "\n}\n");
}

static ade_status write_whole(int fd, const char *temporary, const char *data, size_t size) {
    while (size > 0) {
        const ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return ade__fail(ADE_IO, "%s: cannot be written (%s)", temporary, strerror(errno));
        data += done;
        size -= (size_t)done;
    }
    if (fsync(fd) != 0) return ade__fail(ADE_IO, "%s: cannot be written to disk (%s)", temporary, strerror(errno));
    return ADE_OK;
}

/* A name beside `path` that nothing has. */
static ade_status open_beside(const char *path, char *temporary, size_t size, int *fd) {
    for (unsigned number = 0; number < 1000; number++) {
        (void)snprintf(temporary, size, "%s.%ld-%u.tmp", path, (long)getpid(), number);
        *fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (*fd >= 0) return ADE_OK;
        if (errno != EEXIST) break;
    }
    return ade__fail(ADE_IO, "%s: cannot be made (%s); name a file in a folder that can be written to", path,
                     strerror(errno));
}

static ade_status replace_file(const char *path, const char *data, size_t size) {
    struct stat  info;
    const size_t room = strlen(path) + 48;
    int          fd = -1;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return ade__fail(ADE_IO, "%s is not a regular file; a calibration is written to one", path);
    char *temporary = ade__malloc(room);
    if (!temporary) return ADE_OUT_OF_MEMORY;
    ade_status status = open_beside(path, temporary, room, &fd);
    if (status == ADE_OK) {
        status = write_whole(fd, temporary, data, size);
        if (close(fd) != 0 && status == ADE_OK)
            status = ade__fail(ADE_IO, "%s: cannot be written (%s)", temporary, strerror(errno));
        if (status == ADE_OK && rename(temporary, path) != 0)
            status = ade__fail(ADE_IO, "%s: cannot be given its name (%s)", path, strerror(errno));
        if (status != ADE_OK) (void)unlink(temporary);
    }
    ade__free(temporary);
    return status;
}

ade_status ade__calibration_write(const ade_calibration *c, char *const *labels, const char *path) {
    writer w = {0};
    put_all(&w, c, labels);
    ade_status status = w.failed ? ADE_OUT_OF_MEMORY : replace_file(path, w.data, w.size);
    ade__free(w.data);
    return status;
}
