/* SPDX-License-Identifier: Apache-2.0
 * Files of a model folder: see folder.h. */
#define _GNU_SOURCE
#include "folder.h"

#include "alloc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ade_status ade__used_files_add(ade_used_files *used, const char *name, const struct stat *info) {
    if (ade__reserve(&used->items, &used->capacity, used->n + 1, sizeof *used->items)) return ADE_OUT_OF_MEMORY;
    ade_used_file *file = &used->items[used->n];
    file->name = ade__strdup(name);
    if (!file->name) return ADE_OUT_OF_MEMORY;
    file->device = (uint64_t)info->st_dev;
    file->inode = (uint64_t)info->st_ino;
    file->size = (uint64_t)info->st_size;
    file->seconds = (int64_t)info->st_mtim.tv_sec;
    file->nanoseconds = (int64_t)info->st_mtim.tv_nsec;
    used->n++;
    return ADE_OK;
}

bool ade__used_file_same(const ade_used_file *file, const struct stat *info) {
    return file->device == (uint64_t)info->st_dev && file->inode == (uint64_t)info->st_ino &&
           file->size == (uint64_t)info->st_size && file->seconds == (int64_t)info->st_mtim.tv_sec &&
           file->nanoseconds == (int64_t)info->st_mtim.tv_nsec;
}

void ade__used_files_clear(ade_used_files *used) {
    for (size_t i = 0; i < used->n; i++) ade__free(used->items[i].name);
    ade__free(used->items);
    memset(used, 0, sizeof *used);
}

ade_status ade__folder_check(const char *folder) {
    struct stat info;
    if (stat(folder, &info) != 0)
        return ade__fail(ADE_IO, "%s: the model folder cannot be opened (%s); give the folder that holds config.json "
                         "(a model's name on a hub is none: nothing is downloaded)",
                         folder, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return ade__fail(ADE_IO, "%s is not a folder; give the folder that holds config.json, not a file in it",
                         folder);
    return ADE_OK;
}

ade_status ade__folder_has(const char *folder, const char *name, bool *has) {
    struct stat info;
    char       *path = ade__join_path(folder, name);
    if (!path) return ADE_OUT_OF_MEMORY;
    *has = stat(path, &info) == 0;
    ade__free(path);
    return ADE_OK;
}

ade_status ade__folder_open(const char *folder, const char *name, int *fd, struct stat *info) {
    *fd = -1;
    char *path = ade__join_path(folder, name);
    if (!path) return ADE_OUT_OF_MEMORY;
    ade_status status = ADE_OK;
    int        file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        struct stat link;
        if (errno != ENOENT)
            status = ade__fail(ADE_IO, "%s: cannot be opened (%s)", path, strerror(errno));
        else if (lstat(path, &link) == 0)
            status = ade__fail(ADE_IO, "%s is a symbolic link to a file that does not exist; download the model again",
                               path);
    } else if (fstat(file, info) != 0) {
        status = ade__fail(ADE_IO, "%s: cannot be examined (%s)", path, strerror(errno));
    } else if (!S_ISREG(info->st_mode) || info->st_size < 0) {
        status = ade__fail(ADE_BAD_MODEL, "%s is not a regular file; a model folder holds plain files", path);
    }
    if (status != ADE_OK && file >= 0)
        close(file);
    else
        *fd = file;
    ade__free(path);
    return status;
}

ade_status ade__folder_pread(const char *folder, const char *name, int fd, void *buffer, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ade__fail(ADE_IO, "%s/%s: cannot be read (%s)", folder, name, strerror(errno));
        if (got == 0)
            return ade__fail(ADE_BAD_MODEL, "%s/%s: the file was shortened while it was read; copy it again", folder,
                             name);
        done += (size_t)got;
    }
    return ADE_OK;
}

ade_status ade__folder_read(const char *folder, const char *name, size_t limit, ade_used_files *used, char **data,
                            size_t *size) {
    int         fd;
    struct stat info;
    char       *text = NULL;
    ade_status  status = ADE_OK;
    *data = NULL;
    *size = 0;
    ADE_TRY(ade__folder_open(folder, name, &fd, &info));
    if (fd < 0) return ADE_OK;
    if ((uint64_t)info.st_size > limit) {
        status = ade__fail(ADE_BAD_MODEL,
                           "%s/%s has %llu bytes; such a file has no more than %zu, so it is not what its "
                           "name says",
                           folder, name, (unsigned long long)info.st_size, limit);
        goto done;
    }
    text = ade__malloc((size_t)info.st_size + 1);
    if (!text) {
        status = ADE_OUT_OF_MEMORY;
        goto done;
    }
    ADE_TRY_GOTO(ade__folder_pread(folder, name, fd, text, (size_t)info.st_size, 0), done);
    text[info.st_size] = '\0';
    if (used) ADE_TRY_GOTO(ade__used_files_add(used, name, &info), done);
    *data = text;
    *size = (size_t)info.st_size;
    text = NULL;
done:
    ade__free(text);
    close(fd);
    return status;
}

size_t ade__utf8_valid(const char *data, size_t size) {
    const unsigned char *p = (const unsigned char *)data;
    size_t               i = 0;
    while (i < size) {
        unsigned char lead = p[i];
        size_t        n = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : 4;
        if ((n == 4 && (lead < 0xf0 || lead > 0xf4)) || n > size - i) return i;
        for (size_t k = 1; k < n; k++)
            if ((p[i + k] & 0xc0) != 0x80) return i;
        /* overlong forms, surrogates and values above U+10FFFF show in the second byte */
        if ((lead == 0xe0 && p[i + 1] < 0xa0) || (lead == 0xed && p[i + 1] > 0x9f) ||
            (lead == 0xf0 && p[i + 1] < 0x90) || (lead == 0xf4 && p[i + 1] > 0x8f))
            return i;
        i += n;
    }
    return size;
}
