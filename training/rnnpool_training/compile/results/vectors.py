"""Vectors: logits of labels, and numbers (regression). Both end with DENSE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import blob
from ...blob import Op
from ...errors import InputError
from ..calibrate import Ranges
from ..from_torch import Translated
from ..from_torch.values import Softmax
from ..graph import Conv, GlobalAverage, Graph
from .base import Result, Values, only_output, own_convolution


class Vector(Result):
    """A vector of int16."""

    task: ClassVar[blob.Task] = blob.Task.CLASSIFICATION

    def finish(self, graph: Graph) -> None:
        """The last operator is a convolution of the whole map without a clamp."""
        (last,) = graph.outputs
        if isinstance(last, GlobalAverage):  # the mean of a 1x1 convolution is that of its input, convolved
            conv = last.inputs[0]
            plain = isinstance(conv, Conv) and conv.window == (1, 1) == conv.stride and not any(conv.padding)
            if plain and not conv.clamped and not last.clamped and graph.only_reader(conv) is last:
                source = conv.inputs[0]
                last.inputs, last.shape = [source], (1, 1, source.shape[2])
                conv.inputs, conv.shape = [last], (1, 1, conv.shape[2])
                graph.outputs = [conv]
                graph.tidy()
        own_convolution(graph, graph.outputs[0], whole=True)

    def operator(self, lowering: Any, node: Conv) -> Op:
        """DENSE."""
        found: Op = lowering.dense(node)
        return found

    def count(self, graph: Graph) -> int:
        """One an output."""
        return graph.outputs[0].shape[2]

    def real(self, model: blob.Model, outputs: Sequence[NDArray[Any]]) -> Values:
        """Q12 less the last operator's shift."""
        return [outputs[-1].astype(np.float64) / 2.0 ** (12 - model.ops[-1].shift)]


def known_labels(labels: Sequence[str]) -> dict[str | int, int]:
    """The number of each label, and of each number."""
    return {i: i for i in range(len(labels))} | {label: i for i, label in enumerate(labels)}


class Classes(Vector):
    """Logits; the engine makes probabilities of them. A sigmoid behind a single one: no and yes."""

    value: ClassVar[str] = "logit"

    def __init__(self) -> None:
        self.binary = False

    def strip(self, translated: Translated) -> list[str]:
        """A softmax, or the sigmoid of a single logit."""
        graph, output = translated.graph, only_output(translated)
        if isinstance(output, Softmax):
            graph.outputs = [output.inputs[0]]
        elif translated.last == "sigmoid" and translated.before is not None:
            if output.shape[2] > 1:
                raise InputError(
                    f"{output.where}: the last operation gives {output.shape[2]} probabilities, each by itself; "
                    "classifiers give one label: leave the sigmoid out, export a network for each label, or say "
                    "--result map, which gives all as they are"
                )
            graph.outputs, self.binary = [translated.before], True
        graph.tidy()
        return []

    def finish(self, graph: Graph) -> None:
        """The logit of yes becomes two."""
        super().finish(graph)
        last = graph.outputs[0]
        assert isinstance(last, Conv)
        if self.binary:
            last.weight = torch.cat([torch.zeros_like(last.weight), last.weight])
            last.bias = torch.cat([torch.zeros_like(last.bias), last.bias])
            last.shape = (1, 1, 2)

    def wanted(self, values: list[Tensor]) -> Values:
        """The logit of no is 0."""
        (found,) = super().wanted(values)
        return [np.concatenate([np.zeros_like(found), found], 2) if self.binary else found]

    def labels(self, graph: Graph, classes: Sequence[str]) -> tuple[list[str], list[str]]:
        """The folders' names if their number fits."""
        count = self.count(graph)
        if len(classes) == count:
            return list(classes), ["labels are the folders' names in the order of the alphabet"]
        notes = [f"the folder has {len(classes)} folders, the network {count} outputs: no labels"] if classes else []
        return ["no", "yes"] if self.binary else [f"class {i}" for i in range(count)], notes

    def numbers(self, answers: Sequence[str | int], labels: Sequence[str]) -> NDArray[np.int64]:
        """Folders' names, or numbers as they are."""
        known = known_labels(labels)
        without = [answer for answer in answers if answer not in known]
        shown = ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")
        if without:
            where = f"in {without[0]!r}" if without[0] else "in no folder"
            where = f"of the label {without[0]}" if isinstance(without[0], int) else where
            raise InputError(
                f"--from-labels: {len(without)} of {len(answers)} pictures are of no label of the network ({shown}); "
                f"the first is {where}: a folder a label is needed, or --labels with the folders' names in the order "
                "of the network's outputs"
            )
        found = np.array([known[answer] for answer in answers])
        if len(set(found.tolist())) < 2:
            raise InputError(
                f"--from-labels: all {len(found)} pictures are of the label {labels[found[0]]!r}: two labels or more "
                "are needed, so that there is something to tell apart"
            )
        return found

    def compare(self, model: blob.Model, wanted: list[Values], got: list[Values], outputs: list[list[NDArray[Any]]],
                answers: Sequence[str | int]) -> list[tuple[str, str]]:  # fmt: skip
        """The same answers, and the right ones where labels are known."""
        mine, floats = (np.array([int(v[0].argmax()) for v in side]) for side in (got, wanted))
        same, count = int((mine == floats).sum()), len(mine)
        said = [("same answer", f"{same} of {count} other pictures ({same / count:.1%})")]
        known = known_labels(model.labels)
        if len(answers) == count and set(answers) <= set(known):
            truth = np.array([known[answer] for answer in answers])
            said.append(("right", f"{(mine == truth).sum()} of {count}; in floating point {(floats == truth).sum()}"))
        return said


class Numbers(Vector):
    """Regression: real numbers."""

    value: ClassVar[str] = "number"

    def strip(self, translated: Translated) -> list[str]:
        """Nothing may be left out."""
        output = only_output(translated)
        if isinstance(output, Softmax):
            raise InputError(f"{output.where}: behind numbers; leave it out")
        return []

    def fields(self, graph: Graph, ranges: Ranges) -> dict[str, Any]:
        """That they are numbers."""
        return {"numbers": True}

    def labels(self, graph: Graph, classes: Sequence[str]) -> tuple[list[str], list[str]]:
        """Numbered."""
        count = self.count(graph)
        return ["number"] if count == 1 else [f"number {i}" for i in range(count)], [
            "numbers come from model.run(): output_scale * (value - output_zero_point)"
        ]
