"""From any nn.Module of supported operations to the float graph: torch.export traces it, one table translates.

Operations are PyTorch's own (ATen), as torch.export finds them in evaluation mode; what is composed of others and not
in the table is decomposed first. What can't be translated is refused by the module's own path, with the operation, the
shape, and what to use instead.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from .. import rnnpool2d as _rnnpool2d  # registers rnnpool::pool
from ..errors import InputError
from .graph import (
    NO_PADDING,
    Add,
    Affine,
    Cell,
    Concat,
    Conv,
    Depthwise,
    GlobalAverage,
    Graph,
    Input,
    Mul,
    Node,
    Padding,
    Pointwise,
    Pool,
    RNNPool,
    Shape,
    Upsample,
)

assert _rnnpool2d
Value = Node | Tensor | Any  # of a traced node: a node of the graph, a constant, or a plain value

# What to use instead of operations that are often met.
INSTEAD = {
    "conv_transpose2d": "nn.Upsample(scale_factor=2) and a convolution",
    "upsample_bilinear2d": "mode='nearest' with a whole factor",
    "upsample_bicubic2d": "mode='nearest' with a whole factor",
    "layer_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "native_layer_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "group_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "native_group_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "instance_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "prelu": "one slope for all channels (nn.PReLU(), nn.LeakyReLU())",
    "scaled_dot_product_attention": "convolutions, squeeze and excitation, or RNNPool2d",
    "lstm": "RNNPool2d",
    "gru": "RNNPool2d",
    "conv1d": "nn.Conv2d with a kernel of one row",
    "split": "two convolutions, one for each part of the channels",
    "slice": "a convolution with fewer outputs",
    "permute": "maps as (N, C, H, W) throughout",
    "transpose": "maps as (N, C, H, W) throughout",
    "pixel_shuffle": "nn.Upsample(scale_factor=2) and a convolution",
    "maximum": "the sum of the two maps",
    "minimum": "the sum of the two maps",
}


@dataclass
class Call:
    """One traced operation with its arguments in place."""

    node: fx.Node
    positional: tuple[Any, ...]
    named: dict[str, Any]
    maps: list[fx.Node]  # the traced nodes of maps among them

    def __post_init__(self) -> None:
        schema = getattr(self.node.target, "_schema", None)
        names = [a.name for a in schema.arguments] if schema else []
        self.arguments: dict[str, Any] = dict(zip(names, self.positional, strict=False)) | self.named

    @property
    def name(self) -> str:
        """The operation without its overload: conv2d."""
        return operation(self.node)

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the result, batch first."""
        value = self.node.meta["val"]
        return tuple(int(n) for n in (value[0] if isinstance(value, tuple | list) else value).shape)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def where(self) -> str:
        """Module, operation and shape, for people."""
        stack = self.node.meta.get("nn_module_stack") or {}
        path, kind = list(stack.values())[-1] if stack else ("", "")
        kind = kind if isinstance(kind, str) else kind.__name__
        module = f"{path} ({kind.rsplit('.', 1)[-1]})" if path else "the network itself"
        shapes = " and ".join("x".join(str(int(s)) for s in n.meta["val"].shape[1:]) or "-" for n in self.maps[:2])
        return f"{module}: {self.name}{' of ' + shapes if shapes else ''}"

    def fail(self, what: str = "not supported") -> InputError:
        """The error for what can't be translated."""
        instead = f"; use {INSTEAD[self.name]} instead" if self.name in INSTEAD else ""
        return InputError(f"{self.where}: {what}{instead}")


def operation(node: fx.Node) -> str:
    """The name of what a traced node calls."""
    name = getattr(node.target, "_opname", None) or getattr(node.target, "__name__", str(node.target))
    return str(name).rstrip("_") if not str(name).startswith("_") else str(name)


def _pair(value: Any, default: int = 0) -> tuple[int, int]:
    if value is None or (isinstance(value, Sequence) and not value):
        return default, default
    if isinstance(value, Sequence):
        return (int(value[0]), int(value[-1]))
    return int(value), int(value)


