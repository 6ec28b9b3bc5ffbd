"""Train the face detector: python -m rnnpool_training.train --data FOLDER --val FOLDER --out FOLDER --minutes N."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from .anchors import grid
from .augment import Views
from .command import command, integer, names, program, real
from .data import Sample, load
from .deploy import RoundedDetector
from .detector import load_float, save_float, torch_detector
from .distributed import Group
from .errors import InputError
from .loss import Targets, detection_loss
from .metrics import Evaluation, evaluate
from .network import NETWORKS, Detector, NetworkConfig
from .streaming import Memory
from .trainer import Trainer, add_options, begun
from .warm_start import warm_start

# Pictures of crowds hold the small faces, pictures without faces the false alarms: both are drawn more often.
# Without the wild sources the others keep their proportions.
SHARES = {
    "webfaces": 0.27, "mask853": 0.12, "voc2007": 0.10, "udacity_ytf": 0.03, "caltech101": 0.02,
    "wider_train": 0.32, "mafa": 0.14,
}  # fmt: skip
WILD = {"wider_train", "mafa"}
HARD = "hard"  # source of the pictures of negatives.py
THRESHOLD = 0.5


def shares(wild: float, hard: float) -> dict[str, float]:
    """A part of the views, `hard` (0 to 1), from hard negatives; of the others a part, `wild`, from the wild sources,
    and within each what SHARES says."""
    totals = {True: wild * (1 - hard), False: (1 - wild) * (1 - hard)}
    sums = {part: sum(v for k, v in SHARES.items() if (k in WILD) == part) for part in totals}
    return {HARD: hard} | {k: v * totals[k in WILD] / sums[k in WILD] for k, v in SHARES.items()}


Network = Detector | RoundedDetector


class DetectorTrainer(Trainer[tuple[torch.Tensor, Targets]]):
    """Trains a Detector or a RoundedDetector on labelled faces; `write` saves its averaged weights as `result`."""

    model: Network

    def __init__(
        self,
        options: argparse.Namespace,
        model: Network,
        write: Callable[[Path, Network], None],
        result: str,
        train: list[Sample],
        val: list[Sample],
    ) -> None:
        self.train, self.val = train, val
        self.anchors: dict[tuple[int, int], torch.Tensor] = {}
        super().__init__(options, model, write, result)

    def network(self) -> dict[str, Any]:
        """The network's description."""
        return self.model.config.to_dict()

    def pictures(self) -> Iterator[str]:
        """Names and boxes."""
        return (f"{s.name} {s.boxes.tolist()} {s.ignored.tolist() or ''}{s.complete}" for s in self.train)

    def plan(self, progress: float, chance: np.random.Generator) -> tuple[int, int, int, bool]:
        """Crops, and towards the end ever more whole frames as the device sees them."""
        config, options = self.model.config, self.options
        if chance.random() < (options.whole_late if progress > 0.8 else options.whole_early):
            return max(4, options.batch // 2), config.height, config.width, True
        return options.batch, options.crop, options.crop, False

    def views(self) -> Views:
        """Random views of the pictures."""
        config = self.model.config
        options = self.options
        size = (config.height, config.width)
        return Views(self.train, self.seed, size, shares(options.wild, options.hard), options.workers, options.plain)

    def loss(self, part: tuple[torch.Tensor, Targets]) -> tuple[torch.Tensor, dict[str, float], int]:
        """Loss of the boxes and classes of one part."""
        x, targets = part
        size = (x.shape[2], x.shape[3])
        if size not in self.anchors:
            self.anchors[size] = torch.from_numpy(grid(self.model.config, *size))
        loss, parts = detection_loss(self.model(x), self.anchors[size], targets, self.options.box_weight)
        return loss, parts, len(x)

    def validate(self) -> Evaluation:
        """Evaluate the averaged weights and log the result."""
        average = self.average.model
        assert isinstance(average, Detector | RoundedDetector)
        pictures = tqdm(self.val, desc="validating", unit="image", mininterval=5)
        result = evaluate(torch_detector(average, average.config), pictures)
        self.report({k: v for k, v in result.summary(THRESHOLD).items() if k != "recall_by_size"})
        return result


class Smoke(argparse.Action):
    """--smoke: like --help, does its work and exits, whatever else is given or missing."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Run the smoke chain."""
        from . import smoke  # which trains with this module

        smoke.main([])
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.train"), description=__doc__)
    p.add_argument(
        "--smoke", action=Smoke, nargs=0, help="run the whole chain on generated pictures (a minute), then exit"
    )
    p.add_argument("--data", required=True, nargs="+", help="folders of labelled pictures to train on")
    p.add_argument("--val", help="folder to validate on")
    p.add_argument("--classes", type=names, help="only boxes of these classes, as face,head (default: of all)")
    p.add_argument("--network", choices=sorted(NETWORKS), default="face-m4-late", help="which network of network.py")
    p.add_argument("--init", help="float checkpoint to start from, also of another network (warm_start.py)")
    p.add_argument("--crop", type=side, default=192, help="side of the training crops in pixels, a multiple of 32")
    p.add_argument("--whole-early", type=real(0, 1), default=0.05, help="part of the batches that are whole frames")
    p.add_argument("--whole-late", type=real(0, 1), default=0.5, help="the same in the last fifth")
    p.add_argument("--wild", type=real(0, 1), default=0.46, help="part of the other views that are of the wild "
                   "sources")  # fmt: skip
    p.add_argument("--hard", type=real(0, 1), default=0.06, help="part of the views that are of hard negatives, where "
                   "--data holds some (negatives.py)")  # fmt: skip
    p.add_argument(
        "--box-weight", type=real(0, 100), default=1.0, help="weight of the boxes' loss beside that of scores"
    )
    p.add_argument("--plain", type=real(0, 1), default=0.0, help="part of the views in the light they were taken in, "
                   "with no face covered")  # fmt: skip
    add_options(p, minutes=80.0, lr=5e-3, decay=5e-3, val_minutes=5.0)
    return p


def side(text: str) -> int:
    """A type for argparse: sides of crops, which the network's strides divide."""
    value = integer(64, 1024)(text)
    if value % 32:
        raise argparse.ArgumentTypeError(f"must be a multiple of 32, not {value}")
    return value


def read_data(options: argparse.Namespace) -> tuple[list[Sample], list[Sample]]:
    """The pictures to train on, and those to validate on. InputError if there are none, or no box to learn from."""
    memory = Memory(options.memory)
    val = load(options.val, options.limit, options.classes, memory) if options.val else []
    train = [sample for folder in options.data for sample in load(folder, options.limit, options.classes, memory)]
    if not any(len(sample.boxes) for sample in train):
        raise InputError(f"{', '.join(options.data)}: no box in {len(train)} pictures, nothing to learn from")
    return train, val


def write_float(path: Path, model: Network) -> None:
    """save_float for a Trainer."""
    save_float(path, model.config, model.state_dict())


def run(options: argparse.Namespace, config: NetworkConfig | None = None) -> Evaluation | None:
    """Train a float model as the command line asks; `config` replaces its network.

    InputError, OSError: what the user named can't be used. KeyboardInterrupt: stopped, with a checkpoint.
    """
    with Group().owned(Path(options.out)):
        begun(options, first=True)
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        model = Detector(config or NETWORKS[options.network])
        if options.init:
            try:
                warm_start(model, load_float(options.init))
            except ValueError as error:
                raise InputError(f"--init {options.init}: {error}") from None
        train, val = read_data(options)
        result: Evaluation | None = DetectorTrainer(options, model, write_float, "float.pt", train, val).run()
        return result


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
