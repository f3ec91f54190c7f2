/* SPDX-License-Identifier: Apache-2.0
 * Y = X W^T + b by oneDNN's matmul primitive, one thread a call (the workers are ours: each multiplies its own batch in
 * its own cache, or its own panels of a batch that they share; the sums over K never depend on the number of threads).
 *
 * Panels. A matrix is cut into panels of 64 to 192 columns, each packed by itself, whoever computes them: dense outputs of
 * 64 columns and 128 rows already run at the speed of large matrices. A matrix that stays `exact` is one panel.
 *
 * Rows. A primitive is made for each multiple of 16 rows up to 128 and used for exactly that many; the rows beyond are
 * computed and ignored.
 *
 * Same bits whatever the batch. Each plan is checked once when it is made: with all rows of X equal, all rows of Y must
 * be equal to the bit, in every number of rows. A number of rows for which oneDNN sums over K in another order, be it in
 * some rows alone, is not used; a larger one takes its place. (All of its AVX-512 products have been seen to pass; on
 * AVX2 those of 32 rows do not.) Should the largest fail, a plan goes one row at a time, which cannot depend on anything.
 *
 * int8. X is unsigned bytes, W signed ones, products are exact int32: |sum| <= 255 * 127 * K, so K is limited.
 *
 * oneDNN 2.6 and 3.x differ in how descriptors are made; the few lines that know are together below. */
#include "gemm_cpu.h"

#include "alloc.h"
#include "fp16.h"
#include "isa.h"
#include "status.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

#define STEP 16
#define MOST_ROWS ADE_GEMM_ROWS
#define PANEL 96 /* columns at most; of matrices with WIDE columns and more twice as many: fewer calls, enough to share */
#define STEP_COLUMNS 32
#define WIDE 1024
#define MOST_K_INT8 65536 /* times 255 * 127 still fits an int32 */
#define VARIANTS (MOST_ROWS / STEP)

#define DNNL_TRY(call)                                                                                               \
    do {                                                                                                             \
        dnnl_status_t dnnl_try = (call);                                                                             \
        if (dnnl_try != dnnl_success) return dnnl_failed(dnnl_try, #call, __LINE__);                                 \
    } while (0)

static ade_status dnnl_failed(dnnl_status_t status, const char *call, int line) {
    if (status == dnnl_out_of_memory) return ade__fail(ADE_OUT_OF_MEMORY, "out of memory in oneDNN (%.60s)", call);
    return ade__fail(ADE_DEVICE, "oneDNN returned status %d from %.60s (gemm_cpu.c:%d)", (int)status, call, line);
}

/* ---- What differs between oneDNN 2 and 3 ------------------------------------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t       desc_ref;       /* owned pointer */
typedef const_dnnl_memory_desc_t desc_const_ref;
static dnnl_status_t desc_strided(desc_ref *d, const dnnl_dims_t dims, dnnl_data_type_t t, const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(d, 2, dims, t, strides);
}
static dnnl_status_t desc_any(desc_ref *d, const dnnl_dims_t dims, dnnl_data_type_t t) {
    return dnnl_memory_desc_create_with_tag(d, 2, dims, t, dnnl_format_tag_any);
}
static void desc_free(desc_ref *d) {
    if (*d) dnnl_memory_desc_destroy(*d);
    *d = NULL;
}
static dnnl_status_t desc_copy(desc_ref *to, desc_const_ref from) { return dnnl_memory_desc_clone(to, from); }
static desc_const_ref desc_get(const desc_ref *d) { return *d; }
static dnnl_status_t  matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const desc_ref *x, const desc_ref *w,
                                const desc_ref *b, const desc_ref *y, const_dnnl_primitive_attr_t attr) {
    return dnnl_matmul_primitive_desc_create(pd, engine, *x, *w, b ? *b : NULL, *y, attr);
}
#else
typedef dnnl_memory_desc_t        desc_ref; /* a plain struct */
typedef const dnnl_memory_desc_t *desc_const_ref;
static dnnl_status_t desc_strided(desc_ref *d, const dnnl_dims_t dims, dnnl_data_type_t t, const dnnl_dims_t strides) {
    return dnnl_memory_desc_init_by_strides(d, 2, dims, t, strides);
}
static dnnl_status_t desc_any(desc_ref *d, const dnnl_dims_t dims, dnnl_data_type_t t) {
    return dnnl_memory_desc_init_by_tag(d, 2, dims, t, dnnl_format_tag_any);
}
static void           desc_free(desc_ref *d) { (void)d; }
static dnnl_status_t  desc_copy(desc_ref *to, desc_const_ref from) { return *to = *from, dnnl_success; }
static desc_const_ref desc_get(const desc_ref *d) { return d; }
static dnnl_status_t  matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const desc_ref *x, const desc_ref *w,
                                const desc_ref *b, const desc_ref *y, const_dnnl_primitive_attr_t attr) {
    dnnl_matmul_desc_t  op;
    const dnnl_status_t made = dnnl_matmul_desc_init(&op, x, w, b, y);
    return made != dnnl_success ? made : dnnl_primitive_desc_create(pd, &op, attr, engine, NULL);
}
#endif

