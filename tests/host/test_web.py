"""The page in a headless Chromium: what it finds in pictures, cameras and videos equals the reference, bit for bit."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_page import (  # noqa: F401 (fixtures)
    CHROMIUM,
    FLAGS,
    LOW,
    MODELS,
    WANTED,
    Browser,
    Page,
    Playwright,
    browser,
    choose_model,
    expect,
    expected,
    file,
    given,
    open_page,
    page,
    playwright,
    result_with,
    results,
    set_slider,
    show,
    write_pictures,
)

from rnnpool_training import blob, generated
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

pytestmark = WANTED
PICTURES = 50


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


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone(browser: Browser, file: Path, width: int) -> None:
    """Nothing is wider than the screen, whatever is shown."""
    context = browser.new_context(viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
    page = open_page(context.new_page(), file)
    wider = """(width) => [...document.querySelectorAll("body *")]
        .filter((e) => !e.closest(".scroll, pre") && e.getBoundingClientRect().right > width + 0.5)
        .map((e) => e.outerHTML)"""
    for name in MODELS:
        choose_model(page, name)
        page.tap("#drawing")
        assert given(MODELS[name], result_with(page, source="a drawing"))
        page.evaluate("document.querySelectorAll('[hidden]').forEach((e) => (e.hidden = false))")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert page.evaluate(wider, width) == []
        box = page.locator("#view").bounding_box()
        assert box and box["width"] > 300 and box["y"] + box["height"] < 740  # seen without scrolling
    context.close()
