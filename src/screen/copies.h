/* SPDX-License-Identifier: Apache-2.0
 * Deep copies of texts, for what outlives the memory that it was read from. Each replaces the pointers in what it is
 * given by pointers into the arena; NULL stays NULL. ADE_OUT_OF_MEMORY. */
#ifndef ADE_COPIES_H
#define ADE_COPIES_H

#include "adesieve.h"
#include "arena.h"

ade_status ade__copy_text(ade_arena *arena, ade_text *text);
ade_status ade__copy_list(ade_arena *arena, ade_text_list *list);
ade_status ade__copy_record(ade_arena *arena, ade_screen_record *record); /* all its texts and lists */

#endif
