/* SPDX-License-Identifier: Apache-2.0
 * The public header compiles as C99, by itself, twice, with -Wpedantic -Werror; so does each INIT macro. */
#include "adesieve.h"
#include "adesieve.h"

int use_of_every_macro(void);

int use_of_every_macro(void) {
    ade_model_options   model_options = ADE_MODEL_OPTIONS_INIT;
    ade_model_info      model_info = ADE_MODEL_INFO_INIT;
    ade_session_options session_options = ADE_SESSION_OPTIONS_INIT;
    ade_session_info    session_info = ADE_SESSION_INFO_INIT;
    ade_screen_options  screen_options = ADE_SCREEN_OPTIONS_INIT;
    ade_screen_row      row = ADE_SCREEN_ROW_INIT;
    ade_screen_stats    stats = ADE_SCREEN_STATS_INIT;

    ade_calibration_info    calibration = ADE_CALIBRATION_INFO_INIT;
    ade_operating_point     point = ADE_OPERATING_POINT_INIT;
    ade_calibration_options calibration_options = ADE_CALIBRATION_OPTIONS_INIT;
    return model_options.struct_size == sizeof model_options && model_info.struct_size == sizeof model_info &&
           session_options.struct_size == sizeof session_options && session_info.struct_size == sizeof session_info &&
           screen_options.struct_size == sizeof screen_options && row.struct_size == sizeof row &&
           stats.struct_size == sizeof stats && calibration.struct_size == sizeof calibration &&
           point.struct_size == sizeof point && calibration_options.struct_size == sizeof calibration_options && ade_version() != NULL;
}
