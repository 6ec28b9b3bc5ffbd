"""What went wrong, in one sentence for the user."""


class DistError(Exception):
    """A release can't be made; the text is one sentence."""
