/* SPDX-License-Identifier: Apache-2.0
 * A GPU behind ops.h, and the plugin's door. Owns the device's memory, streams and events, forwards every op to its
 * launcher, and turns every failure into one sentence.
 *
 * An exec is a stream that computes and a stream that copies up. Of a batch in slot s:
 *   push   copy stream: the batch's input, then event uploaded[s], for which the compute stream waits
 *   ops    compute stream
 *   pull   compute stream: the result, then event done[s]
 *   wait   the host sleeps until done[s]
 * so the input of later batches goes up while earlier ones are computed, and the host runs ahead by up to all slots.
 *
 * A device that has failed fails every later call of the exec with the first text. What frees reports nothing and
 * changes no text: after a fault the driver refuses it, and the memory is the driver's to take back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* secure_getenv */
#endif
#include "cuda_common.cuh"
#include "gemm_cuda.cuh"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SLOTS = 8,      /* estimated for BERT-base on 132 multiprocessors: 8 batches of 5,632 tokens are some 12 ms of work,
                     * time for the host to make more, and 800 launches, of which a stream takes about 1,000 */
    MAX_HEAD = 256, /* what attention_cuda.cu takes */
    TILE_ROWS = 128, /* rows of X that a thread block of a matrix product takes */
    TEXT_SIZE = 2048 /* as the core's */
};

struct ade_backend {
    int            device;
    int32_t        token_budget;
    int            sync;  /* ADE_SYNC=1: wait after every op */
    pid_t          owner; /* the process that has the device's context */
    ade_cuda_gemm *gemm;
    char           name[256], instruction_set[96];
};

typedef enum slot_state {
    SLOT_DONE,   /* nothing of it is under way */
    SLOT_PUSHED, /* its input is going up, or ops are at work on it */
    SLOT_PULLED  /* `done` will come */
} slot_state;

typedef struct slot {
    cudaEvent_t uploaded, done;
    slot_state  state;
} slot;

struct ade_exec {
    ade_backend        *backend;
    ade_cuda_gemm_exec *gemm;
    cudaStream_t        compute, copy;
    slot               *slots;
    int32_t             n_slots, max_len, head_size;
    int                 failed;
    char                failure[TEXT_SIZE]; /* the first one's text */
};

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static ade_status (*host_fail)(ade_status status, const char *format, ...);

static thread_local char last_text[TEXT_SIZE]; /* what this thread reported last, for `failure` */

__attribute__((format(printf, 2, 3))) static ade_status report(ade_status status, const char *format, ...) {
    va_list arguments;
    char    text[TEXT_SIZE]; /* an argument may be last_text */
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(last_text, text, sizeof text);
    return host_fail(status, "%s", text);
}

ade_status (*ade__cuda_report)(ade_status status, const char *format, ...) = report;

/* After these the driver refuses everything in this process. */
static bool is_final(cudaError_t error) {
    switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorUnknown: return true;
    default: return false;
    }
}

static const char *cure_of(cudaError_t error) {
    if (is_final(error)) return "this GPU is lost to the process: start the process again to use it";
    switch (error) {
    case cudaErrorNoKernelImageForDevice:
        return "the plugin holds no code for this GPU: build it for the GPU's architecture, or use device cpu";
    case cudaErrorDevicesUnavailable: return "another process holds the GPU, or its compute mode forbids it";
    default: return "try again, or use device cpu";
    }
}

ade_status ade__cuda_fail(cudaError_t error, const char *call, const char *file, int line) {
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    const int   size = static_cast<int>(strcspn(call, "("));
    cudaGetLastError(); /* or the host program's next call would return it */
    if (error == cudaErrorMemoryAllocation)
        return report(ADE_OUT_OF_MEMORY,
                      "out of GPU memory in %.*s(...) (%s:%d); use a smaller token budget, another GPU or device cpu",
                      size, call, base, line);
    if (!strncmp(call, "cudaGetLastError", 16)) /* which launchers ask after a launch */
        return report(ADE_DEVICE, "a kernel could not be launched in %s:%d: %s (%s); %s", base, line,
                      cudaGetErrorString(error), cudaGetErrorName(error), cure_of(error));
    return report(ADE_DEVICE, "%.*s(...) failed in %s:%d: %s (%s); %s", size, call, base, line,
                  cudaGetErrorString(error), cudaGetErrorName(error), cure_of(error));
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const ade_status try_status = (call);                                                                          \
        if (try_status != ADE_OK) return try_status;                                                                   \
    } while (0)

