/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer, behaviour by behaviour; expected values come from the reference (tokenizers 0.23.3). */
#include "test_tokenizer.h"

#include "alloc.h"

#include <time.h>

/* A vocabulary in which every behaviour shows. */
#define SMALL                                                                                                         \
    "[PAD]\0[UNK]\0[CLS]\0[SEP]\0[MASK]\0a\0b\0ab\0##a\0##b\0[\0]\0SEP\0sep\0SE\0P\0he\0hello\0##llo\0E\0.\0coli\0"   \
    "naive\0na\0##\xc3\xafve\0istanbul\0e\0\xe4\xb8\xad\0\xc2\xb5\0##\xc2\xb5\0A\0B\0-\0k\0abc\0##c\0"

typedef struct fixture {
    ade_tokenizer         *tokenizer;
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options;
} fixture;

static size_t small_vocab(ade_text vocab[64], const char *strings, size_t size) {
    size_t n = 0;
    for (size_t at = 0; at < size; n++) {
        size_t length = strlen(strings + at);
        vocab[n] = (ade_text){strings + at, length};
        at += length + 1;
    }
    return n;
}

static fixture small(bool lowercase, const ade_added_token *added, size_t n_added) {
    ade_text             vocab[64];
    size_t               n = small_vocab(vocab, SMALL, sizeof SMALL - 1);
    ade_tokenizer_config config = plain_config(vocab, n, lowercase);
    fixture              f = {.options = {.max_length = 512, .want_offsets = true}};
    config.added = added;
    config.n_added = n_added;
    if (ade__tokenizer_new(&config, &f.tokenizer)) fail_msg("%s", ade_last_error());
    assert_int_equal(ade__tokenizer_scratch_new(f.tokenizer, &f.scratch), ADE_OK);
    return f;
}

static void done(fixture *f) {
    ade__tokenizer_scratch_free(f->scratch);
    ade__tokenizer_free(f->tokenizer);
}

static char    shown[1 << 16];
static size_t  shown_unknown, shown_replaced;
static int32_t shown_truncated;

/* "a(0,1) b(2,3)" for what stands between [CLS] and [SEP]. */
static const char *show_sized(fixture *f, const char *text, size_t size) {
    ade_encoding e;
    ade_status   status = encode(f->tokenizer, f->scratch, text, size, &f->options, &e);
    if (status) fail_msg("%s", ade_last_error());
    assert_true(e.n >= 2);
    assert_string_equal(ade__tokenizer_token(f->tokenizer, e.ids[0]), "[CLS]");
    assert_string_equal(ade__tokenizer_token(f->tokenizer, e.ids[e.n - 1]), "[SEP]");
    assert_true(e.starts[0] == 0 && e.ends[0] == 0 && e.starts[e.n - 1] == 0 && e.ends[e.n - 1] == 0);
    size_t at = 0;
    shown[0] = '\0';
    for (size_t i = 1; i + 1 < e.n && at + 64 < sizeof shown; i++)
        at += (size_t)snprintf(shown + at, sizeof shown - at, "%s%s(%u,%u)", i > 1 ? " " : "",
                               ade__tokenizer_token(f->tokenizer, e.ids[i]), e.starts[i], e.ends[i]);
    shown_unknown = (size_t)e.unknown;
    shown_truncated = e.truncated;
    shown_replaced = (size_t)e.replaced;
    return shown;
}

static const char *show(fixture *f, const char *text) { return show_sized(f, text, strlen(text)); }

static void empty_texts_and_spaces(void **state) {
    (void)state;
    fixture f = small(false, NULL, 0);
    assert_string_equal(show(&f, ""), "");
    assert_string_equal(show(&f, " \t\n "), "");
    assert_string_equal(show_sized(&f, "a\0b", 3), "ab(0,3)");
    static const char *const joined[] = {"\v", "\f", "\x1c", "\xc2\x85", "\xe2\x80\x8b", "\xc2\xad", "\xe1\xa0\x8e",
                                         "\x7f", "\xef\xbf\xbd", "\xee\x80\x80", "\xef\xbb\xbf"};
    static const char *const spaces[] = {"\xc2\xa0", "\xe2\x80\x89", "\xe2\x80\xaf", "\xe2\x80\xa8", "\xe2\x80\xa9",
                                         "\xe3\x80\x80", "\r\n", "\t"};
    char text[16], expected[64];
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        snprintf(text, sizeof text, "a%sb", joined[i]);
        snprintf(expected, sizeof expected, "ab(0,%zu)", strlen(text));
        assert_string_equal(show(&f, text), expected);
    }
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        snprintf(text, sizeof text, "a%sb", spaces[i]);
        snprintf(expected, sizeof expected, "a(0,1) b(%zu,%zu)", strlen(text) - 1, strlen(text));
        assert_string_equal(show(&f, text), expected);
    }
    assert_string_equal(show(&f, "\xef\xbb\xbf" "ab"), "ab(3,5)");
    assert_string_equal(show(&f, "\xcd\xb8 \xef\xbf\xbf \xf0\x9f\xa5\xb1"), "[UNK](0,2) [UNK](3,6) [UNK](7,11)");
    assert_int_equal(shown_unknown, 3);
    done(&f);
}

