/* SPDX-License-Identifier: Apache-2.0
 * Any file as config.json, and as calibration.json: refused with a sentence, or numbers that the rest of the library
 * can rely on. */
#include "fuzz.h"

#include "calibrate.h"
#include "config.h"

#include <math.h>

static void use_calibration(const ade_calibration *c) {
    static const float logits[] = {0, -50, 0, 0, 0, 50};
    double             before = 0, value = 0;
    for (int i = 0; i < 3; i++) {
        HOLDS(ade__calibrate(c, logits + 2 * i, 1, 0, &value) == ADE_OK);
        HOLDS(value >= before && value <= 1);
        before = value;
    }
    for (int32_t target = ADE_TARGET_SCORE; target <= ADE_TARGET_REVIEW; target++)
        for (int step = 1; step <= 10; step++) {
            ade_operating_point p = ADE_OPERATING_POINT_INIT;
            ade_status          status = ade__operating_point(c, target, step / 10.0, step % 2 ? 0 : 0.02, &p);
            HOLDS(status == ADE_OK || (status == ADE_UNSUPPORTED && target >= ADE_TARGET_PRECISION));
            if (status != ADE_OK) continue;
            HOLDS(p.recall_low <= p.recall && p.recall <= p.recall_high && p.recall_low >= 0 && p.recall_high <= 1);
            HOLDS(p.precision_low <= p.precision && p.precision <= p.precision_high);
            HOLDS(p.review_low <= p.review && p.review <= p.review_high && isfinite(p.review_high));
        }
}

static void try_calibration(const uint8_t *data, size_t size) {
    static char     *labels[] = {"no", "yes"};
    const ade_log    log = {NULL, NULL};
    ade_calibration *c = NULL;
    const char *path = fuzz_write(ADE_CALIBRATION_FILE, data, size);
    ade_status  status = ade__calibration_read(fuzz_folder(), NULL, labels, 2, 1, false, &log, &c);
    unlink(path);
    if (status != ADE_OK) FAILED_WELL(status);
    if (c) use_calibration(c);
    ade__calibration_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ade_model_config config;
    const ade_log    log = {NULL, NULL};
    memset(&config, 0, sizeof config);
    try_calibration(data, size);
    fuzz_write("config.json", data, size);
    ade_status status = ade__config_read(fuzz_folder(), NULL, &log, &config);
    if (status != ADE_OK) {
        FAILED_WELL(status);
        return 0;
    }
    HOLDS(config.hidden_size > 0 && config.n_heads > 0 && config.hidden_size % config.n_heads == 0);
    HOLDS(config.n_layers > 0 && config.intermediate_size > 0 && config.vocab_size > 0 && config.max_positions > 0);
    HOLDS(config.type_vocab_size > 0 && config.n_labels > 0 && config.layer_norm_eps >= 0);
    HOLDS(config.positive_label >= 0 && config.positive_label < config.n_labels);
    for (int32_t i = 0; i < config.n_labels; i++) HOLDS(config.labels[i] != NULL);
    ade__config_clear(&config);
    return 0;
}
