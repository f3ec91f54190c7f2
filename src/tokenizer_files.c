/* SPDX-License-Identifier: Apache-2.0
 * Which of a folder's tokenizer files decides what, as in transformers 4.47 (tokenization_utils_base.py,
 * tokenization_utils_fast.py, tokenization_bert_fast.py):
 *
 *   tokenizer_class           tokenizer_config.json, else config.json, else BertTokenizer
 *   vocabulary                tokenizer.json, else vocab.txt
 *   clean_text, prefix, longest word, [CLS] .. [SEP]     tokenizer.json, else the defaults
 *   lowercase, strip_accents, tokenize_chinese_chars
 *     BertTokenizer (Fast)    tokenizer_config.json, else the defaults true, null, true; never tokenizer.json
 *     PreTrainedTokenizerFast tokenizer.json alone
 *   names of special tokens   tokenizer_config.json; special_tokens_map.json goes before it, unless
 *                             tokenizer_config.json has added_tokens_decoder
 *   added tokens              tokenizer.json, then added_tokens_decoder; without that key, added_tokens.json
 *   truncation, padding       nobody: tokenizer.json's are what the training run last used
 */
#define _GNU_SOURCE
#include "config.h"

#include "alloc.h"
#include "json.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SMALL_FILE = 16 << 20, MAX_LARGE_FILE = 64 << 20, MAX_VOCABULARY = 1 << 22 };
enum { MAX_ADDED = 10000 }; /* each is compared with all others */

enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, N_SPECIALS }; /* the order in which transformers adds them */
static const char *const SPECIAL_KEYS[N_SPECIALS] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                     "pad_token", "cls_token", "mask_token"};
static const char *const BERT_NAMES[N_SPECIALS] = {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};

typedef struct declared {
    ade_added_token token;
    int64_t         id;
    size_t          order; /* of appearance: the last one of an id counts */
} declared;

typedef struct work {
    const char          *folder;
    const ade_log       *log;
    ade_used_files       used;
    json_t              *tokenizer, *config, *special, *added_file, *model_config; /* NULL: no such file */
    json_t              *additional; /* the further special tokens of both files */
    char                *vocab_text;
    const char          *source; /* of the vocabulary */
    const char          *class_name;
    bool                 generic; /* PreTrainedTokenizerFast */
    ade_text            *vocab;
    size_t               vocab_capacity;
    ade_added_token     *added;
    size_t               added_capacity;
    declared            *declared;
    size_t               n_declared, declared_capacity;
    ade_tokenizer_config made;
    int32_t              model_max_length;
    char                 reason[400];
} work;

#define BAD_FILE(w, status, name, format, ...) ade__fail(status, "%s/%s: " format, (w)->folder, name, __VA_ARGS__)
#define BAD(w, name, format, ...) BAD_FILE(w, ADE_BAD_MODEL, name, format, __VA_ARGS__)

#define TOKENIZER "tokenizer.json"
#define CONFIG "tokenizer_config.json"

/* ---- Small readers ----------------------------------------------------------------------------------------------- */

static ade_status read_bool(const work *w, const char *file, const json_t *object, const char *key, bool missing,
                            bool *out) {
    const json_t *value = json_object_get(object, key);
    *out = value ? json_is_true(value) : missing;
    if (value && !json_is_boolean(value))
        return BAD(w, file, "\"%s\" is neither true nor false; correct the file", key);
    return ADE_OK;
}

static bool text_is(ade_text text, const char *name) {
    return text.size == strlen(name) && !memcmp(text.data, name, text.size);
}

/* Only for a handful of names: a scan. The last one counts, as in a Python dictionary. */
static int64_t find_in_vocabulary(const work *w, const char *name) {
    for (size_t i = w->made.n_vocab; i-- > 0;)
        if (text_is(w->vocab[i], name)) return (int64_t)i;
    return -1;
}

/* The "type" of a part of tokenizer.json must be the one that BERT uses. */
static ade_status check_type(const work *w, const char *part, const char *wanted, const json_t **out) {
    const json_t *object = json_object_get(w->tokenizer, part);
    const char   *type = json_string_value(json_object_get(object, "type"));
    *out = object;
    if (!type || strcmp(type, wanted) != 0)
        return BAD_FILE(w, ADE_UNSUPPORTED, TOKENIZER,
                        "\"%s\" is %s; adesieve knows %s alone: choose a checkpoint with a "
                        "BERT tokenizer",
                        part, type ? type : "absent", wanted);
    return ADE_OK;
}

/* ---- Vocabulary -------------------------------------------------------------------------------------------------- */

