/* SPDX-License-Identifier: Apache-2.0
 * The formats of adesieve export. Each takes one document of a store at a time and appends it to a buffer; brat, which
 * is a folder of files, has functions of its own. All say what goes wrong and return an exit status. */
#ifndef CLI_EXPORT_FORMAT_H
#define CLI_EXPORT_FORMAT_H

#include "adesieve.h"
#include "options.h"
#include "rows.h"

/* In the order of the option's choices; the first three are the row_formats. */
enum { EXPORT_JSONL, EXPORT_TSV, EXPORT_CSV, EXPORT_PUBANNOTATION, EXPORT_BRAT, EXPORT_RIS };

/* ---- One JSON object or table row a hit, or a document ---- */
void export_rows_header(bytes *out, const settings *wanted); /* nothing for JSON Lines */
int  export_rows_put(bytes *out, const settings *wanted, const ade_export_document *document);

/* ---- PubAnnotation: one JSON object a document and line ---- */
int export_pubannotation_put(bytes *out, const ade_export_document *document);

/* ---- RIS ---- */
int export_ris_put(bytes *out, const ade_export_document *document, double threshold);

/* ---- brat: a folder that has its name only when it is complete ---- */
typedef struct brat_folder {
    const char *name; /* as the user gave it */
    char       *target, *temporary;
    int         fd;
    bytes       text, notes, types; /* the files of a document; the lines of annotation.conf */
} brat_folder;

#define BRAT_FOLDER_CLOSED_INIT                                                                                        \
    { .fd = -1 }

/* A folder that is there must be empty: notes that a reviewer made in it are never written over. */
int export_brat_open(brat_folder *folder, const char *path);
int export_brat_put(brat_folder *folder, const ade_export_document *document);
/* complete != 0: writes annotation.conf and gives the folder its name; else removes what was written. To be called also
 * after a failure, and on a folder that was never opened (BRAT_FOLDER_CLOSED_INIT). */
int export_brat_finish(brat_folder *folder, int complete);

#endif
