// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Runs each kernel of mp_module/engine/arch and its twin in plain C on random shapes and values, for test_kernels.py.
// Bytes behind every output must stay as they are. CASES and SEED come from the command line.
#include <string.h>

#include "engine/kernels/kernels.h"
#include "start.h"

#define VALUES (5632)
#define GUARD (64)

static uint32_t seed = SEED;

static uint32_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

// first .. last
static int32_t between(int32_t first, int32_t last) {
    return first + (int32_t)(next() % (uint32_t)(last - first + 1));
}

static int32_t one_of(const int32_t *values, uint32_t count) {
    return values[next() % count];
}
#define ONE_OF(...) one_of((const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

#define MOST_ROWS (10)
static int8_t in8[3][VALUES] __attribute__((aligned(4))), weight8[3 * VALUES] __attribute__((aligned(4))),
    skip8[VALUES];
static int32_t bias[256], multiplier[256], residual[256];
static int8_t exponent[256];
static int16_t *const w16 = (int16_t *)(void *)weight8, u16[80 * 80], bz[80], bh[80], vectors[VALUES];
static uint8_t fast[VALUES * 2 + GUARD] __attribute__((aligned(4))),
    plain[VALUES * 2 + GUARD] __attribute__((aligned(4)));

// Random bytes with many extremes.
static void fill8(int8_t *to, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        to[i] = (int8_t)(next() % 8 == 0 ? ONE_OF(-128, 127, 0) : (int32_t)next());
    }
}

static void fill16(int16_t *to, uint32_t count, int32_t most) {
    for (uint32_t i = 0; i < count; i++) {
        to[i] = (int16_t)(next() % 8 == 0 ? ONE_OF(-most, most, 0) : between(-most, most));
    }
}

static void fill_requantize(rnnp_requantize_t *r, uint32_t channels) {
    int32_t bits = between(16, 30);
    for (uint32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = (int32_t)(next() & ((1u << bits) - 1));
        residual[i] = between(-32767, 32767);
    }
    int32_t min = ONE_OF(-128, -128, between(-128, 0)), max = ONE_OF(127, 127, between(0, 127));
    *r = (rnnp_requantize_t){ bias, multiplier, (int8_t)between(-128, 127), (int8_t)min, (int8_t)max, 0, false, false,
        NULL };
}

// The ways that some layers have beside: with fine biases, or rounded twice.
static void fill_way(rnnp_requantize_t *r, uint32_t channels) {
    uint32_t way = next() % 4;
    r->fine = way == 0;
    r->exponent = way == 1 ? exponent : NULL;
    int32_t low = ONE_OF(-31, -22, -22), high = low == -22 ? -1 : 7; // of sums below 2^23; -22..-1 are usual
    for (uint32_t i = 0; i < channels; i++) {
        bias[i] = r->fine ? bias[i] * 256 + between(0, 255) : bias[i];
        exponent[i] = (int8_t)between(low, high);
    }
}

static void start_case(void) {
    memset(fast, 0x5A, sizeof(fast));
    memset(plain, 0x5A, sizeof(plain));
}

static uint32_t failures;

static void end_case(const char *name, uint32_t a, uint32_t b, uint32_t c) {
    if (memcmp(fast, plain, sizeof(fast)) != 0) {
        failures++;
        print(name);
        const uint32_t shape[3] = { a, b, c };
        for (uint32_t i = 0; i < 3; i++) {
            print(" ");
            print_number(shape[i]);
        }
        print(" differs\n");
    }
}

static void put_weight(uint32_t at) {
    weight8[at] = (int8_t)(next() % 8 == 0 ? ONE_OF(-128, 127, 0) : (int32_t)next());
}

