// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Matrix times tile on an Armv7E-M, four lanes side by side, and the recurrent cell that is made
// of it. Its loop is for 8 or 16 inputs of the matrix and hard non-linearities; all else: armv7em_cell_parts.c.
//
// A tile of 16 int16 vectors' elements is 32 words, which is just what the FPU has registers for: a copy of the tile lies
// in s0-s31 (of 8 elements in s0-s15), four lanes of pair k in s(4 k) .. s(4 k + 3), and every other value that has no core
// register is on the stack; on a core without FPU, the copy, too. The matrix is read from its packed copy in a row: for each pair of its rows and each four
// inputs two words of the one row and two of the other; then, for the recurrent matrix, the two rows' bz and bh.
#include "armv7em_cell.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

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

#define PURGE_FOUR ".purgem rnnp_lane\n.purgem rnnp_four\n"

// Steps of the cell; or products of a tile, a step. The arguments' places are part of the frame that it works on.
//
// For a pair of rows of the matrix at a time: r1 the packed matrix; r4-r7 and r8-r11 the sums of both rows in four lanes;
// then r4-r7 both rows' pre-activations, r8-r11 W v of both; then r4-r7 g and at last h', r8-r11 z; r12 h.
//   list       wx of each step; the products
//   steps      left
//   pitch      bytes from the wx of a pair of rows to the next one's
//   packed     the matrix
//   tile       states
//   flags      see above
//   doublings  of the sums, with flag N; or the products' shift
//   end        of the states; of the packed matrix, for products, which need nothing behind `row`
//   row        with flag N; 0: sums are not made in parts
//   weights    bytes of a pair of rows in the packed copy, without biases
//   advance    bytes from the tile of a step to the next step's: 0, or, for a tile after the other, those of a tile
//   ones       32764 in both halves; with flag N the following as well:
//   zeta, nu   the latter in both halves
//   table      where A of the functions by table is for 0; NULL: hard ones
// Where sums are made in parts (rnnp_armv7em_sums), a pair of rows is a step, and
//   list       the wx itself
//   doublings  one more
//   packed     where the biases are, less `weights`
//   row, row_bytes   the matrix
//   from, from_end   the states before the step, or what is to be multiplied
#define TILES (RNNP_WITH_BY_STEP || RNNP_WITH_ANY_CELL) // else `advance` is 0
#define UNUSED __attribute__((unused))
__attribute__((naked, noinline, used)) static void rows(
    UNUSED const void *list, UNUSED uint32_t steps, UNUSED uint32_t pitch, UNUSED const uint32_t *packed, ...) {
    __asm__ volatile(OFFSETS FOUR_INPUTS UPDATE
        "push {r0-r11, lr}\n"
        "sub sp, #SAVED + KEPT\n"
        "ldr r0, [sp, #FLAGS]\n"
        "msr apsr_nzcvq, r0\n"
        "rnnp_save\n"
        "ubfx r0, r0, #0, #1\n"
        "cbnz r0, 16f\n"
        "b.w rnnp_armv7em_first_step\n"
        // A step.
        "16:\n"
#if RNNP_WITH_ANY_CELL
        "bmi 13f\n"
        "17:\n"
#endif
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
        "rnnp_four 0, 16, 17, 18, 19, 20, 21, 22, 23\n"
        "rnnp_four 0, 24, 25, 26, 27, 28, 29, 30, 31\n"
        "bvc.w 4f\n"
        ".irp sum, 8, 9, 10, 11\n"
        "qadd r\\sum, r\\sum, r\\sum\n"
        ".endr\n"
        "4:\n"
        "bmi 20f\n"
        "5:\n"
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
        // With flag N.
        "20:\n"
        "bvc 21f\n"
        ".irp sum, 4, 5, 6, 7\n"
        "qadd r\\sum, r\\sum, r\\sum\n"
        ".endr\n"
        "bcc.w 5b\n"
        // Products.
        "22:\n"
        "pkhtb r4, r8, r4, asr #16\n"
        "pkhtb r5, r9, r5, asr #16\n"
        "pkhtb r6, r10, r6, asr #16\n"
        "pkhtb r7, r11, r7, asr #16\n"
        "23:\n"
        "ldr r3, [sp, #WX]\n"
        "ldr r12, [sp, #PITCH]\n"
        "ldr r0, [sp, #END]\n"
        "stmia r3, {r4-r7}\n"
        "add r3, r12\n"
        "str r3, [sp, #WX]\n"
#if RNNP_WITH_ANY_CELL
        "ldr r2, [sp, #ROW]\n"
        "cbnz r2, rnnp_stepped\n"
#endif
        "sub.w r0, r0, r1\n"
        "cbz r0, 11f\n"
        "b 2b\n"
        "rnnp_stepped:\n"
        ".global rnnp_armv7em_stepped\n.hidden rnnp_armv7em_stepped\nrnnp_armv7em_stepped:\n"
#if TILES
        "ldr r1, [sp, #TILE]\n"
        "ldr r2, [sp, #END]\n"
        "ldr r3, [sp, #ADVANCE]\n"
        "add r1, r3\n"
        "add r2, r3\n"
        "str r1, [sp, #TILE]\n"
        "str r2, [sp, #END]\n"
#endif
        "ldr r0, [sp, #STEPS]\n"
        "sub.w r0, r0, #1\n"
        "str r0, [sp, #STEPS]\n"
        "cbz r0, 11f\n"
        "b 16b\n"
        "11:\n"
        "rnnp_restore\n"
        "add sp, #SAVED + KEPT + 16\n"
        "pop {r4-r11, pc}\n"
        "21:\n"
#if RNNP_WITH_ANY_CELL
        // By way of here, since linkers of native .mpy files know no conditional branches between functions.
        "bcs 24f\n"
        "b.w rnnp_armv7em_unusual\n"
        ".global rnnp_armv7em_products\n.hidden rnnp_armv7em_products\nrnnp_armv7em_products:\n"
        "24:\n"
#endif
#if RNNP_WITH_CELL_SHIFT
        "ldr r2, [sp, #SHIFT]\n"
        "sub.w r0, r2, #16\n"
        "cbnz r0, 25f\n"
#endif
        "b 22b\n"
#if RNNP_WITH_CELL_SHIFT
        "25:\n"
        ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "asr.w r\\sum, r\\sum, r2\n"
        "ssat r\\sum, #16, r\\sum\n"
        ".endr\n"
        "pkhbt r4, r4, r8, lsl #16\n"
        "pkhbt r5, r5, r9, lsl #16\n"
        "pkhbt r6, r6, r10, lsl #16\n"
        "pkhbt r7, r7, r11, lsl #16\n"
        "b 23b\n"
#endif
#if RNNP_WITH_ANY_CELL
        "13:\n"
        "bvs.w 17b\n"
        "ldr r0, [sp, #ROW]\n"
        "cbnz r0, 14f\n"
        "b 17b\n"
        "14:\n"
        "b.w rnnp_armv7em_sums\n"
#endif
        PURGE_FOUR PURGE_UPDATE PURGE_COPY);
}

