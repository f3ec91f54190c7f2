/* SPDX-License-Identifier: Apache-2.0
 * What ADESIEVE_MAX_ISA may say, and that it takes instruction sets away. */
#include "isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void names_and_limits(void **state) {
    (void)state;
    static const char *const names[] = {"baseline", "sse4.2", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"};
    ade_isa                  limit;
    unsetenv("ADESIEVE_MAX_ISA");
    ade_isa best = ade__isa_best();
    assert_int_equal(ade__isa_limit(&limit), 1);
    assert_int_equal(limit, ADE_ISA_AMX);
    for (int i = 0; i < 7; i++) {
        setenv("ADESIEVE_MAX_ISA", names[i], 1);
        assert_int_equal(ade__isa_limit(&limit), 1);
        assert_int_equal(limit, i);
        assert_string_equal(ade__isa_name(limit), names[i]);
        assert_int_equal(ade__isa_best(), (int)best < i ? (int)best : i);
    }
    static const char *const wrong[] = {"AVX2", "avx", "avx512 ", "none", "7"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("ADESIEVE_MAX_ISA", wrong[i], 1);
        assert_int_equal(ade__isa_limit(&limit), 0);
        assert_int_equal(limit, ADE_ISA_AMX);
        assert_int_equal(ade__isa_best(), best);
    }
    setenv("ADESIEVE_MAX_ISA", "", 1);
    assert_int_equal(ade__isa_limit(&limit), 1);
    unsetenv("ADESIEVE_MAX_ISA");
    assert_string_equal(ade__isa_name((ade_isa)7), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
