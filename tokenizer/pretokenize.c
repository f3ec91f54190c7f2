/* SPDX-License-Identifier: Apache-2.0
 * A normalized text into words: white space separates, every punctuation character stands alone. */
#include "tokenizer_internal.h"

bool ade__next_word(const unsigned char *bytes, size_t end, size_t *at, size_t *word_start, size_t *word_end) {
    size_t start = *at, stop;
    for (;;) {
        if (start == end) return false;
        uint32_t c;
        stop = start + ade__utf8_decode(bytes + start, end - start, &c);
        unsigned flags = ade__class_of(c)->flags;
        if (flags & ADE_CHAR_WHITESPACE) {
            start = stop;
            continue;
        }
        if (!(flags & ADE_CHAR_PUNCTUATION)) {
            while (stop < end) {
                size_t size = ade__utf8_decode(bytes + stop, end - stop, &c);
                if (ade__class_of(c)->flags & (ADE_CHAR_WHITESPACE | ADE_CHAR_PUNCTUATION)) break;
                stop += size;
            }
        }
        *word_start = start;
        *word_end = *at = stop;
        return true;
    }
}
