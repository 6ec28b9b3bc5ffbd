"""The loop that every network trains in: budget, learning rate, averaged weights, checkpoints, logs."""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import io
import itertools
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import checkpoint, files, progress
from .command import integer, real
from .distributed import Group
from .errors import InputError
from .prefetch import Batch, Views, pack, prefetch, restore
from .streaming import DEFAULT

Part = TypeVar("Part")
# What may differ when a run goes on without changing what it learns, or is said in another way.
FREE = {
    "resume", "out", "network", "data", "val", "log_every", "save_minutes", "val_minutes", "count_validation", "memory",
    "workers",
}  # fmt: skip
WARM_UP = 300  # steps, or a tenth of the budget where that is less


def add_options(p: argparse.ArgumentParser, **defaults: Any) -> None:
    """Add the options that all trainings share; `defaults` of some by name."""
    p.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoints, logs")
    p.add_argument("--minutes", type=real(0, above=True), help="wall-clock budget over which the learning rate anneals")
    p.add_argument("--steps", type=integer(1), default=0, help="budget in steps instead (repeatable with --threads 1)")
    p.add_argument("--resume", action="store_true", help="go on from OUT/last.pt if it exists")
    p.add_argument("--lr", type=real(0, above=True), help="highest learning rate")
    p.add_argument("--decay", type=real(0), help="weight decay of the convolutions")
    p.add_argument("--average", type=real(0, 1), default=0.998, help="decay of the weights' moving average")
    p.add_argument("--batch", type=integer(1), default=32, help="views a step")
    p.add_argument("--seed", type=integer(0, 2**31), default=1)
    p.add_argument("--threads", type=integer(1, 256), default=2)
    p.add_argument("--limit", type=integer(0), default=0, help="use only so many pictures of each folder")
    p.add_argument("--memory", type=real(0), default=DEFAULT, help="GiB of decoded pictures that are kept; what does "
                   "not fit is read when it is used (default: %(default)s)")  # fmt: skip
    p.add_argument("--workers", type=integer(0, 256), default=2, help="threads that decode what does not fit")
    p.add_argument("--log-every", type=integer(1), default=50)
    p.add_argument("--save-minutes", type=real(0), default=2)
    p.add_argument("--val-minutes", type=real(0))
    p.add_argument("--count-validation", action="store_true", help="validation time counts towards the budget")
    p.set_defaults(**defaults)


WEIGHTS = ("float.pt", "quantized.pt")  # that runs write beside last.pt


