/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include "alloc.h"
#include "schema.h"
#include "status.h"
#include "store.h"

#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Columns of a record in the order of put_document. */
#define DOCUMENT_COLUMNS                                                                               \
    "journal, date, date_revised, doi, languages, publication_types, mesh, chemicals, book, retracted, " \
    "mesh_adverse_effects, mesh_chemically_induced"

#define STATEMENTS(X)                                                                                                  \
    X(FIND, "SELECT version, hash, file, deleted FROM records WHERE pmid = ?")                                         \
    X(PRIOR, "SELECT deleted, n_hits FROM records WHERE pmid = ?")                                                     \
    X(PUT_RECORD, "INSERT OR REPLACE INTO records (pmid, version, hash, file, deleted, n_sentences, n_screened, "      \
                  "n_hits, score, noisy_or, best_sentence, scores) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)")       \
    X(PUT_TOMBSTONE, "INSERT OR REPLACE INTO records (pmid, version, file, deleted, n_sentences, n_screened, n_hits) " \
                     "VALUES (?, ?, ?, 1, 0, 0, 0)")                                                                   \
    X(UPDATE_RECORD, "UPDATE records SET version = ?, file = ? WHERE pmid = ?")                                        \
    X(PUT_DOCUMENT, "INSERT INTO documents (pmid, title, " DOCUMENT_COLUMNS ") "                                       \
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                               \
    X(UPDATE_DOCUMENT, "UPDATE documents SET (" DOCUMENT_COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "           \
                       "WHERE pmid = ?")                                                                               \
    X(PUT_HIT, "INSERT INTO hits (pmid, sentence, part, section_index, section, text, start_byte, end_byte, "          \
               "start_char, end_char, label_id, label, score, tokens, unknown, truncated, replaced) "                  \
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                           \
    X(PUT_PART, "INSERT INTO parts (pmid, position, part, section_index, section, text) VALUES (?, ?, ?, ?, ?, ?)")    \
    X(DROP_DOCUMENT, "DELETE FROM documents WHERE pmid = ?")                                                           \
    X(DROP_HITS, "DELETE FROM hits WHERE pmid = ?")                                                                    \
    X(DROP_PARTS, "DELETE FROM parts WHERE pmid = ?")                                                                  \
    X(FILES, "SELECT name, path, year, number, size, mtime, md5, bytes_xml, citations, new_citations, revised, "       \
             "unchanged, superseded, deleted, sentences, screened, hits, rows, tokens, id FROM files WHERE name = ? "  \
             "ORDER BY id DESC")                                                                                       \
    X(MOVE_FILE, "UPDATE files SET path = ?, mtime = ? WHERE id = ?")                                                  \
    X(PUT_FILE, "INSERT INTO files (name, year, number, size, run) VALUES (?, ?, ?, ?, ?)")                            \
    X(UPDATE_FILE, "UPDATE files SET path = ?, size = ?, mtime = ?, md5 = ?, bytes_xml = ?, citations = ?, "           \
                   "new_citations = ?, revised = ?, unchanged = ?, superseded = ?, deleted = ?, sentences = ?, "       \
                   "screened = ?, hits = ?, rows = ?, tokens = ?, done_at = ? WHERE id = ?")                           \
    X(TOTAL, "SELECT value FROM totals WHERE name = ?")                                                                \
    X(PUT_TOTAL, "INSERT OR REPLACE INTO totals (name, value) VALUES (?, ?)")                                          \
    X(NOTE, "UPDATE runs SET note = ? WHERE id = ?")                                                                   \
    X(END, "UPDATE runs SET ended = ?, summary = ? WHERE id = ?")                                                      \
    X(SUM_RUN, "SELECT count(*), sum(bytes_xml), sum(citations), sum(new_citations), sum(revised), sum(unchanged), "   \
               "sum(superseded), sum(deleted), sum(sentences), sum(screened), sum(hits), sum(rows), sum(tokens) "       \
               "FROM files WHERE run = ?")                                                                              \
    X(BEGIN, "BEGIN")                                                                                                  \
    X(COMMIT, "COMMIT")

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

typedef enum total { RECORDS, DELETED, DOCUMENTS, HITS, N_TOTALS } total;
static const char *const TOTAL_NAMES[N_TOTALS] = {"records", "deleted", "documents", "hits"};

/* Where a file stands; kept in memory, so that to find a record is one look into one table. */
typedef struct place {
    int64_t  id; /* ascending */
    bool     numbered;
    uint64_t year, number;
} place;

struct ade_state {
    ade_store     store;
    bool          read_only, nothing; /* nothing: a dry run without a store */
    sqlite3_stmt *statements[N_STATEMENTS];
    int64_t       run;
    char         *note;
    place        *places;
    size_t        n_places, places_capacity;
    char        **strings; /* handed out by ade__state_file_done */
    size_t        n_strings, strings_capacity;

    /* Held for each statement, from its first bind to its reset, and for what a statement's values go to: `places` too.
     * So a find can come between two puts, or waits for a COMMIT. */
    pthread_mutex_t lock;

    bool           begun; /* a transaction is open */
    size_t         places_committed;
    /* The file that is being written. */
    bool           writing;
    ade_status     failed; /* a write failed: SQLite may have rolled back, so nothing more may be written */
    int64_t        file;
    int64_t        totals[N_TOTALS], committed[N_TOTALS];
    int64_t        pmid; /* of the record whose hits and parts follow */
    uint32_t       hits_due;
    bool           parts_allowed;
    int64_t        parts;
    unsigned char *scores;
    size_t         scores_capacity;
    ade_store_text lists[4];
};

/* ---- Statements -------------------------------------------------------------------------------------------------- */

/* Binds the parameters of a statement one after the other; keeps the first fault. Texts must live until the step. */
typedef struct binder {
    sqlite3_stmt *statement;
    int           index, rc;
} binder;

static binder use(ade_state *state, statement_id id) { return (binder){.statement = state->statements[id]}; }

static void bind_int(binder *b, int64_t value) {
    if (!b->rc) b->rc = sqlite3_bind_int64(b->statement, ++b->index, value);
}

static void bind_real(binder *b, double value) { /* NaN becomes NULL */
    if (!b->rc) b->rc = sqlite3_bind_double(b->statement, ++b->index, value);
}

static void bind_null(binder *b) {
    if (!b->rc) b->rc = sqlite3_bind_null(b->statement, ++b->index);
}

static void bind_text(binder *b, ade_text text) { /* data NULL becomes NULL */
    if (!text.data)
        bind_null(b);
    else if (!b->rc)
        b->rc = sqlite3_bind_text64(b->statement, ++b->index, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_string(binder *b, const char *text) { bind_text(b, (ade_text){text, text ? strlen(text) : 0}); }

/* What a file says nothing of is NULL for whoever queries the store. */
static void bind_metadata(binder *b, ade_text text) { bind_text(b, text.size ? text : (ade_text){NULL, 0}); }

/* Hands `status` on; what went wrong has been said by now, from what SQLite knew before this. */
static ade_status end_statement(const binder *b, ade_status status) {
    (void)sqlite3_reset(b->statement);
    (void)sqlite3_clear_bindings(b->statement);
    return status;
}

/* Runs a statement that gives no rows. The lock is held. */
static ade_status run(ade_state *state, binder *b) {
    int rc = b->rc;
    if (!rc) rc = sqlite3_step(b->statement);
    return end_statement(b, rc == SQLITE_DONE ? ADE_OK : ade__store_fail(&state->store, rc));
}

/* Steps a statement that gives rows: sets *row. The caller resets it by end_statement. The lock is held. */
static ade_status step(ade_state *state, binder *b, bool *row) {
    int rc = b->rc;
    if (!rc) rc = sqlite3_step(b->statement);
    *row = rc == SQLITE_ROW;
    return *row || rc == SQLITE_DONE ? ADE_OK : ade__store_fail(&state->store, rc);
}

static void lock(ade_state *state) { (void)pthread_mutex_lock(&state->lock); }
static void unlock(ade_state *state) { (void)pthread_mutex_unlock(&state->lock); }

static void now(char out[32]) {
    const time_t seconds = time(NULL);
    struct tm    t;
    if (!gmtime_r(&seconds, &t) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t)) out[0] = '\0';
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static ade_status add_place(ade_state *state, place p) {
    if (ade__reserve(&state->places, &state->places_capacity, state->n_places + 1, sizeof p)) return ADE_OUT_OF_MEMORY;
    state->places[state->n_places++] = p;
    return ADE_OK;
}

static const place *find_place(const ade_state *state, int64_t id) {
    size_t low = 0, high = state->n_places;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (state->places[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < state->n_places && state->places[low].id == id ? &state->places[low] : NULL;
}

/* Calls `each` for the rows of a statement that is used once; *user is its own. */
typedef ade_status (*row_fn)(ade_state *state, sqlite3_stmt *row, void *user);
static ade_status for_each(ade_state *state, const char *sql, row_fn each, void *user) {
    binder b = {0};
    bool   more = false;
    ADE_TRY(ade__store_prepare(&state->store, sql, &b.statement));
    ade_status status;
    while (!(status = step(state, &b, &more)) && more)
        if ((status = each(state, b.statement, user))) break;
    (void)sqlite3_finalize(b.statement);
    return status;
}

static ade_status load_place(ade_state *state, sqlite3_stmt *row, void *user) {
    (void)user;
    return add_place(state, (place){.id = sqlite3_column_int64(row, 0),
                                    .numbered = sqlite3_column_type(row, 1) != SQLITE_NULL,
                                    .year = (uint64_t)sqlite3_column_int64(row, 1),
                                    .number = (uint64_t)sqlite3_column_int64(row, 2)});
}

static ade_status create(ade_state *state, const ade_state_options *options) {
    char marks[96];
    for (size_t i = 0; i < sizeof ade__schema / sizeof *ade__schema; i++)
        ADE_TRY(ade__store_exec(&state->store, ade__schema[i]));
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d", ADE_STORE_APPLICATION,
             ADE_STORE_VERSION);
    ADE_TRY(ade__store_exec(&state->store, marks));
    binder b = {0};
    ADE_TRY(ade__store_prepare(&state->store, "INSERT INTO settings (name, value) VALUES (?, ?)", &b.statement));
    ade_status status = ADE_OK;
    for (size_t i = 0; i < options->n_settings && !status; i++) {
        b.index = 0;
        bind_string(&b, options->settings[i].name);
        bind_string(&b, options->settings[i].value);
        status = run(state, &b);
    }
    (void)sqlite3_finalize(b.statement);
    return status;
}

/* Settings that differ, collected for one sentence. */
typedef struct comparison {
    const ade_state_options *options;
    bool                    *met;     /* (n_settings): the store has it */
    ade_state               *state;
    ade_store_text           text;
    size_t                   left_out;
} comparison;

/* " (NAME)", the fact "SETTING name" of the store's last run; "" where it has none, as in an older store, or where it
 * cannot be read: it only makes a sentence clearer. */
static void put_stored_name(ade_state *state, const char *setting, char out[80]) {
    char   path[96];
    binder b = {0};
    out[0] = '\0';
    snprintf(path, sizeof path, "$[#-1].\"%s name\"", setting);
    if (ade__store_prepare(&state->store, "SELECT json_extract(facts, ?) FROM runs WHERE id = (SELECT max(id) FROM "
                                          "runs) AND json_valid(facts)",
                           &b.statement))
        return;
    bind_string(&b, path);
    bool        found = false;
    const char *name = !step(state, &b, &found) && found ? (const char *)sqlite3_column_text(b.statement, 0) : NULL;
    if (name && *name) snprintf(out, 80, " (%.70s)", name);
    (void)sqlite3_finalize(b.statement);
}

static void put_own_name(const ade_state_options *options, const char *setting, char out[80]) {
    const size_t size = strlen(setting);
    out[0] = '\0';
    for (size_t i = 0; i < options->n_facts; i++) {
        const ade_state_setting *fact = &options->facts[i];
        if (!strncmp(fact->name, setting, size) && !strcmp(fact->name + size, " name") && *fact->value)
            snprintf(out, 80, " (%.70s)", fact->value);
    }
}

/* A value is named whole, unless it is too long for an error text. */
static ade_status differs(comparison *c, const char *name, const char *theirs, const char *ours) {
    char        text[640], their_name[80] = "", our_name[80] = "";
    const char *quote_theirs = theirs ? "\"" : "", *quote_ours = ours ? "\"" : "";
    if (theirs) put_stored_name(c->state, name, their_name);
    if (ours) put_own_name(c->options, name, our_name);
    snprintf(text, sizeof text, "%s%s is %s%.180s%s%s there and %s%.180s%s%s in this run", c->text.size ? "; " : "",
             name, quote_theirs, theirs ? theirs : "not set", quote_theirs, their_name, quote_ours,
             ours ? ours : "not set", quote_ours, our_name);
    if (c->text.size + strlen(text) > 1200) { /* the error text holds 2 KiB, and the cure comes last */
        c->left_out++;
        return ADE_OK;
    }
    return ade__store_add_string(&c->text, text) ? ADE_OUT_OF_MEMORY : ADE_OK;
}

static ade_status compare_setting(ade_state *state, sqlite3_stmt *row, void *user) {
    comparison *c = user;
    const char *name = (const char *)sqlite3_column_text(row, 0), *value = (const char *)sqlite3_column_text(row, 1);
    if (!name || !value) return ade__store_fail(&state->store, SQLITE_NOMEM);
    for (size_t i = 0; i < c->options->n_settings; i++) {
        const ade_state_setting *ours = &c->options->settings[i];
        if (strcmp(ours->name, name)) continue;
        c->met[i] = true;
        return strcmp(ours->value, value) ? differs(c, name, value, ours->value) : ADE_OK;
    }
    return state->read_only ? ADE_OK : differs(c, name, value, NULL); /* a dry run need not know them all */
}

static ade_status compare_settings(ade_state *state, const ade_state_options *options) {
    comparison c = {.state = state, .options = options, .met = ade__calloc(options->n_settings, sizeof(bool))};
    if (!c.met) return ADE_OUT_OF_MEMORY;
    ade_status status = for_each(state, "SELECT name, value FROM settings ORDER BY name", compare_setting, &c);
    for (size_t i = 0; i < options->n_settings && !status; i++)
        if (!c.met[i]) status = differs(&c, options->settings[i].name, NULL, options->settings[i].value);
    if (!status && c.text.size) {
        char more[64] = "";
        if (c.left_out) snprintf(more, sizeof more, "; and %zu more", c.left_out);
        status = ade__fail(ADE_UNSUPPORTED,
                           "the store %s was made with other settings: %s%s; run with the store's settings, or give "
                           "another store", state->store.path, c.text.data, more);
    }
    ade__free(c.text.data);
    ade__free(c.met);
    return status;
}

/* One start of a run: {"began":..,"name":"value",..}. */
static int add_facts(ade_store_text *text, const char *began, const ade_state_options *options) {
    int failed = ade__store_add_string(text, "{\"began\":") || ade__store_add_json(text, began);
    for (size_t i = 0; i < options->n_facts && !failed; i++)
        failed = ade__store_add_string(text, ",") || ade__store_add_json(text, options->facts[i].name) ||
                 ade__store_add_string(text, ":") || ade__store_add_json(text, options->facts[i].value);
    return failed || ade__store_add_string(text, "}]");
}

typedef struct last_run {
    ade_store_text facts;
} last_run;

/* Of the last run, if it was not completed. */
static ade_status load_run(ade_state *state, sqlite3_stmt *row, void *user) {
    last_run   *last = user;
    const char *facts = (const char *)sqlite3_column_text(row, 1);
    size_t      size = facts ? (size_t)sqlite3_column_bytes(row, 1) : 0;
    state->run = sqlite3_column_int64(row, 0);
    if (size && facts[size - 1] == ']' && ade__store_add(&last->facts, facts, size - 1)) return ADE_OUT_OF_MEMORY;
    if (sqlite3_column_type(row, 2) == SQLITE_NULL) return ADE_OK;
    const char *note = (const char *)sqlite3_column_text(row, 2);
    if (!note) return ade__store_fail(&state->store, SQLITE_NOMEM);
    state->note = ade__strdup(note);
    return state->note ? ADE_OK : ADE_OUT_OF_MEMORY;
}

static ade_status begin_run(ade_state *state, const ade_state_options *options) {
    last_run last = {0};
    char     began[32];
    binder   b = {0};
    now(began);
    ade_status status = for_each(state, "SELECT id, facts, note FROM runs WHERE id = (SELECT max(id) FROM runs) AND "
                                        "ended IS NULL", load_run, &last);
    if (status || state->read_only) goto done;
    if (ade__store_add_string(&last.facts, last.facts.size ? "," : "[") || add_facts(&last.facts, began, options)) {
        status = ADE_OUT_OF_MEMORY;
        goto done;
    }
    const bool new_one = state->run == 0;
    status = ade__store_prepare(&state->store,
                                new_one ? "INSERT INTO runs (facts, began) VALUES (?, ?)"
                                        : "UPDATE runs SET facts = ? WHERE id = ?", &b.statement);
    if (status) goto done;
    bind_text(&b, (ade_text){last.facts.data, last.facts.size});
    if (new_one)
        bind_string(&b, began);
    else
        bind_int(&b, state->run);
    status = run(state, &b);
    (void)sqlite3_finalize(b.statement);
    if (!status && new_one) state->run = sqlite3_last_insert_rowid(state->store.db);
done:
    ade__free(last.facts.data);
    return status;
}

static ade_status load_totals(ade_state *state) {
    for (int i = 0; i < N_TOTALS; i++) {
        binder b = use(state, SQL_TOTAL);
        bool   found;
        bind_string(&b, TOTAL_NAMES[i]);
        const ade_status status = step(state, &b, &found);
        if (!status && found) state->committed[i] = sqlite3_column_int64(b.statement, 0);
        (void)end_statement(&b, ADE_OK);
        if (status) return status;
        state->totals[i] = state->committed[i];
    }
    return ADE_OK;
}

static ade_status set_up(ade_state *state, const ade_state_options *options, bool empty) {
    if (!state->read_only) ADE_TRY(ade__store_exec(&state->store, "BEGIN IMMEDIATE"));
    if (empty) ADE_TRY(create(state, options));
    for (int i = 0; i < N_STATEMENTS; i++) ADE_TRY(ade__store_prepare(&state->store, SQL[i], &state->statements[i]));
    ADE_TRY(compare_settings(state, options));
    ADE_TRY(begin_run(state, options));
    ADE_TRY(load_totals(state));
    ADE_TRY(for_each(state, "SELECT id, year, number FROM files ORDER BY id", load_place, NULL));
    return state->read_only ? ADE_OK : ade__store_exec(&state->store, "COMMIT");
}

ade_status ade__state_open(const char *path, const ade_state_options *options, ade_state **out) {
    ade_state *state = ade__calloc(1, sizeof *state);
    bool       empty;
    if (!state) return ADE_OUT_OF_MEMORY;
    state->read_only = options->read_only;
    const ade_status opened =
        ade__store_open(path, options->read_only ? ADE_STORE_READ : ADE_STORE_RUN, &state->store, &empty);
    if (opened) {
        ade__free(state);
        return opened;
    }
    (void)pthread_mutex_init(&state->lock, NULL); /* of the plain kind, which needs no resources */
    state->nothing = state->read_only && empty;
    const ade_status status = state->nothing ? ADE_OK : set_up(state, options, empty);
    if (status) {
        ade__state_close(state);
        return status;
    }
    *out = state;
    return ADE_OK;
}

void ade__state_close(ade_state *state) {
    if (!state) return;
    if (state->store.process == (long)getpid())
        for (int i = 0; i < N_STATEMENTS; i++) (void)sqlite3_finalize(state->statements[i]);
    ade__store_close(&state->store); /* rolls back */
    for (size_t i = 0; i < state->n_strings; i++) ade__free(state->strings[i]);
    for (size_t i = 0; i < sizeof state->lists / sizeof *state->lists; i++) ade__free(state->lists[i].data);
    ade__free(state->strings);
    ade__free(state->places);
    ade__free(state->scores);
    ade__free(state->note);
    (void)pthread_mutex_destroy(&state->lock);
    ade__free(state);
}

const char *ade__state_note(const ade_state *state) { return state->note; }

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* A column's text, kept as long as the state; `none` where it is NULL. */
static ade_status keep(ade_state *state, sqlite3_stmt *row, int column, const char *none, const char **out) {
    *out = none;
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return ADE_OK;
    const char *text = (const char *)sqlite3_column_text(row, column);
    if (!text) return ade__store_fail(&state->store, SQLITE_NOMEM);
    if (ade__reserve(&state->strings, &state->strings_capacity, state->n_strings + 1, sizeof *state->strings))
        return ADE_OUT_OF_MEMORY;
    char *copy = ade__strdup(text);
    if (!copy) return ADE_OUT_OF_MEMORY;
    state->strings[state->n_strings++] = copy;
    *out = copy;
    return ADE_OK;
}

static ade_status load_file(ade_state *state, sqlite3_stmt *row, ade_state_file *file) {
    ade_state_file f = {.numbered = sqlite3_column_type(row, 2) != SQLITE_NULL};
    ADE_TRY(keep(state, row, 0, "", &f.name));
    ADE_TRY(keep(state, row, 1, "", &f.path));
    ADE_TRY(keep(state, row, 6, "", &f.md5));
    f.mtime = sqlite3_column_int64(row, 5);
    uint64_t *const numbers[] = {&f.bytes_xml, &f.citations,  &f.new_citations, &f.revised,   &f.unchanged,
                                 &f.superseded, &f.deleted,   &f.sentences,     &f.screened,  &f.hits,
                                 &f.rows,      &f.tokens};
    f.year = (uint64_t)sqlite3_column_int64(row, 2);
    f.number = (uint64_t)sqlite3_column_int64(row, 3);
    f.size = (uint64_t)sqlite3_column_int64(row, 4);
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        *numbers[i] = (uint64_t)sqlite3_column_int64(row, 7 + i);
    *file = f;
    return ADE_OK;
}

/* The time of last change of a file known by its sum is remembered, so that a copied baseline is summed only once. */
static ade_status move_file(ade_state *state, int64_t id, const char *path, int64_t mtime) {
    binder b = use(state, SQL_MOVE_FILE);
    bind_string(&b, path);
    bind_int(&b, mtime);
    bind_int(&b, id);
    return run(state, &b);
}

ade_status ade__state_file_done(ade_state *state, const char *name, const char *path, uint64_t size, int64_t mtime,
                                const char *md5, bool *done, bool *need_md5, ade_state_file *file) {
    bool    found = false, same_size = false, moved = false, more;
    int64_t  id = 0;
    uint32_t earlier = 0;
    if (state->nothing) {
        *done = false;
        file->earlier = 0;
        if (need_md5) *need_md5 = false;
        return ADE_OK;
    }
    lock(state);
    binder b = use(state, SQL_FILES);
    bind_string(&b, name);
    ade_status status;
    while (!(status = step(state, &b, &more)) && more) { /* the last one first */
        earlier++;
        if (found) continue;
        const char *known = (const char *)sqlite3_column_text(b.statement, 6);
        const bool  equal_size = (uint64_t)sqlite3_column_int64(b.statement, 4) == size;
        const char *old_path = (const char *)sqlite3_column_text(b.statement, 1);
        const bool  equal_mtime = mtime != 0 && sqlite3_column_int64(b.statement, 5) == mtime && old_path &&
                                 !strcmp(old_path, path); /* times are alike by design in some archives and images */
        const bool  equal_md5 = md5 && *md5 && known && !strcmp(known, md5);
        id = sqlite3_column_int64(b.statement, 19);
        same_size = same_size || (equal_size && known);
        /* A sum that differs outweighs the time. */
        found = equal_md5 || (equal_size && equal_mtime && !(md5 && *md5 && known));
        moved = found && !equal_mtime && mtime != 0;
        if (found) earlier = 0;
        if (found && (status = load_file(state, b.statement, file))) break;
    }
    status = end_statement(&b, status);
    if (!status && moved && !state->read_only && !state->failed) status = move_file(state, id, path, mtime);
    unlock(state);
    if (status) return status;
    file->earlier = earlier;
    *done = found;
    if (need_md5) *need_md5 = !found && same_size && !(md5 && *md5);
    return ADE_OK;
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

ade_status ade__state_find(ade_state *state, int64_t pmid, ade_state_record *record) {
    ade_state_record r = {0};
    if (state->nothing) {
        *record = r;
        return ADE_OK;
    }
    lock(state);
    binder b = use(state, SQL_FIND);
    bind_int(&b, pmid);
    ade_status status = step(state, &b, &r.known);
    if (!status && r.known) {
        const int64_t version = sqlite3_column_int64(b.statement, 0);
        const place  *p = find_place(state, sqlite3_column_int64(b.statement, 2));
        r.version = (int32_t)version;
        r.hash = (uint64_t)sqlite3_column_int64(b.statement, 1);
        r.deleted = sqlite3_column_int64(b.statement, 3) != 0;
        if (!p)
            status = ade__store_damaged(&state->store, "a record names a file that is not there");
        else if (r.version != version)
            status = ade__store_damaged(&state->store, "a record has an impossible version");
        else
            r.numbered = p->numbered, r.year = p->year, r.number = p->number;
    }
    status = end_statement(&b, status);
    unlock(state);
    if (!status) *record = r;
    return status;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* SQLite's integers have 63 bits and a sign. */
static bool fits(const uint64_t *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (values[i] > INT64_MAX) return false;
    return true;
}

static ade_status misuse(const ade_state *state, const char *what) {
    return ade__fail(ADE_INTERNAL, "the store %s: %s; please report this fault of adesieve", state->store.path, what);
}

/* Whether a record may be written now; the one before it must be whole. */
static ade_status ready(const ade_state *state) {
    if (!state->writing) return misuse(state, "nothing can be written outside a file");
    if (state->failed) return misuse(state, "a write failed before, and the file was not rolled back");
    return state->hits_due ? misuse(state, "a record has fewer hits than it says") : ADE_OK;
}

static ade_status wrote(ade_state *state, ade_status status) {
    if (status) state->failed = status;
    return status;
}

ade_status ade__state_begin_file(ade_state *state, const ade_state_file *file) {
    const uint64_t limits[] = {file->size, file->year};
    if (state->read_only) return misuse(state, "it was opened for reading only");
    if (state->writing) return misuse(state, "a file was begun within a file");
    if (!fits(limits, 2)) return misuse(state, "a file's size is impossible");
    if (state->failed) return misuse(state, "a write failed before, and was not rolled back");
    lock(state);
    binder     b = use(state, SQL_BEGIN);
    ade_status status = state->begun ? ADE_OK : run(state, &b);
    if (!status) {
        if (!state->begun) state->places_committed = state->n_places;
        state->begun = true;
        b = use(state, SQL_PUT_FILE);
        bind_string(&b, file->name);
        if (file->numbered) {
            bind_int(&b, (int64_t)file->year);
            bind_int(&b, (int64_t)file->number);
        } else {
            bind_null(&b);
            bind_null(&b);
        }
        bind_int(&b, (int64_t)file->size);
        bind_int(&b, state->run);
        status = run(state, &b);
        if (!status) {
            state->file = sqlite3_last_insert_rowid(state->store.db);
            status = add_place(state, (place){.id = state->file,
                                              .numbered = file->numbered,
                                              .year = file->numbered ? file->year : 0,
                                              .number = file->numbered ? file->number : 0});
        }
    }
    unlock(state);
    if (status) return wrote(state, status);
    state->writing = true;
    state->hits_due = 0;
    state->parts_allowed = false;
    return ADE_OK;
}

/* What `records` has of a PMID. The lock is held, here and below. */
static ade_status look_up(ade_state *state, int64_t pmid, bool *known, bool *deleted, int64_t *hits) {
    binder b = use(state, SQL_PRIOR);
    bind_int(&b, pmid);
    ade_status status = step(state, &b, known);
    *deleted = !status && *known && sqlite3_column_int64(b.statement, 0) != 0;
    *hits = !status && *known ? sqlite3_column_int64(b.statement, 1) : 0;
    return end_statement(&b, status);
}

/* Takes away what is known of a PMID beside its row in `records`, which the caller replaces. */
static ade_status drop(ade_state *state, int64_t pmid) {
    bool    known, deleted;
    int64_t hits;
    ADE_TRY(look_up(state, pmid, &known, &deleted, &hits));
    if (!known) return ADE_OK;
    state->totals[deleted ? DELETED : RECORDS]--;
    if (!hits) return ADE_OK;
    for (statement_id id = SQL_DROP_DOCUMENT; id <= SQL_DROP_PARTS; id++) {
        binder b = use(state, id);
        bind_int(&b, pmid);
        ADE_TRY(run(state, &b));
    }
    state->totals[DOCUMENTS]--;
    state->totals[HITS] -= hits;
    return ADE_OK;
}

/* One item a line; a line feed within one (the reader leaves none) would make two of it. NULL data = an empty list. */
static ade_status join(ade_store_text *out, ade_text_list list, ade_text *text) {
    out->size = 0;
    *text = (ade_text){NULL, 0};
    for (size_t i = 0; i < list.n; i++) {
        const size_t start = out->size + (i > 0);
        if ((i && ade__store_add(out, "\n", 1)) || ade__store_add(out, list.items[i].data, list.items[i].size))
            return ADE_OUT_OF_MEMORY;
        for (size_t k = start; k < out->size; k++)
            if (out->data[k] == '\n') out->data[k] = ' ';
    }
    if (list.n) *text = (ade_text){out->data, out->size};
    return ADE_OK;
}

/* Binds DOCUMENT_COLUMNS. */
static ade_status bind_document(ade_state *state, binder *b, const ade_screen_record *record) {
    const ade_text_list lists[4] = {record->languages, record->publication_types, record->mesh, record->chemicals};
    ade_text            texts[4];
    for (int i = 0; i < 4; i++) ADE_TRY(join(&state->lists[i], lists[i], &texts[i]));
    bind_metadata(b, record->journal);
    bind_metadata(b, record->date);
    bind_metadata(b, record->date_revised);
    bind_metadata(b, record->doi);
    for (int i = 0; i < 4; i++) bind_text(b, texts[i]);
    bind_int(b, record->book != 0);
    bind_int(b, record->retracted != 0);
    bind_int(b, record->mesh_adverse_effects != 0);
    bind_int(b, record->mesh_chemically_induced != 0);
    return ADE_OK;
}

/* Scores as stored: the same bytes on every machine, also for NaN. */
static ade_status pack(ade_state *state, const float *scores, size_t n) {
    if (ade__reserve(&state->scores, &state->scores_capacity, n, 4)) return ADE_OUT_OF_MEMORY;
    unsigned char *out = state->scores;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = UINT32_C(0x7fc00000);
        if (!isnan(scores[i])) memcpy(&bits, &scores[i], sizeof bits);
        for (int k = 0; k < 4; k++) *out++ = (unsigned char)(bits >> (8 * k));
    }
    return ADE_OK;
}

static ade_status put_record(ade_state *state, const ade_state_outcome *outcome) {
    const ade_screen_record *record = outcome->record;
    ADE_TRY(drop(state, record->pmid));
    if (outcome->scores) ADE_TRY(pack(state, outcome->scores, record->n_sentences));
    binder b = use(state, SQL_PUT_RECORD);
    bind_int(&b, record->pmid);
    bind_int(&b, record->version);
    bind_int(&b, (int64_t)outcome->hash); /* all 64 bits; half of them are shown as negative */
    bind_int(&b, state->file);
    bind_int(&b, record->n_sentences);
    bind_int(&b, record->n_screened);
    bind_int(&b, record->n_hits);
    bind_real(&b, record->n_screened ? record->score : (double)NAN);
    bind_real(&b, record->n_screened ? record->noisy_or : (double)NAN);
    if (outcome->best_sentence >= 0)
        bind_int(&b, outcome->best_sentence);
    else
        bind_null(&b);
    if (!outcome->scores || !record->n_sentences)
        bind_null(&b);
    else if (!b.rc)
        b.rc = sqlite3_bind_blob64(b.statement, ++b.index, state->scores, (sqlite3_uint64)record->n_sentences * 4,
                                   SQLITE_STATIC);
    ADE_TRY(run(state, &b));
    state->totals[RECORDS]++;
    if (record->n_hits) {
        b = use(state, SQL_PUT_DOCUMENT);
        bind_int(&b, record->pmid);
        bind_text(&b, record->title);
        ADE_TRY(bind_document(state, &b, record));
        ADE_TRY(run(state, &b));
        state->totals[DOCUMENTS]++;
        state->totals[HITS] += record->n_hits;
    }
    state->pmid = record->pmid;
    state->hits_due = record->n_hits;
    state->parts_allowed = record->n_hits > 0;
    state->parts = 0;
    return ADE_OK;
}

ade_status ade__state_put_record(ade_state *state, const ade_state_outcome *outcome) {
    ADE_TRY(ready(state));
    lock(state);
    const ade_status status = put_record(state, outcome);
    unlock(state);
    return wrote(state, status);
}

static const char *part_name(int32_t part) {
    switch (part) {
    case ADE_PART_TITLE: return "title";
    case ADE_PART_ABSTRACT: return "abstract";
    case ADE_PART_OTHER_ABSTRACT: return "other_abstract";
    default: return NULL;
    }
}

ade_status ade__state_put_hit(ade_state *state, const ade_screen_row *row, const char *label) {
    const uint64_t limits[] = {row->start, row->end, row->start_char, row->end_char};
    if (!state->writing || state->failed) return ready(state);
    if (row->pmid != state->pmid || !state->hits_due || !part_name(row->part) || !fits(limits, 4))
        return wrote(state, misuse(state, "a hit does not belong to the record before it"));
    lock(state);
    binder b = use(state, SQL_PUT_HIT);
    bind_int(&b, row->pmid);
    bind_int(&b, row->sentence);
    bind_string(&b, part_name(row->part));
    bind_int(&b, row->section_index);
    bind_text(&b, row->section);
    bind_text(&b, row->text);
    for (int i = 0; i < 4; i++) bind_int(&b, (int64_t)limits[i]);
    bind_int(&b, row->result.label);
    bind_string(&b, label);
    bind_real(&b, (double)row->result.score);
    bind_int(&b, row->result.tokens);
    bind_int(&b, row->result.unknown);
    bind_int(&b, row->result.truncated);
    bind_int(&b, row->result.replaced);
    const ade_status status = run(state, &b);
    unlock(state);
    if (!status) state->hits_due--;
    return wrote(state, status);
}

ade_status ade__state_put_part(ade_state *state, const ade_screen_part *part) {
    if (!state->writing || state->failed) return ready(state);
    if (part->pmid != state->pmid || !state->parts_allowed || !part_name(part->part))
        return wrote(state, misuse(state, "a text does not belong to the record before it"));
    lock(state);
    binder b = use(state, SQL_PUT_PART);
    bind_int(&b, part->pmid);
    bind_int(&b, state->parts);
    bind_string(&b, part_name(part->part));
    bind_int(&b, part->section_index);
    bind_text(&b, part->section);
    bind_text(&b, part->text.data ? part->text : (ade_text){"", 0});
    const ade_status status = run(state, &b);
    unlock(state);
    if (!status) state->parts++;
    return wrote(state, status);
}

static ade_status put_unchanged(ade_state *state, const ade_screen_record *record) {
    bool    known, deleted;
    int64_t hits;
    ADE_TRY(look_up(state, record->pmid, &known, &deleted, &hits));
    if (!known || deleted) return misuse(state, "a record that is not there cannot be unchanged");
    binder b = use(state, SQL_UPDATE_RECORD);
    bind_int(&b, record->version);
    bind_int(&b, state->file);
    bind_int(&b, record->pmid);
    ADE_TRY(run(state, &b));
    if (!hits) return ADE_OK;
    b = use(state, SQL_UPDATE_DOCUMENT);
    ADE_TRY(bind_document(state, &b, record));
    bind_int(&b, record->pmid);
    return run(state, &b);
}

ade_status ade__state_put_unchanged(ade_state *state, const ade_screen_record *record) {
    ADE_TRY(ready(state));
    state->parts_allowed = false;
    lock(state);
    const ade_status status = put_unchanged(state, record);
    unlock(state);
    return wrote(state, status);
}

static ade_status put_deleted(ade_state *state, int64_t pmid, int32_t version) {
    ADE_TRY(drop(state, pmid));
    binder b = use(state, SQL_PUT_TOMBSTONE);
    bind_int(&b, pmid);
    bind_int(&b, version);
    bind_int(&b, state->file);
    ADE_TRY(run(state, &b));
    state->totals[DELETED]++;
    return ADE_OK;
}

ade_status ade__state_put_deleted(ade_state *state, int64_t pmid, int32_t version) {
    ADE_TRY(ready(state));
    state->parts_allowed = false;
    lock(state);
    const ade_status status = put_deleted(state, pmid, version);
    unlock(state);
    return wrote(state, status);
}

static ade_status end_file(ade_state *state, const ade_state_file *file) {
    const uint64_t counts[] = {file->bytes_xml,  file->citations, file->new_citations, file->revised,
                               file->unchanged,  file->superseded, file->deleted,      file->sentences,
                               file->screened,   file->hits,      file->rows,          file->tokens};
    const size_t   n_counts = sizeof counts / sizeof *counts;
    char           done_at[32];
    if (!fits(counts, n_counts) || !fits(&file->size, 1)) return misuse(state, "a file's count is impossible");
    now(done_at);
    binder b = use(state, SQL_UPDATE_FILE);
    bind_string(&b, file->path);
    bind_int(&b, (int64_t)file->size);
    if (file->mtime)
        bind_int(&b, file->mtime);
    else
        bind_null(&b);
    bind_string(&b, file->md5 && *file->md5 ? file->md5 : NULL);
    for (size_t i = 0; i < n_counts; i++) bind_int(&b, (int64_t)counts[i]);
    bind_string(&b, done_at);
    bind_int(&b, state->file);
    return run(state, &b);
}

static ade_status commit(ade_state *state, const char *note) {
    binder b;
    for (int i = 0; i < N_TOTALS; i++) {
        b = use(state, SQL_PUT_TOTAL);
        bind_string(&b, TOTAL_NAMES[i]);
        bind_int(&b, state->totals[i]);
        ADE_TRY(run(state, &b));
    }
    if (note) {
        b = use(state, SQL_NOTE);
        bind_string(&b, note);
        bind_int(&b, state->run);
        ADE_TRY(run(state, &b));
    }
    b = use(state, SQL_COMMIT);
    return run(state, &b);
}

ade_status ade__state_end_file(ade_state *state, const ade_state_file *file) {
    ADE_TRY(ready(state));
    lock(state);
    const ade_status status = end_file(state, file);
    unlock(state);
    if (status) return wrote(state, status);
    state->writing = false;
    return ADE_OK;
}

ade_status ade__state_commit(ade_state *state, const char *note) {
    if (!state->begun) return misuse(state, "there is nothing to commit");
    if (state->writing) return misuse(state, "a file was committed before its end");
    if (state->failed) return misuse(state, "a write failed before, and was not rolled back");
    lock(state);
    const ade_status status = commit(state, note);
    unlock(state);
    if (status) return wrote(state, status);
    memcpy(state->committed, state->totals, sizeof state->committed);
    state->begun = false;
    return ADE_OK;
}

void ade__state_rollback(ade_state *state) {
    if (!state->begun && !state->failed) return;
    lock(state);
    /* After some faults SQLite has done it by itself. */
    if (!sqlite3_get_autocommit(state->store.db)) (void)sqlite3_exec(state->store.db, "ROLLBACK", NULL, NULL, NULL);
    if (state->begun) state->n_places = state->places_committed;
    unlock(state);
    memcpy(state->totals, state->committed, sizeof state->totals);
    state->begun = state->writing = false;
    state->failed = ADE_OK;
    state->hits_due = 0;
}

ade_status ade__state_sum_run(ade_state *state, ade_state_file *sum, uint64_t *n_files) {
    ade_state_file  f = {.name = "", .path = "", .md5 = ""};
    uint64_t *const numbers[] = {n_files,       &f.bytes_xml,  &f.citations, &f.new_citations, &f.revised,
                                 &f.unchanged,  &f.superseded, &f.deleted,   &f.sentences,     &f.screened,
                                 &f.hits,       &f.rows,       &f.tokens};
    bool            more;
    lock(state);
    binder b = use(state, SQL_SUM_RUN);
    bind_int(&b, state->run);
    ade_status status = step(state, &b, &more);
    for (int i = 0; !status && more && i < (int)(sizeof numbers / sizeof *numbers); i++)
        *numbers[i] = (uint64_t)sqlite3_column_int64(b.statement, i);
    status = end_statement(&b, status);
    unlock(state);
    if (!status) *sum = f;
    return status;
}

ade_status ade__state_finish(ade_state *state, const char *summary) {
    char ended[32];
    if (state->read_only) return misuse(state, "it was opened for reading only");
    if (state->begun) return misuse(state, "a run ended before its last commit");
    now(ended);
    lock(state);
    binder b = use(state, SQL_END);
    bind_string(&b, ended);
    bind_string(&b, summary);
    bind_int(&b, state->run);
    const ade_status status = run(state, &b);
    unlock(state);
    return status;
}
