/* SPDX-License-Identifier: Apache-2.0
 * The inputs of screen: those of the command line and those of a list. */
#include "screen_inputs.h"

#include "exit_status.h"
#include "input.h"
#include "messages.h"
#include "rows.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- A list of paths ---- */

static int read_list(const char *path, bytes *out) {
    char    error[256];
    input  *in = input_open(path, error, sizeof error);
    ssize_t n = in ? 1 : INPUT_ERROR;
    while (n > 0) {
        enum { PIECE = 64 * 1024 };
        char *room = bytes_room(out, PIECE);
        if (!room) {
            snprintf(error, sizeof error, "out of memory.");
            n = INPUT_ERROR;
            break;
        }
        n = input_read(in, room, PIECE, error, sizeof error);
        if (n > 0) out->size += (size_t)n;
    }
    input_close(in);
    if (n == INPUT_INTERRUPTED) return CLI_INTERRUPTED;
    if (n < 0) say(SAY_ERROR, "%s: %s", strcmp(path, "-") == 0 ? "standard input" : path, error);
    return n < 0 ? CLI_FAILED : CLI_OK;
}

static int add_path(screen_inputs *inputs, settings *wanted, char *path, uint64_t line, size_t *capacity) {
    if (wanted->n_files + 1 >= *capacity) {
        size_t       grown = wanted->n_files * 2 + 64;
        const char **files = realloc(wanted->files, grown * sizeof *files);
        uint64_t    *lines;
        if (files) wanted->files = files;
        lines = files ? realloc(inputs->lines, grown * sizeof *lines) : NULL;
        if (!lines) {
            say(SAY_ERROR, "%s: out of memory for its paths.", inputs->list_name);
            return CLI_FAILED;
        }
        inputs->lines = lines;
        *capacity = grown;
    }
    inputs->lines[wanted->n_files - inputs->n_given] = line;
    wanted->files[wanted->n_files++] = path;
    return CLI_OK;
}

int screen_inputs_read(screen_inputs *inputs, settings *wanted) {
    bytes    text = {0};
    size_t   capacity = 0; /* not known: the first path makes room */
    uint64_t line = 0;
    int      status, from_stdin = wanted->files_from && strcmp(wanted->files_from, "-") == 0;
    memset(inputs, 0, sizeof *inputs);
    inputs->n_given = wanted->n_files;
    if (!wanted->files_from) return CLI_OK;
    inputs->list_name = from_stdin ? "standard input" : wanted->files_from;
    status = read_list(wanted->files_from, &text);
    put_raw(&text, "", 1);
    if (status == CLI_OK && text.failed) {
        say(SAY_ERROR, "%s: out of memory for its paths.", inputs->list_name);
        status = CLI_FAILED;
    }
    inputs->list = text.data;
    for (char *at = text.data, *end = text.data ? text.data + text.size - 1 : NULL; status == CLI_OK && at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        *stop = '\0';
        line++;
        if (strlen(at) != (size_t)(stop - at)) {
            say(SAY_ERROR, "%s:%llu: holds a NUL byte, which no path does; the list is a path a line.",
                inputs->list_name, (unsigned long long)line);
            status = CLI_FAILED;
        } else if (stop > at) {
            status = add_path(inputs, wanted, at, line, &capacity);
        }
        at = stop + 1;
    }
    if (status != CLI_OK) return status;
    if (wanted->n_files == inputs->n_given) {
        say(SAY_ERROR, "%s: holds no path.", inputs->list_name);
        return CLI_FAILED;
    }
    for (size_t i = 0, seen = from_stdin ? 1 : 0; i < wanted->n_files; i++)
        if (strcmp(wanted->files[i], "-") == 0 && seen++) {
            say(SAY_ERROR, "standard input ('-') can be read only once.");
            return CLI_USAGE;
        }
    return CLI_OK;
}

const char *screen_inputs_place(const screen_inputs *inputs, size_t index, char *buffer, size_t size) {
    if (index < inputs->n_given) return NULL;
    snprintf(buffer, size, "%s:%llu", inputs->list_name, (unsigned long long)inputs->lines[index - inputs->n_given]);
    return buffer;
}

void screen_inputs_free(screen_inputs *inputs) {
    free(inputs->list);
    free(inputs->lines);
    memset(inputs, 0, sizeof *inputs);
}

/* ---- The files that they stand for ---- */

static int ends_in(const char *text, size_t size, const char *suffix) {
    size_t length = strlen(suffix);
    return size >= length && memcmp(text + size - length, suffix, length) == 0;
}

