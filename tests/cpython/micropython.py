"""What tests in tests/micropython use of MicroPython's own modules, for CPython. There is no heap to lock."""


def heap_lock() -> None:
    """Nothing."""


def heap_unlock() -> None:
    """Nothing."""
