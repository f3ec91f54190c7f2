/* SPDX-License-Identifier: Apache-2.0
 * The XML parser: what it accepts and refuses, with texts and places; every case at several piece sizes. */
#define _GNU_SOURCE /* memmem */
#include "alloc.h"
#include "xml.h"
#include "xml_attributes.h"
#include "xml_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"

/* The events of a document as "(name a=value text(inner ))"; what the callbacks do depends on names. */
typedef struct seen {
    ade_xml *xml;
    char     dump[4096];
    size_t   size;
    uint64_t texts;
    bool     places; /* "@line:column" before each event */
} seen;

static void put(seen *s, const char *text, size_t size) {
    if (s->size + size >= sizeof s->dump) size = sizeof s->dump - 1 - s->size;
    memcpy(s->dump + s->size, text, size);
    s->dump[s->size += size] = '\0';
}

static void put_place(seen *s) {
    char     text[64];
    uint64_t line, column;
    if (!s->places) return;
    ade__xml_place(s->xml, &line, &column);
    put(s, text,
        (size_t)snprintf(text, sizeof text, "@%llu:%llu", (unsigned long long)line, (unsigned long long)column));
}

static bool named(ade_text name, const char *other) {
    return name.size == strlen(other) && !memcmp(name.data, other, name.size);
}

static void on_start(void *user, ade_text name) {
    static const char *const asked[] = {"a", "b", "xml:c"};
    seen                    *s = user;
    ade_text                 values[3], value;
    bool                     there[3];
    for (int i = 0; i < 3; i++) there[i] = ade__xml_attribute(s->xml, asked[i], &values[i]);
    put_place(s); /* also after values were resolved where they stand */
    put(s, "(", 1);
    put(s, name.data, name.size);
    for (int i = 0; i < 3; i++) { /* each lives on while others are asked for */
        if (!there[i]) continue;
        put(s, " ", 1);
        put(s, asked[i], strlen(asked[i]));
        put(s, "=", 1);
        put(s, values[i].data, values[i].size);
    }
    assert_false(ade__xml_attribute(s->xml, "nobody", &value));
    put(s, " ", 1);
    if (named(name, "skip")) ade__xml_skip(s->xml);
    if (named(name, "skip-loud")) {
        ade__xml_skip(s->xml);
        ade__xml_want_text(s->xml, true);
    }
    if (named(name, "quiet")) ade__xml_want_text(s->xml, false);
    if (named(name, "loud")) ade__xml_want_text(s->xml, true);
    if (named(name, "stop")) ade__xml_stop(s->xml, ADE_CANCELLED);
    if (named(name, "stop-twice")) {
        ade__xml_stop(s->xml, ADE_IO);
        ade__xml_stop(s->xml, ADE_CANCELLED);
    }
}

static void on_end(void *user) {
    seen    *s = user;
    ade_text value;
    assert_false(ade__xml_attribute(s->xml, "a", &value)); /* only in a start */
    put_place(s);
    put(s, ")", 1);
}

static void on_text(void *user, ade_text text) {
    seen *s = user;
    assert_true(text.size > 0);
    s->texts++;
    put_place(s);
    put(s, text.data, text.size);
    if (memmem(text.data, text.size, "STOP", 4)) ade__xml_stop(s->xml, ADE_CANCELLED);
}

static const ade_xml_handler handler = {on_start, on_end, on_text};

static ade_status feed(ade_xml *xml, const char *bytes, size_t size, size_t piece, bool final) {
    ade_status status = ADE_OK;
    size_t     at = 0;
    do {
        const size_t n = size - at < piece ? size - at : piece;
        void        *buffer = ade__xml_buffer(xml, n);
        if (!buffer) return ADE_OUT_OF_MEMORY;
        if (n) memcpy(buffer, bytes + at, n);
        at += n;
        status = ade__xml_parse(xml, n, final && at == size);
    } while (!status && at < size);
    return status;
}

static ade_status parse(const char *bytes, size_t size, size_t piece, seen *s) {
    const bool places = s->places;
    memset(s, 0, sizeof *s);
    s->places = places;
    ade_status status = ade__xml_open("test.xml", &handler, s, &s->xml);
    if (status) return status;
    status = feed(s->xml, bytes, size, piece, true);
    ade__xml_close(s->xml);
    return status;
}

static const size_t pieces[] = {1 << 20, 1, 2, 3, 4, 5, 7, 16, 61};

/* Accepted, with these events, at every piece size. */
static void accept_bytes(const char *bytes, size_t size, const char *dump) {
    static seen s;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (parse(bytes, size, pieces[i], &s))
            fail_msg("%.200s in pieces of %zu: %s", bytes, pieces[i], ade_last_error());
        if (strcmp(s.dump, dump)) fail_msg("%.200s in pieces of %zu: %s instead of %s", bytes, pieces[i], s.dump, dump);
    }
}
static void accept(const char *xml, const char *dump) { accept_bytes(xml, strlen(xml), dump); }

/* Refused at every piece size with a message that begins with test.xml, this place, and has these words; and what was
 * told before is the same. */
static void refuse_bytes(const char *bytes, size_t size, const char *place, const char *words) {
    static seen s;
    char        begin[64], first[1024], told[sizeof s.dump];
    snprintf(begin, sizeof begin, "test.xml:%s: ", place);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (parse(bytes, size, pieces[i], &s) != ADE_BAD_INPUT)
            fail_msg("%.200s in pieces of %zu was accepted as %s", bytes, pieces[i], s.dump);
        const char *const text = ade_last_error();
        if (strncmp(text, begin, strlen(begin)) || !strstr(text, words))
            fail_msg("%.200s in pieces of %zu: \"%s\" lacks \"%s\" or \"%s\"", bytes, pieces[i], text, begin, words);
        if (i == 0) {
            snprintf(first, sizeof first, "%s", text);
            memcpy(told, s.dump, sizeof told);
        }
        assert_string_equal(text, first);
        assert_string_equal(s.dump, told);
    }
}
static void refuse(const char *xml, const char *place, const char *words) {
    refuse_bytes(xml, strlen(xml), place, words);
}

