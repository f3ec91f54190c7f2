/* SPDX-License-Identifier: Apache-2.0
 * The screening pipeline with a session that scores a text by a hash of it, so that order, counts, faults, cancelling
 * and determinism are tested without a model. */
#include "alloc.h"
#include "baseline.h"
#include "chunk.h"
#include "inputs.h"
#include "known.h"
#include "model.h"
#include "screen.h"
#include "session.h"
#include "screen_fake.h"
#include "status.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

typedef struct run_log {
    char            *text; /* a line per part and row */
    size_t           size;
    uint64_t         rows, records, hits, parts; /* rows: of all kinds */
    uint64_t         hash;
    char             part_text[1 << 16];
    size_t           part_size;
    int64_t          part_pmid;
    int32_t          part, section_index;
    ade_screen_stats stats;
    char             warnings[4096];
    int              cancel_after; /* progress calls; 0 = never */
    int              progress_calls;
    uint64_t         last_done, total;
    char             error[2048];
} run_log;

static void note(run_log *log, const char *format, ...) {
    char    line[4096];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const size_t size = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    for (size_t i = 0; i < size; i++) log->hash = (log->hash ^ (unsigned char)line[i]) * 0x100000001b3u;
    if (log->size + size >= 100000) return; /* the hash goes on */
    log->text = realloc(log->text, log->size + size + 1);
    memcpy(log->text + log->size, line, size + 1);
    log->size += size;
}

static int on_progress(void *user, uint64_t done, uint64_t total) {
    run_log *log = user;
    assert_true(done >= log->last_done);
    if (total) assert_true(done <= total);
    log->last_done = done;
    log->total = total;
    return ++log->progress_calls == log->cancel_after;
}

static void on_log(void *user, ade_log_level level, const char *message) {
    run_log *log = user;
    assert_int_equal(level, ADE_LOG_WARNING);
    strncat(log->warnings, message, sizeof log->warnings - strlen(log->warnings) - 2);
    strcat(log->warnings, "\n");
}

static void on_part(void *user, const ade_screen_part *part) {
    run_log *log = user;
    log->parts++;
    log->part_pmid = part->pmid;
    log->part = part->part;
    log->section_index = part->section_index;
    log->part_size = part->text.size;
    if (part->text.size <= sizeof log->part_text) memcpy(log->part_text, part->text.data, part->text.size);
    note(log, "part %lld %d %d %.*s %zu %s\n", (long long)part->pmid, part->part, part->section_index,
         (int)part->section.size, part->section.data ? part->section.data : "", part->text.size, part->source);
}

static void check_sums(const ade_screen_stats *s) {
    assert_true(s->citations == s->new_citations + s->revised + s->unchanged + s->superseded);
    assert_true(s->sentences == s->screened + s->skipped);
    assert_true(s->hits <= s->screened);
    assert_true(s->files_done + s->files_failed <= s->files_total);
    assert_true(s->confirmed <= s->rows);
}

static uint64_t count_chars(const char *p, size_t size) {
    uint64_t n = 0;
    for (size_t i = 0; i < size; i++) n += ((unsigned char)p[i] & 0xc0) != 0x80;
    return n;
}

static void check_row(run_log *log, const ade_screen_row *row) {
    assert_int_equal(row->struct_size, sizeof *row);
    if (row->part == ADE_PART_DELETED) {
        assert_null(row->text.data);
        assert_null(row->logits);
        assert_true(row->text_hash == 0);
        note(log, "deleted %lld.%d %s\n", (long long)row->pmid, row->version, row->source);
        return;
    }
    if (row->part == ADE_PART_RECORD) {
        assert_null(row->text.data);
        assert_null(row->logits);
        assert_true(row->pmid == row->record->pmid && row->version == row->record->version);
        log->records++;
        note(log, "record %lld.%d s%d %016llx %u of %u %s\n", (long long)row->pmid, row->version, row->sentence,
             (unsigned long long)row->text_hash, row->record->n_hits, row->record->n_sentences, row->source);
        return;
    }
    assert_true(row->text_hash == 0);
    if (!row->probabilities) { /* a document without a sentence that could be screened */
        assert_int_equal(row->sentence, -1);
        note(log, "document %lld.%d %s\n", (long long)row->pmid, row->version, row->source);
        return;
    }
    assert_int_equal(row->end - row->start, row->text.size);
    if (log->parts && log->part_size <= sizeof log->part_text) { /* the callback came first and gave the same text */
        assert_int_equal(row->pmid, log->part_pmid);
        assert_int_equal(row->part, log->part);
        assert_true(row->end <= log->part_size);
        assert_memory_equal(row->text.data, log->part_text + row->start, row->text.size);
        assert_int_equal(row->start_char, count_chars(log->part_text, row->start));
        assert_int_equal(row->end_char, count_chars(log->part_text, row->end));
    }
    assert_true(row->probabilities[1] == row->result.score && row->logits[1] == row->result.score);
    log->hits += row->hit != 0;
    note(log, "row %lld.%d p%d s%d %.*s [%llu,%llu) %.*s %.6f %s\n", (long long)row->pmid, row->version, row->part,
         row->sentence, (int)row->section.size, row->section.data ? row->section.data : "",
         (unsigned long long)row->start, (unsigned long long)row->end, (int)row->text.size, row->text.data,
         (double)row->result.score, row->source);
}

