/* SPDX-License-Identifier: Apache-2.0
 * The choice of a device, and every way in which a GPU plugin is refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"
#include "device.h"

#include <dlfcn.h>
#include <unistd.h>

static char reason[ADE_DEVICE_REASON];

static ade_status choose(int32_t wanted, int32_t index, int32_t precision, int32_t *device) {
    reason[0] = '\0';
    *device = -1;
    return ade__device_choose(wanted, index, precision, device, reason);
}

/* AUTO takes the CPU and says why; CUDA is refused with the same words. */
static void check_refused(const char *words) {
    int32_t device;
    CHECK_OK(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_AUTO, &device));
    assert_int_equal(device, ADE_DEVICE_CPU);
    CHECK(strncmp(reason, "the CPU is used: ", 17) == 0 && strstr(reason, words), "the reason is \"%s\", without \"%s\"",
          reason, words);
    assert_string_equal(ade_last_error(), "");
    ade_status status = choose(ADE_DEVICE_CUDA, 0, ADE_PRECISION_AUTO, &device);
    CHECK(status == ADE_UNSUPPORTED || status == ADE_DEVICE, "status %d", (int)status);
    CHECK(strncmp(ade_last_error(), "device cuda cannot be used: ", 28) == 0 && strstr(ade_last_error(), words),
          "the error is \"%s\", without \"%s\"", ade_last_error(), words);
}

static void test_without_gpu(void **state) {
    int32_t        device;
    const ade_ops *ops = NULL;
    (void)state;
    CHECK_OK(choose(ADE_DEVICE_CPU, -5, ADE_PRECISION_AUTO, &device)); /* the index is of no effect */
    assert_int_equal(device, ADE_DEVICE_CPU);
    assert_string_equal(reason, "the CPU was asked for");
    CHECK_OK(choose(ADE_DEVICE_NONE, 0, ADE_PRECISION_AUTO, &device));
    assert_int_equal(device, ADE_DEVICE_NONE);
    CHECK_OK(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_F32, &device));
    assert_int_equal(device, ADE_DEVICE_CPU);
    CHECK(strstr(reason, "precision"), "%s", reason);
    CHECK_STATUS(choose(ADE_DEVICE_AUTO, -1, ADE_PRECISION_AUTO, &device), ADE_INVALID_ARGUMENT);
    CHECK_STATUS(choose(ADE_DEVICE_CUDA, -1, ADE_PRECISION_AUTO, &device), ADE_INVALID_ARGUMENT);
    CHECK_STATUS(choose(17, 0, ADE_PRECISION_AUTO, &device), ADE_INVALID_ARGUMENT);
    CHECK_OK(ade__device_ops(ADE_DEVICE_CPU, &ops));
    assert_string_equal(ops->name, "cpu");
    CHECK_STATUS(ade__device_ops(ADE_DEVICE_NONE, &ops), ADE_INTERNAL);
}

static void test_no_plugin(void **state) {
    (void)state;
    unsetenv("ADESIEVE_CUDA_PLUGIN");
    check_refused("there is no GPU plugin at ");
    check_refused("/libadesieve_cuda.so.0; build adesieve with -DADESIEVE_CUDA=ON");
    int32_t device;
    CHECK_STATUS(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_F16, &device), ADE_UNSUPPORTED);
    CHECK(strstr(ade_last_error(), "precision f16 needs a GPU, and none can be used: there is no GPU plugin"), "%s",
          ade_last_error());
}

static void test_named_plugin(void **state) {
    char path[64] = "/tmp/adesieve-test-XXXXXX", *huge = malloc(10000);
    (void)state;
    setenv("ADESIEVE_CUDA_PLUGIN", "libm.so.6", 1); /* the loader's search path is not for us */
    check_refused("give a path with a folder, such as ./libm.so.6");
    setenv("ADESIEVE_CUDA_PLUGIN", "/nowhere/plugin.so", 1);
    check_refused("there is no GPU plugin at /nowhere/plugin.so, which ADESIEVE_CUDA_PLUGIN names");
    memset(huge, 'a', 9999);
    huge[0] = '/', huge[9999] = '\0';
    setenv("ADESIEVE_CUDA_PLUGIN", huge, 1);
    check_refused("too long");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "no library", 10), 10);
    close(file);
    setenv("ADESIEVE_CUDA_PLUGIN", path, 1);
    check_refused("cannot be opened: ");
    unlink(path);
    free(huge);
}

