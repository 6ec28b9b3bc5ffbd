// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A row of a depthwise 3x3 convolution on an Armv7E-M, where the channels of a pixel lie side by side: a channel
// after the other, from column to column.
//
// A column is three bytes; the two upper ones become a pair for SMLAD. It is the last one of an output, the middle one of the
// next and the first one of the one after that, with two products each: of the pair, and of the third byte.
//
// Weights are times 256 and biases fine. Those that are not get as many fraction bits, which changes no result.
#include "armv7em.h"

#if RNNP_ARMV7EM

// Weights of a channel, loaded into r4 - r8.
typedef struct {
    uint32_t upper[3]; // r4 - r6: pairs of the upper two rows, a column each; times 256, as all
    uint32_t lower; // r7: of the third row, columns 0 and 1
    uint32_t corner; // r8: column 2; above it the distance of two pixels
} channel_t;

// Arguments of sweep(): loaded into r1 - r3, then s2 - s11.
typedef struct {
    uint32_t row1, row2; // r1, r2: from row 0
    uint32_t
        out; // r3: the first output; stride 1: from the column behind its last one, stride 2: from row 0, less a byte
    uint32_t pads; // s2: a pair of padding
    uint32_t
        flags; // s3: bit 2: stride 2; bit 1: the first column is padding; bit 0: stride 1, an odd number of outputs
    int32_t zero_point; // s4: with 8 fraction bits, and a half
    const int8_t *row0; // s5
    uint32_t length; // s6: of the columns that complete an output, in bytes
    uint32_t padded; // s7: not 0 if one more output ends with padding
    const channel_t *channels, *end; // s8, s9
    const int32_t *bias, *multiplier; // s10, s11
} sweep_t;