static ade_status vocabulary_from_json(work *w) {
    const json_t *model = json_object_get(w->tokenizer, "model"), *vocab, *value;
    const char   *key, *type = json_string_value(json_object_get(model, "type"));
    json_t       *id;
    if ((!type && !json_object_get(model, "continuing_subword_prefix")) || (type && strcmp(type, "WordPiece") != 0))
        return BAD_FILE(w, ADE_UNSUPPORTED, TOKENIZER,
                        "\"model\" is %s; adesieve knows WordPiece alone: choose a "
                        "checkpoint with a BERT tokenizer",
                        type ? type : "absent");
    vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return BAD(w, TOKENIZER, "\"model\" has no object \"vocab\" with entries; download the %s again", "file");
    json_object_foreach((json_t *)(uintptr_t)vocab, key, id) {
        json_int_t number = json_integer_value(id);
        if (!json_is_integer(id) || number < 0 || number >= MAX_VOCABULARY)
            return BAD(w, TOKENIZER,
                       "the vocabulary's entry \"%s\" has an id that is not a whole number from 0 to %d; "
                       "download the file again",
                       key, MAX_VOCABULARY - 1);
        if ((size_t)number >= w->made.n_vocab) w->made.n_vocab = (size_t)number + 1;
    }
    w->vocab = ade__calloc(w->made.n_vocab, sizeof *w->vocab);
    if (!w->vocab) return ADE_OUT_OF_MEMORY;
    json_object_foreach((json_t *)(uintptr_t)vocab, key, id) {
        ade_text *entry = &w->vocab[json_integer_value(id)];
        if (entry->data)
            return BAD(w, TOKENIZER,
                       "the vocabulary gives \"%s\" and \"%s\" the same id, %lld; download the file again", entry->data,
                       key, (long long)json_integer_value(id));
        *entry = (ade_text){key, strlen(key)};
    }
    if ((value = json_object_get(model, "unk_token"))) {
        w->made.unk_token = json_string_value(value);
        if (!w->made.unk_token) return BAD(w, TOKENIZER, "\"model\": \"%s\" is no text; correct the file", "unk_token");
    }
    if ((value = json_object_get(model, "continuing_subword_prefix"))) {
        w->made.continuing_prefix = json_string_value(value);
        if (!w->made.continuing_prefix)
            return BAD(w, TOKENIZER, "\"model\": \"%s\" is no text; correct the file", "continuing_subword_prefix");
    }
    if ((value = json_object_get(model, "max_input_chars_per_word"))) {
        json_int_t most = json_integer_value(value);
        if (!json_is_integer(value) || most < 0 || most > 1000000000)
            return BAD(w, TOKENIZER, "\"model\": \"%s\" is not a whole number from 0 to 1000000000; correct the file",
                       "max_input_chars_per_word");
        w->made.max_input_chars_per_word = (size_t)most;
    }
    w->source = TOKENIZER;
    return ADE_OK;
}

/* As Python's text mode with readlines() and rstrip("\n"): \n, \r\n and \r end a line, all else belongs to it. */
static ade_status vocabulary_from_text(work *w) {
    size_t size, line = 1;
    ADE_TRY(ade__folder_read(w->folder, "vocab.txt", MAX_LARGE_FILE, &w->used, &w->vocab_text, &size));
    if (!w->vocab_text)
        return ade__fail(ADE_BAD_MODEL,
                         "%s: holds neither " TOKENIZER " nor vocab.txt, so texts cannot be turned into "
                         "token ids; copy them from the model that was fine-tuned",
                         w->folder);
    size_t valid = ade__utf8_valid(w->vocab_text, size);
    for (size_t i = 0; i < valid && valid < size; i++)
        line += w->vocab_text[i] == '\n' || (w->vocab_text[i] == '\r' && w->vocab_text[i + 1] != '\n');
    if (valid < size)
        return BAD(w, "vocab.txt", "line %zu: invalid UTF-8 at byte %zu of the file; download it again", line, valid);
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && w->vocab_text[end] != '\n' && w->vocab_text[end] != '\r') end++;
        if (w->made.n_vocab == MAX_VOCABULARY)
            return BAD(w, "vocab.txt", "has more than %d lines, more than any vocabulary; download it again",
                       MAX_VOCABULARY);
        if (ade__reserve(&w->vocab, &w->vocab_capacity, w->made.n_vocab + 1, sizeof *w->vocab))
            return ADE_OUT_OF_MEMORY;
        w->vocab[w->made.n_vocab++] = (ade_text){w->vocab_text + at, end - at};
        at = end + (end + 1 < size && w->vocab_text[end] == '\r' && w->vocab_text[end + 1] == '\n' ? 2 : 1);
    }
    w->source = "vocab.txt";
    return ADE_OK;
}

