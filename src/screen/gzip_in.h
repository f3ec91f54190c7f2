/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a file, a pipe or standard input, unpacked when they are gzip (told by the content, not by the name). All
 * members of a .gz are read; a broken or truncated one, or anything but zero bytes behind the last, is an error that
 * names file and byte: never a silent end. */
#ifndef ADE_GZIP_IN_H
#define ADE_GZIP_IN_H

#include "adesieve.h"
#include "checksum.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ade_input ade_input;

/* Opens `path`; "-" is standard input, which is never closed. `wake_fd`, unless negative, is a descriptor that becomes
 * readable when reading shall stop (it is not read): a read that waits for a pipe then returns ADE_CANCELLED.
 * ADE_IO, ADE_OUT_OF_MEMORY. */
ade_status ade__input_open(const char *path, int wake_fd, ade_input **out);
void       ade__input_close(ade_input *input); /* NULL is fine */

/* Reads 1 to `capacity` unpacked bytes, or sets *got to 0 at the end. What comes before a fault is delivered first.
 * ADE_IO, ADE_BAD_INPUT, ADE_CANCELLED; after one of them every call returns it again. */
ade_status ade__input_read(ade_input *input, void *buffer, size_t capacity, size_t *got);

uint64_t ade__input_bytes_read(const ade_input *input); /* as stored; what is read ahead does not count */

/* Sums up from now on what is read from the file, as stored. Before the first read. ADE_OUT_OF_MEMORY. */
ade_status ade__input_want_md5(ade_input *input);
void       ade__input_md5(const ade_input *input, char text[ADE_MD5_TEXT]); /* "" unless read to the end and wanted */

#endif
