/* SPDX-License-Identifier: Apache-2.0
 * Device memory and pinned memory.
 *
 * An allocation of cudaMalloc is a mapping of its own:
 *
 *     | guard page | canary .. | data: a multiple of 256 | .. canary | guard page |
 *                                                                    ^ end of a page
 * so that what leaves it behind by 256 bytes or more meets a guard page at once, and what leaves it by less spoils the
 * canary. While no device work runs, the pages between are as unreachable as the guards: the host cannot mistake a
 * device pointer for one of its own, as it cannot on a GPU. */
#include "emu_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif
#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

static const size_t  ALIGNMENT = 256; /* of cudaMalloc, and of what cudaMallocHost gives here */
static const uint8_t POISON = 0xff;   /* NaN as f16 and f32, -1 as an integer */
static const size_t  POISON_FILE = static_cast<size_t>(1) << 21;
/* A NaN as f16 and f32, too, and not POISON: one that is copied about is a change. */
static const uint8_t CANARY[4] = {0xa5, 0xff, 0xa5, 0xff};

namespace {
struct allocation {
    char  *data, *map; /* map: with the guard pages; NULL for memory that the caller brought (cudaHostRegister) */
    size_t size, map_size;
};

typedef std::map<uintptr_t, allocation> allocations; /* by data */

struct memory_state {
    allocations device, pinned;
    size_t      used = 0; /* bytes of the device, as it rounds them */
    int         open = 0; /* depth */
    bool        is_protected = false;
    /* The latest mappings that were given back, for the sentence of a crash. */
    struct {
        uintptr_t begin, end;
    } freed[64] = {};
    unsigned n_freed = 0;
};
} // namespace

static memory_state memory;
static const char *volatile running; /* read in a signal handler */

void emu_name_work(const char *name) { running = name; }

