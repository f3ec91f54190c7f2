/* SPDX-License-Identifier: Apache-2.0
 * AUROC and average precision of any number of scores, exactly and in bounded memory. */
#include "score_curve.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_CAPACITY = 65536, MOST_RUNS = 128, READ_ENTRIES = 512 };

typedef struct entry {
    float    score;
    uint32_t unused; /* 0, so that no byte that is written is undefined */
    uint64_t positives, negatives;
} entry;

/* A sorted run in the file, and while runs are merged, the part of it that has been read. */
typedef struct run {
    off_t    at;   /* of what is not yet read */
    uint64_t left; /* entries there */
    entry   *read; /* (READ_ENTRIES) */
    size_t   have, used;
} run;

struct score_curve {
    entry   *entries; /* (capacity) */
    size_t   count, capacity;
    int      fd; /* -1: none yet */
    off_t    end;
    run      runs[MOST_RUNS];
    size_t   n_runs;
    uint64_t positives, negatives; /* added */
    uint64_t spilled;
};

const char *score_curve_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

score_curve *score_curve_new(size_t capacity) {
    score_curve *curve = calloc(1, sizeof *curve);
    if (!curve) return NULL;
    curve->fd = -1;
    curve->capacity = capacity >= 2 ? capacity : DEFAULT_CAPACITY;
    curve->entries = malloc(curve->capacity * sizeof *curve->entries);
    if (curve->entries) return curve;
    free(curve);
    return NULL;
}

static void free_buffers(score_curve *curve) {
    for (size_t i = 0; i < curve->n_runs; i++) {
        free(curve->runs[i].read);
        curve->runs[i].read = NULL;
    }
}

void score_curve_free(score_curve *curve) {
    if (!curve) return;
    if (curve->fd >= 0) close(curve->fd);
    free_buffers(curve);
    free(curve->entries);
    free(curve);
}

uint64_t score_curve_spilled(const score_curve *curve) { return curve->spilled; }

/* The highest score first. */
static int compare(const void *a, const void *b) {
    float x = ((const entry *)a)->score, y = ((const entry *)b)->score;
    return (x < y) - (x > y);
}

static void collapse(score_curve *curve) {
    size_t kept = 0;
    qsort(curve->entries, curve->count, sizeof *curve->entries, compare);
    for (size_t i = 0; i < curve->count; i++) {
        const entry *one = &curve->entries[i];
        if (kept > 0 && curve->entries[kept - 1].score == one->score) {
            curve->entries[kept - 1].positives += one->positives;
            curve->entries[kept - 1].negatives += one->negatives;
        } else {
            curve->entries[kept++] = *one;
        }
    }
    curve->count = kept;
}

/* ---- The file ---- */

static int write_all(int fd, const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return SCORE_CURVE_FAILED;
        at += n;
        size -= (size_t)n;
    }
    return SCORE_CURVE_OK;
}

/* A file without a name, so that nothing is left of it however the program ends. */
static int open_temporary(void) {
    const char *folder = score_curve_folder();
    size_t      size = strlen(folder) + 32;
    char       *name = malloc(size);
    int         fd, error;
    if (!name) {
        errno = ENOMEM;
        return -1;
    }
    snprintf(name, size, "%s/.adesieve-XXXXXX", folder);
    fd = mkstemp(name);
    error = errno;
    if (fd >= 0) unlink(name);
    free(name);
    errno = error;
    return fd;
}

static int read_part(int fd, run *from) {
    size_t want = from->left < READ_ENTRIES ? (size_t)from->left : READ_ENTRIES, size = want * sizeof(entry), have = 0;
    while (have < size) {
        ssize_t n = pread(fd, (char *)from->read + have, size - have, from->at + (off_t)have);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* somebody has shortened a file that has no name */
        if (n <= 0) return SCORE_CURVE_FAILED;
        have += (size_t)n;
    }
    from->at += (off_t)size;
    from->left -= want;
    from->have = want;
    from->used = 0;
    return SCORE_CURVE_OK;
}

/* Takes each entry of the merged runs, the highest score first; equal scores of different runs come together. */
typedef int (*merge_fn)(void *user, const entry *one);

