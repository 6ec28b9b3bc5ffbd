"""The texts of the binding's exceptions fit the buffer that MicroPython decompresses them in (binding.h)."""

import re
from pathlib import Path

BINDING = Path(__file__).resolve().parents[2] / "mp_module" / "binding"


def test_texts_are_short() -> None:
    limit = re.search(r"#define RNNPOOL_MAX_TEXT \((\d+)\)", (BINDING / "binding.h").read_text())
    assert limit
    texts = [
        text
        for path in sorted(BINDING.glob("*.c"))
        for text in re.findall(r'MP_ERROR_TEXT\("([^"]*)"\)', path.read_text())
    ]
    assert len(texts) == sum(path.read_text().count("MP_ERROR_TEXT(") for path in BINDING.glob("*.c"))
    assert [text for text in texts if len(text) > int(limit[1])] == []
