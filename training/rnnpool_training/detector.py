"""From a network's raw output to detections on a picture: shared by the float and the fake-quantized model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import checkpoint
from .anchors import decode, grid, non_maximum_suppression, vote
from .data import frame
from .metrics import DetectorFunction
from .network import Detector, NetworkConfig

FLOAT = NDArray[np.float32]
NMS_IOU = 0.4
LOWEST_SCORE = 0.02
MOST_FACES = 100


def detections(output: FLOAT, anchors: FLOAT, lowest: float, iou: float, limit: int) -> FLOAT:
    """Raw output (anchors, 5) to (N, 5): x, y, w, h, score, best first."""
    scores = 1.0 / (1.0 + np.exp(-output[:, 0].astype(np.float64)))
    chosen = np.flatnonzero(scores >= lowest)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:400]
    boxes = decode(output[chosen, 1:], anchors[chosen])
    score = scores[chosen].astype(np.float32)
    kept = non_maximum_suppression(boxes, score, iou, limit)
    return np.concatenate([vote(boxes, score, kept), score[kept, None]], axis=1)


def raw_detector(
    raw: Callable[[NDArray[np.uint8]], FLOAT], config: NetworkConfig, lowest: float = LOWEST_SCORE
) -> DetectorFunction:
    """A detector from a function that maps a frame (height, width) to raw output (anchors, 5)."""
    anchors = grid(config, config.height, config.width)

    def detect(pixels: NDArray[np.uint8]) -> FLOAT:
        image, scale_x, scale_y = frame(pixels, config.height, config.width)
        result = detections(raw(image), anchors, lowest, NMS_IOU, MOST_FACES)
        result[:, :4] /= np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
        return result

    return detect


def torch_detector(model: torch.nn.Module, config: NetworkConfig, lowest: float = LOWEST_SCORE) -> DetectorFunction:
    """A detector from a PyTorch model in evaluation mode."""

    def raw(image: NDArray[np.uint8]) -> FLOAT:
        with torch.no_grad():
            x = torch.from_numpy(image.astype(np.float32))[None, None].sub_(128).div_(128)
            result: FLOAT = model(x)[0].numpy()
        return result

    return raw_detector(raw, config, lowest)


def save_float(path: str | Path, config: NetworkConfig, state: dict[str, Any]) -> None:
    """Write a float checkpoint: only what is needed to run or fine-tune the network."""
    weights = {k: v.clone() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    checkpoint.save(path, {"config": config.to_dict(), "model": weights})


def load_float(path: str | Path) -> Detector:
    """Read what save_float wrote, in evaluation mode. InputError if the file is damaged or something else."""
    _, content = checkpoint.load(path, checkpoint.FLOAT_DETECTOR)
    model = Detector(checkpoint.config(path, NetworkConfig.from_dict, content["config"]))
    checkpoint.fill(path, model, content["model"])
    return model.eval()
