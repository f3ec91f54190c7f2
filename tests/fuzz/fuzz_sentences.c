/* SPDX-License-Identifier: Apache-2.0
 * Sentences are in order, inside the text, not empty, cut between characters, and lose nothing but white space. */
#include "fuzz.h"

#include "sentences.h"

static int is_space(const uint8_t *p, size_t n) {
    static const char *const spaces[] = {" ", "\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", "\xc2\x85", "\xc2\xa0",
                                         "\xe1\x9a\x80", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                         "\xe3\x80\x80"};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (strlen(spaces[i]) == n && memcmp(p, spaces[i], n) == 0) return 1;
    return n == 3 && p[0] == 0xE2 && p[1] == 0x80 && p[2] >= 0x80 && p[2] <= 0x8A; /* U+2000 to U+200A */
}

static void only_spaces(const uint8_t *text, size_t begin, size_t end) {
    while (begin < end) {
        size_t invalid, n = fuzz_sequence(text + begin, end - begin, &invalid);
        HOLDS(n > 0 && is_space(text + begin, n));
        begin += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ade_sentences sentences;
    size_t               n, parts, at = 0;
    char                *text = fuzz_sanitize(data, size, &n, &parts);
    const uint8_t       *bytes = (const uint8_t *)text;
    HOLDS(ade__sentences_split((ade_text){text, n}, &sentences) == ADE_OK);
    for (size_t i = 0; i < sentences.n; i++) {
        ade_span span = sentences.spans[i];
        HOLDS(span.start >= at && span.start < span.end && span.end <= n);
        HOLDS((bytes[span.start] & 0xC0) != 0x80 && (span.end == n || (bytes[span.end] & 0xC0) != 0x80));
        only_spaces(bytes, at, span.start);
        at = span.end;
    }
    only_spaces(bytes, at, n);
    for (size_t i = 0; i < n && n < 2000; i += 1 + n / 50) { /* an explanation exists, or there is no candidate */
        int boundary = -1;
        if (ade__sentences_explain((ade_text){text, n}, i, &boundary)) HOLDS(boundary == 0 || boundary == 1);
    }
    free(text);
    return 0;
}
