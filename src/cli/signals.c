/* SPDX-License-Identifier: Apache-2.0
 * Ctrl-C and SIGTERM set a flag; nothing else happens in the handler. */
#include "signals.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

void signals_install(void) {
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* a second signal kills; and without SA_RESTART a blocked read() returns */
    /* A shell starts background jobs with SIGINT ignored: that choice stays. */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a closed pipe is seen as EPIPE where it is written */
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
}

int signals_interrupted(void) { return interrupted != 0; }
