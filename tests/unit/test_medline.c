/* SPDX-License-Identifier: Apache-2.0
 * Records from MEDLINE XML: counts of real files, every field, every chunk size, truncation at every byte, damage,
 * hostile input. */
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
    int      records, abstracts, articles, deleted, sections, labelled, bracketed, books, others, retracted, adverse;
    uint64_t hash;
    char     dump[16384]; /* of small files: PMID, title, sections */
    bool     fields;      /* and the other fields */
    int      stop_after;  /* the callback refuses record number stop_after; 0 = none */
} seen;

static void dump(seen *s, const char *format, ade_text text) {
    const size_t used = strlen(s->dump);
    snprintf(s->dump + used, sizeof s->dump - used, format, (int)text.size, text.data ? text.data : "(none)");
    for (size_t i = 0; i < text.size; i++) s->hash = (s->hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    s->hash = (s->hash ^ 0x100 ^ text.size) * 0x100000001b3u;
}

static ade_text text_of(const char *text) { return (ade_text){text, strlen(text)}; }

static void dump_list(seen *s, const char *format, ade_text_list list) {
    for (size_t i = 0; i < list.n; i++) dump(s, format, list.items[i]);
}

static void dump_fields(seen *s, const ade_record *r) {
    dump(s, "\n  %.*s", r->date);
    dump(s, " %.*s", r->date_revised);
    dump(s, " '%.*s'", r->journal);
    dump(s, " doi:%.*s", r->doi);
    dump_list(s, " l:%.*s", r->languages);
    dump_list(s, " t:%.*s", r->publication_types);
    dump_list(s, " c:%.*s", r->chemicals);
    dump_list(s, " m:%.*s", r->mesh);
    if (r->retracted) dump(s, " %.*s", text_of("RETRACTED"));
    if (r->mesh_adverse_effects) dump(s, " %.*s", text_of("ADVERSE"));
    if (r->mesh_chemically_induced) dump(s, " %.*s", text_of("INDUCED"));
}

static ade_status note(void *user, const ade_record *r) {
    seen *s = user;
    char  head[64];
    s->retracted += r->retracted;
    s->adverse += r->mesh_adverse_effects;
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
        s->others += r->sections[i].other;
        s->labelled += r->sections[i].label.data != NULL && !r->sections[i].other;
        s->sections -= r->sections[i].other;
        if (r->sections[i].other) {
            dump(s, "|%.*s", r->sections[i].language);
            dump(s, "/%.*s", r->sections[i].type);
        } else {
            assert_null(r->sections[i].language.data);
            assert_null(r->sections[i].type.data);
        }
        if (r->sections[i].label.data) dump(s, "|%.*s", r->sections[i].label);
        dump(s, "=%.*s", r->sections[i].text);
    }
    if (s->fields && !r->deleted) dump_fields(s, r);
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
        int         records, abstracts, deleted, sections, labelled, bracketed, others, retracted, adverse;
    } files[] = {
        /* as counted by an independent parser, golden/compare_medline.py */
        {"medline16n0902.xml.gz", 604, 526, 1, 1396, 1085, 18, 21, 0, 2},
        {"pubmed20n1016.xml.gz", 26, 24, 262, 58, 43, 0, 0, 0, 1},
        {"pubmed26n1334.xml.gz", 30, 27, 0, 52, 34, 0, 4, 0, 0},
        {"pubmed-29768149.xml", 1, 1, 0, 4, 4, 0, 0, 0, 1},
        {"pubmed1.xml", 2, 1, 0, 1, 0, 0, 0, 0, 0},
        {"pubmed2.xml", 2, 2, 0, 2, 0, 0, 0, 0, 1},
        {"pubmed4.xml", 1, 1, 0, 4, 4, 0, 0, 0, 0},
        {"pubmed5.xml", 1, 1, 0, 4, 4, 0, 0, 0, 0},
        {"pubmed_no_rows.xml", 2, 0, 0, 0, 0, 0, 0, 0, 0},
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
        assert_int_equal(s.others, files[i].others);
        assert_int_equal(s.retracted, files[i].retracted);
        assert_int_equal(s.adverse, files[i].adverse);
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
                        "|UNLABELLED=x^(2)+a_(i)^(3)=b_(j+1) held.=pq|CONCLUSIONS="
                        "|ger/Publisher=Kein Text.\n"
                        "90000002.1|\n90000003.1|The chapter=A chapter's abstract.\n90000004.1|Only a book title\n"
                        "21.1 deleted|\n22.3 deleted|\n");
    assert_int_equal(s.books, 2);
    free(xml);
}

