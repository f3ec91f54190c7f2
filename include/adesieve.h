/* SPDX-License-Identifier: Apache-2.0
 *
 * adesieve.h - find the sentences that report an adverse drug effect.
 *
 * The whole stable interface of libadesieve. A first program:
 *
 *     ade_model *model = NULL;
 *     ade_session *session = NULL;
 *     ade_text text = {"Rash after amoxicillin.", 23};
 *     ade_result result;
 *     float probabilities[2];
 *
 *     if (ade_model_open("models/adesieve-minilm", NULL, &model) ||
 *         ade_session_open(model, NULL, &session) ||
 *         ade_classify(session, &text, 1, &result, NULL, probabilities))
 *         fprintf(stderr, "%s\n", ade_last_error());
 *     else
 *         printf("%s %.4f\n", ade_model_label(model, result.label), result.score);
 *     ade_session_close(session);
 *     ade_model_close(model);
 *
 * Threads.   An ade_model never changes once it is open: any number of threads may use it at once.
 *            An ade_session or ade_screen belongs to one thread at a time; it runs threads of its own inside a call.
 * fork().    A child process may go on with its models, and opens sessions and screens of its own: those of the parent
 *            are refused there (ADE_INVALID_ARGUMENT), and can only be closed. CUDA does not survive fork(): a child
 *            whose parent has looked for a GPU can use none.
 * GPUs.      A call may leave another GPU than before as the calling thread's current one (cudaSetDevice).
 * Texts.     Pointer and length, UTF-8; NUL bytes are ordinary characters. The library never keeps a caller's pointer
 *            after a call returns, unless the function says so.
 * Errors.    Every function that can fail returns an ade_status. On failure the outputs are untouched, nothing is left
 *            to clean up, and ade_last_error() holds one full sentence for the calling thread.
 * Options.   Set an option struct up with its INIT macro, then change the members you need. An older program gets the
 *            defaults for members that it does not know; a member that this library does not know is refused
 *            (ADE_UNSUPPORTED) unless it is zero.
 * Manners.   The library does not print, exit, abort, change the locale or install signal handlers.
 * Not promised: the memory layout behind the opaque handles, the wording of error texts, and equal bits between two
 *            processors, precisions or releases. The same session gives a text the same bits alone, in any batch, in
 *            any order and with any number of threads.
 */
#ifndef ADESIEVE_H
#define ADESIEVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* THE version of adesieve; the build reads it from here. The major number is the ABI: it is part of the SONAME. */
#define ADE_VERSION_MAJOR 0
#define ADE_VERSION_MINOR 1
#define ADE_VERSION_PATCH 0

#if defined(__GNUC__) && defined(ADE_BUILDING_LIBRARY)
#define ADE_API __attribute__((visibility("default")))
#else
#define ADE_API
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------ */

/* X(name, value, text). A value, once released, keeps its meaning for ever. */
#define ADE_STATUS_MAP(X)                                                                  \
    X(OK, 0, "success")                                                                    \
    X(INVALID_ARGUMENT, 1, "invalid argument")                                             \
    X(OUT_OF_MEMORY, 2, "out of memory")                                                   \
    X(IO, 3, "a file or stream cannot be opened, read or written")                         \
    X(BAD_MODEL, 4, "the files of the model are malformed, incomplete or contradictory")   \
    X(UNSUPPORTED, 5, "this library, build or machine cannot do what is asked for")        \
    X(BAD_INPUT, 6, "an input text or document is malformed")                              \
    X(DEVICE, 7, "the device failed")                                                      \
    X(CANCELLED, 8, "the caller's callback asked to stop")                                 \
    X(BUSY, 9, "the object is in use elsewhere")                                           \
    X(INTERNAL, 10, "a fault inside adesieve")                                             \
    X(END, 100, "nothing is left to deliver")

typedef enum ade_status {
#define ADE_STATUS_ENUM(name, value, text) ADE_##name = value,
    ADE_STATUS_MAP(ADE_STATUS_ENUM)
#undef ADE_STATUS_ENUM
    ADE_STATUS_FORCE_32_BITS = 0x7fffffff /* keeps the enum's size the same for every compiler */
} ade_status;

/* The name of a status, such as "ADE_BAD_MODEL", and its text. Never NULL; an unknown value gives "ADE_?" and
 * "unknown status". Static strings. */
ADE_API const char *ade_status_name(ade_status status);
ADE_API const char *ade_status_text(ade_status status);

/* What went wrong in this thread's last failed call: one sentence that says what, where, why and what to do, without a
 * final line feed. "" when the last call succeeded. Valid until this thread's next call into the library. */
ADE_API const char *ade_last_error(void);

/* The version of the library that runs, as in "0.1.0", and as major * 10000 + minor * 100 + patch. */
ADE_API const char *ade_version(void);
ADE_API uint32_t    ade_version_number(void);

/* The size in bytes of a struct of this header as the library has it, by the struct's name, such as "ade_screen_row";
 * 0 for a name that it does not know. For bindings that cannot include this header: where the library's is smaller than
 * theirs, or differs and the struct does not begin with its size, the two do not fit. Never fails. */
ADE_API size_t ade_struct_size(const char *name);

/* ---- Common types ------------------------------------------------------------------------------------------------ */

typedef struct ade_model   ade_model;   /* an open model folder: immutable, shared between threads */
typedef struct ade_session ade_session; /* working memory on one device; one thread at a time      */
typedef struct ade_screen  ade_screen;  /* a screening run; one thread at a time                   */

typedef struct ade_text {
    const char *data; /* UTF-8; may hold NULs; may be NULL when size is 0 */
    size_t      size; /* bytes */
} ade_text;