// Weights of a dense layer, -127..127: zeros in the gaps.
static void fill_dense(uint32_t inputs, uint32_t outputs) {
    memset(weight8, 0, sizeof(weight8));
    for (uint32_t o = 0; o < outputs; o++) {
        for (uint32_t i = 0; i < inputs; i++) {
            int8_t *at = weight8 + (rnnp_weight_at(weight8, inputs, o, i) - weight8);
            int32_t weight = next() % 8 == 0 ? ONE_OF(-127, 127, 0) : between(-127, 127);
            *at = (int8_t)(o % 2 != 0 ? weight - (at[-1] < 0) : weight);
            if (o % 2 == 0) {
                at[1] = (int8_t)-(weight < 0);
            }
        }
    }
}

// Sums that need more than 24 bits, for a layer that is rounded once and without a shift.
static void fill_wide(rnnp_requantize_t *r, uint32_t channels) {
    r->wide = true;
    for (uint32_t i = 0; i < channels; i++) {
        bias[i] = next() % 4 != 0 ? between(-1000000000, 1000000000) : bias[i];
    }
}

static int16_t tile[VALUES] __attribute__((aligned(4)));

// What scratch memory was before must not matter.
static void fill_tile(void) {
    for (uint32_t i = 0; i < VALUES; i++) {
        tile[i] = (int16_t)next();
    }
}

static uint32_t pitch_of(uint32_t columns) {
    return rnnp_align(columns, 4) + (uint32_t)ONE_OF(0, 4, 8);
}

static void check_pointwise(void) {
    rnnp_pointwise_t p = { .weight = weight8, .tile = tile };
    p.in_channels = (uint16_t)ONE_OF(32, 64, 4 * between(1, 20), between(1, 40));
    p.out_channels = (uint16_t)ONE_OF(2 * between(1, 20), between(1, 20));
    uint32_t pixels = (uint32_t)between(1, 10);
    bool skip = next() % 2 != 0, wide = next() % 8 == 0,
         many = wide && next() % 2 != 0; // more inputs than are summed at once
    if (many) {
        p.in_channels = (uint16_t)between(490, 1050);
        p.out_channels = (uint16_t)between(1, 8);
        pixels = (uint32_t)between(1, 5);
    }
    p.stride = (uint8_t)between(1, 2);
    p.in_pitch = (uint16_t)(!many && next() % 2 != 0 ? pitch_of((pixels + 3) * p.stride) : 0);
    p.out_pitch = (uint16_t)(!skip && next() % 2 != 0 ? pitch_of(pixels) : 0);
    fill8(in8[0], VALUES);
    fill8(skip8, pixels * p.out_channels);
    fill_dense(p.in_channels, p.out_channels);
    fill_requantize(&p.requantize, p.out_channels);
    if (wide) {
        fill_wide(&p.requantize, p.out_channels);
    }
    fill_tile();
    p.residual = skip ? residual : NULL;
    if (!skip && !wide && next() % 2 != 0) {
        fill_way(&p.requantize, p.out_channels);
    }
    bool once = !p.requantize.fine && p.requantize.exponent == NULL;
    p.requantize.shift = (uint8_t)(skip || wide || !once || next() % 4 != 0 ? 0 : between(1, 5)); // of sums below 2^25
    start_case();
    rnnp_kernel_pointwise(&p, in8[0], skip ? skip8 : NULL, pixels, (int8_t *)fast);
    rnnp_kernel_pointwise_c(&p, in8[0], skip ? skip8 : NULL, pixels, (int8_t *)plain);
    end_case("pointwise", p.in_channels, p.out_channels, pixels);
}

