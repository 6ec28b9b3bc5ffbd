"""What is wrong with a blob: the same kinds of error as the C parser's (rnnp_status_t in mp_module/engine/rnnp.h)."""

from enum import IntEnum


class Status(IntEnum):
    """Kinds of error that a blob can cause, numbered as in rnnp_status_t."""

    OK = 0
    TRUNCATED = 1
    ALIGNMENT = 2
    FORMAT = 3
    CHECKSUM = 4
    UNSUPPORTED = 5


class BlobError(ValueError):
    """A model that is not a valid blob, or bytes that are not.

    status  kind of error
    what    field or array, named as in SPEC.md
    op      index of the operator, -1 for the header
    """

    def __init__(self, status: Status, what: str, expected: object, given: object, op: int = -1) -> None:
        where = what if op < 0 else f"operator {op}: {what}"
        super().__init__(f"{where}: expected {expected}, given {given}")
        self.status = status
        self.what = what
        self.op = op
        self.expected = expected
        self.given = given