/* ---- Plans ------------------------------------------------------------------------------------------------------- */

typedef struct plan { /* all panels of one size share it */
    struct plan     *next;
    int              index; /* its place in every exec's table */
    int32_t          n, k;
    dnnl_data_type_t x_type, w_type, y_type; /* b is fp32 */
    unsigned char    usable[VARIANTS];
    int              row_by_row; /* the fallback: primitives[0] is for one row */
    desc_ref         weights;
    desc_ref         x[VARIANTS], y[VARIANTS];
    dnnl_primitive_t primitives[VARIANTS]; /* [i] for (i + 1) * STEP rows */
    size_t           scratch_bytes;        /* the most that any variant needs */
    desc_ref         scratch;              /* of that size: a plain array of bytes */
} plan;

struct ade_gemm_engine {
    dnnl_engine_t   engine;
    dnnl_stream_t   stream; /* for reorders, under the lock */
    ade_dtype       act;
    pthread_mutex_t lock; /* guards stream and plans */
    plan           *plans;
    int             n_plans;
};

typedef struct packed_panel {
    plan         *plan;
    dnnl_memory_t weights, bias; /* bias NULL in int8 */
} packed_panel;

struct ade_linear {
    ade_gemm_shape   shape;
    ade_gemm_engine *engine;
    packed_panel    *panel;  /* (panels) */
    char            *packed; /* all panels, each in its plan's layout; ours */
    float           *bias, *scales, *sums;
};

typedef struct bound_plan { /* a plan's argument objects for one thread */
    dnnl_memory_t x[VARIANTS], y[VARIANTS], scratch;
} bound_plan;

struct ade_gemm_exec {
    ade_gemm_engine *engine;
    dnnl_stream_t    stream;
    bound_plan      *bound; /* by plan index */
    size_t           n_bound, bound_capacity;
    void            *scratch;
    size_t           scratch_bytes;
};

/* oneDNN's own threads would split a product; per calling thread, so the host program's setting elsewhere stays. */
static int one_thread(void) {
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
#else
    return 1;
#endif
}

static void restore_threads(int before) {
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    omp_set_num_threads(before);
#else
    (void)before;
#endif
}

/* May oneDNN use all of `wanted`? Its levels are sets of bits, each with those below. */
static int may_use(dnnl_cpu_isa_t wanted) {
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)wanted) == (unsigned)wanted;
}

int ade__gemm_has_bf16(void) { return may_use(dnnl_cpu_isa_avx512_core_bf16); }

int ade__gemm_has_int8(void) { return may_use(dnnl_cpu_isa_avx512_core_vnni); }

const char *ade__gemm_isa(void) {
    if (may_use(dnnl_cpu_isa_avx512_core_amx)) return "AMX";
    if (may_use(dnnl_cpu_isa_avx512_core_bf16)) return "AVX-512 BF16";
    if (may_use(dnnl_cpu_isa_avx512_core_vnni)) return "AVX-512 VNNI";
    if (may_use(dnnl_cpu_isa_avx512_core)) return "AVX-512";
    if (may_use(dnnl_cpu_isa_avx2)) return "AVX2";
    if (may_use(dnnl_cpu_isa_avx)) return "AVX";
    return "SSE4.1";
}

