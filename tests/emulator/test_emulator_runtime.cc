/* SPDX-License-Identifier: Apache-2.0
 * The emulator's runtime API: that it does what CUDA documents, is as lazy as it says, and fails as it is told to.
 * Needs emu_faults.cc, emu_memory.cc and emu_runtime.cc alone. ADE_TEST_WRONG=1 makes one expectation wrong. */
#include "emu_check.h"
#include "emu_runtime_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

/* A sanitizer explains crashes in its own words. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif
#ifndef WITH_SANITIZER
#define WITH_SANITIZER 0
#endif
#define UNCHECKED __attribute__((noinline, no_sanitize("address")))

static std::atomic<int> failures, checks;

#define CHECK_GIVES(call, expected)                                                                                    \
    do {                                                                                                               \
        const cudaError_t check_found = (call);                                                                        \
        checks++;                                                                                                      \
        if (check_found != (expected)) {                                                                               \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: %s gave %s instead of %s\n", __FILE__, __LINE__, #call,                            \
                    cudaGetErrorName(check_found), cudaGetErrorName(expected));                                        \
        }                                                                                                              \
    } while (0)
#define CHECK_OK(call) CHECK_GIVES(call, cudaSuccess)

/* Variables for one reset; with none, the machine is as without environment. */
static void reset(std::vector<std::pair<const char *, const char *>> variables = {}) {
    static const char *const all[] = {"EMU_SEED",   "EMU_DEVICES", "EMU_DRIVER", "EMU_CAPABILITY", "EMU_SMS",
                                      "EMU_MEMORY", "EMU_NAME",    "EMU_FAIL",   "EMU_PROTECT"};
    for (const char *name : all) unsetenv(name);
    for (const auto &variable : variables) setenv(variable.first, variable.second, 1);
    emu_reset();
}

static void seed(int number) { reset({{"EMU_SEED", std::to_string(number).c_str()}}); }

static emu_counters counters() {
    emu_counters now;
    emu_get_counters(&now);
    return now;
}

static cudaStream_t new_stream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t stream = nullptr;
    CHECK_OK(cudaStreamCreateWithFlags(&stream, flags));
    return stream;
}

static cudaEvent_t new_event() {
    cudaEvent_t event = nullptr;
    CHECK_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

template <class T> static T *new_device(size_t count) {
    T *memory = nullptr;
    CHECK_OK(cudaMalloc(&memory, count * sizeof(T)));
    return memory;
}

template <class T> static T *new_pinned(size_t count) {
    T *memory = nullptr;
    CHECK_OK(cudaMallocHost(&memory, count * sizeof(T)));
    return memory;
}

struct child_end {
    bool        has_crashed;
    std::string said;
};

/* What becomes of a process that does this. */
template <class Action> static child_end in_child(Action action) {
    int       ends[2];
    child_end result;
    fflush(nullptr);
    if (pipe(ends) != 0) abort();
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        action();
        _exit(0);
    }
    close(ends[1]);
    char    bytes[4096];
    ssize_t size;
    while ((size = read(ends[0], bytes, sizeof bytes)) > 0) result.said.append(bytes, static_cast<size_t>(size));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    result.has_crashed = WITH_SANITIZER ? status != 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
    return result;
}

static bool says(const child_end &end, const char *part) {
    return WITH_SANITIZER || end.said.find(part) != std::string::npos;
}

/* Runs what is meant to print on stderr. */
template <class Action> static std::string quietly(Action action) {
    char path[] = "/tmp/emulatorXXXXXX";
    char bytes[4096];
    int  file = mkstemp(path), before = dup(STDERR_FILENO);
    fflush(stderr);
    unlink(path);
    dup2(file, STDERR_FILENO);
    action();
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    const ssize_t size = pread(file, bytes, sizeof bytes, 0);
    close(file);
    return std::string(bytes, size > 0 ? static_cast<size_t>(size) : 0);
}

/* ---- Errors and the machine -------------------------------------------------------------------------------------- */

