/* SPDX-License-Identifier: Apache-2.0
 * brat's standoff files: PMID.txt, PMID.ann with a text-bound annotation for each hit and its score as a note, and
 * annotation.conf with the types that were used. */
#define _GNU_SOURCE /* syncfs */
#include "export_format.h"

#include "exit_status.h"
#include "export_text.h"
#include "messages.h"
#include "signals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(const brat_folder *folder, const char *file, const char *what) {
    int error = errno;
    say(SAY_ERROR, "%s%s%s: %s: %s.", folder->name, file ? "/" : "", file ? file : "", what, strerror(error));
    if (error == ENOSPC || error == EDQUOT)
        say(SAY_HINT, "make room, or choose another disk with --output-dir DIR; nothing was left under that name");
    return CLI_FAILED;
}

static int out_of_memory(const brat_folder *folder) {
    say(SAY_ERROR, "%s: out of memory while a document was made.", folder->name);
    return CLI_FAILED;
}

/* 1 = there and empty, 0 = not there, -1 = said why not. */
static int is_empty(const brat_folder *folder) {
    DIR           *entries = opendir(folder->name);
    struct dirent *entry;
    if (!entries && errno == ENOENT) return 0;
    if (!entries) {
        fail_errno(folder, NULL, errno == ENOTDIR ? "is needed as a folder" : "cannot be read");
        return -1;
    }
    while ((entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            say(SAY_ERROR, "%s: is not empty, and what a reviewer may have noted there must not be written over.",
                folder->name);
            say(SAY_HINT, "name a new folder with --output-dir DIR");
            closedir(entries);
            return -1;
        }
    closedir(entries);
    return 1;
}

/* Without links, "." or a stroke at its end; the last component need not exist. NULL with errno. */
static char *resolved(const char *path, int exists) {
    size_t      size = strlen(path);
    char       *own, *parent, *whole = NULL;
    const char *slash;
    if (exists) return realpath(path, NULL);
    while (size > 1 && path[size - 1] == '/') size--;
    own = strndup(path, size);
    if (!own) return NULL;
    slash = strrchr(own, '/');
    parent = slash ? strndup(own, (size_t)(slash - own) + 1) : strdup(".");
    if (parent) {
        char  *real = realpath(parent, NULL);
        size_t room = real ? strlen(real) + size + 2 : 0;
        if (real && (whole = malloc(room)) != NULL)
            snprintf(whole, room, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash ? slash + 1 : own);
        free(real);
    }
    free(parent);
    free(own);
    return whole;
}

int export_brat_open(brat_folder *folder, const char *path) {
    const char *slash;
    char       *name;
    int         exists, made = -1;
    size_t      size;
    *folder = (brat_folder)BRAT_FOLDER_CLOSED_INIT;
    folder->name = path;
    exists = is_empty(folder);
    if (exists < 0) return CLI_FAILED;
    folder->target = resolved(path, exists);
    slash = folder->target ? strrchr(folder->target, '/') : NULL;
    size = slash ? (size_t)(slash - folder->target) + 64 : 0;
    name = slash ? malloc(size) : NULL;
    if (!name) return fail_errno(folder, NULL, "no folder can be made there");
    for (unsigned attempt = 0; attempt < 1000 && made != 0; attempt++) {
        snprintf(name, size, "%.*s/.adesieve-%ld-%u.part", (int)(slash - folder->target), folder->target,
                 (long)getpid(), attempt);
        made = mkdir(name, 0777);
        if (made != 0 && errno != EEXIST) break;
    }
    if (made != 0) {
        fail_errno(folder, NULL, "no folder can be made there");
        free(name);
        return CLI_FAILED;
    }
    folder->temporary = name;
    folder->fd = open(folder->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder->fd < 0 ? fail_errno(folder, NULL, "cannot be opened") : CLI_OK;
}

static int write_file(const brat_folder *folder, const char *name, const bytes *content) {
    const char *at = content->data;
    size_t      left = content->size;
    int         fd, status = CLI_OK;
    if (content->failed) return out_of_memory(folder);
    fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return fail_errno(folder, name, "cannot be made");
    while (left > 0 && status == CLI_OK) {
        ssize_t n = write(fd, at, left);
        if (n >= 0) {
            at += n;
            left -= (size_t)n;
        } else if (signals_interrupted()) {
            status = CLI_INTERRUPTED;
        } else if (errno != EINTR) {
            status = fail_errno(folder, name, "cannot be written");
        }
    }
    if (close(fd) != 0 && errno != EINTR && status == CLI_OK) status = fail_errno(folder, name, "cannot be closed");
    return status;
}

/* A type of brat's is one word. A new one gets its line in annotation.conf. */
static void put_type(brat_folder *folder, const char *type) {
    bytes *types = &folder->types;
    size_t begin = folder->notes.size, size, from = 0;
    for (; *type; type++) {
        char c = *type;
        int  kept = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_';
        put_raw(&folder->notes, kept ? &c : "_", 1);
    }
    if (folder->notes.failed) return;
    size = folder->notes.size - begin;
    while (from < types->size) {
        size_t length =
            (size_t)((const char *)memchr(types->data + from, '\n', types->size - from) - types->data) - from;
        if (length == size && memcmp(types->data + from, folder->notes.data + begin, size) == 0) return;
        from += length + 1;
    }
    put_raw(types, folder->notes.data + begin, size);
    put_literal(types, "\n");
}

static void put_annotation(brat_folder *folder, const ade_export_document *document, size_t index, export_span span) {
    const ade_screen_row *row = &document->rows[index];
    bytes                *notes = &folder->notes;
    put_literal(notes, "T");
    put_unsigned(notes, index + 1);
    put_literal(notes, "\t");
    put_type(folder, export_type(document, index));
    put_literal(notes, " ");
    put_unsigned(notes, span.begin);
    put_literal(notes, " ");
    put_unsigned(notes, span.end);
    put_literal(notes, "\t");
    put_plain(notes, row->text.data, row->text.size);
    put_literal(notes, "\n#");
    put_unsigned(notes, index + 1);
    put_literal(notes, "\tAnnotatorNotes T");
    put_unsigned(notes, index + 1);
    put_literal(notes, "\tscore ");
    put_float(notes, row->result.score);
    put_literal(notes, "\n");
}

int export_brat_put(brat_folder *folder, const ade_export_document *document) {
    export_span *spans = calloc(document->n_rows + 1, sizeof *spans);
    char         name[40];
    int          status;
    if (!spans) return out_of_memory(folder);
    folder->text.size = folder->notes.size = 0;
    status = export_text_put(&folder->text, document, 1, spans);
    if (status == CLI_OK) {
        put_literal(&folder->text, "\n");
        for (size_t i = 0; i < document->n_rows; i++) put_annotation(folder, document, i, spans[i]);
        snprintf(name, sizeof name, "%lld.txt", (long long)document->record->pmid);
        status = write_file(folder, name, &folder->text);
    }
    if (status == CLI_OK) {
        snprintf(name, sizeof name, "%lld.ann", (long long)document->record->pmid);
        status = write_file(folder, name, &folder->notes);
    }
    free(spans);
    return status;
}

static void remove_temporary(const brat_folder *folder) {
    DIR           *entries = opendir(folder->temporary);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries) closedir(entries);
    (void)rmdir(folder->temporary);
}

static int complete_folder(brat_folder *folder) {
    bytes conf = {0};
    int   status;
    put_literal(&conf, "[entities]\n");
    put_raw(&conf, folder->types.data, folder->types.size);
    put_literal(&conf, "\n[relations]\n\n[events]\n\n[attributes]\n");
    if (folder->types.failed) conf.failed = 1;
    status = write_file(folder, "annotation.conf", &conf);
    bytes_free(&conf);
    if (status != CLI_OK) return status;
    if (syncfs(folder->fd) != 0) return fail_errno(folder, NULL, "cannot be written to disk");
    if (rename(folder->temporary, folder->target) != 0) /* an empty folder of that name gives way */
        return fail_errno(folder, NULL, "cannot be given its name");
    free(folder->temporary);
    folder->temporary = NULL;
    return CLI_OK;
}

int export_brat_finish(brat_folder *folder, int complete) {
    int status = CLI_OK;
    if (complete && folder->temporary) status = complete_folder(folder);
    if (folder->temporary) remove_temporary(folder);
    if (folder->fd >= 0) close(folder->fd);
    free(folder->target);
    free(folder->temporary);
    bytes_free(&folder->text);
    bytes_free(&folder->notes);
    bytes_free(&folder->types);
    *folder = (brat_folder)BRAT_FOLDER_CLOSED_INIT;
    return status;
}
