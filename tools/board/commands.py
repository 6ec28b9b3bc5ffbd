"""The commands of the command line, one function each; they return the exit status and raise Problem."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mpremote.transport import TransportError
from tqdm import tqdm

from rnnpool_training import files
from rnnpool_training.errors import sentence
from tools.board import deploy as deployment
from tools.board import device, frames, ports, repl, show
from tools.board.problem import Problem
from tools.board.protocol import Result
from tools.board.stream import Streamer


@contextlib.contextmanager
def _board(arguments: argparse.Namespace) -> Iterator[tuple[str, repl.Repl]]:
    """The port and the raw REPL of the board, without a reset; closed afterwards."""
    port = ports.find(arguments.port)
    transport = ports.open_transport(port, arguments.baudrate)
    try:
        board = repl.Repl(transport)
        board.enter()
        yield port, board
        transport.exit_raw_repl()
    except repl.ExecError as error:
        raise error.problem() from None
    except (TransportError, OSError) as error:
        raise ports.explain(port, error) from None
    finally:
        with contextlib.suppress(OSError):
            transport.close()


def info(arguments: argparse.Namespace) -> int:
    """Version, models, memory."""
    with _board(arguments) as (port, board):
        told = device.ask(board)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(told)))
    else:
        print("\n".join(device.report(told, port)))
    return 0


def put(arguments: argparse.Namespace) -> int:
    """Files to the board."""
    read = []
    for word in arguments.files:
        source, _, target = word.partition(":")
        path = Path(source)
        try:
            read.append((path.read_bytes(), target or path.name))
        except OSError as error:
            raise Problem(f"{path} can't be read: {error.strerror}") from None
    with _board(arguments) as (_, board):
        for content, target in read:
            with tqdm(total=len(content), unit="B", unit_scale=True, desc=target, leave=False) as bar:
                changed = board.put(content, target, bar.update)
            print(f"{target}: {len(content):,} bytes {'written and verified' if changed else 'are there already'}")
    return 0


def monitor(arguments: argparse.Namespace) -> int:
    """mpremote's terminal."""
    if arguments.log:
        try:
            files.check_output(arguments.log)
        except OSError as error:
            raise Problem(f"--log {sentence(error)}") from None
        if arguments.log.is_file() and arguments.log.stat().st_size:
            raise Problem(f"--log {arguments.log} is there already, and would be written over: choose another name")
    port = ports.find(arguments.port)
    ports.open_transport(port, arguments.baudrate).close()  # says why, if it can't be opened
    command = [sys.executable, "-m", "mpremote", "connect", port, "resume", "repl"]
    if arguments.log:
        command += ["--capture", str(arguments.log)]
    return subprocess.run(command, check=False).returncode


def stream(arguments: argparse.Namespace) -> int:
    """Pictures to the board, boxes back."""
    pictures, count = frames.find(arguments.sources)
    viewers: list[show.Viewer] = [show.Files(arguments.out, arguments.sources)] if arguments.out else []
    window = None if arguments.no_window else show.window()
    if window is not None:
        viewers.append(window)
    format = frames.FORMATS[arguments.format]
    if arguments.frames is not None:
        count = arguments.frames if count is None else min(count, arguments.frames)
    port = ports.find(arguments.port)
    with contextlib.ExitStack() as stack:
        for viewer in viewers:
            stack.callback(viewer.close)
        bar = stack.enter_context(tqdm(total=count, unit="frame", dynamic_ncols=True))
        streamer = stack.enter_context(
            Streamer(port, arguments.model, arguments.baudrate, arguments.restart, arguments.patience, say=bar.write)
        )
        bar.write(f"{streamer.info.model} on {port}: {streamer.info.ram:,} bytes of RAM, {streamer.info.free:,} left")
        results: list[Result] = []
        start = time.monotonic()
        try:
            for number, picture in enumerate(pictures):
                if number % arguments.every:
                    continue
                if arguments.frames is not None and len(results) >= arguments.frames:
                    break
                frame_image = frames.shrink(picture.image, *arguments.size)
                frame = frames.encode(frame_image, format)
                result = streamer.detect(frame, arguments.threshold, arguments.max_boxes)
                results.append(result)
                if not viewers:
                    bar.write(line_of(picture.name, result))
                bar.set_postfix(boxes=len(result.boxes), resent=streamer.counters.resent, refresh=False)
                bar.update()
                wanted = [viewer.show(picture.name, picture.image, frame_image, result) for viewer in viewers]
                if not all(wanted):
                    break
        except KeyboardInterrupt:
            bar.write("interrupted")
        seconds = time.monotonic() - start
    print(summary(results, seconds, streamer))
    if arguments.out:
        print(f"Written to {arguments.out}: a picture for each frame, and boxes.jsonl")
    return 0


def line_of(name: str, result: Result) -> str:
    """A frame's boxes as a line."""
    boxes = "  ".join(f"{box.x},{box.y} {box.w}x{box.h} {box.score:.2f}" for box in result.boxes)
    return f"{name}: {boxes or 'nothing'}"


def summary(results: list[Result], seconds: float, streamer: Streamer) -> str:
    """What became of the stream: rate and errors."""
    if not results:
        return "0 frames"
    counters = streamer.counters
    computed = sum(result.microseconds for result in results) / len(results) / 1000
    boxes = sum(len(result.boxes) for result in results)
    return (
        f"{len(results)} frames, {boxes} boxes in {seconds:.1f} s: {len(results) / seconds:.2f} frames/s, "
        f"{counters.bytes / seconds / 1000:.1f} KB/s; the board computes {computed:.0f} ms a frame\n"
        f"Line: {counters.packets} packets, {counters.resent} sent again, {results[-1].damaged} damaged on the way "
        "there, "
        f"{counters.damaged} on the way back; {streamer.restarts} frames begun again, {streamer.reconnects} "
        "reconnections"
    )


def deploy(arguments: argparse.Namespace) -> int:
    """Firmware, models, examples."""
    return deployment.run(deployment.from_arguments(arguments), not arguments.no_flash)
