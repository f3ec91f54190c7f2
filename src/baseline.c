/* SPDX-License-Identifier: Apache-2.0
 * See baseline.h. A term is looked up by the hashes of its words, which the reading of words has computed already; what
 * is found is compared byte by byte, so that a collision costs time and nothing else. */
#include "baseline.h"

#include "alloc.h"
#include "log.h"
#include "status.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define VOCABULARY "vocab.txt"

enum {
    MOST_TERMS = 1 << 24,
    MOST_PROBES = 1000 /* by chance not even 100 of the largest vocabulary follow each other without a gap */
};
#define MOST_VOCABULARY ((size_t)1 << 30) /* bytes */

/* ---- A set of terms ---------------------------------------------------------------------------------------------- */

typedef struct term_slot {
    uint32_t tag; /* of the hash */
    int32_t  id;  /* -1: free */
} term_slot;

/* Strings, found by their words. */
typedef struct term_set {
    const char *bytes; /* of all terms, a NUL behind each */
    uint32_t   *starts; /* (n + 1): term i is bytes[starts[i], starts[i + 1] - 1) */
    int32_t     n;
    term_slot  *slots; /* a power of two; linear probing */
    uint32_t    mask;
    unsigned    shift;
} term_set;

static uint64_t first_hash(uint64_t word) { return word; }
static uint64_t next_hash(uint64_t hash, uint64_t word) {
    return (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9) + word;
}

/* The multiplication leaves its best bits at the top: slot numbers come from there, tags from below them. */
static uint64_t scrambled(uint64_t hash) { return (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15); }
static uint32_t slot_of(const term_set *set, uint64_t scrambled_hash) {
    return (uint32_t)(scrambled_hash >> set->shift);
}
static uint32_t tag_of(uint64_t scrambled_hash) { return (uint32_t)(scrambled_hash >> 8); }

static uint64_t hash_of_term(const unsigned char *term) {
    uint64_t hash = 0, word = ade__word_hash_start();
    bool     first = true;
    for (;; term++) {
        if (*term && *term != ' ') {
            word = ade__word_hash_add(word, *term);
            continue;
        }
        hash = first ? first_hash(word) : next_hash(hash, word);
        first = false;
        if (!*term) return hash;
        word = ade__word_hash_start();
    }
}

/* Puts the terms into the table. *same: the last term that comes again; -1 when there is none. */
static ade_status fill_set(term_set *set, const char *what, int32_t *same) {
    size_t slots = 16;
    *same = -1;
    while (slots < (size_t)set->n * 5 / 2) slots *= 2;
    set->slots = ade__malloc(slots * sizeof *set->slots);
    if (!set->slots) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < slots; i++) set->slots[i] = (term_slot){0, -1};
    set->mask = (uint32_t)(slots - 1);
    set->shift = 64 - (unsigned)__builtin_ctzll(slots);
    for (int32_t i = 0; i < set->n; i++) {
        const char *term = set->bytes + set->starts[i];
        uint64_t    hash = scrambled(hash_of_term((const unsigned char *)term));
        uint32_t    at = slot_of(set, hash), probes = 0;
        bool        again = false;
        for (; set->slots[at].id >= 0; at = (at + 1) & set->mask) {
            again = set->slots[at].tag == tag_of(hash) && !strcmp(set->bytes + set->starts[set->slots[at].id], term);
            if (again) break;
            if (++probes > MOST_PROBES)
                return ade__fail(ADE_UNSUPPORTED, "%s: so many of its entries have like hashes that it must have been "
                                                  "made for it; take another model",
                                 what);
        }
        if (again)
            *same = i;
        else
            set->slots[at] = (term_slot){tag_of(hash), i};
    }
    return ADE_OK;
}

