# Part of the native rnnpool.mpy: runs at its import, after mpy_init() (runtime.c). Machine code can neither see whether
# an event is pending nor how much C stack is left; MicroPython's virtual machine looks after both, in these functions.


def _run_events(jump):  # the virtual machine handles pending events where it jumps
    while jump:
        jump = False


def _do_nothing():  # a call checks the stack
    pass


_start(_run_events, _do_nothing)  # noqa: F821 (runtime.c)
del _start, _run_events, _do_nothing  # noqa: F821
