/* SPDX-License-Identifier: Apache-2.0
 * Units of texts on every arm of scan.c against their definition, with texts that end where their memory ends; words in
 * the cache, and the trie, at the sizes where the code changes its way. */
#include "test_tokenizer.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Units ------------------------------------------------------------------------------------------------------- */

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)random_state * n >> 32);
}

static unsigned bits_of(const ade__scan_classes *classes, unsigned char byte) {
    return byte < 0x80 ? classes->bits[byte] : ADE_SCAN_STRETCH | ADE_SCAN_COMPLEX;
}

/* By definition, byte by byte. */
static void check_units(const ade__scan_classes *classes, const unsigned char *text, size_t size,
                        const ade__window *got) {
    size_t n = 0;
    bool   any_complex = false, any_first = false, any_other = false;
    for (size_t at = 0; at < size;) {
        unsigned bits = bits_of(classes, text[at]);
        size_t   start = at++;
        if (!(bits & (ADE_SCAN_STRETCH | ADE_SCAN_PUNCTUATION))) continue;
        if (bits & ADE_SCAN_STRETCH)
            while (at < size && bits_of(classes, text[at]) & ADE_SCAN_STRETCH) at++;
        assert_true(n < got->n_units);
        assert_int_equal(got->starts[n], start);
        assert_int_equal(got->ends[n], at);
        n++;
    }
    assert_int_equal(got->n_units, n);
    for (size_t at = 0; at < size; at++) {
        unsigned      bits = bits_of(classes, text[at]);
        unsigned char want = text[at];
        if (classes->lowercase && want >= 'A' && want <= 'Z') want = (unsigned char)(want + 32);
        assert_int_equal(got->bytes[at], want);
        assert_int_equal(ade__window_complex(got, at) & 1, bits & ADE_SCAN_COMPLEX ? 1 : 0);
        any_complex |= bits & ADE_SCAN_COMPLEX;
        any_other |= text[at] >= 0x80;
        any_first |= bits & ADE_SCAN_FIRST || (text[at] >= 0x80 && classes->other_first);
    }
    assert_int_equal(ade__window_complex(got, size), 0);
    assert_int_equal(got->any_complex, any_complex);
    assert_int_equal(got->any_other, any_other);
    assert_int_equal(got->any_first, any_first);
    assert_int_equal(got->open, size && bits_of(classes, text[size - 1]) & ADE_SCAN_STRETCH);
}

/* Pages, the last of which cannot be read. */
static unsigned char *guarded(size_t size) {
    size_t         page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    unsigned char *memory = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + whole, page, PROT_NONE), 0);
    return memory + whole;
}

static void random_text(unsigned char *text, size_t size, int kind) {
    static const char letters[] = "aZmq09", marks[] = ".,-[(", spaces[] = " \t\n";
    for (size_t i = 0; i < size; i++) {
        uint32_t choice = random_below(100);
        if (kind == 0)
            text[i] = (unsigned char)random_below(256);
        else if (kind == 1)
            text[i] = (unsigned char)(choice < 70   ? letters[random_below(6)]
                                      : choice < 88 ? spaces[random_below(3)]
                                                    : marks[random_below(5)]);
        else if (kind == 2)
            text[i] = (unsigned char)(choice < 96 ? letters[random_below(6)] : choice < 98 ? ' ' : 0xc3);
        else
            text[i] = (unsigned char)(choice < 97 ? marks[random_below(5)] : 0);
    }
}

