/* SPDX-License-Identifier: Apache-2.0
 * Documents in the order of their scores. */
#include "export_sort.h"

#include "exit_status.h"
#include "messages.h"
#include "signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_SIZE = 1 << 20 };

typedef struct export_place place;

static int before(const place *a, const place *b) {
    if (a->score != b->score) return a->score > b->score;
    return a->pmid < b->pmid;
}

static int compare(const void *a, const void *b) { return before(a, b) ? -1 : before(b, a); }

static int fail(export_sort *sort, const char *what) {
    say(SAY_ERROR, "%s: the temporary file for '--sort score' %s: %s.", sort->folder ? sort->folder : "?", what,
        strerror(errno));
    say(SAY_HINT, "make room there, name another folder with -o FILE or in TMPDIR, or use '--sort pmid'");
    return CLI_FAILED;
}

static int out_of_memory(void) {
    say(SAY_ERROR, "out of memory while documents were sorted; '--limit N' needs less, '--sort pmid' none.");
    return CLI_FAILED;
}

int export_sort_open(export_sort *sort, const output *out, uint64_t limit) {
    const char *slash = out->target ? strrchr(out->target, '/') : NULL, *environment = getenv("TMPDIR");
    char       *name;
    size_t      size;
    *sort = (export_sort)EXPORT_SORT_CLOSED_INIT;
    sort->limit = limit;
    if (slash)
        sort->folder = strndup(out->target, slash == out->target ? 1 : (size_t)(slash - out->target));
    else
        sort->folder = strdup(environment && *environment ? environment : "/tmp");
    if (!sort->folder) return out_of_memory();
    size = strlen(sort->folder) + 32;
    name = malloc(size);
    if (!name) return out_of_memory();
    snprintf(name, size, "%s/.adesieve-XXXXXX", sort->folder);
    sort->fd = mkstemp(name);
    if (sort->fd >= 0) unlink(name);
    free(name);
    return sort->fd < 0 ? fail(sort, "cannot be made") : CLI_OK;
}

/* While there are as many places as wanted, they are a heap whose first is the one that would go next. */
static void sink(export_sort *sort, size_t at) {
    for (;;) {
        size_t worst = at;
        place  moved;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sort->count; child++)
            if (before(&sort->places[worst], &sort->places[child])) worst = child;
        if (worst == at) return;
        moved = sort->places[at];
        sort->places[at] = sort->places[worst];
        sort->places[worst] = moved;
        at = worst;
    }
}

static int full(const export_sort *sort) { return sort->limit > 0 && sort->count >= sort->limit; }

int export_sort_wants(const export_sort *sort, double score, int64_t pmid) {
    place asked = {score, pmid, 0, 0, 0};
    return !full(sort) || before(&asked, &sort->places[0]);
}

static int flush(export_sort *sort) {
    const char *at = sort->waiting.data;
    size_t      left = sort->waiting.size;
    if (sort->waiting.failed) return out_of_memory();
    while (left > 0) {
        ssize_t n = write(sort->fd, at, left);
        if (n < 0 && errno == EINTR && !signals_interrupted()) continue;
        if (n < 0 && signals_interrupted()) return CLI_INTERRUPTED;
        if (n < 0) return fail(sort, "cannot be written");
        at += n;
        left -= (size_t)n;
    }
    sort->written += sort->waiting.size;
    sort->waiting.size = 0;
    return CLI_OK;
}

int export_sort_add(export_sort *sort, double score, int64_t pmid, uint64_t hits, const bytes *made) {
    place added = {score, pmid, sort->written + sort->waiting.size, made->size, hits};
    if (!export_sort_wants(sort, score, pmid)) return CLI_OK;
    if (made->failed) return out_of_memory();
    if (full(sort)) {
        sort->places[0] = added;
        sink(sort, 0);
    } else {
        if (sort->count == sort->capacity) {
            size_t grown = sort->capacity > 0 ? 2 * sort->capacity : 1024;
            place *places = grown > SIZE_MAX / sizeof *places ? NULL : realloc(sort->places, grown * sizeof *places);
            if (!places) return out_of_memory();
            sort->places = places;
            sort->capacity = grown;
        }
        sort->places[sort->count++] = added;
        if (full(sort))
            for (size_t i = sort->count / 2; i-- > 0;) sink(sort, i);
    }
    put_raw(&sort->waiting, made->data, made->size);
    return sort->waiting.failed || sort->waiting.size >= WAITING_SIZE ? flush(sort) : CLI_OK;
}

int export_sort_write(export_sort *sort, output *out) {
    int status = flush(sort);
    if (status != CLI_OK) return status;
    if (sort->count > 0) qsort(sort->places, sort->count, sizeof *sort->places, compare);
    for (size_t i = 0; i < sort->count; i++) {
        uint64_t offset = sort->places[i].offset, left = sort->places[i].size;
        char    *room = bytes_room(&out->rows, left);
        while (room && left > 0) {
            ssize_t n = pread(sort->fd, room, left, (off_t)offset);
            if (n < 0 && errno == EINTR && !signals_interrupted()) continue;
            if (n < 0 && signals_interrupted()) return CLI_INTERRUPTED;
            if (n == 0) errno = EIO; /* somebody has shortened a file that has no name */
            if (n <= 0) return fail(sort, "cannot be read");
            room += n;
            offset += (uint64_t)n;
            left -= (uint64_t)n;
            out->rows.size += (size_t)n;
        }
        status = output_row_end(out); /* also says that memory ran out */
        if (status != CLI_OK) return status;
        if (signals_interrupted()) return CLI_INTERRUPTED;
    }
    return CLI_OK;
}

void export_sort_close(export_sort *sort) {
    if (sort->fd >= 0) close(sort->fd);
    bytes_free(&sort->waiting);
    free(sort->places);
    free(sort->folder);
    *sort = (export_sort)EXPORT_SORT_CLOSED_INIT;
}
