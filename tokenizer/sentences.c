/* SPDX-License-Identifier: Apache-2.0
 * Sentence boundaries in one pass. A candidate is a run of . ! ? or an ellipsis, with the closing brackets, quotes and
 * citation marks behind it, then white space, then a next word. The rules below are asked in order; the first that has
 * an opinion decides, and ade__sentences_explain names it. Behaves like the GENIA splitter on the ADE corpus, but for
 * its slips ("(Fig." is no sentence). A period without white space behind it never ends a sentence.
 *
 * Every look back or ahead is bounded by a constant, so that hostile text costs linear time. */
#include "sentences.h"

#include "alloc.h"
#include "lists.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

#define WORD_LIMIT 64     /* bytes looked at in the words around a candidate; longer ones are no abbreviations */
#define BRACKET_LIMIT 300 /* how far behind a candidate the end of an open bracket is looked for */
#define CITATION_LIMIT 40 /* "^(1,2,5-9)" */

typedef enum verdict { PASS, BOUNDARY, NO_BOUNDARY } verdict;

typedef enum first_kind { FIRST_UPPER, FIRST_LOWER, FIRST_DIGIT, FIRST_LETTER, FIRST_SYMBOL } first_kind;

typedef struct word {
    const char *data;
    size_t      size;
} word;

typedef struct candidate {
    const unsigned char *text;
    size_t               size;
    size_t               sentence;   /* first byte of the sentence that may end here */
    size_t               mark;       /* the run of terminators begins here */
    size_t               end;        /* behind the run and what closes with it */
    size_t               next;       /* first byte of the next word */
    char                 terminator; /* the run's last: . ! ? or 'e' for an ellipsis */
    size_t               dots;       /* terminators in the run */
    int                  bracketed; /* inside a bracket that is closed further on, and that did not open the sentence */
    int                  closed_bracket; /* the run is followed at once by a closing bracket */
    word                 token;          /* before the run, without opening brackets and quotes: "i.v" of "(i.v.)" */
    int                  token_opened;   /* an opening bracket or quote was taken from it */
    int                  token_first;    /* it begins the sentence */
    word                 before; /* the word before the token, without what closes it; size 0 when there is none */
    word                 after;  /* the next word, without opening brackets and quotes and what follows its letters */
    int                  after_opened; /* an opening bracket stands before it */
    int                  after_dotted; /* a period follows it at once: "E" of "E. coli" */
    first_kind           first;        /* what `after` begins with */
} candidate;

/* ---- Characters -------------------------------------------------------------------------------------------------- */

/* Bytes of the white space character at p, 0 when there is none. All of Unicode's White_Space. */
static size_t white(const unsigned char *p, const unsigned char *end) {
    if (p >= end) return 0;
    if (*p == ' ' || (*p >= '\t' && *p <= '\r')) return 1;
    if (*p < 0xc2 || *p > 0xe3) return 0;
    if (*p == 0xc2) return end - p >= 2 && (p[1] == 0xa0 || p[1] == 0x85) ? 2 : 0;
    if (end - p < 3) return 0;
    if (*p == 0xe1) return p[1] == 0x9a && p[2] == 0x80 ? 3 : 0; /* U+1680 */
    if (*p == 0xe3) return p[1] == 0x80 && p[2] == 0x80 ? 3 : 0; /* U+3000 */
    if (*p != 0xe2) return 0;
    if (p[1] == 0x80) return p[2] <= 0x8a || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf ? 3 : 0;
    return p[1] == 0x81 && p[2] == 0x9f ? 3 : 0; /* U+205F */
}

/* The same for the character that ends before p. */
static size_t white_before(const unsigned char *begin, const unsigned char *p) {
    for (size_t n = 1; n <= 3 && (size_t)(p - begin) >= n; n++)
        if (white(p - n, p) == n) return n;
    return 0;
}

