/* SPDX-License-Identifier: Apache-2.0
 * Screening with a store: what is done, what is done again, and what the store holds in the end. */
#include "export.h"
#include "screen.h"
#include "screen_fake.h"

#include <stdbool.h>

static char *rows; /* of the last run, a line each */
static size_t rows_size;
static ade_screen_stats stats;
static char             warnings[8192];

static void line(const char *format, ...) {
    char    text[2048];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_true(n >= 0 && (size_t)n < sizeof text);
    rows = realloc(rows, rows_size + (size_t)n + 1);
    memcpy(rows + rows_size, text, (size_t)n + 1);
    rows_size += (size_t)n;
}

static void on_log(void *user, ade_log_level level, const char *message) {
    (void)user, (void)level;
    strncat(warnings, message, sizeof warnings - strlen(warnings) - 1);
}

enum { CONFIRM_NEVER, CONFIRM_FILES, CONFIRM_ROWS, CONFIRM_AT_END };

typedef struct plan {
    int         confirm;
    int         stop_after; /* rows, file rows included; 0 = never */
    uint64_t    limit;
    double      threshold;
    bool        documents, dry_run, no_store_text;
    int         other_abstracts;
    int         threads;
    const char *note; /* set at each confirm */
} plan;

/* The status that ended the run; ADE_OK when it was stopped on the way. */
static ade_status run(plan how) {
    ade_session_options session = ADE_SESSION_OPTIONS_INIT;
    ade_screen_options  options = ADE_SCREEN_OPTIONS_INIT;
    ade_screen         *screen;
    char                store[256];
    free(rows);
    rows = calloc(1, 1);
    rows_size = 0;
    warnings[0] = '\0';
    snprintf(store, sizeof store, "%s/store.sqlite", folder);
    session.log = on_log;
    session.threads = how.threads ? how.threads : 2;
    options.session = &session;
    options.store = store;
    options.file_rows = 1;
    options.keep_going = 1;
    options.limit = how.limit;
    options.threshold = how.threshold > 0 ? how.threshold : 0.5;
    options.documents = how.documents;
    options.dry_run = how.dry_run;
    options.no_store_text = how.no_store_text;
    options.other_abstracts = how.other_abstracts;
    ade_status status = ade__screen_open(how.dry_run ? NULL : &model, &options, &screen);
    if (status) return status;
    status = ade__screen_add(screen, folder);
    for (int n = 0; !status && (!how.stop_after || n < how.stop_after); n++) {
        ade_screen_row  row = ADE_SCREEN_ROW_INIT;
        ade_screen_file file = ADE_SCREEN_FILE_INIT;
        status = ade__screen_next(screen, &row);
        if (status) break;
        assert_int_equal(ade__screen_get_file(screen, &file), ADE_OK);
        assert_string_equal(file.name, row.source);
        if (row.part == ADE_PART_FILE)
            line("end %s %d%s c%d n%d r%d u%d s%d d%d\n", row.source, file.status, file.skipped ? " skipped" : "",
                 (int)file.citations, (int)file.new_citations, (int)file.revised, (int)file.unchanged,
                 (int)file.superseded, (int)file.deleted);
        else if (row.part == ADE_PART_DELETED)
            line("deleted %d\n", (int)row.pmid);
        else if (how.documents)
            line("document %d.%d hits %u of %u score %.4f noisy_or %.4f best %d %.*s\n", (int)row.pmid, row.version,
                 row.record->n_hits, row.record->n_sentences, row.record->score, row.record->noisy_or, row.sentence,
                 (int)row.text.size, row.text.data);
        else
            line("%d.%d %d %.*s\n", (int)row.pmid, row.version, row.sentence, (int)row.text.size, row.text.data);
        if (how.note) assert_int_equal(ade__screen_set_note(screen, how.note), ADE_OK);
        if (how.confirm == CONFIRM_ROWS || (how.confirm == CONFIRM_FILES && row.part == ADE_PART_FILE))
            assert_int_equal(ade__screen_confirm(screen), ADE_OK);
    }
    if (status == ADE_END && how.confirm) assert_int_equal(ade__screen_confirm(screen), ADE_OK);
    assert_int_equal(ade__screen_get_stats(screen, &stats), ADE_OK);
    assert_true(stats.citations == stats.new_citations + stats.revised + stats.unchanged + stats.superseded);
    assert_true(stats.sentences == stats.screened + stats.skipped);
    ade__screen_close(screen);
    return status;
}

