/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include "alloc.h"
#include "status.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ade__inputs_number(const char *name, uint64_t *number) {
    size_t end = strcspn(name, "."), begin;
    while (end > 0 && (name[end - 1] < '0' || name[end - 1] > '9')) end--;
    begin = end;
    while (begin > 0 && name[begin - 1] >= '0' && name[begin - 1] <= '9') begin--;
    if (begin == end) return false;
    uint64_t value = 0;
    for (size_t i = begin; i < end; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            value = UINT64_MAX;
    *number = value;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool ade__inputs_year(const char *name, uint64_t *year) {
    size_t i = 0;
    while ((name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z') i++;
    if (i == 0 || !is_digit(name[i]) || !is_digit(name[i + 1]) || name[i + 2] != 'n' || !is_digit(name[i + 3]))
        return false;
    const size_t at = i;
    for (i += 3; is_digit(name[i]);) i++;
    if (name[i] != '.' && name[i] != '\0') return false;
    *year = (uint64_t)(name[at] - '0') * 10 + (uint64_t)(name[at + 1] - '0');
    return true;
}

static bool is_medline_name(const char *name) {
    size_t n = strlen(name);
    return name[0] != '.' && ((n > 4 && !strcmp(name + n - 4, ".xml")) || (n > 7 && !strcmp(name + n - 7, ".xml.gz")));
}

static void forget(ade_inputs *inputs, size_t n) {
    while (inputs->n > n) ade__free(inputs->files[--inputs->n].path);
}

/* The file that is there already under this or another name, or NULL. */
static const ade_input_file *find_same(const ade_inputs *inputs, const char *path, const struct stat *info) {
    for (size_t i = 0; i < inputs->n; i++) {
        const ade_input_file *other = &inputs->files[i];
        const bool            both_named = info && strcmp(other->path, "-");
        if (both_named ? other->device == info->st_dev && other->inode == info->st_ino : !strcmp(other->path, path))
            return other;
    }
    return NULL;
}

static ade_status add_file(ade_inputs *inputs, const char *path, const struct stat *info) {
    ade_input_file file = {.sized = info && S_ISREG(info->st_mode)};
    if (info) {
        file.size = file.sized ? (uint64_t)info->st_size : 0;
        file.mtime = file.sized ? (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec : 0;
        file.device = info->st_dev;
        file.inode = info->st_ino;
    }
    const ade_input_file *same = find_same(inputs, path, info);
    if (same)
        return ade__fail(ADE_INVALID_ARGUMENT, "%s is given twice (also as %s); a file is screened once, leave one out",
                         path, same->path);
    if (ade__reserve(&inputs->files, &inputs->capacity, inputs->n + 1, sizeof *inputs->files)) return ADE_OUT_OF_MEMORY;
    file.path = ade__strdup(path);
    if (!file.path) return ADE_OUT_OF_MEMORY;
    const char *slash = strrchr(file.path, '/');
    file.name = slash ? slash + 1 : file.path;
    file.has_number = ade__inputs_number(file.name, &file.number);
    file.of_nlm = ade__inputs_year(file.name, &file.year);
    inputs->files[inputs->n++] = file;
    return ADE_OK;
}

/* What cannot be looked at (a link to nowhere) is named when its turn comes, like any file that fails: the others are no
 * worse for it. */
static ade_status add_entry(ade_inputs *inputs, const char *path, bool links, const ade_log *log) {
    struct stat info;
    const bool  is_link = !lstat(path, &info) && S_ISLNK(info.st_mode), there = !stat(path, &info);
    if (is_link != links || (there && !S_ISREG(info.st_mode))) return ADE_OK;
    const ade_input_file *same = is_link && there ? find_same(inputs, path, &info) : NULL;
    if (same) {
        ade__log(log, ADE_LOG_WARNING, "%s is left out: it is a link to %s, which is screened", path, same->path);
        return ADE_OK;
    }
    return add_file(inputs, path, there ? &info : NULL);
}

/* Links come after the files, so that it is they that are left out. */
static ade_status add_entries(ade_inputs *inputs, const char *path, DIR *folder, bool links, const ade_log *log) {
    rewinddir(folder);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry && errno) return ade__fail(ADE_IO, "the folder %s cannot be read: %s", path, strerror(errno));
        if (!entry) return ADE_OK;
        if (!is_medline_name(entry->d_name)) continue;
        char *full = ade__join_path(path, entry->d_name);
        if (!full) return ADE_OUT_OF_MEMORY;
        ade_status status = add_entry(inputs, full, links, log);
        ade__free(full);
        if (status) return status;
    }
}

static ade_status add_folder(ade_inputs *inputs, const char *path, const ade_log *log) {
    DIR *folder = opendir(path);
    if (!folder) return ade__fail(ADE_IO, "the folder %s cannot be opened: %s", path, strerror(errno));
    const size_t before = inputs->n;
    ade_status   status = add_entries(inputs, path, folder, false, log);
    if (!status) status = add_entries(inputs, path, folder, true, log);
    closedir(folder);
    if (!status && inputs->n == before)
        status = ade__fail(ADE_IO, "the folder %s holds no file named *.xml or *.xml.gz", path);
    if (status) forget(inputs, before);
    return status;
}

ade_status ade__inputs_add(ade_inputs *inputs, const char *path, const ade_log *log) {
    struct stat info;
    if (!strcmp(path, "-")) return add_file(inputs, path, NULL);
    if (stat(path, &info)) return ade__fail(ADE_IO, "%s cannot be read: %s", path, strerror(errno));
    return S_ISDIR(info.st_mode) ? add_folder(inputs, path, log) : add_file(inputs, path, &info);
}

static int compare(const void *a, const void *b) {
    const ade_input_file *x = a, *y = b;
    if (x->has_number != y->has_number) return x->has_number ? 1 : -1;
    if (x->year != y->year) return x->year < y->year ? -1 : 1;
    if (x->has_number && x->number != y->number) return x->number < y->number ? -1 : 1;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->path, y->path);
}

void ade__inputs_sort(ade_inputs *inputs) {
    if (inputs->n) qsort(inputs->files, inputs->n, sizeof *inputs->files, compare);
}

uint64_t ade__inputs_bytes(const ade_inputs *inputs) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < inputs->n; i++) {
        if (inputs->files[i].done) continue;
        if (!inputs->files[i].sized) return 0;
        bytes += inputs->files[i].size;
    }
    return bytes;
}

void ade__inputs_free(ade_inputs *inputs) {
    if (!inputs) return;
    forget(inputs, 0);
    ade__free(inputs->files);
    *inputs = (ade_inputs){0};
}
