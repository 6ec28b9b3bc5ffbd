"""The documents as a site: python -m tools.docs_site build/site [--page build/web/index.html].

Lays out what git has of documents, and the files that they link to, as they lie in the repository, so that links hold
in both places; then mkdocs builds it (mkdocs.yml). A link to a file or a heading that is not there is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rnnpool_training import interrupts
from rnnpool_training.errors import sentence

ROOT = Path(__file__).resolve().parents[1]
TYPINGS = """# Every function of the module

The file `typings/rnnpool.pyi`, which editors read and a test holds against the module.
"""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


class DocsError(Exception):
    """A sentence about what is wrong with a document."""


def documents() -> list[Path]:
    """All Markdown files of the repository, relative to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True
    )
    found = [Path(line) for line in listed.stdout.splitlines()]
    if listed.returncode or not found:  # no git: a source package
        found = [p.relative_to(ROOT) for p in ROOT.rglob("*.md") if p.relative_to(ROOT).parts[0] != "build"]
    return sorted(found)


def without_folder_links(document: Path, text: str, linked: set[Path]) -> str:
    """The text with links to folders, which a site does not have, as plain text. Notes the files that it links to.

    DocsError for a link to nothing.
    """

    def one(match: re.Match[str]) -> str:
        target = match[3].partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = (ROOT / document.parent / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            raise DocsError(f"{document}: there is no {match[3]}")
        if path.is_dir():
            return match[2]
        if path.suffix != ".md":
            linked.add(path.relative_to(ROOT))
        return match[0]

    return LINK.sub(one, text)


def write_settings(path: Path) -> None:
    """mkdocs.yml, with documents that its navigation does not have under "More": so that none is lost."""
    settings = (ROOT / "mkdocs.yml").read_text()
    more = [document for document in documents() if f"{document.as_posix()}\n" not in settings]
    if more:
        print(f"docs: not in mkdocs.yml, so under More: {', '.join(map(str, more))}")
        settings += "  - More:\n" + "".join(f"      - {document.as_posix()}\n" for document in more)
    path.write_text(settings)


def lay_out(folder: Path, page: Path | None) -> None:
    """Fills the folder that mkdocs reads. page: the page for browsers, if it is built."""
    shutil.rmtree(folder, ignore_errors=True)
    linked: set[Path] = set()
    for document in documents():
        text = without_folder_links(document, (ROOT / document).read_text(), linked)
        if page and document == Path("docs/browser.md"):
            text = text.replace("\n", "\n\n**[Open it](../live.html)**: it is part of this site.\n", 1)
        (folder / document).parent.mkdir(parents=True, exist_ok=True)
        (folder / document).write_text(text)
    for file in linked:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    if page:
        shutil.copyfile(page, folder / "live.html")
    stubs = (ROOT / "typings" / "rnnpool.pyi").read_text()
    (folder / "typings.md").write_text(f"{TYPINGS}\n```python\n{stubs}```\n")


@interrupts.said
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the site")
    parser.add_argument("--page", type=Path, help="the page of `make web`, to be part of it")
    options = parser.parse_args(arguments)
    try:
        settings = ROOT / "build" / "mkdocs.yml"
        lay_out(settings.parent / "site-src", options.page)
        write_settings(settings)
    except (DocsError, OSError) as error:
        print(f"docs: {sentence(error)}", file=sys.stderr)
        return 1
    # Not --quiet, with which it does not count the warnings that --strict is about.
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-f",
        str(settings),
        "--site-dir",
        str(options.out.resolve()),
    ]
    # The theme's notice of what comes after it is not for who reads documents.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(f"docs: mkdocs says\n{done.stdout}", file=sys.stderr)
        return 1
    print(f"{options.out / 'index.html'}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
