"""From folders of pictures to a classifier on a device, in one command.

python -m rnnpool_training.classify FOLDER -o mine.rnnp

FOLDER holds a folder of pictures for each class, named after it; 20 to 200 pictures a class are a start. It writes
mine.rnnp, and beside it the folder mine.run with the report (report.txt, report.json, confusion.png, mistakes.png) and
the float weights (float.pt). The last line printed is one JSON object. Needs a C compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import files
from .blob import layout, write
from .classifier import Classifier, configure, load_classifier, save_classifier, warm_start
from .classify_report import Measured, confusion_picture, mistakes_picture, seconds_a_frame, what_next
from .command import command, integer, model_name, name_of, program, real
from .deploy import export
from .engine import Engine
from .engine import build as build_engine
from .errors import InputError, printable
from .few_shot import Chooser
from .few_shot.maps import Tail
from .pictures import Folders, Picture, load_folders, split
from .train import side
from .train_classifier import fit, given, probabilities
from .train_classifier import parser as train_parser

PERSON = Path(__file__).resolve().parents[2] / "models" / "person.pt"  # in a checkout
REPORT = "report.json"  # the last file of a run that is written
MOST = 512  # pixels of a side that pictures are kept with
FEW = 20  # pictures of a class below which a warning is given
UNEVEN = 5  # times that the largest class may be larger than the smallest before one is given
COMPARED = 200  # pictures on which the engine is held against the floats


def engine_probabilities(engine: Engine, pictures: list[Picture]) -> NDArray[np.float64]:
    """(N, labels) by the engine, as on the device."""
    frames = (p.pixels[:, :, 0] if p.pixels.shape[2] == 1 else p.pixels for p in pictures)
    return np.array([engine.classify(np.ascontiguousarray(f)) for f in frames]) / 32768


def check_labels(folder: Path, labels: Sequence[str]) -> None:
    """InputError if a blob can't hold these labels."""
    if len(labels) > layout.MAX_LABELS:
        raise InputError(f"{folder} has {len(labels)} classes, a blob holds up to {layout.MAX_LABELS}")
    for label in labels:
        if label != printable(label):
            raise InputError(f"{folder}: the folder name {label!r} is not UTF-8 or has control characters: no label")
    size = sum(len(label.encode()) + 1 for label in labels)
    if size > layout.MAX_LABELS_SIZE:
        raise InputError(f"{folder}: labels of {size} bytes in all, a blob holds up to {layout.MAX_LABELS_SIZE}")


def fingerprint(picture: Picture) -> str:
    """The same for pictures of the same pixels."""
    pixels = picture.pixels
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def counted(number: int, what: str) -> str:
    """1 picture is, 2 pictures are."""
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"


