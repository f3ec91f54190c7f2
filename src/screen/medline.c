/* SPDX-License-Identifier: Apache-2.0
 * Records from MEDLINE/PubMed XML. A table says which element leads from which place to which; what is in no row of it
 * is skipped as a whole. Texts of a record lie one behind the other in one buffer until it is delivered. */
#include "medline.h"

#include "alloc.h"
#include "status.h"
#include "xml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RECORD_LIMIT ((size_t)8 << 20) /* text of one record; real ones stay below 64 KiB */
#define ITEM_LIMIT ((size_t)1 << 16)   /* sections and list items of one record; real ones have some dozens */
#define READ_SIZE (128 * 1024)

typedef enum place {
    PLACE_SKIPPED, /* and all below */
    PLACE_DOCUMENT,
    PLACE_SET,
    PLACE_PUBMED_ARTICLE,
    PLACE_CITATION,
    PLACE_ARTICLE,
    PLACE_ABSTRACT,
    PLACE_OTHER_ABSTRACT,
    PLACE_JOURNAL,
    PLACE_JOURNAL_ISSUE,
    PLACE_JOURNAL_INFO,
    PLACE_PUB_DATE,
    PLACE_REVISED,
    PLACE_TYPES,
    PLACE_CHEMICALS,
    PLACE_CHEMICAL,
    PLACE_CORRECTIONS,
    PLACE_CORRECTION,
    PLACE_HEADINGS,
    PLACE_HEADING,
    PLACE_DATA,
    PLACE_IDS,
    PLACE_BOOK_ARTICLE,
    PLACE_BOOK_DOCUMENT,
    PLACE_BOOK,
    PLACE_DELETE,
    /* Text is collected in these: */
    PLACE_PMID,
    PLACE_DELETED_PMID,
    PLACE_TITLE,
    PLACE_BOOK_TITLE,
    PLACE_SECTION,
    PLACE_JOURNAL_TITLE,
    PLACE_JOURNAL_TA,
    PLACE_YEAR,
    PLACE_MONTH,
    PLACE_DAY,
    PLACE_MEDLINE_DATE,
    PLACE_LOCATION, /* ELocationID, ArticleId: only a DOI gets here */
    PLACE_ID,
    PLACE_LANGUAGE,
    PLACE_TYPE,
    PLACE_SUBSTANCE,
    PLACE_DESCRIPTOR,
    PLACE_QUALIFIER,
    PLACE_INLINE, /* below one of the former */
    PLACE_COUNT
} place;

typedef struct path {
    uint8_t from, to, size; /* of the name */
    char    name[24];
} path;

