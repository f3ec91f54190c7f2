/* SPDX-License-Identifier: Apache-2.0
 * Every exported function: checks its arguments, calls inward, nothing else. */
#include "default_model.h"
#include "export.h"
#include "model.h"
#include "profile.h"
#include "abi_struct.h"
#include "screen.h"
#include "session.h"
#include "status.h"
#include "version.h"

#include <string.h>

/* The layout of what crosses the boundary is ABI: a struct grows at its end, and its INIT macro and these with it. */
_Static_assert(sizeof(ade_result) == 24, "ade_result has no size member and can never grow");
_Static_assert(sizeof(ade_token) == 12, "ade_token has no size member and can never grow");
_Static_assert(sizeof(ade_tokens_info) == sizeof(size_t) + 16, "ade_tokens_info has no size member and can never grow");
_Static_assert(sizeof(ade_text) == 2 * sizeof(void *), "ade_text is a pointer and a size");

/* Every entry forgets the thread's last error first, so that "" means success. */
#define ENTER() ade__clear_error()

#define NOT_NULL(argument)                                                                                    \
    do {                                                                                                      \
        if (!(argument)) return ade__fail(ADE_INVALID_ARGUMENT, "%s: the argument " #argument " is NULL", __func__); \
    } while (0)

const char *ade_version(void) { return ADE_VERSION_TEXT; }

uint32_t ade_version_number(void) {
    return ADE_VERSION_MAJOR * 10000u + ADE_VERSION_MINOR * 100u + ADE_VERSION_PATCH;
}

size_t ade_struct_size(const char *name) { return ade__struct_size(name); }

/* ---- Model ---- */

ade_status ade_model_open(const char *folder, const ade_model_options *options, ade_model **out) {
    ade_model_options known = ADE_MODEL_OPTIONS_INIT;
    ENTER();
    NOT_NULL(folder);
    NOT_NULL(out);
    if (options) ADE_TRY(ade__options_in(&known, sizeof known, options, "ade_model_options"));
    if (known.reserved)
        return ade__fail(ADE_INVALID_ARGUMENT, "the reserved member of ade_model_options is %u and must be 0",
                         (unsigned)known.reserved);
    return ade__model_open(folder, &known, out);
}

void ade_model_close(ade_model *model) { ade__model_release(model); }

ade_status ade_model_get_info(const ade_model *model, ade_model_info *info) {
    ade_model_info known = ADE_MODEL_INFO_INIT;
    ENTER();
    NOT_NULL(model);
    NOT_NULL(info);
    const ade_model_config *c = &model->config;
    known.n_labels = c->n_labels;
    known.positive_label = c->positive_label;
    known.problem = (int32_t)c->problem;
    known.n_layers = c->n_layers;
    known.hidden_size = c->hidden_size;
    known.n_heads = c->n_heads;
    known.intermediate_size = c->intermediate_size;
    known.vocab_size = c->vocab_size;
    known.max_length = model->max_length;
    known.lowercase = model->tokenizer.lowercase;
    known.strip_accents = model->tokenizer.strip_accents;
    known.calibrated = model->calibration != NULL;
    known.n_parameters = model->weights.n_parameters;
    known.folder = model->folder;
    known.name = model->name;
    known.architecture = c->architecture;
    known.activation = c->kind == ADE_MODEL_BASELINE ? "none" : ade__activation_name(c->activation);
    known.weights_type = model->weights.weights_type;
    known.tokenizer_source = model->tokenizer.source;
    known.casing_reason = model->tokenizer.casing_reason;
    known.kind = (int32_t)c->kind;
    return ade__options_out(info, &known, sizeof known, "ade_model_info");
}

const char *ade_model_label(const ade_model *model, int32_t index) {
    return model && index >= 0 && index < model->config.n_labels ? model->config.labels[index] : NULL;
}

const char *ade_model_token(const ade_model *model, int32_t id) {
    if (!model) return NULL;
    return model->baseline ? ade__baseline_term(model->baseline, id)
                           : ade__tokenizer_token(model->tokenizer.tokenizer, id);
}

ade_status ade_model_hash(ade_model *model, char digest[65]) {
    ENTER();
    NOT_NULL(model);
    NOT_NULL(digest);
    return ade__model_hash(model, digest);
}

const char *ade_default_model(void) { return ade__default_model(); }

/* ---- Session ---- */

ade_status ade_session_open(ade_model *model, const ade_session_options *options, ade_session **out) {
    ENTER();
    NOT_NULL(model);
    NOT_NULL(out);
    return ade__session_open(model, options, out);
}

void ade_session_close(ade_session *session) { ade__session_close(session); }

ade_status ade_session_get_info(const ade_session *session, ade_session_info *info) {
    ENTER();
    NOT_NULL(session);
    NOT_NULL(info);
    return ade__session_get_info(session, info);
}

ade_status ade_session_get_profile(ade_session *session, ade_session_profile *profile) {
    ENTER();
    NOT_NULL(session);
    NOT_NULL(profile);
    return ade__session_get_profile(session, profile);
}

ade_status ade_session_time_products(ade_session *session, int32_t tokens, int32_t texts, double *seconds) {
    ENTER();
    NOT_NULL(session);
    NOT_NULL(seconds);
    return ade__session_time_products(session, tokens, texts, seconds);
}

ade_status ade_classify(ade_session *session, const ade_text *texts, size_t n_texts, ade_result *results,
                        float *logits, float *probabilities) {
    ENTER();
    NOT_NULL(session);
    if (n_texts) NOT_NULL(texts);
    return ade__session_classify(session, texts, n_texts, results, logits, probabilities);
}

ade_status ade_tokenize(ade_session *session, ade_text text, ade_token *tokens, size_t capacity,
                        ade_tokens_info *info) {
    ENTER();
    NOT_NULL(session);
    NOT_NULL(info);
    if (text.size) NOT_NULL(text.data);
    if (capacity) NOT_NULL(tokens);
    return ade__session_tokenize(session, text, tokens, capacity, info);
}

ade_status ade_encode(ade_session *session, const ade_text *texts, size_t n_texts, int32_t *ids, size_t capacity,
                      size_t *row_starts, size_t *n_ids) {
    ENTER();
    NOT_NULL(session);
    NOT_NULL(n_ids);
    if (n_texts) NOT_NULL(texts);
    if (capacity) NOT_NULL(ids);
    return ade__session_encode(session, texts, n_texts, ids, capacity, row_starts, n_ids);
}

/* ---- Calibration ---- */

static ade_status need_calibration(const ade_model *model) {
    if (model->calibration) return ADE_OK;
    return ade__fail(ADE_UNSUPPORTED,
                     "%s: the model has no calibration (" ADE_CALIBRATION_FILE
                     "); make one from labelled texts that it was "
                     "not trained on: adesieve calibrate -m %s FILE",
                     model->folder, model->folder);
}

ade_status ade_model_get_calibration(const ade_model *model, ade_calibration_info *info) {
    ade_calibration_info known = ADE_CALIBRATION_INFO_INIT;
    ENTER();
    NOT_NULL(model);
    NOT_NULL(info);
    ADE_TRY(need_calibration(model));
    ade__calibration_info(model->calibration, &known);
    return ade__options_out(info, &known, sizeof known, "ade_calibration_info");
}

ade_status ade_calibrate(const ade_model *model, const float *logits, size_t n, double prevalence,
                         double *calibrated) {
    ENTER();
    NOT_NULL(model);
    if (n) NOT_NULL(logits);
    if (n) NOT_NULL(calibrated);
    ADE_TRY(need_calibration(model));
    return ade__calibrate(model->calibration, logits, n, prevalence, calibrated);
}

ade_status ade_model_operating_point(const ade_model *model, int32_t target, double value, double prevalence,
                                     ade_operating_point *point) {
    ade_operating_point known = ADE_OPERATING_POINT_INIT;
    ENTER();
    NOT_NULL(model);
    NOT_NULL(point);
    ADE_TRY(need_calibration(model));
    ADE_TRY(ade__operating_point(model->calibration, target, value, prevalence, &known));
    return ade__options_out(point, &known, sizeof known, "ade_operating_point");
}

ade_status ade_calibration_fit(const ade_model *model, const float *logits, const int32_t *labels, size_t n,
                               const ade_calibration_options *options, const char *path) {
    ade_calibration_options known = ADE_CALIBRATION_OPTIONS_INIT;
    ENTER();
    NOT_NULL(model);
    if (n) NOT_NULL(logits);
    if (n) NOT_NULL(labels);
    if (options) ADE_TRY(ade__options_in(&known, sizeof known, options, "ade_calibration_options"));
    return ade__calibration_fit(model, logits, labels, n, &known, path);
}

/* ---- Screening ---- */

ade_status ade_screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out) {
    ade_screen_options known = ADE_SCREEN_OPTIONS_INIT;
    ENTER();
    NOT_NULL(out);
    if (options) ADE_TRY(ade__options_in(&known, sizeof known, options, "ade_screen_options"));
    if (!known.dry_run) NOT_NULL(model);
    return ade__screen_open(model, &known, out);
}

