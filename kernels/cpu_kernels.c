/* SPDX-License-Identifier: Apache-2.0
 * The table of one instruction-set level; compiled once per level like the ops themselves. */
#include "cpu_common.h"

#define STRING2(x) #x
#define STRING(x) STRING2(x)

const ade_cpu_kernels ADE_PASTE(ade__cpu_kernels, ADE_ISA) = {
    .name = "x86-64-" STRING(ADE_ISA),
    .embed = ADE_CPU(embed),
    .attention = ADE_CPU(attention),
    .layernorm = ADE_CPU(layernorm),
    .activation = ADE_CPU(activation),
    .pool = ADE_CPU(pool),
    .probs = ADE_CPU(probs),
    .first_attention = ADE_CPU(first_attention),
    .dequantize = ADE_CPU(dequantize),
    .rows_activation = ADE_CPU(rows_activation),
    .rows_norm = ADE_CPU(rows_norm),
    .rows_convert = ADE_CPU(rows_convert),
};
