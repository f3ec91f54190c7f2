/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include "status.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64 /* a cache line, and the widest vector register */

static atomic_long      fail_at = -1; /* counts down; a test's tool */
static atomic_int       fail_once;
static atomic_uint_fast64_t asked;

void ade__alloc_fail_at(long n) {
    atomic_store(&fail_once, 0);
    atomic_store(&fail_at, n);
}

void ade__alloc_fail_once(long n) {
    atomic_store(&fail_once, 1);
    atomic_store(&fail_at, n);
}

uint64_t ade__alloc_count(void) { return atomic_load(&asked); }

static int must_fail(void) {
    atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) < 0) return 0;
    long before = atomic_load(&fail_at);
    if (before > 0) {
        atomic_store(&fail_at, before - 1);
        return 0;
    }
    if (atomic_load(&fail_once)) atomic_store(&fail_at, -1);
    return 1;
}

static void *check(void *memory, size_t count, size_t size) {
    if (!memory)
        (void)ade__fail(ADE_OUT_OF_MEMORY, "out of memory: %zu x %zu bytes could not be allocated", count, size);
    return memory;
}

static int product(size_t count, size_t size, size_t *out) { return __builtin_mul_overflow(count, size, out); }

void *ade__malloc(size_t size) { return check(must_fail() ? NULL : malloc(size ? size : 1), 1, size); }

void *ade__calloc(size_t count, size_t size) {
    return check(must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1), count, size);
}

void *ade__realloc(void *old, size_t count, size_t size) {
    size_t bytes;
    if (product(count, size, &bytes) || must_fail()) return check(NULL, count, size);
    return check(realloc(old, bytes ? bytes : 1), count, size);
}

char *ade__strndup(const char *text, size_t size) {
    char *copy = size == SIZE_MAX ? NULL : ade__malloc(size + 1);
    if (!copy) return NULL;
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *ade__strdup(const char *text) { return ade__strndup(text, strlen(text)); }

char *ade__join_path(const char *folder, const char *name) {
    size_t a = strlen(folder), b = strlen(name);
    int    slash = a > 0 && folder[a - 1] != '/';
    char  *path = ade__malloc(a + (size_t)slash + b + 1);
    if (!path) return NULL;
    memcpy(path, folder, a);
    if (slash) path[a] = '/';
    memcpy(path + a + slash, name, b + 1);
    return path;
}

void ade__free(void *memory) { free(memory); }

void *ade__aligned_malloc(size_t count, size_t size) {
    size_t bytes;
    void  *memory = NULL;
    if (product(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT || must_fail()) return check(NULL, count, size);
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0, always a multiple, as aligned_alloc wants */
    memory = aligned_alloc(ALIGNMENT, bytes);
    return check(memory, count, size);
}

void ade__aligned_free(void *memory) { free(memory); }

int ade__reserve(void *items, size_t *capacity, size_t need, size_t size) {
    void *old, *grown;
    if (need <= *capacity) return 0;
    size_t wanted = *capacity + *capacity / 2 + 16;
    if (wanted < need) wanted = need;
    memcpy(&old, items, sizeof old);
    grown = ade__realloc(old, wanted, size);
    if (!grown) return -1;
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    return 0;
}