/* Runs `files` (ended by NULL) to the end; the status that ended the run. */
static ade_status run_with(run_log *log, const char *const *files, ade_screen_options options) {
    ade_session_options session = ADE_SESSION_OPTIONS_INIT;
    ade_screen         *screen;
    session.progress = on_progress;
    session.progress_user = log;
    session.log = on_log;
    session.log_user = log;
    options.session = &session;
    ade_status status = ade__screen_open(&model, &options, &screen);
    if (status) return status;
    for (; *files && !status; files++) status = ade__screen_add(screen, *files);
    while (!status) {
        ade_screen_row row = ADE_SCREEN_ROW_INIT;
        log->stats = (ade_screen_stats)ADE_SCREEN_STATS_INIT;
        status = ade__screen_next(screen, &row);
        if (!status) {
            log->rows++;
            check_row(log, &row);
        }
        assert_int_equal(ade__screen_get_stats(screen, &log->stats), ADE_OK);
        check_sums(&log->stats);
        assert_true(log->stats.rows == log->rows - log->records);
        if (status) {
            snprintf(log->error, sizeof log->error, "%s", ade_last_error());
            assert_int_equal(ade__screen_next(screen, &row), status); /* and so for ever */
            assert_string_equal(ade_last_error(), log->error);
        }
    }
    snprintf(log->error, sizeof log->error, "%s", ade_last_error());
    ade__screen_close(screen);
    return status;
}

static ade_screen_options all_rows(run_log *log) {
    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    options.all = 1;
    if (log) {
        options.parts = on_part;
        options.parts_user = log;
    }
    return options;
}

static run_log *new_log(void) {
    run_log *log = calloc(1, sizeof *log);
    log->text = calloc(1, 1);
    return log;
}

static void free_log(run_log *log) {
    free(log->text);
    free(log);
}

static ade_status run_all(run_log *log, const char *const *files) { return run_with(log, files, all_rows(log)); }

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_real_files(void **state) {
    const char *files[] = {data_path("pubmed26n1334.xml.gz"), data_path("medline16n0902.xml.gz"),
                           data_path("pubmed20n1016.xml.gz"), NULL};
    uint64_t    hash = 0, all_hits = 0, rows = 0;
    (void)state;
    for (int round = 0; round < 3; round++) {
        run_log *log = new_log();
        classify_sleep = round == 1 ? 20000 : 0; /* let the queue fill */
        assert_int_equal(run_all(log, files), ADE_END);
        const ade_screen_stats *s = &log->stats;
        assert_int_equal(s->files_total, 3);
        assert_int_equal(s->files_done, 3);
        assert_int_equal(s->citations, 604 + 26 + 30);
        assert_int_equal(s->new_citations, 660);
        assert_int_equal(s->deleted, 263);
        assert_int_equal(s->bytes_read, 654158 + 45526 + 72456);
        assert_true(s->bytes_xml > 4000000);
        assert_int_equal(s->rows, s->screened + s->deleted);
        assert_true(s->screened > 5000);
        assert_int_equal(s->without_abstract, 660 - 526 - 23 - 27); /* one of the 24 abstracts is empty */
        assert_int_equal(log->last_done, s->bytes_read);
        assert_int_equal(log->total, s->bytes_read);
        assert_non_null(strstr(log->text, "medline16n0902.xml.gz")); /* 902 comes before 1016 and 1334 */
        assert_null(strstr(log->text, "pubmed26n1334.xml.gz"));
        if (round) assert_true(log->hash == hash);
        hash = log->hash;
        all_hits = log->hits;
        rows = log->rows;
        assert_int_equal(s->hits, all_hits);
        free_log(log);
    }
    run_log           *log = new_log();
    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    assert_int_equal(run_with(log, files, options), ADE_END);
    assert_int_equal(log->hits, all_hits);
    assert_int_equal(log->rows, all_hits + 263);
    assert_true(all_hits > 1000 && all_hits < rows);
    free_log(log);
}

