/* SPDX-License-Identifier: Apache-2.0
 * Which backend runs a session; finds, opens and shakes hands with the plugin for GPUs. */
#ifndef ADE_DEVICE_H
#define ADE_DEVICE_H

#include "ops.h"

#define ADE_DEVICE_REASON 1024

/* AUTO becomes the device that can be used: the GPU `index` where there is one that works and that has `precision`
 * (ade_precision), else the CPU. `reason` (ADE_DEVICE_REASON bytes) receives one sentence that says why. The plugin is
 * looked for only here, and only when a GPU is wanted or welcome. ADE_UNSUPPORTED or ADE_DEVICE when the device that was
 * asked for cannot be used. */
ade_status ade__device_choose(int32_t wanted, int32_t index, int32_t precision, int32_t *device, char *reason);

/* The backend's op table. `device` is what ade__device_choose gave, or ADE_DEVICE_CPU. */
ade_status ade__device_ops(int32_t device, const ade_ops **out);

#endif
