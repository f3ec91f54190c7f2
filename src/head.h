/* SPDX-License-Identifier: Apache-2.0
 * From the last layer's first tokens to logits and probabilities. */
#ifndef ADE_HEAD_H
#define ADE_HEAD_H

#include "encoder.h"

/* Reads workspace->first (s rows), writes pooled, logits, probabilities, by ops on `exec`. All in fp32. */
ade_status ade__head_run(ade_workspace *workspace, ade_exec *exec, int32_t s);

#endif