/* Whether the n words from `word` on are the term. `joined`: they follow each other in words->bytes, with a space between. */
static inline bool is_term(const term_set *set, int32_t id, const ade_words *words, const ade_word *word, int32_t n,
                           bool joined) {
    const char *term = set->bytes + set->starts[id];
    size_t      size = set->starts[id + 1] - set->starts[id] - 1, at = 0;
    if (joined) return word[n - 1].at + word[n - 1].size - word->at == size && !memcmp(term, words->bytes + word->at, size);
    for (int32_t i = 0; i < n; i++) {
        if (i && (at >= size || term[at++] != ' ')) return false;
        if (word[i].size > size - at || memcmp(term + at, words->bytes + word[i].at, word[i].size) != 0) return false;
        at += word[i].size;
    }
    return at == size;
}

/* The number of the term of the n words from `word` on, whose scrambled hash is given; -1 when it is none. */
static inline int32_t find_term(const term_set *set, uint64_t mixed, const ade_words *words, const ade_word *word,
                                int32_t n, bool joined) {
    for (uint32_t at = slot_of(set, mixed); set->slots[at].id >= 0; at = (at + 1) & set->mask)
        if (set->slots[at].tag == tag_of(mixed) && is_term(set, set->slots[at].id, words, word, n, joined))
            return set->slots[at].id;
    return -1;
}

static void clear_set(term_set *set) {
    ade__free(set->starts);
    ade__free(set->slots);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

struct ade_baseline {
    ade_words_options words;
    bool              use_idf, sublinear_tf, binary;
    ade_norm          norm;
    int32_t           least_words, most_words;
    int32_t           n_labels, rows; /* rows of coefficients: 1 or n_labels */
    char             *vocabulary, *stopped;
    term_set          terms, stop_words;
    double           *weights;   /* (terms, 1 + rows): idf, coefficients */
    double           *intercept; /* (rows) */
};

/* Lines to terms, in place. */
static ade_status split_vocabulary(ade_baseline *b, const char *folder, size_t size) {
    char  *at = b->vocabulary, *end = at + size;
    size_t lines = 0;
    if (!size || end[-1] != '\n') *end++ = '\n'; /* there is a NUL that may be overwritten, and nobody reads it again */
    for (const char *p = at; p < end; p++) lines += *p == '\n';
    if (size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3))
        return ade__fail(ADE_BAD_MODEL,
                         "%s/" VOCABULARY ": line 1 begins with a byte order mark, which would be part of its term; save "
                         "the file without it",
                         folder);
    if (size == 0 || lines > MOST_TERMS)
        return ade__fail(size ? ADE_UNSUPPORTED : ADE_BAD_MODEL,
                         "%s/" VOCABULARY ": has %zu terms, one a line; 1 to %d are possible", folder,
                         size ? lines : 0, (int)MOST_TERMS);
    b->terms.starts = ade__calloc(lines + 1, sizeof *b->terms.starts);
    if (!b->terms.starts) return ADE_OUT_OF_MEMORY;
    b->terms.bytes = b->vocabulary;
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        for (const char *p = at; p < stop; p++)
            if ((unsigned char)*p < 0x20)
                return ade__fail(ADE_BAD_MODEL,
                                 "%s/" VOCABULARY ": line %d holds a control character (0x%02x)%s; restore the file, "
                                 "whose lines end with line feeds alone",
                                 folder, (int)b->terms.n + 1, (unsigned)(unsigned char)*p,
                                 *p == '\r' ? ", as if its line ends had been converted" : "");
        if (stop == at)
            return ade__fail(ADE_BAD_MODEL, "%s/" VOCABULARY ": line %d is empty; each line holds a term", folder,
                             (int)b->terms.n + 1);
        if (ade__utf8_valid(at, (size_t)(stop - at)) != (size_t)(stop - at))
            return ade__fail(ADE_BAD_MODEL, "%s/" VOCABULARY ": line %d is not valid UTF-8; restore the file", folder,
                             (int)b->terms.n + 1);
        *stop = '\0';
        b->terms.n++;
        at = stop + 1;
        b->terms.starts[b->terms.n] = (uint32_t)(at - b->vocabulary);
    }
    return ADE_OK;
}

