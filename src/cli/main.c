/* SPDX-License-Identifier: Apache-2.0
 * The command `adesieve`: finds the command that is asked for, and turns its result into the exit status. */
#include "adesieve.h"

#include "commands.h"
#include "exit_status.h"
#include "help.h"
#include "messages.h"
#include "model_guard.h"
#include "output.h"
#include "signals.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int (*const commands[N_COMMANDS])(settings *) = {
    [COMMAND_SCREEN] = cmd_screen, [COMMAND_CLASSIFY] = cmd_classify, [COMMAND_EVALUATE] = cmd_evaluate,
    [COMMAND_CALIBRATE] = cmd_calibrate, [COMMAND_TOKENIZE] = cmd_tokenize,
    [COMMAND_EXPORT] = cmd_export, [COMMAND_INFO] = cmd_info, [COMMAND_BENCH] = cmd_bench,
};

/* Help and version are data: they go to standard output, and a full disk is noticed. */
static int show(void (*make)(bytes *)) {
    output out;
    int    status = output_open(&out, NULL, NULL, 0);
    if (status != CLI_OK) return status;
    make(&out.rows);
    return output_finish(&out, 1);
}

static command_id helped;
static void       make_command_help(bytes *out) { help_command(out, helped); }

static void make_version(bytes *out) {
    put_literal(out, "adesieve ");
    put_literal(out, ade_version());
    put_literal(out, "\n");
}

static int unknown_command(const char *name, const char *nearest) {
    say(SAY_ERROR, "unknown command '%.60s'.", name);
    if (nearest)
        say(SAY_HINT, "did you mean '%s'?", nearest);
    else
        say(SAY_HINT, "'adesieve --help' lists the commands");
    return CLI_USAGE;
}

static int run_command(command_id command, int argc, char **argv) {
    settings      wanted;
    usage_problem problem;
    int           status;
    messages_command(command_table[command].name);
    status = options_parse(command, argc, argv, &wanted, &problem);
    /* The parser has stopped at a wrong option; how to say so may stand behind it. */
    for (int i = 0; i < argc && status != 0 && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--log-json") == 0) wanted.log_json = 1;
    messages_settings(wanted.quiet, wanted.log_json);
    if (status != 0) {
        say(SAY_ERROR, "%s", problem.error);
        if (problem.hint[0]) say(SAY_HINT, "%s", problem.hint);
        status = CLI_USAGE;
    } else if (wanted.help) {
        helped = command;
        status = show(make_command_help);
    } else if (wanted.version) {
        status = show(make_version);
    } else {
        status = model_guard_check(command, &wanted);
        if (status == CLI_OK) status = commands[command](&wanted);
        if (status == CLI_INTERRUPTED)
            say(SAY_ERROR, "interrupted%s.",
                wanted.interrupted[0] ? wanted.interrupted
                : wanted.output       ? "; no output was written"
                                      : "");
    }
    options_free(&wanted);
    return status;
}

static int dispatch(int argc, char **argv) {
    const char *nearest = NULL, *name = argc > 1 ? argv[1] : NULL;
    int         command;
    if (!name) {
        bytes text = {0};
        help_overview(&text);
        messages_write(text.data, text.size);
        bytes_free(&text);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return show(help_overview);
    if (strcmp(name, "--version") == 0) return show(make_version);
    if (strcmp(name, "--help-man") == 0) return show(help_manual);
    if (strcmp(name, "--help-bash") == 0) return show(help_completion);
    if (strcmp(name, "help") == 0) {
        if (argc == 2) return show(help_overview);
        command = command_find(argv[2], &nearest);
        if (command < 0) return unknown_command(argv[2], nearest);
        helped = (command_id)command;
        return show(make_command_help);
    }
    if (name[0] == '-') {
        say(SAY_ERROR, "'%.60s' stands where a command is expected.", name);
        say(SAY_HINT, "options stand behind the command: adesieve COMMAND [OPTIONS] [FILE...]");
        return CLI_USAGE;
    }
    command = command_find(name, &nearest);
    if (command < 0) return unknown_command(name, nearest);
    return run_command((command_id)command, argc - 2, argv + 2);
}

/* A file opened later must not get the number of a standard stream that the caller has closed. */
static void reserve_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
}

int main(int argc, char **argv) {
    int status;
    reserve_standard_streams();
    signals_install();
    status = dispatch(argc, argv);
    return status == CLI_CLOSED ? CLI_OK : status;
}
