/* SPDX-License-Identifier: Apache-2.0
 * Plugins that the core must refuse, for tests/unit/test_device.c. Compiled once for each of
 *   WRONG_ABI      another version of the interface
 *   WRONG_SIZE     another size of the entry
 *   WRONG_VERSION  built with another adesieve
 *   WRONG_TABLE    a table of another version behind an entry that is right
 *   WRONG_ENTRY    a library without ade_plugin
 * What comes after a wrong member is a trap: who reads or calls it, crashes. */
#include "ops.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define THIS_VERSION TEXT(ADE_VERSION_MAJOR) "." TEXT(ADE_VERSION_MINOR) "." TEXT(ADE_VERSION_PATCH)

#if defined WRONG_TABLE

static const ade_ops ops = {.abi = ADE_BACKEND_ABI + 1, .struct_size = sizeof(ade_ops), .name = "wrong"};

static const ade_ops *connect_table(const ade_plugin_host *host) {
    (void)host;
    return &ops;
}

#else

static const ade_ops *connect_table(const ade_plugin_host *host) {
    (void)host;
    __builtin_trap(); /* the core must refuse before */
}

#endif

#if defined WRONG_ABI
#define ABI (ADE_BACKEND_ABI + 1)
#else
#define ABI ADE_BACKEND_ABI
#endif

#if defined WRONG_SIZE
#define SIZE (sizeof(ade_plugin_entry) + 8)
#else
#define SIZE sizeof(ade_plugin_entry)
#endif

#if defined WRONG_ABI || defined WRONG_SIZE
#define VERSION ((const char *)1)
#elif defined WRONG_VERSION
#define VERSION "0.0.0-other"
#else
#define VERSION THIS_VERSION
#endif

#if defined WRONG_ENTRY
#define NAME ade_plugin_of_another_program
#else
#define NAME ade_plugin
#endif

extern const ade_plugin_entry NAME;
__attribute__((visibility("default"))) const ade_plugin_entry NAME = {
    .abi = ABI, .struct_size = SIZE, .version = VERSION, .connect = connect_table};
