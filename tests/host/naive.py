"""docs/arithmetic.md once more, one number at a time in Python's own integers: slow and plainly right.

The tests of the reference hold the vectorised numpy against this. Maps are nested indexing of numpy arrays, every value
is made an int before anything is computed, so nothing can wrap.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnpool_training.blob import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    L2Norm,
    Lookup,
    Mul,
    Pool,
    RNNPool,
    Upsample,
)
from rnnpool_training.reference.rnnpool import Cell
from rnnpool_training.reference.tables import EXP2, SIGMOID

Map = NDArray[Any]


def clamp(v: int, low: int, high: int) -> int:
    return max(low, min(high, v))


def sat16(v: int) -> int:
    return clamp(v, -32768, 32767)


def int32(v: int) -> int:
    """v, which the overflow rules promise to fit 32 bits."""
    assert -(2**31) <= v < 2**31, v
    return v


def at(x: Map, row: int, column: int, channel: int, outside: int) -> int:
    inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
    return int(x[row, column, channel]) if inside else outside


def accumulators(
    x: Map,
    weight: Map,
    bias: Map | list[int],
    pad: int,
    strides: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Map:
    """int [out_h, out_w, o] of a convolution with weight [o, kh, kw, c]. padding: top, left, bottom, right."""
    out, rows, columns, channels = weight.shape
    top, left, bottom, right = padding
    height = (x.shape[0] + top + bottom - rows) // strides[0] + 1
    width = (x.shape[1] + left + right - columns) // strides[1] + 1
    acc = np.zeros((height, width, out), np.int64)
    for oy in range(height):
        for ox in range(width):
            for o in range(out):
                total = int(bias[o])
                for ky in range(rows):
                    for kx in range(columns):
                        for c in range(channels):
                            value = at(x, oy * strides[0] - top + ky, ox * strides[1] - left + kx, c, pad)
                            total = int32(total + int(weight[o, ky, kx, c]) * value)
                acc[oy, ox, o] = total
    return acc


def tflite_rounded(v: int, multiplier: int, exponent: int) -> int:
    """MultiplyByQuantizedMultiplier of TensorFlow Lite's reference kernels, from its two steps, as C computes them."""
    product = int32(2 * int32(v * 2 ** max(exponent, 0))) // 2 * multiplier  # int32: this engine's rule
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)  # towards 0
    mask = 2 ** max(-exponent, 0) - 1
    return (high >> max(-exponent, 0)) + ((high & mask) > (mask >> 1) + (high < 0))


def rounded(op: Conv | Depthwise, sums: Map, channels: list[int]) -> Map:
    """int8 of sums without biases; channels: the last axis's."""
    out = np.zeros(sums.shape, np.int8)
    for index in np.ndindex(sums.shape):
        o = channels[index[-1]]
        total, bias, multiplier = int(sums[index]), int(op.bias[o]), int(op.multiplier[o])
        if op.fine:
            y = (int32(total * 256 + bias) * multiplier + 2**39) >> 40
        elif op.exponent is not None:
            y = tflite_rounded(int32(total + bias), multiplier, int(op.exponent[o]))
        else:
            y = (int32(int32(total + bias) * 2**op.shift) * multiplier + 2**31) >> 32
        out[index] = clamp(op.out_zero_point + y, op.act_min, op.act_max)
    return out


def requantized(acc: Map, multiplier: Map, zero_point: int, low: int, high: int, shift: int = 0) -> Map:
    out = np.zeros(acc.shape, np.int8)
    for index in np.ndindex(acc.shape):
        shifted = int32(int(acc[index]) * 2**shift)
        scaled = (shifted * int(multiplier[index[-1]]) + 2**31) >> 32
        out[index] = clamp(zero_point + scaled, low, high)
    return out


def conv(op: Conv, x: Map, pad: int) -> Map:
    sums = accumulators(x, op.weight, np.zeros_like(op.bias), pad, op.strides, op.pads)
    return rounded(op, sums, list(range(len(op.bias))))