static ade_status read_vocabulary(ade_baseline *b, const char *folder, ade_model_config *config) {
    size_t  size;
    int32_t same;
    char    where[512];
    ADE_TRY(ade__folder_read(folder, VOCABULARY, MOST_VOCABULARY, &config->used, &b->vocabulary, &size));
    if (!b->vocabulary)
        return ade__fail(ADE_BAD_MODEL, "%s: holds no " VOCABULARY ", the terms of its vectorizer; restore the file",
                         folder);
    ADE_TRY(split_vocabulary(b, folder, size));
    snprintf(where, sizeof where, "%s/" VOCABULARY, folder);
    ADE_TRY(fill_set(&b->terms, where, &same));
    if (same >= 0)
        return ade__fail(ADE_BAD_MODEL, "%s/" VOCABULARY ": line %d has a term that an earlier line has; restore the file",
                         folder, (int)same + 1);
    config->vocab_size = b->terms.n;
    return ADE_OK;
}

static ade_status make_stop_words(ade_baseline *b, const char *folder, const ade_vectorizer *v) {
    size_t  size = 0;
    int32_t same;
    char    where[512];
    if (!v->n_stop_words) return ADE_OK;
    for (size_t i = 0; i < v->n_stop_words; i++) size += strlen(v->stop_words[i]) + 1;
    b->stopped = ade__malloc(size);
    b->stop_words.starts = ade__calloc(v->n_stop_words + 1, sizeof *b->stop_words.starts);
    if (!b->stopped || !b->stop_words.starts) return ADE_OUT_OF_MEMORY;
    b->stop_words.bytes = b->stopped;
    size = 0;
    for (size_t i = 0; i < v->n_stop_words; i++) {
        size_t length = strlen(v->stop_words[i]) + 1;
        memcpy(b->stopped + size, v->stop_words[i], length);
        size += length;
        b->stop_words.starts[++b->stop_words.n] = (uint32_t)size;
    }
    snprintf(where, sizeof where, "%s/config.json: \"stop_words\"", folder);
    return fill_set(&b->stop_words, where, &same); /* one that comes twice does no harm */
}

/* "[1, 20000]" */
static const char *shape_text(const int64_t *shape, int32_t rank, char text[192]) {
    size_t size = (size_t)snprintf(text, 192, "[");
    for (int32_t i = 0; i < rank; i++)
        size += (size_t)snprintf(text + size, 192 - size, "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(text + size, 192 - size, "]");
    return text;
}

/* A tensor that has the type and shape that it must have: before memory is taken for what is not there. `rows` is the
 * leading size, 0 for a tensor of rank 1. */
static ade_status check_tensor(const ade_tensor_set *set, const char *folder, const char *name, int64_t rows, int64_t n) {
    const ade_tensor *t = ade__tensors_find(set, name);
    const int64_t     wanted[] = {rows, n};
    const int32_t     rank = rows ? 2 : 1;
    char              found_text[192], wanted_text[192];
    if (!t)
        return ade__fail(ADE_BAD_MODEL, "%s: model.safetensors has no tensor \"%s\"; export the baseline again", folder,
                         name);
    if (t->dtype != ADE_ST_F64)
        return ade__fail(ADE_UNSUPPORTED, "%s/%s: tensor \"%s\" is stored as %s; a baseline's are F64: export it again",
                         folder, t->file, name, t->dtype_name);
    if (t->rank != rank || memcmp(t->shape, wanted + 2 - rank, (size_t)rank * sizeof *wanted) != 0)
        return ade__fail(ADE_BAD_MODEL,
                         "%s/%s: tensor \"%s\" has the shape %s, and the terms of " VOCABULARY " and the labels of "
                         "config.json ask for %s; the files belong to different models: export the baseline again",
                         folder, t->file, name, shape_text(t->shape, t->rank, found_text),
                         shape_text(wanted + 2 - rank, rank, wanted_text));
    return ADE_OK;
}

