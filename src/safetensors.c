/* SPDX-License-Identifier: Apache-2.0
 * The safetensors format: u64 little-endian header size N, N bytes of JSON, data. Everything is checked here, once, so
 * that the rest of the library may trust shape, size and data of an ade_tensor. */
#define _GNU_SOURCE
#include "safetensors.h"

#include "alloc.h"
#include "json.h"
#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"

enum { MAX_HEADER = 100000000, MAX_RANK = 8, MAX_TENSORS = 100000, MAX_SHARDS = 1000, MAX_INDEX = 64 << 20 };

typedef struct shard {
    char    *name; /* owned */
    int      fd;   /* kept open: a later fstat sees the file that is mapped, whatever its name now means */
    uint64_t size;
    void    *map;
} shard;

struct ade_tensor_set {
    char          *folder;
    shard         *shards;
    size_t         n_shards, shards_capacity;
    ade_tensor    *tensors;
    size_t         n_tensors, tensors_capacity;
    ade_used_files used;
};

typedef struct dtype_row {
    const char  *name;
    unsigned     bits;
    ade_dtype_st dtype;
} dtype_row;

static const dtype_row DTYPES[] = {
    {"F32", 32, ADE_ST_F32},          {"F16", 16, ADE_ST_F16},      {"BF16", 16, ADE_ST_BF16},
    {"F64", 64, ADE_ST_F64},          {"I64", 64, ADE_ST_I64},      {"BOOL", 8, ADE_ST_OTHER},
    {"U8", 8, ADE_ST_OTHER},          {"I8", 8, ADE_ST_OTHER},      {"U16", 16, ADE_ST_OTHER},
    {"I16", 16, ADE_ST_OTHER},        {"U32", 32, ADE_ST_OTHER},    {"I32", 32, ADE_ST_OTHER},
    {"U64", 64, ADE_ST_OTHER},        {"C64", 64, ADE_ST_OTHER},    {"F8_E4M3", 8, ADE_ST_OTHER},
    {"F8_E5M2", 8, ADE_ST_OTHER},     {"F8_E8M0", 8, ADE_ST_OTHER}, {"F8_E4M3FNUZ", 8, ADE_ST_OTHER},
    {"F8_E5M2FNUZ", 8, ADE_ST_OTHER}, {"F6_E2M3", 6, ADE_ST_OTHER}, {"F6_E3M2", 6, ADE_ST_OTHER},
    {"F4", 4, ADE_ST_OTHER},
};

/* One tensor's entry of the header, not yet placed. */
typedef struct entry {
    const char      *name;
    uint64_t         begin, end;
    const dtype_row *dtype;
    int32_t          rank;
    int64_t          shape[MAX_RANK];
} entry;

/* "In FILE: tensor NAME ..." for every rule that a tensor can break. */
#define BAD_TENSOR(where, name, format, ...)                                                                           \
    ade__fail(ADE_BAD_MODEL, "%s: tensor \"%.200s\" " format "; download the file again", where, name, __VA_ARGS__)

static ade_status read_size(const json_t *value, const char *where, const char *name, const char *what, int64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return BAD_TENSOR(where, name, "has a %s that is not a whole number of 0 or more", what);
    *out = (int64_t)json_integer_value(value);
    return ADE_OK;
}

static ade_status read_shape(const json_t *shape, const char *where, entry *e) {
    uint64_t bits = e->dtype->bits;
    int      overflow = 0, empty = 0;
    if (!json_is_array(shape)) return BAD_TENSOR(where, e->name, "has no list \"shape\"%s", "");
    size_t rank = json_array_size(shape);
    if (rank > MAX_RANK)
        return BAD_TENSOR(where, e->name, "has %zu dimensions, more than the %d that are supported", rank,
                          (int)MAX_RANK);
    e->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        ADE_TRY(read_size(json_array_get(shape, i), where, e->name, "dimension", &e->shape[i]));
        empty |= e->shape[i] == 0;
        overflow |= __builtin_mul_overflow(bits, (uint64_t)e->shape[i], &bits);
    }
    /* a 0 after an overflow makes the true product 0, but the official library refuses that as well */
    if (overflow) return BAD_TENSOR(where, e->name, "has a shape whose size overflows 64 bits%s", "");
    if (empty) bits = 0;
    if (bits % 8 != 0) return BAD_TENSOR(where, e->name, "of type %s does not end at a whole byte", e->dtype->name);
    if (e->end - e->begin != bits / 8)
        return BAD_TENSOR(where, e->name, "holds %" PRIu64 " bytes of data, but its shape and type %s need %" PRIu64,
                          e->end - e->begin, e->dtype->name, bits / 8);
    return ADE_OK;
}

