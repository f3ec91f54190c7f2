/* SPDX-License-Identifier: Apache-2.0
 * Stands in for CUDA's header of this name where there is no CUDA compiler: qualifiers, built-in variables and
 * functions of device code, and launches. The runtime API (memory, streams, events) is in emu_runtime_api.h.
 *
 * Raw `__shared__` is left undefined: shared memory is taken by emu_shared (ADE_SHARED), which is checked. */
#ifndef EMU_CUDA_RUNTIME_H
#define EMU_CUDA_RUNTIME_H

#include "emu_device.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <cmath>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

/* ---- Bits -------------------------------------------------------------------------------------------------------- */

static inline int emu_same_bits_int(float value) {
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float emu_same_bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int      __float_as_int(float value) { return emu_same_bits_int(value); }
static inline unsigned __float_as_uint(float value) { return static_cast<unsigned>(emu_same_bits_int(value)); }
static inline float    __int_as_float(int bits) { return emu_same_bits_float(static_cast<uint32_t>(bits)); }
static inline float    __uint_as_float(unsigned bits) { return emu_same_bits_float(bits); }

static inline int __popc(unsigned value) { return __builtin_popcount(value); }
static inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
static inline int __ffs(int value) { return __builtin_ffs(value); }
static inline int __ffsll(long long value) { return __builtin_ffsll(value); }
static inline int __clz(int value) { return value ? __builtin_clz(static_cast<unsigned>(value)) : 32; }
static inline int __clzll(long long value) {
    return value ? __builtin_clzll(static_cast<unsigned long long>(value)) : 64;
}

static inline unsigned __brev(unsigned value) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; i++) reversed |= (value >> i & 1u) << (31 - i);
    return reversed;
}

/* Byte i of the result: byte s & 7 of (low, high), or eight times its highest bit if s & 8; s: nibble i of selector. */
static inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const uint64_t both = static_cast<uint64_t>(high) << 32 | low;
    unsigned       result = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned s = selector >> (4 * i) & 15u;
        unsigned       byte = static_cast<unsigned>(both >> (8 * (s & 7u))) & 255u;
        if (s & 8u) byte = byte & 128u ? 255u : 0u;
        result |= byte << (8 * i);
    }
    return result;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

template <class T> static inline T    __ldg(const T *p) { return *p; }
template <class T> static inline T    __ldcs(const T *p) { return *p; }
template <class T> static inline T    __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T value) { *p = value; }
template <class T> static inline void __stcg(T *p, T value) { *p = value; }

static inline void __threadfence() {}
static inline void __threadfence_block() {}

#define __trap() emu_trap()

