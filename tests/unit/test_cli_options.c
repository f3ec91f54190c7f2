/* SPDX-License-Identifier: Apache-2.0
 * The command line: every option of the table is read, numbers strictly, and mistakes get a sentence and a hint. */
/* needs: src/cli/options.c src/cli/option_table.c src/cli/help.c src/cli/rows.c src/cli/utf8_check.c */
#include "help.h"
#include "options.h"

#include "adesieve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static settings      got;
static usage_problem problem;

static int parse(command_id command, int argc, const char *const *argv) {
    char *copy[16];
    int   result;
    assert_true(argc <= 16);
    for (int i = 0; i < argc; i++) copy[i] = (char *)(uintptr_t)argv[i];
    result = options_parse(command, argc, copy, &got, &problem);
    return result;
}

#define PARSE(command, ...)                                                                                            \
    parse(command, (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(const char *)), (const char *[]){__VA_ARGS__})

#define EXPECT_OK(command, ...) assert_int_equal(PARSE(command, __VA_ARGS__), 0)
#define EXPECT_ERROR(part, command, ...)                                                                               \
    do {                                                                                                               \
        assert_int_equal(PARSE(command, __VA_ARGS__), -1);                                                             \
        if (!strstr(problem.error, part)) fail_msg("%s", problem.error);                                               \
        options_free(&got);                                                                                            \
    } while (0)

static void values_in_all_spellings(void **state) {
    (void)state;
    EXPECT_OK(COMMAND_CLASSIFY, "--format", "tsv", "--threads=3", "-mDIR", "-qo", "out", "a", "-", "--", "--b");
    assert_int_equal(got.format, ROWS_TSV);
    assert_int_equal(got.threads, 3);
    assert_string_equal(got.model, "DIR");
    assert_int_equal(got.quiet, 1);
    assert_string_equal(got.output, "out");
    assert_int_equal(got.n_files, 3);
    assert_string_equal(got.files[1], "-");
    assert_string_equal(got.files[2], "--b");
    options_free(&got);
}

static void defaults(void **state) {
    (void)state;
    assert_int_equal(options_parse(COMMAND_SCREEN, 0, NULL, &got, &problem), 0);
    assert_true(got.threshold < 0);
    assert_int_equal(got.input_format, -1);
    assert_string_equal(got.text_field, "text");
    assert_int_equal(got.n_files, 0);
    options_free(&got);
}

/* Every option of every command is taken with a value of its kind, and leaves a trace in the settings. */
static void the_whole_table(void **state) {
    (void)state;
    for (int command = 0; command < N_COMMANDS; command++) {
        for (size_t i = 0; i < option_table_size; i++) {
            const option_entry *option = &option_table[i];
            char                argument[200], value[64] = "";
            settings            before;
            const char         *list[1] = {argument};
            if (!(option->commands & 1u << command)) continue;
            switch (option->type) {
            case OPTION_FLAG: break;
            case OPTION_TEXT: snprintf(value, sizeof value, "=given"); break;
            case OPTION_CHOICE: snprintf(value, sizeof value, "=%s", strrchr(option->value, '|') + 1); break;
            case OPTION_DEVICE: snprintf(value, sizeof value, "=cuda:7"); break;
            case OPTION_MODELS: snprintf(value, sizeof value, "=given"); break;
            case OPTION_THRESHOLD: snprintf(value, sizeof value, "=precision=0.25"); break;
            case OPTION_SHARE:
            case OPTION_NUMBER: snprintf(value, sizeof value, "=0.25"); break;
            case OPTION_INTEGER:
            case OPTION_COUNT: snprintf(value, sizeof value, "=17"); break;
            }
            snprintf(argument, sizeof argument, "--%s%s", option->name, value);
            assert_int_equal(options_parse((command_id)command, 0, NULL, &before, &problem), 0);
            assert_int_equal(parse((command_id)command, 1, list), 0);
            assert_memory_not_equal((char *)&got + option->offset, (char *)&before + option->offset,
                                    option->type == OPTION_NUMBER || option->type == OPTION_SHARE ||
                                            option->type == OPTION_THRESHOLD
                                        ? sizeof(double)
                                        : sizeof(int));
            options_free(&got);
            options_free(&before);
        }
    }
    EXPECT_OK(COMMAND_SCREEN, "--device", "cuda:7");
    assert_int_equal(got.device, ADE_DEVICE_CUDA);
    assert_int_equal(got.device_index, 7);
    options_free(&got);
    EXPECT_OK(COMMAND_SCREEN, "--precision", "bf16");
    assert_int_equal(got.precision, ADE_PRECISION_BF16);
    options_free(&got);
}

