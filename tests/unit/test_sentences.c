/* SPDX-License-Identifier: Apache-2.0
 * The sentence splitter: text / --- / sentences / === files, properties on random text, linear time, the ADE corpus. */
#include "alloc.h"
#include "sentences.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *data_folder(void) {
    const char *folder = getenv("ADE_TEST_DATA");
#ifdef ADE_TEST_DATA_DIR
    if (!folder) folder = ADE_TEST_DATA_DIR;
#endif
    return folder ? folder : "tests/data";
}

static ade_text text_of(const char *text) { return (ade_text){text, strlen(text)}; }

/* ---- Files of cases ---------------------------------------------------------------------------------------------- */

/* Reads lines up to `end`; the text of each is kept in lines. */
static int read_block(FILE *file, const char *end, char **lines, int capacity) {
    char   *line = NULL;
    size_t  size = 0;
    int     n = 0;
    ssize_t got;
    while ((got = getline(&line, &size, file)) > 0) {
        if (line[got - 1] == '\n') line[--got] = '\0';
        if (!strcmp(line, end)) {
            free(line);
            return n;
        }
        assert_true(n < capacity);
        lines[n++] = strdup(line);
    }
    free(line);
    assert_int_equal(n, 0); /* a file that ends inside a case is a mistake */
    return -1;
}

static int check_file(const char *path, int *failures) {
    FILE         *file = fopen(path, "r");
    char         *text[1], *expected[64];
    int           cases = 0;
    ade_sentences got = {0};
    assert_non_null(file);
    while (read_block(file, "---", text, 1) == 1) {
        int n = read_block(file, "===", expected, 64), wrong;
        assert_int_equal(ade__sentences_split(text_of(text[0]), &got), ADE_OK);
        wrong = n < 0 || got.n != (size_t)n;
        for (int i = 0; i < n && !wrong; i++)
            wrong = strlen(expected[i]) != got.spans[i].end - got.spans[i].start ||
                    memcmp(expected[i], text[0] + got.spans[i].start, strlen(expected[i])) != 0;
        if (wrong) {
            (*failures)++;
            print_error("%s: \"%s\" became:\n", path, text[0]);
            for (size_t i = 0; i < got.n; i++)
                print_error("  %.*s\n", (int)(got.spans[i].end - got.spans[i].start), text[0] + got.spans[i].start);
        }
        for (int i = 0; i < n; i++) free(expected[i]);
        free(text[0]);
        cases++;
    }
    fclose(file);
    ade__sentences_free(&got);
    return cases;
}

static void test_cases(void **state) {
    char folder[512], path[1024];
    int  cases = 0, failures = 0;
    (void)state;
    snprintf(folder, sizeof folder, "%s/sentences", data_folder());
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!strstr(entry->d_name, ".txt")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        cases += check_file(path, &failures);
    }
    closedir(dir);
    assert_true(cases >= 80);
    assert_int_equal(failures, 0);
}

/* ---- Properties -------------------------------------------------------------------------------------------------- */

