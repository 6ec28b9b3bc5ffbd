"""Quantize a float checkpoint and fine-tune it through the rounding.

python -m rnnpool_training.finetune FLOAT.pt --data FOLDER --val FOLDER --out FOLDER --minutes N
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm

from . import own_network
from .command import command, integer, program
from .deploy import RoundedDetector, quantize, save_quantized, shown
from .detector import load_float, torch_detector
from .distributed import Group
from .errors import InputError
from .loss import Targets
from .metrics import Evaluation, evaluate
from .train import THRESHOLD, DetectorTrainer, Network, read_data
from .train import parser as train_parser
from .trainer import begun


def write_quantized(path: Path, model: Network) -> None:
    """save_quantized for a Trainer."""
    assert isinstance(model, RoundedDetector)
    save_quantized(path, model)


class FineTuner(DetectorTrainer):
    """Fine-tuning, if asked for with half of the hidden units of each RNNPool kept such that the engine is fast.

    Those are the ones with the least sums of magnitudes of U, which stay below 4: then a sum of U and Q15 states
    that is stored with 13 fraction bits stays below 2^15 (compile/hidden_order.py).
    """

    MOST = 3.98  # rounded it is below 4, too

    def train_batch(self, batch: list[tuple[torch.Tensor, Targets]]) -> dict[str, float]:
        """One step, and back to what was asked for."""
        values = super().train_batch(batch)
        if self.options.small_rows:
            for model in (self.model, self.average.model):
                for name, u in model.named_parameters():
                    if name.rsplit(".", 1)[-1] in ("u1", "u2"):
                        _limit(u.data, self.MOST)
        return values


def _limit(u: torch.Tensor, most: float) -> None:
    # U (hidden, hidden): a unit's new state takes a column of it.
    sums = u.abs().sum(0)
    least = sums.argsort()[: len(sums) // 2]
    u[:, least] *= (most / sums[least]).clamp(max=1)


def parser() -> argparse.ArgumentParser:
    """The command line: that of training with a checkpoint to start from and other defaults."""
    p = train_parser()
    p.prog, p.description = program("rnnpool_training.finetune"), __doc__
    p.add_argument("checkpoint", help="float checkpoint to quantize")
    p.add_argument("--calibrate-only", action="store_true", help="choose the ranges, write OUT/quantized.pt, and stop")
    p.add_argument("--calibration", type=integer(1), default=256, help="pictures to choose the ranges with")
    p.add_argument("--small-rows", action="store_true", help="keep half of the rows of each RNNPool's U so small that "
                   "they can't saturate, which is faster on a Cortex-M4")  # fmt: skip
    p.set_defaults(lr=4e-4, minutes=15.0, whole_early=0.5, decay=1e-3)
    return p


def run(options: argparse.Namespace) -> Evaluation | None:
    """Quantize, report, fine-tune as the command line asks. Errors as of train.run."""
    if own_network.source(options.checkpoint):
        raise InputError(
            f"{options.checkpoint}: a network in a Python file is fine-tuned when it is exported: rnnpool export "
            "--finetune STEPS, with --from-labels from the labels of its pictures as well"
        )
    with Group().owned(Path(options.out)):
        begun(options, first=True)
        torch.set_num_threads(1)  # for the ranges, sums in one order: the same bits on every run
        torch.manual_seed(options.seed)
        source = load_float(options.checkpoint)
        train, val = read_data(options)
        size = (source.config.height, source.config.width)
        model = quantize(source, shown(train, size, options.calibration, options.seed))
        torch.set_num_threads(options.threads)
        if val and not (options.resume and (options.out / "last.pt").exists()):
            pictures = tqdm(val, desc="validating", unit="image", mininterval=5)
            before = evaluate(torch_detector(model, model.config), pictures).summary(THRESHOLD)
            print(json.dumps({"after calibration": before}), flush=True)
        if options.calibrate_only:
            save_quantized(options.out / "quantized.pt", model)
            return None
        trainer = FineTuner(options, model, write_quantized, "quantized.pt", train, val)
        result: Evaluation | None = trainer.run()
        return result


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
