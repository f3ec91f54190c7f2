/* SPDX-License-Identifier: Apache-2.0
 * The XML parser. What is not yet parsed lies in one buffer: text is handed on as it comes, markup as a whole, so that
 * a tag that the end of the buffer cuts is simply looked at again when there is more. Every byte is decided by what
 * lies before it in the file, never by where a piece ended: the same file gives the same events and the same fault at
 * the same place however it is cut.
 *
 * XML 1.0, fifth edition, without a DTD: declarations of elements, attributes and notations in a DOCTYPE are passed
 * over, not checked; defaults that an ATTLIST gives to attributes are not applied, and all attributes count as CDATA.
 */
#define _GNU_SOURCE /* memrchr */
#include "xml.h"

#include "alloc.h"
#include "status.h"
#include "xml_attributes.h"
#include "xml_chars.h"
#include "xml_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 60      /* bytes of a name in a message */
#define PATIENCE 4096 /* markup longer than this is looked at again only when it has grown by half */

typedef enum outcome {
    DONE,
    MORE, /* the bytes at hand end within it */
    BAD   /* xml->failed is set */
} outcome;

#define STEP(call)                                                                                                     \
    do {                                                                                                               \
        const outcome step_outcome = (call);                                                                           \
        if (step_outcome) return step_outcome;                                                                         \
    } while (0)

typedef enum stage { STAGE_BEGIN, STAGE_PROLOG, STAGE_CONTENT, STAGE_EPILOG } stage;

struct ade_xml {
    ade_xml_handler handler;
    void           *user;
    char           *file;
    ade_status      failed;
    stage           stage;
    bool            fed;                 /* not empty */
    bool            declarable, doctype; /* no byte but the BOM has been seen; a DOCTYPE has */
    bool            ascii;               /* the declared encoding */
    bool            cdata;               /* in a CDATA section */

    char       *buffer;
    size_t      capacity;
    const char *at, *end; /* what is not yet parsed; zeros follow */
    size_t      retry;    /* it is of no use to try with fewer bytes than this */

    /* Places. Line and column are those of `mark`, which never lies behind what may still be asked for. */
    const char *mark;
    uint64_t    line, column;
    const char *token; /* where the markup or character in hand begins: for its limit */
    const char *event; /* what the running callback is about */
    bool        event_known;
    uint64_t    event_line, event_column;

    /* Open elements: their names, one behind the other. */
    char    *names;
    size_t   names_size, names_capacity, depth;
    uint32_t name_at[ADE_XML_DEPTH + 1];
    size_t   skipped; /* depth of the element of which nothing is told; 0 = none */
    bool     wanted;  /* text, by the user */
    bool     telling; /* text, all in all */

    bool          in_start;
    const char   *tag_end;
    ade_xml_span *attributes;
    size_t        n_attributes, attributes_capacity;
};

/* ---- Places and failures ----------------------------------------------------------------------------------------- */

/* Moves the mark forward to p. A line ends with LF, CR LF, or a CR alone. */
static void settle(ade_xml *x, const char *p) {
    const char *from = x->mark, *line = NULL;
    if (p <= from) return;
    if (!memchr(from, '\r', (size_t)(p - from))) {
        const size_t lines = ade__scan_count(from, p, true);
        x->line += lines;
        if (lines) line = (const char *)memrchr(from, '\n', (size_t)(p - from)) + 1;
    } else {
        for (const char *q = from; q < p; q++) {
            if (*q != '\n' && (*q != '\r' || (q + 1 < x->end && q[1] == '\n'))) continue;
            x->line++;
            line = q + 1;
        }
    }
    if (line) x->column = 1;
    x->column += ade__scan_count(line ? line : from, p, false);
    x->mark = p;
}

static void know_event(ade_xml *x) {
    if (x->event_known) return;
    settle(x, x->event);
    x->event_line = x->line;
    x->event_column = x->column;
    x->event_known = true;
}

static outcome too_long(ade_xml *x) {
    settle(x, x->token);
    x->failed =
        ade__fail(ADE_BAD_INPUT,
                  "%s:%llu:%llu: a tag, comment or declaration is longer than %zu MiB, which no file meant to be "
                  "read has; it is damaged",
                  x->file, (unsigned long long)x->line, (unsigned long long)x->column, ADE_XML_MARKUP >> 20);
    return BAD;
}

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static outcome
fail_at(ade_xml *x, const char *p, const char *kind, const char *format, ...) {
    char    text[512];
    va_list arguments;
    if ((size_t)(p - x->token) > ADE_XML_MARKUP) return too_long(x);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    settle(x, p);
    x->failed = ade__fail(ADE_BAD_INPUT, "%s:%llu:%llu: %s%s", x->file, (unsigned long long)x->line,
                          (unsigned long long)x->column, kind, text);
    return BAD;
}

