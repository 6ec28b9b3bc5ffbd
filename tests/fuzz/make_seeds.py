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

# width, height (0: the model's own), format, threshold and iou (high bytes), max, pixels, cut
CHOICES = [
    (0, 0, 0, 0, 38, 0, 1, 0),
    (9, 4, 1, 64, 0, 3, 2, 0),  # all stretched, or one of the axes
    (90, 80, 2, 1, 255, 9, 3, 0),  # all shrunk
    (3, 60, 0, 0, 38, 0, 4, 0),
    (1, 1, 2, 0, 38, 0, 5, 0),
]
MAX_SIZE = 4096  # a small seed is mutated well
MAX_ARENA, MAX_MACS, MAX_PIXELS = 1 << 20, 100_000, 1 << 14  # of what fuzz_blob.c runs
PER_TASK = 40


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
    broken = [vector.blob for vector in vectors.vectors() if len(vector.blob) <= 2 * MAX_SIZE]
    for i, blob in enumerate(broken):
        (folder / f"broken-{i:03}").write_bytes(bytes(CHOICES[0]) + blob)
    print(f"{len(blobs)} models, {len(broken)} other in {folder}")


if __name__ == "__main__":
    main()
