/* SPDX-License-Identifier: Apache-2.0
 * A run's life: opening it and its store, starting its threads, confirming, ending. delivery.c makes its rows. */
#include "screen.h"

#include "abi_struct.h"
#include "alloc.h"
#include "model.h"
#include "screen_run.h"
#include "profile.h"
#include "session.h"
#include "status.h"
#include "threads.h"
#include "version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_READERS 16
#define CPU_READERS 2 /* a processor classifies slower than it reads; more would only take memory */

/* Bytes that may be read ahead. Files are handed out in order, so a thread works on a later one only as far as there is
 * room for what it makes of it; one of NLM's files, 320 MB of XML, becomes about 100 MB. */
#define CPU_BUDGET ((size_t)8 << 20)
#define BUDGET ((size_t)192 << 20)

/* Texts. Enough to fill batches with texts of like length; on a processor rows should come every few seconds. */
#define CPU_WINDOW 2048
#define GPU_WINDOW 8192

/* Rules that decide which texts a model gets of a record, and where they begin and end: a change of the splitter, of the
 * reader's texts or of the hash changes this number, because a store made by others does not fit any more. */
#define TEXT_RULES "2"

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

/* The session asks while it classifies, on its own thread; the caller is asked on his. */
static int is_cancelled(void *user, uint64_t done, uint64_t total) {
    ade_screen *s = user;
    (void)done, (void)total;
    return atomic_load(&s->cancelled);
}

static const char *precision_name(int precision) {
    switch ((ade_precision)precision) {
    case ADE_PRECISION_F32: return "f32";
    case ADE_PRECISION_BF16: return "bf16";
    case ADE_PRECISION_F16: return "f16";
    case ADE_PRECISION_F64: return "f64";
    case ADE_PRECISION_INT8: return "int8";
    default: return "none";
    }
}

/* A float with as few digits as give it back, whatever the program's locale. */
static void put_number(char text[40], double value) {
    for (int digits = 1; digits <= 9; digits++) {
        (void)snprintf(text, 40, "%.*g", digits, value);
        if (strtof(text, NULL) == (float)value) break;
    }
    char *to = text;
    for (const char *from = text; *from; from++) { /* a locale's decimal point may be another, of several bytes */
        if (strchr("0123456789+-e", *from))
            *to++ = *from;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    }
    *to = '\0';
}

