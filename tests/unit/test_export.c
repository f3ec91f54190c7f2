/* SPDX-License-Identifier: Apache-2.0
 * Export: what a store holds comes out as it went in, in the order of PMIDs, whatever bytes its texts are made of. */
#include "test_state.h"

#include <locale.h>

static void open_at(ade_export **exported) { CHECK_OK(ade__export_open(path, exported)); }

static void expect_text(ade_text text, const char *data, size_t size) {
    if (text.size != size || (size && memcmp(text.data, data, size)))
        fail_msg("\"%.*s\" instead of \"%.*s\"", (int)text.size, text.data, (int)size, data);
    assert_int_equal(text.data == NULL, data == NULL);
}
static void expect_words(ade_text text, const char *string) { expect_text(text, string, strlen(string)); }

static void begin(ade_state *state, int i) {
    const ade_state_file file = file_named(i);
    CHECK_OK(ade__state_begin_file(state, &file));
}
static void commit(ade_state *state, int i) {
    const ade_state_file file = file_named(i);
    CHECK_OK(commit_file(state, &file, NULL));
}

/* PMIDs 1 to 9: deleted, two hits, none, one, deleted, .. */
static void make_store(void) {
    ade_state *state = open_store(path);
    begin(state, 1);
    CHECK_OK(put(state, 6, 1, 1));
    CHECK_OK(put(state, 2, 3, 2));
    CHECK_OK(ade__state_put_deleted(state, 9, 4));
    CHECK_OK(put(state, 3, 1, 0));
    commit(state, 1);
    begin(state, 2);
    CHECK_OK(ade__state_put_deleted(state, 1, 2));
    CHECK_OK(ade__state_put_deleted(state, 5, 1));
    CHECK_OK(put_same(state, 6, 2, true));
    commit(state, 2);
    CHECK_OK(ade__state_finish(state, "{\"hits\":\n3}"));
    ade__state_close(state);
}

static void expect_next(ade_export *e, double threshold, bool deleted, int64_t pmid, size_t rows, int version) {
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    CHECK_OK(ade__export_next(e, threshold, deleted, &d));
    assert_int_equal(d.record->pmid, pmid);
    assert_int_equal(d.record->version, version);
    assert_int_equal(d.n_rows, rows);
    assert_int_equal(d.record->n_hits, rows);
    assert_int_equal(d.deleted, rows == 0);
    assert_int_equal(d.struct_size, sizeof d);
    assert_non_null(d.source);
}

static void test_order(void **unused) {
    (void)unused;
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    make_store();
    open_at(&e);
    expect_next(e, -1.0, false, 2, 2, 3);
    expect_next(e, -1.0, false, 6, 1, 2 + check_wrong());
    for (int i = 0; i < 2; i++) CHECK_STATUS(ade__export_next(e, -1.0, false, &d), ADE_END);
    assert_null(d.record);
    ade__export_close(e);
    open_at(&e);
    expect_next(e, 0.5, true, 1, 0, 2);
    expect_next(e, 0.875, true, 2, 2, 3);
    expect_next(e, 0.5, true, 5, 0, 1);
    expect_next(e, 0.5, true, 6, 1, 2);
    expect_next(e, 0.5, true, 9, 0, 4);
    CHECK_STATUS(ade__export_next(e, -1.0, true, &d), ADE_END);
    ade__export_close(e);
    open_at(&e); /* above every score: tombstones only */
    expect_next(e, 0.876, true, 1, 0, 2);
    expect_next(e, 0.876, true, 5, 0, 1);
    expect_next(e, 0.876, true, 9, 0, 4);
    CHECK_STATUS(ade__export_next(e, 0.876, true, &d), ADE_END);
    ade__export_close(e);
    open_at(&e);
    CHECK_STATUS(ade__export_next(e, 0.49, false, &d), ADE_INVALID_ARGUMENT);
    assert_non_null(strstr(ade_last_error(), path));
    CHECK_STATUS(ade__export_next(e, (double)NAN, false, &d), ADE_INVALID_ARGUMENT);
    expect_next(e, -1.0, false, 2, 2, 3); /* an error took nothing away */
    ade__export_close(e);
    ade__export_close(NULL);
}

