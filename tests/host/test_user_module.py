"""The module where users put it: beside others in a folder, copied, linked or cloned; CMake ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECOND = """
#include "py/runtime.h"
static mp_obj_t answer(void) {
    return MP_OBJ_NEW_SMALL_INT(42);
}
static MP_DEFINE_CONST_FUN_OBJ_0(answer_obj, answer);
static const mp_rom_map_elem_t globals_table[] = { { MP_ROM_QSTR(MP_QSTR_answer), MP_ROM_PTR(&answer_obj) } };
static MP_DEFINE_CONST_DICT(globals, globals_table);
const mp_obj_module_t second_user_cmodule = { .base = { &mp_type_module }, .globals = (mp_obj_dict_t *)&globals };
MP_REGISTER_MODULE(MP_QSTR_second, second_user_cmodule);
"""


@pytest.fixture(scope="module")
def micropython() -> Path:
    """MicroPython's pinned source, obtained if it is not there."""
    tool = ROOT / "tools" / "get_micropython.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def make(micropython: Path, port: str, *arguments: str, check: bool = True) -> str:
    left_out = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPYCACHEPREFIX", "RNNPOOL_MODELS")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "MICROPY_GIT_TAG": "v1.25.0", "MICROPY_GIT_HASH": "0"}
    command = ["make", "-C", str(micropython / "ports" / port), "--no-print-directory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def unix(folder: Path, modules: Path) -> list[str]:
    variant = ["VARIANT_DIR=" + str(ROOT / "ports" / "unix"), "VARIANT=rnnpool"]
    return [*variant, f"BUILD={folder}", f"USER_C_MODULES={modules}", f"-j{os.cpu_count()}"]


def test_a_copy_beside_another_module(micropython: Path, tmp_path: Path) -> None:
    modules, build = tmp_path / "modules", tmp_path / "build"
    shutil.copytree(ROOT / "mp_module", modules / "rnnpool")
    (modules / "rnnpool" / "models").mkdir()
    shutil.copy(ROOT / "models" / "face.rnnp", modules / "rnnpool" / "models")
    (modules / "second").mkdir()
    (modules / "second" / "second.c").write_text(SECOND)
    (modules / "second" / "micropython.mk").write_text("SRC_USERMOD_C += $(USERMOD_DIR)/second.c\n")
    make(micropython, "unix", *unix(build, modules), "RNNPOOL_WITHOUT=auto CHECKS VIEW")
    script = (
        "import rnnpool, second; print(second.answer(), rnnpool.builtin_models(), rnnpool.Model('face').selftest())\n"
        f"frame = bytes(320 * 240); blob = open({str(ROOT / 'models' / 'face.rnnp')!r}, 'rb').read()\n"
        "print(rnnpool.detect_faces(frame))\n"
        "for call in (lambda: rnnpool.Model(blob), lambda: rnnpool.Model('my.rnnp'), lambda: rnnpool.Model('person'),\n"
        "             lambda: rnnpool.detect_faces(frame, rotate=180),\n"
        "             lambda: rnnpool.required_ram('face', rotate=180)):\n"
        "    try:\n"
        "        print(call())\n"
        "    except (OSError, ValueError) as error:\n"
        "        print(error)\n"
    )
    unchecked = "CHECKS is not in this firmware: built-in models only\n"
    done = subprocess.run([str(build / "micropython"), "-c", script], capture_output=True, text=True)
    missing = "[Errno 2] ENOENT: no model 'person' in this firmware\n"
    left_out = "VIEW is not in this firmware\n"
    assert done.stdout == f"42 ('face',) True\n[]\n{unchecked * 2}{missing}{left_out * 2}", done.stderr


def test_a_native_module_has_checks(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("include $(RNNPOOL_DIR)/natmod/natmod.mk\n")
    command = ["make", "-C", str(tmp_path), f"RNNPOOL_DIR={ROOT / 'mp_module'}", f"PYTHON={sys.executable}"]
    done = subprocess.run([*command, "ARCH=armv6m", "RNNPOOL_WITHOUT=CHECKS"], capture_output=True, text=True)
    assert "RNNPOOL_WITHOUT=CHECKS is for firmware with built-in models; a native module has none" in done.stderr


@pytest.mark.parametrize("how", ["copy", "link", "clone"])
def test_models_of_a_module_in_a_folder(micropython: Path, tmp_path: Path, how: str) -> None:
    modules, build = tmp_path / "modules", tmp_path / "build"
    modules.mkdir()
    if how == "copy":
        shutil.copytree(ROOT / "mp_module", modules / "rnnpool")
    else:
        (modules / "rnnpool").symlink_to(ROOT if how == "clone" else ROOT / "mp_module")
    made = build / "rnnpool_builtin_models.c"
    said = make(micropython, "unix", *unix(build, modules), str(made))
    assert ("gets no model" in said) == (how == "copy")
    assert f"rnnp_builtin_models_len = {0 if how == 'copy' else 1};" in made.read_text()
    place = "rnnpool/mp_module" if how == "clone" else "rnnpool"
    plan = make(micropython, "unix", "-n", *unix(build, modules))
    for source in ("engine/arch/armv7em_cell", "binding/model"):
        assert f"{build}/{place}/{source}.o" in plan
    # The kernels' own optimization, wherever the module lies.
    line = next(line for line in plan.splitlines() if f"-o {build}/{place}/engine/kernels/portable.o" in line)
    assert line.split(" -c ")[0].rstrip().split("-O")[-1].startswith("2"), line


@pytest.mark.parametrize(("port", "board"), [("rp2", "RPI_PICO2"), ("esp32", "ESP32_GENERIC_S3")])
@pytest.mark.parametrize("models", [None, "face,person"])
def test_the_command_for_cmake_ports(
    micropython: Path, tmp_path: Path, port: str, board: str, models: str | None
) -> None:
    # As mp_module/micropython.cmake says it. The board, the module and the models must all reach CMake.
    module = ROOT / "mp_module" / "micropython.cmake"
    arguments = [f"BOARD={board}", f"BUILD={tmp_path}", f"USER_C_MODULES={module}"]
    arguments += [f"RNNPOOL_MODELS={models}"] if models is not None else []
    said = make(micropython, port, "-n", *arguments, check=False)
    line = next(line for line in said.splitlines() if "cmake -S" in line or "idf.py" in line)
    assert f"USER_C_MODULES={module}" in line and f"MICROPY_BOARD={board}" in line
    seen = make(micropython, port, *arguments, "--eval=see: ; @echo seen:$$RNNPOOL_MODELS:", "see")
    assert f"seen:{models or ''}:" in seen


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here: apt-get install cmake")
@pytest.mark.parametrize(("models", "count"), [(None, 1), ("", 0), ("face,person", 2), ("face person", 2)])
def test_cmake_reads_the_models(tmp_path: Path, models: str | None, count: int) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.12)\nproject(test C)\nadd_library(usermod INTERFACE)\n"
        f"include({ROOT / 'mp_module' / 'micropython.cmake'})\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RNNPOOL_MODELS"}
    environment |= {} if models is None else {"RNNPOOL_MODELS": models}
    command = ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"rnnp_builtin_models_len = {count};" in (tmp_path / "build" / "rnnpool_builtin_models.c").read_text()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here: apt-get install cmake")
