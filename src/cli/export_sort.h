/* SPDX-License-Identifier: Apache-2.0
 * Documents in the order of their scores. A store gives them by PMID; so what was made of each waits in a temporary
 * file, and only its score, PMID and place are kept in memory (40 bytes a document). */
#ifndef CLI_EXPORT_SORT_H
#define CLI_EXPORT_SORT_H

#include "output.h"

typedef struct export_sort {
    struct export_place {
        double   score;
        int64_t  pmid;
        uint64_t offset, size; /* in the file */
        uint64_t hits;         /* 0: a deleted record */
    } * places;
    size_t   count, capacity;
    uint64_t limit; /* the best ones alone are wanted; 0 = all */
    char    *folder;
    int      fd;
    uint64_t written;
    bytes    waiting; /* to be written behind the file's end */
} export_sort;

#define EXPORT_SORT_CLOSED_INIT                                                                                        \
    { .fd = -1 }

/* The temporary file lies in the folder of `out` when that is a regular file, else in $TMPDIR or /tmp. It has no name,
 * so that nothing is left of it however the run ends. All failures are said. */
int export_sort_open(export_sort *sort, const output *out, uint64_t limit);

/* Whether a document of this score can be among those wanted, given all that were added. */
int export_sort_wants(const export_sort *sort, double score, int64_t pmid);

int  export_sort_add(export_sort *sort, double score, int64_t pmid, uint64_t hits, const bytes *made);
int  export_sort_write(export_sort *sort, output *out); /* the highest score first; equal ones by PMID */
void export_sort_close(export_sort *sort);

#endif
