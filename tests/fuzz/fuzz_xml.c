/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as XML: the same events and the same fault at the same place however the file is cut; and the verdict, the
 * events and their places are those of expat.
 *
 * Where the two may differ (agreed() holds each of these to its case):
 * - only ours refuses: encodings other than UTF-8; versions other than 1.x; undefined entities in a document with a
 *   DOCTYPE, which expat drops from attributes without a word; elements nested more than 1000 deep;
 * - only expat refuses: the encoding names UTF8 and ASCII; names with characters that came with the fifth edition of
 *   XML 1.0; faults within declarations of elements, attribute lists and notations, which ours passes over;
 * - ours does not apply what an ATTLIST says;
 * - a byte-order mark is a column, or three, to expat alone, which is therefore given the file without it. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include "xml.h"

#include <expat.h>

static const char *const asked[] = {"Version", "Label", "NlmCategory", "a", "b", "xml:lang", "\xc3\xa9"};

/* All events as bytes: S name, A number value, line and column; E; T text, joined. */
typedef struct events {
    char  *data;
    size_t size, capacity;
    bool   in_text;

    bool       picky; /* skips some elements, and wants the text of some only */
    ade_xml   *xml;
    XML_Parser expat;
    bool       refused; /* by expat's handlers */
    size_t     depth, skipped;
    bool       wanted;
} events;

static void put(events *e, const void *data, size_t size) {
    if (e->size + size > e->capacity) {
        e->capacity = 2 * (e->size + size) + 256;
        e->data = realloc(e->data, e->capacity);
        if (!e->data) abort();
    }
    if (size) memcpy(e->data + e->size, data, size);
    e->size += size;
}

static void put_kind(events *e, char kind) {
    e->in_text = false;
    put(e, &kind, 1);
}

static void put_text(events *e, const char *text, size_t size) {
    if (!e->in_text) put_kind(e, 'T');
    e->in_text = true;
    put(e, text, size);
}

static void put_start(events *e, const char *name, size_t size) {
    put_kind(e, 'S');
    put(e, name, size);
    put(e, "", 1);
}

static void put_attribute(events *e, size_t number, const char *value, size_t size) {
    const char kind[2] = {'A', (char)('0' + number)};
    put(e, kind, 2);
    put(e, value, size);
    put(e, "", 1);
}

static void put_place(events *e, uint64_t line, uint64_t column) {
    put(e, &line, sizeof line);
    put(e, &column, sizeof column);
}

static bool picks_skip(const events *e, const char *name, size_t size) { return e->picky && (name[0] + size) % 5 == 0; }
static bool picks_text(const events *e, const char *name, size_t size) { return !e->picky || name[size - 1] % 2; }

/* ---- Ours -------------------------------------------------------------------------------------------------------- */

static void check_text(ade_text text) {
    size_t invalid;
    for (size_t i = 0; i < text.size;) {
        const size_t n = fuzz_sequence((const uint8_t *)text.data + i, text.size - i, &invalid);
        HOLDS(n > 0);
        i += n;
    }
}

static void on_start(void *user, ade_text name) {
    events  *e = user;
    uint64_t line, column, again_line, again_column;
    ade_text value, again;
    HOLDS(name.size > 0);
    check_text(name);
    put_start(e, name.data, name.size);
    if (name.size % 2) ade__xml_place(e->xml, &line, &column);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        if (!ade__xml_attribute(e->xml, asked[i], &value)) continue;
        check_text(value);
        put_attribute(e, i, value.data, value.size);
        HOLDS(ade__xml_attribute(e->xml, asked[i], &again) && again.data == value.data && again.size == value.size);
    }
    if (name.size % 2 == 0) ade__xml_place(e->xml, &line, &column);
    ade__xml_place(e->xml, &again_line, &again_column);
    HOLDS(line == again_line && column == again_column);
    put_place(e, line, column);
    if (picks_skip(e, name.data, name.size)) ade__xml_skip(e->xml);
    ade__xml_want_text(e->xml, picks_text(e, name.data, name.size));
}

static void on_end(void *user) { put_kind(user, 'E'); }

static void on_text(void *user, ade_text text) {
    HOLDS(text.size > 0);
    put_text(user, text.data, text.size);
}

/* Parses in pieces of `most` bytes, or of random sizes up to `most` where there is a seed. */
static ade_status parse(const uint8_t *data, size_t size, size_t most, uint64_t seed, bool picky, events *e) {
    static const ade_xml_handler handler = {on_start, on_end, on_text};
    ade_status                   status = ADE_OK;
    e->picky = picky;
    HOLDS(ade__xml_open("input", &handler, e, &e->xml) == ADE_OK);
    for (size_t at = 0; status == ADE_OK && at < size;) {
        size_t n = most;
        if (seed) n = 1 + (size_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33) % most;
        if (n > size - at) n = size - at;
        void *buffer = ade__xml_buffer(e->xml, n);
        HOLDS(buffer);
        memcpy(buffer, data + at, n);
        at += n;
        status = ade__xml_parse(e->xml, n, at == size && n % 2); /* the end is told with bytes or without */
        if (at == size && n % 2) goto told;
    }
    if (status == ADE_OK) status = ade__xml_parse(e->xml, 0, true);
told:
    if (status != ADE_OK) {
        FAILED_WELL(status);
        HOLDS(strstr(ade_last_error(), "input"));
        HOLDS(ade__xml_parse(e->xml, 0, true) == status);
    }
    ade__xml_close(e->xml);
    return status;
}

