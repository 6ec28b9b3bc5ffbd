"""Benchmark of the engine on a Cortex-M4, without a board: `make bench`.

python -m tools.bench                      # all of models/, into build/: table, bench.json, bench.png
python -m tools.bench --image me.jpg       # the same on any image
python -m tools.bench --model face=my.rnnp --quick
python -m tools.bench --write-docs         # renews docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnpool_training import interrupts
from rnnpool_training.errors import sentence
from rnnpool_training.files import DRAWN, JSON, check_output, make_folder, write_text

from . import charts, cores, frames, memory, mlperf, network, report
from .compile import M4_NO_FPU, ROOT
from .inputs import find_models, golden_image, load_image
from .machine import BenchError

DOCS = ROOT / "docs" / "benchmarks.md"
COMMITTED = DOCS.with_suffix(".json")


def measure(
    blob: Path, image: npt.NDArray[np.uint8], build: Path, *, quick: bool, no_fpu: bool = False
) -> report.Measurement:
    """The engine with its fast kernels, with the flash model, and the baseline: all three must find the same."""
    shape = network.read_shape(blob.read_bytes())
    if "unknown" in shape.kinds:
        raise BenchError(f"{blob} has an operator that this benchmark does not know")
    if no_fpu:
        return report.Measurement(network.run(blob, image, build / "no-fpu", target=M4_NO_FPU), None, None)
    fast = network.run(blob, image, build / "fast")
    if quick:
        return report.Measurement(fast, None, None)
    flash = network.run(blob, image, build / "fast", flash_model=True)
    baseline = network.run(blob, image, build / "baseline", baseline=True)
    if not fast.crc == flash.crc == baseline.crc:
        raise BenchError(f"results differ: CRC {fast.crc:#010x}, baseline {baseline.crc:#010x}")
    return report.Measurement(fast, flash, baseline)


def measure_mlperf(data: report.Json, committed: report.Json, build: Path) -> None:
    """Adds MLPerf Tiny's models: measured where they are, else as committed."""
    models = mlperf.folder()
    if models is not None:
        data["mlperf"] = mlperf.measure(models, build, golden_image)
        print(mlperf.text(data["mlperf"]))
        return
    print(f"MLPerf Tiny's models are not measured: {mlperf.VARIABLE} names no folder with their .tflite files")
    if "mlperf" in committed:
        data["mlperf"] = committed["mlperf"]


@interrupts.said
def main(words: list[str] | None = None) -> int:
    """Runs the benchmark. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH", help="default: all of models/")
    parser.add_argument("--image", help="any image; default: matplotlib's portrait")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="folder for what is compiled")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "build" / "bench.png")
    parser.add_argument("--quick", action="store_true", help="without flash model and baseline (and no JSON)")
    parser.add_argument("--no-fpu", action="store_true", help="--quick, built for a Cortex-M4 without FPU")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="also the N most expensive functions")
    parser.add_argument("--write-docs", action="store_true", help=f"renew {DOCS.relative_to(ROOT)}")
    parser.add_argument("--check", action="store_true", help=f"compare with {COMMITTED.relative_to(ROOT)}")
    arguments = parser.parse_args(words)
    if not (arguments.quick or arguments.no_fpu):
        try:
            for path in (arguments.json, arguments.picture):
                make_folder(path.parent)
            check_output(arguments.json, kind=JSON)
            check_output(arguments.picture, DRAWN)
        except OSError as error:
            parser.error(sentence(error))
    measurements: dict[str, report.Measurement] = {}
    begun = time.monotonic()
    try:
        for name, blob in find_models(arguments.model).items():
            image, image_name = load_image(arguments.image, network.read_shape(blob.read_bytes()))
            measured = measure(blob, image, arguments.build / name, quick=arguments.quick, no_fpu=arguments.no_fpu)
            measurements[name] = measured
            print(report.text(name, image_name, measured))
            for function, cycles in list(measured.fast.functions.items())[: arguments.functions]:
                print(f"    {function:32} {cycles:12,}")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"({time.monotonic() - begun:.0f} s)")
    if arguments.quick or arguments.no_fpu:
        return 0
    data = report.as_json(measurements)
    committed = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    for name, blob in find_models(arguments.model).items():
        data["models"][name]["opening"] = network.open_cycles(blob, arguments.build / f"{name}-open")
        data["models"][name]["frames"] = frames.measure(blob, arguments.build / f"{name}-frames")
        image, _ = load_image(arguments.image, network.read_shape(blob.read_bytes()))
        crc = measurements[name].fast.crc
        data["models"][name]["less_ram"] = memory.measure(name, blob, image, arguments.build / f"{name}-less", crc)
    if arguments.write_docs:
        data["cores"] = cores.measure(find_models(arguments.model), arguments.build, committed.get("cores", {}))
    if not arguments.model:
        try:
            measure_mlperf(data, committed, arguments.build)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    write_text(arguments.json, json.dumps(data, indent=2) + "\n")
    print(f"{arguments.json} written", end="")
    print(f", {arguments.picture} written" if report.draw(data, arguments.picture) else " (no picture: no matplotlib)")
    if arguments.write_docs:
        write_text(DOCS, report.document(data))
        write_text(COMMITTED, json.dumps(data, indent=2) + "\n")
        charts.draw(data)
        print(f"{DOCS}, {COMMITTED.name} and charts written")
    if arguments.check:
        lines = report.grown(data, committed) if committed else ["nothing committed"]
        for line in lines:
            print(f"bench: {line}", file=sys.stderr)
        return 1 if lines else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
