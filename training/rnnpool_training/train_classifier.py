"""Train a classifier: python -m rnnpool_training.train_classifier --data FOLDER --val FOLDER --out FOLDER."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from . import checkpoint
from .classification_metrics import summary
from .classifier import CLASSIFIERS, Classifier, Supervised, configure, load_classifier, save_classifier, warm_start
from .classifier_views import ClassifierViews, Part
from .command import command, integer, real
from .distributed import Group
from .errors import InputError
from .pictures import Picture, frame, load_sets, load_unlabelled
from .streaming import Memory
from .teacher import Teacher
from .train import side
from .trainer import Trainer, add_options, begun

# Parts of the run, and the sizes (pixels) that its batches have: small ones first, where a view costs a third.
SIZES = ((0.45, (96, 128, 160)), (0.75, (128, 160, 192)), (1.01, (160, 192, 224)))


def dense_loss(heads: Sequence[Tensor], part: Part) -> Tensor:
    """Of the auxiliary heads: cross entropy of the cover, and the distances to the sides on covered cells."""
    total = part.pixels.new_zeros(())
    cover, sides, known = part.cover[:, None], part.sides, part.known[:, None]
    for out in heads:
        factor = cover.shape[2] // out.shape[2]
        if factor > 1:
            inside = F.avg_pool2d((cover > 0.5).float(), factor)
            sides = F.avg_pool2d(sides * (cover > 0.5), factor) / inside.clamp(min=1e-3)
            cover, known = F.avg_pool2d(cover, factor), F.avg_pool2d(known, factor)
        logits = F.binary_cross_entropy_with_logits(out[:, :1], cover, reduction="none")
        total = total + (logits * known).sum() / known.sum().clamp(min=1)
        inside = ((cover > 0.5) & (known > 0)).float()
        error = F.smooth_l1_loss(out[:, 1:], sides, reduction="none", beta=0.1).sum(1, keepdim=True)
        total = total + 0.5 * (error * inside).sum() / inside.sum().clamp(min=1)
    return total


@torch.no_grad()
def probabilities(model: Classifier, pictures: list[Picture], size: tuple[int, int]) -> NDArray[np.float64]:
    """(N, labels), each picture as the device sees it at (height, width)."""
    result = []
    for start in range(0, len(pictures), 16):
        pixels = np.stack([frame(p.pixels, *size) for p in pictures[start : start + 16]])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub_(128).div_(128)
        result.append(torch.softmax(model(x).double(), 1).numpy())
    return np.concatenate(result)


class ClassifierTrainer(Trainer[Part]):
    """Trains a Supervised classifier on pictures."""

    model: Supervised
    LEAST = 2  # batch normalization of the last, small maps

    def __init__(
        self, options: argparse.Namespace, model: Supervised, train: list[Picture], val: list[Picture],
        teacher: Teacher | None = None,
    ) -> None:  # fmt: skip
        self.train, self.val = train, val
        self.teacher = teacher
        if self.teacher:
            right = self.teacher.calibrate(train)
            slope, offset = self.teacher.slope, self.teacher.offset
            said = f"--teacher {options.teacher}: {100 * right:.1f} % right on the labelled pictures"
            tqdm.write(f"{said}, logits times {slope:.3f} plus {offset:.3f}", file=sys.stderr)
        super().__init__(options, model, lambda path, m: save_classifier(path, m.model), "float.pt")

    def network(self) -> dict[str, Any]:
        """The network's description."""
        return self.model.model.config.to_dict()

    def pictures(self) -> Iterator[str]:
        """Names, labels and boxes."""
        return (f"{p.name} {p.label} {None if p.boxes is None else p.boxes.tolist()}" for p in self.train)

    def plan(self, progress: float, chance: np.random.Generator) -> tuple[int, int, int]:
        """Sizes of the views; a batch of any size costs about the same."""
        options, config = self.options, self.model.model.config
        if options.sizes == "fixed":
            return options.batch, config.height, config.width
        choice: tuple[int, ...]
        if options.sizes == "progressive":
            choice = next(sizes for until, sizes in SIZES if progress < until)
        else:
            choice = tuple(int(side) for side in options.sizes.split(","))
        side = int(chance.choice(choice))
        return min(64, round(options.batch * (160 / side) ** 2)), side, side

    def views(self) -> ClassifierViews:
        """Random views of the pictures."""
        options = self.options
        channels = self.model.model.config.channels
        return ClassifierViews(
            self.train, self.seed, channels, options.whole, balanced=options.balanced, plain=options.plain,
            teacher=self.teacher, unlabelled=options.unlabelled_part, workers=options.workers,
            gray=options.gray_views, replay=options.replay, mixed=options.mixed,
        )  # fmt: skip

    def loss(self, part: Part) -> tuple[Tensor, dict[str, float], int]:
        """Cross entropy with smoothed labels and with the teacher's soft ones, and the auxiliary heads' loss."""
        logits, heads, inner = self.model(part.pixels)
        each = F.cross_entropy(logits, part.labels, reduction="none", label_smoothing=self.options.smoothing)
        label = (each * part.weights).sum() / part.weights.sum().clamp(min=1)
        dense = dense_loss(heads, part)
        right = ((logits.argmax(1) == part.labels) * part.weights).sum() / part.weights.sum().clamp(min=1)
        values = {"label": label.item(), "dense": dense.item(), "right": right.item()}
        total = label + self.options.dense * dense
        if part.soft is not None:
            distil = F.cross_entropy(logits, torch.stack([1 - part.soft, part.soft], 1))
            values["distil"] = distil.item()
            total = total + self.options.distil * distil
        if inner is not None and part.inner is not None:
            apart = F.mse_loss(inner, part.inner)
            values["inner"] = apart.item()
            total = total + self.options.inner * apart
        return total, values, len(part.pixels)

    def validate(self) -> dict[str, Any]:
        """Accuracy and AUC of the averaged weights, at the deployed size and, in a progressive run, at others."""
        model = self.average.model.model
        assert isinstance(model, Classifier)
        truth = np.array([p.label for p in self.val])
        config = model.config
        result = summary(probabilities(model, self.val, (config.height, config.width)), truth)
        row = dict(result)
        if self.options.sizes != "fixed":
            for side in (128, 160, 192):
                other = summary(probabilities(model, self.val, (side, side)), truth)
                row.update({f"{k}_{side}": other[k] for k in ("accuracy", "auc")})
        self.report(row)
        return result


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.train_classifier", description=__doc__)
    p.add_argument("--data", required=True, nargs="+", help="folders to train on, with labels.jsonl and images/, or "
                   "with a folder of pictures for each class")  # fmt: skip
    p.add_argument("--val", help="folder like these to validate on")
    p.add_argument("--network", choices=CLASSIFIERS, default="vww-slim", help="(default: %(default)s)")
    p.add_argument("--size", type=side, default=224, help="side of the deployed input in pixels, a multiple of 32")
    p.add_argument("--gray", action="store_true", help="one channel instead of three")
    p.add_argument("--last-pool", choices=("average", "rnnpool"), default="average")
    p.add_argument("--init", help="float checkpoint to start from, or last.pt of another run")
    p.add_argument("--sizes", type=sides, default="progressive", help="sides of the views: 'progressive' (96 to 224 "
                   "pixels, small ones first), 'fixed' (the deployed size), or some, as 160,192,224")  # fmt: skip
    p.add_argument("--whole", type=real(0, 1), default=0.35, help="part of the views that show their whole picture")
    p.add_argument("--plain", type=real(0, 1), default=0.0, help="part of the views in the light they were taken in, "
                   "with no part missing")  # fmt: skip
    p.add_argument("--teacher", help="a .tflite classifier of the same two labels that gives every view a soft label")
    p.add_argument("--distil", type=real(0), default=1.0, help="weight of the cross entropy with the teacher's labels")
    p.add_argument("--inner", type=real(0), default=0.0, help="weight of the squared distance to what the teacher's "
                   "last layer takes, told by another dense layer that is left out in the end")  # fmt: skip
    p.add_argument("--replay", type=integer(1, 100), default=1, help="batches that a view comes in, on average; a run "
                   "that is resumed begins with new ones")  # fmt: skip
    p.add_argument("--mixed", type=real(0, 1), default=0.0, help="part of the views that are two, one seen through the "
                   "other; only the teacher says what they show")  # fmt: skip
    p.add_argument("--frozen", action="store_true", help="the first convolution and RNNPool stay as they are")
    p.add_argument("--gray-views", type=real(0, 1), default=0.0, help="part of the views without colour")
    p.add_argument("--unlabelled", nargs="+", default=[], help="folders of pictures without labels, for the teacher's")
    p.add_argument("--unlabelled-part", type=real(0, 0.9), default=0.4, help="part of the views that are of those")
    p.add_argument("--balanced", action="store_true", help="draw pictures of all classes alike")
    p.add_argument("--smoothing", type=real(0, 1), default=0.1, help="label smoothing")
    p.add_argument("--dense", type=real(0), default=1.0, help="weight of the auxiliary heads' loss")
    p.add_argument("--dropout", type=real(0, 1), default=0.2)
    add_options(p, minutes=90.0, lr=4e-3, decay=0.02, val_minutes=6.0)
    return p