/* ---- Casing ------------------------------------------------------------------------------------------------------ */

static ade_status find_class(work *w) {
    static const char *const BERT_LIKE[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                            "MobileBertTokenizer"};
    const char              *file = CONFIG;
    const json_t            *value = json_object_get(w->config, "tokenizer_class");
    if (!value || json_is_null(value)) {
        file = "config.json";
        value = json_object_get(w->model_config, "tokenizer_class");
    }
    w->class_name = json_is_string(value) ? json_string_value(value) : "BertTokenizer";
    if (value && !json_is_string(value) && !json_is_null(value))
        return BAD(w, file, "\"%s\" is no text; correct the file", "tokenizer_class");
    size_t size = strlen(w->class_name);
    w->generic = !strcmp(w->class_name, "PreTrainedTokenizerFast") || !strcmp(w->class_name, "TokenizersBackend");
    if (w->generic) {
        if (w->tokenizer) return ADE_OK;
        return BAD(w, file,
                   "\"tokenizer_class\" is %s, which needs " TOKENIZER ", and the folder has none; copy it from "
                   "the model that was fine-tuned",
                   w->class_name);
    }
    if (size > 4 && !strcmp(w->class_name + size - 4, "Fast")) size -= 4;
    for (size_t i = 0; i < sizeof BERT_LIKE / sizeof *BERT_LIKE; i++)
        if (strlen(BERT_LIKE[i]) == size && !strncmp(w->class_name, BERT_LIKE[i], size)) return ADE_OK;
    return BAD_FILE(w, ADE_UNSUPPORTED, file,
                    "\"tokenizer_class\" is %s; adesieve knows BertTokenizer and its fast form: "
                    "choose a checkpoint with a BERT tokenizer",
                    w->class_name);
}

static ade_status read_normalizer(work *w, bool *lowercase) {
    const json_t *normalizer, *ignored, *strip;
    ADE_TRY(check_type(w, "normalizer", "BertNormalizer", &normalizer));
    ADE_TRY(check_type(w, "pre_tokenizer", "BertPreTokenizer", &ignored));
    ADE_TRY(read_bool(w, TOKENIZER, normalizer, "clean_text", true, &w->made.clean_text));
    ADE_TRY(read_bool(w, TOKENIZER, normalizer, "handle_chinese_chars", true, &w->made.handle_chinese_chars));
    ADE_TRY(read_bool(w, TOKENIZER, normalizer, "lowercase", true, lowercase));
    strip = json_object_get(normalizer, "strip_accents");
    if (!strip || json_is_null(strip))
        w->made.strip_accents = *lowercase;
    else
        ADE_TRY(read_bool(w, TOKENIZER, normalizer, "strip_accents", true, &w->made.strip_accents));
    return ADE_OK;
}

static ade_status decide_casing(work *w) {
    bool        there = false; /* what tokenizer.json says */
    const char *subject;
    w->made.clean_text = true;
    if (w->tokenizer) ADE_TRY(read_normalizer(w, &there));
    if (w->generic) {
        w->made.lowercase = there;
    } else {
        const json_t *strip = json_object_get(w->config, "strip_accents");
        ADE_TRY(read_bool(w, CONFIG, w->config, "do_lower_case", true, &w->made.lowercase));
        ADE_TRY(read_bool(w, CONFIG, w->config, "tokenize_chinese_chars", true, &w->made.handle_chinese_chars));
        if (!strip || json_is_null(strip))
            w->made.strip_accents = w->made.lowercase; /* null: as the casing */
        else
            ADE_TRY(read_bool(w, CONFIG, w->config, "strip_accents", true, &w->made.strip_accents));
    }
    subject = w->made.lowercase ? "Texts are lower-cased" : "Texts keep their capitals";
    const char *value = w->made.lowercase ? "true" : "false";
    if (w->generic)
        snprintf(w->reason, sizeof w->reason,
                 "%s: \"lowercase\" is %s in " TOKENIZER ", which alone decides for "
                 "tokenizer_class %s",
                 subject, value, w->class_name);
    else if (json_object_get(w->config, "do_lower_case"))
        snprintf(w->reason, sizeof w->reason, "%s: \"do_lower_case\" is %s in " CONFIG "%s", subject, value,
                 w->tokenizer && there != w->made.lowercase ? ", which goes before " TOKENIZER
                                                              " (that says the opposite), as in transformers"
                                                            : "");
    else
        snprintf(w->reason, sizeof w->reason, "%s: %s, and the default of %s is true%s", subject,
                 w->config ? CONFIG " does not say \"do_lower_case\"" : "there is no " CONFIG, w->class_name,
                 w->tokenizer && !there ? ", which goes before \"lowercase\": false in " TOKENIZER
                                          ", as in transformers"
                                        : "");
    return ADE_OK;
}

