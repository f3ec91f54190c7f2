/* SPDX-License-Identifier: Apache-2.0
 * The XML reader: counts of real files, every chunk size, truncation at every byte, damage, hostile input. */
#include "alloc.h"
#include "medline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *data_path(const char *name) {
    static char path[1024];
    const char *folder = getenv("ADE_TEST_DATA");
#ifdef ADE_TEST_DATA_DIR
    if (!folder) folder = ADE_TEST_DATA_DIR;
#endif
    snprintf(path, sizeof path, "%s/medline/%s", folder ? folder : "tests/data", name);
    return path;
}

/* What the records of a file add up to. */
typedef struct seen {
    int      records, abstracts, articles, deleted, sections, labelled, bracketed, books;
    uint64_t hash;
    char     dump[8192]; /* of small files */
    int      stop_after; /* the callback refuses record number stop_after; 0 = none */
} seen;

static void dump(seen *s, const char *format, ade_text text) {
    const size_t used = strlen(s->dump);
    snprintf(s->dump + used, sizeof s->dump - used, format, (int)text.size, text.data ? text.data : "(none)");
    for (size_t i = 0; i < text.size; i++) s->hash = (s->hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    s->hash = (s->hash ^ 0x100 ^ text.size) * 0x100000001b3u;
}

static ade_status note(void *user, const ade_record *r) {
    seen *s = user;
    char  head[64];
    s->records += !r->deleted;
    s->deleted += r->deleted;
    s->abstracts += r->has_abstract;
    s->articles += r->has_article;
    s->books += r->book;
    s->sections += (int)r->n_sections;
    s->bracketed += r->title.size && r->title.data[0] == '[';
    const int n =
        snprintf(head, sizeof head, "%lld.%d%s", (long long)r->pmid, r->version, r->deleted ? " deleted" : "");
    dump(s, "%.*s", (ade_text){head, (size_t)n});
    dump(s, "|%.*s", r->title);
    for (size_t i = 0; i < r->n_sections; i++) {
        s->labelled += r->sections[i].label.data != NULL;
        if (r->sections[i].label.data) dump(s, "|%.*s", r->sections[i].label);
        dump(s, "=%.*s", r->sections[i].text);
    }
    dump(s, "%.*s", (ade_text){"\n", 1});
    return s->stop_after && s->records + s->deleted >= s->stop_after ? ADE_CANCELLED : ADE_OK;
}

static ade_status parse(const char *bytes, size_t size, size_t chunk, seen *s) {
    ade_medline *m;
    ade_status   status = ade__medline_open("test.xml", note, s, &m);
    if (status) return status;
    size_t at = 0;
    for (bool final = false; !status && !final; at += chunk) {
        const size_t n = size - at < chunk ? size - at : chunk;
        final = at + n == size;
        void *buffer = ade__medline_buffer(m, n ? n : 1);
        if (!buffer) {
            status = ADE_OUT_OF_MEMORY;
            break;
        }
        memcpy(buffer, bytes + at, n);
        status = ade__medline_parse(m, n, final);
    }
    ade__medline_close(m);
    return status;
}

static ade_status parse_text(const char *text, seen *s) {
    memset(s, 0, sizeof *s);
    return parse(text, strlen(text), 4096, s);
}

static char *slurp(const char *path, size_t *size) {
    ade_input *in;
    char      *all = NULL;
    size_t     got = 1;
    *size = 0;
    assert_int_equal(ade__input_open(path, -1, &in), ADE_OK);
    while (got) {
        all = realloc(all, *size + 65536);
        assert_int_equal(ade__input_read(in, all + *size, 65536, &got), ADE_OK);
        *size += got;
    }
    ade__input_close(in);
    return all;
}

static void test_counts(void **state) {
    static const struct {
        const char *file;
        int         records, abstracts, deleted, sections, labelled, bracketed;
    } files[] = {
        /* as counted by an independent parser, golden/compare_medline.py */
        {"medline16n0902.xml.gz", 604, 526, 1, 1396, 1085, 18}, /* and 21 OtherAbstracts */
        {"pubmed20n1016.xml.gz", 26, 24, 262, 58, 43, 0},
        {"pubmed26n1334.xml.gz", 30, 27, 0, 52, 34, 0},
        {"pubmed-29768149.xml", 1, 1, 0, 4, 4, 0},
        {"pubmed1.xml", 2, 1, 0, 1, 0, 0},
        {"pubmed2.xml", 2, 2, 0, 2, 0, 0},
        {"pubmed4.xml", 1, 1, 0, 4, 4, 0},
        {"pubmed5.xml", 1, 1, 0, 4, 4, 0},
        {"pubmed_no_rows.xml", 2, 0, 0, 0, 0, 0},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ade_input *in;
        uint64_t   xml = 0;
        memset(&s, 0, sizeof s);
        assert_int_equal(ade__input_open(data_path(files[i].file), -1, &in), ADE_OK);
        assert_int_equal(ade__medline_read(in, files[i].file, note, &s, &xml), ADE_OK);
        assert_true(xml >= ade__input_bytes_read(in));
        ade__input_close(in);
        assert_int_equal(s.records, files[i].records);
        assert_int_equal(s.abstracts, files[i].abstracts);
        assert_int_equal(s.deleted, files[i].deleted);
        assert_int_equal(s.sections, files[i].sections);
        assert_int_equal(s.labelled, files[i].labelled);
        assert_int_equal(s.bracketed, files[i].bracketed);
    }
}

static void test_handmade(void **state) {
    static seen s;
    size_t      size;
    char       *xml = slurp(data_path("handmade.xml"), &size);
    (void)state;
    assert_int_equal(parse(xml, size, 4096, &s), ADE_OK);
    assert_string_equal(s.dump,
                        "90000001.2|[Toxicity of Cinchona bark: H_(2)O, 10^(9)/L & K^(+).]"
                        "|BACKGROUND=Nested bold italic under text with tabs. x^(2_(i)) and y zw ^(1,2)after."
                        "|RESULTS:=RESULTS: p\xe2\x80\x89<\xc2\xa0"
                        "0.05 \xce\xb2-blockers\xe2\x80\xafrose."
                        "|UNLABELLED=x^(2)+a_(i)^(3)=b_(j+1) held.=pq|CONCLUSIONS=\n"
                        "90000002.1|\n90000003.1|The chapter=A chapter's abstract.\n90000004.1|Only a book title\n"
                        "21.1 deleted|\n22.3 deleted|\n");
    assert_int_equal(s.books, 2);
    free(xml);
}

static void test_chunk_sizes(void **state) {
    static const char *const files[] = {"handmade.xml", "pubmed-29768149.xml", "pubmed5.xml"};
    static const size_t      chunks[] = {1, 2, 3, 4, 5, 7, 16, 61, 1000, 1 << 20};
    static seen              s;
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t   size;
        uint64_t first = 0;
        char    *xml = slurp(data_path(files[f]), &size);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            memset(&s, 0, sizeof s);
            assert_int_equal(parse(xml, size, chunks[c], &s), ADE_OK);
            if (c == 0) first = s.hash;
            assert_true(s.hash == first);
        }
        free(xml);
    }
}

