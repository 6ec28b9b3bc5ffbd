"""The same as export, of a classifier's float checkpoint: python -m rnnpool_training.export_classifier FLOAT.pt ..."""

from __future__ import annotations

import sys

from . import export


def main(arguments: list[str] | None = None) -> None:
    """Entry point. --size is a side in pixels."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--size" in given[:-1]:
        place = given.index("--size") + 1
        given[place] = f"{given[place]}x{given[place]}"
    export.main(given)


if __name__ == "__main__":
    main()
