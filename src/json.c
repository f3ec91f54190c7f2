/* SPDX-License-Identifier: Apache-2.0
 * JSON from a model folder: see json.h. */
#include "json.h"

#include "alloc.h"
#include "status.h"

#include <stdio.h>

/* The largest legal file is a safetensors header of 100,000 tensors: three containers each, and up to eight sizes, two
 * offsets and two further commas. */
enum { MAX_DEPTH = 64, MAX_CONTAINERS = 310000, MAX_VALUES = 2200000 };

static ade_status check_extent(const char *where, const char *data, size_t size) {
    size_t depth = 0, containers = 0, values = 0;
    int    in_string = 0;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
            continue;
        }
        if (c == '"')
            in_string = 1;
        else if (c == ',')
            values++;
        else if (c == '{' || c == '[') {
            containers++;
            if (++depth > MAX_DEPTH)
                return ade__fail(ADE_BAD_MODEL, "%s: byte %zu: invalid JSON, nested more than %d levels deep", where, i,
                                 (int)MAX_DEPTH);
        } else if ((c == '}' || c == ']') && depth > 0)
            depth--;
    }
    if (containers > MAX_CONTAINERS || values > MAX_VALUES)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: holds %zu lists and objects and %zu values; no model file needs more than "
                         "%d and %d, so it is refused",
                         where, containers, values + containers, (int)MAX_CONTAINERS, (int)MAX_VALUES);
    return ADE_OK;
}

ade_status ade__json_parse(const char *where, const char *data, size_t size, size_t flags, json_t **out) {
    json_error_t error;
    *out = NULL;
    ADE_TRY(check_extent(where, data, size));
    json_t *root = json_loadb(data, size, flags | JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        if (json_error_code(&error) == json_error_out_of_memory)
            return ade__fail(ADE_OUT_OF_MEMORY, "out of memory: %s could not be parsed", where);
        return ade__fail(ADE_BAD_MODEL, "%s: line %d, column %d: invalid JSON (%s); download the file again", where,
                         error.line, error.column, error.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ade__fail(ADE_BAD_MODEL, "%s: invalid JSON, not an object at the top level; download the file again",
                         where);
    }
    *out = root;
    return ADE_OK;
}

ade_status ade__json_read(const char *folder, const char *name, size_t limit, size_t flags, ade_used_files *used,
                          json_t **out) {
    char  *data;
    size_t size;
    *out = NULL;
    ADE_TRY(ade__folder_read(folder, name, limit, used, &data, &size));
    if (!data) return ADE_OK;
    char      *where = ade__join_path(folder, name);
    ade_status status = where ? ade__json_parse(where, data, size, flags, out) : ADE_OUT_OF_MEMORY;
    ade__free(where);
    ade__free(data);
    return status;
}
