/* SPDX-License-Identifier: Apache-2.0
 * The classifier: logits = x W^T + b in fp32, then softmax, sigmoid or nothing. A few thousand operations a text. */
#include "cpu_common.h"

#include <math.h>

static float dot(const float *a, const float *b, int n) {
    int     full = n / ADE_LANES * ADE_LANES;
    ade_vec sum = ade__splat(0);
    for (int i = 0; i < full; i += ADE_LANES) sum += ade__load(a + i) * ade__load(b + i);
    if (full < n) sum += ade__load_n(a + full, n - full) * ade__load_n(b + full, n - full);
    return ade__sum(sum);
}

static void softmax(const float *x, float *p, int n) {
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) sum += p[i] = expf(x[i] - most);
    for (int i = 0; i < n; i++) p[i] /= sum;
}

void ADE_CPU(probs)(const ade_probs_args *args) {
    for (int32_t s = 0; s < args->s; s++) {
        float *logits = args->logits + (size_t)s * (size_t)args->c;
        float *p = args->probabilities + (size_t)s * (size_t)args->c;
        for (int32_t c = 0; c < args->c; c++)
            logits[c] = dot(args->x + (size_t)s * (size_t)args->h, args->weight + (size_t)c * (size_t)args->h, args->h) +
                        args->bias[c];
        if (args->problem == ADE_PROBLEM_SINGLE_LABEL) softmax(logits, p, args->c);
        else if (args->problem == ADE_PROBLEM_MULTI_LABEL)
            for (int32_t c = 0; c < args->c; c++) p[c] = 1.0f / (1.0f + expf(-logits[c]));
        else memcpy(p, logits, (size_t)args->c * sizeof *p);
    }
}