static ade_status no_host_memory(size_t bytes) { return report(ADE_OUT_OF_MEMORY, "out of memory: %zu bytes", bytes); }

/* ---- The device -------------------------------------------------------------------------------------------------- */

/* A thread's calls go to the device that it has chosen last, and any thread may come with any backend. */
static ade_status use_device(const ade_backend *backend) {
    ADE_CUDA_TRY(cudaSetDevice(backend->device));
    return ADE_OK;
}

/* In a child of fork(), where nothing of the parent's device may be touched. */
static bool is_foreign(const ade_backend *backend) { return backend->owner != getpid(); }

static ade_status no_device(cudaError_t error) {
    int driver = 0, runtime = 0;
    cudaGetLastError();
    ADE_CUDA_TRY(cudaDriverGetVersion(&driver));
    ADE_CUDA_TRY(cudaRuntimeGetVersion(&runtime));
    if (driver == 0)
        return report(
            ADE_UNSUPPORTED,
            "there is no NVIDIA driver on this machine (no libcuda.so.1); install one that supports CUDA %d.%d or "
            "newer, or use device cpu",
            runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorInsufficientDriver)
        return report(ADE_UNSUPPORTED,
                      "the NVIDIA driver is too old: it supports CUDA %d.%d, and adesieve needs %d.%d; install a newer "
                      "driver, or use device cpu",
                      driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorInitializationError)
        return report(
            ADE_UNSUPPORTED,
            "CUDA cannot be initialized; if this process was forked from one that has looked for a GPU, it can use "
            "none: start it anew instead (in Python: multiprocessing's spawn), or use device cpu");
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return report(ADE_UNSUPPORTED,
                      "there is an NVIDIA driver, but no GPU that this process may use%s; use device cpu",
                      getenv("CUDA_VISIBLE_DEVICES") ? " (CUDA_VISIBLE_DEVICES is set)" : "");
    return ade__cuda_fail(error, "cudaGetDeviceCount", __FILE__, __LINE__);
}

/* Neither this nor what it calls makes a context, which would take memory on the device. */
static ade_status examine(int32_t index, cudaDeviceProp *out) {
    int               count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) return no_device(error);
    if (index < 0 || index >= count)
        return report(ADE_UNSUPPORTED, "GPU %d was asked for, and this machine has %d, counted from 0",
                      static_cast<int>(index), count);
    ADE_CUDA_TRY(cudaGetDeviceProperties(out, index));
    if (out->major * 10 + out->minor < 75)
        return report(
            ADE_UNSUPPORTED,
            "GPU %d (%s) is too old: its compute capability is %d.%d, and adesieve needs 7.5 (Turing) or newer; "
            "use another GPU or device cpu",
            static_cast<int>(index), out->name, out->major, out->minor);
    return ade__cuda_gemm_probe();
}

static ade_status cuda_probe(int32_t device_index) {
    cudaDeviceProp properties;
    return examine(device_index, &properties);
}

static void cuda_close(ade_backend *backend) {
    if (!backend) return;
    if (is_foreign(backend)) {
        free(backend);
        return;
    }
    cudaSetDevice(backend->device);
    ade__cuda_gemm_free(backend->gemm);
    cudaGetLastError();
    free(backend);
}

static ade_status open_device(ade_backend *backend, const cudaDeviceProp *properties) {
    int driver = 0;
    TRY(use_device(backend));
    TRY(ade__cuda_has_code());
    ADE_CUDA_TRY(cudaDriverGetVersion(&driver));
    TRY(ade__cuda_gemm_new(backend->device, properties->major, backend->token_budget, &backend->gemm));
    snprintf(backend->instruction_set, sizeof backend->instruction_set, "sm_%d%d, cuBLASLt %s, driver %d.%d",
             properties->major, properties->minor, ade__cuda_gemm_version(backend->gemm), driver / 1000,
             driver % 1000 / 10);
    return ADE_OK;
}