static void units_on_every_arm(void **state) {
    (void)state;
    static const ade_isa isas[] = {ADE_ISA_BASELINE, ADE_ISA_SSE42, ADE_ISA_AVX2, ADE_ISA_AVX512};
    static const size_t  longer[] = {1000, 1023, 1024, 1025, 4031, 4032, 4033, 4095, 4096};
    unsigned char       *end = guarded(ADE_WINDOW);
    ade__window         *window = aligned_alloc(64, sizeof *window);
    assert_non_null(window);
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        ade__scan_classes classes;
        uint8_t           bits[128];
        for (int c = 0; c < 128; c++)
            bits[c] = c == ' ' || (c >= 9 && c <= 13) ? 0
                      : c < 32 || c == 127            ? ADE_SCAN_STRETCH | ADE_SCAN_COMPLEX
                      : isalnum(c)                    ? ADE_SCAN_STRETCH
                                                      : ADE_SCAN_PUNCTUATION;
        bits['['] |= ADE_SCAN_FIRST;
        ade__scan_classes_set(&classes, bits, lowercase, lowercase);
        for (size_t arm = 0; arm < sizeof isas / sizeof *isas; arm++) {
            const char   *name;
            ade_isa       best = ade__isa_best();
            ade__scan_fn *scan = ade__scan_choose(isas[arm] < best ? isas[arm] : best, &name);
            for (size_t i = 0; i <= 260 + sizeof longer / sizeof *longer; i++)
                for (int kind = 0; kind < 4; kind++) {
                    size_t size = i <= 260 ? i : longer[i - 261];
                    random_text(end - size, size, kind);
                    memset(window, 0xa5, sizeof *window); /* what the last text left */
                    scan(&classes, end - size, size, window);
                    check_units(&classes, end - size, size, window);
                }
            assert_true(name[0]);
        }
    }
    free(window);
}

/* Texts at the end of a page, through the whole tokenizer. */
static void texts_at_the_end_of_memory(void **state) {
    (void)state;
    static const char *const arms[] = {"baseline", "sse4.2", "avx2", "avx512"};
    static const char        sentence[] =
        "Rash, fever (5\xc2\xb1" "2 days) and azithromycin\xe2\x80\x93induced ototoxicity followed "
        "Immunohistochemically-proven \xce\xb1\xce\xb2\xce\xb3.";
    unsigned char *end = guarded(8192);
    int32_t        wanted[64];
    uint32_t       starts[64];
    for (size_t arm = 0; arm < sizeof arms / sizeof *arms; arm++) {
        setenv("ADESIEVE_MAX_ISA", arms[arm], 1);
        ade_tokenizer         *tokenizer = bert_tokenizer("cased", true, NULL, 0);
        ade_tokenizer_scratch *scratch;
        unsetenv("ADESIEVE_MAX_ISA");
        assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
        for (size_t size = 0; size < sizeof sentence; size++) {
            ade_encode_options options = {.max_length = 64, .invalid_utf8 = ADE_INVALID_UTF8_REPLACE};
            ade_encoding       e;
            size_t             n;
            memcpy(end - size, sentence, size);
            ade_text here = {(const char *)end - size, size}, elsewhere = {sentence, size};
            options.want_offsets = true;
            assert_int_equal(ade__tokenizer_encode(tokenizer, scratch, elsewhere, &options, &e), ADE_OK);
            assert_true((n = e.n) <= 64);
            memcpy(wanted, e.ids, n * sizeof *wanted);
            memcpy(starts, e.starts, n * sizeof *starts);
            for (int offsets = 0; offsets < 2; offsets++) {
                options.want_offsets = offsets;
                assert_int_equal(ade__tokenizer_encode(tokenizer, scratch, here, &options, &e), ADE_OK);
                assert_int_equal(e.n, n);
                assert_memory_equal(e.ids, wanted, n * sizeof *wanted);
                if (offsets) assert_memory_equal(e.starts, starts, n * sizeof *starts);
            }
        }
        ade__tokenizer_scratch_free(scratch);
        ade__tokenizer_free(tokenizer);
    }
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

/* Ids of 16 bits and of more: the same vocabulary twice, the second time behind 70,000 tokens that occur nowhere. Words
 * of up to 40 pieces, so that every kind of place in the cache is used, each seen three times. */
static void narrow_and_wide_ids(void **state) {
    (void)state;
    enum { SHIFT = 70000, N = 7 };
    static const char *const tokens[N] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "x", "##x", "##y"};
    ade_text                *vocab = calloc(SHIFT + N, sizeof *vocab);
    char                   (*names)[8] = calloc(SHIFT, sizeof *names);
    assert_true(vocab && names);
    for (int wide = 0; wide < 2; wide++) {
        size_t                 n = 0, base = wide ? SHIFT : 0;
        ade_tokenizer         *tokenizer;
        ade_tokenizer_scratch *scratch;
        ade_encode_options     options = {.max_length = 64, .want_offsets = true};
        for (; n < base; n++) {
            snprintf(names[n], sizeof names[n], "#%zu", n);
            vocab[n] = (ade_text){names[n], strlen(names[n])};
        }
        for (size_t i = 0; i < N; i++) vocab[n++] = (ade_text){tokens[i], strlen(tokens[i])};
        ade_tokenizer_config config = plain_config(vocab, n, false);
        assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_OK);
        assert_int_equal(tokenizer->wide, wide);
        assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
        for (size_t size = 1; size <= 40; size++)
            for (int time = 0; time < 6; time++) {
                char         word[48];
                ade_encoding e;
                options.want_offsets = time % 2;
                memset(word, 'x', size);
                if (size > 1) word[size - 1] = 'y';
                if (size == 39) word[20] = 'z'; /* unknown */
                assert_int_equal(encode(tokenizer, scratch, word, size, &options, &e), ADE_OK);
                assert_int_equal(e.n, size == 39 ? 3 : size + 2);
                assert_int_equal(e.unknown, size == 39);
                for (size_t i = 0; i < e.n - 2; i++) {
                    size_t id = size == 39 ? 1 : i == 0 ? 4 : i + 1 < size ? 5 : 6;
                    assert_int_equal(e.ids[i + 1], base + id);
                    if (!e.starts) continue;
                    assert_int_equal(e.starts[i + 1], i);
                    assert_int_equal(e.ends[i + 1], size == 39 ? 39 : i + 1);
                }
            }
        ade__tokenizer_scratch_free(scratch);
        ade__tokenizer_free(tokenizer);
    }
    free(names);
    free(vocab);
}

