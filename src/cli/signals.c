/* SPDX-License-Identifier: Apache-2.0
 * Ctrl-C and SIGTERM set a flag; a later one kills. */
#define _GNU_SOURCE /* ppoll */
#include "signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t interrupted;
static struct timespec       first; /* used by the handler alone, which is not interrupted by itself */

static void on_signal(int number) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!interrupted) {
        first = now;
        interrupted = 1;
        return;
    }
    /* One wish may come as two signals: timeout(1) and some shells send it to the process and to its group. */
    if ((double)(now.tv_sec - first.tv_sec) + (double)(now.tv_nsec - first.tv_nsec) * 1e-9 < 0.5) return;
    signal(number, SIG_DFL);
    raise(number); /* is blocked here, and kills on return */
}

void signals_install(void) {
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    action.sa_handler = on_signal; /* without SA_RESTART, so that a blocked read() returns */
    /* A shell starts background jobs with SIGINT ignored: that choice stays. */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a closed pipe is seen as EPIPE where it is written */
    sigaction(SIGPIPE, &action, NULL);
}

int signals_interrupted(void) { return interrupted != 0; }

int signals_wait_readable(int fd) {
    struct pollfd wait = {fd, POLLIN, 0};
    sigset_t      ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    /* Between the look at the flag and the wait no signal may slip through: they are let in by ppoll() alone. */
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    if (!interrupted) ppoll(&wait, 1, NULL, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return signals_interrupted();
}