static ade_status cuda_open(const ade_backend_options *options, ade_backend **out) {
    cudaDeviceProp properties;
    const char    *sync = secure_getenv("ADE_SYNC");
    if (options->precision != ADE_PRECISION_AUTO && options->precision != ADE_PRECISION_F16)
        return report(ADE_UNSUPPORTED, "precision %s is not available on a GPU; use f16, or device cpu",
                      options->precision == ADE_PRECISION_F32    ? "f32"
                      : options->precision == ADE_PRECISION_BF16 ? "bf16"
                      : options->precision == ADE_PRECISION_INT8 ? "int8"
                                                                 : "of this kind");
    TRY(examine(options->device_index, &properties));
    ade_backend *backend = static_cast<ade_backend *>(calloc(1, sizeof *backend));
    if (!backend) return no_host_memory(sizeof *backend);
    /* A product with N = 768 has three tiles of 256 columns for each 128 rows: this many rows give every multiprocessor
     * one, and the other products of BERT whole numbers. */
    const int groups = properties.multiProcessorCount / 3;
    backend->device = options->device_index;
    backend->owner = getpid();
    backend->token_budget = TILE_ROWS * (groups > 1 ? groups : 1);
    backend->sync = sync && !strcmp(sync, "1");
    snprintf(backend->name, sizeof backend->name, "%s", properties.name);
    const ade_status status = open_device(backend, &properties);
    if (status != ADE_OK) {
        cuda_close(backend);
        return status;
    }
    *out = backend;
    return ADE_OK;
}

