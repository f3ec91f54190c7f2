/* SPDX-License-Identifier: Apache-2.0
 * Texts in: finds the records of an input, and in each record the text and the label. */
#include "texts.h"

#include "input.h"
#include "utf8_check.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIRST_BUFFER = 256 * 1024 };
static const size_t default_max_bytes = (size_t)1 << 30;

struct texts {
    texts_options options;
    uint32_t      input_number;
    input        *source;
    char         *buffer; /* bytes from `begin` to `end` are read and not yet used */
    size_t        begin, end, capacity;
    int           at_end, started;
    uint64_t      line; /* of the record at `begin`, from 1 */
    /* How far the record at `begin` has been scanned, so that a long one is not scanned again for every read. */
    size_t scanned;
    enum { FIELD_START, UNQUOTED, QUOTED, QUOTE_IN_QUOTED } csv_state;
    size_t column, label_column, n_columns; /* CSV, TSV: where text and label are, and how many a record has */
    bytes  repaired;                        /* a JSONL line with replacement characters */
};

void text_window_clear(text_window *window) {
    window->data.size = 0;
    window->label_data.size = 0;
    window->count = 0;
}

void text_window_finish(text_window *window) {
    for (size_t i = 0; i < window->count; i++) {
        size_t from = window->places[i].offset;
        size_t to = i + 1 < window->count ? window->places[i + 1].offset : window->data.size;
        window->texts[i].data = window->data.data + from;
        window->texts[i].size = to - from;
        from = window->places[i].label_offset;
        to = i + 1 < window->count ? window->places[i + 1].label_offset : window->label_data.size;
        window->labels[i].data = to > from ? window->label_data.data + from : "";
        window->labels[i].size = to - from;
    }
}

void text_window_free(text_window *window) {
    bytes_free(&window->data);
    bytes_free(&window->label_data);
    free(window->texts);
    free(window->labels);
    free(window->places);
    memset(window, 0, sizeof *window);
}

static int window_grow(text_window *window) {
    size_t             capacity = window->capacity ? window->capacity * 2 : 1024;
    ade_text          *list = realloc(window->texts, capacity * sizeof *list);
    struct text_place *places;
    if (!list) return -1;
    window->texts = list;
    list = realloc(window->labels, capacity * sizeof *list);
    if (!list) return -1;
    window->labels = list;
    places = realloc(window->places, capacity * sizeof *places);
    if (!places) return -1;
    window->places = places;
    window->capacity = capacity;
    return 0;
}

int name_ends_in(const char *path, size_t size, const char *ending) {
    size_t length = strlen(ending);
    return size > length && strncasecmp(path + size - length, ending, length) == 0;
}

texts_format texts_format_of_name(const char *path) {
    size_t size = strlen(path);
    if (name_ends_in(path, size, ".gz")) size -= 3;
    if (name_ends_in(path, size, ".csv")) return TEXTS_CSV;
    if (name_ends_in(path, size, ".tsv")) return TEXTS_TSV;
    if (name_ends_in(path, size, ".jsonl") || name_ends_in(path, size, ".ndjson")) return TEXTS_JSONL;
    return TEXTS_LINES;
}

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static texts_result
fail(texts_problem *problem, uint64_t line, const char *format, ...) {
    va_list arguments;
    size_t  used = 0;
    if (line > 0) used = (size_t)snprintf(problem->error, sizeof problem->error, "line %llu", (unsigned long long)line);
    va_start(arguments, format);
    vsnprintf(problem->error + used, sizeof problem->error - used, format, arguments);
    va_end(arguments);
    return TEXTS_ERROR;
}

static void hint(texts_problem *problem, const char *text) {
    snprintf(problem->hint, sizeof problem->hint, "%s", text);
}

/* Kinds of file whose lines are no texts. */
static const struct {
    const char *kind, *suffixes[4], *first_bytes;
} no_texts[] = {{"XML", {".xml"}, "<?xml"},
                {"JSON", {".json"}, NULL},
                {"PDF", {".pdf"}, "%PDF"},
                {"HTML", {".html", ".htm"}, NULL},
                {"a ZIP archive or an office document", {".zip", ".xlsx", ".docx"}, "PK\x03\x04"},
                {"an office document", {".xls", ".doc"}, NULL},
                {"Parquet", {".parquet"}, NULL}};