/* The limit that oneDNN's own variable sets. */
static ade_isa own_limit(void) {
    static const struct {
        const char *name;
        ade_isa     isa;
    } NAMES[] = {{"SSE41", ADE_ISA_SSE42},        {"AVX", ADE_ISA_SSE42},
                 {"AVX2", ADE_ISA_AVX2},          {"AVX2_VNNI", ADE_ISA_AVX2},
                 {"AVX512_CORE", ADE_ISA_AVX512}, {"AVX512_CORE_VNNI", ADE_ISA_AVX512_VNNI},
                 {"AVX512_CORE_BF16", ADE_ISA_AVX512_BF16}};
    const char *value = getenv("ONEDNN_MAX_CPU_ISA");
    for (size_t i = 0; value && i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcasecmp(value, NAMES[i].name) == 0) return NAMES[i].isa;
    return ADE_ISA_AMX; /* none, or one that we do not know */
}

int ade__gemm_limit(int isa) {
    static const dnnl_cpu_isa_t LIMITS[] = {[ADE_ISA_BASELINE] = dnnl_cpu_isa_sse41,
                                            [ADE_ISA_SSE42] = dnnl_cpu_isa_sse41,
                                            [ADE_ISA_AVX2] = dnnl_cpu_isa_avx2,
                                            [ADE_ISA_AVX512] = dnnl_cpu_isa_avx512_core,
                                            [ADE_ISA_AVX512_VNNI] = dnnl_cpu_isa_avx512_core_vnni,
                                            [ADE_ISA_AVX512_BF16] = dnnl_cpu_isa_avx512_core_bf16,
                                            [ADE_ISA_AMX] = dnnl_cpu_isa_avx512_core_amx};
    if ((int)own_limit() <= isa) return 1; /* the lower one is obeyed, and ours would replace it */
    (void)dnnl_set_max_cpu_isa(LIMITS[isa]);
    return ((unsigned)dnnl_get_effective_cpu_isa() & ~(unsigned)LIMITS[isa]) == 0;
}

int ade__gemm_level(void) {
    if (may_use(dnnl_cpu_isa_avx512_core)) return 4;
    return may_use(dnnl_cpu_isa_avx2) ? 3 : 1;
}

ade_status ade__gemm_engine_new(ade_dtype act, ade_gemm_engine **out) {
    ade_gemm_engine *engine = ade__calloc(1, sizeof *engine);
    if (!engine) return ADE_OUT_OF_MEMORY;
    dnnl_set_verbose(0); /* its messages go to standard output, where a program's data goes */
    dnnl_status_t failed = dnnl_engine_create(&engine->engine, dnnl_cpu, 0);
    if (!failed) failed = dnnl_stream_create(&engine->stream, engine->engine, dnnl_stream_default_flags);
    if (failed) {
        if (engine->engine) dnnl_engine_destroy(engine->engine);
        ade__free(engine);
        return dnnl_failed(failed, "dnnl_engine_create", __LINE__);
    }
    pthread_mutex_init(&engine->lock, NULL);
    engine->act = act;
    *out = engine;
    return ADE_OK;
}

static void plan_free(plan *p) {
    if (!p) return;
    for (int i = 0; i < VARIANTS; i++) {
        if (p->primitives[i]) dnnl_primitive_destroy(p->primitives[i]);
        desc_free(&p->x[i]);
        desc_free(&p->y[i]);
    }
    desc_free(&p->weights);
    desc_free(&p->scratch);
    ade__free(p);
}

void ade__gemm_engine_free(ade_gemm_engine *engine) {
    if (!engine) return;
    while (engine->plans) {
        plan *next = engine->plans->next;
        plan_free(engine->plans);
        engine->plans = next;
    }
    pthread_mutex_destroy(&engine->lock);
    dnnl_stream_destroy(engine->stream);
    dnnl_engine_destroy(engine->engine);
    ade__free(engine);
}

