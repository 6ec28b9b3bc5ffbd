// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Matrix times tile on an Armv7E-M, four lanes side by side, and the recurrent cell that is made
// of it, for hard non-linearities and 8 or 16 inputs of the matrix (4: armv7em_cell_input.c).
//
// A tile of 16 int16 vectors' elements is 32 words, which is just what the FPU has registers for: a copy of the tile lies
// in s0-s31 (of 8 elements in s0-s15), four lanes of pair k in s(4 k) .. s(4 k + 3), and every other value that has no core
// register is on the stack; on a core without FPU, the copy, too. The matrix is read from its packed copy in a row: for each pair of its rows and each four
// inputs two words of the one row and two of the other; then, for the recurrent matrix, the two rows' bz and bh.
#include "armv7em.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

// In the condition flags throughout, so that a test takes one cycle; no instruction in between may set flags.
//   Z  8 elements, whose sums' upper halves are what is wanted (shift 16)
//   C  16 elements
//   V  with C: the sums must be doubled first, or products are wanted, as where neither Z nor C is set
//   N  more than one doubling, or products, or zeta and nu are not 1 and 0
#define FLAG_UNUSUAL (1u << 31)
#define FLAG_8 (1u << 30)
#define FLAG_16 (1u << 29)
#define FLAG_SUMS (1u << 28)
#define FLAG_RESUME (1u) // not one of the condition flags: there are states, or no steps

// The copy of a tile: with FPU in its registers, of which the upper half is kept on the stack meanwhile; else on the stack.
//   rnnp_lane_word  to r0
//   rnnp_save, rnnp_restore, rnnp_copy  with C set for 16 elements; the tile from r12; change r2 - r11, but no flags
#if defined(__ARM_FP)
#define COPY                                          \
    ".set KEPT, 64\n" /* bytes */                     \
    ".macro rnnp_lane_word k\nvmov r0, s\\k\n.endm\n" \
    ".macro rnnp_save\n"                              \
    "add r12, sp, #SAVED\n"                           \
    "it cs\n"                                         \
    "vstmiacs r12, {s16-s31}\n"                       \
    ".endm\n"                                         \
    ".macro rnnp_restore\n"                           \
    "add r12, sp, #SAVED\n"                           \
    "it cs\n"                                         \
    "vldmiacs r12, {s16-s31}\n"                       \
    ".endm\n"                                         \
    ".macro rnnp_copy\n"                              \
    "vldmia r12!, {s0-s15}\n"                         \
    "it cs\n"                                         \
    "vldmiacs r12, {s16-s31}\n"                       \
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
    "itttt cs\n"                                                       \
    "ldmiacs r12!, {r4-r11}\n"                                         \
    "stmiacs r2!, {r4-r11}\n"                                          \
    "ldmiacs r12!, {r4-r11}\n"                                         \
    "stmiacs r2!, {r4-r11}\n"                                          \
    ".endm\n"
#endif
#define PURGE_COPY ".irp name, lane_word, save, restore, copy\n.purgem rnnp_\\name\n.endr\n"

// Where the frame of rows() has what, from sp on: two words of its own, then KEPT bytes for the copy, the arguments in
// r0-r3, r4-r11 and lr, and the arguments on the stack.
#define OFFSETS                        \
    COPY ".set WX, 0\n"                \
         ".set H, 4\n"                 \
         ".set SAVED, 8\n"             \
         ".set LIST, 8 + KEPT\n"       \
         ".set STEPS, LIST + 4\n"      \
         ".set PITCH, LIST + 8\n"      \
         ".set PACKED, LIST + 12\n"    \
         ".set TILE, LIST + 52\n"      \
         ".set FLAGS, LIST + 56\n"     \
         ".set DOUBLINGS, LIST + 60\n" \
         ".set END, LIST + 64\n"       \
         ".set WEIGHTS, LIST + 68\n"   \
         ".set SHIFT, LIST + 68\n"     \
         ".set ADVANCE, LIST + 72\n"   \
         ".set ONES, LIST + 76\n"      \
         ".set ONE, LIST + 80\n"       \
         ".set ZETA, LIST + 84\n"      \
         ".set NU, LIST + 88\n"

