"""Depthwise convolution, and the 1x1 convolution behind it."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

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
    dense_arrays,
    exponent_arrays,
    fail,
    is_wide,
    rounding_flags,
)
from .conv import Conv
from .window import WINDOW, Windowed, check_window


@dataclass(eq=False, kw_only=True)
class Depthwise(Windowed):
    """A convolution of each channel by itself, padded with the input's zero point (docs/arithmetic.md, section 2).

    With a projection it is two operators, `filter` and `projection`, which round in the same way.
    """

    kind: ClassVar[Kind] = Kind.DEPTHWISE
    flags: ClassVar[int] = layout.FLAG_FINE | layout.FLAG_TFLITE | layout.FLAG_WIDE | layout.FLAG_PROJECT
    max_shift: ClassVar[int] = layout.MAX_SHIFT
    own: ClassVar[tuple[Own, ...]] = (
        *WINDOW,
        Own("filter_zero_point", "i1", -128, 127),
        Own("filter_min", "i1", -128, 127),
        Own("filter_max", "i1", -128, 127),
    )

    filter_weight: Int8  # [kh, kw, c]
    bias: Int32  # [c]
    multiplier: Int32  # [c], 0 <= M < 2^31
    fine: bool = False  # biases have 8 fraction bits
    exponent: Int8 | None = None  # [c], -31..15: multipliers have 31 fraction bits less it, TensorFlow Lite's rounding
    project_weight: Int8 | None = None  # [out, c], of the projection; None: there is none, nor what follows
    project_bias: Int32 | None = None  # [out]
    project_multiplier: Int32 | None = None  # [out]
    project_exponent: Int8 | None = None  # [out]
    filter_zero_point: int = 0  # of what is projected
    filter_min: int = -128
    filter_max: int = 127

    @property
    def filter(self) -> "Depthwise":
        """The depthwise layer alone, of an operator with a projection."""
        return Depthwise(
            input=self.input, stride=self.stride, padding=self.padding, shift=self.shift, fine=self.fine,
            filter_weight=self.filter_weight, bias=self.bias, multiplier=self.multiplier, exponent=self.exponent,
            out_zero_point=self.filter_zero_point, act_min=self.filter_min, act_max=self.filter_max,
        )  # fmt: skip

    @property
    def projection(self) -> Conv | None:
        """The 1x1 convolution behind it; its input's number says nothing."""
        if self.project_weight is None or self.project_bias is None or self.project_multiplier is None:
            return None
        return Conv(
            input=self.input, weight=self.project_weight[:, None, None], bias=self.project_bias,
            multiplier=self.project_multiplier, exponent=self.project_exponent, fine=self.fine, shift=self.shift,
            out_zero_point=self.out_zero_point, act_min=self.act_min, act_max=self.act_max,
        )  # fmt: skip

    def projected(self, conv: Conv) -> "Depthwise":
        """This layer, which has no projection, and a 1x1 convolution that rounds in the same way, as one operator."""
        return replace(
            self,
            filter_zero_point=self.out_zero_point, filter_min=self.act_min, filter_max=self.act_max,
            project_weight=np.ascontiguousarray(conv.weight[:, 0, 0]), project_bias=conv.bias,
            project_multiplier=conv.multiplier, project_exponent=conv.exponent, materialize=conv.materialize,
            out_zero_point=conv.out_zero_point, act_min=conv.act_min, act_max=conv.act_max,
        )  # fmt: skip

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return (self.filter_weight.shape[0], self.filter_weight.shape[1]) if self.filter_weight.ndim == 3 else (0, 0)

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return *self.out_size(shape), shape[2] if self.project_weight is None else len(self.project_weight)

    def own_fields(self) -> dict[str, int]:
        """The window, and what belongs to the filtered rows."""
        names = [field.name for field in self.own[len(WINDOW) :]]
        inner = dict.fromkeys(names, 0) if self.project_weight is None else {n: getattr(self, n) for n in names}
        return super().own_fields() | inner

    def own_flags(self) -> int:
        """How it rounds, and whether there is a projection."""
        project = 0 if self.project_weight is None else layout.FLAG_PROJECT
        return rounding_flags(self.fine, self.exponent is not None) | project

    def wide(self) -> bool:
        """Whether sums of the projection need the flag WIDE; of fine biases they don't."""
        projection = None if self.fine else self.projection
        return projection is not None and is_wide(projection.weight, projection.bias)

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Stride, padding, rounding, and what belongs to the filtered rows."""
        found = super().attributes(r) | {"fine": bool(r["flags"] & layout.FLAG_FINE)}
        if r["flags"] & layout.FLAG_PROJECT:
            found |= {f.name: r[f.name] for f in cls.own[len(WINDOW) :]}
        return found

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Weights as they are, biases, multipliers, exponents; then those of the projection."""
        channels, outputs = r["in_channels"], r["out_channels"]
        projection = [*dense_arrays("project_", outputs, (channels,)), *exponent_arrays(r, outputs, "project_")]
        return [
            ("filter_weight", "<i1", (r["window_height"], r["window_width"], channels)),
            ("bias", "<i4", (channels,)),
            ("multiplier", "<i4", (channels,)),
            *exponent_arrays(r, channels),
            *(projection if r["flags"] & layout.FLAG_PROJECT else ()),
        ]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The window; without a projection as many channels as come in, and no numbers of filtered rows."""
        check_rounding(r, index)
        check_window(r, index)
        if r["window_height"] * r["window_width"] > layout.MAX_DEPTHWISE_TAPS:
            fail(
                "weights of a channel", f"1..{layout.MAX_DEPTHWISE_TAPS}", r["window_height"] * r["window_width"], index
            )
        if r["flags"] & layout.FLAG_PROJECT:
            if r["filter_min"] > r["filter_max"]:
                fail("filter_min", f"at most filter_max = {r['filter_max']}", r["filter_min"], index)
        else:
            check_equal(r, index, out_channels=r["in_channels"], filter_zero_point=0, filter_min=0, filter_max=0)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The overflow rule, for both layers."""
        named, fine = arrays | {"weight": arrays["filter_weight"]}, bool(r["flags"] & layout.FLAG_FINE)
        check_convolution(named, "", (0, 1), index, r["shift"], fine=fine)
        if r["flags"] & layout.FLAG_PROJECT:
            named = arrays | {"exponent": arrays["project_exponent"]} if "exponent" in arrays else arrays
            wide = bool(r["flags"] & layout.FLAG_WIDE)
            check_convolution(named, "project_", (1,), index, r["shift"], fine=fine, wide=wide)
