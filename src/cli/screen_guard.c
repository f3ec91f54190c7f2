/* SPDX-License-Identifier: Apache-2.0
 * No output of screen takes the place of what the run reads, of its store, or of another output. */
#include "screen_guard.h"

#include "cmd_screen.h"
#include "exit_status.h"
#include "messages.h"
#include "output.h"
#include "screen_inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum place_kind { PLACE_INPUT, PLACE_SUM, PLACE_LIST, PLACE_STORE, PLACE_OUTPUT } place_kind;

/* A file that is read or would be written, whether it is there or not. */
typedef struct place {
    place_kind  kind;
    const char *option; /* that names it; NULL for inputs */
    char       *path;   /* as it is named; "-" = the standard stream */
    int         exists; /* 1: `device` and `inode` are the file's; 0: its folder's, where its name would be `name`;
                           2: standard output that is no file */
    dev_t device;
    ino_t inode;
    char *name;
} place;

typedef struct place_list {
    place *items;
    size_t n, capacity;
} place_list;

static char *joined(const char *a, const char *b) {
    size_t size = strlen(a) + strlen(b) + 1;
    char  *text = malloc(size);
    if (text) snprintf(text, size, "%s%s", a, b);
    return text;
}

/* The part before the last component, without slashes at its end. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t      size = slash ? (size_t)(slash - path) : 0;
    while (size > 1 && path[size - 1] == '/') size--;
    return !slash ? strdup(".") : size == 0 ? strdup("/") : strndup(path, size);
}

/* Where a file that is not there would be made. Its folder may be missing too: --output-dir makes one. */
static int locate_new(place *at) {
    char       *real = output_identity(at->path), *folder = folder_of(real ? real : at->path), *missing = NULL;
    const char *path = real ? real : at->path, *slash = strrchr(path, '/');
    struct stat info;
    if (folder && stat(folder, &info) == 0) {
        at->device = info.st_dev;
        at->inode = info.st_ino;
        at->name = strdup(slash ? slash + 1 : path);
    } else if (folder && (missing = output_identity(folder)) != NULL) {
        size_t size = strlen(missing) + strlen(path) + 2;
        at->name = malloc(size);
        if (at->name) snprintf(at->name, size, "%s/%s", missing, slash ? slash + 1 : path);
    } else {
        at->name = strdup(path); /* nothing can be made there, which is said when it is tried */
    }
    free(missing);
    free(folder);
    free(real);
    return at->name ? 0 : -1;
}

/* 0, 1 if the place needs no comparison (a pipe, a device, a folder), or -1 without memory. */
static int locate(place *at) {
    struct stat info;
    int         written = at->kind == PLACE_OUTPUT, is_stdout = written && strcmp(at->path, "/dev/stdout") == 0;
    int         standard = is_stdout || strcmp(at->path, "-") == 0, found;
    found = standard ? fstat(written ? STDOUT_FILENO : STDIN_FILENO, &info) : stat(at->path, &info);
    if (found != 0 && !standard) return locate_new(at);
    if (found != 0 || !S_ISREG(info.st_mode)) {
        at->exists = 2;
        return written && standard ? 0 : 1;
    }
    at->exists = 1;
    at->device = info.st_dev;
    at->inode = info.st_ino;
    return 0;
}

/* Takes `path`; NULL is no memory. 0 or -1. */
static int add(place_list *list, place_kind kind, const char *option, char *path) {
    place at = {.kind = kind, .option = option, .path = path};
    int   found = path ? locate(&at) : -1;
    if (found == 0 && list->n == list->capacity) {
        size_t grown = list->capacity * 2 + 64;
        place *items = realloc(list->items, grown * sizeof *items);
        if (items) {
            list->items = items;
            list->capacity = grown;
        } else {
            found = -1;
        }
    }
    if (found == 0) {
        list->items[list->n++] = at;
        return 0;
    }
    free(at.path);
    free(at.name);
    return found < 0 ? -1 : 0;
}

static int add_input(void *user, const char *folder, const char *name) {
    char *path = joined(folder, name);
    int   failed = path && strcmp(path, "-") != 0 ? add(user, PLACE_SUM, NULL, joined(path, ".md5")) : 0;
    return add(user, PLACE_INPUT, NULL, path) != 0 || failed ? -1 : 0;
}

