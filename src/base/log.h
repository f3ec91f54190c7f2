/* SPDX-License-Identifier: Apache-2.0
 * Messages to the caller's log callback; nothing is printed anywhere else. */
#ifndef ADE_LOG_H
#define ADE_LOG_H

#include "adesieve.h"

typedef struct ade_log {
    ade_log_fn fn; /* NULL = nobody listens */
    void      *user;
} ade_log;

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void ade__log(const ade_log *log, ade_log_level level, const char *format, ...);

#endif
