/* SPDX-License-Identifier: Apache-2.0
 * What a session has spent its time on, and what the matrix products alone would take. Semantics: adesieve.h. */
#ifndef ADE_PROFILE_H
#define ADE_PROFILE_H

#include "adesieve.h"

ade_status ade__session_get_profile(ade_session *session, ade_session_profile *profile);
ade_status ade__session_time_products(ade_session *session, int32_t tokens, int32_t texts, double *seconds);

#endif
