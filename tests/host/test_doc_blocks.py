"""Every shell and Python block of the documents is run here, or a reason is said; every command line that they name, in
blocks and in the text, is one that there is, with the options that it is given.

What takes hours is run for two steps. `pytest -s tests/host/test_doc_blocks.py -k count` says how many blocks that are.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import networks
import numpy as np
import pytest
from doc_blocks import (
    DOCUMENTS,
    Block,
    Wrong,
    blocks,
    call,
    check,
    commands,
    environment,
    mentions,
    source_of,
    words_of,
)
from load_tool import ROOT
from PIL import Image

from rnnpool_training import blob, generated

torch = pytest.importorskip("torch")

MICROPYTHON = ROOT / "build" / "unix" / "micropython"

# Commands that are not run, and why; their words are checked all the same.
NOT_RUN = {
    r"sudo |pip install|venv ": "installs; tests/host/test_dist.py does it with the wheel",
    r"(\S*/)?rnnpool (board|stream)|mpremote|st-flash|.*\bdeploy$": "needs a board; tests/qemu plays one",
    r"make -C|make .*MPY_DIR=|make BOARD=|qemu-system-arm|\S*python -m tools.stm32": "builds or boots a firmware",
    r"make ": "a target of make: minutes, and CI runs those that test something",
    r".*\.\./shared/|cp RUN|rnnpool export (CAL|FINE)|.*--unlabelled|.*part/labels|.*persons_more": "hours, our data",
    r".*--teacher|.*MODEL\.rnnp|rnnpool train --data FACES": "needs other people's networks",
    r".*\.tflite": "needs a TFLite model; tests/host/test_tflite.py converts some",
    r".*import-edgeml|.*--model face\.pt": "needs a checkpoint of the paper's code; test_import_edgeml.py makes some",
    r".*(WIDER|SCUT_HEAD|IN10|cifar|COCO|instances_)": "needs a data set; test_wider.py and others make small ones",
    r".*table7|.*mobilenet_v2|torchrun": "minutes; other tests run it smaller",
    r".*train_classifier|rnnpool export RUN/float": "minutes; test_training_classifier.py does it",
    r"rnnpool classify FOLDER": "the same as README's, which is run",
    r"RNNPOOL_IMAGES=|tests/qemu/run.py": "is a test itself",
}
# What is said to a command beside its own words, so that it takes seconds.
SHORTER = {
    r"\S*rnnpool train|rnnpool finetune": ["--steps", "2", "--batch", "4", "--threads", "1"],
    r"\S*rnnpool classify": ["--size", "64", "--steps", "4", "--threads", "1"],
}
# Python blocks that are for a board alone.
BOARD_ONLY = {
    ("docs/stm32.md", "import uctypes"): "needs a board: its memory",
    ("docs/stm32.md", "import pyb"): "needs a board: its flash",
}
# What a block takes for granted, by its beginning.
BEFORE = {
    ("docs/api.md", "import rnnpool"): "frame = open('frame.raw', 'rb').read()",
    ("docs/api.md", "rnnpool.detect_faces(small"): "small, large = bytes(19200), bytes(614400)",
    ("docs/api.md", "if rnnpool.person"): "frame, wake_up = bytes(3 * 224 * 224), print",
    ("docs/api.md", "model = rnnpool.Model"): "frame = bytes(320 * 240)",
    ("docs/api.md", "from array"): "model = rnnpool.Model('face')",
    ("docs/api.md", "chances ="): "model, frame = rnnpool.Model('person'), bytes(3 * 224 * 224)",
    ("docs/api.md", "model.begin"): "model, camera_rows, wait_for_more = rnnpool.Model('face'), bytes(8 * 320), id",
    ("docs/api.md", "conv, pool"): "used = []\nuse = used.append\ncamera_rows = lambda: [bytes(320)] * 240",
    ("docs/api.md", "head ="): "assert len(used) == 30",
    ("docs/api.md", "for kind"): "model = rnnpool.Model('face')",
    ("docs/own_network.md", "model ="): "import rnnpool\nframe = bytes(320 * 240 * 2)",
    ("README.md", ">>> import"): "frame = open('frame.raw', 'rb').read()",
    ("docs/hardware.md", ">>> import time"): "import rnnpool\nm = rnnpool.Model('face')",
}
MY_MODEL = """
import torch
from torch import nn
mean, std, example_input = 0.5, 0.5, torch.zeros(1, 3, 96, 96)
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.heads = nn.ModuleList([nn.Conv2d(8, 2 * 6, 1), nn.Conv2d(8, 6, 1)])
    def forward(self, x):
        x = self.stem(x)
        return self.heads[0](x), self.heads[1](self.deep(x))
