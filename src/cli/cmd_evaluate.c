/* SPDX-License-Identifier: Apache-2.0
 * adesieve evaluate: what models are worth on labelled texts. Texts stream through; what is kept are counts, sums, and
 * with --seen 16 to 43 bytes for each different text. */
#include "commands.h"

#include "calibration.h"
#include "evaluate_report.h"
#include "exit_status.h"
#include "labelled.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"
#include "stage_times.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SAMPLES = 10000, MOST_LABELS = 1000 };

typedef struct evaluate_run {
    settings       *wanted;
    evaluate_report report;
    text_run        texts;
    output          out, errors, stats;
    text_set       *seen, *met; /* --seen: its texts; those that came and are not among them */
    engine         *engines;    /* (n_models), for labelled_run; the models' own while it runs */
    double         *calibrated; /* (capacity) */
    int32_t        *predicted;  /* (n_models) of one text, as the first model's labels */
    size_t          capacity;
} evaluate_run;

static int out_of_memory(void) {
    say(SAY_ERROR, "out of memory.");
    return CLI_FAILED;
}

/* ---- Models ---- */

static int refuse_kind(const engine *used) {
    const ade_model_info *info = &used->model_info;
    if (info->problem == ADE_PROBLEM_SINGLE_LABEL && info->n_labels > MOST_LABELS) {
        say(SAY_ERROR, "%s: has %d labels, but evaluate measures models with at most %d.", info->folder,
            (int)info->n_labels, MOST_LABELS);
        return CLI_FAILED;
    }
    if (info->problem == ADE_PROBLEM_SINGLE_LABEL && info->n_labels >= 2) return CLI_OK;
    say(SAY_ERROR, "%s: is a %s, but evaluate measures models that give each text one of several labels.", info->folder,
        info->problem == ADE_PROBLEM_MULTI_LABEL  ? "multi-label model"
        : info->problem == ADE_PROBLEM_REGRESSION ? "regression model"
                                                  : "model with a single label");
    return CLI_FAILED;
}

static int alike(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        unsigned char x = (unsigned char)*a, y = (unsigned char)*b;
        if (x >= 'A' && x <= 'Z') x = (unsigned char)(x - 'A' + 'a');
        if (y >= 'A' && y <= 'Z') y = (unsigned char)(y - 'A' + 'a');
        if (x != y) return 0;
    }
    return *a == *b;
}

static int32_t find_label(const engine *in, const char *name) {
    int32_t nearly = -1;
    for (int32_t i = 0; i < in->model_info.n_labels; i++) {
        const char *own = ade_model_label(in->model, i);
        if (strcmp(own, name) == 0) return i;
        if (nearly < 0 && alike(own, name)) nearly = i;
    }
    return nearly;
}

/* Models side by side must speak of the same labels, in whatever order. */
static int match_labels(const engine *first, evaluated_model *model) {
    const ade_model_info *info = &model->engine.model_info;
    model->to_first = calloc((size_t)info->n_labels, sizeof *model->to_first);
    if (!model->to_first) return out_of_memory();
    if (info->n_labels != first->model_info.n_labels) {
        say(SAY_ERROR, "%s: has %d labels, but %s has %d; they cannot be compared.", info->folder, (int)info->n_labels,
            first->model_info.folder, (int)first->model_info.n_labels);
        return CLI_FAILED;
    }
    for (int32_t i = 0; i < info->n_labels; i++) {
        const char *name = ade_model_label(model->engine.model, i);
        int32_t     number = find_label(first, name), taken = 0;
        for (int32_t j = 0; j < i; j++) taken |= model->to_first[j] == number;
        if (number < 0 || taken) {
            say(SAY_ERROR, "%s: its label '%s' is none of %s.", info->folder, name, first->model_info.folder);
            say(SAY_HINT, "--labels A,B,... gives all models the same names, in the order of their labels");
            return CLI_FAILED;
        }
        model->to_first[i] = number;
    }
    if (model->to_first[info->positive_label] == first->model_info.positive_label) return CLI_OK;
    say(SAY_ERROR, "%s: its positive label is '%s', but that of %s is '%s'.", info->folder,
        ade_model_label(model->engine.model, info->positive_label), first->model_info.folder,
        ade_model_label(first->model, first->model_info.positive_label));
    say(SAY_HINT, "--positive-label NAME says for all models which one it is");
    return CLI_FAILED;
}

