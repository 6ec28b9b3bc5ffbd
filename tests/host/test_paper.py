"""The paper's experiments: what they are made of, not what they give, which takes hours."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from rnnpool_training.paper import cifar10, table7
from rnnpool_training.paper.single_pool import SinglePool, WholePool, accuracy, train


@pytest.mark.parametrize(("cells", "hidden1"), [("smooth", 4), ("hard", 4), ("hard", 16)])
def test_whole_pool_is_rnnpool(cells: Any, hidden1: int) -> None:
    torch.manual_seed(3)
    pool = WholePool(3, hidden1, 8, 9, cells)
    with torch.no_grad():
        for cell in (pool.rnn1, pool.rnn2):
            cell.zeta.fill_(0.7)
            cell.nu.fill_(-0.4)
    x = torch.randn(2, 3, 9, 9, requires_grad=True)
    own, wanted = pool(x), pool.forward_by_patch(x)
    assert own.shape == (2, 32, 1, 1)
    torch.testing.assert_close(own, wanted)
    gradients = [torch.autograd.grad(y.square().sum(), [x, *pool.parameters()]) for y in (own, wanted)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)
    with pytest.raises(ValueError, match=r"expected \(N, C, 9, 9\), got"):
        pool(torch.zeros(1, 3, 9, 8))


@pytest.mark.parametrize("operator", ["rnnpool", "convolution", "max", "average"])
@pytest.mark.parametrize("stem", [True, False])
def test_operators_give_as_many_values(operator: str, stem: bool) -> None:
    net = SinglePool(operator, 3, 16, 4, 8, 10, stem)  # type: ignore[arg-type]
    assert net.dense.in_features == 32
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize(("data", "labels"), [(1, ()), (2, (9,)), (3, (5,))])
def test_pictures(data: int, labels: tuple[int, ...]) -> None:
    side = 64 if data == 3 else 32
    x, y = table7.pictures(data, side, 60, 4)
    again, _ = table7.pictures(data, side, 60, 4)
    other, _ = table7.pictures(data, side, 60, 5)
    assert x.shape == (60, 1, side, side) and y.shape == (60, *labels)
    assert torch.equal(x, again) and not torch.equal(x, other)
    if labels:
        assert set(y.sum(1).tolist()) == {1.0, 2.0, 3.0}
    else:
        assert set(y.tolist()) == set(range(9))


def test_a_line_lies_along_its_angle() -> None:
    # The direction of most variance of the bright pixels, x to the right and y up.
    x, y = table7.pictures(1, 32, 40, 2)
    for picture, angle in zip(x[:, 0].numpy(), y.tolist(), strict=True):
        smooth = sum(np.roll(picture, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1))
        rows, columns = np.nonzero(smooth > (smooth.max() + np.median(smooth)) / 2)
        if len(rows) < 12:
            continue
        values, vectors = np.linalg.eigh(np.cov(np.stack([columns, -rows])))
        direction = np.degrees(np.arctan2(*vectors[::-1, values.argmax()])) % 180
        assert min(abs(direction - 20 * angle), 180 - abs(direction - 20 * angle)) < 12


def test_it_learns_and_a_seed_gives_the_same() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    y = torch.arange(64) % 2
    x = torch.zeros(64, 1, 8, 8)
    x[y == 0, :, 3], x[y == 1, :, :, 3] = 1, 1  # a row, or a column
    nets = []
    for _ in range(2):
        torch.manual_seed(1)
        nets.append(SinglePool("rnnpool", 1, 8, 4, 4, 2))
        train(nets[-1], x, y, 60, 16, 1e-2, 1)
    assert [accuracy(net, x, y) for net in nets] == [1.0, 1.0]
    for one, two in zip(*(net.state_dict().values() for net in nets), strict=True):
        assert torch.equal(one, two)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--out", str(tmp_path), "--rows", "1", "--before", "conv", "--seeds", "1", "--steps", "2", "--batch", "4"]
    given += ["--train", "12", "--test", "6"]
    table7.main(given)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["operator"] for line in lines] == ["rnnpool", "convolution", "rnnpool"]
    table7.main(given)  # nothing left to do
    assert (tmp_path / "results.jsonl").read_text().splitlines() == lines
    assert "| (1) | 32x32 | yes | 4, 16 |" in capsys.readouterr().out


def cifar(folder: Path, count: int = 20) -> Path:
    """CIFAR-10's binary version, of pictures whose class is a bright column."""
    folder.mkdir(exist_ok=True)
    chance = np.random.default_rng(3)
    for name in cifar10.TRAIN + cifar10.TEST:
        rows = np.zeros((count, cifar10.RECORD), np.uint8)
        rows[:, 0] = np.arange(count) % 10
        pixels = chance.integers(0, 90, (count, 3, 32, 32))
        pixels[np.arange(count), :, :, 3 * rows[:, 0]] = 250
        rows[:, 1:] = pixels.reshape(count, -1)
        rows.tofile(folder / name)
    return folder


def test_cifar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cifar(tmp_path / "cifar-10-batches-bin")
    x, y = cifar10.load(folder, cifar10.TRAIN)
    assert x.shape == (100, 3, 32, 32) and y.tolist() == [i % 10 for i in range(20)] * 5
    assert x[7, :, 5, 21].tolist() == pytest.approx([122 / 128] * 3)  # of class 7: column 21 is bright
    assert torch.equal(cifar10.mirror(x, torch.Generator()).sum((1, 2)).sort()[0], x.sum((1, 2)).sort()[0])
    given = ["--data", str(folder), "--out", str(tmp_path / "out"), "--epochs", "4", "--batch", "20"]
    cifar10.main([*given, "--operators", "convolution", "max", "--mirror"])
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["parameters"] == 3 * 32 * 32 * 128 + 2 * 128 + 128 * 10 + 10
    assert (first["operator"], second["operator"]) == ("convolution", "max")
    assert first["train"] > second["train"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("data_batch_2.bin", None, "data_batch_2.bin is not there"),
        ("test_batch.bin", b"1" * 100, "test_batch.bin has 100 bytes, a multiple of 3073 is needed"),
        ("data_batch_1.bin", b"\x0a" * 3073, "a picture is of class 10, CIFAR-10 has 10"),
    ],
)
def test_cifar_refused(
    name: str, content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cifar(tmp_path / "set") / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit):
        cifar10.main(["--data", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--operators", "max"])
    assert words in capsys.readouterr().err
