/* SPDX-License-Identifier: Apache-2.0
 * adesieve evaluate -f markdown: tables for a model card. */
#include "evaluate_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A name in a cell: no line ends, and its bars do not end the cell. */
static void put_name(bytes *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|' || *text == '\\') put_literal(out, "\\");
        put_raw(out, *text == '\n' || *text == '\r' ? " " : text, 1);
    }
}

static void put_value(bytes *out, double value, const double *low, const double *high, size_t index) {
    if (isnan(value))
        put_literal(out, "| - ");
    else if (low && !isnan(low[index]))
        evaluate_put_format(out, "| %.3f (%.3f to %.3f) ", value, low[index], high[index]);
    else
        evaluate_put_format(out, "| %.3f ", value);
}

static void put_measure(bytes *out, const evaluation *of, size_t index) {
    put_value(out, of->values[index], of->low, of->high, index);
}

static void put_three(bytes *out, const evaluation *of, size_t first) {
    for (size_t k = 0; k < MEASURES_OF_A_LABEL; k++) put_measure(out, of, first + k);
}

static void put_labels(bytes *out, const evaluate_report *report, const evaluation *of) {
    put_literal(out, "| label | precision | recall | F1 | texts |\n|---|---|---|---|---|\n");
    for (int32_t i = 0; i < report->n_labels; i++) {
        uint64_t support = 0;
        for (int32_t j = 0; j < report->n_labels; j++) support += of->confusion[i * report->n_labels + j];
        put_literal(out, "| ");
        put_name(out, evaluate_label(report, i));
        put_literal(out, " ");
        put_three(out, of, MEASURE_LABELS + (size_t)i * MEASURES_OF_A_LABEL);
        evaluate_put_format(out, "| %llu |\n", (unsigned long long)support);
    }
    put_literal(out, "| weighted mean ");
    put_three(out, of, MEASURE_WEIGHTED);
    evaluate_put_format(out, "| %llu |\n| macro mean ", (unsigned long long)of->n);
    put_three(out, of, MEASURE_MACRO);
    evaluate_put_format(out, "| %llu |\n\n", (unsigned long long)of->n);
}

static void put_of_scores(bytes *out, const char *name, double value, double calibrated) {
    evaluate_put_format(out, "| %s | %.4f |\n", name, value);
    if (!isnan(calibrated)) evaluate_put_format(out, "| %s, calibrated | %.4f |\n", name, calibrated);
}

static void put_overall(bytes *out, const evaluate_report *report, const evaluation *of) {
    const curve_measures *curves = &of->curves;
    char                  buffer[160];
    const char           *why = evaluate_undefined(report, of, buffer, sizeof buffer);
    put_literal(out, "| measure | value |\n|---|---|\n| accuracy ");
    put_measure(out, of, MEASURE_ACCURACY);
    evaluate_put_format(out, "|\n| errors | %llu (%llu false positives, %llu false negatives) |\n",
                        (unsigned long long)of->errors, (unsigned long long)of->false_positives,
                        (unsigned long long)of->false_negatives);
    put_literal(out, "| false-positive rate ");
    put_measure(out, of, MEASURE_FALSE_RATE);
    put_literal(out, "|\n| AUROC ");
    if (why) {
        put_literal(out, "| ");
        put_name(out, why);
        put_literal(out, " |\n");
    } else {
        put_value(out, curves->auroc, &curves->auroc_low, &curves->auroc_high, 0);
        evaluate_put_format(out, "|\n| average precision | %.3f |\n", curves->average_precision);
    }
    put_of_scores(out, "Brier score", of->of_scores.brier, of->of_calibrated.brier);
    put_of_scores(out, "log loss", of->of_scores.log_loss, of->of_calibrated.log_loss);
    put_of_scores(out, "expected calibration error", of->of_scores.ece, of->of_calibrated.ece);
    put_literal(out, "\n");
}

