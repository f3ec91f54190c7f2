/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "alloc.h"
#include "status.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- What went wrong --------------------------------------------------------------------------------------------- */

ade_status ade__store_damaged(const ade_store *store, const char *what) {
    return ade__fail(ADE_BAD_INPUT,
                     "the store %s is damaged (%s); put back a copy of it, or delete it and screen the files again",
                     store->path, what);
}

ade_status ade__store_fail(const ade_store *store, int rc) {
    const char *path = store->path, *message = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);
    const int   number = store->db ? sqlite3_system_errno(store->db) : 0;
    switch (rc & 0xff) { /* the primary code */
    case SQLITE_NOMEM: return ade__fail(ADE_OUT_OF_MEMORY, "out of memory while the store %s was in use", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ade__fail(ADE_BUSY,
                         "the store %s is in use (by a run, an export, or a program like sqlite3); "
                         "wait until that has ended, or give another store", path);
    case SQLITE_NOTADB:
        return ade__fail(ADE_BAD_INPUT, "%s is not a store of adesieve: it is no SQLite database; give another path",
                         path);
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* our statements are constants: what they name is not there */
    case SQLITE_MISMATCH: return ade__store_damaged(store, message);
    case SQLITE_FULL:
        return ade__fail(ADE_IO,
                         "the store %s cannot be written: the disk is full; make room and start again, the run goes on "
                         "after its last confirmed file", path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        if (store->reading)
            return ade__fail(ADE_IO,
                             "the store %s cannot be read where it is: SQLite must be able to write it and two files "
                             "beside it, even to read it; change the permissions of the store and its folder, or copy "
                             "it (with %s-wal, if there is one) to a folder of your own", path, path);
        if ((rc & 0xff) == SQLITE_READONLY)
            return ade__fail(ADE_IO,
                             "the store %s cannot be written: it is read-only; change its permissions, or those of its "
                             "folder, or give another store", path);
        return ade__fail(ADE_IO, "the store %s, or a file that SQLite puts beside it, cannot be opened: %s; its folder "
                         "must be there and must be writable", path, number ? strerror(number) : message);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return ade__fail(ADE_OUT_OF_MEMORY, "out of memory while the store %s was in use", path);
        /* fall through */
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOLFS:
        return ade__fail(ADE_IO,
                         "the store %s cannot be read or written: %s%s%s; put the disk in order and start again, the "
                         "run goes on after its last confirmed file", path, message, number ? ": " : "",
                         number ? strerror(number) : "");
    case SQLITE_TOOBIG:
        return ade__fail(ADE_BAD_INPUT,
                         "a record is too large for the store %s: SQLite takes no text above 1 GB; leave out the file "
                         "that holds it", path);
    default:
        return ade__fail(ADE_INTERNAL, "the store %s: SQLite's result %d was not expected (%s)", path, rc, message);
    }
}

/* ---- Statements -------------------------------------------------------------------------------------------------- */

ade_status ade__store_exec(const ade_store *store, const char *sql) {
    const int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc ? ade__store_fail(store, rc) : ADE_OK;
}

ade_status ade__store_prepare(const ade_store *store, const char *sql, sqlite3_stmt **out) {
    const int rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return rc ? ade__store_fail(store, rc) : ADE_OK;
}

/* The one number that `sql` gives. */
static ade_status number_of(const ade_store *store, const char *sql, int64_t *out) {
    sqlite3_stmt *statement;
    ADE_TRY(ade__store_prepare(store, sql, &statement));
    const int  rc = sqlite3_step(statement);
    ade_status status = ADE_OK;
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else
        status = ade__store_fail(store, rc);
    sqlite3_finalize(statement);
    return status;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static void close_db(ade_store *store) {
    if (store->db && store->process == (long)getpid()) (void)sqlite3_close(store->db);
    store->db = NULL;
}

/* SQLite takes some names for something else (":memory:", "file:.."); none of them begins so. */
static char *plain_path(const char *path) { return path[0] == '/' ? ade__strdup(path) : ade__join_path(".", path); }

/* A run that was killed leaves its log; to read the store must not move it into the store, which would be a change. */
static bool has_log(const char *path) {
    struct stat    info;
    ade_store_text name = {0};
    bool           found = true; /* the careful answer when out of memory */
    if (!ade__store_add_string(&name, path) && !ade__store_add_string(&name, "-wal"))
        found = !stat(name.data, &info) && info.st_size > 0;
    ade__free(name.data);
    return found;
}

static void harden(sqlite3 *db) { /* a store may come from somebody else */
    (void)sqlite3_extended_result_codes(db, 1);
#ifdef SQLITE_DBCONFIG_ENABLE_TRIGGER
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL);
#endif
#ifdef SQLITE_DBCONFIG_ENABLE_VIEW
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)NULL);
#endif
#ifdef SQLITE_DBCONFIG_TRUSTED_SCHEMA
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
#endif
#ifdef SQLITE_DBCONFIG_DEFENSIVE
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
#endif
}

static ade_status check_kind(const ade_store *store, bool *empty) {
    int64_t application, version, tables;
    ADE_TRY(number_of(store, "PRAGMA application_id", &application));
    ADE_TRY(number_of(store, "PRAGMA user_version", &version));
    ADE_TRY(number_of(store, "SELECT count(*) FROM sqlite_master", &tables));
    *empty = tables == 0 && application == 0 && version == 0;
    if (*empty) return ADE_OK;
    if (application != ADE_STORE_APPLICATION)
        return ade__fail(ADE_BAD_INPUT,
                         "%s is not a store of adesieve: it is an SQLite database of another program; give another "
                         "path", store->path);
    if (version > ADE_STORE_VERSION)
        return ade__fail(ADE_UNSUPPORTED,
                         "the store %s was made by a newer adesieve (its version is %lld, this one knows up to %d); "
                         "use that adesieve, or another store", store->path, (long long)version, ADE_STORE_VERSION);
    return version < 1 || tables == 0 ? ade__store_damaged(store, "its version is not a version") : ADE_OK;
}

