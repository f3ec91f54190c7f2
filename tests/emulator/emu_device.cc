/* SPDX-License-Identifier: Apache-2.0
 * Grids on a CPU: blocks one after another, the threads of a block as fibres; see emu_device.h.
 *
 * Each OS thread has a Machine: the fibres, the shared memory and the state of the one block that it is running. A
 * fibre that waits picks the next one itself and switches to it; the OS thread's own stack (Machine::host) goes on only
 * when the block has ended or a fault was found. */
#include "emu_device.h"

#include "cuda_fp16.h"
#include "emu_fibre.h"
#include "emu_races.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

/* The runtime's, where one is linked: makes the error stick to the device. */
void emu_device_fault(const char *message) __attribute__((weak));

__thread const emu_thread_position *emu_self;

namespace {

enum : unsigned { WARP = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / WARP };

/* What one block may take without asking for more, on every architecture. */
constexpr size_t SHARED_LIMIT = 48 * 1024;
constexpr size_t MAX_ARRAYS = 64;
constexpr size_t CANARY_BYTES = 64;
constexpr size_t CHUNK = 16; /* what cp.async writes and a row of ldmatrix reads */
constexpr size_t SHARED_BYTES = SHARED_LIMIT + MAX_ARRAYS * (CANARY_BYTES + 48) + CANARY_BYTES;

enum Kind {
    NOTHING,
    BARRIER,
    BARRIER_COUNT,
    BARRIER_AND,
    BARRIER_OR,
    SYNCWARP,
    BALLOT,
    ANY,
    ALL,
    SHUFFLE_INDEX, /* in the order of emu_shuffle_kind */
    SHUFFLE_UP,
    SHUFFLE_DOWN,
    SHUFFLE_XOR,
    MMA,
    LDMATRIX,
    LDMATRIX_TRANS
};

const char *const KIND_NAMES[] = {"nothing",          "__syncthreads", "__syncthreads_count", "__syncthreads_and",
                                  "__syncthreads_or", "__syncwarp",    "__ballot_sync",       "__any_sync",
                                  "__all_sync",       "__shfl_sync",   "__shfl_up_sync",      "__shfl_down_sync",
                                  "__shfl_xor_sync",  "mma.m16n8k16",  "ldmatrix.x4",         "ldmatrix.x4.trans"};

/* A collective at a place. Lanes meet only in equal ones: CUDA asks for the same instruction with the same mask. */
struct Call {
    Kind        kind;
    uint32_t    mask;
    int         width;
    int         line;
    const char *file;
};

bool same(const Call &a, const Call &b) {
    return a.kind == b.kind && a.mask == b.mask && a.width == b.width && a.line == b.line &&
           (a.file == b.file || strcmp(a.file, b.file) == 0);
}

struct Machine;
struct Warp;

/* A cp.async that is under way. */
struct Copy {
    void       *to;
    const void *from; /* NULL: zeros */
};

enum State { READY, WAITING, ENDED };

struct Thread : emu_thread_position {
    Machine  *machine;
    Warp     *warp;
    unsigned  number, lane;
    State     state;
    void     *order; /* what orders the lanes of the __syncwarp where it is */
    bool      started;
    Call      call, previous; /* where it waits, where it last went on */
    unsigned  arrays_seen;
    emu_fibre fibre;

    /* What it brought to the collective and what it gets. */
    uint64_t        value, result;
    unsigned        source;
    float          *c;
    const uint32_t *a, *b;
    uint32_t       *r;
    uint16_t        row[8];

    std::vector<Copy>   copies;
    std::vector<size_t> groups; /* a closed group ends before copies[it] */
};

/* Lanes that have come to the same collective and wait for the rest of the mask. */
struct Meeting {
    Call     call;
    uint32_t arrived, number;
};

struct Warp {
    Thread  *lanes;
    uint32_t exist, ready, ended, at_barrier;
    unsigned meetings;
    uint32_t syncs;              /* how many __syncwarp it has been through */
    char     syncwarp_order[64]; /* as Machine::barrier_order; a mask's lanes meet in one of them */
    uint32_t opened;             /* how many meetings there were */
    Meeting  meeting[WARP];
};

struct Array {
    const char *name, *file;
    int         line;
    size_t      begin, end, gap; /* in Machine::shared; canaries fill [gap, begin) */
};

/* What is known of 16 bytes of shared memory, as far as cp.async and ldmatrix touch them. A period is the time between
 * two barriers of a block. Threads are numbered from 1. */
struct Chunk {
    uint64_t written_in, read_in; /* periods */
    uint32_t written_after;       /* Warp::syncs of the writer */
    uint32_t readers;             /* warps that read in read_in */
    uint16_t writer, under_way;   /* threads */
};

struct Machine {
    Thread  *threads = nullptr;
    unsigned created = 0, count = 0; /* fibres that exist, threads of the block */
    Warp     warps[MAX_WARPS];
    uint32_t ready_warps = 0;
    unsigned warp = 0, alive = 0, at_barrier = 0, barrier_sum = 0;
    uint64_t random = 0, period = 0, launches = 0, seed = 0, seed_version = 0;

