/* SPDX-License-Identifier: Apache-2.0
 * cuBLASLt for tests alone: include/cublasLt.h says what it computes, refuses and is made to catch. Built as a library
 * of its own with the real one's name, so that the code that finds and opens the real one is what opens this one.
 *
 * It queues its work in the emulator's streams by the functions that each stream object begins with (emu_hooks), so it
 * needs no symbol of whoever opened it. Stream 0 is no object, and is refused.
 *
 * Configurations of an algorithm. The stages' block (16, 32, 64, 128 values of k) decides in which order it adds: see
 * cublaslt_product.h, with block / 32 lanes. The tile decides the workspace. Both are what a caller may set. */
#include "cublaslt_product.h"
#include "include/cublasLt.h"

#include <stdio.h>

#include <mutex>
#include <string>

static const size_t   MIB = static_cast<size_t>(1) << 20;
static const uint64_t DESC = 0x656d752d64657363u, LAYOUT = 0x656d752d6c61796fu, PREFERENCE = 0x656d752d70726566u;
static const uint32_t ALGORITHM = 0x656d7541u;
static const int      ALGO_PLAIN = 6, ALGO_FEW_COLUMNS = 21, ALGO_MANY_COLUMNS = 66;
static const uint64_t MANY_COLUMNS = 256; /* what ALGO_MANY_COLUMNS needs */

struct cublasLtContext {
    uint64_t magic;
};

namespace {
/* What lies in the opaque structs. */
struct __attribute__((may_alias)) desc_data {
    uint64_t    magic;
    int32_t     compute_type, scale_type, pointer_mode, trans[3], fill_mode;
    uint32_t    epilogue;
    const void *bias;
    int64_t     bias_batch_stride, aux_ld, aux_batch_stride, alpha_batch_stride;
    const void *aux, *scales[4], *amax;
    int32_t     sm_count_target, aux_type, bias_type;
    int8_t      fast_accumulation;
};

struct __attribute__((may_alias)) layout_data {
    uint64_t magic;
    uint32_t type;
    int32_t  order;
    uint64_t rows, cols;
    int64_t  ld, batch_stride, plane_offset;
    int32_t  batch_count;
};

struct __attribute__((may_alias)) preference_data {
    uint64_t magic, max_workspace, impl_mask;
    uint32_t search_mode, reduction_mask, alignment[4];
    float    max_waves;
};

struct __attribute__((may_alias)) algo_data {
    uint32_t magic;
    int32_t  id, split_k;
    uint32_t tile, stages, reduction, swizzling, custom;
    uint16_t inner_shape, cluster_shape;
    uint8_t  alignment[4]; /* of A, B, C, D: what it was chosen for */
    int8_t   type_ab, type_cd;
};
} // namespace

static_assert(sizeof(desc_data) <= sizeof(cublasLtMatmulDescOpaque_t), "");
static_assert(sizeof(layout_data) <= sizeof(cublasLtMatrixLayoutOpaque_t), "");
static_assert(sizeof(preference_data) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "");
static_assert(sizeof(algo_data) <= sizeof(cublasLtMatmulAlgo_t), "");

/* ---- Counts and armed failures ----------------------------------------------------------------------------------- */

namespace {
struct armed_failure {
    std::string    function;
    long           nth, seen;
    cublasStatus_t status;
};

struct library_state {
    std::recursive_mutex       lock;
    bool                       is_read = false;
    emu_cublaslt_counters      counts = {};
    std::vector<armed_failure> failures;
    std::vector<void *>        destroyed; /* descriptors; kept, so that late users are found */
    ~library_state() {
        for (void *descriptor : destroyed) free(descriptor);
    }
};

library_state state;
} // namespace

static void read_environment() {
    const char *text = getenv("EMU_CUBLAS_FAIL");
    state.failures.clear();
    state.is_read = true;
    while (text && *text) {
        char function[64];
        long nth = 0;
        int  status = 0, size = 0;
        if (sscanf(text, "%63[^:,]:%ld:%d%n", function, &nth, &status, &size) != 3 ||
            (text[size] && text[size] != ',')) {
            fprintf(stderr, "emulator: EMU_CUBLAS_FAIL: \"%s\" is not function:n:status\n", text);
            abort();
        }
        state.failures.push_back({function, nth, 0, static_cast<cublasStatus_t>(status)});
        text += size;
        if (*text == ',') text++;
    }
}

/* Counts a call of this function and finds the armed failure that it meets. */
static cublasStatus_t begin(const char *function) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    cublasStatus_t                        met = CUBLAS_STATUS_SUCCESS;
    if (!state.is_read) read_environment();
    state.counts.calls++;
    for (armed_failure &failure : state.failures) {
        if (failure.function != "*" && failure.function != function) continue;
        failure.seen++;
        if (met == CUBLAS_STATUS_SUCCESS && (failure.nth == 0 || failure.seen == failure.nth)) met = failure.status;
    }
    return met;
}

#define BEGIN()                                                                                                        \
    do {                                                                                                               \
        const cublasStatus_t begun = begin(__func__);                                                                  \
        if (begun != CUBLAS_STATUS_SUCCESS) return begun;                                                              \
    } while (0)

static void count(long long emu_cublaslt_counters::*member, int change) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.counts.*member += change;
}

void emu_cublaslt_get_counters(emu_cublaslt_counters *counters) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    *counters = state.counts;
}

void emu_cublaslt_reset(void) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.counts.calls = state.counts.heuristics = state.counts.products = state.counts.split_products = 0;
    read_environment();
}

