/* SPDX-License-Identifier: Apache-2.0
 * One read transaction from open to close: what is given belongs to one moment. Each call looks for the next PMID anew,
 * so that threshold and `deleted` may change from call to call and nothing depends on a cursor. */
#include "export.h"

#include "alloc.h"
#include "arena.h"
#include "status.h"
#include "store.h"

#include <locale.h>
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATEMENTS(X)                                                                                                  \
    X(DOCUMENT, "SELECT d.pmid, r.version, f.name, r.n_sentences, r.n_screened, r.score, r.noisy_or, d.title, "        \
                "d.journal, d.date, d.date_revised, d.doi, d.languages, d.publication_types, d.mesh, d.chemicals, "    \
                "d.book, d.retracted, d.mesh_adverse_effects, d.mesh_chemically_induced "                              \
                "FROM documents AS d CROSS JOIN records AS r ON r.pmid = d.pmid CROSS JOIN files AS f "                \
                "ON f.id = r.file WHERE d.pmid >= ? ORDER BY d.pmid LIMIT 1")                                          \
    X(HITS, "SELECT sentence, part, section_index, section, text, start_byte, end_byte, start_char, end_char, "        \
            "label_id, label, score, tokens, unknown, truncated, replaced FROM hits "                                  \
            "WHERE pmid = ? AND score >= ? ORDER BY sentence")                                                         \
    X(PARTS, "SELECT part, section_index, section, text FROM parts WHERE pmid = ? ORDER BY position")                  \
    X(TOMBSTONE, "SELECT r.pmid, r.version, f.name FROM records AS r CROSS JOIN files AS f ON f.id = r.file "          \
                 "WHERE r.deleted = 1 AND r.pmid >= ? ORDER BY r.pmid LIMIT 1")

typedef enum statement_id {
#define ID(name, sql) SQL_##name,
    STATEMENTS(ID)
#undef ID
    N_STATEMENTS
} statement_id;

static const char *const SQL[] = {
#define TEXT(name, sql) sql,
    STATEMENTS(TEXT)
#undef TEXT
};

struct ade_export {
    ade_store         store;
    sqlite3_stmt     *statements[N_STATEMENTS];
    double            threshold;
    int64_t           next; /* the lowest PMID that may come now */
    bool              ended;
    bool              damaged; /* a value was found that no run writes */
    ade_arena         memory; /* of one document; used again for the next */
    ade_screen_record record;
    ade_store_text    settings, runs; /* for ade__export_get_info */
};

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* Cleared memory of the present document. */
static void *take(ade_arena *a, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return ade__malloc(SIZE_MAX); /* says it */
    void *out = ade__arena_get(a, bytes, _Alignof(max_align_t));
    return out ? memset(out, 0, bytes) : NULL;
}

/* ---- Columns ----------------------------------------------------------------------------------------------------- */

/* A column's text, copied; data is NULL where it is NULL. */
static ade_status text_of(ade_export *e, sqlite3_stmt *row, int column, ade_text *out) {
    *out = (ade_text){NULL, 0};
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return ADE_OK;
    const unsigned char *text = sqlite3_column_text(row, column);
    const size_t         size = (size_t)sqlite3_column_bytes(row, column);
    if (!text) return ade__store_fail(&e->store, SQLITE_NOMEM);
    char *copy = take(&e->memory, size + 1, 1);
    if (!copy) return ADE_OUT_OF_MEMORY;
    memcpy(copy, text, size);
    *out = (ade_text){copy, size};
    return ADE_OK;
}

/* The same with "" where it is NULL. */
static ade_status words_of(ade_export *e, sqlite3_stmt *row, int column, ade_text *out) {
    ADE_TRY(text_of(e, row, column, out));
    if (!out->data) *out = (ade_text){"", 0};
    return ADE_OK;
}

static ade_status list_of(ade_export *e, sqlite3_stmt *row, int column, ade_text_list *out) {
    ade_text text;
    *out = (ade_text_list){NULL, 0};
    ADE_TRY(text_of(e, row, column, &text));
    if (!text.data) return ADE_OK;
    size_t n = 1;
    for (size_t i = 0; i < text.size; i++) n += text.data[i] == '\n';
    ade_text *items = take(&e->memory, n, sizeof *items);
    if (!items) return ADE_OUT_OF_MEMORY;
    const char *p = text.data, *end = text.data + text.size;
    for (size_t i = 0; i < n; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        items[i] = (ade_text){p, (size_t)((stop ? stop : end) - p)};
        p = stop ? stop + 1 : end;
    }
    *out = (ade_text_list){items, n};
    return ADE_OK;
}

