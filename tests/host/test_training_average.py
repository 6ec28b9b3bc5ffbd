"""The mean of checkpoints: of weights as they are, of statistics as the pictures have them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnpool_training import average  # noqa: E402
from rnnpool_training.classifier import Classifier, configure, load_classifier, save_classifier  # noqa: E402
from rnnpool_training.compile.cells import cell  # noqa: E402
from rnnpool_training.compile.graph import Cell  # noqa: E402
from rnnpool_training.data import load  # noqa: E402
from rnnpool_training.deploy import normalized, shown  # noqa: E402
from rnnpool_training.detector import load_float, save_float  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.network import NETWORKS, Detector  # noqa: E402

CONFIG = replace(NETWORKS["face-m4"], height=96, width=128)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_folder(tmp_path / "data", 4, seed=3)
    lines = [json.loads(line) for line in (tmp_path / "data/labels.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps({**line, "label": i % 2}) for i, line in enumerate(lines))
    (tmp_path / "data/labels.jsonl").write_text(text)
    return tmp_path / "data"


def detectors(folder: Path) -> list[Path]:
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        paths.append(folder / f"{seed}.pt")
        save_float(paths[-1], replace(CONFIG, name=str(seed)), Detector(CONFIG).state_dict())
    return paths


def test_weights_are_the_mean_and_statistics_are_measured(data: Path, tmp_path: Path) -> None:
    paths = detectors(tmp_path)
    command = [*map(str, paths), "--shares", "1,3", "--data", str(data)]
    for name in ("a.pt", "b.pt"):
        average.main([*command, "-o", str(tmp_path / name)])
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    one, two, model = (load_float(p) for p in (*paths, tmp_path / "a.pt"))
    for (name, a), b, c in zip(one.named_parameters(), two.parameters(), model.parameters(), strict=True):
        assert torch.allclose(c, 0.25 * a + 0.75 * b, atol=1e-6), name
    seen = []
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    for x in normalized(shown(load(data), (96, 128), 4, 1)):
        with torch.no_grad():
            model(x)
    assert torch.allclose(torch.cat(seen).mean(dim=(0, 2, 3)), norm.running_mean, atol=1e-3)


def test_recurrent_rows_that_are_just_too_large_are_bounded() -> None:
    model = Detector(CONFIG)
    u = model.pool.rnn2.U
    with torch.no_grad():
        u.zero_()
        u[:, 3], u[0, 5] = 4.2 / len(u), 1.5
    average.bound(model)
    assert float(u[:, 3].sum()) == pytest.approx(average.LARGEST) and float(u[0, 5].detach()) == 1.5
    weights = cell(Cell(*model.pool.rnn2.weights()), 2, False, 2.0**-15, 32768)
    assert weights["shift_u2"] == 16  # with 4.2 it was 15
    with torch.no_grad():
        u[:, 3] = 6 / len(u)  # too much to be cut
    average.bound(model)
    assert float(u[:, 3].sum()) == pytest.approx(6)


def test_classifiers(data: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "1.pt", tmp_path / "2.pt"]
    for path in paths:
        save_classifier(path, Classifier(configure(64)))
    average.main([*map(str, paths), "--data", str(data), "-o", str(tmp_path / "mean.pt")])
    weights = [load_classifier(p).dense.weight.detach().numpy() for p in (*paths, tmp_path / "mean.pt")]
    assert np.allclose(weights[2], (weights[0] + weights[1]) / 2, atol=1e-6)


def test_mistakes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = detectors(tmp_path)
    other = replace(CONFIG, stem=8)
    save_float(tmp_path / "other.pt", other, Detector(other).state_dict())
    with pytest.raises(InputError, match=r"other.pt is of another network than .*1.pt"):
        average.mean([paths[0], tmp_path / "other.pt"], [1, 1])
    command = [*map(str, paths), "--data", str(data), "-o", str(tmp_path / "mean.pt")]
    for shares, words in (("1", "--shares has 1 numbers for 2 checkpoints"), ("1,-1", "must be positive numbers"),
                          ("1,x", "must be positive numbers"), ("1,nan", "must be positive numbers")):  # fmt: skip
        with pytest.raises(SystemExit):
            average.main([*command, "--shares", shares])
        assert words in capsys.readouterr().err
    assert not (tmp_path / "mean.pt").exists()
