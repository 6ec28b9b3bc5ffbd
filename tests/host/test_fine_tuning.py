"""Fine-tuning of any classifier through the rounding from the labels of its pictures: what it learns, and refusals."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from own_networks import PLAIN, pictures  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from rnnpool_training import export as command  # noqa: E402
from rnnpool_training.compile.network import Exported, Network, export  # noqa: E402
from rnnpool_training.engine import Engine  # noqa: E402
from rnnpool_training.gather import gather  # noqa: E402

SHAPE = (16, 20, 3)
SIDES = ["left", "right"]


def shown(count: int, seed: int) -> tuple[Any, list[str]]:
    """Pictures that are brighter on one side, most of them only a little, and which."""
    pixels, random = pictures(count, *SHAPE, seed=seed).astype(int), np.random.default_rng(seed)
    answers = [SIDES[i % 2] for i in range(count)]
    for picture, answer in zip(pixels, answers, strict=True):
        side = slice(0, 10) if answer == "left" else slice(10, 20)
        picture[:, side] += random.integers(10, 60)
    return np.clip(pixels, 0, 255).astype(np.uint8), answers


def network() -> nn.Module:
    """Half trained, and inclined to the left: it sees most of the sides."""
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(32, 2)
    )
    pixels, answers = shown(64, 3)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    truth = torch.tensor([SIDES.index(answer) for answer in answers])
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(8):
        loss = nn.functional.cross_entropy(net(x), truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        net[-1].bias += torch.tensor([0.2, -0.2])
    return net.eval()


def tuned(steps: int, labels: bool) -> Exported:
    chosen, truth = shown(128, 1)
    held, answers = shown(64, 2)
    found = Network(network(), SHAPE, PLAIN, "mine", SIDES)
    return export(found, chosen, held, (), answers, steps=steps, truth=truth if labels else None)


def test_labels_teach_more_than_the_network_knows() -> None:
    """It leans to the left less than in floating point, which it would not without them."""
    found = tuned(200, True)
    (note,) = [note for note in found.notes if "fine-tuned" in note]
    numbers = re.match(
        r"fine-tuned in 200 steps from labels: on 32 pictures that it did not learn from (\d+) right, (\d+) before; "
        r"cross entropy ([\d.e-]+), ([\d.e-]+) before$", note,
    )  # fmt: skip
    assert numbers is not None, note
    after, before = (float(n) for n in numbers.groups()[2:])
    assert int(numbers[1]) >= int(numbers[2]) and after < 0.98 * before, note
    said = dict(found.check.said)["right"]
    mine, floats = (int(n) for n in re.match(r"(\d+) of 64; in floating point (\d+)$", said).groups())  # type: ignore[union-attr]
    assert mine >= floats, said
    assert Engine(found.data).golden_check()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in a folder a side, a network in mine.py, and labels.jsonl of the same pictures elsewhere."""
    path = tmp_path_factory.mktemp("sides")
    lines = []
    for i, (picture, answer) in enumerate(zip(*shown(24, 4), strict=True)):
        (path / "data" / answer).mkdir(parents=True, exist_ok=True)
        (path / "listed").mkdir(exist_ok=True)
        for file in (path / "data" / answer / f"{i}.png", path / "listed" / f"{i}.png"):
            Image.fromarray(picture).save(file)
        lines.append(json.dumps({"file": f"{i}.png", "boxes": [], "label": SIDES.index(answer)}))
    (path / "listed" / "labels.jsonl").write_text("\n".join(lines))
    (path / "mine.py").write_text(
        "from own_networks import Net, lively\nfrom test_fine_tuning import SHAPE, network as net\nmean = std = 0.5\n"
        "def heat():\n    return net()[:2]\ndef four():\n    return lively(Net(), SHAPE)\n"
    )
    return path


def line(folder: Path, name: str = "net", data: str = "data") -> list[str]:
    return [
        f"{folder / 'mine.py'}:{name}",
        "--data",
        str(folder / data),
        "--size",
        "16x20",
        "-o",
        str(folder / "n.rnnp"),
    ]


@pytest.mark.parametrize(("data", "options"), [("data", []), ("listed", ["--labels", "left,right"])])
def test_the_command(folder: Path, data: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command.main([*line(folder, data=data), "--finetune", "2", "--from-labels", *options])
    said = capsys.readouterr().out
    assert "to 2 labels (left, right)" in said and re.search(r"fine-tuned in 2 steps from labels: on 3 pictures", said)
    assert re.search(r"right +\d+ of 12; in floating point \d+", said)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net", ["--from-labels"], "--from-labels is of fine-tuning: give --finetune STEPS, too"),
        ("net", ["--labels", "up,down"],
         r"12 of 12 pictures are of no label of the network \(up, down\); the first is in '(left|right)'"),
        ("four", [], r"12 of 12 pictures are of no label of the network \(class 0, class 1, class 2, class 3\)"),
        ("heat", [], "--from-labels is for classifiers"),
        ("net", ["--data", "one"], r"\d of \d+ pictures are of no label .* in no folder"),
        ("net", ["--data", "one", "two", "--labels", "left,right"], r"all \d+ pictures are of the label 'left'"),
    ],
)  # fmt: skip
def test_mistakes_get_a_sentence(
    name: str, options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("one", "two"):
        shutil.copytree(
            folder / "data" / "left", tmp_path / part / ("left" if len(options) > 2 else "."), dirs_exist_ok=True
        )
    options = [str(tmp_path / o) if o in ("one", "two") else o for o in options]
    steps = [] if options == ["--from-labels"] else ["--finetune", "2", "--from-labels"]
    with pytest.raises(SystemExit) as caught:
        command.main([*line(folder, name), *steps, *options])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and re.search(message, said), said


def test_what_pictures_show(folder: Path) -> None:
    """The folder's name, or the number in labels.jsonl."""
    assert set(gather([folder / "data"], SHAPE, 24).answers) == set(SIDES)
    both = gather([folder / "data", folder / "listed"], SHAPE, 48)
    assert sorted(map(str, both.answers)) == sorted([*SIDES, "0", "1"] * 12)
