"""From a float graph with ranges to a blob's operators: int8 weights, one scale an output channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import blob
from ..blob import Op, layout
from ..errors import InputError
from . import blocks, integers
from .blocks import Block
from .calibrate import Ranges
from .cells import cell
from .graph import (
    Add,
    Concat,
    Conv,
    Depthwise,
    Filter,
    GlobalAverage,
    Graph,
    L2Norm,
    Mul,
    Node,
    Pointwise,
    Pool,
    RNNPool,
    Upsample,
)
from .integers import Floats, Grid
from .results import Result
from .rounding import weight_scales

LOGIT_MARGIN = 2.0  # of the largest logit that was seen: int16 has the bits
LEAST_RESIDUAL = 64  # a residual's integer weight is rounded by less than 1 %


class Lowering:
    """Operators of one graph, one after the other."""

    def __init__(self, graph: Graph, ranges: Ranges, result: Result) -> None:
        self.graph, self.ranges, self.result = graph, ranges, result
        self.ops: list[Op] = []
        self.origin: list[Node] = []  # of each operator
        self.number: dict[int, int] = {id(graph.input): 0}
        found = blocks.find(graph)
        self.blocks = {id(block.last): block for block in found}
        self.inner = {id(node) for block in found for node in block.inner}

    def run(self) -> list[Op]:
        """All operators."""
        for node in self.graph.nodes[1:]:
            if id(node) in self.inner:
                continue
            made = None
            if id(node) in self.blocks:
                made = self.block(self.blocks[id(node)])
                if made is None:
                    for part in self.blocks[id(node)].inner:
                        self.add(part, TABLE[type(part)](self, part))
            self.add(node, made or TABLE[type(node)](self, node))
        return self.ops

    def add(self, node: Node, op: Op) -> None:
        """Takes an operator."""
        self.ops.append(op)
        self.origin.append(node)
        self.number[id(node)] = len(self.ops)

    def source(self, node: Node, which: int = 0) -> int:
        """The blob's number of an input."""
        return self.number[id(node.inputs[which])]

    def clamp(self, node: Node) -> dict[str, Any]:
        """Zero point and clamp of a node's output."""
        return self.ranges[node].clamp(node.low, node.high)

    # ---- convolutions ----

    def quantized(
        self, node: Filter, unit: float | None = None, limited: bool = False
    ) -> tuple[dict[str, Any], Floats]:
        """Weights, biases, multipliers, shift, and the weights' scales.

        unit: step of the output; None: that of its range. limited: weights saturate where there would be a shift.
        """
        x = self.ranges[node.inputs[0]]
        unit = self.ranges[node].scale if unit is None else unit
        most = np.full(len(node.weight), integers.LARGEST_FACTOR * unit / x.scale) if limited else None
        weight, bias, scales = quantize_weights(node, x, most)
        axes = tuple(range(1, weight.ndim))
        return integers.requantize(weight, bias, x.scale * scales / unit, axes, node.where), scales

    def conv(self, node: Conv) -> Op:
        """CONV; an int16 result is what its kind says."""
        if self.graph.wide and self.graph.is_output(node):
            return self.result.operator(self, node)
        found, _ = self.quantized(node)
        return blob.Conv(
            input=self.source(node), stride=node.stride, padding=node.padding, **found, **self.clamp(node)
        )  # fmt: skip

    def dense(self, node: Conv) -> Op:
        """Logits, or numbers."""
        x = self.ranges[node.inputs[0]]
        weight, bias, scales = quantize_weights(node, x)
        largest = self.ranges.largest[id(node)] * LOGIT_MARGIN
        return integers.logits(weight, bias, x.scale * scales, largest, self.source(node), node.where)

    def head(self, node: Filter, unit: Floats, anchors: NDArray[np.uint16], step: int, classes: int) -> Op:
        """DETECT_HEAD. unit: real value of one step of the output, a channel each."""
        x = self.ranges[node.inputs[0]]
        weight, bias, scales = quantize_weights(node, x, integers.LARGEST_HEAD * unit / x.scale)
        found, _ = integers.multipliers(x.scale * scales / unit, 24, 0, node.where)
        return blob.DetectHead(
            input=self.source(node), weight=weight, bias=integers.int32(bias, node.where), multiplier=found,
            anchors=anchors, step=step, classes=classes, stride=node.stride, padding=node.padding,
        )  # fmt: skip

    def depthwise(self, node: Depthwise) -> Op:
        """DEPTHWISE."""
        found, _ = self.quantized(node)
        weight = np.ascontiguousarray(found.pop("weight")[..., 0].transpose(1, 2, 0))
        return blob.Depthwise(
            input=self.source(node), filter_weight=weight, stride=node.stride, padding=node.padding, **found,
            **self.clamp(node),
        )  # fmt: skip

    # ---- inverted residuals ----

    def block(self, block: Block) -> Op | None:
        """INVERTED_RESIDUAL; None if its numbers have no place in one operator."""
        x, out = self.ranges[block.expand.inputs[0]], self.ranges[block.last]
        filtered, expanded = self.ranges[block.depthwise], self.ranges[block.expand]
        expand, depthwise = (self.quantized(n, limited=True)[0] for n in (block.expand, block.depthwise))
        project, scales = self.quantized(block.project, out.scale, limited=True)
        if expand["shift"] or depthwise["shift"] or project["shift"]:
            return None
        residual = None
        if block.total is not None:
            quiet = ~project["weight"].any((1, 2, 3))
            residual = np.floor(x.scale / (filtered.scale * scales) + 0.5)
            if quiet.any() or residual.min() < LEAST_RESIDUAL or residual.max() > 32767:
                return None
            residual = residual.astype(np.int32)
            bias = project["bias"].astype(np.int64) - x.zero_point * residual.astype(np.int64)
            project["bias"] = integers.int32(bias, block.total.where)
        inner: dict[str, Any] = {}
        for name, part in (("exp", block.expand), ("dw", block.depthwise)):
            limits = self.clamp(part)
            inner |= {f"{name}_min": limits["act_min"], f"{name}_max": limits["act_max"]}
        return blob.InvertedResidual(
            input=self.source(block.expand),
            expand_weight=expand["weight"][:, 0, 0], expand_bias=expand["bias"],
            expand_multiplier=expand["multiplier"],
            depthwise_weight=np.ascontiguousarray(depthwise["weight"][..., 0].transpose(1, 2, 0)),
            depthwise_bias=depthwise["bias"], depthwise_multiplier=depthwise["multiplier"],
            project_weight=project["weight"][:, 0, 0], project_bias=project["bias"],
            project_multiplier=project["multiplier"], residual=residual, stride=block.depthwise.stride[0],
            exp_zero_point=expanded.zero_point, dw_zero_point=filtered.zero_point,
            **inner, **out.clamp(block.last.low, block.last.high),
        )  # fmt: skip

    # ---- the others ----

    def pool(self, node: Pool) -> Op:
        """POOL."""
        return blob.Pool(
            input=self.source(node), size=node.window, stride=node.stride, padding=node.padding, mean=node.mean,
            **self.clamp(node),
        )  # fmt: skip

    def average(self, node: GlobalAverage) -> Op:
        """GLOBAL_AVERAGE_POOL."""
        source = node.inputs[0]
        factor = self.ranges[source].scale / self.ranges[node].scale
        return integers.average(self.source(node), factor, source.shape[:2], self.clamp(node), node.where)

    def sum(self, node: Add | Concat) -> Op:
        """ADD, CONCAT."""
        signs = node.factors if isinstance(node, Add) else (1.0,) * len(node.inputs)
        unit = self.ranges[node].scale
        factors = np.array([sign * self.ranges[n].scale / unit for sign, n in zip(signs, node.inputs, strict=True)])
        sources = [self.number[id(n)] for n in node.inputs]
        if isinstance(node, Add):
            return integers.weighted(blob.Add, sources, factors, self.clamp(node), node.where)
        return integers.weighted(blob.Concat, sources, factors, self.clamp(node), node.where)

    def mul(self, node: Mul) -> Op:
        """MUL."""
        one, two = (self.ranges[n].scale for n in node.inputs)
        sources = (self.source(node), self.source(node, 1))
        return integers.product(sources, one * two / self.ranges[node].scale, self.clamp(node), node.where)

    def l2_norm(self, node: L2Norm) -> Op:
        """L2_NORM."""
        factors = node.factor.double().numpy() / self.ranges[node].scale
        return integers.l2_norm(self.source(node), factors, self.clamp(node), node.where)

    def table(self, node: Pointwise) -> Op:
        """LOOKUP."""

        def function(x: Floats) -> NDArray[Any]:
            found: NDArray[Any] = node.forward(torch.from_numpy(x)).double().numpy()
            return found

        return integers.lookup(self.source(node), function, self.ranges[node.inputs[0]], self.ranges[node])

    def upsample(self, node: Upsample) -> Op:
        """UPSAMPLE."""
        return blob.Upsample(
            input=self.source(node), factor=node.factor, out_zero_point=self.ranges[node].zero_point
        )  # fmt: skip

    def rnnpool(self, node: RNNPool) -> Op:
        """RNNPOOL."""
        source = node.inputs[0]
        out = [(source.shape[i] - node.window[i]) // node.stride + 1 for i in range(2)]
        return blob.RNNPool(
            input=self.source(node), patch_height=node.window[0], patch_width=node.window[1], stride=node.stride,
            **cell(node.rnn1, 1, node.smooth, self.ranges[source].scale, 255),
            **cell(node.rnn2, 2, node.smooth, 2.0**-15, 32768),
            smooth=node.smooth, pad_bottom=node.shape[0] - out[0], pad_right=node.shape[1] - out[1],
        )  # fmt: skip


def quantize_weights(
    node: Filter, x: Grid, most: Floats | None = None
) -> tuple[NDArray[np.int8], NDArray[np.int64], Floats]:
    """int8 weights [out, kh, kw, in], biases with the input's zero point in them, and the weights' scales.

    A channel whose sum would not fit int32 has a coarser scale; none is above `most`: larger weights saturate.
    """
    real = node.weight.detach().double().numpy().transpose(0, 2, 3, 1)
    bias = node.bias.detach().double().numpy()
    scales = weight_scales(node.weight, most).double().numpy()
    while True:
        weight = np.clip(np.floor(real / scales[:, None, None, None] + 0.5), -127, 127)
        sums = weight.sum((1, 2, 3))
        whole = np.floor(bias / (x.scale * scales) + 0.5) - x.zero_point * sums
        large = np.abs(whole) + np.abs(weight).sum((1, 2, 3)) * 128 >= 2.0**30
        if not large.any():
            return np.ascontiguousarray(weight.astype(np.int8)), whole.astype(np.int64), scales
        scales = np.where(large, scales * 2, scales)


Rule = Callable[[Lowering, Any], Op]
TABLE: dict[type[Node], Rule] = {
    Conv: Lowering.conv,
    Depthwise: Lowering.depthwise,
    Pool: Lowering.pool,
    GlobalAverage: Lowering.average,
    Add: Lowering.sum,
    Concat: Lowering.sum,
    Mul: Lowering.mul,
    L2Norm: Lowering.l2_norm,
    Pointwise: Lowering.table,
    Upsample: Lowering.upsample,
    RNNPool: Lowering.rnnpool,
}


def lower(
    graph: Graph, ranges: Ranges, result: Result, name: str, labels: list[str], threshold: float = 0.5
) -> blob.Model:
    """The blob's model, without its golden value and with no map kept whole.

    InputError names the module of what can't be an operator.
    """
    height, width, channels = graph.input.shape
    lowering = Lowering(graph, ranges, result)
    ops = lowering.run()
    result.ops = tuple(lowering.number[id(output)] - 1 for output in graph.outputs)
    if len(ops) > layout.MAX_OPS:
        tables = sum(isinstance(op, blob.Lookup) for op in ops)
        raise InputError(
            f"the network has {len(ops)} operators, {layout.MAX_OPS} is the most"
            + (f"; {tables} of them are tables of activations (hard-swish, SiLU, sigmoid, ...): ReLU, ReLU6 and "
               "hardtanh are no operators of their own" if tables else "")
        )  # fmt: skip
    model = blob.Model(
        task=result.task, name=name, labels=labels, height=height, width=width, channels=channels,
        ops=ops, threshold=round(threshold * 32768), input_zero_point=ranges[graph.input].zero_point,
        **result.fields(graph, ranges),
    )  # fmt: skip
    try:
        blob.write(model)
    except blob.BlobError as error:
        where = f"{lowering.origin[error.op].where}: " if error.op >= 0 else ""
        raise InputError(f"{where}{error}") from None
    return model