#define WF "not well-formed XML: "
#define SIZED(text) (text), sizeof(text) - 1

/* ---- Elements and attributes ------------------------------------------------------------------------------------- */

static void test_elements(void **state) {
    (void)state;
    accept("<a/>", check_wrong() ? "(a)" : "(a )");
    accept("<a></a>", "(a )");
    accept("<a ></a\n>", "(a )");
    accept("<r>x<s/>y<t>z</t></r>\n", "(r x(s )y(t z))");
    accept("<:a-b.c_1><\xc3\xa9\xcc\x80/><\xf0\x90\x80\x80/></:a-b.c_1>",
           "(:a-b.c_1 (\xc3\xa9\xcc\x80 )(\xf0\x90\x80\x80 ))");
    accept("<abcdefghijklmnop><abcdefghijklmnopq/></abcdefghijklmnop >", "(abcdefghijklmnop (abcdefghijklmnopq ))");
    refuse("<r>\n <s>\n  </t></s></r>", "3:5", WF "mismatched tag: </t> where </s> is due");
    refuse("<r><s></sx></r>", "1:9", WF "mismatched tag");
    refuse("<r><sx></s></r>", "1:10", WF "mismatched tag");
    refuse("<abcdefghijklmnopqrs></abcdefghijklmnopqrt>", "1:24", WF "mismatched tag");
    refuse("<r></r", "1:7", "the file ends before its root element is closed: it is truncated");
    refuse("<r></r x>", "1:8", WF "this character cannot be in an end tag");
    refuse("<r></ r>", "1:6", WF "\"</\" begins no end tag");
    refuse("<r>< s/></r>", "1:5", WF "\"<\" begins no tag; the character itself is written as &lt;");
    refuse("<1/>", "1:2", WF);
    refuse("<-a/>", "1:2", WF);
    refuse("<\xcc\x80/>", "1:2", WF);  /* a combining accent continues names only */
    refuse("<a\xc3\x97/>", "1:3", WF); /* a multiplication sign */
    refuse("<r/ >", "1:4", WF "a \"/\" in a tag");
    refuse("</r>", "1:2", WF);
    refuse("<r><!x></r>", "1:6", WF "\"<!\" begins neither a comment nor a CDATA section");
}

static void test_attributes(void **state) {
    (void)state;
    accept("<r a='1' b=\"2\" xml:c='&quot;'/>", "(r a=1 b=2 xml:c=\" )");
    accept("<r\n a\t=\r\n'' b='\"' c=\"'\"  />", "(r a= b=\" )");
    accept("<r b='x>y' a='\xc3\xa9\xe2\x82\xac'/>", "(r a=\xc3\xa9\xe2\x82\xac b=x>y )");
    /* Each white space is a space, a line end is one; references to white space stay. */
    accept("<r a=' 1\t2\n3\r4\r\n5\r' b='&#9;&#xA;&#13;'/>", "(r a= 1 2 3 4 5  b=\t\n\r )");
    accept("<r a='&lt;&amp;&gt;&quot;&apos;&#60;&#x1d11E;' b='&amp;lt;'>&#x3C;</r>",
           "(r a=<&>\"'<\xf0\x9d\x84\x9e b=&lt; <)");
    accept("<r z='1' y='2' a='3' x='4'><s b='5'/><t/></r>", "(r a=3 (s b=5 )(t ))");
    refuse("<r a='1' b='2' a='3'/>", "1:16", WF "duplicate attribute a");
    refuse("<r a='1' a='2' a='3'/>", "1:10", WF "duplicate attribute a");
    refuse("<r a='1'b='2'/>", "1:9", WF "this character cannot be in a tag here");
    refuse("<r a/>", "1:5", WF "an attribute has no \"=\"");
    refuse("<r a = 1/>", "1:8", WF "an attribute's value has no quotes");
    refuse("<r ='1'/>", "1:4", WF "this character cannot be in a tag here");
    refuse("<r a='<'/>", "1:7", WF "a \"<\" in the value of an attribute");
    refuse("<r>\n<s a=\"1>x</s></r>", "2:10",
           WF "a \"<\" in the value of an attribute; or its closing quote is missing");
    refuse("<r a='&'/>", "1:8", WF "\"&\" begins no reference; the character itself is written as &amp;");
    refuse("<r a='&amp'/>", "1:11", WF "a reference lacks its \";\"");
    refuse("<r a='x&nbsp;'/>", "1:8",
           "the entity \"nbsp\" is not defined; only the five of XML itself and numbers are read");
    refuse("<r a='\x01'/>", "1:7", WF "the character U+0001 is not allowed in XML");
    refuse("<r a='\xc3'/>", "1:7", WF "the byte 0xC3 is not UTF-8 here");
}

