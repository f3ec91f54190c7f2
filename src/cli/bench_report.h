/* SPDX-License-Identifier: Apache-2.0
 * What adesieve bench has measured, and the two ways of writing it down. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include "bench_texts.h"

typedef struct bench_result {
    engine              engine;
    bench_texts         texts;
    ade_session_profile profile; /* of the calls with many texts alone */
    uint64_t            calls, texts_done, tokens;
    double              seconds; /* of these calls, by the clock */
    size_t              single_calls;
    double              single_p50, single_p99; /* seconds of one text alone */
    double              products_seconds;       /* of one batch's products alone, on one thread; 0 = not known */
    int32_t             products_tokens, products_texts;
} bench_result;

void    bench_put_text(bytes *out, const bench_result *result, const settings *wanted);
json_t *bench_object(const bench_result *result, const settings *wanted); /* NULL: it has been said why, or memory */

#endif