static void test_content(void **unused) {
    (void)unused;
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    make_store();
    open_at(&e);
    CHECK_OK(ade__export_next(e, -1.0, false, &d));
    const ade_screen_record *r = d.record;
    expect_words(r->title, "Title of 2 v3");
    expect_words(r->journal, "J");
    expect_words(r->date, "2016-05");
    expect_words(r->date_revised, "");
    expect_words(r->doi, "10.1/x");
    assert_int_equal(r->languages.n, 0);
    assert_int_equal(r->publication_types.n, 2);
    expect_words(r->publication_types.items[0], "Case Reports");
    expect_words(r->publication_types.items[1], "Journal Article");
    assert_int_equal(r->mesh.n, 1);
    expect_words(r->mesh.items[0], "*Aspirin/adverse effects");
    assert_int_equal(r->chemicals.n, 0);
    assert_int_equal(r->n_sentences, 3);
    assert_int_equal(r->n_screened, 2);
    assert_true(r->score == 0.875 && r->noisy_or == 0.9);
    assert_int_equal(r->mesh_adverse_effects, 1);
    assert_int_equal(r->mesh_chemically_induced + r->book + r->retracted, 0);
    assert_string_equal(d.source, "pubmed26n0001.xml.gz");
    for (int i = 0; i < 2; i++) {
        const ade_screen_row *row = &d.rows[i];
        char                  text[64];
        snprintf(text, sizeof text, "Sentence %d of 2 v3.", i);
        expect_words(row->text, text);
        expect_words(row->section, "RESULTS");
        assert_int_equal(row->part, ADE_PART_ABSTRACT);
        assert_true(row->pmid == 2 && row->version == 3 && row->sentence == i && row->section_index == 3);
        assert_true(row->start == 10 && row->end == 29 + 0 * i && row->start_char == 9 && row->end_char == 28);
        assert_true(row->result.label == 1 && row->result.score == 0.875f && row->result.tokens == 12);
        assert_true(row->result.unknown == 1 && row->result.truncated == 0 && row->result.replaced == 2);
        assert_true(row->hit == 1 && !row->logits && !row->probabilities && !row->record);
        assert_string_equal(row->source, "pubmed26n0001.xml.gz");
        assert_string_equal(d.labels[i], "ADE");
    }
    assert_int_equal(d.n_parts, 2);
    assert_int_equal(d.parts[0].part, ADE_PART_TITLE);
    assert_null(d.parts[0].section.data);
    expect_words(d.parts[0].text, "Title of 2 v3");
    assert_int_equal(d.parts[1].part, ADE_PART_ABSTRACT);
    assert_int_equal(d.parts[1].section_index, 3);
    expect_words(d.parts[1].section, "RESULTS");
    expect_words(d.parts[1].text, "          Sentence.");
    assert_true(d.parts[1].pmid == 2 && d.parts[1].version == 3);
    CHECK_OK(ade__export_next(e, -1.0, false, &d)); /* unchanged, but retracted since, by file 2 */
    assert_int_equal(d.record->retracted, 1);
    expect_words(d.record->journal, "Revised");
    expect_words(d.record->title, "Title of 6 v1");
    assert_string_equal(d.source, "pubmed26n0002.xml.gz");
    ade__export_close(e);
}

static void test_info(void **unused) {
    (void)unused;
    ade_export     *e;
    ade_export_info info = ADE_EXPORT_INFO_INIT;
    make_store();
    open_at(&e);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ade__export_get_info(e, &info));
        assert_int_equal(info.struct_size, sizeof info);
        assert_int_equal(info.complete, 1);
        assert_int_equal(info.files, 2);
        assert_int_equal(info.records, 3);
        assert_int_equal(info.deleted, 3);
        assert_int_equal(info.documents, 2);
        assert_int_equal(info.hits, 3);
        assert_true(info.threshold == 0.5);
        assert_string_equal(info.settings, "model: abc\nthreshold: 0.5\n");
        assert_non_null(strstr(info.runs, "{\"run\":1,\"began\":\"2"));
        assert_non_null(strstr(info.runs, "\"2\",\"device\":\"an \\u0022odd\\u005c\\u0022 \xef\xbf\xbd one\"}]"
                                          ",\"summary\":{\"hits\": 3}}\n"));
        assert_ptr_equal(strchr(info.runs, '\n') + 1, info.runs + strlen(info.runs));
    }
    ade__export_close(e);
    ade__state_close(open_store(path)); /* a run that is not completed */
    open_at(&e);
    CHECK_OK(ade__export_get_info(e, &info));
    assert_int_equal(info.complete, 0);
    assert_non_null(strstr(info.runs, "\n{\"run\":2,"));
    assert_non_null(strstr(info.runs, "\"ended\":null"));
    ade__export_close(e);
}

