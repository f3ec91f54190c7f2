/* SPDX-License-Identifier: Apache-2.0
 * The CUDA backend behind ops.h on the emulated GPU: what the probe refuses and how it says so, where cuBLASLt is
 * looked for, memory, the way of a batch through its slot, matrix products (values, bits, what a warm call may not do),
 * and a failure of every call in turn. Linked with the emulated kernels/ and runtime; ADESIEVE_CUBLASLT names the
 * stand-in.
 */
#include "ops.h"

#include "cublaslt_cuda.cuh" /* the list of functions that are used */
#include "cuda_fp16.h"
#include "cuda_runtime.h"

#include <cstddef>
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

extern "C" const ade_plugin_entry ade_plugin;

static int failures;

#define CHECK(condition, ...)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fputc('\n', stderr);                                                    \
            failures++;                                                             \
        }                                                                           \
    } while (0)
#define MUST(call)                                                                   \
    do {                                                                             \
        if ((call) != ADE_OK) {                                                      \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, sentence); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

static thread_local char sentence[4096]; /* what the core keeps as ade_last_error */

static ade_status keep(ade_status status, const char *format, ...) {
    char    text[sizeof sentence];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(sentence, text, sizeof sentence);
    return status;
}

static const ade_ops *ops;

/* One sentence that ends without a full stop or a line feed and says all of `parts`. */
static bool says(std::initializer_list<const char *> parts) {
    const size_t size = strlen(sentence);
    if (size < 20 || strchr(sentence, '\n') || sentence[size - 1] == '.') return false;
    for (const char *part : parts)
        if (!strstr(sentence, part)) return false;
    return true;
}

static void set(const char *name, const char *value) {
    if (value) setenv(name, value, 1);
    else unsetenv(name);
    emu_reset();
}

static emu_counters counters() {
    emu_counters now;
    emu_get_counters(&now);
    return now;
}

/* The stand-in's counts; the library is open when they are asked for. */
static void *lt_function(const char *name) {
    void *library = dlopen(getenv("ADESIEVE_CUBLASLT"), RTLD_NOW | RTLD_NOLOAD);
    void *address = library ? dlsym(library, name) : nullptr;
    if (!address) {
        fprintf(stderr, "the stand-in of cuBLASLt has no %s\n", name);
        exit(1);
    }
    dlclose(library); /* the backend keeps it */
    return address;
}

template <class F> static F *lt_named(const char *name) {
    void *address = lt_function(name);
    F    *function;
    memcpy(&function, &address, sizeof address);
    return function;
}

static emu_cublaslt_counters lt_counters() {
    emu_cublaslt_counters now;
    lt_named<decltype(emu_cublaslt_get_counters)>("emu_cublaslt_get_counters")(&now);
    return now;
}

/* ---- The door ---------------------------------------------------------------------------------------------------- */

static void test_handshake() {
    static const ade_plugin_host host = {sizeof host, keep};
    static const ade_plugin_host older = {sizeof host - 1, keep}, empty = {sizeof host, nullptr};
    CHECK(ade_plugin.abi == ADE_BACKEND_ABI && ade_plugin.struct_size == sizeof ade_plugin, "abi %u, size %u",
          ade_plugin.abi, ade_plugin.struct_size);
    CHECK(!strcmp(ade_plugin.version, "0.1.0"), "version %s", ade_plugin.version);
    CHECK(!ade_plugin.connect(nullptr) && !ade_plugin.connect(&older) && !ade_plugin.connect(&empty),
          "connected to a host that is none");
    ops = ade_plugin.connect(&host);
    if (!ops) exit(1);
    CHECK(ops->abi == ADE_BACKEND_ABI && ops->struct_size == sizeof *ops && !strcmp(ops->name, "cuda"), "%u %u %s",
          ops->abi, ops->struct_size, ops->name);
    void *const *slots = reinterpret_cast<void *const *>(ops);
    const size_t required = offsetof(ade_ops, linear_panel) / sizeof *slots; /* what follows is for the CPU alone */
    for (size_t i = 1; i < sizeof *ops / sizeof *slots; i++)
        CHECK(!slots[i] == (i >= required), "member %zu of the table is%s empty", i, slots[i] ? " not" : "");
}

static void refused(int32_t index, std::initializer_list<const char *> parts, int line) {
    ade_backend_options options = {index, ADE_PRECISION_AUTO};
    ade_backend        *backend = nullptr;
    sentence[0] = '\0';
    CHECK(ops->probe(index) == ADE_UNSUPPORTED && says(parts), "line %d: probe says: %s", line, sentence);
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) /* without a driver or a device the error stays for ever */
        CHECK(cudaPeekAtLastError() == cudaSuccess, "line %d: an error was left behind", line);
    sentence[0] = '\0';
    CHECK(ops->open(&options, &backend) == ADE_UNSUPPORTED && says(parts) && !backend, "line %d: open says: %s", line,
          sentence);
}

static void test_probe_devices() {
    set("EMU_DRIVER", "none");
    refused(0, {"no NVIDIA driver", "13.0", "device cpu"}, __LINE__);
    set("EMU_DRIVER", "11040");
    refused(0, {"driver is too old", "11.4", "13.0", "install"}, __LINE__);
    set("EMU_DRIVER", nullptr);
    set("EMU_DEVICES", "0");
    refused(0, {"no GPU", "device cpu"}, __LINE__);
    set("EMU_DEVICES", "2");
    refused(3, {"GPU 3 was asked for", "has 2"}, __LINE__);
    refused(-1, {"GPU -1 was asked for"}, __LINE__);
    CHECK(ops->probe(1) == ADE_OK, "%s", sentence);
    set("EMU_DEVICES", nullptr);
    set("EMU_NAME", "Tesla V100");
    set("EMU_CAPABILITY", "7.0");
    refused(0, {"Tesla V100", "too old", "7.0", "7.5 (Turing) or newer"}, __LINE__);
    set("EMU_NAME", nullptr);
    set("EMU_CAPABILITY", "7.5");
    CHECK(ops->probe(0) == ADE_OK, "%s", sentence);
    set("EMU_CAPABILITY", nullptr);
    for (int n = 1; n < 50; n++) { /* an error that nothing is known of is the device's */
        emu_reset();
        emu_fail("*", n, cudaErrorUnknown);
        const ade_status status = ops->probe(0);
        if (counters().injected == 0) {
            CHECK(n > 2 && status == ADE_OK, "call %d: %s", n, sentence);
            break;
        }
        CHECK(status == ADE_DEVICE && says({"failed in cuda_backend.cu:", "cudaErrorUnknown"}), "call %d: %s", n,
              sentence);
        CHECK(cudaPeekAtLastError() == cudaSuccess, "call %d: an error was left behind", n);
    }
    emu_reset();
    CHECK(ops->probe(0) == ADE_OK, "%s", sentence);
    CHECK(counters().mallocs == 0 && counters().live_device_bytes == 0, "the probe took memory");
}

