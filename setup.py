"""The compiled module `rnnpool` of a wheel: the engine, the binding and the models. All else is in pyproject.toml.

An editable installation has none: there the module is built when it is imported, and again when its sources have
changed.
"""

import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = runpy.run_path("training/rnnpool_training/native.py")
ROOT = NATIVE["ROOT"]


class BuildModule(build_ext):
    """With the models as a C file."""

    def run(self) -> None:
        """Builds it."""
        if self.editable_mode:
            self.extensions = []
            return
        models = Path(self.build_temp) / "builtin_models.c"
        models.parent.mkdir(parents=True, exist_ok=True)
        NATIVE["write_models"](models)
        self.extensions[0].sources.append(str(models))
        super().run()


setup(
    ext_modules=[
        Extension(
            "rnnpool._native",
            sources=[str(path.relative_to(ROOT)) for path in NATIVE["module_sources"]()],
            include_dirs=[str(path.relative_to(ROOT)) for path in NATIVE["module_includes"]()],
            depends=[str(path.relative_to(ROOT)) for path in sorted(NATIVE["MODULE"].rglob("*.h"))],
            extra_compile_args=[*NATIVE["MODULE_FLAGS"], "-g0"],
        )
    ],
    cmdclass={"build_ext": BuildModule},
)
