/* SPDX-License-Identifier: Apache-2.0
 * Is it UTF-8, where is it not, and how many code points are there. */
#ifndef CLI_UTF8_CHECK_H
#define CLI_UTF8_CHECK_H

#include <stddef.h>

/* The number of bytes before the first invalid one; `size` when all is valid. */
size_t utf8_valid_prefix(const char *text, size_t size);

/* The length of the maximal invalid part (Unicode 15, 3.9) that begins at text[0]; at least 1. */
size_t utf8_invalid_part(const char *text, size_t size);

/* How many of the first `most` bytes of `text` end with a whole character; `size` when all fit. */
size_t utf8_cut(const char *text, size_t size, size_t most);

/* Code points in valid UTF-8. */
size_t utf8_count(const char *text, size_t size);

#endif
