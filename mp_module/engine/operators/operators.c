// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The table of operators. Those of kinds that are left out (left_out.h) have no entry.
#include "operator.h"

#include "../left_out.h"
#include "../numeric.h"

// In the order of their kinds.
#define OPERATORS(X)                                 \
    X(CONV, rnnp_conv)                               \
    X(RNNPOOL, rnnp_rnnpool)                         \
    X(INVERTED_RESIDUAL, rnnp_inverted_residual)     \
    X(DETECT_HEAD, rnnp_detect_head)                 \
    X(GLOBAL_AVERAGE_POOL, rnnp_global_average_pool) \
    X(DENSE, rnnp_dense)                             \
    X(DEPTHWISE, rnnp_depthwise)                     \
    X(POOL, rnnp_pool)                               \
    X(ADD, rnnp_add)                                 \
    X(CONCAT, rnnp_concat)                           \
    X(LOOKUP, rnnp_lookup)                           \
    X(MUL, rnnp_mul)                                 \
    X(UPSAMPLE, rnnp_upsample)                       \
    X(L2_NORM, rnnp_l2_norm)

#define DECLARE(kind, operator) extern const rnnp_operator_t operator;
OPERATORS(DECLARE)

#define NAME(kind, operator) #kind "\0"
static const char names[] = OPERATORS(NAME); // one behind the other

#define ENTRY(kind, operator) RNNP_WITH_##kind ? &operator : NULL,
static const rnnp_operator_t *const operators[] = { OPERATORS(ENTRY) };

#define COUNT (sizeof(operators) / sizeof(operators[0]))

const rnnp_operator_t *rnnp_operator(const rnnp_op_t *op) {
    return operators[op->kind - 1];
}

const char *rnnp_kind_name(rnnp_kind_t kind) {
    const char *name = names;
    for (uint32_t i = 1; i < kind; i++) {
        while (*name++ != 0) {
        }
    }
    return name;
}

const rnnp_operator_t *rnnp_operator_find(const rnnp_check_t *check, uint32_t kind) {
    if (kind < 1 || kind > COUNT) {
        rnnp_report(check, RNNP_ERROR_UNSUPPORTED, "kind", COUNT, kind);
        return NULL;
    }
    if (operators[kind - 1] == NULL) {
        rnnp_left_out(check, rnnp_kind_name((rnnp_kind_t)kind));
    }
    return operators[kind - 1];
}

uint32_t rnnp_op_row_bytes(const rnnp_op_t *op) {
    uint32_t values = (uint32_t)op->out_width * op->out_channels;
    return rnnp_operator(op)->task != 0 ? values * (uint32_t)sizeof(int16_t) : values;
}

// ---- What operators share ----

void rnnp_layout_add(rnnp_layout_t *layout, uint32_t size) {
    uint32_t offset = rnnp_align(layout->size, RNNP_SECTION_ALIGNMENT);
    layout->offset[layout->count++] = offset;
    layout->size = offset + size;
}

void rnnp_layout_add_dense(rnnp_layout_t *layout, uint32_t outputs, uint32_t inputs) {
    rnnp_layout_add(layout, rnnp_weight_index(inputs, rnnp_align(outputs, 4)));
    rnnp_layout_add(layout, 4 * outputs);
    rnnp_layout_add(layout, 4 * outputs);
}

bool rnnp_check_output(const rnnp_check_t *check, const rnnp_op_t *op, uint32_t height, uint32_t width) {
    rnnp_check_equal(check, "out_height", op->out_height, (int32_t)height);
    return rnnp_check_equal(check, "out_width", op->out_width, (int32_t)width);
}

// A dense layer or a depthwise 3x3 convolution, as SPEC.md lays it out.
typedef struct {
    const rnnp_check_t *check;
    const char *what; // its weights
    const int8_t *weight;
    const int32_t *bias, *multiplier, *residual;
    const rnnp_rounding_t *rounding;
    uint32_t inputs, outputs; // depthwise: the gaps in a channel's record are inputs, too
    bool depthwise;
    bool narrow; // sums are below NARROW
} layer_t;

