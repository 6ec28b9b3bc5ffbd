"""Runs of the trainer: budgets, interruptions, divergence, and what a user can get wrong."""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # small networks: threads only wait for each other

from rnnpool_training import blob, checkpoint, files, finetune, plots, train, train_classifier  # noqa: E402
from rnnpool_training.deploy import export_quantized  # noqa: E402
from rnnpool_training.detector import load_float, save_float  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.network import BlockConfig, Detector, NetworkConfig  # noqa: E402
from rnnpool_training.trainer import Trainer  # noqa: E402

CONFIG = NetworkConfig(
    name="test", height=64, width=64, stem=4, patch=4, patch_stride=4, hidden1=8, hidden2=8,
    blocks=(BlockConfig(16, 12, 1, (16.0,)), BlockConfig(12, 16, 2, (32.0,))),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_folder(folder, 5, seed=1)
    return folder


def options(data: Path, out: Path, *more: str) -> argparse.Namespace:
    return train.parser().parse_args([
        "--data", str(data), "--out", str(out), "--steps", "6", "--batch", "3", "--crop", "64", "--threads", "1",
        "--whole-early", "0", "--whole-late", "1", *more,
    ])  # fmt: skip


def steps(out: Path) -> list[int]:
    with (out / "log.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def weights(out: Path) -> list[Any]:
    state = checkpoint.load(out / "last.pt", checkpoint.RUN)[1]
    return [*load_float(out / "float.pt").state_dict().values(), *state["model"].values(), *state["ema"].values()]


def equal(a: Path, b: Path) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train.run(options(data, out, "--log-every", "4"), CONFIG)
    return out


def test_the_budget_is_kept(whole: Path) -> None:
    assert steps(whole) == [4, 6]
    state = checkpoint.load(whole / "last.pt", checkpoint.RUN)[1]
    assert (state["step"], state["views"]) == (6, 5 * 3 + 4)  # of the last fifth a whole batch, of 4


class Killed(BaseException):
    """As a process that ends without a word."""


@pytest.mark.parametrize(("saved", "ended"), [(1, 1), (2, 4), (5, 5)])
def test_a_killed_run_goes_on_with_the_same_bits(
    saved: int, ended: int, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_batch

    def until(self: Trainer[Any], batch: list[Any]) -> dict[str, float]:
        if self.step == ended:
            raise Killed
        self.options.save_minutes = -1 if self.step < saved else 60
        return step(self, batch)

    monkeypatch.setattr(Trainer, "train_batch", until)
    with pytest.raises(Killed):
        train.run(options(data, tmp_path, "--log-every", "1"), CONFIG)
    assert checkpoint.load(tmp_path / "last.pt", checkpoint.RUN)[1]["step"] == saved and steps(tmp_path)[-1] == ended
    monkeypatch.undo()
    train.run(options(data, tmp_path, "--log-every", "1", "--resume"), CONFIG)
    assert equal(tmp_path, whole) and steps(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_stopped_run_goes_on_with_the_same_bits(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_batch
    for at, number in ((2, signal.SIGTERM), (4, signal.SIGINT)):

        def until(self: Trainer[Any], batch: list[Any], at: int = at, number: int = number) -> dict[str, float]:
            if self.step == at:
                os.kill(os.getpid(), number)
            return step(self, batch)

        monkeypatch.setattr(Trainer, "train_batch", until)
        with pytest.raises(KeyboardInterrupt, match=f"at step {at + 1}: the checkpoint is written"):
            train.run(options(data, tmp_path, "--resume"), CONFIG)
        monkeypatch.undo()
        # A thread that is inside PyTorch when the interpreter ends aborts the process ("terminate called ...").
        assert not [t for t in threading.enumerate() if "work" in t.name]
    train.run(options(data, tmp_path, "--resume"), CONFIG)
    assert equal(tmp_path, whole)


def test_other_trainings_go_on_with_the_same_bits(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine-tuning through the rounding, and a classifier with its dropout."""
    save_float(tmp_path / "float.pt", CONFIG, Detector(CONFIG).state_dict())
    labelled = tmp_path / "labelled"
    shutil.copytree(data, labelled)
    lines = [json.loads(line) for line in (labelled / "labels.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps({**line, "label": i % 2}) for i, line in enumerate(lines))
    (labelled / "labels.jsonl").write_text(text)
    shared = ["--steps", "4", "--batch", "2", "--threads", "1"]
    fine = [str(tmp_path / "float.pt"), "--data", str(data), "--crop", "64", "--calibration", "4", *shared]
    small = ["--data", str(labelled), "--size", "64", "--sizes", "fixed", "--dropout", "0.5", *shared]
    step = Trainer.train_batch

    def until(self: Trainer[Any], batch: list[Any]) -> dict[str, float]:
        if self.step == 2:
            raise Killed
        self.options.save_minutes = -1 if self.step == 0 else 60
        return step(self, batch)

    for main, arguments, name in ((finetune.main, fine, "quantized.pt"), (train_classifier.main, small, "float.pt")):
        found = []
        for out in (tmp_path / f"{name} whole", tmp_path / f"{name} killed"):
            if "killed" in out.name:
                with monkeypatch.context() as patched, pytest.raises(Killed):
                    patched.setattr(Trainer, "train_batch", until)
                    main([*arguments, "--out", str(out)])
            main([*arguments, "--out", str(out), "--resume"])
            state = torch.load(out / "last.pt", weights_only=True)
            found.append([*state["model"].values(), *state["ema"].values()])
            assert (out / name).exists() and state["step"] == 4
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True)), name


def test_a_diverging_run_stops_and_keeps_the_last_good_checkpoint(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"the training has diverged.*nothing was written yet.*--lr .it was 1e\+30"):
        train.run(options(data, tmp_path / "a", "--lr", "1e30", "--save-minutes", "0"), CONFIG)
    assert not (tmp_path / "a" / "float.pt").exists()
    step = Trainer.train_batch

    def spoil(self: Trainer[Any], batch: list[Any]) -> dict[str, float]:
        if self.step == 3:
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))
        return step(self, batch)

    monkeypatch.setattr(Trainer, "train_batch", spoil)
    with pytest.raises(InputError, match=r"(loss|gradients) is nan at step 3.*float.pt are still those of step 3"):
        train.run(options(data, tmp_path / "b", "--save-minutes", "0"), CONFIG)
    monkeypatch.undo()
    train.run(options(data, tmp_path / "b", "--resume"), CONFIG)
    assert equal(tmp_path / "b", whole)


def test_what_is_different_when_a_run_goes_on(
    data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="holds a run already: go on with --resume"):
        train.run(options(data, whole), CONFIG)
    train.run(options(data, whole, "--resume"), CONFIG)
    assert "goes on at step 6: nothing is left of the budget" in capsys.readouterr().err
    other = tmp_path / "run"
    other.mkdir()
    for name in ("last.pt", "float.pt", "log.csv"):
        (other / name).write_bytes((whole / name).read_bytes())
    write_folder(tmp_path / "data", 3, seed=2)
    train.run(options(tmp_path / "data", other, "--resume", "--steps", "7", "--batch", "2"), CONFIG)
    said = capsys.readouterr().err
    assert "goes on at step 6, with --batch 2 (was 3), --steps 7 (was 6), other pictures or labels\n" in said
    with pytest.raises(InputError, match=r"last.pt is of another network: stem 4 .now 8."):
        train.run(options(data, other, "--resume"), NetworkConfig(**{**CONFIG.__dict__, "stem": 8}))
    (other / "last.pt").write_bytes((other / "last.pt").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"last.pt is damaged"):
        train.run(options(data, other, "--resume"), CONFIG)
    (other / "last.pt").unlink()
    with pytest.raises(InputError, match=r"run holds float.pt, which would be written over, and no last.pt to go on"):
        train.run(options(data, other, "--resume"), CONFIG)
    (other / "float.pt").unlink()
    train.run(options(data, other, "--resume", "--steps", "1"), CONFIG)
    assert "no last.pt in" in capsys.readouterr().err


def refusal(capsys: pytest.CaptureFixture[str], main: Any, *arguments: object, status: int = 2) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    said = capsys.readouterr().err
    assert stop.value.code == status and "Traceback" not in said
    return said


@pytest.mark.parametrize(
    "wrong",
    [
        ("--minutes", "-1"), ("--minutes", "0"), ("--minutes", "nan"), ("--steps", "-1"), ("--steps", "1.5"),
        ("--crop", "1"), ("--crop", "100"), ("--batch", "0"), ("--threads", "0"), ("--limit", "-1"), ("--lr", "-1"),
        ("--lr", "0"), ("--lr", "inf"), ("--average", "2"), ("--whole-late", "-0.1"), ("--log-every", "0"),
        ("--val-minutes", "-1"), ("--seed", "-1"),
    ],
)  # fmt: skip
def test_numbers_outside_of_their_limits(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    mains = [train.main, finetune.main]
    if wrong[0] not in ("--crop", "--whole-late"):
        mains.append(train_classifier.main)
    for main in mains:
        assert f"argument {wrong[0]}: must be" in refusal(capsys, main, *wrong, "--data", "x", "--out", "y")


def test_mistakes_get_a_sentence(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    save_float(tmp_path / "float.pt", CONFIG, Detector(CONFIG).state_dict())
    good = ["--data", data, "--out", tmp_path / "run", "--steps", 1]
    for main, arguments, words in (
        (train.main, ["--data", tmp_path / "none", *good[2:]], "none: there is no such folder"),
        (train.main, [*good, "--out", tmp_path / "file"], "file: is a file, not a folder"),
        (train.main, [*good, "--init", tmp_path / "none.pt"], "none.pt: No such file"),
        (train.main, [*good, "--init", tmp_path / "file"], "file is no PyTorch checkpoint"),
        (train.main, [*good, "--init", tmp_path / "float.pt"], "--init"),
        (finetune.main, [tmp_path / "none.pt", *good], "none.pt: No such file"),
        (finetune.main, ["mine.py:net", *good], "mine.py:net: a network in a Python file is fine-tuned when it is exp"),
        (finetune.main, [tmp_path / "float.pt", *good, "--data", tmp_path], "no labels of a kind"),
        (train_classifier.main, [*good, "--size", 64], "has no label 0, 1"),
        (
            train_classifier.main,
            ["--data", tmp_path, *good[2:], "--size", 64],
            "must hold a folder of pictures for each",
        ),
        (plots.main, [tmp_path], "log.csv is not there"),
    ):
        assert words in refusal(capsys, main, *arguments)
    with files.owned(tmp_path / "run"):
        assert "another run" in refusal(capsys, train.main, *good)


def test_a_folder_without_boxes_is_nothing_to_learn_from(tmp_path: Path) -> None:
    write_folder(tmp_path, 2, seed=1)
    lines = [{**json.loads(line), "boxes": []} for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match="no box in 2 pictures"):
        train.run(options(tmp_path, tmp_path / "run"), CONFIG)


def test_ctrl_c_on_the_command_line(data: Path, tmp_path: Path) -> None:
    """A process of its own, of the shipped network: it stops with a sentence and a checkpoint."""
    arguments = ["--data", data, "--out", tmp_path / "run", "--minutes", 9, "--batch", 1, "--crop", 64, "--threads", 1]
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnpool_training.train", *map(str, arguments), "--log-every", "1"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = ""
        while "step=" not in said:
            new = process.stderr.read(1)
            assert new, said
            said += new
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert "train: SIGINT at step" in said and "--resume goes on" in said and "Traceback" not in said
    assert checkpoint.load(tmp_path / "run" / "last.pt", checkpoint.RUN)[1]["step"] == steps(tmp_path / "run")[-1]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "float.pt",
        "last.pt",
        "log.csv",
        "progress.html",
        "run.lock",
    ]


def test_losses_are_plotted(whole: Path) -> None:
    plots.main([str(whole)])
    assert (whole / "losses.png").stat().st_size > 1000


def test_small_rows_of_u_can_t_saturate(data: Path, tmp_path: Path) -> None:
    """finetune --small-rows: half of the rows of U have magnitudes that sum up to less than 2^15 in the blob."""
    config = replace(CONFIG, hidden1=16, hidden2=16)
    model = Detector(config)
    with torch.no_grad():
        for cell in (model.pool.rnn1, model.pool.rnn2):
            cell.U.copy_(torch.rand(16, 16) * 0.4 + 0.15)  # sums of some 5.6
    save_float(tmp_path / "float.pt", config, model.state_dict())
    for asked in (False, True):
        out = tmp_path / str(asked)
        finetune.run(finetune.parser().parse_args([
            str(tmp_path / "float.pt"), "--data", str(data), "--out", str(out), "--steps", "2", "--batch", "4",
            "--crop", "64", "--threads", "1", "--calibration", "4", *(["--small-rows"] if asked else []),
        ]))  # fmt: skip
        pool = export_quantized(str(out / "quantized.pt")).model.ops[1]
        assert isinstance(pool, blob.RNNPool) and pool.shift_u1 == pool.shift_u2 == 15
        for u in (pool.u1, pool.u2):
            small = np.abs(u.astype(np.int64)).sum(1) < 1 << 15
            assert small.sum() == (8 if asked else 0)
