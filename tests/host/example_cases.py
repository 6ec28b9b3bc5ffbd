"""Examples with what they read and what they must print, for tests on any port (tests/host, tests/qemu).

What they must print follows from the engine's results on this computer, with the same models and frames.
"""

from __future__ import annotations

import re
import statistics
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from load_tool import ROOT
from matplotlib import cbook
from networks import face_m4
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rnnpool_training import blob, layers
from rnnpool_training.engine import Engine

PERSON, FACE = ROOT / "models" / "person.rnnp", ROOT / "models" / "face.rnnp"
NUMBER = re.compile(r"\d+\.\d+")


@dataclass
class Case:
    """An example and its surroundings."""

    example: str
    expected: list[str]  # lines; numbers with a point may differ by 0.01, since some ports have floats of 32 bits
    files: dict[str, bytes]  # in the current folder
    rom: dict[str, bytes] = field(default_factory=dict)  # at /rom

    @property
    def source(self) -> str:
        """The script."""
        return (ROOT / "examples" / self.example).read_text()

    def check(self, output: str) -> None:
        """Compares what it printed."""
        lines = output.splitlines()
        assert [NUMBER.sub("#", line) for line in lines] == [NUMBER.sub("#", line) for line in self.expected]
        given, wanted = ([float(x) for line in text for x in NUMBER.findall(line)] for text in (lines, self.expected))
        np.testing.assert_allclose(given, wanted, rtol=0, atol=0.0101)


def constant(example: str, name: str) -> float:
    """A number that an example has at its top."""
    found = re.search(rf"^{name} = ([0-9.]+)", (ROOT / "examples" / example).read_text(), re.MULTILINE)
    assert found, name
    return float(found[1])


def portrait() -> Image.Image:
    """A person."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return Image.open(file).convert("RGB")


def rgb565(picture: Image.Image) -> NDArray[np.uint16]:
    """(height, width) words."""
    r, g, b = np.moveaxis(np.asarray(picture.convert("RGB"), np.uint16), 2, 0)
    return r >> 3 << 11 | g >> 2 << 5 | b >> 3


def joined(frames: list[NDArray[np.uint16]] | list[NDArray[np.uint8]]) -> bytes:
    """Frames one behind the other, as the examples' frames.raw has them."""
    return b"".join(frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in frames)


def wake_word(folder: Path) -> Case:
    """Somebody comes, is not seen for two frames, and leaves; then somebody comes again."""
    engine = Engine(PERSON.read_bytes())
    whole = portrait()
    views = [ImageOps.pad(whole, (160, 120), color=(90, 110, 100), centering=(place, 0)) for place in (0, 0.5, 1)]
    views += [ImageOps.fit(whole, (160, 120), centering=(0.5, place)) for place in (0, 0.5)]
    # Whichever the model sees best.
    somebody = max((rgb565(view) for view in views), key=lambda frame: engine.classify(frame)[-1])
    wall = np.random.default_rng(1).integers(90, 110, (120, 160, 3), dtype=np.uint8)
    nobody = rgb565(Image.fromarray(wall))
    frames = [nobody, somebody, nobody, nobody, somebody, nobody, nobody, nobody, nobody, somebody]
    awake, absent, lines = False, 0, []
    for frame in frames:
        chance = engine.classify(frame)[-1] / 32768
        absent = absent + 1 if chance < constant("wake_word.py", "NOBODY") else 0
        if not awake and chance > constant("wake_word.py", "WAKE"):
            awake = True
            lines.append(f"wake: a person, {chance:.2f}")
        elif awake and absent == constant("wake_word.py", "NOBODY_FRAMES"):
            awake = False
            lines.append(f"sleep: nobody, {chance:.2f}")
    assert [line.split(":")[0] for line in lines] == ["wake", "sleep", "wake"], f"not what the pictures show: {lines}"
    return Case("wake_word.py", lines, {"frames.raw": joined(frames)}, {"person.rnnp": PERSON.read_bytes()})


