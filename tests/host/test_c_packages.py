"""The engine as a package for programs in C and C++: CMake, Arduino, PlatformIO, Zephyr.

Each is built as its user would build it and finds what the Python interface finds. Arduino's core and Zephyr's CMake
functions are stand-ins, which do what those do with what a package gives them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from load_tool import ROOT
from matplotlib import cbook
from PIL import Image, ImageOps

from rnnpool_training.engine import Engine
from tools.dist import arduino, mip, release

FACE = ROOT / "models" / "face.rnnp"
EXAMPLE = ROOT / "examples" / "c" / "detect.c"


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        return np.array(ImageOps.pad(picture.convert("L"), (320, 240)))


@pytest.fixture(scope="module")
def found(pixels: np.ndarray) -> list[str]:
    lines = [f"{one.x} {one.y} {one.w} {one.h} {one.score}" for one in Engine(FACE.read_bytes()).detect(pixels)]
    assert lines
    return lines


def call(*command: object, folder: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def detects(program: Path, pixels: np.ndarray) -> list[str]:
    """What a build of examples/c/detect.c prints."""
    frame = program.with_name("frame.raw")
    frame.write_bytes(pixels.tobytes())
    return call(program, FACE, frame).splitlines()


# A program in C, the same in C++, and one with the model in it.
CONSUMER = """
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C CXX)
{find}
foreach(language C CXX)
    configure_file({example} ${{CMAKE_CURRENT_BINARY_DIR}}/${{language}}/detect.c COPYONLY)
    set(source ${{CMAKE_CURRENT_BINARY_DIR}}/${{language}}/detect.c)
    set_source_files_properties(${{source}} PROPERTIES LANGUAGE ${{language}})
    add_executable(detect_${{language}} ${{source}})
    target_link_libraries(detect_${{language}} PRIVATE rnnpool::rnnpool)
