/* SPDX-License-Identifier: Apache-2.0
 * Races found by thread sanitizer. In a build with -fsanitize=thread and with EMU_RACES=1 in the environment, each
 * thread of a block is a thread to the sanitizer, and only what CUDA says orders two threads does: the block's barrier,
 * __syncwarp, the grid's start and a block's end. It then reports every pair of unordered accesses that it sees, to
 * shared and to global memory, whether or not the result was wrong. In other builds nothing of this remains. */
#ifndef EMU_RACES_H
#define EMU_RACES_H

#include "emu_fibre.h"

#include <stdlib.h>

#ifdef EMU_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
}
EMU_UNCOUNTED static inline void emu_release(void *at) {
    if (emu_fibre_unordered) __tsan_release(at);
}
EMU_UNCOUNTED static inline void emu_acquire(void *at) {
    if (emu_fibre_unordered) __tsan_acquire(at);
}
EMU_UNCOUNTED static inline void emu_look_away() {
    if (!emu_fibre_unordered) return;
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
EMU_UNCOUNTED static inline void emu_look_again() {
    if (!emu_fibre_unordered) return;
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
static inline void emu_release(void *) {}
static inline void emu_acquire(void *) {}
static inline void emu_look_away() {}
static inline void emu_look_again() {}
#endif

/* The emulator's own memory, which its fibres share without locks, is none of the sanitizer's business. */
struct emu_unseen {
    emu_unseen() { emu_look_away(); }
    ~emu_unseen() { emu_look_again(); }
    emu_unseen(const emu_unseen &) = delete;
    emu_unseen &operator=(const emu_unseen &) = delete;
};

/* Within emu_unseen: what the kernel's thread itself reads or writes. */
struct emu_seen {
    emu_seen() { emu_look_again(); }
    ~emu_seen() { emu_look_away(); }
    emu_seen(const emu_seen &) = delete;
    emu_seen &operator=(const emu_seen &) = delete;
};

#endif
