/* SPDX-License-Identifier: Apache-2.0
 * Bytes are classified 64 at a time into masks with a bit for each byte; starts and ends of units fall out of the masks
 * by shifts, and their positions by counting zeros. What each character is comes from one table, so every arm does the
 * same by construction: AVX-512 looks 128 characters up in two registers; SSE and AVX2 look up the low half of the byte
 * in 16 bytes that have a bit for each high half; the last arm looks up byte by byte. */
#include "scan.h"

#include <string.h>

/* What 64 bytes are, lowest bit first; those of bytes from 0x80 on are undefined but in `other`. */
typedef struct block_masks {
    uint64_t stretch, punctuation, complex, first, other;
} block_masks;

void ade__scan_classes_set(ade__scan_classes *classes, const uint8_t bits[128], bool other_first, bool lowercase) {
    *classes = (ade__scan_classes){.other_first = other_first, .lowercase = lowercase};
    memcpy(classes->bits, bits, sizeof classes->bits);
    for (unsigned c = 0; c < 128; c++)
        for (unsigned k = 0; k < 4; k++) classes->of_low[k][c & 15] |= (uint8_t)((bits[c] >> k & 1) << (c >> 4));
}

static bool last_stretch_is_open(const ade__scan_classes *classes, unsigned char last) {
    return last >= 0x80 || classes->bits[last] & ADE_SCAN_STRETCH;
}

/* ---- Any processor ----------------------------------------------------------------------------------------------- */

/* Bit k of each of eight bytes, as eight bits: the factor moves the bit of byte i, at 8 i, to 56 + i, and no two of its
 * products meet. */
static inline uint64_t gather_bits(uint64_t bytes, unsigned k) {
    return (bytes >> k & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56;
}

static inline void copy_block(unsigned char *copy, const unsigned char *text, size_t size) {
    if (size == 64) {
        memcpy(copy, text, 64);
        return;
    }
    memcpy(copy, text, size);
    memset(copy + size, 0, 64 - size);
}

static inline void classify_plain(const ade__scan_classes *classes, const unsigned char *text, size_t size,
                                  unsigned char *copy, block_masks *out) {
    *out = (block_masks){0};
    copy_block(copy, text, size);
    for (size_t i = 0; i < 64; i += 8) {
        unsigned char bits[8];
        uint64_t      together;
        for (size_t j = 0; j < 8; j++)
            bits[j] = (unsigned char)(classes->bits[copy[i + j] & 127] | (copy[i + j] & 0x80));
        memcpy(&together, bits, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        together = __builtin_bswap64(together);
#endif
        out->stretch |= gather_bits(together, 0) << i;
        out->punctuation |= gather_bits(together, 1) << i;
        out->complex |= gather_bits(together, 2) << i;
        out->first |= gather_bits(together, 3) << i;
        out->other |= gather_bits(together, 7) << i;
    }
    if (classes->lowercase)
        for (size_t i = 0; i < 64; i++) copy[i] = (unsigned char)(copy[i] + ((unsigned)(copy[i] - 'A') < 26) * 32);
}

/* Eight at a time, and as often as there are some: how many there are is hard to foretell, in eights it is easier. What
 * is written too much is overwritten later. */
static inline size_t positions_plain(uint64_t mask, size_t base, uint16_t *out, size_t n) {
    size_t count = n;
    for (uint16_t *to = out + n; mask; to += 8)
        for (unsigned i = 0; i < 8; i++) {
            to[i] = (uint16_t)(base + (size_t)__builtin_ctzll(mask | UINT64_C(1) << 63));
            count += mask != 0;
            mask &= mask - 1;
        }
    return count;
}

#define ARM    plain
#define TARGET
#include "scan_arm.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define ADE_SCAN_X86
#include <immintrin.h>

/* ---- SSE4.2 ------------------------------------------------------------------------------------------------------ */

#define TARGET_SSE __attribute__((target("sse4.2,ssse3,popcnt")))

TARGET_SSE static inline void classify_sse(const ade__scan_classes *classes, const unsigned char *text, size_t size,
                                           unsigned char *copy, block_masks *out) {
    const __m128i low_half = _mm_set1_epi8(15), zero = _mm_setzero_si128();
    const __m128i bit_of_high = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    uint64_t      masks[4] = {0}, other = 0;
    copy_block(copy, text, size);
    for (unsigned part = 0; part < 4; part++) {
        __m128i bytes = _mm_load_si128((const __m128i *)(const void *)(copy + 16 * part));
        __m128i low = _mm_and_si128(bytes, low_half);
        __m128i bit = _mm_shuffle_epi8(bit_of_high, _mm_and_si128(_mm_srli_epi16(bytes, 4), low_half));
        for (unsigned k = 0; k < 4; k++) {
            __m128i table = _mm_load_si128((const __m128i *)(const void *)classes->of_low[k]);
            __m128i none = _mm_cmpeq_epi8(_mm_and_si128(_mm_shuffle_epi8(table, low), bit), zero);
            masks[k] |= (uint64_t)(~(unsigned)_mm_movemask_epi8(none) & 0xffffu) << 16 * part;
        }
        other |= (uint64_t)(unsigned)_mm_movemask_epi8(bytes) << 16 * part;
        if (classes->lowercase) {
            __m128i letter = _mm_cmplt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8(63)), _mm_set1_epi8(-102)); /* A..Z */
            _mm_store_si128((__m128i *)(void *)(copy + 16 * part),
                            _mm_add_epi8(bytes, _mm_and_si128(letter, _mm_set1_epi8(32))));
        }
    }
    *out = (block_masks){masks[0], masks[1], masks[2], masks[3], other};
}

