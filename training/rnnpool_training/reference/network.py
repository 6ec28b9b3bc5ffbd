"""Whole networks: a frame in, every operator's output or detections out."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..blob.model import DetectHead, Kind, Model, Op, Task
from . import classification, detection
from .average_pool import global_average_pool
from .conv import conv
from .dense import dense
from .depthwise import depthwise
from .elementwise import add, concat, l2_norm, lookup, mul
from .formats import Format, FrameBytes, Pixels
from .frame import model_input, sign
from .geometry import WHOLE, View, letterbox
from .head import head
from .integer import Integers
from .inverted_residual import inverted_residual
from .light import Light
from .pool import pool
from .rnnpool import rnnpool
from .upsample import upsample

# One function a kind: (operator, input int8 [h, w, c], its zero point), then the further inputs with theirs.
RUN: dict[Kind, Callable[..., Integers]] = {
    Kind.CONV: conv,
    Kind.RNNPOOL: rnnpool,
    Kind.INVERTED_RESIDUAL: inverted_residual,
    Kind.DETECT_HEAD: head,
    Kind.GLOBAL_AVERAGE_POOL: global_average_pool,
    Kind.DENSE: dense,
    Kind.DEPTHWISE: depthwise,
    Kind.POOL: pool,
    Kind.ADD: add,
    Kind.CONCAT: concat,
    Kind.LOOKUP: lookup,
    Kind.MUL: mul,
    Kind.UPSAMPLE: upsample,
    Kind.L2_NORM: l2_norm,
}


def run_operator(op: Op, x: Integers, zero_point: int, *others: tuple[Integers, int]) -> Integers:
    """One operator: int8 [h, w, in] -> int8 (results: int16) [out_h, out_w, out].

    zero_point: the input's. others: further inputs, each with its zero point.
    """
    return RUN[op.kind](op, x, zero_point, *others)


def run_input(model: Model, pixels: Pixels) -> list[Integers]:
    """Every operator's output, in order, for an input uint8 [height, width, channels] of the model's own size.

    A layer that reads an int8 map takes the map's bytes. ValueError if the shape is another.
    """
    if pixels.shape != model.input_shape or pixels.dtype != np.uint8:
        raise ValueError(f"input must be uint8 {model.input_shape}, given {pixels.dtype} {pixels.shape}")
    maps: list[Integers] = [sign(pixels) if model.channels else pixels.view(np.int8)]
    for i, op in enumerate(model.ops):
        first, *others = zip((maps[tensor] for tensor in op.reads), model.in_zero_points(i), strict=True)
        maps.append(run_operator(op, *first, *others))
    return maps[1:]


def run(
    model: Model,
    frame: FrameBytes,
    width: int,
    height: int,
    format: Format,
    view: View = WHOLE,
    light: Light | None = None,
) -> list[Integers]:
    """Every operator's output, in order, for a frame of any size and format. ValueError if sides or bytes are wrong."""
    return run_input(model, model_input(frame, width, height, format, model.input_shape, view, light))


def detect(
    model: Model,
    frame: FrameBytes,
    width: int,
    height: int,
    format: Format,
    threshold: int | None = None,
    iou: int | None = None,
    max_detections: int = 512,
    view: View = WHOLE,
    light: Light | None = None,
    scales: Sequence[int] = (),
) -> list[detection.Detection]:
    """Detections in a frame, best first. threshold and iou: Q15, None for the model's own.

    scales: looks at the frame once at each, instead of at the view's own, and suppresses all that it found together.
    ValueError as in `run`, or if the model is no detector.
    """
    _check_task(model, Task.DETECTION)
    views = [replace(view, scale=scale) for scale in scales] or [view]
    passes = [run(model, frame, width, height, format, v, light) for v in views]
    return detect_passes(model, passes, views, width, height, threshold, iou, max_detections)


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
    return detect_passes(model, [outputs], [WHOLE], width, height, threshold, iou, max_detections)


def detect_passes(
    model: Model,
    passes: Sequence[Sequence[Integers]],
    views: Sequence[View],
    width: int,
    height: int,
    threshold: int | None = None,
    iou: int | None = None,
    max_detections: int = 512,
) -> list[detection.Detection]:
    """The same of several passes over one frame, in views that differ in their scale only."""
    _check_task(model, Task.DETECTION)
    heads = [op for op in model.ops if isinstance(op, DetectHead)]
    threshold = model.threshold if threshold is None else threshold
    logits, boxes, places = np.zeros(0, np.int64), np.zeros((0, 4), np.int64), np.zeros(0, np.int64)
    size = (1, 1)
    for outputs, view in zip(passes, views, strict=True):
        new = letterbox(*view.size(width, height), model.width, model.height, view.scale)
        found = detection.candidates(heads, [outputs[i] for i in model.results()], threshold, model.max_candidates)
        logits, places = (np.concatenate(pair) for pair in ((logits, found[0]), (places, found[2])))
        boxes = np.concatenate([detection.rescale(boxes, size, new), found[1]])
        order = np.lexsort((places, -logits))[: model.max_candidates]  # stable: an earlier pass comes first
        logits, boxes, places, size = logits[order], boxes[order], places[order], new
    scores = detection.sigmoid15(logits)
    anchors, labels = np.divmod(places, len(model.labels))
    result = []
    kept = detection.suppress(boxes, model.iou if iou is None else iou, merged=len(passes) > 1, labels=labels)
    for i, voted in zip(kept, detection.vote(boxes, logits, kept, labels).tolist(), strict=True):
        raw = tuple(voted)
        x, y, w, h = detection.to_frame(raw, width, height, model.width, model.height, views[-1])
        if w > 0 and h > 0:
            result.append(detection.Detection(x, y, w, h, int(scores[i]), raw, int(anchors[i]), int(labels[i])))
    return result[:max_detections]


def classify(
    model: Model,
    frame: FrameBytes,
    width: int,
    height: int,
    format: Format,
    view: View = WHOLE,
    light: Light | None = None,
) -> list[int]:
    """The probability of each label for a frame, Q15, 0..32767. ValueError as in `run`, or if it is no classifier."""
    _check_task(model, Task.CLASSIFICATION)
    return classify_outputs(model, run(model, frame, width, height, format, view, light))


def classify_outputs(model: Model, outputs: Sequence[Integers]) -> list[int]:
    """The probability of each label, Q15, from the operators' outputs. ValueError if the model is no classifier, or its
    outputs are numbers."""
    _check_task(model, Task.CLASSIFICATION)
    if model.numbers or len(model.labels) == 1:
        raise ValueError(f"{model.name!r} gives numbers, not probabilities")
    return [int(p) for p in classification.probabilities(outputs[-1].reshape(-1), model.ops[-1].shift)]


def raw_outputs(model: Model, outputs: Sequence[Integers]) -> Integers:
    """The result as it is, [h, w, channels]: int16 logits, Q12 less the last operator's shift, or an int8 map of
    model.result_scale. ValueError if it is neither a classifier nor a map model."""
    if model.task not in (Task.CLASSIFICATION, Task.MAP):
        raise ValueError(f"{model.name!r} is for {model.task.name.lower()}: it has no raw result")
    return outputs[-1]


def _check_task(model: Model, task: Task) -> None:
    if model.task != task:
        raise ValueError(f"{model.name!r} is for {model.task.name.lower()}, not for {task.name.lower()}")
