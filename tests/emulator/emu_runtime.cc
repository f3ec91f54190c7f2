/* SPDX-License-Identifier: Apache-2.0
 * Streams as lazy queues, events, copies and graphs.
 *
 * An operation may run when it is first in its stream and all operations that it comes `after` have run. An event is
 * the operation that recorded it last; waiting for an event in a stream is an operation after that one. Stream 0 and
 * the streams that synchronise with it are ordered in the same way. */
#include "emu_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace {
struct operation {
    std::function<void()>                   work; /* empty: a mark */
    const char                             *name = "";
    CUstream_st                            *stream = nullptr;
    std::vector<std::shared_ptr<operation>> after;
    bool                                    is_done = false;
    std::chrono::steady_clock::time_point   when; /* it ran */
};
typedef std::shared_ptr<operation> operation_ptr;

struct graph_node {
    std::function<void()> work;
    const char           *name;
};
typedef std::shared_ptr<std::vector<graph_node>> nodes_ptr;

struct capture {
    CUstream_st          *origin;
    cudaStreamCaptureMode mode;
    std::thread::id       thread;
    bool                  is_invalid = false;
    nodes_ptr             nodes;
};
typedef std::shared_ptr<capture> capture_ptr;
} // namespace

struct CUstream_st {
    const emu_hooks          *hooks;               /* first: see emu_hooks */
    bool                      is_blocking = false; /* orders itself against stream 0 */
    bool                      is_destroyed = false;
    std::deque<operation_ptr> queue;
    operation_ptr             latest; /* the last that was queued, run or not */
    capture_ptr               captured;
    size_t                    n_captured = 0, n_joined = 0; /* of its operations in the capture */
};

struct CUevent_st {
    unsigned      flags;
    operation_ptr mark; /* NULL: never recorded */
    capture_ptr   captured;
    CUstream_st  *captured_in = nullptr;
    size_t        captured_at = 0;
};

struct CUgraph_st {
    nodes_ptr nodes;
};
struct CUgraphExec_st {
    nodes_ptr nodes;
};

namespace {
struct queue_state {
    CUstream_st                null_stream;
    std::vector<CUstream_st *> streams; /* as made; also the destroyed ones that still have work; not stream 0 */
    std::set<CUevent_st *>     events;
    std::set<CUgraph_st *>     graphs;
    std::set<CUgraphExec_st *> graph_execs;
    std::vector<capture_ptr>   captures;
    std::thread::id            runner; /* the thread that runs device work at this moment */
    ~queue_state() {
        for (CUstream_st *stream : streams) delete stream;
        for (CUevent_st *event : events) delete event;
        for (CUgraph_st *graph : graphs) delete graph;
        for (CUgraphExec_st *exec : graph_execs) delete exec;
    }
};

queue_state state;
} // namespace

static const emu_hooks *hooks_for_streams();

/* ---- Queues ------------------------------------------------------------------------------------------------------ */

bool emu_is_running() { return state.runner == std::this_thread::get_id(); }

static bool is_done(const operation_ptr &op) { return !op || op->is_done; }

/* The stream behind a handle; NULL for none of ours. */
static CUstream_st *stream_of(cudaStream_t handle) {
    if (!handle || handle == cudaStreamLegacy) {
        state.null_stream.hooks = hooks_for_streams();
        state.null_stream.is_blocking = true;
        return &state.null_stream;
    }
    const auto found = std::find(state.streams.begin(), state.streams.end(), handle);
    return found == state.streams.end() || (*found)->is_destroyed ? nullptr : *found;
}

static void delete_stream(CUstream_st *stream) {
    state.streams.erase(std::find(state.streams.begin(), state.streams.end(), stream));
    delete stream;
}

static void count_done(operation &op) {
    op.is_done = true;
    op.after.clear();
    op.work = nullptr;
    emu_counts().queued--;
}

