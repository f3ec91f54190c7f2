/* SPDX-License-Identifier: Apache-2.0
 * The store: what is written is read back, whatever happens in between: kills at every write, full disks, failed
 * allocations, damaged and foreign files, a second process. tests/unit/test_export.c reads it as an exporter does. */
#include "alloc.h"
#include "state.h"
#include "store.h"
#include "test_state.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static ade_state *open_ok(void) { return open_store(path); }

static ade_status try_open(const char *where, bool read_only) {
    ade_state_options options = OPTIONS;
    ade_state        *state = NULL;
    options.read_only = read_only;
    const ade_status status = ade__state_open(where, &options, &state);
    ade__state_close(state);
    return status;
}

static void expect_message(const char *first, const char *second) {
    if (!strstr(ade_last_error(), first) || !strstr(ade_last_error(), second))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", ade_last_error(), first, second);
}

/* Runs `child` in a process of its own, which must end with status 0 (or by SIGKILL: returns 1). */
static int in_child(void (*child)(void *), void *argument) {
    int         status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("the child ended with status %d", WEXITSTATUS(status));
    return 0;
}

/* In a child: cmocka's own assertions would run the parent's tests on. */
#define NEED(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, ade_last_error()); \
            _exit(1);                                                                     \
        }                                                                                 \
    } while (0)

/* ---- A sequence of files that does everything -------------------------------------------------------------------- */

/* File 1: 10 with two hits, 20 without, 30 with one. File 2: 10 unchanged but retracted, 20 revised and now a hit, 40
 * new. File 3: 10 deleted, 30 revised and no hit any more, 50 deleted though never met, 40 twice. File 4: 10 again. */
static ade_status write_file(ade_state *state, int i) {
    ade_state_file file = file_named(i);
    ADE_TRY(ade__state_begin_file(state, &file));
    ade_status status = ADE_OK;
    switch (i) {
    case 1:
        status = put(state, 10, 1, 2);
        if (!status) status = put(state, 20, 1, 0);
        if (!status) status = put(state, 30, 1, 1);
        break;
    case 2:
        status = put_same(state, 10, 1, true);
        if (!status) status = put(state, 20, 2, 1);
        if (!status) status = put(state, 40, 1, 0);
        break;
    case 3:
        status = ade__state_put_deleted(state, 10, 1);
        if (!status) status = put(state, 30, 2, 0);
        if (!status) status = ade__state_put_deleted(state, 50, 3);
        if (!status) status = put(state, 40, 1, 2);
        if (!status) status = put(state, 40, 1, 1);
        break;
    default: status = put(state, 10, 2, 1); break;
    }
    char note[32];
    snprintf(note, sizeof note, "after file %d", i);
    file.hits = (uint64_t)i;
    if (!status) status = commit_file(state, &file, note);
    if (status) {
        char text[2048];
        snprintf(text, sizeof text, "%s", ade_last_error());
        ade__state_rollback(state);
        return ade__fail(status, "%s", text);
    }
    return ADE_OK;
}

#define N_FILES 4

/* The whole sequence, from where the store is. */
static ade_status write_all(const char *where) {
    ade_state_options options = OPTIONS;
    ade_state        *state;
    ADE_TRY(ade__state_open(where, &options, &state));
    ade_status status = ADE_OK;
    for (int i = 1; i <= N_FILES && !status; i++) {
        const ade_state_file file = file_named(i);
        ade_state_file       known;
        bool                 done = false;
        status = ade__state_file_done(state, file.name, file.path, file.size, file.mtime, NULL, &done, NULL, &known);
        if (!status && !done) status = write_file(state, i);
    }
    if (!status) status = ade__state_finish(state, "{\"n\":1}");
    ade__state_close(state);
    return status;
}

static char *expected; /* the dump of the undisturbed sequence */

