/* SPDX-License-Identifier: Apache-2.0
 * config.json: which architecture, which sizes or which vectorizer, which labels. Missing keys have the defaults of
 * transformers' BertConfig and of scikit-learn's TfidfVectorizer. */
#define _GNU_SOURCE
#include "config.h"

#include "alloc.h"
#include "json.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "config.json"
#define ARCHITECTURE "BertForSequenceClassification"
#define BASELINE "TfidfLogisticRegression"

enum { MAX_CONFIG = 16 << 20, MAX_LABELS = 65536, MAX_WORDS = ADE_BASELINE_WORDS };

typedef struct reader {
    const char    *folder;
    const json_t  *root;
    const ade_log *log;
} reader;

/* Every sentence about a key begins alike. */
#define BAD_KEY(r, status, key, format, ...)                                                                           \
    ade__fail(status, "%s/" CONFIG_FILE ": \"%s\" " format, (r)->folder, key, __VA_ARGS__)

/* A key that is missing, or null where transformers takes null for missing. */
static const json_t *get(const reader *r, const char *key) {
    const json_t *value = json_object_get(r->root, key);
    return json_is_null(value) ? NULL : value;
}

static ade_status get_string(const reader *r, const char *key, const char **out) {
    const json_t *value = get(r, key);
    *out = json_string_value(value);
    if (value && !*out) return BAD_KEY(r, ADE_BAD_MODEL, key, "is no text; correct the file%s", "");
    return ADE_OK;
}

static ade_status get_bool(const reader *r, const char *key, bool *out) {
    const json_t *value = get(r, key);
    *out = json_is_true(value);
    if (value && !json_is_boolean(value))
        return BAD_KEY(r, ADE_BAD_MODEL, key, "is neither true nor false; correct the file%s", "");
    return ADE_OK;
}

static ade_status get_size(const reader *r, const char *key, int32_t missing, int32_t least, int32_t most,
                           int32_t *out) {
    const json_t *value = json_object_get(r->root, key);
    *out = missing;
    if (!value) return ADE_OK;
    if (!json_is_integer(value)) return BAD_KEY(r, ADE_BAD_MODEL, key, "is not a whole number; correct the file%s", "");
    json_int_t number = json_integer_value(value);
    if (number < least || number > most)
        return BAD_KEY(r, ADE_BAD_MODEL, key, "is %lld, which is not between %d and %d; correct the file",
                       (long long)number, (int)least, (int)most);
    *out = (int32_t)number;
    return ADE_OK;
}

/* ---- The graph --------------------------------------------------------------------------------------------------- */

static ade_status refuse_architecture(const reader *r, const char *name) {
    size_t size = strlen(name);
    if (!strcmp(name, "BertForTokenClassification"))
        return BAD_KEY(r, ADE_UNSUPPORTED, "architectures",
                       "names %s, which labels words; adesieve runs %s, which labels "
                       "sentences",
                       name, ARCHITECTURE);
    if (!strcmp(name, "BertModel") || !strcmp(name, "BertForMaskedLM") || !strcmp(name, "BertForPreTraining"))
        return BAD_KEY(r, ADE_UNSUPPORTED, "architectures",
                       "names %s, which has no trained classifier; fine-tune it as a "
                       "%s first",
                       name, ARCHITECTURE);
    if (size > 25 && !strcmp(name + size - 25, "ForSequenceClassification"))
        return BAD_KEY(r, ADE_UNSUPPORTED, "architectures",
                       "names %s, another kind of network; adesieve runs %s: choose "
                       "a checkpoint fine-tuned from a BERT model, such as BioBERT, PubMedBERT or MiniLM",
                       name, ARCHITECTURE);
    return BAD_KEY(r, ADE_UNSUPPORTED, "architectures",
                   "names %s; adesieve runs %s alone: choose a checkpoint of that "
                   "architecture",
                   name, ARCHITECTURE);
}

