// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the recurrent cell's parts in assembly share: the frame of rows() (armv7em_cell.c), its flags and the cell's update.
#ifndef RNNP_ARCH_ARMV7EM_CELL_H
#define RNNP_ARCH_ARMV7EM_CELL_H

#include "armv7em.h"

#if RNNP_ARMV7EM

// In the condition flags throughout, so that a test takes one cycle; no instruction in between may set flags.
//   Z  8 elements, else 16 where that matters
//   C  with N: products W v
//   V  of 16: the sums must be doubled, for their upper halves are what is wanted (shift 15). With N those of both rows of a
//      pair; else those of the second, as the first one's weights are doubled and no sum of theirs can saturate
//   N  without V: products with another shift than 15, other doublings, or zeta and nu are not 1 and 0, or non-linearities by
//      table, or sums in parts
#define FLAG_UNUSUAL (1u << 31)
#define FLAG_8 (1u << 30)
#define FLAG_PRODUCTS (1u << 29)
#define FLAG_SUMS (1u << 28)
#define FLAG_RESUME (1u) // not one of the condition flags: there are states, or no steps

// The copy of a tile: with FPU in its registers, of which the upper half is kept on the stack meanwhile; else on the stack.
//   rnnp_lane_word  to r0
//   rnnp_save, rnnp_restore, rnnp_copy  with Z set for 8 elements; the tile from r12; change r2 - r11, but no flags
#if defined(__ARM_FP)
#define COPY                                          \
    ".set KEPT, 64\n" /* bytes */                     \
    ".macro rnnp_lane_word k\nvmov r0, s\\k\n.endm\n" \
    ".macro rnnp_save\n"                              \
    "add r12, sp, #SAVED\n"                           \
    "it ne\n"                                         \
    "vstmiane r12, {s16-s31}\n"                       \
    ".endm\n"                                         \
    ".macro rnnp_restore\n"                           \
    "add r12, sp, #SAVED\n"                           \
    "it ne\n"                                         \
    "vldmiane r12, {s16-s31}\n"                       \
    ".endm\n"                                         \
    ".macro rnnp_copy\n"                              \
    "vldmia r12!, {s0-s15}\n"                         \
    "it ne\n"                                         \
    "vldmiane r12, {s16-s31}\n"                       \
    ".endm\n"
#else
#define COPY                                                           \
    ".set KEPT, 128\n"                                                 \
    ".macro rnnp_lane_word k\nldr r0, [sp, #SAVED + 4 * \\k]\n.endm\n" \
    ".macro rnnp_save\n.endm\n"                                        \
    ".macro rnnp_restore\n.endm\n"                                     \
    ".macro rnnp_copy\n"                                               \
    "add r2, sp, #SAVED\n"                                             \
    "ldmia r12!, {r4-r11}\n"                                           \
    "stmia r2!, {r4-r11}\n"                                            \
    "ldmia r12!, {r4-r11}\n"                                           \
    "stmia r2!, {r4-r11}\n"                                            \
    "itttt ne\n"                                                       \
    "ldmiane r12!, {r4-r11}\n"                                         \
    "stmiane r2!, {r4-r11}\n"                                          \
    "ldmiane r12!, {r4-r11}\n"                                         \
    "stmiane r2!, {r4-r11}\n"                                          \
    ".endm\n"
#endif
#define PURGE_COPY ".irp name, lane_word, save, restore, copy\n.purgem rnnp_\\name\n.endr\n"

// Where the frame of rows() has what, from sp on: three words of its own, then KEPT bytes for the copy, the arguments in
// r0-r3, r4-r11 and lr, and the arguments on the stack.
#define OFFSETS                        \
    COPY ".set WX, 0\n"                \
         ".set H, 4\n"                 \
         ".set KEEP, 8\n"              \
         ".set SAVED, 12\n"            \
         ".set LIST, SAVED + KEPT\n"   \
         ".set STEPS, LIST + 4\n"      \
         ".set PITCH, LIST + 8\n"      \
         ".set PACKED, LIST + 12\n"    \
         ".set TILE, LIST + 52\n"      \
         ".set FLAGS, LIST + 56\n"     \
         ".set DOUBLINGS, LIST + 60\n" \
         ".set SHIFT, LIST + 60\n"     \
         ".set END, LIST + 64\n"       \
         ".set ROW, LIST + 68\n"       \
         ".set WEIGHTS, LIST + 72\n"   \
         ".set ADVANCE, LIST + 76\n"   \
         ".set ONES, LIST + 80\n"      \
         ".set ZETA, LIST + 84\n"      \
         ".set NU, LIST + 88\n"        \
         ".set TABLE, LIST + 92\n"     \
         ".set ROW_BYTES, LIST + 96\n" \
         ".set FROM, LIST + 100\n"     \
         ".set FROM_END, LIST + 104\n"

// Gates of a pair of rows in a lane: in \p the pre-activations, then g; z in \z; r2 bz, r3 bh.
//
// New state for zeta = 1 and nu = 0, h' = (z h + (1 - z) g), which cannot overflow: g and then h' in \g, z in \z, h in \h;
// r0 32764 (1 in the format of 1 - z).
#define UPDATE                      \
    ".macro rnnp_gates p, z\n"      \
    "shadd16 \\z, \\p, r2\n"        \
    "qadd16 \\p, \\p, r3\n"         \
    "usat16 \\z, #13, \\z\n"        \
    "ssat16 \\p, #14, \\p\n"        \
    ".endm\n"                       \
    ".macro rnnp_update g, z, h\n"  \
    "smulbb r2, \\z, \\h\n"         \
    "smultt \\h, \\z, \\h\n"        \
    "eor \\z, r0, \\z, lsl #2\n"    \
    "smlabb r2, \\z, \\g, r2\n"     \
    "smlatt \\h, \\z, \\g, \\h\n"   \
    "lsl.w \\h, \\h, #3\n"          \
    "pkhtb \\g, \\h, r2, asr #13\n" \
    ".endm\n"                       \
    ".macro rnnp_begin g, z\n"      \
    "eor \\z, r0, \\z, lsl #2\n"    \
    "smulbb r2, \\z, \\g\n"         \
    "smultt \\z, \\z, \\g\n"        \
    "lsl.w \\z, \\z, #3\n"          \
    "pkhtb \\g, \\z, r2, asr #13\n" \
    ".endm\n"

#define PURGE_UPDATE ".purgem rnnp_gates\n.purgem rnnp_update\n.purgem rnnp_begin\n"

// Parts of rows() that are rarely run and stand apart, so that its loop fits an instruction cache. They jump back and forth, which
// compilers can't see: link-time optimization may put each function into an object of its own. So they, and the labels that
// they jump back to, are symbols for all objects, whose names stay as they are.
#define PART __attribute__((naked, noinline, used, visibility("hidden"))) void
PART rnnp_armv7em_first_step(void);
PART rnnp_armv7em_unusual(void);
PART rnnp_armv7em_sums(void);

#endif

#endif // RNNP_ARCH_ARMV7EM_CELL_H
