// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Matrix times tile on an Armv7E-M with FPU (Cortex-M4F, M7), four lanes side by side, and the recurrent cell that is made
// of it, for hard non-linearities and 8 or 16 inputs of the matrix (4: armv7em_cell_input.c).
//
// A tile of 16 int16 vectors' elements is 32 words, which is just what the FPU has registers for: a copy of the tile lies
// in s0-s31, four lanes of pair k in s(4 k) .. s(4 k + 3), and every other value that has no core register is on the stack.
// The matrix is read from its packed copy in a row: for each pair of its rows and each four inputs two words of the one
// row and two of the other; then, for the recurrent matrix, the two rows' bz and bh.
#include "armv7em.h"

#if RNNP_ARMV7EM

#define WORDS (32) // of a tile of 16 elements

// In the condition flags throughout: N zeta and nu are not 1 and 0; Z the tile has 8 elements, not 16; C this is the first
// step, whose states are 0; V sums must be doubled (their upper halves are what is wanted), or, with 0 doublings,
// products are all that is wanted. No instruction between may set flags.
#define FLAG_WEIGHTED (1u << 31)
#define FLAG_8 (1u << 30)
#define FLAG_FIRST (1u << 29)
#define FLAG_SUMS (1u << 28)

// Where the arguments of rows() are from sp on: behind s16-s31, r4-r11 and lr.
#define OFFSETS             \
    ".set WX, 100\n"        \
    ".set H, 104\n"         \
    ".set LIST, 108\n"      \
    ".set STEPS, 112\n"     \
    ".set PITCH, 116\n"     \
    ".set PACKED, 120\n"    \
    ".set TILE, 124\n"      \
    ".set FLAGS, 128\n"     \
    ".set DOUBLINGS, 132\n" \
    ".set SHIFT, 136\n"     \
    ".set END, 140\n"       \
    ".set WEIGHTS, 144\n"   \
    ".set ONES, 148\n"      \
    ".set ONE, 152\n"       \
    ".set ZETA, 156\n"      \
    ".set NU, 160\n"

// Adds the products of two rows' next four weights (r1) and pairs 2 q and 2 q + 1 of the tile to the sums: r4-r7 four lanes
// of the first row, r8-r11 of the second. 29 cycles for 32 multiply-adds.
#define FOUR_INPUTS                                             \
    ".macro rnnp_lane s, weight0, weight1, sum0, sum1, first\n" \
    "vmov r0, s\\s\n"                                           \
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

// New state of a pair of rows in a lane for zeta = 1 and nu = 0, h' = (z h + (1 - z) g), which cannot overflow: g and h'
// in \g, z in \z, h in \h; r0 32764 (1 in the format of 1 - z).
#define UPDATE                      \
    ".macro rnnp_update g, z, h\n"  \
    "eor lr, r0, \\z, lsl #2\n"     \
    "smulbb r2, \\z, \\h\n"         \
    "smultt \\h, \\z, \\h\n"        \
    "smlabb r2, lr, \\g, r2\n"      \
    "smlatt \\h, lr, \\g, \\h\n"    \
    "lsl.w \\h, \\h, #3\n"          \
    "pkhtb \\g, \\h, r2, asr #13\n" \
    ".endm\n"                       \
    ".macro rnnp_gates p, z\n"      \
    "shadd16 \\z, \\p, r2\n"        \
    "qadd16 \\p, \\p, r3\n"         \
    "usat16 \\z, #13, \\z\n"        \
    "ssat16 \\p, #14, \\p\n"        \
    ".endm\n"

#define PURGE ".purgem rnnp_lane\n.purgem rnnp_four\n.purgem rnnp_update\n.purgem rnnp_gates\n"

// The same for any zeta up to 32767 and any nu.
__attribute__((naked, noinline, used)) static void weighted(void) {
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
                             "rnnp_weighted r4, r8, 0\n"
                             "rnnp_weighted r5, r9, 1\n"
                             "rnnp_weighted r6, r10, 2\n"
                             "rnnp_weighted r7, r11, 3\n"
                             ".purgem rnnp_weighted\n"
                             "b.w rnnp_updated\n");
}

