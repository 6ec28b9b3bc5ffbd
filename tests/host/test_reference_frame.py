"""Frames to model inputs: the reference against one line at a time, and known answers."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rnnpool_training.reference import Format, View, formats, frame, geometry, light, resampling

sides = st.integers(1, 70)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=70), sides)
def test_resample_line(values: list[int], size: int) -> None:
    got = resampling.resample_rows(np.array(values, np.uint8), size)
    assert got.dtype == np.uint8
    assert got.tolist() == naive.resample(values, size)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([1, 3]), seeds)
def test_resample_is_columns_first(w: int, h: int, width: int, height: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, channels)).astype(np.uint8)
    got = resampling.resample(pixels, width, height)
    for c in range(channels):
        rows = [naive.resample(row.tolist(), width) for row in pixels[:, :, c]]
        columns = [naive.resample([row[x] for row in rows], height) for x in range(width)]
        assert got[:, :, c].T.tolist() == columns


def test_resample_extremes() -> None:
    # The largest sums: white stays white, black black, whatever the sizes.
    for n, m in ((4096, 1), (4096, 2047), (1, 2048), (2, 2047), (2047, 2048)):
        for value in (0, 1, 254, 255):
            assert (resampling.resample_rows(np.full(n, value, np.uint8), m) == value).all()


def test_resample_known_answers() -> None:
    def of(values: list[int], size: int) -> list[int]:
        return resampling.resample_rows(np.array(values, np.uint8), size).tolist()

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
    assert geometry.letterbox(*frame_size, *model_size) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 2048), st.integers(1, 2048))
def test_letterbox_fits_and_fills_one_side(w: int, h: int, in_w: int, in_h: int) -> None:
    dw, dh = geometry.letterbox(w, h, in_w, in_h)
    assert 1 <= dw <= in_w and 1 <= dh <= in_h
    assert dw == in_w or dh == in_h
    scale = min(in_w / w, in_h / h)
    assert abs(dw - w * scale) <= 1 and abs(dh - h * scale) <= 1


def test_rgb565_is_expanded_to_the_full_range() -> None:
    words = np.array([0x0000, 0xFFFF, 0xF800, 0x07E0, 0x001F, 0x8410], "<u2")
    pixels = formats.expand(formats.stored_rows(words.tobytes(), 6, 1, Format.RGB565), Format.RGB565, 3)[0].tolist()
    assert pixels == [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [132, 130, 132]]


def test_colour() -> None:
    primaries = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]], np.uint8)
    assert formats.colour(primaries, 1)[0, :, 0].tolist() == [255, 77, 149, 29, 0]
    assert formats.colour(primaries, 3) is primaries
    gray = np.array([[[7], [200]]], np.uint8)
    assert formats.colour(gray, 3).tolist() == [[[7, 7, 7], [200, 200, 200]]]


def test_sign() -> None:
    assert frame.sign(np.array([0, 127, 128, 255], np.uint8)).tolist() == [-128, -1, 0, 127]


def test_model_input_is_at_the_top_left_on_grey() -> None:
    got = frame.model_input(bytes([200]) * 8, 2, 4, Format.GRAY8, (8, 8, 1))[:, :, 0]
    assert (got[:, :4] == 200).all() and (got[:, 4:] == 128).all()


def one_pixel(data: list[int], width: int, x: int, y: int, format: Format) -> tuple[list[int], int]:
    """Colours and gray of a pixel, by the words of docs/arithmetic.md."""

    def clip(v: int) -> int:
        return max(0, min(255, v))

    i = y * width + x
    if format in (Format.GRAY8, Format.YUV420):
        return [data[i]] * 3, data[i]
    if format.in_pairs:
        pair = data[4 * (i // 2) : 4 * (i // 2) + 4]
        y0, u, y1, v = pair if format == Format.YUYV else (pair[1], pair[0], pair[3], pair[2])
        luma, u, v = (y1 if x % 2 else y0), u - 128, v - 128
        r, g, b = (359 * v + 128) >> 8, (88 * u + 183 * v + 128) >> 8, (454 * u + 128) >> 8
        return [clip(luma + r), clip(luma - g), clip(luma + b)], luma
    if format in (Format.RGB888, Format.BGR888):
        rgb = data[3 * i : 3 * i + 3][:: 1 if format == Format.RGB888 else -1]
    else:
        first, second = data[2 * i : 2 * i + 2]
        word = first | second << 8 if format == Format.RGB565 else first << 8 | second
        r5, g6, b5 = word >> 11, word >> 5 & 63, word & 31
        rgb = [r5 << 3 | r5 >> 2, g6 << 2 | g6 >> 4, b5 << 3 | b5 >> 2]
    return rgb, (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8


@settings(max_examples=120, deadline=None)
@given(sides, sides, st.sampled_from(Format), st.sampled_from([1, 3]), sides, sides, seeds)
def test_model_input(w: int, h: int, format: Format, channels: int, in_w: int, in_h: int, seed: int) -> None:
    w += w % 2 if format.in_pairs else 0
    channels = 1 if format == Format.YUV420 else channels
    data = np.random.default_rng(seed).integers(0, 256, format.frame_bytes(w, h)).astype(np.uint8)
    got = frame.model_input(data.tobytes(), w, h, format, (in_h, in_w, channels))
    assert got.shape == (in_h, in_w, channels) and got.dtype == np.uint8
    pixels = [[one_pixel(data.tolist(), w, x, y, format) for x in range(w)] for y in range(h)]
    dw, dh = geometry.letterbox(w, h, in_w, in_h)
    for c in range(channels):
        values = [[p[1] if channels == 1 else p[0][c] for p in row] for row in pixels]
        rows = [naive.resample(row, dw) for row in values]
        columns = [naive.resample([row[x] for row in rows], dh) for x in range(dw)]
        assert got[:dh, :dw, c].T.tolist() == columns
    assert (got[dh:] == 128).all() and (got[:, dw:] == 128).all()


def test_yuv_is_full_range_bt601() -> None:
    # Pillow's YCbCr is JPEG's, which has the same definition, in other roundings.
    rgb = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    back = formats.rgb_of_yuv(ycc[..., 0], ycc[..., 1], ycc[..., 2]).astype(int)
    assert np.abs(back - np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB"))).max() <= 1


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_views_turn_clockwise_and_undo_the_mirror_first(rotate: int, mirrored: bool) -> None:
    right = np.arange(12, dtype=np.uint8).reshape(3, 4)  # the upright picture; now as a camera stores it
    stored = right
    for _ in range(rotate // 90):  # turned anticlockwise, a quarter at a time
        stored = np.array([[row[x] for row in stored] for x in range(stored.shape[1] - 1, -1, -1)], np.uint8)
    stored = stored[:, ::-1] if mirrored else stored
    view = View(rotate=rotate, mirror=mirrored)
    height, width = stored.shape
    assert view.upright(stored).tolist() == right.tolist()
    for y in range(3):
        for x in range(4):
            x1, y1, x2, y2 = view.stored_box(x, y, x + 1, y + 1, width, height)
            assert (x2 - x1, y2 - y1) == (1, 1) and stored[y1, x1] == right[y, x]


def test_light_that_is_measured() -> None:
    flat = np.tile(np.arange(100, 151, dtype=np.uint8), (204, 4))[:, :200]
    gain, bias = light.measure(flat)
    assert 1180 < gain < 1300 and abs(((100 * gain + bias + 128) >> 8) - 10) <= 3
    assert light.adjust(np.array([0, 255], np.uint8), light.Light(gain, bias)).tolist() == [0, 255]
    # A black frame becomes grey, with its noise at most eight times as large.
    assert light.measure(np.zeros((8, 8), np.uint8)) == (light.MAX_GAIN, 255 * 128)
    full = np.arange(256, dtype=np.uint8).repeat(64).reshape(128, 128).T
    assert 0.9 * 256 < light.measure(full).gain < 0.96 * 256
    assert light.measure(np.array([[7]], np.uint8)).gain == light.MAX_GAIN


@pytest.mark.parametrize(("w", "h", "size"), [(0, 1, 0), (1, 0, 0), (4097, 1, 4097), (2, 2, 3), (2, 2, 5), (2, 2, 0)])
def test_wrong_frames_are_refused(w: int, h: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"{w}x{h}"):
        formats.stored_rows(bytes(size), w, h, Format.GRAY8)
