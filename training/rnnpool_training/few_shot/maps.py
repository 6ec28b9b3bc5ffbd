"""What the layers that stay as they are make of pictures and of their random views."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..classifier import Classifier
from ..classifier_views import ClassifierViews
from ..pictures import Picture, frame

FIRST = 4  # blocks before this one stay as they are
VIEWS = 4  # random views of each picture; a map of one takes 5 KB at 160x160


@dataclass(frozen=True)
class Policy:
    """Which random views are made: mirrored ones or not. Windows of the picture always are.

    Other light is not among them: probes that learned from it were worse on pictures as they are.
    """

    name: str
    flips: bool


POLICIES = (Policy("mirrored", True), Policy("windows only", False))


class Tail(nn.Module):
    """The layers that learn: blocks from FIRST on, the 1x1 convolution, the average and the dense layer."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(copy.deepcopy(block) for block in model.blocks[FIRST:])
        self.last = copy.deepcopy(model.last)
        self.dense = copy.deepcopy(model.dense)
        self.eval()  # statistics of the normalizations stay: a few pictures can't measure them

    def features(self, maps: Tensor) -> Tensor:
        """(N, C, H / 16, W / 16) before the first of the blocks to (N, F)."""
        for block in self.blocks:
            maps = block(maps)
        result: Tensor = self.last(maps).mean(dim=(2, 3))
        return result

    def forward(self, maps: Tensor) -> Tensor:
        """To logits (N, labels)."""
        logits: Tensor = self.dense(self.features(maps))
        return logits

    def put_into(self, model: Classifier) -> None:
        """Copy these weights to the model that they come from."""
        values = {f"blocks.{FIRST + int(n.split('.')[1])}.{n.split('.', 2)[2]}" if n.startswith("blocks.") else n: v
                  for n, v in self.state_dict().items()}  # fmt: skip
        model.load_state_dict(values, strict=False)


@dataclass
class Maps:
    """What the frozen layers make of views of pictures.

    maps (N, views, C, H / 16, W / 16) in half precision; features (N, views, F) and logits (N, views, labels of the
    start) of the start.
    """

    maps: Tensor
    features: Tensor
    logits: Tensor

    def of(self, rows: NDArray[np.int64]) -> Maps:
        """Those of some of the pictures."""
        chosen = torch.from_numpy(rows)
        return Maps(self.maps[chosen], self.features[chosen], self.logits[chosen])


def _tensor(pixels: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().sub_(128).div_(128)


@torch.no_grad()
def make_maps(
    model: Classifier, start: nn.Linear, pictures: Sequence[Picture], policy: Policy | None, seed: int,
    threads: int = 1, each: Callable[[], None] = lambda: None,
) -> Maps:  # fmt: skip
    """Maps of VIEWS random views of each picture, or without a policy of the pictures as they are.

    `start`: the dense layer of the network to start from. `each` is called behind each picture, in any thread.
    """
    config, tail = model.config, Tail(model)
    found: list[tuple[Tensor, Tensor, Tensor] | None] = [None] * len(pictures)

    def work(index: int) -> None:
        torch.set_num_threads(1)
        if policy is None:
            shown = [frame(pictures[index].pixels, config.height, config.width)]
        else:
            chance = seed * 100_003 + index
            views = ClassifierViews(list(pictures), chance, config.channels, 0.35, policy.flips, light=False)
            shown = [views.view(config.height, config.width, index)[0] for _ in range(VIEWS)]
        with torch.no_grad():
            x = model.pool(model.stem(_tensor(shown).to(memory_format=torch.channels_last)))
            for block in model.blocks[:FIRST]:
                x = block(x)
            features = tail.features(x)
            found[index] = x.half(), features, start(features)
        each()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(len(pictures))))
    parts = [part for part in found if part is not None]
    return Maps(*(torch.stack([part[i] for part in parts]) for i in range(3)))


def joined(first: Maps, second: Maps) -> Maps:
    """Maps of the same pictures, one after the other."""
    return Maps(*(torch.cat([a, b], 1) for a, b in zip(
        (first.maps, first.features, first.logits), (second.maps, second.features, second.logits), strict=True
    )))  # fmt: skip