ade_status ade_screen_add(ade_screen *screen, const char *path) {
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(path);
    return ade__screen_add(screen, path);
}

const char *ade_screen_input(ade_screen *screen, size_t i) { return screen ? ade__screen_input(screen, i) : NULL; }

ade_status ade_screen_next(ade_screen *screen, ade_screen_row *row) {
    ade_screen_row known = ADE_SCREEN_ROW_INIT;
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(row);
    ADE_TRY(ade__options_check(row, "ade_screen_row")); /* first: a row that was fetched would be lost */
    ADE_TRY(ade__screen_next(screen, &known));
    return ade__options_out(row, &known, sizeof known, "ade_screen_row");
}

ade_status ade_screen_confirm(ade_screen *screen) {
    ENTER();
    NOT_NULL(screen);
    return ade__screen_confirm(screen);
}

ade_status ade_screen_set_note(ade_screen *screen, const char *note) {
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(note);
    return ade__screen_set_note(screen, note);
}

const char *ade_screen_get_note(const ade_screen *screen) { return screen ? ade__screen_get_note(screen) : NULL; }

ade_status ade_screen_get_stats(const ade_screen *screen, ade_screen_stats *stats) {
    ade_screen_stats known = ADE_SCREEN_STATS_INIT;
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(stats);
    ADE_TRY(ade__screen_get_stats(screen, &known));
    return ade__options_out(stats, &known, sizeof known, "ade_screen_stats");
}

