/* SPDX-License-Identifier: Apache-2.0
 * Input: plain and gzip, members, padding, every kind of damage, pipes, and being woken. */
#include "alloc.h"
#include "gzip_in.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static char folder[] = "/tmp/adesieve-gzip-XXXXXX";
static char path[64];

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

typedef struct bytes {
    unsigned char data[1 << 16];
    size_t        size;
} bytes;

static void add(bytes *b, const void *data, size_t size) {
    assert_true(size <= sizeof b->data - b->size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_member(bytes *b, const char *text) {
    z_stream      z = {0};
    unsigned char packed[4096];
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)strlen(text);
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    add(b, packed, z.total_out);
    deflateEnd(&z);
}

static void write_file(const bytes *b, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b->data, 1, size, file), size);
    fclose(file);
}

/* Reads all with pieces of `piece` bytes; what was read before a fault counts, too. */
static ade_status read_all(const char *name, int wake_fd, size_t piece, bytes *out, uint64_t *stored) {
    ade_input *in;
    ade_status status = ade__input_open(name, wake_fd, &in);
    out->size = 0;
    if (status) return status;
    for (size_t got = 1; got;) {
        char buffer[4096];
        status = ade__input_read(in, buffer, piece, &got);
        if (status) {
            assert_int_equal(got, 0);
            assert_int_equal(ade__input_read(in, buffer, piece, &got), status); /* for ever */
            break;
        }
        add(out, buffer, got);
    }
    if (stored) *stored = ade__input_bytes_read(in);
    ade__input_close(in);
    return status;
}

static void expect_text(const char *text, size_t piece) {
    static bytes out;
    uint64_t     stored;
    struct stat  info;
    assert_int_equal(read_all(path, -1, piece, &out, &stored), ADE_OK);
    assert_int_equal(out.size, strlen(text));
    assert_memory_equal(out.data, text, out.size);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(stored, info.st_size);
}

static void expect_failure(ade_status status, const char *message) {
    static bytes out;
    assert_int_equal(read_all(path, -1, 4096, &out, NULL), status);
    assert_non_null(strstr(ade_last_error(), path));
    if (!strstr(ade_last_error(), message)) fail_msg("\"%s\" lacks \"%s\"", ade_last_error(), message);
}

static const char TEXT[] = "<PubmedArticleSet>some text, some text, some more text</PubmedArticleSet>\n";

static void test_plain_and_members(void **state) {
    static bytes b;
    (void)state;
    for (size_t piece = 1; piece < 90; piece += 11) {
        b.size = 0;
        add(&b, TEXT, strlen(TEXT));
        write_file(&b, b.size);
        expect_text(TEXT, piece);
        b.size = 0;
        add_member(&b, TEXT);
        write_file(&b, b.size);
        expect_text(TEXT, piece);
        b.size = 0;
        add_member(&b, "one ");
        add_member(&b, "");
        add_member(&b, "two");
        add(&b, "\0\0\0\0\0", 5); /* tapes and some servers pad with zeros */
        write_file(&b, b.size);
        expect_text("one two", piece);
    }
    b.size = 0;
    write_file(&b, 0);
    expect_text("", 10);
    add(&b, "<", 1);
    write_file(&b, 1);
    expect_text("<", 10);
}

static void test_truncated_anywhere(void **state) {
    static bytes b, out;
    (void)state;
    b.size = 0;
    add_member(&b, "first member");
    const size_t first = b.size;
    add_member(&b, TEXT);
    for (size_t size = 1; size < b.size; size++) {
        if (size == first) continue; /* a whole member: a whole file, as far as gzip goes */
        write_file(&b, size);
        char byte[32];
        snprintf(byte, sizeof byte, "at byte %zu", size);
        expect_failure(ADE_BAD_INPUT, "truncated");
        assert_non_null(strstr(ade_last_error(), byte));
    }
    write_file(&b, b.size - 4); /* the text is delivered before the fault */
    assert_int_equal(read_all(path, -1, 4096, &out, NULL), ADE_BAD_INPUT);
    assert_int_equal(out.size, strlen("first member") + strlen(TEXT));
}

