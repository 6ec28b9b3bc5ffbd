"""Up-sampling."""

from dataclasses import dataclass
from typing import ClassVar

from .. import layout
from ..kinds import Kind
from .base import Operator, Own, Record, Shape, check_equal, check_output


@dataclass(eq=False, kw_only=True)
class Upsample(Operator):
    """Each pixel `factor` times along both axes: the nearest one."""

    kind: ClassVar[Kind] = Kind.UPSAMPLE
    unclamped: ClassVar[bool] = True
    own: ClassVar[tuple[Own, ...]] = (Own("factor", "u1", 2, 8),)

    factor: int = 2

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return shape[0] * self.factor, shape[1] * self.factor, shape[2]

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """None."""
        return []

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The output's channels, scale and zero point are the input's."""
        check_equal(r, index, out_channels=r["in_channels"], out_zero_point=r["in_zero_point"])
        check_output(r, r["in_height"] * r["factor"], r["in_width"] * r["factor"], index)
