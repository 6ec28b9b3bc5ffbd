"""How far a blob is from the TFLite file that it was made of: python -m rnnpool_training.compare MODEL.tflite NET.rnnp.

Both get the same random inputs, or those of a file. Printed are how often the largest logit is the same one (of a map:
the largest channel of a pixel), and how far values are from each other, in steps of the TFLite model's last layer.
LiteRT (`pip install ai-edge-litert`) runs its reference kernels: the optimized ones round in another way. The blob runs
in this project's engine.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .blob import Task
from .blob import read as read_blob
from .command import command, integer, program
from .compile.tflite_ends import frame_tensor, result_tensor, single_sigmoid
from .compile.tflite_file import TFLiteError, read
from .engine import Engine
from .errors import InputError


@dataclass(frozen=True)
class Agreement:
    """Of the models' answers to the same inputs."""

    inputs: int
    answers: int  # one an input, or one a pixel of a map
    same: int  # answers whose largest logit, or channel, is the same
    worst: float  # distance of two values, in steps of the last layer
    mean: float
    steps: float  # share of values that are at most half a step, a rounding, away


def random_inputs(shape: tuple[int, int, int], count: int, seed: int) -> NDArray[np.uint8]:
    """Noise, and noise on smooth gradients, uint8 [count, h, w, c]."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, *shape))
    ramps = np.linspace(0, 1, shape[0])[None, :, None, None] * rng.uniform(-255, 255, (count, 1, 1, shape[2]))
    ramps = ramps + np.linspace(0, 1, shape[1])[None, None, :, None] * rng.uniform(-255, 255, (count, 1, 1, shape[2]))
    smooth = np.clip(128 + ramps + (noise - 128) * 0.1, 0, 255)
    return np.where(np.arange(count)[:, None, None, None] % 2, smooth, noise).astype(np.uint8)


def read_inputs(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Those of a .npy file, uint8 [n, h, w, c]. InputError, OSError."""
    try:
        found = np.load(path)
    except (ValueError, EOFError, BadZipFile):  # of other bytes
        found = None
    wanted = f"a .npy file of uint8 [n, {', '.join(map(str, shape))}], one or more, is needed"
    if not isinstance(found, np.ndarray):
        raise InputError(f"{path}: {wanted}")
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[1:] != shape or not len(found):
        raise InputError(f"{path}: {found.dtype} {list(found.shape)}: {wanted}")
    return found


def try_litert(path: Path) -> None:
    """Runs a file in LiteRT in a process of its own: it aborts on what it does not like. InputError then."""
    import ai_edge_litert  # noqa: F401  # ModuleNotFoundError, as where it is used

    trial = (
        "import sys; from ai_edge_litert.interpreter import Interpreter, OpResolverType;"
        "one = Interpreter(sys.argv[1], experimental_op_resolver_type=OpResolverType.BUILTIN_REF);"
        "one.allocate_tensors(); one.invoke()"
    )
    done = subprocess.run([sys.executable, "-c", trial, str(path)], capture_output=True, text=True, errors="replace")
    if done.returncode:
        name = signal.Signals(-done.returncode).name if done.returncode < 0 else f"status {done.returncode}"
        said = [line for line in done.stderr.strip().splitlines() if not line.startswith(("INFO:", " "))]
        raise InputError(f"{path}: LiteRT can't run it, it ends with {name}{f': {said[-1]}' if said else ''}")


