"""tools/get_micropython.py --git: a clone of upstream's tag, its commit checked, made once or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from load_tool import load_tool

tool = load_tool("get_micropython")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@test"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with upstream's tag, in upstream's place."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("one")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", f"v{tool.VERSION}")
    monkeypatch.setattr(tool, "GIT_URL", f"file://{folder}")
    monkeypatch.setattr(tool, "GIT_COMMIT", git(folder, "rev-parse", "HEAD"))
    return folder


def test_clone(upstream: Path, tmp_path: Path) -> None:
    to = tmp_path / "build" / "micropython-git"
    assert tool.clone(to) == to
    assert (to / "file").read_text() == "one"
    assert git(to, "describe", "--tags") == f"v{tool.VERSION}"
    (to / "file").write_text("two")
    assert tool.clone(to) == to
    assert (to / "file").read_text() == "two"  # a clone that is there is left alone
    assert [path.name for path in to.parent.iterdir()] == [to.name]


def test_another_commit_is_refused(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "GIT_COMMIT", "0" * 40)
    with pytest.raises(tool.SourceError, match=r"v1\.25\.0 is commit [0-9a-f]{40}, 0{40} expected"):
        tool.clone(tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_no_upstream(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "GIT_URL", f"file://{tmp_path}/nothing")
    with pytest.raises(tool.SourceError, match=r"clone it with its submodules .* say MPY_DIR=<that folder>"):
        tool.clone(tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_a_folder_that_is_no_clone_is_left_alone(upstream: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(tool.SourceError, match="exists and is no git clone"):
        tool.clone(tmp_path / "mine")
