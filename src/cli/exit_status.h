/* SPDX-License-Identifier: Apache-2.0
 * What the command returns to its caller, and the one status that stays inside. */
#ifndef CLI_EXIT_STATUS_H
#define CLI_EXIT_STATUS_H

enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_PARTIAL = 3,       /* done, but some inputs failed; each was named */
    CLI_INTERRUPTED = 130, /* Ctrl-C or SIGTERM */
    CLI_CLOSED = 256       /* the reader of our output went away: the run ends quietly, main() makes it CLI_OK */
};

#endif
