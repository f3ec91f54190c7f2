/* SPDX-License-Identifier: Apache-2.0
 * All heap memory of adesieve goes through here: sizes are overflow-checked, and a test can make allocation number n
 * fail. A NULL return has already set this thread's error text; the caller returns ADE_OUT_OF_MEMORY. */
#ifndef ADE_ALLOC_H
#define ADE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *ade__malloc(size_t size);                               /* size 0 gives a unique pointer */
void *ade__calloc(size_t count, size_t size);
void *ade__realloc(void *old, size_t count, size_t size);     /* on failure `old` stays valid */
char *ade__strdup(const char *text);
char *ade__strndup(const char *text, size_t size);            /* copies NULs too; adds a final NUL */
char *ade__join_path(const char *folder, const char *name);
void  ade__free(void *memory);                                /* NULL is fine */

void *ade__aligned_malloc(size_t count, size_t size);         /* 64-byte aligned; freed by ade__aligned_free */
void  ade__aligned_free(void *memory);

/* Makes *items hold at least `need` elements of `size` bytes, growing by half; 0 on success, -1 when out of memory
 * (then *items and *capacity are unchanged). `items` is the address of a pointer variable. */
int ade__reserve(void *items, size_t *capacity, size_t need, size_t size);

/* Tests only: the n-th allocation from now on (0 = the next one) in this process fails, and all after it, until
 * called with a negative number. */
void ade__alloc_fail_at(long n);
void ade__alloc_fail_once(long n); /* the same, but those after it succeed */
/* Allocations that have been asked for since the process began. */
uint64_t ade__alloc_count(void);

#endif