/* What a stretch beyond ASCII leaves in the cache: all of its words, or nothing. And marks in canonical order even
 * where no character changes. */
static void stretches_are_remembered_whole(void **state) {
    (void)state;
    static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "\xe2\x80\x93", "##\xe0\xa3\x94",
                                         "##\xe3\x80\xae"};
    enum { N = sizeof tokens / sizeof *tokens };
    ade_text               vocab[N];
    ade_tokenizer         *tokenizer;
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = 4};
    ade_encoding           e;
    for (size_t i = 0; i < N; i++) vocab[i] = (ade_text){tokens[i], strlen(tokens[i])};
    ade_tokenizer_config config = plain_config(vocab, N, true);
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_OK);
    assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
    for (int time = 0; time < 4; time++) {
        static const int32_t whole[] = {2, 4, 6, 5, 6, 4, 3}, ordered[] = {2, 4, 8, 7, 3};
        options.max_length = time % 2 ? 16 : 4;
        assert_int_equal(encode(tokenizer, scratch, "a\xe2\x80\x93" "b\xe2\x80\x93" "a", 9, &options, &e), ADE_OK);
        assert_int_equal(e.truncated, !(time % 2));
        assert_int_equal(e.n, time % 2 ? 7 : 4);
        assert_memory_equal(e.ids, whole, (e.n - 1) * sizeof *whole);
        options.max_length = 16;
        assert_int_equal(encode(tokenizer, scratch, "a\xe0\xa3\x94\xe3\x80\xae", 7, &options, &e), ADE_OK);
        assert_int_equal(e.n, 5);
        assert_memory_equal(e.ids, ordered, sizeof ordered);
    }
    ade__tokenizer_scratch_free(scratch);
    ade__tokenizer_free(tokenizer);
}

