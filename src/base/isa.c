/* SPDX-License-Identifier: Apache-2.0 */
#include "isa.h"

#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {"baseline", "sse4.2", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"};

int ade__isa_limit(ade_isa *limit) {
    const char *name = getenv("ADESIEVE_MAX_ISA");
    *limit = ADE_ISA_AMX;
    if (!name || !*name) return 1;
    for (int i = ADE_ISA_BASELINE; i <= ADE_ISA_AMX; i++)
        if (!strcmp(name, NAMES[i])) {
            *limit = (ade_isa)i;
            return 1;
        }
    return 0;
}

const char *ade__isa_name(ade_isa isa) {
    return isa >= ADE_ISA_BASELINE && isa <= ADE_ISA_AMX ? NAMES[isa] : "?";
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

/* By hand: compilers that know the bits by name are newer than those that build this. */
__attribute__((target("xsave"))) static int has_amx(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (!(d >> 22 & 1) || !(d >> 24 & 1) || !(d >> 25 & 1)) return 0; /* bf16, tiles, int8 */
    return __get_cpuid(1, &a, &b, &c, &d) && c >> 27 & 1 && (_xgetbv(0) >> 17 & 3) == 3; /* the system saves tiles */
}

static ade_isa processor(void) {
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("popcnt"))
        return ADE_ISA_BASELINE;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2"))
        return ADE_ISA_SSE42;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return ADE_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni")) return ADE_ISA_AVX512;
    if (!__builtin_cpu_supports("avx512bf16")) return ADE_ISA_AVX512_VNNI;
    return has_amx() ? ADE_ISA_AMX : ADE_ISA_AVX512_BF16;
}
#else
static ade_isa processor(void) { return ADE_ISA_BASELINE; }
#endif

ade_isa ade__isa_best(void) {
    ade_isa limit, best = processor();
    (void)ade__isa_limit(&limit);
    return best < limit ? best : limit;
}