def without_copies(found: Folders) -> tuple[list[Picture], list[str]]:
    """The pictures, each once in its class, and warnings: copies, files left out, few or uneven pictures."""
    seen: dict[str, Picture] = {}
    kept: list[Picture] = []
    copies: list[tuple[str, str]] = []
    twins: list[tuple[str, str]] = []
    for picture in found.pictures:
        other = seen.setdefault(fingerprint(picture), picture)
        if other is picture or other.label != picture.label:
            kept.append(picture)
        if other is not picture:
            (copies if other.label == picture.label else twins).append((other.name, picture.name))
    notes = []
    if found.skipped:
        notes.append(f"{counted(len(found.skipped), 'file')} left out:")
        notes += [f"  {name}: {reason}" for name, reason in found.skipped[:20]]
        notes += [f"  and {len(found.skipped) - 20} more"] if len(found.skipped) > 20 else []
        if any(name.lower().endswith((".heic", ".heif")) for name, _ in found.skipped):
            notes.append("  HEIC files of phones: export or convert them as JPEG")
    if copies:
        notes.append(f"{counted(len(copies), 'picture')} there twice and used once, such as {' = '.join(copies[0])}")
    if twins:
        notes.append(f"warning: {counted(len(twins), 'picture')} in two classes, such as {' = '.join(twins[0])}: "
                     "one of them is wrong")  # fmt: skip
    counts = np.bincount([p.label for p in kept], minlength=len(found.labels))
    few = [f"{label} {count}" for label, count in zip(found.labels, counts, strict=True) if count < FEW]
    if few:
        others = f" and {len(few) - 8} more" if len(few) > 8 else ""
        notes.append(f"warning: below {FEW} pictures of a class the result is not to be relied on: "
                     f"{', '.join(few[:8])}{others}")  # fmt: skip
    if counts.max() > UNEVEN * counts.min():
        notes.append(
            f"warning: {found.labels[int(counts.argmax())]} has {counts.max()} pictures, "
            f"{found.labels[int(counts.argmin())]} {counts.min()}: classes count alike in training, and the balanced "
            "accuracy is the one to look at; more pictures of the small one help most"
        )
    return kept, notes


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.classify"), description=__doc__.split("\n")[0])
    p.add_argument("folder", type=Path, help="folder with a folder of pictures for each class")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument("--replace", action="store_true", help="write over it if it exists")
    p.add_argument("--val", type=Path, help="folder like it to measure on (default: cross-validation, and with --init "
                   "none a fifth of FOLDER that is not trained on)")  # fmt: skip
    p.add_argument("--size", type=side, help="side of the network's input in pixels, a multiple of 32 (default: that "
                   "of --init, 224; without 160). Smaller ones are cheaper and less accurate")  # fmt: skip
    p.add_argument("--gray", action="store_true", help="one channel instead of three")
    p.add_argument("--last-pool", choices=("average", "rnnpool"), default="average",
                   help="rnnpool: all layers are trained, which takes hundreds of pictures a class")  # fmt: skip
    p.add_argument(
        "--minutes", type=real(0, above=True), default=5, help="most wall-clock time to train (default: %(default)s)"
    )
    p.add_argument("--steps", type=integer(1), default=0, help="steps of each trained network instead (repeatable)")
    p.add_argument("--init", default=str(PERSON) if PERSON.exists() else "none",
                   help="float classifier to start from, 'none' for random weights: takes thousands of pictures "
                   "(default: %(default)s)")  # fmt: skip
    p.add_argument("--run", type=Path, help="folder for the report and the float weights (default: OUT with .run)")
    p.add_argument("--name", type=model_name, help="name in the blob (default: that of FOLDER)")
    p.add_argument("--threads", type=integer(1), default=2)
    p.add_argument("--seed", type=integer(0), default=1)
    return p


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


def started(options: argparse.Namespace) -> Classifier | None:
    """The network of --init, whose input has --size pixels a side if nobody said another. InputError, OSError."""
    if options.init == "none":
        options.size = options.size or 160
        return None
    source = load_classifier(options.init)
    options.size = options.size or source.config.height
    if options.last_pool == "average":
        same = Classifier(configure(options.size, options.gray, source.config.labels))
        left = warm_start(same, source)
        if left:
            raise InputError(f"--init {options.init} is a network of another shape: {', '.join(left[:3])} do not fit")
    return source


def few_shot(options: argparse.Namespace, model: Classifier, source: Classifier, pictures: list[Picture],
             folder: Path) -> dict[str, Any]:  # fmt: skip
    """From the start's weights; the probabilities are those of cross-validation."""
    warm_start(model, source)
    model.eval()
    begun = time.monotonic()

    def told(text: str) -> None:
        say(f"{time.monotonic() - begun:5.0f} s  {text}")

    def keep(tail: Tail) -> None:
        tail.put_into(model)
        save_classifier(folder / "float.pt", model)

    chooser = Chooser(model, source.dense, pictures, minutes=options.minutes, steps=options.steps,
                      threads=options.threads, seed=options.seed, say=told, safe=keep)  # fmt: skip
    outcome = chooser.run()
    keep(outcome.tail)
    scaled = np.exp(outcome.logits - outcome.logits.max(2, keepdims=True))
    held = [chooser.pictures[i] for i in outcome.held]
    how = f"cross-validation in {len(chooser.tried)} of {int(chooser.folds[0].max()) + 1} parts"
    how += f", mean of {len(scaled)} repetitions" if len(scaled) > 1 else ""
    return {"probabilities": scaled / scaled.sum(2, keepdims=True), "pictures": held, "chosen": outcome.chosen,
            "candidates": outcome.candidates, "how": how}  # fmt: skip


