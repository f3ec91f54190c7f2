/* SPDX-License-Identifier: Apache-2.0
 * What follows a matrix product, row by row while its panels are still in the cache: bias, activation, residual and
 * LayerNorm, and the rounding to the type that the next product takes. In int8 also the way back from int32:
 *     y[r][n] = sum[r][n] * (scale[r] * scales[n]) - (scale[r] * zero[r]) * sums[n] + bias[n]
 * and rows of bytes: u = round(v / scale) + zero, scale = (max - min) / 255 with 0 between
 * them. A row with a value that is not finite gets scale NaN, so that it shows in the result. */
#include "cpu_common.h"

#include "activation_vec.h"

#include <math.h>

/* Runs a body for `columns` columns, c and n being the first and the number of its lanes: constant but for the last. */
#define EACH_VECTOR(columns, body)                              \
    do {                                                        \
        int32_t c = 0;                                          \
        for (; c + ADE_LANES <= (columns); c += ADE_LANES) {    \
            enum { n = ADE_LANES };                             \
            body;                                               \
        }                                                       \
        if (c < (columns)) {                                    \
            const int n = (columns) - c;                        \
            body;                                               \
        }                                                       \
    } while (0)

ADE_INLINE ade_vec get(const float *from, int n) {
    return n == ADE_LANES ? ade__load(from) : ade__load_n(from, n);
}

ADE_INLINE void put(float *to, ade_vec v, int n) {
    if (n == ADE_LANES) ade__store(to, v);
    else ade__store_n(to, v, n);
}

ADE_INLINE ade_ivec get_int(const int32_t *from, int n) {
    ade_ivec v = {0};
    if (n == ADE_LANES) memcpy(&v, from, sizeof v);
    else memcpy(&v, from, (size_t)n * sizeof *from);
    return v;
}

/* n values at `from`, in a panel, of columns from `at` on: in fp32 and with their bias. `row` is NULL but in int8. */
ADE_INLINE ade_vec take(const ade_cpu_panels *p, const float *from, size_t at, int n, const ade_quant *row) {
    if (!row) return get(from, n);
    ade_vec sums = __builtin_convertvector(get_int((const int32_t *)from, n), ade_vec);
    ade_vec shift = get(p->bias + at, n) - get(p->sums + at, n) * (row->scale * (float)row->zero);
    return sums * (get(p->scales + at, n) * row->scale) + shift;
}

ADE_INLINE float *panel_of(const ade_cpu_panels *p, int32_t j) {
    return (float *)p->y + (size_t)(j - p->first_panel) * p->stride;
}

ADE_INLINE int32_t columns_of(const ade_cpu_panels *p, int32_t panel) {
    int32_t left = p->n - panel * p->width;
    return left < p->width ? left : p->width;
}

void ADE_CPU(dequantize)(const ade_cpu_panels *panels, int32_t first, int32_t end, int32_t rows) {
    const ade_cpu_panels own = *panels, *p = &own; /* what is written cannot change it */
    for (int32_t j = first; j < end; j++) {
        const int32_t columns = columns_of(p, j);
        const size_t  at = (size_t)j * (size_t)p->width;
        float        *row = panel_of(p, j) + (size_t)p->first_row * (size_t)columns;
        for (int32_t r = 0; r < rows; r++, row += columns)
            EACH_VECTOR(columns, put(row + c, take(p, row + c, at + (size_t)c, n, p->x_rows + r), n));
    }
}

/* What a row is made of, while it is looked through. */
typedef struct range {
    ade_vec low, high, poison; /* poison: 0, or NaN once a value was not finite */
} range;

ADE_INLINE void widen(range *r, ade_vec v) {
    r->low = ade__min(v, r->low);
    r->high = ade__max(v, r->high);
    r->poison += v * 0.0f;
}

/* n bytes: round(v) + zero, kept between 0 and 255. */
ADE_INLINE void put_bytes(uint8_t *to, ade_vec v, int32_t zero, int n) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    ade_ivec    q = ((ade_ivec)(v + magic) & 0x7fffff) - 0x400000 + zero;
#if defined(__AVX512F__)
    __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32((__m512i)q, _mm512_setzero_si512()));
    if (n == ADE_LANES) memcpy(to, &bytes, sizeof bytes);
    else memcpy(to, &bytes, (size_t)n);
#else
    q = (q > 0) & q;
    q = ((q < 255) & q) | (~(q < 255) & 255);
    for (int k = 0; k < n; k++) to[k] = (uint8_t)q[k];
#endif
}

/* A row of `count` values to bytes. */
ADE_INLINE void to_bytes(const float *row, int32_t count, const range *r, uint8_t *out, ade_quant *quant) {
    float low = -ade__largest(-r->low), high = ade__largest(r->high), poison = ade__sum(r->poison);
    float width = high - low; /* 0 is between them */
    float inverse = width > 0 ? 255.0f / width : 0.0f;
    if (poison != 0.0f || !(width <= 3e38f) || inverse > 3e38f) { /* NaN, infinity; too narrow for its inverse */
        quant->scale = poison != 0.0f || !(width <= 3e38f) ? NAN : 0.0f;
        quant->zero = 0;
        memset(out, 0, (size_t)count);
        return;
    }
    int32_t zero = (int32_t)(-low * inverse + 0.5f);
    if (zero > 255) zero = 255;
    quant->scale = width * (1.0f / 255.0f);
    quant->zero = zero;
    EACH_VECTOR(count, put_bytes(out + c, get(row + c, n) * inverse, zero, n));
}

ADE_INLINE void row_to_bytes(const float *row, int32_t count, uint8_t *out, ade_quant *quant) {
    range r = {ade__splat(0), ade__splat(0), ade__splat(0)};
    EACH_VECTOR(count, widen(&r, get(row + c, n)));
    to_bytes(row, count, &r, out, quant);
}

