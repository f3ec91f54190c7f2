/* SPDX-License-Identifier: Apache-2.0
 * Y = X W^T + b by oneDNN's matmul primitive, one thread a call (the workers are ours: each multiplies its own batch in
 * its own cache, and the sums over K never depend on the number of threads).
 *
 * Rows. A primitive is made for each multiple of 16 rows up to 128 and used for exactly that many; a batch is cut into
 * blocks of 128 and one smaller block, rounded up to 16 (the rows beyond are computed and ignored). 128 rows already
 * run at the speed of large matrices, and their activations stay in the second-level cache.
 *
 * Same bits whatever the batch. Each plan is checked once when it is made: with all rows of X equal, all rows of Y must
 * be equal to the bit, in every number of rows. A number of rows for which oneDNN sums over K in another order, be it in
 * some rows alone, is not used; a larger one takes its place. (All of its AVX-512 products have been seen to pass; on
 * AVX2 those of 32 rows do not.) Should the largest fail, a plan goes one row at a time, which cannot depend on anything.
 *
 * oneDNN 2.6 and 3.x differ in how descriptors are made; the few lines that know are together below. */
#include "gemm_cpu.h"

#include "alloc.h"
#include "fp16.h"
#include "status.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <string.h>
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

#define STEP 16
#define MOST_ROWS 128
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
    return dnnl_matmul_primitive_desc_create(pd, engine, *x, *w, *b, *y, attr);
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

typedef struct plan { /* all matrices of one size share it */
    struct plan     *next;
    int              index; /* its place in every exec's table */
    int32_t          n, k;
    dnnl_data_type_t type;  /* of X and W; Y and b are fp32 */
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

struct ade_linear {
    ade_gemm_engine *engine;
    plan            *plan;
    void            *packed;  /* weights in the plan's layout; ours */
    float           *bias_data;
    dnnl_memory_t    weights, bias;
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

int ade__gemm_has_bf16(void) {
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)dnnl_cpu_isa_avx512_core_bf16) ==
           (unsigned)dnnl_cpu_isa_avx512_core_bf16;
}

const char *ade__gemm_isa(void) {
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
#define HAS(which) ((isa & (unsigned)(which)) == (unsigned)(which))
    if (HAS(dnnl_cpu_isa_avx512_core_amx)) return "AMX";
    if (HAS(dnnl_cpu_isa_avx512_core_bf16)) return "AVX-512 BF16";
    if (HAS(dnnl_cpu_isa_avx512_core)) return "AVX-512";
    if (HAS(dnnl_cpu_isa_avx2)) return "AVX2";
    if (HAS(dnnl_cpu_isa_avx)) return "AVX";
    return "SSE4.1";
#undef HAS
}

int ade__gemm_level(void) {
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    if ((isa & (unsigned)dnnl_cpu_isa_avx512_core) == (unsigned)dnnl_cpu_isa_avx512_core) return 4;
    return (isa & (unsigned)dnnl_cpu_isa_avx2) == (unsigned)dnnl_cpu_isa_avx2 ? 3 : 1;
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
    const dnnl_data_type_t f32 = dnnl_f32;
    memset(&bias, 0, sizeof bias);
    failed = desc_strided(&p->x[variant], x_dims, p->type, x_strides);
    if (!failed) failed = desc_strided(&p->y[variant], y_dims, f32, y_strides);
    if (!failed) failed = desc_strided(&bias, b_dims, f32, b_strides);
    if (!failed && first) failed = desc_any(&p->weights, w_dims, p->type);
    if (!failed) failed = dnnl_primitive_attr_create(&attr);
    if (!failed) failed = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!failed) failed = matmul_pd(&pd, engine->engine, &p->x[variant], &p->weights, &bias, &p->y[variant], attr);
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
                                   {DNNL_ARG_BIAS, m[2]},
                                   {DNNL_ARG_DST, m[3]},
                                   {DNNL_ARG_SCRATCHPAD, m[4]}};
    dnnl_status_t   failed = dnnl_primitive_execute(p->primitives[variant], engine->stream, 5, arguments);
    if (failed) status = dnnl_failed(failed, "dnnl_primitive_execute", __LINE__);
