"""What went wrong, said to a person."""

from __future__ import annotations


class Problem(Exception):
    """The text is one sentence that says what is wrong, and then what to do about it."""