static void test_damage(void **state) {
    static bytes b;
    (void)state;
    b.size = 0;
    add_member(&b, TEXT);
    const size_t size = b.size;
    for (size_t i = size - 8; i < size; i++) { /* checksum and length */
        b.data[i] ^= 0x10;
        write_file(&b, size);
        expect_failure(ADE_BAD_INPUT, "damaged");
        b.data[i] ^= 0x10;
    }
    add(&b, "garbage", 7);
    write_file(&b, b.size);
    char where[64];
    snprintf(where, sizeof where, "behind the last gzip member, at byte %zu", size);
    expect_failure(ADE_BAD_INPUT, where);
    b.size = size;
    add(&b, "\0\0x", 3);
    write_file(&b, b.size);
    expect_failure(ADE_BAD_INPUT, "behind the last gzip member");
    b.size = size;
    add(&b, "\0\0", 2);
    add_member(&b, TEXT); /* zeros may only end a file */
    write_file(&b, b.size);
    expect_failure(ADE_BAD_INPUT, "behind the last gzip member");
    b.size = 0;
    add(&b, "\x1f\x9d\x90 an old compress file", 22);
    write_file(&b, b.size);
    expect_failure(ADE_BAD_INPUT, "incorrect header check");
    b.size = 0;
    add(&b, "PK\x03\x04 and more", 13);
    write_file(&b, b.size);
    expect_failure(ADE_BAD_INPUT, "zip archive");
}

static void test_not_readable(void **state) {
    ade_input *in;
    (void)state;
    assert_int_equal(ade__input_open("/no/such/file", -1, &in), ADE_IO);
    assert_non_null(strstr(ade_last_error(), "/no/such/file"));
    static bytes out;
    assert_int_equal(read_all(folder, -1, 10, &out, NULL), ADE_IO); /* a folder */
    assert_non_null(strstr(ade_last_error(), folder));
    ade__input_close(NULL);
}

static void test_out_of_memory(void **state) {
    static bytes b, out;
    (void)state;
    b.size = 0;
    add_member(&b, TEXT);
    write_file(&b, b.size);
    ade_status status = ADE_OUT_OF_MEMORY;
    long       n = 0;
    for (; n < 100 && status; n++) {
        ade__alloc_fail_at(n);
        status = read_all(path, -1, 100, &out, NULL);
        ade__alloc_fail_at(-1);
        assert_true(status == ADE_OK || status == ADE_OUT_OF_MEMORY);
    }
    assert_int_equal(status, ADE_OK);
    assert_true(n > 2);
}

static void *drip(void *argument) {
    static bytes b;
    const int    fd = open(argument, O_WRONLY);
    b.size = 0;
    add_member(&b, TEXT);
    for (size_t i = 0; i < b.size; i++) {
        if (write(fd, b.data + i, 1) != 1) break;
        usleep(100);
    }
    close(fd);
    return NULL;
}

static void test_named_pipe(void **state) {
    static bytes out;
    pthread_t    writer;
    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&writer, NULL, drip, path), 0);
    assert_int_equal(read_all(path, -1, 7, &out, NULL), ADE_OK);
    pthread_join(writer, NULL);
    assert_int_equal(out.size, strlen(TEXT));
    assert_memory_equal(out.data, TEXT, out.size);
    unlink(path);
}

static void *wake(void *argument) {
    const uint64_t one = 1;
    usleep(50000);
    assert_int_equal(write(*(int *)argument, &one, sizeof one), sizeof one);
    return NULL;
}

/* A pipe that nobody writes to must neither hold the opening nor the stop. */
static void test_woken(void **state) {
    static bytes out;
    pthread_t    waker;
    int          fd = eventfd(0, EFD_CLOEXEC);
    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&waker, NULL, wake, &fd), 0);
    assert_int_equal(read_all(path, fd, 7, &out, NULL), ADE_CANCELLED);
    pthread_join(waker, NULL);
    close(fd);
    unlink(path);
}

static void test_standard_input(void **state) {
    static bytes b, out;
    int          ends[2], saved = dup(STDIN_FILENO);
    (void)state;
    b.size = 0;
    add_member(&b, TEXT);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], b.data, b.size), (ssize_t)b.size);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(read_all("-", -1, 100, &out, NULL), ADE_OK);
    assert_int_equal(out.size, strlen(TEXT));
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* still open: it is not ours */
    dup2(saved, STDIN_FILENO);
    close(saved);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_members),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_not_readable),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_named_pipe),
        cmocka_unit_test(test_woken),
        cmocka_unit_test(test_standard_input),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
