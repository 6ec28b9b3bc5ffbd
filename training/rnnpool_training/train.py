"""Train the face detector: python -m rnnpool_training.train --data FOLDER --val FOLDER --out FOLDER --minutes N."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from .anchors import grid
from .augment import Views, prefetch
from .data import Sample, load
from .detector import load_float, save_float, torch_detector
from .loss import Targets, detection_loss
from .metrics import Evaluation, evaluate
from .network import NETWORKS, Detector, NetworkConfig
from .quantize import QuantizedDetector
from .trainer import Trainer
from .warm_start import warm_start

# Pictures of crowds hold the small faces, pictures without faces the false alarms: both are drawn more often.
SHARES = {"webfaces": 0.56, "mask853": 0.22, "voc2007": 0.12, "udacity_ytf": 0.06, "caltech101": 0.04}
THRESHOLD = 0.5


Network = Detector | QuantizedDetector


class DetectorTrainer(Trainer[tuple[torch.Tensor, Targets]]):
    """Trains a Detector or a QuantizedDetector on labelled faces; `write` saves its averaged weights as `result`."""

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
        super().__init__(options, model, write, result)
        self.train, self.val = train, val
        self.anchors: dict[tuple[int, int], torch.Tensor] = {}

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

    def batches(self) -> Iterator[list[tuple[torch.Tensor, Targets]]]:
        """Random views, made by another thread."""
        config, options = self.model.config, self.options
        views = Views(self.train, options.seed + self.step, (config.height, config.width), SHARES)
        return prefetch(views, self._plan(), options.threads)

    def loss(self, part: tuple[torch.Tensor, Targets]) -> tuple[torch.Tensor, dict[str, float], int]:
        """Loss of the boxes and classes of one part."""
        x, targets = part
        size = (x.shape[2], x.shape[3])
        if size not in self.anchors:
            self.anchors[size] = torch.from_numpy(grid(self.model.config, *size))
        loss, parts = detection_loss(self.model(x), self.anchors[size], targets)
        return loss, parts, len(x)

    def validate(self) -> Evaluation:
        """Evaluate the averaged weights and log the result."""
        average = self.average.model
        assert isinstance(average, Detector | QuantizedDetector)
        result = evaluate(torch_detector(average, average.config), self.val)
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
    val = load(options.val, options.limit) if options.val else []
    trainer = DetectorTrainer(options, model, write_float, "float.pt", load(options.data, options.limit), val)
    result: Evaluation | None = trainer.run()
    return result


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
