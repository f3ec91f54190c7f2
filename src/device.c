/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include "status.h"

ade_status ade__device_choose(int32_t wanted, int32_t *device, const char **reason) {
    switch (wanted) {
    case ADE_DEVICE_AUTO:
        *device = ADE_DEVICE_CPU;
        *reason = "this build has no GPU backend, so the CPU is used";
        return ADE_OK;
    case ADE_DEVICE_CPU:
        *device = ADE_DEVICE_CPU;
        *reason = "the CPU was asked for";
        return ADE_OK;
    case ADE_DEVICE_NONE:
        *device = ADE_DEVICE_NONE;
        *reason = "no device was asked for; this session only tokenizes";
        return ADE_OK;
    case ADE_DEVICE_CUDA:
        return ade__fail(ADE_UNSUPPORTED, "device cuda cannot be used: this build of adesieve has no GPU backend; use "
                                          "device cpu or auto");
    default: return ade__fail(ADE_INVALID_ARGUMENT, "device %d is none of ade_device's values", (int)wanted);
    }
}

ade_status ade__device_ops(int32_t device, const ade_ops **out) {
    if (device != ADE_DEVICE_CPU)
        return ade__fail(ADE_INTERNAL, "device %d has no backend in this build", (int)device);
    *out = ade__cpu_ops();
    return ADE_OK;
}
