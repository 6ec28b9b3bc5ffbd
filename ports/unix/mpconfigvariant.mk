# MicroPython's unix port for development, tests and the demo: VARIANT_DIR=<this folder> VARIANT=rnnpool.
# Nothing that needs a library which is not in the C library, and no threads, as on the boards.

FROZEN_MANIFEST ?=

MICROPY_USE_READLINE = 1
MICROPY_PY_TERMIOS = 1
MICROPY_PY_SOCKET = 1
MICROPY_PY_THREAD = 0
MICROPY_PY_BTREE = 0
MICROPY_PY_SSL = 0
MICROPY_PY_FFI = 0
MICROPY_PY_JNI = 0

# File systems of the boards (ROMFS is in the common part already).
MICROPY_VFS_FAT = 1
MICROPY_VFS_LFS2 = 1