/* More attributes than are compared pair by pair. */
static void test_many_attributes(void **state) {
    enum { N = 300 };
    static char  xml[N * 16];
    static char  place[32];
    static seen  s;
    ade_xml_span sorted[N];
    (void)state;
    for (int twice = -1; twice < 200; twice += 23) {
        size_t n = (size_t)snprintf(xml, sizeof xml, "<r");
        size_t at = 0;
        for (int i = 0; i < N; i++) {
            if (i == 200 && twice >= 0) at = n + 2;
            n += (size_t)snprintf(xml + n, sizeof xml - n, " n%d='%d'",
                                  i == 200 && twice >= 0 ? twice : (i * 7) % N + 1000, i);
            if (i == twice)
                n -= strlen(strrchr(xml, ' ')), n += (size_t)snprintf(xml + n, sizeof xml - n, " n%d=''", twice);
        }
        snprintf(xml + n, sizeof xml - n, " a='last'/>");
        snprintf(place, sizeof place, "1:%zu", at);
        if (twice < 0) {
            assert_int_equal(parse(xml, strlen(xml), 50, &s), ADE_OK);
            assert_string_equal(s.dump, "(r a=last )");
        } else {
            refuse(xml, place, "duplicate attribute n");
        }
    }
    for (size_t n = 0; n <= N; n++) { /* the sort, by itself */
        for (size_t i = 0; i < n; i++) sorted[i] = (ade_xml_span){.name = (uint32_t)(i * 31 % n), .name_size = 1};
        memset(xml, 'x', sizeof xml);
        ade__xml_sort_spans(xml, sorted, n);
        for (size_t i = 1; i < n; i++) assert_true(sorted[i - 1].name <= sorted[i].name);
    }
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void test_text(void **state) {
    (void)state;
    accept("<r> a\tb\nc </r>", "(r  a\tb\nc )");
    accept("<r>\r\n\r\r\r\n\n\r</r>", "(r \n\n\n\n\n\n)");
    accept(
        "<r>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\xc2\x80\xef\xbf\xbd\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf</r>",
        "(r \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\xc2\x80\xef\xbf\xbd\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf)");
    accept("<r>]]]</r>", "(r ]]])");
    accept("<r>]]&gt;]] >]>></r>", "(r ]]>]] >]>>)");
    refuse("<r>a]]>b</r>", "1:5", WF "\"]]>\" in text; it is written as ]]&gt;");
    refuse("<r>]]]]></r>", "1:6", WF "\"]]>\" in text");
    refuse_bytes(SIZED("<r>a\0b</r>"), "1:5", WF "the character U+0000 is not allowed in XML");
    refuse("<r>\x1b[2J</r>", "1:4", WF "the character U+001B");
    refuse("<r>\xef\xbf\xbe</r>", "1:4", WF "the character U+FFFE");
    refuse("<r>\xef\xbf\xbf</r>", "1:4", WF "the character U+FFFF");
}

static void test_utf8(void **state) {
    static const struct {
        const char *bytes, *words;
    } cases[] = {
        {"\x80", "0x80 is not UTF-8"},         {"\xc0\x80", "0xC0 is not UTF-8"}, /* overlong from here */
        {"\xc1\xbf", "0xC1 is not UTF-8"},     {"\xe0\x9f\xbf", "0xE0 is not UTF-8"},
        {"\xf0\x8f\xbf\xbf", "0xF0 is not"},   {"\xed\xa0\x80", "0xED is not UTF-8"}, /* surrogates */
        {"\xed\xbf\xbf", "0xED is not UTF-8"}, {"\xf4\x90\x80\x80", "0xF4 is not"},   /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", "0xF5 is not"},   {"\xff", "0xFF is not UTF-8"},
        {"\xc3x", "0xC3 is not UTF-8"},        {"\xe2\x82x", "0xE2 is not UTF-8"},
        {"\xf0\x9f\x98x", "0xF0 is not"},      {"\xe2\x28\xa1", "0xE2 is not UTF-8"},
    };
    char xml[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(xml, sizeof xml, "<r>\xc3\xa9%s</r>", cases[i].bytes);
        refuse(xml, "1:5", cases[i].words);
        snprintf(xml, sizeof xml, "<r a='%s'/>", cases[i].bytes);
        refuse(xml, "1:7", cases[i].words);
        snprintf(xml, sizeof xml, "<r>\n<!-- %s --></r>", cases[i].bytes);
        refuse(xml, "2:6", cases[i].words);
        snprintf(xml, sizeof xml, "<r><x%s/></r>", cases[i].bytes);
        refuse(xml, "1:6", cases[i].words);
        snprintf(xml, sizeof xml, "<r><skip>%s</skip></r>", cases[i].bytes);
        refuse(xml, "1:10", cases[i].words);
    }
}

static void test_cdata(void **state) {
    (void)state;
    accept("<r>a<![CDATA[<b>&amp;]]]>c<![CDATA[]]></r>", "(r a<b>&amp;]c)");
    accept("<r><![CDATA[]]]]><![CDATA[>\r\n\r]]></r>", "(r ]]>\n\n)");
    refuse("<r><![CDATA[x]] ></r>", "1:22", "it is truncated");
    refuse("<r><![cdata[x]]></r>", "1:7", WF "\"<!\" begins neither a comment nor a CDATA section");
    refuse("<r><![CDATA[\x02]]></r>", "1:13", WF "the character U+0002");
    refuse("<![CDATA[x]]><r/>", "1:3", WF);
    refuse("<r/><![CDATA[x]]>", "1:5", WF "junk after document element");
}

static void test_references(void **state) {
    (void)state;
    accept("<r>&lt;&amp;&gt;&quot;&apos;</r>", "(r <&>\"')");
    accept("<r>&#946;&#x3b2;&#x3B2;&#000065;&#x10FFFF;&#xD7FF;&#9;&#10;&#13;</r>",
           "(r \xce\xb2\xce\xb2\xce\xb2"
           "A\xf4\x8f\xbf\xbf\xed\x9f\xbf\t\n\r)");
    refuse("<r>&nbsp;</r>", "1:4",
           "the entity \"nbsp\" is not defined; only the five of XML itself and numbers are read");
    refuse("<!DOCTYPE r SYSTEM 'x.dtd'><r>a &nbsp;</r>", "1:33", "the entity \"nbsp\" is not defined");
    refuse("<r>&AMP;</r>", "1:4", "the entity \"AMP\" is not defined");
    refuse("<r>&#0;</r>", "1:4", WF "reference to invalid character number &#0;");
    refuse("<r>&#x1F;</r>", "1:4", WF "reference to invalid character number");
    refuse("<r>&#xD800;</r>", "1:4", WF "reference to invalid character number");
    refuse("<r>&#xFFFE;</r>", "1:4", WF "reference to invalid character number");
    refuse("<r>&#x110000;</r>", "1:4", WF "reference to invalid character number");
    refuse("<r>&#4294967361;</r>", "1:4", WF "reference to invalid character number"); /* 65 + 2^32 */
    refuse("<r>&#;</r>", "1:6", WF "a character reference is no number");
    refuse("<r>&#x;</r>", "1:7", WF "a character reference is no number");
    refuse("<r>&#X41;</r>", "1:6", WF "a character reference is no number");
    refuse("<r>&#6a;</r>", "1:7", WF "a character reference is no number");
    refuse("<r>& </r>", "1:5", WF "\"&\" begins no reference");
    refuse("<r>&lt </r>", "1:7", WF "a reference lacks its \";\"");
}

/* ---- Around the root --------------------------------------------------------------------------------------------- */

static void test_comments_and_instructions(void **state) {
    (void)state;
    accept("<?p?><!----><?q x?y?>\n<r>a<!-- <b> & - -> ]]> -->b<?p <x> ?? >?>c<!-- \xc3\xa9 --></r><?z?> <!-- x -->\n",
           "(r abc)");
    accept("<?xml-stylesheet href='x'?><r/>", "(r )");
    accept("<?xm ?><?xmlx?><?xml\xc3\xa9?><r/>", "(r )");
    refuse("<r><!-- a -- b --></r>", "1:13", WF "\"--\" within a comment");
    refuse("<r><!-- a ---></r>", "1:13", WF "\"--\" within a comment");
    refuse("<r><!- x --></r>", "1:7", WF "\"<!-\" begins no comment");
    refuse("<r><!-- \x0b --></r>", "1:9", WF "the character U+000B");
    refuse("<r><? x?></r>", "1:6", WF "\"<?\" begins no processing instruction");
    refuse("<r><?x/?></r>", "1:7", WF "this character cannot be in an instruction's name");
    refuse("<r><?x?y?></r>", "1:8", WF "an instruction's name ends with");
    refuse("<r><?xml version='1.0'?></r>", "1:6", WF "an XML declaration is not at the start of the file");
    refuse("<r><?XmL x?></r>", "1:6", WF "an instruction must not be named XmL");
    refuse("<r/><!-- x", "1:11", "the file ends within what follows its root element: it is truncated");
}

static void test_declaration(void **state) {
    static const char *const refused[] = {"<?xml?><r/>",
                                          "<?xml ?><r/>",
                                          "<?xml encoding='UTF-8'?><r/>",
                                          "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><r/>",
                                          "<?xml version='1.0'encoding='UTF-8'?><r/>",
                                          "<?xml version=1.0?><r/>",
                                          "<?xml version='1.0\"?><r/>",
                                          "<?xml version='1.0' x='y'?><r/>",
                                          "<?xml version='2.0'?><r/>",
                                          "<?xml version='1.'?><r/>",
                                          "<?xml version='1.0' standalone='maybe'?><r/>",
                                          "<?xml version='1.0' encoding=''?><r/>",
                                          "<?xml version='1.0' encoding='-utf'?><r/>",
                                          "<?xml version='1.0'><r/>",
                                          " <?xml version='1.0'?><r/>",
                                          "<!-- --><?xml version='1.0'?><r/>",
                                          "<?xml version='1.0'?><?xml version='1.0'?><r/>",
                                          "<!DOCTYPE r [<?xml version='1.0'?>]><r/>",
                                          "<?XML version='1.0'?><r/>"};
    static seen              s;
    (void)state;
    accept("<?xml version='1.0'?><r/>", "(r )");
    accept("<?xml  version = \"1.0\"  encoding = 'utf-8' standalone='no' ?>\r\n<r/>", "(r )");
    accept("<?xml version='1.1' standalone='yes'?><r/>", "(r )");
    accept("<?xml version='1.0' encoding='US-ASCII'?><r>&#233;</r>", "(r \xc3\xa9)");
    accept("\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?><r/>", "(r )");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (parse(refused[i], strlen(refused[i]), 4096, &s) != ADE_BAD_INPUT) fail_msg("%s was accepted", refused[i]);
        CHECK(strstr(ade_last_error(), WF), "%s: %s", refused[i], ade_last_error());
    }
    refuse("<?xml version='2.0'?><r/>", "1:16", WF "\"2.0\" is no version of XML 1");
}

