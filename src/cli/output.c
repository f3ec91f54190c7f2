/* SPDX-License-Identifier: Apache-2.0
 * Where rows go: standard output, or a file that has its name only when it is complete. */
#include "output.h"

#include "exit_status.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLUSH_SIZE = 64 * 1024 };

static const char *shown_name(const output *out) { return out->name ? out->name : "standard output"; }

static int fail_errno(output *out, const char *what) {
    int error = errno;
    if (error == EPIPE) {
        out->status = CLI_CLOSED;
        return out->status;
    }
    say(SAY_ERROR, "%s: %s: %s.", shown_name(out), what, strerror(error));
    if (error == ENOSPC || error == EDQUOT)
        say(SAY_HINT, "%s%s",
            out->repeatable ? "make room, and run the same command again"
                            : "make room, or choose another disk with -o FILE",
            out->target && !out->repeatable ? "; nothing was left under that name" : "");
    out->status = CLI_FAILED;
    return out->status;
}

static int same_file(const char *path, const struct stat *other) {
    struct stat info;
    return stat(path, &info) == 0 && info.st_dev == other->st_dev && info.st_ino == other->st_ino;
}

/* A name in the folder of `target`, short whatever the target's length. */
static char *temporary_name(const char *target, unsigned attempt) {
    const char *slash = strrchr(target, '/');
    size_t      folder = slash ? (size_t)(slash - target) + 1 : 0;
    size_t      size = folder + 64;
    char       *name = malloc(size);
    if (name) snprintf(name, size, "%.*s.adesieve-%ld-%u.part", (int)folder, target, (long)getpid(), attempt);
    return name;
}

static int open_temporary(output *out, const struct stat *existing) {
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        out->temporary = temporary_name(out->target, attempt);
        if (!out->temporary) {
            errno = ENOMEM;
            return -1;
        }
        out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->fd >= 0) {
            out->close_fd = 1;
            if (existing) (void)fchmod(out->fd, existing->st_mode & 0777); /* keep a replaced file's permissions */
            return 0;
        }
        free(out->temporary);
        out->temporary = NULL;
        if (errno != EEXIST) return -1;
    }
    return -1;
}

/* ---- A temporary name that is found again ---- */

#define FNV_START 0xcbf29ce484222325u

static uint64_t fnv(uint64_t hash, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

char *output_partial_name(const char *target, const char *owner) {
    const char *slash = strrchr(target, '/'), *base = slash ? slash + 1 : target;
    uint64_t    hash = fnv(FNV_START, base, strlen(base) + 1);
    char       *name = malloc(160);
    if (!name) return NULL;
    if (owner) hash = fnv(hash, owner, strlen(owner));
    snprintf(name, 160, ".%.100s.adesieve-%016llx.part", base, (unsigned long long)hash);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '_'; /* the name is noted as a text */
    return name;
}

/* Whether the locked file is still the one of that name; a run that ended meanwhile has renamed or removed it. */
static int still_there(int fd, const char *name) {
    struct stat info, named;
    return fstat(fd, &info) == 0 && lstat(name, &named) == 0 && info.st_dev == named.st_dev &&
           info.st_ino == named.st_ino;
}

static int open_partial(output *out, const char *partial, const struct stat *existing) {
    const char *slash = strrchr(out->target, '/');
    size_t      folder = slash ? (size_t)(slash - out->target) + 1 : 0, size = folder + strlen(partial) + 1;
    out->temporary = malloc(size);
    if (!out->temporary) {
        errno = ENOMEM;
        return -1;
    }
    snprintf(out->temporary, size, "%.*s%s", (int)folder, out->target, partial);
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        int fd = open(out->temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666), error;
        if (fd < 0) break;
        /* Not every file system has locks: without one the store's own has to do. */
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            error = errno;
            close(fd);
            errno = error;
            break;
        }
        if (still_there(fd, out->temporary)) {
            out->fd = fd;
            out->close_fd = 1;
            if (existing) (void)fchmod(fd, existing->st_mode & 0777);
            return 0;
        }
        close(fd);
        errno = EAGAIN;
    }
    free(out->temporary); /* not ours to remove */
    out->temporary = NULL;
    return -1;
}

/* `name` in the folder of `path`; a name that begins with '/' is none of that folder. */
static char *in_folder_of(const char *path, const char *name) {
    const char *slash = name[0] == '/' ? NULL : strrchr(path, '/');
    size_t      folder = slash ? (size_t)(slash - path) + 1 : 0, size = folder + strlen(name) + 1;
    char       *whole = malloc(size);
    if (whole) snprintf(whole, size, "%.*s%s", (int)folder, path, name);
    return whole;
}

