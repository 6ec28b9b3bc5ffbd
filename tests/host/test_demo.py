"""tools/demo.py and examples/detect_image.py: a photo in, the boxes of the integer reference out."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from load_tool import ROOT, load_tool
from PIL import Image

from rnnpool_training import blob
from rnnpool_training.reference import Format, detect

demo = load_tool("demo")

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
MODEL = ROOT / "models" / "face.rnnp"


def has_face_model() -> bool:
    if not (MICROPYTHON.exists() and MODEL.exists()):
        return False
    check = "import rnnpool; rnnpool.detect_faces(bytes(320 * 240))"
    return subprocess.run([str(MICROPYTHON), "-c", check], capture_output=True).returncode == 0


needs_firmware = pytest.mark.skipif(not has_face_model(), reason=f"no {MICROPYTHON} with models/face.rnnp: make unix")


def run_demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo.py"), *map(str, arguments)], capture_output=True, text=True
    )


@needs_firmware
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_example_equals_the_reference(mode: str, tmp_path: Path) -> None:
    path = demo.matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    frame = demo.as_camera_frame(demo.load(Path(path))).convert(mode)
    file = tmp_path / "frame.ppm"
    frame.save(file)
    found = demo.detect(MICROPYTHON, file)
    format = Format.RGB888 if mode == "RGB" else Format.GRAY8
    want = detect(blob.load(MODEL), np.asarray(frame).tobytes(), *frame.size, format, max_detections=64)
    assert [face[:4] for face in found["faces"]] == [list(d[:4]) for d in want]
    assert [face[4] for face in found["faces"]] == pytest.approx([d.score / 32768 for d in want], abs=1e-6)
    assert found["ram"] > 0 and found["microseconds"] > 0


@needs_firmware
def test_demo_writes_a_picture(tmp_path: Path) -> None:
    done = run_demo("--micropython", MICROPYTHON, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("Photo:", "Faces:", "RAM:", "Time:", "Boxes:"):
        assert word in done.stdout
    board = "On a Cortex-M4 at 168 MHz: 0."
    assert f"Board:  {board}" in done.stdout
    with Image.open(tmp_path / "grace_hopper.jpg-faces.png") as picture:
        assert picture.width > 614 + 320 and picture.height > 720


@needs_firmware
@pytest.mark.parametrize("size", [(40, 30), (4000, 60), (3000, 2400)])
def test_the_picture_can_be_read_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", size, "gray").save(path)
    done = run_demo("--micropython", MICROPYTHON, "--output-dir", tmp_path / "out", path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out" / "photo.jpg-faces.png") as picture:
        assert 640 <= picture.width <= 1400 and 320 <= picture.height <= 900


@needs_firmware
def test_odd_names_of_photos(tmp_path: Path) -> None:
    photo = demo.matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    names = ["-x.jpg", "a$b c'd.jpg", "same.jpg", "same.png", os.fsdecode(b"\xff.jpg")]
    for name in names:
        Image.open(photo).resize((128, 150)).save(tmp_path / name)
        made = subprocess.run(
            ["make", "-n", "demo", f"IMAGE={name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=True,
        )
        (line,) = [line for line in made.stdout.splitlines() if "tools/demo.py" in line]
        words = shlex.split(line)
        assert words[-2:] == ["--", name]
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "demo.py"), *words[2:-3], str(tmp_path / "out"), "--", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "out").glob("*-faces.png")}
    assert made == {f"{name}-faces.png" for name in (*names[:-1], r"\udcff.jpg")}  # MicroPython opens UTF-8


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    no_image = tmp_path / "text.jpg"
    no_image.write_text("no image")
    deep = tmp_path / "deep.png"
    Image.new("I;16", (32, 24)).save(deep)
    for image, micropython, words in (
        (tmp_path / "none.jpg", MICROPYTHON, "none.jpg can't be read"),
        (deep, MICROPYTHON, "deep.png has pixels of mode I;16: frames have 8 bits a channel"),
        (no_image, MICROPYTHON, "text.jpg can't be read"),
        ("", tmp_path / "micropython", "make unix"),
    ):
        done = run_demo(*([image] if image else []), "--micropython", micropython, "--output-dir", tmp_path)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_truncated_photo_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)).save(whole)
    cut.write_bytes(whole.read_bytes()[:1000])
    assert demo.load(whole).size == (90, 60)
    with pytest.raises(demo.DemoError, match=r"cut\.jpg"):
        demo.load(cut)


def test_photo_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    image = Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # orientation: to be turned a quarter clockwise
    image.save(path, exif=exif)
    assert demo.load(path).size == (20, 30)


def test_camera_frame_fits_and_is_never_enlarged() -> None:
    for size, expected in (
        ((512, 600), (410, 480)),
        ((4000, 3000), (640, 480)),
        ((50, 40), (50, 40)),
        ((9, 900), (5, 480)),
    ):
        assert demo.as_camera_frame(Image.new("RGB", size)).size == expected


def test_boxes_are_drawn_where_they_are() -> None:
    photo, frame = Image.new("RGB", (800, 600)), Image.new("RGB", (400, 300))
    faces = demo.in_photo([[50, 60, 70, 80, 0.5]], photo, frame)
    assert faces == [[100, 120, 140, 160, 0.5]]
    picture = np.asarray(demo.annotate(photo, faces))
    green = (picture == (0, 255, 0)).all(2)
    rows, columns = np.flatnonzero(green.any(1)), np.flatnonzero(green.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (120, 280, 100, 240)
    assert not np.asarray(photo).any()
    labels = (picture == (255, 255, 255)).all(2)  # beside the box
    assert labels[:120].any() and not labels[120:281, 100:241].any()
    above = np.asarray(demo.annotate(photo, [[100, 0, 140, 160, 0.5]]))
    assert (above[161:] == (255, 255, 255)).all(2).any()  # no room above
    assert demo.report([]) == ["Faces:  none"]
    assert " 100    120    140    160  0.500" in demo.report(faces)[-1]
