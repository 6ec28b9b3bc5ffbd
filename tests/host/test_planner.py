"""Cut points: the planner's choice is the best one, the engine confirms its bytes, and results do not change."""

from itertools import chain, combinations

import networks
import numpy as np
import pytest
from load_tool import ROOT
from PIL import Image

from rnnpool_training import planner
from rnnpool_training.blob import Task, load, read, write
from rnnpool_training.engine import Engine
from rnnpool_training.errors import InputError
from rnnpool_training.planner import Planner
from rnnpool_training.reference import Format

MODELS = ROOT / "models"


@pytest.mark.parametrize("seed", range(12))
def test_choice_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = Task.DETECTION if seed % 2 else Task.CLASSIFICATION
    model = networks.random_network(rng, task)
    frame = None if seed % 3 else (50, 40, Format.RGB565)
    plans = Planner(model, frame)
    best = plans.best()
    every = chain.from_iterable(combinations(plans.spine, n) for n in range(len(plans.spine) + 1))
    arenas = {cuts: plans.arena(cuts) for cuts in every}
    assert best.arena == arenas[best.cuts] == min(arenas.values())
    assert len(best.cuts) == min(len(cuts) for cuts, arena in arenas.items() if arena == best.arena)
    assert plans.streaming().arena == arenas[()]
    assert plans.layer_by_layer().arena == arenas[tuple(plans.spine)]


@pytest.mark.parametrize("make", [networks.tiny, networks.segmented, networks.classifier])
def test_cuts_change_nothing_but_the_arena(make) -> None:
    model = make(1)
    planned = planner.plan(model)
    engine = Engine(write(planned))
    assert engine.arena_size() <= Engine(write(model)).arena_size()
    assert engine.golden_check()
    assert write(planner.with_plan(planned, Planner(model).streaming().cuts)) == write(planner.with_plan(model, ()))


@pytest.mark.parametrize(("size", "limit"), [(224, 32768), (96, 14336)])
def test_wake_words_network_fits(size: int, limit: int) -> None:
    # The paper's network needs 33.7 KB (Saha et al. 2020, appendix F).
    model = networks.wake_words(1, size)
    plans = Planner(model)
    best = plans.best()
    assert best.arena <= limit
    assert best.arena < plans.streaming().arena / 2
    engine = plans.engine(best.cuts)
    assert max(planner.segment_sizes(engine.regions())) == best.arena
    assert engine.golden_check()


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_within_so_many_bytes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = networks.Builder(rng, int(rng.integers(9, 40)), int(rng.integers(9, 40)), 1)
    last = net.conv(0, 4, 3, 1)
    for _ in range(3):
        last = net.block(last, int(rng.integers(3, 9)), int(rng.integers(4, 50)), int(rng.integers(1, 3)))
    model = net.classifier("chain", 2)
    plans = Planner(model)
    free, least = plans.best(), plans.smallest()
    blocks = {i: len(op.expand_weight) for i, op in plans.blocks.items()}
    every = list(chain.from_iterable(combinations(plans.spine, n) for n in range(len(plans.spine) + 1)))
    whole = [{i: blocks[i] for i in some} for n in range(4) for some in combinations(blocks, n)]
    known = [
        (plans.arena(cuts, again), sum(plans.costs[i] * c for i, c in again.items()))
        for cuts in every
        for again in whole
    ]
    assert least <= min(arena for arena, _ in known)
    for ram in (free.arena, (free.arena + least) // 2, least):
        found = plans.within(ram)
        assert found.arena <= ram and found.arena == plans.arena(found.cuts, found.recompute)
        assert found.extra <= min((extra for arena, extra in known if arena <= ram), default=found.extra)
        made = planner.plan(model, ram=ram)
        assert Engine(write(made)).arena_size() == found.arena and Engine(write(made)).golden_check()
    with pytest.raises(InputError, match=f"{least - 1:,} bytes of arena are too few: .* {least:,}"):
        plans.within(least - 1)


def test_extra_multiply_adds_are_those_of_the_rows_that_are_made_again() -> None:
    net = networks.Builder(np.random.default_rng(1), 6, 5, 1)
    net.block(net.block(net.conv(0, 3, 1, 1), 2, 8, 1), 2, 8, 2)
    # 6 rows of 5 pixels: 2 + 4 * 3 + 2 rows instead of 6, of 3 channels; at stride 2 2 + 3 + 3 instead of 6, of 2.
    assert Planner(net.classifier("two", 2)).costs == {1: 10 * 5 * 3, 2: 2 * 5 * 2}


def test_faces_in_48_kb() -> None:
    plans = Planner(load(MODELS / "face.rnnp"))
    found = plans.within(49152)
    assert found.arena <= 49152
    assert found.extra < 0.2 * plans.macs
    assert plans.engine(found.cuts, found.recompute).golden_check()


def test_command(tmp_path, capsys) -> None:
    source, out = tmp_path / "in.rnnp", tmp_path / "out.rnnp"
    source.write_bytes(write(networks.classifier(2)))
    planner.main([str(source), "-o", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["streaming", "layer by layer", "planned"]
    planned = read(out.read_bytes())
    assert write(planned) == out.read_bytes()
    assert f"{Engine(out.read_bytes()).arena_size():,}" in lines[2]
    source.write_bytes(write(networks.segmented(2)))
    least = Planner(networks.segmented(2)).smallest()
    planner.main([str(source), "-o", str(out), "--ram", str(least), "--curve", str(tmp_path / "curve.png")])
    assert Engine(out.read_bytes()).arena_size() == least
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].startswith(f"in {least:,}") and lines[-1].split()[0] == f"{least:,}"
    assert Image.open(tmp_path / "curve.png").width > 300
    source.write_bytes(b"RNNQ" + source.read_bytes()[4:])
    with pytest.raises(SystemExit) as caught:
        planner.main([str(source)])
    assert caught.value.code == 2
    assert "magic" in capsys.readouterr().err
