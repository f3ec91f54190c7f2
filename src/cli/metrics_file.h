/* SPDX-License-Identifier: Apache-2.0
 * The counts of a run in the text format of Prometheus, in a file that is replaced as a whole: for the textfile
 * collector of its node exporter. */
#ifndef CLI_METRICS_FILE_H
#define CLI_METRICS_FILE_H

#include "adesieve.h"

typedef struct metrics_file {
    char  *path; /* without links; NULL = none is wanted */
    char  *temporary;
    double last_write, last_success; /* seconds on the monotonic clock; since 1970, 0 = not known */
    int    warned;
} metrics_file;

typedef struct metrics_values {
    const ade_screen_stats *stats;
    uint64_t                rows, refused;              /* written; inputs that could not be added */
    const char             *model, *device, *precision; /* NULL = not known */
    int                     running;
    int                     exit_status; /* of a run that has ended */
    int                     success;     /* it has ended with all inputs done */
} metrics_values;

/* Reads when the last success was, if the file is there, and writes the first counts. CLI_OK or CLI_FAILED; said. */
int metrics_open(metrics_file *file, const char *path, const metrics_values *values);

/* Whether it is time to write. */
int metrics_due(const metrics_file *file);

/* Replaces the file. A failure is said once, as a warning, and is no reason to end the run. */
void metrics_write(metrics_file *file, const metrics_values *values);
void metrics_close(metrics_file *file);

#endif
