/* SPDX-License-Identifier: Apache-2.0
 * The reading side of a screening run: a thread that unpacks, parses, recognises repeated records and splits sentences
 * ahead of the classifier. It hands over chunks through a bounded queue, so memory stays constant; everything that
 * happens in the run (records, parts, sentences, deletions, ends of files) is an item of a chunk, in order; a fault
 * ends its chunk. */
#ifndef ADE_READER_H
#define ADE_READER_H

#include "adesieve.h"
#include "inputs.h"
#include "seen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ade_item_kind {
    ADE_ITEM_RECORD,   /* a citation; its parts follow when it is to be screened */
    ADE_ITEM_PART,     /* a part begins */
    ADE_ITEM_SENTENCE, /* of the last part */
    ADE_ITEM_DELETED,  /* DeleteCitation; `part` names the PMID */
    ADE_ITEM_FILE,     /* a file has been read to its end */
    ADE_ITEM_END       /* the run is over; the chunk is the last one */
} ade_item_kind;

#define ADE_NO_SLOT UINT32_MAX

typedef struct ade_item {
    uint8_t  kind;                           /* ade_item_kind */
    uint8_t  novelty;                        /* RECORD: ade_novelty */
    uint8_t  without_abstract, without_text; /* RECORD */
    uint32_t part;                           /* PART, SENTENCE, DELETED: index into parts */
    uint64_t skipped;                        /* RECORD: sentences that need no screening */
    /* SENTENCE: */
    uint32_t slot;       /* number among the chunk's texts to classify; ADE_NO_SLOT = no letter or digit in it */
    int32_t  sentence;   /* from 0 through the record */
    uint32_t start, end; /* bytes in the part's text */
    uint32_t start_char, end_char;
    size_t   text;                   /* offset of the sentence in the chunk's text; end - start bytes */
    size_t   model_text, model_size; /* what the model gets */
} ade_item;

typedef struct ade_chunk_part {
    int64_t pmid;
    int32_t version, part, section_index;
    size_t  file; /* index into the inputs */
    bool    labelled;
    size_t  label, label_size; /* in the chunk's text */
    bool    complete;          /* text holds the part's text; false in the chunks after the first that a part fills */
    size_t  text, text_size;
} ade_chunk_part;

typedef struct ade_chunk {
    ade_item       *items;
    size_t          n_items, items_capacity;
    ade_chunk_part *parts;
    size_t          n_parts, parts_capacity;
    char           *text;
    size_t          size, capacity;
    uint32_t        n_texts; /* to classify */
    /* The whole run, up to this chunk's end. */
    uint64_t   bytes_read, bytes_xml;
    double     seconds_read;
    ade_status fault; /* not ADE_OK: what comes behind the last item is this failure */
    char       fault_text[2048];
} ade_chunk;

typedef struct ade_reader_options {
    const ade_inputs *inputs;         /* sorted; lives longer than the reader */
    bool              section_labels; /* join "RESULTS: " for the model */
    bool              keep_going;
    uint64_t          limit;
} ade_reader_options;

typedef struct ade_reader ade_reader;

/* Starts the thread. ADE_OUT_OF_MEMORY, ADE_IO (no thread or descriptor to be had). */
ade_status ade__reader_start(const ade_reader_options *options, ade_reader **out);

/* The next chunk, or NULL when `milliseconds` went by without one. The caller gives it back. */
ade_chunk *ade__reader_next(ade_reader *reader, int milliseconds);
void       ade__reader_give_back(ade_reader *reader, ade_chunk *chunk);

/* Stops the thread, also one that waits for a pipe, joins it, and frees all. NULL is fine. */
void ade__reader_stop(ade_reader *reader);

#endif