static int add_store(place_list *list, const char *store) {
    static const char *const beside[] = {"-wal", "-shm", "-journal"};
    char                    *real = output_identity(store);
    int                      failed = add(list, PLACE_STORE, "--state", strdup(store));
    for (size_t i = 0; real && i < sizeof beside / sizeof beside[0]; i++)
        failed |= add(list, PLACE_STORE, "--state", joined(real, beside[i]));
    free(real);
    return failed;
}

typedef struct own_outputs {
    place_list     *list;
    const settings *wanted;
} own_outputs;

static int add_own(void *user, const char *folder, const char *name) {
    own_outputs *own = user;
    char        *file = screen_inputs_output_name(name, own->wanted->format, 0);
    char        *path = file ? screen_output_path(own->wanted, file) : NULL;
    (void)folder;
    free(file);
    return add(own->list, PLACE_OUTPUT, "--output-dir", path);
}

static int add_outputs(place_list *list, const settings *wanted) {
    own_outputs own = {list, wanted};
    int         failed = 0;
    if (wanted->output_dir)
        failed |= screen_inputs_each(wanted, add_own, &own);
    else if (!wanted->dry_run)
        failed |= add(list, PLACE_OUTPUT, "--output", strdup(wanted->output ? wanted->output : "-"));
    if (wanted->parts) failed |= add(list, PLACE_OUTPUT, "--parts", strdup(wanted->parts));
    if (wanted->stats) failed |= add(list, PLACE_OUTPUT, "--stats", strdup(wanted->stats));
    if (wanted->manifest || wanted->output_dir)
        failed |= add(list, PLACE_OUTPUT, "--manifest",
                      wanted->manifest ? strdup(wanted->manifest) : screen_output_path(wanted, "manifest.json"));
    if (wanted->metrics_file) failed |= add(list, PLACE_OUTPUT, "--metrics-file", strdup(wanted->metrics_file));
    return failed;
}

static int order_of(const place *x, const place *y) {
    if (x->exists != y->exists) return x->exists < y->exists ? -1 : 1;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
    return x->exists ? 0 : strcmp(x->name, y->name);
}

static int compare(const void *a, const void *b) {
    const place *x = a, *y = b;
    int          order = order_of(x, y);
    if (!order) order = (int)x->kind - (int)y->kind; /* what is written stands last */
    return order ? order : strcmp(x->path, y->path);
}

/* Two inputs of one name, which screen_inputs_check_names says better. */
static int same_name(const place *x, const place *y) { return x->option == y->option && strcmp(x->path, y->path) == 0; }

static const char *shown(const place *at) {
    return strcmp(at->path, "-") == 0 ? at->kind == PLACE_OUTPUT ? "standard output" : "standard input" : at->path;
}

static int refuse(const place *other, const place *made) {
    static const char *const what[] = {[PLACE_INPUT] = "an input",
                                       [PLACE_SUM] = "the MD5 sum of an input",
                                       [PLACE_LIST] = "the list of the inputs",
                                       [PLACE_STORE] = "a file of the store"};
    if (other->kind == PLACE_OUTPUT)
        say(SAY_ERROR, "'%s' (%s) and '%s' (%s) would write the same file; choose another name for one of them.",
            other->option, shown(other), made->option, shown(made));
    else
        say(SAY_ERROR, "'%s' (%s) would overwrite %s, %s; choose another name for the output.", made->option,
            shown(made), shown(other), what[other->kind]);
    return other->kind == PLACE_INPUT || other->kind == PLACE_SUM ? CLI_FAILED : CLI_USAGE;
}

int screen_guard_check(const settings *wanted) {
    place_list list = {0};
    int        status = CLI_OK, failed = screen_inputs_each(wanted, add_input, &list);
    if (wanted->files_from) failed |= add(&list, PLACE_LIST, "--files-from", strdup(wanted->files_from));
    if (wanted->store) failed |= add_store(&list, wanted->store);
    failed |= add_outputs(&list, wanted);
    if (failed) {
        say(SAY_ERROR, "out of memory for the names of inputs and outputs.");
        status = CLI_FAILED;
    }
    if (list.n > 1) qsort(list.items, list.n, sizeof *list.items, compare);
    for (size_t i = 1; i < list.n && status == CLI_OK; i++)
        if (list.items[i].kind == PLACE_OUTPUT && order_of(&list.items[i - 1], &list.items[i]) == 0 &&
            !same_name(&list.items[i - 1], &list.items[i]))
            status = refuse(&list.items[i - 1], &list.items[i]);
    for (size_t i = 0; i < list.n; i++) {
        free(list.items[i].path);
        free(list.items[i].name);
    }
    free(list.items);
    return status;
}