void emu_drop_all() {
    std::vector<CUstream_st *> all(state.streams.begin(), state.streams.end());
    all.push_back(&state.null_stream);
    if (emu_is_running()) return; /* whoever runs it comes back to it */
    for (CUstream_st *stream : all) {
        for (const operation_ptr &op : stream->queue) count_done(*op);
        stream->queue.clear();
        if (stream->is_destroyed) delete_stream(stream);
    }
}

static bool is_ready(const CUstream_st &stream) {
    if (stream.queue.empty()) return false;
    for (const operation_ptr &op : stream.queue.front()->after)
        if (!is_done(op)) return false;
    return true;
}

/* Runs the first operation of a stream that is ready. */
static void run_first(CUstream_st *stream) {
    const operation_ptr op = stream->queue.front();
    if (op->work) {
        const std::function<void()> work = std::move(op->work);
        emu_open_memory();
        state.runner = std::this_thread::get_id();
        emu_name_work(op->name);
        work();
        emu_name_work(nullptr);
        state.runner = std::thread::id();
        emu_close_memory();
    }
    op->when = std::chrono::steady_clock::now();
    stream->queue.pop_front();
    count_done(*op);
    if (stream->is_destroyed && stream->queue.empty()) delete_stream(stream);
    if (emu_sticky() != cudaSuccess) emu_drop_all();
}

static std::vector<CUstream_st *> ready_streams() {
    std::vector<CUstream_st *> ready;
    if (is_ready(state.null_stream)) ready.push_back(&state.null_stream);
    for (CUstream_st *stream : state.streams)
        if (is_ready(*stream)) ready.push_back(stream);
    return ready;
}

/* At most `count` operations of streams drawn at random. */
static void run_some(uint64_t count) {
    while (count-- > 0) {
        const std::vector<CUstream_st *> ready = ready_streams();
        if (ready.empty()) return;
        run_first(ready[emu_random() % ready.size()]);
    }
}

/* The stream whose first operation has to run next so that `op` comes to run, and nothing else does. */
static CUstream_st *needed_for(const operation_ptr &wanted) {
    operation_ptr op = wanted;
    for (;;) {
        op = op->stream->queue.front();
        operation_ptr missing;
        for (const operation_ptr &other : op->after)
            if (!is_done(other)) missing = other;
        if (!missing) return op->stream;
        op = missing;
    }
}

/* Until `op` has run, in one of four manners: nothing that it does not need; other streams first, each as far as it
 * goes; any stream at any time; and with everything else run, too, when it is through. */
static void run_until(const operation_ptr &op) {
    const uint64_t manner = emu_random() % 4, preference = emu_random();
    emu_open_memory(); /* once for all of it */
    while (!is_done(op)) {
        if (manner == 0) {
            run_first(needed_for(op));
            continue;
        }
        const std::vector<CUstream_st *> ready = ready_streams();
        if (ready.empty()) {
            fprintf(stderr, "emulator: %s waits for itself\n", op->name);
            abort();
        }
        CUstream_st *next = ready[emu_random() % ready.size()];
        if (manner == 1)
            for (size_t i = 0; i < ready.size(); i++)
                if (ready[(i + preference) % ready.size()] != op->stream) next = ready[(i + preference) % ready.size()];
        run_first(next);
    }
    if (manner == 2) run_some(emu_random() % 8);
    if (manner == 3) run_some(~static_cast<uint64_t>(0));
    emu_close_memory();
}

void emu_run_all() {
    emu_open_memory();
    run_some(~static_cast<uint64_t>(0));
    emu_close_memory();
}

/* The device at work while the host asks about it. */
static void let_device_work() { run_some(emu_random() % 3); }

static operation_ptr push(CUstream_st *stream, const char *name, std::function<void()> work) {
    operation_ptr op = std::make_shared<operation>();
    op->work = std::move(work);
    op->name = name;
    op->stream = stream;
    if (stream == &state.null_stream) {
        for (CUstream_st *other : state.streams)
            if (other->is_blocking && !is_done(other->latest)) op->after.push_back(other->latest);
    } else if (stream->is_blocking && !is_done(state.null_stream.latest)) {
        op->after.push_back(state.null_stream.latest);
    }
    stream->queue.push_back(op);
    stream->latest = op;
    emu_counts().queued++;
    return op;
}

