"""RNNPool with other cells than those of the models that are here, on the cycle model.

python -m tools.bench.cells models/person.rnnp
python -m tools.bench.cells models/person.rnnp --hidden 32 48

The model's first RNNPool runs by itself on noise: with hard non-linearities, with smooth ones, and for each --hidden
with random weights of that hidden size of both cells. --plain: with the kernels in plain C.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rnnpool_training import blob, interrupts, layers
from rnnpool_training.blob.model import RNNPool

from . import network
from .compile import ROOT
from .machine import BenchError


def resized(op: RNNPool, hidden: int, rng: np.random.Generator) -> RNNPool:
    """The operator with random weights of this hidden size, small enough for any sum to fit."""

    def noise(*shape: int) -> Any:
        return rng.integers(-300, 301, shape).astype(np.int16)

    cells: dict[str, Any] = {"shift_u1": 16, "shift_u2": 16}
    for number, inputs in ((1, op.w1.shape[1]), (2, hidden)):
        cells |= {f"w{number}": noise(hidden, inputs), f"u{number}": noise(hidden, hidden)}
        cells |= {f"bz{number}": noise(hidden), f"bh{number}": noise(hidden)}
    return dataclasses.replace(op, **cells)


@interrupts.said
def main() -> int:
    """Prints a line for each cell. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cells", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="a .rnnp blob with an RNNPool")
    parser.add_argument(
        "--hidden", type=int, nargs="*", default=[4, 16, 32], help="hidden sizes, multiples of 4 up to 80"
    )
    parser.add_argument("--plain", action="store_true", help="kernels in plain C")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="folder for what is compiled")
    arguments = parser.parse_args()
    try:
        model = blob.load(arguments.model)
        index = next((i for i, op in enumerate(model.ops) if isinstance(op, RNNPool)), None)
        if index is None:
            raise BenchError(f"{arguments.model} has no RNNPool")
        layer = layers.layer(model, index)
        pool = layer.ops[0]
        assert isinstance(pool, RNNPool)
        rng = np.random.default_rng(1)
        image = rng.integers(0, 256, layer.input_shape, np.uint8)
        cells = [("hard", dataclasses.replace(pool, smooth=False)), ("smooth", dataclasses.replace(pool, smooth=True))]
        cells += [(f"hidden {size}", resized(pool, size, rng)) for size in arguments.hidden]
        path = arguments.build / "cell.rnnp"
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, op in cells:
            path.write_bytes(blob.write(dataclasses.replace(layer, ops=[op])))
            result = network.run(path, image, arguments.build / "fast", dsp=not arguments.plain)
            work = result.operators[0]
            print(
                f"{name:12} {work.macs:12,} multiply-adds {work.counts.cycles:13,} cycles"
                f" {work.macs / work.counts.cycles:5.2f} a cycle, arena {result.arena:,}",
                flush=True,
            )
    except (BenchError, OSError, ValueError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
