"""Detection metrics: AP at IoU 0.5, precision and recall, recall by face size, false alarms. Any detector callable."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .anchors import iou_matrix
from .data import Sample

FLOAT = NDArray[np.float32]
# Takes gray uint8 (H, W), returns (N, 5): x, y, w, h, score in picture pixels, best first, down to a very low score.
DetectorFunction = Callable[[NDArray[np.uint8]], FLOAT]
SIZES = (0, 8, 12, 16, 24, 32, 48, 64, 96, 128, 1000)


@dataclass
class Evaluation:
    """Detections of a data set matched to its labels at one IoU."""

    images: int
    boxes: int
    scores: FLOAT  # (D,), best first
    correct: NDArray[np.bool_]  # (D,)
    complete: NDArray[np.bool_]  # (D,): from a picture with all faces labelled
    complete_images: int
    complete_boxes: int
    face_sizes: FLOAT  # (boxes,): geometric mean of the sides
    face_scores: FLOAT  # (boxes,): score of the detection that found each face, -1 where none did
    seconds: float = 0.0
    detections: list[FLOAT] = field(default_factory=list, repr=False)
    labelled: list[tuple[int, bool]] = field(default_factory=list, repr=False)  # faces of each picture; whether all

    def average_precision(self, complete_only: bool = False) -> float:
        """All-point interpolated AP."""
        chosen = self.complete if complete_only else np.ones(len(self.scores), dtype=bool)
        return average_precision(self.correct[chosen], self.complete_boxes if complete_only else self.boxes)

    def count_error(self, threshold: float) -> float | None:
        """How far the number of detections is from that of the faces, on average over completely labelled pictures.

        None if there is no such picture.
        """
        counted = [int((rows[:, 4] >= threshold).sum()) for rows in self.detections]
        errors = [abs(n - faces) for n, (faces, known) in zip(counted, self.labelled, strict=True) if known]
        return float(np.mean(errors)) if errors else None

    def summary(self, threshold: float) -> dict[str, Any]:
        """The numbers that are reported, JSON-ready; precision and recall at a score threshold."""
        above = self.scores >= threshold
        hits = int(self.correct[above].sum())
        false_complete = int((above & ~self.correct & self.complete).sum())
        by_size = {}
        for low, high in itertools.pairwise(SIZES):
            these = (self.face_sizes >= low) & (self.face_sizes < high)
            if these.any():
                by_size[f"{low}-{high}"] = [
                    int(these.sum()),
                    round(float((self.face_scores[these] >= threshold).mean()), 3),
                ]
        error = self.count_error(threshold)
        return {
            "images": self.images,
            "boxes": self.boxes,
            "ap50": round(self.average_precision(), 4) if self.boxes else None,
            "ap50_complete": round(self.average_precision(True), 4) if self.complete_boxes else None,
            "threshold": threshold,
            "precision": round(hits / max(1, int(above.sum())), 4),
            "recall": round(hits / self.boxes, 4) if self.boxes else None,
            "false_per_image_complete": round(false_complete / max(1, self.complete_images), 4),
            "count_error_complete": None if error is None else round(error, 4),
            "recall_by_size": by_size,
            "seconds": round(self.seconds, 2),
        }


def average_precision(correct: NDArray[np.bool_], boxes: int) -> float:
    """Area under the interpolated precision-recall curve of detections sorted best first."""
    if boxes == 0:
        return 0.0
    recall, precision = precision_recall(correct, boxes)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))


def precision_recall(correct: NDArray[np.bool_], boxes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Recall and precision after each detection, best first."""
    hits = np.cumsum(correct)
    return hits / max(1, boxes), hits / np.arange(1, len(correct) + 1)


def evaluate(detector: DetectorFunction, samples: Iterable[Sample], iou: float = 0.5) -> Evaluation:
    """Run a detector over samples; each detection, best first, may claim the unclaimed face that it overlaps most."""
    scores, correct, complete, sizes, found, detections, labelled = [], [], [], [], [], [], []
    images = complete_images = complete_boxes = 0
    start = time.perf_counter()
    for sample in samples:
        result = np.asarray(detector(sample.pixels), dtype=np.float32).reshape(-1, 5)
        detections.append(result)
        labelled.append((len(sample.boxes), sample.complete))
        images += 1
        complete_images += sample.complete
        complete_boxes += len(sample.boxes) * sample.complete
        face_scores = np.full(len(sample.boxes), -1.0, dtype=np.float32)
        if len(sample.boxes):
            overlap = iou_matrix(result[:, :4], sample.boxes)
        for i, detection in enumerate(result):
            hit = False
            if len(sample.boxes):
                free = np.where(face_scores < 0, overlap[i], -1.0)
                best = int(free.argmax())
                if hit := bool(free[best] >= iou):
                    face_scores[best] = detection[4]
            scores.append(detection[4])
            correct.append(hit)
            complete.append(sample.complete)
        sizes.append(np.sqrt(sample.boxes[:, 2] * sample.boxes[:, 3]))
        found.append(face_scores)
    seconds = time.perf_counter() - start
    order = np.argsort(-np.array(scores, dtype=np.float32), kind="stable")
    sizes_array = np.concatenate(sizes) if sizes else np.zeros(0, dtype=np.float32)
    return Evaluation(
        images, len(sizes_array), np.array(scores, dtype=np.float32)[order], np.array(correct, dtype=bool)[order],
        np.array(complete, dtype=bool)[order], complete_images, complete_boxes, sizes_array,
        np.concatenate(found) if found else np.zeros(0, dtype=np.float32), seconds, detections, labelled,
    )  # fmt: skip
