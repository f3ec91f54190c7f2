/* SPDX-License-Identifier: Apache-2.0
 * The emulator's device, primitive by primitive: what it computes, and that it catches what it says it catches. Needs
 * emu_device.cc and emu_fibre.cc alone. Arguments: none; `--speed` also prints how long a switch takes. */
#include "emu_check.h"
#include "cuda_runtime.h"

#include "cuda_fp16.h"
#include "emu_fibre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

static int failures, checks;

/* The latest grid went through. */
#define CHECK_RAN()                                                                                                    \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (*emu_last_fault()) {                                                                                       \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: unexpected fault: %s\n", __FILE__, __LINE__, emu_last_fault());                    \
        }                                                                                                              \
    } while (0)

/* The latest grid ended in a fault whose report holds this text. */
#define CHECK_FAULT(part)                                                                                              \
    do {                                                                                                               \
        checks++;                                                                                                      \
        if (!strstr(emu_last_fault(), (part))) {                                                                       \
            failures++;                                                                                                \
            fprintf(stderr, "%s:%d: no fault with \"%s\": \"%s\"\n", __FILE__, __LINE__, (part), emu_last_fault());    \
        }                                                                                                              \
    } while (0)

#define ALL 0xffffffffu
#define SHARED(type, name, count) type *const name = emu_shared<type>(#name, (count))

template <class F> static void grid(dim3 blocks, dim3 threads, F kernel) {
    emu_run_grid("test", blocks, threads, kernel);
}

static unsigned lane() { return threadIdx.x % 32; }

/* ---- Grids ------------------------------------------------------------------------------------------------------- */

static void test_indices() {
    std::vector<int>      visits(3 * 2 * 2 * 4 * 3 * 5, 0);
    std::vector<unsigned> order;
    grid(dim3(3, 2, 2), dim3(4, 3, 5), [&] {
        CHECK(gridDim.x == 3 && gridDim.y == 2 && gridDim.z == 2);
        CHECK(blockDim.x == 4 && blockDim.y == 3 && blockDim.z == 5);
        const unsigned block = (blockIdx.z * 2 + blockIdx.y) * 3 + blockIdx.x;
        const unsigned thread = (threadIdx.z * 3 + threadIdx.y) * 4 + threadIdx.x;
        if (thread == 0) order.push_back(block);
        visits[block * 60 + thread]++;
    });
    CHECK_RAN();
    for (int n : visits) CHECK(n == 1);
    CHECK(!std::is_sorted(order.begin(), order.end()));
    CHECK(warpSize == 32);
}

static void test_refusals() {
    CHECK(!emu_launch_refusal(1, 1024));
    CHECK(!emu_launch_refusal(dim3(0x7fffffff, 65535, 65535), dim3(16, 1, 64)));
    CHECK(emu_launch_refusal(0, 32));
    CHECK(emu_launch_refusal(dim3(1, 0, 1), 32));
    CHECK(emu_launch_refusal(1, dim3(32, 1, 0)));
    CHECK(emu_launch_refusal(1, 1025));
    CHECK(emu_launch_refusal(1, dim3(64, 32)));
    CHECK(emu_launch_refusal(1, dim3(1, 1, 65)));
    CHECK(emu_launch_refusal(dim3(1, 65536, 1), 32));
    CHECK(emu_launch_refusal(dim3(1, 1, 65536), 32));
    CHECK(emu_launch_refusal(0x80000000u, 32));
    bool ran = false;
    grid(1, 1025, [&] { ran = true; });
    CHECK_FAULT("kernel test cannot run: a dimension of the block is too large");
    CHECK(!ran);
}

/* The same seed gives the same order, another seed another. */
static void test_order() {
    const auto run = [](uint64_t seed, unsigned threads) {
        std::vector<unsigned> order;
        emu_set_seed(seed);
        grid(2, threads, [&] { order.push_back(blockIdx.x * 1024 + threadIdx.x); });
        CHECK_RAN();
        return order;
    };
    for (unsigned threads : {32u, 128u, 1024u}) {
        CHECK(run(1, threads) == run(1, threads));
        CHECK(run(1, threads) != run(2, threads));
    }
    /* Of any two lanes, and of any two warps, each comes first with about half of the seeds. */
    int lanes[3] = {0}, warps[3] = {0};
    for (uint64_t seed = 1; seed <= 64; seed++) {
        std::vector<unsigned> order = run(seed, 128);
        const auto            at = [&](unsigned id) { return std::find(order.begin(), order.end(), id); };
        for (unsigned i = 0; i < 3; i++) {
            lanes[i] += at(10 * i) < at(10 * i + 1);
            warps[i] += at(32 * i) < at(32 * (i + 1));
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        CHECK(lanes[i] > 18 && lanes[i] < 46);
        CHECK(warps[i] > 18 && warps[i] < 46);
    }
    emu_set_seed(1);
}

static void test_early_exit() {
    int out[64] = {0};
    grid(1, 64, [&] {
        if (threadIdx.x >= 40) return;
        __syncthreads(); /* threads that have ended are not waited for */
        out[threadIdx.x] = 1;
    });
    CHECK_RAN();
    for (int i = 0; i < 64; i++) CHECK(out[i] == (i < 40));
}

static void test_os_threads() {
    std::vector<int>         sums(4, 0);
    std::vector<std::string> faults(4);
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; n++)
        threads.emplace_back([n, &sums, &faults] {
            for (int round = 0; round < 20; round++) {
                int *sum = &sums[static_cast<size_t>(n)];
                grid(3, 96, [sum, n] {
                    SHARED(int, values, 96);
                    values[threadIdx.x] = n;
                    __syncthreads();
                    const int other = __shfl_xor_sync(ALL, values[95 - threadIdx.x], 5);
                    atomicAdd(sum, other + 1);
                });
                if (*emu_last_fault()) faults[static_cast<size_t>(n)] = emu_last_fault();
            }
        });
    for (std::thread &t : threads) t.join();
    for (int n = 0; n < 4; n++) {
        CHECK(sums[static_cast<size_t>(n)] == 20 * 3 * 96 * (n + 1));
        CHECK(faults[static_cast<size_t>(n)].empty());
    }
}

