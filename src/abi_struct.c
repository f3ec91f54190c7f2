/* SPDX-License-Identifier: Apache-2.0 */
#include "abi_struct.h"

#include "status.h"

#include <string.h>

#define LARGEST 4096 /* no struct of ours comes near; a stack value left uninitialised is likely beyond */

static ade_status size_of(const void *callers, const char *name, size_t *out) {
    uint32_t size;
    memcpy(&size, callers, sizeof size);
    if (size < sizeof size || size > LARGEST)
        return ade__fail(ADE_INVALID_ARGUMENT, "%s was not set up with its INIT macro: its struct_size is %u", name,
                         (unsigned)size);
    *out = size;
    return ADE_OK;
}

ade_status ade__options_check(const void *callers, const char *name) {
    size_t size = 0;
    return size_of(callers, name, &size);
}

ade_status ade__options_in(void *known, size_t known_size, const void *callers, const char *name) {
    size_t size = 0;
    ADE_TRY(size_of(callers, name, &size));
    for (size_t i = known_size; i < size; i++)
        if (((const unsigned char *)callers)[i])
            return ade__fail(ADE_UNSUPPORTED, "%s sets a member that adesieve %d.%d.%d does not know; use a newer library",
                             name, ADE_VERSION_MAJOR, ADE_VERSION_MINOR, ADE_VERSION_PATCH);
    memcpy(known, callers, size < known_size ? size : known_size);
    return ADE_OK;
}

ade_status ade__options_out(void *callers, const void *known, size_t known_size, const char *name) {
    size_t size = 0;
    ADE_TRY(size_of(callers, name, &size));
    if (size > known_size) { /* a newer caller: what this library does not know is zero */
        memset((unsigned char *)callers + known_size, 0, size - known_size);
        size = known_size;
    }
    memcpy((unsigned char *)callers + sizeof(uint32_t), (const unsigned char *)known + sizeof(uint32_t),
           size - sizeof(uint32_t));
    return ADE_OK;
}

/* Every struct that the public header defines (python_bindings/tests/test_abi.py compares). */
#define STRUCTS(X)                                                                                                     \
    X(ade_text) X(ade_model_options) X(ade_model_info) X(ade_session_options) X(ade_session_info)                      \
    X(ade_session_profile) X(ade_result)                                                                               \
    X(ade_token) X(ade_tokens_info) X(ade_calibration_info) X(ade_operating_point) X(ade_calibration_options)          \
    X(ade_text_list) X(ade_screen_record) X(ade_screen_part) X(ade_screen_options) X(ade_screen_row)                   \
    X(ade_screen_stats) X(ade_screen_file) X(ade_export_info) X(ade_export_document)

size_t ade__struct_size(const char *name) {
    static const struct { const char *name; size_t size; } known[] = {
#define NAME_AND_SIZE(type) {#type, sizeof(type)},
        STRUCTS(NAME_AND_SIZE)
#undef NAME_AND_SIZE
    };
    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) return known[i].size;
    return 0;
}
