/* SPDX-License-Identifier: Apache-2.0
 * Reads the command line by the table. Numbers are read strictly, long names must be whole, and a name that does not
 * exist gets the nearest one as a hint. */
#include "options.h"

#include "adesieve.h"
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static int
fail(usage_problem *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->error, sizeof problem->error, format, arguments);
    va_end(arguments);
    return -1;
}

/* How many letters must be added, left out, changed or swapped with their neighbour to get from a to b. */
static size_t distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    size_t table[LONGEST + 1][LONGEST + 1], n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return LONGEST;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            size_t best;
            if (i == 0 || j == 0) {
                table[i][j] = i + j;
                continue;
            }
            best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
            if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && table[i - 2][j - 2] + 1 < best)
                best = table[i - 2][j - 2] + 1;
            table[i][j] = best;
        }
    }
    return table[n][m];
}

/* Near enough to be meant: one third of the letters may be wrong. The beginning of a name is always near. */
static size_t likeness(const char *typed, const char *name) {
    size_t wrong = distance(typed, name), length = strlen(typed);
    if (length >= 2 && strncmp(typed, name, length) == 0) return 0;
    return wrong <= (length + 2) / 3 ? wrong : (size_t)-1;
}

int command_find(const char *name, const char **nearest) {
    size_t best = (size_t)-1;
    *nearest = NULL;
    for (int i = 0; i < N_COMMANDS; i++) {
        size_t like = likeness(name, command_table[i].name);
        if (strcmp(name, command_table[i].name) == 0) return i;
        if (like < best) {
            best = like;
            *nearest = command_table[i].name;
        }
    }
    return -1;
}

static const option_entry *find_option(command_id command, const char *name, size_t length, usage_problem *problem) {
    const option_entry *nearest = NULL, *elsewhere = NULL;
    size_t              best = (size_t)-1;
    char                typed[64];
    snprintf(typed, sizeof typed, "%.*s", length > 60 ? 60 : (int)length, name);
    for (size_t i = 0; i < option_table_size; i++) {
        const option_entry *option = &option_table[i];
        int                 same = strlen(option->name) == length && memcmp(option->name, name, length) == 0;
        size_t              like;
        if (!(option->commands & 1u << command)) {
            if (same) elsewhere = option;
            continue;
        }
        if (same) return option;
        like = likeness(typed, option->name);
        if (like < best) {
            best = like;
            nearest = option;
        }
    }
    if (elsewhere)
        fail(problem, "'%s' has no option '--%s'.", command_table[command].name, typed);
    else
        fail(problem, "unknown option '--%s'.", typed);
    if (nearest)
        snprintf(problem->hint, sizeof problem->hint, "did you mean '--%s'?", nearest->name);
    else
        snprintf(problem->hint, sizeof problem->hint, "'adesieve %s --help' lists the options",
                 command_table[command].name);
    return NULL;
}

/* ---- Values ---- */

/* Decimal digits and nothing else. */
static int read_unsigned(const char *text, uint64_t *out) {
    uint64_t value = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) return -1;
        value = value * 10 + digit;
    }
    *out = value;
    return 0;
}

/* A decimal number such as 0.5, .5 or 1e-3: no sign, no hexadecimal, no "inf" or "nan", no spaces. */
static int read_number(const char *text, double *out) {
    char *end;
    if (!*text || strspn(text, "0123456789.eE+-") != strlen(text) || *text == '+' || *text == '-') return -1;
    errno = 0;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out) ? 0 : -1;
}

static int read_choice(const char *choices, const char *text, int *out) {
    size_t length = strlen(text);
    for (int number = 0;; number++) {
        size_t size = strcspn(choices, "|");
        if (size == length && memcmp(choices, text, size) == 0) {
            *out = number;
            return 0;
        }
        if (choices[size] == '\0') return -1;
        choices += size + 1;
    }
}

static int read_device(const char *text, settings *out) {
    uint64_t index = 0;
    if (strcmp(text, "auto") == 0)
        out->device = ADE_DEVICE_AUTO;
    else if (strcmp(text, "cpu") == 0)
        out->device = ADE_DEVICE_CPU;
    else if (strcmp(text, "cuda") == 0)
        out->device = ADE_DEVICE_CUDA;
    else if (strncmp(text, "cuda:", 5) == 0 && read_unsigned(text + 5, &index) == 0 && index < 1024)
        out->device = ADE_DEVICE_CUDA;
    else
        return -1;
    out->device_index = (int)index;
    return 0;
}