static void test_no_store(void **unused) {
    (void)unused;
    ade_export *e;
    CHECK_STATUS(ade__export_open(path, &e), ADE_IO);
    assert_non_null(strstr(ade_last_error(), "there is no store"));
    assert_non_null(strstr(ade_last_error(), path));
    assert_false(exists(path, ""));
    ade__state_close(open_store(path));
    execute(path, "UPDATE settings SET value = 'x' WHERE name = 'threshold'");
    CHECK_STATUS(ade__export_open(path, &e), ADE_BAD_INPUT);
    execute(path, "DELETE FROM settings");
    CHECK_STATUS(ade__export_open(path, &e), ADE_BAD_INPUT);
}

/* 0.7 on the command line is above the float 0.7 that the scores were compared with; it must be the same threshold. */
static void test_threshold_of_a_float(void **unused) {
    (void)unused;
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    make_store();
    execute(path, "UPDATE settings SET value = '0.699999988' WHERE name = 'threshold'");
    sqlite3 *db = look(path);
    char    *sql = sqlite3_mprintf("UPDATE hits SET score = %!.17g", (double)0.7f);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_free(sql);
    sqlite3_close(db);
    const char *const names[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"}; /* where there is such a locale: a comma */
    for (int i = 0; i < 6; i++) {
        if (i == 3) execute(path, "UPDATE settings SET value = '0.7' WHERE name = 'threshold'");
        if (!setlocale(LC_ALL, names[i % 3])) continue;
        open_at(&e);
        CHECK_OK(ade__export_next(e, 0.7, false, &d));
        assert_int_equal(d.n_rows, 2);
        assert_true(d.rows[0].result.score == 0.7f);
        ade__export_close(e);
    }
    setlocale(LC_ALL, "C");
}

/* Only some hits reach a higher threshold. */
static void test_filter(void **unused) {
    (void)unused;
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    make_store();
    execute(path, "UPDATE hits SET score = 0.6 WHERE sentence = 0");
    open_at(&e);
    CHECK_OK(ade__export_next(e, 0.7, false, &d));
    assert_int_equal(d.record->pmid, 2);
    assert_int_equal(d.n_rows, 1);
    assert_int_equal(d.rows[0].sentence, 1);
    assert_int_equal(d.record->n_hits, 1);
    assert_true(d.record->score == 0.875 && d.record->n_screened == 2); /* of the whole record */
    assert_int_equal(d.n_parts, 2);
    CHECK_STATUS(ade__export_next(e, 0.7, false, &d), ADE_END);
    ade__export_close(e);
}

static void test_without_texts(void **unused) {
    (void)unused;
    ade_state *state = open_store(path);
    begin(state, 1);
    const ade_screen_record record = {
        .pmid = 8, .version = 1, .n_sentences = 1, .n_screened = 1, .n_hits = 1, .score = 0.6};
    const float             score = 0.6f;
    const ade_state_outcome outcome = {.record = &record, .scores = &score};
    const ade_screen_row    row = {.pmid = 8, .part = ADE_PART_OTHER_ABSTRACT, .result = {.score = 0.6f}};
    CHECK_OK(ade__state_put_record(state, &outcome));
    CHECK_OK(ade__state_put_hit(state, &row, NULL)); /* no label: regression */
    commit(state, 1);
    ade__state_close(state);
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    open_at(&e);
    CHECK_OK(ade__export_next(e, -1.0, false, &d));
    assert_int_equal(d.n_parts, 0);
    assert_int_equal(d.n_rows, 1);
    assert_null(d.rows[0].text.data);
    assert_null(d.rows[0].section.data);
    assert_null(d.record->title.data);
    assert_int_equal(d.rows[0].part, ADE_PART_OTHER_ABSTRACT);
    assert_true(d.rows[0].result.score == 0.6f);
    assert_string_equal(d.labels[0], "");
    expect_words(d.record->journal, "");
    ade__export_close(e);
}

/* ---- Any bytes --------------------------------------------------------------------------------------------------- */

static uint64_t seed = 1;
static uint32_t any(uint32_t below) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* Texts that mean something to SQL, to C or to UTF-8; size is at most 300. */
static ade_text any_text(char *buffer) {
    static const char *const pieces[] = {"'", "''; DROP TABLE records; --", "\"", "\\", "%s%n", "?1", ":a", "x",
                                         "\xff\xfe", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80\x89",
                                         "\x01", "\x7f", ")"};
    size_t n = 0;
    for (uint32_t i = any(10); i > 0; i--) {
        const uint32_t which = any(17);
        if (which == 16) {
            buffer[n++] = '\0';
        } else {
            const size_t size = strlen(pieces[which]);
            memcpy(buffer + n, pieces[which], size);
            n += size;
        }
    }
    return (ade_text){buffer, n};
}

static void test_any_bytes(void **unused) {
    (void)unused;
    enum { N = 300 };
    static char     buffers[N][8][301], big[3000000];
    static ade_text texts[N][8];
    ade_state      *state = open_store(path);
    memset(big, 'b', sizeof big);
    begin(state, 1);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 8; k++) texts[i][k] = any_text(buffers[i][k]);
        if (i == 7) texts[i][7] = (ade_text){big, sizeof big};
        for (size_t k = 0; k < texts[i][4].size; k++) assert_true(buffers[i][4][k] != '\n');
        const ade_screen_record record = {.pmid = i, .n_sentences = 1, .n_screened = 1, .n_hits = 1, .score = 1,
                                          .noisy_or = 1, .title = texts[i][0], .journal = texts[i][1],
                                          .doi = texts[i][2], .mesh = {&texts[i][3], 2}};
        const float             score = 1.0f / (float)(i + 1);
        const ade_state_outcome outcome = {.hash = 1, .record = &record, .scores = &score};
        const ade_screen_row    row = {
            .pmid = i, .section = texts[i][5], .text = texts[i][6], .result = {.score = score}};
        const ade_screen_part   part = {.pmid = i, .section = texts[i][5], .text = texts[i][7]};
        CHECK_OK(ade__state_put_record(state, &outcome));
        CHECK_OK(ade__state_put_hit(state, &row, buffers[i][6]));
        CHECK_OK(ade__state_put_part(state, &part));
    }
    commit(state, 1);
    ade__state_close(state);
    execute(path, "UPDATE settings SET value = '0' WHERE name = 'threshold'");
    ade_export *e;
    open_at(&e);
    for (int i = 0; i < N; i++) {
        ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
        CHECK_OK(ade__export_next(e, -1.0, true, &d));
        assert_int_equal(d.record->pmid, i);
        expect_text(d.record->title, texts[i][0].data, texts[i][0].size);
        expect_text(d.record->journal, texts[i][1].data, texts[i][1].size);
        expect_text(d.record->doi, texts[i][2].data, texts[i][2].size);
        assert_int_equal(d.record->mesh.n, 2);
        expect_text(d.record->mesh.items[0], texts[i][3].data, texts[i][3].size);
        expect_text(d.record->mesh.items[1], texts[i][4].data, texts[i][4].size);
        expect_text(d.rows[0].section, texts[i][5].data, texts[i][5].size);
        expect_text(d.rows[0].text, texts[i][6].data, texts[i][6].size);
        assert_true(d.rows[0].result.score == 1.0f / (float)(i + 1));
        assert_string_equal(d.labels[0], buffers[i][6]);
        expect_text(d.parts[0].text, texts[i][7].data, texts[i][7].size);
    }
    ade__export_close(e);
}

