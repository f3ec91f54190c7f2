/* SPDX-License-Identifier: Apache-2.0
 * The bytes of one input: a file or standard input, plain or gzip. */
#include "input.h"

#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { STORED_SIZE = 64 * 1024 };

struct input {
    int           fd, regular, gzip_name, started, gzip, member_open, at_end;
    uint64_t      position;
    z_stream      stream;
    unsigned char stored[STORED_SIZE]; /* bytes as read, from next to end */
    size_t        next, end;
};

input *input_open(const char *path, char *error, size_t error_size) {
    struct stat info;
    size_t      length = strlen(path);
    int         fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    input      *in;
    if (fd < 0 || fstat(fd, &info) != 0) {
        snprintf(error, error_size, "cannot be opened: %s.", strerror(errno));
        if (fd > STDIN_FILENO) close(fd);
        return NULL;
    }
    in = S_ISDIR(info.st_mode) ? NULL : calloc(1, sizeof *in);
    if (!in) {
        snprintf(error, error_size, "%s",
                 S_ISDIR(info.st_mode) ? "is a folder; name the files in it." : "out of memory.");
        if (fd != STDIN_FILENO) close(fd);
        return NULL;
    }
    in->fd = fd;
    in->regular = S_ISREG(info.st_mode);
    in->gzip_name = length > 3 && strcmp(path + length - 3, ".gz") == 0;
    return in;
}

void input_close(input *in) {
    if (!in) return;
    if (in->gzip) inflateEnd(&in->stream);
    if (in->fd != STDIN_FILENO) close(in->fd);
    free(in);
}

uint64_t input_position(const input *in) { return in->position; }

int input_would_wait(input *in) {
    struct pollfd wait = {in->fd, POLLIN, 0};
    if (in->regular || in->at_end || in->next < in->end) return 0;
    return poll(&wait, 1, 0) == 0;
}

/* Reads more stored bytes behind those that are left. 0 at the end. */
static ssize_t fill(input *in, char *error, size_t error_size) {
    if (in->at_end) return 0;
    memmove(in->stored, in->stored + in->next, in->end - in->next);
    in->end -= in->next;
    in->next = 0;
    for (;;) {
        if (!in->regular && signals_wait_readable(in->fd)) return INPUT_INTERRUPTED;
        ssize_t n = read(in->fd, in->stored + in->end, STORED_SIZE - in->end);
        if (n > 0) {
            in->end += (size_t)n;
            in->position += (uint64_t)n;
            return n;
        }
        if (n == 0) {
            in->at_end = 1;
            return 0;
        }
        if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
            snprintf(error, error_size, "cannot be read: %s.", strerror(errno));
            return INPUT_ERROR;
        }
        if (signals_interrupted()) return INPUT_INTERRUPTED;
    }
}

/* Makes sure that at least `need` stored bytes are there, unless the input ends before. */
static ssize_t need_stored(input *in, size_t need, char *error, size_t error_size) {
    while (in->end - in->next < need) {
        ssize_t n = fill(in, error, error_size);
        if (n < 0) return n;
        if (n == 0) break;
    }
    return (ssize_t)(in->end - in->next);
}

static int is_gzip(const input *in) {
    return in->end - in->next >= 2 && in->stored[in->next] == 0x1f && in->stored[in->next + 1] == 0x8b;
}

static ssize_t read_gzip(input *in, char *data, size_t size, char *error, size_t error_size) {
    in->stream.next_out = (Bytef *)data;
    in->stream.avail_out = size > 1u << 30 ? 1u << 30 : (uInt)size;
    for (;;) {
        ssize_t have = need_stored(in, in->member_open ? 1 : 2, error, error_size);
        int     code;
        size_t  before = in->stream.avail_out;
        if (have < 0) return have;
        if (!in->member_open) {
            while (in->next < in->end && in->stored[in->next] == 0) in->next++; /* tapes and dd pad with zeros */
            have = need_stored(in, 2, error, error_size);
            if (have < 0) return have;
            if (have == 0) return 0;
            if (!is_gzip(in)) {
                if (in->stored[in->next] == 0) continue;
                snprintf(error, error_size,
                         "has bytes that are not gzip behind its compressed data (byte %llu); "
                         "it may be damaged.",
                         (unsigned long long)(in->position - (in->end - in->next) + 1));
                return INPUT_ERROR;
            }
            inflateReset(&in->stream);
            in->member_open = 1;
        }
        if (have == 0) {
            snprintf(error, error_size,
                     "ends in the middle of its compressed data; it was probably not copied or "
                     "downloaded completely.");
            return INPUT_ERROR;
        }
        in->stream.next_in = in->stored + in->next;
        in->stream.avail_in = (uInt)(in->end - in->next);
        code = inflate(&in->stream, Z_NO_FLUSH);
        in->next = in->end - in->stream.avail_in;
        if (code == Z_STREAM_END)
            in->member_open = 0;
        else if (code != Z_OK && code != Z_BUF_ERROR) {
            snprintf(error, error_size, "is damaged: its compressed data is not gzip any more before byte %llu (%s).",
                     (unsigned long long)(in->position - (in->end - in->next) + 1),
                     in->stream.msg ? in->stream.msg : "inflate failed");
            return INPUT_ERROR;
        }
        if (in->stream.avail_out != before) return (ssize_t)(before - in->stream.avail_out);
    }
}

ssize_t input_read(input *in, char *data, size_t size, char *error, size_t error_size) {
    ssize_t have;
    if (!in->started) {
        have = need_stored(in, 2, error, error_size);
        if (have < 0) return have;
        in->started = 1;
        in->gzip = is_gzip(in);
        if (in->gzip && inflateInit2(&in->stream, 15 + 16) != Z_OK) {
            in->gzip = 0;
            snprintf(error, error_size, "cannot be decompressed: out of memory.");
            return INPUT_ERROR;
        }
        if (!in->gzip && in->gzip_name) {
            snprintf(error, error_size,
                     "is not gzip data, though its name ends in .gz; rename it if it is plain text.");
            in->started = 0;
            return INPUT_ERROR;
        }
    }
    if (in->gzip) return read_gzip(in, data, size, error, error_size);
    have = need_stored(in, 1, error, error_size);
    if (have <= 0) return have;
    if ((size_t)have > size) have = (ssize_t)size;
    memcpy(data, in->stored + in->next, (size_t)have);
    in->next += (size_t)have;
    return have;
}
