# This file is part of rnnpool. MIT licence, see LICENSE.
#
# rnnpool for any board: `import rnnpool` takes the native module for its processor, from rnnpool_armv6m.mpy and others
# beside this file (tools/dist/mip.py puts them there). A board with little flash gets that one alone, as rnnpool.mpy.


def _load():
    from sys import implementation

    # The kind of native code that this firmware loads (MicroPython's py/persistentcode.h). A processor runs that of
    # smaller ones; and engine and module compute no floats, so double precision makes no difference.
    names = {2: "x64", 4: "armv6m", 5: "armv6m", 6: "armv6m", 7: "armv7emsp", 8: "armv7emsp", 10: "xtensawin"}
    names[11] = "rv32imc"
    kind = getattr(implementation, "_mpy", 0) >> 10 & 15
    if kind not in names:
        raise ImportError(f"no rnnpool for native code of kind {kind} (0: this firmware loads none)")
    name = "rnnpool_" + names[kind]
    try:
        module = __import__(name)
    except ImportError:
        raise ImportError(f"no {name}.mpy beside rnnpool.py") from None
    for key in dir(module):
        if key not in ("__name__", "__file__"):
            globals()[key] = getattr(module, key)


_load()
del _load
