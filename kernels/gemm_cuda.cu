/* SPDX-License-Identifier: Apache-2.0
 * Y = X W^T + b: X (M, K), W (N, K), Y (M, N), all row-major. cuBLASLt counts in columns, so a row-major matrix is its
 * transpose there: D = A^T B with A = W as K x N, B = X as K x M, D = Y as N x M. Both factors then run along K in
 * memory, the form that tensor cores like best, and the bias belongs to D's rows, as the BIAS epilogue wants it.
 *
 * Types. f16 in and out, fp32 sums; the bias is f16 then, too (cuBLASLt wants the type of D), added to the fp32 sum.
 * `exact` products are fp32 throughout, without TF32.
 *
 * Same bits whatever the batch. All matrices of one size, type and kind share a plan, which is made once and has ONE
 * algorithm: of cuBLASLt's proposals for the usual number of rows, then for few, the first that does not split K and
 * that takes every number of rows; those without workspace first. M is always a multiple of 128 (ADE_ROW_PAD rows are
 * there to be computed and ignored), and the tile, the order over K and the instructions are the algorithm's, so a
 * row's sum does not depend on where it lies or with how many.
 *
 * Rate. 2 M N K operations; bytes 2 (M K + N K + M N), so bound by tensor cores: target 75 % of the device's dense f16
 * rate at the standard number of rows, which fills whole waves of 128 x 256 tiles.
 *
 * In the steady state `run` allocates nothing and makes no descriptor: the layouts of every padded M are made by
 * `prepare`. */
#include "gemm_cuda.cuh"
#include "cublaslt_cuda.cuh"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROWS = ADE_ROW_PAD, /* M is a multiple of this */
    PROPOSALS = 32,     /* asked of cuBLASLt, the fastest first */
    TOKENS_A_TEXT = 32, /* on average (MEDLINE's sentences): a product with a row per text has so many fewer */
    ALIGNMENT = 16      /* of X and Y (ops.h); matrices of our own start at 256 */
};

/* Weights converted at a time: 512 KiB, which stay in the cache until they are copied. */
static const size_t STAGED = 1 << 18;

/* What cuBLASLt's manual recommends: 32 MiB from Hopper on, 4 MiB before. */
static size_t workspace_for(int major) { return static_cast<size_t>(major >= 9 ? 32 : 4) << 20; }

typedef struct gemm_plan { /* all matrices of one size, type and kind share it; immutable once made */
    struct gemm_plan      *next;
    int                    index; /* its place in every exec's table */
    int32_t                n, k;
    int                    exact, with_bias, per_text;
    cublasLtMatrixLayout_t weights; /* K x N */
    cublasLtMatmulAlgo_t   algo;
} gemm_plan;

struct ade_cuda_gemm {
    const ade_cublaslt *lt;
    cublasLtHandle_t    handle;
    int                 device;
    pid_t               owner; /* the process that has the device's context */
    int32_t             rows;
    size_t              workspace_bytes;
    pthread_mutex_t     lock; /* guards the two below */
    gemm_plan          *plans;
    int                 n_plans;
};

struct ade_linear {
    ade_cuda_gemm       *gemm;
    const gemm_plan     *plan;
    cublasLtMatmulDesc_t operation; /* with this matrix's bias */
    void                *weights;   /* device, (N, K), f16; fp32 if exact */
    void                *bias;      /* device, (N), of the same type; NULL = none */
};

typedef struct bound_plan { /* a plan's layouts for one exec: [i] is for (i + 1) * ROWS rows */
    cublasLtMatrixLayout_t *x, *y;
    int32_t                 count;
} bound_plan;

struct ade_cuda_gemm_exec {
    ade_cuda_gemm *gemm;
    void          *workspace; /* device */
    bound_plan    *bound;     /* by plan index */
    int            n_bound;
};

#define NAME(member, name) [[maybe_unused]] static const char name_of_##member[] = #name;
ADE_CUBLASLT_MAP(NAME)
#undef NAME

/* Calls a function of cuBLASLt by its member's name. */
#define LT_TRY(lt, member, ...)                                                                                        \
    do {                                                                                                               \
        const cublasStatus_t lt_status = (lt)->member(__VA_ARGS__);                                                    \
        if (lt_status != CUBLAS_STATUS_SUCCESS)                                                                        \
            return ade__cublaslt_fail(lt, lt_status, name_of_##member, __FILE__, __LINE__);                            \
    } while (0)

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const ade_status try_status = (call);                                                                          \
        if (try_status != ADE_OK) return try_status;                                                                   \
    } while (0)