static void test_rows(void **state) {
    const char *files[] = {in_folder("a.xml"), NULL};
    run_log    *log = new_log();
    (void)state;
    write_text("a.xml", SET(RECORD("7", "2", "Title one. A case.",
                                   "<Abstract><AbstractText Label=\"AIMS\">To see. \xce\xb2 rose.</AbstractText>"
                                   "<AbstractText/><AbstractText Label=\"UNLABELLED\">--. "
                                   "End.</AbstractText></Abstract>") "<PubmedArticle><MedlineCitation><PMID>8</PMID></"
                                                                     "MedlineCitation></PubmedArticle>"
                                                                     "<DeleteCitation><PMID "
                                                                     "Version=\"1\">9</PMID></DeleteCitation>"));
    ade_screen_options options = all_rows(log);
    assert_int_equal(run_with(log, files, options), ADE_END);
    char expected[2048], *p = expected;
#define LINE(...) p += snprintf(p, sizeof expected - (size_t)(p - expected), __VA_ARGS__)
#define SCORE(text) (double)score_of((ade_text){text, strlen(text)})
    LINE("part 7 0 0  18 a.xml\n");
    LINE("row 7.2 p0 s0  [0,10) Title one. %.6f a.xml\n", SCORE("Title one."));
    LINE("row 7.2 p0 s1  [11,18) A case. %.6f a.xml\n", SCORE("A case."));
    LINE("part 7 1 0 AIMS 16 a.xml\n");
    LINE("row 7.2 p1 s2 AIMS [0,7) To see. %.6f a.xml\n", SCORE("AIMS: To see."));
    LINE("row 7.2 p1 s3 AIMS [8,16) \xce\xb2 rose. %.6f a.xml\n", SCORE("\xce\xb2 rose."));
    LINE("part 7 1 2 UNLABELLED 8 a.xml\n");
    LINE("row 7.2 p1 s5 UNLABELLED [4,8) End. %.6f a.xml\n", SCORE("End."));
    LINE("deleted 9.1 a.xml\n");
    assert_string_equal(log->text, expected);
    assert_int_equal(log->stats.skipped, 1);
    assert_int_equal(log->stats.screened, 5);
    assert_int_equal(log->stats.unknown_tokens, 5);
    assert_int_equal(log->stats.without_text, 1);
    assert_int_equal(log->stats.without_abstract, 1);
    free_log(log);
}

static void test_section_labels(void **state) {
    static const struct {
        const char *label, *text, *expected;
    } cases[] = {
        {"RESULTS", "It fell. It rose.", "RESULTS: It fell.\nIt rose.\n"},
        {"RESULTS:", "It fell.", "RESULTS: It fell.\n"},
        {"RESULTS", "Results: It fell.", "Results: It fell.\n"},
        {"RESULTS", "RESULTS - It fell.", "RESULTS - It fell.\n"},
        {"AIM", "Aims were high.", "AIM: Aims were high.\n"},
        {"RESULTS", "Results of it fell.", "RESULTS: Results of it fell.\n"},
        {"UNLABELLED", "It fell.", "It fell.\n"},
        {"unassigned", "It fell.", "It fell.\n"},
        {"RESULTS", "--- ... It fell.", "RESULTS: It fell.\n"},
        {":", "It fell.", "It fell.\n"},
        {" ", "It fell.", "It fell.\n"},
    };
    const char *files[] = {in_folder("a.xml"), NULL};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int off = 0; off < 2; off++) {
            char               xml[1024];
            run_log           *log = new_log();
            ade_screen_options options = all_rows(log);
            snprintf(xml, sizeof xml,
                     SET(RECORD("1", "1", "", "<Abstract><AbstractText Label=\"%s\">%s</AbstractText></Abstract>")),
                     cases[i].label, cases[i].text);
            write_text("a.xml", xml);
            options.no_section_label = off;
            free(model_texts);
            model_texts = calloc(1, 1);
            model_texts_size = 0;
            assert_int_equal(run_with(log, files, options), ADE_END);
            if (!off)
                assert_string_equal(model_texts, cases[i].expected);
            else
                assert_memory_equal(model_texts, cases[i].text[0] == '-' ? "It fell." : cases[i].text, 5);
            free_log(log);
        }
}

static void test_repeated_records(void **state) {
    const char *files[] = {in_folder("pm26n0003.xml"), in_folder("pm26n0001.xml"), in_folder("pm26n0002.xml"), NULL};
    run_log    *log = new_log();
    (void)state;
    write_text("pm26n0001.xml", SET(RECORD("1", "1", "One.", "") RECORD("2", "3", "Two. Here.", "") RECORD(
                                    "1", "1", "One.", ABSTRACT("With text.")) RECORD("3", "1", "Three.", "")));
    write_text("pm26n0002.xml",
               SET(RECORD("2", "2", "Two old. Here. So.", "") RECORD("2", "4", "Two. Here.", "") RECORD(
                   "2", "3", "Two again.", "") "<DeleteCitation><PMID>3</PMID><PMID>77</PMID></DeleteCitation>"));
    write_text("pm26n0003.xml", SET(RECORD("3", "1", "Three.", "") RECORD("2", "4", "Two changed.", "")));
    assert_int_equal(run_all(log, files), ADE_END);
    const ade_screen_stats *s = &log->stats;
    assert_int_equal(s->citations, 9);
    assert_int_equal(s->new_citations, 4);
    assert_int_equal(s->revised, 2);
    assert_int_equal(s->unchanged, 1);
    assert_int_equal(s->superseded, 2);
    assert_int_equal(s->deleted, 2);
    assert_int_equal(s->skipped, 3 + 2 + 1);
    assert_int_equal(s->screened, 1 + 2 + 2 + 1 + 1 + 1);
    const char *first = strstr(log->text, "pm26n0001"), *second = strstr(log->text, "pm26n0002"),
               *third = strstr(log->text, "pm26n0003");
    assert_true(first && first < second && second < third);
    assert_null(strstr(log->text, "Two old"));
    assert_null(strstr(log->text, "Two again"));
    assert_non_null(strstr(log->text, "Two changed"));
    free_log(log);
}

