/* SPDX-License-Identifier: Apache-2.0
 * Where the rows and parts of screen go, and what of them is safe.
 *
 * With a store, an output that is a regular file grows under a temporary name that the next run finds again. At the end
 * of each input it is brought to the disk, and the store notes in one transaction what the input gave and how long the
 * output is. So after a kill the store and the output's first bytes belong together; what is behind them is cut off. */
#include "screen_output.h"

#include "engine.h"
#include "exit_status.h"
#include "messages.h"
#include "screen_inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(const char *what) {
    say(SAY_ERROR, "%s: out of memory.", what);
    return CLI_FAILED;
}

/* A path that nothing can be written to, or no memory for it; errno says which. */
static int bad_path(const char *path) {
    say(SAY_ERROR, "%s: cannot be written: %s.", path ? path : "standard output", strerror(errno));
    return CLI_FAILED;
}

static char *join(const char *folder, const char *name) {
    size_t length = strlen(folder), size = length + strlen(name) + 2;
    char  *path = malloc(size);
    if (path) snprintf(path, size, "%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name);
    return path;
}

char *screen_output_path(const settings *wanted, const char *name) { return join(wanted->output_dir, name); }

static int is_regular_or_new(const char *path) {
    struct stat info;
    return path && strcmp(path, "-") != 0 && (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

/* ---- Before the work ---- */

static int make_folder(const char *path) {
    struct stat info;
    if (mkdir(path, 0777) == 0) return CLI_OK;
    if (errno != EEXIST) {
        say(SAY_ERROR, "%s: the folder cannot be made: %s.", path, strerror(errno));
        return CLI_FAILED;
    }
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        say(SAY_ERROR, "%s: is no folder; '--output-dir' needs one.", path);
        return CLI_FAILED;
    }
    if (access(path, W_OK | X_OK) != 0) {
        say(SAY_ERROR, "%s: no file can be made in this folder: %s.", path, strerror(errno));
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* An output that is opened only when the store is: can it be? A pipe is not touched, since its reader would see it. */
static int probe(const char *path) {
    output test = OUTPUT_CLOSED_INIT;
    int    status;
    if (!is_regular_or_new(path)) return CLI_OK;
    status = output_open(&test, path, NULL, 0);
    output_finish(&test, 0);
    return status;
}

int screen_output_open(screen_output *out, const settings *wanted) {
    const output closed = OUTPUT_CLOSED_INIT;
    int          status = CLI_OK;
    memset(out, 0, sizeof *out);
    out->wanted = wanted;
    out->rows = out->parts = closed;
    out->shape = (row_shape){(row_format)wanted->format, wanted->document, wanted->no_text, wanted->metadata,
                             wanted->calibrated};
    out->none = wanted->dry_run;
    out->began = time(NULL);
    if (out->none) return CLI_OK;
    if (wanted->output_dir) {
        status = make_folder(wanted->output_dir);
        if (status == CLI_OK) status = screen_inputs_check_names(wanted);
    }
    if (status != CLI_OK) return status;
    if (wanted->store) {
        if (!wanted->output_dir) status = probe(wanted->output);
        if (status == CLI_OK && wanted->parts) status = probe(wanted->parts);
        return status;
    }
    if (!wanted->output_dir) status = output_open(&out->rows, wanted->output, NULL, 0);
    if (status == CLI_OK && wanted->parts) status = output_open(&out->parts, wanted->parts, NULL, 0);
    return status;
}

/* ---- The note: where the outputs are, and how far ---- */

/* What rows look like, and which of them there are. */
static json_t *shape_object(const settings *wanted) {
    static const char *const formats[] = {[ROWS_JSONL] = "jsonl", [ROWS_TSV] = "tsv", [ROWS_CSV] = "csv"};
    json_t *shape = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "format", formats[wanted->format], "all", wanted->all,
                              "document", wanted->document, "no-text", wanted->no_text, "no-deleted",
                              wanted->no_deleted, "metadata", wanted->metadata);
    if (shape && wanted->calibrated) { /* without these, as notes of before they were there */
        json_object_set_new(shape, "calibrated", json_true());
        json_object_set_new(shape, "prevalence", json_real(wanted->prevalence));
    }
    return shape;
}

/* One output of the note; rows: -1 = not known. NULL when it cannot be made. */
static json_t *place_object(const output *out, int64_t rows) {
    const char *slash;
    char        sum[17];
    if (!out->target) return json_pack("{s:o}", "path", json_from_text(out->name ? out->name : "-"));
    if (output_tail(out->temporary, out->written, sum) != 0) return NULL;
    slash = strrchr(out->temporary, '/');
    return json_pack("{s:o, s:o, s:I, s:s, s:I}", "path", json_from_text(out->target), "partial",
                     json_from_text(slash ? slash + 1 : out->temporary), "bytes", (json_int_t)out->written, "tail", sum,
                     "rows", (json_int_t)rows);
}

/* The rows in the output, with those of the interrupted run that it goes on with. */
static int64_t rows_of(const screen_output *out) {
    return out->rows_before < 0 ? -1 : out->rows_before + (int64_t)out->n_rows;
}

static char *note_text(const screen_output *out) {
    json_t *note = json_pack("{s:s, s:I, s:o}", "by", "adesieve screen", "began", (json_int_t)out->began, "shape",
                             shape_object(out->wanted));
    char   *text = NULL, *folder = out->wanted->output_dir ? realpath(out->wanted->output_dir, NULL) : NULL;
    int     failed = !note;
    if (folder) failed |= json_object_set_new(note, "folder", json_from_text(folder)) != 0;
    if (!out->wanted->output_dir)
        failed |= json_object_set_new(note, "rows", place_object(&out->rows, rows_of(out))) != 0;
    if (out->wanted->parts) failed |= json_object_set_new(note, "parts", place_object(&out->parts, -1)) != 0;
    if (!failed) text = json_dumps(note, JSON_COMPACT);
    json_decref(note);
    free(folder);
    return text;
}

/* The path of one output in the note, "" when it has none. */
static const char *noted_path(const json_t *note, const char *name) {
    const json_t *place = json_object_get(note, name);
    const char   *path =
        json_is_string(place) ? json_string_value(place) : json_string_value(json_object_get(place, "path"));
    return path ? path : "";
}

/* "to /data/hits.tsv (tsv, document)" */
static void describe(const json_t *note, char *text, size_t size) {
    const char *folder = noted_path(note, "folder"), *rows = noted_path(note, "rows"), *name;
    json_t     *value, *shape = json_object_get(note, "shape");
    int         at = snprintf(text, size, "%s%s (%s", *folder ? "into the folder " : "to ",
                      *folder                  ? folder
                              : strcmp(rows, "-") == 0 ? "standard output"
                                                       : rows,
                              json_string_value(json_object_get(shape, "format")));
    json_object_foreach(shape, name, value) {
        if (at > 0 && (size_t)at < size && json_is_true(value))
            at += snprintf(text + at, size - (size_t)at, ", %s", name);
    }
    if (*noted_path(note, "parts") && at > 0 && (size_t)at < size)
        at += snprintf(text + at, size - (size_t)at, ", parts to %s", noted_path(note, "parts"));
    if (at > 0 && (size_t)at < size) snprintf(text + at, size - (size_t)at, ")");
}

static void say_choices(void) {
    say(SAY_HINT, "the same options and outputs go on with it; --abandon-output begins anew, without the rows of files "
                  "that are done ('adesieve export' writes those)");
}

/* What is asked for now, as a note without positions. */
static json_t *wish_object(const settings *wanted) {
    char   *folder = wanted->output_dir ? realpath(wanted->output_dir, NULL) : NULL;
    char   *rows = wanted->output_dir ? NULL : output_identity(wanted->output);
    char   *parts = wanted->parts ? output_identity(wanted->parts) : NULL;
    json_t *wish = json_pack("{s:o, s:o, s:o, s:o}", "shape", shape_object(wanted), "folder", json_from_text(folder),
                             "rows", json_from_text(rows), "parts", json_from_text(parts));
    free(folder);
    free(rows);
    free(parts);
    return wish;
}

/* Whether the interrupted run's outputs are those. */
static int same_outputs(const json_t *note, const json_t *wish) {
    static const char *const names[] = {"folder", "rows", "parts"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(noted_path(note, names[i]), noted_path(wish, names[i])) != 0) return 0;
    return json_equal(json_object_get(note, "shape"), json_object_get(wish, "shape"));
}

/* The name in the note, if it is one that we could have given. */
static const char *noted_partial(const json_t *place) {
    const char *name = json_string_value(json_object_get(place, "partial"));
    size_t      size = name ? strlen(name) : 0;
    return size > 5 && name[0] == '.' && !strchr(name, '/') && strcmp(name + size - 5, ".part") == 0 ? name : NULL;
}

static char *beside(const char *target, const char *name) {
    const char *slash = strrchr(target, '/');
    char       *folder = slash ? strndup(target, (size_t)(slash - target) + 1) : strdup(".");
    char       *path = folder ? join(folder, name) : NULL;
    free(folder);
    return path;
}

/* ---- Begin, or go on ---- */

static int begin_output(screen_output *out, output *one, const char *path) {
    char *target = output_identity(path), *partial = target ? output_partial_name(target, out->store_path) : NULL;
    int   status = partial ? CLI_OK : bad_path(path);
    free(target);
    if (!partial) return status;
    status = output_open_partial(one, path, partial, NULL, 0);
    if (status == CLI_OK) status = output_restart(one, 0);
    free(partial);
    return status;
}

/* The bytes that the store tells of are in the partial file, or in the complete one if the run was interrupted between
 * its last two steps: that one is unfinished again. */
static int resume_output(screen_output *out, output *one, const char *path, const json_t *place) {
    const char *partial = noted_partial(place), *noted_sum = json_string_value(json_object_get(place, "tail"));
    uint64_t    position = (uint64_t)json_integer_value(json_object_get(place, "bytes"));
    char        sum[17], *target, *temporary;
    int         status = CLI_OK, found;
    if (!partial || !noted_sum) return output_open(one, path, NULL, 0); /* a pipe */
    target = output_identity(path); /* the note's path is a text, and may be another one than these bytes */
    temporary = target ? beside(target, partial) : NULL;
    if (!temporary) {
        status = bad_path(path);
        free(target);
        return status;
    }
    found = output_tail(temporary, position, sum) == 0 && strcmp(sum, noted_sum) == 0;
    if (!found && access(temporary, F_OK) != 0 && output_tail(target, position, sum) == 0 &&
        strcmp(sum, noted_sum) == 0) {
        found = rename(target, temporary) == 0;
        if (!found) say(SAY_ERROR, "%s: cannot be renamed to go on with it: %s.", target, strerror(errno));
    }
    if (!found) {
        say(SAY_ERROR,
            "%s: the last run was interrupted, and its output cannot be gone on with: %s is gone or has been changed.",
            out->wanted->store, temporary);
        say(SAY_HINT, "--abandon-output begins anew, without the rows of files that are done ('adesieve export' writes "
                      "those)");
        status = CLI_FAILED;
    }
    if (status == CLI_OK) status = output_open_partial(one, path, partial, NULL, 0);
    if (status == CLI_OK) status = output_restart(one, position);
    if (status == CLI_OK) one->keep = 1;
    free(temporary);
    free(target);
    return status;
}

static void remove_partial(const json_t *place) {
    const char *target = json_string_value(json_object_get(place, "path")), *partial = noted_partial(place);
    char       *path = target && partial ? beside(target, partial) : NULL;
    if (path) unlink(path);
    free(path);
}

static int put_header(screen_output *out) {
    put_row_header(&out->rows.rows, &out->shape);
    return output_mark(&out->rows); /* stays, whatever is taken back */
}

static int begin_outputs(screen_output *out) {
    const settings *wanted = out->wanted;
    int             status = CLI_OK;
    if (!wanted->output_dir) status = begin_output(out, &out->rows, wanted->output);
    if (status == CLI_OK && wanted->parts) status = begin_output(out, &out->parts, wanted->parts);
    if (status == CLI_OK && !wanted->output_dir) status = put_header(out);
    return status;
}

static int resume_outputs(screen_output *out, const json_t *note) {
    const settings *wanted = out->wanted;
    const json_t   *rows = json_object_get(json_object_get(note, "rows"), "rows");
    int             status = CLI_OK;
    out->resumed = out->noted = 1;
    out->rows_before = json_is_integer(rows) ? (int64_t)json_integer_value(rows) : -1;
    out->began = (time_t)json_integer_value(json_object_get(note, "began")); /* 0 = not known */
    if (!wanted->output_dir) status = resume_output(out, &out->rows, wanted->output, json_object_get(note, "rows"));
    if (status == CLI_OK && wanted->parts)
        status = resume_output(out, &out->parts, wanted->parts, json_object_get(note, "parts"));
    return status;
}

/* The store tells of an interrupted run. */
static int go_on(screen_output *out, const json_t *note, const char *text) {
    const settings *wanted = out->wanted;
    json_t         *wish = wish_object(wanted);
    char            was[1024], is[1024];
    int             status = CLI_FAILED;
    if (!wish) {
        no_memory(wanted->store);
    } else if (wanted->abandon_output) {
        remove_partial(json_object_get(note, "rows"));
        remove_partial(json_object_get(note, "parts"));
        status = begin_outputs(out);
    } else if (!json_is_string(json_object_get(note, "by")) || !json_is_object(json_object_get(note, "shape"))) {
        say(SAY_ERROR, "%s: the last run was interrupted, and was another program's, which notes of its rows: %.200s.",
            wanted->store, text);
        say_choices();
    } else if (!same_outputs(note, wish)) {
        describe(note, was, sizeof was);
        describe(wish, is, sizeof is);
        say(SAY_ERROR, "%s: the last run was interrupted while it wrote %s; this run would write %s.", wanted->store,
            was, is);
        say_choices();
    } else {
        status = resume_outputs(out, note);
    }
    json_decref(wish);
    return status;
}

int screen_output_begin(screen_output *out, ade_screen *screen) {
    const settings *wanted = out->wanted;
    const char     *text;
    json_t         *note;
    int             status;
    out->screen = screen;
    if (out->none) return CLI_OK;
    if (!wanted->store) return wanted->output_dir ? CLI_OK : put_header(out);
    out->store_path = realpath(wanted->store, NULL);
    if (!out->store_path) return no_memory(wanted->store);
    text = ade_screen_get_note(screen);
    if (!text) return begin_outputs(out);
    note = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    status = go_on(out, note, text);
    json_decref(note);
    return status;
}

/* ---- Rows ---- */

/* Opens the output of the input `source`. */
static int open_own(screen_output *out, const char *source) {
    ade_screen_file file = ADE_SCREEN_FILE_INIT; /* the row's */
    char           *name, *path, *target, *partial = NULL;
    int             status;
    if (ade_screen_get_file(out->screen, &file) != ADE_OK) return engine_failed(ADE_INTERNAL, NULL);
    name = screen_inputs_output_name(source, out->wanted->format, file.earlier);
    path = name ? screen_output_path(out->wanted, name) : NULL;
    target = path ? output_identity(path) : NULL;
    partial = target ? output_partial_name(target, NULL) : NULL;
    out->source = partial ? strdup(source) : NULL;
    status = out->source ? CLI_OK : bad_path(path ? path : source);
    free(name);
    free(target);
    if (status != CLI_OK) {
        free(path);
        free(partial);
        return status;
    }
    status = output_open_partial(&out->rows, path, partial, NULL, 0);
    if (status == CLI_OK && !out->rows.target) { /* a pipe of that name has no end that it can show */
        say(SAY_ERROR, "%s: is no regular file; remove it, or choose another folder.", path);
        status = CLI_FAILED;
    }
    free(partial);
    if (status != CLI_OK) {
        output_finish(&out->rows, 0);
        out->rows.status = status;
        free(path);
        return status;
    }
    out->rows.name = path; /* until close_own */
    status = output_restart(&out->rows, 0);
    return status == CLI_OK ? put_header(out) : status;
}

static int add_written(screen_output *out, const char *path, uint64_t size, int64_t count) {
    if (out->n_files == out->capacity) {
        size_t        grown = out->capacity * 2 + 16;
        written_file *files = realloc(out->files, grown * sizeof *files);
        if (!files) return no_memory(path);
        out->files = files;
        out->capacity = grown;
    }
    out->files[out->n_files] = (written_file){strdup(path), size, count};
    if (!out->files[out->n_files].path) return no_memory(path);
    out->n_files++;
    return CLI_OK;
}

static int close_own(screen_output *out, int complete) {
    char *path = (char *)out->rows.name; /* ours since open_own */
    int   status = output_finish(&out->rows, complete);
    if (status == CLI_OK && complete) status = add_written(out, path, out->rows.written, (int64_t)out->file_rows);
    free(path);
    free(out->source);
    out->source = NULL;
    return status;
}

int screen_output_row(screen_output *out, const ade_screen_row *row, const char *label) {
    int status = CLI_OK;
    if (out->none) return CLI_OK;
    if (row->part == ADE_PART_DELETED && out->wanted->no_deleted) return CLI_OK;
    if (out->wanted->output_dir && !out->source) status = open_own(out, row->source);
    if (status != CLI_OK) return status;
    put_screen_row(&out->rows.rows, &out->shape, row, label);
    out->n_rows++;
    out->file_rows++;
    if (row->part == ADE_PART_DELETED) {
        out->n_deletions++;
        out->file_deletions++;
    }
    status = output_row_end(&out->rows);
    if (status == CLI_OK) status = output_flush_if_old(&out->rows);
    return status;
}

void screen_output_part(screen_output *out, const ade_screen_part *part) {
    put_screen_part(&out->parts.rows, part);
    output_row_end(&out->parts);
}

/* ---- The end of an input ---- */

/* Tells the store what is safe now. */
static int confirm(screen_output *out, ade_screen *screen) {
    char      *note = note_text(out);
    ade_status result;
    if (!note) {
        say(SAY_ERROR, "%s: out of memory, or an output cannot be read back, while the end of a file was noted.",
            out->wanted->store);
        return CLI_FAILED;
    }
    result = ade_screen_set_note(screen, note);
    free(note);
    if (result == ADE_OK) result = ade_screen_confirm(screen);
    if (result != ADE_OK) return engine_failed(result, NULL);
    out->noted = 1;
    out->rows.keep = !out->wanted->output_dir;
    out->parts.keep = 1;
    return CLI_OK;
}

/* The own output that an input has now. *path is NULL without one. */
static int find_own(const screen_output *out, const ade_screen_file *file, char **path, uint64_t *size) {
    char       *name = screen_inputs_output_name(file->name, out->wanted->format, file->earlier);
    struct stat info;
    *path = name ? screen_output_path(out->wanted, name) : NULL;
    free(name);
    if (!*path) return no_memory(file->name);
    if (stat(*path, &info) == 0 && S_ISREG(info.st_mode)) {
        *size = (uint64_t)info.st_size;
    } else {
        free(*path);
        *path = NULL;
    }
    return CLI_OK;
}

/* An input that an earlier run has done: is its own output there? */
static int look_for_own(screen_output *out, const ade_screen_file *file) {
    char    *path;
    uint64_t size;
    int      status = find_own(out, file, &path, &size);
    if (status == CLI_OK && path)
        status = add_written(out, path, size, -1);
    else if (status == CLI_OK)
        out->outputs_missing++;
    free(path);
    return status;
}

/* Records that the store knows as unchanged give no rows, so that the rows of an input with new content have a file
 * beside those of its earlier content. */
static void say_new_content(const screen_output *out, const ade_screen_file *file) {
    if (file->earlier > 0)
        say(SAY_WARNING,
            "%s was done before with other content: the rows of what is new in it (%llu unchanged) go to "
            "%s, and the earlier output stays; 'adesieve export' writes what the store holds.",
            file->name, (unsigned long long)file->unchanged, out->rows.name);
}

/* A file that failed leaves nothing where that can be: its rows come again when it is read again. Without a store, one
 * stream keeps them. An own output of an earlier run stays: it is whole. */
static int take_back(screen_output *out, const ade_screen_file *file, uint64_t *left) {
    int      status = CLI_OK, own = out->wanted->output_dir != NULL;
    uint64_t size;
    *left = out->file_rows;
    if (own || (out->wanted->store && out->rows.target)) {
        *left = 0;
        out->n_rows -= out->file_rows;
        out->n_deletions -= out->file_deletions;
        if (own && out->source)
            status = close_own(out, 0);
        else if (!own)
            status = output_take_back(&out->rows);
    }
    if (status == CLI_OK && own) status = find_own(out, file, &out->kept, &size);
    if (status == CLI_OK && out->wanted->parts && (own || out->wanted->store)) status = output_take_back(&out->parts);
    return status;
}

int screen_output_file(screen_output *out, ade_screen *screen, const ade_screen_file *file, uint64_t *left) {
    const settings *wanted = out->wanted;
    int             status = CLI_OK, own = wanted->output_dir != NULL;
    *left = 0;
    free(out->kept);
    out->kept = NULL;
    if (out->none) return CLI_OK;
    if (file->skipped) return own ? look_for_own(out, file) : CLI_OK;
    if (file->status != ADE_OK && file->status != ADE_END) {
        status = take_back(out, file, left);
    } else {
        /* The texts first, so that rows never stand there without those that they count in. */
        if (wanted->parts) status = wanted->store ? output_sync(&out->parts) : output_mark(&out->parts);
        if (status == CLI_OK && own && !out->source) status = open_own(out, file->name);
        if (status == CLI_OK && own) say_new_content(out, file);
        if (status == CLI_OK && own)
            status = close_own(out, 1);
        else if (status == CLI_OK && wanted->store)
            status = output_sync(&out->rows);
        if (status == CLI_OK && wanted->store) status = confirm(out, screen);
    }
    out->file_rows = out->file_deletions = 0;
    return status;
}

/* ---- The end ---- */

static int finish_output(screen_output *out, output *one, const char *path, int64_t rows,
                         const ade_screen_stats *stats) {
    struct stat info;
    int         status, there = out->wanted->store && !out->resumed && one->target && stat(one->target, &info) == 0;
    /* When no input was new, a file of the run before is not replaced by an empty one. */
    if (there && stats->files_done == 0) {
        out->untouched = 1;
        status = output_finish(one, 0);
        return status == CLI_OK ? add_written(out, path, (uint64_t)info.st_size, -1) : status;
    }
    if (there && info.st_size > 0 && stats->files_skipped > 0)
        say(SAY_WARNING,
            "%s: is replaced by the rows of this run; %llu input%s done before, and %s not in it: 'adesieve export' "
            "writes all.",
            path, (unsigned long long)stats->files_skipped, stats->files_skipped == 1 ? " was" : "s were",
            stats->files_skipped == 1 ? "is" : "are");
    status = output_finish(one, 1);
    if (status == CLI_OK && is_regular_or_new(path)) status = add_written(out, path, one->written, rows);
    return status;
}

int screen_output_finish(screen_output *out, const ade_screen_stats *stats) {
    const settings *wanted = out->wanted;
    int             status = CLI_OK;
    if (out->none) return CLI_OK;
    if (wanted->parts) status = finish_output(out, &out->parts, wanted->parts, -1, stats); /* first, as above */
    if (status != CLI_OK && status != CLI_CLOSED) return status;
    if (!wanted->output_dir) status = finish_output(out, &out->rows, wanted->output, rows_of(out), stats);
    return status;
}

void screen_output_close(screen_output *out) {
    if (out->source)
        close_own(out, 0);
    else
        output_finish(&out->rows, 0);
    output_finish(&out->parts, 0);
    for (size_t i = 0; i < out->n_files; i++) free(out->files[i].path);
    free(out->files);
    free(out->kept);
    free(out->store_path);
    memset(out, 0, sizeof *out);
    out->rows.fd = out->parts.fd = -1;
}