/* ---- Where cuBLASLt is looked for: before anything opens it for good --------------------------------------------- */

static void test_cublaslt_variable(const char *standin) {
    Dl_info libc;
    set("ADESIEVE_CUBLASLT", "libcublasLt.so.13");
    refused(0, {"ADESIEVE_CUBLASLT", "\"libcublasLt.so.13\"", "path"}, __LINE__);
    set("ADESIEVE_CUBLASLT", "/nowhere/libcublasLt.so.13");
    refused(0, {"ADESIEVE_CUBLASLT", "/nowhere/libcublasLt.so.13 (no such file)"}, __LINE__);
    set("ADESIEVE_CUBLASLT", "/proc/self/status");
    refused(0, {"ADESIEVE_CUBLASLT", "/proc/self/status ("}, __LINE__);
    if (dladdr(reinterpret_cast<void *>(&::getenv), &libc) && libc.dli_fname[0] == '/') {
        set("ADESIEVE_CUBLASLT", libc.dli_fname);
        refused(0, {"ADESIEVE_CUBLASLT", libc.dli_fname, "no function cublasLt"}, __LINE__);
    }
    set("ADESIEVE_CUBLASLT", standin);
    set("EMU_CUBLAS_VERSION", "120803");
    refused(0, {"ADESIEVE_CUBLASLT", standin, "version 12.8.3, where 13 is needed"}, __LINE__);
    set("EMU_CUBLAS_VERSION", nullptr);
}

/* This program again, as `self`, which then takes itself for the plugin; what its --where prints. */
static std::string where(const std::string &self) {
    std::string said;
    char        buffer[4096];
    FILE       *child = popen((self + " --where").c_str(), "r");
    if (!child) exit(1);
    for (size_t size; (size = fread(buffer, 1, sizeof buffer, child)) > 0;) said.append(buffer, size);
    pclose(child);
    return said;
}

static void copy_file(const char *from, const std::string &to) {
    char  buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to.c_str(), "wb");
    if (!in || !out) exit(1);
    for (size_t size; (size = fread(buffer, 1, sizeof buffer, in)) > 0;)
        if (fwrite(buffer, 1, size, out) != size) exit(1);
    fclose(in);
    if (fclose(out) != 0 || chmod(to.c_str(), 0700) != 0) exit(1);
}

