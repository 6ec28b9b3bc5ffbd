"""Boxes: a detector gives a map for each of its heads, with a logit a class and four numbers of a box an anchor.

Or it gives two in turn, the logits and the boxes.

The box of an anchor of w x h pixels in row r and column c of a map with a cell of `step` pixels has its centre at
((c + 0.5) step + v dx w, (r + 0.5) step + v dy h) and sides of w exp(u dw), h exp(u dh); v and u are the variances
(SSD, Liu et al. 2016). Each class has a score by itself, the sigmoid of its logit: there is no background. Where the
network has one, scores are the sigmoids of the logits less the background's, p / (p + the background's p) of the
softmax. With one class that is the softmax; with several the class of an anchor is the softmax's, and its score at
least the softmax's, the same where no other class has a part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import blob, reference
from ...blob import Op
from ...errors import InputError
from ..calibrate import Ranges
from ..from_torch import Translated
from ..from_torch.values import Softmax
from ..graph import Conv, Filter, GlobalAverage, Graph, Input, Node, Pointwise, Pool, RNNPool, Upsample
from .base import Result, Values, own_convolution
from .heads import interleave, join

Anchors = tuple[tuple[tuple[float, float], ...], ...]  # of each head: (width, height) in pixels
OVERLAP = 0.5  # of two boxes that are the same
Q12 = 4096
BOX = 4  # numbers
BACKGROUND = ("none", "first", "last")


def read_anchors(given: Any) -> Anchors:
    """Of each head, its anchors: (width, height), or a number for both. InputError."""
    try:
        heads = tuple(
            tuple((float(a), float(a)) if isinstance(a, int | float) else (float(a[0]), float(a[1])) for a in head)
            for head in given
        )
    except (TypeError, ValueError, IndexError):
        raise InputError(
            f"anchors must be, for each map, a list of (width, height) in pixels or of sides; given {given!r}"
        ) from None
    sides = [side for head in heads for anchor in head for side in anchor]
    if not heads or not all(heads) or not all(1 / 16 <= side <= 2047 for side in sides):
        raise InputError(f"anchors need sides of 1/16 to 2047 pixels, one or more a map; given {given!r}")
    return heads


@dataclass(eq=False)
class Boxes(Result):
    """A detector's heads, in the order of the network's results."""

    anchors: Anchors
    variances: tuple[float, float]  # of centres and of sides
    iou: float = 0.4
    max_candidates: int = 200
    background: str | None = "none"  # which class is none: of BACKGROUND; None: nobody said

    task: ClassVar[blob.Task] = blob.Task.DETECTION
    value: ClassVar[str] = "value"
    classes = 0
    difference = False  # of classes and a background
    tied = 0  # places where several classes are beyond int16: the first of them is taken
    pairs = False  # whether logits and boxes are results of their own, in turn
    steps: tuple[int, ...] = ()

    def strip(self, translated: Translated) -> list[str]:
        """Counts classes."""
        outputs = translated.graph.outputs
        self.pairs = len(outputs) == 2 * len(self.anchors)
        if not self.pairs and len(outputs) != len(self.anchors):
            raise InputError(f"the network gives {len(outputs)} results, anchors are of {len(self.anchors)} maps")
        for node in outputs:
            if isinstance(node, Pointwise | Softmax):
                raise InputError(f"{node.where}: a head gives logits and numbers as they are: leave this out")
        found = {self._classes(outputs, place) for place in range(len(self.anchors))}
        if len(found) > 1:
            raise InputError(f"the network's maps are of {', '.join(map(str, found))} classes: one number is needed")
        self.classes = found.pop()
        if self.classes > 1 and self.background is None:
            raise InputError(
                f"the network gives {self.classes} scores an anchor: if they are {self.classes} classes, each by "
                "itself (a sigmoid), say --background none; if one of them is a background (a softmax), --background "
                "first or last"
            )
        self.difference = self.background in ("first", "last")
        if not self.difference:
            return []
        if self.classes < 2:
            raise InputError(
                f"the network gives 1 score an anchor, --background {self.background} is for a background and a class "
                "or more: 2 scores or more are needed; of a score without a background say --background none"
            )
        self.classes -= 1
        if self.classes == 1:
            return ["the score is the class's logit less the background's"]
        return [
            "scores are p / (p + the background's p) of the softmax: at least its p, the same where no other class has "
            "a part of it"
        ]

    def _without_background(self, values: Tensor, anchors: int, axis: int) -> Tensor:
        # Along an axis, of each anchor its classes' logits less the background's, then its four numbers.
        if not self.difference:
            return values
        back, own = (0, 1) if self.background == "first" else (self.classes, 0)
        found = []
        for part in values.chunk(anchors, axis):
            logits = part.narrow(axis, own, self.classes) - part.narrow(axis, back, 1)
            found += [logits, part.narrow(axis, self.classes + 1, BOX)]
        return torch.cat(found, axis)

    def _classes(self, outputs: list[Node], place: int) -> int:
        # Of a head.
        anchors = len(self.anchors[place])
        node = outputs[2 * place] if self.pairs else outputs[place]
        height, width, channels = node.shape
        classes, rest = divmod(channels, anchors)
        if self.pairs:
            box = outputs[2 * place + 1]
            if rest or box.shape != (height, width, 4 * anchors):
                given = " and ".join(f"{c}x{h}x{w}" for h, w, c in (node.shape, box.shape))
                raise InputError(
                    f"{node.where}, {box.where}: maps of {given} for {anchors} anchors: logits (anchors times classes) "
                    "and boxes (anchors times 4) are needed in turn"
                )
            return classes
        if rest or classes < 5:
            raise InputError(
                f"{node.where}: a map of {channels}x{height}x{width} for {anchors} anchors: channels must be "
                "anchors times (classes and 4 numbers of the box), anchor by anchor"
            )
        return classes - 4

    def finish(self, graph: Graph) -> None:
        """Each head is a convolution's."""
        ready = [own_convolution(graph, output, whole=False) for output in list(graph.outputs)]
        if self.pairs:
            pairs = zip(ready[::2], ready[1::2], self.anchors, strict=True)
            graph.outputs = [join(logits, box, len(anchors)) for logits, box, anchors in pairs]
            graph.tidy()
        if self.difference:
            for conv, anchors in zip(graph.outputs, self.anchors, strict=True):
                assert isinstance(conv, Conv)
                conv.weight, conv.bias = (
                    self._without_background(values, len(anchors), 0) for values in (conv.weight, conv.bias)
                )
                conv.shape = (*conv.shape[:2], len(conv.bias))
        self.steps = tuple(step(output) for output in graph.outputs)

    def factors(self, anchors: int) -> NDArray[np.float64]:
        """From the network's numbers to the blob's, a channel each: offsets in sides of the anchor, log2 of sizes."""
        centre, side = self.variances
        one = [1.0] * self.classes + [centre, centre, side / math.log(2), side / math.log(2)]
        return np.tile(np.array(one), anchors)

    def place(self, graph: Graph, node: Node) -> int:
        """Which head a node is."""
        return next(i for i, output in enumerate(graph.outputs) if output is node)

    def operator(self, lowering: Any, node: Filter) -> Op:
        """DETECT_HEAD."""
        place = self.place(lowering.graph, node)
        anchors = np.array(self.anchors[place])
        unit = 1 / (self.factors(len(anchors)) * Q12)
        found: Op = lowering.head(node, unit, np.floor(16 * anchors + 0.5).astype(np.uint16), self.steps[place],
                                  self.classes)  # fmt: skip
        return found

    def count(self, graph: Graph) -> int:
        """One a class."""
        return self.classes

    def labels(self, graph: Graph, classes: Sequence[str]) -> tuple[list[str], list[str]]:
        """Numbered."""
        return ["object"] if self.classes == 1 else [f"class {i}" for i in range(self.classes)], []

    def fields(self, graph: Graph, ranges: Ranges) -> dict[str, Any]:
        """Limits of the suppression."""
        return {"iou": round(self.iou * 32768), "max_candidates": self.max_candidates}

    def wanted(self, values: list[Tensor]) -> Values:
        """In the blob's numbers."""
        if self.pairs:
            pairs = zip(values[::2], values[1::2], self.anchors, strict=True)
            values = [interleave(logits, box, len(anchors), 1) for logits, box, anchors in pairs]
        heads = zip(values, self.anchors, strict=True)
        values = [self._without_background(value, len(anchors), 1) for value, anchors in heads]
        found = super().wanted(values)
        most = 8 - 1 / Q12  # where int16 ends: scores are 0 or 1 long before
        for value, anchors in zip(found, self.anchors, strict=True):
            logits = value.reshape(*value.shape[:2], len(anchors), -1)[..., : self.classes]
            self.tied += int(((logits > most).sum(-1) > 1).sum())
        return [np.clip(v * self.factors(len(a)), -8, most) for v, a in zip(found, self.anchors, strict=True)]

    def real(self, model: blob.Model, outputs: Sequence[NDArray[Any]]) -> Values:
        """Q12, in the order of the network's results."""
        return [outputs[op].astype(np.float64) / Q12 for op in self.ops]

    def _as_softmax(self, values: NDArray[np.float64], anchors: int) -> NDArray[np.float64]:
        # The logits whose sigmoids are the network's softmax, of its classes' logits less the background's.
        if not self.difference or self.classes == 1:
            return values
        found = values.copy().reshape(*values.shape[:2], anchors, -1)
        logits = found[..., : self.classes]
        odds = np.exp(logits)
        logits -= np.log1p(odds.sum(-1, keepdims=True) - odds)
        return found.reshape(values.shape)

    def compare(self, model: blob.Model, wanted: list[Values], got: list[Values], outputs: list[list[NDArray[Any]]],
                answers: Sequence[str | int]) -> list[tuple[str, str]]:  # fmt: skip
        """Boxes at the threshold: which of the network's are among the blob's, and the other way round."""
        floats = mine = in_both = of_mine = 0
        for values, picture in zip(wanted, outputs, strict=True):
            exact = list(picture)
            for op, value, anchors in zip(self.ops, values, self.anchors, strict=True):
                exact[op] = np.round(self._as_softmax(value, len(anchors)) * Q12).astype(np.int16)
            a, b = (
                reference.detect_outputs(model, side, model.width, model.height, max_detections=512)
                for side in (exact, picture)
            )
            floats, mine = floats + len(a), mine + len(b)
            in_both += sum(any(_same(x, y) for y in b) for x in a)
            of_mine += sum(any(_same(x, y) for x in a) for y in b)
        said = f"{in_both} of the {floats} of the network on {len(wanted)} pictures, and {mine - of_mine} others"
        found = [("same boxes", f"{said} (threshold {model.threshold / 32768:.2f}, overlap {OVERLAP})")]
        if self.tied:
            said = f"{self.tied} places where two or more logits are above 8, the most that there is room for"
            found.append(("beyond 8", f"{said}: the first of these classes is taken"))
        return found


def _same(a: reference.Detection, b: reference.Detection) -> bool:
    if a.label != b.label:
        return False
    width = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    height = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    both = max(width, 0) * max(height, 0)
    return both >= OVERLAP * (a.w * a.h + b.w * b.h - both)


def step(node: Node) -> int:
    """Pixels of the picture a cell of a node's map, by the strides on the way to it. InputError if there is no one."""
    along = [_stride(node, axis) for axis in (0, 1)]
    if along[0] != along[1] or along[0] != round(along[0]) or not 1 <= along[0] <= 512:
        raise InputError(f"{node.where}: a cell is {along[1]:g}x{along[0]:g} pixels: a square of 1 to 512 is needed")
    return round(along[0])


def _stride(node: Node, axis: int) -> float:
    total = 1.0
    while not isinstance(node, Input):
        if isinstance(node, Filter | Pool):
            total *= node.stride[axis]
        elif isinstance(node, RNNPool):
            total *= node.stride
        elif isinstance(node, Upsample):
            total /= node.factor
        elif isinstance(node, GlobalAverage):
            raise InputError(f"{node.where}: behind the mean of a whole map there are no places of boxes")
        node = max(node.inputs, key=lambda n: n.shape[0] * n.shape[1])  # not the vector of a product
    return total