/* All that the store holds of records with hits, and its tombstones. */
static char *contents(void) {
    char        store[256], *text = calloc(1, 1 << 20), *at = text;
    ade_export *exported;
    snprintf(store, sizeof store, "%s/store.sqlite", folder);
    assert_int_equal(ade__export_open(store, &exported), ADE_OK);
    for (;;) {
        ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
        ade_status          status = ade__export_next(exported, -1, true, &d);
        if (status == ADE_END) break;
        assert_int_equal(status, ADE_OK);
        at += sprintf(at, "%d.%d %s", (int)d.record->pmid, d.record->version, d.deleted ? "deleted" : d.source);
        for (size_t i = 0; i < d.n_rows; i++)
            at += sprintf(at, " [%d %.*s %.4f]", d.rows[i].sentence, (int)d.rows[i].text.size,
                          d.rows[i].text.data ? d.rows[i].text.data : "", (double)d.rows[i].result.score);
        at += sprintf(at, "%s\n", d.record->retracted ? " retracted" : "");
    }
    ade__export_close(exported);
    return text;
}

static void check_contents(const char *expected) {
    char *text = contents();
    assert_string_equal(text, expected);
    free(text);
}

/* The titles below and what their hash says: all are hits at this threshold, or none is. */
#define ALL_HIT 0.0001

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_update_sequence(void **state) {
    (void)state;
    write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "One.", "") RECORD("2", "1", "Two.", "")
                                            RECORD("3", "1", "Three.", "") RECORD("4", "1", "Four.", "")
                                                RECORD("5", "1", "Five.", "") RECORD("6", "1", "Six. And.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "1.1 0 One.\n2.1 0 Two.\n3.1 0 Three.\n4.1 0 Four.\n5.1 0 Five.\n6.1 0 Six.\n6.1 1 And.\n"
                              "end pubmed26n0001.xml 0 c6 n6 r0 u0 s0 d0\n");
    /* revised with the same text; with another; deleted; version 2; twice in one file; new; deleted and new again */
    write_text("pubmed26n0002.xml",
               SET(RECORD("1", "1", "One.", "") RECORD("2", "1", "Two changed.", "") RECORD("4", "2", "Four.", "")
                       RECORD("5", "1", "Five again.", "") RECORD("5", "1", "Five at last.", "")
                           RECORD("7", "1", "Seven.", "") RECORD("6", "1", "Six. And.", "")
                               "<DeleteCitation><PMID Version=\"1\">3</PMID><PMID>99</PMID></DeleteCitation>"));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "end pubmed26n0001.xml 0 skipped c6 n6 r0 u0 s0 d0\n"
                              "2.1 0 Two changed.\n5.1 0 Five again.\n5.1 0 Five at last.\n7.1 0 Seven.\n"
                              "deleted 3\ndeleted 99\nend pubmed26n0002.xml 0 c7 n1 r3 u3 s0 d2\n");
    assert_int_equal(stats.files_skipped, 1);
    assert_int_equal(stats.files_done, 1);
    char *text = contents();
    assert_non_null(strstr(text, "1.1 pubmed26n0002.xml [0 One."));
    assert_non_null(strstr(text, "2.1 pubmed26n0002.xml [0 Two changed."));
    assert_non_null(strstr(text, "3.1 deleted\n"));
    assert_non_null(strstr(text, "4.2 pubmed26n0002.xml [0 Four."));
    assert_non_null(strstr(text, "5.1 pubmed26n0002.xml [0 Five at last."));
    assert_non_null(strstr(text, "99.1 deleted\n"));
    assert_null(strstr(text, "Five."));
    assert_null(strstr(text, "Five again"));
    free(text);
    write_text("pubmed26n0003.xml", SET(RECORD("3", "1", "Three.", "") RECORD("4", "1", "Four old.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_non_null(strstr(rows, "3.1 0 Three.\nend pubmed26n0003.xml 0 c2 n1 r0 u0 s1 d0\n"));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END); /* nothing is left to do */
    assert_int_equal(stats.files_skipped, 3);
    assert_int_equal(stats.rows, 0);
}

/* A run that ends anywhere, unconfirmed rows and all, and is started again, gives the store of one that did not. */
static void test_stopped_anywhere(void **state) {
    char *expected = NULL;
    (void)state;
    for (int stop = 0; stop < 20; stop++) {
        write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "One.", "") RECORD("2", "1", "Two. Deux.", "")));
        write_text("pubmed26n0002.xml", SET(RECORD("2", "1", "Two. New.", "") "<DeleteCitation><PMID>1</PMID></DeleteCitation>"));
        write_text("pubmed26n0003.xml", SET(RECORD("1", "1", "One is back.", "") RECORD("2", "1", "Two. New.", "")));
        if (stop) (void)run((plan){.confirm = stop % 4, .threshold = ALL_HIT, .stop_after = stop});
        assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
        char *now = contents();
        if (expected)
            assert_string_equal(now, expected);
        else
            expected = strdup(now);
        free(now);
        assert_int_equal(empty_folder(NULL), 0);
    }
    assert_non_null(strstr(expected, "1.1 pubmed26n0003.xml [0 One is back."));
    free(expected);
}