static const entry *head(const run *of) { return &of->read[of->used]; }

/* `heap` holds numbers of runs that are not empty, the one with the highest score first. */
static void sink(const score_curve *curve, size_t *heap, size_t size, size_t at) {
    for (;;) {
        size_t best = at, moved;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < size; child++)
            if (head(&curve->runs[heap[child]])->score > head(&curve->runs[heap[best]])->score) best = child;
        if (best == at) return;
        moved = heap[at];
        heap[at] = heap[best];
        heap[best] = moved;
        at = best;
    }
}

static int merge(score_curve *curve, merge_fn take, void *user) {
    size_t heap[MOST_RUNS], size = 0;
    entry  pending = {0, 0, 0, 0};
    int    waiting = 0, status = SCORE_CURVE_OK;
    for (size_t i = 0; i < curve->n_runs && status == SCORE_CURVE_OK; i++) {
        curve->runs[i].read = malloc(READ_ENTRIES * sizeof(entry));
        if (!curve->runs[i].read) {
            errno = ENOMEM;
            status = SCORE_CURVE_FAILED;
        } else {
            status = read_part(curve->fd, &curve->runs[i]); /* no run is empty */
            heap[size++] = i;
        }
    }
    for (size_t i = size / 2; i-- > 0 && status == SCORE_CURVE_OK;) sink(curve, heap, size, i);
    while (size > 0 && status == SCORE_CURVE_OK) {
        run         *from = &curve->runs[heap[0]];
        const entry *one = head(from);
        if (waiting && pending.score == one->score) {
            pending.positives += one->positives;
            pending.negatives += one->negatives;
        } else {
            if (waiting) status = take(user, &pending);
            pending = *one;
            waiting = 1;
        }
        if (++from->used == from->have) {
            if (from->left == 0)
                heap[0] = heap[--size];
            else if (status == SCORE_CURVE_OK)
                status = read_part(curve->fd, from);
        }
        if (status == SCORE_CURVE_OK) sink(curve, heap, size, 0);
    }
    if (waiting && status == SCORE_CURVE_OK) status = take(user, &pending);
    free_buffers(curve);
    return status;
}

typedef struct rewriter {
    entry    buffer[READ_ENTRIES];
    size_t   count;
    uint64_t written;
    int      fd;
} rewriter;

static int rewrite_flush(rewriter *to) {
    int status = write_all(to->fd, to->buffer, to->count * sizeof(entry));
    to->written += to->count;
    to->count = 0;
    return status;
}

static int rewrite(void *user, const entry *one) {
    rewriter *to = user;
    to->buffer[to->count++] = *one;
    return to->count == READ_ENTRIES ? rewrite_flush(to) : SCORE_CURVE_OK;
}

/* Merges all runs into one, in a new file. */
static int merge_runs(score_curve *curve) {
    rewriter *to = calloc(1, sizeof *to);
    int       status = SCORE_CURVE_FAILED;
    if (!to) {
        errno = ENOMEM;
        return status;
    }
    to->fd = open_temporary();
    if (to->fd >= 0) status = merge(curve, rewrite, to);
    if (status == SCORE_CURVE_OK) status = rewrite_flush(to);
    if (status == SCORE_CURVE_OK) {
        close(curve->fd);
        curve->fd = to->fd;
        curve->end = (off_t)(to->written * sizeof(entry));
        curve->n_runs = 1;
        curve->runs[0] = (run){0, to->written, NULL, 0, 0};
    } else if (to->fd >= 0) {
        int error = errno;
        close(to->fd);
        errno = error;
    }
    free(to);
    return status;
}

static int spill(score_curve *curve) {
    if (curve->n_runs == MOST_RUNS && merge_runs(curve) != SCORE_CURVE_OK) return SCORE_CURVE_FAILED;
    if (curve->fd < 0) curve->fd = open_temporary();
    if (curve->fd < 0 || write_all(curve->fd, curve->entries, curve->count * sizeof(entry)) != SCORE_CURVE_OK)
        return SCORE_CURVE_FAILED;
    curve->runs[curve->n_runs++] = (run){curve->end, curve->count, NULL, 0, 0};
    curve->end += (off_t)(curve->count * sizeof(entry));
    curve->count = 0;
    curve->spilled++;
    return SCORE_CURVE_OK;
}