static void make_expected(void) {
    if (expected) return;
    remove_store(path);
    CHECK_OK(write_all(path));
    expected = dump(path);
    remove_store(path);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static void test_new(void **unused) {
    (void)unused;
    ade_state *state = open_ok();
    assert_null(ade__state_note(state));
    ade__state_close(state);
    assert_int_equal(query(path, "PRAGMA application_id"), ADE_STORE_APPLICATION);
    assert_int_equal(query(path, "PRAGMA user_version"), ADE_STORE_VERSION);
    assert_int_equal(query(path, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(query(path, "SELECT count(*) FROM settings"), 2 + check_wrong());
    assert_int_equal(query(path, "SELECT count(*) FROM runs WHERE ended IS NULL"), 1);
    assert_int_equal(query(path, "SELECT instr(sql, '-- ') > 0 FROM sqlite_master WHERE name = 'records'"), 1);
    assert_false(exists(path, "-wal"));
    assert_false(exists(path, "-shm"));
    ade__state_close(NULL);
}

static void test_empty_file(void **unused) {
    (void)unused;
    fclose(fopen(path, "w"));
    CHECK_OK(try_open(path, true));
    CHECK_OK(try_open(path, false));
    assert_int_equal(query(path, "PRAGMA application_id"), ADE_STORE_APPLICATION);
}

static void test_odd_names(void **unused) {
    static const char *const names[] = {":memory:", "file:x.sqlite?mode=memory", "-x", "with ' quote?a=1#%41"};
    char                     before[512], full[600];
    (void)unused;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_OK(try_open(names[i], false));
        snprintf(full, sizeof full, "%s/%s", folder, names[i]);
        assert_true(exists(full, ""));
        remove_store(full);
    }
    assert_int_equal(chdir(before), 0);
    CHECK_STATUS(try_open("", false), ADE_INVALID_ARGUMENT);
}

static void test_settings(void **unused) {
    (void)unused;
    ade__state_close(open_ok());
    ade_state              *state = NULL;
    char                    text[3000];
    const ade_state_setting other[] = {{"threshold", "0.7"}, {"model", "abc"}, {"zeal", "high"}};
    ade_state_options       options = {.settings = other, .n_settings = 3};
    CHECK_STATUS(ade__state_open(path, &options, &state), ADE_UNSUPPORTED);
    expect_message(path, "threshold is \"0.5\" there and \"0.7\" in this run");
    expect_message("zeal is not set there and \"high\" in this run", "another store");
    assert_null(strstr(ade_last_error(), "model is"));
    options = (ade_state_options){.settings = SETTINGS, .n_settings = 1};
    CHECK_STATUS(ade__state_open(path, &options, &state), ADE_UNSUPPORTED);
    expect_message("threshold is \"0.5\" there and not set in this run", path);
    options.read_only = true; /* a dry run compares what it knows */
    CHECK_OK(ade__state_open(path, &options, &state));
    ade__state_close(state);
    options = (ade_state_options){.settings = other, .n_settings = 3, .read_only = true};
    CHECK_STATUS(ade__state_open(path, &options, &state), ADE_UNSUPPORTED);
    /* What a hash stands for is said by name, where the run that made the store has told it. */
    const ade_state_setting hash[] = {{"threshold", "0.5"}, {"model", "abd"}}, named[] = {{"model name", "mine"}};
    options = (ade_state_options){.settings = hash, .n_settings = 2, .facts = named, .n_facts = 1};
    CHECK_STATUS(ade__state_open(path, &options, &state), ADE_UNSUPPORTED);
    expect_message("model is \"abc\" there and \"abd\" (mine) in this run", path);
    /* However many and long they are, the cure is said. */
    static ade_state_setting many[60];
    static char              names[60][16];
    memset(text, 'v', sizeof text);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof names[i], "name%d", i);
        many[i] = (ade_state_setting){names[i], text};
    }
    options = (ade_state_options){.settings = many, .n_settings = 60};
    CHECK_STATUS(ade__state_open(path, &options, &state), ADE_UNSUPPORTED);
    expect_message("more; run with", "give another store");
}

