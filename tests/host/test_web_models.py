"""The page in a headless Chromium: models of one's own, what is refused, a board's figures, the script."""

import base64
import json
import re
import subprocess
import zlib
from pathlib import Path

import networks
import numpy as np
import pytest
from load_tool import ROOT
from web_page import (  # noqa: F401 (fixtures)
    MICROPYTHON,
    MODELS,
    WANTED,
    Page,
    browser,
    choose_model,
    drop,
    expect,
    expected,
    file,
    given,
    page,
    playwright,
    result_with,
    results,
    set_slider,
    show,
    write_pictures,
)

from rnnpool_training import blob, layers, reference
from rnnpool_training.reference import Format

pytestmark = WANTED


def huge_png() -> bytes:
    """40,000 x 40,000 pixels in few bytes: 1.6 billion, which no browser has memory for."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    side = 40_000
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_what_is_no_picture_and_no_sound_model(page: Page) -> None:
    face = (ROOT / "models" / "face.rnnp").read_bytes()
    damaged = bytearray(face)
    damaged[5000] ^= 64
    wrong_check = bytearray(blob.write(networks.tiny(1)))
    wrong_check = bytearray(change_golden(bytes(wrong_check)))
    cases = {
        "damaged.rnnp": (bytes(damaged), "damaged.rnnp is damaged: "),
        "short.rnnp": (face[:1000], "short.rnnp is cut off: total_size: expected 77408, given 1000"),
        "no_model.rnnp": (b"hello", "no_model.rnnp is cut off"),
        "noise.rnnp": (np.random.default_rng(1).bytes(4000), "noise.rnnp is damaged: magic"),
        "layer.rnnp": (blob.write(layers.layer(networks.tiny(1), 1)), "layer.rnnp is a single operator, rnnpool"),
        "wrong.rnnp": (bytes(wrong_check), "wrong.rnnp fails its golden check: 0x"),
        "empty.png": (b"", "empty.png is empty."),
        "notes.txt": (b"only words", "notes.txt is no picture or video that this browser can show"),
        "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(100), "no .rnnp model. Save it as JPEG or PNG."),
        "cut.png": (b"\x89PNG\r\n\x1a\n" + bytes(30), "cut.png is no picture or video"),
        "film.mp4": (b"\0\0\0\x18ftypisom" + bytes(200), "film.mp4 is no picture or video"),
        "<b>.txt": (b"x", "<b>.txt is no picture"),
        "huge.png": (huge_png(), "huge.png is no picture or video that this browser can show (or too large for it)"),
    }
    page.click("#drawing")
    results(page)
    for name, (content, sentence) in cases.items():
        drop(page, name, content)
        expect(page.locator("#message")).to_contain_text(sentence, timeout=30_000)
        page.click("#drawing")  # it still works, with the model from before
        assert len(result_with(page, source="a drawing")["detections"]) == 3
        assert page.locator("#model option").all_inner_texts() == ["face", "person"]
    assert page.errors == []


def change_golden(data: bytes) -> bytes:
    """A sound blob with another golden value."""
    model = blob.read(data)
    model.golden_crc ^= 1
    return blob.write(model)


@pytest.mark.parametrize("make", [networks.tiny, networks.segmented, networks.classifier, networks.others])
def test_a_model_of_ones_own(page: Page, tmp_path: Path, make) -> None:
    model = make(2)
    drop(page, "mine.rnnp", blob.write(model))
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{model.golden_crc:08x}", timeout=30_000)
    expect(page.locator("#board-note")).to_contain_text(re.compile("estimated|not counted"))
    expect(page.locator("#script")).to_contain_text('rnnpool.Model("./mine.rnnp"')
    assert page.locator("#operators tr").count() == len(model.ops)
    (path,) = write_pictures(tmp_path, 1)
    result = show(page, path)
    assert given(model, result) == expected(model, result)
    page.select_option("#model", "face")
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{MODELS['face'].golden_crc:08x}")
    page.select_option("#model", "mine.rnnp")  # it stays in the list
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{model.golden_crc:08x}")


@pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")
def test_a_map(page: Page, tmp_path: Path) -> None:
    model = networks.random_network(np.random.default_rng(1), blob.Task.MAP)
    drop(page, "map.rnnp", blob.write(model))
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{model.golden_crc:08x}", timeout=30_000)
    page.click("#drawing")
    result = result_with(page, source="a drawing")
    frame, found = result["frame"], result["map"]
    pixels = base64.b64decode(result["data"])
    outputs = reference.run(model, pixels, frame["width"], frame["height"], Format(frame["format"]))
    want = reference.raw_outputs(model, outputs)
    assert (found["height"], found["width"], found["channels"]) == want.shape
    assert list(found["values"]) == want.ravel().tolist()
    expect(page.locator("#answer")).to_contain_text(f"a map of {'x'.join(map(str, want.shape))}")
    blob.save(model, tmp_path / "map.rnnp")
    (tmp_path / "frame.raw").write_bytes(pixels)
    (tmp_path / "script.py").write_text(page.inner_text("#script"))
    done = subprocess.run([MICROPYTHON, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(v) for v in (want.size, want.min(), want.max())], done.stderr
    assert page.errors == []


@pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")
def test_a_number(page: Page, tmp_path: Path) -> None:
    net = networks.Builder(np.random.default_rng(1), 24, 32, 1)
    net.conv(0, 4, 3, 2)
    model = net.classifier("number", 1)
    drop(page, "number.rnnp", blob.write(model))
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{model.golden_crc:08x}", timeout=30_000)
    page.click("#drawing")
    result = result_with(page, source="a drawing")
    expect(page.locator("#answer")).to_contain_text("numbers, which the script")
    expect(page.locator("#chances")).to_be_empty()
    frame, pixels = result["frame"], base64.b64decode(result["data"])
    outputs = reference.run(model, pixels, frame["width"], frame["height"], Format(frame["format"]))
    want = float(reference.raw_outputs(model, outputs).ravel()[0]) / 4096  # logits
    blob.save(model, tmp_path / "number.rnnp")
    (tmp_path / "frame.raw").write_bytes(pixels)
    (tmp_path / "script.py").write_text(page.inner_text("#script"))
    done = subprocess.run([MICROPYTHON, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert float(done.stdout) == pytest.approx(want), done.stderr
    assert page.errors == []


def test_time_on_a_board_is_the_benchmarks(page: Page) -> None:
    figures = json.loads((ROOT / "docs" / "benchmarks.json").read_text())["models"]
    for name in ("face", "person"):
        choose_model(page, name)
        own = figures[name]
        expect(page.locator("#board")).to_have_text(f"{own['cycles'] / 168e6:.2f} s")
        cells = page.locator("#operators td.bar").all_inner_texts()
        assert cells == [f"{o['cycles'] / 1e6:.2f} M" for o in own["operators"] if o["kind"] != "rest"]


@pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")
@pytest.mark.parametrize("name", ["face", "person"])
def test_the_script_gives_the_same_on_micropython(page: Page, tmp_path: Path, name: str) -> None:
    choose_model(page, name)
    page.select_option("#format", "RGB565_BE")
    page.check("#mirror")
    if name == "face":
        page.check("#near")
        set_slider(page, "threshold", 30)
        set_slider(page, "iou", 35)
    page.click("#drawing")
    result = result_with(page, source="a drawing")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "frame.raw")
    assert (tmp_path / "frame.raw").read_bytes() == base64.b64decode(result["data"])
    (tmp_path / "script.py").write_text(page.inner_text("#script"))
    done = subprocess.run([MICROPYTHON, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line.rsplit(None, 4 if name == "face" else 1) for line in done.stdout.splitlines()]
    if name == "face":
        assert len(lines) >= 3
        assert [[*map(int, line[:4]), round(float(line[4]) * 32768)] for line in lines] == result["detections"]
    else:
        assert [round(float(line[1]) * 32768) for line in lines] == result["probabilities"]