static int each_of_folder(const char *path, screen_input_fn take, void *user) {
    size_t         size = strlen(path);
    char          *prefix = malloc(size + 2);
    DIR           *folder = opendir(path);
    struct dirent *entry;
    int            result = prefix ? 0 : -1;
    if (prefix) snprintf(prefix, size + 2, "%s%s", path, ends_in(path, size, "/") ? "" : "/");
    while (folder && result == 0 && (entry = readdir(folder)) != NULL) {
        size = strlen(entry->d_name);
        if (entry->d_name[0] != '.' &&
            (ends_in(entry->d_name, size, ".xml") || ends_in(entry->d_name, size, ".xml.gz")))
            result = take(user, prefix, entry->d_name);
    }
    if (folder) closedir(folder);
    free(prefix);
    return result;
}

int screen_inputs_each(const settings *wanted, screen_input_fn take, void *user) {
    int result = 0;
    for (size_t i = 0; i < wanted->n_files && result == 0; i++) {
        const char *path = wanted->files[i], *slash = strrchr(path, '/');
        struct stat info;
        if (strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            result = each_of_folder(path, take, user);
        } else {
            char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("");
            result = folder ? take(user, folder, slash ? slash + 1 : path) : -1;
            free(folder);
        }
    }
    return result;
}

/* ---- The names of their outputs ---- */

char *screen_inputs_output_name(const char *source, int format, unsigned earlier) {
    static const char *const suffixes[] = {[ROWS_JSONL] = ".jsonl", [ROWS_TSV] = ".tsv", [ROWS_CSV] = ".csv"};
    size_t                   size = strlen(source);
    char                    *name, number[16] = "";
    if (strcmp(source, "-") == 0) {
        source = "stdin";
        size = 5;
    }
    if (ends_in(source, size, ".gz")) size -= 3;
    if (ends_in(source, size, ".xml")) size -= 4;
    if (earlier > 0) snprintf(number, sizeof number, ".%u", earlier + 1);
    name = malloc(size + 24);
    if (name) snprintf(name, size + 24, "%.*s%s%s", (int)size, source, number, suffixes[format]);
    return name;
}

typedef struct named_input {
    char *output, *path;
} named_input;

typedef struct name_list {
    named_input *items;
    size_t       n, capacity;
    int          format;
} name_list;

static int add_name(void *user, const char *folder, const char *name) {
    name_list   *list = user;
    size_t       size = strlen(folder) + strlen(name) + 1;
    named_input *item;
    if (list->n == list->capacity) {
        size_t       grown = list->capacity * 2 + 64;
        named_input *items = realloc(list->items, grown * sizeof *items);
        if (!items) return -1;
        list->items = items;
        list->capacity = grown;
    }
    item = &list->items[list->n];
    item->output = screen_inputs_output_name(name, list->format, 0);
    item->path = malloc(size);
    if (!item->output || !item->path) {
        free(item->output);
        free(item->path);
        return -1;
    }
    snprintf(item->path, size, "%s%s", folder, name);
    list->n++;
    return 0;
}

static int by_output(const void *a, const void *b) {
    const named_input *x = a, *y = b;
    int                order = strcmp(x->output, y->output);
    return order ? order : strcmp(x->path, y->path);
}

static int check_lengths(const name_list *list, const char *folder) {
    long most = pathconf(folder, _PC_NAME_MAX);
    for (size_t i = 0; i < list->n; i++)
        if (most > 0 && strlen(list->items[i].output) > (size_t)most) {
            say(SAY_ERROR,
                "%s: its output in the folder of --output-dir would have a name of %zu bytes, and %ld is the most; "
                "rename it.",
                list->items[i].path, strlen(list->items[i].output), most);
            return CLI_FAILED;
        }
    return CLI_OK;
}

int screen_inputs_check_names(const settings *wanted) {
    name_list list = {.format = wanted->format};
    int       status = CLI_OK;
    if (screen_inputs_each(wanted, add_name, &list) != 0) {
        say(SAY_ERROR, "out of memory for the names of the inputs.");
        status = CLI_FAILED;
    }
    if (list.n > 1) qsort(list.items, list.n, sizeof *list.items, by_output);
    for (size_t i = 1; i < list.n && status == CLI_OK; i++)
        if (strcmp(list.items[i].output, list.items[i - 1].output) == 0) {
            say(SAY_ERROR, "%s and %s would both be written to %s in the folder of --output-dir.",
                list.items[i - 1].path, list.items[i].path, list.items[i].output);
            say(SAY_HINT, "rename one of them, or screen them in two runs with two folders");
            status = CLI_FAILED;
        }
    if (status == CLI_OK) status = check_lengths(&list, wanted->output_dir);
    for (size_t i = 0; i < list.n; i++) {
        free(list.items[i].output);
        free(list.items[i].path);
    }
    free(list.items);
    return status;
}
