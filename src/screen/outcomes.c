/* SPDX-License-Identifier: Apache-2.0 */
#include "outcomes.h"

#include "alloc.h"
#include "copies.h"
#include "status.h"

#include <string.h>

typedef enum entry_kind { ENTRY_RECORD, ENTRY_HIT, ENTRY_PART, ENTRY_UNCHANGED, ENTRY_DELETED } entry_kind;

struct ade_outcome_entry {
    entry_kind  kind;
    int32_t     version; /* DELETED */
    int64_t     pmid;    /* DELETED */
    const void *what;    /* of the type that the kind's function takes */
    const char *label;   /* HIT; lives longer than the run */
};

static ade_status add(ade_outcomes *o, struct ade_outcome_entry entry) {
    if (ade__reserve(&o->entries, &o->capacity, o->n + 1, sizeof *o->entries)) return ADE_OUT_OF_MEMORY;
    o->entries[o->n++] = entry;
    return ADE_OK;
}

static void *copy_struct(ade_outcomes *o, const void *from, size_t size) {
    void *copy = ade__arena_get(&o->memory, size, _Alignof(max_align_t));
    if (copy) memcpy(copy, from, size);
    return copy;
}

static ade_status copy_record(ade_outcomes *o, const ade_screen_record *from, const ade_screen_record **to) {
    ade_screen_record *r = copy_struct(o, from, sizeof *r);
    *to = r;
    return r ? ade__copy_record(&o->memory, r) : ADE_OUT_OF_MEMORY;
}

/* Of a record without hits the store keeps numbers only. */
static ade_status copy_numbers(ade_outcomes *o, const ade_screen_record *from, const ade_screen_record **to) {
    ade_screen_record r = *from;
    r.title = r.date = r.date_revised = r.journal = r.doi = (ade_text){"", 0};
    r.languages = r.publication_types = r.mesh = r.chemicals = (ade_text_list){NULL, 0};
    return (*to = copy_struct(o, &r, sizeof r)) ? ADE_OK : ADE_OUT_OF_MEMORY;
}

ade_status ade__outcomes_record(ade_outcomes *o, const ade_state_outcome *outcome) {
    ade_state_outcome kept = *outcome;
    const uint32_t    n = outcome->record->n_sentences;
    if (outcome->record->n_hits)
        ADE_TRY(copy_record(o, outcome->record, &kept.record));
    else
        ADE_TRY(copy_numbers(o, outcome->record, &kept.record));
    if (n && !(kept.scores = copy_struct(o, outcome->scores, n * sizeof(float)))) return ADE_OUT_OF_MEMORY;
    const void *what = copy_struct(o, &kept, sizeof kept);
    return what ? add(o, (struct ade_outcome_entry){.kind = ENTRY_RECORD, .what = what}) : ADE_OUT_OF_MEMORY;
}

ade_status ade__outcomes_hit(ade_outcomes *o, const ade_screen_row *row, const char *label) {
    ade_screen_row *kept = copy_struct(o, row, sizeof *kept);
    if (!kept) return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__copy_text(&o->memory, &kept->section));
    ADE_TRY(ade__copy_text(&o->memory, &kept->text));
    kept->logits = kept->probabilities = NULL;
    kept->record = NULL;
    return add(o, (struct ade_outcome_entry){.kind = ENTRY_HIT, .what = kept, .label = label});
}

ade_status ade__outcomes_part(ade_outcomes *o, const ade_screen_part *part) {
    ade_screen_part *kept = copy_struct(o, part, sizeof *kept);
    if (!kept) return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__copy_text(&o->memory, &kept->section));
    ADE_TRY(ade__copy_text(&o->memory, &kept->text));
    return add(o, (struct ade_outcome_entry){.kind = ENTRY_PART, .what = kept});
}

ade_status ade__outcomes_unchanged(ade_outcomes *o, const ade_screen_record *record) {
    const ade_screen_record *kept;
    ADE_TRY(copy_record(o, record, &kept));
    return add(o, (struct ade_outcome_entry){.kind = ENTRY_UNCHANGED, .what = kept});
}

ade_status ade__outcomes_deleted(ade_outcomes *o, int64_t pmid, int32_t version) {
    return add(o, (struct ade_outcome_entry){.kind = ENTRY_DELETED, .pmid = pmid, .version = version});
}

ade_status ade__outcomes_store(const ade_outcomes *o, ade_state *state) {
    for (size_t i = 0; i < o->n; i++) {
        const struct ade_outcome_entry *e = &o->entries[i];
        switch (e->kind) {
        case ENTRY_RECORD: ADE_TRY(ade__state_put_record(state, e->what)); break;
        case ENTRY_HIT: ADE_TRY(ade__state_put_hit(state, e->what, e->label)); break;
        case ENTRY_PART: ADE_TRY(ade__state_put_part(state, e->what)); break;
        case ENTRY_UNCHANGED: ADE_TRY(ade__state_put_unchanged(state, e->what)); break;
        case ENTRY_DELETED: ADE_TRY(ade__state_put_deleted(state, e->pmid, e->version)); break;
        }
    }
    return ADE_OK;
}

void ade__outcomes_free(ade_outcomes *o) {
    ade__free(o->entries);
    ade__arena_free(&o->memory);
    *o = (ade_outcomes){0};
}
