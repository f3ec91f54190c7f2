/* SPDX-License-Identifier: Apache-2.0
 * Streaming input: poll, read, inflate. The only file that includes zlib's header. */
#include "gzip_in.h"

#include "alloc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define STORED_CAPACITY (256 * 1024) /* few system calls; still in the second-level cache */
#define GZIP_WINDOW (15 + 16)        /* largest window; gzip frames only */

typedef enum format { FORMAT_UNKNOWN, FORMAT_PLAIN, FORMAT_GZIP } format;

struct ade_input {
    char         *name; /* for messages */
    int           fd, wake_fd;
    int           owned; /* fd is ours to close */
    int           end_of_file;
    format        format;
    int           inflating; /* z is initialised */
    int           in_member; /* a member has begun and not ended */
    uint64_t      members;   /* complete ones */
    uint64_t      stored;    /* bytes read from fd */
    z_stream      z;
    ade_md5      *md5;    /* NULL = not wanted */
    ade_status    failed; /* given back for ever, with the text */
    char          error[1024];
    size_t        begin, end; /* unread part of buffer */
    unsigned char buffer[STORED_CAPACITY];
};

static voidpf z_allocate(voidpf opaque, uInt count, uInt size) {
    (void)opaque;
    return ade__calloc(count, size);
}

static void z_release(voidpf opaque, voidpf memory) {
    (void)opaque;
    ade__free(memory);
}