#define MALFORMED(x, p, ...) fail_at(x, p, "not well-formed XML: ", __VA_ARGS__)
#define REFUSED(x, p, ...) fail_at(x, p, "", __VA_ARGS__)

/* For a fault that is found only behind where it is named: whether the limit comes first. */
static outcome within(ade_xml *x, const char *seen) {
    return (size_t)(seen - x->token) > ADE_XML_MARKUP ? too_long(x) : DONE;
}

/* As much of a name as a message shows, for "%.*s". */
static int shown(const char *name, size_t size) {
    if (size <= SHOWN) return (int)size;
    size = SHOWN;
    while (size && ((unsigned char)name[size] & 0xC0) == 0x80) size--;
    return (int)size;
}

/* ---- Characters -------------------------------------------------------------------------------------------------- */

/* What stands at p does not belong there, or is not all there yet. */
static outcome unexpected(ade_xml *x, const char *p, const char *message) {
    const unsigned char c = (unsigned char)*p;
    uint32_t            code = c;
    if (p >= x->end) return MORE;
    if (c >= 0x80) {
        const int size = ade__utf8_sequence(p, x->end, &code);
        if (size < 0) return MORE;
        STEP(within(x, p + 4));
        if (!size) return MALFORMED(x, p, "the byte 0x%02X is not UTF-8 here", c);
        if (x->ascii) return MALFORMED(x, p, "a character beyond US-ASCII, which the file declares as its encoding");
    }
    if (!ade__xml_is_char(code)) return MALFORMED(x, p, "the character U+%04X is not allowed in XML", (unsigned)code);
    return MALFORMED(x, p, "%s", message);
}

/* Passes one character that XML allows. */
static outcome character(ade_xml *x, const char **at) {
    const char *p = *at;
    uint32_t    code;
    if ((unsigned char)*p < 0x80) {
        if (p >= x->end || !ade__xml_is_char((uint32_t)*p)) return unexpected(x, p, "");
        *at = p + 1;
        return DONE;
    }
    const int size = ade__utf8_sequence(p, x->end, &code);
    if (size <= 0 || x->ascii || !ade__xml_is_char(code)) return unexpected(x, p, "");
    *at = p + size;
    return DONE;
}

static void spaces(const char **at) {
    while (ade__xml_is_space(**at)) ++*at;
}

/* White space that must be there. */
static outcome space(ade_xml *x, const char **at, const char *message) {
    if (!ade__xml_is_space(**at)) return unexpected(x, *at, message);
    spaces(at);
    return DONE;
}

static outcome literal(ade_xml *x, const char **at, const char *text, const char *message) {
    const char *p = *at;
    for (; *text; p++, text++)
        if (*p != *text) return unexpected(x, p, message);
    *at = p;
    return DONE;
}

static outcome name(ade_xml *x, const char **at, const char *message) {
    const char *p = *at;
    uint32_t    code = (unsigned char)*p;
    if (code >= 0x80 && (ade__utf8_sequence(p, x->end, &code) <= 0 || x->ascii)) return unexpected(x, p, message);
    if (!ade__xml_begins_name(code)) return unexpected(x, p, message);
    for (;;) {
        p = ade__scan_name(p);
        if ((unsigned char)*p < 0x80) break;
        const int size = ade__utf8_sequence(p, x->end, &code);
        if (size <= 0 || x->ascii || !ade__xml_continues_name(code)) break; /* the caller does not expect it either */
        p += size;
    }
    *at = p;
    return DONE;
}

/* ---- References -------------------------------------------------------------------------------------------------- */

/* &#60; and &#x3c; */
static outcome character_reference(ade_xml *x, const char **at, uint32_t *code) {
    const char *const from = *at;
    const char       *p = from + 2;
    const uint32_t    base = *p == 'x' ? 16 : 10;
    uint32_t          value = 0;
    if (base == 16) p++;
    const char *const digits = p;
    for (;; p++) {
        const char     c = *p;
        const uint32_t digit = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                               : base == 16 && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                               : base == 16 && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                                    : 16;
        if (digit == 16) break;
        value = value * base + digit;
        if (value > 0x110000) value = 0x110000;
    }
    if (p == digits || *p != ';') return unexpected(x, p, "a character reference is no number that \";\" ends");
    STEP(within(x, p + 1));
    if (!ade__xml_is_char(value))
        return MALFORMED(x, from, "reference to invalid character number %.*s", shown(from, (size_t)(p + 1 - from)),
                         from);
    *code = value;
    *at = p + 1;
    return DONE;
}

static outcome undefined_entity(ade_xml *x, const char *p, const char *what, const char *entity, const char *end) {
    STEP(within(x, end + 1));
    return REFUSED(x, p, "the %s \"%.*s\" is not defined; only the five of XML itself and numbers are read", what,
                   shown(entity, (size_t)(end - entity)), entity);
}

