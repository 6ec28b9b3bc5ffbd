"""The page of web/ in a headless Chromium: what it computes equals the reference, bit for bit; what goes wrong is said.

Needs clang and lld to build it and chromium to open it: tools/debian_packages.sh test installs them.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from load_tool import ROOT
from PIL import Image

from rnnpool_training import blob, data, generated, layers, reference
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install .[dev]")
from playwright.sync_api import Browser, Page, Playwright, expect  # noqa: E402

HOW = "tools/debian_packages.sh test installs it"
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=f"no chromium: {HOW}"),
    pytest.mark.skipif(shutil.which("wasm-ld") is None, reason=f"no wasm-ld (Debian's lld): {HOW}"),
]
MICROPYTHON = ROOT / "build" / "unix" / "micropython"
FACES = ROOT.parent / "shared" / "data" / "faces" / "val"
MODELS = {name: blob.load(ROOT / "models" / f"{name}.rnnp") for name in ("face", "person")}
LOW = 1  # per cent: a threshold that some boxes pass in any picture
PICTURES = 50
FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream")

# Collects results, each with the frame that it is of.
LISTEN = """
window.results = [];
document.addEventListener("rnnpool-result", ({ detail }) => {
    let text = "";
    for (const byte of detail.data()) text += String.fromCharCode(byte);
    window.results.push({ ...detail, data: btoa(text) });
});
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "index.html"
    subprocess.run([sys.executable, ROOT / "web" / "build.py", out], check=True)
    return out


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with playwright_api.sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
    yield found
    found.close()


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    found = browser.new_page()
    yield open_page(found, file)
    found.close()


def open_page(page: Page, file: Path, script: str = "") -> Page:
    page.add_init_script(LISTEN + script)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(file.as_uri())
    expect(page.locator("#golden")).to_contain_text("Golden check right", timeout=60_000)
    return page


def choose_model(page: Page, name: str) -> None:
    page.select_option("#model", name)
    crc = MODELS[name].golden_crc
    expect(page.locator("#golden")).to_contain_text(f"right: 0x{crc:08x}", timeout=60_000)


def results(page: Page, count: int = 1) -> list[dict[str, Any]]:
    """At least so many, in their order; they are taken away."""
    for _ in range(600):
        if page.evaluate("window.results.length") >= count:
            return page.evaluate("window.results.splice(0)")
        page.wait_for_timeout(50)
    raise AssertionError(f"{count} results wanted, the page says {page.inner_text('#message')!r}")


def result_with(page: Page, **wanted: Any) -> dict[str, Any]:
    """The first result that has these."""
    for _ in range(60):
        for result in results(page):
            if all((result | result["frame"])[key] == value for key, value in wanted.items()):
                return result
    raise AssertionError(f"no result with {wanted}, the page says {page.inner_text('#message')!r}")


def show(page: Page, path: Path) -> dict[str, Any]:
    """The result of a picture."""
    page.set_input_files("#file", [path])
    return result_with(page, source=path.name)


def set_slider(page: Page, name: str, percent: int) -> int:
    """Q15."""
    change = "(e, value) => { e.value = value; e.dispatchEvent(new Event('input')); }"
    page.locator(f"#{name}").evaluate(change, percent)
    return round(percent * 327.68)


def expected(model: blob.Model, result: dict[str, Any], threshold: int | None = None) -> list[list[int]] | list[int]:
    """What the reference says of the frame of a result."""
    frame = result["frame"]
    pixels = base64.b64decode(result["data"])
    outputs = reference.run(model, pixels, frame["width"], frame["height"], Format(frame["format"]))
    if model.task == blob.Task.CLASSIFICATION:
        return list(reference.classify_outputs(model, outputs))
    found = reference.detect_outputs(model, outputs, frame["width"], frame["height"], threshold)
    return [list(d[:5]) for d in found]


