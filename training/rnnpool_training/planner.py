"""Which maps to keep whole and which channels to expand again: python -m rnnpool_training.planner IN.rnnp -o OUT.rnnp.

A ring of a few rows is small, but a deep network has many of them, all alive at once. A map that is kept whole
(MATERIALIZE) lets what is before it die before what is after it is born: where maps are low, that pays. Such cuts
change nothing but the arena; the results stay the same, bit for bit.

Where that is still too much, an inverted residual need not keep its expanded rows: it can expand channels again for
each output row (`recompute`), which takes time. For a number of bytes (`--ram`) the plan with the fewest additional
multiply-adds is looked for.

All sizes are the engine's own, from its plan of the arena (needs a C compiler).
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import files
from .blob import InvertedResidual, Model, layout, load, save
from .blob.writer import pack, seal
from .command import command, integer, program
from .engine import Engine, Region
from .errors import InputError
from .projections import fuse
from .reference import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NONE: Mapping[int, int] = MappingProxyType({})
STEP = 8  # channels: kept ones are a multiple of it
CURVE = 16  # points of a curve, about

FIELD = sum(np.dtype(own.dtype).itemsize for own in InvertedResidual.own[:-1])  # where `recompute`, the last one, lies
assert InvertedResidual.own[-1].name == "recompute"
EXPANDED = "expanded"  # the engine's name for those rows

FrameSize = tuple[int, int, Format]  # width, height, format


class Plan(NamedTuple):
    """Operators whose maps are kept whole, in order, and the bytes of arena that come of it.

    recompute: channels that operators expand again; extra: the multiply-adds that this adds to an image.
    """

    cuts: tuple[int, ...]
    arena: int
    recompute: Mapping[int, int] = NONE
    extra: int = 0


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
        self.blob = pack(with_plan(model, ()))
        self.blocks = {i: op for i, op in enumerate(model.ops) if isinstance(op, InvertedResidual)}
        self.costs = {i: _extra(op, model.in_shape(i)) for i, op in self.blocks.items()}  # of a channel
        self.macs = sum(op.macs for op in Engine(seal(self.blob)).ops())

    def engine(self, cuts: tuple[int, ...], recompute: Mapping[int, int] = NONE) -> Engine:
        """The model in the engine, cut there, with so many channels of operators expanded again."""
        blob = bytearray(self.blob)
        offset = int(np.frombuffer(self.blob, layout.HEADER, 1)[0]["ops_offset"])
        records = np.frombuffer(blob, layout.OPERATOR, offset=offset, count=max((*cuts, *recompute), default=-1) + 1)
        for cut in cuts:
            records[cut]["flags"] |= layout.FLAG_MATERIALIZE
        for op, channels in recompute.items():
            records[op]["fields"][FIELD : FIELD + 2].view("<u2")[0] = channels
        return Engine(seal(bytes(blob)))

    def arena(self, cuts: tuple[int, ...], recompute: Mapping[int, int] = NONE) -> int:
        """Bytes of arena with these."""
        return self.engine(cuts, recompute).arena_size(self.frame)

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

    def within(self, ram: int) -> Plan:
        """The plan of at most `ram` bytes with the fewest additional multiply-adds; of equal ones the fewest cuts.

        Cuts are chosen exactly. Within a segment the operators are taken in the order of what a byte of theirs costs,
        which is the best order but for the rows and scratch memory that the first recomputed channel brings along.
        InputError, with the smallest arena that was found, if there is none.
        """
        best = self.best()
        if best.arena <= ram:
            return best
        found = self._find(ram)
        if found is None:
            raise InputError(
                f"{ram:,} bytes of arena are too few: the smallest plan that was found has {self.smallest():,}"
            )
        cuts, recompute = found
        extra = sum(self.costs[op] * channels for op, channels in recompute.items())
        return Plan(cuts, self.arena(cuts, recompute), recompute, extra)

    def smallest(self) -> int:
        """Bytes of the smallest arena that within() finds a plan for."""
        low, high = 0, self.best().arena  # low: too few
        while high - low > 1:
            middle = (low + high) // 2
            found = self._find(middle)
            low, high = (low, self.arena(*found)) if found else (middle, high)
        return high

    def curve(self) -> list[Plan]:
        """Plans from the smallest arena that takes no time to the smallest of all."""
        plans = [self.best()]
        least = self.smallest()
        for ram in np.linspace(plans[0].arena, least, CURVE)[1:]:
            found = self.within(max(int(ram), least))
            if found.arena < plans[-1].arena:
                plans.append(found)
        return plans

    def _find(self, ram: int) -> tuple[tuple[int, ...], Mapping[int, int]] | None:
        return self._shortest(lambda start, end: self._cheapest(start, end, ram))

    def _shortest(
        self, segment: Callable[[int | None, int | None], Mapping[int, int] | None]
    ) -> tuple[tuple[int, ...], Mapping[int, int]] | None:
        # Cuts, and what is recomputed, with the least total cost; `segment` gives what is between two cuts, or None.
        places = [None, *self.spine, None]
        ways: list[tuple[int, tuple[int, ...], dict[int, int]] | None] = [(0, (), {})]
        for j in range(1, len(places)):
            found: list[tuple[int, tuple[int, ...], dict[int, int]]] = []
            for i, way in enumerate(ways):
                again = None if way is None else segment(places[i], places[j])
                if way is not None and again is not None:
                    cost = way[0] + sum(self.costs[op] * channels for op, channels in again.items())
                    found.append((cost, (*way[1], j), {**way[2], **again}))
            ways.append(min(found, key=lambda way: (way[0], len(way[1])), default=None))
        last = ways[-1]
        return None if last is None else (tuple(self.spine[j - 1] for j in last[1][:-1]), last[2])

    def _cheapest(self, start: int | None, end: int | None, ram: int) -> Mapping[int, int] | None:
        # Channels of the segment between two cuts to expand again so that it needs at most `ram` bytes; None: can't be.
        def fits(again: Mapping[int, int]) -> bool:
            return self._segment(start, end, again) <= ram

        if fits(NONE):
            return NONE
        cuts = tuple(cut for cut in (start, end) if cut is not None)
        regions = self.engine(cuts).regions(self.frame)
        rings = {r.op: r.size for r in regions if r.op in self.blocks and r.what == EXPANDED}
        order = sorted(
            (op for op in rings if (start is None or op > start) and (end is None or op <= end)),
            key=lambda op: self.costs[op] * len(self.blocks[op].expand_weight) / rings[op],
        )
        found = []
        for skipped in (None, *order):  # scratch memory is shared: one operator may want more than it saves
            whole = [{op: len(self.blocks[op].expand_weight) for op in order[:n] if op != skipped}
                     for n in range(len(order) + 1)]  # fmt: skip
            n = bisect_left(whole, 1, key=fits)
            if n < len(whole):
                again = whole[n]
                for op in reversed(list(again)):  # the dearest first
                    again[op] = self._fewest(again, op, fits)
                found.append({op: channels for op, channels in again.items() if channels})
        return min(
            found, key=lambda again: sum(self.costs[op] * channels for op, channels in again.items()), default=None
        )

    def _fewest(self, again: Mapping[int, int], op: int, fits: Callable[[Mapping[int, int]], bool]) -> int:
        # Channels of `op` that must be recomputed, the others' given.
        mid = len(self.blocks[op].expand_weight)
        choices = [0, *(mid - kept for kept in range((mid - 1) // STEP * STEP, -1, -STEP))]
        return choices[bisect_left(choices, 1, key=lambda channels: fits({**again, op: channels}))]

    def _segment(self, start: int | None, end: int | None, recompute: Mapping[int, int] = NONE) -> int:
        # Bytes that the segment between two cuts needs, with the maps that it reads and writes.
        cuts = tuple(cut for cut in (start, end) if cut is not None)
        return segment_sizes(self.engine(cuts, recompute).regions(self.frame))[start is not None]


def _extra(op: InvertedResidual, shape: tuple[int, int, int]) -> int:
    # Multiply-adds that a recomputed channel adds to an image: rows expanded, beyond once each.
    height, width, channels = shape
    around = [range(max(0, y - 1), min(height, y + 2)) for y in range(0, height, op.stride)]
    return (sum(map(len, around)) - height) * width * channels


def with_plan(model: Model, cuts: tuple[int, ...], recompute: Mapping[int, int] = NONE) -> Model:
    """The model with these of its maps kept and these channels recomputed, and no others.

    The operators' arrays are shared with the old one.
    """
    ops = [replace(op, materialize=i in cuts) for i, op in enumerate(model.ops)]
    for i, op in enumerate(ops):
        if isinstance(op, InvertedResidual):
            ops[i] = replace(op, recompute=recompute.get(i, 0))
    return replace(model, ops=ops)


def plan(model: Model, frame: FrameSize | None = None, ram: int | None = None) -> Model:
    """The model planned for frames of that size (None: the model's own): for the smallest arena that takes no time.

    With `ram`: for at most so many bytes, with the fewest multiply-adds. InputError if that can't be.
    Depthwise layers take the 1x1 convolutions behind them, but where the map between is kept whole.
    """
    planner = Planner(model, frame)
    planned = with_plan(model, planner.best().cuts)
    while (fused := fuse(planned)) is not planned:  # which makes other cuts the best ones, perhaps
        planner = Planner(fused, frame)
        planned = with_plan(fused, planner.best().cuts)
    if ram is None:
        return planned
    found = planner.within(ram)
    return fuse(with_plan(planned, found.cuts, found.recompute))


def draw_curve(axes: Axes, plans: list[Plan], macs: int) -> None:
    """Additional multiply-adds in per cent over the arena in KB."""
    axes.plot([p.arena / 1024 for p in plans], [100 * p.extra / macs for p in plans], "o-", color="#1f6f8b")
    axes.set_xlabel("arena, KB")
    axes.set_ylabel("more multiply-adds, %")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(
        prog=program("rnnpool_training.planner"), description=(__doc__ or "").split(": python")[0] + "."
    )
    p.add_argument("model", type=Path, help="a .rnnp blob")
    p.add_argument("-o", "--out", type=Path, help="the blob to write; without: only say what would be")
    p.add_argument("--ram", type=integer(1), help="most bytes of arena: fewest multiply-adds within them")
    p.add_argument(
        "--curve", type=Path, help="a picture of arena and time to write (needs matplotlib), and a table of it"
    )
    options = p.parse_args(arguments)
    model = fuse(load(options.model))
    if options.out:
        files.check_output(options.out, read=[options.model], kind=files.BLOB)
    if options.curve:
        files.check_output(options.curve, files.DRAWN, read=[options.model])
    planner = Planner(model)
    rows = [("streaming", planner.streaming()), ("layer by layer", planner.layer_by_layer())]
    rows.append(("planned", best := planner.best()))
    if options.ram is not None:
        rows.append((f"in {options.ram:,}", best := planner.within(options.ram)))
    for what, found in rows:
        print(f"{what:15} {_said(found, planner.macs)}")
    if options.curve:
        plans = planner.curve()
        print("", *(_said(found, planner.macs) for found in plans), sep="\n")
        _draw(options.curve, plans, planner.macs)
    if options.out:
        save(with_plan(model, best.cuts, best.recompute), options.out)


def _said(found: Plan, macs: int) -> str:
    again = ", ".join(f"{channels} of {op}" for op, channels in sorted(found.recompute.items()))
    said = f"{found.arena:9,} bytes"
    said += f", whole: {' '.join(map(str, found.cuts))}" if found.cuts else ""
    said += f", expanded again: {again}" if again else ""
    if found.extra:
        said += f": {100 * found.extra / macs:.1f} % more multiply-adds"
    return said


def _draw(path: Path, plans: list[Plan], macs: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    draw_curve(figure.subplots(), plans, macs)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


if __name__ == "__main__":
    main()
