"""What `classify` says of a classifier: accuracy with its interval, confusions, mistakes, and what to do next."""

from __future__ import annotations

import json
import math
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .classification_metrics import area_under_curve
from .engine import Engine
from .files import replacing
from .pictures import Picture

ROOT = Path(__file__).resolve().parents[2]  # a checkout
BENCHMARKS, PERSON = ROOT / "docs" / "benchmarks.json", ROOT / "models" / "person.rnnp"
CLOCK = 168_000_000  # Hz
THUMB = 160  # pixels of a side of a picture on the sheet
COLUMNS = 6
MOST_SHOWN = 60


def wilson(right: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson's score interval); (0, 1) of nothing."""
    if count == 0:
        return 0.0, 1.0
    z, part = 1.959964, right / count
    middle = (part + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(part * (1 - part) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Measured:
    """Predictions (N, labels) against the truth (N,), and what follows.

    (R, N, labels) of R repetitions of a cross-validation: all figures are means of theirs.
    """

    probabilities: NDArray[np.float64]
    truth: NDArray[np.int64]
    labels: list[str]

    @property
    def each(self) -> NDArray[np.float64]:
        """(R, N, labels)."""
        return self.probabilities.reshape(-1, *self.probabilities.shape[-2:])

    @property
    def mean(self) -> NDArray[np.float64]:
        """(N, labels): what the repetitions say of a picture together."""
        result: NDArray[np.float64] = self.each.mean(0)
        return result

    def confusion(self) -> NDArray[np.float64]:
        """(labels, labels): how many pictures of each class (row) were taken for each (column)."""
        result = np.zeros((len(self.labels), len(self.labels)))
        for found in self.each:
            np.add.at(result, (self.truth, found.argmax(1)), 1)
        return result / len(self.each)

    def counted(self, value: float) -> str:
        """A number of the confusions."""
        return f"{value:.0f}" if len(self.each) == 1 else f"{value:.1f}"

    def balanced(self) -> tuple[float, float, float]:
        """Mean of the classes' recalls, and its 95 % interval, from theirs (the square-and-add method)."""
        table = self.confusion()
        low, high, mean, classes = 0.0, 0.0, 0.0, 0
        for label, row in enumerate(table):
            if row.sum():
                recall = row[label] / row.sum()
                bottom, top = wilson(row[label], row.sum())
                low, high = low + (recall - bottom) ** 2, high + (top - recall) ** 2
                mean, classes = mean + recall, classes + 1
        mean /= classes
        return mean, max(0.0, mean - math.sqrt(low) / classes), min(1.0, mean + math.sqrt(high) / classes)

    def summary(self) -> dict[str, Any]:
        """For JSON: images, balanced accuracy and accuracy with intervals, recall of each class, auc of two."""
        table = self.confusion()
        right, count = float(np.trace(table)), len(self.truth)
        balanced, low, high = self.balanced()
        result: dict[str, Any] = {
            "images": count,
            "balanced accuracy": round(balanced, 4), "balanced interval": [round(low, 4), round(high, 4)],
            "accuracy": round(right / count, 4), "interval": [round(v, 4) for v in wilson(right, count)],
            "recall": {name: round(float(row[i] / row.sum()), 4) if row.sum() else None
                       for i, (name, row) in enumerate(zip(self.labels, table, strict=True))},
            "confusion": [[float(self.counted(v)) for v in row] for row in table],
        }  # fmt: skip
        if len(self.labels) == 2 and table.sum(1).all():
            areas = [area_under_curve(found[:, 1], self.truth) for found in self.each]
            result["auc"] = round(float(np.mean(areas)), 4)
        return result

    def text(self, how: str) -> str:
        """The same for people; `how` says on what it was measured."""
        values = self.summary()
        low, high = values["balanced interval"]
        lines = [
            f"balanced accuracy {values['balanced accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}): {how}",
            f"accuracy {values['accuracy']:.3f} ({values['interval'][0]:.3f} to {values['interval'][1]:.3f}), "
            f"{values['images']} pictures",
            "",
            *self.table(),
        ]
        return "\n".join(lines)

    def table(self) -> list[str]:
        """The confusions as lines of text: a row for what a picture is, a column for what it was taken for."""
        names = [name if len(name) <= 16 else name[:15] + "…" for name in self.labels]
        table = self.confusion()
        shown = range(len(names)) if len(names) <= 12 else range(0)
        first = max(len("is \\ taken for"), *map(len, names))
        lines = ["  ".join([f"{'is / taken for':<{first}}", *(f"{names[i]:>6}" for i in shown), "recall"])]
        for i, row in enumerate(table):
            recall = f"{row[i] / row.sum():.3f}" if row.sum() else "-"
            cells = [f"{self.counted(row[j]):>{max(6, len(names[j]))}}" for j in shown]
            lines.append("  ".join([f"{names[i]:<{first}}", *cells, f"{recall:>6}"]))
        return lines

    def wrong(self) -> list[int]:
        """Pictures that it got wrong, by the mean of the repetitions, the most certain mistakes first."""
        found = self.mean.argmax(1)
        rows = np.flatnonzero(found != self.truth)
        return [int(i) for i in rows[np.argsort(-self.mean[rows, found[rows]], kind="stable")]]


def confusion_picture(measured: Measured, path: Path) -> None:
    """The confusions as a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    table = measured.confusion()
    parts = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 2.2 + 0.7 * min(len(table), 24)
    figure, axes = plt.subplots(figsize=(side + 1, side))
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(table))
    axes.set_xticks(ticks, measured.labels, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, measured.labels, parse_math=False)
    axes.set(xlabel="taken for", ylabel="is")
    if len(table) <= 24:
        for i in ticks:
            for j in ticks:
                axes.text(
                    j,
                    i,
                    measured.counted(table[i, j]),
                    ha="center",
                    va="center",
                    color="white" if parts[i, j] > 0.5 else "black",
                )
    with warnings.catch_warnings(), replacing(path) as unfinished:
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box; the report has the letter
        figure.tight_layout()
        figure.savefig(unfinished, dpi=110)
    plt.close(figure)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    import matplotlib

    try:  # has more letters than Pillow's own
        return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 11)
    except OSError:
        return ImageFont.load_default()


def mistakes_picture(measured: Measured, pictures: list[Picture], path: Path) -> int:
    """A sheet of what it got wrong, with file, class and answer, as a PNG file; returns how many there are in all."""
    wrong = measured.wrong()
    shown = wrong[:MOST_SHOWN]
    cell_height = THUMB + 46
    rows = max(1, -(-len(shown) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * (THUMB + 8), rows * cell_height), "white")
    draw, font = ImageDraw.Draw(sheet), _font()

    def fitted(text: str) -> str:
        while len(text) > 4 and draw.textlength(text, font=font) > THUMB:
            text = "…" + text[2:]
        return text

    if not shown:
        draw.text((8, 8), "no mistakes", fill="black", font=font)
    for place, index in enumerate(shown):
        x, y = place % COLUMNS * (THUMB + 8) + 4, place // COLUMNS * cell_height + 2
        pixels = pictures[index].pixels
        thumb = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
        sheet.paste(ImageOps.contain(thumb, (THUMB, THUMB)), (x, y))
        found = int(measured.mean[index].argmax())
        lines = (pictures[index].name, f"is {measured.labels[measured.truth[index]]}",
                 f"taken for {measured.labels[found]} {measured.mean[index, found]:.2f}")  # fmt: skip
        for i, line in enumerate(lines):
            draw.text((x, y + THUMB + 1 + 14 * i), fitted(line), fill="black" if i < 2 else "firebrick", font=font)
    with replacing(path) as unfinished:
        sheet.save(unfinished)
    return len(wrong)


def seconds_a_frame(macs: int) -> float | None:
    """Seconds a frame of its own size on a Cortex-M4 at CLOCK, about: at the person model's cycles a multiply-add.

    None outside of a checkout, where the figures are. At inputs from 128 to 224 pixels a side it is within an eighth of
    what was counted (models/person.md), at 96 a third too low.
    """
    if not (BENCHMARKS.exists() and PERSON.exists()):
        return None
    cycles: float = json.loads(BENCHMARKS.read_text())["models"]["person"]["cycles"]
    return cycles / sum(op.macs for op in Engine(PERSON.read_bytes()).ops()) * macs / CLOCK


def what_next(out: Path, arena: int, size: int, seconds: float | None) -> str:
    """How to bring the blob to a board and use it, and how long it takes there."""
    clock = f"{CLOCK / 1e6:.0f} MHz"
    time = f": about {seconds:.2f} s a frame on a Cortex-M4 at {clock}, by its multiply-adds" if seconds else ""
    path = out.name if "." in out.name else f"./{out.name}"  # a name without a dot is a model's in the firmware
    given, bench = shlex.quote(str(out)), shlex.quote(f"mine={out}")
    return f"""What next{time}
  copy it to the board:    mpremote cp {given} {shlex.quote(f":{out.name}")}
  and there:
    import rnnpool
    model = rnnpool.Model({path!r})    # {size:,} bytes; {arena:,} bytes of RAM for frames of its own size
    chances = model.classify(frame, width=160, height=120, format=rnnpool.RGB565)    # a frame of your camera
    print(model.labels[chances.index(max(chances))])
  examples/own_model.py is a whole script; python -m tools.bench --model {bench} counts cycles on a Cortex-M4"""
