/* SPDX-License-Identifier: Apache-2.0
 * What several test programs share: assertions that say what was found, and where test data lies. Include after
 * cmocka.h (or alone, for test_data and CHECK_PLAIN in programs without it). */
#ifndef ADE_CHECK_H
#define ADE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* fail_msg with the condition's text in front. */
#define CHECK(condition, ...)                                                    \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            fail_msg(__VA_ARGS__);                                               \
        }                                                                        \
    } while (0)

/* The status, its name, and the library's own sentence. */
#define CHECK_STATUS(call, expected)                                                                              \
    do {                                                                                                          \
        ade_status check_status = (call);                                                                         \
        if (check_status != (expected))                                                                           \
            fail_msg("%s gave %s instead of %s: %s", #call, ade_status_name(check_status),                        \
                     ade_status_name(expected), ade_last_error());                                                \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, ADE_OK)

/* 1 when the suite is to prove that it can fail: one expectation in it is then wrong. */
static inline int check_wrong(void) {
    const char *value = getenv("ADE_TEST_WRONG");
    return value && *value && strcmp(value, "0") != 0;
}

/* `folder`/`name` in out[capacity]. */
static inline const char *check_path(char *out, size_t capacity, const char *folder, const char *name) {
    if ((size_t)snprintf(out, capacity, "%s/%s", folder, name) >= capacity) abort();
    return out;
}

#ifdef ADE_TEST_DATA_DIR
static inline const char *check_data_dir(void) {
    const char *folder = getenv("ADE_TEST_DATA");
    return folder && *folder ? folder : ADE_TEST_DATA_DIR;
}
#endif

#endif
