#!/usr/bin/env python3
"""Takes the picture of the page that the README shows: web/picture.py build/web/index.html docs/page.png.

Needs chromium (Debian) and playwright (build/venv). What is on it is drawn by the page itself.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

SIZE = (1200, 830)
COLOURS = 96


def take(page_file: Path, out: Path) -> None:
    """Writes the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.goto(page_file.resolve().as_uri())
        expect(page.locator("#golden")).to_contain_text("right", timeout=60_000)
        page.click("#drawing")
        expect(page.locator("#answer")).to_contain_text("3 found", timeout=60_000)
        for _ in range(8):  # until the time is that of compiled code
            page.locator("#threshold").evaluate("(e) => e.dispatchEvent(new Event('input'))")
            page.wait_for_timeout(500)
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: web/picture.py build/web/index.html docs/page.png")
    take(Path(sys.argv[1]), Path(sys.argv[2]))
