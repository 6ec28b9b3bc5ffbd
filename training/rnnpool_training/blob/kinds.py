"""Tasks and kinds of operator, by their numbers in a blob."""

from enum import IntEnum


class Task(IntEnum):
    """What a model does."""

    DETECTION = 1
    CLASSIFICATION = 2
    LAYER = 3  # a single operator, for scripts that chain them
    MAP = 4  # the last operator's int8 map is the result


class Kind(IntEnum):
    """Kinds of operator."""

    CONV = 1
    RNNPOOL = 2
    INVERTED_RESIDUAL = 3
    DETECT_HEAD = 4
    GLOBAL_AVERAGE_POOL = 5
    DENSE = 6
    DEPTHWISE = 7
    POOL = 8
    ADD = 9
    CONCAT = 10
    LOOKUP = 11
    MUL = 12
    UPSAMPLE = 13
    L2_NORM = 14
