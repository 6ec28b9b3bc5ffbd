"""Programs of the repository, for `python -m tools.NAME` in its folder."""

try:
    from rnnpool_training import interrupts
except ImportError:  # some are of the standard library only, and run by a Python without the package
    pass
else:
    if interrupts.runs_as_program(__name__):
        interrupts.end_silently_before("main")
