/* SPDX-License-Identifier: Apache-2.0
 * Files of a model folder, read with care: regular files only, sizes bounded, and a note of every file that was used,
 * so that a hash can say whether it still describes what is in memory. */
#ifndef ADE_FOLDER_H
#define ADE_FOLDER_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stat;

typedef struct ade_used_file {
    char    *name;          /* without folder; owned */
    uint64_t device, inode; /* these five: the same file with the same contents, as far as one can tell cheaply */
    uint64_t size;
    int64_t  seconds, nanoseconds; /* last modification */
} ade_used_file;

typedef struct ade_used_files {
    ade_used_file *items;
    size_t         n, capacity;
} ade_used_files;

ade_status ade__used_files_add(ade_used_files *used, const char *name, const struct stat *info);
bool       ade__used_file_same(const ade_used_file *file, const struct stat *info);
void       ade__used_files_clear(ade_used_files *used);

/* ADE_IO unless `folder` is a directory that can be reached. */
ade_status ade__folder_check(const char *folder);

/* Does the folder hold something of this name? */
ade_status ade__folder_has(const char *folder, const char *name, bool *has);

/* Opens folder/name for reading without ever waiting for a FIFO. *fd = -1 when there is no such file; a directory, FIFO
 * or device is ADE_BAD_MODEL. Symbolic links are followed: download caches are made of them. */
ade_status ade__folder_open(const char *folder, const char *name, int *fd, struct stat *info);

/* pread until `size` bytes have come; ADE_BAD_MODEL when the file ends before. */
ade_status ade__folder_pread(const char *folder, const char *name, int fd, void *buffer, size_t size, uint64_t offset);

/* The whole file as *data (owned by the caller, a NUL behind it); NULL when there is no such file. A file of more than
 * `limit` bytes is ADE_BAD_MODEL. */
ade_status ade__folder_read(const char *folder, const char *name, size_t limit, ade_used_files *used, char **data,
                            size_t *size);

/* The number of bytes before the first that is not valid UTF-8; `size` when all are. */
size_t ade__utf8_valid(const char *data, size_t size);

#endif