static void test_encodings(void **state) {
    (void)state;
    accept("\xef\xbb\xbf<r/>", "(r )");
    refuse(
        "<?xml version='1.0' encoding='ISO-8859-1'?><r>\xe9</r>", "1:31",
        "the file declares the encoding \"ISO-8859-1\", and only UTF-8 is read; convert it with iconv -f ISO-8859-1 -t "
        "UTF-8, and declare UTF-8 here");
    refuse("<?xml version='1.0' encoding='EBCDIC-X'?><r/>", "1:31", "\"EBCDIC-X\"");
    refuse("<?xml version='1.0' encoding='UTF-16'?><r/>", "1:31", "\"UTF-16\"");
    refuse("<?xml version='1.0' encoding='us-ascii'?>\n<r>\xc3\xa9</r>", "2:4", WF "a character beyond US-ASCII");
    refuse("<?xml version='1.0' encoding='us-ascii'?>\n<r\xc3\xa9/>", "2:3", WF "a character beyond US-ASCII");
    refuse("<?xml version='1.0' encoding='us-ascii'?>\n<r a='\xc3\xa9'/>", "2:7", WF "a character beyond US-ASCII");
    refuse_bytes(SIZED("\xff\xfe<\0r\0/\0>\0"), "1:1",
                 "the file is in UTF-16, and only UTF-8 is read; convert it with iconv -f UTF-16");
    refuse_bytes(SIZED("\xfe\xff\0<\0r\0/\0>"), "1:1", "the file is in UTF-16,");
    refuse_bytes(SIZED("<\0r\0/\0>\0"), "1:1", "the file is in UTF-16LE,");
    refuse_bytes(SIZED("\0<\0r\0/\0>"), "1:1", "the file is in UTF-16BE,");
    refuse_bytes(SIZED("\xff\xfe\0\0<\0\0\0"), "1:1", "the file is in UTF-32,");
    refuse_bytes(SIZED("\0\0\xfe\xff\0\0\0<"), "1:1", "the file is in UTF-32,");
    refuse_bytes(SIZED("<\0\0\0r\0\0\0"), "1:1", "the file is in UTF-32LE,");
    refuse_bytes(SIZED("\0\0\0<\0\0\0r"), "1:1", "the file is in UTF-32BE,");
    refuse("\xef\xbb<r/>", "1:1", WF "the byte 0xEF is not UTF-8");
    refuse("<r>\xef\xbb\xbf</r>\xef\xbb\xbf", "1:9", WF "junk after document element"); /* a mark only at the start */
}

