"""Maps: heat maps, segmentation, centroids. The last operator's int8 values are the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ... import blob
from ...blob import Op
from ...errors import InputError
from ..calibrate import Ranges
from ..from_torch import Translated
from ..from_torch.values import Softmax
from ..graph import Conv, Graph, Input
from .base import Result, Values, only_output


class Map(Result):
    """An int8 map, a label a channel."""

    task: ClassVar[blob.Task] = blob.Task.MAP
    wide: ClassVar[bool] = False

    def strip(self, translated: Translated) -> list[str]:
        """A softmax can't be left out, since it would change the values; a sigmoid is a table as any other."""
        output = only_output(translated)
        if isinstance(output, Softmax):
            raise InputError(
                f"{output.where}: of the channels of a map can't be computed on the board; leave it out: the largest "
                "channel is the same"
            )
        return []

    def finish(self, graph: Graph) -> None:
        """Any operator may be the last."""
        if isinstance(graph.outputs[0], Input):
            raise InputError("the result is the picture itself")

    def operator(self, lowering: Any, node: Conv) -> Op:
        """Results are int8."""
        raise AssertionError("a map has no int16 result")

    def count(self, graph: Graph) -> int:
        """One a channel."""
        return graph.outputs[0].shape[2]

    def labels(self, graph: Graph, classes: Sequence[str]) -> tuple[list[str], list[str]]:
        """Numbered."""
        return [f"channel {i}" for i in range(self.count(graph))], []

    def fields(self, graph: Graph, ranges: Ranges) -> dict[str, Any]:
        """The scale."""
        return {"result_scale": float(np.float32(ranges[graph.outputs[0]].scale))}

    def real(self, model: blob.Model, outputs: Sequence[NDArray[Any]]) -> Values:
        """By scale and zero point."""
        return [model.result_scale * (outputs[-1].astype(np.float64) - model.ops[-1].out_zero_point)]

    def compare(self, model: blob.Model, wanted: list[Values], got: list[Values], outputs: list[list[NDArray[Any]]],
                answers: Sequence[str | int]) -> list[tuple[str, str]]:  # fmt: skip
        """Where the same channel is the largest, and the resolution."""
        height, width, channels = wanted[0][0].shape
        said = [("a step", f"{model.result_scale:.3g}, {height}x{width} pixels of {channels} channels")]
        if channels > 1:
            same = np.mean([(a[0].argmax(2) == b[0].argmax(2)).mean() for a, b in zip(wanted, got, strict=True)])
            said.insert(0, ("same channel", f"the largest one in {same:.1%} of the pixels of {len(got)} pictures"))
        return said