static ade_status no_host_memory(size_t bytes) {
    return ade__cuda_report(ADE_OUT_OF_MEMORY, "out of memory: %zu bytes", bytes);
}

static cudaDataType_t type_of(int exact) { return exact ? CUDA_R_32F : CUDA_R_16F; }
static size_t         size_of(int exact) { return exact ? sizeof(float) : sizeof(__half); }

ade_status ade__cuda_gemm_probe(void) {
    const ade_cublaslt *lt = nullptr;
    return ade__cublaslt_open(&lt);
}

const char *ade__cuda_gemm_version(const ade_cuda_gemm *gemm) { return gemm->lt->version; }

/* ---- Plans ------------------------------------------------------------------------------------------------------- */

/* `columns` columns of `rows` values without gaps. NULL where it fails, as all that is made here. */
static ade_status layout_new(const ade_cublaslt *lt, int exact, int32_t rows, int32_t columns,
                             cublasLtMatrixLayout_t *out) {
    cublasLtMatrixLayout_t made = nullptr;
    *out = nullptr;
    LT_TRY(lt, layout_create, &made, type_of(exact), static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows);
    *out = made;
    return ADE_OK;
}

static ade_status operation_new(const ade_cublaslt *lt, int exact, const void *bias, cublasLtMatmulDesc_t *out) {
    const cublasOperation_t transposed = CUBLAS_OP_T, plain = CUBLAS_OP_N;
    cublasLtMatmulDesc_t    made = nullptr;
    LT_TRY(lt, desc_create, &made, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    *out = made;
    LT_TRY(lt, desc_set, *out, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    LT_TRY(lt, desc_set, *out, CUBLASLT_MATMUL_DESC_TRANSB, &plain, sizeof plain);
    if (bias) {
        const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        const int32_t            type = type_of(exact);
        LT_TRY(lt, desc_set, *out, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
        LT_TRY(lt, desc_set, *out, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type);
        LT_TRY(lt, desc_set, *out, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    }
    return ADE_OK;
}

/* The alignment that every row of a matrix has whose first row starts at a multiple of `start` bytes. */
static uint32_t alignment_of(size_t row_bytes, uint32_t start) {
    uint32_t alignment = start;
    while (row_bytes % alignment) alignment /= 2;
    return alignment;
}

static ade_status preference_fill(const ade_cuda_gemm *gemm, const gemm_plan *p,
                                  cublasLtMatmulPreference_t preference) {
    const ade_cublaslt *lt = gemm->lt;
    const uint64_t      workspace = gemm->workspace_bytes;
    const uint32_t      no_split = CUBLASLT_REDUCTION_SCHEME_NONE;
    const uint32_t      a = alignment_of(static_cast<size_t>(p->k) * size_of(p->exact), 256);
    const uint32_t      b = alignment_of(static_cast<size_t>(p->k) * size_of(p->exact), ALIGNMENT);
    const uint32_t      d = alignment_of(static_cast<size_t>(p->n) * size_of(p->exact), ALIGNMENT);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_split, sizeof no_split);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &a, sizeof a);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &b, sizeof b);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &d, sizeof d);
    LT_TRY(lt, preference_set, preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &d, sizeof d);
    return ADE_OK;
}

