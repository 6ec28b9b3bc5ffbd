"""What a model finds in frames as cameras deliver them: other formats, turned, dark, flat, overexposed.

python -m tools.camera_recall --model models/face.rnnp --data FOLDER

Each picture of the labelled folder is made into such a frame and given to the engine twice: without saying so (as the
format and the way round that the frame seems to have) and with the option for it, if there is one. Prints a table in
Markdown: recall and false detections on a completely labelled picture, at the model's threshold; of a classifier its
accuracy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rnnpool_training.blob import Task
from rnnpool_training.command import command
from rnnpool_training.data import Sample, load
from rnnpool_training.engine import Engine
from rnnpool_training.evaluate import as_array
from rnnpool_training.evaluate_classifier import OpenClassifier, evaluate_classifier, load_pictures
from rnnpool_training.metrics import evaluate
from rnnpool_training.reference import Format, View
from rnnpool_training.reference.formats import colour

Gray = NDArray[np.uint8]
UPRIGHT = View()


def words(gray: Gray, order: str) -> bytes:
    """RGB565 of a gray picture."""
    v = gray.astype(np.uint16)
    return (v >> 3 << 11 | v >> 2 << 5 | v >> 3).astype(order + "u2").tobytes()


def yuyv(gray: Gray) -> bytes:
    """YUYV of a gray picture: no colour is 128."""
    return np.stack([gray, np.full_like(gray, 128)], -1).tobytes()


def even(gray: Gray) -> Gray:
    """Without the last column of an odd number, as YUYV needs it."""
    return gray[:, : gray.shape[1] // 2 * 2]


@dataclass(frozen=True)
class Condition:
    """A kind of frame. bytes: of the stored picture; seen: the format that it is taken for without the option."""

    name: str
    option: str
    view: View = UPRIGHT  # how the picture is stored, undone by the option
    side: float = 0  # pixels of the model's frame to which the largest face of a picture is enlarged
    tilt: float = 0  # degrees by which the camera was held askew, which no option undoes
    light: Callable[[Gray], Gray] = lambda gray: gray
    pack: Callable[[Gray], bytes] = lambda gray: gray.tobytes()
    format: Format = Format.GRAY8
    seen: Format = Format.GRAY8
    arguments: dict[str, Any] = field(default_factory=dict)  # of Engine.run_bytes, with the option


def scaled(factor: float, centre: float = 0) -> Callable[[Gray], Gray]:
    """Brightness times factor, or contrast around a centre."""
    return lambda gray: np.clip(np.rint(centre + factor * (gray.astype(np.float32) - centre)), 0, 255).astype(np.uint8)


AUTO = {"measure": True}
SHARP = 48.0  # pixels: faces from this size on are enlarged
WORDS = Format.RGB565
CONDITIONS = (
    Condition("untouched", 'gain="auto"', arguments=AUTO),
    Condition("untouched", "scale=(1, 0.5)", arguments={"scales": (256, 128)}),
    Condition(
        "RGB565, high byte first",
        "format=RGB565_BE",
        pack=lambda g: words(g, ">"),
        format=Format.RGB565_BE,
        seen=WORDS,
    ),
    Condition("YUYV", "format=YUYV", pack=yuyv, format=Format.YUYV, seen=WORDS),
    *(Condition(f"turned by {360 - r} degrees", f"rotate={r}", View(rotate=r)) for r in (90, 180, 270)),
    Condition("mirrored", "mirror=True", View(mirror=True)),
    *(Condition(f"tilted by {angle} degrees", "", tilt=angle) for angle in (20, -20)),
    *(Condition(f"the largest face enlarged to {side} pixels", "", side=side) for side in (130, 175, 220)),
    Condition("brightness x0.25", 'gain="auto"', light=scaled(0.25), arguments=AUTO),
    Condition("contrast x0.25", 'gain="auto"', light=scaled(0.25, 128), arguments=AUTO),
    Condition("overexposed x2", 'gain="auto"', light=scaled(2), arguments=AUTO),
)


def tilted(sample: Sample, angle: float) -> Sample:
    """A picture turned counterclockwise by `angle` degrees about its middle, cut to its size, mid grey beyond it.

    A face is taken for an ellipse (augment.place); of faces that leave the picture, the boxes are cut.
    """
    from rnnpool_training.augment import place  # which needs PyTorch

    height, width = sample.pixels.shape
    image = Image.fromarray(sample.pixels).rotate(angle, Image.Resampling.BILINEAR, fillcolor=128)
    corners = np.clip(place(sample.boxes, 0, 0, 1, angle, (height, width)), 0, [width, height, width, height])
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return replace(sample, stored=np.array(image), boxes=boxes[boxes[:, 2:].min(axis=1) > 1].astype(np.float32))


def enlarged(sample: Sample, side: float, shape: tuple[int, int] = (240, 320)) -> Sample | None:
    """A frame of `shape` (height, width) around the largest face, which has `side` pixels in it: mid grey beyond the
    picture, no other face is labelled. None where no face has 48 pixels: enlarged further, it is all blur."""
    sides = np.sqrt(sample.boxes[:, 2] * sample.boxes[:, 3])
    if sides.max(initial=0) < SHARP:
        return None
    x, y, w, h = sample.boxes[int(sides.argmax())]
    scale = side / float(sides.max())
    left, top = x + w / 2 - shape[1] / scale / 2, y + h / 2 - shape[0] / scale / 2
    way = (1 / scale, 0, left, 0, 1 / scale, top)
    made = Image.fromarray(sample.pixels).transform(
        (shape[1], shape[0]), Image.Transform.AFFINE, way, Image.Resampling.BILINEAR, fillcolor=128
    )
    box = np.array([[(x - left) * scale, (y - top) * scale, w * scale, h * scale]], np.float32)
    corners = np.clip(np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1), 0, [shape[1], shape[0]] * 2)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).astype(np.float32)
    return replace(sample, stored=np.array(made), boxes=boxes, complete=False)


def stored(samples: list[Sample], condition: Condition) -> Iterator[Sample]:
    """The pictures as the camera stores them, with the boxes in their pixels."""
    view = condition.view
    back = View(rotate=(360 - view.rotate) % 360)
    for sample in samples:
        if condition.side:
            close = enlarged(sample, condition.side)
            if close is None:
                continue
            sample = close
        if condition.tilt:
            sample = tilted(sample, condition.tilt)
        pixels = condition.light(even(sample.pixels))
        made = np.ascontiguousarray(back.upright(pixels)[:, :: -1 if view.mirror else 1])
        edges = [
            view.stored_box(round(x), round(y), round(x + w), round(y + h), made.shape[1], made.shape[0])
            for x, y, w, h in sample.boxes[:, :4].tolist()
        ]
        boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in edges]
        yield replace(sample, stored=made, boxes=np.array(boxes, np.float32).reshape(-1, 4))


def measure(engine: Engine, samples: list[Sample], condition: Condition, option: bool) -> dict[str, Any]:
    """The summary at the model's threshold."""

    def detector(gray: Gray) -> NDArray[np.float32]:
        height, width = gray.shape
        data = condition.pack(gray)
        format, view = (condition.format, condition.view) if option else (condition.seen, UPRIGHT)
        arguments = condition.arguments if option else {}
        run = engine.run_bytes(data, width, height, format, view=view, **arguments)
        return as_array([(d.x, d.y, d.w, d.h, d.score) for d in run.detections()])

    return evaluate(detector, stored(samples, condition)).summary(engine.threshold / 32768)