def begun(options: argparse.Namespace, first: bool = False) -> Path | None:
    """The checkpoint of the run in options.out that is to go on; None if there is none yet.

    InputError if nobody said --resume, or it is damaged: asked before the pictures are read, which can take minutes.
    `first`: the run has written nothing yet, so what has the names of its weights is another's.
    """
    path = Path(options.out) / "last.pt"
    if not path.exists():
        there = [name for name in WEIGHTS if (path.parent / name).exists()] if first else []
        if there:
            raise InputError(
                f"{options.out} holds {', '.join(there)}, which would be written over, and no last.pt to go on from: "
                "give another --out"
            )
        return None
    if not options.resume:
        raise InputError(f"{options.out} holds a run already: go on with --resume, or give another --out")
    checkpoint.load(path, checkpoint.RUN)
    return path


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
    """One run in a folder: `last.pt` (to resume), `log.csv`, `val.csv`, `progress.html`, `result` (averaged weights).

    `write` saves the averaged weights as `result` in the folder. A batch is a list of parts, one for each thread.
    What is trained on which data is said by `views`, `plan`, `loss` and `validate` of a subclass. With a budget in
    steps and one thread, a run that was interrupted and resumed ends with the same bits as one that was not.

    Of several processes (torchrun) each makes its own views, and a step takes the mean of their gradients: as if one
    process had all of their parts. The first one alone writes and validates.
    """

    LEAST = 1  # views of a part

    def __init__(
        self, options: argparse.Namespace, model: nn.Module, write: Callable[[Path, Any], None], result: str
    ) -> None:
        self.options = options
        self.group = Group()
        self.seed = options.seed + (self.group.rank << 32)  # of this process' views
        self.out = files.make_folder(options.out)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.write, self.result = write, result
        decayed = [p for p in self.model.parameters() if p.dim() == 4]
        others = [p for p in self.model.parameters() if p.dim() != 4]
        groups = [{"params": decayed, "weight_decay": options.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99))
        self.average = Average(self.model, options.average)
        self.step, self.elapsed, self.views_seen = 0, 0.0, 0
        self.saved = -1  # step of the last checkpoint
        self.state: dict[str, Any] | None = None  # of the views after the last step
        self.pool = ThreadPoolExecutor(options.threads)
        self.stop = ""  # name of the signal that asks to end

    def views(self) -> Views:
        """The source of the batches' parts, seeded by self.seed."""
        raise NotImplementedError

    def plan(self, progress: float, chance: np.random.Generator) -> tuple[Any, ...]:
        """Shape of a batch at a time of the run (0 to 1): how many views, and what else `views` wants to know."""
        raise NotImplementedError

    def loss(self, part: Part) -> tuple[Tensor, dict[str, float], int]:
        """Loss of one part of a batch, its named components for the log, and how many views it was."""
        raise NotImplementedError

    def validate(self) -> Any:
        """Measure the averaged weights (self.average.model), say it by `report`, and return the result."""
        raise NotImplementedError

    def network(self) -> dict[str, Any]:
        """What the network is, as a checkpoint says it: a run can't go on with another one."""
        raise NotImplementedError

    def pictures(self) -> Iterator[str]:
        """Names of the pictures that are trained on, with what is labelled in them."""
        raise NotImplementedError

    def _identity(self) -> dict[str, str]:
        # What a run that goes on is compared by.
        digest = hashlib.sha256("\n".join(self.pictures()).encode()).hexdigest()
        values = {k: str(v) for k, v in vars(self.options).items() if k not in FREE}
        return {**values, "pictures": digest, "network": json.dumps(self.network(), sort_keys=True, default=str)}

    def _start(self) -> None:
        # As the first process does, which may be the only one on the machine that has the folder.
        if self.group.first:
            self._restore()
        names = ("step", "elapsed", "views_seen", "saved")
        whole = {n: getattr(self, n) for n in names}, self.model.state_dict(), self.average.model.state_dict()
        values, weights, average, optimizer = self.group.share((*whole, self.optimizer.state_dict()))
        if not self.group.first:
            for name, value in values.items():
                setattr(self, name, value)
            self.model.load_state_dict(weights)
            self.average.model.load_state_dict(average)
            self.optimizer.load_state_dict(optimizer)
            torch.manual_seed(self.seed + self.step)

    def _restore(self) -> None:
        """Restore the last checkpoint with --resume, and say what is different from then."""
        path = begun(self.options)
        if path is None:
            if self.options.resume:
                tqdm.write(f"--resume: no last.pt in {self.out}, the run starts from the beginning", file=sys.stderr)
            return
        _, state = checkpoint.load(path, checkpoint.RUN)
        before, now = json.loads(state.get("identity", "{}")), self._identity()
        if before and before["network"] != now["network"]:
            a, b = (json.loads(i["network"]) for i in (before, now))
            changed = ", ".join(f"{k} {a.get(k)} (now {b.get(k)})" for k in sorted(a | b) if a.get(k) != b.get(k))
            raise InputError(f"{path} is of another network: {changed}. Give that one, or another --out")
        checkpoint.fill(path, self.model, state["model"])
        checkpoint.fill(path, self.average.model, state["ema"])
        try:
            self.optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise InputError(f"{path} does not fit this training: {error}") from None
        self.step, self.elapsed, self.views_seen = state["step"], state["elapsed"], state["views"]
        self.saved = self.step
        same = before.get("pictures") == now["pictures"]
        self.state = json.loads(state["state"]) if same else None
        if "random" in state:
            torch.set_rng_state(state["random"])
        for name in ("log.csv", "val.csv"):
            self._cut(self.out / name)
        compared = now.keys() & before.keys() - {"network", "pictures"}
        others = [f"--{k.replace('_', '-')} {now[k]} (was {before[k]})" for k in compared if now[k] != before[k]]
        if before and not same:
            others.append("other pictures or labels")
        said = f", with {', '.join(sorted(others))}" if others else ""
        said += ": nothing is left of the budget" if self.progress >= 1 else ""
        tqdm.write(f"--resume: goes on at step {self.step}{said}", file=sys.stderr)

    def _cut(self, path: Path) -> None:
        # Steps after the checkpoint are trained, and logged, again.
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        kept = [row for i, row in enumerate(rows) if row and (i == 0 or int(row[0]) <= self.step)]
        text = io.StringIO()
        csv.writer(text).writerows(kept)
        files.write_text(path, text.getvalue())

    def save(self) -> None:
        """Write last.pt and the result, each whole or not at all. InputError if a weight is not finite."""
        if not self.group.first:
            return
        if not (checkpoint.finite(self.model.state_dict()) and checkpoint.finite(self.average.model.state_dict())):
            self._diverged("a weight is not finite")
        state = {
            "model": self.model.state_dict(), "ema": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "elapsed": self.elapsed,
            "views": self.views_seen, "state": pack(self.state), "random": torch.get_rng_state(),
            "identity": json.dumps(self._identity()),
        }  # fmt: skip
        checkpoint.save(self.out / "last.pt", state)
        self.write(self.out / self.result, self.average.model)
        self.saved = self.step

    def _diverged(self, what: str) -> None:
        if self.saved >= 0:
            kept = f"last.pt and {self.result} are still those of step {self.saved}"
        else:
            kept = "nothing was written yet"
        raise InputError(
            f"{what} at step {self.step}, learning rate {self._rate():.3g}: the training has diverged. In {self.out} "
            f"{kept}. Train with a lower --lr (it was {self.options.lr:g})"
        )

    @property
    def progress(self) -> float:
        """Part of the budget spent, 0 to 1: of the steps if a number of steps is given, else of the minutes."""
        return self._progress(self.step)

    def _progress(self, step: int) -> float:
        if self.options.steps:
            return min(1.0, step / self.options.steps)
        return min(1.0, self.elapsed / (60 * self.options.minutes))

    def _rate(self) -> float:
        steps, progress = self.options.steps, self.progress
        tenth = (self.step + 1) / (1 + steps // 10) if steps else 10 * progress
        warm = min(1.0, max((self.step + 1) / WARM_UP, tenth))
        return float(self.options.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))))

    def _plans(self) -> Iterator[tuple[Any, ...]]:
        for step in itertools.count(self.step):
            if (progress := self._progress(step)) >= 1.0:
                return
            yield self.plan(progress, np.random.default_rng((self.options.seed, step)))

    def batches(self) -> Iterator[Batch[Part]]:
        """Batches from the views, made by another thread, until the budget is spent."""
        views = self.views()
        if self.state:
            restore(views, self.state)
        elif self.step:  # other pictures than before: other views of them, too
            views.random.bit_generator.state = np.random.default_rng((self.seed, self.step)).bit_generator.state
        return prefetch(views, self._plans(), self.options.threads, self.LEAST)

    def _gradients(self, part: Part) -> tuple[dict[str, float], int]:
        """Adds the gradients of one part of a batch to those of the parameters."""
        torch.set_num_threads(1)
        loss, parts, count = self.loss(part)
        (loss / self.options.threads).backward()
        return {"loss": loss.item(), **parts}, count

    def train_batch(self, batch: list[Part]) -> dict[str, float]:
        """One optimizer step. InputError if the loss is not finite.

        Every part of the batch runs in a thread of its own: they meet once a step instead of once an operation, which
        matters on a busy machine. Batch normalization sees the parts one by one.
        """
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.zero_grad(set_to_none=False)
        results = list(self.pool.map(self._gradients, batch))
        mean = {k: sum(r[k] for r, _ in results) / len(results) for k in results[0][0]}
        views = sum(count for _, count in results)
        if self.group.size > 1:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            statistics = [b for b in self.model.buffers() if b.dtype.is_floating_point]
            self.group.mean([*gradients, *statistics])
            *sums, total = self.group.sums([*mean.values(), views])
            mean = {k: v / self.group.size for k, v in zip(mean, sums, strict=True)}
            views = round(total)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), 4.0))
        for name, value in (("loss", mean["loss"]), ("norm of the gradients", norm)):
            if not math.isfinite(value):
                self._diverged(f"the {name} is {value}")
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        self.views_seen += views
        return {**mean, "norm": norm, "lr": self._rate()}

    @torch.no_grad()
    def _check(self, batch: list[Part]) -> None:
        # The weights after a step, before they take the place of good ones.
        self.model.eval()
        loss = float(self.loss(batch[0])[0])
        self.model.train()
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        # The first Ctrl-C or SIGTERM lets a step end and a checkpoint be written; the second one is as usual.
        def ask(number: int, _: Any) -> None:
            self.stop = signal.Signals(number).name
            for each, handler in before.items():
                signal.signal(each, handler)
            tqdm.write(f"{self.stop}: stops after this step", file=sys.stderr)

        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def run(self) -> Any:
        """Train until the budget is spent, with evaluations and checkpoints on the way.

        InputError if the training diverges or can't go on; KeyboardInterrupt, after a checkpoint, if it is stopped.
        """
        self._start()
        bar = tqdm(
            total=100, desc="training", unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}",
            initial=round(100 * self.progress, 1), disable=not self.group.first,
        )  # fmt: skip
        with self._signals(), bar:  # closed before anything else is said
            self._train(bar)
        if not self.group.first:
            return None
        if self.saved != self.step:
            self.save()
        return self.validate() if self.options.val else None

    def _train(self, bar: Any) -> None:
        options = self.options
        marks = {"save": time.monotonic(), "val": time.monotonic(), "bar": 0.0, "page": 0.0}
        sums: dict[str, float] = {}
        seen = 0
        last = time.monotonic()
        batches = self.batches()
        for batch in batches:
            parts = self.train_batch(batch.parts)
            self.state = batch.state
            now = time.monotonic()
            self._agree(now - last)
            last = now
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            seen += 1
            ends = self.progress >= 1.0 or bool(self.stop)
            if seen == options.log_every or ends:
                row = {"step": self.step, "views": self.views_seen, "seconds": round(self.elapsed, 1)}
                row.update({k: round(v / seen, 5) for k, v in sums.items()})
                self.log("log.csv", row)
                sums, seen = {}, 0
                if self.group.first and (ends or now - marks["page"] > progress.SECONDS):
                    progress.write(self.out, min(self.progress, 1.0))
                    marks["page"] = now
            if ends or now - marks["bar"] > 5:
                bar.n = round(100 * self.progress, 1)
                bar.set_postfix({"step": self.step, **{k: f"{v:.4g}" for k, v in parts.items() if k != "norm"}})
                marks["bar"] = now
            validates = options.val and self.group.first and now - marks["val"] > 60 * options.val_minutes
            if ends or validates or now - marks["save"] > 60 * options.save_minutes:
                self._check(batch.parts)
                self.save()
                marks["save"] = time.monotonic()
            if ends:
                break
            if validates:
                self.validate()
                marks["val"] = time.monotonic()
                if not options.count_validation:
                    last = time.monotonic()
        batches.close()  # type: ignore[attr-defined]  # a generator
        if self.stop:
            raise KeyboardInterrupt(f"{self.stop} at step {self.step}: the checkpoint is written, --resume goes on")

    def _agree(self, seconds: float) -> None:
        # All processes end at the same step: when the first one's time is over, or one of them was asked to.
        elapsed = self.elapsed + seconds
        if self.group.size > 1:
            elapsed, stops = self.group.sums([elapsed if self.group.first else 0.0, float(bool(self.stop))])
            self.stop = self.stop or ("a signal to another process" if stops else "")
        self.elapsed = elapsed

    def report(self, summary: dict[str, Any]) -> None:
        """Add a line to val.csv and print it."""
        self.log("val.csv", {"step": self.step, "views": self.views_seen, "elapsed": round(self.elapsed, 1), **summary})
        progress.write(self.out, min(self.progress, 1.0))
        tqdm.write(json.dumps({"step": self.step, **summary}))

    def log(self, name: str, row: dict[str, Any]) -> None:
        """Add a line to a CSV file of the run."""
        if not self.group.first:
            return
        path = self.out / name
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
