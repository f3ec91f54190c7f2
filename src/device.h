/* SPDX-License-Identifier: Apache-2.0
 * Which backend runs a session. */
#ifndef ADE_DEVICE_H
#define ADE_DEVICE_H

#include "ops.h"

/* AUTO becomes the device that can be used; *reason receives one static sentence that says why. ADE_UNSUPPORTED when
 * the device that was asked for cannot be had. */
ade_status ade__device_choose(int32_t wanted, int32_t *device, const char **reason);

/* The backend's op table. `device` is not AUTO. */
ade_status ade__device_ops(int32_t device, const ade_ops **out);

#endif
