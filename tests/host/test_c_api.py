"""The engine from C and C++: the example compiles with every compiler and finds what the Python interface finds."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image, ImageOps

from rnnpool_training.engine import FLAGS, SOURCES, Engine, build, load

ROOT = SOURCES.parents[1]
EXAMPLE = ROOT / "examples" / "c" / "detect.c"


@pytest.mark.parametrize("compiler", ["gcc -std=c99", "clang -std=c99", "g++ -x c++ -std=c++11", "clang++ -x c++"])
def test_the_example(compiler: str, tmp_path: Path) -> None:
    library = Path(build(FLAGS))
    program, frame = tmp_path / "detect", tmp_path / "frame.raw"
    command = [*compiler.split(), "-Wall", "-Wextra", "-Werror", f"-I{SOURCES.parent}", str(EXAMPLE), "-x", "none"]
    subprocess.run([*command, str(library), f"-Wl,-rpath,{library.parent}", "-o", str(program)], check=True)
    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        pixels = np.array(ImageOps.pad(picture.convert("L"), (320, 240)))
    frame.write_bytes(pixels.tobytes())
    model = ROOT / "models" / "face.rnnp"
    done = subprocess.run([str(program), str(model), str(frame)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    engine = Engine(model.read_bytes(), load(library))
    found = [f"{one.x} {one.y} {one.w} {one.h} {one.score}" for one in engine.detect(pixels)]
    assert found != []
    assert done.stdout.splitlines() == found
    frame.write_bytes(pixels.tobytes()[:1000])  # a frame that is too short is no frame without faces
    assert subprocess.run([str(program), str(model), str(frame)], capture_output=True).returncode == 1


def test_a_big_endian_processor_is_refused_by_name() -> None:
    command = ["gcc", "-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__", f"-I{SOURCES.parent}"]
    source = '#include "engine/rnnp.h"\n'
    done = subprocess.run([*command, "-xc", "-c", "-", "-o", "/dev/null"], input=source, capture_output=True, text=True)
    assert done.returncode != 0
    assert "little-endian" in done.stderr