static void specials_in_the_text(void **state) {
    (void)state;
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        fixture f = small(lowercase, NULL, 0);
        assert_string_equal(show(&f, "a[SEP]b"), "a(0,1) [SEP](1,6) b(6,7)");
        assert_string_equal(show(&f, "[MASK]b"), "[MASK](0,6) b(6,7)");
        assert_string_equal(show(&f, "[UNK]"), "[UNK](0,5)");
        assert_int_equal(shown_unknown, 1);
        assert_string_equal(show(&f, "[sep]"), "[(0,1) sep(1,4) ](4,5)");
        assert_string_equal(show(&f, "[SE\xe2\x80\x8bP]"),
                            lowercase ? "[(0,1) sep(1,7) ](7,8)" : "[(0,1) SEP(1,7) ](7,8)");
        assert_string_equal(show(&f, "[SEP"), lowercase ? "[(0,1) sep(1,4)" : "[(0,1) SEP(1,4)");
        assert_string_equal(show(&f, "[[SEP]"), "[(0,1) [SEP](1,6)");
        f.options.split_special_tokens = true;
        assert_string_equal(show(&f, "a[SEP]b"), lowercase ? "a(0,1) [(1,2) sep(2,5) ](5,6) b(6,7)"
                                                           : "a(0,1) [(1,2) SEP(2,5) ](5,6) b(6,7)");
        done(&f);
    }
}

/* Encodes `unit` n times in a row and returns the number of tokens; the text must be one word. */
static size_t repeated(fixture *f, const char *unit, size_t n) {
    size_t size = strlen(unit);
    char  *text = malloc(size * n);
    ade_encoding e;
    for (size_t i = 0; i < n; i++) memcpy(text + i * size, unit, size);
    assert_int_equal(encode(f->tokenizer, f->scratch, text, size * n, &f->options, &e), ADE_OK);
    assert_int_equal(e.starts[1], 0);
    assert_int_equal(e.unknown, e.n == 3);
    if (e.n == 3) assert_int_equal(e.ends[1], size * n);
    free(text);
    return e.n - 2;
}

static void hundred_characters(void **state) {
    (void)state;
    fixture c = small(false, NULL, 0), u = small(true, NULL, 0);
    assert_int_equal(repeated(&c, "a", 100), 100);
    assert_int_equal(repeated(&c, "a", 101), 1);
    assert_int_equal(repeated(&u, "A", 100), 100);
    assert_int_equal(repeated(&u, "A", 101), 1);
    assert_int_equal(repeated(&c, "\xc2\xb5", 100), 100);
    assert_int_equal(repeated(&c, "\xc2\xb5", 101), 1);
    assert_string_equal(show(&u, "a\xcc\x81"), "a(0,1)");
    assert_int_equal(repeated(&c, "a\xcc\x81", 51), 1);
    /* counted after accents are gone */
    char text[300];
    for (int i = 0; i < 100; i++) memcpy(text + 3 * i, "a\xcc\x81", 3);
    (void)show_sized(&u, text, 300);
    assert_int_equal(shown_unknown, 0);
    done(&c);
    done(&u);
}

