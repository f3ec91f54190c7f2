/* SPDX-License-Identifier: Apache-2.0
 * What a row of screen looks like. A table has a list of columns; JSON has the same names in the same order, without
 * `deleted`, for a deleted record is an object of its own kind. */
#include "screen_rows.h"

#include <string.h>

const char *screen_part_name(int part) {
    switch (part) {
    case ADE_PART_TITLE: return "title";
    case ADE_PART_OTHER_ABSTRACT: return "other_abstract";
    default: return "abstract";
    }
}

/* ---- Columns ---- */

typedef enum column_id {
    PMID,
    VERSION,
    SCORE, /* of the sentence */
    DOCUMENT_SCORE,
    CALIBRATED,
    NOISY_OR,
    HITS,
    SENTENCES,
    PART,
    SECTION,
    SENTENCE,
    START,
    END,
    LABEL,
    TRUNCATED,
    DELETED,
    SOURCE,
    TEXT,
    DATE,
    JOURNAL,
    DOI,
    LANGUAGES,
    PUBLICATION_TYPES,
    RETRACTED,
    MESH_ADVERSE_EFFECTS,
    MESH_CHEMICALLY_INDUCED,
    MESH,
    CHEMICALS
} column_id;

static const char *const column_names[] = {
    [PMID] = "pmid",
    [VERSION] = "version",
    [SCORE] = "score",
    [DOCUMENT_SCORE] = "score",
    [CALIBRATED] = "calibrated",
    [NOISY_OR] = "noisy_or",
    [HITS] = "hits",
    [SENTENCES] = "sentences",
    [PART] = "part",
    [SECTION] = "section",
    [SENTENCE] = "sentence",
    [START] = "start",
    [END] = "end",
    [LABEL] = "label",
    [TRUNCATED] = "truncated",
    [DELETED] = "deleted",
    [SOURCE] = "source",
    [TEXT] = "text",
    [DATE] = "date",
    [JOURNAL] = "journal",
    [DOI] = "doi",
    [LANGUAGES] = "languages",
    [PUBLICATION_TYPES] = "publication_types",
    [RETRACTED] = "retracted",
    [MESH_ADVERSE_EFFECTS] = "mesh_adverse_effects",
    [MESH_CHEMICALLY_INDUCED] = "mesh_chemically_induced",
    [MESH] = "mesh",
    [CHEMICALS] = "chemicals",
};

/* JSON has the text where a reader looks for it; a table has it behind the narrow columns. */
static const column_id sentence_json[] = {PMID, VERSION, PART,  SECTION, SENTENCE,  START,
                                          END,  TEXT,    LABEL, SCORE,   TRUNCATED, SOURCE};
static const column_id sentence_table[] = {PMID,  VERSION, PART,      SECTION, SENTENCE, START, END,
                                           LABEL, SCORE,   TRUNCATED, DELETED, SOURCE,   TEXT};
static const column_id document_json[] = {PMID,    VERSION,  DOCUMENT_SCORE, NOISY_OR, HITS, SENTENCES, PART,
                                          SECTION, SENTENCE, START,          END,      TEXT, SOURCE};
static const column_id document_table[] = {PMID,    VERSION,  DOCUMENT_SCORE, NOISY_OR, HITS,    SENTENCES, PART,
                                           SECTION, SENTENCE, START,          END,      DELETED, SOURCE,    TEXT};
static const column_id metadata_columns[] = {
    DATE, JOURNAL,  DOI, LANGUAGES, PUBLICATION_TYPES, RETRACTED, MESH_ADVERSE_EFFECTS, MESH_CHEMICALLY_INDUCED,
    MESH, CHEMICALS};

enum { MOST_COLUMNS = 32 };