static void test_runs(void **unused) {
    (void)unused;
    ade_state     *state = open_ok();
    ade_state_file file = file_named(1);
    CHECK_OK(ade__state_begin_file(state, &file));
    CHECK_OK(commit_file(state, &file, "line ' one"));
    file = file_named(2);
    CHECK_OK(ade__state_begin_file(state, &file));
    CHECK_OK(commit_file(state, &file, NULL)); /* as it was */
    assert_null(ade__state_note(state));
    ade__state_close(state);
    state = open_ok(); /* goes on */
    assert_string_equal(ade__state_note(state), "line ' one");
    ade__state_close(state);
    assert_int_equal(query(path, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(query(path, "SELECT json_array_length(facts) FROM runs"), 2);
    assert_int_equal(query(path, "SELECT json_extract(facts, '$[1].threads') = '2' FROM runs"), 1);
    ade_state_options dry = OPTIONS;
    dry.read_only = true;
    CHECK_OK(ade__state_open(path, &dry, &state));
    assert_string_equal(ade__state_note(state), "line ' one");
    CHECK_STATUS(ade__state_finish(state, "{}"), ADE_INTERNAL);
    CHECK_STATUS(ade__state_begin_file(state, &file), ADE_INTERNAL);
    ade__state_close(state);
    state = open_ok();
    CHECK_OK(ade__state_finish(state, "{\"hits\":3}"));
    ade__state_close(state);
    state = open_ok(); /* a new one */
    assert_null(ade__state_note(state));
    ade__state_close(state);
    assert_int_equal(query(path, "SELECT count(*) FROM runs"), 2);
    assert_int_equal(query(path, "SELECT ended IS NOT NULL AND summary = '{\"hits\":3}' FROM runs WHERE id = 1"), 1);
    assert_int_equal(query(path, "SELECT ended IS NULL AND note IS NULL FROM runs WHERE id = 2"), 1);
}

/* ---- Files and records ------------------------------------------------------------------------------------------- */

static void expect_done(ade_state *state, const char *name, const char *where, uint64_t size, int64_t mtime,
                        const char *md5, bool done, bool need) {
    bool           is_done = !done, is_needed = !need;
    ade_state_file file;
    CHECK_OK(ade__state_file_done(state, name, where, size, mtime, md5, &is_done, &is_needed, &file));
    assert_int_equal(is_done, done);
    assert_int_equal(is_needed, need);
}

static void test_file_done(void **unused) {
    (void)unused;
    static const char md5[] = "0123456789abcdef0123456789abcdef", another[] = "ffffffffffffffffffffffffffffffff";
    ade_state        *state = open_ok();
    ade_state_file    file = {.name = "a'\xff.xml", .path = "/x/a.xml", .size = 100, .mtime = 7, .md5 = md5,
                              .bytes_xml = 1, .citations = 2, .new_citations = 3, .revised = 4, .unchanged = 5,
                              .superseded = 6, .deleted = 7, .sentences = 8, .screened = 9, .hits = 10, .rows = 11,
                              .tokens = INT64_MAX};
    CHECK_OK(ade__state_begin_file(state, &file));
    CHECK_OK(commit_file(state, &file, NULL));
    ade_state_file no_sum = {.name = "-", .path = "-", .md5 = ""};
    CHECK_OK(ade__state_begin_file(state, &no_sum));
    CHECK_OK(commit_file(state, &no_sum, NULL));
    expect_done(state, file.name, file.path, 100, 7, NULL, true, false);
    expect_done(state, file.name, file.path, 100, 7, md5, true, false);
    expect_done(state, file.name, file.path, 100, 7, another, false, false); /* the sum outweighs the time */
    expect_done(state, file.name, file.path, 100, 8, NULL, false, true);
    expect_done(state, file.name, "/y/a.xml", 100, 7, NULL, false, true); /* another folder: only the sum tells */
    expect_done(state, file.name, file.path, 100, 0, NULL, false, true); /* 0 = unknown */
    expect_done(state, file.name, file.path, 101, 7, NULL, false, false);
    expect_done(state, "b.xml", file.path, 100, 7, md5, false, false);
    expect_done(state, "-", "-", 0, 0, NULL, false, false);
    expect_done(state, "-", "-", 0, 0, "", false, false);
    expect_done(state, file.name, file.path, 100, 9, another, false, false);
    expect_done(state, file.name, file.path, 100, 9, md5, true, false);
    expect_done(state, file.name, file.path, 100, 9, NULL, true, false); /* the new time was remembered */
    ade_state_file other = file, found = {0}; /* other content under the same name */
    bool           done = true;
    CHECK_OK(ade__state_file_done(state, file.name, file.path, 50, 9, NULL, &done, NULL, &found));
    assert_true(!done && found.earlier == 1);
    other.size = 50, other.md5 = another, other.tokens = 0;
    CHECK_OK(ade__state_begin_file(state, &other));
    CHECK_OK(commit_file(state, &other, NULL));
    CHECK_OK(ade__state_file_done(state, file.name, file.path, 50, 7, NULL, &done, NULL, &found));
    assert_true(done && found.earlier == 1);
    CHECK_OK(ade__state_file_done(state, file.name, file.path, 100, 9, NULL, &done, NULL, &found));
    assert_true(done && found.earlier == 0);
    CHECK_OK(ade__state_file_done(state, file.name, file.path, 7, 9, NULL, &done, NULL, &found));
    assert_true(!done && found.earlier == 2);
    uint64_t n_files;
    CHECK_OK(ade__state_sum_run(state, &found, &n_files));
    assert_true(n_files == 3 && found.citations == 4 && found.tokens == INT64_MAX);
    ade__state_close(state);
    state = open_ok();
    ade_state_file known;
    done = false;
    CHECK_OK(ade__state_file_done(state, file.name, file.path, 100, 9, NULL, &done, NULL, &known));
    ade_state_file want = file;
    assert_true(done);
    assert_string_equal(known.name, want.name);
    assert_string_equal(known.path, want.path);
    assert_string_equal(known.md5, want.md5);
    want.name = known.name, want.path = known.path, want.md5 = known.md5, want.mtime = 9;
    assert_memory_equal(&known, &want, sizeof want);
    ade__state_close(state);
}

static void expect_record(ade_state *state, int64_t pmid, bool known, bool deleted, int version, uint64_t hash,
                          bool numbered, uint64_t year, uint64_t number) {
    ade_state_record r;
    CHECK_OK(ade__state_find(state, pmid, &r));
    assert_int_equal(r.known, known);
    assert_int_equal(r.deleted, deleted);
    assert_int_equal(r.version, version);
    assert_true(r.hash == hash);
    assert_int_equal(r.numbered, numbered);
    assert_true(r.year == year && r.number == number);
}

static void test_find(void **unused) {
    (void)unused;
    ade_state     *state = open_ok();
    ade_state_file file = {.name = "pubmed99n1.xml", .path = "p", .numbered = true, .year = 99, .number = UINT64_MAX};
    CHECK_OK(ade__state_begin_file(state, &file));
    ade_screen_record       record = {.pmid = INT64_MAX, .version = INT32_MAX};
    const ade_state_outcome outcome = {.hash = UINT64_MAX - 4, .record = &record, .best_sentence = -1};
    CHECK_OK(ade__state_put_record(state, &outcome));
    CHECK_OK(ade__state_put_deleted(state, 5, 2));
    expect_record(state, INT64_MAX, true, false, INT32_MAX, UINT64_MAX - 4, true, 99, UINT64_MAX); /* uncommitted */
    CHECK_OK(commit_file(state, &file, NULL));
    file = (ade_state_file){.name = "other.xml", .path = "p", .year = 3, .number = 4};
    CHECK_OK(ade__state_begin_file(state, &file));
    record = (ade_screen_record){.pmid = INT64_MIN, .version = -1};
    CHECK_OK(ade__state_put_record(state, &outcome));
    CHECK_OK(commit_file(state, &file, NULL));
    for (int again = 0; again < 2; again++) {
        expect_record(state, INT64_MAX, true, false, INT32_MAX, UINT64_MAX - 4, true, 99, UINT64_MAX);
        expect_record(state, INT64_MIN, true, false, -1, UINT64_MAX - 4, false, 0, 0);
        expect_record(state, 5, true, true, 2, 0, true, 99, UINT64_MAX);
        expect_record(state, 6, false, false, 0, 0, false, 0, 0);
        ade__state_close(state);
        state = open_ok();
    }
    ade__state_close(state);
    ade_state_options dry = OPTIONS;
    dry.read_only = true;
    CHECK_OK(ade__state_open(path, &dry, &state));
    expect_record(state, 5, true, true, 2, 0, true, 99, UINT64_MAX);
    ade__state_close(state);
    char missing[300];
    snprintf(missing, sizeof missing, "%s/none/none.sqlite", folder);
    CHECK_OK(ade__state_open(missing, &dry, &state));
    expect_record(state, 5, false, false, 0, 0, false, 0, 0);
    expect_done(state, "a", "a", 1, 1, NULL, false, false);
    CHECK_STATUS(ade__state_begin_file(state, &file), ADE_INTERNAL);
    ade__state_rollback(state);
    ade__state_close(state);
    CHECK_STATUS(try_open(missing, false), ADE_IO);
    expect_message(missing, "its folder must be there");
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void expect_totals(void) {
    assert_int_equal(query(path, "SELECT count(*) FROM totals"), 4);
    static const char *const counts[] = {"records", "records WHERE NOT deleted", "deleted", "records WHERE deleted",
                                         "documents", "documents", "hits", "hits"};
    for (int i = 0; i < 8; i += 2) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT (SELECT value FROM totals WHERE name = '%s') = (SELECT count(*) FROM %s)",
                 counts[i], counts[i + 1]);
        if (query(path, sql) != 1) fail_msg("the total '%s' is wrong", counts[i]);
    }
    assert_int_equal(query(path, "SELECT count(*) FROM documents d JOIN records r USING (pmid) WHERE r.n_hits > 0 AND "
                                 "r.n_hits = (SELECT count(*) FROM hits h WHERE h.pmid = d.pmid)"),
                     query(path, "SELECT count(*) FROM records WHERE n_hits > 0"));
    assert_int_equal(query(path, "SELECT count(*) FROM parts WHERE pmid NOT IN (SELECT pmid FROM documents)"), 0);
}

static void run_file(int i) {
    ade_state *state = open_ok();
    CHECK_OK(write_file(state, i));
    ade__state_close(state);
    expect_totals();
}

static void test_updates(void **unused) {
    (void)unused;
    run_file(1);
    assert_int_equal(query(path, "SELECT count(*) FROM records"), 3);
    assert_int_equal(query(path, "SELECT count(*) FROM hits WHERE pmid = 10 AND score = 0.875"), 2);
    assert_int_equal(query(path, "SELECT count(*) FROM parts"), 4);
    assert_int_equal(query(path, "SELECT hex(scores) = '0000603F0000603F0000C07F' FROM records WHERE pmid = 10"), 1);
    assert_int_equal(query(path, "SELECT score IS NULL AND scores IS NULL AND best_sentence IS NULL FROM records "
                                 "WHERE pmid = 20"), 1);
    assert_int_equal(query(path, "SELECT retracted FROM documents WHERE pmid = 10"), 0);
    run_file(2);
    assert_int_equal(query(path, "SELECT retracted AND journal = 'Revised' AND title = 'Title of 10 v1' AND "
                                 "mesh IS NULL FROM documents WHERE pmid = 10"), 1); /* brought up to date */
    assert_int_equal(query(path, "SELECT count(*) FROM hits WHERE pmid = 10"), 2);         /* stay */
    assert_int_equal(query(path, "SELECT file = 2 AND hash = 1010 AND n_hits = 2 AND scores IS NOT NULL FROM records "
                                 "WHERE pmid = 10"), 1);
    assert_int_equal(query(path, "SELECT version = 2 AND hash = 2020 AND n_hits = 1 FROM records WHERE pmid = 20"), 1);
    run_file(3);
    assert_int_equal(query(path, "SELECT deleted AND file = 3 AND hash IS NULL AND scores IS NULL AND n_hits = 0 "
                                 "FROM records WHERE pmid = 10"), 1);
    assert_int_equal(query(path, "SELECT count(*) FROM hits WHERE pmid IN (10, 30)"), 0);
    assert_int_equal(query(path, "SELECT count(*) FROM documents WHERE pmid IN (10, 30)"), 0);
    assert_int_equal(query(path, "SELECT count(*) FROM records WHERE deleted"), 2);
    assert_int_equal(query(path, "SELECT count(*) FROM hits WHERE pmid = 40"), 1);
    run_file(4);
    assert_int_equal(query(path, "SELECT NOT deleted AND version = 2 FROM records WHERE pmid = 10"), 1);
    assert_int_equal(query(path, "SELECT text = 'Sentence 0 of 10 v2.' FROM hits WHERE pmid = 10"), 1);
}

static void test_rollback(void **unused) {
    (void)unused;
    run_file(1);
    char      *before = dump(path);
    ade_state *state = open_ok();
    for (int i = 0; i < 2; i++) {
        const ade_state_file seven = file_named(7);
        CHECK_OK(ade__state_begin_file(state, &seven));
        CHECK_OK(put(state, 10, 2, 0));
        CHECK_OK(put(state, 77, 2, 1));
        CHECK_OK(ade__state_put_deleted(state, 20, 1));
        if (i) ade__state_rollback(state);
        if (i) ade__state_rollback(state);
        if (i) expect_record(state, 77, false, false, 0, 0, false, 0, 0);
        if (!i) ade__state_close(state); /* rolls back */
        if (!i) state = open_ok();
    }
    ade__state_close(state);
    char *after = dump(path);
    assert_string_equal(before, after);
    free(before);
    free(after);
    expect_totals();
    state = open_ok(); /* what was rolled back leaves no trace in memory either */
    ade_state_file file = file_named(7);
    CHECK_OK(ade__state_begin_file(state, &file));
    ade__state_rollback(state);
    CHECK_OK(write_file(state, 2));
    expect_record(state, 10, true, false, 1, 1010, true, 26, 2);
    ade__state_close(state);
    expect_totals();
}

/* Two files in one transaction: both or none, and the note with them. */
static void test_files_together(void **unused) {
    (void)unused;
    for (int round = 0; round < 2; round++) {
        ade_state           *state = open_ok();
        const ade_state_file first = file_named(1), second = file_named(2);
        CHECK_OK(ade__state_begin_file(state, &first));
        CHECK_OK(put(state, 10, 1, 0));
        CHECK_OK(ade__state_end_file(state, &first));
        CHECK_STATUS(ade__state_finish(state, "{}"), ADE_INTERNAL);
        CHECK_OK(ade__state_begin_file(state, &second));
        CHECK_OK(put(state, 11, 1, 0));
        CHECK_STATUS(ade__state_commit(state, "both"), ADE_INTERNAL); /* the second has not ended */
        CHECK_OK(ade__state_end_file(state, &second));
        if (round == 0) {
            ade__state_rollback(state);
            expect_record(state, 10, false, false, 0, 0, false, 0, 0);
        } else {
            CHECK_OK(ade__state_commit(state, "both"));
            CHECK_STATUS(ade__state_commit(state, "again"), ADE_INTERNAL);
        }
        ade__state_close(state);
    }
    ade_state *state = open_ok();
    assert_string_equal(ade__state_note(state), "both");
    ade_state_record record;
    for (int64_t pmid = 10; pmid <= 11; pmid++) {
        CHECK_OK(ade__state_find(state, pmid, &record));
        assert_true(record.known && record.number == (uint64_t)pmid - 9);
    }
    ade__state_close(state);
}

static void test_misuse(void **unused) {
    (void)unused;
    ade_state     *state = open_ok();
    ade_state_file file = file_named(1);
    ade_screen_row row = {.pmid = 10};
    ade_screen_part part = {.pmid = 10};
    CHECK_STATUS(put(state, 10, 1, 0), ADE_INTERNAL);
    CHECK_STATUS(ade__state_put_hit(state, &row, "ADE"), ADE_INTERNAL);
    CHECK_STATUS(commit_file(state, &file, NULL), ADE_INTERNAL);
    for (int i = 0; i < 9; i++) {
        CHECK_OK(ade__state_begin_file(state, &file));
        CHECK_STATUS(ade__state_begin_file(state, &file), ADE_INTERNAL);
        CHECK_STATUS(ade__state_finish(state, "{}"), ADE_INTERNAL);
        CHECK_OK(put(state, 10, 1, 1));
        row = (ade_screen_row){.pmid = i == 0 ? 11 : 10, .part = i == 1 ? ADE_PART_FILE : ADE_PART_TITLE,
                               .end = i == 3 ? UINT64_MAX : 0};
        if (i < 4) CHECK_STATUS(ade__state_put_hit(state, &row, NULL), ADE_INTERNAL); /* 2: one too many */
        part.pmid = i == 4 ? 11 : 10;
        if (i == 4) CHECK_STATUS(ade__state_put_part(state, &part), ADE_INTERNAL);
        if (i == 5) CHECK_STATUS(put_same(state, 99, 1, false), ADE_INTERNAL);
        if (i == 6) {
            ade_screen_record       record = {.pmid = 12, .n_hits = 1, .n_sentences = 1};
            const ade_state_outcome outcome = {.record = &record};
            CHECK_OK(ade__state_put_record(state, &outcome));
            CHECK_STATUS(commit_file(state, &file, NULL), ADE_INTERNAL); /* its hit is missing */
        }
        if (i == 7) {
            file.tokens = UINT64_MAX;
            CHECK_STATUS(commit_file(state, &file, NULL), ADE_INTERNAL);
            file.tokens = 0;
        }
        if (i == 8) {
            CHECK_OK(ade__state_put_deleted(state, 10, 1));
            CHECK_STATUS(put_same(state, 10, 1, false), ADE_INTERNAL);
        }
        if (i != 6) {
            CHECK_STATUS(put(state, 13, 1, 0), ADE_INTERNAL); /* nothing more after a fault */
            CHECK_STATUS(commit_file(state, &file, NULL), ADE_INTERNAL);
        }
        ade__state_rollback(state);
    }
    CHECK_OK(write_file(state, 1)); /* and all is well again */
    ade__state_close(state);
    expect_totals();
}

/* ---- Kills and faults at every write ----------------------------------------------------------------------------- */

static atomic_long countdown = -1; /* the system call after so many does something else */
static int         fault;          /* an errno, or 0: the process is killed */

static int due(void) {
    const long left = atomic_load(&countdown);
    if (left < 0) return 0;
    if (left > 0) {
        atomic_store(&countdown, left - 1);
        return 0;
    }
    if (!fault) (void)raise(SIGKILL);
    return 1; /* and ever after */
}

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (!due()) return pwrite(fd, data, size, offset);
    errno = fault;
    return -1;
}

