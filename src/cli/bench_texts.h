/* SPDX-License-Identifier: Apache-2.0
 * The texts that bench measures with. */
#ifndef CLI_BENCH_TEXTS_H
#define CLI_BENCH_TEXTS_H

#include "engine.h"
#include "text_run.h"

typedef struct bench_texts {
    ade_text *texts; /* (count); NULL before bench_texts_read or bench_texts_make */
    size_t    count;
    int       made; /* 1: by chance from the model's vocabulary */
    int       cut;  /* 1: the inputs hold more */
    /* inside */
    bytes   data;
    size_t *ends; /* (count) */
    size_t  capacity;
} bench_texts;

/* Reads the inputs that `wanted` names, but no more than bench can use. Returns an exit status; what went wrong has been
 * said. CLI_PARTIAL: some inputs failed. */
int bench_texts_read(bench_texts *out, const settings *wanted);

/* Makes texts of the vocabulary's tokens, always the same for one vocabulary, with the lengths that sentences of MEDLINE
 * have. */
int bench_texts_make(bench_texts *out, const engine *used);

void bench_texts_free(bench_texts *of);

#endif