static void test_doctype(void **state) {
    (void)state;
    accept("<!DOCTYPE r><r/>", "(r )");
    accept("<!DOCTYPE r SYSTEM \"x'y\" ><r/>", "(r )");
    accept("<!DOCTYPE r PUBLIC '-//A//DTD B, 1st January 2019//EN'\n \"http://a.invalid/'b.dtd\">\n<r/>", "(r )");
    accept("<!DOCTYPE r SYSTEM 'x' [ <!-- ]> ' <!ENTITY x 'y'> --> <?p ]> \" ?> ] ><r/>", "(r )");
    accept("<!DOCTYPE r[<!ELEMENT r (#PCDATA|s)*><!ATTLIST r a CDATA '>]>' b (x|y) #IMPLIED><!NOTATION n PUBLIC "
           "\"]>\">]><r/>",
           "(r )"); /* the default of `a` is not applied */
    refuse(
        "<!DOCTYPE r [<!ENTITY a \"b\">]><r/>", "1:14",
        "the file declares the entity \"a\"; MEDLINE files do not, and declarations are refused because they can make");
    refuse("<!DOCTYPE r [\n<!ENTITY % p SYSTEM 'x'> %p;]><r/>", "2:1", "declares the entity \"p\"");
    refuse("<!DOCTYPE r [<!ELEMENT r ANY>\n <!ENTITY a SYSTEM 'file:///x'>]><r/>", "2:2", "declares the entity \"a\"");
    refuse("<!DOCTYPE r [ %p; ]><r/>", "1:15", "the parameter entity \"p\" is not defined");
    refuse("<!DOCTYPE r><!DOCTYPE r><r/>", "1:15", WF "there are two DOCTYPEs");
    refuse("<r><!DOCTYPE r></r>", "1:6", WF);
    refuse("<r/><!DOCTYPE r>", "1:5", WF "junk after document element");
    refuse("<!doctype r><r/>", "1:3", WF "\"<!\" begins neither a comment nor a DOCTYPE");
    refuse("<!DOCTYPEr><r/>", "1:10", WF "white space is missing in the DOCTYPE");
    refuse("<!DOCTYPE ><r/>", "1:11", WF "the DOCTYPE names no element");
    refuse("<!DOCTYPE r 'x'><r/>", "1:13", WF "this cannot be in a DOCTYPE");
    refuse("<!DOCTYPE r SYSTEM><r/>", "1:19", WF "white space is missing in the DOCTYPE");
    refuse("<!DOCTYPE r SYSTEM x><r/>", "1:20", WF "a quoted identifier is missing");
    refuse("<!DOCTYPE r PUBLIC 'a' ><r/>", "1:24", WF "a quoted identifier is missing");
    refuse("<!DOCTYPE r PUBLIC 'a{' 'b'><r/>", "1:22", WF "a public identifier has a character");
    refuse("<!DOCTYPE r [<!ELEMENT r <]><r/>", "1:26", WF "this character cannot be in a declaration");
    refuse("<!DOCTYPE r [<!ATTLIST r a CDATA '>]><r/>", "1:42", "it is truncated");
    refuse("<!DOCTYPE r [<!WHAT x>]><r/>", "1:16", WF "this is no declaration");
    refuse("<!DOCTYPE r [<![INCLUDE[]]>]><r/>", "1:16", WF "this is no declaration");
    refuse("<!DOCTYPE r [x]><r/>", "1:14", WF "this cannot be in a DOCTYPE");
    refuse("<!DOCTYPE r [<!-- -- -->]><r/>", "1:21", WF "\"--\" within a comment");
}

static void test_outside_the_root(void **state) {
    static seen s;
    (void)state;
    accept(" \t\r\n<r/>\r\n \t\r", "(r )");
    refuse("hello", "1:1", WF "text before the root element");
    refuse("\n x<r/>", "2:2", WF "text before the root element");
    refuse("\r\n\rx<r/>", "3:1", WF "text before the root element");
    refuse("<r/>x", "1:5", WF "junk after document element");
    refuse("<r/>\n<s/>", "2:1", WF "junk after document element");
    refuse("<r/>\r\n\r&amp;", "3:1", WF "junk after document element");
    refuse("<r/></r>", "1:5", WF "junk after document element");
    refuse_bytes(SIZED("<r/>\0"), "1:5", WF "the character U+0000 is not allowed in XML");
    refuse(" \n", "2:1", "the file ends before its root element is closed: it is truncated");
    refuse("\xef\xbb\xbf", "1:1", "it is truncated");
    assert_int_equal(parse("", 0, 1, &s), ADE_BAD_INPUT);
    assert_string_equal(ade_last_error(), "test.xml is empty");
}

