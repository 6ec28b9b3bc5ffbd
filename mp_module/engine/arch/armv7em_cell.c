// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The recurrent cell on an Armv7E-M with FPU (Cortex-M4F, M7): four sequences side by side in a *tile*, hidden size 16, hard
// non-linearities. The FPU's registers hold what the fourteen usable core registers have no room for.
//
// A tile of states is 8 x 4 words: word [i][v] holds elements 2 i and 2 i + 1 of sequence v, so that both the dot
// products (pairs along k) and the element-wise half (pairs of rows) find their words in a row.
#include "armv7em.h"

#if RNNP_ARMV7EM

#define HIDDEN (16)
#define TILE (4)
#define PAIRS (HIDDEN / 2)

// Arguments of step(): loaded into s0 .. s10 in this order.
typedef struct {
    const int16_t *u; // NULL: the states are 0
    const uint32_t *h;
    uint32_t *h_next;
    const int16_t *wx;
    const uint32_t *biases; // 64-byte aligned: {bz, bh} for each pair of rows
    uint32_t offsets[TILE - 1]; // bytes from the wx of sequence 0 to the others'
    uint32_t one; // 8191 in both halves
    uint32_t zeta; // and in the upper half how often the sums are doubled
    uint32_t nu; // in both halves
} step_t;

// Where the instructions below are
//   s0 u  s1 h  s2 h_next  s3 wx  s4 biases  s5-s7 offsets  s8 one  s9 zeta  s10 nu  s11 h of this pair of rows
//
// Dot products of rows 2 i (r4-r7) and 2 i + 1 (r8-r11) of U with the four states (r0), doubled as often as the shift is
// short of 16, with saturation, then their upper halves.
#define DOT_PRODUCTS                   \
    "cmp r1, #0\n"                     \
    "beq.w 2f\n"                       \
    ".irp k, 0, 1, 2, 3, 4, 5, 6, 7\n" \
    "ldr r2, [r1, #4 * \\k]\n"         \
    "ldr r3, [r1, #32 + 4 * \\k]\n"    \
    "ldr r12, [r0, #16 * \\k]\n"       \
    "ldr lr, [r0, #16 * \\k + 4]\n"    \
    ".if \\k == 0\n"                   \
    "smuad r4, r12, r2\n"              \
    "smuad r8, r12, r3\n"              \
    "smuad r5, lr, r2\n"               \
    "smuad r9, lr, r3\n"               \
    ".else\n"                          \
    "smlad r4, r12, r2, r4\n"          \
    "smlad r8, r12, r3, r8\n"          \
    "smlad r5, lr, r2, r5\n"           \
    "smlad r9, lr, r3, r9\n"           \
    ".endif\n"                         \
    "ldr r12, [r0, #16 * \\k + 8]\n"   \
    "ldr lr, [r0, #16 * \\k + 12]\n"   \
    ".if \\k == 0\n"                   \
    "smuad r6, r12, r2\n"              \
    "smuad r10, r12, r3\n"             \
    "smuad r7, lr, r2\n"               \
    "smuad r11, lr, r3\n"              \
    ".else\n"                          \
    "smlad r6, r12, r2, r6\n"          \
    "smlad r10, r12, r3, r10\n"        \
    "smlad r7, lr, r2, r7\n"           \
    "smlad r11, lr, r3, r11\n"         \
    ".endif\n"                         \
    ".endr\n"                          \
    "vmov r2, s9\n"                    \
    "lsrs r2, r2, #16\n"               \
    "bne.w 6f\n"                       \
    "5:\n"                             \
    "add r1, r1, #64\n"                \
    "vmov s0, r1\n"                    \
    "pkhtb r4, r8, r4, asr #16\n"      \
    "pkhtb r5, r9, r5, asr #16\n"      \
    "pkhtb r6, r10, r6, asr #16\n"     \
    "pkhtb r7, r11, r7, asr #16\n"     \
    "3:\n"