TARGET_SSE static inline size_t positions_sse(uint64_t mask, size_t base, uint16_t *out, size_t n) {
    size_t count = (size_t)__builtin_popcountll(mask);
    for (uint16_t *to = out + n; mask; to += 8)
        for (unsigned i = 0; i < 8; i++) {
            to[i] = (uint16_t)(base + (size_t)__builtin_ctzll(mask | UINT64_C(1) << 63));
            mask &= mask - 1;
        }
    return n + count;
}

#define ARM    sse
#define TARGET TARGET_SSE
#include "scan_arm.h"

/* ---- AVX2 -------------------------------------------------------------------------------------------------------- */

#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt")))

TARGET_AVX2 static inline void classify_avx2(const ade__scan_classes *classes, const unsigned char *text, size_t size,
                                             unsigned char *copy, block_masks *out) {
    const __m256i low_half = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const __m256i bit_of_high = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16,
                                                 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    uint64_t      masks[4] = {0}, other = 0;
    if (size < 64) {
        copy_block(copy, text, size);
        text = copy;
    }
    for (unsigned part = 0; part < 2; part++) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32 * part));
        __m256i low = _mm256_and_si256(bytes, low_half);
        __m256i bit = _mm256_shuffle_epi8(bit_of_high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_half));
        for (unsigned k = 0; k < 4; k++) {
            __m256i table =
                _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)classes->of_low[k]));
            __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(table, low), bit), zero);
            masks[k] |= (uint64_t)~(unsigned)_mm256_movemask_epi8(none) << 32 * part;
        }
        other |= (uint64_t)(unsigned)_mm256_movemask_epi8(bytes) << 32 * part;
        if (classes->lowercase) {
            __m256i letter = _mm256_cmpgt_epi8(_mm256_set1_epi8(-102), _mm256_add_epi8(bytes, _mm256_set1_epi8(63)));
            bytes = _mm256_add_epi8(bytes, _mm256_and_si256(letter, _mm256_set1_epi8(32)));
        }
        _mm256_store_si256((__m256i *)(void *)(copy + 32 * part), bytes);
    }
    *out = (block_masks){masks[0], masks[1], masks[2], masks[3], other};
}

TARGET_AVX2 static inline size_t positions_avx2(uint64_t mask, size_t base, uint16_t *out, size_t n) {
    size_t count = (size_t)__builtin_popcountll(mask);
    for (uint16_t *to = out + n; mask; to += 8)
        for (unsigned i = 0; i < 8; i++) {
            to[i] = (uint16_t)(base + _tzcnt_u64(mask));
            mask = _blsr_u64(mask);
        }
    return n + count;
}

#define ARM    avx2
#define TARGET TARGET_AVX2
#include "scan_arm.h"

/* ---- AVX-512 with VBMI and VBMI2 --------------------------------------------------------------------------------- */

#define TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt,lzcnt")))

/* A masked load touches no byte behind the text, whatever lies there. */
TARGET_AVX512 static inline void classify_avx512(const ade__scan_classes *classes, const unsigned char *text,
                                                 size_t size, unsigned char *copy, block_masks *out) {
    __m512i bytes = _mm512_maskz_loadu_epi8(_bzhi_u64(~UINT64_C(0), (unsigned)size), text);
    __m512i bits = _mm512_permutex2var_epi8(_mm512_load_si512(classes->bits), bytes,
                                            _mm512_load_si512(classes->bits + 64));
    *out = (block_masks){_mm512_test_epi8_mask(bits, _mm512_set1_epi8(ADE_SCAN_STRETCH)),
                         _mm512_test_epi8_mask(bits, _mm512_set1_epi8(ADE_SCAN_PUNCTUATION)),
                         _mm512_test_epi8_mask(bits, _mm512_set1_epi8(ADE_SCAN_COMPLEX)),
                         _mm512_test_epi8_mask(bits, _mm512_set1_epi8(ADE_SCAN_FIRST)), _mm512_movepi8_mask(bytes)};
    if (classes->lowercase) {
        __mmask64 letter = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8('A')), _mm512_set1_epi8(26));
        bytes = _mm512_mask_add_epi8(bytes, letter, bytes, _mm512_set1_epi8(32));
    }
    _mm512_store_si512(copy, bytes);
}

TARGET_AVX512 static inline size_t positions_avx512(uint64_t mask, size_t base, uint16_t *out, size_t n) {
    const __m512i numbers = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
        35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
        6, 5, 4, 3, 2, 1, 0);
    size_t  count = (size_t)__builtin_popcountll(mask);
    __m512i chosen = _mm512_maskz_compress_epi8(mask, numbers), from = _mm512_set1_epi16((short)base);
    _mm512_storeu_si512(out + n, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(chosen)), from));
    if (__builtin_expect(count > 32, 0))
        _mm512_storeu_si512(out + n + 32,
                            _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(chosen, 1)), from));
    return n + count;
}

#define ARM    avx512
#define TARGET TARGET_AVX512
#include "scan_arm.h"

#endif

ade__scan_fn *ade__scan_choose(ade_isa most, const char **name) {
    const char   *chosen = "portable";
    ade__scan_fn *scan = scan_plain;
#ifdef ADE_SCAN_X86
    if (most >= ADE_ISA_AVX512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")) {
        chosen = "AVX-512 VBMI2";
        scan = scan_avx512;
    } else if (most >= ADE_ISA_AVX2) {
        chosen = "AVX2";
        scan = scan_avx2;
    } else if (most >= ADE_ISA_SSE42) {
        chosen = "SSE4.2";
        scan = scan_sse;
    }
#else
    (void)most;
#endif
    if (name) *name = chosen;
    return scan;
}