static ade_status open_store(ade_screen *s, const ade_session_options *session) {
    char             hash[65] = "", prefilter[65] = "", threshold[40], least[40], length[16], threads[16];
    ade_session_info info = ADE_SESSION_INFO_INIT;
    if (s->session) {
        ADE_TRY(ade__model_hash(s->model, hash));
        ADE_TRY(ade__session_get_info(s->session, &info));
    }
    if (s->options.prefilter) ADE_TRY(ade__model_hash(s->options.prefilter, prefilter));
    put_number(threshold, s->threshold);
    put_number(least, s->options.prefilter_threshold);
    (void)snprintf(length, sizeof length, "%d", (int)info.max_length);
    (void)snprintf(threads, sizeof threads, "%d", (int)info.threads);
    static const char *const others[] = {"none", "english", "all"};
    const ade_state_setting  settings[] = {
         {"model", hash},
         {"positive label", s->session ? s->model->config.labels[s->model->config.positive_label] : ""},
         {"threshold", threshold},
         {"precision", precision_name(info.precision)},
         {"max length", length},
         {"section labels", s->options.no_section_label ? "not joined" : "joined"},
         {"other abstracts", others[s->options.other_abstracts]},
         {"special tokens", session->split_special_tokens ? "split" : "kept"},
         {"texts", s->options.no_store_text ? "not kept" : "kept"},
         {"text rules", TEXT_RULES},
         {"prefilter", prefilter}, /* these two are there only if there is one, and last */
         {"prefilter threshold", least},
    };
    const size_t n_settings = sizeof settings / sizeof *settings - (s->options.prefilter ? 0 : 2);
    const ade_state_setting facts[] = {
        {"version", ADE_VERSION_TEXT}, {"model name", s->session ? s->model->name : ""},
        {"device", info.device_name}, {"instruction set", info.instruction_set},
        {"threads", threads}, {"prefilter name", s->options.prefilter ? s->options.prefilter->name : ""},
    };
    const ade_state_options options = {.settings = settings,
                                       .n_settings = s->options.dry_run ? 0 : n_settings,
                                       .facts = facts,
                                       .n_facts = sizeof facts / sizeof *facts,
                                       .read_only = s->options.dry_run != 0};
    return ade__state_open(s->options.store, &options, &s->state);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_name(const char *a, const char *b) {
    while (*a && lower(*a) == lower(*b)) a++, b++;
    return lower(*a) == lower(*b);
}

/* One that looks for something else would drop what the model looks for. */
static ade_status check_prefilter(const ade_model *model, const ade_model *prefilter) {
    if (!prefilter->baseline)
        return ade__fail(ADE_UNSUPPORTED, "%s is no baseline, and only a baseline can be a prefilter; give the folder of "
                                          "one, such as models/tfidf-logreg",
                         prefilter->folder);
    if (!model) return ADE_OK;
    const char *its = prefilter->config.labels[prefilter->config.positive_label];
    const char *ours = model->config.labels[model->config.positive_label];
    if (same_name(its, ours)) return ADE_OK;
    return ade__fail(ADE_INVALID_ARGUMENT,
                     "the prefilter %s looks for \"%.200s\" and the model %s for \"%.200s\", so it would drop what the "
                     "model is to find; give the model the same positive label, by positive_label or by its labels' "
                     "names, or take a prefilter that looks for the same",
                     prefilter->folder, its, model->folder, ours);
}

static ade_status check_options(const ade_model *model, const ade_screen_options *options) {
    if (!isfinite((float)options->threshold))
        return ade__fail(ADE_INVALID_ARGUMENT, "the threshold of a screening run is no number that a score can reach");
    if (options->record_rows && options->store)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "record rows are for files that are screened apart, and a store knows other files; leave out "
                         "record_rows or the store %s",
                         options->store);
    if (options->other_abstracts < ADE_OTHER_ABSTRACTS_NONE || options->other_abstracts > ADE_OTHER_ABSTRACTS_ALL)
        return ade__fail(ADE_INVALID_ARGUMENT, "other_abstracts is %d, none of ade_other_abstracts' values",
                         (int)options->other_abstracts);
    ADE_TRY(ade__prevalence_check(options->prevalence));
    if (options->prevalence != 0 && model && !model->calibration)
        return ade__fail(ADE_UNSUPPORTED,
                         "%s: a prevalence is for a model with a calibration, and this one has none; make it with "
                         "adesieve calibrate, or leave the prevalence out",
                         model->folder);
    if (options->prefilter) ADE_TRY(check_prefilter(model, options->prefilter));
    if (options->prefilter && !isfinite((float)options->prefilter_threshold))
        return ade__fail(ADE_INVALID_ARGUMENT, "the threshold of the prefilter is no number that a score can reach");
    if (!model && !options->dry_run)
        return ade__fail(ADE_INVALID_ARGUMENT, "a screening run without a model is possible as a dry run only");
    return ADE_OK;
}

static ade_status open_parts(ade_screen *s, ade_session_options *session) {
    session->progress = is_cancelled;
    session->progress_user = s;
    if (!s->options.dry_run) {
        ADE_TRY(ade__session_open(s->model, session, &s->session));
        s->n_labels = s->model->config.n_labels;
        s->regression = s->model->config.problem == ADE_PROBLEM_REGRESSION;
    }
    return s->options.store ? open_store(s, session) : ADE_OK;
}

ade_status ade__screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out) {
    const ade_screen_options defaults = ADE_SCREEN_OPTIONS_INIT;
    ade_session_options      session = ADE_SESSION_OPTIONS_INIT;
    if (!options) options = &defaults;
    ADE_TRY(check_options(model, options));
    if (options->session) ADE_TRY(ade__options_in(&session, sizeof session, options->session, "ade_session_options"));
    session.struct_size = (uint32_t)sizeof session;
    ade_screen *s = ade__calloc(1, sizeof *s);
    if (!s) return ADE_OUT_OF_MEMORY;
    atomic_flag_clear(&s->busy);
    s->owner = getpid();
    s->model = model;
    s->options = *options;
    if (s->options.dry_run) s->options.prefilter = NULL;
    if (s->options.prefilter) ade__model_retain(s->options.prefilter);
    s->options.prefilter_threshold = (double)(float)options->prefilter_threshold; /* as the one below */
    s->threshold = options->threshold < 0 ? 0.5 : (double)(float)options->threshold; /* a score, copied, reaches itself */
    s->progress = session.progress;
    s->progress_user = session.progress_user;
    s->log = (ade_log){session.log, session.log_user};
    s->threads = session.threads > 0 ? session.threads : ade__cpu_count();
    ade_status status = open_parts(s, &session);
    s->options.session = NULL; /* the caller's, not kept */
    s->drop_failed = options->store || options->drop_failed;
    s->options.store = NULL;
    if (status) {
        char text[sizeof s->over_text];
        ade__copy_error(text, sizeof text);
        ade__screen_close(s);
        return ade__adopt_error(status, text);
    }
    *out = s;
    return ADE_OK;
}