/* ---- [CLS] text [SEP] -------------------------------------------------------------------------------------------- */

static ade_status bad_template(const work *w, const char *what) {
    return BAD_FILE(w, ADE_UNSUPPORTED, TOKENIZER,
                    "\"post_processor\" %s; adesieve knows the form [CLS] text [SEP] alone: "
                    "choose a checkpoint with a BERT tokenizer",
                    what);
}

/* The id that the post-processor writes for `name` must be the vocabulary's. */
static ade_status check_special_id(const work *w, const char *name, const json_t *id) {
    json_int_t number = json_integer_value(id);
    if (!json_is_integer(id) || number < 0 || (uint64_t)number >= w->made.n_vocab || !text_is(w->vocab[number], name))
        return BAD(w, TOKENIZER,
                   "\"post_processor\" gives %s another id than the vocabulary does; download the file again", name);
    return ADE_OK;
}

static ade_status read_piece(const work *w, const json_t *post, const json_t *piece, const char **name) {
    const json_t *token = json_object_get(piece, "SpecialToken"), *type = json_object_get(token, "type_id");
    *name = json_string_value(json_object_get(token, "id"));
    if (!*name || (type && (!json_is_integer(type) || json_integer_value(type) != 0)))
        return bad_template(w, "puts something else round a text");
    const json_t *known = json_object_get(json_object_get(post, "special_tokens"), *name);
    const json_t *ids = json_object_get(known, "ids");
    if (json_array_size(ids) != 1) return bad_template(w, "writes several ids for one special token");
    return check_special_id(w, *name, json_array_get(ids, 0));
}

static ade_status read_post_processor(work *w, const char **cls, const char **sep) {
    const json_t *post = json_object_get(w->tokenizer, "post_processor");
    const char   *type = json_string_value(json_object_get(post, "type"));
    if (!type) return bad_template(w, "is absent, so texts would get no special tokens");
    if (!strcmp(type, "BertProcessing")) {
        const json_t *c = json_object_get(post, "cls"), *s = json_object_get(post, "sep");
        *cls = json_string_value(json_array_get(c, 0));
        *sep = json_string_value(json_array_get(s, 0));
        if (!*cls || !*sep) return bad_template(w, "names no special tokens");
        ADE_TRY(check_special_id(w, *cls, json_array_get(c, 1)));
        return check_special_id(w, *sep, json_array_get(s, 1));
    }
    if (strcmp(type, "TemplateProcessing") != 0)
        return BAD_FILE(w, ADE_UNSUPPORTED, TOKENIZER,
                        "\"post_processor\" is %s; adesieve knows TemplateProcessing and "
                        "BertProcessing alone: choose a checkpoint with a BERT tokenizer",
                        type);
    const json_t *single = json_object_get(post, "single");
    const json_t *middle = json_object_get(json_array_get(single, 1), "Sequence");
    const char   *which = json_string_value(json_object_get(middle, "id"));
    const json_t *type_id = json_object_get(middle, "type_id");
    if (json_array_size(single) != 3 || !which || strcmp(which, "A") != 0 ||
        (type_id && (!json_is_integer(type_id) || json_integer_value(type_id) != 0)))
        return bad_template(w, "is another template");
    ADE_TRY(read_piece(w, post, json_array_get(single, 0), cls));
    return read_piece(w, post, json_array_get(single, 2), sep);
}

/* ---- Special and added tokens ------------------------------------------------------------------------------------ */

/* A token is an object {"content": .., flags} or, for a special one, its text. */
static ade_status read_token(const work *w, const char *file, const json_t *value, bool special, ade_added_token *out) {
    memset(out, 0, sizeof *out);
    const json_t *content = json_is_string(value) ? value : json_object_get(value, "content");
    out->content = json_string_value(content);
    out->content_size = json_string_length(content);
    out->special = special;
    if (!out->content) return BAD(w, file, "an added token has no %s; correct the file", "text \"content\"");
    if (json_is_string(value)) {
        out->normalized = !special;
        return ADE_OK;
    }
    if (!special) ADE_TRY(read_bool(w, file, value, "special", false, &out->special));
    ADE_TRY(read_bool(w, file, value, "single_word", false, &out->single_word));
    ADE_TRY(read_bool(w, file, value, "lstrip", false, &out->lstrip));
    ADE_TRY(read_bool(w, file, value, "rstrip", false, &out->rstrip));
    return read_bool(w, file, value, "normalized", !out->special, &out->normalized);
}

