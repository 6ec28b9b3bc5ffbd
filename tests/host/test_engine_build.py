"""What the rest relies on: the wrapper's structures are the header's, and the tables are the generator's."""

import ctypes
import subprocess
import sys

import engine_runner
import networks
import pytest

from rnnpool_training.blob import Kind, write
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
