"""What one operator for a depthwise 3x3 and the 1x1 convolution behind it could save, on the cycle model.

python -m tools.bench.separable vww.rnnp

For each such pair of a model: the cycles of its depthwise layer, and those that the planar kernel of INVERTED_RESIDUAL
takes for the same map, as a fused operator would. It would have its input's pixels to turn into planar rows, too:
TURN cycles a value, as assembly that does nothing else could. Bytes of rows: three of the input and one between, and
of the fused operator one of the input and two planar ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from rnnpool_training import blob, interrupts
from rnnpool_training.blob import Conv, Depthwise, InvertedResidual, Model, Task
from rnnpool_training.planner import with_plan
from rnnpool_training.reference import set_golden

from . import network
from .compile import ROOT
from .machine import BenchError

PLANAR = "all_channels"  # of arch/armv7em_depthwise.c
TURN = 2


def fused(op: Depthwise, shape: tuple[int, int, int], outputs: int) -> Model:
    """An inverted residual of as many channels inside, as a model of its own. Its numbers do not matter."""
    channels = shape[2]
    bias, multiplier = np.zeros(channels, np.int32), np.full(channels, 1 << 24, np.int32)
    block = InvertedResidual(
        input=0, expand_weight=np.eye(channels, dtype=np.int8), expand_bias=bias, expand_multiplier=multiplier,
        depthwise_weight=op.filter_weight, depthwise_bias=bias, depthwise_multiplier=multiplier,
        project_weight=np.ones((outputs, channels), np.int8), project_bias=np.zeros(outputs, np.int32),
        project_multiplier=np.full(outputs, 1 << 24, np.int32), stride=np.atleast_1d(op.stride).tolist()[0],
    )  # fmt: skip
    model = Model(task=Task.LAYER, name="fused", labels=["fused"], height=shape[0], width=shape[1], channels=0,
                  ops=[block], map_channels=channels)  # fmt: skip
    model = with_plan(model, ())
    set_golden(model)
    return model


@interrupts.said
def main() -> int:
    """Prints a table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.separable", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="a .rnnp blob")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="folder for what is compiled")
    arguments = parser.parse_args()
    try:
        model = blob.load(arguments.model)
        noise = np.random.default_rng(1)
        frame = noise.integers(
            0, 256, (*model.input_shape[:2], model.channels)[: 3 if model.channels > 1 else 2], np.uint8
        )
        whole = network.run(arguments.model, frame, arguments.build / "fast")
        heads = ("cycles", "planar", "turned", "saved")
        print(f"{'operator':12} {'map':>10}", *(f"{head:>9}" for head in heads), f"{'rows':>7} {'fused':>7}")
        total = [0] * 4
        for i, op in enumerate(model.ops):
            reader = next((other for other in model.ops if other.input == i + 1), None)
            if not (isinstance(op, Depthwise) and op.filter_weight.shape[:2] == (3, 3) and isinstance(reader, Conv)):
                continue
            height, width, channels = shape = model.in_shape(i)
            path = arguments.build / "fused.rnnp"
            path.write_bytes(blob.write(fused(op, shape, reader.out_channels)))
            rows = noise.integers(0, 256, shape, np.uint8)
            planar = network.run(path, rows, arguments.build / "fast").functions.get(PLANAR, 0)
            if planar == 0:
                raise BenchError(f"{PLANAR} took no cycle: another kernel is planar now")
            numbers = [whole.operators[i].counts.cycles, planar, TURN * height * width * channels]
            numbers.append(numbers[0] - numbers[1] - numbers[2])
            two = channels * (3 * width + model.shapes()[i][1])
            one = channels * (width + 2 * ((width + 4 + 3) // 4 * 4))
            total = [a + b for a, b in zip(total, numbers, strict=True)]
            text = "x".join(map(str, shape))
            print(
                f"{whole.operators[i].name:12} {text:>10}",
                *(f"{n:9,}" for n in numbers),
                f"{two:7,} {one:7,}",
                flush=True,
            )
        print(f"{'all':12} {whole.cycles:10,}", *(f"{n:9,}" for n in total))
    except (BenchError, OSError, ValueError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
