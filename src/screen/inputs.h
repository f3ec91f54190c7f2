/* SPDX-License-Identifier: Apache-2.0
 * The files of a run: collected from paths and folders, then put into the order in which they are read. */
#ifndef ADE_INPUTS_H
#define ADE_INPUTS_H

#include "adesieve.h"
#include "log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ade_input_file {
    char       *path; /* owned; "-" is standard input */
    const char *name; /* the part of `path` behind the last slash */
    bool        has_number;
    uint64_t    number; /* see ade__inputs_number */
    bool        of_nlm; /* named as NLM names its files; then */
    uint64_t    year;   /* is set; see ade__inputs_year */
    bool        sized;  /* a regular file: size is known */
    uint64_t    size;   /* bytes as stored */
    int64_t     mtime;  /* nanoseconds since 1970; 0 when it is no regular file */
    uint64_t    device, inode;
    bool        done;   /* the store says so: it is not read */
} ade_input_file;

typedef struct ade_inputs {
    ade_input_file *files; /* owned; zeroed struct = empty */
    size_t          n, capacity;
} ade_inputs;

/* Adds a file, "-", a pipe, or a folder: all *.xml and *.xml.gz directly in it that are files and not hidden, also those
 * that cannot be looked at, such as a link to nowhere. A link in a folder to a file that is there already is left out,
 * with a warning to `log`.
 * On failure nothing is added. ADE_IO: no such file, a folder without such files. ADE_INVALID_ARGUMENT: a file that is
 * there already, under whatever name (it would be screened twice). ADE_OUT_OF_MEMORY. */
ade_status ade__inputs_add(ade_inputs *inputs, const char *path, const ade_log *log);

/* Files without a number first, then by year (0 for others than NLM's), number, name, path. */
void ade__inputs_sort(ade_inputs *inputs);

/* Bytes of all files to be read, as stored; 0 when one of them is not a regular file. */
uint64_t ade__inputs_bytes(const ade_inputs *inputs);

void ade__inputs_free(ade_inputs *inputs);

/* The number in a file's name: the last run of digits before the first period (pubmed26n1334.xml.gz: 1334). False when
 * there is none. A number above 2^64 - 1 counts as that. */
bool ade__inputs_number(const char *name, uint64_t *number);

/* The year in the names of NLM's files: letters, two digits, 'n', digits (pubmed26n1334.xml.gz: 26). False for others. */
bool ade__inputs_year(const char *name, uint64_t *year);

#endif
