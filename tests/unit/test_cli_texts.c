/* SPDX-License-Identifier: Apache-2.0
 * Texts in: formats, line ends, quotes, escapes, gzip, and what is said about files that are not what they should be.
 */
/* needs: src/cli/texts.c src/cli/input.c src/cli/signals.c src/cli/rows.c src/cli/utf8_check.c */
#include "texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/test_cli_texts.XXXXXX";
static char path[128];

static const char *write_bytes(const char *name, const void *data, size_t size) {
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static texts_problem problem;
static text_window   window;

/* Reads all of `name`, at most `step` texts a window; joins the texts with '|' into a static buffer. */
static const char *read_all(const char *file, texts_options options, size_t step, texts_result expected) {
    static char  joined[4096];
    size_t       at = 0;
    texts_result result;
    texts       *in = texts_open(file, &options, 0, &problem);
    joined[0] = '\0';
    if (!in) {
        assert_int_equal(expected, TEXTS_ERROR);
        return "";
    }
    do {
        result = texts_fill(in, &window, step, 1 << 20, &problem);
        text_window_finish(&window);
        for (size_t i = 0; i < window.count; i++) {
            memcpy(joined + at, window.texts[i].data ? window.texts[i].data : "", window.texts[i].size);
            at += window.texts[i].size;
            joined[at++] = '|';
        }
        text_window_clear(&window);
    } while (result == TEXTS_FULL);
    if (result != expected) fail_msg("result %d: %s", result, problem.error);
    joined[at] = '\0';
    texts_close(in);
    return joined;
}

#define EXPECT_TEXTS(format_, data, joined_)                                                                           \
    do {                                                                                                               \
        texts_options o_ = {format_, "text", NULL, 0, 0};                                                              \
        for (size_t step_ = 1; step_ < 5; step_++)                                                                     \
            assert_string_equal(read_all(write_bytes("f", data, sizeof data - 1), o_, step_, TEXTS_END), joined_);     \
    } while (0)

/* The labels behind the texts: "text=label|". */
static const char *read_labelled(texts_format format, int replace, const char *data, size_t size,
                                 texts_result expected) {
    static char   joined[4096];
    texts_options options = {format, "text", "label", replace, 0};
    const char   *file = write_bytes("f", data, size);
    char          steps[5][4096];
    for (size_t step = 1; step < 5; step++) { /* windows of so many texts */
        texts_result result;
        size_t       at = 0;
        texts       *in = texts_open(file, &options, 0, &problem);
        if (!in) {
            assert_int_equal(expected, TEXTS_ERROR);
            return "";
        }
        do {
            result = texts_fill(in, &window, step, 1 << 20, &problem);
            text_window_finish(&window);
            for (size_t i = 0; i < window.count; i++)
                at +=
                    (size_t)snprintf(steps[step] + at, sizeof steps[step] - at, "%.*s=%.*s|", (int)window.texts[i].size,
                                     window.texts[i].data, (int)window.labels[i].size, window.labels[i].data);
            text_window_clear(&window);
        } while (result == TEXTS_FULL);
        if (result != expected) fail_msg("result %d: %s", result, problem.error);
        steps[step][at] = '\0';
        if (step > 1) assert_string_equal(steps[step], steps[1]);
        texts_close(in);
    }
    strcpy(joined, steps[1]);
    return joined;
}

#define EXPECT_LABELS(format_, data, joined_)                                                                          \
    assert_string_equal(read_labelled(format_, 0, data, sizeof data - 1, TEXTS_END), joined_)

#define EXPECT_NO_LABELS(format_, data, before, error_, hint_)                                                         \
    do {                                                                                                               \
        assert_string_equal(read_labelled(format_, 0, data, sizeof data - 1, TEXTS_ERROR), before);                    \
        if (!strstr(problem.error, error_) || !strstr(problem.hint, hint_))                                            \
            fail_msg("%s (%s)", problem.error, problem.hint);                                                          \
    } while (0)

#define EXPECT_PROBLEM(format_, data, before, error_)                                                                  \
    do {                                                                                                               \
        texts_options o_ = {format_, "text", NULL, 0, 0};                                                              \
        assert_string_equal(read_all(write_bytes("f", data, sizeof data - 1), o_, 100, TEXTS_ERROR), before);          \
        if (!strstr(problem.error, error_)) fail_msg("%s", problem.error);                                             \
    } while (0)

static void lines(void **state) {
    (void)state;
    EXPECT_TEXTS(TEXTS_LINES, "", "");
    EXPECT_TEXTS(TEXTS_LINES, "\n", "|");
    EXPECT_TEXTS(TEXTS_LINES, "a", "a|");
    EXPECT_TEXTS(TEXTS_LINES, "a\nb\n", "a|b|");
    EXPECT_TEXTS(TEXTS_LINES, "a\r\n\r\nb\r", "a||b|");
    EXPECT_TEXTS(TEXTS_LINES, "a\rb\n", "a\rb|"); /* a carriage return inside a line is a character */
    EXPECT_TEXTS(TEXTS_LINES,
                 "\xef\xbb\xbf"
                 "a\n\xef\xbb\xbf"
                 "b",
                 "a|\xef\xbb\xbf"
                 "b|");
    EXPECT_TEXTS(TEXTS_LINES, "\xef\xbb\xbf", "");
    EXPECT_TEXTS(TEXTS_LINES, "\"a\",\\t\n", "\"a\",\\t|");
}

static void nul_bytes_are_characters(void **state) {
    texts_options options = {TEXTS_LINES, "text", NULL, 0, 0};
    texts        *in = texts_open(write_bytes("f", "a\0b\nc", 5), &options, 7, &problem);
    (void)state;
    assert_int_equal(texts_fill(in, &window, 10, 100, &problem), TEXTS_END);
    text_window_finish(&window);
    assert_int_equal(window.count, 2);
    assert_int_equal(window.texts[0].size, 3);
    assert_memory_equal(window.texts[0].data, "a\0b", 3);
    assert_int_equal(window.places[1].line, 2);
    assert_int_equal(window.places[1].input, 7);
    text_window_clear(&window);
    texts_close(in);
}

static void csv(void **state) {
    (void)state;
    EXPECT_TEXTS(TEXTS_CSV, "text\na\n\nb\n", "a||b|"); /* one column: a blank line is an empty text */
    EXPECT_TEXTS(TEXTS_CSV, "id,text\r\n1,a\r\n\r\n2,\"b,c\"\r\n", "a|b,c|");
    EXPECT_TEXTS(TEXTS_CSV, "text,id\n\"two\nlines\",1\n\"say \"\"x\"\"\",2\n\"\",3\n\"\"\"\",4",
                 "two\nlines|say \"x\"||\"|");
    EXPECT_TEXTS(TEXTS_CSV, "\"text\",\"a b\"\n x ,\n", " x |");
    EXPECT_TEXTS(TEXTS_CSV, "\xef\xbb\xbftext,id\na \"quoted\" word,1\n", "a \"quoted\" word|");
    EXPECT_TEXTS(TEXTS_CSV, "text\n", "");
    EXPECT_TEXTS(TEXTS_CSV, "text,id\n\"a\r\nb\",1\r\n", "a\r\nb|");
    EXPECT_PROBLEM(TEXTS_CSV, "", "", "no header line");
    EXPECT_PROBLEM(TEXTS_CSV, "id,sentence\n1,a\n", "", "there is no column 'text'; the columns are: id, sentence.");
    EXPECT_PROBLEM(TEXTS_CSV, "text,text\n1,a\n", "", "line 1: the column 'text' is there 2 times");
    EXPECT_PROBLEM(TEXTS_CSV, "text,id\na,1\n\"b\nb\",2\nc\n", "a|b\nb|",
                   "line 5: has 1 field, but the header line has 2");
    EXPECT_PROBLEM(TEXTS_CSV, "text,id\nx,1\n\"a\nb,2\n", "x|", "line 3: a record begins whose opening quote");
    EXPECT_PROBLEM(TEXTS_CSV, "text,id\n\"a\n\"b,2\n", "", "line 3, byte 2: a closing quote");
    EXPECT_PROBLEM(TEXTS_CSV, "id,text\n1,\"a\nb\xff\"\n", "", "line 3, byte 2: is not UTF-8 (0xff)");
}

static void tsv(void **state) {
    (void)state;
    EXPECT_TEXTS(TEXTS_TSV, "id\ttext\n1\ta\\tb\\nc\\\\d\\re\\x\\\n2\t\"q\"\n", "a\tb\nc\\d\re\\x\\|\"q\"|");
    EXPECT_TEXTS(TEXTS_TSV, "text\r\na,b\r\n", "a,b|");
    EXPECT_PROBLEM(TEXTS_TSV, "text\tid\na\tb\tc\n", "", "line 2: has 3 fields, but the header line has 2");
    EXPECT_PROBLEM(TEXTS_TSV, "a\tb\n", "", "the columns are: a, b.");
    EXPECT_PROBLEM(TEXTS_TSV, "id\ttext\n1\tx\xe9y\n", "", "line 2, byte 4: is not UTF-8 (0xe9)");
}

static void jsonl(void **state) {
    (void)state;
    EXPECT_TEXTS(TEXTS_JSONL, "{\"text\":\"a\\n\\u00e9\",\"id\":1}\n\n  \r\n{\"id\":2,\"text\":\"\"}", "a\n\xc3\xa9||");
    EXPECT_PROBLEM(TEXTS_JSONL, "{\"text\":\"a\"}\n{\"text\":\"b\"\n", "a|", "line 2, byte ");
    EXPECT_PROBLEM(TEXTS_JSONL, "{\"id\":1,\"body\":\"x\"}\n", "",
                   "line 1: there is no field 'text'; the fields are: id, body.");
    EXPECT_PROBLEM(TEXTS_JSONL, "{\"text\":null}\n", "", "line 1: the field 'text' is not a string");
    EXPECT_PROBLEM(TEXTS_JSONL, "[\"text\"]\n", "", "line 1: is JSON, but not an object");
    EXPECT_PROBLEM(TEXTS_JSONL, "{\"text\":\"a\",\"text\":\"b\"}\n", "", "line 1, byte ");
    EXPECT_PROBLEM(TEXTS_JSONL, "{\"text\":\"\xff\"}\n", "", "line 1, byte 10: is not UTF-8 (0xff)");
}

static void invalid_utf8(void **state) {
    texts_options options = {TEXTS_LINES, "text", NULL, 1, 0};
    (void)state;
    EXPECT_PROBLEM(TEXTS_LINES, "good\nb\xe2\x82 d\n", "good|", "line 2, byte 2: is not UTF-8 (0xe2)");
    assert_non_null(strstr(problem.hint, "--invalid-utf8 replace"));
    EXPECT_PROBLEM(TEXTS_LINES,
                   "\xff\xfe"
                   "a\0\n\0",
                   "", "is UTF-16");
    assert_string_equal(read_all(write_bytes("f", "b\xe2\x82 d\n", 6), options, 9, TEXTS_END), "b\xef\xbf\xbd d|");
    options.format = TEXTS_JSONL;
    assert_string_equal(read_all(write_bytes("f", "{\"text\":\"\xff\"}", 12), options, 9, TEXTS_END), "\xef\xbf\xbd|");
    options.format = TEXTS_CSV;
    assert_string_equal(read_all(write_bytes("f", "text\n\"\xff\"\"\"\n", 11), options, 9, TEXTS_END),
                        "\xef\xbf\xbd\"|");
}

static void long_texts_are_refused(void **state) {
    static const struct {
        texts_format format;
        const char  *data;
    } cases[] = {{TEXTS_LINES, "short\n123456789012345678901\nx\n"},
                 {TEXTS_CSV, "text\nshort\n\"1234567890\n1234567890\"\nx\n"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        texts_options options = {cases[i].format, "text", NULL, 0, 20};
        assert_string_equal(read_all(write_bytes("f", cases[i].data, strlen(cases[i].data)), options, 9, TEXTS_ERROR),
                            "short|");
        assert_non_null(strstr(problem.error, "is longer than 20 bytes"));
    }
    /* A line that never ends stops the reading soon after the limit. */
    {
        texts_options options = {TEXTS_LINES, "text", NULL, 0, 1 << 20};
        size_t        size = 8 << 20;
        char         *data = malloc(size);
        memset(data, 'x', size);
        assert_string_equal(read_all(write_bytes("f", data, size), options, 9, TEXTS_ERROR), "");
        assert_non_null(strstr(problem.error, "line 1: is longer than 1048576 bytes"));
        free(data);
    }
}

/* Longer than any buffer, so that records lie across reads; the result must not depend on it. */
static void long_records(void **state) {
    texts_options options = {TEXTS_CSV, "text", NULL, 0, 0};
    size_t        size = 3 << 20, at = 0;
    char         *data = malloc(size + 64);
    texts        *in;
    (void)state;
    at += (size_t)sprintf(data, "id,text\n1,\"");
    for (size_t i = 0; i < size; i++) data[at++] = i % 100 == 99 ? '\n' : 'x';
    at += (size_t)sprintf(data + at, "\"\n2,b\n");
    in = texts_open(write_bytes("f", data, at), &options, 0, &problem);
    assert_int_equal(texts_fill(in, &window, 1, 1 << 20, &problem), TEXTS_FULL);
    text_window_finish(&window);
    assert_int_equal(window.texts[0].size, size);
    text_window_clear(&window);
    assert_int_equal(texts_fill(in, &window, 2, 1 << 20, &problem), TEXTS_END);
    assert_int_equal(window.count, 1);
    assert_int_equal(window.places[0].line, 2 + size / 100 + 1);
    text_window_clear(&window);
    texts_close(in);
    free(data);
}

/* ---- gzip ---- */

static size_t deflate_member(const char *text, unsigned char *out, size_t capacity) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)strlen(text);
    stream.next_out = out;
    stream.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    capacity = stream.total_out;
    deflateEnd(&stream);
    return capacity;
}