    emu_fibre                    host;
    emu_block_position           position;
    const char                  *name = "";
    const std::function<void()> *kernel = nullptr;
    bool                         running = false, failed = false, dropping = false;
    char                         report[8192];

    char  *shared = nullptr;
    size_t arrays = 0, shared_total = 0;
    Array  array[MAX_ARRAYS];
    Chunk  chunk[SHARED_BYTES / CHUNK + 1];

    /* What orders threads, for emu_races.h: addresses only. One barrier may be left while the next is entered. */
    char start_order, end_order, barrier_order[2];

    Machine();
    ~Machine();
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;
};

Machine::Machine() {
    threads = new Thread[MAX_THREADS];
    shared = static_cast<char *>(aligned_alloc(128, (SHARED_BYTES + 127) / 128 * 128));
    if (!shared) abort();
    report[0] = 0;
}

Machine::~Machine() {
    const emu_unseen unseen;
    for (unsigned i = 0; i < created; i++) emu_fibre_destroy(&threads[i].fibre);
    delete[] threads;
    ASAN_UNPOISON_MEMORY_REGION(shared, SHARED_BYTES);
    free(shared);
}

Machine &this_machine() {
    static thread_local std::unique_ptr<Machine> machine;
    if (!machine) machine.reset(new Machine);
    return *machine;
}

Thread &self(const char *what) {
    if (!emu_self) {
        fprintf(stderr, "emulator: %s is called outside of a kernel\n", what);
        abort();
    }
    return *static_cast<Thread *>(const_cast<emu_thread_position *>(emu_self));
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

std::atomic<uint64_t> seed_value{0}, seed_version{0}; /* version 0: emu_set_seed was never called */

uint64_t scramble(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t draw(Machine &m) { /* xorshift64* */
    m.random ^= m.random >> 12;
    m.random ^= m.random << 25;
    m.random ^= m.random >> 27;
    return (m.random * 0x2545f4914f6cdd1dull) >> 16;
}

uint64_t seed_of_launch(Machine &m) {
    const uint64_t version = seed_version.load();
    uint64_t       seed = seed_value.load();
    if (version == 0) {
        const char *given = getenv("EMU_SEED");
        seed = given && *given ? strtoull(given, nullptr, 0) : 1;
    }
    if (m.seed != seed || m.seed_version != version) {
        m.seed = seed;
        m.seed_version = version;
        m.launches = 0;
    }
    return scramble(scramble(seed) + m.launches++);
}

/* One of the set bits, each as likely as the others; `drawn` has 16 random bits. */
unsigned draw_bit(uint32_t mask, uint64_t drawn) {
    const uint32_t pairs = mask - (mask >> 1 & 0x55555555u);
    const uint32_t fours = (pairs & 0x33333333u) + (pairs >> 2 & 0x33333333u);
    const uint32_t bits = ((fours + (fours >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
    for (uint32_t skip = static_cast<uint32_t>(drawn & 0xffff) * bits >> 16; skip; skip--) mask &= mask - 1;
    return static_cast<unsigned>(__builtin_ctz(mask));
}

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

const char *base_name(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? slash + 1 : file;
}

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

std::string text(const char *format, ...) {
    char    line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    return line;
}

std::string name_of(const Call &call) {
    std::string s = KIND_NAMES[call.kind];
    if (call.kind >= SYNCWARP && call.kind < MMA) s += text("(mask 0x%08x)", call.mask);
    return s + text(" at %s:%d", base_name(call.file), call.line);
}

/* "thread (3, 0, 0) [warp 0, lane 3]" */
std::string name_of(const Thread &t) {
    return text("thread (%u, %u, %u) [warp %u, lane %u]", t.index.x, t.index.y, t.index.z, t.number / WARP, t.lane);
}

/* Who waits where, equal ones together. */
std::string who_waits_where(const Machine &m) {
    std::string       s;
    std::vector<bool> told(m.count, false);
    for (unsigned i = 0; i < m.count; i++) {
        if (told[i]) continue;
        const Thread &t = m.threads[i];
        std::string   numbers;
        unsigned      ranges = 0;
        for (unsigned j = i; j < m.count; j++) {
            const auto alike = [&](unsigned k) {
                const Thread &other = m.threads[k];
                return !told[k] && other.state == t.state && (t.state != WAITING || same(other.call, t.call));
            };
            if (!alike(j)) continue;
            unsigned last = j;
            told[j] = true;
            while (last + 1 < m.count && alike(last + 1)) told[++last] = true;
            if (++ranges <= 8) {
                if (ranges > 1) numbers += ", ";
                numbers += last > j ? text("%u..%u", j, last) : text("%u", j);
            } else if (ranges == 9)
                numbers += ", ...";
            j = last;
        }
        s += "\n    threads " + numbers + ": ";
        if (t.state == ENDED)
            s += "have ended";
        else if (t.state == READY)
            s += "could go on";
        else {
            s += "wait in " + name_of(t.call);
            if (t.previous.kind != NOTHING) s += ", came from " + name_of(t.previous);
        }
    }
    return s;
}

/* Leaves the fibre for good; the host gives up the block. A place for a breakpoint: the kernel is on the stack. */
[[noreturn]] __attribute__((noinline)) void give_up(Machine &m, Thread &t) {
    m.failed = true;
    t.state = ENDED;
    emu_release(&m.end_order);
    emu_look_again();
    emu_fibre_leave(&t.fibre, &m.host);
}

/* Everything with a destructor is gone before the fibre is left. */
void compose(Machine &m, const Thread &t, const char *file, int line, const std::string &what) {
    std::string where =
        text("kernel %s, block (%u, %u, %u), ", m.name, m.position.index.x, m.position.index.y, m.position.index.z) +
        name_of(t);
    if (file) where += text(", %s:%d", base_name(file), line);
    snprintf(m.report, sizeof m.report, "%s: %s", where.c_str(), what.c_str());
}

#define FAULT(t, file, line, what)                                                                                     \
    do {                                                                                                               \
        compose(*(t).machine, (t), (file), (line), (what));                                                            \
        give_up(*(t).machine, (t));                                                                                    \
    } while (0)

/* ---- Who runs next ----------------------------------------------------------------------------------------------- */

void make_ready(Machine &m, Warp &w, uint32_t lanes) {
    w.ready |= lanes;
    m.ready_warps |= 1u << (&w - m.warps);
    for (uint32_t rest = lanes; rest; rest &= rest - 1) w.lanes[__builtin_ctz(rest)].state = READY;
}

/* Takes one of the threads that can go on; NULL if there is none. The same warp as before, mostly: a warp that runs far
 * ahead of the others shows a missing barrier best. */
Thread *take_next(Machine &m) {
    if (!m.ready_warps) return nullptr;
    const uint64_t drawn = draw(m);
    if (!(m.ready_warps >> m.warp & 1) || (drawn >> 32 & 7) == 0) m.warp = draw_bit(m.ready_warps, drawn >> 16);
    Warp          &w = m.warps[m.warp];
    const unsigned lane = draw_bit(w.ready, drawn);
    w.ready &= ~(1u << lane);
    if (!w.ready) m.ready_warps &= ~(1u << m.warp);
    return &w.lanes[lane];
}

/* Gives way; comes back when somebody made this thread ready and it was picked. */
void give_way(Thread &t) {
    Machine &m = *t.machine;
    Thread  *next = take_next(m);
    if (!next) FAULT(t, t.call.file, t.call.line, "nothing in the block can go on:" + who_waits_where(m));
    if (next != &t) {
        next->started = true;
        emu_self = next;
        emu_fibre_switch(&t.fibre, &next->fibre);
        if (m.dropping) {
            emu_release(&m.end_order);
            emu_look_again();
            emu_fibre_leave(&t.fibre, &m.host);
        }
    }
    t.previous = t.call;
}

/* ---- Shared memory ----------------------------------------------------------------------------------------------- */

/* NaN in f16 and in f32 if read as such at its alignment. */
inline unsigned char canary_byte(size_t at) { return at & 1 ? 0xff : 0xc5; }

/* Sees through the sanitizer's poison, which lies on the canaries. */
__attribute__((no_sanitize("address"), noinline)) size_t first_broken_canary(const char *memory, size_t begin,
                                                                             size_t end) {
    for (size_t i = begin; i < end; i++)
        if (static_cast<unsigned char>(memory[i]) != canary_byte(i)) return i;
    return end;
}

void check_canaries(Thread &t, const char *when) {
    const Machine &m = *t.machine;
    for (size_t i = 0; i < m.arrays; i++) {
        const Array *before = i ? &m.array[i - 1] : nullptr, *after = &m.array[i];
        for (int last = 0; last < (i + 1 == m.arrays ? 2 : 1); last++) {
            if (last) before = after, after = nullptr;
            const size_t begin = last ? before->end : after->gap,
                         end = last ? before->end + CANARY_BYTES : after->begin;
            const size_t at = first_broken_canary(m.shared, begin, end);
            if (at == end) continue;
            if (before && (!after || at - before->end <= after->begin - at))
                FAULT(t, before->file, before->line,
                      text("something wrote %zu bytes behind the end of shared array '%s' (%zu bytes); seen %s",
                           at - before->end, before->name, before->end - before->begin, when));
            FAULT(t, after->file, after->line,
                  text("something wrote %zu bytes before the start of shared array '%s' (%zu bytes); seen %s",
                       after->begin - at, after->name, after->end - after->begin, when));
        }
    }
}

/* The array that holds all of these bytes. */
const Array *array_of(const Machine &m, const void *p, size_t bytes) {
    const uintptr_t base = reinterpret_cast<uintptr_t>(m.shared), at = reinterpret_cast<uintptr_t>(p);
    if (at < base || at - base >= SHARED_BYTES) return nullptr;
    for (size_t i = 0; i < m.arrays; i++)
        if (at - base >= m.array[i].begin && at - base + bytes <= m.array[i].end) return &m.array[i];
    return nullptr;
}

Chunk &chunk_of(Machine &m, const void *p) { return m.chunk[(static_cast<const char *>(p) - m.shared) / CHUNK]; }

/* "64 bytes into shared array 'tile'" */
std::string place_in(const Machine &m, const void *p) {
    const Array *array = array_of(m, p, 1);
    if (!array) return text("%p, outside of shared memory,", p);
    return text("%zu bytes into shared array '%s'",
                static_cast<size_t>(static_cast<const char *>(p) - m.shared) - array->begin, array->name);
}

std::string all_arrays(const Machine &m) {
    std::string all;
    for (size_t i = 0; i < m.arrays; i++) all += text("%s %zu, ", m.array[i].name, m.array[i].end - m.array[i].begin);
    return all;
}

void *new_array(Thread &t, const char *name, size_t bytes, const char *file, int line) {
    Machine &m = *t.machine;
    if (m.arrays == MAX_ARRAYS) FAULT(t, file, line, text("more than %zu shared arrays in a block", MAX_ARRAYS));
    m.shared_total = (m.shared_total + 15) / 16 * 16 + bytes;
    if (bytes > SHARED_LIMIT || m.shared_total > SHARED_LIMIT) {
        FAULT(t, file, line,
              text("static shared memory of a block is limited to %zu bytes, here are more: ", SHARED_LIMIT) +
                  all_arrays(m) + text("%s %zu", name, bytes));
    }
    Array &array = m.array[m.arrays];
    array.name = name;
    array.file = file;
    array.line = line;
    array.gap = m.arrays ? m.array[m.arrays - 1].end : 0;
    /* A multiple of 16 and never of 32, so that a kernel that counts on more is found out. */
    array.begin = (array.gap + CANARY_BYTES + 31) / 32 * 32 + 16;
    array.end = array.begin + bytes;
    m.arrays++;
    char        *memory = m.shared;
    const size_t behind = array.end + CANARY_BYTES;
    ASAN_UNPOISON_MEMORY_REGION(memory + array.gap, behind - array.gap);
    for (size_t i = array.gap; i < array.begin; i++) memory[i] = static_cast<char>(canary_byte(i));
    memset(memory + array.begin, 0xff, bytes);
    for (size_t i = array.end; i < behind; i++) memory[i] = static_cast<char>(canary_byte(i));
    ASAN_POISON_MEMORY_REGION(memory + array.gap, array.begin - array.gap);
    ASAN_POISON_MEMORY_REGION(memory + array.end, SHARED_BYTES - array.end);
    memset(static_cast<void *>(&m.chunk[array.begin / CHUNK]), 0, (bytes + CHUNK - 1) / CHUNK * sizeof(Chunk));
    return memory + array.begin;
}

/* ---- Warps ------------------------------------------------------------------------------------------------------- */

/* Joins the lanes that are at this call. True: this lane is the last of the mask; then the lanes' state is WAITING
 * still and the caller makes them ready. False: it has waited, and its result is there. */
bool meet(Thread &t, Kind kind, uint32_t mask, int width, const char *file, int line) {
    Machine       &m = *t.machine;
    Warp          &w = *t.warp;
    const uint32_t bit = 1u << t.lane;
    t.call = {kind, mask, width, line, file};
    t.state = WAITING;
    if (!(mask & bit)) FAULT(t, file, line, name_of(t.call) + " names a mask without the lane that calls it");
    if (mask & ~w.exist)
        FAULT(t, file, line,
              name_of(t.call) + text(" names lanes that the block has not got: 0x%08x", mask & ~w.exist));
    if (mask & w.ended)
        FAULT(t, file, line, name_of(t.call) + text(" names lanes that have ended: 0x%08x", mask & w.ended));
    Meeting *mine = nullptr;
    for (unsigned i = 0; i < w.meetings; i++) {
        Meeting &other = w.meeting[i];
        if (same(other.call, t.call))
            mine = &other;
        else if ((other.call.mask & bit) && (other.arrived & mask))
            FAULT(t, file, line, "lanes of a warp wait for each other in different calls:" + who_waits_where(m));
    }
    if (!mine) {
        mine = &w.meeting[w.meetings++];
        mine->call = t.call;
        mine->arrived = 0;
        mine->number = w.opened++;
    }
    mine->arrived |= bit;
    t.order = &w.syncwarp_order[mine->number % sizeof w.syncwarp_order];
    if (kind == SYNCWARP) emu_release(t.order);
    if (mine->arrived == mask) {
        *mine = w.meeting[--w.meetings];
        return true;
    }
    give_way(t);
    return false;
}

/* All lanes of the mask go on, in whatever order. */
void part(Thread &t) {
    make_ready(*t.machine, *t.warp, t.call.mask);
    give_way(t);
}

unsigned vote(Kind kind, uint32_t mask, int predicate, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self(KIND_NAMES[kind]);
    t.value = predicate != 0;
    if (meet(t, kind, mask, 0, file, line)) {
        Warp    &w = *t.warp;
        uint32_t votes = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
            votes |= static_cast<uint32_t>(w.lanes[lane].value) << lane;
        }
        const uint32_t result = kind == BALLOT ? votes : kind == ANY ? votes != 0 : kind == ALL ? votes == mask : 0;
        if (kind == SYNCWARP) w.syncs++;
        for (uint32_t rest = mask; rest; rest &= rest - 1) w.lanes[__builtin_ctz(rest)].result = result;
        part(t);
    }
    if (kind == SYNCWARP) emu_acquire(t.order);
    return static_cast<unsigned>(t.result);
}

/* ---- The block's barrier ----------------------------------------------------------------------------------------- */

void open_barrier(Thread &t) {
    Machine &m = *t.machine;
    check_canaries(t, "at a barrier");
    const unsigned sum = m.barrier_sum, all = m.at_barrier;
    m.barrier_sum = m.at_barrier = 0;
    m.period++;
    for (unsigned i = 0; i < (m.count + WARP - 1) / WARP; i++) {
        Warp &w = m.warps[i];
        for (uint32_t rest = w.at_barrier; rest; rest &= rest - 1) {
            Thread &other = w.lanes[__builtin_ctz(rest)];
            other.result = other.call.kind == BARRIER_COUNT ? sum
                           : other.call.kind == BARRIER_AND ? sum == all
                           : other.call.kind == BARRIER_OR  ? sum != 0
                                                            : 0;
        }
        if (w.at_barrier) make_ready(m, w, w.at_barrier);
        w.at_barrier = 0;
    }
}

int barrier(Kind kind, int predicate, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self(KIND_NAMES[kind]);
    Machine         &m = *t.machine;
    t.call = {kind, 0xffffffffu, 0, line, file};
    t.state = WAITING;
    if (m.at_barrier)
        for (unsigned i = 0; i < m.count; i++) {
            const Thread &other = m.threads[i];
            if (!(other.warp->at_barrier >> other.lane & 1)) continue;
            if (!same(other.call, t.call))
                FAULT(t, file, line, "threads of a block are at different barriers:" + who_waits_where(m));
            break; /* those that wait there are all alike */
        }
    t.warp->at_barrier |= 1u << t.lane;
    m.at_barrier++;
    m.barrier_sum += predicate != 0;
    void *const order = &m.barrier_order[m.period & 1];
    emu_release(order);
    if (m.at_barrier == m.alive) open_barrier(t);
    give_way(t);
    emu_acquire(order);
    return static_cast<int>(t.result);
}

/* ---- Blocks and grids -------------------------------------------------------------------------------------------- */

EMU_UNCOUNTED void thread_main(void *argument) {
    Thread  &t = *static_cast<Thread *>(argument);
    Machine &m = *t.machine;
    Warp    &w = *t.warp;
    emu_acquire(&m.start_order);
    (*m.kernel)();
    emu_look_away();
    emu_release(&m.end_order);
    emu_release(&m.barrier_order[m.period & 1]); /* what has ended has come to every barrier */

    t.state = ENDED;
    w.ended |= 1u << t.lane;
    m.alive--;
    if (emu_fibre_stack_was_used_up(&t.fibre)) FAULT(t, nullptr, 0, std::string("the thread's stack was too small"));
    for (unsigned i = 0; i < w.meetings; i++)
        if (w.meeting[i].call.mask >> t.lane & 1)
            FAULT(t, nullptr, 0, "the thread ends while lanes of its warp wait for it:" + who_waits_where(m));
    if (m.alive && m.at_barrier == m.alive) open_barrier(t);
    if (!m.alive) check_canaries(t, "at the end of the block");
    Thread *next = take_next(m);
    if (!next && m.alive) FAULT(t, nullptr, 0, "nothing in the block can go on:" + who_waits_where(m));
    if (next) next->started = true;
    emu_self = next;
    emu_look_again();
    emu_fibre_leave(&t.fibre, next ? &next->fibre : &m.host);
}

/* Whoever was in the middle of the kernel leaves it where it is; destructors of the kernel's objects do not run. */
void drop_threads(Machine &m) {
    m.dropping = true;
    for (unsigned i = 0; i < m.count; i++) {
        Thread &t = m.threads[i];
        if (!t.started) continue;
        if (t.state != ENDED) {
            t.state = ENDED;
            emu_fibre_switch(&m.host, &t.fibre);
        }
        emu_fibre_forget_frames(&t.fibre);
    }
    m.dropping = false;
}

void run_block(Machine &m, dim3 block, uint64_t seed) {
    m.random = seed | 1;
    m.period++;
    m.alive = m.count;
    m.at_barrier = m.barrier_sum = 0;
    m.arrays = m.shared_total = 0;
    m.ready_warps = 0;
    ASAN_POISON_MEMORY_REGION(m.shared, SHARED_BYTES);
    for (unsigned i = 0; i < m.count; i++) {
        Thread &t = m.threads[i];
        t.index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
        t.started = false;
        t.previous.kind = NOTHING;
        t.arrays_seen = 0;
        t.copies.clear();
        t.groups.clear();
        emu_fibre_prepare(&t.fibre, thread_main, &t);
    }
    for (unsigned i = 0; i < (m.count + WARP - 1) / WARP; i++) {
        Warp          &w = m.warps[i];
        const unsigned lanes = std::min<unsigned>(WARP, m.count - i * WARP);
        w.exist = lanes == WARP ? 0xffffffffu : (1u << lanes) - 1;
        w.ready = w.ended = w.at_barrier = 0;
        w.meetings = 0;
        w.syncs = 0;
        make_ready(m, w, w.exist);
    }
    m.warp = draw_bit(m.ready_warps, draw(m));
    Thread *first = take_next(m);
    first->started = true;
    emu_self = first;
    emu_release(&m.start_order);
    emu_fibre_switch(&m.host, &first->fibre);
    emu_self = nullptr;
    if (m.failed) drop_threads(m);
    emu_acquire(&m.end_order);
}

bool create_threads(Machine &m, unsigned count) {
    while (m.created < count) {
        Thread &t = m.threads[m.created];
        if (!emu_fibre_create(&t.fibre)) return false;
        t.machine = &m;
        t.block = &m.position;
        t.number = m.created;
        t.lane = m.created % WARP;
        t.warp = &m.warps[m.created / WARP];
        t.warp->lanes = &m.threads[m.created / WARP * WARP];
        m.created++;
    }
    return true;
}

uint64_t common_divisor(uint64_t a, uint64_t b) { return b ? common_divisor(b, a % b) : a; }

} // namespace

const char *emu_launch_refusal(dim3 grid, dim3 block) {
    if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z) return "a dimension is 0";
    if (block.x > 1024 || block.y > 1024 || block.z > 64) return "a dimension of the block is too large";
    if (static_cast<uint64_t>(block.x) * block.y * block.z > MAX_THREADS) return "more than 1024 threads in a block";
    if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) return "a dimension of the grid is too large";
    return nullptr;
}

void emu_run_grid(const char *name, dim3 grid, dim3 block, const std::function<void()> &kernel) {
    const char *races = getenv("EMU_RACES");
    emu_fibre_unordered = races && *races && strcmp(races, "0") != 0;
    const emu_unseen unseen;
    Machine         &m = this_machine();
    const char      *refusal = emu_launch_refusal(grid, block);
    m.failed = false;
    m.report[0] = 0;
    if (!refusal && m.running) refusal = "a kernel runs on this thread already";
    if (!refusal && !create_threads(m, block.x * block.y * block.z)) refusal = "no memory for the threads' stacks";
    if (refusal) {
        m.failed = true;
        snprintf(m.report, sizeof m.report, "kernel %s cannot run: %s", name, refusal);
    } else {
        m.running = true;
        m.name = name;
        m.kernel = &kernel;
        m.count = block.x * block.y * block.z;
        m.position.block_dim = block;
        m.position.grid_dim = grid;
        emu_fibre_adopt(&m.host);
        /* Blocks in the order start, start + stride, ..., modulo their number, to which the stride is prime. */
        const uint64_t seed = seed_of_launch(m), blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
        uint64_t       stride = scramble(seed) % blocks + 1, i = seed % blocks;
        while (common_divisor(stride, blocks) != 1) stride++;
        for (uint64_t done = 0; done < blocks && !m.failed; done++, i = (i + stride) % blocks) {
            m.position.index = {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                                static_cast<unsigned>(i / grid.x / grid.y)};
            run_block(m, block, scramble(seed + i));
        }
        m.running = false;
    }
    if (!m.failed) return;
    if (emu_device_fault)
        emu_device_fault(m.report);
    else
        fprintf(stderr, "emulator: %s\n", m.report);
}

const char *emu_last_fault() { return this_machine().report; }

void emu_set_seed(uint64_t seed) {
    seed_value = seed;
    seed_version++;
}

/* ---- What kernels call ------------------------------------------------------------------------------------------- */

void emu_trap(const char *what, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self(what);
    FAULT(t, file, line, std::string(what));
    abort(); /* not reached: a compiler does not see that FAULT leaves */
}

void *emu_shared_bytes(const char *name, size_t bytes, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self("ADE_SHARED");
    Machine         &m = *t.machine;
    const auto       is_this = [&](const Array &array) {
        return array.line == line && strcmp(array.name, name) == 0 && strcmp(array.file, file) == 0;
    };
    /* The same declaration again, in a loop or a function called twice: the same array. */
    for (unsigned i = 0; i < t.arrays_seen; i++)
        if (is_this(m.array[i]) && m.array[i].end - m.array[i].begin == bytes) return m.shared + m.array[i].begin;
    if (t.arrays_seen == m.arrays) {
        void *p = new_array(t, name, bytes, file, line);
        t.arrays_seen++;
        return p;
    }
    const Array &array = m.array[t.arrays_seen++];
    if (!is_this(array) || array.end - array.begin != bytes)
        FAULT(t, file, line,
              text("the thread comes to shared array '%s' (%zu bytes) where another thread came to '%s' (%zu bytes, "
                   "%s:%d)",
                   name, bytes, array.name, array.end - array.begin, base_name(array.file), array.line));
    return m.shared + array.begin;
}

void __syncthreads(const char *file, int line) { barrier(BARRIER, 0, file, line); }
int  __syncthreads_count(int predicate, const char *file, int line) {
     return barrier(BARRIER_COUNT, predicate, file, line);
}
int __syncthreads_and(int predicate, const char *file, int line) { return barrier(BARRIER_AND, predicate, file, line); }
int __syncthreads_or(int predicate, const char *file, int line) { return barrier(BARRIER_OR, predicate, file, line); }

void __syncwarp(unsigned mask, const char *file, int line) { vote(SYNCWARP, mask, 0, file, line); }

unsigned __ballot_sync(unsigned mask, int predicate, const char *file, int line) {
    return vote(BALLOT, mask, predicate, file, line);
}

int __any_sync(unsigned mask, int predicate, const char *file, int line) {
    return static_cast<int>(vote(ANY, mask, predicate, file, line));
}

int __all_sync(unsigned mask, int predicate, const char *file, int line) {
    return static_cast<int>(vote(ALL, mask, predicate, file, line));
}

/* From which lane: the PTX manual's shfl.sync, in the words of CUDA's parameters. */
uint64_t emu_shuffle(emu_shuffle_kind which, unsigned mask, uint64_t value, int operand, int width, const char *file,
                     int line) {
    const emu_unseen unseen;
    const Kind       kind = static_cast<Kind>(SHUFFLE_INDEX + which);
    Thread          &t = self(KIND_NAMES[kind]);
    if (width < 1 || width > 32 || (width & (width - 1)))
        FAULT(t, file, line, text("the width of %s is %d, not a power of 2 up to 32", KIND_NAMES[kind], width));
    if (which != EMU_SHUFFLE_INDEX && (operand < 0 || operand > 31))
        FAULT(t, file, line,
              text("%s over a distance of %d; only its lowest five bits would count", KIND_NAMES[kind], operand));
    const int lane = static_cast<int>(t.lane), first = lane & ~(width - 1), end = first + width;
    int       source = lane;
    switch (which) {
    case EMU_SHUFFLE_INDEX: source = first + (operand & (width - 1)); break;
    case EMU_SHUFFLE_UP: source = lane - operand >= first ? lane - operand : lane; break;
    case EMU_SHUFFLE_DOWN: source = lane + operand < end ? lane + operand : lane; break;
    case EMU_SHUFFLE_XOR: source = (lane ^ operand) < end ? lane ^ operand : lane; break;
    }
    t.value = value;
    t.source = static_cast<unsigned>(source);
    if (meet(t, kind, mask, width, file, line)) {
        Warp &w = *t.warp;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            Thread &to = w.lanes[__builtin_ctz(rest)];
            /* What a lane outside of the mask has is undefined. */
            to.result = mask >> to.source & 1 ? w.lanes[to.source].value : ~0ull;
        }
        part(t);
    }
    return t.result;
}

/* ---- Tensor cores ------------------------------------------------------------------------------------------------ */

namespace {

void multiply(Warp &w) {
    float a[16][16], b[16][8], c[16][8];
    for (unsigned lane = 0; lane < WARP; lane++) {
        const Thread  &t = w.lanes[lane];
        const unsigned g = lane / 4, p = lane % 4 * 2;
        for (unsigned i = 0; i < 4; i++)
            for (unsigned j = 0; j < 2; j++)
                a[g + 8 * (i & 1)][p + 8 * (i >> 1) + j] = emu_half_to_float(static_cast<uint16_t>(t.a[i] >> 16 * j));
        for (unsigned i = 0; i < 2; i++)
            for (unsigned j = 0; j < 2; j++) {
                b[p + 8 * i + j][g] = emu_half_to_float(static_cast<uint16_t>(t.b[i] >> 16 * j));
                c[g + 8 * i][p + j] = t.c[2 * i + j];
            }
    }
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k < 16; k++)
            for (unsigned j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
    for (unsigned lane = 0; lane < WARP; lane++)
        for (unsigned i = 0; i < 4; i++) w.lanes[lane].c[i] = c[lane / 4 + 8 * (i >> 1)][lane % 4 * 2 + (i & 1)];
}

/* Whether this thread may read the 16 bytes now: not while a copy to them is under way, and what a copy has brought
 * only after whatever orders the two threads. */
void check_row(Thread &t, const void *row, const char *file, int line) {
    Machine    &m = *t.machine;
    const char *what = KIND_NAMES[LDMATRIX];
    if (reinterpret_cast<uintptr_t>(row) % CHUNK)
        FAULT(t, file, line,
              text("%s of a row that does not start at a multiple of 16 bytes: ", what) + place_in(m, row));
    if (!array_of(m, row, CHUNK))
        FAULT(t, file, line, text("%s of a row that is not inside a shared array: ", what) + place_in(m, row));
    Chunk &chunk = chunk_of(m, row);
    if (chunk.under_way)
        FAULT(t, file, line,
              text("race: %s reads ", what) + place_in(m, row) + ", where the cp.async of " +
                  name_of(m.threads[chunk.under_way - 1]) + " has not been waited for");
    if (chunk.written_in == m.period && chunk.writer != t.number + 1u) {
        const Thread &writer = m.threads[chunk.writer - 1];
        if (writer.warp != t.warp)
            FAULT(t, file, line,
                  text("race: %s reads ", what) + place_in(m, row) + ", which the cp.async of " + name_of(writer) +
                      " wrote, without a __syncthreads between");
        if (chunk.written_after == t.warp->syncs)
            FAULT(t, file, line,
                  text("race: %s reads ", what) + place_in(m, row) + ", which the cp.async of " + name_of(writer) +
                      " wrote, without a __syncwarp between");
    }
    if (chunk.read_in != m.period) chunk.readers = 0;
    chunk.read_in = m.period;
    chunk.readers |= 1u << (t.warp - m.warps);
}

void perform(Thread &t, size_t first, size_t end) {
    Machine &m = *t.machine;
    for (size_t i = first; i < end; i++) {
        const Copy copy = t.copies[i];
        {
            const emu_seen seen;
            if (copy.from)
                memcpy(copy.to, copy.from, CHUNK);
            else
                memset(copy.to, 0, CHUNK);
        }
        Chunk &chunk = chunk_of(m, copy.to);
        chunk.under_way = 0;
        chunk.written_in = m.period;
        chunk.writer = static_cast<uint16_t>(t.number + 1);
        chunk.written_after = t.warp->syncs;
    }
}

} // namespace

void emu_mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2], const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self(KIND_NAMES[MMA]);
    t.a = a;
    t.b = b;
    t.c = c;
    if (meet(t, MMA, 0xffffffffu, 0, file, line)) {
        multiply(*t.warp);
        part(t);
    }
}

