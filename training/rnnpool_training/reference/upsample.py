"""Up-sampling (docs/arithmetic.md, section 2)."""

from ..blob.model import Int8, Upsample


def upsample(op: Upsample, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [h * factor, w * factor, c]."""
    return x.repeat(op.factor, 0).repeat(op.factor, 1)