"""
NET = "net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))\n"


def reason(command: str) -> str:
    """Why it is not run; empty: it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, command)), "")


def reason_of(block: Block) -> str:
    """Why nothing of a block is run; empty: some is."""
    if block.kind == "shell":
        reasons = [reason(command) for command in commands(block.text)]
        return reasons[0] if all(reasons) else ""
    return of(block, BOARD_ONLY)


def of(block: Block, table: dict[tuple[str, str], str]) -> str:
    """What a table has for a block."""
    return next((v for (d, begins), v in table.items() if d == block.document and block.text.startswith(begins)), "")


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: pictures, a network, a raw frame."""
    folder = tmp_path_factory.mktemp("things")
    for name in ("my_images", "TRAIN", "VAL", "IMAGES", "faces/val"):
        generated.write_folder(folder / name, 6, seed=len(name))
    rng = np.random.default_rng(1)
    for parent in ("my_pictures", "FOLDER"):
        for name, colour in (("empty", (40, 60, 200)), ("stocked", (200, 60, 40))):
            (folder / parent / name).mkdir(parents=True)
            for i in range(8):
                noise = rng.integers(-40, 40, (48, 64, 3)) + np.array(colour)
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / parent / name / f"{i}.png")
    generated.picture(np.random.default_rng(3), 320, 240)[0].convert("RGB").save(folder / "photo.jpg")
    (folder / "my_model.py").write_text(MY_MODEL + NET)
    (folder / "my_detector.py").write_text(MY_MODEL + "net = Heads()\n")
    for name in ("OLD.pt", "NEW.pt"):
        (folder / name).symlink_to(ROOT / "models" / "face.pt")
    shelf = networks.Builder(rng, 160, 160, 3)  # whose frame has as many bytes as 320x240 in gray
    shelf.conv(0, 4, 3, 2)
    blob.save(shelf.classifier("shelf", 2), folder / "shelf.rnnp")
    parts = networks.Builder(rng, 240, 320, 1)
    parts.conv(0, 2, 3, 2)
    blob.save(parts.map("parts"), folder / "parts.rnnp")
    command = [sys.executable, "-m", "tools.frames", "-o", str(folder / "frame.raw")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path, things: Path) -> Path:
    """A checkout as it looks to the commands: what they write stays here."""
    for source in [*ROOT.iterdir(), *things.iterdir()]:
        if source.name not in ("build", "models", ".git"):
            (tmp_path / source.name).symlink_to(source)
    (tmp_path / "models").mkdir()
    for model in (ROOT / "models").iterdir():
        (tmp_path / "models" / model.name).symlink_to(model)
    for place in ("build/venv/bin", "rnnpool/bin"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "build" / "unix").symlink_to(ROOT / "build" / "unix")
    return tmp_path


def run(command: str, folder: Path) -> None:
    """As it stands, or shortened; our own programs in this process."""
    words = words_of(command)
    more = next((more for pattern, more in SHORTER.items() if re.match(pattern, command)), [])
    if more and "--minutes" in words:
        del words[words.index("--minutes") : words.index("--minutes") + 2]
    if Path(words[0]).name == "rnnpool" or source_of(words):
        call([*words, *more])
        return
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True, text=True)
    if done.returncode:
        raise Wrong(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}")


def shell_blocks() -> list[Block]:
    return [b for d in DOCUMENTS for b in blocks(d) if b.kind == "shell"]


WITH_SHELL = {b.document for b in shell_blocks() if not reason_of(b)}


@pytest.mark.parametrize("document", sorted(WITH_SHELL))
def test_shell_blocks_run(document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if document in ("README.md", "docs/cameras.md") and not MICROPYTHON.exists():
        pytest.skip(f"no {MICROPYTHON}: make unix")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    for block in blocks(document):
        for command in commands(block.text) if block.kind == "shell" else []:
            if not reason(command):
                run(command, folder)
    # What runs goes on with what was made.
    made = {"docs/training.md": "RUN/float/losses.png", "docs/api.md": "layers", "README.md": "net.rnnp"}
    assert (folder / made.get(document, ".")).exists()
    run_python(document, folder)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_command_lines_are_there(document: str) -> None:
    for command in (c for b in blocks(document) if b.kind == "shell" for c in commands(b.text)):
        check(command)
    for command in mentions(document):
        check(command, complete=False)


WITH_PYTHON = {b.document for d in DOCUMENTS for b in blocks(d) if b.kind in ("python", "session")}


@pytest.mark.parametrize("document", sorted(WITH_PYTHON - WITH_SHELL))
def test_python_blocks_run(document: str, folder: Path) -> None:
    run_python(document, folder)


def run_python(document: str, folder: Path) -> None:
    """The Python of a document: a board's in MicroPython, one block after the other, the desktop's in this Python."""
    board = []
    for block in blocks(document):
        if block.kind not in ("python", "session") or reason_of(block):
            continue
        before = of(block, BEFORE)
        if re.search(r"numpy|PIL|rnnpool_training|variances", block.text):
            subprocess.run([sys.executable, "-c", block.text], cwd=folder, check=True)
        elif block.kind == "session":
            board += [before, f"# line {block.line}", session(block.text)]
        else:
            board += [before, f"# line {block.line}", values_hold(block.text.replace("/rom/", ""))]
    if not board:
        return
    if not MICROPYTHON.exists():
        pytest.skip(f"no {MICROPYTHON}: make unix")
    (folder / "blocks.py").write_text("\n".join(board))
    done = subprocess.run([MICROPYTHON, "blocks.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{document}: {done.stderr}\n{(folder / 'blocks.py').read_text()}"


def values_hold(text: str) -> str:
    """With what a line's comment gives as its value asserted."""
    return re.sub(r"^(rnnpool\.required_ram\(.*\))\s+# (\d+)\b.*$", r"assert \1 == \2, \1", text, flags=re.MULTILINE)


