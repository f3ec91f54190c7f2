/* SPDX-License-Identifier: Apache-2.0
 * What screen says: a line for each file, the summary, the statistics. */
#include "cmd_screen.h"

#include "exit_status.h"
#include "messages.h"
#include "stage_times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int get_run_stats(screen_run *run) {
    ade_status result;
    run->stats = (ade_screen_stats)ADE_SCREEN_STATS_INIT;
    result = ade_screen_get_stats(run->screen, &run->stats);
    return result == ADE_OK ? CLI_OK : engine_failed(result, NULL);
}

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t value, char *text) {
    char   digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value), at = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

/* ---- A file ---- */

#define COUNT(name, member) json_object_set_new(object, name, json_integer((json_int_t)s->member))

json_t *file_object(const ade_screen_file *s) {
    json_t *object = json_object();
    if (!object) return NULL;
    json_object_set_new(object, "path", json_from_text(s->path));
    json_object_set_new(object, "name", json_from_text(s->name));
    json_object_set_new(object, "status",
                        json_string(s->status == ADE_END  ? "cut by --limit"
                                    : s->status != ADE_OK ? "failed"
                                    : s->skipped          ? "skipped"
                                                          : "done"));
    if (s->error && s->status != ADE_END) json_object_set_new(object, "error", json_from_text(s->error));
    json_object_set_new(object, "md5", s->md5 && *s->md5 ? json_string(s->md5) : json_null());
    json_object_set_new(object, "md5_checked", json_boolean(s->md5_checked));
    COUNT("bytes", bytes);
    COUNT("bytes_xml", bytes_xml);
    COUNT("citations", citations);
    COUNT("new", new_citations);
    COUNT("revised", revised);
    COUNT("unchanged", unchanged);
    COUNT("superseded", superseded);
    COUNT("deleted", deleted);
    COUNT("sentences", sentences);
    COUNT("screened", screened);
    COUNT("hits", hits);
    COUNT("rows", rows);
    COUNT("tokens", tokens);
    return object;
}

/* "30 new, 2 revised" */
static const char *kinds_text(const ade_screen_file *file, char *text, size_t size) {
    const struct {
        uint64_t    count;
        const char *name;
    } kinds[] = {{file->new_citations, "new"},
                 {file->revised, "revised"},
                 {file->unchanged, "unchanged"},
                 {file->superseded, "superseded"}};
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < 4; i++) {
        char n[32];
        if (kinds[i].count == 0) continue;
        at += (size_t)snprintf(text + at, size - at, "%s%s %s", at > 0 ? ", " : "", grouped(kinds[i].count, n),
                               kinds[i].name);
    }
    return text;
}

static const char *shown_name(const ade_screen_file *file) {
    return strcmp(file->name, "-") == 0 ? "standard input" : file->name;
}

static void say_done(const screen_run *run, const ade_screen_file *file, const char *json) {
    char kinds[200], deleted[64] = "", hits[64] = "", n[4][32];
    kinds_text(file, kinds, sizeof kinds);
    if (file->deleted > 0) snprintf(deleted, sizeof deleted, ", %s deleted", grouped(file->deleted, n[0]));
    if (!run->wanted->dry_run) snprintf(hits, sizeof hits, ", %s hit%s", grouped(file->hits, n[0]), plural(file->hits));
    say_with(SAY_NOTE, "file", json, "%s: %s citation%s%s%s%s%s, %s sentence%s%s, %.1f s%s", shown_name(file),
             grouped(file->citations, n[1]), plural(file->citations), *kinds ? " (" : "", kinds, *kinds ? ")" : "",
             deleted, grouped(file->sentences, n[2]), plural(file->sentences), hits, file->seconds,
             file->status == ADE_END ? "; --limit is reached, and the rest was not read" : "");
}

void say_file(const screen_run *run, const ade_screen_file *file, uint64_t rows_left) {
    json_t *object = messages_json() ? file_object(file) : NULL;
    char   *json = NULL, n[2][32];
    if (object && json_object_set_new(object, "seconds", json_real(file->seconds)) == 0)
        json = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (file->status != ADE_OK && file->status != ADE_END) {
        const char *error = file->error ? file->error : ade_status_text((ade_status)file->status);
        if (run->out.kept)
            say_with(SAY_ERROR, "file", json, "%s; %s, the output of an earlier run, stays as it was", error,
                     run->out.kept);
        else if (rows_left > 0)
            say_with(SAY_ERROR, "file", json, "%s; %s of its rows %s already written", error, grouped(rows_left, n[0]),
                     rows_left == 1 ? "was" : "were");
        else
            say_with(SAY_ERROR, "file", json, "%s", error);
    } else if (file->skipped) {
        say_with(SAY_NOTE, "file", json, "%s: skipped, done before (%s citation%s, %s hit%s)", shown_name(file),
                 grouped(file->citations, n[0]), plural(file->citations), grouped(file->hits, n[1]),
                 plural(file->hits));
    } else {
        say_done(run, file, json);
    }
    json_decref(object);
    free(json);
}

/* ---- The summary ---- */

