#!/usr/bin/env python3
"""Builds the page: the engine as WebAssembly, the models and the scripts in one HTML file that needs nothing else.

    web/build.py build/web/index.html --models face person

Needs clang with its linker for WebAssembly (Debian: clang, lld), and nothing beyond Python's own library.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import re
import string
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "mp_module" / "engine"
WEB = Path(__file__).resolve().parent
SCRIPTS = (
    "engine.js",
    "sources.js",
    "timing.js",
    "script.js",
    "arena.js",
    "board.js",
    "board_tab.js",
    "show.js",
    "pack.js",
    "page.js",
)  # in this order

FLAGS = (
    *("--target=wasm32", "-std=c99", "-ffreestanding", "-nostdlib", "-fvisibility=hidden", "-flto"),
    *("-Wall", "-Wextra", "-Werror", f"-I{WEB / 'engine'}", f"-I{ENGINE.parent}"),
    *("-Wl,--lto-O3", "-Wl,--no-entry", "-Wl,--export=__heap_base", "-Wl,-z,stack-size=32768", "-Wl,--strip-all"),
)
# The plain one is for browsers that are rare: small rather than fast.
BUILDS = {"plain": ("-Os",), "simd": ("-O2", "-msimd128", "-mbulk-memory")}


BOARD_SCRIPT = "serial_frames.py"  # what the page sends to a board


class BuildError(Exception):
    """Something is missing, or the compiler's words."""


def compile_engine(flags: Sequence[str]) -> bytes:
    """The engine as a WebAssembly module without imports."""
    sources = sorted([*(WEB / "engine").glob("*.c"), *ENGINE.rglob("*.c")])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "engine.wasm"
        command = ["clang", *FLAGS, *flags, "-o", str(out), *map(str, sources)]
        try:
            result = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            raise BuildError(f"no clang, which compiles for WebAssembly: {error.strerror}") from None
        if result.returncode != 0:
            raise BuildError(f"clang failed:\n{result.stderr}")
        return out.read_bytes()


def enumeration(name: str) -> dict[str, int]:
    """Numbers of one of rnnp.h's enumerations, without RNNP_."""
    body = re.search(r"typedef enum \{([^}]*)\} " + name, (ENGINE / "rnnp.h").read_text())
    assert body, name
    return {key: int(value) for key, value in re.findall(r"RNNP_(\w+) = (\d+)", body[1])}


def is_ours(name: str, blob: bytes) -> bool:
    """Whether it is a model of models/, whose figures the benchmarks are."""
    path = ROOT / "models" / f"{name}.rnnp"
    return path.exists() and path.read_bytes() == blob


def constants(models: dict[str, bytes], packed: dict[str, bytes]) -> str:
    """What the scripts know of the engine, the benchmarks and the pack."""
    benchmarks = json.loads((ROOT / "docs" / "benchmarks.json").read_text())["models"]
    kept = {
        name: {
            "cycles": benchmarks[name]["cycles"],
            "frames": benchmarks[name]["frames"],
            "operators": [{k: o[k] for k in ("kind", "macs", "cycles")} for o in benchmarks[name]["operators"]],
        }
        for name, blob in models.items()
        if name in benchmarks and is_ours(name, blob)
    }
    values = {
        "FORMATS": enumeration("rnnp_format_t"),
        "KINDS": {number: name.lower() for name, number in enumeration("rnnp_kind_t").items()},
        "BENCHMARKS": kept,
        "MODELS": list(models),
        "BASE85": (string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"),
        "PACKED": [[name, len(data)] for name, data in packed.items()],
    }
    return "".join(f"const {name} = {json.dumps(value, separators=(',', ':'))};\n" for name, value in values.items())


def shorter(script: str) -> str:
    """Without lines that are comments, and without indentation (no text of several lines has any)."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if not line.startswith("//"))


def page(models: dict[str, bytes]) -> str:
    """The whole page."""
    packed = {name: compile_engine(flags) for name, flags in BUILDS.items()} | models
    packed[BOARD_SCRIPT] = (ROOT / "examples" / BOARD_SCRIPT).read_bytes()
    pack = base64.b85encode(gzip.compress(b"".join(packed.values()), 9, mtime=0)).decode()
    assert "<!--" not in pack  # the digits have no /, so that is all that a script of HTML could stumble over
    parts = [constants(models, packed), *(shorter((WEB / "page" / name).read_text()) for name in SCRIPTS)]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src blob: data:; media-src blob: data:; form-action 'none'; base-uri 'none'"
    )
    text = (WEB / "page" / "page.html").read_text()
    for name, value in {
        "policy": policy,
        "style": (WEB / "page" / "page.css").read_text(),
        "pack": pack,
        "script": script,
    }.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the HTML file to write")
    parser.add_argument("--models", nargs="+", default=["face", "person"], help="names of models/*.rnnp, or paths")
    options = parser.parse_args(arguments)
    try:
        paths = [Path(m) if m.endswith(".rnnp") else ROOT / "models" / f"{m}.rnnp" for m in options.models]
        text = page({path.stem: path.read_bytes() for path in paths})
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    except (OSError, BuildError) as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(text.encode()):,} bytes, open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
