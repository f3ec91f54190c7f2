/* SPDX-License-Identifier: Apache-2.0
 * To be preloaded: kills the program at the ADE_DIE_AT-th call (from 1) that changes a file, so that a test can stop it
 * between any two of them. ADE_DIE_HOW: "before" the call, "after" it, or "half": of what is written, only the first
 * half. Without ADE_DIE_AT the calls are counted, and ADE_DIE_COUNT names the file for their number. Standard streams
 * do not count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static _Noreturn void die(void) {
    (void)kill(getpid(), SIGKILL);
    for (;;) (void)pause();
}

/* Whether this call is the one; 'b' and no return, 'h' or 'a'. */
static char fate(void) {
    const char *at = getenv("ADE_DIE_AT"), *how = getenv("ADE_DIE_HOW");
    const long  n = atomic_fetch_add(&calls, 1) + 1;
    if (!at || atol(at) != n) return 0;
    if (!how || how[0] == 'b') die();
    return how[0];
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("ADE_DIE_COUNT");
    FILE       *file = path && !getenv("ADE_DIE_AT") ? fopen(path, "w") : NULL;
    if (!file) return;
    (void)fprintf(file, "%ld\n", atomic_load(&calls));
    (void)fclose(file);
}

#define REAL(name, result, ...)                                               \
    static result (*real)(__VA_ARGS__);                                       \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

/* A call with no half of it. */
#define WHOLE(call)                    \
    do {                               \
        const char when = fate();      \
        const int  result = real call; \
        if (when) die();               \
        return result;                 \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    if (fd <= 2) return real(fd, data, size);
    const char    when = fate();
    const ssize_t result = real(fd, data, when == 'h' ? size / 2 : size);
    if (when) die();
    return result;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    const char    when = fate();
    const ssize_t result = real(fd, data, when == 'h' ? size / 2 : size, offset);
    if (when) die();
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

int fsync(int fd) {
    REAL("fsync", int, int);
    WHOLE((fd));
}

int fdatasync(int fd) {
    REAL("fdatasync", int, int);
    WHOLE((fd));
}

int ftruncate64(int fd, off64_t size) {
    REAL("ftruncate64", int, int, off64_t);
    WHOLE((fd, size));
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    WHOLE((from, to));
}

int unlink(const char *path) {
    REAL("unlink", int, const char *);
    WHOLE((path));
}

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    WHOLE((path, mode));
}

static int open_any(const char *name, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    const char when = flags & O_CREAT ? fate() : 0;
    const int  result = real(path, flags, mode);
    if (when) die();
    return result;
}

int open(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & O_CREAT) {
        __builtin_va_list arguments;
        __builtin_va_start(arguments, flags);
        mode = __builtin_va_arg(arguments, mode_t);
        __builtin_va_end(arguments);
    }
    return open_any("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & O_CREAT) {
        __builtin_va_list arguments;
        __builtin_va_start(arguments, flags);
        mode = __builtin_va_arg(arguments, mode_t);
        __builtin_va_end(arguments);
    }
    return open_any("open64", path, flags, mode);
}