// Whether the packed copy holds a matrix of so many columns.
static bool is_packed(uint32_t columns) {
    return columns == 8 || columns == 16;
}

// Cells that are not usual (operators/rnnpool.c) are refused where there is no code for them.
static bool fast_input(const rnnp_cell_t *cell) {
    return !RNNP_WITH_ANY_CELL || (cell->inputs % 4 == 0 && cell->inputs <= RNNP_MAX_HIDDEN && cell->hidden % 2 == 0);
}

static bool fast_sweep(const rnnp_cell_t *cell) {
    bool unweighted = cell->zeta == 32768 && cell->nu == 0;
    return !RNNP_WITH_ANY_CELL || (cell->hidden % 4 == 0 && cell->shift_u <= 16 && (unweighted || cell->zeta < 32768));
}

#define ONES (0x7FFC7FFCu)

// The packed copy: a word that tells where U is, and how the cell is swept; W; U and the biases.
#define WORD(at) ((at) & 0xFFFFu)
#define FLAGS(at) ((at) & 0xFFFF0000u) // 0: in plain C
#define FLAG_FAST (1u << 16) // else

// Whether no sum of 16 products of the first row of each pair, twice, can saturate, nor any weight.
static bool are_small(const int16_t *row) {
    uint32_t large = 0;
    for (const int16_t *end = row + 256; row < end; row += 16) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < 16; i++, row++) {
            uint32_t magnitude = (uint32_t)(*row < 0 ? -*row : *row);
            sum += magnitude + (magnitude >> 14 << 15);
        }
        large |= sum >> 15;
    }
    return large == 0;
}