static void gzip_members(void **state) {
    unsigned char data[1000];
    texts_options options = {TEXTS_LINES, "text", NULL, 0, 0};
    size_t        first = deflate_member("a\nb", data, sizeof data), size;
    (void)state;
    size = first + deflate_member("b\n", data + first, sizeof data - first);
    assert_string_equal(read_all(write_bytes("x.txt.gz", data, size), options, 1, TEXTS_END), "a|bb|");
    assert_string_equal(read_all(write_bytes("no-name", data, size), options, 1, TEXTS_END), "a|bb|");
    memset(data + size, 0, 100);
    assert_string_equal(read_all(write_bytes("x.gz", data, size + 100), options, 1, TEXTS_END), "a|bb|");
    /* Cut at every byte: an error, except where a member ends. */
    for (size_t cut = 1; cut < size; cut++) {
        int whole = cut == first;
        read_all(write_bytes("x.gz", data, cut), options, 9, whole ? TEXTS_END : TEXTS_ERROR);
        if (!whole && cut > 1 && cut != first + 1) assert_non_null(strstr(problem.error, "ends in the middle"));
    }
    data[size] = 'x';
    read_all(write_bytes("x.gz", data, size + 1), options, 9, TEXTS_ERROR);
    assert_non_null(strstr(problem.error, "not gzip behind"));
    data[first / 2] ^= 0xff;
    read_all(write_bytes("x.gz", data, size), options, 9, TEXTS_ERROR);
    assert_non_null(strstr(problem.error, "is damaged"));
    read_all(write_bytes("x.gz", "plain\n", 6), options, 9, TEXTS_ERROR);
    assert_non_null(strstr(problem.error, "is not gzip data"));
    assert_string_equal(read_all(write_bytes("x.gz", "", 0), options, 9, TEXTS_ERROR), "");
}

