"""Global average pooling (docs/arithmetic.md, section 2)."""

import numpy as np

from ..blob.model import GlobalAveragePool, Int8
from .pool import rounded_mean


def global_average_pool(op: GlobalAveragePool, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [1, 1, c]. zero_point: the input's."""
    if op.multiplier is None:
        mean = rounded_mean(x.astype(np.int64).sum((0, 1), keepdims=True), x.shape[0] * x.shape[1])
        return np.clip(mean, op.act_min, op.act_max).astype(np.int8)
    total = (x.astype(np.int64) - zero_point).sum((0, 1), keepdims=True)
    y = op.out_zero_point + ((total * int(op.multiplier[0]) + (1 << 23)) >> 24)
    return np.clip(y, op.act_min, op.act_max).astype(np.int8)
