/* SPDX-License-Identifier: Apache-2.0
 * One line on standard error that says how far the run is. */
#include "progress.h"

#include "messages.h"
#include "time_left.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    int       enabled, terminal, shown;
    double    start, last;
    time_left work, things;
} progress;

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void progress_start(int mode, int quiet) {
    memset(&progress, 0, sizeof progress);
    progress.terminal = isatty(STDERR_FILENO);
    progress.enabled = mode == PROGRESS_ALWAYS || (mode == PROGRESS_AUTO && progress.terminal && !quiet);
    progress.start = progress.last = seconds_now();
}

static void duration(char *text, size_t size, double seconds) {
    long whole = (long)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
}

void progress_update(uint64_t count, const char *unit, double fraction) {
    if (fraction > 1) fraction = 1;
    progress_update_work(count, unit, fraction < 0 ? (double)count : fraction, fraction < 0 ? -1 : 1 - fraction);
}

void progress_update_work(uint64_t count, const char *unit, double done, double left) {
    char   line[200], left_text[40] = "";
    double now, elapsed, rate, seconds, fraction = left < 0 ? -1 : done + left > 0 ? done / (done + left) : 1;
    int    size;
    if (!progress.enabled) return;
    now = seconds_now();
    time_left_add(&progress.work, now, done);
    time_left_add(&progress.things, now, (double)count);
    elapsed = now - progress.start;
    if (elapsed < 1.0 || now - progress.last < 1.0 / 6) return;
    progress.last = now;
    rate = time_left_rate(&progress.things, now, (double)count);
    if (rate < 0) rate = (double)count / elapsed;
    seconds = left < 0 ? -1 : time_left_seconds(&progress.work, now, done, left);
    if (messages_json()) {
        size = snprintf(line, sizeof line, "{\"level\":\"progress\",\"%s\":%llu,\"seconds\":%.1f", unit,
                        (unsigned long long)count, elapsed);
        if (fraction >= 0) size += snprintf(line + size, sizeof line - (size_t)size, ",\"fraction\":%.4f", fraction);
        if (seconds >= 0) size += snprintf(line + size, sizeof line - (size_t)size, ",\"seconds_left\":%.0f", seconds);
        size += snprintf(line + size, sizeof line - (size_t)size, "}\n");
        messages_write(line, (size_t)size);
        return;
    }
    if (seconds >= 0) duration(left_text, sizeof left_text, seconds);
    /* On a terminal the line is drawn over itself; in a file each one stands for itself. */
    size = snprintf(line, sizeof line, "%s", progress.terminal ? "\r\033[K" : "");
    if (fraction >= 0) size += snprintf(line + size, sizeof line - (size_t)size, "%5.1f %%  ", fraction * 100);
    size += snprintf(line + size, sizeof line - (size_t)size, "%llu %s  %.*f %s/s", (unsigned long long)count, unit,
                     rate < 10 ? 1 : 0, rate, unit);
    if (*left_text) size += snprintf(line + size, sizeof line - (size_t)size, "  %s left", left_text);
    if (!progress.terminal) size += snprintf(line + size, sizeof line - (size_t)size, "\n");
    messages_write(line, (size_t)size);
    progress.shown = progress.terminal;
}

void progress_hide(void) {
    if (!progress.shown) return;
    progress.shown = 0;
    messages_write("\r\033[K", 4);
}
