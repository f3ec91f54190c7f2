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
        say(SAY_HINT, "make room, or choose another disk with -o FILE%s",
            out->target ? "; nothing was left under that name" : "");
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

/* The path without links; the file itself need not exist. NULL with errno. */
static char *resolved(const char *path) {
    char       *whole = realpath(path, NULL), *folder;
    const char *slash = strrchr(path, '/');
    if (whole || errno != ENOENT) return whole;
    folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (folder) {
        char *real = realpath(folder, NULL);
        if (real) {
            size_t size = strlen(real) + strlen(path) + 2;
            whole = malloc(size);
            if (whole) snprintf(whole, size, "%s/%s", real, slash ? slash + 1 : path);
        }
        free(real);
    }
    free(folder);
    return whole;
}

int output_same(const output *a, const output *b) {
    if (!a->name || !b->name) return a->fd == STDOUT_FILENO && b->fd == STDOUT_FILENO;
    return a->target && b->target && strcmp(a->target, b->target) == 0;
}

int output_open(output *out, const char *path, const char *const *inputs, size_t n_inputs) {
    struct stat info;
    int         exists;
    memset(out, 0, sizeof *out);
    out->fd = -1;
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
    if (!out->target || open_temporary(out, exists ? &info : NULL) != 0)
        return fail_errno(out, "cannot be written, because no file can be made in its folder");
    return CLI_OK;
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
    int status = out->status, fd = out->fd;
    if (fd >= 0 && (complete || !out->target)) {
        status = output_flush(out);
        if (status == CLI_OK && out->target && fsync(fd) != 0) status = fail_errno(out, "cannot be written to disk");
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
    if (out->fd >= 0 && out->close_fd) close(out->fd);
    if (out->temporary) unlink(out->temporary);
    free(out->temporary);
    free(out->target);
    bytes_free(&out->rows);
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->status = status;
    return status;
}
