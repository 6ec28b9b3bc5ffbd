"""Real pictures on the emulated board: all raw results equal the integer reference, and how long the engine takes."""

from __future__ import annotations

import json
from pathlib import Path

import make_romfs
import numpy as np
import pytest
import run
from board import Board, instructions
from networks import NETWORKS
from PIL import Image

from rnnpool_training.blob import Model, Task, load, write
from rnnpool_training.blob.golden import result_crc
from rnnpool_training.reference import Format, classify_outputs, detect_outputs
from rnnpool_training.reference import run as reference_run

FACES = run.ROOT.parent / "shared" / "data" / "faces" / "val" / "images"
NUM_FRAMES = 50
SHIPPED = sorted((run.ROOT / "models").glob("*.rnnp"))

# One arena for both, and large enough for the frame that needs most: two of them have no room in 160 KB.
SCRIPT = """
import engine_probe, json, rnnpool
blob = memoryview(open("/data/model.rnnp", "rb"))
with open("/data/frames.json") as file:
    frames = json.load(file)
arena = bytearray(7 + max(rnnpool.required_ram(blob, width=width, height=height) for name, width, height in frames))
model = rnnpool.Model(blob, arena=arena)
for index, (name, width, height) in enumerate(frames):
    frame = memoryview(open("/data/frames/" + name, "rb"))
    crc, ticks = engine_probe.run(blob, frame, width, height, rnnpool.GRAY8, arena)
    print(name, crc, ticks, end=" ")
    if index < 10:  # the rest of the way follows from the raw results
        if model.task == "detection":
            found = model.detect(frame, width=width, height=height)
            print([(x, y, w, h, round(score * 32768)) for x, y, w, h, score in found], end="")
        else:
            print([round(p * 32768) for p in model.classify(frame, width=width, height=height)], end="")
    print()
"""


def frames() -> list[tuple[str, np.ndarray]]:
    """Up to NUM_FRAMES pictures, spread over the validation set, as gray bytes."""
    if not FACES.is_dir():
        pytest.skip(f"no {FACES}: these labelled images lie beside the project, not in it")
    paths = sorted(FACES.glob("*.jpg"))
    chosen = paths[:: max(1, len(paths) // NUM_FRAMES)][:NUM_FRAMES]
    return [(f"{i}.raw", np.asarray(Image.open(path).convert("L"))) for i, path in enumerate(chosen)]


def image_of(model: Model, pictures: list[tuple[str, np.ndarray]]) -> bytes:
    return make_romfs.build(
        {
            "model.rnnp": write(model),
            "frames": {name: pixels.tobytes() for name, pixels in pictures},
            "frames.json": json.dumps([(name, p.shape[1], p.shape[0]) for name, p in pictures]).encode(),
        }
    )


# Without a trained model, the same network with random weights.
@pytest.mark.parametrize("name", [path.stem for path in SHIPPED] or ["face_m4"])
def test_all_results_equal_the_reference(each_firmware: Path, name: str) -> None:
    model = NETWORKS[name](1) if name in NETWORKS else load(run.ROOT / "models" / f"{name}.rnnp")
    pictures = frames()
    with Board(each_firmware, data=image_of(model, pictures)) as board:
        output, error = board.exec(SCRIPT, timeout=600)
    assert not error, error.decode()
    lines = output.decode().splitlines()
    assert len(lines) == len(pictures) == NUM_FRAMES
    found = 0
    for line, (frame_name, pixels) in zip(lines, pictures, strict=True):
        height, width = pixels.shape
        outputs = reference_run(model, pixels.tobytes(), width, height, Format.GRAY8)
        given_name, crc, _, detections = line.split(" ", 3)
        assert (given_name, int(crc)) == (frame_name, result_crc(model, outputs))
        if detections:
            expected: list[object]
            if model.task == Task.DETECTION:
                expected = [tuple(d[:5]) for d in detect_outputs(model, outputs, width, height, max_detections=64)]
            else:
                expected = list(classify_outputs(model, outputs))
            assert detections == str(expected)
            found += len(expected)
    assert found > 0


def test_instruction_count_of_a_frame_repeats(firmware: Path) -> None:
    model = NETWORKS["face_m4"](1)
    pictures = frames()[:1]
    counts = []
    for _ in range(2):
        with Board(firmware, data=image_of(model, pictures), icount=True) as board:
            output, error = board.exec(SCRIPT, timeout=600)
        assert not error, error.decode()
        counts.append(instructions(int(output.split()[2])))
    assert abs(counts[0] - counts[1]) <= 2
    assert counts[0] > 10e6