/* Even seeds: a device does not wait until somebody waits for it. */
static void maybe_start() {
    if (emu_machine().seed % 2 == 0 && emu_random() % 4 == 0) run_some(1 + emu_random() % 4);
}

/* ---- Captures ---------------------------------------------------------------------------------------------------- */

static bool is_capturing(const CUstream_st *stream) { return stream->captured != nullptr; }

cudaError_t emu_capture_forbids() {
    for (const capture_ptr &running : state.captures) {
        const bool own = running->thread == std::this_thread::get_id();
        if (running->mode == cudaStreamCaptureModeRelaxed) continue;
        if (running->mode == cudaStreamCaptureModeThreadLocal && !own) continue;
        running->is_invalid = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    return cudaSuccess;
}

/* What forbids queueing work in this stream. */
static cudaError_t queueing_forbidden(const CUstream_st *stream) {
    if (stream->captured && stream->captured->is_invalid) return cudaErrorStreamCaptureInvalidated;
    if (stream != &state.null_stream) return cudaSuccess;
    for (const capture_ptr &running : state.captures)
        if (running->origin->is_blocking) {
            running->is_invalid = true;
            return cudaErrorStreamCaptureImplicit;
        }
    return cudaSuccess;
}

static cudaError_t enqueue(CUstream_st *stream, const char *name, std::function<void()> work) {
    const cudaError_t forbidden = queueing_forbidden(stream);
    if (forbidden != cudaSuccess) return forbidden;
    if (is_capturing(stream)) {
        stream->captured->nodes->push_back({std::move(work), name});
        stream->n_captured++;
        return cudaSuccess;
    }
    push(stream, name, std::move(work));
    maybe_start();
    return cudaSuccess;
}

static void leave_capture(const capture_ptr &ended) {
    for (CUstream_st *stream : state.streams)
        if (stream->captured == ended) {
            stream->captured = nullptr;
            stream->n_captured = stream->n_joined = 0;
        }
    for (size_t i = 0; i < state.captures.size(); i++)
        if (state.captures[i] == ended) {
            state.captures.erase(state.captures.begin() + static_cast<std::ptrdiff_t>(i));
            return;
        }
}

static bool has_unjoined_work(const capture_ptr &ended) {
    for (const CUstream_st *stream : state.streams)
        if (stream->captured == ended && stream != ended->origin && stream->n_joined < stream->n_captured) return true;
    return false;
}

/* ---- Launches ---------------------------------------------------------------------------------------------------- */

static cudaError_t launch(emu_call &call, cudaStream_t handle, const char *name, std::function<void()> work) {
    const emu_settings &machine = emu_machine();
    if (call.refused()) return call.result();
    if (machine.major * 10 + machine.minor < 75) return call.result(cudaErrorNoKernelImageForDevice);
    CUstream_st *stream = stream_of(handle);
    if (!stream) return call.result(cudaErrorInvalidResourceHandle);
    emu_counts().launches++;
    return call.result(enqueue(stream, name, std::move(work)));
}

void emu_enqueue(cudaStream_t stream, std::function<void()> work, const char *name) {
    emu_call call("cudaLaunchKernel");
    launch(call, stream, name, std::move(work));
}

/* The argument of a piece of work that comes through emu_hooks; is given back when nobody can run it any more. */
namespace {
struct foreign_work {
    void (*run)(void *);
    void (*release)(void *);
    void *argument;
    foreign_work(void (*run_)(void *), void (*release_)(void *), void *argument_)
        : run(run_), release(release_), argument(argument_) {}
    foreign_work(const foreign_work &) = delete;
    foreign_work &operator=(const foreign_work &) = delete;
    ~foreign_work() { release(argument); }
};
} // namespace

static cudaError_t hook_enqueue(cudaStream_t stream, const char *name, void (*run)(void *), void (*release)(void *),
                                void *argument) {
    emu_call call("cudaLaunchKernel");
    auto     work = std::make_shared<foreign_work>(run, release, argument);
    return launch(call, stream, name, [work] { work->run(work->argument); });
}

static int hook_owns(const void *pointer, size_t bytes) { return emu_place_of(pointer, bytes) == EMU_DEVICE_MEMORY; }

static const emu_hooks *hooks_for_streams() {
    static const emu_hooks hooks = {EMU_HOOKS_MAGIC, hook_enqueue, hook_owns, emu_fault};
    return &hooks;
}

/* ---- Copies ------------------------------------------------------------------------------------------------------ */

static cudaError_t check_copy(const void *dst, const void *src, size_t count, enum cudaMemcpyKind kind) {
    const emu_place to = emu_place_of(dst, count), from = emu_place_of(src, count);
    const bool      to_device = to == EMU_DEVICE_MEMORY, from_device = from == EMU_DEVICE_MEMORY;
    if (!dst || !src || to == EMU_NOWHERE || from == EMU_NOWHERE) return cudaErrorInvalidValue;
    switch (kind) {
    case cudaMemcpyHostToHost: return to_device || from_device ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyHostToDevice: return !to_device || from_device ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDeviceToHost: return to_device || !from_device ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDeviceToDevice: return !to_device || !from_device ? cudaErrorInvalidValue : cudaSuccess;
    case cudaMemcpyDefault: return cudaSuccess;
    }
    return cudaErrorInvalidMemcpyDirection;
}

/* The work of a copy; memory of the host that is not pinned is read at once. */
static std::function<void()> copy_work(void *dst, const void *src, size_t count) {
    if (emu_place_of(src, count) == EMU_PAGEABLE) {
        const char *bytes = static_cast<const char *>(src);
        auto        staged = std::make_shared<std::vector<char>>(bytes, bytes + count);
        return [=] { memmove(dst, staged->data(), count); };
    }
    return [=] { memmove(dst, src, count); };
}

extern "C" {

cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    emu_counts().copies++;
    cudaError_t error = count ? check_copy(dst, src, count, kind) : cudaSuccess;
    if (error == cudaSuccess) error = emu_capture_forbids();
    if (error == cudaSuccess) error = queueing_forbidden(&state.null_stream);
    if (error != cudaSuccess || count == 0) return call.result(error);
    const bool          to_device = emu_place_of(dst, count) == EMU_DEVICE_MEMORY;
    const bool          pinned = emu_place_of(src, count) == EMU_PINNED;
    const operation_ptr op = push(stream_of(nullptr), "cudaMemcpy", copy_work(dst, src, count));
    /* From memory that is not pinned to the device, and on the device, the manual promises no end. */
    if (!to_device || pinned || emu_random() % 2) run_until(op);
    return call.result();
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t stream) {
    emu_call     call(__func__);
    CUstream_st *queue = nullptr;
    if (call.refused()) return call.result();
    emu_counts().copies++;
    cudaError_t error = count ? check_copy(dst, src, count, kind) : cudaSuccess;
    if (error == cudaSuccess && !(queue = stream_of(stream))) error = cudaErrorInvalidResourceHandle;
    if (error != cudaSuccess || count == 0) return call.result(error);
    const bool from_pageable = emu_place_of(src, count) == EMU_PAGEABLE;
    const bool to_pageable = emu_place_of(dst, count) == EMU_PAGEABLE;
    if (from_pageable || to_pageable) {
        emu_counts().pageable_async_copies++;
        if (is_capturing(queue)) {
            queue->captured->is_invalid = true;
            return call.result(cudaErrorStreamCaptureUnsupported);
        }
    }
    error = enqueue(queue, "cudaMemcpyAsync", copy_work(dst, src, count));
    if (error == cudaSuccess && to_pageable) run_until(queue->latest);
    return call.result(error);
}

static cudaError_t set_memory(void *pointer, int value, size_t count, cudaStream_t stream, const char *name) {
    CUstream_st *queue = stream_of(stream);
    if (!queue) return cudaErrorInvalidResourceHandle;
    if (count == 0) return cudaSuccess;
    if (!pointer || emu_place_of(pointer, count) != EMU_DEVICE_MEMORY) return cudaErrorInvalidValue;
    return enqueue(queue, name, [=] { memset(pointer, value, count); });
}

cudaError_t cudaMemset(void *devPtr, int value, size_t count) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : set_memory(devPtr, value, count, nullptr, "cudaMemset"));
}

