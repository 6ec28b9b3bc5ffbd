"""The end of a classifier: average pooling, dense layer, probabilities (docs/arithmetic.md, sections 2 and 6)."""

import numpy as np
from numpy.typing import NDArray

from ..blob.model import Dense, GlobalAveragePool, Int8, Int16
from .integer import Integers, product, sat8, sat16
from .tables import exp2_mantissa


def global_average_pool(op: GlobalAveragePool, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [1, 1, c]. zero_point: the input's."""
    total = (x.astype(np.int64) - zero_point).sum((0, 1), keepdims=True)
    return sat8(op.out_zero_point + ((total * int(op.multiplier[0]) + (1 << 23)) >> 24)).astype(np.int8)


def dense(op: Dense, x: Int8) -> Int16:
    """int8 [1, 1, in] -> int16 [1, 1, labels] in Q12; multipliers have 24 fraction bits."""
    acc = op.bias + product(x, op.weight)
    return sat16((acc.astype(np.int64) * op.multiplier + (1 << 23)) >> 24).astype(np.int16)


def probabilities(logits: Integers) -> NDArray[np.int64]:
    """Softmax of logits [..., labels] in Q12 (-32768..32767) as Q15, 0..32767."""
    logits = np.asarray(logits, np.int64)
    below = logits.max(-1, keepdims=True) - logits
    t = -((below * 23637 + 8192) >> 14)  # times log2(e), Q12
    e = (exp2_mantissa(t & 4095) << 2) >> -(t >> 12)
    total = e.sum(-1, keepdims=True)
    return np.minimum(((e << 15) + total // 2) // total, 32767)
