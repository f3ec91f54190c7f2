/* SPDX-License-Identifier: Apache-2.0
 * A half-open range of bytes in some text. */
#ifndef ADE_SPAN_H
#define ADE_SPAN_H

#include <stdint.h>

typedef struct ade_span {
    uint32_t start, end; /* bytes [start, end) */
} ade_span;

#endif