cudaError_t cudaMemsetAsync(void *devPtr, int value, size_t count, cudaStream_t stream) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : set_memory(devPtr, value, count, stream, "cudaMemsetAsync"));
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

static cudaError_t create_stream(cudaStream_t *out, unsigned int flags) {
    if (!out || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    CUstream_st *stream = new CUstream_st;
    stream->hooks = hooks_for_streams();
    stream->is_blocking = flags == cudaStreamDefault;
    state.streams.push_back(stream);
    emu_counts().live_streams++;
    *out = stream;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *pStream) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : create_stream(pStream, cudaStreamDefault));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *pStream, unsigned int flags) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : create_stream(pStream, flags));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *pStream, unsigned int flags, int priority) {
    emu_call call(__func__);
    (void)priority; /* CUDA promises nothing by it, and takes any number */
    return call.result(call.refused() ? cudaSuccess : create_stream(pStream, flags));
}

/* As in CUDA, what is queued still runs. */
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    emu_call     call(__func__, EMU_RELEASES);
    CUstream_st *gone = stream && stream != cudaStreamLegacy ? stream_of(stream) : nullptr;
    if (!gone) return call.result(cudaErrorInvalidResourceHandle);
    emu_counts().live_streams--;
    if (gone->captured) {
        const capture_ptr ended = gone->captured;
        leave_capture(ended);
    }
    if (gone->queue.empty())
        delete_stream(gone);
    else
        gone->is_destroyed = true;
    return call.result();
}