// Pre-activations p (r4-r7), biases (r12, lr); the flag Z says that these were the last ones and is kept to the end.
#define PRE_ACTIVATIONS      \
    "vmov r2, s3\n"          \
    "vmov r3, s5\n"          \
    "vmov r12, s6\n"         \
    "vmov lr, s7\n"          \
    "ldr r8, [r2]\n"         \
    "ldr r9, [r2, r3]\n"     \
    "ldr r10, [r2, r12]\n"   \
    "ldr r11, [r2, lr]\n"    \
    "adds r2, #4\n"          \
    "vmov s3, r2\n"          \
    "vmov r2, s4\n"          \
    "ldmia r2!, {r12, lr}\n" \
    "vmov s4, r2\n"          \
    "tst r2, #63\n"          \
    "qadd16 r4, r4, r8\n"    \
    "qadd16 r5, r5, r9\n"    \
    "qadd16 r6, r6, r10\n"   \
    "qadd16 r7, r7, r11\n"

#define STORE_AND_LOOP                     \
    "vmov r2, s2\n"                        \
    "stmia r2!, {r4-r7}\n"                 \
    "vmov s2, r2\n"                        \
    "vmov r1, s0\n"                        \
    "vmov r0, s1\n"                        \
    "bne.w 1b\n"                           \
    "pop {r4-r11, pc}\n"                   \
    "2:\n"                                 \
    "movs r4, #0\n"                        \
    "movs r5, #0\n"                        \
    "movs r6, #0\n"                        \
    "movs r7, #0\n"                        \
    "b 3b\n"                               \
    "6:\n"                                 \
    ".irp acc, 4, 5, 6, 7, 8, 9, 10, 11\n" \
    "qadd r\\acc, r\\acc, r\\acc\n"        \
    ".endr\n"                              \
    "subs r2, r2, #1\n"                    \
    "bne.w 6b\n"                           \
    "b 5b\n"

#define LOAD_ARGUMENTS      \
    "push {r4-r11, lr}\n"   \
    "vldmia r0, {s0-s10}\n" \
    "vmov r1, s0\n"         \
    "vmov r0, s1\n"         \
    "vmov s11, r0\n"        \
    "1:\n"

// One step of the cell for zeta = 1 and nu = 0: h' = (z h + (1 - z) g), which cannot overflow.
__attribute__((naked, noinline)) static void step_plain(__attribute__((unused)) const step_t *arguments) {
    __asm__ volatile(LOAD_ARGUMENTS DOT_PRODUCTS PRE_ACTIVATIONS "vmov r1, s11\n"
                                                                 "ldmia r1!, {r8-r11}\n"
                                                                 "vmov s11, r1\n"
                                                                 "vmov r2, s8\n"
                                                                 ".macro rnnp_update p, h\n"
                                                                 "shadd16 r3, \\p, r12\n"
                                                                 "qadd16 \\p, \\p, lr\n"
                                                                 "usat16 r3, #13, r3\n" // z
                                                                 "ssat16 \\p, #14, \\p\n" // g
                                                                 "ssub16 r1, r2, r3\n"
                                                                 "lsl.w r1, r1, #2\n" // 1 - z
                                                                 "smulbb r0, r3, \\h\n"
                                                                 "smultt r3, r3, \\h\n"
                                                                 "smlabb r0, r1, \\p, r0\n"
                                                                 "smlatt r3, r1, \\p, r3\n"
                                                                 "lsl.w r3, r3, #3\n"
                                                                 "pkhtb \\p, r3, r0, asr #13\n"
                                                                 ".endm\n"
                                                                 "rnnp_update r4, r8\n"
                                                                 "rnnp_update r5, r9\n"
                                                                 "rnnp_update r6, r10\n"
                                                                 "rnnp_update r7, r11\n"
                                                                 ".purgem rnnp_update\n" STORE_AND_LOOP);
}

