"""A network of the zoo in a file: its name, its weights, and the input that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .. import checkpoint
from ..anchors import decode, non_maximum_suppression
from ..compile.fold import Normalization
from ..data import frame
from ..errors import InputError
from ..fastgrnn import FastGRNNCell
from ..metrics import DetectorFunction
from . import build, entry
from .deployed import NMS_IOU
from .faces import FaceDetector

LOWEST_SCORE, MOST_FACES, MOST_CANDIDATES = 0.02, 300, 1000


@dataclass
class Saved:
    """A network, its name in the zoo, the arguments that it was built with, and its input's normalization.

    weighted: its RNN cells have learned zeta and nu, which the zoo's have not.
    """

    network: str
    module: nn.Module
    normalization: Normalization
    arguments: dict[str, Any] = field(default_factory=dict)
    weighted: bool = False


def weigh(module: nn.Module) -> nn.Module:
    """The same module, its RNN cells with zeta and nu as parameters."""
    for cell in module.modules():
        if isinstance(cell, FastGRNNCell) and not cell.weighted:
            cell.weighted = True
            cell.zeta, cell.nu = nn.Parameter(torch.tensor(3.0)), nn.Parameter(torch.tensor(-4.0))
    return module


def save(path: Path, saved: Saved) -> None:
    """Write it whole or not at all. OSError."""
    weights = {k: v.clone() for k, v in saved.module.state_dict().items() if not k.endswith("num_batches_tracked")}
    described = {"network": saved.network, "arguments": saved.arguments, "weighted": saved.weighted}
    described |= {"mean": list(saved.normalization.mean), "std": list(saved.normalization.std)}
    checkpoint.save(path, {"zoo": described, "model": weights})


def load(path: Path) -> Saved:
    """Read it, in evaluation mode. InputError if the file is damaged or something else."""
    _, content = checkpoint.load(path, checkpoint.ZOO)
    described = content["zoo"]
    try:
        name, arguments, weighted = described["network"], described["arguments"], bool(described["weighted"])
        normalization = Normalization(*(tuple(float(v) for v in described[k]) for k in ("mean", "std")))
        module = build(name, **arguments)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} describes no network that can be built: {error}") from None
    checkpoint.fill(path, weigh(module) if weighted else module, content["model"])
    return Saved(name, module.eval(), normalization, arguments, weighted)


def detector(saved: Saved) -> DetectorFunction:
    """A detector of gray pictures as `evaluate` takes one. InputError for another network."""
    channels, height, width = entry(saved.network).shape
    module = saved.module
    if not isinstance(module, FaceDetector) or channels != 1:
        raise InputError(f"{saved.network}: face detectors of gray pictures, face-m4 and face-qvga, are evaluated")
    anchors = module.anchors.grid(height, width).numpy()
    mean, std = saved.normalization.mean[0], saved.normalization.std[0]

    def detect(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        image, scale_x, scale_y = frame(pixels, height, width)
        with torch.no_grad():
            scores, deltas = module((torch.from_numpy(image).float()[None, None] / 255 - mean) / std)
        chances = scores[0].softmax(1)[:, 1].numpy()
        chosen = np.flatnonzero(chances >= LOWEST_SCORE)
        chosen = chosen[np.argsort(-chances[chosen], kind="stable")][:MOST_CANDIDATES]
        boxes = decode(deltas[0].numpy()[chosen], anchors[chosen])
        kept = non_maximum_suppression(boxes, chances[chosen], NMS_IOU, MOST_FACES)
        found = np.concatenate([boxes[kept], chances[chosen][kept, None]], axis=1).astype(np.float32)
        found[:, :4] /= np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        return found

    return detect