static void test_truncated_anywhere(void **state) {
    static seen  s;
    size_t       size;
    char        *xml = slurp(data_path("handmade.xml"), &size);
    const size_t end = (size_t)(strstr(xml, "</PubmedArticleSet>") - xml) + strlen("</PubmedArticleSet>");
    int          records = 0;
    (void)state;
    for (size_t cut = 0; cut < end; cut++) {
        memset(&s, 0, sizeof s);
        assert_int_equal(parse(xml, cut, 4096, &s), ADE_BAD_INPUT);
        assert_non_null(strstr(ade_last_error(), "test.xml"));
        if (!strstr(ade_last_error(), cut ? "truncated" : "empty")) fail_msg("cut at %zu: %s", cut, ade_last_error());
        assert_true(s.records + s.deleted >= records); /* the whole records before the cut are delivered */
        records = s.records + s.deleted;
    }
    assert_int_equal(records, 6);
    memset(&s, 0, sizeof s);
    assert_int_equal(parse(xml, end, 4096, &s), ADE_OK);
    free(xml);
}

#define SET(inside) "<PubmedArticleSet>" inside "</PubmedArticleSet>"
#define CITATION(inside) SET("<PubmedArticle><MedlineCitation>" inside "</MedlineCitation></PubmedArticle>")
#define DOCTYPE "<!DOCTYPE PubmedArticleSet PUBLIC \"-//NLM//DTD PubMedArticle//EN\" \"http://a.invalid/pubmed.dtd\">"

