/* SPDX-License-Identifier: Apache-2.0
 * The simulated machine, errors, armed failures and counts. */
#include "emu_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

static const int    OLDEST_CAPABILITY = 75; /* what CUDA 13 compiles for */
static const size_t GIB = static_cast<size_t>(1) << 30;

namespace {
struct armed_failure {
    std::string function;
    long        nth, seen;
    cudaError_t error;
};

struct fault_state {
    std::recursive_mutex       lock;
    bool                       is_read = false;
    emu_settings               machine;
    emu_counters               counts = {};
    std::vector<armed_failure> failures;
    cudaError_t                sticky = cudaSuccess;
    uint64_t                   random = 0;
    uint64_t                   generation = 1; /* of last errors: grows with every reset */
};

fault_state state;
} // namespace

namespace {
struct thread_error {
    cudaError_t error;
    uint64_t    generation;
    int         device;
};
} // namespace
static thread_local thread_error last = {cudaSuccess, 0, 0};

/* ---- The machine ------------------------------------------------------------------------------------------------- */

static uint64_t number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char                    *end = nullptr;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*end) {
        fprintf(stderr, "emulator: %s is \"%s\", which is not a number\n", name, text);
        abort();
    }
    return value;
}

static void arm_from_environment() {
    const char *text = getenv("EMU_FAIL");
    while (text && *text) {
        char      function[64];
        long      nth = 0;
        int       error = 0, size = 0;
        const int found = sscanf(text, "%63[^:,]:%ld:%d%n", function, &nth, &error, &size);
        if (found != 3 || (text[size] && text[size] != ',')) {
            fprintf(stderr, "emulator: EMU_FAIL: \"%s\" is not function:n:error\n", text);
            abort();
        }
        state.failures.push_back({function, nth, 0, static_cast<cudaError_t>(error)});
        text += size;
        if (*text == ',') text++;
    }
}

static void read_environment() {
    emu_settings &machine = state.machine;
    const char   *driver = getenv("EMU_DRIVER"), *name = getenv("EMU_NAME"), *capability = getenv("EMU_CAPABILITY");
    machine.seed = number("EMU_SEED", 1);
    machine.devices = static_cast<int>(number("EMU_DEVICES", 1));
    machine.driver = driver && !strcmp(driver, "none") ? 0 : static_cast<int>(number("EMU_DRIVER", CUDART_VERSION));
    machine.major = 9;
    machine.minor = 0;
    if (capability && *capability && sscanf(capability, "%d.%d", &machine.major, &machine.minor) != 2) {
        fprintf(stderr, "emulator: EMU_CAPABILITY is \"%s\", which is not like 9.0\n", capability);
        abort();
    }
    machine.multiprocessors = static_cast<int>(number("EMU_SMS", 132));
    machine.memory = static_cast<size_t>(number("EMU_MEMORY", 2 * GIB));
    machine.protect = number("EMU_PROTECT", 1) != 0;
    machine.name = name && *name ? name : "Emulated GPU";
    state.random = machine.seed;
    state.failures.clear();
    arm_from_environment();
    state.is_read = true;
}

const emu_settings &emu_machine() {
    if (!state.is_read) read_environment();
    return state.machine;
}

emu_counters &emu_counts() { return state.counts; }

/* splitmix64 */
uint64_t emu_random() {
    emu_machine();
    uint64_t z = state.random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

cudaError_t emu_unavailable() {
    const emu_settings &machine = emu_machine();
    if (machine.driver / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
    if (machine.devices == 0) return cudaErrorNoDevice;
    return cudaSuccess;
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/* After these a process cannot use the device any more. */
static bool sticks(cudaError_t error) {
    switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure: return true;
    default: return false;
    }
}

static void set_last(cudaError_t error) {
    last.error = error;
    last.generation = state.generation;
}

static cudaError_t get_last() {
    if (state.sticky != cudaSuccess) return state.sticky;
    return last.generation == state.generation ? last.error : cudaSuccess;
}

cudaError_t emu_sticky() { return state.sticky; }

void emu_fault(cudaError_t error, const char *message) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    fprintf(stderr, "emulator: device fault: %s\n", message);
    state.counts.faults++;
    if (state.sticky == cudaSuccess) state.sticky = error;
}

void emu_device_fault(const char *message) { emu_fault(cudaErrorLaunchFailure, message); }

void emu_set_last_error(cudaError_t error) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    if (error != cudaSuccess) set_last(error);
}

