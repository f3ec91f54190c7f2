/* SPDX-License-Identifier: Apache-2.0
 * Opens a model folder, checks that its parts fit each other, and counts who holds it. */
#define _GNU_SOURCE
#include "model.h"

#include "alloc.h"
#include "folder.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sha2.h> /* libmd; wants <sys/types.h> before it */

const char *ade__activation_name(ade_activation activation) {
    switch (activation) {
    case ADE_ACT_GELU_ERF: return "gelu_erf";
    case ADE_ACT_GELU_TANH: return "gelu_tanh";
    case ADE_ACT_RELU: return "relu";
    case ADE_ACT_SILU: return "silu";
    case ADE_ACT_TANH: return "tanh";
    }
    return "unknown";
}

/* The last component of the path; of "." and the like that of the folder they stand for. */
static char *name_of(const char *folder) {
    size_t size = strlen(folder), begin;
    while (size > 1 && folder[size - 1] == '/') size--;
    for (begin = size; begin > 0 && folder[begin - 1] != '/';) begin--;
    size_t length = size - begin;
    bool   dots = (length == 1 && folder[begin] == '.') || (length == 2 && !strncmp(folder + begin, "..", 2));
    if (!dots) return ade__strndup(folder + begin, length);
    char       *real = realpath(folder, NULL);
    const char *last = real ? strrchr(real, '/') : NULL;
    char       *name = ade__strdup(last ? last + 1 : "model");
    free(real); /* realpath's own */
    return name;
}

/* What no file can know alone. */
static ade_status check_fit(ade_model *model) {
    const ade_model_config *c = &model->config;
    int32_t                 n = ade__tokenizer_size(model->tokenizer.tokenizer);
    if (n > c->vocab_size)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: the tokenizer (%s and added tokens) has %d entries, but \"vocab_size\" in "
                         "config.json, the rows of the word embeddings, is %d; the files belong to different models",
                         model->folder, model->tokenizer.source, (int)n, (int)c->vocab_size);
    model->max_length = c->max_positions;
    if (model->tokenizer.model_max_length > 0 && model->tokenizer.model_max_length < model->max_length)
        model->max_length = model->tokenizer.model_max_length;
    if (model->max_length < 3)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: at most %d tokens per text are possible (\"max_position_embeddings\", "
                         "\"model_max_length\"), too few for [CLS], one token and [SEP]; correct the files",
                         model->folder, (int)model->max_length);
    return ADE_OK;
}

/* What is told of a tokenizer and of weights is told of the vectorizer. */
static ade_status read_baseline(ade_model *model, const char *folder, const ade_log *log) {
    const ade_vectorizer *v = &model->config.vectorizer;
    ADE_TRY(ade__baseline_open(folder, log, &model->config, &model->tensors, &model->baseline));
    model->weights.weights_type = "F64";
    model->weights.n_parameters = ade__baseline_parameters(model->baseline);
    model->tokenizer.lowercase = v->lowercase;
    model->tokenizer.strip_accents = v->accents != ADE_ACCENTS_KEPT;
    model->tokenizer.source = ade__strdup("vocab.txt");
    model->tokenizer.casing_reason =
        ade__strdup(v->lowercase ? "Texts are lower-cased, as \"lowercase\" of \"vectorizer\" in config.json says or "
                                   "leaves to scikit-learn's default."
                                 : "Texts keep their case, as \"lowercase\" of \"vectorizer\" in config.json says.");
    return model->tokenizer.source && model->tokenizer.casing_reason ? ADE_OK : ADE_OUT_OF_MEMORY;
}

static ade_status read_encoder(ade_model *model, const char *folder, const ade_log *log) {
    ADE_TRY(ade__tokenizer_files_read(folder, log, &model->tokenizer));
    ADE_TRY(check_fit(model));
    ADE_TRY(ade__tensors_open(folder, &model->tensors));
    ade_status status = ade__weights_map(model->tensors, &model->config, log, &model->weights);
    if (status != ADE_OK && status != ADE_OUT_OF_MEMORY) (void)ade__fail_prefix(status, folder);
    ADE_TRY(status);
    if (ade__tokenizer_size(model->tokenizer.tokenizer) < model->config.vocab_size)
        ade__log(log, ADE_LOG_INFO,
                 "%s: the vocabulary has %d entries, the word embeddings %d rows; the last ones are "
                 "not used",
                 folder, (int)ade__tokenizer_size(model->tokenizer.tokenizer), (int)model->config.vocab_size);
    return ADE_OK;
}

static ade_status read_parts(ade_model *model, const char *folder, const ade_model_options *options) {
    ade_log log = {options ? options->log : NULL, options ? options->log_user : NULL};
    model->folder = ade__strdup(folder);
    model->name = name_of(folder);
    if (!model->folder || !model->name) return ADE_OUT_OF_MEMORY;
    ADE_TRY(ade__config_read(folder, options, &log, &model->config));
    ADE_TRY(model->config.kind == ADE_MODEL_BASELINE ? read_baseline(model, folder, &log)
                                                     : read_encoder(model, folder, &log));
    return ADE_OK;
}

