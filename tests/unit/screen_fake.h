/* SPDX-License-Identifier: Apache-2.0
 * For the tests of screening: a session that scores a text by a hash of it, so that they need no model, and files in a
 * folder of their own. */
#ifndef SCREEN_FAKE_H
#define SCREEN_FAKE_H

#include "alloc.h"
#include "model.h"
#include "session.h"
#include "status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- The session that is none ------------------------------------------------------------------------------------ */

struct ade_session {
    ade_session_options options;
};

static ade_status classify_fails;    /* what the next call returns */
static int        classify_progress; /* calls of the progress callback in each classify */
static char      *model_texts;       /* all texts given, a line each; NULL = not kept */
static size_t     model_texts_size;
static int        classify_sleep; /* microseconds */

ade_status ade__session_open(ade_model *model, const ade_session_options *options, ade_session **out) {
    (void)model;
    ade_session *s = ade__calloc(1, sizeof *s);
    if (!s) return ADE_OUT_OF_MEMORY;
    s->options = *options;
    *out = s;
    return ADE_OK;
}

void ade__session_close(ade_session *session) { ade__free(session); }

ade_status ade__session_get_info(const ade_session *session, ade_session_info *info) {
    info->threads = session->options.threads;
    info->device_name = info->instruction_set = "none";
    return ADE_OK;
}

/* The model's identity, as a store sees it. */
static char model_digest[65] = "d1";
ade_status ade__model_hash(ade_model *model, char digest[65]) {
    (void)model;
    memcpy(digest, model_digest, sizeof model_digest);
    return ADE_OK;
}

/* A prefilter is held; these are the calls, not the models. */
static int held_models;
void       ade__model_retain(ade_model *model) { held_models += model != NULL; }
void       ade__model_release(ade_model *model) { held_models -= model != NULL; }

static float score_of(ade_text text) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text.size; i++) hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
    return (float)(hash >> 8) / 16777216.0f;
}

static ade_status classify(ade_session *session, const ade_window *w) {
    if (classify_fails) return ade__fail(classify_fails, "the session failed");
    for (int i = 0; i < classify_progress; i++) { /* as long as a real one would take */
        usleep(20000);
        if (session->options.progress(session->options.progress_user, (uint64_t)i, w->n))
            return ade__fail(ADE_CANCELLED, "stopped while classifying");
    }
    if (classify_sleep) usleep((useconds_t)classify_sleep);
    for (size_t i = 0; i < w->n; i++) {
        const ade_text text = w->texts[i];
        const float    score = score_of(text);
        w->results[i] = (ade_result){.label = score >= 0.5f,
                                     .score = score,
                                     .tokens = (int32_t)text.size + 2,
                                     .unknown = 1,
                                     .truncated = text.size > 200,
                                     .replaced = 0};
        w->logits[2 * i] = -score;
        w->logits[2 * i + 1] = score;
        w->probabilities[2 * i] = 1 - score;
        w->probabilities[2 * i + 1] = score;
        if (model_texts) {
            model_texts = realloc(model_texts, model_texts_size + text.size + 2);
            memcpy(model_texts + model_texts_size, text.data, text.size);
            model_texts_size += text.size;
            model_texts[model_texts_size++] = '\n';
            model_texts[model_texts_size] = '\0';
        }
    }
    return ADE_OK;
}

/* Two windows under way, as on a device: the first is classified when the second has come. */
ade_status ade__session_stream(ade_session *session, const ade_window_source *source) {
    ade_window *before = NULL, *window;
    for (;;) {
        ADE_TRY(source->next(source->user, before == NULL, &window));
        if (before) {
            ADE_TRY(classify(session, before));
            source->done(source->user, before);
        }
        if (!before && !window) return ADE_OK;
        before = window;
    }
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static char      folder[] = "/tmp/adesieve-screen-XXXXXX";
static ade_model model;

static int set_up(void **state) {
    (void)state;
    static char *labels[] = {"not ADE", "ADE"};
    model.config.n_labels = 2;
    model.config.positive_label = 1;
    model.config.labels = labels;
    model.name = "a model that is none";
    return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name) {
    static char paths[8][256];
    static int  next;
    char       *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int empty_folder(void **state) {
    char command[128];
    (void)state;
    classify_fails = ADE_OK;
    classify_progress = classify_sleep = 0;
    free(model_texts);
    model_texts = NULL;
    model_texts_size = 0;
    snprintf(command, sizeof command, "find '%s' -mindepth 1 -delete", folder);
    return system(command);
}

static int tear_down(void **state) {
    (void)state;
    return rmdir(folder);
}

static inline const char *data_path(const char *name) {
    static char paths[4][1024];
    static int  next;
    char       *path = paths[next++ % 4];
    const char *data = getenv("ADE_TEST_DATA");
#ifdef ADE_TEST_DATA_DIR
    if (!data) data = ADE_TEST_DATA_DIR;
#endif
    snprintf(path, sizeof paths[0], "%s/medline/%s", data ? data : "tests/data", name);
    return path;
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(in_folder(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

#define SET(inside) "<PubmedArticleSet>" inside "</PubmedArticleSet>"
#define RECORD(pmid, version, title, abstract)                                                                         \
    "<PubmedArticle><MedlineCitation><PMID Version=\"" version "\">" pmid "</PMID><Article><ArticleTitle>" title       \
    "</ArticleTitle>" abstract "</Article></MedlineCitation></PubmedArticle>\n"
#define ABSTRACT(text) "<Abstract><AbstractText>" text "</AbstractText></Abstract>"

#endif
