"""Networks of the paper's own code (EdgeML): rnnpool import-edgeml CHECKPOINT -o net.pt, or net.rnnp --data IMAGES.

Visual_Wakeword's networks become a float checkpoint of ours, or a blob, through the same steps as any network
(compile/); Face_Detection's a checkpoint of the zoo, or a blob; rnn1.h rnn2.h, C headers of one RNNPool in floating
point, its state dict. docs/paper.md.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import torch

from . import deploy, export, files, zoo
from .classifier import save_classifier
from .command import command, integer, labels, model_name, program, real
from .edgeml import faces, headers, wakeword, weights
from .errors import InputError
from .zoo import deployed, saved
from .zoo.faces import FaceDetector


def write_pool(options: argparse.Namespace) -> None:
    """The state dict of the RNNPool of two headers. InputError, OSError."""
    if len(options.sources) != 2:
        raise InputError(f"an RNNPool has two headers, rnn1.h and rnn2.h, {len(options.sources)} are given")
    if options.out.suffix != ".pt" or options.patch is None:
        raise InputError(
            "headers say neither patch nor map: give --patch (and --stride), and -o pool.pt for a state dict"
        )
    one, two = options.sources
    made = headers.pool(one, two, options.patch, options.stride)
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)
    files.write_bytes(options.out, buffer.getvalue())
    call = f"RNNPool2d({made.rnn1.inputs}, {made.rnn1.hidden}, {made.rnn2.hidden}, {options.patch}, {options.stride}, "
    print(f'{options.out}: the state dict of {call}nonlinearity="smooth", replicate=True)')


def write_faces(found: weights.Weights, options: argparse.Namespace) -> None:
    """A face network as a checkpoint of the zoo, or as a blob. InputError, OSError."""
    network = faces.read(found)
    if options.out.suffix == ".rnnp":
        assert isinstance(network.module, FaceDetector)
        channels, height, width = zoo.entry(network.network).shape
        name = options.name or network.network
        made = deployed.network(network.module, (height, width, channels), network.normalization, name)
        export.run(made, options.out, [options.data], options.pictures, options.threshold)
        return
    saved.save(options.out, network)
    count = sum(p.numel() for p in network.module.parameters())
    print(f"{options.out}: {network.network} of the zoo, {count:,} parameters")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("rnnpool_training.import_edgeml"), description=(__doc__ or "").split(":")[0]
    )
    p.add_argument("sources", nargs="+", type=Path, help="a PyTorch checkpoint; or rnn1.h rnn2.h")
    p.add_argument("-o", "--out", type=Path, required=True, help="net.pt, net.rnnp; of headers pool.pt")
    p.add_argument("--size", type=integer(64, 1024), default=224, help="side of the pictures in pixels (%(default)s)")
    p.add_argument("--labels", type=labels, help="a file with a label a line, or labels with commas between them")
    p.add_argument("--name", type=model_name, help="name in the blob")
    p.add_argument("--data", type=Path, help="for a blob: a folder of pictures such as the network will see")
    p.add_argument("--pictures", type=integer(1, 100000), default=256, help="that ranges are chosen on (%(default)s)")
    p.add_argument("--threshold", type=real(0, 1), default=0.5, help="probability that counts as a yes")
    p.add_argument("--patch", type=integer(1, 255), help="of headers: side of a patch in pixels")
    p.add_argument("--stride", type=integer(1, 255), default=4, help="of headers: stride of the patches (%(default)s)")
    return p


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = parser().parse_args(arguments)
    kind = files.BLOB if options.out.suffix == ".rnnp" else files.CHECKPOINT
    files.check_output(options.out, read=options.sources, kind=kind)
    if options.out.suffix not in (".pt", ".rnnp"):
        raise InputError(f"{options.out} must end in .pt (a float checkpoint) or .rnnp (a blob)")
    if all(source.suffix == ".h" for source in options.sources):
        write_pool(options)
        return
    if len(options.sources) > 1:
        raise InputError(f"one checkpoint a call, {len(options.sources)} are given")
    found = weights.load(options.sources[0])
    is_face = faces.matches(found)
    if options.out.suffix == ".rnnp" and (is_face or wakeword.matches(found)):
        if options.data is None:
            raise InputError("ranges are chosen on pictures: --data FOLDER, of such as the network will see")
        torch.set_num_threads(1)  # sums in one order: the same bytes on every run
    if is_face:
        write_faces(found, options)
        return
    if not wakeword.matches(found):
        raise InputError(
            f"{options.sources[0]} is none of EdgeML's networks: Visual_Wakeword's have a features_init.0.weight, "
            "Face_Detection's a L2Norm3_3.weight"
        )
    model = wakeword.read(found, options.size, options.labels)
    if options.out.suffix == ".rnnp":
        network = deploy.network_of(model, options.name or "")
        export.run(network, options.out, [options.data], options.pictures, options.threshold)
        return
    save_classifier(options.out, model)
    count = sum(p.numel() for p in model.parameters())
    print(f"{options.out}: {model.config.name}, {options.size}x{options.size}x3, {count:,} parameters, "
          f"labels {', '.join(model.config.labels)}")  # fmt: skip


if __name__ == "__main__":
    main()
