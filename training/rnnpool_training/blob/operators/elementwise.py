"""Operators on maps of one size: sums, concatenation, products, tables."""

from dataclasses import dataclass
from typing import ClassVar

from .. import layout
from ..kinds import Kind
from .base import Arrays, Int8, Int32, Operator, Record, Shape, check_equal, check_multipliers, check_output, fail

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

    weights: Int32  # [2]: round(2^(20 - shift) s_in / s_out), magnitude below 2^22

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Maps of one shape."""
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
    max_shift: ClassVar[int] = 14

    multiplier: Int32  # [1]: round(2^(32 - shift) s_map s_vector / s_out), 0 <= M < 2^31

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """The multiplier."""
        return [("multiplier", "<i4", (1,))]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """The vector has the map's channels."""
        for axis, size in (("height", 1), ("width", 1), ("channels", r["in_channels"])):
            if inputs[1][f"out_{axis}"] != size:
                fail(f"{axis} of input 1", size, inputs[1][f"out_{axis}"], index)
        super().check(r, inputs, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The multiplier."""
        check_multipliers("multiplier", arrays["multiplier"], index)


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
