/* SPDX-License-Identifier: Apache-2.0
 * What state.c (writes a store) and export.c (reads one) share: opening the SQLite file and making sure that it is a
 * store, saying what went wrong, and a growing text. */
#ifndef ADE_STORE_H
#define ADE_STORE_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>

#define ADE_STORE_APPLICATION 0x61646573 /* "ades": PRAGMA application_id, which the command `file` shows, too */
#define ADE_STORE_VERSION     1          /* PRAGMA user_version */

struct sqlite3;
struct sqlite3_stmt;

typedef struct ade_store {
    struct sqlite3 *db;      /* NULL = not open */
    char           *path;    /* as given, for messages */
    bool            reading; /* mode ADE_STORE_READ */
    long            process; /* that opened it: a forked child must not touch the connection, not even to close it */
} ade_store;

typedef enum ade_store_mode {
    ADE_STORE_RUN, /* made when missing; locked against every other process until it is closed */
    ADE_STORE_READ /* neither made nor changed; other readers may come, a run may not */
} ade_store_mode;

/* Opens `path`. *empty: there is nothing in it yet (in mode READ also: there is no such file, and db is NULL).
 * ADE_IO, ADE_BUSY (after at most a second), ADE_BAD_INPUT, ADE_UNSUPPORTED (a newer one), ADE_OUT_OF_MEMORY. */
ade_status ade__store_open(const char *path, ade_store_mode mode, ade_store *store, bool *empty);
void       ade__store_close(ade_store *store); /* zeroed is fine; all statements must have been finalized */

/* Statements. `sql` are constants; values are bound. A failure is said by ade__store_fail. */
ade_status ade__store_exec(const ade_store *store, const char *sql);
ade_status ade__store_prepare(const ade_store *store, const char *sql, struct sqlite3_stmt **out);

/* Says what SQLite's result `rc` of the last call means, and returns the status for it. */
ade_status ade__store_fail(const ade_store *store, int rc);
/* ADE_BAD_INPUT: the store is damaged, in the way that `what` says. */
ade_status ade__store_damaged(const ade_store *store, const char *what);

/* A text that grows; always ends in a NUL once something was added. Zeroed = empty; freed by ade__free(text.data).
 * These return 0, or -1 when out of memory. */
typedef struct ade_store_text {
    char  *data;
    size_t size, capacity;
} ade_store_text;
int ade__store_add(ade_store_text *text, const char *data, size_t size);
int ade__store_add_string(ade_store_text *text, const char *string);
int ade__store_add_json(ade_store_text *text, const char *string); /* quoted; what is not UTF-8 becomes U+FFFD */

#endif
