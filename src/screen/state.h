/* SPDX-License-Identifier: Apache-2.0
 * The store of a screening: what is known of each PMID, and which files are done. SQLite in WAL mode; one run at a time
 * has it (locking_mode EXCLUSIVE: released by the system when a process ends, however it ends). One transaction a file,
 * so that a run killed at any moment leaves the store as it was after its last confirmed file.
 *
 * Threads: ade__state_find may be called by one thread while another commits; all else by one thread at a time.
 *
 * SQLite's header is included by state.c, export.c and what they share (store.c) only; the tables are in schema.h. */
#ifndef ADE_STATE_H
#define ADE_STATE_H

#include "adesieve.h"
#include "inputs.h"
#include "log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ade_state ade_state;

/* One thing that scores or hits depend on, such as "model" and its hash. */
typedef struct ade_state_setting {
    const char *name, *value;
} ade_state_setting;

typedef struct ade_state_options {
    const ade_state_setting *settings; /* (n_settings): must be those that the store was made with */
    size_t                   n_settings;
    const ade_state_setting *facts;    /* (n_facts): kept with the run, never compared: version, device, threads, ..;
                                          where the setting X differs, "X name" is said with it */
    size_t                   n_facts;
    bool                     read_only; /* a dry run: no change; a missing file is an empty store. It waits for no run: ADE_BUSY */
} ade_state_options;

/* Opens the store at `path`, or makes it; begins a run, or goes on with one that was not completed.
 * ADE_IO (cannot be made, opened or written), ADE_BUSY (another run has it), ADE_BAD_INPUT (another kind of file, or a
 * damaged one), ADE_UNSUPPORTED (settings differ, each is named with both values and the cure; made by a newer
 * adesieve), ADE_OUT_OF_MEMORY. */
ade_status ade__state_open(const char *path, const ade_state_options *options, ade_state **out);
void       ade__state_close(ade_state *state); /* NULL is fine; rolls back what is not committed */

/* The note of the run that goes on; NULL when a new one was begun or there was none. Lives as long as the state. */
const char *ade__state_note(const ade_state *state);

/* ---- Files -------------------------------------------------------------------------------------------------------- */

/* Where a file stands among NLM's: only files named so (letters, two digits, 'n', digits: pubmed26n1334) have a place. */
typedef struct ade_state_file {
    const char *name, *path;
    bool        numbered;
    uint64_t    year, number;
    uint64_t    size;      /* as stored */
    int64_t     mtime;     /* nanoseconds since 1970; 0 = unknown */
    const char *md5;       /* "" = unknown */
    uint64_t    bytes_xml, citations, new_citations, revised, unchanged, superseded, deleted;
    uint64_t    sentences, screened, hits, rows, tokens;
    uint32_t    earlier; /* done files of the same name and other content, before this one; not kept, but counted */
} ade_state_file;

/* Whether such a file is done: same name, and path, size and mtime or (when `md5` is given) MD5 sum are the same. Sets
 * *done, and *file (strings live as long as the state) when it is; else only file->earlier. *need_md5 (NULL = not wanted) is set when the name and
 * size are known but not path and mtime, so that the sum would tell. ADE_IO, ADE_OUT_OF_MEMORY. */
ade_status ade__state_file_done(ade_state *state, const char *name, const char *path, uint64_t size, int64_t mtime,
                                const char *md5, bool *done, bool *need_md5, ade_state_file *file);

/* ---- Records ------------------------------------------------------------------------------------------------------ */

typedef struct ade_state_record {
    bool     known; /* met before, deleted or not */
    bool     deleted;
    int32_t  version;
    uint64_t hash;
    bool     numbered; /* the place of the file that it comes from */
    uint64_t year, number;
} ade_state_record;

/* What is known of a PMID. ADE_IO, ADE_OUT_OF_MEMORY. */
ade_status ade__state_find(ade_state *state, int64_t pmid, ade_state_record *record);

/* ---- Writing: (begin_file, put.., end_file).., commit; or anything of it, then rollback --------------------------- */
/* After a put or commit that failed only rollback is possible; then the file can be begun again. ADE_IO,
 * ADE_OUT_OF_MEMORY, ADE_BAD_INPUT (a damaged store, a text above 1 GB), ADE_INTERNAL (calls that do not fit together). */

ade_status ade__state_begin_file(ade_state *state, const ade_state_file *file);

/* A record that was screened: replaces all that was known of its PMID. Its hits and texts follow by put_hit, put_part. */
typedef struct ade_state_outcome {
    uint64_t                 hash;
    const ade_screen_record *record; /* what is kept of it is kept only when it has hits; pmid, version, counts, score
                                        and noisy_or always */
    const float             *scores; /* (record->n_sentences); NaN for a sentence that was not screened */
    int32_t                  best_sentence; /* -1 when none was screened */
} ade_state_outcome;
ade_status ade__state_put_record(ade_state *state, const ade_state_outcome *outcome);
ade_status ade__state_put_hit(ade_state *state, const ade_screen_row *row, const char *label); /* pointers as in a row */
ade_status ade__state_put_part(ade_state *state, const ade_screen_part *part);

/* A record whose text is the same: its version, file and, where it has hits, what a reviewer needs (it may have been
 * retracted since) are brought up to date; scores, hits and texts stay. */
ade_status ade__state_put_unchanged(ade_state *state, const ade_screen_record *record);

/* A deletion: what was known goes, and a tombstone stays. */
ade_status ade__state_put_deleted(ade_state *state, int64_t pmid, int32_t version);

/* The file is complete; `file` has the final counts and MD5 sum. */
ade_status ade__state_end_file(ade_state *state, const ade_state_file *file);

/* Makes all files since the last commit done, as one transaction, with the client's note (NULL = as it was). */
ade_status ade__state_commit(ade_state *state, const char *note);
void       ade__state_rollback(ade_state *state); /* to the last commit */

/* What the files of the present run came to, all its starts together: the counts of *sum, and how many files. */
ade_status ade__state_sum_run(ade_state *state, ade_state_file *sum, uint64_t *n_files);

/* The run is complete. `summary` is one JSON object of counts, kept with it. */
ade_status ade__state_finish(ade_state *state, const char *summary);

#endif
