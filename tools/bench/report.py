"""Results of the benchmark as text, JSON, picture and docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnpool_training.files import replacing

from . import charts, cores, mlperf
from .compile import compiler_version
from .network import REST, Result

CLOCK_HZ = 168_000_000  # of an STM32F4 (the paper's board)
Json = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """One model: with the fast kernels, the same with the flash model, and the baseline."""

    fast: Result
    flash: Result | None
    baseline: Result | None


LEAST_FRAME = 10_000  # cycles a frame's cost may grow by whatever it is: some cost nothing


def _flash_cycles(result: Result) -> int:
    return sum(op.counts.flash_cycles for op in result.operators)


def _table(measured: Measurement) -> list[list[str]]:
    """Rows of the table, the heading first, the sum last."""
    fast, flash, baseline = measured.fast, measured.flash, measured.baseline
    rows = [["operator", "multiply-adds", "instructions", "cycles", "MAC/cycle", "arena"]]
    rows[0] += [] if flash is None else ["cycles, F4 flash"]
    rows[0] += [] if baseline is None else ["baseline cycles", "faster"]
    for index, op in enumerate(fast.operators):
        per_cycle = f"{op.macs / op.counts.cycles:.2f}" if op.macs else ""
        arena = f"{op.arena:,}" if op.kind != REST else ""
        row = [op.name, f"{op.macs:,}" if op.macs else ""]
        row += [f"{op.counts.instructions:,}", f"{op.counts.cycles:,}", per_cycle, arena]
        row += [] if flash is None else [f"{flash.operators[index].counts.flash_cycles:,}"]
        if baseline is not None:
            before = baseline.operators[index].counts.cycles
            row += [f"{before:,}", f"{before / op.counts.cycles:.1f}x"]
        rows.append(row)
    macs = sum(op.macs for op in fast.operators)
    instructions = sum(op.counts.instructions for op in fast.operators)
    last = ["all", f"{macs:,}", f"{instructions:,}", f"{fast.cycles:,}", f"{macs / fast.cycles:.2f}", f"{fast.arena:,}"]
    last += [] if flash is None else [f"{_flash_cycles(flash):,}"]
    last += [] if baseline is None else [f"{baseline.cycles:,}", f"{baseline.cycles / fast.cycles:.1f}x"]
    return [*rows, last]


def text(name: str, image: str, measured: Measurement) -> str:
    """The table for a terminal."""
    rows = _table(measured)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    fast = measured.fast
    found = ", ".join(f"{p:.3f}" for p in fast.probabilities) or f"{fast.detections} detections"
    lines = [f"{name} on {image}: {found}, CRC {fast.crc:#010x}"]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if i else f"{cell:{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    lines.append(
        f"{fast.cycles / CLOCK_HZ:.3f} s at {CLOCK_HZ // 1_000_000} MHz (zero wait states); "
        f"arena {fast.arena:,} bytes, stack {fast.stack:,}, engine code {fast.code:,} bytes\n"
        f"at most {fast.gap:,} cycles ({1000 * fast.gap / CLOCK_HZ:.1f} ms) between two chances to handle events"
    )
    return "\n".join(lines)


def as_json(measurements: dict[str, Measurement]) -> Json:
    """What build/bench.json holds."""
    models = {}
    for name, measured in measurements.items():
        fast, flash, baseline = measured.fast, measured.flash, measured.baseline
        assert flash is not None and baseline is not None
        operators = []
        for op, with_flash, before in zip(fast.operators, flash.operators, baseline.operators, strict=True):
            operators.append(
                {
                    "name": op.name,
                    "kind": op.kind,
                    "macs": op.macs,
                    "cycles": op.counts.cycles,
                    "instructions": op.counts.instructions,
                    "arena": op.arena,
                    "flash_cycles": with_flash.counts.flash_cycles,
                    "baseline_cycles": before.counts.cycles,
                }
            )
        models[name] = {
            "cycles": fast.cycles,
            "instructions": sum(op.counts.instructions for op in fast.operators),
            "gap": fast.gap,
            "arena": fast.arena,
            "stack": fast.stack,
            "code": fast.code,
            "baseline_cycles": baseline.cycles,
            "operators": operators,
        }
    return {"models": models}


def grown(data: Json, committed: Json, limit: float = 0.01) -> list[str]:
    """What is larger than the committed figures by more than `limit` (a share), one sentence each."""
    lines = []
    for name, before in committed["models"].items():
        now = data["models"].get(name)
        if now is None:
            lines.append(f"{name} is not measured any more")
            continue
        for key in ("cycles", "gap", "arena", "stack", "code", "opening"):
            if now.get(key, 0) > before.get(key, now.get(key, 0)) * (1 + limit):
                share = now[key] / before[key] - 1
                lines.append(f"{name}: {key} {now[key]:,}, committed {before[key]:,} (+{share:.1%})")
        for frame, cycles in before.get("frames", {}).items():
            cost = now.get("frames", {}).get(frame, cycles)
            if cost > cycles * (1 + limit) + LEAST_FRAME:
                lines.append(f"{name}: a frame of {frame} {cost:,} cycles, committed {cycles:,}")
        for ram, less in before.get("less_ram", {}).items():
            after = now.get("less_ram", {}).get(ram, less)
            lines += [
                f"{name} in {int(ram):,} bytes: {key} {after[key]:,}, committed {less[key]:,}"
                for key in less
                if after[key] > less[key] * (1 + limit)
            ]
    if "mlperf" in committed and "mlperf" in data:
        lines += mlperf.grown(data["mlperf"], committed["mlperf"], limit)
    return lines


def draw(data: Json, path: Path) -> bool:
    """A bar for each operator, ours over the baseline's. False where matplotlib is missing."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    models = data["models"]
    rows = sum(len(model["operators"]) for model in models.values())
    figure, axes = plt.subplots(len(models), 1, figsize=(9, 1.5 + 0.4 * rows), squeeze=False)
    for axis, (name, model) in zip(axes[:, 0], models.items(), strict=True):
        names = [op["name"] for op in model["operators"]]
        before = [op["baseline_cycles"] / 1e6 for op in model["operators"]]
        cycles = [op["cycles"] / 1e6 for op in model["operators"]]
        axis.barh(names, before, color="lightgray", label="patch by patch, plain C")
        axis.barh(names, cycles, height=0.5, color="tab:blue", label="this engine")
        for index, value in enumerate(cycles):
            axis.annotate(f" {value:.1f}", (value, index), va="center", fontsize=8)
        axis.set_xscale("log")
        axis.invert_yaxis()
        axis.set_xlabel("million cycles on a Cortex-M4")
        seconds, before_seconds = model["cycles"] / CLOCK_HZ, model["baseline_cycles"] / CLOCK_HZ
        axis.set_title(f"{name}: {seconds:.2f} s at 168 MHz; baseline {before_seconds:.2f} s")
        axis.legend(loc="lower right")
    figure.tight_layout()
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
    plt.close(figure)
    return True


