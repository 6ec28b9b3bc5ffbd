"""The paper's experiments: what they are made of, not what they give, which takes hours."""

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from rnnpool_training.errors import InputError
from rnnpool_training.generated import write_folder
from rnnpool_training.paper import cifar10, recipes, table7
from rnnpool_training.paper.single_pool import SinglePool, WholePool, accuracy, train
from rnnpool_training.zoo import saved


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


def test_cifar_in_pickles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python version's files, as Python 2 wrote them: the same pictures; nothing in them is run."""
    binary, folder = cifar(tmp_path / "binary"), tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in cifar10.TRAIN + cifar10.TEST:
        rows = np.fromfile(binary / name, np.uint8).reshape(-1, cifar10.RECORD)
        held = {b"batch_label": b"made up", b"data": rows[:, 1:], b"labels": rows[:, 0].tolist(), b"filenames": [b"a"]}
        (folder / name.removesuffix(".bin")).write_bytes(pickle.dumps(held, 2))
    for mine, wanted in zip(cifar10.load(folder, cifar10.TRAIN), cifar10.load(binary, cifar10.TRAIN), strict=True):
        assert torch.equal(mine, wanted)
    whole = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}
    for held, words in (
        ({"data": 1}, "KeyError"),
        (whole | {b"labels": [1]}, r"data of \(2, 3072\) and labels of \(1,\), Nx3072 bytes and N are needed"),
        (whole | {b"labels": [1, 10]}, "a picture is of class 10"),
        (whole | {b"labels": [1, 300]}, r"labels must be 0 to 9, are \[1, 300\]"),
        (whole | {b"more": print}, r"asks for .*print"),
    ):
        (folder / "test_batch").write_bytes(pickle.dumps(held, 2))
        with pytest.raises(InputError, match=words):
            cifar10.load(folder, cifar10.TEST)
    (folder / "test_batch").write_bytes(b"no pickle")
    with pytest.raises(InputError, match="can't be read as CIFAR-10's Python version"):
        cifar10.load(folder, cifar10.TEST)


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


# ---- recipes ----


def folders(folder: Path, names: list[str], each: int = 3) -> Path:
    chance = np.random.default_rng(5)
    for i, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            level = chance.integers(0, 60, (40, 50 + k, 3)) + 20 * i % 200
            Image.fromarray(level.astype(np.uint8)).save(folder / name / f"{k}.png")
    return folder