/* One variant: `rows` rows. The first one made chooses the layout of the weights, the others take it. */
static ade_status plan_add(ade_gemm_engine *engine, plan *p, int variant, int32_t rows, int first) {
    dnnl_dims_t            x_dims = {rows, p->k}, w_dims = {p->k, p->n}, b_dims = {1, p->n}, y_dims = {rows, p->n};
    dnnl_dims_t            x_strides = {p->k, 1}, b_strides = {p->n, 1}, y_strides = {p->n, 1};
    desc_ref               bias;
    dnnl_primitive_attr_t  attr = NULL;
    dnnl_primitive_desc_t  pd = NULL;
    dnnl_status_t          failed;
    memset(&bias, 0, sizeof bias);
    failed = desc_strided(&p->x[variant], x_dims, p->x_type, x_strides);
    if (!failed) failed = desc_strided(&p->y[variant], y_dims, p->y_type, y_strides);
    if (!failed) failed = desc_strided(&bias, b_dims, dnnl_f32, b_strides);
    if (!failed && first) failed = desc_any(&p->weights, w_dims, p->w_type);
    if (!failed) failed = dnnl_primitive_attr_create(&attr);
    if (!failed) failed = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!failed) failed = matmul_pd(&pd, engine->engine, &p->x[variant], &p->weights, p->y_type == dnnl_s32 ? NULL : &bias,
                                     &p->y[variant], attr);
    if (!failed && first) {
        desc_free(&p->weights);
        failed = desc_copy(&p->weights, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    }
    if (!failed) {
        size_t need = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
        if (need > p->scratch_bytes) p->scratch_bytes = need;
        failed = dnnl_primitive_create(&p->primitives[variant], pd);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    desc_free(&bias);
    return failed ? dnnl_failed(failed, "a matmul primitive's creation", __LINE__) : ADE_OK;
}

static ade_status memory_new(ade_gemm_engine *engine, const desc_ref *desc, void *data, dnnl_memory_t *out) {
    DNNL_TRY(dnnl_memory_create(out, desc_get(desc), engine->engine, data));
    return ADE_OK;
}

/* Runs one variant outside of any exec. */
static ade_status plan_run(ade_gemm_engine *engine, plan *p, int variant, void *x, void *w, float *b, void *y,
                           void *scratch) {
    dnnl_dims_t   b_dims = {1, p->n}, b_strides = {p->n, 1};
    desc_ref      bias;
    dnnl_memory_t m[5] = {NULL, NULL, NULL, NULL, NULL};
    ade_status    status = ADE_OK;
    memset(&bias, 0, sizeof bias);
    if (desc_strided(&bias, b_dims, dnnl_f32, b_strides)) return ade__fail(ADE_DEVICE, "oneDNN made no descriptor");
    ADE_TRY_GOTO(memory_new(engine, &p->x[variant], x, &m[0]), done);
    ADE_TRY_GOTO(memory_new(engine, &p->weights, w, &m[1]), done);
    ADE_TRY_GOTO(memory_new(engine, &bias, b, &m[2]), done);
    ADE_TRY_GOTO(memory_new(engine, &p->y[variant], y, &m[3]), done);
    ADE_TRY_GOTO(memory_new(engine, &p->scratch, scratch, &m[4]), done);
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, m[0]},
                                   {DNNL_ARG_WEIGHTS, m[1]},
                                   {DNNL_ARG_DST, m[3]},
                                   {DNNL_ARG_SCRATCHPAD, m[4]},
                                   {DNNL_ARG_BIAS, m[2]}};
    dnnl_status_t   failed =
        dnnl_primitive_execute(p->primitives[variant], engine->stream, p->y_type == dnnl_s32 ? 4 : 5, arguments);
    if (failed) status = dnnl_failed(failed, "dnnl_primitive_execute", __LINE__);
done:
    for (int i = 0; i < 5; i++)
        if (m[i]) dnnl_memory_destroy(m[i]);
    desc_free(&bias);
    return status;
}

static size_t type_size(dnnl_data_type_t type) { return type == dnnl_f32 ? 4 : type == dnnl_bf16 ? 2 : 1; }

/* `bytes` of memory full of values; every `period` values the same ones again. */
static void *filled(size_t bytes, dnnl_data_type_t type, size_t period) {
    size_t   size = type_size(type);
    char    *data = ade__aligned_malloc(bytes / 64 + 1, 64);
    uint32_t state = 1;
    if (!data) return NULL;
    for (size_t i = 0; i < bytes / size; i++) {
        if (i % period == 0) state = 12345;
        state = state * 1664525u + 1013904223u;
        float    value = (float)(int32_t)state * 0x1p-31f;
        uint16_t half = ade__bf16_from_f32(value);
        if (type == dnnl_f32) memcpy(data + i * size, &value, size);
        else if (type == dnnl_bf16) memcpy(data + i * size, &half, size);
        else data[i] = (char)(state >> 24);
    }
    return data;
}

