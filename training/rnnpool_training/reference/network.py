"""Whole networks: a frame in, every operator's output or detections out."""

from collections.abc import Sequence

import numpy as np

from ..blob.model import Conv, DetectHead, InvertedResidual, Model, Op, Task
from . import detection
from .conv import conv, head
from .frame import Format, Pixels, model_input, sign
from .integer import Integers
from .inverted_residual import inverted_residual
from .rnnpool import rnnpool


def run_operator(op: Op, x: Integers, zero_point: int) -> Integers:
    """One operator: int8 [h, w, in] -> int8 (heads: int16) [out_h, out_w, out]. zero_point: the input's."""
    if isinstance(op, Conv):
        return conv(op, x, zero_point)
    if isinstance(op, DetectHead):
        return head(op, x, zero_point)
    if isinstance(op, InvertedResidual):
        return inverted_residual(op, x, zero_point)
    return rnnpool(op, x, zero_point)


def run_input(model: Model, pixels: Pixels) -> list[Integers]:
    """Every operator's output, in order, for an input uint8 [height, width, channels] of the model's own size.

    ValueError if the shape is another.
    """
    if pixels.shape != model.input_shape or pixels.dtype != np.uint8:
        raise ValueError(f"input must be uint8 {model.input_shape}, given {pixels.dtype} {pixels.shape}")
    maps: list[Integers] = [sign(pixels)]
    for i, op in enumerate(model.ops):
        maps.append(run_operator(op, maps[op.input], model.in_zero_point(i)))
    return maps[1:]


def run(
    model: Model, frame: bytes | bytearray | memoryview | Pixels, width: int, height: int, format: Format
) -> list[Integers]:
    """Every operator's output, in order, for a frame of any size and format. ValueError if sides or bytes are wrong."""
    return run_input(model, model_input(frame, width, height, format, model.input_shape))


def detect(
    model: Model,
    frame: bytes | bytearray | memoryview | Pixels,
    width: int,
    height: int,
    format: Format,
    threshold: int | None = None,
    iou: int | None = None,
    max_detections: int = 512,
) -> list[detection.Detection]:
    """Detections in a frame, best first. threshold and iou: Q15, None for the model's own.

    ValueError as in `run`, or if the model is no detector.
    """
    _check_detector(model)
    outputs = run(model, frame, width, height, format)
    return detect_outputs(model, outputs, width, height, threshold, iou, max_detections)


def detect_outputs(
    model: Model,
    outputs: Sequence[Integers],
    width: int,
    height: int,
    threshold: int | None = None,
    iou: int | None = None,
    max_detections: int = 512,
) -> list[detection.Detection]:
    """Detections, best first, from the operators' outputs for a width x height frame.

    threshold and iou: Q15, None for the model's own. ValueError if the model is no detector.
    """
    _check_detector(model)
    heads = [op for op in model.ops if isinstance(op, DetectHead)]
    threshold = model.threshold if threshold is None else threshold
    logits, boxes, anchors = detection.candidates(
        heads, [outputs[i] for i in model.results()], threshold, model.max_candidates
    )
    scores = detection.sigmoid15(logits)
    found = []
    for i in detection.suppress(boxes, model.iou if iou is None else iou):
        raw = tuple(boxes[i].tolist())
        x, y, w, h = detection.to_frame(raw, width, height, model.width, model.height)
        if w > 0 and h > 0:
            found.append(detection.Detection(x, y, w, h, int(scores[i]), raw, int(anchors[i])))
    return found[:max_detections]


def _check_detector(model: Model) -> None:
    if model.task != Task.DETECTION:
        raise ValueError(f"detections need a detection model, {model.name!r} is for {model.task.name.lower()}")