def given(model: blob.Model, result: dict[str, Any]) -> list[Any]:
    return result["probabilities" if model.task == blob.Task.CLASSIFICATION else "detections"]


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Real ones where they are, else generated ones; in colour, of several sizes."""
    random = np.random.default_rng(5)
    samples = data.load(FACES, count // 2) if FACES.is_dir() else []
    paths = []
    for i in range(count):
        if i < len(samples):
            image = Image.fromarray(np.ascontiguousarray(samples[i].pixels))
        else:
            width, height = ((320, 240), (320, 213), (180, 240), (97, 64))[i % 4]
            tint = np.array([1.0, random.uniform(0.6, 1), random.uniform(0.5, 1)])
            drawn = np.asarray(generated.picture(random, width, height)[0])
            image = Image.fromarray((drawn[..., None] * tint).astype(np.uint8))
        paths.append(folder / f"{i}.png")
        image.save(paths[-1])
    return paths


def test_size_and_privacy(browser: Browser, file: Path) -> None:
    assert file.stat().st_size <= 500_000
    page = browser.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    open_page(page, file)
    expect(page.locator("#build")).to_have_text("WebAssembly with SIMD")
    assert requests == [file.as_uri()]
    # The browser itself refuses: the policy lets no connection out.
    refused = "fetch('data:,x').then(() => 'sent', (error) => 'refused: ' + error.message)"
    assert page.evaluate(refused).startswith("refused")
    page.click("#drawing")
    assert results(page)[0]["detections"]
    assert requests == [file.as_uri()]
    assert page.errors == []
    page.close()


@pytest.mark.parametrize("simd", [True, False])
def test_pictures_equal_the_reference(browser: Browser, file: Path, tmp_path: Path, simd: bool) -> None:
    # Without SIMD: the browser refuses the first build that it is given.
    refuse = "const real = WebAssembly.compile; let first = true; WebAssembly.compile = (bytes) => " + (
        "first ? ((first = false), Promise.reject(new Error())) : real(bytes);"
    )
    page = open_page(browser.new_page(), file, "" if simd else refuse)
    expect(page.locator("#build")).to_have_text("WebAssembly with SIMD" if simd else "WebAssembly")
    page.select_option("#size", "0")
    different, boxes = [], 0
    paths = write_pictures(tmp_path, PICTURES if simd else 6)
    formats = ["GRAY8", "RGB888", "RGB565", "RGB565_BE", "BGR888"]
    for name, model in MODELS.items():
        choose_model(page, name)
        threshold = set_slider(page, "threshold", LOW) if name == "face" else None
        for i, path in enumerate(paths[:: 1 if name == "face" else 5]):
            page.select_option("#format", formats[i % len(formats)])
            result = show(page, path)
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            assert [result["frame"][side] for side in ("height", "width")] == list(pixels.shape[:2])
            if result["frame"]["format"] == Format.RGB888:
                assert base64.b64decode(result["data"]) == pixels.tobytes()
            want = expected(model, result, threshold)
            boxes += len(want)
            if given(model, result) != want:
                different.append((name, i))
    assert boxes > PICTURES if simd else boxes > 0
    assert different == []
    assert page.errors == []
    page.close()


def test_formats_are_what_the_engine_understands(page: Page, tmp_path: Path) -> None:
    """A picture in any format comes back as itself, nearly."""
    (path,) = write_pictures(tmp_path, 1)
    page.select_option("#size", "160")
    show(page, path)
    gray = seen_by_the_model(page)
    assert page.locator("#format option").all_inner_texts() == [f.name for f in Format if f != Format.YUV420]
    for format in (f for f in Format if f not in (Format.GRAY8, Format.YUV420)):
        page.select_option("#format", format.name)
        result = result_with(page, format=format)
        assert np.abs(seen_by_the_model(page) - gray).mean() < 4
        assert given(MODELS["face"], result) == expected(MODELS["face"], result)


def seen_by_the_model(page: Page) -> np.ndarray:
    """What the page draws as the model's input."""
    text = page.locator("#seen").evaluate(
        """(canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let text = "";
            for (let i = 0; i < data.length; i += 4) text += String.fromCharCode(data[i]);
            return btoa(text);
        }"""
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(240, 320).astype(int)


def test_near_faces_and_sliders(page: Page, tmp_path: Path) -> None:
    (path,) = write_pictures(tmp_path, 1)
    show(page, path)
    page.check("#near")
    for percent in (20, LOW):
        threshold, iou = set_slider(page, "threshold", percent), set_slider(page, "iou", 10 + percent)
        found = result_with(page, threshold=threshold, iou=iou, scales=[1, 0.4])
        frame = found["frame"]
        run = Engine(blob.write(MODELS["face"])).run_bytes(
            base64.b64decode(found["data"]),
            frame["width"],
            frame["height"],
            Format.GRAY8,
            threshold,
            scales=(256, round(0.4 * 256)),
        )
        assert found["detections"] == [list(d[:5]) for d in run.detections(iou)]
    assert found["detections"]


def test_a_camera(playwright: Playwright, file: Path, tmp_path: Path) -> None:
    # A film of a drawn face that moves.
    picture, _ = generated.picture(np.random.default_rng(3), 320, 240)
    film = b"YUV4MPEG2 W320 H240 F10:1 Ip C420jpeg\n"
    for i in range(8):
        luma = np.roll(np.asarray(picture), 8 * i, 1)
        film += b"FRAME\n" + luma.tobytes() + bytes([128]) * (160 * 120 * 2)
    (tmp_path / "film.y4m").write_bytes(film)
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={tmp_path / 'film.y4m'}"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
    context = browser.new_context(permissions=["camera"])
    page = open_page(context.new_page(), file)
    threshold = set_slider(page, "threshold", LOW)
    page.click("#camera")
    found = results(page, 4)
    assert {f["source"] for f in found} == {"the camera"}
    assert len({f["data"] for f in found}) > 1  # it moves
    for result in found[:4]:
        assert len(result["detections"]) > 0
        assert result["detections"] == expected(MODELS["face"], result, threshold)
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Go on")
    for _ in range(20):  # the frame that is on its way may still come
        page.wait_for_timeout(500)
        if not results(page, 0):
            break
    else:
        raise AssertionError("frames still come")
    page.click("#pause")
    assert results(page)
    page.check("#slow")
    rows = page.locator("#operators tr").nth(0).locator("td").nth(3)
    expect(rows).to_have_text(re.compile("^[1-9][0-9]? of 120$"), timeout=20_000)
    browser.close()


def test_a_video(page: Page) -> None:
    """One that the browser records itself."""
    webm = page.evaluate(
        """async () => {
            const canvas = document.createElement("canvas");
            canvas.width = 320; canvas.height = 240;
            const context = canvas.getContext("2d");
            const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
            const parts = [];
            recorder.ondataavailable = (event) => parts.push(event.data);
            const stopped = new Promise((done) => (recorder.onstop = done));
            recorder.start();
            for (let i = 0; i < 20; i++) {
                context.fillStyle = `hsl(${18 * i} 50% 50%)`;
                context.fillRect(0, 0, 320, 240);
                context.fillStyle = "white";
                context.fillRect(10 * i, 60, 40, 50);
                await new Promise((done) => setTimeout(done, 50));
            }
            recorder.stop();
            await stopped;
            const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        }"""
    )
    threshold = set_slider(page, "threshold", LOW)
    page.set_input_files("#file", {"name": "film.webm", "mimeType": "video/webm", "buffer": base64.b64decode(webm)})
    found = results(page, 3)
    assert len({f["data"] for f in found}) > 1
    for result in found[:3]:
        assert result["detections"] == expected(MODELS["face"], result, threshold)


def test_a_camera_that_is_denied_or_missing(page: Page, playwright: Playwright, file: Path) -> None:
    page.click("#camera")
    message = page.locator("#message")
    expect(message).to_contain_text("No camera: the browser does not let this page use the camera.")
    page.click("#drawing")  # all else goes on
    assert results(page)[0]["detections"]
    expect(message).to_have_text("")
    missing = "Promise.reject(new DOMException('', 'NotFoundError'))"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = () => {missing}; }}")
    page.click("#camera")
    expect(message).to_contain_text("No camera: there is no camera.")
    page.evaluate("() => { Object.defineProperty(navigator, 'mediaDevices', { value: undefined }); }")
    page.click("#camera")
    expect(message).to_contain_text("No camera: the browser lets only pages from https: or from a file use it.")
    assert page.errors == []