done:
    for (int i = 0; i < 5; i++)
        if (m[i]) dnnl_memory_destroy(m[i]);
    desc_free(&bias);
    return status;
}

static void *filled(size_t count, dnnl_data_type_t type, size_t period) {
    void    *data = ade__aligned_malloc(count, sizeof(float));
    uint32_t state = 1;
    if (!data) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (i % period == 0) state = 12345; /* every row the same */
        state = state * 1664525u + 1013904223u;
        float value = (float)(int32_t)state * 0x1p-31f;
        if (type == dnnl_bf16) ((uint16_t *)data)[i] = ade__bf16_from_f32(value);
        else ((float *)data)[i] = value;
    }
    return data;
}

/* Fills p->usable: which variants give equal rows for equal rows, and the same as the largest? */
static ade_status plan_check(ade_gemm_engine *engine, plan *p) {
    size_t     w_bytes = dnnl_memory_desc_get_size(desc_get(&p->weights)), y_row = (size_t)p->n * sizeof(float);
    void      *x = filled((size_t)MOST_ROWS * (size_t)p->k, p->type, (size_t)p->k);
    void      *w = filled(w_bytes / sizeof(float) + 1, p->type, SIZE_MAX);
    void      *scratch = ade__aligned_malloc(p->scratch_bytes, 1);
    float     *b = ade__calloc((size_t)p->n, sizeof *b), *y = ade__aligned_malloc(MOST_ROWS, y_row);
    float     *reference = ade__malloc(y_row);
    ade_status status = x && w && scratch && b && y && reference ? ADE_OK : ADE_OUT_OF_MEMORY;
    /* As many values as the packed layout holds; bf16 needs the upper half filled as well. */
    if (status == ADE_OK && p->type == dnnl_bf16 && w_bytes > 2 * (w_bytes / sizeof(float) + 1))
        memcpy((char *)w + w_bytes / 2, w, w_bytes - w_bytes / 2);
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
static ade_status plan_get(ade_gemm_engine *engine, int32_t n, int32_t k, dnnl_data_type_t type, plan **out) {
    for (plan *p = engine->plans; p; p = p->next)
        if (p->n == n && p->k == k && p->type == type) return *out = p, ADE_OK;
    plan *p = ade__calloc(1, sizeof *p);
    if (!p) return ADE_OUT_OF_MEMORY;
    p->n = n;
    p->k = k;
    p->type = type;
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

static ade_status pack(ade_gemm_engine *engine, ade_linear *linear, const float *weight) {
    plan                 *p = linear->plan;
    dnnl_dims_t           dims = {p->k, p->n}, strides = {1, p->k}; /* (N, K) row-major seen as (K, N) */
    desc_ref              plain;
    dnnl_memory_t         from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t      reorder = NULL;
    ade_status            status = ADE_OK;
    void                 *data;
    memset(&plain, 0, sizeof plain);
    memcpy(&data, &weight, sizeof data); /* oneDNN takes no const; a reorder only reads its source */
    dnnl_status_t failed = desc_strided(&plain, dims, dnnl_f32, strides);
    if (!failed) failed = dnnl_memory_create(&from, desc_get(&plain), engine->engine, data);
    if (!failed)
        failed = dnnl_reorder_primitive_desc_create(&pd, desc_get(&plain), engine->engine, desc_get(&p->weights),
                                                    engine->engine, NULL);
    if (!failed) failed = dnnl_primitive_create(&reorder, pd);
    if (!failed) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, linear->weights}};
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

ade_status ade__gemm_linear_new(ade_gemm_engine *engine, const ade_linear_desc *desc, ade_linear **out) {
    dnnl_data_type_t type = desc->exact || engine->act == ADE_F32 ? dnnl_f32 : dnnl_bf16;
    dnnl_dims_t      b_dims = {1, desc->n}, b_strides = {desc->n, 1};
    desc_ref         bias;
    ade_status       status = ADE_OUT_OF_MEMORY;
    ade_linear      *linear = ade__calloc(1, sizeof *linear);
    if (!linear) return status;
    memset(&bias, 0, sizeof bias);
    linear->engine = engine;
    int before = one_thread(); /* a primitive is planned for the number of threads that it is made under */
    pthread_mutex_lock(&engine->lock);
    ADE_TRY_GOTO(plan_get(engine, desc->n, desc->k, type, &linear->plan), done);
    status = ADE_OUT_OF_MEMORY;
    linear->packed = ade__aligned_malloc(dnnl_memory_desc_get_size(desc_get(&linear->plan->weights)), 1);
    linear->bias_data = ade__aligned_malloc((size_t)desc->n, sizeof(float));
    if (!linear->packed || !linear->bias_data) goto done;
    if (desc->bias) memcpy(linear->bias_data, desc->bias, (size_t)desc->n * sizeof(float));
    else memset(linear->bias_data, 0, (size_t)desc->n * sizeof(float));
    ADE_TRY_GOTO(memory_new(engine, &linear->plan->weights, linear->packed, &linear->weights), done);
    if (desc_strided(&bias, b_dims, dnnl_f32, b_strides)) {
        status = ade__fail(ADE_DEVICE, "oneDNN made no descriptor for a bias");
        goto done;
    }
    ADE_TRY_GOTO(memory_new(engine, &bias, linear->bias_data, &linear->bias), done);
    status = pack(engine, linear, desc->weight);
done:
    pthread_mutex_unlock(&engine->lock);
    restore_threads(before);
    desc_free(&bias);
    if (status != ADE_OK) {
        ade__gemm_linear_free(linear);
        return status;
    }
    *out = linear;
    return ADE_OK;
}

void ade__gemm_linear_free(ade_linear *linear) {
    if (!linear) return;
    if (linear->weights) dnnl_memory_destroy(linear->weights);
    if (linear->bias) dnnl_memory_destroy(linear->bias);
    ade__aligned_free(linear->packed);
    ade__aligned_free(linear->bias_data);
    ade__free(linear);
}

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

ade_status ade__gemm_exec_prepare(ade_gemm_exec *exec, const ade_linear *linear) {
    plan  *p = linear->plan;
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
        ADE_TRY(memory_new(exec->engine, &p->x[v], DNNL_MEMORY_NONE, &bound->x[v]));
        ADE_TRY(memory_new(exec->engine, &p->y[v], DNNL_MEMORY_NONE, &bound->y[v]));
    }
    return memory_new(exec->engine, &p->scratch, exec->scratch, &bound->scratch);
}

