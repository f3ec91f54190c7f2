/* SPDX-License-Identifier: Apache-2.0
 * How far a run of harmless bytes reaches: the inner loops of the XML parser. 16 bytes at a time where SSE2 is (every
 * x86-64 has it), else byte by byte with the same results; ADE_XML_PORTABLE chooses the latter anywhere.
 *
 * All of these stop at a NUL, so the caller keeps ADE_SCAN_SLACK zero bytes behind its data instead of passing an end.
 * Nothing beyond them is read. */
#ifndef ADE_XML_SCAN_H
#define ADE_XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADE_SCAN_SLACK 48 /* two bytes of markup, then 16 or 32 that are loaded at once */

#if defined(__SSE2__) && !defined(ADE_XML_PORTABLE)
#include <emmintrin.h>

/* The first byte that is a, b, c, a control character (a line feed only if !lines), or not ASCII. */
static inline const char *ade__scan(const char *p, char a, char b, char c, bool lines) {
    for (;; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i       stop = _mm_cmplt_epi8(v, _mm_set1_epi8(' ')); /* signed: from 0x80 on they are negative */
        if (lines) stop = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')), stop);
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8(a)));
        if (b != a) stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8(b)));
        if (c != a) stop = _mm_or_si128(stop, _mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
        const int mask = _mm_movemask_epi8(stop);
        if (mask) return p + __builtin_ctz((unsigned)mask);
    }
}

static inline __m128i ade__scan_between(__m128i v, char below, char above) {
    return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(below)), _mm_cmplt_epi8(v, _mm_set1_epi8(above)));
}

/* The first byte that is no ASCII character of a name: A-Z a-z 0-9 : _ - . */
static inline const char *ade__scan_name(const char *p) {
    for (;; p += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i       fine = ade__scan_between(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a' - 1, 'z' + 1);
        fine = _mm_or_si128(fine, ade__scan_between(v, '0' - 1, ':' + 1));
        fine = _mm_or_si128(fine, ade__scan_between(v, '-' - 1, '.' + 1));
        fine = _mm_or_si128(fine, _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
        const int mask = _mm_movemask_epi8(fine) ^ 0xffff;
        if (mask) return p + __builtin_ctz((unsigned)mask);
    }
}

/* Whether p[0..size) equals name[0..size); both have ADE_SCAN_SLACK readable bytes at size 0..16, or `left` bytes at p.
 */
static inline bool ade__scan_same(const char *p, size_t left, const char *name, size_t size) {
    if (size > 16) return left >= size && !memcmp(p, name, size);
    const __m128i  same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)name));
    const unsigned want = (1u << size) - 1;
    return ((unsigned)_mm_movemask_epi8(same) & want) == want;
}

/* How many bytes of [p, end) are line feeds, or else (!lines) begin a UTF-8 character. */
static inline size_t ade__scan_count(const char *p, const char *end, bool lines) {
    size_t n = 0;
    while (end - p >= 16) {
        __m128i sums = _mm_setzero_si128(); /* a byte each, for up to 255 rounds */
        for (int round = 0; round < 255 && end - p >= 16; round++, p += 16) {
            const __m128i v = _mm_loadu_si128((const __m128i *)p);
            sums = _mm_sub_epi8(sums, lines ? _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))
                                            : _mm_cmpgt_epi8(v, _mm_set1_epi8(-65))); /* 0x80..0xBF continue */
        }
        sums = _mm_sad_epu8(sums, _mm_setzero_si128());
        n += (size_t)_mm_cvtsi128_si32(sums) + (size_t)_mm_extract_epi16(sums, 4);
    }
    for (; p < end; p++) n += lines ? *p == '\n' : ((unsigned char)*p & 0xC0) != 0x80;
    return n;
}

#else

static inline const char *ade__scan(const char *p, char a, char b, char c, bool lines) {
    while (((unsigned char)(*p - ' ') < 0x60 && *p != a && *p != b && *p != c) || (lines && *p == '\n')) p++;
    return p;
}

static inline const char *ade__scan_name(const char *p) {
    while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= ':') || *p == '_' || *p == '-' ||
           *p == '.')
        p++;
    return p;
}

static inline bool ade__scan_same(const char *p, size_t left, const char *name, size_t size) {
    return left >= size && !memcmp(p, name, size);
}

static inline size_t ade__scan_count(const char *p, const char *end, bool lines) {
    size_t n = 0;
    for (; p < end; p++) n += lines ? *p == '\n' : ((unsigned char)*p & 0xC0) != 0x80;
    return n;
}

#endif
#endif
