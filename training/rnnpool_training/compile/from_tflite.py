"""From a quantized TFLite graph to a blob's: integers as they are, requantization in this engine's way.

The input's bytes are the model's int8 values plus 128 (uint8: as they are). A final softmax is dropped: `classify` does
it, and of a map the largest channel is the same; so is the LOGISTIC of a single logit, which becomes no and yes. Every
operator that can't be translated is named with its index and shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    GlobalAveragePool,
    Lookup,
    Model,
    Mul,
    Op,
    Pool,
    Task,
    Upsample,
    write,
)
from ..reference import set_golden
from . import integers, tflite_rounding, tflite_tables, tflite_weights
from .tflite_constants import with_constant
from .tflite_ends import SAME_VALUES, ends_with, result_tensor, single_sigmoid, tail, without_shapes
from .tflite_file import Graph, Operator, Tensor, TFLiteError
from .tflite_quantization import check_quantization

Padding = tuple[int, int, int, int]
Floats = NDArray[np.float64]
NO_PADDING: Padding = (0, 0, 0, 0)
SAME = 0  # of the schema's Padding
# What reads or makes a vector in the place of a map: values in their order, each by itself, or all of them.
FLAT = (*SAME_VALUES, *tflite_tables.KINDS, "QUANTIZE", "FULLY_CONNECTED", "ADD")
COPY = Lookup(input=0, table=np.arange(-128, 128).astype(np.int8))


class FrameReadAgain(Exception):
    """The frame is read again: by a second operator, or twice by the first."""


class Lowering:
    """Operators of one graph, one after the other."""

    def __init__(self, graph: Graph, copied: bool = False) -> None:
        """copied: the first operator copies the frame, which only the first operator of a blob can read."""
        self.graph = graph
        self.ops: list[Op] = [COPY] if copied else []
        self.number: dict[int, int] = {}  # of a TFLite tensor: that of the blob's
        self.pads: dict[int, Padding] = {}  # a tensor that is another one padded, which the next operator does
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise TFLiteError(f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs: one of each is needed")
        self.frame = graph.tensors[graph.inputs[0]]
        self.tail, self.result = tail(graph), result_tensor(graph)
        self.start = len(self.ops)  # the blob's number of the frame's int8 values
        self.number[graph.inputs[0]] = self.start

    # ---- the graph ----

    def tensor(self, index: int) -> Tensor:
        """One of the graph's tensors."""
        return self.graph.tensors[index]

    def where(self, op: Operator) -> str:
        """An operator, for people."""
        shapes = " and ".join("x".join(map(str, self.tensor(t).shape[1:])) or "-" for t in op.inputs[:2] if t >= 0)
        return f"operator {op.index}, {op.kind} of {shapes}"

    def fail(self, op: Operator, what: str) -> TFLiteError:
        """The error for an operator that can't be translated."""
        return TFLiteError(f"{self.where(op)}: {what}")

    def source(self, op: Operator, which: int = 0) -> int:
        """The blob's number of an input."""
        tensor = op.inputs[which]
        if tensor not in self.number:
            raise self.fail(op, f"input {which} is a constant, or of an operator that is not there")
        return self.number[tensor]

    def shape(self, tensor: Tensor) -> tuple[int, int, int]:
        """Height, width, channels: a vector is a pixel."""
        inner = (*(1,) * (4 - len(tensor.shape)), *tensor.shape[1:])
        if len(tensor.shape) not in (2, 3, 4) or (len(tensor.shape) > 2 and tensor.shape[0] != 1):
            raise TFLiteError(f"tensor {tensor.index} ({tensor.name}): shape {tensor.shape}, [1, h, w, c] is needed")
        return inner[0], inner[1], inner[2]

    def constant(self, op: Operator, which: int, dtype: Any) -> NDArray[Any]:
        """A constant input."""
        if op.inputs[which] < 0:
            raise self.fail(op, f"no input {which}")
        tensor = self.tensor(op.inputs[which])
        if tensor.data is None or tensor.dtype != dtype:
            given = "no constant" if tensor.data is None else np.dtype(tensor.dtype).name
            raise self.fail(op, f"input {which} must be a constant {np.dtype(dtype).name}, is {given}")
        return tensor.data

    def weights(self, op: Operator, rank: int) -> NDArray[np.int8]:
        """The constant weights, of so many dimensions."""
        weight: NDArray[np.int8] = self.constant(op, 1, np.int8)
        if weight.ndim != rank:
            raise self.fail(op, f"weights of the shape {weight.shape}, {rank} dimensions are needed")
        rows, columns = (op.options.get(f"Dilation{axis}Factor", 1) for axis in "HW")
        if min(rows, columns) < 1:
            raise self.fail(op, f"dilation {rows}x{columns}")
        return weight if (rows, columns) == (1, 1) else tflite_weights.dilated(weight, rows, columns)

    def check_map(self, op: Operator, tensor: Tensor) -> None:
        """That a tensor is the map that was made for it: of the same shape, or that map as a vector."""
        if tensor.dtype not in ((np.int8, np.uint8, np.float32) if op.kind in SAME_VALUES else (np.int8, np.uint8)):
            given = "of an unknown kind" if tensor.dtype is None else np.dtype(tensor.dtype).name
            raise self.fail(op, f"tensor {tensor.index} ({tensor.name}) is {given}, not int8")
        made, said = self.made_shape(tensor.index), self.shape(tensor)
        flat = (1, 1, made[0] * made[1] * made[2])
        if said != made and not (said == flat and op.kind in FLAT):
            shapes = ["x".join(map(str, shape)) for shape in (made, said)]
            raise self.fail(op, f"tensor {tensor.index} ({tensor.name}) is a map of {shapes[0]}, here {shapes[1]}")

    def check_grids(self, op: Operator) -> None:
        """That an operator which copies values keeps their scale and zero point, if they have one."""
        tensors = [self.tensor(t) for t in (op.inputs[0], op.outputs[0])]
        grids = {(t.scale, t.zero_point) for t in tensors if t.scales.size}
        if len(grids) > 1:
            raise self.fail(op, "input and output of different scales")

    def add(self, op: Operator, made: Op) -> None:
        """Takes a translated operator."""
        if 0 in made.reads and (self.ops or len(made.reads) > 1):
            raise FrameReadAgain
        self.ops.append(made)
        self.number[op.outputs[0]] = len(self.ops)

    def clamp(self, op: Operator) -> dict[str, Any]:
        """Zero point of the output and the clamp of the operator's activation."""
        if op.activation not in ("NONE", "RELU", "RELU6"):
            raise self.fail(op, f"activation {op.activation}")
        low = 0.0 if op.activation != "NONE" else -np.inf
        high = 6.0 if op.activation == "RELU6" else np.inf
        return self.tensor(op.outputs[0]).grid.clamp(low, high)

    def window(self, op: Operator, size: tuple[int, int]) -> dict[str, Any]:
        """Strides and padding."""
        options = op.options
        strides = (options["StrideH"], options["StrideW"])
        pads = self.pads.get(op.inputs[0], NO_PADDING)
        if options["Padding"] == SAME:
            if pads != NO_PADDING:
                raise self.fail(op, "SAME padding behind PAD")
            height, width, _ = self.shape(self.tensor(op.inputs[0]))
            out_height, out_width, _ = self.shape(self.tensor(op.outputs[0]))
            rows = max((out_height - 1) * strides[0] + size[0] - height, 0)
            columns = max((out_width - 1) * strides[1] + size[1] - width, 0)
            pads = (rows // 2, columns // 2, rows - rows // 2, columns - columns // 2)
        return {"stride": strides, "padding": pads}

    def affine(self, op: Operator, weight: NDArray[np.int8], axes: tuple[int, ...]) -> tuple[NDArray[np.int64], Floats]:
        """Biases with the input's zero point in them, and the factors to real numbers (of an accumulator)."""
        x, w = self.tensor(op.inputs[0]), self.tensor(op.inputs[1])
        if (w.zero_points != 0).any():
            raise self.fail(op, f"weights with the zero point {int(w.zero_points[w.zero_points != 0][0])}, 0 is needed")
        sums = weight.astype(np.int64).sum(axes)
        bias = np.zeros(sums.shape, np.int64)
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias = self.constant(op, 2, np.int32).astype(np.int64)
            if bias.shape != sums.shape:
                raise self.fail(op, f"{bias.size} biases for {sums.size} outputs")
        factors = x.scale * w.scales
        if op.kind == "FULLY_CONNECTED" and w.scales.size == 1:  # in float32, as TFLite has it
            factors = (np.float32(x.scale) * w.scales.astype(np.float32)).astype(np.float64)
        return bias - x.zero_point * sums, np.broadcast_to(factors, sums.shape)

    def scaled(self, op: Operator, weight: NDArray[np.int8], axes: tuple[int, ...]) -> dict[str, Any]:
        """Weights, biases, multipliers and rounding of an operator with int8 outputs, and its clamp.

        It gives the int8 values of TFLite's reference kernels. Numbers beyond theirs and ours are rounded once: next to
        them at most.
        """
        bias, factors = self.affine(op, weight, axes)
        clamp, factors = self.clamp(op), factors / self.tensor(op.outputs[0]).scale
        found = tflite_rounding.requantize(weight, bias, factors, clamp, axes, op.kind == "FULLY_CONNECTED")
        return (found or integers.requantize(weight, bias, factors, axes, self.where(op))) | clamp

    def logits(self, op: Operator, weight: NDArray[np.int8], axes: tuple[int, ...]) -> Dense:
        """The last layer, of the whole map: int16 logits of as many bits as its int8 outputs span."""
        bias, factors = self.affine(op, weight, axes)
        out = self.tensor(op.outputs[0])
        return integers.logits(weight, bias, factors, out.grid.largest, self.source(op), self.where(op))

    # ---- operators ----

    def conv_2d(self, op: Operator) -> None:
        """CONV_2D: logits if it is the last one, of the whole map, before RESHAPE or SOFTMAX (MobileNetV1)."""
        weight = self.weights(op, 4)
        inputs, own = self.shape(self.tensor(op.inputs[0]))[2], weight.shape[3]
        if inputs % own or len(weight) % (inputs // own):
            raise self.fail(op, f"weights of the shape {weight.shape} for {inputs} channels")
        weight, window = tflite_weights.ungrouped(weight, inputs), self.window(op, weight.shape[1:3])
        whole = weight.shape[1:] == self.shape(self.tensor(op.inputs[0])) and window["padding"] == NO_PADDING
        if whole and self.is_last(op) and op.outputs[0] not in self.graph.outputs:
            self.add(op, self.logits(op, weight, (1, 2, 3)))
            return
        scaled = self.scaled(op, weight, (1, 2, 3))
        self.add(op, Conv(input=self.source(op), **scaled, **window))

    def depthwise_conv_2d(self, op: Operator) -> None:
        """DEPTHWISE_CONV_2D; of several filters a channel a convolution."""
        weight = self.weights(op, 4)[0]
        channels, filters = self.shape(self.tensor(op.inputs[0]))[2], weight.shape[2]
        if filters % channels:
            raise self.fail(op, f"{filters} filters for {channels} channels: as many for each are needed")
        if filters > channels:
            full = tflite_weights.as_convolution(weight, channels)
            scaled, window = self.scaled(op, full, (1, 2, 3)), self.window(op, weight.shape[:2])
            self.add(op, Conv(input=self.source(op), **scaled, **window))
            return
        scaled = self.scaled(op, weight, (0, 1))
        own = scaled.pop("weight")
        window = self.window(op, weight.shape[:2])
        self.add(op, Depthwise(input=self.source(op), filter_weight=own, **scaled, **window))

    def fully_connected(self, op: Operator) -> None:
        """FULLY_CONNECTED: logits if it is the last one, else a convolution over the whole map."""
        height, width, channels = self.map_shape(op)
        flat = self.weights(op, 2)
        if flat.shape[1] != height * width * channels:
            raise self.fail(op, f"{flat.shape[1]} weights for {height * width * channels} inputs")
        weight = flat.reshape(-1, height, width, channels)
        if self.is_last(op):
            self.add(op, self.logits(op, weight, (1, 2, 3)))
        else:
            self.add(op, Conv(input=self.source(op), padding=NO_PADDING, **self.scaled(op, weight, (1, 2, 3))))

    def pool_2d(self, op: Operator) -> None:
        """AVERAGE_POOL_2D, MAX_POOL_2D."""
        size = (op.options["FilterHeight"], op.options["FilterWidth"])
        self.check_grids(op)
        window, mean = self.window(op, size), op.kind == "AVERAGE_POOL_2D"
        whole = size == self.shape(self.tensor(op.inputs[0]))[:2] and window["padding"] == NO_PADDING
        if mean and whole:
            self.add(op, GlobalAveragePool(input=self.source(op), multiplier=None, **self.clamp(op)))
        else:
            self.add(op, Pool(input=self.source(op), size=size, mean=mean, **window, **self.clamp(op)))

    def mean(self, op: Operator) -> None:
        """MEAN over rows and columns."""
        rank = len(self.tensor(op.inputs[0]).shape)
        axes = sorted(int(a) + rank * (a < 0) for a in self.constant(op, 1, np.int32).reshape(-1))
        if axes != [1, 2]:
            raise self.fail(op, f"axes {axes}, [1, 2] are needed")
        x, out = self.tensor(op.inputs[0]), self.tensor(op.outputs[0])
        size, factor = self.shape(x)[:2], x.scale / out.scale
        self.add(op, integers.average(self.source(op), factor, size, self.clamp(op), self.where(op)))

    def sum(self, op: Operator) -> None:
        """ADD, SUB, CONCATENATION; of a map and a constant, one number or one a channel."""
        made = None if op.kind == "CONCATENATION" else with_constant(self, op)
        if made is not None:
            self.add(op, made)
            return
        out = self.tensor(op.outputs[0])
        scales = [self.tensor(t).scale for t in op.inputs]
        factors = np.array(scales) / out.scale
        sources = [self.source(op, i) for i in range(len(op.inputs))]
        shapes = {self.tensor(t).shape for t in op.inputs}
        if op.kind != "CONCATENATION" and (len(sources) != 2 or len(shapes) != 1):
            raise self.fail(op, "two maps of one shape are needed")
        if op.kind == "CONCATENATION" and op.options.get("Axis") not in (3, -1):
            raise self.fail(op, f"axis {op.options.get('Axis')}, 3 is needed")
        clamp = self.clamp(op)
        if op.kind == "CONCATENATION" and len(sources) == 1 and op.activation == "NONE":
            self.number[op.outputs[0]] = sources[0]
            return
        if op.kind == "CONCATENATION":
            self.add(op, integers.weighted(Concat, sources, factors, clamp, self.where(op)))
        elif op.kind == "ADD" and tflite_rounding.fits(m := tflite_rounding.add((scales[0], scales[1], out.scale)), 0):
            numbers = tflite_rounding.as_arrays(m)
            self.add(op, Add(input=sources[0], others=(sources[1],), **numbers, **clamp))
        else:
            signs = [1, -1 if op.kind == "SUB" else 1]
            self.add(op, integers.weighted(Add, sources, factors * signs, clamp, self.where(op)))

    def mul(self, op: Operator) -> None:
        """MUL by a vector of channels, or by a constant: one number or one a channel."""
        made = with_constant(self, op)
        if made is not None:
            self.add(op, made)
            return
        one, two = (self.shape(self.tensor(t)) for t in op.inputs)
        first, second = (1, 0) if one[:2] == (1, 1) != two[:2] else (0, 1)
        vector = (one, two)[second]
        if vector[:2] != (1, 1) or one[2] != two[2]:
            raise self.fail(op, "a map and a vector of its channels are needed")
        out = self.tensor(op.outputs[0])
        scales = [np.float32(self.tensor(t).scale) for t in (*op.inputs[:2], out.index)]
        factor = float(scales[0] * scales[1] / scales[2])  # in float32, as TFLite has it
        sources = (self.source(op, first), self.source(op, second))
        m = tflite_rounding.multipliers(np.array([factor]))
        if tflite_rounding.fits(m, 13):
            numbers = tflite_rounding.as_arrays(m)
            self.add(op, Mul(input=sources[0], others=(sources[1],), **numbers, **self.clamp(op)))
        else:
            self.add(op, integers.product(sources, factor, self.clamp(op), self.where(op)))

    def table(self, op: Operator) -> None:
        """Any pointwise function, and a change of scale. The last LOGISTIC of a single value: labels no and yes."""
        if op in self.tail:
            self.number[op.outputs[0]] = self.source(op)
            return
        x, out = self.tensor(op.inputs[0]), self.tensor(op.outputs[0])
        made = integers.lookup(self.source(op), tflite_tables.function(op), x.grid, out.grid)
        if np.array_equal(made.table, np.arange(-128, 128)):  # uint8 to int8
            self.number[op.outputs[0]] = self.source(op)
        else:
            self.add(op, made)

    def quantize(self, op: Operator) -> None:
        """QUANTIZE: of a float input, and from int8 to uint8 at the end, nothing is left of it."""
        if op.inputs[0] == self.frame.index and self.frame.dtype == np.float32:
            self.frame = self.tensor(op.outputs[0])
            self.number[op.outputs[0]] = self.start
        else:
            self.table(op)

    def pad(self, op: Operator) -> None:
        """PAD, which the next operator does."""
        amounts = self.constant(op, 1, np.int32)
        if amounts.shape != (4, 2) or amounts[0].any() or amounts[3].any():
            raise self.fail(op, "only rows and columns can be padded")
        self.check_grids(op)
        (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
        self.pads[op.outputs[0]] = (top, left, bottom, right)
        self.number[op.outputs[0]] = self.source(op)

    def upsample(self, op: Operator) -> None:
        """RESIZE_NEAREST_NEIGHBOR by a whole number."""
        one, two = self.shape(self.tensor(op.inputs[0])), self.shape(self.tensor(op.outputs[0]))
        factor = two[0] // one[0]
        if one[0] * factor != two[0] or one[1] * factor != two[1] or op.options.get("AlignCorners"):
            raise self.fail(op, f"to {two[0]}x{two[1]}: a whole factor is needed")
        zero_point = self.tensor(op.outputs[0]).zero_point
        if factor == 1:
            self.number[op.outputs[0]] = self.source(op)
            return
        self.add(op, Upsample(input=self.source(op), factor=factor, out_zero_point=zero_point))

    def same(self, op: Operator) -> None:
        """RESHAPE of a map to a vector, and what changes nothing; a last SOFTMAX, which is left out."""
        if op.kind not in ("SOFTMAX", "DEQUANTIZE"):
            self.check_grids(op)
        self.number[op.outputs[0]] = self.source(op)
        if op.kind == "RESHAPE" and op.inputs[0] == self.frame.index and len(self.frame.shape) == 2:
            self.frame = self.tensor(op.outputs[0])  # a picture or a spectrum that comes as a vector
        later = self.tail[: self.tail.index(op)] if op in self.tail else None
        if op.kind == "SOFTMAX" and (later is None or any(other.kind == op.kind for other in later)):
            raise self.fail(op, "only the last operator can be one")
        if op.options.get("Beta", 1.0) != 1.0:
            raise self.fail(op, f"beta {op.options['Beta']:g}, 1 is needed")

    # ---- helpers ----

    def map_shape(self, op: Operator) -> tuple[int, int, int]:
        """The shape of the map that an operator's first input is, whatever it was reshaped to."""
        self.source(op)
        return self.made_shape(op.inputs[0])

    def made_shape(self, tensor: int) -> tuple[int, int, int]:
        """The shape of the blob's map for a tensor."""
        number = self.number[tensor]
        return self.shape(self.frame) if number == 0 else self.model().shapes()[number - 1]

    def is_last(self, op: Operator) -> bool:
        """Whether nothing follows but what is left out at the end."""
        out, operators = op.outputs[0], self.graph.operators
        alone = all(other in self.tail for other in operators if out in other.inputs)
        return op.activation == "NONE" and alone and out == self.result

    def finish(self) -> dict[str, Any]:
        """The end of the blob, and what it says of it: logits, or an int8 map. TFLiteError.

        A vector of any operator becomes logits; probabilities, each by itself, are a map of a pixel.
        """
        output, last = self.tensor(self.graph.outputs[0]), self.tensor(self.result)
        where = f"the result, tensor {output.index} ({output.name})"
        if not self.ops or self.number.get(output.index) != len(self.ops):
            raise TFLiteError(f"{where}, is not of the last operator")
        made, said, final = self.made_shape(output.index), self.shape(output), self.ops[-1]
        if made != said:
            shapes = ["x".join(map(str, shape)) for shape in (made, said)]
            raise TFLiteError(f"{where}, is a map of {shapes[0]}, here {shapes[1]}")
        if said[2] == 1 and any(op.kind == "SOFTMAX" for op in self.graph.operators):
            raise TFLiteError(f"{where}: a SOFTMAX of one channel is 1 everywhere")
        single = single_sigmoid(self.graph) is not None
        several = not single and ends_with(self.graph, "LOGISTIC")
        if not isinstance(final, Dense) and (said[:2] != (1, 1) or several):
            return {"task": Task.MAP, "result_scale": last.scale}
        if not isinstance(final, Dense):  # the int8 values, to half a unit of Q12
            weight = np.eye(said[2], dtype=np.int8)[:, None, None]
            bias, factors = np.full(said[2], -last.zero_point), np.full(said[2], last.scale)
            final = integers.logits(weight, bias, factors, last.grid.largest, len(self.ops), where)
            self.ops.append(final)
        if single:
            zero = np.zeros_like(final.weight)
            bias, both = np.append(0, final.bias).astype(np.int32), np.repeat(final.multiplier, 2)
            self.ops[-1] = replace(final, weight=np.concatenate([zero, final.weight]), bias=bias, multiplier=both)
        return {}

    def model(self, name: str = "tflite", labels: list[str] | None = None) -> Model:
        """The blob's model of the operators so far."""
        height, width, channels = self.shape(self.frame)
        return Model(
            task=Task.CLASSIFICATION,
            name=name,
            labels=labels or [],
            height=height,
            width=width,
            channels=channels,
            ops=self.ops,
            input_zero_point=self.frame.zero_point,
        )


TABLE: dict[str, Callable[[Lowering, Operator], None]] = {
    "CONV_2D": Lowering.conv_2d,
    "DEPTHWISE_CONV_2D": Lowering.depthwise_conv_2d,
    "FULLY_CONNECTED": Lowering.fully_connected,
    "AVERAGE_POOL_2D": Lowering.pool_2d,
    "MAX_POOL_2D": Lowering.pool_2d,
    "MEAN": Lowering.mean,
    "ADD": Lowering.sum,
    "SUB": Lowering.sum,
    "CONCATENATION": Lowering.sum,
    "MUL": Lowering.mul,
    "PAD": Lowering.pad,
    "RESIZE_NEAREST_NEIGHBOR": Lowering.upsample,
    "QUANTIZE": Lowering.quantize,
    **dict.fromkeys(SAME_VALUES, Lowering.same),
    **dict.fromkeys(tflite_tables.KINDS, Lowering.table),
}


def lower(graph: Graph, name: str, labels: list[str] | None = None) -> Model:
    """The blob's model of a quantized classifier, or of a network that gives a map, with its golden value.

    labels: None for "class 0", of a map "channel 0", ... TFLiteError names what can't be translated.
    """
    lowering = translate(graph)
    if lowering.shape(lowering.frame)[2] not in (1, 3):
        raise TFLiteError(f"an input of {lowering.shape(lowering.frame)}: 1 or 3 channels are needed")
    fields = lowering.finish()
    model = replace(lowering.model(name), **fields)
    count, what = model.shapes()[-1][2], "class" if model.task == Task.CLASSIFICATION else "channel"
    named = [f"{what} {i}" for i in range(count)] if single_sigmoid(graph) is None else ["no", "yes"]
    if labels is not None and len(labels) != count:
        raise TFLiteError(f"{len(labels)} labels, the model has {count} outputs")
    model.labels = labels or named
    write(model)  # every rule of a blob, before it is run
    set_golden(model)
    return model


def translate(graph: Graph) -> Lowering:
    """All operators of a graph. TFLiteError."""
    check_quantization(graph)
    graph = without_shapes(graph)
    try:
        return _translate(graph, copied=False)
    except FrameReadAgain:
        return _translate(graph, copied=True)


def _translate(graph: Graph, copied: bool) -> Lowering:
    lowering = Lowering(graph, copied)
    unknown = [op for op in graph.operators if op.kind not in TABLE]
    if unknown:
        raise TFLiteError("; ".join(f"{lowering.where(op)}: not supported" for op in unknown))
    for op in graph.operators:
        padded = [t for t in op.inputs if t in lowering.pads]
        if padded and op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            raise lowering.fail(op, "reads a padded map, which only convolutions do")
        for tensor in op.inputs:
            if tensor in lowering.number and tensor not in lowering.pads and tensor not in graph.inputs:
                lowering.check_map(op, lowering.tensor(tensor))
        TABLE[op.kind](lowering, op)
        if op.outputs[0] not in lowering.pads:
            lowering.check_map(op, lowering.tensor(op.outputs[0]))
    if copied:  # which of a float input and its int8 values is the frame is known now
        lowering.ops[0] = replace(COPY, out_zero_point=lowering.frame.zero_point)
    return lowering