static int64_t number_within(ade_export *e, sqlite3_stmt *row, int column, int64_t low, int64_t high) {
    const int64_t value = sqlite3_column_int64(row, column);
    if (value >= low && value <= high) return value;
    e->damaged = true;
    return low;
}

static int32_t int_of(ade_export *e, sqlite3_stmt *row, int column) {
    return (int32_t)number_within(e, row, column, INT32_MIN, INT32_MAX);
}
static uint32_t count_of(ade_export *e, sqlite3_stmt *row, int column) {
    return (uint32_t)number_within(e, row, column, 0, UINT32_MAX);
}
static uint64_t offset_of(ade_export *e, sqlite3_stmt *row, int column) {
    return (uint64_t)number_within(e, row, column, 0, INT64_MAX);
}
static double real_of(sqlite3_stmt *row, int column) {
    return sqlite3_column_type(row, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(row, column);
}

static int32_t part_of(ade_export *e, sqlite3_stmt *row, int column) {
    const char *name = (const char *)sqlite3_column_text(row, column);
    if (name && !strcmp(name, "title")) return ADE_PART_TITLE;
    if (name && !strcmp(name, "abstract")) return ADE_PART_ABSTRACT;
    if (name && !strcmp(name, "other_abstract")) return ADE_PART_OTHER_ABSTRACT;
    e->damaged = true;
    return ADE_PART_TITLE;
}

static ade_status check(const ade_export *e) {
    return e->damaged ? ade__store_damaged(&e->store, "it holds a value that no run writes") : ADE_OK;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* The first row of a statement without parameters: sets *found, and the caller finalizes *row. */
static ade_status first_row(const ade_export *e, const char *sql, sqlite3_stmt **row, bool *found) {
    ADE_TRY(ade__store_prepare(&e->store, sql, row));
    const int rc = sqlite3_step(*row);
    *found = rc == SQLITE_ROW;
    if (*found || rc == SQLITE_DONE) return ADE_OK;
    const ade_status status = ade__store_fail(&e->store, rc);
    (void)sqlite3_finalize(*row);
    *row = NULL;
    return status;
}

/* A decimal number as the C locale writes it, whatever the program's locale is. */
static bool parse(const char *text, double *out) {
    const locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) return false;
    const locale_t before = uselocale(c);
    char          *end;
    *out = strtod(text, &end);
    (void)uselocale(before);
    freelocale(c);
    *out = (double)(float)*out; /* scores are floats: a threshold copied from one reaches it */
    return end != text && !*end && isfinite(*out);
}

static ade_status load_threshold(ade_export *e) {
    sqlite3_stmt *row = NULL;
    bool          found;
    ADE_TRY(first_row(e, "SELECT value FROM settings WHERE name = 'threshold'", &row, &found));
    const char *text = found ? (const char *)sqlite3_column_text(row, 0) : NULL;
    ade_status  status = ADE_OK;
    if (!text || !parse(text, &e->threshold)) status = ade__store_damaged(&e->store, "it does not say its threshold");
    (void)sqlite3_finalize(row);
    return status;
}

static ade_status set_up(ade_export *e) {
    ADE_TRY(ade__store_exec(&e->store, "BEGIN"));
    for (int i = 0; i < N_STATEMENTS; i++) ADE_TRY(ade__store_prepare(&e->store, SQL[i], &e->statements[i]));
    return load_threshold(e);
}

ade_status ade__export_open(const char *store, ade_export **out) {
    ade_export *e = ade__calloc(1, sizeof *e);
    bool        empty;
    if (!e) return ADE_OUT_OF_MEMORY;
    e->next = INT64_MIN;
    ade_status status = ade__store_open(store, ADE_STORE_READ, &e->store, &empty);
    if (!status && empty)
        status = ade__fail(ADE_IO, "there is no store %s; give the path that a screening was given", store);
    if (!status) status = set_up(e);
    if (status) {
        ade__export_close(e);
        return status;
    }
    *out = e;
    return ADE_OK;
}

void ade__export_close(ade_export *exported) {
    if (!exported) return;
    if (exported->store.process == (long)getpid())
        for (int i = 0; i < N_STATEMENTS; i++) (void)sqlite3_finalize(exported->statements[i]);
    ade__store_close(&exported->store);
    ade__arena_free(&exported->memory);
    ade__free(exported->settings.data);
    ade__free(exported->runs.data);
    ade__free(exported);
}

/* ---- What the store is ------------------------------------------------------------------------------------------- */

static int add_column(ade_store_text *out, sqlite3_stmt *row, int column) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? ade__store_add_string(out, text) : -1;
}