static ade_status read_architecture(const reader *r, ade_model_config *c) {
    const json_t *list = get(r, "architectures"), *pruned = get(r, "pruned_heads");
    const char   *type, *position;
    bool          decoder, crossed;
    if (list && (!json_is_array(list) || (json_array_size(list) > 0 && !json_is_string(json_array_get(list, 0)))))
        return BAD_KEY(r, ADE_BAD_MODEL, "architectures", "is not a list of names; correct the file%s", "");
    const char *name = json_string_value(json_array_get(list, 0));
    if (name && !strcmp(name, BASELINE)) {
        c->kind = ADE_MODEL_BASELINE;
        c->architecture = ade__strdup(BASELINE);
        return c->architecture ? ADE_OK : ADE_OUT_OF_MEMORY;
    }
    ADE_TRY(get_string(r, "model_type", &type));
    if (!name && !type)
        return ade__fail(ADE_BAD_MODEL,
                         "%s/" CONFIG_FILE ": has neither \"architectures\" nor \"model_type\", so the "
                         "kind of network is unknown; add \"architectures\": [\"" ARCHITECTURE "\"] if it is that",
                         r->folder);
    if (name && strcmp(name, ARCHITECTURE) != 0) return refuse_architecture(r, name);
    if (type && strcmp(type, "bert") != 0)
        return BAD_KEY(r, ADE_UNSUPPORTED, "model_type",
                       "is \"%s\", another kind of network; adesieve runs \"bert\" "
                       "(" ARCHITECTURE ") alone",
                       type);
    ADE_TRY(get_string(r, "position_embedding_type", &position));
    if (position && strcmp(position, "absolute") != 0)
        return BAD_KEY(r, ADE_UNSUPPORTED, "position_embedding_type",
                       "is \"%s\"; adesieve knows \"absolute\" alone: "
                       "choose a checkpoint with absolute positions",
                       position);
    ADE_TRY(get_bool(r, "is_decoder", &decoder));
    ADE_TRY(get_bool(r, "add_cross_attention", &crossed));
    if (decoder || crossed)
        return BAD_KEY(
            r, ADE_UNSUPPORTED, decoder ? "is_decoder" : "add_cross_attention",
            "is true; adesieve runs encoders, in which every word sees all words: choose such a checkpoint%s", "");
    if (pruned && (!json_is_object(pruned) || json_object_size(pruned) > 0))
        return BAD_KEY(r, ADE_UNSUPPORTED, "pruned_heads",
                       "is not empty; adesieve needs all attention heads: choose a "
                       "checkpoint without pruned heads%s",
                       "");
    c->architecture = ade__strdup(ARCHITECTURE);
    return c->architecture ? ADE_OK : ADE_OUT_OF_MEMORY;
}

