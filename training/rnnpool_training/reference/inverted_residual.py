"""Inverted residual (MobileNetV2 block): the residual is one more tap of the projection (section 2)."""

import numpy as np

from ..blob.model import Int8, InvertedResidual
from .conv import requantize
from .depthwise import filtered
from .integer import product


def inverted_residual(op: InvertedResidual, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, in] -> int8 [out_h, out_w, out]. zero_point: the input's.

    The expansion is 1x1, so nothing of it is padded: the depthwise pads with the expansion's own zero point.
    """
    acc = op.expand_bias + product(x, op.expand_weight)
    expanded = requantize(acc, op.expand_multiplier, op.exp_zero_point, op.exp_min, op.exp_max)
    acc = filtered(
        expanded, op.depthwise_weight, op.depthwise_bias, (op.stride, op.stride), (1, 1, 1, 1), op.exp_zero_point
    )
    inner = requantize(acc, op.depthwise_multiplier, op.dw_zero_point, op.dw_min, op.dw_max)
    acc = op.project_bias + product(inner, op.project_weight)
    if op.residual is not None:
        acc = acc + op.residual * x.astype(np.int32)
    return requantize(acc, op.project_multiplier, op.out_zero_point, op.act_min, op.act_max)