/* Rows of one place stand together. */
static const path paths[] = {
#define PATH(from, name, to)                                                                                           \
    { PLACE_##from, PLACE_##to, sizeof name - 1, name }
    PATH(DOCUMENT, "PubmedArticleSet", SET),
    PATH(DOCUMENT, "MedlineCitationSet", SET),
    PATH(DOCUMENT, "PubmedBookArticleSet", SET),
    PATH(SET, "PubmedArticle", PUBMED_ARTICLE),
    PATH(SET, "MedlineCitation", CITATION),
    PATH(SET, "PubmedBookArticle", BOOK_ARTICLE),
    PATH(SET, "DeleteCitation", DELETE),
    PATH(PUBMED_ARTICLE, "MedlineCitation", CITATION),
    PATH(PUBMED_ARTICLE, "PubmedData", DATA),
    PATH(DATA, "ArticleIdList", IDS), /* those in its ReferenceList belong to others */
    PATH(IDS, "ArticleId", ID),
    PATH(CITATION, "PMID", PMID),
    PATH(CITATION, "DateRevised", REVISED),
    PATH(CITATION, "Article", ARTICLE),
    PATH(CITATION, "MedlineJournalInfo", JOURNAL_INFO),
    PATH(CITATION, "ChemicalList", CHEMICALS),
    PATH(CITATION, "CommentsCorrectionsList", CORRECTIONS),
    PATH(CITATION, "MeshHeadingList", HEADINGS),
    PATH(CITATION, "OtherAbstract", OTHER_ABSTRACT),
    PATH(ARTICLE, "Journal", JOURNAL),
    PATH(ARTICLE, "ArticleTitle", TITLE),
    PATH(ARTICLE, "ELocationID", LOCATION),
    PATH(ARTICLE, "Abstract", ABSTRACT),
    PATH(ARTICLE, "Language", LANGUAGE),
    PATH(ARTICLE, "PublicationTypeList", TYPES),
    PATH(ABSTRACT, "AbstractText", SECTION),
    PATH(OTHER_ABSTRACT, "AbstractText", SECTION),
    PATH(JOURNAL, "JournalIssue", JOURNAL_ISSUE),
    PATH(JOURNAL, "Title", JOURNAL_TITLE),
    PATH(JOURNAL_ISSUE, "PubDate", PUB_DATE),
    PATH(JOURNAL_INFO, "MedlineTA", JOURNAL_TA),
    PATH(PUB_DATE, "Year", YEAR),
    PATH(PUB_DATE, "Month", MONTH),
    PATH(PUB_DATE, "Day", DAY),
    PATH(PUB_DATE, "MedlineDate", MEDLINE_DATE),
    PATH(REVISED, "Year", YEAR),
    PATH(REVISED, "Month", MONTH),
    PATH(REVISED, "Day", DAY),
    PATH(TYPES, "PublicationType", TYPE),
    PATH(CHEMICALS, "Chemical", CHEMICAL),
    PATH(CHEMICAL, "NameOfSubstance", SUBSTANCE),
    PATH(CORRECTIONS, "CommentsCorrections", CORRECTION),
    PATH(HEADINGS, "MeshHeading", HEADING),
    PATH(HEADING, "DescriptorName", DESCRIPTOR),
    PATH(HEADING, "QualifierName", QUALIFIER),
    PATH(BOOK_ARTICLE, "BookDocument", BOOK_DOCUMENT),
    PATH(BOOK_ARTICLE, "PubmedBookData", DATA),
    PATH(BOOK_DOCUMENT, "PMID", PMID),
    PATH(BOOK_DOCUMENT, "ArticleIdList", IDS),
    PATH(BOOK_DOCUMENT, "Book", BOOK),
    PATH(BOOK_DOCUMENT, "ArticleTitle", TITLE),
    PATH(BOOK_DOCUMENT, "Language", LANGUAGE),
    PATH(BOOK_DOCUMENT, "PublicationType", TYPE),
    PATH(BOOK_DOCUMENT, "Abstract", ABSTRACT),
    PATH(BOOK_DOCUMENT, "DateRevised", REVISED),
    PATH(BOOK, "BookTitle", BOOK_TITLE),
    PATH(BOOK, "PubDate", PUB_DATE),
    PATH(DELETE, "PMID", DELETED_PMID),
#undef PATH
};

/* Names matter in MathML only: which child of its parent is raised or lowered. */
typedef enum shape { SHAPE_OTHER, SHAPE_MSUP, SHAPE_MSUB, SHAPE_MSUBSUP } shape;

typedef struct frame {
    uint8_t  place, shape;
    uint8_t  marked; /* "^(" or "_(" was written at mark_at */
    uint32_t children;
    size_t   mark_at;
} frame;

/* Offsets, because the text moves while it grows. */
typedef struct piece {
    size_t start, size;
    bool   present;
} piece;

typedef struct section {
    piece label, category, text, language, type;
    bool  other;
} section;

typedef enum list_name { LIST_LANGUAGES, LIST_TYPES, LIST_CHEMICALS, LIST_MESH, LIST_COUNT } list_name;

typedef struct list {
    piece *items;
    size_t n, capacity;
} list;

typedef struct date {
    int year, month, day; /* 0 = not given, or wrong */
} date;

struct ade_medline {
    ade_xml      *xml;
    char         *name;
    ade_record_fn fn;
    void         *user;
    bool          failed; /* the parser was told to stop */
    struct {
        uint8_t first, n;
    } below[PLACE_COUNT]; /* rows of `paths` */

    frame  frames[ADE_XML_DEPTH + 1]; /* the document, then the open elements */
    size_t depth;

    /* The record being read. */
    char    *text; /* all its texts, one behind the other */
    size_t   size, capacity;
    size_t   part_start; /* of the text being collected */
    bool     space;      /* white space waits to be written before the next character */
    bool     begun;      /* a MedlineCitation or BookDocument has begun, and its record is not yet delivered */
    int64_t  pmid;       /* 0 = not yet */
    int32_t  version;
    bool     book, has_article, has_abstract, retracted, adverse_effects, chemically_induced;
    piece    title, book_title, journal_title, journal_ta, location, id;
    date     date_read; /* of the PubDate or DateRevised being read */
    char     date[16], date_revised[16];
    size_t   heading, word; /* where the MeSH heading begins, and its last name with the mark before it */
    bool     has_descriptor;
    piece    other_language, other_type; /* of the OtherAbstract being read */
    section *sections;
    size_t   n_sections, sections_capacity;
    list     lists[LIST_COUNT];
    size_t   n_items; /* in sections and lists */

    /* The same as the callback sees it. */
    ade_record_section *out;
    ade_text           *out_items;
    size_t              out_capacity, out_items_capacity;
};

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static void stop(ade_medline *m, ade_status status) {
    if (m->failed) return;
    m->failed = true;
    ade__xml_stop(m->xml, status);
}

/* A fault at the current place of the file. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void stop_at(ade_medline *m, const char *format, ...) {
    char     sentence[512];
    uint64_t line = 0, column = 0;
    va_list  values;
    if (m->failed) return;
    va_start(values, format);
    (void)vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    ade__xml_place(m->xml, &line, &column);
    stop(m, ade__fail(ADE_BAD_INPUT, "%s:%llu:%llu: %s", m->name, (unsigned long long)line, (unsigned long long)column,
                      sentence));
}

/* As much of a text as a message shows, cut between characters; for "%.*s". */
static int shown(ade_text text) {
    size_t size = text.size < 40 ? text.size : 40;
    while (size < text.size && size && ((unsigned char)text.data[size] & 0xC0) == 0x80) size--;
    return (int)size;
}

/* "a record", "the record with PMID 5", in buffer[48]. */
static const char *this_record(const ade_medline *m, char *buffer) {
    if (!m->pmid) return "a record";
    (void)snprintf(buffer, 48, "the record with PMID %lld", (long long)m->pmid);
    return buffer;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

/* Room for `size` more bytes. What is put is held against the limit afterwards: white space may go. */
static bool room(ade_medline *m, size_t size) {
    if (m->failed) return false;
    if (size <= m->capacity - m->size || !ade__reserve(&m->text, &m->capacity, m->size + size, 1)) return true;
    stop(m, ADE_OUT_OF_MEMORY);
    return false;
}

static void check_size(ade_medline *m) {
    char buffer[48];
    if (m->size > RECORD_LIMIT)
        stop_at(m, "%s has more than %zu MiB of text, which no citation has; the file is damaged",
                this_record(m, buffer), RECORD_LIMIT >> 20);
}

static void put(ade_medline *m, const char *bytes, size_t size) {
    if (!room(m, size)) return;
    memcpy(m->text + m->size, bytes, size);
    m->size += size;
    check_size(m);
}

static void put_waiting_space(ade_medline *m) {
    if (m->space && m->size > m->part_start) put(m, " ", 1);
    m->space = false;
}

/* XML has no other characters up to the space than the four that are white. */
static bool is_white(char c) { return (unsigned char)c <= ' '; }

/* Whether eight bytes can be copied as they are: no white space but single spaces. Byte by byte, in bit 7: a byte below
 * 0x80 plus 0x7F - n sets it when the byte is above n; none carries into the next. */
static bool is_plain(const char *bytes) {
    const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
    uint64_t       word;
    memcpy(&word, bytes, sizeof word);
    const uint64_t low = word & ~high;
    const uint64_t white = ~((low + ones * (0x7F - ' ')) | word) & high;
    const uint64_t control = ~((low + ones * (0x80 - ' ')) | word) & high;
    return !control && !(white & (white >> 8));
}

static void put_text(ade_medline *m, ade_text text) {
    if (!room(m, text.size + 1)) return;
    char       *out = m->text + m->size;
    const char *in = text.data, *end = in + text.size;
    bool        space = m->space, begun = m->size > m->part_start;
    while (in < end) {
        if (begun && end - in >= 8 && is_plain(in)) {
            if (space && !is_white(*in)) *out++ = ' ';
            memcpy(out, in, 8);
            space = is_white(in[7]);
            out += space ? 7 : 8;
            in += 8;
        } else if (is_white(*in)) {
            space = true;
            in++;
        } else {
            if (space && begun) *out++ = ' ';
            space = false;
            begun = true;
            *out++ = *in++;
        }
    }
    m->space = space;
    m->size = (size_t)(out - m->text);
    check_size(m);
}

static void begin_text(ade_medline *m) {
    m->part_start = m->size;
    m->space = false;
}

static piece end_text(ade_medline *m) {
    m->space = false;
    return (piece){m->part_start, m->size - m->part_start, true};
}

static void drop(ade_medline *m, piece p) { m->size = p.start; }

static ade_text text_of(const ade_medline *m, piece p) {
    return p.present ? (ade_text){p.size ? m->text + p.start : "", p.size} : (ade_text){NULL, 0};
}

static ade_text text_or_empty(const ade_medline *m, piece p) {
    return p.size ? (ade_text){m->text + p.start, p.size} : (ade_text){"", 0};
}

static bool is(ade_text text, const char *word) {
    const size_t size = strlen(word);
    return text.size == size && !memcmp(text.data, word, size);
}

/* Not present where the attribute is missing or says nothing. */
static piece put_attribute(ade_medline *m, const char *name) {
    ade_text value;
    if (!ade__xml_attribute(m->xml, name, &value)) return (piece){0};
    begin_text(m);
    put_text(m, value);
    piece p = end_text(m);
    p.present = p.size > 0;
    return p;
}

static bool attribute_is(ade_medline *m, const char *name, const char *word) {
    ade_text value;
    return ade__xml_attribute(m->xml, name, &value) && is(value, word);
}

/* The first one that says something counts. */
static void keep_first(ade_medline *m, piece *kept) {
    piece p = end_text(m);
    if (kept->size)
        drop(m, p);
    else
        *kept = p;
}

/* ---- Dates ------------------------------------------------------------------------------------------------------- */

/* A positive decimal number of up to 18 digits; 0 for anything else. */
static int64_t number(ade_text text) {
    int64_t value = 0;
    if (text.size == 0 || text.size > 18) return 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return 0;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static int number_up_to(ade_text text, int most) {
    int64_t value = number(text);
    return value <= most ? (int)value : 0;
}

static int year_of(ade_text text) {
    int year = text.size == 4 ? number_up_to(text, 9999) : 0;
    return year >= 1000 ? year : 0;
}

/* "5", "05", "May", "Sept", "september". */
static int month_of(ade_text text) {
    static const char *const names[] = {"january", "february", "march",     "april",   "may",      "june",
                                        "july",    "august",   "september", "october", "november", "december"};
    for (int i = 0; i < 12; i++) {
        if (text.size < 3 || text.size > strlen(names[i])) continue;
        size_t same = 0;
        while (same < text.size && (text.data[same] | 0x20) == names[i][same]) same++;
        if (same == text.size) return i + 1;
    }
    return number_up_to(text, 12);
}

/* The first number of four digits: "1998 Dec-1999 Jan", "Winter 2003". */
static int first_year(ade_text text) {
    for (size_t i = 0, n; i < text.size; i += n) {
        for (n = 0; i + n < text.size && text.data[i + n] >= '0' && text.data[i + n] <= '9';) n++;
        const int year = year_of((ade_text){text.data + i, n});
        if (year) return year;
        if (!n) n = 1;
    }
    return 0;
}

static void end_date_part(ade_medline *m, place what) {
    const piece    p = end_text(m);
    const ade_text text = text_or_empty(m, p);
    date          *d = &m->date_read;
    if (what == PLACE_YEAR && !d->year) d->year = year_of(text);
    if (what == PLACE_MONTH && !d->month) d->month = month_of(text);
    if (what == PLACE_DAY && !d->day) d->day = number_up_to(text, 31);
    if (what == PLACE_MEDLINE_DATE && !d->year) d->year = first_year(text);
    drop(m, p);
}

/* Keeps of the date what is right: a day needs a month that has it, and a month a year. */
static void end_date(ade_medline *m, char out[16]) {
    static const int days[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const date       d = m->date_read;
    const bool       leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
    if (out[0] || !d.year) return;
    int n = snprintf(out, 16, "%04d", d.year);
    if (d.month) n += snprintf(out + n, 16 - (size_t)n, "-%02d", d.month);
    if (d.month && d.day && d.day <= days[d.month] + (d.month == 2 && leap))
        (void)snprintf(out + n, 16 - (size_t)n, "-%02d", d.day);
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static void clear_record(ade_medline *m) {
    m->size = 0;
    m->begun = false;
    m->pmid = 0;
    m->version = 1;
    m->book = m->has_article = m->has_abstract = false;
    m->retracted = m->adverse_effects = m->chemically_induced = false;
    m->title = m->book_title = m->journal_title = m->journal_ta = m->location = m->id = (piece){0};
    m->date[0] = m->date_revised[0] = '\0';
    m->n_sections = m->n_items = 0;
    for (int i = 0; i < LIST_COUNT; i++) m->lists[i].n = 0;
}

static bool count_item(ade_medline *m) {
    char buffer[48];
    if (m->n_items++ < ITEM_LIMIT) return true;
    stop_at(m,
            "%s has more than %zu abstract sections, languages, publication types, MeSH headings and chemicals, "
            "which no citation has; the file is damaged",
            this_record(m, buffer), ITEM_LIMIT);
    return false;
}

static void add_item(ade_medline *m, list_name name, piece p) {
    list *l = &m->lists[name];
    if (!p.size || m->failed || !count_item(m)) return;
    if (ade__reserve(&l->items, &l->capacity, l->n + 1, sizeof *l->items))
        stop(m, ADE_OUT_OF_MEMORY);
    else
        l->items[l->n++] = p;
}

/* What the callback returns stops the parser. */
static void hand_over(ade_medline *m, const ade_record *record) {
    if (m->failed) return;
    ade_status status = m->fn(m->user, record);
    if (status) stop(m, status);
}

static void deliver(ade_medline *m) {
    if (m->failed) return;
    if (ade__reserve(&m->out, &m->out_capacity, m->n_sections, sizeof *m->out) ||
        ade__reserve(&m->out_items, &m->out_items_capacity, m->n_items, sizeof *m->out_items)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    size_t n = 0;
    for (int other = 0; other < 2; other++) /* Abstract's sections first, wherever they stand */
        for (size_t i = 0; i < m->n_sections; i++) {
            const section *s = &m->sections[i];
            if (s->other != (other == 1)) continue;
            m->out[n] = (ade_record_section){.label = text_of(m, s->label),
                                             .category = text_of(m, s->category),
                                             .text = text_of(m, s->text),
                                             .other = s->other};
            if (s->other) {
                m->out[n].language = s->language.size ? text_of(m, s->language) : (ade_text){"eng", 3};
                m->out[n].type = text_or_empty(m, s->type);
            }
            n++;
        }
    ade_text_list lists[LIST_COUNT];
    ade_text     *items = m->out_items;
    for (int i = 0; i < LIST_COUNT; i++) {
        lists[i] = (ade_text_list){items, m->lists[i].n};
        for (size_t k = 0; k < m->lists[i].n; k++) *items++ = text_of(m, m->lists[i].items[k]);
    }
    const piece journal = m->book ? m->book_title : m->journal_ta.size ? m->journal_ta : m->journal_title;
    hand_over(m, &(ade_record){.pmid = m->pmid,
                               .version = m->version,
                               .book = m->book,
                               .has_article = m->has_article,
                               .has_abstract = m->has_abstract,
                               .title = text_or_empty(m, m->book && !m->title.present ? m->book_title : m->title),
                               .sections = m->out,
                               .n_sections = m->n_sections,
                               .date = {m->date, strlen(m->date)},
                               .date_revised = {m->date_revised, strlen(m->date_revised)},
                               .journal = text_or_empty(m, journal),
                               .doi = text_or_empty(m, m->location.size ? m->location : m->id),
                               .languages = lists[LIST_LANGUAGES],
                               .publication_types = lists[LIST_TYPES],
                               .chemicals = lists[LIST_CHEMICALS],
                               .mesh = lists[LIST_MESH],
                               .retracted = m->retracted,
                               .mesh_adverse_effects = m->adverse_effects,
                               .mesh_chemically_induced = m->chemically_induced});
    m->begun = false;
}

/* A MedlineCitation or BookDocument. What stands beside it belongs to its record, before it, too; a second one below
 * the same parent, which no DTD allows, is a record of its own. */
static void begin_record(ade_medline *m, place parent, bool book) {
    if (m->begun) deliver(m);
    if (m->pmid || parent == PLACE_SET) clear_record(m);
    m->begun = true;
    m->book = m->has_article = book;
}

static void end_record(ade_medline *m, place parent) {
    if (m->failed) return;
    if (!m->pmid)
        stop_at(m, "a record ends here that has no PMID of its own; the file is damaged");
    else if (parent == PLACE_SET)
        deliver(m); /* nothing of it follows */
}

static void begin_pmid(ade_medline *m) {
    ade_text value;
    m->version = 1;
    if (ade__xml_attribute(m->xml, "Version", &value)) {
        const int64_t version = number(value);
        if (version < 1 || version > INT32_MAX)
            stop_at(m, "the PMID's Version \"%.*s\" is not a number from 1 to 2147483647", shown(value), value.data);
        else
            m->version = (int32_t)version;
    }
    begin_text(m);
}

static void end_pmid(ade_medline *m, bool deleted) {
    const piece    p = end_text(m);
    const ade_text digits = text_or_empty(m, p);
    const int64_t  pmid = number(digits);
    if (m->failed) return;
    if (!pmid) {
        stop_at(m, "\"%.*s\" is not a PMID", shown(digits), digits.data);
        return;
    }
    drop(m, p); /* the digits are no text of the record */
    if (deleted)
        hand_over(m, &(ade_record){.pmid = pmid,
                                   .version = m->version,
                                   .deleted = true,
                                   .title = {"", 0},
                                   .date = {"", 0},
                                   .date_revised = {"", 0},
                                   .journal = {"", 0},
                                   .doi = {"", 0}});
    else if (m->pmid)
        stop_at(m, "the record has two PMIDs of its own, %lld and %lld", (long long)m->pmid, (long long)pmid);
    else
        m->pmid = pmid;
}

static void begin_section(ade_medline *m, bool other) {
    section s = {.other = other};
    if (!count_item(m)) return;
    s.label = put_attribute(m, "Label");
    s.category = put_attribute(m, "NlmCategory");
    if (other) {
        s.language = m->other_language;
        s.type = m->other_type;
    }
    if (ade__reserve(&m->sections, &m->sections_capacity, m->n_sections + 1, sizeof *m->sections)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    m->sections[m->n_sections++] = s;
    begin_text(m);
}

static void end_type(ade_medline *m) {
    const piece p = end_text(m);
    if (is(text_or_empty(m, p), "Retracted Publication")) m->retracted = true;
    add_item(m, LIST_TYPES, p);
}

/* A heading grows in the text: its descriptor, then "/" and a qualifier, each with "*" before it if it is major. */
static void begin_heading_word(ade_medline *m, bool qualifier) {
    m->word = m->size;
    if (qualifier) put(m, "/", 1);
    if (attribute_is(m, "MajorTopicYN", "Y")) put(m, "*", 1);
    begin_text(m);
}

static void end_heading_word(ade_medline *m, bool qualifier) {
    const ade_text word = text_or_empty(m, end_text(m));
    if (!word.size) {
        m->size = m->word;
    } else if (!qualifier) {
        m->has_descriptor = true;
    } else {
        if (is(word, "adverse effects")) m->adverse_effects = true;
        if (is(word, "chemically induced")) m->chemically_induced = true;
    }
}

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

static place find_place(const ade_medline *m, uint8_t from, ade_text name) {
    const path *p = paths + m->below[from].first, *end = p + m->below[from].n;
    for (; p < end; p++)
        if (p->size == name.size && !memcmp(p->name, name.data, name.size)) return (place)p->to;
    return PLACE_SKIPPED;
}

/* '^', '_' or 0: what the element, a child of `parent`, is to its neighbours. */
static char mark_of(const frame *parent, ade_text name) {
    switch ((shape)parent->shape) {
    case SHAPE_MSUP: return parent->children == 2 ? '^' : 0;
    case SHAPE_MSUB: return parent->children == 2 ? '_' : 0;
    case SHAPE_MSUBSUP: return parent->children == 2 ? '_' : parent->children == 3 ? '^' : 0;
    case SHAPE_OTHER: break;
    }
    return is(name, "sup") ? '^' : is(name, "sub") ? '_' : 0;
}

static shape shape_of(ade_text name) {
    const char *colon = memchr(name.data, ':', name.size);
    if (colon) {
        name.size -= (size_t)(colon + 1 - name.data);
        name.data = colon + 1;
    }
    return is(name, "msup")      ? SHAPE_MSUP
           : is(name, "msub")    ? SHAPE_MSUB
           : is(name, "msubsup") ? SHAPE_MSUBSUP
                                 : SHAPE_OTHER;
}

static void begin_inline(ade_medline *m, frame *parent, frame *f, ade_text name) {
    f->shape = (uint8_t)shape_of(name);
    parent->children++;
    const char mark[2] = {mark_of(parent, name), '('};
    if (!mark[0]) return;
    put_waiting_space(m);
    f->marked = 1;
    f->mark_at = m->size;
    put(m, mark, 2);
}

static void end_inline(ade_medline *m, const frame *f) {
    if (!f->marked || m->failed) return;
    if (m->size > f->mark_at + 2) {
        put_waiting_space(m);
        put(m, ")", 1);
        return;
    }
    m->size = f->mark_at; /* nothing in it: as if it were not there */
    if (m->size > m->part_start && m->text[m->size - 1] == ' ') {
        m->size--;
        m->space = true;
    }
}

/* Whether what is inside is wanted. */
static bool enter(ade_medline *m, place at, place parent) {
    switch (at) {
    case PLACE_SKIPPED: return false;
    case PLACE_PUBMED_ARTICLE:
    case PLACE_BOOK_ARTICLE:
    case PLACE_DELETE: clear_record(m); break;
    case PLACE_CITATION: begin_record(m, parent, false); break;
    case PLACE_BOOK_DOCUMENT: begin_record(m, parent, true); break;
    case PLACE_ARTICLE: m->has_article = true; break;
    case PLACE_ABSTRACT: m->has_abstract = true; break;
    case PLACE_OTHER_ABSTRACT:
        m->other_language = put_attribute(m, "Language");
        m->other_type = put_attribute(m, "Type");
        break;
    case PLACE_PUB_DATE:
    case PLACE_REVISED: m->date_read = (date){0}; break;
    case PLACE_CORRECTION:
        if (attribute_is(m, "RefType", "RetractionIn")) m->retracted = true;
        return false;
    case PLACE_HEADING:
        m->heading = m->size;
        m->has_descriptor = false;
        break;
    case PLACE_PMID:
    case PLACE_DELETED_PMID: begin_pmid(m); break;
    case PLACE_SECTION: begin_section(m, parent == PLACE_OTHER_ABSTRACT); break;
    case PLACE_LOCATION:
        if (!attribute_is(m, "EIdType", "doi") || attribute_is(m, "ValidYN", "N")) return false;
        begin_text(m);
        break;
    case PLACE_ID:
        if (!attribute_is(m, "IdType", "doi")) return false;
        begin_text(m);
        break;
    case PLACE_DESCRIPTOR:
    case PLACE_QUALIFIER:
        if (m->has_descriptor != (at == PLACE_QUALIFIER)) return false; /* a second one; one without a descriptor */
        begin_heading_word(m, at == PLACE_QUALIFIER);
        break;
    default:
        if (at >= PLACE_PMID) begin_text(m);
        break;
    }
    return true;
}

static void leave(ade_medline *m, place at, place parent) {
    switch (at) {
    case PLACE_PUBMED_ARTICLE:
    case PLACE_BOOK_ARTICLE:
        if (m->begun) deliver(m);
        break;
    case PLACE_CITATION:
    case PLACE_BOOK_DOCUMENT: end_record(m, parent); break;
    case PLACE_PUB_DATE: end_date(m, m->date); break;
    case PLACE_REVISED: end_date(m, m->date_revised); break;
    case PLACE_HEADING: add_item(m, LIST_MESH, (piece){m->heading, m->size - m->heading, true}); break;
    case PLACE_PMID: end_pmid(m, false); break;
    case PLACE_DELETED_PMID: end_pmid(m, true); break;
    case PLACE_TITLE: keep_first(m, &m->title); break;
    case PLACE_BOOK_TITLE: keep_first(m, &m->book_title); break;
    case PLACE_SECTION: m->sections[m->n_sections - 1].text = end_text(m); break;
    case PLACE_JOURNAL_TITLE: keep_first(m, &m->journal_title); break;
    case PLACE_JOURNAL_TA: keep_first(m, &m->journal_ta); break;
    case PLACE_YEAR:
    case PLACE_MONTH:
    case PLACE_DAY:
    case PLACE_MEDLINE_DATE: end_date_part(m, at); break;
    case PLACE_LOCATION: keep_first(m, &m->location); break;
    case PLACE_ID: keep_first(m, &m->id); break;
    case PLACE_LANGUAGE: add_item(m, LIST_LANGUAGES, end_text(m)); break;
    case PLACE_TYPE: end_type(m); break;
    case PLACE_SUBSTANCE: add_item(m, LIST_CHEMICALS, end_text(m)); break;
    case PLACE_DESCRIPTOR:
    case PLACE_QUALIFIER: end_heading_word(m, at == PLACE_QUALIFIER); break;
    default: break;
    }
}

static void on_start(void *user, ade_text name) {
    ade_medline *m = user;
    frame       *parent = &m->frames[m->depth - 1], *f = parent + 1;
    *f = (frame){0};
    m->depth++;
    if (parent->place >= PLACE_PMID) {
        f->place = PLACE_INLINE;
        begin_inline(m, parent, f, name);
        return;
    }
    f->place = (uint8_t)find_place(m, parent->place, name);
    if (parent->place == PLACE_DOCUMENT && !f->place)
        stop_at(m,
                "the root element is <%.*s>, but a MEDLINE/PubMed file begins with <PubmedArticleSet> or "
                "<MedlineCitationSet>",
                shown(name), name.data);
    if (!enter(m, (place)f->place, (place)parent->place)) {
        f->place = PLACE_SKIPPED;
        ade__xml_skip(m->xml);
    } else if (f->place >= PLACE_PMID) {
        ade__xml_want_text(m->xml, true);
    }
}

static void on_end(void *user) {
    ade_medline *m = user;
    const frame *f = &m->frames[--m->depth];
    if (f->place == PLACE_SKIPPED) return;
    if (f->place == PLACE_INLINE) {
        end_inline(m, f);
        return;
    }
    if (f->place >= PLACE_PMID) ade__xml_want_text(m->xml, false);
    leave(m, (place)f->place, (place)f[-1].place);
}

static void on_text(void *user, ade_text text) { put_text(user, text); }

/* ---- The parser -------------------------------------------------------------------------------------------------- */

ade_status ade__medline_open(const char *name, ade_record_fn fn, void *user, ade_medline **out) {
    static const ade_xml_handler handler = {on_start, on_end, on_text};
    ade_medline                 *m = ade__calloc(1, sizeof *m);
    if (!m) return ADE_OUT_OF_MEMORY;
    m->fn = fn;
    m->user = user;
    m->name = ade__strdup(name);
    if (!m->name || ade__xml_open(name, &handler, m, &m->xml)) {
        ade__medline_close(m);
        return ADE_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!m->below[paths[i].from].n++) m->below[paths[i].from].first = (uint8_t)i;
    m->frames[m->depth++].place = PLACE_DOCUMENT;
    ade__xml_want_text(m->xml, false);
    *out = m;
    return ADE_OK;
}

void ade__medline_close(ade_medline *m) {
    if (!m) return;
    ade__xml_close(m->xml);
    ade__free(m->name);
    ade__free(m->text);
    ade__free(m->sections);
    for (int i = 0; i < LIST_COUNT; i++) ade__free(m->lists[i].items);
    ade__free(m->out);
    ade__free(m->out_items);
    ade__free(m);
}

void *ade__medline_buffer(ade_medline *m, size_t capacity) { return ade__xml_buffer(m->xml, capacity); }

ade_status ade__medline_parse(ade_medline *m, size_t size, bool final) { return ade__xml_parse(m->xml, size, final); }

ade_status ade__medline_read(ade_input *input, const char *name, ade_record_fn fn, void *user, uint64_t *xml_bytes) {
    ade_medline *m;
    ADE_TRY(ade__medline_open(name, fn, user, &m));
    ade_status status = ADE_OK;
    size_t     got = 1;
    while (status == ADE_OK && got) {
        void *buffer = ade__medline_buffer(m, READ_SIZE);
        if (!buffer) {
            status = ADE_OUT_OF_MEMORY;
            break;
        }
        status = ade__input_read(input, buffer, READ_SIZE, &got);
        if (status) break;
        if (xml_bytes) *xml_bytes += got;
        status = ade__medline_parse(m, got, got == 0);
    }
    ade__medline_close(m);
    return status;
}
