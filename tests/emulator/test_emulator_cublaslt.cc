/* SPDX-License-Identifier: Apache-2.0
 * The cuBLASLt stand-in: its products against double precision, what it refuses, and the traps for careless callers.
 * Needs emu_faults.cc, emu_memory.cc, emu_runtime.cc and the stand-in as a library, whose path is the first argument or
 * else in ADESIEVE_CUBLASLT. --speed prints its rate. ADE_TEST_WRONG=1 makes one expectation wrong. */
#include "emu_check.h"
#include "cublasLt.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <string>
#include <vector>

static int failures, checks;

#define CHECK_GIVES(call, expected)                                                                                    \
    do {                                                                                                               \
        const int check_found = static_cast<int>(call);                                                                \
        checks++;                                                                                                      \
        if (check_found != static_cast<int>(expected)) {                                                               \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: %s gave %d instead of %s\n", __FILE__, __LINE__, #call, check_found, #expected);   \
        }                                                                                                              \
    } while (0)
#define CHECK_OK(call) CHECK_GIVES(call, 0)

/* The library is opened as a backend opens it, so nothing here is linked against it. */
#define FUNCTIONS(X)                                                                                                   \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtDestroy)                                                                                                 \
    X(cublasLtGetStatusName)                                                                                           \
    X(cublasLtGetStatusString)                                                                                         \
    X(cublasLtGetVersion)                                                                                              \
    X(cublasLtGetCudartVersion)                                                                                        \
    X(cublasLtGetProperty)                                                                                             \
    X(cublasLtMatrixLayoutInit_internal)                                                                               \
    X(cublasLtMatrixLayoutCreate)                                                                                      \
    X(cublasLtMatrixLayoutDestroy)                                                                                     \
    X(cublasLtMatrixLayoutSetAttribute)                                                                                \
    X(cublasLtMatrixLayoutGetAttribute)                                                                                \
    X(cublasLtMatmulDescCreate)                                                                                        \
    X(cublasLtMatmulDescDestroy)                                                                                       \
    X(cublasLtMatmulDescSetAttribute)                                                                                  \
    X(cublasLtMatmulDescGetAttribute)                                                                                  \
    X(cublasLtMatmulPreferenceCreate)                                                                                  \
    X(cublasLtMatmulPreferenceDestroy)                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                            \
    X(cublasLtMatmulPreferenceGetAttribute)                                                                            \
    X(cublasLtMatmulAlgoGetHeuristic)                                                                                  \
    X(cublasLtMatmulAlgoGetIds)                                                                                        \
    X(cublasLtMatmulAlgoInit)                                                                                          \
    X(cublasLtMatmulAlgoCheck)                                                                                         \
    X(cublasLtMatmulAlgoCapGetAttribute)                                                                               \
    X(cublasLtMatmulAlgoConfigSetAttribute)                                                                            \
    X(cublasLtMatmulAlgoConfigGetAttribute)                                                                            \
    X(cublasLtMatmul)                                                                                                  \
    X(emu_cublaslt_get_counters)                                                                                       \
    X(emu_cublaslt_reset)                                                                                              \
    X(emu_cublaslt_fail)

#define DECLARE(name) static decltype(&name) p_##name;
FUNCTIONS(DECLARE)
#undef DECLARE

static bool open_library(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return false;
    }
#define FIND(name)                                                                                                     \
    p_##name = reinterpret_cast<decltype(&name)>(dlsym(library, #name));                                               \
    if (!p_##name) {                                                                                                   \
        fprintf(stderr, "%s has no %s\n", path, #name);                                                                \
        return false;                                                                                                  \
    }
    FUNCTIONS(FIND)
#undef FIND
    return true;
}

static emu_cublaslt_counters counters() {
    emu_cublaslt_counters now;
    p_emu_cublaslt_get_counters(&now);
    return now;
}

static cublasLtHandle_t handle;
static cudaStream_t     stream;
static void            *shared_workspace;

static const size_t MIB = static_cast<size_t>(1) << 20;

/* ---- f16, by the definition -------------------------------------------------------------------------------------- */

static double value_of(uint16_t half) {
    const int    exponent = half >> 10 & 31;
    const double fraction = half & 1023;
    const double size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -size : size;
}

/* The nearest, ties to even. */
static uint16_t half_of(double value) {
    if (isnan(value)) return 0x7fff;
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    value = fabs(value);
    if (value >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
    int exponent = 0;
    frexp(value, &exponent);
    const int    last = exponent - 11 < -24 ? -24 : exponent - 11; /* power of the last place */
    const double rounded = ldexp(nearbyint(ldexp(value, -last)), last);
    if (rounded < ldexp(1, -14)) return static_cast<uint16_t>(sign | static_cast<int>(ldexp(rounded, 24)));
    frexp(rounded, &exponent);
    return static_cast<uint16_t>(sign | ((exponent + 14) << 10) |
                                 (static_cast<int>(ldexp(rounded, 11 - exponent)) - 1024));
}

/* ---- A product of any kind --------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;
static double   random_value() { /* in [-1, 1) */
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(static_cast<int32_t>(random_state >> 32)) / 2147483648.0;
}

/* A matrix on the device with its values in double. */
struct matrix {
    cudaDataType           type = CUDA_R_32F;
    size_t                 rows = 0, cols = 0, ld = 0;
    std::vector<double>    values; /* ld * cols; what the device holds, exactly */
    void                  *device = nullptr;
    cublasLtMatrixLayout_t layout = nullptr;

    size_t element() const { return type == CUDA_R_16F ? 2 : 4; }
    size_t bytes() const { return ((cols - 1) * ld + rows) * element(); }

    matrix(cudaDataType type_, size_t rows_, size_t cols_, size_t ld_)
        : type(type_), rows(rows_), cols(cols_), ld(ld_) {
        values.resize(ld * cols);
        CHECK_OK(cudaMalloc(&device, bytes()));
        for (double &value : values) value = random_value();
        upload();
        CHECK_OK(p_cublasLtMatrixLayoutCreate(&layout, type, rows, cols, static_cast<int64_t>(ld)));
    }
    matrix(const matrix &) = delete;
    matrix &operator=(const matrix &) = delete;
    ~matrix() {
        CHECK_OK(cudaFree(device));
        CHECK_OK(p_cublasLtMatrixLayoutDestroy(layout));
    }

    void upload() {
        std::vector<char> raw(ld * cols * element());
        for (size_t i = 0; i < values.size(); i++)
            if (type == CUDA_R_16F) {
                const uint16_t half = half_of(values[i]);
                memcpy(&raw[2 * i], &half, 2);
                values[i] = value_of(half);
            } else {
                const float single = static_cast<float>(values[i]);
                memcpy(&raw[4 * i], &single, 4);
                values[i] = static_cast<double>(single);
            }
        CHECK_OK(cudaMemcpy(device, raw.data(), bytes(), cudaMemcpyHostToDevice));
        CHECK_OK(cudaDeviceSynchronize());
    }
    /* The device's bytes. */
    std::vector<char> raw() const {
        std::vector<char> out(bytes());
        CHECK_OK(cudaMemcpy(out.data(), device, bytes(), cudaMemcpyDeviceToHost));
        return out;
    }
    std::vector<double> download() const {
        const std::vector<char> from = raw();
        std::vector<double>     out(bytes() / element());
        for (size_t i = 0; i < out.size(); i++) {
            uint16_t half;
            float    single;
            memcpy(&half, &from[2 * i], 2);
            if (type == CUDA_R_32F) memcpy(&single, &from[4 * i], 4);
            out[i] = type == CUDA_R_16F ? value_of(half) : static_cast<double>(single);
        }
        return out;
    }
};

struct setting {
    size_t       m, n, k;
    bool         ta, tb;
    cudaDataType input, output;
    float        alpha, beta;
    unsigned     epilogue;
    size_t       gap; /* added to the leading dimensions, and in D and C more */
};

/* All that a call needs. */
struct call {
    setting              s;
    matrix               a, b, c, d, bias;
    cublasLtMatmulDesc_t desc = nullptr;
    void                *workspace = nullptr; /* of this call alone; else all share one */

    explicit call(const setting &s_)
        : s(s_), a(s.input, s.ta ? s.k : s.m, s.ta ? s.m : s.k, (s.ta ? s.k : s.m) + s.gap),
          b(s.input, s.tb ? s.n : s.k, s.tb ? s.k : s.n, (s.tb ? s.n : s.k) + s.gap),
          c(s.output, s.m, s.n, s.m + 2 * s.gap), d(s.output, s.m, s.n, s.m + s.gap), bias(s.output, s.m, 1, s.m) {
        const cublasOperation_t ta = s.ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb = s.tb ? CUBLAS_OP_T : CUBLAS_OP_N;
        const uint32_t          epilogue = s.epilogue;
        CHECK_OK(p_cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
        set(CUBLASLT_MATMUL_DESC_TRANSA, ta);
        set(CUBLASLT_MATMUL_DESC_TRANSB, tb);
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
        if (epilogue & CUBLASLT_EPILOGUE_BIAS) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.device);
    }
    call(const call &) = delete;
    call &operator=(const call &) = delete;
    ~call() {
        CHECK_OK(p_cublasLtMatmulDescDestroy(desc));
        CHECK_OK(cudaFree(workspace));
    }
    template <class T> void set(cublasLtMatmulDescAttributes_t attribute, const T &value) {
        CHECK_OK(p_cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
    }

    std::vector<cublasLtMatmulHeuristicResult_t> ask(size_t workspace_bytes, uint32_t reductions, int most = 16,
                                                     uint32_t alignment = 16) {
        cublasLtMatmulPreference_t                   preference = nullptr;
        std::vector<cublasLtMatmulHeuristicResult_t> results(16);
        int                                          count = 0;
        CHECK_OK(p_cublasLtMatmulPreferenceCreate(&preference));
        CHECK_OK(p_cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                        &workspace_bytes, sizeof workspace_bytes));
        CHECK_OK(p_cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                        &reductions, sizeof reductions));
        for (int i = 0; i < 4; i++)
            CHECK_OK(p_cublasLtMatmulPreferenceSetAttribute(
                preference,
                static_cast<cublasLtMatmulPreferenceAttributes_t>(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + i),
                &alignment, sizeof alignment));
        CHECK_OK(p_cublasLtMatmulAlgoGetHeuristic(handle, desc, a.layout, b.layout, c.layout, d.layout, preference,
                                                  most, results.data(), &count));
        CHECK_OK(p_cublasLtMatmulPreferenceDestroy(preference));
        results.resize(static_cast<size_t>(count));
        return results;
    }

    cublasStatus_t queue(const cublasLtMatmulAlgo_t *algo, size_t workspace_bytes) {
        return queue(algo, workspace_bytes, workspace);
    }
    cublasStatus_t queue(const cublasLtMatmulAlgo_t *algo, size_t workspace_bytes, void *memory) {
        return p_cublasLtMatmul(handle, desc, &s.alpha, a.device, a.layout, b.device, b.layout, &s.beta, c.device,
                                c.layout, d.device, d.layout, algo, memory, workspace_bytes, stream);
    }
    void run(const cublasLtMatmulHeuristicResult_t &chosen) {
        CHECK_OK(queue(&chosen.algo, chosen.workspaceSize, chosen.workspaceSize ? shared_workspace : nullptr));
        CHECK_OK(cudaStreamSynchronize(stream));
    }

    double expected(size_t row, size_t column) const {
        double sum = 0;
        for (size_t i = 0; i < s.k; i++)
            sum += a.values[s.ta ? row * a.ld + i : i * a.ld + row] *
                   b.values[s.tb ? i * b.ld + column : column * b.ld + i];
        sum *= static_cast<double>(s.alpha);
        if (s.beta != 0) sum += static_cast<double>(s.beta) * c.values[column * c.ld + row];
        if (s.epilogue & CUBLASLT_EPILOGUE_BIAS) sum += bias.values[row];
        if (s.epilogue & CUBLASLT_EPILOGUE_RELU) sum = sum > 0 ? sum : 0;
        if (s.epilogue & CUBLASLT_EPILOGUE_GELU)
            sum = sum / 2 * (1 + tanh(sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
        return sum;
    }
    /* The largest error, in units of what is allowed; the gaps between columns must be as they were. */
    double error() const {
        const std::vector<double> found = d.download();
        double                    worst = 0;
        for (size_t at = 0; at < found.size(); at++) {
            const size_t row = at % d.ld, column = at / d.ld;
            if (row >= s.m) {
                if (!(found[at] == d.values[at])) worst = INFINITY;
                continue;
            }
            const double right = expected(row, column);
            const double allowed =
                2e-6 * sqrt(static_cast<double>(s.k)) + (s.output == CUDA_R_16F ? fabs(right) / 2000 : 0);
            const double off = fabs(found[at] - right) / allowed;
            if (!(off <= worst)) worst = off;
        }
        return worst;
    }
};

static setting dense(size_t m, size_t n, size_t k) {
    return {m, n, k, true, false, CUDA_R_16F, CUDA_R_16F, 1, 0, CUBLASLT_EPILOGUE_DEFAULT, 0};
}

static int config(const cublasLtMatmulAlgo_t &algo, cublasLtMatmulAlgoConfigAttributes_t attribute) {
    int    value = -1;
    size_t written = 0;
    CHECK_OK(p_cublasLtMatmulAlgoConfigGetAttribute(&algo, attribute, &value, sizeof value, &written));
    CHECK(written == sizeof value);
    return value;
}

/* The usable ones without split. */
static std::vector<cublasLtMatmulHeuristicResult_t> whole(call &c, size_t workspace_bytes = 64 * MIB) {
    std::vector<cublasLtMatmulHeuristicResult_t> kept;
    for (const auto &result : c.ask(workspace_bytes, CUBLASLT_REDUCTION_SCHEME_NONE))
        if (result.state == CUBLAS_STATUS_SUCCESS) kept.push_back(result);
    return kept;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void test_library() {
    int              value = 0;
    cublasLtHandle_t none = nullptr;
    CHECK(p_cublasLtGetVersion() == 130100 && p_cublasLtGetCudartVersion() == 13000);
    setenv("EMU_CUBLAS_VERSION", "120901", 1);
    CHECK(p_cublasLtGetVersion() == 120901);
    unsetenv("EMU_CUBLAS_VERSION");
    CHECK_OK(p_cublasLtGetProperty(MINOR_VERSION, &value));
    CHECK(value == 1);
    CHECK(!strcmp(p_cublasLtGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED"));
    CHECK(!strcmp(p_cublasLtGetStatusString(CUBLAS_STATUS_ALLOC_FAILED), "the resource allocation failed"));
    CHECK(!strcmp(p_cublasLtGetStatusName(static_cast<cublasStatus_t>(99)), "unrecognized status"));
    CHECK_GIVES(p_cublasLtDestroy(nullptr), CUBLAS_STATUS_INVALID_VALUE);
    for (const char *driver : {"none", "12080"}) {
        setenv("EMU_DRIVER", driver, 1);
        CHECK_GIVES(p_cublasLtCreate(&none), CUBLAS_STATUS_NOT_INITIALIZED);
    }
    unsetenv("EMU_DRIVER");
    setenv("EMU_DEVICES", "0", 1);
    CHECK_GIVES(p_cublasLtCreate(&none), CUBLAS_STATUS_NOT_INITIALIZED);
    unsetenv("EMU_DEVICES");
    p_emu_cublaslt_fail("cublasLtCreate", 2, CUBLAS_STATUS_ALLOC_FAILED);
    CHECK_OK(p_cublasLtCreate(&none));
    CHECK_OK(p_cublasLtDestroy(none));
    CHECK_GIVES(p_cublasLtCreate(&none), CUBLAS_STATUS_ALLOC_FAILED);
    setenv("EMU_CUBLAS_FAIL", "cublasLtCreate:1:14,*:2:8", 1);
    p_emu_cublaslt_reset();
    unsetenv("EMU_CUBLAS_FAIL");
    CHECK_GIVES(p_cublasLtCreate(&none), CUBLAS_STATUS_INTERNAL_ERROR);
    CHECK_GIVES(p_cublasLtCreate(&none), CUBLAS_STATUS_ARCH_MISMATCH);
    CHECK(counters().live_handles == 1 && counters().calls == 2); /* `handle` */
    p_emu_cublaslt_reset();
}

static void test_attributes() {
    cublasLtMatmulDesc_t       desc = nullptr;
    cublasLtMatrixLayout_t     layout = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    int32_t                    number = 0;
    uint64_t                   big = 0;
    size_t                     written = 0;
    CHECK_OK(p_cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CHECK_OK(p_cublasLtMatmulDescGetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &number, 4, &written));
    CHECK(number == -1 && written == 4);
    CHECK_OK(p_cublasLtMatmulDescGetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &number, 4, &written));
    CHECK(number == CUBLASLT_EPILOGUE_DEFAULT);
    CHECK_OK(p_cublasLtMatmulDescGetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr, 0, &written));
    CHECK(written == sizeof(void *));
    CHECK_GIVES(p_cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &number, 2),
                CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(p_cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &big, 8),
                CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(p_cublasLtMatmulDescSetAttribute(desc, static_cast<cublasLtMatmulDescAttributes_t>(99), &number, 4),
                CUBLAS_STATUS_INVALID_VALUE);
    CHECK_OK(p_cublasLtMatrixLayoutCreate(&layout, CUDA_R_16F, 10, 5, 10));
    CHECK_GIVES(p_cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &number, 4),
                CUBLAS_STATUS_INVALID_VALUE);
    big = 3;
    CHECK_OK(p_cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &big, 8));
    big = 0;
    CHECK_OK(p_cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &big, 8, &written));
    CHECK(big == 3);
    CHECK_OK(p_cublasLtMatmulPreferenceCreate(&preference));
    CHECK_OK(p_cublasLtMatmulPreferenceGetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &big, 8,
                                                    &written));
    CHECK(big == 0);
    CHECK_OK(p_cublasLtMatmulPreferenceGetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &number, 4,
                                                    &written));
    CHECK(number == 7);
    CHECK(counters().live_descriptors == 3);
    CHECK_OK(p_cublasLtMatmulDescDestroy(desc));
    CHECK_OK(p_cublasLtMatrixLayoutDestroy(layout));
    CHECK_OK(p_cublasLtMatmulPreferenceDestroy(preference));
    CHECK_GIVES(p_cublasLtMatmulDescDestroy(desc), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_OK(p_cublasLtMatmulDescDestroy(nullptr));
    CHECK_GIVES(p_cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &number, 4),
                CUBLAS_STATUS_INVALID_VALUE);
    CHECK(counters().live_descriptors == 0);
}

