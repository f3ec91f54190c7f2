/* SPDX-License-Identifier: Apache-2.0
 * What a row of screen looks like, as JSON, TSV or CSV: of a sentence, of a document, of a deleted record. */
#ifndef CLI_SCREEN_ROWS_H
#define CLI_SCREEN_ROWS_H

#include "adesieve.h"
#include "rows.h"

typedef struct row_shape {
    row_format format;
    int        document; /* one row a record */
    int        no_text;
    int        metadata; /* with what a reviewer needs of the record */
    int        calibrated; /* with the calibrated probability */
} row_shape;

/* The line of column names; nothing for JSON Lines. */
void put_row_header(bytes *out, const row_shape *shape);

/* One row with its line feed. `label` may be NULL. The row must have a record if the shape needs one, and its score
 * must be finite; a row of part ADE_PART_DELETED needs neither. */
void put_screen_row(bytes *out, const row_shape *shape, const ade_screen_row *row, const char *label);

/* A part's text as a JSON object with its line feed. */
void put_screen_part(bytes *out, const ade_screen_part *part);

const char *screen_part_name(int part); /* "title" */

#endif
