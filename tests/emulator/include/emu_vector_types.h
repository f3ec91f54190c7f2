/* SPDX-License-Identifier: Apache-2.0
 * CUDA's vector types with CUDA's sizes and alignments, and their make_ functions. */
#ifndef EMU_VECTOR_TYPES_H
#define EMU_VECTOR_TYPES_H

#define EMU_VECTOR_1(name, type)                                                                                       \
    struct name##1 {                                                                                                   \
        type x;                                                                                                        \
    };                                                                                                                 \
    static inline name##1 make_##name##1(type x) { return {x}; }
#define EMU_VECTOR_2(name, type, alignment)                                                                            \
    struct __attribute__((may_alias, aligned(alignment))) name##2 {                                                    \
        type x, y;                                                                                                     \
    };                                                                                                                 \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }
#define EMU_VECTOR_3(name, type)                                                                                       \
    struct name##3 {                                                                                                   \
        type x, y, z;                                                                                                  \
    };                                                                                                                 \
    static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }
#define EMU_VECTOR_4(name, type, alignment)                                                                            \
    struct __attribute__((may_alias, aligned(alignment))) name##4 {                                                    \
        type x, y, z, w;                                                                                               \
    };                                                                                                                 \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
#define EMU_VECTORS(name, type, alignment_of_2, alignment_of_4)                                                        \
    EMU_VECTOR_1(name, type)                                                                                           \
    EMU_VECTOR_2(name, type, alignment_of_2)                                                                           \
    EMU_VECTOR_3(name, type)                                                                                           \
    EMU_VECTOR_4(name, type, alignment_of_4)

EMU_VECTORS(char, signed char, 2, 4)
EMU_VECTORS(uchar, unsigned char, 2, 4)
EMU_VECTORS(short, short, 4, 8)
EMU_VECTORS(ushort, unsigned short, 4, 8)
EMU_VECTORS(int, int, 8, 16)
EMU_VECTORS(uint, unsigned, 8, 16)
EMU_VECTORS(float, float, 8, 16)
EMU_VECTORS(longlong, long long, 16, 16)
EMU_VECTORS(ulonglong, unsigned long long, 16, 16)
EMU_VECTORS(double, double, 16, 16)

#undef EMU_VECTORS
#undef EMU_VECTOR_1
#undef EMU_VECTOR_2
#undef EMU_VECTOR_3
#undef EMU_VECTOR_4

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned in_x = 1, unsigned in_y = 1, unsigned in_z = 1) : x(in_x), y(in_y), z(in_z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    operator uint3() const { return {x, y, z}; }
};

#endif
