/* SPDX-License-Identifier: Apache-2.0
 * The digest that stands for a text in a text_set (labelled.h). */
#ifndef CLI_TEXT_SET_H
#define CLI_TEXT_SET_H

#include <stddef.h>
#include <stdint.h>

typedef struct text_digest {
    uint64_t words[2];
} text_digest;

text_digest text_set_digest(const void *data, size_t size);

#endif
