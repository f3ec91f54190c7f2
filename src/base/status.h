/* SPDX-License-Identifier: Apache-2.0
 * How every function of adesieve reports a failure: a status, and one sentence kept for the calling thread. */
#ifndef ADE_STATUS_H
#define ADE_STATUS_H

#include "adesieve.h"

#include <stdarg.h>

/* Stores the formatted sentence as this thread's last error and returns `status`. Texts longer than the buffer (2 KiB)
 * are cut. Bytes that are not printable ASCII or UTF-8 continuation/lead bytes are written as '?', so that a hostile
 * file name or tensor name cannot drive a terminal. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
ade_status ade__fail(ade_status status, const char *format, ...);

/* The same sentence with `prefix` and ": " put before it; keeps the status. For a caller that knows the file's name. */
ade_status ade__fail_prefix(ade_status status, const char *prefix);

/* Forgets the last error; the door (api.c) calls it on entry. */
void ade__clear_error(void);

/* Moves an error from a worker thread to the thread that waits for it: copy on the worker, adopt on the waiter. */
void        ade__copy_error(char *buffer, size_t capacity);
ade_status  ade__adopt_error(ade_status status, const char *text);

#define ADE_TRY(call)                               \
    do {                                            \
        ade_status ade__try_status = (call);        \
        if (ade__try_status != ADE_OK) return ade__try_status; \
    } while (0)

/* The same for functions with a clean-up label and a variable named `status`. */
#define ADE_TRY_GOTO(call, label)       \
    do {                                \
        status = (call);                \
        if (status != ADE_OK) goto label; \
    } while (0)

#endif
