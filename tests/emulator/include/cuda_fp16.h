/* SPDX-License-Identifier: Apache-2.0
 * Stands in for CUDA's header of this name: __half and __half2 with their layouts, conversions and arithmetic, rounded
 * to nearest even, with subnormals, infinities and NaN (0x7FFF, as a GPU makes it). In plain C++: no result depends on
 * the compiler's own half type or the processor. */
#ifndef EMU_CUDA_FP16_H
#define EMU_CUDA_FP16_H

#include "emu_vector_types.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- Bits -------------------------------------------------------------------------------------------------------- */

static inline float emu_half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 31u, fraction = half & 0x3ffu;
    uint32_t       bits;
    if (exponent == 31)
        bits = sign | 0x7f800000u | fraction << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    else { /* fraction units of 2^-24, a normal number in fp32 */
        const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* From a double, so that an exact or nearly exact result is rounded only once. */
static inline uint16_t emu_double_to_half(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = static_cast<uint16_t>(bits >> 48 & 0x8000u);
    const int      exponent = static_cast<int>(bits >> 52 & 0x7ffu) - 1023;
    const uint64_t fraction = bits & 0xfffffffffffffull;
    if (exponent == 1024) return fraction ? 0x7fffu : static_cast<uint16_t>(sign | 0x7c00u);
    if (exponent > 15) return static_cast<uint16_t>(sign | 0x7c00u);
    if (exponent < -25) return sign; /* below half of the smallest subnormal; a double's own subnormals, too */
    /* Shift the 53-bit significand so that its last bit is a unit of the half: 2^(exponent - 10), 2^-24 if subnormal.
     */
    const int      shift = exponent < -14 ? 42 + (-14 - exponent) : 42;
    const uint64_t significand = fraction | 1ull << 52, tie = 1ull << (shift - 1), rest = significand & (2 * tie - 1);
    uint64_t       rounded = significand >> shift;
    if (rest > tie || (rest == tie && (rounded & 1))) rounded++;
    /* A normal number's leading 1 adds one to the exponent field; a carry goes on into it, up to infinity. */
    const uint64_t base = exponent < -14 ? 0 : static_cast<uint64_t>(exponent + 14) << 10;
    return static_cast<uint16_t>(sign | (base + rounded));
}

static inline uint16_t emu_float_to_half(float value) { return emu_double_to_half(static_cast<double>(value)); }

/* ---- Types ------------------------------------------------------------------------------------------------------- */

struct __half_raw {
    unsigned short x;
};

struct __attribute__((may_alias, aligned(2))) __half {
    unsigned short __x;

    __half() = default;
    __half(__half_raw raw) : __x(raw.x) {}
    __half(float value) : __x(emu_float_to_half(value)) {}
    __half(double value) : __x(emu_double_to_half(value)) {}
    __half(int value) : __x(emu_double_to_half(value)) {}
    __half(unsigned value) : __x(emu_double_to_half(value)) {}
    __half(short value) : __x(emu_double_to_half(value)) {}
    __half(unsigned short value) : __x(emu_double_to_half(value)) {}
    operator float() const { return emu_half_to_float(__x); }
    operator __half_raw() const { return {__x}; }
};

struct __half2_raw {
    unsigned short x, y;
};

struct __attribute__((may_alias, aligned(4))) __half2 {
    __half x, y;

    __half2() = default;
    __half2(const __half &low, const __half &high) : x(low), y(high) {}
    __half2(__half2_raw raw) : x(__half_raw{raw.x}), y(__half_raw{raw.y}) {}
};

static_assert(sizeof(__half) == 2 && sizeof(__half2) == 4 && alignof(__half2) == 4, "CUDA's layouts");

typedef __half  half;
typedef __half2 half2;
typedef __half  __nv_half;
typedef __half2 __nv_half2;

static inline __half         __ushort_as_half(unsigned short bits) { return __half(__half_raw{bits}); }
static inline unsigned short __half_as_ushort(__half h) { return h.__x; }
static inline __half         __short_as_half(short bits) { return __ushort_as_half(static_cast<unsigned short>(bits)); }
static inline short          __half_as_short(__half h) { return static_cast<short>(h.__x); }

/* ---- Conversions ------------------------------------------------------------------------------------------------- */

static inline float  __half2float(__half h) { return emu_half_to_float(h.__x); }
static inline __half __float2half(float value) { return __ushort_as_half(emu_float_to_half(value)); }
static inline __half __float2half_rn(float value) { return __float2half(value); }
static inline __half __double2half(double value) { return __ushort_as_half(emu_double_to_half(value)); }
static inline __half __int2half_rn(int value) { return __double2half(value); }
static inline __half __uint2half_rn(unsigned value) { return __double2half(value); }

static inline __half2 make_half2(__half low, __half high) { return __half2(low, high); }
static inline __half2 __halves2half2(__half low, __half high) { return __half2(low, high); }
static inline __half2 __half2half2(__half h) { return __half2(h, h); }
static inline __half2 __float2half2_rn(float value) { return __half2half2(__float2half(value)); }
static inline __half2 __floats2half2_rn(float low, float high) {
    return __half2(__float2half(low), __float2half(high));
}
static inline __half2 __float22half2_rn(float2 two) { return __floats2half2_rn(two.x, two.y); }
static inline float2  __half22float2(__half2 two) { return make_float2(__half2float(two.x), __half2float(two.y)); }
static inline __half  __low2half(__half2 two) { return two.x; }
static inline __half  __high2half(__half2 two) { return two.y; }
static inline float   __low2float(__half2 two) { return __half2float(two.x); }
static inline float   __high2float(__half2 two) { return __half2float(two.y); }
static inline __half2 __low2half2(__half2 two) { return __half2(two.x, two.x); }
static inline __half2 __high2half2(__half2 two) { return __half2(two.y, two.y); }
static inline __half2 __lowhigh2highlow(__half2 two) { return __half2(two.y, two.x); }
static inline __half2 __lows2half2(__half2 a, __half2 b) { return __half2(a.x, b.x); }
static inline __half2 __highs2half2(__half2 a, __half2 b) { return __half2(a.y, b.y); }

/* ---- Arithmetic -------------------------------------------------------------------------------------------------- */

/* Sums and products of two halves are exact in double. The quotient is not, nor the sum in fma, but double keeps enough
 * bits that neither can reach a tie of the half by being rounded. */
#define EMU_HALF_BINARY(name, operation)                                                                               \
    static inline __half __h##name(__half a, __half b) {                                                               \
        const double x = __half2float(a), y = __half2float(b);                                                         \
        return __double2half(operation);                                                                               \
    }                                                                                                                  \
    static inline __half2 __h##name##2(__half2 a, __half2 b) {                                                         \
        return __half2(__h##name(a.x, b.x), __h##name(a.y, b.y));                                                      \
    }
