/* SPDX-License-Identifier: Apache-2.0
 * Ctrl-C and SIGTERM set a flag that every loop and every progress callback reads. A later second one kills. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

void signals_install(void);
int  signals_interrupted(void); /* 1 once a signal has come */

/* Waits until fd can be read or a signal comes, however late before the wait it comes; 1 once one has come. */
int signals_wait_readable(int fd);

#endif
