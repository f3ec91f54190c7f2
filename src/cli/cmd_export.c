/* SPDX-License-Identifier: Apache-2.0
 * adesieve export: what a store holds, in the format that somebody else reads. The library gives one record after the
 * other; here is which of them are wanted, in which order, and where they go. */
#include "commands.h"

#include "engine.h"
#include "exit_status.h"
#include "export_format.h"
#include "export_sort.h"
#include "messages.h"
#include "progress.h"
#include "signals.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const format_names[] = {"jsonl", "tsv", "csv", "pubannotation", "brat", "ris"};

typedef struct export_run {
    const settings *wanted;
    const char     *store;
    ade_export     *from;
    ade_export_info info;
    double          threshold, asked; /* of the hits; the same as the library is asked for it */
    int             sorted;
    output          out;
    brat_folder     brat;
    export_sort     sort;
    bytes           made; /* the document at work, when they are sorted */
    uint64_t        records, hits, deleted;
} export_run;

/* ---- What is asked for ---- */

static int is_rows(int format) { return format <= EXPORT_CSV; }

static int refuse(const char *option, const char *why) {
    say(SAY_ERROR, "'%s' %s.", option, why);
    return CLI_USAGE;
}

static int format_of_name(const char *path) {
    static const struct {
        const char *suffix;
        int         format;
    } suffixes[] = {{".tsv", EXPORT_TSV}, {".csv", EXPORT_CSV}, {".ris", EXPORT_RIS}};
    size_t size = path ? strlen(path) : 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (size > 4 && strcasecmp(path + size - 4, suffixes[i].suffix) == 0) return suffixes[i].format;
    return EXPORT_JSONL;
}

static int check_summary(const settings *wanted) {
    const struct {
        int         given;
        const char *name;
    } others[] = {{wanted->format >= 0, "--format"},       {wanted->output_dir != NULL, "--output-dir"},
                  {wanted->threshold >= 0, "--threshold"}, {wanted->sort >= 0, "--sort"},
                  {wanted->limit > 0, "--limit"},          {wanted->document, "--document"},
                  {wanted->metadata, "--metadata"},        {wanted->no_text, "--no-text"},
                  {wanted->deleted, "--deleted"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i].given) return refuse(others[i].name, "has no meaning with '--summary', which writes no hits");
    return CLI_OK;
}

/* Options that are not of the format are refused: nobody shall think that they did something. */
static int check_options(settings *wanted) {
    const char *named = wanted->n_files > 0 ? wanted->files[0] : NULL;
    if (wanted->n_files != 1 || strcmp(named, "-") == 0) {
        if (wanted->n_files == 0)
            say(SAY_ERROR, "no store is given.");
        else if (wanted->n_files == 1)
            say(SAY_ERROR, "a store cannot be read from standard input.");
        else
            say(SAY_ERROR, "one store at a time: '%.200s' is one too many.", wanted->files[1]);
        say(SAY_HINT, "name the file that 'adesieve screen --state' made: adesieve export [OPTIONS] STORE");
        return CLI_USAGE;
    }
    if (wanted->summary) return check_summary(wanted);
    if (wanted->format < 0) wanted->format = format_of_name(wanted->output);
    if (!is_rows(wanted->format)) {
        if (wanted->no_text)
            return refuse("--no-text", "is for jsonl, tsv and csv; this format is nothing without texts");
        if (wanted->document)
            return refuse("--document", "is for jsonl, tsv and csv; this format has one entry a record");
        if (wanted->metadata) return refuse("--metadata", "is for jsonl, tsv and csv");
        if (wanted->deleted) return refuse("--deleted", "is for jsonl, tsv and csv");
    }
    if (wanted->format == EXPORT_BRAT) {
        if (wanted->output)
            return refuse("--output", "is a file, and brat needs a folder: name it with '--output-dir DIR'");
        if (!wanted->output_dir) return refuse("--format brat", "needs a folder: name it with '--output-dir DIR'");
        if (wanted->sort >= 0) return refuse("--sort", "has no meaning for brat's files");
    } else if (wanted->output_dir) {
        return refuse("--output-dir", "is for brat; name a file with '--output FILE'");
    }
    if (wanted->sort < 0) wanted->sort = wanted->format == EXPORT_RIS ? EXPORT_BY_SCORE : EXPORT_BY_PMID;
    return CLI_OK;
}

/* ---- Documents ---- */

