/* SPDX-License-Identifier: Apache-2.0
 * IEEE 754 binary16 and bfloat16, to and from fp32. Exact towards fp32, round-to-nearest-even back. */
#ifndef ADE_FP16_H
#define ADE_FP16_H

#include <stdint.h>
#include <string.h>

static inline float ade__f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t ade__bits_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Shifts exponent and mantissa into fp32's place; 2^112 corrects the bias, subnormals included, without a branch. */
static inline float ade__f32_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = (uint32_t)(half & 0x7fffu) << 13;
    if ((half & 0x7c00u) == 0x7c00u) return ade__f32_from_bits(sign | 0x7f800000u | rest);
    return ade__f32_from_bits(sign | ade__bits_from_f32(ade__f32_from_bits(rest) * 0x1p112f));
}

static inline float ade__f32_from_bf16(uint16_t half) { return ade__f32_from_bits((uint32_t)half << 16); }

static inline uint16_t ade__bf16_from_f32(float value) {
    uint32_t bits = ade__bits_from_f32(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u); /* a NaN stays one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline uint16_t ade__f16_from_f32(float value) {
    uint32_t bits = ade__bits_from_f32(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
    if (magnitude < 0x38800000u) {                                   /* below 2^-14: subnormal, in units of 2^-24 */
        float scaled = ade__f32_from_bits(magnitude) + 0.5f;         /* 0.5 has a unit in the last place of 2^-24 */
        return (uint16_t)(sign | (ade__bits_from_f32(scaled) - 0x3f000000u));
    }
    magnitude += 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

#endif
