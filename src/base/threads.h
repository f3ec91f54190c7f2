/* SPDX-License-Identifier: Apache-2.0
 * A fixed set of worker threads that all run one function at a time, while the caller's thread waits and polls. */
#ifndef ADE_THREADS_H
#define ADE_THREADS_H

#include "adesieve.h"

#include <pthread.h>
#include <time.h>

/* Starts a thread that blocks all signals, so that the program's handlers run on its own threads. 0, or errno's value. */
int ade__thread_start(pthread_t *thread, void *(*fn)(void *), void *argument);

/* A condition whose timed waits run on a clock that a change of the system's time does not move, and such a time. */
void            ade__cond_init_steady(pthread_cond_t *condition);
struct timespec ade__steady_time_in(long milliseconds);

typedef struct ade_pool ade_pool;

/* Work of one thread: `worker` is its number, from 0. */
typedef void (*ade_pool_fn)(void *argument, int worker);
/* Called about every 40 ms on the waiting thread. */
typedef void (*ade_poll_fn)(void *argument);

/* Starts n >= 1 threads. */
ade_status ade__pool_new(int n, ade_pool **out);
void       ade__pool_free(ade_pool *pool); /* NULL is fine; not while a run is in progress */
int        ade__pool_size(const ade_pool *pool);

/* 1 in a child process that was forked after the pool was made: the threads stayed in the parent, so a run would never
 * end. ade__pool_free is fine there. */
int ade__pool_forked(const ade_pool *pool);

/* Runs fn(argument, w) once on every worker w and returns when all are done. One run at a time. */
void ade__pool_run(ade_pool *pool, ade_pool_fn fn, void *argument, ade_poll_fn poll, void *poll_argument);

/* Processors that this process may run on; at least 1. */
int ade__cpu_count(void);

/* Seconds on a clock that never goes back. */
double ade__seconds(void);

#endif
