/* SPDX-License-Identifier: Apache-2.0
 * Labelled texts through one or several models: what evaluate and calibrate share. */
#ifndef CLI_LABELLED_H
#define CLI_LABELLED_H

#include "engine.h"
#include "text_run.h"

/* What a model says of a window's texts, C = its n_labels. */
typedef struct labelled_scores {
    ade_result *results;                /* (count) */
    float      *logits, *probabilities; /* (count, C) */
} labelled_scores;

typedef struct labelled_window {
    const text_window     *window;
    const int32_t         *labels; /* (window->count): indices of the first model's labels */
    const labelled_scores *scores; /* (n_engines) */
} labelled_window;

typedef int (*labelled_fn)(void *user, const labelled_window *window);

/* Reads all inputs that `wanted` names, looks each label up (a name of the first model's labels in any case of ASCII
 * letters, or its number), classifies with every engine, and calls `handle` for each window. Labelled data must be
 * whole to be measured: the first input that fails ends the run. A label that is not known, or the name of one label
 * and the number of another, is an error that names file, line, the label and those that are possible; so is an output
 * that is no finite number. Returns an exit status; what went wrong has been said. */
int labelled_run(text_run *run, const settings *wanted, engine *engines, size_t n_engines, labelled_fn handle,
                 void *user);

/* The texts of a file that a model was trained on (--seen), as digests; text alone counts, labels are not read. */
typedef struct text_set text_set;

int      text_set_read(text_set **out, const settings *wanted, const char *path); /* exit status; said */
text_set *text_set_new(void);                                    /* an empty one; NULL: out of memory */
int      text_set_has(const text_set *set, const ade_text *text);
int      text_set_add(text_set *set, const ade_text *text); /* 1: it is new, 0: it was there, -1: out of memory */
void     text_set_free(text_set *set);                      /* NULL is fine */

#endif
