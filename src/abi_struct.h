/* SPDX-License-Identifier: Apache-2.0
 * Structs that begin with their own size, between callers and libraries of different ages. */
#ifndef ADE_ABI_STRUCT_H
#define ADE_ABI_STRUCT_H

#include "adesieve.h"

#include <stddef.h>

/* Copies the caller's struct over `known`, which holds this library's defaults and is `known_size` bytes. A shorter
 * one (an older caller) leaves the rest at the defaults; a longer one is refused unless its tail is zero. `name` is
 * the struct's name for the error text. */
ade_status ade__options_in(void *known, size_t known_size, const void *callers, const char *name);

/* Refuses a struct that was not set up, before anything is done that could not be undone. */
ade_status ade__options_check(const void *callers, const char *name);

/* Copies `known` out into the caller's struct, as much of it as the caller has; its struct_size stays. */
ade_status ade__options_out(void *callers, const void *known, size_t known_size, const char *name);

/* ade_struct_size() of the public header. */
size_t ade__struct_size(const char *name);

#endif
