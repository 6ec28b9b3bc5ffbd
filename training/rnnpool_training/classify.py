"""From folders of pictures to a classifier on a device, in one command.

python -m rnnpool_training.classify FOLDER -o mine.rnnp

FOLDER holds a folder of pictures for each class, named after it. The last line printed is one JSON object: accuracy of
the float network and of the blob in the engine on pictures that were held back. Needs a C compiler.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blob import layout, write
from .classification_metrics import summary
from .classifier import Classifier, configure, load_classifier
from .engine import Engine
from .engine import build as build_engine
from .errors import InputError
from .export_classifier import export
from .pictures import Picture, load_folders, split
from .train_classifier import fit, probabilities
from .train_classifier import parser as train_parser

PERSON = Path(__file__).resolve().parents[2] / "models" / "person.pt"  # in a checkout


def engine_probabilities(engine: Engine, pictures: list[Picture]) -> NDArray[np.float64]:
    """(N, labels) by the engine, as on the device."""
    frames = (p.pixels[:, :, 0] if p.pixels.shape[2] == 1 else p.pixels for p in pictures)
    return np.array([engine.classify(np.ascontiguousarray(f)) for f in frames]) / 32768


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.classify", description=__doc__.split("\n")[0])
    p.add_argument("folder", type=Path, help="folder with a folder of pictures for each class")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument(
        "--val", type=Path, help="folder like it to validate on (default: a fifth of FOLDER, not trained on)"
    )
    p.add_argument("--size", type=int, default=160, help="side of the network's input in pixels, a multiple of 32")
    p.add_argument("--gray", action="store_true", help="one channel instead of three")
    p.add_argument("--last-pool", choices=("average", "rnnpool"), default="average")
    p.add_argument("--minutes", type=float, default=15, help="wall-clock time to train")
    p.add_argument("--steps", type=int, default=0, help="steps to train instead (repeatable)")
    p.add_argument("--init", default=str(PERSON) if PERSON.exists() else "none",
                   help="float classifier to start from, 'none' for random weights (default: %(default)s)")  # fmt: skip
    p.add_argument("--run", type=Path, help="folder to keep checkpoints and logs in, and to go on from")
    p.add_argument("--name", default="", help="name in the blob (default: that of FOLDER)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    return p


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, quantize, export and measure; `folder` is that of the run. InputError for pictures that can't be used."""
    build_engine()  # now, not after the training, it is said if there is no compiler
    channels = 1 if options.gray else 3
    pictures, labels, _ = load_folders(options.folder, channels)
    if len(labels) > layout.MAX_LABELS:
        raise InputError(f"{options.folder} has {len(labels)} classes, a blob up to {layout.MAX_LABELS}")
    if options.val:
        train = pictures
        val, others, _ = load_folders(options.val, channels)
        if others != labels:
            raise InputError(f"{options.val} has the classes {others}, {options.folder} {labels}")
    else:
        train, val = split(pictures, 0.2, options.seed)
    init = "" if options.init == "none" else options.init
    arguments = ["--data", "", "--val", "held back", "--out", str(folder), "--sizes", "fixed", "--resume",
                 "--minutes", str(options.minutes), "--steps", str(options.steps), "--threads", str(options.threads),
                 "--seed", str(options.seed), "--lr", "2e-3" if init else "4e-3", "--init", init,
                 "--val-minutes", "5", "--count-validation", "--log-every", "10"]  # fmt: skip
    print(f"{len(train)} pictures of {len(labels)} classes to train on, {len(val)} to validate on", flush=True)
    config = configure(options.size, options.gray, labels, options.last_pool)
    fit(train_parser().parse_args(arguments), Classifier(config), train, val)
    model = load_classifier(folder / "float.pt")
    truth = np.array([p.label for p in val])
    size = (options.size, options.size)
    floating = summary(probabilities(model, val, size), truth)
    name = options.name or options.folder.resolve().name.encode()[:31].decode(errors="ignore")
    data = write(export(model, train, name, seed=options.seed))
    options.out.write_bytes(data)
    engine = Engine(data)
    return {"blob": str(options.out), "bytes": len(data), "arena": engine.arena_size(), "labels": labels,
            "trained on": len(train), "float": floating,
            "engine": summary(engine_probabilities(engine, val), truth)}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = parser()
    options = p.parse_args(arguments)
    try:
        if options.run:
            result = run(options, options.run)
        else:
            with tempfile.TemporaryDirectory() as folder:
                result = run(options, Path(folder))
    except (InputError, OSError, ValueError, RuntimeError) as error:
        p.exit(1, f"{p.prog}: {error}\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