/* A score, or what it shall reach: "recall=0.95". */
static int read_threshold(const char *shown, const char *text, settings *out, usage_problem *problem) {
    static const char *const names[] = {
        [ADE_TARGET_RECALL] = "recall=", [ADE_TARGET_PRECISION] = "precision=", [ADE_TARGET_REVIEW] = "review="};
    out->threshold_target = ADE_TARGET_SCORE;
    for (int target = ADE_TARGET_RECALL; target <= ADE_TARGET_REVIEW; target++) {
        size_t size = strlen(names[target]);
        if (strncmp(text, names[target], size) != 0) continue;
        out->threshold_target = target;
        if (read_number(text + size, &out->threshold) == 0 && out->threshold > 0 && out->threshold <= 1) return 0;
        return fail(problem, "'%s %s' needs a number above 0 and at most 1, not '%.60s'.", shown, names[target],
                    text + size);
    }
    if (read_number(text, &out->threshold) == 0 && out->threshold >= 0 && out->threshold <= 1e30) return 0;
    return fail(problem,
                "'%s' needs a score of at least 0, such as 0.25, or recall=R, precision=P or review=S, not '%.60s'.",
                shown, text);
}

/* A format of the Python package's command, which hands all else to this one. */
static void hint_parquet(usage_problem *problem) {
    snprintf(problem->hint, sizeof problem->hint,
             "Parquet is written by the command that the Python package installs: pip install 'adesieve[arrow]'");
}

/* `shown` is the option as the user wrote it, "-f" or "--format". */
static int store(const option_entry *option, const char *shown, const char *text, settings *out,
                 usage_problem *problem) {
    void    *where = (char *)out + option->offset;
    uint64_t count;
    double   number;
    switch (option->type) {
    case OPTION_FLAG: *(int *)where = 1; return 0;
    case OPTION_TEXT:
        if (!*text) return fail(problem, "'%s' needs a value that is not empty.", shown);
        *(const char **)where = text;
        return 0;
    case OPTION_CHOICE:
        if (read_choice(option->value, text, where) == 0) return 0;
        if (strcmp(text, "parquet") == 0 && option->offset == offsetof(settings, format) &&
            option->commands & (1u << COMMAND_SCREEN | 1u << COMMAND_CLASSIFY))
            hint_parquet(problem);
        break;
    case OPTION_SHARE:
        if (read_number(text, &number) == 0 && number > option->low && number < option->high) {
            *(double *)where = number;
            return 0;
        }
        return fail(problem, "'%s' needs a number above %g and below %g, not '%.60s'.", shown, option->low, option->high,
                    text);
    case OPTION_THRESHOLD: return read_threshold(shown, text, out, problem);
    case OPTION_MODELS:
        if (!*text) return fail(problem, "'%s' needs a value that is not empty.", shown);
        if (out->n_models == MOST_MODELS) return fail(problem, "at most %d models are possible side by side.", MOST_MODELS);
        out->models[out->n_models++] = text;
        out->model = out->models[0];
        return 0;
    case OPTION_DEVICE:
        if (read_device(text, out) == 0) return 0;
        break;
    case OPTION_INTEGER:
        if (read_unsigned(text, &count) == 0 && (double)count >= option->low && (double)count <= option->high) {
            *(int *)where = (int)count;
            return 0;
        }
        return fail(problem, "'%s' needs a whole number from %.0f to %.0f, not '%.60s'.", shown, option->low,
                    option->high, text);
    case OPTION_COUNT:
        if (read_unsigned(text, &count) == 0 && count >= 1) {
            *(uint64_t *)where = count;
            return 0;
        }
        return fail(problem, "'%s' needs a whole number of at least 1, not '%.60s'.", shown, text);
    case OPTION_NUMBER:
        if (read_number(text, &number) == 0 && number >= option->low && number <= option->high) {
            *(double *)where = number;
            return 0;
        }
        return fail(problem, "'%s' needs a number of at least %g, such as 0.25, not '%.60s'.", shown, option->low,
                    text);
    }
    return fail(problem, "'%s' takes %s, not '%.60s'.", shown, option->value, text);
}

/* ---- The command line ---- */