/* Fills p->usable: which variants give equal rows for equal rows, and the same as the largest? */
static ade_status plan_check(ade_gemm_engine *engine, plan *p) {
    size_t     w_bytes = dnnl_memory_desc_get_size(desc_get(&p->weights)), y_row = (size_t)p->n * sizeof(float);
    void      *x = filled((size_t)MOST_ROWS * (size_t)p->k * type_size(p->x_type), p->x_type, (size_t)p->k);
    void      *w = filled(w_bytes, p->w_type, SIZE_MAX);
    void      *scratch = ade__aligned_malloc(p->scratch_bytes, 1);
    float     *b = ade__calloc((size_t)p->n, sizeof *b), *y = ade__aligned_malloc(MOST_ROWS, y_row);
    float     *reference = ade__malloc(y_row);
    ade_status status = x && w && scratch && b && y && reference ? ADE_OK : ADE_OUT_OF_MEMORY;
    for (int v = VARIANTS - 1; status == ADE_OK && v >= 0; v--) {
        status = plan_run(engine, p, v, x, w, b, y, scratch);
        if (status == ADE_OK && v == VARIANTS - 1) memcpy(reference, y, y_row);
        p->usable[v] = status == ADE_OK;
        for (size_t r = 0; p->usable[v] && r < (size_t)(v + 1) * STEP; r++)
            p->usable[v] = memcmp(reference, y + r * (size_t)p->n, y_row) == 0;
    }
    ade__aligned_free(x);
    ade__aligned_free(w);
    ade__aligned_free(scratch);
    ade__aligned_free(y);
    ade__free(b);
    ade__free(reference);
    return status;
}

static ade_status plan_build(ade_gemm_engine *engine, plan *p) {
    ADE_TRY(plan_add(engine, p, VARIANTS - 1, MOST_ROWS, 1));
    for (int v = VARIANTS - 2; v >= 0; v--) ADE_TRY(plan_add(engine, p, v, (v + 1) * STEP, 0));
    if (!p->scratch_bytes) p->scratch_bytes = 64; /* a memory object needs some */
    dnnl_dims_t size = {1, (dnnl_dim_t)p->scratch_bytes}, strides = {(dnnl_dim_t)p->scratch_bytes, 1};
    DNNL_TRY(desc_strided(&p->scratch, size, dnnl_u8, strides));
    ADE_TRY(plan_check(engine, p));
    if (p->usable[VARIANTS - 1]) return ADE_OK;
    p->row_by_row = 1;
    dnnl_primitive_destroy(p->primitives[0]);
    p->primitives[0] = NULL;
    desc_free(&p->x[0]);
    desc_free(&p->y[0]);
    size_t before = p->scratch_bytes;
    ADE_TRY(plan_add(engine, p, 0, 1, 0));
    if (p->scratch_bytes > before)
        return ade__fail(ADE_INTERNAL, "oneDNN wants more scratch memory for one row than for many");
    return ADE_OK;
}

/* With the engine's lock held. */
static ade_status plan_get(ade_gemm_engine *engine, int32_t n, int32_t k, ade_dtype type, plan **out) {
    const dnnl_data_type_t x_type = type == ADE_F32 ? dnnl_f32 : type == ADE_BF16 ? dnnl_bf16 : dnnl_u8;
    for (plan *p = engine->plans; p; p = p->next)
        if (p->n == n && p->k == k && p->x_type == x_type) return *out = p, ADE_OK;
    plan *p = ade__calloc(1, sizeof *p);
    if (!p) return ADE_OUT_OF_MEMORY;
    p->n = n;
    p->k = k;
    p->x_type = x_type;
    p->w_type = type == ADE_I8 ? dnnl_s8 : x_type;
    p->y_type = type == ADE_I8 ? dnnl_s32 : dnnl_f32;
    p->index = engine->n_plans;
    ade_status status = plan_build(engine, p);
    if (status != ADE_OK) {
        plan_free(p);
        return status;
    }
    p->next = engine->plans;
    engine->plans = p;
    engine->n_plans++;
    *out = p;
    return ADE_OK;
}

/* ---- Weights ----------------------------------------------------------------------------------------------------- */