/* Floating-point control belongs to the OS thread and comes back as it was; values survive a switch. */
static void test_registers() {
    double out[128];
    grid(1, 128, [&] {
        double a = threadIdx.x, b = 0.5 * threadIdx.x, c = 1;
        for (int i = 0; i < 50; i++) {
            __syncthreads();
            a += 1;
            __syncwarp();
            b += 2;
            c *= 1.0 + 1e-3 * static_cast<double>(threadIdx.x & 1);
        }
        out[threadIdx.x] = a + b + 0 * c;
    });
    CHECK_RAN();
    for (int i = 0; i < 128; i++) CHECK(out[i] == i * 1.5 + 150);
}

/* ---- Warps ------------------------------------------------------------------------------------------------------- */

static void test_shuffles() {
    int           index[32], wrap[32], up[32], down[32], exchange[32], xor_beyond[32];
    double        wide[32];
    float         single[32];
    long long     big[32];
    unsigned char halves[32];
    grid(1, 32, [&] {
        const int l = static_cast<int>(lane());
        index[l] = __shfl_sync(ALL, 100 + l, 7);
        wrap[l] = __shfl_sync(ALL, l, 9, 8); /* source modulo width, in the lane's own segment */
        up[l] = __shfl_up_sync(ALL, l, 3, 16);
        down[l] = __shfl_down_sync(ALL, l, 3, 16);
        exchange[l] = __shfl_xor_sync(ALL, l, 5);
        xor_beyond[l] = __shfl_xor_sync(ALL, l, 8, 8); /* later segments cannot be read, earlier ones can */
        wide[l] = __shfl_sync(ALL, l * 1e100, 31 - l);
        single[l] = __shfl_down_sync(ALL, static_cast<float>(l) / 3, 1);
        big[l] = __shfl_xor_sync(ALL, l * 0x100000000ll, 31);
        halves[l] = __heq(__shfl_xor_sync(ALL, __float2half(static_cast<float>(l)), 1),
                          __float2half(static_cast<float>(l ^ 1)));
    });
    CHECK_RAN();
    for (int l = 0; l < 32; l++) {
        CHECK(index[l] == 107);
        CHECK(wrap[l] == (l & ~7) + 1);
        CHECK(up[l] == (l % 16 >= 3 ? l - 3 : l));
        CHECK(down[l] == (l % 16 < 13 ? l + 3 : l));
        CHECK(exchange[l] == (l ^ 5));
        CHECK(xor_beyond[l] == ((l ^ 8) < (l & ~7) + 8 ? l ^ 8 : l));
        CHECK(wide[l] == (31 - l) * 1e100);
        CHECK(single[l] == static_cast<float>(l < 31 ? l + 1 : l) / 3);
        CHECK(big[l] == (l ^ 31) * 0x100000000ll);
        CHECK(halves[l]);
    }
}

static void test_masks() {
    int      sums[64];
    unsigned outside[32];
    grid(1, 64, [&] {
        const unsigned l = lane();
        /* Two halves of a warp, each for itself, a different number of times. */
        int value = static_cast<int>(l);
        if (l < 16)
            for (int d = 8; d > 0; d /= 2) value += __shfl_xor_sync(0x0000ffffu, value, d);
        else
            for (int n = 0; n < 3; n++) value = __shfl_sync(0xffff0000u, value, 20);
        sums[threadIdx.x] = value;
    });
    CHECK_RAN();
    for (int i = 0; i < 64; i++) CHECK(sums[i] == (i % 32 < 16 ? 120 : 20));
    grid(1, 32, [&] {
        outside[lane()] = 0;
        if (lane() < 16) outside[lane()] = __shfl_sync(0xffffu, lane(), 16); /* undefined: not what lane 16 has */
    });
    CHECK_RAN();
    CHECK(outside[0] == ALL && outside[15] == ALL);
}

static void test_votes() {
    unsigned ballot[64], part[32];
    int      any[64], all[64], none[64];
    grid(1, 64, [&] {
        const unsigned t = threadIdx.x;
        ballot[t] = __ballot_sync(ALL, t % 3 == 0);
        any[t] = __any_sync(ALL, t == 40);
        all[t] = __all_sync(ALL, t < 32);
        none[t] = __all_sync(ALL, t != 5);
        if (t < 5) part[t] = __ballot_sync(0x1f, t != 2);
    });
    CHECK_RAN();
    for (unsigned t = 0; t < 64; t++) {
        unsigned expected = 0;
        for (unsigned l = 0; l < 32; l++) expected |= ((t / 32 * 32 + l) % 3 == 0 ? 1u : 0u) << l;
        CHECK(ballot[t] == expected);
        CHECK(any[t] == (t >= 32));
        CHECK(all[t] == (t < 32));
        CHECK(none[t] == (t >= 32));
        if (t < 5) CHECK(part[t] == 0x1bu);
    }
}