/* The sum over K in one piece? */
static bool is_whole(const ade_cublaslt *lt, const cublasLtMatmulAlgo_t *algo) {
    int32_t  splits = 0;
    uint32_t scheme = 0;
    size_t   written = 0;
    return lt->algo_config(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits, &written) ==
               CUBLAS_STATUS_SUCCESS &&
           lt->algo_config(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &written) ==
               CUBLAS_STATUS_SUCCESS &&
           (splits == 0 || splits == 1) && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

static bool takes(const ade_cuda_gemm *gemm, cublasLtMatmulDesc_t operation, const gemm_plan *p,
                  cublasLtMatrixLayout_t x, cublasLtMatrixLayout_t y, const cublasLtMatmulAlgo_t *algo) {
    cublasLtMatmulHeuristicResult_t result = {};
    return gemm->lt->algo_check(gemm->handle, operation, p->weights, x, y, y, algo, &result) == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= gemm->workspace_bytes;
}

static void bound_free(const ade_cublaslt *lt, bound_plan *bound) {
    for (int32_t i = 0; i < bound->count; i++) {
        if (bound->x[i]) lt->layout_destroy(bound->x[i]);
        if (bound->y[i]) lt->layout_destroy(bound->y[i]);
    }
    free(bound->x);
    free(bound->y);
    *bound = {};
}

/* Layouts of X and Y for every multiple of ROWS up to max_rows; what is there already stays. */
static ade_status bound_grow(const ade_cublaslt *lt, const gemm_plan *p, int32_t max_rows, bound_plan *bound) {
    const int32_t need = max_rows / ROWS + (max_rows % ROWS != 0);
    const size_t  bytes = static_cast<size_t>(need) * sizeof(cublasLtMatrixLayout_t);
    if (need <= bound->count) return ADE_OK;
    void *x = realloc(bound->x, bytes);
    if (x) bound->x = static_cast<cublasLtMatrixLayout_t *>(x);
    void *y = x ? realloc(bound->y, bytes) : nullptr;
    if (y) bound->y = static_cast<cublasLtMatrixLayout_t *>(y);
    if (!x || !y) return no_host_memory(bytes);
    while (bound->count < need) {
        const int32_t i = bound->count, rows = (i + 1) * ROWS;
        bound->x[i] = bound->y[i] = nullptr;
        bound->count++;
        TRY(layout_new(lt, p->exact, p->k, rows, &bound->x[i]));
        TRY(layout_new(lt, p->exact, p->n, rows, &bound->y[i]));
    }
    return ADE_OK;
}

/* cuBLASLt's proposals for one number of rows, the fastest first; appended. */
static ade_status propose(const ade_cuda_gemm *gemm, cublasLtMatmulDesc_t operation, const bound_plan *all, int32_t at,
                          const gemm_plan *p, cublasLtMatmulPreference_t preference,
                          cublasLtMatmulHeuristicResult_t *proposals, int *count) {
    int                  found = 0;
    const cublasStatus_t status = gemm->lt->heuristic(gemm->handle, operation, p->weights, all->x[at], all->y[at],
                                                      all->y[at], preference, PROPOSALS, proposals + *count, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return ADE_OK;
    if (status != CUBLAS_STATUS_SUCCESS)
        return ade__cublaslt_fail(gemm->lt, status, name_of_heuristic, __FILE__, __LINE__);
    *count += found;
    return ADE_OK;
}

/* Chooses p->algo. `operation` is any of the plan's: bias vectors are all aligned alike.
 * Asked for the usual number of rows first, for few rows second: an algorithm that is meant for many may refuse few,
 * and one for few takes any number. One that needs no workspace is preferred: partial sums that were to be joined in an
 * order of their own would have to lie there. */
static ade_status choose(const ade_cuda_gemm *gemm, cublasLtMatmulDesc_t operation, const bound_plan *all,
                         gemm_plan *p) {
    const ade_cublaslt             *lt = gemm->lt;
    cublasLtMatmulHeuristicResult_t proposals[2 * PROPOSALS];
    cublasLtMatmulPreference_t      preference = nullptr;
    int                             count = 0, split = 0, refused = 0;
    const int32_t                   usual = p->per_text ? (all->count - 1) / TOKENS_A_TEXT : all->count - 1;
    LT_TRY(lt, preference_create, &preference);
    ade_status status = preference_fill(gemm, p, preference);
    if (status == ADE_OK) status = propose(gemm, operation, all, usual, p, preference, proposals, &count);
    if (status == ADE_OK && usual > 0) status = propose(gemm, operation, all, 0, p, preference, proposals, &count);
    lt->preference_destroy(preference);
    TRY(status);
    for (int with_workspace = 0; with_workspace < 2; with_workspace++)
        for (int i = 0; i < count; i++) {
            const cublasLtMatmulAlgo_t *algo = &proposals[i].algo;
            int32_t                     taken = 0;
            if (proposals[i].state != CUBLAS_STATUS_SUCCESS || (proposals[i].workspaceSize > 0) != with_workspace)
                continue;
            if (!is_whole(lt, algo)) {
                split++;
                continue;
            }
            while (taken < all->count && takes(gemm, operation, p, all->x[taken], all->y[taken], algo)) taken++;
            if (taken < all->count) {
                refused++;
                continue;
            }
            p->algo = *algo;
            return ADE_OK;
        }
    return ade__cuda_report(
        ADE_UNSUPPORTED,
        "cuBLASLt %s has no algorithm on this GPU for %s products with a %d x %d matrix that gives the "
        "same bits in any batch (of %d proposals %d split their sums, and %d do not take every number of "
        "rows up to %d); use device cpu",
        lt->version, p->exact ? "fp32" : "f16", static_cast<int>(p->n), static_cast<int>(p->k), count, split, refused,
        static_cast<int>(all->count * ROWS));
}

static void plan_free(const ade_cublaslt *lt, gemm_plan *p) {
    if (p->weights) lt->layout_destroy(p->weights);
    free(p);
}

static ade_status plan_fill(const ade_cuda_gemm *gemm, cublasLtMatmulDesc_t operation, gemm_plan *p) {
    bound_plan all = {};
    TRY(layout_new(gemm->lt, p->exact, p->k, p->n, &p->weights));
    ade_status status = bound_grow(gemm->lt, p, gemm->rows, &all);
    if (status == ADE_OK) status = choose(gemm, operation, &all, p);
    bound_free(gemm->lt, &all);
    return status;
}

static ade_status plan_get_locked(ade_cuda_gemm *gemm, const gemm_plan *like, cublasLtMatmulDesc_t operation,
                                  const gemm_plan **out) {
    for (gemm_plan *p = gemm->plans; p; p = p->next)
        if (p->n == like->n && p->k == like->k && p->exact == like->exact && p->with_bias == like->with_bias &&
            p->per_text == like->per_text) {
            *out = p;
            return ADE_OK;
        }
    gemm_plan *p = static_cast<gemm_plan *>(malloc(sizeof *p));
    if (!p) return no_host_memory(sizeof *p);
    *p = *like;
    const ade_status status = plan_fill(gemm, operation, p);
    if (status != ADE_OK) {
        plan_free(gemm->lt, p);
        return status;
    }
    p->index = gemm->n_plans++;
    p->next = gemm->plans;
    gemm->plans = p;
    *out = p;
    return ADE_OK;
}

ade_status ade__cuda_gemm_new(int device, int major, int32_t rows, ade_cuda_gemm **out) {
    const ade_cublaslt *lt = nullptr;
    TRY(ade__cublaslt_open(&lt));
    ade_cuda_gemm *gemm = static_cast<ade_cuda_gemm *>(calloc(1, sizeof *gemm));
    if (!gemm) return no_host_memory(sizeof *gemm);
    gemm->lt = lt;
    gemm->device = device;
    gemm->owner = getpid();
    gemm->rows = rows;
    gemm->workspace_bytes = workspace_for(major);
    const cublasStatus_t made = lt->create(&gemm->handle);
    if (made != CUBLAS_STATUS_SUCCESS) {
        free(gemm);
        return ade__cublaslt_fail(lt, made, name_of_create, __FILE__, __LINE__);
    }
    pthread_mutex_init(&gemm->lock, nullptr);
    *out = gemm;
    return ADE_OK;
}

void ade__cuda_gemm_free(ade_cuda_gemm *gemm) {
    if (!gemm) return;
    while (gemm->plans) {
        gemm_plan *next = gemm->plans->next;
        plan_free(gemm->lt, gemm->plans);
        gemm->plans = next;
    }
    pthread_mutex_destroy(&gemm->lock);
    gemm->lt->destroy(gemm->handle);
    free(gemm);
}

/* ---- Matrices ---------------------------------------------------------------------------------------------------- */

/* Round to nearest even of a value below 65520. Without branches, so that the compiler's vectors do it: cuda_fp16.h's
 * takes half a second for BERT-base. */
static inline uint16_t f16_of(float value) {
    uint32_t bits, small;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    float shifted; /* below 2^-14 the sum with 1/2 leaves what f16 keeps, rounded, in the lowest bits */
    memcpy(&shifted, &bits, sizeof shifted);
    shifted += 0.5f;
    memcpy(&small, &shifted, sizeof small);
    small -= 0x3f000000u;
    const uint32_t normal = (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1u)) >> 13;
    return static_cast<uint16_t>(sign | (bits < 0x38800000u ? small : normal));
}

/* How many of the first values f16 can hold. */
static size_t in_range(const float *values, size_t count) {
    int bad = 0;
    for (size_t i = 0; i < count; i++) bad |= !(fabsf(values[i]) < 65520.0f); /* so that NaN is bad, too */
    if (!bad) return count;
    size_t i = 0;
    while (fabsf(values[i]) < 65520.0f) i++;
    return i;
}

/* Copies a (rows, columns) matrix as f16. */
static ade_status upload_f16(void *device, const float *host, int32_t rows, int32_t columns, const char *what) {
    const size_t count = static_cast<size_t>(rows) * static_cast<size_t>(columns);
    const size_t most = count < STAGED ? count : STAGED;
    uint16_t    *staged = static_cast<uint16_t *>(malloc(most * sizeof *staged));
    cudaError_t  failed = cudaSuccess;
    if (!staged) return no_host_memory(most * sizeof *staged);
    for (size_t done = 0; done < count && failed == cudaSuccess; done += most) {
        const size_t part = count - done < most ? count - done : most, good = in_range(host + done, part);
        if (good < part) {
            free(staged);
            return ade__cuda_report(
                ADE_UNSUPPORTED,
                "the %s of a %d x %d matrix holds the value %g at index %zu, beyond the range of f16, in "
                "which a GPU computes; use device cpu",
                what, static_cast<int>(rows), static_cast<int>(columns), static_cast<double>(host[done + good]),
                done + good);
        }
        for (size_t i = 0; i < part; i++) staged[i] = f16_of(host[done + i]);
        failed =
            cudaMemcpy(static_cast<uint16_t *>(device) + done, staged, part * sizeof *staged, cudaMemcpyHostToDevice);
    }
    free(staged);
    return failed == cudaSuccess ? ADE_OK : ade__cuda_fail(failed, "cudaMemcpy", __FILE__, __LINE__);
}

/* A (rows, columns) matrix in memory of its own on the device. */
static ade_status put(const ade_cuda_gemm *gemm, int exact, const float *host, int32_t rows, int32_t columns,
                      const char *what, void **out) {
    const size_t bytes = static_cast<size_t>(rows) * static_cast<size_t>(columns) * size_of(exact);
    TRY(ade__cuda_malloc(gemm->device, bytes, out));
    if (exact)
        ADE_CUDA_TRY(cudaMemcpy(*out, host, bytes, cudaMemcpyHostToDevice));
    else
        TRY(upload_f16(*out, host, rows, columns, what));
    ADE_CUDA_TRY(cudaStreamSynchronize(nullptr)); /* cudaMemcpy may return once the values are staged */
    return ADE_OK;
}

static ade_status linear_fill(ade_linear *linear, const ade_linear_desc *desc) {
    ade_cuda_gemm *gemm = linear->gemm;
    gemm_plan      like = {};
    like.n = desc->n;
    like.k = desc->k;
    like.exact = desc->exact != 0;
    like.with_bias = desc->bias != nullptr;
    like.per_text = desc->per_text != 0;
    TRY(put(gemm, like.exact, desc->weight, desc->n, desc->k, "weight", &linear->weights));
    if (desc->bias) TRY(put(gemm, like.exact, desc->bias, 1, desc->n, "bias", &linear->bias));
    TRY(operation_new(gemm->lt, like.exact, linear->bias, &linear->operation));
    pthread_mutex_lock(&gemm->lock);
    const ade_status status = plan_get_locked(gemm, &like, linear->operation, &linear->plan);
    pthread_mutex_unlock(&gemm->lock);
    return status;
}

ade_status ade__cuda_linear_new(ade_cuda_gemm *gemm, const ade_linear_desc *desc, ade_linear **out) {
    if (desc->n <= 0 || desc->k <= 0)
        return ade__cuda_report(ADE_INTERNAL, "a matrix of %d x %d came to the GPU", static_cast<int>(desc->n),
                                static_cast<int>(desc->k));
    ade_linear *linear = static_cast<ade_linear *>(calloc(1, sizeof *linear));
    if (!linear) return no_host_memory(sizeof *linear);
    linear->gemm = gemm;
    const ade_status status = linear_fill(linear, desc);
    if (status != ADE_OK) {
        ade__cuda_linear_free(linear);
        return status;
    }
    *out = linear;
    return ADE_OK;
}

void ade__cuda_linear_free(ade_linear *linear) {
    if (!linear) return;
    if (linear->gemm->owner != getpid()) { /* a child of fork() must not touch the parent's device */
        free(linear);
        return;
    }
    cudaSetDevice(linear->gemm->device);
    if (linear->operation) linear->gemm->lt->desc_destroy(linear->operation);
    cudaFree(linear->weights);
    cudaFree(linear->bias);
    cudaGetLastError(); /* after a fault all of these fail; nothing of that may meet the next call */
    free(linear);
}

/* ---- Execution --------------------------------------------------------------------------------------------------- */

ade_status ade__cuda_gemm_exec_new(ade_cuda_gemm *gemm, ade_cuda_gemm_exec **out) {
    ade_cuda_gemm_exec *exec = static_cast<ade_cuda_gemm_exec *>(calloc(1, sizeof *exec));
    if (!exec) return no_host_memory(sizeof *exec);
    exec->gemm = gemm;
    const ade_status status = ade__cuda_malloc(gemm->device, gemm->workspace_bytes, &exec->workspace);
    if (status != ADE_OK) {
        free(exec);
        return status;
    }
    *out = exec;
    return ADE_OK;
}

void ade__cuda_gemm_exec_free(ade_cuda_gemm_exec *exec) {
    if (!exec) return;
    for (int i = 0; i < exec->n_bound; i++) bound_free(exec->gemm->lt, &exec->bound[i]);
    free(exec->bound);
    cudaFree(exec->workspace);
    cudaGetLastError();
    free(exec);
}

ade_status ade__cuda_gemm_prepare(ade_cuda_gemm_exec *exec, const ade_linear *linear, int32_t max_rows) {
    const ade_cuda_gemm *gemm = exec->gemm;
    const gemm_plan     *p = linear->plan;
    if (max_rows > INT32_MAX - ROWS)
        return ade__cuda_report(ADE_INTERNAL, "%d rows are too many for one product", static_cast<int>(max_rows));
    if (p->index >= exec->n_bound) {
        const size_t bytes = static_cast<size_t>(p->index + 1) * sizeof *exec->bound;
        void        *bound = realloc(exec->bound, bytes);
        if (!bound) return no_host_memory(bytes);
        exec->bound = static_cast<bound_plan *>(bound);
        while (exec->n_bound <= p->index) exec->bound[exec->n_bound++] = {};
    }
    bound_plan   *bound = &exec->bound[p->index];
    const int32_t had = bound->count;
    ade_status    status = bound_grow(gemm->lt, p, max_rows, bound);
    for (int32_t i = had; status == ADE_OK && i < bound->count; i++)
        if (!takes(gemm, linear->operation, p, bound->x[i], bound->y[i], &p->algo))
            status = ade__cuda_report(ADE_UNSUPPORTED,
                                      "cuBLASLt %s does not take %d rows of %s products with a %d x %d matrix by the "
                                      "algorithm that gives the same bits in any batch; make the token budget smaller",
                                      gemm->lt->version, static_cast<int>((i + 1) * ROWS), p->exact ? "fp32" : "f16",
                                      static_cast<int>(p->n), static_cast<int>(p->k));
    if (status != ADE_OK) bound_free(gemm->lt, bound); /* no layout stays that was not checked */
    return status;
}

ade_status ade__cuda_gemm_run(ade_cuda_gemm_exec *exec, cudaStream_t stream, const ade_linear_args *args) {
    const ade_cuda_gemm *gemm = exec->gemm;
    const ade_linear    *linear = args->linear;
    const gemm_plan     *p = linear->plan;
    const float          one = 1.0f, zero = 0.0f;
    if (args->m <= 0) return ADE_OK;
    const int32_t last = (args->m - 1) / ROWS, prepared = p->index < exec->n_bound ? exec->bound[p->index].count : 0;
    if (last >= prepared)
        return ade__cuda_report(ADE_INTERNAL, "a product of %d rows came to an exec prepared for %d",
                                static_cast<int>(args->m), static_cast<int>(prepared * ROWS));
    const bound_plan *bound = &exec->bound[p->index];
    LT_TRY(gemm->lt, matmul, gemm->handle, linear->operation, &one, linear->weights, p->weights, args->x,
           bound->x[last], &zero, args->y, bound->y[last], args->y, bound->y[last], &p->algo, exec->workspace,
           gemm->workspace_bytes, stream);
    return ADE_OK;
}
