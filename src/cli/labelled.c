/* SPDX-License-Identifier: Apache-2.0
 * Labelled texts through one or several models: what evaluate and calibrate share. */
#include "labelled.h"

#include "exit_status.h"
#include "messages.h"
#include "utf8_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct labelled {
    text_run        *run;
    engine          *engines;
    size_t           n_engines;
    labelled_scores *scores; /* (n_engines) */
    int32_t         *labels; /* (capacity) */
    size_t           capacity;
    labelled_fn      handle;
    void            *user;
} labelled;

static int out_of_memory(size_t count) {
    say(SAY_ERROR, "out of memory for the results of %zu texts.", count);
    return CLI_FAILED;
}

static int reserve(labelled *all, size_t count) {
    int32_t *labels;
    if (count <= all->capacity) return CLI_OK;
    labels = realloc(all->labels, count * sizeof *labels);
    if (!labels) return out_of_memory(count);
    all->labels = labels;
    for (size_t i = 0; i < all->n_engines; i++) {
        labelled_scores *scores = &all->scores[i];
        size_t           values = count * (size_t)all->engines[i].model_info.n_labels;
        ade_result      *results = realloc(scores->results, count * sizeof *results);
        float           *floats;
        if (!results) return out_of_memory(count);
        scores->results = results;
        floats = realloc(scores->logits, values * sizeof *floats);
        if (!floats) return out_of_memory(count);
        scores->logits = floats;
        floats = realloc(scores->probabilities, values * sizeof *floats);
        if (!floats) return out_of_memory(count);
        scores->probabilities = floats;
    }
    all->capacity = count;
    return CLI_OK;
}

/* ---- Labels ---- */

enum { MOST_OF_A_NAME = 60 }; /* bytes, in messages */

/* "2" is label 2, "02" is not; -1 where it is no number or none of a label. */
static int32_t by_number(const ade_text *label, int32_t n_labels) {
    int64_t number = 0;
    if (label->size == 0 || label->size > 9 || (label->size > 1 && label->data[0] == '0')) return -1;
    for (size_t i = 0; i < label->size; i++) {
        if (label->data[i] < '0' || label->data[i] > '9') return -1;
        number = number * 10 + (label->data[i] - '0');
    }
    return number < n_labels ? (int32_t)number : -1;
}

/* AMBIGUOUS: the name of one label, and the number of another one. */
enum { UNKNOWN = -1, AMBIGUOUS = -2 };
static int32_t label_index(const engine *used, const ade_text *label) {
    int32_t n_labels = used->model_info.n_labels, alike = UNKNOWN, number = by_number(label, n_labels);
    for (int32_t i = 0; i < n_labels; i++) {
        const char *name = ade_model_label(used->model, i);
        if (strlen(name) != label->size) continue;
        if (memcmp(name, label->data, label->size) == 0) return number < 0 || number == i ? i : AMBIGUOUS;
        if (alike < 0 && strncasecmp(name, label->data, label->size) == 0) alike = i;
    }
    return alike >= 0 ? alike : number;
}

static void put_cut(bytes *out, const char *name, size_t size) {
    size_t shown = utf8_cut(name, size, MOST_OF_A_NAME);
    put_valid_utf8(out, name, shown);
    if (shown < size) put_literal(out, "...");
}

