/* SPDX-License-Identifier: Apache-2.0
 * The device of the emulator: what a kernel may call, and what runs a grid. emu_device.cc implements it.
 *
 * A thread of a block is a fibre; it runs until it waits in one of the collectives below, or ends. Which warp and which
 * lane runs next is drawn from the seed. Whatever a kernel does that CUDA does not define, as far as it is seen here,
 * is a fault: the grid is given up, the fault is reported once, the process goes on.
 *
 * Each collective takes the place of its call in the source by default arguments, for the reports. */
#ifndef EMU_DEVICE_H
#define EMU_DEVICE_H

#include "emu_vector_types.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <type_traits>

#define EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

/* ---- Running grids ----------------------------------------------------------------------------------------------- */

/* Why CUDA would refuse this launch, or NULL. */
const char *emu_launch_refusal(dim3 grid, dim3 block);

/* Runs every block of the grid to its end, or to the first fault, on the calling OS thread. Several OS threads may run
 * grids at the same time. */
void emu_run_grid(const char *name, dim3 grid, dim3 block, const std::function<void()> &kernel);

/* The report of the fault of this OS thread's latest grid; "" if it had none. */
const char *emu_last_fault();

/* The seed of every order that is drawn. It is EMU_SEED's value at first, 1 without it. Numbers the launches of the
 * calling OS thread from 0 again, so that what follows can be repeated. */
void emu_set_seed(uint64_t seed);

/* ---- Inside a kernel --------------------------------------------------------------------------------------------- */

struct emu_block_position {
    uint3 index;
    dim3  block_dim, grid_dim;
};

struct emu_thread_position {
    uint3                     index;
    const emu_block_position *block;
};

/* The running thread of the running block; NULL outside of kernels. `__thread`, not `thread_local`, because the latter
 * would check at every use whether it is initialised. */
extern __thread const emu_thread_position *emu_self;

#define threadIdx (emu_self->index)
#define blockIdx (emu_self->block->index)
#define blockDim (emu_self->block->block_dim)
#define gridDim (emu_self->block->grid_dim)

constexpr int warpSize = 32;

/* A fault at this place. */
[[noreturn]] void emu_trap(const char *what = "__trap()", EMU_HERE);

void *emu_shared_bytes(const char *name, size_t bytes, const char *file, int line);

/* The block's shared array of this name and place: `count` elements at a multiple of 16 bytes, all bytes 0xFF at first.
 * Every thread comes by the block's arrays in the same order. */
template <class T> static inline T *emu_shared(const char *name, size_t count, EMU_HERE) {
    static_assert(alignof(T) <= 16, "shared memory is aligned to 16 bytes");
    return static_cast<T *>(emu_shared_bytes(name, count * sizeof(T), file, line));
}

void __syncthreads(EMU_HERE);
int  __syncthreads_count(int predicate, EMU_HERE);
int  __syncthreads_and(int predicate, EMU_HERE);
int  __syncthreads_or(int predicate, EMU_HERE);

void     __syncwarp(unsigned mask = 0xffffffffu, EMU_HERE);
unsigned __ballot_sync(unsigned mask, int predicate, EMU_HERE);
int      __any_sync(unsigned mask, int predicate, EMU_HERE);
int      __all_sync(unsigned mask, int predicate, EMU_HERE);

enum emu_shuffle_kind { EMU_SHUFFLE_INDEX, EMU_SHUFFLE_UP, EMU_SHUFFLE_DOWN, EMU_SHUFFLE_XOR };

uint64_t emu_shuffle(emu_shuffle_kind kind, unsigned mask, uint64_t value, int operand, int width, const char *file,
                     int line);

template <class T>
static inline T emu_shuffle_any(emu_shuffle_kind kind, unsigned mask, T value, int operand, int width, const char *file,
                                int line) {
    static_assert(std::is_trivially_copyable<T>::value && (sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8),
                  "a shuffle exchanges 2, 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emu_shuffle(kind, mask, bits, operand, width, file, line);
    memcpy(static_cast<void *>(&value), &bits, sizeof value);
    return value;
}

template <class T> static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMU_HERE) {
    return emu_shuffle_any(EMU_SHUFFLE_INDEX, mask, value, source, width, file, line);
}

template <class T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_HERE) {
    return emu_shuffle_any(EMU_SHUFFLE_UP, mask, value, static_cast<int>(delta), width, file, line);
}

template <class T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_HERE) {
    return emu_shuffle_any(EMU_SHUFFLE_DOWN, mask, value, static_cast<int>(delta), width, file, line);
}

template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, EMU_HERE) {
    return emu_shuffle_any(EMU_SHUFFLE_XOR, mask, value, lane_mask, width, file, line);
}

/* What kernels/cuda_mma.cuh describes. Products of two f16 are exact in fp32; the sums go up in k, one at a time, in
 * fp32. */
void emu_mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2], EMU_HERE);
void emu_ldmatrix_x4(uint32_t r[4], const void *row, bool transposed, EMU_HERE);

/* The copy happens in the wait for its group and not before; until then the target is poisoned. */
void emu_cp_async16(void *to, const void *from, bool valid, EMU_HERE);
void emu_cp_async_commit(EMU_HERE);
void emu_cp_async_wait(int pending, EMU_HERE);

#endif
