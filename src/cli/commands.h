/* SPDX-License-Identifier: Apache-2.0
 * The commands. Each says what goes wrong and returns an exit status (exit_status.h). */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

int cmd_screen(settings *wanted);
int cmd_classify(settings *wanted);
int cmd_evaluate(settings *wanted);
int cmd_calibrate(settings *wanted);
int cmd_tokenize(settings *wanted);
int cmd_export(settings *wanted);
int cmd_info(settings *wanted);
int cmd_bench(settings *wanted);

#endif