def document(data: Json) -> str:
    """docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench-renew`; do not edit. One 320x240 frame (matplotlib's portrait)",
        "through the whole engine, from `rnnp_begin` to the detections, on an emulated Cortex-M4 with the cycle table",
        "of its Technical Reference Manual (`tools/bench/timing.py`), zero wait states, deterministic to the cycle.",
        "*F4 flash* adds a model of the STM32F4's flash (5 wait states and its caches): it ranks layouts, no more.",
        "The baseline is the definition, patch by patch, with the plain C kernels; all runs give the same bytes.",
        "",
        f"Compiler: `{compiler_version()}`, kernels `-O2`, all else `-Os`.",
        "",
        f"![The built-in models from version to version]({charts.EARLIER})",
    ]
    for name, model in data["models"].items():
        seconds = model["cycles"] / CLOCK_HZ
        lines += ["", f"## {name}", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| cycles | {model['cycles']:,} ({seconds:.3f} s at 168 MHz) |"]
        lines += [f"| instructions | {model['instructions']:,} |"]
        faster = model["baseline_cycles"] / model["cycles"]
        lines += [f"| baseline, cycles | {model['baseline_cycles']:,} ({faster:.1f} times as many) |"]
        gap = f"{model['gap']:,} ({1000 * model['gap'] / CLOCK_HZ:.1f} ms)"
        lines += [f"| longest time without handling events (Ctrl-C, scheduled functions), cycles | {gap} |"]
        if "opening" in model:
            lines += [f"| opening the model (checks of the blob), cycles | {model['opening']:,} |"]
        lines += [f"| arena, bytes | {model['arena']:,} |"]
        lines += [f"| C stack, deepest, bytes | {model['stack']:,} |"]
        lines += [f"| engine's code and tables, bytes | {model['code']:,} |"]
        lines += ["", "| operator | multiply-adds | cycles | MAC/cycle | F4 flash | baseline | arena |"]
        lines += ["|---|--:|--:|--:|--:|--:|--:|"]
        for op in model["operators"]:
            rate = f"{op['macs'] / op['cycles']:.2f}" if op["macs"] else ""
            cells = [op["name"], f"{op['macs']:,}", f"{op['cycles']:,}", rate]
            cells += [f"{op['flash_cycles']:,}", f"{op['baseline_cycles']:,}", f"{op['arena']:,}"]
            lines += ["| " + " | ".join(cells) + " |"]
        for ram, less in model.get("less_ram", {}).items():
            more = less["cycles"] / model["cycles"] - 1
            costs = f"{less['arena']:,} bytes of arena, {less['cycles']:,} cycles ({more:+.1%})"
            lines += ["", f"`rnnpool plan models/{name}.rnnp --ram {ram}`: {costs}."]
    if "mlperf" in data:
        lines += mlperf.document(data["mlperf"])
    lines += ["", "## Frames of other sizes and formats", ""]
    lines += [
        "Cycles beside the network, beyond those of a frame of the model's own size (`python -m tools.bench.frames`):"
    ]
    names = list(data["models"])
    lines += ["", "| frame | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for frame in data["models"][names[0]]["frames"]:
        lines += [f"| {frame} | " + " | ".join(f"{data['models'][name]['frames'][frame]:,}" for name in names) + " |"]
    if data.get("cores"):
        lines += ["", *cores.document(data["cores"], names)]
    return "\n".join(lines) + "\n"