int score_curve_add(score_curve *curve, float score, int positive) {
    entry *one;
    if (curve->count == curve->capacity) {
        collapse(curve);
        /* Where few scores are equal, collapsing again and again would be all that is done. */
        if (curve->count > curve->capacity / 2 && spill(curve) != SCORE_CURVE_OK) return SCORE_CURVE_FAILED;
    }
    one = &curve->entries[curve->count++];
    *one = (entry){score == 0 ? 0 : score, 0, positive != 0, positive == 0}; /* -0 is 0 */
    curve->positives += one->positives;
    curve->negatives += one->negatives;
    return SCORE_CURVE_OK;
}

/* ---- The measures ---- */

/* What is known when all scores above the one at hand have been seen. */
typedef struct walk {
    uint64_t positives, negatives; /* of all */
    uint64_t positives_above, negatives_above;
    uint64_t twice_wins;       /* pairs with the positive text above, twice, and ties */
    double   squares_positive; /* of the share of negative texts that each positive one beats, summed up */
    double   squares_negative; /* of the share of positive texts that beat each negative one */
    double   precision_steps;  /* sum of precision x positives at a score */
} walk;

static int step(void *user, const entry *one) {
    walk    *all = user;
    uint64_t found = all->positives_above + one->positives, taken = found + all->negatives_above + one->negatives;
    double   beaten =
        ((double)(all->negatives - all->negatives_above) - (double)one->negatives / 2) / (double)all->negatives;
    double beating = ((double)all->positives_above + (double)one->positives / 2) / (double)all->positives;
    all->twice_wins += one->negatives * (2 * all->positives_above + one->positives);
    all->squares_positive += (double)one->positives * beaten * beaten;
    all->squares_negative += (double)one->negatives * beating * beating;
    all->precision_steps += (double)one->positives * ((double)found / (double)taken);
    all->positives_above = found;
    all->negatives_above += one->negatives;
    return SCORE_CURVE_OK;
}

/* E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837: the variance of AUROC comes from those of the two
 * shares. On the scale of log-odds the interval stays between 0 and 1. */
static void auroc_interval(const walk *all, curve_measures *out) {
    double p = (double)all->positives, n = (double)all->negatives, a = out->auroc;
    double variance, spread, middle;
    if (all->positives < 2 || all->negatives < 2 || a <= 0 || a >= 1) return;
    variance = (all->squares_positive / p - a * a) / (p - 1) + (all->squares_negative / n - a * a) / (n - 1);
    if (!(variance > 0)) return; /* all scores are equal, say: nothing is known of it */
    spread = 1.95996398454005424 * sqrt(variance) / (a * (1 - a));
    middle = log(a / (1 - a));
    out->auroc_low = 1 / (1 + exp(spread - middle));
    out->auroc_high = 1 / (1 + exp(-spread - middle));
}

int score_curve_finish(score_curve *curve, curve_measures *out) {
    walk all = {curve->positives, curve->negatives, 0, 0, 0, 0, 0, 0};
    int  status = SCORE_CURVE_OK;
    *out = (curve_measures){curve->positives, curve->negatives, NAN, NAN, NAN, NAN};
    if (all.positives == 0 || all.negatives == 0) return status;
    collapse(curve);
    if (curve->n_runs > 0 && curve->count > 0) status = spill(curve);
    if (status == SCORE_CURVE_OK && curve->n_runs > 0) status = merge(curve, step, &all);
    for (size_t i = 0; i < curve->count && curve->n_runs == 0; i++) step(&all, &curve->entries[i]);
    if (status != SCORE_CURVE_OK) return status;
    out->auroc = (double)all.twice_wins / 2 / ((double)all.positives * (double)all.negatives);
    out->average_precision = all.precision_steps / (double)all.positives;
    auroc_interval(&all, out);
    return status;
}