#define NARROW (1u << 23) // what sums of dense layers are below without the flag WIDE

static int32_t weight_at(const layer_t *l, uint32_t o, uint32_t i) {
    return l->depthwise ? l->weight[o * RNNP_DEPTHWISE_RECORD + i] : rnnp_weight(l->weight, l->inputs, o, i);
}

// Sum of the magnitudes of an output's weights.
static uint32_t sum_weights(const layer_t *l, uint32_t o) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < l->inputs; i++) {
        sum += rnnp_magnitude(weight_at(l, o, i));
    }
    return sum;
}

// A weight that stands for nothing is 0.
static bool check_gap(const layer_t *l, uint32_t o, uint32_t i) {
    int32_t weight = weight_at(l, o, i);
    return weight == 0 || rnnp_bad(l->check, l->what, 0, (uint32_t)weight);
}

// The fourth of each row of a window.
static bool check_depthwise_gaps(const layer_t *l) {
    for (uint32_t i = 3; i < l->outputs * RNNP_DEPTHWISE_RECORD; i += 4) {
        if (!check_gap(l, 0, i)) {
            return false;
        }
    }
    return true;
}

// Those of inputs and outputs beyond the last ones. The others are -127..127.
static bool check_dense_weights(const layer_t *l) {
    uint32_t outputs = rnnp_align(l->outputs, 4);
    for (uint32_t o = 0; o < outputs; o += 4) {
        for (uint32_t i = l->inputs; i < rnnp_align(l->inputs, RNNP_WEIGHT_BLOCK); i++) {
            const uint16_t *twos = (const void *)rnnp_weight_at(l->weight, l->inputs, o, i); // and two behind it
            if ((twos[0] | twos[2]) != 0) {
                return rnnp_bad(l->check, l->what, 0, twos[0] | (uint32_t)twos[2]);
            }
        }
    }
    for (uint32_t o = l->outputs; o < outputs; o++) {
        for (uint32_t i = 0; i < l->inputs; i++) {
            if (!check_gap(l, o, i)) {
                return false;
            }
        }
    }
    uint32_t found = 0;
    // With 128 added an int16 has the second weight in its upper byte, and the first one's, plus 128, in the lower one.
    const uint32_t *words = (const void *)l->weight;
    for (uint32_t i = rnnp_weight_index(l->inputs, outputs) / 4; i > 0; i--) {
        uint32_t word = *words++;
        uint32_t bytes = ((word & 0x7fff7fff) + 0x00800080) ^ (~word & 0x80008000); // 0: a weight of -128 or 128
        found |= (bytes - 0x01010101) & ~bytes;
    }
    return (found & 0x80808080) == 0 || rnnp_bad(l->check, l->what, 127, 128);
}

bool rnnp_check_rounding(const rnnp_check_t *check, const rnnp_op_t *op) {
    bool fine = rnnp_is_fine(op), twice = rnnp_as_tflite(op);
    if (fine && twice) {
        rnnp_bad(check, "flags", op->flags & ~(uint32_t)RNNP_FLAG_FINE, op->flags);
    }
    if (!RNNP_WITH_SHIFT && op->shift != 0) {
        rnnp_left_out(check, "SHIFT");
    }
    if (fine || twice) {
        rnnp_check_equal(check, "shift", op->shift, 0);
    }
    return rnnp_is_well(check);
}

bool rnnp_check_exponents(const rnnp_check_t *check, const int8_t *exponent, uint32_t count, int32_t most) {
    for (uint32_t i = 0; i < count; i++) {
        rnnp_check_range(check, "exponent", exponent[i], RNNP_MIN_EXPONENT, most);
    }
    return rnnp_is_well(check);
}

// v * 2^bits, or the largest number if that is larger.
static uint32_t shifted(uint32_t v, uint32_t bits) {
    return v > UINT32_MAX >> bits ? UINT32_MAX : v << bits;
}