/* Behind a duplicate the reference gives a new added token the id of another entry. Offsets go by the entry. */
static void added_token_with_the_id_of_an_entry(void **state) {
    (void)state;
    static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "a", "##b"};
    enum { N = sizeof tokens / sizeof *tokens, LONG = 3000 };
    static char            content[LONG];
    ade_text               vocab[N];
    ade_added_token        added = {.content = memset(content, 'x', LONG), .content_size = LONG};
    ade_tokenizer         *tokenizer;
    ade_tokenizer_scratch *scratch;
    ade_encode_options     options = {.max_length = 16, .want_offsets = true};
    ade_encoding           e;
    for (size_t i = 0; i < N; i++) vocab[i] = (ade_text){tokens[i], strlen(tokens[i])};
    ade_tokenizer_config config = plain_config(vocab, N, true);
    config.added = &added;
    config.n_added = 1;
    assert_int_equal(ade__tokenizer_new(&config, &tokenizer), ADE_OK);
    assert_int_equal(ade__tokenizer_token(tokenizer, N - 1)[0], 'x');
    assert_int_equal(ade__tokenizer_scratch_new(tokenizer, &scratch), ADE_OK);
    for (int time = 0; time < 4; time++) {
        static const char *const texts[] = {"abbb", "\xc3\xa1" "bbb"};
        size_t                   more = time % 2; /* the accented letter has two bytes */
        assert_int_equal(encode(tokenizer, scratch, texts[more], 4 + more, &options, &e), ADE_OK);
        assert_int_equal(e.n, 6);
        for (size_t i = 1; i < 5; i++) {
            assert_int_equal(e.starts[i], i == 1 ? 0 : i - 1 + more);
            assert_int_equal(e.ends[i], i + more);
        }
    }
    ade__tokenizer_scratch_free(scratch);
    ade__tokenizer_free(tokenizer);
}

/* Strings of a few letters, so that nodes have many children and blocks fill up: what is in is found with its number,
 * what is not is not. */
static void trie_of_random_strings(void **state) {
    (void)state;
    enum { N = 20000, MOST = 6 };
    static unsigned char   data[N][MOST];
    static ade__trie_entry entries[N];
    ade__trie              trie;
    size_t                 unique, found = 0;
    for (size_t i = 0; i < N; i++) {
        size_t size = random_below(MOST + 1);
        for (size_t j = 0; j < size; j++)
            data[i][j] = (unsigned char)(random_below(4) ? 'a' + random_below(9) : random_below(245));
        entries[i] = (ade__trie_entry){data[i], size, i, (int32_t)i};
    }
    assert_int_equal(ade__trie_build(entries, N, &trie, &unique), ADE_OK);
    assert_in_range(unique, 2, N - 1);
    for (size_t i = 0; i < N; i++) { /* the entries are sorted now: of equal ones the last counts */
        bool last = i + 1 == N || entries[i].size != entries[i + 1].size ||
                    memcmp(entries[i].data, entries[i + 1].data, entries[i].size) != 0;
        int32_t id = ade__trie_find(&trie, entries[i].data, entries[i].size);
        if (!entries[i].size)
            assert_int_equal(id, -1);
        else if (last)
            assert_int_equal(id, entries[i].id);
        found += last;
    }
    assert_int_equal(found, unique);
    for (size_t i = 0; i < N; i++) {
        unsigned char other[MOST + 1];
        size_t        size = 1 + random_below(MOST);
        bool          is_in = false;
        for (size_t j = 0; j < size; j++) other[j] = (unsigned char)random_below(256);
        int32_t id = ade__trie_find(&trie, other, size);
        for (size_t k = 0; k < N && id >= 0 && !is_in; k++)
            is_in = entries[k].id == id && entries[k].size == size && memcmp(entries[k].data, other, size) == 0;
        assert_true(id < 0 || is_in);
    }
    ade__trie_clear(&trie);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_on_every_arm),
        cmocka_unit_test(texts_at_the_end_of_memory),
        cmocka_unit_test(narrow_and_wide_ids),
        cmocka_unit_test(stretches_are_remembered_whole),
        cmocka_unit_test(added_token_with_the_id_of_an_entry),
        cmocka_unit_test(trie_of_random_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