__attribute__((naked, noinline)) static void sweep(__attribute__((unused)) const sweep_t *arguments) {
    __asm__ volatile(RNNP_WORDS // A column: the pair of rows 0 and 1 to r11, row 2 to lr.
        ".macro rnnp_column\n"
        "ldrsb r11, [r0]\n"
        "ldrsb r12, [r0, r1]\n"
        "ldrsb lr, [r0, r2]\n"
        "add r0, r0, r8, asr #16\n"
        "pkhbt r11, r11, r12, lsl #16\n"
        ".endm\n"
        ".macro rnnp_padding\n"
        "rnnp_get r11, 2\n"
        "mov lr, r11\n"
        ".endm\n"
        // The column as the first, the middle and the last one of an output, which is then in r12 ...
        ".macro rnnp_first acc\n"
        "rnnp_get \\acc, 0\n"
        "smlad \\acc, r11, r4, \\acc\n"
        "smlabb \\acc, lr, r7, \\acc\n"
        ".endm\n"
        ".macro rnnp_middle acc, from\n"
        "smlad \\acc, r11, r5, \\from\n"
        "smlabt \\acc, lr, r7, \\acc\n"
        ".endm\n"
        ".macro rnnp_last acc\n"
        "smlad r12, r11, r6, \\acc\n"
        "smlabb r12, lr, r8, r12\n"
        ".endm\n"
        // ... and becomes int8.
        ".macro rnnp_finish\n"
        "rnnp_get r11, 1\n"
        "rnnp_get lr, 4\n"
        "smmla r12, r12, r11, lr\n"
        "ssat r12, #8, r12, asr #8\n"
        ".endm\n"
        ".macro rnnp_output\n"
        "rnnp_column\n"
        "rnnp_last r9\n"
        "rnnp_middle r9, r10\n"
        "rnnp_first r10\n"
        "rnnp_finish\n"
        "strb r12, [r0, r3]\n"
        ".endm\n"

        "push {r4-r11, lr}\n"
        "rnnp_enter 13\n"
        "ldmia r0!, {r1-r3}\n"
        "rnnp_take r0, 2, 11\n"
        "1:\n"
        "rnnp_get r12, 8\n"
        "ldmia r12!, {r4-r8}\n"
        "rnnp_put 8, r12\n"
        "rnnp_get2 r11, r12, 10, 11\n"
        "ldr r9, [r11], #4\n"
        "ldr r10, [r12], #4\n"
        "rnnp_put2 10, 11, r11, r12\n"
        "rnnp_put2 0, 1, r9, r10\n"
        "rnnp_get r0, 5\n"
        "add r12, r0, #1\n"
        "rnnp_put 5, r12\n"
        // The first column.
        "rnnp_get r9, 3\n"
        "lsls r12, r9, #30\n" // carry: stride 2; negative: padding
        "bmi 2f\n"
        "rnnp_column\n"
        "b 3f\n"
        "2:\n"
        "rnnp_padding\n"
        "3:\n"
        "rnnp_first r10\n"
        "rnnp_get r12, 6\n"
        "bcs.w 6f\n"

        // Stride 1: r9 is the output that lacks one column, r10 the one that lacks two.
        "rnnp_column\n"
        "rnnp_middle r9, r10\n"
        "rnnp_first r10\n"
        "rnnp_get r12, 6\n"
        "add r12, r12, r0\n"
        "rnnp_put 12, r12\n"
        "rnnp_get r11, 3\n"
        "lsls r11, r11, #31\n"
        "bmi 5f\n" // an odd number
        "cmp r0, r12\n"
        "beq 7f\n"
        "4:\n"
        "rnnp_output\n"
        "5:\n"
        "rnnp_output\n"
        "rnnp_get r11, 12\n"
        "cmp r0, r11\n"
        "bne 4b\n"
        "7:\n"
        "rnnp_get r11, 7\n"
        "cmp r11, #0\n"
        "beq 8f\n"
        "rnnp_padding\n"
        "rnnp_last r9\n"
        "rnnp_finish\n"
        "add r0, r0, r8, asr #16\n"
        "strb r12, [r0, r3]\n"
        "8:\n"
        "rnnp_get r12, 8\n"
        "rnnp_get r11, 9\n"
        "cmp r12, r11\n"
        "bne.w 1b\n"
        "rnnp_leave 13\n"
        "pop {r4-r11, pc}\n"

        // Stride 2: r10 is the output, r9 where it goes.
        "6:\n"
        "add r12, r12, r0\n"
        "rnnp_put 12, r12\n"
        "rnnp_get r9, 5\n"
        "add r9, r9, r3\n"
        "cmp r0, r12\n"
        "beq 7f\n"
        "4:\n"
        "rnnp_column\n"
        "rnnp_middle r10, r10\n"
        "rnnp_column\n"
        "rnnp_last r10\n"
        "rnnp_first r10\n"
        "rnnp_finish\n"
        "strb r12, [r9]\n"
        "add r9, r9, r8, asr #16\n"
        "rnnp_get r11, 12\n"
        "cmp r0, r11\n"
        "bne 4b\n"
        "7:\n"
        "rnnp_get r11, 7\n"
        "cmp r11, #0\n"
        "beq 8b\n"
        "rnnp_column\n"
        "rnnp_middle r10, r10\n"
        "rnnp_padding\n"
        "rnnp_last r10\n"
        "rnnp_finish\n"
        "strb r12, [r9]\n"
        "b 8b\n"
        ".irp name, column, padding, first, middle, last, finish, output\n"
        ".purgem rnnp_\\name\n"
        ".endr\n" RNNP_PURGE_WORDS);
}

RNNP_SMALL_C

#define GROUP (16) // channels at a time

// Nothing is moved over this: few values are to be alive at a time.
#define BARRIER() __asm__ volatile("" ::: "memory")

// The weights of taps at a and b of four channels as pairs. Bytes are taken apart, two as the upper halves of int16; a row's
// mask has the bits of these, or is 0 where the row is padding.
static void put_pairs(const int8_t *at_a, uint32_t mask_a, const int8_t *at_b, uint32_t mask_b, uint32_t *to) {
    const uint32_t next = sizeof(channel_t) / sizeof(uint32_t);
    uint32_t a = rnnp_load(at_a), b = rnnp_load(at_b);
    uint32_t a02 = mask_a & a << 8, b02 = mask_b & b << 8, a13 = mask_a & a, b13 = mask_b & b;
    to[0] = rnnp_pkhbt16(a02, b02);
    to[next] = rnnp_pkhbt16(a13, b13);
    to[2 * next] = rnnp_pkhtb16(a02, b02);
    to[3 * next] = rnnp_pkhtb16(a13, b13);
    BARRIER();
}

