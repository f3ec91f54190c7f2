/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr */
#include "default_model.h"

#include "adesieve.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "adesieve-minilm"

/* Relative to the folder of the library itself, so that an installation can be moved. */
static const char *const places[] = {
    "models/" MODEL,                   /* beside it: a build tree, a Python package */
    "../share/adesieve/models/" MODEL, /* PREFIX/lib */
    "../../share/adesieve/models/" MODEL, /* PREFIX/lib/x86_64-linux-gnu */
};

const char *ade__default_model(void) {
    static _Thread_local char path[PATH_MAX];
    Dl_info                   info;
    const char               *chosen = getenv("ADESIEVE_MODEL");
    if (chosen && *chosen) return chosen;
    if (!dladdr((void *)(size_t)ade_version, &info) || !info.dli_fname) return NULL;
    const char *slash = strrchr(info.dli_fname, '/');
    int         folder = slash ? (int)(slash - info.dli_fname) : 1;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int n = snprintf(path, sizeof path, "%.*s/%s/config.json", folder, slash ? info.dli_fname : ".", places[i]);
        if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK) != 0) continue;
        path[(size_t)n - strlen("/config.json")] = '\0';
        return path;
    }
    return NULL;
}