static void test_wrong_warps() {
    grid(1, 32, [] { __shfl_sync(0xfffffffeu, 1, 1); });
    CHECK_FAULT("names a mask without the lane");
    CHECK_FAULT("lane 0]");
    CHECK_FAULT("__shfl_sync(mask 0xfffffffe) at test_emulator_primitives.cc:");
    grid(1, 40, [] { __syncwarp(); }); /* the last warp has 8 lanes */
    CHECK_FAULT("names lanes that the block has not got: 0xffffff00");
    grid(1, 32, [] {
        if (lane() < 16)
            __syncwarp();
        else
            __ballot_sync(ALL, 1);
    });
    CHECK_FAULT("wait for each other in different calls");
    CHECK_FAULT("__ballot_sync(mask 0xffffffff)");
    CHECK_FAULT("__syncwarp(mask 0xffffffff)");
    grid(1, 32, [] {
        if (lane() < 16)
            __shfl_sync(0x0000ffffu, 1, 0);
        else
            __shfl_sync(ALL, 1, 0);
    });
    CHECK(*emu_last_fault()); /* half of the warp has ended, or is waited for in vain */
    grid(1, 32, [] {
        if (lane() == 3) return;
        __any_sync(ALL, 1);
    });
    CHECK(strstr(emu_last_fault(), "ends while lanes of its warp wait for it") ||
          strstr(emu_last_fault(), "names lanes that have ended: 0x00000008"));
    grid(1, 32, [] {
        if (lane() == 3) return;
        __syncthreads(); /* opens when lane 3 has ended */
        __any_sync(ALL, 1);
    });
    CHECK_FAULT("names lanes that have ended: 0x00000008");
    grid(1, 64, [] {
        if (threadIdx.x != 5) __syncwarp();
        __syncthreads();
    });
    CHECK_FAULT("nothing in the block can go on");
    CHECK_FAULT("wait in __syncwarp(mask 0xffffffff)");
    CHECK_FAULT("threads 5, 32..63: wait in __syncthreads at test_emulator_primitives.cc:");
    grid(1, 32, [] { __shfl_sync(ALL, 1, 0, 12); });
    CHECK_FAULT("not a power of 2");
    grid(1, 32, [] { __shfl_xor_sync(ALL, 1, 32); });
    CHECK_FAULT("distance of 32");
    /* A lane that goes round a loop once more than the others. */
    grid(1, 32, [] {
        for (unsigned i = 0; i < 3 + (lane() == 31); i++) __shfl_xor_sync(ALL, i, 1);
    });
    CHECK(*emu_last_fault());
    grid(1, 32, [] {});
    CHECK_RAN(); /* after a fault, the next grid runs */
}

/* A missing __syncwarp or __syncthreads is seen with some of the seeds 1..8, and its presence with none. */
template <class Step> static int seeds_that_see(unsigned threads, unsigned partner, Step step) {
    int seen = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        emu_set_seed(seed);
        bool wrong = false;
        grid(4, threads, [&] {
            SHARED(unsigned, values, 1024);
            values[threadIdx.x] = threadIdx.x;
            step();
            if (values[threadIdx.x ^ partner] != (threadIdx.x ^ partner)) wrong = true;
        });
        CHECK_RAN();
        seen += wrong;
    }
    emu_set_seed(1);
    return seen;
}

static void test_missing_barriers() {
    CHECK(seeds_that_see(128, 32, [] { __syncthreads(); }) == 0);
    CHECK(seeds_that_see(128, 32, [] {}) == 8);
    CHECK(seeds_that_see(128, 32, [] { __syncwarp(); }) == 8);
    CHECK(seeds_that_see(32, 1, [] { __syncwarp(); }) == 0);
    CHECK(seeds_that_see(32, 1, [] {}) == 8);
    CHECK(seeds_that_see(64, 32, [] { __syncwarp(); }) >= 1);
}

/* ---- The block's barrier ----------------------------------------------------------------------------------------- */

static void test_barriers() {
    int counts[96], ands[96], ors[96];
    grid(1, 96, [&] {
        SHARED(int, steps, 1);
        if (threadIdx.x == 0) *steps = 0;
        for (int i = 0; i < 5; i++) {
            __syncthreads();
            CHECK(*steps == i);
            __syncthreads();
            if (threadIdx.x == static_cast<unsigned>(i * 17)) ++*steps;
        }
        counts[threadIdx.x] = __syncthreads_count(threadIdx.x % 2 == 0);
        ands[threadIdx.x] = __syncthreads_and(threadIdx.x < 95);
        ors[threadIdx.x] = __syncthreads_or(threadIdx.x == 95);
    });
    CHECK_RAN();
    for (int i = 0; i < 96; i++) CHECK(counts[i] == 48 && ands[i] == 0 && ors[i] == 1);
    grid(1, 64, [] {
        if (threadIdx.x < 32)
            __syncthreads();
        else
            __syncthreads();
    });
    CHECK_FAULT("at different barriers");
    CHECK_FAULT("wait in __syncthreads at test_emulator_primitives.cc:");
    /* A loop with as many rounds as the warp's number: the last one ends while the others have ended, which is allowed.
     */
    grid(1, 64, [] {
        for (unsigned i = 0; i <= threadIdx.x / 32; i++) __syncthreads();
    });
    CHECK_RAN();
}

/* ---- Shared memory ----------------------------------------------------------------------------------------------- */

