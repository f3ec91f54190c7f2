/* SPDX-License-Identifier: Apache-2.0
 * Biomedical text to sentences: spans over the original bytes, in order, that together hold every byte that is not
 * white space. Candidates first (. ! ? and closing brackets or quotes), then one ordered list of named rules. */
#ifndef ADE_SENTENCES_H
#define ADE_SENTENCES_H

#include "adesieve.h"
#include "span.h"

#include <stddef.h>

typedef struct ade_sentences { /* zeroed = empty */
    ade_span *spans; /* owned; reused from call to call */
    size_t    n, capacity;
} ade_sentences;

/* Replaces the contents of *out by the sentences of a text of valid UTF-8 (smaller than 4 GiB). A zeroed struct is a
 * fine start. ADE_OUT_OF_MEMORY; ADE_BAD_INPUT for a text of 4 GiB and more. */
ade_status ade__sentences_split(ade_text text, ade_sentences *out);
void       ade__sentences_free(ade_sentences *sentences);

/* For tests and for a reader who asks why: the name of the rule that decided about the candidate at byte `at`, or NULL
 * when there is no candidate. *boundary is set to 1 or 0. */
const char *ade__sentences_explain(ade_text text, size_t at, int *boundary);

#endif
