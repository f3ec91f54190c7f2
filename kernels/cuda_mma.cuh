/* SPDX-License-Identifier: Apache-2.0
 * The instructions that C++ cannot say, behind one function each; all 32 lanes of a warp come together to all but
 * ade__exp2 and the copies.
 * Where there is no CUDA compiler, tests/emulator has a plain twin of each. Layouts: PTX ISA, "Matrix fragments for
 * mma.m16n8k16 with floating point type", with g = lane / 4, c = lane % 4:
 *   A (16 x 16, rows)     a[0] = (g, 2c..), a[1] = (g + 8, 2c..), a[2] = (g, 2c + 8..), a[3] = (g + 8, 2c + 8..)
 *   B (16 x 8, columns)   b[0] = (2c.., g), b[1] = (2c + 8.., g)
 *   C (16 x 8, fp32)      c[0], c[1] = (g, 2c), (g, 2c + 1); c[2], c[3] = (g + 8, 2c), (g + 8, 2c + 1) */
#ifndef ADE_CUDA_MMA_CUH
#define ADE_CUDA_MMA_CUH

#include "cuda_common.cuh"

#ifdef __CUDACC__

/* C += A B, f16 in, fp32 sums. */
static __device__ __forceinline__ void ade__mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2]) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else /* Turing: two steps of half the depth */
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b[0]));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b[1]));
#endif
}

/* Four 8 x 8 matrices of f16 from shared memory. Lane i names row i % 8 of matrix i / 8 (16 bytes, aligned to them); r[m]
 * receives elements (g, 2c) and (g, 2c + 1) of matrix m, transposed first in the second form. */
static __device__ __forceinline__ void ade__ldmatrix_x4(uint32_t r[4], const void *row) {
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

static __device__ __forceinline__ void ade__ldmatrix_x4_trans(uint32_t r[4], const void *row) {
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/* 16 bytes from global to shared memory behind the thread's back; zeros if not `valid` (then `from` is not read).
 * Nothing is there before ade__cp_async_wait of the group and a barrier. Turing copies at once. */
static __device__ __forceinline__ void ade__cp_async16(void *to, const void *from, bool valid) {
#if __CUDA_ARCH__ >= 800
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    const int      bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
#else
    *static_cast<uint4 *>(to) = valid ? *static_cast<const uint4 *>(from) : make_uint4(0, 0, 0, 0);
#endif
}

/* 2^x by the special function unit, error 2 units in the last place; a result below 2^-126 is 0. exp2f would spend three
 * more instructions on keeping such results. */
static __device__ __forceinline__ float ade__exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Closes this thread's group of copies. */
static __device__ __forceinline__ void ade__cp_async_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Until at most the PENDING youngest groups of this thread are under way. */
template <int PENDING> static __device__ __forceinline__ void ade__cp_async_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

#else

static inline void ade__mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2]) { emu_mma_m16n8k16(c, a, b); }
static inline void ade__ldmatrix_x4(uint32_t r[4], const void *row) { emu_ldmatrix_x4(r, row, false); }
static inline void ade__ldmatrix_x4_trans(uint32_t r[4], const void *row) { emu_ldmatrix_x4(r, row, true); }
static inline void ade__cp_async16(void *to, const void *from, bool valid) { emu_cp_async16(to, from, valid); }
static inline float ade__exp2(float x) {
    const float y = exp2f(x);
    return y < 0x1p-126f ? 0.0f : y;
}
static inline void ade__cp_async_commit() { emu_cp_async_commit(); }
template <int PENDING> static inline void ade__cp_async_wait() { emu_cp_async_wait(PENDING); }

#endif
#endif
