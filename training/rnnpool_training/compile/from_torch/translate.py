"""From a traced program to the float graph: one table of rules."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...errors import InputError
from ..graph import Conv, Depthwise, Graph, Input, Node, Shape
from . import channels, layers, lengths
from . import program as traced
from .channels import Grouped
from .pointwise import pointwise
from .program import Call, operation
from .values import Pad, Softmax, Value, Values

VIEWS = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view")
SAME = ("clone", "dropout", "contiguous", "alias", "detach", "identity", "_to_copy", "to", "lift_fresh_copy")
Rule = Callable[[Values, Call], Value]
TABLE: dict[str, Rule] = {
    "conv2d": layers.convolution,
    "linear": layers.linear,
    "batch_norm": layers.one_batch_norm,
    "_native_batch_norm_legit_no_training": layers.batch_norm,
    "max_pool2d": layers.pool,
    "avg_pool2d": layers.pool,
    "adaptive_avg_pool2d": layers.adaptive_pool,
    "adaptive_max_pool2d": layers.adaptive_pool,
    "mean": layers.mean,
    "amax": layers.mean,
    "cat": layers.concat,
    "upsample_nearest2d": layers.upsample,
    "_upsample_nearest_exact2d": layers.upsample,
    "pad": layers.pad,
    "constant_pad_nd": layers.pad,
    **dict.fromkeys(("hardswish", "prelu"), pointwise),
    **dict.fromkeys(VIEWS, layers.view),
    "select": layers.select,
    "slice": channels.part,
    **dict.fromkeys(("split", "split_with_sizes"), channels.parts),
    **dict.fromkeys(("index", "index_select"), channels.index),
    "flip": channels.flip,
    "repeat": channels.repeat,
    **dict.fromkeys(("transpose", "permute"), channels.swap),
    **dict.fromkeys(SAME, layers.same),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), layers.softmax),
    "linalg_vector_norm": lengths.length,
    "sum": lengths.squares,
    "expand": lengths.expand,
    "_assert_tensor_metadata": layers.nothing,
    "pool": layers.rnnpool,
}


@dataclass
class Translated:
    """A network as a graph that gives what the network gives; remarks, for people."""

    graph: Graph
    last: str  # the last operation of a single result: softmax, sigmoid, ...
    before: Node | None  # what it reads
    notes: list[str]


def trace(module: nn.Module, shape: Shape) -> torch.export.ExportedProgram:
    """The module's program for a picture of `shape`, in operations that the table has. InputError."""
    return traced.trace(module, shape, TABLE)


def translate(program: torch.export.ExportedProgram) -> Translated:
    """The graph of a traced program. InputError by the module's own path."""
    values = Values()
    frame: Input | None = None
    signature = program.graph_signature
    state = {**dict(program.state_dict), **dict(program.constants)}
    targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    targets |= signature.inputs_to_lifted_tensor_constants
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in targets:
            values.values[node] = state[targets[node.name]]
        elif node.op == "placeholder":
            _, c, h, w = (int(n) for n in node.meta["val"].shape)
            frame = values.values[node] = Input(where="the picture", shape=(h, w, c))
        elif node.op == "call_function":
            values.values[node] = _call(values, node)
    results = list(program.graph.output_node().args[0])
    if frame is None or not results:
        raise InputError("the network's result does not depend on the picture")
    return _finish(values, frame, results)


def _call(values: Values, node: fx.Node) -> Value:
    # The value of an operation: of constants computed, of maps translated.
    target: Any = node.target
    if target is operator.getitem:
        return layers.item(values, node)
    positional, named = values.value(node.args), values.value(node.kwargs)
    call = Call(node, positional, named, [n for n in node.all_input_nodes if isinstance(values.values[n], Node)])
    if not any(isinstance(values.values[source], Node | tuple) for source in node.all_input_nodes):
        with torch.no_grad():
            return target(*positional, **named)
    rule = TABLE.get(call.name)
    if rule is not None:
        return rule(values, call)
    if torch.Tag.pointwise in target.tags:
        return pointwise(values, call)
    raise call.fail()


def _finish(values: Values, frame: Input, results: list[fx.Node]) -> Translated:
    outputs: list[Node] = []
    for place, result in enumerate(results):
        last = result
        while isinstance(last, fx.Node) and last.op == "call_function" and operation(last) in SAME + VIEWS:
            last = last.args[0]  # type: ignore[assignment]
        found = values.values.get(last) if isinstance(last, fx.Node) else last
        if isinstance(found, Tensor) or not isinstance(found, Node):
            which = f" {place}" if len(results) > 1 else ""
            raise InputError(f"the network's result{which} does not depend on the picture")
        kind = result.meta["val"].dtype
        if not kind.is_floating_point:
            raise InputError(f"{found.where}: the result is of {kind}, float is needed")
        height, width, channels = found.shape
        if height * width > 1 < channels and len(result.meta["val"].shape) < 3:
            raise InputError(
                f"{found.where}: the result is a flattened map of {channels}x{height}x{width}, which on the board has "
                "another order: return the map as it is"
            )
        outputs.append(found)
    graph = Graph(frame, outputs)
    for node in graph.nodes:
        if isinstance(node, Softmax) and graph.consumers(node):
            raise InputError(f"{node.where}: only the last operation can be one")
        if isinstance(node, Grouped):
            raise InputError(f"{node.where}: only a channel shuffle can be translated: view, transpose, view")
        if isinstance(node, lengths.Length):
            raise InputError(f"{node.where}: only a map divided by its own length can be translated")
    _take_pads(graph)
    if len(results) > 1:
        return Translated(graph, "", None, values.notes)
    read = [values.values[n] for n in last.all_input_nodes]
    before = next((node for node in read if isinstance(node, Node)), None)
    return Translated(graph, operation(last).strip("_"), before, values.notes)


def _take_pads(graph: Graph) -> None:
    for pad in [node for node in graph.nodes if isinstance(node, Pad)]:
        for reader in graph.consumers(pad):
            if not isinstance(reader, Conv | Depthwise):
                raise InputError(f"{pad.where}: before {reader.where}: only convolutions read a padded map")
            together = [a + b for a, b in zip(pad.padding, reader.padding, strict=True)]
            reader.padding = (together[0], together[1], together[2], together[3])
            layers.check_padding(reader.where, reader.padding, reader.window)
        if graph.is_output(pad):
            raise InputError(f"{pad.where}: the result is a padded map: only convolutions read one")
        graph.redirect(pad, pad.inputs[0])
    graph.tidy()
