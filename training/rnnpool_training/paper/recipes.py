"""The paper's trainings by name: python -m rnnpool_training.paper.recipes imagenet-10 --data TRAIN --val VAL --out RUN.

A network of the zoo, trained as the paper's appendix G says: SGD with momentum 0.9, weight decay 4e-5, a learning rate
that falls as a cosine, the weights of the epoch that is best in validation. What the paper leaves open is as in
EdgeML's example for Visual Wake Words: windows of a fifth to all of a picture, mirrored or not; for validation the
middle of 7/8 of the picture's shorter side. Without a name it prints the recipes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .. import checkpoint, files, zoo
from ..augment import Views
from ..command import command, integer, real
from ..compile.fold import Normalization
from ..data import jsonl, load
from ..edgeml.wakeword import MEAN, STD
from ..errors import InputError
from ..images import SUFFIXES, read
from ..metrics import evaluate
from ..pictures import _files
from ..streaming import DEFAULT, Memory
from ..zoo import s3fd, saved

# ImageNet-10's folders: CIFAR-10's classes (paper, table 6). n02430045 is of ImageNet-22K only.
IMAGENET_10 = {
    "n02690373": "airliner", "n04285008": "sports car", "n01560419": "bulbul", "n02124075": "Egyptian cat",
    "n02430045": "deer", "n02099601": "golden retriever", "n01641577": "bullfrog", "n03538406": "horse cart",
    "n03673027": "ocean liner", "n04467665": "trailer truck",
}  # fmt: skip
MOMENTUM, DECAY = 0.9, 4e-5
LEAST = 0.2  # part of a picture that a window has
MIDDLE = 224 / 256


@dataclass(frozen=True)
class Recipe:
    """A network of the zoo, its data, and the paper's numbers. classes: how many; folders: their names, if fixed."""

    network: str
    what: str
    classes: int
    epochs: int
    size: int = 224
    batch: int = 256
    rate: float = 0.05
    warm_up: int = 0  # epochs
    folders: tuple[str, ...] = ()


RECIPES = {
    "coco-vww": Recipe("vww-rnnpool", "labels.jsonl with labels 0 and 1 (rnnpool_training.coco)", 2, 150),
    "imagenet-10": Recipe("mobilenetv2-rnnpool", "a folder for each of ten ImageNet ids", 10, 300,
                          folders=tuple(IMAGENET_10)),
    "imagenet-1k": Recipe("mobilenetv2-1k-rnnpool", "a folder for each of ImageNet's 1,000 ids", 1000, 150),
    "wider": Recipe("face-m4", "WIDER_train, WIDER_val (docs/paper.md)", 2, 300, 320, 32, 0.01, 5),
    "scut": Recipe("face-m4", "ImageSets/Main/trainval.txt, test.txt; --init of wider", 2, 300, 320, 32, 0.01, 5),
}  # fmt: skip


class Pictures(Dataset[tuple[Tensor, int]]):
    """Files and their classes; each is read when it is used. windows: random ones, mirrored or not; else the middle."""

    def __init__(self, items: Sequence[tuple[Path, int]], size: int, windows: bool) -> None:
        self.items, self.size, self.windows = items, size, windows

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        path, label = self.items[i]
        image = Image.fromarray(read(path, 3))
        box = window(image.width, image.height) if self.windows else middle(image.width, image.height)
        pixels = np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR, box), np.float32)
        if self.windows and float(torch.rand(())) < 0.5:
            pixels = pixels[:, ::-1]
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1) / 255
        return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None], label


def window(width: int, height: int) -> tuple[float, float, float, float]:
    """A random window of LEAST to all of a picture's area, of a shape from 3:4 to 4:3, as left, top, right, bottom."""
    part, shape, x, y = torch.rand(4).tolist()
    area = width * height * (LEAST + (1 - LEAST) * part)
    ratio = math.exp(math.log(4 / 3) * (2 * shape - 1))
    w, h = min(width, math.sqrt(area * ratio)), min(height, math.sqrt(area / ratio))
    left, top = x * (width - w), y * (height - h)
    return left, top, left + w, top + h


def middle(width: int, height: int) -> tuple[float, float, float, float]:
    """The square in the middle of a picture, of MIDDLE of its shorter side, as left, top, right, bottom."""
    half = min(width, height) * MIDDLE / 2
    return width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half


def items(folder: Path, recipe: Recipe) -> list[tuple[Path, int]]:
    """The pictures of a folder and their classes. InputError if they are not those of the recipe."""
    if (folder / jsonl.NAME).is_file():
        found = [(r.path, r.label) for r in jsonl.read(folder)]
        wrong = [label for _, label in found if not 0 <= label < recipe.classes]
        if wrong or not found:
            raise InputError(f"{folder}: labels must be 0 to {recipe.classes - 1}, is {wrong[0] if wrong else 'none'}")
        return found
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    missing = sorted(set(recipe.folders) - set(names))
    if missing or len(names) != recipe.classes:
        said = f", without {', '.join(missing)}" if missing else ""
        raise InputError(f"{folder} holds {len(names)} folders{said}: {recipe.what} is needed, {recipe.classes} in all")
    found = [(p, i) for i, n in enumerate(names) for p in _files(folder / n) if p.suffix.lower() in SUFFIXES]
    empty = sorted(set(range(len(names))) - {label for _, label in found})
    if empty:
        raise InputError(f"{folder / names[empty[0]]} holds no picture ({' '.join(SUFFIXES)})")
    return found


def rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate at a moment, in epochs: up in a line over the warm-up, then down as half a cosine."""
    if epoch < recipe.warm_up:
        return recipe.rate * epoch / recipe.warm_up
    return recipe.rate * (1 + math.cos(math.pi * (epoch - recipe.warm_up) / (recipe.epochs - recipe.warm_up))) / 2


class Classes:
    """Classification: random windows of the pictures, cross entropy, the part of the pictures that is right."""

    measured = "accuracy"
    normalization = Normalization(MEAN, STD)

    def __init__(self, recipe: Recipe, data: Path, val: Path, workers: int) -> None:
        train, held = items(data, recipe), items(val, recipe)
        if len(train) < recipe.batch:
            raise InputError(f"{data} holds {len(train)} pictures, --batch is {recipe.batch}")
        kind: dict[str, Any] = {"num_workers": workers, "batch_size": recipe.batch}
        self.train = DataLoader(Pictures(train, recipe.size, True), shuffle=True, drop_last=True, **kind)
        self.held = DataLoader(Pictures(held, recipe.size, False), **kind)
        self.steps = len(self.train)

    def batches(self, epoch: int) -> Iterable[Any]:
        """Those of an epoch."""
        return self.train

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Of one batch."""
        return F.cross_entropy(net(batch[0]), batch[1])

    @torch.no_grad()
    def measure(self, network: saved.Saved) -> float:
        """Part of the pictures whose best class is right."""
        right = [int((network.module(x).argmax(1) == y).sum()) for x, y in self.held]
        return sum(right) / len(self.held.dataset)  # type: ignore[arg-type]


