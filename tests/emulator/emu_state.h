/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the runtime stand-in share: emu_faults.cc (the simulated machine, errors, armed failures, counts),
 * emu_memory.cc (allocations), emu_runtime.cc (streams, events, copies, graphs). One lock guards all of it; every
 * function here is called with it held, which emu_call sees to. */
#ifndef EMU_STATE_H
#define EMU_STATE_H

#include "include/emu_runtime_api.h"

#include <mutex>
#include <string>

struct emu_settings {
    uint64_t    seed;
    int         devices, driver; /* driver: 0 = none */
    int         major, minor, multiprocessors;
    size_t      memory;
    bool        protect;
    std::string name;
};

/* ---- emu_faults.cc ----------------------------------------------------------------------------------------------- */

const emu_settings &emu_machine();
emu_counters       &emu_counts();
uint64_t            emu_random(); /* the next number drawn from the seed */

/* What every call gives when no device can be used; cudaSuccess when one can. */
cudaError_t emu_unavailable();

cudaError_t emu_sticky(); /* the device's fault, or cudaSuccess */
void        emu_fault(cudaError_t error, const char *message);

enum emu_call_kind {
    EMU_USES_DEVICE,
    EMU_ASKS,    /* works without a device and after a fault */
    EMU_RELEASES /* does its work whatever the error is that it returns */
};

/* A call of the API by its name: takes the lock, counts, and finds out whether the call fails before it begins. */
class emu_call {
  public:
    explicit emu_call(const char *function, emu_call_kind kind = EMU_USES_DEVICE);
    emu_call(const emu_call &) = delete;
    emu_call &operator=(const emu_call &) = delete;

    bool refused() const { return refusal != cudaSuccess; }
    /* The call's result, which also becomes the thread's last error. */
    cudaError_t result(cudaError_t error = cudaSuccess);

  private:
    std::lock_guard<std::recursive_mutex> guard;
    cudaError_t                           refusal;
};

/* ---- emu_memory.cc ----------------------------------------------------------------------------------------------- */

enum emu_place { EMU_PAGEABLE, EMU_PINNED, EMU_DEVICE_MEMORY, EMU_NOWHERE };

/* Where these bytes lie; EMU_NOWHERE when they begin in an allocation and leave it. */
emu_place emu_place_of(const void *pointer, size_t bytes);

/* Lets the host, and so the device's work, at the device's memory, or takes it away again. Nests. */
void emu_open_memory();
void emu_close_memory();

/* A fault if somebody wrote beyond an allocation. */
void emu_check_memory();

/* For the sentence of a crash: what is running; NULL = the host. */
void emu_name_work(const char *name);

/* ---- emu_runtime.cc ---------------------------------------------------------------------------------------------- */

/* Is the caller a piece of device work? */
bool emu_is_running();
/* Runs everything that is queued. */
void emu_run_all();
/* Forgets everything that is queued. */
void emu_drop_all();
/* cudaErrorStreamCaptureUnsupported, and an end to the capture, where a capture forbids such a call. */
cudaError_t emu_capture_forbids();

#endif