static void test_fields(void **state) {
    static seen s;
    size_t      size;
    char       *xml = slurp(data_path("handmade_fields.xml"), &size);
    (void)state;
    s.fields = true;
    assert_int_equal(parse(xml, size, 4096, &s), ADE_OK);
    assert_string_equal(
        s.dump,
        "90000101.1|All fields.=An abstract (in English).|eng/plain-language-summary|WHAT=Plainly put."
        "|eng/plain-language-summary=More.|ger/Publisher|ZIEL=Gr\xc3\xb6\xc3\x9f"
        "e x^(2).|eng/AIDS=Language not given.\n"
        "  2016-02-29 2016-05-31 'J Handmade' doi:10.1000/182<x> l:eng l:ger t:Case Reports t:Retracted Publication "
        "c:Aspirin c:Anti-Bacterial Agents, \xce\xb2-Lactam m:Aspirin/*adverse effects/blood m:*Humans RETRACTED "
        "ADVERSE\n"
        "90000102.2|DOI from the list; a retraction noted elsewhere.\n"
        "  1998 2020 'Title of a journal that has no abbreviation' doi:10.1000/own l:eng t:Journal Article "
        "m:Chemical and Drug Induced Liver Injury m:*Hepatitis/chemically induced RETRACTED INDUCED\n"
        "90000103.1|Matrix A^(*) and b^(c) end==Formula v_(0), then more.\n"
        "  2001  'J Season' doi: t:Journal Article\n"
        "90000104.1|A chapter|Summary=A summary.\n"
        "  2012-09 2013-02 'A book of T_(4)' doi:10.1000/chapter l:eng t:Review\n"
        "31.1 deleted|\n");
    free(xml);
}

static void test_chunk_sizes(void **state) {
    static const char *const files[] = {"handmade.xml", "handmade_fields.xml", "pubmed-29768149.xml", "pubmed5.xml"};
    static const size_t      chunks[] = {1, 2, 3, 4, 5, 7, 16, 61, 1000, 1 << 20};
    static seen              s;
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t   size;
        uint64_t first = 0;
        char    *xml = slurp(data_path(files[f]), &size);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            memset(&s, 0, sizeof s);
            s.fields = true;
            assert_int_equal(parse(xml, size, chunks[c], &s), ADE_OK);
            if (c == 0) first = s.hash;
            assert_true(s.hash == first);
        }
        free(xml);
    }
}

static void truncate_anywhere(const char *file, int expected) {
    static seen  s;
    size_t       size;
    char        *xml = slurp(data_path(file), &size);
    const size_t end = (size_t)(strstr(xml, "</PubmedArticleSet>") - xml) + strlen("</PubmedArticleSet>");
    int          records = 0;
    for (size_t cut = 0; cut < end; cut++) {
        memset(&s, 0, sizeof s);
        assert_int_equal(parse(xml, cut, 4096, &s), ADE_BAD_INPUT);
        assert_non_null(strstr(ade_last_error(), "test.xml"));
        if (!strstr(ade_last_error(), cut ? "truncated" : "empty")) fail_msg("cut at %zu: %s", cut, ade_last_error());
        assert_true(s.records + s.deleted >= records); /* the whole records before the cut are delivered */
        records = s.records + s.deleted;
    }
    assert_int_equal(records, expected);
    memset(&s, 0, sizeof s);
    assert_int_equal(parse(xml, end, 4096, &s), ADE_OK);
    free(xml);
}