static int add_setting(ade_store_text *out, sqlite3_stmt *row) {
    return add_column(out, row, 0) || ade__store_add_string(out, ": ") || add_column(out, row, 1) ||
           ade__store_add_string(out, "\n");
}

/* A time as a JSON text, or JSON as it is; null where it is NULL. */
static int add_json(ade_store_text *out, sqlite3_stmt *row, int column, bool quote) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return ade__store_add_string(out, "null");
    const char *text = (const char *)sqlite3_column_text(row, column);
    if (!text) return -1;
    return quote ? ade__store_add_json(out, text) : ade__store_add_string(out, text);
}

static int add_run(ade_store_text *out, sqlite3_stmt *row) {
    const size_t start = out->size;
    if (ade__store_add_string(out, "{\"run\":") || add_column(out, row, 0) ||
        ade__store_add_string(out, ",\"began\":") || add_json(out, row, 1, true) ||
        ade__store_add_string(out, ",\"ended\":") || add_json(out, row, 2, true) ||
        ade__store_add_string(out, ",\"starts\":") || add_json(out, row, 3, false) ||
        ade__store_add_string(out, ",\"summary\":") || add_json(out, row, 4, false) || ade__store_add_string(out, "}"))
        return -1;
    for (size_t i = start; i < out->size; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r') out->data[i] = ' '; /* white space of the client's JSON */
    return ade__store_add_string(out, "\n");
}

static ade_status collect(const ade_export *e, const char *sql, int (*add)(ade_store_text *, sqlite3_stmt *),
                          ade_store_text *out) {
    sqlite3_stmt *row;
    int           rc;
    ade_status    status = ADE_OK;
    out->size = 0;
    if (ade__store_add(out, "", 0)) return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__store_prepare(&e->store, sql, &row));
    while (!status && (rc = sqlite3_step(row)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            status = ade__store_fail(&e->store, rc);
        else if (add(out, row))
            status = ade__fail(ADE_OUT_OF_MEMORY, "out of memory while the store %s was read", e->store.path);
    }
    (void)sqlite3_finalize(row);
    return status;
}

ade_status ade__export_get_info(ade_export *exported, ade_export_info *info) {
    ade_export_info i = {.struct_size = info->struct_size, .threshold = exported->threshold};
    sqlite3_stmt   *row = NULL;
    bool            found;
    ADE_TRY(first_row(exported,
                      "SELECT (SELECT count(*) FROM files), (SELECT value FROM totals WHERE name = 'records'), "
                      "(SELECT value FROM totals WHERE name = 'deleted'), "
                      "(SELECT value FROM totals WHERE name = 'documents'), "
                      "(SELECT value FROM totals WHERE name = 'hits'), "
                      "coalesce((SELECT ended IS NOT NULL FROM runs ORDER BY id DESC LIMIT 1), 0)", &row, &found));
    i.files = offset_of(exported, row, 0);
    i.records = offset_of(exported, row, 1);
    i.deleted = offset_of(exported, row, 2);
    i.documents = offset_of(exported, row, 3);
    i.hits = offset_of(exported, row, 4);
    i.complete = int_of(exported, row, 5);
    (void)sqlite3_finalize(row);
    ADE_TRY(check(exported));
    ADE_TRY(collect(exported, "SELECT name, value FROM settings ORDER BY name", add_setting, &exported->settings));
    ADE_TRY(collect(exported, "SELECT id, began, ended, facts, summary FROM runs ORDER BY id", add_run,
                    &exported->runs));
    i.settings = exported->settings.data;
    i.runs = exported->runs.data;
    *info = i;
    return ADE_OK;
}

/* ---- Documents --------------------------------------------------------------------------------------------------- */

/* Binds and steps a statement; *row: there is one. The caller resets it. */
static ade_status seek(ade_export *e, statement_id id, int64_t pmid, double score, bool *row) {
    sqlite3_stmt *statement = e->statements[id];
    int           rc = sqlite3_bind_int64(statement, 1, pmid);
    if (!rc && id == SQL_HITS) rc = sqlite3_bind_double(statement, 2, score);
    if (!rc) rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    return *row || rc == SQLITE_DONE ? ADE_OK : ade__store_fail(&e->store, rc);
}

static ade_status next_row(ade_export *e, statement_id id, bool *row) {
    const int rc = sqlite3_step(e->statements[id]);
    *row = rc == SQLITE_ROW;
    return *row || rc == SQLITE_DONE ? ADE_OK : ade__store_fail(&e->store, rc);
}

static ade_status read_record(ade_export *e, ade_export_document *d) {
    sqlite3_stmt      *row = e->statements[SQL_DOCUMENT];
    ade_screen_record *r = &e->record;
    ade_text           source;
    *r = (ade_screen_record){.struct_size = sizeof *r};
    r->pmid = sqlite3_column_int64(row, 0);
    r->version = int_of(e, row, 1);
    r->n_sentences = count_of(e, row, 3);
    r->n_screened = count_of(e, row, 4);
    r->score = real_of(row, 5);
    r->noisy_or = real_of(row, 6);
    ADE_TRY(words_of(e, row, 2, &source));
    ADE_TRY(text_of(e, row, 7, &r->title));
    ADE_TRY(words_of(e, row, 8, &r->journal));
    ADE_TRY(words_of(e, row, 9, &r->date));
    ADE_TRY(words_of(e, row, 10, &r->date_revised));
    ADE_TRY(words_of(e, row, 11, &r->doi));
    ADE_TRY(list_of(e, row, 12, &r->languages));
    ADE_TRY(list_of(e, row, 13, &r->publication_types));
    ADE_TRY(list_of(e, row, 14, &r->mesh));
    ADE_TRY(list_of(e, row, 15, &r->chemicals));
    r->book = int_of(e, row, 16);
    r->retracted = int_of(e, row, 17);
    r->mesh_adverse_effects = int_of(e, row, 18);
    r->mesh_chemically_induced = int_of(e, row, 19);
    d->source = source.data;
    d->record = r;
    return ADE_OK;
}

/* A growing array in the arena: the old one stays where it is until the next document. */
static ade_status grow(ade_export *e, void **items, size_t n, size_t *capacity, size_t size) {
    if (n < *capacity) return ADE_OK;
    const size_t wanted = *capacity ? *capacity * 2 : 8;
    void        *grown = take(&e->memory, wanted, size);
    if (!grown) return ADE_OUT_OF_MEMORY;
    if (n) memcpy(grown, *items, n * size);
    *items = grown;
    *capacity = wanted;
    return ADE_OK;
}

/* A hit, with its label's name. */
typedef struct labelled {
    ade_screen_row row;
    ade_text       label;
} labelled;

static ade_status read_hit(ade_export *e, const ade_export_document *d, labelled *hit) {
    sqlite3_stmt   *row = e->statements[SQL_HITS];
    ade_screen_row *r = &hit->row;
    *r = (ade_screen_row){.struct_size = sizeof *r, .pmid = d->record->pmid, .version = d->record->version, .hit = 1};
    r->source = d->source;
    r->calibrated = -1;
    r->sentence = int_of(e, row, 0);
    r->part = part_of(e, row, 1);
    r->section_index = int_of(e, row, 2);
    ADE_TRY(text_of(e, row, 3, &r->section));
    ADE_TRY(text_of(e, row, 4, &r->text));
    r->start = offset_of(e, row, 5);
    r->end = offset_of(e, row, 6);
    r->start_char = offset_of(e, row, 7);
    r->end_char = offset_of(e, row, 8);
    r->result.label = int_of(e, row, 9);
    ADE_TRY(words_of(e, row, 10, &hit->label));
    r->result.score = (float)sqlite3_column_double(row, 11);
    r->result.tokens = int_of(e, row, 12);
    r->result.unknown = int_of(e, row, 13);
    r->result.truncated = int_of(e, row, 14);
    r->result.replaced = int_of(e, row, 15);
    return ADE_OK;
}

static ade_status read_hits(ade_export *e, double threshold, ade_export_document *d) {
    void      *hits = NULL;
    size_t     capacity = 0, n = 0;
    bool       more;
    ade_status status = seek(e, SQL_HITS, d->record->pmid, threshold, &more);
    while (!status && more) {
        if ((status = grow(e, &hits, n, &capacity, sizeof(labelled)))) break;
        if ((status = read_hit(e, d, (labelled *)hits + n))) break;
        n++;
        status = next_row(e, SQL_HITS, &more);
    }
    (void)sqlite3_reset(e->statements[SQL_HITS]);
    if (status) return status;
    ade_screen_row *rows = take(&e->memory, n, sizeof *rows);
    const char    **labels = take(&e->memory, n, sizeof *labels);
    if (!rows || !labels) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        rows[i] = ((labelled *)hits)[i].row;
        labels[i] = ((labelled *)hits)[i].label.data;
    }
    d->rows = rows;
    d->labels = labels;
    d->n_rows = n;
    e->record.n_hits = (uint32_t)n;
    return ADE_OK;
}