static void say_counts(const screen_run *run) {
    const ade_screen_stats *s = &run->stats;
    const settings         *wanted = run->wanted;
    uint64_t                deletions = run->out.n_deletions, rows = run->out.n_rows;
    char                    n[8][32], prefiltered[80] = "";
    say(SAY_NOTE, "citations  %s = %s new + %s revised + %s unchanged + %s superseded; %s deleted",
        grouped(s->citations, n[0]), grouped(s->new_citations, n[1]), grouped(s->revised, n[2]),
        grouped(s->unchanged, n[3]), grouped(s->superseded, n[4]), grouped(s->deleted, n[5]));
    say(SAY_NOTE, "           %s without abstract, %s without any text", grouped(s->without_abstract, n[0]),
        grouped(s->without_text, n[1]));
    if (run->prefilter.model)
        snprintf(prefiltered, sizeof prefiltered, ", %s of them by the prefilter", grouped(s->prefiltered, n[3]));
    say(SAY_NOTE, "sentences  %s = %s screened + %s skipped%s", grouped(s->sentences, n[0]), grouped(s->screened, n[1]),
        grouped(s->skipped, n[2]), prefiltered);
    if (wanted->dry_run) {
        say(SAY_NOTE, "time       %.1f s; %.0f citations/s", s->seconds_total,
            per_second((double)s->citations, s->seconds_total));
    } else {
        say(SAY_NOTE, "hits       %s at a threshold of %.9g; %s row%s = %s %s%s + %s deletion%s", grouped(s->hits, n[0]),
            run->threshold.score, grouped(rows, n[1]), plural(rows), grouped(rows - deletions, n[2]),
            wanted->document ? "document"
            : wanted->all    ? "sentence"
                             : "hit",
            plural(rows - deletions), grouped(deletions, n[3]), plural(deletions));
        say(SAY_NOTE, "documents  %s with a hit", grouped(s->documents, n[0]));
        say(SAY_NOTE, "tokens     %s, %s of them unknown; %s texts truncated", grouped(s->tokens, n[0]),
            grouped(s->unknown_tokens, n[1]), grouped(s->truncated_texts, n[2]));
        say(SAY_NOTE, "time       %.1f s (classifying %.1f s); %.0f sentences/s", s->seconds_total, s->seconds_classify,
            per_second((double)s->screened, s->seconds_total));
    }
}

int screen_lacks_outputs(const screen_run *run) { return run->wanted->abandon_output && run->out.outputs_missing > 0; }

void say_summary(const screen_run *run) {
    const ade_screen_stats *s = &run->stats;
    const settings         *wanted = run->wanted;
    uint32_t                failed = s->files_failed + run->inputs_refused;
    char                    n[1][32];
    if (s->files_skipped == 0 || s->files_skipped < s->files_total) say_counts(run);
    if (s->files_skipped > 0)
        say(SAY_NOTE, "skipped    %s input%s, done before", grouped(s->files_skipped, n[0]), plural(s->files_skipped));
    if (failed > 0) say(SAY_NOTE, "failed     %u input%s, named above", failed, plural(failed));
    if (run->out.untouched)
        say(SAY_NOTE, "no input was new: %s stays as it was", wanted->output ? wanted->output : wanted->parts);
    if (run->out.outputs_missing > 0)
        say(screen_lacks_outputs(run) ? SAY_ERROR : SAY_WARNING,
            "%s input%s done before, and no output is in %s for %s; 'adesieve export' writes what the store "
            "holds.",
            grouped(run->out.outputs_missing, n[0]), run->out.outputs_missing == 1 ? " was" : "s were",
            wanted->output_dir, run->out.outputs_missing == 1 ? "it" : "them");
}

/* ---- Statistics ---- */

json_t *count_object(const ade_screen_stats *s) {
    json_t *object = json_object();
    if (!object) return NULL;
    COUNT("files", files_total);
    COUNT("files_done", files_done);
    COUNT("files_failed", files_failed);
    COUNT("files_skipped", files_skipped);
    COUNT("bytes_read", bytes_read);
    COUNT("bytes_xml", bytes_xml);
    COUNT("citations", citations);
    COUNT("new", new_citations);
    COUNT("revised", revised);
    COUNT("unchanged", unchanged);
    COUNT("superseded", superseded);
    COUNT("deleted", deleted);
    COUNT("without_abstract", without_abstract);
    COUNT("without_text", without_text);
    COUNT("retracted", retracted);
    COUNT("books", books);
    COUNT("sentences", sentences);
    COUNT("screened", screened);
    COUNT("skipped", skipped);
    COUNT("prefiltered", prefiltered);
    COUNT("hits", hits);
    COUNT("documents", documents);
    COUNT("tokens", tokens);
    COUNT("unknown_tokens", unknown_tokens);
    COUNT("truncated_texts", truncated_texts);
    COUNT("replaced_utf8", replaced);
    return object;
}
#undef COUNT

json_t *run_stats_object(const screen_run *run) {
    const ade_screen_stats *s = &run->stats;
    json_t                 *object = engine_stats(&run->engine, "screen"), *counts = count_object(s);
    if (!object || !counts || json_object_update(object, counts) != 0) {
        json_decref(counts);
        json_decref(object);
        return NULL;
    }
    json_decref(counts);
    json_object_update_new(object, threshold_object(&run->threshold, run->wanted));
    json_object_set_new(object, "prefilter", prefilter_object(&run->prefilter));
    json_object_set_new(object, "inputs_refused", json_integer(run->inputs_refused));
    json_object_set_new(object, "rows", json_integer((json_int_t)run->out.n_rows));
    json_object_set_new(object, "rows_confirmed", json_integer((json_int_t)run->rows_confirmed));
    json_object_set_new(object, "seconds",
                        json_pack("{s:f, s:f, s:f, s:f, s:f}", "open", run->engine.seconds_open, "read",
                                  s->seconds_read, "classify", s->seconds_classify, "starved", s->seconds_starved,
                                  "total", s->seconds_total));
    json_object_set_new(object, "citations_per_second", json_real(per_second((double)s->citations, s->seconds_total)));
    json_object_set_new(object, "texts_per_second", json_real(per_second((double)s->screened, s->seconds_total)));
    json_object_set_new(object, "tokens_per_second", json_real(per_second((double)s->tokens, s->seconds_total)));
    json_object_set_new(object, "profile", profile_of_run(&run->engine, run->screen));
    return object;
}