/* (columns, K) row-major of type `from` into the plan's layout. */
static ade_status pack(ade_gemm_engine *engine, const packed_panel *panel, const void *weight, dnnl_data_type_t from_type) {
    plan                 *p = panel->plan;
    dnnl_dims_t           dims = {p->k, p->n}, strides = {1, p->k}; /* (N, K) row-major seen as (K, N) */
    desc_ref              plain;
    dnnl_memory_t         from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t      reorder = NULL;
    ade_status            status = ADE_OK;
    void                 *data;
    memset(&plain, 0, sizeof plain);
    memcpy(&data, &weight, sizeof data); /* oneDNN takes no const; a reorder only reads its source */
    dnnl_status_t failed = desc_strided(&plain, dims, from_type, strides);
    if (!failed) failed = dnnl_memory_create(&from, desc_get(&plain), engine->engine, data);
    if (!failed)
        failed = dnnl_reorder_primitive_desc_create(&pd, desc_get(&plain), engine->engine, desc_get(&p->weights),
                                                    engine->engine, NULL);
    if (!failed) failed = dnnl_primitive_create(&reorder, pd);
    if (!failed) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, panel->weights}};
        failed = dnnl_primitive_execute(reorder, engine->stream, 2, arguments);
    }
    if (!failed) failed = dnnl_stream_wait(engine->stream);
    if (failed) status = dnnl_failed(failed, "the reordering of weights", __LINE__);
    if (reorder) dnnl_primitive_destroy(reorder);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (from) dnnl_memory_destroy(from);
    desc_free(&plain);
    return status;
}

/* Rows of fp32 to signed bytes, each row with a scale that makes its largest value 127. */
static void quantize(const float *weight, int32_t rows, int32_t k, int8_t *bytes, float *scales, float *sums) {
    for (int32_t r = 0; r < rows; r++, weight += k, bytes += k) {
        float most = 0;
        for (int32_t i = 0; i < k; i++) most = fmaxf(most, fabsf(weight[i]));
        float inverse = most > 0 ? 127.0f / most : 0;
        int32_t sum = 0;
        for (int32_t i = 0; i < k; i++) {
            float scaled = fminf(fmaxf(nearbyintf(weight[i] * inverse), -127.0f), 127.0f);
            bytes[i] = (int8_t)scaled;
            sum += bytes[i];
        }
        scales[r] = most / 127.0f;
        sums[r] = scales[r] * (float)sum;
    }
}

static ade_status check_range(const ade_linear_desc *desc) {
    if (desc->k > MOST_K_INT8)
        return ade__fail(ADE_UNSUPPORTED, "a matrix product over %d values is too long for int8 (%d at most); use f32",
                         (int)desc->k, MOST_K_INT8);
    for (size_t i = 0; i < (size_t)desc->n * (size_t)desc->k; i++)
        if (!isfinite(desc->weight[i]))
            return ade__fail(ADE_BAD_MODEL, "the weight in row %zu, column %zu of a matrix is not a finite number, which "
                                            "int8 cannot hold; use f32, or take another checkpoint",
                             i / (size_t)desc->k, i % (size_t)desc->k);
    return ADE_OK;
}

/* Whole groups of columns, PANEL or fewer, such that all panels are alike: always where there are groups, else if that
 * leaves no narrow ones. */
static int32_t panel_width(const ade_linear_desc *desc) {
    const int32_t most = desc->n >= WIDE ? 2 * PANEL : PANEL;
    if (desc->exact) return desc->n;
    if (desc->group <= 0) {
        for (int32_t width = most; width >= 64; width -= STEP_COLUMNS)
            if (desc->n % width == 0) return width;
        return desc->n < 64 ? desc->n : 64;
    }
    int32_t width = desc->group;
    for (int32_t more = 2; desc->group * more <= most; more++)
        if ((desc->section ? desc->section : desc->n) % (desc->group * more) == 0) width = desc->group * more;
    return width;
}

static ade_status make_panels(ade_gemm_engine *engine, ade_linear *linear) {
    const ade_gemm_shape *s = &linear->shape;
    size_t                bytes = 0;
    for (int32_t i = 0; i < s->panels; i++) {
        packed_panel *panel = &linear->panel[i];
        ADE_TRY(plan_get(engine, ade__gemm_columns(s, i), s->k, s->type, &panel->plan));
        bytes += (dnnl_memory_desc_get_size(desc_get(&panel->plan->weights)) + 63) / 64 * 64;
    }
    linear->packed = ade__aligned_malloc(bytes, 1);
    if (!linear->packed) return ADE_OUT_OF_MEMORY;
    char *at = linear->packed;
    for (int32_t i = 0; i < s->panels; i++) {
        packed_panel *panel = &linear->panel[i];
        dnnl_dims_t   dims = {1, panel->plan->n}, strides = {panel->plan->n, 1};
        desc_ref      bias;
        memset(&bias, 0, sizeof bias);
        ADE_TRY(memory_new(engine, &panel->plan->weights, at, &panel->weights));
        at += (dnnl_memory_desc_get_size(desc_get(&panel->plan->weights)) + 63) / 64 * 64;
        if (s->type == ADE_I8) continue;
        DNNL_TRY(desc_strided(&bias, dims, dnnl_f32, strides));
        ade_status status = memory_new(engine, &bias, linear->bias + (size_t)i * (size_t)s->width, &panel->bias);
        desc_free(&bias);
        if (status != ADE_OK) return status;
    }
    return ADE_OK;
}