static void test_truncated_anywhere(void **state) {
    (void)state;
    truncate_anywhere("handmade.xml", 6);
    truncate_anywhere("handmade_fields.xml", 5);
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
        {CITATION("<PMID>1</PMID><Article><ArticleTitle>a &nbsp; b</ArticleTitle></Article>"),
         "the entity \"nbsp\" is not defined"},
        {DOCTYPE CITATION("<PMID>1</PMID><Article><ArticleTitle>a &nbsp; b</ArticleTitle></Article>"),
         "the entity \"nbsp\" is not defined"},
        {DOCTYPE CITATION("<PMID>1</PMID><Article><Abstract><AbstractText Label=\"a&nbsp;b\">x</AbstractText>"
                          "</Abstract></Article>"),
         "the entity \"nbsp\" is not defined"},
        {CITATION("<PMID>1</PMID><KeywordList a=\"&x;\"/>"),
         "the entity \"x\" is not defined"}, /* skipped, but checked */
        {CITATION("<PMID>1</PMID><KeywordList><Keyword>a</keyword></KeywordList>"), "mismatched tag"},
        {"<x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9/>",
         "<x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9>"},
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
        {"<?xml version=\"1.0\" encoding=\"EBCDIC-X\"?>" SET(""),
         "declares the encoding \"EBCDIC-X\", and only UTF-8 is read"},
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

/* What the dump of the only record's fields says. */
static void test_field_traps(void **state) {
#define DATE(inside)                                                                                                   \
    CITATION("<PMID>1</PMID><Article><Journal><JournalIssue><PubDate>" inside                                          \
             "</PubDate></JournalIssue></Journal></Article>")
#define REVISED(inside) CITATION("<PMID>1</PMID><DateRevised>" inside "</DateRevised>")
#define YMD(y, m, d) "<Year>" y "</Year><Month>" m "</Month><Day>" d "</Day>"
#define ARTICLE(inside) CITATION("<PMID>1</PMID><Article>" inside "</Article>")
#define HEADING(inside)                                                                                                \
    CITATION("<PMID>1</PMID><MeshHeadingList><MeshHeading>" inside "</MeshHeading></MeshHeadingList>")
    static const struct {
        const char *xml, *fields;
    } cases[] = {
        {CITATION("<PMID>1</PMID>"), "  '' doi:"},
        /* dates: what is right of them */
        {DATE(YMD("2016", "5", "1")), "2016-05-01  '' doi:"},
        {DATE(YMD(" 2016\n", " may ", " 31 ")), "2016-05-31  '' doi:"},
        {DATE(YMD("2016", "Sept", "09")), "2016-09-09  '' doi:"},
        {DATE(YMD("2016", "DECEMBER", "31")), "2016-12-31  '' doi:"},
        {DATE(YMD("2016", "Decembers", "31")), "2016  '' doi:"},
        {DATE(YMD("2016", "Ma", "3")), "2016  '' doi:"},
        {DATE(YMD("2016", "0", "3")), "2016  '' doi:"},
        {DATE(YMD("2016", "13", "3")), "2016  '' doi:"},
        {DATE(YMD("2016", "-5", "3")), "2016  '' doi:"},
        {DATE(YMD("2016", "05", "32")), "2016-05  '' doi:"},
        {DATE(YMD("2016", "05", "0")), "2016-05  '' doi:"},
        {DATE(YMD("2016", "04", "31")), "2016-04  '' doi:"},
        {DATE(YMD("2016", "02", "29")), "2016-02-29  '' doi:"},
        {DATE(YMD("2000", "02", "29")), "2000-02-29  '' doi:"},
        {DATE(YMD("1900", "02", "29")), "1900-02  '' doi:"},
        {DATE(YMD("2015", "02", "29")), "2015-02  '' doi:"},
        {DATE(YMD("2016", "05", "first")), "2016-05  '' doi:"},
        {DATE(YMD("2016", "05", "1234567890123456789012")), "2016-05  '' doi:"},
        {DATE(YMD("201", "05", "1")), "  '' doi:"},
        {DATE(YMD("0999", "05", "1")), "  '' doi:"},
        {DATE(YMD("20166", "05", "1")), "  '' doi:"},
        {DATE(YMD("", "", "")), "  '' doi:"},
        {DATE("<Month>05</Month>"), "  '' doi:"},
        {DATE("<Year>2016</Year><Day>5</Day>"), "2016  '' doi:"},
        {DATE("<Day>5</Day><Month>Jan</Month><Year>2016</Year>"), "2016-01-05  '' doi:"},
        {DATE("<Year/><Year>2016</Year><Year>2017</Year>"), "2016  '' doi:"},
        {DATE("<Year>2016</Year><Season>Summer</Season>"), "2016  '' doi:"},
        {DATE("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>"), "1998  '' doi:"},
        {DATE("<MedlineDate>Winter 2003-4</MedlineDate>"), "2003  '' doi:"},
        {DATE("<MedlineDate>19981231, 12 May 2004</MedlineDate>"), "2004  '' doi:"},
        {DATE("<MedlineDate>no date</MedlineDate>"), "  '' doi:"},
        {DATE("<Year>20<i>1</i>6</Year>"), "2016  '' doi:"}, /* odd, but no reason to lose it */
        {DATE("<Year>20<sup>16</sup></Year>"), "  '' doi:"},
        {DATE(""), "  '' doi:"},
        {ARTICLE("<Journal><JournalIssue><PubDate/><PubDate><Year>2001</Year></PubDate><PubDate><Year>2002</Year>"
                 "</PubDate></JournalIssue></Journal><PubDate><Year>1990</Year></PubDate>"),
         "2001  '' doi:"},
        {REVISED(YMD("2020", "12", "03")), " 2020-12-03 '' doi:"},
        {REVISED("<MedlineDate>2001</MedlineDate>"), "  '' doi:"},
        {CITATION("<PMID>1</PMID><DateCompleted>" YMD("2020", "12", "03") "</DateCompleted>"), "  '' doi:"},
        /* journal */
        {ARTICLE("<Journal><Title/><Title>A</Title><Title>B</Title></Journal>"), "  'A' doi:"},
        {CITATION("<PMID>1</PMID><MedlineJournalInfo><MedlineTA> Br  J\n</MedlineTA></MedlineJournalInfo>"
                  "<Article><Journal><Title>A</Title></Journal></Article>"),
         "  'Br J' doi:"},
        /* DOI */
        {ARTICLE("<ELocationID EIdType='pii'>1</ELocationID><ELocationID EIdType='doi'>10.1/a</ELocationID>"
                 "<ELocationID EIdType='doi'>10.1/b</ELocationID>"),
         "  '' doi:10.1/a"},
        {ARTICLE("<ELocationID>10.1/a</ELocationID><ELocationID EIdType='doi' ValidYN='N'>10.1/b</ELocationID>"),
         "  '' doi:"},
        {SET("<PubmedArticle><PubmedData><ArticleIdList><ArticleId IdType='doi'>10.1/first</ArticleId></ArticleIdList>"
             "</PubmedData><MedlineCitation><PMID>1</PMID></MedlineCitation></PubmedArticle>"),
         "  '' doi:10.1/first"},
        {SET("<PubmedArticle><MedlineCitation><PMID>1</PMID></MedlineCitation><PubmedData><ReferenceList><Reference>"
             "<ArticleIdList><ArticleId IdType='doi'>10.1/cited</ArticleId></ArticleIdList></Reference></ReferenceList>"
             "<ReferenceList><ArticleIdList><ArticleId IdType='doi'>10.1/cited</ArticleId></ArticleIdList>"
             "</ReferenceList></PubmedData></PubmedArticle>"),
         "  '' doi:"},
        {SET("<PubmedBookArticle><BookDocument><PMID>1</PMID><ArticleTitle/><Book><BookTitle>B</BookTitle><ELocationID "
             "EIdType='doi'>10.1/book</ELocationID></Book></BookDocument><PubmedBookData><ArticleIdList><ArticleId "
             "IdType='doi'>10.1/own</ArticleId></ArticleIdList></PubmedBookData></PubmedBookArticle>"),
         "  'B' doi:10.1/own"},
        /* lists: what is empty, and what stands elsewhere, is not in them */
        {ARTICLE("<Language>eng</Language><Language> </Language><Language/><Language>eng</Language>"
                 "<PublicationType>no list</PublicationType><PublicationTypeList><Other>x</Other><PublicationType>"
                 "Letter</PublicationType></PublicationTypeList><PublicationTypeList><PublicationType>English Abstract"
                 "</PublicationType></PublicationTypeList>"),
         "  '' doi: l:eng l:eng t:Letter t:English Abstract"},
        {CITATION(
             "<PMID>1</PMID><ChemicalList><NameOfSubstance>no</NameOfSubstance><Chemical/><Chemical>"
             "<NameOfSubstance>a\n b</NameOfSubstance><NameOfSubstance>c</NameOfSubstance></Chemical></ChemicalList>"
             "<SupplMeshList><SupplMeshName>no</SupplMeshName></SupplMeshList>"),
         "  '' doi: c:a b c:c"},
        /* headings */
        {HEADING("<DescriptorName MajorTopicYN='Y'> A </DescriptorName><QualifierName MajorTopicYN='Y'> b "
                 "</QualifierName>"),
         "  '' doi: m:*A/*b"},
        {HEADING("<DescriptorName MajorTopicYN='N'>A</DescriptorName><QualifierName/><QualifierName MajorTopicYN='Y'> "
                 "</QualifierName><QualifierName>b</QualifierName>"),
         "  '' doi: m:A/b"},
        {HEADING(
             "<DescriptorName>A</DescriptorName><DescriptorName>B</DescriptorName><QualifierName>b</QualifierName>"),
         "  '' doi: m:A/b"},
        {HEADING("<QualifierName>adverse effects</QualifierName><DescriptorName>A</DescriptorName>"), "  '' doi: m:A"},
        {HEADING("<DescriptorName MajorTopicYN='Y'/><QualifierName>adverse effects</QualifierName>"), "  '' doi:"},
        {HEADING("<DescriptorName>A</DescriptorName><QualifierName> adverse\neffects </QualifierName><QualifierName>"
                 "chemically induced</QualifierName>"),
         "  '' doi: m:A/adverse effects/chemically induced ADVERSE INDUCED"},
        {HEADING("<DescriptorName>adverse effects</DescriptorName>"), "  '' doi: m:adverse effects"},
        {HEADING(""), "  '' doi:"},
        /* retractions */
        {ARTICLE(
             "<PublicationTypeList><PublicationType>Retraction of Publication</PublicationType></PublicationTypeList>"),
         "  '' doi: t:Retraction of Publication"},
        {ARTICLE(
             "<PublicationTypeList><PublicationType> Retracted\nPublication</PublicationType></PublicationTypeList>"),
         "  '' doi: t:Retracted Publication RETRACTED"},
        {CITATION("<PMID>1</PMID><CommentsCorrectionsList><CommentsCorrections "
                  "RefType='RetractionOf'/></CommentsCorrectionsList>"),
         "  '' doi:"},
        {CITATION("<PMID>1</PMID><CommentsCorrectionsList><CommentsCorrections RefType='Cites'/><CommentsCorrections "
                  "RefType='RetractionIn'><PMID>7</PMID></CommentsCorrections></CommentsCorrectionsList>"),
         "  '' doi: RETRACTED"},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[512];
        memset(&s, 0, sizeof s);
        s.fields = true;
        if (parse(cases[i].xml, strlen(cases[i].xml), 4096, &s)) fail_msg("%s: %s", cases[i].xml, ade_last_error());
        snprintf(expected, sizeof expected, "1.1|\n  %s\n", cases[i].fields);
        if (strcmp(s.dump, expected)) fail_msg("%s:\n%sinstead of\n%s", cases[i].xml, s.dump, expected);
    }
}

/* Random texts of much white space, against a reader of single bytes. */
static void test_white_space(void **state) {
    static const char *const units[] = {"a", "bc", " ", " ", "\n", "\t", "  ", "\xc3\xa9", "\xc2\xa0", "word word wo"};
    static seen              s;
    unsigned                 seed = 1;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char   text[512] = "", expected[512], xml[1024];
        size_t n = 0, size = 0;
        for (int i = 0; i < 1 + round % 40; i++) {
            seed = seed * 1664525 + 1013904223;
            const char *unit = units[(seed >> 24) % (sizeof units / sizeof *units)];
            memcpy(text + n, unit, strlen(unit) + 1);
            n += strlen(unit);
        }
        for (size_t i = 0; i < n; i++) {
            const bool white = strchr(" \t\n", text[i]) != NULL;
            if (!white && size && strchr(" \t\n", text[i - 1])) expected[size++] = ' ';
            if (!white) expected[size++] = text[i];
        }
        expected[size] = '\0';
        snprintf(xml, sizeof xml,
                 "<MedlineCitationSet><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>%s</ArticleTitle></Article>"
                 "</MedlineCitation></MedlineCitationSet>",
                 text);
        memset(&s, 0, sizeof s);
        assert_int_equal(parse(xml, strlen(xml), 1 + (size_t)round % 100, &s), ADE_OK);
        assert_memory_equal(s.dump, "1.1|", 4);
        assert_int_equal(strlen(s.dump), size + 5);
        assert_memory_equal(s.dump + 4, expected, size);
    }
}