static void cuda_describe(const ade_backend *backend, ade_backend_info *info) {
    info->precision = ADE_PRECISION_F16;
    info->act = info->res = info->table_type = ADE_F16;
    info->panels = 0;
    info->bias_in_linear = 0; /* layernorm and activation read these values anyway, and add in fp32 */
    info->token_budget = backend->token_budget;
    info->execs = 1; /* a batch fills the device */
    info->slots = SLOTS;
    info->device_name = backend->name;
    info->instruction_set = backend->instruction_set;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

ade_status ade__cuda_malloc(int device, size_t bytes, void **out) {
    void             *memory = nullptr;
    size_t            free_bytes = 0, all = 0;
    const cudaError_t failed = cudaMalloc(&memory, bytes ? bytes : 1);
    if (failed == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        if (cudaMemGetInfo(&free_bytes, &all) != cudaSuccess) cudaGetLastError();
        return report(ADE_OUT_OF_MEMORY,
                      "out of memory on GPU %d: %zu MiB were needed, and %zu of %zu MiB are free; use a smaller token "
                      "budget, another GPU or device cpu",
                      device, (bytes >> 20) + 1, free_bytes >> 20, all >> 20);
    }
    if (failed != cudaSuccess) return ade__cuda_fail(failed, "cudaMalloc", __FILE__, __LINE__);
    *out = memory;
    return ADE_OK;
}

static ade_status cuda_alloc(ade_backend *backend, size_t rows, size_t row_bytes, void **out) {
    void  *memory = nullptr;
    size_t padded, bytes;
    if (__builtin_add_overflow(rows, static_cast<size_t>(ADE_ROW_PAD), &padded) ||
        __builtin_mul_overflow(padded, row_bytes, &bytes))
        return report(ADE_OUT_OF_MEMORY, "out of memory on GPU %d: %zu rows of %zu bytes exceed any memory",
                      backend->device, rows, row_bytes);
    TRY(use_device(backend));
    TRY(ade__cuda_malloc(backend->device, bytes, &memory));
    /* Padding rows are multiplied, too; garbage could be NaNs. An exec's streams do not wait for the default one. */
    cudaError_t set = cudaMemset(static_cast<char *>(memory) + rows * row_bytes, 0, ADE_ROW_PAD * row_bytes);
    if (set == cudaSuccess) set = cudaStreamSynchronize(nullptr);
    if (set != cudaSuccess) {
        cudaFree(memory);
        return ade__cuda_fail(set, "cudaMemset", __FILE__, __LINE__);
    }
    *out = memory;
    return ADE_OK;
}

static void cuda_release(ade_backend *backend, void *memory) {
    if (!memory || is_foreign(backend)) return;
    cudaSetDevice(backend->device);
    cudaFree(memory);
    cudaGetLastError();
}

static ade_status cuda_upload(ade_backend *backend, void *device, const void *host, size_t bytes) {
    if (bytes == 0) return ADE_OK;
    TRY(use_device(backend));
    ADE_CUDA_TRY(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
    ADE_CUDA_TRY(cudaStreamSynchronize(nullptr)); /* cudaMemcpy may return once the bytes are staged */
    return ADE_OK;
}

static ade_status cuda_host_alloc(ade_backend *backend, size_t bytes, void **out) {
    void *memory = nullptr;
    TRY(use_device(backend));
    const cudaError_t failed = cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocDefault);
    if (failed == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return report(ADE_OUT_OF_MEMORY,
                      "out of memory: the system has no %zu MiB that could be kept in place for the GPU; use a smaller "
                      "token budget, or device cpu",
                      (bytes >> 20) + 1);
    }
    if (failed != cudaSuccess) return ade__cuda_fail(failed, "cudaHostAlloc", __FILE__, __LINE__);
    *out = memory;
    return ADE_OK;
}

static void cuda_host_release(ade_backend *backend, void *memory) {
    if (!memory || is_foreign(backend)) return;
    cudaSetDevice(backend->device);
    cudaFreeHost(memory);
    cudaGetLastError();
}

static ade_status cuda_linear_create(ade_backend *backend, const ade_linear_desc *desc, ade_linear **out) {
    TRY(use_device(backend));
    return ade__cuda_linear_new(backend->gemm, desc, out);
}

/* ---- Execs ------------------------------------------------------------------------------------------------------- */

static void cuda_exec_destroy(ade_exec *exec) {
    if (!exec) return;
    if (is_foreign(exec->backend)) {
        free(exec->slots);
        free(exec);
        return;
    }
    cudaSetDevice(exec->backend->device);
    if (exec->copy) cudaStreamSynchronize(exec->copy);
    if (exec->compute) cudaStreamSynchronize(exec->compute);
    for (int32_t i = 0; i < exec->n_slots; i++) {
        if (exec->slots[i].uploaded) cudaEventDestroy(exec->slots[i].uploaded);
        if (exec->slots[i].done) cudaEventDestroy(exec->slots[i].done);
    }
    ade__cuda_gemm_exec_free(exec->gemm);
    if (exec->copy) cudaStreamDestroy(exec->copy);
    if (exec->compute) cudaStreamDestroy(exec->compute);
    cudaGetLastError();
    free(exec->slots);
    free(exec);
}

static ade_status exec_fill(ade_exec *exec) {
    TRY(use_device(exec->backend));
    /* Non-blocking: neither waits for the default stream, which belongs to the host program. */
    ADE_CUDA_TRY(cudaStreamCreateWithFlags(&exec->compute, cudaStreamNonBlocking));
    ADE_CUDA_TRY(cudaStreamCreateWithFlags(&exec->copy, cudaStreamNonBlocking));
    for (int32_t i = 0; i < exec->n_slots; i++) {
        /* Who waits for `done` sleeps: a batch takes a while, and the host's threads have texts to tokenize. */
        ADE_CUDA_TRY(cudaEventCreateWithFlags(&exec->slots[i].uploaded, cudaEventDisableTiming));
        ADE_CUDA_TRY(cudaEventCreateWithFlags(&exec->slots[i].done, cudaEventDisableTiming | cudaEventBlockingSync));
    }
    return ade__cuda_gemm_exec_new(exec->backend->gemm, &exec->gemm);
}

static ade_status cuda_exec_create(ade_backend *backend, const ade_exec_options *options, ade_exec **out) {
    if (options->slots < 1)
        return report(ADE_INTERNAL, "an exec with %d slots was asked for", static_cast<int>(options->slots));
    if (options->head_size > MAX_HEAD)
        return report(ADE_UNSUPPORTED,
                      "the model's heads have %d elements, and a GPU computes heads of at most %d; use device cpu",
                      static_cast<int>(options->head_size), static_cast<int>(MAX_HEAD));
    const size_t count = static_cast<size_t>(options->slots);
    ade_exec    *exec = static_cast<ade_exec *>(calloc(1, sizeof *exec));
    if (exec) exec->slots = static_cast<slot *>(calloc(count, sizeof *exec->slots));
    if (!exec || !exec->slots) {
        free(exec);
        return no_host_memory(sizeof *exec + count * sizeof *exec->slots);
    }
    exec->backend = backend;
    exec->n_slots = options->slots;
    exec->max_len = options->max_len;
    exec->head_size = options->head_size;
    const ade_status status = exec_fill(exec);
    if (status != ADE_OK) {
        cuda_exec_destroy(exec);
        return status;
    }
    *out = exec;
    return ADE_OK;
}

/* Every call on an exec goes through enter and leave. */
static ade_status enter(const ade_exec *exec) {
    if (exec->failed) return report(ADE_DEVICE, "the GPU failed earlier: %s", exec->failure);
    return use_device(exec->backend);
}

static ade_status leave(ade_exec *exec, ade_status status) {
    if (status == ADE_DEVICE && !exec->failed) {
        exec->failed = 1;
        memcpy(exec->failure, last_text, sizeof exec->failure);
    }
    return status;
}

static ade_status cuda_exec_prepare(ade_exec *exec, const ade_linear *linear, int32_t max_rows) {
    ade_status status = enter(exec);
    if (status == ADE_OK) status = ade__cuda_gemm_prepare(exec->gemm, linear, max_rows);
    return leave(exec, status);
}

static ade_status slot_of(const ade_exec *exec, int32_t index, slot **out) {
    if (index < 0 || index >= exec->n_slots)
        return report(ADE_INTERNAL, "slot %d came to an exec of %d", static_cast<int>(index),
                      static_cast<int>(exec->n_slots));
    *out = &exec->slots[index];
    return ADE_OK;
}

static ade_status push(ade_exec *exec, int32_t index, void *device, const void *host, size_t bytes) {
    slot *s = nullptr;
    TRY(slot_of(exec, index, &s));
    s->state = SLOT_PUSHED;
    if (bytes) ADE_CUDA_TRY(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, exec->copy));
    ADE_CUDA_TRY(cudaEventRecord(s->uploaded, exec->copy));
    ADE_CUDA_TRY(cudaStreamWaitEvent(exec->compute, s->uploaded, 0));
    return ADE_OK;
}

