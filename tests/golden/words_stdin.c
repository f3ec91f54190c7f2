/* SPDX-License-Identifier: Apache-2.0
 * Finds the words of texts for compare_words.py: records in on stdin, records out on stdout, integers little-endian u32.
 *     in:   size, bytes
 *     out:  n, then of each word: start, end, size, bytes;  or 0xffffffff and the status
 *     words_stdin lower=0|1 accents=0|1|2 replace=0|1 */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const void *data, size_t size) {
    if (size && fwrite(data, 1, size, stdout) != size) exit(1);
}

int main(int argc, char **argv) {
    ade_words_options options;
    ade_words         words = {0};
    uint32_t          length;
    char             *buffer = NULL;
    if (argc != 4) return 2;
    options.lowercase = !strcmp(argv[1], "lower=1");
    options.accents = (ade_accents)(argv[2][strlen(argv[2]) - 1] - '0');
    options.invalid = !strcmp(argv[3], "replace=1") ? ADE_INVALID_UTF8_REPLACE : ADE_INVALID_UTF8_ERROR;
    while (fread(&length, 4, 1, stdin) == 1) {
        char      *out = NULL;
        size_t     size = 0;
        uint32_t   n = 0;
        bool       more = true;
        ade_status status = ADE_OK;
        FILE      *memory = open_memstream(&out, &size);
        buffer = realloc(buffer, (size_t)length + 1);
        if (!memory || !buffer || fread(buffer, 1, length, stdin) != length) return 1;
        ade__words_begin(&words, &options, (ade_text){buffer, length});
        while (more && status == ADE_OK) {
            size_t kept = words.n < 2 ? words.n : 2; /* as the baseline does, to see that they stay */
            status = ade__words_read(&words, kept, &more);
            for (size_t i = kept; status == ADE_OK && i < words.n; i++, n++) {
                const ade_word *word = &words.items[i];
                const uint32_t  numbers[3] = {word->start, word->end, (uint32_t)word->size};
                uint64_t        hash = ade__word_hash_start();
                for (size_t k = 0; k < word->size; k++) hash = ade__word_hash_add(hash, words.bytes[word->at + k]);
                if (hash != word->hash || fwrite(numbers, 4, 3, memory) != 3 ||
                    fwrite(words.bytes + word->at, 1, word->size, memory) != word->size)
                    return 1;
            }
        }
        fclose(memory);
        if (status != ADE_OK) {
            const uint32_t failed[2] = {UINT32_MAX, (uint32_t)status};
            put(failed, sizeof failed);
        } else {
            put(&n, 4);
            put(out, size);
        }
        free(out);
    }
    ade__words_clear(&words);
    free(buffer);
    return fflush(stdout) ? 1 : 0;
}
