/* SPDX-License-Identifier: Apache-2.0
 * What test_ops_device.c works with: the device under test (a plugin linked into the program, or opened from a file),
 * memory on it, random numbers as it stores them, and comparisons. */
#ifndef ADE_DEVICE_SUBJECT_H
#define ADE_DEVICE_SUBJECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check.h"
#include "ops.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define DEVICE_MAX_TOKENS 2048
#define DEVICE_MAX_LEN 512
#define DEVICE_MAX_HEAD 256
#define DEVICE_SLOTS 4

extern const ade_plugin_entry *device_plugin;
extern const ade_ops          *device_ops;
extern ade_backend            *device_backend;
extern ade_exec               *device_exec; /* a new one for each test */
extern ade_backend_info        device_info;
extern int                     device_all; /* more cases */

/* The plugin in `path`, or the one linked in where that is NULL. 0, or what main returns: 1, or 77 where the plugin
 * says that there is no device. */
int  device_open(const char *path);
void device_close(void);

/* The call failed with this status, and said why. */
#define CHECK_REFUSED(call, expected)                                                                       \
    do {                                                                                                    \
        ade__clear_error();                                                                                 \
        CHECK_STATUS(call, expected);                                                                       \
        CHECK(strlen(ade_last_error()) > 20, "%s was refused with the text \"%s\"", #call, ade_last_error()); \
    } while (0)

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* Rows on the device behind a few rows of guard and before the row pad. An input is surrounded by NaN, an output starts
 * as NaN between canaries. */
typedef struct device_rows {
    void  *data; /* device */
    void  *base;
    size_t rows, row_bytes;
} device_rows;

device_rows device_input(const void *host, size_t rows, size_t row_bytes);
device_rows device_output(size_t rows, size_t row_bytes);
/* What the device holds now, in new host memory. Checks what surrounds an output; pad_too: its pad may be written. */
void *device_fetch(const device_rows *rows, int pad_too, const char *what);
void  device_rows_free(device_rows *rows);

/* `bytes` bytes of device memory to the host by pull and wait. */
void device_read(void *host, const void *device, size_t bytes);

/* ---- Matrices --------------------------------------------------------------------------------------------------- */

#define MATRIX_MAX_ROWS 300

typedef struct matrix {
    ade_linear_desc desc;
    float          *weight, *bias;
    ade_linear     *linear;
} matrix;

matrix matrix_new(int32_t n, int32_t k, int with_bias, int32_t exact); /* random, ready for MATRIX_MAX_ROWS rows */
void   matrix_free(matrix *m);

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

void     random_restart(void); /* the same numbers in a test whatever ran before */
uint32_t random_u32(void);
float    random_unit(void); /* [-1, 1] */

void       *host_new(size_t bytes); /* zeros, from malloc */
void        put(void *array, ade_dtype type, size_t i, float value);
const void *at(const void *array, ade_dtype type, size_t i);
/* n numbers as the device stores them: what they are rounded to is what the reference sees. */
void *random_array(size_t n, ade_dtype type, float scale, float shift);

/* tolerance: absolute, times scale[i] where scale is given. The mean square error is looked at where it is a mean. */
void compare(const char *op, const void *got, ade_dtype type, const double *expected, size_t n, double tolerance,
             const double *scale);
void same_bits(const char *op, const void *a, const void *b, size_t bytes, const char *what);
void print_records(void); /* the largest error of each op, as a part of what is allowed */

/* ---- Tests of the table (device_table.c) ------------------------------------------------------------------------ */

void test_nothing_to_do(void **state);
void test_table(void **state);
void test_memory(void **state);
void test_refusals(void **state);
void test_slots(void **state);
void test_order(void **state);
void test_execs(void **state);

#endif