static ade_status read_parts(ade_export *e, ade_export_document *d) {
    void      *parts = NULL;
    size_t     capacity = 0, n = 0;
    bool       more;
    ade_status status = seek(e, SQL_PARTS, d->record->pmid, 0.0, &more);
    while (!status && more) {
        if ((status = grow(e, &parts, n, &capacity, sizeof(ade_screen_part)))) break;
        sqlite3_stmt    *row = e->statements[SQL_PARTS];
        ade_screen_part *p = (ade_screen_part *)parts + n;
        *p = (ade_screen_part){.struct_size = sizeof *p, .pmid = d->record->pmid, .version = d->record->version};
        p->source = d->source;
        p->part = part_of(e, row, 0);
        p->section_index = int_of(e, row, 1);
        if ((status = text_of(e, row, 2, &p->section)) || (status = words_of(e, row, 3, &p->text))) break;
        n++;
        status = next_row(e, SQL_PARTS, &more);
    }
    (void)sqlite3_reset(e->statements[SQL_PARTS]);
    d->parts = parts;
    d->n_parts = n;
    return status;
}

static ade_status read_document(ade_export *e, double threshold, ade_export_document *d) {
    ADE_TRY(read_record(e, d));
    ADE_TRY(read_hits(e, threshold, d));
    if (d->n_rows) ADE_TRY(read_parts(e, d));
    return check(e);
}

