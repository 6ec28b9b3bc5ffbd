"""Two processes of torchrun: their gradients are those of one process that has both of their parts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rnnpool_training import train  # noqa: E402
from rnnpool_training.data import load  # noqa: E402
from rnnpool_training.detector import save_float  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.network import NETWORKS, Detector  # noqa: E402
from rnnpool_training.prefetch import Batch, state  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STEPS = 3


class BothParts(train.DetectorTrainer):
    """One process of two threads: a part of the views of each of two processes."""

    def batches(self) -> Iterator[Batch[Any]]:
        """As many as the budget wants."""
        seeds = [self.options.seed, self.options.seed + (1 << 32)]
        sources = []
        for self.seed in seeds:
            sources.append(self.views())
        for count, *shape in self._plans():
            yield Batch([views.batch(count, *shape) for views in sources], state(sources[0]))


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "training"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
         "rnnpool_training.train", *map(str, arguments)],
        capture_output=True, text=True, env=environment, timeout=600,
    )  # fmt: skip


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("PyTorch without gloo")
    write_folder(tmp_path / "data", 6, seed=3)
    config = NETWORKS[train.parser().get_default("network")]
    torch.manual_seed(7)
    save_float(tmp_path / "init.pt", config, Detector(config).state_dict())
    shared = ["--data", tmp_path / "data", "--crop", "64", "--batch", "2", "--whole-early", "0", "--whole-late", "0",
              "--init", tmp_path / "init.pt", "--lr", "1e-3", "--average", "0"]  # fmt: skip
    done = torchrun(*shared, "--steps", STEPS, "--threads", "1", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-2000:]

    options = [*shared, "--steps", STEPS, "--threads", "2", "--out", tmp_path / "one"]
    parsed = train.parser().parse_args(list(map(str, options)))
    model = Detector(config)
    model.load_state_dict(torch.load(tmp_path / "init.pt", weights_only=True)["model"], strict=False)
    BothParts(parsed, model, train.write_float, "float.pt", load(tmp_path / "data"), []).run()

    one, two = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("one", "two"))
    assert one["step"] == two["step"] == STEPS and one["views"] == two["views"] == 4 * STEPS
    before = torch.load(tmp_path / "init.pt", weights_only=True)["model"]
    for name, _ in model.named_parameters():
        a, b = one["model"][name], two["model"][name]
        assert torch.allclose(a, b, atol=2e-6), (name, float((a - b).abs().max()))
        assert float((a - before[name]).abs().max()) > 1e-4, name  # it has learned
    first = [(tmp_path / name / "log.csv").read_text().splitlines()[-1].split(",")[3] for name in ("one", "two")]
    assert float(first[0]) == pytest.approx(float(first[1]), abs=1e-4)  # the loss of both parts