// Adds the products of two rows' next four weights (r1) and pairs 2 q and 2 q + 1 of the tile to the sums: r4-r7 four lanes
// of the first row, r8-r11 of the second. 29 cycles for 32 multiply-adds.
#define FOUR_INPUTS                                             \
    ".macro rnnp_lane s, weight0, weight1, sum0, sum1, first\n" \
    "rnnp_lane_word \\s\n"                                      \
    ".if \\first\n"                                             \
    "smuad r\\sum0, r0, \\weight0\n"                            \
    "smuad r\\sum1, r0, \\weight1\n"                            \
    ".else\n"                                                   \
    "smlad r\\sum0, r0, \\weight0, r\\sum0\n"                   \
    "smlad r\\sum1, r0, \\weight1, r\\sum1\n"                   \
    ".endif\n"                                                  \
    ".endm\n"                                                   \
    ".macro rnnp_four first, s0, s1, s2, s3, s4, s5, s6, s7\n"  \
    "ldmia r1!, {r2, r3, r12, lr}\n"                            \
    "rnnp_lane \\s0, r2, r12, 4, 8, \\first\n"                  \
    "rnnp_lane \\s1, r2, r12, 5, 9, \\first\n"                  \
    "rnnp_lane \\s2, r2, r12, 6, 10, \\first\n"                 \
    "rnnp_lane \\s3, r2, r12, 7, 11, \\first\n"                 \
    "rnnp_lane \\s4, r3, lr, 4, 8, 0\n"                         \
    "rnnp_lane \\s5, r3, lr, 5, 9, 0\n"                         \
    "rnnp_lane \\s6, r3, lr, 6, 10, 0\n"                        \
    "rnnp_lane \\s7, r3, lr, 7, 11, 0\n"                        \
    ".endm\n"

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
#define PURGE_FOUR ".purgem rnnp_lane\n.purgem rnnp_four\n"

// Parts of rows() that are rarely run and stand apart, so that its loop fits an instruction cache. They jump back and forth, which
// compilers can't see: link-time optimization may put each function into an object of its own. So they, and the labels that
// they jump back to, are symbols for all objects, whose names stay as they are.
#define PART __attribute__((naked, noinline, used, visibility("hidden"))) void
PART rnnp_armv7em_first_step(void);
PART rnnp_armv7em_weighted(void);

// The first step, from states of 0: there are no products. Of one tile, or of as many as there are steps. Registers as in
// rows(), and lr W v.
PART rnnp_armv7em_first_step(void) {
    __asm__ volatile(OFFSETS UPDATE "ldr r12, [sp, #TILE]\n"
                                    "6:\n"
                                    "ldr r2, [sp, #LIST]\n"
                                    "ldr r1, [sp, #PACKED]\n"
                                    "ldr r0, [sp, #ONES]\n"
                                    "ldr lr, [r2], #4\n"
                                    "str r2, [sp, #LIST]\n"
                                    "7:\n"
                                    "ldr r2, [sp, #WEIGHTS]\n"
                                    "ldr r3, [sp, #PITCH]\n"
                                    "ldmia lr, {r4-r7}\n"
                                    "add r1, r1, r2\n"
                                    "add lr, lr, r3\n"
                                    "ldmia r1!, {r2, r3}\n"
                                    "rnnp_gates r4, r8\n"
                                    "rnnp_gates r5, r9\n"
                                    "rnnp_gates r6, r10\n"
                                    "rnnp_gates r7, r11\n"
                                    "rnnp_begin r4, r8\n"
                                    "rnnp_begin r5, r9\n"
                                    "rnnp_begin r6, r10\n"
                                    "rnnp_begin r7, r11\n"
                                    "ldr r2, [sp, #END]\n"
                                    "stmia r12!, {r4-r7}\n"
                                    "cmp r12, r2\n"
                                    "bne.w 7b\n"
                                    // The next tile, where there is one.
                                    "ldr r0, [sp, #STEPS]\n"
                                    "ldr r3, [sp, #ADVANCE]\n"
                                    "subs r0, #1\n"
                                    "beq 8f\n"
                                    "cbz r3, 8f\n"
                                    "str r0, [sp, #STEPS]\n"
                                    "add r2, r3\n"
                                    "str r2, [sp, #END]\n"
                                    "b 6b\n"
                                    "8:\n"
                                    "ldr r0, [sp, #FLAGS]\n"
                                    "msr apsr_nzcvq, r0\n"
                                    "b.w rnnp_armv7em_stepped\n" PURGE_UPDATE PURGE_COPY);
}