static int find_threshold(const settings *wanted, evaluated_model *model) {
    ade_operating_point point = ADE_OPERATING_POINT_INIT;
    ade_status          status;
    model->threshold = (double)(float)wanted->threshold; /* a score that was copied reaches itself */
    if (wanted->threshold < 0) return CLI_OK;
    if (model->engine.model_info.n_labels > 2) {
        say(SAY_ERROR, "%s: has %d labels, but '--threshold' needs a model that has two.",
            model->engine.model_info.folder, (int)model->engine.model_info.n_labels);
        return CLI_FAILED;
    }
    if (wanted->threshold_target == ADE_TARGET_SCORE) return CLI_OK;
    status = ade_model_operating_point(model->engine.model, wanted->threshold_target, wanted->threshold,
                                       wanted->prevalence, &point);
    if (status != ADE_OK) return engine_failed(status, NULL);
    model->threshold = point.threshold;
    return CLI_OK;
}

/* Of several models, a baseline runs as it only can: what the options say is for the others. */
static int open_session(evaluate_run *run, engine *used) {
    const ade_model_info *info = &used->model_info;
    int                   several = run->report.n_models > 1;
    ade_session_options   options;
    engine_session_options(run->wanted, &options);
    options.progress = text_run_progress;
    options.progress_user = &run->texts;
    if (several && info->kind == ADE_MODEL_BASELINE) {
        if (options.device == ADE_DEVICE_CUDA ||
            (options.precision != ADE_PRECISION_AUTO && options.precision != ADE_PRECISION_F64))
            say(SAY_NOTE,
                "%s is a baseline: it runs on the CPU in f64, and '--device' and '--precision' are for the "
                "other models",
                info->folder);
        options.device = ADE_DEVICE_AUTO;
        options.precision = ADE_PRECISION_AUTO;
    }
    return engine_open_session(used, &options, several ? info->folder : NULL);
}

static int open_models(evaluate_run *run) {
    settings        *wanted = run->wanted;
    evaluate_report *report = &run->report;
    int              status = CLI_OK;
    for (size_t i = 0; i < report->n_models && status == CLI_OK; i++) {
        evaluated_model *model = &report->models[i];
        settings         one = *wanted;
        one.model = wanted->n_models > 0 ? wanted->models[i] : wanted->model;
        status = engine_open_model(&model->engine, &one);
        if (status == CLI_OK) status = refuse_kind(&model->engine);
        if (status == CLI_OK && model->engine.model_info.calibrated) status = calibration_check(&model->engine);
        if (status == CLI_OK) status = match_labels(&report->models[0].engine, model);
        if (status == CLI_OK) status = find_threshold(wanted, model);
        if (status == CLI_OK) status = open_session(run, &model->engine);
        if (status != CLI_OK) return status;
        model->shown = model->engine.model_info.name;
    }
    for (size_t i = 0; i < report->n_models; i++) /* names that say nothing apart */
        for (size_t j = 0; j < report->n_models; j++)
            if (i != j &&
                strcmp(report->models[i].engine.model_info.name, report->models[j].engine.model_info.name) == 0)
                report->models[i].shown = report->models[i].engine.model_info.folder;
    report->n_labels = report->models[0].engine.model_info.n_labels;
    report->positive = report->models[0].engine.model_info.positive_label;
    for (size_t i = 0; i < report->n_models; i++)
        for (int set = 0; set < report->n_sets; set++)
            if (evaluation_start(&report->models[i].sets[set], report->n_labels, report->positive, 0) != 0)
                return out_of_memory();
    return status;
}

/* ---- Texts ---- */

/* Which of TEXTS_SEEN and TEXTS_UNSEEN the text is in: a bit each; -1 when out of memory. */
static int sets_of(evaluate_run *run, const ade_text *text) {
    int added;
    if (run->report.n_sets == 1) return 1 << TEXTS_ALL;
    if (text_set_has(run->seen, text)) return 1 << TEXTS_ALL | 1 << TEXTS_SEEN;
    added = text_set_add(run->met, text);
    if (added < 0) return -1;
    return added ? 1 << TEXTS_ALL | 1 << TEXTS_UNSEEN : 1 << TEXTS_ALL;
}

static int32_t predicted_label(const evaluate_run *run, const evaluated_model *model, const ade_result *result) {
    int32_t positive = run->report.positive;
    if (model->threshold < 0) return model->to_first[result->label];
    return (double)result->score >= model->threshold ? positive : 1 - positive;
}

