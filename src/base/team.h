/* SPDX-License-Identifier: Apache-2.0
 * Threads that do one thing together: all run the same steps, each does its share of every step, and nobody begins the
 * next step before all have done this one. */
#ifndef ADE_TEAM_H
#define ADE_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct ade_team {
    int32_t        size;
    atomic_int     failed; /* some member left: nobody waits any longer */
    atomic_int     stop;   /* what the members agreed on; see ade__team_agree */
    atomic_uint    arrived;
    atomic_uint    round;
} ade_team;

void ade__team_init(ade_team *team, int32_t size);

/* Waits for all members; 0, or 1 when one has failed. It spins for a while, then gives its processor to others: the
 * steps are far shorter than going to sleep and waking up. */
int ade__team_wait(ade_team *team);

/* To be called by a member that cannot go on, once, instead of waiting. */
void ade__team_fail(ade_team *team);

/* All members call it with their own number; all get member 0's value. */
int ade__team_agree(ade_team *team, int32_t member, int value);

/* The part-th of `parts` nearly equal shares of n things: [*first, *end). */
static inline void ade__share(int32_t n, int32_t part, int32_t parts, int32_t *first, int32_t *end) {
    *first = (int32_t)((int64_t)n * part / parts);
    *end = (int32_t)((int64_t)n * (part + 1) / parts);
}

#endif
