/* SPDX-License-Identifier: Apache-2.0
 * Who may be inside a session: one call at a time, and none in a child of the process that opened it. */
#ifndef ADE_DOOR_H
#define ADE_DOOR_H

#include "adesieve.h"

/* Takes the session for one call, or ADE_BUSY, which says what to do instead; gives it back with the call's status. */
ade_status ade__session_enter(ade_session *session, const char *instead);
ade_status ade__session_leave(ade_session *session, ade_status status);

/* ADE_INVALID_ARGUMENT in a child: the threads stayed in the parent. */
ade_status ade__session_check_fork(const ade_session *session);

#endif
