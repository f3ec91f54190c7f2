/* SPDX-License-Identifier: Apache-2.0
 * words.c by hand-written cases; against Python in all code points: tests/golden/compare_words.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"

#include "alloc.h"
#include "words.h"

/* The words of a text with commas between them; each must lie where it says that it comes from. */
static const char *words_of(const char *data, size_t size, bool lowercase, ade_accents accents) {
    static char       line[1 << 16];
    ade_words         words = {0};
    ade_words_options options = {lowercase, accents, ADE_INVALID_UTF8_REPLACE};
    bool              more = true;
    size_t            at = 0;
    line[0] = '\0';
    ade__words_begin(&words, &options, (ade_text){data, size});
    while (more) {
        CHECK_OK(ade__words_read(&words, 0, &more));
        for (size_t i = 0; i < words.n; i++) {
            const ade_word *w = &words.items[i];
            assert_true(w->start < w->end && w->end <= size);
            at += (size_t)snprintf(line + at, sizeof line - at, "%s%.*s", at ? "," : "", (int)w->size,
                                   (const char *)words.bytes + w->at);
        }
    }
    ade__words_clear(&words);
    return line;
}

#define WORDS(text, lowercase, accents) words_of(text, sizeof text - 1, lowercase, accents)

static void test_ascii(void **state) {
    (void)state;
    assert_string_equal(WORDS("", true, ADE_ACCENTS_KEPT), "");
    assert_string_equal(WORDS("A case of B-reaction, 5 mg/d_1 X", true, ADE_ACCENTS_KEPT), "case,of,reaction,mg,d_1");
    assert_string_equal(WORDS("A Case OF b", false, ADE_ACCENTS_KEPT), "Case,OF");
    assert_string_equal(WORDS("ab\0cd", true, ADE_ACCENTS_KEPT), "ab,cd");
}

static void test_unicode(void **state) {
    (void)state;
    assert_string_equal(WORDS("ΟΔΟΣ ΣΟΣ. Σ ΑΣ'", true, ADE_ACCENTS_KEPT), "οδος,σος,ας");
    assert_string_equal(WORDS("ΑΣ.Β", true, ADE_ACCENTS_KEPT), "ασ"); /* a full stop is passed over, B follows */
    assert_string_equal(WORDS("İstanbul", true, ADE_ACCENTS_KEPT), "stanbul"); /* i, a combining dot, the rest */
    assert_string_equal(WORDS("x² ½ ⅷⅷ 中毒", true, ADE_ACCENTS_KEPT), "x²,ⅷⅷ,中毒");
    assert_string_equal(WORDS("Crème ﬁn ½½ TM™ é", true, ADE_ACCENTS_UNICODE), "creme,fin,21,tmTM");
    assert_string_equal(WORDS("Crème ßa中b", true, ADE_ACCENTS_ASCII), "creme,ab");
}

static void test_invalid(void **state) {
    static const char text[] = "ab\xff\xc3 cd";
    ade_words         words = {0};
    ade_words_options options = {true, ADE_ACCENTS_KEPT, ADE_INVALID_UTF8_ERROR};
    bool              more;
    (void)state;
    ade__words_begin(&words, &options, (ade_text){text, sizeof text - 1});
    CHECK_STATUS(ade__words_read(&words, 0, &more), ADE_BAD_INPUT);
    assert_non_null(strstr(ade_last_error(), "at byte 2"));
    options.invalid = ADE_INVALID_UTF8_REPLACE;
    ade__words_begin(&words, &options, (ade_text){text, sizeof text - 1});
    CHECK_OK(ade__words_read(&words, 0, &more));
    assert_int_equal(words.n, 2);
    assert_int_equal(words.replaced, 2);
    assert_false(more);
    ade__words_clear(&words);
}

/* Words at every place of every border of what is read at once, and those that are kept. */
static void test_blocks(void **state) {
    enum { N = 30000 };
    static char       text[N + 1];
    ade_words         words = {0};
    ade_words_options options = {true, ADE_ACCENTS_KEPT, ADE_INVALID_UTF8_ERROR};
    (void)state;
    for (size_t length = 2; length < 40; length++) {
        size_t expected = 0, found = 0, kept = 0;
        bool   more = true;
        for (size_t i = 0; i < N; i++) {
            text[i] = i % (length + 1) == length ? ' ' : (char)('a' + i % 26);
            expected += i % (length + 1) == 1; /* the second letter makes a word of it */
        }
        ade__words_begin(&words, &options, (ade_text){text, N});
        while (more) {
            CHECK_OK(ade__words_read(&words, kept, &more));
            for (size_t i = 0; i < words.n; i++)
                assert_memory_equal(words.bytes + words.items[i].at, text + words.items[i].start, words.items[i].size);
            found += words.n - kept;
            kept = words.n < 3 ? words.n : 3;
        }
        assert_int_equal(found, expected);
    }
    ade__words_clear(&words);
}

static void test_memory(void **state) {
    ade_words         words = {0};
    ade_words_options options = {true, ADE_ACCENTS_KEPT, ADE_INVALID_UTF8_ERROR};
    bool              more;
    (void)state;
    for (long n = 0; n < 2; n++) {
        ade__words_begin(&words, &options, (ade_text){"ab cd", 5});
        ade__alloc_fail_at(n);
        ade_status status = ade__words_read(&words, 0, &more);
        ade__alloc_fail_at(-1);
        CHECK_STATUS(status, ADE_OUT_OF_MEMORY);
        ade__words_clear(&words);
    }
    ade__words_begin(&words, &options, (ade_text){"ab cd", 5});
    CHECK_OK(ade__words_read(&words, 0, &more));
    uint64_t before = ade__alloc_count();
    ade__words_begin(&words, &options, (ade_text){"ef gh", 5});
    CHECK_OK(ade__words_read(&words, 0, &more));
    assert_int_equal(ade__alloc_count(), before);
    ade__words_clear(&words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascii),   cmocka_unit_test(test_unicode), cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
