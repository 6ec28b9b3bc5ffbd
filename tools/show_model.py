#!/usr/bin/env python3
"""Shows a model: header, operators with shapes and multiply-adds, and where everything lies in the arena.

    rnnpool show models/face.rnnp
    rnnpool show models/face.rnnp --html face.html
    rnnpool show models/face.rnnp --frame 640x480 --format RGB888 --picture arena.png
    rnnpool show models/person.rnnp --compare docs/person_arena.png

Costs and the arena's plan are what the engine itself says, built for this machine (needs a C compiler).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool_training import model_page
from rnnpool_training.blob import Model, Task, read
from rnnpool_training.command import command
from rnnpool_training.describe import attributes, parameter_bytes, region_name, shape_text
from rnnpool_training.engine import Engine, Region
from rnnpool_training.errors import InputError
from rnnpool_training.files import DRAWN, PAGE, check_output, replacing, write_text
from rnnpool_training.planner import Planner
from rnnpool_training.reference import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FrameSize = tuple[int, int, Format]  # width, height, format


def header_lines(model: Model, size: int, engine: Engine, frame: FrameSize | None) -> Iterator[str]:
    """Name and value of each thing that belongs to the whole model."""
    macs = sum(op.macs for op in engine.ops())
    shown = f"{frame[0]}x{frame[1]} {frame[2].name} frame" if frame else "frame of the model's own size"
    yield f"name            {model.name}"
    yield f"task            {model.task.name.lower()}: {', '.join(model.labels)}"
    yield f"input           {shape_text(model.input_shape)} (height x width x channels)"
    yield f"size            {size:,} bytes"
    yield f"multiply-adds   {macs:,}"
    yield f"arena           {engine.arena_size(frame):,} bytes for a {shown}"
    if model.task == Task.DETECTION:
        yield f"threshold       {model.threshold / 32768:.4f}"
        yield f"suppression     above an intersection over union of {model.iou / 32768:.4f}"
        yield f"candidates      at most {model.max_candidates}"
    check = "right" if engine.golden_check() else "WRONG: the engine gives another value"
    yield f"golden check    0x{model.golden_crc:08x} from seed {model.golden_seed}: {check}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str]) -> Iterator[str]:
    """Lines of a table; the columns named in `left` are aligned there, the others right."""
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    for row in [titles, *rows]:
        cells = [
            text.ljust(width) if title in left else text.rjust(width)
            for text, width, title in zip(row, widths, titles, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def operator_lines(model: Model, engine: Engine) -> Iterator[str]:
    """The operator table."""
    rows = []
    for i, (op, info) in enumerate(zip(model.ops, engine.ops(), strict=True)):
        source = " ".join("frame" if tensor == 0 else str(tensor - 1) for tensor in op.reads)
        sizes = [f"{n:,}" for n in (parameter_bytes(op), info.macs, info.arena)]
        rows.append([str(i), op.kind.name.lower(), source, shape_text(info.shape), *sizes, attributes(op)])
    titles = ["op", "kind", "input", "output", "weights", "multiply-adds", "arena", "attributes"]
    yield from table(titles, rows, ["kind", "attributes"])


def arena_lines(model: Model, regions: Sequence[Region]) -> Iterator[str]:
    """The arena's plan, by offset."""
    rows = []
    for region in sorted(regions, key=lambda r: (r.offset, r.first)):
        alive = str(region.first) if region.first == region.last else f"{region.first}-{region.last}"
        rows.append([f"{region.offset:,}", f"{region.size:,}", alive, region_name(model, region)])
    yield from table(["offset", "bytes", "segments", "what"], rows, ["what"])


def describe(blob: bytes, frame: FrameSize | None) -> str:
    """A blob as text. BlobError if it is none, EngineError if the engine refuses it (both are ValueErrors)."""
    model, engine = read(blob), Engine(blob)
    parts = [
        header_lines(model, len(blob), engine, frame),
        operator_lines(model, engine),
        arena_lines(model, engine.regions(frame)),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def draw(blob: bytes, frame: FrameSize | None, path: Path) -> None:
    """Writes a picture of the arena: bytes upwards, segments to the right, a colour an operator."""
    import matplotlib.pyplot as plt

    model, engine = read(blob), Engine(blob)
    regions = engine.regions(frame)
    size = engine.arena_size(frame)
    segments = max(region.last for region in regions) + 1
    figure, axes = plt.subplots(figsize=(4 + 4 * segments, 9), layout="constrained")
    draw_regions(axes, model, regions, size, lambda region: f"{region_name(model, region)}, {region.size:,}")
    axes.set_ylabel("offset in the arena, bytes")
    axes.set_title(f"{model.name}: {size:,} bytes of arena for {frame_text(frame)}")
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)


