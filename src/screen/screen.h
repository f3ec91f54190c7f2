/* SPDX-License-Identifier: Apache-2.0
 * A screening run: files in, rows out, in the order of files, records and sentences, whatever the threads. The
 * functions mean what adesieve.h says of their ade_screen_* namesakes; api.c has checked the arguments and brought the
 * structs to this library's size; only options->session may still be an older or newer caller's.
 *
 * Repeated records, within one run and in memory: a PMID met for the first time is new; met again with the same or a
 * higher version it is unchanged (same title, labels and texts: skipped) or revised (screened again: its rows come a
 * second time, and the later ones replace the earlier); with a lower version it is superseded (skipped). DeleteCitation
 * gives a row of part ADE_PART_DELETED and forgets the PMID.
 *
 * Sentences without a letter or digit are counted as skipped and have no row; they do count in `sentence`.
 *
 * "RESULTS: " is put before the first screened sentence of a labelled section, for the model only. Not for the labels
 * UNLABELLED and UNASSIGNED, and not where the text begins with its own label and a colon, period or dash.
 *
 * Faults come in row order. One of a file (ADE_IO, ADE_BAD_INPUT) ends the run, or with keep_going is logged as a
 * warning and counted; the rows before it stand. Any other, and ADE_CANCELLED, ends the run: the reading thread has
 * been joined when the call returns, and later calls return the same.
 *
 * With `limit`, no citation after the limit-th is read; the file in which that happens does not count as done. */
#ifndef ADE_SCREEN_H
#define ADE_SCREEN_H

#include "adesieve.h"

ade_status ade__screen_open(ade_model *model, const ade_screen_options *options, ade_screen **out);
ade_status ade__screen_add(ade_screen *screen, const char *path);
ade_status ade__screen_next(ade_screen *screen, ade_screen_row *row);
ade_status ade__screen_confirm(ade_screen *screen);
ade_status ade__screen_get_stats(const ade_screen *screen, ade_screen_stats *stats);
ade_status ade__screen_get_session_info(const ade_screen *screen, ade_session_info *info);
void       ade__screen_close(ade_screen *screen);

#endif
