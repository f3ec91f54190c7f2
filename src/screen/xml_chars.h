/* SPDX-License-Identifier: Apache-2.0
 * Characters as XML sees them, and UTF-8. */
#ifndef ADE_XML_CHARS_H
#define ADE_XML_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 sequence at p, whose first byte is not ASCII; 0 when it is none, -1 when the bytes at hand
 * end within it. */
static inline int ade__utf8_sequence(const char *p, const char *end, uint32_t *code) {
    const unsigned char *u = (const unsigned char *)p;
    const uint32_t       first = u[0];
    const int            size = first >= 0xC2 && first <= 0xDF   ? 2
                                : (first & 0xF0) == 0xE0         ? 3
                                : first >= 0xF0 && first <= 0xF4 ? 4
                                                                 : 0;
    const uint32_t       low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80; /* overlong below */
    const uint32_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF; /* surrogates, beyond U+10FFFF above */
    uint32_t       value = first & (0x7Fu >> size);
    if (!size) return 0;
    for (int i = 1; i < size; i++) {
        if (p + i == end) return -1;
        if (u[i] < (i == 1 ? low : 0x80) || u[i] > (i == 1 ? high : 0xBF)) return 0;
        value = value << 6 | (u[i] & 0x3Fu);
    }
    *code = value;
    return size;
}

/* Char of the standard. */
static inline bool ade__xml_is_char(uint32_t c) {
    return c >= 0x20 ? c < 0xD800 || (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF)
                     : c == '\t' || c == '\n' || c == '\r';
}

static inline bool ade__xml_is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static inline bool ade__xml_begins_name(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {{':', ':'},       {'A', 'Z'},       {'_', '_'},       {'a', 'z'},
                  {0xC0, 0xD6},     {0xD8, 0xF6},     {0xF8, 0x2FF},    {0x370, 0x37D},
                  {0x37F, 0x1FFF},  {0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF},
                  {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last) return true;
    return false;
}

/* Beyond ASCII. */
static inline bool ade__xml_continues_name(uint32_t c) {
    return c == 0xB7 || (c >= 0x300 && c <= 0x36F) || c == 0x203F || c == 0x2040 || ade__xml_begins_name(c);
}

/* Writes a character as UTF-8; its length, up to 4. */
static inline size_t ade__utf8_encode(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00u >> size & 0xFF) | c);
    return size;
}

#endif
