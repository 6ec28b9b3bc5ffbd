"""What the rest relies on: the wrapper's structures are the header's, and the tables are the generator's."""

import ctypes
import subprocess
import sys
from pathlib import Path

import engine_runner
import networks
import pytest

from rnnpool_training.blob import Kind, read, write
from rnnpool_training.engine import FLAGS, SOURCES, STRUCTURES, Engine, EngineError, build, load
from rnnpool_training.layers import layer

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
        for model in (networks.tiny(1), networks.classifier(1), networks.others(1)):
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


def unused_kinds(*models: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--unused-kinds", *models]
    return subprocess.run(command, capture_output=True, text=True)


def test_kinds_that_no_model_has_are_left_out() -> None:
    """What micropython.mk and .cmake do with RNNPOOL_WITHOUT=auto: built-in models run, others are refused."""
    face, person = ((ROOT / "models" / f"{name}.rnnp").read_bytes() for name in ("face", "person"))
    without = unused_kinds("face").stdout.split()
    kinds = {op.kind.name for op in read(face).ops}
    assert without == [kind.name for kind in Kind if kind.name not in kinds]
    more = {op.kind.name for op in read(person).ops}
    assert unused_kinds("face", "person").stdout.split() == [name for name in without if name not in more]
    assert unused_kinds().stdout.split() == [kind.name for kind in Kind]
    library = load(build((*FLAGS, *(f"-DRNNP_WITH_{name}=0" for name in without))))
    assert Engine(face, library).golden_check()
    with pytest.raises(EngineError) as caught:
        Engine(person, library)
    assert (caught.value.status, caught.value.what) == ("unsupported", "GLOBAL_AVERAGE_POOL")


def test_models_whose_kinds_cannot_be_known_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.rnnp"
    old = b"RNNP\2" + bytes(200)
    for data, text in ((b"RNNP", "4 bytes are no whole .rnnp file"), (old, "version 2, 3 is needed")):
        path.write_bytes(data)
        said = unused_kinds(str(path))
        assert said.returncode == 1 and str(path) in said.stderr and text in said.stderr, said.stderr
