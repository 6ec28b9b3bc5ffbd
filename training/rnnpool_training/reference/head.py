"""Detection heads (docs/arithmetic.md, section 2)."""

from ..blob.model import DetectHead, Int8, Int16
from .conv import accumulate, to_int16


def head(op: DetectHead, x: Int8, zero_point: int) -> Int16:
    """int8 [h, w, in] -> int16 [h, w, (classes + 4) * anchors] in Q12."""
    return to_int16(accumulate(x, op.weight, op.bias, op.strides, op.pads, zero_point), op.multiplier)
