"""Splits a model into its operators: python -m rnnpool_training.layers MODEL.rnnp --out FOLDER.

Each operator becomes a blob of its own (Task.LAYER), for scripts that chain operators themselves with rnnpool.Conv2D,
RNNPool, MBConv, AveragePool, Dense and Head: docs/api.md, "Operators".
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from . import files
from .blob import Model, Task, load, save
from .command import command
from .planner import with_plan
from .reference import set_golden

SHORT = {"inverted_residual": "mbconv", "global_average_pool": "average_pool", "detect_head": "head"}


def file_name(model: Model, index: int) -> str:
    """The name of an operator's file: its number and its class in the module, in lower case."""
    kind = model.ops[index].kind.name.lower()
    return f"{index:02}_{SHORT.get(kind, kind)}.rnnp"


def layer(model: Model, index: int) -> Model:
    """One operator of a model as a model of its own. Of a detection head: its rows, before they are decoded.

    ValueError for one that reads several maps.
    """
    op = model.ops[index]
    if len(op.reads) > 1:
        raise ValueError(f"operator {index} ({op.kind.name}) reads {len(op.reads)} maps: it can't run by itself")
    height, width, channels = model.in_shape(index)
    pixels = op.input == 0
    name = model.name.encode()[:26].decode(errors="ignore")
    result = Model(
        task=Task.LAYER,
        name=f"{name} {index}",
        labels=[op.kind.name.lower()],
        height=height,
        width=width,
        channels=channels if pixels else 0,
        ops=[replace(op, input=0)],
        golden_seed=model.golden_seed,
        map_channels=0 if pixels else channels,
        input_zero_point=model.in_zero_point(index),
    )
    result = with_plan(result, ())
    set_golden(result)
    return result


def split(model: Model) -> dict[str, Model]:
    """All operators of a model, by file name."""
    return {file_name(model, i): layer(model, i) for i in range(len(model.ops))}


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.layers", description=(__doc__ or "").split("\n")[0])
    p.add_argument("model", type=Path, help="a .rnnp blob of a whole model")
    p.add_argument("--out", type=Path, required=True, help="folder for the layers' blobs")
    options = p.parse_args(arguments)
    model = load(options.model)
    files.make_folder(options.out)
    for name, one in split(model).items():
        size = save(one, options.out / name)
        shapes = [" x ".join(map(str, shape)) for shape in (one.input_shape, one.shapes()[0])]
        print(f"{name:24} {shapes[0]:>16} -> {shapes[1]:16} {size:8,} bytes")


if __name__ == "__main__":
    main()
