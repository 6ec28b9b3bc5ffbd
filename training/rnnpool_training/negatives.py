"""Hard negatives: python -m rnnpool_training.negatives MODEL --data FOLDER ... --out FOLDER.

Of the labelled pictures without a face, those on which a model is most sure of one become a folder to train on beside
the others: dogs, hands, wheels and lamps are rare among pictures that were not chosen for them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import files
from .command import command, integer, real
from .data import Sample, load
from .errors import InputError
from .relabel import LIKELY, teacher
from .train import HARD
from .versus import open_detector


def empty(samples: list[Sample]) -> list[int]:
    """Which pictures show no face: completely labelled, with no box."""
    return [i for i, s in enumerate(samples) if s.complete and not len(s.boxes) and not len(s.ignored)]


def hardest(scores: list[float], count: int, least: float) -> list[int]:
    """At most `count` of the pictures whose highest score is `least` or more, the highest first."""
    order = np.argsort(-np.array(scores), kind="stable")
    return [int(i) for i in order[:count] if scores[i] >= least]


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.negatives", description=(__doc__ or "").split("\n")[0])
    p.add_argument("model", type=Path, help="the detector: .rnnp, which the engine runs, or a float checkpoint (.pt)")
    p.add_argument("--data", type=Path, nargs="+", required=True, help="folders of labelled pictures, of faces or of "
                   "what has some (persons): those completely labelled without a box are looked at")  # fmt: skip
    p.add_argument("--teachers", type=Path, help="folder with YuNet: pictures in which it finds a face are left out")
    p.add_argument("--count", type=integer(1), default=400, help="at most so many pictures (default: %(default)s)")
    p.add_argument("--least", type=real(0, 1), default=0.3, help="the lowest score that is an alarm")
    p.add_argument("--out", type=Path, required=True, help="folder to write: labels.jsonl, and links to the pictures")
    options = p.parse_args(arguments)
    files.new_data_folder(options.out)
    detect = open_detector(options.model)
    sees = teacher(options.teachers) if options.teachers else None
    names, scores = [], []
    looked = faces = 0
    for number, folder in enumerate(options.data):
        samples = load(folder)
        for i in tqdm(empty(samples), desc="looking", unit="image", mininterval=5):
            looked += 1
            score = float(detect(samples[i].pixels).reshape(-1, 5)[:, 4].max(initial=0))
            if score < options.least:
                continue
            if sees and float(sees(samples[i].pixels)[:, 4].max(initial=0)) >= LIKELY:
                faces += 1
                continue
            names.append(f"pictures{number}/{samples[i].name}")
            scores.append(score)
    if not looked:
        raise InputError(f"{', '.join(map(str, options.data))}: no completely labelled picture without a box")
    chosen = hardest(scores, options.count, options.least)
    if not chosen:
        raise InputError(f"no alarm of {options.least:g} or more in {looked} pictures without a face")
    for number, folder in enumerate(options.data):
        files.link_folder(options.out / f"pictures{number}", folder)
    line = {"boxes": [], "source": HARD, "complete": True}
    text = "".join(json.dumps({"file": names[i], **line}) + "\n" for i in chosen)
    files.write_text(options.out / "labels.jsonl", text)
    said = {"looked at": looked, "alarms": len(scores), "with a face after all": faces, "kept": len(chosen),
            "lowest score": round(scores[chosen[-1]], 3), "out": str(options.out)}  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main()
