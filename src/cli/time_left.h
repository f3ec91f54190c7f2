/* SPDX-License-Identifier: Apache-2.0
 * How long work will take: from the rate of the last minute, and only while that is steady. */
#ifndef CLI_TIME_LEFT_H
#define CLI_TIME_LEFT_H

enum { TIME_LEFT_SAMPLES = 64 };

typedef struct time_left { /* zeroed = nothing is known */
    double   times[TIME_LEFT_SAMPLES], done[TIME_LEFT_SAMPLES];
    unsigned count; /* of all samples; the last 64 are kept */
} time_left;

/* How much is done by now (seconds on a clock that never goes back). Keeps one sample a second. */
void time_left_add(time_left *known, double now, double done);

/* Done a second over the samples' time; negative while they are fewer than two. */
double time_left_rate(const time_left *known, double now, double done);

/* Seconds until `left` is done; negative while there are fewer than six samples, while nothing moves, or while the
 * latest half or quarter of the samples has a rate that differs from that of all by a third or more. */
double time_left_seconds(const time_left *known, double now, double done, double left);

#endif