def head(op: DetectHead, x: Map, pad: int) -> Map:
    acc = accumulators(x, op.weight, op.bias, pad, op.strides, op.pads)
    out = np.zeros(acc.shape, np.int16)
    for index in np.ndindex(acc.shape):
        out[index] = sat16((int(acc[index]) * int(op.multiplier[index[-1]]) + 2**23) >> 24)
    return out


def inverted_residual(op: InvertedResidual, x: Map, pad: int) -> Map:
    expand = accumulators(x, op.expand_weight[:, None, None, :], op.expand_bias, pad)
    e = requantized(expand, op.expand_multiplier, op.exp_zero_point, op.exp_min, op.exp_max)
    channels = []
    for c in range(e.shape[2]):  # a depthwise convolution is one convolution a channel
        weight = op.depthwise_weight[None, :, :, c, None]
        strides = (op.stride, op.stride)
        acc = accumulators(e[:, :, [c]], weight, op.depthwise_bias[[c]], op.exp_zero_point, strides, (1, 1, 1, 1))
        multiplier = op.depthwise_multiplier[[c]]
        channels.append(requantized(acc, multiplier, op.dw_zero_point, op.dw_min, op.dw_max))
    d = np.concatenate(channels, 2)
    acc = accumulators(d, op.project_weight[:, None, None, :], op.project_bias, 0)
    if op.residual is not None:
        for index in np.ndindex(acc.shape):
            acc[index] = int32(int(acc[index]) + int(op.residual[index[-1]]) * int(x[index]))
    return requantized(acc, op.project_multiplier, op.out_zero_point, op.act_min, op.act_max)


def depthwise(op: Depthwise, x: Map, pad: int) -> Map:
    if op.projection is not None:
        return conv(op.projection, depthwise(op.filter, x, pad), op.filter_zero_point)
    channels = []
    for c in range(x.shape[2]):  # one convolution a channel
        weight = op.filter_weight[None, :, :, c, None]
        channels.append(rounded(op, accumulators(x[:, :, [c]], weight, [0], pad, op.strides, op.pads), [c]))
    return np.concatenate(channels, 2)


def pool(op: Pool, x: Map, zero_point: int) -> Map:
    out = np.zeros(op.out_shape(x.shape), np.int8)
    top, left, _, _ = op.pads
    for oy, ox, c in np.ndindex(out.shape):
        values = []
        for ky in range(op.size[0]):
            for kx in range(op.size[1]):
                y, x_ = oy * op.strides[0] - top + ky, ox * op.strides[1] - left + kx
                if 0 <= y < x.shape[0] and 0 <= x_ < x.shape[1]:
                    values.append(int(x[y, x_, c]))
        mean = abs(sum(values)) / len(values)
        rounded = int(mean) + (mean - int(mean) >= 0.5)  # exact: the counts are small
        value = (rounded if sum(values) >= 0 else -rounded) if op.mean else max(values)
        out[oy, ox, c] = clamp(value, op.act_min, op.act_max)
    return out


def sums(op: Add | Concat, maps: list[Map], zero_points: list[int]) -> Map:
    """Of a concatenation the maps are those of one place each; here all values, each place's by itself."""
    assert op.weights is not None
    out = np.zeros(maps[0].shape, np.int8)
    for index in np.ndindex(out.shape):
        total = 0
        for x, zero_point, weight in zip(maps, zero_points, op.weights, strict=True):
            total = int32(total + int32((int(x[index]) - zero_point) * int(weight)))
        bits = 20 - op.shift
        out[index] = clamp(op.out_zero_point + ((total + (1 << (bits - 1))) >> bits), op.act_min, op.act_max)
    return out


def add(op: Add, x: Map, zero_point: int, other: tuple[Map, int]) -> Map:
    if op.multiplier is not None and op.exponent is not None:
        numbers = [(int(m), int(e)) for m, e in zip(op.multiplier, op.exponent, strict=True)]
        out = np.zeros(x.shape, np.int8)
        for index in np.ndindex(out.shape):
            one = tflite_rounded((int(x[index]) - zero_point) * 2**20, *numbers[0])
            two = tflite_rounded((int(other[0][index]) - other[1]) * 2**20, *numbers[1])
            y = op.out_zero_point + tflite_rounded(int32(one + two), *numbers[2])
            out[index] = clamp(y, op.act_min, op.act_max)
        return out
    return sums(op, [x, other[0]], [zero_point, other[1]])


