"""tools/board/protocol.py: packets survive any surroundings, and both ends have the same constants."""

from __future__ import annotations

import ast
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load_tool import ROOT

from tools.board import protocol, repl
from tools.board.pieces import pieces
from tools.board.protocol import Box, Decoder, Packet, Result, begin_payload, result_from

SCRIPT = ROOT / "examples" / "serial_frames.py"
PACKETS = st.builds(
    Packet, st.integers(0, 255), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=protocol.MAX_PAYLOAD)
)


def constants_of_the_script() -> dict[str, int]:
    """Names to values of `_NAME = const(value)`; they are in no module's namespace on a device."""
    found = {}
    for node in ast.parse(SCRIPT.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Call(func=ast.Name("const"), args=[value])):
                found[name.lstrip("_")] = ast.literal_eval(value)
    return found


def test_both_ends_have_the_same_constants() -> None:
    there = constants_of_the_script()
    shared = [name for name in there if hasattr(protocol, name)]
    assert {name: there[name] for name in shared} == {name: getattr(protocol, name) for name in shared}
    assert len(shared) == 17
    paths = next(
        ast.literal_eval(node.value)
        for node in ast.parse(SCRIPT.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODELS"
    )
    assert paths == repl.MODELS


def test_the_example_in_the_documentation() -> None:
    text = (ROOT / "docs" / "serial.md").read_text()
    assert Packet(protocol.HELLO).encode().hex(" ") in text
    assert Packet(protocol.DATA, 7, 2, b"\x01\x02\x03").encode().hex(" ") in text


def test_a_packet_fits_the_buffer_of_a_uart() -> None:
    assert len(Packet(1, 2, 3, bytes(protocol.MAX_PAYLOAD)).encode()) == 254
    with pytest.raises(ValueError, match="241 bytes of payload, 240 allowed"):
        Packet(1, 2, 3, bytes(241)).encode()


def test_what_opens_a_conversation_does_nothing_at_a_prompt() -> None:
    # At the REPL: no Ctrl-A to Ctrl-F, no return.
    assert not set(protocol.FLUSH + Packet(protocol.HELLO).encode()) & {1, 2, 3, 4, 5, 6, 10, 13}
    assert not set(Packet(protocol.STOP).encode()) & {1, 2, 3, 4, 5, 6, 10, 13}


@settings(max_examples=200, deadline=None)
@given(st.lists(PACKETS, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_packets_in_pieces(packets: list[Packet], sizes: list[int]) -> None:
    stream = b"".join(packet.encode() for packet in packets)
    decoder, found, at, turn = Decoder(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += list(decoder.feed(stream[at : at + size]))
        at, turn = at + size, turn + 1
    assert found == packets
    assert decoder.damaged == 0


@settings(max_examples=300, deadline=None)
@given(PACKETS, PACKETS, st.data())
def test_a_damaged_packet_is_never_taken_for_another(first: Packet, second: Packet, data: st.DataObject) -> None:
    encoded = bytearray(first.encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    kind = data.draw(st.sampled_from(["change", "drop", "double"]))
    if kind == "change":
        encoded[at] ^= data.draw(st.integers(1, 255))
    elif kind == "drop":
        del encoded[at]
    else:
        encoded.insert(at, encoded[at])
    decoder = Decoder()
    # Sent again, as the other end does.
    found = list(decoder.feed(bytes(encoded) + (second.encode() + bytes(4)) * 3))
    # Doubling the first byte of a packet leaves a packet.
    assert [packet for packet in found if packet != second] in ([], [first])
    assert found.count(second) >= 2


def test_text_between_packets_is_kept() -> None:
    decoder = Decoder()
    packet = Packet(protocol.ACK, 1, 2)
    assert list(decoder.feed(b"Trace" + packet.encode() + b"back \xc3\xbc\n")) == [packet]
    assert decoder.text() == "Traceback ü\n"


def test_payloads() -> None:
    assert begin_payload(320, 240, 1, 23, None) == struct.pack("<HHBBH", 320, 240, 1, 23, 0xFFFF)
    assert begin_payload(320, 240, 1, 23, 0.5)[-2:] == struct.pack("<H", 16384)
    records = struct.pack("<HHI5h", 1, 3, 1000, 10, 20, 30, 40, 16384)
    assert result_from(records, 40, 60) == Result((Box(10, 20, 30, 40, 0.5),), 3, 1000)
    many = struct.pack("<HHI5h", 257, 3, 1000, 10, 20, 30, 40, 16384)  # 257 boxes, one of them there
    for wrong in (b"", records[:-1], records + b"1", many):
        with pytest.raises(ValueError, match=f"it has {len(wrong)} bytes"):
            result_from(wrong, 320, 240)
    with pytest.raises(ValueError, match="box 10, 20, 30, 40 is not within the frame of 39x60"):
        result_from(records, 39, 60)
    for box in ((-1, 0, 5, 5, 0), (0, 0, 0, 5, 0), (0, 0, 5, -5, 0), (0, 0, 5, 5, -1)):
        with pytest.raises(ValueError, match="not within"):
            result_from(struct.pack("<HHI5h", 1, 0, 0, *box), 320, 240)


def test_the_script_in_pieces() -> None:
    found = pieces(SCRIPT.read_text())
    assert all(len(piece) < 4000 for piece in found)  # what a board with 98 KB of heap compiles beside the model
    whole = ast.parse("\n".join(found))
    names = {node.id for node in ast.walk(whole) if isinstance(node, ast.Name)}
    assert not {name for name in names if name[0] == "_" and name[1:2].isupper()}
    assert "main(globals().get('model'))" in found[-1]
    assert not any(
        ast.get_docstring(node) for node in ast.walk(whole) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    )
    assert pieces('_A = const(5)\nimport b\ndef c():\n    """D."""\nclass E:\n    f = _A\ng = 1\nh = 2\n') == [
        "import b",
        "def c():\n    pass",
        "class E:\n    f = 5",
        "g = 1\nh = 2",
    ]
