/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include "status.h"

#include <string.h>

ade_status ade__copy_text(ade_arena *arena, ade_text *text) {
    if (!text->data) return ADE_OK;
    text->data = ade__arena_copy(arena, text->data, text->size);
    return text->data ? ADE_OK : ADE_OUT_OF_MEMORY;
}

ade_status ade__copy_list(ade_arena *arena, ade_text_list *list) {
    if (!list->n) return ADE_OK;
    ade_text *items = ade__arena_get(arena, list->n * sizeof *items, _Alignof(ade_text));
    if (!items) return ADE_OUT_OF_MEMORY;
    memcpy(items, list->items, list->n * sizeof *items);
    for (size_t i = 0; i < list->n; i++) ADE_TRY(ade__copy_text(arena, &items[i]));
    list->items = items;
    return ADE_OK;
}

ade_status ade__copy_record(ade_arena *arena, ade_screen_record *record) {
    ade_text *const      texts[] = {&record->title, &record->date, &record->date_revised, &record->journal, &record->doi};
    ade_text_list *const lists[] = {&record->languages, &record->publication_types, &record->mesh, &record->chemicals};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ADE_TRY(ade__copy_text(arena, texts[i]));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) ADE_TRY(ade__copy_list(arena, lists[i]));
    return ADE_OK;
}
