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
            case OPTION_NUMBER: snprintf(value, sizeof value, "=0.25"); break;
            case OPTION_INTEGER:
            case OPTION_COUNT: snprintf(value, sizeof value, "=17"); break;
            }
            snprintf(argument, sizeof argument, "--%s%s", option->name, value);
            assert_int_equal(options_parse((command_id)command, 0, NULL, &before, &problem), 0);
            assert_int_equal(parse((command_id)command, 1, list), 0);
            assert_memory_not_equal((char *)&got + option->offset, (char *)&before + option->offset,
                                    option->type == OPTION_NUMBER ? sizeof(double) : sizeof(int));
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
        EXPECT_ERROR("needs a number of at least 0", COMMAND_SCREEN, "--threshold", bad_scores[i]);
    EXPECT_ERROR("from 3 to", COMMAND_CLASSIFY, "--max-length", "2");
    EXPECT_ERROR("at least 1", COMMAND_SCREEN, "--limit=0");
    EXPECT_OK(COMMAND_SCREEN, "--threshold", "1e-3", "--limit", "18446744073709551615");
    assert_true(got.threshold == 0.001 && got.limit == UINT64_MAX);
    options_free(&got);
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
        cmocka_unit_test(values_in_all_spellings),   cmocka_unit_test(defaults), cmocka_unit_test(the_whole_table),
        cmocka_unit_test(numbers_are_read_strictly), cmocka_unit_test(mistakes), cmocka_unit_test(commands),
        cmocka_unit_test(help_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