ade_status ade__gemm_run(ade_gemm_exec *exec, const ade_linear_args *args) {
    const ade_linear *linear = args->linear;
    plan             *p = linear->plan;
    bound_plan       *bound = &exec->bound[p->index];
    size_t            x_row = (size_t)p->k * (p->type == dnnl_bf16 ? 2 : 4), y_row = (size_t)p->n * sizeof(float);
    const char       *x = args->x;
    char             *y = args->y;
    one_thread();
    for (int32_t done = 0; done < args->m;) {
        int32_t rows = 1;
        int     variant = 0;
        if (!p->row_by_row) {
            variant = args->m - done < MOST_ROWS ? (args->m - done + STEP - 1) / STEP - 1 : VARIANTS - 1;
            while (!p->usable[variant]) variant++; /* the largest is usable */
            rows = (variant + 1) * STEP;
        }
        void *x_block;
        const char *from = x + (size_t)done * x_row;
        memcpy(&x_block, &from, sizeof x_block); /* oneDNN takes no const */
        DNNL_TRY(dnnl_memory_set_data_handle(bound->x[variant], x_block));
        DNNL_TRY(dnnl_memory_set_data_handle(bound->y[variant], y + (size_t)done * y_row));
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, bound->x[variant]},
                                       {DNNL_ARG_WEIGHTS, linear->weights},
                                       {DNNL_ARG_BIAS, linear->bias},
                                       {DNNL_ARG_DST, bound->y[variant]},
                                       {DNNL_ARG_SCRATCHPAD, bound->scratch}};
        DNNL_TRY(dnnl_primitive_execute(p->primitives[variant], exec->stream, 5, arguments));
        done += rows;
    }
    return ADE_OK;
}
