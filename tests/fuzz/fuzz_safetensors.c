/* SPDX-License-Identifier: Apache-2.0
 * Any file as model.safetensors: refused with a sentence, or every tensor lies inside and can be read. */
#include "fuzz.h"

#include "safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ade_tensor_set *set = NULL;
    fuzz_write("model.safetensors", data, size);
    ade_status status = ade__tensors_open(fuzz_folder(), &set);
    if (status != ADE_OK) {
        FAILED_WELL(status);
        HOLDS(!set);
        return 0;
    }
    volatile uint8_t sum = 0;
    size_t           total = 0;
    for (size_t i = 0; i < ade__tensors_count(set); i++) {
        const ade_tensor *t = ade__tensors_at(set, i);
        HOLDS(t->rank >= 0 && t->rank <= 8 && ade__tensors_find(set, t->name) == t);
        if (i) HOLDS(strcmp(ade__tensors_at(set, i - 1)->name, t->name) < 0);
        for (int32_t r = 0; r < t->rank; r++) HOLDS(t->shape[r] >= 0);
        for (size_t b = 0; b < t->size; b++) sum = (uint8_t)(sum + ((const uint8_t *)t->data)[b]);
        total += t->size;
    }
    HOLDS(total <= size);
    HOLDS(ade__tensors_check_files(set) == ADE_OK);
    ade__tensors_close(set);
    return 0;
}