static ade_status open_once(ade_store *store, const char *plain, ade_store_mode mode, bool *empty) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX; /* the callers have a mutex or one thread */
    const int rc = sqlite3_open_v2(plain, &store->db, mode == ADE_STORE_RUN ? flags | SQLITE_OPEN_CREATE : flags, NULL);
    if (rc) return ade__store_fail(store, store->db ? rc : SQLITE_NOMEM);
    harden(store->db);
    /* SQLite would read a file that it may not write, too, but leave files of this user beside it, in the way of the
     * owner's next run. */
    if (sqlite3_db_readonly(store->db, "main") == 1) return ade__store_fail(store, SQLITE_READONLY);
    if (mode == ADE_STORE_READ) {
#ifdef SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE
        if (has_log(plain)) (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
#endif
        ADE_TRY(ade__store_exec(store, "PRAGMA query_only = ON"));
    } else {
        /* Before the first look at the file: then SQLite locks the whole file with that look, and keeps its index of
         * the log in memory, so that there is no third file beside the store. */
        ADE_TRY(ade__store_exec(store, "PRAGMA locking_mode = EXCLUSIVE"));
    }
    /* The cache is enough for the inner pages of the tables of all of MEDLINE; the system caches the rest. */
    ADE_TRY(ade__store_exec(store, "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; "
                                   "PRAGMA cache_size = -65536"));
    ADE_TRY(check_kind(store, empty));
    if (mode == ADE_STORE_READ) return ADE_OK;
    /* NORMAL: the log is synced before it is moved into the store, not at each commit. A killed process loses nothing.
     * A machine that loses power may lose its last commits, never the store: the files are then done again, with the
     * same outcome, and the client's note of how far its output goes is as old as they are. */
    ADE_TRY(ade__store_exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                                   "PRAGMA journal_size_limit = 67108864"));
    /* The lock of a new file is only now a lock against all: in the first transaction that writes. */
    return ade__store_exec(store, "BEGIN IMMEDIATE; COMMIT");
}

ade_status ade__store_open(const char *path, ade_store_mode mode, ade_store *store, bool *empty) {
    struct stat info;
    ade_store   opened = {.process = (long)getpid(), .reading = mode == ADE_STORE_READ};
    ade_status  status;
    if (!*path) return ade__fail(ADE_INVALID_ARGUMENT, "the store's path is empty; give a path such as hits.sqlite");
    if (!sqlite3_threadsafe())
        return ade__fail(ADE_UNSUPPORTED,
                         "the store %s cannot be used: this machine's SQLite was built without threads; install "
                         "another", path);
    opened.path = ade__strdup(path);
    char *plain = plain_path(path);
    if (!opened.path || !plain) {
        status = ADE_OUT_OF_MEMORY;
        goto failed;
    }
    if (stat(path, &info)) {
        if (mode == ADE_STORE_READ && errno == ENOENT) {
            *empty = true;
            *store = opened;
            ade__free(plain);
            return ADE_OK;
        }
        if (errno != ENOENT) {
            status = ade__fail(ADE_IO, "the store %s cannot be looked at: %s", path, strerror(errno));
            goto failed;
        }
    } else if (!S_ISREG(info.st_mode)) {
        status = ade__fail(ADE_BAD_INPUT, "%s is not a store of adesieve: it is %s; give the path of a file", path,
                           S_ISDIR(info.st_mode) ? "a folder" : "no regular file");
        goto failed;
    }
    for (int attempt = 1;; attempt++) { /* two that begin at the same moment can stand in each other's way */
        status = open_once(&opened, plain, mode, empty);
        if (status != ADE_BUSY || attempt == 5) break;
        close_db(&opened);
        const struct timespec pause = {0, (20 + (long)getpid() % 9973 * attempt * 7919 % 41) * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    if (status) goto failed;
    ade__free(plain);
    *store = opened;
    return ADE_OK;
failed:
    ade__free(plain);
    ade__store_close(&opened);
    return status;
}

void ade__store_close(ade_store *store) {
    close_db(store);
    ade__free(store->path);
    store->path = NULL;
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

int ade__store_add(ade_store_text *text, const char *data, size_t size) {
    if (ade__reserve(&text->data, &text->capacity, text->size + size + 1, 1)) return -1;
    if (size) memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
    return 0;
}

int ade__store_add_string(ade_store_text *text, const char *string) {
    return ade__store_add(text, string, strlen(string));
}

/* Bytes of the well-formed UTF-8 character at `p`, which ends in a NUL; 0 = not one. */
static size_t utf8_length(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] >= 0xf5) return 0;
    const size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)) return 0; /* overlong; surrogates */
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)) return 0; /* overlong; above U+10FFFF */
    return n;
}

int ade__store_add_json(ade_store_text *text, const char *string) {
    int failed = ade__store_add(text, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)string; *p && !failed;) {
        const size_t n = utf8_length(p);
        char         escape[8];
        if (*p < 0x20 || *p == '"' || *p == '\\') {
            snprintf(escape, sizeof escape, "\\u%04x", *p);
            failed = ade__store_add(text, escape, 6);
        } else if (n == 0) {
            failed = ade__store_add(text, "\xef\xbf\xbd", 3);
        } else {
            failed = ade__store_add(text, (const char *)p, n);
        }
        p += n ? n : 1;
    }
    return failed || ade__store_add(text, "\"", 1);
}
