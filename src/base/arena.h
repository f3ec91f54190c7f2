/* SPDX-License-Identifier: Apache-2.0
 * Memory that is asked for piece by piece, never moves, and is given back all at once. */
#ifndef ADE_ARENA_H
#define ADE_ARENA_H

#include <stddef.h>

struct ade_arena_block;

typedef struct ade_arena { /* zeroed = empty */
    struct ade_arena_block *first, *current;
    size_t                  size; /* bytes asked for since the last clear */
} ade_arena;

/* `size` bytes, aligned for any object where `align` is 16, not at all where it is 1. NULL when out of memory (then the
 * error is set). Not cleared. */
void *ade__arena_get(ade_arena *arena, size_t size, size_t align);

/* A copy of `size` bytes; for 0 bytes a pointer to an empty string. */
char *ade__arena_copy(ade_arena *arena, const void *data, size_t size);

void ade__arena_clear(ade_arena *arena, size_t keep); /* all pieces are void; keeps blocks of up to `keep` bytes in all */
void ade__arena_free(ade_arena *arena);

#endif