static ssize_t failing_pread(int fd, void *data, size_t size, off_t offset) {
    if (!due()) return pread(fd, data, size, offset);
    errno = fault;
    return -1;
}

static void replace_call(const char *name, sqlite3_syscall_ptr call) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    assert_int_equal(vfs->xSetSystemCall(vfs, name, call), SQLITE_OK);
}

static void hook(const char *name, const char *name64, sqlite3_syscall_ptr call) {
    replace_call(name, call);
    (void)sqlite3_vfs_find(NULL)->xSetSystemCall(sqlite3_vfs_find(NULL), name64, call);
}

static void killed_child(void *argument) {
    fault = 0;
    atomic_store(&countdown, *(long *)argument);
    NEED(write_all(path) == ADE_OK);
}

static void test_kill_at_every_write(void **unused) {
    (void)unused;
    make_expected();
    hook("pwrite", "pwrite64", (sqlite3_syscall_ptr)failing_pwrite);
    long n = 0;
    for (int alive = 0; !alive && n < 2000; n++) {
        remove_store(path);
        alive = !in_child(killed_child, &n);
        CHECK_OK(write_all(path));
        char *got = dump(path);
        if (strcmp(got, expected)) fail_msg("killed at write %ld, the store is\n%s\ninstead of\n%s", n, got, expected);
        free(got);
    }
    hook("pwrite", "pwrite64", NULL);
    print_message("killed at each of %ld writes\n", n - 1);
    assert_true(n > 20);
}