/* Nothing of one record is left in the next. */
static void test_fields_end(void **state) {
    static const char full[] =
        "<PubmedArticle><MedlineCitation><PMID "
        "Version='3'>1</PMID><DateRevised><Year>2020</Year></DateRevised><Article>"
        "<Journal><JournalIssue><PubDate><Year>2019</Year></PubDate></JournalIssue><Title>J</Title></"
        "Journal><ArticleTitle>T"
        "</ArticleTitle><ELocationID "
        "EIdType='doi'>10.1/e</ELocationID><Abstract><AbstractText>A</AbstractText></Abstract>"
        "<Language>eng</Language><PublicationTypeList><PublicationType>Retracted Publication</PublicationType>"
        "</PublicationTypeList></Article><MedlineJournalInfo><MedlineTA>TA</MedlineTA></"
        "MedlineJournalInfo><ChemicalList>"
        "<Chemical><NameOfSubstance>C</NameOfSubstance></Chemical></ChemicalList><MeshHeadingList><MeshHeading>"
        "<DescriptorName>D</DescriptorName><QualifierName>adverse effects</QualifierName><QualifierName>chemically "
        "induced"
        "</QualifierName></MeshHeading></MeshHeadingList><OtherAbstract Type='X' Language='fre'><AbstractText>O"
        "</AbstractText></OtherAbstract></MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType='doi'>10.1/a"
        "</ArticleId></ArticleIdList></PubmedData></PubmedArticle>";
    static const char dumped[] = "1.3|T=A|fre/X=O\n  2019 2020 'TA' doi:10.1/e l:eng t:Retracted Publication c:C "
                                 "m:D/adverse effects/chemically induced "
                                 "RETRACTED ADVERSE INDUCED\n";
    static const char *const next[][2] = {
        {"<PubmedArticle><MedlineCitation><PMID>2</PMID></MedlineCitation></PubmedArticle>", "2.1|\n    '' doi:\n"},
        {"<PubmedArticle/>", ""},
        {"<PubmedArticle><PubmedData><ArticleIdList><ArticleId "
         "IdType='doi'>10.1/a</ArticleId></ArticleIdList></PubmedData>"
         "</PubmedArticle><MedlineCitation><PMID>2</PMID></MedlineCitation>",
         "2.1|\n    '' doi:\n"},
        {"<PubmedBookArticle><BookDocument><PMID>2</PMID></BookDocument></PubmedBookArticle>", "2.1|\n    '' doi:\n"},
        {"<DeleteCitation><PMID>2</PMID></DeleteCitation><MedlineCitation><PMID>3</PMID></MedlineCitation>",
         "2.1 deleted|\n3.1|\n    '' doi:\n"},
        /* two citations in one article, which no DTD allows: the second is a record, too */
        {"<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>x</ArticleTitle></Article></"
         "MedlineCitation>"
         "<MedlineCitation><PMID>3</PMID></MedlineCitation></PubmedArticle>",
         "2.1|x\n    '' doi:\n3.1|\n    '' doi:\n"},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
        char xml[4096], expected[1024];
        snprintf(xml, sizeof xml, "<PubmedArticleSet>%s%s%s</PubmedArticleSet>", full, next[i][0], full);
        snprintf(expected, sizeof expected, "%s%s%s", dumped, next[i][1], dumped);
        memset(&s, 0, sizeof s);
        s.fields = true;
        assert_int_equal(parse(xml, strlen(xml), 4096, &s), ADE_OK);
        assert_string_equal(s.dump, expected);
    }
}

