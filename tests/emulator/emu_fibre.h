/* SPDX-License-Identifier: Apache-2.0
 * Fibres: stacks of their own that one OS thread switches between. A switch saves what a function call must preserve
 * and takes a few nanoseconds; ucontext, which asks the kernel for the signal mask each time, takes hundreds. */
#ifndef EMU_FIBRE_H
#define EMU_FIBRE_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#define EMU_FIBRE_UCONTEXT 1 /* can be set elsewhere, too, to test it */
#endif
#ifdef EMU_FIBRE_UCONTEXT
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define EMU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMU_TSAN 1
#endif
#endif

/* For a function that a fibre leaves without returning: the thread sanitizer must not have counted its call. */
#if defined(EMU_TSAN) && defined(__clang__) /* whose no_sanitize("thread") counts calls all the same */
#define EMU_UNCOUNTED __attribute__((disable_sanitizer_instrumentation))
#elif defined(EMU_TSAN)
#define EMU_UNCOUNTED __attribute__((no_sanitize("thread")))
#else
#define EMU_UNCOUNTED
#endif

struct emu_fibre {
    void  *saved; /* the stack pointer while it is switched away from */
    char  *stack; /* lowest byte; below it lies a page that may not be touched */
    size_t stack_bytes;
    size_t offset;     /* of its first frame from the top, so that not all stacks use the same lines of the cache */
    void  *asan_stack; /* address sanitizer's second stack */
    void  *tsan_fibre; /* thread sanitizer's idea of this fibre */
#ifdef EMU_FIBRE_UCONTEXT
    ucontext_t context;
#endif
};

/* Gives a fibre its stack; false: out of memory. */
bool emu_fibre_create(emu_fibre *fibre);
void emu_fibre_destroy(emu_fibre *fibre);

/* `fibre` stands for what runs now, on the stack that it has. */
void emu_fibre_adopt(emu_fibre *fibre);

/* The next switch to it calls entry(argument), which must end in emu_fibre_leave. What ran on it before is forgotten.
 */
void emu_fibre_prepare(emu_fibre *fibre, void (*entry)(void *), void *argument);

void emu_fibre_switch(emu_fibre *from, emu_fibre *to);

/* With the thread sanitizer: whether switches leave what the fibres do unordered. They order it at first. */
extern __thread bool emu_fibre_unordered;

/* After a fibre left from the middle of its work: the frames that it gave up are no longer watched. */
void emu_fibre_forget_frames(emu_fibre *fibre);

/* The same, when `from` will not be switched to before it is prepared again. */
[[noreturn]] void emu_fibre_leave(emu_fibre *from, emu_fibre *to);

/* Whether something wrote to the last bytes of its stack. */
bool emu_fibre_stack_was_used_up(const emu_fibre *fibre);

#endif