static void check_depthwise(void) {
    rnnp_depthwise_t d = { .weight = weight8, .stride = (uint8_t)between(1, 2) };
    d.channels = (uint16_t)between(1, 16);
    uint32_t width = (uint32_t)between(1, 20);
    d.pitch = (uint16_t)pitch_of(width * d.stride + 5);
    for (uint32_t i = 0; i < 3; i++) {
        fill8(in8[i], (uint32_t)d.channels * d.pitch);
    }
    memset(weight8, 0, sizeof(weight8));
    for (uint32_t i = 0; i < 9u * d.channels; i++) {
        put_weight(i / 3 * 4 + i % 3);
    }
    fill_requantize(&d.requantize, d.channels);
    start_case();
    memcpy(fast, in8[0], (uint32_t)d.channels * d.pitch);
    memcpy(plain, in8[0], (uint32_t)d.channels * d.pitch);
    int8_t *rows[3] = { (int8_t *)fast, in8[1], in8[2] };
    rnnp_kernel_depthwise(&d, rows, width);
    rows[0] = (int8_t *)plain;
    rnnp_kernel_depthwise_c(&d, rows, width);
    for (uint32_t i = 0; i < (uint32_t)d.channels * d.pitch; i++) { // all but the outputs may be anything
        uint32_t column = i % d.pitch;
        if (column % d.stride != 0 || column / d.stride >= width) {
            fast[i] = plain[i] = 0;
        }
    }
    end_case("depthwise", d.channels, d.stride, width);
}

static void check_filter(void) {
    rnnp_filter_t f = { .weight = weight8, .channels = (uint32_t)between(1, 20), .taps = (uint32_t)between(1, 25) };
    uint32_t taps[25];
    for (uint32_t t = 0; t < f.taps; t++) {
        taps[t] = next() % (VALUES - 20);
    }
    fill8(in8[0], VALUES);
    for (uint32_t i = 0; i < f.taps * f.channels; i++) {
        put_weight(i);
    }
    fill_requantize(&f.requantize, f.channels);
    fill_way(&f.requantize, f.channels);
    bool once = !f.requantize.fine && f.requantize.exponent == NULL;
    f.requantize.shift = (uint8_t)(!once || next() % 2 != 0 ? 0 : between(1, 8)); // of sums below 2^20
    start_case();
    rnnp_kernel_filter(&f, in8[0], taps, (int8_t *)fast);
    rnnp_kernel_filter_c(&f, in8[0], taps, (int8_t *)plain);
    end_case("filter", f.channels, f.taps, f.requantize.shift);
}

// A row against the kernel of a pixel.
static void check_filter3x3(void) {
    rnnp_filter3x3_t f = {
        .weight = weight8, .channels = (uint16_t)(4 * between(1, 7)), .stride = (uint8_t)between(1, 2)
    };
    uint32_t right = next() % 2, channels = f.channels, taps[9];
    f.left = (uint8_t)(next() % 2);
    do {
        f.in_width = (uint16_t)between(2, 14);
    } while (f.in_width + f.left + right < 3);
    f.out_width = (uint16_t)((f.in_width + f.left + right - 3) / f.stride + 1);
    f.pad = (int8_t)between(-128, 127);
    const int8_t *rows[3];
    int8_t pixel[4 * 7];
    uint32_t inside = (uint32_t)ONE_OF(7, 7, 6, 3, 2);
    for (uint32_t y = 0; y < 3; y++) {
        fill8(in8[y], f.in_width * channels);
        rows[y] = inside >> y & 1 ? in8[y] : NULL;
    }
    for (uint32_t i = 0; i < 9 * channels; i++) {
        put_weight(i);
    }
    fill_requantize(&f.requantize, channels);
    do {
        fill_way(&f.requantize, channels);
    } while (f.requantize.exponent != NULL);
    bool large = !f.requantize.fine && next() % 8 == 0; // biases for which there is no row at once
    bias[0] = large ? ONE_OF(-100000000, 9000000) : bias[0];
    memset(pixel, f.pad, sizeof(pixel));
    start_case();
    if (rnnp_kernel_filter3x3(&f, rows, (int8_t *)fast) == large) {
        failures++;
        print("filter3x3 takes or refuses the wrong biases\n");
    }
    if (large) {
        return;
    }
    const rnnp_filter_t plain_filter = { f.weight, channels, 9, f.requantize };
    for (uint32_t x = 0; x < f.out_width; x++) {
        for (uint32_t t = 0; t < 9; t++) {
            uint32_t column = x * f.stride + t % 3 - f.left;
            bool there = rows[t / 3] != NULL && column < f.in_width;
            taps[t] = (uint32_t)((there ? rows[t / 3] + column * channels : pixel) - in8[0]);
        }
        rnnp_kernel_filter_c(&plain_filter, in8[0], taps, (int8_t *)plain + x * channels);
    }
    end_case("filter3x3", f.in_width, f.stride, f.out_width);
}

