"""Train the face detector: python -m rnnpool_training.train --data FOLDER --val FOLDER --out FOLDER --minutes N."""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from .anchors import grid
from .augment import Views, prefetch
from .data import Sample, load
from .detector import load_float, save_float, torch_detector
from .loss import Targets, detection_loss
from .metrics import Evaluation, evaluate
from .network import NETWORKS, Detector, NetworkConfig
from .quantize import QuantizedDetector
from .warm_start import warm_start

# Pictures of crowds hold the small faces, pictures without faces the false alarms: both are drawn more often.
SHARES = {"webfaces": 0.56, "mask853": 0.22, "voc2007": 0.12, "udacity_ytf": 0.06, "caltech101": 0.04}
THRESHOLD = 0.5


Network = Detector | QuantizedDetector


class Average:
    """Exponential moving average of a model's weights and buffers."""

    def __init__(self, model: Network, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """One step; the decay grows from zero so that the first weights are forgotten soon."""
        decay = min(self.decay, (1 + step) / (10 + step))
        source = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(source[name], 1 - decay)


class Trainer:
    """One run in a folder: `last.pt` (to resume), `log.csv` (training), `val.csv`, `result` (averaged weights).

    `model` is a Detector or a QuantizedDetector; `write` saves its averaged weights as `result` in the folder.
    """

    def __init__(
        self, options: argparse.Namespace, model: Network, write: Callable[[Path, Network], None], result: str
    ) -> None:
        self.options = options
        self.out = Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.write, self.result = write, result
        decayed = [p for p in self.model.parameters() if p.dim() == 4]
        others = [p for p in self.model.parameters() if p.dim() != 4]
        groups = [{"params": decayed, "weight_decay": options.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99))
        self.average = Average(self.model, options.average)
        self.step, self.elapsed, self.views_seen = 0, 0.0, 0
        self.pool = ThreadPoolExecutor(options.threads)
        self.anchors: dict[tuple[int, int], torch.Tensor] = {}
        if options.resume and (self.out / "last.pt").exists():
            self._restore(self.out / "last.pt")

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed, self.views_seen = state["step"], state["elapsed"], state["views"]

    def save(self) -> None:
        """Write last.pt and float.pt, each whole or not at all."""
        state = {
            "model": self.model.state_dict(), "ema": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "elapsed": self.elapsed,
            "views": self.views_seen,
        }  # fmt: skip
        torch.save(state, self.out / "last.tmp")
        (self.out / "last.tmp").replace(self.out / "last.pt")
        self.write(self.out / "result.tmp", self.average.model)
        (self.out / "result.tmp").replace(self.out / self.result)

    @property
    def progress(self) -> float:
        """Part of the budget spent, 0 to 1: of the steps if a number of steps is given, else of the minutes."""
        if self.options.steps:
            return min(1.0, self.step / self.options.steps)
        return min(1.0, self.elapsed / (60 * self.options.minutes))

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / 300)
        return self.options.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def _plan(self) -> Iterator[tuple[int, int, int, bool]]:
        """Sizes of the coming batches: crops, and towards the end ever more whole frames as the device sees them."""
        config, options = self.model.config, self.options
        chance = np.random.default_rng(options.seed + 1 + self.step)
        while self.progress < 1.0:
            if chance.random() < (options.whole_late if self.progress > 0.8 else options.whole_early):
                yield max(4, options.batch // 2), config.height, config.width, True
            else:
                side = options.crop
                yield options.batch, side, side, False

    def _gradients(self, part: tuple[torch.Tensor, Targets]) -> dict[str, float]:
        """Adds the gradients of one part of a batch to those of the parameters."""
        torch.set_num_threads(1)
        x, targets = part
        loss, parts = detection_loss(self.model(x), self.anchors[x.shape[2], x.shape[3]], targets)
        (loss / self.options.threads).backward()
        return {"loss": loss.item(), **parts}

    def train_batch(self, batch: list[tuple[torch.Tensor, Targets]]) -> dict[str, float]:
        """One optimizer step.

        Every part of the batch runs in a thread of its own: they meet once a step instead of once an operation, which
        matters on a busy machine. Batch normalization sees the parts one by one.
        """
        size = (batch[0][0].shape[2], batch[0][0].shape[3])
        if size not in self.anchors:
            self.anchors[size] = torch.from_numpy(grid(self.model.config, *size))
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.zero_grad(set_to_none=False)
        results = list(self.pool.map(self._gradients, batch))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 4.0)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        self.views_seen += sum(len(x) for x, _ in batch)
        mean = {k: sum(r[k] for r in results) / len(results) for k in results[0]}
        return {**mean, "norm": float(norm), "lr": self._rate()}

    def run(self, train: list[Sample], val: list[Sample]) -> Evaluation | None:
        """Train until the budget is spent, with evaluations and checkpoints on the way."""
        options = self.options
        views = Views(train, options.seed + self.step, (self.model.config.height, self.model.config.width), SHARES)
        marks = {"save": time.monotonic(), "val": time.monotonic()}
        sums: dict[str, float] = {}
        seen = 0
        bar = tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}", mininterval=5)
        last = time.monotonic()
        result = None
        for batch in prefetch(views, self._plan(), options.threads):
            parts = self.train_batch(batch)
            now = time.monotonic()
            self.elapsed += now - last
            last = now
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            seen += 1
            if seen == options.log_every:
                row = {"step": self.step, "views": self.views_seen, "seconds": round(self.elapsed, 1)}
                row.update({k: round(v / seen, 5) for k, v in sums.items()})
                self._log("log.csv", row)
                bar.n = round(100 * self.progress, 1)
                bar.set_postfix({k: row[k] for k in ("step", "loss", "class", "box", "lr")})
                sums, seen = {}, 0
            if now - marks["save"] > 60 * options.save_minutes:
                self.save()
                marks["save"] = now
            if val and now - marks["val"] > 60 * options.val_minutes:
                self.save()
                self.validate(val)
                marks["val"] = time.monotonic()
                if not options.count_validation:
                    last = time.monotonic()
        bar.close()
        self.save()
        if val:
            result = self.validate(val)
        return result

    def validate(self, val: list[Sample]) -> Evaluation:
        """Evaluate the averaged weights and log the result."""
        result = evaluate(torch_detector(self.average.model, self.model.config), val)
        summary = result.summary(THRESHOLD)
        self._log("val.csv", {"step": self.step, "views": self.views_seen, "elapsed": round(self.elapsed, 1),
                              **{k: v for k, v in summary.items() if k != "recall_by_size"}})  # fmt: skip
        tqdm.write(json.dumps({"step": self.step, **summary}))
        return result

    def _log(self, name: str, row: dict[str, Any]) -> None:
        path = self.out / name
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


