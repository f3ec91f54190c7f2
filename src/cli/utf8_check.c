/* SPDX-License-Identifier: Apache-2.0
 * Is it UTF-8, where is it not, and how many code points are there. */
#include "utf8_check.h"

#include <stdint.h>
#include <string.h>

/* Looks at the character at text[0]. Returns its length when valid; else 0, and *part is the length of the maximal
 * invalid part: the longest beginning of a valid sequence, at least one byte. */
static size_t character(const unsigned char *text, size_t size, size_t *part) {
    unsigned char lead = text[0], low = 0x80, high = 0xbf;
    size_t        length;
    *part = 1;
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    if (lead < 0xe0) {
        length = 2;
    } else if (lead < 0xf0) {
        length = 3;
        if (lead == 0xe0) low = 0xa0;  /* no overlong forms */
        if (lead == 0xed) high = 0x9f; /* no surrogates */
    } else {
        length = 4;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f; /* nothing above U+10FFFF */
    }
    for (size_t i = 1; i < length; i++) {
        if (i >= size || text[i] < low || text[i] > high) {
            *part = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

size_t utf8_valid_prefix(const char *text, size_t size) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t               i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= sizeof eight) { /* most texts are mostly ASCII */
            memcpy(&eight, bytes + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t part, length = character(bytes + i, size - i, &part);
        if (length == 0) return i;
        i += length;
    }
    return size;
}

size_t utf8_invalid_part(const char *text, size_t size) {
    size_t part = 1;
    if (size > 0) character((const unsigned char *)text, size, &part);
    return part;
}

size_t utf8_cut(const char *text, size_t size, size_t most) {
    size_t at = most;
    if (size <= most) return size;
    while (at > 0 && most - at < 3 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

size_t utf8_count(const char *text, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}
