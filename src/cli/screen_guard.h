/* SPDX-License-Identifier: Apache-2.0
 * No output of screen takes the place of what the run reads, of its store, or of another output. */
#ifndef CLI_SCREEN_GUARD_H
#define CLI_SCREEN_GUARD_H

#include "options.h"

/* To be asked before anything is opened; `wanted` has all inputs. Files are compared by what they are, not by how they
 * are called. CLI_OK, CLI_USAGE (options that contradict each other), or CLI_FAILED (an input, or no memory); said. */
int screen_guard_check(const settings *wanted);

#endif