// Words of each two rows of a matrix, two by two, then those of the rows' biases, if they have any.
//   twice  all bits: the first row of each two times 2; or 0
static uint32_t *pack(const int16_t *row, uint32_t rows, uint32_t columns, const int16_t *bz, const int16_t *bh,
    uint32_t twice, uint32_t *to) {
    for (uint32_t i = 0; i < rows; i += 2, row += columns) {
        for (const int16_t *end = row + columns; row < end; row += 4) {
            uint32_t a = rnnp_load(row), b = rnnp_load(row + 2);
            *to++ = (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)(a & twice));
            *to++ = (uint32_t)__sadd16((int16x2_t)b, (int16x2_t)(b & twice));
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
    if (fast_input(cell) && (is_packed(cell->inputs) || cell->inputs == 4)) {
        to = pack(cell->w, hidden, cell->inputs, NULL, NULL, 0, to);
    }
    *cell->packed = (uint32_t)(to - cell->packed);
    if (fast_sweep(cell)) {
        bool unusual = RNNP_WITH_ANY_CELL &&
            (cell->smooth || cell->zeta != 32768 || cell->shift_u < (hidden == 16 ? 15 : 16) || !is_packed(hidden));
        uint32_t flags = unusual ? FLAG_UNUSUAL : cell->shift_u == 16 ? 0 : FLAG_SUMS;
        flags |= FLAG_FAST | (flags == FLAG_SUMS && !are_small(cell->u) ? FLAG_UNUSUAL : 0);
        pack(cell->u, hidden, is_packed(hidden) ? hidden : 0, cell->bz, cell->bh,
            flags == (FLAG_SUMS | FLAG_FAST) ? ~0u : 0, to);
        *cell->packed |= flags | (hidden == 16 ? 0 : FLAG_8);
    }
}

#define PRODUCTS (FLAG_PRODUCTS | FLAG_UNUSUAL | FLAG_RESUME)

// Products of a matrix that is not packed.
__attribute__((noinline)) static void input_in_parts(
    const rnnp_cell_t *cell, const int16_t *tile, int16_t *wx, uint32_t pitch) {
    uint32_t inputs = cell->inputs;
    rows(wx, cell->hidden / 2u, pitch * 4, NULL, tile, PRODUCTS | FLAG_8, cell->shift_w, NULL, cell->w, 0, 0, 0, 0, 0,
        NULL, inputs * 2, tile, tile + RNNP_LANES * inputs);
}

void rnnp_kernel_cell_input(const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    uint32_t inputs = cell->inputs;
    if (!fast_input(cell)) {
        rnnp_kernel_cell_input_c(cell, tile, count, wx, pitch);
    } else if (RNNP_WITH_ANY_CELL && !is_packed(inputs)) {
        input_in_parts(cell, tile, wx, pitch);
    } else {
        const uint32_t *packed = cell->packed + 1, *end = packed + cell->hidden / 2u * inputs;
        uint32_t flags = inputs == 8 ? FLAG_8 : cell->shift_w == 15 ? FLAG_SUMS : 0;
        rows(&wx, 1, pitch * 4, packed, tile, PRODUCTS | flags, cell->shift_w, end, NULL);
    }
}

// Steps of a cell with flag N: in parts, each from the states in h or from those of 0, until the rest can be done at once.
__attribute__((noinline)) static void unusual_sweep(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps,
    uint32_t pitch, int16_t *h, bool tiles, bool resume) {
    int16_t old[RNNP_TILE_VALUES(RNNP_MAX_HIDDEN)];
    uint32_t hidden = cell->hidden, values = hidden * RNNP_LANES, bytes = values * (uint32_t)sizeof(*h);
    uint32_t flags = FLAGS(*cell->packed) | FLAG_RESUME, doublings = 16u - cell->shift_u, nu = cell->nu * 0x10001u;
    uint32_t weights = is_packed(hidden) ? hidden * 4 : 0, advance = tiles ? bytes : 0;
    const uint32_t *packed = cell->packed + WORD(*cell->packed);
    const int8_t *table = cell->smooth ? (const int8_t *)cell->table + 512 : NULL;
    for (; steps > 0 && !(resume && is_packed(hidden)); steps--) {
        if (resume) {
            memcpy(old, h, bytes);
        } else {
            memset(h, 0, bytes);
        }
        rows(*wx++, hidden / 2, pitch, packed, h, flags, doublings + 1, h + 2 * RNNP_LANES, cell->u, weights, 16, ONES,
            cell->zeta, nu, table, hidden * 2, old, resume ? old + values : old);
        resume = resume || !tiles;
        h += advance / sizeof(*h);
    }
    if (steps > 0) {
        rows(wx, steps, pitch, packed, h, flags, doublings, h + values, NULL, weights, advance, ONES, cell->zeta, nu,
            table);
    }
}

void rnnp_kernel_cell_sweep(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch,
    uint32_t count, int16_t *h, bool tiles, bool resume) {
    uint32_t head = *cell->packed, flags = FLAGS(head), bytes = cell->hidden * RNNP_LANES * (uint32_t)sizeof(*h);
    if (RNNP_WITH_ANY_CELL && flags == 0) {
        rnnp_kernel_cell_sweep_c(cell, wx, steps, pitch, count, h, tiles, resume);
    } else if (RNNP_WITH_ANY_CELL && (flags & (FLAG_UNUSUAL | FLAG_SUMS)) == FLAG_UNUSUAL) {
        unusual_sweep(cell, wx, steps, pitch * 4, h, tiles, resume);
    } else {
        rows(wx, steps, pitch * 4, cell->packed + WORD(head), h,
            flags | (RNNP_WITH_BY_STEP && resume ? FLAG_RESUME : 0), 16u - cell->shift_u, (int8_t *)h + bytes, NULL,
            cell->hidden * 4u, RNNP_WITH_BY_STEP && tiles ? bytes : 0, ONES);
    }
}

RNNP_SMALL_C_END

#endif
