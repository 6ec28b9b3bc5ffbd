"""The whole chain on generated pictures in about a minute: train, quantize, fine-tune, export, evaluate.

python -m rnnpool_training.smoke [--out FOLDER]. Fails if the network learns nothing or a step loses what was learned.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from . import evaluate, export, finetune, train
from .command import command
from .data import load
from .generated import write_folder

LEAST_AP = 0.3  # of the float model after the few steps below
MOST_LOSS = 0.05  # of AP, from the fake-quantized model to the integer reference


def chain(folder: Path, steps: int = 180) -> dict[str, float]:
    """Run everything in a folder; returns AP at IoU 0.5 of each stage. RuntimeError if one falls short."""
    write_folder(folder / "train", 120, seed=1)
    write_folder(folder / "val", 40, seed=2)
    data = ["--data", str(folder / "train"), "--val-minutes", "60", "--log-every", "20"]
    train.main([*data, "--out", str(folder / "float"), "--steps", str(steps), "--batch", "16", "--crop", "128",
                "--average", "0.95", "--seed", "1"])  # fmt: skip
    finetune.main([str(folder / "float/float.pt"), *data, "--out", str(folder / "int8"), "--steps", "12",
                   "--batch", "8", "--crop", "128", "--average", "0.8", "--calibration", "64"])  # fmt: skip
    blob = folder / "smoke.rnnp"
    export.main([str(folder / "int8/quantized.pt"), "-o", str(blob), "--name", "smoke"])
    samples = load(folder / "val")
    stages = (("float", folder / "float/float.pt", "float"), ("quantized", folder / "int8/quantized.pt", "float"),
              ("integer", blob, "integer"))  # fmt: skip
    result = {name: float(evaluate.run(path, backend, samples)[1]["ap50"]) for name, path, backend in stages}
    if result["float"] < LEAST_AP:
        raise RuntimeError(f"AP {result['float']:.3f} after {steps} steps, expected at least {LEAST_AP}")
    if result["integer"] < result["quantized"] - MOST_LOSS or result["quantized"] < result["float"] - MOST_LOSS:
        raise RuntimeError(f"quantization or export lost more than {MOST_LOSS} of AP: {result}")
    return result


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.smoke", description=__doc__.split("\n")[0])
    p.add_argument("--out", type=Path, help="folder to keep (default: a temporary one)")
    options = p.parse_args(arguments)
    if options.out:
        print(json.dumps(chain(options.out)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(chain(Path(folder))))


if __name__ == "__main__":
    main()