static const char everything[] =
    "<?xml version=\"1.0\" encoding='UTF-8'?>\r\n<!DOCTYPE set PUBLIC \"-//N//D\" 'x.dtd' [ <!-- c --> <?p i?>\n"
    "<!ELEMENT set ANY> ]>\n<!-- \xc3\xa9 -->\n<set a=\"1 &lt; &#x3b2;\t2\" b='\xe2\x82\xac'>\r\n "
    "<one/>t&amp;\xf0\x9f\x98\x80"
    "<![CDATA[ <]> ]]>]<skip><x a='y'>z</x><!-- c --><?p i?></skip>\r</set >";

static void test_truncated_anywhere(void **state) {
    static seen  s;
    const size_t size = sizeof everything - 1;
    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        for (size_t piece = 1; piece <= 1000; piece += 333) {
            CHECK_STATUS(parse(everything, cut, piece, &s), ADE_BAD_INPUT);
            CHECK(strstr(ade_last_error(), cut ? "it is truncated" : "test.xml is empty"), "at %zu: %s", cut,
                  ade_last_error());
        }
    }
    accept(everything, "(set a=1 < \xce\xb2 2 b=\xe2\x82\xac \n (one )t&\xf0\x9f\x98\x80 <]> ](skip )\n)");
    for (size_t piece = 1; piece < size; piece++) /* each cut between two pieces, and many more */
        CHECK_OK(parse(everything, size, piece, &s));
}

/* No byte of damage may do more than give an error, the same at every piece size. */
static void test_damage(void **state) {
    static seen s;
    char        xml[sizeof everything], first[1024];
    (void)state;
    for (size_t i = 0; i < 8 * (sizeof everything - 1); i++) {
        memcpy(xml, everything, sizeof xml);
        xml[i / 8] = (char)(xml[i / 8] ^ 1 << i % 8);
        const ade_status whole = parse(xml, sizeof xml - 1, sizeof xml, &s);
        assert_true(whole == ADE_OK || whole == ADE_BAD_INPUT);
        snprintf(first, sizeof first, "%s", whole ? ade_last_error() : "");
        assert_int_equal(parse(xml, sizeof xml - 1, 1 + i % 9, &s), whole);
        if (whole) assert_string_equal(ade_last_error(), first);
    }
}

/* ---- Control ----------------------------------------------------------------------------------------------------- */

static void test_skip_and_want(void **state) {
    (void)state;
    accept("<r>a<skip a='1'>b<c>d</c>&amp;<skip/><![CDATA[e]]></skip>f<skip/>g</r>", "(r a(skip a=1 )f(skip )g)");
    accept("<skip>x</skip>", "(skip )");
    accept("<r>a<quiet>b<s>c</s></quiet>d<loud>e&lt;</loud>f</r>", "(r a(quiet (s ))(loud e<)f)");
    accept("<r>a<quiet>b</quiet><skip>c<loud/></skip>d</r>", "(r a(quiet )(skip ))");
    accept("<quiet>a<skip-loud>b</skip-loud>c</quiet>", "(quiet (skip-loud )c)");
    refuse("<r><skip><a><b></a></skip></r>", "1:18", WF "mismatched tag");
    refuse("<r><skip>&nbsp;</skip></r>", "1:10", "the entity \"nbsp\" is not defined");
    refuse("<r><skip><s a='1' a='2'/></skip></r>", "1:19", WF "duplicate attribute a");
    refuse("<r><quiet>]]></quiet></r>", "1:11", WF "\"]]>\" in text");
}

static void test_stop(void **state) {
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        static const char in_start[] = "<r>a<stop>b</stop></r><", empty[] = "<r><stop/></r>";
        static const char in_text[] = "<r>&#83;<![CDATA[STOP]]>x</r>", twice[] = "<r><stop-twice/></r>";
        assert_int_equal(parse(in_start, sizeof in_start - 1, pieces[i], &s), ADE_CANCELLED);
        assert_string_equal(s.dump, "(r a(stop ");
        assert_int_equal(parse(empty, sizeof empty - 1, pieces[i], &s), ADE_CANCELLED);
        assert_string_equal(s.dump, "(r (stop ");
        assert_int_equal(parse(twice, sizeof twice - 1, pieces[i], &s), ADE_IO);
        if (pieces[i] < 61) continue; /* the text comes in smaller pieces */
        assert_int_equal(parse(in_text, sizeof in_text - 1, pieces[i], &s), ADE_CANCELLED);
        assert_string_equal(s.dump, "(r SSTOP");
    }
    /* And so on: nothing is told any more. */
    assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
    s.size = 0;
    assert_int_equal(feed(s.xml, SIZED("<stop>"), 100, false), ADE_CANCELLED);
    assert_int_equal(feed(s.xml, SIZED("<x>y</x></stop>"), 100, true), ADE_CANCELLED);
    assert_string_equal(s.dump, "(stop ");
    ade__xml_close(s.xml);
    assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
    s.size = 0;
    assert_int_equal(feed(s.xml, SIZED("<r></x>"), 100, false), ADE_BAD_INPUT);
    assert_int_equal(feed(s.xml, SIZED("</r>"), 100, true), ADE_BAD_INPUT);
    assert_string_equal(s.dump, "(r ");
    ade__xml_close(s.xml);
    ade__xml_close(NULL);
}

