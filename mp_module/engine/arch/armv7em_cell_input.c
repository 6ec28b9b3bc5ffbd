// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Tiles of the recurrent cell from and to int8 on an Armv7E-M (armv7em_cell.c has what is done with them).
#include "armv7em.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

// Arguments of widen().
typedef struct {
    const int8_t *x; // r0: of the first lane
    uint32_t second, third, fourth; // r1-r3: the other lanes, in bytes from the first
    uint32_t left; // r1: widened inputs are (x - zero point) 2^left
    uint32_t zero_points; // r2: (zero point + 128) 2^left in both halves
    uint32_t inputs; // r1: left to do, a multiple of 4; or 0 for the products of 4
    int16_t *to; // r3: a tile of the widened inputs; or the products
    // Of products:
    const uint32_t *packed; // r0
    uint32_t pitch; // s0, bytes
    const uint32_t *end; // lr: of the packed matrix
    uint32_t tiles; // left to do
    uint32_t next; // from the products of a tile to those of the next one, bytes
    const int8_t *const *list; // x of the next tiles
} widen_t;

// Widens inputs of four lanes to int16, four at a time: pairs 0 and 1 of lane l are in r(4 + l) and r(8 + l). These go to
// a tile, or are multiplied at once with a matrix of 4 columns; such products are shifted by SHIFT, which `left` takes
// care of.
#define SHIFT (12)
__attribute__((naked, noinline)) static void widen(__attribute__((unused)) widen_t *arguments) {
    __asm__ volatile(RNNP_WORDS "push {r4-r11, lr}\n"
                                "rnnp_enter 2\n"
                                "mov lr, r0\n"
                                "rnnp_put 1, lr\n"
                                "1:\n"
                                "ldmia lr, {r0-r3}\n"
                                "ldr r4, [r0]\n"
                                "ldr r5, [r0, r1]\n"
                                "ldr r6, [r0, r2]\n"
                                "ldr r7, [r0, r3]\n"
                                "ldr r1, [lr, #16]\n"
                                "ldr r2, [lr, #20]\n"
                                // What is shifted are halfwords that are not negative, x + 128.
                                ".macro rnnp_widen x01, x23\n"
                                "eor \\x01, \\x01, #0x80808080\n"
                                "uxtb16 r3, \\x01\n"
                                "uxtb16 r12, \\x01, ror #8\n"
                                "lsl.w r3, r3, r1\n"
                                "lsl.w r12, r12, r1\n"
                                "ssub16 r3, r3, r2\n"
                                "ssub16 r12, r12, r2\n"
                                "pkhbt \\x01, r3, r12, lsl #16\n"
                                "pkhtb \\x23, r12, r3, asr #16\n"
                                ".endm\n"
                                "rnnp_widen r4, r8\n"
                                "rnnp_widen r5, r9\n"
                                "rnnp_widen r6, r10\n"
                                "rnnp_widen r7, r11\n"
                                ".purgem rnnp_widen\n"
                                "ldr r1, [lr, #24]\n"
                                "ldr r3, [lr, #28]\n"
                                "cbz r1, 2f\n"
                                "adds r0, #4\n"
                                "stmia r3!, {r4-r11}\n"
                                "subs r1, #4\n"
                                "str r0, [lr]\n"
                                "str r1, [lr, #24]\n"
                                "str r3, [lr, #28]\n"
                                "bne.w 1b\n"
                                "rnnp_leave 2\n"
                                "pop {r4-r11, pc}\n"
                                // Products, two rows at a time.
                                "2:\n"
                                "add lr, #32\n"
                                "mov r1, r3\n"
                                "ldmia lr, {r0, r2, lr}\n"
                                "rnnp_put 0, r2\n"
                                ".macro rnnp_product x01, x23, offset\n"
                                "smuad r12, r2, \\x01\n"
                                "smlad r12, r3, \\x23, r12\n"
                                "ssat r12, #16, r12, asr #12\n"
                                "strh r12, [r1, #\\offset]\n"
                                ".endm\n"
                                ".macro rnnp_row row\n"
                                "ldmia r0!, {r2, r3}\n"
                                "rnnp_product r4, r8, \\row\n"
                                "rnnp_product r5, r9, \\row + 4\n"
                                "rnnp_product r6, r10, \\row + 8\n"
                                "rnnp_product r7, r11, \\row + 12\n"
                                ".endm\n"
                                "3:\n"
                                "rnnp_row 0\n"
                                "rnnp_row 2\n"
                                "rnnp_get r12, 0\n"
                                "cmp r0, lr\n"
                                "add r1, r1, r12\n"
                                "bne 3b\n"
                                ".purgem rnnp_product\n"
                                ".purgem rnnp_row\n"
                                "rnnp_get lr, 1\n"
                                "ldrd r0, r1, [lr, #44]\n"
                                "ldr r2, [lr, #52]\n"
                                "subs r0, #1\n"
                                "beq 5f\n"
                                "ldr r3, [r2], #4\n"
                                "ldr r12, [lr, #28]\n"
                                "str r0, [lr, #44]\n"
                                "add r12, r12, r1\n"
                                "str r2, [lr, #52]\n"
                                "str r3, [lr]\n"
                                "str r12, [lr, #28]\n"
                                "b.w 1b\n"
                                "5:\n"
                                "rnnp_leave 2\n"
                                "pop {r4-r11, pc}\n" RNNP_PURGE_WORDS);
}