static ade_status pack_all(ade_gemm_engine *engine, ade_linear *linear, const float *weight) {
    const ade_gemm_shape *s = &linear->shape;
    int8_t               *bytes = NULL;
    ade_status            status = ADE_OK;
    if (s->type == ADE_I8) {
        bytes = ade__malloc((size_t)s->width * (size_t)s->k);
        if (!bytes) return ADE_OUT_OF_MEMORY;
    }
    for (int32_t i = 0; i < s->panels && status == ADE_OK; i++) {
        size_t       first = (size_t)i * (size_t)s->width;
        const float *rows = weight + first * (size_t)s->k;
        if (bytes) quantize(rows, ade__gemm_columns(s, i), s->k, bytes, linear->scales + first, linear->sums + first);
        status = bytes ? pack(engine, &linear->panel[i], bytes, dnnl_s8) : pack(engine, &linear->panel[i], rows, dnnl_f32);
    }
    ade__free(bytes);
    return status;
}

ade_status ade__gemm_linear_new(ade_gemm_engine *engine, const ade_linear_desc *desc, ade_linear **out) {
    ade_status      status = ADE_OUT_OF_MEMORY;
    ade_dtype       type = desc->exact ? ADE_F32 : engine->act;
    ade_gemm_shape *s;
    if (type == ADE_I8) ADE_TRY(check_range(desc));
    ade_linear *linear = ade__calloc(1, sizeof *linear);
    if (!linear) return status;
    linear->engine = engine;
    s = &linear->shape;
    s->n = desc->n;
    s->k = desc->k;
    s->type = type;
    s->width = panel_width(desc);
    s->panels = (desc->n + s->width - 1) / s->width;
    linear->panel = ade__calloc((size_t)s->panels, sizeof *linear->panel);
    s->bias = linear->bias = ade__aligned_malloc((size_t)desc->n, sizeof *linear->bias);
    if (type == ADE_I8) {
        s->scales = linear->scales = ade__aligned_malloc((size_t)desc->n, sizeof *linear->scales);
        s->sums = linear->sums = ade__aligned_malloc((size_t)desc->n, sizeof *linear->sums);
    }
    int before = one_thread(); /* a primitive is planned for the number of threads that it is made under */
    pthread_mutex_lock(&engine->lock);
    if (!linear->panel || !linear->bias || (type == ADE_I8 && (!linear->scales || !linear->sums))) goto done;
    if (desc->bias) memcpy(linear->bias, desc->bias, (size_t)desc->n * sizeof(float));
    else memset(linear->bias, 0, (size_t)desc->n * sizeof(float));
    status = make_panels(engine, linear);
    if (status == ADE_OK) status = pack_all(engine, linear, desc->weight);
done:
    pthread_mutex_unlock(&engine->lock);
    restore_threads(before);
    if (status != ADE_OK) {
        ade__gemm_linear_free(linear);
        return status;
    }
    *out = linear;
    return ADE_OK;
}

void ade__gemm_linear_free(ade_linear *linear) {
    if (!linear) return;
    for (int32_t i = 0; linear->panel && i < linear->shape.panels; i++) {
        if (linear->panel[i].weights) dnnl_memory_destroy(linear->panel[i].weights);
        if (linear->panel[i].bias) dnnl_memory_destroy(linear->panel[i].bias);
    }
    ade__free(linear->panel);
    ade__aligned_free(linear->packed);
    ade__aligned_free(linear->bias);
    ade__aligned_free(linear->scales);
    ade__aligned_free(linear->sums);
    ade__free(linear);
}

const ade_gemm_shape *ade__gemm_shape(const ade_linear *linear) { return &linear->shape; }

/* ---- Execution --------------------------------------------------------------------------------------------------- */

ade_status ade__gemm_exec_new(ade_gemm_engine *engine, ade_gemm_exec **out) {
    ade_gemm_exec *exec = ade__calloc(1, sizeof *exec);
    if (!exec) return ADE_OUT_OF_MEMORY;
    exec->engine = engine;
    dnnl_status_t failed = dnnl_stream_create(&exec->stream, engine->engine, dnnl_stream_default_flags);
    if (failed) {
        ade__free(exec);
        return dnnl_failed(failed, "dnnl_stream_create", __LINE__);
    }
    *out = exec;
    return ADE_OK;
}