static void test_cublaslt_places(const char *name) {
    static const char *const FOLDERS[] = {"site/adesieve", "site/nvidia/cu13/lib", "nvidia/cu13/lib",
                                          "site/nvidia/cublas/lib", "nvidia/cublas/lib"};
    char              self[4096], folder[] = "/tmp/test_cuda_backend.XXXXXX";
    const ssize_t     size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0 || !mkdtemp(folder)) exit(1);
    self[size] = '\0';
    char             *standin = realpath(name, nullptr);
    if (!standin) exit(1);
    const std::string root = folder, copy = root + "/site/adesieve/self", found = std::string(standin) + "\n";
    if (system(("cd " + root + " && mkdir -p site/adesieve site/nvidia/cu13/lib site/nvidia/cublas/lib nvidia/cu13/lib "
                               "nvidia/cublas/lib toolkit/lib64")
                   .c_str()) != 0)
        exit(1);
    copy_file(self, copy);
    unsetenv("ADESIEVE_CUBLASLT");
    for (const char *place : FOLDERS) {
        const std::string library = root + "/" + place + "/libcublasLt.so.13";
        if (symlink(standin, library.c_str()) != 0) exit(1);
        const std::string said = where(copy);
        CHECK(said == found, "with it in %s: %s", place, said.c_str());
        unlink(library.c_str());
    }
    /* Never the current folder. */
    const std::string here = root + "/toolkit/lib64/libcublasLt.so.13";
    if (symlink(standin, here.c_str()) != 0) exit(1);
    std::string said = where("cd " + root + "/toolkit/lib64 && " + copy);
    CHECK(said != found, "found in the current folder: %s", said.c_str());
    said = where("cd " + root + " && CUDA_HOME=toolkit CUDA_PATH= " + copy);
    CHECK(said != found, "found by a path from the current folder: %s", said.c_str());
    if (said[0] == '/') { /* as a path alone: it found one */
        printf("# not tested: CUDA_HOME and the list of places; this machine's own cuBLASLt comes first\n");
    } else {
        for (const char *variable : {"CUDA_HOME", "CUDA_PATH"}) {
            said = where(std::string(variable) + "=" + root + "/toolkit " + copy);
            CHECK(said == found, "%s: %s", variable, said.c_str());
        }
        said = where("CUDA_HOME=/opt/other " + copy);
        for (const char *part : {"/site/adesieve/libcublasLt.so.13", "/site/nvidia/cu13/lib/libcublasLt.so.13",
                                 "/nvidia/cublas/lib/libcublasLt.so.13", ", libcublasLt.so.13, ",
                                 "/opt/other/lib64/libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                 "nvidia-cublas", "ADESIEVE_CUBLASLT"})
            CHECK(said.find(part) != std::string::npos, "%s is missing: %s", part, said.c_str());
    }
    if (system(("rm -r " + root).c_str()) != 0) exit(1);
    set("ADESIEVE_CUBLASLT", name);
    free(standin);
}

/* Which file it was, of those that are mapped. */
static int print_where() {
    char  line[4096 + 100];
    FILE *maps = ops->probe(0) == ADE_OK ? fopen("/proc/self/maps", "r") : nullptr;
    if (!maps) return printf("%s\n", sentence), 0;
    while (fgets(line, sizeof line, maps)) {
        const char *path = strchr(line, '/');
        if (!path || !strstr(path, "cublasLt")) continue;
        fputs(path, stdout);
        break;
    }
    fclose(maps);
    return 0;
}

/* ---- The device -------------------------------------------------------------------------------------------------- */

static ade_backend *open_backend(int32_t index = 0) {
    ade_backend_options options = {index, ADE_PRECISION_AUTO};
    ade_backend        *backend = nullptr;
    MUST(ops->open(&options, &backend));
    return backend;
}

static ade_exec *open_exec(ade_backend *backend, int32_t slots = 2) {
    const ade_exec_options options = {5632, 512, 64, slots};
    ade_exec              *exec = nullptr;
    MUST(ops->exec_create(backend, &options, &exec));
    return exec;
}

static void test_open() {
    ade_backend     *backend = nullptr;
    ade_backend_info info;
    for (int32_t precision : {ADE_PRECISION_F32, ADE_PRECISION_BF16}) {
        ade_backend_options options = {0, precision};
        CHECK(ops->open(&options, &backend) == ADE_UNSUPPORTED &&
                  says({precision == ADE_PRECISION_F32 ? "precision f32" : "precision bf16", "f16", "device cpu"}),
              "%s", sentence);
    }
    ade_backend_options options = {0, ADE_PRECISION_F16};
    MUST(ops->open(&options, &backend));
    ops->close(backend);
    set("EMU_NAME", "NVIDIA H100 80GB HBM3");
    static const struct {
        const char *sms;
        int         budget;
    } CASES[] = {{"132", 5632}, {"114", 4864}, {"40", 1664}, {"2", 128}};
    for (const auto &c : CASES) {
        set("EMU_SMS", c.sms);
        backend = open_backend();
        ops->describe(backend, &info);
        CHECK(info.token_budget == c.budget, "%s multiprocessors: %d tokens", c.sms, info.token_budget);
        CHECK(info.precision == ADE_PRECISION_F16 && info.act == ADE_F16 && info.res == ADE_F16 &&
                  info.table_type == ADE_F16 && info.bias_in_linear == 0 && info.execs == 1 && info.slots == 8,
              "describe");
        CHECK(!strcmp(info.device_name, "NVIDIA H100 80GB HBM3"), "%s", info.device_name);
        CHECK(!strcmp(info.instruction_set, "sm_90, cuBLASLt 13.1.0, driver 13.0"), "%s", info.instruction_set);
        ops->close(backend);
    }
    set("EMU_SMS", nullptr);
    set("EMU_NAME", nullptr);
    ops->close(nullptr);
    set("EMU_DEVICES", "2");
    backend = open_backend(1);
    int device = -1;
    std::thread([&] { /* a thread that comes from elsewhere */
        void *memory = nullptr;
        MUST(ops->alloc(backend, 1, 1, &memory));
        cudaGetDevice(&device);
        ops->release(backend, memory);
    }).join();
    CHECK(device == 1, "device %d instead of 1", device);
    ops->close(backend);
    set("EMU_DEVICES", nullptr);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void test_memory() {
    ade_backend *backend = open_backend();
    ade_exec    *exec = open_exec(backend);
    void        *device = nullptr, *host = nullptr;
    const size_t rows = 5, row_bytes = 24, all = (rows + ADE_ROW_PAD) * row_bytes;
    MUST(ops->alloc(backend, rows, row_bytes, &device));
    MUST(ops->host_alloc(backend, all, &host));
    CHECK(reinterpret_cast<uintptr_t>(device) % 64 == 0 && reinterpret_cast<uintptr_t>(host) % 64 == 0, "alignment");
    unsigned char *bytes = static_cast<unsigned char *>(host);
    for (int round = 0; round < 8; round++) { /* cudaMemcpy is early on half of the calls */
        std::vector<unsigned char> sent(rows * row_bytes);
        for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<unsigned char>(17 * i + 31 * (size_t)round);
        MUST(ops->upload(backend, device, sent.data(), sent.size()));
        memset(host, 0xEE, all);
        MUST(ops->pull(exec, 0, host, device, all));
        MUST(ops->wait(exec, 0));
        CHECK(!memcmp(host, sent.data(), sent.size()), "round %d: other bytes", round);
        size_t zero = 0;
        for (size_t i = sent.size(); i < all; i++) zero += bytes[i] == 0;
        CHECK(zero == all - sent.size(), "round %d: the row pad is not zero", round);
    }
    MUST(ops->upload(backend, device, nullptr, 0));
    ops->release(backend, device);
    for (int round = 0; round < 8; round++) { /* the pad is zero at once, without another call in between */
        MUST(ops->alloc(backend, rows, row_bytes, &device));
        memset(host, 0xEE, all);
        MUST(ops->pull(exec, 0, host, static_cast<char *>(device) + rows * row_bytes, all - rows * row_bytes));
        MUST(ops->wait(exec, 0));
        CHECK(bytes[0] == 0 && !memcmp(bytes, bytes + 1, all - rows * row_bytes - 1), "a row pad is zero only later");
        ops->release(backend, device);
    }
    ops->release(backend, nullptr);
    ops->host_release(backend, host);
    ops->host_release(backend, nullptr);
    MUST(ops->alloc(backend, 0, 0, &device)); /* sizes of 0 are legal */
    ops->release(backend, device);
    MUST(ops->host_alloc(backend, 0, &host));
    ops->host_release(backend, host);
    device = nullptr;
    for (size_t many : {SIZE_MAX, SIZE_MAX - ADE_ROW_PAD, SIZE_MAX / 2}) {
        CHECK(ops->alloc(backend, many, 4, &device) == ADE_OUT_OF_MEMORY && says({"out of memory", "GPU 0"}) && !device,
              "%s", sentence);
    }
    CHECK(ops->alloc(backend, 9ull << 30, 1, &device) == ADE_OUT_OF_MEMORY &&
              says({"out of memory on GPU 0", "9217 MiB", "2048 MiB are free", "smaller token budget", "device cpu"}) &&
              !device,
          "%s", sentence);
    CHECK(cudaPeekAtLastError() == cudaSuccess, "an error was left behind");
    emu_fail("cudaHostAlloc", 1, cudaErrorMemoryAllocation);
    CHECK(ops->host_alloc(backend, 3 << 20, &host) == ADE_OUT_OF_MEMORY && says({"out of memory", "MiB"}), "%s",
          sentence);
    emu_reset();
    ops->exec_destroy(exec);
    ops->close(backend);
}

/* ---- The way of a batch ------------------------------------------------------------------------------------------ */

static void test_slots() {
    enum { SLOTS = 3, ROUNDS = 50, ROWS = 40, H = 64 };
    ade_backend *backend = open_backend();
    ade_exec    *exec = open_exec(backend, SLOTS);
    const size_t bytes = ROWS * H * sizeof(uint16_t);
    void        *in[SLOTS], *out[SLOTS], *device[SLOTS], *result, *cu;
    int32_t      starts[ROWS + 1];
    int          wrong = 0;
    for (int s = 0; s < SLOTS; s++) {
        MUST(ops->host_alloc(backend, bytes, &in[s]));
        MUST(ops->host_alloc(backend, bytes, &out[s]));
        MUST(ops->alloc(backend, ROWS, H * sizeof(uint16_t), &device[s]));
        MUST(ops->wait(exec, s)); /* never pulled: done */
    }
    MUST(ops->alloc(backend, ROWS, H * sizeof(uint16_t), &result));
    MUST(ops->alloc(backend, ROWS + 1, sizeof(int32_t), &cu));
    for (int i = 0; i <= ROWS; i++) starts[i] = ROWS - 1 - i; /* out[i] = x[ROWS - 1 - i] */
    MUST(ops->upload(backend, cu, starts, sizeof starts));
    const emu_counters before = counters();
    for (int round = 0; round < ROUNDS + SLOTS; round++) {
        const int       s = round % SLOTS;
        uint16_t       *sent = static_cast<uint16_t *>(in[s]);
        const uint16_t *got = static_cast<const uint16_t *>(out[s]);
        MUST(ops->wait(exec, s));
        MUST(ops->wait(exec, s));
        if (round >= SLOTS)
            for (int i = 0; i < ROWS * H; i++)
                wrong += got[i] != (uint16_t)((round - SLOTS) * 7 + (ROWS - 1 - i / H) * H + i % H);
        if (round >= ROUNDS) continue;
        for (int i = 0; i < ROWS * H; i++) sent[i] = (uint16_t)(round * 7 + i);
        ade_pool_args pool = {};
        pool.x = device[s];
        pool.cu_seqlens = static_cast<const int32_t *>(cu);
        pool.out = result;
        pool.s = ROWS;
        pool.h = H;
        MUST(ops->push(exec, s, device[s], sent, bytes));
        MUST(ops->pool(exec, &pool));
        MUST(ops->pull(exec, s, out[s], result, bytes));
    }
    CHECK(wrong == 0, "%d values of another batch", wrong);
    const emu_counters after = counters();
    CHECK(after.mallocs == before.mallocs && after.host_mallocs == before.host_mallocs, "a batch allocated");
    CHECK(after.device_syncs == before.device_syncs && after.stream_syncs == before.stream_syncs,
          "a batch synchronised");
    CHECK(after.event_syncs - before.event_syncs == ROUNDS, "%lld waits", after.event_syncs - before.event_syncs);
    CHECK(after.pageable_async_copies == 0, "a copy from memory that is not pinned");
    /* A batch given up after its push: the wait is for its copy, then its memory may be written. */
    memset(in[0], 1, bytes);
    MUST(ops->push(exec, 0, device[0], in[0], bytes));
    MUST(ops->wait(exec, 0));
    memset(in[0], 2, bytes);
    MUST(ops->pull(exec, 0, out[0], device[0], bytes));
    MUST(ops->wait(exec, 0));
    CHECK(!memcmp(out[0], std::vector<char>(bytes, 1).data(), bytes), "the batch given up was copied late");
    for (int32_t s : {-1, (int32_t)SLOTS}) {
        CHECK(ops->push(exec, s, device[0], in[0], 4) == ADE_INTERNAL && says({"slot"}), "%s", sentence);
        CHECK(ops->pull(exec, s, out[0], device[0], 4) == ADE_INTERNAL && says({"slot"}), "%s", sentence);
        CHECK(ops->wait(exec, s) == ADE_INTERNAL && says({"slot"}), "%s", sentence);
    }
    MUST(ops->wait(exec, 0)); /* a wrong call is no fault of the device */
    const ade_exec_options none = {128, 128, 64, 0};
    ade_exec              *other = nullptr;
    CHECK(ops->exec_create(backend, &none, &other) == ADE_INTERNAL && !other, "an exec without slots");
    ops->exec_destroy(nullptr);
    ops->exec_destroy(exec);
    for (int s = 0; s < SLOTS; s++) {
        ops->host_release(backend, in[s]);
        ops->host_release(backend, out[s]);
        ops->release(backend, device[s]);
    }
    ops->release(backend, result);
    ops->release(backend, cu);
    ops->close(backend);
}

static void test_arguments() {
    ade_backend       *backend = open_backend();
    ade_exec          *exec = open_exec(backend);
    ade_attention_args attention = {};
    ade_embed_args     embed = {};
    attention.max_len = 513;
    attention.d = 64;
    CHECK(ops->attention(exec, &attention) == ADE_INTERNAL && says({"513", "512"}), "%s", sentence);
    attention.max_len = 512;
    attention.d = 65;
    CHECK(ops->attention(exec, &attention) == ADE_INTERNAL && says({"65", "64"}), "%s", sentence);
    embed.table_type = ADE_F32;
    CHECK(ops->embed(exec, &embed) == ADE_INTERNAL && says({"tables"}), "%s", sentence);
    MUST(ops->wait(exec, 0));
    ops->exec_destroy(exec);
    ops->close(backend);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

static float random_value(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * 0x1p-31f;
}

struct product { /* a matrix, its input, and what comes out */
    int32_t            n, k, m;
    int                exact;
    std::vector<float> w, b, x;
    ade_linear        *linear = nullptr;
    void              *x_device = nullptr, *y_device = nullptr, *y_host = nullptr;

    size_t element() const { return exact ? 4 : 2; }
    size_t y_bytes() const { return ((size_t)m + ADE_ROW_PAD) * (size_t)n * element(); }
};

static std::vector<unsigned char> rows_of(const std::vector<float> &values, int exact) {
    std::vector<unsigned char> bytes(values.size() * (exact ? 4 : 2));
    for (size_t i = 0; i < values.size(); i++) {
        const __half rounded = __float2half_rn(values[i]);
        if (exact) memcpy(&bytes[4 * i], &values[i], 4);
        else memcpy(&bytes[2 * i], &rounded, 2);
    }
    return bytes;
}

static float as_type(float value, int exact) { return exact ? value : __half2float(__float2half_rn(value)); }

static product make_product(ade_backend *backend, int32_t n, int32_t k, int32_t m, int exact, int with_bias) {
    product  p;
    uint32_t state = 1;
    p.n = n, p.k = k, p.m = m, p.exact = exact;
    p.w.resize((size_t)n * (size_t)k), p.x.resize((size_t)m * (size_t)k), p.b.resize(with_bias ? (size_t)n : 0);
    for (std::vector<float> *v : {&p.w, &p.x, &p.b})
        for (float &value : *v) value = random_value(&state);
    const ade_linear_desc desc = {p.w.data(), with_bias ? p.b.data() : nullptr, n, k, exact, 0};
    MUST(ops->alloc(backend, (size_t)m, (size_t)k * p.element(), &p.x_device));
    MUST(ops->alloc(backend, (size_t)m, (size_t)n * p.element(), &p.y_device));
    MUST(ops->host_alloc(backend, p.y_bytes(), &p.y_host));
    const std::vector<unsigned char> rows = rows_of(p.x, exact);
    MUST(ops->upload(backend, p.x_device, rows.data(), rows.size()));
    MUST(ops->linear_create(backend, &desc, &p.linear)); /* last: nothing else may have to wait for its copies */
    return p;
}

static void free_product(ade_backend *backend, product *p) {
    ops->linear_destroy(p->linear);
    ops->release(backend, p->x_device);
    ops->release(backend, p->y_device);
    ops->host_release(backend, p->y_host);
}

/* The first m rows, as bytes. */
static std::vector<unsigned char> run(ade_exec *exec, const product &p, int32_t m, int32_t from = 0) {
    const char           *x = static_cast<const char *>(p.x_device) + (size_t)from * (size_t)p.k * p.element();
    const ade_linear_args args = {p.linear, x, p.y_device, m};
    const size_t          bytes = (size_t)m * (size_t)p.n * p.element();
    MUST(ops->linear(exec, &args));
    MUST(ops->pull(exec, 0, p.y_host, p.y_device, bytes));
    MUST(ops->wait(exec, 0));
    const unsigned char *got = static_cast<const unsigned char *>(p.y_host);
    return std::vector<unsigned char>(got, got + bytes);
}

static void check_values(const product &p, const std::vector<unsigned char> &got, const char *what) {
    double       worst = 0;
    const double bound = (p.exact ? 3e-6 : 1e-3) * std::sqrt((double)p.k);
    const size_t rows = got.size() / ((size_t)p.n * p.element());
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < (size_t)p.n; j++) {
            double sum = p.b.empty() ? 0 : (double)p.b[j];
            float  value;
            __half rounded;
            for (size_t k = 0; k < (size_t)p.k; k++)
                sum += (double)as_type(p.x[i * (size_t)p.k + k], p.exact) *
                       (double)as_type(p.w[j * (size_t)p.k + k], p.exact);
            if (p.exact) memcpy(&value, &got[4 * (i * (size_t)p.n + j)], 4);
            else memcpy(&rounded, &got[2 * (i * (size_t)p.n + j)], 2), value = __half2float(rounded);
            const double error = std::fabs((double)value - sum);
            if (!(error <= worst)) worst = error;
        }
    CHECK(worst <= bound, "%s: %d x %d, %s%s: error %g, allowed %g", what, p.n, p.k, p.exact ? "fp32" : "f16",
          p.b.empty() ? "" : " with bias", worst, bound);
}

static void test_products() {
    static const struct {
        int32_t n, k;
        int     exact, with_bias;
    } CASES[] = {{96, 64, 0, 1},  {96, 64, 0, 0}, {64, 256, 0, 0}, {37, 33, 0, 1},
                 {37, 33, 0, 0}, {64, 64, 1, 0}, {37, 33, 1, 1},  {8, 7, 1, 0}};
    const emu_counters start = counters();
    ade_backend       *backend = open_backend();
    ade_exec          *exec = open_exec(backend), *small = open_exec(backend);
    for (const auto &c : CASES) {
        product p = make_product(backend, c.n, c.k, 300, c.exact, c.with_bias);
        MUST(ops->exec_prepare(exec, p.linear, 300));
        MUST(ops->exec_prepare(small, p.linear, 1));
        const std::vector<unsigned char> all = run(exec, p, 300);
        const size_t                     row = (size_t)c.n * p.element();
        check_values(p, all, "300 rows");
        for (int32_t m : {1, 2, 127, 128, 129, 256, 257, 299}) {
            const std::vector<unsigned char> some = run(exec, p, m);
            CHECK(!memcmp(all.data(), some.data(), some.size()), "%d x %d: other bits with %d rows", c.n, c.k, m);
        }
        if ((size_t)c.k * p.element() % 16 == 0)
            for (int32_t from : {1, 100, 128, 171}) { /* the same rows elsewhere in the batch */
                const std::vector<unsigned char> some = run(exec, p, 129, from);
                CHECK(!memcmp(all.data() + (size_t)from * row, some.data(), some.size()),
                      "%d x %d: other bits for rows from %d", c.n, c.k, from);
            }
        const std::vector<unsigned char> one = run(small, p, 1);
        CHECK(!memcmp(all.data(), one.data(), one.size()), "%d x %d: other bits in an exec for fewer rows", c.n, c.k);
        CHECK(run(small, p, 128).size() == 128 * row, "128 rows");
        const ade_linear_args many = {p.linear, p.x_device, p.y_device, 129}, none = {p.linear, nullptr, nullptr, 0};
        CHECK(ops->linear(small, &many) == ADE_INTERNAL && says({"129", "128"}), "%s", sentence);
        MUST(ops->linear(exec, &none));
        free_product(backend, &p);
    }
    CHECK(lt_counters().split_products == 0, "a product was split");
    ops->exec_destroy(small);
    ops->exec_destroy(exec);
    ops->close(backend);
    CHECK(counters().live_device_bytes == start.live_device_bytes, "device memory was left behind");
    CHECK(lt_counters().live_handles == 0 && lt_counters().live_descriptors == 0, "%lld handles, %lld descriptors left",
          lt_counters().live_handles, lt_counters().live_descriptors);
}

/* Budgets, sessions and the order in which matrices come give no other bits. */
static void test_same_bits() {
    std::vector<unsigned char> first;
    for (int32_t max_rows : {300, 5632, 20000}) {
        ade_backend *backend = open_backend();
        ade_exec    *exec = open_exec(backend);
        product      other = make_product(backend, 96, 64, 1, 0, max_rows != 300);
        product      p = make_product(backend, 192, 384, 300, 0, 1);
        MUST(ops->exec_prepare(exec, p.linear, max_rows));
        const std::vector<unsigned char> got = run(exec, p, 300);
        if (first.empty()) first = got;
        CHECK(got == first, "other bits when %d rows may come", max_rows);
        free_product(backend, &other);
        free_product(backend, &p);
        ops->exec_destroy(exec);
        ops->close(backend);
    }
}

/* Products with the unit matrix give the weights back as they were rounded: to nearest, ties to even, small ones too.
 */
static void test_rounding() {
    enum { N = 512, K = 64 };
    ade_backend *backend = open_backend();
    ade_exec    *exec = open_exec(backend);
    product      p = make_product(backend, N, K, K, 0, 0);
    size_t       wrong = 0;
    uint32_t     state = 99;
    for (size_t i = 0; i < p.w.size(); i++) { /* halfway between neighbours in f16, one step beside, or anything */
        const uint32_t exponent = 100 + (uint32_t)(i % 43), step = (uint32_t)(i / 43 % 4);
        const uint32_t high = (uint32_t)(i * 7919 % 1024);
        uint32_t       word = (i & 1) << 31 | exponent << 23 | high << 13 | 1u << 12;
        if (step == 1) word++;
        if (step == 2) word--;
        if (step == 3) word ^= (uint32_t)(std::fabs(random_value(&state)) * 4096.0f);
        memcpy(&p.w[i], &word, sizeof word);
        if (!(std::fabs(p.w[i]) < 65520.0f)) p.w[i] = 65519.99f;
    }
    std::vector<float> unit((size_t)K * K);
    for (size_t i = 0; i < K; i++) unit[i * K + i] = 1.0f;
    const std::vector<unsigned char> rows = rows_of(unit, 0);
    const ade_linear_desc            desc = {p.w.data(), nullptr, N, K, 0, 0};
    ops->linear_destroy(p.linear);
    MUST(ops->linear_create(backend, &desc, &p.linear));
    MUST(ops->upload(backend, p.x_device, rows.data(), rows.size()));
    MUST(ops->exec_prepare(exec, p.linear, K));
    const std::vector<unsigned char> got = run(exec, p, K);
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < N; j++) {
            __half value;
            memcpy(&value, &got[2 * (i * N + j)], 2);
            wrong += __half2float(value) != as_type(p.w[j * K + i], 0);
        }
    CHECK(wrong == 0, "%zu of %d weights are rounded differently", wrong, N * K);
    free_product(backend, &p);
    ops->exec_destroy(exec);
    ops->close(backend);
}

static void test_steady_state() {
    ade_backend *backend = open_backend();
    ade_exec    *exec = open_exec(backend);
    product      a = make_product(backend, 96, 64, 300, 0, 1), b = make_product(backend, 96, 64, 300, 0, 1);
    product      c = make_product(backend, 96, 64, 300, 1, 0);
    const long long heuristics = lt_counters().heuristics;
    for (product *p : {&a, &b, &c}) MUST(ops->exec_prepare(exec, p->linear, 300));
    MUST(ops->exec_prepare(exec, a.linear, 200)); /* fewer and more than before */
    MUST(ops->exec_prepare(exec, a.linear, 600));
    CHECK(lt_counters().heuristics == heuristics, "an algorithm was chosen after the matrix was made");
    const emu_counters          before = counters();
    const emu_cublaslt_counters lt_before = lt_counters();
    for (int32_t m = 1; m <= 300; m += 7) {
        const std::vector<unsigned char> y = run(exec, a, m);
        CHECK(y == run(exec, b, m), "two equal matrices, other bits");
        (void)run(exec, c, m);
    }
    const emu_counters          after = counters();
    const emu_cublaslt_counters lt_after = lt_counters();
    CHECK(after.mallocs == before.mallocs && after.host_mallocs == before.host_mallocs, "a warm product allocated");
    CHECK(after.device_syncs == before.device_syncs && after.stream_syncs == before.stream_syncs, "it synchronised");
    CHECK(lt_after.calls - lt_before.calls == lt_after.products - lt_before.products,
          "it called more than cublasLtMatmul");
    for (product *p : {&a, &b, &c}) free_product(backend, p);
    ops->linear_destroy(nullptr);
    ops->exec_destroy(exec);
    ops->close(backend);
}

static void test_values_refused() {
    static const float BAD[] = {65520.0f, -70000.0f, INFINITY, -INFINITY, NAN};
    ade_backend       *backend = open_backend();
    std::vector<float> w((size_t)700 * 600, 0.5f), b(700, 0.25f);
    ade_linear        *linear = nullptr;
    const emu_counters before = counters();
    for (size_t index : {(size_t)0, (size_t)262143, (size_t)262144, w.size() - 1}) /* either side of a staged part */
        for (float value : BAD) {
            const ade_linear_desc desc = {w.data(), nullptr, 700, 600, 0, 0};
            const std::string     where_it_is = "index " + std::to_string(index) + ",";
            w[index] = value;
            CHECK(ops->linear_create(backend, &desc, &linear) == ADE_UNSUPPORTED && !linear &&
                      says({"weight", "700 x 600", where_it_is.c_str(), "f16", "device cpu"}),
                  "%g at %zu: %s", (double)value, index, sentence);
            w[index] = 65519.0f; /* rounds to the largest */
        }
    b[699] = -65520.0f;
    const ade_linear_desc with_bias = {w.data(), b.data(), 700, 600, 0, 0}, exact = {w.data(), b.data(), 700, 600, 1, 0};
    CHECK(ops->linear_create(backend, &with_bias, &linear) == ADE_UNSUPPORTED && says({"bias", "-65520", "index 699"}),
          "%s", sentence);
    CHECK(counters().live_device_bytes == before.live_device_bytes, "memory of refused matrices was left behind");
    MUST(ops->linear_create(backend, &exact, &linear)); /* fp32 holds it */
    ops->linear_destroy(linear);
    b[699] = 65519.0f;
    MUST(ops->linear_create(backend, &with_bias, &linear));
    ops->linear_destroy(linear);
    const ade_linear_desc empty = {w.data(), nullptr, 0, 600, 0, 0};
    CHECK(ops->linear_create(backend, &empty, &linear) == ADE_INTERNAL, "a matrix of no rows");
    ops->close(backend);
}

static void test_two_execs_at_once() {
    ade_backend               *backend = open_backend();
    product                    p[2];
    std::vector<unsigned char> got[2];
    std::thread                threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = std::thread([&, i] {
            ade_exec *exec = open_exec(backend);
            p[i] = make_product(backend, 96, 64, 200, 0, 1); /* both make the plan at once */
            MUST(ops->exec_prepare(exec, p[i].linear, 200));
            for (int k = 0; k < 20; k++) got[i] = run(exec, p[i], 200);
            ops->exec_destroy(exec);
        });
    for (std::thread &thread : threads) thread.join();
    CHECK(got[0] == got[1], "two execs at once, other bits");
    check_values(p[0], got[0], "at once");
    for (product &one : p) free_product(backend, &one);
    ops->close(backend);
}

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

/* Opens, computes, closes; the status of what failed first. Everything made is freed whatever happens. */
static ade_status scenario() {
    enum { N = 48, K = 32, M = 20 };
    const ade_backend_options options = {0, ADE_PRECISION_AUTO};
    const ade_exec_options    exec_options = {M, 32, 64, 2};
    const std::vector<float>  w(N * K, 0.25f), b(N, 1.0f);
    const ade_linear_desc     desc = {w.data(), b.data(), N, K, 0, 0};
    ade_backend              *backend = nullptr;
    ade_exec                 *exec = nullptr;
    ade_linear               *linear = nullptr;
    void                     *x = nullptr, *y = nullptr, *host = nullptr;
    ade_linear_args           args = {};
    ade_activation_args       act = {};
    ade_status                status = ops->open(&options, &backend);
    if (status == ADE_OK) status = ops->linear_create(backend, &desc, &linear);
    if (status == ADE_OK) status = ops->exec_create(backend, &exec_options, &exec);
    if (status == ADE_OK) status = ops->alloc(backend, M, K * 2, &x);
    if (status == ADE_OK) status = ops->alloc(backend, M, N * 2, &y);
    if (status == ADE_OK) status = ops->host_alloc(backend, M * N * 2, &host);
    if (status == ADE_OK) status = ops->exec_prepare(exec, linear, M);
    if (status == ADE_OK) status = ops->upload(backend, x, w.data(), 64);
    for (int round = 0; round < 3 && status == ADE_OK; round++) {
        const __half one = __float2half_rn(1.0f);
        for (int i = 0; i < M * K; i++) memcpy(static_cast<char *>(host) + 2 * i, &one, 2);
        args = {linear, x, y, M};
        act.x = act.y = y;
        act.kind = ADE_FN_RELU;
        act.m = M;
        act.n = N;
        status = ops->push(exec, round % 2, x, host, M * K * 2);
        if (status == ADE_OK) status = ops->linear(exec, &args);
        if (status == ADE_OK) status = ops->activation(exec, &act);
        if (status == ADE_OK) status = ops->pull(exec, round % 2, host, y, M * N * 2);
        if (status == ADE_OK) status = ops->wait(exec, round % 2);
        for (int i = 0; i < M * N && status == ADE_OK; i++) {
            __half value;
            memcpy(&value, static_cast<char *>(host) + 2 * i, 2);
            CHECK(__half2float(value) == 9.0f, "value %d is %g", i, (double)__half2float(value));
        }
    }
    char first[sizeof sentence];
    memcpy(first, sentence, sizeof first);
    if (exec && status == ADE_DEVICE && args.linear) { /* from the first push on it was the exec's */
        char         expected[sizeof sentence + 32];
        snprintf(expected, sizeof expected, "the GPU failed earlier: %s", first);
        CHECK(ops->linear(exec, &args) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
        CHECK(ops->activation(exec, &act) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
        CHECK(ops->push(exec, 0, x, host, 2) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
        CHECK(ops->pull(exec, 0, host, x, 2) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
        CHECK(ops->wait(exec, 1) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
        CHECK(ops->exec_prepare(exec, linear, M) == ADE_DEVICE && !strcmp(sentence, expected), "%s", sentence);
    }
    memcpy(sentence, first, sizeof first);
    if (exec) ops->exec_destroy(exec);
    if (backend) {
        ops->host_release(backend, host);
        ops->release(backend, y);
        ops->release(backend, x);
        ops->linear_destroy(linear);
    }
    ops->close(backend);
    CHECK(!memcmp(sentence, first, sizeof first), "freeing changed the text to: %s", sentence);
    return status;
}

static emu_cublaslt_counters given_up; /* what the stand-in keeps because freeing it failed */

static void check_nothing_left(const char *what, long n) {
    const emu_counters          now = counters();
    const emu_cublaslt_counters lt = lt_counters();
    CHECK(now.live_allocations == 0 && now.live_host_allocations == 0 && now.live_streams == 0 &&
              now.live_events == 0 && lt.live_handles == given_up.live_handles &&
              lt.live_descriptors == given_up.live_descriptors,
          "%s, call %ld: left behind are %lld device and %lld host allocations, %lld streams, %lld events, %lld "
          "handles, %lld descriptors",
          what, n, now.live_allocations, now.live_host_allocations, now.live_streams, now.live_events,
          lt.live_handles - given_up.live_handles, lt.live_descriptors - given_up.live_descriptors);
    CHECK(cudaPeekAtLastError() == cudaSuccess, "%s, call %ld: an error was left behind", what, n);
}

static void test_every_call_fails() {
    static const struct {
        int         error;
        const char *name, *cure;
    } CASES[] = {{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "start the process again"},
                 {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "start the process again"},
                 {cudaErrorMemoryAllocation, "out of", "device cpu"}, /* "out of memory", "out of GPU memory" */
                 {cudaErrorUnknown, "cudaErrorUnknown", "start the process again"},
                 {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "holds no code for this GPU"}};
    set("EMU_CAPABILITY", "8.0"); /* where the workspace is small, and made and filled faster here */
    MUST(scenario());
    for (const auto &c : CASES) {
        long n = 1, unnoticed = 0;
        for (;; n++) {
            emu_reset();
            sentence[0] = '\0';
            emu_fail("*", n, c.error);
            const ade_status status = scenario();
            const long long  injected = counters().injected;
            emu_reset();
            check_nothing_left(c.name, n);
            if (injected == 0) {
                CHECK(status == ADE_OK, "%s", sentence);
                break;
            }
            if (status == ADE_OK) unnoticed++; /* a call that frees: the scenario was through */
            else if (c.error == cudaErrorNoKernelImageForDevice && status == ADE_UNSUPPORTED) /* asked before anything */
                CHECK(says({"was not built for this GPU"}), "call %ld: %s", n, sentence);
            else
                CHECK(status == (c.error == cudaErrorMemoryAllocation ? ADE_OUT_OF_MEMORY : ADE_DEVICE) &&
                          says({c.name, c.cure}),
                      "call %ld: status %d: %s", n, (int)status, sentence);
            if (n > 1000) exit(1);
        }
        CHECK(n > 60 && unnoticed < 40, "%ld calls, %ld failures unnoticed", n - 1, unnoticed);
        printf("# error %d at each of %ld calls; %ld of them free something\n", c.error, n - 1, unnoticed);
    }
}

static void test_every_call_of_cublaslt_fails() {
    static const char *const FUNCTIONS[] = {
#define NAME_OF(member, name) #name,
        ADE_CUBLASLT_MAP(NAME_OF)
#undef NAME_OF
    };
    auto *reset = lt_named<decltype(emu_cublaslt_reset)>("emu_cublaslt_reset");
    auto *fail = lt_named<decltype(emu_cublaslt_fail)>("emu_cublaslt_fail");
    for (int error : {CUBLAS_STATUS_EXECUTION_FAILED, CUBLAS_STATUS_ALLOC_FAILED, CUBLAS_STATUS_NOT_SUPPORTED}) {
        const ade_status expected = error == CUBLAS_STATUS_ALLOC_FAILED ? ADE_OUT_OF_MEMORY : ADE_DEVICE;
        long             failed = 0, reported = 0;
        for (const char *function : FUNCTIONS) {
            const bool frees = strstr(function, "Destroy");
            const bool asks = strstr(function, "Algo"); /* of an algorithm, after which another's turn may come */
            const bool plain = !asks && strstr(function, "Get");
            const long most = plain ? 0 : frees || asks ? 12 : 60;
#ifdef __SANITIZE_ADDRESS__
            if (frees) continue; /* the stand-in keeps what it fails to free */
#endif
            for (long n = 1; n <= most; n++) {
                reset();
                emu_reset();
                fail(function, n, error);
                sentence[0] = '\0';
                const ade_status status = scenario();
                reset();
                if (frees) given_up = lt_counters();
                check_nothing_left(function, n);
                if (status == ADE_OK && !frees && !asks) {
                    CHECK(n > 1, "%s failed and nobody noticed", function);
                    break; /* there are fewer calls */
                }
                failed++;
                reported += status != ADE_OK;
                if (asks && status == ADE_UNSUPPORTED) CHECK(says({"has no algorithm", "device cpu"}), "%s", sentence);
                else if (status != ADE_OK)
                    CHECK(status == expected && says({function, "(...)", "gemm_cuda.cu:", "device cpu"}),
                          "%s, call %ld: status %d: %s", function, n, (int)status, sentence);
            }
        }
        CHECK(reported > 20, "%ld of %ld failures were reported", reported, failed);
        printf("# cuBLASLt's status %d at %ld calls; %ld were reported\n", error, failed, reported);
    }
    reset();
}

/* ADE_SYNC=1 finds the op; without it the fault shows where somebody waits. */
static void test_sync() {
    for (int sync = 0; sync < 2; sync++) {
        setenv("ADE_SYNC", sync ? "1" : "0", 1);
        emu_reset();
        ade_backend *backend = open_backend();
        ade_exec    *exec = open_exec(backend);
        product      p = make_product(backend, 96, 64, 10, 0, 0);
        MUST(ops->exec_prepare(exec, p.linear, 10));
        const ade_linear_args args = {p.linear, p.x_device, p.y_device, 10};
        const emu_counters    before = counters();
        MUST(ops->linear(exec, &args));
        CHECK(counters().stream_syncs - before.stream_syncs == sync, "ADE_SYNC=%d", sync);
        emu_fail(sync ? "cudaStreamSynchronize" : "cudaEventSynchronize", 1, cudaErrorIllegalAddress);
        ade_status status = ops->linear(exec, &args);
        CHECK(sync ? status == ADE_DEVICE && says({"after op linear", "cudaErrorIllegalAddress"}) : status == ADE_OK,
              "%s", sentence);
        if (!sync) {
            MUST(ops->pull(exec, 0, p.y_host, p.y_device, 10));
            CHECK(ops->wait(exec, 0) == ADE_DEVICE && says({"cudaEventSynchronize(...) failed in cuda_backend.cu:"}),
                  "%s", sentence);
        }
        status = ops->wait(exec, 0);
        CHECK(status == ADE_DEVICE && says({"the GPU failed earlier: ", "cudaErrorIllegalAddress"}), "%s", sentence);
        ops->exec_destroy(exec);
        free_product(backend, &p);
        ops->close(backend);
        emu_reset();
        unsetenv("ADE_SYNC");
    }
    check_nothing_left("ADE_SYNC", 0);
}

int main(int argc, char **argv) {
    const char *standin = getenv("ADESIEVE_CUBLASLT");
    test_handshake();
    if (argc > 1 && !strcmp(argv[1], "--where")) return print_where();
    if (!standin) {
        fprintf(stderr, "ADESIEVE_CUBLASLT must name the stand-in of cuBLASLt\n");
        return 2;
    }
    const std::string kept = standin;
    test_cublaslt_variable(kept.c_str());
    test_cublaslt_places(kept.c_str());
    test_probe_devices();
    test_open();
    test_memory();
    test_slots();
    test_arguments();
    test_products();
    test_same_bits();
    test_rounding();
    test_steady_state();
    test_values_refused();
    test_two_execs_at_once();
    test_sync();
    test_every_call_fails();
    test_every_call_of_cublaslt_fails();
    set("EMU_CAPABILITY", nullptr);
    check_nothing_left("the end", 0);
    if (failures) fprintf(stderr, "%d checks failed\n", failures);
    else printf("the CUDA backend is right on the emulated GPU\n");
    return failures != 0;
}