static void test_errors() {
    reset();
    CHECK(!strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress"));
    CHECK(!strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory"));
    CHECK(!strcmp(cudaGetErrorName(static_cast<cudaError_t>(12345)), "unrecognized error code"));
    CHECK_OK(cudaGetLastError());
    CHECK_GIVES(cudaMalloc(static_cast<void **>(nullptr), 1), cudaErrorInvalidValue);
    std::thread([] { CHECK_OK(cudaGetLastError()); }).join(); /* each thread has its own */
    CHECK_GIVES(cudaPeekAtLastError(), cudaErrorInvalidValue);
    CHECK_OK(cudaSetDevice(0)); /* a success leaves it */
    CHECK_GIVES(cudaGetLastError(), cudaErrorInvalidValue);
    CHECK_OK(cudaGetLastError());
    emu_set_last_error(cudaErrorInvalidConfiguration);
    CHECK_GIVES(cudaGetLastError(), cudaErrorInvalidConfiguration);
    emu_set_last_error(cudaErrorInvalidConfiguration);
    emu_reset();
    CHECK_OK(cudaGetLastError());
}

static void test_machine() {
    cudaDeviceProp prop;
    int            value = 0;
    reset();
    CHECK_OK(cudaGetDeviceCount(&value));
    const char *wrong = getenv("ADE_TEST_WRONG");
    CHECK(value == (wrong && !strcmp(wrong, "1") ? 2 : 1));
    CHECK_OK(cudaGetDeviceProperties(&prop, 0));
    CHECK(prop.major == 9 && prop.minor == 0 && prop.multiProcessorCount == 132 && prop.totalGlobalMem == 2u << 30);
    CHECK(prop.warpSize == 32 && prop.l2CacheSize > 0 && prop.sharedMemPerBlock == 49152);
    CHECK_OK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    CHECK(value == 132);
    CHECK_OK(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
    CHECK(value == 9);
    CHECK_GIVES(cudaDeviceGetAttribute(&value, static_cast<cudaDeviceAttr>(9999), 0), cudaErrorInvalidValue);
    CHECK_GIVES(cudaGetDeviceProperties(&prop, 1), cudaErrorInvalidDevice);
    CHECK_GIVES(cudaSetDevice(1), cudaErrorInvalidDevice);
    CHECK_OK(cudaRuntimeGetVersion(&value));
    CHECK(value == CUDART_VERSION);
    CHECK_OK(cudaDriverGetVersion(&value));
    CHECK(value == CUDART_VERSION);

    reset({{"EMU_DEVICES", "3"}, {"EMU_CAPABILITY", "12.0"}, {"EMU_SMS", "170"}, {"EMU_NAME", "Test GPU"}});
    CHECK_OK(cudaGetDeviceCount(&value));
    CHECK(value == 3);
    CHECK_OK(cudaSetDevice(2));
    CHECK_OK(cudaGetDevice(&value));
    CHECK(value == 2);
    CHECK_OK(cudaGetDeviceProperties(&prop, 2));
    CHECK(prop.major == 12 && prop.multiProcessorCount == 170 && !strcmp(prop.name, "Test GPU"));
    CHECK_OK(cudaSetDevice(0));
    CHECK_GIVES(cudaSetDevice(-1), cudaErrorInvalidDevice);

    reset({{"EMU_DEVICES", "0"}});
    value = 77;
    CHECK_GIVES(cudaGetDeviceCount(&value), cudaErrorNoDevice);
    CHECK(value == 77);
    void *memory = nullptr;
    CHECK_GIVES(cudaMalloc(&memory, 8), cudaErrorNoDevice);
    for (const char *driver : {"none", "11040", "12080"}) {
        reset({{"EMU_DRIVER", driver}});
        CHECK_OK(cudaDriverGetVersion(&value));
        CHECK(value == atoi(driver));
        CHECK_GIVES(cudaGetDeviceCount(&value), cudaErrorInsufficientDriver);
        CHECK_GIVES(cudaGetLastError(), cudaErrorInsufficientDriver);
        CHECK_GIVES(cudaGetLastError(), cudaErrorInsufficientDriver); /* as seen of CUDA 13 without a driver */
        CHECK_GIVES(cudaSetDevice(0), cudaErrorInsufficientDriver);
    }
    reset({{"EMU_DRIVER", "13010"}});
    CHECK_OK(cudaGetDeviceCount(&value));

    reset({{"EMU_CAPABILITY", "7.0"}});
    cudaStream_t       stream = new_stream();
    cudaFuncAttributes attributes;
    emu_enqueue(stream, [] {});
    CHECK_GIVES(cudaGetLastError(), cudaErrorNoKernelImageForDevice);
    CHECK_GIVES(cudaFuncGetAttributes(&attributes, test_errors), cudaErrorNoKernelImageForDevice);
    CHECK(counters().launches == 0);
    reset({{"EMU_CAPABILITY", "7.5"}});
    emu_enqueue(stream, [] {});
    CHECK_OK(cudaGetLastError());
    CHECK_OK(cudaFuncGetAttributes(&attributes, test_errors));
    CHECK(attributes.maxThreadsPerBlock == 1024 && attributes.binaryVersion == 75);
    CHECK_OK(cudaFuncSetAttribute(test_errors, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10));
    CHECK_GIVES(cudaFuncSetAttribute(test_errors, cudaFuncAttributeMaxDynamicSharedMemorySize, 300 << 10),
                cudaErrorInvalidValue);
    CHECK_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, test_errors, 256, 0));
    CHECK(value == 8);
    CHECK_OK(cudaStreamDestroy(stream));
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void test_memory() {
    size_t free_bytes = 0, total = 0;
    reset({{"EMU_MEMORY", "1048576"}});
    char *a = new_device<char>(100), *b = new_device<char>(700000), *c = nullptr;
    char  seen[100];
    CHECK(reinterpret_cast<uintptr_t>(a) % 256 == 0 && reinterpret_cast<uintptr_t>(b) % 256 == 0);
    CHECK_OK(cudaMemcpy(seen, a, sizeof seen, cudaMemcpyDeviceToHost));
    for (char byte : seen) CHECK(byte == '\xff');
    CHECK_OK(cudaMemGetInfo(&free_bytes, &total));
    CHECK(total == 1048576 && free_bytes == total - 256 - 700160); /* both rounded up to 256 */
    CHECK_GIVES(cudaMalloc(&c, free_bytes + 1), cudaErrorMemoryAllocation);
    CHECK(c == nullptr);
    CHECK_GIVES(cudaGetLastError(), cudaErrorMemoryAllocation);
    CHECK_GIVES(cudaMalloc(&c, SIZE_MAX), cudaErrorMemoryAllocation);
    CHECK(counters().live_allocations == 2 && counters().live_device_bytes == 700100);
    CHECK_OK(cudaMalloc(&c, free_bytes));
    CHECK_OK(cudaFree(c));
    CHECK_OK(cudaFree(b));
    CHECK_GIVES(cudaFree(b), cudaErrorInvalidValue);
    CHECK_GIVES(cudaFree(a + 256), cudaErrorInvalidValue);
    CHECK_OK(cudaFree(nullptr));
    CHECK_OK(cudaFree(a));
    CHECK(counters().live_allocations == 0 && counters().live_device_bytes == 0);
    CHECK(counters().mallocs == 5 && counters().frees == 5);
    CHECK_OK(cudaMemGetInfo(&free_bytes, &total));
    CHECK(free_bytes == total);
    CHECK_OK(cudaMalloc(&c, 0));
    CHECK(c == nullptr);

    /* Large memory gets its poison in another way. */
    reset();
    const size_t      large = (5u << 20) + 1000;
    std::vector<char> bytes(large);
    a = new_device<char>(large);
    for (int round = 0; round < 2; round++) {
        CHECK_OK(cudaMemcpy(bytes.data(), a, large, cudaMemcpyDeviceToHost));
        CHECK(bytes == std::vector<char>(large, '\xff'));
        b = new_device<char>(large);
        CHECK_OK(cudaMemset(b, 0, large)); /* which must not reach the other */
        CHECK_OK(cudaFree(b));
    }
    CHECK_OK(cudaFree(a));

    char *pinned = new_pinned<char>(1000), *other = nullptr;
    CHECK(pinned[0] == '\xff' && pinned[999] == '\xff' && reinterpret_cast<uintptr_t>(pinned) % 64 == 0);
    CHECK_OK(cudaHostAlloc(&other, 10, cudaHostAllocPortable));
    CHECK_GIVES(cudaHostAlloc(&other, 10, 0x100), cudaErrorInvalidValue);
    CHECK(counters().live_host_allocations == 2);
    cudaPointerAttributes attributes;
    CHECK_OK(cudaPointerGetAttributes(&attributes, pinned + 5));
    CHECK(attributes.type == cudaMemoryTypeHost && attributes.devicePointer == pinned + 5);
    CHECK_OK(cudaPointerGetAttributes(&attributes, seen));
    CHECK(attributes.type == cudaMemoryTypeUnregistered);
    CHECK_OK(cudaFreeHost(pinned));
    CHECK_OK(cudaFreeHost(other));
    CHECK_GIVES(cudaFreeHost(other), cudaErrorInvalidValue);
    CHECK_OK(cudaFreeHost(nullptr));
    CHECK(counters().live_host_allocations == 0);
    CHECK_OK(cudaHostRegister(seen, sizeof seen, cudaHostRegisterDefault));
    CHECK_GIVES(cudaHostRegister(seen + 50, 10, cudaHostRegisterDefault), cudaErrorHostMemoryAlreadyRegistered);
    CHECK_OK(cudaHostUnregister(seen));
    CHECK_GIVES(cudaHostUnregister(seen), cudaErrorHostMemoryNotRegistered);
}

UNCHECKED static void write_byte(char *at) { *static_cast<volatile char *>(at) = 1; }

static void test_overruns() {
    reset();
    cudaStream_t stream = new_stream();
    for (long offset : {100L, 255L}) {
        char *memory = new_device<char>(100);
        emu_enqueue(stream, [=] { write_byte(memory + offset); });
        CHECK_OK(cudaStreamSynchronize(stream));
        const std::string said = quietly([&] { CHECK_GIVES(cudaFree(memory), cudaErrorIllegalAddress); });
        CHECK(said.find("1 bytes behind an allocation of 100 bytes") != std::string::npos);
        CHECK_GIVES(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
        CHECK(counters().live_allocations == 0 && counters().faults == 1);
        emu_reset();
    }
    char *memory = new_device<char>(256);
    emu_enqueue(stream, [=] { write_byte(memory - 1); });
    CHECK_OK(cudaStreamSynchronize(stream));
    quietly([&] { CHECK_GIVES(cudaDeviceSynchronize(), cudaErrorIllegalAddress); });
    emu_reset();
    CHECK_OK(cudaFree(memory)); /* reported once */
    memory = new_device<char>(100);
    emu_enqueue(stream, [=] { write_byte(memory + 99); });
    CHECK_OK(cudaDeviceSynchronize());

    child_end end = in_child([&] {
        emu_enqueue(
            stream, [=] { write_byte(memory + 256); }, "stray_kernel");
        cudaDeviceSynchronize();
    });
    CHECK(end.has_crashed && says(end, "stray_kernel touched byte 256 of an allocation of 100 bytes"));
    end = in_child([&] { write_byte(memory + 3); });
    CHECK(end.has_crashed && says(end, "the host touched device memory (byte 3 of an allocation of 100 bytes)"));
    end = in_child([&] {
        cudaFree(memory);
        emu_enqueue(
            stream, [=] { write_byte(memory); }, "late_kernel");
        cudaDeviceSynchronize();
    });
    CHECK(end.has_crashed && says(end, "late_kernel touched device memory that was freed"));
    reset({{"EMU_PROTECT", "0"}});
    end = in_child([&] { write_byte(memory + 3); });
    CHECK(!end.has_crashed);
    reset();
    end = in_child([&] { write_byte(memory + 3); });
    CHECK(end.has_crashed);
    CHECK_OK(cudaFree(memory));
    CHECK_OK(cudaStreamDestroy(stream));
}

static void test_copies() {
    reset();
    char *device = new_device<char>(100), *other = new_device<char>(100), *pinned = new_pinned<char>(100);
    char  host[100];
    memset(host, 7, sizeof host);
    CHECK_OK(cudaMemcpy(device, host, 100, cudaMemcpyHostToDevice));
    CHECK_OK(cudaMemcpy(other + 10, device + 20, 50, cudaMemcpyDeviceToDevice));
    CHECK_OK(cudaMemset(other + 10, 9, 5));
    CHECK_OK(cudaMemcpy(pinned, other, 100, cudaMemcpyDefault));
    CHECK(pinned[9] == '\xff' && pinned[10] == 9 && pinned[14] == 9 && pinned[15] == 7 && pinned[59] == 7);
    CHECK(pinned[60] == '\xff');
    CHECK_OK(cudaMemcpy(host, pinned, 100, cudaMemcpyHostToHost));
    CHECK(host[10] == 9);

    CHECK_GIVES(cudaMemcpy(device + 1, host, 100, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(host, device - 1, 2, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(host, device + 100, 1, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(pinned + 50, device, 51, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(host, pinned, 1, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(device, other, 1, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(device, host, 1, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(device, host, 1, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(device, host, 1, cudaMemcpyHostToHost), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemcpy(device, host, 1, static_cast<cudaMemcpyKind>(9)), cudaErrorInvalidMemcpyDirection);
    CHECK_GIVES(cudaMemcpy(device, nullptr, 1, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_OK(cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyHostToDevice));
    CHECK_GIVES(cudaMemset(device, 0, 101), cudaErrorInvalidValue);
    CHECK_GIVES(cudaMemset(host, 0, 1), cudaErrorInvalidValue);

    cudaStream_t stream = new_stream();
    reset();
    CHECK_OK(cudaMemcpyAsync(device, pinned, 100, cudaMemcpyHostToDevice, stream));
    CHECK(counters().pageable_async_copies == 0 && counters().queued == 1 && counters().copies == 1);
    CHECK_OK(cudaMemcpyAsync(device, host, 100, cudaMemcpyHostToDevice, stream));
    host[0] = 1; /* it was read already */
    CHECK_OK(cudaMemcpyAsync(host, device, 1, cudaMemcpyDeviceToHost, stream));
    CHECK(host[0] == '\xff' && counters().pageable_async_copies == 2); /* and this one is through */
    CHECK_GIVES(cudaMemcpyAsync(device, pinned, 1, cudaMemcpyHostToDevice, reinterpret_cast<cudaStream_t>(&host)),
                cudaErrorInvalidResourceHandle);
    CHECK_OK(cudaStreamDestroy(stream));
    CHECK_OK(cudaFree(device));
    CHECK_OK(cudaFree(other));
    CHECK_OK(cudaFreeHost(pinned));
}

/* ---- Order ------------------------------------------------------------------------------------------------------- */

/* A result is not there before somebody has waited; a slot that is written again too early is what goes up. */
static void test_lazy() {
    seed(1);
    cudaStream_t stream = new_stream();
    int         *device = new_device<int>(1), *in = new_pinned<int>(1), *out = new_pinned<int>(1);
    cudaEvent_t  event = new_event();
    *in = 5;
    CHECK_OK(cudaMemcpyAsync(device, in, 4, cudaMemcpyHostToDevice, stream));
    emu_enqueue(stream, [=] { *device *= 10; });
    CHECK_OK(cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, stream));
    CHECK_OK(cudaEventRecord(event, stream));
    CHECK(*out == -1);
    *in = 6;
    CHECK_OK(cudaEventSynchronize(event));
    CHECK(*out == 60);
    CHECK_OK(cudaEventQuery(event));
    CHECK_OK(cudaStreamQuery(stream));
    CHECK(counters().queued == 0 && counters().launches == 1 && counters().event_syncs == 1);

    /* Who polls gets there. */
    emu_enqueue(stream, [=] { *device = 1; });
    CHECK_OK(cudaEventRecord(event, stream));
    CHECK_GIVES(cudaEventQuery(event), cudaErrorNotReady);
    while (cudaEventQuery(event) == cudaErrorNotReady) {
    }
    emu_enqueue(stream, [=] { *device = 2; });
    while (cudaStreamQuery(stream) == cudaErrorNotReady) {
    }
    cudaGetLastError();

    /* With even seeds it sometimes starts by itself. */
    bool started = false, waited = false;
    for (int i = 2; i < 40; i += 2) {
        seed(i);
        emu_enqueue(stream, [] {});
        (counters().queued ? waited : started) = true;
        CHECK_OK(cudaStreamSynchronize(stream));
    }
    CHECK(started && waited);
    seed(1);
    CHECK_OK(cudaEventDestroy(event));
    CHECK_GIVES(cudaEventDestroy(event), cudaErrorInvalidResourceHandle);
    CHECK_GIVES(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);

    /* A destroyed stream finishes its work. */
    emu_enqueue(stream, [=] { *device = 33; });
    CHECK_OK(cudaStreamDestroy(stream));
    CHECK_GIVES(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
    CHECK(counters().live_streams == 0);
    CHECK_OK(cudaDeviceSynchronize());
    CHECK_OK(cudaMemcpy(out, device, 4, cudaMemcpyDeviceToHost));
    CHECK(*out == 33 && counters().device_syncs == 1);
    CHECK_OK(cudaFree(device));
    CHECK_OK(cudaFreeHost(in));
    CHECK_OK(cudaFreeHost(out));
}

/* Letters in the order in which two streams wrote them: a b c in one, x y z in the other, and y after b. */
static std::string interleaved(int number) {
    seed(number);
    cudaStream_t one = new_stream(), two = new_stream();
    cudaEvent_t  event = new_event();
    std::string  written;
    const auto   write = [&](cudaStream_t stream, char letter) {
        emu_enqueue(stream, [&written, letter] { written += letter; });
    };
    write(two, 'x');
    write(one, 'a');
    write(one, 'b');
    CHECK_OK(cudaEventRecord(event, one));
    write(one, 'c');
    CHECK_OK(cudaStreamWaitEvent(two, event, 0));
    CHECK_OK(cudaEventRecord(event, two)); /* the wait is for what was recorded when it was queued */
    write(two, 'y');
    write(two, 'z');
    CHECK_OK(cudaStreamSynchronize(two));
    const std::string at_wait = written;
    CHECK_OK(cudaDeviceSynchronize());
    CHECK(written.size() == 6);
    CHECK(at_wait.find('z') != std::string::npos);
    CHECK(written.find('a') < written.find('b') && written.find('b') < written.find('c'));
    CHECK(written.find('x') < written.find('y') && written.find('y') < written.find('z'));
    CHECK(written.find('b') < written.find('y'));
    CHECK_OK(cudaStreamDestroy(one));
    CHECK_OK(cudaStreamDestroy(two));
    CHECK_OK(cudaEventDestroy(event));
    return at_wait;
}

static void test_order() {
    std::set<std::string> orders;
    for (int i = 1; i <= 299; i += 2) orders.insert(interleaved(i));
    CHECK(orders.size() >= 6);
    CHECK(orders.count("xabyz") == 1 || orders.count("abxyz") == 1); /* only what was needed */
    CHECK(interleaved(7) == interleaved(7));                         /* a seed can be repeated */

    /* Stream 0 comes between the streams that synchronise with it, and has nothing to do with the others. */
    std::set<std::string> free_orders;
    for (int i = 1; i <= 30; i++) {
        seed(i);
        cudaStream_t blocking = new_stream(cudaStreamDefault), other = new_stream();
        std::string  written;
        emu_enqueue(blocking, [&] { written += '1'; });
        emu_enqueue(nullptr, [&] { written += '2'; });
        emu_enqueue(other, [&] { written += 'o'; });
        emu_enqueue(blocking, [&] { written += '3'; });
        CHECK_OK(cudaStreamSynchronize(blocking));
        CHECK_OK(cudaStreamSynchronize(other));
        free_orders.insert(written);
        written.erase(written.find('o'), 1);
        CHECK(written == "123");
        emu_enqueue(blocking, [&] { written += '4'; });
        CHECK_OK(cudaStreamSynchronize(nullptr));
        CHECK(written == "1234");
        CHECK_OK(cudaStreamDestroy(blocking));
        CHECK_OK(cudaStreamDestroy(other));
    }
    CHECK(free_orders.size() >= 3);
}

/* What the manual does not promise: cudaMemset, and cudaMemcpy from pageable memory, seen by another stream. */
static void test_unordered() {
    int          stale_set = 0, stale_copy = 0;
    int         *device = new_device<int>(1), *out = new_pinned<int>(1);
    const int    five = 5, six = 6;
    cudaStream_t other = new_stream();
    for (int i = 1; i <= 40; i++) {
        seed(i);
        CHECK_OK(cudaMemcpy(device, &six, 4, cudaMemcpyHostToDevice));
        CHECK_OK(cudaDeviceSynchronize());
        CHECK_OK(cudaMemcpy(device, &five, 4, cudaMemcpyHostToDevice));
        CHECK_OK(cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, other));
        CHECK_OK(cudaStreamSynchronize(other));
        stale_copy += *out == 6;
        CHECK_OK(cudaMemset(device, 0, 4));
        CHECK_OK(cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, other));
        CHECK_OK(cudaStreamSynchronize(other));
        stale_set += *out != 0;
        CHECK_OK(cudaStreamSynchronize(nullptr));
        CHECK_OK(cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, other));
        CHECK_OK(cudaStreamSynchronize(other));
        CHECK(*out == 0);
    }
    CHECK(stale_copy > 0 && stale_copy < 40 && stale_set > 0 && stale_set < 40);
    CHECK_OK(cudaStreamDestroy(other));
    CHECK_OK(cudaFree(device));
    CHECK_OK(cudaFreeHost(out));
}

static void test_timing() {
    reset();
    cudaEvent_t  start = nullptr, end = nullptr, untimed = new_event();
    cudaStream_t stream = new_stream();
    float        ms = -1;
    CHECK_OK(cudaEventCreate(&start));
    CHECK_OK(cudaEventCreate(&end));
    CHECK_OK(cudaEventQuery(start)); /* never recorded: nothing to wait for */
    CHECK_OK(cudaEventSynchronize(start));
    CHECK_GIVES(cudaEventElapsedTime(&ms, start, end), cudaErrorInvalidResourceHandle);
    CHECK_OK(cudaEventRecord(start, stream));
    emu_enqueue(stream, [] { usleep(2000); });
    CHECK_OK(cudaEventRecord(end, stream));
    CHECK_GIVES(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
    CHECK_OK(cudaEventSynchronize(end));
    CHECK_OK(cudaEventElapsedTime(&ms, start, end));
    CHECK(ms >= 1.9f && ms < 1000.0f);
    CHECK_OK(cudaEventRecord(untimed, stream));
    CHECK_GIVES(cudaEventElapsedTime(&ms, start, untimed), cudaErrorInvalidResourceHandle);
    CHECK_GIVES(cudaEventCreateWithFlags(&start, 0x80), cudaErrorInvalidValue);
    CHECK(counters().live_events == 3);
    CHECK_OK(cudaEventDestroy(start));
    CHECK_OK(cudaEventDestroy(end));
    CHECK_OK(cudaEventDestroy(untimed));
    CHECK_OK(cudaStreamDestroy(stream));
    CHECK(counters().live_events == 0);
}

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

static void test_faults() {
    reset();
    cudaStream_t stream = new_stream(), other = new_stream();
    cudaEvent_t  event = new_event();
    int         *device = new_device<int>(1), count = 0, ran = 0;
    emu_enqueue(stream, [&] { ran++; });
    emu_enqueue(stream, [] { emu_device_fault("it broke"); });
    emu_enqueue(stream, [&] { ran += 100; });
    CHECK_OK(cudaEventRecord(event, stream));
    CHECK_OK(cudaGetLastError()); /* a launch does not know yet */
    const std::string said = quietly([&] { CHECK_GIVES(cudaEventSynchronize(event), cudaErrorLaunchFailure); });
    CHECK(said.find("it broke") != std::string::npos);
    CHECK(ran == 1 && counters().queued == 0 && counters().faults == 1);
    CHECK_GIVES(cudaGetLastError(), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaGetLastError(), cudaErrorLaunchFailure); /* not cleared */
    std::thread([] { CHECK_GIVES(cudaGetLastError(), cudaErrorLaunchFailure); }).join();
    void *memory = nullptr;
    CHECK_GIVES(cudaMalloc(&memory, 1), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaMemcpyAsync(device, device, 4, cudaMemcpyDeviceToDevice, other), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaStreamSynchronize(other), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    emu_enqueue(other, [&] { ran++; });
    CHECK(counters().queued == 0);
    CHECK_OK(cudaGetDeviceCount(&count));                         /* does not need the device */
    CHECK_GIVES(cudaEventDestroy(event), cudaErrorLaunchFailure); /* and yet it is gone: nothing leaks */
    CHECK_GIVES(cudaFree(device), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaStreamDestroy(stream), cudaErrorLaunchFailure);
    CHECK_GIVES(cudaStreamDestroy(other), cudaErrorLaunchFailure);
    CHECK(counters().live_allocations == 0 && counters().live_streams == 0 && counters().live_events == 0);
    emu_reset();
    CHECK_OK(cudaGetLastError());
    CHECK_OK(cudaDeviceSynchronize());
}

static void test_armed() {
    void *memory = nullptr;
    reset({{"EMU_FAIL", "cudaMalloc:2:2,cudaStreamQuery:1:999"}});
    CHECK_OK(cudaMalloc(&memory, 1));
    CHECK_OK(cudaFree(memory));
    CHECK_GIVES(cudaMalloc(&memory, 1), cudaErrorMemoryAllocation);
    CHECK(counters().live_allocations == 0 && counters().injected == 1 && counters().mallocs == 1);
    CHECK_OK(cudaMalloc(&memory, 1));
    CHECK_GIVES(cudaStreamQuery(nullptr), cudaErrorUnknown);
    CHECK_OK(cudaStreamQuery(nullptr));
    CHECK_GIVES(cudaGetLastError(), cudaErrorUnknown);

    reset();
    emu_fail("cudaFree", 1, cudaErrorInvalidDevicePointer);
    CHECK_GIVES(cudaFree(memory), cudaErrorInvalidDevicePointer);
    CHECK(counters().live_allocations == 0);
    CHECK_GIVES(cudaFree(memory), cudaErrorInvalidValue);

    emu_reset();
    emu_fail("*", 3, cudaErrorNotSupported);
    CHECK_OK(cudaSetDevice(0));
    CHECK_OK(cudaSetDevice(0));
    CHECK_GIVES(cudaSetDevice(0), cudaErrorNotSupported);
    CHECK_OK(cudaSetDevice(0));
    CHECK(counters().calls == 4);

    emu_reset();
    emu_fail("cudaMalloc", 0, cudaErrorMemoryAllocation);
    for (int i = 0; i < 3; i++) CHECK_GIVES(cudaMalloc(&memory, 1), cudaErrorMemoryAllocation);

    emu_reset();
    cudaStream_t stream = new_stream();
    bool         ran = false;
    emu_fail("cudaLaunchKernel", 1, cudaErrorLaunchOutOfResources);
    emu_enqueue(stream, [&] { ran = true; });
    CHECK_GIVES(cudaGetLastError(), cudaErrorLaunchOutOfResources);
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(!ran && counters().launches == 0);
    emu_enqueue(stream, [&] { ran = true; });
    emu_fail("cudaStreamSynchronize", 1, cudaErrorIllegalAddress);
    CHECK_GIVES(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    CHECK_GIVES(cudaStreamSynchronize(stream), cudaErrorIllegalAddress); /* sticks */
    CHECK(!ran && counters().queued == 0);
    emu_reset();
    CHECK_OK(cudaStreamDestroy(stream));
}

/* ---- Several threads, host functions, graphs --------------------------------------------------------------------- */

static void test_threads() {
    reset({{"EMU_SEED", "2"}});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([] {
            cudaStream_t stream = new_stream();
            cudaEvent_t  event = new_event();
            int         *device = new_device<int>(1), *host = new_pinned<int>(1);
            *host = 0;
            CHECK_OK(cudaMemcpyAsync(device, host, 4, cudaMemcpyHostToDevice, stream));
            for (int i = 1; i <= 50; i++) {
                emu_enqueue(stream, [=] { ++*device; });
                CHECK_OK(cudaMemcpyAsync(host, device, 4, cudaMemcpyDeviceToHost, stream));
                CHECK_OK(cudaEventRecord(event, stream));
                CHECK_OK(cudaEventSynchronize(event));
                CHECK(*host == i);
            }
            CHECK_OK(cudaFree(device));
            CHECK_OK(cudaFreeHost(host));
            CHECK_OK(cudaEventDestroy(event));
            CHECK_OK(cudaStreamDestroy(stream));
        });
    for (std::thread &thread : threads) thread.join();
    CHECK(counters().launches == 200 && counters().live_streams == 0 && counters().live_allocations == 0);
}

static void add_one(void *number) { ++*static_cast<int *>(number); }
static void misbehave(void *error) { *static_cast<cudaError_t *>(error) = cudaDeviceSynchronize(); }

static void test_host_functions() {
    reset();
    cudaStream_t stream = new_stream();
    int          number = 0;
    cudaError_t  error = cudaSuccess;
    CHECK_OK(cudaLaunchHostFunc(stream, add_one, &number));
    CHECK(number == 0);
    CHECK_OK(cudaLaunchHostFunc(stream, misbehave, &error));
    quietly([&] { CHECK_OK(cudaStreamSynchronize(stream)); });
    CHECK(number == 1 && error == cudaErrorNotPermitted);
    CHECK_GIVES(cudaLaunchHostFunc(stream, nullptr, nullptr), cudaErrorInvalidValue);
    CHECK_OK(cudaStreamDestroy(stream));
}

static void test_graphs() {
    reset();
    cudaStream_t            one = new_stream(), two = new_stream();
    cudaEvent_t             event = new_event(), back = new_event();
    cudaGraph_t             graph = nullptr;
    cudaGraphExec_t         exec = nullptr;
    cudaStreamCaptureStatus status;
    std::string             written;
    char                   *device = new_device<char>(1), *pinned = new_pinned<char>(1), pageable = 0;
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeThreadLocal));
    CHECK_OK(cudaStreamIsCapturing(one, &status));
    CHECK(status == cudaStreamCaptureStatusActive);
    emu_enqueue(one, [&] { written += 'a'; });
    CHECK_OK(cudaEventRecord(event, one));
    CHECK_OK(cudaStreamWaitEvent(two, event, 0));
    emu_enqueue(two, [&] { written += 'b'; });
    CHECK_OK(cudaMemcpyAsync(device, pinned, 1, cudaMemcpyHostToDevice, two));
    CHECK_OK(cudaEventRecord(back, two));
    CHECK_OK(cudaStreamWaitEvent(one, back, 0));
    CHECK_OK(cudaStreamEndCapture(one, &graph));
    CHECK(graph && written.empty() && counters().queued == 0);
    CHECK_GIVES(cudaEventSynchronize(back), cudaErrorCapturedEvent);
    CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
    CHECK_OK(cudaGraphDestroy(graph));
    CHECK_OK(cudaGraphUpload(exec, one));
    CHECK_OK(cudaGraphLaunch(exec, one));
    CHECK_OK(cudaGraphLaunch(exec, one));
    CHECK(written.empty());
    CHECK_OK(cudaStreamSynchronize(one));
    CHECK(written == "abab");
    CHECK_OK(cudaGraphExecDestroy(exec));
    CHECK_GIVES(cudaGraphExecDestroy(exec), cudaErrorInvalidValue);
    CHECK(counters().live_graphs == 0);

    /* What a capture does not take. */
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeThreadLocal));
    CHECK_GIVES(cudaStreamSynchronize(one), cudaErrorStreamCaptureUnsupported);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeThreadLocal));
    CHECK_GIVES(cudaMemcpyAsync(device, &pageable, 1, cudaMemcpyHostToDevice, one), cudaErrorStreamCaptureUnsupported);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeGlobal));
    void *memory = nullptr;
    CHECK_GIVES(cudaMalloc(&memory, 1), cudaErrorStreamCaptureUnsupported);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeRelaxed));
    CHECK_OK(cudaMalloc(&memory, 1));
    CHECK_OK(cudaEventRecord(event, one));
    CHECK_OK(cudaStreamWaitEvent(two, event, 0));
    emu_enqueue(two, [] {});
    CHECK_GIVES(cudaStreamEndCapture(two, &graph), cudaErrorStreamCaptureUnmatched);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorStreamCaptureUnjoined);
    CHECK_OK(cudaStreamSynchronize(two));
    CHECK_OK(cudaEventRecord(event, two));
    CHECK_OK(cudaStreamBeginCapture(one, cudaStreamCaptureModeRelaxed));
    CHECK_GIVES(cudaStreamWaitEvent(one, event, 0), cudaErrorStreamCaptureIsolation);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_GIVES(cudaStreamEndCapture(one, &graph), cudaErrorIllegalState);
    CHECK_GIVES(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed), cudaErrorStreamCaptureUnsupported);
    CHECK_OK(cudaFree(memory));
    CHECK_OK(cudaFree(device));
    CHECK_OK(cudaFreeHost(pinned));
    CHECK_OK(cudaEventDestroy(event));
    CHECK_OK(cudaEventDestroy(back));
    CHECK_OK(cudaStreamDestroy(one));
    CHECK_OK(cudaStreamDestroy(two));
}

int main() {
    test_errors();
    test_machine();
    test_memory();
    test_overruns();
    test_copies();
    test_lazy();
    test_order();
    test_unordered();
    test_timing();
    test_faults();
    test_armed();
    test_threads();
    test_host_functions();
    test_graphs();
    const emu_counters end = counters();
    CHECK(end.live_allocations == 0 && end.live_host_allocations == 0 && end.live_streams == 0 && end.live_events == 0);
    CHECK(end.queued == 0 && end.live_graphs == 0 && end.live_device_bytes == 0);
    printf("%d checks, %d failed\n", checks.load(), failures.load());
    return failures ? 1 : 0;
}
