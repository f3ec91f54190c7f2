/* SPDX-License-Identifier: Apache-2.0
 * What the command says on standard error. */
#include "messages.h"

#include "progress.h"
#include "rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *command_name;
static int         quiet_, log_json_;

static const struct {
    const char *name, *colour;
} levels[] = {{"error", "\033[1;31m"}, {"warning", "\033[1;35m"}, {"hint", "\033[1;36m"}, {"note", ""}, {"detail", ""}};

void messages_command(const char *command) { command_name = command; }

void messages_settings(int quiet, int log_json) {
    quiet_ = quiet;
    log_json_ = log_json;
}

int messages_json(void) { return log_json_; }
int messages_quiet(void) { return quiet_; }

static int coloured(void) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

void messages_write(const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* nobody listens, and there is nobody to tell */
        data += n;
        size -= (size_t)n;
    }
}

static void put_time(bytes *line) {
    struct timespec now;
    struct tm       utc;
    char            text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    put_literal(line, text);
    snprintf(text, sizeof text, ".%03dZ", (int)(now.tv_nsec / 1000000));
    put_literal(line, text);
}

static void say_line(say_level level, const char *name, const char *value, const char *format, va_list arguments) {
    char    small[1024], *text = small;
    bytes   line = {0};
    va_list again;
    int     size;

    if (quiet_ && level != SAY_ERROR) return;
    if (!log_json_ && level == SAY_DETAIL) return;
    va_copy(again, arguments);
    size = vsnprintf(small, sizeof small, format, arguments);
    if (size >= 0 && (size_t)size >= sizeof small && (text = malloc((size_t)size + 1)) != NULL)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    if (size < 0) return;
    if (!text) text = small; /* out of memory: the first kilobyte has to do */

    if (log_json_) {
        put_literal(&line, "{\"time\":\"");
        put_time(&line);
        put_literal(&line, "\",\"level\":");
        put_json_text(&line, levels[level].name);
        put_literal(&line, ",\"command\":");
        put_json_text(&line, command_name);
        put_literal(&line, ",\"message\":");
        put_json_text(&line, text);
        if (name && value) {
            put_literal(&line, ",");
            put_json_text(&line, name);
            put_literal(&line, ":");
            put_literal(&line, value);
        }
        put_literal(&line, "}\n");
    } else {
        /* A hostile file name must not drive the terminal. */
        for (char *c = text; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f || /* and U+0080 to U+009F, of which terminals know some */
                ((unsigned char)*c == 0xc2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0))
                *c = '?';
        if (level != SAY_NOTE) {
            int colour = coloured();
            put_literal(&line, command_name ? "adesieve " : "adesieve");
            if (command_name) put_literal(&line, command_name);
            put_literal(&line, ": ");
            if (colour) put_literal(&line, levels[level].colour);
            put_literal(&line, levels[level].name);
            put_literal(&line, ":");
            if (colour) put_literal(&line, "\033[0m");
            put_literal(&line, " ");
        }
        put_valid_utf8(&line, text, strlen(text));
        if (level <= SAY_WARNING && *text && !strchr(".!?", text[strlen(text) - 1])) put_literal(&line, ".");
        put_literal(&line, "\n"); /* the library's sentences come without their full stop */
    }
    progress_hide();
    messages_write(line.data, line.size);
    bytes_free(&line);
    if (text != small) free(text);
}

void say(say_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_line(level, NULL, NULL, format, arguments);
    va_end(arguments);
}

void say_with(say_level level, const char *name, const char *value, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_line(level, name, value, format, arguments);
    va_end(arguments);
}

void say_library(void *user, ade_log_level level, const char *message) {
    (void)user;
    say(level >= ADE_LOG_WARNING ? SAY_WARNING : SAY_DETAIL, "%s", message);
}