static void test_places(void **state) {
    static seen s = {.places = true};
    (void)state;
    static const char xml[] =
        "\xef\xbb\xbf<r a='1\n2'>\r\n\xc3\xa9\xf0\x9f\x98\x80<s b='&lt;\r\n\r'/>\r<t>\n\n  x</t>&amp;</r>";
    assert_int_equal(parse(xml, sizeof xml - 1, sizeof xml, &s), ADE_OK);
    assert_string_equal(s.dump, "@1:1(r a=1 2 @2:5\n\xc3\xa9\xf0\x9f\x98\x80" /* the text begins with the LF of CR LF */
                                "@3:3(s b=<   @3:3)@5:4\n@6:1(t @6:4\n\n  x@8:4)@8:8&@8:13)");
    /* Across pieces and buffers, with long lines and many short ones. */
    enum { LINES = 3000 };
    char *long_xml = malloc(LINES * 60);
    char  place[64];
    assert_non_null(long_xml);
    for (int broken = 1; broken < LINES; broken += 700) {
        size_t n = (size_t)sprintf(long_xml, "<r>");
        for (int i = 1; i <= LINES; i++) {
            static const char *const ends[] = {"\n", "\r\n", "\r", "\n"};
            n += (size_t)sprintf(long_xml + n, "<s>%d \xc2\xb5 text </%s>%s", 1000 + i, i == broken ? "t" : "s",
                                 i % 100 < 50 ? ends[i % 4] : "");
        }
        int line = 1, column = 4;
        for (int i = 1; i < broken; i++) {
            line += i % 100 < 50;
            column = i % 100 < 50 ? 1 : column + 19;
        }
        snprintf(place, sizeof place, "%d:%d", line, column + 17);
        refuse_bytes(long_xml, n, place, "mismatched tag: </t> where </s> is due");
    }
    free(long_xml);
}

/* ---- Limits and memory ------------------------------------------------------------------------------------------- */

/* before, then as many fillers as make the whole `size` bytes, then after. */
static char *filled(const char *before, char filler, size_t size, const char *after, size_t *total) {
    const size_t b = strlen(before), a = strlen(after);
    char        *all = malloc(size + 1);
    assert_non_null(all);
    memcpy(all, before, b);
    memset(all + b, filler, size - a - b);
    memcpy(all + size - a, after, a + 1);
    *total = size;
    return all;
}

static void test_markup_limit(void **state) {
    static const struct {
        const char *outside, *before, *after, *rest;
        char        filler;
        bool        short_refused; /* also below the limit, but for another reason */
    } cases[] = {
        {"<r>", "<!--", "-->", "</r>", 'x', false},
        {"<r>", "<?p ", "?>", "</r>", 'x', false},
        {"<r>", "<s a='", "'/>", "</r>", 'x', false},
        {"<r>", "<", "/>", "</r>", 'x', false},
        {"<r>", "<s", "/>", "</r>", ' ', false},
        {"<r>", "&#", "65;", "</r>", '0', false},
        {"<r>", "&", ";", "</r>", 'x', true},
        {"<r>", "</r", ">", "", ' ', false},
        {"", "<!DOCTYPE r [", "]>", "<r/>", '\n', false},
        {"", "<?xml version='1.0'", "?>", "<r/>", ' ', false},
        {"", "<?xml version='3.0'", "?>", "<r/>", ' ', true},
        {"<r>", "</x", ">", "", ' ', true},
        {"<r/>", "<!--", "-->", "", 'x', false},
    };
    static seen s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t over = 0; over < 2; over++) {
            for (size_t way = 0; way < 2; way++) {
                size_t     size;
                char      *all = filled(cases[i].before, cases[i].filler, ADE_XML_MARKUP + over, cases[i].after, &size);
                ade_status status;
                assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
                status = feed(s.xml, cases[i].outside, strlen(cases[i].outside), 100, false);
                if (!status) status = feed(s.xml, all, size, way ? size : 100001, false);
                if (!status) status = feed(s.xml, cases[i].rest, strlen(cases[i].rest), 100, true);
                ade__xml_close(s.xml);
                CHECK_STATUS(status, over || cases[i].short_refused ? ADE_BAD_INPUT : ADE_OK);
                if (status)
                    CHECK(!strstr(ade_last_error(), "is longer than 16 MiB") == !over, "%zu: %s", i, ade_last_error());
                free(all);
            }
        }
    }
}

/* A damaged character on the limit: one fault, however it comes. */
static void test_character_on_the_limit(void **state) {
    static seen s;
    (void)state;
    for (size_t before = 1; before < 6; before++) {
        size_t size;
        char  *all = filled("<r><!--", 'x', 3 + ADE_XML_MARKUP + 10 - before, "\xf0\x9f\x98x----->", &size);
        char   whole[1024];
        assert_int_equal(parse(all, size, size, &s), ADE_BAD_INPUT);
        snprintf(whole, sizeof whole, "%s", ade_last_error());
        assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
        ade_status status = feed(s.xml, all, size - 20, size, false);
        if (!status) status = feed(s.xml, all + size - 20, 20, 1, true);
        ade__xml_close(s.xml);
        assert_int_equal(status, ADE_BAD_INPUT);
        assert_string_equal(ade_last_error(), whole);
        free(all);
    }
}

static void test_depth_limit(void **state) {
    static char xml[ADE_XML_DEPTH * 8];
    static seen s;
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        char   place[32];
        size_t n = 0;
        for (int i = 0; i < ADE_XML_DEPTH; i++) n += (size_t)sprintf(xml + n, skip && i == 1 ? "<skip>" : "<a>");
        const size_t deepest = n;
        for (int i = ADE_XML_DEPTH - 1; i >= 0; i--) n += (size_t)sprintf(xml + n, skip && i == 1 ? "</skip>" : "</a>");
        CHECK_OK(parse(xml, n, 4096, &s));
        memcpy(xml + deepest, "<a>", 3);
        snprintf(place, sizeof place, "1:%zu", deepest + 1);
        refuse_bytes(xml, n, place, "elements are nested more than 1000 deep");
    }
}