/* Each returns what was there before. */
template <class T, class Change> static inline T emu_atomic(T *p, Change change) {
    T old, desired;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    do {
        desired = change(old);
    } while (!__atomic_compare_exchange(p, &old, &desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}

#define EMU_ATOMIC(name, type, expression)                                                                             \
    static inline type name(type *p, type value) {                                                                     \
        return emu_atomic(p, [value](type old) -> type { return static_cast<type>(expression); });                     \
    }
#define EMU_ATOMICS(type)                                                                                              \
    EMU_ATOMIC(atomicAdd, type, old + value)                                                                           \
    EMU_ATOMIC(atomicMax, type, (old > value ? old : value))                                                           \
    EMU_ATOMIC(atomicMin, type, (old < value ? old : value))                                                           \
    EMU_ATOMIC(atomicOr, type, old | value)                                                                            \
    EMU_ATOMIC(atomicAnd, type, old &value)                                                                            \
    EMU_ATOMIC(atomicXor, type, old ^ value)                                                                           \
    EMU_ATOMIC(atomicExch, type, ((void)old, value))                                                                   \
    static inline type atomicCAS(type *p, type compare, type value) {                                                  \
        return emu_atomic(p, [=](type old) -> type { return old == compare ? value : old; });                          \
    }
static inline int atomicAdd(int *p, int value) { return __atomic_fetch_add(p, value, __ATOMIC_RELAXED); }
EMU_ATOMIC(atomicSub, int, static_cast<unsigned>(old) - static_cast<unsigned>(value))
EMU_ATOMIC(atomicMax, int, (old > value ? old : value))
EMU_ATOMIC(atomicMin, int, (old < value ? old : value))
EMU_ATOMIC(atomicExch, int, ((void)old, value))
EMU_ATOMIC(atomicSub, unsigned, old - value)
static inline int atomicCAS(int *p, int compare, int value) {
    return emu_atomic(p, [=](int old) { return old == compare ? value : old; });
}
EMU_ATOMICS(unsigned)
EMU_ATOMICS(unsigned long long)
EMU_ATOMIC(atomicAdd, float, old + value)
EMU_ATOMIC(atomicExch, float, ((void)old, value))
EMU_ATOMIC(atomicAdd, double, old + value)
#undef EMU_ATOMICS
#undef EMU_ATOMIC

/* ---- Arithmetic -------------------------------------------------------------------------------------------------- */

#define EMU_MIN_MAX(type)                                                                                              \
    static inline type min(type a, type b) { return b < a ? b : a; }                                                   \
    static inline type max(type a, type b) { return a < b ? b : a; }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
#undef EMU_MIN_MAX
static inline unsigned min(int a, unsigned b) { return min(static_cast<unsigned>(a), b); }
static inline unsigned min(unsigned a, int b) { return min(a, static_cast<unsigned>(b)); }
static inline unsigned max(int a, unsigned b) { return max(static_cast<unsigned>(a), b); }
static inline unsigned max(unsigned a, int b) { return max(a, static_cast<unsigned>(b)); }
static inline float    min(float a, float b) { return fminf(a, b); }
static inline float    max(float a, float b) { return fmaxf(a, b); }
static inline double   min(double a, double b) { return ::fmin(a, b); }
static inline double   max(double a, double b) { return ::fmax(a, b); }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / ::sqrt(static_cast<double>(x))); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

/* CUDA gives 0 for a divisor beyond 2^126, and NaN for an infinite one under an infinite number. */
static inline float __fdividef(float a, float b) {
    if (fabsf(b) > 0x1p126f) return std::isinf(a) ? NAN : (std::isnan(b) ? b : copysignf(0.0f, a * copysignf(1.0f, b)));
    return a / b;
}

static inline float    __int2float_rn(int value) { return static_cast<float>(value); }
static inline float    __uint2float_rn(unsigned value) { return static_cast<float>(value); }
static inline int      __float2int_rn(float value) { return static_cast<int>(rintf(value)); }
static inline int      __float2int_rz(float value) { return static_cast<int>(value); }
static inline unsigned __float2uint_rn(float value) { return static_cast<unsigned>(rintf(value)); }

/* Some C libraries declare functions of these names for themselves, so here they are macros. They are as exact as the
 * C library's; a GPU's are within a few ulp. */
static inline float emu_expf(float x) { return expf(x); }
static inline float emu_logf(float x) { return logf(x); }
static inline float emu_log2f(float x) { return log2f(x); }
static inline float emu_powf(float x, float y) { return powf(x, y); }
static inline float emu_sinf(float x) { return sinf(x); }
static inline float emu_cosf(float x) { return cosf(x); }
static inline float emu_tanhf(float x) { return tanhf(x); }
#define __expf(x) emu_expf(x)
#define __logf(x) emu_logf(x)
#define __log2f(x) emu_log2f(x)
#define __powf(x, y) emu_powf(x, y)
#define __sinf(x) emu_sinf(x)
#define __cosf(x) emu_cosf(x)
#define __tanhf(x) emu_tanhf(x)

/* ---- Launches ---------------------------------------------------------------------------------------------------- */

#include "emu_runtime_api.h"

/* Queues kernel(arguments...) for every thread of the grid. The arguments are taken by value now, as CUDA does. */
template <class Kernel, class... Arguments>
static inline void emu_launch(const char *name, dim3 grid, dim3 block, cudaStream_t stream, Kernel kernel,
                              Arguments... arguments) {
    if (emu_launch_refusal(grid, block)) {
        emu_set_last_error(cudaErrorInvalidConfiguration);
        return;
    }
    emu_enqueue(
        stream, [=] { emu_run_grid(name, grid, block, [&] { kernel(arguments...); }); }, name);
}

#endif
