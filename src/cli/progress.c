/* SPDX-License-Identifier: Apache-2.0
 * One line on standard error that says how far the run is. */
#include "progress.h"

#include "messages.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    int    enabled, terminal, shown;
    double start, last;
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
    char   line[200], left[40] = "";
    double now, elapsed, rate;
    int    size;
    if (!progress.enabled) return;
    now = seconds_now();
    elapsed = now - progress.start;
    if (elapsed < 1.0 || now - progress.last < 1.0 / 6) return;
    progress.last = now;
    if (fraction > 1) fraction = 1;
    rate = (double)count / elapsed;
    if (messages_json()) {
        size = snprintf(line, sizeof line, "{\"level\":\"progress\",\"%s\":%llu,\"seconds\":%.1f", unit,
                        (unsigned long long)count, elapsed);
        if (fraction >= 0) size += snprintf(line + size, sizeof line - (size_t)size, ",\"fraction\":%.4f", fraction);
        size += snprintf(line + size, sizeof line - (size_t)size, "}\n");
        messages_write(line, (size_t)size);
        return;
    }
    if (fraction > 0.001) duration(left, sizeof left, elapsed / fraction - elapsed);
    /* On a terminal the line is drawn over itself; in a file each one stands for itself. */
    size = snprintf(line, sizeof line, "%s", progress.terminal ? "\r\033[K" : "");
    if (fraction >= 0) size += snprintf(line + size, sizeof line - (size_t)size, "%5.1f %%  ", fraction * 100);
    size += snprintf(line + size, sizeof line - (size_t)size, "%llu %s  %.*f %s/s", (unsigned long long)count, unit,
                     rate < 10 ? 1 : 0, rate, unit);
    if (*left) size += snprintf(line + size, sizeof line - (size_t)size, "  %s left", left);
    if (!progress.terminal) size += snprintf(line + size, sizeof line - (size_t)size, "\n");
    messages_write(line, (size_t)size);
    progress.shown = progress.terminal;
}

void progress_hide(void) {
    if (!progress.shown) return;
    progress.shown = 0;
    messages_write("\r\033[K", 4);
}