def faces_at(*places: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame of 320x240 with a face at each place (the corner of its square of 96 pixels)."""
    frame = Image.fromarray(np.random.default_rng(2).integers(90, 110, (240, 320), dtype=np.uint8))
    face = portrait().convert("L").crop((60, 0, 460, 400)).resize((96, 96))
    for place in places:
        frame.paste(face, place)
    return np.asarray(frame)


def head_count(folder: Path) -> Case:
    """One person, joined by another, who hides for a frame; then both leave."""
    engine = Engine(FACE.read_bytes())
    one, two, none = faces_at((20, 60)), faces_at((20, 60), (200, 100)), faces_at()
    frames = [one, two, two, one, two, none, none, none]
    counts = [len(engine.detect(frame, round(constant("head_count.py", "SCORE") * 32768))) for frame in frames]
    assert counts == [1, 2, 2, 1, 2, 0, 0, 0], f"not what the pictures show: {counts}"
    last = int(constant("head_count.py", "FRAMES"))
    smooth = [statistics.median_high(counts[max(0, i + 1 - last) : i + 1]) for i in range(len(counts))]
    changes = [n for i, n in enumerate(smooth) if i == 0 or n != smooth[i - 1]]
    assert changes == [1, 2, 1, 0]
    lines = [f"people: {n}" for n in changes]
    return Case("head_count.py", lines, {"frames.raw": joined(frames)}, {"face.rnnp": FACE.read_bytes()})


def face_track(folder: Path) -> Case:
    """A face goes to the right and is lost for a frame; another comes, stays and is lost; then one at a new place."""
    engine = Engine(FACE.read_bytes())
    scenes: list[dict[int, tuple[int, int]]] = [
        {1: (10, 20)},
        {1: (30, 25)},
        {1: (50, 30), 2: (200, 120)},
        {2: (205, 120)},
        {1: (70, 30), 2: (200, 125)},
        {},
        {},
        {},
        {3: (210, 120)},
    ]
    frames, lines = [faces_at(*scene.values()) for scene in scenes], []
    for index, (frame, scene) in enumerate(zip(frames, scenes, strict=True)):
        found = engine.detect(frame, round(constant("face_track.py", "SCORE") * 32768))
        assert len(found) == len(scene), f"frame {index}: not what the picture shows: {found}"
        for number, (x, y) in sorted(scene.items()):
            box = min(found, key=lambda d: abs(d.x + d.w / 2 - x - 48) + abs(d.y + d.h / 2 - y - 48))
            lines.append(f"frame {index}: face {number} at {box.x},{box.y}, {box.w}x{box.h}")
    return Case("face_track.py", lines, {"frames.raw": joined(frames)}, {"face.rnnp": FACE.read_bytes()})


def own_network(folder: Path) -> Case:
    """The front end out of operators has the bytes that the whole model has inside."""
    model = face_m4(3)
    y, x = np.mgrid[:240, :320]
    board = (x >= 160) & (x < 224) & (y >= 64) & (y < 128)
    pixels = np.where(board, 255 * ((x >> 3 ^ y >> 3) & 1), 128).astype(np.uint8)
    front = Engine(blob.write(model)).run(pixels, taps=True).outputs()[1]
    totals = np.abs(front.astype(int)).sum(2)
    best_y, best_x = np.unravel_index(totals.argmax(), totals.shape)
    found = layers.split(model)
    files = {name: blob.write(found[name]) for name in ("00_conv.rnnp", "01_rnnpool.rnnp")}
    lines = []
    for kind, data in zip(("Conv2D", "RNNPool"), files.values(), strict=True):
        one = Engine(data)
        shapes = ["x".join(map(str, shape)) for shape in (one.input_shape, one.ops()[0].shape)]
        lines.append(f"<{kind} '{one.name}' {shapes[0]} to {shapes[1]}, ram {one.arena_size()}>")
    crc = zlib.crc32(front.tobytes())
    lines.append(f"30 rows of 40 cells, CRC-32 {crc:08x}; the busiest is {best_x}, {best_y}")
    return Case("own_network.py", lines, {f"layers/{name}": data for name, data in files.items()})


def own_model(folder: Path) -> Case:
    """The command in the example trains a classifier; on new pictures it answers as on this computer."""
    from rnnpool_training import classify

    random = np.random.default_rng(3)

    def picture(label: str) -> Image.Image:
        pixels = random.integers(0, 100, (48, 64, 3), dtype=np.uint8)
        if label == "stocked":
            pixels[16:40, 8:56] = random.integers(150, 256, 3)
        return Image.fromarray(pixels)

    command = re.search(r"^# +rnnpool classify (.*)", (ROOT / "examples" / "own_model.py").read_text(), re.MULTILINE)
    assert command
    name, option, out = command[1].split()
    for label in ("empty", "stocked"):
        (folder / name / label).mkdir(parents=True)
        for i in range(10):
            picture(label).save(folder / name / label / f"{i}.png")
    short = ["--size", "64", "--steps", "12", "--init", "none", "--threads", "1"]  # of the time it takes
    classify.main([str(folder / name), option, str(folder / out), *short])
    data = (folder / out).read_bytes()
    engine = Engine(data)
    frames = [rgb565(picture(label).resize((160, 120))) for label in ("empty", "stocked", "stocked", "empty")]
    lines = []
    for frame in frames:
        chances = [p / 32768 for p in engine.classify(frame)]
        best = ("empty", "stocked")[int(np.argmax(chances))]
        lines.append(f"{best} (empty {chances[0]:.2f}, stocked {chances[1]:.2f})")
    return Case("own_model.py", lines, {"frames.raw": joined(frames), out: data})


CASES: dict[str, Callable[[Path], Case]] = {
    make.__name__: make for make in (wake_word, head_count, face_track, own_network, own_model)
}
