"""The examples run in MicroPython and in CPython and print what reference or engine predict
(detect_image.py: test_demo.py).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from example_cases import CASES
from load_tool import ROOT
from matplotlib import cbook
from networks import face_m4, heat_map
from PIL import Image, ImageOps

from rnnpool_training import blob
from rnnpool_training.reference import Format, detect, raw_outputs
from rnnpool_training.reference import run as run_reference

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
pytestmark = pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.rnnp"
    path.write_bytes(blob.write(face_m4(3)))
    return path


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return ImageOps.fit(Image.open(file).convert("L"), (200, 160))


def run(example: str, *arguments: object) -> list[str]:
    """What it prints: the same in both."""
    said = []
    for python in (str(MICROPYTHON), sys.executable):
        command = [python, str(ROOT / "examples" / example), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1200)
        said.append(done.stdout.splitlines())
    # Times differ, and the order of sets.
    first, second = (sorted(re.sub(r"\d+ ms", "", line) for line in lines) for lines in said)
    assert first == second
    return said[0]


def test_stream_rows(model: Path, picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "picture.pgm")
    first, *boxes = run("stream_rows.py", tmp_path / "picture.pgm", model)
    assert first.endswith("for frames of 200x160")
    want = detect(blob.load(model), np.asarray(picture).tobytes(), 200, 160, Format.GRAY8, max_detections=64)
    assert boxes == [f"{d.x},{d.y} {d.w}x{d.h} {d.score / 32768:.2f}" for d in want]


def test_watch(model: Path, picture: Image.Image, tmp_path: Path) -> None:
    frames = [picture, ImageOps.flip(picture), ImageOps.mirror(picture)]
    (tmp_path / "frames.raw").write_bytes(b"".join(frame.tobytes() for frame in frames))
    lines = run("watch.py", tmp_path / "frames.raw", 200, 160, model)
    assert len(lines) == len(frames)
    for line, frame in zip(lines, frames, strict=True):
        want = detect(blob.load(model), frame.tobytes(), 200, 160, Format.GRAY8, 16384, max_detections=8)
        assert line == f"{len(want)} {[tuple(d[:5]) for d in want]}"


def patches(cells: np.ndarray) -> list[np.ndarray]:
    """The connected parts of a map of truths, as such maps."""
    left, found = cells.copy(), []
    while left.any():
        part = np.zeros_like(left)
        part[tuple(np.argwhere(left)[0])] = True
        for _ in range(cells.size):
            wide = np.pad(part, 1)
            part = left & (part | wide[2:, 1:-1] | wide[:-2, 1:-1] | wide[1:-1, 2:] | wide[1:-1, :-2])
        found.append(part)
        left &= ~part
    return found


def test_heat_map(picture: Image.Image, tmp_path: Path) -> None:
    model = heat_map(3)
    (tmp_path / "map.rnnp").write_bytes(blob.write(model))
    (tmp_path / "frame.raw").write_bytes(picture.tobytes())
    outputs = run_reference(model, picture.tobytes(), 200, 160, Format.GRAY8)
    heat = raw_outputs(model, outputs).astype(int)
    zero = model.ops[-1].out_zero_point
    least = int(np.quantile(heat, 0.7))
    lines = run(
        "heat_map.py", tmp_path / "map.rnnp", tmp_path / "frame.raw", 200, 160, model.result_scale * (least - zero)
    )
    want = []
    for channel, label in enumerate(model.labels):
        for part in patches(heat[:, :, channel] >= least):
            y, x = (np.argwhere(part).mean(0) + 0.5) * 28 / heat.shape[0] * (160 / 28)
            largest = model.result_scale * (heat[:, :, channel][part].max() - zero)
            want.append(f"{label} at ({int(x)}, {int(y)}): {part.sum()} cells, up to {largest:.2f}")
    assert sorted(lines) == sorted(want) and len(want) > 4


def test_model_info(model: Path) -> None:
    lines = run("model_info.py", model)
    assert len(lines) == 3 + len(blob.load(model).ops)
    assert "'face_m4 3' detection 320x240x1" in lines[0]
    assert lines[-1].startswith("selftest passed")


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_without_anything(example: str, tmp_path: Path) -> None:
    if example == "serial_frames.py":
        pytest.skip("waits for a computer on the serial line: test_board_stream.py")
    command = [str(MICROPYTHON), str(ROOT / "examples" / example)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stdout.startswith(("usage: micropython examples/" + example, "no "))
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    here, rom = tmp_path / "here", tmp_path / "rom"
    for folder, files in ((here, case.files), (rom, case.rom)):
        folder.mkdir()
        for file, data in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(data)
    start = f"import vfs\nvfs.mount(vfs.VfsPosix({str(rom)!r}), '/rom')\n"
    commands = [[str(MICROPYTHON), "-c", start + case.source]]
    if "/rom/" not in case.source:
        commands.append([sys.executable, "-c", case.source])
    for command in commands:
        case.check(subprocess.run(command, cwd=here, capture_output=True, text=True, check=True, timeout=1200).stdout)


@pytest.mark.parametrize(
    ("format", "rotate"), [(Format.RGB565_BE, 0), (Format.UYVY, 0), (Format.GRAY8, 90), (Format.RGB565, 180)]
)
def test_which_format_tells_what_the_camera_does(format: Format, rotate: int, tmp_path: Path) -> None:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        portrait = ImageOps.fit(Image.open(file).convert("L"), (200, 240))
    gray = np.ascontiguousarray(np.rot90(np.asarray(portrait), rotate // 90))
    height, width = gray.shape
    if format == Format.UYVY:
        data = np.stack([np.full_like(gray, 128), gray], -1).tobytes()
    elif format == Format.GRAY8:
        data = gray.tobytes()
    else:
        v = gray.astype(np.uint16)
        words = v >> 3 << 11 | v >> 2 << 5 | v >> 3
        data = words.astype(">u2" if format == Format.RGB565_BE else "<u2").tobytes()
    (tmp_path / "frame.raw").write_bytes(data)
    first, *_, last = run("which_format.py", tmp_path / "frame.raw", width, height, ROOT / "models" / "face.rnnp")
    assert f"format=rnnpool.{format.name}, rotate={rotate}" in first
    assert last == "the first is most likely it"


@pytest.mark.parametrize("format", [Format.RGB888, Format.BGR888])
def test_which_format_tells_red_from_blue(format: Format, tmp_path: Path) -> None:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        pixels = np.asarray(ImageOps.fit(Image.open(file).convert("RGB"), (200, 240)))
    (tmp_path / "frame.raw").write_bytes(pixels[:, :, :: 1 if format == Format.RGB888 else -1].tobytes())
    first, *_ = run("which_format.py", tmp_path / "frame.raw", 200, 240, ROOT / "models" / "face.rnnp")
    assert f"format=rnnpool.{format.name}, rotate=0" in first


def test_which_format_of_no_face(tmp_path: Path) -> None:
    (tmp_path / "frame.raw").write_bytes(bytes(64 * 48))
    lines = run("which_format.py", tmp_path / "frame.raw", 64, 48, ROOT / "models" / "face.rnnp")
    assert lines == ["no face found: more light, a larger face, another width?"]


def test_the_webcam(tmp_path: Path) -> None:
    # In the place of OpenCV: two pictures, and a window that notes what it is shown.
    (tmp_path / "cv2.py").write_text(
        """
import numpy as np
from PIL import Image
class VideoCapture:
    def __init__(self, source):
        self.left = [np.asarray(Image.open(source).convert("RGB"))[:, :, ::-1]] * 2
    def isOpened(self): return True
    def read(self): return (True, self.left.pop()) if self.left else (False, None)
    def release(self): print("released")
def resize(picture, size): return np.ascontiguousarray(Image.fromarray(picture).resize(size))
def rectangle(*words): pass
def imshow(title, picture): print(title, picture.shape)
def waitKey(milliseconds): return -1
"""
    )
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        ImageOps.fit(Image.open(file), (640, 480)).save(tmp_path / "a.png")
    command = [sys.executable, str(ROOT / "examples" / "webcam.py"), str(tmp_path / "a.png")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 faces (") and lines[1:4:2] == ["rnnpool (480, 640, 3)"] * 2
    assert lines[-1] == "released"
