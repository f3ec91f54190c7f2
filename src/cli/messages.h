/* SPDX-License-Identifier: Apache-2.0
 * What the command says on standard error: "adesieve classify: error: ...". One write a message; colours only on a
 * terminal and without NO_COLOR; with --log-json one JSON object a message. */
#ifndef CLI_MESSAGES_H
#define CLI_MESSAGES_H

#include "adesieve.h"

typedef enum say_level {
    SAY_ERROR,   /* always said */
    SAY_WARNING, /* this and all below: not with --quiet */
    SAY_HINT,    /* what to do about the message before it */
    SAY_NOTE,    /* plain lines, such as a summary */
    SAY_DETAIL   /* what the library notes; with --log-json only */
} say_level;

void messages_command(const char *command); /* NULL before it is known; kept */
void messages_settings(int quiet, int log_json);
int  messages_json(void);
int  messages_quiet(void);

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void say(say_level level, const char *format, ...);

/* The same with one more member for --log-json: `value`, which is JSON, under `name`. NULL = none. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
void say_with(say_level level, const char *name, const char *value, const char *format, ...);

/* An ade_log_fn. */
void say_library(void *user, ade_log_level level, const char *message);

/* A JSON object or a line that is already complete, such as progress. */
void messages_write(const char *data, size_t size);

#endif
