"""The shipped models: limits, golden check, and the engine's results on real images equal the integer reference.

RNNPOOL_IMAGES=1001 pytest tests/host/test_models.py compares so many images of faces/val instead of 60.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from rnnpool_training import data, reference
from rnnpool_training.blob import load, read, result_crc, write
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted((ROOT / "models").glob("*.rnnp"))
FACES = ROOT.parent / "shared" / "data" / "faces" / "val"
LARGEST = 81_920  # bytes, of a blob and of an arena: room beside MicroPython on a board with 192 KB
LOW_SCORE = 655  # Q15, 0.02: so that images without faces have detections to compare, too


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_is_a_face_model() -> None:
    assert ROOT / "models" / "face.rnnp" in MODELS


def test_limits_and_golden_check(path: Path) -> None:
    blob = path.read_bytes()
    engine = Engine(blob)
    assert len(blob) <= LARGEST
    assert engine.arena_size() <= LARGEST
    assert engine.golden_check()
    assert reference.golden_check(load(path))
    assert write(read(blob)) == blob


@pytest.mark.skipif(not FACES.is_dir(), reason=f"no images in {FACES}")
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