static void accents_case_and_chinese(void **state) {
    (void)state;
    fixture c = small(false, NULL, 0), u = small(true, NULL, 0);
    assert_string_equal(show(&c, "a\xe4\xb8\xad" "b"), "a(0,1) \xe4\xb8\xad(1,4) b(4,5)");
    assert_string_equal(show(&c, "na\xc3\xafve"), "na(0,2) ##\xc3\xafve(2,6)");
    assert_string_equal(show(&u, "na\xc3\xafve"), "naive(0,6)");
    assert_string_equal(show(&u, "nai\xcc\x88ve"), "naive(0,7)");
    assert_string_equal(show(&u, "NAI\xcc\x88VE"), "naive(0,7)");
    assert_string_equal(show(&u, "\xc3\x85 \xe2\x84\xab \xe2\x84\xaa"), "a(0,2) a(3,6) k(7,10)");
    assert_string_equal(show(&u, "\xc4\xb0stanbul"), "istanbul(0,9)");
    assert_string_equal(show(&u, "E\xcc\x81 B-A"), "e(0,1) b(4,5) -(5,6) a(6,7)");
    assert_string_equal(show(&c, "E. coli"), "E(0,1) .(1,2) coli(3,7)");
    assert_string_equal(show(&c, "abz ab abc"), "[UNK](0,3) ab(4,6) abc(7,10)");
    assert_string_equal(show(&c, "he\xe2\x80\x8bllo"), "hello(0,8)");
    assert_string_equal(show(&c, "he\xe2\x80\x8bllo,"), "hello(0,8) [UNK](8,9)");
    done(&c);
    done(&u);
}

/* Words of a text as the normalizer and pre-tokenizer see it, joined by '|'. */
static const char *words(bool lowercase, const char *text) {
    static char     joined[1024];
    ade__normalizer normalizer = {true, true, lowercase, lowercase};
    ade__normalized normalized = {0};
    size_t          at = 0, start, end, size = 0;
    assert_int_equal(ade__normalize(&normalizer, (const unsigned char *)text, 0, strlen(text), &normalized), ADE_OK);
    while (ade__next_word(normalized.bytes, normalized.size, &at, &start, &end)) {
        if (size) joined[size++] = '|';
        memcpy(joined + size, normalized.bytes + start, end - start);
        size += end - start;
    }
    joined[size] = '\0';
    ade__normalized_clear(&normalized);
    return joined;
}

static void what_splits(void **state) {
    (void)state;
    static const char *const split[][2] = {
        {"TNF-α", "TNF|-|α"}, {"IL‐6", "IL|‐|6"}, {"5′-UTR", "5|′|-|UTR"}, {"α/β", "α|/|β"}, {"a·b", "a|·|b"},
        {"mg·kg−1", "mg|·|kg−1"}, {"pH=7", "pH|=|7"}, {"a_b", "a|_|b"}, {"10^5", "10|^|5"}, {"<5", "<|5"},
        {"$5", "$|5"},
        {"p<.05", "p|<|.|05"}, {"µg/ml", "µg|/|ml"}, {"~5", "~|5"}, {"5%", "5|%"}, {"5±2", "5±2"}, {"a×b", "a×b"},
        {"10°C", "10°C"}, {"≥5", "≥5"}, {"x→y", "x→y"}, {"€5", "€5"}, {"kg−1", "kg−1"}, {"½", "½"},
        {"™drug®", "™drug®"},
        {"a⁄b", "a⁄b"}, {"1⋅2", "1⋅2"}, {"a•b″c†d‰e§f…g–h—i⟨j⟩", "a|•|b|″|c|†|d|‰|e|§|f|…|g|–|h|—|i|⟨|j|⟩"},
        {"a\U0002b820b a\U0002b91fb", "a\U0002b820b|a\U0002b91fb"}, {"a\U0002b920b", "a|\U0002b920|b"},
        {"\uac00", "\uac00"}, {"é Å Ω", "é|Å|Ω"}, {"a\u2e43b", "a\u2e43b"},
    };
    static const char *const lowered[][2] = {
        {"\uac00", "\u1100\u1161"}, {"é naïve \u00c5 \u212b \u2126 \u212a", "e|naive|a|a|ω|k"},
        {"İstanbul ΟΔΟΣ ẞ ı \u01c5", "istanbul|οδοσ|ß|ı|\u01c6"}, {"\u00b5 \u03bc ﬁ ² ½", "\u00b5|\u03bc|ﬁ|²|½"},
        {"a\U0001e944b a\u0898b a\u08e2b", "a\U0001e944b|a\u0898b|a\u08e2b"}, {"\u1caf", "\u10ef"}, {"Ł", "ł"},
    };
    for (size_t i = 0; i < sizeof split / sizeof *split; i++)
        assert_string_equal(words(false, split[i][0]), split[i][1]);
    for (size_t i = 0; i < sizeof lowered / sizeof *lowered; i++)
        assert_string_equal(words(true, lowered[i][0]), lowered[i][1]);
}