/* Resolves the reference at *at, an '&'. */
static outcome reference(ade_xml *x, const char **at, uint32_t *code) {
    static const struct {
        char     name[5];
        uint32_t code;
    } entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    const char *const from = *at;
    const char       *p = from + 1;
    if (*p == '#') return character_reference(x, at, code);
    STEP(name(x, &p, "\"&\" begins no reference; the character itself is written as &amp;"));
    if (*p != ';') return unexpected(x, p, "a reference lacks its \";\"");
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        const size_t size = strlen(entities[i].name);
        if (size != (size_t)(p - from - 1) || memcmp(from + 1, entities[i].name, size)) continue;
        *code = entities[i].code;
        *at = p + 1;
        return DONE;
    }
    return undefined_entity(x, from, "entity", from + 1, p);
}

/* ---- Comments, instructions, the XML declaration ------------------------------------------------------------------
 */

/* *at is behind "<!-". */
static outcome comment(ade_xml *x, const char **at) {
    const char *p = *at;
    STEP(literal(x, &p, "-", "\"<!-\" begins no comment"));
    for (;;) {
        p = ade__scan(p, '-', '-', '-', true);
        if (*p != '-') {
            STEP(character(x, &p));
        } else if (p[1] != '-') {
            p++;
        } else {
            p += 2;
            if (*p != '>') return unexpected(x, p, "\"--\" within a comment");
            *at = p + 1;
            return DONE;
        }
    }
}

/* `key`="value" of the declaration, behind white space; *value is unchecked but for its bytes. */
static outcome declared(ade_xml *x, const char **at, const char *key, ade_text *value) {
    static const char message[] = "the XML declaration is no <?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    STEP(literal(x, at, key, message));
    spaces(at);
    STEP(literal(x, at, "=", message));
    spaces(at);
    const char quote = **at;
    if (quote != '"' && quote != '\'') return unexpected(x, *at, message);
    const char *p = ++*at;
    while (*p != quote) {
        p = ade__scan_name(p);
        if (*p != quote) return unexpected(x, p, message);
    }
    *value = (ade_text){*at, (size_t)(p - *at)};
    *at = p + 1;
    return DONE;
}

static bool equals(ade_text text, const char *other) { /* whatever the case */
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]) != other[i]) return false;
    return !other[text.size];
}

static outcome check_version(ade_xml *x, ade_text version) {
    bool fine = version.size > 2 && version.data[0] == '1' && version.data[1] == '.';
    for (size_t i = 2; i < version.size; i++) fine = fine && version.data[i] >= '0' && version.data[i] <= '9';
    if (fine) return DONE;
    return MALFORMED(x, version.data, "\"%.*s\" is no version of XML 1", shown(version.data, version.size),
                     version.data);
}

static outcome check_encoding(ade_xml *x, ade_text encoding) {
    const char c = encoding.size ? encoding.data[0] : 0;
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) || memchr(encoding.data, ':', encoding.size))
        return MALFORMED(x, encoding.data, "this is not the name of an encoding");
    x->ascii = equals(encoding, "us-ascii") || equals(encoding, "ascii");
    if (x->ascii || equals(encoding, "utf-8") || equals(encoding, "utf8")) return DONE;
    const int n = shown(encoding.data, encoding.size);
    return REFUSED(x, encoding.data,
                   "the file declares the encoding \"%.*s\", and only UTF-8 is read; convert it with iconv -f %.*s -t "
                   "UTF-8, and declare UTF-8 here",
                   n, encoding.data, n, encoding.data);
}