static void files_that_cannot_be_opened(void **state) {
    texts_options options = {TEXTS_LINES, "text", NULL, 0, 0};
    (void)state;
    assert_null(texts_open("/nonexistent/file", &options, 0, &problem));
    assert_non_null(strstr(problem.error, "No such file"));
    assert_null(texts_open(folder, &options, 0, &problem));
    assert_non_null(strstr(problem.error, "is a folder"));
}

static void names_tell_formats(void **state) {
    (void)state;
    assert_int_equal(texts_format_of_name("a.txt"), TEXTS_LINES);
    assert_int_equal(texts_format_of_name("a.CSV.gz"), TEXTS_CSV);
    assert_int_equal(texts_format_of_name("x/a.b.tsv"), TEXTS_TSV);
    assert_int_equal(texts_format_of_name("a.jsonl.gz"), TEXTS_JSONL);
    assert_int_equal(texts_format_of_name("-"), TEXTS_LINES);
    assert_int_equal(texts_format_of_name("csv"), TEXTS_LINES);
}

/* A pipe whose writer pauses: the texts that are there come at once, the rest when it is written. */
static void a_slow_pipe_does_not_hold_texts_back(void **state) {
    texts_options options = {TEXTS_LINES, "text", NULL, 0, 0};
    texts        *in;
    int           writer;
    (void)state;
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    writer = open(path, O_RDWR);
    assert_true(writer >= 0);
    assert_int_equal(write(writer, "a\nb\nhalf", 8), 8);
    in = texts_open(path, &options, 0, &problem);
    assert_int_equal(texts_fill(in, &window, 100, 1000, &problem), TEXTS_WAITING);
    assert_int_equal(window.count, 2);
    text_window_clear(&window);
    assert_int_equal(write(writer, " done\n", 6), 6);
    assert_int_equal(texts_fill(in, &window, 1, 1000, &problem), TEXTS_FULL);
    text_window_finish(&window);
    assert_int_equal(window.texts[0].size, 9);
    text_window_clear(&window);
    close(writer);
    assert_int_equal(texts_fill(in, &window, 1, 1000, &problem), TEXTS_END);
    texts_close(in);
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    static const char *const names[] = {"f", "pipe", "x.gz", "x.txt.gz", "no-name"};
    (void)state;
    text_window_free(&window);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void labels(void **state) {
    (void)state;
    EXPECT_LABELS(TEXTS_CSV, "label,id,text\r\nADE,7,\"a, \"\"b\"\"\"\r\n\"not ADE\",8,c\n,9,\n",
                  "a, \"b\"=ADE|c=not ADE|=|");
    EXPECT_LABELS(TEXTS_CSV, "text,label\n", "");
    EXPECT_LABELS(TEXTS_CSV, "text,label\na,\"two\nlines\"\nb,1\n", "a=two\nlines|b=1|");
    EXPECT_LABELS(TEXTS_TSV, "text\tlabel\na\\tb\tc\\td\n", "a\tb=c\td|");
    EXPECT_LABELS(TEXTS_JSONL,
                  "{\"text\":\"a\",\"label\":\"ADE\"}\n{\"label\":1,\"text\":\"b\"}\n\n"
                  "{\"label\":-1,\"text\":\"c\"}\n{\"label\":1.5,\"text\":\"d\"}\n",
                  "a=ADE|b=1|c=-1|d=1.5|");
    EXPECT_LABELS(TEXTS_JSONL,
                  "{\"text\":\"a\",\"label\":1.0}\n{\"text\":\"b\",\"label\":0.0}\n"
                  "{\"text\":\"c\",\"label\":1e1}\n{\"text\":\"d\",\"label\":\"1.0\"}\n",
                  "a=1|b=0|c=10|d=1.0|"); /* a string stays what it is */
    assert_string_equal(read_labelled(TEXTS_CSV, 1, "text,label\na\xff,b\xfe\n", 17, TEXTS_END),
                        "a\xef\xbf\xbd=b\xef\xbf\xbd|");
    EXPECT_NO_LABELS(TEXTS_CSV, "text,class\na,1\n", "",
                     "line 1: there is no column 'label'; the columns are: text, class.", "--label-field");
    EXPECT_NO_LABELS(TEXTS_CSV, "label,class\na,1\n", "", "there is no column 'text'", "--text-field");
    EXPECT_NO_LABELS(TEXTS_CSV, "text,label,label\na,1,1\n", "", "the column 'label' is there 2 times",
                     "--label-field");
    EXPECT_NO_LABELS(TEXTS_CSV, "text,label\na,1\nb\n", "a=1|", "line 3: has 1 field", "quotes");
    EXPECT_NO_LABELS(TEXTS_CSV, "text,label\na,1\nb,\xff\n", "a=1|", "line 3, byte 3: is not UTF-8 (0xff)", "iconv");
    EXPECT_NO_LABELS(TEXTS_CSV, "", "", "is empty: it has no header line", "first line");
    EXPECT_NO_LABELS(TEXTS_JSONL, "{\"text\":\"a\"}\n", "", "line 1: there is no field 'label'; the fields are: text.",
                     "--label-field");
    EXPECT_NO_LABELS(TEXTS_JSONL, "{\"text\":\"a\",\"label\":true}\n", "",
                     "the field 'label' is neither a string nor a number", "its number, such as 0 or 1");
    EXPECT_NO_LABELS(TEXTS_JSONL, "{\"text\":\"a\",\"label\":null}\n", "",
                     "the field 'label' is neither a string nor a number", "leave texts out");
    EXPECT_NO_LABELS(TEXTS_JSONL, "{\"text\":\"a\",\"label\":[1]}\n", "",
                     "the field 'label' is neither a string nor a number", "each text has one label");
    EXPECT_NO_LABELS(TEXTS_LINES, "a\n", "", "is read as one text a line, which has no labels", "--input-format");
    EXPECT_NO_LABELS(TEXTS_PROBABLY_LINES, "a\n", "", "is read as one text a line, which has no labels", "CSV");
}

/* A window is full of long labels as it is of long texts. */
static void labels_count_in_a_window(void **state) {
    enum { ROWS = 20, SIZE = 100 << 10, MOST = 1 << 20 };
    texts_options options = {TEXTS_TSV, "text", "label", 0, 0};
    size_t        at = 0, texts_read = 0;
    char         *data = malloc(ROWS * (SIZE + 3) + 64);
    texts_result  result;
    texts        *in;
    (void)state;
    at += (size_t)sprintf(data, "text\tlabel\n");
    for (int i = 0; i < ROWS; i++) {
        memcpy(data + at, "a\t", 2);
        memset(data + at + 2, 'x', SIZE);
        data[at + 2 + SIZE] = '\n';
        at += SIZE + 3;
    }
    in = texts_open(write_bytes("f", data, at), &options, 0, &problem);
    do {
        result = texts_fill(in, &window, 1000, MOST, &problem);
        assert_true(window.data.size + window.label_data.size < MOST + SIZE + 1);
        texts_read += window.count;
        text_window_clear(&window);
    } while (result == TEXTS_FULL);
    assert_int_equal(result, TEXTS_END);
    assert_int_equal(texts_read, ROWS);
    texts_close(in);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(nul_bytes_are_characters),
        cmocka_unit_test(csv),
        cmocka_unit_test(tsv),
        cmocka_unit_test(jsonl),
        cmocka_unit_test(labels),
        cmocka_unit_test(labels_count_in_a_window),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(long_records),
        cmocka_unit_test(gzip_members),
        cmocka_unit_test(files_that_cannot_be_opened),
        cmocka_unit_test(names_tell_formats),
        cmocka_unit_test(a_slow_pipe_does_not_hold_texts_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