void ade__gemm_exec_free(ade_gemm_exec *exec) {
    if (!exec) return;
    for (size_t i = 0; i < exec->n_bound; i++) {
        bound_plan *bound = &exec->bound[i];
        for (int v = 0; v < VARIANTS; v++) {
            if (bound->x[v]) dnnl_memory_destroy(bound->x[v]);
            if (bound->y[v]) dnnl_memory_destroy(bound->y[v]);
        }
        if (bound->scratch) dnnl_memory_destroy(bound->scratch);
    }
    dnnl_stream_destroy(exec->stream);
    ade__free(exec->bound);
    ade__aligned_free(exec->scratch);
    ade__free(exec);
}

static ade_status prepare_plan(ade_gemm_exec *exec, plan *p) {
    size_t need = (size_t)p->index + 1, had = exec->n_bound;
    if (ade__reserve(&exec->bound, &exec->bound_capacity, need, sizeof *exec->bound)) return ADE_OUT_OF_MEMORY;
    if (need > had) {
        memset(exec->bound + had, 0, (need - had) * sizeof *exec->bound);
        exec->n_bound = need;
    }
    if (p->scratch_bytes > exec->scratch_bytes) {
        void *scratch = ade__aligned_malloc(p->scratch_bytes, 1);
        if (!scratch) return ADE_OUT_OF_MEMORY;
        ade__aligned_free(exec->scratch);
        exec->scratch = scratch;
        exec->scratch_bytes = p->scratch_bytes;
        for (size_t i = 0; i < exec->n_bound; i++)
            if (exec->bound[i].scratch) DNNL_TRY(dnnl_memory_set_data_handle(exec->bound[i].scratch, scratch));
    }
    bound_plan *bound = &exec->bound[p->index];
    if (bound->scratch) return ADE_OK;
    for (int v = 0; v < VARIANTS; v++) {
        if (!p->primitives[v]) continue;
        if (!bound->x[v]) ADE_TRY(memory_new(exec->engine, &p->x[v], DNNL_MEMORY_NONE, &bound->x[v]));
        if (!bound->y[v]) ADE_TRY(memory_new(exec->engine, &p->y[v], DNNL_MEMORY_NONE, &bound->y[v]));
    }
    return memory_new(exec->engine, &p->scratch, exec->scratch, &bound->scratch);
}

ade_status ade__gemm_exec_prepare(ade_gemm_exec *exec, const ade_linear *linear) {
    ADE_TRY(prepare_plan(exec, linear->panel[0].plan)); /* all but the last are alike */
    return prepare_plan(exec, linear->panel[linear->shape.panels - 1].plan);
}

ade_status ade__gemm_run(ade_gemm_exec *exec, const ade_linear *linear, int32_t panel, const void *x, int32_t m,
                         void *y) {
    const packed_panel *part = &linear->panel[panel];
    plan               *p = part->plan;
    bound_plan         *bound = &exec->bound[p->index];
    size_t              x_row = (size_t)p->k * type_size(p->x_type), y_row = (size_t)p->n * sizeof(float);
    const char         *from = x;
    char               *to = y;
    int                 variant = p->row_by_row ? 0 : (m + STEP - 1) / STEP - 1;
    if (!p->row_by_row)
        while (!p->usable[variant]) variant++; /* the largest is usable */
    one_thread();
    for (int32_t done = 0; done < (p->row_by_row ? m : 1); done++, from += x_row, to += y_row) {
        void *x_block;
        memcpy(&x_block, &from, sizeof x_block); /* oneDNN takes no const */
        DNNL_TRY(dnnl_memory_set_data_handle(bound->x[variant], x_block));
        DNNL_TRY(dnnl_memory_set_data_handle(bound->y[variant], to));
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, bound->x[variant]},
                                       {DNNL_ARG_WEIGHTS, part->weights},
                                       {DNNL_ARG_DST, bound->y[variant]},
                                       {DNNL_ARG_SCRATCHPAD, bound->scratch},
                                       {DNNL_ARG_BIAS, part->bias}};
        DNNL_TRY(dnnl_primitive_execute(p->primitives[variant], exec->stream, part->bias ? 5 : 4, arguments));
    }
    return ADE_OK;
}