// The update for any zeta and nu, if they are not 1 and 0.
PART rnnp_armv7em_weighted(void) {
    __asm__ volatile(OFFSETS ".macro rnnp_weighted g, z, lane\n"
                             "ldr r2, [sp, #ONE]\n"
                             "ldr r3, [sp, #ZETA]\n"
                             "eor r2, r2, \\z\n" // 1 - z
                             "smulbb r0, r2, r3\n"
                             "smultb r2, r2, r3\n"
                             "ldr r3, [sp, #NU]\n"
                             "ldr lr, [r12, #4 * \\lane]\n"
                             "lsl.w r2, r2, #3\n"
                             "pkhtb r2, r2, r0, asr #13\n"
                             "qadd16 r2, r2, r3\n" // weight of g; nu is what may saturate it
                             "smulbb r0, \\z, lr\n"
                             "smultt r3, \\z, lr\n"
                             "smlabb r0, r2, \\g, r0\n"
                             "smlatt r3, r2, \\g, r3\n"
                             "ssat r0, #16, r0, asr #13\n"
                             "ssat r3, #16, r3, asr #13\n"
                             "pkhbt \\g, r0, r3, lsl #16\n"
                             ".endm\n"
                             "ldr r0, [sp, #ZETA]\n"
                             "ldr r12, [sp, #H]\n"
                             "lsr.w r0, r0, #15\n"
                             "cbz r0, 1f\n"
                             "b.w rnnp_armv7em_unweighted\n"
                             "1:\n"
                             "rnnp_weighted r4, r8, 0\n"
                             "rnnp_weighted r5, r9, 1\n"
                             "rnnp_weighted r6, r10, 2\n"
                             "rnnp_weighted r7, r11, 3\n"
                             "ldr r8, [sp, #END]\n"
                             ".purgem rnnp_weighted\n"
                             "b.w rnnp_armv7em_updated\n" PURGE_COPY);
}