// Products of tiles, of which `arguments` has all but x and what is left to do.
//   tile  memory for widened inputs; NULL: of 4 inputs, which need none
__attribute__((noinline)) static void input_tiles(const rnnp_cell_t *cell, widen_t *arguments, const int8_t *const *x,
    uint32_t tiles, uint32_t count, int16_t *wx, uint32_t next, uint32_t pitch, int16_t *tile) {
    arguments->to = wx;
    arguments->inputs = 0;
    arguments->tiles = tiles;
    arguments->next = next * (uint32_t)sizeof(*wx);
    arguments->list = x + 1;
    arguments->x = *x;
    if (tile == NULL) {
        widen(arguments);
        return;
    }
    for (; tiles > 0; tiles--, wx += next) {
        arguments->x = *x++;
        arguments->to = tile;
        arguments->inputs = cell->inputs;
        widen(arguments);
        rnnp_kernel_cell_input(cell, tile, count, wx, pitch);
    }
}

// Many inputs have a frame of their own, so that few need little of the stack.
__attribute__((noinline)) static void many_inputs(const rnnp_cell_t *cell, widen_t *arguments, const int8_t *const *x,
    uint32_t tiles, uint32_t count, int16_t *wx, uint32_t next, uint32_t pitch) {
    int16_t tile[RNNP_TILE_VALUES(RNNP_MAX_HIDDEN)];
    input_tiles(cell, arguments, x, tiles, count, wx, next, pitch, tile);
}

void rnnp_kernel_cell_input8(const rnnp_cell_t *cell, const int8_t *const *x, uint32_t tiles, uint32_t step,
    uint32_t count, int8_t zero_point, int16_t *wx, uint32_t next, uint32_t pitch) {
    uint32_t inputs = cell->inputs, left = SHIFT - cell->shift_w, last = (count - 1) * step;
    if (RNNP_WITH_ANY_CELL && (inputs % 4 != 0 || inputs > RNNP_MAX_HIDDEN)) {
        rnnp_kernel_cell_input8_c(cell, x, tiles, step, count, zero_point, wx, next, pitch);
        return;
    }
    // Inputs times 2^left are below 2^15, sums below 4 * 2^15 * 255 * 2^6 < 2^31.
    bool four = inputs == 4 && (!RNNP_WITH_ANY_CELL || (cell->hidden % 2 == 0 && left <= 6));
    int16_t tile[RNNP_TILE_VALUES(16)];
    widen_t arguments; // an initializer would need more code
    arguments.second = rnnp_min_u32(step, last);
    arguments.third = rnnp_min_u32(2 * step, last);
    arguments.fourth = last;
    arguments.left = four ? left : 0;
    arguments.zero_points = ((uint32_t)(zero_point + 128) << arguments.left) * 0x10001u;
    arguments.packed = cell->packed + 1;
    arguments.end = cell->packed + 1 + 2 * cell->hidden;
    arguments.pitch = 4 * pitch;
    if (RNNP_WITH_ANY_CELL && inputs > 16) {
        many_inputs(cell, &arguments, x, tiles, count, wx, next, pitch);
    } else {
        input_tiles(cell, &arguments, x, tiles, count, wx, next, pitch, four ? NULL : tile);
    }
}

void rnnp_kernel_cell_store(const int16_t *tile, uint32_t elements, uint32_t count, int8_t *out, uint32_t step) {
    if (RNNP_WITH_ANY_CELL && elements % 4 != 0) {
        rnnp_kernel_cell_store_c(tile, elements, count, out, step);
        return;
    }
    for (const int16_t *end = tile + 2 * count; tile != end; tile += 2, out += step) {
        const int16_t *from = tile;
        int8_t *to = out, *last = out + elements;
        uint32_t a, b, c, d;
        // The upper bytes, after an addition that saturates: of elements 0 and 2, then 1 and 3.
        __asm__ volatile("1:\n"
                         "ldr %2, [%0, #16]\n"
                         "ldr %3, [%0], #32\n"
                         "pkhbt %4, %3, %2, lsl #16\n"
                         "pkhtb %5, %2, %3, asr #16\n"
                         "qadd16 %4, %4, %7\n"
                         "qadd16 %5, %5, %7\n"
                         "uxtb16 %4, %4, ror #8\n"
                         "and %5, %5, #0xFF00FF00\n"
                         "orr %4, %4, %5\n"
                         "str %4, [%1], #4\n"
                         "cmp %1, %6\n"
                         "bne 1b\n"
            : "+&r"(from), "+&r"(to), "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d)
            : "r"(last), "r"(0x00800080)
            : "cc", "memory");
    }
}

void rnnp_kernel_cell_round(int16_t *tile, uint32_t values) {
    __asm__ volatile("1:\n"
                     "ldmia %0, {r3-r6}\n"
                     ".irp word, r3, r4, r5, r6\n"
                     "qadd16 \\word, \\word, %2\n"
                     "and \\word, \\word, #0xFF00FF00\n"
                     ".endr\n"
                     "stmia %0!, {r3-r6}\n"
                     "cmp %0, %1\n"
                     "bne 1b\n"
        : "+&r"(tile)
        : "r"(tile + values), "r"(0x00800080)
        : "r3", "r4", "r5", "r6", "cc", "memory");
}

RNNP_SMALL_C_END

#endif