static void test_shared() {
    bool      aligned = true, poisoned = true, kept = true, separate = true;
    const int blocks = 5;
    grid(blocks, 64, [&] {
        SHARED(float, singles, 33);
        SHARED(__half, halves, 7);
        SHARED(uint4, wide, 4);
        for (const void *p :
             {static_cast<const void *>(singles), static_cast<const void *>(halves), static_cast<const void *>(wide)})
            if (reinterpret_cast<uintptr_t>(p) % 16) aligned = false;
        /* Every block finds it fresh: NaN, whatever it is read as. */
        if (threadIdx.x < 33 && !std::isnan(singles[threadIdx.x])) poisoned = false;
        if (threadIdx.x < 7 && !__hisnan(halves[threadIdx.x])) poisoned = false;
        __syncthreads();
        if (threadIdx.x < 33) singles[threadIdx.x] = 1;
        if (threadIdx.x < 7) halves[threadIdx.x] = 2.0f;
        if (threadIdx.x < 4) wide[threadIdx.x] = make_uint4(1, 2, 3, 4);
        __syncthreads();
        for (int i = 0; i < 33; i++) kept = kept && singles[i] == 1;
        for (int i = 0; i < 7; i++) kept = kept && __half2float(halves[i]) == 2;
        separate = separate && wide[3].w == 4;
    });
    CHECK_RAN();
    CHECK(aligned && poisoned && kept && separate);

    bool same = true;
    grid(1, 32, [&] {
        int *first = nullptr;
        for (int i = 0; i < 3; i++) {
            SHARED(int, again, 4);
            if (i && again != first) same = false;
            first = again;
        }
    });
    CHECK_RAN();
    CHECK(same);

    grid(1, 32, [] {
        SHARED(char, first, 32 * 1024);
        SHARED(char, second, 16 * 1024);
        (void)first, (void)second;
    });
    CHECK_RAN();
    grid(1, 32, [] {
        SHARED(char, first, 32 * 1024);
        SHARED(char, second, 16 * 1024 + 16);
        (void)first, (void)second;
    });
    CHECK_FAULT("limited to 49152 bytes, here are more: first 32768, second 16400");
    grid(1, 32, [] {
        if (lane() < 16) {
            SHARED(int, one, 4);
            (void)one;
        } else {
            SHARED(int, two, 4);
            (void)two;
        }
    });
    CHECK_FAULT("comes to shared array '");
    grid(1, 32, [] {
        SHARED(int, sized, 4 + lane() / 31);
        (void)sized;
    });
    CHECK_FAULT("comes to shared array 'sized'");
}

/* Writes one element beside an array. */
static void write_beside(ptrdiff_t element, bool barrier) {
    grid(1, 64, [=] {
        SHARED(float, before, 4);
        SHARED(float, array, 16);
        SHARED(float, behind, 4);
        (void)before, (void)behind;
        if (threadIdx.x == 9) {
            volatile float *p = array;
            p[element] = 0;
        }
        if (barrier) __syncthreads();
    });
}

static void test_canaries() {
    write_beside(15, false);
    CHECK_RAN();
#ifdef EMU_ASAN
    /* The sanitizer ends the process at the access itself. */
    for (ptrdiff_t element : {-1, 16}) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        const pid_t child = fork();
        if (child == 0) {
            dup2(ends[1], 2);
            close(ends[0]);
            write_beside(element, false);
            _exit(0);
        }
        close(ends[1]);
        std::string said;
        char        buffer[4096];
        for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<size_t>(n));
        close(ends[0]);
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
        CHECK(said.find("use-after-poison") != std::string::npos);
        CHECK(said.find("write_beside") != std::string::npos);
    }
#else
    write_beside(16, false);
    CHECK_FAULT("wrote 0 bytes behind the end of shared array 'array' (64 bytes); seen at the end of the block");
    write_beside(17, true);
    CHECK_FAULT("wrote 4 bytes behind the end of shared array 'array' (64 bytes); seen at a barrier");
    write_beside(-1, true);
    CHECK_FAULT("before the start of shared array 'array'");
    write_beside(-2, false);
    CHECK_FAULT("before the start of shared array 'array'");
#endif
}

/* ---- cp.async ---------------------------------------------------------------------------------------------------- */

alignas(16) static uint32_t source[4 * 256];

static void test_cp_async() {
    for (unsigned i = 0; i < 4 * 256; i++) source[i] = i;
    bool good = true, early_poison = true, order = true;
    grid(2, 64, [&] {
        SHARED(uint32_t, to, 4 * 256);
        const unsigned t = threadIdx.x;
        for (unsigned stage = 0; stage < 3; stage++) {
            emu_cp_async16(to + 4 * (stage * 64 + t), source + 4 * (stage * 64 + t), stage != 1 || t != 5);
            emu_cp_async_commit();
        }
        emu_cp_async16(to + 4 * (3 * 64 + t), source, true); /* never committed */
        if (to[4 * t] != ALL) early_poison = false;
        emu_cp_async_wait(2);
        if (to[4 * t + 1] != 4 * t + 1 || to[4 * (64 + t)] != ALL) order = false;
        emu_cp_async_wait(1);
        if (to[4 * (64 + t)] != (t == 5 ? 0 : 4 * (64 + t)) || to[4 * (128 + t)] != ALL) order = false;
        emu_cp_async_wait(0);
        if (to[4 * (128 + t) + 3] != 4 * (128 + t) + 3 || to[4 * (192 + t)] != ALL) order = false;
        __syncthreads();
        for (unsigned i = 0; i < 4 * 192; i++)
            if (to[i] != (i / 4 == 64 + 5 ? 0 : i)) good = false;
    });
    CHECK_RAN();
    CHECK(good && early_poison && order);

    /* A missing wait: poison after the barrier. A group too few waited for: the same. */
    for (int pending = 0; pending < 2; pending++) {
        int poisoned = 0;
        grid(1, 32, [&] {
            SHARED(uint32_t, to, 4 * 32);
            emu_cp_async16(to + 4 * lane(), source + 4 * lane(), true);
            if (pending) {
                emu_cp_async_commit();
                emu_cp_async_wait(1);
            }
            __syncthreads();
            if (to[4 * (31 - lane())] == ALL) poisoned++;
        });
        CHECK_RAN();
        CHECK(poisoned == 32);
    }
    /* What was there is gone as soon as the copy may begin. */
    bool old_gone = true;
    grid(1, 32, [&] {
        SHARED(uint32_t, to, 4 * 32);
        to[4 * lane()] = 7;
        emu_cp_async16(to + 4 * lane(), source + 4 * lane(), true);
        if (to[4 * lane()] != ALL) old_gone = false;
    });
    CHECK_RAN();
    CHECK(old_gone);
    grid(1, 32, [] {
        SHARED(char, to, 16 * 33);
        emu_cp_async16(to + 16 * lane() + 8, source, true);
    });
    CHECK_FAULT("cp.async to where no multiple of 16 bytes is");
    grid(1, 32, [] {
        SHARED(char, to, 16 * 32);
        emu_cp_async16(to + 16 * lane(), source + 1, true);
    });
    CHECK_FAULT("not a multiple of 16 bytes");
    grid(1, 32, [] {
        SHARED(char, to, 16 * 31);
        emu_cp_async16(to + 16 * lane(), source, true);
    });
    CHECK_FAULT("not inside a shared array");
    grid(1, 1, [] { emu_cp_async16(source, source, true); });
    CHECK_FAULT("outside of shared memory");
    grid(1, 32, [] {
        SHARED(char, to, 16);
        emu_cp_async16(to, source, true);
    });
    CHECK_FAULT("race: cp.async writes 0 bytes into shared array 'to'");
}

