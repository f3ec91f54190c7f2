/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include "alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BLOCK ((size_t)64 * 1024)

struct ade_arena_block {
    struct ade_arena_block *next;
    size_t                  capacity, used;
    max_align_t             data[];
};

static struct ade_arena_block *add_block(ade_arena *arena, size_t size) {
    const size_t            capacity = size > BLOCK ? size : BLOCK;
    const bool              possible = capacity <= SIZE_MAX - sizeof(struct ade_arena_block);
    struct ade_arena_block *block = ade__malloc(possible ? sizeof *block + capacity : SIZE_MAX); /* which says it */
    if (!block) return NULL;
    block->capacity = capacity;
    block->used = 0;
    struct ade_arena_block **at = arena->current ? &arena->current->next : &arena->first;
    block->next = *at;
    *at = block;
    return block;
}

static void *take(struct ade_arena_block *block, size_t size, size_t align) {
    const size_t at = (block->used + align - 1) / align * align;
    if (at > block->capacity || size > block->capacity - at) return NULL;
    block->used = at + size;
    return (char *)block->data + at;
}

void *ade__arena_get(ade_arena *arena, size_t size, size_t align) {
    void *piece = arena->current ? take(arena->current, size, align) : NULL;
    if (!piece) { /* what is left of the block stays unused */
        struct ade_arena_block *next = arena->current ? arena->current->next : arena->first;
        if (!next || next->capacity < size) next = add_block(arena, size);
        if (!next) return NULL;
        arena->current = next;
        piece = take(next, size, align);
    }
    arena->size += size;
    return piece;
}

char *ade__arena_copy(ade_arena *arena, const void *data, size_t size) {
    static char empty[1];
    if (!size) return empty;
    char *copy = ade__arena_get(arena, size, 1);
    if (copy) memcpy(copy, data, size);
    return copy;
}

void ade__arena_clear(ade_arena *arena, size_t keep) {
    struct ade_arena_block **at = &arena->first;
    while (*at) {
        struct ade_arena_block *block = *at;
        block->used = 0;
        if (block->capacity <= keep) {
            keep -= block->capacity;
            at = &block->next;
        } else {
            *at = block->next;
            ade__free(block);
        }
    }
    arena->current = NULL;
    arena->size = 0;
}

void ade__arena_free(ade_arena *arena) { ade__arena_clear(arena, 0); }