static void put_confusion(bytes *out, const evaluate_report *report, const evaluation *of) {
    int32_t labels = report->n_labels;
    put_literal(out, "| true \\\\ predicted ");
    for (int32_t i = 0; i < labels; i++) {
        put_literal(out, "| ");
        put_name(out, evaluate_label(report, i));
        put_literal(out, " ");
    }
    put_literal(out, "|\n|---");
    for (int32_t i = 0; i < labels; i++) put_literal(out, "|---");
    put_literal(out, "|\n");
    for (int32_t i = 0; i < labels; i++) {
        put_literal(out, "| ");
        put_name(out, evaluate_label(report, i));
        put_literal(out, " ");
        for (int32_t j = 0; j < labels; j++)
            evaluate_put_format(out, "| %llu ", (unsigned long long)of->confusion[i * labels + j]);
        put_literal(out, "|\n");
    }
    put_literal(out, "\n");
}

static void put_expected(bytes *out, const evaluate_report *report, const evaluation *of) {
    if (isnan(of->values[MEASURE_EXPECTED])) return;
    put_literal(out, "| share of ");
    put_name(out, evaluate_label(report, report->positive));
    put_literal(out, " | precision to expect |\n|---|---|\n");
    for (size_t k = 0; k < N_PREVALENCES; k++) {
        evaluate_put_format(out, "| %.0f %% ", 100 * measure_prevalences[k]);
        put_measure(out, of, MEASURE_EXPECTED + k);
        put_literal(out, "|\n");
    }
    put_literal(out, "\n");
}

static void put_side_by_side(bytes *out, const evaluate_report *report, int set) {
    size_t positive = MEASURE_LABELS + (size_t)report->positive * MEASURES_OF_A_LABEL;
    put_literal(out, "| model | accuracy | weighted F1 ");
    for (int k = 0; k < MEASURES_OF_A_LABEL; k++) {
        put_literal(out, "| ");
        put_name(out, evaluate_label(report, report->positive));
        put_literal(out, k == MEASURE_PRECISION ? " precision " : k == MEASURE_RECALL ? " recall " : " F1 ");
    }
    put_literal(out, "| AUROC | errors |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->n_models; i++) {
        const evaluation *of = &report->models[i].sets[set];
        put_literal(out, "| ");
        put_name(out, report->models[i].shown);
        put_literal(out, " ");
        put_measure(out, of, MEASURE_ACCURACY);
        put_measure(out, of, MEASURE_WEIGHTED + MEASURE_F1);
        put_three(out, of, positive);
        put_value(out, of->curves.auroc, &of->curves.auroc_low, &of->curves.auroc_high, 0);
        evaluate_put_format(out, "| %llu |\n", (unsigned long long)of->errors);
    }
    put_literal(out, "\n| first | second | only the first right | only the second right | p (McNemar, exact) |\n"
                     "|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->n_pairs; i++) {
        const evaluated_pair *pair = &report->pairs[i];
        put_literal(out, "| ");
        put_name(out, report->models[pair->first].shown);
        put_literal(out, " | ");
        put_name(out, report->models[pair->second].shown);
        evaluate_put_format(out, " | %llu | %llu | ", (unsigned long long)pair->only_first[set],
                            (unsigned long long)pair->only_second[set]);
        evaluate_put_p(out, 0, pair->only_first[set], pair->only_second[set]);
        put_literal(out, " |\n");
    }
    put_literal(out, "\n");
}

void evaluate_put_markdown(bytes *out, const evaluate_report *report) {
    if (report->n_models == 1) {
        put_literal(out, "## ");
        put_name(out, report->models[0].shown);
        put_literal(out, "\n\n");
    }
    for (int set = 0; set < report->n_sets; set++) {
        put_literal(out, "### ");
        evaluate_put_heading(out, report, set);
        put_literal(out, "\n\n");
        if (report->models[0].sets[set].n == 0) continue;
        if (report->n_models > 1) put_side_by_side(out, report, set);
        for (size_t i = 0; i < report->n_models; i++) {
            const evaluation *of = &report->models[i].sets[set];
            if (report->n_models > 1) {
                put_literal(out, "#### ");
                put_name(out, report->models[i].shown);
                put_literal(out, "\n\n");
            }
            put_labels(out, report, of);
            put_overall(out, report, of);
            put_confusion(out, report, of);
            put_expected(out, report, of);
        }
    }
    evaluate_put_decision(out, report);
    evaluate_put_method(out, report);
}
