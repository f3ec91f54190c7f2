/* SPDX-License-Identifier: Apache-2.0
 * screen --prefilter: a calibrated baseline that looks at each sentence before the model does, and what that costs. */
#ifndef CLI_PREFILTER_H
#define CLI_PREFILTER_H

#include "engine.h"

typedef struct prefilter {
    ade_model           *model; /* NULL: none is wanted, and nothing else is set */
    ade_model_info       info;
    double               recall; /* that was asked for */
    ade_operating_point  point;  /* what it lets pass, by its calibration */
    ade_calibration_info calibration;
} prefilter;

/* Opens the one that the options name, checks that it looks for what the model looks for (`used`, without a model in a dry
 * run), looks up its threshold, and says what recall it costs. In a dry run it is closed again: it is not used. Returns
 * an exit status; failures have been said. */
int  prefilter_open(prefilter *out, const settings *wanted, const engine *used);
void prefilter_close(prefilter *out);

/* For --stats and the manifest; null where there is none, NULL when out of memory. */
json_t *prefilter_object(const prefilter *used);

#endif
