/* SPDX-License-Identifier: Apache-2.0
 * The XML reader. A table says which element leads from which place to which; below a place that is not in it nothing
 * is looked at until that element ends. The only file that includes expat's header. */
#include "medline.h"

#include "alloc.h"
#include "status.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

#define DEPTH_LIMIT 1000                 /* nested elements; real files have about 15 */
#define RECORD_LIMIT ((size_t)64 << 20)  /* text of one record; real ones stay below 64 KiB */
#define MARKUP_LIMIT ((int64_t)16 << 20) /* one tag, comment or declaration, which expat holds as a whole */
#define READ_SIZE (128 * 1024)

typedef enum place {
    PLACE_IGNORED, /* and all below */
    PLACE_DOCUMENT,
    PLACE_SET,
    PLACE_PUBMED_ARTICLE,
    PLACE_CITATION,
    PLACE_ARTICLE,
    PLACE_ABSTRACT,
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
    PLACE_INLINE /* below one of the former */
} place;

static const struct {
    place       from;
    const char *element;
    place       to;
} paths[] = {
    {PLACE_DOCUMENT, "PubmedArticleSet", PLACE_SET},
    {PLACE_DOCUMENT, "MedlineCitationSet", PLACE_SET},
    {PLACE_DOCUMENT, "PubmedBookArticleSet", PLACE_SET},
    {PLACE_SET, "PubmedArticle", PLACE_PUBMED_ARTICLE},
    {PLACE_SET, "MedlineCitation", PLACE_CITATION},
    {PLACE_SET, "PubmedBookArticle", PLACE_BOOK_ARTICLE},
    {PLACE_SET, "DeleteCitation", PLACE_DELETE},
    {PLACE_PUBMED_ARTICLE, "MedlineCitation", PLACE_CITATION},
    {PLACE_CITATION, "PMID", PLACE_PMID},
    {PLACE_CITATION, "Article", PLACE_ARTICLE},
    {PLACE_ARTICLE, "ArticleTitle", PLACE_TITLE},
    {PLACE_ARTICLE, "Abstract", PLACE_ABSTRACT},
    {PLACE_ABSTRACT, "AbstractText", PLACE_SECTION},
    {PLACE_BOOK_ARTICLE, "BookDocument", PLACE_BOOK_DOCUMENT},
    {PLACE_BOOK_DOCUMENT, "PMID", PLACE_PMID},
    {PLACE_BOOK_DOCUMENT, "Book", PLACE_BOOK},
    {PLACE_BOOK_DOCUMENT, "ArticleTitle", PLACE_TITLE},
    {PLACE_BOOK_DOCUMENT, "Abstract", PLACE_ABSTRACT},
    {PLACE_BOOK, "BookTitle", PLACE_BOOK_TITLE},
    {PLACE_DELETE, "PMID", PLACE_DELETED_PMID},
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
    piece label, category, text;
} section;

struct ade_medline {
    XML_Parser    parser;
    char         *name;
    ade_record_fn fn;
    void         *user;
    ade_status    failed; /* the callback's or our own; its text is the thread's last error */
    int64_t       fed;    /* bytes given to expat */

    frame *frames;
    size_t depth, frames_capacity;
    size_t ignored; /* elements open below the last frame, none of them looked at */

    /* The record being read. */
    char               *text; /* all its texts, one behind the other */
    size_t              size, capacity;
    size_t              part_start; /* of the text being collected */
    bool                space;      /* white space waits to be written before the next character */
    int64_t             pmid;       /* 0 = not yet */
    int32_t             version;
    bool                in_book, has_article, has_abstract;
    piece               title;
    section            *sections;
    size_t              n_sections, sections_capacity;
    ade_record_section *out; /* the sections as the callback sees them */
    size_t              out_capacity;
};

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static void stop(ade_medline *m, ade_status status) {
    if (m->failed) return;
    m->failed = status;
    XML_StopParser(m->parser, XML_FALSE);
}

static unsigned long long line(const ade_medline *m) { return XML_GetCurrentLineNumber(m->parser); }
static unsigned long long column(const ade_medline *m) { return XML_GetCurrentColumnNumber(m->parser) + 1; }

