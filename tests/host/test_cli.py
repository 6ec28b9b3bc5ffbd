"""The one command: its words, its help, what it says when something is wrong; and `rnnpool detect`."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import networks
import numpy as np
import pytest
from load_tool import ROOT
from PIL import Image

from rnnpool_training import cli, generated, reference
from rnnpool_training.blob import load, save
from rnnpool_training.reference import Format

# The documents that people paste from.
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "models").glob("*.md"))]


def run(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    start = "from rnnpool_training.cli import main; sys.argv[0] = 'rnnpool'; sys.exit(main())"
    command = [sys.executable, "-c", f"import sys; {code}{start}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_has_an_example_of_each_and_comes_at_once() -> None:
    # Of the modules that take long to import, it imports none.
    heavy = (
        "import atexit; atexit.register(lambda: print(sorted({'torch', 'numpy', 'PIL', 'argparse'} & {*sys.modules})));"
    )
    done = run("--help", code=heavy)
    assert done.returncode == 0 and done.stderr == ""
    *text, imported = done.stdout.splitlines()
    assert imported == "[]"
    for word in cli.COMMANDS:
        assert any(line.startswith(f"  rnnpool {word} ") for line in text), word
    assert max(map(len, text)) <= 140
    assert run().stdout == run("help").stdout == "\n".join([*text, ""])


def test_each_word_leads_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    makefile = "".join(p.read_text() for p in (ROOT / "Makefile", ROOT / "ports" / "stm32" / "stm32.mk"))
    for word, command in cli.COMMANDS.items():
        if command.target:
            assert f"\n.PHONY: {command.target}\n" in makefile, word
        else:
            assert find_spec(command.where), word


@pytest.mark.parametrize(
    "word", ["detect", "show", "eval", "export", "convert", "compare", "bench", "board", "stream", "demo", "firmware"]
)
def test_help_of_a_word(word: str) -> None:
    done = run(word, "--help")
    assert done.returncode == 0, done.stderr
    called = "board stream" if word == "stream" else word
    assert done.stdout.startswith(f"usage: rnnpool {called}")


@pytest.mark.parametrize(
    "words", [["stream", "no.jpg"], ["board", "stream", "no.jpg"], ["bench", "--model", "no=no.rnnp"]]
)
def test_mistakes_begin_with_the_word_that_was_typed(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode and done.stderr.startswith(f"{words[0]}: ") and done.stderr.count("\n") == 1


def test_documents_use_words_that_there_are() -> None:
    used = set()
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = [line for line in text.splitlines() if line.startswith("    ")]
        for line in [*blocks, *re.findall(r"`([^`\n]+)`", text)]:
            if found := re.match(
                r"\s*(?:(?:build/venv(?:-demo)?|env)/bin/)?rnnpool (?!needs)([a-z]+(?:-[a-z]+)*)\b", line
            ):
                used.add(found[1])
                assert found[1] in cli.COMMANDS, (document.name, line)
    assert used >= {"train", "finetune", "export", "eval", "classify", "convert", "show", "stream", "board", "detect"}


def test_what_the_module_cannot_be_built_with_is_a_sentence(tmp_path: Path) -> None:
    # In a checkout, `rnnpool detect` without Python's headers, as after `make demo` alone, or without a compiler.
    code = f"import sysconfig; sysconfig.get_paths = lambda: {{'include': {str(tmp_path)!r}}}; "
    done = run("detect", "photo.jpg", code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"rnnpool: the module needs Python's headers, .*Python\.h: `apt-get install .*\n", done.stderr)
    hidden = "import os, rnnpool_training.native as n; os.environ['CC'] = 'no-cc'; n.build_folder = lambda: n.Path"
    done = run("detect", "photo.jpg", code=f"{hidden}({str(tmp_path)!r}); ")
    assert done.returncode == 2 and done.stderr.startswith("rnnpool: no C compiler, ") and done.stderr.count("\n") == 1


def test_mistakes_get_a_sentence(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30)).save(photo)
    before = photo.read_bytes()
    for arguments, sentence in (
        (["detekt"], "rnnpool: there is no command 'detekt': did you mean detect?"),
        (["xyz"], "rnnpool: there is no command 'xyz': there are demo, detect, "),
        (["web", "face"], "rnnpool: web takes variables of make, as MODELS=face, not 'face'"),
        (["firmware", "--board", "X"], "rnnpool: firmware takes variables of make, as MODELS=face, not '--board'"),
        (["deploy", "NUCLEO_F439ZI", "PYBV11"], "rnnpool: deploy takes one BOARD, not 2: NUCLEO_F439ZI, PYBV11"),
        (["demo", "a.jpg", "b.jpg"], "rnnpool: demo takes one IMAGE, not 2: a.jpg, b.jpg"),
        (["demo", "a\nb.jpg"], "rnnpool: demo goes through make, which takes no name with a line feed"),
        (["demo", tmp_path / "no=$x.jpg"], f"demo: there is no picture {tmp_path / 'no=$x.jpg'}\n"),
        (["detect", tmp_path / "no.jpg"], f"detect: {tmp_path / 'no.jpg'} can't be read as an image: it is not there"),
        (
            ["detect", "x.png", "--model", "dog"],
            "detect: there is no model 'dog': name a .rnnp file, or one of ours (face, ",
        ),
        (["detect", "x.png", "--model", "dog.rnnp"], "detect: dog.rnnp: No such file"),
        (
            ["detect", "x.png", "y.png", "-o", tmp_path / "z.png"],
            "detect: -o is for one picture and a model that detects",
        ),
        (["detect", photo, "-o", photo], f"detect: {photo}: would be written over"),
        (["detect", photo, "-o", "found.xyz"], "detect: found.xyz: a picture to write ends in .png"),
        (
            ["detect", photo, "--model", "person", "--threshold", ".4"],
            "--threshold: of models that detect; person gives",
        ),
        (["plan", "no.rnnp"], "plan: no.rnnp: No such file"),  # not `planner`, the module's name
        (["show", "no.rnnp"], "show: no.rnnp: No such file"),
        (["eval", "--model", photo, "--data", tmp_path / "none"], f"eval: {photo}"),
        (["convert", "no.tflite", "-o", tmp_path / "x.rnnp"], "convert: no.tflite: No such file"),
        (["detect", "x.png", "--threshold", "2"], "--threshold: must be 0 or more and at most 1, not 2"),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert sentence in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert photo.read_bytes() == before


def test_a_broken_picture_does_not_stop_the_others(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    (tmp_path / "empty.jpg").touch()
    given = [tmp_path / name for name in ("broken.png", "a.png", "empty.jpg", "a.png", "no.png")]
    done = run("detect", *given, "--json")
    assert done.returncode == 2
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(tmp_path / "a.png")] * 2
    *each, last = done.stderr.splitlines()
    assert len(each) == 3 and all("can't be read as an image" in line for line in each)
    assert last == f"detect: 3 of 5 pictures could not be read: {given[0]}, {given[2]}, {given[4]}"


def test_interrupts_while_it_is_imported_end_it_silently(tmp_path: Path) -> None:
    """There is nothing to lose yet; afterwards Ctrl-C is the module's."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import os, signal\n"
        "if os.environ.get('PRESS'): os.kill(os.getpid(), signal.SIGINT)\n"
        "def main(arguments): assert signal.getsignal(signal.SIGINT) is signal.default_int_handler; return 5\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from rnnpool_training import cli\n"
        "sys.exit(cli.run_module('slow', cli.Command('', '', 'slow'), []))"
    )
    for press, status in (("", 5), ("1", -signal.SIGINT)):
        environment = {**os.environ, "PRESS": press}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize("module", ["classify", "paper.recipes", "smoke"])