static void killed_within(void *argument) {
    ade_state     *state = open_store(path);
    ade_state_file file = file_named(2);
    NEED(write_file(state, 1) == ADE_OK);
    NEED(ade__state_begin_file(state, &file) == ADE_OK);
    NEED(put(state, 10, 5, 1) == ADE_OK);
    if (argument) (void)raise(SIGKILL);
    _exit(0);
}

static void test_killed_within_a_file(void **unused) {
    (void)unused;
    for (int i = 0; i < 2; i++) {
        remove_store(path);
        assert_int_equal(in_child(killed_within, i ? &i : NULL), i);
        assert_true(exists(path, "-wal"));
        /* A dry run sees the confirmed file, and changes nothing. */
        char *log = contents(path, "-wal"), *store = contents(path, "");
        ade_state        *state;
        ade_state_options dry = OPTIONS;
        dry.read_only = true;
        CHECK_OK(ade__state_open(path, &dry, &state));
        assert_string_equal(ade__state_note(state), "after file 1");
        expect_record(state, 10, true, false, 1, 1010, true, 26, 1);
        ade__state_close(state);
        char *log_after = contents(path, "-wal"), *store_after = contents(path, "");
        assert_string_equal(log, log_after);
        assert_string_equal(store, store_after);
        free(log), free(log_after), free(store), free(store_after);
        state = open_ok();
        assert_string_equal(ade__state_note(state), "after file 1");
        expect_record(state, 10, true, false, 1, 1010, true, 26, 1);
        ade__state_close(state);
    }
}