/* A file that is not there: its folder without links, and its name. */
static char *resolved_new(const char *path) {
    const char *slash = strrchr(path, '/');
    char       *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char       *real = folder ? realpath(folder, NULL) : NULL, *whole = NULL;
    if (real) {
        size_t size = strlen(real) + strlen(path) + 2;
        whole = malloc(size);
        if (whole) snprintf(whole, size, "%s%s%s", real, strcmp(real, "/") == 0 ? "" : "/", slash ? slash + 1 : path);
    }
    free(real);
    free(folder);
    return whole;
}

/* The path without links, also without one to a file that is not there. NULL with errno. */
static char *resolved(const char *path) {
    enum { MOST_LINKS = 40 };
    char *at = strdup(path), *whole = NULL;
    for (int links = 0; at && !whole; links++) {
        char    target[PATH_MAX], *next;
        ssize_t size;
        whole = realpath(at, NULL);
        if (whole || errno != ENOENT) break;
        size = links < MOST_LINKS ? readlink(at, target, sizeof target - 1) : -1;
        if (size < 0) {
            whole = resolved_new(at);
            break;
        }
        target[size] = '\0';
        next = in_folder_of(at, target);
        free(at);
        at = next;
    }
    free(at);
    return whole;
}

int output_same(const output *a, const output *b) {
    if (!a->name || !b->name) return a->fd == STDOUT_FILENO && b->fd == STDOUT_FILENO;
    return a->target && b->target && strcmp(a->target, b->target) == 0;
}

char *output_identity(const char *path) {
    struct stat info;
    if (!path || strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0) return strdup("-");
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return strdup(path);
    return resolved(path);
}

int output_open(output *out, const char *path, const char *const *inputs, size_t n_inputs) {
    return output_open_partial(out, path, NULL, inputs, n_inputs);
}

int output_open_partial(output *out, const char *path, const char *partial, const char *const *inputs,
                        size_t n_inputs) {
    struct stat info;
    int         exists;
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->repeatable = partial != NULL;
    out->last_flush = seconds_now();
    if (!path || strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0) {
        out->fd = STDOUT_FILENO;
        out->line_wise = isatty(STDOUT_FILENO);
        if (fcntl(STDOUT_FILENO, F_GETFD) == -1) return fail_errno(out, "standard output is closed");
        if (fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode))
            for (size_t i = 0; i < n_inputs; i++)
                if (same_file(inputs[i], &info)) {
                    say(SAY_ERROR, "%s: is an input and would be overwritten by standard output.", inputs[i]);
                    return out->status = CLI_FAILED;
                }
        return CLI_OK;
    }
    out->name = path;
    exists = stat(path, &info) == 0;
    if (!exists && errno != ENOENT) return fail_errno(out, "cannot be written");
    if (exists && S_ISDIR(info.st_mode)) {
        say(SAY_ERROR, "%s: is a folder; name a file in it.", path);
        return out->status = CLI_FAILED;
    }
    if (exists && !S_ISREG(info.st_mode)) {
        out->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (out->fd < 0) return fail_errno(out, "cannot be opened for writing");
        out->close_fd = 1;
        out->line_wise = isatty(out->fd);
        return CLI_OK;
    }
    for (size_t i = 0; exists && i < n_inputs; i++)
        if (same_file(inputs[i], &info)) {
            say(SAY_ERROR, "%s: is an input too and would be overwritten; choose another name for the output.", path);
            return out->status = CLI_FAILED;
        }
    if (exists && access(path, W_OK) != 0) return fail_errno(out, "cannot be written");
    out->target = resolved(path); /* a link stays a link: what it points to is replaced */
    if (!out->target || (partial ? open_partial(out, partial, exists ? &info : NULL)
                                 : open_temporary(out, exists ? &info : NULL)) != 0) {
        if (partial && errno == EWOULDBLOCK) {
            say(SAY_ERROR, "%s: is being written by another run; wait for its end, or choose another name.", path);
            return out->status = CLI_FAILED;
        }
        return fail_errno(out, "cannot be written, because no file can be made in its folder");
    }
    return CLI_OK;
}

int output_restart(output *out, uint64_t position) {
    if (out->status != CLI_OK) return out->status;
    out->rows.size = 0;
    if (out->target && (ftruncate(out->fd, (off_t)position) != 0 || lseek(out->fd, (off_t)position, SEEK_SET) < 0))
        return fail_errno(out, "its unfinished rows cannot be cut off");
    out->written = out->marked = position;
    return CLI_OK;
}