static void test_faults(void **state) {
    static const struct {
        const char *xml, *message;
    } cases[] = {
        {"<html><body/></html>", "test.xml:1:1: the root element is <html>"},
        {"<eFetchResult><ERROR>x</ERROR></eFetchResult>", "<eFetchResult>"},
        {"hello", "test.xml:1:1: not well-formed XML"},
        {"<PubmedArticleSet>\n <PubmedArticle>\n  </MedlineCitation></PubmedArticle></PubmedArticleSet>",
         "test.xml:3:5: not well-formed XML: mismatched tag"},
        {SET("") "x", "junk after document element"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>a &nbsp; b</ArticleTitle></Article>"), "undefined entity"},
        {DOCTYPE CITATION("<PMID>1</PMID><Article><ArticleTitle>a &nbsp; b</ArticleTitle></Article>"),
         "the entity \"nbsp\" is not defined"},
        {DOCTYPE CITATION("<PMID>1</PMID><Article><Abstract><AbstractText Label=\"a&nbsp;b\">x</AbstractText>"
                          "</Abstract></Article>"),
         "an attribute uses the entity"},
        {"<!DOCTYPE PubmedArticleSet [<!ENTITY a \"b\">]>" SET(""), "declares the entity \"a\""},
        {"<!DOCTYPE PubmedArticleSet [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>" SET(""),
         "declares the entity \"a\""},
        {"<!DOCTYPE PubmedArticleSet [<!ENTITY % a SYSTEM \"http://a.invalid/\"> %a;]>" SET(""), "declares the entity"},
        {CITATION("<PMID>x1</PMID>"), "\"x1\" is not a PMID"},
        {CITATION("<PMID/>"), "\"\" is not a PMID"},
        {CITATION("<PMID>0</PMID>"), "\"0\" is not a PMID"},
        {CITATION("<PMID>-5</PMID>"), "is not a PMID"},
        {CITATION("<PMID>9999999999999999999999</PMID>"), "is not a PMID"},
        {CITATION("<PMID Version=\"x\">1</PMID>"), "Version \"x\""},
        {CITATION("<PMID Version=\"0\">1</PMID>"), "Version \"0\""},
        {CITATION("<PMID>1</PMID><PMID>2</PMID>"), "two PMIDs of its own, 1 and 2"},
        {CITATION("<Article><ArticleTitle>x</ArticleTitle></Article>"), "no PMID of its own"},
        {CITATION("<CommentsCorrectionsList><CommentsCorrections><PMID>5</PMID></CommentsCorrections>"
                  "</CommentsCorrectionsList>"),
         "no PMID of its own"},
        {"<?xml version=\"1.0\" encoding=\"EBCDIC-X\"?>" SET(""), "unknown encoding"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>\xff\xfe</ArticleTitle></Article>"), "not well-formed"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>\xed\xa0\x80</ArticleTitle></Article>"), "not well-formed"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>&#0;</ArticleTitle></Article>"), "invalid character number"},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse_text(cases[i].xml, &s) != ADE_BAD_INPUT) fail_msg("%s was accepted", cases[i].xml);
        if (!strstr(ade_last_error(), cases[i].message) || !strstr(ade_last_error(), "test.xml:"))
            fail_msg("\"%s\" lacks \"%s\"", ade_last_error(), cases[i].message);
    }
}

static void test_accepted(void **state) {
    static const struct {
        const char *xml, *dump;
    } cases[] = {
        {SET(""), ""},
        {"<MedlineCitationSet/>", ""},
        {"\xef\xbb\xbf" SET(""), ""}, /* byte-order mark */
        {DOCTYPE "<MedlineCitationSet><MedlineCitation><PMID Version='1'> 7\n</PMID><Article><ArticleTitle>a<!-- no "
                 "--><![CDATA[<b>]]>"
                 "</ArticleTitle></Article></MedlineCitation><DeleteCitation><PMID>9</PMID></DeleteCitation>"
                 "</MedlineCitationSet>",
         "7.1|a<b>\n9.1 deleted|\n"},
        {CITATION("<PMID>1</PMID>"), "1.1|\n"},
        {DOCTYPE CITATION(
             "<PMID>1</PMID><Article><Abstract><AbstractText Label=\" A&amp;B&#x3b1; \n C \">x\r\n\ty</AbstractText>"
             "</Abstract></Article>"),
         "1.1||A&B\xce\xb1 C=x y\n"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>a<sup> <i> </i></sup> b <sub>\n</sub> <sup>c "
                  "</sup>d</ArticleTitle></Article>"),
         "1.1|a b ^(c )d\n"},
        {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" CITATION(
             "<PMID>1</PMID><Article><ArticleTitle>\xe9</ArticleTitle></Article>"),
         "1.1|\xc3\xa9\n"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>a<Unknown>b</Unknown>c</ArticleTitle><New><ArticleTitle>no"
                  "</ArticleTitle></New></Article>"),
         "1.1|abc\n"},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse_text(cases[i].xml, &s)) fail_msg("%s: %s", cases[i].xml, ade_last_error());
        assert_string_equal(s.dump, cases[i].dump);
    }
}