static void each_fault(const char *name, const char *name64, sqlite3_syscall_ptr call, int number, ade_status status,
                       const char *message) {
    make_expected();
    hook(name, name64, call);
    fault = number;
    long       n = 0, failed = 0;
    ade_status got = status;
    for (; got && n < 2000; n++) {
        remove_store(path);
        atomic_store(&countdown, n);
        got = write_all(path);
        atomic_store(&countdown, -1);
        if (got && (got != status || !strstr(ade_last_error(), message) || !strstr(ade_last_error(), path)))
            fail_msg("at call %ld: %s: %s", n, ade_status_name(got), ade_last_error());
        failed += got != ADE_OK;
        CHECK_OK(write_all(path));
        char *all = dump(path);
        if (strcmp(all, expected)) fail_msg("after fault %ld the store is\n%s\ninstead of\n%s", n, all, expected);
        free(all);
    }
    hook(name, name64, NULL);
    print_message("%s failed at each of %ld calls\n", name, failed);
    assert_true(failed > 5);
}

static void test_full_disk(void **unused) {
    (void)unused;
    each_fault("pwrite", "pwrite64", (sqlite3_syscall_ptr)failing_pwrite, ENOSPC, ADE_IO, "the disk is full");
}

static void test_write_error(void **unused) {
    (void)unused;
    each_fault("pwrite", "pwrite64", (sqlite3_syscall_ptr)failing_pwrite, EIO, ADE_IO, "cannot be read or written");
}

static void test_read_error(void **unused) {
    (void)unused;
    CHECK_OK(write_all(path));
    hook("pread", "pread64", (sqlite3_syscall_ptr)failing_pread);
    fault = EACCES; /* not EIO, of which SQLite says that the file is damaged */
    int failed = 0;
    for (long n = 0; n < 50; n++) {
        atomic_store(&countdown, n);
        const ade_status status = try_open(path, false);
        atomic_store(&countdown, -1);
        failed += status != ADE_OK;
        if (status) expect_message("cannot be read", path);
        if (status) assert_int_equal(status, ADE_IO);
    }
    hook("pread", "pread64", NULL);
    assert_true(failed > 3);
    CHECK_OK(try_open(path, false));
}

static void each_allocation(void (*fail_at)(long)) {
    make_expected();
    ade_status got = ADE_OUT_OF_MEMORY;
    long       n = 0;
    for (; got && n < 20000; n += n < 400 ? 1 : 7) {
        remove_store(path);
        fail_at(n);
        got = write_all(path);
        fail_at(-1);
        if (got && got != ADE_OUT_OF_MEMORY)
            fail_msg("allocation %ld: %s: %s", n, ade_status_name(got), ade_last_error());
        CHECK_OK(write_all(path));
        if (n % 50 == 0) {
            char *all = dump(path);
            assert_string_equal(all, expected);
            free(all);
        }
    }
    print_message("allocations that failed: %ld\n", n - 1);
    assert_int_equal(got, ADE_OK);
    assert_true(n > 10);
}

static void test_out_of_memory(void **unused) {
    (void)unused;
    each_allocation(ade__alloc_fail_at);
}

static void test_sqlite_out_of_memory(void **unused) {
    (void)unused;
    each_allocation(sqlite_alloc_fail_at);
}