/* What a file says that then fails must not make the next file's records look known. */
static void test_failed_file(void **state) {
    (void)state;
    write_text("pubmed26n0001.xml", "<PubmedArticleSet>" RECORD("1", "1", "One.", "") RECORD("2", "1", "Two.", "") "<Oops>");
    write_text("pubmed26n0002.xml", SET(RECORD("1", "1", "One.", "")));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
        assert_non_null(strstr(rows, "end pubmed26n0001.xml 6"));
        assert_non_null(strstr(warnings, "truncated"));
        assert_null(strstr(warnings, "were screened")); /* they will be again */
        assert_int_equal(stats.files_failed, 1);
    }
    assert_int_equal(stats.files_skipped, 1);
    char *text = contents();
    assert_non_null(strstr(text, "1.1 pubmed26n0002.xml [0 One."));
    assert_null(strstr(text, "Two."));
    free(text);
    /* Repaired later: what it says is older than what the second file said. */
    write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "One, the first.", "") RECORD("2", "1", "Two.", "")
                                            "<DeleteCitation><PMID>1</PMID></DeleteCitation>"));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "2.1 0 Two.\nend pubmed26n0001.xml 0 c2 n1 r0 u0 s1 d0\n"
                              "end pubmed26n0002.xml 0 skipped c1 n1 r0 u0 s0 d0\n");
    text = contents();
    assert_non_null(strstr(text, "1.1 pubmed26n0002.xml [0 One."));
    assert_non_null(strstr(text, "2.1 pubmed26n0001.xml [0 Two."));
    free(text);
}

static void test_unconfirmed(void **state) {
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_NEVER, .threshold = ALL_HIT}), ADE_END);
    check_contents("");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.rows, 1);
    write_text("a.xml", SET(RECORD("1", "1", "One changed.", ""))); /* the same name, another file */
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "1.1 0 One changed.\nend a.xml 0 c1 n0 r1 u0 s0 d0\n");
}

static void test_note(void **state) {
    ade_screen        *screen;
    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    char               store[256];
    (void)state;
    snprintf(store, sizeof store, "%s/store.sqlite", folder);
    options.store = store;
    options.threshold = ALL_HIT;
    write_text("a.xml", SET(RECORD("1", "1", "One.", "")));
    write_text("b.xml", SET(RECORD("2", "1", "Two.", "")));
    (void)run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT, .stop_after = 3, .note = "so far"});
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_string_equal(ade__screen_get_note(screen), "so far");
    ade__screen_close(screen);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_null(ade__screen_get_note(screen)); /* that run is complete */
    ade_screen *second;
    assert_int_equal(ade__screen_open(&model, &options, &second), ADE_BUSY);
    assert_non_null(strstr(ade_last_error(), "store.sqlite"));
    ade__screen_close(screen);
}