static ade_status too_many(const work *w) {
    return ade__fail(ADE_BAD_MODEL, "%s: the tokenizer files add more than %d tokens; put them into the vocabulary",
                     w->folder, (int)MAX_ADDED);
}

static bool same_content(const ade_added_token *a, const ade_added_token *b) {
    return a->content_size == b->content_size && !memcmp(a->content, b->content, a->content_size);
}

static ade_added_token *find_added(work *w, const ade_added_token *token) {
    for (size_t i = 0; i < w->made.n_added; i++)
        if (same_content(&w->added[i], token)) return &w->added[i];
    return NULL;
}

/* A token that is there already keeps its place (and so its id) and takes the new flags. */
static ade_status put_added(work *w, const ade_added_token *token) {
    ade_added_token *old = find_added(w, token);
    if (token->content_size == 0) return ADE_OK;
    if (old) {
        /* The reference keeps a special token, once added, on the list (raw or normalized text) that it is on. */
        bool stays = old->special, normalized = old->normalized;
        *old = *token;
        old->special |= stays;
        if (stays) old->normalized = normalized;
        return ADE_OK;
    }
    if (w->made.n_added == MAX_ADDED) return too_many(w);
    if (ade__reserve(&w->added, &w->added_capacity, w->made.n_added + 1, sizeof *w->added)) return ADE_OUT_OF_MEMORY;
    w->added[w->made.n_added++] = *token;
    return ADE_OK;
}

static ade_status declare(work *w, int64_t id, const ade_added_token *token) {
    if (w->n_declared == MAX_ADDED) return too_many(w);
    if (ade__reserve(&w->declared, &w->declared_capacity, w->n_declared + 1, sizeof *w->declared))
        return ADE_OUT_OF_MEMORY;
    w->declared[w->n_declared] = (declared){*token, id, w->n_declared};
    w->n_declared++;
    return ADE_OK;
}

