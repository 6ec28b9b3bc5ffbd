"""Inverted residuals in a float graph: three convolutions, and perhaps a sum with the input, as one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from .graph import Add, Conv, Depthwise, Graph, Node


@dataclass
class Block:
    """1x1 expansion, depthwise 3x3, 1x1 projection, and the sum of the projection and the block's input."""

    expand: Conv
    depthwise: Depthwise
    project: Conv
    total: Add | None

    @property
    def last(self) -> Node:
        """The node whose output it gives."""
        return self.project if self.total is None else self.total

    @property
    def inner(self) -> list[Node]:
        """Nodes whose outputs are seen within it alone."""
        parts: list[Node] = [self.expand, self.depthwise, self.project]
        return [part for part in parts if part is not self.last]


def find(graph: Graph) -> list[Block]:
    """All of a graph, in order. A convolution is in one only: in depthwise and 1x1 ones by turns each 1x1 could end one
    and begin the next."""
    found: list[Block] = []
    taken: set[int] = set()
    for node in graph.nodes:
        block = _ending(graph, node)
        if block is not None and id(block.expand) not in taken:
            taken |= {id(part) for part in (block.expand, block.depthwise, block.project)}
            found.append(block)
    return found


def _ending(graph: Graph, project: Node) -> Block | None:
    # The one that ends with a 1x1 convolution.
    if not _pointwise(project) or (graph.wide and graph.is_output(project)):
        return None
    depthwise = project.inputs[0]
    if not isinstance(depthwise, Depthwise) or graph.only_reader(depthwise) is None or depthwise.window != (3, 3):
        return None
    expand = depthwise.inputs[0]
    if depthwise.padding != (1, 1, 1, 1) or depthwise.stride not in ((1, 1), (2, 2)):
        return None
    if not _pointwise(expand) or graph.only_reader(expand) is None or expand.inputs[0] is graph.input:
        return None
    total: Add | None = None
    reader = graph.only_reader(project)
    if isinstance(reader, Add) and reader.factors == (1.0, 1.0) and not project.clamped:
        other = [source for source in reader.inputs if source is not project]
        if other == [expand.inputs[0]] and depthwise.stride == (1, 1):
            total = reader
    return Block(expand, depthwise, project, total)


def _pointwise(node: Node) -> TypeGuard[Conv]:
    return isinstance(node, Conv) and node.window == (1, 1) == node.stride and not any(node.padding)