static int is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
static int is_lower(unsigned char c) { return c >= 'a' && c <= 'z'; }
static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static int is_alnum(unsigned char c) { return is_upper(c) || is_lower(c) || is_digit(c); }
static int is_terminator(unsigned char c) { return c == '.' || c == '!' || c == '?'; }

/* Bytes of the ellipsis character at p, or 0. */
static size_t ellipsis(const unsigned char *p, const unsigned char *end) {
    return end - p >= 3 && p[0] == 0xe2 && p[1] == 0x80 && p[2] == 0xa6 ? 3 : 0;
}

/* Bytes of the opening bracket or quote at p, or 0. */
static size_t opener(const unsigned char *p, const unsigned char *end) {
    if (p >= end) return 0;
    if (*p == '(' || *p == '[' || *p == '{' || *p == '"' || *p == '\'') return 1;
    if (end - p >= 2 && p[0] == 0xc2 && p[1] == 0xab) return 2;                   /* « */
    if (end - p >= 2 && p[0] == 0xc2 && (p[1] == 0xbf || p[1] == 0xa1)) return 2; /* ¿ ¡ */
    if (end - p >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0x98 || p[2] == 0x9c || p[2] == 0x9e)) return 3;
    return 0;
}

/* Bytes of the closing bracket or quote at p, or 0. */
static size_t closer(const unsigned char *p, const unsigned char *end) {
    if (p >= end) return 0;
    if (*p == ')' || *p == ']' || *p == '}' || *p == '"' || *p == '\'') return 1;
    if (end - p >= 2 && p[0] == 0xc2 && p[1] == 0xbb) return 2;                                   /* » */
    if (end - p >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0x99 || p[2] == 0x9d)) return 3; /* ’ ” */
    return 0;
}

/* Bytes of a citation such as ^(1,2) or [3-5] at p, or 0. */
static size_t citation(const unsigned char *p, const unsigned char *end) {
    size_t        n, digits = 0, limit = (size_t)(end - p) < CITATION_LIMIT ? (size_t)(end - p) : CITATION_LIMIT;
    unsigned char last;
    if (limit >= 2 && p[0] == '^' && p[1] == '(') {
        n = 2;
        last = ')';
    } else if (limit >= 1 && p[0] == '[') {
        n = 1;
        last = ']';
    } else {
        return 0;
    }
    for (; n < limit; n++) {
        if (p[n] == last) return digits ? n + 1 : 0;
        if (is_digit(p[n]))
            digits++;
        else if (n + 2 < limit && p[n] == 0xe2 && p[n + 1] == 0x80 && (p[n + 2] == 0x93 || p[n + 2] == 0x92))
            n += 2; /* a dash between two numbers */
        else if (p[n] != ',' && p[n] != '-' && p[n] != ' ' && p[n] != ';')
            return 0;
    }
    return 0;
}

static uint32_t code_point(const unsigned char *p, const unsigned char *end) {
    if (*p < 0x80) return *p;
    if (*p < 0xe0) return end - p >= 2 ? (*p & 0x1fu) << 6 | (p[1] & 0x3fu) : 0;
    if (*p < 0xf0) return end - p >= 3 ? (*p & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu) : 0;
    return 0x10000; /* which one does not matter */
}

