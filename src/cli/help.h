/* SPDX-License-Identifier: Apache-2.0
 * What the tables of options.h look like to a reader: --help, the manual page, the shell completion. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "options.h"
#include "rows.h"

void help_overview(bytes *out);                    /* adesieve --help */
void help_command(bytes *out, command_id command); /* adesieve COMMAND --help */
void help_manual(bytes *out);                      /* adesieve --help-man: adesieve.1 */
void help_completion(bytes *out);                  /* adesieve --help-bash */

#endif
