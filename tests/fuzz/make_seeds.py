#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/fuzz_blob.c into a folder: small valid blobs with frames of all kinds (seed-*), and
broken ones (broken-*), one for each rule of a loader.

tests/fuzz/make_seeds.py build/fuzz/seeds
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
import networks
import vectors

from rnnpool_training.blob import Model, Task, write
from rnnpool_training.engine import Engine

# choice_t of fuzz_blob.c: width, height (0: the model's own), format, threshold and iou (high bytes), max, pixels, cut;
# view, roi (x, y, width, height), gain, gap, scale.
WHOLE, MEASURE, MIRROR = 16, 8, 4
CHOICES = [
    (0, 0, 0, 0, 38, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (10, 4, 1, 64, 0, 3, 2, 0, WHOLE | 1, 0, 0, 0, 0, 0, 3, 128),  # all stretched, or one of the axes
    (90, 80, 3, 1, 255, 9, 3, 0, WHOLE | MEASURE | 2, 5, 6, 70, 60, 0, 0, 64),  # all shrunk
    (4, 60, 5, 0, 38, 0, 4, 0, WHOLE | MIRROR | 3, 0, 0, 0, 0, 40, 0, 200),
    (1, 1, 3, 0, 38, 0, 5, 0, MIRROR, 0, 0, 0, 0, 8, 1, 0),
    (64, 48, 2, 0, 38, 0, 6, 0, MEASURE | MIRROR, 0, 0, 0, 0, 0, 5, 0),
    (66, 30, 6, 0, 38, 0, 7, 0, WHOLE | MIRROR, 3, 2, 40, 20, 20, 0, 0),
    (31, 90, 4, 0, 38, 0, 8, 0, WHOLE | MIRROR | 2, 0, 0, 0, 0, 17, 2, 255),
    (60, 50, 5, 0, 38, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (40, 30, 0, 0, 38, 0, 10, 0, WHOLE | MEASURE, 0, 0, 0, 0, 0, 0, 100),
    (50, 44, 4, 0, 38, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (50, 44, 1, 0, 38, 0, 11, 0, WHOLE | MIRROR | 1, 1, 1, 30, 20, 0, 0, 50),
    (32, 26, 6, 0, 38, 0, 11, 0, WHOLE | 3, 0, 0, 0, 0, 0, 0, 20),
]
# Frames that the engine must refuse, or that only some models take, of otherwise good blobs.
REFUSED = [
    (31, 20, 5, 0, 38, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),  # an odd number of YUYV pixels
    (30, 20, 0, 0, 38, 0, 1, 0, WHOLE, 20, 0, 20, 5, 0, 0, 0),  # a window beyond the frame
    (30, 20, 0, 0, 38, 0, 1, 0, WHOLE, 0, 0, 20, 0, 0, 0, 0),
    (30, 20, 7, 0, 38, 0, 1, 0, WHOLE, 0, 0, 0, 0, 0, 0, 0),  # YUV420
    (30, 20, 7, 0, 38, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    (30, 20, 0, 0, 38, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0, 0),  # too much gain
]
MAX_SIZE = 4096  # a small seed is mutated well
MAX_ARENA, MAX_MACS, MAX_PIXELS = 1 << 20, 100_000, 1 << 14  # of what fuzz_blob.c runs
PER_TASK = 60


def runs(model: Model, blob: bytes) -> bool:
    """Whether fuzz_blob.c would run it."""
    engine = Engine(blob)
    macs = sum(op.macs for op in engine.ops())
    return engine.arena_size() <= MAX_ARENA // 2 and macs <= MAX_MACS and model.width * model.height <= MAX_PIXELS


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    blobs: list[bytes] = []
    for task in Task:
        fitting = 0
        while fitting < PER_TASK:
            model = networks.random_network(rng, task)
            blob = write(model)
            if len(blob) <= MAX_SIZE and runs(model, blob):
                blobs.append(blob)
                fitting += 1
    for i, blob in enumerate(blobs):
        (folder / f"seed-{i:03}").write_bytes(bytes(CHOICES[i % len(CHOICES)]) + blob)
    for i, choice in enumerate(REFUSED):
        for k, blob in enumerate(blobs[:: PER_TASK // 2]):
            (folder / f"refused-{i}-{k}").write_bytes(bytes(choice) + blob)
    broken = [vector.blob for vector in vectors.vectors() if len(vector.blob) <= 2 * MAX_SIZE]
    for i, blob in enumerate(broken):
        (folder / f"broken-{i:03}").write_bytes(bytes(CHOICES[0]) + blob)
    print(f"{len(blobs)} models, {len(broken)} other in {folder}")


if __name__ == "__main__":
    main()