def concat(op: Concat, x: Map, zero_point: int, *others: tuple[Map, int]) -> Map:
    parts = []
    for (v, zero), weight in zip([(x, zero_point), *others], op.weights, strict=True):
        parts.append(sums(replace(op, weights=np.array([weight])), [v], [zero]))
    return np.concatenate(parts, 2)


def mul(op: Mul, x: Map, zero_point: int, vector: tuple[Map, int]) -> Map:
    acc = np.zeros(x.shape, np.int64)
    for y, x_, c in np.ndindex(x.shape):
        acc[y, x_, c] = (int(x[y, x_, c]) - zero_point) * (int(vector[0][0, 0, c]) - vector[1])
    if op.exponent is not None:
        number = (int(op.multiplier[0]), int(op.exponent[0]))
        each = [clamp(op.out_zero_point + tflite_rounded(int(v), *number), op.act_min, op.act_max) for v in acc.flat]
        return np.array(each, np.int8).reshape(acc.shape)
    multipliers = np.repeat(op.multiplier, x.shape[2])
    return requantized(acc, multipliers, op.out_zero_point, op.act_min, op.act_max, op.shift)


def lookup(op: Lookup, x: Map, zero_point: int) -> Map:
    out = np.zeros(x.shape, np.int8)
    for index in np.ndindex(x.shape):
        out[index] = op.table[int(x[index]) + 128]
    return out