/* A tensor that has been checked, copied to `out`, `step` values apart. */
static ade_status copy_tensor(const ade_tensor_set *set, const char *folder, const char *name, int64_t rows, int64_t n,
                              double *out, size_t step, size_t row_step) {
    const ade_tensor *t = ade__tensors_find(set, name);
    const int64_t     all = rows ? rows * n : n;
    for (int64_t i = 0; i < all; i++) {
        double value;
        memcpy(&value, (const char *)t->data + (size_t)i * sizeof value, sizeof value);
        if (!isfinite(value))
            return ade__fail(ADE_BAD_MODEL, "%s/%s: tensor \"%s\": value %lld is not a finite number; export it again",
                             folder, t->file, name, (long long)i);
        out[(size_t)(i % n) * step + (size_t)(i / n) * row_step] = value;
    }
    return ADE_OK;
}

static ade_status read_weights(ade_baseline *b, const char *folder, const ade_tensor_set *set) {
    const ade_tensor *coef = ade__tensors_find(set, "coef");
    b->rows = b->n_labels == 2 && coef && coef->rank == 2 && coef->shape[0] == 1 ? 1 : b->n_labels;
    const size_t width = 1 + (size_t)b->rows, n = (size_t)b->terms.n;
    if (n > SIZE_MAX / sizeof(double) / width)
        return ade__fail(ADE_UNSUPPORTED, "%s: %zu terms for %d labels are too many", folder, n, (int)b->n_labels);
    ADE_TRY(check_tensor(set, folder, "coef", b->rows, b->terms.n));
    ADE_TRY(check_tensor(set, folder, "intercept", 0, b->rows));
    if (b->use_idf) ADE_TRY(check_tensor(set, folder, "idf", 0, b->terms.n));
    b->weights = ade__malloc(n * width * sizeof *b->weights);
    b->intercept = ade__malloc((size_t)b->rows * sizeof *b->intercept);
    if (!b->weights || !b->intercept) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) b->weights[i * width] = 1;
    ADE_TRY(ade__tensors_check_files(set));
    if (b->use_idf) ADE_TRY(copy_tensor(set, folder, "idf", 0, b->terms.n, b->weights, width, 0));
    ADE_TRY(copy_tensor(set, folder, "coef", b->rows, b->terms.n, b->weights + 1, width, 1));
    return copy_tensor(set, folder, "intercept", 0, b->rows, b->intercept, 1, 0);
}

static void tell_unused(const ade_baseline *b, const char *folder, const ade_tensor_set *set, const ade_log *log) {
    for (size_t i = 0; i < ade__tensors_count(set); i++) {
        const char *name = ade__tensors_at(set, i)->name;
        if (strcmp(name, "coef") != 0 && strcmp(name, "intercept") != 0 && (strcmp(name, "idf") != 0 || !b->use_idf))
            ade__log(log, ADE_LOG_WARNING, "%s: tensor \"%s\" is not used by a baseline with these settings", folder,
                     name);
    }
}

static ade_status open_parts(ade_baseline *b, const char *folder, const ade_log *log, ade_model_config *config,
                             ade_tensor_set **tensors) {
    ADE_TRY(read_vocabulary(b, folder, config));
    ADE_TRY(make_stop_words(b, folder, &config->vectorizer));
    ADE_TRY(ade__tensors_open(folder, tensors));
    ade_status status = read_weights(b, folder, *tensors);
    if (status == ADE_OK) tell_unused(b, folder, *tensors, log);
    if (status != ADE_OK) {
        ade__tensors_close(*tensors);
        *tensors = NULL;
    }
    return status;
}