static void test_other_settings(void **state) {
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = 0.25}), ADE_UNSUPPORTED);
    assert_non_null(strstr(ade_last_error(), "threshold"));
    assert_non_null(strstr(ade_last_error(), "0.25"));
    strcpy(model_digest, "d2");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_UNSUPPORTED);
    strcpy(model_digest, "d1");
    assert_non_null(strstr(ade_last_error(), "model"));
    assert_non_null(strstr(ade_last_error(), "d2"));
    assert_int_equal(run((plan){.threshold = ALL_HIT, .other_abstracts = 1}), ADE_UNSUPPORTED);
    assert_int_equal(run((plan){.threshold = ALL_HIT, .no_store_text = true}), ADE_UNSUPPORTED);
}

static void test_documents(void **state) {
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One.", ABSTRACT("It fell. It rose.")) RECORD("2", "1", "--.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT, .documents = true}), ADE_END);
    double none = 1, best = 0;
    int    at = -1;
    static const char *const texts[] = {"One.", "It fell.", "It rose."};
    for (int i = 0; i < 3; i++) {
        const double score = (double)score_of((ade_text){texts[i], strlen(texts[i])});
        none *= 1 - score;
        if (score > best) best = score, at = i;
    }
    char expected[512];
    snprintf(expected, sizeof expected,
             "document 1.1 hits 3 of 3 score %.4f noisy_or %.4f best %d %s\nend a.xml 0 c2 n2 r0 u0 s0 d0\n", best,
             1 - none, at, texts[at]);
    assert_string_equal(rows, expected);
    assert_int_equal(stats.documents, 1);
}

static void test_dry_run(void **state) {
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One. Un.", "") "<DeleteCitation><PMID>9</PMID></DeleteCitation>"));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .dry_run = true}), ADE_END);
    assert_string_equal(rows, "end a.xml 0 c1 n1 r0 u0 s0 d1\n");
    assert_int_equal(stats.screened, 2);
    assert_int_not_equal(access(in_folder("store.sqlite"), F_OK), 0);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    write_text("b.xml", SET(RECORD("1", "1", "One. Un.", "") RECORD("2", "1", "Two.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .dry_run = true}), ADE_END);
    assert_string_equal(rows, "end a.xml 0 skipped c1 n1 r0 u0 s0 d1\nend b.xml 0 c2 n1 r0 u1 s0 d0\n");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.files_done, 1);
}

static void test_limit(void **state) {
    (void)state;
    write_text("a1.xml", SET(RECORD("1", "1", "One.", "") RECORD("2", "1", "Two.", "")));
    write_text("a2.xml", SET(RECORD("3", "1", "Three.", "") RECORD("4", "1", "Four.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT, .limit = 1}), ADE_END);
    assert_string_equal(rows, "1.1 0 One.\n2.1 0 Two.\nend a1.xml 0 c2 n2 r0 u0 s0 d0\n");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "end a1.xml 0 skipped c2 n2 r0 u0 s0 d0\n3.1 0 Three.\n4.1 0 Four.\n"
                              "end a2.xml 0 c2 n2 r0 u0 s0 d0\n");
}

/* An unchanged record may have been retracted since. */
static void test_retracted_later(void **state) {
    (void)state;
#define RETRACTED                                                                                                      \
    "<PubmedArticle><MedlineCitation><PMID Version=\"1\">1</PMID><Article><ArticleTitle>One.</ArticleTitle>"             \
    "<PublicationTypeList><PublicationType>Retracted Publication</PublicationType></PublicationTypeList></Article>"    \
    "</MedlineCitation></PubmedArticle>"
    write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "One.", "")));
    write_text("pubmed26n0002.xml", SET(RETRACTED));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.unchanged, 1);
    char *text = contents();
    assert_non_null(strstr(text, " retracted\n"));
    free(text);
}

