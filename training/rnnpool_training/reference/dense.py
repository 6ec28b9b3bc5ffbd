"""Dense layers that give logits (docs/arithmetic.md, section 2)."""

from ..blob.model import Dense, Int8, Int16
from .conv import to_int16
from .integer import product


def dense(op: Dense, x: Int8, zero_point: int) -> Int16:
    """int8 [h, w, in] -> int16 [1, 1, labels] in Q12. The zero point is in the bias."""
    acc = op.bias + product(x.reshape(1, 1, -1), op.weight.reshape(len(op.weight), -1))
    return to_int16(acc, op.multiplier)
