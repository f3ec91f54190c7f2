/* SPDX-License-Identifier: Apache-2.0
 * MEDLINE/PubMed XML as a stream of records. Constant memory: one record at a time.
 *
 * Roots: PubmedArticleSet, MedlineCitationSet (before 2017), PubmedBookArticleSet. A record is a MedlineCitation or a
 * BookDocument; its PMID is its own child, never a cited one. Title: ArticleTitle (a book without one: BookTitle).
 * Sections: the AbstractText elements of Abstract, then those of each OtherAbstract, marked as such. VernacularTitle
 * and CopyrightInformation are left out.
 *
 * Text: all text nodes in order; runs of space, tab, CR, LF become one space, and those at both ends go. Other Unicode
 * spaces (no-break, thin) stay as they are: they are characters that offsets count. Inline markup is dropped, but
 * superscripts become ^(..) and subscripts _(..), also in MathML (msup, msub, msubsup); empty ones leave nothing.
 * Title brackets stay. Line ends are the XML parser's.
 *
 * Refused with file, line and column (ADE_BAD_INPUT): what is not well-formed, ends early, has another root, declares
 * entities (they would be a way to blow up the text), or uses one that is not predefined. A DTD is never fetched. */
#ifndef ADE_MEDLINE_H
#define ADE_MEDLINE_H

#include "adesieve.h"
#include "gzip_in.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ade_record_section {
    ade_text label;    /* white space as in texts; data is NULL where there is none */
    ade_text category; /* NlmCategory; data is NULL where there is none */
    ade_text text;     /* may be empty */
    bool     other;    /* of an OtherAbstract; then */
    ade_text language; /* its Language ("eng" where it says nothing) */
    ade_text type;     /* and its Type */
} ade_record_section;

typedef struct ade_record {
    int64_t                   pmid;
    int32_t                   version; /* of the PMID; 1 where the file says nothing */
    bool                      deleted; /* named by DeleteCitation; nothing below is set */
    bool                      book;
    bool                      has_article;  /* false: a bare PMID, as found in the wild */
    bool                      has_abstract; /* an Abstract element, empty or not */
    ade_text                  title;        /* empty where there is none */
    const ade_record_section *sections;     /* (n_sections) */
    size_t                    n_sections;

    /* What reviewers ask for; white space as in texts, no line feed in any. Empty (data "", size 0) where there is none. */
    ade_text      date;         /* PubDate: "2016", "2016-05", "2016-05-31"; of a MedlineDate its first year */
    ade_text      date_revised; /* DateRevised: "2016-05-31" */
    ade_text      journal;      /* MedlineTA, else the journal's Title; of a book the BookTitle */
    ade_text      doi;          /* ELocationID of EIdType doi, else ArticleId of IdType doi of the record itself */
    ade_text_list languages, publication_types, chemicals; /* as in ade_screen_record */
    ade_text_list mesh;         /* descriptor/qualifier/..; a star before each major topic */
    bool          retracted, mesh_adverse_effects, mesh_chemically_induced; /* as in ade_screen_record */
} ade_record;

/* Receives a record; everything in it is valid during the call only. Another status than ADE_OK stops the parser,
 * which hands it on. */
typedef ade_status (*ade_record_fn)(void *user, const ade_record *record);

typedef struct ade_medline ade_medline;

/* `name` stands in messages. ADE_OUT_OF_MEMORY. */
ade_status ade__medline_open(const char *name, ade_record_fn fn, void *user, ade_medline **out);
void       ade__medline_close(ade_medline *medline); /* NULL is fine */

/* Memory for the next `capacity` bytes of the file; NULL when out of memory. */
void *ade__medline_buffer(ade_medline *medline, size_t capacity);

/* Parses the `size` bytes now in that buffer; `final` says that the file ends with them (size may be 0). Records that
 * are complete before a fault are delivered first. ADE_BAD_INPUT, ADE_OUT_OF_MEMORY, or what the callback returned. */
ade_status ade__medline_parse(ade_medline *medline, size_t size, bool final);

/* The whole of an open input. *xml_bytes, unless NULL, is increased by the unpacked bytes as they come. */
ade_status ade__medline_read(ade_input *input, const char *name, ade_record_fn fn, void *user, uint64_t *xml_bytes);

#endif
