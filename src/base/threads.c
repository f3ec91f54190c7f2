/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getaffinity, pthread_condattr_setclock */
#include "threads.h"

#include "alloc.h"
#include "status.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MILLISECONDS 40

typedef struct worker {
    ade_pool *pool;
    int       number;
    pthread_t thread;
} worker;

struct ade_pool {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t  start, done;
    ade_pool_fn     fn;
    void           *argument;
    uint64_t        round;   /* which run the workers should have begun */
    int             running; /* workers that have not finished this round */
    int             quit;
    int             n;
    pid_t           owner; /* the process that has the threads */
    worker          workers[];
};

int ade__thread_start(pthread_t *thread, void *(*fn)(void *), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, fn, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void ade__cond_init_steady(pthread_cond_t *condition) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec ade__steady_time_in(long milliseconds) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += milliseconds % 1000 * 1000000;
    time.tv_sec += milliseconds / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void *work(void *argument) {
    worker   *self = argument;
    ade_pool *pool = self->pool;
    uint64_t  seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->quit && pool->round == seen) pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->quit) break;
        seen = pool->round;
        ade_pool_fn fn = pool->fn;
        void       *fn_argument = pool->argument;
        pthread_mutex_unlock(&pool->lock);
        fn(fn_argument, self->number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->running == 0) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void stop(ade_pool *pool, int started) {
    pthread_mutex_lock(&pool->lock);
    pool->quit = 1;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->start);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    ade__free(pool);
}

/* A thread for each processor that the process may use: each gets its own. The scheduler sometimes puts two of them on
 * one processor while another program has the other for itself, and threads that share a batch then wait for each other
 * most of the time. With fewer threads than processors it chooses better than we could: other processes may be at work,
 * and would all take the first ones. */
static void pin(ade_pool *pool) {
    cpu_set_t all, one;
    int       cpu = -1;
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) != pool->n) return;
    for (int i = 0; i < pool->n; i++) {
        do cpu++;
        while (!CPU_ISSET(cpu, &all));
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)pthread_setaffinity_np(pool->workers[i].thread, sizeof one, &one); /* a wish: it works without, too */
    }
}

ade_status ade__pool_new(int n, ade_pool **out) {
    ade_pool *pool;
    int       error = 0, started = 0;

    pool = ade__calloc(1, sizeof *pool + (size_t)n * sizeof pool->workers[0]);
    if (!pool) return ADE_OUT_OF_MEMORY;
    pool->n = n;
    pool->owner = getpid();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    ade__cond_init_steady(&pool->done);
    while (started < n && !error) {
        pool->workers[started].pool = pool;
        pool->workers[started].number = started;
        error = ade__thread_start(&pool->workers[started].thread, work, &pool->workers[started]);
        if (!error) started++;
    }
    if (error) {
        stop(pool, started);
        return ade__fail(ADE_OUT_OF_MEMORY, "thread %d of %d could not be started: %s; ask for fewer threads", started + 1,
                         n, strerror(error));
    }
    if (n > 1) pin(pool);
    *out = pool;
    return ADE_OK;
}

void ade__pool_free(ade_pool *pool) {
    if (!pool) return;
    if (ade__pool_forked(pool)) ade__free(pool); /* nobody to join; destroying what "they" wait for would hang */
    else stop(pool, pool->n);
}

int ade__pool_forked(const ade_pool *pool) { return pool->owner != getpid(); }

int ade__pool_size(const ade_pool *pool) { return pool->n; }

void ade__pool_run(ade_pool *pool, ade_pool_fn fn, void *argument, ade_poll_fn poll, void *poll_argument) {
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->argument = argument;
    pool->running = pool->n;
    pool->round++;
    pthread_cond_broadcast(&pool->start);
    while (pool->running > 0) {
        if (!poll) {
            pthread_cond_wait(&pool->done, &pool->lock);
            continue;
        }
        const struct timespec until = ade__steady_time_in(POLL_MILLISECONDS);
        if (pthread_cond_timedwait(&pool->done, &pool->lock, &until) == ETIMEDOUT && pool->running > 0) {
            pthread_mutex_unlock(&pool->lock); /* no callback under a lock */
            poll(poll_argument);
            pthread_mutex_lock(&pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

int ade__cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 65536 ? (int)n : 1;
}

double ade__seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