/* ---- Tensor cores ------------------------------------------------------------------------------------------------ */

static uint32_t pair_bits(float low, float high) {
    return static_cast<uint32_t>(__half_as_ushort(__float2half(low))) |
           static_cast<uint32_t>(__half_as_ushort(__float2half(high))) << 16;
}

/* Written from the PTX manual's table, one element at a time, as a test of the emulator's loops. */
static void test_mma() {
    float a[16][16], b[16][8], c[16][8], out[16][8];
    srand(7);
    const auto random_half = [] { return static_cast<float>(rand() % 2001 - 1000) / 256; };
    for (auto &row : a)
        for (float &x : row) x = random_half();
    for (auto &row : b)
        for (float &x : row) x = random_half();
    for (auto &row : c)
        for (float &x : row) x = random_half();
    grid(1, 64, [&] {
        const unsigned g = lane() >> 2, t = lane() & 3;
        uint32_t       ra[4], rb[2];
        float          rc[4];
        for (int i = 0; i < 4; i++) {
            const unsigned row = i == 0 || i == 2 ? g : g + 8, column = t * 2 + (i >= 2 ? 8 : 0);
            ra[i] = pair_bits(a[row][column], a[row][column + 1]);
        }
        for (int i = 0; i < 2; i++) {
            const unsigned row = t * 2 + (i ? 8 : 0);
            rb[i] = pair_bits(b[row][g], b[row + 1][g]);
        }
        for (int i = 0; i < 4; i++) rc[i] = c[i < 2 ? g : g + 8][t * 2 + (i & 1)];
        emu_mma_m16n8k16(rc, ra, rb);
        for (int i = 0; i < 4; i++) out[i < 2 ? g : g + 8][t * 2 + (i & 1)] = rc[i];
    });
    CHECK_RAN();
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float sum = c[i][j];
            for (int k = 0; k < 16; k++)
                sum += __half2float(__float2half(a[i][k])) * __half2float(__float2half(b[k][j]));
            CHECK(out[i][j] == sum);
        }
    grid(1, 32, [] {
        uint32_t fragments[4] = {0};
        float    sums[4] = {0};
        if (lane() != 17) emu_mma_m16n8k16(sums, fragments, fragments);
        __syncthreads();
    });
    CHECK_FAULT("nothing in the block can go on");
    CHECK_FAULT("mma.m16n8k16");
    CHECK_FAULT("threads 17: wait in __syncthreads");
}

static void test_ldmatrix() {
    bool plain = true, turned = true;
    grid(1, 64, [&] {
        SHARED(uint16_t, tile, 2 * 32 * 24); /* rows of 8 in steps of 24 */
        uint16_t *const mine = tile + threadIdx.x / 32 * 32 * 24;
        for (unsigned i = 0; i < 8; i++) mine[lane() * 24 + i] = static_cast<uint16_t>(lane() * 8 + i);
        __syncwarp();
        uint32_t       r[4];
        const unsigned g = lane() >> 2, t = lane() & 3;
        emu_ldmatrix_x4(r, mine + lane() * 24, false);
        for (unsigned m = 0; m < 4; m++) {
            const unsigned first = (m * 8 + g) * 8 + 2 * t;
            if (r[m] != (first | (first + 1) << 16)) plain = false;
        }
        emu_ldmatrix_x4(r, mine + lane() * 24, true);
        for (unsigned m = 0; m < 4; m++) {
            const unsigned low = (m * 8 + 2 * t) * 8 + g, high = (m * 8 + 2 * t + 1) * 8 + g;
            if (r[m] != (low | high << 16)) turned = false;
        }
    });
    CHECK_RAN();
    CHECK(plain && turned);
    grid(1, 32, [] {
        SHARED(uint16_t, tile, 33 * 8);
        uint32_t r[4];
        emu_ldmatrix_x4(r, tile + lane() * 8 + 4, false);
    });
    CHECK_FAULT("does not start at a multiple of 16 bytes");
    grid(1, 32, [] {
        SHARED(uint16_t, tile, 32 * 8 - 1);
        uint32_t r[4];
        emu_ldmatrix_x4(r, tile + lane() * 8, false);
    });
    CHECK_FAULT("not inside a shared array");
    grid(1, 32, [] {
        uint32_t r[4];
        emu_ldmatrix_x4(r, source, true);
    });
    CHECK_FAULT("outside of shared memory");
    grid(1, 32, [] {
        SHARED(uint16_t, tile, 32 * 8);
        uint32_t r[4];
        emu_ldmatrix_x4(r, tile + lane() * 8, lane() == 1);
    });
    CHECK_FAULT("in different calls");
}