static void test_sections(void **state) {
    static const struct {
        const char *xml, *dump;
    } cases[] = {
        {CITATION("<PMID>1</PMID><OtherAbstract Type='AIDS' Language=' '><AbstractText>o</AbstractText></OtherAbstract>"
                  "<Article><Abstract><AbstractText>a</AbstractText></Abstract></Article>"),
         "1.1|=a|eng/AIDS=o\n"}, /* the abstract first, wherever it stands */
        {CITATION(
             "<PMID>1</PMID><OtherAbstract Language='fre'><AbstractText/><CopyrightInformation>c</CopyrightInformation>"
             "</OtherAbstract>"),
         "1.1||fre/=\n"},
        {CITATION("<PMID>1</PMID><OtherAbstract Type='KIE'/>"), "1.1|\n"},
        {CITATION("<PMID>1</PMID><Article><Abstract/></Article>"), "1.1|\n"},
        {CITATION("<PMID>1</PMID><Article><Abstract>no element<AbstractText>a</AbstractText></Abstract>"
                  "<Abstract><AbstractText>b</AbstractText></Abstract></Article>"),
         "1.1|=a=b\n"},
        {CITATION("<PMID>1</PMID><Article><ArticleTitle/><ArticleTitle>a</ArticleTitle><ArticleTitle>b</ArticleTitle>"
                  "</Article>"),
         "1.1|a\n"},
        {CITATION("<PMID>1</PMID><Article><VernacularTitle>v</VernacularTitle><Abstract><AbstractText>x "
                  "<AbstractText>y</AbstractText> z</AbstractText></Abstract></Article>"),
         "1.1|=x y z\n"},
        {SET("<PubmedBookArticle><BookDocument><PMID>1</PMID><ArticleTitle/><Book><BookTitle>b</BookTitle></Book>"
             "<Abstract><AbstractText>a</AbstractText></Abstract></BookDocument></PubmedBookArticle>"),
         "1.1|=a\n"},
        {SET("<PubmedBookArticle><BookDocument><ArticleTitle>c</ArticleTitle><Book><BookTitle>b</BookTitle></Book>"
             "<PMID>1</PMID></BookDocument></PubmedBookArticle>"),
         "1.1|c\n"},
        {"<PubmedBookArticleSet><PubmedBookArticle><BookDocument><PMID>1</PMID><Book><BookTitle>b<sub>2</sub></"
         "BookTitle>"
         "</Book></BookDocument></PubmedBookArticle></PubmedBookArticleSet>",
         "1.1|b_(2)\n"},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse_text(cases[i].xml, &s)) fail_msg("%s: %s", cases[i].xml, ade_last_error());
        assert_string_equal(s.dump, cases[i].dump);
    }
}

