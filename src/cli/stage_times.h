/* SPDX-License-Identifier: Apache-2.0
 * What a session has spent its time on, as --stats and bench write it. */
#ifndef CLI_STAGE_TIMES_H
#define CLI_STAGE_TIMES_H

#include "engine.h"

/* Whether `profile` tells stages apart: a GPU computes by itself, and a baseline has none but its own. */
int stages_are_known(const engine *used);

/* The encoding's time that is none of its stages: packing batches, taking results. */
double stage_other(const ade_session_profile *profile);

/* The profile's members under their names in adesieve.h, "other", and nothing that is not known. NULL when out of memory. */
json_t *profile_object(const ade_session_profile *profile, const engine *used);

/* The same of the session that `used` has, or of the screen where that is not NULL; null where they say none. */
json_t *profile_of_run(const engine *used, ade_screen *screen);

#endif
