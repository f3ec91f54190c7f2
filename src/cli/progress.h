/* SPDX-License-Identifier: Apache-2.0
 * One line on standard error that says how far the run is. Silent for the first second, at most six times a second. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER }; /* in the order of the option's choices */

double seconds_now(void); /* a monotonic clock */

void progress_start(int mode, int quiet);
/* count: things done so far, named by `unit` ("texts"). fraction: 0 to 1 of all the work; negative = not known. */
void progress_update(uint64_t count, const char *unit, double fraction);
/* done and left: work of any unit, such as bytes, done so far and still to do; left < 0 = not known. The rate and the
 * time left come from the last minute; the time is shown once the rate is steady. */
void progress_update_work(uint64_t count, const char *unit, double done, double left);
void progress_hide(void); /* takes the line away, before a message and at the end */

#endif