/* Bytes of the white space at p, by a table independent of the splitter's. */
static size_t white(const char *p, size_t left) {
    static const char *const all[] = {" ",
                                      "\t",
                                      "\n",
                                      "\v",
                                      "\f",
                                      "\r",
                                      "\xc2\x85",
                                      "\xc2\xa0",
                                      "\xe1\x9a\x80",
                                      "\xe2\x80\x80",
                                      "\xe2\x80\x81",
                                      "\xe2\x80\x82",
                                      "\xe2\x80\x83",
                                      "\xe2\x80\x84",
                                      "\xe2\x80\x85",
                                      "\xe2\x80\x86",
                                      "\xe2\x80\x87",
                                      "\xe2\x80\x88",
                                      "\xe2\x80\x89",
                                      "\xe2\x80\x8a",
                                      "\xe2\x80\xa8",
                                      "\xe2\x80\xa9",
                                      "\xe2\x80\xaf",
                                      "\xe2\x81\x9f",
                                      "\xe3\x80\x80"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (left >= strlen(all[i]) && !memcmp(p, all[i], strlen(all[i]))) return strlen(all[i]);
    return 0;
}

static void check_properties(const char *text, size_t size, ade_sentences *s) {
    size_t at = 0, n;
    assert_int_equal(ade__sentences_split((ade_text){text, size}, s), ADE_OK);
    for (size_t i = 0; i <= s->n; i++) {
        const size_t start = i < s->n ? s->spans[i].start : size;
        while (at < start) { /* only white space lies between sentences */
            n = white(text + at, size - at);
            assert_true(n > 0);
            at += n;
        }
        assert_int_equal(at, start);
        if (i == s->n) break;
        assert_true(s->spans[i].end > start && s->spans[i].end <= size);
        assert_int_equal(white(text + start, size - start), 0);
        at = s->spans[i].end;
        assert_true(((unsigned char)text[start] & 0xc0) != 0x80);
        if (at < size) assert_true(((unsigned char)text[at] & 0xc0) != 0x80);
    }
}

static void test_random_text(void **state) {
    static const char *const pieces[] = {".",
                                         "!",
                                         "?",
                                         ")",
                                         "(",
                                         "[",
                                         "]",
                                         "\"",
                                         "'",
                                         " ",
                                         " ",
                                         " ",
                                         "\n",
                                         "e.g",
                                         "A",
                                         "al",
                                         "vs",
                                         "Fig",
                                         "i.v",
                                         "2",
                                         "The",
                                         "the",
                                         "\xc2\xa0",
                                         "x",
                                         "^(",
                                         "1,",
                                         "-",
                                         "No",
                                         "B",
                                         "p53",
                                         "\xe2\x80\xa6",
                                         "\xce\xb1",
                                         "\xe2\x80\x89",
                                         "\xf0\x9f\x98\x80",
                                         "\xe2\x80\x9d",
                                         "\xc2\xab",
                                         "\t",
                                         "Dr",
                                         "hepatitis",
                                         "",
                                         "\xe2\x80\x9c",
                                         "\xc3\x89",
                                         "mg",
                                         "..",
                                         "0"};
    ade_sentences            s = {0};
    char                     text[512];
    uint32_t                 seed = 12345;
    (void)state;
    for (int round = 0; round < 30000; round++) {
        size_t    size = 0;
        const int count = round % 60;
        for (int i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            const char *piece = pieces[(seed >> 16) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        if (round % 7 == 0 && size) text[size / 2] = text[size / 2] & 0x80 ? text[size / 2] : '\0'; /* NULs, too */
        char *exact = malloc(size ? size : 1); /* so that a read behind the end is seen */
        memcpy(exact, text, size);
        check_properties(exact, size, &s);
        free(exact);
    }
    ade__sentences_free(&s);
}

static void test_empty(void **state) {
    ade_sentences s = {0};
    (void)state;
    assert_int_equal(ade__sentences_split((ade_text){NULL, 0}, &s), ADE_OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(ade__sentences_split(text_of(" \t\n\xc2\xa0 "), &s), ADE_OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(ade__sentences_split((ade_text){"x", (size_t)UINT32_MAX + 1}, &s), ADE_BAD_INPUT);
    assert_non_null(strstr(ade_last_error(), "4 GiB"));
    ade__sentences_free(&s);
    ade__sentences_free(NULL);
}

static void test_out_of_memory(void **state) {
    ade_sentences s = {0};
    (void)state;
    ade__alloc_fail_at(0);
    ade_status status = ade__sentences_split(text_of("One. Two."), &s);
    ade__alloc_fail_at(-1);
    assert_int_equal(status, ADE_OUT_OF_MEMORY);
    assert_int_equal(ade__sentences_split(text_of("One. Two."), &s), ADE_OK);
    assert_int_equal(s.n, 2);
    ade__sentences_free(&s);
}

static void test_explain(void **state) {
    static const struct {
        const char *text, *rule;
        size_t      at;
        int         boundary;
    } cases[] = {
        {"He died. She left.", "capital or digit", 7, 1},
        {"Drugs, e.g. Aspirin, help.", "never final", 10, 0},
        {"See Fig. 2 for it.", "before number", 7, 0},
        {"Seen by Wu et al. Naranjo.", "before name", 16, 0},
        {"Of E. coli.", "small letter", 4, 0},
        {"With E. Coli.", "single letter", 6, 0},
        {"It hurt (A. Smith 1999) a lot.", "inside brackets", 10, 0},
        {"1. The first.", "enumerator", 1, 0},
        {"He died. She left.", NULL, 3, 0},
        {"He died. She left.", NULL, 17, 0}, /* the end of the text is no question */
        {"p < .05 is", NULL, 4, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int         boundary = -1;
        const char *rule = ade__sentences_explain(text_of(cases[i].text), cases[i].at, &boundary);
        if (cases[i].rule)
            assert_string_equal(rule, cases[i].rule);
        else
            assert_null(rule);
        assert_int_equal(boundary, cases[i].boundary);
    }
}

/* Quadratic behaviour would take minutes here, also under a sanitizer. */
static void test_linear_time(void **state) {
    static const char *const units[] = {".",    "(", ". ",  ". (",           ".)", "(. ", "a. B ",
                                        ".[1 ", " ", "A. ", "\xe2\x80\x9c. "};
    const size_t             size = 2000000;
    ade_sentences            s = {0};
    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char        *text = malloc(size);
        const size_t unit = strlen(units[i]);
        for (size_t at = 0; at < size; at++) text[at] = units[i][at % unit];
        const size_t whole = size / unit * unit;
        clock_t      before = clock();
        assert_int_equal(ade__sentences_split((ade_text){text, whole}, &s), ADE_OK);
        assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 10);
        free(text);
    }
    ade__sentences_free(&s);
}

/* ---- The ADE corpus ---------------------------------------------------------------------------------------------- */

typedef struct sentence {
    char *pmid, *text;
} sentence;

static int by_pmid_then_text(const void *a, const void *b) {
    const sentence *x = a, *y = b;
    int             order = strcmp(x->pmid, y->pmid);
    return order ? order : strcmp(x->text, y->text);
}

static size_t read_corpus(const char *folder, sentence *out, size_t capacity) {
    char   path[1024], *line = NULL;
    size_t size = 0, n = 0;
    for (int kind = 0; kind < 2; kind++) {
        snprintf(path, sizeof path, "%s/ade_v2/%s", folder, kind ? "ADE-NEG.txt" : "DRUG-AE.rel");
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (getline(&line, &size, file) > 0) {
            char *pmid = strtok(line, kind ? " " : "|\n"), *text = kind ? strtok(NULL, "\n") : strtok(NULL, "|\n");
            assert_non_null(text);
            if (kind) text += strlen("NEG ");
            assert_true(n < capacity);
            out[n++] = (sentence){strdup(pmid), strdup(text)};
        }
        fclose(file);
    }
    free(line);
    return n;
}

/* The corpus was split by the GENIA splitter. Its sentences, joined by PMID (in any order: the original one is not
 * known) and split again, must come back. */
static void test_ade_corpus(void **state) {
    const char *folder = getenv("ADE_SHARED_DATA");
    (void)state;
    if (!folder) skip();
    const size_t  capacity = 40000;
    sentence     *all = calloc(capacity, sizeof *all);
    char         *document = malloc(1 << 20);
    char         *gold = malloc(1 << 20);
    const size_t  n = read_corpus(folder, all, capacity);
    size_t        documents = 0, right = 0, extra = 0, missed = 0;
    ade_sentences s = {0};
    qsort(all, n, sizeof *all, by_pmid_then_text);
    for (size_t i = 0; i < n;) {
        size_t size = 0, first = i;
        memset(gold, 0, 1 << 20);
        for (; i < n && !strcmp(all[i].pmid, all[first].pmid); i++) {
            if (i > first && !strcmp(all[i].text, all[i - 1].text)) continue; /* a row per relation */
            if (size) {
                gold[size] = 1;
                document[size++] = ' ';
            }
            memcpy(document + size, all[i].text, strlen(all[i].text));
            size += strlen(all[i].text);
        }
        documents++;
        assert_int_equal(ade__sentences_split((ade_text){document, size}, &s), ADE_OK);
        for (size_t k = 0; k + 1 < s.n; k++) {
            if (gold[s.spans[k].end] == 1)
                right++;
            else
                extra++;
            gold[s.spans[k].end] = 2;
        }
        for (size_t k = 0; k < size; k++) missed += gold[k] == 1;
    }
    const double f1 = 2.0 * (double)right / (double)(2 * right + extra + missed);
    print_message("%zu documents, %zu boundaries found, %zu too many, %zu missed, F1 %.4f\n", documents, right, extra,
                  missed, f1);
    assert_int_equal(documents, 2972);
    assert_true(f1 >= 0.998);
    for (size_t i = 0; i < n; i++) {
        free(all[i].pmid);
        free(all[i].text);
    }
    free(all);
    free(document);
    free(gold);
    ade__sentences_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_random_text), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_explain),     cmocka_unit_test(test_linear_time),
        cmocka_unit_test(test_ade_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
