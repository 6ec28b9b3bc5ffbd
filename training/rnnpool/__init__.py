"""The module `rnnpool` in CPython: the API of the board (typings/rnnpool.pyi), by the same C files.

In an installed wheel it is compiled; in a checkout it is built when it is first imported, and anew when its sources
change. After the import `rnnpool` is the compiled module itself.
"""

import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location

_spec = find_spec(f"{__name__}._native")
if _spec is None:
    from rnnpool_training.native import build_module

    _path = str(build_module())
    _spec = spec_from_file_location(
        f"{__name__}._native", _path, loader=ExtensionFileLoader(f"{__name__}._native", _path)
    )
assert _spec is not None and _spec.loader is not None
_native = module_from_spec(_spec)
_spec.loader.exec_module(_native)
sys.modules[__name__] = _native
