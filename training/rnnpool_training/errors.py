"""What a user did that can't be done, as one sentence."""

import unicodedata

ESCAPED = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, halves of surrogate pairs, ends of lines


class InputError(ValueError):
    """Something that the user named can't be used; the text is one sentence that says what and why."""


def sentence(error: Exception) -> str:
    """The text of an error; of the operating system's ones without number and quotes."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def reason(error: Exception) -> str:
    """The same without the file's name: behind "FILE can't be read: "."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def printable(name: str) -> str:
    r"""A file's name as text of one line: what ends lines, and bytes that are not UTF-8, become escapes such as \n."""
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in ESCAPED else c for c in name)