ade_status ade__screen_add(ade_screen *s, const char *path) {
    if (s->started)
        return ade__fail(ADE_INVALID_ARGUMENT,
                         "%s comes too late: files are added before the first row is fetched, because they are read in "
                         "the order of the numbers in their names",
                         path);
    ADE_TRY(ade__inputs_add(&s->inputs, path, &s->log));
    s->stats.files_total = s->inputs.n;
    return ADE_OK;
}

/* The order is put right at each question, for files may have been added since; once rows come it is not touched. */
const char *ade__screen_input(ade_screen *s, size_t i) {
    if (!s->started) ade__inputs_sort(&s->inputs);
    return i < s->inputs.n ? s->inputs.files[i].path : NULL;
}

/* ---- Starting and ending ------------------------------------------------------------------------------------------- */

static bool is_stopped(void *user) { return ade__screen_cancelled(user); }

/* Asks the store about each file. The MD5 sum is computed only where name and size agree and the time does not: a copy. */
static ade_status find_done_files(ade_screen *s) {
    if (!s->state || !s->inputs.n) return ADE_OK;
    s->done = ade__calloc(s->inputs.n, sizeof *s->done);
    if (!s->done) return ADE_OUT_OF_MEMORY;
    for (size_t i = 0; i < s->inputs.n; i++) {
        ade_input_file *file = &s->inputs.files[i];
        bool            need_md5 = false;
        char            md5[ADE_MD5_TEXT];
        if (!file->sized) continue;
        ADE_TRY(ade__state_file_done(s->state, file->name, file->path, file->size, file->mtime, NULL, &file->done,
                                     &need_md5, &s->done[i]));
        if (file->done || !need_md5) continue;
        const ade_stop   stop = {is_stopped, s};
        const ade_status status = ade__md5_of_file(file->path, &stop, md5);
        if (status == ADE_CANCELLED || status == ADE_OUT_OF_MEMORY) return status;
        if (status) continue; /* the reader will say why */
        ADE_TRY(ade__state_file_done(s->state, file->name, file->path, file->size, file->mtime, md5, &file->done, NULL,
                                     &s->done[i]));
    }
    return ADE_OK;
}

/* Slower than reading: on a GPU it is not, nor is a baseline. */
static bool is_slow(const ade_screen *s) {
    ade_session_info info = ADE_SESSION_INFO_INIT;
    return s->session && !s->model->baseline && (ade__session_get_info(s->session, &info) || info.device == ADE_DEVICE_CPU);
}

static int reader_threads(const ade_screen *s) {
    int n = s->threads < MOST_READERS ? s->threads : MOST_READERS;
    if (is_slow(s) && n > CPU_READERS) n = CPU_READERS;
    if (s->options.limit || !s->inputs.n) n = 1; /* what lies behind the limit need not be read */
    return (size_t)n < s->inputs.n ? n : s->inputs.n ? (int)s->inputs.n : 1;
}

static ade_status start(ade_screen *s) {
    s->started = true;
    s->began = ade__seconds();
    ade__inputs_sort(&s->inputs);
    ADE_TRY(find_done_files(s));
    s->bytes_total = ade__inputs_bytes(&s->inputs);
    ADE_TRY(ade__known_new(s->state, s->state && !s->options.dry_run, s->options.record_rows != 0, &s->known));
    const ade_reader_options reading = {
        .inputs = &s->inputs,
        .rules = {.section_labels = !s->options.no_section_label, .other_abstracts = s->options.other_abstracts},
        .check_md5 = !s->options.no_md5,
        .parts_stand = !s->drop_failed,
        .threads = reader_threads(s),
        .budget = is_slow(s) ? CPU_BUDGET : BUDGET};
    ADE_TRY(ade__reader_start(&reading, &s->reader));
    const ade_classifier_options classifying = {.session = s->session,
                                                .n_labels = (size_t)s->n_labels,
                                                .reader = s->reader,
                                                .known = s->known,
                                                .inputs = &s->inputs,
                                                .prefilter = s->options.prefilter,
                                                .prefilter_threshold = s->options.prefilter_threshold,
                                                .window_texts = is_slow(s) ? CPU_WINDOW : GPU_WINDOW,
                                                .limit = s->options.limit,
                                                .whole_files = s->state != NULL,
                                                .drop_failed = s->drop_failed};
    return ade__classifier_start(&classifying, &s->classifier);
}

