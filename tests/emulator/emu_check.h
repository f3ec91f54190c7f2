/* SPDX-License-Identifier: Apache-2.0
 * What the emulator's own tests share: a check that is counted and says where it failed. The counters `checks` and
 * `failures` are the test's, since some count from several threads. */
#ifndef EMU_CHECK_H
#define EMU_CHECK_H

#include <stdio.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (!(condition)) {                                                                                            \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                    \
        }                                                                                                              \
    } while (0)

#endif
