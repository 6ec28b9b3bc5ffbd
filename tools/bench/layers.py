"""Operators by themselves against the same operators in a whole model, on the cycle model.

python -m tools.bench.layers models/face.rnnp

Each operator is run as a blob of its own (rnnpool_training.layers), fed with the rows that it gets in the model. Its
cycles are all from rnnp_begin to the last row: what a script pays, but for the interpreter. Those of the first one in
the model are with the frame's rows, which both turn into int8.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from rnnpool_training import blob, interrupts, layers, reference

from . import network
from .compile import ROOT
from .inputs import load_image
from .machine import BenchError

# Functions of engine/frame.c that make the input's rows of the frame's.
FRAME_ROWS = ("rnnp_frame_take_row", "rnnp_frame_make_row")  # and a memcpy, which is not told from others


@interrupts.said
def main() -> int:
    """Prints a table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.layers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="a .rnnp blob")
    parser.add_argument("--image", help="any image; default: matplotlib's portrait")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="folder for what is compiled")
    arguments = parser.parse_args()
    try:
        model = blob.load(arguments.model)
        image, _ = load_image(arguments.image, network.read_shape(arguments.model.read_bytes()))
        whole = network.run(arguments.model, image, arguments.build / "fast")
        pixels = image.reshape(model.input_shape)
        maps = [pixels, *reference.run_input(model, pixels)]
        print(f"{'operator':24} {'in the model':>12} {'by itself':>12}")
        for index, op in enumerate(model.ops):
            path = arguments.build / layers.file_name(model, index)
            path.write_bytes(blob.write(layers.layer(model, index)))
            rows = maps[op.input].view(np.uint8)
            alone = network.run(path, rows, arguments.build / "fast")
            built_in = whole.operators[index].counts.cycles
            if op.input == 0:
                built_in += sum(whole.functions[name] for name in FRAME_ROWS)
            share = alone.cycles / built_in - 1
            print(f"{whole.operators[index].name:24} {built_in:12,} {alone.cycles:12,} {share:+7.1%}", flush=True)
    except (BenchError, OSError, ValueError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
