/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, secure_getenv */
#endif
#include "cublaslt_cuda.cuh"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define SONAME "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR)
#define WHEEL_FOLDER "nvidia/cu" TEXT(CUBLAS_VER_MAJOR) "/lib" /* of nvidia-cublas, since 13 */
#define OLD_WHEEL_FOLDER "nvidia/cublas/lib"                   /* of nvidia-cublas-cu12 and before */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static ade_cublaslt    table;
static int             is_open;

/* Every place tried, with the reason where something was there. A list too long for it ends early. */
typedef struct trail {
    char   text[1400];
    size_t size;
} trail;

__attribute__((format(printf, 2, 3))) static void add(trail *tried, const char *format, ...) {
    const size_t room = sizeof tried->text - tried->size;
    va_list      arguments;
    va_start(arguments, format);
    const int size = vsnprintf(tried->text + tried->size, room, format, arguments);
    va_end(arguments);
    if (size < 0 || static_cast<size_t>(size) >= room)
        tried->text[tried->size] = '\0';
    else
        tried->size += static_cast<size_t>(size);
}

/* "13.1.0" of cublasLtGetVersion's 130100. */
static void version_text(size_t version, char *out, size_t capacity) {
    snprintf(out, capacity, "%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

/* Fills `table` from an open library; what is wrong with it, or NULL. */
static const char *bind(void *library, char *reason, size_t capacity) {
    ade_cublaslt found;
    const char  *missing = nullptr;
    /* POSIX lets dlsym's result be stored through a void *, C++ has no cast for it */
#define BIND(member, name)                                                                                             \
    do {                                                                                                               \
        void *symbol = dlsym(library, #name);                                                                          \
        if (!symbol && !missing) missing = #name;                                                                      \
        memcpy(&found.member, &symbol, sizeof found.member);                                                           \
    } while (0);
    ADE_CUBLASLT_MAP(BIND)
#undef BIND
    if (found.get_version) {
        const size_t version = found.get_version();
        version_text(version, found.version, sizeof found.version);
        if (version / 10000 != CUBLAS_VER_MAJOR) {
            snprintf(reason, capacity, "version %s, where %d is needed", found.version, CUBLAS_VER_MAJOR);
            return reason;
        }
    }
    if (missing) {
        snprintf(reason, capacity, "it has no function %s", missing);
        return reason;
    }
    table = found;
    return nullptr;
}

/* One place; whether that was it. */
static bool try_library(const char *name, trail *tried) {
    char        reason[256];
    const char *separator = tried->size ? ", " : "";
    void       *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *error = dlerror();
        const bool  absent = !strchr(name, '/') || access(name, F_OK) != 0;
        if (absent || !error)
            add(tried, "%s%s", separator, name);
        else
            add(tried, "%s%s (%.250s)", separator, name, error);
        return false;
    }
    const char *wrong = bind(library, reason, sizeof reason);
    if (!wrong) return true; /* stays open */
    add(tried, "%s%s (%s)", separator, name, wrong);
    dlclose(library);
    return false;
}

__attribute__((format(printf, 2, 3))) static bool try_path(trail *tried, const char *format, ...) {
    char    path[PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return size > 0 && static_cast<size_t>(size) < sizeof path && try_library(path, tried);
}

/* The folder of the plugin; "" when it cannot be told. */
static void own_folder(char out[PATH_MAX]) {
    Dl_info     info;
    const char *path = nullptr;
    char        resolved[PATH_MAX];
    out[0] = '\0';
    if (!dladdr(&lock, &info) || !info.dli_fname) return;
    path = info.dli_fname[0] == '/' ? info.dli_fname : realpath(info.dli_fname, resolved);
    const char *slash = path ? strrchr(path, '/') : nullptr;
    if (slash && slash - path < PATH_MAX) {
        memcpy(out, path, static_cast<size_t>(slash - path));
        out[slash - path] = '\0';
    }
}

static bool find(trail *tried) {
    static const char *const toolkit_variables[] = {"CUDA_HOME", "CUDA_PATH"};
    static const char *const toolkit_folders[] = {"/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"};
    char                     folder[PATH_MAX];
    own_folder(folder);
    if (folder[0] && try_path(tried, "%s/" SONAME, folder)) return true;
    for (int up = 0; up < 2 && folder[0]; up++) { /* the packages' folder is one or two above the plugin's */
        *strrchr(folder, '/') = '\0';
        if (try_path(tried, "%s/" WHEEL_FOLDER "/" SONAME, folder)) return true;
        if (try_path(tried, "%s/" OLD_WHEEL_FOLDER "/" SONAME, folder)) return true;
    }
    if (try_library(SONAME, tried)) return true;
    for (const char *variable : toolkit_variables) {
        const char *toolkit = secure_getenv(variable);
        if (toolkit && toolkit[0] == '/' && try_path(tried, "%s/lib64/" SONAME, toolkit)) return true;
    }
    for (const char *libraries : toolkit_folders)
        if (try_path(tried, "%s/" SONAME, libraries)) return true;
    return false;
}

static ade_status open_locked(void) {
    trail       tried = {};
    const char *path = secure_getenv("ADESIEVE_CUBLASLT");
    if (is_open) return ADE_OK;
    if (path && *path) {
        if (path[0] != '/')
            return ade__cuda_report(
                ADE_UNSUPPORTED, "ADESIEVE_CUBLASLT is \"%s\": it must be the whole path, from / on, of " SONAME, path);
        is_open = try_library(path, &tried);
        if (!is_open)
            return ade__cuda_report(
                ADE_UNSUPPORTED,
                "NVIDIA's cuBLASLt cannot be used from where ADESIEVE_CUBLASLT says: %s%s; correct the "
                "variable, or unset it to look in the usual places",
                tried.size ? tried.text : path, access(path, F_OK) == 0 ? "" : " (no such file)");
        return ADE_OK;
    }
    is_open = find(&tried);
    if (!is_open)
        return ade__cuda_report(
            ADE_UNSUPPORTED,
            "a GPU needs NVIDIA's cuBLASLt (" SONAME "), which was not found; tried %s; install "
            "the CUDA toolkit, or nvidia-cublas beside adesieve's wheel (pip install 'adesieve[cuda]'), or name the "
            "library in ADESIEVE_CUBLASLT",
            tried.text);
    return ADE_OK;
}

ade_status ade__cublaslt_open(const ade_cublaslt **out) {
    pthread_mutex_lock(&lock);
    const ade_status status = open_locked();
    pthread_mutex_unlock(&lock);
    if (status == ADE_OK) *out = &table; /* not written to again */
    return status;
}

ade_status ade__cublaslt_fail(const ade_cublaslt *lt, cublasStatus_t status, const char *call, const char *file,
                              int line) {
    const cudaError_t under = cudaGetLastError(); /* and clears it */
    const char       *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        return ade__cuda_report(
            ADE_OUT_OF_MEMORY,
            "out of memory in %s(...) (%s:%d); free memory on the GPU, or use another GPU or device cpu", call, base,
            line);
    if (under != cudaSuccess) return ade__cuda_fail(under, call, file, line);
    return ade__cuda_report(ADE_DEVICE, "%s(...) failed in %s:%d: %s; try again, or use device cpu", call, base, line,
                            lt->status_name(status));
}
