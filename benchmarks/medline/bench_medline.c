/* SPDX-License-Identifier: Apache-2.0
 * The speed of the host's side of screening on one thread, stage by stage: MEDLINE XML to token ids, no model run.
 *
 *     bench_medline MODEL SECONDS FILE...
 *
 * Each stage does all that the one before it does, and more:
 *     unpack    the files' bytes, inflated
 *     parse     records
 *     split     sentences of titles and abstracts
 *     prepare   chunks, as a reading thread makes them: copies, section labels, offsets in code points, hash, MD5 sum
 *     tokenize  the token ids of each sentence
 * All files are read over and over until SECONDS are over, stage by stage. Writes one JSON object. */
#include "adesieve.h"
#include "chunk.h"
#include "gzip_in.h"
#include "medline.h"
#include "sentences.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

typedef enum stage { UNPACK, PARSE, SPLIT, PREPARE, TOKENIZE, N_STAGES } stage;

static const char *const names[N_STAGES] = {"unpack", "parse", "split", "prepare", "tokenize"};

typedef struct bench {
    stage         stage;
    ade_session  *session;
    ade_sentences sentences;
    ade_chunk     chunk;
    uint64_t      xml_bytes, stored_bytes, text_bytes, records, n_sentences, tokens;
    uint64_t      kept; /* of what was computed, so that the compiler leaves nothing out */
} bench;

static void must(ade_status status) {
    if (status == ADE_OK) return;
    fprintf(stderr, "bench_medline: error: %s\n", ade_last_error());
    exit(1);
}

static double cpu_seconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- What is done with a record ---------------------------------------------------------------------------------- */

static ade_status split(bench *b, ade_text text) {
    if (!text.size) return ADE_OK;
    ade_status status = ade__sentences_split(text, &b->sentences);
    b->n_sentences += b->sentences.n;
    return status;
}

/* What the reader's next thread does with a full chunk, tokenizing only. */
static ade_status finish_chunk(bench *b) {
    for (size_t i = 0; i < b->chunk.n_sentences; i++) {
        const ade_text  text = b->chunk.sentences[i].model;
        ade_tokens_info info;
        if (b->stage != TOKENIZE || !text.size) continue;
        ade_status status = ade_tokenize(b->session, text, NULL, 0, &info);
        if (status) return status;
        b->tokens += info.n_tokens;
    }
    b->n_sentences += b->chunk.n_sentences;
    if (b->chunk.n_records) b->kept += b->chunk.records[0].hash;
    ade__chunk_clear(&b->chunk);
    return ADE_OK;
}

static ade_status on_record(void *user, const ade_record *record) {
    static const ade_chunk_rules rules = {.section_labels = true};
    bench                       *b = user;
    ade_status                   status = ADE_OK;
    if (record->deleted) return ADE_OK;
    b->records++;
    b->text_bytes += record->title.size;
    for (size_t i = 0; i < record->n_sections; i++)
        if (!record->sections[i].other) b->text_bytes += record->sections[i].text.size;
    if (b->stage == SPLIT) {
        status = split(b, record->title);
        for (size_t i = 0; i < record->n_sections && !status; i++)
            if (!record->sections[i].other) status = split(b, record->sections[i].text);
    } else if (b->stage > SPLIT) {
        status = ade__chunk_add(&b->chunk, record, &rules, &b->sentences);
        if (!status && ade__chunk_is_full(&b->chunk)) status = finish_chunk(b);
    }
    return status;
}

/* ---- A file, a stage --------------------------------------------------------------------------------------------- */

static void unpack(bench *b, ade_input *input) {
    static unsigned char buffer[64 * 1024];
    size_t               got = 1;
    while (got) {
        must(ade__input_read(input, buffer, sizeof buffer, &got));
        b->xml_bytes += got;
        if (got) b->kept += buffer[got - 1];
    }
}

static void read_file(bench *b, const char *path) {
    ade_input *input;
    must(ade__input_open(path, -1, &input));
    if (b->stage >= PREPARE) must(ade__input_want_md5(input));
    if (b->stage == UNPACK) {
        unpack(b, input);
    } else {
        must(ade__medline_read(input, path, on_record, b, &b->xml_bytes));
        if (b->stage >= PREPARE) must(finish_chunk(b));
    }
    if (b->stage >= PREPARE) {
        char md5[ADE_MD5_TEXT];
        ade__input_md5(input, md5);
        b->kept += (unsigned char)md5[0];
    }
    b->stored_bytes += ade__input_bytes_read(input);
    ade__input_close(input);
}

static void run_stage(bench *b, double least, char **paths, int n) {
    for (int i = 0; i < n; i++) read_file(b, paths[i]); /* warms up */
    b->xml_bytes = b->stored_bytes = b->text_bytes = b->records = b->n_sentences = b->tokens = 0;
    const double start = ade__seconds(), cpu = cpu_seconds();
    double       seconds = 0;
    int          passes = 0;
    for (; !passes || seconds < least; passes++) {
        for (int i = 0; i < n; i++) read_file(b, paths[i]);
        seconds = ade__seconds() - start;
    }
    printf("%s\"%s\": {\"passes\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"xml_bytes\": %llu, "
           "\"stored_bytes\": %llu, \"text_bytes\": %llu, \"records\": %llu, \"sentences\": %llu, \"tokens\": %llu}",
           b->stage ? ",\n" : "{", names[b->stage], passes, seconds, cpu_seconds() - cpu,
           (unsigned long long)b->xml_bytes, (unsigned long long)b->stored_bytes, (unsigned long long)b->text_bytes,
           (unsigned long long)b->records, (unsigned long long)b->n_sentences, (unsigned long long)b->tokens);
}

int main(int argc, char **argv) {
    char        *end;
    const double least = argc > 3 ? strtod(argv[2], &end) : 0;
    if (argc < 4 || end == argv[2] || *end || !(least >= 0)) {
        fprintf(stderr, "usage: bench_medline MODEL SECONDS FILE...\n");
        return 2;
    }
    bench               b = {0};
    ade_model          *model;
    ade_session_options options = ADE_SESSION_OPTIONS_INIT;
    options.device = ADE_DEVICE_NONE;
    must(ade_model_open(argv[1], NULL, &model));
    must(ade_session_open(model, &options, &b.session));
    ade_model_close(model);
    for (b.stage = UNPACK; b.stage < N_STAGES; b.stage++) run_stage(&b, least, argv + 3, argc - 3);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(",\n\"peak_kib\": %ld, \"kept\": %llu}\n", usage.ru_maxrss, (unsigned long long)b.kept);
    ade_session_close(b.session);
    ade__chunk_free(&b.chunk);
    ade__sentences_free(&b.sentences);
    return 0;
}