static void numbers_are_read_strictly(void **state) {
    static const char *const bad[] = {
        "0", "-1", "+1", "1.0", "x", "", " 1", "1 ", "0x10", "4097", "99999999999999999999", "1e1"};
    static const char *const bad_scores[] = {"1e31", "-0.1", "nan",  "inf",   "0x1p-1",
                                             "",     "0,5",  "0.5.", "1e400", " 0.5"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT_ERROR("needs a whole number from 1 to 4096", COMMAND_CLASSIFY, "--threads", bad[i]);
    for (size_t i = 0; i < sizeof bad_scores / sizeof bad_scores[0]; i++)
        EXPECT_ERROR("needs a score of at least 0", COMMAND_SCREEN, "--threshold", bad_scores[i]);
    for (size_t i = 0; i < sizeof bad_scores / sizeof bad_scores[0]; i++)
        EXPECT_ERROR("needs a number of at least 0", COMMAND_EXPORT, "--threshold", bad_scores[i]);
    EXPECT_ERROR("from 3 to", COMMAND_CLASSIFY, "--max-length", "2");
    EXPECT_ERROR("at least 1", COMMAND_SCREEN, "--limit=0");
    EXPECT_OK(COMMAND_SCREEN, "--threshold", "1e-3", "--limit", "18446744073709551615");
    assert_true(got.threshold == 0.001 && got.limit == UINT64_MAX);
    options_free(&got);
}

/* A score, or what it shall reach. */
static void thresholds(void **state) {
    static const char *const bad[] = {"recall=0",    "recall=1.01", "recall=",    "precision=-0.1",
                                      "precision=x", "review= 0.1", "review=nan", "recall=0.9%"};
    static const char *const no_targets[] = {"Recall=0.9", "recall", "f1=0.9", "recall 0.9", "=0.9"};
    (void)state;
    EXPECT_OK(COMMAND_SCREEN, "--threshold", "recall=0.95");
    assert_true(got.threshold == 0.95 && got.threshold_target == ADE_TARGET_RECALL);
    options_free(&got);
    EXPECT_OK(COMMAND_CLASSIFY, "--threshold=precision=0.9", "--prevalence=0.02", "--calibrated");
    assert_true(got.threshold == 0.9 && got.threshold_target == ADE_TARGET_PRECISION && got.prevalence == 0.02);
    assert_int_equal(got.calibrated, 1);
    options_free(&got);
    EXPECT_OK(COMMAND_EVALUATE, "-treview=1");
    assert_true(got.threshold == 1 && got.threshold_target == ADE_TARGET_REVIEW);
    options_free(&got);
    EXPECT_OK(COMMAND_EVALUATE, "-t", "recall=0.9", "-t", "0.25"); /* the last one counts */
    assert_true(got.threshold == 0.25 && got.threshold_target == ADE_TARGET_SCORE);
    options_free(&got);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT_ERROR("needs a number above 0 and at most 1", COMMAND_EVALUATE, "--threshold", bad[i]);
    for (size_t i = 0; i < sizeof no_targets / sizeof no_targets[0]; i++)
        EXPECT_ERROR("recall=R, precision=P or review=S", COMMAND_EVALUATE, "--threshold", no_targets[i]);
    EXPECT_ERROR("above 0 and below 1", COMMAND_SCREEN, "--prevalence=0");
    EXPECT_ERROR("above 0 and below 1", COMMAND_SCREEN, "--prevalence=1");
    EXPECT_ERROR("above 0 and below 1", COMMAND_SCREEN, "--prefilter-recall=1");
    EXPECT_ERROR("needs a number of at least 0", COMMAND_EXPORT, "--threshold", "recall=0.9");
}

static void several_models(void **state) {
    static const char *const too_many[] = {"-m1", "-m2",  "-m3",  "-m4",  "-m5",  "-m6",  "-m7",  "-m8",
                                           "-m9", "-m10", "-m11", "-m12", "-m13", "-m14", "-m15", "-m16"};
    (void)state;
    EXPECT_OK(COMMAND_EVALUATE, "-m", "a", "--model=b", "-mc", "x.csv");
    assert_int_equal(got.n_models, 3);
    assert_string_equal(got.models[0], "a");
    assert_string_equal(got.models[1], "b");
    assert_string_equal(got.models[2], "c");
    assert_string_equal(got.model, "a");
    options_free(&got);
    assert_int_equal(parse(COMMAND_EVALUATE, 16, too_many), 0);
    assert_int_equal(got.n_models, MOST_MODELS);
    options_free(&got);
    EXPECT_OK(COMMAND_CLASSIFY, "-m", "a", "-m", "b"); /* elsewhere the last one counts */
    assert_string_equal(got.model, "b");
    assert_int_equal(got.n_models, 0);
    options_free(&got);
    EXPECT_ERROR("not empty", COMMAND_EVALUATE, "-m", "");
}

static void labelled_commands(void **state) {
    (void)state;
    EXPECT_OK(COMMAND_EVALUATE, "a.csv");
    assert_string_equal(got.label_field, "label");
    assert_int_equal(got.bootstrap, -1);
    assert_int_equal(got.seed, 42);
    assert_int_equal(got.format, REPORT_TEXT);
    options_free(&got);
    EXPECT_OK(COMMAND_EVALUATE, "--bootstrap=0", "-fmarkdown", "-o", "x.csv", "--seed=1", "a.csv");
    assert_int_equal(got.bootstrap, 0);
    assert_int_equal(got.format, REPORT_MARKDOWN);
    assert_int_equal(got.seed, 1);
    options_free(&got);
    EXPECT_OK(COMMAND_CALIBRATE, "--method", "isotonic", "--folds=5", "--data", "val", "--seen=t.csv", "a.csv");
    assert_int_equal(got.method, ADE_CALIBRATION_ISOTONIC);
    assert_int_equal(got.folds, 5);
    assert_string_equal(got.data, "val");
    options_free(&got);
    EXPECT_ERROR("from 0 to 1000000", COMMAND_EVALUATE, "--bootstrap=1000001");
    EXPECT_ERROR("from 2 to 100", COMMAND_CALIBRATE, "--folds=1");
    EXPECT_ERROR("takes auto|temperature|platt|isotonic, not 'beta'", COMMAND_CALIBRATE, "--method=beta");
    EXPECT_ERROR("takes text|json|markdown, not 'html'", COMMAND_EVALUATE, "-f", "html");
    EXPECT_ERROR("'calibrate' has no option '--errors'", COMMAND_CALIBRATE, "--errors=x");
}

static void mistakes(void **state) {
    (void)state;
    EXPECT_ERROR("unknown option '--treads'", COMMAND_CLASSIFY, "--treads", "3");
    assert_string_equal(problem.hint, "did you mean '--threads'?");
    EXPECT_ERROR("unknown option '--thresh'", COMMAND_SCREEN, "--thresh=0.5"); /* names must be whole */
    assert_string_equal(problem.hint, "did you mean '--threshold'?");
    EXPECT_ERROR("'classify' has no option '--parts'", COMMAND_CLASSIFY, "--parts=x");
    EXPECT_ERROR("unknown option '--zzzzzz'", COMMAND_CLASSIFY, "--zzzzzz");
    assert_non_null(strstr(problem.hint, "--help"));
    EXPECT_ERROR("unknown option '-z'", COMMAND_CLASSIFY, "-qz");
    EXPECT_ERROR("takes no value", COMMAND_CLASSIFY, "--quiet=yes");
    EXPECT_ERROR("needs a value", COMMAND_CLASSIFY, "--output");
    EXPECT_ERROR("needs a value", COMMAND_CLASSIFY, "-o");
    EXPECT_ERROR("not empty", COMMAND_CLASSIFY, "--output=");
    EXPECT_ERROR("takes jsonl|tsv|csv, not 'xml'", COMMAND_CLASSIFY, "-f", "xml");
    EXPECT_ERROR("takes text|json, not 'tsv'", COMMAND_INFO, "-f", "tsv");
    EXPECT_ERROR("takes auto|cpu|cuda|cuda:N, not 'cuda:x'", COMMAND_CLASSIFY, "--device=cuda:x");
    EXPECT_ERROR("takes jsonl|tsv|csv, not 'js'", COMMAND_CLASSIFY, "-fjs");
    EXPECT_ERROR("only once", COMMAND_CLASSIFY, "-", "a", "-");
    EXPECT_ERROR("file name is empty", COMMAND_CLASSIFY, "");
}

static void commands(void **state) {
    const char *nearest;
    (void)state;
    assert_int_equal(command_find("screen", &nearest), COMMAND_SCREEN);
    assert_int_equal(command_find("scren", &nearest), -1);
    assert_string_equal(nearest, "screen");
    assert_int_equal(command_find("class", &nearest), -1);
    assert_string_equal(nearest, "classify");
    assert_int_equal(command_find("frobnicate", &nearest), -1);
    assert_null(nearest);
    assert_int_equal(command_find("", &nearest), -1);
}

/* --help, the manual page and the completion name every option. */
static void help_is_complete(void **state) {
    bytes manual = {0}, completion = {0};
    (void)state;
    help_manual(&manual);
    help_completion(&completion);
    put_raw(&manual, "", 1);
    put_raw(&completion, "", 1);
    for (int command = 0; command < N_COMMANDS; command++) {
        bytes help = {0};
        help_command(&help, (command_id)command);
        put_raw(&help, "", 1);
        for (size_t i = 0; i < option_table_size; i++) {
            const option_entry *option = &option_table[i];
            unsigned            takers = 0; /* an option may stand in the table twice, with other choices */
            char                name[64];
            for (size_t j = 0; j < option_table_size; j++)
                if (strcmp(option_table[j].name, option->name) == 0) takers |= option_table[j].commands;
            snprintf(name, sizeof name, ", --%s", option->name);
            if (!option->letter) snprintf(name, sizeof name, "      --%s", option->name);
            assert_int_equal(strstr(help.data, name) != NULL, (takers & 1u << command) != 0);
            snprintf(name, sizeof name, "--%s", option->name);
            assert_non_null(strstr(completion.data, name));
        }
        for (const char *line = help.data; line;) { /* nothing but usage, options and examples may be long */
            const char *end = strchr(line, '\n');
            if (end && end - line > 80 && strncmp(line, "    adesieve", 12) != 0)
                fail_msg("%.*s", (int)(end - line), line);
            line = end ? end + 1 : NULL;
        }
        bytes_free(&help);
    }
    for (size_t i = 0; i < option_table_size; i++) {
        char        roff[128] = "\\-\\-";
        size_t      at = 4;
        const char *c = option_table[i].name;
        for (; *c; c++) {
            if (*c == '-') roff[at++] = '\\';
            roff[at++] = *c;
        }
        assert_non_null(strstr(manual.data, roff));
    }
    bytes_free(&manual);
    bytes_free(&completion);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_in_all_spellings),   cmocka_unit_test(defaults),   cmocka_unit_test(the_whole_table),
        cmocka_unit_test(numbers_are_read_strictly), cmocka_unit_test(mistakes),   cmocka_unit_test(commands),
        cmocka_unit_test(help_is_complete),          cmocka_unit_test(thresholds), cmocka_unit_test(several_models),
        cmocka_unit_test(labelled_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
