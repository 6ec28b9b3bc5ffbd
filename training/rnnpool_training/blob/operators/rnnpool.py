"""RNNPool."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind
from .base import Arrays, Int16, Operator, Own, Record, Shape, check_output, check_sums, fail, magnitudes

_SHIFTS = tuple(Own(f"shift_{name}", "u1", 0, 24) for name in ("w1", "u1", "w2", "u2"))


@dataclass(eq=False, kw_only=True)
class RNNPool(Operator):
    """RNNPool over patches: RNN1 (h1) along rows and columns, RNN2 (h2) over its summaries both ways (section 3)."""

    kind: ClassVar[Kind] = Kind.RNNPOOL
    flags: ClassVar[int] = layout.FLAG_SMOOTH
    fixed_zero_point: ClassVar[bool] = True
    unclamped: ClassVar[bool] = True
    own = (
        Own("patch_height", "u1", 1, layout.MAX_PATCH),
        Own("patch_width", "u1", 1, layout.MAX_PATCH),
        Own("stride", "u1", 1, layout.MAX_PATCH),
        Own("pad_bottom", "u1", 0, 8),
        Own("pad_right", "u1", 0, 8),
        Own("reserved_pool", "u1", 0, 0),
        Own("hidden", "<u2", 1, layout.MAX_HIDDEN),
        *_SHIFTS,
        Own("zeta1", "<u2", 0, 32768),
        Own("nu1", "<u2", 0, 32767),
        Own("zeta2", "<u2", 0, 32768),
        Own("nu2", "<u2", 0, 32767),
    )

    patch_height: int
    patch_width: int
    stride: int
    w1: Int16  # [h1, in]
    u1: Int16  # [h1, h1]
    bz1: Int16  # [h1]
    bh1: Int16  # [h1]
    w2: Int16  # [h2, h1]
    u2: Int16  # [h2, h2]
    bz2: Int16  # [h2]
    bh2: Int16  # [h2]
    shift_w1: int = 16
    shift_u1: int = 16
    shift_w2: int = 16
    shift_u2: int = 16
    zeta1: int = 32768  # sigmoid(zeta) in Q15, 0..32768
    nu1: int = 0  # sigmoid(nu) in Q15, 0..32767
    zeta2: int = 32768
    nu2: int = 0
    smooth: bool = False  # sigmoid and tanh by table; else hard
    pad_bottom: int = 0  # copies of the last row
    pad_right: int = 0  # copies of the last column

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return 4 * int(self.w2.shape[0])

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        rows = (shape[0] - self.patch_height) // self.stride + 1
        columns = (shape[1] - self.patch_width) // self.stride + 1
        return rows + self.pad_bottom, columns + self.pad_right, self.out_channels

    def own_fields(self) -> dict[str, int]:
        """All but the arrays."""
        derived = {"reserved_pool": 0, "hidden": len(self.w1)}
        return derived | {f.name: int(getattr(self, f.name)) for f in self.own if f.name not in derived}

    def own_flags(self) -> int:
        """Which non-linearities."""
        return layout.FLAG_SMOOTH if self.smooth else 0

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """All but what follows from the arrays."""
        found = {f.name: r[f.name] for f in cls.own if f.name not in ("reserved_pool", "hidden")}
        return found | {"smooth": bool(r["flags"] & layout.FLAG_SMOOTH)}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Both cells."""
        h1, h2 = r["hidden"], r["out_channels"] // 4
        return [
            ("w1", "<i2", (h1, r["in_channels"])),
            ("u1", "<i2", (h1, h1)),
            ("bz1", "<i2", (h1,)),
            ("bh1", "<i2", (h1,)),
            ("w2", "<i2", (h2, h1)),
            ("u2", "<i2", (h2, h2)),
            ("bz2", "<i2", (h2,)),
            ("bh2", "<i2", (h2,)),
        ]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """Four vectors of h2; a patch fits into the input."""
        most = 4 * layout.MAX_HIDDEN
        if r["out_channels"] % 4 or not 4 <= r["out_channels"] <= most:
            fail("out_channels", f"a multiple of 4 in 4..{most}", r["out_channels"], index)
        sizes = []
        for axis, pad in (("height", "pad_bottom"), ("width", "pad_right")):
            if r[f"patch_{axis}"] > r[f"in_{axis}"]:
                fail(f"patch_{axis}", f"at most in_{axis} = {r[f'in_{axis}']}", r[f"patch_{axis}"], index)
            sizes.append((r[f"in_{axis}"] - r[f"patch_{axis}"]) // r["stride"] + 1 + r[pad])
        check_output(r, sizes[0], sizes[1], index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Sums of matrices' rows (section 3)."""
        for name, limit in (("w1", 255), ("u1", 32768), ("w2", 32768), ("u2", 32768)):
            check_sums(name, magnitudes(arrays[name]).sum(1) * limit, index)