/* Equal texts have equal hashes, and only they. */
static uint64_t hash_in(const char *rows, const char *record) {
    const char *at = strstr(rows, record);
    if (!at) fail_msg("no \"%s\" in:\n%s", record, rows);
    return strtoull(at + strlen(record), NULL, 16);
}

static void without_hashes(char *rows) {
    for (char *at = rows; (at = strstr(at, " s-1 ")) != NULL; at += 5) memmove(at + 5, at + 22, strlen(at + 22) + 1);
}

static void test_record_rows(void **state) {
    const char        *files[] = {in_folder("a.xml"), NULL};
    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    (void)state;
    write_text("a.xml", SET(RECORD("1", "1", "One.", "") RECORD("1", "1", "One.", "")  /* unchanged */
                            RECORD("1", "3", "One.", "")                               /* a version may lie between */
                            RECORD("1", "2", "One old.", "")                           /* superseded */
                            RECORD("2", "1", "Two.", ABSTRACT("In one.")) RECORD("1", "3", "One new.", "")
                            RECORD("3", "1", "", "") "<DeleteCitation><PMID Version=\"3\">1</PMID></DeleteCitation>"
                            RECORD("1", "1", "One.", "")));
    static const char expected[] = "record 1.1 s-1 0 of 1 a.xml\nrecord 1.3 s-1 0 of 1 a.xml\n"
                                   "record 2.1 s-1 0 of 2 a.xml\nrecord 1.3 s-1 0 of 1 a.xml\n"
                                   "record 3.1 s-1 0 of 0 a.xml\ndeleted 1.3 a.xml\nrecord 1.1 s-1 0 of 1 a.xml\n";
    run_log *log = new_log();
    options.record_rows = 1;
    options.threshold = 2; /* no hits: these rows come all the same */
    assert_int_equal(run_with(log, files, options), ADE_END);
    const uint64_t one = hash_in(log->text, "record 1.1 s-1 ");
    assert_true(one != 0 && hash_in(log->text, "record 1.3 s-1 ") == one);
    assert_true(hash_in(strstr(log->text, "record 2.1"), "record 1.3 s-1 ") != one);
    assert_true(hash_in(strstr(log->text, "deleted"), "record 1.1 s-1 ") == one);
    without_hashes(log->text);
    assert_string_equal(log->text, expected);
    assert_int_equal(log->stats.rows, 1);
    assert_int_equal(log->stats.new_citations, 4);
    assert_int_equal(log->stats.revised, 2);
    assert_int_equal(log->stats.unchanged, 1);
    assert_int_equal(log->stats.superseded, 1);
    free_log(log);

    for (int documents = 0; documents < 2; documents++) { /* and before the sentences or the document of the record */
        log = new_log();
        options.all = 1;
        options.documents = documents;
        assert_int_equal(run_with(log, files, options), ADE_END);
        const char *two = strstr(log->text, "record 2.1"), *row = strstr(log->text, "row 2.1"),
                   *next = strstr(two, "record 1.3");
        assert_true(two && row && next && two < row && row < next);
        assert_int_equal(log->records, 6);
        free_log(log);
    }
    options.documents = 0;

    log = new_log(); /* without them, nothing is as it was not */
    options.record_rows = 0;
    assert_int_equal(run_with(log, files, options), ADE_END);
    assert_int_equal(log->records, 0);
    assert_int_equal(log->stats.unchanged, 2);
    free_log(log);

    ade_screen *screen;
    options.record_rows = 1;
    options.store = in_folder("store.sqlite");
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_INVALID_ARGUMENT);
    assert_non_null(strstr(ade_last_error(), "store.sqlite"));
}

static void test_input(void **state) {
    ade_screen    *screen;
    ade_screen_row row = ADE_SCREEN_ROW_INIT;
    char           ten[4096], nine[4096], extra[4096];
    (void)state;
    snprintf(ten, sizeof ten, "%s", in_folder("pm26n0010.xml"));
    snprintf(nine, sizeof nine, "%s", in_folder("pm26n0009.xml"));
    snprintf(extra, sizeof extra, "%s", in_folder("extra.xml"));
    write_text("pm26n0010.xml", SET(RECORD("10", "1", "Ten.", "")));
    write_text("extra.xml", SET(RECORD("1", "1", "One.", "")));
    assert_int_equal(ade__screen_open(&model, NULL, &screen), ADE_OK);
    assert_null(ade__screen_input(screen, 0));
    assert_int_equal(ade__screen_add(screen, folder), ADE_OK);
    const char *first = ade__screen_input(screen, 0);
    assert_string_equal(first, extra);
    assert_string_equal(ade__screen_input(screen, 1), ten);
    assert_null(ade__screen_input(screen, 2));
    write_text("pm26n0009.xml", SET(RECORD("9", "1", "Nine.", "")));
    assert_int_equal(ade__screen_add(screen, nine), ADE_OK); /* what is added later may come before */
    for (int round = 0; round < 2; round++) {
        assert_ptr_equal(ade__screen_input(screen, 0), first);
        assert_string_equal(ade__screen_input(screen, 1), nine);
        assert_string_equal(ade__screen_input(screen, 2), ten);
        assert_null(ade__screen_input(screen, 3));
        assert_null(ade__screen_input(screen, SIZE_MAX));
        ade_status status = ade__screen_next(screen, &row);
        assert_true(status == ADE_OK || status == ADE_END);
    }
    ade__screen_close(screen);
}