class LiteRT:
    """A TFLite model in LiteRT's reference kernels; gives the values before the softmax."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter: Any = Interpreter(
            str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=True
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        graph = read(path)
        self.frame = frame_tensor(graph)
        self.last = graph.tensors[result_tensor(graph)]
        self.binary = single_sigmoid(graph) is not None  # the blob has a logit of no before it, 0

    def values(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """In steps of the last layer, from its zero point."""
        x: NDArray[Any] = pixels if self.input["dtype"] == np.uint8 else (pixels ^ 0x80).view(np.int8)
        if self.input["dtype"] == np.float32 and self.frame.scales.size == 1:  # what a QUANTIZE makes those bytes of
            x = ((x.astype(np.float64) - self.frame.zero_point) * self.frame.scale).astype(np.float32)
        elif self.input["dtype"] not in (np.int8, np.uint8):
            raise TFLiteError(f"an input of {np.dtype(self.input['dtype']).name}: int8 or uint8 is needed")
        self.interpreter.set_tensor(self.input["index"], x[None].reshape(self.input["shape"]))
        self.interpreter.invoke()
        values = self.interpreter.get_tensor(self.last.index).reshape(-1).astype(np.float64)
        values -= int(self.last.zero_points[0])
        return np.append(0.0, values) if self.binary else values


def agreement(path: Path, blob: bytes, pixels: NDArray[np.uint8]) -> Agreement:
    """Both models on uint8 [n, h, w, c]. ValueError if shapes differ."""
    model, engine, other = read_blob(blob), Engine(blob), LiteRT(path)
    if model.task not in (Task.CLASSIFICATION, Task.MAP):
        raise ValueError(f"{model.name} is no classifier and gives no map: convert makes these only")
    shape, is_map = model.shapes()[-1], model.task == Task.MAP
    sizes = [(int(np.prod(other.input["shape"])), int(np.prod(other.last.shape)) + other.binary)]
    sizes.append((int(np.prod(model.input_shape)), int(np.prod(shape))))
    if sizes[0] != sizes[1]:
        raise ValueError(f"{path} has {sizes[0]} inputs and outputs, {model.name} {sizes[1]}: it was not made of it")
    if pixels.shape[1:] != model.input_shape or pixels.dtype != np.uint8:
        raise ValueError(f"inputs must be uint8 [n, {model.input_shape}], given {pixels.dtype} {pixels.shape}")
    # Of a result, a step of the TFLite model's.
    unit = 1.0 if is_map else 2.0 ** (12 - model.ops[-1].shift) * other.last.scale
    low, high = (limit - other.last.zero_point for limit in (-128, 127))
    same, distances = 0, []
    for frame in pixels:
        run = engine.run(frame if frame.shape[2] == 3 else frame[:, :, 0], taps=True)
        raw = run.outputs()[-1].astype(np.float64)
        mine = (raw - (model.ops[-1].out_zero_point if is_map else 0)) / unit
        theirs = other.values(frame).reshape(shape)
        chosen = np.take_along_axis(theirs, mine.argmax(2)[:, :, None], 2)[:, :, 0]
        same += int((chosen == theirs.max(2)).sum())
        distances.append(np.abs(np.clip(mine, low, high) - theirs).reshape(-1))
    every, answers = np.concatenate(distances), len(pixels) * shape[0] * shape[1]
    return Agreement(len(pixels), answers, same, float(every.max()), float(every.mean()), float((every <= 0.5).mean()))


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.compare"), description=(__doc__ or "").split("\n")[0])
    p.add_argument("tflite", type=Path, help="the TFLite file")
    p.add_argument("model", type=Path, help="the blob that was made of it")
    p.add_argument("--inputs", type=Path, help="a .npy file, uint8 [n, h, w, c]; without: random ones")
    p.add_argument("--data", type=Path, nargs="+", help="folders of pictures, instead: --count of them")
    p.add_argument("--count", type=integer(1), default=500, help="inputs (500)")
    p.add_argument("--seed", type=integer(0), default=1)
    options = p.parse_args(arguments)
    try:
        read(options.tflite)  # what is no such file
        blob = options.model.read_bytes()
        model = read_blob(blob)
        shape = model.input_shape
        if options.data:
            from .gather import gather  # which needs PyTorch

            pixels = gather(options.data, shape, options.count, options.seed).pixels
        elif options.inputs:
            pixels = read_inputs(options.inputs, shape)
        else:
            pixels = random_inputs(shape, options.count, options.seed)
        try_litert(options.tflite)
        found = agreement(options.tflite, blob, pixels)
    except ModuleNotFoundError as error:
        raise InputError(f"{error}: pip install tflite ai-edge-litert") from None
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error)) from None
    print(f"inputs          {found.inputs}")
    is_map = model.task == Task.MAP
    what, share = "values" if is_map else "logits", f"{found.same / found.answers:.1%}"
    if not is_map:
        print(f"same answer     {found.same} ({share})")
    elif len(model.labels) > 1:
        print(f"same channel    the largest one in {found.same} of {found.answers} pixels ({share})")
    print(f"{what}          at most {found.worst:.2f} steps of the last layer apart, {found.mean:.3f} on average")
    print(f"within a half   {found.steps:.1%} of the {what}")


if __name__ == "__main__":
    main()
