"""The benchmark as a whole on a small network: the emulated engine against the reference, and what is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("unicorn", reason="the cycle model needs unicorn (pip)")
pytest.importorskip("elftools", reason="the cycle model needs pyelftools (pip)")

import networks

from rnnpool_training.blob import write
from rnnpool_training.engine import Engine
from tools.bench import code, mlperf, network, report
from tools.bench.compile import M4_NO_FPU, ROOT
from tools.bench.inputs import golden_image
from tools.bench.machine import BenchError

MOST_CODE = 42_752  # of all
MOST_FACE_CODE = 24_576  # bytes of engine in a firmware that has the face model alone
MOST_FIXED_CODE = 24_294  # the same of face and person, no other models, and upright frames in gray or RGB alone

if not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("no arm-none-eabi-gcc: tools/debian_packages.sh m4", allow_module_level=True)


@pytest.mark.parametrize("make", [networks.tiny, networks.segmented, networks.classifier, networks.others])
def test_emulated_engine_finds_the_same(tmp_path: Path, make: object) -> None:
    blob = write(make(5))  # type: ignore[operator]
    path = tmp_path / "model.rnnp"
    path.write_bytes(blob)
    shape = network.read_shape(blob)
    size = (shape.height, shape.width) if shape.channels == 1 else (shape.height, shape.width, shape.channels)
    image = np.random.default_rng(5).integers(0, 256, size, dtype=np.uint8)
    expected = Engine(blob).run(image)
    found = 0 if make is networks.classifier else min(len(expected.detections()), 32)
    results = {
        "fast": network.run(path, image, tmp_path / "fast"),
        "plain": network.run(path, image, tmp_path / "plain", dsp=False),
        "no fpu": network.run(path, image, tmp_path / "no-fpu", target=M4_NO_FPU),
        "baseline": network.run(path, image, tmp_path / "baseline", baseline=True),
        "flash": network.run(path, image, tmp_path / "fast", flash_model=True),
    }
    for name, result in results.items():
        assert result.crc == expected.crc(), name
        assert result.detections == found, name
        assert result.arena == (Engine(blob).arena_size() if name != "baseline" else result.arena)
        assert len(result.operators) == len(shape.kinds) + 1
        assert all(op.counts.cycles >= op.counts.instructions > 0 for op in result.operators)
    # Words beside the core registers are on the stack there; the kernels are the same.
    assert results["no fpu"].cycles < 1.15 * results["fast"].cycles
    # Rows are taken one by one, and work that waits for the last row is no single piece either; but all boxes of such a
    # small network, whose anchors are all candidates here, are compared and vote in one.
    assert 0 < results["fast"].gap < results["fast"].cycles / 6
    assert results["flash"].cycles == results["fast"].cycles  # deterministic, and the model only adds a column
    assert [op.macs for op in results["fast"].operators[:-1]] == [op.macs for op in Engine(blob).ops()]


@pytest.mark.parametrize("seed", [13, 70])
def test_stack(tmp_path: Path, seed: int) -> None:
    """RNNPool with cells of other sizes needs most of the C stack: what rnnp.h says, and what the binding leaves."""
    blob = write(networks.random_network(np.random.default_rng(seed)))
    path = tmp_path / "model.rnnp"
    path.write_bytes(blob)
    shape = network.read_shape(blob)
    size = (shape.height, shape.width) if shape.channels == 1 else (shape.height, shape.width, shape.channels)
    image = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    assert 3200 < network.run(path, image, tmp_path / "run").stack < 4096 - 256
    line = "#define RNNPOOL_STACK_BYTES (1024 * sizeof(void *))"
    assert line in (ROOT / "mp_module" / "binding" / "binding.h").read_text()


def test_a_firmware_without_what_face_does_not_need(tmp_path: Path) -> None:
    """The same result with RNNPOOL_WITHOUT=auto, and less code."""
    path = ROOT / "models" / "face.rnnp"
    without = code.left_out("auto", ["face"])
    size, sections = code.linked(tmp_path / "code", without)
    assert size == sum(sections.values()) <= MOST_FACE_CODE
    assert all(count > 0 for count in sections.values())  # strings are what no other part explains
    assert not any("rnnp_armv7em_unusual" in name or "rnnp_kernel_filter" in name for name in sections)
    assert size < code.linked(tmp_path / "all", [])[0] <= MOST_CODE
    image = golden_image(network.read_shape(path.read_bytes()))
    result = network.run(path, image, tmp_path / "run", without=without)
    assert result.crc == Engine(path.read_bytes()).run(image).crc()


def test_a_firmware_of_built_in_models_alone(tmp_path: Path) -> None:
    """As fast as with all of it, without checks and kinds of frames: docs/cortex_m4.md, "Bytes of code"."""
    without = code.left_out("auto CHECKS VIEW YUV", ["face", "person"])
    assert code.linked(tmp_path / "code", without)[0] <= MOST_FIXED_CODE
    path = ROOT / "models" / "person.rnnp"
    image = golden_image(network.read_shape(path.read_bytes()))
    all_of_it, run = network.run(path, image, tmp_path / "all"), network.run(path, image, tmp_path, without=without)
    assert run.crc == all_of_it.crc and run.cycles < 1.001 * all_of_it.cycles


def test_command(tmp_path: Path) -> None:
    blob = write(networks.tiny(1))
    (tmp_path / "tiny.rnnp").write_bytes(blob)
    command = [sys.executable, "-m", "tools.bench", "--model", f"face={tmp_path / 'tiny.rnnp'}"]
    command += ["--build", str(tmp_path), "--json", str(tmp_path / "b.json"), "--picture", str(tmp_path / "b.png")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert result.returncode == 0, result.stderr
    data = json.loads((tmp_path / "b.json").read_text())
    assert set(data) == {"models"}
    model = data["models"]["face"]
    assert set(model) == {
        "cycles",
        "instructions",
        "gap",
        "arena",
        "code",
        "baseline_cycles",
        "operators",
        "frames",
        "less_ram",
        "opening",
        "stack",
    }
    for key in ("cycles", "instructions", "baseline_cycles"):
        total = sum(op[key] for op in model["operators"])
        assert total == model[key] > 0, key
    assert model["cycles"] < model["baseline_cycles"]
    assert {"name", "kind", "macs", "cycles"} <= set(model["operators"][0])
    assert (tmp_path / "b.png").stat().st_size > 1000
    assert f"{model['cycles']:,}" in result.stdout


def test_growth_is_told() -> None:
    before = {"models": {"face": {"cycles": 1000, "gap": 100, "arena": 200, "code": 300}}}
    same = {"models": {"face": {"cycles": 1010, "gap": 101, "arena": 150, "code": 303}}}
    assert report.grown(same, before) == []
    larger = {"models": {"face": {"cycles": 1011, "gap": 102, "arena": 203, "code": 300}}}
    assert report.grown(larger, before) == [
        "face: cycles 1,011, committed 1,000 (+1.1%)",
        "face: gap 102, committed 100 (+2.0%)",
        "face: arena 203, committed 200 (+1.5%)",
    ]
    dearer = {"models": {"face": {**same["models"]["face"], "frames": {"8x8 GRAY8": 30_000}}}}
    before["models"]["face"]["frames"] = {"8x8 GRAY8": 19_000}
    assert report.grown(dearer, before) == ["face: a frame of 8x8 GRAY8 30,000 cycles, committed 19,000"]
    assert report.grown({"models": {}}, before) == ["face is not measured any more"]


def test_bad_input_is_told(tmp_path: Path) -> None:
    for arguments in (["--model", "face=nowhere.rnnp"], ["--model", "nothing"]):
        result = subprocess.run(
            [sys.executable, "-m", "tools.bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 1
        assert "--model wants NAME=PATH" in result.stderr


def test_golden_image_is_the_engine_s() -> None:
    engine = Engine(write(networks.segmented(2)))
    shape = network.read_shape(write(networks.segmented(2)))
    seed = int.from_bytes(write(networks.segmented(2))[44:48], "little")
    assert np.array_equal(golden_image(shape, seed), engine.golden_frame())


def test_figures_of_mlperf_tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    committed = json.loads((ROOT / "docs" / "benchmarks.json").read_text())["mlperf"]
    assert set(committed) == set(mlperf.ENTRIES)
    assert committed["vww"]["cycles"] < 10_670_000 and committed["resnet8"]["cycles"] < 19_800_000
    assert committed["kws"]["cycles"] < 5_190_000
    for name, limit in {"vww": 24, "resnet8": 20, "kws": 12}.items():
        assert committed[name]["arena"] <= limit * 1024
    assert mlperf.grown(committed, committed, 0.01) == []
    worse = {**committed, "kws": {**committed["kws"], "cycles": 2 * committed["kws"]["cycles"]}}
    (line,) = mlperf.grown(worse, committed, 0.01)
    assert line.startswith("MLPerf Tiny, kws: cycles ")
    assert f"{committed['vww']['cycles'] / 1e6:.2f} |" in "\n".join(mlperf.document(committed))
    monkeypatch.delenv(mlperf.VARIABLE, raising=False)
    assert mlperf.folder() is None
    monkeypatch.setenv(mlperf.VARIABLE, str(tmp_path))
    with pytest.raises(BenchError, match=r"there is no vww_96_int8\.tflite"):
        mlperf.folder()
