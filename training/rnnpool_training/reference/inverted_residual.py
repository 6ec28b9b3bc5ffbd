"""Inverted residual (MobileNetV2 block): the residual is one more tap of the projection (section 2)."""

import numpy as np

from ..blob.model import Int8, Int32, InvertedResidual
from .conv import pad, requantize
from .integer import product


def depthwise(x: Int8, weight: Int8, bias: Int32, stride: int, zero_point: int) -> Int32:
    """Accumulators of a depthwise 3x3: int8 [h, w, c], weight [3, 3, c], bias [c] -> int32 [out_h, out_w, c]."""
    padded = pad(x, (1, 1, 1, 1), zero_point).astype(np.int32)
    height, width = (-(-n // stride) for n in x.shape[:2])
    acc = np.tile(bias, (height, width, 1))
    for ky in range(3):
        for kx in range(3):
            acc += weight[ky, kx].astype(np.int32) * padded[ky::stride, kx::stride][:height, :width]
    return acc


def inverted_residual(op: InvertedResidual, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, in] -> int8 [out_h, out_w, out]. zero_point: the input's.

    The expansion is 1x1, so nothing of it is padded: the depthwise pads with the expansion's own zero point.
    """
    acc = op.expand_bias + product(x, op.expand_weight)
    expanded = requantize(acc, op.expand_multiplier, op.exp_zero_point, op.exp_min, op.exp_max)
    acc = depthwise(expanded, op.depthwise_weight, op.depthwise_bias, op.stride, op.exp_zero_point)
    filtered = requantize(acc, op.depthwise_multiplier, op.dw_zero_point, op.dw_min, op.dw_max)
    acc = op.project_bias + product(filtered, op.project_weight)
    if op.residual is not None:
        acc = acc + op.residual * x.astype(np.int32)
    return requantize(acc, op.project_multiplier, op.out_zero_point, op.act_min, op.act_max)