ade_status ade__baseline_open(const char *folder, const ade_log *log, ade_model_config *config,
                              ade_tensor_set **tensors, ade_baseline **out) {
    const ade_vectorizer *v = &config->vectorizer;
    ade_baseline         *b = ade__calloc(1, sizeof *b);
    if (!b) return ADE_OUT_OF_MEMORY;
    b->words = (ade_words_options){.lowercase = v->lowercase, .accents = v->accents};
    b->use_idf = v->use_idf;
    b->sublinear_tf = v->sublinear_tf;
    b->binary = v->binary;
    b->norm = v->norm;
    b->least_words = v->least_words;
    b->most_words = v->most_words;
    b->n_labels = config->n_labels;
    ade_status status = open_parts(b, folder, log, config, tensors);
    if (status == ADE_OK)
        *out = b;
    else
        ade__baseline_free(b);
    return status;
}

void ade__baseline_free(ade_baseline *b) {
    if (!b) return;
    clear_set(&b->terms);
    clear_set(&b->stop_words);
    ade__free(b->vocabulary);
    ade__free(b->stopped);
    ade__free(b->weights);
    ade__free(b->intercept);
    ade__free(b);
}

const char *ade__baseline_term(const ade_baseline *b, int32_t id) {
    return id >= 0 && id < b->terms.n ? b->terms.bytes + b->terms.starts[id] : NULL;
}

uint64_t ade__baseline_parameters(const ade_baseline *b) {
    return (uint64_t)b->terms.n * (uint64_t)(b->rows + b->use_idf) + (uint64_t)b->rows;
}

/* ---- The terms of a text ----------------------------------------------------------------------------------------- */

typedef struct present_term {
    int32_t id;
    double  value; /* its TF-IDF, before the norm */
} present_term;

struct ade_baseline_scratch {
    ade_words     words;
    uint32_t     *counts;  /* (terms): in the text; all 0 between two texts */
    uint64_t     *present; /* a bit a term: count above 0 */
    uint64_t     *summary; /* a bit for each of these words: above 0 */
    size_t        n_summary;
    present_term *terms; /* those of the text, in order */
    size_t        n_terms, terms_capacity;
    double       *sums; /* (rows) */
};

ade_status ade__baseline_scratch_new(const ade_baseline *b, ade_baseline_scratch **out) {
    size_t                n = (size_t)b->terms.n, words = (n + 63) / 64;
    ade_baseline_scratch *s = ade__calloc(1, sizeof *s);
    if (!s) return ADE_OUT_OF_MEMORY;
    s->n_summary = (words + 63) / 64;
    s->counts = ade__calloc(n, sizeof *s->counts);
    s->present = ade__calloc(words, sizeof *s->present);
    s->summary = ade__calloc(s->n_summary, sizeof *s->summary);
    s->sums = ade__calloc((size_t)b->rows, sizeof *s->sums);
    if (!s->counts || !s->present || !s->summary || !s->sums) {
        ade__baseline_scratch_free(s);
        return ADE_OUT_OF_MEMORY;
    }
    *out = s;
    return ADE_OK;
}

void ade__baseline_scratch_free(ade_baseline_scratch *s) {
    if (!s) return;
    ade__words_clear(&s->words);
    ade__free(s->counts);
    ade__free(s->present);
    ade__free(s->summary);
    ade__free(s->terms);
    ade__free(s->sums);
    ade__free(s);
}

/* Takes the stop words out of the items from `first` on. */
static void drop_stop_words(const ade_baseline *b, ade_words *words, size_t first) {
    size_t n = first;
    for (size_t i = first; i < words->n; i++)
        if (find_term(&b->stop_words, scrambled(first_hash(words->items[i].hash)), words, &words->items[i], 1, true) < 0)
            words->items[n++] = words->items[i];
    words->n = n;
}

/* Every term of the text, by its first word: its number, or -1. */
typedef void (*term_fn)(void *user, int32_t id, uint32_t start, uint32_t end);

/* The terms that begin with the words [first, end): all are hashed before the first is looked up, so that the table's
 * lines are on their way to the processor meanwhile. */
