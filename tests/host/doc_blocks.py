"""The code in the documents: its blocks, and command lines in the text, as test_doc_blocks.py runs and checks them."""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from load_tool import ROOT

from rnnpool_training import cli

# What people read and paste from. The changelog tells of the past.
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "mp_module" / "README.md"),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "models").glob("*.md")),
        *sorted((ROOT / "ports").glob("*/README.md")),
        *sorted((ROOT / "tests").glob("*/README.md")),
    )
]
PROGRAMS = (
    *("make", "rnnpool", "python", "python3", "pip", "torchrun", "pytest", "mpremote", "cc", "sudo", "cp", "awk"),
    *("st-flash", "qemu-system-arm"),
)
OWN = r"micropython|tools/\S+|tests/\S+"
COMMAND = re.compile(  # with variables before it, and the place where it lies
    rf"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:(?:~/rnnpool|build/\S+?)/(?:bin/)?)?(?:{'|'.join(PROGRAMS)}|{OWN}) "
)
FORMULAS = ("docs/arithmetic.md",)  # whose blocks look like Python, and are none
MENTION = re.compile(
    r"(?:build/venv(?:-demo)?/bin/)?(?:make|rnnpool|python3? -m|tools/\S+\.(?:py|sh)) (?!needs |can't )\S"
)


@dataclass(frozen=True)
class Block:
    """Indented or fenced lines. kind: shell, python, session (a prompt) or text (formulas, what programs say)."""

    document: str
    line: int
    text: str
    kind: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def kind_of(text: str, language: str = "") -> str:
    """By what it begins with; indented blocks have no language."""
    if language:
        return {"sh": "shell", "py": "python"}.get(language, language)
    lines = text.splitlines()
    if COMMAND.match(lines[0]):
        return "shell"
    if lines[0].startswith(">>> "):
        return "session"
    try:
        return "python" if ast.parse(text).body else "text"
    except SyntaxError:
        return "text"


def blocks(document: str) -> list[Block]:
    """Of a document, in their order: indented by four or more after an empty line, or fenced."""
    lines = (ROOT / document).read_text().split("\n")
    found, at = [], 0
    while at < len(lines):
        begin, language = at, ""
        if fence := re.match(r"(\s*)```(\w*)$", lines[at]):
            language = fence[2]
            at = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```") + 1
            body = lines[begin + 1 : at - 1]
        elif lines[at].startswith("    ") and lines[at].strip() and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            body = lines[begin:at]
        else:
            at += 1
            continue
        indent = min(len(line) - len(line.lstrip()) for line in body if line.strip())
        text = "\n".join(line[indent:] for line in body).rstrip()
        found.append(Block(document, begin + 1, text, "text" if document in FORMULAS else kind_of(text, language)))
    return found


def commands(text: str) -> list[str]:
    """Of a shell block: its commands, without comments and without the signs that something may be left out."""
    joined = re.sub(r"\\\n\s*", "", text)
    if text.startswith("$ "):  # what it says follows
        joined = "\n".join(line for line in joined.splitlines() if line.startswith("$ "))
    lines = [re.sub(r"\s+#( .*|$)", "", line).removeprefix("$ ") for line in joined.splitlines()]
    return [c.strip() for line in lines for c in re.split(r" && ", line) if c.strip()]


def mentions(document: str) -> list[str]:
    """Command lines in the text of a document, between backticks."""
    text = (ROOT / document).read_text()
    for block in blocks(document):
        text = text.replace(block.text, "")
    return [c for found in re.findall(r"`([^`\n]+)`", text) if MENTION.match(found) for c in commands(found)]


# ---- Whether a command line is one that there is


class Parsed(BaseException):
    """The arguments are accepted: no more was wanted."""


class Wrong(Exception):
    """What is wrong with a command line."""


def words_of(command: str) -> list[str]:
    """Without brackets around what is optional, dots for more of the same, variables before it."""
    words = [w for w in shlex.split(re.sub(r" \[([^\]]+)\]", r" \1", command)) if w not in ("...", "…")]
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


@contextlib.contextmanager
def stopping_behind_the_parser() -> Iterator[None]:
    """Within it a program ends with Parsed when its arguments are accepted."""
    real = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *arguments: object, **named: object) -> object:
        real(parser, *arguments, **named)  # type: ignore[arg-type]
        raise Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args):
        yield


