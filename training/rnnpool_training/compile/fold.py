"""Passes over the float graph: what is no operator of its own goes into the one beside it.

Normalizations go into the weights of convolutions, clamps (ReLU, ReLU6) into the operator before them, the scale of the
picture into its first convolution. What is left of normalizations becomes a depthwise 1x1 convolution.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from .graph import Affine, Conv, Depthwise, Filter, Graph, Input, L2Norm, Node, Pointwise


class Normalization(NamedTuple):
    """What a network was trained on: (pixel / 255 - mean) / std, a value a channel or one for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def fold(graph: Graph, normalization: Normalization) -> list[str]:
    """All passes, in place. Returns remarks, for people."""
    _normalize(graph, normalization)
    _lines(graph)
    _affines(graph)
    _mixes(graph)
    notes = _divided_again(graph, normalization) + _picture(graph)
    for affine in [node for node in graph.nodes if isinstance(node, Affine)]:
        graph.redirect(affine, _depthwise(affine))
        graph.tidy()
    _clamps(graph)
    return notes


def _channels(values: tuple[float, ...], channels: int, what: str) -> Tensor:
    if len(values) not in (1, channels):
        raise InputError(f"{len(values)} values of {what}, the picture has {channels} channels")
    return torch.tensor(values, dtype=torch.float64).expand(channels).clone()


def _normalize(graph: Graph, normalization: Normalization) -> None:
    picture = graph.input
    mean, std = (_channels(values, picture.shape[2], name) for name, values in normalization._asdict().items())
    made = Affine(
        where="the picture", shape=picture.shape, inputs=[picture], factor=1 / (255 * std), offset=-mean / std
    )
    graph.redirect(picture, made)
    graph.tidy()


def _lines(graph: Graph) -> None:
    # Straight lines that are not a part of another function.
    for node in graph.nodes:
        if isinstance(node, Pointwise) and node.line is not None:
            factor, offset = (torch.full((node.shape[2],), v, dtype=torch.float64) for v in node.line)
            graph.redirect(
                node, Affine(where=node.where, shape=node.shape, inputs=node.inputs, factor=factor, offset=offset)
            )
    graph.tidy()


def _affines(graph: Graph) -> None:
    # Into the operator before, or into all behind.
    for node in list(graph.nodes):
        if not isinstance(node, Affine) or node not in graph.nodes:
            continue
        source, readers = node.inputs[0], graph.consumers(node)
        alone = graph.only_reader(source) is node and source is not graph.input
        if alone and isinstance(source, Affine):
            node.factor, node.offset = node.factor * source.factor, node.offset + node.factor * source.offset
            node.inputs = source.inputs
            graph.tidy()
            source, alone = node.inputs[0], False
        if alone and isinstance(source, Filter) and not source.clamped:
            source.weight = source.weight * node.factor[:, None, None, None]
            source.bias = source.bias * node.factor + node.offset
            graph.redirect(node, source)
        elif alone and isinstance(source, L2Norm) and not source.clamped and not node.offset.any():
            source.factor = source.factor * node.factor
            graph.redirect(node, source)
        elif source is not graph.input and not graph.is_output(node) and all(_takes(r, node.offset) for r in readers):
            for reader in readers:
                assert isinstance(reader, Filter)
                take_over(reader, node.factor, node.offset)
            graph.redirect(node, source)
        graph.tidy()


def _mixes(graph: Graph) -> None:
    # A choice of channels goes into the convolutions behind it where that takes no more multiply-adds.
    for node in list(graph.nodes):
        if not isinstance(node, Conv) or not node.mixes or node.bias.any() or graph.is_output(node):
            continue
        inputs, outputs = int(node.weight.shape[1]), int(node.weight.shape[0])
        readers = graph.consumers(node)
        more = sum(r.weight.numel() // outputs * (inputs - outputs) for r in readers if isinstance(r, Conv))
        if more <= inputs * outputs and all(type(r) is Conv for r in readers):
            for reader in readers:
                assert isinstance(reader, Conv)
                mix = node.weight[:, :, 0, 0].to(reader.weight.dtype)
                reader.weight = torch.einsum("oshw,si->oihw", reader.weight, mix)
            graph.redirect(node, node.inputs[0])
            graph.tidy()


def _takes(reader: Node, offset: Tensor) -> bool:
    return isinstance(reader, Filter) and (not any(reader.padding) or not offset.any())


def take_over(reader: Filter, factor: Tensor, offset: Tensor) -> None:
    """Lets a convolution read x instead of factor * x + offset. Right where it does not pad, or the offset is 0."""
    if isinstance(reader, Depthwise):
        reader.bias = reader.bias + reader.weight.double().sum((1, 2, 3)) * offset
        reader.weight = reader.weight * factor[:, None, None, None]
    else:
        reader.bias = reader.bias + (reader.weight.double().sum((2, 3)) * offset).sum(1)
        reader.weight = reader.weight * factor[None, :, None, None]


def _divided_again(graph: Graph, normalization: Normalization) -> list[str]:
    # A remark if the network itself makes numbers about 1 of 0..255, and gets numbers about 1 already.
    (first,) = graph.consumers(graph.input)
    if not isinstance(first, Affine):
        return []
    own = float((first.factor * 255 * _channels(normalization.std, graph.input.shape[2], "std")).abs().max())
    if not 0 < own < 1 / 50 or max(normalization.std) < 1 / 50:
        return []
    return [
        f"the network begins with a division by {1 / own:.0f} of what --mean and --std make of the pixels: if it takes "
        "pixels of 0 to 255 and makes its own numbers of them, say --mean 0 --std 0.00392157"
    ]


def _picture(graph: Graph) -> list[str]:
    # Its scale goes into the first convolution, or is the frame's own. The frame has one level that stands for 0.
    picture: Input = graph.input
    readers = graph.consumers(picture)
    first = readers[0]
    if len(readers) > 1 or not isinstance(first, Affine):
        raise AssertionError("the frame has one reader, its normalization")
    behind = graph.consumers(first)
    # The level of each channel that the network has as 0.
    zeros = torch.where(first.factor == 0, 128.0, -first.offset / first.factor)
    zero = int(zeros.mean().round().clamp(0, 255))
    if len(behind) == 1 and isinstance(behind[0], Filter):
        picture.zero = zero
        take_over(behind[0], first.factor, first.offset + first.factor * zero)
        graph.redirect(first, picture)
        graph.tidy()
        if any(behind[0].padding) and float((zeros - zero).abs().max()) > 0.5:
            levels = ", ".join(f"{level:.1f}" for level in zeros.tolist())
            return [f"{behind[0].where}: its padding is of the level {zero}; that of the network is {levels}"]
        return []
    if (
        len(behind) == 1
        and not graph.is_output(first)
        and float((zeros - zero).abs().max()) <= 0.51
        and (first.factor == first.factor[0]).all()
    ):
        picture.zero, picture.scale = zero, float(first.factor[0])
        graph.redirect(first, picture)
        graph.tidy()
    return []


def _depthwise(node: Affine) -> Depthwise:
    return Depthwise(
        where=node.where, shape=node.shape, inputs=node.inputs, weight=node.factor[:, None, None, None],
        bias=node.offset,
    )  # fmt: skip


def _clamps(graph: Graph) -> None:
    for node in list(graph.nodes):
        if not isinstance(node, Pointwise) or node.function is not None:
            continue
        source = node.inputs[0]
        if source.clamps and graph.only_reader(source) is node:
            source.low, source.high = (min(max(v, node.low), node.high) for v in (source.low, source.high))
            graph.redirect(node, source)
            graph.tidy()
