/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void ade__log(const ade_log *log, ade_log_level level, const char *format, ...) {
    char    text[1024];
    va_list arguments;
    if (!log || !log->fn) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log->fn(log->user, level, text);
}