/* Other encodings are refused, not read as what they are not. */
static void test_encodings(void **state) {
    static const char xml[] = CITATION("<PMID>1</PMID><Article><ArticleTitle>Title</ArticleTitle></Article>");
    static const char latin[] = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" CITATION(
        "<PMID>1</PMID><Article><ArticleTitle>\xe9</ArticleTitle></Article>");
    static seen s;
    char        wide[2 * sizeof xml + 2];
    (void)state;
    for (int order = 0; order < 2; order++) { /* UTF-16, both byte orders */
        size_t n = 0;
        wide[n++] = order ? '\xfe' : '\xff';
        wide[n++] = order ? '\xff' : '\xfe';
        for (size_t i = 0; xml[i]; i++) {
            wide[n + (size_t)order] = xml[i];
            wide[n + (size_t)!order] = '\0';
            n += 2;
        }
        for (size_t chunk = 1; chunk <= n; chunk += n - 1) {
            memset(&s, 0, sizeof s);
            assert_int_equal(parse(wide, n, chunk, &s), ADE_BAD_INPUT);
            assert_non_null(strstr(ade_last_error(), "test.xml:1:1: "));
            assert_non_null(strstr(ade_last_error(), "UTF-8"));
            assert_int_equal(s.records, 0);
        }
    }
    assert_int_equal(parse_text(latin, &s), ADE_BAD_INPUT);
    assert_non_null(strstr(ade_last_error(), "test.xml:1:"));
    assert_non_null(strstr(ade_last_error(), "ISO-8859-1"));
    assert_int_equal(s.records, 0);
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
                   "text text ", 9 * mega, "the record with PMID 5 has more than 8 MiB");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><Article><ArticleTitle>", "text", 9 * mega,
                   "a record has more than 8 MiB");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID>",
                   "<OtherAbstract><AbstractText Label=\"twelve bytes\">and these</AbstractText></OtherAbstract>",
                   8 * mega, "more than 65536 abstract sections");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><MeshHeadingList>",
                   "<MeshHeading><DescriptorName>D</DescriptorName></MeshHeading>", 8 * mega,
                   "more than 65536 abstract sections");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><DateRevised><Year>", "1", 9 * mega,
                   "PMID 5 has more than 8 MiB");
    expect_refusal("<PubmedArticleSet><DeleteCitation><PMID>", "1", 9 * mega, "a record has more than 8 MiB");
    expect_refusal("<PubmedArticleSet>", "<a>", mega, "nested more than 1000");
    expect_refusal("<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><Article><ArticleTitle>", "<i>",
                   mega, "nested more than 1000");
    expect_refusal("<PubmedArticleSet><!-- ", "x", 40 * mega, "longer than 16 MiB");
    expect_refusal("<PubmedArticleSet a=\"", "x", 40 * mega, "longer than 16 MiB");
}