static ade_status read_entry(const char *name, const json_t *value, const char *where, entry *e) {
    int64_t begin = 0, end = 0;
    if (!json_is_object(value)) return BAD_TENSOR(where, name, "is not described by an object%s", "");
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    memset(e, 0, sizeof *e);
    e->name = name;
    for (size_t i = 0; dtype && i < sizeof DTYPES / sizeof *DTYPES && !e->dtype; i++)
        if (!strcmp(dtype, DTYPES[i].name)) e->dtype = &DTYPES[i];
    if (!e->dtype) return BAD_TENSOR(where, name, "has the unknown dtype %s", dtype ? dtype : "(none)");
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return BAD_TENSOR(where, name, "has no list of two \"data_offsets\"%s", "");
    ADE_TRY(read_size(json_array_get(offsets, 0), where, name, "data offset", &begin));
    ADE_TRY(read_size(json_array_get(offsets, 1), where, name, "data offset", &end));
    if (end < begin)
        return BAD_TENSOR(where, name, "has invalid data offsets: it ends at %" PRId64 ", before its begin %" PRId64,
                          end, begin);
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    return read_shape(json_object_get(value, "shape"), where, e);
}

static int by_offset(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return 0;
}

/* The data must be covered by the tensors, without hole and overlap, to the last byte. */
static ade_status check_cover(entry *entries, size_t n, uint64_t data_size, const char *where) {
    uint64_t at = 0;
    if (n > 0) qsort(entries, n, sizeof *entries, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (entries[i].begin != at)
            return BAD_TENSOR(where, entries[i].name,
                              "has an invalid offset: it begins at %" PRIu64 " of the data, where %" PRIu64
                              " is expected",
                              entries[i].begin, at);
        at = entries[i].end;
    }
    if (at != data_size)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: the data is not fully covered: the tensors need %" PRIu64
                         " bytes of data and the file holds %" PRIu64 "; download the file again",
                         where, at, data_size);
    return ADE_OK;
}

static ade_status check_metadata(const json_t *metadata, const char *where) {
    const char *key;
    json_t     *value;
    if (!metadata) return ADE_OK;
    if (!json_is_object(metadata))
        return ade__fail(ADE_BAD_MODEL, "%s: \"__metadata__\" is not an object; write the file again", where);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (!json_is_string(value)) return ade__fail(
        ADE_BAD_MODEL,
        "%s: \"__metadata__\" holds something that is no text under \"%s\"; write "
        "the file again",
        where, key);
    return ADE_OK;
}

static ade_status add_tensor(ade_tensor_set *set, const shard *file, const entry *e, uint64_t data_at) {
    if (ade__reserve(&set->tensors, &set->tensors_capacity, set->n_tensors + 1, sizeof *set->tensors))
        return ADE_OUT_OF_MEMORY;
    ade_tensor *tensor = &set->tensors[set->n_tensors];
    memset(tensor, 0, sizeof *tensor);
    tensor->name = ade__strdup(e->name);
    if (!tensor->name) return ADE_OUT_OF_MEMORY;
    set->n_tensors++;
    tensor->dtype = e->dtype->dtype;
    tensor->dtype_name = e->dtype->name;
    tensor->rank = e->rank;
    memcpy(tensor->shape, e->shape, sizeof tensor->shape);
    tensor->size = (size_t)(e->end - e->begin);
    tensor->data = (const char *)file->map + data_at + e->begin;
    tensor->file = file->name;
    return ADE_OK;
}