def sides(text: str) -> str:
    """A type for argparse: progressive, fixed, or sides of views with commas between them."""
    if text not in ("progressive", "fixed"):
        for one in text.split(","):
            side(one)
    return text


class Given(NamedTuple):
    """What a training starts with beside pictures. weights: a network's, or those of a run."""

    teacher: Teacher | None
    weights: Classifier | dict[str, Any] | None


def given(options: argparse.Namespace) -> Given:
    """What the command line names; read before the pictures, which can take minutes. InputError, OSError."""
    weights: Classifier | dict[str, Any] | None = None
    if options.init:
        kind, state = checkpoint.load(options.init, checkpoint.FLOAT_CLASSIFIER, checkpoint.RUN)
        weights = state["ema"] if kind == checkpoint.RUN else load_classifier(options.init)
    return Given(Teacher(options.teacher, options.inner > 0) if options.teacher else None, weights)


def fit(
    options: argparse.Namespace, model: Classifier, train: list[Picture], val: list[Picture], start: Given
) -> dict[str, Any] | None:
    """Train a model on pictures; the result is in options.out, the accuracy on `val` returned if options.val is set.

    Errors as of train.run.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    teacher = start.teacher
    supervised = Supervised(model, options.dropout, teacher.width if teacher else 0, options.frozen)
    if isinstance(start.weights, Classifier):
        warm_start(model, start.weights)
    elif start.weights is not None:
        checkpoint.fill(options.init, supervised, start.weights)
    result: dict[str, Any] | None = ClassifierTrainer(options, supervised, train, val, teacher).run()
    return result


def run(options: argparse.Namespace) -> dict[str, Any] | None:
    """Train a float classifier as the command line asks. Errors as of train.run."""
    if options.inner and not options.teacher:
        raise InputError(f"--inner {options.inner:g} needs a --teacher, whose last layer is learned from")
    if options.mixed and not options.teacher:
        raise InputError(f"--mixed {options.mixed:g} needs a --teacher, which says what two pictures in one show")
    if options.unlabelled and not options.teacher:
        raise InputError("--unlabelled needs a --teacher: pictures without labels have nothing else to learn from")
    with Group().owned(options.out):
        begun(options, first=True)
        start = given(options)
        torch.manual_seed(options.seed)
        channels = 1 if options.gray else 3
        memory = Memory(options.memory)
        folders = [options.val] * bool(options.val) + options.data
        labels, sets = load_sets(folders, channels, options.limit, memory)
        val = sets.pop(0) if options.val else []
        train = [picture for pictures in sets for picture in pictures]
        train += [p for folder in options.unlabelled for p in load_unlabelled(folder, channels, options.limit)]
        config = configure(options.size, options.gray, labels, options.last_pool, options.network)
        return fit(options, Classifier(config), train, val, start)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