/* Latin, Greek and Cyrillic have cases here; every other script's letters begin a sentence as well as any. */
static first_kind kind_of(const unsigned char *p, const unsigned char *end) {
    if (p >= end) return FIRST_SYMBOL;
    if (is_upper(*p)) return FIRST_UPPER;
    if (is_lower(*p)) return FIRST_LOWER;
    if (is_digit(*p)) return FIRST_DIGIT;
    if (*p < 0x80) return FIRST_SYMBOL;
    uint32_t c = code_point(p, end);
    if (c < 0xc0) return c == 0xb5 ? FIRST_LOWER : FIRST_SYMBOL; /* the micro sign */
    if (c < 0x100) return c == 0xd7 || c == 0xf7 ? FIRST_SYMBOL : c < 0xdf ? FIRST_UPPER : FIRST_LOWER;
    if (c < 0x138 || (c >= 0x14a && c < 0x178)) return c & 1 ? FIRST_LOWER : FIRST_UPPER;
    if (c < 0x17f) return c == 0x178 || c == 0x179 || c == 0x17b || c == 0x17d ? FIRST_UPPER : FIRST_LOWER;
    if (c >= 0x386 && c <= 0x3ab) return c == 0x387 ? FIRST_SYMBOL : c == 0x390 ? FIRST_LOWER : FIRST_UPPER;
    if (c >= 0x3ac && c <= 0x3ce) return FIRST_LOWER;
    if (c >= 0x400 && c <= 0x42f) return FIRST_UPPER;
    if (c >= 0x430 && c <= 0x45f) return FIRST_LOWER;
    if ((c >= 0x2010 && c <= 0x2bff) || (c >= 0x300 && c < 0x370) || c >= 0xe000) return FIRST_SYMBOL;
    return FIRST_LETTER;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static int compare_word(const void *key, const void *item) {
    const word *w = key;
    const char *other = *(const char *const *)item;
    size_t      n = strlen(other);
    int         order = memcmp(w->data, other, w->size < n ? w->size : n);
    if (order) return order;
    return (w->size > n) - (w->size < n);
}

static int found(word w, const char *const *list, size_t n) {
    return w.size && bsearch(&w, list, n, sizeof *list, compare_word) != NULL;
}

#define IN(w, list) found((w), (list), sizeof(list) / sizeof *(list))

static int in_lettered(word w) {
    char lower[32];
    if (w.size > sizeof lower) return 0;
    for (size_t i = 0; i < w.size; i++)
        lower[i] = w.data[i] >= 'A' && w.data[i] <= 'Z' ? (char)(w.data[i] + 32) : w.data[i];
    return IN(((word){lower, w.size}), list_lettered);
}

static int is_starter(const candidate *c) { return !c->after_dotted && IN(c->after, list_starters); }

static int all_lower(word w) {
    for (size_t i = 0; i < w.size; i++)
        if (!is_lower((unsigned char)w.data[i])) return 0;
    return w.size > 0;
}

static int all_digits(word w) {
    for (size_t i = 0; i < w.size; i++)
        if (!is_digit((unsigned char)w.data[i])) return 0;
    return w.size > 0;
}

static int has_alnum(word w) {
    for (size_t i = 0; i < w.size; i++)
        if (is_alnum((unsigned char)w.data[i]) || (unsigned char)w.data[i] >= 0xc0) return 1;
    return 0;
}

/* An ordinary word, as no abbreviation looks: "patients", "(36%)", "TTP/HUS", "PSA", "2005", "mg/kg". */
static int is_ordinary(word w) {
    size_t letters = 0, capitals = 0;
    for (size_t i = 0; i < w.size; i++) {
        unsigned char c = (unsigned char)w.data[i];
        if (c == '.') return 0;
        if (is_upper(c)) capitals++;
        if (is_upper(c) || is_lower(c) || c >= 0x80) letters++;
    }
    return letters == 0 ? w.size > 0 : letters >= 3 || (capitals == letters && letters >= 2);
}

/* Single letters joined by periods: "i.v", "V.A.C", "b.i.d". */
static int is_dotted_letters(word w) {
    if (w.size < 3 || !(w.size & 1)) return 0;
    for (size_t i = 0; i < w.size; i++) {
        unsigned char c = (unsigned char)w.data[i];
        if (i & 1 ? c != '.' : !(is_upper(c) || is_lower(c))) return 0;
    }
    return 1;
}

/* "p53", "mRNA", "pH", "c-Myc", "beta-Lactam": words that keep their small letter at the start of a sentence. */
static int keeps_small_letter(const candidate *c) {
    static const char *const greek[] = {"alpha", "beta", "delta", "gamma", "kappa", "lambda", "omega", "sigma", "tau"};
    const word               w = c->after;
    for (size_t i = 1; i < w.size && i < 5; i++)
        if (is_upper((unsigned char)w.data[i]) || is_digit((unsigned char)w.data[i])) return 1;
    const char *hyphen = memchr(w.data, '-', w.size);
    return hyphen && found((word){w.data, (size_t)(hyphen - w.data)}, greek, sizeof greek / sizeof *greek);
}

/* A small letter where a capital belongs: only words that nearly always open a clause. Sorted. */
static int is_small_starter(word w) {
    static const char *const words[] = {"however", "our", "the", "there", "these", "this", "we"};
    return found(w, words, sizeof words / sizeof *words);
}

static int is_roman_or_letter(word w) {
    if (w.size == 1) return is_upper((unsigned char)w.data[0]);
    for (size_t i = 0; i < w.size; i++)
        if (!strchr("IVX", w.data[i]) || !w.data[i]) return 0;
    return w.size > 0 && w.size <= 5;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

/* "emergencies. 8th ed." inside brackets; a whole sentence in brackets is no such case. */
static verdict inside_brackets(const candidate *c) { return c->bracketed ? NO_BOUNDARY : PASS; }

/* "(i.v.) treatment", "(?) A": brackets that hold an abbreviation or a mark are part of the sentence. */
static verdict bracketed_abbreviation(const candidate *c) {
    if (!c->closed_bracket) return PASS;
    if (!has_alnum(c->token) && c->token_opened) return NO_BOUNDARY;
    if (c->first == FIRST_DIGIT && !c->after_opened) return NO_BOUNDARY; /* "(mean+/-S.D.) 24.5" */
    if (c->token_opened && !c->token_first &&
        (is_dotted_letters(c->token) || IN(c->token, list_never_final) || IN(c->token, list_may_end)))
        return NO_BOUNDARY;
    return PASS;
}

/* "1. The", "2). The", "B. Methods", "II. Results" at the start of a sentence: the number belongs to what follows. */
static verdict enumerator(const candidate *c) {
    if (!c->token_first || c->terminator != '.' || c->dots > 1 || c->closed_bracket) return PASS;
    word w = c->token;
    if (w.size > 1 && w.data[w.size - 1] == ')') w.size--;
    return (all_digits(w) && w.size <= 2) || is_roman_or_letter(w) ? NO_BOUNDARY : PASS;
}

/* "oedema? yes", "patients ... were": a small letter goes on, but for names ("p53", "mRNA") and clear starts. */
static verdict small_letter(const candidate *c) {
    if (c->first != FIRST_LOWER) return PASS;
    if (c->dots > 1 || c->terminator == 'e') return NO_BOUNDARY;
    if (c->after_opened || !is_ordinary(c->token) || IN(c->token, list_may_end) || IN(c->token, list_before_name) ||
        IN(c->token, list_before_number) || IN(c->token, list_never_final))
        return NO_BOUNDARY;
    if ((unsigned char)c->after.data[0] >= 0x80) return BOUNDARY; /* a Greek letter: "α-Synuclein" */
    if (keeps_small_letter(c)) return BOUNDARY;
    return c->terminator == '.' && all_lower(c->token) && is_small_starter(c->after) ? BOUNDARY : NO_BOUNDARY;
}

/* "replace? - Partial", "vs. >5": signs do not begin sentences. */
static verdict symbol(const candidate *c) {
    if (c->first != FIRST_SYMBOL) return PASS;
    static const char bullets[][4] = {"\xe2\x80\xa2", "\xe2\x97\x8f", "\xe2\x96\xaa", "\xe2\x96\xa0"};
    for (size_t i = 0; i < sizeof bullets / sizeof *bullets; i++)
        if (c->size - c->next >= 3 && !memcmp(c->text + c->next, bullets[i], 3)) return BOUNDARY;
    return NO_BOUNDARY;
}

static verdict question_or_exclamation(const candidate *c) {
    return c->terminator == '!' || c->terminator == '?' ? BOUNDARY : PASS;
}

static verdict ellipsis_then_capital(const candidate *c) {
    return c->dots > 1 || c->terminator == 'e' ? BOUNDARY : PASS;
}

/* "e.g. Crohn's", "vs. Placebo", "Dr. Smith", "St. John's wort". */
static verdict never_final(const candidate *c) { return IN(c->token, list_never_final) ? NO_BOUNDARY : PASS; }

/* "no. 2", "Fig. IV", "Vol. (3)". */
static verdict before_number(const candidate *c) {
    if (!IN(c->token, list_before_number)) return PASS;
    return c->first == FIRST_DIGIT || c->after_opened || (is_roman_or_letter(c->after) && !is_starter(c)) ? NO_BOUNDARY
                                                                                                          : PASS;
}

/* "et al. Naranjo", "U.S. Food and Drug Administration". */
static verdict before_name(const candidate *c) {
    if (!IN(c->token, list_before_name)) return PASS;
    return c->first == FIRST_UPPER && is_starter(c) ? BOUNDARY : NO_BOUNDARY;
}

/* "e. g.", "i. e.", "E. coli", "J. Smith": what a single letter's period means hangs on its neighbours. */
static verdict single_letter(const candidate *c) {
    if (c->token.size != 1 || c->closed_bracket) return PASS;
    unsigned char letter = (unsigned char)c->token.data[0];
    if (is_lower(letter) && c->after.size == 1 && c->after_dotted) return NO_BOUNDARY;
    if (!is_upper(letter)) return PASS;
    if (c->first == FIRST_DIGIT) return in_lettered(c->before) ? BOUNDARY : NO_BOUNDARY;
    if (in_lettered(c->before) || is_starter(c)) return BOUNDARY;
    if (c->after_opened) return NO_BOUNDARY; /* "S. (Chirostilbia) species" */
    if (c->first != FIRST_UPPER) return PASS;
    if (c->token_first || c->before.size == 0) return NO_BOUNDARY;
    static const char *const function_words[] = {"a",      "an", "and",  "as",      "by",    "due",   "for", "from",
                                                 "in",     "of", "on",   "or",      "than",  "that",  "the", "to",
                                                 "versus", "vs", "when", "whereas", "which", "while", "with"};
    if (found(c->before, function_words, sizeof function_words / sizeof *function_words)) return NO_BOUNDARY;
    unsigned char first = (unsigned char)c->before.data[0];
    return is_upper(first) ? NO_BOUNDARY : BOUNDARY; /* "John F. Kennedy", but "100 U. Patient" */
}

/* "80 mg. 3 times", "b.i.d. (10 mg)": abbreviations that end a sentence only before a capital. */
static verdict may_end(const candidate *c) {
    if (!IN(c->token, list_may_end) && !is_dotted_letters(c->token)) return PASS;
    if (c->token_first && !c->closed_bracket) return NO_BOUNDARY; /* "T.M. Graber" */
    return c->first == FIRST_UPPER && (!c->after_opened || is_starter(c)) ? BOUNDARY : NO_BOUNDARY;
}

/* "0. 05", "(55. 1%)": a number broken after its point. */
static verdict broken_number(const candidate *c) {
    return c->first == FIRST_DIGIT && !c->after_opened && c->token.size == 1 && c->token.data[0] == '0' ? NO_BOUNDARY
                                                                                                        : PASS;
}

/* "Clin Toxicol. 2007;45:203": the year of a reference. */
static verdict reference_year(const candidate *c) {
    const unsigned char *p = c->text + c->next;
    if (c->first != FIRST_DIGIT || c->size - c->next < 5) return PASS;
    for (int i = 0; i < 4; i++)
        if (!is_digit(p[i])) return PASS;
    return p[4] == ';' || p[4] == ':' ? NO_BOUNDARY : PASS;
}

/* "was seen. (10 mg)": behind a bracket only a capital, or a number that counts ("(2) The"), begins a sentence. */
static verdict opened_number(const candidate *c) {
    if (!c->after_opened || c->first != FIRST_DIGIT) return PASS;
    size_t behind = (size_t)(c->after.data + c->after.size - (const char *)c->text);
    int    closes = behind < c->size && (c->text[behind] == ')' || c->text[behind] == ']');
    return c->after.size <= 2 && closes ? BOUNDARY : NO_BOUNDARY;
}

static verdict default_boundary(const candidate *c) {
    (void)c;
    return BOUNDARY;
}

static const struct {
    const char *name;
    verdict (*decide)(const candidate *c);
} rules[] = {
    {"inside brackets", inside_brackets},
    {"bracketed abbreviation", bracketed_abbreviation},
    {"enumerator", enumerator},
    {"small letter", small_letter},
    {"symbol", symbol},
    {"question or exclamation", question_or_exclamation},
    {"ellipsis then capital", ellipsis_then_capital},
    {"never final", never_final},
    {"before number", before_number},
    {"before name", before_name},
    {"single letter", single_letter},
    {"may end", may_end},
    {"broken number", broken_number},
    {"reference year", reference_year},
    {"opened number", opened_number},
    {"capital or digit", default_boundary},
};

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

/* Whether the bracket that is open at `from` is closed within BRACKET_LIMIT bytes. */
static int closes_ahead(const unsigned char *text, size_t size, size_t from) {
    size_t limit = size - from < BRACKET_LIMIT ? size : from + BRACKET_LIMIT, depth = 0;
    for (size_t i = from; i < limit; i++) {
        if (text[i] == '(' || text[i] == '[')
            depth++;
        else if ((text[i] == ')' || text[i] == ']') && depth-- == 0)
            return 1;
    }
    return 0;
}

static void look_back(candidate *c) {
    const unsigned char *text = c->text;
    size_t               end = c->mark, begin = end;
    while (begin > c->sentence && end - begin < WORD_LIMIT && !white_before(text + c->sentence, text + begin)) begin--;
    c->token_first = begin == c->sentence;
    size_t before = begin, n;
    while (begin < end && (n = opener(text + begin, text + end)) != 0) {
        begin += n;
        c->token_opened = 1;
    }
    c->token = (word){(const char *)text + begin, end - begin};

    size_t space = 0;
    while (before > c->sentence && space < WORD_LIMIT && (n = white_before(text + c->sentence, text + before)) != 0) {
        before -= n;
        space += n;
    }
    end = begin = before;
    while (begin > c->sentence && end - begin < WORD_LIMIT && !white_before(text + c->sentence, text + begin)) begin--;
    while (end > begin && !is_alnum(text[end - 1]) && text[end - 1] < 0x80) end--;
    while (begin < end && (n = opener(text + begin, text + end)) != 0) begin += n;
    c->before = (word){(const char *)text + begin, end - begin};
}

static void look_ahead(candidate *c) {
    const unsigned char *text = c->text, *limit = text + c->size;
    size_t               begin = c->next, n;
    while (begin - c->next < WORD_LIMIT && (n = opener(text + begin, limit)) != 0) {
        if (text[begin] == '(' || text[begin] == '[' || text[begin] == '{') c->after_opened = 1;
        begin += n;
    }
    size_t end = begin;
    while (end < c->size && end - begin < WORD_LIMIT &&
           (is_alnum(text[end]) || text[end] == '-' || text[end] >= 0x80) && !white(text + end, limit))
        end++;
    c->after = (word){(const char *)text + begin, end - begin};
    c->after_dotted = end < c->size && text[end] == '.' && end - begin == 1;
    c->first = kind_of(text + begin, limit);
}

typedef struct splitter {
    const unsigned char *text;
    size_t               size;
    size_t               want; /* explain: the byte asked for */
    const char          *rule;
    int                  boundary;
} splitter;

static verdict decide(const candidate *c, const char **rule) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        verdict v = rules[i].decide(c);
        if (v == PASS) continue;
        *rule = rules[i].name;
        return v;
    }
    *rule = "";
    return BOUNDARY;
}