/* After everything else of the folder: it must fit that. */
static ade_status read_calibration(ade_model *model, const ade_model_options *options) {
    const ade_log           log = {options ? options->log : NULL, options ? options->log_user : NULL};
    const ade_model_config *c = &model->config;
    if (options && options->calibration && !*options->calibration) return ADE_OK; /* none is wanted */
    return ade__calibration_read(model->folder, options ? options->calibration : NULL, c->labels, c->n_labels,
                                 c->positive_label, options && options->labels, &log,
                                 &model->calibration);
}

static void destroy(ade_model *model) {
    ade__prepared_free_all(model->prepared);
    ade__baseline_free(model->baseline);
    ade__weights_clear(&model->weights);
    ade__tensors_close(model->tensors);
    ade__tokenizer_files_clear(&model->tokenizer);
    ade__config_clear(&model->config);
    ade__calibration_free(model->calibration);
    ade__free(model->folder);
    ade__free(model->name);
    pthread_mutex_destroy(&model->lock);
    ade__free(model);
}

ade_status ade__model_open(const char *folder, const ade_model_options *options, ade_model **out) {
    ade_model *model = ade__calloc(1, sizeof *model);
    if (!model) return ADE_OUT_OF_MEMORY;
    atomic_init(&model->references, 1);
    if (pthread_mutex_init(&model->lock, NULL) != 0) {
        ade__free(model);
        return ade__fail(ADE_OUT_OF_MEMORY, "out of memory: a lock for the model could not be made");
    }
    ade_status status = read_parts(model, folder, options);
    if (status == ADE_OK) status = read_calibration(model, options);
    if (status == ADE_OK)
        *out = model;
    else
        destroy(model);
    return status;
}

void ade__model_retain(ade_model *model) { atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed); }

void ade__model_release(ade_model *model) {
    /* acquire and release: what any holder did happens before the last one frees */
    if (model && atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1) destroy(model);
}

/* ---- Hash -------------------------------------------------------------------------------------------------------- */

static ade_status hash_file(SHA2_CTX *sha, const char *folder, const ade_used_file *file, void *buffer,
                            size_t capacity) {
    struct stat info;
    int         fd;
    char        size[32];
    ADE_TRY(ade__folder_open(folder, file->name, &fd, &info));
    if (fd < 0)
        return ade__fail(ADE_IO, "%s/%s: was removed since the model was opened; restore it", folder, file->name);
    ade_status status = ADE_OK;
    if (!ade__used_file_same(file, &info))
        status = ade__fail(ADE_BAD_MODEL, "%s/%s: was changed since the model was opened; open the model again", folder,
                           file->name);
    int digits = snprintf(size, sizeof size, "%llu", (unsigned long long)file->size);
    SHA256Update(sha, (const uint8_t *)file->name, strlen(file->name) + 1);
    SHA256Update(sha, (const uint8_t *)size, (size_t)digits + 1);
    for (uint64_t at = 0; status == ADE_OK && at < file->size;) {
        size_t n = file->size - at < capacity ? (size_t)(file->size - at) : capacity;
        status = ade__folder_pread(folder, file->name, fd, buffer, n, at);
        if (status == ADE_OK) SHA256Update(sha, buffer, n);
        at += n;
    }
    close(fd);
    return status;
}

static int by_file_name(const void *a, const void *b) {
    const ade_used_file *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static ade_status compute_hash(const ade_model *model, char hex[65]) {
    enum { CAPACITY = 1 << 18 };
    const ade_used_files *parts[] = {&model->config.used, &model->tokenizer.used, ade__tensors_used(model->tensors)};
    size_t                n = 0, total = 0;
    uint8_t               digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX              sha;
    ade_status            status = ADE_OK;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) total += parts[p]->n;
    const ade_used_file **files = ade__calloc(total, sizeof *files);
    void                 *buffer = ade__malloc(CAPACITY);
    if (!files || !buffer) {
        status = ADE_OUT_OF_MEMORY;
        goto done;
    }
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t i = 0; i < parts[p]->n; i++) files[n++] = &parts[p]->items[i];
    qsort(files, n, sizeof *files, by_file_name);
    SHA256Init(&sha);
    for (size_t i = 0; i < n; i++) ADE_TRY_GOTO(hash_file(&sha, model->folder, files[i], buffer, CAPACITY), done);
    SHA256Final(digest, &sha);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
done:
    ade__free(files);
    ade__free(buffer);
    return status;
}

ade_status ade__model_hash(ade_model *model, char digest[65]) {
    char       hex[sizeof model->hash] = "";
    ade_status status = ADE_OK;
    pthread_mutex_lock(&model->lock);
    if (!model->hash[0]) {
        status = compute_hash(model, hex);
        if (status == ADE_OK) memcpy(model->hash, hex, sizeof hex);
    }
    if (status == ADE_OK) memcpy(digest, model->hash, sizeof model->hash);
    pthread_mutex_unlock(&model->lock);
    return status;
}
