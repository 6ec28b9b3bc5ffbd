"""The loop that every network trains in: budget, learning rate, averaged weights, checkpoints, logs."""

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
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

Part = TypeVar("Part")


class Average:
    """Exponential moving average of a model's weights and buffers."""

    def __init__(self, model: nn.Module, decay: float) -> None:
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


class Trainer(Generic[Part]):
    """One run in a folder: `last.pt` (to resume), `log.csv` (training), `val.csv`, `result` (averaged weights).

    `write` saves the averaged weights as `result` in the folder. A batch is a list of parts, one for each thread.
    What is trained on which data is said by `batches`, `loss` and `validate` of a subclass.
    """

    def __init__(
        self, options: argparse.Namespace, model: nn.Module, write: Callable[[Path, Any], None], result: str
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
        if options.resume and (self.out / "last.pt").exists():
            self._restore(self.out / "last.pt")

    def batches(self) -> Iterator[list[Part]]:
        """Batches, each in as many parts as there are threads, until the budget is spent (`progress`)."""
        raise NotImplementedError

    def loss(self, part: Part) -> tuple[Tensor, dict[str, float], int]:
        """Loss of one part of a batch, its named components for the log, and how many views it was."""
        raise NotImplementedError

    def validate(self) -> Any:
        """Measure the averaged weights (self.average.model), say it by `report`, and return the result."""
        raise NotImplementedError

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed, self.views_seen = state["step"], state["elapsed"], state["views"]

    def save(self) -> None:
        """Write last.pt and the result, each whole or not at all."""
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
        steps = self.options.steps
        warm = min(1.0, (self.step + 1) / (min(300, 1 + steps // 10) if steps else 300))
        return float(self.options.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress))))

    def _gradients(self, part: Part) -> tuple[dict[str, float], int]:
        """Adds the gradients of one part of a batch to those of the parameters."""
        torch.set_num_threads(1)
        loss, parts, count = self.loss(part)
        (loss / self.options.threads).backward()
        return {"loss": loss.item(), **parts}, count

    def train_batch(self, batch: list[Part]) -> dict[str, float]:
        """One optimizer step.

        Every part of the batch runs in a thread of its own: they meet once a step instead of once an operation, which
        matters on a busy machine. Batch normalization sees the parts one by one.
        """
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.zero_grad(set_to_none=False)
        results = list(self.pool.map(self._gradients, batch))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 4.0)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        self.views_seen += sum(count for _, count in results)
        mean = {k: sum(r[k] for r, _ in results) / len(results) for k in results[0][0]}
        return {**mean, "norm": float(norm), "lr": self._rate()}

    def run(self) -> Any:
        """Train until the budget is spent, with evaluations and checkpoints on the way."""
        options = self.options
        marks = {"save": time.monotonic(), "val": time.monotonic()}
        sums: dict[str, float] = {}
        seen = 0
        bar = tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}", mininterval=5)
        last = time.monotonic()
        for batch in self.batches():
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
                self.log("log.csv", row)
                bar.n = round(100 * self.progress, 1)
                bar.set_postfix({k: v for k, v in row.items() if k not in ("views", "seconds", "norm")})
                sums, seen = {}, 0
            if now - marks["save"] > 60 * options.save_minutes:
                self.save()
                marks["save"] = now
            if options.val and now - marks["val"] > 60 * options.val_minutes:
                self.save()
                self.validate()
                marks["val"] = time.monotonic()
                if not options.count_validation:
                    last = time.monotonic()
        bar.close()
        self.save()
        return self.validate() if options.val else None

    def report(self, summary: dict[str, Any]) -> None:
        """Add a line to val.csv and print it."""
        self.log("val.csv", {"step": self.step, "views": self.views_seen, "elapsed": round(self.elapsed, 1), **summary})
        tqdm.write(json.dumps({"step": self.step, **summary}))

    def log(self, name: str, row: dict[str, Any]) -> None:
        """Add a line to a CSV file of the run."""
        path = self.out / name
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
