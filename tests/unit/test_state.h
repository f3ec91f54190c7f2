/* SPDX-License-Identifier: Apache-2.0
 * What test_state.c and test_export.c share: a store in a folder of its own, records to put in it, and ways to look at
 * it and at SQLite's memory from outside. */
#ifndef ADE_TEST_STATE_H
#define ADE_TEST_STATE_H

#include "alloc.h"
#include "export.h"
#include "state.h"
#include "status.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"

static char folder[] = "/tmp/adesieve-state-XXXXXX";
static char path[64];

static const ade_state_setting SETTINGS[] = {{"model", "abc"}, {"threshold", "0.5"}};
static const ade_state_setting FACTS[] = {{"version", "0.1.0"}, {"threads", "2"}, {"device", "an \"odd\\\" \xff one"}};
static const ade_state_options OPTIONS = {.settings = SETTINGS, .n_settings = 2, .facts = FACTS, .n_facts = 3};

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static inline bool exists(const char *where, const char *suffix) {
    char        name[600];
    struct stat info;
    snprintf(name, sizeof name, "%s%s", where, suffix);
    return stat(name, &info) == 0;
}

static inline void remove_store(const char *where) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char                     name[600];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", where, suffixes[i]);
        (void)unlink(name);
    }
}

static inline int set_up(void **unused) {
    (void)unused;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/store.sqlite", folder);
    return 0;
}

static inline int clean(void **unused) {
    (void)unused;
    ade__alloc_fail_at(-1);
    remove_store(path);
    return 0;
}

static inline int tear_down(void **unused) {
    (void)unused;
    return rmdir(folder);
}

/* A file on its own. */
static inline ade_status commit_file(ade_state *state, const ade_state_file *file, const char *note) {
    ade_status status = ade__state_end_file(state, file);
    return status ? status : ade__state_commit(state, note);
}

static inline void write_bytes(const char *where, const void *data, size_t size) {
    FILE *file = fopen(where, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* The bytes in hexadecimal; to be freed. */
static inline char *contents(const char *where, const char *suffix) {
    char name[600];
    snprintf(name, sizeof name, "%s%s", where, suffix);
    FILE  *file = fopen(name, "rb");
    size_t size = 0, capacity = 1 << 20;
    char  *out = malloc(capacity * 2 + 1);
    assert_non_null(file);
    assert_non_null(out);
    for (int c; (c = fgetc(file)) != EOF && size < capacity; size++) snprintf(out + 2 * size, 3, "%02x", c);
    out[2 * size] = '\0';
    fclose(file);
    return out;
}

/* ---- SQL from outside -------------------------------------------------------------------------------------------- */

static inline sqlite3 *look(const char *where) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(where, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
    return db;
}

static inline void execute(const char *where, const char *sql) {
    sqlite3 *db = look(where);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL)) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The number that `sql` gives; -1 when it gives none. */
static inline int64_t query(const char *where, const char *sql) {
    sqlite3      *db = look(where);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

/* All rows of all tables; times, paths and later runs (which found nothing to do) apart; to be freed. */
static inline char *dump(const char *where) {
    static const char *const queries[] = {
        "SELECT * FROM settings ORDER BY name", "SELECT * FROM totals ORDER BY name",
        "SELECT id, note, summary FROM runs WHERE id = 1",
        "SELECT id, name, year, number, size, md5, bytes_xml, citations, new_citations, revised, unchanged, "
        "superseded, deleted, sentences, screened, hits, rows, tokens, run FROM files ORDER BY id",
        "SELECT * FROM records ORDER BY pmid", "SELECT * FROM documents ORDER BY pmid",
        "SELECT * FROM hits ORDER BY pmid, sentence", "SELECT * FROM parts ORDER BY pmid, position"};
    sqlite3     *db = look(where);
    sqlite3_str *out = sqlite3_str_new(db);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        sqlite3_stmt *row;
        if (sqlite3_prepare_v2(db, queries[i], -1, &row, NULL)) fail_msg("%s: %s", queries[i], sqlite3_errmsg(db));
        for (int rc; (rc = sqlite3_step(row)) != SQLITE_DONE;) {
            if (rc != SQLITE_ROW) fail_msg("%s: %s", queries[i], sqlite3_errmsg(db));
            for (int c = 0; c < sqlite3_column_count(row); c++) {
                if (sqlite3_column_type(row, c) == SQLITE_BLOB) {
                    const unsigned char *bytes = sqlite3_column_blob(row, c);
                    for (int k = 0; k < sqlite3_column_bytes(row, c); k++) sqlite3_str_appendf(out, "%02x", bytes[k]);
                    sqlite3_str_appendall(out, "|");
                } else {
                    sqlite3_str_appendf(out, "%Q|", sqlite3_column_text(row, c));
                }
            }
            sqlite3_str_appendall(out, "\n");
        }
        sqlite3_finalize(row);
        sqlite3_str_appendall(out, "--\n");
    }
    char *text = sqlite3_str_finish(out), *copy = strdup(text ? text : "");
    sqlite3_free(text);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return copy;
}

/* ---- SQLite's memory --------------------------------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static atomic_long         sqlite_fail_at = -1;

static inline void sqlite_alloc_fail_at(long n) { atomic_store(&sqlite_fail_at, n); }

static inline int must_fail(void) {
    const long left = atomic_load(&sqlite_fail_at);
    if (left > 0) atomic_store(&sqlite_fail_at, left - 1);
    return left == 0;
}
static inline void *failing_malloc(int size) { return must_fail() ? NULL : real_memory.xMalloc(size); }
static inline void *failing_realloc(void *old, int size) {
    return must_fail() ? NULL : real_memory.xRealloc(old, size);
}

/* To be called before anything of SQLite is used. */
static inline void count_sqlite_allocations(void) {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory)) abort();
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = failing_malloc;
    memory.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory)) abort();
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static inline ade_state *open_store(const char *where) {
    ade_state *state = NULL;
    if (ade__state_open(where, &OPTIONS, &state)) {
        fprintf(stderr, "%s\n", ade_last_error());
        abort();
    }
    return state;
}