endforeach()
add_executable(embedded embedded.c)
target_link_libraries(embedded PRIVATE rnnpool::rnnpool)
rnnpool_embed(embedded {model})
"""
EMBEDDED = """
#include <stdio.h>
#include <rnnpool.h>
#include "face_rnnp.h"
int main(void) {
    rnnp_model_t model;
    rnnp_error_t error;
    rnnp_status_t status = rnnp_model_init(&model, rnnpool_face, sizeof(rnnpool_face), &error);
    printf("%d %dx%d %lu\\n", status, model.width, model.height, (unsigned long)sizeof(rnnpool_face));
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake: tools/debian_packages.sh test")
@pytest.mark.parametrize(("how", "compiler"), [("installed", "gcc"), ("installed", "clang"), ("subdirectory", "gcc")])
def test_cmake(how: str, compiler: str, tmp_path: Path, pixels: np.ndarray, found: list[str]) -> None:
    compilers = [f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_CXX_COMPILER={compiler.replace('gcc', 'g')}++"]
    prefix = tmp_path / "a prefix"
    if how == "installed":
        call("cmake", "-S", ROOT, "-B", tmp_path / "library", f"-DCMAKE_INSTALL_PREFIX={prefix}", *compilers)
        call("cmake", "--build", tmp_path / "library", "--parallel", "2", "--target", "install")
        find = f"find_package(rnnpool {release.version()} REQUIRED)"
    else:
        find = f"add_subdirectory({ROOT} rnnpool)"
    consumer = tmp_path / "consumer"
    consumer.mkdir()
    (consumer / "CMakeLists.txt").write_text(CONSUMER.format(find=find, example=EXAMPLE, model=FACE))
    (consumer / "embedded.c").write_text(EMBEDDED)
    call("cmake", "-S", consumer, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}", *compilers)
    call("cmake", "--build", tmp_path / "build", "--parallel", "2")
    for program in ("detect_C", "detect_CXX"):
        assert detects(tmp_path / "build" / program, pixels) == found
    assert call(tmp_path / "build" / "embedded") == f"0 320x240 {FACE.stat().st_size}\n"


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake: tools/debian_packages.sh test")
@pytest.mark.parametrize(
    ("model", "without", "said"),
    [
        ("no.rnnp", "", "there is no .rnnp file"),
        ("face.pt", "", "there is no .rnnp file"),
        ("face v1.2.rnnp", "", "face v1.2 is no name for a model (letters, digits and _ only)"),
        ("face.rnnp", "auto", "--without auto MODEL says the names to give here"),
        ("face.rnnp", "ADD, MUL tflite", "left_out.h has no tflite"),
        ("face.rnnp", "DEN.E", "left_out.h has no DEN.E"),
        ("face.rnnp", "ADD, MUL;;TFLITE FINE", ""),
    ],
)
def test_cmake_says_mistakes_when_it_configures(model: str, without: str, said: str, tmp_path: Path) -> None:
    for name in ("face.rnnp", "face.pt", "face v1.2.rnnp"):
        shutil.copy(FACE, tmp_path / name)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(consumer LANGUAGES C)\nadd_subdirectory({ROOT} rnnpool)\n"
        f'add_executable(main main.c)\nrnnpool_embed(main "{model}")\n'
    )
    command = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DRNNPOOL_WITHOUT={without}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if said:
        assert done.returncode == 1 and said in " ".join(done.stderr.split())
    else:
        flags = (tmp_path / "build" / "rnnpool" / "CMakeFiles" / "rnnpool.dir" / "flags.make").read_text()
        assert sorted(re.findall(r"RNNP_WITH_(\w+)=0", flags)) == ["ADD", "FINE", "MUL", "TFLITE"]


def compile_sources(compiler: Sequence[str], sources: Sequence[Path], folder: Path) -> list[Path]:
    folder.mkdir()
    objects = [folder / f"{index}.o" for index in range(len(sources))]
    for source, to in zip(sources, objects, strict=True):
        call(*compiler, "-c", source, "-o", to)
    return objects


def test_arduino(tmp_path: Path, pixels: np.ndarray, found: list[str]) -> None:
    files = arduino.library(release.version(), mip.models([FACE]))
    library = tmp_path / "libraries" / "rnnpool"
    arduino.write(library, files)
    # As Arduino does: all of src/ with src/ as the one folder for headers, the sketch as C++ after Arduino.h.
    objects = compile_sources(
        ["gcc", "-O1", f"-I{library}/src"], sorted((library / "src").rglob("*.c")), tmp_path / "o"
    )
    sketch = library / "examples" / "DetectFaces" / "DetectFaces.ino"
    core = tmp_path / "core.cpp"
    core.write_text(f'#include "Arduino.h"\n#include "{sketch}"\nint main() {{ setup(); for (;;) {{ loop(); }} }}\n')
    program = tmp_path / "sketch"
    headers = [f"-I{ROOT}/tests/host/arduino", f"-I{library}/src", f"-I{sketch.parent}"]
    call("g++", "-std=gnu++11", "-Wall", "-Wextra", "-Werror", *headers, core, *objects, "-o", program)
    frame = pixels.tobytes()
    done = subprocess.run([program], input=frame + frame, capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert [line.rstrip() for line in lines] == [*found, "done"] * 2


def test_the_arduino_zip_is_the_same_each_time() -> None:
    files = arduino.library(release.version(), mip.models([FACE]))
    packed = arduino.pack(files, "rnnpool", 1_700_000_000)
    assert packed == arduino.pack(dict(reversed(files.items())), "rnnpool", 1_700_000_000)
    # Nothing but the engine and what goes with it.
    assert all(name.split("/")[0] in ("src", "examples", "extras") or "/" not in name for name in files)


def test_platformio(tmp_path: Path, pixels: np.ndarray, found: list[str]) -> None:
    manifest = json.loads((ROOT / "library.json").read_text())
    assert manifest["version"] == release.version()
    assert all((ROOT / path).exists() for path in manifest["export"]["include"])
    assert (ROOT / manifest["build"]["includeDir"] / manifest["headers"]).is_file()
    # As PlatformIO does: everything below srcDir, with both folders for headers.
    include = [f"-I{ROOT / manifest['build'][key]}" for key in ("includeDir", "srcDir")]
    sources = sorted((ROOT / manifest["build"]["srcDir"]).rglob("*.c"))
    objects = compile_sources(["gcc", "-O1", *include], sources, tmp_path / "o")
    call("gcc", *include, EXAMPLE, *objects, "-o", tmp_path / "detect")
    assert detects(tmp_path / "detect", pixels) == found


# Zephyr's own functions, as far as the module calls them, and an application.
ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(zephyr_stand_in LANGUAGES C)
add_library(zephyr_interface INTERFACE)
macro(zephyr_include_directories)
    target_include_directories(zephyr_interface INTERFACE ${{ARGN}})
endmacro()
macro(zephyr_library)
    add_library(module STATIC)
    target_link_libraries(module PUBLIC zephyr_interface)
endmacro()
macro(zephyr_library_sources)
    target_sources(module PRIVATE ${{ARGN}})
endmacro()
function(zephyr_library_compile_definitions_ifdef feature)
    if(${{feature}})
        target_compile_definitions(module PRIVATE ${{ARGN}})
    endif()
endfunction()
set(CONFIG_RNNPOOL y)
set(CONFIG_RNNPOOL_NO_DSP y)
add_subdirectory({module} rnnpool)
add_executable(detect {example})
target_link_libraries(detect PRIVATE module)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake: tools/debian_packages.sh test")
def test_zephyr(tmp_path: Path, pixels: np.ndarray, found: list[str]) -> None:
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR.format(module=ROOT / "zephyr", example=EXAMPLE))
    call("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    call("cmake", "--build", tmp_path / "build", "--parallel", "2")
    assert detects(tmp_path / "build" / "detect", pixels) == found
    # What module.yml names is there, and each option of Kconfig is one that CMake looks at.
    words = dict(
        line.strip().split(": ", 1) for line in (ROOT / "zephyr/module.yml").read_text().splitlines() if ": " in line
    )
    assert (ROOT / words["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (ROOT / words["kconfig"]).read_text().splitlines()
    options = [line.split()[1] for line in kconfig if line.startswith(("config ", "menuconfig "))]
    assert options and all(f"CONFIG_{option}" in (ROOT / "zephyr/CMakeLists.txt").read_text() for option in options)


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc")
@pytest.mark.skipif(shutil.which("clang") is None, reason="no clang")
def test_clang_is_not_much_larger_than_gcc_on_a_cortex_m4(tmp_path: Path) -> None:
    core = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    libc = Path(call("arm-none-eabi-gcc", "-print-sysroot").strip() or "/usr/lib/arm-none-eabi") / "include"
    if not (libc / "string.h").is_file():
        libc = Path("/usr/lib/arm-none-eabi/include")
    sizes = {}
    for compiler, flags in (("arm-none-eabi-gcc", []), ("clang", ["--target=arm-none-eabi", "-isystem", str(libc)])):
        words = " ".join([*core, *flags])
        build = tmp_path / compiler
        call(
            *(
                "cmake",
                "-S",
                ROOT,
                "-B",
                build,
                "-DCMAKE_SYSTEM_NAME=Generic",
                "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
            ),
            *(f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_C_FLAGS={words}"),
        )
        call("cmake", "--build", build, "--parallel", "2")
        table = call("arm-none-eabi-size", build / "librnnpool.a").splitlines()[1:]
        sizes[compiler] = sum(int(line.split()[0]) for line in table)
    print(sizes)
    assert sizes["clang"] < 1.2 * sizes["arm-none-eabi-gcc"]