typedef enum ade_log_level {
    ADE_LOG_DEBUG   = 0,
    ADE_LOG_INFO    = 1,
    ADE_LOG_WARNING = 2,
    ADE_LOG_LEVEL_FORCE_32_BITS = 0x7fffffff
} ade_log_level;

/* Receives one message, without line feed; valid during the call only. Called on the thread that called the library,
 * or on a worker thread while that thread waits; never two calls at once for one handle. It must not call back into
 * the handle. */
typedef void (*ade_log_fn)(void *user, ade_log_level level, const char *message);

/* Asked from time to time during long calls (at least ten times a second), always on the thread that called the
 * library. `done` and `total` count texts (ade_classify) or compressed bytes read (screening; total 0 = unknown).
 * Any value but 0 stops the call with ADE_CANCELLED. The session stays usable; the callback must not close it. */
typedef int (*ade_progress_fn)(void *user, uint64_t done, uint64_t total);

/* ---- Model ------------------------------------------------------------------------------------------------------- */

typedef struct ade_model_options {
    uint32_t    struct_size;    /* sizeof(ade_model_options) as the caller knows it */
    uint32_t    reserved;       /* 0 */
    const char *labels;         /* comma-separated names in id order that replace the folder's; NULL = the folder's */
    const char *positive_label; /* NULL = the label named ADE, else the last one */
    ade_log_fn  log;            /* receives warnings about the folder; NULL = none */
    void       *log_user;
    const char *calibration;    /* file to read the calibration from; NULL = calibration.json in the folder, if there is
                                   one; "" = none is read, not even a bad one */
} ade_model_options;
#define ADE_MODEL_OPTIONS_INIT { (uint32_t)sizeof(ade_model_options), 0, NULL, NULL, NULL, NULL, NULL }

/* Opens a Hugging Face checkpoint folder (config.json, model.safetensors or its shards, tokenizer files), or a baseline
 * folder (config.json, model.safetensors, vocab.txt; see training/baseline.py). A calibration.json beside them is read too.
 * folder     path in the file system's encoding; not kept.
 * options    NULL = defaults; copied.
 * out        receives the model; the caller closes it.
 * Weights are memory-mapped; a file that is changed while the model is open has undefined contents, one that is
 * shortened is an error at ade_session_open or before.
 * Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, BAD_MODEL, UNSUPPORTED (another architecture and the like). */
ADE_API ade_status ade_model_open(const char *folder, const ade_model_options *options, ade_model **out);

/* Releases a model once its sessions are closed. Sessions hold the model: closing it first is allowed, the memory then
 * goes with the last session. NULL is fine. */
ADE_API void ade_model_close(ade_model *model);

typedef enum ade_problem {
    ADE_PROBLEM_SINGLE_LABEL = 0, /* softmax */
    ADE_PROBLEM_MULTI_LABEL  = 1, /* a sigmoid each */
    ADE_PROBLEM_REGRESSION   = 2, /* the value itself */
    ADE_PROBLEM_FORCE_32_BITS = 0x7fffffff
} ade_problem;

typedef enum ade_model_kind {
    ADE_MODEL_ENCODER  = 0, /* a transformer */
    ADE_MODEL_BASELINE = 1, /* TF-IDF and logistic regression; runs on the CPU. `architecture` is
                               "TfidfLogisticRegression"; sizes that it does not have are 0; `vocab_size` counts terms;
                               "tokens" in results are the occurrences of its terms, `unknown` those of other terms */
    ADE_MODEL_KIND_FORCE_32_BITS = 0x7fffffff
} ade_model_kind;