static int parse_long(command_id command, const char *argument, const char *following, int *used_following,
                      settings *out, usage_problem *problem) {
    const char         *name = argument + 2, *equals = strchr(name, '=');
    size_t              length = equals ? (size_t)(equals - name) : strlen(name);
    const option_entry *option = find_option(command, name, length, problem);
    char                shown[72];
    if (!option) return -1;
    snprintf(shown, sizeof shown, "--%s", option->name);
    if (option->type == OPTION_FLAG) {
        if (equals) return fail(problem, "'%s' takes no value.", shown);
        return store(option, shown, NULL, out, problem);
    }
    if (equals) return store(option, shown, equals + 1, out, problem);
    if (!following) return fail(problem, "'%s' needs a value: %s.", shown, option->value);
    *used_following = 1;
    return store(option, shown, following, out, problem);
}

/* A group of letters, such as -qf tsv or -ofile. */
static int parse_short(command_id command, const char *argument, const char *following, int *used_following,
                       settings *out, usage_problem *problem) {
    for (const char *letter = argument + 1; *letter; letter++) {
        const option_entry *option = NULL;
        char                shown[3] = {'-', *letter, '\0'};
        for (size_t i = 0; i < option_table_size && !option; i++)
            if (option_table[i].letter == *letter && option_table[i].commands & 1u << command)
                option = &option_table[i];
        if (!option) {
            snprintf(problem->hint, sizeof problem->hint, "'adesieve %s --help' lists the options",
                     command_table[command].name);
            return fail(problem, "unknown option '-%c'.", *letter);
        }
        if (option->type == OPTION_FLAG) {
            if (store(option, shown, NULL, out, problem) != 0) return -1;
            continue;
        }
        if (letter[1]) return store(option, shown, letter + 1, out, problem);
        if (!following) return fail(problem, "'%s' needs a value: %s.", shown, option->value);
        *used_following = 1;
        return store(option, shown, following, out, problem);
    }
    return 0;
}

static int has_suffix(const char *path, const char *suffix) {
    size_t size = path ? strlen(path) : 0;
    return size > strlen(suffix) && strcasecmp(path + size - strlen(suffix), suffix) == 0;
}

/* What the name of the output says; 0, the first choice, when it says nothing. -1: it says what cannot be written. */
static int format_of_output(const char *path, usage_problem *problem) {
    static const char *const suffixes[] = {[ROWS_JSONL] = ".jsonl", [ROWS_TSV] = ".tsv", [ROWS_CSV] = ".csv"};
    for (int i = 0; i < 3; i++)
        if (has_suffix(path, suffixes[i])) return i;
    if (!has_suffix(path, ".parquet")) return 0;
    hint_parquet(problem);
    return fail(problem, "%.200s: is a Parquet file by its name, which this command cannot write; '--format' says what to "
                         "write instead.",
                path);
}

int options_parse(command_id command, int argc, char **argv, settings *out, usage_problem *problem) {
    int only_files = 0;
    memset(out, 0, sizeof *out);
    memset(problem, 0, sizeof *problem);
    out->threshold = -1;
    out->format = out->input_format = out->sort = -1;
    out->text_field = "text";
    out->label_field = "label";
    out->bootstrap = -1;
    out->seed = 42;
    out->files = calloc((size_t)argc + 1, sizeof *out->files);
    if (!out->files) return fail(problem, "out of memory.");
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i], *following = i + 1 < argc ? argv[i + 1] : NULL;
        int         used_following = 0, result = 0;
        if (only_files || argument[0] != '-' || argument[1] == '\0')
            out->files[out->n_files++] = argument;
        else if (strcmp(argument, "--") == 0)
            only_files = 1;
        else if (argument[1] == '-')
            result = parse_long(command, argument, following, &used_following, out, problem);
        else
            result = parse_short(command, argument, following, &used_following, out, problem);
        if (result != 0) return -1;
        if (out->help || out->version) return 0;
        i += used_following;
    }
    if (out->format < 0 && (command == COMMAND_SCREEN || command == COMMAND_CLASSIFY)) {
        out->format = format_of_output(out->output, problem);
        if (out->format < 0) return -1;
    }
    if (out->format < 0 && command != COMMAND_EXPORT) out->format = 0; /* export looks for more */
    for (size_t i = 0, seen = 0; i < out->n_files; i++)
        if (strcmp(out->files[i], "-") == 0 && seen++)
            return fail(problem, "standard input ('-') can be read only once.");
    for (size_t i = 0; i < out->n_files; i++)
        if (!*out->files[i]) return fail(problem, "a file name is empty.");
    return 0;
}

void options_free(settings *out) {
    free(out->files);
    out->files = NULL;
    out->n_files = 0;
}