static void read_clocks(const ade_screen *s, ade_screen_stats *stats) {
    double working = 0, starved = 0;
    if (!s->classifier) return;
    ade__classifier_seconds(s->classifier, &working, &starved);
    stats->seconds_read = ade__reader_seconds(s->reader);
    stats->seconds_classify = s->session ? working : 0;
    stats->seconds_starved = s->session ? starved : 0;
}

static void stop_threads(ade_screen *s) {
    atomic_store(&s->cancelled, 1);
    if (s->owner == getpid()) { /* after fork() a thread that is not there may hold a lock */
        read_clocks(s, &s->stats);
        if (s->reader) ade__reader_stop(s->reader);
    }
    ade__classifier_free(s->classifier);
    ade__reader_free(s->reader);
    s->classifier = NULL;
    s->reader = NULL;
    s->window = NULL;
}

/* Ends the run with the status and text that were just set. */
static ade_status end_run(ade_screen *s, ade_status status) {
    ade__copy_error(s->over_text, sizeof s->over_text);
    s->over = status;
    if (status == ADE_END) (void)ade__screen_cancelled(s); /* all bytes; too late to stop anything */
    stop_threads(s);
    s->ended = ade__seconds();
    return ade__adopt_error(status, s->over_text);
}

static ade_status next_row(ade_screen *s, ade_screen_row *row) {
    if (s->over) return ade__adopt_error(s->over, s->over_text);
    if (s->owner != getpid())
        return ade__fail(ADE_INVALID_ARGUMENT, "this screen was opened before fork(), and its threads stayed in the "
                                               "parent process; open a screen in this one");
    ade_status status = s->started ? ADE_OK : start(s);
    if (!status) status = ade__deliver(s, row);
    return status ? end_run(s, status) : ADE_OK;
}

static ade_status enter(ade_screen *s) {
    if (atomic_flag_test_and_set(&s->busy))
        return ade__fail(ADE_BUSY, "this screen is in use by another thread or by its own callback; fetch rows in one "
                                   "place");
    return ADE_OK;
}

ade_status ade__screen_next(ade_screen *s, ade_screen_row *row) {
    ADE_TRY(enter(s));
    ade_status status = next_row(s, row);
    atomic_flag_clear(&s->busy);
    return status;
}

void ade__screen_close(ade_screen *s) {
    if (!s) return;
    stop_threads(s);
    if (s->owner == getpid()) ade__known_free(s->known); /* else a thread may have been changing it at the fork */
    ade__state_close(s->state);
    ade__session_close(s->session);
    ade__model_release(s->options.prefilter);
    ade__outcomes_free(&s->outcomes);
    for (size_t i = 0; i < s->n_pending; i++) ade__outcomes_free(&s->pending[i].outcomes);
    ade__free(s->pending);
    ade__free(s->done);
    ade__free(s->note);
    ade__free(s->scores);
    ade__inputs_free(&s->inputs);
    ade__free(s);
}

/* ---- Confirming ---------------------------------------------------------------------------------------------------- */

static ade_state_file file_for_store(const ade_screen *s, const ade_pending_file *p) {
    const ade_input_file  *file = &s->inputs.files[p->file];
    const ade_screen_file *counts = &p->counts;
    return (ade_state_file){.name = file->name,
                            .path = file->path,
                            .numbered = file->of_nlm,
                            .year = file->of_nlm ? file->year : 0,
                            .number = file->of_nlm ? file->number : 0,
                            .size = file->sized ? file->size : counts->bytes,
                            .mtime = file->mtime,
                            .md5 = p->md5,
                            .bytes_xml = counts->bytes_xml,
                            .citations = counts->citations,
                            .new_citations = counts->new_citations,
                            .revised = counts->revised,
                            .unchanged = counts->unchanged,
                            .superseded = counts->superseded,
                            .deleted = counts->deleted,
                            .sentences = counts->sentences,
                            .screened = counts->screened,
                            .hits = counts->hits,
                            .rows = counts->rows,
                            .tokens = counts->tokens};
}

static ade_status store_file(ade_screen *s, const ade_pending_file *p) {
    const ade_state_file file = file_for_store(s, p);
    ADE_TRY(ade__state_begin_file(s->state, &file));
    ADE_TRY(ade__outcomes_store(&p->outcomes, s->state));
    return ade__state_end_file(s->state, &file);
}

