/* SPDX-License-Identifier: Apache-2.0
 * Encodes texts for compare_tokenizer.py: records in on stdin, records out on stdout, all integers little-endian u32.
 *     in:   size, bytes
 *     out:  n, ids (n), starts (n), ends (n), unknown, truncated, replaced;  or 0xffffffff and the status
 *     tokenize_stdin VOCAB.txt [lower=0|1] [strip=0|1] [clean=0|1] [chinese=0|1] [max=N] [replace=0|1] [split=0|1]
 *                    [chars=N] [added=FLAGS:CONTENT]...       FLAGS out of w l r n s: single_word, lstrip, rstrip,
 *                    normalized, special */
#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDED 64

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    long  length = -1;
    if (file && !fseek(file, 0, SEEK_END) && (length = ftell(file)) >= 0 && !fseek(file, 0, SEEK_SET) &&
        (bytes = malloc((size_t)length + 1)) && fread(bytes, 1, (size_t)length, file) != (size_t)length)
        length = -1;
    if (file) fclose(file);
    if (length < 0 || !bytes) {
        fprintf(stderr, "tokenize_stdin: cannot read %s\n", path);
        exit(1);
    }
    *size = (size_t)length;
    return bytes;
}

static void write_numbers(const void *numbers, size_t n) {
    if (fwrite(numbers, 4, n, stdout) != n) exit(1);
}

int main(int argc, char **argv) {
    size_t          size, n_vocab = 0, n_added = 0, capacity = 0;
    ade_added_token added[MAX_ADDED];
    if (argc < 2) return 2;
    char     *file = read_file(argv[1], &size), *buffer = NULL;
    ade_text *vocab = malloc((size + 1) * sizeof *vocab);
    if (!vocab) return 1;
    for (char *at = file, *end = file + size; at < end; n_vocab++) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        vocab[n_vocab] = (ade_text){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    ade_tokenizer_config config = {.vocab = vocab,
                                   .n_vocab = n_vocab,
                                   .added = added,
                                   .unk_token = "[UNK]",
                                   .cls_token = "[CLS]",
                                   .sep_token = "[SEP]",
                                   .pad_token = "[PAD]",
                                   .mask_token = "[MASK]",
                                   .continuing_prefix = "##",
                                   .clean_text = true,
                                   .handle_chinese_chars = true,
                                   .max_input_chars_per_word = 100};
    ade_encode_options options = {.max_length = INT32_MAX, .want_offsets = true};
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) return 2;
        *value++ = '\0';
        long number = strtol(value, NULL, 10);
        if (!strcmp(argv[i], "lower")) config.lowercase = number;
        else if (!strcmp(argv[i], "strip")) config.strip_accents = number;
        else if (!strcmp(argv[i], "clean")) config.clean_text = number;
        else if (!strcmp(argv[i], "chinese")) config.handle_chinese_chars = number;
        else if (!strcmp(argv[i], "chars")) config.max_input_chars_per_word = (size_t)number;
        else if (!strcmp(argv[i], "max")) options.max_length = (int32_t)number;
        else if (!strcmp(argv[i], "replace")) options.invalid_utf8 = number ? ADE_INVALID_UTF8_REPLACE : 0;
        else if (!strcmp(argv[i], "split")) options.split_special_tokens = number;
        else if (!strcmp(argv[i], "added") && n_added < MAX_ADDED) {
            char *content = strchr(value, ':');
            if (!content) return 2;
            *content++ = '\0';
            added[n_added++] = (ade_added_token){.content = content,
                                                 .content_size = strlen(content),
                                                 .single_word = strchr(value, 'w'),
                                                 .lstrip = strchr(value, 'l'),
                                                 .rstrip = strchr(value, 'r'),
                                                 .normalized = strchr(value, 'n'),
                                                 .special = strchr(value, 's')};
        } else return 2;
    }
    config.n_added = n_added;
    ade_tokenizer         *tokenizer;
    ade_tokenizer_scratch *scratch;
    if (ade__tokenizer_new(&config, &tokenizer) || ade__tokenizer_scratch_new(tokenizer, &scratch)) {
        fprintf(stderr, "tokenize_stdin: %s\n", ade_last_error());
        return 1;
    }
    uint32_t length;
    while (fread(&length, 4, 1, stdin) == 1) {
        if (length > capacity) {
            free(buffer);
            buffer = malloc(capacity = length);
        }
        if (length && (!buffer || fread(buffer, 1, length, stdin) != length)) return 1;
        ade_encoding encoding;
        ade_text     text = {buffer, length};
        ade_status   status = ade__tokenizer_encode(tokenizer, scratch, text, &options, &encoding);
        if (status) {
            uint32_t failed[2] = {UINT32_MAX, (uint32_t)status};
            write_numbers(failed, 2);
            continue;
        }
        uint32_t n = (uint32_t)encoding.n;
        int32_t  counts[3] = {encoding.unknown, encoding.truncated, encoding.replaced};
        write_numbers(&n, 1);
        write_numbers(encoding.ids, n);
        write_numbers(encoding.starts, n);
        write_numbers(encoding.ends, n);
        write_numbers(counts, 3);
    }
    ade__tokenizer_scratch_free(scratch);
    ade__tokenizer_free(tokenizer);
    free(vocab);
    free(file);
    free(buffer);
    return fflush(stdout) ? 1 : 0;
}
