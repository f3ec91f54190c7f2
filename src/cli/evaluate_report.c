/* SPDX-License-Identifier: Apache-2.0
 * What the text and the Markdown of adesieve evaluate have in common. */
#include "evaluate_report.h"

#include "utf8_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_OF_A_NAME = 60 }; /* bytes */

const char *evaluate_label(const evaluate_report *report, int32_t index) {
    return ade_model_label(report->models[0].engine.model, index);
}

void evaluate_put_format(bytes *out, const char *format, ...) {
    char    text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_literal(out, text);
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return strcmp(path, "-") == 0 ? "standard input" : slash && slash[1] ? slash + 1 : path;
}

void evaluate_put_heading(bytes *out, const evaluate_report *report, int set) {
    const evaluated_model *first = &report->models[0];
    uint64_t               n = first->sets[set].n, repeated;
    if (set == TEXTS_ALL) {
        evaluate_put_format(out, "%s%llu text%s", report->n_sets > 1 ? "All " : "", (unsigned long long)n, plural(n));
        return;
    }
    evaluate_put_format(out, "%llu %stext%s that %s in ", (unsigned long long)n, set == TEXTS_SEEN ? "" : "distinct ",
                        plural(n),
                        set == TEXTS_SEEN ? n == 1 ? "occurs" : "occur"
                        : n == 1          ? "does not occur"
                                          : "do not occur");
    put_literal(out, last_part(report->wanted->seen));
    if (set == TEXTS_SEEN) return;
    repeated = first->sets[TEXTS_ALL].n - first->sets[TEXTS_SEEN].n - n;
    if (repeated > 0)
        evaluate_put_format(out, " (%llu repeat%s left out)", (unsigned long long)repeated, plural(repeated));
}

void evaluate_put_decision(bytes *out, const evaluate_report *report) {
    static const char *const targets[] = {
        [ADE_TARGET_RECALL] = "recall", [ADE_TARGET_PRECISION] = "precision", [ADE_TARGET_REVIEW] = "review"};
    const settings *wanted = report->wanted;
    if (wanted->threshold < 0) return;
    put_literal(out, "A text counts as ");
    put_literal(out, evaluate_label(report, report->positive));
    put_literal(out, " when its score is at least ");
    for (size_t i = 0; i < report->n_models; i++) {
        const evaluated_model *model = &report->models[i];
        if (i > 0 && wanted->threshold_target == ADE_TARGET_SCORE) break;
        if (i > 0) put_literal(out, ", ");
        put_float(out, (float)model->threshold); /* which it is */
        if (report->n_models > 1 && wanted->threshold_target != ADE_TARGET_SCORE) {
            put_literal(out, " (");
            put_literal(out, model->shown);
            put_literal(out, ")");
        }
    }
    if (wanted->threshold_target != ADE_TARGET_SCORE) {
        evaluate_put_format(out, ", by calibration for %s=%g", targets[wanted->threshold_target], wanted->threshold);
        if (wanted->prevalence > 0) evaluate_put_format(out, " at a prevalence of %g", wanted->prevalence);
    }
    put_literal(out, ".\n");
}

void evaluate_put_method(bytes *out, const evaluate_report *report) {
    if (report->samples > 0)
        evaluate_put_format(out,
                            "95 %% intervals: bootstrap of %zu samples, seed %llu; of AUROC: DeLong.\n"
                            "A value without one is the same in all samples, or has none.\n",
                            report->samples, (unsigned long long)report->wanted->seed);
    else
        put_literal(out, "95 % interval of AUROC: DeLong.\n");
}

void evaluate_put_p(bytes *out, int width, uint64_t b, uint64_t c) {
    double p = mcnemar_exact(b, c);
    if (p < 1e-99)
        evaluate_put_format(out, "%*s", width, "<1e-99");
    else
        evaluate_put_format(out, "%*.3g", width, p);
}

const char *evaluate_undefined(const evaluate_report *report, const evaluation *of, char *buffer, size_t size) {
    const char *name = evaluate_label(report, report->positive);
    size_t      length = strlen(name), shown = utf8_cut(name, length, MOST_OF_A_NAME);
    if (!isnan(of->curves.auroc)) return NULL;
    if (of->n == 0)
        snprintf(buffer, size, "not defined: there is no text");
    else
        snprintf(buffer, size, "not defined: %s text is labelled %.*s%s", of->positives == 0 ? "no" : "every",
                 (int)shown, name, shown < length ? "..." : "");
    return buffer;
}
