"""From a quantized TFLite model to a blob: python -m rnnpool_training.convert model_int8.tflite -o net.rnnp.

The integers stay as they are; what differs from TFLite's own kernels is the rounding between two steps of an activation
(rnnpool_training.compare says how much). Frames for the model are its int8 input plus 128, or its uint8 input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import files
from .blob import Task, write
from .command import command, integer, labels, model_name, name_of, program
from .compile.from_tflite import lower
from .compile.tflite_ends import frame_tensor
from .compile.tflite_file import read
from .compile.unused_channels import remove_unused_channels
from .errors import InputError
from .planner import plan
from .reference import golden_check


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.convert"), description=(__doc__ or "").split("\n")[0])
    p.add_argument("model", type=Path, help="a .tflite file, quantized to int8")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument("--name", type=model_name, help="the model's name; without: the file's")
    p.add_argument("--labels", type=labels, help="a file with a label a line, or labels with commas between them; "
                   "without: class 0, class 1, ...")  # fmt: skip
    p.add_argument("--all-channels", action="store_true", help="keep those that are constant or have no use")
    p.add_argument("--ram", type=integer(1), metavar="BYTES", help="most bytes of arena, as of rnnpool plan")
    options = p.parse_args(arguments)
    try:
        files.check_output(options.out, read=[options.model], kind=files.BLOB)
        name = options.name or name_of(options.model.stem)
        graph = read(options.model)
        model, removed = lower(graph, name, options.labels), 0
        if not options.all_channels:
            model, removed = remove_unused_channels(model)
            if not golden_check(model):
                raise RuntimeError("the results differ without the constant channels: report it, use --all-channels")
        model = plan(model, ram=options.ram)
        data = write(model)
        files.write_bytes(options.out, data)
    except ModuleNotFoundError as error:
        raise InputError(f"{error}: pip install tflite") from None
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error)) from None
    shape = " x ".join(map(str, model.input_shape))
    is_map = model.task == Task.MAP
    given = f"a map of {' x '.join(map(str, model.shapes()[-1]))}" if is_map else f"{len(model.labels)} labels"
    print(f"{options.out}: {len(model.ops)} operators, {shape} to {given}, {len(data):,} bytes")
    low, high = frame_tensor(graph).grid.real()[[0, -1]]
    print(f"input: a pixel of 0 is {low:.4g} to the network, one of 255 is {high:.4g}: is that what it was trained on?")
    if is_map and any(op.kind == "SOFTMAX" for op in graph.operators):
        print("the last SOFTMAX is left out: values are those before it, the largest channel is the same")
    if removed:
        print(f"{removed} channels that are constant or have no use are left out; the results are the same")


if __name__ == "__main__":
    main()