def recipe(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What is said on stderr before it ends with a status that is not 0."""
    with pytest.raises(SystemExit):
        recipes.main([str(a) for a in arguments])
    return capsys.readouterr().err


def test_recipes_are_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    found = {n: (r.network, r.epochs, r.batch, r.rate, r.classes) for n, r in recipes.RECIPES.items()}
    assert found == {
        "coco-vww": ("vww-rnnpool", 150, 256, 0.05, 2),
        "imagenet-10": ("mobilenetv2-rnnpool", 300, 256, 0.05, 10),
        "imagenet-1k": ("mobilenetv2-1k-rnnpool", 150, 256, 0.05, 1000),
        "wider": ("face-m4", 300, 32, 0.01, 2),
        "scut": ("face-m4", 300, 32, 0.01, 2),
    }
    recipes.main([])
    assert "imagenet-1k" in capsys.readouterr().out
    ten = recipes.RECIPES["imagenet-10"]
    assert [recipes.rate(ten, e) for e in (0, 150, 300)] == pytest.approx([0.05, 0.025, 0])
    warm = recipes.RECIPES["wider"]
    assert [recipes.rate(warm, e) for e in (0, 2.5, 5, 152.5, 300)] == pytest.approx([0, 0.005, 0.01, 0.005, 0])


def test_a_recipe_runs_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folders(tmp_path / "train", list(recipes.IMAGENET_10))
    given = ["imagenet-10", "--data", data, "--val", data, "--epochs", 2, "--batch", 15, "--size", 64, "--workers", 0]
    torch.set_num_threads(1)
    recipes.main([str(a) for a in (*given, "--out", tmp_path / "whole")])
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (whole["recipe"], whole["network"], whole["epochs"]) == ("imagenet-10", "mobilenetv2-rnnpool", 2)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2]
    assert whole["best_accuracy"] == pytest.approx(max(line["accuracy"] for line in log), abs=1e-5)
    found = saved.load(tmp_path / "whole" / "best.pt")
    assert found.module(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    assert "go on with --resume" in recipe(capsys, *given, "--out", tmp_path / "whole")
    assert "not there to resume" in recipe(capsys, *given, "--out", tmp_path / "other", "--resume")
    other = [*given[:-6], 3, *given[-5:]] if given[-7] == "--epochs" else [*given, "--lr", 0.1]
    assert "is of another training" in recipe(capsys, *other, "--out", tmp_path / "whole", "--resume")


def test_visual_wake_words_by_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(5)
    (tmp_path / "data").mkdir()
    lines = []
    for i in range(8):
        pixels = chance.integers(0, 60, (40, 50, 3)) + 120 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / f"{i}.png")
        lines.append(json.dumps({"file": f"{i}.png", "boxes": [], "label": i % 2}))
    (tmp_path / "data" / "labels.jsonl").write_text("\n".join(lines) + "\n")
    torch.set_num_threads(1)
    given = ["--data", tmp_path / "data", "--val", tmp_path / "data", "--epochs", 1, "--batch", 4, "--size", 64]
    recipes.main([str(a) for a in ("coco-vww", *given, "--workers", 0, "--out", tmp_path / "run")])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["network"] == "vww-rnnpool" and 0 <= said["best_accuracy"] <= 1
    assert saved.load(tmp_path / "run" / "best.pt").module(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


def test_a_thousand_classes_by_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ImageNet-1K's folders, a picture each; they are decoded when they are used."""
    data = folders(tmp_path / "data", [f"n{i:08}" for i in range(1000)], 1)
    torch.set_num_threads(1)
    given = ["--data", data, "--val", data, "--epochs", 1, "--batch", 500, "--size", 32, "--lr", 1e-4]
    recipes.main([str(a) for a in ("imagenet-1k", *given, "--workers", 0, "--out", tmp_path / "run")])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["network"] == "mobilenetv2-1k-rnnpool" and 0 <= said["best_accuracy"] <= 1
    assert saved.load(tmp_path / "run" / "best.pt").module(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_resumed_is_the_same(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    data = folders(tmp_path / "train", list(recipes.IMAGENET_10))
    chosen = recipes.Recipe("mobilenetv2-rnnpool", "", 10, 2, 64, 15)
    results = []
    for stop in (False, True):
        options = argparse.Namespace(
            out=tmp_path / f"run{stop}", seed=1, resume=False, init=None, data=data, val=data, workers=0
        )
        run = recipes.Run(chosen, options, recipes.Classes)
        for epoch in range(2):
            loss = run.train()
            run.save(loss, 0.5)
            if stop and epoch == 0:
                options.resume = True
                run = recipes.Run(chosen, options, recipes.Classes)
        results.append(run.net.state_dict())
    for one, two in zip(*(r.values() for r in results), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], "holds 2 folders, without n01560419, "),
        ([*recipes.IMAGENET_10, "n00000001"], "holds 11 folders: a folder for each of ten ImageNet ids is needed, 10"),
    ],
)
def test_other_folders_are_refused(
    names: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folders(tmp_path / "data", names, 1)
    assert words in recipe(capsys, "imagenet-10", "--data", data, "--val", data, "--out", tmp_path / "run")


def test_recipe_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folders(tmp_path / "data", list(recipes.IMAGENET_10), 1)
    given = ["imagenet-10", "--data", data, "--val", data, "--out", tmp_path / "run"]
    assert "holds 10 pictures, --batch is 256" in recipe(capsys, *given)
    assert "face-m4 is a detector of 1 channels, imagenet-10 trains classifiers of 3" in recipe(
        capsys, *given, "--network", "face-m4"
    )
    assert "needs --data, --val" in recipe(capsys, "coco-vww")
    (tmp_path / "labels.jsonl").write_text('{"file": "a.png", "boxes": [], "label": 2}\n')
    assert "labels must be 0 to 1, is 2" in recipe(
        capsys, "coco-vww", "--data", tmp_path, "--val", tmp_path, "--out", tmp_path / "run"
    )
    (data / "n01560419" / "0.png").unlink()
    assert "n01560419 holds no picture" in recipe(capsys, *given)


def test_windows() -> None:
    torch.manual_seed(1)
    for _ in range(200):
        left, top, right, bottom = recipes.window(200, 100)
        assert 0 <= left < right <= 200 and 0 <= top < bottom <= 100
        assert (right - left) * (bottom - top) <= 200 * 100
    assert recipes.middle(320, 256) == (48, 16, 272, 240)


def test_faces_by_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    write_folder(tmp_path / "data", 6, 3)
    data = ["--data", tmp_path / "data", "--val", tmp_path / "data"]
    given = [*data, "--epochs", 1, "--batch", 3, "--size", 64, "--workers", 0]
    recipes.main([str(a) for a in ("wider", *given, "--out", tmp_path / "wider")])
    wider = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert wider["network"] == "face-m4" and 0 <= wider["best_ap50"] <= 1
    best = tmp_path / "wider" / "best.pt"
    recipes.main([str(a) for a in ("scut", *given, "--out", tmp_path / "scut", "--init", best, "--lr", 1e-9)])
    one, two = (saved.load(tmp_path / name / "best.pt").module for name in ("wider", "scut"))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):  # it began at the first one's weights
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    said = recipe(capsys, "scut", *given, "--out", tmp_path / "x", "--init", best, "--network", "face-qvga")
    assert "is face-m4, face-qvga is trained" in said