def l2_norm(op: L2Norm, x: Map, zero_point: int) -> Map:
    out = np.zeros(x.shape, np.int8)
    for y, x_ in np.ndindex(x.shape[:2]):
        v = [int(value) - zero_point for value in x[y, x_]]
        squares, left = max(sum(value * value for value in v), 1), 0
        assert squares < 2**27
        while squares * 4**left < 2**30:
            left += 1
        length = math.isqrt(squares * 4**left)
        inverse = (2**30 + length // 2) // length
        for c, value in enumerate(v):
            ratio = int32(int32(value * 2**left) * inverse + 2**14) // 2**15
            exact = value / math.sqrt(squares)
            assert abs(ratio / 2**15 - exact) <= abs(exact) / 2**14 + 2**-16
            total = int32(ratio * int(op.scale[c]) + 2 ** (29 - op.shift))
            out[y, x_, c] = clamp(op.out_zero_point + total // 2 ** (30 - op.shift), op.act_min, op.act_max)
    return out


def upsample(op: Upsample, x: Map, zero_point: int) -> Map:
    out = np.zeros(op.out_shape(x.shape), np.int8)
    for y, x_, c in np.ndindex(out.shape):
        out[y, x_, c] = x[y // op.factor, x_ // op.factor, c]
    return out


def global_average_pool(op: GlobalAveragePool, x: Map, zero_point: int) -> Map:
    height, width, channels = x.shape
    out = np.zeros((1, 1, channels), np.int8)
    for c in range(channels):
        total = 0
        for row in range(height):
            for column in range(width):
                total = int32(total + int(x[row, column, c]) - (zero_point if op.multiplier is not None else 0))
        if op.multiplier is None:
            count = height * width
            mean = abs(total) // count + (2 * (abs(total) % count) >= count)
            out[0, 0, c] = clamp(mean if total >= 0 else -mean, op.act_min, op.act_max)
            continue
        y = op.out_zero_point + ((total * int(op.multiplier[0]) + 2**23) >> 24)
        out[0, 0, c] = clamp(y, op.act_min, op.act_max)
    return out


def dense(op: Dense, x: Map, zero_point: int) -> Map:
    out = np.zeros((1, 1, len(op.weight)), np.int16)
    for o, row in enumerate(op.weight.reshape(len(op.weight), -1)):
        total = int(op.bias[o])
        for weight, value in zip(row, x.reshape(-1), strict=True):
            total = int32(total + int(weight) * int(value))
        out[0, 0, o] = sat16((total * int(op.multiplier[o]) + 2**23) >> 24)
    return out


def probabilities(logits: list[int], shift: int = 0) -> list[int]:
    def exponential(logit: int) -> int:
        u = (min((max(logits) - logit) * 2**shift, 65535) * 23637 + 8192) >> 14
        assert u < 2**32
        j, f = -u >> 12, -u & 4095
        k = f >> 7
        low, high = int(EXP2[k]), int(EXP2[k + 1])
        return (low + (((high - low) * (f & 127) + 64) >> 7)) << 2 >> -j

    e = [exponential(logit) for logit in logits]
    assert all((v << 15) + sum(e) // 2 < 2**32 for v in e)
    return [min(((v << 15) + sum(e) // 2) // sum(e), 32767) for v in e]


def sigmoid15(x: int) -> int:
    u = min(abs(x), 32767)
    i, f = u >> 8, u & 255
    s = int(SIGMOID[i]) + (((int(SIGMOID[i + 1]) - int(SIGMOID[i])) * f + 128) >> 8)
    return min(s if x >= 0 else 32768 - s, 32767)


def tanh15(x: int) -> int:
    return clamp(2 * sigmoid15(sat16(2 * x)) - 32768, -32768, 32767)


def exp2_14(t: int) -> int:
    t = clamp(t, -16384, 16384)
    i, f = t >> 12, t & 4095
    k = f >> 7
    m = int(EXP2[k]) + (((int(EXP2[k + 1]) - int(EXP2[k])) * (f & 127) + 64) >> 7)
    return m << i if i >= 0 else m >> -i


def dot(row: Map, v: list[int]) -> int:
    total = 0
    for weight, value in zip(row, v, strict=True):
        total = int32(total + int(weight) * value)
    return total


def step(cell: Cell, v: list[int], h: list[int]) -> list[int]:
    """One step of FastGRNN from state h with input v; no short cut for the initial state."""
    after = []
    for i in range(len(h)):
        wx = sat16(dot(cell.w[i], v) >> cell.shift_w)
        uh = sat16(dot(cell.u[i], h) >> cell.shift_u)
        p = sat16(wx + uh)
        if cell.smooth:
            z = sigmoid15(sat16(p + int(cell.bz[i]))) >> 2
            g = tanh15(sat16(p + int(cell.bh[i]))) >> 2
        else:
            z = clamp((p + int(cell.bz[i])) >> 1, 0, 8191)
            g = clamp(sat16(p + int(cell.bh[i])), -8192, 8191)
        t = (8191 - z) << 2
        zp = min((int32(t * cell.zeta) >> 15) + cell.nu, 32767)
        after.append(sat16(int32(z * h[i] + zp * g) >> 13))
    return after


def sweep(cell: Cell, sequence: list[list[int]]) -> list[int]:
    h = [0] * len(cell.bz)
    for v in sequence:
        h = step(cell, v, h)
    return h


def byte(h: int) -> int:
    return clamp((h + 128) >> 8, -128, 127)


def rnnpool(op: RNNPool, x: Map, zero_point: int) -> Map:
    """Algorithm 1 of the paper, one patch after the other."""
    one = Cell(op.w1, op.u1, op.bz1, op.bh1, op.shift_w1, op.shift_u1, op.zeta1, op.nu1, op.smooth)
    two = Cell(op.w2, op.u2, op.bz2, op.bh2, op.shift_w2, op.shift_u2, op.zeta2, op.nu2, op.smooth)
    n_y = (x.shape[0] - op.patch_height) // op.stride + 1
    n_x = (x.shape[1] - op.patch_width) // op.stride + 1
    out = np.zeros((n_y + op.pad_bottom, n_x + op.pad_right, op.out_channels), np.int8)

    def pixel(y: int, x_: int) -> list[int]:
        return [int(v) - zero_point for v in x[y, x_]]

    for i in range(n_y):
        for j in range(n_x):
            ys = range(i * op.stride, i * op.stride + op.patch_height)
            xs = range(j * op.stride, j * op.stride + op.patch_width)
            rows = [[256 * byte(h) for h in sweep(one, [pixel(y, x_) for x_ in xs])] for y in ys]
            columns = [sweep(one, [pixel(y, x_) for y in ys]) for x_ in xs]
            state = sweep(two, rows) + sweep(two, rows[::-1]) + sweep(two, columns) + sweep(two, columns[::-1])
            out[i, j] = [byte(h) for h in state]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = out[min(i, n_y - 1), min(j, n_x - 1)]
    return out


def resample(values: list[int], size: int) -> list[int]:
    """One line of pixels as `size` pixels."""
    n, m = len(values), size
    if m < n:
        out = []
        for j in range(m):
            # Unit u of the n * m that the line has belongs to source u // m.
            out.append((sum(values[u // m] for u in range(j * n, (j + 1) * n)) + n // 2) // n)
        return out
    if m == n:
        return list(values)
    out = []
    for j in range(m):
        p = clamp((2 * j + 1) * n - m, 0, 2 * m * (n - 1))
        i, f = p // (2 * m), p % (2 * m)
        out.append(((2 * m - f) * values[i] + f * values[min(i + 1, n - 1)] + m) // (2 * m))
    return out


def boxes(heads: list[DetectHead], outputs: list[Map]) -> list[tuple[int, int, list[int]]]:
    """(logit, anchor index times classes plus class, box in Q4) of every anchor, in the order of the index."""
    found = []
    for op, output in zip(heads, outputs, strict=True):
        for iy in range(output.shape[0]):
            for ix in range(output.shape[1]):
                for a, (aw, ah) in enumerate(op.anchors):
                    *logits, dx, dy, tw, th = (int(v) for v in output[iy, ix].reshape(len(op.anchors), -1)[a])
                    logit = max(logits)
                    cx = (2 * ix + 1) * op.step * 8 + ((int(aw) * dx + 2048) >> 12)
                    cy = (2 * iy + 1) * op.step * 8 + ((int(ah) * dy + 2048) >> 12)
                    w = max(1, (int(aw) * exp2_14(tw) + 8192) >> 14)
                    h = max(1, (int(ah) * exp2_14(th) + 8192) >> 14)
                    x1, y1 = cx - (w >> 1), cy - (h >> 1)
                    found.append(
                        (
                            logit,
                            len(found) * op.classes + logits.index(logit),
                            [sat16(x1), sat16(y1), sat16(x1 + w), sat16(y1 + h)],
                        )
                    )
    return found


def kept(
    found: list[tuple[int, int, list[int]]], threshold: int, capacity: int, iou: int, classes: int = 1
) -> list[Any]:
    """Candidates that non-maximum suppression keeps, best first."""
    found = sorted((f for f in found if sigmoid15(f[0]) >= threshold), key=lambda f: (-f[0], f[1]))[:capacity]
    result: list[Any] = []
    for logit, anchor, a in found:
        for _, other, b in result:
            if other % classes != anchor % classes:
                continue
            inter = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
            if inter * 32768 > iou * union:
                break
        else:
            result.append((logit, anchor, a))
    return result


def voted(
    found: list[tuple[int, int, list[int]]], threshold: int, capacity: int, box: list[int], own: int, classes: int
) -> list[int]:
    """A kept box, whose place is `own`, after the vote of all candidates."""
    found = sorted((f for f in found if sigmoid15(f[0]) >= threshold), key=lambda f: (-f[0], f[1]))[:capacity]
    sums, total = [0, 0, 0, 0], 0
    for logit, place, b in found:
        inter = max(0, min(box[2], b[2]) - max(box[0], b[0])) * max(0, min(box[3], b[3]) - max(box[1], b[1]))
        union = (box[2] - box[0]) * (box[3] - box[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
        if place == own or (place % classes == own % classes and 2 * inter > union):
            weight = sigmoid15(logit) // 256 + 1
            total += weight
            sums = [s + weight * edge for s, edge in zip(sums, b, strict=True)]
    return [(s + total // 2) // total for s in sums]
