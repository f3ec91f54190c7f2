/* SPDX-License-Identifier: Apache-2.0
 * The inputs of screen: those of the command line and those of a list. */
#ifndef CLI_SCREEN_INPUTS_H
#define CLI_SCREEN_INPUTS_H

#include "options.h"

#include <stdint.h>

typedef struct screen_inputs {
    char       *list; /* the text of --files-from; its lines end in NUL */
    const char *list_name;
    size_t      n_given; /* files[] of the settings from here on are the list's */
    uint64_t   *lines;   /* (n_files - n_given): where they stand in it, from 1 */
} screen_inputs;

/* Appends the paths of --files-from to wanted->files. CLI_OK or CLI_FAILED, CLI_USAGE, CLI_INTERRUPTED; said. */
int screen_inputs_read(screen_inputs *inputs, settings *wanted);

/* "list.txt:3" for an input of the list, NULL for one of the command line. */
const char *screen_inputs_place(const screen_inputs *inputs, size_t index, char *buffer, size_t size);

/* The name of an input's own output: without .xml or .xml.gz, with the format's suffix; the first name is followed by
 * .2, .3, .. where `earlier` inputs of that name with other content were done before. NULL when out of memory. */
char *screen_inputs_output_name(const char *source, int format, unsigned earlier);

/* Calls `take` for each input, with a folder's files instead of the folder, as ade_screen_add takes them: `folder` is
 * "" or ends in '/'. What cannot be read is said when it is added. 0, or what `take` returned first; -1 without memory.
 */
typedef int (*screen_input_fn)(void *user, const char *folder, const char *name);
int screen_inputs_each(const settings *wanted, screen_input_fn take, void *user);

/* Refuses inputs whose output in the folder of --output-dir would have the name of another's, or one that is too long.
 * CLI_OK, or CLI_FAILED; said. */
int screen_inputs_check_names(const settings *wanted);

void screen_inputs_free(screen_inputs *inputs);

#endif
