"""A TFLite file as plain values: operators, tensors, options. The `tflite` package knows the schema."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .integers import Grid

_TYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 7: np.int16, 9: np.int8}
_OTHERS = {5: "string", 6: "bool", 17: "int4"}
_ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "MEAN": "ReducerOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SOFTMAX": "SoftmaxOptions",
}
# What an operator can't be without: inputs, and options that have no sensible default.
_INPUTS = dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "ADD", "SUB", "MUL", "PAD"), 2)
_STRIDED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_ZERO_POINTS = {np.int8: (-128, 127), np.uint8: (0, 255)}


class TFLiteError(InputError):
    """A file that is no TFLite model, or a model that can't be a blob."""


@dataclass
class Tensor:
    """One tensor. Scales and zero points: one, or one a channel; none if it is not quantized."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: Any  # numpy's, or None for one that has no place here
    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    data: NDArray[Any] | None  # of a constant
    kind: int = -1  # the schema's number of its type

    @property
    def type_name(self) -> str:
        """Its type, for people."""
        return np.dtype(self.dtype).name if self.dtype is not None else _OTHERS.get(self.kind, "an unknown type")

    @property
    def scale(self) -> float:
        """The only scale."""
        if self.scales.size != 1:
            raise TFLiteError(f"tensor {self.index} ({self.name}): {self.scales.size} scales, 1 is needed")
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The only zero point, as that of int8 (uint8's less 128)."""
        _ = self.scale
        return int(self.zero_points[0]) - (128 if self.dtype == np.uint8 else 0)

    @property
    def grid(self) -> Grid:
        """The only scale and zero point."""
        return Grid(self.scale, self.zero_point)


@dataclass
class Operator:
    """One operator. Options are the schema's, by their method names' results."""

    index: int
    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def activation(self) -> str:
        """NONE, RELU, RELU6, ..."""
        number = self.options.get("FusedActivationFunction", 0)
        return _ACTIVATIONS.get(number, f"activation {number}")


@dataclass
class Graph:
    """The main subgraph."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


def _array(value: Any, dtype: Any) -> NDArray[Any]:
    # The package gives 0 for an empty vector.
    return np.array([] if isinstance(value, int) else value, dtype)


def _options(op: Any, kind: str) -> dict[str, Any]:
    import tflite

    name, table = OPTIONS.get(kind), op.BuiltinOptions()
    if name is None or table is None:
        return {}
    options = getattr(tflite, name)()
    options.Init(table.Bytes, table.Pos)
    found = {}
    for method in dir(options):
        if method[0].isupper() and method != "Init" and not method.startswith(("GetRoot", name)):
            try:
                found[method] = getattr(options, method)()
            except TypeError:  # wants arguments
                continue
    return found


def read(path: str | Path) -> Graph:
    """The graph in a file. TFLiteError or OSError."""
    import tflite

    data = Path(path).read_bytes()
    if data[4:8] != b"TFL3":
        raise TFLiteError(
            f"{path}: no TFLite model: bytes 4..8 are {data[4:8]!r}, not b'TFL3'; a PyTorch network goes by rnnpool "
            "export, one of Keras by tf.lite.TFLiteConverter"
        )
    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        graph = model.Subgraphs(0)
        names = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
        tensors = [_tensor(model, graph.Tensors(i), i) for i in range(graph.TensorsLength())]
        operators = []
        for i in range(graph.OperatorsLength()):
            op = graph.Operators(i)
            code = model.OperatorCodes(op.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            kind = names.get(number, f"operator {number}")
            inputs, outputs = _array(op.InputsAsNumpy(), np.int64), _array(op.OutputsAsNumpy(), np.int64)
            operators.append(Operator(i, kind, inputs.tolist(), outputs.tolist(), _options(op, kind)))
        ends = (_array(graph.InputsAsNumpy(), np.int64).tolist(), _array(graph.OutputsAsNumpy(), np.int64).tolist())
    except TFLiteError:
        raise
    except Exception as error:  # the package follows offsets wherever they lead
        raise TFLiteError(f"{path}: damaged: {type(error).__name__}: {error}") from error
    found = Graph(tensors, operators, *ends)
    try:
        _check(found)
    except TFLiteError as error:
        raise TFLiteError(f"{path}: {error}") from None
    return found


def _check(graph: Graph) -> None:
    # What all that follows takes for granted: numbers of tensors, shapes, scales.
    count = len(graph.tensors)
    for what, indices in (("the graph's inputs", graph.inputs), ("the graph's outputs", graph.outputs)):
        if not all(0 <= t < count for t in indices):
            raise TFLiteError(f"{what} are the tensors {indices}, of {count}")
    for op in graph.operators:
        where = f"operator {op.index}, {op.kind}"
        if not all(-1 <= t < count for t in op.inputs) or not all(0 <= t < count for t in op.outputs):
            raise TFLiteError(f"{where}: tensors {op.inputs} to {op.outputs}, of {count}")
        least = _INPUTS.get(op.kind, 1)
        if len(op.inputs) < least or not op.outputs:
            raise TFLiteError(f"{where}: {len(op.inputs)} inputs, {least} are needed, and {len(op.outputs)} outputs")
        if op.kind in _STRIDED:
            names = ("StrideH", "StrideW", *(("FilterHeight", "FilterWidth") if "POOL" in op.kind else ()))
            if min(op.options.get(name, 0) for name in names) < 1 or "Padding" not in op.options:
                raise TFLiteError(f"{where}: no strides or no window in its options")
    used = {t for op in graph.operators for t in (*op.inputs, *op.outputs)}
    for tensor in graph.tensors:
        where = f"tensor {tensor.index} ({tensor.name})"
        if tensor.index in used and min(tensor.shape, default=1) < 1:
            raise TFLiteError(f"{where}: shape {tensor.shape}")
        if not (np.isfinite(tensor.scales).all() and (tensor.scales > 0).all()):
            raise TFLiteError(f"{where}: scales {tensor.scales.min():g} to {tensor.scales.max():g}")
        if tensor.zero_points.size != tensor.scales.size:
            raise TFLiteError(f"{where}: {tensor.scales.size} scales, {tensor.zero_points.size} zero points")
        low, high = _ZERO_POINTS.get(tensor.dtype, (-(2**31), 2**31 - 1))
        if not ((tensor.zero_points >= low) & (tensor.zero_points <= high)).all():
            raise TFLiteError(f"{where}: a zero point beyond {low} to {high}")


def _tensor(model: Any, tensor: Any, index: int) -> Tensor:
    quantization = tensor.Quantization()
    scales = _array(quantization.ScaleAsNumpy() if quantization else 0, np.float64)
    zero_points = _array(quantization.ZeroPointAsNumpy() if quantization else 0, np.int64)
    if not zero_points.size:
        zero_points = np.zeros(scales.shape, np.int64)
    shape = tuple(int(n) for n in _array(tensor.ShapeAsNumpy(), np.int64))
    dtype = _TYPES.get(tensor.Type())
    raw = _array(model.Buffers(tensor.Buffer()).DataAsNumpy(), np.uint8)
    name = (tensor.Name() or b"").decode(errors="replace")
    data = None
    if raw.size and dtype is not None:
        values = np.frombuffer(raw.tobytes(), dtype)
        if values.size != np.prod(shape, dtype=np.int64):
            raise TFLiteError(f"tensor {index} ({name}): {values.size} values, shape {shape}")
        data = values.reshape(shape)
    return Tensor(index, name, shape, dtype, scales, zero_points, data, tensor.Type())