static texts_result fail_no_text(texts_problem *problem, uint64_t line, size_t number, const char *told_by) {
    const char *kind = no_texts[number].kind;
    if (strcmp(kind, "XML") == 0)
        hint(problem, "MEDLINE XML goes to 'adesieve screen'; --input-format lines reads the file as it is");
    else if (strcmp(kind, "JSON") == 0)
        hint(problem, "one object a line is read with --input-format jsonl");
    else
        hint(problem, "convert it to plain text, CSV or JSON Lines (.jsonl)");
    return fail(problem, line, "%sseems to be %s by its %s, not one text a line.", line > 0 ? ": " : "", kind, told_by);
}

static texts_result check_name(const char *path, texts_problem *problem) {
    size_t size = strlen(path);
    if (name_ends_in(path, size, ".gz")) size -= 3;
    for (size_t i = 0; i < sizeof no_texts / sizeof no_texts[0]; i++)
        for (size_t j = 0; j < 4 && no_texts[i].suffixes[j]; j++)
            if (name_ends_in(path, size, no_texts[i].suffixes[j])) return fail_no_text(problem, 0, i, "name");
    return TEXTS_FULL;
}

static texts_result check_first_bytes(const char *data, size_t size, texts_problem *problem) {
    for (size_t i = 0; i < sizeof no_texts / sizeof no_texts[0]; i++) {
        const char *first = no_texts[i].first_bytes;
        if (first && size >= strlen(first) && memcmp(data, first, strlen(first)) == 0)
            return fail_no_text(problem, 1, i, "first bytes");
    }
    return TEXTS_FULL;
}

/* Lines hold no labels; where lines are but a guess, what the name says is more to the point. */
static texts_result check_labels(const texts_options *options, texts_problem *problem) {
    if (!options->label || (options->format != TEXTS_LINES && options->format != TEXTS_PROBABLY_LINES))
        return TEXTS_FULL;
    hint(problem,
         "give CSV or TSV with the columns text and label, or JSON Lines; where the name does not say so, with "
         "--input-format");
    return fail(problem, 0, "is read as one text a line, which has no labels.");
}

texts *texts_open(const char *path, const texts_options *options, uint32_t input_number, texts_problem *problem) {
    texts *in = calloc(1, sizeof *in);
    problem->error[0] = problem->hint[0] = '\0';
    if (!in) {
        fail(problem, 0, "out of memory.");
        return NULL;
    }
    in->options = *options;
    in->input_number = input_number;
    in->line = 1;
    if (in->options.max_bytes == 0) in->options.max_bytes = default_max_bytes;
    in->source = input_open(path, problem->error, sizeof problem->error);
    if (!in->source || (options->format == TEXTS_PROBABLY_LINES && check_name(path, problem) != TEXTS_FULL) ||
        check_labels(options, problem) != TEXTS_FULL) {
        texts_close(in);
        return NULL;
    }
    return in;
}

void texts_close(texts *in) {
    if (!in) return;
    input_close(in->source);
    free(in->buffer);
    bytes_free(&in->repaired);
    free(in);
}

uint64_t texts_position(const texts *in) { return input_position(in->source); }

/* ---- Records ---- */

