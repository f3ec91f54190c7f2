# SPDX-License-Identifier: Apache-2.0
"""Takes all of the first GPU's free memory but some, says "held N MiB", and keeps it until standard input ends.

hold_memory.py MIB_TO_LEAVE
"""

import ctypes
import sys


def main() -> None:
    leave = int(sys.argv[1]) << 20
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: object) -> None:
        status = getattr(cuda, name)(*arguments)
        if status:
            sys.exit(f"hold_memory.py: {name} failed with {status}")

    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total, address = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
    call("cuInit", ctypes.c_uint(0))
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    held = max(free.value - leave, 1 << 20)
    call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(held))
    print(f"held {held >> 20} MiB", flush=True)
    sys.stdin.read()


main()
