/* SPDX-License-Identifier: Apache-2.0
 * What the reference tokenizer thinks of a code point, and UTF-8 in and out. */
#ifndef ADE_CHARACTERS_H
#define ADE_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADE_CHAR_DELETED     0x001 /* clean_text drops it (also U+0000 and U+FFFD) */
#define ADE_CHAR_SPACE       0x002 /* clean_text makes it U+0020 */
#define ADE_CHAR_CHINESE     0x004 /* handle_chinese_chars puts spaces around it */
#define ADE_CHAR_MARK        0x008 /* strip_accents drops it */
#define ADE_CHAR_WHITESPACE  0x010 /* separates words; also \s of lstrip and rstrip */
#define ADE_CHAR_PUNCTUATION 0x020 /* a word of its own */
#define ADE_CHAR_WORD        0x040 /* \w, which single_word tokens must not touch */
#define ADE_CHAR_DECOMPOSES  0x080 /* NFD changes it */
#define ADE_CHAR_UPPER       0x100 /* lowercase changes it */

typedef struct ade__class {
    uint16_t flags;
    uint8_t  combining; /* canonical combining class; 0 for what NFD never moves */
} ade__class;

typedef struct ade__lower_range {
    uint32_t first, last, step;
    int32_t  delta;
} ade__lower_range;

extern const ade__class       ade__classes[];
extern const uint8_t          ade__class_blocks[0x110000 / 128];
extern const uint8_t          ade__class_indices[][128];
extern const ade__lower_range ade__lower_ranges[];
extern const size_t           ade__n_lower_ranges;

/* `c` is at most U+10FFFF. */
static inline const ade__class *ade__class_of(uint32_t c) {
    return &ade__classes[ade__class_indices[ade__class_blocks[c >> 7]][c & 127]];
}

/* The single lower-case code point; for U+0130, which has two, the first: the caller adds U+0307. */
uint32_t ade__lower(uint32_t c);

/* The full canonical decomposition of a code point with ADE_CHAR_DECOMPOSES; at most 4 code points. */
size_t ade__decompose(uint32_t c, uint32_t out[4]);

/* The full compatibility decomposition as utf8proc has it; `c` itself where it has none. No longer one is known. */
#define ADE_MOST_COMPAT 18
size_t ade__decompose_compat(uint32_t c, uint32_t out[ADE_MOST_COMPAT]);

#define ADE_INVALID_UTF8 0xffffffffu

/* Decodes the character at the start of `size` > 0 bytes and returns its length. *c is ADE_INVALID_UTF8 for a maximal
 * invalid subpart (Unicode 15, section 3.9, table 3-8), whose length is returned. */
size_t ade__utf8_decode(const unsigned char *bytes, size_t size, uint32_t *c);

/* The start of the character that ends before bytes[end], end > 0; *c as above. */
size_t ade__utf8_decode_back(const unsigned char *bytes, size_t end, uint32_t *c);

size_t ade__utf8_encode(uint32_t c, unsigned char out[4]);

/* The number of leading bytes that are ASCII. */
size_t ade__ascii_prefix(const unsigned char *bytes, size_t size);

#endif