static uintptr_t address_of(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
static size_t    round_up(size_t size, size_t step) { return (size + step - 1) / step * step; }
static size_t    page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

/* ---- Crashes ----------------------------------------------------------------------------------------------------- */

static struct sigaction before;
static bool             is_installed;

/* What a thread touched: a sentence if it has to do with device memory. Then the process dies as it would have. */
static void explain(int, siginfo_t *info, void *) {
    const uintptr_t at = address_of(info->si_addr);
    const char     *who = running;
    char            text[400];
    int             size = 0;
    for (const auto &entry : memory.device) {
        const allocation &a = entry.second;
        if (at < address_of(a.map) || at >= address_of(a.map) + a.map_size) continue;
        const long long offset = static_cast<long long>(at) - static_cast<long long>(entry.first);
        if (who)
            size = snprintf(text, sizeof text, "emulator: %s touched byte %lld of an allocation of %zu bytes\n", who,
                            offset, a.size);
        else
            size =
                snprintf(text, sizeof text,
                         "emulator: the host touched device memory (byte %lld of an allocation of %zu bytes), which it "
                         "cannot reach on a GPU\n",
                         offset, a.size);
    }
    for (unsigned i = 0; i < 64 && !size; i++)
        if (at >= memory.freed[i].begin && at < memory.freed[i].end)
            size = snprintf(text, sizeof text, "emulator: %s touched device memory that was freed\n",
                            who ? who : "the host");
    if (!size && who) size = snprintf(text, sizeof text, "emulator: %s touched %p\n", who, info->si_addr);
    if (size > 0 && write(STDERR_FILENO, text, static_cast<size_t>(size)) < 0) _exit(127);
    sigaction(SIGSEGV, &before, nullptr);
}

/* Not where somebody else (a sanitizer) explains crashes. */
static void install_handler() {
    struct sigaction action;
    if (is_installed || sigaction(SIGSEGV, nullptr, &before) != 0) return;
    if ((before.sa_flags & SA_SIGINFO) || before.sa_handler != SIG_DFL) return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = explain;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    is_installed = sigaction(SIGSEGV, &action, nullptr) == 0;
}

static int poison_file = -1;

/* This library may be closed before the process ends. */
__attribute__((destructor)) static void clean_up() {
    struct sigaction now;
    if (is_installed && sigaction(SIGSEGV, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == explain)
        sigaction(SIGSEGV, &before, nullptr);
    if (poison_file >= 0) close(poison_file);
}

/* ---- Canaries ---------------------------------------------------------------------------------------------------- */

static void fill_canary(char *from, char *to) {
    for (char *p = from; p < to; p++) *p = static_cast<char>(CANARY[address_of(p) % 4]);
    ASAN_POISON_MEMORY_REGION(from, static_cast<size_t>(to - from));
}

/* How many bytes were changed. */
static size_t spoiled(char *from, char *to) {
    size_t count = 0;
    ASAN_UNPOISON_MEMORY_REGION(from, static_cast<size_t>(to - from));
    for (char *p = from; p < to; p++) count += *p != static_cast<char>(CANARY[address_of(p) % 4]);
    return count;
}

static char *inner_begin(const allocation &a) { return a.map + page_size(); }
static char *inner_end(const allocation &a) { return a.map + a.map_size - page_size(); }

/* A fault if it was left; the canaries are whole again afterwards. */
static void check(const allocation &a) {
    if (!a.map) return;
    const size_t in_front = spoiled(inner_begin(a), a.data), behind = spoiled(a.data + a.size, inner_end(a));
    if (in_front || behind) {
        char text[200];
        snprintf(text, sizeof text,
                 "%zu bytes in front of and %zu bytes behind an allocation of %zu bytes were overwritten", in_front,
                 behind, a.size);
        emu_fault(cudaErrorIllegalAddress, text);
    }
    fill_canary(inner_begin(a), a.data);
    fill_canary(a.data + a.size, inner_end(a));
}

/* ---- Maps -------------------------------------------------------------------------------------------------------- */

/* Puts private copies of a poisoned file here, whose pages cost nothing until they are written: a workspace of 32 MiB,
 * of which little is used, would take its time to fill. */
static bool map_poison(char *begin, size_t size) {
    if (poison_file < 0) {
        const std::string bytes(POISON_FILE, static_cast<char>(POISON));
        const int         file = memfd_create("poison", MFD_CLOEXEC);
        if (file < 0) return false;
        if (write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
            close(file);
            return false;
        }
        poison_file = file;
    }
    for (size_t at = 0; at < size; at += POISON_FILE) {
        const size_t part = size - at < POISON_FILE ? size - at : POISON_FILE;
        if (mmap(begin + at, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, poison_file, 0) == MAP_FAILED)
            abort();
    }
    return true;
}

static bool make(size_t size, allocation *out) {
    const size_t page = page_size(), inner = round_up(round_up(size, ALIGNMENT), page);
    out->size = size;
    out->map_size = inner + 2 * page;
    void *map = mmap(nullptr, out->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return false;
    out->map = static_cast<char *>(map);
    out->data = out->map + page + inner - round_up(size, ALIGNMENT);
    if (mprotect(out->map + page, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(map, out->map_size);
        return false;
    }
    if (size < POISON_FILE || !map_poison(inner_begin(*out), inner)) memset(out->data, POISON, size);
    fill_canary(inner_begin(*out), out->data);
    fill_canary(out->data + size, inner_end(*out));
    return true;
}

static void unmake(const allocation &a) {
    ASAN_UNPOISON_MEMORY_REGION(a.map, a.map_size);
    munmap(a.map, a.map_size);
    memory.freed[memory.n_freed % 64].begin = address_of(a.map);
    memory.freed[memory.n_freed % 64].end = address_of(a.map) + a.map_size;
    memory.n_freed++;
}

static void protect(const allocation &a, int protection) {
    if (mprotect(inner_begin(a), static_cast<size_t>(inner_end(a) - inner_begin(a)), protection) != 0) abort();
}

void emu_open_memory() {
    if (memory.open++ > 0 || !memory.is_protected) return;
    for (const auto &entry : memory.device) protect(entry.second, PROT_READ | PROT_WRITE);
    memory.is_protected = false;
}

void emu_close_memory() {
    if (--memory.open > 0 || !emu_machine().protect) return;
    for (const auto &entry : memory.device) protect(entry.second, PROT_NONE);
    memory.is_protected = true;
}

void emu_check_memory() {
    emu_open_memory();
    for (const auto &entry : memory.device) check(entry.second);
    emu_close_memory();
}

/* The allocation in which, or in whose canaries or guard pages, this address lies. */
static const allocation *find(const allocations &all, const void *pointer) {
    const size_t page = page_size();
    auto         next = all.upper_bound(address_of(pointer));
    if (next != all.begin()) {
        const allocation &a = std::prev(next)->second;
        const char       *end = a.map ? inner_end(a) + page : a.data + a.size;
        if (address_of(pointer) < address_of(end)) return &a;
    }
    if (next != all.end() && next->second.map && address_of(pointer) >= address_of(next->second.map))
        return &next->second;
    return nullptr;
}

static bool is_inside(const allocation &a, const void *pointer, size_t bytes) {
    const uintptr_t at = address_of(pointer), begin = address_of(a.data);
    return at >= begin && at - begin <= a.size && bytes <= a.size - (at - begin);
}

emu_place emu_place_of(const void *pointer, size_t bytes) {
    const allocation *a = find(memory.device, pointer);
    if (a) return is_inside(*a, pointer, bytes) ? EMU_DEVICE_MEMORY : EMU_NOWHERE;
    a = find(memory.pinned, pointer);
    if (a) return is_inside(*a, pointer, bytes) ? EMU_PINNED : EMU_NOWHERE;
    return EMU_PAGEABLE;
}

/* ---- The API ----------------------------------------------------------------------------------------------------- */

extern "C" {

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!free || !total) return call.result(cudaErrorInvalidValue);
    *total = emu_machine().memory;
    *free = memory.used < *total ? *total - memory.used : 0;
    return call.result();
}

cudaError_t cudaMalloc(void **devPtr, size_t size) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!devPtr) return call.result(cudaErrorInvalidValue);
    const cudaError_t forbidden = emu_capture_forbids();
    if (forbidden != cudaSuccess) return call.result(forbidden);
    emu_counts().mallocs++;
    if (size == 0) {
        *devPtr = nullptr;
        return call.result();
    }
    allocation   made;
    const size_t capacity = emu_machine().memory;
    if (memory.used > capacity || size > capacity - memory.used || round_up(size, ALIGNMENT) > capacity - memory.used ||
        !make(size, &made))
        return call.result(cudaErrorMemoryAllocation);
    install_handler();
    memory.device[address_of(made.data)] = made;
    memory.used += round_up(size, ALIGNMENT);
    if (memory.open == 0 && emu_machine().protect) {
        protect(made, PROT_NONE);
        memory.is_protected = true;
    }
    emu_counts().live_allocations++;
    emu_counts().live_device_bytes += static_cast<long long>(size);
    *devPtr = made.data;
    return call.result();
}

/* As CUDA's, it waits for the device. */
cudaError_t cudaFree(void *devPtr) {
    emu_call call(__func__, EMU_RELEASES);
    if (!devPtr) return call.result();
    const cudaError_t forbidden = emu_capture_forbids();
    if (forbidden != cudaSuccess) return call.result(forbidden);
    emu_run_all();
    emu_counts().frees++;
    auto found = memory.device.find(address_of(devPtr));
    if (found == memory.device.end()) return call.result(cudaErrorInvalidValue);
    const allocation a = found->second;
    emu_open_memory();
    check(a);
    emu_close_memory();
    memory.device.erase(found);
    memory.used -= round_up(a.size, ALIGNMENT);
    emu_counts().live_allocations--;
    emu_counts().live_device_bytes -= static_cast<long long>(a.size);
    unmake(a);
    return call.result();
}

static cudaError_t host_alloc(void **pHost, size_t size, unsigned int flags) {
    if (!pHost || (flags & ~7u)) return cudaErrorInvalidValue;
    const cudaError_t forbidden = emu_capture_forbids();
    if (forbidden != cudaSuccess) return forbidden;
    emu_counts().host_mallocs++;
    if (size == 0) {
        *pHost = nullptr;
        return cudaSuccess;
    }
    allocation made;
    if (size > SIZE_MAX / 2 || !make(size, &made)) return cudaErrorMemoryAllocation;
    memory.pinned[address_of(made.data)] = made;
    emu_counts().live_host_allocations++;
    *pHost = made.data;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **ptr, size_t size) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : host_alloc(ptr, size, cudaHostAllocDefault));
}