static int fail_label(const labelled *all, const text_window *window, size_t index) {
    const engine   *first = &all->engines[0];
    const ade_text *label = &window->labels[index];
    bytes           known = {0}, shown = {0};
    char            place[512];
    for (int32_t i = 0; i < first->model_info.n_labels && known.size < 400; i++) {
        if (i > 0) put_literal(&known, ", ");
        put_cut(&known, ade_model_label(first->model, i), strlen(ade_model_label(first->model, i)));
        put_literal(&known, " (");
        put_integer(&known, i);
        put_literal(&known, ")");
        if (known.size >= 400 && i + 1 < first->model_info.n_labels) put_literal(&known, ", ...");
    }
    put_raw(&known, "", 1);
    put_cut(&shown, label->data, label->size);
    put_raw(&shown, "", 1);
    text_run_place(all->run, window, index, place, sizeof place);
    if (all->labels[index] == AMBIGUOUS)
        say(SAY_ERROR,
            "%s: the label '%s' is the name of one label and the number of another: %s; give the model names that are "
            "no numbers with '--labels'.",
            place, shown.failed ? "?" : shown.data, known.failed ? "?" : known.data);
    else if (label->size == 0)
        say(SAY_ERROR, "%s: the label is empty; the model has: %s.", place, known.failed ? "?" : known.data);
    else
        say(SAY_ERROR, "%s: the label '%s' is none of the model's: %s.", place, shown.failed ? "?" : shown.data,
            known.failed ? "?" : known.data);
    if (all->labels[index] != AMBIGUOUS)
        say(SAY_HINT, "a label is written as its name or its number; --labels A,B,... gives the model other names");
    bytes_free(&known);
    bytes_free(&shown);
    return CLI_FAILED;
}

/* ---- Scores ---- */

static int all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

static int classify(labelled *all, size_t number, const text_window *window) {
    engine          *used = &all->engines[number];
    labelled_scores *scores = &all->scores[number];
    size_t           labels = (size_t)used->model_info.n_labels;
    const char      *which = all->n_engines > 1 ? used->model_info.folder : NULL;
    char             place[512];
    ade_status       status = ade_classify(used->session, window->texts, window->count, scores->results, scores->logits,
                                           scores->probabilities);
    if (status != ADE_OK) {
        int result = engine_failed(status, which);
        if (result == CLI_FAILED) text_run_say_place(all->run, window, ade_last_error());
        return result;
    }
    for (size_t i = 0; i < window->count; i++) {
        if (all_finite(scores->logits + i * labels, labels) && all_finite(scores->probabilities + i * labels, labels) &&
            isfinite(scores->results[i].score))
            continue;
        say(SAY_ERROR,
            "%s%s%s: the model's output is not a number; its weights are damaged, or the precision is too low.",
            which ? which : "", which ? ": " : "", text_run_place(all->run, window, i, place, sizeof place));
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int handle_window(void *user, const text_window *window) {
    labelled       *all = user;
    labelled_window given = {window, NULL, all->scores};
    double          from = all->run->window_from, to = all->run->window_to;
    int             status = reserve(all, window->count);
    if (status != CLI_OK) return status;
    given.labels = all->labels;
    for (size_t i = 0; i < window->count; i++) {
        all->labels[i] = label_index(&all->engines[0], &window->labels[i]);
        if (all->labels[i] < 0) return fail_label(all, window, i);
    }
    for (size_t i = 0; i < all->n_engines && status == CLI_OK; i++) { /* each has its share of the progress */
        all->run->window_from = from + (to - from) * (double)i / (double)all->n_engines;
        all->run->window_to = from + (to - from) * (double)(i + 1) / (double)all->n_engines;
        status = classify(all, i, window);
    }
    all->run->window_to = to;
    return status == CLI_OK ? all->handle(all->user, &given) : status;
}

int labelled_run(text_run *run, const settings *wanted, engine *engines, size_t n_engines, labelled_fn handle,
                 void *user) {
    settings whole = *wanted;
    labelled all = {run, engines, n_engines, NULL, NULL, 0, handle, user};
    int      status;
    whole.fail_fast = 1;
    all.scores = calloc(n_engines, sizeof *all.scores);
    if (!all.scores) return out_of_memory(0);
    status = text_run_all(run, &whole, wanted->label_field, handle_window, &all);
    run->wanted = wanted;
    for (size_t i = 0; i < n_engines; i++) {
        free(all.scores[i].results);
        free(all.scores[i].logits);
        free(all.scores[i].probabilities);
    }
    free(all.scores);
    free(all.labels);
    return status;
}
