"""How well classifiers from few pictures do, on tasks made from labelled pictures of persons and faces, as a table.

    PYTHONPATH=training python -m tools.few_shot DATA --out RUNS/few_shot.jsonl --cache RUNS/maps

DATA holds persons/ and faces_wild/. Each cell (task, pictures a class, seed) trains on some pictures and measures the
floats on others; a line a cell is added to the file, cells in it are not made again, the table is printed from it.
What the frozen layers make of a task's pictures is kept in the folder of --cache, for all of its cells.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnpool_training.classifier import Classifier, configure, load_classifier, warm_start
from rnnpool_training.command import command
from rnnpool_training.data.lines import lines as text_lines
from rnnpool_training.errors import InputError
from rnnpool_training.few_shot import Chooser
from rnnpool_training.few_shot.maps import Maps, Policy, make_maps
from rnnpool_training.few_shot.tune import logits_of
from rnnpool_training.files import check_output, make_folder, replacing

from .few_shot_tasks import TASKS, Task

START = Path(__file__).resolve().parents[1] / "models" / "person.pt"


def network(task: Task, size: int) -> tuple[Classifier, nn.Linear]:
    """The start with the task's labels, and its own dense layer."""
    source = load_classifier(START)
    labels = source.config.labels if task.name == "person" else task.labels
    model = Classifier(configure(size, False, labels)).eval()
    warm_start(model, source)
    return model, source.dense


class TaskMaps:
    """The maps of all pictures of a task, made when they are asked for and kept in a file."""

    def __init__(self, task: Task, size: int, folder: Path | None) -> None:
        """`folder`: of the files, none if they are not to be kept."""
        self.model, self.start = network(task, size)
        self.pictures = task.pictures
        self.place = {p.name: i for i, p in enumerate(task.pictures)}
        self.path = folder / f"{task.name}-{size}.pt" if folder else None
        self.found: dict[str, Maps] = {}
        if self.path and self.path.exists():
            kept = torch.load(self.path)
            if kept["names"] == list(self.place):
                self.found = {name: Maps(*maps) for name, maps in kept["maps"].items()}

    def __call__(self, policy: Policy | None, names: Sequence[str]) -> Maps:
        """Those of the pictures of these names."""
        key = policy.name if policy else "plain"
        if key not in self.found:
            self.found[key] = make_maps(self.model, self.start, self.pictures, policy, 1)
            if self.path:
                maps = {name: (m.maps, m.features, m.logits) for name, m in self.found.items()}
                with replacing(self.path) as temporary:
                    torch.save({"names": list(self.place), "maps": maps}, temporary)
        return self.found[key].of(np.array([self.place[name] for name in names]))


def measured(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Balanced accuracy and accuracy, to 4 digits."""
    balanced = np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)])
    return round(float(balanced), 4), round(float((predicted == truth).mean()), 4)


def cell(task: Task, maps: TaskMaps, count: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One cell of the table."""
    train, test = task.draw(count, seed, 10_000 if task.name == "person" else options.test)
    names = [p.name for p in train]
    tested = maps(None, [p.name for p in test])
    truth = np.array([p.label for p in test])
    cpu, wall = time.process_time(), time.monotonic()
    chooser = Chooser(maps.model, maps.start, train, minutes=options.minutes, steps=options.steps, threads=1, seed=seed,
                      maps=lambda policy: maps(policy, names))  # fmt: skip
    outcome = chooser.run()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    after = measured(logits_of(outcome.tail, tested).argmax(1), truth)
    base = measured(outcome.probe(tested.features[:, 0]).argmax(1), truth)
    held = chooser.labels[outcome.held]
    result = {
        "task": task.name, "count": count, "seed": seed, "size": options.size, "test": len(test), "cpu": round(cpu, 1),
        "wall": round(wall, 1), "chosen": outcome.chosen, "candidates": outcome.candidates,
        "probe": base[0], "probe_accuracy": base[1], "after": after[0], "accuracy": after[1],
        "cross-validated": float(np.mean([measured(found.argmax(1), held)[0] for found in outcome.logits])),
    }  # fmt: skip
    if task.name == "person":
        own = measured(tested.logits[:, 0].argmax(1).numpy(), truth)
        result.update(start=own[0], start_accuracy=own[1])
    return result


def cells(path: Path) -> list[dict[str, Any]]:
    """Those of a file. InputError for a line that is none."""
    found = []
    for line, where in text_lines(path):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{where}: no JSON: {error}") from None
    return found


def table(lines: list[dict[str, Any]]) -> str:
    """Means over the seeds, with their range."""
    rows = ["| task | pictures a class | seeds | input | tested on | start | linear probe | after | range | chosen |",
            "|---|--:|--:|--:|--:|--:|--:|--:|---|---|"]  # fmt: skip
    for task in TASKS:
        for count, size in sorted({(r["count"], r["size"]) for r in lines if r["task"] == task}):
            those = [r for r in lines if (r["task"], r["count"], r["size"]) == (task, count, size)]

            def mean(key: str, those: list[dict[str, Any]] = those) -> str:
                found = [r[key] for r in those if key in r]
                return f"{np.mean(found):.3f}" if found else "-"

            after = [r["after"] for r in those]
            chosen = [r["chosen"].split(",")[0] for r in those]
            listed = ", ".join(f"{name} {chosen.count(name)}" for name in sorted(set(chosen)))
            rows.append(
                f"| {task} | {count} | {len(those)} | {size} | {those[0]['test']} | {mean('start')} | {mean('probe')} "
                f"| **{mean('after')}** | {min(after):.3f} to {max(after):.3f} | {listed} |"
            )
    return "\n".join(rows)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m tools.few_shot", description=__doc__.split("\n")[0])
    p.add_argument("data", type=Path, help="folder with persons/ and faces_wild/")
    p.add_argument("--out", type=Path, required=True, help="file of results, a JSON object a line, to add to")
    p.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    p.add_argument("--counts", nargs="+", type=int, default=[20, 60, 200], help="pictures a class to train on")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--size", type=int, default=160)
    p.add_argument("--minutes", type=float, default=30, help="budget of a cell, on one thread")
    p.add_argument("--steps", type=int, default=0, help="steps of each tuned network instead (repeatable)")
    p.add_argument("--cache", type=Path, help="folder to keep maps of pictures in")
    p.add_argument("--test", type=int, default=240, help="most pictures to test on (person: all that are left)")
    options = p.parse_args(arguments)
    torch.set_num_threads(1)
    check_output(options.out)
    if options.cache:
        make_folder(options.cache)
    lines = cells(options.out) if options.out.exists() else []
    done = {(r["task"], r["count"], r["seed"], r["size"]) for r in lines}
    for name in options.tasks:
        wanted = [(n, s) for s in options.seeds for n in options.counts if (name, n, s, options.size) not in done]
        if not wanted:
            continue
        task = TASKS[name](options.data)
        most = max(200, *options.counts) + options.test // len(task.labels)  # of a class
        by_label = [[p for p in task.pictures if p.label == label] for label in range(len(task.labels))]
        if name != "person":
            task.pictures = [p for those in by_label for p in those[:most]]
        maps = TaskMaps(task, options.size, options.cache)
        for count, seed in wanted:
            lines.append(cell(task, maps, count, seed, options))
            with options.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()