static void check_product(const setting &s) {
    call c(s);
    for (const auto &result : c.ask(64 * MIB, CUBLASLT_REDUCTION_SCHEME_MASK)) {
        if (result.state != CUBLAS_STATUS_SUCCESS) continue;
        c.run(result);
        const double error = c.error();
        checks++;
        if (error <= 1) continue;
        failures++;
        fprintf(stderr,
                "m %zu n %zu k %zu %c%c types %d %d alpha %g beta %g epilogue %u gap %zu: error %g times the bound\n",
                s.m, s.n, s.k, s.ta ? 'T' : 'N', s.tb ? 'T' : 'N', s.input, s.output, static_cast<double>(s.alpha),
                static_cast<double>(s.beta), s.epilogue, s.gap, error);
    }
}

static void test_products() {
    const size_t       sizes[][3] = {{1, 1, 1},     {16, 6, 32},   {17, 7, 33}, {15, 5, 31},
                                     {64, 200, 96}, {3, 193, 130}, {50, 2, 257}};
    const cudaDataType types[][2] = {{CUDA_R_16F, CUDA_R_16F}, {CUDA_R_16F, CUDA_R_32F}, {CUDA_R_32F, CUDA_R_32F}};
    const char        *wrong = getenv("ADE_TEST_WRONG");
    for (const auto &size : sizes)
        for (const auto &type : types)
            for (int transposes = 0; transposes < 4; transposes++)
                check_product({size[0], size[1], size[2], (transposes & 1) != 0, (transposes & 2) != 0, type[0],
                               type[1], 1, 0, CUBLASLT_EPILOGUE_DEFAULT, 0});
    for (unsigned epilogue : {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU,
                              CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS})
        for (const auto &type : types)
            check_product({33, 19, 70, true, false, type[0], type[1], 0.5f, -2, epilogue, 3});
    check_product(dense(64, 520, 64)); /* where the algorithm for many columns is proposed */

    call         c(dense(20, 9, 40));
    const auto   chosen = whole(c).at(0);
    const double infinity = INFINITY;
    c.b.values[0] = infinity; /* special values and the order of rounding, against the definition */
    c.b.values[40] = ldexp(1, -24);
    c.b.values[80] = NAN;
    c.b.upload();
    c.run(chosen);
    const std::vector<double> found = c.d.download();
    CHECK(isinf(found[0]) || isnan(found[0]));
    CHECK(isnan(found[2 * 20]));
    CHECK(fabs(found[20] - c.expected(0, 1)) < 1e-3 + (wrong && !strcmp(wrong, "1") ? -1 : 0));

    /* In place: C is D. Without beta, C is not read, so NaN in it does not matter. */
    call       in_place({24, 11, 48, true, false, CUDA_R_16F, CUDA_R_32F, 1, 1, CUBLASLT_EPILOGUE_DEFAULT, 0});
    const auto algo = whole(in_place).at(0).algo;
    in_place.c.values = in_place.d.values;
    CHECK_OK(p_cublasLtMatmul(handle, in_place.desc, &in_place.s.alpha, in_place.a.device, in_place.a.layout,
                              in_place.b.device, in_place.b.layout, &in_place.s.beta, in_place.d.device,
                              in_place.d.layout, in_place.d.device, in_place.d.layout, &algo, shared_workspace,
                              64 * MIB, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(in_place.error() <= 1);
}

/* The columns of D that the first `columns` columns of one big product share with it must be its bits. */
static void check_invariance(size_t m, size_t k, cudaDataType input, cudaDataType output) {
    const size_t most = 700;
    setting      s = dense(m, most, k);
    s.input = input;
    s.output = output;
    call       big(s);
    const auto algos = whole(big);
    CHECK(algos.size() == 4);
    for (const auto &algo : algos) {
        big.run(algo);
        const std::vector<char> right = big.d.raw();
        for (size_t columns : {1, 2, 5, 6, 7, 128, 256, 300}) {
            setting part = s;
            part.n = columns;
            for (size_t first : {static_cast<size_t>(0), most - columns}) {
                call                            small(part);
                cublasLtMatmulHeuristicResult_t checked;
                small.a.values = big.a.values;
                for (size_t i = 0; i < small.b.values.size(); i++) small.b.values[i] = big.b.values[first * k + i];
                small.a.upload();
                small.b.upload();
                const cublasStatus_t status =
                    p_cublasLtMatmulAlgoCheck(handle, small.desc, small.a.layout, small.b.layout, small.c.layout,
                                              small.d.layout, &algo.algo, &checked);
                if (status == CUBLAS_STATUS_NOT_SUPPORTED && columns < 256) continue; /* it is for many columns */
                CHECK_OK(status);
                small.run(algo);
                const std::vector<char> found = small.d.raw();
                CHECK(!memcmp(found.data(), right.data() + first * m * small.d.element(), found.size()));
            }
        }
    }
}

/* How many pairs of these give the same bits. */
static int same_bits(call &c, const std::vector<cublasLtMatmulHeuristicResult_t> &results) {
    std::vector<std::vector<char>> bits;
    int                            same = 0;
    for (const auto &result : results) {
        c.run(result);
        for (const auto &other : bits) same += other == c.d.raw();
        bits.push_back(c.d.raw());
    }
    return same;
}

static void test_invariance() {
    check_invariance(48, 96, CUDA_R_16F, CUDA_R_16F);
    check_invariance(17, 64, CUDA_R_32F, CUDA_R_32F);
    check_invariance(16, 200, CUDA_R_16F, CUDA_R_32F);

    /* The traps. Which comes first depends on the number of columns, and their bits differ. */
    call few(dense(64, 128, 64)), many(dense(64, 1024, 64));
    CHECK(config(whole(few).at(0).algo, CUBLASLT_ALGO_CONFIG_STAGES_ID) !=
          config(whole(many).at(0).algo, CUBLASLT_ALGO_CONFIG_STAGES_ID));
    cublasLtMatmulHeuristicResult_t checked;
    const cublasLtMatmulAlgo_t      for_many = whole(many).at(0).algo;
    CHECK_OK(p_cublasLtMatmulAlgoCheck(handle, many.desc, many.a.layout, many.b.layout, many.c.layout, many.d.layout,
                                       &for_many, &checked));
    CHECK_GIVES(p_cublasLtMatmulAlgoCheck(handle, few.desc, few.a.layout, few.b.layout, few.c.layout, few.d.layout,
                                          &for_many, &checked),
                CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(few.queue(&for_many, 0), CUBLAS_STATUS_NOT_SUPPORTED);
    call       wide({64, 600, 64, true, false, CUDA_R_16F, CUDA_R_32F, 1, 0, CUBLASLT_EPILOGUE_DEFAULT, 0});
    const auto algos = whole(wide);
    CHECK(algos.size() == 4 && same_bits(wide, algos) == 1); /* of two tiles with one block */

    /* Split K comes first, has other bits, and they depend on the place in the batch. */
    const auto all = wide.ask(64 * MIB, CUBLASLT_REDUCTION_SCHEME_MASK);
    CHECK(config(all.at(0).algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) == 4);
    CHECK(config(all.at(0).algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) == CUBLASLT_REDUCTION_SCHEME_INPLACE);
    CHECK(all.at(1).state != CUBLAS_STATUS_SUCCESS);
    CHECK(config(all.at(2).algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    CHECK(all.at(2).workspaceSize == 4 * 64 * 600 * sizeof(float));
    CHECK(same_bits(wide, {all.at(0), all.at(2), algos.at(0), algos.at(2)}) == 0);
    for (size_t i = 0; i < 64; i++) wide.b.values[64 + i] = wide.b.values[i]; /* columns 0 and 1 */
    wide.b.upload();
    for (const auto &result : {all.at(0), all.at(2), algos.at(0)}) {
        wide.run(result);
        const std::vector<char> found = wide.d.raw();
        const bool              differs = memcmp(&found[0], &found[64 * 4], 64 * 4) != 0;
        CHECK(differs ==
              (config(result.algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) == CUBLASLT_REDUCTION_SCHEME_INPLACE));
    }
    for (const auto &result : wide.ask(64 * MIB, CUBLASLT_REDUCTION_SCHEME_NONE))
        if (result.state == CUBLAS_STATUS_SUCCESS) CHECK(config(result.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1);
    CHECK(counters().split_products > 0);
}

static void test_workspace() {
    call c(dense(64, 128, 64));
    for (const auto &result : whole(c, 0)) CHECK(result.workspaceSize == 0);
    for (const auto &result : whole(c, 32 * MIB)) CHECK(result.workspaceSize <= MIB);
    const auto algos = whole(c);
    CHECK(algos.at(0).workspaceSize == MIB && algos.at(2).workspaceSize == 48 * MIB);
    CHECK_GIVES(c.queue(&algos.at(0).algo, MIB), CUBLAS_STATUS_INVALID_VALUE); /* none */
    CHECK_OK(cudaMalloc(&c.workspace, MIB));
    CHECK_GIVES(c.queue(&algos.at(0).algo, MIB - 1), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_OK(c.queue(&algos.at(0).algo, MIB));
    CHECK_OK(c.queue(&algos.at(1).algo, 0));
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(c.error() <= 1);

    /* A caller's own settings: no split after all; another block. */
    auto          chosen = c.ask(64 * MIB, CUBLASLT_REDUCTION_SCHEME_MASK).at(0);
    const int32_t one = 1;
    uint32_t      setting = CUBLASLT_REDUCTION_SCHEME_NONE;
    CHECK_OK(p_cublasLtMatmulAlgoConfigSetAttribute(&chosen.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &one, 4));
    CHECK_GIVES(c.queue(&chosen.algo, MIB), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_OK(p_cublasLtMatmulAlgoConfigSetAttribute(&chosen.algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &setting, 4));
    CHECK_OK(c.queue(&chosen.algo, MIB));
    int    ids[8], count = 0;
    size_t written = 0;
    CHECK_OK(p_cublasLtMatmulAlgoGetIds(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F,
                                        CUDA_R_16F, 8, ids, &count));
    CHECK(count == 3);
    cublasLtMatmulAlgo_t            own;
    cublasLtMatmulHeuristicResult_t checked;
    CHECK_OK(p_cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F,
                                      CUDA_R_16F, ids[0], &own));
    CHECK_GIVES(
        p_cublasLtMatmulAlgoCheck(handle, c.desc, c.a.layout, c.b.layout, c.c.layout, c.d.layout, &own, &checked),
        CUBLAS_STATUS_NOT_SUPPORTED);
    uint32_t tiles[16];
    CHECK_OK(p_cublasLtMatmulAlgoCapGetAttribute(&own, CUBLASLT_ALGO_CAP_TILE_IDS, tiles, sizeof tiles, &written));
    CHECK(written == 5 * sizeof tiles[0]);
    setting = CUBLASLT_MATMUL_STAGES_64x4;
    CHECK_OK(p_cublasLtMatmulAlgoConfigSetAttribute(&own, CUBLASLT_ALGO_CONFIG_TILE_ID, &tiles[1], 4));
    CHECK_OK(p_cublasLtMatmulAlgoConfigSetAttribute(&own, CUBLASLT_ALGO_CONFIG_STAGES_ID, &setting, 4));
    CHECK_OK(p_cublasLtMatmulAlgoCheck(handle, c.desc, c.a.layout, c.b.layout, c.c.layout, c.d.layout, &own, &checked));
    CHECK_OK(c.queue(&own, 0));
    CHECK_OK(c.queue(nullptr, MIB));
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(c.error() <= 1);
}

static cublasStatus_t ask_status(call &c) {
    cublasLtMatmulPreference_t      preference = nullptr;
    cublasLtMatmulHeuristicResult_t result;
    int                             count = 77;
    CHECK_OK(p_cublasLtMatmulPreferenceCreate(&preference));
    const cublasStatus_t status = p_cublasLtMatmulAlgoGetHeuristic(handle, c.desc, c.a.layout, c.b.layout, c.c.layout,
                                                                   c.d.layout, preference, 1, &result, &count);
    CHECK(count == (status == CUBLAS_STATUS_SUCCESS ? 1 : 0));
    CHECK_OK(p_cublasLtMatmulPreferenceDestroy(preference));
    return status;
}

template <class T> static cublasStatus_t with(cublasLtMatmulDescAttributes_t attribute, const T &value) {
    call c(dense(16, 8, 16));
    c.set(attribute, value);
    return ask_status(c);
}

template <class T> static cublasStatus_t with(cublasLtMatrixLayoutAttribute_t attribute, const T &value) {
    call c(dense(16, 8, 16));
    CHECK_OK(p_cublasLtMatrixLayoutSetAttribute(c.d.layout, attribute, &value, sizeof value));
    return ask_status(c);
}

static void test_refusals() {
    CHECK_OK(with(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, 100));
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, CUBLAS_COMPUTE_16F), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_SCALE_TYPE, CUDA_R_16F), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_POINTER_MODE, CUBLASLT_POINTER_MODE_DEVICE), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_C), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_TRANSC, CUBLAS_OP_T), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATRIX_LAYOUT_ORDER, CUBLASLT_ORDER_ROW), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 2), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATRIX_LAYOUT_TYPE, CUDA_R_16BF), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(with(CUBLASLT_MATRIX_LAYOUT_ROWS, static_cast<uint64_t>(15)), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(with(CUBLASLT_MATRIX_LAYOUT_LD, static_cast<int64_t>(15)), CUBLAS_STATUS_INVALID_VALUE);
    call biased({16, 8, 16, true, false, CUDA_R_16F, CUDA_R_16F, 1, 0, CUBLASLT_EPILOGUE_BIAS, 0});
    CHECK_OK(ask_status(biased));
    biased.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    CHECK_GIVES(ask_status(biased), CUBLAS_STATUS_NOT_SUPPORTED);
    biased.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_16F);
    CHECK_OK(ask_status(biased));

    CHECK_OK(cudaMalloc(&biased.workspace, MIB));
    const auto                 chosen = biased.ask(0, CUBLASLT_REDUCTION_SCHEME_NONE).at(0);
    const cublasLtMatmulAlgo_t zero = {};
    CHECK_GIVES(biased.queue(&zero, MIB), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_OK(biased.queue(&chosen.algo, MIB));
    biased.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void *>(nullptr));
    CHECK_GIVES(biased.queue(&chosen.algo, MIB), CUBLAS_STATUS_INVALID_VALUE);
    biased.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, biased.bias.device);

    call       c(dense(16, 8, 16));
    float      one = 1;
    char      *a = static_cast<char *>(c.a.device);
    const auto with_pointers = [&](const void *A, const void *B, const void *C, void *D, cudaStream_t on) {
        return p_cublasLtMatmul(handle, c.desc, &one, A, c.a.layout, B, c.b.layout, &one, C, c.c.layout, D, c.d.layout,
                                &chosen.algo, biased.workspace, MIB, on);
    };
    CHECK_OK(with_pointers(a, c.b.device, c.c.device, c.d.device, stream));
    CHECK_GIVES(with_pointers(nullptr, c.b.device, c.c.device, c.d.device, stream), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(with_pointers(a, c.b.device, nullptr, c.d.device, stream), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(with_pointers(a + 8, c.b.device, c.c.device, c.d.device, stream), CUBLAS_STATUS_INVALID_VALUE);
    CHECK_GIVES(with_pointers(a, c.b.device, c.c.device, c.d.device, nullptr), CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK_GIVES(p_cublasLtMatmul(nullptr, c.desc, &one, a, c.a.layout, c.b.device, c.b.layout, &one, c.c.device,
                                 c.c.layout, c.d.device, c.d.layout, &chosen.algo, nullptr, 0, stream),
                CUBLAS_STATUS_NOT_INITIALIZED);
    CHECK_OK(cudaStreamSynchronize(stream));

    /* An algorithm for other types; one chosen for what is aligned to 8 bytes alone. */
    call mixed({16, 8, 16, true, false, CUDA_R_16F, CUDA_R_32F, 1, 0, CUBLASLT_EPILOGUE_DEFAULT, 0});
    CHECK_GIVES(mixed.queue(&chosen.algo, 0), CUBLAS_STATUS_INVALID_VALUE);
    call       eight(dense(16, 8, 16));
    const auto loose = eight.ask(0, CUBLASLT_REDUCTION_SCHEME_NONE, 1, 8);
    void      *longer = nullptr;
    CHECK_OK(cudaMalloc(&longer, 2 * eight.a.bytes()));
    CHECK_OK(p_cublasLtMatmul(handle, eight.desc, &one, static_cast<char *>(longer) + 8, eight.a.layout, eight.b.device,
                              eight.b.layout, &one, eight.c.device, eight.c.layout, eight.d.device, eight.d.layout,
                              &loose.at(0).algo, nullptr, 0, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK_OK(cudaFree(longer));
}

/* What cannot be seen when it is called: memory that is too short, D over its own input. And a lazy queue. */
static void test_faults() {
    call       c(dense(32, 16, 32));
    const auto chosen = c.ask(0, CUBLASLT_REDUCTION_SCHEME_NONE).at(0);
    float      one = 1, zero = 0;
    c.s.alpha = 1;
    CHECK_OK(c.queue(&chosen.algo, 0));
    emu_counters queued;
    emu_get_counters(&queued);
    CHECK(queued.queued == 1);
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(c.error() <= 1);

    p_emu_cublaslt_fail("cublasLtMatmul", 1, CUBLAS_STATUS_EXECUTION_FAILED);
    CHECK_GIVES(c.queue(&chosen.algo, 0), CUBLAS_STATUS_EXECUTION_FAILED);
    emu_fail("cudaLaunchKernel", 1, cudaErrorLaunchOutOfResources);
    CHECK_GIVES(c.queue(&chosen.algo, 0), CUBLAS_STATUS_EXECUTION_FAILED);
    CHECK_GIVES(cudaGetLastError(), cudaErrorLaunchOutOfResources);

    const auto faulty = [&](const void *a, void *d) {
        CHECK_OK(p_cublasLtMatmul(handle, c.desc, &one, a, c.a.layout, c.b.device, c.b.layout, &zero, d, c.d.layout, d,
                                  c.d.layout, &chosen.algo, nullptr, 0, stream));
        const cudaError_t error = cudaStreamSynchronize(stream);
        emu_reset();
        return error;
    };
    std::vector<char> host(4096);
    char             *aligned = host.data() + (16 - reinterpret_cast<uintptr_t>(host.data()) % 16) % 16;
    fprintf(stderr, "three device faults follow, which are meant:\n");
    CHECK_GIVES(faulty(static_cast<char *>(c.a.device) + 16, c.d.device), cudaErrorIllegalAddress);
    CHECK_GIVES(faulty(aligned, c.d.device), cudaErrorIllegalAddress);
    CHECK_GIVES(faulty(c.a.device, c.b.device), cudaErrorLaunchFailure);
    c.run(chosen);
    CHECK(c.error() <= 1);
}

static void print_speed() {
    for (size_t n : {64, 1024}) {
        call       c(dense(768, n, 768));
        const auto chosen = whole(c, 0).at(0);
        c.run(chosen);
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 5; i++) c.run(chosen);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 5;
        printf("768 x %zu x 768, f16: %.1f GFLOP/s\n", n, 2.0 * 768 * 768 * static_cast<double>(n) / seconds * 1e-9);
    }
}

int main(int argc, char **argv) {
    const bool  speed = argc > 1 && !strcmp(argv[argc - 1], "--speed");
    const char *path = argc > (speed ? 2 : 1) ? argv[1] : getenv("ADESIEVE_CUBLASLT");
    if (!path || !open_library(path)) {
        fprintf(stderr, "usage: %s path-of-the-stand-in [--speed]\n", argv[0]);
        return 2;
    }
    CHECK_OK(p_cublasLtCreate(&handle));
    CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK_OK(cudaMalloc(&shared_workspace, 64 * MIB));
    test_library();
    test_attributes();
    test_products();
    setenv("EMU_CUBLAS_ISA", "any", 1);
    test_products();
    unsetenv("EMU_CUBLAS_ISA");
    test_invariance();
    test_workspace();
    test_refusals();
    test_faults();
    if (speed) print_speed();
    CHECK_OK(p_cublasLtDestroy(handle));
    CHECK_OK(cudaFree(shared_workspace));
    CHECK_OK(cudaStreamDestroy(stream));
    CHECK(counters().live_handles == 0 && counters().live_descriptors == 0);
    emu_counters end;
    emu_get_counters(&end);
    CHECK(end.live_allocations == 0 && end.queued == 0);
    printf("%d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
