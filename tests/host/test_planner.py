"""Cut points: the planner's choice is the best one, the engine confirms its bytes, and results do not change."""

from itertools import chain, combinations

import networks
import numpy as np
import pytest

from rnnpool_training import planner
from rnnpool_training.blob import Task, read, write
from rnnpool_training.engine import Engine
from rnnpool_training.planner import Planner
from rnnpool_training.reference import Format


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
    assert write(planner.cut(planned, Planner(model).streaming().cuts)) == write(planner.cut(model, ()))


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


def test_command(tmp_path, capsys) -> None:
    source, out = tmp_path / "in.rnnp", tmp_path / "out.rnnp"
    source.write_bytes(write(networks.classifier(2)))
    planner.main([str(source), "-o", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["streaming", "layer by layer", "planned"]
    planned = read(out.read_bytes())
    assert write(planned) == out.read_bytes()
    assert f"{Engine(out.read_bytes()).arena_size():,}" in lines[2]
    source.write_bytes(b"RNNQ" + source.read_bytes()[4:])
    with pytest.raises(SystemExit) as caught:
        planner.main([str(source)])
    assert caught.value.code == 2
    assert "magic" in capsys.readouterr().err