EMU_HALF_BINARY(add, x + y)
EMU_HALF_BINARY(sub, x - y)
EMU_HALF_BINARY(mul, x *y)
#undef EMU_HALF_BINARY

static inline __half __hdiv(__half a, __half b) {
    return __double2half(static_cast<double>(__half2float(a)) / static_cast<double>(__half2float(b)));
}
static inline __half2 __h2div(__half2 a, __half2 b) { return __half2(__hdiv(a.x, b.x), __hdiv(a.y, b.y)); }

static inline __half __hfma(__half a, __half b, __half c) {
    const double product = static_cast<double>(__half2float(a)) * static_cast<double>(__half2float(b));
    return __double2half(product + static_cast<double>(__half2float(c)));
}
static inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
    return __half2(__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y));
}

static inline bool    __hisnan(__half h) { return (h.__x & 0x7fffu) > 0x7c00u; }
static inline __half  __hneg(__half h) { return __ushort_as_half(h.__x ^ 0x8000u); }
static inline __half2 __hneg2(__half2 two) { return __half2(__hneg(two.x), __hneg(two.y)); }
static inline __half  __habs(__half h) { return __ushort_as_half(h.__x & 0x7fffu); }
static inline __half2 __habs2(__half2 two) { return __half2(__habs(two.x), __habs(two.y)); }

#define EMU_HALF_COMPARE(name, operation)                                                                              \
    static inline bool __h##name(__half a, __half b) { return __half2float(a) operation __half2float(b); }
EMU_HALF_COMPARE(eq, ==)
EMU_HALF_COMPARE(le, <=)
EMU_HALF_COMPARE(ge, >=)
EMU_HALF_COMPARE(lt, <)
EMU_HALF_COMPARE(gt, >)
#undef EMU_HALF_COMPARE
static inline bool __hne(__half a, __half b) { return !__hisnan(a) && !__hisnan(b) && !__heq(a, b); }

/* The other number if one is NaN; +0 counts as greater than -0. */
static inline __half __hmax(__half a, __half b) {
    if (__hisnan(a)) return __hisnan(b) ? __ushort_as_half(0x7fffu) : b;
    if (__hisnan(b)) return a;
    if (__heq(a, b)) return a.__x & 0x8000u ? b : a;
    return __hgt(a, b) ? a : b;
}
static inline __half __hmin(__half a, __half b) {
    if (__hisnan(a)) return __hisnan(b) ? __ushort_as_half(0x7fffu) : b;
    if (__hisnan(b)) return a;
    if (__heq(a, b)) return a.__x & 0x8000u ? a : b;
    return __hlt(a, b) ? a : b;
}
static inline __half2 __hmax2(__half2 a, __half2 b) { return __half2(__hmax(a.x, b.x), __hmax(a.y, b.y)); }
static inline __half2 __hmin2(__half2 a, __half2 b) { return __half2(__hmin(a.x, b.x), __hmin(a.y, b.y)); }

static inline __half  operator+(const __half &a, const __half &b) { return __hadd(a, b); }
static inline __half  operator-(const __half &a, const __half &b) { return __hsub(a, b); }
static inline __half  operator*(const __half &a, const __half &b) { return __hmul(a, b); }
static inline __half  operator/(const __half &a, const __half &b) { return __hdiv(a, b); }
static inline __half  operator-(const __half &a) { return __hneg(a); }
static inline __half2 operator+(const __half2 &a, const __half2 &b) { return __hadd2(a, b); }
static inline __half2 operator-(const __half2 &a, const __half2 &b) { return __hsub2(a, b); }
static inline __half2 operator*(const __half2 &a, const __half2 &b) { return __hmul2(a, b); }
static inline __half2 operator-(const __half2 &a) { return __hneg2(a); }

#endif
