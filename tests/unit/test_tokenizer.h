/* SPDX-License-Identifier: Apache-2.0
 * What the tokenizer's tests share: files, vocabularies, and encoding of a text that ends where its memory ends. */
#ifndef TEST_TOKENIZER_H
#define TEST_TOKENIZER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "status.h"
#include "tokenizer.h"
#include "tokenizer_internal.h"

#ifndef ADE_TEST_DATA_DIR
#define ADE_TEST_DATA_DIR "tests/data"
#endif

/* A whole file, with a NUL behind it; ends the test when it cannot be read. */
static inline char *read_file(const char *folder, const char *name, size_t *size) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    bytes[*size] = '\0';
    return bytes;
}

static inline const char *data_folder(void) {
    const char *folder = getenv("ADE_TEST_DATA");
    return folder ? folder : ADE_TEST_DATA_DIR;
}

/* Lines of a text, without copying; returns their number. */
static inline size_t split_lines(char *text, size_t size, ade_text **lines) {
    size_t n = 0, capacity = 1024;
    *lines = malloc(capacity * sizeof **lines);
    for (char *at = text, *end = text + size; at < end; n++) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (n == capacity) *lines = realloc(*lines, (capacity *= 2) * sizeof **lines);
        (*lines)[n] = (ade_text){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    return n;
}

static inline ade_tokenizer_config plain_config(const ade_text *vocab, size_t n, bool lowercase) {
    return (ade_tokenizer_config){.vocab = vocab,
                                  .n_vocab = n,
                                  .unk_token = "[UNK]",
                                  .cls_token = "[CLS]",
                                  .sep_token = "[SEP]",
                                  .pad_token = "[PAD]",
                                  .mask_token = "[MASK]",
                                  .continuing_prefix = "##",
                                  .clean_text = true,
                                  .handle_chinese_chars = true,
                                  .strip_accents = lowercase,
                                  .lowercase = lowercase,
                                  .max_input_chars_per_word = 100};
}

/* vocab: "cased" or "uncased". */
static inline ade_tokenizer *bert_tokenizer(const char *vocab, bool lowercase, const ade_added_token *added,
                                            size_t n_added) {
    char           name[64];
    size_t         size, n;
    ade_text      *lines;
    ade_tokenizer *tokenizer;
    snprintf(name, sizeof name, "vocab/bert-base-%s-vocab.txt", vocab);
    char *file = read_file(data_folder(), name, &size);
    n = split_lines(file, size, &lines);
    ade_tokenizer_config config = plain_config(lines, n, lowercase);
    config.added = added;
    config.n_added = n_added;
    if (ade__tokenizer_new(&config, &tokenizer)) fail_msg("%s", ade_last_error());
    free(lines);
    free(file);
    return tokenizer;
}

/* Encodes a copy that ends where its memory ends, so that reading too far is noticed. */
static inline ade_status encode(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, const char *text,
                                size_t size, const ade_encode_options *options, ade_encoding *out) {
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    ade_status status = ade__tokenizer_encode(tokenizer, scratch, (ade_text){size ? copy : NULL, size}, options, out);
    free(copy);
    return status;
}

#endif