/* ---- Two at once ------------------------------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void second_opener(void *unused) {
    (void)unused;
    ade_export  *exported;
    const double start = seconds();
    NEED(try_open(path, false) == ADE_BUSY);
    NEED(strstr(ade_last_error(), path) && strstr(ade_last_error(), "is in use (by a run"));
    NEED(seconds() - start < 1.0);
    NEED(try_open(path, true) == ADE_BUSY);
    NEED(ade__export_open(path, &exported) == ADE_BUSY);
    NEED(seconds() - start < 3.0);
}

static void test_second_opener(void **unused) {
    (void)unused;
    for (int i = 0; i < 2; i++) { /* a new store, and one that was there */
        ade_state *state = open_ok();
        assert_int_equal(in_child(second_opener, NULL), 0);
        second_opener(NULL); /* within one process, too */
        assert_int_equal(in_child(second_opener, NULL), 0); /* that one did not take our lock away */
        CHECK_OK(write_file(state, i + 1));
        assert_int_equal(in_child(second_opener, NULL), 0);
        ade__state_close(state);
    }
    ade_export *exported;
    CHECK_OK(ade__export_open(path, &exported));
    CHECK_STATUS(try_open(path, false), ADE_BUSY);
    CHECK_OK(try_open(path, true)); /* readers stand each other */
    ade__export_close(exported);
    CHECK_OK(try_open(path, false));
}

static void close_fork(void *state) { ade__state_close(state); }

static void test_fork(void **unused) {
    (void)unused;
    ade_state *state = open_ok();
    CHECK_OK(write_file(state, 1));
    assert_int_equal(in_child(close_fork, state), 0);
    assert_true(exists(path, "-wal")); /* a child's close left it */
    assert_int_equal(in_child(second_opener, NULL), 0);
    CHECK_OK(write_file(state, 2));
    ade__state_close(state);
    expect_totals();
}

static void race_child(void *argument) {
    const int    fd = *(int *)argument;
    char         byte;
    ade_state   *state;
    ade_state_options options = OPTIONS;
    NEED(read(fd, &byte, 1) == 0); /* until the parent closes it */
    const ade_status status = ade__state_open(path, &options, &state);
    NEED(status == ADE_OK || status == ADE_BUSY);
    (void)alarm(10);
    if (status == ADE_OK) (void)pause(); /* holds it until it is killed; were two to hold it, SIGALRM ends one */
}

/* Two begin at the same moment on a store that is not there: one has it, one is told so. */
static void test_race(void **unused) {
    (void)unused;
    for (int round = 0; round < 5; round++) {
        int         ends[2], status, kept = 0;
        pid_t       children[2];
        remove_store(path);
        assert_int_equal(pipe(ends), 0);
        for (int i = 0; i < 2; i++)
            if ((children[i] = fork()) == 0) {
                close(ends[1]);
                race_child(&ends[0]);
                _exit(7);
            }
        close(ends[0]);
        close(ends[1]);
        assert_true(waitpid(-1, &status, 0) > 0); /* the one that did not get it ends first */
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
        for (int i = 0; i < 2; i++) kept += kill(children[i], SIGKILL) == 0;
        assert_int_equal(kept, 1);
        assert_true(waitpid(-1, &status, 0) > 0);
        assert_true(WIFSIGNALED(status));
    }
    CHECK_OK(try_open(path, false));
}

static void *finder(void *argument) {
    ade_state       *state = argument;
    ade_state_record r;
    for (int i = 0; i < 20000; i++)
        if (ade__state_find(state, i % 400, &r) || (r.known && (r.number < 1 || r.number > 20))) return argument;
    return NULL;
}

static void test_find_beside_writes(void **unused) {
    (void)unused;
    ade_state *state = open_ok();
    pthread_t  thread;
    void      *result;
    assert_int_equal(pthread_create(&thread, NULL, finder, state), 0);
    for (int i = 1; i <= 20; i++) {
        ade_state_file file = file_named(i);
        CHECK_OK(ade__state_begin_file(state, &file));
        for (int k = 0; k < 300; k++) CHECK_OK(put(state, k, i, k % 2));
        if (i % 3)
            CHECK_OK(commit_file(state, &file, NULL));
        else
            ade__state_rollback(state);
    }
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    ade__state_close(state);
    expect_totals();
}

/* ---- Files that are no store ------------------------------------------------------------------------------------- */

static void expect_refused(ade_status status, const char *message) {
    for (int read_only = 0; read_only < 2; read_only++) {
        CHECK_STATUS(try_open(path, read_only), status);
        expect_message(path, message);
    }
    ade_export *exported;
    CHECK_STATUS(ade__export_open(path, &exported), status);
    expect_message(path, message);
}

static void test_foreign(void **unused) {
    (void)unused;
    write_bytes(path, "pmid\tscore\n1\t0.5\n", 17);
    expect_refused(ADE_BAD_INPUT, "no SQLite database");
    static char noise[8192];
    memset(noise, 'x', sizeof noise);
    write_bytes(path, noise, sizeof noise);
    expect_refused(ADE_BAD_INPUT, "no SQLite database");
    remove_store(path);
    execute(path, "CREATE TABLE notes (text)");
    char *before = contents(path, "");
    expect_refused(ADE_BAD_INPUT, "another program");
    char *after = contents(path, "");
    assert_string_equal(before, after);
    free(before);
    free(after);
    remove_store(path);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(ADE_BAD_INPUT, "a folder");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(ADE_BAD_INPUT, "no regular file");
    remove_store(path);
    ade__state_close(open_ok());
    execute(path, "PRAGMA user_version = 2");
    expect_refused(ADE_UNSUPPORTED, "newer adesieve");
    execute(path, "PRAGMA user_version = 0");
    expect_refused(ADE_BAD_INPUT, "damaged");
    execute(path, "PRAGMA user_version = 1; DROP TABLE hits");
    expect_refused(ADE_BAD_INPUT, "damaged");
    execute(path, "CREATE TABLE hits (pmid)");
    expect_refused(ADE_BAD_INPUT, "damaged");
}

