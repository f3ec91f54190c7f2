/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr, secure_getenv */
#include "device.h"

#include "status.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN_FILE "libadesieve_cuda.so.0"
#define PLUGIN_VARIABLE "ADESIEVE_CUDA_PLUGIN"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const ade_ops  *plugin_ops; /* set once; a plugin is never closed, for its library may keep threads */

/* ---- Finding the plugin ------------------------------------------------------------------------------------------ */

/* The folder of this very library, and a path that the user names; never the loader's search path or the current
 * folder, where anybody could have laid a file. */
static ade_status plugin_path(char path[PATH_MAX]) {
    const char *named = secure_getenv(PLUGIN_VARIABLE), *from, *slash;
    Dl_info     info;
    if (named && *named) {
        if (!strchr(named, '/'))
            return ade__fail(ADE_UNSUPPORTED, PLUGIN_VARIABLE " is \"%s\"; give a path with a folder, such as ./%s", named,
                             named);
        from = named;
        if (snprintf(path, PATH_MAX, "%s", named) >= PATH_MAX)
            return ade__fail(ADE_UNSUPPORTED, PLUGIN_VARIABLE " is too long for a path");
    } else {
        if (!dladdr((void *)(size_t)ade_version, &info) || !(from = info.dli_fname) || !(slash = strrchr(from, '/')))
            return ade__fail(ADE_UNSUPPORTED, "the folder of adesieve's library is not known; name its GPU plugin by "
                                              PLUGIN_VARIABLE);
        if (snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - from), from, PLUGIN_FILE) >= PATH_MAX)
            return ade__fail(ADE_UNSUPPORTED, "the path of adesieve's library is too long");
    }
    if (access(path, F_OK) != 0)
        return ade__fail(ADE_UNSUPPORTED, "there is no GPU plugin at %s%s", path,
                         from == named ? ", which " PLUGIN_VARIABLE " names"
                                       : "; build adesieve with -DADESIEVE_CUDA=ON, or name the plugin by " PLUGIN_VARIABLE);
    return ADE_OK;
}

/* ---- The handshake ----------------------------------------------------------------------------------------------- */

/* The plugin has no error text of its own; the format attribute does not travel through a pointer in a table. */
static ade_status fail(ade_status status, const char *format, ...) {
    char    text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return ade__fail(status, "%s", text);
}

static const ade_plugin_host host = {.struct_size = sizeof(ade_plugin_host), .fail = fail};

static ade_status shake_hands(void *library, const char *path, const ade_ops **out) {
    const ade_plugin_entry *entry = dlsym(library, "ade_plugin");
    if (!entry)
        return ade__fail(ADE_UNSUPPORTED, "%s is no plugin of adesieve: it has no symbol ade_plugin; put back the file "
                                          "that came with this library",
                         path);
    if (entry->abi != ADE_BACKEND_ABI || entry->struct_size != sizeof *entry)
        return ade__fail(ADE_UNSUPPORTED,
                         "%s belongs to another version of adesieve (its interface is %u, size %u; %s needs %u, size "
                         "%zu); install library and plugin of one version",
                         path, (unsigned)entry->abi, (unsigned)entry->struct_size, ade_version(),
                         (unsigned)ADE_BACKEND_ABI, sizeof *entry);
    if (strcmp(entry->version, ade_version()) != 0)
        return ade__fail(ADE_UNSUPPORTED,
                         "%s belongs to adesieve %.40s, and this is %s; install library and plugin of one version", path,
                         entry->version, ade_version());
    const ade_ops *ops = entry->connect(&host);
    if (!ops || ops->abi != ADE_BACKEND_ABI || ops->struct_size != sizeof *ops)
        return ade__fail(ADE_UNSUPPORTED, "%s offers another table of operations than this library knows; install library "
                                          "and plugin of one version",
                         path);
    *out = ops;
    return ADE_OK;
}

static ade_status open_plugin(const ade_ops **out) {
    char  path[PATH_MAX];
    void *library;
    ADE_TRY(plugin_path(path));
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        return ade__fail(ADE_UNSUPPORTED, "the GPU plugin %s cannot be opened: %s", path, why ? why : "no reason is given");
    }
    ade_status status = shake_hands(library, path, out);
    if (status != ADE_OK) dlclose(library);
    return status;
}

static ade_status cuda_ops(const ade_ops **out) {
    ade_status status = ADE_OK;
    pthread_mutex_lock(&lock);
    if (!plugin_ops) status = open_plugin(&plugin_ops);
    *out = plugin_ops;
    pthread_mutex_unlock(&lock);
    return status;
}

static ade_status probe_cuda(int32_t index) {
    const ade_ops *ops = NULL;
    ADE_TRY(cuda_ops(&ops));
    return ops->probe(index);
}

/* ---- The choice -------------------------------------------------------------------------------------------------- */

static void say(char *reason, const char *text, const char *why) {
    snprintf(reason, ADE_DEVICE_REASON, "%s%s", text, why);
}

static ade_status choose(int32_t index, int32_t precision, int32_t *device, char *reason) {
    ade_status status;
    *device = ADE_DEVICE_CPU;
    if (precision == ADE_PRECISION_F32 || precision == ADE_PRECISION_BF16 || precision == ADE_PRECISION_INT8) {
        say(reason, "the CPU is used: the precision that was asked for is not available on a GPU", "");
        return ADE_OK;
    }
    status = probe_cuda(index);
    if (status == ADE_OK) {
        *device = ADE_DEVICE_CUDA;
        say(reason, "a GPU was found", "");
        return ADE_OK;
    }
    if (precision == ADE_PRECISION_F16)
        return ade__fail_prefix(status, "precision f16 needs a GPU, and none can be used");
    say(reason, "the CPU is used: ", ade_last_error());
    ade__clear_error(); /* that there is no GPU is no failure */
    return ADE_OK;
}

ade_status ade__device_choose(int32_t wanted, int32_t index, int32_t precision, int32_t *device, char *reason) {
    if (index < 0 && (wanted == ADE_DEVICE_AUTO || wanted == ADE_DEVICE_CUDA))
        return ade__fail(ADE_INVALID_ARGUMENT, "device_index is %d; GPUs are counted from 0", (int)index);
    *device = wanted;
    switch (wanted) {
    case ADE_DEVICE_AUTO: return choose(index, precision, device, reason);
    case ADE_DEVICE_CPU: say(reason, "the CPU was asked for", ""); return ADE_OK;
    case ADE_DEVICE_NONE: say(reason, "no device was asked for; this session only tokenizes", ""); return ADE_OK;
    case ADE_DEVICE_CUDA: {
        ade_status status = probe_cuda(index);
        if (status != ADE_OK) return ade__fail_prefix(status, "device cuda cannot be used");
        say(reason, "the GPU was asked for", "");
        return ADE_OK;
    }
    default: return ade__fail(ADE_INVALID_ARGUMENT, "device %d is none of ade_device's values", (int)wanted);
    }
}

ade_status ade__device_ops(int32_t device, const ade_ops **out) {
    if (device == ADE_DEVICE_CUDA) return cuda_ops(out);
    if (device != ADE_DEVICE_CPU)
        return ade__fail(ADE_INTERNAL, "device %d has no backend in this build", (int)device);
    *out = ade__cpu_ops();
    return ADE_OK;
}
