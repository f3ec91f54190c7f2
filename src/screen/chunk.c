/* SPDX-License-Identifier: Apache-2.0
 * Records into chunks: texts, sentences, and what the model gets of them. */
#include "chunk.h"

#include "alloc.h"
#include "copies.h"
#include "sentences.h"
#include "status.h"

#include <string.h>

#define SENTENCES_LIMIT 65536 /* of a record; real ones stay below 300 */
#define FULL_SENTENCES 2048
#define FULL_BYTES ((size_t)512 * 1024)
#define FULL_RECORDS 4096                /* records without texts fill chunks, too */
#define KEPT_BYTES (4 * FULL_BYTES)      /* a chunk that one huge record swelled beyond this is given back to the system */
#define KEPT_ITEMS ((size_t)32 * 1024)

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same_ignoring_case(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

static bool has_alnum(const char *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
        /* Beyond ASCII everything but signs: U+0080..BF, x and /, U+2000..2BFF, 3000..303F, emoji, special forms. */
        const unsigned char next = i + 1 < size ? (unsigned char)p[i + 1] : 0;
        switch (c) {
        case 0xc2:
            if (next == 0xb5 || next == 0xaa || next == 0xba) return true;
            break;
        case 0xc3:
            if (next != 0x97 && next != 0xb7) return true;
            break;
        case 0xe2:
            if (next >= 0xb0) return true;
            break;
        case 0xe3:
            if (next != 0x80) return true;
            break;
        case 0xef:
            if (next != 0xb8 && next != 0xb9 && next != 0xbb && next != 0xbf) return true;
            break;
        case 0xf0:
            if (next != 0x9f) return true;
            break;
        default:
            if (c > 0xc3) return true;
        }
    }
    return false;
}

/* The label as the model gets it: without a colon of its own; size 0 when there is nothing to join. Not joined: labels
 * that say that there is none, and a label with which the text itself begins ("RESULTS - We", "Results: We"). */
static ade_text label_for_model(ade_text label, ade_text text) {
    static const char *const none[] = {"UNLABELLED", "UNLABELED", "UNASSIGNED"};
    while (label.size && strchr(": .", label.data[label.size - 1])) label.size--;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (label.size == strlen(none[i]) && same_ignoring_case(label.data, none[i], label.size)) label.size = 0;
    if (label.size && text.size > label.size && same_ignoring_case(label.data, text.data, label.size)) {
        size_t next = label.size;
        while (next < text.size && text.data[next] == ' ') next++;
        if (next < text.size &&
            (strchr(":.-", text.data[next]) || (text.size - next >= 3 && !memcmp(text.data + next, "\xe2\x80", 2) &&
                                                (text.data[next + 2] == '\x93' || text.data[next + 2] == '\x94'))))
            label.size = 0;
    }
    return label;
}

static uint32_t count_chars(const char *p, size_t size) {
    uint32_t n = 0;
    for (size_t i = 0; i < size; i++) n += ((unsigned char)p[i] & 0xc0) != 0x80;
    return n;
}

/* "RESULTS: " and the sentence, as one text. */
static ade_status join(ade_chunk *chunk, ade_text label, const char *sentence, size_t size, ade_text *out) {
    char *text = ade__arena_get(&chunk->text, label.size + 2 + size, 1);
    if (!text) return ADE_OUT_OF_MEMORY;
    memcpy(text, label.data, label.size);
    memcpy(text + label.size, ": ", 2);
    memcpy(text + label.size + 2, sentence, size);
    *out = (ade_text){text, label.size + 2 + size};
    return ADE_OK;
}

static ade_status add_sentences(ade_chunk *chunk, ade_text text, ade_text joined, const ade_sentences *found) {
    uint32_t chars = 0, counted = 0; /* code points before byte `counted` */
    if (ade__reserve(&chunk->sentences, &chunk->sentences_capacity, chunk->n_sentences + found->n,
                     sizeof *chunk->sentences))
        return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < found->n; i++) {
        const ade_span     span = found->spans[i];
        const size_t       size = span.end - span.start;
        const char        *begin = text.data + span.start;
        ade_chunk_sentence s = {.start = span.start, .end = span.end, .model = {begin, 0}, .slot = ADE_NO_SLOT};
        chars += count_chars(text.data + counted, span.start - counted);
        s.start_char = chars;
        chars += count_chars(begin, size);
        s.end_char = chars;
        counted = span.end;
        if (has_alnum(begin, size)) {
            s.model.size = size;
            if (joined.size) ADE_TRY(join(chunk, joined, begin, size, &s.model));
            joined.size = 0; /* the section's first sentence only */
        }
        chunk->sentences[chunk->n_sentences++] = s;
    }
    return ADE_OK;
}