cudaError_t cudaHostAlloc(void **pHost, size_t size, unsigned int flags) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : host_alloc(pHost, size, flags));
}

cudaError_t cudaFreeHost(void *ptr) {
    emu_call call(__func__, EMU_RELEASES);
    if (!ptr) return call.result();
    emu_run_all();
    emu_counts().host_frees++;
    auto found = memory.pinned.find(address_of(ptr));
    if (found == memory.pinned.end() || !found->second.map) return call.result(cudaErrorInvalidValue);
    const allocation a = found->second;
    check(a);
    memory.pinned.erase(found);
    emu_counts().live_host_allocations--;
    unmake(a);
    return call.result();
}

cudaError_t cudaHostRegister(void *ptr, size_t size, unsigned int flags) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!ptr || size == 0 || (flags & ~0xfu)) return call.result(cudaErrorInvalidValue);
    auto next = memory.pinned.lower_bound(address_of(ptr));
    if (find(memory.pinned, ptr) || (next != memory.pinned.end() && next->first < address_of(ptr) + size))
        return call.result(cudaErrorHostMemoryAlreadyRegistered);
    memory.pinned[address_of(ptr)] = {static_cast<char *>(ptr), nullptr, size, 0};
    emu_counts().live_host_allocations++;
    return call.result();
}

cudaError_t cudaHostUnregister(void *ptr) {
    emu_call call(__func__, EMU_RELEASES);
    emu_run_all();
    auto found = memory.pinned.find(address_of(ptr));
    if (found == memory.pinned.end() || found->second.map) return call.result(cudaErrorHostMemoryNotRegistered);
    memory.pinned.erase(found);
    emu_counts().live_host_allocations--;
    return call.result();
}

cudaError_t cudaHostGetDevicePointer(void **pDevice, void *pHost, unsigned int flags) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!pDevice || flags || emu_place_of(pHost, 1) != EMU_PINNED) return call.result(cudaErrorInvalidValue);
    *pDevice = pHost;
    return call.result();
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *ptr) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!attributes) return call.result(cudaErrorInvalidValue);
    const emu_place place = emu_place_of(ptr, 1);
    *attributes = {};
    attributes->device = -2; /* cudaInvalidDeviceId */
    if (place == EMU_DEVICE_MEMORY || place == EMU_PINNED) {
        attributes->type = place == EMU_PINNED ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
        attributes->device = 0;
        attributes->devicePointer = const_cast<void *>(ptr);
        attributes->hostPointer = place == EMU_PINNED ? const_cast<void *>(ptr) : nullptr;
    }
    return call.result();
}

} /* extern "C" */