/* All that is pending, as one transaction: the note speaks of all of it. */
static ade_status store_pending(ade_screen *s) {
    ade_status status = ADE_OK;
    for (size_t i = 0; i < s->n_pending && !status; i++) status = store_file(s, &s->pending[i]);
    if (!status) status = ade__state_commit(s->state, s->note);
    if (status) {
        char text[2048];
        ade__copy_error(text, sizeof text);
        ade__state_rollback(s->state);
        return ade__adopt_error(status, text);
    }
    return ADE_OK;
}

static ade_status finish_store(ade_screen *s) {
    ade_state_file t; /* of the whole run, also of what was done before it was interrupted */
    uint64_t       files;
    char           summary[1024];
    ADE_TRY(ade__state_sum_run(s->state, &t, &files));
#define U(x) (unsigned long long)(x)
    (void)snprintf(summary, sizeof summary,
                   "{\"files_done\":%llu,\"files_failed\":%llu,\"citations\":%llu,\"new\":%llu,\"revised\":%llu,"
                   "\"unchanged\":%llu,\"superseded\":%llu,\"deleted\":%llu,\"sentences\":%llu,\"screened\":%llu,"
                   "\"skipped\":%llu,\"hits\":%llu,\"tokens\":%llu}",
                   U(files), U(s->stats.files_failed), U(t.citations), U(t.new_citations), U(t.revised),
                   U(t.unchanged), U(t.superseded), U(t.deleted), U(t.sentences), U(t.screened),
                   U(t.sentences - t.screened), U(t.hits), U(t.tokens));
#undef U
    ADE_TRY(ade__state_finish(s->state, summary));
    s->finished = true;
    return ADE_OK;
}

static ade_status confirm(ade_screen *s) {
    if (s->owner != getpid())
        return ade__fail(ADE_INVALID_ARGUMENT, "this screen was opened before fork(); only the parent process can "
                                               "confirm its rows");
    if (s->state && !s->options.dry_run) {
        if (s->n_pending) ADE_TRY(store_pending(s));
        for (; s->n_pending; s->n_pending--) {
            ade__outcomes_free(&s->pending[s->n_pending - 1].outcomes);
            ade__known_confirmed(s->known);
        }
        if (s->over == ADE_END && !s->finished) ADE_TRY(finish_store(s));
    }
    s->stats.confirmed = s->stats.rows;
    return ADE_OK;
}

ade_status ade__screen_confirm(ade_screen *s) {
    ADE_TRY(enter(s));
    ade_status status = confirm(s);
    atomic_flag_clear(&s->busy);
    return status;
}

ade_status ade__screen_set_note(ade_screen *s, const char *note) {
    char *copy = ade__strdup(note);
    if (!copy) return ADE_OUT_OF_MEMORY;
    ade__free(s->note);
    s->note = copy;
    return ADE_OK;
}

const char *ade__screen_get_note(const ade_screen *s) { return s->state ? ade__state_note(s->state) : NULL; }

/* ---- Questions ----------------------------------------------------------------------------------------------------- */

ade_status ade__screen_get_stats(const ade_screen *s, ade_screen_stats *stats) {
    const uint32_t size = stats->struct_size;
    *stats = s->stats;
    stats->struct_size = size;
    if (s->owner == getpid()) read_clocks(s, stats);
    if (s->started) stats->seconds_total = (s->ended > 0 ? s->ended : ade__seconds()) - s->began;
    return ADE_OK;
}

ade_status ade__screen_get_file(const ade_screen *s, ade_screen_file *file) {
    if (s->row_from == NO_ROW)
        return ade__fail(ADE_INVALID_ARGUMENT, "no row has been fetched yet, so there is no file to tell of");
    *file = s->row_from == ROW_OF_OPEN_FILE ? ade__screen_file_so_far(s, s->row_file) : s->shown;
    return ADE_OK;
}

ade_status ade__screen_get_session_info(const ade_screen *s, ade_session_info *info) {
    if (!s->session) return ade__fail(ADE_INVALID_ARGUMENT, "a dry run has no session");
    return ade__session_get_info(s->session, info);
}

ade_status ade__screen_get_profile(ade_screen *s, ade_session_profile *profile) {
    if (!s->session) return ade__fail(ADE_INVALID_ARGUMENT, "a dry run has no session");
    return ade__session_get_profile(s->session, profile);
}
