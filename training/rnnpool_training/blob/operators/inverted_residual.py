"""Inverted residual."""

from dataclasses import dataclass
from typing import ClassVar

from .. import layout
from ..kinds import Kind
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
    check_output,
    dense_arrays,
    fail,
    is_wide,
    magnitudes,
)


@dataclass(eq=False, kw_only=True)
class InvertedResidual(Operator):
    """1x1 expansion, depthwise 3x3, 1x1 projection; with `residual` the input is added (section 2)."""

    kind: ClassVar[Kind] = Kind.INVERTED_RESIDUAL
    flags: ClassVar[int] = layout.FLAG_RESIDUAL | layout.FLAG_WIDE
    own = (
        Own("stride", "u1", 1, 2),
        Own("reserved_block", "u1", 0, 0),
        Own("mid_channels", "<u2", 1, layout.MAX_CHANNELS),
        Own("exp_zero_point", "i1", -128, 127),
        Own("dw_zero_point", "i1", -128, 127),
        Own("exp_min", "i1", -128, 127),
        Own("exp_max", "i1", -128, 127),
        Own("dw_min", "i1", -128, 127),
        Own("dw_max", "i1", -128, 127),
        Own("recompute", "<u2", 0, layout.MAX_CHANNELS),
    )

    expand_weight: Int8  # [mid, in]
    expand_bias: Int32  # [mid]
    expand_multiplier: Int32  # [mid]
    depthwise_weight: Int8  # [3, 3, mid]
    depthwise_bias: Int32  # [mid]
    depthwise_multiplier: Int32  # [mid]
    project_weight: Int8  # [out, mid]
    project_bias: Int32  # [out]
    project_multiplier: Int32  # [out]
    residual: Int32 | None = None  # [out], -32767..32767: weight of the input in the projection's accumulator
    stride: int = 1
    exp_zero_point: int = 0
    dw_zero_point: int = 0
    exp_min: int = -128
    exp_max: int = 127
    dw_min: int = -128
    dw_max: int = 127
    recompute: int = 0  # of the inner channels: expanded again for each output row instead of kept; changes no result

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return int(self.project_weight.shape[0])

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return (shape[0] - 1) // self.stride + 1, (shape[1] - 1) // self.stride + 1, self.out_channels

    def own_fields(self) -> dict[str, int]:
        """Stride, channels, and what belongs to the inner activations."""
        derived = {"reserved_block": 0, "mid_channels": len(self.expand_weight)}
        return derived | {f.name: int(getattr(self, f.name)) for f in self.own if f.name not in derived}

    def own_flags(self) -> int:
        """Whether it has a residual."""
        return layout.FLAG_RESIDUAL if self.residual is not None else 0

    def wide(self) -> bool:
        """Whether sums of the expansion or the projection need the flag WIDE."""
        expansion = is_wide(self.expand_weight, self.expand_bias)
        return expansion or is_wide(self.project_weight, self.project_bias, self.residual)

    @classmethod
    def attributes(cls, r: Record) -> dict[str, int]:
        """All but what follows from the arrays."""
        return {f.name: r[f.name] for f in cls.own if f.name not in ("reserved_block", "mid_channels")}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Expansion, depthwise, projection, residual."""
        mid, out = r["mid_channels"], r["out_channels"]
        arrays: list[layout.ArrayLayout] = [
            *dense_arrays("expand_", mid, (r["in_channels"],)),
            ("depthwise_weight", "<i1", (3, 3, mid)),
            ("depthwise_bias", "<i4", (mid,)),
            ("depthwise_multiplier", "<i4", (mid,)),
            *dense_arrays("project_", out, (mid,)),
        ]
        return [*arrays, ("residual", "<i4", (out,))] if r["flags"] & layout.FLAG_RESIDUAL else arrays

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Clamps in order; a residual needs equal shapes."""
        for low, high in (("exp_min", "exp_max"), ("dw_min", "dw_max")):
            if r[low] > r[high]:
                fail(low, f"at most {high} = {r[high]}", r[low], index)
        if r["flags"] & layout.FLAG_RESIDUAL:
            check_equal(r, index, stride=1, out_channels=r["in_channels"])
        mid, again = r["mid_channels"], r["recompute"]
        if again > mid or (again and (mid - again) % 4):
            fail("recompute", f"0, or 1..{mid} that leave a multiple of 4", again, index)
        height, width = ((r[f"in_{axis}"] - 1) // r["stride"] + 1 for axis in ("height", "width"))
        check_output(r, height, width, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """The overflow rule for all three."""
        wide = bool(r["flags"] & layout.FLAG_WIDE)
        check_convolution(arrays, "expand_", (1,), index, wide=wide)
        check_convolution(arrays, "depthwise_", (0, 1), index)
        residual = arrays.get("residual")
        if residual is not None and (magnitudes(residual) > 32767).any():
            fail("residual", "-32767..32767", int(residual[magnitudes(residual).argmax()]), index)
        check_convolution(arrays, "project_", (1,), index, residual=residual, wide=wide)