static const char *normalized(ade__normalizer normalizer, const char *text) {
    static char     result[256];
    ade__normalized out = {0};
    assert_int_equal(ade__normalize(&normalizer, (const unsigned char *)text, 0, strlen(text), &out), ADE_OK);
    snprintf(result, sizeof result, "%.*s", (int)out.size, (const char *)out.bytes);
    ade__normalized_clear(&out);
    return result;
}

static void each_step_alone(void **state) {
    (void)state;
    static const char    text[] = "É\u200b\t中İ";
    const ade__normalizer none = {0};
    assert_string_equal(normalized(none, text), text);
    assert_string_equal(normalized((ade__normalizer){.clean_text = true}, text), "É 中İ");
    assert_string_equal(normalized((ade__normalizer){.handle_chinese_chars = true}, text), "É\u200b\t 中 İ");
    assert_string_equal(normalized((ade__normalizer){.strip_accents = true}, text), "E\u200b\t中I");
    assert_string_equal(normalized((ade__normalizer){.lowercase = true}, text), "é\u200b\t中i\u0307");
}

/* Words that share their first eight bytes, more of them than the word cache has slots. */
static void words_with_a_common_beginning(void **state) {
    (void)state;
    static const char      strings[] =
        "[PAD]\0[UNK]\0[CLS]\0[SEP]\0aaaaaaaa\0##a\0##b\0##c\0##d\0##e\0##f\0##g\0##h";
    ade_text               vocab[64];
    size_t                 n = small_vocab(vocab, strings, sizeof strings - 1);
    ade_tokenizer_config   config = plain_config(vocab, n, false);
    ade_tokenizer         *tokenizer;
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = 64};
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_OK);
    assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
    for (unsigned i = 0; i < 3u << 16; i++) { /* three times the same */
        char         word[] = "aaaaaaaa......";
        int32_t      expected[9] = {2, 4};
        ade_encoding e;
        for (unsigned j = 0; j < 6; j++) {
            unsigned letter = (i & 0xffff) >> 3 * j & 7;
            word[8 + j] = (char)('a' + letter);
            expected[2 + j] = 5 + (int32_t)letter;
        }
        expected[8] = 3;
        assert_int_equal(encode(tokenizer, scratch, word, 14, &options, &e), ADE_OK);
        assert_int_equal(e.n, 9);
        assert_memory_equal(e.ids, expected, sizeof expected);
    }
    ade__tokenizer_scratch_free(scratch);
    ade__tokenizer_free(tokenizer);
}

static void truncation(void **state) {
    (void)state;
    fixture f = small(false, NULL, 0);
    f.options.max_length = 3;
    assert_string_equal(show(&f, "a b ab"), "a(0,1)");
    assert_int_equal(shown_truncated, 1);
    f.options.max_length = 4;
    assert_string_equal(show(&f, "a b ab"), "a(0,1) b(2,3)");
    assert_int_equal(shown_truncated, 1);
    assert_string_equal(show(&f, "aba z"), "ab(0,2) ##a(2,3)"); /* inside a word, and only kept ids count */
    assert_int_equal(shown_truncated, 1);
    assert_int_equal(shown_unknown, 0);
    f.options.max_length = 5;
    assert_string_equal(show(&f, "a b ab"), "a(0,1) b(2,3) ab(4,6)");
    assert_int_equal(shown_truncated, 0);
    assert_string_equal(show(&f, "a b ab  "), "a(0,1) b(2,3) ab(4,6)");
    assert_int_equal(shown_truncated, 0);
    assert_string_equal(show(&f, "a b ab[SEP]"), "a(0,1) b(2,3) ab(4,6)");
    assert_int_equal(shown_truncated, 1);
    assert_string_equal(show(&f, "[SEP][SEP][SEP][SEP]"), "[SEP](0,5) [SEP](5,10) [SEP](10,15)");
    assert_int_equal(shown_truncated, 1);
    for (int32_t length = 0; length < 3; length++) {
        ade_encoding e;
        f.options.max_length = length;
        assert_int_equal(encode(f.tokenizer, f.scratch, "a", 1, &f.options, &e), ADE_INVALID_ARGUMENT);
    }
    done(&f);
}

