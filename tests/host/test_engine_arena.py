"""The arena: its plan is what is touched, no more and no less, and nothing that is alive shares memory."""

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training.blob import Model, write
from rnnpool_training.engine import Engine, EngineError, Region, aligned
from rnnpool_training.reference import Format

GUARD = 64  # bytes around the arena
SEEDS = st.integers(0, 2**32 - 1)


def random_frame(rng: np.random.Generator, model: Model) -> tuple[int, int, Format]:
    if rng.random() < 0.3:
        return model.width, model.height, Format.GRAY8 if model.channels == 1 else Format.RGB888
    width, height = (int(n) for n in rng.integers(1, 60, 2))
    return (
        width,
        height,
        Format(rng.choice([16, 17, 18, 19, 20])),  # those of any width,
    )


def run(engine: Engine, frame: tuple[int, int, Format], pixels: np.ndarray, fill: int) -> np.ndarray:
    """The arena, with guards around it, after an image; all bytes were `fill` before."""
    size = engine.arena_size(frame)
    memory = aligned(size + 2 * GUARD)
    memory[:] = fill
    image = engine.begin(*frame, 0, memory[GUARD : GUARD + size])
    for row in pixels:
        image.push(row)
    return memory


def alive_together(a: Region, b: Region) -> bool:
    return a.first <= b.last and b.first <= a.last


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_plan_is_what_is_touched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = networks.random_network(rng)
    engine = Engine(write(model))
    frame = random_frame(rng, model)
    pixels = rng.integers(0, 256, (frame[1], frame[0] * frame[2].bytes_per_pixel), np.uint8)
    # The engine writes the same bytes in both runs, so a byte that still differs is one that it has not written.
    first, second = (run(engine, frame, pixels, fill) for fill in (0x55, 0xAA))
    touched = first == second
    assert not touched[:GUARD].any() and not touched[-GUARD:].any()
    touched = touched[GUARD:-GUARD]
    planned = np.zeros_like(touched)
    for region in engine.regions(frame):
        end = region.offset + region.size
        assert region.offset % 8 == 0 and region.size > 0 and end <= touched.size
        planned[region.offset : end] = True
        # Rows are padded to 4 bytes, regions to 8; candidates are as many as there are; scratch serves many; a frame of
        # one row never fills the second of the two that stretching keeps. Padding may have been copied from elsewhere,
        # in a later segment that has the memory, too.
        if region.what not in ("candidates", "scratch") and not (region.what == "resampling" and frame[1] == 1):
            inside = touched[region.offset : end]
            assert inside[:11].any() and inside[-11:].any(), region
    assert not (touched & ~planned).any(), "a byte outside of all regions was written"
    assert planned.all(), "a byte that belongs to no region"


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_regions_alive_together_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = networks.random_network(rng)
    frame = random_frame(rng, model)
    regions = Engine(write(model)).regions(frame)
    for i, a in enumerate(regions):
        for b in regions[:i]:
            apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
            assert apart or not alive_together(a, b), (a, b)


def test_segments_share_memory() -> None:
    model = networks.segmented(1)
    engine = Engine(write(model))
    regions = engine.regions()
    assert max(r.last for r in regions) == 2
    assert engine.arena_size() < sum(r.size for r in regions)
    peak = max(sum(r.size for r in regions if r.first <= s <= r.last) for s in range(3))
    assert engine.arena_size() == peak


def test_face_network_fits() -> None:
    model = networks.face_m4(1)
    model.max_candidates = 128
    engine = Engine(write(model))
    assert engine.arena_size() <= 68_000  # the goal of design.md was 81,920
    assert engine.arena_size() == sum(r.size for r in engine.regions())
    rings = {(r.what, r.op): r.size for r in engine.regions()}
    assert rings["output", 0] == 8 * 160 * 4  # the rows of a patch
    assert rings["output", 2] == 3 * 40 * 32  # one ring for the head and the next block
    assert rings["expanded", 2] == 2 * 44 * 128  # two rows and their padding


def test_an_arena_that_is_too_small_or_misaligned_is_refused() -> None:
    engine = Engine(write(networks.tiny(1)))
    size = engine.arena_size()
    memory = aligned(size + 16)
    for length in (0, 8, size - 1):
        with pytest.raises(EngineError) as caught:
            engine.begin(32, 24, Format.GRAY8, arena=memory[:length])
        error = caught.value
        assert (error.status, error.what, error.expected, error.given) == ("arena", "arena", size, length)
    for offset in (1, 4):
        with pytest.raises(EngineError) as caught:
            engine.begin(32, 24, Format.GRAY8, arena=memory[offset:])
        assert (caught.value.status, caught.value.expected, caught.value.given) == ("alignment", 8, offset)
    engine.begin(32, 24, Format.GRAY8, arena=memory[8 : 8 + size])