def test_so_they_do_in_modules(module: str, tmp_path: Path) -> None:
    """python -m: Ctrl-C comes while PyTorch is imported, and later, when it is main's."""
    (tmp_path / "torch.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-m", f"rnnpool_training.{module}", "--help"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'training'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("module", ["few_shot", "show_model", "board", "bench", "bench.cores"])
def test_so_they_do_in_tools(module: str, tmp_path: Path) -> None:
    """python -m tools.X: in an import, and in main(), where it is a sentence."""
    for package in ("torch", "numpy"):
        (tmp_path / f"{package}.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-m", f"tools.{module}", "--help"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'training'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    (tmp_path / "numpy.py").unlink()
    (tmp_path / "torch.py").unlink()
    (tmp_path / "sitecustomize.py").write_text(
        "import argparse, signal\nargparse.ArgumentParser.parse_args = lambda *_: signal.raise_signal(signal.SIGINT)\n"
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{module.split('.')[-1]}: interrupted\n")


@pytest.mark.parametrize("module", ["frames", "show_model", "bench"])
def test_programs_of_another_python_name_what_it_lacks(module: str) -> None:
    command = [sys.executable, "-S", "-m", f"tools.{module}", "--help"]  # -S: without site-packages
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert re.match(r"the Python package \w+ is missing: run this with build/venv/bin/python", done.stderr)


def test_libraries_leave_signals_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import rnnpool_training")
    (tmp_path / "other" / "program.py").write_text(
        "import signal; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "import rnnpool_training.command\n"
        "@rnnpool_training.command.command\n"
        "def main(arguments): signal.raise_signal(signal.SIGINT)\n"
        "main()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'training'}"}
    command = [sys.executable, "-m", "other.program"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "program: interrupted\n")


def test_a_missing_package_is_named() -> None:
    missing = "sys.modules['torch'] = None;"
    done = run("train", "--help", code=missing)
    assert done.returncode == 2
    assert "train needs the package torch" in done.stderr and "pip install 'rnnpool[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    for word in ("detect", "show", "eval"):
        assert run(word, "--help", code=missing).returncode == 0, word


def test_detect_says_what_the_reference_says(tmp_path: Path) -> None:
    pixels = np.asarray(generated.picture(np.random.default_rng(3), 320, 240)[0].convert("RGB"))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    out = tmp_path / "found.png"
    done = run("detect", tmp_path / "a.png", "--json", "--threshold", "0.05", "-o", out)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[0])
    face = load(ROOT / "models" / "face.rnnp")
    want = reference.detect(face, pixels.tobytes(), 320, 240, Format.RGB888, round(0.05 * 32768))
    assert want
    assert result["detections"] == [[d.x, d.y, d.w, d.h, round(d.score / 32768, 4)] for d in want]
    with Image.open(out) as drawn:
        assert drawn.size == (320, 240)
        assert np.any(np.asarray(drawn) != pixels)
    net = networks.Builder(np.random.default_rng(2), 24, 32, 3)
    net.conv(0, 4, 3, 2)
    save(model := net.classifier("number", 1), tmp_path / "number.rnnp")
    outputs = reference.run(model, pixels.tobytes(), 320, 240, Format.RGB888)
    raw = float(reference.raw_outputs(model, outputs).ravel()[0])
    numbers = json.loads(run("detect", tmp_path / "a.png", "--model", tmp_path / "number.rnnp", "--json").stdout)[
        "numbers"
    ]
    assert numbers == {model.labels[0]: pytest.approx(raw / 4096)}
    text = run("detect", tmp_path / "a.png", "--model", "person").stdout
    person = load(ROOT / "models" / "person.rnnp")
    chances = reference.classify(person, pixels.tobytes(), 320, 240, Format.RGB888)
    assert [line.split(None, 1)[::-1] for line in text.splitlines()[1:]] == [
        [label, f"{chance / 32768:.3f}"] for label, chance in zip(person.labels, chances, strict=True)
    ]