/* White space is no text, and what is skipped is none: a record of 40 MiB of both is read. */
static void test_large_but_empty(void **state) {
    static seen  s;
    ade_medline *m;
    const char  *parts[] = {"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>5</PMID><Article><ArticleTitle>a",
                            NULL, "b</ArticleTitle></Article><KeywordList><Keyword>", NULL,
                            "</Keyword></KeywordList></MedlineCitation></PubmedArticle></PubmedArticleSet>"};
    (void)state;
    memset(&s, 0, sizeof s);
    assert_int_equal(ade__medline_open("test.xml", note, &s, &m), ADE_OK);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < (parts[i] ? 1 : 20); k++) {
            const size_t size = parts[i] ? strlen(parts[i]) : 1 << 20;
            char        *buffer = ade__medline_buffer(m, size);
            assert_non_null(buffer);
            if (parts[i])
                memcpy(buffer, parts[i], size);
            else
                memset(buffer, i == 1 ? ' ' : 'x', size);
            assert_int_equal(ade__medline_parse(m, size, i == 4), ADE_OK);
        }
    ade__medline_close(m);
    assert_string_equal(s.dump, "5.1|a b\n");
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

/* Fails each allocation in turn: it is said, or nothing is missing. */
static void fail_everywhere(const char *xml, size_t size, int records) {
    static seen s, whole;
    ade_status  status = ADE_OUT_OF_MEMORY;
    long        n = 0;
    memset(&whole, 0, sizeof whole);
    whole.fields = true;
    assert_int_equal(parse(xml, size, 512, &whole), ADE_OK);
    assert_int_equal(whole.records, records);
    for (; n < 2000 && status; n++) {
        memset(&s, 0, sizeof s);
        s.fields = true;
        ade__alloc_fail_at(n);
        status = parse(xml, size, 512, &s);
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_OK || status == ADE_OUT_OF_MEMORY);
        if (status) assert_non_null(strstr(ade_last_error(), "out of memory"));
    }
    assert_int_equal(status, ADE_OK);
    assert_string_equal(s.dump, whole.dump);
    assert_true(n > 10);
}

