/* SPDX-License-Identifier: Apache-2.0
 * What the tables of options.h look like to a reader: --help, the manual page, the shell completion. */
#include "help.h"

#include "adesieve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 80, OPTION_INDENT = 6 };

#define EXIT_LINES(X)                                                                                                  \
    X("0", "all done")                                                                                                 \
    X("1", "failed")                                                                                                   \
    X("2", "wrong usage")                                                                                              \
    X("3", "done, but some inputs failed; each was named")                                                             \
    X("130", "interrupted (Ctrl-C)")

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
put(bytes *out, const char *format, ...) {
    char    text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_literal(out, text);
}

/* Breaks the text at spaces, each line indented; a line feed in the text begins a paragraph. */
static void put_wrapped(bytes *out, size_t indent, const char *text) {
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (column > 0 && column + 1 + word > LINE) {
            put_literal(out, "\n");
            column = 0;
        }
        if (column == 0)
            put(out, "%*s", (int)indent, "");
        else
            put_literal(out, " ");
        column = (column == 0 ? indent : column + 1) + word;
        put_raw(out, text, word);
        text += word;
        if (*text == '\n') {
            put_literal(out, "\n\n");
            column = 0;
        }
        if (*text) text++;
    }
    put_literal(out, "\n");
}

void help_overview(bytes *out) {
    put_literal(out, "usage: adesieve COMMAND [OPTIONS] [FILE...]\n\n");
    put_wrapped(out, 0,
                "Finds the sentences of biomedical text that report an adverse drug effect, with a BERT classifier "
                "that runs straight from its Hugging Face folder.");
    put_literal(out, "\ncommands:\n");
    for (int i = 0; i < N_COMMANDS; i++) put(out, "  %-9s %s\n", command_table[i].name, command_table[i].summary);
    put_literal(out, "\noptions:\n"
                     "  -h, --help     show this help; 'adesieve COMMAND --help' shows a command's\n"
                     "      --version  show the version\n"
                     "\nexample:\n"
                     "  echo 'Rash after amoxicillin.' | adesieve classify\n");
}

void help_command(bytes *out, command_id command) {
    const command_entry *entry = &command_table[command];
    put(out, "usage: %s\n\n", entry->usage);
    put_wrapped(out, 0, entry->description);
    put_literal(out, "\noptions:\n");
    for (size_t i = 0; i < option_table_size; i++) {
        const option_entry *option = &option_table[i];
        if (!(option->commands & 1u << command)) continue;
        if (option->letter)
            put(out, "  -%c, --%s", option->letter, option->name);
        else
            put(out, "      --%s", option->name);
        put(out, "%s%s\n", option->value ? " " : "", option->value ? option->value : "");
        put_wrapped(out, OPTION_INDENT + 4, option->help);
    }
    put_literal(out, "\nexamples:\n");
    for (size_t i = 0; entry->examples[i]; i += 2) {
        put_wrapped(out, 2, entry->examples[i]);
        put(out, "    %s\n", entry->examples[i + 1]);
    }
    put_literal(out, "\nexit status:\n");
#define EXIT_TEXT(code, text) put(out, "  %-4s %s\n", code, text);
    EXIT_LINES(EXIT_TEXT)
#undef EXIT_TEXT
}

/* ---- The manual page ---- */

/* Text for roff: backslashes and hyphens escaped, a leading dot or quote made harmless, a line feed a new paragraph. */
static void put_roff(bytes *out, const char *text) {
    int line_start = 1;
    for (; *text; text++) {
        if (*text == '\n') {
            put_literal(out, "\n.PP\n");
            line_start = 1;
            continue;
        }
        if (line_start && (*text == '.' || *text == '\'')) put_literal(out, "\\&");
        line_start = 0;
        if (*text == '\\')
            put_literal(out, "\\e");
        else if (*text == '-')
            put_literal(out, "\\-");
        else if (*text == '\'')
            put_literal(out, "\\(aq");
        else if (*text == '^')
            put_literal(out, "\\(ha");
        else
            put_raw(out, text, 1);
    }
}

static void put_roff_line(bytes *out, const char *text) {
    put_roff(out, text);
    put_literal(out, "\n");
}

static const char *const input_text[] = {
    "What a file holds is told by its name: .txt (one text a line), .csv and .tsv (with a header line) and .jsonl (one "
    "object a "
    "line), each also .gz; --input-format overrides it. Standard input holds lines unless said otherwise.",
    "CSV is RFC 4180, quoted line feeds and all. In TSV, \\t, \\n, \\r and \\\\ stand for a tab, a line feed, a "
    "carriage return "
    "and a backslash, when read as when written. A carriage return before a line end belongs to the line end, and a "
    "byte-order mark at the start of a file is dropped. Blank lines of JSON Lines, and of tables with several columns, "
    "are "
    "skipped; every other line gives a row.",
    NULL};
static const char *const output_text[] = {
    "Data goes to standard output, or to the file that --output names; all else goes to standard error. A regular file "
    "is "
    "written under a temporary name in the same folder and gets its name when it is complete, so a run that fails or "
    "is "
    "interrupted leaves what was there before. A closed pipe ends the run quietly.",
    "Numbers are written in the shortest form that reads back as the same number. Offsets count Unicode code points.",
    NULL};

