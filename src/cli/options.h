/* SPDX-License-Identifier: Apache-2.0
 * The command line. One table of commands and one of options (in option_table.c) make the parser, --help, the manual
 * page and the shell completion. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

typedef enum command_id {
    COMMAND_SCREEN,
    COMMAND_CLASSIFY,
    COMMAND_EVALUATE,
    COMMAND_CALIBRATE,
    COMMAND_TOKENIZE,
    COMMAND_EXPORT,
    COMMAND_INFO,
    COMMAND_BENCH,
    N_COMMANDS
} command_id;

enum { MOST_MODELS = 16 }; /* side by side */

/* What the user asked for. */
typedef struct settings {
    const char  *model, *output, *stats, *parts, *labels, *positive_label, *text_field;
    int          format;       /* row_format; in info, bench, evaluate and calibrate: REPORT_.. */
    int          input_format; /* texts_format, or -1: by name */
    int          device, device_index, precision, threads, max_length, token_budget;
    int          invalid_utf8, split_special_tokens, with_text;
    int          all, no_text, no_deleted, no_section_label, fail_fast;
    double       threshold; /* negative = the library's */
    uint64_t     limit;     /* 0 = none */
    const char  *store, *output_dir, *files_from, *manifest, *metrics_file;
    int          document, metadata, other_abstracts, dry_run, no_md5, no_store_text, abandon_output;
    const char  *label_field, *errors, *seen, *data; /* evaluate, calibrate */
    const char  *models[MOST_MODELS];                /* evaluate: those that --model named */
    int          n_models, method, folds, bootstrap; /* bootstrap: samples, or -1: the default */
    uint64_t     seed;
    int          threshold_target; /* ade_target: what `threshold` is */
    double       prevalence;       /* 0 = the calibration's */
    int          calibrated;       /* calibrated probabilities in rows */
    const char  *calibration;      /* another file than the folder's; "" = none is read */
    const char  *prefilter;
    double       prefilter_recall;
    int          sort, deleted, summary; /* export; sort: EXPORT_BY_.., or -1: as the format has it */
    double       seconds; /* bench; 0 = the default */
    int          quiet, progress, log_json;
    int          help, version;
    const char **files; /* n_files; points into argv */
    size_t       n_files;
    char         interrupted[512]; /* what is said behind "interrupted" */
} settings;

enum { REPORT_TEXT, REPORT_JSON, REPORT_MARKDOWN };
enum { EXPORT_BY_PMID, EXPORT_BY_SCORE };

typedef enum option_type {
    OPTION_FLAG,    /* int, 1 when given */
    OPTION_TEXT,    /* const char * */
    OPTION_CHOICE,  /* int, the number of the choice in `value`, which separates them by '|' */
    OPTION_INTEGER, /* int, from low to high */
    OPTION_COUNT,   /* uint64_t, at least 1 */
    OPTION_NUMBER,  /* double, from low to high */
    OPTION_SHARE,     /* double, above low and below high */
    OPTION_THRESHOLD, /* threshold and threshold_target */
    OPTION_MODELS,    /* models and n_models; may be given several times */
    OPTION_DEVICE     /* device and device_index */
} option_type;

typedef struct option_entry {
    unsigned    commands; /* 1 << command_id, or-ed */
    char        letter;   /* 0 = none */
    const char *name;
    const char *value; /* what --help shows behind '='; NULL for a flag */
    option_type type;
    size_t      offset; /* in settings */
    double      low, high;
    const char *help;
} option_entry;

typedef struct command_entry {
    const char        *name, *summary, *usage;
    const char        *description; /* paragraphs separated by a line feed */
    const char *const *examples;    /* pairs: what for, command line; NULL at the end */
} command_entry;

extern const option_entry  option_table[];
extern const size_t        option_table_size;
extern const command_entry command_table[N_COMMANDS];

typedef struct usage_problem {
    char error[512], hint[256]; /* hint[] may be "" */
} usage_problem;

/* Returns 0, or -1 with a problem. settings->files is allocated, also on failure; options_free releases it.
 * argv[0] is the first argument behind the command. --help and --version stop the reading. */
int  options_parse(command_id command, int argc, char **argv, settings *out, usage_problem *problem);
void options_free(settings *out);

/* The command named so, or -1; then *nearest is the name that was probably meant, or NULL. */
int command_find(const char *name, const char **nearest);

#endif