def frame_text(frame: FrameSize | None) -> str:
    """A frame's size and format for a title."""
    return f"{frame[0]}x{frame[1]} {frame[2].name}" if frame else "frames of its own input size"


def draw_regions(axes: Axes, model: Model, regions: list[Region], size: int, text: Callable[[Region], str]) -> None:
    """Draws an arena's plan. size: bytes that the axes show."""
    import matplotlib.pyplot as plt

    segments = max(region.last for region in regions) + 1
    colours = plt.get_cmap("tab20")
    for region in regions:
        colour = "lightgrey" if region.op < 0 else colours(region.op % 20)
        width, middle = region.last - region.first + 1, (region.first + region.last + 1) / 2
        axes.bar(middle, region.size, width, region.offset, color=colour, edgecolor="black", linewidth=0.5)
        if region.size > size / 90:  # else the text would not fit
            axes.text(middle, region.offset + region.size / 2, text(region), ha="center", va="center", fontsize=7)
    axes.set(xlim=(0, segments), ylim=(0, size), xlabel="segment")
    axes.set_xticks([s + 0.5 for s in range(segments)], [str(s) for s in range(segments)])
    axes.yaxis.set_major_formatter("{x:,.0f}")


def short_name(region: Region) -> str:
    """What a part of the arena is for, in few letters."""
    return region.what if region.op < 0 else f"{region.op} {region.what}"


def no_text(region: Region) -> str:
    """Nothing."""
    return ""


def compare(blob: bytes, frame: FrameSize | None, path: Path) -> str:
    """Writes a picture of three plans, side by side, and gives their sizes as text.

    All rings (streaming), all maps whole (layer by layer), and the planner's choice (`rnnpool_training.planner`).
    """
    import matplotlib.pyplot as plt

    model = read(blob)
    planner = Planner(model, frame)
    plans = {
        "layer by layer": planner.layer_by_layer(),
        "streaming": planner.streaming(),
        "planned": planner.best(),
    }
    size = max(plan.arena for plan in plans.values())
    figure, every = plt.subplots(1, 3, figsize=(16, 9), layout="constrained", sharey=True, width_ratios=(3, 1, 3))
    for axes, (name, plan) in zip(every, plans.items(), strict=True):
        text = no_text if name == "layer by layer" else short_name  # the columns of the former are narrow
        draw_regions(axes, model, planner.engine(plan.cuts).regions(frame), size, text)
        axes.set_title(f"{name}: {plan.arena:,} bytes")
    every[0].set_ylabel("offset in the arena, bytes")
    figure.suptitle(f"{model.name}: the arena for {frame_text(frame)}, a colour an operator")
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)
    rows = [
        [name, f"{plan.arena:,}", " ".join(map(str, plan.cuts)) if len(plan.cuts) < len(planner.spine) else "all"]
        for name, plan in plans.items()
    ]
    return "\n".join(table(["plan", "arena", "maps kept whole, by operator"], rows, ["plan"]))


def frame_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as numbers."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or not all(1 <= int(n) <= 4096 for n in found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT with sides of 1..4096")
    return int(found[1]), int(found[2])


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the .rnnp file")
    parser.add_argument(
        "--frame", type=frame_size, help="WIDTHxHEIGHT of the frames to plan for; without: the model's own"
    )
    parser.add_argument("--format", choices=[f.name for f in Format], default="GRAY8", help="of these frames")
    parser.add_argument("--picture", type=Path, help="also write a picture of the arena (needs matplotlib)")
    parser.add_argument(
        "--compare", type=Path, help="also write a picture of three plans: layer by layer, streaming, planned"
    )
    parser.add_argument("--html", type=Path, help="also write a page: graph, shapes, arena and work over time, cycles")
    parser.add_argument(
        "--bench", type=Path, help="of the page: cycles that `rnnpool bench` counted (without: docs/benchmarks.json)"
    )
    args = parser.parse_args(arguments)
    frame = (*args.frame, Format[args.format]) if args.frame else None
    blob = args.model.read_bytes()
    read_too = [path for path in (args.model, args.bench) if path]
    for path in filter(None, (args.picture, args.compare)):
        check_output(path, DRAWN, read_too)
    if args.html:
        check_output(args.html, read=read_too, kind=PAGE)
    try:
        page = model_page.document(blob, frame, args.bench) if args.html else ""
        print(describe(blob, frame))
        if args.picture:
            draw(blob, frame, args.picture)
            print(f"\npicture: {args.picture}")
        if args.compare:
            print(f"\n{compare(blob, frame, args.compare)}\n\npicture: {args.compare}")
        if args.html:
            write_text(args.html, page)
            print(f"\npage: {args.html}")
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{args.model}: {error}") from None


if __name__ == "__main__":
    main()
