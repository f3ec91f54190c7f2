/* SPDX-License-Identifier: Apache-2.0
 * What a file's records came to, kept in memory from the moment their rows are given until the caller says that these
 * are safe; then it goes into the store. */
#ifndef ADE_OUTCOMES_H
#define ADE_OUTCOMES_H

#include "adesieve.h"
#include "arena.h"
#include "state.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ade_outcomes { /* zeroed = empty */
    struct ade_outcome_entry *entries;
    size_t                    n, capacity;
    ade_arena                 memory;
} ade_outcomes;

/* Each copies what it is given. ADE_OUT_OF_MEMORY. The order is the one of state.h: a record, then its hits and parts. */
ade_status ade__outcomes_record(ade_outcomes *outcomes, const ade_state_outcome *outcome);
ade_status ade__outcomes_hit(ade_outcomes *outcomes, const ade_screen_row *row, const char *label);
ade_status ade__outcomes_part(ade_outcomes *outcomes, const ade_screen_part *part);
ade_status ade__outcomes_unchanged(ade_outcomes *outcomes, const ade_screen_record *record);
ade_status ade__outcomes_deleted(ade_outcomes *outcomes, int64_t pmid, int32_t version);

/* Puts all into the store, in order; between ade__state_begin_file and ade__state_commit. Statuses as there. */
ade_status ade__outcomes_store(const ade_outcomes *outcomes, ade_state *state);

void ade__outcomes_free(ade_outcomes *outcomes); /* leaves it empty */

#endif
