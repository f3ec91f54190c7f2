/* SPDX-License-Identifier: Apache-2.0
 * Tests of src/cli/time_left.c: what is shown as the time left is right, or nothing is. */
/* needs: src/cli/time_left.c */
#include "time_left.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

typedef double (*rate_fn)(double t); /* units a second at time t */

static double steady(double t) {
    (void)t;
    return 100;
}
static double slower(double t) { return t < 200 ? 100 : 20; }
static double in_bursts(double t) { return fmod(t, 10) < 5 ? 200 : 0; } /* as files of half a minute's work give */

/* A run of `end` seconds, asked every tenth of one: the worst factor by which what is said between `from` and `to`
 * misses the truth; *said is the share of moments at which something is said. */
static double worst(rate_fn rate, double end, double *said, double from, double to) {
    time_left known = {0};
    double    total = 0, done = 0, worst_factor = 1, asked = 0, answered = 0;
    for (double t = 0; t < end; t += 0.1) total += rate(t) * 0.1;
    for (double t = 0; t < end; t += 0.1, done += rate(t) * 0.1) {
        double seconds, truth = end - t, factor;
        time_left_add(&known, t, done);
        if (t < from || t >= to) continue;
        seconds = time_left_seconds(&known, t, done, total - done);
        asked++;
        if (seconds < 0) continue;
        answered++;
        factor = seconds > truth ? seconds / truth : truth / fmax(seconds, 0.01);
        if (factor > worst_factor) worst_factor = factor;
    }
    *said = answered / asked;
    return worst_factor;
}

static void steady_work_is_told(void **state) {
    double said, factor = worst(steady, 600, &said, 6, 590);
    (void)state;
    assert_true(said == 1);
    assert_true(factor < 1.05);
}

static void nothing_at_first(void **state) {
    double said;
    (void)state;
    worst(steady, 600, &said, 0, 4.9);
    assert_true(said == 0);
}

static void work_in_bursts_is_not_far_off(void **state) {
    double said, factor = worst(in_bursts, 600, &said, 60, 500);
    (void)state;
    assert_true(said > 0.6);
    assert_true(factor < 1.25);
}

static void nothing_after_a_change(void **state) {
    double said;
    (void)state;
    worst(slower, 1000, &said, 215, 225); /* the window is half old, half new */
    assert_true(said == 0);
    assert_true(worst(slower, 1000, &said, 270, 900) < 1.1);
    assert_true(said == 1);
}

static void nothing_while_nothing_moves(void **state) {
    time_left known = {0};
    (void)state;
    for (double t = 0; t < 300; t += 1) time_left_add(&known, t, t < 100 ? 100 * t : 10000);
    assert_true(time_left_seconds(&known, 300, 10000, 5000) < 0);
    assert_true(time_left_rate(&known, 300, 10000) == 0);
}

static void the_last_is_not_nothing(void **state) {
    time_left known = {0};
    (void)state;
    for (double t = 0; t < 20; t += 1) time_left_add(&known, t, 100 * t);
    assert_true(time_left_seconds(&known, 20, 2000, 0) == 0);
    assert_true(fabs(time_left_rate(&known, 20, 2000) - 100) < 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_work_is_told),           cmocka_unit_test(nothing_at_first),
        cmocka_unit_test(work_in_bursts_is_not_far_off), cmocka_unit_test(nothing_after_a_change),
        cmocka_unit_test(nothing_while_nothing_moves),   cmocka_unit_test(the_last_is_not_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