static ade_status read_header(ade_tensor_set *set, const shard *file, const char *where, const char *text,
                              size_t size) {
    json_t     *root = NULL, *value;
    const char *key;
    entry      *entries = NULL;
    size_t      n = 0;
    ade_status  status;
    ADE_TRY(ade__json_parse(where, text, size, 0, &root));
    size_t count = json_object_size(root) - (json_object_get(root, "__metadata__") ? 1 : 0);
    ADE_TRY_GOTO(check_metadata(json_object_get(root, "__metadata__"), where), done);
    if (count + set->n_tensors > MAX_TENSORS) {
        status = ade__fail(ADE_BAD_MODEL, "%s: holds %zu tensors, more than the %d that are supported", where, count,
                           (int)MAX_TENSORS);
        goto done;
    }
    entries = ade__calloc(count, sizeof *entries);
    if (!entries) {
        status = ADE_OUT_OF_MEMORY;
        goto done;
    }
    json_object_foreach(root, key, value) {
        if (!strcmp(key, "__metadata__")) continue;
        ADE_TRY_GOTO(read_entry(key, value, where, &entries[n]), done);
        n++;
    }
    ADE_TRY_GOTO(check_cover(entries, n, file->size - 8 - size, where), done);
    for (size_t i = 0; i < n; i++) ADE_TRY_GOTO(add_tensor(set, file, &entries[i], 8 + size), done);
done:
    ade__free(entries);
    json_decref(root);
    return status;
}

static ade_status read_shard(ade_tensor_set *set, shard *file, const char *where) {
    unsigned char head[8];
    char          pointer[23] = "";
    uint64_t      n = 0;
    if (file->size < sizeof head)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: header too small: the file has %" PRIu64 " bytes and needs 8 at least; "
                         "download it again",
                         where, file->size);
    ADE_TRY(ade__folder_pread(set->folder, file->name, file->fd, head, sizeof head, 0));
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    if (n > MAX_HEADER) {
        if (file->size < 1024 && file->size >= sizeof pointer) {
            ADE_TRY(ade__folder_pread(set->folder, file->name, file->fd, pointer, sizeof pointer - 1, 0));
            if (!strcmp(pointer, "version https://git-lf"))
                return ade__fail(ADE_BAD_MODEL,
                                 "%s is a pointer of Git LFS, not the weights; run \"git lfs pull\" in "
                                 "the folder",
                                 where);
        }
        return ade__fail(ADE_BAD_MODEL,
                         "%s: header too large: %" PRIu64 " bytes, the format allows %d; is it a "
                         "safetensors file?",
                         where, n, (int)MAX_HEADER);
    }
    if (n > file->size - 8)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: invalid header length: %" PRIu64 " bytes in a file of %" PRIu64 "; the file "
                         "is cut off, download it again",
                         where, n, file->size);
    /* Read rather than taken from the mapping: a file that is shortened meanwhile is then an error, not a signal. */
    char *text = ade__malloc((size_t)n);
    if (!text) return ADE_OUT_OF_MEMORY;
    ade_status status = ade__folder_pread(set->folder, file->name, file->fd, text, (size_t)n, 8);
    if (status == ADE_OK) status = read_header(set, file, where, text, (size_t)n);
    ade__free(text);
    return status;
}