/* Reads more bytes behind those that are there. */
static texts_result read_more(texts *in, texts_problem *problem) {
    ssize_t n;
    if (in->begin > 0) {
        memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    if (in->end > in->options.max_bytes) {
        hint(problem, "is this the right --input-format?");
        return fail(problem, in->line, ": is longer than %llu bytes, the most that one text may have.",
                    (unsigned long long)in->options.max_bytes);
    }
    if (in->end == in->capacity) {
        size_t capacity = in->capacity ? in->capacity * 2 : FIRST_BUFFER;
        char  *buffer = realloc(in->buffer, capacity);
        if (!buffer) return fail(problem, in->line, ": out of memory after %llu bytes.", (unsigned long long)in->end);
        in->buffer = buffer;
        in->capacity = capacity;
    }
    n = input_read(in->source, in->buffer + in->end, in->capacity - in->end, problem->error, sizeof problem->error);
    if (n == INPUT_INTERRUPTED) return TEXTS_INTERRUPTED;
    if (n < 0) return TEXTS_ERROR;
    if (n == 0) in->at_end = 1;
    in->end += (size_t)n;
    return TEXTS_FULL;
}

/* Looks for the end of the record at `begin` in what has been read; 1 when found. *size is without the line end, *next
 * with it. A record ends at a line feed, in CSV only outside quotes. */
static int find_end(texts *in, size_t *size, size_t *next) {
    const char *record = in->buffer + in->begin;
    size_t      have = in->end - in->begin;
    if (in->options.format != TEXTS_CSV) {
        const char *feed = have > in->scanned ? memchr(record + in->scanned, '\n', have - in->scanned) : NULL;
        in->scanned = feed ? (size_t)(feed - record) : have;
        if (!feed) return 0;
    } else {
        for (; in->scanned < have; in->scanned++) {
            char c = record[in->scanned];
            if (in->csv_state == QUOTED) {
                if (c == '"') in->csv_state = QUOTE_IN_QUOTED;
            } else if (c == '\n') {
                break;
            } else if (c == ',') {
                in->csv_state = FIELD_START;
            } else if (c == '"' && in->csv_state != UNQUOTED) {
                in->csv_state = QUOTED; /* opens the field, or is the second of a doubled quote */
            } else {
                in->csv_state = UNQUOTED;
            }
        }
        if (in->scanned == have) return 0;
    }
    *size = in->scanned;
    *next = in->scanned + 1;
    if (*size > 0 && record[*size - 1] == '\r') --*size;
    return 1;
}

/* The next record: TEXTS_FULL when there is one. `may_wait`: return TEXTS_WAITING rather than wait for more bytes. */
static texts_result next_record(texts *in, int may_wait, size_t *size, size_t *next, texts_problem *problem) {
    in->scanned = 0;
    in->csv_state = FIELD_START;
    for (;;) {
        texts_result result;
        if (!in->started && (in->end - in->begin >= 3 || in->at_end)) {
            in->started = 1;
            if (in->end >= 3 && memcmp(in->buffer, "\xef\xbb\xbf", 3) == 0) in->begin = 3;
            if (in->end >= 2 && (memcmp(in->buffer, "\xff\xfe", 2) == 0 || memcmp(in->buffer, "\xfe\xff", 2) == 0) &&
                !in->options.replace) {
                hint(problem, "convert it with: iconv -f UTF-16 -t UTF-8 FILE");
                return fail(problem, 1, ", byte 1: is UTF-16, not UTF-8.");
            }
        }
        if (in->started && in->begin < in->end && find_end(in, size, next)) break;
        if (in->at_end) {
            if (in->begin == in->end) return TEXTS_END;
            if (in->options.format == TEXTS_CSV && in->csv_state == QUOTED) {
                hint(problem, "a quote inside a quoted field is written twice; a file that does not do so is not CSV");
                return fail(problem, in->line, ": a record begins whose opening quote is never closed.");
            }
            *size = *next = in->end - in->begin; /* the last line has no line feed */
            if (in->buffer[in->end - 1] == '\r') --*size;
            break;
        }
        if (may_wait && input_would_wait(in->source)) return TEXTS_WAITING;
        result = read_more(in, problem);
        if (result != TEXTS_FULL) return result;
    }
    if (*size > in->options.max_bytes) {
        hint(problem, "is this the right --input-format?");
        return fail(problem, in->line, ": is longer than %llu bytes, the most that one text may have.",
                    (unsigned long long)in->options.max_bytes);
    }
    return TEXTS_FULL;
}

/* ---- The text in a record ---- */

/* Names line and byte of the first invalid byte of record[from..to), which is in the record at in->line. */
static texts_result fail_utf8(const texts *in, const char *record, size_t from, size_t to, texts_problem *problem) {
    size_t   at = from + utf8_valid_prefix(record + from, to - from), line_start = 0;
    uint64_t line = in->line;
    for (size_t i = 0; i < at; i++)
        if (record[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    hint(problem, "convert the file (iconv -f WINDOWS-1252 -t UTF-8), or use --invalid-utf8 replace");
    return fail(problem, line, ", byte %llu: is not UTF-8 (0x%02x).", (unsigned long long)(at - line_start + 1),
                (unsigned)(unsigned char)record[at]);
}

/* Appends `text`, repaired where that is asked for; returns how many parts were replaced. */
static size_t put_read(const texts *in, bytes *out, const ade_text *text) {
    if (in->options.replace) return put_valid_utf8(out, text->data, text->size);
    put_raw(out, text->data, text->size);
    return 0;
}

static texts_result add_text(texts *in, text_window *window, const ade_text *text, const ade_text *label,
                             size_t replaced, texts_problem *problem) {
    struct text_place *place;
    size_t             offset = window->data.size, label_offset = window->label_data.size;
    if (window->count == window->capacity && window_grow(window) != 0)
        return fail(problem, in->line, ": out of memory.");
    replaced += put_read(in, &window->data, text);
    if (in->options.label) replaced += put_read(in, &window->label_data, label);
    if (window->data.failed || window->label_data.failed) {
        window->data.failed = window->label_data.failed = 0;
        window->data.size = offset;
        window->label_data.size = label_offset;
        return fail(problem, in->line, ": out of memory for a text of %llu bytes.", (unsigned long long)text->size);
    }
    place = &window->places[window->count++];
    place->offset = offset;
    place->label_offset = label_offset;
    place->line = in->line;
    place->input = in->input_number;
    place->replaced = replaced > UINT32_MAX ? UINT32_MAX : (uint32_t)replaced;
    return TEXTS_FULL;
}

static texts_result take_line(texts *in, text_window *window, const char *record, size_t size, texts_problem *problem) {
    ade_text text = {record, size};
    if (in->line == 1 && in->options.format == TEXTS_PROBABLY_LINES &&
        check_first_bytes(record, size, problem) != TEXTS_FULL)
        return TEXTS_ERROR;
    if (!in->options.replace && utf8_valid_prefix(record, size) != size) return fail_utf8(in, record, 0, size, problem);
    return add_text(in, window, &text, NULL, 0, problem);
}

/* One field of a record as it is stored: [from, to) with its quotes. */
typedef struct field {
    size_t from, to;
    int    quoted;
} field;

/* The field that begins at `from`; *next is where the following one begins, or size + 1 behind the last. Returns 0, or
 * -1 when something stands between a closing quote and the separator; then field->to is where. */
static int read_field(texts_format format, const char *record, size_t size, size_t from, field *out, size_t *next) {
    char   separator = format == TEXTS_CSV ? ',' : '\t';
    size_t i = from;
    out->from = from;
    out->quoted = format == TEXTS_CSV && i < size && record[i] == '"';
    if (out->quoted) {
        for (i++; i < size; i++) {
            if (record[i] != '"') continue;
            if (i + 1 < size && record[i + 1] == '"')
                i++;
            else
                break;
        }
        i++; /* behind the closing quote, which find_end has seen */
        if (i < size && record[i] != separator) {
            out->to = i;
            return -1;
        }
    } else {
        const char *end = from < size ? memchr(record + from, separator, size - from) : NULL;
        i = end ? (size_t)(end - record) : size;
    }
    out->to = i < size ? i : size;
    *next = i + 1;
    return 0;
}

/* What the stored field means, in *text: quotes undone, or \t \n \r \\ undone. The field must have room: it only gets
 * shorter, so it is undone in place. */
static size_t undo_field(texts_format format, char *record, const field *where) {
    char  *from = record + where->from, *to = from;
    size_t size = where->to - where->from;
    if (where->quoted) {
        for (size_t i = 1; i + 1 < size; i++) {
            *to++ = from[i];
            if (from[i] == '"') i++; /* the first of two */
        }
        return (size_t)(to - from);
    }
    if (format != TEXTS_TSV) return size;
    for (size_t i = 0; i < size; i++) {
        char next = i + 1 < size ? from[i + 1] : '\0';
        if (from[i] == '\\' && (next == 't' || next == 'n' || next == 'r' || next == '\\')) {
            *to++ = next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : '\\';
            i++;
        } else {
            *to++ = from[i];
        }
    }
    return (size_t)(to - from);
}

static texts_result fail_field(const texts *in, const char *record, size_t at, texts_problem *problem) {
    size_t   line_start = 0;
    uint64_t line = in->line;
    for (size_t i = 0; i < at; i++)
        if (record[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    hint(problem, "a quote inside a quoted field is written twice");
    return fail(problem, line, ", byte %llu: a closing quote is followed by something other than a comma.",
                (unsigned long long)(at - line_start + 1));
}

static int is_named(const char *name, const char *data, size_t size) {
    return name && size == strlen(name) && memcmp(data, name, size) == 0;
}

/* The header line: finds the columns. */
static texts_result take_header(texts *in, char *record, size_t size, texts_problem *problem) {
    const char *missing = in->options.field;
    char        names[600] = "";
    size_t      used = 0, next = 0, found = 0, labels_found = 0;
    char        other = in->options.format == TEXTS_CSV ? '\t' : ',';
    int         separated = memchr(record, ';', size) || memchr(record, other, size); /* by something else */
    for (size_t from = 0; from <= size; from = next) {
        field  where;
        size_t length;
        if (read_field(in->options.format, record, size, from, &where, &next) != 0)
            return fail_field(in, record, where.to, problem);
        length = undo_field(in->options.format, record, &where);
        if (is_named(in->options.field, record + where.from, length)) {
            in->column = in->n_columns;
            found++;
        }
        if (is_named(in->options.label, record + where.from, length)) {
            in->label_column = in->n_columns;
            labels_found++;
        }
        in->n_columns++;
        if (used + 8 < sizeof names) {
            int shown = length > 60 ? 60 : (int)length;
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", used ? ", " : "", shown,
                                     record + where.from);
            if (used + 8 >= sizeof names) {
                used = sizeof names - 8;
                snprintf(names + used, 8, ", ...");
            }
        }
    }
    if (found == 1 && in->options.label) {
        missing = in->options.label;
        found = labels_found;
    }
    if (found == 1) return TEXTS_FULL;
    if (in->n_columns == 1 && separated)
        hint(problem, "fields are separated by commas in CSV, and by tabs in TSV");
    else if (missing == in->options.label)
        hint(problem, "choose one with --label-field NAME");
    else
        hint(problem,
             "choose one with --text-field NAME; a file without a header line is read with --input-format lines");
    if (found > 1) return fail(problem, in->line, ": the column '%s' is there %zu times.", missing, found);
    return fail(problem, in->line, ": there is no column '%s'; the columns are: %s.", missing, names);
}

static texts_result take_row(texts *in, text_window *window, char *record, size_t size, texts_problem *problem) {
    size_t   next = 0, count = 0;
    field    text = {0, 0, 0}, label = {0, 0, 0};
    ade_text text_read, label_read = {"", 0};
    if (size == 0 && in->n_columns > 1) return TEXTS_FULL; /* a blank line is no record where a record has commas */
    for (size_t from = 0; from <= size; from = next, count++) {
        field where;
        if (read_field(in->options.format, record, size, from, &where, &next) != 0)
            return fail_field(in, record, where.to, problem);
        if (count == in->column) text = where;
        if (count == in->label_column) label = where;
    }
    if (count != in->n_columns) {
        hint(problem, in->options.format == TEXTS_CSV ? "a text with commas must stand in quotes"
                                                      : "a tab inside a text is written \\t");
        return fail(problem, in->line, ": has %zu field%s, but the header line has %zu.", count, count == 1 ? "" : "s",
                    in->n_columns);
    }
    if (!in->options.replace && utf8_valid_prefix(record + text.from, text.to - text.from) != text.to - text.from)
        return fail_utf8(in, record, text.from, text.to, problem);
    if (in->options.label && !in->options.replace &&
        utf8_valid_prefix(record + label.from, label.to - label.from) != label.to - label.from)
        return fail_utf8(in, record, label.from, label.to, problem);
    text_read.data = record + text.from;
    text_read.size = undo_field(in->options.format, record, &text);
    if (in->options.label && in->label_column == in->column) {
        label_read = text_read; /* undone in place already */
    } else if (in->options.label) {
        label_read.data = record + label.from;
        label_read.size = undo_field(in->options.format, record, &label);
    }
    return add_text(in, window, &text_read, &label_read, 0, problem);
}

/* A record that lacks the field `wanted`, which `option` names. */
static texts_result fail_no_member(const texts *in, json_t *object, const char *wanted, const char *option,
                                   texts_problem *problem) {
    char        names[600] = "";
    size_t      used = 0;
    const char *name;
    json_t     *unused;
    json_object_foreach(object, name, unused) {
        if (used + 70 > sizeof names) break;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s", used ? ", " : "", name);
    }
    snprintf(problem->hint, sizeof problem->hint, "choose the field with %s NAME", option);
    return fail(problem, in->line, ": there is no field '%s'; the fields are: %s.", wanted, used ? names : "none");
}

/* The label of a record: a string, or a number as it is written, but a whole one without its point: programs that keep
 * numbers as floats write 1.0 for label 1. *written is to be freed. */
static texts_result take_json_label(const texts *in, json_t *object, ade_text *label, char **written,
                                    texts_problem *problem) {
    json_t *value = json_object_get(object, in->options.label);
    if (!value) return fail_no_member(in, object, in->options.label, "--label-field", problem);
    if (json_is_string(value)) {
        label->data = json_string_value(value);
        label->size = json_string_length(value);
        return TEXTS_FULL;
    }
    if (!json_is_number(value)) {
        hint(problem, json_is_null(value)      ? "leave texts out whose label is not known"
                      : json_is_boolean(value) ? "write the label's name, or its number, such as 0 or 1"
                                               : "each text has one label: its name, or its number");
        return fail(problem, in->line, ": the field '%s' is neither a string nor a number.", in->options.label);
    }
    *written = json_dumps(value, JSON_ENCODE_ANY);
    if (!*written) return fail(problem, in->line, ": out of memory.");
    label->data = *written;
    label->size = strlen(*written);
    if (json_is_real(value) && label->size > 2 && strcmp(*written + label->size - 2, ".0") == 0) label->size -= 2;
    return TEXTS_FULL;
}

static texts_result take_json(texts *in, text_window *window, const char *record, size_t size, texts_problem *problem) {
    json_error_t error;
    json_t      *object, *value;
    texts_result result;
    size_t       replaced = 0, blank = 0;
    while (blank < size && strchr(" \t\r", record[blank]) && record[blank] != '\0') blank++;
    if (blank == size) return TEXTS_FULL;
    if (utf8_valid_prefix(record, size) != size) {
        if (!in->options.replace) return fail_utf8(in, record, 0, size, problem);
        in->repaired.size = 0;
        replaced = put_valid_utf8(&in->repaired, record, size);
        if (in->repaired.failed) return fail(problem, in->line, ": out of memory.");
        record = in->repaired.data;
        size = in->repaired.size;
    }
    object = json_loadb(record, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!object)
        return fail(problem, in->line, ", byte %d: is not JSON: %s.", error.position > 0 ? error.position : 1,
                    error.text);
    value = json_object_get(object, in->options.field);
    if (!json_is_object(object)) {
        hint(problem, "each line must hold one object, such as {\"text\": \"Rash after amoxicillin.\"}");
        result = fail(problem, in->line, ": is JSON, but not an object.");
    } else if (!value) {
        result = fail_no_member(in, object, in->options.field, "--text-field", problem);
    } else if (!json_is_string(value)) {
        result = fail(problem, in->line, ": the field '%s' is not a string.", in->options.field);
    } else {
        ade_text text = {json_string_value(value), json_string_length(value)}, label = {"", 0};
        char    *written = NULL;
        result = in->options.label ? take_json_label(in, object, &label, &written, problem) : TEXTS_FULL;
        if (result == TEXTS_FULL) result = add_text(in, window, &text, &label, replaced, problem);
        free(written);
    }
    json_decref(object);
    return result;
}

texts_result texts_fill(texts *in, text_window *window, size_t max_texts, size_t max_bytes, texts_problem *problem) {
    problem->error[0] = problem->hint[0] = '\0';
    while (window->count < max_texts && window->data.size + window->label_data.size < max_bytes) {
        size_t       size = 0, next = 0;
        uint64_t     lines = 1;
        texts_result result = next_record(in, window->count > 0, &size, &next, problem);
        char        *record;
        int          table = in->options.format == TEXTS_CSV || in->options.format == TEXTS_TSV;
        if (result == TEXTS_END && table && in->n_columns == 0) {
            hint(problem, "the first line must name the columns");
            return fail(problem, 0, "is empty: it has no header line.");
        }
        if (result != TEXTS_FULL) return result;
        record = in->buffer + in->begin;
        if (in->options.format == TEXTS_CSV) { /* counted now: quotes are undone in place */
            lines = 0;
            for (const char *at = record, *end = record + next; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;
                 at++)
                lines++;
        }
        if (table && in->n_columns == 0)
            result = take_header(in, record, size, problem);
        else if (table)
            result = take_row(in, window, record, size, problem);
        else if (in->options.format == TEXTS_JSONL)
            result = take_json(in, window, record, size, problem);
        else
            result = take_line(in, window, record, size, problem);
        if (result != TEXTS_FULL) return result;
        in->begin += next;
        in->line += lines;
    }
    return TEXTS_FULL;
}