def from_nothing(options: argparse.Namespace, model: Classifier, pictures: list[Picture], val: list[Picture] | None,
                 folder: Path) -> dict[str, Any]:  # fmt: skip
    """Train all layers, from random weights or from --init."""
    train, held = (pictures, val) if val else split(pictures, 0.2, options.seed)
    init = "" if options.init == "none" else options.init
    say(f"all layers are trained on {len(train)} pictures" + ("" if init else ", from random weights: for thousands"))
    arguments = ["--data", "", "--val", "held back", "--out", str(folder), "--sizes", "fixed", "--balanced",
                 "--minutes", str(options.minutes), "--steps", str(options.steps), "--threads", str(options.threads),
                 "--seed", str(options.seed), "--lr", "2e-3" if init else "4e-3", "--init", init,
                 "--val-minutes", "5", "--count-validation", "--log-every", "10"]  # fmt: skip
    for left in ("last.pt", "log.csv", "val.csv"):  # of another run
        (folder / left).unlink(missing_ok=True)
    training = train_parser().parse_args(arguments)
    fit(training, model, train, held, given(training))
    trained = load_classifier(folder / "float.pt")
    model.load_state_dict(trained.state_dict())
    model.eval()
    size = (model.config.height, model.config.width)
    return {"probabilities": probabilities(model, held, size), "pictures": held, "chosen": "all layers",
            "how": f"{len(held)} pictures that it was not trained on"}  # fmt: skip


def checked_outputs(options: argparse.Namespace) -> Path:
    """The folder of the run, if it and the blob can be written and nothing is lost by it. InputError, OSError."""
    files.check_output(options.out, kind=files.BLOB)
    if options.out.exists() and not options.replace:
        raise InputError(f"-o {options.out} exists: name another file, or say --replace")
    folder: Path = files.check_folder(options.run or beside(options.out))
    if options.run and folder.is_dir() and any(folder.iterdir()) and not (folder / REPORT).exists():
        raise InputError(f"--run {folder} holds files that are no run of classify's: choose a new or an empty folder")
    for pictures in filter(None, (options.folder, options.val)):
        for written in (options.out, folder):  # the report's pictures would be those of a class the next time
            if pictures.is_dir() and pictures.resolve() in (written.resolve(), *written.resolve().parents):
                raise InputError(f"{written} would lie in {pictures}, whose pictures are read: choose another folder")
    return folder


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, quantize, export, measure and report. InputError for what can't be used."""
    folder = checked_outputs(options)
    source = started(options)
    name = options.name or name_of(options.folder.resolve().name)
    data = read(options)
    build_engine()  # now, not after the training, it is said if there is no compiler
    with files.owned(folder):
        return _train(options, name, source, data, folder)


class Data(NamedTuple):
    """What is learned from, and measured on if --val says it. found: what was in FOLDER."""

    found: Folders
    pictures: list[Picture]
    val: list[Picture] | None


def read(options: argparse.Namespace) -> Data:
    """The pictures in FOLDER and in --val; says what is strange. InputError for what can't be used."""
    channels = 1 if options.gray else 3
    say(f"reading the pictures in {options.folder}")
    found = load_folders(options.folder, channels, MOST)
    labels = found.labels
    check_labels(options.folder, labels)
    pictures, notes = without_copies(found)
    for note in notes:
        say(note)
    val: list[Picture] | None = None
    if options.val:
        val, others, skipped = load_folders(options.val, channels, MOST)
        if others != labels:
            raise InputError(f"{options.val} has the classes {others}, {options.folder} {labels}")
        trained = {fingerprint(p) for p in pictures}
        known = [p.name for p in val if fingerprint(p) in trained]
        if known:
            say(f"warning: {len(known)} of the {len(val)} pictures in {options.val} are trained on, too, such as "
                f"{known[0]}: what is measured on them is too good")  # fmt: skip
        if skipped:
            say(f"{len(skipped)} files in {options.val} are left out, the first: {': '.join(skipped[0])}")
    counts = np.bincount([p.label for p in pictures], minlength=len(labels))
    if counts.min() < 2:
        raise InputError(f"a class needs two pictures or more, {labels[int(counts.argmin())]} has {counts.min()}")
    listed = ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
    say(f"{len(pictures)} pictures of {len(labels)} classes: {listed}")
    return Data(found, pictures, val)