static void test_limit(void **state) {
    const char *files[] = {in_folder("a1.xml"), in_folder("a2.xml"), NULL};
    (void)state;
    write_text("a1.xml", SET(RECORD("1", "1", "One.", "") RECORD("2", "1", "Two.", "")));
    write_text("a2.xml", SET(RECORD("3", "1", "Three.", "") RECORD("4", "1", "Four.", "")));
    for (uint64_t limit = 1; limit <= 5; limit++) {
        run_log           *log = new_log();
        ade_screen_options options = all_rows(log);
        options.limit = limit;
        assert_int_equal(run_with(log, files, options), ADE_END);
        assert_int_equal(log->rows, limit < 4 ? limit : 4);
        assert_int_equal(log->stats.citations, limit < 4 ? limit : 4);
        assert_int_equal(log->stats.files_done, limit < 2 ? 0 : limit < 4 ? 1 : 2);
        free_log(log);
    }
}

static void test_bad_file_between_good_ones(void **state) {
    const char *files[] = {in_folder("a1.xml"), in_folder("a2.xml"), in_folder("a3.xml"), NULL};
    (void)state;
    write_text("a1.xml", SET(RECORD("1", "1", "One.", "")));
    write_text("a2.xml", "<PubmedArticleSet>" RECORD("2", "1", "Two.", "") "\n<PubmedArticle>");
    write_text("a3.xml", SET(RECORD("3", "1", "Three.", "")));
    run_log *log = new_log();
    assert_int_equal(run_all(log, files), ADE_BAD_INPUT);
    assert_int_equal(log->rows, 2); /* what is before the break is delivered first */
    assert_non_null(strstr(log->error, "a2.xml:"));
    assert_non_null(strstr(log->error, "truncated"));
    assert_int_equal(log->stats.files_failed, 1);
    assert_int_equal(log->stats.files_done, 1);
    free_log(log);

    log = new_log();
    ade_screen_options options = all_rows(log);
    options.keep_going = 1;
    assert_int_equal(run_with(log, files, options), ADE_END);
    assert_int_equal(log->rows, 3);
    assert_int_equal(log->stats.files_failed, 1);
    assert_int_equal(log->stats.files_done, 2);
    assert_non_null(strstr(log->warnings, "a2.xml:"));
    free_log(log);

    ade_screen    *screen; /* a file that goes between add and next */
    ade_screen_row row = ADE_SCREEN_ROW_INIT;
    assert_int_equal(ade__screen_open(&model, NULL, &screen), ADE_OK);
    assert_int_equal(ade__screen_add(screen, files[0]), ADE_OK);
    unlink(files[0]);
    row.pmid = -1;
    assert_int_equal(ade__screen_next(screen, &row), ADE_IO);
    assert_int_equal(row.pmid, -1); /* outputs are untouched */
    assert_non_null(strstr(ade_last_error(), "a1.xml"));
    ade__screen_close(screen);
}

