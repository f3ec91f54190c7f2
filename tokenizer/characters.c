/* SPDX-License-Identifier: Apache-2.0
 * The tables of classes.h, lower case, decompositions and UTF-8.
 *
 * classes.h says WHICH code points decompose (those of Unicode 9); utf8proc says into what. Unicode never changes the
 * decomposition of an assigned code point, so every version of utf8proc gives the same. */
#include "characters.h"

#include "classes.h"

#include <string.h>
#include <utf8proc.h>

uint32_t ade__lower(uint32_t c) {
    if (c < 0x80) return c - 'A' < 26 ? c + 32 : c;
    if (c == 0x130) return 'i';
    size_t low = 0, high = ade__n_lower_ranges;
    while (low < high) {
        size_t                  middle = (low + high) / 2;
        const ade__lower_range *range = &ade__lower_ranges[middle];
        if (c > range->last)
            low = middle + 1;
        else if (c < range->first)
            high = middle;
        else
            return (c - range->first) % range->step ? c : (uint32_t)((int32_t)c + range->delta);
    }
    return c;
}

static size_t decompose(uint32_t c, utf8proc_option_t options, uint32_t *out, utf8proc_ssize_t capacity) {
    utf8proc_int32_t parts[ADE_MOST_COMPAT];
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, capacity, options, NULL);
    if (n < 1 || n > capacity) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) out[i] = (uint32_t)parts[i];
    return (size_t)n;
}

size_t ade__decompose(uint32_t c, uint32_t out[4]) { return decompose(c, UTF8PROC_DECOMPOSE, out, 4); }

size_t ade__decompose_compat(uint32_t c, uint32_t out[ADE_MOST_COMPAT]) {
    return decompose(c, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out, ADE_MOST_COMPAT);
}

size_t ade__utf8_decode(const unsigned char *bytes, size_t size, uint32_t *c) {
    unsigned first = bytes[0], low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t   more;
    if (first < 0x80) {
        *c = first;
        return 1;
    }
    *c = ADE_INVALID_UTF8;
    if (first < 0xc2 || first > 0xf4) return 1;
    if (first < 0xe0) {
        more = 1;
        first &= 0x1f;
    } else if (first < 0xf0) {
        more = 2;
        if (first == 0xe0) low = 0xa0;  /* no overlong forms */
        if (first == 0xed) high = 0x9f; /* no surrogates */
        first &= 0x0f;
    } else {
        more = 3;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f; /* nothing above U+10FFFF */
        first &= 0x07;
    }
    uint32_t value = first;
    for (size_t i = 1; i <= more; i++) {
        if (i >= size || bytes[i] < low || bytes[i] > high) return i;
        value = value << 6 | (bytes[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *c = value;
    return more + 1;
}

size_t ade__utf8_decode_back(const unsigned char *bytes, size_t end, uint32_t *c) {
    for (size_t back = 1; back <= 4 && back <= end; back++) {
        if (ade__utf8_decode(bytes + end - back, back, c) == back && *c != ADE_INVALID_UTF8) return end - back;
        if ((bytes[end - back] & 0xc0) != 0x80) break;
    }
    *c = ADE_INVALID_UTF8;
    return end - 1;
}

size_t ade__utf8_encode(uint32_t c, unsigned char out[4]) {
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xc0 | c >> 6);
        out[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xe0 | c >> 12);
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (unsigned char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (unsigned char)(0xf0 | c >> 18);
    out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (unsigned char)(0x80 | (c & 0x3f));
    return 4;
}

size_t ade__ascii_prefix(const unsigned char *bytes, size_t size) {
    size_t at = 0;
    for (; at + 32 <= size; at += 32) {
        uint64_t words[4];
        memcpy(words, bytes + at, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080)) break;
    }
    while (at < size && bytes[at] < 0x80) at++;
    return at;
}