/* A fault at the current place of the file. `format` takes up to two strings. */
#define STOP_AT(m, format, ...)                                                                                        \
    stop(m, ade__fail(ADE_BAD_INPUT, "%s:%llu:%llu: " format, (m)->name, line(m), column(m), __VA_ARGS__))

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void put(ade_medline *m, const char *bytes, size_t size) {
    if (m->failed) return;
    if (size > RECORD_LIMIT - m->size) {
        STOP_AT(m,
                "the record with PMID %lld has more than %zu MiB of text, which no citation has; the file is damaged",
                (long long)m->pmid, RECORD_LIMIT >> 20);
        return;
    }
    if (ade__reserve(&m->text, &m->capacity, m->size + size, 1)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    if (size) memcpy(m->text + m->size, bytes, size);
    m->size += size;
}

static void put_waiting_space(ade_medline *m) {
    if (m->space && m->size > m->part_start) put(m, " ", 1);
    m->space = false;
}

static void put_text(ade_medline *m, const char *text, size_t size) {
    size_t i = 0;
    while (i < size && !m->failed) {
        if (is_white(text[i])) {
            m->space = true;
            i++;
            continue;
        }
        size_t begin = i;
        while (i < size && !is_white(text[i])) i++;
        put_waiting_space(m);
        put(m, text + begin, i - begin);
    }
}

static void begin_text(ade_medline *m) {
    m->part_start = m->size;
    m->space = false;
}

static piece end_text(ade_medline *m) {
    m->space = false;
    return (piece){m->part_start, m->size - m->part_start, true};
}

static piece put_attribute(ade_medline *m, const char *value) {
    if (!value) return (piece){0};
    begin_text(m);
    put_text(m, value, strlen(value));
    piece p = end_text(m);
    p.present = p.size > 0;
    return p;
}

static ade_text text_of(const ade_medline *m, piece p) {
    return p.present ? (ade_text){p.size ? m->text + p.start : "", p.size} : (ade_text){NULL, 0};
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static void begin_record(ade_medline *m, bool book) {
    m->size = 0;
    m->pmid = 0;
    m->version = 1;
    m->in_book = book;
    m->has_article = m->has_abstract = false;
    m->title = (piece){0};
    m->n_sections = 0;
}

static void deliver(ade_medline *m, const ade_record *record) {
    if (m->failed) return;
    ade_status status = m->fn(m->user, record);
    if (status) stop(m, status);
}

static void end_record(ade_medline *m) {
    if (m->failed) return;
    if (!m->pmid) {
        STOP_AT(m, "a record ends here that has no %s of its own; the file is damaged", "PMID");
        return;
    }
    if (ade__reserve(&m->out, &m->out_capacity, m->n_sections, sizeof *m->out)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    for (size_t i = 0; i < m->n_sections; i++) {
        const section *s = &m->sections[i];
        m->out[i] = (ade_record_section){text_of(m, s->label), text_of(m, s->category), text_of(m, s->text)};
    }
    ade_record record = {.pmid = m->pmid,
                         .version = m->version,
                         .book = m->in_book,
                         .has_article = m->has_article,
                         .has_abstract = m->has_abstract,
                         .title = text_of(m, m->title),
                         .sections = m->out,
                         .n_sections = m->n_sections};
    if (!record.title.data) record.title.data = "";
    deliver(m, &record);
}

/* A positive decimal number of up to 18 digits; 0 for anything else. */
static int64_t number(const char *text, size_t size) {
    int64_t value = 0;
    if (size == 0 || size > 18) return 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Expat drops an undefined entity in an attribute without a word when the DOCTYPE names a DTD. Hence this search. */
static void check_attribute_entities(ade_medline *m) {
    static const char *const known[] = {"amp;", "lt;", "gt;", "quot;", "apos;"};
    int                      offset = 0, size = 0, count = XML_GetCurrentByteCount(m->parser);
    const char              *context = XML_GetInputContext(m->parser, &offset, &size);
    if (!context || count <= 0 || offset < 0 || count > size - offset) return;
    const char *tag = context + offset, *end = tag + count;
    while ((tag = memchr(tag, '&', (size_t)(end - tag))) != NULL) {
        char   name[6] = {0};
        size_t n = 0;
        for (tag++; tag < end && n < 5; tag++)
            if (*tag) name[n++] = *tag; /* skips the zero halves of UTF-16 */
        bool fine = name[0] == '#';
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (!strncmp(name, known[i], strlen(known[i]))) fine = true;
        if (!fine) {
            STOP_AT(m, "an attribute uses the entity \"&%s..\", which is not defined", name);
            return;
        }
        tag -= n; /* "&a&b;" cannot be, but costs nothing */
    }
}

static void begin_pmid(ade_medline *m, const char **attributes) {
    m->version = 1;
    check_attribute_entities(m);
    for (; *attributes; attributes += 2) {
        if (strcmp(attributes[0], "Version")) continue;
        int64_t version = number(attributes[1], strlen(attributes[1]));
        if (version < 1 || version > INT32_MAX)
            STOP_AT(m, "the PMID's Version \"%.40s\" is not a number from 1 to 2147483647", attributes[1]);
        m->version = (int32_t)version;
    }
    begin_text(m);
}

static void end_pmid(ade_medline *m, bool deleted) {
    if (m->failed) return;
    piece   p = end_text(m);
    int64_t pmid = number(p.size ? m->text + p.start : "", p.size);
    m->size = p.start; /* the digits are no text of the record */
    if (!pmid) {
        STOP_AT(m, "\"%.*s\" is not a PMID", p.size < 40 ? (int)p.size : 40, p.size ? m->text + p.start : "");
        return;
    }
    if (deleted) {
        deliver(m, &(ade_record){.pmid = pmid, .version = m->version, .deleted = true, .title = {"", 0}});
        m->size = 0;
    } else if (m->pmid) {
        STOP_AT(m, "the record has two PMIDs of its own, %lld and %lld", (long long)m->pmid, (long long)pmid);
    } else {
        m->pmid = pmid;
    }
}

static void begin_section(ade_medline *m, const char **attributes) {
    section s = {0};
    check_attribute_entities(m);
    for (; *attributes; attributes += 2) {
        if (!strcmp(attributes[0], "Label"))
            s.label = put_attribute(m, attributes[1]);
        else if (!strcmp(attributes[0], "NlmCategory"))
            s.category = put_attribute(m, attributes[1]);
    }
    if (ade__reserve(&m->sections, &m->sections_capacity, m->n_sections + 1, sizeof *m->sections)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    if (m->n_sections == RECORD_LIMIT / sizeof s) {
        STOP_AT(m, "the record with PMID %lld has more than %zu abstract sections; the file is damaged",
                (long long)m->pmid, m->n_sections);
        return;
    }
    m->sections[m->n_sections++] = s;
    begin_text(m);
}

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

static place find_place(place from, const char *element) {
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i].from == from && !strcmp(paths[i].element, element)) return paths[i].to;
    return PLACE_IGNORED;
}

/* '^', '_' or 0: what the element, a child of `parent`, is to its neighbours. */
static char mark_of(const frame *parent, const char *element) {
    switch ((shape)parent->shape) {
    case SHAPE_MSUP: return parent->children == 2 ? '^' : 0;
    case SHAPE_MSUB: return parent->children == 2 ? '_' : 0;
    case SHAPE_MSUBSUP: return parent->children == 2 ? '_' : parent->children == 3 ? '^' : 0;
    case SHAPE_OTHER: break;
    }
    return !strcmp(element, "sup") ? '^' : !strcmp(element, "sub") ? '_' : 0;
}

static shape shape_of(const char *element) {
    const char *colon = strchr(element, ':');
    if (colon) element = colon + 1;
    return !strcmp(element, "msup")      ? SHAPE_MSUP
           : !strcmp(element, "msub")    ? SHAPE_MSUB
           : !strcmp(element, "msubsup") ? SHAPE_MSUBSUP
                                         : SHAPE_OTHER;
}

static void begin_inline(ade_medline *m, frame *parent, frame *f, const char *element) {
    f->place = PLACE_INLINE;
    f->shape = (uint8_t)shape_of(element);
    parent->children++;
    const char mark[2] = {mark_of(parent, element), '('};
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

static void XMLCALL on_text(void *user, const char *text, int size) {
    ade_medline *m = user;
    if (m->failed || m->ignored) return;
    put_text(m, text, (size_t)size);
}

static void XMLCALL on_start(void *user, const char *element, const char **attributes) {
    ade_medline *m = user;
    if (m->failed) return;
    if (m->depth + m->ignored >= DEPTH_LIMIT) {
        STOP_AT(m, "elements are nested more than %d deep; this is no MEDLINE file", DEPTH_LIMIT);
        return;
    }
    frame *parent = &m->frames[m->depth - 1];
    if (m->ignored) {
        m->ignored++;
        return;
    }
    frame f = {0};
    if (parent->place >= PLACE_PMID) {
        begin_inline(m, parent, &f, element);
    } else {
        f.place = (uint8_t)find_place((place)parent->place, element);
        switch ((place)f.place) {
        case PLACE_IGNORED:
            if (parent->place == PLACE_DOCUMENT)
                STOP_AT(m,
                        "the root element is <%.60s>, but a MEDLINE/PubMed file begins with <PubmedArticleSet> or "
                        "<MedlineCitationSet>",
                        element);
            m->ignored = 1;
            return;
        case PLACE_CITATION: begin_record(m, false); break;
        case PLACE_BOOK_DOCUMENT:
            begin_record(m, true);
            m->has_article = true;
            break;
        case PLACE_ARTICLE: m->has_article = true; break;
        case PLACE_ABSTRACT: m->has_abstract = true; break;
        case PLACE_PMID:
        case PLACE_DELETED_PMID: begin_pmid(m, attributes); break;
        case PLACE_SECTION: begin_section(m, attributes); break;
        case PLACE_TITLE:
        case PLACE_BOOK_TITLE: begin_text(m); break;
        default: break;
        }
        if (f.place >= PLACE_PMID) XML_SetCharacterDataHandler(m->parser, on_text);
    }
    if (m->failed) return;
    if (ade__reserve(&m->frames, &m->frames_capacity, m->depth + 1, sizeof *m->frames)) {
        stop(m, ADE_OUT_OF_MEMORY);
        return;
    }
    m->frames[m->depth++] = f;
}

static void XMLCALL on_end(void *user, const char *element) {
    ade_medline *m = user;
    (void)element;
    if (m->failed) return;
    if (m->ignored) {
        m->ignored--;
        return;
    }
    frame f = m->frames[--m->depth];
    /* Without a handler expat skips the rest of the file's text twice as fast. */
    if (f.place >= PLACE_PMID && f.place < PLACE_INLINE) XML_SetCharacterDataHandler(m->parser, NULL);
    switch ((place)f.place) {
    case PLACE_CITATION:
    case PLACE_BOOK_DOCUMENT: end_record(m); break;
    case PLACE_PMID: end_pmid(m, false); break;
    case PLACE_DELETED_PMID: end_pmid(m, true); break;
    case PLACE_TITLE:
    case PLACE_BOOK_TITLE: m->title = end_text(m); break; /* a book's own title comes before its chapter's */
    case PLACE_SECTION: m->sections[m->n_sections - 1].text = end_text(m); break;
    case PLACE_INLINE: end_inline(m, &f); break;
    default: break;
    }
}

static void XMLCALL on_skipped_entity(void *user, const char *name, int is_parameter) {
    ade_medline *m = user;
    STOP_AT(m, "the %s \"%.60s\" is not defined; only the five of XML itself and numbers are read",
            is_parameter ? "parameter entity" : "entity", name);
}

static void XMLCALL on_entity_declaration(void *user, const char *name, int is_parameter, const char *value,
                                          int value_size, const char *base, const char *system_id,
                                          const char *public_id, const char *notation) {
    ade_medline *m = user;
    (void)is_parameter, (void)value, (void)value_size, (void)base, (void)system_id, (void)public_id, (void)notation;
    STOP_AT(m,
            "the file declares the entity \"%.60s\"; MEDLINE files do not, and declarations are refused because they "
            "can make a small file unfold without end",
            name);
}

/* ---- The parser -------------------------------------------------------------------------------------------------- */

static void *x_malloc(size_t size) { return ade__malloc(size); }
static void *x_realloc(void *old, size_t size) { return ade__realloc(old, size, 1); }
static void  x_free(void *memory) { ade__free(memory); }

ade_status ade__medline_open(const char *name, ade_record_fn fn, void *user, ade_medline **out) {
    static const XML_Memory_Handling_Suite memory = {x_malloc, x_realloc, x_free};
    ade_medline                           *m = ade__calloc(1, sizeof *m);
    if (!m) return ADE_OUT_OF_MEMORY;
    m->fn = fn;
    m->user = user;
    m->name = ade__strdup(name);
    if (!m->name || ade__reserve(&m->frames, &m->frames_capacity, 1, sizeof *m->frames) ||
        !(m->parser = XML_ParserCreate_MM(NULL, &memory, NULL))) {
        ade__medline_close(m);
        return ADE_OUT_OF_MEMORY;
    }
    m->frames[m->depth++] = (frame){.place = PLACE_DOCUMENT};
    XML_SetUserData(m->parser, m);
    XML_SetElementHandler(m->parser, on_start, on_end);
    XML_SetSkippedEntityHandler(m->parser, on_skipped_entity);
    XML_SetEntityDeclHandler(m->parser, on_entity_declaration);
    XML_SetParamEntityParsing(m->parser, XML_PARAM_ENTITY_PARSING_NEVER);
    *out = m;
    return ADE_OK;
}

void ade__medline_close(ade_medline *m) {
    if (!m) return;
    if (m->parser) XML_ParserFree(m->parser);
    ade__free(m->name);
    ade__free(m->frames);
    ade__free(m->text);
    ade__free(m->sections);
    ade__free(m->out);
    ade__free(m);
}

void *ade__medline_buffer(ade_medline *m, size_t capacity) {
    if (capacity > INT_MAX) capacity = INT_MAX;
    void *buffer = XML_GetBuffer(m->parser, (int)capacity);
    if (!buffer)
        (void)ade__fail(ADE_OUT_OF_MEMORY, "out of memory: no room for the next %zu bytes of %s", capacity, m->name);
    return buffer;
}

/* Expat's words for what ends early would puzzle a reader who does not know that the file was cut. */
static ade_status xml_error(const ade_medline *m, bool final) {
    enum XML_Error code = XML_GetErrorCode(m->parser);
    if (code == XML_ERROR_NO_MEMORY) return ade__fail(ADE_OUT_OF_MEMORY, "out of memory while parsing %s", m->name);
    int         offset = 0, size = 0; /* "<!DOCTYPE Pubm": nothing behind the place in question closes anything */
    const char *context = XML_GetInputContext(m->parser, &offset, &size);
    const bool  cut_in_prolog = code == XML_ERROR_SYNTAX && XML_GetCurrentByteIndex(m->parser) > 0 && context &&
                               offset <= size && !memchr(context + offset, '>', (size_t)(size - offset));
    if (final && (code == XML_ERROR_NO_ELEMENTS || code == XML_ERROR_UNCLOSED_TOKEN || code == XML_ERROR_PARTIAL_CHAR ||
                  code == XML_ERROR_UNCLOSED_CDATA_SECTION || cut_in_prolog)) {
        if (m->fed == 0) return ade__fail(ADE_BAD_INPUT, "%s is empty", m->name);
        return ade__fail(ADE_BAD_INPUT,
                         "%s:%llu:%llu: the file ends before its root element is closed: it is truncated", m->name,
                         line(m), column(m));
    }
    const char *text = XML_ErrorString(code);
    return ade__fail(ADE_BAD_INPUT, "%s:%llu:%llu: not well-formed XML: %s", m->name, line(m), column(m),
                     text ? text : "unknown error");
}

ade_status ade__medline_parse(ade_medline *m, size_t size, bool final) {
    enum XML_Status status = XML_ParseBuffer(m->parser, (int)size, final);
    m->fed += (int64_t)size;
    if (m->failed) return m->failed;
    if (status != XML_STATUS_OK) {
        m->failed = xml_error(m, final);
        return m->failed;
    }
    if (!final && m->fed - XML_GetCurrentByteIndex(m->parser) > MARKUP_LIMIT)
        STOP_AT(m, "a tag, comment or declaration is longer than %d MiB; this is no MEDLINE file",
                (int)(MARKUP_LIMIT >> 20));
    return m->failed;
}

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