/* What is between a cp.async and a ldmatrix of its bytes: a wait, and a barrier that orders the two threads. */
static void test_races() {
    const auto run = [](bool wait, bool syncwarp, bool syncthreads, unsigned from, bool again) {
        grid(1, 64, [=] {
            SHARED(uint16_t, tile, 64 * 8);
            uint32_t       r[4];
            const unsigned t = threadIdx.x;
            emu_cp_async16(tile + t * 8, source, true);
            emu_cp_async_commit();
            if (wait) emu_cp_async_wait(0);
            if (syncwarp) __syncwarp();
            if (syncthreads) __syncthreads();
            emu_ldmatrix_x4(r, tile + (t ^ from) * 8, false);
            if (again) emu_cp_async16(tile + t * 8, source, true);
        });
    };
    run(true, false, true, 32, false);
    CHECK_RAN();
    run(true, true, false, 1, false);
    CHECK_RAN();
    run(true, false, false, 0, false); /* its own row */
    CHECK_RAN();
    run(false, false, true, 32, false);
    CHECK_FAULT("has not been waited for");
    run(true, false, false, 1, false);
    CHECK(*emu_last_fault());
    int seen = 0, after_reading = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) { /* the other warp may still read what is written again */
        emu_set_seed(seed);
        run(true, false, true, 32, true);
        seen += strstr(emu_last_fault(), "race: ") != nullptr;
        after_reading += strstr(emu_last_fault(), "read by ldmatrix, without a __syncthreads between") != nullptr;
    }
    CHECK(seen == 8 && after_reading >= 1);
    seen = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) { /* the other warp's rows, without the block's barrier */
        emu_set_seed(seed);
        run(true, true, false, 32, false);
        seen +=
            strstr(emu_last_fault(), "without a __syncthreads between") || strstr(emu_last_fault(), "not been waited");
    }
    CHECK(seen >= 1);
    emu_set_seed(1);
}

/* Kernels for the thread sanitizer, which ends the process with 66 where it saw a race. */
enum race {
    SHARED_WITH_BARRIER,
    SHARED_WITHOUT_BARRIER,
    LANES_WITH_SYNCWARP,
    LANES_WITH_SHUFFLE, /* a shuffle orders nothing */
    WARPS_WITH_SYNCWARP,
    COPY_WITH_BARRIER,
    COPY_WITHOUT_BARRIER,
    LDMATRIX_WITH_SYNCWARP,
    ATOMIC_GLOBAL,
    PLAIN_GLOBAL,
    RACES
};

static int run_race(int which) {
    static int counter;
    grid(3, 128, [which] {
        SHARED(int, values, 128);
        SHARED(uint32_t, words, 4 * 128);
        const unsigned t = threadIdx.x;
        for (int round = 0; round < 3; round++) {
            if (which == COPY_WITH_BARRIER || which == COPY_WITHOUT_BARRIER) {
                emu_cp_async16(words + 4 * t, source, true);
                emu_cp_async_commit();
                emu_cp_async_wait(0);
                if (which == COPY_WITH_BARRIER) __syncthreads();
                *static_cast<volatile uint32_t *>(&words[4 * (127 - t)]);
            } else if (which == LDMATRIX_WITH_SYNCWARP) {
                uint32_t r[4];
                for (unsigned i = 0; i < 4; i++) words[4 * t + i] = t;
                __syncwarp();
                emu_ldmatrix_x4(r, words + 4 * (t ^ 1), false);
            } else if (which == ATOMIC_GLOBAL)
                atomicAdd(&counter, 1);
            else if (which == PLAIN_GLOBAL) {
                if (t == 70 || t == 71) counter = 1;
            } else {
                values[t] = 1;
                if (which == SHARED_WITH_BARRIER) __syncthreads();
                if (which == LANES_WITH_SYNCWARP || which == WARPS_WITH_SYNCWARP) __syncwarp();
                if (which == LANES_WITH_SHUFFLE) __shfl_sync(ALL, 1, 0);
                *static_cast<volatile int *>(&values[which == WARPS_WITH_SYNCWARP ? t ^ 32 : t ^ 1]);
                if (which != SHARED_WITHOUT_BARRIER) __syncwarp();
            }
            if (which != ATOMIC_GLOBAL && which != PLAIN_GLOBAL) __syncthreads();
        }
    });
    return *emu_last_fault() ? 1 : 0;
}

static void test_races_by_sanitizer() {
#ifdef EMU_TSAN
    for (int which = 0; which < RACES; which++) {
        const pid_t child = fork();
        if (child == 0) {
            setenv("EMU_RACES", "1", 1);
            setenv("TSAN_OPTIONS", "exitcode=66 log_path=/dev/null", 1);
            const std::string number = std::to_string(which);
            execl("/proc/self/exe", "primitives", "--race", number.c_str(), static_cast<char *>(nullptr));
            _exit(127);
        }
        int status = 0;
        waitpid(child, &status, 0);
        const bool race = which == SHARED_WITHOUT_BARRIER || which == LANES_WITH_SHUFFLE ||
                          which == WARPS_WITH_SYNCWARP || which == COPY_WITHOUT_BARRIER || which == PLAIN_GLOBAL;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != (race ? 66 : 0))
            fprintf(stderr, "race kernel %d: status 0x%x\n", which, static_cast<unsigned>(status));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (race ? 66 : 0));
    }
#endif
}

/* ---- Device functions -------------------------------------------------------------------------------------------- */