int output_mark(output *out) {
    int status = output_flush(out);
    out->marked = out->written;
    return status;
}

int output_sync(output *out) {
    int status = output_mark(out);
    if (status == CLI_OK && out->target && fsync(out->fd) != 0) status = fail_errno(out, "cannot be written to disk");
    return status;
}

int output_take_back(output *out) {
    if (!out->target) return out->status;
    return output_restart(out, out->marked);
}

int output_tail(const char *path, uint64_t position, char sum[17]) {
    enum { TAIL = 4096 };
    char   data[TAIL];
    size_t size = position < TAIL ? (size_t)position : TAIL, have = 0;
    int    fd = open(path, O_RDONLY | O_CLOEXEC), error;
    if (fd < 0) return -1;
    while (have < size) {
        ssize_t n = pread(fd, data + have, size - have, (off_t)(position - size + have));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENODATA;
        if (n <= 0) break;
        have += (size_t)n;
    }
    error = errno;
    close(fd);
    errno = error;
    if (have < size) return -1;
    snprintf(sum, 17, "%016llx", (unsigned long long)fnv(FNV_START, data, size));
    return 0;
}

int output_flush(output *out) {
    const char *at = out->rows.data;
    size_t      left = out->rows.size;
    if (out->status != CLI_OK) return out->status;
    if (out->rows.failed) {
        say(SAY_ERROR, "%s: out of memory while a row was made.", shown_name(out));
        return out->status = CLI_FAILED;
    }
    while (left > 0) {
        ssize_t n = write(out->fd, at, left);
        if (n >= 0) {
            at += n;
            left -= (size_t)n;
            out->written += (uint64_t)n;
            /* A signal in the middle of a write to a full pipe is seen as fewer bytes, and the next write would wait.
             */
            if (left > 0 && signals_interrupted()) return out->status = CLI_INTERRUPTED;
        } else if (errno == EINTR) {
            if (signals_interrupted()) return out->status = CLI_INTERRUPTED;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd wait = {out->fd, POLLOUT, 0};
            poll(&wait, 1, -1);
            if (signals_interrupted()) return out->status = CLI_INTERRUPTED;
        } else {
            return fail_errno(out, "cannot be written");
        }
    }
    out->rows.size = 0;
    out->last_flush = seconds_now();
    return CLI_OK;
}

int output_row_end(output *out) {
    if (out->status != CLI_OK) return out->status;
    if (out->rows.failed || out->rows.size >= FLUSH_SIZE || out->line_wise) return output_flush(out);
    return CLI_OK;
}

int output_flush_if_old(output *out) {
    if (out->status != CLI_OK) return out->status;
    if (out->rows.size > 0 && !out->target && seconds_now() - out->last_flush > 0.5) return output_flush(out);
    return CLI_OK;
}

/* The rename itself has to reach the disk too. A folder that cannot be opened or synced is no reason to fail. */
static void sync_folder(const char *target) {
    const char *slash = strrchr(target, '/');
    char       *name = slash ? strndup(target, (size_t)(slash - target) + 1) : strdup(".");
    int         fd = name ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(name);
}

int output_finish(output *out, int complete) {
    int      status = out->status, fd = out->fd, held = -1;
    uint64_t written;
    if (fd >= 0 && (complete || !out->target)) {
        status = output_flush(out);
        if (status == CLI_OK && out->target && fsync(fd) != 0) status = fail_errno(out, "cannot be written to disk");
        if (out->target) held = dup(fd); /* a partial's lock ends with the last of its descriptors: behind the rename */
        /* A full disk may be seen at close only; so standard output is closed here and looked at, too. */
        if (close(fd) != 0 && errno != EINTR && status == CLI_OK) status = fail_errno(out, "cannot be closed");
        out->fd = -1;
        if (status == CLI_OK && out->target) {
            if (rename(out->temporary, out->target) != 0)
                status = fail_errno(out, "cannot be given its name");
            else {
                free(out->temporary);
                out->temporary = NULL;
                sync_folder(out->target);
            }
        }
    }
    if (out->temporary && !out->keep) unlink(out->temporary);
    if (held >= 0) close(held);
    if (out->fd >= 0 && out->close_fd) close(out->fd);
    free(out->temporary);
    free(out->target);
    bytes_free(&out->rows);
    written = out->written;
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->status = status;
    out->written = written; /* the size of the file */
    return status;
}
