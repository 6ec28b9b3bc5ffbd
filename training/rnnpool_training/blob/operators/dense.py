"""Dense layer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind, Task
from .base import (
    Arrays,
    Int8,
    Int32,
    Operator,
    Own,
    Record,
    Shape,
    check_convolution,
    check_equal,
    check_range,
    dense_arrays,
    is_wide,
)
from .conv import Convolution
from .window import WINDOW


@dataclass(eq=False, kw_only=True)
class Dense(Operator):
    """A classifier's last operator: a map of at most 16 x 64 to one int16 logit a label (sections 2 and 6).

    Logits are in Q12 less the shift.

    In the middle of a network a dense layer is a Conv whose kernel is the whole map.
    """

    kind: ClassVar[Kind] = Kind.DENSE
    result: ClassVar[Task | None] = Task.CLASSIFICATION
    flags: ClassVar[int] = layout.FLAG_WIDE
    max_shift: ClassVar[int] = layout.MAX_DENSE_SHIFT  # of the logits: they have 12 fraction bits less the shift
    fixed_zero_point: ClassVar[bool] = True
    unclamped: ClassVar[bool] = True
    own: ClassVar[tuple[Own, ...]] = WINDOW

    weight: Int8  # [labels, in], or [labels, h, w, in] of a map
    bias: Int32  # [labels]
    multiplier: Int32  # [labels], 24 fraction bits: round(2^24 2^(12 - shift) s_in s_w)

    @property
    def out_channels(self) -> int:
        """Labels."""
        return int(self.weight.shape[0])

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return 1, 1, self.out_channels

    def own_fields(self) -> dict[str, int]:
        """The window is the map."""
        height, width = (self.weight.shape[1:3]) if self.weight.ndim == 4 else (1, 1)
        return {"window_height": height, "window_width": width, "stride_h": 1, "stride_w": 1} | dict.fromkeys(
            (f"pad_{side}" for side in ("top", "left", "bottom", "right")), 0
        )

    def wide(self) -> bool:
        """Whether sums need the flag WIDE."""
        return is_wide(self.weight, self.bias)

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """None."""
        return {}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Weights, biases, multipliers."""
        size = (r["window_height"], r["window_width"])
        return dense_arrays("", r["out_channels"], (r["in_channels"],) if size == (1, 1) else (*size, r["in_channels"]))

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The window is the whole map."""
        check_equal(r, index, out_height=1, out_width=1)
        check_equal(r, index, window_height=r["in_height"], window_width=r["in_width"], stride_h=1, stride_w=1)
        check_range(r, "out_channels", 1, layout.MAX_LABELS, index)
        Convolution.check(r, inputs, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The overflow rule."""
        axes = tuple(range(1, arrays["weight"].ndim))
        check_convolution(arrays, "", axes, index, wide=bool(r["flags"] & layout.FLAG_WIDE))