static void invalid_utf8(void **state) {
    (void)state;
    /* n: maximal invalid subparts, as Python's errors="replace" counts them; bad: where the first one is */
    static const struct {
        const char *text;
        size_t      n, bad;
    } cases[] = {
        {"a\x80" "b", 1, 1},         {"a\xff" "b", 1, 1},         {"a\xc0\xaf" "b", 2, 1},
        {"a\xe0\x80\x80" "b", 3, 1},
        {"a\xed\xa0\x80" "b", 3, 1}, {"a\xf0\x90\x80" "b", 1, 1}, {"a\xf4\x90\x80\x80" "b", 4, 1},
        {"a\xf0\x80\x80\x80" "b", 4, 1},
        {"a\xf5" "b", 1, 1},         {"a\xe2\x82" "b", 1, 1},     {"a\xe2\x28" "b", 1, 1},     {"a b\xc3", 1, 3},
        {"ab\xf0\x9f\x98", 1, 2},    {"\xe4\xb8\xad\xe4\xb8", 1, 3},
    };
    fixture f = small(false, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ade_encoding e = {.n = 77};
        char         place[32];
        f.options.invalid_utf8 = ADE_INVALID_UTF8_ERROR;
        assert_int_equal(encode(f.tokenizer, f.scratch, cases[i].text, strlen(cases[i].text), &f.options, &e),
                         ADE_BAD_INPUT);
        assert_int_equal(e.n, 77);
        snprintf(place, sizeof place, "byte %zu ", cases[i].bad);
        assert_non_null(strstr(ade_last_error(), place));
        f.options.invalid_utf8 = ADE_INVALID_UTF8_REPLACE;
        (void)show(&f, cases[i].text);
        assert_int_equal(shown_replaced, cases[i].n);
    }
    assert_string_equal(show(&f, "a\xed\xa0\x80" "b"), "ab(0,5)");
    assert_string_equal(show(&f, "\xff" "a\xff b\xff"), "a(1,2) b(4,5)");
    assert_string_equal(show(&f, "a\xe2[SEP]\x82" "b"), "a(0,1) [SEP](2,7) b(8,9)");
    /* found even where truncation would not have looked */
    f.options.invalid_utf8 = ADE_INVALID_UTF8_ERROR;
    f.options.max_length = 3;
    ade_encoding e;
    assert_int_equal(encode(f.tokenizer, f.scratch, "a b a b \xff", 9, &f.options, &e), ADE_BAD_INPUT);
    done(&f);
}

static void every_cut_of_a_character(void **state) {
    (void)state;
    fixture     f = small(true, NULL, 0);
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\xa5\xb1 b";
    f.options.invalid_utf8 = ADE_INVALID_UTF8_REPLACE;
    for (size_t from = 0; from <= strlen(text); from++)
        for (size_t size = 0; from + size <= strlen(text); size++) (void)show_sized(&f, text + from, size);
    assert_string_equal(show(&f, "a"), "a(0,1)");
    done(&f);
}