static void test_functions() {
    CHECK(__float_as_uint(1.0f) == 0x3f800000u && __float_as_int(-0.0f) == INT32_MIN);
    CHECK(__uint_as_float(0x40490fdbu) == 3.14159274f && __int_as_float(0x3f800000) == 1.0f);
    CHECK(__popc(0xf0f0u) == 8 && __popcll(~0ull) == 64 && __ffs(0) == 0 && __ffs(8) == 4 && __ffsll(1ll << 40) == 41);
    CHECK(__clz(0) == 32 && __clz(1) == 31 && __clz(-1) == 0 && __clzll(1) == 63 && __brev(1) == 0x80000000u);
    CHECK(__byte_perm(0x33221100u, 0x77665544u, 0x7531) == 0x77553311u);
    CHECK(__byte_perm(0x00800000u, 0, 0x000a) == 0x000000ffu);
    CHECK(__byte_perm(0x11223344u, 0, 0x0123) == 0x44332211u);
    CHECK(min(-1, 2) == -1 && max(-1, 2) == 2 && min(3u, 4u) == 3u && max(1.5f, 2.5f) == 2.5f && min(5ll, 4ll) == 4);
    CHECK(min(NAN, 1.0f) == 1.0f && max(1.0f, NAN) == 1.0f);
    CHECK(max(-1, 1u) == ALL);
    CHECK(rsqrtf(4.0f) == 0.5f && __frcp_rn(4.0f) == 0.25f && __frsqrt_rn(16.0f) == 0.25f);
    CHECK(__fdividef(6.0f, 3.0f) == 2.0f && __fdividef(1.0f, 0x1p127f) == 0.0f &&
          std::isnan(__fdividef(INFINITY, 0x1p127f)));
    CHECK(fabsf(__expf(1.0f) - 2.7182818f) < 1e-6f && fabsf(__logf(10.0f) - 2.3025851f) < 1e-6f && exp2f(3) == 8);
    CHECK(__float2int_rn(2.5f) == 2 && __float2int_rz(-2.7f) == -2 && __saturatef(1.5f) == 1 && __saturatef(NAN) == 0);
    const float2 two = make_float2(1, 2);
    CHECK(__ldg(&two).y == 2);
    CHECK(sizeof(uint4) == 16 && alignof(uint4) == 16 && alignof(float2) == 8 && sizeof(float3) == 12 &&
          alignof(int4) == 16);
    CHECK(sizeof(uchar4) == 4 && alignof(uchar4) == 4 && alignof(ushort4) == 8);

    int                number = 5;
    unsigned           natural = 5;
    unsigned long long large = 5;
    float              real = 0;
    CHECK(atomicAdd(&number, 3) == 5 && number == 8);
    CHECK(atomicSub(&number, 1) == 8 && atomicMax(&number, 20) == 7 && atomicMax(&number, 3) == 20 && number == 20);
    CHECK(atomicMin(&number, -4) == 20 && atomicExch(&number, 9) == -4 && atomicCAS(&number, 9, 1) == 9 && number == 1);
    CHECK(atomicAdd(&natural, 1u) == 5 && atomicMax(&natural, 9u) == 6 && atomicOr(&natural, 2u) == 9 && natural == 11);
    CHECK(atomicAnd(&natural, 3u) == 11 && atomicXor(&natural, 1u) == 3 && natural == 2);
    CHECK(atomicAdd(&large, 1ull << 40) == 5 && large == (1ull << 40) + 5);
    grid(4, 100, [&] { atomicAdd(&real, 0.5f); });
    CHECK_RAN();
    CHECK(real == 200);
    grid(2, 64, [] {
        if (blockIdx.x == 1 && threadIdx.x == 33) __trap();
        __syncthreads();
    });
    CHECK_FAULT("kernel test, block (1, 0, 0), thread (33, 0, 0) [warp 1, lane 1], test_emulator_primitives.cc:");
    CHECK_FAULT("__trap()");
}

/* ---- Halves ------------------------------------------------------------------------------------------------------ */

/* The value of a half, from the definition of the format. */
static double value_of(unsigned bits) {
    const double   sign = bits & 0x8000 ? -1 : 1;
    const unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 31) return fraction ? static_cast<double>(NAN) : sign * static_cast<double>(INFINITY);
    return exponent ? sign * ldexp(1024 + fraction, static_cast<int>(exponent) - 25) : sign * ldexp(fraction, -24);
}

/* Rounded by search among all halves: the nearest, of two equally near ones the even. */
static unsigned nearest(double x) {
    const unsigned sign = std::signbit(x) ? 0x8000 : 0;
    if (std::isnan(x)) return 0x7fff;
    x = fabs(x);
    if (x >= 65520) return sign | 0x7c00; /* the tie between 65504 and 65536 goes to the even one */
    unsigned low = 0, high = 0x7c00;
    while (high - low > 1) {
        const unsigned middle = (low + high) / 2;
        (value_of(middle) <= x ? low : high) = middle;
    }
    const double above = high == 0x7c00 ? 65536 : value_of(high), down = x - value_of(low), up = above - x;
    return sign | (down < up || (down == up && !(low & 1)) ? low : high);
}