/* *found is 0 when there is no such file. */
static ade_status open_shard(ade_tensor_set *set, const char *name, int *found) {
    struct stat info;
    int         fd;
    *found = 0;
    if (ade__reserve(&set->shards, &set->shards_capacity, set->n_shards + 1, sizeof *set->shards))
        return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__folder_open(set->folder, name, &fd, &info));
    if (fd < 0) return ADE_OK;
    *found = 1;
    shard *file = &set->shards[set->n_shards++];
    *file = (shard){.fd = fd, .size = (uint64_t)info.st_size, .name = ade__strdup(name)};
    if (!file->name) return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__used_files_add(&set->used, name, &info));
    char *where = ade__join_path(set->folder, name);
    if (!where) return ADE_OUT_OF_MEMORY;
    ade_status status = ADE_OK;
    if (file->size > 0) {
        void *map = file->size > SIZE_MAX ? MAP_FAILED : mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            status = ade__fail(ADE_IO, "%s: cannot be mapped (%s)", where, strerror(errno));
        else
            file->map = map;
    }
    if (status == ADE_OK) status = read_shard(set, file, where);
    ade__free(where);
    return status;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static ade_status open_shards(ade_tensor_set *set, const json_t *map, const char *where) {
    const char *key, **names = NULL;
    json_t     *value;
    size_t      n = 0;
    int         found;
    ade_status  status = ADE_OK;
    if (!json_is_object(map) || json_object_size(map) == 0)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: has no object \"weight_map\" that says which file holds a tensor; download "
                         "it again",
                         where);
    names = ade__calloc(json_object_size(map), sizeof *names);
    if (!names) return ADE_OUT_OF_MEMORY;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/') || strchr(name, '\\') || strstr(name, "..") || !strcmp(name, ".")) {
            status = ade__fail(ADE_BAD_MODEL,
                               "%s: \"weight_map\" gives tensor \"%s\" the file \"%s\", which is no plain "
                               "name of a file in the same folder; it is refused",
                               where, key, name ? name : "(no text)");
            goto done;
        }
        names[n++] = name;
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !strcmp(names[i], names[i - 1])) continue;
        if (set->n_shards == MAX_SHARDS) {
            status = ade__fail(ADE_BAD_MODEL, "%s: names more than %d files; join them", where, (int)MAX_SHARDS);
            goto done;
        }
        ADE_TRY_GOTO(open_shard(set, names[i], &found), done);
        if (!found) {
            status = ade__fail(ADE_BAD_MODEL, "%s: names the file \"%s\", which is not in the folder; download it",
                               where, names[i]);
            goto done;
        }
    }
done:
    ade__free(names);
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ade_tensor *)a)->name, ((const ade_tensor *)b)->name);
}

static ade_status sort_tensors(ade_tensor_set *set) {
    if (set->n_tensors > 0) qsort(set->tensors, set->n_tensors, sizeof *set->tensors, by_name);
    for (size_t i = 1; i < set->n_tensors; i++)
        if (!strcmp(set->tensors[i].name, set->tensors[i - 1].name))
            return ade__fail(ADE_BAD_MODEL,
                             "%s: tensor \"%s\" is defined in two files, %s and %s; remove the stray file", set->folder,
                             set->tensors[i].name, set->tensors[i - 1].file, set->tensors[i].file);
    return ADE_OK;
}

/* The index must not promise what its files do not hold. */
static ade_status check_index(const ade_tensor_set *set, const json_t *map, const char *where) {
    const char *key;
    json_t     *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        const ade_tensor *tensor = ade__tensors_find(set, key);
        if (!tensor || strcmp(tensor->file, json_string_value(value)) != 0)
            return ade__fail(ADE_BAD_MODEL,
                             "%s: tensor \"%s\" is not in the file %s that \"weight_map\" names; download "
                             "all files again",
                             where, key, json_string_value(value));
    }
    return ADE_OK;
}

static ade_status open_index(ade_tensor_set *set, int *found) {
    json_t    *root = NULL;
    ade_status status;
    ADE_TRY(ade__json_read(set->folder, INDEX_FILE, MAX_INDEX, 0, &set->used, &root));
    *found = root != NULL;
    if (!root) return ADE_OK;
    const json_t *map = json_object_get(root, "weight_map");
    char         *where = ade__join_path(set->folder, INDEX_FILE);
    status = where ? open_shards(set, map, where) : ADE_OUT_OF_MEMORY;
    if (status == ADE_OK) status = sort_tensors(set);
    if (status == ADE_OK) status = check_index(set, map, where);
    ade__free(where);
    json_decref(root);
    return status;
}