static void added_tokens(void **state) {
    (void)state;
    static const ade_added_token added[] = {
        {.content = "Hello World", .content_size = 11, .normalized = true},
        {.content = "<ae>", .content_size = 4, .lstrip = true, .rstrip = true},
        {.content = "tok", .content_size = 3, .single_word = true},
        {.content = "[MASK]", .content_size = 6, .lstrip = true, .special = true},
        {.content = "", .content_size = 0},
        {.content = "tok", .content_size = 3, .single_word = true},
        {.content = "[X]", .content_size = 3, .special = true},
        {.content = "ok", .content_size = 2},
    };
    ade_text vocab[64];
    int32_t  n = (int32_t)small_vocab(vocab, SMALL, sizeof SMALL - 1);
    fixture  u = small(true, added, 8), c = small(false, added, 8);
    assert_int_equal(ade__tokenizer_size(u.tokenizer), n + 5); /* [MASK] is in the vocabulary, tok is there once */
    assert_string_equal(ade__tokenizer_token(u.tokenizer, n), "Hello World");
    assert_string_equal(ade__tokenizer_token(u.tokenizer, n + 3), "[X]");
    assert_null(ade__tokenizer_token(u.tokenizer, n + 5));
    assert_null(ade__tokenizer_token(u.tokenizer, -1));
    assert_string_equal(show(&u, "a HELLO WORLDab"), "a(0,1) Hello World(2,13) ab(13,15)");
    assert_string_equal(show(&c, "a HELLO World"), "a(0,1) [UNK](2,7) [UNK](8,13)");
    assert_string_equal(show(&c, "a Hello World"), "a(0,1) Hello World(2,13)");
    assert_string_equal(show(&u, "a he\xcc\x81llo\xc2\xa0world"), "a(0,1) Hello World(2,16)");
    assert_string_equal(show(&c, "a <ae> b"), "a(0,1) <ae>(1,7) b(7,8)");
    assert_string_equal(show(&c, "a\xe2\x80\x89<ae>\xc2\xa0\t<ae>"), "a(0,1) <ae>(1,11) <ae>(11,15)");
    assert_string_equal(show(&c, "a tok-tok atok tokb \xe4\xb8\xadtok"),
                        "a(0,1) tok(2,5) -(5,6) tok(6,9) [UNK](10,14) [UNK](15,19) \xe4\xb8\xad(20,23) [UNK](23,26)");
    assert_string_equal(show(&c, "ok atok"), "ok(0,2) [UNK](3,7)"); /* a refused match is passed over whole */
    assert_string_equal(show(&c, "a  [MASK] b"), "a(0,1) [MASK](1,9) b(10,11)");
    u.options.split_special_tokens = true;
    assert_string_equal(show(&u, "<ae>[X]"), "<ae>(0,4) [(4,5) [UNK](5,6) ](6,7)");
    done(&u);
    done(&c);

    ade_tokenizer_config config = plain_config(vocab, (size_t)n, true);
    ade_added_token      vanishes = {.content = "\xcc\x81", .content_size = 2, .normalized = true};
    ade_tokenizer       *tokenizer = NULL;
    config.added = &vanishes;
    config.n_added = 1;
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_UNSUPPORTED);
    assert_null(tokenizer);
    vanishes = (ade_added_token){.content = "\xff", .content_size = 1};
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_BAD_MODEL);
}

static void odd_vocabularies(void **state) {
    (void)state;
    static const char      strings[] = "[PAD]\0a\0[CLS]\0[SEP]\0a\0\0b\0##b\0##b";
    ade_text               vocab[64];
    size_t                 n = small_vocab(vocab, strings, sizeof strings - 1);
    ade_tokenizer_config   config = plain_config(vocab, n, false);
    ade_tokenizer         *tokenizer, *none = NULL;
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = 16};
    ade_encoding           e;
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_OK);
    assert_int_equal(ade__tokenizer_unk_id(tokenizer), -1);
    assert_int_equal(ade__tokenizer_pad_id(tokenizer), 0);
    assert_int_equal(ade__tokenizer_size(tokenizer), 9);
    assert_string_equal(ade__tokenizer_token(tokenizer, 5), "");
    assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
    assert_int_equal(encode(tokenizer, scratch, "a b abb", 7, &options, &e), ADE_OK);
    static const int32_t ids[] = {2, 4, 6, 4, 8, 8, 3}; /* of equal lines the later one */
    assert_int_equal(e.n, 7);
    assert_memory_equal(e.ids, ids, sizeof ids);
    assert_null(e.starts);
    assert_int_equal(encode(tokenizer, scratch, "a z", 3, &options, &e), ADE_BAD_MODEL);
    assert_int_equal(encode(tokenizer, scratch, "a .", 3, &options, &e), ADE_BAD_MODEL);
    assert_int_equal(encode(tokenizer, scratch, "a zzzzzzzzzzzzzzzzzzzzz", 23, &options, &e), ADE_BAD_MODEL);
    ade__tokenizer_scratch_free(scratch);
    ade__tokenizer_free(tokenizer);
    for (size_t i = 0; i < 4; i++) {
        if (i == 1) continue;
        ade_text kept = vocab[i];
        vocab[i] = (ade_text){"gone", 4};
        assert_int_equal(ade__tokenizer_new(&config, &none), ADE_BAD_MODEL);
        assert_non_null(strstr(ade_last_error(), kept.data));
        vocab[i] = kept;
    }
    vocab[1] = (ade_text){"\xc3", 1};
    assert_int_equal(ade__tokenizer_new(&config, &none), ADE_BAD_MODEL);
    vocab[1] = (ade_text){NULL, 0};
    config.n_vocab = 0;
    assert_int_equal(ade__tokenizer_new(&config, &none), ADE_BAD_MODEL);
    assert_null(none);
    ade__tokenizer_free(NULL);
    ade__tokenizer_scratch_free(NULL);
}

