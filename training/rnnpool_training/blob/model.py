"""A model as typed Python objects: what a blob holds, less what follows from it (shapes, zero points of inputs, sizes).

Arrays have the dtypes, shapes and meaning of mp_module/SPEC.md; the arithmetic is docs/arithmetic.md.
Nothing is checked here: `write` checks a model, `read` checks bytes.
"""

from dataclasses import dataclass, field

from .kinds import Kind, Task
from .operators import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    DetectHead,
    GlobalAveragePool,
    Int8,
    Int16,
    Int32,
    InvertedResidual,
    L2Norm,
    Lookup,
    Mul,
    Operator,
    Pool,
    RNNPool,
    Shape,
    UInt16,
    Upsample,
)

__all__ = [
    "Add",
    "Concat",
    "Conv",
    "Dense",
    "Depthwise",
    "DetectHead",
    "GlobalAveragePool",
    "Int8",
    "Int16",
    "Int32",
    "InvertedResidual",
    "Kind",
    "L2Norm",
    "Lookup",
    "Model",
    "Mul",
    "Op",
    "Pool",
    "RNNPool",
    "Shape",
    "Task",
    "UInt16",
    "Upsample",
]

Op = Operator


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
    result_scale: float = 0.0  # of a map, a normal float32 above 0: real = result_scale * (q - out_zero_point)
    numbers: bool = False  # of a classification: outputs are numbers (regression), not logits of classes
    golden_seed: int = 1
    golden_crc: int = 0
    map_channels: int = 0  # of the int8 map that a layer reads, 1..2048; else 0
    input_zero_point: int = 0  # of the frame's int8 values (bytes less 128), or of that map

    @property
    def input_shape(self) -> Shape:
        """Height, width, channels of the model's input."""
        return self.height, self.width, self.channels or self.map_channels

    def shapes(self) -> list[Shape]:
        """Shape of each operator's output, in order."""
        shapes = [self.input_shape]
        for op in self.ops:
            shapes.append(op.out_shape(*(shapes[tensor] for tensor in op.reads)))
        return shapes[1:]

    def in_shape(self, index: int) -> Shape:
        """Shape of the first input of operator `index`."""
        source = self.ops[index].input
        return self.input_shape if source == 0 else self.shapes()[source - 1]

    def in_zero_points(self, index: int) -> list[int]:
        """Zero points of the inputs of operator `index`; the first is also the value that it pads with."""
        return [self.input_zero_point if t == 0 else self.ops[t - 1].out_zero_point for t in self.ops[index].reads]

    def in_zero_point(self, index: int) -> int:
        """That of the first input."""
        return self.in_zero_points(index)[0]

    def results(self) -> list[int]:
        """Indices of the operators whose outputs are the results: the heads, or the last one."""
        results = [i for i, op in enumerate(self.ops) if op.result is not None]
        return [len(self.ops) - 1] if self.task in (Task.LAYER, Task.MAP) else results