static int by_id(const void *a, const void *b) {
    const declared *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static ade_status tokens_of_tokenizer_json(work *w, bool declare_them) {
    const json_t *list = json_object_get(w->tokenizer, "added_tokens"), *id;
    if (json_array_size(list) > MAX_ADDED) return too_many(w);
    for (size_t i = 0; i < json_array_size(list); i++) {
        ade_added_token token;
        const json_t   *entry = json_array_get(list, i);
        ADE_TRY(read_token(w, TOKENIZER, entry, false, &token));
        id = json_object_get(entry, "id");
        if (!json_is_integer(id))
            return BAD(w, TOKENIZER, "the added token \"%s\" has no id; correct the file", token.content);
        if (declare_them)
            ADE_TRY(declare(w, (int64_t)json_integer_value(id), &token));
        else
            ADE_TRY(put_added(w, &token));
    }
    return ADE_OK;
}

static bool is_special_name(const char *name, const json_t *const values[N_SPECIALS], const json_t *additional) {
    for (size_t i = 0; i < N_SPECIALS + json_array_size(additional); i++) {
        const json_t *value = i < N_SPECIALS ? values[i] : json_array_get(additional, i - N_SPECIALS);
        const char   *text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
        if (text && !strcmp(text, name)) return true;
    }
    return false;
}

static ade_status declare_tokens(work *w, const json_t *decoder, const json_t *const values[N_SPECIALS]) {
    const char     *key;
    json_t         *value;
    ade_added_token token;
    if (decoder) {
        if (!json_is_object(decoder)) return BAD(w, CONFIG, "\"%s\" is not an object", "added_tokens_decoder");
        json_object_foreach((json_t *)(uintptr_t)decoder, key, value) {
            size_t digits = strspn(key, "0123456789");
            if (digits == 0 || digits > 9 || key[digits] || !json_is_object(value))
                return BAD(w, CONFIG,
                           "\"added_tokens_decoder\" has the entry \"%s\", which is not an id with an object; "
                           "correct the file",
                           key);
            ADE_TRY(read_token(w, CONFIG, value, false, &token));
            ADE_TRY(declare(w, atol(key), &token));
        }
    } else {
        json_object_foreach(w->added_file, key, value) {
            if (!json_is_integer(value) || json_integer_value(value) < 0)
                return BAD(w, "added_tokens.json",
                           "\"%s\" has an id that is not a whole number of 0 or more; correct the "
                           "file",
                           key);
            bool special = is_special_name(key, values, w->additional);
            token = (ade_added_token){
                .content = key, .content_size = strlen(key), .normalized = !special, .special = special};
            ADE_TRY(declare(w, (int64_t)json_integer_value(value), &token));
        }
        ADE_TRY(tokens_of_tokenizer_json(w, true));
    }
    if (w->n_declared > 1) qsort(w->declared, w->n_declared, sizeof *w->declared, by_id);
    return ADE_OK;
}

/* Both files' lists of further special tokens count. */
static ade_status join_additional(work *w, const char *file, const json_t *object) {
    const json_t *list = json_object_get(object, "additional_special_tokens");
    if (!list || json_is_null(list)) return ADE_OK;
    if (!json_is_array(list))
        return BAD(w, file, "\"%s\" is not a list; correct the file", "additional_special_tokens");
    if (json_array_size(list) > MAX_ADDED) return too_many(w);
    if (json_array_extend(w->additional, (json_t *)(uintptr_t)list) != 0)
        return ade__fail(ADE_OUT_OF_MEMORY, "out of memory: a list could not be extended");
    return ADE_OK;
}

/* Each special token as the files give it: a text, an object, null (it has none) or NULL (nothing is said). */
static ade_status special_values(work *w, const json_t *values[N_SPECIALS], const char *files[N_SPECIALS]) {
    const json_t *value;
    for (int i = 0; i < N_SPECIALS; i++) {
        files[i] = CONFIG;
        values[i] = json_object_get(w->config, SPECIAL_KEYS[i]);
        if ((value = json_object_get(w->special, SPECIAL_KEYS[i]))) {
            values[i] = value;
            files[i] = "special_tokens_map.json";
        }
        if (values[i] && !json_is_string(values[i]) && !json_is_object(values[i]) && !json_is_null(values[i]))
            return BAD(w, files[i], "\"%s\" is neither a text nor an object; correct the file", SPECIAL_KEYS[i]);
    }
    w->additional = json_array();
    if (!w->additional) return ade__fail(ADE_OUT_OF_MEMORY, "out of memory: a list could not be made");
    ADE_TRY(join_additional(w, CONFIG, w->config));
    return join_additional(w, "special_tokens_map.json", w->special);
}

static ade_status read_tokens(work *w, const char *names[N_SPECIALS]) {
    const json_t *decoder = json_object_get(w->config, "added_tokens_decoder");
    const json_t *values[N_SPECIALS];
    const char   *files[N_SPECIALS];
    ADE_TRY(special_values(w, values, files));
    ADE_TRY(tokens_of_tokenizer_json(w, false));
    ADE_TRY(declare_tokens(w, decoder, values));
    for (size_t i = 0; i < w->n_declared; i++) {
        ade_added_token token = w->declared[i].token;
        if (i + 1 < w->n_declared && w->declared[i + 1].id == w->declared[i].id) continue;
        if (is_special_name(token.content, values, w->additional)) token.special = true;
        ADE_TRY(put_added(w, &token));
    }
    for (int i = 0; i < N_SPECIALS; i++) {
        ade_added_token token;
        names[i] = NULL;
        if (json_is_null(values[i])) continue;
        if (values[i]) {
            ADE_TRY(read_token(w, files[i], values[i], true, &token));
        } else {
            if (w->generic || !BERT_NAMES[i]) continue;
            token = (ade_added_token){.content = BERT_NAMES[i], .content_size = strlen(BERT_NAMES[i]), .special = true};
            /* transformers would append a default that the vocabulary lacks, with an id that no weight belongs to */
            if (find_in_vocabulary(w, BERT_NAMES[i]) < 0) continue;
        }
        names[i] = token.content;
        ade_added_token *old = find_added(w, &token);
        if (old)
            old->special = true;
        else
            ADE_TRY(put_added(w, &token));
    }
    for (size_t i = 0; i < json_array_size(w->additional); i++) {
        const json_t   *value = json_array_get(w->additional, i);
        ade_added_token token;
        ADE_TRY(read_token(w, CONFIG, value, true, &token));
        ade_added_token *old = find_added(w, &token);
        if (old && json_is_string(value))
            old->special = true;
        else
            ADE_TRY(put_added(w, &token));
    }
    return ADE_OK;
}

/* ---- Everything together ----------------------------------------------------------------------------------------- */

static ade_status read_max_length(work *w) {
    const json_t *value = json_object_get(w->config, "model_max_length");
    if (!value) value = json_object_get(w->config, "max_len"); /* its name before transformers 3 */
    if (!value || json_is_null(value)) return ADE_OK;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 1))
        return BAD(w, CONFIG, "\"%s\" is not a number of 1 or more; correct the file", "model_max_length");
    if (number < 1e9) w->model_max_length = (int32_t)number; /* transformers writes 1e30 for "not known" */
    return ADE_OK;
}

