"""Detectors and classifiers of this package on the one way to a blob (compile/network.py), with what they mean."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import checkpoint
from .anchors import VARIANCES
from .blob import Model
from .classifier import Classifier, load_classifier
from .compile import network as compile_network
from .compile.calibrate import Ranges, calibrate
from .compile.fold import Normalization
from .compile.network import Exported, Network, Prepared, batches, shown_batches
from .compile.results import Boxes
from .compile.rounding import Rounded
from .data import Sample
from .detector import load_float
from .errors import InputError
from .gather import gather
from .network import BOX_VALUES, Detector, NetworkConfig
from .normalization import PICTURES, renew_statistics
from .pictures import Picture, frame

PIXELS = Normalization((128 / 255,), (128 / 255,))  # networks take pixel / 128 - 1
CALIBRATION = 256  # pictures
MOST = 8.0  # of a head's values, which are int16 in Q12
TRACED = 2  # pictures on which a trace is compared with its network
GOLDEN_SEED = 2020
LABELS = ["face"]  # of detectors


class Heads(nn.Module):
    """A detector as export takes it: it gives the map of each head."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, H, W) to (N, 5 * anchors of the head, H', W') each."""
        return tuple(self.model.maps(x))


def boxes(config: NetworkConfig, iou: float = 0.4, max_candidates: int = 200) -> Boxes:
    """What a detector's heads are."""
    anchors = tuple(tuple((side, side) for side in block.anchors) for block in config.blocks if block.anchors)
    return Boxes(anchors, VARIANCES, iou, max_candidates)


def network_of(model: Detector | Classifier, name: str = "", limits: tuple[float, int] = (0.4, 200)) -> Network:
    """A detector or classifier as export takes it. limits: a detector's iou and most candidates."""
    config = model.config
    name = name or config.name
    if isinstance(model, Classifier):
        shape, labels = (config.height, config.width, model.config.channels), list(model.config.labels)
        return Network(model, shape, PIXELS, name, labels, "classes", seed=GOLDEN_SEED)
    shape = (config.height, config.width, 1)
    kind = boxes(model.config, *limits)
    return Network(Heads(model), shape, PIXELS, name, LABELS, "boxes", kind, GOLDEN_SEED)


def load(options: argparse.Namespace) -> Network:
    """The network of a float checkpoint, as the command line of export says. InputError."""
    path = options.source
    kind, _ = checkpoint.load(path, checkpoint.FLOAT_DETECTOR, checkpoint.FLOAT_CLASSIFIER)
    limits = (options.iou, options.max_candidates)
    if kind == checkpoint.FLOAT_DETECTOR:
        if options.size is not None:
            raise InputError("--size is for classifiers: a detector's anchors are for one size")
        return network_of(load_float(path), options.name or "", limits)
    model = load_classifier(path)
    if options.size is not None:
        resize(model, options.size, options.data or [], options.seed)
    return network_of(model, options.name or "")


def quantized(path: str) -> bool:
    """Whether a checkpoint was quantized. InputError if it is none that can be exported."""
    kinds = (checkpoint.FLOAT_DETECTOR, checkpoint.FLOAT_CLASSIFIER, checkpoint.QUANTIZED_DETECTOR)
    return checkpoint.load(path, *kinds)[0] == checkpoint.QUANTIZED_DETECTOR


class RoundedDetector(nn.Module):
    """A Detector in the arithmetic of the device. Input and output as Detector's."""

    def __init__(self, config: NetworkConfig, prepared: Prepared, ranges: Ranges | None = None) -> None:
        """ranges: None if a state dict brings them."""
        super().__init__()
        self.config = config
        assert isinstance(prepared.result, Boxes)
        self.result: Boxes = prepared.result
        self.rounded = Rounded(prepared.graph, ranges)
        self.most: Tensor
        self.register_buffer("most", MOST / torch.from_numpy(self.result.factors(1)).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, anchors, 5)."""
        maps = self.rounded(x * 128 + 128)
        out = torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, BOX_VALUES) for m in maps], dim=1)
        return torch.maximum(torch.minimum(out, self.most), -self.most)


def quantize(model: Detector, pictures: NDArray[np.uint8]) -> RoundedDetector:
    """A detector with ranges chosen on pictures (N, height, width, 1), ready to be fine-tuned or exported."""
    prepared = prepare(model)
    ranges = calibrate(prepared.graph, shown_batches(pictures))
    return RoundedDetector(model.config, prepared, ranges).eval()


def prepare(model: Detector) -> Prepared:
    """A detector's graph, compared with it on noise."""
    network = network_of(model)
    return compile_network.prepare(network, noise(network.shape))


