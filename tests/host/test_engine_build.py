"""What the rest relies on: the wrapper's structures are the header's, and the tables are the generator's."""

import ctypes
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import engine_runner
import networks
import numpy as np
import pytest

from rnnpool_training.blob import Kind, Task, read, write
from rnnpool_training.engine import FLAGS, SOURCES, STRUCTURES, Engine, EngineError, build, load
from rnnpool_training.layers import layer
from rnnpool_training.reference import Format, Light, View

ROOT = SOURCES.parents[1]


def test_structures_are_those_of_the_header() -> None:
    lines = []
    for name, structure in STRUCTURES.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field in structure._fields_:
            lines.append(f'printf("{name}.{field[0]} %zu\\n", offsetof({name}, {field[0]}));')
    engine_runner.BUILD.mkdir(parents=True, exist_ok=True)
    program = engine_runner.BUILD / "layout"
    source = '#include <stdio.h>\n#include "engine/rnnp.h"\nint main(void) {\n' + "\n".join(lines) + "\nreturn 0;\n}\n"
    command = ["cc", "-x", "c", f"-I{SOURCES.parent}", "-o", str(program), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    said = dict(line.split() for line in subprocess.check_output([str(program)], text=True).splitlines())
    for name, structure in STRUCTURES.items():
        assert int(said.pop(name)) == ctypes.sizeof(structure), name
        for field in structure._fields_:
            assert int(said.pop(f"{name}.{field[0]}")) == getattr(structure, field[0]).offset, (name, field[0])


def test_tables_are_made_by_the_generator() -> None:
    made = subprocess.check_output([sys.executable, str(ROOT / "tools" / "make_tables.py")], text=True)
    assert made == (SOURCES / "kernels" / "tables.c").read_text()


@pytest.mark.parametrize("remainder", [0, 1])
def test_an_operator_that_is_left_out_is_refused_by_name(remainder: int) -> None:
    without = [kind for kind in Kind if kind % 2 == remainder]
    library = load(build((*FLAGS, *(f"-DRNNP_WITH_{kind.name}=0" for kind in without))))
    left: set[Kind] = set()
    for kind in Kind:  # a single operator of each kind, or a network that begins with it
        for model in (networks.tiny(1), networks.classifier(1), networks.others(1), networks.normalized(1)):
            kinds = [op.kind for op in model.ops]
            if kind not in kinds:
                continue
            index = kinds.index(kind)
            one = len(model.ops[index].reads) == 1
            data = write(layer(model, index) if one else model)
            if kind not in without and one:
                assert Engine(data, library).golden_check()
                continue
            with pytest.raises(EngineError) as caught:
                Engine(data, library)
            error = caught.value
            first = kind if one else next(k for k in kinds if k in without)
            assert (error.status, error.what) == ("unsupported", first.name)
            left.add(first)
    assert left == {kind for kind in without if kind not in (Kind.ADD, Kind.CONCAT, Kind.MUL)}


def left_out(*models: str, names: str = "auto") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--without", names, *models]
    return subprocess.run(command, capture_output=True, text=True)


# Beside kinds of operator; what only saves some shapes time or memory, and is never missed.
FEATURES = ["TFLITE", "FINE", "SHIFT", "ANY_DENSE", "ANY_CELL", "CELL_SHIFT", "CLASSES", "CLAMP", "RECOMPUTE"]
FEATURES += ["PROJECT", "RGB", "MATERIALIZE", "MAP", "LAYER"]
FASTER = ["BY_STEP", "TILE1", "COLUMNS2", "TAPS4", "FIRST_GRAY", "FIRST_RGB"]
FRAMES = ["YUV", "VIEW", "LIGHT"]  # of these, and of CHECKS, no model says anything


def test_only_c_files_of_its_own_are_written_over(tmp_path: Path) -> None:
    program, model, out = ROOT / "mp_module" / "embed_models.py", tmp_path / "person.rnnp", tmp_path / "models.c"
    model.write_bytes((ROOT / "models" / "person.rnnp").read_bytes())

    def embed(output: Path, *models: str) -> str:
        command = [sys.executable, str(program), "--output", str(output), *models]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stderr

    assert embed(out, "face") == embed(out, "person.rnnp") == ""
    assert '{ "person", model_0, ' in out.read_text()
    before = model.read_bytes()
    said = "person.rnnp would be written over, and it is no C file of this program: choose another name\n"
    assert embed(Path("person.rnnp"), "face") == f"embed_models: {said}"
    assert embed(Path("/dev/full"), "face") == "embed_models: /dev/full can't be written: No space left on device\n"
    assert model.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["models.c", "person.rnnp"]


def test_what_no_model_needs_is_left_out() -> None:
    """What micropython.mk and .cmake do with RNNPOOL_WITHOUT=auto: built-in models run, others are refused."""
    face, person = ((ROOT / "models" / f"{name}.rnnp").read_bytes() for name in ("face", "person"))
    without = left_out("face").stdout.split()
    kinds = {op.kind.name for op in read(face).ops}
    again = {"RECOMPUTE"} if any(getattr(op, "recompute", 0) for op in read(face).ops) else set()
    unused = [name for name in FEATURES if name not in again]
    faster = [name for name in FASTER if name != "FIRST_GRAY"]
    assert without == [kind.name for kind in Kind if kind.name not in kinds] + unused + faster
    more = {op.kind.name for op in read(person).ops} | {
        "CELL_SHIFT",
        "RGB",
        "MATERIALIZE",
        "BY_STEP",
        "TILE1",
        "COLUMNS2",
        "FIRST_RGB",
    }
    assert left_out("face", "person").stdout.split() == [name for name in without if name not in more]
    assert "auto leaves out what no model needs, and there is no model: name one" in left_out().stderr
    assert left_out("face", "person", names="auto, ADD;RGB").stdout.split() == [
        name for name in without if name not in more or name == "RGB"
    ]
    library = load(build((*FLAGS, *(f"-DRNNP_WITH_{name}=0" for name in without))))
    assert Engine(face, library).golden_check()
    with pytest.raises(EngineError) as caught:
        Engine(person, library)
    assert (caught.value.status, caught.value.what) == ("unsupported", "RGB")


# By themselves: so many networks need these that they would hide the others, or others that one.
ALONE = ["ANY_DENSE", "CELL_SHIFT", "CLASSES", "CLAMP", "PROJECT"]


@pytest.mark.parametrize(
    ("features", "count"), [([name for name in FEATURES if name not in ALONE], 120), *(([name], 24) for name in ALONE)]
)
def test_networks_that_need_what_is_left_out_are_refused_by_its_name(
    tmp_path: Path, features: list[str], count: int
) -> None:
    library = load(build((*FLAGS, *(f"-DRNNP_WITH_{name}=0" for name in features + FASTER))))
    refused: set[str] = set()
    accepted = 0
    path = tmp_path / "net.rnnp"
    tasks = [Task.DETECTION, Task.CLASSIFICATION] * 4 + [Task.MAP, Task.LAYER]
    for seed in range(count):
        rng = np.random.default_rng(seed)
        data = write(networks.random_network(rng, tasks[seed % len(tasks)]))
        path.write_bytes(data)
        spared = set(left_out(str(path)).stdout.split())
        needs = [name for name in features if name not in spared]
        if needs:
            with pytest.raises(EngineError) as caught:
                Engine(data, library)
            assert caught.value.status == "unsupported" and caught.value.what in needs, (seed, needs)
            refused.add(caught.value.what)
        else:
            assert Engine(data, library).golden_check()
            accepted += 1
    assert refused == set(features) and accepted > 0


def test_without_checks_models_run_and_damage_is_still_noticed() -> None:
    library = load(build((*FLAGS, "-DRNNP_WITH_CHECKS=0")))
    blobs = [(ROOT / "models" / f"{name}.rnnp").read_bytes() for name in ("face", "person")]
    tasks = [Task.DETECTION, Task.CLASSIFICATION, Task.MAP, Task.LAYER]
    blobs += [write(networks.random_network(np.random.default_rng(seed), tasks[seed % 4])) for seed in range(40)]
    for blob in blobs:
        assert Engine(blob, library).golden_check()
        for damaged, status in ((blob[:-16], "truncated"), (blob[:-9] + bytes([blob[-9] ^ 1]) + blob[-8:], "checksum")):
            with pytest.raises(EngineError) as caught:
                Engine(damaged, library)
            assert caught.value.status == status


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("model", ["face", "person"])
def test_frames_that_need_what_is_left_out_are_refused_by_its_name(model: str, name: str) -> None:
    blob = (ROOT / "models" / f"{model}.rnnp").read_bytes()
    engine = Engine(blob, load(build((*FLAGS, f"-DRNNP_WITH_{name}=0"))))
    formats = [Format.RGB565, Format.YUYV, Format.UYVY, *([Format.YUV420] if model == "face" else [])]
    views = [View(), View(rotate=90), View(mirror=True), View(roi=(8, 4, 200, 160))]
    lights = [(None, False), (Light(300, -500), False), (None, True)]  # of these the last is measured
    rng = np.random.default_rng(3)
    refused = set()
    for format, view, (light, measure) in itertools.product(formats, views, lights):
        data = rng.integers(0, 256, 240 * 180 * (3 if format == Format.YUV420 else 4) // 2, dtype=np.uint8).tobytes()
        arguments: dict[str, Any] = {"view": view, "light": light, "measure": measure}
        needs = {"YUV": format != Format.RGB565, "VIEW": view != View(), "LIGHT": light is not None or measure}
        if needs[name]:
            with pytest.raises(EngineError) as caught:
                engine.run_bytes(data, 240, 180, format, **arguments)
            refused.add((caught.value.status, caught.value.what))
        else:
            expected = Engine(blob).run_bytes(data, 240, 180, format, **arguments).crc()
            assert engine.run_bytes(data, 240, 180, format, **arguments).crc() == expected
    assert refused == {("unsupported", name)}


def test_what_cannot_be_left_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.rnnp"
    old = b"RNNP\2" + bytes(200)
    face = (ROOT / "models" / "face.rnnp").read_bytes()
    command = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--output", str(tmp_path / "models.c")]
    for data, text in (
        (b"GIF89a", "no .rnnp file: it starts with b'GIF8', not b'RNNP'"),
        (b"RNNP", "4 bytes are no whole .rnnp file"),
        (old, "version 2, 4 is needed: export the model again"),
        (face[:1000], f"1000 bytes are no whole .rnnp file, {len(face)} are"),
        (face[:1000] + b"?" + face[1001:], "was damaged: its checksum is not what it says"),
    ):
        path.write_bytes(data)
        for said in (left_out(str(path)), subprocess.run([*command, str(path)], capture_output=True, text=True)):
            assert said.returncode == 1 and str(path) in said.stderr and text in said.stderr, said.stderr
    assert not (tmp_path / "models.c").exists()
    said = left_out("face", names="auto TFLIGHT")
    assert said.returncode == 1 and "TFLIGHT is none of auto, CONV" in said.stderr
    said = left_out("face", "person", names="auto CHECKS RGB")
    assert said.returncode == 1 and "model person needs RGB, and without CHECKS nothing refuses it" in said.stderr
    said = left_out("face", "person", names="auto CHECKS FIRST_RGB YUV")
    assert {"CHECKS", "FIRST_RGB", "YUV"} < set(said.stdout.split()), said.stderr
