"""Which maps to keep whole, for the smallest arena: python -m rnnpool_training.planner IN.rnnp -o OUT.rnnp.

A ring of a few rows is small, but a deep network has many of them, all alive at once. A map that is kept whole
(MATERIALIZE) lets what is before it die before what is after it is born: where maps are low, that pays. Such cuts
change nothing but the arena; the results stay the same, bit for bit.

All sizes are the engine's own, from its plan of the arena (needs a C compiler).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import files
from .blob import Model, layout, load, save
from .blob.writer import pack, seal
from .command import command
from .engine import Engine, Region
from .reference import Format

FrameSize = tuple[int, int, Format]  # width, height, format


class Plan(NamedTuple):
    """Operators whose maps are kept whole, in order, and the bytes of arena that come of it."""

    cuts: tuple[int, ...]
    arena: int


def spine(model: Model) -> list[int]:
    """Operators on the longest way from the frame to a result at which a cut is valid, without the result itself.

    Cuts on one way are valid together: each segment gets at most one.
    """
    depth = [0]
    for op in model.ops:
        depth.append(max(depth[tensor] for tensor in op.reads) + 1)
    path = [int(np.argmax(depth[1:])) + 1]
    while path[-1]:
        path.append(max(model.ops[path[-1] - 1].reads, key=lambda tensor: depth[tensor]))
    return [t - 1 for t in reversed(path[1:-1]) if _divides(model, t)]


def _divides(model: Model, cut: int) -> bool:
    # Whether every operator comes either before or behind a tensor that is kept whole, with all that it reads.
    behind = [False]
    for op in model.ops:
        after = {behind[tensor] or tensor == cut for tensor in op.reads}
        if len(after) > 1:
            return False
        behind.append(after.pop())
    return True


def segment_sizes(regions: list[Region]) -> list[int]:
    """Bytes alive in each segment."""
    last = max(region.last for region in regions)
    return [sum(r.size for r in regions if r.first <= s <= r.last) for s in range(last + 1)]


class Planner:
    """Plans a model's arena for frames of one size; None: of the model's own."""

    def __init__(self, model: Model, frame: FrameSize | None = None) -> None:
        self.spine = spine(model)
        self.frame = frame
        self.blob = self._without_cuts(pack(model))

    @staticmethod
    def _without_cuts(blob: bytes) -> bytearray:
        changed = bytearray(blob)
        header = np.frombuffer(blob, layout.HEADER, 1)[0]
        for i in range(int(header["num_ops"])):
            changed[int(header["ops_offset"]) + i * layout.OP_SIZE + 1] &= 0xFF ^ layout.FLAG_MATERIALIZE
        return changed

    def engine(self, cuts: tuple[int, ...]) -> Engine:
        """The model in the engine, cut there."""
        blob = bytearray(self.blob)
        offset = int(np.frombuffer(self.blob, layout.HEADER, 1)[0]["ops_offset"])
        for cut in cuts:
            blob[offset + cut * layout.OP_SIZE + 1] |= layout.FLAG_MATERIALIZE
        return Engine(seal(bytes(blob)))

    def arena(self, cuts: tuple[int, ...]) -> int:
        """Bytes of arena with these cuts."""
        return self.engine(cuts).arena_size(self.frame)

    def streaming(self) -> Plan:
        """No cuts: every map is a ring of rows."""
        return Plan((), self.arena(()))

    def layer_by_layer(self) -> Plan:
        """All cuts: every map is kept whole, as in most runtimes."""
        cuts = tuple(self.spine)
        return Plan(cuts, self.arena(cuts))

    def best(self) -> Plan:
        """The smallest arena; of equal ones that with the fewest cuts.

        What a segment needs depends on its two cuts alone, so it is asked for each pair once.
        """
        places = [None, *self.spine, None]  # None: the frame, the end
        last = len(places) - 1
        needs = {(i, j): self._segment(places[i], places[j]) for j in range(1, last + 1) for i in range(j)}
        # The least worst segment on the way to each place; then the fewest cuts with no segment above it.
        worst = [0]
        for j in range(1, last + 1):
            worst.append(min(max(worst[i], needs[i, j]) for i in range(j)))
        ways: list[tuple[int, ...] | None] = [()]
        for j in range(1, last + 1):
            found = [(*way, j) for i, way in enumerate(ways) if way is not None and needs[i, j] <= worst[last]]
            ways.append(min(found, key=len, default=None))
        way = ways[last]
        assert way is not None
        cuts = tuple(self.spine[j - 1] for j in way[:-1])
        return Plan(cuts, self.arena(cuts))

    def _segment(self, start: int | None, end: int | None) -> int:
        # Bytes that the segment between two cuts needs, with the maps that it reads and writes.
        cuts = tuple(cut for cut in (start, end) if cut is not None)
        return segment_sizes(self.engine(cuts).regions(self.frame))[start is not None]


def cut(model: Model, cuts: tuple[int, ...]) -> Model:
    """The model with these of its maps kept whole, and no others. The operators' arrays are shared with the old one."""
    return replace(model, ops=[replace(op, materialize=i in cuts) for i, op in enumerate(model.ops)])


def plan(model: Model, frame: FrameSize | None = None) -> Model:
    """The model with the cuts that give the smallest arena for frames of that size (None: the model's own)."""
    return cut(model, Planner(model, frame).best().cuts)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.planner", description=(__doc__ or "").split("\n")[0])
    p.add_argument("model", type=Path, help="a .rnnp blob")
    p.add_argument("-o", "--out", type=Path, help="the blob to write; without: only say what would be")
    options = p.parse_args(arguments)
    model = load(options.model)
    if options.out:
        files.check_output(options.out)
    planner = Planner(model)
    for what, found in (
        ("streaming", planner.streaming()),
        ("layer by layer", planner.layer_by_layer()),
        ("planned", best := planner.best()),
    ):
        where = f", whole: {' '.join(map(str, found.cuts))}" if found.cuts else ""
        print(f"{what:15} {found.arena:9,} bytes{where}")
    if options.out:
        save(cut(model, best.cuts), options.out)


if __name__ == "__main__":
    main()
