"""Pictures to look at: losses of a run, precision-recall curve, sheets of detections."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from .command import command
from .data import Sample
from .files import replacing
from .metrics import Evaluation, precision_recall
from .progress import MEASURES, NOT_LOSSES, rows

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def losses(folder: Path, out: Path) -> None:
    """Losses of log.csv and average precision of val.csv in a run's folder."""
    log = rows(folder / "log.csv", ("views", "loss"))
    parts = [name for name in log[0] if name not in NOT_LOSSES]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name in parts:
        left.plot([int(r["views"]) for r in log], [float(r[name]) for r in log], label=name)
    left.set(xlabel="views", ylabel="loss")
    left.legend()
    if (folder / "val.csv").exists():
        val = rows(folder / "val.csv", ("views",))
        for name, label in MEASURES.items():
            if name in val[0]:
                right.plot([int(r["views"]) for r in val], [float(r[name] or "nan") for r in val], label=label)
        right.set(xlabel="views", ylabel="validation")
        right.legend()
    figure.tight_layout()
    with replacing(out) as path:
        figure.savefig(path)
    plt.close(figure)


def curve(result: Evaluation, out: Path) -> None:
    """Precision over recall, for all pictures and for those with all faces labelled."""
    figure, axes = plt.subplots(figsize=(5, 5))
    for name, chosen, boxes in (
        ("all", np.ones(len(result.correct), dtype=bool), result.boxes),
        ("complete", result.complete, result.complete_boxes),
    ):
        recall, precision = precision_recall(result.correct[chosen], boxes)
        axes.plot(recall, precision, label=f"{name}: AP {result.average_precision(name == 'complete'):.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.tight_layout()
    with replacing(out) as path:
        figure.savefig(path)
    plt.close(figure)


def sheet(
    samples: list[Sample], result: Evaluation, threshold: float, out: Path, columns: int = 6, lines: int = 6
) -> None:
    """Pictures, evenly chosen, with labels (white) and detections of at least `threshold` (black and white, score)."""
    canvas = Image.new("L", (columns * 324, lines * 244))
    count = min(len(samples), columns * lines)
    for place in range(count):
        i = place * len(samples) // count
        image = Image.fromarray(samples[i].pixels)
        image.thumbnail((320, 240))
        scale = image.width / samples[i].pixels.shape[1]
        draw = ImageDraw.Draw(image)
        for x, y, w, h in samples[i].boxes * scale:
            draw.rectangle((x, y, x + w, y + h), outline=255)
        for x, y, w, h, score in result.detections[i]:
            if score >= threshold:
                x, y, w, h = x * scale, y * scale, w * scale, h * scale
                draw.rectangle((x + 1, y + 1, x + w - 1, y + h - 1), outline=0)
                draw.text((x + 2, y + 1), f"{score:.2f}", fill=255)
        canvas.paste(image, (place % columns * 324, place // columns * 244))
    with replacing(out) as path:
        canvas.save(path)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point: python -m rnnpool_training.plots RUN_FOLDER."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.plots", description="Plot the losses of a run.")
    p.add_argument("folder", type=Path, help="folder of a run")
    options = p.parse_args(arguments)
    losses(options.folder, options.folder / "losses.png")
    print(options.folder / "losses.png")


if __name__ == "__main__":
    main()