static void put_error(evaluate_run *run, const ade_text *text, int32_t label) {
    bytes      *row = &run->errors.rows;
    const char *name = evaluate_label(&run->report, label);
    put_field(row, ROWS_CSV, text->data, text->size);
    put_separator(row, ROWS_CSV);
    put_field(row, ROWS_CSV, name, strlen(name));
    for (size_t i = 0; i < run->report.n_models; i++) {
        name = evaluate_label(&run->report, run->predicted[i]);
        put_separator(row, ROWS_CSV);
        put_field(row, ROWS_CSV, name, strlen(name));
    }
    put_literal(row, "\n");
}

static int add_text(evaluate_run *run, const labelled_window *given, size_t index, const double *calibrated) {
    evaluate_report *report = &run->report;
    const ade_text  *text = &given->window->texts[index];
    size_t           count = given->window->count;
    int32_t          label = given->labels[index];
    int              sets = sets_of(run, text), wrong = 0;
    if (sets < 0) {
        say(SAY_ERROR, "out of memory for the digests of the different texts, which '--seen' needs.");
        return CLI_FAILED;
    }
    for (size_t i = 0; i < report->n_models; i++) {
        evaluated_model  *model = &report->models[i];
        const ade_result *result = &given->scores[i].results[index];
        run->predicted[i] = predicted_label(run, model, result);
        wrong |= run->predicted[i] != label;
        model->truncated += result->truncated != 0;
        for (int set = 0; set < report->n_sets; set++) {
            if (!(sets & 1 << set)) continue;
            if (evaluation_add(&model->sets[set], label, run->predicted[i], result->score,
                               calibrated[i * count + index]) != SCORE_CURVE_OK) {
                say(SAY_ERROR, "%s: the temporary file for scores cannot be written: %s.", score_curve_folder(),
                    strerror(errno));
                say(SAY_HINT, "make room there, or name another folder in TMPDIR");
                return CLI_FAILED;
            }
        }
    }
    for (size_t i = 0; i < report->n_pairs; i++) {
        evaluated_pair *pair = &report->pairs[i];
        int             first = run->predicted[pair->first] == label, second = run->predicted[pair->second] == label;
        for (int set = 0; set < report->n_sets; set++) {
            if (!(sets & 1 << set)) continue;
            pair->only_first[set] += first && !second;
            pair->only_second[set] += second && !first;
        }
    }
    if (!wrong || run->errors.fd < 0) return CLI_OK;
    put_error(run, text, label);
    return output_row_end(&run->errors);
}

static int handle(void *user, const labelled_window *given) {
    evaluate_run *run = user;
    size_t        count = given->window->count, models = run->report.n_models;
    int           status = CLI_OK;
    if (count > run->capacity) {
        double *grown = realloc(run->calibrated, count * models * sizeof *grown);
        if (!grown) return out_of_memory();
        run->calibrated = grown;
        run->capacity = count;
    }
    for (size_t i = 0; i < models; i++) {
        const engine *used = &run->report.models[i].engine;
        double       *calibrated = run->calibrated + i * count;
        ade_status    result;
        for (size_t k = 0; k < count && !used->model_info.calibrated; k++) calibrated[k] = -1;
        if (!used->model_info.calibrated) continue;
        result = ade_calibrate(used->model, given->scores[i].logits, count, 0, calibrated);
        if (result != ADE_OK) return engine_failed(result, used->model_info.folder);
    }
    for (size_t k = 0; k < count && status == CLI_OK; k++) status = add_text(run, given, k, run->calibrated);
    return status;
}

/* ---- The run ---- */

static int check_options(settings *wanted) {
    if (wanted->prevalence > 0 && wanted->threshold_target != ADE_TARGET_PRECISION &&
        wanted->threshold_target != ADE_TARGET_REVIEW) {
        say(SAY_ERROR, "'--prevalence' is for '--threshold precision=P' and 'review=S'; it changes nothing else here.");
        return CLI_USAGE;
    }
    if (wanted->n_files == 0) {
        say(SAY_ERROR, "no FILE is given.");
        say(SAY_HINT, "give labelled texts (CSV, TSV or JSON Lines), or - for standard input, with --input-format");
        return CLI_USAGE;
    }
    return engine_check_files(wanted, 0);
}