/* Open names are kept, so together they are limited too. */
static void test_names_limit(void **state) {
    static seen s;
    size_t      size;
    char       *all = filled("<r", 'x', ADE_XML_MARKUP / 2, ">", &size);
    (void)state;
    assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
    CHECK_OK(feed(s.xml, all, size, size, false));
    CHECK_OK(feed(s.xml, all, size, size, false));
    CHECK_STATUS(feed(s.xml, all, size, size, false), ADE_BAD_INPUT);
    CHECK(strstr(ade_last_error(), "the names of the open elements are together longer than 16 MiB"), "%s",
          ade_last_error());
    ade__xml_close(s.xml);
    free(all);
}

/* Markup that comes byte by byte is not looked at again for each of them: that would take hours. */
static void test_slow_markup(void **state) {
    static seen s;
    size_t      size;
    char       *all = filled("<r a='", 'x', (size_t)4 << 20, "'/>", &size);
    (void)state;
    CHECK_OK(parse(all, size, 1, &s));
    free(all);
}

/* However long the file, memory is asked for at its beginning only. */
static void test_no_allocation(void **state) {
    static const char record[] = "<one a='1' b='&lt;'>text &amp; more\r\n<two><three/></two></one>\n";
    static seen       s;
    uint64_t          before = 0;
    (void)state;
    assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
    CHECK_OK(feed(s.xml, SIZED("<set>"), 1000, false));
    for (int i = 0; i < 20000; i++) {
        CHECK_OK(feed(s.xml, SIZED(record), 1 + (size_t)i % 70, false));
        if (i == 200) before = ade__alloc_count();
    }
    assert_int_equal(ade__alloc_count(), before);
    CHECK_OK(feed(s.xml, SIZED("</set>"), 1000, true));
    assert_true(s.texts > 60000);
    ade__xml_close(s.xml);
}

static void test_out_of_memory(void **state) {
    static seen s;
    char        xml[4000];
    ade_status  status = ADE_OUT_OF_MEMORY;
    long        n = 0;
    (void)state;
    size_t size = (size_t)snprintf(xml, sizeof xml, "<r>");
    for (int i = 0; i < 50; i++) size += (size_t)sprintf(xml + size, "<name-of-an-element-%d a%d='' b='&lt;'>", i, i);
    size += (size_t)sprintf(xml + size, "<s");
    for (int i = 0; i < 40; i++) size += (size_t)sprintf(xml + size, " x%d=''", i);
    size += (size_t)sprintf(xml + size, "/>");
    for (int i = 49; i >= 0; i--) size += (size_t)sprintf(xml + size, "</name-of-an-element-%d>", i);
    size += (size_t)sprintf(xml + size, "</r>");
    for (; n < 1000 && status; n++) {
        ade__alloc_fail_at(n);
        status = parse(xml, size, 100, &s);
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_OK || status == ADE_OUT_OF_MEMORY);
        if (status) CHECK(strstr(ade_last_error(), "out of memory"), "%s", ade_last_error());
    }
    CHECK_OK(status);
    assert_true(n > 8); /* the object, its name, the buffer, names and attributes as they grow */
    assert_int_equal(ade__xml_open("test.xml", &handler, &s, &s.xml), ADE_OK);
    assert_null(ade__xml_buffer(s.xml, SIZE_MAX - 10));
    assert_non_null(strstr(ade_last_error(), "out of memory"));
    CHECK_OK(feed(s.xml, SIZED("<r/>"), 3, true)); /* that did no harm */
    ade__xml_close(s.xml);
}

/* ---- The inner loops --------------------------------------------------------------------------------------------- */

static bool name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(":_-.", c));
}

static void test_scan(void **state) {
    char     bytes[100 + ADE_SCAN_SLACK];
    uint32_t random = 1;
    (void)state;
    for (int c = 1; c < 256; c++) { /* each byte, at each place of a round */
        for (size_t at = 0; at < 40; at++) {
            memset(bytes, 'n', sizeof bytes);
            bytes[at] = (char)c;
            bytes[50] = '\0';
            const size_t all = 50;
            const bool   text = c < 0x20 || c >= 0x80 || c == '<' || c == '&' || c == ']';
            assert_int_equal(ade__scan(bytes, '<', '&', ']', false) - bytes, text ? at : all);
            assert_int_equal(ade__scan(bytes, '<', '&', ']', true) - bytes, text && c != '\n' ? at : all);
            assert_int_equal(ade__scan_name(bytes) - bytes, name_byte((char)c) ? all : at);
        }
    }
    for (int round = 0; round < 3000; round++) {
        char   other[sizeof bytes];
        size_t lines = 0, characters = 0, from = (size_t)round % 20, n = (size_t)round % 80;
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = random >> 30 ? (char)(random >> 20) : '\n';
        }
        for (size_t i = from; i < from + n; i++) {
            lines += bytes[i] == '\n';
            characters += ((unsigned char)bytes[i] & 0xC0) != 0x80;
        }
        assert_int_equal(ade__scan_count(bytes + from, bytes + from + n, true), lines);
        assert_int_equal(ade__scan_count(bytes + from, bytes + from + n, false), characters);
        memcpy(other, bytes, sizeof other);
        other[from + n] ^= 1; /* just behind: of no interest */
        assert_true(ade__scan_same(bytes + from, n, other + from, n));
        if (!n) continue;
        other[from + random % n] ^= 4;
        assert_false(ade__scan_same(bytes + from, n, other + from, n));
    }
    static char many[20000];
    memset(many, '\n', sizeof many);
    assert_int_equal(ade__scan_count(many, many + sizeof many, true), sizeof many);
    assert_int_equal(ade__scan_count(many, many + sizeof many, false), sizeof many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_many_attributes),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cdata),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_comments_and_instructions),
        cmocka_unit_test(test_declaration),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_doctype),
        cmocka_unit_test(test_outside_the_root),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_skip_and_want),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_markup_limit),
        cmocka_unit_test(test_character_on_the_limit),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_names_limit),
        cmocka_unit_test(test_slow_markup),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