/* Hundreds of hits in one document. */
static void test_many_hits(void **unused) {
    (void)unused;
    enum { N = 5000 };
    ade_state *state = open_store(path);
    begin(state, 1);
    static float            scores[N];
    const ade_screen_record record = {
        .pmid = 1, .n_sentences = N, .n_screened = N, .n_hits = N, .score = 1, .noisy_or = 1};
    const ade_state_outcome outcome = {.record = &record, .scores = scores};
    for (int i = 0; i < N; i++) scores[i] = 0.5f + (float)i / (2 * N);
    CHECK_OK(ade__state_put_record(state, &outcome));
    for (int i = 0; i < N; i++) {
        const ade_screen_row row = {.pmid = 1, .sentence = i, .text = text_of("A sentence of some length."),
                                    .result = {.score = scores[i]}};
        CHECK_OK(ade__state_put_hit(state, &row, "ADE"));
    }
    commit(state, 1);
    ade__state_close(state);
    assert_int_equal(query(path, "SELECT length(scores) FROM records"), 4 * N);
    ade_export         *e;
    ade_export_document d = ADE_EXPORT_DOCUMENT_INIT;
    open_at(&e);
    CHECK_OK(ade__export_next(e, -1.0, false, &d));
    assert_int_equal(d.n_rows, N);
    for (int i = 0; i < N; i++) {
        assert_true(d.rows[i].sentence == i && d.rows[i].result.score == scores[i]);
        expect_words(d.rows[i].text, "A sentence of some length.");
    }
    ade__export_close(e);
}