/* Before any work; neither may overwrite what is read. */
static int open_outputs(evaluate_run *run) {
    settings    *wanted = run->wanted;
    const char **inputs = calloc(wanted->n_files + 1, sizeof *inputs);
    output      *all[3] = {&run->out}; /* those that are open */
    size_t       n_inputs = wanted->n_files, n_outputs = 1;
    int          status;
    if (!inputs) return out_of_memory();
    memcpy(inputs, wanted->files, n_inputs * sizeof *inputs);
    if (wanted->seen) inputs[n_inputs++] = wanted->seen;
    status = output_open(&run->out, wanted->output, inputs, n_inputs);
    if (status == CLI_OK && wanted->errors) {
        status = output_open(&run->errors, wanted->errors, inputs, n_inputs);
        all[n_outputs++] = &run->errors;
    }
    if (status == CLI_OK && wanted->stats) {
        status = output_open(&run->stats, wanted->stats, inputs, n_inputs);
        all[n_outputs++] = &run->stats;
    }
    if (status == CLI_OK) status = engine_check_outputs(all, n_outputs);
    free(inputs);
    return status;
}

static int make_report(evaluate_run *run) {
    evaluate_report *report = &run->report;
    size_t           models = run->wanted->n_models > 0 ? (size_t)run->wanted->n_models : 1;
    report->wanted = run->wanted;
    report->n_sets = run->wanted->seen ? N_TEXT_SETS : 1;
    report->samples = run->wanted->bootstrap < 0 ? DEFAULT_SAMPLES : (size_t)run->wanted->bootstrap;
    report->models = calloc(models, sizeof *report->models);
    report->pairs = calloc(models * (models - 1) / 2 + 1, sizeof *report->pairs);
    run->predicted = calloc(models, sizeof *run->predicted);
    run->engines = calloc(models, sizeof *run->engines);
    if (!report->models || !report->pairs || !run->predicted || !run->engines) return out_of_memory();
    report->n_models = models;
    for (size_t i = 0; i < models; i++)
        for (size_t j = i + 1; j < models; j++) report->pairs[report->n_pairs++] = (evaluated_pair){i, j, {0}, {0}};
    return CLI_OK;
}

static void put_errors_header(evaluate_run *run) {
    bytes *row = &run->errors.rows;
    put_literal(row, "text,true");
    for (size_t i = 0; i < run->report.n_models; i++) {
        const char *name = run->report.n_models > 1 ? run->report.models[i].shown : "predicted";
        put_separator(row, ROWS_CSV);
        put_field(row, ROWS_CSV, name, strlen(name));
    }
    put_literal(row, "\n");
}

static int read_texts(evaluate_run *run) {
    evaluate_report *report = &run->report;
    settings        *wanted = run->wanted;
    int              status = CLI_OK;
    if (wanted->seen) {
        status = text_set_read(&run->seen, wanted, wanted->seen);
        if (status == CLI_OK && !(run->met = text_set_new())) status = out_of_memory();
    }
    if (status == CLI_OK && wanted->errors) put_errors_header(run);
    for (size_t i = 0; i < report->n_models; i++) run->engines[i] = report->models[i].engine;
    if (status == CLI_OK) status = labelled_run(&run->texts, wanted, run->engines, report->n_models, handle, run);
    if (status != CLI_OK || run->texts.texts > 0) return status;
    say(SAY_ERROR, "%s: there are no labelled texts%s.",
        strcmp(wanted->files[0], "-") == 0 ? "standard input" : wanted->files[0],
        wanted->n_files > 1 ? ", nor in the other inputs" : "");
    return CLI_FAILED;
}

static void say_counts(const evaluate_run *run) {
    const evaluate_report *report = &run->report;
    char                   why[160];
    for (size_t i = 0; i < report->n_models; i++) {
        const evaluated_model *model = &report->models[i];
        if (model->truncated > 0)
            say(SAY_WARNING, "%s: %llu of %llu texts were longer than %d tokens; their ends were cut off.",
                model->shown, (unsigned long long)model->truncated, (unsigned long long)run->texts.texts,
                (int)model->engine.session_info.max_length);
    }
    if (run->texts.replaced > 0)
        say(SAY_WARNING, "%llu invalid UTF-8 parts were replaced.", (unsigned long long)run->texts.replaced);
    if (evaluate_undefined(report, &report->models[0].sets[TEXTS_ALL], why, sizeof why))
        say(SAY_WARNING, "AUROC, average precision and the precision to expect are %s", why);
}