static ade_status read_activation(const reader *r, ade_activation *out) {
    static const struct {
        const char    *name;
        ade_activation activation;
    } KNOWN[] = {{"gelu", ADE_ACT_GELU_ERF},
                 {"gelu_new", ADE_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", ADE_ACT_GELU_TANH},
                 {"relu", ADE_ACT_RELU},
                 {"silu", ADE_ACT_SILU}};
    const char *name;
    ADE_TRY(get_string(r, "hidden_act", &name));
    *out = ADE_ACT_GELU_ERF;
    for (size_t i = 0; name && i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (!strcmp(name, KNOWN[i].name)) {
            *out = KNOWN[i].activation;
            return ADE_OK;
        }
    if (name)
        return BAD_KEY(r, ADE_UNSUPPORTED, "hidden_act",
                       "is \"%s\"; adesieve knows gelu, gelu_new, gelu_pytorch_tanh, "
                       "relu and silu: choose a checkpoint that uses one of them",
                       name);
    return ADE_OK;
}

static ade_status read_sizes(const reader *r, ade_model_config *c) {
    /* Far above any BERT, and low enough that the product of two of them fits 64 bits many times over. */
    ADE_TRY(get_size(r, "vocab_size", 30522, 1, 1 << 24, &c->vocab_size));
    ADE_TRY(get_size(r, "hidden_size", 768, 1, 1 << 16, &c->hidden_size));
    ADE_TRY(get_size(r, "num_hidden_layers", 12, 1, 1000, &c->n_layers));
    ADE_TRY(get_size(r, "num_attention_heads", 12, 1, 1 << 16, &c->n_heads));
    ADE_TRY(get_size(r, "intermediate_size", 3072, 1, 1 << 20, &c->intermediate_size));
    ADE_TRY(get_size(r, "max_position_embeddings", 512, 1, 1 << 20, &c->max_positions));
    ADE_TRY(get_size(r, "type_vocab_size", 2, 1, 1 << 16, &c->type_vocab_size));
    c->pad_token_id = 0;
    if (get(r, "pad_token_id")) ADE_TRY(get_size(r, "pad_token_id", 0, 0, c->vocab_size - 1, &c->pad_token_id));
    if (c->hidden_size % c->n_heads != 0)
        return BAD_KEY(r, ADE_BAD_MODEL, "hidden_size",
                       "is %d, which is not a multiple of \"num_attention_heads\", %d; "
                       "correct the file",
                       (int)c->hidden_size, (int)c->n_heads);
    const json_t *eps = json_object_get(r->root, "layer_norm_eps");
    double        value = eps ? json_number_value(eps) : 1e-12;
    if ((eps && !json_is_number(eps)) || !(value > 0 && value < 1) || !((float)value > 0))
        return BAD_KEY(r, ADE_BAD_MODEL, "layer_norm_eps", "is not a number between 0 and 1; correct the file%s", "");
    c->layer_norm_eps = (float)value;
    return ADE_OK;
}

/* ---- Labels ------------------------------------------------------------------------------------------------------ */

static ade_status add_label(ade_model_config *c, int32_t index, const char *text, size_t size) {
    c->labels[index] = ade__strndup(text, size);
    return c->labels[index] ? ADE_OK : ADE_OUT_OF_MEMORY;
}

/* How many labels there are: the entries of id2label, else num_labels, else two. */
static ade_status count_labels(const reader *r, ade_model_config *c) {
    const json_t *names = get(r, "id2label"), *count = get(r, "num_labels");
    int32_t       told = 2;
    if (count) ADE_TRY(get_size(r, "num_labels", 2, 1, MAX_LABELS, &told));
    c->n_labels = told;
    if (names) {
        if (!json_is_object(names))
            return BAD_KEY(r, ADE_BAD_MODEL, "id2label",
                           "is not an object such as {\"0\": \"not ADE\", \"1\": \"ADE\"}; "
                           "correct the file%s",
                           "");
        size_t n = json_object_size(names);
        if (n < 1 || n > MAX_LABELS)
            return BAD_KEY(r, ADE_BAD_MODEL, "id2label", "has %zu labels; 1 to %d are possible", n, (int)MAX_LABELS);
        c->n_labels = (int32_t)n;
        if (count && told != c->n_labels)
            ade__log(r->log, ADE_LOG_WARNING,
                     "%s/" CONFIG_FILE ": \"num_labels\" is %d, but \"id2label\" has %d labels; "
                     "\"id2label\" counts, as in transformers",
                     r->folder, (int)told, (int)c->n_labels);
    }
    c->labels = ade__calloc((size_t)c->n_labels, sizeof *c->labels);
    return c->labels ? ADE_OK : ADE_OUT_OF_MEMORY;
}

/* An earlier label of the same name as label i; -1 if there is none. */
static int32_t label_before(const ade_model_config *c, int32_t i) {
    for (int32_t k = 0; k < i; k++)
        if (!strcmp(c->labels[k], c->labels[i])) return k;
    return -1;
}

static ade_status labels_from_option(const char *text, ade_model_config *c) {
    int32_t n = 1;
    size_t  size = strlen(text);
    if (ade__utf8_valid(text, size) != size)
        return ade__fail(ADE_INVALID_ARGUMENT, "the labels given are not valid UTF-8 (byte %zu)",
                         ade__utf8_valid(text, size));
    for (const char *p = text; *p; p++) n += *p == ',';
    if (n != c->n_labels)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "%d labels are given (\"%s\"), but the model has %d; give one for each, "
                         "with commas between, in the order of their numbers",
                         (int)n, text, (int)c->n_labels);
    for (int32_t i = 0; i < n; i++) {
        size_t      length = strcspn(text, ",");
        const char *begin = text, *end = text + length;
        while (begin < end && *begin == ' ') begin++;
        while (begin < end && end[-1] == ' ') end--;
        if (begin == end)
            return ade__fail(ADE_INVALID_ARGUMENT, "label %d of those given is empty; give every label a name", (int)i);
        ADE_TRY(add_label(c, i, begin, (size_t)(end - begin)));
        if (label_before(c, i) >= 0)
            return ade__fail(ADE_INVALID_ARGUMENT, "labels %d and %d of those given are both \"%s\"; give them different names",
                             (int)label_before(c, i), (int)i, c->labels[i]);
        text += length + 1; /* behind the last one: past the NUL, but not read */
    }
    return ADE_OK;
}

static ade_status labels_from_file(const reader *r, ade_model_config *c) {
    const json_t *names = get(r, "id2label");
    char          text[32];
    for (int32_t i = 0; i < c->n_labels; i++) {
        int size = snprintf(text, sizeof text, "LABEL_%d", (int)i);
        if (names) {
            const json_t *value = json_object_get(names, text + 6); /* the number after "LABEL_" */
            if (json_is_string(value)) {
                ADE_TRY(add_label(c, i, json_string_value(value), json_string_length(value)));
                continue;
            }
            if (!json_is_integer(value))
                return BAD_KEY(r, ADE_BAD_MODEL, "id2label",
                               "has no name for label %d of %d; correct the file, or give "
                               "the labels yourself",
                               (int)i, (int)c->n_labels);
            size = snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        }
        ADE_TRY(add_label(c, i, text, (size_t)size));
    }
    return ADE_OK;
}

static void compare_label2id(const reader *r, const ade_model_config *c) {
    const json_t *ids = get(r, "label2id");
    for (int32_t i = 0; i < c->n_labels; i++)
        if (label_before(c, i) >= 0)
            ade__log(r->log, ADE_LOG_WARNING,
                     "%s/" CONFIG_FILE ": labels %d and %d are both \"%s\"; rows cannot tell them apart, so name the "
                     "labels yourself",
                     r->folder, (int)label_before(c, i), (int)i, c->labels[i]);
    if (!get(r, "id2label") || !json_is_object(ids)) return;
    for (int32_t i = 0; i < c->n_labels; i++) {
        const json_t *id = json_object_get(ids, c->labels[i]);
        if (json_is_integer(id) && json_integer_value(id) != i) {
            ade__log(r->log, ADE_LOG_WARNING,
                     "%s/" CONFIG_FILE ": \"label2id\" gives \"%s\" the number %lld, \"id2label\" "
                     "%d; \"id2label\" counts, as in transformers: check which is right",
                     r->folder, c->labels[i], (long long)json_integer_value(id), (int)i);
            return;
        }
    }
}

static ade_status find_positive(const char *wanted, ade_model_config *c) {
    c->positive_label = c->n_labels - 1;
    for (int32_t i = 0; i < c->n_labels; i++)
        if (!strcmp(c->labels[i], wanted ? wanted : "ADE")) {
            c->positive_label = i;
            return ADE_OK;
        }
    if (!wanted) return ADE_OK;
    size_t digits = strspn(wanted, "0123456789");
    if (digits > 0 && digits < 6 && !wanted[digits] && atoi(wanted) < c->n_labels) {
        c->positive_label = (int32_t)atoi(wanted);
        return ADE_OK;
    }
    char   list[256] = "";
    size_t used = 0;
    for (int32_t i = 0; i < c->n_labels && used < sizeof list - 1; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s\"%s\"", i ? ", " : "", c->labels[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return ade__fail(ADE_INVALID_ARGUMENT,
                     "the positive label \"%s\" is none of the model's %d labels (%s%s); give one of "
                     "them, or a number from 0 to %d",
                     wanted, (int)c->n_labels, list, used >= sizeof list ? ".." : "", (int)c->n_labels - 1);
}

static ade_status read_problem(const reader *r, ade_model_config *c) {
    const char *type;
    ADE_TRY(get_string(r, "problem_type", &type));
    if (type && strcmp(type, "regression") != 0 && strcmp(type, "multi_label_classification") != 0 &&
        strcmp(type, "single_label_classification") != 0)
        return BAD_KEY(r, ADE_BAD_MODEL, "problem_type",
                       "is \"%s\"; it must be single_label_classification, "
                       "multi_label_classification, regression or absent: correct the file",
                       type);
    /* The order of transformers' text classification pipeline: one label means a sigmoid even when the type says
     * single_label_classification. */
    if (type && !strcmp(type, "regression"))
        c->problem = ADE_PROBLEM_REGRESSION;
    else if (c->n_labels == 1 || (type && type[0] == 'm'))
        c->problem = ADE_PROBLEM_MULTI_LABEL;
    else
        c->problem = ADE_PROBLEM_SINGLE_LABEL;
    return ADE_OK;
}

/* ---- A baseline's vectorizer ------------------------------------------------------------------------------------- */

#define BAD_SETTING(r, status, key, format, ...)                                                                       \
    ade__fail(status, "%s/" CONFIG_FILE ": \"%s\" of \"vectorizer\" " format, (r)->folder, key, __VA_ARGS__)

static ade_status read_flag(const reader *r, const char *key, const json_t *value, bool *out) {
    if (!json_is_boolean(value))
        return BAD_SETTING(r, ADE_BAD_MODEL, key, "is neither true nor false; correct the file%s", "");
    *out = json_is_true(value);
    return ADE_OK;
}

static ade_status read_ngram_range(const reader *r, const char *key, const json_t *value, ade_vectorizer *v) {
    const json_t *least = json_array_get(value, 0), *most = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(least) || !json_is_integer(most))
        return BAD_SETTING(r, ADE_BAD_MODEL, key, "is no pair of whole numbers such as [1, 2]; correct the file%s", "");
    json_int_t low = json_integer_value(least), high = json_integer_value(most);
    if (low < 1 || high < low || high > MAX_WORDS)
        return BAD_SETTING(r, ADE_UNSUPPORTED, key,
                           "is [%lld, %lld]; adesieve knows terms of 1 to %d words, the smaller number first: train a "
                           "baseline with such a range",
                           (long long)low, (long long)high, (int)MAX_WORDS);
    v->least_words = (int32_t)low;
    v->most_words = (int32_t)high;
    return ADE_OK;
}

/* A setting that has names, or null for none of them: which one it is, from 0; `n_names` for null. */
static ade_status read_choice(const reader *r, const char *key, const json_t *value, const char *const *names,
                              int n_names, const char *list, int *out) {
    const char *text = json_string_value(value);
    *out = n_names;
    if (json_is_null(value)) return ADE_OK;
    for (int i = 0; text && i < n_names; i++)
        if (!strcmp(text, names[i])) {
            *out = i;
            return ADE_OK;
        }
    return BAD_SETTING(r, ADE_UNSUPPORTED, key,
                       "is %s%s%s; adesieve knows %s: train a baseline with one of these", text ? "\"" : "",
                       text ? text : "no text", text ? "\"" : "", list);
}

static ade_status read_only_value(const reader *r, const char *key, const json_t *value, const char *known) {
    const char *text = json_string_value(value);
    if (text && !strcmp(text, known)) return ADE_OK;
    return BAD_SETTING(r, ADE_UNSUPPORTED, key,
                       "is %s%s%s; adesieve knows \"%s\", scikit-learn's default, alone: train a baseline with that",
                       text ? "\"" : "", text ? text : "no text", text ? "\"" : "", known);
}

static ade_status read_stop_words(const reader *r, const char *key, const json_t *value, ade_vectorizer *v) {
    if (json_is_null(value)) return ADE_OK;
    if (!json_is_array(value))
        return BAD_SETTING(r, ADE_UNSUPPORTED, key,
                           "is neither null nor a list of words; write the words themselves, as training/baseline.py "
                           "does%s",
                           "");
    v->stop_words = ade__calloc(json_array_size(value), sizeof *v->stop_words);
    if (!v->stop_words) return ADE_OUT_OF_MEMORY;
    for (; v->n_stop_words < json_array_size(value); v->n_stop_words++) {
        const json_t *word = json_array_get(value, v->n_stop_words);
        if (!json_is_string(word))
            return BAD_SETTING(r, ADE_BAD_MODEL, key, "holds something that is no word (number %zu); correct the file",
                               v->n_stop_words);
        v->stop_words[v->n_stop_words] = ade__strdup(json_string_value(word));
        if (!v->stop_words[v->n_stop_words]) return ADE_OUT_OF_MEMORY;
    }
    return ADE_OK;
}

static ade_status read_setting(const reader *r, const char *key, const json_t *value, ade_vectorizer *v) {
    static const char *const NORMS[] = {"l2", "l1"}, *const ACCENTS[] = {"unicode", "ascii"};
    bool                     smooth;
    int                      choice;
    if (!strcmp(key, "lowercase")) return read_flag(r, key, value, &v->lowercase);
    if (!strcmp(key, "use_idf")) return read_flag(r, key, value, &v->use_idf);
    if (!strcmp(key, "sublinear_tf")) return read_flag(r, key, value, &v->sublinear_tf);
    if (!strcmp(key, "binary")) return read_flag(r, key, value, &v->binary);
    if (!strcmp(key, "smooth_idf")) return read_flag(r, key, value, &smooth); /* it is in the idf that was stored */
    if (!strcmp(key, "ngram_range")) return read_ngram_range(r, key, value, v);
    if (!strcmp(key, "token_pattern")) return read_only_value(r, key, value, "(?u)\\b\\w\\w+\\b");
    if (!strcmp(key, "analyzer")) return read_only_value(r, key, value, "word");
    if (!strcmp(key, "stop_words")) return read_stop_words(r, key, value, v);
    if (!strcmp(key, "norm")) {
        static const ade_norm VALUES[] = {ADE_NORM_L2, ADE_NORM_L1, ADE_NORM_NONE};
        ADE_TRY(read_choice(r, key, value, NORMS, 2, "\"l2\", \"l1\" and null", &choice));
        v->norm = VALUES[choice];
        return ADE_OK;
    }
    if (!strcmp(key, "strip_accents")) {
        static const ade_accents VALUES[] = {ADE_ACCENTS_UNICODE, ADE_ACCENTS_ASCII, ADE_ACCENTS_KEPT};
        ADE_TRY(read_choice(r, key, value, ACCENTS, 2, "\"unicode\", \"ascii\" and null", &choice));
        v->accents = VALUES[choice];
        return ADE_OK;
    }
    return ade__fail(ADE_UNSUPPORTED,
                     "%s/" CONFIG_FILE ": \"vectorizer\" has a setting \"%s\", which adesieve does not know; if scores "
                     "do not depend on it, remove it from the file",
                     r->folder, key);
}

static ade_status read_vectorizer(const reader *r, ade_model_config *c) {
    json_t         *settings = json_object_get(r->root, "vectorizer"), *value;
    ade_vectorizer *v = &c->vectorizer;
    const char     *key;
    v->lowercase = v->use_idf = true;
    v->norm = ADE_NORM_L2;
    v->least_words = v->most_words = 1;
    if (!json_is_object(settings))
        return BAD_KEY(r, ADE_BAD_MODEL, "vectorizer",
                       "%s; a baseline needs this object of scikit-learn's settings, as training/baseline.py writes it",
                       settings ? "is no object" : "is missing");
    json_object_foreach(settings, key, value) ADE_TRY(read_setting(r, key, value, v));
    return ADE_OK;
}

/* Labels are read, too. */
static ade_status check_baseline(const reader *r, const ade_model_config *c) {
    if (c->problem == ADE_PROBLEM_SINGLE_LABEL) return ADE_OK;
    return ade__fail(ADE_UNSUPPORTED,
                     "%s/" CONFIG_FILE ": a baseline chooses one of two or more labels; this one has %d and "
                     "\"problem_type\" %s: correct the file",
                     r->folder, (int)c->n_labels,
                     get(r, "problem_type") ? json_string_value(get(r, "problem_type")) : "is not given");
}

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static ade_status read_all(const reader *r, const ade_model_options *options, ade_model_config *c) {
    ADE_TRY(read_architecture(r, c));
    if (c->kind == ADE_MODEL_BASELINE) {
        ADE_TRY(read_vectorizer(r, c));
    } else {
        ADE_TRY(read_activation(r, &c->activation));
        ADE_TRY(read_sizes(r, c));
    }
    ADE_TRY(count_labels(r, c));
    if (options && options->labels) {
        ADE_TRY(labels_from_option(options->labels, c));
    } else {
        ADE_TRY(labels_from_file(r, c));
        compare_label2id(r, c);
    }
    ADE_TRY(find_positive(options ? options->positive_label : NULL, c));
    ADE_TRY(read_problem(r, c));
    return c->kind == ADE_MODEL_BASELINE ? check_baseline(r, c) : ADE_OK;
}

ade_status ade__config_read(const char *folder, const ade_model_options *options, const ade_log *log,
                            ade_model_config *out) {
    ade_model_config config = {0};
    json_t          *root = NULL;
    ade_status       status;
    ADE_TRY(ade__folder_check(folder));
    ADE_TRY_GOTO(ade__json_read(folder, CONFIG_FILE, MAX_CONFIG, 0, &config.used, &root), done);
    if (!root) {
        status = ade__fail(ADE_BAD_MODEL, "%s: holds no " CONFIG_FILE "; give the folder of a Hugging Face checkpoint",
                           folder);
        goto done;
    }
    reader r = {folder, root, log};
    status = read_all(&r, options, &config);
done:
    json_decref(root);
    if (status == ADE_OK)
        *out = config;
    else
        ade__config_clear(&config);
    return status;
}

void ade__config_clear(ade_model_config *config) {
    for (int32_t i = 0; config->labels && i < config->n_labels; i++) ade__free(config->labels[i]);
    ade__free(config->labels);
    for (size_t i = 0; i < config->vectorizer.n_stop_words; i++) ade__free(config->vectorizer.stop_words[i]);
    ade__free(config->vectorizer.stop_words);
    ade__free(config->architecture);
    ade__used_files_clear(&config->used);
    memset(config, 0, sizeof *config);
}
