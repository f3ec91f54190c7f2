/* SPDX-License-Identifier: Apache-2.0
 * A document as one text, in which annotation tools count. */
#include "export_text.h"

#include "exit_status.h"
#include "messages.h"
#include "utf8_check.h"

#include <string.h>

/* The length of a character at text[0] that ends a line for some program, or is a control character; 0 = another one.
 */
static size_t control(const unsigned char *text, size_t size) {
    if (text[0] < 0x20 || text[0] == 0x7f) return 1;
    if (size >= 2 && text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0) return 2; /* U+0080 to U+009F */
    if (size >= 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9)) return 3;
    return 0;
}

void put_plain(bytes *out, const char *text, size_t size) {
    size_t from = out->size, to = from;
    put_valid_utf8(out, text, size);
    if (out->failed) return;
    while (from < out->size) { /* the result is never longer */
        size_t length = control((const unsigned char *)out->data + from, out->size - from);
        out->data[to++] = length > 0 ? ' ' : out->data[from];
        from += length > 0 ? length : 1;
    }
    out->size = to;
}

const char *export_type(const ade_export_document *document, size_t index) {
    const char *label = document->labels ? document->labels[index] : NULL;
    return label && *label ? label : "hit";
}

static int damaged(const ade_export_document *document, const char *what) {
    say(SAY_ERROR, "PMID %lld: %s; the store is damaged.", (long long)document->record->pmid, what);
    say(SAY_HINT, "screen again into a new store");
    return CLI_FAILED;
}

/* The part that row `row` is from; n_parts when there is none. */
static size_t find_part(const ade_export_document *document, const ade_screen_row *row) {
    for (size_t i = 0; i < document->n_parts; i++)
        if (document->parts[i].part == row->part && document->parts[i].section_index == row->section_index) return i;
    return document->n_parts;
}

int export_text_put(bytes *out, const ade_export_document *document, int plain, export_span *spans) {
    uint64_t length = 0; /* code points so far */
    for (size_t r = 0; r < document->n_rows; r++) {
        const ade_screen_row *row = &document->rows[r];
        size_t                p = find_part(document, row);
        const ade_text       *text = p < document->n_parts ? &document->parts[p].text : NULL;
        if (!text || row->start >= row->end || row->end > text->size || row->text.size != row->end - row->start ||
            memcmp(text->data + row->start, row->text.data, row->text.size) != 0)
            return damaged(document, "a hit is not where it should be in the record's texts");
    }
    for (size_t p = 0; p < document->n_parts; p++) {
        const ade_screen_part *part = &document->parts[p];
        const ade_text        *pieces[2] = {&part->section, &part->text};
        if (part->text.size == 0) continue;
        if (length > 0) {
            put_literal(out, "\n");
            length++;
        }
        for (int i = 0; i < 2; i++) {
            if (pieces[i]->size == 0) continue;
            if (utf8_valid_prefix(pieces[i]->data, pieces[i]->size) != pieces[i]->size)
                return damaged(document, "a text is not UTF-8");
            if (i == 1)
                for (size_t r = 0; r < document->n_rows; r++) {
                    const ade_screen_row *row = &document->rows[r];
                    if (find_part(document, row) != p) continue;
                    spans[r].begin = length + utf8_count(part->text.data, row->start);
                    spans[r].end = spans[r].begin + utf8_count(part->text.data + row->start, row->end - row->start);
                }
            if (plain)
                put_plain(out, pieces[i]->data, pieces[i]->size);
            else
                put_raw(out, pieces[i]->data, pieces[i]->size);
            length += utf8_count(pieces[i]->data, pieces[i]->size);
            if (i == 0) {
                put_literal(out, ": ");
                length += 2;
            }
        }
    }
    return CLI_OK;
}
