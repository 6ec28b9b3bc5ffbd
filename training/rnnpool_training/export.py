"""From a network to a .rnnp blob: rnnpool export my_model.py:net --data IMAGES -o net.rnnp.

Any PyTorch network of supported operations (docs/own_network.md); or a checkpoint of training: export float.pt --data
IMAGES -o mine.rnnp, of fine-tuning: export quantized.pt -o mine.rnnp.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from . import deploy, files, own_network
from .command import command, integer, labels, model_name, names, program, real
from .compile.fold import Normalization
from .compile.network import Exported, Network, export
from .compile.results import BACKGROUND, KINDS
from .errors import InputError
from .gather import class_folders, gather

CHECK = 100  # pictures


def _anchors(text: str) -> list[tuple[float, float]]:
    try:
        found = [[float(side) for side in anchor.lower().split("x")] for anchor in text.split(",")]
    except ValueError:
        found = [[]]
    if not all(1 <= len(sides) <= 2 for sides in found):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT or sides in pixels, with commas between, not {text!r}")
    return [(sides[0], sides[-1]) for sides in found]


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH in pixels, such as 96x96, not {text!r}")
    return int(height), int(width)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.export"), description=__doc__)
    p.add_argument("source", help="FILE.py:NAME, a network of yours; or a checkpoint")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument("--data", type=Path, nargs="+", help="folders of pictures such as the network will see")
    p.add_argument("--name", type=model_name, help="name in the blob (default: the network's)")
    p.add_argument("--threshold", type=real(0, 1), default=0.5, help="default score threshold of the blob")
    p.add_argument("--size", type=_size, metavar="HxW", help="height and width of the network's input")
    p.add_argument("--pictures", type=integer(1, 100000), default=deploy.CALIBRATION,
                   help="that ranges are chosen on (default: %(default)s)")  # fmt: skip
    p.add_argument("--finetune", type=integer(0), default=0, metavar="STEPS", help="steps in which the weights learn "
                   "to give in integers what they give in floating point, on the same pictures")  # fmt: skip
    p.add_argument("--from-labels", action="store_true", help="of --finetune, and classifiers: learn from what the "
                   "pictures show as well, which are in a folder a label")  # fmt: skip
    p.add_argument("--ram", type=integer(1), metavar="BYTES", help="most bytes of arena: channels are expanded again "
                   "until it fits, which takes time (rnnpool plan; default: the least that takes none)")  # fmt: skip
    p.add_argument("--seed", type=integer(0, 2**31), default=1, help="of the choice of pictures")
    own = p.add_argument_group("your network", "docs/own_network.md")
    own.add_argument("--gray", action="store_true", help="its input has one channel, not three")
    own.add_argument("--mean", metavar="M[,M,M]", help="its input is (pixel / 255 - mean) / std: one number,")
    own.add_argument("--std", metavar="S[,S,S]", help="or one a channel")
    own.add_argument("--labels", type=labels, help="a file with a label a line, or labels with commas between them")
    own.add_argument("--result", choices=KINDS, help="what it gives (seen, where it can be): logits of classes, "
                     "numbers (regression), a map, boxes")  # fmt: skip
    detectors = p.add_argument_group("detectors")
    detectors.add_argument("--anchors", nargs="+", type=_anchors, metavar="WxH,WxH", help="of your network: the "
                           "anchors of each of its maps, in pixels; a number is a square")  # fmt: skip
    detectors.add_argument("--variances", type=names, metavar="V,V", help="factors of dx, dy and of dw, dh")
    detectors.add_argument("--background", choices=BACKGROUND, help="of your network, if it has several scores an "
                           "anchor: which of them is a background's (asked for)")  # fmt: skip
    detectors.add_argument("--iou", type=real(0, 1), default=0.4, help="limit of the non-maximum suppression")
    detectors.add_argument("--max-candidates", type=integer(1, 65535), default=200, help="most candidates kept")
    return p


def run(
    network: Network, out: Path, folders: Sequence[Path] | None, count: int = deploy.CALIBRATION,
    threshold: float = 0.5, seed: int = 1, steps: int = 0, from_labels: bool = False,
) -> Exported:  # fmt: skip
    """The blob of a network in floating point, written, with a report on what came of it. InputError, OSError.

    count: pictures of those in the folders that ranges are chosen on. steps: of fine-tuning, from_labels: from what
    the pictures show as well.
    """
    start = time.monotonic()
    if folders is None:
        raise InputError("ranges are chosen on pictures: --data FOLDER, of such as the network will see")
    data = gather(folders, network.shape, count + CHECK, seed)
    if len(data.pixels) < 2:
        unread = f" ({data.unread[0]})" if data.unread else ""
        raise InputError(f"a single picture{unread}: ranges are chosen on some, and compared on others")
    count = max(len(data.pixels) - CHECK, min(count, len(data.pixels) // 2))
    chosen, held = data.pixels[:count], data.pixels[count:]
    classes = class_folders(folders, data.answers)
    truth = data.answers[:count] if from_labels else None
    made = export(network, chosen, held, classes, data.answers[count:], threshold, steps, truth)
    if network.shape[2] == 3 and bool((chosen == chosen[..., :1]).all()):
        made.notes.append("all of these pictures are gray, the network takes colours: ranges may not fit those")
    files.write_bytes(out, made.data)
    chosen_on = f"chosen on {count} pictures"
    chosen_on += f", {len(data.unread)} more unread: {data.unread[0]}" if data.unread else ""
    report(out, made, network.normalization, chosen_on, time.monotonic() - start)
    return made


def report(path: Path, result: Exported, norm: Normalization, chosen_on: str, seconds: float) -> None:
    """What came of it, for people."""
    model, check = result.model, result.check
    shape, count = " x ".join(map(str, model.input_shape)), len(model.labels)
    shown = ", ".join(model.labels[:6]) + (", ..." if count > 6 else "")
    mean, std = (", ".join(f"{v:g}" for v in values) for values in norm)
    print(f"{path}: {len(model.ops)} operators, {shape} to {count} label{'s' if count > 1 else ''} ({shown})")
    print(f"size            {len(result.data):,} bytes, {result.arena:,} bytes of RAM")
    print(f"input           (pixel / 255 - {mean}) / {std}; done in the network, frames are plain pixels")
    print(f"ranges          {chosen_on}")
    for what, said in check.said:
        print(f"{what:15} {said}")
    print("engine          equals the integer reference")
    for note in result.notes:
        print(f"note            {note}")
    print(f"time            {seconds:.0f} s")


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order: the same bytes on every run
    files.check_output(options.out, read=[options.source, options.source.rpartition(":")[0]], kind=files.BLOB)
    if options.from_labels and not options.finetune:
        raise InputError("--from-labels is of fine-tuning: give --finetune STEPS, too")
    chosen = (options.out, options.data, options.pictures, options.threshold, options.seed, options.finetune,
              options.from_labels)  # fmt: skip
    own = own_network.source(options.source)
    if own is not None:
        run(replace(own_network.load(own, options), ram=options.ram), *chosen)
        return
    try:
        quantized = deploy.quantized(options.source)
    except InputError as error:
        raise InputError(f"{error}; {own_network.WEIGHTS}") from None
    if quantized:
        if options.finetune:
            raise InputError(f"{options.source} is quantized already: rnnpool finetune makes and tunes such a file")
        limits = (options.iou, options.max_candidates)
        made = deploy.export_quantized(options.source, options.name or "", options.threshold, limits, options.ram)
    else:
        made = run(replace(deploy.load(options), ram=options.ram), *chosen)
    files.write_bytes(options.out, made.data)
    digest = hashlib.sha256(made.data).hexdigest()
    print(json.dumps({"blob": str(options.out), "bytes": len(made.data), "arena": made.arena, "sha256": digest,
                      "golden_crc": made.model.golden_crc}))  # fmt: skip


if __name__ == "__main__":
    main()