static ade_status pull(ade_exec *exec, int32_t index, void *host, const void *device, size_t bytes) {
    slot *s = nullptr;
    TRY(slot_of(exec, index, &s));
    if (bytes) ADE_CUDA_TRY(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, exec->compute));
    ADE_CUDA_TRY(cudaEventRecord(s->done, exec->compute));
    s->state = SLOT_PULLED;
    return ADE_OK;
}

/* A batch that was pushed and then given up is waited for, too: its memory is in use until its ops are through. */
static ade_status wait(ade_exec *exec, int32_t index) {
    slot *s = nullptr;
    TRY(slot_of(exec, index, &s));
    if (s->state == SLOT_DONE) return ADE_OK;
    if (s->state == SLOT_PUSHED) ADE_CUDA_TRY(cudaEventRecord(s->done, exec->compute));
    ADE_CUDA_TRY(cudaEventSynchronize(s->done));
    s->state = SLOT_DONE;
    return ADE_OK;
}

static ade_status cuda_push(ade_exec *exec, int32_t index, void *device, const void *host, size_t bytes) {
    ade_status status = enter(exec);
    if (status == ADE_OK) status = push(exec, index, device, host, bytes);
    return leave(exec, status);
}

static ade_status cuda_pull(ade_exec *exec, int32_t index, void *host, const void *device, size_t bytes) {
    ade_status status = enter(exec);
    if (status == ADE_OK) status = pull(exec, index, host, device, bytes);
    return leave(exec, status);
}

static ade_status cuda_wait(ade_exec *exec, int32_t index) {
    if (exec->failed) { /* what was queued before may still be at work on the caller's memory */
        cudaStreamSynchronize(exec->copy);
        cudaStreamSynchronize(exec->compute);
        cudaGetLastError();
    }
    ade_status status = enter(exec);
    if (status == ADE_OK) status = wait(exec, index);
    return leave(exec, status);
}

