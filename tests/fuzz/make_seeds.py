#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/fuzz_blob.c into a folder: small valid blobs, each with a few frames.

tests/fuzz/make_seeds.py build/fuzz/seeds
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
import networks

from rnnpool_training.blob import Task, write

# width, height (0: the model's own), format, threshold and iou (high bytes), max, pixels, cut
CHOICES = [(0, 0, 0, 0, 38, 0, 1, 0), (9, 14, 1, 64, 0, 3, 2, 0), (50, 40, 2, 1, 255, 9, 3, 0)]
MAX_SIZE = 4096  # a small seed is mutated well


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    models = [networks.tiny(1), networks.segmented(1)]
    models += [networks.random_network(rng, task) for task in Task for _ in range(40)]
    blobs = [blob for model in models if len(blob := write(model)) <= MAX_SIZE]
    for i, blob in enumerate(blobs):
        (folder / f"seed-{i:03}").write_bytes(bytes(CHOICES[i % len(CHOICES)]) + blob)
    print(f"{len(blobs)} seeds in {folder}")


if __name__ == "__main__":
    main()