static void check_conv(bool head) {
    rnnp_conv_t c = { .weight = weight8, .tile = tile };
    bool usual = next() % 4 != 0; // else any window and padding
    c.kernel_h = (uint8_t)(usual ? ONE_OF(1, 3) : between(1, MOST_ROWS));
    c.kernel_w = (uint8_t)(usual ? c.kernel_h : between(1, 10));
    c.left = (uint8_t)(usual ? (c.kernel_w - 1) / 2 : between(0, c.kernel_w - 1));
    c.stride = (uint8_t)(usual ? head ? 1 : between(1, 2) : between(1, 4));
    c.in_channels = (uint16_t)(usual && head ? ONE_OF(4 * between(1, 10), between(1, 20))
            : usual                          ? ONE_OF(1, 1, 3, 3, 4, between(1, 16))
                                             : between(1, 4));
    c.out_channels = (uint16_t)(head ? ONE_OF(5 * between(1, 3), between(1, 40)) : ONE_OF(4, 4, 8, 12, between(1, 8)));
    c.in_width = (uint16_t)between(1, 20);
    c.out_width = (uint16_t)((c.in_width - 1) / c.stride + 1);
    c.pad = (int8_t)between(-128, 127);
    const int8_t *rows[MOST_ROWS];
    // Above and below may be rows of padding, but not in the middle.
    uint32_t above = next() % 4 == 0 ? next() % c.kernel_h : 0;
    uint32_t below = next() % 4 == 0 ? next() % (c.kernel_h - above) : 0;
    bool aligned = next() % 4 != 0;
    for (uint32_t i = 0; i < c.kernel_h; i++) {
        int8_t *row = in8[0] + i * (sizeof(in8) / MOST_ROWS / 4 * 4 - (aligned ? 0 : 1));
        fill8(row, (uint32_t)c.in_width * c.in_channels);
        rows[i] = i < above || i >= c.kernel_h - below ? NULL : row;
    }
    fill_dense((uint32_t)c.kernel_h * c.kernel_w * c.in_channels, c.out_channels);
    fill_requantize(&c.requantize, c.out_channels);
    if (!head && next() % 2 != 0) {
        fill_way(&c.requantize, c.out_channels);
    }
    bool once = !c.requantize.fine && c.requantize.exponent == NULL;
    c.requantize.shift = (uint8_t)(head || !once || next() % 2 != 0 ? 0 : between(1, 5)); // of sums below 2^25
    if (once && c.requantize.shift == 0 && next() % 8 == 0) {
        fill_wide(&c.requantize, c.out_channels);
    }
    fill_tile();
    start_case();
    if (head) {
        rnnp_kernel_head(&c, rows, (int16_t *)fast);
        rnnp_kernel_head_c(&c, rows, (int16_t *)plain);
    } else {
        rnnp_kernel_conv(&c, rows, (int8_t *)fast);
        rnnp_kernel_conv_c(&c, rows, (int8_t *)plain);
    }
    end_case(head ? "head" : "conv", c.in_channels, c.in_width, c.out_channels);
}

// Weights whose rows' sums of products with inputs up to `most` stay below 2^31, as the loader checks.
static void fill_matrix(int16_t *to, uint32_t rows, uint32_t columns, uint32_t most) {
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t left = (uint32_t)INT32_MAX / most;
        for (uint32_t k = 0; k < columns; k++) {
            int32_t limit = (int32_t)(left < 32767 ? left : 32767);
            int32_t value = next() % 4 == 0 ? ONE_OF(-limit, limit)
                                            : between(-limit, limit) / (int32_t)(1 + next() % 8);
            to[i * columns + k] = (int16_t)value;
            left -= (uint32_t)(value < 0 ? -value : value);
        }
    }
}