static void test_threads(void **state) {
    char *expected = NULL;
    (void)state;
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
        for (int i = 1; i <= 60; i++) {
            char name[40], xml[4096];
            snprintf(name, sizeof name, "pubmed26n%04d.xml", i);
            snprintf(xml, sizeof xml, SET(RECORD("%d", "1", "Text %d. Here.", "") RECORD("7", "1", "Seven %d.", "")
                                              RECORD("%d", "1", "Text %d.", "")), i * 10, i, i / 2, i * 10 - 5, i);
            write_text(name, xml);
        }
        assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = 0.3, .threads = threads}), ADE_END);
        char *now = contents();
        if (!expected) {
            expected = malloc(rows_size + strlen(now) + 2);
            sprintf(expected, "%s\n%s", rows, now);
        } else {
            assert_memory_equal(expected, rows, rows_size);
            assert_string_equal(expected + rows_size + 1, now);
        }
        free(now);
        assert_int_equal(empty_folder(NULL), 0);
    }
    free(expected);
}

static void test_md5(void **state) {
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One.", "")));
    write_text("a.xml.md5", "MD5(a.xml)= 0123456789abcdef0123456789ABCDEF\n");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_string_equal(rows, "end a.xml 6 c0 n0 r0 u0 s0 d0\n");
    assert_non_null(strstr(warnings, "MD5 sum"));
    assert_non_null(strstr(warnings, "0123456789abcdef0123456789abcdef"));
    write_text("a.xml.md5", "none\n");
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_non_null(strstr(warnings, "holds no MD5 sum"));
    char command[512];
    snprintf(command, sizeof command, "cd '%s' && md5sum a.xml > a.xml.md5", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.files_done, 1);
    snprintf(command, sizeof command, "touch -d 2001-01-01 '%s/a.xml'", folder); /* a copy: the sum tells */
    assert_int_equal(system(command), 0);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.files_skipped, 1);
}

/* With one allocation that fails, or with all from there on, the run ends, and says why. */
static void out_of_memory(void (*fail_at)(long)) {
    ade_status status = ADE_OUT_OF_MEMORY;
    long       n = 0;
    for (; n < 3000 && status != ADE_END; n++) {
        assert_int_equal(empty_folder(NULL), 0);
        write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "One. Two.", ABSTRACT("Three. Four."))));
        write_text("pubmed26n0002.xml", SET(RECORD("1", "1", "One. Two.", ABSTRACT("Three. Five."))));
        write_text("pubmed26n0003.xml", "<PubmedArticleSet>" RECORD("4", "1", "One. Two.", "") "<Oops>");
        fail_at(n);
        ade_session_options session = ADE_SESSION_OPTIONS_INIT;
        ade_screen_options  options = ADE_SCREEN_OPTIONS_INIT;
        ade_screen         *screen = NULL;
        char                store[256];
        snprintf(store, sizeof store, "%s/store.sqlite", folder);
        session.threads = 1;
        options.session = &session;
        options.store = store;
        options.file_rows = 1;
        options.threshold = ALL_HIT;
        options.keep_going = 1;
        options.no_md5 = 1;
        status = ade__screen_open(&model, &options, &screen);
        if (!status) status = ade__screen_add(screen, folder);
        while (!status) {
            ade_screen_row row = ADE_SCREEN_ROW_INIT;
            status = ade__screen_next(screen, &row);
            if (!status && row.part == ADE_PART_FILE) status = ade__screen_confirm(screen);
        }
        if (status == ADE_END) status = ade__screen_confirm(screen) ? ADE_OUT_OF_MEMORY : ADE_END;
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_END || status == ADE_OUT_OF_MEMORY);
        ade__screen_close(screen);
    }
    assert_int_equal(status, ADE_END);
    assert_true(n > 30);
    unlink(in_folder("pubmed26n0003.xml"));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.files_skipped, 2);
}

static void test_out_of_memory(void **state) {
    (void)state;
    out_of_memory(ade__alloc_fail_at);
    out_of_memory(ade__alloc_fail_once);
}

