"""The page of web/ in a headless Chromium, for tests: opening it, its settings and results, what the reference says.

Needs clang and lld to build it and chromium to open it: tools/debian_packages.sh test installs them.
"""

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from load_tool import ROOT
from PIL import Image

from rnnpool_training import blob, data, generated, reference
from rnnpool_training.reference import Format

playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install .[dev]")
from playwright.sync_api import Browser, Page, Playwright, expect  # noqa: E402

HOW = "tools/debian_packages.sh test installs it"
CHROMIUM = shutil.which("chromium")
WANTED = [  # marks of the tests
    pytest.mark.skipif(CHROMIUM is None, reason=f"no chromium: {HOW}"),
    pytest.mark.skipif(shutil.which("wasm-ld") is None, reason=f"no wasm-ld (Debian's lld): {HOW}"),
]
MICROPYTHON = ROOT / "build" / "unix" / "micropython"
FACES = ROOT.parent / "shared" / "data" / "faces" / "val"
MODELS = {name: blob.load(ROOT / "models" / f"{name}.rnnp") for name in ("face", "person")}
BUILT: list[Path] = []  # the page, once for all modules of tests
LOW = 1  # per cent: a threshold that some boxes pass in any picture
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
    if not BUILT:
        BUILT.append(tmp_path_factory.mktemp("web") / "index.html")
        subprocess.run([sys.executable, ROOT / "web" / "build.py", BUILT[0]], check=True)
    return BUILT[0]


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