static uint32_t packed[RNNP_CELL_WORDS(16, 80) + 1], table[RNNP_CELL_TABLE_WORDS + 1];

static void fill_cell(rnnp_cell_t *c, uint32_t most) {
    *c = (rnnp_cell_t){ .w = w16, .u = u16, .bz = bz, .bh = bh, .packed = packed };
    c->inputs = (uint16_t)ONE_OF(4, 4, 8, 16, between(1, 20), 4 * between(1, 20));
    c->hidden = (uint16_t)ONE_OF(16, 16, 16, 8, 8, 4, between(1, 20), 4 * between(1, 20));
    c->shift_w = (uint8_t)ONE_OF(16, 7, between(0, 24));
    c->shift_u = (uint8_t)ONE_OF(16, 16, 15, 14, between(0, 24));
    c->zeta = (uint16_t)ONE_OF(32768, 32768, 32767, 0, between(0, 32768));
    c->nu = (uint16_t)ONE_OF(0, 0, 32767, between(0, 32767));
    c->smooth = next() % 4 == 0;
    fill16(bz, c->hidden, ONE_OF(32767, 9000));
    fill16(bh, c->hidden, ONE_OF(32767, 2000));
    fill_matrix(w16, c->hidden, c->inputs, most);
    fill_matrix(u16, c->hidden, c->hidden, 32768);
    bool small = next() % 2 != 0; // the first row of each two: half as large
    for (uint32_t i = 0; small && i < (uint32_t)c->hidden * c->hidden; i++) {
        u16[i] = (int16_t)(i / c->hidden % 2 == 0 ? u16[i] / 2 : u16[i]);
    }
    uint32_t words = RNNP_CELL_WORDS(c->inputs, c->hidden);
    packed[words] = 0x5A5A5A5A;
    rnnp_kernel_cell_pack(c);
    failures += packed[words] != 0x5A5A5A5A;
    if (c->smooth) {
        c->table = table;
        table[RNNP_CELL_TABLE_WORDS] = 0x5A5A5A5A;
        rnnp_kernel_cell_table(table);
        failures += table[RNNP_CELL_TABLE_WORDS] != 0x5A5A5A5A;
    }
}

// Makes lanes from `count` on equal in both outputs of some tiles: there anything is right.
static void forget_lanes(uint32_t tiles, uint32_t elements, uint32_t count, uint32_t pitch) {
    uint32_t pairs = (elements + 1) / 2;
    for (uint32_t i = 0; i < tiles * pairs; i++) {
        for (uint32_t lane = count; lane < RNNP_LANES; lane++) {
            memset(fast + (i * pitch + lane) * 4, 0, 4);
            memset(plain + (i * pitch + lane) * 4, 0, 4);
        }
        if (elements % 2 != 0 && i % pairs == elements / 2) { // the unused half of the last pair
            for (uint32_t lane = 0; lane < count; lane++) {
                memset(fast + (i * pitch + lane) * 4 + 2, 0, 2);
                memset(plain + (i * pitch + lane) * 4 + 2, 0, 2);
            }
        }
    }
}

static void check_cell_input8(void) {
    rnnp_cell_t c;
    uint32_t count = (uint32_t)between(1, RNNP_LANES);
    fill_cell(&c, 255);
    uint32_t step = c.inputs * (uint32_t)between(1, 3), pitch = RNNP_LANES + (uint32_t)between(0, 3);
    int8_t zero_point = (int8_t)between(-128, 127);
    uint32_t tiles = (uint32_t)between(1, 3), pairs = (c.hidden + 1u) / 2u;
    const int8_t *x[3] = { in8[0], in8[1] + 4, in8[0] + 8 };
    fill8(in8[0], step * RNNP_LANES + 8);
    fill8(in8[1], step * RNNP_LANES + 8);
    start_case();
    rnnp_kernel_cell_input8(&c, x, tiles, step, count, zero_point, (int16_t *)fast, pairs * pitch * 2, pitch);
    rnnp_kernel_cell_input8_c(&c, x, tiles, step, count, zero_point, (int16_t *)plain, pairs * pitch * 2, pitch);
    forget_lanes(tiles, c.hidden, count, pitch);
    end_case("cell_input8", c.inputs, c.hidden, count);
}

