/* SPDX-License-Identifier: Apache-2.0
 * What goes from a reading thread through the classifier to the caller: whole records of one file, in order, in memory
 * of their own. A chunk belongs to one thread at a time. */
#ifndef ADE_CHUNK_H
#define ADE_CHUNK_H

#include "adesieve.h"
#include "arena.h"
#include "checksum.h"
#include "medline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADE_NO_SLOT UINT32_MAX

typedef struct ade_chunk_sentence {
    uint32_t start, end; /* bytes in the part's text */
    uint32_t start_char, end_char;
    ade_text model;                  /* what the model gets; size 0 = no letter or digit in it */
    uint32_t slot;                   /* its number in the window; set by the classifier; ADE_NO_SLOT = not classified */
} ade_chunk_sentence;

typedef struct ade_chunk_part {
    int32_t  part, section_index; /* as in ade_screen_part */
    ade_text label, text;         /* label.data is NULL where there is none */
    uint32_t first_sentence, n_sentences;
} ade_chunk_part;

typedef struct ade_chunk_record {
    ade_screen_record shown; /* counts and scores are set later */
    bool              deleted;
    bool              without_abstract, without_text;
    uint8_t           novelty; /* ade_novelty; set by the classifier */
    bool              applies; /* deleted: false when something newer is known; set by the classifier */
    uint32_t          n_prefiltered; /* sentences; set by the classifier */
    uint64_t          hash;
    uint32_t          first_part, n_parts, first_sentence, n_sentences;
} ade_chunk_record;

typedef struct ade_chunk {
    struct ade_chunk   *next; /* in whatever list it is */
    size_t              file; /* index into the inputs */
    ade_chunk_record   *records;
    size_t              n_records, records_capacity;
    ade_chunk_part     *parts;
    size_t              n_parts, parts_capacity;
    ade_chunk_sentence *sentences;
    size_t              n_sentences, sentences_capacity;
    ade_arena           text; /* all strings */
    uint64_t            bytes_read, bytes_xml; /* of the file, up to this chunk's end */
    size_t              memory;                /* while it waits: what it takes */
    bool                first, last;           /* of its file */
    bool                cut;                   /* by the limit: the file goes on, the run does not */
    /* Of the last one: */
    char       md5[ADE_MD5_TEXT];
    bool       md5_checked;
    ade_status fault; /* not ADE_OK: the file ends with this failure */
    char       fault_text[2048];
} ade_chunk;

typedef struct ade_chunk_rules {
    bool section_labels;  /* join "RESULTS: " before a section's first sentence, for the model */
    int  other_abstracts; /* ade_other_abstracts */
} ade_chunk_rules;

/* Adds a record that is not a deletion: its texts, split into sentences, and what reviewers ask for. `sentences` is
 * scratch memory. ADE_OUT_OF_MEMORY, ADE_BAD_INPUT. */
struct ade_sentences;
ade_status ade__chunk_add(ade_chunk *chunk, const ade_record *record, const ade_chunk_rules *rules,
                          struct ade_sentences *sentences);
ade_status ade__chunk_add_deleted(ade_chunk *chunk, const ade_record *record);

bool ade__chunk_is_full(const ade_chunk *chunk);
size_t ade__chunk_memory(const ade_chunk *chunk); /* bytes that it takes, about */
void   ade__chunk_clear(ade_chunk *chunk); /* keeps memory of the usual size for the next */
void   ade__chunk_free(ade_chunk *chunk);  /* what it holds, not itself */

/* Over title, section labels and section texts that are screened; equal on every machine. */
uint64_t ade__record_hash(const ade_record *record, int other_abstracts);

#endif