def drop(page: Page, name: str, content: bytes) -> None:
    """As a person drops a file on the page."""
    page.evaluate(
        """([name, text]) => {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(content).decode()],
    )


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
        "short.rnnp": (face[:1000], "short.rnnp is cut off: total_size: expected 77504, given 1000"),
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


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (5, 400), (5000, 30)])
def test_odd_sizes(page: Page, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.effect_noise(size, 60).save(tmp_path / "odd.png")
    threshold = set_slider(page, "threshold", LOW)
    page.select_option("#size", "0")
    for format in ("GRAY8", "YUYV"):
        page.select_option("#format", format)
        result = show(page, tmp_path / "odd.png")
        assert max(result["frame"]["width"], result["frame"]["height"]) <= 4096
        assert result["detections"] == expected(MODELS["face"], result, threshold)
    if max(size) > 4096:
        expect(page.locator("#message")).to_contain_text("has 5000x30 pixels: it is reduced to 4096")


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
    expect(page.locator("#answer")).to_contain_text("a single number")
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


def test_a_phone(browser: Browser, file: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = open_page(context.new_page(), file)
    page.tap("#drawing")
    assert results(page)[-1]["detections"]
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    box = page.locator("#view").bounding_box()
    assert box and box["width"] > 300 and box["y"] + box["height"] < 740  # seen without scrolling
    context.close()
