"""Pooling by windows."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind
from .base import Own, Record, Shape, check_equal
from .window import WINDOW, Windowed, check_window


@dataclass(eq=False, kw_only=True)
class Pool(Windowed):
    """The largest or the mean value of each channel in a window; padding does not count (section 2)."""

    kind: ClassVar[Kind] = Kind.POOL
    own: ClassVar[tuple[Own, ...]] = (*WINDOW, Own("mean", "u1", 0, 1))

    size: tuple[int, int]  # of the window
    mean: bool  # else the largest

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.size

    def own_fields(self) -> dict[str, int]:
        """The window and which of the two."""
        return super().own_fields() | {"mean": int(self.mean)}

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return *self.out_size(shape), shape[2]

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """All."""
        own = {"size": (r["window_height"], r["window_width"]), "mean": bool(r["mean"])}
        return super().attributes(r) | own

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """None."""
        return []

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The window; the output's channels, scale and zero point are the input's."""
        check_window(r, index)
        check_equal(r, index, out_channels=r["in_channels"], out_zero_point=r["in_zero_point"])