/* Every page of a store is overwritten: a status, never a crash; what was written is not read as something else. */
static void test_damaged(void **unused) {
    (void)unused;
    make_expected();
    CHECK_OK(write_all(path));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    char *whole = malloc((size_t)info.st_size);
    FILE *file = fopen(path, "rb");
    assert_non_null(whole);
    assert_int_equal(fread(whole, 1, (size_t)info.st_size, file), info.st_size);
    fclose(file);
    int refused = 0;
    for (off_t at = 0; at < info.st_size; at += 4096)
        for (int kind = 0; kind < 3; kind++) {
            char *copy = malloc((size_t)info.st_size);
            memcpy(copy, whole, (size_t)info.st_size);
            memset(copy + at + (kind == 2 ? 64 : 0), kind == 0 ? 0xff : kind == 1 ? 0x00 : 0x0d, kind == 2 ? 32 : 4096);
            write_bytes(path, copy, kind == 1 && at ? (size_t)at : (size_t)info.st_size); /* 1: cut short */
            ade_state        *state = NULL;
            ade_state_options options = OPTIONS;
            ade_status        status = ade__state_open(path, &options, &state);
            ade_state_record  r;
            for (int pmid = 0; pmid < 60 && !status; pmid += 10) status = ade__state_find(state, pmid, &r);
            if (!status) status = write_file(state, 3);
            ade__state_close(state);
            if (status && status != ADE_BAD_INPUT) fail_msg("page at %ld: %s", (long)at, ade_last_error());
            refused += status == ADE_BAD_INPUT;
            status = export_everything(path);
            if (status && status != ADE_BAD_INPUT && status != ADE_IO)
                fail_msg("page at %ld: %s", (long)at, ade_last_error());
            free(copy);
        }
    free(whole);
    print_message("%d damaged stores refused\n", refused);
    assert_true(refused > 10);
}

/* As a user who may not write: root may everywhere. */
static void unprivileged(void *argument) {
    if (geteuid() == 0) NEED(setgid(65534) == 0 && setuid(65534) == 0);
    char          *where = argument;
    ade_export    *exported;
    NEED(try_open(where, false) == ADE_IO);
    NEED(strstr(ade_last_error(), where) && strstr(ade_last_error(), "folder"));
    struct stat info;
    if (stat(where, &info)) return;
    NEED(ade__export_open(where, &exported) == ADE_IO);
    NEED(strstr(ade_last_error(), where) && strstr(ade_last_error(), "change the permissions"));
    NEED(try_open(where, true) == ADE_IO);
}

/* A store that may not be changed, in a folder where SQLite could put its files, and would leave them. */
static void reader(void *argument) {
    if (geteuid() == 0) NEED(setgid(65534) == 0 && setuid(65534) == 0);
    NEED(export_everything(argument) == ADE_IO);
    NEED(strstr(ade_last_error(), "of your own"));
    NEED(try_open(argument, true) == ADE_IO);
    NEED(try_open(argument, false) == ADE_IO);
    NEED(strstr(ade_last_error(), "it is read-only"));
}

static void test_read_only_folder(void **unused) {
    (void)unused;
    char inner[200], where[256];
    snprintf(inner, sizeof inner, "%s/inner", folder);
    snprintf(where, sizeof where, "%s/s.sqlite", inner);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(mkdir(inner, 0555), 0);
    assert_int_equal(in_child(unprivileged, where), 0);
    assert_int_equal(chmod(inner, 0755), 0);
    for (int i = 0; i < 2; i++) { /* only the file is writable; neither is */
        assert_int_equal(chmod(inner, 0755), 0);
        remove_store(where);
        CHECK_OK(write_all(where));
        assert_int_equal(chmod(where, i ? 0444 : 0666), 0);
        assert_int_equal(chmod(inner, 0555), 0);
        assert_int_equal(in_child(unprivileged, where), 0);
    }
    assert_int_equal(chmod(inner, 0777), 0);
    assert_int_equal(in_child(reader, where), 0);
    assert_false(exists(where, "-wal") || exists(where, "-shm"));
    remove_store(where);
    assert_int_equal(rmdir(inner), 0);
    snprintf(where, sizeof where, "%s/none/s.sqlite", folder);
    assert_int_equal(in_child(unprivileged, where), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clean)
        TEST(test_new), TEST(test_empty_file), TEST(test_odd_names), TEST(test_settings), TEST(test_runs),
        TEST(test_file_done), TEST(test_find), TEST(test_updates), TEST(test_rollback), TEST(test_files_together), TEST(test_misuse),
        TEST(test_kill_at_every_write), TEST(test_killed_within_a_file), TEST(test_full_disk), TEST(test_write_error),
        TEST(test_read_error), TEST(test_out_of_memory), TEST(test_sqlite_out_of_memory), TEST(test_second_opener),
        TEST(test_fork), TEST(test_race), TEST(test_find_beside_writes), TEST(test_foreign), TEST(test_damaged),
        TEST(test_read_only_folder),
    };
    count_sqlite_allocations();
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    free(expected);
    return failed;
}
