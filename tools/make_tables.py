#!/usr/bin/env python3
"""Prints mp_module/engine/kernels/tables.c, the engine's tables (docs/arithmetic.md, sections 3 and 4).

tools/make_tables.py > mp_module/engine/kernels/tables.c
"""

import math
import textwrap

HEADER = """// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Made by tools/make_tables.py: change it there.
#include "tables.h"

// clang-format off
"""


def sigmoid_table() -> list[int]:
    """129 entries of Q15: sigmoid(i / 16)."""
    return [round(2**15 / (1 + math.exp(-i / 16))) for i in range(129)]


def exp2_table() -> list[int]:
    """33 entries of Q14: 2^(i / 32)."""
    return [round(2**14 * 2 ** (i / 32)) for i in range(33)]


def c_array(name: str, size: str, values: list[int]) -> str:
    """A C definition."""
    indent = 4 * " "
    body = textwrap.fill(", ".join(map(str, values)), 120, initial_indent=indent, subsequent_indent=indent)
    return f"\nconst uint16_t {name}[{size}] = {{\n{body}\n}};\n"


def main() -> None:
    """Writes the file to standard output."""
    text = HEADER + c_array("rnnp_sigmoid_table", "RNNP_SIGMOID_ENTRIES", sigmoid_table())
    print(text + c_array("rnnp_exp2_table", "RNNP_EXP2_ENTRIES", exp2_table()), end="")


if __name__ == "__main__":
    main()