def _train(
    options: argparse.Namespace, name: str, source: Classifier | None, data: Data, folder: Path
) -> dict[str, Any]:
    (found, pictures, val), labels = data, data.found.labels
    model = Classifier(configure(options.size, options.gray, labels, options.last_pool))
    if source is None or options.last_pool == "rnnpool":
        made = from_nothing(options, model, pictures, val, folder)
    else:
        made = few_shot(options, model, source, pictures, folder)
        if val:
            made.update(probabilities=probabilities(model, val, (options.size, options.size)), pictures=val,
                        how=f"the {len(val)} pictures in {options.val}")  # fmt: skip
    measured = Measured(made["probabilities"], np.array([p.label for p in made["pictures"]]), labels)
    say("quantizing, and choosing what stays in memory")
    try:
        blob = write(export(model, pictures, name, seed=options.seed))
    except ValueError as error:  # of weights that do not fit into integers
        raise InputError(f"{folder / 'float.pt'} can't be exported: {error}") from None
    kept = folder / f"{options.out.stem}.kept.rnnp"
    files.write_bytes(kept, blob)
    try:
        files.write_bytes(options.out, blob)
    except OSError as error:
        raise InputError(f"{options.out} can't be written: {error.strerror}; the model is in {kept}") from None
    kept.unlink()
    engine = Engine(blob)
    # Cross-validated predictions are of other networks: the engine is then compared on the pictures trained on.
    crossed = not val and made["chosen"] != "all layers"
    seconds = seconds_a_frame(sum(op.macs for op in engine.ops()))
    result = {"blob": str(options.out), "bytes": len(blob), "arena": engine.arena_size(), "labels": labels,
              "seconds": seconds and round(seconds, 4),
              "trained on": len(pictures) - (0 if val or crossed else len(made["pictures"])),
              "chosen": made["chosen"], "measured": made["how"], "float": measured.summary(),
              "engine": _engine(engine, model, pictures if crossed else made["pictures"], options),
              "left out": [list(pair) for pair in found.skipped], "candidates": made.get("candidates", [])}  # fmt: skip
    _report(measured, made, result, folder, options.out)
    return result


def _engine(engine: Engine, model: Classifier, pictures: list[Picture], options: argparse.Namespace) -> dict[str, Any]:
    # The engine against the floats on some pictures, and against the numpy reference by the blob's golden check.
    chosen = np.random.default_rng(options.seed).permutation(len(pictures))[:COMPARED]
    shown = [pictures[i] for i in sorted(chosen)]
    truth = np.array([p.label for p in shown])
    mine = engine_probabilities(engine, shown).argmax(1)
    floats = probabilities(model, shown, (options.size, options.size)).argmax(1)
    return {"images": len(shown), "accuracy": round(float((mine == truth).mean()), 4),
            "float accuracy": round(float((floats == truth).mean()), 4),
            "agree": int((mine == floats).sum()), "equals the reference": engine.golden_check()}  # fmt: skip


def _report(measured: Measured, made: dict[str, Any], result: dict[str, Any], folder: Path, out: Path) -> None:
    engine = result["engine"]
    confusion_picture(measured, folder / "confusion.png")
    count = mistakes_picture(measured, made["pictures"], folder / "mistakes.png")
    lines = ["", measured.text(made["how"]), ""]
    lines += [f"  {c['candidate']:<25} balanced accuracy {c['balanced accuracy']:.3f}, loss {c['loss']:.3f}"
              + (" (chosen)" if c["candidate"] == made["chosen"] else "") for c in result["candidates"]]  # fmt: skip
    lines += [
        "",
        f"engine and floats agree on {engine['agree']} of {engine['images']} pictures "
        f"(accuracy {engine['accuracy']:.3f} and {engine['float accuracy']:.3f}); "
        f"the engine {'equals' if engine['equals the reference'] else 'DOES NOT EQUAL'} "
        "the integer reference",
        f"{out}: {result['bytes']:,} bytes, {result['arena']:,} bytes of RAM",
        f"{count} mistakes are shown in {folder / 'mistakes.png'}, the confusions in {folder / 'confusion.png'}",
        "",
        what_next(out, result["arena"], result["bytes"], result["seconds"]),
    ]
    text = "\n".join(lines)
    files.write_text(folder / "report.txt", text.lstrip() + "\n")
    files.write_text(folder / REPORT, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    say(text)


def beside(out: Path) -> Path:
    """The folder of a run that no other model's shares: mine.run of mine.rnnp, mine.txt.run of mine.txt."""
    return out.with_name(f"{out.name.removesuffix('.rnnp')}.run")


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = parser().parse_args(arguments)
    begun = time.time()
    try:
        result = run(options)
    except KeyboardInterrupt:
        kept = (options.run or beside(options.out)) / "float.pt"
        own = kept.exists() and kept.stat().st_mtime >= begun  # not those of an earlier run
        raise KeyboardInterrupt(f"stopped; float weights so far: {kept}" if own else "stopped") from None
    print(json.dumps(result))


if __name__ == "__main__":
    main()