static void check_cell_store(void) {
    uint32_t elements = (uint32_t)ONE_OF(4, 8, 16, between(1, 20)), count = (uint32_t)between(1, RNNP_LANES);
    uint32_t step = elements * (uint32_t)between(1, 3);
    fill16(vectors, RNNP_TILE_VALUES(elements), 32767);
    start_case();
    rnnp_kernel_cell_store(vectors, elements, count, (int8_t *)fast, step);
    rnnp_kernel_cell_store_c(vectors, elements, count, (int8_t *)plain, step);
    end_case("cell_store", elements, count, step);
    start_case();
    memcpy(fast, vectors, RNNP_TILE_VALUES(elements) * sizeof(*vectors));
    rnnp_kernel_cell_round((int16_t *)fast, RNNP_TILE_VALUES(elements));
    for (uint32_t i = 0; i < RNNP_TILE_VALUES(elements); i++) {
        int16_t value = (int16_t)(rnnp_sat8((vectors[i] + 128) >> 8) * 256);
        memcpy(plain + 2 * i, &value, sizeof(value));
    }
    end_case("cell_round", elements, count, step);
}

static void check_cell_input(void) {
    rnnp_cell_t c;
    fill_cell(&c, 32768);
    uint32_t count = (uint32_t)between(1, RNNP_LANES), pitch = RNNP_LANES + (uint32_t)between(0, 3);
    fill16(vectors, RNNP_TILE_VALUES(c.inputs), 32767);
    start_case();
    rnnp_kernel_cell_input(&c, vectors, count, (int16_t *)fast, pitch);
    rnnp_kernel_cell_input_c(&c, vectors, count, (int16_t *)plain, pitch);
    forget_lanes(1, c.hidden, count, pitch);
    end_case("cell_input", c.inputs, c.hidden, count);
}

static void check_cell_sweep(void) {
    rnnp_cell_t c;
    fill_cell(&c, 32768);
    uint32_t count = (uint32_t)between(1, RNNP_LANES), steps = (uint32_t)between(1, 6);
    uint32_t pitch = RNNP_LANES + (uint32_t)between(0, 3), values = (c.hidden + 1u) / 2u * pitch * 2u;
    fill16(vectors, steps * values + 2 * RNNP_LANES, ONE_OF(32767, 12000, 3000));
    const int16_t *wx[RNNP_MAX_PATCH];
    for (uint32_t t = 0; t < steps; t++) {
        wx[t] = vectors + (next() % 2 != 0 ? t : steps - 1 - t) * values + 2 * (next() % 2);
    }
    bool tiles = next() % 2 != 0, resume = next() % 2 != 0;
    uint32_t elements = (c.hidden + 1u) / 2u * 2u * (tiles ? steps : 1);
    start_case();
    fill16((int16_t *)fast, RNNP_TILE_VALUES(elements), 32767);
    memcpy(plain, fast, RNNP_TILE_VALUES(elements) * sizeof(int16_t));
    rnnp_kernel_cell_sweep(&c, wx, steps, pitch, count, (int16_t *)fast, tiles, resume);
    rnnp_kernel_cell_sweep_c(&c, wx, steps, pitch, count, (int16_t *)plain, tiles, resume);
    forget_lanes(1, elements, count, RNNP_LANES);
    end_case("cell_sweep", c.hidden, steps, count);
}

int main(void) {
    for (uint32_t i = 0; i < CASES; i++) {
        check_pointwise();
        check_filter();
        check_filter3x3();
        check_depthwise();
        check_conv(false);
        check_conv(true);
        check_cell_input8();
        check_cell_store();
        check_cell_input();
        check_cell_sweep();
    }
    print("cases ");
    print_number(10 * CASES);
    print(", failures ");
    print_number(failures);
    print("\n");
    return failures != 0;
}