/* The columns of a shape, in order; returns how many. */
static size_t columns_of(const row_shape *shape, column_id columns[MOST_COLUMNS]) {
#define TAKE(list) (from = list, count = sizeof list / sizeof list[0])
    const column_id *from;
    size_t           count, n = 0;
    if (shape->format == ROWS_JSONL)
        (void)(shape->document ? TAKE(document_json) : TAKE(sentence_json));
    else
        (void)(shape->document ? TAKE(document_table) : TAKE(sentence_table));
    for (size_t i = 0; i < count; i++) {
        if (from[i] != TEXT || !shape->no_text) columns[n++] = from[i];
        if (shape->calibrated && (from[i] == SCORE || from[i] == DOCUMENT_SCORE)) columns[n++] = CALIBRATED;
    }
    TAKE(metadata_columns);
    for (size_t i = 0; i < count && shape->metadata; i++) columns[n++] = from[i];
    return n;
#undef TAKE
}

void put_row_header(bytes *out, const row_shape *shape) {
    column_id columns[MOST_COLUMNS];
    size_t    count = columns_of(shape, columns);
    if (shape->format == ROWS_JSONL) return;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) put_separator(out, shape->format);
        put_literal(out, column_names[columns[i]]);
    }
    put_literal(out, "\n");
}

/* ---- Values ---- */

/* A text that may be missing: null, or an empty field. */
static void put_text(bytes *out, row_format format, ade_text text) {
    if (format != ROWS_JSONL)
        put_field(out, format, text.data, text.size);
    else if (text.data)
        put_json_string(out, text.data, text.size);
    else
        put_literal(out, "null");
}

static void put_c_text(bytes *out, row_format format, const char *text) {
    put_text(out, format, (ade_text){text, text ? strlen(text) : 0});
}

/* Missing when it is empty. */
static void put_some_text(bytes *out, row_format format, ade_text text) {
    put_text(out, format, text.size > 0 ? text : (ade_text){NULL, 0});
}

static void put_list(bytes *out, row_format format, const ade_text_list *list) {
    bytes joined = {0};
    if (format == ROWS_JSONL) {
        put_literal(out, "[");
        for (size_t i = 0; i < list->n; i++) {
            if (i > 0) put_literal(out, ",");
            put_json_string(out, list->items[i].data, list->items[i].size);
        }
        put_literal(out, "]");
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        const ade_text *item = &list->items[i];
        if (i > 0) put_literal(&joined, "|");
        for (size_t at = 0; at < item->size; at++) {
            if (item->data[at] == '|' || item->data[at] == '\\') put_literal(&joined, "\\");
            put_raw(&joined, item->data + at, 1);
        }
    }
    put_field(out, format, joined.data, joined.size);
    if (joined.failed) out->failed = 1;
    bytes_free(&joined);
}

static void put_flag(bytes *out, int value) { put_literal(out, value ? "true" : "false"); }

/* A document without any screened sentence has no best one. */
static int has_no_value(const ade_screen_row *row, column_id column) {
    static const column_id of_sentence[] = {DOCUMENT_SCORE, CALIBRATED, NOISY_OR, PART, SECTION, SENTENCE, START, END, TEXT};
    for (size_t i = 0; row->sentence < 0 && i < sizeof of_sentence / sizeof of_sentence[0]; i++)
        if (of_sentence[i] == column) return 1;
    return 0;
}

