/* SPDX-License-Identifier: Apache-2.0
 * MD5, as NLM publishes it beside every file: it tells a damaged download, nothing else. */
#ifndef ADE_CHECKSUM_H
#define ADE_CHECKSUM_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>

#define ADE_MD5_TEXT 33 /* 32 lower-case hexadecimal digits and a NUL */

typedef struct ade_md5 ade_md5;

ade_status ade__md5_new(ade_md5 **out); /* ADE_OUT_OF_MEMORY */
void       ade__md5_free(ade_md5 *md5); /* NULL is fine */
void       ade__md5_add(ade_md5 *md5, const void *data, size_t size);
void       ade__md5_end(const ade_md5 *md5, char text[ADE_MD5_TEXT]); /* of what was added so far */

/* Asked now and then while a file is read: true ends it with ADE_CANCELLED. */
typedef struct ade_stop {
    bool (*fn)(void *user);
    void *user;
} ade_stop;

/* Such a question: whether the descriptor that `wake_fd` points to has become readable. */
bool ade__md5_woken(void *wake_fd);

/* Compares a file with the sum in `path`.md5, in NLM's form ("MD5(name)= sum") or md5sum's ("sum  name"). *found is
 * false where there is no such file.
 * ADE_BAD_INPUT (the sums differ, or the .md5 holds none), ADE_IO, ADE_CANCELLED, ADE_OUT_OF_MEMORY. */
ade_status ade__md5_check(const char *path, const ade_stop *stop, bool *found);

/* The sum of a whole file. */
ade_status ade__md5_of_file(const char *path, const ade_stop *stop, char text[ADE_MD5_TEXT]);

#endif
