"""The one exception of this tool."""


class FirmwareError(Exception):
    """What stands in the way; the text is one sentence for the user, with the remedy."""