static ade_status read_tombstone(ade_export *e, ade_export_document *d) {
    sqlite3_stmt *row = e->statements[SQL_TOMBSTONE];
    ade_text      source;
    e->record = (ade_screen_record){.struct_size = sizeof e->record, .pmid = sqlite3_column_int64(row, 0)};
    e->record.version = int_of(e, row, 1);
    ADE_TRY(words_of(e, row, 2, &source));
    d->deleted = 1;
    d->record = &e->record;
    d->source = source.data;
    return check(e);
}

/* The next document or tombstone; d->record stays NULL when there is none. */
static ade_status read_next(ade_export *e, double threshold, bool deleted, ade_export_document *d, int64_t *pmid) {
    bool more, dead = false;
    ADE_TRY(seek(e, SQL_DOCUMENT, e->next, 0.0, &more));
    if (deleted) ADE_TRY(seek(e, SQL_TOMBSTONE, e->next, 0.0, &dead));
    const int64_t alive_pmid = more ? sqlite3_column_int64(e->statements[SQL_DOCUMENT], 0) : 0;
    const int64_t dead_pmid = dead ? sqlite3_column_int64(e->statements[SQL_TOMBSTONE], 0) : 0;
    if (!more && !dead) return ADE_OK;
    if (dead && (!more || dead_pmid < alive_pmid)) {
        *pmid = dead_pmid;
        return read_tombstone(e, d);
    }
    *pmid = alive_pmid;
    return read_document(e, threshold, d);
}

ade_status ade__export_next(ade_export *exported, double threshold, bool deleted, ade_export_document *document) {
    ade_export *e = exported;
    if (isnan(threshold)) return ade__fail(ADE_INVALID_ARGUMENT, "the threshold is not a number");
    threshold = threshold < 0.0 ? e->threshold : (double)(float)threshold;
    if (threshold < e->threshold)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "the threshold %g is lower than that of the store %s, which holds only sentences with a score "
                         "of %g or more; take that or a higher one, or screen again", threshold, e->store.path,
                         e->threshold);
    while (!e->ended) {
        ade_export_document d = {.struct_size = document->struct_size};
        int64_t             pmid = 0;
        ade__arena_clear(&e->memory, SIZE_MAX);
        const double        lowest = threshold > e->threshold ? threshold : -HUGE_VAL; /* what is there is a hit */
        const ade_status    status = read_next(e, lowest, deleted, &d, &pmid);
        (void)sqlite3_reset(e->statements[SQL_DOCUMENT]);
        (void)sqlite3_reset(e->statements[SQL_TOMBSTONE]);
        if (status) return status;
        e->ended = !d.record || pmid == INT64_MAX;
        if (!d.record) break;
        e->next = e->ended ? pmid : pmid + 1;
        if (!d.deleted && !d.n_rows) continue; /* no hit at this threshold */
        *document = d;
        return ADE_OK;
    }
    return ade__fail(ADE_END, "the store %s holds no more records", e->store.path);
}
