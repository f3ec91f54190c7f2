/* SPDX-License-Identifier: Apache-2.0
 * The bytes of one input: a file or standard input, plain or gzip (told by its first bytes; a name that ends in .gz
 * promises it). All members of a gzip file are read, and one that ends too early is an error. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct input input;

enum { INPUT_ERROR = -1, INPUT_INTERRUPTED = -2 };

/* "-" is standard input. NULL on failure, with a sentence in error[]. The path is not kept. */
input *input_open(const char *path, char *error, size_t error_size);
void   input_close(input *in);

/* Up to `size` bytes; 0 at the end; INPUT_ERROR with a sentence in error[]; INPUT_INTERRUPTED. */
ssize_t input_read(input *in, char *data, size_t size, char *error, size_t error_size);

int      input_would_wait(input *in);     /* 1 when the next read would wait for somebody to write or type */
uint64_t input_position(const input *in); /* bytes read, as stored */

#endif
