#!/usr/bin/env python3
"""Make some targets side by side and say how each ended: tools/run_parts.py --jobs 2 --logs build/test-logs PART ...

The output of a part is shown in one piece when it ends, and kept in a file of --logs. A part that fails does not stop
the others; the exit status is 1 if one did. Parts start in the order that they are given in, that of the summary.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SHOWN = threading.Lock()


def run(part: str, log: Path) -> tuple[bool, float]:
    """`make PART` with its output in `log`; whether it succeeded, and seconds."""
    start = time.monotonic()
    with SHOWN:
        print(f"==== make {part} begins", flush=True)
    with log.open("wb") as out:
        command = [os.environ.get("MAKE", "make"), "--no-print-directory", part]
        # Open files are passed on: make's job server is two of them.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, close_fds=False)
    with SHOWN:
        print(f"\n==== make {part}", flush=True)
        sys.stdout.buffer.write(log.read_bytes())
        sys.stdout.flush()
    return done.returncode == 0, time.monotonic() - start


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="parts at a time (default: %(default)s)")
    parser.add_argument("--logs", type=Path, required=True, help="folder for the output of each part")
    parser.add_argument("parts", nargs="+", metavar="PART")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs is at least 1, not {options.jobs}")
    # In the background of a shell Ctrl-C is ignored, also by children, and tests of it would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options.logs.mkdir(parents=True, exist_ok=True)
    logs = [options.logs / f"{i}-{part}.txt" for i, part in enumerate(options.parts, 1)]
    with ThreadPoolExecutor(options.jobs) as pool:
        ended = list(pool.map(run, options.parts, logs))
    print("\n==== make test")
    for part, (good, seconds) in zip(options.parts, ended, strict=True):
        minutes, rest = divmod(round(seconds), 60)
        print(f"{part:18} {'passed' if good else 'FAILED'} in {minutes} min {rest} s")
    return 0 if all(good for good, _ in ended) else 1


if __name__ == "__main__":
    sys.exit(main())