Rgb = NDArray[np.uint8]


def colour_words(rgb: Rgb) -> bytes:
    """RGB565, high byte first, of colours."""
    r, g, b = (rgb[:, :, i].astype(np.uint16) for i in range(3))
    return (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype(">u2").tobytes()


def gray_bytes(rgb: Rgb) -> bytes:
    """GRAY8 of colours."""
    return colour(rgb, 1).tobytes()


def swapped(rgb: Rgb) -> bytes:
    """BGR888 of colours."""
    return rgb[:, :, ::-1].tobytes()


def dark(rgb: Rgb) -> bytes:
    """A quarter of the brightness."""
    return (rgb // 4).tobytes()


# Name, bytes of a picture, the format that they are taken for, gain="auto".
WAYS: tuple[tuple[str, Callable[[Rgb], bytes], Format, bool], ...] = (
    ("RGB888", lambda rgb: rgb.tobytes(), Format.RGB888, False),
    ("RGB565_BE", colour_words, Format.RGB565_BE, False),
    ("RGB565_BE, taken for RGB565", colour_words, Format.RGB565, False),
    ("BGR888, taken for RGB888", swapped, Format.RGB888, False),
    ("GRAY8", gray_bytes, Format.GRAY8, False),
    ("RGB888, brightness x0.25", dark, Format.RGB888, False),
    ('RGB888, brightness x0.25, gain="auto"', dark, Format.RGB888, True),
)


def classify_all(engine: Engine, data: str, limit: int) -> None:
    """Prints the table of a classifier that takes colours."""
    labels = engine.model.num_labels
    pictures = load_pictures(data, [str(i) for i in range(labels)], 3, limit)
    print(f"{len(pictures)} pictures\n| frames | accuracy | AUC |\n|---|--:|--:|")
    for name, pack, format, auto in WAYS:

        def run(
            rgb: Rgb, pack: Callable[[Rgb], bytes] = pack, format: Format = format, auto: bool = auto
        ) -> NDArray[np.float64]:
            height, width, _ = rgb.shape
            done = engine.run_bytes(pack(rgb), width, height, format, measure=auto)
            return np.array(done.probabilities()) / 32768

        found = evaluate_classifier(OpenClassifier(run, [str(i) for i in range(labels)], 3), pictures)
        print(f"| {name} | {found['accuracy']:.3f} | {found['auc']:.3f} |", flush=True)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m tools.camera_recall", description=__doc__.split("\n")[0])
    p.add_argument("--model", type=Path, required=True, help="a .rnnp blob: gray detector or colour classifier")
    p.add_argument("--data", required=True, help="folder of labelled pictures")
    p.add_argument("--limit", type=int, default=0, help="only so many pictures, evenly chosen")
    p.add_argument("--only", default="", help="only detectors' frames with this in their name, as tilted")
    options = p.parse_args(arguments)
    conditions = [c for c in CONDITIONS if options.only in c.name]
    if not conditions:
        p.error(f"--only {options.only}: frames are {', '.join(sorted({c.name for c in CONDITIONS}))}")
    engine = Engine(options.model.read_bytes())
    if engine.task == Task.CLASSIFICATION:
        classify_all(engine, options.data, options.limit)
        return
    samples = load(options.data, options.limit)
    print(
        f"{len(samples)} pictures, {sum(len(s.boxes) for s in samples)} faces, threshold {engine.threshold / 32768:.3f}"
    )
    print("| frames | recall | false alarms | with | recall | false alarms |\n|---|--:|--:|---|--:|--:|")
    for condition in conditions:
        cells = []
        for option in (False, True):
            if option and not condition.option:
                cells += ["", "", ""]
                continue
            found = measure(engine, samples, condition, option)
            cells += [f"`{condition.option}`"] if option else []
            alarms = "" if condition.side else f"{found['false_per_image_complete']:.3f}"  # not all is labelled there
            cells += [f"{found['recall']:.3f}", alarms]
        print(f"| {condition.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