def call(words: list[str]) -> None:
    """Runs a program of ours in this process, so that PyTorch is imported once. Wrong: it says so, or fails."""
    said = io.StringIO()
    name = Path(words[0]).name
    status: object = 0
    places = mock.patch.object(sys, "path", [str(ROOT), *sys.path])
    with (
        places,
        mock.patch.object(sys, "argv", list(words)),
        contextlib.redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "'.*' found in sys.modules", RuntimeWarning)  # imported by a test before
        try:
            if name == "rnnpool":
                status = cli.main(words[1:])
            elif name.startswith("python") and words[1] == "-m":
                sys.argv = words[2:]
                runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            else:
                sys.argv = words[1:] if name.startswith("python") else words
                runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            status = end.code
    if status:
        raise Wrong(f"{shlex.join(words)}: status {status}: {said.getvalue().strip()[-500:]}")


@cache
def make_database(board: str) -> str:
    """All rules and variables of our Makefile, as make reads it for a kind of board."""
    variables = [f"BOARD={board}"] if board else []
    done = subprocess.run(["make", "-pq", *variables, "help"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


def check_make(words: list[str]) -> None:
    """Targets are those of the Makefile; variables are those that it names."""
    variables = dict(w.split("=", 1) for w in words if "=" in w)
    targets = [w for w in words if "=" not in w and not w.startswith("-")]
    board = variables.get("BOARD", "").strip(".…")
    known = make_database(board if board.startswith(("RPI_", "ESP32_")) else "")
    for target in targets:
        if not re.search(rf"^{re.escape(target)}:", known, re.MULTILINE):
            raise Wrong(f"make has no target {target}")
    for variable in variables:
        if not re.search(rf"\$\((?:value )?{variable}\)|^{variable} [:?]?=|,{variable}\b", known, re.MULTILINE):
            raise Wrong(f"no Makefile of ours looks at {variable}")


def check(command: str, complete: bool = True) -> None:
    """Wrong if a command line is of ours and there is no such program, target, word or option.

    complete: what is required has to be there, too; a mention in the text may leave it out.
    """
    words = words_of(command)
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m") :]]
    name = Path(words[0]).name
    if name == "make":
        if "-C" not in words:  # MicroPython's own
            check_make(words[1:])
        return
    if name == "rnnpool":
        if words[1].startswith("-"):
            return
        if words[1] not in cli.COMMANDS:
            raise Wrong(f"rnnpool has no command {words[1]}")
        if target := cli.COMMANDS[words[1]].target:
            check_make([target, *(w for w in words[2:] if "=" in w)])
            return
    else:
        source = source_of(words)
        if source is None:
            return
        if not source.is_file():
            raise Wrong(f"there is no {source}")
        if "argparse" not in source.read_text():  # it takes none, or is for MicroPython: running it is the only check
            return
    try:
        with stopping_behind_the_parser():
            call(words)
    except Parsed:
        return
    except Wrong as wrong:
        if complete or "required" not in str(wrong):
            raise
        return
    raise Wrong(f"{command}: it does not look at its arguments")


def source_of(words: list[str]) -> Path | None:
    """The Python file that a command runs, if it is of the repository. None: another program, or a module of others."""
    script = words[0]
    if Path(script).name.startswith("python"):
        script = words[1]
        if script == "-m":
            relative = Path(*words[2].split("."))
            if relative.parts[0] not in ("tools", "rnnpool_training"):
                return None
            folder = ROOT if relative.parts[0] == "tools" else ROOT / "training"
            package = folder / relative / "__main__.py"
            return package if package.exists() else (folder / relative).with_suffix(".py")
    return ROOT / script if script.endswith(".py") else None


def environment(folder: Path) -> dict[str, str]:
    """For commands in the folder of made_folder()."""
    path = os.pathsep.join([str(folder / "build" / "venv" / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HOME": str(folder)}
