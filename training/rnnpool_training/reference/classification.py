"""Probabilities of a classifier's logits (docs/arithmetic.md, section 6)."""

import numpy as np
from numpy.typing import NDArray

from .integer import Integers
from .tables import exp2_mantissa


def probabilities(logits: Integers, shift: int = 0) -> NDArray[np.int64]:
    """Softmax of logits [..., labels] in Q12 less the shift (-32768..32767) as Q15, 0..32767."""
    logits = np.asarray(logits, np.int64)
    below = np.minimum((logits.max(-1, keepdims=True) - logits) << shift, 65535)
    t = -((below * 23637 + 8192) >> 14)  # times log2(e), Q12
    e = (exp2_mantissa(t & 4095) << 2) >> -(t >> 12)
    total = e.sum(-1, keepdims=True)
    return np.minimum(((e << 15) + total // 2) // total, 32767)
