"""What of the zoo runs in the engine: exported with random weights, run, and held against the integer reference.

Sizes don't depend on weights; answers do, and mean nothing here. The export raises an error if engine and reference
differ in a bit, on a picture or on the golden frame.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import files
from ..compile.fold import Normalization
from ..compile.network import Exported, Network, Pictures, export
from ..errors import InputError
from . import build
from .deployed import network
from .faces import FaceDetector

ROOT = Path(__file__).resolve().parents[3]
ROWS_IN_FLASH = 1 << 16  # bytes of a picture beside the model and the engine
NORMALIZATION = Normalization((0.5,), (0.5,))  # to -1..1
STATISTICS, RANGES, CHECKED = 4, 2, 1  # pictures: of normalizations, of ranges, held against the reference


@dataclass(frozen=True)
class Row:
    """A network as the engine runs it. shape: height, width, channels."""

    title: str
    make: Callable[[], nn.Module]
    shape: tuple[int, int, int]


def _rows() -> list[Row]:
    vww = partial(build, "vww-rnnpool")
    rows = [Row(f"vww-rnnpool at {side}", vww, (side, side, 3)) for side in (96, 128, 160, 192, 224)]
    for name, shape in (
        ("face-m4", (240, 320, 1)), ("face-qvga", (240, 320, 1)), ("face-quant", (480, 640, 3)),
        ("face-a", (480, 640, 3)),
    ):  # fmt: skip
        rows.append(Row(name, partial(build, name), shape))
    half = partial(build, "mobilenetv2-rnnpool", width=0.5)
    return [*rows, Row("mobilenetv2-rnnpool, width 0.5", half, (224, 224, 3))]


ROWS = {row.title: row for row in _rows()}


def noise(count: int, shape: tuple[int, int, int], seed: int) -> Pictures:
    """Smooth noise (N, height, width, channels), whose values are spread as those of pictures."""
    height, width, channels = shape
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 6, 8, generator=random)
    fine = torch.rand(count, channels, height, width, generator=random)
    x = F.interpolate(coarse, size=(height, width), mode="bilinear") * 220 + fine * 35
    return x.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def _input(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1


def run(row: Row) -> Exported:
    """The network's blob, run and compared."""
    torch.manual_seed(1)
    model = row.make()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
            m.momentum = None  # the mean over all that it sees
    with torch.no_grad():
        model.train()(_input(noise(STATISTICS, row.shape, 1)))
    model.eval()
    if isinstance(model, FaceDetector):
        found = network(model, row.shape, NORMALIZATION, row.title[:31])
    else:
        found = Network(model, row.shape, NORMALIZATION, row.title[:31])
    return export(found, noise(RANGES, row.shape, 2), noise(CHECKED, row.shape, 3))


def sizes(found: Exported) -> dict[str, int]:
    """Bytes of blob and arena, and operators."""
    return {"blob": len(found.data), "arena": found.arena, "operators": len(found.model.ops)}


def cycles(found: Exported, folder: Path) -> int:
    """Cycles of a frame on a Cortex-M4, by the cycle model of `rnnpool bench`, which works in `folder`. InputError if
    this is no checkout, or if the network does not fit the microcontroller that it models.

    A large frame does not fit its flash: the first rows come again and again.
    """
    if not (ROOT / "tools" / "bench").is_dir():
        raise InputError(f"{ROOT / 'tools' / 'bench'} is not there: cycles are counted in a checkout of the repository")
    sys.path.insert(0, str(ROOT))
    from tools.bench.compile import M4_F439
    from tools.bench.machine import BenchError
    from tools.bench.network import run as run_on_m4

    height, width, channels = found.model.input_shape
    rows = min(height, ROWS_IN_FLASH // (width * channels))
    pixels = noise(1, (rows, width, channels), 4)[0]
    files.make_folder(folder)
    (folder / "model.rnnp").write_bytes(found.data)
    arena = -(-found.arena // 1024) * 1024
    try:
        made = run_on_m4(folder / "model.rnnp", pixels if channels == 3 else pixels[:, :, 0], folder, target=M4_F439,
                         arena=arena, height=height)  # fmt: skip
    except BenchError as error:
        if "no room left" in str(error) or "will not fit" in str(error):
            raise InputError(
                f"{found.model.name}: {len(found.data):,} bytes and an arena of {found.arena:,} do not fit the "
                "microcontroller that is modelled, of 2 MB of flash and 192 KB of RAM"
            ) from None
        raise InputError(f"{found.model.name}: {error}") from None
    return int(made.cycles)