class Smoke(argparse.Action):
    """--smoke: like --help, does its work and exits, whatever else is given or missing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Run the smoke chain."""
        from . import smoke  # which trains with this module

        smoke.main([])
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.train", description=__doc__)
    p.add_argument(
        "--smoke", action=Smoke, nargs=0, help="run the whole chain on generated pictures (a minute), then exit"
    )
    p.add_argument("--data", required=True, help="folder with labels.jsonl and images/ to train on")
    p.add_argument("--val", help="folder to validate on")
    p.add_argument("--out", required=True, help="folder of the run: checkpoints, logs")
    p.add_argument("--network", choices=sorted(NETWORKS), default="face-m4", help="which network of network.py")
    p.add_argument("--init", help="float checkpoint to start from, also of another network (warm_start.py)")
    p.add_argument("--minutes", type=float, default=80, help="wall-clock budget over which the learning rate anneals")
    p.add_argument("--steps", type=int, default=0, help="budget in steps instead (repeatable)")
    p.add_argument("--resume", action="store_true", help="go on from OUT/last.pt if it exists")
    p.add_argument("--lr", type=float, default=5e-3, help="highest learning rate")
    p.add_argument("--decay", type=float, default=5e-3, help="weight decay of the convolutions")
    p.add_argument("--average", type=float, default=0.998, help="decay of the weights' moving average")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--crop", type=int, default=192, help="side of the training crops in pixels")
    p.add_argument("--whole-early", type=float, default=0.05, help="part of the batches that are whole frames")
    p.add_argument("--whole-late", type=float, default=0.5, help="the same in the last fifth")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--limit", type=int, default=0, help="use only so many pictures of each folder")
    p.add_argument("--log-every", type=int, default=50)
    p.add_argument("--save-minutes", type=float, default=2)
    p.add_argument("--val-minutes", type=float, default=5)
    p.add_argument("--count-validation", action="store_true", help="validation time counts towards the budget")
    return p


def write_float(path: Path, model: Network) -> None:
    """save_float for a Trainer."""
    save_float(path, model.config, model.state_dict())


def run(options: argparse.Namespace, config: NetworkConfig | None = None) -> Evaluation | None:
    """Train a float model as the command line asks; `config` replaces its network."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = Detector(config or NETWORKS[options.network])
    if options.init:
        warm_start(model, load_float(options.init))
    trainer = Trainer(options, model, write_float, "float.pt")
    return trainer.run(load(options.data, options.limit), load(options.val, options.limit) if options.val else [])


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
