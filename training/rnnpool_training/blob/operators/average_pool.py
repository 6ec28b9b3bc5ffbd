"""Global average pooling."""

from dataclasses import dataclass
from typing import ClassVar

from .. import layout
from ..kinds import Kind
from .base import Arrays, Int32, Operator, Record, Shape, check_equal, check_multipliers, check_output


@dataclass(eq=False, kw_only=True)
class GlobalAveragePool(Operator):
    """Mean of each channel over the whole map: [h, w, c] -> [1, 1, c] (section 2)."""

    kind: ClassVar[Kind] = Kind.GLOBAL_AVERAGE_POOL

    multiplier: Int32  # [1], 24 fraction bits: round(2^24 s_in / (s_out h w)), 0 <= M < 2^31

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return 1, 1, shape[2]

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """One multiplier."""
        return [("multiplier", "<i4", (1,))]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """One pixel of as many channels."""
        check_equal(r, index, out_channels=r["in_channels"])
        check_output(r, 1, 1, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The multiplier."""
        check_multipliers("multiplier", arrays["multiplier"], index)