static void test_utf16(void **state) {
    static const char xml[] = CITATION("<PMID>1</PMID><Article><ArticleTitle>Title</ArticleTitle></Article>");
    static seen       s;
    char              wide[2 * sizeof xml + 2];
    size_t            n = 0;
    (void)state;
    wide[n++] = '\xff';
    wide[n++] = '\xfe';
    for (size_t i = 0; xml[i]; i++) {
        wide[n++] = xml[i];
        wide[n++] = '\0';
    }
    memset(&s, 0, sizeof s);
    assert_int_equal(parse(wide, n, 3, &s), ADE_OK);
    assert_string_equal(s.dump, "1.1|Title\n");
}

/* Gives the parser `head`, then `unit` over and over up to `limit` bytes; it must refuse before that. */
static void expect_refusal(const char *head, const char *unit, size_t limit, const char *message) {
    static seen  s;
    ade_medline *m;
    ade_status   status;
    const size_t piece = 1 << 18, unit_size = strlen(unit);
    memset(&s, 0, sizeof s);
    assert_int_equal(ade__medline_open("test.xml", note, &s, &m), ADE_OK);
    void *buffer = ade__medline_buffer(m, strlen(head));
    memcpy(buffer, head, strlen(head));
    status = ade__medline_parse(m, strlen(head), false);
    for (size_t fed = 0; !status && fed < limit; fed += piece) {
        char *p = ade__medline_buffer(m, piece);
        assert_non_null(p);
        for (size_t i = 0; i < piece; i++) p[i] = unit[i % unit_size];
        status = ade__medline_parse(m, piece / unit_size * unit_size, false);
    }
    assert_int_equal(status, ADE_BAD_INPUT);
    if (!strstr(ade_last_error(), message)) fail_msg("\"%s\" lacks \"%s\"", ade_last_error(), message);
    ade__medline_close(m);
}

static void test_limits(void **state) {
    (void)state;
    const size_t mega = 1 << 20;
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><Article><ArticleTitle>",
                   "text text ", 80 * mega, "PMID 5 has more than 64 MiB");
    expect_refusal("<PubmedArticleSet>", "<a>", mega, "nested more than 1000");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><Article><ArticleTitle>", "<i>",
                   mega, "nested more than 1000");
    expect_refusal("<PubmedArticleSet><!-- ", "x", 40 * mega, "longer than 16 MiB");
    expect_refusal("<PubmedArticleSet a=\"", "x", 40 * mega, "longer than 16 MiB");
}

static void test_callback_stops(void **state) {
    static seen s;
    size_t      size;
    char       *xml = slurp(data_path("handmade.xml"), &size);
    (void)state;
    for (int i = 1; i <= 6; i++) {
        memset(&s, 0, sizeof s);
        s.stop_after = i;
        assert_int_equal(parse(xml, size, 4096, &s), ADE_CANCELLED);
        assert_int_equal(s.records + s.deleted, i);
    }
    free(xml);
}

static void test_out_of_memory(void **state) {
    static seen s;
    size_t      size;
    char       *xml = slurp(data_path("handmade.xml"), &size);
    ade_status  status = ADE_OUT_OF_MEMORY;
    long        n = 0;
    (void)state;
    for (; n < 2000 && status; n++) {
        memset(&s, 0, sizeof s);
        ade__alloc_fail_at(n);
        status = parse(xml, size, 512, &s);
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_OK || status == ADE_OUT_OF_MEMORY);
        if (status) assert_non_null(strstr(ade_last_error(), "out of memory"));
    }
    assert_int_equal(status, ADE_OK);
    assert_int_equal(s.records, 4);
    assert_true(n > 10);
    free(xml);
}

/* No byte of damage may do more than give an error. */
static void test_flipped_bytes(void **state) {
    static seen s;
    size_t      size;
    char       *xml = slurp(data_path("handmade.xml"), &size);
    (void)state;
    for (size_t i = 0; i < size; i++) {
        const char old = xml[i];
        xml[i] = (char)(old ^ (1 << i % 8));
        memset(&s, 0, sizeof s);
        ade_status status = parse(xml, size, 997, &s);
        assert_true(status == ADE_OK || status == ADE_BAD_INPUT);
        xml[i] = old;
    }
    free(xml);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_handmade),
        cmocka_unit_test(test_chunk_sizes),    cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_faults),         cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_utf16),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_callback_stops), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_flipped_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