static void test_halves() {
    bool to_float = true, back = true, ties = true;
    for (unsigned bits = 0; bits < 65536; bits++) {
        const __half h = __ushort_as_half(static_cast<unsigned short>(bits));
        const float  f = __half2float(h);
        const double v = value_of(bits);
        if (std::isnan(v) ? !std::isnan(f) : f != v || std::signbit(f) != std::signbit(v)) to_float = false;
        if (__half_as_ushort(__float2half_rn(f)) != (std::isnan(v) ? 0x7fffu : bits)) back = false;
        if (std::isnan(v) || std::isinf(v)) continue;
        /* Between it and the next: the tie, and the floats beside the tie. */
        const double next = (bits & 0x7fff) == 0x7bff ? copysign(65536, v) : value_of(bits + 1);
        const float  tie = static_cast<float>((v + next) / 2);
        for (float x : {tie, nextafterf(tie, INFINITY), nextafterf(tie, -INFINITY), nextafterf(f, INFINITY),
                        nextafterf(f, -INFINITY)})
            if (__half_as_ushort(__float2half(x)) != nearest(static_cast<double>(x))) ties = false;
    }
    CHECK(to_float && back && ties);
    for (float x :
         {65504.0f, 65519.996f, 65520.0f, 1e30f, INFINITY, 0x1p-25f, 0x1.000002p-25f, 0x1p-26f, 1e-45f, 0.0f, -0.0f})
        for (float sign : {1.0f, -1.0f})
            CHECK(__half_as_ushort(__float2half(sign * x)) == nearest(static_cast<double>(sign * x)));

    /* Arithmetic: long double holds any sum of a product of two halves and a third exactly, or to far beyond a tie. */
    srand(11);
    int wrong = 0;
    for (int i = 0; i < 300000; i++) {
        unsigned bits[3];
        for (unsigned &b : bits) b = static_cast<unsigned>(rand()) & 0xffff;
        if (i % 3 == 0) bits[2] = (bits[2] & 0x83ff) | (bits[0] & 0x7c00); /* of like size */
        __half h[3];
        double v[3];
        for (int k = 0; k < 3; k++)
            h[k] = __ushort_as_half(static_cast<unsigned short>(bits[k])), v[k] = value_of(bits[k]);
        const auto differs = [](__half result, double exact) { return __half_as_ushort(result) != nearest(exact); };
        wrong += differs(__hadd(h[0], h[1]), v[0] + v[1]);
        wrong += differs(__hsub(h[0], h[1]), v[0] - v[1]);
        wrong += differs(__hmul(h[0], h[1]), v[0] * v[1]);
        wrong += differs(__hdiv(h[0], h[1]), v[0] / v[1]);
        wrong += differs(__hfma(h[0], h[1], h[2]), v[0] * v[1] + v[2]);
    }
    CHECK(wrong == 0);
    /* One rounding, not two: 1 + 2^-11 is a tie, and 2^-22 tells its side, which a sum rounded to fp32 would lose. */
    const __half one = __float2half(1),
                 tie_and_more = __hfma(__float2half(0x1.004p-11f), __float2half(0x1.ffcp-1f), one);
    CHECK(__half_as_ushort(tie_and_more) == nearest(1 + 0x1.004p-11 * 0x1.ffcp-1));
    CHECK(__half_as_ushort(__hfma(__float2half(0x1p-11f), __float2half(0x1.004p0f), one)) == 0x3c01);

    const __half2 p = __floats2half2_rn(1.5f, -2.0f), q = __float22half2_rn(make_float2(0.25f, 3.0f));
    uint32_t      bits;
    memcpy(&bits, &p, sizeof bits);
    CHECK(bits == 0xc0003e00u);
    CHECK(__low2float(p) == 1.5f && __high2float(p) == -2.0f && __half22float2(q).y == 3.0f);
    CHECK(__low2float(__hadd2(p, q)) == 1.75f && __high2float(__hmul2(p, q)) == -6.0f &&
          __high2float(__hsub2(p, q)) == -5.0f);
    CHECK(__high2float(__hfma2(p, q, p)) == -8.0f && __low2float(p * q + p) == 1.875f);
    CHECK(__low2float(__lows2half2(p, q)) == 1.5f && __high2float(__lows2half2(p, q)) == 0.25f);
    CHECK(__low2float(__highs2half2(p, q)) == -2.0f && __high2float(__highs2half2(p, q)) == 3.0f);
    CHECK(__high2float(__low2half2(p)) == 1.5f && __low2float(__high2half2(p)) == -2.0f);
    CHECK(__low2float(__lowhigh2highlow(p)) == -2.0f && __half2float(__low2half(p)) == 1.5f &&
          __half2float(__high2half(p)) == -2);
    CHECK(__low2float(__halves2half2(one, one)) == 1 && __high2float(__float2half2_rn(4)) == 4 &&
          __hisnan(__hmax(NAN, NAN)));
    CHECK(__half2float(__hmax(one, __float2half(NAN))) == 1 && __half2float(__hmin(one, __float2half(-3))) == -3);
    CHECK(__low2float(__habs2(__hneg2(p))) == 1.5f && __hgt(one, __hneg(one)) && !__heq(__float2half(NAN), one));
    CHECK(__low2float(__hmax2(p, q)) == 1.5f && __high2float(__hmin2(p, q)) == -2.0f && __half2float(one + one) == 2);
}

/* ---- Speed ------------------------------------------------------------------------------------------------------- */

static double seconds() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

static void print_speed() {
    const int  blocks = 2000;
    const auto per_block = [&](const char *what, auto kernel) {
        grid(blocks / 10, 128, kernel);
        const double start = seconds();
        grid(blocks, 128, kernel);
        printf("%-48s %8.2f us\n", what, (seconds() - start) / blocks * 1e6);
    };
    std::vector<int> sinks(128);
    per_block("block of 128 threads, empty", [] {});
    per_block("block of 128 threads, 10 shuffles each", [&] {
        int value = static_cast<int>(lane());
        for (int i = 0; i < 10; i++) value += __shfl_xor_sync(ALL, value, 1);
        sinks[threadIdx.x] = value;
    });
    per_block("block of 128 threads, 10 barriers each", [] {
        for (int i = 0; i < 10; i++) __syncthreads();
    });
    per_block("block of 128 threads, 10 mma a warp", [] {
        uint32_t fragments[4] = {0};
        float    sums[4] = {0};
        for (int i = 0; i < 10; i++) emu_mma_m16n8k16(sums, fragments, fragments);
    });
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "--race")) return run_race(atoi(argv[2]));
    test_indices();
    test_refusals();
    test_order();
    test_early_exit();
    test_registers();
    test_os_threads();
    test_shuffles();
    test_masks();
    test_votes();
    test_wrong_warps();
    test_missing_barriers();
    test_barriers();
    test_shared();
    test_canaries();
    test_cp_async();
    test_mma();
    test_ldmatrix();
    test_races();
    test_races_by_sanitizer();
    test_functions();
    test_halves();
    if (argc > 1 && !strcmp(argv[1], "--speed")) print_speed();
    printf("%d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