static void each_allocation(void (*fail_at)(long)) {
    ade_status got = ADE_OUT_OF_MEMORY;
    long       n = 0;
    make_store();
    for (; got && n < 5000; n++) {
        fail_at(n);
        got = export_everything(path);
        fail_at(-1);
        if (got && got != ADE_OUT_OF_MEMORY)
            fail_msg("allocation %ld: %s: %s", n, ade_status_name(got), ade_last_error());
    }
    assert_int_equal(got, ADE_OK);
    assert_true(n > 5);
    print_message("allocations that failed: %ld\n", n - 1);
}

static void test_out_of_memory(void **unused) {
    (void)unused;
    each_allocation(ade__alloc_fail_at);
}

static void test_sqlite_out_of_memory(void **unused) {
    (void)unused;
    each_allocation(sqlite_alloc_fail_at);
}

/* Values of the wrong kind, as somebody with the sqlite3 shell could leave them. */
static void test_meddled(void **unused) {
    static const char *const changes[] = {
        "UPDATE hits SET part = 'nonsense'", "UPDATE hits SET start_byte = -1", "UPDATE hits SET tokens = 1 << 40",
        "UPDATE records SET version = 1 << 40", "UPDATE records SET n_sentences = -1", "UPDATE parts SET part = 7",
        "UPDATE totals SET value = -1", "UPDATE hits SET sentence = sentence + (1 << 40)"};
    (void)unused;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        remove_store(path);
        make_store();
        CHECK_OK(export_everything(path));
        execute(path, changes[i]);
        const ade_status status = export_everything(path);
        if (status != ADE_BAD_INPUT) fail_msg("%s: %s", changes[i], ade_status_name(status));
        assert_non_null(strstr(ade_last_error(), "is damaged"));
    }
    execute(path, "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM hits; END");
    ade_state *state = open_store(path); /* somebody's trigger does not run */
    begin(state, 3);
    CHECK_OK(put(state, 70, 1, 0));
    commit(state, 3);
    ade__state_close(state);
    assert_int_equal(query(path, "SELECT count(*) FROM hits"), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clean)
        TEST(test_order), TEST(test_content), TEST(test_info), TEST(test_no_store), TEST(test_threshold_of_a_float),
        TEST(test_filter), TEST(test_without_texts), TEST(test_any_bytes), TEST(test_many_hits),
        TEST(test_out_of_memory), TEST(test_sqlite_out_of_memory), TEST(test_meddled),
    };
    count_sqlite_allocations();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
