"""The shipped models: limits, golden check, and the engine's results on real images equal the integer reference.

RNNPOOL_IMAGES=1001 pytest tests/host/test_models.py compares so many images of faces/val instead of 60, and of
persons/val instead of 12.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rnnpool_training import data, pictures, reference
from rnnpool_training.blob import load, read, result_crc, write
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted((ROOT / "models").glob("*.rnnp"))
FACES = ROOT.parent / "shared" / "data" / "faces" / "val"
PERSONS = ROOT.parent / "shared" / "data" / "persons" / "val"
# Bytes of blob and arena: flash of a board with 1 MB, RAM beside MicroPython on one with 192 KB.
LIMITS = {"face": (81_920, 65_536), "person": (229_376, 32_768)}
LOW_SCORE = 655  # Q15, 0.02: so that images without faces have detections to compare, too


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_is_a_face_model() -> None:
    assert ROOT / "models" / "face.rnnp" in MODELS


def test_limits_and_golden_check(path: Path) -> None:
    blob = path.read_bytes()
    engine = Engine(blob)
    largest_blob, largest_arena = LIMITS[path.stem]
    assert len(blob) <= largest_blob
    assert engine.arena_size() <= largest_arena
    assert engine.golden_check()
    assert reference.golden_check(load(path))
    assert write(read(blob)) == blob


# Of the committed benchmark, which `make bench-check` holds the code to: cycles of the whole, bytes of code and tables.
@pytest.mark.parametrize(("name", "cycles"), [("face", 110_000_000), ("person", 55_000_000)])
def test_cost_on_a_cortex_m4(name: str, cycles: int) -> None:
    measured = json.loads((ROOT / "docs" / "benchmarks.json").read_text())["models"][name]
    assert measured["cycles"] <= cycles
    # All kinds of operators and all formats of frames; a firmware may leave out what its models do not need
    # (RNNPOOL_WITHOUT=auto: test_bench.py). Six kinds and a frame stage of one loop took 24,294; cells with smooth
    # non-linearities and of any size take 1,700 of now, TFLite's rounding 2,900, the first convolutions 1,100.
    assert measured["code"] <= 49_152
    assert measured["baseline_cycles"] >= 8 * measured["cycles"]


@pytest.mark.skipif(not FACES.is_dir(), reason=f"no {FACES}: these labelled images lie beside the project, not in it")
def test_engine_equals_reference_on_real_images() -> None:
    path = ROOT / "models" / "face.rnnp"
    model, engine = load(path), Engine(path.read_bytes())
    samples = data.load(FACES, int(os.environ.get("RNNPOOL_IMAGES", "60")))
    different, boxes = [], 0
    for number, sample in enumerate(samples):
        pixels = np.ascontiguousarray(sample.pixels)
        height, width = pixels.shape
        run = engine.run(pixels, LOW_SCORE)
        outputs = reference.run(model, pixels, width, height, Format.GRAY8)
        found = run.detections()
        boxes += len(found)
        if run.crc() != result_crc(model, outputs) or found != reference.detect_outputs(
            model, outputs, width, height, LOW_SCORE
        ):
            different.append(number)
    print(f"{len(samples)} images compared, {boxes} detections, {len(different)} images differ")
    assert boxes > 0
    assert not different


@pytest.mark.skipif(
    not PERSONS.is_dir(), reason=f"no {PERSONS}: these labelled images lie beside the project, not in it"
)
def test_engine_equals_reference_on_real_persons() -> None:
    path = ROOT / "models" / "person.rnnp"
    model, engine = load(path), Engine(path.read_bytes())
    samples = pictures.load_labelled(PERSONS, 3, int(os.environ.get("RNNPOOL_IMAGES", "12")))
    different, right = [], 0
    for number, sample in enumerate(samples):
        pixels = np.ascontiguousarray(sample.pixels)
        height, width, _ = pixels.shape
        run = engine.run(pixels)
        outputs = reference.run(model, pixels, width, height, Format.RGB888)
        found = run.probabilities()
        right += int(np.argmax(found)) == sample.label
        if run.crc() != result_crc(model, outputs) or found != reference.classify_outputs(model, outputs):
            different.append(number)
    print(f"{len(samples)} images compared, {right} classified rightly, {len(different)} images differ")
    assert right >= 0.7 * len(samples)
    assert not different
