/* SPDX-License-Identifier: Apache-2.0
 * What is known of each PMID when the next record comes: from this run, and from the store if there is one. It decides
 * what a record is: new, revised, unchanged or superseded.
 *
 * Without a store all is kept in one table, 12 to 14 bytes a PMID where PMIDs lie close together (all of MEDLINE: about
 * 550 MB), up to 400 where they are scattered. With a store, each file has a small table of its own until it is
 * confirmed; then the store answers for it.
 *
 * The rule: a higher version beats a lower one; at equal versions the later file does, then the later record. Later is
 * what comes later in this run; against the store it is, for two of NLM's files, the place that year and number give
 * them: a file that could not be read on its day does not undo what a later one said.
 *
 * Threads: begin_file, note, delete and fail_file by one thread (the classifier); confirmed by another. */
#ifndef ADE_KNOWN_H
#define ADE_KNOWN_H

#include "adesieve.h"
#include "inputs.h"
#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ade_novelty {
    ADE_NOVELTY_NEW,       /* not met before, or deleted since */
    ADE_NOVELTY_REVISED,   /* another text than before; see also `apart` below */
    ADE_NOVELTY_UNCHANGED, /* the same text */
    ADE_NOVELTY_SUPERSEDED /* an older version, or from an older file: nothing is noted */
} ade_novelty;

typedef struct ade_known ade_known;

/* `state` may be NULL; it lives longer. `confirmed`: ade__known_confirmed will be called for each file; else one table
 * serves for all. `apart`: these are not all the files, so that a higher version with the same text counts as revised: an
 * earlier file may have a version between the two, with another text. ADE_OUT_OF_MEMORY. */
ade_status ade__known_new(ade_state *state, bool confirmed, bool apart, ade_known **out);
void       ade__known_free(ade_known *known); /* NULL is fine */

/* The records that come now are this file's. ADE_OUT_OF_MEMORY. */
ade_status ade__known_begin_file(ade_known *known, const ade_input_file *file);

/* A record with this text hash. ADE_OUT_OF_MEMORY, ADE_IO (of the store). */
ade_status ade__known_note(ade_known *known, int64_t pmid, int32_t version, uint64_t hash, ade_novelty *novelty);

/* A deletion. *applies is false when a later file of NLM has said something newer. Statuses as above. */
ade_status ade__known_delete(ade_known *known, int64_t pmid, bool *applies);

/* Forgets what the present file said, because it failed and what it gave is taken back. */
void ade__known_fail_file(ade_known *known);

/* The oldest file that was begun, did not fail and has not been confirmed yet is now in the store. */
void ade__known_confirmed(ade_known *known);

#endif
