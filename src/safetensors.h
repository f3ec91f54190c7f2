/* SPDX-License-Identifier: Apache-2.0
 * The tensors of a model folder: model.safetensors, or model.safetensors.index.json and its shards. Files are mapped,
 * and all rules of the format are checked before a byte of data is used. */
#ifndef ADE_SAFETENSORS_H
#define ADE_SAFETENSORS_H

#include "folder.h"

typedef enum ade_dtype_st {
    ADE_ST_F32,
    ADE_ST_F16,
    ADE_ST_BF16,
    ADE_ST_F64,
    ADE_ST_I64,
    ADE_ST_OTHER /* a legal dtype of the format that no weight of ours has; name in `dtype_name` */
} ade_dtype_st;

typedef struct ade_tensor {
    const char  *name;       /* owned by the set; UTF-8 */
    const char  *dtype_name; /* "F32"; owned by the set */
    ade_dtype_st dtype;
    int32_t      rank;     /* 0 to 8 */
    int64_t      shape[8]; /* the product fits, with all sizes */
    const void  *data;     /* row-major, little-endian; ANY alignment; inside the mapping */
    size_t       size;     /* bytes */
    const char  *file;     /* the shard's name without folder */
} ade_tensor;

typedef struct ade_tensor_set ade_tensor_set;

/* Opens the folder's weights. ADE_IO, ADE_BAD_MODEL (file, tensor, rule), ADE_UNSUPPORTED (pickled weights only: how
 * to convert them). */
ade_status ade__tensors_open(const char *folder, ade_tensor_set **out);
void       ade__tensors_close(ade_tensor_set *set);

size_t            ade__tensors_count(const ade_tensor_set *set);
const ade_tensor *ade__tensors_at(const ade_tensor_set *set, size_t index);       /* sorted by name */
const ade_tensor *ade__tensors_find(const ade_tensor_set *set, const char *name); /* NULL when absent */

/* The files behind the set (shards and index), for the model's hash. */
const ade_used_files *ade__tensors_used(const ade_tensor_set *set);

/* The files have not been shortened since they were opened; to be called before a pass over the data, since a
 * shortened file would raise SIGBUS. ADE_BAD_MODEL otherwise. */
ade_status ade__tensors_check_files(const ade_tensor_set *set);

#endif
