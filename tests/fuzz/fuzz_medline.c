/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as MEDLINE XML: the same records and the same end whatever the size of the pieces. */
#include "fuzz.h"

#include "medline.h"

typedef struct seen {
    uint64_t hash;
    size_t   records;
} seen;

static void mix(seen *s, const void *data, size_t size) {
    for (size_t i = 0; i < size; i++) s->hash = (s->hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    s->hash = (s->hash ^ size) * 0x100000001b3u;
}

static void mix_text(seen *s, ade_text text) {
    size_t invalid;
    for (size_t i = 0; i < text.size;) { /* XML is checked text */
        size_t n = fuzz_sequence((const uint8_t *)text.data + i, text.size - i, &invalid);
        HOLDS(n > 0);
        i += n;
    }
    mix(s, text.data, text.size);
}

static void mix_list(seen *s, ade_text_list list) {
    mix(s, &list.n, sizeof list.n);
    for (size_t i = 0; i < list.n; i++) {
        HOLDS(list.items[i].size > 0);
        mix_text(s, list.items[i]);
    }
}

/* A right date, or the right part of one. */
static void mix_date(seen *s, ade_text date) {
    HOLDS(date.size == 0 || date.size == 4 || date.size == 7 || date.size == 10);
    for (size_t i = 0; i < date.size; i++)
        HOLDS(i == 4 || i == 7 ? date.data[i] == '-' : date.data[i] >= '0' && date.data[i] <= '9');
    mix_text(s, date);
}

static ade_status take(void *user, const ade_record *record) {
    seen *s = user;
    s->records++;
    mix(s, &record->pmid, sizeof record->pmid);
    mix(s, &record->version, sizeof record->version);
    const int flags = record->deleted | record->book << 1 | record->has_article << 2 | record->has_abstract << 3 |
                      record->retracted << 4 | record->mesh_adverse_effects << 5 | record->mesh_chemically_induced << 6;
    mix(s, &flags, sizeof flags);
    if (record->deleted) return ADE_OK;
    mix_text(s, record->title);
    for (size_t i = 0; i < record->n_sections; i++) {
        mix_text(s, record->sections[i].label);
        mix_text(s, record->sections[i].category);
        mix_text(s, record->sections[i].text);
        HOLDS(record->sections[i].other == (record->sections[i].language.data != NULL));
        HOLDS(i == 0 || record->sections[i].other >= record->sections[i - 1].other);
        mix_text(s, record->sections[i].language);
        mix_text(s, record->sections[i].type);
    }
    mix_date(s, record->date);
    mix_date(s, record->date_revised);
    mix_text(s, record->journal);
    mix_text(s, record->doi);
    mix_list(s, record->languages);
    mix_list(s, record->publication_types);
    mix_list(s, record->chemicals);
    mix_list(s, record->mesh);
    return ADE_OK;
}

static ade_status parse(const uint8_t *data, size_t size, size_t piece, seen *s) {
    ade_medline *medline = NULL;
    ade_status   status = ADE_OK;
    HOLDS(ade__medline_open("input", take, s, &medline) == ADE_OK);
    for (size_t at = 0; status == ADE_OK && at < size;) {
        size_t n = size - at < piece ? size - at : piece;
        void  *buffer = ade__medline_buffer(medline, n);
        HOLDS(buffer);
        memcpy(buffer, data + at, n);
        at += n;
        status = ade__medline_parse(medline, n, false);
    }
    if (status == ADE_OK) {
        HOLDS(ade__medline_buffer(medline, 1));
        status = ade__medline_parse(medline, 0, true);
    }
    if (status != ADE_OK) FAILED_WELL(status);
    ade__medline_close(medline);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t pieces[] = {1, 7, 4096};
    seen                whole = {0xcbf29ce484222325u, 0};
    ade_status          status = parse(data, size, size ? size : 1, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        seen part = {0xcbf29ce484222325u, 0};
        HOLDS(parse(data, size, pieces[i], &part) == status);
        HOLDS(part.records == whole.records && part.hash == whole.hash);
    }
    return 0;
}