static void test_add(void **state) {
    ade_screen        *screen;
    ade_screen_row     row = ADE_SCREEN_ROW_INIT;
    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    (void)state;
    assert_int_equal(ade__screen_open(&model, NULL, &screen), ADE_OK);
    assert_int_equal(ade__screen_add(screen, in_folder("none.xml")), ADE_IO);
    assert_non_null(strstr(ade_last_error(), "none.xml"));
    assert_int_equal(ade__screen_add(screen, folder), ADE_IO); /* nothing in it */
    assert_non_null(strstr(ade_last_error(), "*.xml"));
    write_text("b10.xml", SET(RECORD("10", "1", "Ten is here.", "")));
    write_text("b9.xml", SET(RECORD("9", "1", "Nine is here.", "")));
    write_text("notes.txt", "no");
    write_text("._b9.xml", "no");
    assert_int_equal(mkdir(in_folder("sub.xml"), 0700), 0);
    assert_int_equal(ade__screen_add(screen, folder), ADE_OK);
    assert_int_equal(ade__screen_add(screen, in_folder("b9.xml")), ADE_INVALID_ARGUMENT);
    assert_non_null(strstr(ade_last_error(), "given twice"));
    assert_int_equal(symlink("b9.xml", in_folder("other.xml")), 0);
    assert_int_equal(ade__screen_add(screen, in_folder("other.xml")), ADE_INVALID_ARGUMENT);
    assert_int_equal(ade__screen_add(screen, folder), ADE_INVALID_ARGUMENT);
    ade_screen_stats stats = ADE_SCREEN_STATS_INIT;
    assert_int_equal(ade__screen_get_stats(screen, &stats), ADE_OK);
    assert_int_equal(stats.files_total, 2);
    ade__screen_close(screen);

    options.all = 1;
    unlink(in_folder("other.xml"));
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_int_equal(ade__screen_add(screen, folder), ADE_OK);
    assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
    assert_int_equal(row.pmid, 9);
    assert_string_equal(row.source, "b9.xml");
    assert_int_equal(ade__screen_add(screen, "-"), ADE_INVALID_ARGUMENT); /* too late */
    assert_int_equal(ade__screen_confirm(screen), ADE_OK);
    assert_int_equal(ade__screen_get_stats(screen, &stats), ADE_OK);
    assert_int_equal(stats.confirmed, 1);
    assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
    assert_int_equal(row.pmid, 10);
    assert_int_equal(ade__screen_next(screen, &row), ADE_END);
    ade_session_info info = ADE_SESSION_INFO_INIT;
    assert_int_equal(ade__screen_get_session_info(screen, &info), ADE_OK);
    ade__screen_close(screen);
    ade__screen_close(NULL);

    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK); /* nothing to read is no fault */
    assert_int_equal(ade__screen_add(screen, "-"), ADE_OK);
    assert_int_equal(ade__screen_add(screen, "-"), ADE_INVALID_ARGUMENT);
    ade__screen_close(screen);
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_int_equal(ade__screen_next(screen, &row), ADE_END);
    ade__screen_close(screen);
    options.threshold = (double)__builtin_nanf("");
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_INVALID_ARGUMENT);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_cancelled_on_a_silent_pipe(void **state) {
    const char *files[] = {in_folder("pipe.xml"), NULL};
    (void)state;
    assert_int_equal(mkfifo(files[0], 0600), 0);
    for (int i = 1; i < 4; i++) {
        run_log     *log = new_log();
        const double before = now();
        log->cancel_after = i;
        assert_int_equal(run_all(log, files), ADE_CANCELLED);
        assert_int_equal(log->progress_calls, i);
        assert_int_equal(log->total, 0);
        assert_true(now() - before < 2);
        free_log(log);
    }
    ade_screen        *screen; /* a run may be closed while its reader waits for more */
    ade_screen_row     row = ADE_SCREEN_ROW_INIT;
    ade_screen_options options = all_rows(NULL);
    assert_int_equal(rename(files[0], in_folder("pipe99n9999.xml")), 0);
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_int_equal(ade__screen_add(screen, in_folder("pipe99n9999.xml")), ADE_OK);
    assert_int_equal(ade__screen_add(screen, data_path("medline16n0902.xml.gz")), ADE_OK);
    const int         fd = open(in_folder("pipe99n9999.xml"), O_RDWR);
    static const char head[] = "<PubmedArticleSet>" RECORD("1", "1", "One.", "");
    assert_int_equal(write(fd, head, strlen(head)), (ssize_t)strlen(head));
    assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
    usleep(300000); /* its chunks fit into the queue, so the reader comes to the pipe */
    const double before = now();
    ade__screen_close(screen);
    assert_true(now() - before < 2);
    close(fd);
}

static void test_cancelled_while_classifying(void **state) {
    const char *files[] = {data_path("medline16n0902.xml.gz"), NULL};
    (void)state;
    classify_progress = 500;
    for (int i = 1; i < 4; i++) {
        const double before = now();
        run_log     *log = new_log();
        log->cancel_after = i;
        assert_int_equal(run_all(log, files), ADE_CANCELLED);
        assert_int_equal(log->progress_calls, i);
        assert_true(now() - before < 2);
        free_log(log);
    }
}

static void test_failing_session(void **state) {
    const char *files[] = {data_path("medline16n0902.xml.gz"), NULL};
    run_log    *log = new_log();
    (void)state;
    classify_fails = ADE_DEVICE;
    assert_int_equal(run_all(log, files), ADE_DEVICE);
    assert_string_equal(log->error, "the session failed");
    free_log(log);
}

static void test_closed_early(void **state) {
    (void)state;
    for (int rows = 0; rows < 3; rows++) {
        ade_screen        *screen;
        ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
        options.all = 1;
        assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
        assert_int_equal(ade__screen_add(screen, data_path("medline16n0902.xml.gz")), ADE_OK);
        for (int i = 0; i < rows; i++) {
            ade_screen_row row = ADE_SCREEN_ROW_INIT;
            assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
        }
        ade__screen_close(screen);
    }
}