void emu_cublaslt_fail(const char *function, long nth, int status) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    if (!state.is_read) read_environment();
    state.failures.push_back({function, nth, 0, static_cast<cublasStatus_t>(status)});
}

/* ---- The library ------------------------------------------------------------------------------------------------- */

static const uint64_t HANDLE = 0x656d752d68616e64u;

static bool is_handle(cublasLtHandle_t handle) { return handle && handle->magic == HANDLE; }

static bool has_device() {
    const char *devices = getenv("EMU_DEVICES"), *driver = getenv("EMU_DRIVER");
    if (devices && !strcmp(devices, "0")) return false;
    return !driver || !*driver || atoi(driver) / 1000 >= CUDART_VERSION / 1000;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lightHandle) {
    BEGIN();
    if (!has_device()) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!lightHandle) return CUBLAS_STATUS_INVALID_VALUE;
    *lightHandle = new cublasLtContext{HANDLE};
    count(&emu_cublaslt_counters::live_handles, 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle) {
    BEGIN();
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_INVALID_VALUE;
    lightHandle->magic = 0;
    delete lightHandle;
    count(&emu_cublaslt_counters::live_handles, -1);
    return CUBLAS_STATUS_SUCCESS;
}

#define STATUSES(X)                                                                                                    \
    X(CUBLAS_STATUS_SUCCESS, "success")                                                                                \
    X(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized")                                                \
    X(CUBLAS_STATUS_ALLOC_FAILED, "the resource allocation failed")                                                    \
    X(CUBLAS_STATUS_INVALID_VALUE, "an unsupported value or parameter was passed to the function")                     \
    X(CUBLAS_STATUS_ARCH_MISMATCH, "the function requires an architectural feature absent from the device")            \
    X(CUBLAS_STATUS_MAPPING_ERROR, "an access to GPU memory space failed")                                             \
    X(CUBLAS_STATUS_EXECUTION_FAILED, "the function failed to launch on the GPU")                                      \
    X(CUBLAS_STATUS_INTERNAL_ERROR, "an internal operation failed")                                                    \
    X(CUBLAS_STATUS_NOT_SUPPORTED, "the requested functionality is not supported")                                     \
    X(CUBLAS_STATUS_LICENSE_ERROR, "the license check failed")

const char *cublasLtGetStatusName(cublasStatus_t status) {
    switch (status) {
#define NAME(name, text)                                                                                               \
    case name: return #name;
        STATUSES(NAME)
#undef NAME
    }
    return "unrecognized status";
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
#define TEXT(name, text)                                                                                               \
    case name: return text;
        STATUSES(TEXT)
#undef TEXT
    }
    return "unrecognized status";
}

size_t cublasLtGetVersion(void) {
    const char *version = getenv("EMU_CUBLAS_VERSION");
    return version && *version ? static_cast<size_t>(strtoul(version, nullptr, 10)) : CUBLAS_VERSION;
}

size_t cublasLtGetCudartVersion(void) { return CUDART_VERSION; }

cublasStatus_t cublasLtGetProperty(libraryPropertyType type, int *value) {
    BEGIN();
    const int version = static_cast<int>(cublasLtGetVersion());
    if (!value) return CUBLAS_STATUS_INVALID_VALUE;
    switch (type) {
    case MAJOR_VERSION: *value = version / 10000; return CUBLAS_STATUS_SUCCESS;
    case MINOR_VERSION: *value = version / 100 % 100; return CUBLAS_STATUS_SUCCESS;
    case PATCH_LEVEL: *value = version % 100; return CUBLAS_STATUS_SUCCESS;
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

static size_t cache_capacity = 8192;

cublasStatus_t cublasLtHeuristicsCacheGetCapacity(size_t *capacity) {
    BEGIN();
    if (!capacity) return CUBLAS_STATUS_INVALID_VALUE;
    *capacity = cache_capacity;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtHeuristicsCacheSetCapacity(size_t capacity) {
    BEGIN();
    cache_capacity = capacity;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Attributes -------------------------------------------------------------------------------------------------- */

namespace {
struct attribute {
    int    number;
    size_t offset, size;
};
} // namespace

#define ATTRIBUTE(number, type, member)                                                                                \
    { number, offsetof(type, member), sizeof(type::member) }

static const attribute desc_attributes[] = {
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, desc_data, compute_type),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_SCALE_TYPE, desc_data, scale_type),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_POINTER_MODE, desc_data, pointer_mode),
    {CUBLASLT_MATMUL_DESC_TRANSA, offsetof(desc_data, trans), 4},
    {CUBLASLT_MATMUL_DESC_TRANSB, offsetof(desc_data, trans) + 4, 4},
    {CUBLASLT_MATMUL_DESC_TRANSC, offsetof(desc_data, trans) + 8, 4},
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_FILL_MODE, desc_data, fill_mode),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE, desc_data, epilogue),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_POINTER, desc_data, bias),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, desc_data, bias_batch_stride),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, desc_data, aux),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, desc_data, aux_ld),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, desc_data, aux_batch_stride),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, desc_data, alpha_batch_stride),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, desc_data, sm_count_target),
    {CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, offsetof(desc_data, scales), 8},
    {CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, offsetof(desc_data, scales) + 8, 8},
    {CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, offsetof(desc_data, scales) + 16, 8},
    {CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, offsetof(desc_data, scales) + 24, 8},
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, desc_data, amax),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, desc_data, aux_type),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_FAST_ACCUM, desc_data, fast_accumulation),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, desc_data, bias_type),
};

