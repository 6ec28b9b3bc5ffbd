"""Labels as YuNet sees them: python -m rnnpool_training.relabel FOLDER --teachers TEACHERS --out FOLDER.

A small network that is asked for faces which even a good one does not find at twice the size learns to take blurs for
faces. Such faces become ignored ones: neither learned nor punished. Faces that nobody labelled are added.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import files
from .anchors import iou_matrix
from .command import command
from .data import Sample, frame, load
from .errors import InputError

FLOAT = NDArray[np.float32]
TEACHER = "yunet_2026may.onnx"
HEIGHT, WIDTH = 480, 640  # twice the device's frame
LEAST = 0.2  # score of a labelled face, below which it is ignored
SAME = 0.35  # overlap (IoU) of a label with what the teacher finds
APART = 0.2  # overlap with every label, below which what it finds is another face
LIKELY, SURE = 0.5, 0.7  # scores from which another face is ignored, and, if not all are labelled, taken for one


def judge(sample: Sample, found: FLOAT) -> tuple[FLOAT, FLOAT]:
    """The boxes (N, 4) to learn and those to ignore (M, 4), by what a teacher found: (D, 5), box and score."""
    boxes = sample.boxes
    overlap = iou_matrix(boxes, found[:, :4]) if len(boxes) and len(found) else np.zeros((len(boxes), len(found)))
    scores = np.where(overlap > SAME, found[:, 4], 0).max(axis=1, initial=0)
    others = found[overlap.max(axis=0, initial=0) < APART]
    added = (others[:, 4] >= SURE) & (not sample.complete)
    ignored = (others[:, 4] >= LIKELY) & ~added
    learned = np.concatenate([boxes[scores >= LEAST], others[added, :4]])
    return learned, np.concatenate([sample.ignored, boxes[scores < LEAST], others[ignored, :4]])


def _inside(boxes: FLOAT, shape: tuple[int, ...]) -> list[list[float]]:
    # Teachers' boxes may end outside of the picture.
    corners = np.clip(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1), 0, [*shape[::-1]] * 2)
    rounded = np.round(corners, 1)
    rows = np.concatenate([rounded[:, :2], rounded[:, 2:] - rounded[:, :2]], axis=1)
    return [[round(v, 1) for v in row] for row in rows.tolist() if min(row[2:]) > 1]


def teacher(folder: Path) -> Any:
    """A function from gray pixels to the boxes and scores (D, 5) that YuNet finds. InputError if it is not there."""
    path = folder / TEACHER
    if not path.is_file():
        raise InputError(f"--teachers {folder} holds no {TEACHER}")
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise InputError("this needs the package opencv-python-headless (pip install 'rnnpool[peers]')") from None
    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(str(path), "", (WIDTH, HEIGHT), LEAST, 0.3, 5000)

    def detect(pixels: NDArray[np.uint8]) -> FLOAT:
        image, scale_x, scale_y = frame(pixels, HEIGHT, WIDTH)
        found = detector.detect(np.repeat(image[:, :, None], 3, axis=2))[1]
        if found is None:
            return np.zeros((0, 5), np.float32)
        boxes = found[:, :4] / np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        return np.concatenate([boxes, found[:, -1:]], axis=1).astype(np.float32)

    return detect


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.relabel", description=(__doc__ or "").split("\n")[0])
    p.add_argument("data", type=Path, help="folder of labelled pictures, of any kind that training reads")
    p.add_argument("--teachers", type=Path, required=True, help=f"folder with {TEACHER} (OpenCV zoo)")
    p.add_argument("--out", type=Path, required=True, help="folder to write: labels.jsonl, and a link to the pictures")
    options = p.parse_args(arguments)
    files.new_data_folder(options.out)
    detect = teacher(options.teachers)
    samples = load(options.data)
    files.link_folder(options.out / "pictures", options.data)
    lines, counts = [], {"faces": 0, "ignored": 0}
    for sample in tqdm(samples, desc="looking", unit="image", mininterval=5):
        learned, ignored = judge(sample, detect(sample.pixels))
        faces, others = (_inside(boxes, sample.pixels.shape) for boxes in (learned, ignored))
        counts["faces"] += len(faces)
        counts["ignored"] += len(others)
        values = {"file": f"pictures/{sample.name}", "boxes": faces, "ignored": others, "source": sample.source,
                  "complete": sample.complete}  # fmt: skip
        lines.append(json.dumps(values) + "\n")
    files.write_text(options.out / "labels.jsonl", "".join(lines))
    was = sum(len(s.boxes) for s in samples)
    print(json.dumps({"images": len(samples), "faces before": was, **counts, "out": str(options.out)}))


if __name__ == "__main__":
    main()
