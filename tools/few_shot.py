"""How well classifiers from few pictures do, on tasks made from labelled pictures of persons and faces, as a table.

    PYTHONPATH=training python -m tools.few_shot DATA --out RUNS/few_shot.jsonl

DATA holds persons/ and faces_wild/. Each cell (task, pictures a class, seed) trains on some pictures and measures the
floats on others; a line a cell is added to the file, cells in it are not made again, the table is printed from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rnnpool_training.classifier import Classifier, configure, load_classifier, warm_start
from rnnpool_training.few_shot import POLICIES, Chooser, Maps, logits_of, make_maps
from rnnpool_training.pictures import Picture, split
from rnnpool_training.train_classifier import fit, probabilities
from rnnpool_training.train_classifier import parser as train_parser

from .few_shot_tasks import TASKS, Task

MOST = 450  # pictures of a class that are looked at
START = Path(__file__).resolve().parents[1] / "models" / "person.pt"


def network(task: Task, size: int) -> tuple[Classifier, nn.Linear]:
    """The start with the task's labels, and its own dense layer."""
    source = load_classifier(START)
    labels = source.config.labels if task.name == "person" else task.labels
    model = Classifier(configure(size, False, labels)).eval()
    warm_start(model, source)
    return model, source.dense


def measured(predicted: Any, truth: Any) -> float:
    """Balanced accuracy."""
    return float(np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)]))


def before(
    task: Task, train: list[Picture], test: list[Picture], truth: Any, size: int, seed: int, steps: int
) -> float:
    """Balanced accuracy of all layers trained on four fifths of the pictures, the last weights taken: the old way."""
    model, _ = network(task, size)
    kept, held = split(train, 0.2, seed)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--data", "", "--out", folder, "--sizes", "fixed", "--steps", str(steps), "--threads", "1",
                     "--seed", str(seed), "--lr", "2e-3", "--init", str(START), "--log-every", "100"]  # fmt: skip
        fit(train_parser().parse_args(arguments), model, kept, held)
        trained = load_classifier(Path(folder) / "float.pt")
    return measured(probabilities(trained, test, (size, size)).argmax(1), truth)


def cell(task: Task, plain: Maps, count: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One cell of the table."""
    train, test = task.draw(count, seed, 10_000 if task.name == "person" else options.test)
    place = {p.name: i for i, p in enumerate(task.pictures)}
    tested = plain.of(np.array([place[p.name] for p in test]))
    truth = np.array([p.label for p in test])
    model, start = network(task, options.size)
    cpu, wall = time.process_time(), time.monotonic()
    chooser = Chooser(model, start, train, minutes=options.minutes, steps=options.steps, threads=1, seed=seed)
    outcome = chooser.run()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    assert outcome.probe is not None
    after = logits_of(outcome.tail, tested).argmax(1)
    result = {
        "task": task.name, "count": count, "seed": seed, "size": options.size, "test": len(test), "cpu": round(cpu, 1),
        "wall": round(wall, 1), "chosen": outcome.chosen, "candidates": outcome.candidates,
        "probe": round(measured(logits_of(outcome.probe, tested).argmax(1), truth), 4),
        "after": round(measured(after, truth), 4), "accuracy": round(float((after == truth).mean()), 4),
        "cross-validated": round(measured(outcome.logits.argmax(1), chooser.labels[outcome.held]), 4),
    }  # fmt: skip
    if task.name == "person":
        own = tested.logits[:, 0].argmax(1).numpy()
        result.update(start=round(measured(own, truth), 4), start_accuracy=round(float((own == truth).mean()), 4))
    if options.before:
        result["before"] = round(before(task, train, test, truth, options.size, seed, options.before), 4)
    return result


def table(lines: list[dict[str, Any]]) -> str:
    """Means over the seeds, with their range."""
    rows = ["| task | pictures a class | seeds | tested on | start | linear probe | before | after | range | CPU s |",
            "|---|--:|--:|--:|--:|--:|--:|--:|---|--:|"]  # fmt: skip
    for task in TASKS:
        for count in sorted({r["count"] for r in lines if r["task"] == task}):
            those = [r for r in lines if (r["task"], r["count"]) == (task, count)]

            def mean(key: str, those: list[dict[str, Any]] = those) -> str:
                found = [r[key] for r in those if key in r]
                return (
                    f"{np.mean(found):.3f}" + ("" if len(found) == len(those) else f" ({len(found)})") if found else "-"
                )

            after = [r["after"] for r in those]
            rows.append(
                f"| {task} | {count} | {len(those)} | {those[0]['test']} | {mean('start')} | {mean('probe')} | "
                f"{mean('before')} | **{mean('after')}** | {min(after):.3f} to {max(after):.3f} | "
                f"{np.mean([r['cpu'] for r in those]):.0f} |"
            )
    return "\n".join(rows)


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
    p.add_argument("--before", type=int, default=0, help="steps of training all layers as well, for comparison")
    p.add_argument("--test", type=int, default=240, help="most pictures to test on (person: all that are left)")
    options = p.parse_args(arguments)
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {(r["task"], r["count"], r["seed"], r["size"]) for r in lines}
    for name in options.tasks:
        wanted = [(n, s) for s in options.seeds for n in options.counts if (name, n, s, options.size) not in done]
        if not wanted:
            continue
        task = TASKS[name](options.data)
        by_label = [[p for p in task.pictures if p.label == label] for label in range(len(task.labels))]
        task.pictures = [p for those in by_label for p in those[:MOST]]
        model, start = network(task, options.size)
        plain = make_maps(model, start, task.pictures, 0, POLICIES[0], 1)
        for count, seed in wanted:
            lines.append(cell(task, plain, count, seed, options))
            with options.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()
