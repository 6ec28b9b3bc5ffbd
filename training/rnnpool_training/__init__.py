"""Training, quantization and export of RNNPool networks. Importing this package never imports torch."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # a checkout has programs that any Python may be asked to run
    sys.exit(f"rnnpool needs Python 3.11 or later, {sys.executable} is {'.'.join(map(str, sys.version_info[:3]))}")

from . import interrupts

if interrupts.runs_as_program(__name__):
    interrupts.end_silently()
