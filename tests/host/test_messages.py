"""Texts of the module's errors."""

import re

from load_tool import ROOT

# MicroPython 1.25 unpacks texts with values into a buffer that is a byte too small for the longest of a firmware.
LONGEST = 72  # of MicroPython's own there are two of 73 characters


def test_no_text_is_the_longest_of_a_firmware() -> None:
    texts = [
        "".join(re.findall(r'"([^"]*)"', found))
        for path in (ROOT / "mp_module").rglob("*.c")
        for found in re.findall(r'MP_ERROR_TEXT\(((?:\s*"[^"]*")+)\)', path.read_text())
    ]
    assert len(texts) > 30
    assert [text for text in texts if len(text) > LONGEST] == []