// Steps of the cell, or products of one tile. The arguments' places are part of the frame that it works on.
//
// For a pair of rows of the matrix at a time: r1 the packed matrix; r4-r7 and r8-r11 the sums of both rows in four lanes;
// then r4-r7 both rows' pre-activations, r8-r11 W v of both; then r4-r7 g and at last h', r8-r11 z; r12 h.
//   list       wx of each step
//   steps      left
//   pitch      bytes from the wx of a pair of rows to the next one's
//   packed     the matrix
//   tile       states; or what is to be multiplied
//   flags      see above
//   doublings  of the sums, 0 for products
//   end        of the states; or of the packed matrix
//   weights    bytes of a pair of rows in the packed copy, without biases; or the products' shift
//   advance    bytes from the tile of a step to the next step's: 0, or, for a tile after the other, those of a tile
//   ones, one  32764 and 8191, in both halves
//   zeta, nu   the latter in both halves
#define UNUSED __attribute__((unused))
__attribute__((naked, noinline, used)) static void rows(UNUSED const int16_t *const *list, UNUSED uint32_t steps,
    UNUSED uint32_t pitch, UNUSED const uint32_t *packed, UNUSED const void *tile, UNUSED uint32_t flags,
    UNUSED uint32_t doublings, UNUSED const void *end, UNUSED uint32_t weights, UNUSED uint32_t advance,
    UNUSED uint32_t ones, UNUSED uint32_t one, UNUSED uint32_t zeta, UNUSED uint32_t nu) {
    __asm__ volatile(OFFSETS FOUR_INPUTS UPDATE
        "push {r0-r11, lr}\n"
        "sub sp, #8 + KEPT\n"
        "ldr r0, [sp, #FLAGS]\n"
        "msr apsr_nzcvq, r0\n"
        "rnnp_save\n"
        "ubfx r0, r0, #0, #1\n"
        "cbnz r0, 16f\n"
        "b.w rnnp_armv7em_first_step\n"
        // A step.
        "16:\n"
        "ldr r2, [sp, #LIST]\n"
        "ldr r12, [sp, #TILE]\n"
        "ldr r1, [sp, #PACKED]\n"
        "ldr r3, [r2], #4\n"
        "str r12, [sp, #H]\n"
        "str r2, [sp, #LIST]\n"
        "str r3, [sp, #WX]\n"
        "rnnp_copy\n"
        // A pair of rows.
        "2:\n"
        "rnnp_four 1, 0, 1, 2, 3, 4, 5, 6, 7\n"
        "rnnp_four 0, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "beq.w 4f\n"
        "bcc.w 8f\n"
        "rnnp_four 0, 16, 17, 18, 19, 20, 21, 22, 23\n"
        "rnnp_four 0, 24, 25, 26, 27, 28, 29, 30, 31\n"
        "bvc.w 4f\n"
        "bmi.w 8f\n"
        ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "qadd r\\sum, r\\sum, r\\sum\n"
        ".endr\n"
        "4:\n"
        "pkhtb r4, r8, r4, asr #16\n"
        "pkhtb r5, r9, r5, asr #16\n"
        "pkhtb r6, r10, r6, asr #16\n"
        "pkhtb r7, r11, r7, asr #16\n"
        // Pre-activations, then gates.
        "ldr r2, [sp, #WX]\n"
        "ldr r3, [sp, #PITCH]\n"
        "ldmia r2, {r8-r11}\n"
        "add r2, r2, r3\n"
        "str r2, [sp, #WX]\n"
        "qadd16 r4, r4, r8\n"
        "qadd16 r5, r5, r9\n"
        "qadd16 r6, r6, r10\n"
        "qadd16 r7, r7, r11\n"
        "ldmia r1!, {r2, r3}\n"
        "rnnp_gates r4, r8\n"
        "rnnp_gates r5, r9\n"
        "rnnp_gates r6, r10\n"
        "rnnp_gates r7, r11\n"
        "it mi\n" // so that the branch has any distance: linkers of native .mpy files know no other
        "bmi.w rnnp_armv7em_weighted\n"
        ".global rnnp_armv7em_unweighted\n.hidden rnnp_armv7em_unweighted\nrnnp_armv7em_unweighted:\n"
        "ldr r12, [sp, #H]\n"
        "ldr r0, [sp, #ONES]\n"
        "ldr r3, [r12]\n"
        "ldr lr, [r12, #4]\n"
        "rnnp_update r4, r8, r3\n"
        "rnnp_update r5, r9, lr\n"
        "ldr r3, [r12, #8]\n"
        "ldr lr, [r12, #12]\n"
        "ldr r8, [sp, #END]\n"
        "rnnp_update r6, r10, r3\n"
        "rnnp_update r7, r11, lr\n"
        ".global rnnp_armv7em_updated\n.hidden rnnp_armv7em_updated\nrnnp_armv7em_updated:\n"
        "stmia r12!, {r4-r7}\n"
        "str r12, [sp, #H]\n"
        "sub.w r0, r8, r12\n"
        "cbz r0, rnnp_stepped\n"
        "b 2b\n"
        "rnnp_stepped:\n"
        ".global rnnp_armv7em_stepped\n.hidden rnnp_armv7em_stepped\nrnnp_armv7em_stepped:\n"
        "ldr r0, [sp, #STEPS]\n"
        "ldr r1, [sp, #TILE]\n"
        "ldr r2, [sp, #END]\n"
        "ldr r3, [sp, #ADVANCE]\n"
        "sub.w r0, r0, #1\n"
        "add r1, r3\n"
        "add r2, r3\n"
        "str r0, [sp, #STEPS]\n"
        "str r1, [sp, #TILE]\n"
        "str r2, [sp, #END]\n"
        "cbz r0, 11f\n"
        "b 16b\n"
        "11:\n"
        "rnnp_restore\n"
        "add sp, #24 + KEPT\n"
        "pop {r4-r11, pc}\n"
        // Sums that must be doubled once or more, or not at all: then products are wanted.
        "8:\n"
        "ldr r0, [sp, #DOUBLINGS]\n"
        "cbnz r0, 9f\n"
        // Products: shifted, saturated and stored.
        "ldr r2, [sp, #SHIFT]\n"
        "ldr r3, [sp, #WX]\n"
        "ldr r12, [sp, #PITCH]\n"
        "ldr r0, [sp, #END]\n"
        ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "asr.w r\\sum, r\\sum, r2\n"
        "ssat r\\sum, #16, r\\sum\n"
        ".endr\n"
        "pkhbt r4, r4, r8, lsl #16\n"
        "pkhbt r5, r5, r9, lsl #16\n"
        "pkhbt r6, r6, r10, lsl #16\n"
        "pkhbt r7, r7, r11, lsl #16\n"
        "stmia r3, {r4-r7}\n"
        "add r3, r3, r12\n"
        "str r3, [sp, #WX]\n"
        "sub.w r0, r0, r1\n"
        "cbz r0, 15f\n"
        "b 2b\n"
        "15:\n"
        "b 11b\n"
        "9:\n"
        ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "qadd r\\sum, r\\sum, r\\sum\n"
        ".endr\n"
        "sub.w r0, r0, #1\n"
        "cbnz r0, 12f\n"
        "b 4b\n"
        "12:\n"
        "b 9b\n" PURGE_FOUR PURGE_UPDATE PURGE_COPY);
}

