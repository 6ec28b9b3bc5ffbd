"""Global average pooling."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind
from .base import Arrays, Int32, Operator, Record, Shape, check_equal, check_multipliers, check_output, rounding_flags


@dataclass(eq=False, kw_only=True)
class GlobalAveragePool(Operator):
    """Mean of each channel over the whole map: [h, w, c] -> [1, 1, c] (section 2)."""

    kind: ClassVar[Kind] = Kind.GLOBAL_AVERAGE_POOL

    flags: ClassVar[int] = layout.FLAG_TFLITE

    # [1], 24 fraction bits: round(2^24 s_in / (s_out h w)), 0 <= M < 2^31. None: the scale stays, and halves go away
    # from 0, as in TensorFlow Lite.
    multiplier: Int32 | None

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return 1, 1, shape[2]

    def own_flags(self) -> int:
        """How it rounds."""
        return rounding_flags(False, self.multiplier is None)

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Whether there is no multiplier."""
        return {"multiplier": None} if r["flags"] & layout.FLAG_TFLITE else {}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """One multiplier, or none."""
        return [] if r["flags"] & layout.FLAG_TFLITE else [("multiplier", "<i4", (1,))]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """One pixel of as many channels."""
        check_equal(r, index, out_channels=r["in_channels"])
        if r["flags"] & layout.FLAG_TFLITE:
            check_equal(r, index, out_zero_point=r["in_zero_point"])
        check_output(r, 1, 1, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The multiplier."""
        if arrays:
            check_multipliers("multiplier", arrays["multiplier"], index)
