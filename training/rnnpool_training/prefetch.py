"""Batches of views, made by a thread ahead of time, each with the state from which the next one is made."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

Part = TypeVar("Part")


class Views(Protocol):
    """A source of random views. All of its state: a generator of random numbers, and pictures in the order to come."""

    random: np.random.Generator
    order: list[Any]

    def batch(self, *shape: Any) -> Any:
        """A batch, or a part of one, of a shape that starts with the number of views."""


class Batch(NamedTuple, Generic[Part]):
    """The parts of a batch, and the state of the views after it."""

    parts: list[Part]
    state: dict[str, Any]


def state(views: Views) -> dict[str, Any]:
    """A copy of what the coming views depend on."""
    return {"random": views.random.bit_generator.state, "order": _copy(views.order)}


def _copy(order: list[Any]) -> list[Any]:
    return [_copy(item) if isinstance(item, list) else item for item in order]


def pack(state: dict[str, Any] | None) -> str:
    """A state as JSON for a checkpoint."""
    return json.dumps(state, default=int)  # numpy's integers


def restore(views: Views, state: dict[str, Any]) -> None:
    """Go on from a state, also one that was packed: the coming views equal those that came after it."""
    views.random.bit_generator.state = state["random"]
    views.order = state["order"]


def prefetch(
    views: Any, plan: Iterator[tuple[Any, ...]], parts: int, least: int = 1, depth: int = 3
) -> Iterator[Batch[Any]]:
    """Batches for each shape (count, ...) of a plan, in `parts` parts of at least `least` views (Views)."""
    ready: queue.Queue[Batch[Any] | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch[Any] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                pass

    def work() -> None:
        try:
            for count, *shape in plan:
                put(Batch([views.batch(max(least, count // parts), *shape) for _ in range(parts)], state(views)))
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:  # handed to the consumer, who raises it
            put(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()  # a thread inside PyTorch when the interpreter ends would abort the process