/* Of a row in int8; the lanes behind n are 0 and change nothing. */
ADE_INLINE void keep(float *to, ade_vec v, int n, range *seen) {
    put(to, v, n);
    widen(seen, n == ADE_LANES ? v : get(to, n));
}

ADE_INLINE void activate(const ade_cpu_panels *panels, int32_t first, int32_t end, int32_t rows, ade_act_kind kind, void *out,
                         size_t out_stride, ade_dtype type, ade_quant *quants, float *row) {
    const ade_cpu_panels own = *panels, *p = &own; /* what is written cannot change it */
    const int            precise = type == ADE_F32;
    for (int32_t r = 0; r < rows; r++) {
        range            seen = {ade__splat(0), ade__splat(0), ade__splat(0)};
        const ade_quant *x_row = type == ADE_I8 ? p->x_rows + r : NULL;
        for (int32_t j = first; j < end; j++) {
            const int32_t columns = columns_of(p, j);
            const size_t  at = (size_t)j * (size_t)p->width, to = (size_t)r * out_stride + at;
            const float  *from = panel_of(p, j) + (size_t)(p->first_row + r) * (size_t)columns;
            if (type == ADE_I8)
                EACH_VECTOR(columns, keep(row + at + c, ade__act(take(p, from + c, at + (size_t)c, n, x_row), kind, precise), n,
                                          &seen));
            else
                EACH_VECTOR(columns, ade__store_act(out, to + (size_t)c, ade__act(get(from + c, n), kind, precise), n, type));
        }
        if (type == ADE_I8) to_bytes(row, p->n, &seen, (uint8_t *)out + (size_t)r * out_stride, quants + r);
    }
}

void ADE_CPU(rows_activation)(const ade_cpu_panels *p, int32_t first, int32_t end, int32_t rows, ade_act_kind kind,
                              void *out, size_t out_stride, ade_dtype type, ade_quant *quants, float *row) {
    switch (kind) { /* a constant kind and type let the compiler make one tight loop of each */
#define CASE(kind)                                                                                             \
    case kind:                                                                                                 \
        if (type == ADE_I8) activate(p, first, end, rows, kind, out, out_stride, ADE_I8, quants, row);         \
        else if (type == ADE_BF16) activate(p, first, end, rows, kind, out, out_stride, ADE_BF16, NULL, NULL); \
        else activate(p, first, end, rows, kind, out, out_stride, ADE_F32, NULL, NULL);                        \
        break;
        CASE(ADE_FN_GELU_ERF)
        CASE(ADE_FN_GELU_TANH)
        CASE(ADE_FN_RELU)
        CASE(ADE_FN_SILU)
        CASE(ADE_FN_TANH)
#undef CASE
    }
}

/* LN(y + res) row by row, in three passes over a row that stays in the first-level cache (in int8 a fourth rounds). */
ADE_INLINE void norm(const ade_cpu_panels *panels, int32_t rows, const ade_norm_args *ln, float *res, void *act,
                     ade_quant *quants, ade_dtype type) {
    const ade_cpu_panels own = *panels, *p = &own;
    const int32_t        h = p->n;
    for (int32_t r = 0; r < rows; r++) {
        float           *out = res + (size_t)r * (size_t)h;
        const ade_quant *x_row = type == ADE_I8 ? p->x_rows + r : NULL;
        ade_vec          sum = ade__splat(0);
        for (int32_t j = 0; j * p->width < h; j++) {
            const int32_t columns = columns_of(p, j);
            const size_t  at = (size_t)j * (size_t)p->width;
            const float  *from = panel_of(p, j) + (size_t)(p->first_row + r) * (size_t)columns;
            float        *to = out + at;
            EACH_VECTOR(columns, ade_vec v = take(p, from + c, at + (size_t)c, n, x_row) + get(to + c, n); put(to + c, v, n);
                        sum += n == ADE_LANES ? v : get(to + c, n));
        }
        const float mean = ade__sum(sum) / (float)h;
        const float inverse = 1.0f / __builtin_sqrtf(ade__row_squares(out, h, mean) / (float)h + ln->eps);
        range       seen = {ade__splat(0), ade__splat(0), ade__splat(0)};
        EACH_VECTOR(h, ade_vec v = (get(out + c, n) - mean) * inverse * get(ln->weight + c, n) + get(ln->bias + c, n);
                    if (type == ADE_I8) keep(out + c, v, n, &seen); else put(out + c, v, n);
                    if (type == ADE_BF16) ade__store_act(act, (size_t)r * (size_t)h + (size_t)c, v, n, ADE_BF16));
        if (type == ADE_I8) to_bytes(out, h, &seen, (uint8_t *)act + (size_t)r * (size_t)h, quants + r);
    }
}

void ADE_CPU(rows_norm)(const ade_cpu_panels *p, int32_t rows, const ade_norm_args *ln, float *res, void *act,
                        ade_quant *quants, ade_dtype type) {
    if (type == ADE_I8) norm(p, rows, ln, res, act, quants, ADE_I8);
    else if (type == ADE_BF16) norm(p, rows, ln, res, act, NULL, ADE_BF16);
    else norm(p, rows, ln, res, act, NULL, ADE_F32);
}

void ADE_CPU(rows_convert)(const float *x, int32_t rows, int32_t count, void *out, ade_quant *quants, ade_dtype type) {
    for (int32_t r = 0; r < rows; r++) {
        const size_t at = (size_t)r * (size_t)count;
        const float *row = x + at;
        if (type == ADE_I8) row_to_bytes(row, count, (uint8_t *)out + at, quants + r);
        else EACH_VECTOR(count, ade__store_act(out, at + (size_t)c, get(row + c, n), n, type));
    }
}
