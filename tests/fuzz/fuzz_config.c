/* SPDX-License-Identifier: Apache-2.0
 * Any file as config.json: refused with a sentence, or numbers that the rest of the library can rely on. */
#include "fuzz.h"

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ade_model_config config;
    const ade_log    log = {NULL, NULL};
    memset(&config, 0, sizeof config);
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
