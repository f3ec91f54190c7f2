/* SPDX-License-Identifier: Apache-2.0
 * The reading side of a screening run: threads that each take the next file, unpack and parse it, and split its records
 * into sentences, ahead of the classifier. A file's chunks wait in a queue of its own, and all queues together have a
 * budget of memory, so that it stays constant however slow the rest is. Chunks are handed out in the order of files and
 * records, whatever the threads. */
#ifndef ADE_READER_H
#define ADE_READER_H

#include "adesieve.h"
#include "chunk.h"
#include "inputs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ade_reader_options {
    const ade_inputs *inputs; /* sorted; lives longer than the reader; files that are `done` are left out */
    ade_chunk_rules   rules;
    bool              check_md5;
    bool              parts_stand; /* of a file that fails, what came before the place stands: the message says so */
    int               threads;     /* at least 1 */
    size_t            budget;      /* bytes that all waiting chunks may take, beyond a few for each file */
} ade_reader_options;

typedef struct ade_reader ade_reader;

/* Starts the threads. ADE_OUT_OF_MEMORY, ADE_IO (no thread or descriptor to be had). */
ade_status ade__reader_start(const ade_reader_options *options, ade_reader **out);

/* The next chunk, which the caller gives back. NULL: all has been handed out (*end is set), the reader is stopping, or,
 * without `wait`, there is none yet. To be called by one thread. */
ade_chunk *ade__reader_next(ade_reader *reader, bool wait, bool *end);
void       ade__reader_give_back(ade_reader *reader, ade_chunk *chunk); /* from any thread */

/* Seconds that the threads have worked so far, all together; waiting for input counts, waiting for room does not. */
double ade__reader_seconds(ade_reader *reader);

/* Ends the threads' work soon, also of one that waits for a pipe; ade__reader_next returns NULL from now on. */
void ade__reader_stop(ade_reader *reader);

/* Stops and joins the threads, and frees all, also chunks that were not given back. NULL is fine. */
void ade__reader_free(ade_reader *reader);

#endif
