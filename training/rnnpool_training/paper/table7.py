"""Table 7 of the paper, one RNNPool over a synthetic picture: python -m rnnpool_training.paper.table7 --out FOLDER.

For each set of pictures, with and without convolutions before it: RNNPool of the paper's least sizes, of the next
smaller power of two, and a convolution over the whole picture with as many outputs. Results are lines of
FOLDER/results.jsonl; what is there already is not done again. The paper does not say how its pictures are drawn, nor
how many there are: here it is `SETS` and the functions above it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from .. import files
from ..command import command, integer, real
from ..fastgrnn import Nonlinearity
from .single_pool import Operator, SinglePool, accuracy, train

ANGLES = 9  # 0, 20, ..., 160 degrees
SHAPES = (0, 3, 4, 5, 6)  # corners; 0: a circle
FINE = 4  # pictures are drawn that much larger: lines become smooth
TRAIN, TEST = 9000, 1800  # pictures
NOISE = 8.0  # standard deviation of the noise, in gray levels
Chance = np.random.Generator
Pixels = NDArray[np.uint8]


def _background(side: int, chance: Chance) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (side * FINE, side * FINE), int(chance.integers(0, 60)))
    return image, ImageDraw.Draw(image)


def _finish(image: Image.Image, side: int, chance: Chance) -> Pixels:
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float64)
    return np.clip(small + chance.normal(0, NOISE, small.shape), 0, 255).astype(np.uint8)


def _segment(draw: ImageDraw.ImageDraw, angle: int, side: int, chance: Chance) -> None:
    # A half to 5/6 of the side long, wholly inside, 2 pixels wide.
    length = side * chance.uniform(1 / 2, 5 / 6)
    dx, dy = (length / 2 * f(math.radians(20 * angle)) for f in (math.cos, math.sin))
    x, y = (chance.uniform(abs(d) + 1, side - 1 - abs(d)) for d in (dx, dy))
    ends = [FINE * v for v in (x - dx, y + dy, x + dx, y - dy)]
    draw.line(ends, fill=int(chance.integers(160, 256)), width=2 * FINE)


def one_line(side: int, chance: Chance) -> tuple[Pixels, Any]:
    """(1): one line segment; its class is its angle."""
    image, draw = _background(side, chance)
    angle = int(chance.integers(ANGLES))
    _segment(draw, angle, side, chance)
    return _finish(image, side, chance), angle


def several_lines(side: int, chance: Chance) -> tuple[Pixels, Any]:
    """(2): one to three line segments of different angles; a label an angle."""
    image, draw = _background(side, chance)
    labels = np.zeros(ANGLES, np.float32)
    for angle in chance.choice(ANGLES, chance.integers(1, 4), replace=False):
        _segment(draw, int(angle), side, chance)
        labels[angle] = 1
    return _finish(image, side, chance), labels


def shapes(side: int, chance: Chance) -> tuple[Pixels, Any]:
    """(3): one to three upright shapes that do not overlap, each of another kind; a label a shape."""
    image, draw = _background(side, chance)
    labels = np.zeros(len(SHAPES), np.float32)
    quarters = chance.permutation(4)
    for kind, quarter in zip(chance.choice(len(SHAPES), chance.integers(1, 4), replace=False), quarters, strict=False):
        half = side / 2
        radius = half * chance.uniform(0.3, 0.46)
        x, y = (half * (q + 0.5) + chance.uniform(-1, 1) * (half / 2 - radius) for q in divmod(int(quarter), 2))
        outline = {"outline": int(chance.integers(160, 256)), "width": 2 * FINE}
        if SHAPES[kind]:
            draw.regular_polygon((FINE * x, FINE * y, FINE * radius), SHAPES[kind], **outline)
        else:
            draw.ellipse([FINE * v for v in (x - radius, y - radius, x + radius, y + radius)], **outline)
        labels[kind] = 1
    return _finish(image, side, chance), labels


class Row(NamedTuple):
    """A row of the table: its pictures, and the paper's least (h1, h2) with and without convolutions."""

    data: int
    side: int
    with_stem: tuple[int, int]
    without: tuple[int, int]


SETS = {1: one_line, 2: several_lines, 3: shapes}
OUTPUTS = {1: ANGLES, 2: ANGLES, 3: len(SHAPES)}
TABLE = (
    Row(1, 32, (4, 16), (16, 32)),
    Row(2, 32, (8, 8), (32, 32)),
    Row(2, 64, (8, 16), (32, 32)),
    Row(3, 64, (8, 16), (32, 32)),
)


