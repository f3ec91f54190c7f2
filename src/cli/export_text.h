/* SPDX-License-Identifier: Apache-2.0
 * A document as one text, in which annotation tools count: the title, then each section on a line of its own, with its
 * label before it ("RESULTS: "), as PubAnnotation has the texts of PubMed. */
#ifndef CLI_EXPORT_TEXT_H
#define CLI_EXPORT_TEXT_H

#include "adesieve.h"
#include "rows.h"

typedef struct export_span {
    uint64_t begin, end; /* in code points of the text */
} export_span;

/* Appends the text of `document` to `out`, without a final line feed, and sets spans (n_rows): where each hit stands in
 * it. With `plain`, what some programs take for the end of a line becomes a space, one for one, so that only the line
 * feeds between parts are left. Says what is wrong, such as a hit that is not in the texts, and returns CLI_FAILED. */
int export_text_put(bytes *out, const ade_export_document *document, int plain, export_span *spans);

/* Appends `text` as one line: each control character, line or paragraph separator becomes a space, each invalid part
 * U+FFFD. As many code points as before. */
void put_plain(bytes *out, const char *text, size_t size);

/* The name of what row `index` is: its label; "hit" for a model without labels. */
const char *export_type(const ade_export_document *document, size_t index);

#endif