typedef struct ade_model_info {
    uint32_t    struct_size;   /* set by ADE_MODEL_INFO_INIT before the call */
    int32_t     n_labels;      /* classes C; at least 1 */
    int32_t     positive_label;/* index of the label whose probability is `score` */
    int32_t     problem;       /* ade_problem */
    int32_t     n_layers, hidden_size, n_heads, intermediate_size;
    int32_t     vocab_size, max_length; /* max_length: tokens per text at most, specials included */
    int32_t     lowercase, strip_accents;
    int32_t     calibrated;    /* 1 when the folder holds a calibration */
    uint64_t    n_parameters;
    const char *folder;        /* as given to ade_model_open */
    const char *name;          /* last component of the folder's path */
    const char *architecture;  /* "BertForSequenceClassification" */
    const char *activation;    /* "gelu_erf", "gelu_tanh", "relu", "silu" */
    const char *weights_type;  /* "F32", "F16", "BF16" or "mixed" as stored */
    const char *tokenizer_source; /* which file gave the vocabulary */
    const char *casing_reason; /* one sentence: why texts are lower-cased or not */
    int32_t     kind;          /* ade_model_kind */
    int32_t     reserved;      /* 0 */
} ade_model_info;
#define ADE_MODEL_INFO_INIT                                                                                  \
    { (uint32_t)sizeof(ade_model_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, \
      NULL, NULL, 0, 0 }

/* Fills *info; its strings live as long as the model. */
ADE_API ade_status ade_model_get_info(const ade_model *model, ade_model_info *info);

/* The name of label 0 <= index < n_labels, in UTF-8; NULL for another index. Lives as long as the model. */
ADE_API const char *ade_model_label(const ade_model *model, int32_t index);

/* The text of a token id, such as "##ing"; NULL for an id out of range. Lives as long as the model. */
ADE_API const char *ade_model_token(const ade_model *model, int32_t id);

/* SHA-256 over the weights' and the tokenizer's files, as 64 lower-case hexadecimal digits and a NUL, written to
 * digest[65]. Reads the files once and remembers the value. Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY, IO,
 * BAD_MODEL (a file was changed since the model was opened). */
ADE_API ade_status ade_model_hash(ade_model *model, char digest[65]);

/* The default model's folder: $ADESIEVE_MODEL, else where this build installed it, else NULL. Not kept between calls
 * that change the environment. */
ADE_API const char *ade_default_model(void);

/* ---- Session ----------------------------------------------------------------------------------------------------- */

typedef enum ade_device {
    ADE_DEVICE_AUTO = 0, /* a GPU if one can be used, else the CPU */
    ADE_DEVICE_CPU  = 1,
    ADE_DEVICE_CUDA = 2,
    ADE_DEVICE_NONE = 3, /* tokenizes only; opens at once and takes hardly any memory */
    ADE_DEVICE_FORCE_32_BITS = 0x7fffffff
} ade_device;

typedef enum ade_precision {
    ADE_PRECISION_AUTO = 0, /* bf16 where the processor computes in it natively, else f32; f16 on a GPU */
    ADE_PRECISION_F32  = 1,
    ADE_PRECISION_BF16 = 2,
    ADE_PRECISION_F16  = 3,
    ADE_PRECISION_F64  = 4, /* a baseline's, and no other model's */
    ADE_PRECISION_INT8 = 5, /* on a CPU with AVX-512 VNNI or AMX: bytes in the matrix products, with a scale for each output
                               of a weight matrix and for each token. Faster, and a few decisions differ from f32's */
    ADE_PRECISION_FORCE_32_BITS = 0x7fffffff
} ade_precision;

typedef enum ade_invalid_utf8 {
    ADE_INVALID_UTF8_ERROR   = 0, /* ADE_BAD_INPUT that names the text and the byte */
    ADE_INVALID_UTF8_REPLACE = 1, /* each maximal invalid part becomes U+FFFD, is counted, and then is deleted as the
                                     reference tokenizer deletes that character */
    ADE_INVALID_UTF8_FORCE_32_BITS = 0x7fffffff
} ade_invalid_utf8;

typedef struct ade_session_options {
    uint32_t        struct_size;
    int32_t         device;       /* ade_device */
    int32_t         device_index; /* which GPU, from 0; of no effect on another device */
    int32_t         precision;    /* ade_precision */
    int32_t         threads;      /* CPU threads, at most 4096; 0 = as many as this process may run on */
    int32_t         max_length;   /* tokens per text, specials included: 3 to the model's maximum; 0 = the maximum */
    int32_t         token_budget; /* tokens per batch, at most 2^20; 0 = chosen for the device */
    int32_t         invalid_utf8; /* ade_invalid_utf8 */
    int32_t         split_special_tokens; /* 1: "[SEP]" written in a text is ordinary text */
    int32_t         reserved;     /* 0 */
    ade_progress_fn progress;     /* NULL = none */
    void           *progress_user;
    ade_log_fn      log;          /* NULL = none */
    void           *log_user;
} ade_session_options;
#define ADE_SESSION_OPTIONS_INIT \
    { (uint32_t)sizeof(ade_session_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL }

/* Makes a session of `model` on a device. Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY (of the host or of the device; a
 * token budget of 0 is made smaller first), UNSUPPORTED (no such device, or a precision that it does not have, or
 * weights beyond the range of that precision), BAD_MODEL, DEVICE.
 * GPUs are used through a plugin, libadesieve_cuda.so.0, only if `device` is CUDA or AUTO: the file that the environment
 * variable ADESIEVE_CUDA_PLUGIN names (its path with a '/'), else the one in the folder of this library. ADESIEVE_CUBLASLT
 * names the file of NVIDIA's cuBLASLt where it lies in no usual place.
 * ADESIEVE_MAX_ISA (baseline, sse4.2, avx2, avx512, avx512_vnni, avx512_bf16 or amx) limits the instruction sets that are
 * used on a CPU; another value is refused. oneDNN's own ONEDNN_MAX_CPU_ISA is obeyed as well. */
ADE_API ade_status ade_session_open(ade_model *model, const ade_session_options *options, ade_session **out);
ADE_API void       ade_session_close(ade_session *session); /* NULL is fine */

typedef struct ade_session_info {
    uint32_t    struct_size;
    int32_t     device;       /* ade_device, never AUTO */
    int32_t     device_index;
    int32_t     precision;    /* ade_precision, never AUTO; 0 for ADE_DEVICE_NONE, as are threads and token_budget */
    int32_t     threads, max_length, token_budget;
    int32_t     reserved;
    const char *device_name;  /* the processor's or GPU's own name */
    const char *instruction_set; /* what the kernels use, such as "AVX-512 BF16" */
    const char *device_reason;   /* one sentence: why this device, and why not a GPU */
} ade_session_info;
#define ADE_SESSION_INFO_INIT { (uint32_t)sizeof(ade_session_info), 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL }

/* Fills *info; its strings live as long as the session. */
ADE_API ade_status ade_session_get_info(const ade_session *session, ade_session_info *info);

/* What a session has spent its time on since it was opened. The stages are seconds of threads, added up over all of
 * them: on a CPU they and what is left over make up `encoding`; on a GPU, which computes by itself, they are 0. */
typedef struct ade_session_profile {
    uint32_t struct_size;
    int32_t  threads;     /* as in ade_session_info */
    uint64_t texts, tokens, batches; /* encoded */
    double   seconds;     /* by the clock, inside calls that classify */
    double   tokenizing;  /* on a baseline: all of its work */
    double   encoding;    /* from packing batches to results; of this: */
    double   products;    /* the matrix products alone */
    double   attention;
    double   elementwise; /* embeddings, biases, activation, residuals, LayerNorm, conversions */
    double   waiting;     /* for other threads that shared a batch */
    double   operations;  /* multiplications and additions of the products, for real tokens only */
} ade_session_profile;
#define ADE_SESSION_PROFILE_INIT { (uint32_t)sizeof(ade_session_profile), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Not while a call is in progress in another thread (ADE_BUSY). Statuses: INVALID_ARGUMENT, BUSY. */
ADE_API ade_status ade_session_get_profile(ade_session *session, ade_session_profile *profile);

/* Runs the matrix products of batches of `tokens` tokens in `texts` texts, 1 <= texts <= tokens / 2, and nothing else, on
 * all threads at once for about half a second. *seconds: one batch's on one thread, the fastest of the slowest thread.
 * That is the limit for what the rest of the encoder could at best approach. Statuses: INVALID_ARGUMENT, BUSY;
 * UNSUPPORTED on a GPU, with a baseline, on ADE_DEVICE_NONE. */
ADE_API ade_status ade_session_time_products(ade_session *session, int32_t tokens, int32_t texts, double *seconds);

typedef struct ade_result {
    int32_t label;     /* index of the highest score; 0 for regression */
    float   score;     /* the positive label's probability; for regression the value */
    int32_t tokens;    /* ids given to the model, specials included */
    int32_t unknown;   /* of these, [UNK] */
    int32_t truncated; /* 1 when the text was longer than max_length and its end was left out */
    int32_t replaced;  /* invalid UTF-8 parts that were replaced; 0 unless asked for */
} ade_result;

/* Classifies n_texts texts.
 * results        (n_texts); NULL = not wanted.
 * logits         (n_texts, C) row-major, C = ade_model_info.n_labels; the model's own outputs; NULL = not wanted.
 * probabilities  (n_texts, C) row-major: softmax, sigmoid or, for regression, the value; NULL = not wanted.
 * Texts may come in any order and length; the session sorts and packs them without padding. Each text's values have
 * the same bits in whatever company it comes. Once warm (calls at least as large came before) adesieve allocates
 * nothing; with several threads a buffer may still grow now and then; oneDNN allocates small tables in each product.
 * Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY, BAD_INPUT (names the text, from 0, and the byte), CANCELLED, UNSUPPORTED
 * (a value left the range of f16 on a GPU) or BAD_MODEL (on a CPU), BUSY (another thread or the progress callback is in
 * this session), DEVICE (a GPU failed; the session then fails every further call and can only be closed). */
ADE_API ade_status ade_classify(ade_session *session, const ade_text *texts, size_t n_texts, ade_result *results,
                                float *logits, float *probabilities);

typedef struct ade_token {
    int32_t  id;
    uint32_t start, end; /* bytes [start, end) of the original text; 0, 0 for the special tokens that frame it */
} ade_token;

typedef struct ade_tokens_info {
    size_t  n_tokens;  /* after truncation, specials included */
    int32_t unknown, truncated, replaced; /* as in ade_result */
    int32_t reserved;
} ade_tokens_info;

/* Tokenizes one text just as ade_classify does.
 * tokens    (capacity) receives the tokens; NULL with capacity 0 asks for their number only.
 * info      receives their number and the counts; never NULL.
 * Statuses: INVALID_ARGUMENT (also: more tokens than capacity; *info is set then, tokens is untouched), OUT_OF_MEMORY,
 * BAD_INPUT, BUSY. */
ADE_API ade_status ade_tokenize(ade_session *session, ade_text text, ade_token *tokens, size_t capacity,
                                ade_tokens_info *info);

/* Tokenizes n_texts texts just as ade_classify does, on the calling thread, and gives the ids of one after those of the
 * other, special tokens included. With a baseline: the numbers of its terms.
 * ids         (capacity) receives the ids; NULL with capacity 0 asks for their number only.
 * row_starts  (n_texts + 1) receives where the ids of each text begin, and behind the last one's, n_ids; NULL = not
 *             wanted.
 * n_ids       receives the number of all ids; never NULL.
 * Against the rule for errors, what ids and row_starts hold after a failure is not said: ids are written as they come.
 * Statuses: INVALID_ARGUMENT (also: more ids than capacity; *n_ids is set then), OUT_OF_MEMORY, BAD_INPUT (names the
 * text, from 0, and the byte), BAD_MODEL (an unknown word, and no token for such), BUSY. */
ADE_API ade_status ade_encode(ade_session *session, const ade_text *texts, size_t n_texts, int32_t *ids,
                              size_t capacity, size_t *row_starts, size_t *n_ids);

/* ---- Calibration and operating points ---------------------------------------------------------------------------- */

/* A score is the model's own: it orders sentences, but 0.9 need not mean that nine of ten are positive. calibration.json
 * in the model's folder, written by ade_calibration_fit from labelled texts that the model was not trained on, holds two
 * things: how to turn logits into calibrated probabilities, and how many positive and negative of those texts lie at or
 * above each score. What it says holds for texts like those; where the share of positives (prevalence) is another, that
 * can be told. Scores, labels and thresholds are never calibrated: a calibrated value has a name of its own. */

typedef enum ade_calibration_method {
    ADE_CALIBRATION_AUTO        = 0, /* of those below the one with the lowest cross-validated log-loss; the simpler one,
                                        which stands first, unless that gains more than a standard error */
    ADE_CALIBRATION_TEMPERATURE = 1, /* softmax(logits / temperature) */
    ADE_CALIBRATION_PLATT       = 2, /* 1 / (1 + exp(-(slope * m + offset))), m = log-odds of the score */
    ADE_CALIBRATION_ISOTONIC    = 3, /* a rising step function of m, joined by straight lines, within 1/(n + 2) and
                                        (n + 1)/(n + 2) */
    ADE_CALIBRATION_METHOD_FORCE_32_BITS = 0x7fffffff
} ade_calibration_method;

typedef struct ade_calibration_info {
    uint32_t    struct_size;
    int32_t     method;           /* ade_calibration_method, never AUTO */
    uint64_t    n, n_positive;    /* labelled texts that it was fitted on */
    double      prevalence;       /* n_positive / n: what calibrated values are for unless another one is given */
    double      temperature;      /* of TEMPERATURE, else 0 */
    double      slope, offset;    /* of PLATT, else 0 */
    double      log_loss_before, log_loss_after; /* natural logarithm, per text; after: cross-validated */
    double      ece_before, ece_after;           /* expected calibration error, 15 bins of equal width; the same */
    const char *data;             /* what the texts were, as given to ade_calibration_fit */
    const char *model;            /* ade_model_hash's of the model that it was fitted for; another one than the model's:
                                     the weights were replaced, and it says nothing of them. NULL: an older file */
} ade_calibration_info;
#define ADE_CALIBRATION_INFO_INIT \
    { (uint32_t)sizeof(ade_calibration_info), 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, NULL, NULL }

/* Statuses: UNSUPPORTED (the folder holds no calibration), INVALID_ARGUMENT. Strings live as long as the model. */
ADE_API ade_status ade_model_get_calibration(const ade_model *model, ade_calibration_info *info);

/* The calibrated probability of the positive label for n texts.
 * logits       (n, C), as ade_classify gives them.
 * prevalence   share of positive texts to expect, between 0 and 1 without these; 0 = the calibration's own. Another one
 *              moves the log-odds by the difference of the two prevalences' log-odds (Bayes' rule).
 * calibrated   (n).
 * Statuses: UNSUPPORTED (no calibration), INVALID_ARGUMENT (also: a logit is not a number). */
ADE_API ade_status ade_calibrate(const ade_model *model, const float *logits, size_t n, double prevalence,
                                 double *calibrated);

typedef enum ade_target {
    ADE_TARGET_SCORE     = 0, /* the threshold itself: what does it give? */
    ADE_TARGET_RECALL    = 1, /* find at least this share of the positive texts */
    ADE_TARGET_PRECISION = 2, /* of what is found at least this share is positive */
    ADE_TARGET_REVIEW    = 3, /* find at most this share of all texts: what people can read */
    ADE_TARGET_FORCE_32_BITS = 0x7fffffff
} ade_target;

/* A threshold of the score and what it gave on the calibration's texts, each with the bounds of a 95 % interval.
 * Recall and the share of negatives found have Wilson's interval; with these, precision and review follow from the
 * prevalence by Bayes' rule, and their bounds from the bounds (which makes them a little wide). Where nothing is found
 * the precision is 0, from 0 to 1. */
typedef struct ade_operating_point {
    uint32_t struct_size;
    int32_t  reserved;   /* 0 */
    double   threshold;  /* score >= threshold is found; a float */
    double   prevalence; /* for which precision and review hold */
    double   recall, recall_low, recall_high;
    double   precision, precision_low, precision_high;
    double   review, review_low, review_high;
} ade_operating_point;
#define ADE_OPERATING_POINT_INIT \
    { (uint32_t)sizeof(ade_operating_point), 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0 }

/* Looks up the threshold for a target (ade_target): for RECALL the highest with at least that recall, for PRECISION the
 * lowest with at least that precision, for REVIEW the lowest with at most that share.
 * value        for SCORE the threshold; else above 0 and at most 1.
 * prevalence   as in ade_calibrate.
 * Statuses: UNSUPPORTED (no calibration, or no threshold reaches the target: the best is named), INVALID_ARGUMENT. */
ADE_API ade_status ade_model_operating_point(const ade_model *model, int32_t target, double value, double prevalence,
                                             ade_operating_point *point);

typedef struct ade_calibration_options {
    uint32_t    struct_size;
    int32_t     method; /* ade_calibration_method */
    int32_t     folds;  /* of the cross-validation, 2 to 100; 0 = 10 */
    int32_t     reserved; /* 0 */
    uint64_t    seed;   /* of the folds, which are stratified */
    const char *data;   /* one line that says what the texts are; NULL = "" */
} ade_calibration_options;
#define ADE_CALIBRATION_OPTIONS_INIT { (uint32_t)sizeof(ade_calibration_options), 0, 0, 0, 0, NULL }

/* Fits a calibration and writes it as a file; the weights are not touched, and a model that is open keeps what it has.
 * logits    (n, C), of labelled texts.
 * labels    (n): indices of labels.
 * options   NULL = defaults.
 * path      NULL = calibration.json in the model's folder. An older file is replaced as a whole. Of more than 4,000
 *           different scores it keeps those between which recall, or the share of negatives found, grows by 1/2000.
 * Statuses: INVALID_ARGUMENT (fewer than 10 positive or 10 negative texts, a label out of range, a logit that is not a
 * number), UNSUPPORTED (a multi-label or regression model), BAD_MODEL (the model's files were changed since it was opened),
 * IO, OUT_OF_MEMORY. */
ADE_API ade_status ade_calibration_fit(const ade_model *model, const float *logits, const int32_t *labels, size_t n,
                                       const ade_calibration_options *options, const char *path);

/* ---- Screening: from MEDLINE/PubMed XML to hits ------------------------------------------------------------------ */

typedef enum ade_part {
    ADE_PART_TITLE          = 0,
    ADE_PART_ABSTRACT       = 1,
    ADE_PART_DELETED        = 2, /* the row says that the record was deleted; it has no text */
    ADE_PART_OTHER_ABSTRACT = 3, /* only if ade_screen_options.other_abstracts asks for it */
    ADE_PART_FILE           = 4, /* the row says that a file ends here; see ade_screen_get_file */
    ADE_PART_RECORD         = 5, /* only if ade_screen_options.record_rows asks for it */
    ADE_PART_FORCE_32_BITS = 0x7fffffff
} ade_part;

typedef enum ade_other_abstracts {
    ADE_OTHER_ABSTRACTS_NONE    = 0,
    ADE_OTHER_ABSTRACTS_ENGLISH = 1, /* those whose Language is "eng" or not given: plain-language summaries, AIDS, .. */
    ADE_OTHER_ABSTRACTS_ALL     = 2,
    ADE_OTHER_ABSTRACTS_FORCE_32_BITS = 0x7fffffff
} ade_other_abstracts;

typedef struct ade_text_list {
    const ade_text *items; /* (n) */
    size_t          n;
} ade_text_list;

/* What a file says of a citation beside its text, as far as a reviewer needs it. Texts are empty where it says nothing. */
typedef struct ade_screen_record {
    uint32_t struct_size; /* what this library fills; set by it */
    int32_t  version;
    int64_t  pmid;
    int32_t  book;                     /* 1: a PubmedBookArticle */
    int32_t  retracted;                /* 1: publication type "Retracted Publication", or "RetractionIn" among its notes */
    int32_t  mesh_adverse_effects;     /* 1: a MeSH heading has the qualifier "adverse effects" */
    int32_t  mesh_chemically_induced;  /* 1: a MeSH heading has the qualifier "chemically induced" */
    ade_text title;                    /* the title's text, as in ade_screen_part */
    ade_text date;                     /* of publication: "2016", "2016-05" or "2016-05-31" */
    ade_text date_revised;             /* "2016-05-31" */
    ade_text journal;                  /* MedlineTA, else the journal's or book's title */
    ade_text doi;
    ade_text_list languages;           /* "eng" */
    ade_text_list publication_types;   /* "Case Reports" */
    ade_text_list mesh;                /* descriptor/qualifiers, a star before each major topic: "Aspirin/adverse effects/blood" */
    ade_text_list chemicals;           /* names of substances */
    /* Over the record's sentences. */
    uint32_t n_sentences, n_screened, n_hits;
    uint32_t reserved;                 /* 0 */
    double   score;                    /* the highest score */
    double   noisy_or;                 /* 1 - product of (1 - score) over all screened sentences; for regression the
                                          highest score */
} ade_screen_record;

/* The text of one part, in which a row's start and end count. Pointers are valid during the call only. */
typedef struct ade_screen_part {
    uint32_t    struct_size; /* what this library fills; set by it */
    int32_t     part;        /* ade_part */
    int64_t     pmid;
    int32_t     version;
    int32_t     section_index; /* from 0 through the record's abstract sections; 0 for a title */
    ade_text    section;  /* label; data is NULL where there is none */
    ade_text    text;
    const char *source;
} ade_screen_part;

/* Called on the thread that calls ade_screen_next, in order, before the rows of that part, or of that document. */
typedef void (*ade_part_fn)(void *user, const ade_screen_part *part);

typedef struct ade_screen_options {
    uint32_t struct_size;
    int32_t  all;              /* 1: a row for every sentence (document), not only for hits */
    double   threshold;        /* a sentence is a hit when score >= threshold; negative = 0.5 */
    int32_t  no_section_label; /* 1: do not put "RESULTS: " before a labelled section's first sentence for the model */
    int32_t  keep_going;       /* 1: a file that fails is named in the log and counted, and the run goes on */
    uint64_t limit;            /* records to read at most; 0 = all */
    const ade_session_options *session; /* NULL = defaults; its progress callback counts bytes of input read;
                                           copied, not kept */
    ade_part_fn parts;         /* NULL = not wanted */
    void       *parts_user;
    int32_t     other_abstracts; /* ade_other_abstracts */
    int32_t     documents;       /* 1: one row a record that has a hit: its best sentence, and the counts in `record` */
    int32_t     file_rows;       /* 1: a row of part ADE_PART_FILE at the end of each file, also of one that failed */
    int32_t     dry_run;         /* 1: reads and counts only; nothing is classified, no sentence row is given, the model
                                    may be NULL, and a store is looked at but not changed */
    int32_t     no_md5;          /* 1: do not compare a file FILE with the MD5 sum in FILE.md5 */
    int32_t     no_store_text;   /* 1: the store keeps no sentences and no texts of records with hits */
    const char *store;           /* path of the store (SQLite), made if missing; NULL = none. See ade_screen_confirm */
    int32_t     drop_failed;     /* 1: a file that fails counts as not read: what its records said is forgotten, and what
                                    was counted is taken back, but for bytes. Its rows have been given, and the caller
                                    has to take them back too. With a store it is always so */
    int32_t     record_rows;     /* 1: for files that are screened apart; see "Files apart" below */
    double      prevalence;      /* for ade_screen_row.calibrated, as in ade_calibrate */
    ade_model  *prefilter;       /* a baseline that looks at each sentence first; what it gives less than
                                    prefilter_threshold is not classified, gives no row and is counted. NULL = none; held */
    double      prefilter_threshold;
} ade_screen_options;
#define ADE_SCREEN_OPTIONS_INIT \
    { (uint32_t)sizeof(ade_screen_options), 0, -1.0, 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, 0, 0, \
      0.0, NULL, 0.0 }

/* Starts a run. Statuses as ade_session_open; with a store also IO, BUSY (another run has it), UNSUPPORTED (it was made
 * with another model or other settings, which are named; or by a newer adesieve) and BAD_INPUT (it is no store, or is
 * damaged). The screen holds the model.
 *
 * What a store (`store`) does. It keeps, for each PMID, version, text hash, source file, scores and hits, and which
 * files are done. Those are not read again (same name, path, size and time, or same name and MD5 sum). A record
 * whose text did not change is not classified again. Order counts, not the moment: a record or deletion of NLM's file
 * 12 never replaces what file 13 said, even if file 12 had to be read later. With `limit`, the file in which it is
 * reached is read to its end, and the run then counts as complete.
 *
 * Files apart (`record_rows`). Within a run a PMID's record gives rows if the PMID is new or was deleted, or if the
 * record has another text than the last one that counted and no lower version; a deletion always gives one. Runs that
 * screen a file each know nothing of each other. With record_rows, a row of part ADE_PART_RECORD comes before the rows of
 * each such record, also where those are none: PMID, version and text_hash, sentence -1, no text. Taken in the order of
 * ade_screen_input, these rows and those of deletions decide by the same rule which records count, and the rows of those
 * are the rows of one run over all the files. A higher version with the same text gives its rows again here, and is
 * counted as revised: an earlier file may have a version between the two. A dry run gives no such rows. With a store:
 * INVALID_ARGUMENT, for the store knows other files. */
ADE_API ade_status ade_screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out);

/* Adds a file (.xml or .xml.gz, told by its content), a folder (all *.xml and *.xml.gz directly in it) or "-"
 * (standard input). Files are taken in the order of the year and number in their names (pubmed26n1334: 26, 1334),
 * whatever the order given, then by name; files without a number first. To be called before the first ade_screen_next.
 * Statuses: INVALID_ARGUMENT (after the first row), IO (no such file; a folder without such files). */
ADE_API ade_status ade_screen_add(ade_screen *screen, const char *path);

/* The path of the i-th file in the order in which files are taken, folders resolved into their files; NULL when there are
 * not so many. What is added later may come before it. Lives as long as the screen. */
ADE_API const char *ade_screen_input(ade_screen *screen, size_t i);

typedef struct ade_screen_row {
    uint32_t    struct_size; /* set by ADE_SCREEN_ROW_INIT */
    int32_t     part;        /* ade_part */
    int64_t     pmid;
    int32_t     version;
    int32_t     sentence;    /* from 0 through the record, the title first */
    ade_text    section;     /* the section's label; data is NULL where there is none */
    ade_text    text;        /* the sentence */
    uint64_t    start, end;  /* bytes [start, end) in the part's text (in the section's text where there is one) */
    uint64_t    start_char, end_char; /* the same in Unicode code points */
    ade_result  result;
    int32_t     hit;         /* 1 when score >= threshold */
    int32_t     section_index; /* from 0 through the record's abstract sections; 0 for a title */
    const float *logits, *probabilities; /* (C) each */
    const char *source;      /* the file's name without its folder */
    const ade_screen_record *record; /* NULL for parts DELETED and FILE */
    double      calibrated;  /* the calibrated probability; -1 where the model has no calibration */
    uint64_t    text_hash;   /* for part RECORD: of title, labels and texts; equal for equal ones in every run with the same
                                other_abstracts, on every machine. Else 0 */
} ade_screen_row;
#define ADE_SCREEN_ROW_INIT                                                                                      \
    { (uint32_t)sizeof(ade_screen_row), 0, 0, 0, 0, { NULL, 0 }, { NULL, 0 }, 0, 0, 0, 0, { 0, 0, 0, 0, 0, 0 }, \
      0, 0, NULL, NULL, NULL, NULL, -1.0, 0 }

/* Fetches the next row, in the order of files, records and sentences, whatever the threads. Pointers in the row are
 * valid until the next call. ADE_END when all is read. After an error that concerns one file and without keep_going,
 * and after ADE_END, every further call returns the same.
 * Statuses: END, IO, BAD_INPUT (file, line and column are named), CANCELLED, INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE,
 * UNSUPPORTED or BAD_MODEL (a score is not a number, as in ade_classify), BUSY. */
ADE_API ade_status ade_screen_next(ade_screen *screen, ade_screen_row *row);

/* Says that the rows so far are safe. With a store: notes in it, as one transaction, all files whose ends have been
 * passed, with the client's note (below); after ADE_END also that the run is complete. What is not confirmed is done
 * again by the next run, and gives the same rows. A file that failed is not noted: the next run takes it again.
 * A client that writes rows to a file makes them safe (fsync) at each row of part ADE_PART_FILE, and then confirms.
 * Unconfirmed outcomes are kept in memory. Statuses: IO (the store cannot be written), OUT_OF_MEMORY, BUSY. */
ADE_API ade_status ade_screen_confirm(ade_screen *screen);

/* A line of the client's own, kept with the run in the store: where its rows are, and how far. To be set before the
 * confirm that shall write it, which does so if a file's end has been passed; copied. ade_screen_get_note gives the note of a run that was not completed (killed,
 * cancelled, failed), or NULL: the run now started goes on with it. The string lives until the next call. */
ADE_API ade_status  ade_screen_set_note(ade_screen *screen, const char *note);
ADE_API const char *ade_screen_get_note(const ade_screen *screen);

typedef struct ade_screen_stats {
    uint32_t struct_size;
    uint32_t files_failed;
    uint64_t files_total, files_done; /* total = done + failed + skipped + those not reached */
    uint64_t bytes_read;    /* as stored, compressed or not */
    uint64_t bytes_xml;     /* after decompression */
    uint64_t citations;     /* = new_citations + revised + unchanged + superseded */
    uint64_t new_citations, revised, unchanged, superseded, deleted;
    uint64_t without_abstract, without_text; /* of the screened citations */
    uint64_t sentences;     /* = screened + skipped */
    uint64_t screened, skipped; /* skipped: sentences of records that need no screening, or without a letter or digit */
    uint64_t hits, rows, confirmed; /* rows: without those of parts FILE and RECORD */
    uint64_t tokens, unknown_tokens, truncated_texts, replaced;
    double   seconds_read, seconds_classify, seconds_total; /* of the reading threads, all together; of the device */
    uint64_t files_skipped;     /* the store says that they are done */
    uint64_t documents;         /* screened records with a hit */
    uint64_t retracted, books;  /* of the screened citations */
    double   seconds_starved;   /* the classifier had nothing to do because reading was not fast enough */
    uint64_t prefiltered;       /* of the skipped sentences, those that the prefilter left out */
} ade_screen_stats;
#define ADE_SCREEN_STATS_INIT                                                                                       \
    { (uint32_t)sizeof(ade_screen_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0 }

/* The counts so far; they add up at every moment between two calls of ade_screen_next. */
ADE_API ade_status ade_screen_get_stats(const ade_screen *screen, ade_screen_stats *stats);

typedef struct ade_screen_file {
    uint32_t    struct_size;
    int32_t     status;      /* ade_status: OK; END if the limit was reached in the file; else why it failed */
    const char *error;       /* the sentence that says it; NULL for OK */
    const char *path, *name; /* as it was opened; the last part of it */
    const char *md5;         /* of the file as stored, 32 lower-case hexadecimal digits; "" where it was not read whole */
    int32_t     md5_checked; /* 1: FILE.md5 says the same */
    int32_t     skipped;     /* 1: the store says that it was done before; the counts are those of then */
    uint64_t    bytes, bytes_xml;
    uint64_t    citations, new_citations, revised, unchanged, superseded, deleted;
    uint64_t    sentences, screened, hits, rows, tokens;
    double      seconds;     /* from its first record to its end */
    uint32_t    earlier;     /* files of the same name but other content that the store had done before this one */
    uint32_t    reserved;    /* 0 */
} ade_screen_file;
#define ADE_SCREEN_FILE_INIT                                                                                         \
    { (uint32_t)sizeof(ade_screen_file), 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      0, 0 }

/* The file that the row fetched last comes from. Strings live until the next ade_screen_next.
 * Statuses: INVALID_ARGUMENT (no row has been fetched). */
ADE_API ade_status ade_screen_get_file(const ade_screen *screen, ade_screen_file *file);

/* What the run's session resolved to (device, precision, threads). Strings live as long as the screen. */
ADE_API ade_status ade_screen_get_session_info(const ade_screen *screen, ade_session_info *info);

/* What the run has spent its time on, as ade_session_get_profile; ADE_BUSY while it classifies: ask after its last row. */
ADE_API ade_status ade_screen_get_profile(ade_screen *screen, ade_session_profile *profile);

ADE_API void ade_screen_close(ade_screen *screen); /* NULL is fine; a run may be closed before its end */

/* ---- Export: what a store holds ----------------------------------------------------------------------------------- */

typedef struct ade_export ade_export; /* one thread at a time */

typedef struct ade_export_info {
    uint32_t    struct_size;
    int32_t     complete;      /* 0: its last run was interrupted */
    uint64_t    files, records, deleted, documents, hits; /* documents: records with a hit */
    double      threshold;     /* a hit's score is at or above it */
    const char *settings;      /* what the scores depend on: "name: value" lines */
    const char *runs;          /* one JSON object a line: when, with what, how much */
} ade_export_info;
#define ADE_EXPORT_INFO_INIT { (uint32_t)sizeof(ade_export_info), 0, 0, 0, 0, 0, 0, 0.0, NULL, NULL }

/* A record with hits, or a deleted one. Pointers are valid until the next call. */
typedef struct ade_export_document {
    uint32_t                 struct_size;
    int32_t                  deleted; /* 1: a tombstone; only pmid and version of `record` are set */
    const ade_screen_record *record;
    const ade_screen_row    *rows;    /* (n_rows): the hits, in the order of the sentences; logits and probabilities are
                                         NULL, `record` is, too */
    size_t                   n_rows;
    const ade_screen_part   *parts;   /* (n_parts): title, then sections; none if the store keeps no text */
    size_t                   n_parts;
    const char              *source;  /* the file that gave the record */
    const char *const       *labels;  /* (n_rows): the name of each row's label */
} ade_export_document;
#define ADE_EXPORT_DOCUMENT_INIT { (uint32_t)sizeof(ade_export_document), 0, NULL, NULL, 0, NULL, 0, NULL, NULL }

/* Opens a store for reading, in the order of PMIDs. A store that a run has open is refused.
 * Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY, IO, BUSY, BAD_INPUT, UNSUPPORTED (made by a newer adesieve). */
ADE_API ade_status ade_export_open(const char *store, ade_export **out);
ADE_API ade_status ade_export_get_info(ade_export *exported, ade_export_info *info); /* strings live as long as it */

/* The next record that has a hit with score >= threshold (negative = the store's; a lower one than the store's is
 * refused: INVALID_ARGUMENT), with these hits; with `deleted` also tombstones. Statuses: END, IO, BAD_INPUT,
 * OUT_OF_MEMORY, INVALID_ARGUMENT. */
ADE_API ade_status ade_export_next(ade_export *exported, double threshold, int32_t deleted,
                                   ade_export_document *document);
ADE_API void ade_export_close(ade_export *exported); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