ade_status ade__input_open(const char *path, int wake_fd, ade_input **out) {
    ade_input *in = ade__malloc(sizeof *in);
    if (!in) return ADE_OUT_OF_MEMORY;
    memset(in, 0, offsetof(ade_input, buffer));
    in->wake_fd = wake_fd;
    in->owned = strcmp(path, "-") != 0;
    in->name = ade__strdup(in->owned ? path : "standard input");
    if (!in->name) {
        ade__free(in);
        return ADE_OUT_OF_MEMORY;
    }
    in->fd = STDIN_FILENO;
    /* O_NONBLOCK: a named pipe without a writer must not hold us here; poll() does the waiting. */
    if (in->owned && (in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0) {
        ade_status status = ade__fail(ADE_IO, "%s cannot be opened for reading: %s", path, strerror(errno));
        in->owned = 0;
        ade__input_close(in);
        return status;
    }
    *out = in;
    return ADE_OK;
}

void ade__input_close(ade_input *in) {
    if (!in) return;
    if (in->inflating) inflateEnd(&in->z);
    if (in->owned) close(in->fd);
    ade__md5_free(in->md5);
    ade__free(in->name);
    ade__free(in);
}

uint64_t ade__input_bytes_read(const ade_input *in) { return in->stored - (in->end - in->begin); }

ade_status ade__input_want_md5(ade_input *in) { return ade__md5_new(&in->md5); }

void ade__input_md5(const ade_input *in, char text[ADE_MD5_TEXT]) {
    text[0] = '\0';
    if (in->md5 && in->end_of_file) ade__md5_end(in->md5, text);
}

/* Remembers the error that was just set; later reads repeat it. */
static ade_status fail(ade_input *in, ade_status status) {
    in->failed = status;
    ade__copy_error(in->error, sizeof in->error);
    return status;
}

/* Waits for bytes and reads up to `capacity`; 0 at the end of the file. */
static ade_status read_stored(ade_input *in, unsigned char *to, size_t capacity, size_t *got) {
    *got = 0;
    for (;;) {
        struct pollfd waits[2] = {{.fd = in->fd, .events = POLLIN}, {.fd = in->wake_fd, .events = POLLIN}};
        if (poll(waits, in->wake_fd < 0 ? 1 : 2, -1) < 0) {
            if (errno == EINTR) continue;
            return fail(in, ade__fail(ADE_IO, "%s cannot be waited for: %s", in->name, strerror(errno)));
        }
        if (in->wake_fd >= 0 && waits[1].revents)
            return fail(in, ade__fail(ADE_CANCELLED, "reading %s was stopped", in->name));
        if (!waits[0].revents) continue;
        ssize_t n = read(in->fd, to, capacity);
        if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
        if (n < 0)
            return fail(in, ade__fail(ADE_IO, "%s cannot be read at byte %llu: %s", in->name,
                                      (unsigned long long)in->stored, strerror(errno)));
        in->stored += (uint64_t)n;
        if (in->md5) ade__md5_add(in->md5, to, (size_t)n);
        in->end_of_file = n == 0;
        *got = (size_t)n;
        return ADE_OK;
    }
}

/* Refills the empty buffer. */
static ade_status refill(ade_input *in) {
    size_t got;
    in->begin = in->end = 0;
    if (in->end_of_file) return ADE_OK;
    ADE_TRY(read_stored(in, in->buffer, sizeof in->buffer, &got));
    in->end = got;
    return ADE_OK;
}

/* XML cannot begin with 0x1f, so this one byte tells gzip, also when a file was cut right behind it. */
static ade_status find_format(ade_input *in) {
    static const struct {
        const char *magic, *what;
        size_t      size;
    } others[] = {{"PK\x03\x04", "a zip archive", 4},
                  {"BZh", "compressed by bzip2", 3},
                  {"\xfd"
                   "7zXZ",
                   "compressed by xz", 5},
                  {"\x28\xb5\x2f\xfd", "compressed by zstd", 4}};
    ADE_TRY(refill(in));
    while (in->end < 5 && !in->end_of_file) { /* a pipe may give a byte at a time */
        size_t got;
        ADE_TRY(read_stored(in, in->buffer + in->end, sizeof in->buffer - in->end, &got));
        in->end += got;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (in->end >= others[i].size && !memcmp(in->buffer, others[i].magic, others[i].size))
            return fail(in, ade__fail(ADE_BAD_INPUT, "%s is %s; only plain and gzip files are read, unpack it first",
                                      in->name, others[i].what));
    if (!in->end || in->buffer[0] != 0x1f) {
        in->format = FORMAT_PLAIN;
        return ADE_OK;
    }
    in->z.zalloc = z_allocate;
    in->z.zfree = z_release;
    int code = inflateInit2(&in->z, GZIP_WINDOW);
    if (code == Z_MEM_ERROR) return fail(in, ADE_OUT_OF_MEMORY);
    if (code != Z_OK) return fail(in, ade__fail(ADE_INTERNAL, "zlib %s refuses to start", zlibVersion()));
    in->inflating = 1;
    in->format = FORMAT_GZIP;
    return ADE_OK;
}

/* At a place where a member may begin: 1 when one does, 0 at the end, -1 on failure (remembered). */
static int next_member(ade_input *in) {
    int padding = 0;
    for (;;) {
        while (in->begin < in->end && in->buffer[in->begin] == 0 && in->members) {
            in->begin++;
            padding = 1;
        }
        if (in->begin < in->end) break;
        if (in->end_of_file) return 0;
        if (refill(in) != ADE_OK) return -1;
        if (in->end_of_file) return 0;
    }
    if (!in->members) return 1;
    if (padding || in->buffer[in->begin] != 0x1f) {
        (void)fail(in, ade__fail(ADE_BAD_INPUT,
                                 "%s holds something that is not gzip behind the last gzip member, at byte %llu; the "
                                 "file is damaged or was put together wrongly",
                                 in->name, (unsigned long long)ade__input_bytes_read(in)));
        return -1;
    }
    inflateReset(&in->z);
    return 1;
}

static ade_status read_gzip(ade_input *in, void *to, size_t capacity, size_t *got) {
    in->z.next_out = to;
    in->z.avail_out = capacity < UINT_MAX ? (uInt)capacity : UINT_MAX;
    const uInt wanted = in->z.avail_out;
    while (in->z.avail_out == wanted) {
        if (!in->in_member) {
            int more = next_member(in);
            if (more < 0) return in->failed;
            if (!more) break;
            in->in_member = 1;
        }
        if (in->begin == in->end) {
            ADE_TRY(refill(in));
            if (in->begin == in->end) { /* the file is cut; zlib may still hold the end of a long match */
                in->z.avail_in = 0;
                (void)inflate(&in->z, Z_NO_FLUSH);
                if (in->z.avail_out != wanted) break;
                return fail(in, ade__fail(ADE_BAD_INPUT,
                                          "%s is truncated: it ends inside a gzip member, at byte %llu; fetch it again",
                                          in->name, (unsigned long long)in->stored));
            }
        }
        in->z.next_in = in->buffer + in->begin;
        in->z.avail_in = (uInt)(in->end - in->begin);
        int code = inflate(&in->z, Z_NO_FLUSH);
        in->begin = in->end - in->z.avail_in;
        if (code == Z_STREAM_END) {
            in->in_member = 0;
            in->members++;
        } else if (code == Z_MEM_ERROR) {
            (void)fail(in, ADE_OUT_OF_MEMORY);
            break;
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            (void)fail(in, ade__fail(ADE_BAD_INPUT, "%s is damaged: %s in the gzip data near byte %llu; fetch it again",
                                     in->name, in->z.msg ? in->z.msg : "a preset dictionary",
                                     (unsigned long long)ade__input_bytes_read(in)));
            break;
        }
    }
    *got = wanted - in->z.avail_out;
    return *got ? ADE_OK : in->failed; /* what was unpacked before the fault goes first */
}

ade_status ade__input_read(ade_input *in, void *buffer, size_t capacity, size_t *got) {
    *got = 0;
    if (in->failed) return ade__adopt_error(in->failed, in->error);
    if (in->format == FORMAT_UNKNOWN) ADE_TRY(find_format(in));
    if (in->format == FORMAT_GZIP) return read_gzip(in, buffer, capacity, got);
    if (in->begin < in->end) { /* what telling the format had to read */
        size_t n = in->end - in->begin < capacity ? in->end - in->begin : capacity;
        memcpy(buffer, in->buffer + in->begin, n);
        in->begin += n;
        *got = n;
        return ADE_OK;
    }
    return in->end_of_file ? ADE_OK : read_stored(in, buffer, capacity, got);
}