/* The armed failure that this call meets. */
static cudaError_t meet_failure(const char *function) {
    cudaError_t met = cudaSuccess;
    for (armed_failure &failure : state.failures) {
        if (failure.function != "*" && failure.function != function) continue;
        failure.seen++;
        if (met == cudaSuccess && (failure.nth == 0 || failure.seen == failure.nth)) met = failure.error;
    }
    if (met == cudaSuccess) return met;
    state.counts.injected++;
    if (sticks(met)) state.sticky = met;
    return met;
}

emu_call::emu_call(const char *function, emu_call_kind kind) : guard(state.lock), refusal(cudaSuccess) {
    emu_machine();
    state.counts.calls++;
    if (emu_is_running()) {
        fprintf(stderr, "emulator: device work called %s, which CUDA forbids\n", function);
        refusal = cudaErrorNotPermitted;
        return;
    }
    refusal = meet_failure(function);
    if (state.sticky != cudaSuccess) emu_drop_all();
    if (kind == EMU_ASKS) return;
    if (refusal == cudaSuccess) refusal = emu_unavailable();
    if (refusal == cudaSuccess) refusal = state.sticky;
}

cudaError_t emu_call::result(cudaError_t error) {
    if (refusal != cudaSuccess)
        error = refusal;
    else if (error == cudaSuccess)
        error = state.sticky; /* what ran inside the call has failed */
    if (error != cudaSuccess) set_last(error);
    return error;
}

extern "C" {

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define EMU_ERROR(name, value, text)                                                                                   \
    case name: return #name;
        EMU_CUDA_ERRORS(EMU_ERROR)
#undef EMU_ERROR
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
#define EMU_ERROR(name, value, text)                                                                                   \
    case name: return text;
        EMU_CUDA_ERRORS(EMU_ERROR)
#undef EMU_ERROR
    }
    return "unrecognized error code";
}

cudaError_t cudaPeekAtLastError(void) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    return get_last();
}

/* Without a driver, CUDA gives the same error again and again. */
cudaError_t cudaGetLastError(void) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    const cudaError_t                     error = get_last();
    if (error != emu_unavailable()) set_last(cudaSuccess);
    return error;
}

/* ---- Questions to the machine ------------------------------------------------------------------------------------ */

cudaError_t cudaDriverGetVersion(int *driverVersion) {
    emu_call call(__func__, EMU_ASKS);
    if (call.refused()) return call.result();
    if (!driverVersion) return call.result(cudaErrorInvalidValue);
    *driverVersion = emu_machine().driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *runtimeVersion) {
    emu_call call(__func__, EMU_ASKS);
    if (call.refused()) return call.result();
    if (!runtimeVersion) return call.result(cudaErrorInvalidValue);
    *runtimeVersion = CUDART_VERSION;
    return cudaSuccess;
}

/* CUDA leaves `count` alone when it fails. */
cudaError_t cudaGetDeviceCount(int *count) {
    emu_call call(__func__, EMU_ASKS);
    if (call.refused()) return call.result();
    if (!count) return call.result(cudaErrorInvalidValue);
    const cudaError_t error = emu_unavailable();
    if (error != cudaSuccess) return call.result(error);
    *count = emu_machine().devices;
    return cudaSuccess;
}

static bool is_device(int device) { return device >= 0 && device < emu_machine().devices; }

static void describe(cudaDeviceProp *prop, int device) {
    const emu_settings &machine = emu_machine();
    *prop = {};
    snprintf(prop->name, sizeof prop->name, "%s", machine.name.c_str());
    for (int i = 0; i < 16; i++) prop->uuid.bytes[i] = static_cast<char>(device * 16 + i);
    prop->totalGlobalMem = machine.memory;
    prop->sharedMemPerBlock = 48 << 10;
    prop->regsPerBlock = prop->regsPerMultiprocessor = 1 << 16;
    prop->warpSize = 32;
    prop->maxThreadsPerBlock = prop->maxThreadsDim[0] = prop->maxThreadsDim[1] = 1024;
    prop->maxThreadsDim[2] = 64;
    prop->maxGridSize[0] = 0x7fffffff;
    prop->maxGridSize[1] = prop->maxGridSize[2] = 65535;
    prop->totalConstMem = 64 << 10;
    prop->major = machine.major;
    prop->minor = machine.minor;
    prop->multiProcessorCount = machine.multiprocessors;
    prop->canMapHostMemory = prop->concurrentKernels = prop->unifiedAddressing = prop->managedMemory = 1;
    prop->pciBusID = device + 1;
    prop->asyncEngineCount = 3;
    prop->memoryBusWidth = 5120;
    prop->l2CacheSize = 50 << 20;
    prop->maxThreadsPerMultiProcessor = 2048;
    prop->streamPrioritiesSupported = prop->cooperativeLaunch = prop->hostRegisterSupported = 1;
    prop->sharedMemPerMultiprocessor = 228 << 10;
    prop->sharedMemPerBlockOptin = 227 << 10;
    prop->reservedSharedMemPerBlock = 1 << 10;
    prop->maxBlocksPerMultiProcessor = 32;
}