static int write_report(evaluate_run *run) {
    evaluate_report *report = &run->report;
    int              status = CLI_OK;
    for (size_t i = 0; i < report->n_models; i++)
        for (int set = 0; set < report->n_sets; set++) {
            int result = evaluation_finish(&report->models[i].sets[set], report->samples, run->wanted->seed,
                                           signals_interrupted); /* a million samples take a while */
            if (result == EVALUATION_STOPPED || signals_interrupted()) return CLI_INTERRUPTED;
            if (result != SCORE_CURVE_OK) {
                say(SAY_ERROR, "the intervals, or the order of the scores in %s, cannot be made: %s.",
                    score_curve_folder(), strerror(errno));
                return CLI_FAILED;
            }
        }
    switch (run->wanted->format) {
    case REPORT_JSON: status = evaluate_put_json(&run->out.rows, report); break;
    case REPORT_MARKDOWN: evaluate_put_markdown(&run->out.rows, report); break;
    default: evaluate_put_text(&run->out.rows, report); break;
    }
    return status == CLI_OK ? output_row_end(&run->out) : status;
}

/* What a model did: as classify's, but for counts that the report has. */
static json_t *model_stats(const evaluate_run *run, const engine *used) {
    json_t *object = engine_stats(used, "evaluate"), *profile = object ? profile_of_run(used, NULL) : NULL;
    double  seconds = json_real_value(json_object_get(profile, "seconds"));
    if (!object) return NULL;
    json_object_set_new(object, "texts_per_second", json_real(per_second((double)run->texts.texts, seconds)));
    json_object_set_new(object, "profile", profile);
    return object;
}

static json_t *stats_object(const evaluate_run *run, double seconds_total) {
    const evaluate_report *report = &run->report;
    json_t                *models = json_array(), *object;
    double                 seconds_open = 0;
    for (size_t i = 0; i < report->n_models; i++) {
        json_t *one = model_stats(run, &report->models[i].engine);
        seconds_open += report->models[i].engine.seconds_open;
        if (json_array_append_new(models, one) == 0) continue;
        json_decref(models);
        return NULL;
    }
    object = report->n_models > 1
                 ? json_pack("{s:s, s:s, s:O}", "command", "evaluate", "version", ade_version(), "models", models)
                 : json_incref(json_array_get(models, 0));
    json_decref(models);
    if (!object) return NULL;
    json_object_update_new(object, json_pack("{s:i, s:i, s:I, s:I, s:{s:f, s:f, s:f}}", "inputs", (int)run->texts.inputs,
                                             "inputs_failed", (int)run->texts.inputs_failed, "texts",
                                             (json_int_t)run->texts.texts, "replaced_utf8",
                                             (json_int_t)run->texts.replaced, "seconds", "open", seconds_open, "read",
                                             run->texts.seconds_read, "total", seconds_total));
    return object;
}

static int run_evaluate(evaluate_run *run) {
    double start = seconds_now();
    int    status = check_options(run->wanted), finished;
    if (status == CLI_OK) status = make_report(run);
    if (status == CLI_OK) status = open_outputs(run);
    if (status == CLI_OK) status = open_models(run);
    if (status != CLI_OK) return status;
    status = read_texts(run);
    progress_hide();
    if (status == CLI_OK) status = write_report(run);
    if (status != CLI_OK && status != CLI_CLOSED) return status;
    say_counts(run);
    if (run->wanted->errors) {
        finished = output_finish(&run->errors, 1);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    if (run->wanted->stats) {
        finished = engine_write_json(&run->stats, stats_object(run, seconds_now() - start));
        if (finished == CLI_OK) finished = output_finish(&run->stats, 1);
        if (finished != CLI_OK && finished != CLI_CLOSED) return finished;
    }
    finished = output_finish(&run->out, status == CLI_OK);
    return finished != CLI_OK ? finished : status;
}

int cmd_evaluate(settings *wanted) {
    output        closed = OUTPUT_CLOSED_INIT;
    evaluate_run *run = calloc(1, sizeof *run);
    int           status;
    if (!run) return out_of_memory();
    run->wanted = wanted;
    run->out = run->errors = run->stats = closed;
    progress_start(wanted->progress, wanted->quiet);
    status = run_evaluate(run);
    progress_hide();
    output_finish(&run->errors, 0); /* what was not finished above is not complete */
    output_finish(&run->stats, 0);
    output_finish(&run->out, 0);
    for (size_t i = 0; i < run->report.n_models; i++) {
        evaluated_model *model = &run->report.models[i];
        for (int set = 0; set < N_TEXT_SETS; set++) evaluation_free(&model->sets[set]);
        engine_close(&model->engine);
        free(model->to_first);
    }
    text_set_free(run->seen);
    text_set_free(run->met);
    free(run->report.models);
    free(run->report.pairs);
    free(run->engines);
    free(run->calibrated);
    free(run->predicted);
    free(run);
    return status;
}
