"""Depthwise convolution."""

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
    check_equal,
    check_rounding,
    exponent_arrays,
    fail,
    rounding_flags,
)
from .window import WINDOW, Windowed, check_window


@dataclass(eq=False, kw_only=True)
class Depthwise(Windowed):
    """A convolution of each channel by itself, padded with the input's zero point (docs/arithmetic.md, section 2)."""

    kind: ClassVar[Kind] = Kind.DEPTHWISE
    flags: ClassVar[int] = layout.FLAG_FINE | layout.FLAG_TFLITE
    max_shift: ClassVar[int] = layout.MAX_SHIFT
    own: ClassVar[tuple[Own, ...]] = WINDOW

    filter_weight: Int8  # [kh, kw, c]
    bias: Int32  # [c]
    multiplier: Int32  # [c], 0 <= M < 2^31
    fine: bool = False  # biases have 8 fraction bits
    exponent: Int8 | None = None  # [c], -31..15: multipliers have 31 fraction bits less it, TensorFlow Lite's rounding

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return (self.filter_weight.shape[0], self.filter_weight.shape[1]) if self.filter_weight.ndim == 3 else (0, 0)

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return *self.out_size(shape), shape[2]

    def own_flags(self) -> int:
        """How it rounds."""
        return rounding_flags(self.fine, self.exponent is not None)

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Stride, padding, rounding."""
        return super().attributes(r) | {"fine": bool(r["flags"] & layout.FLAG_FINE)}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Weights as they are, biases, multipliers, exponents."""
        channels = r["in_channels"]
        return [
            ("filter_weight", "<i1", (r["window_height"], r["window_width"], channels)),
            ("bias", "<i4", (channels,)),
            ("multiplier", "<i4", (channels,)),
            *exponent_arrays(r, channels),
        ]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The window; as many channels as come in."""
        check_rounding(r, index)
        check_window(r, index)
        if r["window_height"] * r["window_width"] > layout.MAX_DEPTHWISE_TAPS:
            fail(
                "weights of a channel", f"1..{layout.MAX_DEPTHWISE_TAPS}", r["window_height"] * r["window_width"], index
            )
        check_equal(r, index, out_channels=r["in_channels"])

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The overflow rule."""
        named = arrays | {"weight": arrays["filter_weight"]}
        check_convolution(named, "", (0, 1), index, r["shift"], fine=bool(r["flags"] & layout.FLAG_FINE))
