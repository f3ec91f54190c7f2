/* SPDX-License-Identifier: Apache-2.0
 * Any bytes: ids in range, offsets in order and inside; replacing invalid UTF-8 = the strict mode on a text in which it
 * was replaced before. The first byte chooses the options. */
#include "fuzz.h"

#include "model.h"
#include "tokenizer.h"

typedef struct result {
    int32_t *ids;
    size_t   n;
    int32_t  replaced, truncated;
} result;

static ade_status encode(const ade_tokenizer *tokenizer, ade_tokenizer_scratch *scratch, const char *data, size_t size,
                         const ade_encode_options *options, result *out) {
    ade_encoding e;
    ade_status   status = ade__tokenizer_encode(tokenizer, scratch, (ade_text){data, size}, options, &e);
    if (status != ADE_OK) {
        FAILED_WELL(status);
        return status;
    }
    HOLDS(e.n >= 2 && e.n <= (size_t)options->max_length && e.unknown >= 0 && (size_t)e.unknown <= e.n);
    out->ids = malloc(e.n * sizeof *out->ids);
    if (!out->ids) abort();
    memcpy(out->ids, e.ids, e.n * sizeof *out->ids);
    out->n = e.n;
    out->replaced = e.replaced;
    out->truncated = e.truncated;
    for (size_t i = 0; i < e.n; i++) HOLDS(e.ids[i] >= 0 && e.ids[i] < ade__tokenizer_size(tokenizer));
    if (options->want_offsets)
        for (size_t i = 1; i + 1 < e.n; i++) {
            HOLDS(e.starts[i] <= e.ends[i] && e.ends[i] <= size);
            if (i > 1) HOLDS(e.starts[i] >= e.starts[i - 1] && e.ends[i] >= e.ends[i - 1]);
        }
    return ADE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ade_model             *model;
    static ade_tokenizer_scratch *scratch;
    if (!model) {
        if (ade__model_open(ADE_TEST_DATA_DIR "/tiny_bert_cls", NULL, &model) != ADE_OK) abort();
        if (ade__tokenizer_scratch_new(model->tokenizer.tokenizer, &scratch) != ADE_OK) abort();
    }
    uint8_t            choice = size ? data[0] : 0;
    const char        *text = (const char *)data + (size ? 1 : 0);
    size_t             n = size ? size - 1 : 0, clean_size, parts;
    ade_encode_options options = {choice & 2 ? 512 : choice & 4 ? 3 : 17, ADE_INVALID_UTF8_ERROR, choice & 1, choice & 8};
    char              *clean = fuzz_sanitize((const uint8_t *)text, n, &clean_size, &parts);
    result             strict = {0}, replaced = {0}, cleaned = {0};
    ade_status         status = encode(model->tokenizer.tokenizer, scratch, text, n, &options, &strict);
    HOLDS(status == (parts ? ADE_BAD_INPUT : ADE_OK));
    HOLDS(encode(model->tokenizer.tokenizer, scratch, clean, clean_size, &options, &cleaned) == ADE_OK);
    options.invalid_utf8 = ADE_INVALID_UTF8_REPLACE;
    HOLDS(encode(model->tokenizer.tokenizer, scratch, text, n, &options, &replaced) == ADE_OK);
    HOLDS((size_t)replaced.replaced == parts && cleaned.replaced == 0);
    HOLDS(replaced.n == cleaned.n && memcmp(replaced.ids, cleaned.ids, cleaned.n * sizeof *cleaned.ids) == 0);
    HOLDS(replaced.truncated == cleaned.truncated);
    if (status == ADE_OK)
        HOLDS(strict.n == cleaned.n && memcmp(strict.ids, cleaned.ids, cleaned.n * sizeof *cleaned.ids) == 0);
    free(strict.ids), free(replaced.ids), free(cleaned.ids), free(clean);
    return 0;
}
