"""Convolutions."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind
from .base import (
    Arrays,
    Int8,
    Int32,
    Own,
    Record,
    Shape,
    check_convolution,
    check_range,
    check_rounding,
    dense_arrays,
    exponent_arrays,
    fail,
    is_wide,
    rounding_flags,
)
from .window import WINDOW, Windowed, check_window


@dataclass(eq=False, kw_only=True)
class Convolution(Windowed):
    """What convolutions to int8 and detection heads have in common."""

    flags: ClassVar[int] = layout.FLAG_WIDE
    own: ClassVar[tuple[Own, ...]] = WINDOW

    weight: Int8  # [out, kh, kw, in]
    bias: Int32  # [out]
    multiplier: Int32  # [out], 0 <= M < 2^31

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return (self.weight.shape[1], self.weight.shape[2]) if self.weight.ndim == 4 else (0, 0)

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return int(self.weight.shape[0])

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return *self.out_size(shape), self.out_channels

    def wide(self) -> bool:
        """Whether sums need the flag WIDE."""
        return is_wide(self.weight, self.bias)

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Weights, biases, multipliers."""
        return dense_arrays("", r["out_channels"], (r["window_height"], r["window_width"], r["in_channels"]))

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The window, and the number of weights."""
        check_window(r, index)
        check_range(r, "window_height", 1, layout.MAX_CONV_ROWS, index)
        weights = r["window_height"] * r["window_width"] * r["in_channels"]
        if weights > layout.MAX_INPUTS_OF_A_CHANNEL:
            fail("weights of a channel", f"1..{layout.MAX_INPUTS_OF_A_CHANNEL}", weights, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The overflow rule."""
        fine, wide = bool(r["flags"] & layout.FLAG_FINE), bool(r["flags"] & layout.FLAG_WIDE)
        check_convolution(arrays, "", (1, 2, 3), index, r["shift"], fine=fine, wide=wide)


@dataclass(eq=False, kw_only=True)
class Conv(Convolution):
    """Convolution, padded with the input's zero point (docs/arithmetic.md, section 2)."""

    kind: ClassVar[Kind] = Kind.CONV
    flags: ClassVar[int] = layout.FLAG_FINE | layout.FLAG_TFLITE | layout.FLAG_WIDE
    max_shift: ClassVar[int] = layout.MAX_SHIFT

    fine: bool = False  # biases have 8 fraction bits
    exponent: Int8 | None = (
        None  # [out], -31..15: multipliers have 31 fraction bits less it, TensorFlow Lite's rounding
    )

    def own_flags(self) -> int:
        """How it rounds."""
        return rounding_flags(self.fine, self.exponent is not None)

    def wide(self) -> bool:
        """Of fine biases they are not."""
        return not self.fine and super().wide()

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Stride, padding, rounding."""
        return super().attributes(r) | {"fine": bool(r["flags"] & layout.FLAG_FINE)}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Weights, biases, multipliers, exponents."""
        return super().arrays(r) + exponent_arrays(r, r["out_channels"])

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Rounding, the window, and the number of weights."""
        check_rounding(r, index)
        super().check(r, inputs, index)