/* NULL and the error, if this call may not be made on this stream now. */
static CUstream_st *to_wait_for(cudaStream_t handle, cudaError_t *error) {
    CUstream_st *stream = stream_of(handle);
    *error = cudaSuccess;
    if (!stream)
        *error = cudaErrorInvalidResourceHandle;
    else if (is_capturing(stream)) {
        stream->captured->is_invalid = true;
        *error = cudaErrorStreamCaptureUnsupported;
    } else
        *error = queueing_forbidden(stream);
    return *error == cudaSuccess ? stream : nullptr;
}

/* Stream 0 is through when the streams that synchronise with it are. */
static void wait_for_stream(CUstream_st *stream) {
    operation_ptr latest = stream->latest;
    if (stream == &state.null_stream) latest = push(stream, "cudaStreamSynchronize", nullptr);
    if (!is_done(latest)) run_until(latest);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    emu_call    call(__func__);
    cudaError_t error;
    if (call.refused()) return call.result();
    emu_counts().stream_syncs++;
    CUstream_st *waited = to_wait_for(stream, &error);
    if (waited) wait_for_stream(waited);
    return call.result(error);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    emu_call    call(__func__);
    cudaError_t error;
    if (call.refused()) return call.result();
    CUstream_st *asked = to_wait_for(stream, &error);
    if (!asked) return call.result(error);
    const bool through = is_done(asked->latest);
    if (!through) let_device_work();
    return call.result(through ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *userData) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *queue = stream_of(stream);
    if (!queue) return call.result(cudaErrorInvalidResourceHandle);
    if (!fn) return call.result(cudaErrorInvalidValue);
    return call.result(enqueue(queue, "cudaLaunchHostFunc", [=] { fn(userData); }));
}

cudaError_t cudaDeviceSynchronize(void) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    emu_counts().device_syncs++;
    const cudaError_t forbidden = emu_capture_forbids();
    if (forbidden != cudaSuccess) return call.result(forbidden);
    emu_run_all();
    emu_check_memory();
    return call.result();
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

static bool is_event(cudaEvent_t event) { return state.events.count(event) != 0; }

