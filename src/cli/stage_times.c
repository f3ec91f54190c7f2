/* SPDX-License-Identifier: Apache-2.0
 * See stage_times.h. */
#include "stage_times.h"

int stages_are_known(const engine *used) {
    return used->model_info.kind == ADE_MODEL_ENCODER && used->session_info.device == ADE_DEVICE_CPU;
}

double stage_other(const ade_session_profile *profile) {
    double other =
        profile->encoding - profile->products - profile->attention - profile->elementwise - profile->waiting;
    return other > 0 ? other : 0; /* the stages are read from a clock of their own */
}

json_t *profile_object(const ade_session_profile *profile, const engine *used) {
    json_t *object = json_pack("{s:i, s:f, s:f}", "threads", (int)profile->threads, "seconds", profile->seconds,
                               "tokenizing", profile->tokenizing);
    if (!object || used->model_info.kind == ADE_MODEL_BASELINE) return object;
    json_object_update_new(object, json_pack("{s:I, s:I, s:I, s:I, s:f}", "texts", (json_int_t)profile->texts, "tokens",
                                             (json_int_t)profile->tokens, "batches", (json_int_t)profile->batches,
                                             "operations", (json_int_t)profile->operations, "encoding",
                                             profile->encoding));
    if (stages_are_known(used))
        json_object_update_new(object, json_pack("{s:f, s:f, s:f, s:f, s:f}", "products", profile->products,
                                                 "attention", profile->attention, "elementwise", profile->elementwise,
                                                 "waiting", profile->waiting, "other", stage_other(profile)));
    return object;
}

json_t *profile_of_run(const engine *used, ade_screen *screen) {
    ade_session_profile profile = ADE_SESSION_PROFILE_INIT;
    ade_status          status;
    if (!used->model) return json_null(); /* a dry run */
    status = screen ? ade_screen_get_profile(screen, &profile) : ade_session_get_profile(used->session, &profile);
    return status == ADE_OK ? profile_object(&profile, used) : json_null();
}