/* Why there is nothing to say about this device. */
static cudaError_t no_such_device(int device) {
    const cudaError_t error = emu_unavailable();
    if (error != cudaSuccess) return error;
    return is_device(device) ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device) {
    emu_call call(__func__, EMU_ASKS);
    if (call.refused()) return call.result();
    if (no_such_device(device) != cudaSuccess) return call.result(no_such_device(device));
    if (!prop) return call.result(cudaErrorInvalidValue);
    describe(prop, device);
    return cudaSuccess;
}

static bool attribute_of(const cudaDeviceProp &prop, enum cudaDeviceAttr attr, int *value) {
    switch (attr) {
    case cudaDevAttrMaxThreadsPerBlock: *value = prop.maxThreadsPerBlock; return true;
    case cudaDevAttrMaxBlockDimX: *value = prop.maxThreadsDim[0]; return true;
    case cudaDevAttrMaxBlockDimY: *value = prop.maxThreadsDim[1]; return true;
    case cudaDevAttrMaxBlockDimZ: *value = prop.maxThreadsDim[2]; return true;
    case cudaDevAttrMaxGridDimX: *value = prop.maxGridSize[0]; return true;
    case cudaDevAttrMaxGridDimY: *value = prop.maxGridSize[1]; return true;
    case cudaDevAttrMaxGridDimZ: *value = prop.maxGridSize[2]; return true;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(prop.sharedMemPerBlock); return true;
    case cudaDevAttrTotalConstantMemory: *value = static_cast<int>(prop.totalConstMem); return true;
    case cudaDevAttrWarpSize: *value = prop.warpSize; return true;
    case cudaDevAttrMaxRegistersPerBlock: *value = prop.regsPerBlock; return true;
    case cudaDevAttrClockRate: *value = 1980000; return true; /* kHz */
    case cudaDevAttrMultiProcessorCount: *value = prop.multiProcessorCount; return true;
    case cudaDevAttrKernelExecTimeout: *value = 0; return true;
    case cudaDevAttrIntegrated: *value = prop.integrated; return true;
    case cudaDevAttrCanMapHostMemory: *value = prop.canMapHostMemory; return true;
    case cudaDevAttrComputeMode: *value = 0; return true;
    case cudaDevAttrConcurrentKernels: *value = prop.concurrentKernels; return true;
    case cudaDevAttrEccEnabled: *value = prop.ECCEnabled; return true;
    case cudaDevAttrPciBusId: *value = prop.pciBusID; return true;
    case cudaDevAttrPciDeviceId: *value = prop.pciDeviceID; return true;
    case cudaDevAttrPciDomainId: *value = prop.pciDomainID; return true;
    case cudaDevAttrMemoryClockRate: *value = 2619000; return true; /* kHz */
    case cudaDevAttrGlobalMemoryBusWidth: *value = prop.memoryBusWidth; return true;
    case cudaDevAttrL2CacheSize: *value = prop.l2CacheSize; return true;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = prop.maxThreadsPerMultiProcessor; return true;
    case cudaDevAttrAsyncEngineCount: *value = prop.asyncEngineCount; return true;
    case cudaDevAttrUnifiedAddressing: *value = prop.unifiedAddressing; return true;
    case cudaDevAttrComputeCapabilityMajor: *value = prop.major; return true;
    case cudaDevAttrComputeCapabilityMinor: *value = prop.minor; return true;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(prop.sharedMemPerMultiprocessor);
        return true;
    case cudaDevAttrMaxRegistersPerMultiprocessor: *value = prop.regsPerMultiprocessor; return true;
    case cudaDevAttrManagedMemory: *value = prop.managedMemory; return true;
    case cudaDevAttrPageableMemoryAccess: *value = prop.pageableMemoryAccess; return true;
    case cudaDevAttrCooperativeLaunch: *value = prop.cooperativeLaunch; return true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(prop.sharedMemPerBlockOptin); return true;
    case cudaDevAttrHostRegisterSupported: *value = prop.hostRegisterSupported; return true;
    case cudaDevAttrMaxBlocksPerMultiprocessor: *value = prop.maxBlocksPerMultiProcessor; return true;
    case cudaDevAttrMemoryPoolsSupported: *value = prop.memoryPoolsSupported; return true;
    }
    return false;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device) {
    emu_call       call(__func__, EMU_ASKS);
    cudaDeviceProp prop;
    if (call.refused()) return call.result();
    if (no_such_device(device) != cudaSuccess) return call.result(no_such_device(device));
    describe(&prop, device);
    if (!value || !attribute_of(prop, attr, value)) return call.result(cudaErrorInvalidValue);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *leastPriority, int *greatestPriority) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (leastPriority) *leastPriority = 0;
    if (greatestPriority) *greatestPriority = -5;
    return call.result();
}