static const attribute layout_attributes[] = {
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_TYPE, layout_data, type),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_ORDER, layout_data, order),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_ROWS, layout_data, rows),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_COLS, layout_data, cols),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_LD, layout_data, ld),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, layout_data, batch_count),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, layout_data, batch_stride),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, layout_data, plane_offset),
};

static const attribute preference_attributes[] = {
    ATTRIBUTE(CUBLASLT_MATMUL_PREF_SEARCH_MODE, preference_data, search_mode),
    ATTRIBUTE(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, preference_data, max_workspace),
    ATTRIBUTE(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, preference_data, reduction_mask),
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, offsetof(preference_data, alignment), 4},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, offsetof(preference_data, alignment) + 4, 4},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, offsetof(preference_data, alignment) + 8, 4},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, offsetof(preference_data, alignment) + 12, 4},
    ATTRIBUTE(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, preference_data, max_waves),
    ATTRIBUTE(CUBLASLT_MATMUL_PREF_IMPL_MASK, preference_data, impl_mask),
};

static const attribute config_attributes[] = {
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_ID, algo_data, id),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_TILE_ID, algo_data, tile),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, algo_data, split_k),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, algo_data, reduction),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, algo_data, swizzling),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, algo_data, custom),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_STAGES_ID, algo_data, stages),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, algo_data, inner_shape),
    ATTRIBUTE(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, algo_data, cluster_shape),
};

/* As in the real library, a size other than the attribute's own is refused. */
template <size_t N>
static cublasStatus_t set(void *data, const attribute (&attributes)[N], int number, const void *from, size_t size) {
    for (const attribute &a : attributes)
        if (a.number == number) {
            if (!from || size != a.size) return CUBLAS_STATUS_INVALID_VALUE;
            memcpy(static_cast<char *>(data) + a.offset, from, size);
            return CUBLAS_STATUS_SUCCESS;
        }
    return CUBLAS_STATUS_INVALID_VALUE;
}

