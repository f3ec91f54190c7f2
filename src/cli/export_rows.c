/* SPDX-License-Identifier: Apache-2.0
 * A store's hits, documents and deletions as the rows that screen writes of them. */
#include "export_format.h"

#include "exit_status.h"
#include "screen_rows.h"

static row_shape shape_of(const settings *wanted) {
    row_shape shape = {(row_format)wanted->format, wanted->document, wanted->no_text, wanted->metadata, 0};
    return shape;
}

void export_rows_header(bytes *out, const settings *wanted) {
    row_shape shape = shape_of(wanted);
    put_row_header(out, &shape);
}

int export_rows_put(bytes *out, const settings *wanted, const ade_export_document *document) {
    const ade_screen_record *record = document->record;
    row_shape                shape = shape_of(wanted);
    size_t                   best = 0;
    if (document->deleted) {
        ade_screen_row row = ADE_SCREEN_ROW_INIT;
        row.part = ADE_PART_DELETED;
        row.pmid = record->pmid;
        row.version = record->version;
        row.source = document->source;
        put_screen_row(out, &shape, &row, NULL);
        return CLI_OK;
    }
    for (size_t i = 1; i < document->n_rows; i++)
        if (document->rows[i].result.score > document->rows[best].result.score) best = i;
    for (size_t i = shape.document ? best : 0; i < document->n_rows; i++) {
        const char    *label = document->labels ? document->labels[i] : NULL;
        ade_screen_row row = document->rows[i];
        row.record = record;
        row.source = document->source;
        put_screen_row(out, &shape, &row, label && *label ? label : NULL); /* a regression model has none */
        if (shape.document) break;
    }
    return CLI_OK;
}