static ade_status check_required(const work *w) {
    const char *const names[] = {w->made.cls_token, w->made.sep_token, w->made.pad_token};
    bool bom = w->made.n_vocab > 0 && w->vocab[0].size >= 3 && !memcmp(w->vocab[0].data, "\xef\xbb\xbf", 3);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (find_in_vocabulary(w, names[i]) < 0)
            return BAD(w, w->source,
                       "the vocabulary has no entry \"%s\"%s; take the tokenizer files of the model that was "
                       "fine-tuned",
                       names[i],
                       bom ? " (the first line begins with a byte-order mark, which belongs to "
                             "the entry: remove it)"
                           : "");
    return ADE_OK;
}

static void report(const work *w) {
    const json_t *truncation = json_object_get(w->tokenizer, "truncation");
    const json_t *padding = json_object_get(w->tokenizer, "padding");
    size_t        capitals = 0, example = 0;
    if (json_is_object(truncation))
        ade__log(w->log, ADE_LOG_INFO,
                 "%s/" TOKENIZER ": its truncation (max_length %lld) is ignored, as in transformers", w->folder,
                 (long long)json_integer_value(json_object_get(truncation, "max_length")));
    if (json_is_object(padding))
        ade__log(w->log, ADE_LOG_INFO, "%s/" TOKENIZER ": its padding is ignored, as in transformers", w->folder);
    if (json_is_true(json_object_get(w->config, "split_special_tokens")))
        ade__log(w->log, ADE_LOG_WARNING,
                 "%s/" CONFIG ": \"split_special_tokens\" is ignored; it is an option of the "
                 "session",
                 w->folder);
    if (find_in_vocabulary(w, w->made.unk_token) < 0)
        ade__log(w->log, ADE_LOG_WARNING,
                 "%s/%s: the vocabulary has no entry \"%s\"; a text with an unknown word will be "
                 "an error",
                 w->folder, w->source, w->made.unk_token);
    for (size_t i = 0; w->made.lowercase && i < w->made.n_vocab; i++) {
        ade_text token = w->vocab[i];
        if (token.size > 1 && token.data[0] == '[' && token.data[token.size - 1] == ']') continue; /* "[unused1]" */
        bool capital = false;
        for (size_t k = 0; k < token.size && !capital; k++) capital = token.data[k] >= 'A' && token.data[k] <= 'Z';
        if (capital && capitals++ == 0) example = i;
    }
    if (capitals > 0)
        ade__log(w->log, ADE_LOG_WARNING,
                 "%s/%s: %zu entries of the vocabulary have capitals (\"%.*s\"), but texts are "
                 "lower-cased and never reach them; that is right only if the model was fine-tuned so. %s.",
                 w->folder, w->source, capitals, (int)(w->vocab[example].size < 40 ? w->vocab[example].size : 40),
                 w->vocab[example].data, w->reason);
}