static ade_status add_part(ade_chunk *chunk, int32_t kind, int32_t section_index, ade_text label, ade_text text,
                           const ade_chunk_rules *rules, ade_sentences *sentences) {
    ade_chunk_record *record = &chunk->records[chunk->n_records - 1];
    ade_chunk_part    part = {.part = kind, .section_index = section_index, .label = label, .text = text};
    if (!text.size) return ADE_OK;
    ADE_TRY(ade__sentences_split(text, sentences));
    ADE_TRY(ade__copy_text(&chunk->text, &part.label));
    ADE_TRY(ade__copy_text(&chunk->text, &part.text));
    if (record->n_sentences + sentences->n > SENTENCES_LIMIT)
        return ade__fail(ADE_BAD_INPUT,
                         "the record with PMID %lld has more than %d sentences, which no citation has; the file is damaged",
                         (long long)record->shown.pmid, SENTENCES_LIMIT);
    part.first_sentence = (uint32_t)chunk->n_sentences;
    part.n_sentences = (uint32_t)sentences->n;
    if (ade__reserve(&chunk->parts, &chunk->parts_capacity, chunk->n_parts + 1, sizeof *chunk->parts))
        return ADE_OUT_OF_MEMORY;
    const ade_text joined = rules->section_labels && label.data ? label_for_model(label, text) : (ade_text){NULL, 0};
    ADE_TRY(add_sentences(chunk, part.text, joined, sentences));
    chunk->parts[chunk->n_parts++] = part;
    record->n_parts++;
    record->n_sentences += part.n_sentences;
    return ADE_OK;
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static bool is_wanted(const ade_record_section *section, int other_abstracts) {
    if (!section->other) return true;
    return other_abstracts == ADE_OTHER_ABSTRACTS_ALL ||
           (other_abstracts == ADE_OTHER_ABSTRACTS_ENGLISH && section->language.size == 3 &&
            same_ignoring_case(section->language.data, "eng", 3));
}

static ade_status begin_record(ade_chunk *chunk, const ade_record *record) {
    if (ade__reserve(&chunk->records, &chunk->records_capacity, chunk->n_records + 1, sizeof *chunk->records))
        return ADE_OUT_OF_MEMORY;
    ade_chunk_record *r = &chunk->records[chunk->n_records++];
    *r = (ade_chunk_record){.deleted = record->deleted,
                            .first_part = (uint32_t)chunk->n_parts,
                            .first_sentence = (uint32_t)chunk->n_sentences};
    r->shown = (ade_screen_record){.struct_size = sizeof r->shown,
                                   .pmid = record->pmid,
                                   .version = record->version,
                                   .book = record->book,
                                   .retracted = record->retracted,
                                   .mesh_adverse_effects = record->mesh_adverse_effects,
                                   .mesh_chemically_induced = record->mesh_chemically_induced};
    return ADE_OK;
}

ade_status ade__chunk_add_deleted(ade_chunk *chunk, const ade_record *record) { return begin_record(chunk, record); }

static ade_status add(ade_chunk *chunk, const ade_record *record, const ade_chunk_rules *rules,
                      ade_sentences *sentences) {
    ade_chunk_record  *r = &chunk->records[chunk->n_records - 1];
    ade_screen_record *shown = &r->shown;
    shown->title = record->title;
    shown->date = record->date;
    shown->date_revised = record->date_revised;
    shown->journal = record->journal;
    shown->doi = record->doi;
    shown->languages = record->languages;
    shown->publication_types = record->publication_types;
    shown->mesh = record->mesh;
    shown->chemicals = record->chemicals;
    ADE_TRY(ade__copy_record(&chunk->text, shown));
    r->hash = ade__record_hash(record, rules->other_abstracts);
    r->without_abstract = true;
    ADE_TRY(add_part(chunk, ADE_PART_TITLE, 0, (ade_text){NULL, 0}, record->title, rules, sentences));
    for (size_t i = 0; i < record->n_sections; i++) {
        const ade_record_section *section = &record->sections[i];
        if (!section->other && section->text.size) r->without_abstract = false;
        if (!is_wanted(section, rules->other_abstracts)) continue;
        ADE_TRY(add_part(chunk, section->other ? ADE_PART_OTHER_ABSTRACT : ADE_PART_ABSTRACT, (int32_t)i,
                         section->label, section->text, rules, sentences));
    }
    r->without_text = r->n_parts == 0;
    shown->n_sentences = r->n_sentences;
    return ADE_OK;
}

ade_status ade__chunk_add(ade_chunk *chunk, const ade_record *record, const ade_chunk_rules *rules,
                          struct ade_sentences *sentences) {
    const size_t parts = chunk->n_parts, n_sentences = chunk->n_sentences;
    ADE_TRY(begin_record(chunk, record));
    ade_status status = add(chunk, record, rules, sentences);
    if (status) { /* no half record */
        chunk->n_records--;
        chunk->n_parts = parts;
        chunk->n_sentences = n_sentences;
    }
    return status;
}

/* ---- Chunks ------------------------------------------------------------------------------------------------------ */

bool ade__chunk_is_full(const ade_chunk *chunk) {
    return chunk->n_sentences >= FULL_SENTENCES || chunk->text.size >= FULL_BYTES || chunk->n_records >= FULL_RECORDS;
}

size_t ade__chunk_memory(const ade_chunk *chunk) {
    return chunk->text.size + chunk->records_capacity * sizeof *chunk->records +
           chunk->parts_capacity * sizeof *chunk->parts + chunk->sentences_capacity * sizeof *chunk->sentences;
}

static void clear_items(void *items, size_t *n, size_t *capacity) {
    *n = 0;
    if (*capacity <= KEPT_ITEMS) return;
    void **pointer = items;
    ade__free(*pointer);
    *pointer = NULL;
    *capacity = 0;
}

void ade__chunk_clear(ade_chunk *chunk) {
    clear_items(&chunk->records, &chunk->n_records, &chunk->records_capacity);
    clear_items(&chunk->parts, &chunk->n_parts, &chunk->parts_capacity);
    clear_items(&chunk->sentences, &chunk->n_sentences, &chunk->sentences_capacity);
    ade__arena_clear(&chunk->text, KEPT_BYTES);
    chunk->next = NULL;
    chunk->first = chunk->last = chunk->cut = chunk->md5_checked = false;
    chunk->md5[0] = '\0';
    chunk->fault = ADE_OK;
    chunk->bytes_read = chunk->bytes_xml = 0;
}

void ade__chunk_free(ade_chunk *chunk) {
    ade__free(chunk->records);
    ade__free(chunk->parts);
    ade__free(chunk->sentences);
    ade__arena_free(&chunk->text);
}

/* ---- The hash ---------------------------------------------------------------------------------------------------- */

static uint64_t add_word(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

/* The length goes first, so that moving a byte from one text to the next changes the hash. Words are read little-endian
 * on every machine, because stores keep the hash. */
static uint64_t add_text(uint64_t hash, ade_text text) {
    const unsigned char *p = (const unsigned char *)text.data;
    hash = add_word(hash, text.size);
    for (size_t left = text.size; left;) {
        const size_t n = left < 8 ? left : 8;
        uint64_t     word = 0;
        memcpy(&word, p, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        hash = add_word(hash, word);
        p += n;
        left -= n;
    }
    return hash;
}

uint64_t ade__record_hash(const ade_record *record, int other_abstracts) {
    uint64_t hash = add_text(0x243f6a8885a308d3u, record->title);
    for (size_t i = 0; i < record->n_sections; i++) {
        const ade_record_section *section = &record->sections[i];
        if (!is_wanted(section, other_abstracts)) continue;
        hash = add_word(hash, (uint64_t)i << 1 | section->other); /* where the text is: rows say it */
        hash = add_text(add_text(hash, section->label), section->text);
    }
    return hash;
}