// The largest magnitude that the sum of output o can have, of weights whose magnitudes sum up to `weights` (2^23 at most), or
// the largest number.
static uint32_t largest_sum(const rnnp_rounding_t *rounding, uint32_t o, uint32_t weights, uint32_t bias) {
    uint32_t products = weights * 128;
    if (RNNP_WITH_FINE && rounding->fine) {
        products = shifted(products, RNNP_FINE_BITS);
    }
    uint32_t sum = products + rnnp_min_u32(bias, ~products);
    if (RNNP_WITH_TFLITE && rounding->exponent != NULL) {
        return shifted(sum, 1u + (uint32_t)rnnp_clamp(rounding->exponent[o], 0, RNNP_MAX_EXPONENT));
    }
    return RNNP_WITH_SHIFT ? shifted(sum, rounding->shift) : sum;
}

bool rnnp_check_sum(const rnnp_check_t *check, const char *what, uint32_t weights, uint32_t bias,
    const rnnp_rounding_t *rounding, uint32_t o) {
    uint32_t sum = largest_sum(rounding, o, weights, bias);
    return sum <= INT32_MAX || rnnp_bad(check, what, INT32_MAX, sum);
}

// The sums of docs/arithmetic.md, section 2. Weights are added up only where the largest that there could be would not fit.
static bool check_layer(const layer_t *l) {
    for (uint32_t o = 0; o < l->outputs; o++) {
        uint32_t other = rnnp_magnitude(l->bias[o]); // what is not of weights
        if (l->multiplier[o] < 0) {
            return rnnp_bad(l->check, "multiplier", INT32_MAX, (uint32_t)l->multiplier[o]);
        }
        if (l->residual != NULL) {
            if (rnnp_magnitude(l->residual[o]) > 32767) {
                return rnnp_bad(l->check, "residual", 32767, (uint32_t)l->residual[o]);
            }
            other += rnnp_magnitude(l->residual[o]) * 128; // below 2^31 + 2^22
        }
        if (largest_sum(l->rounding, o, l->inputs * 128, other) < (l->narrow ? NARROW : 1u << 31)) {
            continue;
        }
        uint32_t weights = sum_weights(l, o);
        if (!rnnp_check_sum(l->check, l->what, weights, other, l->rounding, o)) {
            return false;
        }
        if (l->narrow && weights * 128 + other >= NARROW) {
            return rnnp_bad(l->check, l->what, NARROW - 1, weights * 128 + other);
        }
    }
    return l->depthwise ? check_depthwise_gaps(l) : check_dense_weights(l);
}

bool rnnp_check_dense(const rnnp_check_t *check, const rnnp_op_t *op, const char *what, const void *const *arrays,
    uint32_t outputs, uint32_t inputs, const void *residual, const rnnp_rounding_t *rounding) {
    bool fours = outputs % 4 == 0 || rnnp_operator(op)->task != 0;
    if (!RNNP_WITH_ANY_DENSE && (!fours || (op->flags & RNNP_FLAG_WIDE) != 0)) {
        return rnnp_left_out(check, "ANY_DENSE");
    }
    bool narrow = !rnnp_is_wide(op) && !(RNNP_WITH_FINE && rounding->fine);
    return check_layer(
        &(layer_t){ check, what, arrays[0], arrays[1], arrays[2], residual, rounding, inputs, outputs, false, narrow });
}

bool rnnp_check_depthwise(const rnnp_check_t *check, const char *what, const void *const *arrays, uint32_t channels) {
    return check_layer(&(layer_t){ check, what, arrays[0], arrays[1], arrays[2], NULL, &(rnnp_rounding_t){ 0 },
        RNNP_DEPTHWISE_RECORD, channels, true, false });
}

const int8_t *rnnp_input_row(const rnnp_step_t *s, uint32_t input, uint32_t y) {
    return rnnp_ring_row(s->context, &s->context->nodes[s->op->inputs[input]], y);
}
