/* SPDX-License-Identifier: Apache-2.0
 * The pieces of a row: numbers read back as they were, strings stay valid whatever comes in. */
/* needs: src/cli/rows.c src/cli/utf8_check.c */
#include "rows.h"
#include "utf8_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(bytes *buffer) {
    put_raw(buffer, "", 1);
    buffer->size--;
    assert_false(buffer->failed);
    return buffer->data;
}

static void expect_double(double value, const char *text) {
    bytes out = {0};
    put_double(&out, value);
    assert_string_equal(text_of(&out), text);
    bytes_free(&out);
}

static void expect_float(float value, const char *text) {
    bytes out = {0};
    put_float(&out, value);
    assert_string_equal(text_of(&out), text);
    bytes_free(&out);
}

static void floats_are_written_short(void **state) {
    (void)state;
    expect_float(0.0f, "0.0");
    expect_float(-0.0f, "-0.0");
    expect_float(1.0f, "1.0");
    expect_float(-2.1f, "-2.1");
    expect_float(0.9871f, "0.9871");
    expect_float(0.1f, "0.1");
    expect_float(100.0f, "100.0");
    expect_float(1234567.0f, "1234567.0");
    expect_float(16777216.0f, "16777216.0");
    expect_float(0.0001f, "0.0001");
    expect_float(0.000012f, "0.000012");
    expect_float(0.00001f, "1e-05");
    expect_float(0.33333334f, "0.33333334");
    expect_float(9.9999994f, "9.999999");
    expect_float(1e-20f, "1e-20");
    expect_float(3.4028235e38f, "3.4028235e+38");
    expect_float(1e-45f, "1e-45");
}

/* Every reader gets the same float: one that reads floats, and one that reads doubles and rounds. */
static void floats_read_back(void **state) {
    uint32_t bits = 12345;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        bytes       out = {0};
        float       value;
        const char *text;
        bits = bits * 1664525u + 1013904223u;
        if (i % 2) { /* half of them as probabilities */
            value = (float)(bits >> 8) / 16777216.0f;
        } else {
            memcpy(&value, &bits, sizeof value);
            if (!isfinite(value)) continue;
        }
        put_float(&out, value);
        text = text_of(&out);
        assert_true(strtof(text, NULL) == value);
        assert_true((float)strtod(text, NULL) == value);
        assert_true(strlen(text) <= 16);
        bytes_free(&out);
    }
}

static void doubles_are_written_short(void **state) {
    (void)state;
    expect_double(0, "0.0");
    expect_double(1, "1.0");
    expect_double(0.1, "0.1");
    expect_double(1.0 / 3, "0.3333333333333333");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(1 - 1e-16, "0.9999999999999999");
    expect_double(1e-300, "1e-300");
    expect_double(NAN, "0.0");
}

static void integers(void **state) {
    bytes out = {0};
    (void)state;
    put_integer(&out, INT64_MIN);
    put_raw(&out, " ", 1);
    put_integer(&out, 0);
    put_raw(&out, " ", 1);
    put_unsigned(&out, UINT64_MAX);
    assert_string_equal(text_of(&out), "-9223372036854775808 0 18446744073709551615");
    bytes_free(&out);
}

/* All single bytes, and pairs of them, come back from a JSON reader; what is not UTF-8 comes back as U+FFFD. */
static void json_strings_read_back(void **state) {
    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            char         in[2] = {(char)first, (char)second};
            bytes        out = {0}, valid = {0};
            json_error_t error;
            json_t      *string;
            put_json_string(&out, in, sizeof in);
            string = json_loadb(out.data, out.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
            assert_non_null(string);
            put_valid_utf8(&valid, in, sizeof in);
            assert_int_equal(json_string_length(string), valid.size);
            assert_memory_equal(json_string_value(string), valid.data, valid.size);
            for (size_t i = 0; i < out.size; i++) assert_true((unsigned char)out.data[i] >= 0x20);
            json_decref(string);
            bytes_free(&out);
            bytes_free(&valid);
        }
    }
}

static void expect_field(row_format format, const char *in, size_t size, const char *text) {
    bytes out = {0};
    put_field(&out, format, in, size);
    assert_string_equal(text_of(&out), text);
    bytes_free(&out);
}

static void table_fields(void **state) {
    (void)state;
    expect_field(ROWS_TSV, "a\tb\nc\\d\re", 9, "a\\tb\\nc\\\\d\\re");
    expect_field(ROWS_TSV, "say \"x\", y", 10, "say \"x\", y");
    expect_field(ROWS_CSV, "say \"x\", y", 10, "\"say \"\"x\"\", y\"");
    expect_field(ROWS_CSV, "a\nb", 3, "\"a\nb\"");
    expect_field(ROWS_CSV, "a\tb\\", 4, "a\tb\\");
    expect_field(ROWS_CSV, "", 0, "");
    expect_field(ROWS_TSV, "caf\xe9!", 5, "caf\xef\xbf\xbd!");
}

static void invalid_parts_are_maximal(void **state) {
    static const struct {
        const char *in;
        size_t      size, replaced;
        const char *out;
    } cases[] = {
        {"\xe2\x82", 2, 1, "\xef\xbf\xbd"}, /* cut off: one part */
        {"\xe2\x82x", 3, 1, "\xef\xbf\xbdx"},
        {"\xc0\x80", 2, 2, "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong: each byte */
        {"\xed\xa0\x80", 3, 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {"\xf4\x90\x80\x80", 4, 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80", 4, 0, "\xf0\x9f\x98\x80"},
        {"\xf0\x9f\x98", 3, 1, "\xef\xbf\xbd"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bytes out = {0};
        assert_int_equal(put_valid_utf8(&out, cases[i].in, cases[i].size), cases[i].replaced);
        assert_string_equal(text_of(&out), cases[i].out);
        bytes_free(&out);
    }
    assert_int_equal(utf8_valid_prefix("abcdefgh\xff", 9), 8);
    assert_int_equal(utf8_valid_prefix("abcdefghijklmnop", 16), 16);
    assert_int_equal(utf8_count("a\xc3\xa9\xf0\x9f\x98\x80", 7), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_written_short),  cmocka_unit_test(floats_read_back),
        cmocka_unit_test(doubles_are_written_short), cmocka_unit_test(integers),
        cmocka_unit_test(json_strings_read_back),    cmocka_unit_test(table_fields),
        cmocka_unit_test(invalid_parts_are_maximal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
