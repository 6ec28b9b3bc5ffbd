"""Operators on maps of one size: sums, concatenation, products, tables, L2 normalization."""

from dataclasses import dataclass
from typing import ClassVar

from .. import layout
from ..kinds import Kind
from .base import (
    Arrays,
    Int8,
    Int16,
    Int32,
    Operator,
    Record,
    Shape,
    check_equal,
    check_exponents,
    check_multipliers,
    check_output,
    check_rounding,
    exponent_arrays,
    fail,
    rounding_flags,
)

SUM_LIMIT = 1 << 22  # weights of a sum are below


class Elementwise(Operator):
    """The output is as large as the first input."""

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """That of the first input."""
        return shape

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The same."""
        check_equal(r, index, out_channels=r["in_channels"])
        check_output(r, r["in_height"], r["in_width"], index)


class Sum(Elementwise):
    """A weight an input."""

    max_shift: ClassVar[int] = layout.MAX_SHIFT

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The weights."""
        return [("weights", "<i4", (r["num_inputs"],))]

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Weights are small enough for int32."""
        for weight in arrays["weights"].tolist():
            if abs(weight) >= SUM_LIMIT:
                fail("weight", f"{1 - SUM_LIMIT}..{SUM_LIMIT - 1}", weight, index)


@dataclass(eq=False, kw_only=True)
class Add(Sum):
    """The sum of two maps of different scales, rounded once (section 2)."""

    kind: ClassVar[Kind] = Kind.ADD
    inputs: ClassVar[tuple[int, int]] = (2, 2)

    flags: ClassVar[int] = layout.FLAG_TFLITE

    weights: Int32 | None = None  # [2]: round(2^(20 - shift) s_in / s_out), magnitude below 2^22
    # Or, instead of them, TensorFlow Lite's numbers: [3], of the inputs and of their sum.
    multiplier: Int32 | None = None  # 0 <= M < 2^31
    exponent: Int8 | None = None  # -31..0

    def own_flags(self) -> int:
        """How it rounds."""
        return rounding_flags(False, self.exponent is not None)

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The weights, or multipliers and exponents."""
        if not r["flags"] & layout.FLAG_TFLITE:
            return super().arrays(r)
        return [("multiplier", "<i4", (3,)), *exponent_arrays(r, 3)]

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Their ranges."""
        if not r["flags"] & layout.FLAG_TFLITE:
            super().check_arrays(r, arrays, index)
            return
        check_multipliers("multiplier", arrays["multiplier"], index)
        check_exponents(arrays, index, 0)

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Maps of one shape."""
        check_rounding(r, index)
        for axis in ("height", "width", "channels"):
            if inputs[1][f"out_{axis}"] != r[f"in_{axis}"]:
                fail(f"{axis} of input 1", r[f"in_{axis}"], inputs[1][f"out_{axis}"], index)
        super().check(r, inputs, index)


@dataclass(eq=False, kw_only=True)
class Concat(Sum):
    """The channels of several maps one behind the other, each brought to the output's scale (section 2)."""

    kind: ClassVar[Kind] = Kind.CONCAT
    inputs: ClassVar[tuple[int, int]] = (2, layout.MAX_INPUTS)

    weights: Int32  # [inputs], as those of a sum

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """All channels."""
        return shape[0], shape[1], shape[2] + sum(other[2] for other in others)

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Maps of one size."""
        for source in inputs:
            for axis in ("height", "width"):
                if source[f"out_{axis}"] != r[f"in_{axis}"]:
                    fail(f"{axis} of an input", r[f"in_{axis}"], source[f"out_{axis}"], index)
        check_equal(r, index, out_channels=sum(source["out_channels"] for source in inputs))
        check_output(r, r["in_height"], r["in_width"], index)


@dataclass(eq=False, kw_only=True)
class Mul(Elementwise):
    """Each pixel of a map times a vector of channels, as in squeeze and excitation (section 2)."""

    kind: ClassVar[Kind] = Kind.MUL
    inputs: ClassVar[tuple[int, int]] = (2, 2)
    flags: ClassVar[int] = layout.FLAG_TFLITE
    max_shift: ClassVar[int] = 14

    multiplier: Int32  # [1]: round(2^(32 - shift) s_map s_vector / s_out), 0 <= M < 2^31
    exponent: Int8 | None = (
        None  # [1], -31..13: the multiplier has 31 fraction bits less it, TensorFlow Lite's rounding
    )

    def own_flags(self) -> int:
        """How it rounds."""
        return rounding_flags(False, self.exponent is not None)

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The multiplier, and its exponent."""
        return [("multiplier", "<i4", (1,)), *exponent_arrays(r, 1)]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The vector has the map's channels."""
        check_rounding(r, index)
        for axis, size in (("height", 1), ("width", 1), ("channels", r["in_channels"])):
            if inputs[1][f"out_{axis}"] != size:
                fail(f"{axis} of input 1", size, inputs[1][f"out_{axis}"], index)
        super().check(r, inputs, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Their ranges."""
        check_multipliers("multiplier", arrays["multiplier"], index)
        check_exponents(arrays, index, 13)


@dataclass(eq=False, kw_only=True)
class Lookup(Elementwise):
    """Each value by a table: any pointwise activation (section 2)."""

    kind: ClassVar[Kind] = Kind.LOOKUP
    unclamped: ClassVar[bool] = True

    table: Int8  # [256]: of -128 first

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The table."""
        return [("table", "<i1", (256,))]


@dataclass(eq=False, kw_only=True)
class L2Norm(Elementwise):
    """Each pixel's channels divided by their Euclidean length, times a scale a channel (section 2)."""

    kind: ClassVar[Kind] = Kind.L2_NORM
    max_shift: ClassVar[int] = layout.MAX_SHIFT

    scale: Int16  # [c]: round(2^(15 - shift) w / s_out)

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The weights."""
        return [("scale", "<i2", (r["in_channels"],))]
