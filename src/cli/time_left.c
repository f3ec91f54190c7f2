/* SPDX-License-Identifier: Apache-2.0
 * How long work will take. */
#include "time_left.h"

void time_left_add(time_left *known, double now, double done) {
    unsigned last = (known->count + TIME_LEFT_SAMPLES - 1) % TIME_LEFT_SAMPLES, next = known->count % TIME_LEFT_SAMPLES;
    if (known->count > 0 && now - known->times[last] < 1.0) return;
    known->times[next] = now;
    known->done[next] = done;
    known->count++;
}

static unsigned kept(const time_left *known) {
    return known->count < TIME_LEFT_SAMPLES ? known->count : TIME_LEFT_SAMPLES;
}

/* Since `back` samples ago. */
static double rate_since(const time_left *known, unsigned back, double now, double done) {
    unsigned at = (known->count - back) % TIME_LEFT_SAMPLES;
    return now > known->times[at] ? (done - known->done[at]) / (now - known->times[at]) : -1;
}

double time_left_rate(const time_left *known, double now, double done) {
    return kept(known) < 2 ? -1 : rate_since(known, kept(known), now, done);
}

double time_left_seconds(const time_left *known, double now, double done, double left) {
    unsigned samples = kept(known);
    double   rate;
    if (samples < 6) return -1;
    rate = rate_since(known, samples, now, done);
    if (!(rate > 0)) return -1;
    for (unsigned part = 2; part <= 4; part += 2) {
        double recent = rate_since(known, samples / part < 2 ? 2 : samples / part, now, done);
        if (recent < rate * 0.67 || recent > rate * 1.5) return -1;
    }
    return left / rate;
}