void emu_ldmatrix_x4(uint32_t r[4], const void *row, bool transposed, const char *file, int line) {
    const emu_unseen unseen;
    const Kind       kind = transposed ? LDMATRIX_TRANS : LDMATRIX;
    Thread          &t = self(KIND_NAMES[kind]);
    check_row(t, row, file, line);
    { /* now, not when the last lane comes: a missing __syncwarp shows */
        const emu_seen seen;
        memcpy(t.row, row, CHUNK);
    }
    t.r = r;
    if (meet(t, kind, 0xffffffffu, 0, file, line)) {
        Warp &w = *t.warp;
        for (unsigned lane = 0; lane < WARP; lane++) {
            const unsigned g = lane / 4, p = lane % 4 * 2;
            for (unsigned i = 0; i < 4; i++) {
                const Thread  *rows = &w.lanes[8 * i];
                const uint32_t low = transposed ? rows[p].row[g] : rows[g].row[p];
                const uint32_t high = transposed ? rows[p + 1].row[g] : rows[g].row[p + 1];
                w.lanes[lane].r[i] = low | high << 16;
            }
        }
        part(t);
    }
}

void emu_cp_async16(void *to, const void *from, bool valid, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self("cp.async");
    Machine         &m = *t.machine;
    if (reinterpret_cast<uintptr_t>(to) % CHUNK)
        FAULT(t, file, line, "cp.async to where no multiple of 16 bytes is: " + place_in(m, to));
    if (valid && reinterpret_cast<uintptr_t>(from) % CHUNK)
        FAULT(t, file, line, text("cp.async from %p, not a multiple of 16 bytes", from));
    if (!array_of(m, to, CHUNK))
        FAULT(t, file, line, "cp.async to 16 bytes that are not inside a shared array: " + place_in(m, to));
    Chunk         &chunk = chunk_of(m, to);
    const uint32_t own_warp = 1u << (t.warp - m.warps);
    if (chunk.under_way)
        FAULT(t, file, line,
              "race: cp.async writes " + place_in(m, to) + ", where the cp.async of " +
                  name_of(m.threads[chunk.under_way - 1]) + " has not been waited for");
    if (chunk.written_in == m.period && m.threads[chunk.writer - 1].warp != t.warp)
        FAULT(t, file, line,
              "race: cp.async writes " + place_in(m, to) + ", which the cp.async of " +
                  name_of(m.threads[chunk.writer - 1]) + " wrote, without a __syncthreads between");
    if (chunk.read_in == m.period && (chunk.readers & ~own_warp))
        FAULT(t, file, line,
              "race: cp.async writes " + place_in(m, to) +
                  text(", which warps 0x%08x read by ldmatrix, without a __syncthreads between",
                       chunk.readers & ~own_warp));
    chunk.under_way = static_cast<uint16_t>(t.number + 1);
    memset(to, 0xff, CHUNK); /* from now on what was there may be gone */
    t.copies.push_back({to, valid ? from : nullptr});
}

void emu_cp_async_commit(const char *, int) {
    const emu_unseen unseen;
    Thread          &t = self("cp.async.commit_group");
    t.groups.push_back(t.copies.size());
}

void emu_cp_async_wait(int pending, const char *file, int line) {
    const emu_unseen unseen;
    Thread          &t = self("cp.async.wait_group");
    if (pending < 0) FAULT(t, file, line, text("cp.async.wait_group %d", pending));
    if (t.groups.size() <= static_cast<size_t>(pending)) return;
    const size_t groups = t.groups.size() - static_cast<size_t>(pending), done = t.groups[groups - 1];
    perform(t, 0, done);
    t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<ptrdiff_t>(done));
    t.groups.erase(t.groups.begin(), t.groups.begin() + static_cast<ptrdiff_t>(groups));
    for (size_t &end : t.groups) end -= done;
}