enum { WORDS_AHEAD = 32 };
static inline void look_up(const ade_baseline *b, const ade_words *words, size_t first, size_t end, term_fn fn,
                           void *user) {
    const bool joined = b->stop_words.n == 0;
    uint64_t   hashes[WORDS_AHEAD * ADE_BASELINE_WORDS], *next = hashes;
    for (size_t i = first; i < end; i++) {
        uint64_t hash = 0;
        for (size_t n = 1; n <= (size_t)b->most_words && n <= words->n - i; n++) {
            hash = n == 1 ? first_hash(words->items[i].hash) : next_hash(hash, words->items[i + n - 1].hash);
            if (n < (size_t)b->least_words) continue;
            *next = scrambled(hash);
            __builtin_prefetch(&b->terms.slots[slot_of(&b->terms, *next++)]);
        }
    }
    next = hashes;
    for (size_t i = first; i < end; i++) {
        const ade_word *word = &words->items[i];
        for (int32_t n = b->least_words; n <= b->most_words && (size_t)n <= words->n - i; n++)
            fn(user, find_term(&b->terms, *next++, words, word, n, joined), word->start, word[n - 1].end);
    }
}

static inline ade_status walk(const ade_baseline *b, ade_words *words, ade_text text, ade_invalid_utf8 invalid,
                              term_fn fn, void *user) {
    ade_words_options options = b->words;
    const size_t      most = (size_t)b->most_words;
    size_t            next = 0; /* the first word whose terms have not been given */
    bool              more = true;
    options.invalid = invalid;
    ade__words_begin(words, &options, text);
    while (more) {
        size_t kept = words->n - next;
        ADE_TRY(ade__words_read(words, kept, &more));
        if (b->stop_words.n) drop_stop_words(b, words, kept);
        size_t end = !more ? words->n : words->n < most ? 0 : words->n - most + 1; /* the rest waits for what follows */
        for (next = 0; next < end;) {
            size_t upto = end - next < WORDS_AHEAD ? end : next + WORDS_AHEAD;
            look_up(b, words, next, upto, fn, user);
            next = upto;
        }
    }
    return ADE_OK;
}

static void add_one(int32_t *count) {
    if (*count < INT32_MAX) ++*count;
}

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

typedef struct counting {
    const ade_baseline   *baseline;
    ade_baseline_scratch *scratch;
    int32_t               terms, unknown;
} counting;

static inline void count_term(void *user, int32_t id, uint32_t start, uint32_t end) {
    counting             *c = user;
    ade_baseline_scratch *s = c->scratch;
    (void)start, (void)end;
    if (id < 0) {
        add_one(&c->unknown);
        return;
    }
    add_one(&c->terms);
    if (s->counts[id]++) return;
    __builtin_prefetch(&c->baseline->weights[(size_t)id * (1 + (size_t)c->baseline->rows)]);
    size_t word = (size_t)id >> 6;
    s->present[word] |= UINT64_C(1) << (id & 63);
    s->summary[word >> 6] |= UINT64_C(1) << (word & 63);
    s->n_terms++;
}

/* The counts become values, in order; counts and bits become 0 again. */
static void take_counts(const ade_baseline *b, ade_baseline_scratch *s, present_term *out) {
    const size_t width = 1 + (size_t)b->rows;
    for (size_t i = 0; i < s->n_summary; i++) {
        for (; s->summary[i]; s->summary[i] &= s->summary[i] - 1) {
            size_t word = i * 64 + (size_t)__builtin_ctzll(s->summary[i]);
            for (; s->present[word]; s->present[word] &= s->present[word] - 1) {
                size_t id = word * 64 + (size_t)__builtin_ctzll(s->present[word]);
                double tf = b->binary ? 1 : (double)s->counts[id];
                s->counts[id] = 0;
                if (!out) continue;
                if (b->sublinear_tf) tf = log(tf) + 1;
                *out++ = (present_term){(int32_t)id, tf * b->weights[id * width]};
            }
        }
    }
}