def pictures(data: int, side: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` pictures (N, 1, side, side) of -1 to 1, and their classes (N,) or labels (N, L); a seed, a set."""
    chance = np.random.default_rng([seed, data, side])
    drawn = [SETS[data](side, chance) for _ in range(count)]
    x = torch.from_numpy(np.stack([p for p, _ in drawn]))[:, None].float().sub_(128).div_(128)
    return x, torch.from_numpy(np.array([label for _, label in drawn]))


class Run(NamedTuple):
    """One training: what is in a line of the results, but for its outcome."""

    data: int
    side: int
    stem: bool
    operator: Operator
    cells: Nonlinearity
    h1: int
    h2: int
    seed: int


def runs(rows: list[int], stems: tuple[bool, ...], cells: Nonlinearity, seeds: int) -> Iterator[Run]:
    """Those of some rows of the table, the quick ones first."""
    for seed in range(1, seeds + 1):
        for stem in stems:
            for row in (TABLE[i] for i in rows):
                h1, h2 = row.with_stem if stem else row.without
                for operator, a, b in (("rnnpool", h1, h2), ("convolution", h1, h2), ("rnnpool", h1 // 2, h2 // 2)):
                    yield Run(row.data, row.side, stem, operator, cells, a, b, seed)  # type: ignore[arg-type]


def fit(run: Run, steps: int, batch: int, rate: float, train_count: int, test_count: int) -> dict[str, Any]:
    """Train as `run` says: accuracy on training and test pictures, parameters, seconds of CPU time."""
    x, y = pictures(run.data, run.side, train_count, run.seed)
    x_test, y_test = pictures(run.data, run.side, test_count, run.seed + 1_000_000)
    torch.manual_seed(run.seed)
    net = SinglePool(run.operator, 1, run.side, run.h1, run.h2, OUTPUTS[run.data], run.stem, run.cells)
    before = time.process_time()
    train(net, x, y, steps, batch, rate, run.seed)
    return {
        "train": accuracy(net, x, y), "test": accuracy(net, x_test, y_test),
        "parameters": sum(p.numel() for p in net.parameters()), "cpu_seconds": round(time.process_time() - before),
    }  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: a line a row of the paper's table, mean and range of the test accuracy over seeds.

    With the parameters of RNNPool and of the convolution. All lines of `found` must be of one set of options.
    """
    heads = ["set", "pictures", "convolutions before", "h1, h2", "RNNPool", "half of h1, h2", "convolution"]
    heads += ["parameters", "seeds"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|--:|--:|--:|--:|--:|"]
    for stem in (True, False):
        for row in TABLE:
            h1, h2 = row.with_stem if stem else row.without
            cells, weights, seeds = [], [], 0
            for operator, a, b in (("rnnpool", h1, h2), ("rnnpool", h1 // 2, h2 // 2), ("convolution", h1, h2)):
                key = {"data": row.data, "side": row.side, "stem": stem, "operator": operator, "h1": a, "h2": b}
                those = [f for f in found if all(f[k] == v for k, v in key.items())]
                tests = [100 * f["test"] for f in those]
                weights += [f"{f['parameters']:,}" for f in those[:1] if (a, b) == (h1, h2)]
                seeds = max(seeds, len(tests))
                spread = f" ({min(tests):.2f}..{max(tests):.2f})" if len(tests) > 1 else ""
                cells.append(f"{np.mean(tests):.2f}{spread}" if tests else "-")
            if seeds:
                first = [f"({row.data})", f"{row.side}x{row.side}", "yes" if stem else "no", f"{h1}, {h2}"]
                lines.append(f"| {' | '.join([*first, *cells, ' / '.join(weights), str(seeds)])} |")
    return "\n".join(lines) + "\n"


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(
        prog="python -m rnnpool_training.paper.table7", description=(__doc__ or "").split(":")[0]
    )
    p.add_argument("--out", type=Path, required=True, help="folder of the results")
    p.add_argument("--rows", type=integer(1, len(TABLE)), nargs="+", default=[1, 2, 3, 4], help="of the table (all)")
    p.add_argument("--before", choices=("conv", "none", "both"), default="both", help="convolutions before it (both)")
    p.add_argument("--cells", choices=("hard", "smooth"), default="hard", help="non-linearities (%(default)s)")
    p.add_argument("--seeds", type=integer(1, 100), default=3)
    p.add_argument("--steps", type=integer(1), default=1500)
    p.add_argument("--lr", type=real(0, above=True), default=1e-2, help="highest learning rate (%(default)s)")
    p.add_argument("--batch", type=integer(1), default=128)
    p.add_argument("--train", type=integer(1), default=TRAIN, help="pictures to learn from")
    p.add_argument("--test", type=integer(1), default=TEST, help="pictures to test on")
    options = p.parse_args(arguments)
    torch.set_num_threads(1)  # the same sums, and so the same results, on any machine of one kind
    results = files.make_folder(options.out) / "results.jsonl"
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    stems = {"conv": (True,), "none": (False,), "both": (True, False)}[options.before]
    same = {"cells": options.cells, "steps": options.steps, "batch": options.batch, "lr": options.lr}
    same |= {"pictures": options.train, "tests": options.test}
    for run in runs([row - 1 for row in options.rows], stems, options.cells, options.seeds):
        what = {**run._asdict(), **same}
        if any(all(f.get(k) == v for k, v in what.items()) for f in found):
            continue
        found.append(what | fit(run, options.steps, options.batch, options.lr, options.train, options.test))
        files.write_text(results, "".join(json.dumps(f) + "\n" for f in found))
        print(json.dumps(found[-1]), flush=True)
    print(table([f for f in found if all(f.get(k) == v for k, v in same.items())]), end="")


if __name__ == "__main__":
    main()
