/* SPDX-License-Identifier: Apache-2.0
 * PubAnnotation's JSON: a document's text, a denotation for each hit, and its score as an attribute. One object a line:
 * PubAnnotation takes a file of them by the name .jsonl, and a run of any length can be written and read as a stream.
 */
#include "export_format.h"

#include "exit_status.h"
#include "export_text.h"
#include "messages.h"

#include <stdlib.h>

static void put_id(bytes *out, const char *before, char letter, size_t index) {
    put_literal(out, before);
    put_raw(out, &letter, 1);
    put_unsigned(out, index + 1);
    put_literal(out, "\"");
}

int export_pubannotation_put(bytes *out, const ade_export_document *document) {
    export_span *spans = calloc(document->n_rows + 1, sizeof *spans);
    bytes        text = {0};
    int          status = CLI_FAILED;
    if (spans) status = export_text_put(&text, document, 0, spans);
    if (!spans || text.failed) {
        say(SAY_ERROR, "out of memory while a document was made.");
        status = CLI_FAILED;
    }
    if (status == CLI_OK) {
        put_literal(out, "{\"sourcedb\":\"PubMed\",\"sourceid\":\"");
        put_integer(out, document->record->pmid);
        put_literal(out, "\",\"text\":");
        put_json_string(out, text.data, text.size);
        put_literal(out, ",\"denotations\":[");
        for (size_t i = 0; i < document->n_rows; i++) {
            put_id(out, i > 0 ? ",{\"id\":\"" : "{\"id\":\"", 'T', i);
            put_literal(out, ",\"span\":{\"begin\":");
            put_unsigned(out, spans[i].begin);
            put_literal(out, ",\"end\":");
            put_unsigned(out, spans[i].end);
            put_literal(out, "},\"obj\":");
            put_json_text(out, export_type(document, i));
            put_literal(out, "}");
        }
        put_literal(out, "],\"attributes\":[");
        for (size_t i = 0; i < document->n_rows; i++) {
            put_id(out, i > 0 ? ",{\"id\":\"" : "{\"id\":\"", 'A', i);
            put_id(out, ",\"subj\":\"", 'T', i);
            put_literal(out, ",\"pred\":\"score\",\"obj\":");
            put_float(out, document->rows[i].result.score);
            put_literal(out, "}");
        }
        put_literal(out, "]}\n");
    }
    bytes_free(&text);
    free(spans);
    return status;
}
