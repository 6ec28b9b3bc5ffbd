"""What an operator is in a blob: shared fields, its own ones with their ranges, its arrays, its rules.

One file an operator; `__init__` has the table. The same is said in C in mp_module/engine/operators.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import layout
from ..error import BlobError, Status
from ..kinds import Kind, Task

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]
UInt16 = NDArray[np.uint16]
Int32 = NDArray[np.int32]
Shape = tuple[int, int, int]  # height, width, channels
NARROW = 1 << 23  # what sums of dense layers are below without the flag WIDE
Record = dict[str, Any]  # shared and own fields of an operator, as plain numbers
Arrays = dict[str, NDArray[Any]]


class Own(NamedTuple):
    """One of an operator's own fields in its record."""

    name: str
    dtype: str
    low: int
    high: int


@dataclass(eq=False, kw_only=True)
class Operator:
    """What all operators have. Subclasses add their arrays and fields, named as in SPEC.md."""

    kind: ClassVar[Kind]
    result: ClassVar[Task | None] = None  # the task whose result it gives: int16; else int8 for others to read
    flags: ClassVar[int] = 0  # that it may have, beside MATERIALIZE
    inputs: ClassVar[tuple[int, int]] = (1, 1)  # the least and the most
    max_shift: ClassVar[int] = 0
    fixed_zero_point: ClassVar[bool] = False  # out_zero_point is 0
    unclamped: ClassVar[bool] = False  # act_min, act_max are -128, 127
    own: ClassVar[tuple[Own, ...]] = ()

    input: int  # the first tensor that it reads: 0 the frame, k the output of operator k - 1
    others: tuple[int, ...] = ()  # further ones
    out_zero_point: int = 0
    act_min: int = -128  # clamp of the output
    act_max: int = 127
    shift: int = 0  # of the accumulator to the left, before its multiplier
    materialize: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        """All tensors that it reads."""
        return self.input, *self.others

    def out_shape(self, shape: Shape, *others: Shape) -> Shape:
        """Shape of the output for inputs of these shapes."""
        raise NotImplementedError

    def own_fields(self) -> dict[str, int]:
        """Values of its own fields."""
        return {field.name: int(getattr(self, field.name)) for field in self.own}

    def own_flags(self) -> int:
        """Its flags beside MATERIALIZE."""
        return 0

    def wide(self) -> bool:
        """Whether sums of its dense layers need the flag WIDE: asked when its arrays are known to be right."""
        return False

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Its parameter section."""
        raise NotImplementedError

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """The dataclass's own fields that are not arrays."""
        return {field.name: r[field.name] for field in cls.own}

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """What ranges do not say, and the output's shape. inputs: each one's record, or the frame's `out_*`."""
        raise NotImplementedError

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Ranges of values, and sums that can't overflow."""


def fail(what: str, expected: object, given: object, op: int = -1) -> NoReturn:
    """Raises the error for a field out of its range or in contradiction to another."""
    raise BlobError(Status.FORMAT, what, expected, given, op)


def check_range(record: Record, name: str, low: int, high: int, op: int = -1) -> None:
    """low <= record[name] <= high."""
    if not low <= record[name] <= high:
        fail(name, f"{low}..{high}" if low != high else low, record[name], op)


def check_equal(record: Record, op: int, **values: int) -> None:
    """Fields have these values."""
    for name, value in values.items():
        check_range(record, name, value, value, op)


def check_output(record: Record, height: int, width: int, op: int) -> None:
    """The output is height x width, both within limits."""
    check_equal(record, op, out_height=height, out_width=width)
    check_range(record, "out_height", 1, layout.MAX_SIDE, op)
    check_range(record, "out_width", 1, layout.MAX_SIDE, op)


def check_multipliers(what: str, multiplier: Int32, index: int) -> None:
    """0 <= M < 2^31."""
    if (multiplier < 0).any():
        fail(what, "0..2147483647", int(multiplier.min()), index)