static cudaError_t create_event(cudaEvent_t *out, unsigned int flags) {
    if (!out || flags > (cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess))
        return cudaErrorInvalidValue;
    if ((flags & cudaEventInterprocess) && !(flags & cudaEventDisableTiming)) return cudaErrorInvalidValue;
    CUevent_st *event = new CUevent_st;
    event->flags = flags;
    state.events.insert(event);
    emu_counts().live_events++;
    *out = event;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : create_event(event, cudaEventDefault));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
    emu_call call(__func__);
    return call.result(call.refused() ? cudaSuccess : create_event(event, flags));
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    emu_call call(__func__, EMU_RELEASES);
    if (!is_event(event)) return call.result(cudaErrorInvalidResourceHandle);
    state.events.erase(event);
    emu_counts().live_events--;
    delete event;
    return call.result();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *queue = stream_of(stream);
    if (!is_event(event) || !queue) return call.result(cudaErrorInvalidResourceHandle);
    const cudaError_t forbidden = queueing_forbidden(queue);
    if (forbidden != cudaSuccess) return call.result(forbidden);
    event->captured = queue->captured;
    if (is_capturing(queue)) {
        event->captured_in = queue;
        event->captured_at = queue->n_captured;
        return call.result();
    }
    event->mark = push(queue, "cudaEventRecord", nullptr);
    maybe_start();
    return call.result();
}

static cudaError_t captured_wait(CUstream_st *stream, CUevent_st *event) {
    if (!event->captured) { /* the capture would depend on what is not in it */
        stream->captured->is_invalid = true;
        return cudaErrorStreamCaptureIsolation;
    }
    if (stream->captured && stream->captured != event->captured) {
        stream->captured->is_invalid = event->captured->is_invalid = true;
        return cudaErrorStreamCaptureMerge;
    }
    if (event->captured->is_invalid) return cudaErrorStreamCaptureInvalidated;
    bool is_running = false;
    for (const capture_ptr &running : state.captures) is_running |= running == event->captured;
    if (!is_running) return cudaErrorCapturedEvent;
    stream->captured = event->captured;
    const bool lives = std::find(state.streams.begin(), state.streams.end(), event->captured_in) != state.streams.end();
    if (lives && event->captured_in->n_joined < event->captured_at) event->captured_in->n_joined = event->captured_at;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *queue = stream_of(stream);
    if (!is_event(event) || !queue) return call.result(cudaErrorInvalidResourceHandle);
    if (flags > 1) return call.result(cudaErrorInvalidValue);
    const cudaError_t forbidden = queueing_forbidden(queue);
    if (forbidden != cudaSuccess) return call.result(forbidden);
    if (is_capturing(queue) || event->captured) return call.result(captured_wait(queue, event));
    if (is_done(event->mark)) return call.result();
    const operation_ptr op = push(queue, "cudaStreamWaitEvent", nullptr);
    op->after.push_back(event->mark);
    return call.result();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    emu_counts().event_syncs++;
    if (!is_event(event)) return call.result(cudaErrorInvalidResourceHandle);
    if (event->captured) return call.result(cudaErrorCapturedEvent);
    const operation_ptr mark = event->mark;
    if (!is_done(mark)) run_until(mark);
    return call.result();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!is_event(event)) return call.result(cudaErrorInvalidResourceHandle);
    if (event->captured) return call.result(cudaErrorCapturedEvent);
    const bool through = is_done(event->mark);
    if (!through) let_device_work();
    return call.result(through ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!ms) return call.result(cudaErrorInvalidValue);
    if (!is_event(start) || !is_event(end) || !start->mark || !end->mark || (start->flags & cudaEventDisableTiming) ||
        (end->flags & cudaEventDisableTiming))
        return call.result(cudaErrorInvalidResourceHandle);
    if (!is_done(start->mark) || !is_done(end->mark)) return call.result(cudaErrorNotReady);
    *ms = std::chrono::duration<float, std::milli>(end->mark->when - start->mark->when).count();
    return call.result();
}

