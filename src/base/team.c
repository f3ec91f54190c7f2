/* SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

#include <sched.h>

#define SPINS 4096 /* some 50 to 100 microseconds */

void ade__team_init(ade_team *team, int32_t size) {
    team->size = size;
    atomic_init(&team->failed, 0);
    atomic_init(&team->stop, 0);
    atomic_init(&team->arrived, 0);
    atomic_init(&team->round, 0);
}

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

int ade__team_wait(ade_team *team) {
    if (team->size == 1) return atomic_load_explicit(&team->failed, memory_order_relaxed);
    unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == (unsigned)team->size) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed); /* nobody is here before the round has changed */
        atomic_store_explicit(&team->round, round + 1, memory_order_release);
    } else {
        for (int spins = 0; atomic_load_explicit(&team->round, memory_order_acquire) == round;) {
            if (atomic_load_explicit(&team->failed, memory_order_acquire)) return 1;
            if (spins < SPINS) spins++, relax();
            else sched_yield();
        }
    }
    return atomic_load_explicit(&team->failed, memory_order_acquire);
}

void ade__team_fail(ade_team *team) { atomic_store_explicit(&team->failed, 1, memory_order_release); }

int ade__team_agree(ade_team *team, int32_t member, int value) {
    if (team->size == 1) return value;
    if (member == 0) atomic_store_explicit(&team->stop, value, memory_order_relaxed);
    if (ade__team_wait(team)) return 1;
    value = atomic_load_explicit(&team->stop, memory_order_relaxed);
    /* the next store of member 0 comes after a wait of the next step, so nobody can miss this one */
    return value;
}
