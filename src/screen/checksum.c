/* SPDX-License-Identifier: Apache-2.0
 * The only file that includes libmd's header for MD5. */
#include "checksum.h"

#include "alloc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <md5.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)256 * 1024)
#define SUM_FILE_LIMIT 4096 /* bytes; a real one has about 60 */

struct ade_md5 {
    MD5_CTX context;
};

ade_status ade__md5_new(ade_md5 **out) {
    ade_md5 *md5 = ade__malloc(sizeof *md5);
    if (!md5) return ADE_OUT_OF_MEMORY;
    MD5Init(&md5->context);
    *out = md5;
    return ADE_OK;
}

void ade__md5_free(ade_md5 *md5) { ade__free(md5); }

void ade__md5_add(ade_md5 *md5, const void *data, size_t size) { MD5Update(&md5->context, data, size); }

void ade__md5_end(const ade_md5 *md5, char text[ADE_MD5_TEXT]) {
    static const char hex[] = "0123456789abcdef";
    MD5_CTX           copy = md5->context;
    uint8_t           digest[MD5_DIGEST_LENGTH];
    MD5Final(digest, &copy);
    for (size_t i = 0; i < sizeof digest; i++) {
        text[2 * i] = hex[digest[i] >> 4];
        text[2 * i + 1] = hex[digest[i] & 15];
    }
    text[2 * sizeof digest] = '\0';
}

bool ade__md5_woken(void *wake_fd) {
    const int    *fd = wake_fd;
    struct pollfd wake = {.fd = *fd, .events = POLLIN};
    return *fd >= 0 && poll(&wake, 1, 0) > 0;
}

/* Reads to the end of the file, or `limit` bytes; `take` is called for each piece. */
static ade_status read_all(const char *path, const ade_stop *stop, size_t limit,
                           void (*take)(void *, const char *, size_t), void *user) {
    char *buffer = ade__malloc(READ_SIZE);
    if (!buffer) return ADE_OUT_OF_MEMORY;
    struct stat info;
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us */
    ade_status  status = ADE_OK;
    if (fd < 0)
        status = ade__fail(ADE_IO, "%s cannot be opened for reading: %s", path, strerror(errno));
    else if (fstat(fd, &info) || !S_ISREG(info.st_mode))
        status = ade__fail(ADE_IO, "%s cannot be read: it is no regular file", path);
    while (!status && limit) {
        ssize_t n = read(fd, buffer, limit < READ_SIZE ? limit : READ_SIZE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = ade__fail(ADE_IO, "%s cannot be read: %s", path, strerror(errno));
        if (n <= 0) break;
        take(user, buffer, (size_t)n);
        limit -= (size_t)n;
        if (stop->fn(stop->user)) status = ade__fail(ADE_CANCELLED, "reading %s was stopped", path);
    }
    if (fd >= 0) close(fd);
    ade__free(buffer);
    return status;
}

static void add_piece(void *user, const char *data, size_t size) { ade__md5_add(user, data, size); }

ade_status ade__md5_of_file(const char *path, const ade_stop *stop, char text[ADE_MD5_TEXT]) {
    ade_md5 *md5;
    ADE_TRY(ade__md5_new(&md5));
    ade_status status = read_all(path, stop, SIZE_MAX, add_piece, md5);
    if (!status) ade__md5_end(md5, text);
    ade__md5_free(md5);
    return status;
}

typedef struct sum_file {
    char   text[SUM_FILE_LIMIT + 1];
    size_t size;
} sum_file;

static void keep_piece(void *user, const char *data, size_t size) {
    sum_file *file = user;
    memcpy(file->text + file->size, data, size);
    file->size += size;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_word(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

/* The last word of exactly 32 hexadecimal digits: a file's name may be one, too, and NLM's form has it in front. In
 * md5sum's form the sum stands at the very beginning. */
static bool find_sum(const sum_file *file, char sum[ADE_MD5_TEXT]) {
    bool found = false;
    for (size_t i = 0; i < file->size;) {
        size_t begin = i, digits = 0;
        while (i < file->size && is_word(file->text[i])) digits += hex_value(file->text[i++]) >= 0;
        if (i - begin == 32 && digits == 32) {
            for (size_t k = 0; k < 32; k++) sum[k] = "0123456789abcdef"[hex_value(file->text[begin + k])];
            sum[32] = '\0';
            found = true;
            if (begin == 0) return true;
        }
        if (i == begin) i++;
    }
    return found;
}

ade_status ade__md5_check(const char *path, const ade_stop *stop, bool *found) {
    char   wanted[ADE_MD5_TEXT], actual[ADE_MD5_TEXT];
    size_t size = strlen(path) + sizeof ".md5";
    char  *name = ade__malloc(size);
    *found = false;
    if (!name) return ADE_OUT_OF_MEMORY;
    (void)snprintf(name, size, "%s.md5", path);
    if (access(name, F_OK) != 0) {
        ade__free(name);
        return ADE_OK;
    }
    sum_file   file = {.size = 0};
    ade_status status = read_all(name, stop, SUM_FILE_LIMIT, keep_piece, &file);
    if (!status && !find_sum(&file, wanted))
        status = ade__fail(ADE_BAD_INPUT, "%s holds no MD5 sum (32 hexadecimal digits); fetch it again, or remove it",
                           name);
    if (!status) status = ade__md5_of_file(path, stop, actual);
    if (!status && memcmp(wanted, actual, sizeof wanted) != 0)
        status = ade__fail(ADE_BAD_INPUT, "%s has the MD5 sum %s, but %s says %s: it is damaged or not the same release; "
                                          "fetch both again", path, actual, name, wanted);
    if (!status) *found = true;
    ade__free(name);
    return status;
}
