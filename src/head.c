/* SPDX-License-Identifier: Apache-2.0 */
#include "head.h"

#include "status.h"

ade_status ade__head_run(ade_workspace *w, ade_exec *exec, int32_t s) {
    const struct ade_prepared *p = w->p;
    const ade_linear_args      pool = {.linear = p->pooler, .x = w->first_exact, .y = w->pooled, .m = s};
    const ade_activation_args  tanh = {
         .x = w->pooled, .y = w->pooled, .kind = ADE_FN_TANH, .m = s, .n = p->h, .exact = 1};
    const ade_probs_args probs = {.x = w->pooled,
                                  .weight = p->classifier_w,
                                  .bias = p->classifier_b,
                                  .logits = w->scores,
                                  .probabilities = w->scores + (size_t)s * (size_t)p->labels,
                                  .s = s,
                                  .h = p->h,
                                  .c = p->labels,
                                  .problem = (int32_t)p->problem};
    ADE_TRY(p->ops->linear(exec, &pool));
    ADE_TRY(p->ops->activation(exec, &tanh));
    return p->ops->probs(exec, &probs);
}