// Steps of the cell, or products of one tile. Arguments are the frame that it works on, hence four first that do nothing:
// those that follow come on the stack. It changes them.
//   wx, h      of the pair of rows in hand: products to be added, or where products go; states. Set here.
//   list       wx of each step
//   steps      left
//   pitch      bytes from the wx of a pair of rows to the next one's
//   tile       16-element tile, or what is shorter, with readable memory behind it; the cell's ends a block of 128 bytes
//   doublings  of the sums (see above)
//   shift, end for products: their shift; end of the packed copy
//   weights    bytes of a pair of rows in the packed copy, without biases
//   ones, one  32764 and 8191, in both halves
//   zeta, nu   the latter in both halves
#define UNUSED __attribute__((unused))
__attribute__((naked, noinline, used)) static void rows(UNUSED uint32_t r0, UNUSED uint32_t r1, UNUSED uint32_t r2,
    UNUSED uint32_t r3, UNUSED uint32_t wx, UNUSED uint32_t h, UNUSED const int16_t *const *list, UNUSED uint32_t steps,
    UNUSED uint32_t pitch, UNUSED const uint32_t *packed, UNUSED const void *tile, UNUSED uint32_t flags,
    UNUSED uint32_t doublings, UNUSED uint32_t shift, UNUSED const uint32_t *end, UNUSED uint32_t weights,
    UNUSED uint32_t ones, UNUSED uint32_t one, UNUSED uint32_t zeta, UNUSED uint32_t nu) {
    __asm__ volatile(OFFSETS FOUR_INPUTS UPDATE "push {r4-r11, lr}\n"
                                                "vpush {s16-s31}\n"
                                                // A step.
                                                "16:\n"
                                                "ldr r2, [sp, #LIST]\n"
                                                "ldr r12, [sp, #TILE]\n"
                                                "ldr r1, [sp, #PACKED]\n"
                                                "ldr r0, [sp, #FLAGS]\n"
                                                "ldr r3, [r2], #4\n"
                                                "str r2, [sp, #LIST]\n"
                                                "str r3, [sp, #WX]\n"
                                                "str r12, [sp, #H]\n"
                                                "vldmia r12, {s0-s31}\n"
                                                "msr apsr_nzcvq, r0\n"
                                                "bic r0, r0, #1 << 29\n" // FLAG_FIRST
                                                "str r0, [sp, #FLAGS]\n"
                                                // A pair of rows.
                                                "2:\n"
                                                "bcs.w 7f\n"
                                                "rnnp_four 1, 0, 1, 2, 3, 4, 5, 6, 7\n"
                                                "rnnp_four 0, 8, 9, 10, 11, 12, 13, 14, 15\n"
                                                "beq.w 3f\n"
                                                "rnnp_four 0, 16, 17, 18, 19, 20, 21, 22, 23\n"
                                                "rnnp_four 0, 24, 25, 26, 27, 28, 29, 30, 31\n"
                                                "3:\n"
                                                "bvs.w 8f\n"
                                                "4:\n"
                                                "pkhtb r4, r8, r4, asr #16\n"
                                                "pkhtb r5, r9, r5, asr #16\n"
                                                "pkhtb r6, r10, r6, asr #16\n"
                                                "pkhtb r7, r11, r7, asr #16\n"
                                                // Pre-activations, then gates: g r4-r7, z r8-r11.
                                                "5:\n"
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
                                                "ldr r12, [sp, #H]\n"
                                                "ldr r0, [sp, #ONES]\n"
                                                "ldr r3, [r12]\n"
                                                "bmi.w weighted\n"
                                                "rnnp_update r4, r8, r3\n"
                                                "ldr r3, [r12, #4]\n"
                                                "ldr r8, [r12, #8]\n"
                                                "rnnp_update r5, r9, r3\n"
                                                "ldr r9, [r12, #12]\n"
                                                "rnnp_update r6, r10, r8\n"
                                                "rnnp_update r7, r11, r9\n"
                                                "rnnp_updated:\n"
                                                "stmia r12!, {r4-r7}\n"
                                                "str r12, [sp, #H]\n"
                                                "and r0, r12, #127\n"
                                                "cbz r0, 1f\n"
                                                "b 2b\n"
                                                "1:\n"
                                                "ldr r0, [sp, #STEPS]\n"
                                                "subs r0, r0, #1\n"
                                                "str r0, [sp, #STEPS]\n"
                                                "bne.w 16b\n"
                                                "11:\n"
                                                "vpop {s16-s31}\n"
                                                "pop {r4-r11, pc}\n"
                                                // First step: no products.
                                                "7:\n"
                                                "ldr r0, [sp, #WEIGHTS]\n"
                                                "add r1, r1, r0\n"
                                                "mov.w r4, #0\n"
                                                "mov.w r5, #0\n"
                                                "mov.w r6, #0\n"
                                                "mov.w r7, #0\n"
                                                "b 5b\n"
                                                // Sums that must be doubled.
                                                "8:\n"
                                                "ldr r0, [sp, #DOUBLINGS]\n"
                                                "cbz r0, 10f\n"
                                                "9:\n"
                                                ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
                                                "qadd r\\sum, r\\sum, r\\sum\n"
                                                ".endr\n"
                                                "sub.w r0, r0, #1\n"
                                                "cbnz r0, 12f\n"
                                                "b 4b\n"
                                                "12:\n"
                                                "b 9b\n"
                                                // Products: shifted, saturated and stored.
                                                "10:\n"
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
                                                "b 11b\n" PURGE);
}

