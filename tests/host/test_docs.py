"""The documents as a site: links hold, nothing is loaded from elsewhere; and what troubleshooting quotes is said."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from load_tool import ROOT

pytest.importorskip("mkdocs", reason="no mkdocs: pip install .[dev]")

MICROPYTHON = ROOT / "build" / "unix" / "micropython"


class Page(HTMLParser):
    """Headings' anchors, links, and what the page loads by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag in ("img", "script", "iframe", "source") and found.get("src"):
            self.loads.append(str(found["src"]))
        if tag == "link" and found.get("href") and found.get("rel") != "canonical":
            self.loads.append(str(found["href"]))


def build(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.docs_site", str(folder), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    page = folder / "page.html"
    page.write_text("<p>The page.</p>")
    done = build(folder / "site", "--page", page)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_links_hold_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) >= 20
    links = 0
    for path, page in pages.items():
        for target in [*page.links, *page.loads]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                assert target not in page.loads, f"{path} loads {target}"
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            assert goal.is_file(), f"{path}: {target}"
            if parts.fragment and goal in pages and not parts.fragment.startswith("__"):
                assert unquote(parts.fragment) in pages[goal].anchors, f"{path}: {target}"
            links += 1
    assert links > 500
    assert "../live.html" in pages[site / "docs" / "browser.html"].links


def test_each_document_is_in_the_navigation(site: Path) -> None:
    start = Page(site / "index.html")
    for path in site.rglob("*.html"):
        if path.name not in ("404.html", "live.html") and path != site / "index.html":
            assert path.relative_to(site).as_posix() in start.links


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a](nothing.md)", "docs: docs/zz_test.md: there is no nothing.md"),
        ("[a](api.md#no-such-heading)", "no-such-heading"),
        ("![a](nothing.png)", "docs: docs/zz_test.md: there is no nothing.png"),
    ],
)
def test_a_broken_link_is_an_error(tmp_path: Path, text: str, sentence: str) -> None:
    document = ROOT / "docs" / "zz_test.md"
    try:
        document.write_text(f"# Test\n\n{text}\n")
        done = build(tmp_path / "site")
    finally:
        document.unlink()
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr


# What raises each sentence that troubleshooting quotes.
QUOTED = {
    "153600 bytes: format=RGB565, RGB565_BE, YUYV or UYVY?": "rnnpool.detect_faces(bytes(153600))",
    "format 1 is framebuf's: use rnnpool.RGB565": "rnnpool.detect_faces(bytes(153600), format=1)",
    "640x480 needs 307200, 614400 or 921600 bytes by format, has 153600": (
        "rnnpool.detect_faces(bytes(153600), width=640, height=480)"
    ),
    "pixels must be bytes or 16-bit words, not items 'f'": (
        "from array import array; rnnpool.detect_faces(array('f', [0.5]))"
    ),
    "rows: needs 240 rows, has 100": "m = rnnpool.Model('face'); m.begin(); m.feed(bytes(32000)); m.result()",
    "pixels must be bytes, not str": "rnnpool.detect_faces('abc')",
    "total_size: needs 77408 bytes, has 1000": "rnnpool.Model(open('models/face.rnnp', 'rb').read()[:1000])",
    "this is TFLite data, not an .rnnp model": "rnnpool.Model(b'TFL3' * 10)",
    "no model 'nothing' in this firmware, and no nothing.rnnp in /rom, /lib or /flash/lib": "rnnpool.Model('nothing')",
    "no file 'nothing.rnnp'": "rnnpool.Model('nothing.rnnp')",
    "needs 64200 bytes, arena has 1000": "rnnpool.Model('face', arena=bytearray(1000))",
}


@pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")
def test_troubleshooting_quotes_what_the_module_says(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "troubleshooting.md").read_text()
    script = "import rnnpool\n"
    for sentence, code in QUOTED.items():
        assert f"`{sentence}`" in document
        script += f"try:\n    {code}\n    print('nothing')\nexcept Exception as error:\n    print(error)\n"
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([MICROPYTHON, tmp_path / "script.py"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = [re.sub(r"^\[Errno \d+\] E[A-Z]+: ", "", line) for line in done.stdout.splitlines()]
    assert lines == list(QUOTED), done.stderr