template <size_t N>
static cublasStatus_t get(const void *data, const attribute (&attributes)[N], int number, void *to, size_t size,
                          size_t *written) {
    for (const attribute &a : attributes)
        if (a.number == number) {
            if (size == 0 && !written) return CUBLAS_STATUS_INVALID_VALUE;
            if (size != 0 && (!to || size != a.size)) return CUBLAS_STATUS_INVALID_VALUE;
            if (size != 0) memcpy(to, static_cast<const char *>(data) + a.offset, size);
            if (written) *written = a.size;
            return CUBLAS_STATUS_SUCCESS;
        }
    return CUBLAS_STATUS_INVALID_VALUE;
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

static desc_data *data_of(cublasLtMatmulDesc_t desc) {
    desc_data *data = reinterpret_cast<desc_data *>(desc);
    return data && data->magic == DESC ? data : nullptr;
}
static layout_data *data_of(cublasLtMatrixLayout_t layout) {
    layout_data *data = reinterpret_cast<layout_data *>(layout);
    return data && data->magic == LAYOUT ? data : nullptr;
}
static preference_data *data_of(cublasLtMatmulPreference_t preference) {
    preference_data *data = reinterpret_cast<preference_data *>(preference);
    return data && data->magic == PREFERENCE ? data : nullptr;
}
static algo_data *data_of(cublasLtMatmulAlgo_t *algo) {
    algo_data *data = reinterpret_cast<algo_data *>(algo);
    return data && data->magic == ALGORITHM ? data : nullptr;
}
static const algo_data *data_of(const cublasLtMatmulAlgo_t *algo) {
    const algo_data *data = reinterpret_cast<const algo_data *>(algo);
    return data && data->magic == ALGORITHM ? data : nullptr;
}

template <class T> static T *make() {
    count(&emu_cublaslt_counters::live_descriptors, 1);
    return static_cast<T *>(calloc(1, sizeof(T)));
}

/* The real library takes NULL. */
template <class T> static cublasStatus_t destroy(T *descriptor) {
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    if (!descriptor) return CUBLAS_STATUS_SUCCESS;
    if (!data_of(descriptor)) return CUBLAS_STATUS_INVALID_VALUE;
    data_of(descriptor)->magic = 0;
    state.destroyed.push_back(descriptor);
    state.counts.live_descriptors--;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t matLayout, size_t size, cudaDataType type,
                                                 uint64_t rows, uint64_t cols, int64_t ld) {
    BEGIN();
    if (!matLayout || size < sizeof *matLayout) return CUBLAS_STATUS_INVALID_VALUE;
    memset(matLayout, 0, sizeof *matLayout);
    layout_data *data = reinterpret_cast<layout_data *>(matLayout);
    data->magic = LAYOUT;
    data->type = type;
    data->order = CUBLASLT_ORDER_COL;
    data->rows = rows;
    data->cols = cols;
    data->ld = ld;
    data->batch_count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
    BEGIN();
    if (!matLayout) return CUBLAS_STATUS_INVALID_VALUE;
    *matLayout = make<cublasLtMatrixLayoutOpaque_t>();
    return cublasLtMatrixLayoutInit(*matLayout, type, rows, cols, ld);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout) {
    BEGIN();
    return destroy(matLayout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matLayout, cublasLtMatrixLayoutAttribute_t attr,
                                                const void *buf, size_t sizeInBytes) {
    BEGIN();
    if (!data_of(matLayout)) return CUBLAS_STATUS_INVALID_VALUE;
    return set(matLayout, layout_attributes, attr, buf, sizeInBytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t matLayout, cublasLtMatrixLayoutAttribute_t attr,
                                                void *buf, size_t sizeInBytes, size_t *sizeWritten) {
    BEGIN();
    if (!data_of(matLayout)) return CUBLAS_STATUS_INVALID_VALUE;
    return get(matLayout, layout_attributes, attr, buf, sizeInBytes, sizeWritten);
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t matmulDesc, size_t size,
                                               cublasComputeType_t computeType, cudaDataType_t scaleType) {
    BEGIN();
    if (!matmulDesc || size < sizeof *matmulDesc) return CUBLAS_STATUS_INVALID_VALUE;
    memset(matmulDesc, 0, sizeof *matmulDesc);
    desc_data *data = reinterpret_cast<desc_data *>(matmulDesc);
    data->magic = DESC;
    data->compute_type = computeType;
    data->scale_type = scaleType;
    data->fill_mode = 2; /* all of it */
    data->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    data->bias_type = data->aux_type = -1; /* as D */
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc, cublasComputeType_t computeType,
                                        cudaDataType_t scaleType) {
    BEGIN();
    if (!matmulDesc) return CUBLAS_STATUS_INVALID_VALUE;
    *matmulDesc = make<cublasLtMatmulDescOpaque_t>();
    return cublasLtMatmulDescInit(*matmulDesc, computeType, scaleType);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc) {
    BEGIN();
    return destroy(matmulDesc);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc, cublasLtMatmulDescAttributes_t attr,
                                              const void *buf, size_t sizeInBytes) {
    BEGIN();
    if (!data_of(matmulDesc)) return CUBLAS_STATUS_INVALID_VALUE;
    return set(matmulDesc, desc_attributes, attr, buf, sizeInBytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t matmulDesc, cublasLtMatmulDescAttributes_t attr,
                                              void *buf, size_t sizeInBytes, size_t *sizeWritten) {
    BEGIN();
    if (!data_of(matmulDesc)) return CUBLAS_STATUS_INVALID_VALUE;
    return get(matmulDesc, desc_attributes, attr, buf, sizeInBytes, sizeWritten);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t pref, size_t size) {
    BEGIN();
    if (!pref || size < sizeof *pref) return CUBLAS_STATUS_INVALID_VALUE;
    memset(pref, 0, sizeof *pref);
    preference_data *data = reinterpret_cast<preference_data *>(pref);
    data->magic = PREFERENCE;
    data->reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
    for (uint32_t &alignment : data->alignment) alignment = 256;
    data->impl_mask = ~static_cast<uint64_t>(0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref) {
    BEGIN();
    if (!pref) return CUBLAS_STATUS_INVALID_VALUE;
    *pref = make<cublasLtMatmulPreferenceOpaque_t>();
    return cublasLtMatmulPreferenceInit(*pref);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) {
    BEGIN();
    return destroy(pref);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t           pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr, const void *buf,
                                                    size_t sizeInBytes) {
    BEGIN();
    if (!data_of(pref)) return CUBLAS_STATUS_INVALID_VALUE;
    return set(pref, preference_attributes, attr, buf, sizeInBytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t           pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr, void *buf,
                                                    size_t sizeInBytes, size_t *sizeWritten) {
    BEGIN();
    if (!data_of(pref)) return CUBLAS_STATUS_INVALID_VALUE;
    return get(pref, preference_attributes, attr, buf, sizeInBytes, sizeWritten);
}

/* ---- Problems ---------------------------------------------------------------------------------------------------- */

namespace {
struct problem {
    const desc_data   *desc;
    const layout_data *a, *b, *c, *d;
    uint64_t           m, n, k;
};
} // namespace

static bool is_type(uint32_t type) { return type == CUDA_R_16F || type == CUDA_R_32F; }

static bool are_types_supported(uint32_t ab, uint32_t cd) {
    return is_type(ab) && is_type(cd) && (ab == CUDA_R_16F || cd == CUDA_R_32F);
}

static bool is_epilogue_supported(uint32_t epilogue) {
    switch (epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS: return true;
    default: return false;
    }
}

static bool has_bias(const desc_data &desc) { return (desc.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }

static bool is_layout_supported(const layout_data &layout) {
    return layout.order == CUBLASLT_ORDER_COL && layout.batch_count == 1 && layout.plane_offset == 0;
}

/* INVALID_VALUE for what contradicts itself, NOT_SUPPORTED for what the real library or this one cannot do. */
static cublasStatus_t state_problem(cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, problem *out) {
    problem p = {data_of(desc), data_of(a), data_of(b), data_of(c), data_of(d), 0, 0, 0};
    if (!p.desc || !p.a || !p.b || !p.c || !p.d) return CUBLAS_STATUS_INVALID_VALUE;
    for (const layout_data *layout : {p.a, p.b, p.c, p.d}) {
        if (!is_layout_supported(*layout)) return CUBLAS_STATUS_NOT_SUPPORTED;
        if (layout->rows == 0 || layout->cols == 0 || layout->ld < static_cast<int64_t>(layout->rows))
            return CUBLAS_STATUS_INVALID_VALUE;
    }
    const desc_data &e = *p.desc;
    for (int i = 0; i < 3; i++)
        if (e.trans[i] != CUBLAS_OP_N && (e.trans[i] != CUBLAS_OP_T || i == 2)) return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool ta = e.trans[0] == CUBLAS_OP_T, tb = e.trans[1] == CUBLAS_OP_T;
    p.m = ta ? p.a->cols : p.a->rows;
    p.k = ta ? p.a->rows : p.a->cols;
    p.n = tb ? p.b->rows : p.b->cols;
    if ((tb ? p.b->cols : p.b->rows) != p.k || p.c->rows != p.m || p.c->cols != p.n || p.d->rows != p.m ||
        p.d->cols != p.n)
        return CUBLAS_STATUS_INVALID_VALUE;
    if ((e.compute_type != CUBLAS_COMPUTE_32F && e.compute_type != CUBLAS_COMPUTE_32F_PEDANTIC) ||
        e.scale_type != CUDA_R_32F || e.pointer_mode != CUBLASLT_POINTER_MODE_HOST || e.fill_mode != 2 ||
        e.fast_accumulation)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (p.a->type != p.b->type || p.c->type != p.d->type || !are_types_supported(p.a->type, p.d->type))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!is_epilogue_supported(e.epilogue)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (has_bias(e) && e.bias_type != -1 && e.bias_type != static_cast<int32_t>(p.d->type))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *out = p;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Algorithms -------------------------------------------------------------------------------------------------- */

static uint32_t block_of(uint32_t stages) {
    if (stages < CUBLASLT_MATMUL_STAGES_16x1 || stages > CUBLASLT_MATMUL_STAGES_128x6) return 0;
    return 16u << (stages - CUBLASLT_MATMUL_STAGES_16x1) / 6;
}

static size_t workspace_of(const algo_data &algo, const problem &p) {
    size_t bytes = 0;
    if (algo.tile == CUBLASLT_MATMUL_TILE_64x64) bytes = MIB;
    if (algo.tile == CUBLASLT_MATMUL_TILE_256x128) bytes = 48 * MIB;
    if (algo.reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
        bytes += static_cast<size_t>(algo.split_k) * p.m * p.n * sizeof(float);
    return bytes;
}

static cublasStatus_t check_algo(const algo_data &algo, const problem &p) {
    if (algo.id != ALGO_PLAIN && algo.id != ALGO_FEW_COLUMNS && algo.id != ALGO_MANY_COLUMNS)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (algo.type_ab != static_cast<int>(p.a->type) || algo.type_cd != static_cast<int>(p.d->type))
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool is_split = algo.split_k > 1;
    if (algo.split_k < 0 || algo.split_k > MOST_SLICES ||
        is_split != (algo.reduction != CUBLASLT_REDUCTION_SCHEME_NONE))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (is_split && algo.reduction != CUBLASLT_REDUCTION_SCHEME_INPLACE &&
        algo.reduction != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (block_of(algo.stages) == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    switch (algo.tile) {
    case CUBLASLT_MATMUL_TILE_64x64:
    case CUBLASLT_MATMUL_TILE_128x64:
    case CUBLASLT_MATMUL_TILE_128x128:
    case CUBLASLT_MATMUL_TILE_128x256:
    case CUBLASLT_MATMUL_TILE_256x128: break;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (algo.id == ALGO_MANY_COLUMNS && p.n < MANY_COLUMNS) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

static algo_data configured(const problem &p, const uint32_t alignment[4], int id, uint32_t tile, uint32_t stages,
                            int split_k = 1, uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE) {
    algo_data algo = {};
    algo.magic = ALGORITHM;
    algo.id = id;
    algo.tile = tile;
    algo.stages = stages;
    algo.split_k = split_k;
    algo.reduction = reduction;
    algo.type_ab = static_cast<int8_t>(p.a->type);
    algo.type_cd = static_cast<int8_t>(p.d->type);
    /* More than 16 bytes no access takes. */
    for (int i = 0; i < 4; i++) algo.alignment[i] = static_cast<uint8_t>(std::min(alignment[i], 16u));
    return algo;
}

/* The fastest first; which that is depends on the number of columns. */
static std::vector<algo_data> candidates(const problem &p, const preference_data &preference) {
    const uint32_t        *align = preference.alignment;
    std::vector<algo_data> all;
    if (preference.reduction_mask & CUBLASLT_REDUCTION_SCHEME_INPLACE)
        all.push_back(configured(p, align, ALGO_FEW_COLUMNS, CUBLASLT_MATMUL_TILE_128x64, CUBLASLT_MATMUL_STAGES_64x3,
                                 4, CUBLASLT_REDUCTION_SCHEME_INPLACE));
    if (preference.reduction_mask & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
        all.push_back(configured(p, align, ALGO_FEW_COLUMNS, CUBLASLT_MATMUL_TILE_128x64, CUBLASLT_MATMUL_STAGES_64x3,
                                 4, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    const algo_data many =
        configured(p, align, ALGO_MANY_COLUMNS, CUBLASLT_MATMUL_TILE_128x256, CUBLASLT_MATMUL_STAGES_128x4);
    const algo_data huge = configured(p, align, ALGO_PLAIN, CUBLASLT_MATMUL_TILE_256x128, CUBLASLT_MATMUL_STAGES_128x3);
    const algo_data wide = configured(p, align, ALGO_PLAIN, CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_MATMUL_STAGES_64x4);
    const algo_data small = configured(p, align, ALGO_PLAIN, CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_STAGES_32x6);
    if (p.n >= 512)
        all.insert(all.end(), {many, huge, wide, small});
    else
        all.insert(all.end(), {small, wide, huge, many});
    return all;
}

static void fill_result(const algo_data &algo, const problem &p, cublasLtMatmulHeuristicResult_t *out) {
    memset(out, 0, sizeof *out);
    memcpy(&out->algo, &algo, sizeof algo);
    out->workspaceSize = workspace_of(algo, p);
    out->state = CUBLAS_STATUS_SUCCESS;
    out->wavesCount = static_cast<float>((p.m + 127) / 128 * ((p.n + 127) / 128)) / 132.0f;
}

/* The second answer is one that did not work out, with nothing in it that could be used. */
static int suggest(const problem &p, const preference_data &preference, int most,
                   cublasLtMatmulHeuristicResult_t *out) {
    int found = 0;
    for (const algo_data &algo : candidates(p, preference)) {
        if (found == most) break;
        if (check_algo(algo, p) != CUBLAS_STATUS_SUCCESS || workspace_of(algo, p) > preference.max_workspace) continue;
        fill_result(algo, p, &out[found++]);
        if (found != 1 || most == 1) continue;
        memset(&out[1], 0, sizeof out[1]);
        out[1].state = CUBLAS_STATUS_NOT_SUPPORTED;
        found = 2;
    }
    return found;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
                                              cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                              cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                              cublasLtMatmulPreference_t preference, int requestedAlgoCount,
                                              cublasLtMatmulHeuristicResult_t heuristicResultsArray[],
                                              int                            *returnAlgoCount) {
    BEGIN();
    problem p;
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!data_of(preference) || requestedAlgoCount <= 0 || !heuristicResultsArray || !returnAlgoCount)
        return CUBLAS_STATUS_INVALID_VALUE;
    *returnAlgoCount = 0;
    count(&emu_cublaslt_counters::heuristics, 1);
    const cublasStatus_t status = state_problem(operationDesc, Adesc, Bdesc, Cdesc, Ddesc, &p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (data_of(preference)->search_mode != CUBLASLT_SEARCH_BEST_FIT) return CUBLAS_STATUS_NOT_SUPPORTED;
    *returnAlgoCount = suggest(p, *data_of(preference), requestedAlgoCount, heuristicResultsArray);
    return *returnAlgoCount ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static cublasStatus_t check_types(cublasComputeType_t compute, cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                  cudaDataType_t c, cudaDataType_t d) {
    if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (scale != CUDA_R_32F || a != b || c != d || !are_types_supported(a, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t lightHandle, cublasComputeType_t computeType,
                                        cudaDataType_t scaleType, cudaDataType_t Atype, cudaDataType_t Btype,
                                        cudaDataType_t Ctype, cudaDataType_t Dtype, int requestedAlgoCount,
                                        int algoIdsArray[], int *returnAlgoCount) {
    BEGIN();
    const int ids[] = {ALGO_PLAIN, ALGO_FEW_COLUMNS, ALGO_MANY_COLUMNS};
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (requestedAlgoCount <= 0 || !algoIdsArray || !returnAlgoCount) return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status = check_types(computeType, scaleType, Atype, Btype, Ctype, Dtype);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    for (*returnAlgoCount = 0; *returnAlgoCount < std::min(requestedAlgoCount, 3); (*returnAlgoCount)++)
        algoIdsArray[*returnAlgoCount] = ids[*returnAlgoCount];
    return CUBLAS_STATUS_SUCCESS;
}

/* As in the real library, what comes out has no tile and no stages yet: check refuses it. */
cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t lightHandle, cublasComputeType_t computeType,
                                      cudaDataType_t scaleType, cudaDataType_t Atype, cudaDataType_t Btype,
                                      cudaDataType_t Ctype, cudaDataType_t Dtype, int algoId,
                                      cublasLtMatmulAlgo_t *algo) {
    BEGIN();
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!algo || (algoId != ALGO_PLAIN && algoId != ALGO_FEW_COLUMNS && algoId != ALGO_MANY_COLUMNS))
        return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status = check_types(computeType, scaleType, Atype, Btype, Ctype, Dtype);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    algo_data data = {};
    data.magic = ALGORITHM;
    data.id = algoId;
    data.split_k = 1;
    data.type_ab = static_cast<int8_t>(Atype);
    data.type_cd = static_cast<int8_t>(Dtype);
    for (uint8_t &alignment : data.alignment) alignment = 16;
    memset(algo, 0, sizeof *algo);
    memcpy(algo, &data, sizeof data);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
                                       cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                       cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                       const cublasLtMatmulAlgo_t *algo, cublasLtMatmulHeuristicResult_t *result) {
    BEGIN();
    problem p;
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!data_of(algo) || !result) return CUBLAS_STATUS_INVALID_VALUE;
    const algo_data chosen = *data_of(algo); /* may lie in the result */
    cublasStatus_t  status = state_problem(operationDesc, Adesc, Bdesc, Cdesc, Ddesc, &p);
    if (status == CUBLAS_STATUS_SUCCESS) status = check_algo(chosen, p);
    if (status == CUBLAS_STATUS_SUCCESS) fill_result(chosen, p, result);
    return status;
}

template <class T>
static cublasStatus_t answer(const std::vector<T> &values, bool is_list, void *to, size_t size, size_t *written) {
    const size_t bytes = values.size() * sizeof(T);
    if (size == 0 && !written) return CUBLAS_STATUS_INVALID_VALUE;
    if (size != 0 && (!to || (is_list ? size % sizeof(T) != 0 : size != bytes))) return CUBLAS_STATUS_INVALID_VALUE;
    const size_t given = std::min(size, bytes);
    if (given) memcpy(to, values.data(), given);
    if (written) *written = size ? given : bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t       *algo,
                                                 cublasLtMatmulAlgoCapAttributes_t attr, void *buf, size_t sizeInBytes,
                                                 size_t *sizeWritten) {
    BEGIN();
    const algo_data *data = data_of(algo);
    if (!data) return CUBLAS_STATUS_INVALID_VALUE;
    const auto number = [&](auto value) {
        return answer(std::vector<decltype(value)>{value}, false, buf, sizeInBytes, sizeWritten);
    };
    switch (attr) {
    case CUBLASLT_ALGO_CAP_SPLITK_SUPPORT: return number(static_cast<int32_t>(1));
    case CUBLASLT_ALGO_CAP_REDUCTION_SCHEME_MASK:
        return number(
            static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    case CUBLASLT_ALGO_CAP_CTA_SWIZZLING_SUPPORT: return number(static_cast<uint32_t>(1));
    case CUBLASLT_ALGO_CAP_STRIDED_BATCH_SUPPORT: return number(static_cast<int32_t>(0));
    case CUBLASLT_ALGO_CAP_OUT_OF_PLACE_RESULT_SUPPORT: return number(static_cast<int32_t>(1));
    case CUBLASLT_ALGO_CAP_UPLO_SUPPORT: return number(static_cast<int32_t>(0));
    case CUBLASLT_ALGO_CAP_TILE_IDS:
        return answer(std::vector<uint32_t>{CUBLASLT_MATMUL_TILE_64x64, CUBLASLT_MATMUL_TILE_128x64,
                                            CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_MATMUL_TILE_128x256,
                                            CUBLASLT_MATMUL_TILE_256x128},
                      true, buf, sizeInBytes, sizeWritten);
    case CUBLASLT_ALGO_CAP_STAGES_IDS:
        return answer(std::vector<uint32_t>{CUBLASLT_MATMUL_STAGES_32x6, CUBLASLT_MATMUL_STAGES_64x3,
                                            CUBLASLT_MATMUL_STAGES_64x4, CUBLASLT_MATMUL_STAGES_128x3,
                                            CUBLASLT_MATMUL_STAGES_128x4},
                      true, buf, sizeInBytes, sizeWritten);
    case CUBLASLT_ALGO_CAP_CUSTOM_OPTION_MAX: return number(static_cast<int32_t>(0));
    case CUBLASLT_ALGO_CAP_CUSTOM_MEMORY_ORDER: return number(static_cast<int32_t>(0));
    case CUBLASLT_ALGO_CAP_POINTER_MODE_MASK: return number(static_cast<uint32_t>(1));
    case CUBLASLT_ALGO_CAP_EPILOGUE_MASK:
        return number(static_cast<uint32_t>(CUBLASLT_EPILOGUE_RELU_BIAS | CUBLASLT_EPILOGUE_GELU));
    case CUBLASLT_ALGO_CAP_LD_NEGATIVE: return number(static_cast<uint32_t>(0));
    case CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS: {
        const bool     is_f16 = data->type_ab == CUDA_R_16F;
        const uint64_t op = is_f16 ? 2 : 1, input = is_f16 ? 1 : 8; /* HMMA, FMA; f16, f32 */
        return number(op | static_cast<uint64_t>(2) << 8 | input << 16);
    }
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_A_BYTES: return number(static_cast<uint32_t>(data->alignment[0]));
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_B_BYTES: return number(static_cast<uint32_t>(data->alignment[1]));
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_C_BYTES: return number(static_cast<uint32_t>(data->alignment[2]));
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_D_BYTES: return number(static_cast<uint32_t>(data->alignment[3]));
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t                *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attr, const void *buf,
                                                    size_t sizeInBytes) {
    BEGIN();
    if (!data_of(algo) || attr == CUBLASLT_ALGO_CONFIG_ID) return CUBLAS_STATUS_INVALID_VALUE;
    return set(algo, config_attributes, attr, buf, sizeInBytes);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t          *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attr, void *buf,
                                                    size_t sizeInBytes, size_t *sizeWritten) {
    BEGIN();
    if (!data_of(algo)) return CUBLAS_STATUS_INVALID_VALUE;
    return get(algo, config_attributes, attr, buf, sizeInBytes, sizeWritten);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

namespace {
struct operand {
    const char *name;
    const void *begin;
    size_t      bytes;
};

struct job {
    product          what;
    const emu_hooks *hooks;
    operand          operands[6]; /* at most A, B, C, bias, workspace, D */
    int              n_operands;
    void            *workspace;
    size_t           workspace_bytes;
};
} // namespace

static size_t element_size(uint32_t type) { return type == CUDA_R_16F ? 2 : 4; }

static operand extent(const char *name, const void *begin, const layout_data &layout) {
    const size_t elements = (layout.cols - 1) * static_cast<size_t>(layout.ld) + layout.rows;
    return {name, begin, elements * element_size(layout.type)};
}

static bool overlap(const operand &x, const operand &y) {
    const char *a = static_cast<const char *>(x.begin), *b = static_cast<const char *>(y.begin);
    return a < b + y.bytes && b < a + x.bytes;
}

/* What a GPU would do with memory that is not there, or that is read and written. D is the last operand. */
static bool is_sound(const job &j) {
    char           text[200];
    const operand &d = j.operands[j.n_operands - 1];
    for (int i = 0; i < j.n_operands; i++) {
        const operand &o = j.operands[i];
        if (!j.hooks->owns(o.begin, o.bytes)) {
            snprintf(text, sizeof text, "cublasLtMatmul: the %zu bytes of %s do not lie in one allocation", o.bytes,
                     o.name);
            j.hooks->fault(cudaErrorIllegalAddress, text);
            return false;
        }
        const bool is_in_place = !strcmp(o.name, "C") && o.begin == d.begin;
        if (&o != &d && !is_in_place && overlap(o, d)) {
            snprintf(text, sizeof text, "cublasLtMatmul: %s and D overlap", o.name);
            j.hooks->fault(cudaErrorLaunchFailure, text);
            return false;
        }
    }
    return true;
}

static void run(void *argument) {
    const job &j = *static_cast<const job *>(argument);
    if (!is_sound(j)) return;
    /* Whatever lies there is lost, as with a real algorithm; a page of it is enough to show it. */
    if (j.workspace_bytes) memset(j.workspace, 0xff, std::min<size_t>(j.workspace_bytes, 4096));
    multiply(j.what);
}

static void release(void *argument) { delete static_cast<job *>(argument); }

static bool is_aligned(const void *pointer, size_t alignment) {
    return reinterpret_cast<uintptr_t>(pointer) % std::max<size_t>(alignment, 1) == 0;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc, const void *alpha,
                              const void *A, cublasLtMatrixLayout_t Adesc, const void *B, cublasLtMatrixLayout_t Bdesc,
                              const void *beta, const void *C, cublasLtMatrixLayout_t Cdesc, void *D,
                              cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspaceSizeInBytes, cudaStream_t stream) {
    BEGIN();
    problem p;
    if (!is_handle(lightHandle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!alpha || !beta || !A || !B || !C || !D) return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t status = state_problem(computeDesc, Adesc, Bdesc, Cdesc, Ddesc, &p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (C == D && p.c->ld != p.d->ld) return CUBLAS_STATUS_INVALID_VALUE;

    algo_data chosen;
    if (algo) { /* without one, the real library asks its heuristic */
        if (!data_of(algo)) return CUBLAS_STATUS_INVALID_VALUE;
        chosen = *data_of(algo);
    } else {
        preference_data preference = {};
        preference.max_workspace = workspace ? workspaceSizeInBytes : 0;
        preference.reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
        for (uint32_t &alignment : preference.alignment) alignment = 16;
        cublasLtMatmulHeuristicResult_t found;
        if (!suggest(p, preference, 1, &found)) return CUBLAS_STATUS_NOT_SUPPORTED;
        chosen = *data_of(&found.algo);
    }
    status = check_algo(chosen, p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const void  *pointers[] = {A, B, C, D};
    const size_t need = workspace_of(chosen, p);
    for (int i = 0; i < 4; i++)
        if (!is_aligned(pointers[i],
                        std::max<size_t>(chosen.alignment[i], element_size(i < 2 ? p.a->type : p.d->type))))
            return CUBLAS_STATUS_INVALID_VALUE;
    if (need && (!workspace || workspaceSizeInBytes < need || !is_aligned(workspace, 16)))
        return CUBLAS_STATUS_INVALID_VALUE;
    const desc_data &desc = *p.desc;
    if (has_bias(desc) && (!desc.bias || !is_aligned(desc.bias, element_size(p.d->type))))
        return CUBLAS_STATUS_INVALID_VALUE;
    const emu_hooks *hooks = stream ? *reinterpret_cast<const emu_hooks *const *>(stream) : nullptr;
    if (!hooks || stream == cudaStreamLegacy || hooks->magic != EMU_HOOKS_MAGIC) return CUBLAS_STATUS_NOT_SUPPORTED;

    job *j = new job();
    j->hooks = hooks;
    j->workspace = workspace;
    j->workspace_bytes = need;
    product &w = j->what;
    w.a = A;
    w.b = B;
    w.c = C;
    w.d = D;
    w.bias = has_bias(desc) ? desc.bias : nullptr;
    w.m = p.m;
    w.n = p.n;
    w.k = p.k;
    w.lda = static_cast<size_t>(p.a->ld);
    w.ldb = static_cast<size_t>(p.b->ld);
    w.ldc = static_cast<size_t>(p.c->ld);
    w.ldd = static_cast<size_t>(p.d->ld);
    w.is_a_transposed = desc.trans[0] == CUBLAS_OP_T;
    w.is_b_transposed = desc.trans[1] == CUBLAS_OP_T;
    w.is_input_f16 = p.a->type == CUDA_R_16F;
    w.is_output_f16 = p.d->type == CUDA_R_16F;
    memcpy(&w.alpha, alpha, sizeof w.alpha); /* the host's memory, which is the caller's again when this returns */
    memcpy(&w.beta, beta, sizeof w.beta);
    w.relu = (desc.epilogue & CUBLASLT_EPILOGUE_RELU) != 0;
    w.gelu = (desc.epilogue & CUBLASLT_EPILOGUE_GELU) != 0;
    w.block = block_of(chosen.stages);
    w.lanes = std::max<size_t>(w.block / 32, 1);
    w.slices = static_cast<size_t>(std::max(chosen.split_k, 1));
    w.rotates = chosen.reduction == CUBLASLT_REDUCTION_SCHEME_INPLACE;
    j->operands[j->n_operands++] = extent("A", A, *p.a);
    j->operands[j->n_operands++] = extent("B", B, *p.b);
    if (w.beta != 0.0f) j->operands[j->n_operands++] = extent("C", C, *p.c);
    if (w.bias) j->operands[j->n_operands++] = {"the bias", w.bias, p.m * element_size(p.d->type)};
    if (need) j->operands[j->n_operands++] = {"the workspace", workspace, need};
    j->operands[j->n_operands++] = extent("D", D, *p.d);
    count(&emu_cublaslt_counters::products, 1);
    if (w.slices > 1) count(&emu_cublaslt_counters::split_products, 1);
    return hooks->enqueue(stream, "cublasLtMatmul", run, release, j) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                                    : CUBLAS_STATUS_EXECUTION_FAILED;
}