static void test_out_of_memory(void **state) {
    static const char *const files[] = {"handmade.xml", "handmade_fields.xml"};
    char                     grown[8192] = "<MedlineCitationSet>";
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t size;
        char  *xml = slurp(data_path(files[f]), &size);
        fail_everywhere(xml, size, 4);
        free(xml);
    }
    for (int i = 0; i < 2; i++) { /* in the second record one list grows, and nothing else: no later failure tells */
        strcat(grown, "<MedlineCitation><PMID>1</PMID>");
        for (int k = 0; k < (i == 0 ? 40 : 20); k++)
            strcat(grown, i == 0 ? "<MeshHeadingList><MeshHeading><DescriptorName>Descriptor</DescriptorName>"
                                   "</MeshHeading></MeshHeadingList>"
                                 : "<Article><Language>eng</Language></Article>");
        strcat(grown, "</MedlineCitation>");
    }
    strcat(grown, "</MedlineCitationSet>");
    fail_everywhere(grown, strlen(grown), 2);
}

/* No byte of damage may do more than give an error. */
static void test_flipped_bytes(void **state) {
    static const char *const files[] = {"handmade.xml", "handmade_fields.xml"};
    static seen              s;
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t size;
        char  *xml = slurp(data_path(files[f]), &size);
        for (size_t i = 0; i < size; i++) {
            const char old = xml[i];
            xml[i] = (char)(old ^ (1 << i % 8));
            memset(&s, 0, sizeof s);
            s.fields = true;
            ade_status status = parse(xml, size, 997, &s);
            assert_true(status == ADE_OK || status == ADE_BAD_INPUT);
            xml[i] = old;
        }
        free(xml);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_handmade),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_field_traps),
        cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_fields_end),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_chunk_sizes),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_large_but_empty),
        cmocka_unit_test(test_callback_stops),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_flipped_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