// Of four channels.
__attribute__((noinline)) static void put_weights(
    const int8_t *weight, uint32_t channels, const uint32_t *mask, channel_t *to) {
    uint32_t step = channels | channels << 16; // so that there are two of each, as of taps
    const int8_t *lower = weight + 3 * channels;
    for (uint32_t i = 0; i < 3; i++, weight += channels, lower += channels) {
        put_pairs(weight, mask[0], lower, mask[1], &to->upper[i]);
    }
    put_pairs(lower, mask[2], lower + channels, mask[2], &to->lower);
    uint32_t corner = rnnp_load(lower + 2 * channels), corner02 = mask[2] & corner << 8, corner13 = mask[2] & corner;
    to[0].corner = rnnp_pkhbt16(corner02, step);
    to[1].corner = rnnp_pkhbt16(corner13, step);
    to[2].corner = rnnp_pkhbt16(corner02 >> 16, step);
    to[3].corner = rnnp_pkhbt16(corner13 >> 16, step);
}

#define MOST_BIAS ((INT32_MAX >> RNNP_FINE_BITS) - 9 * 128 * 128) // that has room for 8 fraction bits and all products

bool rnnp_kernel_filter3x3(const rnnp_filter3x3_t *filter, const int8_t *const *rows, int8_t *out) {
    const rnnp_filter3x3_t f = *filter; // a copy: out might be part of it for all that the compiler knows
    channel_t group[GROUP];
    int32_t bias[GROUP];
    uint32_t channels = f.channels, stride = f.stride;
    uint32_t before = (stride == 1 ? 2u : 1u) - f.left; // columns that complete no output
    uint32_t whole = rnnp_min_u32((f.in_width - before) / stride, f.out_width); // outputs without padding on the right
    const int8_t *any = rows[0] != NULL ? rows[0] : rows[1] != NULL ? rows[1] : rows[2], *inside[3];
    uint32_t mask[3];
    bool edge = false;
    for (uint32_t i = 0; i < 3; i++) {
        inside[i] = rows[i] != NULL ? rows[i] : any;
        mask[i] = rows[i] != NULL ? 0xff00ff00 : 0;
        edge |= rows[i] == NULL;
    }
    sweep_t arguments = {
        .row1 = (uint32_t)(inside[1] - inside[0]),
        .row2 = (uint32_t)(inside[2] - inside[0]),
        .out = (uint32_t)(out - inside[0]) - (stride == 1 ? (before + 1) * channels : 1),
        .pads = rnnp_pkhbt16((uint32_t)f.pad, (uint32_t)f.pad),
        .flags = (stride - 1) << 2 | (uint32_t)f.left << 1 | (whole & 1),
        .zero_point = f.requantize.zero_point * (1 << RNNP_FINE_BITS) + (1 << (RNNP_FINE_BITS - 1)),
        .row0 = inside[0],
        .length = whole * stride * channels,
        .padded = f.out_width - whole,
        .channels = group,
        .bias = bias,
        .multiplier = f.requantize.multiplier,
    };
    for (uint32_t first = 0; first < channels; first += GROUP) {
        uint32_t count = rnnp_min_u32(GROUP, channels - first);
        for (uint32_t c = 0; c < count; c += 4) {
            put_weights(f.weight + first + c, channels, mask, group + c);
        }
        arguments.bias = f.requantize.bias + first;
        for (uint32_t c = 0; (edge || !rnnp_fine(&f.requantize)) && c < count; c++) {
            int32_t value = f.requantize.bias[first + c];
            if (!rnnp_fine(&f.requantize)) {
                if (value < -MOST_BIAS || value > MOST_BIAS) {
                    return false;
                }
                value *= 1 << RNNP_FINE_BITS;
            }
            const int8_t *weight = f.weight + first + c;
            for (uint32_t tap = 0; edge && tap < 9; tap++, weight += channels) {
                if (mask[tap / 3] == 0) {
                    value += f.pad * *weight * (1 << RNNP_FINE_BITS);
                }
            }
            bias[c] = value;
            arguments.bias = bias;
        }
        arguments.end = group + count;
        sweep(&arguments);
        arguments.row0 += count;
        arguments.multiplier += count;
    }
    rnnp_armv7em_clamp(&f.requantize, out, f.out_width * channels);
    return true;
}

RNNP_SMALL_C_END

#endif
