/* SPDX-License-Identifier: Apache-2.0
 * What one run has met so far: PMID -> version and a hash of the text, so that a record's later appearances are
 * screened again only when their text differs. 24 bytes a PMID, in memory, for the length of the run. */
#ifndef ADE_SEEN_H
#define ADE_SEEN_H

#include "adesieve.h"
#include "medline.h"

#include <stddef.h>
#include <stdint.h>

typedef enum ade_novelty {
    ADE_NOVELTY_NEW,       /* not met before, or deleted since */
    ADE_NOVELTY_REVISED,   /* the same or a higher version with another text */
    ADE_NOVELTY_UNCHANGED, /* the same or a higher version with the same text */
    ADE_NOVELTY_SUPERSEDED /* a lower version than the one met before */
} ade_novelty;

typedef struct ade_seen {
    struct ade_seen_entry *entries;     /* owned; zeroed struct = empty */
    size_t                 n, capacity; /* capacity: a power of two, or 0 */
} ade_seen;

/* Notes a record that is not a deletion. ADE_OUT_OF_MEMORY (nothing noted). */
ade_status ade__seen_note(ade_seen *seen, int64_t pmid, int32_t version, uint64_t hash, ade_novelty *novelty);

/* Forgets a PMID that was deleted. */
void ade__seen_delete(ade_seen *seen, int64_t pmid);
void ade__seen_free(ade_seen *seen);

/* Over title, section labels and section texts; equal on every machine. */
uint64_t ade__record_hash(const ade_record *record);

#endif
