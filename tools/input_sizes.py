"""One classifier's weights at several input sizes, as a table: accuracy, cycles on a Cortex-M4, arena, flash.

    PYTHONPATH=training python -m tools.input_sizes models/person.pt --data TRAIN --val VAL

TRAIN gives the statistics and the ranges of quantization, VAL is measured on with the engine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from rnnpool_training.blob import write
from rnnpool_training.classifier import load_classifier
from rnnpool_training.deploy import export, resize
from rnnpool_training.evaluate_classifier import evaluate_classifier, load_pictures, open_blob
from rnnpool_training.pictures import load_labelled

from .bench.__main__ import measure
from .bench.inputs import load_image
from .bench.network import read_shape

HEADER = """| input | accuracy | AUC | multiply-adds | M cycles | arena, bytes | blob, bytes |
|---|--:|--:|--:|--:|--:|--:|"""


def row(blob: Path, val: str, build: Path) -> str:
    """A line of the table for a blob."""
    classifier = open_blob(blob, "engine")
    assert classifier is not None
    result = evaluate_classifier(classifier, load_pictures(val, classifier.labels, classifier.channels))
    run = measure(blob, load_image(None, read_shape(blob.read_bytes()))[0], build, quick=True).fast
    macs = sum(op.macs for op in run.operators)
    return (
        f"| {blob.stem} | {result['accuracy']:.4f} | {result['auc']:.4f} | {macs:,} | {run.cycles / 1e6:.1f} | "
        f"{run.arena:,} | {blob.stat().st_size:,} |"
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(
        prog="python -m tools.input_sizes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("checkpoint", help="float checkpoint of rnnpool_training.train_classifier")
    p.add_argument("--data", required=True, help="folder that it was trained on")
    p.add_argument("--val", required=True, help="folder to measure on")
    p.add_argument("--sizes", default="224,192,160,128,96", help="sides in pixels (default: %(default)s)")
    options = p.parse_args(arguments)
    torch.set_num_threads(1)  # as export: the same bytes
    try:
        pictures = load_labelled(options.data, load_classifier(options.checkpoint).config.channels)
        print(HEADER, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for size in map(int, options.sizes.split(",")):
                network = load_classifier(options.checkpoint)
                resize(network, (size, size), [Path(options.data)])
                model = export(network, pictures, "")
                blob = Path(folder) / f"{size}x{size}"
                blob.write_bytes(write(model))
                print(row(blob, options.val, Path(folder) / "bench"), flush=True)
    except (ValueError, OSError, RuntimeError) as error:
        p.exit(1, f"{p.prog}: {error}\n")


if __name__ == "__main__":
    main()
