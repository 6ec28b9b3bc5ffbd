"""Any network to a blob: traced, folded, calibrated, lowered, planned, and compared with what it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..blob import Model, write
from ..engine import Engine
from ..errors import InputError
from ..planner import plan
from ..reference import run_input, set_golden
from .calibrate import calibrate
from .fold import Normalization, fold
from .from_torch import Translated, trace, translate
from .lower import lower

Pictures = NDArray[np.uint8]  # (N, height, width, channels)
BATCH = 8
REFERENCE_PICTURES = 2  # that the integer reference runs as well: it is slow
TRACED = 1e-3  # of the largest logit: most that the graph may differ from the network


@dataclass(frozen=True)
class Check:
    """A blob beside the network that it was made of, on the same pictures."""

    pictures: int
    same: int  # pictures with the same answer
    worst: float  # difference of two logits
    mean: float
    largest: float  # logit
    float_right: int | None  # of the pictures with a label
    right: int | None


@dataclass(frozen=True)
class Exported:
    """A network as a blob, how close it is, and remarks, for people."""

    model: Model
    data: bytes
    arena: int
    check: Check
    notes: list[str]


def export(
    module: nn.Module,
    normalization: Normalization,
    name: str,
    pictures: Pictures,
    held: Pictures,
    labels: list[str] | None = None,
    classes: Sequence[str] = (),
    answers: Sequence[str] = (),
    threshold: float = 0.5,
) -> Exported:
    """The blob of a classifier. Ranges are chosen on `pictures`, the check is on `held`.

    labels: None for `classes` if their number fits, else "class 0", ...; of a network with nn.Sigmoid() behind a single
    logit: no, yes. answers: the label of each of `held`, if known. InputError.
    """
    height, width, channels = (int(n) for n in pictures.shape[1:])
    translated = translate(trace(module, (height, width, channels)))
    wanted = logits(module, translated, normalization, held)
    binary = translated.tail == "sigmoid"
    if binary:
        wanted = np.concatenate([np.zeros_like(wanted), wanted], 1)
    labels, notes = _labels(labels, classes, wanted.shape[1], binary)
    notes += translated.notes + fold(translated.graph, normalization, binary)
    ranges = calibrate(translated.graph, _batches(pictures))
    model = plan(lower(translated.graph, ranges, name, labels, threshold))
    set_golden(model)
    data = write(model)
    engine = Engine(data)
    known = len(answers) == len(held) and set(answers) <= set(labels)
    check = compare(engine, model, wanted, held, np.array([labels.index(a) for a in answers]) if known else None)
    return Exported(model, data, engine.arena_size(), check, notes)


def logits(
    module: nn.Module, translated: Translated, normalization: Normalization, pictures: Pictures
) -> NDArray[np.float64]:
    """What the network itself gives for pictures, before a softmax. InputError if the graph gives something else."""
    channels = pictures.shape[3]
    try:
        mean, std = (torch.tensor(v, dtype=torch.float32).expand(channels)[:, None, None] for v in normalization)
    except RuntimeError:
        raise InputError(
            f"{len(normalization.mean)} values of mean, {len(normalization.std)} of std: "
            f"the picture has {channels} channels"
        ) from None
    found, worst = [], 0.0
    for pixels in _batches(pictures, 1):  # as it was traced
        x = (pixels / 255 - mean) / std
        y = [value for _, value in translated.graph.run(x)][-1].flatten(1)
        with torch.no_grad():
            own: Tensor = module(x)
        worst = max(worst, float((translated.result(y) - own.reshape(y.shape)).abs().max()))
        found.append(y.double().numpy())
    result: NDArray[np.float64] = np.concatenate(found)
    if worst > TRACED * max(1.0, float(np.abs(result).max())):
        raise InputError(f"what was traced differs from the network by {worst:g}: it can't be exported")
    return result


def compare(
    engine: Engine, model: Model, wanted: NDArray[np.float64], held: Pictures, held_labels: NDArray[np.int64] | None
) -> Check:
    """The engine beside float logits. RuntimeError if engine and reference differ, which would be a fault of ours."""
    unit = 2.0 ** (12 - model.ops[-1].shift)
    mine = []
    for i, pixels in enumerate(held):
        outputs = engine.run(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], taps=True).outputs()
        if i < REFERENCE_PICTURES and not np.array_equal(outputs[-1], run_input(model, pixels)[-1]):
            raise RuntimeError(f"engine and reference differ on picture {i}")
        mine.append(outputs[-1].reshape(-1) / unit)
    if not engine.golden_check():
        raise RuntimeError("engine and reference differ on the golden frame")
    got = np.array(mine)
    answers, difference = got.argmax(1), np.abs(got - wanted)
    right: list[int | None] = [None, None]
    if held_labels is not None:
        right = [int((a == held_labels).sum()) for a in (wanted.argmax(1), answers)]
    return Check(
        pictures=len(held), same=int((answers == wanted.argmax(1)).sum()), worst=float(difference.max()),
        mean=float(difference.mean()), largest=float(np.abs(wanted).max()), float_right=right[0], right=right[1],
    )  # fmt: skip


def _labels(labels: list[str] | None, classes: Sequence[str], count: int, binary: bool) -> tuple[list[str], list[str]]:
    # The labels, and remarks.
    if labels is not None:
        if len(labels) != count:
            raise InputError(f"{len(labels)} labels, the network has {count} outputs")
        return labels, []
    if len(classes) == count:
        return list(classes), ["labels are the folders' names in the order of the alphabet"]
    notes = [f"the folder has {len(classes)} folders, the network {count} outputs: no labels"] if classes else []
    return ["no", "yes"] if binary else [f"class {i}" for i in range(count)], notes


def _batches(pictures: Pictures, size: int = BATCH) -> Iterator[Tensor]:
    for start in range(0, len(pictures), size):
        yield torch.from_numpy(pictures[start : start + size]).permute(0, 3, 1, 2).float()