def save_quantized(path: str | Path, model: RoundedDetector) -> None:
    """Write a quantized detector."""
    checkpoint.save(path, {"config": model.config.to_dict(), "quantized": model.state_dict()})


def load_quantized(path: str | Path) -> RoundedDetector:
    """Read what save_quantized wrote, in evaluation mode. InputError if the file is damaged or something else."""
    _, content = checkpoint.load(path, checkpoint.QUANTIZED_DETECTOR)
    if not any(name.startswith("rounded.") for name in content["quantized"]):
        raise InputError(f"{path} was quantized by an older version: quantize its float checkpoint again")
    config = checkpoint.config(path, NetworkConfig.from_dict, content["config"])
    model = RoundedDetector(config, prepare(Detector(config).eval()))
    checkpoint.fill(path, model, content["quantized"])
    return model.eval()


def export_quantized(
    path: str, name: str = "", threshold: float = 0.5, limits: tuple[float, int] = (0.4, 200), ram: int | None = None
) -> Exported:
    """The blob of a quantized detector, compared with its own weights in floating point on noise. InputError."""
    return export_rounded(load_quantized(path), name, threshold, limits, ram)


def export_rounded(
    model: RoundedDetector,
    name: str = "",
    threshold: float = 0.5,
    limits: tuple[float, int] = (0.4, 200),
    ram: int | None = None,
) -> Exported:
    """The same of a loaded one."""
    graph, result, config = model.rounded.graph, model.result, model.config
    result.iou, result.max_candidates = limits
    ranges = model.rounded.settle()
    network = replace(network_of(Detector(config), name, limits), ram=ram)
    held = noise(network.shape)
    wanted = [result.wanted(graph.results(pixels)) for pixels in batches(held, 1)]
    return compile_network.build(network, Prepared(graph, result, wanted, []), ranges, held, threshold=threshold)


def export(model: Classifier, pictures: Sequence[Picture], name: str, threshold: float = 0.5, seed: int = 1) -> Model:
    """The blob's model of a classifier, with ranges chosen on some of the pictures. InputError, ValueError (a name)."""
    chosen = shown(pictures, (model.config.height, model.config.width), CALIBRATION, seed)
    return compile_network.export(network_of(model, name), chosen, chosen[:TRACED], threshold=threshold).model


def resize(model: Classifier, size: tuple[int, int], folders: Sequence[Path], seed: int = 1) -> None:
    """Makes a classifier one for an input of (height, width): the statistics of its normalizations are measured anew,
    on pictures in folders.

    InputError if its last layer is an RNNPool, which fits maps of one size only, or if there is no such size.
    """
    config = model.config
    if size == (config.height, config.width):
        return
    if config.last_pool == "rnnpool":
        raise InputError(f"a last RNNPool is for maps of one size: --size must be {config.height}x{config.width}")
    try:
        model.config = replace(config, height=size[0], width=size[1])
    except ValueError as error:
        raise InputError(f"--size: {error}") from None
    pictures = gather(folders, (*size, config.channels), PICTURES, seed).pixels
    renew_statistics(model, normalized(pictures))


def shown(pictures: Sequence[Picture] | Sequence[Sample], size: tuple[int, int], count: int, seed: int) -> (
    NDArray[np.uint8]
):  # fmt: skip
    """`count` random whole pictures as the device sees them: (N, height, width, channels)."""
    chosen = np.random.default_rng(seed).permutation(len(pictures))[:count]
    found = []
    for i in chosen:
        pixels = pictures[i].pixels
        found.append(frame(pixels if pixels.ndim == 3 else pixels[:, :, None], *size))
    return np.stack(found)


def normalized(pictures: NDArray[np.uint8]) -> Iterator[Tensor]:
    """Batches (8, C, height, width) of what the networks take."""
    return (pixels.sub_(128).div_(128) for pixels in batches(pictures))


def noise(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pictures on which a trace is compared with its network, where there are no others."""
    return np.random.default_rng(1).integers(0, 256, (TRACED, *shape), dtype=np.uint8)