/* A part larger than a chunk is spread over several; its rows and offsets must not show it. */
static void test_huge_part(void **state) {
    const char *files[] = {in_folder("a.xml"), NULL};
    const int   n = 60000;
    (void)state;
    FILE *file = fopen(files[0], "w");
    assert_non_null(file);
    fputs("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T.</"
          "ArticleTitle><Abstract>"
          "<AbstractText Label=\"RESULTS\">",
          file);
    for (int i = 0; i < n; i++) fprintf(file, "Sentence %05d \xce\xb1 ends. ", i);
    fputs("</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>", file);
    fclose(file);
    run_log           *log = new_log();
    ade_screen        *screen;
    ade_screen_options options = all_rows(log);
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_OK);
    assert_int_equal(ade__screen_add(screen, files[0]), ADE_OK);
    ade_screen_row row = ADE_SCREEN_ROW_INIT;
    assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
    for (int i = 0; i < n; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "Sentence %05d \xce\xb1 ends.", i);
        assert_int_equal(ade__screen_next(screen, &row), ADE_OK);
        assert_int_equal(row.sentence, i + 1);
        assert_int_equal(row.text.size, strlen(expected));
        assert_memory_equal(row.text.data, expected, row.text.size);
        assert_int_equal(row.start, (size_t)i * (strlen(expected) + 1));
        assert_int_equal(row.start_char, (size_t)i * strlen(expected));
        assert_memory_equal(row.section.data, "RESULTS", 7);
        assert_int_equal(row.pmid, 1);
    }
    assert_int_equal(ade__screen_next(screen, &row), ADE_END);
    assert_int_equal(log->parts, 2);
    ade__screen_close(screen);
    free_log(log);
}

static void test_out_of_memory(void **state) {
    const char *files[] = {in_folder("a1.xml"), data_path("handmade.xml"), NULL};
    ade_status  status = ADE_OUT_OF_MEMORY;
    long        n = 0;
    (void)state;
    write_text("a1.xml", SET(RECORD("1", "1", "One. Two.", ABSTRACT("Three. Four."))));
    for (; n < 2000 && status != ADE_END; n++) {
        run_log *log = new_log();
        ade__alloc_fail_at(n);
        status = run_all(log, files);
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_END || status == ADE_OUT_OF_MEMORY);
        free_log(log);
    }
    assert_int_equal(status, ADE_END);
    assert_true(n > 20);
}

/* The texts that a session got in a run over all sentences. */
static char *texts_of_run(run_log *log, const char *const *files, ade_model *prefilter, double threshold) {
    ade_screen_options options = all_rows(log);
    options.prefilter = prefilter;
    options.prefilter_threshold = threshold;
    free(model_texts);
    model_texts = calloc(1, 1);
    model_texts_size = 0;
    assert_int_equal(run_with(log, files, options), ADE_END);
    char *texts = model_texts;
    model_texts = NULL;
    return texts;
}

/* Exactly the sentences that the baseline gives as much come to the session, in the same order and with the same rows;
 * the others are counted. */
static void test_prefilter(void **state) {
    const char           *files[] = {data_path("pubmed26n1334.xml.gz"), data_path("handmade.xml"), NULL};
    const double          threshold = (double)0.02f;
    ade_model             prefilter = {0};
    ade_baseline_scratch *scratch;
    const ade_log         nobody = {NULL, NULL};
    run_log              *all = new_log(), *some = new_log(), *none = new_log();
    (void)state;
    assert_int_equal(ade__config_read(ADE_MODELS_DIR "/tfidf-logreg", NULL, &nobody, &prefilter.config), ADE_OK);
    assert_int_equal(ade__baseline_open(ADE_MODELS_DIR "/tfidf-logreg", &nobody, &prefilter.config, &prefilter.tensors,
                                        &prefilter.baseline), ADE_OK);
    assert_int_equal(ade__baseline_scratch_new(prefilter.baseline, &scratch), ADE_OK);
    char  *everything = texts_of_run(all, files, NULL, 0), *passed = texts_of_run(some, files, &prefilter, threshold);
    char  *expected = calloc(1, strlen(everything) + 1), *to = expected;
    size_t left_out = 0;
    for (char *line = everything, *end; *line; line = end + 1) {
        float               logits[2], probabilities[2];
        ade_baseline_result terms;
        end = strchr(line, '\n');
        assert_int_equal(ade__baseline_score(prefilter.baseline, scratch, (ade_text){line, (size_t)(end - line)},
                                             ADE_INVALID_UTF8_ERROR, logits, probabilities, &terms), ADE_OK);
        if ((double)probabilities[1] >= threshold)
            memcpy(to, line, (size_t)(end + 1 - line)), to += end + 1 - line;
        else
            left_out++;
    }
    assert_string_equal(passed, expected);
    assert_true(left_out > 50);
    assert_int_equal(some->stats.prefiltered, left_out);
    assert_int_equal(all->stats.prefiltered, 0);
    assert_int_equal(some->stats.sentences, all->stats.sentences);
    assert_int_equal(some->stats.screened, all->stats.screened - left_out);
    const char *at = all->text; /* each line of `some` is one of `all`, in order */
    for (char *line = strtok(some->text, "\n"); line; line = strtok(NULL, "\n")) {
        at = strstr(at, line);
        assert_non_null(at);
    }
    free(texts_of_run(none, files, &prefilter, 1.5));
    assert_int_equal(none->stats.screened, 0);
    assert_int_equal(held_models, 0);

    ade_screen_options options = ADE_SCREEN_OPTIONS_INIT;
    ade_screen        *screen;
    options.prefilter = &model; /* no baseline */
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_UNSUPPORTED);
    assert_non_null(strstr(ade_last_error(), "is no baseline"));
    options.prefilter = &prefilter;
    prefilter.folder = model.folder = (char[]){"x"};
    model.config.positive_label = 0; /* not what the prefilter looks for */
    assert_int_equal(ade__screen_open(&model, &options, &screen), ADE_INVALID_ARGUMENT);
    assert_non_null(strstr(ade_last_error(), "looks for \"ADE\" and the model x for \"not ADE\""));
    model.config.positive_label = 1;
    model.folder = NULL;
    for (long n = 0; n < 6; n++) { /* its memory fails, too */
        ade__alloc_fail_at(n);
        ade_status status = ade__screen_open(&model, &options, &screen);
        if (!status) {
            ade_screen_row row = ADE_SCREEN_ROW_INIT;
            status = ade__screen_next(screen, &row);
            ade__screen_close(screen);
        }
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_OUT_OF_MEMORY || status == ADE_END);
    }
    assert_int_equal(held_models, 0);
    free(everything);
    free(passed);
    free(expected);
    ade__baseline_scratch_free(scratch);
    ade__baseline_free(prefilter.baseline);
    ade__tensors_close(prefilter.tensors);
    ade__config_clear(&prefilter.config);
    free_log(all);
    free_log(some);
    free_log(none);
}