@pytest.mark.parametrize(
    ("without", "flags"), [(None, []), ("auto", ["ADD", "TFLITE", "RGB"]), ("MUL, FINE", ["MUL", "FINE"])]
)
def test_cmake_leaves_out_what_no_model_needs(tmp_path: Path, without: str | None, flags: list[str]) -> None:
    (tmp_path / "main.c").write_text("int main(void) {\n    return 0;\n}\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.12)\nproject(test C)\nadd_library(usermod INTERFACE)\n"
        f"include({ROOT / 'mp_module' / 'micropython.cmake'})\n"
        "add_executable(firmware main.c)\ntarget_link_libraries(firmware usermod)\n"
    )
    environment = {**os.environ, "RNNPOOL_MODELS": "face"} | ({"RNNPOOL_WITHOUT": without} if without else {})
    command = ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    compiled = json.loads((tmp_path / "build" / "compile_commands.json").read_text())
    engine = {Path(each["file"]).name: each["command"] for each in compiled if "/engine/" in each["file"]}
    assert " -O2 " in engine["armv7em_conv.c"] and " -Os " in engine["conv.c"]
    for name, said in engine.items():  # kernels as well as the rest
        left_out = re.findall(r"-DRNNP_WITH_(\w+)=0", said)
        assert set(flags) <= set(left_out) and "CONV" not in left_out, name
        assert without == "auto" or sorted(left_out) == sorted(flags), name
    failed = subprocess.run(command, env={**environment, "RNNPOOL_WITHOUT": "NOSUCH"}, capture_output=True, text=True)
    assert failed.returncode != 0 and "NOSUCH is none of auto, CONV" in failed.stderr


def test_the_module_is_found_once_by_later_micropythons(tmp_path: Path) -> None:
    # After 1.25 they look in the folder that USER_C_MODULES names, too, where this repository has a micropython.mk.
    (tmp_path / "Makefile").write_text(
        "BUILD = out\nUSER_C_MODULES = " + str(ROOT) + "\n"
        "found = $(wildcard $(USER_C_MODULES)/micropython.mk $(USER_C_MODULES)/*/micropython.mk)\n"
        "$(foreach file,$(found),$(eval USERMOD_DIR := $(patsubst %/,%,$(dir $(file))))$(eval include $(file)))\n"
        ".DEFAULT_GOAL := see\nsee: ; @echo $(words $(found)) $(SRC_USERMOD_LIB_C)\n"
        "out/%.o: ; @echo $@ $(CFLAGS)\n"
    )
    command = ["make", "-s", "-C", str(tmp_path)]
    number, *sources = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert number == "2" and len(sources) == len(set(sources)) > 40
    # Objects then lie in a folder named as this one.
    target = f"out/{ROOT.name}/mp_module/engine/kernels/portable.o"
    done = subprocess.run([*command, target], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == target and done.stdout.split()[-1] == "-O2"
