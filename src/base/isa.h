/* SPDX-License-Identifier: Apache-2.0
 * Which of the processor's instruction sets may be used. Everything that chooses between versions of its code asks
 * here, so that one environment variable takes the better ones away: ADESIEVE_MAX_ISA, with one of the names below. */
#ifndef ADE_ISA_H
#define ADE_ISA_H

/* Rising: a processor that has one has all before it. The comment says what has to be there. */
typedef enum ade_isa {
    ADE_ISA_BASELINE,    /* "baseline": what every processor of the architecture has; on x86-64, SSE2 */
    ADE_ISA_SSE42,       /* "sse4.2": SSE4.2, SSSE3, POPCNT; x86-64-v2 */
    ADE_ISA_AVX2,        /* "avx2": AVX2, FMA, BMI1, BMI2; x86-64-v3 */
    ADE_ISA_AVX512,      /* "avx512": AVX-512 F, BW, CD, DQ, VL; x86-64-v4 */
    ADE_ISA_AVX512_VNNI, /* "avx512_vnni": AVX-512 VNNI */
    ADE_ISA_AVX512_BF16, /* "avx512_bf16": AVX-512 BF16 */
    ADE_ISA_AMX          /* "amx": AMX tiles with int8 and bf16, and a system that saves their registers */
} ade_isa;

/* The most that ADESIEVE_MAX_ISA allows; ADE_ISA_AMX when it is unset or empty. 0 = the variable holds a name that is
 * none of these (*limit is ADE_ISA_AMX then, too), 1 = all is well. Reads the environment each time. */
int ade__isa_limit(ade_isa *limit);

/* The name as above; "?" for another value. */
const char *ade__isa_name(ade_isa isa);

/* The best that the processor has and ADESIEVE_MAX_ISA allows. */
ade_isa ade__isa_best(void);

#endif