void help_manual(bytes *out) {
    put(out, ".\\\" Made by 'adesieve --help-man' from the tables that make the parser.\n");
    put(out, ".TH ADESIEVE 1 \"\" \"adesieve %s\" \"User Commands\"\n.nh\n.ad l\n", ade_version());
    put_literal(out, ".SH NAME\nadesieve \\- find the sentences that report an adverse drug effect\n.SH SYNOPSIS\n");
    for (int i = 0; i < N_COMMANDS; i++) {
        if (i > 0) put_literal(out, ".br\n");
        put_literal(out, ".B ");
        put_roff_line(out, command_table[i].usage);
    }
    put_literal(out,
                ".SH DESCRIPTION\n"
                "Finds the sentences of biomedical text that report an adverse drug effect, with a BERT classifier\n"
                "that runs straight from its Hugging Face folder.\n.SH COMMANDS\n");
    for (int i = 0; i < N_COMMANDS; i++) {
        put(out, ".SS %s\n", command_table[i].name);
        put_roff_line(out, command_table[i].description);
    }
    put_literal(out,
                ".SH OPTIONS\nA long option takes its value as \\fB\\-\\-name=value\\fR or \\fB\\-\\-name value\\fR;\n"
                "\\fB\\-\\-\\fR ends the options.\n");
    for (size_t i = 0; i < option_table_size; i++) {
        const option_entry *option = &option_table[i];
        const char         *comma = "";
        put_literal(out, ".TP\n.B ");
        if (option->letter) put(out, "\\-%c, ", option->letter);
        put_literal(out, "\\-\\-");
        put_roff(out, option->name);
        if (option->value) {
            put_literal(out, " ");
            put_roff(out, option->value);
        }
        put_literal(out, "\n");
        put_roff(out, option->help);
        put_literal(out, " (");
        for (int c = 0; c < N_COMMANDS; c++)
            if (option->commands & 1u << c) {
                put(out, "%s%s", comma, command_table[c].name);
                comma = ", ";
            }
        put_literal(out, ")\n");
    }
    put_literal(out, ".SH TEXTS IN\n");
    for (size_t i = 0; input_text[i]; i++) {
        if (i > 0) put_literal(out, ".PP\n");
        put_roff_line(out, input_text[i]);
    }
    put_literal(out, ".SH ROWS OUT\n");
    for (size_t i = 0; output_text[i]; i++) {
        if (i > 0) put_literal(out, ".PP\n");
        put_roff_line(out, output_text[i]);
    }
    put_literal(out, ".SH EXIT STATUS\n");
#define EXIT_ROFF(code, text) put(out, ".TP\n.B %s\n%s\n", code, text);
    EXIT_LINES(EXIT_ROFF)
#undef EXIT_ROFF
    put_literal(out, ".SH ENVIRONMENT\n"
                     ".TP\n.B ADESIEVE_MODEL\nThe model folder that is used without \\fB\\-\\-model\\fR.\n"
                     ".TP\n.B ADESIEVE_MAX_ISA\nThe best of the processor's instruction sets that may be used: baseline, sse4.2,\n"
                     "avx2, avx512, avx512_vnni, avx512_bf16 or amx. Unset: all that there are. For tests and comparisons;\n"
                     "bf16 needs avx512_bf16, and int8 avx512_vnni. ONEDNN_MAX_CPU_ISA is obeyed, too.\n"
                     ".TP\n.B NO_COLOR\nWhen set and not empty, messages have no colours.\n.SH EXAMPLES\n");
    for (int c = 0; c < N_COMMANDS; c++)
        for (size_t i = 0; command_table[c].examples[i]; i += 2) {
            put_literal(out, ".PP\n");
            put_roff_line(out, command_table[c].examples[i]);
            put_literal(out, ".PP\n.nf\n.RS\n");
            put_roff_line(out, command_table[c].examples[i + 1]);
            put_literal(out, ".RE\n.fi\n");
        }
}

/* ---- Completion for bash ---- */

static void put_words(bytes *out, const char *choices) {
    for (; *choices; choices++) put_raw(out, *choices == '|' ? " " : choices, 1);
}

/* One case per option with choices, one list of options per command. */
void help_completion(bytes *out) {
    put_literal(out,
                "# bash completion for adesieve; made by 'adesieve --help-bash'\n"
                "_adesieve() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
                "    COMPREPLY=()\n"
                "    if ((COMP_CWORD == 1)); then\n"
                "        mapfile -t COMPREPLY < <(compgen -W '");
    for (int c = 0; c < N_COMMANDS; c++) put(out, "%s ", command_table[c].name);
    put_literal(out, "help --help --version' -- \"$word\")\n        return\n    fi\n    case $command:$before in\n");
    for (size_t i = 0; i < option_table_size; i++) {
        const option_entry *option = &option_table[i];
        if (option->type != OPTION_CHOICE && option->type != OPTION_DEVICE) continue;
        put_literal(out, "    ");
        for (int c = 0, first = 1; c < N_COMMANDS; c++) {
            if (!(option->commands & 1u << c)) continue;
            put(out, "%s%s:--%s", first ? "" : " | ", command_table[c].name, option->name);
            if (option->letter) put(out, " | %s:-%c", command_table[c].name, option->letter);
            first = 0;
        }
        put_literal(out, ")\n        mapfile -t COMPREPLY < <(compgen -W '");
        put_words(out, option->value);
        put_literal(out, "' -- \"$word\")\n        return ;;\n");
    }
    put_literal(out,
                "    *:--model | *:-m)\n        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n        return ;;\n"
                "    esac\n    if [[ $word == -* ]]; then\n        local options\n        case $command in\n");
    for (int c = 0; c < N_COMMANDS; c++) {
        put(out, "        %s) options='", command_table[c].name);
        for (size_t i = 0; i < option_table_size; i++)
            if (option_table[i].commands & 1u << c) put(out, "--%s ", option_table[i].name);
        put_literal(out, "' ;;\n");
    }
    put_literal(out, "        *) options='' ;;\n        esac\n"
                     "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
                     "    else\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n    fi\n}\n"
                     "complete -o filenames -F _adesieve adesieve\n");
}