static void count(export_run *run, uint64_t hits) {
    if (hits > 0)
        run->records++;
    else
        run->deleted++;
    run->hits += hits;
}

/* The score that a record is sorted by; a deleted one has none and comes last. */
static double score_of(const ade_export_document *document) {
    double highest = -INFINITY;
    for (size_t i = 0; i < document->n_rows; i++)
        if (document->rows[i].result.score > highest) highest = document->rows[i].result.score;
    return highest;
}

static int check_document(const export_run *run, const ade_export_document *document) {
    const settings *wanted = run->wanted;
    int             texts = document->n_parts > 0;
    for (size_t i = 0; i < document->n_rows; i++) {
        if (!isfinite(document->rows[i].result.score)) {
            say(SAY_ERROR, "%s: PMID %lld: a score is not a number; the store is damaged.", run->store,
                (long long)document->record->pmid);
            say(SAY_HINT, "screen again into a new store");
            return CLI_FAILED;
        }
        if (is_rows(wanted->format)) texts = document->rows[i].text.size > 0;
        if (texts || wanted->no_text) continue;
        say(SAY_ERROR, "%s: the store keeps no texts, which '--format %s' needs: it was made with '--no-store-text'.",
            run->store, format_names[wanted->format]);
        if (is_rows(wanted->format))
            say(SAY_HINT, "write rows without texts: '--no-text'");
        else
            say(SAY_HINT, "write rows without texts ('--format jsonl --no-text'), or screen again into a new store "
                          "without '--no-store-text'");
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int make_document(export_run *run, bytes *out, const ade_export_document *document) {
    switch (run->wanted->format) {
    case EXPORT_PUBANNOTATION: return export_pubannotation_put(out, document);
    case EXPORT_RIS: return export_ris_put(out, document, run->threshold);
    default: return export_rows_put(out, run->wanted, document);
    }
}

static int put_document(export_run *run, const ade_export_document *document) {
    double  score = score_of(document);
    int64_t pmid = document->record->pmid;
    int     status;
    if (run->wanted->format == EXPORT_BRAT) return export_brat_put(&run->brat, document);
    if (!run->sorted) {
        status = make_document(run, &run->out.rows, document);
        return status == CLI_OK ? output_row_end(&run->out) : status;
    }
    if (!export_sort_wants(&run->sort, score, pmid)) return CLI_OK;
    run->made.size = 0;
    status = make_document(run, &run->made, document);
    return status == CLI_OK ? export_sort_add(&run->sort, score, pmid, document->n_rows, &run->made) : status;
}

static int put_sorted(export_run *run) {
    int status = export_sort_write(&run->sort, &run->out);
    for (size_t i = 0; i < run->sort.count && status == CLI_OK; i++) count(run, run->sort.places[i].hits);
    return status;
}

static int put_documents(export_run *run) {
    uint64_t read = 0, total = run->info.documents + (run->wanted->deleted ? run->info.deleted : 0);
    for (;;) {
        ade_export_document document = ADE_EXPORT_DOCUMENT_INIT;
        ade_status          result;
        int                 status;
        if (signals_interrupted()) return CLI_INTERRUPTED;
        if (!run->sorted && run->wanted->limit > 0 && read >= run->wanted->limit) return CLI_OK;
        result = ade_export_next(run->from, run->asked, run->wanted->deleted, &document);
        if (result == ADE_END) return run->sorted ? put_sorted(run) : CLI_OK;
        if (result != ADE_OK) return engine_failed(result, NULL);
        status = check_document(run, &document);
        if (status == CLI_OK) status = put_document(run, &document);
        if (status != CLI_OK) return status;
        if (!run->sorted) count(run, document.n_rows);
        read++;
        progress_update(read, "records", total > 0 ? (double)read / (double)total : -1);
    }
}

/* ---- The run ---- */

/* "name: value" lines and JSON objects stand as the library gives them, below a heading. */
static void put_lines(bytes *out, const char *heading, const char *lines) {
    put_literal(out, heading);
    put_literal(out, "\n");
    while (lines && *lines) {
        size_t length = strcspn(lines, "\n");
        put_literal(out, "  ");
        put_valid_utf8(out, lines, length);
        put_literal(out, "\n");
        lines += length + (lines[length] == '\n');
    }
}

static void put_count(bytes *out, const char *name, uint64_t count) {
    put_literal(out, name);
    put_unsigned(out, count);
    put_literal(out, "\n");
}

static int write_summary(export_run *run) {
    bytes *out = &run->out.rows;
    int    status = output_open(&run->out, run->wanted->output, &run->store, 1);
    if (status != CLI_OK) return status;
    put_literal(out, "store: ");
    put_valid_utf8(out, run->store, strlen(run->store));
    put_literal(out, run->info.complete ? "\nlast run: complete\n" : "\nlast run: interrupted\n");
    put_count(out, "files: ", run->info.files);
    put_count(out, "records: ", run->info.records);
    put_count(out, "deleted: ", run->info.deleted);
    put_count(out, "records with hits: ", run->info.documents);
    put_count(out, "hits: ", run->info.hits);
    put_literal(out, "threshold: ");
    put_float(out, (float)run->info.threshold);
    put_literal(out, "\n");
    put_lines(out, "settings:", run->info.settings);
    put_lines(out, "runs:", run->info.runs);
    return output_finish(&run->out, 1);
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static void say_counts(const export_run *run) {
    char deleted[64] = "";
    if (run->wanted->deleted)
        snprintf(deleted, sizeof deleted, ", and %llu deletion%s", (unsigned long long)run->deleted,
                 plural(run->deleted));
    say(SAY_NOTE, "%llu record%s with %llu hit%s at a threshold of %g%s", (unsigned long long)run->records,
        plural(run->records), (unsigned long long)run->hits, plural(run->hits), run->threshold, deleted);
}

static int open_outputs(export_run *run) {
    const settings *wanted = run->wanted;
    int             status;
    if (wanted->format == EXPORT_BRAT) return export_brat_open(&run->brat, wanted->output_dir);
    status = output_open(&run->out, wanted->output, &run->store, 1);
    if (status == CLI_OK && run->sorted) status = export_sort_open(&run->sort, &run->out, wanted->limit);
    if (status == CLI_OK && is_rows(wanted->format)) export_rows_header(&run->out.rows, wanted);
    return status;
}

static int run_export(export_run *run) {
    const settings *wanted = run->wanted;
    ade_status      result = ade_export_open(run->store, &run->from);
    int             status, finished;
    run->info = (ade_export_info)ADE_EXPORT_INFO_INIT;
    if (result == ADE_OK) result = ade_export_get_info(run->from, &run->info);
    if (result != ADE_OK) return engine_failed(result, NULL);
    if (wanted->summary) return write_summary(run);
    /* Scores are floats, and so is what they are compared with: 0.1 here is the 0.1 that the store was made with. */
    run->threshold = (float)(wanted->threshold < 0 ? run->info.threshold : wanted->threshold);
    run->asked = run->threshold > (float)run->info.threshold ? run->threshold : -1; /* -1: the store's own */
    if (run->threshold < (float)run->info.threshold) {
        say(SAY_ERROR, "'--threshold %g' is lower than the store's, %g: it holds no sentence below that.",
            run->threshold, run->info.threshold);
        say(SAY_HINT, "screen again into a new store, with the lower threshold");
        return CLI_USAGE;
    }
    if (!run->info.complete)
        say(SAY_WARNING, "%s: the last run was interrupted; what it had not yet confirmed is not in the store.",
            run->store);
    status = open_outputs(run);
    if (status == CLI_OK) status = put_documents(run);
    progress_hide();
    if (status != CLI_OK && status != CLI_CLOSED) return status;
    finished =
        wanted->format == EXPORT_BRAT ? export_brat_finish(&run->brat, 1) : output_finish(&run->out, status == CLI_OK);
    if (finished != CLI_OK) return finished;
    if (status == CLI_OK) say_counts(run);
    return status;
}

int cmd_export(settings *wanted) {
    export_run  run = {0};
    output      out = OUTPUT_CLOSED_INIT;
    brat_folder brat = BRAT_FOLDER_CLOSED_INIT;
    export_sort sort = EXPORT_SORT_CLOSED_INIT;
    int         status = check_options(wanted);
    if (status != CLI_OK) return status;
    run.wanted = wanted;
    run.store = wanted->files[0];
    run.sorted = wanted->sort == EXPORT_BY_SCORE;
    run.out = out;
    run.brat = brat;
    run.sort = sort;
    progress_start(wanted->progress, wanted->quiet);
    status = run_export(&run);
    progress_hide();
    output_finish(&run.out, 0); /* what was not finished above is not complete */
    export_brat_finish(&run.brat, 0);
    export_sort_close(&run.sort);
    bytes_free(&run.made);
    ade_export_close(run.from);
    return status;
}