/* ---- Ops --------------------------------------------------------------------------------------------------------- */

/* With ADE_SYNC=1 a fault shows at its op, not at some later call. */
static ade_status finish(ade_exec *exec, const char *op, ade_status status) {
    if (status == ADE_OK && exec->backend->sync) {
        const cudaError_t error = cudaStreamSynchronize(exec->compute);
        if (error != cudaSuccess) {
            status = ade__cuda_fail(error, "cudaStreamSynchronize", __FILE__, __LINE__);
            status = report(status, "after op %s: %s", op, last_text);
        }
    }
    return leave(exec, status);
}

static ade_status cuda_embed(ade_exec *exec, const ade_embed_args *args) {
    ade_status status = enter(exec);
    if (status == ADE_OK && args->table_type != ADE_F16)
        status = report(ADE_INTERNAL, "embedding tables of type %d came to a GPU", static_cast<int>(args->table_type));
    if (status == ADE_OK) status = ade__cuda_embed(exec->compute, args);
    return finish(exec, "embed", status);
}

static ade_status cuda_linear(ade_exec *exec, const ade_linear_args *args) {
    ade_status status = enter(exec);
    if (status == ADE_OK) status = ade__cuda_gemm_run(exec->gemm, exec->compute, args);
    return finish(exec, "linear", status);
}

static ade_status cuda_attention(ade_exec *exec, const ade_attention_args *args) {
    ade_status status = enter(exec);
    if (status == ADE_OK && (args->max_len > exec->max_len || args->d > exec->head_size))
        status = report(ADE_INTERNAL, "attention over %d tokens and heads of %d came to an exec made for %d and %d",
                        static_cast<int>(args->max_len), static_cast<int>(args->d), static_cast<int>(exec->max_len),
                        static_cast<int>(exec->head_size));
    if (status == ADE_OK) status = ade__cuda_attention(exec->compute, args);
    return finish(exec, "attention", status);
}

#define FORWARD(op)                                                                                                    \
    static ade_status cuda_##op(ade_exec *exec, const ade_##op##_args *args) {                                         \
        ade_status status = enter(exec);                                                                               \
        if (status == ADE_OK) status = ade__cuda_##op(exec->compute, args);                                            \
        return finish(exec, #op, status);                                                                              \
    }
FORWARD(layernorm)
FORWARD(activation)
FORWARD(pool)
FORWARD(probs)
#undef FORWARD

/* ---- The plugin's door ------------------------------------------------------------------------------------------- */

/* clang-format off */
static const ade_ops ops = { /* in the order of ops.h */
    ADE_BACKEND_ABI,   sizeof(ade_ops),    "cuda",
    cuda_probe,        cuda_open,          cuda_close,       cuda_describe,
    cuda_alloc,        cuda_release,       cuda_upload,
    cuda_host_alloc,   cuda_host_release,
    cuda_linear_create, ade__cuda_linear_free,
    cuda_exec_create,  cuda_exec_destroy,  cuda_exec_prepare,
    cuda_push,         cuda_pull,          cuda_wait,
    cuda_embed,        cuda_linear,        cuda_attention,   cuda_layernorm,
    cuda_activation,   cuda_pool,          cuda_probs,
    nullptr,           nullptr,            nullptr,          nullptr, /* no panels, fused ops, */
    nullptr,           nullptr,            nullptr,                   /* teams or times */
};
/* clang-format on */

static const ade_ops *connect(const ade_plugin_host *host) {
    if (!host || host->struct_size < sizeof *host || !host->fail) return nullptr;
    host_fail = host->fail;
    return &ops;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
extern "C" {
extern __attribute__((visibility("default"))) const ade_plugin_entry ade_plugin;
const ade_plugin_entry ade_plugin = {ADE_BACKEND_ABI, sizeof(ade_plugin_entry),
                                     TEXT(ADE_VERSION_MAJOR) "." TEXT(ADE_VERSION_MINOR) "." TEXT(ADE_VERSION_PATCH),
                                     connect};
}