static bool fast_input(const rnnp_cell_t *cell) {
    return (cell->inputs == 4 || cell->inputs == 8 || cell->inputs == 16) && cell->hidden % 2 == 0;
}

static bool fast_sweep(const rnnp_cell_t *cell) {
    bool unweighted = cell->zeta == 32768 && cell->nu == 0;
    return (cell->hidden == 8 || cell->hidden == 16) && !cell->smooth && cell->shift_u <= 16 &&
        (unweighted || cell->zeta < 32768);
}

// Where the packed copy of U begins.
static uint32_t *packed_u(const rnnp_cell_t *cell) {
    return cell->packed + (fast_input(cell) ? cell->hidden / 2u * cell->inputs : 0);
}

// Words of rows `row` and `row` + 1 of a matrix, two by two.
static uint32_t *pack_rows(const int16_t *row, uint32_t columns, uint32_t *to) {
    for (uint32_t k = 0; k < columns; k += 4) {
        *to++ = rnnp_load(row + k);
        *to++ = rnnp_load(row + k + 2);
        *to++ = rnnp_load(row + columns + k);
        *to++ = rnnp_load(row + columns + k + 2);
    }
    return to;
}

void rnnp_kernel_cell_pack(const rnnp_cell_t *cell) {
    uint32_t *to = cell->packed;
    for (uint32_t i = 0; fast_input(cell) && i < cell->hidden; i += 2) {
        to = pack_rows(cell->w + i * cell->inputs, cell->inputs, to);
    }
    for (uint32_t i = 0; fast_sweep(cell) && i < cell->hidden; i += 2) {
        to = pack_rows(cell->u + i * cell->hidden, cell->hidden, to);
        *to++ = rnnp_load(cell->bz + i);
        *to++ = rnnp_load(cell->bh + i);
    }
}

static uint32_t flags_of(uint32_t inputs) {
    return inputs == 8 ? FLAG_8 : 0;
}

void rnnp_kernel_cell_input(const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    if (!fast_input(cell) || cell->inputs == 4) {
        rnnp_kernel_cell_input_c(cell, tile, count, wx, pitch);
        return;
    }
    const int16_t *list[1] = { wx };
    const uint32_t *end = cell->packed + cell->hidden / 2u * cell->inputs;
    rows(0, 0, 0, 0, 0, 0, list, 1, pitch * 4, cell->packed, tile, flags_of(cell->inputs) | FLAG_SUMS, 0, cell->shift_w,
        end, 0, 0, 0, 0, 0);
}

void rnnp_kernel_cell_sweep(
    const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch, uint32_t count, int16_t *h) {
    if (!fast_sweep(cell)) {
        rnnp_kernel_cell_sweep_c(cell, wx, steps, pitch, count, h);
        return;
    }
    uint32_t words = cell->hidden / 2u * RNNP_LANES;
    uint32_t tiles[2 * WORDS] __attribute__((aligned(128))); // one is used, but as many words as s0-s31 are loaded
    uint32_t *tile = tiles + WORDS - words;
    for (uint32_t i = 0; i < words; i++) {
        tile[i] = 0;
    }
    uint32_t flags = flags_of(cell->hidden) | FLAG_FIRST | (cell->shift_u < 16 ? FLAG_SUMS : 0);
    flags |= cell->zeta == 32768 ? 0 : FLAG_WEIGHTED;
    rows(0, 0, 0, 0, 0, 0, wx, steps, pitch * 4, packed_u(cell), tile, flags, 16u - cell->shift_u, 0, NULL,
        cell->hidden * 4u, 0x7FFC7FFC, 0x1FFF1FFF, cell->zeta, cell->nu * 0x10001u);
    for (uint32_t i = 0; i < words; i++) {
        rnnp_store(h + 2 * i, tile[i]);
    }
}

#endif