/* Devices differ in their number alone: memory and streams belong to all of them. */
cudaError_t cudaSetDevice(int device) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!is_device(device)) return call.result(cudaErrorInvalidDevice);
    last.device = device;
    return call.result();
}

cudaError_t cudaGetDevice(int *device) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!device) return call.result(cudaErrorInvalidValue);
    *device = last.device;
    return call.result();
}

cudaError_t cudaSetDeviceFlags(unsigned int flags) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    return call.result(flags & ~0xffu ? cudaErrorInvalidValue : cudaSuccess);
}

/* ---- Kernels ----------------------------------------------------------------------------------------------------- */

static cudaError_t no_image() {
    const emu_settings &machine = emu_machine();
    return machine.major * 10 + machine.minor < OLDEST_CAPABILITY ? cudaErrorNoKernelImageForDevice : cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *func, enum cudaFuncAttribute attr, int value) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!func) return call.result(cudaErrorInvalidDeviceFunction);
    if (no_image() != cudaSuccess) return call.result(no_image());
    const int most = attr == cudaFuncAttributeMaxDynamicSharedMemorySize ? 227 << 10 : 100;
    const int least = attr == cudaFuncAttributeMaxDynamicSharedMemorySize ? 0 : -1;
    return call.result(value < least || value > most ? cudaErrorInvalidValue : cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attr, const void *func) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!attr) return call.result(cudaErrorInvalidValue);
    if (!func) return call.result(cudaErrorInvalidDeviceFunction);
    if (no_image() != cudaSuccess) return call.result(no_image());
    *attr = {};
    attr->maxThreadsPerBlock = 1024;
    attr->numRegs = 32;
    attr->ptxVersion = attr->binaryVersion = emu_machine().major * 10 + emu_machine().minor;
    attr->maxDynamicSharedSizeBytes = 48 << 10;
    attr->preferredShmemCarveout = -1;
    return call.result();
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, const void *func, int blockSize,
                                                          size_t dynamicSMemSize) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!numBlocks || blockSize <= 0) return call.result(cudaErrorInvalidValue);
    if (!func) return call.result(cudaErrorInvalidDeviceFunction);
    if (no_image() != cudaSuccess) return call.result(no_image());
    const int by_threads = blockSize > 1024 ? 0 : 2048 / ((blockSize + 31) / 32 * 32);
    const int by_memory = static_cast<int>((static_cast<size_t>(228) << 10) / (dynamicSMemSize + 1024));
    const int most = by_threads < by_memory ? by_threads : by_memory;
    *numBlocks = most < 32 ? most : 32;
    return call.result();
}

/* ---- For tests --------------------------------------------------------------------------------------------------- */

void emu_reset(void) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    emu_counters                         &counts = state.counts;
    if (state.sticky != cudaSuccess) emu_drop_all();
    state.sticky = cudaSuccess;
    state.generation++;
    counts.calls = counts.launches = counts.mallocs = counts.frees = counts.host_mallocs = counts.host_frees = 0;
    counts.copies = counts.device_syncs = counts.stream_syncs = counts.event_syncs = 0;
    counts.pageable_async_copies = counts.injected = counts.faults = 0;
    emu_open_memory(); /* EMU_PROTECT may change */
    read_environment();
    emu_close_memory();
}

void emu_fail(const char *function, long nth, int error) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    emu_machine(); /* which would forget it later */
    state.failures.push_back({function, nth, 0, static_cast<cudaError_t>(error)});
}

void emu_get_counters(struct emu_counters *counters) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    *counters = state.counts;
}

} /* extern "C" */
