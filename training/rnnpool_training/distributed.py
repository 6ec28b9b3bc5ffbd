"""Several processes that train one network, as PyTorch's torchrun starts them: other views each, the same weights."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from . import files

PATIENCE = timedelta(hours=12)  # that the others wait for the first one, which validates and saves alone


class Group:
    """The processes of a run: `rank` of this one and `size`; one process without torchrun. Gloo: CPUs, any network."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        if dist.is_available() and dist.is_torchelastic_launched():
            if not dist.is_initialized():
                dist.init_process_group("gloo", timeout=PATIENCE)
                atexit.register(dist.destroy_process_group)
            self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and says what happens."""
        return self.rank == 0

    @contextmanager
    def owned(self, folder: Path) -> Iterator[None]:
        """files.owned of the first process, for all."""
        if not self.first:
            yield
            return
        with files.owned(folder):
            yield

    def share(self, value: Any) -> Any:
        """The first process' value."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    @torch.no_grad()
    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Make each floating point tensor its mean over the processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for t in tensors:
            t.copy_(flat[start : start + t.numel()].view_as(t))
            start += t.numel()

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over the processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        result: list[float] = total.tolist()
        return result