static void test_known(void **state) {
    ade_known           *known;
    ade_novelty          novelty;
    bool                 applies;
    const ade_input_file file = {.name = "a.xml"};
    (void)state;
    assert_int_equal(ade__known_new(NULL, false, false, &known), ADE_OK);
    assert_int_equal(ade__known_begin_file(known, &file), ADE_OK);
    assert_int_equal(ade__known_delete(known, 5, &applies), ADE_OK); /* nothing there yet */
    assert_true(applies);
    for (int64_t pmid = 1; pmid < 50000; pmid++) {
        assert_int_equal(ade__known_note(known, pmid * 7, 1, (uint64_t)pmid, &novelty), ADE_OK);
        assert_int_equal(novelty, ADE_NOVELTY_NEW);
    }
    for (int64_t pmid = 1; pmid < 50000; pmid++) {
        if (pmid % 3 == 0) ade__known_delete(known, pmid * 7, &applies);
        ade__known_note(known, pmid * 7, 1, (uint64_t)pmid + (pmid % 2 == 0), &novelty);
        assert_int_equal(novelty, pmid % 3 == 0   ? ADE_NOVELTY_NEW
                                  : pmid % 2 == 0 ? ADE_NOVELTY_REVISED
                                                  : ADE_NOVELTY_UNCHANGED);
        ade__known_note(known, pmid * 7, 3, 1, &novelty);
        ade__known_note(known, pmid * 7, 2, 2, &novelty);
        assert_int_equal(novelty, ADE_NOVELTY_SUPERSEDED);
    }
    assert_int_equal(ade__known_note(known, INT64_MAX, INT32_MAX, 0, &novelty), ADE_OK);
    assert_int_equal(novelty, ADE_NOVELTY_NEW);
    ade__known_note(known, INT64_MAX, INT32_MAX, 0, &novelty);
    assert_int_equal(novelty, ADE_NOVELTY_UNCHANGED);
    ade__known_free(known);
    ade__known_free(NULL);

    const ade_record_section one[] = {{.label = {"A", 1}, .text = {"bc", 2}}},
                             two[] = {{.label = {"Ab", 2}, .text = {"c", 1}}};
    ade_record               a = {.title = {"t", 1}, .sections = one, .n_sections = 1}, b = a;
    b.sections = two;
    assert_true(ade__record_hash(&a, 0) == ade__record_hash(&a, 0));
    assert_true(ade__record_hash(&a, 0) != ade__record_hash(&b, 0));
    /* Stores keep the hash, so it must never change: 8 bytes a word, little-endian. */
    b.title = (ade_text){"Twelve bytes", 12};
    b.n_sections = 0;
    assert_true(ade__record_hash(&b, 0) == 0x840407551d68883fu);
}

static void test_numbers_in_names(void **state) {
    static const struct {
        const char *name;
        bool        found;
        uint64_t    number;
    } cases[] = {
        {"pubmed26n1334.xml.gz", true, 1334},
        {"medline16n0902.xml", true, 902},
        {"pubmed_no_rows.xml", false, 0},
        {"a1b22c.v7.xml", true, 22},
        {"x.7", false, 0},
        {"-", false, 0},
        {"n99999999999999999999999.xml", true, UINT64_MAX},
        {"0", true, 0},
        {"", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t number = 0;
        assert_int_equal(ade__inputs_number(cases[i].name, &number), cases[i].found);
        assert_true(number == cases[i].number);
    }
}

#define TEST(f) cmocka_unit_test_teardown(f, empty_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_real_files),
        TEST(test_rows),
        TEST(test_section_labels),
        TEST(test_repeated_records),
        TEST(test_record_rows),
        TEST(test_input),
        TEST(test_limit),
        TEST(test_bad_file_between_good_ones),
        TEST(test_add),
        TEST(test_cancelled_on_a_silent_pipe),
        TEST(test_cancelled_while_classifying),
        TEST(test_failing_session),
        TEST(test_closed_early),
        TEST(test_huge_part),
        TEST(test_out_of_memory),
        TEST(test_prefilter),
        TEST(test_known),
        TEST(test_numbers_in_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