static bool fast_input(const rnnp_cell_t *cell) {
    return (cell->inputs == 4 || cell->inputs == 8 || cell->inputs == 16) && cell->hidden % 2 == 0;
}

static bool fast_sweep(const rnnp_cell_t *cell) {
    bool unweighted = cell->zeta == 32768 && cell->nu == 0;
    return (cell->hidden == 8 || cell->hidden == 16) && !cell->smooth && cell->shift_u <= 16 &&
        (unweighted || cell->zeta < 32768);
}

// The packed copy: a word that tells where U is, and how the cell is swept; W; U and the biases.
#define WORD(at) ((at) & 0xFFFFu)
#define FLAGS(at) ((at) & 0xF0000000u) // 0: in plain C

// Words of each two rows of a matrix, two by two, then those of the rows' biases, if they have any.
static uint32_t *pack(
    const int16_t *row, uint32_t rows, uint32_t columns, const int16_t *bz, const int16_t *bh, uint32_t *to) {
    for (uint32_t i = 0; i < rows; i += 2, row += columns) {
        for (const int16_t *end = row + columns; row < end; row += 4) {
            *to++ = rnnp_load(row);
            *to++ = rnnp_load(row + 2);
            *to++ = rnnp_load(row + columns);
            *to++ = rnnp_load(row + columns + 2);
        }
        if (bz != NULL) {
            *to++ = rnnp_load(bz + i);
            *to++ = rnnp_load(bh + i);
        }
    }
    return to;
}

void rnnp_kernel_cell_pack(const rnnp_cell_t *cell) {
    uint32_t *to = cell->packed + 1, hidden = cell->hidden;
    if (fast_input(cell)) {
        to = pack(cell->w, hidden, cell->inputs, NULL, NULL, to);
    }
    *cell->packed = (uint32_t)(to - cell->packed);
    if (fast_sweep(cell)) {
        pack(cell->u, hidden, hidden, cell->bz, cell->bh, to);
        uint32_t sums = cell->shift_u < 16 ? FLAG_SUMS : 0;
        *cell->packed |= sums |
            (hidden == 16       ? FLAG_16
                    : sums != 0 ? 0
                                : FLAG_8) |
            (cell->zeta != 32768 || cell->shift_u < 15 ? FLAG_UNUSUAL : 0);
    }
}

void rnnp_kernel_cell_input(const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    if (!fast_input(cell) || cell->inputs == 4) {
        rnnp_kernel_cell_input_c(cell, tile, count, wx, pitch);
        return;
    }
    const int16_t *list[1] = { wx };
    const uint32_t *packed = cell->packed + 1, *end = packed + cell->hidden / 2u * cell->inputs;
    uint32_t flags = FLAG_RESUME | FLAG_UNUSUAL | FLAG_SUMS | (cell->inputs == 16 ? FLAG_16 : 0);
    rows(list, 1, pitch * 4, packed, tile, flags, 0, end, cell->shift_w, 0, 0, 0, 0, 0);
}

void rnnp_kernel_cell_sweep(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch,
    uint32_t count, int16_t *h, bool tiles, bool resume) {
    uint32_t head = *cell->packed, flags = FLAGS(head), bytes = cell->hidden * RNNP_LANES * (uint32_t)sizeof(*h);
    if (flags == 0) {
        rnnp_kernel_cell_sweep_c(cell, wx, steps, pitch, count, h, tiles, resume);
        return;
    }
    if (!resume && (flags & FLAG_UNUSUAL)) {
        memset(h, 0, tiles ? steps * bytes : bytes);
        resume = true;
    }
    rows(wx, steps, pitch * 4, cell->packed + WORD(head), h, flags | (resume ? FLAG_RESUME : 0), 16u - cell->shift_u,
        (int8_t *)h + bytes, cell->hidden * 4u, tiles ? bytes : 0, 0x7FFC7FFC, 0x1FFF1FFF, cell->zeta,
        cell->nu * 0x10001u);
}

RNNP_SMALL_C_END

#endif
