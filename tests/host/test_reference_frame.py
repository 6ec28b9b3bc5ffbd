"""Frames to model inputs: the reference against one line at a time, and known answers."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training.reference import Format, frame

sides = st.integers(1, 70)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=70), sides)
def test_resample_line(values: list[int], size: int) -> None:
    got = frame.resample_rows(np.array(values, np.uint8), size)
    assert got.dtype == np.uint8
    assert got.tolist() == naive.resample(values, size)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([1, 3]), seeds)
def test_resample_is_columns_first(w: int, h: int, width: int, height: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, channels)).astype(np.uint8)
    got = frame.resample(pixels, width, height)
    for c in range(channels):
        rows = [naive.resample(row.tolist(), width) for row in pixels[:, :, c]]
        columns = [naive.resample([row[x] for row in rows], height) for x in range(width)]
        assert got[:, :, c].T.tolist() == columns


def test_resample_extremes() -> None:
    # The largest sums: white stays white, black black, whatever the sizes.
    for n, m in ((4096, 1), (4096, 2047), (1, 2048), (2, 2047), (2047, 2048)):
        for value in (0, 1, 254, 255):
            assert (frame.resample_rows(np.full(n, value, np.uint8), m) == value).all()


def test_resample_known_answers() -> None:
    def of(values: list[int], size: int) -> list[int]:
        return frame.resample_rows(np.array(values, np.uint8), size).tolist()

    assert of([10, 20, 30, 40], 2) == [15, 35]
    assert of([0, 255], 1) == [128]  # 127.5 is rounded up
    assert of([0, 90, 180], 2) == [30, 150]  # (0 + 0 + 90) / 3, (90 + 180 + 180) / 3
    assert of([0, 100], 4) == [0, 25, 75, 100]
    assert of([7], 3) == [7, 7, 7]


@pytest.mark.parametrize(
    ("frame_size", "model_size", "expected"),
    [
        ((320, 240), (320, 240), (320, 240)),
        ((640, 480), (320, 240), (320, 240)),
        ((160, 120), (320, 240), (320, 240)),
        ((240, 320), (320, 240), (180, 240)),
        ((1000, 10), (320, 240), (320, 3)),
        ((4096, 1), (320, 240), (320, 1)),
        ((1, 4096), (320, 240), (1, 240)),
        ((333, 250), (320, 240), (320, 240)),
        ((1, 1), (320, 240), (240, 240)),
    ],
)
def test_letterbox(frame_size: tuple[int, int], model_size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert frame.letterbox(*frame_size, *model_size) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 2048), st.integers(1, 2048))
def test_letterbox_fits_and_fills_one_side(w: int, h: int, in_w: int, in_h: int) -> None:
    dw, dh = frame.letterbox(w, h, in_w, in_h)
    assert 1 <= dw <= in_w and 1 <= dh <= in_h
    assert dw == in_w or dh == in_h
    scale = min(in_w / w, in_h / h)
    assert abs(dw - w * scale) <= 1 and abs(dh - h * scale) <= 1


def test_rgb565_is_expanded_to_the_full_range() -> None:
    words = np.array([0x0000, 0xFFFF, 0xF800, 0x07E0, 0x001F, 0x8410], "<u2")
    pixels = frame.expand(words.tobytes(), 6, 1, Format.RGB565)[0].tolist()
    assert pixels == [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [132, 130, 132]]


def test_colour() -> None:
    primaries = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]], np.uint8)
    assert frame.colour(primaries, 1)[0, :, 0].tolist() == [255, 77, 149, 29, 0]
    assert frame.colour(primaries, 3) is primaries
    gray = np.array([[[7], [200]]], np.uint8)
    assert frame.colour(gray, 3).tolist() == [[[7, 7, 7], [200, 200, 200]]]


def test_sign() -> None:
    assert frame.sign(np.array([0, 127, 128, 255], np.uint8)).tolist() == [-128, -1, 0, 127]


def test_model_input_is_at_the_top_left_on_grey() -> None:
    got = frame.model_input(bytes([200]) * 8, 2, 4, Format.GRAY8, (8, 8, 1))[:, :, 0]
    assert (got[:, :4] == 200).all() and (got[:, 4:] == 128).all()


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.sampled_from(Format), st.sampled_from([1, 3]), sides, sides, seeds)
def test_model_input(w: int, h: int, format: Format, channels: int, in_w: int, in_h: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 256, w * h * format.bytes_per_pixel).astype(np.uint8)
    got = frame.model_input(data.tobytes(), w, h, format, (in_h, in_w, channels))
    assert got.shape == (in_h, in_w, channels) and got.dtype == np.uint8

    def pixel(i: int) -> list[int]:
        if format == Format.GRAY8:
            return [int(data[i])] * 3
        if format == Format.RGB888:
            return [int(v) for v in data[3 * i : 3 * i + 3]]
        word = int(data[2 * i]) | int(data[2 * i + 1]) << 8
        r, g, b = word >> 11, word >> 5 & 63, word & 31
        return [r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2]

    rgb = [pixel(i) for i in range(w * h)]
    if channels == 1 and format != Format.GRAY8:
        rgb = [[(77 * r + 150 * g + 29 * b + 128) >> 8] for r, g, b in rgb]
    dw, dh = frame.letterbox(w, h, in_w, in_h)
    for c in range(channels):
        rows = [naive.resample([rgb[y * w + x][c] for x in range(w)], dw) for y in range(h)]
        columns = [naive.resample([row[x] for row in rows], dh) for x in range(dw)]
        assert got[:dh, :dw, c].T.tolist() == columns
    assert (got[dh:] == 128).all() and (got[:, dw:] == 128).all()


@pytest.mark.parametrize(("w", "h", "size"), [(0, 1, 0), (1, 0, 0), (4097, 1, 4097), (2, 2, 3), (2, 2, 5), (2, 2, 0)])
def test_wrong_frames_are_refused(w: int, h: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"{w}x{h}"):
        frame.expand(bytes(size), w, h, Format.GRAY8)