/* ---- Graphs ------------------------------------------------------------------------------------------------------ */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *origin = stream_of(stream);
    if (!origin) return call.result(cudaErrorInvalidResourceHandle);
    if (mode < cudaStreamCaptureModeGlobal || mode > cudaStreamCaptureModeRelaxed)
        return call.result(cudaErrorInvalidValue);
    if (origin == &state.null_stream) return call.result(cudaErrorStreamCaptureUnsupported);
    if (is_capturing(origin)) return call.result(cudaErrorIllegalState);
    capture_ptr begun = std::make_shared<capture>();
    begun->origin = origin;
    begun->mode = mode;
    begun->thread = std::this_thread::get_id();
    begun->nodes = std::make_shared<std::vector<graph_node>>();
    origin->captured = begun;
    state.captures.push_back(begun);
    return call.result();
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *pGraph) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *origin = stream_of(stream);
    if (!origin) return call.result(cudaErrorInvalidResourceHandle);
    if (!pGraph) return call.result(cudaErrorInvalidValue);
    *pGraph = nullptr;
    const capture_ptr ended = origin->captured;
    if (!ended) return call.result(cudaErrorIllegalState);
    if (ended->origin != origin) return call.result(cudaErrorStreamCaptureUnmatched);
    if (ended->mode != cudaStreamCaptureModeRelaxed && ended->thread != std::this_thread::get_id())
        return call.result(cudaErrorStreamCaptureWrongThread);
    const bool unjoined = has_unjoined_work(ended);
    leave_capture(ended);
    if (ended->is_invalid) return call.result(cudaErrorStreamCaptureInvalidated);
    if (unjoined) return call.result(cudaErrorStreamCaptureUnjoined);
    CUgraph_st *graph = new CUgraph_st{ended->nodes};
    state.graphs.insert(graph);
    emu_counts().live_graphs++;
    *pGraph = graph;
    return call.result();
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *pCaptureStatus) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    const CUstream_st *asked = stream_of(stream);
    if (!asked) return call.result(cudaErrorInvalidResourceHandle);
    if (!pCaptureStatus) return call.result(cudaErrorInvalidValue);
    *pCaptureStatus = !is_capturing(asked)          ? cudaStreamCaptureStatusNone
                      : asked->captured->is_invalid ? cudaStreamCaptureStatusInvalidated
                                                    : cudaStreamCaptureStatusActive;
    return call.result();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t graph, unsigned long long flags) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    if (!pGraphExec || !state.graphs.count(graph) || flags) return call.result(cudaErrorInvalidValue);
    CUgraphExec_st *exec = new CUgraphExec_st{std::make_shared<std::vector<graph_node>>(*graph->nodes)};
    state.graph_execs.insert(exec);
    emu_counts().live_graphs++;
    *pGraphExec = exec;
    return call.result();
}

cudaError_t cudaGraphUpload(cudaGraphExec_t graphExec, cudaStream_t stream) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    return call.result(state.graph_execs.count(graphExec) && stream_of(stream) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream) {
    emu_call call(__func__);
    if (call.refused()) return call.result();
    CUstream_st *queue = stream_of(stream);
    if (!state.graph_execs.count(graphExec)) return call.result(cudaErrorInvalidValue);
    if (!queue) return call.result(cudaErrorInvalidResourceHandle);
    const nodes_ptr nodes = graphExec->nodes;
    emu_counts().launches++;
    return call.result(enqueue(queue, "cudaGraphLaunch", [nodes] {
        for (const graph_node &node : *nodes) {
            emu_name_work(node.name);
            if (emu_sticky() == cudaSuccess) node.work();
        }
    }));
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec) {
    emu_call call(__func__, EMU_RELEASES);
    if (!state.graph_execs.erase(graphExec)) return call.result(cudaErrorInvalidValue);
    emu_counts().live_graphs--;
    delete graphExec;
    return call.result();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    emu_call call(__func__, EMU_RELEASES);
    if (!state.graphs.erase(graph)) return call.result(cudaErrorInvalidValue);
    emu_counts().live_graphs--;
    delete graph;
    return call.result();
}

} /* extern "C" */
