#!/usr/bin/env python3
"""Measures the page in a headless Chromium: web/measure.py build/web/index.html [--frames 40].

Prints its bytes, and milliseconds a frame (least and median) of each model with SIMD and without. Needs chromium
(Debian) and playwright (build/venv). The least is what an idle computer would take, nearly.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

# The browser refuses the first build that it is given, which is the one with SIMD.
PLAIN = """const real = WebAssembly.compile; let first = true;
WebAssembly.compile = (bytes) => first ? ((first = false), Promise.reject(new Error())) : real(bytes);"""
LISTEN = """window.times = [];
document.addEventListener("rnnpool-result", ({ detail }) => window.times.push(detail.milliseconds));"""


def measure(page_file: Path, script: str, frames: int) -> dict[str, list[float]]:
    """Milliseconds of each frame, by model."""
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_init_script(LISTEN + script)
        page.goto(page_file.resolve().as_uri())
        expect(page.locator("#golden")).to_contain_text("right", timeout=120_000)
        page.click("#drawing")
        for name in page.locator("#model option").all_inner_texts():
            page.select_option("#model", name)
            expect(page.locator("#about")).to_contain_text(name, timeout=120_000)
            page.wait_for_timeout(500)
            page.evaluate("window.times = []")
            for count in range(1, frames + 1):
                page.locator("#slow").dispatch_event("change")  # the same frame again
                page.wait_for_function("(count) => window.times.length >= count", arg=count, timeout=120_000)
            found[name] = page.evaluate("window.times")
        browser.close()
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="of make web")
    parser.add_argument("--frames", type=int, default=40, help="of each model and build (default: %(default)s)")
    options = parser.parse_args()
    print(f"{options.page}: {options.page.stat().st_size:,} bytes")
    for title, script in (("SIMD", ""), ("plain", PLAIN)):
        for name, times in measure(options.page, script, options.frames).items():
            print(f"{title:6} {name:8} least {min(times):6.1f} ms, median {statistics.median(times):6.1f} ms")


if __name__ == "__main__":
    main()
