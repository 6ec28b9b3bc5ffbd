"""A model as typed Python objects: what a blob holds, less what follows from it (shapes, zero points of inputs, sizes).

Arrays have the dtypes, shapes and meaning of mp_module/SPEC.md; the arithmetic is docs/arithmetic.md.
Nothing is checked here: `write` checks a model, `read` checks bytes.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Int16 = NDArray[np.int16]
UInt16 = NDArray[np.uint16]
Int32 = NDArray[np.int32]
Shape = tuple[int, int, int]  # height, width, channels


class Task(IntEnum):
    """What a model does."""

    DETECTION = 1
    CLASSIFICATION = 2
    LAYER = 3  # a single operator, for scripts that chain them


class Kind(IntEnum):
    """Kinds of operator."""

    CONV = 1
    RNNPOOL = 2
    INVERTED_RESIDUAL = 3
    DETECT_HEAD = 4
    GLOBAL_AVERAGE_POOL = 5
    DENSE = 6


@dataclass(eq=False, kw_only=True)
class Conv:
    """Convolution: kernel 1x1 or 3x3, stride 1 or 2, padded with the input's zero point (section 2)."""

    kind: ClassVar[Kind] = Kind.CONV
    input: int  # 0 the frame, k the output of operator k - 1
    weight: Int8  # [out, k, k, in]
    bias: Int32  # [out]
    multiplier: Int32  # [out], 0 <= M < 2^31
    stride: int = 1
    out_zero_point: int = 0
    act_min: int = -128
    act_max: int = 127
    materialize: bool = False

    @property
    def out_channels(self) -> int:
        return int(self.weight.shape[0])

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        height, width = (_conv_size(n, int(self.weight.shape[1]), self.stride) for n in shape[:2])
        return height, width, self.out_channels


@dataclass(eq=False, kw_only=True)
class DetectHead:
    """Detection head: a convolution to int16 in Q12; per anchor logit, dx, dy, tw, th (sections 2 and 4)."""

    kind: ClassVar[Kind] = Kind.DETECT_HEAD
    materialize: ClassVar[bool] = False
    out_zero_point: ClassVar[int] = 0
    input: int
    weight: Int8  # [5 * anchors, k, k, in]
    bias: Int32  # [5 * anchors]
    multiplier: Int32  # [5 * anchors], 24 fraction bits
    anchors: UInt16  # [anchors, 2]: width, height in 1/16 pixel of the model's input, 1..32767
    step: int  # pixels of the model's input a cell

    @property
    def out_channels(self) -> int:
        return int(self.weight.shape[0])

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return shape[0], shape[1], self.out_channels


@dataclass(eq=False, kw_only=True)
class InvertedResidual:
    """1x1 expansion, depthwise 3x3, 1x1 projection; with `residual` the input is added (section 2)."""

    kind: ClassVar[Kind] = Kind.INVERTED_RESIDUAL
    input: int
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
    out_zero_point: int = 0
    exp_zero_point: int = 0
    dw_zero_point: int = 0
    exp_min: int = -128
    exp_max: int = 127
    dw_min: int = -128
    dw_max: int = 127
    materialize: bool = False

    @property
    def out_channels(self) -> int:
        return int(self.project_weight.shape[0])

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        height, width = (_conv_size(n, 3, self.stride) for n in shape[:2])
        return height, width, self.out_channels


@dataclass(eq=False, kw_only=True)
class RNNPool:
    """RNNPool over patches: RNN1 (h1) along rows and columns, RNN2 (h2) over its summaries both ways (section 3)."""

    kind: ClassVar[Kind] = Kind.RNNPOOL
    out_zero_point: ClassVar[int] = 0
    input: int
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
    materialize: bool = False

    @property
    def out_channels(self) -> int:
        return 4 * int(self.w2.shape[0])

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        rows = (shape[0] - self.patch_height) // self.stride + 1
        columns = (shape[1] - self.patch_width) // self.stride + 1
        return rows + self.pad_bottom, columns + self.pad_right, self.out_channels


@dataclass(eq=False, kw_only=True)
class GlobalAveragePool:
    """Mean of each channel over the whole map: [h, w, c] -> [1, 1, c] (section 2)."""

    kind: ClassVar[Kind] = Kind.GLOBAL_AVERAGE_POOL
    input: int
    multiplier: Int32  # [1], 24 fraction bits: round(2^24 s_in / (s_out h w)), 0 <= M < 2^31
    out_zero_point: int = 0
    materialize: bool = False

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return 1, 1, shape[2]


@dataclass(eq=False, kw_only=True)
class Dense:
    """A classifier's last operator: [1, 1, in] to one int16 logit in Q12 a label (sections 2 and 6)."""

    kind: ClassVar[Kind] = Kind.DENSE
    materialize: ClassVar[bool] = False
    out_zero_point: ClassVar[int] = 0
    input: int
    weight: Int8  # [labels, in]
    bias: Int32  # [labels]
    multiplier: Int32  # [labels], 24 fraction bits: round(2^24 2^12 s_in s_w)

    @property
    def out_channels(self) -> int:
        return int(self.weight.shape[0])

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return shape[0], shape[1], self.out_channels


Op = Conv | RNNPool | InvertedResidual | DetectHead | GlobalAveragePool | Dense


@dataclass(eq=False, kw_only=True)
class Model:
    """One network with everything that a device needs to know of it."""

    task: Task
    name: str  # 1..31 bytes of UTF-8
    labels: list[str]
    height: int  # input, pixels
    width: int
    channels: int  # 1 or 3; of a layer that reads an int8 map, not pixels: 0
    ops: list[Op] = field(default_factory=list)  # in topological order
    threshold: int = 16384  # default score threshold, Q15
    iou: int = 9830  # default limit of the suppression, Q15
    max_candidates: int = 0  # detection: 1..512
    golden_seed: int = 1
    golden_crc: int = 0
    map_channels: int = 0  # of the int8 map that a layer reads, 1..1024; else 0
    map_zero_point: int = 0  # likewise

    @property
    def input_shape(self) -> Shape:
        """Height, width, channels of the model's input."""
        return self.height, self.width, self.channels or self.map_channels

    def shapes(self) -> list[Shape]:
        """Shape of each operator's output, in order."""
        shapes: list[Shape] = []
        for op in self.ops:
            shapes.append(op.out_shape(self.input_shape if op.input == 0 else shapes[op.input - 1]))
        return shapes

    def in_shape(self, index: int) -> Shape:
        """Shape of the input of operator `index`."""
        source = self.ops[index].input
        return self.input_shape if source == 0 else self.shapes()[source - 1]

    def in_zero_point(self, index: int) -> int:
        """Zero point of the input of operator `index`, which is also the value that it pads with."""
        source = self.ops[index].input
        return self.map_zero_point if source == 0 else self.ops[source - 1].out_zero_point

    def results(self) -> list[int]:
        """Indices of the operators whose outputs are the results: the heads, or the last one."""
        if self.task == Task.DETECTION:
            return [i for i, op in enumerate(self.ops) if isinstance(op, DetectHead)]
        return [len(self.ops) - 1]


def _conv_size(size: int, kernel: int, stride: int) -> int:
    return (size + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
