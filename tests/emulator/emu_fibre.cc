/* SPDX-License-Identifier: Apache-2.0
 * Fibres; see emu_fibre.h. A suspended fibre's registers lie on its own stack, as emu_context_switch pushed them. */
#include "emu_fibre.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMU_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Frames are larger with a sanitizer and without optimisation. Untouched pages cost nothing. */
#if defined(EMU_ASAN) || defined(EMU_TSAN) || !defined(__OPTIMIZE__)
static const size_t STACK_BYTES = 256 * 1024;
#else
static const size_t STACK_BYTES = 64 * 1024;
#endif

static const uint64_t STACK_END_MARK = 0x5ca1ab1e0ddba11ull;

/* ---- The switch -------------------------------------------------------------------------------------------------- */

#if defined(EMU_FIBRE_UCONTEXT)

/* makecontext passes ints only. */
static void enter_by_halves(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
    const uint64_t entry = static_cast<uint64_t>(entry_high) << 32 | entry_low;
    const uint64_t argument = static_cast<uint64_t>(argument_high) << 32 | argument_low;
    reinterpret_cast<void (*)(void *)>(static_cast<uintptr_t>(entry))(
        reinterpret_cast<void *>(static_cast<uintptr_t>(argument)));
}

#elif defined(__x86_64__)

/* System V: rbx, rbp, r12..r15, the rounding mode and masks of mxcsr and of the x87 are the callee's to preserve. The
 * control words are loaded only where they differ, because loading them is slow. */
extern "C" void emu_context_switch(void **save, void *load);
extern "C" void emu_context_entry();
__asm__(R"(
    .text
    .p2align 4
    .globl emu_context_switch
    .hidden emu_context_switch
    .type emu_context_switch, @function
emu_context_switch:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    pushq %r12
    .cfi_adjust_cfa_offset 8
    pushq %r13
    .cfi_adjust_cfa_offset 8
    pushq %r14
    .cfi_adjust_cfa_offset 8
    pushq %r15
    .cfi_adjust_cfa_offset 8
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movl (%rsp), %eax
    movzwl 4(%rsp), %ecx
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    cmpl (%rsp), %eax
    je 1f
    ldmxcsr (%rsp)
1:  cmpw 4(%rsp), %cx
    je 2f
    fldcw 4(%rsp)
2:  addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    popq %r14
    .cfi_adjust_cfa_offset -8
    popq %r13
    .cfi_adjust_cfa_offset -8
    popq %r12
    .cfi_adjust_cfa_offset -8
    popq %rbx
    .cfi_adjust_cfa_offset -8
    popq %rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size emu_context_switch, . - emu_context_switch

    .p2align 4
    .globl emu_context_entry
    .hidden emu_context_entry
    .type emu_context_entry, @function
emu_context_entry:
    .cfi_startproc
    .cfi_undefined rip
    movq %r12, %rdi
    callq *%r13
    ud2
    .cfi_endproc
    .size emu_context_entry, . - emu_context_entry
)");

static void *first_frame(char *top, void (*entry)(void *), void *argument) {
    uint64_t *frame = reinterpret_cast<uint64_t *>(top) - 10;
    uint32_t  mxcsr;
    uint16_t  x87;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    frame[0] = mxcsr | static_cast<uint64_t>(x87) << 32;
    frame[1] = frame[2] = 0;                         /* r15, r14 */
    frame[3] = reinterpret_cast<uint64_t>(entry);    /* r13 */
    frame[4] = reinterpret_cast<uint64_t>(argument); /* r12 */
    frame[5] = frame[6] = 0;                         /* rbx, rbp */
    frame[7] = reinterpret_cast<uint64_t>(&emu_context_entry);
    frame[8] = frame[9] = 0; /* where emu_context_entry's stack begins: a multiple of 16, as a call needs it */
    return frame;
}

#elif defined(__aarch64__)