class Translation:
    """A traced program on its way to a graph."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.values: dict[fx.Node, Value] = {}
        self.notes: list[str] = []
        self.frame: Input | None = None
        self.tail = ""  # softmax, log_softmax or sigmoid behind the logits

    # ---- values ----

    def value(self, argument: Any) -> Any:
        """An argument with nodes' values in place of nodes."""
        values: Callable[[fx.Node], Any] = self.values.__getitem__
        found: Any = fx.map_arg(argument, values)
        return found

    def source(self, call: Call, name: str = "input") -> Node:
        """The map that an operation reads."""
        found = call["self"] if name == "input" and "self" in call.arguments else call[name]
        if not isinstance(found, Node):
            raise call.fail(f"{name} is no map that depends on the picture")
        return found

    def constant(self, call: Call, name: str) -> Tensor | None:
        """A weight: a parameter, buffer or what is computed of them alone; None if it is left out."""
        found = call[name]
        if found is not None and not isinstance(found, Tensor):
            raise call.fail(f"{name} depends on the picture")
        return None if found is None else found.detach().float()

    def map(self, call: Call, name: str = "input") -> Node:
        """A map of which rows and columns are still known."""
        node = self.source(call, name)
        traced = next(n for n in call.maps if self.values[n] is node)
        h, w, c = node.shape
        if tuple(traced.meta["val"].shape) != (1, c, h, w) and (h, w) != (1, 1):
            raise call.fail(f"on a flattened map of {c}x{h}x{w}")
        return node

    def shape(self, call: Call) -> Shape:
        """Height, width, channels of the result: a vector is a map of one pixel."""
        out = call.out
        if len(out) == 4 and out[0] == 1:
            return out[2], out[3], out[1]
        if len(out) == 2 and out[0] == 1:
            return 1, 1, out[1]
        raise call.fail(f"a result of shape {out}, 1xCxHxW is needed")

    # ---- operations ----

    def convolution(self, call: Call) -> Value:
        """nn.Conv2d; groups other than channels, and dilation, become zeros among the weights."""
        x = self.map(call)
        weight, bias = self.constant(call, "weight"), self.constant(call, "bias")
        assert weight is not None
        outputs, groups, size = int(weight.shape[0]), int(call["groups"] or 1), tuple(weight.shape[2:])
        dilation, stride = _pair(call["dilation"], 1), _pair(call["stride"], 1)
        if dilation != (1, 1):  # zeros between the weights
            spread = weight.new_zeros(
                (*weight.shape[:2], *((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)))
            )
            spread[:, :, :: dilation[0], :: dilation[1]] = weight
            weight, size = spread, tuple(spread.shape[2:])
            self.notes.append(f"{call.where}: dilation {dilation} is a kernel of {size[0]}x{size[1]} with zeros in it")
        padding = self.padding(call, size)
        given: dict[str, Any] = {
            "where": call.where,
            "shape": self.shape(call),
            "inputs": [x],
            "bias": weight.new_zeros(outputs) if bias is None else bias,
            "stride": stride,
            "padding": padding,
        }
        if groups == outputs == x.shape[2] and groups > 1:
            return Depthwise(weight=weight, **given)
        if groups > 1:
            inputs = x.shape[2] // groups
            full = weight.new_zeros((outputs, x.shape[2], *size))
            for i in range(outputs):
                first = i // (outputs // groups) * inputs
                full[i, first : first + inputs] = weight[i]
            weight = full
            self.notes.append(f"{call.where}: {groups} groups are one convolution, {groups} times the multiply-adds")
        return Conv(weight=weight, **given)

    def padding(self, call: Call, size: tuple[int, ...]) -> Padding:
        """Zeros on each side; "same" puts the odd one at the bottom and right, as PyTorch does."""
        given = call["padding"]
        if given == "same":
            rows, columns = size[0] - 1, size[1] - 1
            return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2
        v, h = _pair(None if given == "valid" else given)
        return v, h, v, h

    def linear(self, call: Call) -> Value:
        """nn.Linear: of a flattened map a convolution whose kernel is the whole map."""
        x, weight, bias = self.source(call), self.constant(call, "weight"), self.constant(call, "bias")
        assert weight is not None
        h, w, c = x.shape
        if weight.shape[1] != h * w * c:
            raise call.fail("of rows of a map: a vector is needed")
        return Conv(
            where=call.where, shape=self.shape(call), inputs=[x], weight=weight.reshape(-1, c, h, w),
            bias=weight.new_zeros(weight.shape[0]) if bias is None else bias,
        )  # fmt: skip

    def one_batch_norm(self, call: Call) -> Value:
        """nn.BatchNorm2d, by its statistics."""
        x, (mean, variance) = self.source(call), (self.constant(call, f"running_{n}") for n in ("mean", "var"))
        if mean is None or variance is None:
            raise call.fail("without statistics (track_running_stats=False)")
        weight, bias = self.constant(call, "weight"), self.constant(call, "bias")
        factor = torch.rsqrt(variance + call["eps"]) * (1 if weight is None else weight)
        offset = -mean * factor + (0 if bias is None else bias)
        return self.affine(call, x, factor, offset)

    def batch_norm(self, call: Call) -> Value:
        """The same, as an operation of several results."""
        return (self.one_batch_norm(call),)

    def affine(self, call: Call, x: Node, factor: Tensor, offset: Tensor) -> Node:
        """A factor and an offset a channel."""
        return Affine(where=call.where, shape=x.shape, inputs=[x], factor=factor, offset=offset)

    def pool(self, call: Call) -> Value:
        """nn.MaxPool2d, nn.AvgPool2d, with padding and ceil_mode."""
        x, mean, out = self.map(call), call.name == "avg_pool2d", self.shape(call)
        size = _pair(call["kernel_size"])
        stride, pads = _pair(call["stride"]) if call["stride"] else size, _pair(call["padding"])
        if _pair(call["dilation"], 1) != (1, 1):
            raise call.fail("dilation")
        if call["divisor_override"]:
            raise call.fail("divisor_override")
        # ceil_mode: as many rows and columns more as the last window needs, which do not count.
        ends = [(out[i] - 1) * stride[i] + size[i] - x.shape[i] - pads[i] for i in range(2)]
        ends = [end if call["ceil_mode"] else pads[i] for i, end in enumerate(ends)]
        padding = (*pads, max(ends[0], 0), max(ends[1], 0))
        if mean and any(pads) and call["count_include_pad"] is not False:
            if call["ceil_mode"]:
                raise call.fail("padding that counts, with ceil_mode; use count_include_pad=False")
            weight = torch.full((x.shape[2], 1, *size), 1 / (size[0] * size[1]))
            return Depthwise(
                where=call.where, shape=out, inputs=[x], weight=weight, bias=torch.zeros(x.shape[2]), stride=stride,
                padding=padding,
            )  # fmt: skip
        if mean and size == x.shape[:2] and not any(padding):
            return GlobalAverage(where=call.where, shape=out, inputs=[x])
        return Pool(
            where=call.where, shape=out, inputs=[x], window=size, stride=stride, padding=padding, mean=mean
        )  # fmt: skip

    def adaptive_pool(self, call: Call) -> Value:
        """nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d to a size that divides the map."""
        x, out, mean = self.map(call), self.shape(call), "avg" in call.name
        if mean and out[:2] == (1, 1):
            return GlobalAverage(where=call.where, shape=out, inputs=[x])
        if x.shape[0] % out[0] or x.shape[1] % out[1]:
            raise call.fail(f"to {out[0]}x{out[1]}: the map's sides must be multiples of it")
        size = (x.shape[0] // out[0], x.shape[1] // out[1])
        made = Pool(where=call.where, shape=out, inputs=[x], window=size, stride=size, padding=NO_PADDING, mean=mean)
        return made if mean or call.name == "max_pool2d" else (made,)

    def mean(self, call: Call) -> Value:
        """The mean, or the largest value, over rows and columns."""
        x = self.map(call)
        axes = sorted(int(a) % 4 for a in call["dim"] or ())
        if axes != [2, 3] or (call.name == "mean" and call["dtype"] not in (None, torch.float32)):
            raise call.fail(f"over axes {axes}: rows and columns, (2, 3), are needed")
        h, w, c = x.shape
        if call.name == "mean":
            return GlobalAverage(where=call.where, shape=(1, 1, c), inputs=[x])
        return Pool(
            where=call.where, shape=(1, 1, c), inputs=[x], window=(h, w), stride=(1, 1), padding=NO_PADDING, mean=False
        )  # fmt: skip

    def concat(self, call: Call) -> Value:
        """torch.cat by channels, of up to 8 maps."""
        given = call["tensors"]
        if not all(isinstance(x, Node) for x in given) or len(call.out) not in (2, 4):
            raise call.fail("of constants" if len(call.out) in (2, 4) else f"to {call.out}")
        if int(call["dim"] or 0) % len(call.out) != 1:
            raise call.fail(f"along axis {call['dim']}: 1, the channels, is needed")
        if len(call.out) == 2 and any(x.shape[:2] != (1, 1) for x in given):
            raise call.fail("of flattened maps; join the maps before they are flattened")
        return given[0] if len(given) == 1 else Concat(where=call.where, shape=self.shape(call), inputs=list(given))

    def upsample(self, call: Call) -> Value:
        """nn.Upsample, nearest, by a whole factor."""
        x, out = self.map(call), self.shape(call)
        factor = out[0] // x.shape[0]
        if (out[0], out[1]) != (x.shape[0] * factor, x.shape[1] * factor):
            raise call.fail(f"to {out[0]}x{out[1]}: one whole factor for both sides is needed")
        return x if factor == 1 else Upsample(where=call.where, shape=out, inputs=[x], factor=factor)

    def pad(self, call: Call) -> Value:
        """Padding with zeros, which the convolution behind it does."""
        x, sides = self.map(call), [int(n) for n in call["pad"]] + [0] * 4
        if (call["mode"] or "constant") != "constant" or call["value"]:
            raise call.fail(f"with {call['mode'] if call['mode'] != 'constant' else call['value']}: zeros are needed")
        left, right, top, bottom = sides[:4]
        if min(sides) < 0 or any(sides[4:]):
            raise call.fail(f"by {call['pad']}: rows and columns can be padded")
        return Pad(where=call.where, shape=self.shape(call), inputs=[x], padding=(top, left, bottom, right))

    def view(self, call: Call) -> Value:
        """A change of shape that keeps all values in their order: of a map to a vector, or none at all."""
        x = self.source(call)
        h, w, c = x.shape
        if call.out not in ((1, c, h, w), (1, h * w * c), (h * w * c,)):
            raise call.fail(f"of a map {c}x{h}x{w} to {'x'.join(map(str, call.out))}: only flattening is possible")
        return x

    def same(self, call: Call) -> Value:
        """What changes nothing in evaluation."""
        return self.source(call)

    def rnnpool(self, call: Call) -> Value:
        """RNNPool2d (rnnpool_training.rnnpool2d), without padding."""
        x = self.map(call, "x")
        fields = ("w", "u", "bias_gate", "bias_update", "zeta", "nu")
        cells = [Cell(*(self.constant(call, f"{f}{i}") for f in fields)) for i in (1, 2)]  # type: ignore[arg-type]
        stride = _pair(call["stride"])
        if any(call["padding"]) or stride[0] != stride[1]:
            raise call.fail(f"padding {call['padding']}, stride {stride}: no padding and one stride are needed")
        return RNNPool(
            where=call.where, shape=self.shape(call), inputs=[x], rnn1=cells[0], rnn2=cells[1], stride=stride[0],
            window=_pair(call["kernel"]), smooth=call["smooth"], replicate=call["replicate"],
        )  # fmt: skip

    def item(self, node: fx.Node) -> Value:
        """One of an operation's several results."""
        source: Any = node.args[0]
        index: Any = node.args[1]
        values = self.value(source)
        if isinstance(values, tuple | list) and len(values) > index:
            return values[index]
        assert isinstance(source, fx.Node)
        raise Call(source, (), {}, []).fail(f"its result {index} is used")

    def softmax(self, call: Call) -> Value:
        """nn.Softmax, nn.LogSoftmax, as the last operation; `nn.Sigmoid` behind a single logit."""
        x = self.source(call)
        return Softmax(where=call.where, shape=x.shape, inputs=[x])

    def nothing(self, call: Call) -> Value:
        """A check of torch.export's own."""
        return None

    def pointwise(self, call: Call) -> Value:
        """Sums and products of maps; and any function of one map's values, however many steps it has."""
        maps = list({id(n): n for n in call.arguments.values() if isinstance(n, Node)}.values())
        if len(maps) > 1:
            common = _common(maps)
            return self.two_maps(call) if common is None else self.function(call, common)
        x = maps[0]
        tensors = {k: v for k, v in call.arguments.items() if isinstance(v, Tensor) and v.numel() > 1}
        if tensors:
            return self.by_channel(call, x, tensors)
        limits = self.limits(call)
        if limits is not None:
            return Pointwise(where=call.where, shape=x.shape, inputs=[x], low=limits[0], high=limits[1])
        return self.function(call, x.inputs[0] if isinstance(x, Pointwise) and x.function is not None else x)

    def limits(self, call: Call) -> tuple[float, float] | None:
        """Of an operation that only clamps."""

        def number(name: str, default: float) -> float:
            found = call[name]
            return default if found is None else float(found)

        if call.name == "relu":
            return 0.0, math.inf
        if call.name == "relu6":
            return 0.0, 6.0
        if call.name == "hardtanh":
            return number("min_val", -1.0), number("max_val", 1.0)
        if call.name in ("clamp", "clamp_min", "clamp_max"):
            return number("min", -math.inf), number("max", math.inf)
        return None

    def function(self, call: Call, base: Node) -> Node:
        """The operation as a function of `base`'s values."""
        target: Any = call.node.target

        def of(value: Any, x: Tensor) -> Any:
            if value is base:
                return x
            if isinstance(value, Pointwise):
                return value.forward(of(value.inputs[0], x))
            return value.detach().to(x.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

        def evaluate(x: Tensor) -> Tensor:
            found: Tensor = target(*(of(v, x) for v in call.positional), **{k: of(v, x) for k, v in call.named.items()})
            return found

        made = Pointwise(where=call.where, shape=base.shape, inputs=[base], function=evaluate)
        if (
            call.name in ("add", "sub", "mul", "div")
            and isinstance(call["self"], Node) + isinstance(call["other"], Node) == 1
        ):
            x = call["self"] if isinstance(call["self"], Node) else call["other"]
            if (x is base or (isinstance(x, Pointwise) and x.line)) and not (call.name == "div" and x is call["other"]):
                zero, one = (float(evaluate(torch.tensor([v], dtype=torch.float64))) for v in (0.0, 1.0))
                made.line = (one - zero, zero)
        return made

    def two_maps(self, call: Call) -> Value:
        """A sum, a difference, or a product with a vector of channels."""
        one, two = call["self"], call["other"]
        if call.name in ("add", "sub") and isinstance(one, Node) and isinstance(two, Node):
            if one.shape != two.shape:
                raise call.fail("two maps of one shape are needed")
            alpha = float(call["alpha"] if call["alpha"] is not None else 1) * (-1 if call.name == "sub" else 1)
            return Add(where=call.where, shape=one.shape, inputs=[one, two], factors=(1.0, alpha))
        if call.name == "mul" and isinstance(one, Node) and isinstance(two, Node):
            if one.shape[:2] == (1, 1) != two.shape[:2]:
                one, two = two, one
            if two.shape != (1, 1, one.shape[2]):
                raise call.fail("a map and a vector of its channels, Cx1x1, are needed")
            return Mul(where=call.where, shape=one.shape, inputs=[one, two])
        raise call.fail("of two maps")

    def by_channel(self, call: Call, x: Node, tensors: dict[str, Tensor]) -> Value:
        """A sum, product or quotient with a constant a channel."""
        channels = x.shape[2]
        sizes = ((channels, 1, 1), (1, channels, 1, 1)) if len(call.out) == 4 else ((channels,), (1, channels))
        name, value = next(iter(tensors.items()))
        flat = len(call.out) == 2 and x.shape[:2] != (1, 1)
        if len(tensors) > 1 or call.name not in ("add", "sub", "mul", "div") or tuple(value.shape) not in sizes or flat:
            raise call.fail(f"with a constant of {tuple(value.shape)}: one value a channel, {sizes[0]}, is needed")
        if call["alpha"] not in (None, 1) or call["rounding_mode"] is not None:
            raise call.fail("with alpha or rounding_mode")
        value = value.detach().float().reshape(-1)
        first, ones, zeros = name == "self", torch.ones(channels), torch.zeros(channels)
        if call.name == "add":
            return self.affine(call, x, ones, value)
        if call.name == "sub":
            return self.affine(call, x, -ones, value) if first else self.affine(call, x, ones, -value)
        if call.name == "div":
            if first:
                raise call.fail("of a constant by a map")
            return self.affine(call, x, 1 / value, zeros)
        return self.affine(call, x, value, zeros)

    # ---- the program ----

    def translate(self) -> Graph:
        """The graph of the whole program."""
        signature = self.program.graph_signature
        state = {**dict(self.program.state_dict), **dict(self.program.constants)}
        targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        targets |= signature.inputs_to_lifted_tensor_constants
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and node.name in targets:
                self.values[node] = state[targets[node.name]]
            elif node.op == "placeholder":
                _, c, h, w = (int(n) for n in node.meta["val"].shape)
                self.frame = Input(where="the picture", shape=(h, w, c))
                self.values[node] = self.frame
            elif node.op == "call_function":
                self.values[node] = self.call(node)
        return self.finish(self.program.graph.output_node().args[0])

    def finish(self, results: Any) -> Graph:
        """The graph up to the logits: a softmax behind them is the engine's, as is the sigmoid of a single one."""
        if len(results) != 1 or self.frame is None:
            raise InputError(f"the network gives {len(results)} results: one tensor of logits is needed")
        last = results[0]
        while operation(last) in SAME + VIEWS and last.op == "call_function":
            last = last.args[0]
        name, output = operation(last), self.values[last]
        if isinstance(output, Tensor) or not isinstance(output, Node):
            raise InputError("the network's result does not depend on the picture")
        if isinstance(output, Softmax):
            self.tail = name.strip("_")
            output = output.inputs[0]
        graph = Graph(self.frame, output)
        if name == "sigmoid":
            if output.shape[2] > 1:
                raise InputError(
                    f"{output.where}: the last operation gives {output.shape[2]} probabilities, each by itself; "
                    "classifiers give one label: leave the sigmoid out, or export a network for each label"
                )
            self.tail = name
            _without_sigmoid(graph, self.values[last.args[0]])
        left = [node for node in graph.nodes if isinstance(node, Softmax)]
        if left:
            raise InputError(f"{left[0].where}: only the last operation can be one")
        _take_pads(graph)
        return graph

    def call(self, node: fx.Node) -> Value:
        """The value of an operation: of constants computed, of maps translated."""
        target: Any = node.target
        if target is operator.getitem:
            return self.item(node)
        positional, named = self.value(node.args), self.value(node.kwargs)
        call = Call(node, positional, named, [n for n in node.all_input_nodes if isinstance(self.values[n], Node)])
        if not any(isinstance(self.values[source], Node | tuple) for source in node.all_input_nodes):
            with torch.no_grad():
                return target(*positional, **named)
        rule = TABLE.get(call.name)
        if rule is not None:
            return rule(self, call)
        if torch.Tag.pointwise in target.tags:
            return self.pointwise(call)
        raise call.fail()


@dataclass(eq=False, kw_only=True)
class Softmax(Node):
    """Probabilities, which the engine makes of logits itself."""


@dataclass(eq=False, kw_only=True)
class Pad(Node):
    """Zeros around a map, before the operator behind it takes them over."""

    padding: Padding


def _take_pads(graph: Graph) -> None:
    for pad in [node for node in graph.nodes if isinstance(node, Pad)]:
        for reader in graph.consumers(pad):
            if not isinstance(reader, Conv | Depthwise):
                raise InputError(f"{pad.where}: before {reader.where}: only convolutions read a padded map")
            together = [a + b for a, b in zip(pad.padding, reader.padding, strict=True)]
            reader.padding = (together[0], together[1], together[2], together[3])
        graph.redirect(pad, pad.inputs[0])
    graph.tidy()


def _chain(node: Node) -> list[Node]:
    # A map and those that it is a function of, value by value.
    found = [node]
    while isinstance(found[-1], Pointwise):
        found.append(found[-1].inputs[0])
    return found


def _common(maps: list[Node]) -> Node | None:
    # The nearest map of which all are functions.
    chains = [{id(n) for n in _chain(node)} for node in maps]
    return next((n for n in _chain(maps[0]) if all(id(n) in chain for chain in chains)), None)


def _without_sigmoid(graph: Graph, logit: Any) -> None:
    graph.output = logit
    graph.tidy()


VIEWS = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view")
SAME = ("clone", "dropout", "contiguous", "alias", "detach", "identity", "_to_copy", "to", "lift_fresh_copy")
Rule = Callable[[Translation, Call], Value]
TABLE: dict[str, Rule] = {
    "conv2d": Translation.convolution,
    "linear": Translation.linear,
    "batch_norm": Translation.one_batch_norm,
    "_native_batch_norm_legit_no_training": Translation.batch_norm,
    "max_pool2d": Translation.pool,
    "avg_pool2d": Translation.pool,
    "adaptive_avg_pool2d": Translation.adaptive_pool,
    "adaptive_max_pool2d": Translation.adaptive_pool,
    "mean": Translation.mean,
    "amax": Translation.mean,
    "cat": Translation.concat,
    "upsample_nearest2d": Translation.upsample,
    "pad": Translation.pad,
    "constant_pad_nd": Translation.pad,
    **dict.fromkeys(("hardswish", "prelu"), Translation.pointwise),
    **dict.fromkeys(VIEWS, Translation.view),
    **dict.fromkeys(SAME, Translation.same),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), Translation.softmax),
    "_assert_tensor_metadata": Translation.nothing,
    "pool": Translation.rnnpool,
}