static ade_status explain_absence(const char *folder) {
    static const char *const PICKLED[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    static const char *const OTHERS[] = {"tf_model.h5", "flax_model.msgpack", "model.ckpt.index"};
    bool                     has;
    for (size_t i = 0; i < sizeof PICKLED / sizeof *PICKLED; i++) {
        ADE_TRY(ade__folder_has(folder, PICKLED[i], &has));
        if (has)
            return ade__fail(ADE_UNSUPPORTED,
                             "%s: has its weights only in %s, which adesieve does not read (pickled weights can run "
                             "code); convert them once, which runs none: pip install 'adesieve[convert]', then python "
                             "-m adesieve.convert FOLDER",
                             folder, PICKLED[i]);
    }
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        ADE_TRY(ade__folder_has(folder, OTHERS[i], &has));
        if (has)
            return ade__fail(ADE_UNSUPPORTED,
                             "%s: has its weights only in %s, which adesieve does not read; convert them once in "
                             "Python, by transformers before 5: from transformers import "
                             "AutoModelForSequenceClassification as A; A.from_pretrained(FOLDER, from_%s=True)"
                             ".save_pretrained(FOLDER, safe_serialization=True)",
                             folder, OTHERS[i], OTHERS[i][0] == 'f' ? "flax" : "tf");
    }
    return ade__fail(ADE_BAD_MODEL, "%s: holds no weights (%s or %s); give the folder of a whole checkpoint", folder,
                     SINGLE_FILE, INDEX_FILE);
}

ade_status ade__tensors_open(const char *folder, ade_tensor_set **out) {
    int        found = 0;
    ade_status status;
    ADE_TRY(ade__folder_check(folder));
    ade_tensor_set *set = ade__calloc(1, sizeof *set);
    if (!set) return ADE_OUT_OF_MEMORY;
    set->folder = ade__strdup(folder);
    if (!set->folder) {
        status = ADE_OUT_OF_MEMORY;
        goto failed;
    }
    ADE_TRY_GOTO(open_shard(set, SINGLE_FILE, &found), failed);
    if (found) {
        ADE_TRY_GOTO(sort_tensors(set), failed);
    } else {
        ADE_TRY_GOTO(open_index(set, &found), failed);
    }
    if (!found) {
        status = explain_absence(folder);
        goto failed;
    }
    ADE_TRY_GOTO(ade__tensors_check_files(set), failed);
    *out = set;
    return ADE_OK;
failed:
    ade__tensors_close(set);
    return status;
}

void ade__tensors_close(ade_tensor_set *set) {
    if (!set) return;
    for (size_t i = 0; i < set->n_tensors; i++) ade__free((char *)(uintptr_t)set->tensors[i].name);
    ade__free(set->tensors);
    for (size_t i = 0; i < set->n_shards; i++) {
        if (set->shards[i].map) munmap(set->shards[i].map, (size_t)set->shards[i].size);
        close(set->shards[i].fd);
        ade__free(set->shards[i].name);
    }
    ade__free(set->shards);
    ade__used_files_clear(&set->used);
    ade__free(set->folder);
    ade__free(set);
}

size_t ade__tensors_count(const ade_tensor_set *set) { return set->n_tensors; }

const ade_tensor *ade__tensors_at(const ade_tensor_set *set, size_t index) {
    return index < set->n_tensors ? &set->tensors[index] : NULL;
}

const ade_tensor *ade__tensors_find(const ade_tensor_set *set, const char *name) {
    ade_tensor key = {.name = name};
    if (set->n_tensors == 0) return NULL;
    return bsearch(&key, set->tensors, set->n_tensors, sizeof *set->tensors, by_name);
}

const ade_used_files *ade__tensors_used(const ade_tensor_set *set) { return &set->used; }

ade_status ade__tensors_check_files(const ade_tensor_set *set) {
    for (size_t i = 0; i < set->n_shards; i++) {
        struct stat info;
        if (fstat(set->shards[i].fd, &info) != 0)
            return ade__fail(ADE_IO, "%s/%s: cannot be examined (%s)", set->folder, set->shards[i].name,
                             strerror(errno));
        if ((uint64_t)info.st_size < set->shards[i].size)
            return ade__fail(ADE_BAD_MODEL,
                             "%s/%s: was shortened from %" PRIu64 " to %" PRIu64 " bytes since it was "
                             "opened; restore the file and open the model again",
                             set->folder, set->shards[i].name, set->shards[i].size, (uint64_t)info.st_size);
    }
    return ADE_OK;
}
