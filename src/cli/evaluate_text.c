/* SPDX-License-Identifier: Apache-2.0
 * adesieve evaluate -f text: tables for a terminal of 80 columns. */
#include "evaluate_report.h"

#include "utf8_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 80, NAME = 14, CELL = 19, MODEL = 22 };

/* Columns that a text in UTF-8 takes, wide characters aside. */
static size_t columns(const char *text) {
    size_t count = 0;
    for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* The text and spaces up to `width`; a longer one gets a line of its own. */
static void put_name(bytes *out, const char *text, size_t width) {
    size_t used = columns(text);
    put_literal(out, text);
    if (used >= width) {
        put_literal(out, "\n");
        used = 0;
    }
    for (; used < width; used++) put_literal(out, " ");
}

static void put_right(bytes *out, const char *text, size_t width) {
    for (size_t used = columns(text); used < width; used++) put_literal(out, " ");
    put_literal(out, text);
}

/* "0.948 0.939-0.957"; "-" where it is not defined. */
static const char *cell(char buffer[40], double value, const double *low, const double *high, size_t index) {
    if (isnan(value))
        snprintf(buffer, 40, "-");
    else if (low && !isnan(low[index]))
        snprintf(buffer, 40, "%.3f %.3f-%.3f", value, low[index], high[index]);
    else
        snprintf(buffer, 40, "%.3f", value);
    return buffer;
}

/* Precision, recall and F1, then `last`. Values stand below each other, with and without an interval. */
static void put_three(bytes *out, const char *name, const evaluation *of, size_t first, const char *last) {
    size_t width = of->low ? CELL - 2 : 0;
    put_name(out, name, NAME);
    for (size_t k = 0; k < MEASURES_OF_A_LABEL; k++) {
        char   text[40];
        size_t used = columns(cell(text, of->values[first + k], of->low, of->high, first + k));
        if (width == 0) {
            put_right(out, text, 11);
            continue;
        }
        put_literal(out, "  ");
        put_literal(out, text);
        for (; used < width && (*last || k + 1 < MEASURES_OF_A_LABEL); used++) put_literal(out, " ");
    }
    put_right(out, last, *last ? 9 : 0);
    put_literal(out, "\n");
}

static void put_labels(bytes *out, const evaluate_report *report, const evaluation *of) {
    static const char *const heads[MEASURES_OF_A_LABEL] = {"precision", "recall", "F1"};
    char                     texts[24];
    put_name(out, "label", NAME);
    for (size_t k = 0; k < MEASURES_OF_A_LABEL; k++) put_right(out, heads[k], of->low ? CELL : 11);
    put_literal(out, "    texts\n");
    for (int32_t i = 0; i < report->n_labels; i++) {
        uint64_t support = 0;
        for (int32_t j = 0; j < report->n_labels; j++) support += of->confusion[i * report->n_labels + j];
        snprintf(texts, sizeof texts, "%llu", (unsigned long long)support);
        put_three(out, evaluate_label(report, i), of, MEASURE_LABELS + (size_t)i * MEASURES_OF_A_LABEL, texts);
    }
    put_three(out, "weighted mean", of, MEASURE_WEIGHTED, "");
    put_three(out, "macro mean", of, MEASURE_MACRO, "");
    put_literal(out, "\n");
}

static void put_of_scores(bytes *out, const char *name, double value, double calibrated) {
    put_name(out, name, 20);
    evaluate_put_format(out, "%.4f", value);
    if (!isnan(calibrated)) evaluate_put_format(out, "   calibrated %.4f", calibrated);
    put_literal(out, "\n");
}

static void put_overall(bytes *out, const evaluate_report *report, const evaluation *of) {
    const curve_measures *curves = &of->curves;
    const char           *why;
    char                  text[160];
    put_name(out, "accuracy", 20);
    put_literal(out, cell(text, of->values[MEASURE_ACCURACY], of->low, of->high, MEASURE_ACCURACY));
    put_literal(out, "\n");
    put_name(out, "errors", 20);
    evaluate_put_format(out, "%llu (", (unsigned long long)of->errors);
    put_literal(out, evaluate_label(report, report->positive));
    evaluate_put_format(out, ": %llu false positive%s, %llu false negative%s)\n",
                        (unsigned long long)of->false_positives, of->false_positives == 1 ? "" : "s",
                        (unsigned long long)of->false_negatives, of->false_negatives == 1 ? "" : "s");
    put_name(out, "false-positive rate", 20);
    put_literal(out, cell(text, of->values[MEASURE_FALSE_RATE], of->low, of->high, MEASURE_FALSE_RATE));
    put_literal(out, "\n");
    why = evaluate_undefined(report, of, text, sizeof text);
    put_name(out, "AUROC", 20);
    if (!why) cell(text, curves->auroc, &curves->auroc_low, &curves->auroc_high, 0);
    put_literal(out, text);
    put_literal(out, "\n");
    put_name(out, "average precision", 20);
    if (!why) snprintf(text, sizeof text, "%.3f", curves->average_precision);
    put_literal(out, text);
    put_literal(out, "\n");
    put_of_scores(out, "Brier score", of->of_scores.brier, of->of_calibrated.brier);
    put_of_scores(out, "log loss", of->of_scores.log_loss, of->of_calibrated.log_loss);
    put_of_scores(out, "calibration error", of->of_scores.ece, of->of_calibrated.ece);
    put_literal(out, "\n");
}

/* Where the labels' names are too long for the columns, their numbers stand above these. */
static void put_confusion(bytes *out, const evaluate_report *report, const evaluation *of) {
    static const char *const corner = "true \\ predicted";
    int32_t                  labels = report->n_labels;
    size_t                   widest = columns(corner), width = 8, need = 0;
    int                      numbers;
    char                     text[24];
    for (int32_t i = 0; i < labels; i++) {
        size_t size = columns(evaluate_label(report, i));
        if (size > need) need = size;
        if (size + 3 > widest) widest = size + 3;
    }
    for (int32_t i = 0; i < labels * labels; i++) {
        int size = snprintf(text, sizeof text, "%llu", (unsigned long long)of->confusion[i]);
        if ((size_t)size + 1 > width) width = (size_t)size + 1;
    }
    numbers = widest + (need + 2 > width ? need + 2 : width) * (size_t)labels > LINE;
    if (!numbers && need + 2 > width) width = need + 2;
    if (widest + width * (size_t)labels > LINE) {
        put_literal(out, "The confusion matrix is too wide for a terminal; '-f json' has it.\n\n");
        return;
    }
    put_name(out, corner, widest + 1);
    for (int32_t i = 0; i < labels; i++) {
        snprintf(text, sizeof text, "%d", (int)i);
        put_right(out, numbers ? text : evaluate_label(report, i), width);
    }
    put_literal(out, "\n");
    for (int32_t i = 0; i < labels; i++) {
        const char *name = evaluate_label(report, i);
        size_t      length = strlen(name), shown = utf8_cut(name, length, 400);
        char        row[512], number[24] = "";
        if (numbers) snprintf(number, sizeof number, "%d ", (int)i);
        snprintf(row, sizeof row, "%s%.*s%s", number, (int)shown, name, shown < length ? "..." : "");
        put_name(out, row, widest + 1);
        for (int32_t j = 0; j < labels; j++) {
            snprintf(text, sizeof text, "%llu", (unsigned long long)of->confusion[i * labels + j]);
            put_right(out, text, width);
        }
        put_literal(out, "\n");
    }
    put_literal(out, "\n");
}

static void put_expected(bytes *out, const evaluate_report *report, const evaluation *of) {
    char text[40];
    if (isnan(of->values[MEASURE_EXPECTED])) return;
    put_literal(out, "precision to expect where the share of ");
    put_literal(out, evaluate_label(report, report->positive));
    put_literal(out, " is\n");
    for (size_t k = 0; k < N_PREVALENCES; k++) {
        evaluate_put_format(out, "%6.0f %%  ", 100 * measure_prevalences[k]);
        put_literal(out, cell(text, of->values[MEASURE_EXPECTED + k], of->low, of->high, MEASURE_EXPECTED + k));
        put_literal(out, "\n");
    }
    put_literal(out, "\n");
}

/* ---- Several models ---- */

static void put_side_by_side(bytes *out, const evaluate_report *report, int set) {
    size_t positive = MEASURE_LABELS + (size_t)report->positive * MEASURES_OF_A_LABEL;
    put_literal(out, "                                           of ");
    put_literal(out, evaluate_label(report, report->positive));
    put_literal(out, ":\nmodel                 accuracy  weighted F1  precision  recall     F1   errors\n");
    for (size_t i = 0; i < report->n_models; i++) {
        const evaluation *of = &report->models[i].sets[set];
        const double     *values = of->values;
        put_name(out, report->models[i].shown, MODEL);
        evaluate_put_format(out, "%8.3f %12.3f %10.3f %7.3f %6.3f %8llu\n", values[MEASURE_ACCURACY],
                            values[MEASURE_WEIGHTED + MEASURE_F1], values[positive + MEASURE_PRECISION],
                            values[positive + MEASURE_RECALL], values[positive + MEASURE_F1],
                            (unsigned long long)of->errors);
    }
    put_literal(out, "\ntexts that only one of two models labels rightly (McNemar's exact test)\n"
                     "first                 second                 only first  only second         p\n");
    for (size_t i = 0; i < report->n_pairs; i++) {
        const evaluated_pair *pair = &report->pairs[i];
        put_name(out, report->models[pair->first].shown, MODEL);
        put_name(out, report->models[pair->second].shown, MODEL);
        evaluate_put_format(out, "%11llu %12llu ", (unsigned long long)pair->only_first[set],
                            (unsigned long long)pair->only_second[set]);
        evaluate_put_p(out, 9, pair->only_first[set], pair->only_second[set]);
        put_literal(out, "\n");
    }
    put_literal(out, "\n");
}

static void put_set(bytes *out, const evaluate_report *report, int set) {
    size_t start = out->size;
    evaluate_put_heading(out, report, set);
    if (!out->failed) {
        size_t size = out->size - start;
        put_literal(out, "\n");
        for (size_t i = 0; i < size && i < LINE; i++) put_literal(out, "=");
    }
    put_literal(out, "\n");
    if (report->models[0].sets[set].n == 0) {
        put_literal(out, "\n");
        return;
    }
    if (report->n_models > 1) put_side_by_side(out, report, set);
    for (size_t i = 0; i < report->n_models; i++) {
        const evaluation *of = &report->models[i].sets[set];
        if (report->n_models > 1) {
            put_literal(out, report->models[i].shown);
            put_literal(out, ":\n");
        }
        put_labels(out, report, of);
        put_overall(out, report, of);
        put_confusion(out, report, of);
        put_expected(out, report, of);
    }
}

void evaluate_put_text(bytes *out, const evaluate_report *report) {
    if (report->n_models == 1) {
        put_literal(out, "model ");
        put_literal(out, report->models[0].shown);
        put_literal(out, "\n\n");
    }
    for (int set = 0; set < report->n_sets; set++) put_set(out, report, set);
    evaluate_put_decision(out, report);
    evaluate_put_method(out, report);
}