SESSION = """
def same(found, wanted):
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    if isinstance(wanted, (int, float)):  # of boxes: another model's are near
        return abs(found - wanted) <= (0.1 if isinstance(wanted, float) else 8)
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(same(f, w) for f, w in zip(found, wanted))
    return found == wanted
"""


def session(text: str) -> str:
    """A session at the prompt as a script that asserts what it shows; numbers that differ (#) are not compared."""
    lines, script = text.splitlines(), [SESSION]
    at = 0
    while at < len(lines):
        code = lines[at].removeprefix(">>> ")
        end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith(">>> ")), len(lines))
        shown = "\n".join(lines[at + 1 : end]).strip()
        at = end
        *first, last = ast.parse(code).body
        script += [ast.unparse(s) for s in first]
        if shown.startswith("Traceback"):
            kind, _, sentence = shown.splitlines()[-1].partition(": ")
            script.append(f"try:\n    {ast.unparse(last)}\n    raise SystemExit('no error')")
            script.append(f"except {kind} as error:\n    assert str(error) == {sentence!r}, error")
        elif shown and "#" not in shown:
            script.append(f"found = {ast.unparse(last)}\nassert same(found, {shown}), found")
        else:
            script.append(ast.unparse(last))
    return "\n".join(script)


def test_a_wrong_word_is_found() -> None:
    """The checks above can fail."""
    for command in (
        "rnnpool detekt photo.jpg",
        "rnnpool detect photo.jpg --treshold 0.5",
        "rnnpool train --data x --steps two --out y",
        "make no-such-target",
        "make web MODELZ=face",
        "python -m rnnpool_training.nothing",
        "tools/nothing.py",
    ):
        with pytest.raises(Wrong):
            check(command)
    with pytest.raises(Wrong):
        check("rnnpool train --data x")  # --out is missing
    check("rnnpool train --data x", complete=False)


def test_every_reason_is_one_of_something() -> None:
    every = [c for b in shell_blocks() for c in commands(b.text)]
    used = Counter(next((p for p in NOT_RUN if re.match(p, c)), "") for c in every)
    assert {p for p in NOT_RUN if not used[p]} == set()
    texts = [(b.document, b.text) for d in DOCUMENTS for b in blocks(d)]
    for document, begins in [*BEFORE, *BOARD_ONLY]:
        assert any(d == document and text.startswith(begins) for d, text in texts), (document, begins)


def test_count() -> None:
    every = [b for d in DOCUMENTS for b in blocks(d)]
    code = [b for b in every if b.kind != "text"]
    reasons = Counter(reason_of(b) for b in code)
    mentioned = sum(len(mentions(d)) for d in DOCUMENTS)
    lines = sum(len(commands(b.text)) for b in shell_blocks())
    print(f"\n{len(code)} blocks of shell and Python in {len(DOCUMENTS)} documents: {reasons.pop('')} run. Not run:")
    for why, count in reasons.most_common():
        print(f"  {count:3} {why}")
    print(f"{lines} command lines in blocks and {mentioned} in the text exist, with their options.")
    assert len(code) - reasons.total() >= 30