static int by_bytes(const void *a, const void *b) {
    const ade_text *x = a, *y = b;
    int order = memcmp(x->data ? x->data : "", y->data ? y->data : "", x->size < y->size ? x->size : y->size);
    return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* The reference gives a token that the vocabulary lacks the number of DISTINCT entries as its id. With duplicates or
 * gaps that is another entry's id; no trained model has that, so it is refused rather than imitated. The vocabulary is
 * sorted here: nobody needs it any more. */
static ade_status check_new_ids(work *w, const ade_tokenizer *tokenizer) {
    size_t distinct = 0;
    for (size_t i = 0; i < w->n_declared; i++) {
        const ade_added_token *token = &w->declared[i].token;
        int64_t                id = w->declared[i].id;
        const char            *there = id >= 0 && id < INT32_MAX ? ade__tokenizer_token(tokenizer, (int32_t)id) : NULL;
        if (!there || strcmp(there, token->content) != 0)
            ade__log(w->log, ADE_LOG_WARNING,
                     "%s: the added token \"%s\" declares the id %lld, which the vocabulary does "
                     "not give it; the vocabulary counts, as in transformers",
                     w->folder, token->content, (long long)id);
    }
    qsort(w->vocab, w->made.n_vocab, sizeof *w->vocab, by_bytes);
    for (size_t i = 0; i < w->made.n_vocab; i++)
        distinct +=
            w->vocab[i].data && (i == 0 || !w->vocab[i - 1].data || by_bytes(&w->vocab[i - 1], &w->vocab[i]) != 0);
    if (distinct == w->made.n_vocab) return ADE_OK;
    for (size_t i = 0; i < w->made.n_added; i++) {
        ade_text key = {w->added[i].content, w->added[i].content_size};
        if (!bsearch(&key, w->vocab, w->made.n_vocab, sizeof *w->vocab, by_bytes))
            return BAD(w, w->source,
                       "the vocabulary has %zu ids but %zu distinct entries, so the id of the added token "
                       "\"%s\" is not clear; remove duplicates and gaps",
                       w->made.n_vocab, distinct, w->added[i].content);
    }
    return ADE_OK;
}

static ade_status read_files(work *w) {
    const char *folder = w->folder;
    ADE_TRY(ade__folder_check(folder));
    ADE_TRY(ade__json_read(folder, TOKENIZER, MAX_LARGE_FILE, 0, &w->used, &w->tokenizer));
    /* 1000000000000000019884624838656 is too much for jansson's integers */
    ADE_TRY(ade__json_read(folder, CONFIG, MAX_SMALL_FILE, JSON_DECODE_INT_AS_REAL, &w->used, &w->config));
    if (!json_object_get(w->config, "added_tokens_decoder")) { /* it makes these two files void */
        ADE_TRY(ade__json_read(folder, "special_tokens_map.json", MAX_SMALL_FILE, 0, &w->used, &w->special));
        ADE_TRY(ade__json_read(folder, "added_tokens.json", MAX_SMALL_FILE, 0, &w->used, &w->added_file));
    }
    const json_t *name = json_object_get(w->config, "tokenizer_class");
    if (!name || json_is_null(name))
        ADE_TRY(ade__json_read(folder, "config.json", MAX_SMALL_FILE, 0, NULL, &w->model_config));
    return ADE_OK;
}

static ade_status assemble(work *w, ade_tokenizer_files *out) {
    const char *names[N_SPECIALS], *cls = NULL, *sep = NULL;
    ADE_TRY(read_files(w));
    ADE_TRY(find_class(w));
    ADE_TRY(w->tokenizer ? vocabulary_from_json(w) : vocabulary_from_text(w));
    ADE_TRY(decide_casing(w));
    if (w->tokenizer) ADE_TRY(read_post_processor(w, &cls, &sep));
    ADE_TRY(read_tokens(w, names));
    ADE_TRY(read_max_length(w));
    w->made.vocab = w->vocab;
    w->made.added = w->added;
    w->made.cls_token = cls ? cls : names[CLS] ? names[CLS] : BERT_NAMES[CLS];
    w->made.sep_token = sep ? sep : names[SEP] ? names[SEP] : BERT_NAMES[SEP];
    w->made.pad_token = names[PAD] ? names[PAD] : BERT_NAMES[PAD];
    w->made.mask_token = names[MASK];
    if (!w->tokenizer && names[UNK]) w->made.unk_token = names[UNK];
    ADE_TRY(check_required(w));
    ade_status status = ade__tokenizer_new(&w->made, &out->tokenizer);
    if (status == ADE_BAD_MODEL) {
        char *where = ade__join_path(w->folder, w->source);
        if (where) (void)ade__fail_prefix(status, where);
        ade__free(where);
    }
    ADE_TRY(status);
    report(w);
    ADE_TRY(check_new_ids(w, out->tokenizer));
    out->source = ade__strdup(w->source);
    out->casing_reason = ade__strdup(w->reason);
    if (!out->source || !out->casing_reason) return ADE_OUT_OF_MEMORY;
    out->lowercase = w->made.lowercase;
    out->strip_accents = w->made.strip_accents;
    out->model_max_length = w->model_max_length;
    out->used = w->used;
    memset(&w->used, 0, sizeof w->used);
    return ADE_OK;
}

ade_status ade__tokenizer_files_read(const char *folder, const ade_log *log, ade_tokenizer_files *out) {
    ade_tokenizer_files files = {0};
    work                w = {.folder = folder, .log = log};
    w.made.unk_token = BERT_NAMES[UNK];
    w.made.continuing_prefix = "##";
    w.made.max_input_chars_per_word = 100;
    ade_status status = assemble(&w, &files);
    json_decref(w.tokenizer);
    json_decref(w.config);
    json_decref(w.special);
    json_decref(w.added_file);
    json_decref(w.model_config);
    json_decref(w.additional);
    ade__free(w.vocab_text);
    ade__free(w.vocab);
    ade__free(w.added);
    ade__free(w.declared);
    ade__used_files_clear(&w.used);
    if (status == ADE_OK)
        *out = files;
    else
        ade__tokenizer_files_clear(&files);
    return status;
}

void ade__tokenizer_files_clear(ade_tokenizer_files *files) {
    ade__tokenizer_free(files->tokenizer);
    ade__free(files->source);
    ade__free(files->casing_reason);
    ade__used_files_clear(&files->used);
    memset(files, 0, sizeof *files);
}