/* *at is behind "<?xml" and before white space. */
static outcome declaration(ade_xml *x, const char **at) {
    ade_text    value, version, encoding = {NULL, 0};
    const char *p = *at;
    spaces(&p);
    STEP(declared(x, &p, "version", &version));
    const char *gap = p;
    spaces(&p);
    if (*p == 'e' && p > gap) {
        STEP(declared(x, &p, "encoding", &encoding));
        gap = p;
        spaces(&p);
    }
    if (*p == 's' && p > gap) {
        STEP(declared(x, &p, "standalone", &value));
        if (!(value.size == 3 && !memcmp(value.data, "yes", 3)) && !(value.size == 2 && !memcmp(value.data, "no", 2)))
            return MALFORMED(x, value.data, "standalone is neither \"yes\" nor \"no\"");
        spaces(&p);
    }
    STEP(literal(x, &p, "?>", "the XML declaration is no <?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    STEP(within(x, p));
    STEP(check_version(x, version));
    if (encoding.data) STEP(check_encoding(x, encoding));
    *at = p;
    return DONE;
}

/* *at is behind "<?". */
static outcome instruction(ade_xml *x, const char **at) {
    const char *const target = *at;
    const char       *p = target;
    STEP(name(x, &p, "\"<?\" begins no processing instruction"));
    if (*p == '?') {
        if (p[1] != '>') return unexpected(x, p + 1, "an instruction's name ends with \"?\" without a \">\"");
    } else if (!ade__xml_is_space(*p)) {
        return unexpected(x, p, "this character cannot be in an instruction's name");
    }
    STEP(within(x, p));
    if (equals((ade_text){target, (size_t)(p - target)}, "xml")) {
        if (memcmp(target, "xml", 3)) return MALFORMED(x, target, "an instruction must not be named %.3s", target);
        if (!x->declarable || target != x->token + 2 || !ade__xml_is_space(*p))
            return MALFORMED(x, target, "an XML declaration is not at the start of the file, or says nothing");
        *at = p;
        return declaration(x, at);
    }
    for (;;) {
        p = ade__scan(p, '?', '?', '?', true);
        if (*p != '?') {
            STEP(character(x, &p));
        } else if (p[1] == '>') {
            *at = p + 2;
            return DONE;
        } else {
            p++;
        }
    }
}

/* ---- DOCTYPE ----------------------------------------------------------------------------------------------------- */

/* A quoted string, of any characters or of those of a public identifier. */
static outcome quoted(ade_xml *x, const char **at, bool public_id) {
    const char  quote = **at;
    const char *p = *at;
    if (quote != '"' && quote != '\'') return unexpected(x, p, "a quoted identifier is missing");
    for (p++; *p != quote;) {
        const char c = *p;
        if (public_id && c && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            !strchr(" \r\n-'()+,./:=?;!*#@$_%", c))
            return unexpected(x, p, "a public identifier has a character that it must not have");
        STEP(character(x, &p));
    }
    *at = p + 1;
    return DONE;
}

/* An element, attribute list or notation: only its end is of interest. *at is behind its keyword. */
static outcome declaration_body(ade_xml *x, const char **at) {
    const char *p = *at;
    STEP(space(x, &p, "white space is missing in a declaration"));
    for (;;) {
        if (*p == '"' || *p == '\'') {
            STEP(quoted(x, &p, false));
        } else if (*p == '<' || *p == '%' || *p == '&') {
            return unexpected(x, p, "this character cannot be in a declaration");
        } else if (*p == '>') {
            *at = p + 1;
            return DONE;
        } else {
            STEP(character(x, &p));
        }
    }
}

static outcome entity_declaration(ade_xml *x, const char *from, const char *p) {
    STEP(space(x, &p, "white space is missing in a declaration"));
    if (*p == '%') {
        p++;
        STEP(space(x, &p, "white space is missing in a declaration"));
    }
    const char *const entity = p;
    STEP(name(x, &p, "an entity's name is missing"));
    if (!ade__xml_is_space(*p)) return unexpected(x, p, "white space is missing in a declaration");
    STEP(within(x, p));
    return REFUSED(x, from,
                   "the file declares the entity \"%.*s\"; MEDLINE files do not, and declarations are refused because "
                   "they can make a small file unfold without end",
                   shown(entity, (size_t)(p - entity)), entity);
}

/* *at is behind the '['; it ends behind the ']'. */
static outcome internal_subset(ade_xml *x, const char **at) {
    static const char odd[] = "this is no declaration";
    const char       *p = *at;
    for (;;) {
        spaces(&p);
        const char *const from = p;
        if (*p == ']') {
            *at = p + 1;
            return DONE;
        }
        if (*p == '%') {
            p++;
            STEP(name(x, &p, "\"%\" begins no reference"));
            if (*p != ';') return unexpected(x, p, "a reference lacks its \";\"");
            return undefined_entity(x, from, "parameter entity", from + 1, p);
        }
        STEP(literal(x, &p, "<", "this cannot be in a DOCTYPE"));
        if (*p == '?') {
            p++;
            STEP(instruction(x, &p));
            continue;
        }
        STEP(literal(x, &p, "!", odd));
        if (*p == '-') {
            p++;
            STEP(comment(x, &p));
        } else if (*p == 'E' && p[1] == 'N') {
            STEP(literal(x, &p, "ENTITY", odd));
            return entity_declaration(x, from, p);
        } else {
            STEP(literal(x, &p, *p == 'E' ? "ELEMENT" : *p == 'A' ? "ATTLIST" : "NOTATION", odd));
            STEP(declaration_body(x, &p));
        }
    }
}

/* *at is behind "<!" and at "DOCTYPE" (or an error). */
static outcome doctype(ade_xml *x, const char **at) {
    const char *p = *at;
    STEP(literal(x, &p, "DOCTYPE", "\"<!\" begins neither a comment nor a DOCTYPE"));
    if (x->doctype) return MALFORMED(x, *at, "there are two DOCTYPEs");
    STEP(space(x, &p, "white space is missing in the DOCTYPE"));
    STEP(name(x, &p, "the DOCTYPE names no element"));
    const char *gap = p;
    spaces(&p);
    if (p > gap && (*p == 'S' || *p == 'P')) {
        const bool public_id = *p == 'P';
        STEP(literal(x, &p, public_id ? "PUBLIC" : "SYSTEM", "this cannot be in a DOCTYPE"));
        STEP(space(x, &p, "white space is missing in the DOCTYPE"));
        if (public_id) {
            STEP(quoted(x, &p, true));
            STEP(space(x, &p, "white space is missing in the DOCTYPE"));
        }
        STEP(quoted(x, &p, false));
        spaces(&p);
    }
    if (*p == '[') {
        p++;
        STEP(internal_subset(x, &p));
        spaces(&p);
    }
    STEP(literal(x, &p, ">", "this cannot be in a DOCTYPE"));
    *at = p;
    return DONE;
}

/* ---- Attributes -------------------------------------------------------------------------------------------------- */

/* *at is behind the opening quote; it ends behind the closing one. */
static outcome attribute_value(ade_xml *x, const char **at, char quote, bool *plain) {
    const char *p = *at;
    uint32_t    code;
    for (;;) {
        p = ade__scan(p, quote, '<', '&', false);
        if (*p == quote) break;
        if (*p == '<') return MALFORMED(x, p, "a \"<\" in the value of an attribute; or its closing quote is missing");
        if (*p == '&') {
            *plain = false;
            STEP(reference(x, &p, &code));
        } else {
            if ((unsigned char)*p < 0x80) *plain = false; /* white space other than ' ' */
            STEP(character(x, &p));
        }
    }
    *at = p + 1;
    return DONE;
}

/* *at is behind the element's name; it ends behind the '>'. */
static outcome attributes(ade_xml *x, const char **at, bool *empty) {
    const char *p = *at;
    for (;;) {
        const char *const gap = p;
        spaces(&p);
        if (*p == '>') break;
        if (*p == '/') {
            p++;
            if (*p != '>') return unexpected(x, p, "a \"/\" in a tag without a \">\" behind it");
            *empty = true;
            break;
        }
        if (p == gap) return unexpected(x, p, "this character cannot be in a tag here");
        if (ade__reserve(&x->attributes, &x->attributes_capacity, x->n_attributes + 1, sizeof *x->attributes)) {
            x->failed = ADE_OUT_OF_MEMORY;
            return BAD;
        }
        ade_xml_span *const a = &x->attributes[x->n_attributes];
        const char *const   attribute_name = p;
        STEP(name(x, &p, "this character cannot be in a tag here"));
        a->name = (uint32_t)(attribute_name - x->token);
        a->name_size = (uint32_t)(p - attribute_name);
        if (*p != '=') {
            spaces(&p);
            if (*p != '=') return unexpected(x, p, "an attribute has no \"=\" and no value");
        }
        p++;
        if (ade__xml_is_space(*p)) spaces(&p);
        const char quote = *p;
        if (quote != '"' && quote != '\'') return unexpected(x, p, "an attribute's value has no quotes");
        const char *const value = ++p;
        a->plain = true;
        STEP(attribute_value(x, &p, quote, &a->plain));
        a->value = (uint32_t)(value - x->token);
        a->value_size = (uint32_t)(p - 1 - value);
        x->n_attributes++;
        STEP(within(x, p));
    }
    *at = p + 1;
    return DONE;
}

static outcome check_duplicates(ade_xml *x) {
    const ade_xml_span *const twice = ade__xml_duplicate(x->token, x->attributes, x->n_attributes);
    if (!twice) return DONE;
    return MALFORMED(x, x->token + twice->name, "duplicate attribute %.*s",
                     shown(x->token + twice->name, twice->name_size), x->token + twice->name);
}

/* Makes a checked value what it means, where it stands: it never grows. */
static void resolve(ade_xml *x, ade_xml_span *a) {
    char *const       begin = x->buffer + (x->token + a->value - x->buffer);
    char             *to = begin;
    const char       *p = begin;
    const char *const end = begin + a->value_size;
    uint32_t          code;
    know_event(x);
    settle(x, x->tag_end); /* places are counted from bytes that stay as they are */
    while (p < end) {
        if (*p == '&') {
            if (reference(x, &p, &code)) return; /* cannot be: it was checked */
            to += ade__utf8_encode(code, to);
        } else if (ade__xml_is_space(*p)) {
            p += *p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1;
            *to++ = ' ';
        } else {
            *to++ = *p++;
        }
    }
    a->value_size = (uint32_t)(to - begin);
    a->plain = true;
}

bool ade__xml_attribute(ade_xml *x, const char *wanted, ade_text *value) {
    const size_t size = strlen(wanted);
    for (size_t i = 0; x->in_start && i < x->n_attributes; i++) {
        ade_xml_span *const a = &x->attributes[i];
        if (a->name_size != size || memcmp(x->token + a->name, wanted, size)) continue;
        if (!a->plain) resolve(x, a);
        *value = (ade_text){x->token + a->value, a->value_size};
        return true;
    }
    return false;
}

/* ---- Elements and text ------------------------------------------------------------------------------------------- */

static void tell_text(ade_xml *x, const char *where, const char *text, size_t size) {
    if (!size || !x->telling) return;
    x->event = where;
    x->event_known = false;
    x->handler.text(x->user, (ade_text){text, size});
}

static outcome close_element(ade_xml *x) {
    if (!x->skipped || x->skipped == x->depth) {
        x->skipped = 0;
        x->telling = x->wanted;
        x->handler.end(x->user);
    }
    x->names_size = x->name_at[--x->depth];
    if (!x->depth) x->stage = STAGE_EPILOG;
    return x->failed ? BAD : DONE;
}

static outcome open_element(ade_xml *x, const char *element, size_t size, const char *after, bool empty) {
    STEP(within(x, after));
    if (x->n_attributes > 1) STEP(check_duplicates(x));
    if (x->depth == ADE_XML_DEPTH)
        return REFUSED(x, x->token, "elements are nested more than %d deep, which no file meant to be read has",
                       ADE_XML_DEPTH);
    if (size > ADE_XML_MARKUP - x->names_size)
        return REFUSED(x, x->token, "the names of the open elements are together longer than %zu MiB",
                       ADE_XML_MARKUP >> 20);
    if (x->names_size + size + ADE_SCAN_SLACK > x->names_capacity &&
        ade__reserve(&x->names, &x->names_capacity, x->names_size + size + ADE_SCAN_SLACK, 1)) {
        x->failed = ADE_OUT_OF_MEMORY;
        return BAD;
    }
    if (size <= 16)
        memcpy(x->names + x->names_size, element, 16); /* of a constant size, that is one register's move */
    else
        memcpy(x->names + x->names_size, element, size);
    x->name_at[x->depth++] = (uint32_t)x->names_size;
    x->names_size += size;
    x->stage = STAGE_CONTENT;
    if (!x->skipped) {
        x->event = x->token;
        x->event_known = false;
        x->tag_end = after;
        x->in_start = true;
        x->handler.start(x->user, (ade_text){element, size});
        x->in_start = false;
        if (x->failed) return BAD;
    }
    return empty ? close_element(x) : DONE;
}

/* *at is at a '<' behind which no other markup begins. */
static outcome start_tag(ade_xml *x, const char **at) {
    const char *const element = *at + 1;
    const char       *p = element;
    bool              empty = false;
    STEP(name(x, &p, "\"<\" begins no tag; the character itself is written as &lt;"));
    const size_t size = (size_t)(p - element);
    x->n_attributes = 0;
    if (*p == '>')
        p++;
    else
        STEP(attributes(x, &p, &empty));
    STEP(open_element(x, element, size, p, empty));
    *at = p;
    return DONE;
}

/* *at is at "</". */
static outcome end_tag(ade_xml *x, const char **at) {
    const char *const element = *at + 2;
    const char *const open = x->names + x->name_at[x->depth - 1];
    const size_t      size = x->names_size - x->name_at[x->depth - 1];
    const char       *p = element;
    const bool        same = ade__scan_same(p, p < x->end ? (size_t)(x->end - p) : 0, open, size);
    if (same && p[size] == '>') {
        p += size + 1;
    } else {
        STEP(name(x, &p, "\"</\" begins no end tag"));
        const char *const end = p;
        spaces(&p);
        if (*p != '>') return unexpected(x, p, "this character cannot be in an end tag");
        p++;
        STEP(within(x, p));
        if (!same || (size_t)(end - element) != size)
            return MALFORMED(x, element, "mismatched tag: </%.*s> where </%.*s> is due",
                             shown(element, (size_t)(end - element)), element, shown(open, size), open);
    }
    STEP(within(x, p));
    x->event = x->token;
    x->event_known = false;
    STEP(close_element(x));
    *at = p;
    return DONE;
}

/* A byte in text that is, or may be, more than itself. *run is where what is not yet told begins. */
static outcome odd_text(ade_xml *x, const char **run, const char **at) {
    const char *p = *at;
    const char  c = *p;
    uint32_t    code;
    x->token = p;
    if ((unsigned char)c >= 0x80) {
        const int size = ade__utf8_sequence(p, x->end, &code);
        if (size > 0 && ade__xml_is_char(code) && !x->ascii) {
            *at = p + size;
            return DONE;
        }
    } else if (c == '\t' || (x->cdata && (c == '<' || c == '&')) ||
               (c == ']' && ((p + 1 < x->end && p[1] != ']') || (p + 2 < x->end && p[2] != '>')))) {
        *at = p + 1;
        return DONE;
    }
    tell_text(x, *run, *run, (size_t)(p - *run));
    *run = p;
    if (x->failed) return BAD;
    if (c == '&') {
        char resolved[4];
        STEP(reference(x, &p, &code));
        tell_text(x, *run, resolved, ade__utf8_encode(code, resolved));
    } else if (c == '\r') {
        if (p + 1 == x->end) return MORE; /* an LF may follow */
        p++;
        if (*p != '\n') tell_text(x, *run, "\n", 1);
    } else if (c == ']') {
        if (p + 2 >= x->end) return MORE;
        if (!x->cdata) return MALFORMED(x, p, "\"]]>\" in text; it is written as ]]&gt;");
        x->cdata = false;
        p += 3;
    } else {
        return unexpected(x, p, "");
    }
    if (x->failed) return BAD;
    *run = *at = p;
    return DONE;
}

/* The root element's content, from x->at to behind its end tag. */
static outcome content(ade_xml *x) {
    const char *p = x->at;
    outcome     got = DONE;
    do {
        const char *run = p;
        for (;;) {
            p = ade__scan(p, '<', '&', ']', true);
            if (*p == '<' && !x->cdata) break;
            got = odd_text(x, &run, &p);
            if (got) {
                x->at = p;
                return got;
            }
        }
        tell_text(x, run, run, (size_t)(p - run));
        x->at = x->token = p;
        if (x->failed) return BAD;
        if (p[1] == '/') {
            got = end_tag(x, &p);
        } else if (p[1] == '!') {
            const char *q = p + 3;
            if (p[2] == '-') {
                got = comment(x, &q);
                if (!got) got = within(x, q);
            } else {
                q = p + 2;
                got = literal(x, &q, "[CDATA[", "\"<!\" begins neither a comment nor a CDATA section");
                x->cdata = got == DONE;
            }
            if (!got) p = q;
        } else if (p[1] == '?') {
            const char *q = p + 2;
            got = instruction(x, &q);
            if (!got) got = within(x, q);
            if (!got) p = q;
        } else {
            got = start_tag(x, &p);
        }
    } while (!got && x->stage == STAGE_CONTENT);
    if (!got) x->at = p;
    return got;
}

/* ---- The document ------------------------------------------------------------------------------------------------ */

/* What stands outside the root element; ends with its start tag. */
static outcome misc(ade_xml *x, bool final) {
    for (;;) {
        const char *p = x->at;
        spaces(&p);
        if (p > x->at) x->declarable = false;
        if (p == x->end && p > x->at && p[-1] == '\r' && !final) { /* the LF that may follow belongs to it */
            x->at = p - 1;
            return MORE;
        }
        x->at = x->token = p;
        if (*p != '<')
            return unexpected(
                x, p, x->stage == STAGE_EPILOG ? "junk after document element" : "text before the root element");
        if (p[1] == '?') {
            p += 2;
            STEP(instruction(x, &p));
        } else if (p[1] == '!' && p[2] == '-') {
            p += 3;
            STEP(comment(x, &p));
        } else if (x->stage == STAGE_EPILOG) {
            if (p + 1 == x->end || (p[1] == '!' && p + 2 == x->end)) return MORE;
            return MALFORMED(x, p, "junk after document element");
        } else if (p[1] == '!') {
            p += 2;
            STEP(doctype(x, &p));
            x->doctype = true;
        } else {
            STEP(start_tag(x, &p));
            x->declarable = false;
            x->at = p;
            return DONE;
        }
        STEP(within(x, p));
        x->declarable = false;
        x->at = p;
    }
}

/* The byte-order mark, or the marks of another encoding. */
static outcome begin(ade_xml *x, bool final) {
    static const struct {
        uint8_t     size;
        char        bytes[5];
        const char *encoding;
    } marks[] = {{4, "\xFF\xFE\0\0", "UTF-32"}, {4, "\0\0\xFE\xFF", "UTF-32"}, {4, "<\0\0\0", "UTF-32LE"},
                 {4, "\0\0\0<", "UTF-32BE"},    {2, "\xFF\xFE", "UTF-16"},     {2, "\xFE\xFF", "UTF-16"},
                 {2, "<\0", "UTF-16LE"},        {2, "\0<", "UTF-16BE"},        {3, "\xEF\xBB\xBF", NULL}};
    const size_t here = (size_t)(x->end - x->at);
    x->token = x->at;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const size_t size = marks[i].size;
        if (memcmp(x->at, marks[i].bytes, here < size ? here : size)) continue;
        if (here < size) {
            if (final) continue;
            return MORE;
        }
        if (marks[i].encoding)
            return REFUSED(x, x->at,
                           "the file is in %s, and only UTF-8 is read; convert it with iconv -f %s -t UTF-8, "
                           "and let its first line declare UTF-8",
                           marks[i].encoding, marks[i].encoding);
        x->mark = x->at += size; /* no column counts it */
        break;
    }
    x->declarable = true;
    x->stage = STAGE_PROLOG;
    return DONE;
}

static ade_status ends_early(ade_xml *x) {
    if (!x->fed) {
        x->failed = ade__fail(ADE_BAD_INPUT, "%s is empty", x->file);
    } else {
        x->token = x->end;
        (void)REFUSED(x, x->end, "%s: it is truncated",
                      x->stage == STAGE_EPILOG ? "the file ends within what follows its root element"
                                               : "the file ends before its root element is closed");
    }
    return x->failed;
}

/* ---- Use --------------------------------------------------------------------------------------------------------- */

ade_status ade__xml_open(const char *file, const ade_xml_handler *handler, void *user, ade_xml **out) {
    ade_xml *x = ade__calloc(1, sizeof *x);
    if (!x) return ADE_OUT_OF_MEMORY;
    x->handler = *handler;
    x->user = user;
    x->line = x->column = 1;
    x->wanted = x->telling = true;
    x->file = ade__strdup(file);
    if (!x->file) {
        ade__xml_close(x);
        return ADE_OUT_OF_MEMORY;
    }
    *out = x;
    return ADE_OK;
}

void ade__xml_close(ade_xml *x) {
    if (!x) return;
    ade__free(x->file);
    ade__free(x->buffer);
    ade__free(x->names);
    ade__free(x->attributes);
    ade__free(x);
}

void ade__xml_skip(ade_xml *x) {
    if (!x->in_start) return;
    x->skipped = x->depth;
    x->telling = false;
}

void ade__xml_want_text(ade_xml *x, bool wanted) {
    x->wanted = wanted;
    x->telling = wanted && !x->skipped;
}

void ade__xml_stop(ade_xml *x, ade_status status) {
    if (!x->failed) x->failed = status;
}

/* Finding a place moves the mark, which nobody sees; hence the cast. */
void ade__xml_place(const ade_xml *xml, uint64_t *line, uint64_t *column) {
    ade_xml *x = (ade_xml *)xml;
    know_event(x);
    *line = x->event_line;
    *column = x->event_column;
}

void *ade__xml_buffer(ade_xml *x, size_t capacity) {
    const size_t used = x->buffer ? (size_t)(x->end - x->buffer) : 0, rest = x->buffer ? (size_t)(x->end - x->at) : 0;
    if (capacity > SIZE_MAX / 4) goto failed; /* rest is far smaller */
    if (!x->buffer || capacity + ADE_SCAN_SLACK > x->capacity - used) {
        if (x->buffer) {
            settle(x, x->at);
            memmove(x->buffer, x->at, rest);
        }
        const size_t need = rest + capacity + ADE_SCAN_SLACK;
        const bool   grown = !ade__reserve(&x->buffer, &x->capacity, need, 1);
        x->at = x->mark = x->buffer;
        x->end = x->buffer ? x->buffer + rest : NULL;
        if (!grown) goto failed;
    }
    return x->buffer + (x->end - x->buffer);
failed:
    (void)ade__fail(ADE_OUT_OF_MEMORY, "out of memory: no room for the next %zu bytes of %s", capacity, x->file);
    return NULL;
}

ade_status ade__xml_parse(ade_xml *x, size_t size, bool final) {
    outcome got = DONE;
    if (x->failed) return x->failed;
    if (!x->buffer && !ade__xml_buffer(x, 1)) return x->failed = ADE_OUT_OF_MEMORY;
    x->end += size;
    x->fed = x->fed || size;
    memset(x->buffer + (x->end - x->buffer), 0, ADE_SCAN_SLACK);
    if (!final && (size_t)(x->end - x->at) < x->retry) return ADE_OK;
    while (!got) {
        switch (x->stage) {
        case STAGE_BEGIN: got = begin(x, final); break;
        case STAGE_CONTENT: got = content(x); break;
        default: got = misc(x, final); break;
        }
    }
    if (got == BAD) return x->failed;
    const size_t rest = (size_t)(x->end - x->at);
    x->token = x->at;
    if (rest > ADE_XML_MARKUP) {
        (void)too_long(x);
        return x->failed;
    }
    if (final && (rest || x->stage != STAGE_EPILOG)) return ends_early(x);
    x->retry = rest > PATIENCE ? rest + rest / 2 : 0;
    if (x->retry > ADE_XML_MARKUP) x->retry = ADE_XML_MARKUP + 1;
    return ADE_OK;
}
