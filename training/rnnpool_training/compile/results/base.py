"""What all kinds of results have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import blob
from ...blob import Op
from ...errors import InputError
from ..calibrate import Ranges
from ..from_torch import Translated
from ..graph import Conv, Graph, Node

if TYPE_CHECKING:
    from ..lower import Lowering

Values = list[NDArray[np.float64]]  # of a picture's results: (h, w, channels) each, as the network has them


@dataclass(frozen=True)
class Check:
    """A blob beside the network that it was made of, on the same pictures."""

    pictures: int
    worst: float  # difference of two values
    mean: float
    largest: float  # value
    said: list[tuple[str, str]]  # for people: what, and how much


class Result(ABC):
    """A kind of results."""

    task: ClassVar[blob.Task]
    wide: ClassVar[bool] = True  # int16: the graph's `wide`
    value: ClassVar[str] = "value"  # what a single number is

    ops: tuple[int, ...] = ()  # of each result, the blob's operator; lowering says it

    @abstractmethod
    def strip(self, translated: Translated) -> list[str]:
        """Takes off what the board does itself, before anything is folded. Returns remarks. InputError."""

    @abstractmethod
    def finish(self, graph: Graph) -> None:
        """The last pass: results end as the blob's operators do. InputError."""

    @abstractmethod
    def operator(self, lowering: Lowering, node: Conv) -> Op:
        """The operator of an int16 result."""

    @abstractmethod
    def labels(self, graph: Graph, classes: Sequence[str]) -> tuple[list[str], list[str]]:
        """Labels without any given, and remarks. classes: names of the pictures' folders."""

    @abstractmethod
    def count(self, graph: Graph) -> int:
        """How many labels there must be."""

    def fields(self, graph: Graph, ranges: Ranges) -> dict[str, Any]:
        """What the blob's header says of such results."""
        return {}

    def wanted(self, values: list[Tensor]) -> Values:
        """What the network gives for one picture, (1, C, H, W) each, in the blob's channels."""
        return [value[0].permute(1, 2, 0).double().numpy() for value in values]

    @abstractmethod
    def real(self, model: blob.Model, outputs: Sequence[NDArray[Any]]) -> Values:
        """The blob's results as real numbers. outputs: each operator's."""

    def numbers(self, answers: Sequence[str | int], labels: Sequence[str]) -> NDArray[np.int64]:
        """The label's number of each answer, to learn from. InputError if results are no classes, or one is missing."""
        raise InputError(
            f"--from-labels is for classifiers: of a network that gives {self.value}s the pictures do not say what is "
            "right; --finetune alone has the network as teacher"
        )

    def check(self, model: blob.Model, wanted: list[Values], outputs: list[list[NDArray[Any]]],
              answers: Sequence[str | int]) -> Check:  # fmt: skip
        """How far the blob's results are from the network's. answers: the label of each picture, if known."""
        got = [self.real(model, picture) for picture in outputs]
        flat = [np.concatenate([v.reshape(-1) for picture in side for v in picture]) for side in (wanted, got)]
        difference = np.abs(flat[1] - flat[0])
        worst, mean, largest = float(difference.max()), float(difference.mean()), float(np.abs(flat[0]).max())
        said = self.compare(model, wanted, got, outputs, answers)
        said.append((f"{self.value}s", f"at most {worst:.3g} apart, {mean:.3g} on average, {largest:.3g} the largest"))
        return Check(len(outputs), worst, mean, largest, said)

    def compare(self, model: blob.Model, wanted: list[Values], got: list[Values], outputs: list[list[NDArray[Any]]],
                answers: Sequence[str | int]) -> list[tuple[str, str]]:  # fmt: skip
        """What else there is to say."""
        return []


def own_convolution(graph: Graph, output: Node, whole: bool) -> Conv:
    """The convolution without a clamp that gives a result and that nothing else reads; one of ones if there is none.

    whole: of the whole map.
    """
    ready = isinstance(output, Conv) and not output.clamped and not graph.consumers(output)
    if ready and whole:
        assert isinstance(output, Conv)
        ready = output.window == output.inputs[0].shape[:2] and not any(output.padding)
    if ready and sum(other is output for other in graph.outputs) == 1:
        assert isinstance(output, Conv)
        return output
    channels = output.shape[2]
    made = Conv(
        where=output.where, shape=output.shape, inputs=[output], weight=torch.eye(channels)[:, :, None, None],
        bias=torch.zeros(channels),
    )  # fmt: skip
    place = next(i for i, other in enumerate(graph.outputs) if other is output)
    graph.outputs[place] = made
    graph.tidy()
    return made


def only_output(translated: Translated) -> Node:
    """The single result."""
    (output,) = translated.graph.outputs
    return output