static ade_status add(ade_sentences *out, const unsigned char *text, size_t start, size_t end) {
    size_t n;
    while (end > start && (n = white_before(text + start, text + end)) != 0) end -= n;
    if (end == start) return ADE_OK;
    if (ade__reserve(&out->spans, &out->capacity, out->n + 1, sizeof *out->spans)) return ADE_OUT_OF_MEMORY;
    out->spans[out->n++] = (ade_span){(uint32_t)start, (uint32_t)end};
    return ADE_OK;
}

/* Finds the sentences; with out == NULL, only the answer to s->want. */
static ade_status walk(splitter *s, ade_sentences *out) {
    const unsigned char *text = s->text, *limit = text + s->size;
    size_t               sentence = 0, i = 0, depth = 0, n;
    int                  whole_bracket = 0; /* the outermost open bracket opened the sentence */
    while ((n = white(text + sentence, limit)) != 0) sentence += n;
    i = sentence;
    while (i < s->size) {
        unsigned char b = text[i];
        if (b == '(' || b == '[') {
            if (depth++ == 0) whole_bracket = i == sentence;
            i++;
            continue;
        }
        if (b == ')' || b == ']') {
            if (depth) depth--;
            i++;
            continue;
        }
        if (!is_terminator(b) && !ellipsis(text + i, limit)) {
            i++;
            continue;
        }
        candidate c = {.text = text, .size = s->size, .sentence = sentence, .mark = i};
        for (;;) {
            if (i < s->size && is_terminator(text[i])) {
                c.terminator = (char)text[i++];
            } else if ((n = ellipsis(text + i, limit)) != 0) {
                c.terminator = 'e';
                i += n;
            } else {
                break;
            }
            c.dots++;
        }
        size_t last = i, outer = depth; /* outer: open brackets at the terminator */
        for (;;) {
            n = citation(text + i, limit);
            if (!n && (n = closer(text + i, limit)) != 0 && (text[i] == ')' || text[i] == ']')) {
                if (i == last) c.closed_bracket = 1;
                if (depth) depth--;
            }
            if (!n) break;
            i += n;
        }
        c.end = c.next = i;
        while ((n = white(text + c.next, limit)) != 0) c.next += n;
        if (c.next == c.end || c.next == s->size) continue;
        /* A bracket closed by this very candidate does not hold it any more. */
        if (outer && depth && !whole_bracket) c.bracketed = closes_ahead(text, s->size, c.end);
        look_back(&c);
        look_ahead(&c);
        const char *rule;
        verdict     v = decide(&c, &rule);
        if (s->want >= c.mark && s->want < c.end) {
            s->rule = rule;
            s->boundary = v == BOUNDARY;
        }
        if (v == BOUNDARY) {
            if (out) ADE_TRY(add(out, text, sentence, c.end));
            sentence = c.next;
            depth = 0;
        }
        i = c.next;
    }
    return out ? add(out, text, sentence, s->size) : ADE_OK;
}

ade_status ade__sentences_split(ade_text text, ade_sentences *out) {
    if (text.size >= UINT32_MAX)
        return ade__fail(ADE_BAD_INPUT,
                         "a text of %zu bytes is too long to be split into sentences; the limit is 4 GiB", text.size);
    out->n = 0;
    if (!text.size) return ADE_OK;
    splitter s = {.text = (const unsigned char *)text.data, .size = text.size, .want = SIZE_MAX};
    return walk(&s, out);
}

void ade__sentences_free(ade_sentences *sentences) {
    if (!sentences) return;
    ade__free(sentences->spans);
    *sentences = (ade_sentences){0};
}

const char *ade__sentences_explain(ade_text text, size_t at, int *boundary) {
    splitter s = {.text = (const unsigned char *)text.data, .size = text.size, .want = at};
    *boundary = 0;
    if (text.size) (void)walk(&s, NULL); /* without an output nothing can fail */
    *boundary = s.boundary;
    return s.rule;
}