ade_status ade_screen_get_file(const ade_screen *screen, ade_screen_file *file) {
    ade_screen_file known = ADE_SCREEN_FILE_INIT;
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(file);
    ADE_TRY(ade__screen_get_file(screen, &known));
    return ade__options_out(file, &known, sizeof known, "ade_screen_file");
}

ade_status ade_screen_get_session_info(const ade_screen *screen, ade_session_info *info) {
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(info);
    return ade__screen_get_session_info(screen, info);
}

ade_status ade_screen_get_profile(ade_screen *screen, ade_session_profile *profile) {
    ENTER();
    NOT_NULL(screen);
    NOT_NULL(profile);
    return ade__screen_get_profile(screen, profile);
}

void ade_screen_close(ade_screen *screen) { ade__screen_close(screen); }

/* ---- Export ---- */

ade_status ade_export_open(const char *store, ade_export **out) {
    ENTER();
    NOT_NULL(store);
    NOT_NULL(out);
    return ade__export_open(store, out);
}

ade_status ade_export_get_info(ade_export *exported, ade_export_info *info) {
    ade_export_info known = ADE_EXPORT_INFO_INIT;
    ENTER();
    NOT_NULL(exported);
    NOT_NULL(info);
    ADE_TRY(ade__export_get_info(exported, &known));
    return ade__options_out(info, &known, sizeof known, "ade_export_info");
}

ade_status ade_export_next(ade_export *exported, double threshold, int32_t deleted, ade_export_document *document) {
    ade_export_document known = ADE_EXPORT_DOCUMENT_INIT;
    ENTER();
    NOT_NULL(exported);
    NOT_NULL(document);
    ADE_TRY(ade__options_check(document, "ade_export_document"));
    ADE_TRY(ade__export_next(exported, threshold, deleted != 0, &known));
    return ade__options_out(document, &known, sizeof known, "ade_export_document");
}

void ade_export_close(ade_export *exported) { ade__export_close(exported); }
