/* SPDX-License-Identifier: Apache-2.0 */
#include "door.h"

#include "status.h"
#include "stream.h"

ade_status ade__session_enter(ade_session *s, const char *instead) {
    if (atomic_flag_test_and_set(&s->busy))
        return ade__fail(ADE_BUSY, "this session is in use by another thread or by its own callback; %s", instead);
    return ADE_OK;
}

ade_status ade__session_leave(ade_session *s, ade_status status) {
    atomic_flag_clear(&s->busy);
    return status;
}

ade_status ade__session_check_fork(const ade_session *s) {
    if (!s->pool || !ade__pool_forked(s->pool)) return ADE_OK;
    return ade__fail(ADE_INVALID_ARGUMENT, "this session was opened before fork(), and its threads stayed in the "
                                           "parent process; open a session in this one");
}
