/* SPDX-License-Identifier: Apache-2.0
 * One request from texts to results: tokenize -> batch -> encode -> scatter, on a pool of worker threads. Semantics of
 * every function: adesieve.h. */
#ifndef ADE_SESSION_H
#define ADE_SESSION_H

#include "adesieve.h"

ade_status ade__session_open(ade_model *model, const ade_session_options *options, ade_session **out);
void       ade__session_close(ade_session *session);
ade_status ade__session_get_info(const ade_session *session, ade_session_info *info);
ade_status ade__session_classify(ade_session *session, const ade_text *texts, size_t n_texts, ade_result *results,
                                 float *logits, float *probabilities);
ade_status ade__session_tokenize(ade_session *session, ade_text text, ade_token *tokens, size_t capacity,
                                 ade_tokens_info *info);

#endif
