/* SPDX-License-Identifier: Apache-2.0
 * A screening run: files in, rows out, in the order of files, records and sentences, whatever the threads. The
 * functions mean what adesieve.h says of their ade_screen_* namesakes; api.c has checked the arguments and brought the
 * structs to this library's size; only options->session may still be an older or newer caller's.
 *
 * Repeated records: see known.h. DeleteCitation gives a row of part ADE_PART_DELETED, unless a later file of NLM has
 * said something newer.
 *
 * Sentences without a letter or digit are counted as skipped and have no row; they do count in `sentence`.
 *
 * "RESULTS: " is put before the first screened sentence of a labelled section, for the model only. Not for the labels
 * UNLABELLED and UNASSIGNED, and not where the text begins with its own label and a colon, period or dash.
 *
 * Faults come in row order. One of a file (ADE_IO, ADE_BAD_INPUT) ends the run, or with keep_going is logged as a
 * warning and counted; the rows before it stand, but with a store nothing of the file is noted. Any other, and
 * ADE_CANCELLED, ends the run: its threads have been joined when the call returns, and later calls return the same.
 *
 * With `limit`, no citation after the limit-th is read; the file in which that happens does not count as done. With a
 * store, that file is read to its end, because what is in the store are whole files. */
#ifndef ADE_SCREEN_H
#define ADE_SCREEN_H

#include "adesieve.h"

ade_status ade__screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out);
ade_status ade__screen_add(ade_screen *screen, const char *path);
const char *ade__screen_input(ade_screen *screen, size_t i);
ade_status ade__screen_next(ade_screen *screen, ade_screen_row *row);
ade_status ade__screen_confirm(ade_screen *screen);
ade_status ade__screen_set_note(ade_screen *screen, const char *note);
const char *ade__screen_get_note(const ade_screen *screen);
ade_status ade__screen_get_file(const ade_screen *screen, ade_screen_file *file);
ade_status ade__screen_get_stats(const ade_screen *screen, ade_screen_stats *stats);
ade_status ade__screen_get_session_info(const ade_screen *screen, ade_session_info *info);
ade_status ade__screen_get_profile(ade_screen *screen, ade_session_profile *profile);
void       ade__screen_close(ade_screen *screen);

#endif