static void test_wrong_plugins(void **state) {
    (void)state;
#ifdef ADE_WRONG_PLUGIN_ABI
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_WRONG_PLUGIN_ABI, 1);
    check_refused("belongs to another version of adesieve");
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_WRONG_PLUGIN_SIZE, 1);
    check_refused("belongs to another version of adesieve");
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_WRONG_PLUGIN_VERSION, 1);
    check_refused("belongs to adesieve 0.0.0-other");
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_WRONG_PLUGIN_TABLE, 1);
    check_refused("offers another table of operations");
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_WRONG_PLUGIN_ENTRY, 1);
    check_refused("it has no symbol ade_plugin");
#else
    skip();
#endif
}

#ifdef ADE_EMULATED_PLUGIN
/* The plugin's own code on a simulated machine (tests/emulator). */
static void simulate(const char *variable, const char *value) {
    static const char *const VARIABLES[] = {"EMU_DRIVER", "EMU_DEVICES", "EMU_CAPABILITY"};
    for (size_t i = 0; i < sizeof VARIABLES / sizeof *VARIABLES; i++) unsetenv(VARIABLES[i]);
    if (variable) setenv(variable, value, 1);
    void *library = dlopen(ADE_EMULATED_PLUGIN, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (!library) return; /* not yet: it reads the variables when it is */
    void *address = dlsym(library, "emu_reset");
    void (*reset)(void) = NULL;
    assert_non_null(address);
    memcpy(&reset, &address, sizeof reset);
    reset();
    dlclose(library);
}
#endif

static void test_simulated_machines(void **state) {
    (void)state;
#ifdef ADE_EMULATED_PLUGIN
    int32_t        device;
    const ade_ops *ops = NULL;
    setenv("ADESIEVE_CUDA_PLUGIN", ADE_EMULATED_PLUGIN, 1);
    setenv("ADESIEVE_CUBLASLT", ADE_EMULATED_CUBLASLT, 1);
    simulate("EMU_DRIVER", "none");
    check_refused("driver");
    simulate("EMU_DRIVER", "11040");
    check_refused("11.4");
    simulate("EMU_DEVICES", "0");
    check_refused("no");
    simulate("EMU_CAPABILITY", "7.0");
    check_refused("7.5");
    simulate(NULL, NULL);
    setenv("ADESIEVE_CUBLASLT", "/nowhere/libcublasLt.so.13", 1);
    check_refused("/nowhere/libcublasLt.so.13");
    setenv("ADESIEVE_CUBLASLT", ADE_EMULATED_CUBLASLT, 1);
    CHECK_STATUS(choose(ADE_DEVICE_CUDA, 1, ADE_PRECISION_AUTO, &device), ADE_UNSUPPORTED);
    CHECK_OK(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_AUTO, &device));
    assert_int_equal(device, ADE_DEVICE_CUDA);
    assert_string_equal(reason, "a GPU was found");
    CHECK_OK(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_F16, &device));
    assert_int_equal(device, ADE_DEVICE_CUDA);
    CHECK_OK(choose(ADE_DEVICE_AUTO, 0, ADE_PRECISION_BF16, &device));
    assert_int_equal(device, ADE_DEVICE_CPU);
    CHECK_OK(choose(ADE_DEVICE_CUDA, 0, ADE_PRECISION_AUTO, &device));
    assert_string_equal(reason, "the GPU was asked for");
    CHECK_OK(ade__device_ops(ADE_DEVICE_CUDA, &ops));
    assert_string_equal(ops->name, "cuda");
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_gpu),   cmocka_unit_test(test_no_plugin),
        cmocka_unit_test(test_named_plugin),  cmocka_unit_test(test_wrong_plugins),
        cmocka_unit_test(test_simulated_machines),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
