/* SPDX-License-Identifier: Apache-2.0
 * No output takes the place of a file of the model that the command runs. */
#ifndef CLI_MODEL_GUARD_H
#define CLI_MODEL_GUARD_H

#include "options.h"

/* Refuses an output that is one of the files in a model's folder, whatever its name is; calibrate may replace
 * calibration.json there. Returns an exit status; failures have been said. */
int model_guard_check(command_id command, const settings *wanted);

#endif
