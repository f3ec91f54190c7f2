/* SPDX-License-Identifier: Apache-2.0
 * See bench_texts.h. */
#include "bench_texts.h"

#include "exit_status.h"
#include "messages.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 65536, MOST_BYTES = 64 << 20, MADE_TEXTS = 4096, FRAME = 2, ENOUGH = -1 };

static int out_of_memory(void) {
    say(SAY_ERROR, "out of memory for the texts.");
    return CLI_FAILED;
}

/* The text ends where data does. */
static int end_text(bench_texts *out) {
    if (out->count == out->capacity) {
        size_t  capacity = out->capacity > 0 ? 2 * out->capacity : MADE_TEXTS;
        size_t *grown = realloc(out->ends, capacity * sizeof *grown);
        if (!grown) return out_of_memory();
        out->ends = grown;
        out->capacity = capacity;
    }
    if (out->data.failed) return out_of_memory();
    out->ends[out->count++] = out->data.size;
    return CLI_OK;
}

/* data has its final place now. */
static int finish(bench_texts *out) {
    size_t begin = 0;
    out->texts = calloc(out->count, sizeof *out->texts);
    if (!out->texts) return out_of_memory();
    for (size_t i = 0; i < out->count; i++) {
        out->texts[i] = (ade_text){out->data.data ? out->data.data + begin : "", out->ends[i] - begin};
        begin = out->ends[i];
    }
    return CLI_OK;
}

/* ---- Read -------------------------------------------------------------------------------------------------------- */

static int add_window(void *user, const text_window *window) {
    bench_texts *out = user;
    for (size_t i = 0; i < window->count; i++) {
        if (out->count == MOST_TEXTS || out->data.size >= MOST_BYTES) {
            out->cut = 1;
            return ENOUGH;
        }
        put_raw(&out->data, window->texts[i].data, window->texts[i].size);
        if (end_text(out) != CLI_OK) return CLI_FAILED;
    }
    return CLI_OK;
}

int bench_texts_read(bench_texts *out, const settings *wanted) {
    text_run run;
    int      status = text_run_all(&run, wanted, NULL, add_window, out), finished;
    if (status == ENOUGH) status = CLI_OK;
    if (status != CLI_OK && status != CLI_PARTIAL) return status;
    if (out->count == 0) {
        say(SAY_ERROR, "%s: there are no texts%s.",
            strcmp(wanted->files[0], "-") == 0 ? "standard input" : wanted->files[0],
            wanted->n_files > 1 ? ", nor in the other inputs" : "");
        return CLI_FAILED;
    }
    finished = finish(out);
    return finished == CLI_OK ? status : finished;
}

/* ---- Made -------------------------------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood 2014): any seed will do, and the same numbers come everywhere. */
static uint64_t chance(uint64_t *state, uint64_t below) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* Tokens of a text, without the two that frame it: the lengths in between are as likely as those beside them. From the
 * ADE corpus' test sentences, in steps of 5 %; the last twentieth has longer ones, too, and the mean is the same. */
static size_t sentence_length(uint64_t *state) {
    static const unsigned char steps[] = {5,  13, 16, 18, 20, 21, 23, 25, 26, 28, 29,
                                          31, 33, 35, 37, 40, 43, 47, 52, 61, 90};
    uint64_t                   step = chance(state, sizeof steps - 1);
    return (size_t)(steps[step] + chance(state, (uint64_t)(steps[step + 1] - steps[step]) + 1)) - FRAME;
}

/* The tokens that can stand in a text: no "[PAD]", no "[unused7]". NULL: out of memory. */
static const char **words_of(const engine *used, size_t *count) {
    const char **words = calloc((size_t)used->model_info.vocab_size + 1, sizeof *words);
    *count = 0;
    for (int32_t id = 0; words && id < used->model_info.vocab_size; id++) {
        const char *word = ade_model_token(used->model, id);
        size_t      size = word ? strlen(word) : 0;
        if (size == 0 || (size > 2 && word[0] == '[' && word[size - 1] == ']')) continue;
        words[(*count)++] = word;
    }
    return words;
}

int bench_texts_make(bench_texts *out, const engine *used) {
    uint64_t     state = 42;
    size_t       count;
    const char **words = words_of(used, &count);
    int          status = words ? CLI_OK : out_of_memory();
    out->made = 1;
    if (status == CLI_OK && count == 0) {
        say(SAY_ERROR, "%s: has no words in its vocabulary to make texts of.", used->model_info.folder);
        say(SAY_HINT, "give texts as a FILE");
        status = CLI_FAILED;
    }
    for (size_t i = 0; i < MADE_TEXTS && status == CLI_OK; i++) {
        size_t left = sentence_length(&state);
        for (size_t k = 0; k < left; k++) {
            const char *word = words[chance(&state, count)];
            int         joined = word[0] == '#' && word[1] == '#' && word[2] != '\0';
            if (k > 0 && !joined) put_literal(&out->data, " ");
            put_literal(&out->data, word + (joined ? 2 : 0));
        }
        status = end_text(out);
    }
    free(words);
    return status == CLI_OK ? finish(out) : status;
}

void bench_texts_free(bench_texts *of) {
    bytes_free(&of->data);
    free(of->ends);
    free(of->texts);
}