static inline ade_state_file file_named(int i) {
    static char names[32][32];
    snprintf(names[i], sizeof names[i], "pubmed26n%04d.xml.gz", i);
    return (ade_state_file){.name = names[i], .path = names[i], .numbered = true, .year = 26, .number = (uint64_t)i,
                            .size = 1000 + (uint64_t)i, .mtime = 5 + i, .md5 = "0123", .citations = 3};
}

static inline ade_text text_of(const char *string) { return (ade_text){string, strlen(string)}; }

/* A record of hash version * 1000 + pmid, with `hits` hits of score 0.875 and then a sentence that was not screened. */
static inline ade_status put(ade_state *state, int64_t pmid, int version, int hits) {
    char           title[64], texts[8][64];
    const ade_text types[2] = {text_of("Case Reports"), text_of("Journal Article")};
    const ade_text mesh[1] = {text_of("*Aspirin/adverse effects")};
    float          scores[8];
    snprintf(title, sizeof title, "Title of %lld v%d", (long long)pmid, version);
    ade_screen_record record = {.struct_size = sizeof record, .version = version, .pmid = pmid, .title = text_of(title),
                                .journal = text_of("J"), .date = text_of("2016-05"), .date_revised = text_of(""),
                                .doi = text_of("10.1/x"), .publication_types = {types, 2}, .mesh = {mesh, 1},
                                .mesh_adverse_effects = 1};
    record.n_sentences = hits ? (uint32_t)hits + 1 : 0;
    record.n_screened = record.n_hits = (uint32_t)hits;
    record.score = 0.875;
    record.noisy_or = 0.9;
    for (int i = 0; i < hits; i++) scores[i] = 0.875f;
    scores[hits] = -(float)NAN;
    const ade_state_outcome outcome = {.hash = (uint64_t)version * 1000 + (uint64_t)pmid, .record = &record,
                                       .scores = scores, .best_sentence = hits ? 0 : -1};
    ADE_TRY(ade__state_put_record(state, &outcome));
    for (int i = 0; i < hits; i++) {
        const int size = snprintf(texts[i], sizeof texts[i], "Sentence %d of %lld v%d.", i, (long long)pmid, version);
        ade_screen_row row = {.struct_size = sizeof row, .part = ADE_PART_ABSTRACT, .pmid = pmid, .version = version,
                              .sentence = i, .section = text_of("RESULTS"), .text = {texts[i], (size_t)size},
                              .start = 10, .end = 10 + (uint64_t)size, .start_char = 9, .end_char = 9 + (uint64_t)size,
                              .result = {1, 0.875f, 12, 1, 0, 2}, .hit = 1, .section_index = 3, .source = "x"};
        ADE_TRY(ade__state_put_hit(state, &row, "ADE"));
    }
    if (!hits) return ADE_OK;
    ade_screen_part part = {.struct_size = sizeof part, .part = ADE_PART_TITLE, .pmid = pmid, .version = version,
                            .text = text_of(title)};
    ADE_TRY(ade__state_put_part(state, &part));
    part.part = ADE_PART_ABSTRACT;
    part.section_index = 3;
    part.section = text_of("RESULTS");
    part.text = text_of("          Sentence.");
    return ade__state_put_part(state, &part);
}

static inline ade_status put_same(ade_state *state, int64_t pmid, int version, bool retracted) {
    const ade_screen_record record = {.struct_size = sizeof record, .version = version, .pmid = pmid,
                                      .journal = text_of("Revised"), .retracted = retracted};
    return ade__state_put_unchanged(state, &record);
}

/* Reads all that a store exports. */
static inline ade_status export_everything(const char *where) {
    ade_export         *exported;
    ade_export_document document = ADE_EXPORT_DOCUMENT_INIT;
    ade_export_info     info = ADE_EXPORT_INFO_INIT;
    ADE_TRY(ade__export_open(where, &exported));
    ade_status status = ade__export_get_info(exported, &info);
    while (!status) status = ade__export_next(exported, -1.0, true, &document);
    ade__export_close(exported);
    return status == ADE_END ? ADE_OK : status;
}

#endif
