"""Operators that slide a window over their input."""

from dataclasses import dataclass
from typing import Any

from .. import layout
from .base import Operator, Own, Record, Shape, check_output, fail

Padding = tuple[int, int, int, int]  # rows and columns of the input's zero point: top, left, bottom, right

_LARGEST = layout.MAX_WINDOW
WINDOW = (
    Own("window_height", "u1", 1, _LARGEST),
    Own("window_width", "u1", 1, _LARGEST),
    Own("stride_h", "u1", 1, _LARGEST),
    Own("stride_w", "u1", 1, _LARGEST),
    Own("pad_top", "u1", 0, _LARGEST - 1),
    Own("pad_left", "u1", 0, _LARGEST - 1),
    Own("pad_bottom", "u1", 0, _LARGEST - 1),
    Own("pad_right", "u1", 0, _LARGEST - 1),
)


def same(height: int, width: int) -> Padding:
    """(k - 1) / 2 on every side: with an odd window and stride 1 the output is as large as the input."""
    return (height - 1) // 2, (width - 1) // 2, (height - 1) // 2, (width - 1) // 2


@dataclass(eq=False, kw_only=True)
class Windowed(Operator):
    """An operator whose first own fields are a window."""

    stride: int | tuple[int, int] = 1  # of both axes, or of rows and of columns
    padding: Padding | None = None  # None: `same`

    def __post_init__(self) -> None:
        # One way to say each thing.
        if isinstance(self.stride, tuple) and self.stride[0] == self.stride[1]:
            self.stride = self.stride[0]
        if self.padding == same(*self.window):
            self.padding = None

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""
        raise NotImplementedError

    @property
    def strides(self) -> tuple[int, int]:
        """Of rows, of columns."""
        return self.stride if isinstance(self.stride, tuple) else (self.stride, self.stride)

    @property
    def pads(self) -> Padding:
        """The padding as numbers."""
        return same(*self.window) if self.padding is None else self.padding

    def out_size(self, shape: Shape) -> tuple[int, int]:
        """Height and width of the output."""
        (height, width), (stride_h, stride_w) = self.window, self.strides
        top, left, bottom, right = self.pads
        return (shape[0] + top + bottom - height) // stride_h + 1, (shape[1] + left + right - width) // stride_w + 1

    def own_fields(self) -> dict[str, int]:
        """The window; subclasses add theirs."""
        names = [field.name for field in WINDOW]
        return dict(zip(names, (*self.window, *self.strides, *self.pads), strict=True))

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Stride and padding; the window's size is that of the weights, or a subclass's."""
        padding = tuple(r[f"pad_{side}"] for side in ("top", "left", "bottom", "right"))
        return {"stride": (r["stride_h"], r["stride_w"]), "padding": padding}


def check_window(r: Record, index: int) -> None:
    """Padding is smaller than the window, which fits into the padded input; the output has the shape that follows."""
    sizes = []
    for axis, stride, before, after in (
        ("height", "stride_h", "top", "bottom"),
        ("width", "stride_w", "left", "right"),
    ):
        window, pads = r[f"window_{axis}"], (r[f"pad_{before}"], r[f"pad_{after}"])
        padded = r[f"in_{axis}"] + sum(pads)
        if not max(pads) < window <= padded:
            fail(f"window_{axis}", f"{max(pads) + 1}..{padded}", window, index)
        sizes.append((padded - window) // r[stride] + 1)
    check_output(r, sizes[0], sizes[1], index)
