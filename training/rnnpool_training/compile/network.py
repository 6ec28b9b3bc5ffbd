"""Any network to a blob: traced, folded, calibrated, lowered, planned, and compared with what it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ..blob import Model, write
from ..engine import Engine
from ..errors import InputError
from ..planner import plan
from ..reference import golden_check, run_input, set_golden
from . import results
from .calibrate import Ranges, calibrate
from .finetune import finetune
from .fold import Normalization, fold
from .from_torch import Translated, trace, translate
from .graph import Filter, Graph, Shape
from .hidden_order import order_hidden_units
from .lower import lower
from .results import Boxes, Check, Result
from .results.base import Values
from .unused_channels import remove_unused_channels

Pictures = NDArray[np.uint8]  # (N, height, width, channels)
BATCH = 8
REFERENCE_PICTURES = 2  # that the integer reference runs as well: it is slow
TRACED = 1e-3  # of the largest value: most that the graph may differ from the network,
TRACED_LEAST = 1e-6  # beside what floating point does


@dataclass(frozen=True)
class Prepared:
    """A network as the graph of a blob's operators, in floating point; what its results are; remarks, for people."""

    graph: Graph
    result: Result
    wanted: list[Values]  # what the network gives for some pictures
    notes: list[str]


@dataclass(frozen=True)
class Exported:
    """A network as a blob, how close it is, and remarks, for people."""

    model: Model
    data: bytes
    arena: int
    check: Check
    notes: list[str]


@dataclass(frozen=True)
class Network:
    """What is exported: a module in floating point, and what can't be seen in it.

    shape: height, width, channels of the input, which is (pixel / 255 - mean) / std. labels: None for those that its
    results have. kind, boxes: as of results.choose. seed: of the golden frame. ram: most bytes of arena; None: the
    least that takes no more time.
    """

    module: nn.Module
    shape: Shape
    normalization: Normalization
    name: str
    labels: list[str] | None = None
    kind: str | None = None
    boxes: Boxes | None = None
    seed: int = 1
    ram: int | None = None


def export(
    network: Network,
    pictures: Pictures,
    held: Pictures,
    classes: Sequence[str] = (),
    answers: Sequence[str | int] = (),
    threshold: float = 0.5,
    steps: int = 0,
    truth: Sequence[str | int] | None = None,
) -> Exported:
    """The blob of a network. Ranges are chosen on `pictures`, the check is on `held`.

    classes: names of folders, which are the labels if there are none and their number fits. answers: of each of `held`
    its label, or the label's number, if known. steps: of fine-tuning, on `pictures`. truth: answers to those, for it to
    learn from; None to have the network alone as teacher. InputError.
    """
    prepared = prepare(network, held)
    _labels(network, prepared, classes)  # what does not fit is said now, not after the minutes that follow
    ranges = calibrate(prepared.graph, shown_batches(pictures))
    if steps:
        numbers = None
        if truth is not None:
            labels, _ = _labels(network, prepared, classes)
            numbers = prepared.result.numbers(truth, labels)
        tuned = finetune(prepared.graph, ranges, pictures, steps, truth=numbers)
        ranges = tuned.ranges
        prepared.notes.append(f"fine-tuned in {steps} steps{tuned.said()}")
    return build(network, prepared, ranges, held, classes, answers, threshold)


def prepare(network: Network, held: Pictures) -> Prepared:
    """The graph of a network, traced, compared with the network on the pictures `held`, and folded. InputError."""
    translated = translate(trace(network.module, network.shape))
    normalize = normalizer(network.normalization, network.shape[2])
    _compare(network.module, translated, normalize, held)
    result = results.choose(translated, network.kind, network.boxes)
    graph = translated.graph
    graph.wide = result.wide
    notes = result.strip(translated)
    graph.tidy()
    wanted = [result.wanted(graph.results(normalize(pixels))) for pixels in batches(held, 1)]
    notes += translated.notes + fold(graph, network.normalization)
    result.finish(graph)
    for node in graph.nodes:
        if isinstance(node, Filter):
            node.weight, node.bias = node.weight.float(), node.bias.float()
    return Prepared(graph, result, wanted, notes)


