/* SPDX-License-Identifier: Apache-2.0
 * The first look at a text: where its units lie. A unit is an ASCII punctuation character, or a stretch: everything
 * between two places where an ASCII white space or punctuation character stands. Nothing that normalizing does reaches
 * out of a unit. A stretch without "complex" characters is a word that wants lower case at most. */
#ifndef ADE_SCAN_H
#define ADE_SCAN_H

#include "isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an ASCII character is; another byte is ADE_SCAN_STRETCH | ADE_SCAN_COMPLEX. White space has no bit. */
#define ADE_SCAN_STRETCH     1u /* part of a stretch */
#define ADE_SCAN_PUNCTUATION 2u /* a unit of its own */
#define ADE_SCAN_COMPLEX     4u /* its stretch has to be normalized: what clean_text deletes; also NUL */
#define ADE_SCAN_FIRST       8u /* an added token may begin here */

typedef struct ade__scan_classes {
    _Alignas(64) uint8_t bits[128];
    /* The same for shuffles: bit h of of_low[k][l] says whether character 16 h + l has bit k. */
    _Alignas(16) uint8_t of_low[4][16];
    bool                 other_first; /* an added token may begin with a byte from 0x80 on */
    bool                 lowercase;   /* of the ASCII letters */
} ade__scan_classes;

void ade__scan_classes_set(ade__scan_classes *classes, const uint8_t bits[128], bool other_first, bool lowercase);

#define ADE_WINDOW       4096 /* bytes looked at together; positions fit 16 bits */
#define ADE_WINDOW_SLACK 64

typedef struct ade__window {
    /* The text, its ASCII letters in lower case if so wished; anything behind it. */
    _Alignas(64) unsigned char bytes[ADE_WINDOW + ADE_WINDOW_SLACK];
    /* Units in ascending order; some more than n_units may be written. */
    _Alignas(64) uint16_t starts[ADE_WINDOW + 2 * ADE_WINDOW_SLACK];
    _Alignas(64) uint16_t ends[ADE_WINDOW + 2 * ADE_WINDOW_SLACK];
    uint64_t complex[ADE_WINDOW / 64 + 2]; /* a bit for each byte, a word of zeros behind */
    size_t   n_units;
    bool     open;      /* the last unit is a stretch that ends where the window does */
    bool     any_first; /* ADE_SCAN_FIRST somewhere */
    bool     any_complex;
    bool     any_other; /* bytes from 0x80 on */
} ade__window;

/* Looks at `size` bytes, at most ADE_WINDOW. */
typedef void ade__scan_fn(const ade__scan_classes *classes, const unsigned char *text, size_t size, ade__window *out);

/* The fastest for a processor that has no more than `most`; *name (may be NULL) says which. */
ade__scan_fn *ade__scan_choose(ade_isa most, const char **name);

/* Bits [start, start + 64) of `complex`. */
static inline uint64_t ade__window_complex(const ade__window *window, size_t start) {
    const uint64_t *word = window->complex + start / 64;
    return word[0] >> start % 64 | word[1] << 1 << (63 - start % 64);
}

#endif