/* A row of done files must not stop threads that may be only a few files ahead. */
static void test_many_done_files(void **state) {
    (void)state;
    for (int i = 1; i <= 40; i++) {
        char name[40], xml[1024];
        snprintf(name, sizeof name, "pubmed26n%04d.xml", i);
        snprintf(xml, sizeof xml, SET(RECORD("%d", "1", "Text %d.", "")), i, i);
        if (i != 1 && i != 20 && i != 40) write_text(name, xml);
    }
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    write_text("pubmed26n0001.xml", SET(RECORD("1", "1", "Text.", "")));
    write_text("pubmed26n0020.xml", SET(RECORD("20", "1", "Text.", "")));
    write_text("pubmed26n0040.xml", SET(RECORD("40", "1", "Text.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT, .threads = 1}), ADE_END);
    assert_int_equal(stats.files_skipped, 37);
    assert_int_equal(stats.files_done, 3);
    /* A limit that is not reached hides nothing. */
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT, .limit = 1000}), ADE_END);
    assert_int_equal(stats.files_skipped, 40);
}

/* What a failed file counted is taken back, also without a store if that is asked for; else it stands. */
static void test_failed_file_counts(void **state) {
    (void)state;
    write_text("a1.xml", SET(RECORD("1", "1", "One.", "")));
    write_text("a2.xml", "<PubmedArticleSet>" RECORD("2", "1", "Two.", "") "<Oops>");
    write_text("a3.xml", SET(RECORD("2", "1", "Two.", "") RECORD("1", "1", "One.", "")));
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_non_null(strstr(rows, "end a2.xml 6 c0 n0"));
    assert_int_equal(stats.citations, 3);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.rows, 2);
    for (int drop = 0; drop < 2; drop++) {
        ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
        ade_screen        *screen;
        ade_screen_row     row = ADE_SCREEN_ROW_INIT;
        ade_screen_stats   counts = ADE_SCREEN_STATS_INIT;
        unsigned           given = 0;
        options.threshold = ALL_HIT;
        options.keep_going = 1;
        options.drop_failed = drop;
        assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
        for (int i = 1; i <= 3; i++) {
            char name[8];
            snprintf(name, sizeof name, "a%d.xml", i);
            assert_int_equal(ade__screen_add(screen, in_folder(name)), ADE_OK);
        }
        while (!ade__screen_next(screen, &row)) given++;
        assert_int_equal(ade__screen_get_stats(screen, &counts), ADE_OK);
        assert_int_equal(given, drop ? 3 : 2); /* a2's record, and again from a3 if it was taken back */
        assert_int_equal(counts.new_citations, 2);
        assert_int_equal(counts.unchanged, drop ? 1 : 2);
        ade__screen_close(screen);
    }
}

/* Several files confirmed at once are one transaction: the note speaks of all. */
static void test_confirmed_late(void **state) {
    (void)state;
    for (int i = 1; i <= 5; i++) {
        char name[40], xml[1024];
        snprintf(name, sizeof name, "a%d.xml", i);
        snprintf(xml, sizeof xml, SET(RECORD("%d", "1", "Text %d.", "")), i, i);
        write_text(name, xml);
    }
    assert_int_equal(run((plan){.confirm = CONFIRM_AT_END, .threshold = ALL_HIT, .note = "all"}), ADE_END);
    assert_int_equal(run((plan){.confirm = CONFIRM_FILES, .threshold = ALL_HIT}), ADE_END);
    assert_int_equal(stats.files_skipped, 5);
}

#define TEST(f) cmocka_unit_test_teardown(f, empty_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_update_sequence), TEST(test_stopped_anywhere), TEST(test_failed_file), TEST(test_unconfirmed),
        TEST(test_note),            TEST(test_other_settings),   TEST(test_documents),   TEST(test_dry_run),
        TEST(test_limit),           TEST(test_retracted_later),  TEST(test_threads),     TEST(test_md5),
        TEST(test_out_of_memory),   TEST(test_many_done_files),  TEST(test_failed_file_counts), TEST(test_confirmed_late),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