def build(
    network: Network,
    prepared: Prepared,
    ranges: Ranges,
    held: Pictures,
    classes: Sequence[str] = (),
    answers: Sequence[str | int] = (),
    threshold: float = 0.5,
) -> Exported:
    """The blob of a prepared network with ranges, as `export`. InputError."""
    graph, result = prepared.graph, prepared.result
    labels, notes = _labels(network, prepared, classes)
    whole = lower(graph, ranges, result, network.name, labels, threshold)
    whole.golden_seed = network.seed
    set_golden(whole)
    smaller, removed = remove_unused_channels(whole)
    if removed and not golden_check(smaller):
        raise RuntimeError("results differ without the channels that have no use")
    if removed:
        notes.append(f"{removed} channels that are constant or have no use are left out; the results are the same")
    ordered = order_hidden_units(smaller)
    if not golden_check(ordered):
        raise RuntimeError("results differ with the hidden units of RNNPools in another order")
    model = plan(ordered, ram=network.ram)
    data = write(model)
    engine = Engine(data)
    outputs = run_engine(engine, model, held)
    check = result.check(model, prepared.wanted, outputs, answers)
    return Exported(model, data, engine.arena_size(), check, notes + prepared.notes)


def _labels(network: Network, prepared: Prepared, classes: Sequence[str]) -> tuple[list[str], list[str]]:
    # And remarks.
    count = prepared.result.count(prepared.graph)
    if network.labels is None:
        return prepared.result.labels(prepared.graph, classes)
    if len(network.labels) != count:
        raise InputError(f"{len(network.labels)} labels, the network has {count} outputs")
    return network.labels, []


def normalizer(normalization: Normalization, channels: int) -> Any:
    """A function from pixels (N, C, H, W) to what the network takes. InputError if their number is wrong."""
    try:
        mean, std = (torch.tensor(v, dtype=torch.float32).expand(channels)[:, None, None] for v in normalization)
    except RuntimeError:
        raise InputError(
            f"{len(normalization.mean)} values of mean, {len(normalization.std)} of std: "
            f"the picture has {channels} channels"
        ) from None
    return lambda pixels: (pixels / 255 - mean) / std


def _compare(module: nn.Module, translated: Translated, normalize: Any, pictures: Pictures) -> None:
    # InputError if the graph gives something else than the network.
    worst, largest = 0.0, 0.0
    for pixels in batches(pictures, 1):  # as it was traced
        x = normalize(pixels)
        with torch.no_grad():
            given = torch.utils._pytree.tree_leaves(module(x))
        for mine, own in zip(translated.graph.results(x), given, strict=True):
            if not bool(torch.isfinite(own).all()):
                bad = (n.where for n, value in translated.graph.run(x) if not bool(torch.isfinite(value).all()))
                raise InputError(f"{next(bad, 'the network itself')}: gives values that are not finite")
            worst = max(worst, float((mine.reshape(own.shape) - own).abs().max()))
            largest = max(largest, float(own.abs().max()))
    if not worst <= TRACED * largest + TRACED_LEAST:
        raise InputError(f"what was traced differs from the network by {worst:g}: it can't be exported")


def run_engine(engine: Engine, model: Model, pictures: Pictures) -> list[list[NDArray[Any]]]:
    """Each operator's output for each picture. RuntimeError if engine and reference differ: a fault of ours."""
    found = []
    kept = set(model.results())
    for i, pixels in enumerate(pictures):
        outputs = engine.run(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], taps=True).outputs()
        if i < REFERENCE_PICTURES:
            right = run_input(model, pixels)
            if not all(np.array_equal(outputs[op], right[op]) for op in kept):
                raise RuntimeError(f"engine and reference differ on picture {i}")
        found.append([value if op in kept else value[:0] for op, value in enumerate(outputs)])
    if not engine.golden_check():
        raise RuntimeError("engine and reference differ on the golden frame")
    return found


def shown_batches(pictures: Pictures) -> Iterable[Tensor]:
    """Those that ranges are chosen on, with a bar of progress."""
    count = -(-len(pictures) // BATCH)
    return tqdm(batches(pictures), desc="choosing ranges", total=count, unit="batch", mininterval=5)


def batches(pictures: Pictures, size: int = BATCH) -> Iterator[Tensor]:
    """Pictures as (N, C, H, W) of 0..255."""
    for start in range(0, len(pictures), size):
        yield torch.from_numpy(pictures[start : start + size]).permute(0, 3, 1, 2).float()