/* A scratch goes from tokenizer to tokenizer; what it remembers of one must not show in another. */
static void scratch_of_another_tokenizer(void **state) {
    (void)state;
    fixture c = small(false, NULL, 0), u = small(true, NULL, 0);
    assert_string_equal(show(&c, "A sep"), "A(0,1) sep(2,5)");
    ade_tokenizer_scratch *kept = u.scratch;
    u.scratch = c.scratch;
    assert_string_equal(show(&u, "A sep"), "a(0,1) sep(2,5)");
    assert_string_equal(show(&c, "A sep"), "A(0,1) sep(2,5)");
    u.scratch = kept;
    done(&c);
    done(&u);
}

static double seconds_for(fixture *f, const char *unit, size_t n, size_t *tokens) {
    size_t size = strlen(unit);
    char  *text = malloc(size * n);
    ade_encoding e;
    for (size_t i = 0; i < n; i++) memcpy(text + i * size, unit, size);
    clock_t begin = clock();
    assert_int_equal(encode(f->tokenizer, f->scratch, text, size * n, &f->options, &e), ADE_OK);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    free(text);
    *tokens = e.n - 2;
    return seconds;
}

static void very_long_texts(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        size_t      n, tokens;
    } cases[] = {
        {"a", 1000000, 1},          {" ", 1000000, 0},         {"\xcc\x81", 500000, 0},
        {"\xcc\xa3\xcc\x81\xcc\xb4", 170000, 0},
        {"[", 500000, 500000},      {"[SEP", 200000, 400000},  {"\xc3\xa9", 500000, 1},
        {"\xe4\xb8\xad", 300000, 300000},
        {"a \xc3\xa9", 200000, 400000}, {"[SEP]", 200000, 200000}, {"a\xe2\x80\x8b", 300000, 1},
        {"\xe0\xa3\x94\xcc\xa3", 200000, 1}, /* marks that stay, in canonical order */
    };
    fixture f = small(true, NULL, 0);
    f.options.max_length = INT32_MAX;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t tokens;
        double seconds = seconds_for(&f, cases[i].unit, cases[i].n, &tokens);
        assert_int_equal(tokens, cases[i].tokens);
        if (seconds > 8) fail_msg("%zu x \"%s\" took %.1f seconds", cases[i].n, cases[i].unit, seconds);
    }
    done(&f);
}

static void warm_encoding_allocates_nothing(void **state) {
    (void)state;
    fixture     f = small(true, NULL, 0);
    const char *text = "a b naive NAI\xcc\x88VE a\xcc\xa3\xcc\x81 abababababababababababab [SEP] \xe4\xb8\xad.";
    char        first[1024];
    snprintf(first, sizeof first, "%s", show(&f, text));
    uint64_t     before = ade__alloc_count();
    ade_encoding e;
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            ade__tokenizer_encode(f.tokenizer, f.scratch, (ade_text){text, strlen(text)}, &f.options, &e), ADE_OK);
    assert_int_equal(ade__alloc_count(), before);
    assert_string_equal(show(&f, text), first);
    done(&f);
}

static void failing_allocations(void **state) {
    (void)state;
    static const ade_added_token added[] = {{.content = "Hello World", .content_size = 11, .normalized = true},
                                            {.content = "<ae>", .content_size = 4}};
    ade_text             vocab[64];
    size_t               n = small_vocab(vocab, SMALL, sizeof SMALL - 1);
    const char          *text =
        "a b NAI\xcc\x88VE a\xcc\xa3\xcc\x81 abababababababababababab [SEP] \xe4\xb8\xad <ae> hello world";
    for (size_t n_added = 0; n_added <= 2; n_added += 2) {
        ade_tokenizer_config config = plain_config(vocab, n, true);
        bool                 succeeded = false;
        config.added = added;
        config.n_added = n_added;
        for (long fails = 0; !succeeded; fails++) {
            assert_true(fails < 1000);
            ade_tokenizer         *tokenizer = NULL;
            ade_tokenizer_scratch *scratch = NULL;
            ade_encoding           e;
            ade_encode_options     options = {.max_length = 64, .want_offsets = true};
            ade__alloc_fail_at(fails);
            ade_status status = ade__tokenizer_new(&config, &tokenizer);
            if (!status) status = ade__tokenizer_scratch_new(tokenizer, &scratch);
            if (!status)
                status = ade__tokenizer_encode(tokenizer, scratch, (ade_text){text, strlen(text)}, &options, &e);
            ade__alloc_fail_at(-1);
            succeeded = !status;
            if (status) assert_int_equal(status, ADE_OUT_OF_MEMORY);
            if (tokenizer && scratch) { /* what failed once works the next time */
                assert_int_equal(
                    ade__tokenizer_encode(tokenizer, scratch, (ade_text){text, strlen(text)}, &options, &e), ADE_OK);
                assert_true(e.n > 10);
            }
            ade__tokenizer_scratch_free(scratch);
            ade__tokenizer_free(tokenizer);
        }
    }
}

