"""C++ kernels for training on a CPU, compiled at first use and cached; everything also runs without a compiler."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).with_name("sweep.cpp")
_FLAGS = ["-std=c++17", "-O3", "-march=native", "-ffast-math", "-Wno-psabi", "-fopenmp", "-shared", "-fPIC"]


@functools.lru_cache(maxsize=1)
def sweep_library() -> ctypes.CDLL | None:
    """Return the compiled sweep kernels, or None without a C++ compiler (or with RNNPOOL_KERNELS=0)."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if os.environ.get("RNNPOOL_KERNELS") == "0" or compiler is None:
        return None
    digest = hashlib.sha256(_SOURCE.read_bytes() + f"{_FLAGS} {compiler} {platform.node()}".encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rnnpool_training"
    library = cache / f"sweep-{digest}.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            built = Path(folder) / "sweep.so"
            try:
                subprocess.run([compiler, *_FLAGS, str(_SOURCE), "-o", str(built)], check=True, capture_output=True)
            except subprocess.CalledProcessError:
                return None
            os.replace(built, library)
    return ctypes.CDLL(str(library))
