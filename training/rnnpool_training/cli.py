"""The one command, `rnnpool`: a word says what to do, and its module does it.

Nothing is imported before it is used: `rnnpool --help` must not wait for PyTorch.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from . import interrupts

ROOT = Path(__file__).resolve().parents[2]  # of the repository, if this runs in one
MISTAKE = 2  # argparse's exit status


class Command:
    """What a word does.

    where    a module with main(arguments), and words that come before those given; or a target of make
    example  what comes behind the word; help: a line
    """

    def __init__(self, example: str, help: str, where: str = "", words: tuple[str, ...] = (), target: str = "") -> None:
        self.example = example
        self.help = help
        self.where = where
        self.words = words
        self.target = target


GROUPS: dict[str, dict[str, Command]] = {
    "Look": {
        "demo": Command("photo.jpg", "faces on a photo, by the module in MicroPython on this computer", target="demo"),
        "detect": Command("photo.jpg", "the same without MicroPython; also other models", "rnnpool_training.detect"),
        "show": Command("models/face.rnnp --html face.html", "what is in a model", "tools.show_model"),
        "web": Command("", "the page that runs models in a browser", target="web"),
    },
    "Your own model": {
        "classify": Command(
            "pictures/ -o mine.rnnp", "a classifier from folders of pictures", "rnnpool_training.classify"
        ),
        "train": Command("--data images --out runs/mine", "a detector, in floating point", "rnnpool_training.train"),
        "finetune": Command(
            "runs/mine/float.pt --data images --out runs/int8", "... in integers", "rnnpool_training.finetune"
        ),
        "export": Command(
            "my_model.py:net --data images -o net.rnnp",
            "any PyTorch network, or a trained one, as a file for boards",
            "rnnpool_training.export",
        ),
        "convert": Command("model_int8.tflite -o net.rnnp", "a network from elsewhere", "rnnpool_training.convert"),
        "import-edgeml": Command(
            "checkpoint.pth -o net.pt", "a network of the paper's own code", "rnnpool_training.import_edgeml"
        ),
        "compare": Command("model_int8.tflite net.rnnp", "... against what it came from", "rnnpool_training.compare"),
        "eval": Command("--model mine.rnnp --data images/val", "how good it is", "rnnpool_training.evaluate"),
        "plan": Command("mine.rnnp --ram 49152 -o small.rnnp", "less RAM for more time", "rnnpool_training.planner"),
        "zoo": Command("mobilenetv2-rnnpool", "the paper's networks and what they cost", "rnnpool_training.zoo.table"),
        "bench": Command("--model mine=mine.rnnp", "cycles and memory on a Cortex-M4", "tools.bench"),
    },
    "Boards": {
        "firmware": Command("BOARD=NUCLEO_F439ZI", "MicroPython with the module and models", target="firmware"),
        "deploy": Command("BOARD=NUCLEO_F439ZI", "firmware, models and examples onto a board", target="deploy"),
        "stream": Command("photo.jpg", "pictures to a board, boxes back", "tools.board", ("stream",)),
        "board": Command("info", "all else with a connected board: REPL, files", "tools.board"),
    },
}
PACKAGES = ("tools.board", "tools.bench")  # of a __main__ each
COMMANDS = {word: command for group in GROUPS.values() for word, command in group.items()}

# Packages that not everyone has, by the extra of pyproject.toml that brings them.
EXTRAS = {
    "torch": "train",
    "tflite": "train",
    "yaml": "train",
    "scipy": "train",
    "serial": "tools",
    "mpremote": "tools",
}
EXTRAS |= {"matplotlib": "tools", "PIL": "tools", "tqdm": "tools", "ai_edge_litert": "compare", "unicorn": "dev"}


def overview() -> str:
    """The help: each word with an example."""
    lines = ["usage: rnnpool COMMAND ...", "", "Neural vision for microcontrollers that run MicroPython.", ""]
    width = max(len(f"{word} {command.example}") for word, command in COMMANDS.items())
    for title, group in GROUPS.items():
        lines.append(f"{title}:")
        lines += [f"  rnnpool {f'{word} {c.example}'.ljust(width)}  {c.help}" for word, c in group.items()]
        lines.append("")
    return "\n".join([*lines, "`rnnpool COMMAND --help` says more about each; docs/ has the rest."])


def fail(text: str) -> int:
    """Says it; gives the exit status."""
    print(f"rnnpool: {text}", file=sys.stderr)
    return MISTAKE


def run_make(word: str, target: str, arguments: list[str]) -> int:
    """A target of the repository's Makefile. Arguments are its variables, NAME=VALUE; of the demo, a photo."""
    import subprocess

    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: rnnpool {word} {COMMANDS[word].example}\n\n{COMMANDS[word].help}: `make {target}` in {ROOT}")
        return 0
    variable = {"demo": "IMAGE", "firmware": "BOARD", "deploy": "BOARD"}.get(target)
    plain = [a for a in arguments if not re.match("[A-Z_]+=", a)]
    named = [a for a in arguments if a not in plain]
    if any(a.startswith("-") for a in plain) or (plain and variable is None):
        return fail(f"{word} takes variables of make, as MODELS=face, not {plain[0]!r}")
    if len(plain) > 1:
        return fail(f"{word} takes one {variable}, not {len(plain)}: {', '.join(plain)}")
    if any("\n" in given for given in arguments):
        return fail(f"{word} goes through make, which takes no name with a line feed: rename it")
    for given in plain:
        named.append(f"{variable}={Path(given).resolve() if target == 'demo' else given}")
    return subprocess.call(["make", "--no-print-directory", "-C", str(ROOT), target, *named])


def run_module(word: str, command: Command, arguments: list[str]) -> int:
    """The main() of a module, which may give a status or end the program itself."""
    import importlib

    try:
        with interrupts.silent():
            where = f"{command.where}.__main__" if command.where in PACKAGES else command.where
            module = importlib.import_module(where)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").split(".")[0]
        extra = EXTRAS.get(package)
        if extra is None:
            raise
        where = "`make venv` sets it up, or " if (ROOT / "Makefile").exists() else ""
        return fail(f"{word} needs the package {package}, which is not here: {where}`pip install 'rnnpool[{extra}]'`")
    except ImportError as error:
        # The module `rnnpool` is built when it is first imported, which needs a compiler and Python's headers.
        from .native import BuildError

        if not isinstance(error, BuildError):
            raise
        return fail(str(error))
    return int(module.main([*command.words, *arguments]) or 0)


def called() -> str:
    """This program, so that it can be pasted: its name where PATH has it, else its path."""
    import shutil

    path = Path(sys.argv[0])
    found = shutil.which("rnnpool")
    if path.name != "rnnpool" or (found and Path(found).samefile(path)):
        return "rnnpool"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def main(given: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    arguments = sys.argv[1:] if given is None else given
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    word, *rest = arguments
    if word in ("-V", "--version"):
        from importlib.metadata import version

        print(f"rnnpool {version('rnnpool')}")
        return 0
    command = COMMANDS.get(word)
    if command is None:
        from difflib import get_close_matches

        near = get_close_matches(word, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        return fail(f"there is no command {word!r}: {hint}")
    of_repository = command.target or command.where.startswith("tools.")
    if of_repository and not (ROOT / "tools" / "board").is_dir():
        return fail(f"{word} needs the project's sources: it works in a checkout, installed with `make venv`")
    if command.target:
        return run_make(word, command.target, rest)
    if of_repository and str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    sys.argv[0] = f"{called()} {word}"  # for usages and mistakes: command.program
    return run_module(word, command, rest)


if __name__ == "__main__":
    sys.exit(main())