/* AAPCS64: x19..x30, d8..d15 and fpcr. */
extern "C" void emu_context_switch(void **save, void *load);
extern "C" void emu_context_entry();
__asm__(R"(
    .text
    .p2align 4
    .globl emu_context_switch
    .hidden emu_context_switch
    .type emu_context_switch, %function
emu_context_switch:
    sub sp, sp, #176
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    mov sp, x1
    ldr x11, [sp, #160]
    cmp x9, x11
    b.eq 1f
    msr fpcr, x11
1:  ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #176
    ret
    .size emu_context_switch, . - emu_context_switch

    .p2align 4
    .globl emu_context_entry
    .hidden emu_context_entry
    .type emu_context_entry, %function
emu_context_entry:
    mov x0, x19
    blr x20
    brk #1
    .size emu_context_entry, . - emu_context_entry
)");

static void *first_frame(char *top, void (*entry)(void *), void *argument) {
    uint64_t *frame = reinterpret_cast<uint64_t *>(top) - 22;
    uint64_t  fpcr;
    memset(frame, 0, 22 * sizeof *frame);
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    frame[0] = reinterpret_cast<uint64_t>(argument);            /* x19 */
    frame[1] = reinterpret_cast<uint64_t>(entry);               /* x20 */
    frame[11] = reinterpret_cast<uint64_t>(&emu_context_entry); /* x30: where `ret` goes */
    frame[20] = fpcr;
    return frame;
}

#endif

/* ---- Sanitizers -------------------------------------------------------------------------------------------------- */

/* Who switched last: the fibre that goes on needs it to learn the bounds of an adopted stack. */
static __thread emu_fibre *switched_from;

__thread bool emu_fibre_unordered;

EMU_UNCOUNTED static inline void announce_switch(emu_fibre *from, emu_fibre *to, bool leaving) {
    switched_from = from;
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(leaving ? nullptr : &from->asan_stack, to->stack, to->stack_bytes);
#else
    (void)leaving;
#endif
#ifdef EMU_TSAN
    __tsan_switch_to_fiber(to->tsan_fibre, emu_fibre_unordered ? __tsan_switch_to_fiber_no_sync : 0);
#endif
    (void)to;
}

EMU_UNCOUNTED static inline void announce_arrival(void *asan_stack) {
#ifdef EMU_ASAN
    const void *bottom;
    size_t      bytes;
    __sanitizer_finish_switch_fiber(asan_stack, &bottom, &bytes);
    if (!switched_from->stack) {
        switched_from->stack = static_cast<char *>(const_cast<void *>(bottom));
        switched_from->stack_bytes = bytes;
    }
#else
    (void)asan_stack;
#endif
}

/* ---- Fibres ------------------------------------------------------------------------------------------------------ */

struct Start {
    void (*entry)(void *);
    void *argument;
};

/* Lies at the top of the stack, above the first frame. */
static Start *start_of(const emu_fibre *fibre) {
    return reinterpret_cast<Start *>(fibre->stack + fibre->stack_bytes - 64 - fibre->offset);
}

EMU_UNCOUNTED static void first_function(void *start) {
    announce_arrival(nullptr);
    static_cast<Start *>(start)->entry(static_cast<Start *>(start)->argument);
    abort();
}

bool emu_fibre_create(emu_fibre *fibre) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void        *memory =
        mmap(nullptr, page + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    if (mprotect(memory, page, PROT_NONE) != 0) {
        munmap(memory, page + STACK_BYTES);
        return false;
    }
    memset(static_cast<void *>(fibre), 0, sizeof *fibre);
    fibre->stack = static_cast<char *>(memory) + page;
    fibre->stack_bytes = STACK_BYTES;
    static __thread unsigned created;
    fibre->offset = created++ * 7 % 64 * 64;
    memcpy(fibre->stack, &STACK_END_MARK, sizeof STACK_END_MARK);
#ifdef EMU_TSAN
    fibre->tsan_fibre = __tsan_create_fiber(0);
#endif
    return true;
}

void emu_fibre_destroy(emu_fibre *fibre) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
#ifdef EMU_TSAN
    __tsan_destroy_fiber(fibre->tsan_fibre);
#endif
#ifdef EMU_ASAN
    __asan_unpoison_memory_region(fibre->stack, fibre->stack_bytes);
#endif
    munmap(fibre->stack - page, page + fibre->stack_bytes);
    fibre->stack = nullptr;
}

void emu_fibre_adopt(emu_fibre *fibre) {
    memset(static_cast<void *>(fibre), 0, sizeof *fibre);
#ifdef EMU_TSAN
    fibre->tsan_fibre = __tsan_get_current_fiber();
#endif
}

void emu_fibre_forget_frames(emu_fibre *fibre) {
    (void)fibre;
#ifdef EMU_ASAN
    __asan_unpoison_memory_region(fibre->stack, fibre->stack_bytes);
#endif
#ifdef EMU_TSAN
    __tsan_destroy_fiber(fibre->tsan_fibre);
    fibre->tsan_fibre = __tsan_create_fiber(0);
#endif
}

void emu_fibre_prepare(emu_fibre *fibre, void (*entry)(void *), void *argument) {
#ifdef EMU_ASAN
    /* The frames that always are given up when a fibre leaves: first_function's and its entry's. */
    const size_t top = fibre->offset + 16 * 1024;
    __asan_unpoison_memory_region(fibre->stack + fibre->stack_bytes - top, top);
#endif
    Start *start = start_of(fibre);
    start->entry = entry;
    start->argument = argument;
#ifdef EMU_FIBRE_UCONTEXT
    const uint64_t function = reinterpret_cast<uintptr_t>(&first_function);
    const uint64_t given = reinterpret_cast<uintptr_t>(start);
    getcontext(&fibre->context);
    fibre->context.uc_stack.ss_sp = fibre->stack;
    fibre->context.uc_stack.ss_size = fibre->stack_bytes - fibre->offset - 128;
    fibre->context.uc_link = nullptr;
    void (*const enter)() = reinterpret_cast<void (*)()>(reinterpret_cast<uintptr_t>(&enter_by_halves));
    makecontext(&fibre->context, enter, 4, static_cast<unsigned>(function >> 32), static_cast<unsigned>(function),
                static_cast<unsigned>(given >> 32), static_cast<unsigned>(given));
#else
    fibre->saved = first_frame(reinterpret_cast<char *>(start), &first_function, start);
#endif
}

EMU_UNCOUNTED static inline void change_context(emu_fibre *from, emu_fibre *to) {
#ifdef EMU_FIBRE_UCONTEXT
    swapcontext(&from->context, &to->context);
#else
    emu_context_switch(&from->saved, to->saved);
#endif
}

EMU_UNCOUNTED void emu_fibre_switch(emu_fibre *from, emu_fibre *to) {
    announce_switch(from, to, false);
    change_context(from, to);
    announce_arrival(from->asan_stack);
}

EMU_UNCOUNTED void emu_fibre_leave(emu_fibre *from, emu_fibre *to) {
    announce_switch(from, to, true);
    change_context(from, to);
    abort();
}

bool emu_fibre_stack_was_used_up(const emu_fibre *fibre) {
    return memcmp(fibre->stack, &STACK_END_MARK, sizeof STACK_END_MARK) != 0;
}