static void ids_of_bert_base_cased(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int32_t     c[40], u[40];
    } cases[] = {
        {"5±2 mg", {126, 28168, 1477, 17713}, {126, 28168, 1477, 17713}},
        {"≥5", {864, 1571}, {864, 1571}},
        {"10°C", {1275, 7259, 1658}, {1275, 7259, 1665}},
        {"kg−1", {4023, 25532, 1475}, {4023, 25532, 1475}},
        {"TNF-α", {157, 28047, 118, 418}, {189, 1179, 2087, 118, 418}},
        {"IL‐6", {15393, 779, 127}, {14596, 779, 127}},
        {"µg/ml", {216, 1403, 120, 182, 1233}, {216, 1403, 120, 182, 1233}},
        {"μg/ml", {429, 1403, 120, 182, 1233}, {429, 1403, 120, 182, 1233}},
        {"naïve", {9468, 28203, 2707}, {22607}},
        {"Sjögren", {156, 3361, 19593, 13421}, {188, 5077, 13421}},
        {"CO₂", {22140}, {1884, 7929}},
        {"drug®", {3850, 28167}, {3850, 28167}},
        {"∼10", {100}, {100}},
        {"patch™", {100}, {100}},
        {"⩽24", {100}, {100}},
        {"ϵ", {100}, {100}},
        {"\uac00", {100}, {100}},
        {"CONCLUSIONS: Intravenous azithromycin-induced ototoxicity.",
         {18732, 15517, 2162,  13329, 24805, 1708, 131, 1130,  4487, 7912, 2285, 170, 5303,
          1582,  16071, 1183,  16430, 118,   10645, 184, 2430, 2430, 8745, 9041, 119},
         {16421, 131,   1107,  4487, 7912,  2285,  170,  5303, 1582, 16071,
          1183,  16430, 118,   10645, 184, 2430,  2430, 8745, 9041, 119}},
    };
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        ade_tokenizer         *tokenizer = bert_tokenizer("cased", lowercase, NULL, 0);
        ade_tokenizer_scratch *scratch;
        ade_encode_options     options = {.max_length = 512};
        assert_int_equal(ade__tokenizer_size(tokenizer), 28996);
        assert_int_equal(ade__tokenizer_unk_id(tokenizer), 100);
        assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const int32_t *expected = lowercase ? cases[i].u : cases[i].c;
            ade_encoding   e;
            size_t         n = 0;
            assert_int_equal(encode(tokenizer, scratch, cases[i].text, strlen(cases[i].text), &options, &e), ADE_OK);
            while (n < 40 && expected[n]) n++;
            assert_int_equal(e.n, n + 2);
            assert_int_equal(e.ids[0], 101);
            assert_int_equal(e.ids[n + 1], 102);
            assert_memory_equal(e.ids + 1, expected, n * sizeof *expected);
        }
        ade__tokenizer_scratch_free(scratch);
        ade__tokenizer_free(tokenizer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_texts_and_spaces),
        cmocka_unit_test(specials_in_the_text),
        cmocka_unit_test(hundred_characters),
        cmocka_unit_test(accents_case_and_chinese),
        cmocka_unit_test(what_splits),
        cmocka_unit_test(each_step_alone),
        cmocka_unit_test(words_with_a_common_beginning),
        cmocka_unit_test(truncation),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(every_cut_of_a_character),
        cmocka_unit_test(added_tokens),
        cmocka_unit_test(odd_vocabularies),
        cmocka_unit_test(scratch_of_another_tokenizer),
        cmocka_unit_test(very_long_texts),
        cmocka_unit_test(warm_encoding_allocates_nothing),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(ids_of_bert_base_cased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