static double norm_of(const ade_baseline *b, const ade_baseline_scratch *s) {
    double sum = 0;
    if (b->norm == ADE_NORM_NONE) return 1;
    for (size_t i = 0; i < s->n_terms; i++)
        sum += b->norm == ADE_NORM_L1 ? fabs(s->terms[i].value) : s->terms[i].value * s->terms[i].value;
    if (sum == 0) return 1;
    return b->norm == ADE_NORM_L1 ? sum : sqrt(sum);
}

static void decide(const ade_baseline *b, const ade_baseline_scratch *s, double *sums) {
    const size_t rows = (size_t)b->rows;
    const double norm = norm_of(b, s);
    for (size_t r = 0; r < rows; r++) sums[r] = 0;
    for (size_t i = 0; i < s->n_terms; i++) {
        const double *coef = b->weights + (size_t)s->terms[i].id * (1 + rows) + 1, value = s->terms[i].value / norm;
        for (size_t r = 0; r < rows; r++) sums[r] += value * coef[r];
    }
    for (size_t r = 0; r < rows; r++) sums[r] += b->intercept[r];
}

/* Probabilities come from the logits as they are given out, by the steps of ade__softmax_score_f64, so that a calibration,
 * which has only these, finds the same scores to the last bit. */
static void give_out(const double *sums, size_t rows, float *logits, float *probabilities) {
    const size_t n = rows == 1 ? 2 : rows;
    logits[0] = 0; /* of two labels */
    for (size_t r = 0; r < rows; r++) logits[n - rows + r] = (float)sums[r];
    double most = (double)logits[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = (double)logits[i] > most ? (double)logits[i] : most;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    for (size_t i = 0; i < n; i++) probabilities[i] = (float)(exp((double)logits[i] - most) / sum);
}

ade_status ade__baseline_score(const ade_baseline *b, ade_baseline_scratch *s, ade_text text, ade_invalid_utf8 invalid,
                               float *logits, float *probabilities, ade_baseline_result *result) {
    counting   c = {b, s, 0, 0};
    s->n_terms = 0;
    ade_status status = walk(b, &s->words, text, invalid, count_term, &c);
    if (status == ADE_OK && ade__reserve(&s->terms, &s->terms_capacity, s->n_terms, sizeof *s->terms))
        status = ADE_OUT_OF_MEMORY;
    take_counts(b, s, status == ADE_OK ? s->terms : NULL);
    if (status != ADE_OK) return status;
    decide(b, s, s->sums);
    for (int32_t r = 0; r < b->rows; r++)
        if (!(fabs(s->sums[r]) <= (double)FLT_MAX)) /* nor one that no float holds: its conversion is not defined */
            return ade__fail(ADE_BAD_MODEL, "the baseline's score is not a finite number; its weights are unusable: "
                                            "export the baseline again");
    give_out(s->sums, (size_t)b->rows, logits, probabilities);
    *result = (ade_baseline_result){c.terms, c.unknown, s->words.replaced};
    return ADE_OK;
}

/* ---- Terms with their places ------------------------------------------------------------------------------------- */

typedef struct listing {
    ade_token *tokens;
    size_t     capacity, n;
    int32_t    terms, unknown;
} listing;

static void list_term(void *user, int32_t id, uint32_t start, uint32_t end) {
    listing *l = user;
    if (id < 0) {
        add_one(&l->unknown);
        return;
    }
    add_one(&l->terms);
    if (l->n < l->capacity) l->tokens[l->n] = (ade_token){id, start, end};
    l->n++;
}

ade_status ade__baseline_terms(const ade_baseline *b, ade_baseline_scratch *s, ade_text text, ade_invalid_utf8 invalid,
                               ade_token *tokens, size_t capacity, size_t *n, ade_baseline_result *result) {
    listing l = {.tokens = tokens, .capacity = capacity};
    ADE_TRY(walk(b, &s->words, text, invalid, list_term, &l));
    *n = l.n;
    *result = (ade_baseline_result){l.terms, l.unknown, s->words.replaced};
    return ADE_OK;
}