// The same for any zeta up to 32767 and any nu.
__attribute__((naked, noinline)) static void step_weighted(__attribute__((unused)) const step_t *arguments) {
    __asm__ volatile(
        LOAD_ARGUMENTS DOT_PRODUCTS PRE_ACTIVATIONS ".macro rnnp_gates p, z\n"
                                                    "shadd16 \\z, \\p, r12\n"
                                                    "qadd16 \\p, \\p, lr\n"
                                                    "usat16 \\z, #13, \\z\n"
                                                    "ssat16 \\p, #14, \\p\n"
                                                    ".endm\n"
                                                    "rnnp_gates r4, r8\n"
                                                    "rnnp_gates r5, r9\n"
                                                    "rnnp_gates r6, r10\n"
                                                    "rnnp_gates r7, r11\n"
                                                    ".purgem rnnp_gates\n"
                                                    "vmov r1, s11\n"
                                                    "vldmia r1!, {s12-s15}\n"
                                                    "vmov s11, r1\n"
                                                    "vmov r2, s8\n"
                                                    "vmov r12, s9\n"
                                                    "vmov lr, s10\n"
                                                    ".macro rnnp_update g, z, h\n"
                                                    "ssub16 r1, r2, \\z\n"
                                                    "smulbb r0, r1, r12\n"
                                                    "smultb r1, r1, r12\n"
                                                    "lsl.w r1, r1, #3\n"
                                                    "pkhtb r1, r1, r0, asr #13\n"
                                                    "qadd16 r1, r1, lr\n" // weight of g; nu is what may saturate it
                                                    "vmov r3, \\h\n"
                                                    "smulbb r0, \\z, r3\n"
                                                    "smultt r3, \\z, r3\n"
                                                    "smlabb r0, r1, \\g, r0\n"
                                                    "smlatt r3, r1, \\g, r3\n"
                                                    "ssat r0, #16, r0, asr #13\n"
                                                    "ssat r3, #16, r3, asr #13\n"
                                                    "pkhbt \\g, r0, r3, lsl #16\n"
                                                    ".endm\n"
                                                    "rnnp_update r4, r8, s12\n"
                                                    "rnnp_update r5, r9, s13\n"
                                                    "rnnp_update r6, r10, s14\n"
                                                    "rnnp_update r7, r11, s15\n"
                                                    ".purgem rnnp_update\n" STORE_AND_LOOP);
}

static const uint32_t zeros[PAIRS * TILE]; // the initial states

void rnnp_kernel_cell_sweep(
    const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t stride, uint32_t count, int16_t *h) {
    bool plain = cell->zeta == 32768 && cell->nu == 0;
    if (cell->smooth || cell->hidden != HIDDEN || cell->shift_u > 16 || (!plain && cell->zeta == 32768)) {
        rnnp_kernel_cell_sweep_c(cell, wx, steps, stride, count, h);
        return;
    }
    uint32_t biases[PAIRS][2] __attribute__((aligned(64)));
    for (uint32_t i = 0; i < PAIRS; i++) {
        biases[i][0] = rnnp_load(cell->bz + 2 * i);
        biases[i][1] = rnnp_load(cell->bh + 2 * i);
    }
    step_t step;
    step.biases = &biases[0][0];
    step.one = 0x1FFF1FFF;
    step.zeta = cell->zeta | (16u - cell->shift_u) << 16;
    step.nu = cell->nu * 0x10001u;
    for (uint32_t first = 0; first < count; first += TILE) {
        uint32_t tiles[2][PAIRS][TILE];
        uint32_t sequences = count - first < TILE ? count - first : TILE;
        for (uint32_t v = 1; v < TILE; v++) { // a tile that is not full repeats its last sequence
            step.offsets[v - 1] = (v < sequences ? v : sequences - 1) * stride * (uint32_t)sizeof(int16_t);
        }
        for (uint32_t t = 0; t < steps; t++) {
            step.u = t == 0 ? NULL : cell->u;
            step.wx = wx[t] + first * stride;
            step.h = t == 0 ? zeros : &tiles[t % 2][0][0];
            step.h_next = &tiles[(t + 1) % 2][0][0];
            if (plain) {
                step_plain(&step);
            } else {
                step_weighted(&step);
            }
        }
        for (uint32_t v = 0; v < sequences; v++, h += HIDDEN) {
            for (uint32_t i = 0; i < PAIRS; i++) {
                rnnp_store(h + 2 * i, tiles[steps % 2][i][v]);
            }
        }
    }
}

#endif