def trace(module: nn.Module, shape: Shape) -> torch.export.ExportedProgram:
    """The module's program for a picture of `shape`, with nothing in it that the table lacks but has a decomposition.

    InputError if torch.export can't trace it.
    """
    height, width, channels = shape
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch about itself
            return _trace(module, torch.zeros(1, channels, height, width))
    except Exception as error:  # of many kinds; what the network itself raises for a picture of this shape among them
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the network can't be traced with a picture of {channels}x{height}x{width}: "
            f"{type(error).__name__}: {first}"
        ) from error


def _trace(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    program = torch.export.export(module, (example,)).run_decompositions({})
    calls = [n for n in program.graph.nodes if n.op == "call_function" and n.target is not operator.getitem]
    unknown = {n.target for n in calls if not _known(n) and operation(n) not in INSTEAD}
    wanted = {target: rule for target, rule in torch.export.default_decompositions().items() if target in unknown}
    return program.run_decompositions(wanted) if wanted else program


def _known(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return operation(node) in TABLE or torch.Tag.pointwise in tags


@dataclass
class Translated:
    """A network as a graph whose result are logits; what the network itself makes of them; remarks, for people."""

    graph: Graph
    tail: str  # "softmax", "log_softmax", "sigmoid" or ""
    notes: list[str]

    def result(self, logits: Tensor) -> Tensor:
        """What the network gives for logits (N, C)."""
        if self.tail == "sigmoid":
            return logits.sigmoid()
        return logits if not self.tail else logits.log_softmax(1) if "log" in self.tail else logits.softmax(1)


def translate(program: torch.export.ExportedProgram) -> Translated:
    """The graph of a traced program. InputError by the module's own path."""
    translation = Translation(program)
    graph = translation.translate()
    return Translated(graph, translation.tail, translation.notes)
