/* SPDX-License-Identifier: Apache-2.0
 * RIS, for reviewers' screening tools and reference managers: one reference a document. A tag's value stands on one
 * line, lines end as RIS asks (CR LF), and notes say what was found. */
#include "export_format.h"

#include "exit_status.h"
#include "export_text.h"

#include <string.h>

static void begin_tag(bytes *out, const char *tag) {
    put_literal(out, tag);
    put_literal(out, "  - ");
}

static void end_tag(bytes *out) { put_literal(out, "\r\n"); }

static void put_tag(bytes *out, const char *tag, ade_text value) {
    if (value.size == 0) return;
    begin_tag(out, tag);
    put_plain(out, value.data, value.size);
    end_tag(out);
}

/* A keyword must not hold a star, by which the lists of MeSH mark a major topic: before the heading or a qualifier. */
static void put_keyword(bytes *out, ade_text value) {
    size_t from = 0;
    if (value.size == 0) return;
    begin_tag(out, "KW");
    for (size_t i = 0; i <= value.size; i++)
        if (i == value.size || (value.data[i] == '*' && (i == 0 || value.data[i - 1] == '/'))) {
            put_plain(out, value.data + from, i - from);
            from = i + 1;
        }
    end_tag(out);
}

/* "2016-05-31" gives the year and, where there is more, "2016/05/31". */
static void put_date(bytes *out, ade_text date) {
    ade_text year = {date.data, date.size < 4 ? date.size : 4};
    put_tag(out, "PY", year);
    if (date.size < 7) return;
    begin_tag(out, "DA");
    put_plain(out, date.data, 4);
    put_literal(out, "/");
    put_plain(out, date.data + 5, 2);
    put_literal(out, "/");
    if (date.size >= 10) put_plain(out, date.data + 8, 2);
    put_literal(out, "/\r\n"); /* behind the last stroke there is room for a season */
}

static void put_languages(bytes *out, const ade_text_list *languages) {
    if (languages->n == 0) return;
    begin_tag(out, "LA"); /* once: readers know no second one */
    for (size_t i = 0; i < languages->n; i++) {
        if (i > 0) put_literal(out, "; ");
        put_plain(out, languages->items[i].data, languages->items[i].size);
    }
    end_tag(out);
}

static void put_abstract(bytes *out, const ade_export_document *document) {
    int begun = 0;
    for (size_t i = 0; i < document->n_parts; i++) {
        const ade_screen_part *part = &document->parts[i];
        if (part->part == ADE_PART_TITLE || part->text.size == 0) continue;
        if (begun)
            put_literal(out, " ");
        else
            begin_tag(out, "AB");
        begun = 1;
        if (part->section.size > 0) {
            put_plain(out, part->section.data, part->section.size);
            put_literal(out, ": ");
        }
        put_plain(out, part->text.data, part->text.size);
    }
    if (begun) end_tag(out);
}

/* The title stands in the record; in a store that was made by parts alone, in the first of these. */
static ade_text title_of(const ade_export_document *document) {
    ade_text title = document->record->title;
    for (size_t i = 0; i < document->n_parts && title.size == 0; i++)
        if (document->parts[i].part == ADE_PART_TITLE) title = document->parts[i].text;
    return title;
}

static void put_notes(bytes *out, const ade_export_document *document, double threshold) {
    size_t best = 0;
    for (size_t i = 1; i < document->n_rows; i++)
        if (document->rows[i].result.score > document->rows[best].result.score) best = i;
    if (document->n_rows > 0) {
        begin_tag(out, "N1");
        put_literal(out, "adesieve: score ");
        put_float(out, document->rows[best].result.score);
        put_literal(out, "; ");
        put_unsigned(out, document->n_rows);
        put_literal(out, document->n_rows == 1 ? " sentence at or above " : " sentences at or above ");
        put_float(out, (float)threshold);
        end_tag(out);
        begin_tag(out, "N1");
        put_literal(out, "adesieve, best sentence: ");
        put_plain(out, document->rows[best].text.data, document->rows[best].text.size);
        end_tag(out);
    }
    if (document->record->retracted) {
        begin_tag(out, "N1");
        put_literal(out, "adesieve: this publication was retracted");
        end_tag(out);
    }
}

int export_ris_put(bytes *out, const ade_export_document *document, double threshold) {
    const ade_screen_record *record = document->record;
    ade_text                 title = title_of(document);
    int                      whole_book = record->book && (title.size == 0 || (title.size == record->journal.size &&
                                                          memcmp(title.data, record->journal.data, title.size) == 0));
    begin_tag(out, "TY");
    put_literal(out, !record->book ? "JOUR\r\n" : whole_book ? "BOOK\r\n" : "CHAP\r\n");
    put_tag(out, "TI", title.size == 0 && whole_book ? record->journal : title);
    if (!whole_book) put_tag(out, "T2", record->journal);
    if (!record->book) put_tag(out, "JO", record->journal);
    put_date(out, record->date);
    put_abstract(out, document);
    put_tag(out, "DO", record->doi);
    put_languages(out, &record->languages);
    for (size_t i = 0; i < record->publication_types.n; i++) put_keyword(out, record->publication_types.items[i]);
    for (size_t i = 0; i < record->mesh.n; i++) put_keyword(out, record->mesh.items[i]);
    begin_tag(out, "DB");
    put_literal(out, "PubMed\r\n");
    begin_tag(out, "AN");
    put_integer(out, record->pmid);
    end_tag(out);
    begin_tag(out, "UR");
    put_literal(out, "https://pubmed.ncbi.nlm.nih.gov/");
    put_integer(out, record->pmid);
    put_literal(out, "/\r\n");
    put_notes(out, document, threshold);
    put_literal(out, "ER  - \r\n");
    return CLI_OK;
}