def exponent_arrays(r: Record, count: int, prefix: str = "") -> list[layout.ArrayLayout]:
    """Exponents of multipliers that round as TensorFlow Lite does, if they do."""
    return [(f"{prefix}exponent", "<i1", (count,))] if r["flags"] & layout.FLAG_TFLITE else []


def check_exponents(arrays: Arrays, index: int, high: int = layout.MOST_EXPONENT) -> None:
    """Within their range, if there are any."""
    if "exponent" in arrays:
        given, low = arrays["exponent"], layout.LEAST_EXPONENT
        if (given < low).any() or (given > high).any():
            fail("exponent", f"{low}..{high}", int(given[(given < low) | (given > high)][0]), index)


def rounding_flags(fine: bool, tflite: bool) -> int:
    """Those that say how an operator rounds."""
    return (layout.FLAG_FINE if fine else 0) | (layout.FLAG_TFLITE if tflite else 0)


def check_rounding(r: Record, index: int) -> None:
    """There is but one of shift, fine biases, and exponents."""
    special = r["flags"] & (layout.FLAG_FINE | layout.FLAG_TFLITE)
    if special == layout.FLAG_FINE | layout.FLAG_TFLITE:
        fail("flags", "FINE or TFLITE", f"0x{r['flags']:02x}", index)
    if special:
        check_range(r, "shift", 0, 0, index)


def check_sums(what: str, sums: NDArray[np.int64], index: int) -> None:
    """Sums of magnitudes fit int32."""
    worst = int(sums.max())
    if worst >= 1 << 31:
        fail(what, f"largest sum below {1 << 31}", worst, index)


def magnitudes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Absolute values that can't wrap."""
    return np.abs(values.astype(np.int64))


def is_wide(weight: Int8, bias: Int32, residual: Int32 | None = None) -> bool:
    """Whether sums of a dense layer need the flag WIDE."""
    sums = magnitudes(weight).reshape(len(weight), -1).sum(1) * 128 + magnitudes(bias)
    if residual is not None:
        sums += magnitudes(residual) * 128
    return bool(sums.max() >= NARROW)


def check_convolution(
    arrays: Arrays,
    prefix: str,
    axes: tuple[int, ...],
    index: int,
    shift: int = 0,
    residual: Int32 | None = None,
    fine: bool = False,
    wide: bool | None = None,
) -> None:
    """Multipliers, and the overflow rule of section 2.

    axes: of the weights, all but the outputs'. wide: of dense layers, whether there is the flag WIDE.
    """
    check_multipliers(f"{prefix}multiplier", arrays[f"{prefix}multiplier"], index)
    check_exponents(arrays, index)
    weight, bias = arrays[f"{prefix}weight"], arrays[f"{prefix}bias"]
    unit = 128 << layout.FINE_BITS if fine else 128
    sums = magnitudes(weight).sum(axes) * unit + magnitudes(bias)
    if residual is not None:
        sums += magnitudes(residual) * 128
    if wide is not None:
        if (magnitudes(weight) > 127).any():
            fail(f"{prefix}weight", "-127..127", int(weight.flat[magnitudes(weight).argmax()]), index)
        if not wide and not fine and sums.max() >= NARROW:
            fail(f"{prefix}weight", f"largest sum below {NARROW}, or the flag WIDE", int(sums.max()), index)
    if "exponent" in arrays:
        sums = sums << 1 + np.maximum(arrays["exponent"].astype(np.int64), 0)
    check_sums(f"{prefix}weight", sums << shift, index)


def dense_arrays(prefix: str, outputs: int, inputs: tuple[int, ...]) -> list[layout.ArrayLayout]:
    """Weights in the kernels' order, biases and multipliers."""
    return [
        (f"{prefix}weight", "<i1", (outputs, *inputs)),
        (f"{prefix}bias", "<i4", (outputs,)),
        (f"{prefix}multiplier", "<i4", (outputs,)),
    ]