static void put_value(bytes *out, row_format format, column_id column, const ade_screen_row *row, const char *label) {
    const ade_screen_record *record = row->record;
    switch (column) {
    case PMID: put_integer(out, row->pmid); break;
    case VERSION: put_integer(out, row->version); break;
    case SCORE: put_float(out, row->result.score); break;
    case DOCUMENT_SCORE: put_float(out, (float)record->score); break;
    case CALIBRATED: put_double(out, row->calibrated); break; /* of a document: of its best sentence */
    case NOISY_OR: put_double(out, record->noisy_or); break;
    case HITS: put_unsigned(out, record->n_hits); break;
    case SENTENCES: put_unsigned(out, record->n_sentences); break;
    case PART: put_c_text(out, format, screen_part_name(row->part)); break;
    case SECTION: put_text(out, format, row->section); break;
    case SENTENCE: put_integer(out, row->sentence); break;
    case START: put_unsigned(out, row->start_char); break;
    case END: put_unsigned(out, row->end_char); break;
    case LABEL: put_c_text(out, format, label); break;
    case TRUNCATED: put_flag(out, row->result.truncated); break;
    case DELETED: put_flag(out, 0); break;
    case SOURCE: put_c_text(out, format, row->source); break;
    case TEXT: put_text(out, format, (ade_text){row->text.data ? row->text.data : "", row->text.size}); break;
    case DATE: put_some_text(out, format, record->date); break;
    case JOURNAL: put_some_text(out, format, record->journal); break;
    case DOI: put_some_text(out, format, record->doi); break;
    case LANGUAGES: put_list(out, format, &record->languages); break;
    case PUBLICATION_TYPES: put_list(out, format, &record->publication_types); break;
    case RETRACTED: put_flag(out, record->retracted); break;
    case MESH_ADVERSE_EFFECTS: put_flag(out, record->mesh_adverse_effects); break;
    case MESH_CHEMICALLY_INDUCED: put_flag(out, record->mesh_chemically_induced); break;
    case MESH: put_list(out, format, &record->mesh); break;
    case CHEMICALS: put_list(out, format, &record->chemicals); break;
    }
}

static void put_deleted(bytes *out, const row_shape *shape, const ade_screen_row *row) {
    column_id columns[MOST_COLUMNS];
    size_t    count = columns_of(shape, columns);
    if (shape->format == ROWS_JSONL) {
        put_literal(out, "{\"pmid\":");
        put_integer(out, row->pmid);
        put_literal(out, ",\"deleted\":true,\"source\":");
        put_json_text(out, row->source);
        put_literal(out, "}\n");
        return;
    }
    for (size_t i = 0; i < count; i++) { /* columns that it has no value for stay empty */
        if (i > 0) put_separator(out, shape->format);
        if (columns[i] == PMID || columns[i] == SOURCE) put_value(out, shape->format, columns[i], row, NULL);
        if (columns[i] == DELETED) put_flag(out, 1);
    }
    put_literal(out, "\n");
}

void put_screen_row(bytes *out, const row_shape *shape, const ade_screen_row *row, const char *label) {
    column_id columns[MOST_COLUMNS];
    size_t    count;
    if (row->part == ADE_PART_DELETED) {
        put_deleted(out, shape, row);
        return;
    }
    count = columns_of(shape, columns);
    for (size_t i = 0; i < count; i++) {
        if (shape->format == ROWS_JSONL) {
            put_literal(out, i > 0 ? ",\"" : "{\"");
            put_literal(out, column_names[columns[i]]);
            put_literal(out, "\":");
        } else if (i > 0) {
            put_separator(out, shape->format);
        }
        if (has_no_value(row, columns[i]))
            put_text(out, shape->format, (ade_text){NULL, 0});
        else
            put_value(out, shape->format, columns[i], row, label);
    }
    put_literal(out, shape->format == ROWS_JSONL ? "}\n" : "\n");
}

void put_screen_part(bytes *out, const ade_screen_part *part) {
    put_literal(out, "{\"pmid\":");
    put_integer(out, part->pmid);
    put_literal(out, ",\"version\":");
    put_integer(out, part->version);
    put_literal(out, ",\"part\":");
    put_json_text(out, screen_part_name(part->part));
    put_literal(out, ",\"section\":");
    put_text(out, ROWS_JSONL, part->section);
    put_literal(out, ",\"section_index\":");
    put_integer(out, part->section_index);
    put_literal(out, ",\"text\":");
    put_json_string(out, part->text.data, part->text.size);
    put_literal(out, ",\"source\":");
    put_json_text(out, part->source);
    put_literal(out, "}\n");
}