class Faces:
    """Detection on gray pictures: views as `rnnpool train` makes them, S3FD's loss, average precision at an IoU of 0.5.

    The paper's code has views of its own; the rest is the paper's.
    """

    measured = "ap50"
    normalization = Normalization((128 / 255,), (128 / 255,))

    def __init__(self, recipe: Recipe, data: Path, val: Path, workers: int) -> None:
        memory = Memory(DEFAULT)
        self.train, self.held = (load(folder, memory=memory) for folder in (data, val))
        if not any(len(sample.boxes) for sample in self.train):
            raise InputError(f"{data}: no box in {len(self.train)} pictures, nothing to learn from")
        self.recipe, self.workers = recipe, workers
        self.shape = zoo.entry(recipe.network).shape
        self.steps = max(1, len(self.train) // recipe.batch)
        self.anchors = zoo.build(recipe.network).anchors.grid(recipe.size, recipe.size)  # type: ignore[operator, union-attr]

    def batches(self, epoch: int) -> Iterable[Any]:
        """Those of an epoch, as many views as there are pictures."""
        views = Views(self.train, epoch, self.shape[1:], None, self.workers)
        for _ in range(self.steps):
            yield views.batch(self.recipe.batch, self.recipe.size, self.recipe.size)

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Of one batch."""
        return s3fd.loss(net(batch[0]), self.anchors, batch[1])

    def measure(self, network: saved.Saved) -> float:
        """Average precision."""
        return evaluate(saved.detector(network), self.held).average_precision()


class Run:
    """One training in a folder: last.pt to go on, best.pt with the best weights so far, log.jsonl, a line an epoch."""

    def __init__(
        self, recipe: Recipe, options: argparse.Namespace, task: Callable[[Recipe, Path, Path, int], Classes | Faces]
    ) -> None:
        self.recipe, self.out = recipe, files.make_folder(options.out)
        last = self.out / "last.pt"
        if last.exists() != options.resume:
            raise InputError(f"{last} is {'there: go on with --resume' if last.exists() else 'not there to resume'}")
        self.task = task(recipe, options.data, options.val, options.workers)  # minutes for many pictures
        torch.manual_seed(options.seed)
        self.arguments = {} if recipe.classes == 2 else {"classes": recipe.classes}
        self.net = zoo.build(recipe.network, **self.arguments)
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), lr=recipe.rate, momentum=MOMENTUM, weight_decay=DECAY
        )  # fmt: skip
        self.epoch, self.best = 0, 0.0
        if options.resume:
            self._restore(last)
        elif options.init:
            before = saved.load(options.init)
            if before.network != recipe.network:
                raise InputError(f"{options.init} is {before.network}, {recipe.network} is trained")
            checkpoint.fill(options.init, self.net, before.module.state_dict())

    def network(self) -> saved.Saved:
        """The network as it is, in evaluation mode."""
        return saved.Saved(self.recipe.network, self.net.eval(), self.task.normalization, self.arguments)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            before = state["recipe"]
        except Exception as error:  # of many kinds
            raise InputError(f"{path} can't be read: {str(error).splitlines()[0][:100]}") from None
        if before != self._identity():
            raise InputError(f"{path} is of another training: {before}, not {self._identity()}")
        checkpoint.fill(path, self.net, state["net"])
        self.optimizer.load_state_dict(state["sgd"])
        self.epoch, self.best = state["epoch"], state["best"]
        torch.set_rng_state(state["random"])

    def _identity(self) -> str:
        return json.dumps(vars(self.recipe))

    def train(self) -> float:
        """One epoch: the mean loss. InputError if it is not finite."""
        self.net.train()
        total, steps = 0.0, self.task.steps
        shown = tqdm(self.task.batches(self.epoch), f"epoch {self.epoch + 1}", steps, unit="batch", mininterval=5)
        for i, batch in enumerate(shown):
            for group in self.optimizer.param_groups:
                group["lr"] = rate(self.recipe, self.epoch + (i + 1) / steps)
            loss = self.task.loss(self.net, batch)
            if not math.isfinite(loss.item()):
                raise InputError(f"the loss is {loss.item()} in epoch {self.epoch + 1}: {self.out} keeps the last one")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.epoch += 1
        return total / steps

    def save(self, loss: float, right: float) -> None:
        """The files, after an epoch."""
        line = {"epoch": self.epoch, "loss": round(loss, 5), self.task.measured: round(right, 5)}
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        if right >= self.best:
            self.best = right
            saved.save(self.out / "best.pt", self.network())
        state: dict[str, Any] = {"recipe": self._identity(), "net": self.net.state_dict(), "epoch": self.epoch}
        state |= {"sgd": self.optimizer.state_dict(), "best": self.best, "random": torch.get_rng_state()}
        checkpoint.save(self.out / "last.pt", state)


def table() -> str:
    """The recipes, for people."""
    lines = [f"{'':12} {'network':24} {'epochs':>6} {'batch':>6} {'rate':>6}  data"]
    lines += [f"{n:12} {r.network:24} {r.epochs:6} {r.batch:6} {r.rate:6}  {r.what}" for n, r in RECIPES.items()]
    return "\n".join(lines)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(
        prog="python -m rnnpool_training.paper.recipes", description=(__doc__ or "").split(":")[0]
    )  # fmt: skip
    p.add_argument("recipe", nargs="?", choices=RECIPES, help="without one they are printed")
    p.add_argument("--data", type=Path, help="pictures to train on")
    p.add_argument("--val", type=Path, help="pictures to validate on")
    p.add_argument("--out", type=Path, help="folder of the run")
    p.add_argument("--network", help="another network of the zoo")
    p.add_argument("--epochs", type=integer(1), help="instead of the paper's")
    p.add_argument("--batch", type=integer(2), help="instead of the paper's")
    p.add_argument("--lr", type=real(0, above=True), help="instead of the paper's")
    p.add_argument("--size", type=integer(32, 1024), help="side of the pictures instead of the paper's")
    p.add_argument("--seed", type=integer(0), default=1)
    p.add_argument("--workers", type=integer(0, 256), default=2, help="processes that read pictures")
    p.add_argument("--init", type=Path, help="weights to begin with: best.pt of another run")
    p.add_argument("--resume", action="store_true", help="go on from OUT/last.pt")
    options = p.parse_args(arguments)
    if options.recipe is None:
        print(table())
        return
    if not (options.data and options.val and options.out):
        raise InputError(f"{options.recipe} needs --data, --val ({RECIPES[options.recipe].what}) and --out")
    given = {"network": options.network, "epochs": options.epochs, "batch": options.batch, "rate": options.lr}
    given["size"] = options.size
    recipe = Recipe(**{**vars(RECIPES[options.recipe]), **{k: v for k, v in given.items() if v is not None}})
    wanted = zoo.entry(RECIPES[options.recipe].network)
    network = zoo.entry(recipe.network)
    if network.kind != wanted.kind or network.shape[0] != wanted.shape[0]:
        raise InputError(
            f"{recipe.network} is a {network.kind} of {network.shape[0]} channels, {options.recipe} trains "
            f"{wanted.kind}s of {wanted.shape[0]}"
        )
    with files.owned(options.out):
        run = Run(recipe, options, Classes if network.kind == "classifier" else Faces)
        while run.epoch < recipe.epochs:
            loss = run.train()
            right = run.task.measure(run.network())
            run.save(loss, right)
            said = f"loss {loss:.4f}, {run.task.measured} {right:.4f}"
            print(f"epoch {run.epoch} of {recipe.epochs}: {said}", file=sys.stderr)
    print(json.dumps({"recipe": options.recipe, **vars(recipe), f"best_{run.task.measured}": run.best}))


if __name__ == "__main__":
    main()