/* ---- Expat ------------------------------------------------------------------------------------------------------- */

static void XMLCALL on_expat_start(void *user, const char *name, const char **attributes) {
    events *e = user;
    e->depth++;
    if (e->skipped) return;
    put_start(e, name, strlen(name));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        for (const char **a = attributes; *a; a += 2)
            if (!strcmp(*a, asked[i])) put_attribute(e, i, a[1], strlen(a[1]));
    put_place(e, XML_GetCurrentLineNumber(e->expat), XML_GetCurrentColumnNumber(e->expat) + 1);
    if (picks_skip(e, name, strlen(name))) e->skipped = e->depth;
    e->wanted = picks_text(e, name, strlen(name));
}

static void XMLCALL on_expat_end(void *user, const char *name) {
    events *e = user;
    (void)name;
    if (e->skipped == e->depth) e->skipped = 0;
    e->depth--;
    if (!e->skipped) put_kind(e, 'E');
}

static void XMLCALL on_expat_text(void *user, const char *text, int size) {
    events *e = user;
    if (!e->skipped && e->wanted) put_text(e, text, (size_t)size);
}

static void refuse(events *e) {
    e->refused = true;
    XML_StopParser(e->expat, XML_FALSE);
}

static void XMLCALL on_expat_skipped(void *user, const char *name, int is_parameter) {
    (void)name, (void)is_parameter;
    refuse(user);
}

static void XMLCALL on_expat_entity(void *user, const char *name, int is_parameter, const char *value, int size,
                                    const char *base, const char *system_id, const char *public_id,
                                    const char *notation) {
    (void)name, (void)is_parameter, (void)value, (void)size, (void)base, (void)system_id, (void)public_id;
    (void)notation;
    refuse(user);
}

/* Whether expat takes it; *code and *at say why not. */
static bool parse_by_expat(const uint8_t *data, size_t size, bool picky, events *e, enum XML_Error *code, size_t *at) {
    e->expat = XML_ParserCreate(NULL);
    e->picky = picky;
    if (!e->expat) abort();
    XML_SetUserData(e->expat, e);
    XML_SetElementHandler(e->expat, on_expat_start, on_expat_end);
    XML_SetCharacterDataHandler(e->expat, on_expat_text);
    XML_SetSkippedEntityHandler(e->expat, on_expat_skipped);
    XML_SetEntityDeclHandler(e->expat, on_expat_entity);
    XML_SetParamEntityParsing(e->expat, XML_PARAM_ENTITY_PARSING_NEVER);
    const bool fine = XML_Parse(e->expat, (const char *)data, (int)size, 1) == XML_STATUS_OK && !e->refused;
    *code = XML_GetErrorCode(e->expat);
    *at = (size_t)XML_GetCurrentByteIndex(e->expat);
    XML_ParserFree(e->expat);
    return fine;
}

static bool holds(const uint8_t *data, size_t size, const char *text) {
    return memmem(data, size, text, strlen(text)) != NULL;
}

static void agreed(const uint8_t *data, size_t size, bool picky, bool ours, const events *mine) {
    events         theirs = {0};
    enum XML_Error code;
    size_t         at;
    if (size >= 5 && !memcmp(data, "\xef\xbb\xbf", 3) && data[3] && data[3] < 0x80 && data[4] && data[4] < 0x80)
        data += 3, size -= 3;
    const bool  fine = parse_by_expat(data, size, picky, &theirs, &code, &at);
    const char *why = ade_last_error();
    if (fine && !ours) {
        HOLDS(strstr(why, "only UTF-8 is read") || strstr(why, "is no version of XML 1") ||
              (strstr(why, ": the entity \"") && holds(data, size, "<!DOCTYPE")) || strstr(why, "nested more than"));
    } else if (ours && !fine) {
        HOLDS(code == XML_ERROR_UNKNOWN_ENCODING ||
              (code == XML_ERROR_INVALID_TOKEN && at < size && data[at] >= 0x80) || holds(data, size, "<!ELEMENT") ||
              holds(data, size, "<!ATTLIST") || holds(data, size, "<!NOTATION"));
    } else if (ours && !holds(data, size, "<!ATTLIST")) {
        HOLDS(mine->size == theirs.size && (!mine->size || !memcmp(mine->data, theirs.data, mine->size)));
    }
    free(theirs.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t seed = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) seed = (seed ^ data[i]) * 0x100000001b3u;
    const struct {
        size_t   most;
        uint64_t seed;
    } cuts[] = {{1, 0}, {40, seed | 1}, {3000, seed >> 1 | 1}};
    for (int picky = 0; picky < 2; picky++) {
        char             fault[2048];
        events           whole = {0};
        const ade_status status = parse(data, size, size ? size : 1, 0, picky, &whole);
        snprintf(fault, sizeof fault, "%s", status ? ade_last_error() : "");
        agreed(data, size, picky, status == ADE_OK, &whole);
        for (size_t i = (size_t)picky; i < sizeof cuts / sizeof *cuts; i++) {
            events pieces = {0};
            HOLDS(parse(data, size, cuts[i].most, cuts[i].seed, picky, &pieces) == status);
            HOLDS(!status || !strcmp(fault, ade_last_error()));
            HOLDS(pieces.size == whole.size && (!whole.size || !memcmp(pieces.data, whole.data, whole.size)));
            free(pieces.data);
        }
        free(whole.data);
    }
    return 0;
}
